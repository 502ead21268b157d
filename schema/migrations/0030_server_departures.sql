-- SPDX-License-Identifier: Apache-2.0
-- Departures (fs_tomb) are kept for a time, counted in days; the sequence knows no time. So the server notes
-- now and then which seq it had reached.
CREATE TABLE fs_moment (
    seq         BIGINT NOT NULL PRIMARY KEY, -- newest committed then
    occurred_at BIGINT NOT NULL
);

-- A reader below a bucket's mark is told which rows there are, instead of which have gone.
CREATE INDEX fs_bucket_tomb_low ON fs_bucket (tomb_low) WHERE tomb_low > 0;

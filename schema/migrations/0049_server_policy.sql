-- SPDX-License-Identifier: Apache-2.0
-- What a device has been told of its lease, so that it isn't told again in each session.

-- The lease in seconds that a device has if it presents token_current: POLICY comes before the WELCOME
-- that hands out the token. NULL: not known.
ALTER TABLE fs_replica ADD COLUMN lease_told BIGINT;

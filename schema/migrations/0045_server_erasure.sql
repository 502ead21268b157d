-- SPDX-License-Identifier: Apache-2.0
-- Customers whose personal content was erased. A device that has published `seq` has it no more.
CREATE TABLE fs_erasure (
    id         INTEGER PRIMARY KEY,
    party_id   BIGINT NOT NULL,
    erased_at  BIGINT NOT NULL,
    row_count  BIGINT NOT NULL,
    seq        BIGINT NOT NULL
);
CREATE INDEX fs_erasure_party ON fs_erasure (party_id);

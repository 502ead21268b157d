-- SPDX-License-Identifier: Apache-2.0
-- The contents of attachments whose rows lie in quarantine: what a revoked device may still send.
-- Never replicated.

CREATE TABLE fs_quarantine_blob (
    replica_no BIGINT NOT NULL,
    hash       TEXT NOT NULL,          -- as attachment.content_hash
    size       BIGINT NOT NULL,        -- no more than this is taken
    seal_no    BIGINT NOT NULL,        -- whose row names it
    PRIMARY KEY (replica_no, hash)
);

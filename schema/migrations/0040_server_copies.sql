-- SPDX-License-Identifier: Apache-2.0
-- Copies of one device's disk: a cloned laptop, or one that was put back from an older image. While a
-- replica is held each copy is known by the resume token that it presents, for none gets a new one.

CREATE TABLE fs_copy (
    replica_no    BIGINT NOT NULL,
    copy_no       INTEGER NOT NULL,     -- what people call it: from 1
    token         BLOB NOT NULL,        -- the resume token it presents; empty: it never stored one
    is_newest     INTEGER NOT NULL,     -- it stands where the server stands: it may go on as it is
    why           TEXT NOT NULL,        -- what was seen of it
    first_seen_at BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    peer          TEXT,                 -- address of its last contact; NULL: not seen since the hold
    app_version   TEXT,
    lcn_last      BIGINT NOT NULL,      -- changes it has recorded
    published_seq BIGINT NOT NULL,
    decision      TEXT CHECK (decision IN ('renew', 'take_over')), -- NULL: nobody has decided
    code_id       BLOB,                 -- of the enrolment code that it was given
    PRIMARY KEY (replica_no, copy_no)
);

ALTER TABLE fs_replica ADD COLUMN contact_no BIGINT NOT NULL DEFAULT 0; -- rises with each token
ALTER TABLE fs_replica ADD COLUMN former_no BIGINT; -- the replica whose unanswered work it brings along
ALTER TABLE fs_replica ADD COLUMN first_no BIGINT;  -- the number under which its disk began; NULL: this
CREATE INDEX fs_replica_first ON fs_replica (first_no) WHERE first_no IS NOT NULL;

-- A code for a copy: the new replica brings the work of this one along; takes_over: it is the same
-- device, with its series and its van, under a new number.
ALTER TABLE fs_enrolment ADD COLUMN former_no BIGINT;
ALTER TABLE fs_enrolment ADD COLUMN takes_over INTEGER NOT NULL DEFAULT 0;

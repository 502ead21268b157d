-- SPDX-License-Identifier: Apache-2.0
-- fs_state holds besides: first_no (number of this disk's first replica, once it has had others) and
-- disk_checks (how often a commit was made only to be sure of the disk).

-- Rows that got another id when this device took another replica number (docs/SYNC.md 5): those it
-- had inserted and that had no answer yet. Of the last time only; for people who look for an old id.
CREATE TABLE fs_renewed (
    table_no INTEGER NOT NULL,
    old_id   INTEGER NOT NULL,
    new_id   INTEGER NOT NULL,
    PRIMARY KEY (table_no, old_id)
) WITHOUT ROWID;
CREATE INDEX fs_renewed_id ON fs_renewed (old_id);

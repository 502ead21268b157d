-- What the capture triggers write, and where new ids come from.
--
-- The triggers themselves are generated from the catalog. Any program may write the replicated
-- tables with ordinary SQL; each edit leaves a line in fs_outbox, in the same transaction.

-- A row here says: the writer is the applier, don't capture and don't check. It is put and taken
-- inside one transaction, so no other process ever sees it.
CREATE TABLE fs_flag (
    k INTEGER PRIMARY KEY
);

-- op, by row and in order of lcn:
--   I  inserted; mask: the columns its author may have set
--   U  updated; mask: the columns that differ
--   D  deleted
--   R  an INSERT (or a key change) met a row with this id; mask: the columns that differ. If the
--      row's next line is I, the old row was replaced: together an update of those columns.
--      With recursive_triggers on a D stands between the two. Otherwise (OR IGNORE, UPSERT): nothing
--   ?  look: a REPLACE may have removed this row through another UNIQUE. Gone: D. There: nothing
--   -  nothing happened; the line keeps or moves the counter
CREATE TABLE fs_outbox (
    lcn        INTEGER PRIMARY KEY,            -- local change number; the newest line is never removed
    tbl        INTEGER NOT NULL,               -- fs_table.number, 0 for '-'
    row_id     BIGINT NOT NULL,
    op         TEXT NOT NULL,
    mask       BIGINT NOT NULL,                -- bit n: column n
    edited_at  BIGINT NOT NULL,                -- this machine's clock: microseconds since 1970, UTC
    base_seq   BIGINT NOT NULL,                -- published head that the author could see
    old_bucket BIGINT,                         -- server, D R ?: where the row was
    old_hash   BLOB                            -- server, D R ?: its share of that bucket's digest
);

-- The next free id: replica_no << 33 | counter. A block of n rows takes id, id + 1, ... id + n - 1.
-- NULL as long as the replica has no number.
CREATE VIEW new_id AS
SELECT ((SELECT number FROM fs_state WHERE name = 'replica_no') << 33)
       | (coalesce((SELECT max(lcn) FROM fs_outbox), 0) + 1) AS id;

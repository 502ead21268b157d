-- What the capture triggers write, and where new ids come from.
--
-- The triggers themselves are generated from the catalog. Any program may write the replicated
-- tables with ordinary SQL; each edit leaves a line in fs_outbox, in the same transaction.

-- All that a trigger has to know, in the one row of one table: it is looked at for each captured row.
-- Kept by triggers; write to fs_flag and fs_state instead.
CREATE TABLE fs_capture (
    k             INTEGER PRIMARY KEY CHECK (k = 1),
    is_on         INTEGER NOT NULL,            -- 0: the writer is the applier
    replica_no    BIGINT,                      -- fs_state.replica_no; NULL: has no number yet
    published_seq BIGINT NOT NULL              -- fs_state.published_seq, 0 if there is none
);
INSERT INTO fs_capture(k, is_on, replica_no, published_seq)
VALUES (1, 1, (SELECT number FROM fs_state WHERE name = 'replica_no'),
        coalesce((SELECT number FROM fs_state WHERE name = 'published_seq'), 0));

-- A row here says: the writer is the applier, don't capture and don't check. It is put and taken
-- inside one transaction, so no other process ever sees it.
CREATE VIEW fs_flag AS SELECT k FROM fs_capture WHERE NOT is_on;
CREATE TRIGGER fs_flag_put INSTEAD OF INSERT ON fs_flag
BEGIN
    SELECT RAISE(ABORT, 'fs_flag has its row already') FROM fs_capture WHERE NOT is_on;
    UPDATE fs_capture SET is_on = 0;
END;
CREATE TRIGGER fs_flag_take INSTEAD OF DELETE ON fs_flag
BEGIN
    UPDATE fs_capture SET is_on = 1;
END;

CREATE TRIGGER fs_state_inserted AFTER INSERT ON fs_state
WHEN NEW.name IN ('replica_no', 'published_seq')
BEGIN
    UPDATE fs_capture SET
        replica_no = (SELECT number FROM fs_state WHERE name = 'replica_no'),
        published_seq =
            coalesce((SELECT number FROM fs_state WHERE name = 'published_seq'), 0);
END;
CREATE TRIGGER fs_state_updated AFTER UPDATE ON fs_state
WHEN NEW.name IN ('replica_no', 'published_seq') OR OLD.name IN ('replica_no', 'published_seq')
BEGIN
    UPDATE fs_capture SET
        replica_no = (SELECT number FROM fs_state WHERE name = 'replica_no'),
        published_seq =
            coalesce((SELECT number FROM fs_state WHERE name = 'published_seq'), 0);
END;
CREATE TRIGGER fs_state_deleted AFTER DELETE ON fs_state
WHEN OLD.name IN ('replica_no', 'published_seq')
BEGIN
    UPDATE fs_capture SET
        replica_no = (SELECT number FROM fs_state WHERE name = 'replica_no'),
        published_seq =
            coalesce((SELECT number FROM fs_state WHERE name = 'published_seq'), 0);
END;

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
    -- this machine's clock, microseconds since 1970, UTC: julianday() in whole milliseconds, all it
    -- carries, less those from its epoch to 1970
    edited_at  BIGINT NOT NULL
        DEFAULT (CAST(julianday() * 86400000.0 + 0.5 AS INTEGER) * 1000 - 210866760000000000),
    base_seq   BIGINT NOT NULL,                -- published head that the author could see
    old_bucket BIGINT,                         -- server, D R ?: where the row was
    old_hash   BLOB                            -- server, D R ?: its share of that bucket's digest
);

-- The next free id: replica_no << 33 | counter. A block of n rows takes id, id + 1, ... id + n - 1.
-- NULL as long as the replica has no number.
CREATE VIEW new_id AS
SELECT (SELECT replica_no FROM fs_capture) << 33
       | (coalesce((SELECT lcn FROM fs_outbox ORDER BY lcn DESC LIMIT 1), 0) + 1) AS id;

-- SPDX-License-Identifier: Apache-2.0
-- What a device keeps for the sync beside the rows themselves. Never replicated.
--
-- fs_state (0001) holds here, as number: replica_no, device_id, incarnation, user_id, van_id,
-- published_seq, published_at, published_floor, clock_offset_us, lcn_high, backup_lcn, pruned_at,
-- sealed_lcn (outbox lines up to here have been looked at), seal_no and seal_lcn (of the newest
-- seal); as data: user_login, user_name, series, epoch, resume_token, digest_key, seal_digest.
-- Times are microseconds since 1970, UTC.

-- A seal: outbox lines up to lcn_last, one change a row. Never altered; sent until it is answered,
-- then kept for a while: a server restored from a backup asks again.
CREATE TABLE fs_seal (
    seal_no         INTEGER PRIMARY KEY,     -- from 1, no gap
    incarnation     INTEGER NOT NULL,
    lcn_first       INTEGER NOT NULL,        -- the seals' ranges follow each other without gap
    lcn_last        INTEGER NOT NULL,
    schema_version  INTEGER NOT NULL,
    sealed_at       INTEGER NOT NULL,
    previous_digest BLOB NOT NULL,
    digest          BLOB NOT NULL,
    verdict_at      INTEGER,                 -- NULL: not answered yet
    commit_seq      INTEGER                  -- master's commit that holds it
);
CREATE INDEX fs_seal_open ON fs_seal (seal_no) WHERE verdict_at IS NULL;

-- One row's change in a seal, with the values it had then.
CREATE TABLE fs_seal_change (
    lcn            INTEGER PRIMARY KEY,
    seal_no        INTEGER NOT NULL,
    table_no       INTEGER NOT NULL,
    row_id         INTEGER NOT NULL,
    op             INTEGER NOT NULL,         -- 1 insert, 2 update, 3 delete
    mask           INTEGER NOT NULL,         -- bit n: column n
    base_seq       INTEGER NOT NULL,         -- published head that the author could see
    edited_at      INTEGER NOT NULL,         -- corrected by the clock offset known at the seal
    recorded_at    INTEGER NOT NULL,         -- as this machine's clock said
    data           BLOB NOT NULL,            -- values of the columns in mask
    is_pending     INTEGER NOT NULL DEFAULT 1,
    verdict        TEXT,                     -- applied, merged, overruled, parked, refused, gone
    reason         TEXT,
    merged_into_id INTEGER,
    verdict_at     INTEGER
);
CREATE UNIQUE INDEX fs_seal_change_order ON fs_seal_change (seal_no, table_no, lcn);
CREATE INDEX fs_seal_change_row ON fs_seal_change (table_no, row_id);
CREATE INDEX fs_seal_change_pending ON fs_seal_change (table_no, row_id) WHERE is_pending = 1;
CREATE INDEX fs_seal_change_exception ON fs_seal_change (lcn)
    WHERE verdict IS NOT NULL AND verdict <> 'applied';

-- Changes that can't be sent as they are (a text in a column of numbers): they join the next change
-- of their row.
CREATE TABLE fs_unsendable (
    table_no  INTEGER NOT NULL,
    row_id    INTEGER NOT NULL,
    op        INTEGER NOT NULL,
    mask      INTEGER NOT NULL,
    base_seq  INTEGER NOT NULL,
    edited_at INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (table_no, row_id)
) WITHOUT ROWID;

-- What the server says of columns that an unanswered local edit covers (or of a row that is deleted
-- here), and of rows that should go while they hold unanswered work.
CREATE TABLE fs_shadow (
    table_no  INTEGER NOT NULL,
    row_id    INTEGER NOT NULL,
    as_of     INTEGER NOT NULL,              -- true at this seq of the master
    mask      INTEGER NOT NULL,              -- 0 with gone_kind
    data      BLOB NOT NULL,
    gone_kind INTEGER NOT NULL DEFAULT 0,    -- 1 deleted, 2 left
    PRIMARY KEY (table_no, row_id)
) WITHOUT ROWID;

-- Answered changes that are newer than what is published: images read before them are older.
CREATE TABLE fs_hold (
    table_no   INTEGER NOT NULL,
    row_id     INTEGER NOT NULL,
    commit_seq INTEGER NOT NULL,
    mask       INTEGER NOT NULL,
    is_gone    INTEGER NOT NULL,
    PRIMARY KEY (table_no, row_id, commit_seq)
) WITHOUT ROWID;

-- The buckets of this device.
CREATE TABLE fs_bucket (
    bucket        INTEGER PRIMARY KEY,
    state         INTEGER NOT NULL,          -- 1 subscribed, 2 leaving, 3 arriving
    seq           INTEGER,                   -- cursor; NULL: the published head
    page_table_no INTEGER NOT NULL DEFAULT 0,-- inside a first paging: last table and seq
    page_seq      INTEGER NOT NULL DEFAULT 0,
    page_to       INTEGER NOT NULL DEFAULT 0,
    is_whole      INTEGER NOT NULL DEFAULT 0 -- what is staged is the bucket from nothing
);

-- A delta too large for memory, until it is published.
CREATE TABLE fs_stage_row (
    table_no INTEGER NOT NULL,
    row_id   INTEGER NOT NULL,
    bucket   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    as_of    INTEGER NOT NULL,               -- of a repair: true at this seq; 0: when published
    mask     INTEGER NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (table_no, row_id)
);
CREATE TABLE fs_stage_gone (
    table_no INTEGER NOT NULL,
    row_id   INTEGER NOT NULL,
    bucket   INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (table_no, row_id, bucket, kind)
) WITHOUT ROWID;

-- Rows that a local UNIQUE, CHECK or somebody's trigger refuses; tried again at each publication.
CREATE TABLE fs_quarantine (
    table_no INTEGER NOT NULL,
    row_id   INTEGER NOT NULL,
    mask     INTEGER NOT NULL,
    data     BLOB NOT NULL,
    reason   TEXT NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (table_no, row_id)
);

-- Attachments by the hash of their content; no row: nothing happened yet.
CREATE TABLE fs_blob (
    hash  BLOB NOT NULL PRIMARY KEY,
    state INTEGER NOT NULL                   -- 1 sent, 2 fetched, 3 wanted, 4 unavailable
) WITHOUT ROWID;
CREATE INDEX fs_blob_state ON fs_blob (state);

-- Every change recorded here that is still kept, and what became of it.
CREATE VIEW fs_fate AS
SELECT c.lcn AS lcn, t.name AS table_name, c.row_id AS row_id,
       CASE c.op WHEN 1 THEN 'insert' WHEN 2 THEN 'update' ELSE 'delete' END AS op,
       c.recorded_at AS recorded_at,
       CASE WHEN c.is_pending = 1 THEN 'sealed' ELSE c.verdict END AS fate,
       c.reason AS reason, c.merged_into_id AS merged_into_id, c.verdict_at AS decided_at
FROM fs_seal_change AS c JOIN fs_table AS t ON t.number = c.table_no
UNION ALL
SELECT o.lcn, t.name, o.row_id,
       CASE o.op WHEN 'I' THEN 'insert' WHEN 'D' THEN 'delete' WHEN '?' THEN 'delete'
                 ELSE 'update' END,
       o.edited_at, 'pending', NULL, NULL, NULL
FROM fs_outbox AS o JOIN fs_table AS t ON t.number = o.tbl
WHERE o.op IN ('I', 'U', 'D', '?')
  AND o.lcn > coalesce((SELECT number FROM fs_state WHERE name = 'sealed_lcn'), 0)
UNION ALL
SELECT NULL, t.name, u.row_id, CASE u.op WHEN 1 THEN 'insert' ELSE 'update' END,
       u.edited_at, 'unsendable', u.reason, NULL, NULL
FROM fs_unsendable AS u JOIN fs_table AS t ON t.number = u.table_no;

-- Rows with something unsettled: at most one line for each state of a row.
CREATE VIEW fs_status AS
SELECT table_name, row_id, 'pending' AS state, max(reason) AS reason, min(recorded_at) AS since
FROM fs_fate WHERE fate IN ('pending', 'unsendable') GROUP BY table_name, row_id
UNION ALL
SELECT t.name, c.row_id, 'sealed', NULL, min(c.recorded_at)
FROM fs_seal_change AS c JOIN fs_table AS t ON t.number = c.table_no
WHERE c.is_pending = 1 GROUP BY c.table_no, c.row_id
UNION ALL
SELECT t.name, c.row_id, c.verdict, c.reason, c.verdict_at
FROM fs_seal_change AS c JOIN fs_table AS t ON t.number = c.table_no
WHERE c.verdict IS NOT NULL AND c.verdict <> 'applied' AND c.verdict IN ('parked', 'refused')
  AND NOT EXISTS (SELECT 1 FROM fs_seal_change AS n
                  WHERE n.table_no = c.table_no AND n.row_id = c.row_id AND n.lcn > c.lcn)
UNION ALL
SELECT t.name, q.row_id, 'quarantined', q.reason, q.since
FROM fs_quarantine AS q JOIN fs_table AS t ON t.number = q.table_no;

-- The whole in one line.
CREATE VIEW fs_sync AS
SELECT
    coalesce((SELECT number FROM fs_state WHERE name = 'published_seq'), 0) AS published_seq,
    (SELECT number FROM fs_state WHERE name = 'published_at') AS published_at,
    (SELECT count(*) FROM fs_outbox WHERE op <> '-'
        AND lcn > coalesce((SELECT number FROM fs_state WHERE name = 'sealed_lcn'), 0)) AS unsealed,
    (SELECT count(*) FROM fs_seal_change WHERE is_pending = 1) AS unacknowledged,
    (SELECT count(*) FROM fs_status WHERE state = 'parked') AS parked,
    (SELECT count(*) FROM fs_status WHERE state = 'refused') AS refused,
    (SELECT count(*) FROM fs_unsendable) AS unsendable,
    (SELECT count(*) FROM fs_quarantine) AS quarantined,
    (SELECT count(*) FROM fs_bucket WHERE state = 1) AS buckets,
    coalesce((SELECT number FROM fs_state WHERE name = 'clock_offset_us'), 0) AS clock_offset_us;

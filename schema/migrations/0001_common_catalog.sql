-- The catalog: what the tables are, who may write what, and which rows travel to whom.
--
-- Everything else follows from these rows: capture triggers, wire positions, permission checks.
-- A table is added with CREATE TABLE and rows here, without a line of C. The program reads the
-- catalog once, at open, and refuses to start with one that contradicts itself.
--
-- One dialect for SQLite 3.40 and PostgreSQL 15. SQLite takes only the words INTEGER PRIMARY KEY
-- for its row id; the PostgreSQL runner reads them as BIGINT PRIMARY KEY, and BLOB as BYTEA.

-- A table whose rows are synchronised (or, with is_local = 1, one that never leaves the machine).
CREATE TABLE fs_table (
    number      INTEGER NOT NULL PRIMARY KEY,  -- on the wire; from 1, never used again
    name        TEXT NOT NULL UNIQUE,
    bucket_rule TEXT,      -- terms by comma, first that applies: shared | office | server | given | <kind>:<column> | home:<column>
    merge       TEXT NOT NULL,                 -- append_only | last_writer | server_only: the default of its columns
    delete_rule TEXT NOT NULL,                 -- never | delete_wins | edit_revives | refuse_if_children
    natural_key TEXT,                          -- column names by comma: equal values are the same row
    is_local    INTEGER NOT NULL DEFAULT 0
);

-- A column. The id is number 0 and needs no row here.
CREATE TABLE fs_column (
    table_number INTEGER NOT NULL,
    number       INTEGER NOT NULL,             -- 1 to 62: its bit in masks, never used again
    name         TEXT NOT NULL,
    type         TEXT NOT NULL,                -- integer | real | text | blob
    is_nullable  INTEGER NOT NULL,
    merge        TEXT,                         -- last_writer | write_once | server_only | append_only; NULL: the table's
    group_no     INTEGER,                      -- columns of one group win or lose together; NULL or 0: alone
    refers_to    TEXT,                         -- table whose id it holds
    PRIMARY KEY (table_number, number),
    UNIQUE (table_number, name)
);

-- What a role may do from a device. What isn't here is refused.
CREATE TABLE fs_grant (
    role       TEXT NOT NULL,
    table_name TEXT NOT NULL,
    op         TEXT NOT NULL,                  -- insert | update | delete
    columns    TEXT NOT NULL,                  -- names by comma, or * for all that devices may write
    own_column TEXT,                           -- must hold the author's user id
    PRIMARY KEY (role, table_name, op, columns)
);

-- SELECTs of (kind name, id): the buckets a user of that role receives. ?1 user id, ?2 now.
CREATE TABLE fs_subscription (
    role    TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    sql     TEXT NOT NULL,
    PRIMARY KEY (role, ordinal)
);

-- SELECTs of user ids whose subscription a change of the row ?1 may alter.
CREATE TABLE fs_watch (
    table_name TEXT NOT NULL,
    ordinal    INTEGER NOT NULL,
    sql        TEXT NOT NULL,
    PRIMARY KEY (table_name, ordinal)
);

-- The numbered scripts that made this database.
CREATE TABLE fs_migration (
    name       TEXT NOT NULL PRIMARY KEY,      -- file name without .sql
    applied_at BIGINT NOT NULL,                -- microseconds since 1970, UTC
    digest     TEXT NOT NULL                   -- BLAKE2b-256 of its text, in hex
);

-- Single facts by name: replica_no, published_seq, ...
CREATE TABLE fs_state (
    name   TEXT NOT NULL PRIMARY KEY,
    number BIGINT,
    data   BLOB
);

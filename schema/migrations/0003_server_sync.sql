-- What the server keeps for the sync beside the rows themselves. Never replicated.
-- fs_state (0001) holds: epoch (data), seq (number: newest committed), replica_no (0),
-- replica_no_last (number given last), digest_key (data), backup_seq, published_seq.

-- One enrolled device incarnation chain. psk and tokens are secrets: this file is 0600.
CREATE TABLE fs_replica (
    replica_no        INTEGER PRIMARY KEY,
    device_id         BIGINT NOT NULL,
    user_id           BIGINT NOT NULL,
    static_public_key BLOB NOT NULL,
    sign_public_key   BLOB NOT NULL,
    psk               BLOB NOT NULL,
    token_current     BLOB,             -- resume token: handed out last
    token_previous    BLOB,             -- the one before; good until the current one is presented
    is_current_used   INTEGER NOT NULL DEFAULT 0,
    incarnation       BIGINT NOT NULL DEFAULT 1,
    lcn_high          BIGINT NOT NULL DEFAULT 0,
    seal_high         BIGINT NOT NULL DEFAULT 0,
    seal_digest       BLOB,             -- of the newest applied seal
    backup_lcn        BIGINT NOT NULL DEFAULT 0,
    published_seq     BIGINT NOT NULL DEFAULT 0, -- receipt: what the device has made visible
    state             TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'held', 'revoked')),
    is_wipe           INTEGER NOT NULL DEFAULT 0,
    revoked_at        BIGINT,
    enrolled_at       BIGINT NOT NULL,
    last_seen_at      BIGINT,
    clock_offset_us   BIGINT NOT NULL DEFAULT 0, -- server time minus device time at last contact
    app_version       TEXT,
    device_name       TEXT
);
CREATE UNIQUE INDEX fs_replica_static_public_key ON fs_replica (static_public_key);
CREATE INDEX fs_replica_user ON fs_replica (user_id);

-- Enrolment codes: one use, short life, bound to a person.
CREATE TABLE fs_enrolment (
    token_id   BLOB NOT NULL PRIMARY KEY,
    secret     BLOB,                    -- wiped when used, expired or tried too often
    user_id    BIGINT NOT NULL,
    van_id     BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    tries_left INTEGER NOT NULL DEFAULT 5,
    used_by    BLOB,                    -- static public key of the device that used it
    replica_no BIGINT
);

-- Changes whose answer was not simply "applied"; the rest is applied by lcn <= lcn_high.
CREATE TABLE fs_verdict (
    replica_no     BIGINT NOT NULL,
    incarnation    BIGINT NOT NULL,
    lcn            BIGINT NOT NULL,
    kind           INTEGER NOT NULL,
    reason         TEXT,
    table_no       INTEGER NOT NULL,
    row_id         BIGINT NOT NULL,
    merged_into_id BIGINT,
    PRIMARY KEY (replica_no, incarnation, lcn)
);

-- Parts of a seal too large for one message, until its last part is here.
CREATE TABLE fs_push_part (
    replica_no BIGINT NOT NULL,
    seal_no    BIGINT NOT NULL,
    part_no    BIGINT NOT NULL,
    body       BLOB NOT NULL,
    PRIMARY KEY (replica_no, seal_no, part_no)
);

-- Newest seq of each table in each bucket: says where a feed has anything to read.
CREATE TABLE fs_head (
    bucket   BIGINT NOT NULL,
    table_no INTEGER NOT NULL,          -- 0: tombstones
    seq      BIGINT NOT NULL,
    PRIMARY KEY (bucket, table_no)
);
CREATE INDEX fs_head_seq ON fs_head (seq);

-- Contents digest of each bucket: sum of its rows' hashes modulo 2^128, little-endian.
CREATE TABLE fs_bucket (
    bucket    INTEGER PRIMARY KEY,
    digest    BLOB NOT NULL,
    row_count BIGINT NOT NULL,
    tomb_low  BIGINT NOT NULL DEFAULT 0 -- low-water mark: tombstones up to here are gone
);

-- Rows that were deleted (kind 1) or moved to another bucket (kind 2).
CREATE TABLE fs_tomb (
    bucket   BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    table_no INTEGER NOT NULL,
    row_id   BIGINT NOT NULL,
    kind     INTEGER NOT NULL,
    PRIMARY KEY (bucket, seq, table_no, row_id)
);
CREATE INDEX fs_tomb_row ON fs_tomb (table_no, row_id);

-- Who was entitled to which bucket, when: from_seq is in, to_seq is out, NULL is now.
CREATE TABLE fs_entitlement (
    user_id  BIGINT NOT NULL,
    bucket   BIGINT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq   BIGINT,
    PRIMARY KEY (user_id, bucket, from_seq)
);
CREATE INDEX fs_entitlement_bucket ON fs_entitlement (bucket);

-- Who did what that matters for security: refusals, enrolments, revocations. Append only.
CREATE TABLE fs_audit (
    id          INTEGER PRIMARY KEY,
    occurred_at BIGINT NOT NULL,
    event       TEXT NOT NULL,
    user_id     BIGINT,
    replica_no  BIGINT,
    detail      TEXT
);

-- SPDX-License-Identifier: Apache-2.0
-- What makes a signed report provable (docs/EVIDENCE.md): the seal, which its device writes beside
-- the signature, and the server's receipt for it. Tables of their own: rows that exist keep their
-- hashes, and what is personal can be destroyed without touching what was signed.

-- Exactly the bytes that the device's key signed, and the salt that its hashes were made with. They
-- hold opaque ids, times and salted hashes only: without the salt nothing in them leads to a person.
CREATE TABLE report_seal (
    id           INTEGER PRIMARY KEY,
    signature_id BIGINT NOT NULL,
    device_id    BIGINT NOT NULL,
    chain_n      BIGINT NOT NULL,   -- from 1, without gap, a number a signature of the device
    sealed       TEXT NOT NULL,
    salt         BLOB,              -- 16 random bytes; none: destroyed
    home         BIGINT,            -- bucket, filled by triggers
    UNIQUE (signature_id),
    FOREIGN KEY (signature_id) REFERENCES signature (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_report_seal_chain ON report_seal (device_id, chain_n);

-- The server's word that it had the sealed report, when and as which change, and what it thought of
-- key and chain. The device keeps it: a server that changes a report later is contradicted by it.
CREATE TABLE report_receipt (
    id               INTEGER PRIMARY KEY,
    signature_id     BIGINT NOT NULL,
    report_hash      TEXT NOT NULL,     -- BLAKE2b-256 of the sealed bytes, hexadecimal
    device_id        BIGINT NOT NULL,
    device_key       TEXT,              -- Ed25519 public key it was checked with, hexadecimal
    chain_n          BIGINT NOT NULL,
    finding          TEXT NOT NULL,     -- 'good', 'wrong_key', 'not_these_rows', 'gap', 'fork'
    seq_n            BIGINT NOT NULL,   -- of the signature in the server's order
    received_at      BIGINT NOT NULL,   -- as the server's clock said
    server_key       TEXT NOT NULL,     -- Ed25519 public key of the server's reports, hexadecimal
    server_signature BLOB NOT NULL,
    home             BIGINT,            -- bucket, filled by triggers
    UNIQUE (signature_id),
    FOREIGN KEY (signature_id) REFERENCES signature (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_report_receipt_chain ON report_receipt (device_id, chain_n);

INSERT INTO fs_table (number, name, bucket_rule, merge, delete_rule, natural_key) VALUES
    (91, 'report_seal',    'home:signature_id', 'append_only', 'never', 'signature_id'),
    (92, 'report_receipt', 'home:signature_id', 'server_only', 'never', 'signature_id');

-- report_seal
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (91, 1, 'signature_id', 'integer', 0, NULL,          0, 'signature'),
    (91, 2, 'device_id',    'integer', 0, NULL,          0, 'device'),
    (91, 3, 'chain_n',      'integer', 0, NULL,          0, NULL),
    (91, 4, 'sealed',       'text',    0, NULL,          0, NULL),
    (91, 5, 'salt',         'blob',    1, NULL,          0, NULL),
    (91, 6, 'home',         'integer', 1, 'server_only', 0, NULL);
INSERT INTO fs_grant (role, table_name, op, columns, own_column) VALUES
    ('technician', 'report_seal', 'insert', '*', NULL),
    ('warehouse', 'report_seal', 'insert', '*', NULL);

-- report_receipt
INSERT INTO fs_column
    (table_number, number, name, type, is_nullable, merge, group_no, refers_to) VALUES
    (92,  1, 'signature_id',     'integer', 0, NULL, 0, 'signature'),
    (92,  2, 'report_hash',      'text',    0, NULL, 0, NULL),
    (92,  3, 'device_id',        'integer', 0, NULL, 0, 'device'),
    (92,  4, 'device_key',       'text',    1, NULL, 0, NULL),
    (92,  5, 'chain_n',          'integer', 0, NULL, 0, NULL),
    (92,  6, 'finding',          'text',    0, NULL, 0, NULL),
    (92,  7, 'seq_n',            'integer', 0, NULL, 0, NULL),
    (92,  8, 'received_at',      'integer', 0, NULL, 0, NULL),
    (92,  9, 'server_key',       'text',    0, NULL, 0, NULL),
    (92, 10, 'server_signature', 'blob',    0, NULL, 0, NULL),
    (92, 11, 'home',             'integer', 1, NULL, 0, NULL);

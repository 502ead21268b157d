-- SPDX-License-Identifier: Apache-2.0
-- Signatures that came and have no receipt yet: written by the rule that follows the row, taken out
-- when somebody who holds the server's report key has signed. Never replicated.
CREATE TABLE fs_receipt_wanted (
    signature_id INTEGER PRIMARY KEY
);

-- The audit log becomes a chain: each line carries a hash over itself and the line before. Whoever
-- adds a line leaves `hash` empty; the end of the transaction's group fills it. Nothing is ever
-- changed or taken out, by nobody who keeps to SQL; who goes around it breaks the chain.
ALTER TABLE fs_audit ADD COLUMN hash TEXT; -- BLAKE2b-256, hexadecimal; none: not closed yet
CREATE INDEX fs_audit_open ON fs_audit (id) WHERE hash IS NULL;
CREATE TRIGGER fs_audit_added AFTER INSERT ON fs_audit
WHEN NEW.hash IS NOT NULL OR NEW.id < (SELECT max(id) FROM fs_audit)
BEGIN
    SELECT RAISE(ABORT, 'fs_audit: a line goes to the end, without a hash');
END;
CREATE TRIGGER fs_audit_changed BEFORE UPDATE ON fs_audit
WHEN OLD.hash IS NOT NULL OR NEW.hash IS NULL OR NEW.id IS NOT OLD.id
    OR NEW.occurred_at IS NOT OLD.occurred_at OR NEW.event IS NOT OLD.event
    OR NEW.user_id IS NOT OLD.user_id OR NEW.replica_no IS NOT OLD.replica_no
    OR NEW.detail IS NOT OLD.detail
BEGIN
    SELECT RAISE(ABORT, 'fs_audit: lines are never changed');
END;
CREATE TRIGGER fs_audit_removed BEFORE DELETE ON fs_audit
BEGIN
    SELECT RAISE(ABORT, 'fs_audit: lines are never removed');
END;

-- Once a day: the Merkle root over the lines since the one before, receipts among them, signed with
-- the report key. Who has seen one holds the server to everything up to it.
CREATE TABLE fs_root (
    id               INTEGER PRIMARY KEY,
    made_at          BIGINT NOT NULL,
    audit_after      BIGINT NOT NULL, -- lines above this one
    audit_to         BIGINT NOT NULL, -- up to and with this one
    line_count       BIGINT NOT NULL,
    root             TEXT NOT NULL,   -- hexadecimal
    chain            TEXT NOT NULL,   -- hash of the line audit_to
    server_key       TEXT NOT NULL,
    server_signature BLOB NOT NULL
);

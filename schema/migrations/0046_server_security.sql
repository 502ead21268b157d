-- SPDX-License-Identifier: Apache-2.0
-- Devices that nobody has confirmed yet, keys that are being exchanged, and what revoked devices
-- have left behind. Never replicated.

-- 0: enrolled with a code that asks for it, and not confirmed yet: it gets and brings nothing.
ALTER TABLE fs_replica ADD COLUMN is_confirmed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE fs_enrolment ADD COLUMN is_confirmed INTEGER NOT NULL DEFAULT 1;

-- The device's next key pair and psk: valid beside the others until a session began with them.
ALTER TABLE fs_replica ADD COLUMN next_public_key BLOB;
ALTER TABLE fs_replica ADD COLUMN next_psk BLOB;
ALTER TABLE fs_replica ADD COLUMN keys_changed_at BIGINT;            -- NULL: those of the enrolment
ALTER TABLE fs_replica ADD COLUMN is_rotation_asked INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX fs_replica_next_public_key ON fs_replica (next_public_key)
    WHERE next_public_key IS NOT NULL;

-- Seals that a revoked device still had, as it sent them (PUSH bodies), until a person decides.
CREATE TABLE fs_quarantine (
    replica_no   BIGINT NOT NULL,
    incarnation  BIGINT NOT NULL,
    seal_no      BIGINT NOT NULL,
    part_no      BIGINT NOT NULL,
    is_last      INTEGER NOT NULL,
    body         BLOB NOT NULL,
    digest       BLOB NOT NULL,         -- of the seal: a repetition is the same one
    change_count BIGINT NOT NULL,       -- in this part
    sealed_at    BIGINT NOT NULL,
    received_at  BIGINT NOT NULL,
    decided_at   BIGINT,                -- NULL: it waits
    decision     TEXT CHECK (decision IN ('released', 'dropped')),
    PRIMARY KEY (replica_no, incarnation, seal_no, part_no)
);

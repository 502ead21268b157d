/* SPDX-License-Identifier: Apache-2.0 */
-- Returns, delivery notes and signatures.
--
-- Customers' goods that come in for repair, the papers that travel with goods, and what people
-- sign.

-- An authorised return. Goods without one go to quarantine. The state is folded from
-- rma_event.
CREATE TABLE rma (
    id            INTEGER PRIMARY KEY,
    number_text   TEXT UNIQUE,
    party_id      BIGINT NOT NULL,
    call_id       BIGINT,
    action        TEXT,                              -- 'repair', 'replace', 'credit', 'scrap',
                                                     -- 'return_as_is'
    reason        TEXT,
    by_id         BIGINT,
    authorised_at BIGINT,
    expires_d     TEXT,
    state         TEXT NOT NULL DEFAULT 'requested', -- 'requested', 'authorised', 'part_received',
                                                     -- 'received', 'diagnosed', 'repairing',
                                                     -- 'ready', 'part_shipped', 'shipped',
                                                     -- 'credited', 'scrapped', 'refused',
                                                     -- 'expired', 'closed'
    home          BIGINT,                            -- bucket, filled by triggers
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_rma_party ON rma (party_id);
CREATE INDEX ix_rma_call ON rma (call_id) WHERE call_id IS NOT NULL;

-- One kind of goods of a return.
CREATE TABLE rma_line (
    id          INTEGER PRIMARY KEY,
    rma_id      BIGINT NOT NULL,
    asset_id    BIGINT,
    item_id     BIGINT,
    serial_text TEXT,                -- as on the unit; what goes out must be what came in
    quantity_m  BIGINT NOT NULL,     -- thousandths of the unit
    fault       TEXT,
    verdict     TEXT,                -- 'warranty', 'paid', 'beyond_repair'
    home        BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (rma_id) REFERENCES rma (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_rma_line_rma ON rma_line (rma_id);

-- Something that happened to a return, perhaps to some of its goods.
CREATE TABLE rma_event (
    id          INTEGER PRIMARY KEY,
    rma_id      BIGINT NOT NULL,
    kind        TEXT NOT NULL,       -- 'authorise', 'refuse', 'receive', 'diagnose', 'repair',
                                     -- 'done', 'ship', 'replace', 'credit', 'scrap', 'expire',
                                     -- 'close'
    base_state  TEXT,                -- the state its author saw
    rma_line_id BIGINT,
    quantity_m  BIGINT,              -- thousandths: how much of the line
    occurred_at BIGINT NOT NULL,
    by_id       BIGINT,              -- none: the server
    device_id   BIGINT,
    reason      TEXT,
    by_roles    TEXT,                -- roles of by_id when the server took it, by comma
    accepted_n  BIGINT,              -- order in which the server took the events of one object;
                                     -- none: not yet
    home        BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (rma_id) REFERENCES rma (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (rma_line_id) REFERENCES rma_line (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_rma_event_rma ON rma_event (rma_id);

-- A delivery note, in or out. Its legal number is series and number_n, which a technician's
-- device takes from its own series; once issued nothing of it changes, and voided numbers stay
-- in the register.
CREATE TABLE goods_document (
    id                   INTEGER PRIMARY KEY,
    direction            TEXT NOT NULL,                 -- 'in', 'out'
    series               TEXT,                          -- the document's number is series and
                                                        -- number_n together
    number_n             BIGINT,
    document_d           TEXT,
    party_id             BIGINT NOT NULL,               -- recipient, or sender of an inbound one
    site_id              BIGINT,                        -- destination
    location_id          BIGINT,                        -- van or warehouse that is loaded, where no
                                                        -- site is concerned
    reason               TEXT NOT NULL,                 -- 'sale', 'account_repair',
                                                        -- 'return_from_repair', 'loan', 'transfer',
                                                        -- 'scrap'
    carrier              TEXT,
    packages_n           BIGINT,
    weight_m             BIGINT,                        -- thousandths of a kg
    appearance           TEXT,                          -- 'two boxes'
    incoterm             TEXT,
    transport_started_at BIGINT,
    inbound_text         TEXT,                          -- number and date of the document the goods
                                                        -- came in with
    state                TEXT NOT NULL DEFAULT 'draft', -- 'draft', 'issued', 'delivered', 'billed',
                                                        -- 'void', 'discarded'
    rma_id               BIGINT,
    call_id              BIGINT,
    by_id                BIGINT NOT NULL,
    home                 BIGINT,                        -- bucket, filled by triggers
    CHECK (state IN ('draft', 'discarded')
        OR (number_n IS NOT NULL AND document_d IS NOT NULL)),
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (rma_id) REFERENCES rma (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_goods_document_number ON goods_document (series, number_n)
    WHERE number_n IS NOT NULL AND direction = 'out';
CREATE INDEX ix_goods_document_call ON goods_document (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX ix_goods_document_rma ON goods_document (rma_id) WHERE rma_id IS NOT NULL;

-- A person's signature on exactly one content: the strokes, who signed, and the digest of what
-- was shown. The device's key signs it all and chains it to the device's previous signature,
-- so a later change of the work shows. A refusal to sign is recorded too.
CREATE TABLE signature (
    id                INTEGER PRIMARY KEY,
    activity_id       BIGINT,
    goods_document_id BIGINT,
    document_kind     TEXT NOT NULL,             -- 'report', 'quote', 'goods_document'
    version_n         BIGINT NOT NULL DEFAULT 1, -- 2 and up: signed again after a change
    document_hash     TEXT NOT NULL,             -- BLAKE2b-256 of the canonical content,
                                                 -- hexadecimal
    signer_name       TEXT NOT NULL,
    signer_role       TEXT,
    signed_at         BIGINT NOT NULL,
    strokes           BLOB,                      -- points with time and pressure; none when refused
    refused_reason    TEXT,
    amount_cents      BIGINT,                    -- the total that was shown
    by_id             BIGINT NOT NULL,
    device_id         BIGINT NOT NULL,
    key_signature     BLOB,                      -- Ed25519 by the device
    previous_hash     TEXT,                      -- of the device's signature before this one,
                                                 -- hexadecimal
    home              BIGINT,                    -- bucket, filled by triggers
    CHECK (activity_id IS NOT NULL OR goods_document_id IS NOT NULL),
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (goods_document_id) REFERENCES goods_document (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_signature_activity ON signature (activity_id) WHERE activity_id IS NOT NULL;
CREATE INDEX ix_signature_goods_document ON signature (goods_document_id)
    WHERE goods_document_id IS NOT NULL;

-- One line of a delivery note.
CREATE TABLE goods_line (
    id          INTEGER PRIMARY KEY,
    document_id BIGINT NOT NULL,
    item_id     BIGINT,
    description TEXT NOT NULL,
    serial_text TEXT,
    quantity_m  BIGINT NOT NULL,     -- thousandths of the unit
    rma_line_id BIGINT,
    move_id     BIGINT,              -- the movement it papers
    home        BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (document_id) REFERENCES goods_document (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (rma_line_id) REFERENCES rma_line (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (move_id) REFERENCES stock_move (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_goods_line_document ON goods_line (document_id);

-- A delivery note was issued, delivered, discarded or voided. Its state follows from these.
CREATE TABLE goods_document_event (
    id          INTEGER PRIMARY KEY,
    document_id BIGINT NOT NULL,
    kind        TEXT NOT NULL,       -- 'issue', 'deliver', 'bill', 'discard', 'void'
    base_state  TEXT,
    occurred_at BIGINT NOT NULL,
    by_id       BIGINT,              -- none: the server
    device_id   BIGINT,
    reason      TEXT,
    by_roles    TEXT,                -- roles of by_id when the server took it, by comma
    accepted_n  BIGINT,              -- order in which the server took the events of one object;
                                     -- none: not yet
    home        BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (document_id) REFERENCES goods_document (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_goods_document_event_document ON goods_document_event (document_id);

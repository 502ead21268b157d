/* SPDX-License-Identifier: Apache-2.0 */
-- Quotes, orders, charges and invoices.
--
-- From the offer to the invoice. Office roles only, but for the quote that a technician is
-- drafting or has to show.

-- An offer. While a technician drafts it or is to show it to the customer he is its presenter,
-- and it is on his device; otherwise it is with the customer's commercial papers. Frozen when
-- sent: a change is a new revision. The state is folded from quote_event.
CREATE TABLE quote (
    id                    INTEGER PRIMARY KEY,
    number_text           TEXT,
    revision_n            BIGINT NOT NULL DEFAULT 1,
    party_id              BIGINT NOT NULL,
    site_id               BIGINT,
    call_id               BIGINT,
    rma_id                BIGINT,
    presenter_id          BIGINT,
    by_id                 BIGINT NOT NULL,
    valid_d               TEXT,                          -- last day to accept
    discount_bp           BIGINT NOT NULL DEFAULT 0,     -- on the whole document, before VAT
    state                 TEXT NOT NULL DEFAULT 'draft', -- 'draft', 'sent', 'accepted', 'ordered',
                                                         -- 'invoiced', 'rejected', 'expired',
                                                         -- 'superseded'
    total_cents           BIGINT,                        -- frozen when sent
    accepted_at           BIGINT,
    accepted_signature_id BIGINT,
    previous_id           BIGINT,                        -- the revision before
    CHECK (discount_bp BETWEEN 0 AND 10000),
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (rma_id) REFERENCES rma (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (presenter_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (accepted_signature_id) REFERENCES signature (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (previous_id) REFERENCES quote (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_quote_number ON quote (number_text, revision_n)
    WHERE number_text IS NOT NULL;
CREATE INDEX ix_quote_call ON quote (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX ix_quote_party ON quote (party_id);

-- One line of a quote. Editable until the quote is sent.
CREATE TABLE quote_line (
    id               INTEGER PRIMARY KEY,
    quote_id         BIGINT NOT NULL,
    kind             TEXT NOT NULL,             -- 'labour', 'part', 'km', 'callout', 'expense',
                                                -- 'other'
    item_id          BIGINT,
    activity_type_id BIGINT,
    description      TEXT NOT NULL,
    quantity_m       BIGINT NOT NULL,           -- thousandths of the unit
    price_e4         BIGINT NOT NULL,
    discount_bp      BIGINT NOT NULL DEFAULT 0,
    vat_id           BIGINT NOT NULL,
    covered_bp       BIGINT NOT NULL DEFAULT 0, -- share that warranty or contract pays
    cover_reason     TEXT,
    home             BIGINT,                    -- bucket, filled by triggers
    CHECK (covered_bp BETWEEN 0 AND 10000 AND discount_bp BETWEEN 0 AND 10000),
    FOREIGN KEY (quote_id) REFERENCES quote (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_type_id) REFERENCES activity_type (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (vat_id) REFERENCES vat (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_quote_line_quote ON quote_line (quote_id);

-- A quote was sent, accepted, rejected, expired or revised. Its state follows from these.
CREATE TABLE quote_event (
    id           INTEGER PRIMARY KEY,
    quote_id     BIGINT NOT NULL,
    kind         TEXT NOT NULL,       -- 'send', 'accept', 'reject', 'expire', 'revise', 'order',
                                      -- 'invoice'
    base_state   TEXT,
    revision_n   BIGINT NOT NULL,     -- the revision its author saw
    signature_id BIGINT,              -- of 'accept'
    occurred_at  BIGINT NOT NULL,
    by_id        BIGINT,              -- none: the server
    device_id    BIGINT,
    reason       TEXT,
    by_roles     TEXT,                -- roles of by_id when the server took it, by comma
    accepted_n   BIGINT,              -- order in which the server took the events of one object;
                                      -- none: not yet
    home         BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (quote_id) REFERENCES quote (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (signature_id) REFERENCES signature (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_quote_event_quote ON quote_event (quote_id);

-- The order that an accepted quote became: one each, however often it is accepted.
CREATE TABLE sales_order (
    id          INTEGER PRIMARY KEY,
    number_text TEXT NOT NULL UNIQUE,
    quote_id    BIGINT NOT NULL,
    party_id    BIGINT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'open', -- 'open', 'delivered', 'invoiced', 'cancelled'
    UNIQUE (quote_id),
    FOREIGN KEY (quote_id) REFERENCES quote (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED
);

-- One line of an order.
CREATE TABLE sales_order_line (
    id            INTEGER PRIMARY KEY,
    order_id      BIGINT NOT NULL,
    quote_line_id BIGINT,
    quantity_m    BIGINT NOT NULL,     -- thousandths of the unit
    home          BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (order_id) REFERENCES sales_order (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (quote_line_id) REFERENCES quote_line (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_sales_order_line_order ON sales_order_line (order_id);

-- An amount to bill, computed from a fact: one row per fact, kind and part, with the rule that
-- made it. Gross is covered plus net, always.
CREATE TABLE charge (
    id               INTEGER PRIMARY KEY,
    source_kind      TEXT NOT NULL,               -- table of the fact: 'work_session', 'trip',
                                                  -- 'part_use', 'expense', 'activity', 'message',
                                                  -- ...
    source_id        BIGINT NOT NULL,             -- the fact
    part_n           BIGINT NOT NULL DEFAULT 0,   -- when one fact gives several amounts
    call_id          BIGINT NOT NULL,
    activity_id      BIGINT,
    party_id         BIGINT NOT NULL,             -- who pays
    kind             TEXT NOT NULL,               -- 'labour', 'travel_time', 'km', 'callout',
                                                  -- 'part', 'expense'
    quantity_m       BIGINT NOT NULL,             -- thousandths of hour, km or unit
    price_e4         BIGINT NOT NULL,
    discount_bp      BIGINT NOT NULL DEFAULT 0,
    gross_cents      BIGINT NOT NULL,
    covered_cents    BIGINT NOT NULL DEFAULT 0,
    net_cents        BIGINT NOT NULL,
    vat_id           BIGINT NOT NULL,
    warranty_id      BIGINT,                      -- what paid the covered part
    coverage_rule_id BIGINT,
    cover_reason     TEXT,                        -- printed on the report
    state            TEXT NOT NULL DEFAULT 'new', -- 'new', 'approved', 'waived', 'billed'
    trace            TEXT NOT NULL,               -- rate and rule rows it was computed with, JSON
                                                  -- text
    generation_n     BIGINT NOT NULL DEFAULT 0,   -- rises when facts come after billing
    CHECK (covered_cents + net_cents = gross_cents),
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (vat_id) REFERENCES vat (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (warranty_id) REFERENCES warranty (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (coverage_rule_id) REFERENCES coverage_rule (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_charge ON charge (source_kind, source_id, kind, part_n, generation_n);
CREATE INDEX ix_charge_call ON charge (call_id);

-- An invoice or credit note. Immutable once issued; its number is given by the server, without
-- gaps.
CREATE TABLE invoice (
    id                 INTEGER PRIMARY KEY,
    kind               TEXT NOT NULL,                 -- 'invoice', 'credit_note', 'fee'
    document_type_code TEXT NOT NULL,                 -- of the e-invoice: TD01, TD04, TD24
    series             TEXT,
    number_n           BIGINT,
    document_d         TEXT,
    due_d              TEXT,
    party_id           BIGINT NOT NULL,
    state              TEXT NOT NULL DEFAULT 'draft', -- 'draft', 'blocked', 'clear', 'issued',
                                                      -- 'sent', 'delivered', 'undelivered',
                                                      -- 'rejected', 'credited'
    discount_bp        BIGINT NOT NULL DEFAULT 0,     -- on the whole document, before VAT
    total_cents        BIGINT,
    stamp_cents        BIGINT,
    withholding_cents  BIGINT,
    payable_cents      BIGINT,
    refers_to_id       BIGINT,                        -- of a credit note: what it credits
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (refers_to_id) REFERENCES invoice (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_invoice_number ON invoice (series, number_n) WHERE number_n IS NOT NULL;
CREATE INDEX ix_invoice_party ON invoice (party_id);

-- One line of an invoice. It has a source, and a source is on one live line only.
CREATE TABLE invoice_line (
    id             INTEGER PRIMARY KEY,
    invoice_id     BIGINT NOT NULL,
    charge_id      BIGINT,
    bill_period_id BIGINT,
    order_line_id  BIGINT,
    goods_line_id  BIGINT,
    description    TEXT NOT NULL,
    quantity_m     BIGINT NOT NULL,            -- thousandths of the unit
    price_e4       BIGINT NOT NULL,
    discount_bp    BIGINT NOT NULL DEFAULT 0,
    net_cents      BIGINT NOT NULL,
    vat_id         BIGINT NOT NULL,
    is_void        INTEGER NOT NULL DEFAULT 0, -- its source is free again
    home           BIGINT,                     -- bucket, filled by triggers
    CHECK (charge_id IS NOT NULL OR bill_period_id IS NOT NULL OR order_line_id IS NOT NULL
        OR goods_line_id IS NOT NULL),
    FOREIGN KEY (invoice_id) REFERENCES invoice (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (charge_id) REFERENCES charge (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (bill_period_id) REFERENCES bill_period (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (order_line_id) REFERENCES sales_order_line (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (goods_line_id) REFERENCES goods_line (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (vat_id) REFERENCES vat (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_invoice_line_charge ON invoice_line (charge_id)
    WHERE charge_id IS NOT NULL AND is_void = 0;
CREATE UNIQUE INDEX ux_invoice_line_period ON invoice_line (bill_period_id)
    WHERE bill_period_id IS NOT NULL AND is_void = 0;
CREATE INDEX ix_invoice_line_invoice ON invoice_line (invoice_id);

-- Taxable amount and tax of one VAT code on an invoice.
CREATE TABLE invoice_vat (
    id            INTEGER PRIMARY KEY,
    invoice_id    BIGINT NOT NULL,
    vat_id        BIGINT NOT NULL,
    taxable_cents BIGINT NOT NULL,
    tax_cents     BIGINT NOT NULL,
    home          BIGINT,              -- bucket, filled by triggers
    UNIQUE (invoice_id, vat_id),
    FOREIGN KEY (invoice_id) REFERENCES invoice (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (vat_id) REFERENCES vat (id) DEFERRABLE INITIALLY DEFERRED
);

-- The result of one check before issuing; each run of the checks writes new rows, and so does
-- an override with name and reason.
CREATE TABLE invoice_check (
    id              INTEGER PRIMARY KEY,
    invoice_id      BIGINT NOT NULL,
    run_n           BIGINT NOT NULL,     -- 1 for the first run
    code            TEXT NOT NULL,       -- C01 to C37
    severity        TEXT NOT NULL,       -- 'block', 'warn'
    is_pass         INTEGER NOT NULL,
    detail          TEXT,
    override_by_id  BIGINT,
    override_reason TEXT,
    occurred_at     BIGINT NOT NULL,
    home            BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (invoice_id) REFERENCES invoice (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (override_by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_invoice_check_invoice ON invoice_check (invoice_id);

-- A revenue (plus) or cost (minus) of a job or a contract. Margins are sums of these.
CREATE TABLE cost_entry (
    id           INTEGER PRIMARY KEY,
    job_id       BIGINT,
    contract_id  BIGINT,
    kind         TEXT NOT NULL,       -- 'revenue', 'fee', 'labour', 'travel', 'part', 'km',
                                      -- 'expense', 'covered'
    amount_cents BIGINT NOT NULL,     -- plus: revenue; minus: cost
    source_kind  TEXT NOT NULL,       -- table of the row it follows from
    source_id    BIGINT NOT NULL,
    entry_d      TEXT NOT NULL,
    FOREIGN KEY (job_id) REFERENCES job (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (contract_id) REFERENCES contract (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_cost_entry_job ON cost_entry (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX ix_cost_entry_contract ON cost_entry (contract_id) WHERE contract_id IS NOT NULL;

-- What a job brought in less what it cost. Empty on a device: costs never leave the server.
CREATE VIEW job_margin AS
SELECT job_id, CAST(SUM(amount_cents) AS BIGINT) AS margin_cents
FROM cost_entry
GROUP BY job_id;

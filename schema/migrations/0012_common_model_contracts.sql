/* SPDX-License-Identifier: Apache-2.0 */
-- Installed base and contracts.
--
-- The machines, plants and software the company looks after, who pays for what and until when.

-- A type of machine, plant or software product.
CREATE TABLE asset_model (
    id                       INTEGER PRIMARY KEY,
    code                     TEXT NOT NULL UNIQUE,
    name                     TEXT NOT NULL,
    nature                   TEXT NOT NULL,        -- 'machine', 'plant', 'software'
    maker                    TEXT,
    category                 TEXT,
    warranty_parts_months_n  BIGINT,               -- granted at delivery
    warranty_labour_months_n BIGINT,
    item_id                  BIGINT,               -- the good that becomes an asset when delivered
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);

-- One serviced object. Serial numbers are compared in normalised form (capitals and digits
-- only); a second row of the same serial stays, marked as a duplicate, until a person decides.
CREATE TABLE asset (
    id                INTEGER PRIMARY KEY,
    model_id          BIGINT NOT NULL,
    serial            TEXT,                           -- as written on the plate
    serial_normalised TEXT,                           -- 'ab-12 34' is AB1234
    site_id           BIGINT,
    owner_id          BIGINT NOT NULL,
    end_user_id       BIGINT,
    parent_id         BIGINT,                         -- the plant it is part of
    position          TEXT,                           -- where on the site
    version           TEXT,                           -- of software or firmware
    installed_d       TEXT,
    retired_d         TEXT,
    state             TEXT NOT NULL DEFAULT 'active', -- 'active', 'retired', 'scrapped',
                                                      -- 'in_repair'
    duplicate_of_id   BIGINT,
    CHECK (duplicate_of_id IS NULL OR duplicate_of_id <> id),
    FOREIGN KEY (model_id) REFERENCES asset_model (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (owner_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (end_user_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (parent_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (duplicate_of_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_asset_serial ON asset (model_id, serial_normalised)
    WHERE serial_normalised IS NOT NULL AND duplicate_of_id IS NULL;
CREATE INDEX ix_asset_site ON asset (site_id);
CREATE INDEX ix_asset_serial ON asset (serial_normalised) WHERE serial_normalised IS NOT NULL;
CREATE INDEX ix_asset_parent ON asset (parent_id) WHERE parent_id IS NOT NULL;

-- A warranty of one asset. Whether it holds today is computed from the dates, never stored.
CREATE TABLE warranty (
    id         INTEGER PRIMARY KEY,
    asset_id   BIGINT NOT NULL,
    origin     TEXT NOT NULL,              -- 'sale', 'maker', 'repair', 'goodwill'
    from_d     TEXT NOT NULL,
    to_d       TEXT NOT NULL,              -- last day
    has_parts  INTEGER NOT NULL DEFAULT 1,
    has_labour INTEGER NOT NULL DEFAULT 1,
    has_travel INTEGER NOT NULL DEFAULT 0,
    home       BIGINT,                     -- bucket, filled by triggers
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_warranty_asset ON warranty (asset_id);

-- A set of rules about what a contract pays for.
CREATE TABLE coverage (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL,
    basis TEXT NOT NULL DEFAULT 'opened'  -- day that decides: 'opened' of the call, 'work'
);

-- One rule of a coverage: how much of which charge, up to what.
CREATE TABLE coverage_rule (
    id            INTEGER PRIMARY KEY,
    coverage_id   BIGINT NOT NULL,
    charge_kind   TEXT NOT NULL,       -- 'labour', 'travel_time', 'km', 'callout', 'part',
                                       -- 'expense'
    item_category TEXT,                -- parts of this category only
    time_band_id  BIGINT,              -- labour in this band only
    covered_bp    BIGINT NOT NULL,     -- 10000: all of it
    cap_cents     BIGINT,              -- at most so much money
    cap_m         BIGINT,              -- at most such a quantity, in thousandths
    cap_per       TEXT,                -- the cap's span: 'visit', 'call', 'year', 'contract'
    CHECK (covered_bp BETWEEN 0 AND 10000),
    FOREIGN KEY (coverage_id) REFERENCES coverage (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (time_band_id) REFERENCES time_band (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_coverage_rule_coverage ON coverage_rule (coverage_id);

-- A service contract. Technicians of its customer see that it exists and what it covers; its
-- money is in contract_fee. The state is folded from contract_event.
CREATE TABLE contract (
    id             INTEGER PRIMARY KEY,
    number_text    TEXT UNIQUE,
    party_id       BIGINT NOT NULL,
    site_id        BIGINT,                        -- when it is for one site only
    name           TEXT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'draft', -- 'draft', 'signed', 'active', 'suspended',
                                                  -- 'to_renew', 'ending', 'ended', 'terminated'
    start_d        TEXT NOT NULL,
    end_d          TEXT,                          -- last day; none: open-ended
    renew_mode     TEXT NOT NULL DEFAULT 'none',  -- 'auto', 'manual', 'none'
    renew_months_n BIGINT,
    notice_days_n  BIGINT,
    sla_id         BIGINT,
    job_id         BIGINT,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (sla_id) REFERENCES sla (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (job_id) REFERENCES job (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_contract_party ON contract (party_id);

-- One thing a contract gives: a periodic fee, prepaid minutes, an asset group. A changed line
-- is a new one that succeeds the old.
CREATE TABLE contract_line (
    id              INTEGER PRIMARY KEY,
    contract_id     BIGINT NOT NULL,
    kind            TEXT NOT NULL,                -- 'fee', 'prepaid', 'per_asset', 'usage'
    name            TEXT NOT NULL,
    period_months_n BIGINT NOT NULL,              -- length of a billing period
    anchor_n        BIGINT NOT NULL,              -- day of month that periods are counted from
    is_advance      INTEGER NOT NULL DEFAULT 1,   -- billed at the start of the period
    prorate         TEXT NOT NULL DEFAULT 'days', -- part periods: 'days', 'none'
    start_d         TEXT NOT NULL,
    end_d           TEXT,
    succeeded_by_id BIGINT,
    allowance_min   BIGINT,                       -- prepaid minutes a period
    home            BIGINT,                       -- bucket, filled by triggers
    FOREIGN KEY (contract_id) REFERENCES contract (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (succeeded_by_id) REFERENCES contract_line (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_contract_line_contract ON contract_line (contract_id);

-- What a contract line costs from a day on; a new price is a new row.
CREATE TABLE contract_fee (
    id             INTEGER PRIMARY KEY,
    line_id        BIGINT NOT NULL,
    party_id       BIGINT NOT NULL,     -- the contract's customer, repeated to place the row
    from_d         TEXT NOT NULL,
    fee_cents      BIGINT NOT NULL,     -- a period
    index_code     TEXT,                -- consumer price index it follows
    index_share_bp BIGINT,              -- share of the index change that is applied
    vat_id         BIGINT NOT NULL,
    UNIQUE (line_id, from_d),
    FOREIGN KEY (line_id) REFERENCES contract_line (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (vat_id) REFERENCES vat (id) DEFERRABLE INITIALLY DEFERRED
);

-- An asset under a contract, from a day to a day, and what is covered.
CREATE TABLE contract_asset (
    id          INTEGER PRIMARY KEY,
    contract_id BIGINT NOT NULL,
    asset_id    BIGINT NOT NULL,
    from_d      TEXT NOT NULL,
    to_d        TEXT,                -- last day
    coverage_id BIGINT NOT NULL,
    home        BIGINT,              -- bucket, filled by triggers
    UNIQUE (contract_id, asset_id, from_d),
    CHECK (to_d IS NULL OR to_d >= from_d),
    FOREIGN KEY (contract_id) REFERENCES contract (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (coverage_id) REFERENCES coverage (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_contract_asset_asset ON contract_asset (asset_id);

-- Something that happened to a contract: signed, suspended, notice given, renewed. The
-- contract's state follows from these.
CREATE TABLE contract_event (
    id          INTEGER PRIMARY KEY,
    contract_id BIGINT NOT NULL,
    party_id    BIGINT NOT NULL,     -- the contract's customer, repeated to place the row
    kind        TEXT NOT NULL,       -- 'sign', 'activate', 'suspend', 'resume', 'notice', 'renew',
                                     -- 'end', 'lapse', 'terminate'
    effective_d TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    by_id       BIGINT,              -- none: the server
    payload     TEXT,                -- details of the kind, JSON text
    by_roles    TEXT,                -- roles of by_id when the server took it, by comma
    accepted_n  BIGINT,              -- order in which the server took the events of one object;
                                     -- none: not yet
    FOREIGN KEY (contract_id) REFERENCES contract (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_contract_event_contract ON contract_event (contract_id);

-- One period of a contract line to bill, made by the server's job. The natural key makes
-- running the job again harmless.
CREATE TABLE bill_period (
    id           INTEGER PRIMARY KEY,
    line_id      BIGINT NOT NULL,
    party_id     BIGINT NOT NULL,                 -- the contract's customer, repeated to place the
                                                  -- row
    from_d       TEXT NOT NULL,
    to_d         TEXT NOT NULL,                   -- last day
    due_d        TEXT NOT NULL,
    amount_cents BIGINT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'planned', -- 'planned', 'drafted', 'billed', 'credited',
                                                  -- 'cancelled'
    CHECK (to_d >= from_d),
    FOREIGN KEY (line_id) REFERENCES contract_line (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_bill_period ON bill_period (line_id, from_d) WHERE state <> 'cancelled';

-- Hourly, travel and call-out prices: general, by grade, of a customer or of a contract (the
-- most particular row wins, then the newest). A firm that hides prices from technicians sets
-- the bucket rule to office.
CREATE TABLE rate (
    id               INTEGER PRIMARY KEY,
    activity_type_id BIGINT NOT NULL,
    time_band_id     BIGINT,              -- none: ordinary hours
    party_id         BIGINT,
    contract_id      BIGINT,
    grade            TEXT,
    from_d           TEXT NOT NULL,
    hour_e4          BIGINT NOT NULL,
    step_min         BIGINT NOT NULL,     -- billable minutes are rounded up to this
    floor_min        BIGINT NOT NULL,     -- and are at least this
    callout_cents    BIGINT NOT NULL,
    callout_per      TEXT NOT NULL,       -- 'visit', 'call_day', 'site_day'
    km_e4            BIGINT NOT NULL,
    free_km_m        BIGINT NOT NULL,     -- thousandths of a km
    home             BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (activity_type_id) REFERENCES activity_type (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (time_band_id) REFERENCES time_band (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (contract_id) REFERENCES contract (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_rate_type ON rate (activity_type_id);

-- What an hour and a km cost the company, by cost class, from a day on.
CREATE TABLE labour_cost (
    id         INTEGER PRIMARY KEY,
    cost_class TEXT NOT NULL,
    from_d     TEXT NOT NULL,
    hour_e4    BIGINT NOT NULL,
    km_e4      BIGINT NOT NULL,
    UNIQUE (cost_class, from_d)
);

/* SPDX-License-Identifier: Apache-2.0 */
-- Customers, sites, goods and places.
--
-- Who the company works for and where, what it sells and where it keeps it.

-- Anybody outside the company: customer, prospect, end user of a reseller, supplier. Two rows
-- found to be the same person are merged by pointing one at the other; their children keep
-- their ids.
CREATE TABLE party (
    id               INTEGER PRIMARY KEY,
    kind             TEXT NOT NULL,                  -- 'customer', 'prospect', 'end_user',
                                                     -- 'reseller', 'supplier', 'own' (ourselves)
    name             TEXT NOT NULL,
    bill_to_id       BIGINT,                         -- who pays when it is not the party itself
    street           TEXT,                           -- registered seat, for the invoice
    city             TEXT,
    post_code        TEXT,
    province         TEXT,
    country          TEXT,                           -- two letters
    vat_number       TEXT,
    tax_code         TEXT,
    sdi_code         TEXT,                           -- address of the e-invoice: seven characters
    pec              TEXT,                           -- certified mail, where there is no sdi_code
    tax_profile      TEXT,                           -- 'ordinary', 'public_body', 'reverse_charge',
                                                     -- 'exempt', ...
    is_split_payment INTEGER NOT NULL DEFAULT 0,     -- VAT is shown and paid by the customer
    withholding_bp   BIGINT NOT NULL DEFAULT 0,      -- tax withheld by the customer, on the taxable
                                                     -- amount
    agent_id         BIGINT,                         -- sales agent
    state            TEXT NOT NULL DEFAULT 'active', -- 'active', 'blocked', 'merged'
    merged_into_id   BIGINT,                         -- the surviving row
    FOREIGN KEY (bill_to_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (agent_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (merged_into_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_party_agent ON party (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX ix_party_tax_code ON party (tax_code) WHERE tax_code IS NOT NULL;
CREATE INDEX ix_party_vat_number ON party (vat_number) WHERE vat_number IS NOT NULL;

-- What a customer may owe and for how long. Office roles only.
CREATE TABLE party_terms (
    id                 INTEGER PRIMARY KEY,
    party_id           BIGINT NOT NULL,
    payment_days_n     BIGINT NOT NULL DEFAULT 30, -- from the date of the document
    credit_limit_cents BIGINT,                     -- none: no limit
    UNIQUE (party_id),
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED
);

-- A place where work is done. Its id is also the bucket of everything that happens there.
CREATE TABLE site (
    id          INTEGER PRIMARY KEY,
    party_id    BIGINT NOT NULL,
    name        TEXT NOT NULL,
    street      TEXT,
    city        TEXT,
    post_code   TEXT,
    province    TEXT,
    country     TEXT,
    territory   TEXT,                -- for planning and for limited roles
    lat_e7      BIGINT,              -- degrees times 10,000,000, WGS 84
    lon_e7      BIGINT,
    base_km_m   BIGINT,              -- thousandths of a km from the depot, for travel charges
    zone        TEXT,                -- flat-fee zone; replaces km
    access_note TEXT,                -- 'ring twice, ask for the key'
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_site_party ON site (party_id);

-- A person to talk to, of a customer or of one site.
CREATE TABLE contact (
    id       INTEGER PRIMARY KEY,
    party_id BIGINT NOT NULL,
    site_id  BIGINT,
    name     TEXT NOT NULL,
    phone    TEXT,
    email    TEXT,
    role     TEXT,                -- 'porter', 'plant manager'
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_contact_party ON contact (party_id);
CREATE INDEX ix_contact_site ON contact (site_id) WHERE site_id IS NOT NULL;

-- A job or order book number that revenue and cost are collected under.
CREATE TABLE job (
    id           INTEGER PRIMARY KEY,
    code         TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    party_id     BIGINT,
    state        TEXT NOT NULL DEFAULT 'open', -- 'open', 'closed'
    budget_cents BIGINT,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED
);

-- A spare part or any other good.
CREATE TABLE item (
    id              INTEGER PRIMARY KEY,
    code            TEXT NOT NULL UNIQUE,
    name            TEXT NOT NULL,
    unit_of_measure TEXT NOT NULL,                  -- 'pcs', 'm', 'kg'; quantities are in
                                                    -- thousandths of it
    category        TEXT,                           -- coverage rules name it
    is_stocked      INTEGER NOT NULL DEFAULT 1,
    is_serialised   INTEGER NOT NULL DEFAULT 0,     -- each unit has a serial number
    barcode         TEXT,
    issue_mode      TEXT NOT NULL DEFAULT 'on_use'  -- 'on_use': out of stock when fitted;
                                                    -- 'on_pick': to the van when picked, out of it
                                                    -- when fitted
);
CREATE INDEX ix_item_barcode ON item (barcode) WHERE barcode IS NOT NULL;

-- What an item costs the company, from a day on.
CREATE TABLE item_cost (
    id      INTEGER PRIMARY KEY,
    item_id BIGINT NOT NULL,
    from_d  TEXT NOT NULL,
    cost_e4 BIGINT NOT NULL,
    UNIQUE (item_id, from_d),
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);

-- A named list of sale prices. Shared, so that a device can price offline; a firm whose
-- technicians may not see prices sets the bucket rule of price_list, price and rate to office.
CREATE TABLE price_list (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    currency TEXT NOT NULL DEFAULT 'EUR'
);

-- Sale price of an item on a list, from a day and a quantity on.
CREATE TABLE price (
    id       INTEGER PRIMARY KEY,
    list_id  BIGINT NOT NULL,
    item_id  BIGINT NOT NULL,
    from_d   TEXT NOT NULL,
    min_m    BIGINT NOT NULL DEFAULT 0, -- thousandths of the unit: smallest quantity it is for
    price_e4 BIGINT NOT NULL,
    UNIQUE (list_id, item_id, from_d, min_m),
    FOREIGN KEY (list_id) REFERENCES price_list (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_price_item ON price (item_id);

-- A place that holds stock: warehouse, van, staging, quarantine, repair shop, a customer's
-- site; or one of the virtual ends of a movement (supplier, customer, consumed, loss,
-- in_transit). Its id is also the bucket of its stock.
CREATE TABLE location (
    id        INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL,       -- 'warehouse', 'van', 'staging', 'quarantine', 'repair_shop',
                                   -- 'site', 'supplier', 'customer', 'consumed', 'loss',
                                   -- 'in_transit'
    name      TEXT NOT NULL,
    parent_id BIGINT,
    holder_id BIGINT,              -- whose van it is
    party_id  BIGINT,              -- whose site or whose goods
    FOREIGN KEY (parent_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (holder_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_location_holder ON location (holder_id) WHERE holder_id IS NOT NULL;

-- One enrolled laptop or handheld. It holds one replica.
CREATE TABLE device (
    id              INTEGER PRIMARY KEY,
    user_id         BIGINT NOT NULL,
    van_id          BIGINT,               -- the van it travels with
    series          TEXT NOT NULL UNIQUE, -- prefix of the numbers it prints: 'T07'
    key_fingerprint TEXT NOT NULL,        -- of the device's public key, hexadecimal
    enrolled_at     BIGINT NOT NULL,
    revoked_at      BIGINT,               -- lost or retired: nothing dated later is accepted
    FOREIGN KEY (user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (van_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_device_user ON device (user_id);

-- A run of human numbers. A device prints from its own series without a network and moves
-- next_n on itself; orders and invoices take theirs on the server only.
CREATE TABLE number_series (
    id        INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL,             -- 'call', 'quote', 'rma', 'report', 'goods_document',
                                         -- 'order', 'invoice'
    prefix    TEXT NOT NULL,
    year_n    BIGINT NOT NULL DEFAULT 0, -- 0: does not start anew each year
    user_id   BIGINT,                    -- owner of a device's series
    device_id BIGINT,
    next_n    BIGINT NOT NULL DEFAULT 1, -- the next number to give
    UNIQUE (kind, prefix, year_n),
    FOREIGN KEY (user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);

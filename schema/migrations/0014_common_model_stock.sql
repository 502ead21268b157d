/* SPDX-License-Identifier: Apache-2.0 */
-- Parts and stock.
--
-- Stock is a ledger of movements between places; balances are sums, never stored. What a
-- technician fits, takes and counts are facts of the van.

-- One unit of an item with a serial number. While in stock it is shared; once it is (part of)
-- an asset it goes where the asset goes.
CREATE TABLE serial_unit (
    id                INTEGER PRIMARY KEY,
    item_id           BIGINT NOT NULL,
    serial            TEXT NOT NULL,
    serial_normalised TEXT NOT NULL,
    asset_id          BIGINT,              -- it became, or is built into
    home              BIGINT,              -- bucket, filled by triggers
    UNIQUE (item_id, serial_normalised),
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_serial_unit_asset ON serial_unit (asset_id) WHERE asset_id IS NOT NULL;

-- One quantity of one item from one place to another; each change of stock is such a move, so
-- the sum over all places is always zero. Wrong moves are reversed by another row. The writer
-- fills ledger_location_id: the van if the move touches one (it touches at most one: van to
-- van goes through in_transit), else the place it comes from.
CREATE TABLE stock_move (
    id                 INTEGER PRIMARY KEY,
    item_id            BIGINT NOT NULL,
    serial_unit_id     BIGINT,
    owner_id           BIGINT,              -- customer's goods; none: ours
    quantity_m         BIGINT NOT NULL,     -- thousandths of the unit
    from_location_id   BIGINT NOT NULL,
    to_location_id     BIGINT NOT NULL,
    ledger_location_id BIGINT NOT NULL,     -- whose devices see the move
    kind               TEXT NOT NULL,       -- 'receive', 'supplier_return', 'sale', 'transfer',
                                            -- 'load', 'unload', 'pick', 'use', 'transit_out',
                                            -- 'transit_in', 'count', 'true_up', 'scrap', 'rma_in',
                                            -- 'rma_out', 'loan_out', 'loan_back', 'reverse'
    source_kind        TEXT,                -- table of the row it follows from: 'part_use',
                                            -- 'count_line', 'goods_line', ...
    source_id          BIGINT,              -- that row
    occurred_at        BIGINT NOT NULL,
    by_id              BIGINT,              -- none: the server
    device_id          BIGINT,
    posted_seq         BIGINT,              -- order of posting, which costs follow
    reverses_id        BIGINT,
    CHECK (quantity_m > 0 AND from_location_id <> to_location_id),
    CHECK (ledger_location_id = from_location_id OR ledger_location_id = to_location_id),
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (serial_unit_id) REFERENCES serial_unit (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (owner_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (from_location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (to_location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (ledger_location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (reverses_id) REFERENCES stock_move (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_stock_move_use ON stock_move (source_id)
    WHERE source_kind = 'part_use' AND reverses_id IS NULL;
CREATE UNIQUE INDEX ux_stock_move_reverse ON stock_move (reverses_id) WHERE reverses_id IS NOT NULL;
CREATE INDEX ix_stock_move_item ON stock_move (item_id, from_location_id, to_location_id);
CREATE INDEX ix_stock_move_from ON stock_move (from_location_id);
CREATE INDEX ix_stock_move_to ON stock_move (to_location_id);
CREATE INDEX ix_stock_move_serial ON stock_move (serial_unit_id) WHERE serial_unit_id IS NOT NULL;

-- What a move was worth, frozen when it was posted (moving average; the last unit takes the
-- rest).
CREATE TABLE move_cost (
    id          INTEGER PRIMARY KEY,
    move_id     BIGINT NOT NULL,
    unit_e4     BIGINT NOT NULL,
    total_cents BIGINT NOT NULL,
    UNIQUE (move_id),
    FOREIGN KEY (move_id) REFERENCES stock_move (id) DEFERRABLE INITIALLY DEFERRED
);

-- A part that a call is expected to need.
CREATE TABLE part_need (
    id          INTEGER PRIMARY KEY,
    call_id     BIGINT NOT NULL,
    activity_id BIGINT,
    item_id     BIGINT NOT NULL,
    needed_m    BIGINT NOT NULL,              -- thousandths of the unit
    note        TEXT,
    state       TEXT NOT NULL DEFAULT 'open', -- 'open', 'held', 'short', 'ordered', 'picked',
                                              -- 'used', 'cancelled'
    home        BIGINT,                       -- bucket, filled by triggers
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_part_need_call ON part_need (call_id);
CREATE INDEX ix_part_need_item ON part_need (item_id);

-- A part fitted or consumed on an activity. The report, the stock move, the price and the
-- invoice all follow from this one row.
CREATE TABLE part_use (
    id               INTEGER PRIMARY KEY,
    activity_id      BIGINT NOT NULL,
    item_id          BIGINT NOT NULL,
    serial_unit_id   BIGINT,
    used_m           BIGINT NOT NULL,     -- thousandths of the unit
    from_location_id BIGINT NOT NULL,     -- usually the van
    asset_id         BIGINT,              -- it was fitted to
    removed_serial   TEXT,                -- of the part taken out
    cause            TEXT,
    occurred_at      BIGINT NOT NULL,
    by_id            BIGINT NOT NULL,
    void_of_id       BIGINT,
    home             BIGINT,              -- bucket, filled by triggers
    CHECK (used_m > 0),
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (serial_unit_id) REFERENCES serial_unit (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (from_location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (void_of_id) REFERENCES part_use (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_part_use_activity ON part_use (activity_id);
CREATE INDEX ix_part_use_asset ON part_use (asset_id) WHERE asset_id IS NOT NULL;

-- Stock of one place kept for a need. Devices ask for it; how much is held and the state are
-- the server's.
CREATE TABLE reservation (
    id             INTEGER PRIMARY KEY,
    part_need_id   BIGINT,
    item_id        BIGINT NOT NULL,
    serial_unit_id BIGINT,
    location_id    BIGINT NOT NULL,
    asked_m        BIGINT NOT NULL,               -- thousandths of the unit
    by_id          BIGINT,                        -- none: the server
    held_m         BIGINT NOT NULL DEFAULT 0,
    state          TEXT NOT NULL DEFAULT 'asked', -- 'asked', 'held', 'short', 'picked', 'consumed',
                                                  -- 'released'
    expires_d      TEXT,
    FOREIGN KEY (part_need_id) REFERENCES part_need (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (serial_unit_id) REFERENCES serial_unit (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_reservation_location ON reservation (location_id, item_id);
CREATE INDEX ix_reservation_need ON reservation (part_need_id) WHERE part_need_id IS NOT NULL;

-- Something done to a reservation: asked, granted, picked, released.
CREATE TABLE reservation_event (
    id             INTEGER PRIMARY KEY,
    reservation_id BIGINT NOT NULL,
    kind           TEXT NOT NULL,       -- 'ask', 'grant', 'pick', 'consume', 'release', 'expire'
    delta_m        BIGINT NOT NULL,     -- change of what is held, in thousandths
    occurred_at    BIGINT NOT NULL,
    by_id          BIGINT,              -- none: the server
    by_roles       TEXT,                -- roles of by_id when the server took it, by comma
    accepted_n     BIGINT,              -- order in which the server took the events of one object;
                                        -- none: not yet
    home           BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (reservation_id) REFERENCES reservation (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_reservation_event_reservation ON reservation_event (reservation_id);

-- A count of a place at a moment, written together with its lines. A move of an earlier time
-- that arrives later is posted with a true-up, so what was counted stays true.
CREATE TABLE stock_count (
    id          INTEGER PRIMARY KEY,
    location_id BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    by_id       BIGINT NOT NULL,
    state       TEXT NOT NULL DEFAULT 'counted', -- 'counted', 'posted'
    FOREIGN KEY (location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_stock_count_location ON stock_count (location_id);

-- How much of one item (or one serial unit) was counted.
CREATE TABLE count_line (
    id              INTEGER PRIMARY KEY,
    count_id        BIGINT NOT NULL,
    item_id         BIGINT NOT NULL,
    serial_unit_key BIGINT NOT NULL DEFAULT 0, -- the serial unit, 0 for items without serial number
    counted_m       BIGINT NOT NULL,           -- thousandths of the unit
    known_m         BIGINT,                    -- what the books said when the server posted it;
                                               -- none: not yet
    home            BIGINT,                    -- bucket, filled by triggers
    UNIQUE (count_id, item_id, serial_unit_key),
    FOREIGN KEY (count_id) REFERENCES stock_count (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);

-- Refill a place up to max when an item falls under min.
CREATE TABLE replenishment_rule (
    id          INTEGER PRIMARY KEY,
    location_id BIGINT NOT NULL,
    item_id     BIGINT NOT NULL,
    min_m       BIGINT NOT NULL,     -- thousandths of the unit
    max_m       BIGINT NOT NULL,
    UNIQUE (location_id, item_id),
    FOREIGN KEY (location_id) REFERENCES location (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED
);

-- A part to buy, perhaps for a call.
CREATE TABLE purchase_request (
    id          INTEGER PRIMARY KEY,
    item_id     BIGINT NOT NULL,
    needed_m    BIGINT NOT NULL,               -- thousandths of the unit
    needed_d    TEXT,
    call_id     BIGINT,
    supplier_id BIGINT,
    by_id       BIGINT,                        -- none: the server
    state       TEXT NOT NULL DEFAULT 'asked', -- 'asked', 'ordered', 'received', 'cancelled'
    home        BIGINT,                        -- bucket, filled by triggers
    FOREIGN KEY (item_id) REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (supplier_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_purchase_request_call ON purchase_request (call_id) WHERE call_id IS NOT NULL;

-- What is where: sums of the moves. serial_unit_key and owner_key are 0 for none. The sum over all
-- places is 0 for every item, always.
CREATE VIEW stock_balance AS
SELECT location_id, item_id, serial_unit_key, owner_key, CAST(SUM(q) AS BIGINT) AS quantity_m
FROM (
    SELECT to_location_id AS location_id, item_id, COALESCE(serial_unit_id, 0) AS serial_unit_key,
           COALESCE(owner_id, 0) AS owner_key, quantity_m AS q
    FROM stock_move
    UNION ALL
    SELECT from_location_id, item_id, COALESCE(serial_unit_id, 0), COALESCE(owner_id, 0),
           -quantity_m
    FROM stock_move
) m
GROUP BY location_id, item_id, serial_unit_key, owner_key;

-- What of our own stock is not held for somebody.
CREATE VIEW stock_available AS
SELECT b.location_id, b.item_id,
       CAST(SUM(b.quantity_m) AS BIGINT)
           - COALESCE((SELECT CAST(SUM(r.held_m) AS BIGINT)
                       FROM reservation r
                       WHERE r.location_id = b.location_id AND r.item_id = b.item_id
                         AND r.state = 'held'), 0) AS free_m
FROM stock_balance b
WHERE b.owner_key = 0
GROUP BY b.location_id, b.item_id;

/* SPDX-License-Identifier: Apache-2.0 */
-- What the synchronisation asks people.
--
-- Values that lost and changes that were refused are rows like any other: kept, shown to their
-- author and to the office, and can be reapplied.

-- A value that somebody wrote and that lost against another. The server writes it into the
-- bucket of the row it speaks of; its author sees it with "reapply" and "discard".
CREATE TABLE merge_loss (
    id              INTEGER PRIMARY KEY,
    table_name      TEXT NOT NULL,
    row_id          BIGINT NOT NULL,
    column_name     TEXT NOT NULL,
    kept            TEXT,                         -- the value that stays, as text
    lost            TEXT,                         -- the value that lost, as text
    base_value      TEXT,                         -- what both had seen, where known
    kept_by_user_id BIGINT,
    lost_by_user_id BIGINT,
    lost_device_id  BIGINT,
    user_id         BIGINT NOT NULL,              -- who should see it: author of the lost value
    rule            TEXT NOT NULL,                -- which rule decided
    occurred_at     BIGINT NOT NULL,
    state           TEXT NOT NULL DEFAULT 'open', -- 'open', 'reapplied', 'discarded'
    home            BIGINT,                       -- bucket, filled by the server
    FOREIGN KEY (kept_by_user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (lost_by_user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (lost_device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_merge_loss_row ON merge_loss (row_id);
CREATE INDEX ix_merge_loss_user ON merge_loss (user_id, state);

-- Something for a person to decide: a refused or parked change, a double visit, a negative van
-- balance. The refused change itself is kept in payload, so nothing has to be typed again.
CREATE TABLE review_item (
    id             INTEGER PRIMARY KEY,
    kind           TEXT NOT NULL,                -- 'refused', 'parked', 'double_visit',
                                                 -- 'negative_stock', 'duplicate_serial', ...
    table_name     TEXT NOT NULL,
    row_id         BIGINT,                       -- none: the row was never accepted
    reason_code    TEXT NOT NULL,
    reason_text    TEXT NOT NULL,                -- plain words, for the screen
    role           TEXT NOT NULL,                -- which role decides
    payload        TEXT,                         -- the change as it was sent, JSON text
    user_id        BIGINT,                       -- author of the change
    device_id      BIGINT,
    created_at     BIGINT NOT NULL,
    state          TEXT NOT NULL DEFAULT 'open', -- 'open', 'resolved', 'reapplied', 'discarded'
    resolved_by_id BIGINT,
    resolution     TEXT,
    home           BIGINT,                       -- bucket, filled by the server
    FOREIGN KEY (user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (resolved_by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_review_item_row ON review_item (row_id);
CREATE INDEX ix_review_item_state ON review_item (state, role);

-- The key of a row in another system: where it was imported from or is handed over to.
CREATE TABLE external_ref (
    id              INTEGER PRIMARY KEY,
    table_name      TEXT NOT NULL,
    external_system TEXT NOT NULL,
    external_key    TEXT NOT NULL,
    row_id          BIGINT NOT NULL,
    UNIQUE (table_name, external_system, external_key)
);
CREATE INDEX ix_external_ref_row ON external_ref (row_id);

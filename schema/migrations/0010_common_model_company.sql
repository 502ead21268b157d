/* SPDX-License-Identifier: Apache-2.0 */
-- The company: people, devices, calendars, tax codes.
--
-- Who works here, on which device, by which clock, and the tax and money codes that everything
-- else refers to.
--
-- Throughout: an id is replica number << 33 | counter; SQLite takes only the words INTEGER PRIMARY
-- KEY for its row id, the PostgreSQL runner reads them as BIGINT PRIMARY KEY, and BLOB as BYTEA.
-- Names carry the unit: _at microseconds since 1970, UTC; _d text YYYY-MM-DD; _cents; _e4 1/10000
-- of the currency; _m thousandths; _min minutes; _bp 1/100 %; _n and _seq plain numbers; is_ and
-- has_ 0 or 1; _id the id of a row. home is the bucket of a row that follows its parent's, filled
-- by triggers. References are checked on the server; a device holds a part of the rows only.

-- A person of the company who signs in. Everybody sees the names; passwords are elsewhere and
-- never replicated.
CREATE TABLE app_user (
    id        INTEGER PRIMARY KEY,
    login     TEXT NOT NULL UNIQUE,       -- what the person types to sign in
    name      TEXT NOT NULL,
    grade     TEXT,                       -- picks the hourly rate: 'senior', 'junior', ...
    is_active INTEGER NOT NULL DEFAULT 1
);

-- Which cost class a person has. Kept apart from app_user because costs never reach a device.
CREATE TABLE app_user_cost (
    id         INTEGER PRIMARY KEY,
    user_id    BIGINT NOT NULL,
    cost_class TEXT NOT NULL,       -- joins labour_cost.cost_class
    UNIQUE (user_id),
    FOREIGN KEY (user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);

-- One role given to one person, perhaps for one area only. The device knows its own grants to
-- shape its screens; the server never trusts them.
CREATE TABLE role_grant (
    id      INTEGER PRIMARY KEY,
    user_id BIGINT NOT NULL,
    role    TEXT NOT NULL,            -- technician, dispatcher, help_desk, manager, warehouse,
                                      -- purchasing, billing, sales or admin
    area    TEXT NOT NULL DEFAULT '', -- territory the grant is limited to, '' for everywhere
    UNIQUE (user_id, role, area),
    FOREIGN KEY (user_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_role_grant_role ON role_grant (role);

-- Opening hours to count by: service levels, evening and holiday bands.
CREATE TABLE calendar (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    time_zone TEXT NOT NULL        -- IANA name, 'Europe/Rome'
);

-- One stretch of open hours on a weekday of a calendar.
CREATE TABLE calendar_hours (
    id          INTEGER PRIMARY KEY,
    calendar_id BIGINT NOT NULL,
    weekday_n   BIGINT NOT NULL,     -- 1 Monday to 7 Sunday
    from_min    BIGINT NOT NULL,     -- minutes after local midnight
    to_min      BIGINT NOT NULL,     -- exclusive, up to 1440
    UNIQUE (calendar_id, weekday_n, from_min),
    FOREIGN KEY (calendar_id) REFERENCES calendar (id) DEFERRABLE INITIALLY DEFERRED
);

-- A day on which a calendar is closed.
CREATE TABLE holiday (
    id          INTEGER PRIMARY KEY,
    calendar_id BIGINT NOT NULL,
    day_d       TEXT NOT NULL,
    name        TEXT NOT NULL,
    UNIQUE (calendar_id, day_d),
    FOREIGN KEY (calendar_id) REFERENCES calendar (id) DEFERRABLE INITIALLY DEFERRED
);

-- A promised service level. The times are business minutes of its calendar from the opening of
-- the call.
CREATE TABLE sla (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    calendar_id BIGINT NOT NULL,
    respond_min BIGINT,              -- until somebody answers
    onsite_min  BIGINT,              -- until a technician is there
    restore_min BIGINT,              -- until it works again
    FOREIGN KEY (calendar_id) REFERENCES calendar (id) DEFERRABLE INITIALLY DEFERRED
);

-- A named part of the week with its own hourly rate (evening, Sunday, ...). The first band
-- that fits, by priority_n, counts; holidays come before weekdays.
CREATE TABLE time_band (
    id             INTEGER PRIMARY KEY,
    name           TEXT NOT NULL,
    weekday_mask_n BIGINT NOT NULL,     -- bit 0 Monday to bit 6 Sunday
    from_min       BIGINT NOT NULL,     -- minutes after local midnight
    to_min         BIGINT NOT NULL,     -- exclusive, up to 1440
    holiday_rule   TEXT NOT NULL,       -- 'any', 'only' on holidays, 'never' on holidays
    priority_n     BIGINT NOT NULL      -- lowest first
);

-- A VAT code: a rate, or the nature of an exemption when the rate is 0.
CREATE TABLE vat (
    id      INTEGER PRIMARY KEY,
    code    TEXT NOT NULL UNIQUE,
    rate_bp BIGINT NOT NULL,      -- 2200 is 22 %
    nature  TEXT,                 -- N1 to N7, exactly when the rate is 0
    note    TEXT
);

-- A kind of work: visit, workshop, remote, phone, installation.
CREATE TABLE activity_type (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    mode        TEXT NOT NULL,              -- 'on_site', 'remote', 'phone', 'workshop'
    is_billable INTEGER NOT NULL DEFAULT 1,
    default_min BIGINT NOT NULL
);

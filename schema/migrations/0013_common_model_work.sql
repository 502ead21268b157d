/* SPDX-License-Identifier: Apache-2.0 */
-- Calls and work.
--
-- A call is one problem of a customer, from the first word to the invoice. Its activities are
-- the visits and phone calls made for it; everything technicians do hangs on those.

-- A list of questions for a visit. A new version is a new row, so that old answers keep their
-- questions.
CREATE TABLE checklist (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    version_n BIGINT NOT NULL DEFAULT 1
);

-- One question of a checklist.
CREATE TABLE checklist_item (
    id           INTEGER PRIMARY KEY,
    checklist_id BIGINT NOT NULL,
    position_n   BIGINT NOT NULL,            -- order on the screen
    text         TEXT NOT NULL,
    kind         TEXT NOT NULL,              -- 'yes_no', 'number', 'text', 'photo', 'choice'
    is_required  INTEGER NOT NULL DEFAULT 0,
    unit         TEXT,                       -- of a number
    low_m        BIGINT,                     -- thousandths: warn below
    high_m       BIGINT,                     -- thousandths: warn above
    FOREIGN KEY (checklist_id) REFERENCES checklist (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_checklist_item_checklist ON checklist_item (checklist_id);

-- A prepared visit: what type, how long, which checklist, signature or not.
CREATE TABLE job_template (
    id                    INTEGER PRIMARY KEY,
    name                  TEXT NOT NULL,
    activity_type_id      BIGINT NOT NULL,
    estimated_min         BIGINT NOT NULL,
    checklist_id          BIGINT,
    is_signature_required INTEGER NOT NULL DEFAULT 1,
    FOREIGN KEY (activity_type_id) REFERENCES activity_type (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (checklist_id) REFERENCES checklist (id) DEFERRABLE INITIALLY DEFERRED
);

-- A rule for planned maintenance: every so often, for all assets of a model, one contract, one
-- site or one asset. A plan of a narrower target replaces the wider one.
CREATE TABLE plan (
    id              INTEGER PRIMARY KEY,
    target          TEXT NOT NULL,                -- 'model', 'contract', 'site', 'asset'
    asset_model_id  BIGINT,
    contract_id     BIGINT,
    asset_id        BIGINT,
    site_id         BIGINT,
    job_template_id BIGINT NOT NULL,
    every_n         BIGINT NOT NULL,
    every_unit      TEXT NOT NULL,                -- 'day', 'week', 'month', 'year', 'meter'
    basis           TEXT NOT NULL,                -- count from 'calendar' dates or from 'last_done'
    lead_days_n     BIGINT NOT NULL DEFAULT 0,    -- open the call so long before it is due
    window_days_n   BIGINT NOT NULL DEFAULT 0,    -- may be done so long before or after
    holiday_shift   TEXT NOT NULL DEFAULT 'none', -- 'none', 'before', 'after'
    start_d         TEXT NOT NULL,
    end_d           TEXT,
    home            BIGINT,                       -- bucket, filled by triggers
    FOREIGN KEY (asset_model_id) REFERENCES asset_model (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (contract_id) REFERENCES contract (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (job_template_id) REFERENCES job_template (id) DEFERRABLE INITIALLY DEFERRED
);

-- One problem, from opening to closing; nothing is copied into another object on the way. Its
-- state is folded from call_event and its activities, never written by a device. A call opened
-- offline has a number of the device's series.
CREATE TABLE call (
    id              INTEGER PRIMARY KEY,
    number_text     TEXT UNIQUE,                 -- 'C2026-000123', or 'T07-000123' from a device
    channel         TEXT NOT NULL,               -- 'phone', 'mail', 'web', 'device', 'plan',
                                                 -- 'visit'
    party_id        BIGINT NOT NULL,             -- who has the problem
    bill_to_id      BIGINT,                      -- who pays when it is not the party
    site_id         BIGINT,
    contact_id      BIGINT,
    caller_text     TEXT,                        -- name and number of a caller who is no contact
    asset_id        BIGINT,
    contract_id     BIGINT,
    problem_code    TEXT,                        -- same code on the same asset within 90 days: a
                                                 -- repeat
    subject         TEXT NOT NULL,
    description     TEXT,
    priority_n      BIGINT NOT NULL DEFAULT 3,   -- 1 most urgent to 5
    sla_id          BIGINT,
    opened_at       BIGINT NOT NULL,
    opened_by_id    BIGINT,                      -- none: opened by the server
    respond_due_at  BIGINT,
    onsite_due_at   BIGINT,
    restore_due_at  BIGINT,
    state           TEXT NOT NULL DEFAULT 'new', -- 'new', 'triaged', 'planned', 'in_progress',
                                                 -- 'waiting', 'resolved', 'closed', 'duplicate',
                                                 -- 'cancelled'
    owner_id        BIGINT,                      -- operator in charge
    duplicate_of_id BIGINT,                      -- the surviving call
    job_id          BIGINT,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (bill_to_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (contact_id) REFERENCES contact (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (contract_id) REFERENCES contract (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (sla_id) REFERENCES sla (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (opened_by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (owner_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (duplicate_of_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (job_id) REFERENCES job (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_call_site ON call (site_id) WHERE site_id IS NOT NULL;
CREATE INDEX ix_call_party ON call (party_id);
CREATE INDEX ix_call_asset ON call (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX ix_call_contract ON call (contract_id) WHERE contract_id IS NOT NULL;
CREATE INDEX ix_call_opened_by ON call (opened_by_id, opened_at);
CREATE INDEX ix_call_state ON call (state);

-- One visit that a plan asks for, made by the server's job. It is the same visit whatever its
-- date: its identity is plan, target and number, so a moved date survives the next run.
CREATE TABLE plan_occurrence (
    id           INTEGER PRIMARY KEY,
    plan_id      BIGINT NOT NULL,
    target_id    BIGINT NOT NULL,             -- id of the asset, or of the site where the plan has
                                              -- no assets
    asset_id     BIGINT,
    site_id      BIGINT,
    occurrence_n BIGINT NOT NULL,             -- from 1
    due_d        TEXT NOT NULL,
    state        TEXT NOT NULL DEFAULT 'due', -- 'due', 'called', 'done', 'skipped'
    call_id      BIGINT,
    skip_reason  TEXT,
    home         BIGINT,                      -- bucket, filled by triggers
    UNIQUE (plan_id, target_id, occurrence_n),
    FOREIGN KEY (plan_id) REFERENCES plan (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_plan_occurrence_due ON plan_occurrence (due_d);

-- Something that was decided about a call. Folding these gives its state; an event that no
-- longer fits is kept and shown to a person.
CREATE TABLE call_event (
    id            INTEGER PRIMARY KEY,
    call_id       BIGINT NOT NULL,
    kind          TEXT NOT NULL,              -- 'triage', 'plan', 'answer', 'duplicate', 'cancel',
                                              -- 'hold', 'release', 'close', 'reopen'
    base_state    TEXT,                       -- the state its author saw
    other_call_id BIGINT,                     -- of 'duplicate': the surviving call
    waiting_for   TEXT,                       -- of 'hold': 'customer', 'parts', 'vendor'
    is_remote     INTEGER NOT NULL DEFAULT 0, -- of 'answer': solved without going there
    occurred_at   BIGINT NOT NULL,
    by_id         BIGINT,                     -- none: the server
    device_id     BIGINT,
    reason        TEXT,
    by_roles      TEXT,                       -- roles of by_id when the server took it, by comma
    accepted_n    BIGINT,                     -- order in which the server took the events of one
                                              -- object; none: not yet
    home          BIGINT,                     -- bucket, filled by triggers
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (other_call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_call_event_call ON call_event (call_id);

-- A remark on a call.
CREATE TABLE call_note (
    id          INTEGER PRIMARY KEY,
    call_id     BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    by_id       BIGINT NOT NULL,
    visibility  TEXT NOT NULL DEFAULT 'internal', -- 'internal', 'customer': may be printed
    body        TEXT NOT NULL,
    home        BIGINT,                           -- bucket, filled by triggers
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_call_note_call ON call_note (call_id);

-- One visit, phone call or workshop job for a call, planned for one technician. Planning and
-- state come from the server only; a technician may insert own unplanned work.
-- assign_version_n rises with every reassignment and tells late work from current work.
CREATE TABLE activity (
    id               INTEGER PRIMARY KEY,
    call_id          BIGINT NOT NULL,
    activity_type_id BIGINT NOT NULL,
    job_template_id  BIGINT,
    asset_id         BIGINT,
    site_id          BIGINT,                        -- when it is not the call's
    technician_id    BIGINT,                        -- who is to do it
    assign_version_n BIGINT NOT NULL DEFAULT 0,
    planned_start_at BIGINT,
    planned_min      BIGINT,
    is_locked        INTEGER NOT NULL DEFAULT 0,    -- the customer was promised this time
    state            TEXT NOT NULL DEFAULT 'draft', -- 'draft', 'planned', 'dispatched', 'accepted',
                                                    -- 'travelling', 'on_site', 'working', 'paused',
                                                    -- 'done', 'approved', 'priced', 'failed',
                                                    -- 'cancelled'
    crew_of_id       BIGINT,                        -- second person on another's activity
    branch_of_id     BIGINT,                        -- work of a technician found to have done it as
                                                    -- well
    unplanned_by_id  BIGINT,                        -- whose own unplanned work it was from the
                                                    -- start: born accepted; none: the office's
    home             BIGINT,                        -- bucket, filled by triggers
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_type_id) REFERENCES activity_type (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (job_template_id) REFERENCES job_template (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (technician_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (crew_of_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (branch_of_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (unplanned_by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_activity_call ON activity (call_id);
CREATE INDEX ix_activity_technician ON activity (technician_id, planned_start_at);
CREATE INDEX ix_activity_asset ON activity (asset_id) WHERE asset_id IS NOT NULL;
CREATE UNIQUE INDEX ux_activity_branch ON activity (branch_of_id, technician_id)
    WHERE branch_of_id IS NOT NULL;

-- A device has shown this version of an assignment. The board shows who has not seen what.
CREATE TABLE assign_ack (
    id               INTEGER PRIMARY KEY,
    activity_id      BIGINT NOT NULL,
    device_id        BIGINT NOT NULL,
    assign_version_n BIGINT NOT NULL,
    by_id            BIGINT NOT NULL,
    seen_at          BIGINT NOT NULL,
    home             BIGINT,              -- bucket, filled by triggers
    UNIQUE (activity_id, device_id, assign_version_n),
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);

-- What a technician did about an activity: accept, depart, arrive, start, finish. The
-- activity's state follows from these; base_version_n and base_state say what the author saw.
CREATE TABLE activity_event (
    id             INTEGER PRIMARY KEY,
    activity_id    BIGINT NOT NULL,
    kind           TEXT NOT NULL,       -- 'plan', 'dispatch', 'reassign', 'reschedule', 'accept',
                                        -- 'reject', 'depart', 'arrive', 'start', 'pause', 'resume',
                                        -- 'finish', 'no_access', 'cancel', 'approve', 'price',
                                        -- 'bill', 'credit', 'reopen'
    technician_id  BIGINT,              -- whose step it is, or of plan, dispatch, reassign: who
                                        -- gets the job; none: by_id
    base_version_n BIGINT,              -- activity.assign_version_n as its author saw it; none: any
    base_state     TEXT,                -- the state its author saw
    occurred_at    BIGINT NOT NULL,
    by_id          BIGINT,              -- none: the server
    device_id      BIGINT,
    lat_e7         BIGINT,              -- degrees times 10,000,000, WGS 84
    lon_e7         BIGINT,
    reason         TEXT,
    by_roles       TEXT,                -- roles of by_id when the server took it, by comma
    accepted_n     BIGINT,              -- order in which the server took the events of one object;
                                        -- none: not yet
    home           BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (technician_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (device_id) REFERENCES device (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_activity_event_activity ON activity_event (activity_id);

-- Time worked by one person. Wrong ones are voided by another row, never changed.
CREATE TABLE work_session (
    id            INTEGER PRIMARY KEY,
    activity_id   BIGINT NOT NULL,
    technician_id BIGINT NOT NULL,
    kind          TEXT NOT NULL,                 -- 'work', 'travel', 'waiting', 'phone', 'training'
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    break_min     BIGINT NOT NULL DEFAULT 0,     -- not worked, in between
    source        TEXT NOT NULL DEFAULT 'typed', -- 'typed', 'timer', 'estimate'
    void_of_id    BIGINT,                        -- the row that this one takes back
    home          BIGINT,                        -- bucket, filled by triggers
    CHECK (ended_at > started_at AND break_min >= 0),
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (technician_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (void_of_id) REFERENCES work_session (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_work_session_activity ON work_session (activity_id);
CREATE INDEX ix_work_session_void ON work_session (void_of_id) WHERE void_of_id IS NOT NULL;

-- One drive of one person, perhaps for several activities.
CREATE TABLE trip (
    id            INTEGER PRIMARY KEY,
    technician_id BIGINT NOT NULL,
    started_at    BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    km_m          BIGINT NOT NULL,               -- thousandths of a km
    vehicle       TEXT,                          -- plate
    source        TEXT NOT NULL DEFAULT 'typed', -- 'typed', 'odometer', 'gps'
    void_of_id    BIGINT,
    CHECK (km_m >= 0 AND ended_at >= started_at),
    FOREIGN KEY (technician_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (void_of_id) REFERENCES trip (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_trip_technician ON trip (technician_id);

-- An activity that a trip served. The km are split over these by the distance of each alone.
CREATE TABLE trip_stop (
    id            INTEGER PRIMARY KEY,
    trip_id       BIGINT NOT NULL,
    activity_id   BIGINT NOT NULL,
    technician_id BIGINT NOT NULL,
    home          BIGINT,              -- bucket, filled by triggers
    UNIQUE (trip_id, activity_id),
    FOREIGN KEY (trip_id) REFERENCES trip (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (technician_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_trip_stop_activity ON trip_stop (activity_id);

-- What came out of an activity, one row each: the words of the visit report.
CREATE TABLE activity_result (
    id             INTEGER PRIMARY KEY,
    activity_id    BIGINT NOT NULL,
    outcome        TEXT,                       -- 'solved', 'provisional', 'not_solved',
                                               -- 'no_fault_found'
    cause          TEXT,
    report_text    TEXT,
    is_follow_up   INTEGER NOT NULL DEFAULT 0, -- somebody must come again
    follow_up_note TEXT,
    home           BIGINT,                     -- bucket, filled by triggers
    UNIQUE (activity_id),
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED
);

-- A known problem and its solution. How often it helped is counted from kb_feedback.
CREATE TABLE kb_article (
    id             INTEGER PRIMARY KEY,
    number_text    TEXT NOT NULL UNIQUE,
    title          TEXT NOT NULL,
    problem        TEXT NOT NULL,
    solution       TEXT NOT NULL,
    asset_model_id BIGINT,
    problem_code   TEXT,
    state          TEXT NOT NULL DEFAULT 'draft', -- 'draft', 'published', 'retired'
    version_n      BIGINT NOT NULL DEFAULT 1,
    FOREIGN KEY (asset_model_id) REFERENCES asset_model (id) DEFERRABLE INITIALLY DEFERRED
);

-- An article helped, did not help, or is missing. Counts once per call.
CREATE TABLE kb_feedback (
    id          INTEGER PRIMARY KEY,
    article_id  BIGINT,              -- none: an article is missing
    activity_id BIGINT,
    call_id     BIGINT,
    kind        TEXT NOT NULL,       -- 'solved', 'not_helpful', 'missing', 'error'
    text        TEXT,
    by_id       BIGINT NOT NULL,
    occurred_at BIGINT NOT NULL,
    home        BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (article_id) REFERENCES kb_article (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_kb_feedback_article ON kb_feedback (article_id);

-- A file: photo, PDF, document. The row travels with the data, the bytes follow by their hash
-- and are stored once. It hangs on the first of its parents that is set; manuals of a model or
-- an article are shared.
CREATE TABLE attachment (
    id                  INTEGER PRIMARY KEY,
    activity_id         BIGINT,
    call_id             BIGINT,
    asset_id            BIGINT,
    party_id            BIGINT,
    commercial_party_id BIGINT,                     -- papers with money of this customer: office
                                                    -- roles only
    asset_model_id      BIGINT,
    article_id          BIGINT,
    name                TEXT NOT NULL,              -- file name
    mime_type           TEXT NOT NULL,
    size_n              BIGINT NOT NULL,            -- bytes
    content_hash        TEXT NOT NULL,              -- BLAKE2b-256, hexadecimal: name of the stored
                                                    -- bytes
    created_at          BIGINT NOT NULL,
    by_id               BIGINT NOT NULL,
    is_customer_visible INTEGER NOT NULL DEFAULT 0,
    home                BIGINT,                     -- bucket, filled by triggers
    CHECK (activity_id IS NOT NULL OR call_id IS NOT NULL OR asset_id IS NOT NULL
        OR party_id IS NOT NULL OR commercial_party_id IS NOT NULL OR asset_model_id IS NOT NULL
        OR article_id IS NOT NULL),
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (commercial_party_id) REFERENCES party (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (asset_model_id) REFERENCES asset_model (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (article_id) REFERENCES kb_article (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_attachment_activity ON attachment (activity_id) WHERE activity_id IS NOT NULL;
CREATE INDEX ix_attachment_call ON attachment (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX ix_attachment_asset ON attachment (asset_id) WHERE asset_id IS NOT NULL;
CREATE INDEX ix_attachment_hash ON attachment (content_hash);

-- The answer to one question on one activity. Two people answering different questions never
-- collide.
CREATE TABLE checklist_answer (
    id          INTEGER PRIMARY KEY,
    activity_id BIGINT NOT NULL,
    item_id     BIGINT NOT NULL,
    asset_key   BIGINT NOT NULL DEFAULT 0, -- asset the answer is about, 0 for the activity as a
                                           -- whole
    value       TEXT,                      -- text or number as written
    photo_id    BIGINT,
    by_id       BIGINT NOT NULL,
    answered_at BIGINT NOT NULL,
    home        BIGINT,                    -- bucket, filled by triggers
    UNIQUE (activity_id, item_id, asset_key),
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (item_id) REFERENCES checklist_item (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (photo_id) REFERENCES attachment (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);

-- Money a person spent on an activity: meal, toll, parking.
CREATE TABLE expense (
    id            INTEGER PRIMARY KEY,
    activity_id   BIGINT NOT NULL,
    technician_id BIGINT NOT NULL,
    kind          TEXT NOT NULL,                   -- 'meal', 'lodging', 'toll', 'parking',
                                                   -- 'material', 'other'
    amount_cents  BIGINT NOT NULL,                 -- as paid
    currency      TEXT NOT NULL DEFAULT 'EUR',
    spent_d       TEXT NOT NULL,
    rebill        TEXT NOT NULL DEFAULT 'at_cost', -- 'none', 'at_cost', 'mark_up', 'per_diem'
    receipt_id    BIGINT,
    void_of_id    BIGINT,
    home          BIGINT,                          -- bucket, filled by triggers
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (technician_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (receipt_id) REFERENCES attachment (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (void_of_id) REFERENCES expense (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_expense_activity ON expense (activity_id);

-- Something in the life of an asset: installed, moved, upgraded, a part swapped, a meter read.
-- Its history is these and its visits.
CREATE TABLE asset_event (
    id          INTEGER PRIMARY KEY,
    asset_id    BIGINT NOT NULL,
    kind        TEXT NOT NULL,       -- 'install', 'move', 'upgrade', 'swap', 'meter', 'retire',
                                     -- 'owner', 'inspect'
    occurred_at BIGINT NOT NULL,
    by_id       BIGINT,              -- none: the server
    activity_id BIGINT,
    site_id     BIGINT,              -- where it then was
    meter       TEXT,                -- which meter: 'hours', 'starts'
    value_m     BIGINT,              -- its reading, in thousandths
    note        TEXT,
    home        BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (asset_id) REFERENCES asset (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (site_id) REFERENCES site (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_asset_event_asset ON asset_event (asset_id);

-- Prepaid minutes granted (plus) or used (minus). What is left is the sum.
CREATE TABLE allowance_entry (
    id          INTEGER PRIMARY KEY,
    line_id     BIGINT NOT NULL,
    qty_min     BIGINT NOT NULL,     -- plus: granted; minus: used
    occurred_at BIGINT NOT NULL,
    activity_id BIGINT,
    kind        TEXT NOT NULL,       -- 'grant', 'use', 'expire', 'correct'
    home        BIGINT,              -- bucket, filled by triggers
    FOREIGN KEY (line_id) REFERENCES contract_line (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (activity_id) REFERENCES activity (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX ux_allowance_use ON allowance_entry (line_id, activity_id) WHERE kind = 'use';

-- A mail, in or out. The internet message id makes a reply delivered twice one row; outgoing
-- mail waits here until the server has sent it, once.
CREATE TABLE message (
    id                  INTEGER PRIMARY KEY,
    call_id             BIGINT,
    direction           TEXT NOT NULL,                  -- 'in', 'out'
    internet_message_id BIGINT NOT NULL,
    in_reply_to         TEXT,
    address_from        TEXT NOT NULL,
    address_to          TEXT NOT NULL,
    subject             TEXT NOT NULL,
    body                TEXT NOT NULL,
    occurred_at         BIGINT NOT NULL,
    by_id               BIGINT,                         -- who wrote an outgoing one
    state               TEXT NOT NULL DEFAULT 'queued', -- 'received', 'queued', 'sent', 'failed'
    home                BIGINT,                         -- bucket, filled by triggers
    UNIQUE (internet_message_id),
    FOREIGN KEY (call_id) REFERENCES call (id) DEFERRABLE INITIALLY DEFERRED,
    FOREIGN KEY (by_id) REFERENCES app_user (id) DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX ix_message_call ON message (call_id) WHERE call_id IS NOT NULL;

-- Prepaid minutes left on a contract line.
CREATE VIEW allowance_left AS
SELECT line_id, CAST(SUM(qty_min) AS BIGINT) AS left_min
FROM allowance_entry
GROUP BY line_id;

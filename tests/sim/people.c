/* SPDX-License-Identifier: Apache-2.0 */
/* What people do on their devices: plain SQL by some program that knows nothing of the sync. */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct person {
    struct world *world;
    int number;
    struct world_agent *agent;
    int64_t user_id;
    int64_t now_us; /* what the device's clock says */
};

static size_t table_no(const struct person *person, const char *table)
{
    return history_table_no(&person->world->history, table);
}

static size_t column_no(const struct person *person, const char *table, const char *column)
{
    return history_column_no(&person->world->history.tables[table_no(person, table)], column);
}

/* Some row of the table on this device that satisfies the condition; 0: there is none. */
static int64_t pick(const struct person *person, const char *table, const char *condition)
{
    struct sim_text sql = {0};
    int64_t count = 0;
    int64_t id = 0;

    sim_text_add(&sql, "SELECT count(*) FROM \"%s\" WHERE %s", table, condition);
    count = sim_integer(person->world, person->agent->database, sql.text);
    if (count != 0) {
        sql.size = 0;
        sim_text_add(&sql, "SELECT id FROM \"%s\" WHERE %s ORDER BY id LIMIT 1 OFFSET %" PRId64,
                     table, condition, world_draw(person->world, 0, count - 1));
        id = sim_integer(person->world, person->agent->database, sql.text);
    }
    free(sql.text);
    return id;
}

/* After a failure of the disk nothing of the transaction is tried any more. */
static bool run(const struct person *person, const char *sql)
{
    struct world *world = person->world;
    struct world_agent *agent = person->agent;
    int code = SQLITE_OK;

    if (agent->has_failed)
        return false;
    disk_arm_writes(&world->disk, world_machine(person->number));
    code = sim_try(agent->database, sql);
    world_disarm(world);
    if (code == SQLITE_OK)
        return sqlite3_changes(agent->database) == 1;
    agent->has_failed = true;
    world_say(world, "%s can't write: %s", agent->name, sqlite3_errmsg(agent->database));
    if (world_disk(world, person->number)->struck_count == 0 &&
        !world_disk(world, person->number)->is_dead)
        world_fail(world, "%s: %s: %s", agent->name, sql, sqlite3_errmsg(agent->database));
    return false;
}

/* In the ledger, unless the transaction has failed: then it goes nowhere. */
static struct ledger_edit *note(const struct person *person, char op, const char *table, int64_t id,
                                size_t column, const char *value)
{
    struct world *world = person->world;

    if (person->agent->has_failed)
        return &world->ledger.nowhere;
    return ledger_add(world, person->number, op, table_no(person, table), id, column, value);
}

/* Sets a column to a value that occurs nowhere else. */
static struct ledger_edit *set_text(const struct person *person, const char *table, int64_t id,
                                    const char *column)
{
    struct sim_text sql = {0};
    struct ledger_edit *edit = NULL;
    char marker[32];

    if (id == 0)
        return NULL;
    world_marker(person->world, 'e', marker);
    sim_text_add(&sql, "UPDATE \"%s\" SET \"%s\" = '%s' WHERE id = %" PRId64, table, column, marker,
                 id);
    if (run(person, sql.text)) {
        world_say(person->world, "%s writes %s", person->agent->name, sql.text);
        edit = note(person, 'U', table, id, column_no(person, table, column), marker);
    }
    free(sql.text);
    return edit;
}

/* Inserts a row whose `marked` column holds a value that occurs nowhere else. `values` are those of
 * the columns named in `columns`, without id and the marked one. */
static int64_t insert(const struct person *person, const char *table, const char *marked,
                      const char *columns, const char *values, ...)
    __attribute__((format(printf, 5, 6)));
static int64_t insert(const struct person *person, const char *table, const char *marked,
                      const char *columns, const char *values, ...)
{
    struct sim_text sql = {0};
    char marker[32];
    char text[400];
    int64_t id = sim_integer(person->world, person->agent->database, "SELECT id FROM new_id");
    va_list arguments;

    world_marker(person->world, 'e', marker);
    va_start(arguments, values);
    (void)vsnprintf(text, sizeof text, values, arguments);
    va_end(arguments);
    sim_text_add(&sql, "INSERT INTO \"%s\" (id, \"%s\", %s) VALUES (%" PRId64 ", '%s', %s)", table,
                 marked, columns, id, marker, text);
    (void)run(person, sql.text);
    world_say(person->world, "%s writes %s", person->agent->name, sql.text);
    free(sql.text);
    (void)note(person, 'I', table, id, column_no(person, table, marked), marker);
    return id;
}

/* A value that may occur elsewhere, too: it isn't looked for in the end. */
static void add_common(const struct person *person, const char *table, int64_t id,
                       const char *column, char op, const char *value)
{
    note(person, op, table, id, column_no(person, table, column), value)->is_common = true;
}

/* ---- what they do ---- */

static void add_note(const struct person *person)
{
    int64_t call = pick(person, "call", "1");

    if (call != 0)
        (void)insert(person, "call_note", "body", "call_id, occurred_at, by_id",
                     "%" PRId64 ", %" PRId64 ", %" PRId64, call, person->now_us, person->user_id);
}

static void add_session(const struct person *person)
{
    int64_t activity = pick(person, "activity", "1");

    if (activity != 0)
        (void)insert(person, "work_session", "kind",
                     "activity_id, technician_id, started_at, ended_at",
                     "%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64, activity, person->user_id,
                     person->now_us - SECONDS(600), person->now_us);
}

static void add_part_use(const struct person *person)
{
    int64_t activity = pick(person, "activity", "1");
    int64_t item = pick(person, "item", "1");
    char holder[60];
    int64_t van = 0;

    (void)snprintf(holder, sizeof holder, "holder_id = %" PRId64, person->user_id);
    van = pick(person, "location", holder);
    if (activity != 0 && item != 0 && van != 0)
        (void)insert(person, "part_use", "cause",
                     "activity_id, item_id, used_m, from_location_id, occurred_at, by_id",
                     "%" PRId64 ", %" PRId64 ", 1000, %" PRId64 ", %" PRId64 ", %" PRId64, activity,
                     item, van, person->now_us, person->user_id);
}

/* It was another part, or none. */
static void take_part_back(const struct person *person)
{
    char condition[100];
    int64_t use = 0;

    (void)snprintf(condition, sizeof condition, "by_id = %" PRId64 " AND void_of_id IS NULL",
                   person->user_id);
    use = pick(person, "part_use", condition);
    if (use != 0)
        (void)insert(person, "part_use", "cause",
                     "activity_id, item_id, used_m, from_location_id, occurred_at, by_id,"
                     " void_of_id",
                     "(SELECT activity_id FROM part_use WHERE id = %" PRId64
                     "), (SELECT item_id FROM part_use WHERE id = %" PRId64
                     "), 1000, (SELECT from_location_id FROM part_use WHERE id = %" PRId64
                     "), %" PRId64 ", %" PRId64 ", %" PRId64,
                     use, use, use, person->now_us, person->user_id, use);
}

static void change_contact(const struct person *person)
{
    static const char *const COLUMNS[] = {"name", "phone", "email", "role"};

    (void)set_text(person, "contact", pick(person, "contact", "1"),
                   COLUMNS[world_draw(person->world, 0, 3)]);
}

static void add_contact(const struct person *person)
{
    int64_t site = pick(person, "site", "1");
    char sql[100];

    if (site == 0)
        return;
    (void)snprintf(sql, sizeof sql, "SELECT party_id FROM site WHERE id = %" PRId64, site);
    (void)insert(person, "contact", "name", "party_id, site_id", "%" PRId64 ", %" PRId64,
                 sim_integer(person->world, person->agent->database, sql), site);
}

static void change_site(const struct person *person)
{
    (void)set_text(person, "site", pick(person, "site", "1"), "access_note");
}

static void change_call(const struct person *person)
{
    (void)set_text(person, "call", pick(person, "call", "1"),
                   world_chance(person->world, 500000) ? "description" : "problem_code");
}

static void change_party(const struct person *person)
{
    (void)set_text(person, "party", pick(person, "party", "1"), "name");
}

/* One row an activity: several people may insert it at once. */
static void report(const struct person *person)
{
    static const char *const COLUMNS[] = {"outcome", "cause", "report_text", "follow_up_note"};
    const char *column = COLUMNS[world_draw(person->world, 0, 3)];
    int64_t activity = pick(person, "activity", "1");
    char condition[60];
    char text[32];
    int64_t result = 0;
    int64_t id = 0;

    if (activity == 0)
        return;
    (void)snprintf(condition, sizeof condition, "activity_id = %" PRId64, activity);
    result = pick(person, "activity_result", condition);
    if (result != 0) {
        (void)set_text(person, "activity_result", result, column);
        return;
    }
    id = insert(person, "activity_result", column, "activity_id", "%" PRId64, activity);
    (void)snprintf(text, sizeof text, "%" PRId64, activity);
    add_common(person, "activity_result", id, "activity_id", 'I', text);
}

static void answer(const struct person *person)
{
    int64_t activity = pick(person, "activity", "1");
    int64_t item = pick(person, "checklist_item", "1");
    char condition[100];
    char text[32];
    int64_t id = 0;

    if (activity == 0 || item == 0)
        return;
    (void)snprintf(condition, sizeof condition, "activity_id = %" PRId64 " AND item_id = %" PRId64,
                   activity, item);
    id = pick(person, "checklist_answer", condition);
    if (id != 0) {
        (void)set_text(person, "checklist_answer", id, "value");
        return;
    }
    id = insert(person, "checklist_answer", "value", "activity_id, item_id, by_id, answered_at",
                "%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64, activity, item, person->user_id,
                person->now_us);
    (void)snprintf(text, sizeof text, "%" PRId64, activity);
    add_common(person, "checklist_answer", id, "activity_id", 'I', text);
}

/* A new call with a visit and a note, in one transaction. */
static void open_call(const struct person *person)
{
    int64_t site = pick(person, "site", "1");
    int64_t call = 0;
    int64_t activity = 0;
    char sql[300];

    if (site == 0)
        return;
    (void)snprintf(sql, sizeof sql, "SELECT party_id FROM site WHERE id = %" PRId64, site);
    call = insert(person, "call", "subject", "channel, party_id, site_id, opened_at, opened_by_id",
                  "'visit', %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64,
                  sim_integer(person->world, person->agent->database, sql), site, person->now_us,
                  person->user_id);
    activity = sim_integer(person->world, person->agent->database, "SELECT id FROM new_id");
    (void)snprintf(
        sql, sizeof sql,
        "INSERT INTO activity (id, call_id, activity_type_id, technician_id) VALUES (%" PRId64
        ", %" PRId64 ", 1, %" PRId64 ")",
        activity, call, person->user_id);
    (void)run(person, sql);
    world_say(person->world, "%s writes %s", person->agent->name, sql);
    (void)note(person, 'I', "activity", activity, HISTORY_NOTHING, "");
    (void)insert(person, "call_note", "body", "call_id, occurred_at, by_id",
                 "%" PRId64 ", %" PRId64 ", %" PRId64, call, person->now_us, person->user_id);
}

static void step_activity(const struct person *person)
{
    static const char *const KINDS[] = {"accept", "depart", "arrive", "start", "finish"};
    int64_t activity = pick(person, "activity", "1");

    if (activity != 0)
        (void)insert(person, "activity_event", "reason", "activity_id, kind, occurred_at, by_id",
                     "%" PRId64 ", '%s', %" PRId64 ", %" PRId64, activity,
                     KINDS[world_draw(person->world, 0, 4)], person->now_us, person->user_id);
}

/* What no technician may change, a reference to nothing, somebody else's name: must be refused. */
static void do_wrong(const struct person *person)
{
    struct ledger_edit *edit = NULL;

    switch (world_draw(person->world, 0, 2)) {
    case 0:
        edit = set_text(person, "site", pick(person, "site", "1"), "name");
        break;
    case 1:
        (void)insert(person, "call_note", "body", "call_id, occurred_at, by_id",
                     "%" PRId64 ", %" PRId64 ", %" PRId64, INT64_C(4711), person->now_us,
                     person->user_id);
        edit = &person->world->ledger.edits[person->world->ledger.count - 1];
        break;
    default: {
        int64_t call = pick(person, "call", "1");

        if (call == 0)
            return;
        (void)insert(person, "call_note", "body", "call_id, occurred_at, by_id",
                     "%" PRId64 ", %" PRId64 ", %" PRId64, call, person->now_us,
                     person->user_id + 1);
        edit = &person->world->ledger.edits[person->world->ledger.count - 1];
        break;
    }
    }
    if (edit != NULL && !person->agent->has_failed) {
        edit->is_poison = true;
        world_count(person->world, FAULT_POISON);
    }
}

/* Help desk: a call turns out to be about another place; a contact goes. */
static void do_desk_work(const struct person *person)
{
    int64_t site = pick(person, "site", "1");
    int64_t call = pick(person, "call", "1");
    int64_t contact = pick(person, "contact",
                           "NOT EXISTS (SELECT 1 FROM call"
                           " WHERE contact_id = contact.id)");
    int64_t party = 0;
    char sql[200];

    if (world_chance(person->world, 300000) && contact != 0) {
        (void)snprintf(sql, sizeof sql, "DELETE FROM contact WHERE id = %" PRId64, contact);
        (void)run(person, sql);
        world_say(person->world, "%s writes %s", person->agent->name, sql);
        (void)note(person, 'D', "contact", contact, HISTORY_NOTHING, "");
        return;
    }
    if (site == 0 || call == 0)
        return;
    (void)snprintf(sql, sizeof sql, "SELECT party_id FROM site WHERE id = %" PRId64, site);
    party = sim_integer(person->world, person->agent->database, sql);
    (void)snprintf(sql, sizeof sql,
                   "UPDATE call SET site_id = %" PRId64 ", party_id = %" PRId64
                   " WHERE id = %" PRId64 " AND site_id <> %" PRId64 " AND party_id <> %" PRId64,
                   site, party, call, site, party);
    if (!run(person, sql))
        return;
    world_say(person->world, "%s writes %s", person->agent->name, sql);
    (void)snprintf(sql, sizeof sql, "%" PRId64, site);
    add_common(person, "call", call, "site_id", 'U', sql);
    (void)snprintf(sql, sizeof sql, "%" PRId64, party);
    add_common(person, "call", call, "party_id", 'U', sql);
}

/* Rows by the thousand in one statement: a list read in, a day's measurements. */
static void add_bulk(const struct person *person)
{
    enum { ROWS_LEAST = 200, ROWS_MOST = 2000 };
    struct world *world = person->world;
    int64_t call = pick(person, "call", "1");
    int64_t count = world_draw(world, ROWS_LEAST, ROWS_MOST);
    int64_t id = sim_integer(world, person->agent->database, "SELECT id FROM new_id");
    struct ledger_edit *edit = NULL;
    char marker[32];
    char sql[400];

    if (call == 0 || world->counts.fired[FAULT_BULK] != 0)
        return;
    world_marker(world, 'e', marker);
    (void)snprintf(sql, sizeof sql,
                   "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 <"
                   " %" PRId64 ") INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
                   " SELECT %" PRId64 " + i, %" PRId64 ", %" PRId64 ", %" PRId64 ", '%s' FROM n",
                   count, id, call, person->now_us, person->user_id, marker);
    (void)run(person, sql);
    world_say(world, "%s writes %" PRId64 " rows", person->agent->name, count);
    edit = note(person, 'I', "call_note", id, column_no(person, "call_note", "body"), marker);
    edit->row_count = count;
    world_count(world, FAULT_BULK);
}

/* The content first, as the agent's own command does it; large ones where the network is quick. */
static void attach(const struct person *person)
{
    enum { SIZE_MAX_HERE = 300000 };
    struct world *world = person->world;
    static uint8_t content[SIZE_MAX_HERE];
    bool is_quick = world->scenario.bytes_per_second >= 100000;
    size_t size =
        (size_t)(is_quick && world_chance(world, 300000) ? world_draw(world, 4000, SIZE_MAX_HERE)
                                                         : world_draw(world, 1, 4000));
    int64_t call = pick(person, "call", "1");
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    char hex[2 * BLOB_STORE_HASH_SIZE + 1];

    if (call == 0)
        return;
    for (size_t i = 0; i < size; i++)
        content[i] = (uint8_t)prng_next(&world->prng);
    sim_blobs_put(&person->agent->blobs, content, size, hash);
    bytes_to_hex(bytes_of(hash, sizeof hash), hex);
    (void)insert(person, "attachment", "name",
                 "call_id, mime_type, size_n, content_hash, created_at, by_id",
                 "%" PRId64 ", 'image/jpeg', %zu, '%s', %" PRId64 ", %" PRId64, call, size, hex,
                 person->now_us, person->user_id);
    world_count(world, FAULT_ATTACHMENT);
}

/* Somebody opens an attachment that isn't here yet. */
static void want_attachment(const struct person *person)
{
    int64_t id = pick(person, "attachment",
                      "lower(content_hash) NOT IN (SELECT lower(hex(hash)) FROM fs_blob)"
                      " AND id NOT BETWEEN (SELECT number << 33 FROM fs_state WHERE name ="
                      " 'replica_no') AND (SELECT (number << 33) + 8589934591 FROM fs_state"
                      " WHERE name = 'replica_no')");
    sqlite3_stmt *statement = NULL;
    char sql[200];

    if (id == 0)
        return;
    (void)snprintf(sql, sizeof sql, "SELECT content_hash FROM attachment WHERE id = %" PRId64, id);
    statement = sim_prepare(person->world, person->agent->database, sql);
    if (sqlite3_step(statement) == SQLITE_ROW)
        (void)snprintf(sql, sizeof sql, "INSERT INTO fs_blob (hash, state) VALUES (x'%s', 3)",
                       sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    (void)run(person, sql);
    world_say(person->world, "%s wants attachment %" PRId64, person->agent->name, id);
}

static void (*const WORK[])(const struct person *) = {
    add_note,      add_session,  add_part_use,   change_contact, add_contact,    change_site,
    change_call,   change_party, report,         report,         answer,         open_call,
    step_activity, change_site,  change_contact, add_part_use,   take_part_back,
};
enum { WORK_COUNT = sizeof WORK / sizeof WORK[0] };

static bool is_drawn(const struct person *person, enum fault fault)
{
    uint64_t chance = person->world->scenario.faults[fault].chance;

    return chance != 0 && world_chance(person->world, chance);
}

static void do_something(const struct person *person, bool is_desk)
{
    if (is_desk && world_chance(person->world, 300000))
        do_desk_work(person);
    else if (!is_desk && is_drawn(person, FAULT_POISON))
        do_wrong(person);
    else if (is_drawn(person, FAULT_BULK))
        add_bulk(person);
    else if (is_drawn(person, FAULT_ATTACHMENT))
        attach(person);
    else if (scenario_has(&person->world->scenario, FAULT_ATTACHMENT) &&
             world_chance(person->world, 100000))
        want_attachment(person);
    else
        WORK[world_draw(person->world, 0, WORK_COUNT - 1)](person);
}

/* A commit that failed may have happened: whoever opens the file anew sees it (or not). */
static bool is_there(struct world *world, const struct world_agent *agent, int64_t lcn)
{
    sqlite3 *database = sim_open(world, agent->path);
    char sql[100];
    bool is_found = false;

    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM fs_outbox WHERE lcn = %" PRId64, lcn);
    is_found = sim_integer(world, database, sql) != 0;
    (void)sqlite3_close(database);
    return is_found;
}

/* As a careful program does: everything is closed, opened and looked at. */
static void recover(const struct person *person, uint64_t transaction, bool is_committing)
{
    struct world *world = person->world;
    struct ledger *ledger = &world->ledger;
    bool is_dead = world_disk(world, person->number)->is_dead;
    int64_t lcn = 0;

    (void)sim_try(person->agent->database, "ROLLBACK");
    if (ledger->count != 0 && ledger->edits[ledger->count - 1].transaction == transaction)
        lcn = ledger->edits[ledger->count - 1].lcn;
    if (is_dead)
        agent_node_die(world, person->number);
    else if (is_committing)
        agent_node_reopen(world, person->number, "a commit failed");
    if (lcn != 0 && is_committing && is_there(world, person->agent, lcn)) {
        world_say(world, "%s finds it stored, and syncs it", person->agent->name);
        disk_sync(&world->disk, world_machine(person->number));
        world->counts.edits++;
        return;
    }
    if (lcn != 0 && !is_committing && is_there(world, person->agent, lcn))
        world_fail(world, "G3: %s: a part of a transaction is there", person->agent->name);
    world->counts.failed_edits++;
    ledger_undo(world, person->number, transaction);
}

/* One transaction, now and then of several changes, now and then undone. */
void people_edit(struct world *world, int number)
{
    struct person person = {.world = world, .number = number, .agent = &world->agents[number]};
    bool is_desk = world->scenario.has_help_desk && number == 0;
    int64_t more = world_chance(world, 250000) ? world_draw(world, 1, 4) : 0;
    uint64_t transaction = 0;

    if (!person.agent->is_running || person.agent->locker != NULL)
        return;
    world_enter(world, number);
    person.user_id = person.agent->user_id;
    person.now_us = world_wall(world, number).us;
    person.agent->has_failed = false;
    transaction = ++world->ledger.transaction_last;
    if (sim_try(person.agent->database, "BEGIN IMMEDIATE") != SQLITE_OK) {
        if (!replica_is_unsettled(person.agent->replica))
            world_fail(world, "%s: %s", person.agent->name, sqlite3_errmsg(person.agent->database));
        return; /* a first snapshot holds the lock: later then */
    }
    for (int64_t i = 0; i <= more && !person.agent->has_failed; i++)
        do_something(&person, is_desk);
    if (person.agent->has_failed) {
        recover(&person, transaction, false);
        return;
    }
    if (world_chance(world, 40000)) {
        sim_exec(world, person.agent->database, "ROLLBACK");
        world_say(world, "%s undoes that", person.agent->name);
        ledger_undo(world, number, transaction);
        return;
    }
    (void)run(&person, "COMMIT");
    if (person.agent->has_failed) {
        recover(&person, transaction, true);
        return;
    }
    world->counts.edits++;
    agent_node_changed(world, number);
}

/* Right after another: what one has done is there before the next one begins. */
void people_change_in_turn(struct world *world)
{
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct person person = {.world = world, .number = (int)i, .agent = &world->agents[i]};
        const struct ledger_edit *edit = NULL;
        char sql[120];

        world_enter(world, (int)i);
        world->ledger.transaction_last++;
        edit = set_text(&person, "site", pick(&person, "site", "1"), "access_note");
        if (edit == NULL)
            continue;
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM site WHERE id = %" PRId64 " AND access_note = '%s'",
                       edit->row_id, edit->value);
        agent_node_changed(world, (int)i);
        if (!world_wait(world, SECONDS(30)))
            world_fail(world, "G6: a last edit of %s isn't delivered", person.agent->name);
        if (sim_integer(world, world->server.office, sql) != 1)
            world_fail(world, "I9: %s's '%s' doesn't count, though it was the last one",
                       person.agent->name, edit->value);
    }
}

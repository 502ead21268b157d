/* SPDX-License-Identifier: Apache-2.0 */
/* The first oracle: what a replica shows is the master at its published head, restricted to what
 * its user was subscribed to then, with the user's own edits on top (I4, R1, R2), and no edit
 * without a verdict is touched (I6, I7). Compared row by row after every step that changed the
 * file. */
#include "tests/sim/world.h"

#include "server/store/contents.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum edit_state {
    EDIT_UNDECIDED, /* the master has no verdict: the local value must be there */
    EDIT_ARRIVING,  /* decided, but its device or its published head isn't there yet */
};

struct open_edit {
    const struct ledger_edit *edit;
    enum edit_state state;
    bool is_seen;
};

struct check {
    struct world *world;
    struct world_agent *agent;
    int number;
    int64_t head;
    const struct history_scope *scope;
    struct open_edit *open;
    size_t open_count;
    int64_t acknowledged; /* changes up to here have their verdict on the device */
    bool is_end;
};

/* ---- own edits ---- */

static void collect_open(struct check *check)
{
    const struct ledger *ledger = &check->world->ledger;
    int64_t acknowledged = sim_integer(check->world, check->agent->database,
                                       "SELECT coalesce((SELECT min(lcn_first) - 1 FROM fs_seal"
                                       " WHERE verdict_at IS NULL), (SELECT number FROM fs_state"
                                       " WHERE name = 'sealed_lcn'), 0)");

    check->acknowledged = acknowledged;
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_edit *edit = &ledger->edits[i];

        if (edit->agent != check->number)
            continue;
        if (edit->commit_seq == 0 && edit->lcn <= acknowledged &&
            ledger_came_to_nothing(check->world, edit))
            continue;
        if (edit->commit_seq == 0 && edit->lcn <= acknowledged)
            world_fail(check->world,
                       "I2: %s believes that change %" PRId64 " has its verdict, the master has "
                       "none",
                       check->agent->name, edit->lcn);
        if (edit->commit_seq != 0 && edit->lcn <= acknowledged && edit->commit_seq <= check->head)
            continue;
        check->open = sim_grow(check->open, check->open_count + 1, sizeof *check->open);
        check->open[check->open_count++] =
            (struct open_edit){edit, edit->commit_seq == 0 ? EDIT_UNDECIDED : EDIT_ARRIVING, false};
    }
}

static bool is_of(const struct open_edit *open, size_t table, int64_t id)
{
    const struct ledger_edit *edit = open->edit;

    return edit->table == table &&
           ((id >= edit->row_id && id - edit->row_id < edit->row_count) || edit->joined_id == id);
}

static bool row_is_open(const struct check *check, size_t table, int64_t id)
{
    for (size_t i = 0; i < check->open_count; i++)
        if (is_of(&check->open[i], table, id))
            return true;
    return false;
}

static bool row_is_arriving(const struct check *check, size_t table, int64_t id)
{
    for (size_t i = 0; i < check->open_count; i++)
        if (is_of(&check->open[i], table, id) && check->open[i].state == EDIT_ARRIVING)
            return true;
    return false;
}

/* The newest undecided edit of this column, or NULL. */
static const struct ledger_edit *undecided_edit(const struct check *check, size_t table, int64_t id,
                                                size_t column)
{
    const struct ledger_edit *found = NULL;

    for (size_t i = 0; i < check->open_count; i++)
        if (is_of(&check->open[i], table, id) && check->open[i].state == EDIT_UNDECIDED &&
            check->open[i].edit->column == column)
            found = check->open[i].edit;
    return found;
}

static bool is_deleted_here(const struct check *check, size_t table, int64_t id)
{
    for (size_t i = 0; i < check->open_count; i++)
        if (is_of(&check->open[i], table, id) && check->open[i].edit->op == 'D')
            return true;
    return false;
}

static bool is_born_here(const struct check *check, size_t table, int64_t id)
{
    for (size_t i = 0; i < check->open_count; i++)
        if (is_of(&check->open[i], table, id) && check->open[i].edit->op == 'I')
            return true;
    return false;
}

static bool shows(sqlite3_value *value, const char *text)
{
    const char *found = (const char *)sqlite3_value_text(value);

    return found != NULL && strcmp(found, text) == 0;
}

/* Does an own open insert have the same natural key? Then one of the two waits for the merge. */
static bool is_key_taken(const struct check *check, size_t table, sqlite3_value **values)
{
    const struct history_table *described = &check->world->history.tables[table];

    if (!described->has_key)
        return false;
    for (size_t i = 0; i < check->open_count; i++) {
        const struct ledger_edit *edit = check->open[i].edit;

        if (edit->table != table || edit->op != 'I' || !edit->is_common)
            continue;
        if (edit->column != HISTORY_NOTHING && shows(values[edit->column], edit->value))
            return true;
    }
    return false;
}

/* An own edit or a version of the master after the head: what a verdict may have brought. */
static bool may_arrive(const struct check *check, size_t table, int64_t id, size_t column,
                       sqlite3_value *value)
{
    const struct history_row *row = history_row(&check->world->history.tables[table], id);

    for (size_t i = 0; i < check->open_count; i++)
        if (check->open[i].edit->table == table && check->open[i].edit->column == column &&
            shows(value, check->open[i].edit->value))
            return true;
    for (size_t i = 0; row != NULL && i < row->count; i++)
        if (row->versions[i].seq > check->head && row->versions[i].values != NULL &&
            history_same(row->versions[i].values[column], value))
            return true;
    return false;
}

/* ---- rows ---- */

static const char *text_of(sqlite3_value *value)
{
    return sqlite3_value_type(value) == SQLITE_NULL ? "NULL"
                                                    : (const char *)sqlite3_value_text(value);
}

/* The newest own edit of the column whose verdict is here while its head isn't; NULL: none. */
static const struct ledger_edit *answered_edit(const struct check *check, size_t table, int64_t id,
                                               size_t column)
{
    const struct ledger_edit *found = NULL;

    for (size_t i = 0; i < check->open_count; i++) {
        const struct open_edit *open = &check->open[i];

        if (!is_of(open, table, id) || open->edit->joined_id != 0)
            continue;
        if (open->state == EDIT_UNDECIDED)
            return NULL; /* compared by itself */
        if (open->edit->column == column && open->edit->lcn > check->acknowledged)
            return NULL; /* a newer one, decided by now: its verdict isn't here yet */
        if (open->edit->column == column && open->edit->lcn <= check->acknowledged &&
            open->edit->commit_seq > check->head)
            found = open->edit;
    }
    return found;
}

/* Once its verdict is here, an edit shows its own value or what the master has had since: never
 * again what was there before it, though the published head is an older one. */
static bool is_fallen_back(const struct check *check, const struct ledger_edit *edit, size_t table,
                           int64_t id, size_t column, sqlite3_value *found)
{
    const struct history_row *row = history_row(&check->world->history.tables[table], id);

    if (row == NULL || shows(found, edit->value))
        return false;
    for (size_t i = 0; i < row->count; i++) {
        bool is_since = i + 1 == row->count || row->versions[i + 1].seq > edit->commit_seq;

        if (is_since && (row->versions[i].values == NULL ||
                         history_same(row->versions[i].values[column], found)))
            return false;
    }
    return true;
}

static void compare_column(const struct check *check, size_t table, int64_t id, size_t column,
                           sqlite3_value *found, sqlite3_value *expected, bool is_joined)
{
    const struct history_table *described = &check->world->history.tables[table];
    const struct ledger_edit *own = undecided_edit(check, table, id, column);
    const struct ledger_edit *answered = NULL;
    char *shown = NULL;

    if (own != NULL) {
        if (!shows(found, own->value))
            world_fail(check->world,
                       "I6: %s edited %s %" PRId64 " %s to '%s' (change %" PRId64
                       ", no verdict yet), the replica shows '%s'",
                       check->agent->name, described->name, id, described->columns[column].name,
                       own->value, own->lcn, text_of(found));
        return;
    }
    answered = answered_edit(check, table, id, column);
    if (answered != NULL && is_fallen_back(check, answered, table, id, column, found))
        world_fail(
            check->world,
            "I4: %s published %" PRId64 ": %s %" PRId64 " %s fell back to '%s', though '%s' (change"
            " %" PRId64 ") has its verdict of %" PRId64,
            check->agent->name, check->head, described->name, id, described->columns[column].name,
            text_of(found), answered->value, answered->lcn, answered->commit_seq);
    if (history_same(found, expected))
        return;
    if (is_born_here(check, table, id))
        return; /* what the server made of it comes with the verdict */
    if ((row_is_arriving(check, table, id) || is_joined) &&
        may_arrive(check, table, id, column, found))
        return;
    shown = sim_copy(text_of(found));
    world_fail(check->world,
               "I4: %s published %" PRId64 ": %s %" PRId64 " %s is '%s', the master had '%s'",
               check->agent->name, check->head, described->name, id,
               described->columns[column].name, shown, text_of(expected));
}

static void mark_seen(struct check *check, size_t table, int64_t id, sqlite3_stmt *scan)
{
    for (size_t i = 0; i < check->open_count; i++) {
        struct open_edit *open = &check->open[i];

        if (!is_of(open, table, id))
            continue;
        open->is_seen = true;
        if (open->state != EDIT_UNDECIDED || open->edit->is_superseded ||
            open->edit->column == HISTORY_NOTHING)
            continue;
        if (!shows(sqlite3_column_value(scan, (int)open->edit->column + 1), open->edit->value))
            world_fail(check->world, "I6: %s: %s %" PRId64 " lost the unsent '%s'",
                       check->agent->name, check->world->history.tables[table].name, id,
                       open->edit->value);
    }
}

static bool is_quarantined(const struct check *check, size_t table, int64_t id)
{
    char sql[140];

    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM fs_quarantine WHERE table_no = %" PRId64
                   " AND row_id = %" PRId64,
                   check->world->history.tables[table].number, id);
    return sim_integer(check->world, check->agent->database, sql) != 0;
}

static void missing_row(const struct check *check, size_t table, int64_t id,
                        const struct history_version *expected)
{
    const struct history_table *described = &check->world->history.tables[table];

    if (is_deleted_here(check, table, id) || row_is_arriving(check, table, id) ||
        is_key_taken(check, table, expected->values) || is_quarantined(check, table, id))
        return;
    world_fail(check->world,
               "I4: %s published %" PRId64 " without %s %" PRId64 ", which the master had",
               check->agent->name, check->head, described->name, id);
}

/* Is the row referred to by a row with an open edit, directly or on the way (I7)? */
static bool is_held(const struct check *check, size_t table, int64_t id, int depth)
{
    const struct history *history = &check->world->history;
    const struct history_table *described = &history->tables[table];

    if (row_is_open(check, table, id))
        return true;
    if (depth > 8)
        return false;
    for (size_t t = 0; t < history->table_count; t++)
        for (size_t c = 0; c < history->tables[t].column_count; c++) {
            struct sim_text sql = {0};
            sqlite3_stmt *statement = NULL;
            bool is_found = false;

            if (history->tables[t].columns[c].refers_to != table)
                continue;
            sim_text_add(&sql, "SELECT id FROM \"%s\" WHERE \"%s\" = %" PRId64,
                         history->tables[t].name, history->tables[t].columns[c].name, id);
            statement = sim_prepare(check->world, check->agent->database, sql.text);
            free(sql.text);
            while (!is_found && sqlite3_step(statement) == SQLITE_ROW)
                is_found = (t != table || sqlite3_column_int64(statement, 0) != id) &&
                           is_held(check, t, sqlite3_column_int64(statement, 0), depth + 1);
            sqlite3_finalize(statement);
            if (is_found)
                return true;
        }
    (void)described;
    return false;
}

static void extra_row(const struct check *check, size_t table, int64_t id)
{
    if (check->open_count != 0 && is_held(check, table, id, 0))
        return;
    world_fail(check->world,
               "I4: %s published %" PRId64 " with %s %" PRId64
               ", which is not in its subscription of then",
               check->agent->name, check->head, check->world->history.tables[table].name, id);
}

static const struct history_version *expected_row(const struct check *check,
                                                  const struct history_row *row)
{
    const struct history_version *version = history_at(row, check->head);

    return version != NULL && history_has_bucket(check->scope, version->bucket) ? version : NULL;
}

static void check_table(struct check *check, size_t number)
{
    struct world *world = check->world;
    const struct history_table *table = &world->history.tables[number];
    sqlite3_stmt **scan = &check->agent->scans[number];
    size_t next = 0;

    if (*scan == NULL) {
        struct sim_text sql = {0};

        sim_text_add(&sql, "SELECT %s FROM \"%s\" ORDER BY id", table->columns_text, table->name);
        *scan = sim_prepare(world, check->agent->database, sql.text);
        free(sql.text);
    }
    while (sqlite3_step(*scan) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(*scan, 0);
        const struct history_version *expected = NULL;
        bool is_joined = false;

        for (; next < table->row_count && table->rows[next]->id < id; next++) {
            expected = expected_row(check, table->rows[next]);
            if (expected != NULL)
                missing_row(check, number, table->rows[next]->id, expected);
        }
        expected = NULL;
        if (next < table->row_count && table->rows[next]->id == id)
            expected = expected_row(check, table->rows[next++]);
        mark_seen(check, number, id, *scan);
        if (expected == NULL)
            extra_row(check, number, id);
        is_joined = expected != NULL && is_key_taken(check, number, expected->values);
        for (size_t i = 0; expected != NULL && i < table->column_count; i++)
            compare_column(check, number, id, i, sqlite3_column_value(*scan, (int)i + 1),
                           expected->values[i], is_joined);
    }
    (void)sqlite3_reset(*scan);
    for (; next < table->row_count; next++) {
        const struct history_version *expected = expected_row(check, table->rows[next]);

        if (expected != NULL)
            missing_row(check, number, table->rows[next]->id, expected);
    }
}

/* I7: what has no verdict is still here. */
static void check_unseen(const struct check *check)
{
    for (size_t i = 0; i < check->open_count; i++) {
        const struct open_edit *open = &check->open[i];
        const struct ledger_edit *edit = open->edit;

        if (open->state != EDIT_UNDECIDED || edit->is_superseded)
            continue;
        if (edit->op != 'D' && !open->is_seen)
            world_fail(check->world,
                       "I7: %s lost the row of the unsent '%s' (%s %" PRId64 ", change %" PRId64
                       ")",
                       check->agent->name, edit->value,
                       check->world->history.tables[edit->table].name, edit->row_id, edit->lcn);
        if (edit->op == 'D' && open->is_seen)
            world_fail(check->world, "I6: %s deleted %s %" PRId64 ", it is back before a verdict",
                       check->agent->name, check->world->history.tables[edit->table].name,
                       edit->row_id);
    }
}

/* Is there anything to compare? Most of the ninety tables are empty. */
static bool is_used(const struct check *check, size_t table)
{
    if (check->is_end || check->world->history.tables[table].row_count != 0)
        return true;
    for (size_t i = 0; i < check->open_count; i++)
        if (check->open[i].edit->table == table)
            return true;
    return false;
}

static void run_check(struct world *world, int number, int64_t head, bool is_end)
{
    struct check check = {.world = world, .agent = &world->agents[number], .number = number};

    check.head = head;
    check.is_end = is_end;
    check.scope = history_scope(&world->history, check.agent->user_id, head);
    collect_open(&check);
    for (size_t i = 0; i < world->history.table_count; i++)
        if (is_used(&check, i))
            check_table(&check, i);
    check_unseen(&check);
    if (is_end && check.open_count != 0)
        world_fail(world, "R6: %s has %zu edits without a verdict at the end", check.agent->name,
                   check.open_count);
    free(check.open);
    check.agent->check_count++;
}

static bool has_own_edits(struct world *world, int number)
{
    return sim_integer(world, world->agents[number].database,
                       "SELECT unsealed + unacknowledged + (SELECT count(*) FROM fs_hold)"
                       " FROM fs_sync") != 0;
}

void check_replica(struct world *world, int number)
{
    int64_t head = 0;

    if (world->has_rotten || (world->is_story && has_own_edits(world, number)))
        return;

    sim_exec(world, world->agents[number].database, "BEGIN");
    head = agent_node_state(world, number, "published_seq");
    if (head > world->history.head)
        world_fail(world, "I4: %s published %" PRId64 ", the master is at %" PRId64,
                   world->agents[number].name, head, world->history.head);
    if (head != 0)
        run_check(world, number, head, false);
    sim_exec(world, world->agents[number].database, "COMMIT");
}

/* ---- the end of a run ---- */

static void check_file(struct world *world, sqlite3 *database, const char *name)
{
    sqlite3_stmt *statement = sim_prepare(world, database, "PRAGMA quick_check");

    if (sqlite3_step(statement) != SQLITE_ROW ||
        strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        world_fail(world, "G8: the file of %s: %s", name, sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
}

/* Digests are compared with devices in idle hours only, so a wrong one would show there late. */
static void check_digests(struct world *world)
{
    struct store *store = master_store(world->server.writer);
    struct contents contents = {0};
    struct problem problem = {0};
    struct buffer report;
    struct arena arena;
    enum result result;

    arena_init(&arena, 64 << 20);
    buffer_init(&report, 64 << 10);
    result = contents_check(store, &world->server.catalog, &arena, &report, &contents, &problem);
    if (result != RESULT_OK)
        world_fail(world, "I5: the master can't be checked: %s", problem.text);
    if (contents.wrong != 0)
        world_fail(world, "I5: %zu sums of the master are wrong: %.*s", contents.wrong,
                   (int)report.size, (const char *)report.data);
    buffer_done(&report);
    arena_done(&arena);
}

void check_end(struct world *world)
{
    sqlite3_stmt *statement = NULL;

    history_verify(&world->history);
    statement = sim_prepare(world, world->server.office, "PRAGMA foreign_key_check");
    if (sqlite3_step(statement) == SQLITE_ROW)
        world_fail(world, "G8: a reference of %s %" PRId64 " is broken on the master",
                   sqlite3_column_text(statement, 0), (int64_t)sqlite3_column_int64(statement, 1));
    sqlite3_finalize(statement);
    check_digests(world);
    check_file(world, world->server.office, "the server");
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct world_agent *agent = &world->agents[i];

        if (sim_integer(world, agent->database, "SELECT count(*) FROM fs_quarantine") != 0)
            world_fail(world, "%s still has rows in quarantine", agent->name);
        run_check(world, (int)i, world->history.head, true);
        check_file(world, agent->database, agent->name);
    }
    check_books(world);
    ledger_verify(world);
    judge_verify(world);
}

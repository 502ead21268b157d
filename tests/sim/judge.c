/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/judge.h"

#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGE_COLUMNS_MAX = 16, CLOCK_ERROR_MAX_S = 60 };

/* A value that had to lose, and what stands instead. */
struct loss {
    struct judge_value kept, lost;
    int by; /* the device whose change decided it */
    bool is_found;
};

/* What one seal says of one row. */
struct judged_change {
    int agent;
    size_t table;
    int64_t row_id; /* on the master */
    int64_t base;
    int64_t edited_us;
    bool is_insert;
    bool is_delete;   /* whatever was edited before it */
    bool is_same_key; /* an insert that turned out to be a row that is there */
    size_t column_count;
    struct judge_value columns[CHANGE_COLUMNS_MAX];
};

struct hearing {
    struct world *world;
    struct judge *judge;
    size_t loss_count, loss_room;
    struct loss *losses;
};

/* ---- what stands ---- */

static struct judge_value *value_of(struct judge *judge, size_t table, int64_t row_id,
                                    size_t column)
{
    for (size_t i = 0; i < judge->value_count; i++) {
        struct judge_value *value = &judge->values[i];

        if (value->row_id == row_id && value->table == table && value->column == column)
            return value;
    }
    return NULL;
}

static void set_value(struct judge *judge, const struct judge_value *value)
{
    struct judge_value *stored = value_of(judge, value->table, value->row_id, value->column);
    bool is_first = stored == NULL || (stored->is_touched && stored->is_first);

    if (stored == NULL) {
        if (judge->value_count == judge->value_room) {
            judge->value_room = judge->value_room * 2 + 64;
            judge->values = sim_grow(judge->values, judge->value_room, sizeof *judge->values);
        }
        stored = &judge->values[judge->value_count++];
    }
    *stored = *value;
    stored->is_touched = true;
    stored->is_first = is_first;
}

static void forget_row(struct judge *judge, size_t table, int64_t row_id)
{
    size_t kept = 0;

    for (size_t i = 0; i < judge->value_count; i++)
        if (judge->values[i].table != table || judge->values[i].row_id != row_id)
            judge->values[kept++] = judge->values[i];
    judge->value_count = kept;
}

static const char *author_name(const struct world *world, int agent)
{
    return agent == WORLD_OFFICE ? "the office" : world->agents[agent].name;
}

static const char *column_name(const struct world *world, const struct judge_value *value)
{
    return world->history.tables[value->table].columns[value->column].name;
}

/* False: there is no such row any more. */
static bool check_value(struct world *world, const struct judge_value *value)
{
    const struct history_table *table = &world->history.tables[value->table];
    const struct history_version *version =
        history_at(history_row(table, value->row_id), world->history.head);
    const char *found = NULL;

    if (version == NULL)
        return false;
    found = (const char *)sqlite3_value_text(version->values[value->column]);
    if (found == NULL || strcmp(found, value->text) != 0)
        world_fail(world, "merge: %s %" PRId64 " %s is '%s', but '%s' by %s had to stand",
                   table->name, value->row_id, table->columns[value->column].name,
                   found == NULL ? "NULL" : found, value->text, author_name(world, value->agent));
    return true;
}

static void check_values(struct world *world, bool is_all)
{
    struct judge *judge = &world->judge;

    for (size_t i = 0; i < judge->value_count;) {
        struct judge_value *value = &judge->values[i];

        if (!is_all && !value->is_touched) {
            i++;
            continue;
        }
        value->is_touched = false;
        if (check_value(world, value))
            i++;
        else
            forget_row(judge, value->table, value->row_id), i = 0;
    }
}

/* ---- the office ---- */

/* As far as SQLite's clock goes. */
static int64_t to_millisecond(int64_t us)
{
    return us - us % 1000;
}

void judge_office(struct world *world, const char *table, int64_t row_id, const char *column,
                  const char *text)
{
    struct judge *judge = &world->judge;
    size_t table_no = history_table_no(&world->history, table);
    struct judge_edit *edit = NULL;

    if (judge->edit_count == judge->edit_room) {
        judge->edit_room = judge->edit_room * 2 + 16;
        judge->edits = sim_grow(judge->edits, judge->edit_room, sizeof *judge->edits);
    }
    edit = &judge->edits[judge->edit_count++];
    *edit = (struct judge_edit){
        .table = table_no,
        .column = history_column_no(&world->history.tables[table_no], column),
        .row_id = row_id,
        .edited_us = to_millisecond(world_wall(world, WORLD_OFFICE).us),
    };
    (void)snprintf(edit->text, sizeof edit->text, "%s", text);
}

void judge_office_delete(struct world *world, const char *table, int64_t row_id)
{
    struct judge *judge = &world->judge;
    size_t table_no = history_table_no(&world->history, table);
    size_t kept = 0;

    for (size_t i = 0; i < judge->edit_count; i++)
        if (judge->edits[i].table != table_no || judge->edits[i].row_id != row_id)
            judge->edits[kept++] = judge->edits[i];
    judge->edit_count = kept;
    forget_row(judge, table_no, row_id);
}

/* A program on the master sees what is there: its edits are informed. All columns that were set in
 * a row since the last commit have the time of the last one. */
static void adopt(struct hearing *hearing)
{
    struct judge *judge = hearing->judge;
    struct world *world = hearing->world;

    if (judge->edit_count == 0 ||
        sim_integer(world, world->history.database,
                    "SELECT count(*) FROM fs_outbox WHERE op <> '-'") != 0)
        return;
    for (size_t i = 0; i < judge->edit_count; i++) {
        const struct judge_edit *edit = &judge->edits[i];
        struct judge_value value = {.table = edit->table,
                                    .column = edit->column,
                                    .row_id = edit->row_id,
                                    .agent = WORLD_OFFICE,
                                    .seq = world->history.head};

        for (size_t k = i; k < judge->edit_count; k++)
            if (judge->edits[k].table == edit->table && judge->edits[k].row_id == edit->row_id)
                value.edited_us = judge->edits[k].edited_us;
        if (value.edited_us > judge->now_us)
            value.edited_us = judge->now_us;
        memcpy(value.text, edit->text, sizeof value.text);
        set_value(judge, &value);
    }
    judge->edit_count = 0;
}

/* ---- two values of one column ---- */

static int64_t replica_of(const struct world *world, int agent)
{
    return agent == WORLD_OFFICE ? 0 : world->agents[agent].replica_no;
}

/* The later edit counts; of two of the same moment that of the higher replica number. */
static bool is_later(const struct world *world, const struct judge_value *a,
                     const struct judge_value *b)
{
    if (a->edited_us != b->edited_us)
        return a->edited_us > b->edited_us;
    return replica_of(world, a->agent) > replica_of(world, b->agent);
}

static void must_lose(struct hearing *hearing, const struct judge_value *kept,
                      const struct judge_value *lost, int by)
{
    if (hearing->loss_count == hearing->loss_room) {
        hearing->loss_room = hearing->loss_room * 2 + 8;
        hearing->losses = sim_grow(hearing->losses, hearing->loss_room, sizeof *hearing->losses);
    }
    hearing->losses[hearing->loss_count++] = (struct loss){*kept, *lost, by, false};
    hearing->judge->loss_count++;
}

/* Returns how many of its columns lost. An edit that has seen what it replaces comes after it, so
 * the whole change gets a time after that. */
static size_t settle(struct hearing *hearing, struct judged_change *change)
{
    int64_t stamp_us = change->edited_us;
    size_t lost_count = 0;

    for (size_t i = 0; i < change->column_count; i++) {
        struct judge_value *mine = &change->columns[i];
        const struct judge_value *theirs =
            value_of(hearing->judge, change->table, change->row_id, mine->column);
        bool is_unseen =
            theirs != NULL && theirs->seq > change->base && theirs->agent != change->agent;

        if (theirs != NULL && strcmp(theirs->text, mine->text) == 0)
            continue;
        if (is_unseen && !is_later(hearing->world, mine, theirs)) {
            must_lose(hearing, theirs, mine, change->agent);
            *mine = change->columns[--change->column_count];
            i--;
            lost_count++;
            continue;
        }
        if (is_unseen)
            must_lose(hearing, mine, theirs, change->agent);
        else if (theirs != NULL && theirs->edited_us >= stamp_us)
            stamp_us = theirs->edited_us + 1;
    }
    for (size_t i = 0; i < change->column_count; i++) {
        change->columns[i].edited_us = stamp_us;
        set_value(hearing->judge, &change->columns[i]);
        hearing->judge->win_count++;
    }
    return lost_count;
}

/* ---- the seals of a device ---- */

static bool is_judged_here(const struct world *world, const struct ledger_edit *edit)
{
    const struct history_table *table = &world->history.tables[edit->table];

    return edit->column != HISTORY_NOTHING && edit->row_count == 1 && edit->op != 'D' &&
           strcmp(table->columns[edit->column].merge, "last_writer") == 0;
}

static void add_column(struct world *world, struct judged_change *change,
                       const struct ledger_edit *edit)
{
    struct judge_value *column = NULL;

    if (!is_judged_here(world, edit))
        return;
    for (size_t i = 0; i < change->column_count; i++)
        if (change->columns[i].column == edit->column)
            column = &change->columns[i]; /* the newer text */
    if (column == NULL && change->column_count < CHANGE_COLUMNS_MAX)
        column = &change->columns[change->column_count++];
    if (column == NULL)
        world_fail(world, "a change of more than %d columns", CHANGE_COLUMNS_MAX);
    *column = (struct judge_value){.table = edit->table,
                                   .column = edit->column,
                                   .agent = edit->agent,
                                   .seq = edit->commit_seq};
    memcpy(column->text, edit->value, sizeof column->text);
}

/* Its row may have turned out to be another one before the device sealed the edit. */
static int64_t row_of(const struct ledger_edit *edit)
{
    return edit->joined_id != 0 ? edit->joined_id : edit->row_id;
}

/* The verdict that the master has stored; VERDICT_APPLIED if none: only exceptions are. */
static enum verdict_kind verdict_of(struct world *world, const struct ledger_edit *edit,
                                    int64_t lcn_last, int64_t *ret_merged_into)
{
    sqlite3_stmt *statement = sim_prepare(world, world->history.database,
                                          "SELECT kind, merged_into_id FROM fs_verdict WHERE"
                                          " replica_no = ?1 AND table_no = ?2"
                                          " AND row_id IN (?3, ?6) AND lcn BETWEEN ?4 AND ?5");
    enum verdict_kind kind = VERDICT_APPLIED;

    (void)sqlite3_bind_int64(statement, 1, world->agents[edit->agent].replica_no);
    (void)sqlite3_bind_int64(statement, 2, world->history.tables[edit->table].number);
    (void)sqlite3_bind_int64(statement, 3, edit->row_id);
    (void)sqlite3_bind_int64(statement, 4, edit->lcn);
    (void)sqlite3_bind_int64(statement, 5, lcn_last);
    (void)sqlite3_bind_int64(statement, 6, edit->joined_id);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        kind = (enum verdict_kind)sqlite3_column_int64(statement, 0);
        *ret_merged_into = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return kind;
}

/* All tables that people delete from say "edit_revives". */
static void judge_delete(struct hearing *hearing, const struct judged_change *change,
                         const struct ledger_edit *edit)
{
    for (size_t i = 0; i < hearing->judge->value_count; i++) {
        const struct judge_value *value = &hearing->judge->values[i];

        if (value->table == change->table && value->row_id == edit->row_id &&
            value->seq > change->base && value->agent != change->agent)
            world_fail(hearing->world, "merge: %s deleted %s %" PRId64 " and '%s' by %s unseen",
                       hearing->world->agents[change->agent].name,
                       hearing->world->history.tables[change->table].name, edit->row_id,
                       value->text, author_name(hearing->world, value->agent));
    }
    forget_row(hearing->judge, change->table, edit->row_id);
}

static void judge_change(struct hearing *hearing, struct judged_change *change,
                         const struct ledger_edit *edit, int64_t lcn_last)
{
    struct world *world = hearing->world;
    int64_t merged_into = 0;
    enum verdict_kind kind = verdict_of(world, edit, lcn_last, &merged_into);
    size_t lost_count = 0;

    if (change->is_delete && kind == VERDICT_APPLIED)
        judge_delete(hearing, change, edit);
    if (kind == VERDICT_REFUSED || kind == VERDICT_GONE || change->is_delete ||
        change->column_count == 0)
        return;
    change->row_id = merged_into != 0 ? merged_into : row_of(edit);
    change->is_same_key = change->is_insert && merged_into != 0;
    change->edited_us = edit->edited_us;
    if (change->edited_us > hearing->judge->now_us)
        change->edited_us = hearing->judge->now_us; /* I9 */
    if (change->edited_us < 0)
        change->edited_us = 0;
    if (change->is_insert && !world->history.tables[change->table].has_key)
        change->edited_us = 0; /* kept only where a natural key can bring a second one */
    for (size_t i = 0; i < change->column_count; i++) {
        change->columns[i].row_id = change->row_id;
        change->columns[i].edited_us = change->edited_us;
    }
    lost_count = settle(hearing, change);
    if (!change->is_same_key && (kind == VERDICT_OVERRULED) != (lost_count != 0))
        world_fail(world,
                   "merge: %zu columns of change %" PRId64 " of %s to %s %" PRId64
                   " had to lose, its verdict is %d",
                   lost_count, edit->lcn, world->agents[edit->agent].name,
                   world->history.tables[edit->table].name, edit->row_id, (int)kind);
}

/* All that the seal of this edit says of its row. */
static void judge_row(struct hearing *hearing, size_t first)
{
    struct ledger *ledger = &hearing->world->ledger;
    const struct ledger_edit *edit = &ledger->edits[first];
    struct judged_change change = {.agent = edit->agent, .table = edit->table, .base = INT64_MAX};
    int64_t lcn_last = 0;

    for (size_t i = first; i < ledger->count; i++) {
        struct ledger_edit *other = &ledger->edits[i];

        if (other->agent != edit->agent || other->table != edit->table ||
            row_of(other) != row_of(edit) || other->seal_no != edit->seal_no ||
            other->commit_seq == 0)
            continue;
        other->is_judged = true;
        lcn_last = other->lcn;
        change.is_insert = change.is_insert || other->op == 'I';
        change.is_delete = other->op == 'D';
        if (other->base < change.base)
            change.base = other->base;
        add_column(hearing->world, &change, other);
    }
    if (edit->seal_no != 0) /* else it came and went again before it was sealed */
        judge_change(hearing, &change, edit, lcn_last);
}

static void judge_agent(struct hearing *hearing, int agent)
{
    struct ledger *ledger = &hearing->world->ledger;

    for (size_t i = hearing->judge->ledger_next; i < ledger->count; i++)
        if (ledger->edits[i].agent == agent && ledger->edits[i].commit_seq != 0 &&
            !ledger->edits[i].is_judged)
            judge_row(hearing, i);
}

/* ---- what was kept of the losers ---- */

static int64_t user_of(const struct world *world, int agent)
{
    return agent == WORLD_OFFICE ? 0 : world->agents[agent].user_id;
}

static int64_t device_of(struct world *world, int agent)
{
    char sql[100];

    if (agent == WORLD_OFFICE)
        return 0;
    (void)snprintf(sql, sizeof sql, "SELECT device_id FROM fs_replica WHERE replica_no = %" PRId64,
                   world->agents[agent].replica_no);
    return sim_integer(world, world->history.database, sql);
}

static bool has_text(sqlite3_stmt *statement, int column, const char *text)
{
    const char *found = (const char *)sqlite3_column_text(statement, column);

    return found != NULL && strcmp(found, text) == 0;
}

/* Columns: 1 table, 2 row, 3 column, 4 kept, 5 lost, 6 kept by, 7 lost by, 8 device, 9 for whom,
 * 10 when. */
static bool is_it(struct world *world, sqlite3_stmt *found, const struct loss *loss)
{
    int64_t lost_user = user_of(world, loss->lost.agent);

    return has_text(found, 4, loss->kept.text) && has_text(found, 5, loss->lost.text) &&
           sqlite3_column_int64(found, 6) == user_of(world, loss->kept.agent) &&
           sqlite3_column_int64(found, 7) == lost_user &&
           sqlite3_column_int64(found, 8) == device_of(world, loss->lost.agent) &&
           sqlite3_column_int64(found, 9) ==
               (lost_user != 0 ? lost_user : user_of(world, loss->by)) &&
           sqlite3_column_int64(found, 10) == world->judge.now_us;
}

static void look_at_loss(struct hearing *hearing, sqlite3_stmt *found)
{
    struct world *world = hearing->world;
    size_t table = history_table_no(&world->history, (const char *)sqlite3_column_text(found, 1));
    int64_t row_id = sqlite3_column_int64(found, 2);
    size_t column = HISTORY_NOTHING;
    const struct judge_value *stands = NULL;

    if (table == HISTORY_NOTHING)
        return; /* of a company's own, made since: nobody's edits of it are in the ledger */
    column = history_column_no(&world->history.tables[table],
                               (const char *)sqlite3_column_text(found, 3));
    for (size_t i = 0; i < hearing->loss_count; i++) {
        struct loss *loss = &hearing->losses[i];

        if (!loss->is_found && loss->lost.table == table && loss->lost.row_id == row_id &&
            loss->lost.column == column && is_it(world, found, loss)) {
            loss->is_found = true;
            return;
        }
    }
    stands = value_of(hearing->judge, table, row_id, column);
    /* What an insert said isn't in the judge's book. Who edits it before the first publication,
     * when rows can be seen already, hasn't seen it as far as the server knows. */
    if (stands != NULL && !(stands->is_first && stands->is_touched))
        world_fail(world,
                   "merge: '%s' of %s %" PRId64 " %s is said to have lost against '%s' (by user"
                   " %lld, device %lld, against user %lld), which isn't so",
                   sqlite3_column_text(found, 5), world->history.tables[table].name, row_id,
                   sqlite3_column_text(found, 3), sqlite3_column_text(found, 4),
                   sqlite3_column_int64(found, 7), sqlite3_column_int64(found, 8),
                   sqlite3_column_int64(found, 6));
}

static void check_losses(struct hearing *hearing)
{
    struct world *world = hearing->world;
    sqlite3_stmt *statement =
        sim_prepare(world, world->history.database,
                    "SELECT id, table_name, row_id, column_name, kept, lost, kept_by_user_id,"
                    " lost_by_user_id, lost_device_id, user_id, occurred_at FROM merge_loss"
                    " WHERE id > ?1 AND rule = 'last_writer' ORDER BY id");

    (void)sqlite3_bind_int64(statement, 1, hearing->judge->loss_id);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        hearing->judge->loss_id = sqlite3_column_int64(statement, 0);
        look_at_loss(hearing, statement);
    }
    sqlite3_finalize(statement);
    for (size_t i = 0; i < hearing->loss_count; i++) {
        const struct loss *loss = &hearing->losses[i];

        if (!loss->is_found)
            world_fail(world,
                       "I8: '%s' by %s of %s %" PRId64 " %s had to lose against '%s' by %s:"
                       " merge_loss doesn't say so",
                       loss->lost.text, author_name(world, loss->lost.agent),
                       world->history.tables[loss->lost.table].name, loss->lost.row_id,
                       column_name(world, &loss->lost), loss->kept.text,
                       author_name(world, loss->kept.agent));
    }
}

/* ---- the group ---- */

void judge_group(struct world *world)
{
    struct judge *judge = &world->judge;
    const struct world_server *server = &world->server;

    judge->now_us = world_wall(world, WORLD_OFFICE).us;
    judge->order_count = 0;
    for (size_t i = 0; i < server->running_count; i++)
        for (size_t a = 0; a < world->scenario.agent_count; a++) {
            if (server->running[i]->kind != JOB_PUSH ||
                server->running[i]->replica_no != world->agents[a].replica_no)
                continue;
            if (judge->order_count == judge->order_room) {
                judge->order_room = judge->order_room * 2 + 8;
                judge->order = sim_grow(judge->order, judge->order_room, sizeof *judge->order);
            }
            judge->order[judge->order_count++] = (int)a;
        }
}

void judge_commit(struct world *world)
{
    struct judge *judge = &world->judge;
    struct hearing hearing = {.world = world, .judge = judge};

    adopt(&hearing);
    for (size_t i = 0; i < judge->order_count; i++)
        judge_agent(&hearing, judge->order[i]);
    while (judge->ledger_next < world->ledger.count &&
           world->ledger.edits[judge->ledger_next].is_judged)
        judge->ledger_next++;
    check_losses(&hearing);
    check_values(world, false);
    free(hearing.losses);
}

void judge_verify(struct world *world)
{
    for (size_t i = world->judge.ledger_next; i < world->ledger.count; i++)
        if (world->ledger.edits[i].commit_seq != 0 && !world->ledger.edits[i].is_judged)
            world_fail(world, "change %" PRId64 " of %s was taken in by no group",
                       world->ledger.edits[i].lcn,
                       world->agents[world->ledger.edits[i].agent].name);
    check_values(world, true);
}

void judge_free(struct judge *judge)
{
    free(judge->values);
    free(judge->edits);
    free(judge->order);
}

/* ---- what a seal says ---- */

struct sealed {
    size_t table;
    int64_t row_id, lcn_first, lcn_last, base, edited_us, recorded_us, seal_no;
};

static bool has_steady_clocks(const struct scenario *scenario)
{
    return !scenario_has(scenario, FAULT_CLOCK_JUMP) &&
           !scenario_has(scenario, FAULT_CLOCK_DRIFT) &&
           !scenario_has(scenario, FAULT_SERVER_CLOCK);
}

static void check_sealed(struct world *world, int agent, const struct sealed *sealed)
{
    const struct ledger_edit *last = NULL;
    int64_t base = INT64_MAX;

    for (size_t i = 0; i < world->ledger.count; i++) { /* some may be judged already */
        struct ledger_edit *edit = &world->ledger.edits[i];

        if (edit->agent != agent || edit->table != sealed->table ||
            (edit->row_id != sealed->row_id && edit->joined_id != sealed->row_id) ||
            edit->lcn < sealed->lcn_first || edit->lcn > sealed->lcn_last)
            continue;
        edit->seal_no = sealed->seal_no;
        edit->edited_us = sealed->edited_us;
        if (edit->base < base)
            base = edit->base;
        last = edit;
    }
    if (last == NULL)
        return; /* nobody's in particular: a bulk of rows */
    if (sealed->base != base)
        world_fail(world,
                   "an informed edit beats only what its author had seen: %s sealed %s %" PRId64
                   " as if made at %" PRId64 ", it was at %" PRId64,
                   world->agents[agent].name, world->history.tables[sealed->table].name,
                   sealed->row_id, sealed->base, base);
    if (to_millisecond(sealed->recorded_us) != to_millisecond(last->recorded_us))
        world_fail(world, "%s sealed change %" PRId64 " with another time than its last edit's",
                   world->agents[agent].name, last->lcn);
    if (has_steady_clocks(&world->scenario) &&
        llabs(sealed->edited_us - last->true_us) > SECONDS(CLOCK_ERROR_MAX_S))
        world_fail(world, "I9: %s corrected the time of change %" PRId64 " by %" PRId64 " s",
                   world->agents[agent].name, last->lcn,
                   (sealed->edited_us - sealed->recorded_us) / SECONDS(1));
}

void judge_seals(struct world *world, int agent)
{
    sqlite3_stmt *statement = NULL;

    if (world->judge.ledger_next == world->ledger.count)
        return;
    statement = sim_prepare(world, world->agents[agent].database,
                            "SELECT t.name, c.row_id, s.lcn_first, s.lcn_last, c.base_seq,"
                            " c.edited_at, c.recorded_at, s.seal_no FROM fs_seal AS s"
                            " JOIN fs_seal_change AS c ON c.seal_no = s.seal_no"
                            " JOIN fs_table AS t ON t.number = c.table_no"
                            " WHERE s.verdict_at IS NULL AND t.merge <> 'append_only'");
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const struct sealed sealed = {
            .table =
                history_table_no(&world->history, (const char *)sqlite3_column_text(statement, 0)),
            .row_id = sqlite3_column_int64(statement, 1),
            .lcn_first = sqlite3_column_int64(statement, 2),
            .lcn_last = sqlite3_column_int64(statement, 3),
            .base = sqlite3_column_int64(statement, 4),
            .edited_us = sqlite3_column_int64(statement, 5),
            .recorded_us = sqlite3_column_int64(statement, 6),
            .seal_no = sqlite3_column_int64(statement, 7),
        };

        check_sealed(world, agent, &sealed);
    }
    sqlite3_finalize(statement);
}

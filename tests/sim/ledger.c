/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/ledger.h"

#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct ledger_edit *ledger_add(struct world *world, int agent, char op, size_t table,
                               int64_t row_id, size_t column, const char *value)
{
    struct ledger *ledger = &world->ledger;
    struct ledger_edit *edit = NULL;

    for (size_t i = 0; i < ledger->count; i++) {
        struct ledger_edit *older = &ledger->edits[i];

        if (older->agent == agent && older->table == table &&
            (older->row_id == row_id || older->joined_id == row_id) &&
            (op == 'D' || older->column == column))
            older->is_superseded = true;
    }
    if (ledger->count == ledger->room) {
        ledger->room = ledger->room * 2 + 64;
        ledger->edits = sim_grow(ledger->edits, ledger->room, sizeof *ledger->edits);
    }
    edit = &ledger->edits[ledger->count++];
    *edit = (struct ledger_edit){
        .agent = agent,
        .transaction = ledger->transaction_last,
        .lcn = sim_integer(world, world->agents[agent].database, "SELECT max(lcn) FROM fs_outbox"),
        .table = table,
        .column = column,
        .row_id = row_id,
        .row_count = 1,
        .op = op,
        .base = agent_node_state(world, agent, "published_seq"),
        .recorded_us = world_wall(world, agent).us,
        .true_us = world_wall(world, WORLD_OFFICE).us,
    };
    (void)snprintf(edit->value, sizeof edit->value, "%s", value == NULL ? "" : value);
    return edit;
}

/* What was written is gone; what it superseded counts again. */
void ledger_undo(struct world *world, int agent, uint64_t transaction)
{
    struct ledger *ledger = &world->ledger;

    while (ledger->count != 0 && ledger->edits[ledger->count - 1].transaction == transaction)
        ledger->count--;
    for (size_t i = 0; i < ledger->count; i++) {
        struct ledger_edit *edit = &ledger->edits[i];

        if (edit->agent != agent)
            continue;
        edit->is_superseded = false;
        for (size_t k = i + 1; k < ledger->count; k++) {
            const struct ledger_edit *newer = &ledger->edits[k];

            if (newer->agent == agent && newer->table == edit->table &&
                newer->row_id == edit->row_id &&
                (newer->op == 'D' || newer->column == edit->column))
                edit->is_superseded = true;
        }
    }
}

/* ---- verdicts ---- */

static int64_t lcn_high(struct world *world, int agent)
{
    char sql[100];

    (void)snprintf(sql, sizeof sql, "SELECT lcn_high FROM fs_replica WHERE replica_no = %" PRId64,
                   world->agents[agent].replica_no);
    return sim_integer(world, world->history.database, sql);
}

/* Rows that turned out to be the same as others: later edits of them count for those. */
static void note_joins(struct world *world, int agent)
{
    sqlite3_stmt *statement =
        sim_prepare(world, world->history.database,
                    "SELECT t.name, v.row_id, v.merged_into_id FROM fs_verdict v"
                    " JOIN fs_table t ON t.number = v.table_no"
                    " WHERE v.replica_no = ?1 AND v.merged_into_id > 0");

    (void)sqlite3_bind_int64(statement, 1, world->agents[agent].replica_no);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        size_t table =
            history_table_no(&world->history, (const char *)sqlite3_column_text(statement, 0));

        for (size_t i = 0; i < world->ledger.count; i++) {
            struct ledger_edit *edit = &world->ledger.edits[i];

            if (edit->agent == agent && edit->table == table &&
                edit->row_id == sqlite3_column_int64(statement, 1))
                edit->joined_id = sqlite3_column_int64(statement, 2);
        }
    }
    sqlite3_finalize(statement);
}

void ledger_commit(struct world *world)
{
    struct ledger *ledger = &world->ledger;

    for (size_t a = 0; a < world->scenario.agent_count; a++) {
        int64_t high = world->agents[a].is_enrolled ? lcn_high(world, (int)a) : 0;
        uint64_t decided = 0; /* transaction of the newest edit that has its verdict */

        for (size_t i = 0; i < ledger->count; i++) {
            struct ledger_edit *edit = &ledger->edits[i];

            if (edit->agent != (int)a)
                continue;
            if (edit->commit_seq == 0 && edit->lcn <= high) {
                edit->commit_seq = world->history.head;
                decided = edit->transaction;
            } else if (edit->commit_seq == 0 && edit->transaction == decided) {
                world_fail(world,
                           "R7: a transaction of %s was split: lcn_high is %" PRId64
                           ", it reaches to %" PRId64,
                           world->agents[a].name, high, edit->lcn);
            } else if (edit->commit_seq != 0 && edit->lcn > high) {
                world_fail(world, "I3: lcn_high of %s went back to %" PRId64, world->agents[a].name,
                           high);
            }
        }
        if (decided != 0)
            note_joins(world, (int)a);
    }
    judge_commit(world);
}

/* ---- what became of them ---- */

/* First head at which the column of some row of the table had the value; 0: never. */
static int64_t found_at(struct world *world, const struct ledger_edit *edit,
                        const struct history_row **ret_row, size_t *ret_version)
{
    const struct history_table *table = &world->history.tables[edit->table];

    for (size_t r = 0; r < table->row_count; r++) {
        const struct history_row *row = table->rows[r];

        for (size_t v = 0; v < row->count; v++) {
            sqlite3_value **values = row->versions[v].values;
            const char *text = NULL;

            if (values == NULL)
                continue;
            if (edit->column == HISTORY_NOTHING) {
                if (row->id != edit->row_id)
                    continue;
            } else {
                text = (const char *)sqlite3_value_text(values[edit->column]);
                if (text == NULL || strcmp(text, edit->value) != 0)
                    continue;
            }
            *ret_row = row;
            *ret_version = v;
            return row->versions[v].seq;
        }
    }
    return 0;
}

static bool is_loss(struct world *world, const struct history_table *table, size_t column,
                    const char *value)
{
    sqlite3_stmt *statement =
        sim_prepare(world, world->history.database,
                    "SELECT count(*) FROM merge_loss WHERE table_name = ?1 AND column_name = ?2"
                    " AND lost = ?3");
    bool is_there = false;

    (void)sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_TRANSIENT);
    (void)sqlite3_bind_text(statement, 2, table->columns[column].name, -1, SQLITE_TRANSIENT);
    (void)sqlite3_bind_text(statement, 3, value, -1, SQLITE_TRANSIENT);
    is_there = sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int64(statement, 0) != 0;
    sqlite3_finalize(statement);
    return is_there;
}

static int64_t review_count(struct world *world, const struct ledger_edit *edit)
{
    sqlite3_stmt *statement = NULL;
    int64_t count = 0;

    if (edit->column == HISTORY_NOTHING) {
        statement = sim_prepare(world, world->history.database,
                                "SELECT count(*) FROM review_item WHERE table_name = ?1 AND"
                                " (row_id = ?2 OR instr(payload, ?2) > 0)");
        (void)sqlite3_bind_text(statement, 1, world->history.tables[edit->table].name, -1,
                                SQLITE_TRANSIENT);
        (void)sqlite3_bind_int64(statement, 2, edit->row_id);
    } else {
        statement = sim_prepare(world, world->history.database,
                                "SELECT count(*) FROM review_item WHERE instr(payload, ?1) > 0");
        (void)sqlite3_bind_text(statement, 1, edit->value, -1, SQLITE_TRANSIENT);
    }
    if (sqlite3_step(statement) == SQLITE_ROW)
        count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

/* A value that this edit replaced without its author having seen it must be in merge_loss. */
static void check_replaced(struct world *world, const struct ledger_edit *edit,
                           const struct history_row *row, size_t version)
{
    const struct history_table *table = &world->history.tables[edit->table];
    sqlite3_value *replaced = NULL;
    const char *text = NULL;
    int64_t since = 0;

    if (version == 0 || row->versions[version - 1].values == NULL ||
        edit->column == HISTORY_NOTHING)
        return;
    replaced = row->versions[version - 1].values[edit->column];
    text = (const char *)sqlite3_value_text(replaced);
    if (text == NULL)
        return;
    for (size_t v = version; v-- > 0;) {
        if (row->versions[v].values == NULL ||
            !history_same(row->versions[v].values[edit->column], replaced))
            break;
        since = row->versions[v].seq;
    }
    if (since <= edit->base)
        return; /* its author had seen it */
    for (size_t i = 0; i < world->ledger.count; i++)
        if (world->ledger.edits[i].agent == edit->agent &&
            strcmp(world->ledger.edits[i].value, text) == 0)
            return; /* it was the author's own */
    if (!is_loss(world, table, edit->column, text))
        world_fail(world,
                   "I8: '%s' of %s %" PRId64 " %s was replaced by %s's '%s', who had seen %" PRId64
                   " only (it came at %" PRId64 "): nobody is told",
                   text, table->name, row->id, table->columns[edit->column].name,
                   world->agents[edit->agent].name, edit->value, edit->base, since);
}

/* Rows of the master that hold the value now. */
static size_t count_now(struct world *world, const struct ledger_edit *edit)
{
    const struct history_table *table = &world->history.tables[edit->table];
    size_t count = 0;

    for (size_t r = 0; r < table->row_count; r++) {
        const struct history_version *version = history_at(table->rows[r], world->history.head);
        const char *text = version == NULL || edit->column == HISTORY_NOTHING
                               ? NULL
                               : (const char *)sqlite3_value_text(version->values[edit->column]);

        if (text != NULL && strcmp(text, edit->value) == 0)
            count++;
    }
    return count;
}

/* An edit of the same row that must be refused takes others of its seal with it. */
static bool is_spoilt(const struct world *world, const struct ledger_edit *edit)
{
    for (size_t i = 0; i < world->ledger.count; i++) {
        const struct ledger_edit *other = &world->ledger.edits[i];

        if (other->is_poison && other->agent == edit->agent && other->table == edit->table &&
            other->row_id == edit->row_id)
            return true;
    }
    return false;
}

/* The master knows by a row's departure where it was before; forgotten, nobody can say. */
static bool may_be_forgotten(const struct world *world, const struct ledger_edit *edit,
                             const struct history_version *seen)
{
    const struct history_version *judged = history_at(
        history_row(&world->history.tables[edit->table], edit->row_id), edit->commit_seq);

    return world->scenario.departure_keep_us != 0 &&
           (judged == NULL || judged->bucket != seen->bucket);
}

/* R8: who was entitled to the row at the head he had before him isn't refused for having lost it
 * since. */
static void check_late_work(struct world *world, const struct ledger_edit *edit)
{
    const struct history_table *table = &world->history.tables[edit->table];
    const struct history_version *seen = history_at(history_row(table, edit->row_id), edit->base);
    const struct history_scope *scope =
        history_scope(&world->history, world->agents[edit->agent].user_id, edit->base);
    sqlite3_stmt *statement = NULL;
    bool is_desk = world->scenario.has_help_desk && edit->agent == 0; /* has other rights */

    if (is_desk || is_spoilt(world, edit) || edit->op != 'U' || seen == NULL ||
        !history_has_bucket(scope, seen->bucket) || may_be_forgotten(world, edit, seen))
        return;
    statement = sim_prepare(world, world->history.database,
                            "SELECT count(*) FROM review_item WHERE reason_code = 'not_entitled'"
                            " AND instr(payload, ?1) > 0");
    (void)sqlite3_bind_text(statement, 1, edit->value, -1, SQLITE_TRANSIENT);
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int64(statement, 0) != 0)
        world_fail(
            world, "R8: '%s' of %s was refused, who was entitled to %s %" PRId64 " at %" PRId64,
            edit->value, world->agents[edit->agent].name, table->name, edit->row_id, edit->base);
    sqlite3_finalize(statement);
}

static void check_edit(struct world *world, const struct ledger_edit *edit)
{
    const struct history_table *table = &world->history.tables[edit->table];
    const struct history_row *row = NULL;
    size_t version = 0;

    if (edit->commit_seq == 0 && ledger_came_to_nothing(world, edit))
        return;
    if (edit->commit_seq == 0)
        world_fail(world, "R6: change %" PRId64 " of %s ('%s') has no verdict", edit->lcn,
                   world->agents[edit->agent].name, edit->value);
    if (edit->is_superseded || edit->op == 'D' || edit->is_common)
        return;
    check_late_work(world, edit);
    if (count_now(world, edit) > (size_t)edit->row_count)
        world_fail(world, "I3: '%s' is in %zu rows of %s", edit->value, count_now(world, edit),
                   table->name);
    if (found_at(world, edit, &row, &version) != 0) {
        if (edit->row_count > 1 && count_now(world, edit) != (size_t)edit->row_count)
            world_fail(world, "G3: %zu of %lld rows of '%s' have arrived", count_now(world, edit),
                       (long long)edit->row_count, edit->value);
        if (edit->is_poison)
            world_fail(world, "I10: '%s' should have been refused", edit->value);
        check_replaced(world, edit, row, version);
        return;
    }
    if (edit->column != HISTORY_NOTHING && is_loss(world, table, edit->column, edit->value))
        return;
    if (review_count(world, edit) != 0)
        return;
    world_fail(world,
               "I8: '%s' of %s (%s %" PRId64 " %s, change %" PRId64 ", decided at %" PRId64
               ") is nowhere: not stored, not in merge_loss, not in review_item",
               edit->value, world->agents[edit->agent].name, table->name, edit->row_id,
               edit->column == HISTORY_NOTHING ? "" : table->columns[edit->column].name, edit->lcn,
               edit->commit_seq);
}

bool ledger_came_to_nothing(const struct world *world, const struct ledger_edit *edit)
{
    bool is_made = false;
    bool is_deleted = false;

    for (size_t i = 0; i < world->ledger.count; i++) {
        const struct ledger_edit *other = &world->ledger.edits[i];

        if (other->agent != edit->agent || other->table != edit->table ||
            other->row_id != edit->row_id || other->commit_seq != 0)
            continue;
        is_made |= other->op == 'I';
        is_deleted |= other->op == 'D';
    }
    return is_made && is_deleted;
}

void ledger_verify(struct world *world)
{
    for (size_t i = 0; i < world->ledger.count; i++)
        check_edit(world, &world->ledger.edits[i]);
}

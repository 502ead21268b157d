/* SPDX-License-Identifier: Apache-2.0 */
/* What the server answered (R6): entries are acknowledged, its rows taken over where they differ
 * (R4), rows merged away dropped, the exceptions remembered. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

enum { REFERENCE_TEXT_SIZE_MAX = 4096, DAYS_KEPT = 14, DAYS_EXCEPTIONS_KEPT = 90 };

struct answered {
    int64_t lcn;
    const struct catalog_table *table;
    int64_t row_id;
    enum change_op op;
    uint64_t mask;
    const struct verdict *exception; /* NULL: applied as sent */
};

struct settling {
    struct replica *replica;
    struct arena *arena;
    struct applier applier;
    const struct message_verdict *verdict;
    struct wall_time now;
    struct answered *changes;
    size_t count;
    struct problem *problem;
};

/* ---- the seal's books ------------------------------------------------------------------------ */

static enum result mark_answered(struct settling *settling)
{
    const struct message_verdict *verdict = settling->verdict;
    struct sql_database *database = settling->replica->database;
    const struct value seal[] = {value_integer(verdict->seal_no), value_integer(settling->now.us),
                                 value_integer(verdict->commit_seq)};
    enum result result =
        sql_run(database, "UPDATE fs_seal SET verdict_at = ?2, commit_seq = ?3 WHERE seal_no = ?1",
                seal, 3, settling->problem);

    if (result == RESULT_OK)
        result = sql_run(database,
                         "UPDATE fs_seal_change SET is_pending = 0, verdict = 'applied',"
                         " verdict_at = ?2 WHERE seal_no = ?1",
                         seal, 2, settling->problem);
    for (size_t i = 0; i < verdict->exception_count && result == RESULT_OK; i++) {
        const struct verdict *exception = &verdict->exceptions[i];
        const struct value values[] = {
            seal[0],
            value_integer(exception->lcn),
            value_text_of(verdict_name(exception->kind)),
            exception->reason.size == 0 ? value_null() : value_text(exception->reason),
            exception->merged_into_id == 0 ? value_null()
                                           : value_integer(exception->merged_into_id),
        };

        result = sql_run(database,
                         "UPDATE fs_seal_change SET verdict = ?3, reason = ?4, merged_into_id = ?5"
                         " WHERE seal_no = ?1 AND lcn = ?2",
                         values, 5, settling->problem);
    }
    if (result == RESULT_OK)
        result =
            state_set_number(settling->replica, "lcn_high", verdict->lcn_high, settling->problem);
    return result;
}

static enum result read_answered(struct settling *settling)
{
    const struct value seal = value_integer(settling->verdict->seal_no);
    struct sql_statement *statement = NULL;
    struct lookup exceptions;
    int64_t room = 0;
    bool has_row = true;
    enum result result = sql_query_integer(settling->replica->database,
                                           "SELECT count(*) FROM fs_seal_change WHERE seal_no = ?1",
                                           &seal, 1, 0, &room, settling->problem);

    lookup_init(&exceptions, settling->arena);
    for (size_t i = 0; i < settling->verdict->exception_count && result == RESULT_OK; i++)
        result =
            lookup_put(&exceptions, 0, settling->verdict->exceptions[i].lcn,
                       (void *)(uintptr_t)&settling->verdict->exceptions[i], settling->problem);
    if (result == RESULT_OK) {
        settling->changes =
            arena_array(settling->arena, (size_t)room + 1, sizeof *settling->changes);
        if (settling->changes == NULL)
            result = arena_full(settling->arena, settling->problem);
    }
    if (result == RESULT_OK)
        result = sql_prepare(settling->replica->database,
                             "SELECT lcn, table_no, row_id, op, mask FROM fs_seal_change"
                             " WHERE seal_no = ?1 ORDER BY lcn",
                             &statement, settling->problem);
    if (result == RESULT_OK)
        result = sql_bind_all(statement, &seal, 1, settling->problem);
    while (result == RESULT_OK && settling->count < (size_t)room) {
        struct answered *change = &settling->changes[settling->count];

        result = sql_step(statement, &has_row, settling->problem);
        if (result != RESULT_OK || !has_row)
            break;
        change->lcn = sql_column_integer(statement, 0);
        change->table = replica_table(settling->replica, sql_column_integer(statement, 1));
        change->row_id = sql_column_integer(statement, 2);
        change->op = (enum change_op)sql_column_integer(statement, 3);
        change->mask = (uint64_t)sql_column_integer(statement, 4);
        change->exception = lookup_find(&exceptions, 0, change->lcn);
        if (change->table != NULL)
            settling->count++;
    }
    sql_release(statement);
    return result;
}

/* ---- rows that were read before this commit are older than it ------------------------------- */

static enum result hold(struct settling *settling, const struct catalog_table *table,
                        int64_t row_id, uint64_t mask, bool is_gone)
{
    const struct value values[] = {
        value_integer(table->number),
        value_integer(row_id),
        value_integer(settling->verdict->commit_seq),
        value_integer((int64_t)mask),
        value_integer(is_gone),
    };

    return sql_run(settling->replica->database,
                   "INSERT INTO fs_hold(table_no, row_id, commit_seq, mask, is_gone)"
                   " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
                   " mask = mask | excluded.mask, is_gone = excluded.is_gone",
                   values, 5, settling->problem);
}

static bool is_merged_away(const struct answered *change)
{
    return change->exception != NULL && change->exception->merged_into_id != 0 &&
           change->exception->merged_into_id != change->row_id;
}

static enum result hold_all(struct settling *settling)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < settling->count && result == RESULT_OK; i++) {
        const struct answered *change = &settling->changes[i];
        const struct verdict *exception = change->exception;
        bool has_row = exception != NULL && exception->has_row;
        bool is_gone = exception == NULL ? change->op == CHANGE_DELETE
                                         : exception->is_row_gone || is_merged_away(change);

        result = hold(settling, change->table, change->row_id,
                      has_row ? change->table->columns_mask : change->mask, is_gone && !has_row);
        if (result == RESULT_OK && is_merged_away(change)) {
            result = hold(settling, change->table, change->row_id, 0, true);
            if (result == RESULT_OK && has_row)
                result = hold(settling, change->table, exception->merged_into_id,
                              change->table->columns_mask, false);
        }
    }
    return result;
}

/* ---- the same row twice: ours joins the server's --------------------------------------------- */

static enum result rewrite_reference(struct settling *settling, const struct catalog_table *table,
                                     const struct catalog_column *column, int64_t old_id,
                                     int64_t new_id)
{
    const struct value ids[] = {value_integer(old_id), value_integer(new_id)};
    struct buffer text;
    enum result result = RESULT_OK;

    buffer_init(&text, REFERENCE_TEXT_SIZE_MAX);
    result = buffer_append(&text, "UPDATE ", 7, settling->problem);
    if (result == RESULT_OK)
        result = sql_append_identifier(&text, table->name, settling->problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, " SET ", 5, settling->problem);
    if (result == RESULT_OK)
        result = sql_append_identifier(&text, column->name, settling->problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, " = ?2 WHERE ", 12, settling->problem);
    if (result == RESULT_OK)
        result = sql_append_identifier(&text, column->name, settling->problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, " = ?1", sizeof " = ?1", settling->problem);
    if (result == RESULT_OK)
        result = sql_run(settling->replica->database, (const char *)text.data, ids, 2,
                         settling->problem);
    buffer_done(&text);
    return result;
}

static enum result rewrite_references(struct settling *settling, uint16_t table_no, int64_t old_id,
                                      int64_t new_id)
{
    const struct catalog *catalog = &settling->replica->catalog;
    enum result result = RESULT_OK;

    for (size_t i = 1; i < catalog->table_count; i++) {
        const struct catalog_table *table = &catalog->tables[i];

        for (uint8_t n = 1; table_is_synced(table) && n < table->column_count; n++)
            if (table->columns[n].refers_to == table_no && result == RESULT_OK)
                result = rewrite_reference(settling, table, &table->columns[n], old_id, new_id);
    }
    return result;
}

/* Edits of our row that came after the seal are edits of the server's row from now on. */
static enum result move_later_edits(struct settling *settling, uint16_t table_no, int64_t old_id,
                                    int64_t new_id)
{
    const struct value values[] = {value_integer(table_no), value_integer(old_id),
                                   value_integer(new_id), value_integer(CHANGE_UPDATE)};
    enum result result =
        sql_run(settling->replica->database,
                "UPDATE fs_outbox SET row_id = ?3 WHERE tbl = ?1 AND row_id = ?2 AND lcn >"
                " coalesce((SELECT number FROM fs_state WHERE name = 'sealed_lcn'), 0)",
                values, 3, settling->problem);

    if (result == RESULT_OK)
        result = sql_run(settling->replica->database,
                         "UPDATE OR REPLACE fs_unsendable SET row_id = ?3, op = ?4"
                         " WHERE table_no = ?1 AND row_id = ?2",
                         values, 4, settling->problem);
    return result;
}

static enum result merge_away(struct settling *settling, const struct answered *change)
{
    struct applier *applier = &settling->applier;
    const struct catalog_table *table = change->table;
    const struct pending_row *found =
        pending_find(&applier->pending, table->number, change->row_id);
    struct pending_row later = found == NULL ? (struct pending_row){0} : *found;
    int64_t new_id = change->exception->merged_into_id;
    struct value *values = NULL;
    int64_t bucket = 0;
    bool exists = false;
    enum result result = replica_read_row(settling->replica, table, change->row_id, settling->arena,
                                          &values, &bucket, settling->problem);

    if (result == RESULT_OK)
        result = rewrite_references(settling, table->number, change->row_id, new_id);
    if (result == RESULT_OK)
        result = replica_remove_row(settling->replica, table, change->row_id, settling->problem);
    if (result == RESULT_OK && change->exception->has_row)
        result = apply_row(applier, &change->exception->row, settling->verdict->commit_seq,
                           settling->problem);
    if (result == RESULT_OK)
        result = move_later_edits(settling, table->number, change->row_id, new_id);
    if (result == RESULT_OK && later.is_edited && later.is_deleted)
        result = replica_remove_row(settling->replica, table, new_id, settling->problem);
    else if (result == RESULT_OK && later.is_edited && later.mask != 0 && values != NULL)
        result = replica_update_row(settling->replica, table, new_id, later.mask, values, &exists,
                                    settling->problem);
    if (result == RESULT_OK)
        result = applier_reload(applier, settling->problem);
    trace_line(settling->replica->trace, "replica: %s %" PRId64 " joined %" PRId64, table->name,
               change->row_id, new_id);
    return result;
}

/* ---- change by change ------------------------------------------------------------------------ */

static enum result settle_change(struct settling *settling, const struct answered *change)
{
    struct applier *applier = &settling->applier;
    const struct verdict *exception = change->exception;
    int64_t commit_seq = settling->verdict->commit_seq;

    if (is_merged_away(change))
        return merge_away(settling, change);
    if (exception != NULL && exception->has_row)
        return apply_echo(applier, &exception->row, commit_seq, settling->problem);
    if (exception != NULL && exception->is_row_gone)
        return apply_gone(applier, change->table, change->row_id, GONE_DELETED, commit_seq,
                          settling->problem);
    return apply_shadow(applier, change->table, change->row_id, commit_seq, settling->problem);
}

static enum result settle_all(struct settling *settling)
{
    size_t dropped_count = 0;
    enum result result = mark_answered(settling);

    if (result == RESULT_OK)
        result = read_answered(settling);
    if (result == RESULT_OK)
        result = hold_all(settling);
    if (result == RESULT_OK)
        result = applier_begin(&settling->applier, settling->replica, settling->arena,
                               settling->problem);
    for (size_t i = 0; i < settling->count && result == RESULT_OK; i++)
        result = settle_change(settling, &settling->changes[i]);
    if (result == RESULT_OK)
        result = leave_sweep(&settling->applier, &dropped_count, settling->problem);
    if (result == RESULT_OK)
        result = quarantine_retry(&settling->applier, settling->problem);
    if (result == RESULT_OK)
        result = applier_finish(&settling->applier, settling->now, settling->problem);
    applier_end(&settling->applier);
    return result;
}

/* Is it about a seal that waits? An answer that comes twice changes nothing. */
static enum result check_seal(struct replica *replica, const struct message_verdict *verdict,
                              bool *ret_is_open, struct problem *problem)
{
    const struct value seal = value_integer(verdict->seal_no);
    int64_t lcn_last = 0;
    int64_t is_open = 0;
    enum result result =
        sql_query_integer(replica->database, "SELECT lcn_last FROM fs_seal WHERE seal_no = ?1",
                          &seal, 1, -1, &lcn_last, problem);

    if (result == RESULT_OK && lcn_last < 0)
        return problem_set(problem, RESULT_MALFORMED, "there is no such seal here");
    if (result == RESULT_OK && verdict->lcn_high < lcn_last)
        return problem_set(problem, RESULT_MALFORMED,
                           "it answers changes up to %" PRId64 ", the seal goes up to %" PRId64,
                           verdict->lcn_high, lcn_last);
    if (result == RESULT_OK)
        result = sql_query_integer(
            replica->database,
            "SELECT count(*) FROM fs_seal WHERE seal_no = ?1 AND verdict_at IS NULL", &seal, 1, 0,
            &is_open, problem);
    *ret_is_open = is_open > 0;
    return result;
}

enum result replica_verdict(struct replica *replica, const struct message_verdict *verdict,
                            struct wall_time now, struct problem *problem)
{
    struct settling settling = {.replica = replica,
                                .arena = &replica->step_arena,
                                .verdict = verdict,
                                .now = now,
                                .problem = problem};
    struct sql_transaction transaction = {0};
    bool is_open = false;
    enum result result = replica_write_begin(replica, &transaction, problem);

    if (result == RESULT_OK)
        result = check_seal(replica, verdict, &is_open, problem);
    if (result == RESULT_OK && is_open)
        result = settle_all(&settling);
    if (result == RESULT_OK && is_open)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    if (result != RESULT_OK) {
        problem_add(problem, "verdict of seal %" PRId64, verdict->seal_no);
        return result;
    }
    if (is_open)
        trace_line(replica->trace,
                   "replica: seal %" PRId64 " answered, %zu changes, %zu not as sent",
                   verdict->seal_no, settling.count, verdict->exception_count);
    replica_written(replica, settling.count);
    return RESULT_OK;
}

/* ---- what may be forgotten ------------------------------------------------------------------- */

enum result seals_prune(struct replica *replica, struct wall_time now, struct problem *problem)
{
    const struct value values[] = {value_integer(now.us - HOURS(24) * DAYS_KEPT),
                                   value_integer(now.us - HOURS(24) * DAYS_EXCEPTIONS_KEPT)};
    int64_t pruned_at = 0;
    enum result result = state_number(replica, "pruned_at", 0, &pruned_at, problem);

    if (result != RESULT_OK || (now.us >= pruned_at && now.us - pruned_at < HOURS(1)))
        return result;
    result = sql_run(replica->database,
                     "DELETE FROM fs_seal WHERE verdict_at < ?1 AND lcn_last <="
                     " coalesce((SELECT number FROM fs_state WHERE name = 'backup_lcn'), 0)"
                     " AND (verdict_at < ?2 OR NOT EXISTS (SELECT 1 FROM fs_seal_change AS c"
                     " WHERE c.seal_no = fs_seal.seal_no AND c.verdict <> 'applied'))",
                     values, 2, problem);
    if (result == RESULT_OK)
        result = sql_run(replica->database,
                         "DELETE FROM fs_seal_change WHERE is_pending = 0 AND NOT EXISTS"
                         " (SELECT 1 FROM fs_seal AS s WHERE s.seal_no = fs_seal_change.seal_no)",
                         NULL, 0, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "pruned_at", now.us, problem);
    return result;
}

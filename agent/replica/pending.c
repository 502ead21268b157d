/* SPDX-License-Identifier: Apache-2.0 */
/* Rows with edits that have no verdict: sealed ones, those in the outbox, those that can't be sent;
 * and answered ones that are newer than what is published. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

static enum result pending_at(struct pending *pending, struct arena *arena, uint16_t table_no,
                              int64_t row_id, struct pending_row **ret_row, struct problem *problem)
{
    struct pending_row *row = lookup_find(&pending->rows, table_no, row_id);
    enum result result = RESULT_OK;

    *ret_row = row;
    if (row != NULL)
        return RESULT_OK;
    row = arena_alloc(arena, sizeof *row);
    if (row == NULL)
        return arena_full(arena, problem);
    *row = (struct pending_row){.table_no = table_no, .row_id = row_id, .next = pending->first};
    result = lookup_put(&pending->rows, table_no, row_id, row, problem);
    if (result != RESULT_OK)
        return result;
    pending->first = row;
    *ret_row = row;
    return RESULT_OK;
}

/* The bucket's own column follows the columns that decide it. */
static uint64_t with_home(const struct replica *replica, const struct catalog_table *table,
                          uint64_t mask)
{
    if (table->home_column_no != 0 && (mask & replica->sql[table->number].bucket_mask) != 0)
        mask |= UINT64_C(1) << table->home_column_no;
    return mask;
}

static enum result add_edit(struct replica *replica, struct pending *pending, struct arena *arena,
                            const struct catalog_table *table, int64_t row_id, enum change_op op,
                            uint64_t mask, struct problem *problem)
{
    struct pending_row *row = NULL;
    enum result result = pending_at(pending, arena, table->number, row_id, &row, problem);

    if (result != RESULT_OK)
        return result;
    if (!row->is_edited)
        pending->edited_count++;
    row->is_edited = true;
    row->is_deleted = op == CHANGE_DELETE;
    row->mask |= with_home(replica, table, mask);
    return RESULT_OK;
}

static enum result load_sealed(struct replica *replica, struct pending *pending,
                               struct arena *arena, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = sql_prepare(
        replica->database,
        "SELECT table_no, row_id, op, mask FROM fs_seal_change WHERE is_pending = 1 ORDER BY lcn",
        &statement, problem);

    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(replica, sql_column_integer(statement, 0));
        if (table != NULL)
            result =
                add_edit(replica, pending, arena, table, sql_column_integer(statement, 1),
                         (enum change_op)sql_column_integer(statement, 2),
                         (uint64_t)sql_column_integer(statement, 3) & table->columns_mask, problem);
    }
    sql_release(statement);
    return result;
}

static enum result load_held(struct replica *replica, struct pending *pending, struct arena *arena,
                             struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result =
        sql_prepare(replica->database,
                    "SELECT table_no, row_id, commit_seq, mask, is_gone FROM fs_hold"
                    " ORDER BY commit_seq",
                    &statement, problem);

    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;
        struct pending_row *row = NULL;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(replica, sql_column_integer(statement, 0));
        if (table == NULL)
            continue;
        result = pending_at(pending, arena, table->number, sql_column_integer(statement, 1), &row,
                            problem);
        if (result != RESULT_OK)
            break;
        row->hold_seq = sql_column_integer(statement, 2);
        row->hold_mask |= with_home(replica, table, (uint64_t)sql_column_integer(statement, 3));
        row->is_hold_gone = sql_column_integer(statement, 4) != 0;
    }
    sql_release(statement);
    return result;
}

static enum result load_recorded(struct replica *replica, struct pending *pending,
                                 struct arena *arena, struct problem *problem)
{
    struct outbox outbox;
    struct outbox_row row;
    bool has_row = true;
    enum result result = outbox_begin(&outbox, replica, INT64_MAX, true, problem);

    while (result == RESULT_OK && has_row) {
        result = outbox_next(&outbox, &row, &has_row, problem);
        if (result == RESULT_OK && has_row && row.is_change)
            result = add_edit(replica, pending, arena, replica_table(replica, row.table_no),
                              row.row_id, row.op, row.mask, problem);
    }
    outbox_end(&outbox);
    return result;
}

enum result pending_load(struct replica *replica, struct arena *arena, struct pending *ret_pending,
                         struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_pending = (struct pending){0};
    lookup_init(&ret_pending->rows, arena);
    result = load_sealed(replica, ret_pending, arena, problem);
    if (result == RESULT_OK)
        result = load_recorded(replica, ret_pending, arena, problem);
    if (result == RESULT_OK)
        result = load_held(replica, ret_pending, arena, problem);
    if (result != RESULT_OK)
        problem_add(problem, "loading pending edits");
    return result;
}

const struct pending_row *pending_find(const struct pending *pending, uint16_t table_no,
                                       int64_t row_id)
{
    return pending->rows.count == 0 ? NULL : lookup_find(&pending->rows, table_no, row_id);
}

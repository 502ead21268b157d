/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of the outbox, coalesced row by row.
 *
 * The lines of a row in order tell where it was: I without a line R just before it means that the
 * row wasn't there, R that it was, U that it is, D that it is gone, ? that it may be. Whether a row
 * that may be gone is gone, the table itself tells. A delete and an insert of the same row, with
 * nothing to tell which columns came back as they were, sends all columns that the author may have
 * set: too many columns are a conflict more, too few would be a lost edit. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

struct reading {
    struct replica *replica;
    struct arena *arena;
    struct lookup row_of;
    struct outbox_row **rows;
    size_t count, room;
    struct problem *problem;
};

struct line {
    int64_t lcn;
    const struct catalog_table *table;
    int64_t row_id;
    char op;
    uint64_t mask;
    int64_t edited_at;
    int64_t base_seq;
};

static enum result row_add(struct reading *reading, const struct catalog_table *table,
                           int64_t row_id, struct outbox_row **ret_row)
{
    struct outbox_row *row = lookup_find(&reading->row_of, table->number, row_id);
    enum result result = RESULT_OK;

    *ret_row = row;
    if (row != NULL)
        return RESULT_OK;
    if (reading->count == reading->room) {
        size_t room = reading->room == 0 ? 64 : reading->room * 2;
        struct outbox_row **rows = arena_array(reading->arena, room, sizeof *rows);

        if (rows == NULL)
            return arena_full(reading->arena, reading->problem);
        if (reading->count > 0)
            memcpy(rows, reading->rows, reading->count * sizeof *rows);
        reading->rows = rows;
        reading->room = room;
    }
    row = arena_alloc(reading->arena, sizeof *row);
    if (row == NULL)
        return arena_full(reading->arena, reading->problem);
    *row = (struct outbox_row){.table_no = table->number, .row_id = row_id, .base_seq = INT64_MAX};
    result = lookup_put(&reading->row_of, table->number, row_id, row, reading->problem);
    if (result != RESULT_OK)
        return result;
    reading->rows[reading->count++] = row;
    *ret_row = row;
    return RESULT_OK;
}

static void on_inserted(struct outbox_row *row, const struct line *line)
{
    if (row->last_op == 'R') { /* the old row was replaced: only what differs */
        row->mask |= row->met_mask;
        row->is_touched |= row->met_mask != 0;
        return;
    }
    if (!row->is_touched && !row->may_be_gone)
        row->is_born = true;
    row->mask |= line->mask;
    row->is_touched = true;
    row->is_gone = false;
    row->may_be_gone = false;
}

static void row_follow(struct outbox_row *row, const struct line *line)
{
    bool counts = true;

    switch (line->op) {
    case 'I':
        on_inserted(row, line);
        break;
    case 'U':
        row->mask |= line->mask;
        row->is_touched = true;
        row->is_gone = false;
        row->may_be_gone = false;
        break;
    case 'D':
        row->is_gone = true;
        row->is_touched = true;
        row->may_be_gone = false;
        break;
    case 'R':
        row->met_mask = line->mask;
        row->may_be_gone = false;
        counts = false;
        break;
    case '?':
        row->may_be_gone = true;
        break;
    default: /* of a newer program: nothing to go by */
        counts = false;
        break;
    }
    row->last_op = line->op;
    row->lcn = line->lcn;
    if (!counts)
        return;
    row->recorded_at = line->edited_at;
    if (line->base_seq < row->base_seq)
        row->base_seq = line->base_seq;
}

/* What is waiting because it couldn't be sent is where the row's story begins. */
static enum result read_waiting(struct reading *reading, bool only_known)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = sql_prepare(reading->replica->database,
                                     "SELECT table_no, row_id, op, mask, base_seq, edited_at"
                                     " FROM fs_unsendable",
                                     &statement, reading->problem);

    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;
        struct outbox_row *row = NULL;

        result = sql_step(statement, &has_row, reading->problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(reading->replica, sql_column_integer(statement, 0));
        if (table == NULL)
            continue;
        row = lookup_find(&reading->row_of, table->number, sql_column_integer(statement, 1));
        if (row == NULL && only_known)
            continue;
        if (row == NULL)
            result = row_add(reading, table, sql_column_integer(statement, 1), &row);
        if (result != RESULT_OK)
            break;
        /* Lines came after it: what they did to a row that isn't touched yet stays as it is. */
        row->is_born |= sql_column_integer(statement, 2) == CHANGE_INSERT;
        row->is_touched = true;
        row->mask |= (uint64_t)sql_column_integer(statement, 3);
        if (sql_column_integer(statement, 4) < row->base_seq)
            row->base_seq = sql_column_integer(statement, 4);
        if (row->recorded_at == 0)
            row->recorded_at = sql_column_integer(statement, 5);
    }
    sql_release(statement);
    return result;
}

static enum result read_lines(struct reading *reading, int64_t lcn_after, size_t line_max,
                              int64_t *ret_lcn_last)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result =
        sql_prepare(reading->replica->database,
                    "SELECT lcn, tbl, row_id, op, mask, edited_at, base_seq FROM fs_outbox"
                    " WHERE lcn > ?1 ORDER BY lcn LIMIT ?2",
                    &statement, reading->problem);

    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, lcn_after, reading->problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 2, (int64_t)line_max, reading->problem);
    while (result == RESULT_OK) {
        struct outbox_row *row = NULL;
        struct line line = {0};
        struct value op;

        result = sql_step(statement, &has_row, reading->problem);
        if (result != RESULT_OK || !has_row)
            break;
        line.lcn = sql_column_integer(statement, 0);
        line.table = replica_table(reading->replica, sql_column_integer(statement, 1));
        op = sql_column(statement, 3);
        *ret_lcn_last = line.lcn;
        if (line.table == NULL || op.type != VALUE_TEXT || op.bytes.size != 1)
            continue;
        line.row_id = sql_column_integer(statement, 2);
        line.op = (char)op.bytes.data[0];
        line.mask = (uint64_t)sql_column_integer(statement, 4) & line.table->columns_mask;
        line.edited_at = sql_column_integer(statement, 5);
        line.base_seq = sql_column_integer(statement, 6);
        result = row_add(reading, line.table, line.row_id, &row);
        if (result == RESULT_OK)
            row_follow(row, &line);
    }
    sql_release(statement);
    return result;
}

static enum result row_exists(struct replica *replica, const struct catalog_table *table,
                              int64_t row_id, bool *ret_exists, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    enum result result =
        sql_prepare(replica->database, replica->sql[table->number].select, &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, row_id, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, ret_exists, problem);
    sql_release(statement);
    return result;
}

/* What the lines come to, seen against the table as it is now. */
static enum result row_conclude(struct reading *reading, struct outbox_row *row)
{
    const struct catalog_table *table = replica_table(reading->replica, row->table_no);
    bool exists = false;
    enum result result = RESULT_OK;

    invariant(table != NULL);
    result = row_exists(reading->replica, table, row->row_id, &exists, reading->problem);
    if (result != RESULT_OK)
        return result;
    if (exists && row->is_born)
        row->op = CHANGE_INSERT;
    else if (exists)
        row->op = CHANGE_UPDATE;
    else
        row->op = CHANGE_DELETE;
    if (exists) /* what the server alone sets is never sent */
        row->mask &= table->columns_mask & ~table->server_only_mask;
    else
        row->mask = 0;
    switch (row->op) {
    case CHANGE_INSERT:
        row->is_change = true;
        break;
    case CHANGE_UPDATE:
        row->is_change = row->mask != 0;
        break;
    case CHANGE_DELETE: /* a row that vanished without a line was removed behind the triggers */
        row->is_change = !row->is_born && (row->is_gone || row->may_be_gone);
        break;
    }
    if (row->base_seq == INT64_MAX)
        row->base_seq = 0;
    return RESULT_OK;
}

enum result outbox_read(struct replica *replica, size_t line_max, bool with_waiting,
                        struct arena *arena, struct outbox_row ***ret_rows, size_t *ret_count,
                        int64_t *ret_lcn_last, struct problem *problem)
{
    struct reading reading = {.replica = replica, .arena = arena, .problem = problem};
    int64_t sealed_lcn = 0;
    int64_t lcn_last = 0;
    enum result result = state_number(replica, "sealed_lcn", 0, &sealed_lcn, problem);

    lookup_init(&reading.row_of, arena);
    lcn_last = sealed_lcn;
    if (result == RESULT_OK)
        result = read_lines(&reading, sealed_lcn, line_max, &lcn_last);
    if (result == RESULT_OK)
        result = read_waiting(&reading, !with_waiting);
    for (size_t i = 0; i < reading.count && result == RESULT_OK; i++)
        result = row_conclude(&reading, reading.rows[i]);
    if (result != RESULT_OK) {
        problem_add(problem, "reading the outbox");
        return result;
    }
    *ret_rows = reading.rows;
    *ret_count = reading.count;
    *ret_lcn_last = lcn_last;
    return RESULT_OK;
}

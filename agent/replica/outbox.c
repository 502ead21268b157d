/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of the outbox, coalesced row by row; memory for one row at a time.
 *
 * The lines of a row in order tell where it was: I without a line R just before it means that the
 * row wasn't there, R that it was, U that it is, D that it is gone, ? that it may be. Whether a row
 * that may be gone is gone, the table itself tells. A delete and an insert of the same row, with
 * nothing to tell which columns came back as they were, sends all columns that the author may have
 * set: too many columns are a conflict more, too few would be a lost edit. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

/* Columns of the one query that all is read with. */
enum {
    COLUMN_TABLE,
    COLUMN_ROW_ID,
    COLUMN_LCN,
    COLUMN_OP,
    COLUMN_MASK,
    COLUMN_EDITED_AT,
    COLUMN_BASE_SEQ,
    COLUMN_WAITING_OP, /* NULL: a line, else a change that waits in fs_unsendable */
};

#define LCN_OF_WAITING "9223372036854775807" /* after the lines of the same row */

struct line {
    int64_t lcn;
    char op;
    uint64_t mask;
    int64_t edited_at;
    int64_t base_seq;
};

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

/* What is waiting because it couldn't be sent is where the row's story begins; lines came after it:
 * what they did to a row that isn't touched yet stays as it is. */
static void row_join_waiting(struct outbox_row *row, struct sql_statement *statement)
{
    row->is_born |= sql_column_integer(statement, COLUMN_WAITING_OP) == CHANGE_INSERT;
    row->is_touched = true;
    row->mask |= (uint64_t)sql_column_integer(statement, COLUMN_MASK);
    if (sql_column_integer(statement, COLUMN_BASE_SEQ) < row->base_seq)
        row->base_seq = sql_column_integer(statement, COLUMN_BASE_SEQ);
    if (row->recorded_at == 0)
        row->recorded_at = sql_column_integer(statement, COLUMN_EDITED_AT);
}

static bool read_line(struct sql_statement *statement, const struct catalog_table *table,
                      struct line *ret_line)
{
    struct value op = sql_column(statement, COLUMN_OP);

    if (op.type != VALUE_TEXT || op.bytes.size != 1)
        return false;
    *ret_line = (struct line){.lcn = sql_column_integer(statement, COLUMN_LCN),
                              .op = (char)op.bytes.data[0],
                              .mask = (uint64_t)sql_column_integer(statement, COLUMN_MASK) &
                                      table->columns_mask,
                              .edited_at = sql_column_integer(statement, COLUMN_EDITED_AT),
                              .base_seq = sql_column_integer(statement, COLUMN_BASE_SEQ)};
    return true;
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
static enum result row_conclude(struct replica *replica, struct outbox_row *row,
                                struct problem *problem)
{
    const struct catalog_table *table = replica_table(replica, row->table_no);
    bool exists = false;
    enum result result = RESULT_OK;

    invariant(table != NULL);
    result = row_exists(replica, table, row->row_id, &exists, problem);
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

enum result outbox_begin(struct outbox *outbox, struct replica *replica, int64_t lcn_last,
                         bool with_waiting, struct problem *problem)
{
    int64_t sealed_lcn = 0;
    enum result result = state_number(replica, "sealed_lcn", 0, &sealed_lcn, problem);

    *outbox = (struct outbox){.replica = replica, .with_waiting = with_waiting};
    if (result == RESULT_OK) /* sorted by SQLite: on the disk if it is much */
        result = sql_prepare(replica->database,
                             "SELECT tbl, row_id, lcn, op, mask, edited_at, base_seq, NULL"
                             " FROM fs_outbox WHERE lcn > ?1 AND lcn <= ?2"
                             " UNION ALL"
                             " SELECT table_no, row_id, " LCN_OF_WAITING ", 'W', mask, edited_at,"
                             " base_seq, op FROM fs_unsendable ORDER BY 1, 2, 3",
                             &outbox->statement, problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(outbox->statement, 1, sealed_lcn, problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(outbox->statement, 2, lcn_last, problem);
    if (result == RESULT_OK)
        result = sql_step(outbox->statement, &outbox->has_line, problem);
    if (result != RESULT_OK)
        problem_add(problem, "reading the outbox");
    return result;
}

static bool is_line_of(const struct outbox *outbox, const struct outbox_row *row)
{
    return outbox->has_line &&
           sql_column_integer(outbox->statement, COLUMN_TABLE) == row->table_no &&
           sql_column_integer(outbox->statement, COLUMN_ROW_ID) == row->row_id;
}

/* All lines of the row at hand. *ret_counts: any that this program understands. */
static enum result gather_row(struct outbox *outbox, const struct catalog_table *table,
                              struct outbox_row *row, bool *ret_counts, struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_counts = false;
    do {
        struct line line = {0};

        if (sql_column_integer(outbox->statement, COLUMN_WAITING_OP) != 0) {
            if (*ret_counts || outbox->with_waiting)
                row_join_waiting(row, outbox->statement);
            *ret_counts |= outbox->with_waiting;
        } else if (read_line(outbox->statement, table, &line)) {
            row_follow(row, &line);
            *ret_counts = true;
        }
        result = sql_step(outbox->statement, &outbox->has_line, problem);
    } while (result == RESULT_OK && is_line_of(outbox, row));
    return result;
}

enum result outbox_next(struct outbox *outbox, struct outbox_row *ret_row, bool *ret_has,
                        struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_has = false;
    while (result == RESULT_OK && outbox->has_line && !*ret_has) {
        const struct catalog_table *table =
            replica_table(outbox->replica, sql_column_integer(outbox->statement, COLUMN_TABLE));
        struct outbox_row row = {.row_id = sql_column_integer(outbox->statement, COLUMN_ROW_ID),
                                 .base_seq = INT64_MAX};

        if (table == NULL) { /* of a table that is gone */
            result = sql_step(outbox->statement, &outbox->has_line, problem);
            continue;
        }
        row.table_no = table->number;
        result = gather_row(outbox, table, &row, ret_has, problem);
        if (result == RESULT_OK && *ret_has)
            result = row_conclude(outbox->replica, &row, problem);
        *ret_row = row;
    }
    if (result != RESULT_OK)
        problem_add(problem, "reading the outbox");
    return result;
}

void outbox_end(struct outbox *outbox)
{
    sql_release(outbox->statement);
    *outbox = (struct outbox){0};
}

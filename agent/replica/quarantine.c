/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that a local UNIQUE, CHECK or somebody's trigger refuses.
 *
 * A refusal may be a matter of order: two rows that swap a unique value refuse each other one by
 * one. So at the end of a batch the refused rows are tried again, then all of them are taken out
 * and put in anew; what is refused even then waits in fs_quarantine, and the rest is published. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

enum { PACKED_SIZE_MAX = 16 << 20 };

enum result applier_refuse(struct applier *applier, const struct catalog_table *table,
                           int64_t row_id, uint64_t mask, const struct value *values,
                           const char *reason, struct problem *problem)
{
    struct refused_row *row = NULL;
    enum result result = RESULT_OK;

    if (applier->refused_count == applier->refused_room) {
        size_t room = applier->refused_room == 0 ? 16 : applier->refused_room * 2;
        struct refused_row *rows = arena_array(applier->arena, room, sizeof *rows);

        if (rows == NULL)
            return arena_full(applier->arena, problem);
        if (applier->refused_count > 0)
            memcpy(rows, applier->refused, applier->refused_count * sizeof *rows);
        applier->refused = rows;
        applier->refused_room = room;
    }
    row = &applier->refused[applier->refused_count];
    *row = (struct refused_row){.table = table, .row_id = row_id, .mask = mask};
    row->values = arena_array(applier->arena, table->column_count, sizeof *row->values);
    row->reason = arena_format(applier->arena, "%s", reason);
    if (row->values == NULL || row->reason == NULL)
        return arena_full(applier->arena, problem);
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
        if ((mask >> n & 1) != 0)
            result = value_copy(applier->arena, &values[n], &row->values[n], problem);
    if (result == RESULT_OK)
        applier->refused_count++;
    return result;
}

/* Puts one row; a refusal is not a failure but the new reason in `row`. */
static enum result try_row(struct applier *applier, struct refused_row *row, bool *ret_is_in,
                           struct problem *problem)
{
    const struct pending_row *pending =
        pending_find(&applier->pending, row->table->number, row->row_id);
    size_t refused_count = applier->refused_count;
    uint64_t mask = row->mask;
    enum result result = RESULT_OK;

    if (pending != NULL && pending->is_edited)
        mask &= ~pending->mask; /* edits that came while it waited */
    if (pending == NULL || !pending->is_deleted)
        result = applier_put(applier, row->table, row->row_id, mask,
                             row->mask == row->table->columns_mask, row->values, problem);
    *ret_is_in = applier->refused_count == refused_count;
    if (result == RESULT_OK && !*ret_is_in)
        row->reason = applier->refused[refused_count].reason;
    applier->refused_count = refused_count;
    return result;
}

/* Tries all that are left; what gets in leaves the list. */
static enum result try_all(struct applier *applier, struct problem *problem)
{
    size_t left = 0;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < applier->refused_count && result == RESULT_OK; i++) {
        struct refused_row row = applier->refused[i];
        bool is_in = false;

        result = try_row(applier, &row, &is_in, problem);
        if (result == RESULT_OK && !is_in)
            applier->refused[left++] = row;
    }
    if (result == RESULT_OK)
        applier->refused_count = left;
    return result;
}

/* Takes the rows out that are refused, so that they no longer stand in each other's way. Rows with
 * local edits stay: they must not be lost if the row can't be put back. */
static enum result take_out(struct applier *applier, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < applier->refused_count && result == RESULT_OK; i++) {
        struct refused_row *row = &applier->refused[i];
        const struct pending_row *pending =
            pending_find(&applier->pending, row->table->number, row->row_id);
        struct value *values = NULL;
        int64_t bucket = 0;

        if (pending != NULL && pending->is_edited)
            continue;
        result = replica_read_row(applier->replica, row->table, row->row_id, applier->arena,
                                  &values, &bucket, problem);
        if (result != RESULT_OK || values == NULL)
            continue;
        for (uint8_t n = 1; n < row->table->column_count; n++)
            if ((row->mask >> n & 1) != 0)
                values[n] = row->values[n];
        row->values = values;
        row->mask = row->table->columns_mask;
        result = replica_remove_row(applier->replica, row->table, row->row_id, problem);
        if (result == RESULT_REFUSED && sql_in_transaction(applier->replica->database)) {
            *problem = (struct problem){0};
            result = RESULT_OK;
        }
    }
    return result;
}

static enum result keep_row(struct applier *applier, const struct refused_row *row,
                            struct wall_time now, struct problem *problem)
{
    struct buffer packed;
    enum result result = RESULT_OK;

    trace_line(applier->replica->trace, "replica: %s %" PRId64 " is in quarantine: %s",
               row->table->name, row->row_id, row->reason);
    buffer_init(&packed, PACKED_SIZE_MAX);
    result = pack_values(row->table, row->mask, row->values, &packed, problem);
    if (result == RESULT_OK) {
        const struct value values[] = {
            value_integer(row->table->number), value_integer(row->row_id),
            value_integer((int64_t)row->mask), value_blob(buffer_bytes(&packed)),
            value_text_of(row->reason),        value_integer(row->since == 0 ? now.us : row->since),
        };

        result = sql_run(applier->replica->database,
                         "INSERT INTO fs_quarantine(table_no, row_id, mask, data, reason, since)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET mask = ?3,"
                         " data = ?4, reason = ?5",
                         values, 6, problem);
    }
    buffer_done(&packed);
    if (result == RESULT_OK)
        applier->quarantined_count++;
    return result;
}

enum result quarantine_settle(struct applier *applier, struct wall_time now,
                              struct problem *problem)
{
    size_t before = applier->refused_count + 1;
    enum result result = RESULT_OK;

    while (applier->refused_count > 0 && applier->refused_count < before && result == RESULT_OK) {
        before = applier->refused_count;
        result = try_all(applier, problem);
    }
    if (applier->refused_count > 0 && result == RESULT_OK)
        result = take_out(applier, problem);
    before = applier->refused_count + 1;
    while (applier->refused_count > 0 && applier->refused_count < before && result == RESULT_OK) {
        before = applier->refused_count;
        result = try_all(applier, problem);
    }
    for (size_t i = 0; i < applier->refused_count && result == RESULT_OK; i++)
        result = keep_row(applier, &applier->refused[i], now, problem);
    applier->refused_count = 0;
    return result;
}

/* ---- rows that are in quarantine ------------------------------------------------------------- */

static enum result forget(struct applier *applier, const struct catalog_table *table,
                          int64_t row_id, struct problem *problem)
{
    const struct value key[] = {value_integer(table->number), value_integer(row_id)};

    return sql_run(applier->replica->database,
                   "DELETE FROM fs_quarantine WHERE table_no = ?1 AND row_id = ?2", key, 2,
                   problem);
}

enum result quarantine_take(struct applier *applier, const struct catalog_table *table,
                            int64_t row_id, uint64_t mask, struct value *values, uint64_t *ret_mask,
                            struct value **ret_values, struct problem *problem)
{
    const struct value key[] = {value_integer(table->number), value_integer(row_id)};
    struct sql_statement *statement = NULL;
    struct value *merged = NULL;
    struct value data = {0};
    uint64_t merged_mask = 0;
    bool has_row = false;
    enum result result =
        sql_prepare(applier->replica->database,
                    "SELECT mask, data FROM fs_quarantine WHERE table_no = ?1 AND row_id = ?2",
                    &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, key, 2, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, problem);
    if (result == RESULT_OK && has_row) {
        merged_mask = (uint64_t)sql_column_integer(statement, 0);
        result = sql_column_copy(statement, 1, applier->arena, &data, problem);
    }
    sql_release(statement);
    if (result != RESULT_OK || !has_row)
        return result;
    result = unpack_values(table, merged_mask, data.bytes, applier->arena, &merged, problem);
    merged_mask &= table->columns_mask; /* without columns that were dropped since */
    if (result == RESULT_OK)
        result = forget(applier, table, row_id, problem);
    if (result != RESULT_OK)
        return result;
    for (uint8_t n = 1; n < table->column_count; n++)
        if ((mask >> n & 1) != 0)
            merged[n] = values[n];
    *ret_mask = merged_mask | mask;
    *ret_values = merged;
    return RESULT_OK;
}

enum result quarantine_retry(struct applier *applier, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = RESULT_OK;

    if (!applier->has_quarantine)
        return RESULT_OK;
    result = sql_prepare(applier->replica->database,
                         "SELECT table_no, row_id, mask, data, reason, since FROM fs_quarantine",
                         &statement, problem);
    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;
        struct value *values = NULL;
        uint64_t mask = 0;
        const char *reason = NULL;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(applier->replica, sql_column_integer(statement, 0));
        if (table == NULL)
            continue;
        mask = (uint64_t)sql_column_integer(statement, 2);
        result = unpack_values(table, mask, sql_column(statement, 3).bytes, applier->arena, &values,
                               problem);
        mask &= table->columns_mask;
        if (result == RESULT_OK)
            result = sql_column_text(statement, 4, applier->arena, &reason, problem);
        if (result == RESULT_OK)
            result = applier_refuse(applier, table, sql_column_integer(statement, 1), mask, values,
                                    reason, problem);
        if (result == RESULT_OK)
            applier->refused[applier->refused_count - 1].since = sql_column_integer(statement, 5);
    }
    sql_release(statement);
    for (size_t i = 0; i < applier->refused_count && result == RESULT_OK; i++)
        result = forget(applier, applier->refused[i].table, applier->refused[i].row_id, problem);
    return result;
}

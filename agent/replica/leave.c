/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets that leave the subscription: their rows go, but not those that hold unanswered work, and
 * not what such rows refer to (I7). */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

struct kept_row {
    const struct catalog_table *table;
    int64_t row_id;
    struct kept_row *next; /* rows whose references are still to be followed */
};

struct sweep {
    struct applier *applier;
    struct replica *replica;
    struct arena *arena;
    int64_t *buckets; /* ascending */
    bool *is_needed;  /* beside it: a row stays */
    size_t bucket_count;
    struct lookup kept;
    struct kept_row *todo;
    size_t removed_count;
    struct problem *problem;
};

/* ---- buckets --------------------------------------------------------------------------------- */

static int compare_integers(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;

    return (*x > *y) - (*x < *y);
}

bool bucket_is_in(const int64_t *buckets, size_t count, int64_t bucket)
{
    return count > 0 && bsearch(&bucket, buckets, count, sizeof bucket, compare_integers) != NULL;
}

enum result bucket_list(struct replica *replica, enum bucket_state state, struct arena *arena,
                        int64_t **ret_buckets, size_t *ret_count, struct problem *problem)
{
    const struct value value = value_integer((int64_t)state);
    struct sql_statement *statement = NULL;
    int64_t *buckets = NULL;
    int64_t room = 0;
    size_t count = 0;
    bool has_row = true;
    enum result result =
        sql_query_integer(replica->database, "SELECT count(*) FROM fs_bucket WHERE state = ?1",
                          &value, 1, 0, &room, problem);

    if (result != RESULT_OK)
        return result;
    buckets = arena_array(arena, (size_t)room + 1, sizeof *buckets);
    if (buckets == NULL)
        return arena_full(arena, problem);
    result = sql_prepare(replica->database,
                         "SELECT bucket FROM fs_bucket WHERE state = ?1 ORDER BY bucket LIMIT ?2",
                         &statement, problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, (int64_t)state, problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 2, room, problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        buckets[count++] = sql_column_integer(statement, 0);
    }
    sql_release(statement);
    *ret_buckets = buckets;
    *ret_count = count;
    return result;
}

enum result bucket_rows(struct replica *replica, const struct catalog_table *table,
                        int64_t bucket_first, int64_t bucket_last, struct arena *arena,
                        struct bucket_row **ret_rows, size_t *ret_count, struct problem *problem)
{
    const struct value range[] = {value_integer(bucket_first), value_integer(bucket_last)};
    struct sql_statement *statement = NULL;
    struct bucket_row *rows = NULL;
    size_t count = 0;
    size_t room = 0;
    bool has_row = true;
    enum result result =
        sql_prepare(replica->database, replica->sql[table->number].ids, &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, range, 2, problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        if (count == room) {
            size_t new_room = room == 0 ? 64 : room * 2;
            struct bucket_row *grown = arena_array(arena, new_room, sizeof *grown);

            if (grown == NULL) {
                result = arena_full(arena, problem);
                break;
            }
            if (count > 0)
                memcpy(grown, rows, count * sizeof *rows);
            rows = grown;
            room = new_room;
        }
        rows[count].row_id = sql_column_integer(statement, 0);
        rows[count++].bucket = sql_column_integer(statement, 1);
    }
    sql_release(statement);
    *ret_rows = rows;
    *ret_count = count;
    return result;
}

/* ---- what stays ------------------------------------------------------------------------------ */

static enum result keep(struct sweep *sweep, const struct catalog_table *table, int64_t row_id)
{
    struct kept_row *row = NULL;

    if (table == NULL || lookup_find(&sweep->kept, table->number, row_id) != NULL)
        return RESULT_OK;
    row = arena_alloc(sweep->arena, sizeof *row);
    if (row == NULL)
        return arena_full(sweep->arena, sweep->problem);
    *row = (struct kept_row){.table = table, .row_id = row_id, .next = sweep->todo};
    sweep->todo = row;
    return lookup_put(&sweep->kept, table->number, row_id, row, sweep->problem);
}

static enum result keep_parents(struct sweep *sweep, const struct kept_row *row)
{
    struct value *values = NULL;
    int64_t bucket = 0;
    enum result result = replica_read_row(sweep->replica, row->table, row->row_id, sweep->arena,
                                          &values, &bucket, sweep->problem);

    if (result != RESULT_OK || values == NULL)
        return result;
    for (uint8_t n = 1; n < row->table->column_count && result == RESULT_OK; n++)
        if (row->table->columns[n].refers_to != 0 && values[n].type == VALUE_INTEGER)
            result = keep(sweep, replica_table(sweep->replica, row->table->columns[n].refers_to),
                          values[n].integer);
    return result;
}

static enum result find_kept(struct sweep *sweep)
{
    enum result result = RESULT_OK;

    for (const struct pending_row *row = sweep->applier->pending.first;
         row != NULL && result == RESULT_OK; row = row->next)
        if (row->is_edited)
            result = keep(sweep, replica_table(sweep->replica, row->table_no), row->row_id);
    while (sweep->todo != NULL && result == RESULT_OK) {
        const struct kept_row *row = sweep->todo;

        sweep->todo = row->next;
        result = keep_parents(sweep, row);
    }
    return result;
}

/* ---- what goes ------------------------------------------------------------------------------- */

static void mark_needed(struct sweep *sweep, int64_t bucket)
{
    for (size_t i = 0; i < sweep->bucket_count; i++)
        if (sweep->buckets[i] == bucket)
            sweep->is_needed[i] = true;
}

static enum result sweep_table(struct sweep *sweep, const struct catalog_table *table)
{
    struct bucket_row *rows = NULL;
    size_t count = 0;
    enum result result = bucket_rows(sweep->replica, table, sweep->buckets[0],
                                     sweep->buckets[sweep->bucket_count - 1], sweep->arena, &rows,
                                     &count, sweep->problem);

    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        if (!bucket_is_in(sweep->buckets, sweep->bucket_count, rows[i].bucket))
            continue;
        if (lookup_find(&sweep->kept, table->number, rows[i].row_id) != NULL) {
            mark_needed(sweep, rows[i].bucket);
            continue;
        }
        result = replica_remove_row(sweep->replica, table, rows[i].row_id, sweep->problem);
        if (result == RESULT_REFUSED && sql_in_transaction(sweep->replica->database)) {
            mark_needed(sweep, rows[i].bucket); /* somebody's trigger; tried again later */
            *sweep->problem = (struct problem){0};
            result = RESULT_OK;
        } else if (result == RESULT_OK) {
            sweep->removed_count++;
        }
    }
    return result;
}

/* Rows in quarantine belong to buckets as well. */
static enum result sweep_quarantine(struct sweep *sweep)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = RESULT_OK;

    if (!sweep->applier->has_quarantine)
        return RESULT_OK;
    result = sql_prepare(sweep->replica->database,
                         "SELECT table_no, row_id, mask, data FROM fs_quarantine", &statement,
                         sweep->problem);
    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;
        struct value *values = NULL;
        struct problem none = {0};
        int64_t bucket = 0;
        uint64_t mask = 0;

        result = sql_step(statement, &has_row, sweep->problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(sweep->replica, sql_column_integer(statement, 0));
        mask = (uint64_t)sql_column_integer(statement, 2);
        if (table == NULL || mask != table->columns_mask)
            continue;
        result = unpack_values(table, mask, sql_column(statement, 3).bytes, sweep->arena, &values,
                               sweep->problem);
        if (result == RESULT_OK &&
            catalog_bucket(table, sql_column_integer(statement, 1), values, &bucket, &none) ==
                RESULT_OK &&
            bucket_is_in(sweep->buckets, sweep->bucket_count, bucket)) {
            const struct value key[] = {sql_column(statement, 0), sql_column(statement, 1)};

            result = sql_run(sweep->replica->database,
                             "DELETE FROM fs_quarantine WHERE table_no = ?1 AND row_id = ?2", key,
                             2, sweep->problem);
        }
    }
    sql_release(statement);
    return result;
}

static enum result forget_buckets(struct sweep *sweep, size_t *ret_dropped_count)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sweep->bucket_count && result == RESULT_OK; i++) {
        const struct value value = value_integer(sweep->buckets[i]);

        if (sweep->is_needed[i])
            continue;
        result = sql_run(sweep->replica->database, "DELETE FROM fs_bucket WHERE bucket = ?1",
                         &value, 1, sweep->problem);
        (*ret_dropped_count)++;
    }
    return result;
}

enum result leave_sweep(struct applier *applier, size_t *ret_dropped_count, struct problem *problem)
{
    struct sweep sweep = {.applier = applier,
                          .replica = applier->replica,
                          .arena = applier->arena,
                          .problem = problem};
    const struct catalog *catalog = &applier->replica->catalog;
    enum result result = bucket_list(applier->replica, BUCKET_LEAVING, applier->arena,
                                     &sweep.buckets, &sweep.bucket_count, problem);

    *ret_dropped_count = 0;
    if (result != RESULT_OK || sweep.bucket_count == 0)
        return result;
    sweep.is_needed = arena_array(applier->arena, sweep.bucket_count, sizeof *sweep.is_needed);
    if (sweep.is_needed == NULL)
        return arena_full(applier->arena, problem);
    lookup_init(&sweep.kept, applier->arena);
    result = find_kept(&sweep);
    for (size_t i = 1; i < catalog->table_count && result == RESULT_OK; i++)
        if (table_is_synced(&catalog->tables[i]))
            result = sweep_table(&sweep, &catalog->tables[i]);
    if (result == RESULT_OK)
        result = sweep_quarantine(&sweep);
    if (result == RESULT_OK)
        result = forget_buckets(&sweep, ret_dropped_count);
    applier->gone_count += sweep.removed_count;
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/work_inside.h"

#include <inttypes.h>
#include <string.h>

/* In one group: some 3 KB each are in memory until its commit. */
enum { ADOPT_LINES_MAX = 5000 };

/* What fs_outbox says about one row, all its lines taken together. */
struct adopted {
    const struct catalog_table *table;
    int64_t row_id;
    uint64_t mask;
    int64_t edited_at_us;
    int64_t old_bucket; /* where it was before a delete or REPLACE; 0: unknown or new */
    struct bytes old_hash;
};

static enum result read_lines(struct work *work, struct work_list *rows, int64_t *ret_lcn_last,
                              struct problem *problem)
{
    const struct value limit = value_integer(ADOPT_LINES_MAX);
    struct store_result lines = {0};
    struct lookup known;
    enum result result =
        store_query(work->store,
                    "SELECT lcn, tbl, row_id, op, mask, edited_at, old_bucket, old_hash"
                    " FROM fs_outbox WHERE op<>'-' ORDER BY lcn LIMIT ?1",
                    &limit, 1, &work->arena, &lines, problem);

    lookup_init(&known, &work->arena);
    for (size_t i = 0; i < lines.row_count && result == RESULT_OK; i++) {
        int64_t table_no = store_integer_at(&lines, i, 1, 0);
        int64_t row_id = store_integer_at(&lines, i, 2, 0);
        const struct catalog_table *table = catalog_table_by_no(work->catalog, table_no);
        struct adopted *row = lookup_find(&known, table_no, row_id);

        *ret_lcn_last = store_integer_at(&lines, i, 0, 0);
        if (table == NULL)
            continue;
        if (row == NULL) {
            row = arena_alloc(&work->arena, sizeof *row);
            if (row == NULL)
                return arena_full(&work->arena, problem);
            *row = (struct adopted){.table = table, .row_id = row_id};
            result = lookup_put(&known, table_no, row_id, row, problem);
            if (result == RESULT_OK)
                result = work_list_add(work, rows, row, problem);
        }
        row->mask |= (uint64_t)store_integer_at(&lines, i, 4, 0) & table->columns_mask;
        row->edited_at_us = store_integer_at(&lines, i, 5, 0);
        if (row->old_bucket == 0) {
            row->old_bucket = store_integer_at(&lines, i, 6, 0);
            row->old_hash = store_bytes_at(&lines, i, 7);
        }
    }
    return result;
}

/* Can every value travel? A program may have put text where the catalog says integer. */
static bool values_fit(const struct catalog_table *table, const struct value *values)
{
    for (uint8_t i = 1; i < table->column_count; i++) {
        const struct catalog_column *column = &table->columns[i];
        enum value_type type = values[i].type;

        if (type == VALUE_NULL
                ? !column->nullable
                : type != column->type && (type != VALUE_INTEGER || column->type != VALUE_REAL))
            return false;
        if (type == VALUE_TEXT && !bytes_are_text(values[i].bytes))
            return false;
        if ((type == VALUE_TEXT || type == VALUE_BLOB) &&
            values[i].bytes.size > WORK_VALUE_SIZE_MAX)
            return false;
    }
    return true;
}

/* A row that can't travel stays on the server, and somebody is told. */
static enum result keep_home(struct work *work, const struct adopted *adopted, const char *why,
                             struct problem *problem)
{
    const char *detail = arena_format(&work->arena, "%s %" PRId64 ": %s", adopted->table->name,
                                      adopted->row_id, why);
    const struct value parameters[] = {value_integer(work->now.us), value_text_of(detail)};

    return store_execute(work->store,
                         "INSERT INTO fs_audit(occurred_at, event, detail)"
                         " VALUES(?1,'row_not_replicated',?2)",
                         parameters, 2, 1, NULL, problem);
}

/* Who may have been concerned before is known by the bucket only: its old values are gone. */
static enum result add_entitled_users(struct work *work, int64_t bucket, struct problem *problem)
{
    const struct value parameter = value_integer(bucket);
    struct store_result users = {0};
    enum result result = store_query(
        work->store, "SELECT user_id FROM fs_entitlement WHERE bucket=?1 AND to_seq IS NULL",
        &parameter, 1, &work->arena, &users, problem);

    for (size_t i = 0; i < users.row_count && result == RESULT_OK; i++) {
        int64_t *user_id = NULL;
        int64_t found = store_integer_at(&users, i, 0, 0);

        if (lookup_find(&work->users, 0, found) != NULL)
            continue;
        user_id = arena_alloc(&work->arena, sizeof *user_id);
        if (user_id == NULL)
            return arena_full(&work->arena, problem);
        *user_id = found;
        result = lookup_put(&work->users, 0, found, user_id, problem);
        if (result == RESULT_OK)
            result = work_list_add(work, &work->user_ids, user_id, problem);
    }
    return result;
}

static enum result adopt_deleted(struct work *work, const struct adopted *adopted,
                                 struct work_row *row, struct problem *problem)
{
    if (adopted->old_bucket == 0)
        return RESULT_OK; /* came and went between two looks */
    work->seq++;
    row->row.seq = work->seq;
    row->stored_bucket = adopted->old_bucket;
    if (adopted->old_hash.size == ROW_HASH_SIZE)
        memcpy(row->stored_hash, adopted->old_hash.data, ROW_HASH_SIZE);
    row->state = ROW_DELETED; /* the flush's own delete finds nothing left, which is fine */
    return work_mark_dirty(work, row, 0, problem);
}

/* set_aside, if not NULL: why the row must stay on the server; then no rule follows it either. */
static enum result adopt_present(struct work *work, const struct adopted *adopted,
                                 struct work_row *row, const struct author *author,
                                 const char *set_aside, struct problem *problem)
{
    const struct catalog_table *table = row->table;
    bool is_whole = row->row.bucket == 0; /* new, or replaced together with its hidden columns */
    bool is_new = is_whole && adopted->old_bucket == 0;
    struct value *values = arena_array(&work->arena, table->column_count, sizeof *values);
    int64_t bucket_before = is_whole ? adopted->old_bucket : row->row.bucket;
    int64_t bucket = 0;
    uint64_t home = table->home_column_no == 0 ? 0 : UINT64_C(1) << table->home_column_no;
    struct problem why = {0};
    enum result result = RESULT_OK;

    if (values == NULL)
        return arena_full(&work->arena, problem);
    memcpy(values, row->row.values, table->column_count * sizeof *values);
    if (set_aside != NULL)
        result = problem_set(&why, RESULT_REFUSED, "%s", set_aside);
    else if (!values_fit(table, values))
        result =
            problem_set(&why, RESULT_REFUSED, "a value is not of its column's type, or too long");
    else
        result = work_bucket(work, table, row->row.id, values, &bucket, &why);
    if (result == RESULT_REFUSED) {
        bucket = bucket_of(BUCKET_SERVER, 0);
        result = keep_home(work, adopted, why.text, problem);
    }
    if (result != RESULT_OK)
        return result;
    if (is_whole && adopted->old_bucket != 0) {
        row->stored_bucket = adopted->old_bucket;
        if (adopted->old_hash.size == ROW_HASH_SIZE)
            memcpy(row->stored_hash, adopted->old_hash.data, ROW_HASH_SIZE);
    }
    if (set_aside == NULL)
        result = work_note_change(work, row, is_new ? NULL : row->row.values, values,
                                  is_whole ? table->columns_mask : adopted->mask, author, is_new,
                                  problem);
    if (result == RESULT_OK)
        result = work_stamp(work, row, adopted->mask | home, bucket, author, is_whole, problem);
    if (result == RESULT_OK)
        result = work_mark_dirty(work, row, 0, problem);
    if (result == RESULT_OK && !is_new && bucket != bucket_before)
        result = work_list_add(work, &work->moved, row, problem);
    row->row.values = values;
    row->dirty_mask |= home;
    row->state = ROW_UPDATED;
    return result;
}

static enum result adopt_row(struct work *work, const struct adopted *adopted,
                             const char *set_aside, struct problem *problem)
{
    struct author author = {.edited_at = {adopted->edited_at_us}};
    struct work_row *row = NULL;
    bool is_whole = false;
    enum result result = work_find(work, adopted->table, adopted->row_id, &row, problem);

    if (result != RESULT_OK)
        return result;
    if (author.edited_at.us > work->now.us || author.edited_at.us < 0)
        author.edited_at = work->now;
    is_whole = !work_row_exists(row) || row->row.bucket == 0 || adopted->mask == 0;
    if ((adopted->old_bucket != 0 || row->row.bucket != 0) &&
        work_decides_scope(row->table, is_whole, adopted->mask))
        result = add_entitled_users(
            work, adopted->old_bucket != 0 ? adopted->old_bucket : row->row.bucket, problem);
    if (result != RESULT_OK)
        return result;
    if (!work_row_exists(row))
        return adopt_deleted(work, adopted, row, problem);
    return adopt_present(work, adopted, row, &author, set_aside, problem);
}

/* One row with all that follows from it; if a rule or a constraint refuses that, the row alone. */
static enum result adopt_carefully(struct work *work, const struct adopted *adopted,
                                   struct problem *problem)
{
    struct problem why = {0};
    enum result result = work_savepoint(work, problem);

    if (result != RESULT_OK)
        return result;
    result = adopt_row(work, adopted, NULL, &why);
    if (result == RESULT_OK)
        result = work_settle(work, &why);
    if (result == RESULT_OK)
        result = work_flush(work, &why);
    if (result == RESULT_OK)
        return work_release(work, problem);
    if (result != RESULT_REFUSED)
        return problem_set(problem, result, "%s", why.text);
    result = work_undo(work, problem);
    if (result == RESULT_OK)
        result = adopt_row(work, adopted, why.text, problem);
    if (result == RESULT_OK)
        result = work_flush(work, problem);
    return result;
}

enum result work_adopt(struct work *work, enum work_adoption how, size_t *ret_count,
                       struct problem *problem)
{
    struct work_list rows = {0};
    struct value lcn_last = value_integer(0);
    enum result result = read_lines(work, &rows, &lcn_last.integer, problem);

    for (size_t i = 0; i < rows.count && result == RESULT_OK; i++)
        result = how == WORK_ADOPT_CAREFULLY ? adopt_carefully(work, rows.items[i], problem)
                                             : adopt_row(work, rows.items[i], NULL, problem);
    if (result == RESULT_OK && rows.count > 0)
        result = work_settle(work, problem);
    if (result == RESULT_OK && lcn_last.integer > 0)
        result = store_execute(work->store, "UPDATE fs_outbox SET op='-' WHERE lcn=?1", &lcn_last,
                               1, 1, NULL, problem);
    if (result == RESULT_OK && lcn_last.integer > 0)
        result = store_execute(work->store, "DELETE FROM fs_outbox WHERE lcn<?1", &lcn_last, 1, 1,
                               NULL, problem);
    if (result == RESULT_OK)
        *ret_count = rows.count;
    else
        problem_add(problem, "adopting what other programs wrote");
    return result;
}

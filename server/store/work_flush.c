/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "schema/canonical.h"
#include "server/store/work_inside.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_CANONICAL_SIZE_MAX = 20 * 1024 * 1024, KEY_QUERY_SIZE_MAX = 4096 };

/* "SELECT id FROM table WHERE a=?1 AND b=?2": names come from the catalog, never from data. */
static enum result ids_query(struct work *work, const struct catalog_table *table,
                             const uint8_t *columns, size_t column_count,
                             const struct value *parameters, struct store_result *ret_ids,
                             struct problem *problem)
{
    struct buffer sql;
    enum result result = RESULT_OK;

    buffer_init(&sql, KEY_QUERY_SIZE_MAX);
    for (size_t i = 0; i <= column_count && result == RESULT_OK; i++) {
        const char *text =
            i == 0 ? arena_format(&work->arena, "SELECT id FROM \"%s\"", table->name)
                   : arena_format(&work->arena, "%s \"%s\"=?%zu", i == 1 ? " WHERE" : " AND",
                                  table->columns[columns[i - 1]].name, i);

        result = text == NULL ? arena_full(&work->arena, problem)
                              : buffer_append(&sql, text, strlen(text), problem);
    }
    if (result == RESULT_OK)
        result = buffer_append(&sql, "", 1, problem);
    if (result == RESULT_OK)
        result =
            work_query(work, (const char *)sql.data, parameters, column_count, ret_ids, problem);
    buffer_done(&sql);
    return result;
}

/* ---- children follow their parent's bucket ---- */

/* Children of `parent` that inherit its bucket through this column of `table`. */
static enum result move_children_of(struct work *work, const struct work_row *parent,
                                    const struct catalog_table *table, uint8_t column_no,
                                    struct problem *problem)
{
    const struct author server = {.edited_at = work->now};
    const struct value id = value_integer(parent->row.id);
    struct store_result children = {0};
    enum result result = ids_query(work, table, &column_no, 1, &id, &children, problem);

    for (size_t i = 0; i < children.row_count && result == RESULT_OK; i++) {
        const struct stored_row *child = NULL;
        int64_t child_id = store_integer_at(&children, i, 0, 0);

        result = work_row(work, table, child_id, &child, problem);
        if (result == RESULT_OK && child != NULL)
            result = work_update(work, table, child_id, child->values, 0, &server, problem);
    }
    return result;
}

static enum result follow_moves(struct work *work, struct problem *problem)
{
    enum result result = RESULT_OK;

    while (work->moved_next < work->moved.count && result == RESULT_OK) {
        const struct work_row *parent = work->moved.items[work->moved_next++];

        for (size_t t = 1; t < work->catalog->table_count && result == RESULT_OK; t++) {
            const struct catalog_table *table = &work->catalog->tables[t];

            for (uint8_t i = 0; i < table->bucket_term_count && result == RESULT_OK; i++) {
                const struct bucket_term *term = &table->bucket_terms[i];

                if (table->name != NULL && term->source == BUCKET_INHERITED &&
                    table->columns[term->column_no].refers_to == parent->table->number)
                    result = move_children_of(work, parent, table, term->column_no, problem);
            }
        }
    }
    return result;
}

/* ---- reactions ---- */

static enum result run_reactions(struct work *work, const struct work_change *change,
                                 struct problem *problem)
{
    size_t runs_max = WORK_REACTIONS_MAX + WORK_REACTIONS_EACH_MAX * work->outside_count;
    enum result result = RESULT_OK;

    if (!work->has_reactions[change->table->number])
        return RESULT_OK;
    for (const struct reaction *r = work->reaction_table;
         r != NULL && r->table_name != NULL && result == RESULT_OK; r++) {
        if (strcmp(r->table_name, change->table->name) != 0)
            continue;
        if (work->reaction_runs++ >= runs_max)
            return problem_set(problem, RESULT_REFUSED,
                               "rules keep causing each other: more than "
                               "%zu reactions in one transaction",
                               runs_max);
        work->is_reacting = true;
        result = r->run(work, change, problem);
        work->is_reacting = false;
        if (result != RESULT_OK)
            problem_add(problem, "following a change of %s", change->table->name);
    }
    return result;
}

enum result work_settle(struct work *work, struct problem *problem)
{
    enum result result = RESULT_OK;

    do {
        result = follow_moves(work, problem);
        if (result == RESULT_OK && work->change_next < work->changes.count)
            result = run_reactions(work, work->changes.items[work->change_next++], problem);
    } while (result == RESULT_OK &&
             (work->change_next < work->changes.count || work->moved_next < work->moved.count));
    return result;
}

/* ---- flush ---- */

static enum result row_hash(struct work *work, struct work_row *row, struct buffer *canonical,
                            struct problem *problem)
{
    enum result result;

    buffer_reset(canonical);
    result = canonical_append(row->table, row->row.id, row->row.values, canonical, problem);
    if (result != RESULT_OK)
        return result;
    static_assert(crypto_shorthash_siphashx24_BYTES == ROW_HASH_SIZE, "row hashes have 16 bytes");
    static_assert(crypto_shorthash_siphashx24_KEYBYTES == 16, "the digest key has 16 bytes");
    (void)crypto_shorthash_siphashx24(row->row.hash, canonical->data, canonical->size,
                                      work->digest_key);
    return RESULT_OK;
}

static enum result book(struct work *work, const struct book_entry *entry, struct problem *problem)
{
    struct book_entry *kept = arena_alloc(&work->arena, sizeof *kept);

    if (kept == NULL)
        return arena_full(&work->arena, problem);
    *kept = *entry;
    return work_list_add(work, &work->books, kept, problem);
}

/* The row is no longer in the bucket where the database still has it. */
static enum result book_gone(struct work *work, const struct work_row *row, enum gone_kind kind,
                             struct problem *problem)
{
    const struct value tomb[] = {value_integer(row->stored_bucket), value_integer(row->row.seq),
                                 value_integer(row->table->number), value_integer(row->row.id),
                                 value_integer(kind)};
    struct book_entry entry = {.bucket = row->stored_bucket,
                               .seq = row->row.seq,
                               .replica_no = row->replica_no,
                               .row_count_change = -1,
                               .has_old_hash = true};
    enum result result;

    memcpy(entry.old_hash, row->stored_hash, ROW_HASH_SIZE);
    result = store_execute(work->store,
                           "INSERT INTO fs_tomb(bucket, seq, table_no, row_id, kind)"
                           " VALUES(?1,?2,?3,?4,?5)",
                           tomb, 5, 1, NULL, problem);
    if (result == RESULT_OK)
        result = book(work, &entry, problem);
    return result;
}

static enum result book_present(struct work *work, const struct work_row *row,
                                struct problem *problem)
{
    bool is_arriving = row->stored_bucket != row->row.bucket;
    struct book_entry entry = {.bucket = row->row.bucket,
                               .table_no = row->table->number,
                               .seq = row->row.seq,
                               .replica_no = row->replica_no,
                               .row_count_change = is_arriving ? 1 : 0,
                               .has_old_hash = !is_arriving,
                               .has_new_hash = true};
    const struct value key[] = {value_integer(row->table->number), value_integer(row->row.id),
                                value_integer(row->row.bucket)};
    enum result result;

    memcpy(entry.old_hash, row->stored_hash, ROW_HASH_SIZE);
    memcpy(entry.new_hash, row->row.hash, ROW_HASH_SIZE);
    result = book(work, &entry, problem);
    if (result == RESULT_OK && is_arriving && row->stored_bucket != 0) /* it may have been here */
        result = store_execute(work->store,
                               "DELETE FROM fs_tomb WHERE table_no=?1 AND row_id=?2 AND bucket=?3",
                               key, 3, 1, NULL, problem);
    return result;
}

static enum result keep_books(struct work *work, struct work_row *row, struct buffer *canonical,
                              struct problem *problem)
{
    enum result result = RESULT_OK;

    if (row->state == ROW_ABSENT || row->state == ROW_CLEAN)
        return RESULT_OK; /* inserted and deleted again, nobody saw it */
    if (row->state == ROW_DELETED)
        return book_gone(work, row, GONE_DELETED, problem);
    result = row_hash(work, row, canonical, problem);
    if (result == RESULT_OK && row->stored_bucket != 0 && row->stored_bucket != row->row.bucket)
        result = book_gone(work, row, GONE_LEFT, problem);
    if (result == RESULT_OK)
        result = book_present(work, row, problem);
    return result;
}

/* Deletes before updates before inserts, so that a unique value given up can be taken; then by
 * table and columns, so that equal statements go in one batch; then by seq. */
static int flush_order(const void *left, const void *right)
{
    static const int RANKS[] = {[ROW_CLEAN] = 3,
                                [ROW_INSERTED] = 2,
                                [ROW_UPDATED] = 1,
                                [ROW_DELETED] = 0,
                                [ROW_ABSENT] = 3};
    const struct work_row *a = *(const struct work_row *const *)left;
    const struct work_row *b = *(const struct work_row *const *)right;

    if (RANKS[a->state] != RANKS[b->state])
        return RANKS[a->state] - RANKS[b->state];
    if (a->table->number != b->table->number)
        return a->table->number - b->table->number;
    if (a->state == ROW_UPDATED && a->dirty_mask != b->dirty_mask)
        return a->dirty_mask < b->dirty_mask ? -1 : 1;
    return (a->row.seq > b->row.seq) - (a->row.seq < b->row.seq);
}

static bool is_in_order(struct work_row *const *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (flush_order(&rows[i - 1], &rows[i]) > 0)
            return false;
    return true;
}

static bool is_same_batch(const struct work_row *a, const struct work_row *b)
{
    return a->state == b->state && a->table == b->table &&
           (a->state != ROW_UPDATED || a->dirty_mask == b->dirty_mask);
}

static enum result flush_batch(struct work *work, struct work_row **rows, size_t count,
                               struct problem *problem)
{
    const struct stored_row **stored = arena_array(&work->arena, count, sizeof *stored);
    int64_t *ids = arena_array(&work->arena, count, sizeof *ids);

    if (stored == NULL || ids == NULL)
        return arena_full(&work->arena, problem);
    for (size_t i = 0; i < count; i++) {
        stored[i] = &rows[i]->row;
        ids[i] = rows[i]->row.id;
    }
    switch (rows[0]->state) {
    case ROW_INSERTED:
        return store_insert_rows(work->store, rows[0]->table, stored, count, problem);
    case ROW_UPDATED:
        return store_update_rows(work->store, rows[0]->table, rows[0]->dirty_mask, stored, count,
                                 problem);
    case ROW_DELETED:
        return store_delete_rows(work->store, rows[0]->table, ids, count, problem);
    case ROW_CLEAN:
    case ROW_ABSENT:
        return RESULT_OK;
    }
    return RESULT_OK;
}

static void mark_clean(struct work_row *row)
{
    row->is_listed = false;
    row->dirty_mask = 0;
    if (row->state == ROW_DELETED || row->state == ROW_ABSENT) {
        row->state = ROW_ABSENT;
        row->stored_bucket = 0;
        return;
    }
    row->state = ROW_CLEAN;
    row->stored_bucket = row->row.bucket;
    memcpy(row->stored_hash, row->row.hash, ROW_HASH_SIZE);
}

enum result work_flush(struct work *work, struct problem *problem)
{
    struct work_row **rows = (struct work_row **)(void *)work->dirty.items;
    size_t count = work->dirty.count;
    struct buffer canonical;
    enum result result = RESULT_OK;

    if (count == 0)
        return store_check(work->store, problem);
    buffer_init(&canonical, ROW_CANONICAL_SIZE_MAX);
    for (size_t i = 0; i < count && result == RESULT_OK; i++)
        result = keep_books(work, rows[i], &canonical, problem);
    buffer_done(&canonical);
    if (!is_in_order(rows, count))
        qsort(rows, count, sizeof *rows, flush_order);
    for (size_t i = 0, end = 0; i < count && result == RESULT_OK; i = end) {
        for (end = i + 1; end < count && is_same_batch(rows[i], rows[end]);)
            end++;
        result = flush_batch(work, rows + i, end - i, problem);
    }
    if (result == RESULT_OK)
        result = store_check(work->store, problem);
    if (result != RESULT_OK) {
        work->is_broken = true;
        return result;
    }
    for (size_t i = 0; i < count; i++)
        mark_clean(rows[i]);
    work->dirty.count = 0;
    memset(work->dirty_tables, 0, sizeof work->dirty_tables);
    return RESULT_OK;
}

enum result work_flush_of(struct work *work, const char *const *table_names,
                          struct problem *problem)
{
    for (size_t i = 0; table_names[i] != NULL; i++) {
        const struct catalog_table *table = catalog_table_by_name(work->catalog, table_names[i]);

        invariant(table != NULL);
        if ((work->dirty_tables[table->number % WORK_TABLE_BITS / 64] >> table->number % 64 & 1) !=
            0)
            return work_flush(work, problem);
    }
    return RESULT_OK;
}

/* ---- queries inside a work ---- */

enum result work_query(struct work *work, const char *sql, const struct value *parameters,
                       size_t parameter_count, struct store_result *ret_result,
                       struct problem *problem)
{
    enum result result = work->dirty.count == 0 ? RESULT_OK : work_flush(work, problem);

    if (result != RESULT_OK)
        return result;
    return store_query(work->store, sql, parameters, parameter_count, &work->arena, ret_result,
                       problem);
}

enum result work_execute(struct work *work, const char *sql, const struct value *parameters,
                         size_t parameter_count, struct problem *problem)
{
    return store_execute(work->store, sql, parameters, parameter_count, 1, NULL, problem);
}

enum result work_row_by_key(struct work *work, const struct catalog_table *table,
                            const struct value *values, const struct stored_row **ret_row,
                            struct problem *problem)
{
    struct value key[CATALOG_KEY_COLUMNS_MAX];
    struct store_result found = {0};
    enum result result;

    invariant(table->key_column_count > 0);
    for (uint8_t i = 0; i < table->key_column_count; i++)
        key[i] = values[table->key_columns[i]];
    result =
        ids_query(work, table, table->key_columns, table->key_column_count, key, &found, problem);
    *ret_row = NULL;
    if (result == RESULT_OK && found.row_count > 0)
        result = work_row(work, table, store_integer_at(&found, 0, 0, 0), ret_row, problem);
    return result;
}

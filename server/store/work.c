/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "server/store/work_inside.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum result work_list_add(struct work *work, struct work_list *list, void *item,
                          struct problem *problem)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        void **items = arena_array(&work->arena, capacity, sizeof *items);

        if (items == NULL)
            return arena_full(&work->arena, problem);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return RESULT_OK;
}

enum result work_create(struct store *store, const struct reaction *reactions,
                        const uint8_t digest_key[16], struct work **ret_work,
                        struct problem *problem)
{
    struct work *work = calloc(1, sizeof *work);

    if (work != NULL)
        work->has_reactions = calloc(store->catalog->table_count + 1, sizeof(bool));
    if (work == NULL || work->has_reactions == NULL) {
        free(work);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a unit of work");
    }
    work->store = store;
    work->catalog = store->catalog;
    work->reaction_table = reactions;
    for (const struct reaction *r = reactions; r != NULL && r->table_name != NULL; r++) {
        const struct catalog_table *table = catalog_table_by_name(work->catalog, r->table_name);

        if (table != NULL)
            work->has_reactions[table->number] = true;
    }
    memcpy(work->digest_key, digest_key, sizeof work->digest_key);
    arena_init(&work->arena, WORK_ARENA_SIZE_MAX);
    *ret_work = work;
    return RESULT_OK;
}

void work_destroy(struct work *work)
{
    if (work == NULL)
        return;
    arena_done(&work->arena);
    free(work->has_reactions);
    free(work);
}

static void forget_rows(struct work *work)
{
    lookup_init(&work->rows, &work->arena);
    work->dirty = (struct work_list){0};
    memset(work->dirty_tables, 0, sizeof work->dirty_tables);
    work->moved = (struct work_list){0};
    work->moved_next = 0;
}

static void forget_everything(struct work *work)
{
    arena_reset(&work->arena);
    forget_rows(work);
    work->changes = (struct work_list){0};
    work->books = (struct work_list){0};
    work->watched = (struct work_list){0};
    work->user_ids = (struct work_list){0};
    lookup_init(&work->users, &work->arena);
    work->change_next = 0;
    work->reaction_runs = 0;
    work->outside_count = 0;
    work->has_savepoint = false;
    work->is_broken = false;
}

enum result work_begin(struct work *work, struct wall_time now, struct problem *problem)
{
    struct store_result state = {0};
    enum result result;

    forget_everything(work);
    result = store_query(work->store,
                         "SELECT (SELECT number FROM fs_state WHERE name='seq'),"
                         " (SELECT coalesce(max(lcn),0) FROM fs_outbox)",
                         NULL, 0, &work->arena, &state, problem);
    if (result != RESULT_OK)
        return result;
    work->now = now;
    work->seq_begin = store_integer_at(&state, 0, 0, 0);
    work->seq = work->seq_begin;
    work->id_counter_begin = store_integer_at(&state, 0, 1, 0);
    work->id_counter = work->id_counter_begin;
    return RESULT_OK;
}

void work_abandon(struct work *work)
{
    forget_everything(work);
}

enum result work_savepoint(struct work *work, struct problem *problem)
{
    enum result result;

    invariant(!work->has_savepoint);
    result = work_settle(work, problem);
    if (result == RESULT_OK)
        result = work_flush(work, problem);
    if (result == RESULT_OK)
        result = store_execute(work->store, "SAVEPOINT push", NULL, 0, 1, NULL, problem);
    if (result != RESULT_OK)
        return result;
    work->has_savepoint = true;
    work->savepoint_seq = work->seq;
    work->savepoint_id_counter = work->id_counter;
    work->savepoint_changes = work->changes.count;
    work->savepoint_books = work->books.count;
    work->savepoint_watched = work->watched.count;
    return RESULT_OK;
}

enum result work_release(struct work *work, struct problem *problem)
{
    enum result result;

    invariant(work->has_savepoint);
    result = work_flush(work, problem);
    if (result == RESULT_OK)
        result = store_execute(work->store, "RELEASE push", NULL, 0, 1, NULL, problem);
    if (result == RESULT_OK)
        work->has_savepoint = false;
    return result;
}

enum result work_undo(struct work *work, struct problem *problem)
{
    enum result result;

    invariant(work->has_savepoint);
    result = store_execute(work->store, "ROLLBACK TO push", NULL, 0, 1, NULL, problem);
    if (result == RESULT_OK)
        result = store_execute(work->store, "RELEASE push", NULL, 0, 1, NULL, problem);
    if (result != RESULT_OK)
        return result;
    work->has_savepoint = false;
    work->is_broken = false;
    forget_rows(work); /* what they knew may have been undone: read again when needed */
    work->seq = work->savepoint_seq;
    work->id_counter = work->savepoint_id_counter;
    work->changes.count = work->savepoint_changes;
    work->change_next = work->savepoint_changes;
    work->books.count = work->savepoint_books;
    work->watched.count = work->savepoint_watched;
    return RESULT_OK;
}

const struct catalog *work_catalog(const struct work *work)
{
    return work->catalog;
}

struct wall_time work_now(const struct work *work)
{
    return work->now;
}

struct arena *work_arena(struct work *work)
{
    return &work->arena;
}

/* ---- rows ---- */

bool work_row_exists(const struct work_row *row)
{
    return row->state != ROW_ABSENT && row->state != ROW_DELETED;
}

enum result work_cache(struct work *work, const struct catalog_table *table, int64_t id,
                       struct work_row **ret_row, struct problem *problem)
{
    struct work_row *row = arena_alloc(&work->arena, sizeof *row);
    enum result result;

    if (row == NULL)
        return arena_full(&work->arena, problem);
    row->table = table;
    row->row.id = id;
    row->state = ROW_ABSENT;
    result = lookup_put(&work->rows, table->number, id, row, problem);
    if (result == RESULT_OK)
        *ret_row = row;
    return result;
}

static int compare_ids(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* Those that aren't known yet, each once: a seal may name its call 100,000 times. */
static size_t missing_ids(const struct work *work, const struct catalog_table *table,
                          bool needs_values, const int64_t *ids, size_t count, int64_t *missing)
{
    size_t found = 0;
    size_t unique = 0;
    bool is_sorted = true;

    for (size_t i = 0; i < count; i++) {
        const struct work_row *row = lookup_find(&work->rows, table->number, ids[i]);

        if (row != NULL && !(needs_values && row->is_head))
            continue;
        is_sorted = is_sorted && (found == 0 || missing[found - 1] <= ids[i]);
        missing[found++] = ids[i];
    }
    if (!is_sorted)
        qsort(missing, found, sizeof *missing, compare_ids);
    for (size_t i = 0; i < found; i++)
        if (unique == 0 || missing[unique - 1] != missing[i])
            missing[unique++] = missing[i];
    return unique;
}

/* What was read of a row; of one that is known, it is the rest. */
static enum result keep_read(struct work *work, const struct catalog_table *table,
                             const struct stored_row *read, bool has_values,
                             struct problem *problem)
{
    struct work_row *row = lookup_find(&work->rows, table->number, read->id);
    enum result result = RESULT_OK;

    if (row == NULL)
        result = work_cache(work, table, read->id, &row, problem);
    if (result != RESULT_OK || read->values == NULL)
        return result;
    row->row = *read;
    row->state = ROW_CLEAN;
    row->is_head = !has_values;
    row->stored_bucket = read->bucket;
    memcpy(row->stored_hash, read->hash, ROW_HASH_SIZE);
    return RESULT_OK;
}

static enum result prefetch(struct work *work, const struct catalog_table *table, bool needs_values,
                            const int64_t *ids, size_t count, struct problem *problem)
{
    int64_t *missing = arena_array(&work->arena, count, sizeof *missing);
    struct stored_row *rows = NULL;
    size_t missing_count = 0;
    enum result result;

    if (missing == NULL)
        return arena_full(&work->arena, problem);
    missing_count = missing_ids(work, table, needs_values, ids, count, missing);
    if (missing_count == 0)
        return RESULT_OK;
    result = lookup_reserve(&work->rows, missing_count, problem);
    if (result == RESULT_OK)
        result = (needs_values ? store_read_rows : store_read_heads)(
            work->store, table, missing, missing_count, &work->arena, &rows, problem);
    for (size_t i = 0; i < missing_count && result == RESULT_OK; i++)
        result = keep_read(work, table, &rows[i], needs_values, problem);
    return result;
}

enum result work_prefetch(struct work *work, const struct catalog_table *table, const int64_t *ids,
                          size_t count, struct problem *problem)
{
    return prefetch(work, table, true, ids, count, problem);
}

enum result work_prefetch_heads(struct work *work, const struct catalog_table *table,
                                const int64_t *ids, size_t count, struct problem *problem)
{
    return prefetch(work, table, false, ids, count, problem);
}

static enum result find(struct work *work, const struct catalog_table *table, bool needs_values,
                        int64_t id, struct work_row **ret_row, struct problem *problem)
{
    struct work_row *row = lookup_find(&work->rows, table->number, id);
    enum result result;

    if (row == NULL || (needs_values && row->is_head)) {
        result = prefetch(work, table, needs_values, &id, 1, problem);
        if (result != RESULT_OK)
            return result;
        row = lookup_find(&work->rows, table->number, id);
    }
    *ret_row = row;
    return RESULT_OK;
}

enum result work_find(struct work *work, const struct catalog_table *table, int64_t id,
                      struct work_row **ret_row, struct problem *problem)
{
    return find(work, table, true, id, ret_row, problem);
}

enum result work_head(struct work *work, const struct catalog_table *table, int64_t id,
                      const struct stored_row **ret_row, struct problem *problem)
{
    struct work_row *row = NULL;
    enum result result = find(work, table, false, id, &row, problem);

    if (result == RESULT_OK)
        *ret_row = work_row_exists(row) ? &row->row : NULL;
    return result;
}

enum result work_row(struct work *work, const struct catalog_table *table, int64_t id,
                     const struct stored_row **ret_row, struct problem *problem)
{
    struct work_row *row = NULL;
    enum result result = work_find(work, table, id, &row, problem);

    if (result == RESULT_OK)
        *ret_row = work_row_exists(row) ? &row->row : NULL;
    return result;
}

enum result work_mark_dirty(struct work *work, struct work_row *row, int64_t replica_no,
                            struct problem *problem)
{
    if (row->is_listed) {
        if (row->replica_no != replica_no)
            row->replica_no = WORK_MIXED;
        return RESULT_OK;
    }
    row->is_listed = true;
    row->replica_no = replica_no;
    work->dirty_tables[row->table->number % WORK_TABLE_BITS / 64] |= UINT64_C(1)
                                                                     << row->table->number % 64;
    return work_list_add(work, &work->dirty, row, problem);
}

/* ---- buckets ---- */

/* Where the first term with a value leads; *ret_bucket 0: this term says nothing. */
static enum result term_bucket(struct work *work, const struct catalog_table *table,
                               const struct bucket_term *term, int64_t row_id,
                               const struct value *values, int64_t *ret_bucket,
                               struct problem *problem)
{
    const struct value *value = &values[term->column_no];
    const struct catalog_table *parent_table = NULL;
    const struct stored_row *parent = NULL;
    int64_t id = term->column_no == 0 ? row_id : value->integer;
    enum result result;

    *ret_bucket = 0;
    switch (term->source) {
    case BUCKET_CONSTANT:
        *ret_bucket = bucket_of(term->kind, 0);
        return RESULT_OK;
    case BUCKET_GIVEN:
        if (values[table->home_column_no].type == VALUE_INTEGER)
            *ret_bucket = values[table->home_column_no].integer;
        return RESULT_OK;
    case BUCKET_COLUMN:
        if (term->column_no != 0 && value->type != VALUE_INTEGER)
            return RESULT_OK;
        if (id < 0 || id > ID_MAX)
            return problem_set(problem, RESULT_REFUSED, "%s.%s holds %" PRId64 ", which is no id",
                               table->name, table->columns[term->column_no].name, id);
        *ret_bucket = bucket_of(term->kind, id);
        return RESULT_OK;
    case BUCKET_INHERITED:
        if (value->type != VALUE_INTEGER)
            return RESULT_OK;
        parent_table =
            catalog_table_by_no(work->catalog, table->columns[term->column_no].refers_to);
        invariant(parent_table != NULL); /* catalog_check */
        result = work_head(work, parent_table, id, &parent, problem);
        if (result == RESULT_OK && parent == NULL)
            result = problem_set(
                problem, RESULT_REFUSED, "%s.%s refers to %s %" PRId64 ", which does not exist",
                table->name, table->columns[term->column_no].name, parent_table->name, id);
        if (result == RESULT_OK)
            *ret_bucket = parent->bucket;
        return result;
    }
    return RESULT_OK;
}

enum result work_bucket(struct work *work, const struct catalog_table *table, int64_t row_id,
                        struct value *values, int64_t *ret_bucket, struct problem *problem)
{
    int64_t bucket = 0;
    enum result result = RESULT_OK;

    if (row_id < 1 || row_id > ID_MAX) /* another program's: no message can hold it */
        return problem_set(problem, RESULT_REFUSED, "%s %" PRId64 " has an id that is none",
                           table->name, row_id);
    for (uint8_t i = 0; i < table->bucket_term_count && bucket == 0 && result == RESULT_OK; i++)
        result =
            term_bucket(work, table, &table->bucket_terms[i], row_id, values, &bucket, problem);
    if (result != RESULT_OK)
        return result;
    if (bucket == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "%s %" PRId64 " belongs to no bucket: all deciding columns are empty",
                           table->name, row_id);
    if (table->home_column_no != 0)
        values[table->home_column_no] = value_integer(bucket);
    *ret_bucket = bucket;
    return RESULT_OK;
}

/* ---- changes ---- */

enum result work_add_users(struct work *work, const struct work_row *row, struct problem *problem)
{
    struct value id = value_integer(row->row.id);
    enum result result = RESULT_OK;

    for (size_t w = 0; w < work->catalog->watch_count && result == RESULT_OK; w++) {
        struct store_result users = {0};

        if (work->catalog->watches[w].table_no != row->table->number)
            continue;
        result = store_query(work->store, work->catalog->watches[w].sql, &id, 1, &work->arena,
                             &users, problem);
        for (size_t i = 0; i < users.row_count && result == RESULT_OK; i++) {
            int64_t *user_id = NULL;
            int64_t found = store_integer_at(&users, i, 0, 0);

            if (found == 0 || lookup_find(&work->users, 0, found) != NULL)
                continue;
            user_id = arena_alloc(&work->arena, sizeof *user_id);
            if (user_id == NULL)
                return arena_full(&work->arena, problem);
            *user_id = found;
            result = lookup_put(&work->users, 0, found, user_id, problem);
            if (result == RESULT_OK)
                result = work_list_add(work, &work->user_ids, user_id, problem);
        }
        if (result != RESULT_OK)
            problem_add(problem, "looking for users affected by %s", row->table->name);
    }
    return result;
}

static bool is_watched(const struct catalog *catalog, const struct catalog_table *table)
{
    for (size_t w = 0; w < catalog->watch_count; w++)
        if (catalog->watches[w].table_no == table->number)
            return true;
    return false;
}

bool work_decides_scope(const struct catalog_table *table, bool comes_or_goes, uint64_t mask)
{
    return (table->scope_mask & (comes_or_goes ? UINT64_MAX : mask)) != 0;
}

enum result work_note_change(struct work *work, struct work_row *row, const struct value *before,
                             const struct value *after, uint64_t mask, const struct author *author,
                             bool is_new, struct problem *problem)
{
    struct work_change *change = arena_alloc(&work->arena, sizeof *change);
    enum result result = RESULT_OK;

    if (change == NULL)
        return arena_full(&work->arena, problem);
    *change = (struct work_change){.table = row->table,
                                   .row_id = row->row.id,
                                   .before = before,
                                   .after = after,
                                   .mask = mask,
                                   .author = *author};
    if (!work->is_reacting)
        work->outside_count++;
    if (!row->is_watched && is_watched(work->catalog, row->table) &&
        work_decides_scope(row->table, before == NULL || after == NULL, mask)) {
        row->is_watched = true;
        if (!is_new)
            result = work_add_users(work, row, problem);
        if (result == RESULT_OK)
            result = work_list_add(work, &work->watched, row, problem);
    }
    if (result == RESULT_OK)
        result = work_list_add(work, &work->changes, change, problem);
    return result;
}

/* A move says nothing of what the columns hold: those that the insert has set keep its seq, time
 * and author, which the row itself no longer has. */
static void keep_inserted(const struct work_row *row, struct versions *versions)
{
    for (uint8_t i = 1; i < row->table->column_count; i++)
        if (versions->columns[i].seq == 0 &&
            !value_equal(&row->row.values[i], &row->table->columns[i].default_value))
            versions->columns[i] = versions->insert;
}

enum result work_stamp(struct work *work, struct work_row *row, uint64_t mask, int64_t bucket,
                       const struct author *author, bool is_whole, struct problem *problem)
{
    struct versions versions;
    enum result result = RESULT_OK;

    if (is_whole) {
        row->row.seq = ++work->seq;
        row->row.bucket = bucket;
        return versions_pack_insert(&row->row,
                                    row->table->key_column_count > 0 ? author->edited_at.us : 0,
                                    author->replica_no, &work->arena, &row->row.versions, problem);
    }
    result = versions_of_row(&row->row, &versions, problem);
    if (result != RESULT_OK)
        return result;
    row->row.seq = ++work->seq;
    for (uint8_t i = 1; i < row->table->column_count; i++)
        if ((mask >> i & 1) != 0)
            versions.columns[i] = (struct column_version){.seq = work->seq,
                                                          .edited_at_us = author->edited_at.us,
                                                          .replica_no = author->replica_no};
    if (row->row.bucket != bucket) { /* its new readers hold nothing of it */
        keep_inserted(row, &versions);
        versions.full_seq = work->seq;
        versions.insert.replica_no = 0;
    }
    row->row.bucket = bucket;
    return versions_pack(&versions, &row->row, &work->arena, &row->row.versions, problem);
}

static enum result values_complete(struct work *work, const struct catalog_table *table, int64_t id,
                                   const struct value *values, uint64_t mask,
                                   struct value **ret_values, struct problem *problem)
{
    struct value *complete = arena_array(&work->arena, table->column_count, sizeof *complete);
    enum result result = RESULT_OK;

    if (complete == NULL)
        return arena_full(&work->arena, problem);
    complete[0] = value_integer(id);
    for (uint8_t i = 1; i < table->column_count && result == RESULT_OK; i++)
        if ((mask >> i & 1) != 0)
            result = value_copy(&work->arena, &values[i], &complete[i], problem);
        else
            complete[i] = table->columns[i].default_value;
    *ret_values = complete;
    return result;
}

enum result work_insert_kept(struct work *work, const struct catalog_table *table,
                             struct value *complete, const struct author *author,
                             struct problem *problem)
{
    struct work_row *row = NULL;
    int64_t bucket = 0;
    int64_t id = complete[0].integer;
    enum result result = RESULT_OK;

    invariant(!work->is_broken);
    row = lookup_find(&work->rows, table->number, id);
    if (row == NULL)
        result = work_cache(work, table, id, &row, problem);
    else if (row->state != ROW_ABSENT)
        result =
            problem_set(problem, RESULT_REFUSED, "%s %" PRId64 " exists already", table->name, id);
    if (result == RESULT_OK)
        result = work_bucket(work, table, id, complete, &bucket, problem);
    if (result != RESULT_OK)
        return result;
    row->row.values = complete;
    row->row.versions = (struct bytes){0};
    row->state = ROW_INSERTED;
    result = work_stamp(work, row, table->columns_mask, bucket, author, true, problem);
    if (result == RESULT_OK)
        result = work_mark_dirty(work, row, author->replica_no, problem);
    if (result == RESULT_OK)
        result =
            work_note_change(work, row, NULL, complete, table->columns_mask, author, true, problem);
    work->is_broken = result != RESULT_OK;
    if (result != RESULT_OK)
        return result;
    if (id_replica_no(id) == 0 && id_counter(id) > work->id_counter)
        work->id_counter = id_counter(id);
    return RESULT_OK;
}

enum result work_insert(struct work *work, const struct catalog_table *table,
                        const struct value *values, uint64_t mask, const struct author *author,
                        int64_t *ret_id, struct problem *problem)
{
    struct value *complete = NULL;
    int64_t id =
        values[0].type == VALUE_INTEGER ? values[0].integer : id_of(0, work->id_counter + 1);
    enum result result = values_complete(work, table, id, values, mask, &complete, problem);

    if (result == RESULT_OK)
        result = work_insert_kept(work, table, complete, author, problem);
    if (result == RESULT_OK && ret_id != NULL)
        *ret_id = id;
    return result;
}

/* Copies the row's values with those of *mask replaced; takes equal ones out of *mask. */
static enum result values_changed(struct work *work, const struct work_row *row,
                                  const struct value *values, uint64_t *mask,
                                  struct value **ret_values, struct problem *problem)
{
    const struct catalog_table *table = row->table;
    struct value *changed = arena_array(&work->arena, table->column_count, sizeof *changed);
    enum result result = RESULT_OK;

    if (changed == NULL)
        return arena_full(&work->arena, problem);
    memcpy(changed, row->row.values, table->column_count * sizeof *changed);
    for (uint8_t i = 1; i < table->column_count && result == RESULT_OK; i++) {
        if ((*mask >> i & 1) == 0)
            continue;
        if (value_equal(&values[i], &changed[i]))
            *mask &= ~(UINT64_C(1) << i);
        else
            result = value_copy(&work->arena, &values[i], &changed[i], problem);
    }
    *ret_values = changed;
    return result;
}

enum result work_update(struct work *work, const struct catalog_table *table, int64_t id,
                        const struct value *values, uint64_t mask, const struct author *author,
                        struct problem *problem)
{
    struct work_row *row = NULL;
    const struct value *before = NULL;
    struct value *changed = NULL;
    int64_t bucket = 0;
    int64_t bucket_before = 0;
    enum result result;

    invariant(!work->is_broken);
    result = work_find(work, table, id, &row, problem);
    if (result == RESULT_OK && !work_row_exists(row))
        result =
            problem_set(problem, RESULT_REFUSED, "%s %" PRId64 " does not exist", table->name, id);
    if (result == RESULT_OK)
        result = values_changed(work, row, values, &mask, &changed, problem);
    if (result == RESULT_OK)
        result = work_bucket(work, table, id, changed, &bucket, problem);
    if (result != RESULT_OK)
        return result;
    before = row->row.values;
    if (table->home_column_no != 0 &&
        !value_equal(&before[table->home_column_no], &changed[table->home_column_no]))
        mask |= UINT64_C(1) << table->home_column_no;
    if (mask == 0)
        return RESULT_OK;
    bucket_before = row->row.bucket;
    result = work_note_change(work, row, before, changed, mask, author, row->state == ROW_INSERTED,
                              problem);
    if (result == RESULT_OK)
        result = work_stamp(work, row, mask, bucket, author, row->state == ROW_INSERTED, problem);
    if (result == RESULT_OK)
        result = work_mark_dirty(work, row, author->replica_no, problem);
    if (result == RESULT_OK && bucket != bucket_before)
        result = work_list_add(work, &work->moved, row, problem);
    row->row.values = changed;
    row->dirty_mask |= mask;
    if (row->state == ROW_CLEAN)
        row->state = ROW_UPDATED;
    work->is_broken = result != RESULT_OK;
    return result;
}

enum result work_delete(struct work *work, const struct catalog_table *table, int64_t id,
                        const struct author *author, struct problem *problem)
{
    struct work_row *row = NULL;
    enum result result;

    invariant(!work->is_broken);
    result = work_find(work, table, id, &row, problem);
    if (result == RESULT_OK && !work_row_exists(row))
        result =
            problem_set(problem, RESULT_REFUSED, "%s %" PRId64 " does not exist", table->name, id);
    if (result != RESULT_OK)
        return result;
    result = work_note_change(work, row, row->row.values, NULL, table->columns_mask, author,
                              row->state == ROW_INSERTED, problem);
    if (result == RESULT_OK)
        result = work_mark_dirty(work, row, author->replica_no, problem);
    work->seq++;
    row->row.seq = work->seq;
    row->state = row->stored_bucket == 0 ? ROW_ABSENT : ROW_DELETED;
    work->is_broken = result != RESULT_OK;
    return result;
}

/* ---- by names ---- */

static enum result fields_to_values(struct work *work, const char *table_name,
                                    const struct work_field *fields,
                                    const struct catalog_table **ret_table,
                                    struct value **ret_values, uint64_t *ret_mask,
                                    struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(work->catalog, table_name);
    struct value *values = NULL;
    uint64_t mask = 0;

    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no table %s", table_name);
    values = arena_array(&work->arena, table->column_count, sizeof *values);
    if (values == NULL)
        return arena_full(&work->arena, problem);
    for (size_t i = 0; fields[i].name != NULL; i++) {
        const struct catalog_column *column = catalog_column_by_name(table, fields[i].name);

        if (column == NULL)
            return problem_set(problem, RESULT_REFUSED, "%s has no column %s", table_name,
                               fields[i].name);
        values[column->number] = fields[i].value;
        if (column->number != 0)
            mask |= UINT64_C(1) << column->number;
    }
    *ret_table = table;
    *ret_values = values;
    *ret_mask = mask;
    return RESULT_OK;
}

enum result work_insert_fields(struct work *work, const char *table_name,
                               const struct work_field *fields, const struct author *author,
                               int64_t *ret_id, struct problem *problem)
{
    const struct catalog_table *table = NULL;
    struct value *values = NULL;
    uint64_t mask = 0;
    enum result result =
        fields_to_values(work, table_name, fields, &table, &values, &mask, problem);

    if (result != RESULT_OK)
        return result;
    return work_insert(work, table, values, mask, author, ret_id, problem);
}

enum result work_update_fields(struct work *work, const char *table_name, int64_t id,
                               const struct work_field *fields, const struct author *author,
                               struct problem *problem)
{
    const struct catalog_table *table = NULL;
    struct value *values = NULL;
    uint64_t mask = 0;
    enum result result =
        fields_to_values(work, table_name, fields, &table, &values, &mask, problem);

    if (result != RESULT_OK)
        return result;
    return work_update(work, table, id, values, mask, author, problem);
}

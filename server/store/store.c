/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/store.h"

const struct value *store_at(const struct store_result *result, size_t row, size_t column)
{
    static const struct value NOTHING = {.type = VALUE_NULL};

    if (row >= result->row_count || column >= result->column_count)
        return &NOTHING;
    return &result->values[row * result->column_count + column];
}

int64_t store_integer_at(const struct store_result *result, size_t row, size_t column,
                         int64_t otherwise)
{
    const struct value *value = store_at(result, row, column);

    return value->type == VALUE_INTEGER ? value->integer : otherwise;
}

struct bytes store_bytes_at(const struct store_result *result, size_t row, size_t column)
{
    const struct value *value = store_at(result, row, column);

    if (value->type != VALUE_TEXT && value->type != VALUE_BLOB)
        return (struct bytes){0};
    return value->bytes;
}

enum result store_begin(struct store *store, enum store_mode mode, struct problem *problem)
{
    return store->operations->begin(store, mode, problem);
}

enum result store_commit(struct store *store, struct problem *problem)
{
    return store->operations->commit(store, problem);
}

void store_rollback(struct store *store)
{
    store->operations->rollback(store);
}

enum result store_query(struct store *store, const char *sql, const struct value *parameters,
                        size_t parameter_count, struct arena *arena,
                        struct store_result *ret_result, struct problem *problem)
{
    return store->operations->query(store, sql, parameters, parameter_count, arena, ret_result,
                                    problem);
}

enum result store_execute(struct store *store, const char *sql, const struct value *parameters,
                          size_t parameter_count, size_t run_count, int64_t *ret_changed,
                          struct problem *problem)
{
    return store->operations->execute(store, sql, parameters, parameter_count, run_count,
                                      ret_changed, problem);
}

enum result store_read_rows(struct store *store, const struct catalog_table *table,
                            const int64_t *ids, size_t count, struct arena *arena,
                            struct stored_row **ret_rows, struct problem *problem)
{
    return store->operations->read_rows(store, table, ids, count, arena, ret_rows, problem);
}

enum result store_read_heads(struct store *store, const struct catalog_table *table,
                             const int64_t *ids, size_t count, struct arena *arena,
                             struct stored_row **ret_rows, struct problem *problem)
{
    return store->operations->read_heads(store, table, ids, count, arena, ret_rows, problem);
}

enum result store_insert_rows(struct store *store, const struct catalog_table *table,
                              const struct stored_row *const *rows, size_t count,
                              struct problem *problem)
{
    return store->operations->insert_rows(store, table, rows, count, problem);
}

enum result store_update_rows(struct store *store, const struct catalog_table *table, uint64_t mask,
                              const struct stored_row *const *rows, size_t count,
                              struct problem *problem)
{
    return store->operations->update_rows(store, table, mask, rows, count, problem);
}

enum result store_delete_rows(struct store *store, const struct catalog_table *table,
                              const int64_t *ids, size_t count, struct problem *problem)
{
    return store->operations->delete_rows(store, table, ids, count, problem);
}

enum result store_check(struct store *store, struct problem *problem)
{
    return store->operations->check(store, problem);
}

enum result store_page(struct store *store, const struct catalog_table *table, int64_t bucket,
                       int64_t seq_after, int64_t seq_to, size_t row_count_max, struct arena *arena,
                       struct stored_row **ret_rows, size_t *ret_count, struct problem *problem)
{
    return store->operations->page(store, table, bucket, seq_after, seq_to, row_count_max, arena,
                                   ret_rows, ret_count, problem);
}

enum result store_ids(struct store *store, const struct catalog_table *table, int64_t bucket,
                      int64_t id_after, size_t id_count_max, struct arena *arena, int64_t **ret_ids,
                      size_t *ret_count, struct problem *problem)
{
    return store->operations->ids(store, table, bucket, id_after, id_count_max, arena, ret_ids,
                                  ret_count, problem);
}

enum result store_tidy(struct store *store, struct problem *problem)
{
    return store->operations->tidy(store, problem);
}

enum result store_backup(struct store *store, const char *path, struct problem *problem)
{
    return store->operations->backup(store, path, problem);
}

void store_close(struct store *store)
{
    if (store != NULL)
        store->operations->close(store);
}

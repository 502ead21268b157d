/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/rehash.h"

#include "base/invariant.h"
#include "base/lookup.h"
#include "schema/canonical.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

static_assert((int)crypto_shorthash_siphashx24_BYTES == (int)DIGEST_SIZE, "128 bits");

enum {
    KEY_SIZE = crypto_shorthash_siphashx24_KEYBYTES,
    TEXT_SIZE_MAX = 64 * 1024,
    CANONICAL_SIZE_MAX = 32 << 20,
    ARENA_SIZE_MAX = 256 << 20, /* one sum for each bucket */
};

/* What the digest of a bucket changes by. */
struct bucket_sum {
    int64_t bucket;
    uint8_t digest[DIGEST_SIZE]; /* new hashes less old ones */
    struct bucket_sum *next;
};

struct rehashing {
    struct sql_database *database;
    uint8_t key[KEY_SIZE];
    struct arena *arena;
    struct lookup by_bucket;
    struct bucket_sum *first;
    struct buffer canonical;
    size_t row_count;
    struct problem *problem;
};

static enum result read_key(struct rehashing *rehashing, bool *ret_has)
{
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result =
        sql_prepare(rehashing->database, "SELECT data FROM fs_state WHERE name = 'digest_key'",
                    &statement, rehashing->problem);

    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, rehashing->problem);
    if (result == RESULT_OK && has_row) {
        struct value key = sql_column(statement, 0);

        *ret_has = key.type == VALUE_BLOB && key.bytes.size == KEY_SIZE;
        if (*ret_has)
            memcpy(rehashing->key, key.bytes.data, KEY_SIZE);
    }
    sql_release(statement);
    return result;
}

static enum result sum_of(struct rehashing *rehashing, int64_t bucket, struct bucket_sum **ret_sum)
{
    struct bucket_sum *sum = lookup_find(&rehashing->by_bucket, 0, bucket);

    *ret_sum = sum;
    if (sum != NULL)
        return RESULT_OK;
    sum = arena_alloc(rehashing->arena, sizeof *sum);
    if (sum == NULL)
        return arena_full(rehashing->arena, rehashing->problem);
    *sum = (struct bucket_sum){.bucket = bucket, .next = rehashing->first};
    rehashing->first = sum;
    *ret_sum = sum;
    return lookup_put(&rehashing->by_bucket, 0, bucket, sum, rehashing->problem);
}

static enum result put(struct buffer *text, const char *piece, struct problem *problem)
{
    return buffer_append(text, piece, strlen(piece), problem);
}

/* The table's values by column number, then _fs_bucket and _fs_hash. */
static enum result select_text(const struct catalog_table *table, struct buffer *text,
                               struct problem *problem)
{
    enum result result = put(text, "SELECT id", problem);

    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++) {
        result = put(text, ", ", problem);
        if (result == RESULT_OK && catalog_has_column(table, n))
            result = sql_append_identifier(text, table->columns[n].name, problem);
        else if (result == RESULT_OK)
            result = put(text, "NULL", problem);
    }
    if (result == RESULT_OK)
        result = put(text, ", _fs_bucket, _fs_hash FROM ", problem);
    if (result == RESULT_OK)
        result = sql_append_identifier(text, table->name, problem);
    if (result == RESULT_OK)
        result = buffer_append(text, " WHERE length(_fs_hash) = 16",
                               sizeof " WHERE length(_fs_hash) = 16", problem);
    return result;
}

static enum result update_text(const struct catalog_table *table, struct buffer *text,
                               struct problem *problem)
{
    enum result result = put(text, "UPDATE ", problem);

    if (result == RESULT_OK)
        result = sql_append_identifier(text, table->name, problem);
    if (result == RESULT_OK)
        result = buffer_append(text, " SET _fs_hash = ?2 WHERE id = ?1",
                               sizeof " SET _fs_hash = ?2 WHERE id = ?1", problem);
    return result;
}

/* An edit of the row by plain SQL that the server hasn't adopted yet says what its share was. */
static enum result rehash_outbox(struct rehashing *rehashing, const struct catalog_table *table,
                                 int64_t row_id, const uint8_t *old_hash, const uint8_t *hash)
{
    const struct value values[] = {value_integer(table->number), value_integer(row_id),
                                   value_blob(bytes_of(old_hash, DIGEST_SIZE)),
                                   value_blob(bytes_of(hash, DIGEST_SIZE))};

    return sql_run(rehashing->database,
                   "UPDATE fs_outbox SET old_hash = ?4 WHERE tbl = ?1 AND row_id = ?2"
                   " AND old_hash = ?3",
                   values, 4, rehashing->problem);
}

static enum result rehash_row(struct rehashing *rehashing, const struct catalog_table *table,
                              struct sql_statement *select, struct sql_statement *update,
                              bool has_lines)
{
    int64_t row_id = sql_column_integer(select, 0);
    struct value old_hash = sql_column(select, table->column_count + 1);
    struct value values[ROW_COLUMNS_MAX + 1];
    struct bucket_sum *sum = NULL;
    uint8_t hash[DIGEST_SIZE];
    bool has_row = false;
    enum result result = RESULT_OK;

    for (uint8_t n = 1; n < table->column_count; n++)
        values[n] = sql_column(select, n);
    buffer_reset(&rehashing->canonical);
    result = canonical_append(table, row_id, values, &rehashing->canonical, rehashing->problem);
    if (result == RESULT_OK)
        result = sum_of(rehashing, sql_column_integer(select, table->column_count), &sum);
    if (result != RESULT_OK)
        return result;
    (void)crypto_shorthash_siphashx24(hash, rehashing->canonical.data, rehashing->canonical.size,
                                      rehashing->key);
    digest_subtract(sum->digest, old_hash.bytes.data);
    digest_add(sum->digest, hash);
    rehashing->row_count++;
    if (has_lines)
        result = rehash_outbox(rehashing, table, row_id, old_hash.bytes.data, hash);
    if (result == RESULT_OK)
        result = sql_bind_integer(update, 1, row_id, rehashing->problem);
    if (result == RESULT_OK) {
        const struct value value = value_blob(bytes_of(hash, sizeof hash));

        result = sql_bind(update, 2, &value, rehashing->problem);
    }
    if (result == RESULT_OK)
        result = sql_step(update, &has_row, rehashing->problem);
    sql_reset(update);
    return result;
}

static enum result rehash_table(struct rehashing *rehashing, const struct catalog_table *table)
{
    const struct value number = value_integer(table->number);
    struct sql_statement *select = NULL;
    struct sql_statement *update = NULL;
    struct buffer text;
    int64_t has_lines = 0;
    bool has_row = true;
    enum result result = sql_query_integer(
        rehashing->database,
        "SELECT EXISTS (SELECT 1 FROM fs_outbox WHERE tbl = ?1 AND old_hash IS NOT NULL)", &number,
        1, 0, &has_lines, rehashing->problem);

    buffer_init(&text, TEXT_SIZE_MAX);
    if (result == RESULT_OK)
        result = select_text(table, &text, rehashing->problem);
    if (result == RESULT_OK)
        result =
            sql_prepare(rehashing->database, (const char *)text.data, &select, rehashing->problem);
    buffer_reset(&text);
    if (result == RESULT_OK)
        result = update_text(table, &text, rehashing->problem);
    if (result == RESULT_OK)
        result =
            sql_prepare(rehashing->database, (const char *)text.data, &update, rehashing->problem);
    while (result == RESULT_OK) {
        result = sql_step(select, &has_row, rehashing->problem);
        if (result != RESULT_OK || !has_row)
            break;
        result = rehash_row(rehashing, table, select, update, has_lines != 0);
    }
    sql_release(select);
    sql_release(update);
    buffer_done(&text);
    return result;
}

static enum result read_digest(struct rehashing *rehashing, int64_t bucket,
                               uint8_t ret_digest[DIGEST_SIZE])
{
    const struct value number = value_integer(bucket);
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result =
        sql_prepare(rehashing->database, "SELECT digest FROM fs_bucket WHERE bucket = ?1",
                    &statement, rehashing->problem);

    memset(ret_digest, 0, DIGEST_SIZE);
    if (result == RESULT_OK)
        result = sql_bind_all(statement, &number, 1, rehashing->problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, rehashing->problem);
    if (result == RESULT_OK && has_row && sql_column(statement, 0).bytes.size == DIGEST_SIZE)
        memcpy(ret_digest, sql_column(statement, 0).bytes.data, DIGEST_SIZE);
    sql_release(statement);
    return result;
}

static enum result set_digests(struct rehashing *rehashing)
{
    enum result result = RESULT_OK;

    for (const struct bucket_sum *sum = rehashing->first; sum != NULL && result == RESULT_OK;
         sum = sum->next) {
        uint8_t digest[DIGEST_SIZE];

        result = read_digest(rehashing, sum->bucket, digest);
        digest_add(digest, sum->digest);
        if (result == RESULT_OK) {
            const struct value values[] = {value_integer(sum->bucket),
                                           value_blob(bytes_of(digest, sizeof digest))};

            result =
                sql_run(rehashing->database, "UPDATE fs_bucket SET digest = ?2 WHERE bucket = ?1",
                        values, 2, rehashing->problem);
        }
    }
    return result;
}

enum result rehash_tables(struct sql_database *database, const struct catalog *before,
                          const struct catalog *after, size_t *ret_row_count,
                          struct problem *problem)
{
    struct rehashing rehashing = {.database = database, .problem = problem};
    struct arena sum_arena;
    bool has_key = false;
    enum result result = read_key(&rehashing, &has_key);

    arena_init(&sum_arena, ARENA_SIZE_MAX);
    buffer_init(&rehashing.canonical, CANONICAL_SIZE_MAX);
    rehashing.arena = &sum_arena;
    lookup_init(&rehashing.by_bucket, &sum_arena);
    for (size_t n = 1; has_key && n < after->table_count && result == RESULT_OK; n++) {
        const struct catalog_table *table = &after->tables[n];
        const struct catalog_table *old = catalog_table_by_no(before, (int64_t)n);

        if (table->name != NULL && !table->is_local && old != NULL &&
            old->columns_mask != table->columns_mask)
            result = rehash_table(&rehashing, table);
    }
    if (result == RESULT_OK)
        result = set_digests(&rehashing);
    buffer_done(&rehashing.canonical);
    arena_done(&sum_arena);
    sodium_memzero(rehashing.key, sizeof rehashing.key);
    if (result == RESULT_OK)
        *ret_row_count = rehashing.row_count;
    else
        problem_add(problem, "hashing rows for their new columns");
    return result;
}

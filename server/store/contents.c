/* SPDX-License-Identifier: Apache-2.0 */
#include "server/store/contents.h"

#include "base/lookup.h"
#include "schema/canonical.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { ROWS_AT_ONCE = 1000, NAMED_MAX = 100, BATCH_SIZE_MAX = 64 * 1024 * 1024 };

struct bucket_sum {
    uint8_t digest[DIGEST_SIZE];
    int64_t row_count;
};

struct check {
    struct store *store;
    const struct catalog *catalog;
    struct arena *arena;
    struct buffer *report;
    uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
    struct lookup sums;      /* (0, bucket) -> struct bucket_sum */
    struct arena row_arena;  /* of one batch */
    struct buffer canonical; /* of one row */
    int64_t row_count;
    size_t wrong;
};

static enum result say(struct check *check, const char *text, struct problem *problem)
{
    enum result result = buffer_append(check->report, text, strlen(text), problem);

    return result == RESULT_OK ? buffer_append(check->report, "\n", 1, problem) : result;
}

static enum result fault(struct check *check, struct problem *problem, const char *text)
{
    check->wrong++;
    if (check->wrong > NAMED_MAX)
        return RESULT_OK;
    return say(check, text, problem);
}

/* ---- rows ---- */

static enum result add_to_bucket(struct check *check, const struct stored_row *row,
                                 const uint8_t *hash, struct problem *problem)
{
    struct bucket_sum *sum = lookup_find(&check->sums, 0, row->bucket);
    enum result result = RESULT_OK;

    if (sum == NULL) {
        sum = arena_alloc(check->arena, sizeof *sum);
        if (sum == NULL)
            return arena_full(check->arena, problem);
        result = lookup_put(&check->sums, 0, row->bucket, sum, problem);
    }
    if (result == RESULT_OK) {
        digest_add(sum->digest, hash);
        sum->row_count++;
    }
    return result;
}

static enum result check_row(struct check *check, const struct catalog_table *table,
                             const struct stored_row *row, struct problem *problem)
{
    uint8_t hash[crypto_shorthash_siphashx24_BYTES];
    char text[200];
    int64_t bucket = 0;
    struct problem reason = {0};
    enum result result;

    buffer_reset(&check->canonical);
    result = canonical_append(table, row->id, row->values, &check->canonical, problem);
    if (result != RESULT_OK)
        return result;
    (void)crypto_shorthash_siphashx24(hash, check->canonical.data, check->canonical.size,
                                      check->key);
    if (memcmp(hash, row->hash, sizeof hash) != 0) {
        snprintf(text, sizeof text, "%s %" PRId64 ": its hash is not that of its values",
                 table->name, row->id);
        result = fault(check, problem, text);
    }
    if (result == RESULT_OK &&
        (catalog_bucket(table, row->id, row->values, &bucket, &reason) != RESULT_OK ||
         bucket != row->bucket)) {
        snprintf(text, sizeof text, "%s %" PRId64 ": it lies in another bucket than its rule says",
                 table->name, row->id);
        result = fault(check, problem, text);
    }
    check->row_count++;
    return result == RESULT_OK ? add_to_bucket(check, row, hash, problem) : result;
}

/* ret_last: where the next batch begins; 0: there is none. */
static enum result check_batch(struct check *check, const struct catalog_table *table,
                               int64_t *ret_last, struct problem *problem)
{
    struct store *store = check->store;
    const struct value after = value_integer(*ret_last);
    struct store_result found = {0};
    struct stored_row *rows = NULL;
    int64_t ids[ROWS_AT_ONCE];
    char sql[256];
    enum result result;

    snprintf(sql, sizeof sql, "SELECT id FROM \"%s\" WHERE id > ?1 ORDER BY id LIMIT %d",
             table->name, ROWS_AT_ONCE);
    arena_reset(&check->row_arena);
    result = store_query(store, sql, &after, 1, &check->row_arena, &found, problem);
    for (size_t i = 0; i < found.row_count; i++)
        ids[i] = store_integer_at(&found, i, 0, 0);
    if (result == RESULT_OK && found.row_count > 0)
        result =
            store_read_rows(store, table, ids, found.row_count, &check->row_arena, &rows, problem);
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++)
        if (rows[i].values != NULL)
            result = check_row(check, table, &rows[i], problem);
    *ret_last = found.row_count == ROWS_AT_ONCE ? ids[ROWS_AT_ONCE - 1] : 0;
    return result;
}

static enum result check_tables(struct check *check, struct problem *problem)
{
    const struct catalog *catalog = check->catalog;
    enum result result = RESULT_OK;

    for (size_t number = 1; number < catalog->table_count && result == RESULT_OK; number++) {
        const struct catalog_table *table = catalog_table_by_no(catalog, (int64_t)number);
        int64_t last = INT64_MIN;

        if (table == NULL || table->is_local)
            continue;
        while (result == RESULT_OK && last != 0)
            result = check_batch(check, table, &last, problem);
    }
    return result;
}

/* ---- buckets ---- */

static enum result check_buckets(struct check *check, struct problem *problem)
{
    static const uint8_t EMPTY[DIGEST_SIZE];
    struct store_result rows = {0};
    enum result result =
        store_query(check->store, "SELECT bucket, digest, row_count FROM fs_bucket", NULL, 0,
                    check->arena, &rows, problem);

    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        int64_t bucket = store_integer_at(&rows, i, 0, 0);
        const struct bucket_sum *sum = lookup_find(&check->sums, 0, bucket);
        struct bytes stored = store_bytes_at(&rows, i, 1);
        struct bytes counted = bytes_of(sum == NULL ? EMPTY : sum->digest, DIGEST_SIZE);
        char name[BUCKET_TEXT_SIZE];
        char text[200];

        if (bytes_equal(stored, counted) &&
            store_integer_at(&rows, i, 2, -1) == (sum == NULL ? 0 : sum->row_count))
            continue;
        bucket_format(bucket, name);
        snprintf(text, sizeof text, "bucket %s: its digest is not the sum of its rows", name);
        result = fault(check, problem, text);
    }
    return result;
}

static enum result check_pending(struct check *check, struct problem *problem)
{
    struct store_result rows = {0};
    char text[200];
    enum result result = store_query(
        check->store,
        "SELECT count(*) FROM fs_outbox WHERE op <> '-' AND lcn < (SELECT max(lcn) FROM fs_outbox)",
        NULL, 0, check->arena, &rows, problem);

    if (result != RESULT_OK || store_integer_at(&rows, 0, 0, 0) == 0)
        return result;
    snprintf(text, sizeof text, "%" PRId64 " edits of other programs wait to be adopted: run serve",
             store_integer_at(&rows, 0, 0, 0));
    return say(check, text, problem);
}

/* All in one state of the database. */
static enum result check_contents(struct check *check, struct problem *problem)
{
    struct store *store = check->store;
    struct store_result key = {0};
    struct bytes bytes;
    enum result result = store_begin(store, STORE_READ, problem);

    if (result == RESULT_OK)
        result = store_query(store, "SELECT data FROM fs_state WHERE name='digest_key'", NULL, 0,
                             check->arena, &key, problem);
    bytes = store_bytes_at(&key, 0, 0);
    if (result == RESULT_OK && bytes.size != sizeof check->key)
        result = problem_set(problem, RESULT_STORAGE, "fs_state has no digest key");
    if (result == RESULT_OK) {
        memcpy(check->key, bytes.data, sizeof check->key);
        result = check_tables(check, problem);
    }
    if (result == RESULT_OK)
        result = check_buckets(check, problem);
    if (result == RESULT_OK)
        result = check_pending(check, problem);
    store_rollback(store);
    return result;
}

enum result contents_check(struct store *store, const struct catalog *catalog, struct arena *arena,
                           struct buffer *report, struct contents *ret_contents,
                           struct problem *problem)
{
    struct check check = {.store = store, .catalog = catalog, .arena = arena, .report = report};
    enum result result;

    arena_init(&check.row_arena, BATCH_SIZE_MAX);
    buffer_init(&check.canonical, BATCH_SIZE_MAX);
    lookup_init(&check.sums, arena);
    result = check_contents(&check, problem);
    buffer_done(&check.canonical);
    arena_done(&check.row_arena);
    *ret_contents = (struct contents){check.row_count, check.sums.count, check.wrong};
    return result;
}

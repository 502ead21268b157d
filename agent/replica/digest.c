/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of buckets: the sum of the hashes of their rows, by scanning them.
 *
 * Only what is the server's state at the published head can be compared: buckets with unanswered
 * edits, answers above that head, or rows in quarantine are left out. Where an edit hides from
 * which bucket a row came (it deletes the row or moves it), nothing is compared. */
#include "agent/replica/replica_inside.h"

#include "schema/canonical.h"

#include "base/invariant.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)crypto_shorthash_siphashx24_BYTES == (int)DIGEST_SIZE, "128 bits");
static_assert((int)crypto_shorthash_siphashx24_KEYBYTES == (int)DIGEST_KEY_SIZE, "a key fits");

enum { CANONICAL_SIZE_MAX = 32 << 20, PART_BYTES = REPAIR_PARTS * ROW_DIGEST_SIZE };

struct scan {
    struct replica *replica;
    struct arena *arena;
    uint8_t key[DIGEST_KEY_SIZE];
    struct bucket_digest *digests; /* ascending by bucket */
    bool *is_left_out;
    size_t count;
    uint8_t *parts; /* of the only bucket, or NULL */
    struct buffer canonical;
    struct problem *problem;
};

static enum result read_key(struct scan *scan)
{
    struct bytes key = {0};
    enum result result = state_data(scan->replica, "digest_key", scan->arena, &key, scan->problem);

    if (result == RESULT_OK && key.size != sizeof scan->key)
        return problem_set(scan->problem, RESULT_REFUSED, "the device has no digest key yet");
    if (result == RESULT_OK)
        memcpy(scan->key, key.data, sizeof scan->key);
    return result;
}

static struct bucket_digest *find_digest(struct scan *scan, int64_t bucket)
{
    size_t low = 0;
    size_t high = scan->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (scan->digests[middle].bucket == bucket)
            return &scan->digests[middle];
        if (scan->digests[middle].bucket < bucket)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static enum result scan_row(struct scan *scan, const struct catalog_table *table,
                            struct sql_statement *statement)
{
    struct bucket_digest *digest = find_digest(scan, sql_column_integer(statement, 1));
    int64_t row_id = sql_column_integer(statement, 0);
    struct value values[ROW_COLUMNS_MAX + 1];
    uint8_t hash[DIGEST_SIZE];
    enum result result = RESULT_OK;

    if (digest == NULL || scan->is_left_out[digest - scan->digests])
        return RESULT_OK;
    invariant(table->column_count <= ROW_COLUMNS_MAX + 1);
    values[0] = value_integer(row_id);
    for (uint8_t n = 1; n < table->column_count; n++)
        values[n] = sql_column(statement, n + 1);
    buffer_reset(&scan->canonical);
    result = canonical_append(table, row_id, values, &scan->canonical, scan->problem);
    if (result != RESULT_OK)
        return result;
    (void)crypto_shorthash_siphashx24(hash, scan->canonical.data, scan->canonical.size, scan->key);
    digest_add(digest->digest, hash);
    if (scan->parts != NULL)
        digest_add(scan->parts + (uint64_t)row_id % REPAIR_PARTS * ROW_DIGEST_SIZE, hash);
    return RESULT_OK;
}

static enum result scan_table(struct scan *scan, const struct catalog_table *table)
{
    const struct value range[] = {value_integer(scan->digests[0].bucket),
                                  value_integer(scan->digests[scan->count - 1].bucket)};
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = sql_prepare(
        scan->replica->database, scan->replica->sql[table->number].scan, &statement, scan->problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, range, 2, scan->problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, scan->problem);
        if (result != RESULT_OK || !has_row)
            break;
        result = scan_row(scan, table, statement);
    }
    sql_release(statement);
    return result;
}

static enum result scan_all(struct scan *scan)
{
    const struct catalog *catalog = &scan->replica->catalog;
    enum result result = RESULT_OK;

    if (scan->count == 0)
        return RESULT_OK;
    buffer_init(&scan->canonical, CANONICAL_SIZE_MAX);
    for (size_t i = 1; i < catalog->table_count && result == RESULT_OK; i++)
        if (table_is_synced(&catalog->tables[i]))
            result = scan_table(scan, &catalog->tables[i]);
    buffer_done(&scan->canonical);
    return result;
}

/* ---- what can't be compared ------------------------------------------------------------------ */

static void leave_out(struct scan *scan, int64_t bucket)
{
    const struct bucket_digest *digest = find_digest(scan, bucket);

    if (digest != NULL)
        scan->is_left_out[digest - scan->digests] = true;
}

static void leave_out_all(struct scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        scan->is_left_out[i] = true;
}

static enum result leave_out_pending(struct scan *scan)
{
    struct replica *replica = scan->replica;
    struct pending pending;
    enum result result = pending_load(replica, scan->arena, &pending, scan->problem);

    for (const struct pending_row *row = result == RESULT_OK ? pending.first : NULL;
         row != NULL && result == RESULT_OK; row = row->next) {
        const struct catalog_table *table = replica_table(replica, row->table_no);
        uint64_t mask = row->mask | row->hold_mask;
        struct value *values = NULL;
        int64_t bucket = 0;

        result = replica_read_row(replica, table, row->row_id, scan->arena, &values, &bucket,
                                  scan->problem);
        if (result != RESULT_OK)
            break;
        if (values == NULL || (mask & replica->sql[table->number].bucket_mask) != 0)
            leave_out_all(scan);
        else
            leave_out(scan, bucket);
    }
    return result;
}

static enum result leave_out_quarantined(struct scan *scan)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = sql_prepare(scan->replica->database,
                                     "SELECT table_no, row_id, mask, data FROM fs_quarantine",
                                     &statement, scan->problem);

    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;
        struct value *values = NULL;
        struct problem none = {0};
        uint64_t mask = 0;
        int64_t bucket = 0;

        result = sql_step(statement, &has_row, scan->problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(scan->replica, sql_column_integer(statement, 0));
        if (table == NULL)
            continue;
        mask = (uint64_t)sql_column_integer(statement, 2);
        if (mask != table->columns_mask) {
            leave_out_all(scan);
            continue;
        }
        result = unpack_values(table, mask, sql_column(statement, 3).bytes, scan->arena, &values,
                               scan->problem);
        if (result != RESULT_OK)
            break;
        if (catalog_bucket(table, sql_column_integer(statement, 1), values, &bucket, &none) ==
            RESULT_OK)
            leave_out(scan, bucket);
        else
            leave_out_all(scan);
    }
    sql_release(statement);
    return result;
}

static enum result read_buckets(struct scan *scan, int64_t bucket_after, size_t bucket_max,
                                int64_t *ret_bucket_next)
{
    const struct value values[] = {value_integer(bucket_after), value_integer((int64_t)bucket_max)};
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = RESULT_OK;

    *ret_bucket_next = 0;
    scan->digests = arena_array(scan->arena, bucket_max + 1, sizeof *scan->digests);
    scan->is_left_out = arena_array(scan->arena, bucket_max + 1, sizeof *scan->is_left_out);
    if (scan->digests == NULL || scan->is_left_out == NULL)
        return arena_full(scan->arena, scan->problem);
    result = sql_prepare(scan->replica->database,
                         "SELECT bucket, seq IS NOT NULL FROM fs_bucket WHERE state = 1"
                         " AND bucket > ?1 ORDER BY bucket LIMIT ?2",
                         &statement, scan->problem);
    if (result == RESULT_OK)
        result = sql_bind_all(statement, values, 2, scan->problem);
    while (result == RESULT_OK && scan->count < bucket_max) {
        result = sql_step(statement, &has_row, scan->problem);
        if (result != RESULT_OK || !has_row)
            break;
        scan->is_left_out[scan->count] = sql_column_integer(statement, 1) != 0;
        scan->digests[scan->count++].bucket = sql_column_integer(statement, 0);
    }
    sql_release(statement);
    if (result == RESULT_OK && scan->count == bucket_max && bucket_max > 0)
        *ret_bucket_next = scan->digests[scan->count - 1].bucket;
    return result;
}

/* Everything in one read transaction: one state of the database. */
static enum result scan_buckets(struct scan *scan, int64_t bucket_after, size_t bucket_max,
                                int64_t *ret_bucket_next, int64_t *ret_head)
{
    enum result result = read_key(scan);

    if (result == RESULT_OK)
        result = state_number(scan->replica, "published_seq", 0, ret_head, scan->problem);
    if (result == RESULT_OK)
        result = read_buckets(scan, bucket_after, bucket_max, ret_bucket_next);
    if (result == RESULT_OK)
        result = leave_out_pending(scan);
    if (result == RESULT_OK)
        result = leave_out_quarantined(scan);
    if (result == RESULT_OK)
        result = scan_all(scan);
    return result;
}

enum result replica_digests(struct replica *replica, int64_t bucket_after, size_t bucket_max,
                            struct arena *arena, struct message_digest *ret_digest,
                            int64_t *ret_bucket_next, struct problem *problem)
{
    struct scan scan = {.replica = replica, .arena = arena, .problem = problem};
    struct sql_transaction transaction = {0};
    struct message_digest digest = {0};
    int64_t next = 0;
    enum result result = replica_settle(replica, problem);

    if (result == RESULT_OK)
        result = sql_begin(&transaction, replica->database, SQL_DEFERRED, problem);
    if (result == RESULT_OK)
        result = scan_buckets(&scan, bucket_after, bucket_max, &next, &digest.head);
    sql_end(&transaction);
    if (result != RESULT_OK) {
        problem_add(problem, "digests of buckets");
        return result;
    }
    for (size_t i = 0; i < scan.count; i++)
        if (!scan.is_left_out[i])
            scan.digests[digest.count++] = scan.digests[i];
    digest.digests = scan.digests;
    if (digest.head == 0)
        digest.count = 0;
    *ret_digest = digest;
    *ret_bucket_next = next;
    return RESULT_OK;
}

enum result replica_differing_parts(struct replica *replica, int64_t bucket,
                                    const uint8_t *server_parts, struct arena *arena,
                                    struct message_repair *ret_repair, struct problem *problem)
{
    struct scan scan = {.replica = replica, .arena = arena, .problem = problem};
    struct sql_transaction transaction = {0};
    struct message_repair repair = {.bucket = bucket};
    uint8_t *differing = arena_alloc(arena, REPAIR_PARTS);
    int64_t next = 0;
    int64_t head = 0;
    enum result result = RESULT_OK;

    scan.parts = arena_alloc(arena, PART_BYTES);
    if (differing == NULL || scan.parts == NULL)
        return arena_full(arena, problem);
    result = replica_settle(replica, problem);
    if (result == RESULT_OK)
        result = sql_begin(&transaction, replica->database, SQL_DEFERRED, problem);
    if (result == RESULT_OK)
        result = scan_buckets(&scan, bucket - 1, 1, &next, &head);
    sql_end(&transaction);
    if (result != RESULT_OK) {
        problem_add(problem, "parts of a bucket");
        return result;
    }
    if (scan.count == 1 && scan.digests[0].bucket == bucket && !scan.is_left_out[0])
        for (size_t i = 0; i < REPAIR_PARTS; i++)
            if (memcmp(scan.parts + i * ROW_DIGEST_SIZE, server_parts + i * ROW_DIGEST_SIZE,
                       ROW_DIGEST_SIZE) != 0)
                differing[repair.part_count++] = (uint8_t)i;
    repair.parts = differing;
    *ret_repair = repair;
    return RESULT_OK;
}

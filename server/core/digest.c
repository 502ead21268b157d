/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/digest.h"

#include "base/invariant.h"
#include "schema/canonical.h"
#include "server/core/sending.h"

#include <inttypes.h>
#include <string.h>

enum { SCAN_ROWS_MAX = 2000, REPAIR_LEVEL = 1 };

static enum result is_subscribed(const struct feed_reader *reader, const struct job *job,
                                 int64_t bucket, bool *ret_is, struct problem *problem)
{
    const struct value parameters[] = {value_integer(job->user_id), value_integer(bucket)};
    struct store_result found = {0};
    enum result result = store_query(reader->store,
                                     "SELECT 1 FROM fs_entitlement WHERE user_id=?1 AND bucket=?2"
                                     " AND to_seq IS NULL",
                                     parameters, 2, reader->arena, &found, problem);

    if (result == RESULT_OK)
        *ret_is = found.row_count > 0;
    return result;
}

/* ---- every row of a bucket ---- */

/* Calls for each row; rows live until the next page. */
struct scan {
    const struct feed_reader *reader;
    int64_t bucket;
    size_t table_index; /* in the result of heads */
    struct store_result heads;
    int64_t seq;
    struct stored_row *rows;
    size_t count;
    const struct catalog_table *table;
};

static enum result scan_begin(struct scan *scan, const struct feed_reader *reader, int64_t bucket,
                              struct problem *problem)
{
    const struct value parameter = value_integer(bucket);

    *scan = (struct scan){.reader = reader, .bucket = bucket};
    return store_query(reader->store,
                       "SELECT table_no FROM fs_head WHERE bucket=?1 AND table_no>0"
                       " ORDER BY table_no",
                       &parameter, 1, reader->arena, &scan->heads, problem);
}

/* The next page of rows of one table; count 0: that was all. */
static enum result scan_next(struct scan *scan, struct problem *problem)
{
    enum result result = RESULT_OK;

    scan->count = 0;
    while (scan->count == 0 && scan->table_index < scan->heads.row_count && result == RESULT_OK) {
        scan->table = catalog_table_by_no(scan->reader->store->catalog,
                                          store_integer_at(&scan->heads, scan->table_index, 0, 0));
        if (scan->table != NULL) {
            arena_reset(scan->reader->scratch);
            result = store_page(scan->reader->store, scan->table, scan->bucket, scan->seq,
                                INT64_MAX, SCAN_ROWS_MAX, scan->reader->scratch, &scan->rows,
                                &scan->count, problem);
        }
        if (scan->count > 0) {
            scan->seq = scan->rows[scan->count - 1].seq;
        } else {
            scan->table_index++;
            scan->seq = 0;
        }
    }
    return result;
}

/* ---- DIGEST ---- */

static enum result parts_of(const struct feed_reader *reader, int64_t bucket, uint8_t *parts,
                            struct problem *problem)
{
    struct scan scan;
    enum result result = scan_begin(&scan, reader, bucket, problem);

    do {
        if (result == RESULT_OK)
            result = scan_next(&scan, problem);
        for (size_t i = 0; i < scan.count && result == RESULT_OK; i++)
            digest_add(parts + (size_t)(scan.rows[i].id % REPAIR_PARTS) * ROW_DIGEST_SIZE,
                       scan.rows[i].hash);
    } while (result == RESULT_OK && scan.count > 0);
    return result;
}

/* Does the device hold something else although nothing changed since its head? */
static enum result compare_bucket(const struct feed_reader *reader, const struct job *job,
                                  const struct message_digest *digest, size_t index,
                                  bool *ret_differs, struct problem *problem)
{
    static const uint8_t NOTHING[ROW_DIGEST_SIZE] = {0};
    const struct value parameter = value_integer(digest->digests[index].bucket);
    struct store_result found = {0};
    struct bytes stored;
    enum result result =
        is_subscribed(reader, job, digest->digests[index].bucket, ret_differs, problem);

    if (result != RESULT_OK || !*ret_differs)
        return result;
    result = store_query(reader->store,
                         "SELECT (SELECT max(seq) FROM fs_head WHERE bucket=?1),"
                         " (SELECT digest FROM fs_bucket WHERE bucket=?1)",
                         &parameter, 1, reader->arena, &found, problem);
    stored = store_bytes_at(&found, 0, 1);
    if (stored.size != ROW_DIGEST_SIZE)
        stored = bytes_of(NOTHING, sizeof NOTHING);
    *ret_differs = result == RESULT_OK && store_integer_at(&found, 0, 0, 0) <= digest->head &&
                   memcmp(stored.data, digest->digests[index].digest, ROW_DIGEST_SIZE) != 0;
    return result;
}

enum result digest_answer(const struct feed_reader *reader, struct job *job,
                          struct problem *problem)
{
    struct message_digest digest = {0};
    struct differing_bucket differing[DIGEST_ANSWERS_MAX];
    struct message_digest_differs answer = {.buckets = differing};
    struct buffer body;
    enum result result = RESULT_OK;

    job->result = message_digest_decode(job->body, &job->arena, &digest, &job->problem);
    if (job->result != RESULT_OK || reader->wire != reader->store->catalog)
        return RESULT_OK; /* the sums are over this server's columns: nothing to compare */
    arena_reset(reader->arena);
    answer.head = digest.head;
    for (size_t i = 0; i < digest.count && answer.count < DIGEST_ANSWERS_MAX && result == RESULT_OK;
         i++) {
        uint8_t *parts = NULL;
        bool differs = false;

        result = compare_bucket(reader, job, &digest, i, &differs, problem);
        if (result != RESULT_OK || !differs)
            continue;
        parts = arena_array(&job->arena, REPAIR_PARTS, ROW_DIGEST_SIZE);
        if (parts == NULL)
            return arena_full(&job->arena, problem);
        result = parts_of(reader, digest.digests[i].bucket, parts, problem);
        differing[answer.count++] =
            (struct differing_bucket){.bucket = digest.digests[i].bucket, .parts = parts};
    }
    if (result != RESULT_OK || answer.count == 0)
        return result;
    trace_line(reader->trace, "server: %zu buckets of replica %" PRId64 " differ at %" PRId64,
               answer.count, job->replica_no, digest.head);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_digest_differs_encode(&answer, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_DIGEST_DIFFERS, buffer_bytes(&body), 0, NULL, problem);
    buffer_done(&body);
    return result;
}

/* ---- REPAIR ---- */

/* Rows of the asked parts, copied into the job. */
struct repair {
    const struct feed_reader *reader;
    struct job *job;
    int64_t bucket;
    bool is_wanted[REPAIR_PARTS];
    size_t sizes[REPAIR_PARTS];
    struct row_image *rows;
    size_t count;
    size_t capacity;
};

static enum result copy_row(struct repair *repair, const struct catalog_table *table,
                            const struct stored_row *stored, struct problem *problem)
{
    struct arena *arena = &repair->job->arena;
    struct row_image *row = NULL;
    enum result result = RESULT_OK;

    if (repair->count == repair->capacity) {
        size_t capacity = repair->capacity == 0 ? 64 : repair->capacity * 2;
        struct row_image *rows = arena_array(arena, capacity, sizeof *rows);

        if (rows == NULL)
            return arena_full(arena, problem);
        if (repair->count > 0)
            memcpy(rows, repair->rows, repair->count * sizeof *rows);
        repair->rows = rows;
        repair->capacity = capacity;
    }
    row = &repair->rows[repair->count];
    *row =
        (struct row_image){.table_no = table->number,
                           .row_id = stored->id,
                           .seq = stored->seq,
                           .mask = table->columns_mask,
                           .values = arena_array(arena, table->column_count, sizeof *row->values)};
    if (row->values == NULL)
        return arena_full(arena, problem);
    for (uint8_t i = 1; i < table->column_count && result == RESULT_OK; i++)
        result = value_copy(arena, &stored->values[i], &row->values[i], problem);
    if (result != RESULT_OK)
        return result;
    repair->count++;
    repair->sizes[stored->id % REPAIR_PARTS] +=
        sending_size(table, table->columns_mask, row->values);
    return RESULT_OK;
}

static enum result collect_rows(struct repair *repair, struct problem *problem)
{
    struct scan scan;
    enum result result = scan_begin(&scan, repair->reader, repair->bucket, problem);

    do {
        if (result == RESULT_OK)
            result = scan_next(&scan, problem);
        for (size_t i = 0; i < scan.count && result == RESULT_OK; i++)
            if (repair->is_wanted[scan.rows[i].id % REPAIR_PARTS] &&
                sending_fits(scan.table, scan.table->columns_mask, scan.rows[i].values))
                result = copy_row(repair, scan.table, &scan.rows[i], problem);
    } while (result == RESULT_OK && scan.count > 0);
    return result;
}

/* One message with the parts from `first` to `last`, both in. */
static enum result send_parts(struct repair *repair, int first, int last, struct problem *problem)
{
    uint8_t parts[REPAIR_PARTS];
    struct row_image *rows = arena_array(&repair->job->arena, repair->count, sizeof *rows);
    struct message_rows message = {.bucket = repair->bucket,
                                   .seq_to = repair->reader->head,
                                   .is_complete = true,
                                   .is_repair = true,
                                   .parts = parts,
                                   .rows = rows};
    struct buffer body;
    enum result result;

    if (rows == NULL)
        return arena_full(&repair->job->arena, problem);
    for (int part = first; part <= last; part++)
        if (repair->is_wanted[part])
            parts[message.part_count++] = (uint8_t)part;
    for (size_t i = 0; i < repair->count; i++) {
        int part = (int)(repair->rows[i].row_id % REPAIR_PARTS);

        if (part >= first && part <= last)
            rows[message.row_count++] = repair->rows[i];
    }
    if (message.part_count == 0)
        return RESULT_OK;
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_rows_encode(repair->reader->store->catalog, &message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(repair->job, MESSAGE_ROWS, buffer_bytes(&body), REPAIR_LEVEL,
                              repair->reader->dictionary, problem);
    buffer_done(&body);
    return result;
}

static enum result send_repair(struct repair *repair, struct problem *problem)
{
    size_t size = 0;
    int first = 0;
    enum result result = RESULT_OK;

    for (int part = 0; part < REPAIR_PARTS && result == RESULT_OK; part++) {
        if (part > first && size + repair->sizes[part] > FEED_PAGE_BYTES) {
            result = send_parts(repair, first, part - 1, problem);
            first = part;
            size = 0;
        }
        size += repair->sizes[part];
    }
    if (result == RESULT_OK)
        result = send_parts(repair, first, REPAIR_PARTS - 1, problem);
    return result;
}

enum result digest_repair(const struct feed_reader *reader, struct job *job,
                          struct problem *problem)
{
    struct message_repair asked = {0};
    struct repair repair = {.reader = reader, .job = job};
    bool is_theirs = false;
    enum result result = RESULT_OK;

    job->result = message_repair_decode(job->body, &job->arena, &asked, &job->problem);
    if (job->result != RESULT_OK || reader->wire != reader->store->catalog)
        return RESULT_OK;
    arena_reset(reader->arena);
    repair.bucket = asked.bucket;
    for (size_t i = 0; i < asked.part_count; i++)
        repair.is_wanted[asked.parts[i]] = true;
    result = is_subscribed(reader, job, asked.bucket, &is_theirs, problem);
    if (result != RESULT_OK || !is_theirs || asked.part_count == 0)
        return result;
    result = collect_rows(&repair, problem);
    if (result == RESULT_OK)
        result = send_repair(&repair, problem);
    if (result == RESULT_OK)
        trace_line(reader->trace, "server > replica %" PRId64 ": %zu rows repaired",
                   job->replica_no, repair.count);
    return result;
}

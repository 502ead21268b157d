/* SPDX-License-Identifier: Apache-2.0 */
/* SNAPSHOT: the rows of several buckets in one list, ordered by table and inside a table by bucket,
 * so that columns are long and compress well. */
#include "protocol/message_lists.h"
#include "protocol/messages.h"
#include "protocol/rows.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELD_COUNT = 3,  /* parts, counts, rows */
    PART_NUMBERS = 5, /* bucket, seq_to, is_complete, page_table_no, page_seq */
    COUNTS_MAX = SNAPSHOT_PARTS_MAX * CATALOG_TABLES_MAX,
};

static_assert((int)COUNTS_MAX <= (int)LIMIT_ROWS_MAX, "PROTOCOL.md names the larger one");

/* ---- writing ---- */

static enum result check_part(const struct message_rows *part, int64_t before,
                              struct problem *problem)
{
    if (part->bucket <= before || part->seq_after != 0 || part->seq_to < 0 || part->is_repair ||
        part->page_table_no < 0 || part->page_table_no > UINT16_MAX || part->page_seq < 0)
        return problem_set(problem, RESULT_REFUSED,
                           "SNAPSHOT: bucket %" PRId64 " after %" PRId64
                           " isn't a page of a reading from nothing",
                           part->bucket, before);
    for (size_t i = 1; i < part->row_count; i++)
        if (part->rows[i].table_no < part->rows[i - 1].table_no)
            return problem_set(problem, RESULT_REFUSED,
                               "SNAPSHOT: tables of bucket %" PRId64 " don't ascend", part->bucket);
    return RESULT_OK;
}

static enum result check_parts(const struct message_snapshot *message, struct problem *problem)
{
    int64_t before = 0;
    enum result result = RESULT_OK;

    if (message->part_count == 0 || message->part_count > SNAPSHOT_PARTS_MAX)
        return problem_set(problem, RESULT_REFUSED, "SNAPSHOT: %zu buckets, 1 to %d",
                           message->part_count, SNAPSHOT_PARTS_MAX);
    for (size_t i = 0; i < message->part_count && result == RESULT_OK; i++) {
        result = check_part(&message->parts[i], before, problem);
        before = message->parts[i].bucket;
    }
    return result;
}

static void write_parts(const struct message_snapshot *message, struct writer *writer)
{
    int64_t before = 0;

    writer_array(writer, message->part_count * PART_NUMBERS);
    for (size_t i = 0; i < message->part_count; i++) {
        const struct message_rows *part = &message->parts[i];

        writer_int64(writer, part->bucket - before);
        writer_int64(writer, part->seq_to);
        writer_bool(writer, part->is_complete);
        writer_int64(writer, part->page_table_no);
        writer_int64(writer, part->page_seq);
        before = part->bucket;
    }
}

/* All rows by table, and how many of each table each bucket has. */
struct merged {
    struct row_image *rows;
    size_t row_count;
    size_t *counts; /* of table 0: part 0, part 1, ..., then of table 1 */
    size_t count;
};

static uint16_t next_table(const struct message_snapshot *message, const size_t *taken)
{
    uint16_t table_no = 0;

    for (size_t i = 0; i < message->part_count; i++) {
        const struct message_rows *part = &message->parts[i];

        if (taken[i] < part->row_count &&
            (table_no == 0 || part->rows[taken[i]].table_no < table_no))
            table_no = part->rows[taken[i]].table_no;
    }
    return table_no;
}

static void take_table(const struct message_snapshot *message, uint16_t table_no, size_t *taken,
                       struct merged *merged)
{
    for (size_t i = 0; i < message->part_count; i++) {
        const struct message_rows *part = &message->parts[i];
        size_t from = taken[i];

        while (taken[i] < part->row_count && part->rows[taken[i]].table_no == table_no)
            merged->rows[merged->row_count++] = part->rows[taken[i]++];
        merged->counts[merged->count++] = taken[i] - from;
    }
}

/* Takes heap memory: see encode. */
static enum result merge(const struct message_snapshot *message, struct merged *merged,
                         struct problem *problem)
{
    size_t taken[SNAPSHOT_PARTS_MAX] = {0};
    size_t total = 0;

    for (size_t i = 0; i < message->part_count; i++)
        total += message->parts[i].row_count;
    merged->rows = calloc(total + 1, sizeof *merged->rows);
    merged->counts = calloc(COUNTS_MAX, sizeof *merged->counts);
    if (merged->rows == NULL || merged->counts == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "SNAPSHOT: no memory for %zu rows", total);
    while (merged->row_count < total && merged->count + message->part_count <= COUNTS_MAX)
        take_table(message, next_table(message, taken), taken, merged);
    return RESULT_OK;
}

static enum result write_merged(const struct catalog *catalog,
                                const struct message_snapshot *message, const struct merged *merged,
                                struct buffer *body, struct problem *problem)
{
    struct writer writer;
    enum result result;

    writer_init(&writer, body);
    writer_array(&writer, FIELD_COUNT);
    write_parts(message, &writer);
    writer_array(&writer, merged->count);
    for (size_t i = 0; i < merged->count; i++)
        writer_int64(&writer, (int64_t)merged->counts[i]);
    result = rows_write(catalog, merged->rows, merged->row_count, &writer, problem);
    if (result == RESULT_OK)
        result = writer_finish(&writer, problem);
    if (result != RESULT_OK)
        problem_add(problem, "SNAPSHOT");
    return result;
}

enum result message_snapshot_encode(const struct catalog *catalog,
                                    const struct message_snapshot *message, struct buffer *body,
                                    struct problem *problem)
{
    struct merged merged = {0};
    enum result result = check_parts(message, problem);

    if (result == RESULT_OK)
        result = merge(message, &merged, problem);
    if (result == RESULT_OK)
        result = write_merged(catalog, message, &merged, body, problem);
    free(merged.rows);
    free(merged.counts);
    return result;
}

/* ---- reading ---- */

static enum result read_parts(struct reader *reader, struct arena *arena,
                              struct message_snapshot *message, struct problem *problem)
{
    size_t count = reader_array(reader, PART_NUMBERS * (size_t)SNAPSHOT_PARTS_MAX);
    int64_t before = 0;

    if (count == 0 || count % PART_NUMBERS != 0)
        reader_fail(reader, "no bucket, or half of one");
    if (reader_failed(reader))
        return RESULT_OK;
    message->part_count = count / PART_NUMBERS;
    message->parts = arena_array(arena, message->part_count, sizeof *message->parts);
    if (message->parts == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < message->part_count; i++) {
        struct message_rows *part = &message->parts[i];

        *part = (struct message_rows){.bucket = bucket_read(reader, before)};
        part->seq_to = reader_int64(reader, 0, INT64_MAX);
        part->is_complete = reader_bool(reader);
        part->page_table_no = reader_int64(reader, 0, UINT16_MAX);
        part->page_seq = reader_int64(reader, 0, INT64_MAX);
        before = part->bucket;
    }
    return RESULT_OK;
}

static enum result read_counts(struct reader *reader, struct arena *arena, struct merged *merged,
                               struct problem *problem)
{
    merged->count = reader_array(reader, COUNTS_MAX);
    merged->counts = arena_array(arena, merged->count + 1, sizeof *merged->counts);
    if (merged->counts == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < merged->count; i++)
        merged->counts[i] = (size_t)reader_int64(reader, 0, LIMIT_ROWS_MAX);
    return RESULT_OK;
}

/* How many rows each part has. False: the counts aren't those of the rows. */
static bool count_rows(const struct merged *merged, struct message_snapshot *message)
{
    size_t row = 0;

    if (merged->count % message->part_count != 0)
        return false;
    for (size_t i = 0; i < merged->count; i += message->part_count) {
        size_t first = row;

        for (size_t p = 0; p < message->part_count; p++) {
            size_t count = merged->counts[i + p];

            if (count > merged->row_count - row)
                return false;
            message->parts[p].row_count += count;
            row += count;
        }
        if (row == first || merged->rows[first].table_no != merged->rows[row - 1].table_no ||
            (first > 0 && merged->rows[first - 1].table_no == merged->rows[first].table_no))
            return false;
    }
    return row == merged->row_count;
}

static enum result share_out(const struct merged *merged, struct arena *arena,
                             struct message_snapshot *message, struct problem *problem)
{
    struct row_image *rows = arena_array(arena, merged->row_count + 1, sizeof *rows);
    const struct row_image *next = merged->rows;

    if (rows == NULL)
        return arena_full(arena, problem);
    for (size_t p = 0; p < message->part_count; p++) {
        message->parts[p].rows = rows;
        rows += message->parts[p].row_count;
        message->parts[p].row_count = 0;
    }
    for (size_t i = 0; i < merged->count; i++) {
        struct message_rows *part = &message->parts[i % message->part_count];

        if (merged->counts[i] > 0)
            memcpy(part->rows + part->row_count, next, merged->counts[i] * sizeof *next);
        part->row_count += merged->counts[i];
        next += merged->counts[i];
    }
    return RESULT_OK;
}

enum result message_snapshot_decode(const struct catalog *catalog, struct bytes body,
                                    struct arena *arena, struct message_snapshot *ret_message,
                                    struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_snapshot message = {0};
    struct merged merged = {0};
    enum result result = RESULT_OK;

    (void)reader_record(&reader, FIELD_COUNT, FIELD_COUNT);
    result = read_parts(&reader, arena, &message, problem);
    if (result == RESULT_OK)
        result = read_counts(&reader, arena, &merged, problem);
    if (result == RESULT_OK)
        result = rows_read(catalog, &reader, arena, &merged.rows, &merged.row_count, problem);
    if (result == RESULT_OK && !reader_failed(&reader) && !count_rows(&merged, &message))
        reader_fail(&reader, "the counts of the buckets aren't those of the rows");
    if (result == RESULT_OK)
        result = reader_finish(&reader, problem);
    if (result == RESULT_OK)
        result = share_out(&merged, arena, &message, problem);
    if (result != RESULT_OK)
        problem_add(problem, "SNAPSHOT");
    else
        *ret_message = message;
    return result;
}

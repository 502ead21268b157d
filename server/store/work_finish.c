/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "schema/canonical.h"
#include "server/store/work_inside.h"

#include <assert.h>
#include <string.h>

static_assert((int)DIGEST_SIZE == (int)ROW_HASH_SIZE, "a digest is a sum of row hashes");

/* One bucket's sums while the books are closed. */
struct bucket_sum {
    struct touched_bucket touched;
    uint8_t digest[DIGEST_SIZE]; /* to be added */
    int64_t row_count_change;
};

struct closing {
    struct lookup by_bucket; /* (0, bucket) -> struct bucket_sum */
    struct lookup heads;     /* (bucket, table) -> struct book_entry with the newest seq */
    struct work_list sums;
    struct work_list head_entries;
};

static enum result sum_of(struct work *work, struct closing *closing, int64_t bucket,
                          struct bucket_sum **ret_sum, struct problem *problem)
{
    struct bucket_sum *sum = lookup_find(&closing->by_bucket, 0, bucket);
    enum result result;

    if (sum == NULL) {
        sum = arena_alloc(&work->arena, sizeof *sum);
        if (sum == NULL)
            return arena_full(&work->arena, problem);
        sum->touched.bucket = bucket;
        result = lookup_put(&closing->by_bucket, 0, bucket, sum, problem);
        if (result == RESULT_OK)
            result = work_list_add(work, &closing->sums, sum, problem);
        if (result != RESULT_OK)
            return result;
    }
    *ret_sum = sum;
    return RESULT_OK;
}

static enum result add_entry(struct work *work, struct closing *closing,
                             const struct book_entry *entry, struct problem *problem)
{
    struct bucket_sum *sum = NULL;
    struct book_entry *head = lookup_find(&closing->heads, entry->bucket, entry->table_no);
    enum result result = sum_of(work, closing, entry->bucket, &sum, problem);

    if (result != RESULT_OK)
        return result;
    if (sum->touched.seq == 0)
        sum->touched.only_replica_no = entry->replica_no;
    else if (sum->touched.only_replica_no != entry->replica_no)
        sum->touched.only_replica_no = WORK_MIXED;
    if (entry->seq > sum->touched.seq)
        sum->touched.seq = entry->seq;
    sum->row_count_change += entry->row_count_change;
    if (entry->has_old_hash)
        digest_subtract(sum->digest, entry->old_hash);
    if (entry->has_new_hash)
        digest_add(sum->digest, entry->new_hash);
    if (head == NULL) {
        head = arena_alloc(&work->arena, sizeof *head);
        if (head == NULL)
            return arena_full(&work->arena, problem);
        *head = *entry;
        result = lookup_put(&closing->heads, entry->bucket, entry->table_no, head, problem);
        if (result == RESULT_OK)
            result = work_list_add(work, &closing->head_entries, head, problem);
    } else if (entry->seq > head->seq) {
        head->seq = entry->seq;
    }
    return result;
}

/* Lines of three parameters into a table of the books, BATCH of them with one statement. */
enum { LINE_SIZE = 3, BATCH = 8 };
#define LINES_1 " VALUES(?1,?2,?3)"
#define LINES_8                                                                                    \
    " VALUES(?1,?2,?3),(?4,?5,?6),(?7,?8,?9),(?10,?11,?12),(?13,?14,?15),(?16,?17,?18),"           \
    "(?19,?20,?21),(?22,?23,?24)"

struct book_table {
    const char *insert_one;
    const char *insert_batch;
};

#define HEADS       "INSERT INTO fs_head(bucket, table_no, seq)"
#define HEADS_AGAIN " ON CONFLICT(bucket, table_no) DO UPDATE SET seq=excluded.seq"
static const struct book_table HEAD_TABLE = {HEADS LINES_1 HEADS_AGAIN, HEADS LINES_8 HEADS_AGAIN};

#define BUCKETS "INSERT INTO fs_bucket(bucket, digest, row_count)"
#define BUCKETS_AGAIN                                                                              \
    " ON CONFLICT(bucket) DO UPDATE SET digest=excluded.digest,"                                   \
    " row_count=fs_bucket.row_count+excluded.row_count"
static const struct book_table BUCKET_TABLE = {BUCKETS LINES_1 BUCKETS_AGAIN,
                                               BUCKETS LINES_8 BUCKETS_AGAIN};

static enum result write_lines(struct work *work, const struct book_table *table,
                               const struct value *parameters, size_t count,
                               struct problem *problem)
{
    size_t batches = count / BATCH;
    size_t left = count % BATCH;
    enum result result = RESULT_OK;

    if (batches > 0)
        result = store_execute(work->store, table->insert_batch, parameters, BATCH * LINE_SIZE,
                               batches, NULL, problem);
    if (left > 0 && result == RESULT_OK)
        result =
            store_execute(work->store, table->insert_one, parameters + batches * BATCH * LINE_SIZE,
                          LINE_SIZE, left, NULL, problem);
    return result;
}

static enum result write_heads(struct work *work, const struct closing *closing,
                               struct problem *problem)
{
    size_t count = closing->head_entries.count;
    struct value *parameters = arena_array(&work->arena, count * LINE_SIZE, sizeof *parameters);

    if (parameters == NULL)
        return arena_full(&work->arena, problem);
    for (size_t i = 0; i < count; i++) {
        const struct book_entry *head = closing->head_entries.items[i];

        parameters[LINE_SIZE * i] = value_integer(head->bucket);
        parameters[LINE_SIZE * i + 1] = value_integer(head->table_no);
        parameters[LINE_SIZE * i + 2] = value_integer(head->seq);
    }
    return write_lines(work, &HEAD_TABLE, parameters, count, problem);
}

/* What the bucket's line will be. */
static enum result add_known(struct work *work, struct bucket_sum *sum, struct value *line,
                             struct problem *problem)
{
    const struct value bucket = value_integer(sum->touched.bucket);
    struct store_result known = {0};
    struct bytes digest;
    enum result result = store_query(work->store,
                                     "SELECT (SELECT max(seq) FROM fs_head WHERE bucket=?1),"
                                     " (SELECT digest FROM fs_bucket WHERE bucket=?1)",
                                     &bucket, 1, &work->arena, &known, problem);

    if (result != RESULT_OK)
        return result;
    sum->touched.seq_before = store_integer_at(&known, 0, 0, 0);
    digest = store_bytes_at(&known, 0, 1);
    if (digest.size == DIGEST_SIZE)
        digest_add(sum->digest, digest.data);
    line[0] = bucket;
    line[1] = value_blob(bytes_of(sum->digest, DIGEST_SIZE));
    line[2] = value_integer(sum->row_count_change);
    return RESULT_OK;
}

static enum result write_sums(struct work *work, const struct closing *closing,
                              struct problem *problem)
{
    size_t count = closing->sums.count;
    struct value *lines = arena_array(&work->arena, count * LINE_SIZE, sizeof *lines);
    enum result result = RESULT_OK;

    if (lines == NULL)
        return arena_full(&work->arena, problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++)
        result = add_known(work, closing->sums.items[i], lines + LINE_SIZE * i, problem);
    return result == RESULT_OK ? write_lines(work, &BUCKET_TABLE, lines, count, problem) : result;
}

static enum result close_books(struct work *work, struct closing *closing, struct problem *problem)
{
    enum result result = RESULT_OK;

    lookup_init(&closing->by_bucket, &work->arena);
    lookup_init(&closing->heads, &work->arena);
    for (size_t i = 0; i < work->books.count && result == RESULT_OK; i++)
        result = add_entry(work, closing, work->books.items[i], problem);
    if (result == RESULT_OK)
        result = write_sums(work, closing, problem);
    if (result == RESULT_OK && closing->head_entries.count > 0)
        result = write_heads(work, closing, problem);
    return result;
}

/* Ids given by this work must never be given again: the newest line of fs_outbox says how far. */
static enum result write_counters(struct work *work, struct problem *problem)
{
    struct value parameter = value_integer(work->seq);
    enum result result = RESULT_OK;

    if (work->seq != work->seq_begin)
        result = store_execute(
            work->store, "UPDATE fs_state SET number=?1 WHERE name IN ('seq','published_seq')",
            &parameter, 1, 1, NULL, problem);
    if (result != RESULT_OK || work->id_counter == work->id_counter_begin)
        return result;
    parameter = value_integer(work->id_counter);
    result = store_execute(work->store,
                           "INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, edited_at, base_seq)"
                           " VALUES(?1,0,0,'-',0,0,0)",
                           &parameter, 1, 1, NULL, problem);
    if (result == RESULT_OK)
        result = store_execute(work->store, "DELETE FROM fs_outbox WHERE op='-' AND lcn<?1",
                               &parameter, 1, 1, NULL, problem);
    return result;
}

/* Users that a changed row concerns now; those it concerned before were noted at the change. */
static enum result find_users(struct work *work, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < work->watched.count && result == RESULT_OK; i++)
        result = work_add_users(work, work->watched.items[i], problem);
    return result;
}

static enum result tell_outcome(struct work *work, const struct closing *closing,
                                struct work_outcome *ret_outcome, struct problem *problem)
{
    size_t touched_count = closing->sums.count;
    size_t user_count = work->user_ids.count;
    struct touched_bucket *touched = arena_array(&work->arena, touched_count, sizeof *touched);
    int64_t *users = arena_array(&work->arena, user_count, sizeof *users);

    if (touched == NULL || users == NULL)
        return arena_full(&work->arena, problem);
    for (size_t i = 0; i < touched_count; i++)
        touched[i] = ((const struct bucket_sum *)closing->sums.items[i])->touched;
    for (size_t i = 0; i < user_count; i++)
        users[i] = *(const int64_t *)work->user_ids.items[i];
    *ret_outcome = (struct work_outcome){.seq = work->seq,
                                         .touched_count = touched_count,
                                         .touched = touched,
                                         .user_count = user_count,
                                         .users = users};
    return RESULT_OK;
}

enum result work_finish(struct work *work, struct work_outcome *ret_outcome,
                        struct problem *problem)
{
    struct closing closing = {0};
    enum result result;

    invariant(!work->has_savepoint);
    result = work_settle(work, problem);
    if (result == RESULT_OK)
        result = work_flush(work, problem);
    if (result == RESULT_OK)
        result = find_users(work, problem);
    if (result == RESULT_OK)
        result = close_books(work, &closing, problem);
    if (result == RESULT_OK)
        result = write_counters(work, problem);
    if (result == RESULT_OK)
        result = tell_outcome(work, &closing, ret_outcome, problem);
    return result;
}

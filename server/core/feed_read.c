/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/feed_read.h"

#include "base/invariant.h"
#include "server/core/feed_part.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADS_BY_SEQ_MAX = 1000
}; /* so many seqs behind, one look at the index of seqs is cheaper */

/* A job while it runs: the feed as it will be, and what is sent. */
struct feed_round {
    const struct feed_reader *reader;
    struct job *job;
    struct feed next;
    int64_t *row_counts; /* of the buckets, -1: not known yet */
    size_t head_count;
    struct feed_head *heads; /* of all buckets, ascending by bucket and table */
    size_t sent;             /* bytes of frames */
    size_t half_done;        /* no bucket before it is half done */
    size_t unbegun;          /* no bucket before it waits to be begun */
    bool has_paged;          /* some bucket, since the last publication */
    bool are_heads_known;    /* those of all buckets: only the final group needs them */
    bool is_scope_changed;
};

/* ---- what there is ---- */

/* A first sync takes hundreds of rounds at one head, which has one subscription (master.c): it is
 * not read again in each. */
static enum result keep_subscription(struct feed_round *round, struct problem *problem)
{
    size_t count = round->next.count;

    round->next.buckets = arena_array(round->reader->arena, count, sizeof *round->next.buckets);
    if (round->next.buckets == NULL)
        return arena_full(round->reader->arena, problem);
    memcpy(round->next.buckets, round->job->feed->buckets, count * sizeof *round->next.buckets);
    return RESULT_OK;
}

/* The feed's buckets as subscribed now; known cursors stay. */
static enum result refresh_subscription(struct feed_round *round, struct problem *problem)
{
    const struct feed *feed = round->job->feed;
    struct scope_bucket *subscribed = NULL;
    size_t count = 0;
    enum result result = RESULT_OK;

    if (feed->buckets != NULL && feed->scope_seq == round->reader->head && feed->scope_seq != 0)
        return keep_subscription(round, problem);
    result = scope_subscribed(round->reader->store, round->reader->arena, feed->user_id,
                              &subscribed, &count, problem);
    if (result != RESULT_OK)
        return result;
    round->next.scope_seq = round->reader->head;
    round->next.resting = NULL;
    round->next.buckets = arena_array(round->reader->arena, count, sizeof *round->next.buckets);
    if (round->next.buckets == NULL)
        return arena_full(round->reader->arena, problem);
    round->next.count = count;
    round->is_scope_changed = count != feed->count;
    for (size_t i = 0; i < count; i++) {
        round->next.buckets[i] = (struct feed_bucket){.bucket = subscribed[i].bucket};
        if (!feed_stands(feed, subscribed[i].bucket, &round->next.buckets[i]))
            round->is_scope_changed = true;
    }
    if (round->is_scope_changed)
        round->next.is_subscription_known = false;
    return RESULT_OK;
}

static int compare_heads(const void *left, const void *right)
{
    const struct feed_head *a = left;
    const struct feed_head *b = right;

    if (a->bucket != b->bucket)
        return a->bucket < b->bucket ? -1 : 1;
    return (a->table_no > b->table_no) - (a->table_no < b->table_no);
}

struct head_list {
    struct arena *arena;
    struct feed_head *items;
    size_t count;
    size_t capacity;
};

static enum result add_head(struct head_list *list, const struct feed_head *head,
                            struct problem *problem)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct feed_head *items = arena_array(list->arena, capacity, sizeof *items);

        if (items == NULL)
            return arena_full(list->arena, problem);
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *head;
    return RESULT_OK;
}

static const char HEADS_BY_SEQ[] = "SELECT bucket, table_no, seq FROM fs_head WHERE seq>?1"
                                   " AND seq<=?2";
static const char HEADS_BY_BUCKET[] = "SELECT bucket, table_no, seq FROM fs_head WHERE bucket=?1"
                                      " AND seq>?2";

/* Runs one query of (bucket, table_no, seq) and keeps what this feed lacks. */
static enum result find_heads(struct feed_round *round, const char *sql, int64_t first,
                              int64_t second, struct head_list *list, bool is_by_seq,
                              struct problem *problem)
{
    const struct value parameters[] = {value_integer(first), value_integer(second)};
    struct store_result found = {0};
    enum result result = store_query(round->reader->store, sql, parameters, 2, round->reader->arena,
                                     &found, problem);

    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++) {
        const struct feed_head head = {.bucket = store_integer_at(&found, i, 0, 0),
                                       .table_no = store_integer_at(&found, i, 1, 0),
                                       .seq = store_integer_at(&found, i, 2, 0)};
        const struct feed_bucket *bucket = feed_find(&round->next, head.bucket);

        if (bucket == NULL || head.seq <= bucket->seq ||
            (is_by_seq && bucket->seq < round->next.published_seq))
            continue; /* not ours, not new, or looked up by its bucket */
        result = add_head(list, &head, problem);
    }
    return result;
}

/* Which tables of which buckets have something newer than the reader has. */
static enum result read_heads(struct feed_round *round, struct problem *problem)
{
    struct head_list list = {.arena = round->reader->arena};
    int64_t base = round->next.published_seq;
    bool is_by_seq = base > 0 && round->reader->head - base <= HEADS_BY_SEQ_MAX;
    enum result result = RESULT_OK;

    if (is_by_seq)
        result = find_heads(round, HEADS_BY_SEQ, base, round->reader->head, &list, true, problem);
    for (size_t i = 0; i < round->next.count && result == RESULT_OK; i++) {
        const struct feed_bucket *bucket = &round->next.buckets[i];

        if (!is_by_seq || bucket->seq < base)
            result = find_heads(round, HEADS_BY_BUCKET, bucket->bucket, bucket->seq, &list, false,
                                problem);
    }
    if (result == RESULT_OK && list.count > 0)
        qsort(list.items, list.count, sizeof *list.items, compare_heads);
    round->heads = list.items;
    round->head_count = list.count;
    round->are_heads_known = true;
    return result;
}

/* Up to where departures have expired, of each bucket that stands below (docs/SYNC.md 4). */
static enum result read_marks(struct feed_round *round, struct problem *problem)
{
    struct value lowest = value_integer(INT64_MAX);
    struct store_result found = {0};
    enum result result = RESULT_OK;

    for (size_t i = 0; i < round->next.count; i++) {
        struct feed_bucket *bucket = &round->next.buckets[i];
        int64_t seq = bucket->seq == 0 ? bucket->page_to : bucket->seq;

        bucket->tomb_low = 0;
        if (seq > 0 && seq < lowest.integer)
            lowest.integer = seq;
    }
    result = store_query(round->reader->store,
                         "SELECT bucket, tomb_low FROM fs_bucket WHERE tomb_low > 0"
                         " AND tomb_low > ?1",
                         &lowest, 1, round->reader->arena, &found, problem);
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++) {
        struct feed_bucket *bucket = feed_find(&round->next, store_integer_at(&found, i, 0, 0));

        if (bucket != NULL)
            bucket->tomb_low = store_integer_at(&found, i, 1, 0);
    }
    return result;
}

/* The heads of one bucket: the first of them and how many. */
static size_t heads_of(const struct feed_round *round, int64_t bucket, size_t *ret_count)
{
    size_t low = 0;
    size_t high = round->head_count;
    size_t end = 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (round->heads[middle].bucket < bucket)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < round->head_count && round->heads[end].bucket == bucket;)
        end++;
    *ret_count = end - low;
    return low;
}

static enum result range_of(struct feed_round *round, size_t bucket, struct feed_range *ret_range,
                            struct problem *problem)
{
    struct feed_bucket *known = &round->next.buckets[bucket];
    struct head_list own = {.arena = round->reader->arena};
    enum result result = RESULT_OK;

    *ret_range = (struct feed_range){.reader = round->reader,
                                     .bucket = known,
                                     .replica_no = round->next.replica_no,
                                     .schema_before = round->next.schema_before};
    if (round->are_heads_known) {
        size_t first = heads_of(round, known->bucket, &ret_range->head_count);

        ret_range->heads = ret_range->head_count == 0 ? NULL : round->heads + first;
    } else {
        result =
            find_heads(round, HEADS_BY_BUCKET, known->bucket, known->seq, &own, false, problem);
        if (own.count > 0)
            qsort(own.items, own.count, sizeof *own.items, compare_heads);
        ret_range->heads = own.items;
        ret_range->head_count = own.count;
    }
    if (known->seq < round->next.echo_to)
        ret_range->replica_no = -1;
    return result;
}

static enum result row_count_of(struct feed_round *round, size_t bucket, int64_t *ret_count,
                                struct problem *problem)
{
    const struct value parameter = value_integer(round->next.buckets[bucket].bucket);
    struct store_result found = {0};
    enum result result = RESULT_OK;

    if (round->row_counts[bucket] < 0) {
        result =
            store_query(round->reader->store, "SELECT row_count FROM fs_bucket WHERE bucket=?1",
                        &parameter, 1, round->reader->arena, &found, problem);
        round->row_counts[bucket] = store_integer_at(&found, 0, 0, 0);
    }
    *ret_count = round->row_counts[bucket];
    return result;
}

/* ---- sending ---- */

static enum result send_part(struct feed_round *round, const struct feed_part *part,
                             struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < part->frame_count && result == RESULT_OK; i++)
        result = job_add_frame(round->job, shared_frame_hold(part->frames[i]), problem);
    round->sent += part->size;
    return result;
}

static enum result send_body(struct feed_round *round, enum message_type type, struct buffer *body,
                             struct problem *problem)
{
    return job_add_body(round->job, (uint8_t)type, buffer_bytes(body), 6, round->reader->dictionary,
                        problem);
}

/* The whole set; a large one goes on in further messages that only add. */
static enum result send_subscription(struct feed_round *round, struct problem *problem)
{
    int64_t *buckets = arena_array(round->reader->arena, round->next.count, sizeof *buckets);
    size_t first = 0;
    enum result result = RESULT_OK;

    if (buckets == NULL)
        return arena_full(round->reader->arena, problem);
    for (size_t i = 0; i < round->next.count; i++)
        buckets[i] = round->next.buckets[i].bucket;
    do {
        size_t left = round->next.count - first;
        const struct message_subscribed message = {
            .stamp_seq = round->reader->head,
            .is_whole = first == 0,
            .added_count = left < LIMIT_BUCKETS_MAX ? left : LIMIT_BUCKETS_MAX,
            .added = buckets + first};
        struct buffer body;

        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        result = message_subscribed_encode(&message, &body, problem);
        if (result == RESULT_OK)
            result = send_body(round, MESSAGE_SUBSCRIBED, &body, problem);
        buffer_done(&body);
        first += message.added_count;
    } while (first < round->next.count && result == RESULT_OK);
    return result;
}

static enum result send_publish(struct feed_round *round, struct problem *problem)
{
    const struct message_publish message = {.head = round->reader->head};
    struct buffer body;
    enum result result;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_publish_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = send_body(round, MESSAGE_PUBLISH, &body, problem);
    buffer_done(&body);
    return result;
}

/* ---- the final group ---- */

static void mark_published(struct feed_round *round)
{
    struct feed *next = &round->next;

    for (size_t i = 0; i < next->count; i++)
        next->buckets[i] =
            (struct feed_bucket){.bucket = next->buckets[i].bucket, .seq = round->reader->head};
    next->published_seq = round->reader->head;
    next->is_published_once = true;
    next->is_subscription_known = true;
    next->chase_count = 0;
    if (next->echo_to <= round->reader->head)
        next->echo_to = 0;
    round->job->published_seq = round->reader->head;
}

/* All tails, in order of buckets; *ret_exceeding: the bucket where they became too much. */
static enum result make_tails(struct feed_round *round, struct feed_part *parts,
                              size_t row_count_max, bool *ret_fits, size_t *ret_exceeding,
                              struct problem *problem)
{
    size_t left = row_count_max;
    enum result result = RESULT_OK;

    *ret_fits = true;
    for (size_t i = 0; i < round->next.count && *ret_fits && result == RESULT_OK; i++) {
        struct feed_range range = {0};

        result = range_of(round, i, &range, problem);
        if (result != RESULT_OK ||
            (range.head_count == 0 && range.bucket->seq > 0 && !range.bucket->needs_ids))
            continue;
        *ret_exceeding = i;
        result = feed_part_tail(&range, left, &parts[i], ret_fits, problem);
        if (result == RESULT_OK && *ret_fits)
            left -= parts[i].row_count < left ? parts[i].row_count : left;
    }
    return result;
}

static enum result send_group(struct feed_round *round, const struct feed_part *parts,
                              struct problem *problem)
{
    enum result result = RESULT_OK;

    if (!round->next.is_subscription_known)
        result = send_subscription(round, problem);
    for (size_t i = 0; i < round->next.count && result == RESULT_OK; i++)
        result = send_part(round, &parts[i], problem);
    if (result == RESULT_OK)
        result = send_publish(round, problem);
    if (result == RESULT_OK)
        mark_published(round);
    return result;
}

static enum result try_group(struct feed_round *round, bool *ret_sent, size_t *ret_exceeding,
                             struct problem *problem)
{
    struct feed_part *parts = arena_array(round->reader->arena, round->next.count, sizeof *parts);
    size_t row_count_max =
        round->next.chase_count >= FEED_CHASES_MAX ? SIZE_MAX : FEED_TAIL_ROWS_MAX;
    enum result result = RESULT_OK;

    if (parts == NULL)
        return arena_full(round->reader->arena, problem);
    if (!round->are_heads_known)
        result = read_heads(round, problem);
    if (result == RESULT_OK)
        result = make_tails(round, parts, row_count_max, ret_sent, ret_exceeding, problem);
    if (result == RESULT_OK && *ret_sent)
        result = send_group(round, parts, problem);
    for (size_t i = 0; i < round->next.count; i++)
        feed_part_done(&parts[i]);
    return result;
}

/* ---- pages ---- */

/* Where paging stands. A round pages many buckets and a first sync takes many rounds: neither may
 * ask about all buckets again. */
static void look_at_pagings(struct feed_round *round)
{
    const struct feed *next = &round->next;

    while (round->half_done < next->count && next->buckets[round->half_done].page_to == 0)
        round->half_done++;
    for (size_t i = 0; i < next->count && !round->has_paged; i++)
        round->has_paged = next->buckets[i].is_paged;
}

/* After a page of this bucket. */
static void note_paged(struct feed_round *round, size_t bucket)
{
    const struct feed *next = &round->next;

    round->has_paged = round->has_paged || next->buckets[bucket].is_paged;
    if (next->buckets[bucket].page_to != 0 && bucket < round->half_done)
        round->half_done = bucket;
    while (round->half_done < next->count && next->buckets[round->half_done].page_to == 0)
        round->half_done++;
}

/* The bucket to page: one that is half done, or the first of those not begun if together they are
 * too much for the final group, or if others were paged before. *ret_bucket = count: none. */
static enum result choose_paging(struct feed_round *round, size_t *ret_bucket,
                                 struct problem *problem)
{
    const struct feed *next = &round->next;
    int64_t limit = round->has_paged ? 0 : FEED_TAIL_ROWS_MAX;
    size_t first = next->count;
    int64_t sum = 0;
    enum result result = RESULT_OK;

    *ret_bucket = round->half_done;
    if (round->half_done < next->count)
        return RESULT_OK;
    for (size_t i = round->unbegun; i < next->count && sum <= limit && result == RESULT_OK; i++) {
        int64_t row_count = 0;

        if (next->buckets[i].seq == 0)
            result = row_count_of(round, i, &row_count, problem);
        sum += row_count;
        if (first == next->count && row_count > 0)
            first = i;
        if (first == next->count)
            round->unbegun = i + 1;
    }
    if (sum > limit)
        *ret_bucket = first;
    return result;
}

static enum result send_page(struct feed_round *round, size_t bucket, struct problem *problem)
{
    struct feed_range range = {0};
    struct feed_part part = {0};
    enum result result = range_of(round, bucket, &range, problem);

    if (result == RESULT_OK)
        result = feed_part_page(&range, &part, problem);
    if (result == RESULT_OK)
        result = send_part(round, &part, problem);
    note_paged(round, bucket);
    feed_part_done(&part);
    return result;
}

static bool is_small(const struct feed_round *round, size_t bucket)
{
    const struct feed_bucket *known = &round->next.buckets[bucket];

    return known->seq == 0 && known->page_to == 0 &&
           round->row_counts[bucket] <= FEED_SMALL_ROWS_MAX;
}

/* `bucket` and the small ones after it that aren't begun, in one message. */
static enum result send_bundle(struct feed_round *round, size_t bucket, struct problem *problem)
{
    struct feed_bundle bundle;
    struct feed_part part = {0};
    size_t first = bucket; /* the one where the final group was too much: others may lie before */
    bool is_full = false;
    enum result result = RESULT_OK;

    feed_bundle_begin(&bundle, round->reader);
    while (!is_full && bucket < round->next.count && bucket >= first && is_small(round, bucket) &&
           result == RESULT_OK) {
        struct feed_range range = {0};

        result = range_of(round, bucket, &range, problem);
        if (result == RESULT_OK)
            result = feed_bundle_add(&bundle, &range, &is_full, problem);
        note_paged(round, bucket);
        if (result == RESULT_OK && !is_full)
            result = choose_paging(round, &bucket, problem);
    }
    if (result == RESULT_OK)
        result = feed_bundle_end(&bundle, &part, problem);
    if (result == RESULT_OK)
        result = send_part(round, &part, problem);
    feed_part_done(&part);
    return result;
}

/* Pages until there is no room, or until the final group fits. */
static enum result run_round(struct feed_round *round, struct problem *problem)
{
    size_t bucket = 0;
    bool is_sent = false;
    enum result result = RESULT_OK;

    for (int pages = 0; result == RESULT_OK && !is_sent; pages++) {
        if (pages == FEED_PAGES_A_ROUND_MAX ||
            (round->sent > 0 && round->sent >= round->job->send_room)) {
            round->job->feed_has_more = true;
            return RESULT_OK;
        }
        result = choose_paging(round, &bucket, problem);
        if (result == RESULT_OK && bucket == round->next.count) {
            result = try_group(round, &is_sent, &bucket, problem);
            if (result == RESULT_OK && !is_sent)
                round->next.chase_count++;
        }
        if (result == RESULT_OK && !is_sent)
            result = is_small(round, bucket) ? send_bundle(round, bucket, problem)
                                             : send_page(round, bucket, problem);
    }
    return result;
}

enum result feed_read(const struct feed_reader *reader, struct job *job, struct problem *problem)
{
    struct feed_round round = {.reader = reader, .job = job};
    enum result result = RESULT_OK;

    invariant(job->feed != NULL);
    arena_reset(reader->arena);
    round.next = *job->feed;
    result = refresh_subscription(&round, problem);
    if (result != RESULT_OK)
        return result;
    if (reader->head == 0 || (round.next.is_published_once && round.next.is_subscription_known &&
                              round.next.published_seq == reader->head && !job->publishes))
        return RESULT_OK; /* nothing new */
    round.row_counts = arena_array(reader->arena, round.next.count, sizeof *round.row_counts);
    if (round.row_counts == NULL)
        return arena_full(reader->arena, problem);
    for (size_t i = 0; i < round.next.count; i++)
        round.row_counts[i] = -1;
    look_at_pagings(&round);
    result = read_marks(&round, problem);
    if (result == RESULT_OK)
        result = run_round(&round, problem);
    if (result == RESULT_OK)
        result = feed_assign(job->feed, &round.next, problem);
    if (result != RESULT_OK) {
        job_drop_frames(job);
        job->feed_has_more = false;
        job->published_seq = 0;
        return result;
    }
    if (job->published_seq > 0)
        trace_line(reader->trace, "server > replica %" PRId64 ": PUBLISH %" PRId64,
                   job->feed->replica_no, job->published_seq);
    return RESULT_OK;
}

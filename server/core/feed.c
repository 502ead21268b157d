/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/feed_inside.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

struct feed *feed_create(int64_t user_id, int64_t replica_no)
{
    struct feed *feed = calloc(1, sizeof *feed);

    if (feed == NULL)
        return NULL;
    feed->user_id = user_id;
    feed->replica_no = replica_no;
    return feed;
}

void feed_destroy(struct feed *feed)
{
    if (feed == NULL)
        return;
    free(feed->buckets);
    free(feed->resting);
    free(feed);
}

static int compare_numbers(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

struct feed_bucket *feed_find(const struct feed *feed, int64_t bucket)
{
    size_t low = 0;
    size_t high = feed->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (feed->buckets[middle].bucket == bucket)
            return &feed->buckets[middle];
        if (feed->buckets[middle].bucket < bucket)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool feed_stands(const struct feed *feed, int64_t bucket, struct feed_bucket *ret_bucket)
{
    const struct feed_bucket *found = NULL;

    if (feed->resting != NULL) {
        if (bsearch(&bucket, feed->resting, feed->count, sizeof bucket, compare_numbers) == NULL)
            return false;
        *ret_bucket = (struct feed_bucket){.bucket = bucket, .seq = feed->published_seq};
        return true;
    }
    found = feed_find(feed, bucket);
    if (found != NULL)
        *ret_bucket = *found;
    return found != NULL;
}

/* Is there nothing to remember of any bucket but its number? What is read anew in each round is
 * none of it. */
static bool is_at_rest(const struct feed *feed)
{
    for (size_t i = 0; i < feed->count; i++) {
        const struct feed_bucket *bucket = &feed->buckets[i];

        if (bucket->seq != feed->published_seq || bucket->seq_old != 0 || bucket->page_to != 0 ||
            bucket->is_paged || bucket->needs_ids)
            return false;
    }
    return feed->count > 0;
}

/* Without memory it stays as it is. */
static void lay_to_rest(struct feed *feed)
{
    int64_t *resting = is_at_rest(feed) ? malloc(feed->count * sizeof *resting) : NULL;

    if (resting == NULL)
        return;
    for (size_t i = 0; i < feed->count; i++)
        resting[i] = feed->buckets[i].bucket;
    free(feed->buckets);
    feed->buckets = NULL;
    feed->resting = resting;
}

enum result feed_assign(struct feed *feed, const struct feed *next, struct problem *problem)
{
    struct feed_bucket *buckets = NULL;

    invariant(next->resting == NULL);
    if (next->count > 0) {
        buckets = malloc(next->count * sizeof *buckets);
        if (buckets == NULL)
            return problem_set(problem, RESULT_EXHAUSTED, "no memory for a feed");
        memcpy(buckets, next->buckets, next->count * sizeof *buckets);
    }
    free(feed->buckets);
    free(feed->resting);
    *feed = *next;
    feed->buckets = buckets;
    lay_to_rest(feed);
    return RESULT_OK;
}

static bool is_possible(const struct bucket_cursor *cursor, int64_t head)
{
    return cursor->seq >= 0 && cursor->seq <= head && cursor->page_to <= head &&
           cursor->page_to >= cursor->seq && cursor->page_seq <= cursor->page_to &&
           cursor->page_table_no <= CATALOG_TABLES_MAX;
}

/* What the device says of one bucket; a cursor that makes no sense counts as none. */
static void take_cursor(struct feed_bucket *bucket, const struct message_resume *resume,
                        int64_t head)
{
    for (size_t i = 0; i < resume->cursor_count; i++) {
        const struct bucket_cursor *cursor = &resume->cursors[i];

        if (cursor->bucket != bucket->bucket)
            continue;
        bucket->seq = cursor->seq <= head ? cursor->seq : 0;
        bucket->is_paged = true;
        if (cursor->page_to == 0 || !is_possible(cursor, head))
            return;
        bucket->page_to = cursor->page_to;
        bucket->page_table_no = cursor->page_table_no;
        bucket->page_seq = cursor->page_seq;
        return;
    }
}

static bool holds_these(const struct message_resume *resume, const struct feed *feed)
{
    int64_t *buckets = NULL;
    uint8_t digest[8];
    bool is_same = false;

    if (resume->subscribed_digest_size != sizeof digest)
        return false;
    buckets = malloc((feed->count + 1) * sizeof *buckets);
    if (buckets == NULL)
        return false; /* SUBSCRIBED is sent whole: always right */
    for (size_t i = 0; i < feed->count; i++)
        buckets[i] = feed->buckets[i].bucket;
    subscribed_digest(buckets, feed->count, digest);
    is_same = memcmp(digest, resume->subscribed_digest, sizeof digest) == 0;
    free(buckets);
    return is_same;
}

/* The bucket goes back to before its newer columns were filled. A paging from nothing begins anew:
 * the pages that came didn't have them. */
static void set_back(struct feed_bucket *bucket, int64_t from_seq)
{
    bucket->page_to = 0;
    bucket->page_table_no = 0;
    bucket->page_seq = 0;
    if (bucket->seq <= from_seq)
        return;
    bucket->seq_old = from_seq == 0 ? 0 : bucket->seq;
    bucket->seq = from_seq;
}

enum result feed_resume(struct feed *feed, const struct message_resume *resume, bool is_epoch_same,
                        bool is_behind, int64_t head, const struct feed_catch_up *catch_up,
                        const struct scope_bucket *subscribed, size_t subscribed_count,
                        struct problem *problem)
{
    bool is_known = is_epoch_same && resume->published_seq > 0 && resume->published_seq <= head;
    struct feed_bucket *buckets = NULL;

    invariant(feed->buckets == NULL && feed->resting == NULL);
    if (subscribed_count > 0) {
        buckets = calloc(subscribed_count, sizeof *buckets);
        if (buckets == NULL)
            return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu buckets",
                               subscribed_count);
    }
    feed->buckets = buckets;
    feed->count = subscribed_count;
    feed->echo_to = is_behind ? head : 0;
    feed->published_seq = is_known ? resume->published_seq : 0;
    feed->is_published_once = is_known;
    for (size_t i = 0; i < subscribed_count; i++) {
        buckets[i].bucket = subscribed[i].bucket;
        if (is_known && subscribed[i].from_seq <= resume->published_seq)
            buckets[i].seq = resume->published_seq;
        if (is_epoch_same)
            take_cursor(&buckets[i], resume, head);
        if (catch_up != NULL && catch_up->before != 0)
            set_back(&buckets[i], catch_up->from_seq);
    }
    if (catch_up != NULL && catch_up->before != 0) {
        feed->schema_before = catch_up->before;
        feed->is_published_once = false; /* there is something to publish, even at the same head */
    }
    feed->is_subscription_known = is_known && holds_these(resume, feed);
    lay_to_rest(feed);
    return RESULT_OK;
}

bool feed_concerns(const struct feed *feed, const struct work_outcome *outcome)
{
    struct feed_bucket unused;

    for (size_t i = 0; i < outcome->touched_count; i++)
        if (feed_stands(feed, outcome->touched[i].bucket, &unused))
            return true;
    for (size_t i = 0; i < outcome->user_count; i++)
        if (outcome->users[i] == feed->user_id)
            return true;
    return false;
}

int64_t feed_published_seq(const struct feed *feed)
{
    return feed->published_seq;
}

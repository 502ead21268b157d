/* SPDX-License-Identifier: Apache-2.0 */
/* feed_inside.h: what the files of feed.h share; nobody else includes it. */
#pragma once

#include "server/core/feed.h"
#include "server/core/feed_cache.h"
#include "server/core/feed_read.h"

/* Where a reader stands in one bucket. */
struct feed_bucket {
    int64_t bucket;
    int64_t seq;     /* everything up to here was sent; 0: nothing */
    int64_t seq_old; /* up to here in the columns of feed.schema_before, 0: in all */
    int64_t page_to; /* a paging is under way up to here; 0: none */
    int64_t page_table_no;
    int64_t page_seq;
    int64_t tomb_low; /* departures up to here have expired; read anew in each round */
    bool needs_ids;   /* some that this reader lacks among them: it is told what there is instead */
    bool is_paged; /* since the last publication: rows may have changed before their page came, so
                      the rest is sent with whole rows */
};

struct feed {
    int64_t user_id;
    int64_t replica_no;
    int64_t schema_before; /* see seq_old */
    int64_t published_seq; /* head of the last PUBLISH that was sent, or that the device knows of */
    int64_t echo_to;       /* up to here it gets its own values, too; 0: nowhere */
    int64_t scope_seq;     /* the head at which its buckets were looked up; 0: never */
    bool is_subscription_known; /* the device holds exactly these buckets */
    bool is_published_once;
    size_t chase_count; /* rounds in which the tails did not fit (FEED_CHASES_MAX) */
    size_t count;
    /* One of the two, ascending, on the heap. At rest, and that is nearly always, a device stands
     * at published_seq in all of its buckets: their numbers are enough then, an eighth of the
     * memory. */
    struct feed_bucket *buckets;
    int64_t *resting;
};

/* For a feed that isn't at rest. NULL: not in it. */
struct feed_bucket *feed_find(const struct feed *feed, int64_t bucket);
/* Where it stands in the bucket, at rest or not. False: it isn't in it. */
bool feed_stands(const struct feed *feed, int64_t bucket, struct feed_bucket *ret_bucket);
/* Takes over a new state: copies the buckets to the heap. RESULT_EXHAUSTED: nothing changed. */
MUST_CHECK enum result feed_assign(struct feed *feed, const struct feed *next,
                                   struct problem *problem);

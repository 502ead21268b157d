/* SPDX-License-Identifier: Apache-2.0 */
/* feed_read.h: the next frames of a session, out of one read transaction.
 *
 * While more is missing than fits one group, bucket after bucket is paged (ROWS with is_complete
 * false until its last page). As soon as all tails together fit FEED_TAIL_ROWS_MAX rows they are
 * sent with SUBSCRIBED, if it changed, and PUBLISH, all from this one transaction (R1). A device
 * whose link is slower than its buckets change gets them whatever their size after FEED_CHASES_MAX
 * rounds. */
#pragma once

#include "base/trace.h"
#include "server/core/feed.h"
#include "server/core/feed_cache.h"

enum { FEED_CHASES_MAX = 20, FEED_PAGES_A_ROUND_MAX = 64 };

struct feed_reader {
    struct store *store;        /* inside a read transaction */
    const struct catalog *wire; /* the job's: store->catalog, or a view of it (wire.h) */
    struct feed_cache *cache;
    const struct frame_dictionary *dictionary;
    const struct trace *trace;
    struct arena *arena;   /* reset for each job */
    struct arena *scratch; /* reset for each body */
    int64_t head;
};

/* Fills the job's frames and moves its feed; when it fails the feed is as before and the job has no
 * frames. */
MUST_CHECK enum result feed_read(const struct feed_reader *reader, struct job *job,
                                 struct problem *problem);

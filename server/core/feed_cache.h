/* SPDX-License-Identifier: Apache-2.0 */
/* feed_cache.h: bodies of bucket ranges, encoded and compressed once for all who need them.
 *
 * An entry is what a reader gets who has everything of a bucket up to `seq_after` and nothing up to
 * `seq_to`. It serves every reader whose cursor is at or after seq_after and before the first
 * change in it, unless a row in it comes from that reader alone (no echo). Pages of a snapshot are
 * kept likewise, by where they begin. Belongs to one reader thread's master. */
#pragma once

#include "server/core/job.h"

enum {
    FEED_CACHE_ENTRIES_MAX = 512,
    FEED_CACHE_BYTES_MAX = 32 * 1024 * 1024,
    FEED_CACHE_AUTHORS_MAX = 8
};

struct feed_part {
    int64_t bucket;
    int64_t seq_after;
    int64_t seq_to;
    int64_t first_seq; /* of the oldest change in it */
    /* where it begins and ends inside a paging */
    int64_t page_table_no;
    int64_t page_seq;
    int64_t next_table_no;
    int64_t next_seq;
    bool is_page;
    bool is_complete;
    size_t row_count;
    size_t author_count; /* replicas of which a row comes alone; past the array: unknown ones */
    int64_t authors[FEED_CACHE_AUTHORS_MAX];
    size_t frame_count;
    struct shared_frame **frames; /* heap; the entry holds a reference to each */
    size_t size;                  /* bytes of the frames */
};

struct feed_cache;
struct feed_cache *feed_cache_create(void); /* NULL: no memory */
void feed_cache_destroy(struct feed_cache *cache);

/* NULL if there is none; valid until the next feed_cache_put. */
const struct feed_part *feed_cache_find_delta(const struct feed_cache *cache, int64_t bucket,
                                              int64_t cursor, int64_t seq_to, int64_t replica_no);
const struct feed_part *feed_cache_find_page(const struct feed_cache *cache, int64_t bucket,
                                             int64_t seq_to, int64_t page_table_no,
                                             int64_t page_seq);
/* Keeps a copy of `part`, holding its frames; forgets the oldest ones. Does nothing without memory.
 */
void feed_cache_put(struct feed_cache *cache, const struct feed_part *part);

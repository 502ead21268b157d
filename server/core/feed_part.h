/* SPDX-License-Identifier: Apache-2.0 */
/* feed_part.h: reads a range of one bucket and makes its frames; internal to feed_*.c.
 *
 * A part owns one reference to each of its frames until feed_part_done or until they are handed to
 * a job. Everything else is in the reader's scratch arena and gone with the next part. */
#pragma once

#include "server/core/feed_inside.h"

/* A table of a bucket with its newest seq (fs_head); table 0: tombstones. */
struct feed_head {
    int64_t bucket;
    int64_t table_no;
    int64_t seq;
};

/* One reader's view while a job runs. */
struct feed_range {
    const struct feed_reader *reader;
    const struct feed_head *heads; /* of this bucket, ascending by table */
    size_t head_count;
    struct feed_bucket *bucket;
    int64_t replica_no;    /* whose own values are left out; -1: nobody's */
    int64_t schema_before; /* see feed_bucket.seq_old */
};

/* All that is newer than the reader's cursor, up to the bucket's newest change, if it has at most
 * row_count_max rows and departures; otherwise *ret_fits is false and there is no part. */
MUST_CHECK enum result feed_part_tail(const struct feed_range *range, size_t row_count_max,
                                      struct feed_part *ret_part, bool *ret_fits,
                                      struct problem *problem);
/* The next page of about FEED_PAGE_BYTES; moves the cursor. */
MUST_CHECK enum result feed_part_page(const struct feed_range *range, struct feed_part *ret_part,
                                      struct problem *problem);
void feed_part_done(struct feed_part *part);

/* ---- many small buckets ---- */

enum {
    FEED_SMALL_ROWS_MAX = 500, /* a bucket of so many is read with others in one message */
    FEED_BUNDLE_BYTES = 384 * 1024,
};

/* Buckets that a reader begins from nothing, in one message: their columns are long and compress
 * well, at the price that no other reader can use the same bytes. Between begin and end the
 * reader's scratch arena is the bundle's. */
struct feed_bundle {
    const struct feed_reader *reader;
    size_t size; /* of the rows, about */
    size_t count;
    struct message_rows parts[SNAPSHOT_PARTS_MAX];
};

void feed_bundle_begin(struct feed_bundle *bundle, const struct feed_reader *reader);
/* Reads the first page of a bucket that isn't begun, and moves its cursor. *ret_is_full: nothing
 * more is to be added; if this bucket was too much for the rest, its cursor hasn't moved. */
MUST_CHECK enum result feed_bundle_add(struct feed_bundle *bundle, const struct feed_range *range,
                                       bool *ret_is_full, struct problem *problem);
MUST_CHECK enum result feed_bundle_end(struct feed_bundle *bundle, struct feed_part *ret_part,
                                       struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* contents.h: does a master's content add up? Hashes of all rows, digests of all buckets, and where
 * each row lies, worked out anew from the values. Reads only. */
#pragma once

#include "server/store/store.h"

struct contents {
    int64_t row_count;
    size_t bucket_count;
    size_t wrong; /* faults; the first hundred are in the report, a line each */
};

MUST_CHECK enum result contents_check(struct store *store, const struct catalog *catalog,
                                      struct arena *arena, struct buffer *report,
                                      struct contents *ret_contents, struct problem *problem);

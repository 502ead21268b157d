/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.h: finds a pointer by two numbers, such as (table, row id); lives and dies with an arena.
 *
 * Open addressing, no removal, grows by doubling (old tables stay in the arena until its reset).
 * Order of entries is never exposed, so nothing can depend on it. */
#pragma once

#include "base/arena.h"

struct lookup_slot {
    int64_t high;
    int64_t low;
    void *item; /* NULL: free */
};

struct lookup {
    struct arena *arena;
    struct lookup_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void lookup_init(struct lookup *lookup, struct arena *arena);
/* Room for so many more: many at once needn't grow step by step. RESULT_EXHAUSTED: nothing
 * changed. */
MUST_CHECK enum result lookup_reserve(struct lookup *lookup, size_t count, struct problem *problem);
/* NULL if there is none. */
void *lookup_find(const struct lookup *lookup, int64_t high, int64_t low);
/* Adds or replaces; item is not NULL. RESULT_EXHAUSTED: nothing changed. */
MUST_CHECK enum result lookup_put(struct lookup *lookup, int64_t high, int64_t low, void *item,
                                  struct problem *problem);

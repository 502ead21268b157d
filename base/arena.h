/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h: memory for one batch, given back whole.
 *
 * An arena is named after what ends it (step_arena, group_arena, session_arena). Memory comes
 * zeroed, aligned to 16 bytes, and lives until arena_reset or arena_done. Under AddressSanitizer
 * the unused part is poisoned. */
#pragma once

#include "base/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t size;                /* bytes given out since the last reset */
    size_t size_max;
};

void arena_init(struct arena *arena, size_t size_max);
void arena_done(struct arena *arena);
void arena_reset(struct arena *arena); /* keeps one chunk for the next batch */

/* NULL when size_max or memory is used up: the caller says RESULT_EXHAUSTED. */
MUST_CHECK void *arena_alloc(struct arena *arena, size_t size);
/* The same for `count` items; a product that overflows is refused like any too large size. */
MUST_CHECK void *arena_array(struct arena *arena, size_t count, size_t item_size);
/* A copy with a closing NUL behind it, not counted in its size. */
MUST_CHECK enum result arena_copy(struct arena *arena, struct bytes bytes, struct bytes *ret_copy,
                                  struct problem *problem);
/* A formatted, NUL-terminated text. */
MUST_CHECK const char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* For `if (x == NULL) return arena_full(arena, problem);` */
MUST_CHECK enum result arena_full(const struct arena *arena, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h: a borrowed run of bytes, and an owned one that grows up to a stated limit. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrows: whoever made it keeps the memory. Text is UTF-8 without a closing NUL. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

struct bytes bytes_of(const void *data, size_t size);
struct bytes bytes_of_text(const char *text); /* without the closing NUL */
bool bytes_equal(struct bytes a, struct bytes b);
int bytes_compare(struct bytes a, struct bytes b); /* bytewise, then shorter first */

/* Owns its memory; `size_max` bounds it for ever. Start with buffer_init. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max;
};

void buffer_init(struct buffer *buffer, size_t size_max);
void buffer_done(struct buffer *buffer);  /* frees; the buffer may be initialised again */
void buffer_reset(struct buffer *buffer); /* empty, keeps the memory */

/* RESULT_EXHAUSTED: size_max or memory; the buffer is as it was. */
MUST_CHECK enum result buffer_append(struct buffer *buffer, const void *data, size_t size,
                                     struct problem *problem);
/* Makes room for `size` more bytes and returns where they start through ret_room; the caller fills
 * them and adds what it used to buffer->size. */
MUST_CHECK enum result buffer_reserve(struct buffer *buffer, size_t size, uint8_t **ret_room,
                                      struct problem *problem);
struct bytes buffer_bytes(const struct buffer *buffer);

/* UTF-8 without NUL, surrogates, overlong forms or code points past 10FFFF (RFC 3629). */
bool bytes_are_text(struct bytes bytes);

/* Lower-case hex with a closing NUL: `ret_text` has room for 2 * size + 1. */
void bytes_to_hex(struct bytes bytes, char *ret_text);
/* Returns false unless `text` is exactly 2 * size hex digits. */
MUST_CHECK bool bytes_from_hex(const char *text, uint8_t *ret_data, size_t size);

/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h: a bounded cursor over msgpack bytes that nobody has checked yet.
 *
 * Builds no tree and allocates nothing: texts, blobs and raw values borrow from the message. After
 * its first failure a reader yields zeros and stays where it is, so a decoder reads a whole message
 * and checks once, with reader_finish, before it uses anything.
 *
 *     struct reader reader = reader_over(body);
 *     push.count = reader_record(&reader, 3, 3);
 *     push.lcn_first = reader_int64(&reader, 1, LCN_MAX);
 *     ...
 *     return reader_finish(&reader, problem);
 *
 * Format: github.com/msgpack/msgpack spec.md (2.0). Any valid encoding of an integer, text, blob or
 * array is taken, not only the shortest. Refused: maps, extensions and byte c1 (maps and extensions
 * may be skipped), integers outside int64, NaN and infinities, text that isn't UTF-8 or holds NUL,
 * depth above LIMIT_DEPTH_MAX, counts that need more bytes than are left. */
#pragma once

#include "base/bytes.h"
#include "protocol/limits.h"

enum reader_kind {
    READER_END, /* nothing left, or failed before */
    READER_NIL,
    READER_BOOL,
    READER_INT,
    READER_REAL,
    READER_TEXT,
    READER_BLOB,
    READER_ARRAY,
    READER_OTHER, /* map or extension: can only be skipped */
};

/* The members are the module's own: use the functions. */
struct reader {
    struct bytes bytes;
    size_t at;                         /* next byte to read */
    size_t open_left[LIMIT_DEPTH_MAX]; /* items still to come, per open array */
    size_t depth;                      /* open arrays that aren't complete */
    const char *failure;               /* NULL: none; else a format without arguments */
    size_t failure_at;
    int64_t failure_value; /* what was found and what was allowed, where that makes sense */
    int64_t failure_min;
    int64_t failure_max;
    bool failure_ranged;
};

struct reader reader_over(struct bytes bytes); /* `bytes` must outlive what is read */

/* Each reads one value. Wrong kind or out of its bounds (inclusive): the reader fails. */
int64_t reader_int64(struct reader *reader, int64_t min, int64_t max);
bool reader_bool(struct reader *reader);
double reader_real(struct reader *reader); /* 32 or 64 bits, finite; integers are refused */
void reader_nil(struct reader *reader);
struct bytes reader_text(struct reader *reader, size_t size_max);
struct bytes reader_blob(struct reader *reader, size_t size_max);
/* Copies a blob of exactly `size` bytes to ret_data; all zeros if the reader failed. */
void reader_fixed_blob(struct reader *reader, uint8_t *ret_data, size_t size);

/* Opens an array and returns its count, at most count_max; 0 after a failure. The items are read
 * next; an array closes by itself after its last item. */
size_t reader_array(struct reader *reader, size_t count_max);
/* The same for an array whose count says which fields are there: count_min to count_max. A decoder
 * that allows more than it knows skips the rest with reader_skip. */
size_t reader_record(struct reader *reader, size_t count_min, size_t count_max);

void reader_skip(struct reader *reader);        /* one value of any kind, with all inside it */
struct bytes reader_raw(struct reader *reader); /* the same, and returns its bytes */

enum reader_kind reader_peek_kind(const struct reader *reader);
bool reader_nil_next(const struct reader *reader); /* looks, doesn't read: see reader_nil */
size_t reader_left(const struct reader *reader);   /* bytes not yet read; 0 after a failure */
bool reader_failed(const struct reader *reader);

/* For a rule that only the decoder knows ("columns not in order"): fails at the place reached.
 * `why` lives as long as the reader; the first failure stays. */
void reader_fail(struct reader *reader, const char *why);

/* RESULT_MALFORMED  something failed, or bytes or items are left: use nothing of what was read, the
 *                   problem says what, at which byte, and the limit */
MUST_CHECK enum result reader_finish(struct reader *reader, struct problem *problem);

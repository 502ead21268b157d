/* SPDX-License-Identifier: Apache-2.0 */
/* writer.h: packs msgpack into a buffer, for what reader.h reads.
 *
 * After its first failure a writer does nothing more, so an encoder writes a whole message and
 * checks once, with writer_finish. Always the shortest encoding; floats have 64 bits, so that the
 * same values give the same bytes everywhere. Owns nothing but its place in the buffer, and must
 * not be copied or moved while it is in use. */
#pragma once

#include "base/bytes.h"

#include <msgpack/pack.h>

/* The members are the module's own: use the functions. */
struct writer {
    struct buffer *buffer;
    size_t buffer_before; /* its size at writer_init */
    enum result result;
    msgpack_packer packer;
    struct problem problem;
};

void writer_init(struct writer *writer, struct buffer *buffer); /* appends to `buffer` */

void writer_array(struct writer *writer, size_t count); /* `count` values follow */
void writer_nil(struct writer *writer);
void writer_bool(struct writer *writer, bool value);
void writer_int64(struct writer *writer, int64_t value);
void writer_real(struct writer *writer, double value);      /* finite */
void writer_text(struct writer *writer, struct bytes text); /* UTF-8 without NUL */
void writer_blob(struct writer *writer, struct bytes blob);
void writer_raw(struct writer *writer, struct bytes packed); /* msgpack already, taken as it is */

size_t writer_size(const struct writer *writer); /* bytes written so far; 0 after a failure */

/* On every failure the buffer is as it was at writer_init.
 *
 * RESULT_EXHAUSTED  the buffer's limit or memory: send less
 * RESULT_REFUSED    NaN, an infinity or a text that no reader would take: the value can't be sent
 */
MUST_CHECK enum result writer_finish(struct writer *writer, struct problem *problem);

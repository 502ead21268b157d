/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/writer.h"

#include "base/invariant.h"

#include <math.h>

/* What msgpack-c calls with each piece; it knows only 0 and not 0. */
static int append(void *context, const char *data, size_t size)
{
    struct writer *writer = context;

    if (writer->result == RESULT_OK)
        writer->result = buffer_append(writer->buffer, data, size, &writer->problem);
    return writer->result == RESULT_OK ? 0 : -1;
}

void writer_init(struct writer *writer, struct buffer *buffer)
{
    *writer = (struct writer){.buffer = buffer, .buffer_before = buffer->size};
    msgpack_packer_init(&writer->packer, writer, append);
}

/* The answers of msgpack-c are not looked at: `append` keeps the only failure there is. */
void writer_array(struct writer *writer, size_t count)
{
    if (writer->result != RESULT_OK)
        return;
    if (count > UINT32_MAX)
        writer->result = problem_set(&writer->problem, RESULT_REFUSED, "array of %zu items", count);
    else
        (void)msgpack_pack_array(&writer->packer, count);
}

void writer_nil(struct writer *writer)
{
    if (writer->result == RESULT_OK)
        (void)msgpack_pack_nil(&writer->packer);
}

void writer_bool(struct writer *writer, bool value)
{
    if (writer->result != RESULT_OK)
        return;
    if (value)
        (void)msgpack_pack_true(&writer->packer);
    else
        (void)msgpack_pack_false(&writer->packer);
}

void writer_int64(struct writer *writer, int64_t value)
{
    if (writer->result == RESULT_OK)
        (void)msgpack_pack_int64(&writer->packer, value);
}

void writer_real(struct writer *writer, double value)
{
    if (writer->result != RESULT_OK)
        return;
    if (!isfinite(value))
        writer->result = problem_set(&writer->problem, RESULT_REFUSED, "NaN or infinity");
    else
        (void)msgpack_pack_double(&writer->packer, value);
}

static bool is_too_long(struct writer *writer, size_t size)
{
    if (size > UINT32_MAX)
        writer->result =
            problem_set(&writer->problem, RESULT_REFUSED, "text or blob of %zu bytes", size);
    return size > UINT32_MAX;
}

void writer_text(struct writer *writer, struct bytes text)
{
    if (writer->result != RESULT_OK || is_too_long(writer, text.size))
        return;
    if (!bytes_are_text(text)) {
        writer->result = problem_set(&writer->problem, RESULT_REFUSED,
                                     "text of %zu bytes is not UTF-8 or holds NUL", text.size);
        return;
    }
    (void)msgpack_pack_str(&writer->packer, text.size);
    if (text.size > 0)
        (void)append(writer, (const char *)text.data, text.size);
}

void writer_blob(struct writer *writer, struct bytes blob)
{
    if (writer->result != RESULT_OK || is_too_long(writer, blob.size))
        return;
    (void)msgpack_pack_bin(&writer->packer, blob.size);
    if (blob.size > 0)
        (void)append(writer, (const char *)blob.data, blob.size);
}

void writer_raw(struct writer *writer, struct bytes packed)
{
    if (packed.size > 0)
        (void)append(writer, (const char *)packed.data, packed.size);
}

size_t writer_size(const struct writer *writer)
{
    return writer->result == RESULT_OK ? writer->buffer->size - writer->buffer_before : 0;
}

enum result writer_finish(struct writer *writer, struct problem *problem)
{
    invariant(writer->buffer->size >= writer->buffer_before);
    if (writer->result != RESULT_OK) {
        writer->buffer->size = writer->buffer_before;
        *problem = writer->problem;
    }
    return writer->result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/hello.h"

#include "protocol/limits.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

#include <assert.h>

enum { FIELD_COUNT = 9 }; /* and one more if the root key was changed */

static_assert(sizeof(struct identity_root_change) == IDENTITY_KEY_SIZE + IDENTITY_SIGNATURE_SIZE,
              "it travels as it is");

static const char MAGIC[] = "FSY";

enum result hello_encode(const struct hello *hello, struct buffer *buffer, struct problem *problem)
{
    struct writer writer;

    writer_init(&writer, buffer);
    writer_array(&writer, FIELD_COUNT + (hello->has_root_change ? 1u : 0u));
    writer_text(&writer, bytes_of_text(MAGIC));
    writer_int64(&writer, hello->version_min);
    writer_int64(&writer, hello->version_max);
    writer_int64(&writer, hello->server_ms);
    writer_blob(&writer, bytes_of(hello->public_key, sizeof hello->public_key));
    writer_int64(&writer, hello->key_serial);
    writer_blob(&writer, bytes_of(hello->signature, sizeof hello->signature));
    writer_int64(&writer, hello->retry_after_ms);
    writer_int64(&writer, hello->message_size_max);
    if (hello->has_root_change)
        writer_blob(&writer, bytes_of(&hello->root_change, sizeof hello->root_change));
    return writer_finish(&writer, problem);
}

enum result hello_decode(struct bytes message, struct hello *ret_hello, struct problem *problem)
{
    struct reader reader = reader_over(message);
    struct hello hello = {0};
    struct bytes magic;
    enum result result;

    if (message.size > LIMIT_HELLO_SIZE_MAX)
        return problem_set(problem, RESULT_MALFORMED, "HELLO of %zu bytes, limit %d", message.size,
                           LIMIT_HELLO_SIZE_MAX);
    hello.has_root_change = reader_record(&reader, FIELD_COUNT, FIELD_COUNT + 1) > FIELD_COUNT;
    magic = reader_text(&reader, sizeof MAGIC - 1);
    if (!bytes_equal(magic, bytes_of_text(MAGIC)))
        reader_fail(&reader, "doesn't begin with FSY");
    hello.version_min = reader_int64(&reader, 1, UINT8_MAX);
    hello.version_max = reader_int64(&reader, 1, UINT8_MAX);
    hello.server_ms = reader_int64(&reader, 0, LIMIT_TIME_MS_MAX);
    reader_fixed_blob(&reader, hello.public_key, sizeof hello.public_key);
    hello.key_serial = reader_int64(&reader, 0, LIMIT_SERIAL_MAX);
    reader_fixed_blob(&reader, hello.signature, sizeof hello.signature);
    hello.retry_after_ms = reader_int64(&reader, 0, LIMIT_RETRY_AFTER_MS_MAX);
    hello.message_size_max = reader_int64(&reader, LIMIT_MESSAGE_OFFER_MIN, LIMIT_MESSAGE_SIZE_MAX);
    if (hello.has_root_change)
        reader_fixed_blob(&reader, (uint8_t *)&hello.root_change, sizeof hello.root_change);
    result = reader_finish(&reader, problem);
    if (result != RESULT_OK)
        problem_add(problem, "HELLO");
    else if (hello.version_min > hello.version_max)
        result = problem_set(problem, RESULT_MALFORMED, "HELLO: versions in wrong order");
    if (result == RESULT_OK)
        *ret_hello = hello;
    return result;
}

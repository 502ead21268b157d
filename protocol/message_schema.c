/* SPDX-License-Identifier: Apache-2.0 */
/* SCHEMA: [schema_version, is_last, [name, text, name, text, ...]]. */
#include "protocol/limits.h"
#include "protocol/messages.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

enum { FIELD_COUNT = 3 };

enum result message_schema_encode(const struct message_schema *message, struct buffer *body,
                                  struct problem *problem)
{
    struct writer writer;
    enum result result = RESULT_OK;

    if (message->script_count > LIMIT_SCRIPTS_MAX)
        return problem_set(problem, RESULT_REFUSED, "SCHEMA: %zu scripts, at most %d",
                           message->script_count, LIMIT_SCRIPTS_MAX);
    writer_init(&writer, body);
    writer_array(&writer, FIELD_COUNT);
    writer_int64(&writer, message->schema_version);
    writer_bool(&writer, message->is_last);
    writer_array(&writer, 2 * message->script_count);
    for (size_t i = 0; i < message->script_count; i++) {
        writer_text(&writer, message->scripts[i].name);
        writer_text(&writer, message->scripts[i].text);
    }
    result = writer_finish(&writer, problem);
    if (result != RESULT_OK)
        problem_add(problem, "SCHEMA");
    return result;
}

enum result message_schema_decode(struct bytes body, struct arena *arena,
                                  struct message_schema *ret_message, struct problem *problem)
{
    struct reader reader = reader_over(body);
    struct message_schema message = {0};
    size_t count = 0;
    enum result result = RESULT_OK;

    (void)reader_record(&reader, FIELD_COUNT, FIELD_COUNT);
    message.schema_version = reader_int64(&reader, 0, INT64_MAX);
    message.is_last = reader_bool(&reader);
    count = reader_array(&reader, (size_t)2 * LIMIT_SCRIPTS_MAX);
    if (count % 2 != 0)
        reader_fail(&reader, "a script is a name and a text");
    if (!reader_failed(&reader)) {
        message.script_count = count / 2;
        message.scripts = arena_array(arena, count / 2 + 1, sizeof *message.scripts);
        if (message.scripts == NULL)
            return arena_full(arena, problem);
    }
    for (size_t i = 0; i < message.script_count && !reader_failed(&reader); i++) {
        message.scripts[i].name = reader_text(&reader, LIMIT_NAME_SIZE_MAX);
        message.scripts[i].text = reader_text(&reader, LIMIT_BODY_SIZE_MAX);
    }
    result = reader_finish(&reader, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "SCHEMA");
        return result;
    }
    *ret_message = message;
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/fields.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

static int64_t member_integer(const struct field *field, const void *message)
{
    int64_t value = 0;

    memcpy(&value, (const char *)message + field->offset, sizeof value);
    return value;
}

static bool member_bool(const struct field *field, const void *message)
{
    bool value = false;

    memcpy(&value, (const char *)message + field->offset, sizeof value);
    return value;
}

static struct bytes member_bytes(const struct field *field, const void *message)
{
    struct bytes value = {0};

    memcpy(&value, (const char *)message + field->offset, sizeof value);
    return value;
}

/* What is bounded: the number itself, or how many bytes there are. */
static int64_t member_measure(const struct field *field, const void *message)
{
    switch (field->kind) {
    case FIELD_BOOL:
        return field->min;
    case FIELD_INTEGER:
        return member_integer(field, message);
    case FIELD_TEXT:
    case FIELD_BLOB:
    case FIELD_BLOB_OR_EMPTY:
        break;
    }
    size_t size = member_bytes(field, message).size;

    if (field->kind == FIELD_BLOB_OR_EMPTY && size == 0)
        return field->min;
    return size > INT64_MAX ? INT64_MAX : (int64_t)size;
}

enum result fields_check(const struct field_table *table, const void *message,
                         struct problem *problem)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        int64_t measure = member_measure(field, message);

        if (measure < field->min || measure > field->max)
            return problem_set(problem, RESULT_REFUSED,
                               "%s: %s%s is %" PRId64 ", allowed %" PRId64 " to %" PRId64,
                               table->message, field->kind == FIELD_INTEGER ? "" : "size of ",
                               field->name, measure, field->min, field->max);
    }
    return RESULT_OK;
}

void fields_write(const struct field_table *table, const void *message, struct writer *writer)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];

        switch (field->kind) {
        case FIELD_INTEGER:
            writer_int64(writer, member_integer(field, message));
            break;
        case FIELD_BOOL:
            writer_bool(writer, member_bool(field, message));
            break;
        case FIELD_TEXT:
            writer_text(writer, member_bytes(field, message));
            break;
        case FIELD_BLOB:
        case FIELD_BLOB_OR_EMPTY:
            writer_blob(writer, member_bytes(field, message));
            break;
        }
    }
}

static struct bytes read_bytes(const struct field *field, struct reader *reader)
{
    bool is_text = field->kind == FIELD_TEXT;
    struct bytes value =
        is_text ? reader_text(reader, (size_t)field->max) : reader_blob(reader, (size_t)field->max);

    if (value.size == 0 && field->kind == FIELD_BLOB_OR_EMPTY)
        return value;
    if (value.size < (size_t)field->min)
        reader_fail(reader, "text or blob too short before here");
    return value;
}

void fields_read(const struct field_table *table, struct reader *reader, void *ret_message)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        char *member = (char *)ret_message + field->offset;

        switch (field->kind) {
        case FIELD_INTEGER: {
            int64_t value = reader_int64(reader, field->min, field->max);

            memcpy(member, &value, sizeof value);
            break;
        }
        case FIELD_BOOL: {
            bool value = reader_bool(reader);

            memcpy(member, &value, sizeof value);
            break;
        }
        case FIELD_TEXT:
        case FIELD_BLOB:
        case FIELD_BLOB_OR_EMPTY: {
            struct bytes value = read_bytes(field, reader);

            memcpy(member, &value, sizeof value);
            break;
        }
        }
    }
}

enum result fields_encode(const struct field_table *table, const void *message, struct buffer *body,
                          struct problem *problem)
{
    struct writer writer;
    enum result result = fields_check(table, message, problem);

    if (result != RESULT_OK)
        return result;
    writer_init(&writer, body);
    writer_array(&writer, table->count);
    fields_write(table, message, &writer);
    result = writer_finish(&writer, problem);
    if (result != RESULT_OK)
        problem_add(problem, "%s", table->message);
    return result;
}

enum result fields_decode(const struct field_table *table, struct bytes body, void *ret_message,
                          struct problem *problem)
{
    struct reader reader = reader_over(body);

    (void)reader_record(&reader, table->count, table->count);
    fields_read(table, &reader, ret_message);
    if (reader_finish(&reader, problem) != RESULT_OK) {
        problem_add(problem, "%s", table->message);
        return RESULT_MALFORMED;
    }
    return RESULT_OK;
}

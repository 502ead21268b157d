/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a mask, in ascending column number: type (u8), then nothing for NULL, 8 bytes for an
 * integer or a real (IEEE 754), length (u32) and bytes for text and blob; numbers big-endian. Only
 * this file's own database reads it again. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <string.h>

static void put_big_endian(uint8_t *room, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        room[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

static uint64_t get_big_endian(const uint8_t *data, size_t size)
{
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++)
        number = number << 8 | data[i];
    return number;
}

static enum result pack_value(const struct value *value, struct buffer *buffer,
                              struct problem *problem)
{
    uint8_t head[9] = {(uint8_t)value->type};
    size_t head_size = 1;
    enum result result = RESULT_OK;

    switch (value->type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        put_big_endian(head + 1, (uint64_t)value->integer, 8);
        head_size = 9;
        break;
    case VALUE_REAL: {
        uint64_t bits = 0;

        memcpy(&bits, &value->real, sizeof bits);
        put_big_endian(head + 1, bits, 8);
        head_size = 9;
        break;
    }
    case VALUE_TEXT:
    case VALUE_BLOB:
        invariant(value->bytes.size <= UINT32_MAX);
        put_big_endian(head + 1, value->bytes.size, 4);
        head_size = 5;
        break;
    }
    result = buffer_append(buffer, head, head_size, problem);
    if (result == RESULT_OK && (value->type == VALUE_TEXT || value->type == VALUE_BLOB) &&
        value->bytes.size > 0)
        result = buffer_append(buffer, value->bytes.data, value->bytes.size, problem);
    return result;
}

enum result pack_values(const struct catalog_table *table, uint64_t mask,
                        const struct value *values, struct buffer *buffer, struct problem *problem)
{
    enum result result = RESULT_OK;

    buffer_reset(buffer);
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
        if ((mask >> n & 1) != 0)
            result = pack_value(&values[n], buffer, problem);
    return result;
}

/* How many bytes the value at the start of `data` takes; 0: it is cut off or no value. */
static size_t unpack_value(struct bytes data, struct value *ret_value)
{
    struct value value = {0};
    size_t size = 0;

    if (data.size < 1)
        return 0;
    value.type = (enum value_type)data.data[0];
    switch (data.data[0]) {
    case VALUE_NULL:
        size = 1;
        break;
    case VALUE_INTEGER:
    case VALUE_REAL: {
        uint64_t bits = 0;

        if (data.size < 9)
            return 0;
        bits = get_big_endian(data.data + 1, 8);
        if (value.type == VALUE_INTEGER)
            value.integer = (int64_t)bits;
        else
            memcpy(&value.real, &bits, sizeof bits);
        size = 9;
        break;
    }
    case VALUE_TEXT:
    case VALUE_BLOB:
        if (data.size < 5 || get_big_endian(data.data + 1, 4) > data.size - 5)
            return 0;
        value.bytes = bytes_of(data.data + 5, (size_t)get_big_endian(data.data + 1, 4));
        size = 5 + value.bytes.size;
        break;
    default:
        return 0;
    }
    *ret_value = value;
    return size;
}

enum result unpack_values(const struct catalog_table *table, uint64_t mask, struct bytes data,
                          struct arena *arena, struct value **ret_values, struct problem *problem)
{
    struct value *values = arena_array(arena, table->column_count, sizeof *values);

    if (values == NULL)
        return arena_full(arena, problem);
    for (uint8_t n = 1; n < table->column_count; n++) {
        size_t size = 0;

        if ((mask >> n & 1) == 0)
            continue;
        size = unpack_value(data, &values[n]);
        if (size == 0)
            return problem_set(problem, RESULT_STORAGE, "stored values of %s are damaged at %s",
                               table->name, table->columns[n].name);
        data = bytes_of(data.data + size, data.size - size);
    }
    if (data.size != 0)
        return problem_set(problem, RESULT_STORAGE,
                           "stored values of %s are longer than their mask", table->name);
    *ret_values = values;
    return RESULT_OK;
}

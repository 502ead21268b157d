/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/canonical.h"

#include "base/invariant.h"

#include <assert.h>
#include <string.h>

/* Doubles in [-2^63, 2^63) convert to int64 without overflow. */
static const double INT64_BELOW = 9223372036854775808.0;

static_assert(sizeof(double) == sizeof(uint64_t), "a real is 64 bits of IEEE 754");

static void put_big_endian(uint8_t *room, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        room[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

/* A real with an integral value in int64 counts as that integer: whether a database gives 2 or
 * 2.0 back for a stored 2.0 depends on the column's affinity there. */
static struct value normal_form(const struct value *value)
{
    if (value->type == VALUE_REAL && value->real >= -INT64_BELOW && value->real < INT64_BELOW) {
        int64_t integer = (int64_t)value->real;
        double back = (double)integer;

        if (!(back < value->real) && !(back > value->real))
            return value_integer(integer);
    }
    return *value;
}

/* Type and number or size; what a text or blob holds follows. */
enum { VALUE_HEAD_SIZE_MAX = 9 };

static size_t put_head(uint8_t *room, const struct value *normal)
{
    uint64_t bits = 0;

    room[0] = (uint8_t)normal->type;
    switch (normal->type) {
    case VALUE_NULL:
        return 1;
    case VALUE_INTEGER:
        put_big_endian(room + 1, (uint64_t)normal->integer, 8);
        return 9;
    case VALUE_REAL:
        memcpy(&bits, &normal->real, sizeof bits);
        put_big_endian(room + 1, bits, 8);
        return 9;
    case VALUE_TEXT:
    case VALUE_BLOB:
        put_big_endian(room + 1, normal->bytes.size, 4);
        return 5;
    }
    return 1;
}

static enum result append_value(struct buffer *buffer, const struct value *value,
                                struct problem *problem)
{
    struct value normal = normal_form(value);
    bool has_bytes = normal.type == VALUE_TEXT || normal.type == VALUE_BLOB;
    size_t size = has_bytes ? normal.bytes.size : 0;
    uint8_t *room = NULL;
    size_t head_size = 0;
    enum result result = RESULT_OK;

    if (size > UINT32_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "a value of %zu bytes", size);
    result = buffer_reserve(buffer, VALUE_HEAD_SIZE_MAX + size, &room, problem);
    if (result != RESULT_OK)
        return result;
    head_size = put_head(room, &normal);
    if (size > 0)
        memcpy(room + head_size, normal.bytes.data, size);
    buffer->size += head_size + size;
    return RESULT_OK;
}

enum result canonical_append(const struct catalog_table *table, int64_t row_id,
                             const struct value *values, struct buffer *buffer,
                             struct problem *problem)
{
    enum { HEAD_SIZE = 10 };
    size_t size_before = buffer->size;
    uint8_t *room = NULL;
    enum result result = buffer_reserve(buffer, HEAD_SIZE, &room, problem);

    if (result == RESULT_OK) {
        put_big_endian(room, table->number, 2);
        put_big_endian(room + 2, (uint64_t)row_id, 8);
        buffer->size += HEAD_SIZE;
    }
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
        if (catalog_has_column(table, n))
            result = append_value(buffer, &values[n], problem);
    if (result != RESULT_OK) {
        buffer->size = size_before; /* half a row must not be hashed */
        problem_add(problem, "canonical form of %s %lld", table->name, (long long)row_id);
    }
    return result;
}

void digest_add(uint8_t sum[DIGEST_SIZE], const uint8_t row_hash[DIGEST_SIZE])
{
    unsigned carry = 0;

    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        carry += (unsigned)sum[i] + row_hash[i];
        sum[i] = (uint8_t)(carry & 0xff);
        carry >>= 8;
    }
}

void digest_subtract(uint8_t sum[DIGEST_SIZE], const uint8_t row_hash[DIGEST_SIZE])
{
    unsigned borrow = 0;

    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        unsigned difference = 0x100u + sum[i] - row_hash[i] - borrow;

        sum[i] = (uint8_t)(difference & 0xff);
        borrow = difference < 0x100u ? 1 : 0;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){.data = data, .size = size};
}

struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);

    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

void buffer_init(struct buffer *buffer, size_t size_max)
{
    *buffer = (struct buffer){.size_max = size_max};
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.size_max = buffer->size_max};
}

void buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
}

enum result buffer_reserve(struct buffer *buffer, size_t size, uint8_t **ret_room,
                           struct problem *problem)
{
    enum { CAPACITY_FIRST = 256 };
    size_t capacity = buffer->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : buffer->capacity;
    uint8_t *data = NULL;

    invariant(buffer->size <= buffer->capacity);
    if (size > buffer->size_max - buffer->size)
        return problem_set(problem, RESULT_EXHAUSTED, "more than %zu bytes", buffer->size_max);
    if (buffer->data == NULL || size > buffer->capacity - buffer->size) {
        while (capacity < buffer->size + size)
            capacity *= 2;
        data = realloc(buffer->data, capacity);
        if (data == NULL)
            return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu bytes", capacity);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    *ret_room = buffer->data + buffer->size;
    return RESULT_OK;
}

enum result buffer_append(struct buffer *buffer, const void *data, size_t size,
                          struct problem *problem)
{
    uint8_t *room = NULL;
    enum result result = buffer_reserve(buffer, size, &room, problem);

    if (result != RESULT_OK)
        return result;
    if (size > 0)
        memcpy(room, data, size);
    buffer->size += size;
    return RESULT_OK;
}

struct bytes buffer_bytes(const struct buffer *buffer)
{
    return (struct bytes){.data = buffer->data, .size = buffer->size};
}

/* How many bytes the sequence that starts at `data` has, 0 if it is not well formed. */
static size_t sequence_size(const uint8_t *data, size_t left)
{
    uint8_t first = data[0];
    size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint8_t second_min = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t second_max = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    if (first > 0xf4 || size == 0 || size > left)
        return 0;
    if (size > 1 && (data[1] < second_min || data[1] > second_max))
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((data[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

/* Eight bytes of ASCII, none of them 0? */
static bool are_plain(const uint8_t *data)
{
    const uint64_t tops = UINT64_C(0x8080808080808080);
    uint64_t word = 0;

    memcpy(&word, data, sizeof word);
    return ((word | (word - UINT64_C(0x0101010101010101))) & tops) == 0;
}

bool bytes_are_text(struct bytes bytes)
{
    size_t at = 0;

    while (at < bytes.size) {
        size_t size = 0;

        if (bytes.size - at >= 8 && are_plain(bytes.data + at)) {
            at += 8;
            continue;
        }
        size = sequence_size(bytes.data + at, bytes.size - at);

        if (size == 0 || bytes.data[at] == 0)
            return false;
        at += size;
    }
    return true;
}

void bytes_to_hex(struct bytes bytes, char *ret_text)
{
    static const char DIGITS[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.size; i++) {
        ret_text[2 * i] = DIGITS[bytes.data[i] >> 4];
        ret_text[2 * i + 1] = DIGITS[bytes.data[i] & 15];
    }
    ret_text[2 * bytes.size] = '\0';
}

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

bool bytes_from_hex(const char *text, uint8_t *ret_data, size_t size)
{
    if (strlen(text) != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret_data[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

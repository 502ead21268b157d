/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/reader.h"

#include "base/invariant.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(double) == 8 && sizeof(float) == 4, "IEEE 754, as msgpack has them");

enum form {
    FORM_BAD,      /* c1, which msgpack never uses */
    FORM_PLAIN,    /* nothing behind the first byte */
    FORM_UNSIGNED, /* `width` bytes are the integer */
    FORM_SIGNED,   /* the same in two's complement */
    FORM_REAL,     /* `width` bytes are the float */
    FORM_SIZED,    /* `width` bytes say how many follow, plus `extra` */
    FORM_COUNTED,  /* `width` bytes say how many items follow, times `extra` */
};

struct shape {
    enum reader_kind kind;
    enum form form;
    uint8_t width;
    uint8_t extra;
};

/* First bytes c0 to df; all others carry their number themselves. */
static const struct shape SHAPES[32] = {
    {READER_NIL, FORM_PLAIN, 0, 0},     {READER_OTHER, FORM_BAD, 0, 0},
    {READER_BOOL, FORM_PLAIN, 0, 0},    {READER_BOOL, FORM_PLAIN, 0, 0},
    {READER_BLOB, FORM_SIZED, 1, 0},    {READER_BLOB, FORM_SIZED, 2, 0},
    {READER_BLOB, FORM_SIZED, 4, 0},    {READER_OTHER, FORM_SIZED, 1, 1},
    {READER_OTHER, FORM_SIZED, 2, 1},   {READER_OTHER, FORM_SIZED, 4, 1},
    {READER_REAL, FORM_REAL, 4, 0},     {READER_REAL, FORM_REAL, 8, 0},
    {READER_INT, FORM_UNSIGNED, 1, 0},  {READER_INT, FORM_UNSIGNED, 2, 0},
    {READER_INT, FORM_UNSIGNED, 4, 0},  {READER_INT, FORM_UNSIGNED, 8, 0},
    {READER_INT, FORM_SIGNED, 1, 0},    {READER_INT, FORM_SIGNED, 2, 0},
    {READER_INT, FORM_SIGNED, 4, 0},    {READER_INT, FORM_SIGNED, 8, 0},
    {READER_OTHER, FORM_SIZED, 0, 2},   {READER_OTHER, FORM_SIZED, 0, 3},
    {READER_OTHER, FORM_SIZED, 0, 5},   {READER_OTHER, FORM_SIZED, 0, 9},
    {READER_OTHER, FORM_SIZED, 0, 17},  {READER_TEXT, FORM_SIZED, 1, 0},
    {READER_TEXT, FORM_SIZED, 2, 0},    {READER_TEXT, FORM_SIZED, 4, 0},
    {READER_ARRAY, FORM_COUNTED, 2, 1}, {READER_ARRAY, FORM_COUNTED, 4, 1},
    {READER_OTHER, FORM_COUNTED, 2, 2}, {READER_OTHER, FORM_COUNTED, 4, 2},
};

/* What stands before the content of a value. */
struct head {
    struct shape shape;
    size_t size;     /* of the head itself: 1 to 9 bytes */
    uint64_t number; /* bits of the integer or float, size or count of what follows */
};

struct reader reader_over(struct bytes bytes)
{
    return (struct reader){.bytes = bytes};
}

bool reader_failed(const struct reader *reader)
{
    return reader->failure != NULL;
}

size_t reader_left(const struct reader *reader)
{
    return reader_failed(reader) ? 0 : reader->bytes.size - reader->at;
}

void reader_fail(struct reader *reader, const char *why)
{
    if (reader_failed(reader))
        return;
    reader->failure = why;
    reader->failure_at = reader->at;
}

static void fail_range(struct reader *reader, const char *why, int64_t value, int64_t min,
                       int64_t max)
{
    if (reader_failed(reader))
        return;
    reader_fail(reader, why);
    reader->failure_ranged = true;
    reader->failure_value = value;
    reader->failure_min = min;
    reader->failure_max = max;
}

static int64_t as_int64(size_t size)
{
    return size > INT64_MAX ? INT64_MAX : (int64_t)size;
}

static struct shape shape_of(uint8_t first)
{
    if (first <= 0x7f || first >= 0xe0)
        return (struct shape){READER_INT, FORM_PLAIN, 0, 0};
    if (first <= 0x8f)
        return (struct shape){READER_OTHER, FORM_COUNTED, 0, 2};
    if (first <= 0x9f)
        return (struct shape){READER_ARRAY, FORM_COUNTED, 0, 1};
    if (first <= 0xbf)
        return (struct shape){READER_TEXT, FORM_SIZED, 0, 0};
    return SHAPES[first - 0xc0];
}

/* The number that the first byte itself carries. */
static uint64_t number_in(uint8_t first)
{
    if (first <= 0x7f)
        return first;
    if (first >= 0xe0)
        return (uint64_t)((int64_t)first - 256);
    if (first <= 0x9f)
        return first & 0x0f;
    if (first <= 0xbf)
        return first & 0x1f;
    return 0;
}

/* Reads the head at the cursor without moving it; false after a failure. */
static bool head_at(struct reader *reader, struct head *ret_head)
{
    const uint8_t *data = NULL;
    size_t left = reader_left(reader);
    struct head head = {.size = 1};

    if (reader_failed(reader))
        return false;
    if (left == 0) {
        reader_fail(reader, "ends where a value is expected");
        return false;
    }
    data = reader->bytes.data + reader->at;
    head.shape = shape_of(data[0]);
    if (head.shape.form == FORM_BAD) {
        reader_fail(reader, "byte c1 starts no value");
        return false;
    }
    head.size += head.shape.width;
    if (head.size > left) {
        reader_fail(reader, "ends inside a value");
        return false;
    }
    head.number = number_in(data[0]);
    for (size_t i = 1; i < head.size; i++)
        head.number = head.number << 8 | data[i];
    if (head.shape.form == FORM_SIZED || head.shape.form == FORM_COUNTED) {
        head.number = head.shape.form == FORM_SIZED ? head.number + head.shape.extra
                                                    : head.number * head.shape.extra;
        if (head.number > left - head.size) { /* an item has at least one byte */
            fail_range(reader, "size or count is more than what is left", (int64_t)head.number, 0,
                       as_int64(left - head.size));
            return false;
        }
    }
    *ret_head = head;
    return true;
}

/* A value begins here: it counts in the array that is open. */
static bool value_begin(struct reader *reader, enum reader_kind kind, const char *why,
                        struct head *ret_head)
{
    if (!head_at(reader, ret_head))
        return false;
    if (ret_head->shape.kind != kind) {
        reader_fail(reader, why);
        return false;
    }
    return true;
}

/* The value was good: go behind `size` bytes and close the arrays that it completes. */
static void value_end(struct reader *reader, size_t size)
{
    invariant(size <= reader_left(reader));
    reader->at += size;
    while (reader->depth > 0) {
        size_t *left = &reader->open_left[reader->depth - 1];

        if (*left > 0)
            (*left)--;
        if (*left > 0)
            return;
        reader->depth--; /* complete, and so one item of the array around it */
    }
}

/* The value was the head of a container with `count` items. */
static bool container_begin(struct reader *reader, const struct head *head)
{
    size_t count = (size_t)head->number;

    if (reader->depth == LIMIT_DEPTH_MAX) {
        fail_range(reader, "too deep", LIMIT_DEPTH_MAX + 1, 0, LIMIT_DEPTH_MAX);
        return false;
    }
    if (count == 0) {
        value_end(reader, head->size);
        return true;
    }
    reader->at += head->size;
    reader->open_left[reader->depth] = count;
    reader->depth++;
    return true;
}

int64_t reader_int64(struct reader *reader, int64_t min, int64_t max)
{
    struct head head;
    int64_t value = 0;

    invariant(min <= max);
    if (!value_begin(reader, READER_INT, "no integer", &head))
        return 0;
    if (head.shape.form == FORM_UNSIGNED && head.number > INT64_MAX) {
        reader_fail(reader, "integer is larger than 2^63-1");
        return 0;
    }
    if (head.shape.form == FORM_SIGNED && head.shape.width < 8) {
        uint64_t sign = UINT64_C(1) << (8 * head.shape.width - 1);

        head.number = (head.number ^ sign) - sign;
    }
    memcpy(&value, &head.number, sizeof value);
    if (value < min || value > max) {
        fail_range(reader, "integer out of range", value, min, max);
        return 0;
    }
    value_end(reader, head.size);
    return value;
}

bool reader_bool(struct reader *reader)
{
    struct head head;
    bool value = false;

    if (!value_begin(reader, READER_BOOL, "no boolean", &head))
        return false;
    value = reader->bytes.data[reader->at] == 0xc3;
    value_end(reader, head.size);
    return value;
}

double reader_real(struct reader *reader)
{
    struct head head;
    double value = 0;

    if (!value_begin(reader, READER_REAL, "no floating point number", &head))
        return 0;
    if (head.shape.width == 4) {
        uint32_t bits = (uint32_t)head.number;
        float narrow = 0;

        memcpy(&narrow, &bits, sizeof narrow);
        value = (double)narrow;
    } else {
        memcpy(&value, &head.number, sizeof value);
    }
    if (!isfinite(value)) {
        reader_fail(reader, "NaN or infinity");
        return 0;
    }
    value_end(reader, head.size);
    return value;
}

void reader_nil(struct reader *reader)
{
    struct head head;

    if (value_begin(reader, READER_NIL, "no nil", &head))
        value_end(reader, head.size);
}

static struct bytes sized(struct reader *reader, enum reader_kind kind, const char *why,
                          size_t size_min, size_t size_max)
{
    struct head head;
    struct bytes content = {0};

    if (!value_begin(reader, kind, why, &head))
        return content;
    if (head.number < size_min || head.number > size_max) {
        fail_range(reader, "text or blob of another size", (int64_t)head.number, as_int64(size_min),
                   as_int64(size_max));
        return content;
    }
    content = bytes_of(reader->bytes.data + reader->at + head.size, (size_t)head.number);
    if (kind == READER_TEXT && !bytes_are_text(content)) {
        reader_fail(reader, "text is not UTF-8 or holds NUL");
        return (struct bytes){0};
    }
    value_end(reader, head.size + content.size);
    return content;
}

struct bytes reader_text(struct reader *reader, size_t size_max)
{
    return sized(reader, READER_TEXT, "no text", 0, size_max);
}

struct bytes reader_blob(struct reader *reader, size_t size_max)
{
    return sized(reader, READER_BLOB, "no blob", 0, size_max);
}

void reader_fixed_blob(struct reader *reader, uint8_t *ret_data, size_t size)
{
    struct bytes content = sized(reader, READER_BLOB, "no blob", size, size);

    if (reader_failed(reader))
        memset(ret_data, 0, size);
    else if (size > 0)
        memcpy(ret_data, content.data, size);
}

size_t reader_record(struct reader *reader, size_t count_min, size_t count_max)
{
    struct head head;

    invariant(count_min <= count_max);
    if (!value_begin(reader, READER_ARRAY, "no array", &head))
        return 0;
    if (head.number < count_min || head.number > count_max) {
        fail_range(reader, "array of another count", (int64_t)head.number, as_int64(count_min),
                   as_int64(count_max));
        return 0;
    }
    return container_begin(reader, &head) ? (size_t)head.number : 0;
}

size_t reader_array(struct reader *reader, size_t count_max)
{
    return reader_record(reader, 0, count_max);
}

/* The stack of open containers does the counting, so nested values need no recursion. */
void reader_skip(struct reader *reader)
{
    size_t depth = reader->depth;
    size_t left = depth == 0 ? 0 : reader->open_left[depth - 1];
    struct head head;

    do {
        if (!head_at(reader, &head))
            return;
        if (head.shape.form == FORM_COUNTED) {
            if (!container_begin(reader, &head))
                return;
        } else {
            value_end(reader, head.size + (head.shape.form == FORM_SIZED ? head.number : 0));
        }
        /* done when the array around has one item less, or is itself complete */
    } while (reader->depth > depth ||
             (reader->depth == depth && depth > 0 && reader->open_left[depth - 1] == left));
}

struct bytes reader_raw(struct reader *reader)
{
    size_t from = reader->at;

    reader_skip(reader);
    if (reader_failed(reader))
        return (struct bytes){0};
    return bytes_of(reader->bytes.data + from, reader->at - from);
}

enum reader_kind reader_peek_kind(const struct reader *reader)
{
    if (reader_left(reader) == 0)
        return READER_END;
    return shape_of(reader->bytes.data[reader->at]).kind;
}

bool reader_nil_next(const struct reader *reader)
{
    return reader_peek_kind(reader) == READER_NIL;
}

enum result reader_finish(struct reader *reader, struct problem *problem)
{
    if (!reader_failed(reader) && reader->depth > 0)
        reader_fail(reader, "items are left in an array");
    if (!reader_failed(reader) && reader_left(reader) > 0)
        fail_range(reader, "bytes are left behind the last value", as_int64(reader_left(reader)), 0,
                   0);
    if (!reader_failed(reader))
        return RESULT_OK;
    if (!reader->failure_ranged)
        return problem_set(problem, RESULT_MALFORMED, "byte %zu: %s", reader->failure_at,
                           reader->failure);
    return problem_set(problem, RESULT_MALFORMED,
                       "byte %zu: %s: %" PRId64 ", allowed %" PRId64 " to %" PRId64,
                       reader->failure_at, reader->failure, reader->failure_value,
                       reader->failure_min, reader->failure_max);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte of the input says how long the list of calls is, then the calls, then msgpack. */
#include "protocol/reader.h"
#include "base/invariant.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_inside(struct bytes part, struct bytes whole)
{
    if (part.size > 0)
        invariant(part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

static void call(struct reader *reader, uint8_t number)
{
    size_t bound = (size_t)1 << (number >> 4);
    uint8_t blob[16];
    int64_t value = 0;
    struct bytes part = {0};

    switch (number % 12) {
    case 0:
        value = reader_int64(reader, -(int64_t)bound, (int64_t)bound);
        invariant(value >= -(int64_t)bound && value <= (int64_t)bound);
        break;
    case 1:
        (void)reader_int64(reader, INT64_MIN, INT64_MAX);
        break;
    case 2:
        (void)reader_bool(reader);
        break;
    case 3:
        invariant(isfinite(reader_real(reader)));
        break;
    case 4:
        part = reader_text(reader, bound);
        invariant(part.size <= bound && bytes_are_text(part));
        break;
    case 5:
        part = reader_blob(reader, bound);
        break;
    case 6:
        reader_fixed_blob(reader, blob, number >> 4);
        break;
    case 7:
        invariant(reader_array(reader, bound) <= bound);
        break;
    case 8:
        reader_skip(reader);
        break;
    case 9:
        part = reader_raw(reader);
        break;
    case 10:
        reader_nil(reader);
        break;
    default:
        if (reader_nil_next(reader))
            reader_nil(reader);
        (void)reader_record(reader, 1, bound + 1);
    }
    expect_inside(part, reader->bytes);
}

/* Reads whatever comes next by the kind it has. */
static void walk(struct reader *reader)
{
    while (!reader_failed(reader) && reader_left(reader) > 0) {
        static const uint8_t CALLS[] = {
            [READER_END] = 8,     [READER_NIL] = 10,     [READER_BOOL] = 2,
            [READER_INT] = 1,     [READER_REAL] = 3,     [READER_TEXT] = 0xf4,
            [READER_BLOB] = 0xf5, [READER_ARRAY] = 0xf7, [READER_OTHER] = 8,
        };

        call(reader, CALLS[reader_peek_kind(reader)]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t call_count = size == 0 ? 0 : data[0] % 32;
    struct problem problem = {0};
    struct reader reader;
    struct reader skipper;

    if (size < 1 + call_count)
        return 0;
    reader = reader_over(bytes_of(data + 1 + call_count, size - 1 - call_count));
    skipper = reader;
    for (size_t i = 0; i < call_count; i++)
        call(&reader, data[1 + i]);
    walk(&reader);
    if (reader_finish(&reader, &problem) == RESULT_OK)
        invariant(reader.at == reader.bytes.size && reader.depth == 0);
    else
        invariant(problem.text[0] != '\0');
    while (!reader_failed(&skipper) && reader_left(&skipper) > 0)
        reader_skip(&skipper);
    return 0;
}

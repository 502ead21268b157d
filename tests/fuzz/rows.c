/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of rows, changes and departures, and single rows, by the catalog of the real model: first
 * byte which, then msgpack. What is read is written and read again; both writings are the same
 * bytes. */
#include "tests/fuzz/model.h" /* first */

#include "protocol/rows.h"

enum { KIND_ROWS, KIND_CHANGES, KIND_GONE, KIND_ROW, KIND_COUNT };
enum { WRITTEN_SIZE_MAX = 16 * 1024 * 1024, ARENA_SIZE = 64 * 1024 * 1024 };

/* Reads one list and writes it; false: it wasn't one, or the writer says why not. */
static bool round_trip(unsigned kind, uint16_t table_no, struct bytes bytes, struct arena *arena,
                       struct buffer *out)
{
    const struct catalog *catalog = model_catalog();
    struct reader reader = reader_over(bytes);
    struct writer writer;
    struct problem problem = {0};
    struct row_image *rows = NULL;
    struct change *changes = NULL;
    struct gone *gone = NULL;
    struct row_image row = {0};
    size_t count = 0;
    enum result result = RESULT_OK;
    enum result written = RESULT_OK;

    switch (kind) {
    case KIND_ROWS:
        result = rows_read(catalog, &reader, arena, &rows, &count, &problem);
        break;
    case KIND_CHANGES:
        result = changes_read(catalog, &reader, arena, &changes, &count, &problem);
        break;
    case KIND_GONE:
        result = gone_read(catalog, &reader, arena, &gone, &count, &problem);
        break;
    default:
        result = row_read(catalog, table_no, &reader, arena, &row, &problem);
        break;
    }
    if (result != RESULT_OK || reader_finish(&reader, &problem) != RESULT_OK)
        return false;
    writer_init(&writer, out);
    if (kind == KIND_ROWS)
        written = rows_write(catalog, rows, count, &writer, &problem);
    else if (kind == KIND_CHANGES)
        written = changes_write(catalog, changes, count, &writer, &problem);
    else if (kind == KIND_GONE)
        written = gone_write(gone, count, &writer, &problem);
    else
        written = row_write(catalog, &row, &writer, &problem);
    FUZZ_OK(&problem, written); /* what a reader lets through, its writer takes */
    FUZZ_OK(&problem, writer_finish(&writer, &problem));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    unsigned kind = input_byte(&input) % KIND_COUNT;
    uint16_t table_no = kind == KIND_ROW ? model_table(input_byte(&input))->number : 0;
    struct buffer first;
    struct buffer second;
    struct arena arena;

    arena_init(&arena, ARENA_SIZE);
    buffer_init(&first, WRITTEN_SIZE_MAX);
    buffer_init(&second, WRITTEN_SIZE_MAX);
    if (round_trip(kind, table_no, input_rest(&input), &arena, &first)) {
        bool is_read = round_trip(kind, table_no, buffer_bytes(&first), &arena, &second);

        invariant(is_read);
        invariant(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    }
    buffer_done(&first);
    buffer_done(&second);
    arena_done(&arena);
    return 0;
}

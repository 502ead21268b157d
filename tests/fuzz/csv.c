/* SPDX-License-Identifier: Apache-2.0 */
/* A text file of another program: dialect, encoding, separator, columns (u8 each), size of a read
 * (u8), then the file. Fields are text within their limits; what is read is written as we write and
 * reads back the same. */
#include "tests/fuzz/fuzz.h" /* first */

#include "server/service/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 2000, WRITTEN_SIZE_MAX = 16 * 1024 * 1024 };

struct memory {
    struct bytes text;
    size_t step;
    size_t at;
};

static enum result read_memory(void *context, uint8_t *room, size_t size, size_t *ret_size,
                               struct problem *problem)
{
    struct memory *memory = context;
    size_t left = memory->text.size - memory->at;

    (void)problem;
    size = size < left ? size : left;
    size = size < memory->step ? size : memory->step;
    if (size > 0)
        memcpy(room, memory->text.data + memory->at, size);
    memory->at += size;
    *ret_size = size;
    return RESULT_OK;
}

static void expect_written_back(const struct csv_record *record)
{
    const struct csv_format ours = {.dialect = CSV_QUOTED, .encoding = CSV_UTF_8, .separator = ','};
    const struct csv_cell heading = {.text = bytes_of_text("heading"), .is_text = true};
    struct csv_cell cells[CSV_FIELD_COUNT_MAX];
    struct problem problem = {0};
    struct memory memory = {.step = SIZE_MAX};
    const struct csv_source source = {read_memory, &memory};
    struct csv_reader *reader = NULL;
    struct csv_record again = {0};
    struct buffer out;

    buffer_init(&out, WRITTEN_SIZE_MAX);
    /* a heading first, as every file of ours has: a text at the start of a file may look like a
     * byte order mark */
    FUZZ_OK(&problem, csv_append(&out, &heading, 1, false, &problem));
    for (size_t i = 0; i < record->field_count; i++)
        cells[i] = (struct csv_cell){.text = record->fields[i].text, .is_text = true};
    FUZZ_OK(&problem, csv_append(&out, cells, record->field_count, false, &problem));
    memory.text = buffer_bytes(&out);
    FUZZ_OK(&problem, csv_create(&ours, &source, &reader, &problem));
    FUZZ_OK(&problem, csv_next(reader, &again, &problem));
    if (csv_next(reader, &again, &problem) == RESULT_OK && again.fault == NULL) {
        invariant(again.field_count == record->field_count);
        for (size_t i = 0; i < record->field_count; i++)
            invariant(bytes_equal(again.fields[i].text, record->fields[i].text));
    } else {
        invariant(out.size > CSV_FIELD_SIZE_MAX); /* quoting can make it too large */
    }
    csv_destroy(reader);
    buffer_done(&out);
}

static void expect_sound(const struct csv_record *record)
{
    invariant(record->field_count <= CSV_FIELD_COUNT_MAX);
    for (size_t i = 0; i < record->field_count; i++) {
        invariant(record->fields[i].text.size <= CSV_FIELD_SIZE_MAX);
        invariant(bytes_are_text(record->fields[i].text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char SEPARATORS[] = {0, ',', ';', '\t', '|'};
    struct input input = input_over(data, size);
    struct csv_format format = {.dialect = (enum csv_dialect)(input_byte(&input) % 4),
                                .encoding = (enum csv_encoding)(input_byte(&input) % 5)};
    struct memory memory = {0};
    const struct csv_source source = {read_memory, &memory};
    struct csv_reader *reader = NULL;
    struct csv_record record = {.line = 1};
    struct problem problem = {0};
    int64_t line = 0;

    format.separator = SEPARATORS[input_byte(&input) % sizeof SEPARATORS];
    format.column_count = input_byte(&input);
    memory.step = input_byte(&input) + (size_t)1;
    memory.text = input_rest(&input);
    if (csv_create(&format, &source, &reader, &problem) != RESULT_OK) {
        invariant(problem.text[0] != '\0');
        return 0;
    }
    for (int i = 0; i < RECORDS_MAX && record.line != 0; i++) {
        if (csv_next(reader, &record, &problem) != RESULT_OK) {
            invariant(problem.text[0] != '\0');
            break;
        }
        if (record.line == 0)
            break;
        invariant(record.line >= line);
        line = record.line;
        if (record.fault == NULL) {
            expect_sound(&record);
            if (i < 4)
                expect_written_back(&record);
        }
    }
    csv_destroy(reader);
    return 0;
}

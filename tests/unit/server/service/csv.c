/* SPDX-License-Identifier: Apache-2.0 */
/* Text files as they come: dialects, encodings, messes; and what we write. */
#include "server/service/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct memory {
    struct bytes text;
    size_t step; /* bytes a read */
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

/* Each record as "line:field|field\n"; quoted fields in '', a fault as "line!fault\n". */
static void append_record(struct buffer *out, const struct csv_record *record)
{
    struct problem problem = {0};
    char text[32];

    (void)snprintf(text, sizeof text, "%d%s", (int)record->line, record->fault ? "!" : ":");
    assert_int_equal(buffer_append(out, text, strlen(text), &problem), RESULT_OK);
    if (record->fault != NULL) {
        assert_int_equal(buffer_append(out, record->fault, strlen(record->fault), &problem),
                         RESULT_OK);
    }
    for (size_t i = 0; i < record->field_count && record->fault == NULL; i++) {
        const struct csv_field *field = &record->fields[i];

        if (i > 0)
            assert_int_equal(buffer_append(out, "|", 1, &problem), RESULT_OK);
        if (field->is_quoted)
            assert_int_equal(buffer_append(out, "'", 1, &problem), RESULT_OK);
        assert_int_equal(buffer_append(out, field->text.data, field->text.size, &problem),
                         RESULT_OK);
        if (field->is_quoted)
            assert_int_equal(buffer_append(out, "'", 1, &problem), RESULT_OK);
    }
    assert_int_equal(buffer_append(out, "\n", 1, &problem), RESULT_OK);
}

static enum result read_all(const struct csv_format *format, struct bytes text, size_t step,
                            struct buffer *out, struct problem *problem)
{
    struct memory memory = {.text = text, .step = step};
    const struct csv_source source = {read_memory, &memory};
    struct csv_reader *reader = NULL;
    struct csv_record record = {.line = 1};
    enum result result = csv_create(format, &source, &reader, problem);

    while (result == RESULT_OK && record.line != 0) {
        result = csv_next(reader, &record, problem);
        if (result == RESULT_OK && record.line != 0)
            append_record(out, &record);
    }
    csv_destroy(reader);
    return result;
}

/* Reads the same bytes whole and in pieces of 1 and 3 bytes: the records must be the same. */
static void expect_bytes(struct csv_format format, struct bytes text, const char *expected)
{
    static const size_t STEPS[] = {100000, 1, 3};

    for (size_t i = 0; i < 3; i++) {
        struct problem problem = {0};
        struct buffer out;

        if (STEPS[i] < 4 && format.encoding == CSV_ENCODING_AUTO && text.size > 0 &&
            (text.data[0] >= 0x80 || text.data[1] == 0 || format.separator == 0))
            continue; /* what the first piece tells decides; files come in large ones */
        buffer_init(&out, 1 << 20);
        assert_int_equal(read_all(&format, text, STEPS[i], &out, &problem), RESULT_OK);
        assert_int_equal(buffer_append(&out, "", 1, &problem), RESULT_OK);
        assert_string_equal((const char *)out.data, expected);
        buffer_done(&out);
    }
}

static void expect(struct csv_format format, const char *text, const char *expected)
{
    expect_bytes(format, bytes_of_text(text), expected);
}

static const struct csv_format ANY = {.dialect = CSV_QUOTED};
static const struct csv_format COMMA = {.dialect = CSV_QUOTED, .separator = ','};

static void quotes_hold_separators_line_breaks_and_quotes(void **state)
{
    (void)state;
    expect(COMMA, "a,b\r\n\"x, \"\"y\"\"\r\nz\",2\r\n3,4", "1:a|b\n2:'x, \"y\"\r\nz'|2\n4:3|4\n");
}

static void no_value_and_an_empty_text_are_two_things(void **state)
{
    (void)state;
    expect(COMMA, "a,,\"\"\n", "1:a||''\n");
}

static void separators_are_found_outside_quotes(void **state)
{
    (void)state;
    expect(ANY, "a;b;c\n1,5;2;3\n", "1:a|b|c\n2:1,5|2|3\n");
    expect(ANY, "a\tb\n1\t2\n", "1:a|b\n2:1|2\n");
    expect(ANY, "\"x;y\n;;;;\",b\n1,2\n", "1:'x;y\n;;;;'|b\n3:1|2\n");
    expect(ANY, "one column\nonly\n", "1:one column\n2:only\n");
}

static void empty_lines_are_no_records_but_count_as_lines(void **state)
{
    (void)state;
    expect(COMMA, "\n\r\na,b\n\n\nc,d\n\n", "3:a|b\n6:c|d\n");
    expect(COMMA, "", "");
}

static void a_quote_inside_an_unquoted_field_is_text(void **state)
{
    (void)state;
    expect(COMMA, "travel 60',9'6\",x\n", "1:travel 60'|9'6\"|x\n");
}

static void text_after_a_closing_quote_puts_only_its_record_at_fault(void **state)
{
    (void)state;
    expect(COMMA, "\"a\"b,c\n1,2\n", "1!text after a closing quote\n2:1|2\n");
}

static void a_quote_that_never_closes_is_told_at_the_end(void **state)
{
    (void)state;
    expect(COMMA, "1,2\n\"a,b\nc,d\n", "1:1|2\n2!a quote that is never closed\n");
}

static void a_nul_byte_puts_its_record_at_fault(void **state)
{
    (void)state;
    expect_bytes(COMMA, bytes_of("a,b\n1\0,2\n3,4\n", 13), "1:a|b\n2!a NUL byte\n3:3|4\n");
}

static void a_binary_file_is_refused(void **state)
{
    uint8_t picture[300];
    struct problem problem = {0};
    struct buffer out;

    (void)state;
    memset(picture, 0, sizeof picture);
    picture[1] = 'P';
    picture[4] = 'G';
    buffer_init(&out, 1000);
    assert_int_equal(
        read_all(&ANY, bytes_of(picture, sizeof picture), sizeof picture, &out, &problem),
        RESULT_REFUSED);
    assert_non_null(strstr(problem.text, "no text file"));
    buffer_done(&out);
}

static void a_byte_order_mark_is_no_part_of_the_first_name(void **state)
{
    (void)state;
    expect(ANY, "\xEF\xBB\xBFname,x\n\xC3\xA8,1\n", "1:name|x\n2:è|1\n");
}

static void utf_16_is_read_with_and_without_its_mark(void **state)
{
    static const char MARKED[] = "\xFF\xFE"
                                 "a\0,\0\xE8\0\n\0"
                                 "1\0,\0\x3D\xD8\x00\xDE";
    static const char BARE[] = "a\0,\0b\0\n\0"
                               "1\0,\0"
                               "2\0\n";
    static const char BIG[] = "\xFE\xFF\0a\0,\0b\0\n";

    (void)state;
    expect_bytes(ANY, bytes_of(MARKED, sizeof MARKED - 1), "1:a|è\n2:1|😀\n");
    expect_bytes(ANY, bytes_of(BARE, sizeof BARE), "1:a|b\n2:1|2\n");
    expect_bytes(ANY, bytes_of(BIG, sizeof BIG - 1), "1:a|b\n");
}

static void half_a_surrogate_pair_puts_its_record_at_fault(void **state)
{
    static const char TEXT[] = "\xFF\xFE"
                               "a\0,\0\x3D\xD8\n\0"
                               "1\0,\0"
                               "2\0";

    (void)state;
    expect_bytes(ANY, bytes_of(TEXT, sizeof TEXT - 1),
                 "1!bytes that are no text in the file's encoding\n2:1|2\n");
}

static void windows_1252_is_taken_where_utf_8_ends(void **state)
{
    (void)state;
    expect(COMMA, "name,price\nAgli\xE8,5\x80\n\x93X\x94,1\n",
           "1:name|price\n2:Agliè|5€\n3:“X”|1\n");
}

static void a_stray_byte_in_a_utf_8_file_costs_one_record(void **state)
{
    (void)state;
    expect(COMMA, "Però,1\nAgli\xE8,2\nAosta,3\n",
           "1:Però|1\n2!bytes that are no text in the file's encoding\n3:Aosta|3\n");
}

static void a_byte_that_windows_1252_lacks_costs_one_record(void **state)
{
    struct csv_format format = {.separator = ',', .encoding = CSV_WINDOWS_1252};

    (void)state;
    expect(format, "a\x81,1\nb\xE0,2\n",
           "1!bytes that are no text in the file's encoding\n2:bà|2\n");
}

static void marked_fields_hold_line_breaks_and_tabs(void **state)
{
    const struct csv_format format = {.dialect = CSV_MARKED};

    (void)state;
    expect(format, "1+|Next-Door\n\tStore+|+|x&|\n2+|A+B & C|D+|y+|z&|\n",
           "1:1|Next-Door\n\tStore||x\n3:2|A+B & C|D|y|z\n");
    expect(format, "1+|cut", "1!the file ends in the middle of it\n");
}

static void unquoted_text_goes_on_until_its_record_is_full(void **state)
{
    const struct csv_format format = {.dialect = CSV_PLAIN, .column_count = 3};

    (void)state;
    expect(format, "1\tI can't \"believe\"\nit, it's\ngreat\t2024\n2\tshort\t2025\n",
           "1:1|I can't \"believe\"\nit, it's\ngreat|2024\n4:2|short|2025\n");
}

static void token_lines_become_a_text_its_clean_form_and_its_id(void **state)
{
    const struct csv_format format = {.dialect = CSV_TOKENS};

    (void)state;
    expect(format, "PH639\t<id>\nRECTIFY\trectify\n\nrepl\treplace\nhose\those\n",
           "1:PH639 RECTIFY|<id> rectify|PH639\n4:repl hose|replace hose|\n");
}

static void a_field_over_the_limit_costs_its_record_only(void **state)
{
    size_t size = CSV_FIELD_SIZE_MAX + 1;
    uint8_t *text = malloc(size + 20);
    struct problem problem = {0};
    struct buffer out;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text + size, ",2\n3,4\n", 7);
    buffer_init(&out, 1000);
    assert_int_equal(read_all(&COMMA, bytes_of(text, size + 7), size + 7, &out, &problem),
                     RESULT_OK);
    assert_int_equal(buffer_append(&out, "", 1, &problem), RESULT_OK);
    assert_string_equal((const char *)out.data, "1!a field longer than 1 MiB\n2:3|4\n");
    buffer_done(&out);
    free(text);
}

static void a_record_over_the_limit_ends_the_reading(void **state)
{
    size_t size = CSV_RECORD_SIZE_MAX + 10;
    uint8_t *text = malloc(size);
    struct problem problem = {0};
    struct buffer out;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    text[0] = '"';
    buffer_init(&out, 1000);
    assert_int_equal(read_all(&COMMA, bytes_of(text, size), size, &out, &problem), RESULT_REFUSED);
    assert_non_null(strstr(problem.text, "is a quote never closed?"));
    buffer_done(&out);
    free(text);
}

static void more_fields_than_the_limit_cost_their_record(void **state)
{
    char text[2000];
    struct problem problem = {0};
    struct buffer out;

    (void)state;
    memset(text, ',', sizeof text);
    memcpy(text + 1000, "\na,b\n", 5);
    buffer_init(&out, 10000);
    assert_int_equal(read_all(&COMMA, bytes_of(text, 1005), 1005, &out, &problem), RESULT_OK);
    assert_int_equal(buffer_append(&out, "", 1, &problem), RESULT_OK);
    assert_string_equal((const char *)out.data, "1!more than 512 fields\n2:a|b\n");
    buffer_done(&out);
}

/* ---- writing ---- */

static void expect_written(const struct csv_cell *cells, size_t count, bool for_spreadsheet,
                           const char *expected)
{
    struct problem problem = {0};
    struct buffer out;

    buffer_init(&out, 1000);
    assert_int_equal(csv_append(&out, cells, count, for_spreadsheet, &problem), RESULT_OK);
    assert_int_equal(buffer_append(&out, "", 1, &problem), RESULT_OK);
    assert_string_equal((const char *)out.data, expected);
    buffer_done(&out);
}

static struct csv_cell text_cell(const char *text)
{
    return (struct csv_cell){.text = bytes_of_text(text), .is_text = true};
}

static void written_cells_are_quoted_where_they_must_be(void **state)
{
    const struct csv_cell cells[] = {text_cell("a,b"),   text_cell("say \"x\""), text_cell("1\n2"),
                                     text_cell("plain"), text_cell(""),          {.is_null = true},
                                     text_cell(" x"),    text_cell("\"")};

    (void)state;
    expect_written(cells, 8, false,
                   "\"a,b\",\"say \"\"x\"\"\",\"1\n2\",plain,\"\",,\" x\",\"\"\"\"\r\n");
}

static void only_a_file_for_spreadsheets_gets_apostrophes(void **state)
{
    const struct csv_cell cells[] = {text_cell("=1+1"),
                                     text_cell("@x"),
                                     {.text = bytes_of_text("-5"), .is_text = false},
                                     text_cell("1E217")};

    (void)state;
    expect_written(cells, 4, false, "=1+1,@x,-5,1E217\r\n");
    expect_written(cells, 4, true, "'=1+1,'@x,-5,1E217\r\n");
}

static void a_row_that_does_not_fit_leaves_no_trace(void **state)
{
    const struct csv_cell cells[] = {text_cell("12345"), text_cell("12345")};
    struct problem problem = {0};
    struct buffer out;

    (void)state;
    buffer_init(&out, 8);
    assert_int_equal(csv_append(&out, cells, 2, false, &problem), RESULT_EXHAUSTED);
    assert_int_equal(out.size, 0);
    buffer_done(&out);
}

static void encodings_have_names(void **state)
{
    enum csv_encoding encoding = CSV_ENCODING_AUTO;

    (void)state;
    assert_true(csv_encoding_parse("windows-1252", &encoding));
    assert_int_equal(encoding, CSV_WINDOWS_1252);
    assert_false(csv_encoding_parse("latin-9", &encoding));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_hold_separators_line_breaks_and_quotes),
        cmocka_unit_test(no_value_and_an_empty_text_are_two_things),
        cmocka_unit_test(separators_are_found_outside_quotes),
        cmocka_unit_test(empty_lines_are_no_records_but_count_as_lines),
        cmocka_unit_test(a_quote_inside_an_unquoted_field_is_text),
        cmocka_unit_test(text_after_a_closing_quote_puts_only_its_record_at_fault),
        cmocka_unit_test(a_quote_that_never_closes_is_told_at_the_end),
        cmocka_unit_test(a_nul_byte_puts_its_record_at_fault),
        cmocka_unit_test(a_binary_file_is_refused),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_name),
        cmocka_unit_test(utf_16_is_read_with_and_without_its_mark),
        cmocka_unit_test(half_a_surrogate_pair_puts_its_record_at_fault),
        cmocka_unit_test(windows_1252_is_taken_where_utf_8_ends),
        cmocka_unit_test(a_stray_byte_in_a_utf_8_file_costs_one_record),
        cmocka_unit_test(a_byte_that_windows_1252_lacks_costs_one_record),
        cmocka_unit_test(marked_fields_hold_line_breaks_and_tabs),
        cmocka_unit_test(unquoted_text_goes_on_until_its_record_is_full),
        cmocka_unit_test(token_lines_become_a_text_its_clean_form_and_its_id),
        cmocka_unit_test(a_field_over_the_limit_costs_its_record_only),
        cmocka_unit_test(a_record_over_the_limit_ends_the_reading),
        cmocka_unit_test(more_fields_than_the_limit_cost_their_record),
        cmocka_unit_test(written_cells_are_quoted_where_they_must_be),
        cmocka_unit_test(only_a_file_for_spreadsheets_gets_apostrophes),
        cmocka_unit_test(a_row_that_does_not_fit_leaves_no_trace),
        cmocka_unit_test(encodings_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

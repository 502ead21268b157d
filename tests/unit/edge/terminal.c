/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/terminal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect_text(const struct buffer *out, const char *expected)
{
    char text[1024] = {0};

    assert_true(out->size < sizeof text);
    if (out->size > 0)
        memcpy(text, out->data, out->size);
    assert_string_equal(text, expected);
}

static void columns_are_as_wide_as_their_widest_text_in_code_points(void **state)
{
    static const struct terminal_column COLUMNS[] = {
        {"ID", true}, {"Name", false}, {"Note", false}};
    const char *const first[] = {"7", "Müller & Söhne", "ok"};
    const char *const second[] = {"1234", "Ann", NULL};
    struct terminal_table *table = terminal_table_create(COLUMNS, 3, 1000);
    struct buffer out;
    struct problem problem = {0};

    (void)state;
    assert_non_null(table);
    assert_int_equal(terminal_table_add(table, first, &problem), RESULT_OK);
    assert_int_equal(terminal_table_add(table, second, &problem), RESULT_OK);
    buffer_init(&out, 1000);
    assert_int_equal(terminal_table_print(table, &out, &problem), RESULT_OK);
    expect_text(&out, "  ID  Name            Note\n"
                      "   7  Müller & Söhne  ok\n"
                      "1234  Ann\n");
    buffer_done(&out);
    terminal_table_destroy(table);
}

static void row_that_does_not_fit_is_left_out_whole(void **state)
{
    static const struct terminal_column COLUMNS[] = {{"A", false}, {"B", false}};
    const char *const small[] = {"1", "2"};
    const char *const large[] = {"12", "a text that is too long"};
    struct terminal_table *table = terminal_table_create(COLUMNS, 2, 10);
    struct buffer out;
    struct problem problem = {0};

    (void)state;
    assert_non_null(table);
    assert_int_equal(terminal_table_add(table, small, &problem), RESULT_OK);
    assert_int_equal(terminal_table_add(table, large, &problem), RESULT_EXHAUSTED);
    assert_int_equal(terminal_table_add(table, small, &problem), RESULT_OK);
    buffer_init(&out, 1000);
    assert_int_equal(terminal_table_print(table, &out, &problem), RESULT_OK);
    expect_text(&out, "A  B\n1  2\n1  2\n");
    buffer_done(&out);
    buffer_init(&out, 5);
    assert_int_equal(terminal_table_print(table, &out, &problem), RESULT_EXHAUSTED);
    buffer_done(&out);
    terminal_table_destroy(table);
    terminal_table_destroy(NULL);
}

static void data_can_not_steer_the_terminal(void **state)
{
    struct buffer out;
    struct problem problem = {0};

    (void)state;
    buffer_init(&out, 1000);
    assert_int_equal(terminal_append_plain(&out,
                                           bytes_of_text("a\x1b[2Jb\nc\x7f\xc2\x9b"
                                                         "d\xe2\x80\xae"
                                                         "e\xff\xc3"),
                                           &problem),
                     RESULT_OK);
    expect_text(&out, "a\xef\xbf\xbd[2Jb\xef\xbf\xbd"
                      "c\xef\xbf\xbd\xef\xbf\xbd"
                      "d\xef\xbf\xbd"
                      "e\xef\xbf\xbd\xef\xbf\xbd");
    buffer_done(&out);
}

static void width_counts_code_points_and_stray_bytes(void **state)
{
    (void)state;
    assert_int_equal(terminal_width(bytes_of_text("")), 0);
    assert_int_equal(terminal_width(bytes_of_text("aé€😀")), 4);
    assert_int_equal(terminal_width(bytes_of_text("\xff\xc3(")), 3);
    assert_int_equal(terminal_width(bytes_of("a\0b", 3)), 3);
}

static void quoted_text_is_json_whatever_was_in_it(void **state)
{
    struct buffer out;
    struct problem problem = {0};

    (void)state;
    buffer_init(&out, 1000);
    assert_int_equal(
        terminal_append_quoted(&out, bytes_of("\"\\/\b\f\n\r\t\x01\0é\xed\xa0\x80", 15), &problem),
        RESULT_OK);
    expect_text(&out, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u0000é"
                      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    buffer_done(&out);
    buffer_init(&out, 4);
    assert_int_equal(terminal_append_quoted(&out, bytes_of_text("abc"), &problem),
                     RESULT_EXHAUSTED);
    assert_int_equal(out.size, 0);
    buffer_done(&out);
}

static void json_has_its_commas_in_every_nesting(void **state)
{
    struct terminal_json json;
    struct buffer out;
    struct problem problem = {0};

    (void)state;
    buffer_init(&out, 1000);
    terminal_json_init(&json, &out);
    terminal_json_array_begin(&json);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "id");
    terminal_json_number(&json, INT64_MIN);
    terminal_json_key(&json, "tags");
    terminal_json_array_begin(&json);
    terminal_json_text(&json, "x");
    terminal_json_text(&json, NULL);
    terminal_json_boolean(&json, false);
    terminal_json_array_end(&json);
    terminal_json_key(&json, "none");
    terminal_json_object_begin(&json);
    terminal_json_object_end(&json);
    terminal_json_object_end(&json);
    terminal_json_object_begin(&json);
    terminal_json_object_end(&json);
    terminal_json_boolean(&json, true);
    terminal_json_array_end(&json);
    assert_int_equal(terminal_json_finish(&json, &problem), RESULT_OK);
    expect_text(&out, "[{\"id\":-9223372036854775808,\"tags\":[\"x\",null,false],\"none\":{}},{},"
                      "true]\n");
    buffer_done(&out);
}

/* Every size too small is noticed, and none crashes. */
static void json_that_does_not_fit_says_so_at_the_end(void **state)
{
    static const char EXPECTED[] = "{\"a\":[1,\"two\"]}\n";
    struct problem problem = {0};

    (void)state;
    for (size_t size_max = 0; size_max <= sizeof EXPECTED - 1; size_max++) {
        struct terminal_json json;
        struct buffer out;

        buffer_init(&out, size_max);
        terminal_json_init(&json, &out);
        terminal_json_object_begin(&json);
        terminal_json_key(&json, "a");
        terminal_json_array_begin(&json);
        terminal_json_number(&json, 1);
        terminal_json_text(&json, "two");
        terminal_json_array_end(&json);
        terminal_json_object_end(&json);
        if (size_max < sizeof EXPECTED - 1) {
            assert_int_equal(terminal_json_finish(&json, &problem), RESULT_EXHAUSTED);
            assert_string_not_equal(problem.text, "");
        } else {
            assert_int_equal(terminal_json_finish(&json, &problem), RESULT_OK);
            expect_text(&out, EXPECTED);
        }
        buffer_done(&out);
    }
}

static void pipe_is_no_terminal_and_a_closed_one_is_an_answer(void **state)
{
    int ends[2];
    char read_back[8] = {0};
    struct problem problem = {0};

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_false(terminal_is_interactive(ends[1]));
    assert_false(terminal_has_color(ends[1]));
    assert_int_equal(terminal_write(ends[1], bytes_of_text("data"), &problem), RESULT_OK);
    assert_int_equal(read(ends[0], read_back, sizeof read_back), 4);
    assert_string_equal(read_back, "data");
    (void)close(ends[1]);
    assert_int_equal(terminal_write(ends[1], bytes_of_text("data"), &problem), RESULT_REFUSED);
    (void)close(ends[0]);
}

/* A pseudo-terminal stands in for the person. */
static void colour_needs_a_terminal_that_nobody_asked_to_be_plain(void **state)
{
    int descriptor = posix_openpt(O_RDWR);

    (void)state;
    if (descriptor < 0)
        skip(); /* no pseudo-terminals here */
    assert_true(terminal_is_interactive(descriptor));
    assert_int_equal(setenv("TERM", "xterm", 1), 0);
    assert_int_equal(setenv("NO_COLOR", "", 1), 0);
    assert_true(terminal_has_color(descriptor));
    assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
    assert_false(terminal_has_color(descriptor));
    assert_int_equal(unsetenv("NO_COLOR"), 0);
    assert_int_equal(setenv("TERM", "dumb", 1), 0);
    assert_false(terminal_has_color(descriptor));
    assert_int_equal(unsetenv("TERM"), 0);
    assert_false(terminal_has_color(descriptor));
    (void)close(descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_text_in_code_points),
        cmocka_unit_test(row_that_does_not_fit_is_left_out_whole),
        cmocka_unit_test(data_can_not_steer_the_terminal),
        cmocka_unit_test(width_counts_code_points_and_stray_bytes),
        cmocka_unit_test(quoted_text_is_json_whatever_was_in_it),
        cmocka_unit_test(json_has_its_commas_in_every_nesting),
        cmocka_unit_test(json_that_does_not_fit_says_so_at_the_end),
        cmocka_unit_test(pipe_is_no_terminal_and_a_closed_one_is_an_answer),
        cmocka_unit_test(colour_needs_a_terminal_that_nobody_asked_to_be_plain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define OVER(...)                                                                                  \
    reader_over(bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})))

static void expect_good(struct reader *reader)
{
    struct problem problem = {0};

    if (reader_finish(reader, &problem) != RESULT_OK)
        fail_msg("%s", problem.text);
}

static void expect_bad(struct reader *reader, const char *text)
{
    struct problem problem = {0};

    assert_true(reader_failed(reader) || reader->depth > 0 || reader_left(reader) > 0);
    assert_int_equal(reader_finish(reader, &problem), RESULT_MALFORMED);
    assert_string_equal(problem.text, text);
}

static void every_width_of_integer_is_read(void **state)
{
    struct reader reader =
        OVER(0x00, 0x7f, 0xe0, 0xff, 0xcc, 0x80, 0xcd, 0x01, 0x00, 0xce, 0xff, 0xff, 0xff, 0xff,
             0xcf, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xd0, 0x80, 0xd1, 0x80, 0x00,
             0xd2, 0x80, 0, 0, 0, 0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0, 0xd0, 0x05);
    static const int64_t VALUES[] = {0,         127,  -32,    -1,        128,       256, UINT32_MAX,
                                     INT64_MAX, -128, -32768, INT32_MIN, INT64_MIN, 5};

    (void)state;
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++)
        assert_int_equal(reader_int64(&reader, INT64_MIN, INT64_MAX), VALUES[i]);
    expect_good(&reader);
}

static void integer_past_int64_is_refused(void **state)
{
    struct reader reader = OVER(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);

    (void)state;
    assert_int_equal(reader_int64(&reader, INT64_MIN, INT64_MAX), 0);
    expect_bad(&reader, "byte 0: integer is larger than 2^63-1");
}

static void integer_out_of_range_names_value_place_and_limit(void **state)
{
    struct reader reader = OVER(0x05, 0x0b);

    (void)state;
    assert_int_equal(reader_int64(&reader, 1, 10), 5);
    assert_int_equal(reader_int64(&reader, 1, 10), 0);
    expect_bad(&reader, "byte 1: integer out of range: 11, allowed 1 to 10");
}

static void after_a_failure_everything_reads_as_zero(void **state)
{
    struct reader reader = OVER(0xa1, 'x', 0x07, 0xc3, 0xa1, 'y');
    uint8_t blob[2] = {9, 9};

    (void)state;
    assert_int_equal(reader_int64(&reader, 0, 9), 0); /* it's a text */
    assert_int_equal(reader_int64(&reader, 5, 9), 0);
    assert_false(reader_bool(&reader));
    assert_int_equal(reader_text(&reader, 9).size, 0);
    assert_int_equal(reader_blob(&reader, 9).size, 0);
    assert_int_equal(reader_raw(&reader).size, 0);
    assert_int_equal(reader_array(&reader, 9), 0);
    assert_true(reader_real(&reader) == 0.0);
    reader_fixed_blob(&reader, blob, 2);
    assert_int_equal(blob[0] | blob[1], 0);
    reader_nil(&reader);
    reader_skip(&reader);
    reader_fail(&reader, "a later one");
    assert_int_equal(reader_left(&reader), 0);
    assert_int_equal(reader_peek_kind(&reader), READER_END);
    expect_bad(&reader, "byte 0: no integer");
}

static void reals_of_both_widths_are_read_and_must_be_finite(void **state)
{
    struct reader good = OVER(0xca, 0x3f, 0xc0, 0, 0, 0xcb, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0);
    struct reader nan = OVER(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0);
    struct reader infinity = OVER(0xca, 0xff, 0x80, 0, 0);
    struct reader integer = OVER(0x01);

    (void)state;
    assert_true(reader_real(&good) == 1.5);
    assert_true(reader_real(&good) == -1.5);
    expect_good(&good);
    assert_true(reader_real(&nan) == 0.0);
    expect_bad(&nan, "byte 0: NaN or infinity");
    assert_true(reader_real(&infinity) == 0.0);
    expect_bad(&infinity, "byte 0: NaN or infinity");
    (void)reader_real(&integer);
    expect_bad(&integer, "byte 0: no floating point number");
}

static void text_must_be_utf8_without_nul_and_not_too_long(void **state)
{
    struct reader good = OVER(0xa2, 0xc3, 0xa4, 0xd9, 1, 'a', 0xda, 0, 1, 'b', 0xdb, 0, 0, 0, 0);
    struct reader overlong = OVER(0xa2, 0xc0, 0x80);
    struct reader nul = OVER(0xa1, 0x00);
    struct reader lengthy = OVER(0xa3, 'a', 'b', 'c');

    (void)state;
    assert_true(bytes_equal(reader_text(&good, 2), bytes_of_text("\xc3\xa4")));
    assert_true(bytes_equal(reader_text(&good, 1), bytes_of_text("a")));
    assert_true(bytes_equal(reader_text(&good, 1), bytes_of_text("b")));
    assert_int_equal(reader_text(&good, 0).size, 0);
    expect_good(&good);
    (void)reader_text(&overlong, 9);
    expect_bad(&overlong, "byte 0: text is not UTF-8 or holds NUL");
    (void)reader_text(&nul, 9);
    expect_bad(&nul, "byte 0: text is not UTF-8 or holds NUL");
    (void)reader_text(&lengthy, 2);
    expect_bad(&lengthy, "byte 0: text or blob of another size: 3, allowed 0 to 2");
}

static void blobs_of_every_width_and_of_an_exact_size_are_read(void **state)
{
    struct reader reader =
        OVER(0xc4, 1, 7, 0xc5, 0, 1, 8, 0xc6, 0, 0, 0, 1, 9, 0xc4, 2, 5, 6, 0xc4, 1, 1);
    uint8_t pair[2] = {0};

    (void)state;
    for (uint8_t i = 7; i <= 9; i++)
        assert_int_equal(*reader_blob(&reader, 1).data, i);
    reader_fixed_blob(&reader, pair, 2);
    assert_int_equal(pair[1], 6);
    reader_fixed_blob(&reader, pair, 2);
    assert_int_equal(pair[0] | pair[1], 0);
    expect_bad(&reader, "byte 17: text or blob of another size: 1, allowed 2 to 2");
}

static void count_is_checked_against_the_bytes_that_are_left(void **state)
{
    struct reader bomb = OVER(0xdd, 0x0a, 0xaa, 0xaa, 0xab);
    struct reader short_by_one = OVER(0x92, 0xc0);
    struct reader text = OVER(0xdb, 0xff, 0xff, 0xff, 0xff, 'a');

    (void)state;
    assert_int_equal(reader_array(&bomb, SIZE_MAX), 0);
    expect_bad(&bomb, "byte 0: size or count is more than what is left: 178956971, allowed 0 to 0");
    assert_int_equal(reader_array(&short_by_one, 9), 0);
    expect_bad(&short_by_one, "byte 0: size or count is more than what is left: 2, allowed 0 to 1");
    (void)reader_text(&text, SIZE_MAX);
    assert_true(reader_failed(&text));
}

static void count_is_checked_against_the_limit_of_the_message(void **state)
{
    struct reader reader = OVER(0x93, 1, 2, 3);
    struct reader record = OVER(0x91, 1);

    (void)state;
    assert_int_equal(reader_array(&reader, 2), 0);
    expect_bad(&reader, "byte 0: array of another count: 3, allowed 0 to 2");
    assert_int_equal(reader_record(&record, 2, 3), 0);
    expect_bad(&record, "byte 0: array of another count: 1, allowed 2 to 3");
}

static void eight_arrays_deep_is_read_and_nine_is_refused(void **state)
{
    struct reader eight = OVER(0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x05);
    struct reader nine = OVER(0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x90);
    struct reader skipped = OVER(0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0xc0);

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(reader_array(&eight, 1), 1);
    assert_int_equal(reader_int64(&eight, 0, 9), 5);
    expect_good(&eight);
    for (int i = 0; i < 9; i++)
        (void)reader_array(&nine, 1);
    expect_bad(&nine, "byte 8: too deep: 9, allowed 0 to 8");
    reader_skip(&skipped);
    expect_bad(&skipped, "byte 8: too deep: 9, allowed 0 to 8");
}

static void arrays_close_after_their_last_item(void **state)
{
    struct reader reader = OVER(0x93, 0x92, 1, 0x90, 0x91, 2, 3, 4);

    (void)state;
    assert_int_equal(reader_array(&reader, 3), 3);
    assert_int_equal(reader_array(&reader, 2), 2);
    assert_int_equal(reader_int64(&reader, 1, 1), 1);
    assert_int_equal(reader_array(&reader, 0), 0);
    assert_int_equal(reader.depth, 1);
    assert_int_equal(reader_array(&reader, 1), 1);
    assert_int_equal(reader_int64(&reader, 2, 2), 2);
    assert_int_equal(reader_int64(&reader, 3, 3), 3);
    assert_int_equal(reader.depth, 0);
    assert_int_equal(reader_int64(&reader, 4, 4), 4);
    expect_good(&reader);
}

static void bytes_and_items_that_are_left_are_refused(void **state)
{
    struct reader bytes = OVER(1, 2);
    struct reader items = OVER(0x92, 1, 2);

    (void)state;
    (void)reader_int64(&bytes, 0, 9);
    expect_bad(&bytes, "byte 1: bytes are left behind the last value: 1, allowed 0 to 0");
    (void)reader_array(&items, 2);
    (void)reader_int64(&items, 0, 9);
    expect_bad(&items, "byte 2: items are left in an array");
}

static void maps_and_extensions_are_refused_but_can_be_skipped(void **state)
{
    static const uint8_t DATA[] = {0x94, 0x82, 1, 0xc0, 2,    0x92, 3, 4,    0xd6, 1,
                                   0,    0,    0, 0,    0xc7, 1,    5, 0xaa, 0x80, 0x09};
    struct reader reader = reader_over(bytes_of(DATA, sizeof DATA));
    struct reader refused = OVER(0x81, 1, 1);

    (void)state;
    assert_int_equal(reader_array(&reader, 4), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(reader_peek_kind(&reader), READER_OTHER);
        reader_skip(&reader);
    }
    assert_int_equal(reader_int64(&reader, 0, 9), 9);
    expect_good(&reader);
    (void)reader_array(&refused, 9);
    expect_bad(&refused, "byte 0: no array");
}

static void raw_returns_one_value_with_all_inside_it(void **state)
{
    struct reader reader = OVER(0x93, 0x92, 0xa1, 'x', 0x91, 0xc0, 0xcb, 1, 2, 3, 4, 5, 6, 7, 8, 6);

    (void)state;
    (void)reader_array(&reader, 3);
    assert_int_equal(reader_raw(&reader).size, 5);
    assert_int_equal(reader_raw(&reader).size, 9);
    assert_int_equal(reader_raw(&reader).size, 1);
    expect_good(&reader);
}

static void peek_tells_kinds_apart_without_reading(void **state)
{
    struct reader reader = OVER(0xc0, 0xc2, 0xff, 0xca, 0, 0, 0, 0, 0xa0, 0xc4, 0, 0x90);
    static const enum reader_kind KINDS[] = {READER_NIL,  READER_BOOL, READER_INT,  READER_REAL,
                                             READER_TEXT, READER_BLOB, READER_ARRAY};

    (void)state;
    assert_true(reader_nil_next(&reader));
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        assert_int_equal(reader_peek_kind(&reader), KINDS[i]);
        assert_int_equal(reader_peek_kind(&reader), KINDS[i]);
        reader_skip(&reader);
    }
    assert_int_equal(reader_peek_kind(&reader), READER_END);
    assert_false(reader_nil_next(&reader));
    expect_good(&reader);
}

static void byte_c1_and_every_cut_of_a_message_are_refused(void **state)
{
    static const uint8_t DATA[] = {0x98, 0xcd, 1, 2, 0xa2, 'a', 'b', 0xc4, 2, 1,    2,    0xcb,
                                   0x3f, 0xf0, 0, 0, 0,    0,   0,   0,    0, 0x91, 0xc0, 0xc3};
    struct reader unused = OVER(0xc1);
    struct reader empty = reader_over((struct bytes){0});

    (void)state;
    for (size_t size = 0; size < sizeof DATA; size++) {
        struct reader cut = reader_over(bytes_of(DATA, size));
        struct problem problem = {0};

        reader_skip(&cut);
        assert_int_equal(reader_finish(&cut, &problem), RESULT_MALFORMED);
    }
    reader_skip(&unused);
    expect_bad(&unused, "byte 0: byte c1 starts no value");
    reader_nil(&empty);
    expect_bad(&empty, "byte 0: ends where a value is expected");
}

static void a_rule_of_the_decoder_fails_at_the_place_reached(void **state)
{
    struct reader reader = OVER(3, 2);

    (void)state;
    (void)reader_int64(&reader, 0, 9);
    (void)reader_int64(&reader, 0, 9);
    reader_fail(&reader, "columns not in order");
    expect_bad(&reader, "byte 2: columns not in order");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_of_integer_is_read),
        cmocka_unit_test(integer_past_int64_is_refused),
        cmocka_unit_test(integer_out_of_range_names_value_place_and_limit),
        cmocka_unit_test(after_a_failure_everything_reads_as_zero),
        cmocka_unit_test(reals_of_both_widths_are_read_and_must_be_finite),
        cmocka_unit_test(text_must_be_utf8_without_nul_and_not_too_long),
        cmocka_unit_test(blobs_of_every_width_and_of_an_exact_size_are_read),
        cmocka_unit_test(count_is_checked_against_the_bytes_that_are_left),
        cmocka_unit_test(count_is_checked_against_the_limit_of_the_message),
        cmocka_unit_test(eight_arrays_deep_is_read_and_nine_is_refused),
        cmocka_unit_test(arrays_close_after_their_last_item),
        cmocka_unit_test(bytes_and_items_that_are_left_are_refused),
        cmocka_unit_test(maps_and_extensions_are_refused_but_can_be_skipped),
        cmocka_unit_test(raw_returns_one_value_with_all_inside_it),
        cmocka_unit_test(peek_tells_kinds_apart_without_reading),
        cmocka_unit_test(byte_c1_and_every_cut_of_a_message_are_refused),
        cmocka_unit_test(a_rule_of_the_decoder_fails_at_the_place_reached),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

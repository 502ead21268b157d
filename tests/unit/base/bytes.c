/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void runs_of_equal_bytes_are_equal(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_of("abc", 3), bytes_of_text("abc")));
    assert_false(bytes_equal(bytes_of_text("abc"), bytes_of_text("abd")));
    assert_false(bytes_equal(bytes_of_text("abc"), bytes_of_text("ab")));
    assert_true(bytes_equal(bytes_of(NULL, 0), bytes_of_text("")));
    assert_true(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0b", 3)));
    assert_false(bytes_equal(bytes_of("a\0b", 3), bytes_of("a\0c", 3)));
}

static void order_is_bytewise_and_unsigned_then_shorter_first(void **state)
{
    static const char *const ASCENDING[] = {"", "a", "aa", "ab", "b", "\x7f", "\x80", "\xff"};
    const size_t count = sizeof ASCENDING / sizeof ASCENDING[0];

    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            int order = bytes_compare(bytes_of_text(ASCENDING[i]), bytes_of_text(ASCENDING[j]));

            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    assert_int_equal(bytes_compare(bytes_of(NULL, 0), bytes_of(NULL, 0)), 0);
}

static void buffer_keeps_all_that_is_appended_in_order(void **state)
{
    enum { PIECES = 1000 };
    struct problem problem = {0};
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, PIECES * 3);
    for (int i = 0; i < PIECES; i++) {
        uint8_t piece[3] = {(uint8_t)i, (uint8_t)(i >> 8), 7};

        assert_int_equal(buffer_append(&buffer, piece, sizeof piece, &problem), RESULT_OK);
    }
    assert_int_equal(buffer_bytes(&buffer).size, PIECES * 3);
    for (int i = 0; i < PIECES; i++) {
        const uint8_t *piece = buffer_bytes(&buffer).data + (size_t)i * 3;

        assert_int_equal(piece[0], (uint8_t)i);
        assert_int_equal(piece[1], (uint8_t)(i >> 8));
        assert_int_equal(piece[2], 7);
    }
    buffer_done(&buffer);
}

static void full_buffer_refuses_one_more_byte_and_stays_as_it_was(void **state)
{
    struct problem problem = {0};
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 5);
    assert_int_equal(buffer_append(&buffer, "12345", 5, &problem), RESULT_OK);
    assert_int_equal(buffer_append(&buffer, "6", 1, &problem), RESULT_EXHAUSTED);
    assert_string_equal(problem.text, "more than 5 bytes");
    assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of_text("12345")));
    assert_int_equal(buffer_append(&buffer, "", 0, &problem), RESULT_OK);
    buffer_reset(&buffer);
    assert_int_equal(buffer_append(&buffer, "abcdef", 6, &problem), RESULT_EXHAUSTED);
    assert_int_equal(buffer_append(&buffer, "abcde", 5, &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of_text("abcde")));
    buffer_done(&buffer);
}

static void size_that_would_overflow_is_refused(void **state)
{
    struct problem problem = {0};
    struct buffer buffer;
    uint8_t *room = NULL;

    (void)state;
    buffer_init(&buffer, 100);
    assert_int_equal(buffer_append(&buffer, "x", 1, &problem), RESULT_OK);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX, &room, &problem), RESULT_EXHAUSTED);
    assert_int_equal(buffer_reserve(&buffer, 100, &room, &problem), RESULT_EXHAUSTED);
    assert_null(room);
    assert_int_equal(buffer_reserve(&buffer, 99, &room, &problem), RESULT_OK);
    buffer_done(&buffer);
}

static void reserved_room_follows_what_is_there_and_counts_when_used(void **state)
{
    struct problem problem = {0};
    struct buffer buffer;
    uint8_t *room = NULL;

    (void)state;
    buffer_init(&buffer, 1000);
    assert_int_equal(buffer_append(&buffer, "ab", 2, &problem), RESULT_OK);
    assert_int_equal(buffer_reserve(&buffer, 900, &room, &problem), RESULT_OK);
    assert_ptr_equal(room, buffer.data + 2);
    memset(room, 'c', 900);
    assert_int_equal(buffer_bytes(&buffer).size, 2);
    buffer.size += 1;
    assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of_text("abc")));
    buffer_done(&buffer);
}

static void finished_buffer_is_empty_and_may_start_again(void **state)
{
    struct problem problem = {0};
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 10);
    buffer_done(&buffer); /* never used */
    assert_int_equal(buffer_append(&buffer, "abc", 3, &problem), RESULT_OK);
    buffer_done(&buffer);
    buffer_done(&buffer);
    assert_int_equal(buffer_bytes(&buffer).size, 0);
    assert_int_equal(buffer_append(&buffer, "0123456789", 10, &problem), RESULT_OK);
    buffer_done(&buffer);
}

/* RFC 3629, section 4: the first and the last code point of each row of its table. */
static void well_formed_utf8_is_text(void **state)
{
    static const char *const GOOD[] = {
        "",
        "plain",
        "\x01",
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xe0\xbf\xbf",
        "\xe1\x80\x80",
        "\xec\xbf\xbf",
        "\xed\x80\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf0\xbf\xbf\xbf",
        "\xf1\x80\x80\x80",
        "\xf3\xbf\xbf\xbf",
        "\xf4\x80\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "caff\xc3\xa8 \xe2\x82\xac \xf0\x9f\x94\xa7",
    };

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        if (!bytes_are_text(bytes_of_text(GOOD[i])))
            fail_msg("row %zu", i);
}

static void anything_else_is_no_text(void **state)
{
    static const struct {
        const char *data;
        size_t size;
        const char *why;
    } BAD[] = {
        {"\x00", 1, "NUL"},
        {"ab\0cd", 5, "NUL inside"},
        {"abcdefgh\0ijklmno", 16, "NUL first of eight"},
        {"abcdefg\0", 8, "NUL last of eight"},
        {"abcdefghijk\x80mno", 15, "continuation among ASCII"},
        {"\x80", 1, "continuation first"},
        {"\xbf", 1, "last continuation first"},
        {"\xc0\x80", 2, "overlong NUL"},
        {"\xc1\xbf", 2, "overlong 7F"},
        {"\xc2", 1, "cut after one of two"},
        {"\xc2\x80", 1, "cut, and the rest lies behind the end"},
        {"\xf1\x80\x80\x80", 3, "cut, and the last lies behind the end"},
        {"\xc2\x7f", 2, "second below 80"},
        {"\xc2\xc0", 2, "second above BF"},
        {"\xe0\x80\x80", 3, "overlong in three"},
        {"\xe0\x9f\xbf", 3, "overlong 7FF"},
        {"\xe1\x80", 2, "cut after two of three"},
        {"\xe1\x80\x2f", 3, "third below 80"},
        {"\xe1\x80\xc0", 3, "third above BF"},
        {"\xed\xa0\x80", 3, "first surrogate"},
        {"\xed\xbf\xbf", 3, "last surrogate"},
        {"\xf0\x80\x80\x80", 4, "overlong in four"},
        {"\xf0\x8f\xbf\xbf", 4, "overlong FFFF"},
        {"\xf1\x80\x80", 3, "cut after three of four"},
        {"\xf1\x80\x80\x00", 4, "NUL as fourth"},
        {"\xf4\x90\x80\x80", 4, "110000"},
        {"\xf5\x80\x80\x80", 4, "first byte F5"},
        {"\xfe", 1, "FE"},
        {"\xff", 1, "FF"},
        {"good \xe2\x82\xac then \xe2\x82", 16, "cut at the end of a good text"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        if (bytes_are_text(bytes_of(BAD[i].data, BAD[i].size)))
            fail_msg("%s", BAD[i].why);
}

static void hex_goes_there_and_back(void **state)
{
    uint8_t all[256];
    uint8_t again[256] = {0};
    char text[2 * sizeof all + 1];

    (void)state;
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    bytes_to_hex(bytes_of(all, sizeof all), text);
    assert_int_equal(strlen(text), 2 * sizeof all);
    assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f10", 34);
    assert_true(bytes_from_hex(text, again, sizeof again));
    assert_memory_equal(again, all, sizeof all);
    bytes_to_hex(bytes_of(NULL, 0), text);
    assert_string_equal(text, "");
}

static void hex_of_wrong_length_or_with_other_letters_is_refused(void **state)
{
    static const char *const BAD[] = {"",     "0",    "012",  "01234", "0g12",      "0G12",
                                      "g012", "01 2", "-123", "0x12",  "01\xc3\xa8"};
    uint8_t two[2] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        if (bytes_from_hex(BAD[i], two, sizeof two))
            fail_msg("'%s'", BAD[i]);
    assert_true(bytes_from_hex("aFb9", two, sizeof two));
    assert_int_equal(two[0], 0xaf);
    assert_int_equal(two[1], 0xb9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_equal_bytes_are_equal),
        cmocka_unit_test(order_is_bytewise_and_unsigned_then_shorter_first),
        cmocka_unit_test(buffer_keeps_all_that_is_appended_in_order),
        cmocka_unit_test(full_buffer_refuses_one_more_byte_and_stays_as_it_was),
        cmocka_unit_test(size_that_would_overflow_is_refused),
        cmocka_unit_test(reserved_room_follows_what_is_there_and_counts_when_used),
        cmocka_unit_test(finished_buffer_is_empty_and_may_start_again),
        cmocka_unit_test(well_formed_utf8_is_text),
        cmocka_unit_test(anything_else_is_no_text),
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(hex_of_wrong_length_or_with_other_letters_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

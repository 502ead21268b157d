/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/numbers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect_both_ways(const char *prefix, int64_t counter, const char *text)
{
    struct problem problem = {0};
    struct number number = {0};
    char shown[NUMBER_TEXT_SIZE];

    assert_int_equal(number_format(prefix, counter, shown, &problem), RESULT_OK);
    assert_string_equal(shown, text);
    assert_int_equal(number_parse(text, &number, &problem), RESULT_OK);
    assert_string_equal(number.prefix, prefix);
    assert_int_equal(number.counter, counter);
}

static void numbers_are_written_and_read_in_one_spelling(void **state)
{
    (void)state;
    expect_both_ways("T07", 123, "T07-000123");
    expect_both_ways("2026", 123, "2026-000123");
    expect_both_ways("T07", 999999, "T07-999999");
    expect_both_ways("T07", 1000000, "T07-1000000");
    expect_both_ways("ABCDEFGH", NUMBER_COUNTER_MAX, "ABCDEFGH-999999999999");
}

static void other_spellings_are_refused(void **state)
{
    static const char *const BAD[] = {
        "",
        "T07",
        "T07-",
        "T07-123",
        "T07-0000123",
        "T07-000000",
        "t07-000123",
        "-000123",
        "T07-00012a",
        "T07-000123 ",
        "T07--00123",
        "T 7-000123",
        "T07-+00123",
        "ABCDEFGHI-000123",
        "T07-1000000000000",
        "T07-00000000000000000000000000000000000001",
        " T07-000123",
    };
    struct problem problem = {0};
    struct number number = {.counter = 42};

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        assert_int_equal(number_parse(BAD[i], &number, &problem), RESULT_REFUSED);
    assert_int_equal(number.counter, 42);
}

static void bad_prefixes_and_counters_are_refused(void **state)
{
    struct problem problem = {0};
    char text[NUMBER_TEXT_SIZE] = "same";

    (void)state;
    assert_int_equal(number_format("", 1, text, &problem), RESULT_REFUSED);
    assert_int_equal(number_format("T-7", 1, text, &problem), RESULT_REFUSED);
    assert_int_equal(number_format("ABCDEFGHI", 1, text, &problem), RESULT_REFUSED);
    assert_int_equal(number_format("T07", 0, text, &problem), RESULT_REFUSED);
    assert_int_equal(number_format("T07", NUMBER_COUNTER_MAX + 1, text, &problem), RESULT_REFUSED);
    assert_string_equal(text, "same");
}

static void taking_a_number_advances_the_series(void **state)
{
    struct problem problem = {0};
    char text[NUMBER_TEXT_SIZE];
    int64_t next = 123;

    (void)state;
    assert_int_equal(number_take("T07", &next, text, &problem), RESULT_OK);
    assert_string_equal(text, "T07-000123");
    assert_int_equal(number_take("T07", &next, text, &problem), RESULT_OK);
    assert_string_equal(text, "T07-000124");
    assert_int_equal(number_take("t", &next, text, &problem), RESULT_REFUSED);
    assert_int_equal(next, 125);
}

static void a_used_up_series_says_so(void **state)
{
    struct problem problem = {0};
    char text[NUMBER_TEXT_SIZE];
    int64_t next = NUMBER_COUNTER_MAX;

    (void)state;
    assert_int_equal(number_take("T07", &next, text, &problem), RESULT_OK);
    assert_int_equal(number_take("T07", &next, text, &problem), RESULT_EXHAUSTED);
    assert_int_equal(number_resume(NUMBER_COUNTER_MAX, 5, &next, &problem), RESULT_EXHAUSTED);
}

static void after_a_reinstall_no_number_is_given_twice(void **state)
{
    struct problem problem = {0};
    int64_t next = 0;

    (void)state;
    assert_int_equal(number_resume(123, 120, &next, &problem), RESULT_OK);
    assert_int_equal(next, 124);
    assert_int_equal(number_resume(120, 123, &next, &problem), RESULT_OK);
    assert_int_equal(next, 124);
    assert_int_equal(number_resume(0, 0, &next, &problem), RESULT_OK);
    assert_int_equal(next, 1);
    assert_int_equal(number_resume(-5, INT64_MIN, &next, &problem), RESULT_OK);
    assert_int_equal(next, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_and_read_in_one_spelling),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(bad_prefixes_and_counters_are_refused),
        cmocka_unit_test(taking_a_number_advances_the_series),
        cmocka_unit_test(a_used_up_series_says_so),
        cmocka_unit_test(after_a_reinstall_no_number_is_given_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void whole_numbers_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t number;
    } CASES[] = {
        {"0", 0},
        {"42", 42},
        {"-7", -7},
        {"+7", 7},
        {"007", 7},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    int64_t number = 0;

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_true(number_read(CASES[i].text, &number));
        assert_true(number == CASES[i].number);
        assert_true(number_or_zero(CASES[i].text) == CASES[i].number);
    }
}

static void anything_else_leaves_the_number_untouched(void **state)
{
    static const char *const TEXTS[] = {
        "", "-", "x", "12x", "12 ", "1.5", "0x10", "9223372036854775808", "-9223372036854775809",
    };
    int64_t number = 4711;

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        assert_false(number_read(TEXTS[i], &number));
        assert_int_equal(number, 4711);
        assert_int_equal(number_or_zero(TEXTS[i]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read),
        cmocka_unit_test(anything_else_leaves_the_number_untouched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

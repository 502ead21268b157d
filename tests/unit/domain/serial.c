/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/serial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect_normal(const char *typed, const char *normal)
{
    struct problem problem = {0};
    struct serial serial = {0};

    assert_int_equal(serial_normalise(bytes_of_text(typed), &serial, &problem), RESULT_OK);
    assert_string_equal(serial.text, normal);
}

static void expect_refused(struct bytes typed)
{
    struct problem problem = {0};
    struct serial serial = {.text = "untouched"};

    assert_int_equal(serial_normalise(typed, &serial, &problem), RESULT_REFUSED);
    assert_string_equal(serial.text, "untouched");
}

static void case_spaces_and_dashes_make_no_difference(void **state)
{
    (void)state;
    expect_normal("ab-12 34", "AB1234");
    expect_normal("AB1234", "AB1234");
    expect_normal("  aB\t12--34 ", "AB1234");
    expect_normal("ab\xe2\x80\x93"
                  "12\xc2\xa0"
                  "34",
                  "AB1234"); /* en dash, no-break space */
}

static void a_serial_is_never_read_as_a_number(void **state)
{
    (void)state;
    expect_normal("1E217", "1E217");
    expect_normal("1e217", "1E217");
    expect_normal("000123", "000123");
    expect_normal("1.50", "1.50");
    expect_normal("+5", "+5");
}

static void other_scripts_stay_as_they_are(void **state)
{
    (void)state;
    expect_normal("\xc3\xa9-7", "\xc3\xa9"
                                "7");
    expect_normal("\xd0\x96/2", "\xd0\x96/2");
}

static void what_is_no_serial_is_refused(void **state)
{
    (void)state;
    expect_refused(bytes_of_text(""));
    expect_refused(bytes_of_text(" - - "));
    expect_refused(bytes_of_text("ab\n12"));
    expect_refused(bytes_of_text("ab\x7f"));
    expect_refused(bytes_of("ab\0c", 4));
    expect_refused(bytes_of_text("ab\xff"));
    expect_refused(bytes_of_text("\xe2\x80"));
}

static void the_limits_are_on_the_normal_form_and_on_the_typed_text(void **state)
{
    char text[SERIAL_TEXT_SIZE_MAX + 1];
    struct problem problem = {0};
    struct serial serial = {0};

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(serial_normalise(bytes_of(text, SERIAL_SIZE_MAX), &serial, &problem),
                     RESULT_OK);
    assert_int_equal(strlen(serial.text), SERIAL_SIZE_MAX);
    expect_refused(bytes_of(text, SERIAL_SIZE_MAX + 1));
    memset(text, '-', SERIAL_SIZE_MAX);
    assert_int_equal(serial_normalise(bytes_of(text, SERIAL_TEXT_SIZE_MAX), &serial, &problem),
                     RESULT_OK);
    expect_refused(bytes_of(text, SERIAL_TEXT_SIZE_MAX + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_spaces_and_dashes_make_no_difference),
        cmocka_unit_test(a_serial_is_never_read_as_a_number),
        cmocka_unit_test(other_scripts_stay_as_they_are),
        cmocka_unit_test(what_is_no_serial_is_refused),
        cmocka_unit_test(the_limits_are_on_the_normal_form_and_on_the_typed_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

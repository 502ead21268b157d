/* SPDX-License-Identifier: Apache-2.0 */
#include "base/instant.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *text;
    int64_t us;
} MOMENTS[] = {
    /* seconds checked with `date -u -d TEXT +%s` */
    {"1970-01-01T00:00:00.000000Z", 0},
    {"1970-01-01T00:00:00.000001Z", 1},
    {"1969-12-31T23:59:59.999999Z", -1},
    {"1969-12-31T23:59:59.000000Z", -INT64_C(1000000)},
    {"1969-12-31T00:00:00.000000Z", -INT64_C(86400000000)},
    {"0000-01-01T00:00:00.000000Z", -INT64_C(62167219200000000)},
    {"0001-01-01T00:00:00.000000Z", -INT64_C(62135596800000000)},
    {"1582-10-10T12:00:00.000000Z", -INT64_C(12219681600000000)},
    {"1900-02-28T23:59:59.000000Z", -INT64_C(2203891201000000)},
    {"1900-03-01T00:00:00.000000Z", -INT64_C(2203891200000000)},
    {"2000-02-29T12:34:56.789012Z", INT64_C(951827696789012)},
    {"2024-02-29T23:59:59.999999Z", INT64_C(1709251199999999)},
    {"2026-11-23T15:54:00.123456Z", INT64_C(1795449240123456)},
    {"2038-01-19T03:14:08.000000Z", INT64_C(2147483648000000)},
    {"2099-12-31T23:59:59.000000Z", INT64_C(4102444799000000)},
    {"2100-03-01T00:00:00.000000Z", INT64_C(4107542400000000)},
    {"9999-12-31T23:59:59.999999Z", INT64_C(253402300799999999)},
};

static void known_moments_are_written_and_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof MOMENTS / sizeof MOMENTS[0]; i++) {
        char text[WALL_TEXT_SIZE];
        struct wall_time read = {77};

        wall_time_format((struct wall_time){MOMENTS[i].us}, text);
        assert_string_equal(text, MOMENTS[i].text);
        assert_true(wall_time_parse(MOMENTS[i].text, &read));
        assert_true(read.us == MOMENTS[i].us);
    }
}

/* A step that is coprime to days and years visits every month end and leap rule. */
static void every_moment_comes_back_the_same(void **state)
{
    const int64_t first_us = -INT64_C(62167219200000000);
    const int64_t last_us = INT64_C(253402300799999999);
    const int64_t step_us = INT64_C(9999999999999); /* 115.7 days */

    (void)state;
    for (int64_t us = first_us; us <= last_us; us += step_us) {
        char text[WALL_TEXT_SIZE];
        struct wall_time read = {0};

        wall_time_format((struct wall_time){us}, text);
        assert_true(wall_time_parse(text, &read));
        assert_true(read.us == us);
    }
}

static void texts_sort_like_the_times(void **state)
{
    char before[WALL_TEXT_SIZE] = "";

    (void)state;
    for (int64_t us = -INT64_C(62167219200000000); us <= INT64_C(253402300799999999);
         us += INT64_C(77777777777777)) {
        char text[WALL_TEXT_SIZE];

        wall_time_format((struct wall_time){us}, text);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof text);
    }
}

static void years_before_0_and_after_9999_are_shown_as_the_nearest(void **state)
{
    char text[WALL_TEXT_SIZE];

    (void)state;
    wall_time_format((struct wall_time){-INT64_C(62167219201000000)}, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
    wall_time_format((struct wall_time){-INT64_C(9223372036854000000)}, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
    wall_time_format((struct wall_time){INT64_C(253402300800000000)}, text);
    assert_string_equal(text, "9999-12-31T23:59:59.000000Z");
    wall_time_format((struct wall_time){INT64_MAX}, text);
    assert_memory_equal(text, "9999-12-31T23:59:59.", 20);
}

static void fraction_has_up_to_six_digits(void **state)
{
    struct wall_time read = {0};

    (void)state;
    assert_true(wall_time_parse("1970-01-01T00:00:01Z", &read));
    assert_true(read.us == 1000000);
    assert_true(wall_time_parse("1970-01-01T00:00:01.5Z", &read));
    assert_true(read.us == 1500000);
    assert_true(wall_time_parse("1970-01-01T00:00:01.034Z", &read));
    assert_true(read.us == 1034000);
    assert_true(wall_time_parse("1969-12-31T23:59:59.25Z", &read));
    assert_true(read.us == -750000);
}

static void everything_else_is_refused_and_leaves_the_output_alone(void **state)
{
    static const char *const BAD[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T15:54:00",          /* no zone */
        "2026-11-23T15:54:00+00:00",    /* another zone */
        "2026-11-23t15:54:00z",         /* lower case */
        "2026-11-23 15:54:00Z",         /* a space */
        " 2026-11-23T15:54:00Z",        /* before */
        "2026-11-23T15:54:00Z ",        /* after */
        "2026-11-23T15:54:00ZZ",        /* after */
        "2026-11-23T15:54Z",            /* no seconds */
        "26-11-23T15:54:00Z",           /* short year */
        "-026-11-23T15:54:00Z",         /* sign */
        "+2026-11-23T15:54:00Z",        /* sign */
        "12026-11-23T15:54:00Z",        /* long year */
        "2026-1-23T15:54:00Z",          /* short month */
        "2026-00-23T15:54:00Z",         /* month 0 */
        "2026-13-23T15:54:00Z",         /* month 13 */
        "2026-11-00T15:54:00Z",         /* day 0 */
        "2026-11-31T15:54:00Z",         /* 31 November */
        "2026-02-29T15:54:00Z",         /* no leap year */
        "1900-02-29T15:54:00Z",         /* no leap year: a century */
        "2024-02-30T15:54:00Z",         /* 30 February */
        "2026-11-23T24:00:00Z",         /* hour 24 */
        "2026-11-23T15:60:00Z",         /* minute 60 */
        "2026-11-23T15:54:60Z",         /* leap second: our clock has none */
        "2026-11-23T15:54:00.1234567Z", /* seven digits */
        "2026-11-23T15:54:00,5Z",       /* comma */
        "2026-11-23T15:54:00.-5Z",      /* sign in the fraction */
        "2026-11-23T15:54:00.5",        /* no zone after the fraction */
    };

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct wall_time read = {77};

        if (wall_time_parse(BAD[i], &read) || read.us != 77)
            fail_msg("'%s'", BAD[i]);
    }
}

static void deadline_is_due_from_its_instant_on(void **state)
{
    (void)state;
    assert_false(mono_is_due((struct mono_time){10}, (struct mono_time){9}));
    assert_true(mono_is_due((struct mono_time){10}, (struct mono_time){10}));
    assert_true(mono_is_due((struct mono_time){10}, (struct mono_time){11}));
    assert_false(mono_is_due(MONO_NEVER, (struct mono_time){INT64_MAX - 1}));
}

static void far_deadline_is_never_instead_of_an_overflow(void **state)
{
    (void)state;
    assert_true(mono_after((struct mono_time){5}, SECONDS(2)).us == 2000005);
    assert_true(mono_after((struct mono_time){5}, -3).us == 2);
    assert_true(mono_after((struct mono_time){INT64_MAX - 5}, 5).us == INT64_MAX);
    assert_true(mono_after((struct mono_time){INT64_MAX - 5}, 6).us == MONO_NEVER.us);
    assert_true(mono_after(MONO_NEVER, HOURS(1)).us == MONO_NEVER.us);
    assert_true(mono_after((struct mono_time){-5}, INT64_MAX).us == INT64_MAX - 5);
}

static void earlier_of_two_and_never_is_last(void **state)
{
    (void)state;
    assert_true(mono_earlier((struct mono_time){1}, (struct mono_time){2}).us == 1);
    assert_true(mono_earlier((struct mono_time){2}, (struct mono_time){1}).us == 1);
    assert_true(mono_earlier(MONO_NEVER, (struct mono_time){3}).us == 3);
    assert_true(mono_earlier(MONO_NEVER, MONO_NEVER).us == INT64_MAX);
}

static void units_are_microseconds(void **state)
{
    (void)state;
    assert_true(MILLISECONDS(3) == 3000);
    assert_true(SECONDS(3) == 3000 * MILLISECONDS(1));
    assert_true(MINUTES(3) == 180 * SECONDS(1));
    assert_true(HOURS(24 * 365) == INT64_C(31536000) * SECONDS(1)); /* wider than an int */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_moments_are_written_and_read),
        cmocka_unit_test(every_moment_comes_back_the_same),
        cmocka_unit_test(texts_sort_like_the_times),
        cmocka_unit_test(years_before_0_and_after_9999_are_shown_as_the_nearest),
        cmocka_unit_test(fraction_has_up_to_six_digits),
        cmocka_unit_test(everything_else_is_refused_and_leaves_the_output_alone),
        cmocka_unit_test(deadline_is_due_from_its_instant_on),
        cmocka_unit_test(far_deadline_is_never_instead_of_an_overflow),
        cmocka_unit_test(earlier_of_two_and_never_is_last),
        cmocka_unit_test(units_are_microseconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

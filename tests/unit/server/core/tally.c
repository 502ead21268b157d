/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct mono_time at(int64_t us)
{
    return (struct mono_time){HOURS(100) + us};
}

static void the_first_of_an_hour_have_lines_and_the_rest_a_count(void **state)
{
    struct tally tally = {0};
    int64_t lines = 0;

    (void)state;
    for (int64_t i = 0; i < 1000000; i++)
        lines += tally_add(&tally, TALLY_LOGIN, at(i)) ? 1 : 0;
    assert_int_equal(lines, TALLY_LINES_HOUR_MAX);
    assert_int_equal(tally_take(&tally, TALLY_LOGIN, at(MINUTES(59)), false), 0);
    assert_int_equal(tally_deadline(&tally).us, at(HOURS(1)).us);
    assert_int_equal(tally_take(&tally, TALLY_LOGIN, at(HOURS(1)), false),
                     1000000 - TALLY_LINES_HOUR_MAX);
    assert_int_equal(tally_take(&tally, TALLY_LOGIN, at(HOURS(1)), false), 0);
    assert_int_equal(tally_deadline(&tally).us, MONO_NEVER.us);
}

static void the_next_hour_begins_anew(void **state)
{
    struct tally tally = {0};

    (void)state;
    for (int64_t i = 0; i < TALLY_LINES_HOUR_MAX; i++)
        assert_true(tally_add(&tally, TALLY_CODE, at(0)));
    assert_false(tally_add(&tally, TALLY_CODE, at(1)));
    assert_true(tally_add(&tally, TALLY_LOGIN, at(1))); /* the other kinds have their own */
    assert_int_equal(tally_take(&tally, TALLY_CODE, at(HOURS(1)), false), 1);
    assert_true(tally_add(&tally, TALLY_CODE, at(HOURS(1))));
}

/* Whoever goes on without a pause gets no more lines than one who stops for a while. */
static void what_waits_to_be_said_keeps_the_hour_closed(void **state)
{
    struct tally tally = {0};

    (void)state;
    for (int64_t i = 0; i < TALLY_LINES_HOUR_MAX + 5; i++)
        (void)tally_add(&tally, TALLY_CODE, at(0));
    assert_false(tally_add(&tally, TALLY_CODE, at(HOURS(2))));
    assert_int_equal(tally_take(&tally, TALLY_CODE, at(HOURS(2)), false), 6);
}

static void a_stop_says_what_is_left(void **state)
{
    struct tally tally = {0};

    (void)state;
    for (int64_t i = 0; i < TALLY_LINES_HOUR_MAX + 3; i++)
        (void)tally_add(&tally, TALLY_LOGIN_THROTTLED, at(0));
    assert_int_equal(tally_take(&tally, TALLY_LOGIN_THROTTLED, at(1), true), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_an_hour_have_lines_and_the_rest_a_count),
        cmocka_unit_test(the_next_hour_begins_anew),
        cmocka_unit_test(what_waits_to_be_said_keeps_the_hour_closed),
        cmocka_unit_test(a_stop_says_what_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

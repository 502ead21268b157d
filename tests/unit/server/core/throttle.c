/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/throttle.h"
#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ANNA = 1, FAR = 1000000 };

static const struct throttle_options OPTIONS = {
    .per_minute = {[THROTTLE_CHANGES] = 600, [THROTTLE_SESSIONS] = 1, [THROTTLE_MESSAGES] = 60}};

static struct mono_time at(int64_t us)
{
    return (struct mono_time){SECONDS(1000) + us};
}

static void a_minutes_worth_may_be_spent_at_once_and_fills_again(void **state)
{
    struct throttle throttle;

    (void)state;
    throttle_init(&throttle, &OPTIONS);
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(0)), 0);
    throttle_spend(&throttle, THROTTLE_CHANGES, ANNA, 599, at(0));
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(0)), 0);
    throttle_spend(&throttle, THROTTLE_CHANGES, ANNA, 1, at(0));
    assert_int_not_equal(throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(0)), 0);
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(MILLISECONDS(200))), 0);
    throttle_spend(&throttle, THROTTLE_CHANGES, ANNA, 602, at(MINUTES(10)));
    assert_int_not_equal(throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(MINUTES(10))), 0);
    throttle_done(&throttle);
}

/* One large seal passes, and is paid for afterwards: the wait that was told is long enough. */
static void what_was_spent_beyond_it_is_waited_for(void **state)
{
    struct throttle throttle;
    int64_t wait_ms = 0;

    (void)state;
    throttle_init(&throttle, &OPTIONS);
    throttle_spend(&throttle, THROTTLE_CHANGES, ANNA, 600 * 4, at(0));
    wait_ms = throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(0));
    assert_in_range(wait_ms, 175 * 1000, 182 * 1000);
    assert_int_equal(
        throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(MILLISECONDS(wait_ms) + SECONDS(5))),
        0);
    throttle_spend(&throttle, THROTTLE_CHANGES, ANNA, 600 * 1000, at(MINUTES(60)));
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(MINUTES(60))),
                     LIMIT_RETRY_AFTER_MS_MAX);
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_CHANGES, ANNA, at(MINUTES(71))), 0);
    throttle_done(&throttle);
}

/* Asking again and again doesn't keep it from filling. */
static void small_steps_of_time_add_up(void **state)
{
    struct throttle throttle;

    (void)state;
    throttle_init(&throttle, &OPTIONS);
    throttle_spend(&throttle, THROTTLE_SESSIONS, ANNA, 2, at(0));
    for (int64_t ms = 0; ms < 59000; ms += 7)
        assert_int_not_equal(
            throttle_wait_ms(&throttle, THROTTLE_SESSIONS, ANNA, at(MILLISECONDS(ms))), 0);
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_SESSIONS, ANNA, at(SECONDS(61))), 0);
    throttle_done(&throttle);
}

static void one_device_does_not_spend_for_another(void **state)
{
    struct throttle throttle;

    (void)state;
    throttle_init(&throttle, &OPTIONS);
    throttle_spend(&throttle, THROTTLE_MESSAGES, ANNA, 1000, at(0));
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_MESSAGES, FAR, at(0)), 0);
    throttle_spend(&throttle, THROTTLE_MESSAGES, FAR, 60, at(0));
    assert_int_not_equal(throttle_wait_ms(&throttle, THROTTLE_MESSAGES, FAR, at(0)), 0);
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_MESSAGES, ANNA + 1, at(0)), 0);
    throttle_done(&throttle);
}

static void without_a_limit_nobody_waits(void **state)
{
    struct throttle throttle;

    (void)state;
    throttle_init(&throttle, &OPTIONS);
    throttle_spend(&throttle, THROTTLE_BYTES, ANNA, INT64_MAX / 2, at(0));
    assert_int_equal(throttle_wait_ms(&throttle, THROTTLE_BYTES, ANNA, at(0)), 0);
    assert_int_equal(throttle.meter_count, 0);
    throttle_done(&throttle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minutes_worth_may_be_spent_at_once_and_fills_again),
        cmocka_unit_test(what_was_spent_beyond_it_is_waited_for),
        cmocka_unit_test(small_steps_of_time_add_up),
        cmocka_unit_test(one_device_does_not_spend_for_another),
        cmocka_unit_test(without_a_limit_nobody_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

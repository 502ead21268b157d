/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/clock.h"
#include "edge/entropy.h"

#include <string.h>
#include <time.h>

static void waiting_time_never_goes_back_and_counts_microseconds(void **state)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    struct mono_time start = clock_mono_now();
    struct mono_time before = start;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct mono_time now = clock_mono_now();

        assert_true(now.us >= before.us);
        before = now;
    }
    assert_int_equal(nanosleep(&pause, NULL), 0);
    before = clock_mono_now();
    assert_true(before.us - start.us >= MILLISECONDS(20));
    assert_true(before.us - start.us < SECONDS(60));
}

static void stamping_time_is_that_of_the_system(void **state)
{
    int64_t system_s = (int64_t)time(NULL);
    struct wall_time now = clock_wall_now();

    (void)state;
    assert_true(now.us >= SECONDS(system_s - 2) && now.us <= SECONDS(system_s + 2));
}

static void entropy_fills_every_byte_and_no_more(void **state)
{
    uint8_t bytes[67];
    uint8_t seen[sizeof bytes] = {0};

    (void)state;
    for (int round = 0; round < 20; round++) { /* a byte stays 0 in all with chance 2^-160 */
        memset(bytes, 0, sizeof bytes);
        entropy_fill(bytes + 1, sizeof bytes - 2);
        for (size_t i = 0; i < sizeof bytes; i++)
            seen[i] |= bytes[i];
    }
    assert_int_equal(seen[0], 0);
    assert_int_equal(seen[sizeof bytes - 1], 0);
    for (size_t i = 1; i < sizeof bytes - 1; i++)
        assert_int_not_equal(seen[i], 0);
    entropy_fill(bytes, 0);
}

static void entropy_does_not_repeat(void **state)
{
    (void)state;
    assert_true(entropy_seed() != entropy_seed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_time_never_goes_back_and_counts_microseconds),
        cmocka_unit_test(stamping_time_is_that_of_the_system),
        cmocka_unit_test(entropy_fills_every_byte_and_no_more),
        cmocka_unit_test(entropy_does_not_repeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

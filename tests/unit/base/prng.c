/* SPDX-License-Identifier: Apache-2.0 */
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* xoshiro256** 1.0, reference code by Blackman and Vigna, started at state {1, 2, 3, 4}. */
static void known_state_gives_the_published_numbers(void **state)
{
    static const uint64_t PUBLISHED[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    struct prng prng = {{1, 2, 3, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof PUBLISHED / sizeof PUBLISHED[0]; i++)
        assert_true(prng_next(&prng) == PUBLISHED[i]);
}

/* splitmix64.c by Vigna: the first outputs for seed 1234567, as widely published. */
static void seed_is_spread_by_splitmix64(void **state)
{
    static const uint64_t PUBLISHED[4] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431)};
    struct prng prng;

    (void)state;
    prng_init(&prng, 1234567);
    for (size_t i = 0; i < 4; i++)
        assert_true(prng.state[i] == PUBLISHED[i]);
}

static void same_seed_repeats_and_other_seed_differs(void **state)
{
    struct prng first;
    struct prng again;
    struct prng other;
    int equal_count = 0;

    (void)state;
    prng_init(&first, 8231);
    prng_init(&again, 8231);
    prng_init(&other, 8232);
    for (int i = 0; i < 1000; i++) {
        uint64_t drawn = prng_next(&first);

        assert_true(prng_next(&again) == drawn);
        equal_count += prng_next(&other) == drawn;
    }
    assert_int_equal(equal_count, 0);
}

static void seed_zero_is_as_good_as_any(void **state)
{
    struct prng prng;

    (void)state;
    prng_init(&prng, 0);
    assert_false(prng.state[0] == 0 && prng.state[1] == 0);
    assert_false(prng_next(&prng) == prng_next(&prng));
}

static void below_stays_below_and_reaches_every_value(void **state)
{
    enum { BOUND = 7, DRAWS = 70000 };
    int counts[BOUND] = {0};
    struct prng prng;

    (void)state;
    prng_init(&prng, 1);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t drawn = prng_below(&prng, BOUND);

        assert_true(drawn < BOUND);
        counts[drawn]++;
    }
    for (int i = 0; i < BOUND; i++)
        assert_in_range(counts[i], DRAWS / BOUND * 95 / 100, DRAWS / BOUND * 105 / 100);
}

static void below_one_is_zero(void **state)
{
    struct prng prng;

    (void)state;
    prng_init(&prng, 5);
    for (int i = 0; i < 100; i++)
        assert_true(prng_below(&prng, 1) == 0);
}

/* With a bound of 3 * 2^62 a plain modulo would draw the lowest third twice as often. */
static void huge_bound_is_drawn_without_bias(void **state)
{
    enum { DRAWS = 30000 };
    const uint64_t third = UINT64_C(1) << 62;
    int low_count = 0;
    struct prng prng;

    (void)state;
    prng_init(&prng, 2);
    for (int i = 0; i < DRAWS; i++)
        low_count += prng_below(&prng, 3 * third) < third;
    assert_in_range(low_count, DRAWS / 3 * 95 / 100, DRAWS / 3 * 105 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_state_gives_the_published_numbers),
        cmocka_unit_test(seed_is_spread_by_splitmix64),
        cmocka_unit_test(same_seed_repeats_and_other_seed_differs),
        cmocka_unit_test(seed_zero_is_as_good_as_any),
        cmocka_unit_test(below_stays_below_and_reaches_every_value),
        cmocka_unit_test(below_one_is_zero),
        cmocka_unit_test(huge_bound_is_drawn_without_bias),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

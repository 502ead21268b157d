/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/attempts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t SEED[ATTEMPTS_SEED_SIZE] = {7, 1, 9};

static struct mono_time at(int64_t us)
{
    return (struct mono_time){HOURS(100) + us};
}

static int setup(void **state)
{
    struct attempts *attempts = malloc(sizeof *attempts);

    assert_non_null(attempts);
    attempts_init(attempts, SEED);
    *state = attempts;
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void after_ten_wrong_ones_a_login_waits(void **state)
{
    char address[32];
    int64_t wait_ms = 0;

    for (int i = 0; i < ATTEMPTS_LOGIN_MAX; i++) {
        (void)snprintf(address, sizeof address, "192.0.2.%d", i);
        assert_int_equal(attempts_take(*state, address, "anna", at(0)), 0);
    }
    wait_ms = attempts_take(*state, "192.0.2.99", "anna", at(0));
    assert_in_range(wait_ms, 29000, 30001);
    assert_int_equal(attempts_take(*state, "192.0.2.99", "bruno", at(0)), 0);
    assert_int_not_equal(attempts_take(*state, "192.0.2.99", "anna", at(SECONDS(29))), 0);
    assert_int_equal(attempts_take(*state, "192.0.2.99", "anna", at(MILLISECONDS(wait_ms))), 0);
    assert_int_not_equal(attempts_take(*state, "192.0.2.99", "anna", at(SECONDS(31))), 0);
}

/* Guessing one password for many logins is no way round. */
static void after_thirty_wrong_ones_an_address_waits(void **state)
{
    char login[32];

    for (int i = 0; i < ATTEMPTS_ADDRESS_MAX; i++) {
        (void)snprintf(login, sizeof login, "user%d", i);
        assert_int_equal(attempts_take(*state, "192.0.2.1", login, at(0)), 0);
    }
    assert_in_range(attempts_take(*state, "192.0.2.1", "anna", at(0)), 5000, 6001);
    assert_int_equal(attempts_take(*state, "192.0.2.2", "anna", at(0)), 0);
}

static void what_is_right_costs_nothing(void **state)
{
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(attempts_take(*state, "192.0.2.1", "anna", at(0)), 0);
        attempts_give_back(*state, "192.0.2.1", "anna", true, at(0));
    }
}

static void who_locks_a_login_does_not_lock_out_its_owner(void **state)
{
    char address[32];

    assert_int_equal(attempts_take(*state, "192.0.2.1", "anna", at(0)), 0);
    attempts_give_back(*state, "192.0.2.1", "anna", true, at(0));
    for (int i = 0; i < 100; i++) {
        (void)snprintf(address, sizeof address, "198.51.100.%d", i);
        (void)attempts_take(*state, address, "anna", at(SECONDS(1)));
    }
    assert_int_not_equal(attempts_take(*state, "192.0.2.2", "anna", at(SECONDS(1))), 0);
    assert_int_equal(attempts_take(*state, "192.0.2.1", "anna", at(SECONDS(1))), 0);
    for (int i = 1; i < ATTEMPTS_LOGIN_MAX; i++) /* a known address may not try for ever either */
        (void)attempts_take(*state, "192.0.2.1", "anna", at(SECONDS(1)));
    assert_int_not_equal(attempts_take(*state, "192.0.2.1", "anna", at(SECONDS(1))), 0);
}

/* A flood of names and addresses neither grows it nor washes out what is known of anna. */
static void a_flood_of_others_forgets_nobody(void **state)
{
    char address[32];
    char login[32];

    for (int i = 0; i < ATTEMPTS_LOGIN_MAX; i++) {
        (void)snprintf(address, sizeof address, "192.0.2.%d", i);
        (void)attempts_take(*state, address, "anna", at(0));
    }
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        (void)snprintf(login, sizeof login, "user%d", i);
        (void)attempts_take(*state, address, login, at(i));
    }
    assert_int_not_equal(attempts_take(*state, "192.0.2.99", "anna", at(SECONDS(1))), 0);
    assert_int_equal(attempts_take(*state, "192.0.2.98", "bruno", at(HOURS(1))), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(after_ten_wrong_ones_a_login_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(after_thirty_wrong_ones_an_address_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_right_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(who_locks_a_login_does_not_lock_out_its_owner, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_others_forgets_nobody, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

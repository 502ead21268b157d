/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/gate.h"

#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mono_time NOW = {1000};

static int set_up(void **state)
{
    struct gate *gate = malloc(sizeof *gate);

    assert_non_null(gate);
    gate_init(gate, 0, 0);
    gate_set_hash_seed(gate, 99);
    *state = gate;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void limits_default_to_those_of_the_protocol(void **state)
{
    const struct gate *gate = *state;

    assert_int_equal(gate->unfinished_max, LIMIT_HANDSHAKES_MAX);
    assert_int_equal(gate->unfinished_address_max, LIMIT_HANDSHAKES_ADDRESS_MAX);
}

static void ports_of_one_address_count_together(void **state)
{
    struct gate *gate = *state;
    size_t places[LIMIT_HANDSHAKES_ADDRESS_MAX];
    size_t place = 0;

    for (size_t i = 0; i < LIMIT_HANDSHAKES_ADDRESS_MAX; i++) {
        char peer[64];

        (void)snprintf(peer, sizeof peer, "[2001:db8::5]:%zu", 1000 + i);
        assert_true(gate_enter(gate, peer, NOW, &places[i]));
    }
    assert_false(gate_enter(gate, "[2001:db8::5]:77", NOW, &place));
    assert_true(gate_enter(gate, "[2001:db8::6]:77", NOW, &place));
    gate_leave(gate, places[3]);
    assert_true(gate_enter(gate, "[2001:db8::5]:77", NOW, &place));
}

static void all_addresses_together_have_a_limit(void **state)
{
    struct gate *gate = *state;
    size_t place = 0;
    size_t entered = 0;

    for (unsigned i = 0; i < 2000; i++) {
        char peer[64];

        (void)snprintf(peer, sizeof peer, "10.0.%u.%u:9", i / 250, i % 250);
        if (gate_enter(gate, peer, NOW, &place))
            entered++;
    }
    assert_int_equal(entered, LIMIT_HANDSHAKES_MAX);
    assert_int_equal(gate->unfinished, LIMIT_HANDSHAKES_MAX);
    gate_leave(gate, place);
    assert_true(gate_enter(gate, "10.9.9.9:1", NOW, &place));
}

/* However many strangers there are: a place that is in use keeps its count. */
static void crowded_table_never_forgets_what_is_unfinished(void **state)
{
    struct gate *gate = *state;
    size_t kept = 0;
    size_t place = 0;

    gate_init(gate, 100000, 3);
    assert_true(gate_enter(gate, "192.0.2.1:1", NOW, &kept));
    assert_true(gate_enter(gate, "192.0.2.1:2", NOW, &kept));
    for (unsigned i = 0; i < 50000; i++) {
        char peer[64];

        (void)snprintf(peer, sizeof peer, "10.%u.%u.%u:9", i / 62500, i / 250 % 250, i % 250);
        if (gate_enter(gate, peer, NOW, &place))
            gate_leave(gate, place);
    }
    assert_int_equal(gate->unfinished, 2);
    assert_int_equal(gate->addresses[kept].unfinished, 2);
    assert_true(gate_enter(gate, "192.0.2.1:3", NOW, &place));
    assert_int_equal(place, kept);
    assert_false(gate_enter(gate, "192.0.2.1:4", NOW, &place));
}

static void wrong_codes_count_for_an_hour(void **state)
{
    struct gate *gate = *state;
    struct mono_time later = mono_after(NOW, HOURS(1));
    uint8_t token[IDENTITY_TOKEN_ID_SIZE] = {0};
    const uint8_t fresh[IDENTITY_TOKEN_ID_SIZE] = {200};
    size_t place = 0;

    assert_true(gate_enter(gate, "192.0.2.1:1", NOW, &place));
    for (uint8_t i = 0; i < GATE_WRONG_CODES_ADDRESS_MAX; i++) {
        token[0] = i;
        assert_true(gate_may_enrol(gate, place, token, NOW));
        gate_note_wrong_code(gate, place, token, NOW);
    }
    assert_false(gate_may_enrol(gate, place, fresh, NOW));
    assert_false(gate_may_enrol(gate, place, fresh, (struct mono_time){later.us - 1}));
    assert_true(gate_may_enrol(gate, place, fresh, later));
}

static void token_dies_whoever_tries_it(void **state)
{
    struct gate *gate = *state;
    const uint8_t token[IDENTITY_TOKEN_ID_SIZE] = {7};
    size_t place = 0;

    for (int i = 0; i < GATE_WRONG_CODES_TOKEN_MAX; i++) {
        char peer[64];

        (void)snprintf(peer, sizeof peer, "192.0.2.%d:1", i);
        assert_true(gate_enter(gate, peer, NOW, &place));
        assert_true(gate_may_enrol(gate, place, token, NOW));
        gate_note_wrong_code(gate, place, token, NOW);
    }
    assert_true(gate_enter(gate, "192.0.2.100:1", NOW, &place));
    assert_false(gate_may_enrol(gate, place, token, NOW));
}

static void peer_of_any_form_is_an_address(void **state)
{
    struct gate *gate = *state;
    char long_peer[300];
    size_t place = 0;

    memset(long_peer, 'x', sizeof long_peer - 1);
    long_peer[sizeof long_peer - 1] = '\0';
    assert_true(gate_enter(gate, "", NOW, &place));
    assert_true(gate_enter(gate, ":", NOW, &place));
    assert_true(gate_enter(gate, "unix", NOW, &place));
    assert_true(gate_enter(gate, long_peer, NOW, &place));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(limits_default_to_those_of_the_protocol),
        CASE(ports_of_one_address_count_together),
        CASE(all_addresses_together_have_a_limit),
        CASE(crowded_table_never_forgets_what_is_unfinished),
        CASE(wrong_codes_count_for_an_hour),
        CASE(token_dies_whoever_tries_it),
        CASE(peer_of_any_form_is_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From the first byte to WELCOME or ENROLLED, and who is turned away on the way. */
#include "tests/unit/server/core/session_desk.h"

#include "base/prng.h"

static void known_device_gets_welcome_and_its_feed(void **state)
{
    struct world *world = *state;
    struct server_status status;

    live(world, 0);
    status = server_status(world->server);
    assert_int_equal(status.connection_count, 1);
    assert_int_equal(status.live_count, 1);
    assert_int_equal(status.handshake_count, 0);
    assert_int_equal(status.publishes, 1);
    assert_int_equal(status.refused_handshakes, 0);
}

static void enrolment_is_one_answer_and_a_close(void **state)
{
    struct world *world = *state;
    struct device *device = NULL;

    world->devices[0].is_enrolment = true;
    device = dial(world, 0);
    world_work(world);
    assert_string_equal(device->heard, "ENROLLED ");
    assert_true(device->is_closed);
    assert_int_equal(device->close_code, 1000);
    assert_int_equal(server_status(world->server).connection_count, 0);
}

static void wrong_key_and_unknown_device_look_alike(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *wrong = NULL;
    struct device *unknown = NULL;

    world->devices[0].psk[5] ^= 1;
    wrong = dial(world, 0);
    world_work(world);
    desk->knows_nobody = true;
    unknown = dial(world, 1);
    world_work(world);
    assert_string_equal(wrong->heard, "");
    assert_string_equal(unknown->heard, "");
    assert_int_equal(wrong->close_code, 4401);
    assert_int_equal(unknown->close_code, 4401);
    assert_int_equal(server_status(world->server).refused_handshakes, 2);
    assert_int_equal(server_status(world->server).handshake_count, 0);
}

static void fifth_wrong_code_ends_the_token(void **state)
{
    struct world *world = *state;
    struct device *device = &world->devices[0];

    device->is_enrolment = true;
    device->psk[0] ^= 1;
    for (int i = 0; i < 5; i++) {
        dial(world, 0);
        world_work(world);
        assert_int_equal(device->close_code, 4401);
    }
    device->psk[0] ^= 1; /* the right one, too late */
    dial(world, 0);
    world_work(world);
    assert_int_equal(device->close_code, 4401);
    assert_string_equal(device->heard, "");
}

static void twenty_wrong_codes_an_hour_close_an_address_to_enrolments(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < 20; i++) {
        world->devices[i].is_enrolment = true;
        world->devices[i].psk[0] ^= 1;
        dial(world, i);
        world_work(world);
    }
    world->devices[30].is_enrolment = true;
    dial(world, 30);
    world_work(world);
    assert_string_equal(world->devices[30].heard, "");
    world->devices[31].is_enrolment = true;
    connect_from(world, 31, "192.0.2.2:4000", bytes_of_text("hello")); /* somebody else */
    world_work(world);
    assert_string_equal(world->devices[31].heard, "ENROLLED ");
    world_pass(world, HOURS(1));
    dial(world, 30);
    world_work(world);
    assert_string_equal(world->devices[30].heard, "ENROLLED ");
}

/* The audit log says who tried what, and can't be filled by trying. */
static void wrong_codes_are_noted_and_many_are_counted(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    char peer[32];
    char id[9];

    for (int i = 0; i < 50; i++) {
        struct device *device = &world->devices[0];

        device->is_enrolment = true;
        device->psk[0] = 1;
        (void)snprintf(peer, sizeof peer, "192.0.2.%d:4000", i);
        connect_from(world, 0, peer, bytes_of_text("hello"));
        world_work(world);
    }
    assert_int_equal(desk->notes, TALLY_LINES_HOUR_MAX);
    bytes_to_hex(bytes_of(world->devices[0].token_id, 4), id);
    assert_non_null(strstr(desk->note, "enrolment_refused: code "));
    assert_non_null(strstr(desk->note, id));
    assert_non_null(strstr(desk->note, "from 192.0.2.19"));
    world_pass(world, HOURS(1));
    world_work(world);
    assert_int_equal(desk->notes, TALLY_LINES_HOUR_MAX + 1);
    assert_string_equal(desk->note, "enrolment_refused: 30 more in that hour");
}

static void a_stop_says_how_many_were_refused(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;

    for (int i = 0; i < TALLY_LINES_HOUR_MAX + 7; i++)
        world_step(world, (struct server_event){.kind = SERVER_EVENT_REFUSAL,
                                                .refusal = TALLY_LOGIN,
                                                .user_id = 5,
                                                .text = "from 192.0.2.1"});
    world_work(world);
    assert_int_equal(desk->notes, TALLY_LINES_HOUR_MAX);
    assert_string_equal(desk->note, "login_failed: from 192.0.2.1");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_STOP});
    world_work(world);
    assert_string_equal(desk->note, "login_failed: 7 more in that hour");
    assert_true(server_status(world->server).is_stopped);
}

static void silent_stranger_is_cut_after_half_a_minute(void **state)
{
    struct world *world = *state;
    struct device *device = &world->devices[0];

    device->is_mute = true;
    dial(world, 0);
    world_pass(world, SECONDS(LIMIT_HANDSHAKE_SECONDS) - MILLISECONDS(1));
    assert_false(device->is_closed);
    world_pass(world, MILLISECONDS(300));
    assert_int_equal(device->close_code, 4401);
}

static void slow_reader_thread_counts_as_handshake_time(void **state)
{
    struct world *world = *state;
    struct device *device = dial(world, 0);

    assert_int_equal(world->job_count, 2); /* RESCOPE and AUTHENTICATE, not answered */
    world_pass(world, SECONDS(LIMIT_HANDSHAKE_SECONDS + 1));
    assert_int_equal(device->close_code, 4401);
    world_work(world); /* the answer comes too late and harms nobody */
    assert_int_equal(server_status(world->server).connection_count, 0);
}

static void too_many_unfinished_of_one_address_are_told_to_come_later(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < LIMIT_HANDSHAKES_ADDRESS_MAX; i++) {
        world->devices[i].is_mute = true;
        dial(world, i);
        assert_false(world->devices[i].is_later);
    }
    dial(world, 70);
    assert_true(world->devices[70].is_later);
    assert_int_equal(world->devices[70].close_code, 1013);
    connect_from(world, 71, "[2001:db8::1]:4000", bytes_of_text("hello"));
    assert_false(world->devices[71].is_later);
    world_work(world);
    assert_string_equal(world->devices[71].heard, "WELCOME PUBLISH ");
    world_pass(world, SECONDS(LIMIT_HANDSHAKE_CROWDED_SECONDS + 1)); /* the silent make room */
    assert_false(world->devices[0].is_closed);                       /* who came first has longer */
    assert_int_equal(world->devices[LIMIT_HANDSHAKES_ADDRESS_MAX - 1].close_code, 4401);
    dial(world, 70);
    assert_false(world->devices[70].is_later);
}

static void garbage_before_the_handshake_closes_without_a_reason(void **state)
{
    struct world *world = *state;
    struct prng prng;

    prng_init(&prng, 1);
    for (size_t round = 0; round < 200; round++) {
        struct device *device = &world->devices[0];
        uint8_t garbage[300];
        size_t size = (size_t)prng_below(&prng, sizeof garbage + 1);

        for (size_t i = 0; i < size; i++)
            garbage[i] = (uint8_t)prng_next(&prng);
        device->is_mute = true;
        dial(world, 0);
        world_step(world, (struct server_event){.kind = SERVER_EVENT_RECEIVED,
                                                .connection = device->connection,
                                                .bytes = bytes_of(garbage, size)});
        assert_int_equal(device->close_code, 4401);
        assert_string_equal(device->heard, "");
    }
    assert_int_equal(server_status(world->server).handshake_count, 0);
    assert_int_equal(server_status(world->server).connection_count, 0);
}

static void bytes_while_the_key_is_looked_up_are_a_mistake(void **state)
{
    struct world *world = *state;
    struct device *device = dial(world, 0);

    send_text(world, device, MESSAGE_PING, "x");
    assert_int_equal(device->close_code, 4401);
    world_work(world);
    assert_int_equal(server_status(world->server).connection_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(known_device_gets_welcome_and_its_feed),
        CASE(enrolment_is_one_answer_and_a_close),
        CASE(wrong_key_and_unknown_device_look_alike),
        CASE(fifth_wrong_code_ends_the_token),
        CASE(twenty_wrong_codes_an_hour_close_an_address_to_enrolments),
        CASE(wrong_codes_are_noted_and_many_are_counted),
        CASE(a_stop_says_how_many_were_refused),
        CASE(silent_stranger_is_cut_after_half_a_minute),
        CASE(slow_reader_thread_counts_as_handshake_time),
        CASE(too_many_unfinished_of_one_address_are_told_to_come_later),
        CASE(garbage_before_the_handshake_closes_without_a_reason),
        CASE(bytes_while_the_key_is_looked_up_are_a_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

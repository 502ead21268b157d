/* SPDX-License-Identifier: Apache-2.0 */
/* What happens within a session: messages in and out of place, pushes, and all that ends it. */
#include "tests/unit/server/core/session_desk.h"

static void flipped_bit_or_repeated_frame_ends_this_connection_only(void **state)
{
    struct world *world = *state;
    struct device *other = live(world, 1);
    struct device *device = live(world, 0);
    uint8_t copy[LIMIT_MESSAGE_SIZE_MAX];
    size_t size = 0;

    send_number(world, device, MESSAGE_PING, 5);
    assert_string_equal(device->heard, "WELCOME PUBLISH PONG ");
    size = device->message_size;
    memcpy(copy, device->message, size);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_RECEIVED,
                                            .connection = device->connection,
                                            .bytes = bytes_of(copy, size)});
    assert_int_equal(device->close_code, 4400);
    device = live(world, 0);
    copy[3] ^= 4;
    world_step(world, (struct server_event){.kind = SERVER_EVENT_RECEIVED,
                                            .connection = device->connection,
                                            .bytes = bytes_of(copy, size)});
    assert_int_equal(device->close_code, 4400);
    assert_false(other->is_closed);
    send_number(world, other, MESSAGE_PING, 6);
    assert_string_equal(other->heard, "WELCOME PUBLISH PONG ");
}

static void message_of_the_wrong_direction_or_size_or_time_closes(void **state)
{
    struct world *world = *state;
    uint8_t large[2000] = {0};
    struct device *device = live(world, 0);

    send_text(world, device, MESSAGE_WELCOME, "x");
    assert_int_equal(device->close_code, 4400);
    device = live(world, 0);
    device_sends(world, device, MESSAGE_REPAIR, bytes_of(large, sizeof large));
    assert_int_equal(device->close_code, 4400);
    device = live(world, 0);
    send_text(world, device, 99, "unknown");
    assert_int_equal(device->close_code, 4400);
    device = dial(world, 0);
    world_work_one(world); /* authenticated; not yet live */
    send_text(world, device, MESSAGE_PUSH, "early");
    assert_int_equal(device->close_code, 4400);
    world_work(world);
}

static void unknown_optional_message_is_skipped(void **state)
{
    struct world *world = *state;
    struct device *device = live(world, 0);

    send_text(world, device, MESSAGE_OPTIONAL_BIT | 50, "from the future");
    assert_false(device->is_closed);
}

static void pings_keep_a_quiet_link_and_silence_ends_it(void **state)
{
    struct world *world = *state;
    struct device *device = live(world, 0);

    world_pass(world, SECONDS(30));
    send_number(world, device, MESSAGE_PING, 1); /* whoever has just been answered needs no other */
    world_pass(world, SECONDS(LIMIT_PING_SECONDS_MAX) - MILLISECONDS(1));
    assert_string_equal(device->heard, "WELCOME PUBLISH PONG ");
    world_pass(world, SECONDS(LIMIT_SERVER_PING_SECONDS_MAX - LIMIT_PING_SECONDS_MAX + 1));
    assert_string_equal(device->heard, "WELCOME PUBLISH PONG PING ");
    send_number(world, device, MESSAGE_PONG, 1);
    world_pass(world, SECONDS(LIMIT_SILENCE_SECONDS) - SECONDS(1));
    assert_false(device->is_closed);
    world_pass(world, SECONDS(2));
    assert_int_equal(device->close_code, 4408);
    assert_int_equal(server_status(world->server).live_count, 0);
}

/* Otherwise a device that doesn't read makes the server keep as much as it likes. */
static void who_wants_content_gets_a_window_of_it_and_then_parts(void **state)
{
    struct world *world = *state;
    struct device *device = live(world, 0);

    send_text(world, device, MESSAGE_BLOB_WANT, "one");
    send_text(world, device, MESSAGE_BLOB_WANT, "two");
    assert_int_equal(world->job_count, 1);
    assert_true(world->jobs[0]->send_room > 128 * 1024);
    world_work_one(world);
    assert_int_equal(world->job_count, 1);
    assert_int_equal(world->jobs[0]->send_room, 0);
}

static void one_push_at_a_time_in_order(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = live(world, 0);

    send_text(world, device, MESSAGE_PUSH, "one");
    send_text(world, device, MESSAGE_PUSH, "two");
    send_text(world, device, MESSAGE_PUSH, "three");
    assert_int_equal(world->job_count, 1);
    assert_true(bytes_equal(world->jobs[0]->body, bytes_of_text("one")));
    world_work_one(world);
    assert_int_equal(world->job_count, 1);
    assert_true(bytes_equal(world->jobs[0]->body, bytes_of_text("two")));
    world_work(world);
    assert_int_equal(desk->pushes, 3);
    assert_string_equal(device->heard, "WELCOME PUBLISH VERDICT VERDICT VERDICT ");
    assert_int_equal(server_status(world->server).pushes, 3);
}

static void push_that_must_wait_is_tried_again_without_a_word(void **state)
{
    static const enum result WAITING[] = {RESULT_WAIT, RESULT_EXHAUSTED, RESULT_STORAGE};
    struct world *world = *state;
    struct desk *desk = world->context;

    for (size_t i = 0; i < 3; i++) {
        struct device *device = live(world, i);

        desk->push_result = WAITING[i];
        desk->pushes = 0;
        send_text(world, device, MESSAGE_PUSH, "one");
        world_work(world);
        assert_int_equal(desk->pushes, 1);
        world_pass(world, SECONDS(1));
        world_work(world);
        assert_int_equal(desk->pushes, 2);
        desk->push_result = RESULT_OK;
        world_pass(world, SECONDS(2));
        world_work(world);
        assert_int_equal(desk->pushes, 3);
        assert_string_equal(device->heard, "WELCOME PUBLISH VERDICT ");
        assert_false(device->is_closed);
    }
}

static void forked_seal_holds_the_device(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = live(world, 0);

    desk->push_result = RESULT_REFUSED;
    desk->state = REPLICA_HELD;
    send_text(world, device, MESSAGE_PUSH, "other contents");
    world_work(world);
    assert_string_equal(device->heard, "WELCOME PUBLISH BYE ");
    assert_string_equal(device->code, "held");
    assert_true(device->is_closed);
}

static void refused_seal_ends_the_session_and_says_why(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = live(world, 0);

    desk->push_result = RESULT_REFUSED;
    send_text(world, device, MESSAGE_PUSH, "of another schema");
    world_work(world);
    assert_string_equal(device->heard, "WELCOME PUBLISH BYE ");
    assert_string_equal(device->code, "push_refused");
    assert_true(device->is_closed);
}

static void revoked_device_gets_one_word_inside_the_channel(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->state = REPLICA_REVOKED;
    desk->wipe = true;
    device = dial(world, 0);
    world_work(world);
    assert_string_equal(device->heard, "REVOKED ");
    assert_true(device->wipe);
    assert_int_equal(server_status(world->server).live_count, 0);
    world_pass(world, SECONDS(LIMIT_SILENCE_SECONDS + 1));
    assert_string_equal(device->heard, "REVOKED ");
    assert_true(device->is_closed);
}

/* It may leave its work behind, which isn't pushed, and that is all that is heard of it. */
static void what_a_revoked_device_sends_is_kept_or_ignored(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->state = REPLICA_REVOKED;
    device = dial(world, 0);
    world_work(world);
    send_text(world, device, MESSAGE_PUSH, "a seal");
    send_text(world, device, MESSAGE_DIGEST, "on its way before");
    send_number(world, device, MESSAGE_PUBLISHED, 5);
    world_work(world);
    assert_int_equal(desk->deposits, 1);
    assert_int_equal(desk->pushes + desk->feeds + desk->receipts, 0);
    assert_string_equal(device->heard, "REVOKED DEPOSITED ");
    assert_false(device->is_closed);
    for (int i = 0; i < 20; i++) { /* not for ever, either */
        world_pass(world, SECONDS(40));
        send_number(world, device, MESSAGE_PONG, 1);
    }
    assert_true(device->is_closed);
    assert_int_equal(server_status(world->server).connection_count, 0);
}

static void held_device_may_do_nothing_and_loses_nothing(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->state = REPLICA_HELD;
    desk->resume_state = REPLICA_HELD; /* it has said which copy it is */
    device = dial(world, 0);
    world_work(world);
    assert_string_equal(device->heard, "BYE ");
    assert_string_equal(device->code, "held");
    assert_true(device->retry_after_ms > 0);
    desk->state = REPLICA_ACTIVE;
    desk->resume_state = REPLICA_HELD; /* this very contact showed the fork */
    dial(world, 0);
    world_work(world);
    assert_string_equal(device->heard, "BYE ");
    assert_string_equal(device->code, "held");
}

static void a_copy_that_gets_another_number_is_told_so_and_nothing_else(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->state = REPLICA_HELD;
    desk->resume_state = REPLICA_RENEWED;
    desk->resume_result = RESULT_REFUSED;
    device = dial(world, 0);
    world_work(world);
    assert_string_equal(device->heard, "RENEW ");
    assert_true(device->is_closed);
}

static void revocation_by_a_commit_ends_the_live_session_at_once(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *other = live(world, 1);
    struct device *device = live(world, 0);
    int64_t revoked[] = {1, 77};
    struct master_outcome outcome = {.revoked = revoked, .revoked_count = 2};

    send_text(world, device, MESSAGE_PUSH, "in flight");
    desk->state = REPLICA_REVOKED;
    world_step(world, (struct server_event){.kind = SERVER_EVENT_COMMITTED, .outcome = &outcome});
    world_work(world);
    assert_string_equal(device->heard, "WELCOME PUBLISH REVOKED ");
    assert_int_equal(server_status(world->server).live_count, 1);
    world_pass(world, SECONDS(LIMIT_SILENCE_SECONDS) - SECONDS(1));
    send_number(world, other, MESSAGE_PONG, 1);
    world_pass(world, SECONDS(2));
    assert_true(device->is_closed);
    assert_false(other->is_closed);
}

static void second_connection_of_a_device_replaces_the_first(void **state)
{
    struct world *world = *state;
    struct device *first = live(world, 0);
    struct device *second = &world->devices[40];

    second->keys = first->keys;
    dial(world, 40);
    world_work(world);
    assert_string_equal(first->code, "replaced");
    assert_true(first->is_closed);
    assert_string_equal(second->heard, "WELCOME PUBLISH ");
    assert_int_equal(server_status(world->server).live_count, 1);
}

/* The first job that asks who a device is goes behind all others. */
static void delay_authentication(struct world *world)
{
    size_t i = 0;
    struct job *late = NULL;

    while (world->jobs[i]->kind != JOB_AUTHENTICATE)
        i++;
    late = world->jobs[i];
    for (; i + 1 < world->job_count; i++)
        world->jobs[i] = world->jobs[i + 1];
    world->jobs[i] = late;
}

/* The device had given the first one up when it opened the second. */
static void what_comes_late_on_an_older_connection_drives_out_no_newer(void **state)
{
    struct world *world = *state;
    struct device *first = dial(world, 0);
    struct device *second = &world->devices[40];

    second->keys = first->keys;
    dial(world, 40);
    delay_authentication(world);
    world_work(world);
    assert_string_equal(first->code, "replaced");
    assert_true(first->is_closed);
    assert_string_equal(second->heard, "WELCOME PUBLISH ");
    assert_false(second->is_closed);
    assert_int_equal(server_status(world->server).live_count, 1);
}

/* The newer one may be gone again by then. */
static void what_comes_late_after_the_newer_connection_is_no_copy(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *first = dial(world, 0);
    struct device *second = &world->devices[40];
    struct job *authenticate = NULL;
    size_t resumes;

    second->keys = first->keys;
    dial(world, 40);
    delay_authentication(world);
    authenticate = world->jobs[--world->job_count];
    world_work(world);
    assert_string_equal(second->heard, "WELCOME PUBLISH ");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = second->connection});
    world_work(world);
    resumes = desk->resumes;
    world->jobs[world->job_count++] = authenticate;
    world_work(world);
    assert_string_equal(first->code, "replaced");
    assert_true(first->is_closed);
    assert_int_equal(desk->resumes, resumes);
    assert_int_equal(server_status(world->server).live_count, 0);
}

static void stop_says_goodbye_and_takes_nobody_new(void **state)
{
    struct world *world = *state;
    struct device *device = live(world, 0);
    struct device *stranger = &world->devices[1];

    stranger->is_mute = true;
    dial(world, 1);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_STOP});
    assert_string_equal(device->heard, "WELCOME PUBLISH BYE ");
    assert_string_equal(device->code, "stopping");
    assert_in_range(device->retry_after_ms, 1000, 10 * 1000);
    assert_int_equal(stranger->close_code, 1001);
    assert_true(server_status(world->server).is_stopped);
    world_queue(world, (struct server_event){
                           .kind = SERVER_EVENT_OPENED, .connection = 9999, .peer = "192.0.2.9:1"});
    world->devices[50].connection = 9999;
    world_flow(world);
    assert_int_equal(world->devices[50].close_code, 1001);
}

static void session_is_renewed_every_day(void **state)
{
    struct world *world = *state;
    struct device *device = live(world, 0);

    for (int i = 0; i < LIMIT_SESSION_HOURS * 120 && !device->is_closed; i++) {
        send_number(world, device, MESSAGE_PONG, 1);
        device->heard[0] = '\0';
        world_pass(world, SECONDS(30));
        world_work(world);
    }
    assert_true(device->is_closed);
    assert_string_equal(device->code, "renew");
}

static void flood_of_pushes_ends_the_session_before_memory_ends(void **state)
{
    static uint8_t large[LIMIT_BODY_SIZE_MAX - 64];
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *other = live(world, 1);
    struct device *device = live(world, 0);

    for (int i = 0; i < 80 && !device->is_closed; i++) {
        arena_reset(&world->arena);
        device_sends(world, device, MESSAGE_PUSH, bytes_of(large, sizeof large));
    }
    assert_true(device->is_closed);
    assert_string_equal(device->code, "busy");
    world_work(world);
    assert_in_range(desk->pushes, 0, 1); /* only the one that was out */
    send_text(world, other, MESSAGE_PUSH, "mine");
    world_work(world);
    assert_string_equal(other->heard, "WELCOME PUBLISH VERDICT ");
}

static void trace_tells_facts_and_no_secrets(void **state)
{
    struct world *world = *state;
    char first[sizeof world->trace];

    live(world, 0);
    world_pass(world, SECONDS(20));
    memcpy(first, world->trace, sizeof first);
    assert_non_null(strstr(first, "server > replica 1: WELCOME, 1 frames\n"));
    assert_null(strstr(first, "hello")); /* nothing that a device says in secret */
}

static void what_others_write_is_adopted_once(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;

    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_work(world);
    assert_int_equal(desk->rescopes, 1);
    assert_int_equal(desk->adopts, 1);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_work(world);
    assert_int_equal(desk->adopts, 2);
    world_pass(world, HOURS(24));
    world_work(world);
    assert_int_equal(desk->rescopes, 2);
}

static void connection_that_dies_with_jobs_in_flight_leaks_nothing(void **state)
{
    struct world *world = *state;
    struct device *device = dial(world, 0);

    world_work_one(world); /* RESCOPE */
    world_work_one(world); /* AUTHENTICATE: now RESUME is out */
    assert_int_equal(world->jobs[0]->kind, JOB_RESUME);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = device->connection});
    world_work(world);
    device = dial(world, 0);
    world_work_one(world);
    world_work_one(world);
    assert_int_equal(world->jobs[0]->kind, JOB_FEED);
    send_text(world, device, MESSAGE_PUSH, "one");
    send_text(world, device, MESSAGE_PUSH, "two");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = device->connection});
    assert_int_equal(world->job_count, 2);
    world_work(world);
    assert_int_equal(server_status(world->server).connection_count, 0);
}

/* Leaves jobs in flight and waiting: the sanitizer tells if destroying forgets one. */
static void server_is_destroyed_in_the_middle(void **state)
{
    struct world *world = *state;
    struct device *device = live(world, 0);

    dial(world, 1);
    send_text(world, device, MESSAGE_PUSH, "one");
    send_text(world, device, MESSAGE_PUSH, "two");
    assert_true(world->job_count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(flipped_bit_or_repeated_frame_ends_this_connection_only),
        CASE(message_of_the_wrong_direction_or_size_or_time_closes),
        CASE(unknown_optional_message_is_skipped),
        CASE(pings_keep_a_quiet_link_and_silence_ends_it),
        CASE(who_wants_content_gets_a_window_of_it_and_then_parts),
        CASE(one_push_at_a_time_in_order),
        CASE(push_that_must_wait_is_tried_again_without_a_word),
        CASE(forked_seal_holds_the_device),
        CASE(refused_seal_ends_the_session_and_says_why),
        CASE(revoked_device_gets_one_word_inside_the_channel),
        CASE(a_copy_that_gets_another_number_is_told_so_and_nothing_else),
        CASE(what_a_revoked_device_sends_is_kept_or_ignored),
        CASE(held_device_may_do_nothing_and_loses_nothing),
        CASE(revocation_by_a_commit_ends_the_live_session_at_once),
        CASE(second_connection_of_a_device_replaces_the_first),
        CASE(what_comes_late_on_an_older_connection_drives_out_no_newer),
        CASE(what_comes_late_after_the_newer_connection_is_no_copy),
        CASE(stop_says_goodbye_and_takes_nobody_new),
        CASE(session_is_renewed_every_day),
        CASE(flood_of_pushes_ends_the_session_before_memory_ends),
        CASE(trace_tells_facts_and_no_secrets),
        CASE(what_others_write_is_adopted_once),
        CASE(connection_that_dies_with_jobs_in_flight_leaks_nothing),
        CASE(server_is_destroyed_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

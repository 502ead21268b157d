/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions with real channels on the devices' side; the threads behind the server are played by a
 * table of answers, so that each of them can come late, wrong or not at all. It is long because
 * every case needs the same desk. */
#include "tests/unit/server/core/session_kit.h"

#include "base/prng.h"

#include <inttypes.h>

/* What the store would know. */
struct desk {
    bool knows_nobody;
    enum replica_state state;
    enum replica_state resume_state;
    bool wipe;
    enum result push_result;
    enum result resume_result;
    enum result feed_result;
    size_t feed_pages; /* that many pages before the last */
    size_t page_size;
    int64_t head;
    int64_t catch_up_seq;
    size_t caught_up; /* receipts that say so */
    bool publishes_again;
    size_t pushes, deposits, feeds, receipts, adopts, rescopes, authentications, notes;
    char note[160]; /* the last line for the audit log */
    size_t send_room_least;
};

static void add_text(struct job *job, uint8_t type, const char *text)
{
    struct problem problem = {0};

    expect(job_add_body(job, type, bytes_of_text(text), 0, NULL, &problem), &problem);
}

static void answer_authenticate(struct world *world, struct job *job)
{
    struct desk *desk = world->context;

    desk->authentications++;
    for (size_t i = 0; i < DEVICES; i++) {
        const struct device *device = &world->devices[i];
        struct bytes key = job->is_enrolment ? bytes_of(device->token_id, sizeof device->token_id)
                                             : bytes_of(device->keys.public_key, NOISE_KEY_SIZE);

        if (device->connection != 0 && bytes_equal(key, job->key)) {
            memset(job->psk, 7, sizeof job->psk);
            job->is_known = !desk->knows_nobody;
            job->replica_no = (int64_t)i + 1;
            job->user_id = 100 + (int64_t)i;
            job->state = desk->state;
            job->wipe = desk->wipe;
            return;
        }
    }
}

static void answer_feed(struct desk *desk, struct job *job)
{
    static const uint8_t NOISE[LIMIT_BODY_SIZE_MAX];
    struct problem problem = {0};

    desk->feeds++;
    desk->publishes_again = job->publishes;
    assert_true(job->send_room > 0 && job->send_room <= 256 * 1024);
    if (job->send_room < desk->send_room_least)
        desk->send_room_least = job->send_room;
    job->result = desk->feed_result;
    if (desk->feed_result != RESULT_OK)
        return;
    if (desk->feed_pages > 0) {
        desk->feed_pages--;
        job->feed_has_more = true;
        expect(job_add_body(job, MESSAGE_ROWS, bytes_of(NOISE, desk->page_size), 0, NULL, &problem),
               &problem);
        return;
    }
    add_text(job, MESSAGE_PUBLISH, "x");
    job->published_seq = desk->head;
}

static void answer(struct world *world, struct job *job)
{
    struct desk *desk = world->context;

    job->result = RESULT_OK;
    switch (job->kind) {
    case JOB_AUTHENTICATE:
        answer_authenticate(world, job);
        break;
    case JOB_ENROL:
        assert_int_equal(job->seed.size, 64);
        assert_int_equal(job->key.size, IDENTITY_TOKEN_ID_SIZE);
        assert_int_equal(job->static_key.size, NOISE_KEY_SIZE);
        add_text(job, MESSAGE_ENROLLED, "x");
        break;
    case JOB_RESUME:
        assert_int_equal(job->seed.size, 64);
        job->result = desk->resume_result;
        job->state = desk->resume_state;
        job->catch_up_seq = desk->catch_up_seq;
        job->feed = feed_create(job->user_id, job->replica_no);
        assert_non_null(job->feed);
        if (job->result == RESULT_OK && job->state == REPLICA_ACTIVE)
            add_text(job, MESSAGE_WELCOME, "x");
        else if (job->state == REPLICA_RENEWED)
            add_text(job, MESSAGE_RENEW, "x");
        break;
    case JOB_PUSH:
        desk->pushes++;
        job->result = desk->push_result;
        job->state = desk->state;
        add_text(job, MESSAGE_VERDICT, "x");
        break;
    case JOB_DEPOSIT:
        desk->deposits++;
        add_text(job, MESSAGE_DEPOSITED, "x");
        break;
    case JOB_FEED:
        answer_feed(desk, job);
        break;
    case JOB_RECEIPT:
        desk->receipts++;
        desk->caught_up += job->is_caught_up ? 1 : 0;
        break;
    case JOB_ADOPT:
        desk->adopts++;
        break;
    case JOB_RESCOPE:
        desk->rescopes++;
        break;
    case JOB_ACT:
        desk->notes++;
        (void)snprintf(desk->note, sizeof desk->note, "%s: %s", (const char *)job->context,
                       job->peer);
        break;
    default:
        add_text(job, MESSAGE_NOTICE, "x");
        break;
    }
}

static int set_up(void **state)
{
    struct world *world = world_create();
    struct desk *desk = calloc(1, sizeof *desk);

    assert_non_null(desk);
    *desk = (struct desk){.state = REPLICA_ACTIVE,
                          .resume_state = REPLICA_ACTIVE,
                          .head = 10,
                          .send_room_least = SIZE_MAX};
    world->context = desk;
    world->answer = answer;
    for (size_t i = 0; i < DEVICES; i++) {
        uint8_t secret[32] = {9, (uint8_t)i};

        noise_keypair_from(secret, &world->devices[i].keys);
        memset(world->devices[i].psk, 7, PSK_SIZE);
        memset(world->devices[i].token_id, (int)i + 1, IDENTITY_TOKEN_ID_SIZE);
    }
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    world_destroy(world);
    server_destroy(world->server);
    for (size_t i = 0; i < DEVICES; i++)
        channel_destroy(world->devices[i].channel);
    arena_done(&world->arena);
    free(world->context);
    free(world);
    return 0;
}

static struct device *dial(struct world *world, size_t i)
{
    return connect_from(world, i, "192.0.2.1:4000", bytes_of_text("hello"));
}

static struct device *live(struct world *world, size_t i)
{
    struct device *device = dial(world, i);

    world_work(world);
    assert_string_equal(device->heard, "WELCOME PUBLISH ");
    assert_false(device->is_closed);
    return device;
}

static void send_text(struct world *world, struct device *device, uint8_t type, const char *text)
{
    device_sends(world, device, type, bytes_of_text(text));
}

static void send_number(struct world *world, struct device *device, enum message_type type,
                        int64_t number)
{
    struct buffer body;
    struct problem problem = {0};
    struct message_ping ping = {.nonce = number};
    struct message_published published = {.seq = number};

    buffer_init(&body, 64);
    if (type == MESSAGE_PUBLISHED)
        expect(message_published_encode(&published, &body, &problem), &problem);
    else
        expect(message_ping_encode(&ping, &body, &problem), &problem);
    device_sends(world, device, (uint8_t)type, buffer_bytes(&body));
    buffer_done(&body);
}

/* ---- handshake ---- */

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

static void silent_stranger_is_cut_after_ten_seconds(void **state)
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
    world_pass(world, SECONDS(LIMIT_HANDSHAKE_SECONDS + 1)); /* the silent ones make room */
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

/* ---- inside ---- */

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

    world_pass(world, SECONDS(LIMIT_PING_SECONDS_MIN) - MILLISECONDS(1));
    assert_string_equal(device->heard, "WELCOME PUBLISH ");
    world_pass(world, SECONDS(LIMIT_PING_SECONDS_MAX - LIMIT_PING_SECONDS_MIN) + SECONDS(1));
    assert_non_null(strstr(device->heard, "PING "));
    send_number(world, device, MESSAGE_PONG, 1);
    world_pass(world, SECONDS(LIMIT_SILENCE_SECONDS) - SECONDS(1));
    assert_false(device->is_closed);
    world_pass(world, SECONDS(2));
    assert_int_equal(device->close_code, 4408);
    assert_int_equal(server_status(world->server).live_count, 0);
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

/* ---- the feed ---- */

static void feed_pages_flow_while_the_reader_reads(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->feed_pages = 20;
    desk->page_size = 128 * 1024;
    device = dial(world, 0);
    world_work(world);
    assert_int_equal(desk->feeds, 21);
    assert_non_null(strstr(device->heard, "ROWS PUBLISH "));
}

static void reader_that_does_not_read_stops_its_feed(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];
    size_t feeds = 0;

    desk->feed_pages = 50;
    desk->page_size = 100 * 1024;
    world->is_asleep = true;
    dial(world, 0);
    world_work(world);
    feeds = desk->feeds;
    assert_in_range(feeds, 1, 3);
    assert_true(desk->send_room_least >= 64 * 1024);
    world_pass(world, SECONDS(5));
    world_work(world);
    assert_int_equal(desk->feeds, feeds);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_DRAINED,
                                            .connection = device->connection});
    world_work(world);
    assert_true(desk->feeds > feeds);
    assert_false(device->is_closed);
}

static void frames_beyond_the_window_wait_for_the_reader(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];
    int64_t sent = 0;

    desk->feed_pages = 1;
    desk->page_size = 900 * 1024; /* one body, larger than the window: whole or not at all */
    world->is_asleep = true;
    dial(world, 0);
    world_work(world);
    sent = server_status(world->server).bytes_sent;
    assert_in_range(sent, 900 * 1024, 1000 * 1024);
    send_number(world, device, MESSAGE_PING, 1); /* answered between bodies */
    assert_string_equal(device->heard, "WELCOME ROWS PONG ");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_DRAINED,
                                            .connection = device->connection});
    world_work(world);
    assert_string_equal(device->heard, "WELCOME ROWS PONG PUBLISH ");
}

static void failed_read_is_tried_again(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];

    desk->feed_result = RESULT_WAIT;
    dial(world, 0);
    world_work(world);
    assert_string_equal(device->heard, "WELCOME ");
    desk->feed_result = RESULT_OK;
    world_pass(world, SECONDS(1));
    world_work(world);
    assert_string_equal(device->heard, "WELCOME PUBLISH ");
}

static void session_may_end_while_its_feed_waits_for_another_try(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];

    desk->feed_result = RESULT_WAIT;
    dial(world, 0);
    world_work(world);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = device->connection});
    assert_int_equal(server_status(world->server).connection_count, 0);
    dial(world, 0);
    world_work(world);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_STOP});
    assert_string_equal(device->heard, "WELCOME BYE ");
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

static void receipts_are_noted_once_a_minute_and_at_the_end(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = live(world, 0);

    for (int i = 0; i < 10; i++) {
        send_number(world, device, MESSAGE_PUBLISHED, 10 + i);
        world_work(world);
    }
    assert_int_equal(desk->receipts, 2); /* the first one says that WELCOME has arrived */
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = device->connection});
    assert_int_equal(world->job_count, 1);
    assert_int_equal(world->jobs[0]->seq, 19);
    world_work(world);
    assert_int_equal(desk->receipts, 3);
}

/* The device has newer columns since it was here last. Its first receipt says where it stood
 * before, though the same head has been published to it meanwhile. */
static void only_a_receipt_for_what_was_published_now_ends_a_catch_up(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->head = desk->catch_up_seq = 82;
    device = live(world, 0);
    assert_int_equal(desk->feeds, 1);
    send_number(world, device, MESSAGE_PUBLISHED, 82);
    world_work(world);
    assert_int_equal(desk->receipts, 1);
    assert_int_equal(desk->caught_up, 0);
    send_number(world, device, MESSAGE_PUBLISHED, 82);
    world_work(world);
    assert_int_equal(desk->caught_up, 1);
}

/* A repair is seen on the device with the next publication: there is one, though nothing is new. */
static void a_repair_is_published_at_the_same_head(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = live(world, 0);

    assert_int_equal(desk->feeds, 1);
    device_sends(world, device, MESSAGE_REPAIR, bytes_of_text("x"));
    world_work(world);
    assert_int_equal(desk->feeds, 2);
    assert_true(desk->publishes_again);
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

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

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
        CASE(silent_stranger_is_cut_after_ten_seconds),
        CASE(slow_reader_thread_counts_as_handshake_time),
        CASE(too_many_unfinished_of_one_address_are_told_to_come_later),
        CASE(garbage_before_the_handshake_closes_without_a_reason),
        CASE(bytes_while_the_key_is_looked_up_are_a_mistake),
        CASE(flipped_bit_or_repeated_frame_ends_this_connection_only),
        CASE(message_of_the_wrong_direction_or_size_or_time_closes),
        CASE(unknown_optional_message_is_skipped),
        CASE(pings_keep_a_quiet_link_and_silence_ends_it),
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
        CASE(stop_says_goodbye_and_takes_nobody_new),
        CASE(session_is_renewed_every_day),
        CASE(feed_pages_flow_while_the_reader_reads),
        CASE(reader_that_does_not_read_stops_its_feed),
        CASE(frames_beyond_the_window_wait_for_the_reader),
        CASE(failed_read_is_tried_again),
        CASE(session_may_end_while_its_feed_waits_for_another_try),
        CASE(flood_of_pushes_ends_the_session_before_memory_ends),
        CASE(trace_tells_facts_and_no_secrets),
        CASE(receipts_are_noted_once_a_minute_and_at_the_end),
        CASE(only_a_receipt_for_what_was_published_now_ends_a_catch_up),
        CASE(a_repair_is_published_at_the_same_head),
        CASE(what_others_write_is_adopted_once),
        CASE(connection_that_dies_with_jobs_in_flight_leaks_nothing),
        CASE(server_is_destroyed_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

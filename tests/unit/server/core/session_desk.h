/* SPDX-License-Identifier: Apache-2.0 */
/* session_desk.h: the server core of session_kit.h with real channels on the devices' side; the
 * threads behind the server are played by a desk with a table of answers, so that each of them can
 * come late, wrong or not at all. */
#pragma once

#include "tests/unit/server/core/session_kit.h"

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
    size_t resumes;
    char note[160]; /* the last line for the audit log */
    size_t send_room_least;
};

static inline void add_text(struct job *job, uint8_t type, const char *text)
{
    struct problem problem = {0};

    expect(job_add_body(job, type, bytes_of_text(text), 0, NULL, &problem), &problem);
}

static inline void answer_authenticate(struct world *world, struct job *job)
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

static inline void answer_feed(struct desk *desk, struct job *job)
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

static inline void answer(struct world *world, struct job *job)
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
        desk->resumes++;
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

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline struct device *dial(struct world *world, size_t i)
{
    return connect_from(world, i, "192.0.2.1:4000", bytes_of_text("hello"));
}

static inline struct device *live(struct world *world, size_t i)
{
    struct device *device = dial(world, i);

    world_work(world);
    assert_string_equal(device->heard, "WELCOME PUBLISH ");
    assert_false(device->is_closed);
    return device;
}

static inline void send_text(struct world *world, struct device *device, uint8_t type,
                             const char *text)
{
    device_sends(world, device, type, bytes_of_text(text));
}

static inline void send_number(struct world *world, struct device *device, enum message_type type,
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

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* SPDX-License-Identifier: Apache-2.0 */
/* world.h: one agent's core on a real replica, talking to a server that the test plays by hand over
 * the real channel, in virtual time. */
#pragma once

#include "tests/unit/agent/replica/kit.h"

#include "agent/core/agent.h"
#include "protocol/channel.h"
#include "protocol/limits.h"

#include <sodium.h>

enum { RECEIVED_MAX = 512, WORLD_ARENA_SIZE = 256 << 20 };

/* A frame that the agent sent. */
struct heard {
    uint8_t type;
    struct bytes body;
};

struct world {
    struct kit *kit;
    struct arena arena;
    struct problem problem;
    struct agent *agent;
    struct channel *server;
    struct identity_signer root;
    struct noise_keypair server_keys;
    struct noise_keypair device_keys;
    uint8_t psk[PSK_SIZE];
    uint8_t seed[32];
    int64_t key_serial;
    int64_t retry_after_ms; /* of HELLO */
    bool has_forged_key;    /* HELLO's key isn't the one that the root signed */
    struct mono_time now;
    struct wall_time wall;
    struct blob_store *blobs;
    bool is_enrolment;
    /* what the agent did */
    bool is_connecting; /* CONNECT without an answer yet */
    bool is_connected;
    size_t connects;
    size_t closes;
    size_t published;
    size_t revoked;
    size_t renewals;
    struct bytes code; /* of the last RENEW */
    bool wipe;
    size_t enrolled;
    size_t alarms;
    size_t schemas;
    char alarm[PROBLEM_TEXT_SIZE];
    enum channel_kind kind; /* of the last conversation */
    struct message_resume resume;
    struct bytes greeting;
    size_t heard_count;
    struct heard heard[RECEIVED_MAX];
    enum result result; /* of the last step */
    size_t cut_after;   /* messages of the server that still arrive; SIZE_MAX: all */
    int64_t tokens;     /* resume tokens given out */
};

static inline void world_step(struct world *world, struct agent_event event);

/* ---- the server's side of the channel ---- */

static inline void world_receive(struct world *world, struct bytes message)
{
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_RECEIVED, .bytes = message});
}

/* One message on its way to the agent, unless the link is cut before. */
static inline void world_deliver(struct world *world, struct bytes message)
{
    if (!world->is_connected)
        return;
    if (world->cut_after == 0) {
        world->is_connected = false;
        world->cut_after = SIZE_MAX;
        world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "cut"});
        return;
    }
    if (world->cut_after != SIZE_MAX)
        world->cut_after--;
    world_receive(world, message);
}

static inline void world_hear(struct world *world, struct bytes message)
{
    struct channel_event event = {0};
    enum result result;

    result = channel_receive(world->server, message, &world->arena, &event, &world->problem);
    if (result != RESULT_OK)
        return; /* a wrong key: the server would close; tests look at what follows */
    if (event.kind == CHANNEL_NEED_PSK) {
        world->kind = event.peer_kind;
        if (channel_psk(world->server, world->psk, &world->arena, &event, &world->problem) !=
            RESULT_OK)
            return;
    }
    if (event.kind == CHANNEL_OPEN) {
        world->greeting = event.greeting;
        if (world->kind == CHANNEL_SESSION)
            OK(world, message_resume_decode(event.greeting, &world->arena, &world->resume,
                                            &world->problem));
    }
    if (event.kind == CHANNEL_SEND)
        world_deliver(world, event.message);
    if (event.kind == CHANNEL_FRAME) {
        struct bytes body = {0};

        OK(world, arena_copy(&world->arena, event.frame.body, &body, &world->problem));
        assert_true(world->heard_count < RECEIVED_MAX);
        world->heard[world->heard_count++] = (struct heard){.type = event.frame.type, .body = body};
    }
}

/* ---- the agent ---- */

static inline void world_effects(struct world *world, const struct agent_effects *given)
{
    struct agent_effects effects = *given;
    struct agent_effect *copies =
        arena_array(&world->arena, effects.count + 1, sizeof(struct agent_effect));

    assert_non_null(copies);
    for (size_t i = 0; i < effects.count; i++) {
        copies[i] = effects.effects[i];
        OK(world,
           arena_copy(&world->arena, effects.effects[i].bytes, &copies[i].bytes, &world->problem));
    }
    for (size_t i = 0; i < effects.count; i++) {
        switch (copies[i].kind) {
        case AGENT_EFFECT_CONNECT:
            world->connects++;
            world->is_connecting = true;
            break;
        case AGENT_EFFECT_SEND:
            if (world->is_connected)
                world_hear(world, copies[i].bytes);
            break;
        case AGENT_EFFECT_CLOSE:
            world->closes++;
            world->is_connected = false;
            world->is_connecting = false;
            break;
        case AGENT_EFFECT_ENROLLED:
            world->enrolled++;
            memcpy(world->psk, copies[i].bytes.data, PSK_SIZE);
            break;
        case AGENT_EFFECT_RENEW:
            world->renewals++;
            world->code = copies[i].bytes;
            break;
        case AGENT_EFFECT_REVOKED:
            world->revoked++;
            world->wipe = copies[i].wipe;
            break;
        case AGENT_EFFECT_PUBLISHED:
            world->published++;
            break;
        case AGENT_EFFECT_NEXT_PSK:
        case AGENT_EFFECT_KEYS_ROTATED:
        case AGENT_EFFECT_KEYS_REVERTED:
        case AGENT_EFFECT_ROTATION_ASKED:
            break; /* tests/sim/stories_security.c */
        case AGENT_EFFECT_SCHEMA:
            world->schemas++;
            break;
        case AGENT_EFFECT_ALARM:
            world->alarms++;
            (void)snprintf(world->alarm, sizeof world->alarm, "%s", effects.effects[i].text);
            break;
        }
    }
}

static inline void world_step(struct world *world, struct agent_event event)
{
    struct agent_effects effects = {0};
    struct problem problem = {0};

    event.mono = world->now;
    event.wall = world->wall;
    world->result = agent_step(world->agent, &event, &effects, &problem);
    world_effects(world, &effects);
}

/* Lets time pass, with a step at each of the agent's deadlines. */
static inline void world_pass(struct world *world, int64_t us)
{
    int64_t until = world->now.us + us;

    for (int steps = 0; steps < 10000; steps++) {
        struct mono_time due = agent_deadline(world->agent);

        if (due.us > until)
            break;
        if (due.us > world->now.us) {
            world->wall.us += due.us - world->now.us;
            world->now = due;
        }
        world_step(world, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
    }
    world->wall.us += until > world->now.us ? until - world->now.us : 0;
    world->now.us = until > world->now.us ? until : world->now.us;
}

static inline void world_agent(struct world *world)
{
    struct agent_options options = {
        .replica = world->kit->replica,
        .blobs = world->blobs,
        .static_secret = world->device_keys.private_key,
        .psk = world->is_enrolment ? NULL : world->psk,
        .root_public_key = world->root.public_key,
        .key_serial_min = 5,
        .jitter_seed = 42,
        .app_version = "test",
        .token_id = world->is_enrolment ? (const uint8_t *)"token-number-one" : NULL,
        .token_secret = world->psk,
        .sign_public_key = world->root.public_key,
        .device_name = "Van 7",
    };

    OK(world, agent_create(&options, &world->agent, &world->problem));
}

static inline struct world *world_begin(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    uint8_t number[32] = {1};

    assert_non_null(world);
    assert_true(sodium_init() >= 0);
    world->kit = *state;
    arena_init(&world->arena, WORLD_ARENA_SIZE);
    identity_signer_from(number, &world->root);
    number[0] = 2;
    noise_keypair_from(number, &world->server_keys);
    number[0] = 3;
    noise_keypair_from(number, &world->device_keys);
    memcpy(world->psk, "0123456789abcdef0123456789abcdef", PSK_SIZE);
    world->key_serial = 7;
    world->now.us = SECONDS(1000);
    world->wall = NOON;
    world->cut_after = SIZE_MAX;
    world_agent(world);
    return world;
}

static inline void world_end(struct world *world)
{
    agent_destroy(world->agent);
    channel_destroy(world->server);
    arena_done(&world->arena);
    free(world);
}

/* ---- a conversation ---- */

/* Answers the agent's CONNECT: the link is up and HELLO is sent. */
static inline void world_connect(struct world *world)
{
    struct channel_server_options options = {
        .static_keys = &world->server_keys,
        .seed = world->seed,
        .hello = {.version_min = 1,
                  .version_max = 1,
                  .server_ms = 1764000000000,
                  .key_serial = world->key_serial,
                  .retry_after_ms = world->retry_after_ms,
                  .message_size_max = LIMIT_MESSAGE_SIZE_MAX},
    };
    uint8_t device_seed[32] = {9};
    struct bytes hello = {0};

    assert_true(world->is_connecting);
    world->is_connecting = false;
    world->is_connected = true;
    world->seed[0]++;
    device_seed[1] = world->seed[0];
    channel_destroy(world->server);
    world->server = NULL;
    identity_certify(&world->root, world->key_serial, world->server_keys.public_key,
                     options.hello.signature);
    options.hello.signature[0] ^= world->has_forged_key ? 1 : 0;
    OK(world, channel_create_server(&options, &world->server, &world->problem));
    OK(world, channel_start(world->server, &world->arena, &hello, &world->problem));
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_CONNECTED, .seed = device_seed});
    world_deliver(world, hello);
}

static inline void world_say(struct world *world, uint8_t type, struct buffer *body)
{
    struct channel_messages messages = {0};

    if (world->is_connected) {
        OK(world, channel_send(world->server, type, buffer_bytes(body), 1, &world->arena, &messages,
                               &world->problem));
        for (size_t i = 0; i < messages.count; i++)
            world_deliver(world, messages.messages[i]);
    }
    buffer_done(body);
}

#define SAY(world, name, type, ...)                                                                \
    do {                                                                                           \
        const struct message_##name said = __VA_ARGS__;                                            \
        struct buffer said_body;                                                                   \
        buffer_init(&said_body, LIMIT_BODY_SIZE_MAX);                                              \
        OK(world, message_##name##_encode(&said, &said_body, &(world)->problem));                  \
        world_say(world, type, &said_body);                                                        \
    } while (0)
#define SAY_BY_CATALOG(world, name, type, ...)                                                     \
    do {                                                                                           \
        const struct message_##name said = __VA_ARGS__;                                            \
        struct buffer said_body;                                                                   \
        buffer_init(&said_body, LIMIT_BODY_SIZE_MAX);                                              \
        OK(world, message_##name##_encode(replica_catalog((world)->kit->replica), &said,           \
                                          &said_body, &(world)->problem));                         \
        world_say(world, type, &said_body);                                                        \
    } while (0)

static inline void world_welcome(struct world *world, int64_t head)
{
    char token[64];

    (void)snprintf(token, sizeof token, "token-token-token-token-tok-%04d",
                   (int)(++world->tokens % 10000));
    SAY(world, welcome, MESSAGE_WELCOME,
        {.session_id = bytes_of("session-session-", 16),
         .epoch = bytes_of_text("epoch-epoch-0001"),
         .replica_no = REPLICA_NO,
         .incarnation = 1,
         .head = head,
         .schema_version = replica_catalog(world->kit->replica)->schema_version,
         .user_id = 12,
         .user_login = bytes_of_text("anna"),
         .resume_token = bytes_of(token, TOKEN_SIZE),
         .digest_key = bytes_of_text("0123456789abcdef"),
         .server_time = world->wall});
}

/* SUBSCRIBED, and a memo of site 1, to be published at `head`. */
static inline void world_rows(struct world *world, int64_t id, int64_t after, int64_t head,
                              const char *title)
{
    struct row_image image = memo(world->kit, SERVER(id), head, 1, title, "body");

    SAY_BY_CATALOG(world, rows, MESSAGE_ROWS,
                   {.bucket = SITE(1),
                    .seq_after = after,
                    .seq_to = head,
                    .is_complete = true,
                    .row_count = 1,
                    .rows = &image});
}

static inline void world_subscribe(struct world *world)
{
    int64_t buckets[] = {SHARED, SITE(1)};

    SAY(world, subscribed, MESSAGE_SUBSCRIBED,
        {.is_whole = true, .added_count = 2, .added = buckets});
}

static inline void world_publish(struct world *world, int64_t head)
{
    SAY(world, publish, MESSAGE_PUBLISH, {.head = head});
}

/* From nothing to LIVE at head 10, with memo 1. */
static inline void world_go_live(struct world *world)
{
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_connect(world);
    world_welcome(world, 10);
    world_subscribe(world);
    world_rows(world, 1, 0, 10, "one");
    world_publish(world, 10);
    assert_int_equal(agent_status(world->agent).state, AGENT_LIVE);
}

static inline size_t world_count(const struct world *world, uint8_t type)
{
    size_t count = 0;

    for (size_t i = 0; i < world->heard_count; i++)
        count += world->heard[i].type == type;
    return count;
}

/* The newest frame of a type; fails without one. */
static inline struct bytes world_last(const struct world *world, uint8_t type)
{
    for (size_t i = world->heard_count; i > 0; i--)
        if (world->heard[i - 1].type == type)
            return world->heard[i - 1].body;
    fail_msg("no %s was sent", message_name(type));
    return (struct bytes){0};
}

static inline struct message_push world_push(struct world *world)
{
    struct message_push push = {0};

    OK(world,
       message_push_decode(replica_catalog(world->kit->replica), world_last(world, MESSAGE_PUSH),
                           &world->arena, &push, &world->problem));
    return push;
}

static inline void world_answer(struct world *world, const struct message_push *push)
{
    SAY_BY_CATALOG(world, verdict, MESSAGE_VERDICT,
                   {.seal_no = push->seal_no, .lcn_high = push->lcn_last, .commit_seq = 20});
}

/* Somebody writes a memo with plain SQL. */
static inline void world_write(struct world *world, const char *title)
{
    sql(world->kit, "INSERT INTO memo(id, site_id, title) SELECT id, 1, '%s' FROM new_id", title);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_LOCAL_CHANGE});
}

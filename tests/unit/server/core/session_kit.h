/* SPDX-License-Identifier: Apache-2.0 */
/* session_kit.h: a server core with devices at the other end of its connections, in virtual time.
 *
 * Messages go through at once, in order. Jobs wait in `jobs` until the test has them answered
 * (world_work), by `answer`, which stands for the threads behind the server. What a device gets is
 * noted by name: "WELCOME PUBLISH ". */
#pragma once

#include "base/trace.h"
#include "protocol/channel.h"
#include "protocol/limits.h"
#include "protocol/messages.h"
#include "server/core/feed.h"
#include "server/core/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

enum { DEVICES = 80, JOBS = 4096, HEARD_SIZE = 512, QUEUE = 8192 };

enum { CLOSE_TEXT_SIZE_MAX = 123 }; /* RFC 6455, 5.5: 125 with the code */

struct device {
    uint64_t connection; /* 0: never connected */
    struct channel *channel;
    struct noise_keypair keys;
    uint8_t psk[PSK_SIZE];
    bool is_enrolment;
    uint8_t token_id[IDENTITY_TOKEN_ID_SIZE];
    bool is_closed;
    uint16_t close_code;
    bool is_later; /* HELLO said: come back later */
    bool is_mute;  /* receives, says nothing by itself */
    char heard[HEARD_SIZE];
    int64_t retry_after_ms;
    bool wipe;
    char code[64];                           /* of the last text message */
    uint8_t message[LIMIT_MESSAGE_SIZE_MAX]; /* the last that it sent */
    size_t message_size;
};

struct queued {
    struct server_event event;
    uint8_t *data;
};

struct world {
    struct server *server;
    struct catalog catalog;
    struct arena arena;
    struct mono_time mono;
    struct wall_time wall;
    struct identity_signer root;
    uint8_t server_secret[32];
    struct server_options options;
    struct device devices[DEVICES];
    struct queued queue[QUEUE];
    size_t queue_first, queue_count;
    struct job *jobs[JOBS];
    size_t job_count;
    uint64_t connection_last;
    bool is_asleep; /* sockets say no DRAINED */
    void (*answer)(struct world *world, struct job *job);
    void (*hears)(struct world *world, struct device *device, const struct frame *frame);
    void *context;
    struct trace tracer;
    char trace[16 * 1024];
};

static inline void expect(enum result result, const struct problem *problem)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), problem->text);
}

static inline void note_trace(void *context, const char *line)
{
    struct world *world = context;
    size_t at = strlen(world->trace);

    if (at + strlen(line) + 2 < sizeof world->trace)
        snprintf(world->trace + at, sizeof world->trace - at, "%s\n", line);
}

static inline struct device *device_of(struct world *world, uint64_t connection)
{
    for (size_t i = 0; i < DEVICES; i++)
        if (world->devices[i].connection == connection)
            return &world->devices[i];
    return NULL;
}

static inline void world_queue(struct world *world, struct server_event event)
{
    struct queued *queued = &world->queue[world->queue_count++];

    assert_true(world->queue_count < QUEUE);
    *queued = (struct queued){.event = event};
    if (event.bytes.size > 0) {
        queued->data = malloc(event.bytes.size);
        assert_non_null(queued->data);
        memcpy(queued->data, event.bytes.data, event.bytes.size);
        queued->event.bytes.data = queued->data;
    }
}

/* ---- the device's side ---- */

static inline void device_says(struct world *world, struct device *device, struct bytes message)
{
    memcpy(device->message, message.data, message.size);
    device->message_size = message.size;
    world_queue(world, (struct server_event){.kind = SERVER_EVENT_RECEIVED,
                                             .connection = device->connection,
                                             .bytes = message});
}

static inline void device_notes(struct device *device, const char *word)
{
    size_t at = strlen(device->heard);

    snprintf(device->heard + at, sizeof device->heard - at, "%s ", word);
}

static inline void device_hears_frame(struct world *world, struct device *device,
                                      const struct frame *frame)
{
    struct message_text text = {0};
    struct problem problem = {0};

    device_notes(device, message_name(frame->type));
    if (world->hears != NULL)
        world->hears(world, device, frame);
    if (frame->type == MESSAGE_BYE || frame->type == MESSAGE_REVOKED ||
        frame->type == MESSAGE_ERROR) {
        expect(message_text_decode(frame->body, &world->arena, &text, &problem), &problem);
        device->wipe = text.wipe;
        device->retry_after_ms = text.retry_after_ms;
        snprintf(device->code, sizeof device->code, "%.*s", (int)text.code.size,
                 (const char *)text.code.data);
    }
}

static inline void device_hears(struct world *world, struct device *device, struct bytes message)
{
    struct channel_event event = {0};
    struct problem problem = {0};

    arena_reset(&world->arena);
    expect(channel_receive(device->channel, message, &world->arena, &event, &problem), &problem);
    if (event.kind == CHANNEL_LATER)
        device->is_later = true;
    if (event.kind == CHANNEL_FRAME)
        device_hears_frame(world, device, &event.frame);
    if (!device->is_mute && (event.kind == CHANNEL_SEND || event.kind == CHANNEL_OPEN))
        device_says(world, device, event.message);
}

/* ---- the server's side ---- */

static inline void world_carry_out(struct world *world, const struct server_effect *effect)
{
    struct device *device = device_of(world, effect->connection);

    switch (effect->kind) {
    case SERVER_EFFECT_SEND:
        assert_non_null(device);
        assert_false(device->is_closed);
        device_hears(world, device, effect->bytes);
        if (!world->is_asleep)
            world_queue(world, (struct server_event){.kind = SERVER_EVENT_DRAINED,
                                                     .connection = effect->connection});
        break;
    case SERVER_EFFECT_CLOSE:
        assert_non_null(device);
        assert_false(device->is_closed);
        device->is_closed = true;
        device->close_code = effect->code;
        assert_true(strlen(effect->text) <= CLOSE_TEXT_SIZE_MAX); /* also: it is still there */
        world_queue(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                                 .connection = effect->connection});
        break;
    case SERVER_EFFECT_READ:
    case SERVER_EFFECT_WRITE:
        assert_true(job_is_write(effect->job->kind) == (effect->kind == SERVER_EFFECT_WRITE));
        assert_true(world->job_count < JOBS);
        world->jobs[world->job_count++] = effect->job;
        break;
    }
}

static inline void world_step_one(struct world *world, const struct server_event *given)
{
    struct server_event event = *given;
    struct server_effects effects = {0};
    struct problem problem = {0};
    uint8_t seed[64];

    randombytes_buf(seed, sizeof seed);
    event.mono = world->mono;
    event.wall = world->wall;
    event.seed = seed;
    expect(server_step(world->server, &event, &effects, &problem), &problem);
    for (size_t i = 0; i < effects.count; i++)
        world_carry_out(world, &effects.effects[i]);
}

/* All that is on its way arrives. */
static inline void world_flow(struct world *world)
{
    while (world->queue_first < world->queue_count) {
        struct queued queued = world->queue[world->queue_first++];

        world_step_one(world, &queued.event);
        free(queued.data);
    }
    world->queue_first = world->queue_count = 0;
}

static inline void world_step(struct world *world, struct server_event event)
{
    world_queue(world, event);
    world_flow(world);
}

/* The oldest job is answered; false if there is none. */
static inline bool world_work_one(struct world *world)
{
    struct job *job = world->jobs[0];

    if (world->job_count == 0)
        return false;
    world->job_count--;
    memmove(world->jobs, world->jobs + 1, world->job_count * sizeof(struct job *));
    world->answer(world, job);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_JOB_DONE, .job = job});
    return true;
}

static inline void world_work(struct world *world)
{
    while (world_work_one(world))
        continue;
}

/* Time passes; what is due in between happens then. */
static inline void world_pass(struct world *world, int64_t us)
{
    struct mono_time end = mono_after(world->mono, us);

    for (;;) {
        struct mono_time due = server_deadline(world->server);

        if (due.us > end.us)
            break;
        if (due.us > world->mono.us) {
            world->wall.us += due.us - world->mono.us;
            world->mono = due;
        }
        world_step(world, (struct server_event){.kind = SERVER_EVENT_DEADLINE});
    }
    world->wall.us += end.us - world->mono.us;
    world->mono = end;
}

/* ---- life ---- */

static inline struct world *world_create(void)
{
    struct world *world = calloc(1, sizeof *world);
    struct noise_keypair keys;
    uint8_t signature[IDENTITY_SIGNATURE_SIZE];
    struct problem problem = {0};
    uint8_t seed[32] = {1};

    assert_non_null(world);
    assert_true(sodium_init() >= 0);
    world->tracer = (struct trace){.write = note_trace, .context = world};
    arena_init(&world->arena, 64 << 20);
    world->mono.us = SECONDS(1000);
    world->wall.us = INT64_C(1764000000000000);
    identity_signer_from(seed, &world->root);
    world->server_secret[0] = 2;
    noise_keypair_from(world->server_secret, &keys);
    identity_certify(&world->root, 3, keys.public_key, signature);
    world->options = (struct server_options){
        .catalog = &world->catalog,
        .static_secret = world->server_secret,
        .key_serial = 3,
        .root_signature = signature,
        .trace = &world->tracer,
        .connections_max = 1000,
    };
    expect(server_create(&world->options, &world->server, &problem), &problem);
    world->options.root_signature = NULL; /* it was copied */
    return world;
}

static inline void world_destroy(struct world *world)
{
    for (size_t i = 0; i < world->job_count; i++) {
        if (world->jobs[i]->session_no != 0)
            world_step_one(world, &(struct server_event){.kind = SERVER_EVENT_JOB_DONE,
                                                         .job = world->jobs[i]});
        else
            job_destroy(world->jobs[i]);
    }
    world->job_count = 0;
}

/* Connects device `i`; HELLO has arrived, and what it answers is on its way. */
static inline struct device *connect_from(struct world *world, size_t i, const char *peer,
                                          struct bytes greeting)
{
    struct device *device = &world->devices[i];
    uint8_t seed[32];
    struct channel_device_options options = {
        .root_public_key = world->root.public_key,
        .static_keys = &device->keys,
        .psk = device->psk,
        .kind = device->is_enrolment ? CHANNEL_ENROL : CHANNEL_SESSION,
        .token_id = device->is_enrolment ? device->token_id : NULL,
        .seed = seed,
        .greeting = greeting,
    };
    struct problem problem = {0};

    channel_destroy(device->channel);
    device->connection = ++world->connection_last;
    device->is_closed = device->is_later = false;
    device->close_code = 0;
    device->heard[0] = device->code[0] = '\0';
    randombytes_buf(seed, sizeof seed);
    expect(channel_create_device(&options, &device->channel, &problem), &problem);
    world_queue(world, (struct server_event){.kind = SERVER_EVENT_OPENED,
                                             .connection = device->connection,
                                             .peer = peer});
    world_flow(world);
    return device;
}

/* Seals a message of the device and has it arrive. */
static inline void device_sends(struct world *world, struct device *device, uint8_t type,
                                struct bytes body)
{
    struct channel_messages messages = {0};
    struct problem problem = {0};

    expect(channel_send(device->channel, type, body, 0, &world->arena, &messages, &problem),
           &problem);
    for (size_t i = 0; i < messages.count; i++)
        device_says(world, device, messages.messages[i]);
    world_flow(world);
}

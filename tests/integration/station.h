/* SPDX-License-Identifier: Apache-2.0 */
/* station.h: the server core on a real master, and devices that speak the real channel to it, in
 * one thread. Messages go through at once and in order; jobs run as soon as nothing is on its way,
 * unless `is_slow`. */
#pragma once

#include "tests/integration/company.h" /* first: it asks for POSIX */

#include "protocol/channel.h"
#include "protocol/limits.h"
#include "server/core/server.h"

#include <sodium.h>

enum { WIRES_MAX = 96, STATION_JOBS_MAX = 256 };

/* One connection of a device. A side without a replica only notes what it hears. */
struct wire {
    struct side *side;
    uint64_t connection;
    struct channel *channel;
    bool is_closed;
    uint16_t close_code;
    char code[32];          /* of the last BYE, ERROR or REVOKED */
    size_t heard[128];      /* how many frames, by type */
    struct answers answers; /* of the last VERDICT */
};

struct station {
    struct company *company;
    struct world *world;
    struct server *server;
    struct identity_signer root;
    struct mono_time mono;
    uint8_t secret[32];
    uint8_t certificate[IDENTITY_SIGNATURE_SIZE];
    size_t wire_count;
    struct wire wires[WIRES_MAX];
    size_t queue_first, queue_count, queue_room;
    struct server_event *queue;
    bool is_slow;
    size_t job_count;
    struct job *jobs[STATION_JOBS_MAX];
};

static inline void station_flow(struct station *station);

static inline struct bytes kept(struct world *world, struct bytes bytes)
{
    struct bytes copy = {0};

    ok(world, arena_copy(&world->arena, bytes, &copy, &world->problem));
    return copy;
}

static inline void station_queue(struct station *station, struct server_event event)
{
    if (station->queue_count == station->queue_room) {
        station->queue_room = station->queue_room * 2 + 64;
        station->queue = realloc(station->queue, station->queue_room * sizeof *station->queue);
        assert_non_null(station->queue);
    }
    station->queue[station->queue_count++] = event;
}

/* ---- the device's end ---- */

static inline void wire_says(struct station *station, struct wire *wire, struct bytes message)
{
    station_queue(station, (struct server_event){.kind = SERVER_EVENT_RECEIVED,
                                                 .connection = wire->connection,
                                                 .bytes = kept(station->world, message)});
}

static inline void wire_hears_text(struct station *station, struct wire *wire, struct bytes body)
{
    struct world *world = station->world;
    struct message_text text = {0};

    ok(world, message_text_decode(body, &world->arena, &text, &world->problem));
    (void)snprintf(wire->code, sizeof wire->code, "%.*s", (int)text.code.size,
                   (const char *)text.code.data);
}

static inline void wire_hears_frame(struct station *station, struct wire *wire,
                                    const struct frame *frame)
{
    struct world *world = station->world;

    assert_true(frame->type < sizeof wire->heard / sizeof *wire->heard);
    wire->heard[frame->type]++;
    switch (frame->type) {
    case MESSAGE_WELCOME:
        side_hears_welcome(world, wire->side, frame->body);
        break;
    case MESSAGE_VERDICT:
        wire->answers.count = 0;
        side_hears_verdict(world, wire->side, frame->body, &wire->answers);
        break;
    case MESSAGE_BYE:
    case MESSAGE_ERROR:
    case MESSAGE_REVOKED:
        wire_hears_text(station, wire, frame->body);
        break;
    case MESSAGE_SUBSCRIBED:
    case MESSAGE_ROWS:
    case MESSAGE_SNAPSHOT:
    case MESSAGE_GONE:
    case MESSAGE_IDS:
    case MESSAGE_PUBLISH:
        if (wire->side->replica != NULL)
            side_hears(world, wire->side, frame);
        break;
    default:
        break;
    }
}

static inline void wire_hears(struct station *station, struct wire *wire, struct bytes message)
{
    struct world *world = station->world;
    struct channel_event event = {0};

    ok(world, channel_receive(wire->channel, message, &world->arena, &event, &world->problem));
    if (event.kind == CHANNEL_SEND || event.kind == CHANNEL_OPEN)
        wire_says(station, wire, event.message);
    if (event.kind == CHANNEL_FRAME)
        wire_hears_frame(station, wire, &event.frame);
}

/* ---- the server's end ---- */

static inline struct wire *wire_of(struct station *station, uint64_t connection)
{
    for (size_t i = 0; i < station->wire_count; i++)
        if (station->wires[i].connection == connection)
            return &station->wires[i];
    fail_msg("no connection %" PRIu64, connection);
    return NULL;
}

static inline void carry_out(struct station *station, const struct server_effect *effect)
{
    struct wire *wire = NULL;

    switch (effect->kind) {
    case SERVER_EFFECT_SEND:
        wire = wire_of(station, effect->connection);
        assert_false(wire->is_closed);
        wire_hears(station, wire, effect->bytes);
        station_queue(station, (struct server_event){.kind = SERVER_EVENT_DRAINED,
                                                     .connection = effect->connection});
        break;
    case SERVER_EFFECT_CLOSE:
        wire = wire_of(station, effect->connection);
        assert_false(wire->is_closed);
        wire->is_closed = true;
        wire->close_code = effect->code;
        station_queue(station, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                                     .connection = effect->connection});
        break;
    case SERVER_EFFECT_READ:
    case SERVER_EFFECT_WRITE:
        assert_true(station->job_count < STATION_JOBS_MAX);
        station->jobs[station->job_count++] = effect->job;
        break;
    }
}

static inline void station_step(struct station *station, struct server_event event)
{
    struct server_effects effects = {0};
    uint8_t seed[64];

    randombytes_buf(seed, sizeof seed);
    event.seed = seed;
    event.mono = station->mono;
    event.wall = station->world->now;
    ok(station->world, server_step(station->server, &event, &effects, &station->world->problem));
    for (size_t i = 0; i < effects.count; i++)
        carry_out(station, &effects.effects[i]);
}

static inline void station_work(struct station *station)
{
    struct world *world = station->world;
    struct job *job = station->jobs[0];
    struct master_outcome outcome = {0};

    station->job_count--;
    memmove(station->jobs, station->jobs + 1, station->job_count * sizeof(struct job *));
    if (job_is_write(job->kind)) {
        ok(world, master_write(world->master, &job, 1, world->now, &outcome, &world->problem));
        station_step(station,
                     (struct server_event){.kind = SERVER_EVENT_COMMITTED, .outcome = &outcome});
    } else {
        ok(world, master_read(world->reader, &job, 1, world->now, &world->problem));
    }
    station_step(station, (struct server_event){.kind = SERVER_EVENT_JOB_DONE, .job = job});
}

/* Until nothing is on its way and nothing is to be done. */
static inline void station_flow(struct station *station)
{
    for (;;) {
        while (station->queue_first < station->queue_count)
            station_step(station, station->queue[station->queue_first++]);
        station->queue_first = station->queue_count = 0;
        if (station->job_count == 0 || station->is_slow)
            return;
        station_work(station);
    }
}

/* Time passes, with a step at each deadline. */
static inline void station_pass(struct station *station, int64_t us)
{
    struct mono_time end = mono_after(station->mono, us);

    station_flow(station);
    for (int i = 0; i < 1000 && server_deadline(station->server).us <= end.us; i++) {
        struct mono_time due = server_deadline(station->server);

        if (due.us > station->mono.us) {
            station->world->now.us += due.us - station->mono.us;
            station->mono = due;
        }
        station_step(station, (struct server_event){.kind = SERVER_EVENT_DEADLINE});
        station_flow(station);
    }
    station->world->now.us += end.us - station->mono.us;
    station->mono = end;
}

/* ---- connections ---- */

/* A connection whose handshake is on its way; WELCOME and the feed come with station_flow. */
static inline struct wire *wire_open(struct station *station, struct side *side)
{
    struct world *world = station->world;
    struct wire *wire = &station->wires[station->wire_count];
    struct buffer greeting;
    uint8_t seed[32];
    struct channel_device_options options = {.root_public_key = station->root.public_key,
                                             .static_keys = &side->keys,
                                             .psk = side->psk,
                                             .kind = CHANNEL_SESSION,
                                             .seed = seed};

    assert_true(station->wire_count < WIRES_MAX);
    randombytes_buf(seed, sizeof seed);
    encode_resume(world, side, &greeting);
    options.greeting = buffer_bytes(&greeting);
    *wire = (struct wire){.side = side, .connection = ++station->wire_count};
    ok(world, channel_create_device(&options, &wire->channel, &world->problem));
    buffer_done(&greeting);
    station_queue(station, (struct server_event){.kind = SERVER_EVENT_OPENED,
                                                 .connection = wire->connection,
                                                 .peer = "192.0.2.1:5000"});
    return wire;
}

static inline struct wire *wire_connect(struct station *station, struct side *side)
{
    struct wire *wire = wire_open(station, side);

    station_flow(station);
    return wire;
}

static inline void wire_close(struct station *station, struct wire *wire)
{
    if (!wire->is_closed)
        station_queue(station, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                                     .connection = wire->connection});
    wire->is_closed = true;
    station_flow(station);
    channel_destroy(wire->channel);
    wire->channel = NULL;
}

/* Puts one message on its way. */
static inline void wire_send(struct station *station, struct wire *wire, uint8_t type,
                             struct bytes body)
{
    struct world *world = station->world;
    struct channel_messages messages = {0};

    ok(world,
       channel_send(wire->channel, type, body, 0, &world->arena, &messages, &world->problem));
    for (size_t i = 0; i < messages.count; i++)
        wire_says(station, wire, messages.messages[i]);
}

/* ---- the whole ---- */

static inline int station_create(void **state)
{
    struct station *station = calloc(1, sizeof *station);
    struct noise_keypair keys;
    void *made = NULL;
    uint8_t seed[32] = {1};
    struct server_options options = {.key_serial = 3, .connections_max = 100};

    assert_non_null(station);
    assert_true(sodium_init() >= 0);
    assert_int_equal(company_create(&made, 1), 0);
    station->company = made;
    station->world = station->company->world;
    station->mono.us = SECONDS(1000);
    station->secret[0] = 2;
    identity_signer_from(seed, &station->root);
    noise_keypair_from(station->secret, &keys);
    identity_certify(&station->root, 3, keys.public_key, station->certificate);
    options.catalog = &station->world->catalog;
    options.static_secret = station->secret;
    options.root_signature = station->certificate;
    ok(station->world, server_create(&options, &station->server, &station->world->problem));
    *state = station;
    return 0;
}

static inline int station_destroy(void **state)
{
    struct station *station = *state;
    void *made = station->company;

    for (size_t i = 0; i < station->wire_count; i++)
        if (station->wires[i].channel != NULL)
            wire_close(station, &station->wires[i]);
    server_destroy(station->server);
    free(station->queue);
    free(station);
    return company_destroy(&made);
}

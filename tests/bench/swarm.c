/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* swarm: many devices in one process, each with the agent's real core, a replica file of its own
 * and a socket of its own. For measuring a server with many receivers.
 *
 *     swarm URL ROOT_KEY_HEX TEMPLATE FOLDER SCRIPTS < SEEDS
 *
 * SEEDS: one line of 96 hex digits a device, token id and secret of a fresh enrolment code.
 * TEMPLATE is a replica that was never enrolled; each device gets a copy of it in FOLDER. SCRIPTS:
 * data folder with the company's schema scripts. Lines on stdout:
 *
 *     live US COUNT             all devices have everything; how long that took
 *     published NS DEVICE       a device made new data visible, at this time of the monotonic clock
 *     reconnected US UP DOWN    SIGUSR1: the first device's new session, until it is idle, in bytes
 *
 * Ends with SIGTERM, or when a device fails. */
#include "agent/core/agent.h"
#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/files.h"
#include "edge/loop.h"
#include "edge/scripts.h"
#include "edge/websocket.h"
#include "protocol/identity.h"

#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEVICES_MAX = 20000,
    SEED_SIZE = IDENTITY_TOKEN_ID_SIZE + IDENTITY_KEY_SIZE,
    DIALLING_MAX = 32, /* at once: an ordinary morning, not a storm */
    QUEUE_SIZE_MAX = 1024 * 1024,
    SCRIPTS_SIZE_MAX = 16 * 1024 * 1024,
};

struct device {
    struct swarm *swarm;
    uint64_t connection;
    struct replica *replica;
    struct agent *agent;
    struct loop_timer *timer;
    uint8_t seed[SEED_SIZE];
    bool is_begun;
    bool is_ready; /* was idle once */
};

struct swarm {
    const char *url;
    uint8_t root_key[IDENTITY_KEY_SIZE];
    struct replica_options replica_options;
    struct loop *loop;
    struct websocket *websocket;
    struct device *devices;
    size_t count;
    size_t begun_count;
    size_t ready_count;
    struct mono_time started_at;
    struct mono_time reconnect_at; /* us 0: not reconnecting */
    int64_t sent_before;
    int64_t received_before;
    bool has_failed;
};

static void step(struct device *device, struct agent_event event);

static void fail(struct swarm *swarm, const char *what)
{
    fprintf(stderr, "swarm: %s\n", what);
    swarm->has_failed = true;
    loop_stop(swarm->loop);
}

static struct device *device_of(struct swarm *swarm, uint64_t connection)
{
    for (size_t i = 0; i < swarm->begun_count; i++)
        if (swarm->devices[i].connection == connection)
            return &swarm->devices[i];
    return NULL;
}

/* ---- effects ---- */

static void dial(struct device *device)
{
    struct problem problem = {0};

    if (websocket_connect(device->swarm->websocket, device->swarm->url, &device->connection,
                          &problem) != RESULT_OK)
        fail(device->swarm, problem.text);
}

static void carry_out(struct device *device, const struct agent_effects *effects)
{
    struct swarm *swarm = device->swarm;
    struct problem problem = {0};
    bool is_dialling = false;

    for (size_t i = 0; i < effects->count; i++) {
        const struct agent_effect *effect = &effects->effects[i];

        switch (effect->kind) {
        case AGENT_EFFECT_CONNECT:
            is_dialling = true;
            break;
        case AGENT_EFFECT_SEND:
            if (websocket_send(swarm->websocket, device->connection, effect->bytes, &problem) !=
                RESULT_OK)
                fail(swarm, problem.text);
            break;
        case AGENT_EFFECT_CLOSE:
            websocket_close(swarm->websocket, device->connection, WEBSOCKET_NORMAL, "",
                            WEBSOCKET_FLUSH);
            device->connection = 0;
            break;
        case AGENT_EFFECT_PUBLISHED:
            printf("published %" PRId64 " %zu\n", clock_mono_now().us * 1000,
                   (size_t)(device - swarm->devices));
            break;
        case AGENT_EFFECT_ENROLLED:
        case AGENT_EFFECT_SCHEMA:
            break;
        case AGENT_EFFECT_NEXT_PSK:
        case AGENT_EFFECT_KEYS_ROTATED:
        case AGENT_EFFECT_KEYS_REVERTED:
        case AGENT_EFFECT_ROTATION_ASKED:
        case AGENT_EFFECT_RENEW:
        case AGENT_EFFECT_REVOKED:
        case AGENT_EFFECT_ALARM:
            fail(swarm, effect->text != NULL ? effect->text : "taken for a copy");
            break;
        }
    }
    if (is_dialling)
        dial(device);
}

/* ---- devices ---- */

static enum result create_agent(struct device *device, struct problem *problem)
{
    uint8_t secret[IDENTITY_KEY_SIZE];
    uint8_t sign_seed[IDENTITY_KEY_SIZE];
    struct identity_signer signer;
    struct agent_options options = {
        .replica = device->replica,
        .static_secret = secret,
        .root_public_key = device->swarm->root_key,
        .jitter_seed = entropy_seed(),
        .app_version = "bench",
        .token_id = device->seed,
        .token_secret = device->seed + IDENTITY_TOKEN_ID_SIZE,
        .device_name = "bench",
    };

    entropy_fill(secret, sizeof secret);
    entropy_fill(sign_seed, sizeof sign_seed);
    identity_signer_from(sign_seed, &signer);
    options.sign_public_key = signer.public_key;
    return agent_create(&options, &device->agent, problem);
}

static void begin_next(struct swarm *swarm)
{
    struct device *device = &swarm->devices[swarm->begun_count];

    if (swarm->begun_count == swarm->count ||
        swarm->begun_count >= swarm->ready_count + DIALLING_MAX)
        return;
    swarm->begun_count++;
    device->is_begun = true;
    step(device, (struct agent_event){.kind = AGENT_EVENT_START});
}

static void note_ready(struct device *device)
{
    struct swarm *swarm = device->swarm;

    device->is_ready = true;
    swarm->ready_count++;
    if (swarm->ready_count == swarm->count)
        printf("live %" PRId64 " %zu\n", clock_mono_now().us - swarm->started_at.us, swarm->count);
    begin_next(swarm);
}

static void note_reconnected(struct swarm *swarm, const struct agent_status *status)
{
    printf("reconnected %" PRId64 " %" PRId64 " %" PRId64 "\n",
           clock_mono_now().us - swarm->reconnect_at.us, status->bytes_sent - swarm->sent_before,
           status->bytes_received - swarm->received_before);
    swarm->reconnect_at.us = 0;
}

static void step(struct device *device, struct agent_event event)
{
    struct swarm *swarm = device->swarm;
    struct agent_effects effects = {0};
    struct agent_status status;
    struct problem problem = {0};

    event.mono = clock_mono_now();
    event.wall = clock_wall_now();
    if (agent_step(device->agent, &event, &effects, &problem) != RESULT_OK) {
        fail(swarm, problem.text);
        return;
    }
    carry_out(device, &effects);
    status = agent_status(device->agent);
    loop_timer_set(device->timer, agent_deadline(device->agent));
    if (status.is_idle && !device->is_ready)
        note_ready(device);
    if (status.is_idle && device == swarm->devices && swarm->reconnect_at.us != 0 &&
        event.kind == AGENT_EVENT_RECEIVED)
        note_reconnected(swarm, &status);
}

/* ---- events ---- */

static void on_opened(void *context, uint64_t connection, const char *peer)
{
    struct device *device = device_of(context, connection);
    uint8_t seed[32];

    (void)peer;
    entropy_fill(seed, sizeof seed);
    if (device != NULL)
        step(device, (struct agent_event){.kind = AGENT_EVENT_CONNECTED, .seed = seed});
}

static void on_received(void *context, uint64_t connection, struct bytes message)
{
    struct device *device = device_of(context, connection);

    if (device != NULL)
        step(device, (struct agent_event){.kind = AGENT_EVENT_RECEIVED, .bytes = message});
}

static void on_drained(void *context, uint64_t connection)
{
    struct device *device = device_of(context, connection);

    if (device != NULL)
        step(device, (struct agent_event){.kind = AGENT_EVENT_DRAINED});
}

static void on_closed(void *context, uint64_t connection, const struct websocket_end *how)
{
    struct swarm *swarm = context;
    struct device *device = device_of(swarm, connection);

    if (device == NULL)
        return;
    device->connection = 0;
    step(device, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = how->reason});
}

static void on_timer(void *context)
{
    step(context, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
}

static void on_signal(void *context, int number)
{
    struct swarm *swarm = context;
    struct device *first = swarm->devices;
    struct agent_status status = agent_status(first->agent);

    if (number == SIGTERM || number == SIGINT)
        loop_stop(swarm->loop);
    if (number != SIGUSR1 || swarm->reconnect_at.us != 0)
        return;
    websocket_close(swarm->websocket, first->connection, WEBSOCKET_NORMAL, "", WEBSOCKET_DROP);
    first->connection = 0; /* its end isn't the agent's any more */
    step(first, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "measured"});
    swarm->sent_before = status.bytes_sent;
    swarm->received_before = status.bytes_received;
    swarm->reconnect_at = clock_mono_now();
    step(first, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
}

/* ---- beginning ---- */

static enum result copy_file(const char *from, const char *to, struct problem *problem)
{
    struct buffer content;
    enum result result;

    buffer_init(&content, 256 * 1024 * 1024);
    result = files_read(from, &content, problem);
    if (result == RESULT_OK)
        result = files_write(to, buffer_bytes(&content), 0600, problem);
    buffer_done(&content);
    return result;
}

static enum result make_device(struct swarm *swarm, size_t index, const char *template_path,
                               const char *folder, struct problem *problem)
{
    struct device *device = &swarm->devices[index];
    char path[FILES_PATH_SIZE];
    char name[32];
    struct replica_options options = swarm->replica_options;
    enum result result;

    device->swarm = swarm;
    snprintf(name, sizeof name, "%zu.db", index);
    options.path = path;
    result = files_join(folder, name, path, problem);
    if (result == RESULT_OK)
        result = copy_file(template_path, path, problem);
    if (result == RESULT_OK)
        result = replica_open(&options, &device->replica, problem);
    if (result == RESULT_OK)
        result = create_agent(device, problem);
    if (result == RESULT_OK)
        result = loop_timer_create(swarm->loop, on_timer, device, &device->timer, problem);
    return result;
}

static size_t read_seeds(struct swarm *swarm)
{
    char line[2 * SEED_SIZE + 2];
    size_t size = 0;

    while (swarm->count < DEVICES_MAX && fgets(line, sizeof line, stdin) != NULL)
        if (sodium_hex2bin(swarm->devices[swarm->count].seed, SEED_SIZE, line, 2 * SEED_SIZE, NULL,
                           &size, NULL) == 0 &&
            size == SEED_SIZE)
            swarm->count++;
    return swarm->count;
}

static enum result read_scripts(struct swarm *swarm, const char *folder, struct arena *arena,
                                struct problem *problem)
{
    const struct script *scripts = NULL;
    struct replica_script *extras = NULL;
    size_t count = 0;
    enum result result = scripts_read(folder, arena, &scripts, &count, problem);

    if (result != RESULT_OK || count == 0)
        return result;
    extras = arena_array(arena, count, sizeof *extras);
    if (extras == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < count; i++)
        extras[i] = (struct replica_script){scripts[i].name, scripts[i].text};
    swarm->replica_options.extras = extras;
    swarm->replica_options.extra_count = count;
    return RESULT_OK;
}

static enum result begin(struct swarm *swarm, char **arguments, struct problem *problem)
{
    const struct loop_options loop_options = {.descriptor_count_max = 8 * DEVICES_MAX};
    const struct websocket_options options = {.queue_size_max = QUEUE_SIZE_MAX};
    const struct websocket_events events = {.context = swarm,
                                            .opened = on_opened,
                                            .received = on_received,
                                            .drained = on_drained,
                                            .closed = on_closed};
    enum result result = loop_create(&loop_options, &swarm->loop, problem);

    if (result == RESULT_OK)
        result = websocket_create(swarm->loop, &options, &events, &swarm->websocket, problem);
    for (size_t i = 0; i < swarm->count && result == RESULT_OK; i++)
        result = make_device(swarm, i, arguments[3], arguments[4], problem);
    return result;
}

static void finish(struct swarm *swarm)
{
    for (size_t i = 0; i < swarm->count; i++) {
        loop_timer_destroy(swarm->devices[i].timer);
        swarm->devices[i].connection = 0; /* no last steps */
    }
    websocket_destroy(swarm->websocket);
    loop_destroy(swarm->loop);
    for (size_t i = 0; i < swarm->count; i++) {
        agent_destroy(swarm->devices[i].agent);
        replica_close(swarm->devices[i].replica);
    }
    free(swarm->devices);
}

static int run(struct swarm *swarm, char **arguments, struct arena *arena)
{
    struct problem problem = {0};
    size_t size = 0;
    enum result result = RESULT_OK;

    swarm->url = arguments[1];
    if (sodium_hex2bin(swarm->root_key, sizeof swarm->root_key, arguments[2], strlen(arguments[2]),
                       NULL, &size, NULL) != 0 ||
        size != sizeof swarm->root_key || read_seeds(swarm) == 0)
        result = problem_set(&problem, RESULT_REFUSED, "bad key, or no seeds");
    if (result == RESULT_OK)
        result = read_scripts(swarm, arguments[5], arena, &problem);
    if (result == RESULT_OK)
        result = begin(swarm, arguments, &problem);
    if (result != RESULT_OK) {
        fprintf(stderr, "swarm: %s\n", problem.text);
        return 1;
    }
    loop_take_signals(swarm->loop, on_signal, swarm);
    swarm->started_at = clock_mono_now();
    for (size_t i = 0; i < DIALLING_MAX; i++)
        begin_next(swarm);
    loop_run(swarm->loop);
    return swarm->has_failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct swarm swarm = {.devices = calloc(DEVICES_MAX, sizeof *swarm.devices)};
    struct arena arena;
    int status;

    if (argc != 6 || swarm.devices == NULL || sodium_init() < 0) {
        fprintf(stderr, "usage: swarm URL ROOT_KEY_HEX TEMPLATE FOLDER SCRIPTS < SEEDS\n");
        free(swarm.devices);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    arena_init(&arena, SCRIPTS_SIZE_MAX);
    status = run(&swarm, argv, &arena);
    finish(&swarm);
    arena_done(&arena);
    return status;
}

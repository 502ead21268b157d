/* SPDX-License-Identifier: Apache-2.0 */
/* sides.h: a listener and a dialling websocket in one loop, for the tests of both. */
#pragma once

#include "edge/websocket.h"

#include "edge/websocket_listener.h"
#include "tests/unit/edge/rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 5000, CLIENT_COUNT = 200, RECEIVED_SIZE_MAX = 70000 };

/* What one side has seen. */
struct side {
    struct websocket *websocket;
    uint64_t connection; /* the last that opened or was dialled */
    char peer[64];
    uint64_t connections[CLIENT_COUNT];
    size_t opened_count;
    size_t received_count;
    size_t drained_count;
    size_t closed_count;
    struct websocket_end end;
    char end_reason[512];
    uint8_t received[RECEIVED_SIZE_MAX];
    size_t received_size;
    bool echo;
};

struct world {
    struct loop *loop;
    struct listener *listener;
    struct side server;
    struct side client;
    struct problem problem;
    char url[128];
};

static inline void side_opened(void *context, uint64_t connection, const char *peer)
{
    struct side *side = context;

    side->connection = connection;
    (void)snprintf(side->peer, sizeof(side->peer), "%s", peer);
    if (side->opened_count < CLIENT_COUNT)
        side->connections[side->opened_count] = connection;
    side->opened_count++;
}

static inline void side_received(void *context, uint64_t connection, struct bytes message)
{
    struct side *side = context;
    struct problem problem = {0};

    assert_true(message.size <= sizeof(side->received));
    if (message.size > 0)
        memcpy(side->received, message.data, message.size);
    side->received_size = message.size;
    side->received_count++;
    if (side->echo)
        assert_int_equal(websocket_send(side->websocket, connection, message, &problem), RESULT_OK);
}

static inline void side_drained(void *context, uint64_t connection)
{
    (void)connection;
    ((struct side *)context)->drained_count++;
}

static inline void side_closed(void *context, uint64_t connection, const struct websocket_end *end)
{
    struct side *side = context;

    (void)connection;
    side->closed_count++;
    side->end = *end;
    (void)snprintf(side->end_reason, sizeof(side->end_reason), "%s", end->reason);
    side->end.reason = side->end_reason;
}

static inline void side_open(struct world *world, struct side *side,
                             const struct websocket_options *options)
{
    struct websocket_events events = {
        .context = side,
        .opened = side_opened,
        .received = side_received,
        .drained = side_drained,
        .closed = side_closed,
    };

    assert_int_equal(
        websocket_create(world->loop, options, &events, &side->websocket, &world->problem),
        RESULT_OK);
}

static inline struct world *world_create(const struct listener_options *wanted, bool tls,
                                         const char *ca_path)
{
    struct world *world = calloc(1, sizeof(*world));
    struct loop_options loop_options = {.tls = tls, .descriptor_count_max = 4096};
    struct websocket_options client_options = {.ca_path = ca_path};
    struct listener_options options = {0};

    assert_non_null(world);
    assert_int_equal(loop_create(&loop_options, &world->loop, &world->problem), RESULT_OK);
    side_open(world, &world->server, NULL);
    side_open(world, &world->client, &client_options);
    if (wanted != NULL)
        options = *wanted;
    options.websocket = world->server.websocket;
    if (listener_create(world->loop, &options, &world->listener, &world->problem) != RESULT_OK)
        fail_msg("%s", world->problem.text);
    (void)snprintf(world->url, sizeof(world->url), "%s://127.0.0.1:%u/sync", tls ? "wss" : "ws",
                   (unsigned int)listener_port(world->listener));
    return world;
}

static inline void world_destroy(struct world *world)
{
    listener_destroy(world->listener);
    websocket_destroy(world->client.websocket);
    websocket_destroy(world->server.websocket);
    loop_destroy(world->loop);
    free(world);
}

static inline void dial(struct world *world, const char *url)
{
    if (websocket_connect(world->client.websocket, url, &world->client.connection,
                          &world->problem) != RESULT_OK)
        fail_msg("%s", world->problem.text);
}

static inline bool both_opened(void *context)
{
    struct world *world = context;

    return (world->client.opened_count > 0 && world->server.opened_count > 0) ||
           world->client.closed_count > 0;
}

static inline void connect_one(struct world *world)
{
    dial(world, world->url);
    assert_true(rounds_until(world->loop, both_opened, world, WAIT_MS));
    if (world->client.closed_count > 0)
        fail_msg("%s", world->client.end_reason);
}

static inline bool client_received(void *context)
{
    return ((struct world *)context)->client.received_count > 0;
}

static inline bool server_received(void *context)
{
    return ((struct world *)context)->server.received_count > 0;
}

static inline bool client_closed(void *context)
{
    return ((struct world *)context)->client.closed_count > 0;
}

static inline bool server_closed(void *context)
{
    return ((struct world *)context)->server.closed_count > 0;
}

static inline bool both_closed(void *context)
{
    return client_closed(context) && server_closed(context);
}

static inline void fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
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

static void side_opened(void *context, uint64_t connection, const char *peer)
{
    struct side *side = context;

    side->connection = connection;
    (void)snprintf(side->peer, sizeof(side->peer), "%s", peer);
    if (side->opened_count < CLIENT_COUNT)
        side->connections[side->opened_count] = connection;
    side->opened_count++;
}

static void side_received(void *context, uint64_t connection, struct bytes message)
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

static void side_drained(void *context, uint64_t connection)
{
    (void)connection;
    ((struct side *)context)->drained_count++;
}

static void side_closed(void *context, uint64_t connection, const struct websocket_end *end)
{
    struct side *side = context;

    (void)connection;
    side->closed_count++;
    side->end = *end;
    (void)snprintf(side->end_reason, sizeof(side->end_reason), "%s", end->reason);
    side->end.reason = side->end_reason;
}

static void side_open(struct world *world, struct side *side,
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

static struct world *world_create(const struct listener_options *wanted, bool tls,
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

static void world_destroy(struct world *world)
{
    listener_destroy(world->listener);
    websocket_destroy(world->client.websocket);
    websocket_destroy(world->server.websocket);
    loop_destroy(world->loop);
    free(world);
}

static void dial(struct world *world, const char *url)
{
    if (websocket_connect(world->client.websocket, url, &world->client.connection,
                          &world->problem) != RESULT_OK)
        fail_msg("%s", world->problem.text);
}

static bool both_opened(void *context)
{
    struct world *world = context;

    return (world->client.opened_count > 0 && world->server.opened_count > 0) ||
           world->client.closed_count > 0;
}

static void connect_one(struct world *world)
{
    dial(world, world->url);
    assert_true(rounds_until(world->loop, both_opened, world, WAIT_MS));
    if (world->client.closed_count > 0)
        fail_msg("%s", world->client.end_reason);
}

static bool client_received(void *context)
{
    return ((struct world *)context)->client.received_count > 0;
}

static bool server_received(void *context)
{
    return ((struct world *)context)->server.received_count > 0;
}

static bool client_closed(void *context)
{
    return ((struct world *)context)->client.closed_count > 0;
}

static bool server_closed(void *context)
{
    return ((struct world *)context)->server.closed_count > 0;
}

static bool both_closed(void *context)
{
    return client_closed(context) && server_closed(context);
}

static void fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
}

static void messages_of_every_size_come_back_whole(void **state)
{
    static const size_t SIZES[] = {0, 1, 125, 126, 1023, 1024, 1025, 4096, 32768, 65534, 65535};
    static uint8_t data[WEBSOCKET_MESSAGE_SIZE_MAX];
    struct world *world = world_create(NULL, false, NULL);

    (void)state;
    fill(data, sizeof(data));
    world->server.echo = true;
    connect_one(world);
    assert_true(strncmp(world->server.peer, "127.0.0.1:", 10) == 0);
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        world->client.received_count = 0;
        assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                        bytes_of(data, SIZES[i]), &world->problem),
                         RESULT_OK);
        assert_true(rounds_until(world->loop, client_received, world, WAIT_MS));
        assert_int_equal(world->client.received_size, SIZES[i]);
        assert_memory_equal(world->client.received, data, SIZES[i]);
    }
    assert_int_equal(websocket_queue_size(world->client.websocket, world->client.connection), 0);
    assert_true(world->client.drained_count > 0);
    world_destroy(world);
}

static bool server_received_100(void *context)
{
    return ((struct world *)context)->server.received_count == 100;
}

static void many_queued_messages_arrive_in_order(void **state)
{
    struct world *world = world_create(NULL, false, NULL);

    (void)state;
    connect_one(world);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                        bytes_of(&i, sizeof(i)), &world->problem),
                         RESULT_OK);
    assert_int_equal(websocket_queue_size(world->client.websocket, world->client.connection),
                     100 * (sizeof(uint32_t) + WEBSOCKET_MESSAGE_OVERHEAD_SIZE));
    assert_true(rounds_until(world->loop, server_received_100, world, WAIT_MS));
    assert_int_equal(*(uint32_t *)(void *)world->server.received, 99);
    world_destroy(world);
}

static void close_code_and_reason_reach_the_other_side(void **state)
{
    struct world *world = world_create(NULL, false, NULL);

    (void)state;
    connect_one(world);
    websocket_close(world->server.websocket, world->server.connection, 4401, "who are you",
                    WEBSOCKET_DROP);
    assert_int_equal(websocket_send(world->server.websocket, world->server.connection,
                                    bytes_of_text("late"), &world->problem),
                     RESULT_REFUSED);
    assert_true(rounds_until(world->loop, both_closed, world, WAIT_MS));
    assert_int_equal(world->client.end.code, 4401);
    assert_true(world->client.end.by_peer);
    assert_string_equal(world->client.end_reason, "who are you");
    assert_int_equal(world->server.end.code, 4401);
    assert_false(world->server.end.by_peer);
    assert_int_equal(websocket_connection_count(world->server.websocket), 0);
    assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                    bytes_of_text("late"), &world->problem),
                     RESULT_REFUSED);
    world_destroy(world);
}

static void flushing_close_delivers_the_queue_first(void **state)
{
    struct world *world = world_create(NULL, false, NULL);

    (void)state;
    connect_one(world);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                        bytes_of(&i, sizeof(i)), &world->problem),
                         RESULT_OK);
    websocket_close(world->client.websocket, world->client.connection, WEBSOCKET_NORMAL, "bye",
                    WEBSOCKET_FLUSH);
    assert_true(rounds_until(world->loop, both_closed, world, WAIT_MS));
    assert_int_equal(world->server.received_count, 100);
    assert_int_equal(world->server.end.code, WEBSOCKET_NORMAL);
    assert_string_equal(world->server.end_reason, "bye");
    world_destroy(world);
}

static void dropping_close_forgets_the_queue(void **state)
{
    struct world *world = world_create(NULL, false, NULL);

    (void)state;
    connect_one(world);
    assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                    bytes_of_text("never"), &world->problem),
                     RESULT_OK);
    websocket_close(world->client.websocket, world->client.connection, WEBSOCKET_NORMAL, "bye",
                    WEBSOCKET_DROP);
    assert_true(rounds_until(world->loop, both_closed, world, WAIT_MS));
    assert_int_equal(world->server.received_count, 0);
    world_destroy(world);
}

static void destroying_tells_the_end_of_open_connections(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    uint64_t id;

    (void)state;
    connect_one(world);
    websocket_destroy(world->client.websocket);
    world->client.websocket = NULL;
    assert_int_equal(world->client.closed_count, 1);
    assert_int_equal(world->client.end.code, WEBSOCKET_CUT);
    assert_true(rounds_until(world->loop, server_closed, world, WAIT_MS));
    assert_int_equal(world->server.end.code, WEBSOCKET_CUT);
    side_open(world, &world->client, NULL);
    assert_int_equal(websocket_connect(world->client.websocket, world->url, &id, &world->problem),
                     RESULT_OK);
    world_destroy(world); /* while it dials */
}

static void ids_are_never_used_again(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    uint64_t before = 0;

    (void)state;
    for (int i = 0; i < 5; i++) {
        world->client.opened_count = 0;
        world->server.opened_count = 0;
        world->client.closed_count = 0;
        world->server.closed_count = 0;
        connect_one(world);
        assert_true(world->server.connection > before);
        before = world->server.connection;
        websocket_close(world->client.websocket, world->client.connection, 1000, "",
                        WEBSOCKET_DROP);
        assert_true(rounds_until(world->loop, both_closed, world, WAIT_MS));
    }
    world_destroy(world);
}

/* Raw clients: a plain TCP socket, written by hand. */

static const char UPGRADE[] = "GET /sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Key: "
                              "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
static const char SUBPROTOCOL[] = "Sec-WebSocket-Protocol: fieldsync.1\r\n";

struct raw {
    int descriptor;
    uint8_t data[8192];
    size_t size;
    bool ended;
};

static bool raw_read(struct raw *raw)
{
    ssize_t size;

    while (!raw->ended && raw->size < sizeof(raw->data) - 1) {
        size = recv(raw->descriptor, raw->data + raw->size, sizeof(raw->data) - 1 - raw->size,
                    MSG_DONTWAIT);
        if (size < 0 && errno == EAGAIN)
            break;
        if (size <= 0)
            raw->ended = true;
        else
            raw->size += (size_t)size;
    }
    raw->data[raw->size] = '\0';
    return raw->size > 0 || raw->ended;
}

static bool raw_has_some(void *context)
{
    return raw_read(context);
}

static bool raw_has_ended(void *context)
{
    (void)raw_read(context);
    return ((struct raw *)context)->ended;
}

static void raw_write(struct raw *raw, const void *data, size_t size)
{
    assert_int_equal(send(raw->descriptor, data, size, MSG_NOSIGNAL), size);
}

static void raw_open(struct world *world, struct raw *raw)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(listener_port(world->listener)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(raw, 0, sizeof(*raw));
    raw->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(raw->descriptor >= 0);
    assert_int_equal(connect(raw->descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void raw_upgrade(struct world *world, struct raw *raw)
{
    raw_open(world, raw);
    raw_write(raw, UPGRADE, strlen(UPGRADE));
    raw_write(raw, SUBPROTOCOL, strlen(SUBPROTOCOL));
    raw_write(raw, "\r\n", 2);
    assert_true(rounds_until(world->loop, raw_has_some, raw, WAIT_MS));
    assert_true(strncmp((char *)raw->data, "HTTP/1.1 101", 12) == 0);
    assert_null(strstr((char *)raw->data, "Extensions"));
    raw->size = 0;
}

/* A masked frame whose mask is zero, so that its payload reads as sent. */
static void raw_frame(struct raw *raw, uint8_t first, uint64_t claimed, size_t sent)
{
    static uint8_t payload[RECEIVED_SIZE_MAX];
    uint8_t head[14] = {first};
    size_t size = 2;

    fill(payload, sizeof(payload));
    if (claimed < 126) {
        head[1] = (uint8_t)(0x80 | claimed);
    } else if (claimed < 65536) {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(claimed >> 8);
        head[3] = (uint8_t)claimed;
        size = 4;
    } else {
        head[1] = 0x80 | 127;
        for (size_t i = 0; i < 8; i++)
            head[2 + i] = (uint8_t)(claimed >> (56 - 8 * i));
        size = 10;
    }
    raw_write(raw, head, size + 4);
    if (sent > 0)
        raw_write(raw, payload, sent);
}

enum { CONTINUATION = 0x00, TEXT = 0x01, BINARY = 0x02, FIN = 0x80 };

static void expect_close(struct world *world, struct raw *raw, unsigned int code)
{
    if (!rounds_until(world->loop, raw_has_some, raw, WAIT_MS))
        fail_msg("no answer");
    assert_true(raw->size >= 4);
    assert_int_equal(raw->data[0], 0x88);
    assert_int_equal(raw->data[2] << 8 | raw->data[3], code);
    assert_int_equal(world->server.received_count, 0);
    (void)close(raw->descriptor);
    assert_true(rounds_until(world->loop, server_closed, world, WAIT_MS));
    assert_int_equal(world->server.end.code, code);
    assert_false(world->server.end.by_peer);
}

static void text_is_refused_with_1003(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct raw raw;

    (void)state;
    raw_upgrade(world, &raw);
    raw_frame(&raw, FIN | TEXT, 5, 5);
    expect_close(world, &raw, WEBSOCKET_UNSUPPORTED);
    world_destroy(world);
}

static void a_claim_over_the_limit_is_refused_before_its_bytes_come(void **state)
{
    static const uint64_t CLAIMS[] = {65536, UINT64_C(1) << 40, INT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(CLAIMS) / sizeof(CLAIMS[0]); i++) {
        struct world *world = world_create(NULL, false, NULL);
        struct raw raw;

        raw_upgrade(world, &raw);
        raw_frame(&raw, FIN | BINARY, CLAIMS[i], 2000);
        expect_close(world, &raw, WEBSOCKET_TOO_LARGE);
        world_destroy(world);
    }
}

static void fragments_that_add_up_over_the_limit_are_refused(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct raw raw;

    (void)state;
    raw_upgrade(world, &raw);
    raw_frame(&raw, BINARY, 65535, 65535);
    raw_frame(&raw, FIN | CONTINUATION, 1, 1);
    expect_close(world, &raw, WEBSOCKET_TOO_LARGE);
    world_destroy(world);
}

static void sixty_four_fragments_are_joined(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct raw raw;

    (void)state;
    raw_upgrade(world, &raw);
    raw_frame(&raw, BINARY, 1000, 1000);
    for (int i = 0; i < 62; i++)
        raw_frame(&raw, CONTINUATION, 1, 1);
    raw_frame(&raw, FIN | CONTINUATION, 3000, 3000);
    assert_true(rounds_until(world->loop, server_received, world, WAIT_MS));
    assert_int_equal(world->server.received_size, 4062);
    assert_int_equal(world->server.received[999], (uint8_t)(999 * 7 + 999 / 251));
    assert_int_equal(world->server.received[4061], (uint8_t)(2999 * 7 + 2999 / 251));
    (void)close(raw.descriptor);
    world_destroy(world);
}

static void the_sixty_fifth_fragment_is_refused(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct raw raw;

    (void)state;
    raw_upgrade(world, &raw);
    raw_frame(&raw, BINARY, 1, 1);
    for (int i = 0; i < 64; i++)
        raw_frame(&raw, CONTINUATION, 1, 1);
    expect_close(world, &raw, WEBSOCKET_PROTOCOL_ERROR);
    world_destroy(world);
}

static void empty_fragments_are_refused(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        struct world *world = world_create(NULL, false, NULL);
        struct raw raw;

        raw_upgrade(world, &raw);
        raw_frame(&raw, BINARY, form == 0 ? 0 : 3, form == 0 ? 0 : 3);
        if (form == 1)
            raw_frame(&raw, CONTINUATION, 0, 0);
        if (form == 2)
            raw_frame(&raw, FIN | CONTINUATION, 0, 0);
        expect_close(world, &raw, WEBSOCKET_PROTOCOL_ERROR);
        world_destroy(world);
    }
}

static void a_silent_half_frame_disturbs_nobody_and_costs_no_claim(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct raw raw;

    (void)state;
    raw_upgrade(world, &raw);
    raw_frame(&raw, FIN | BINARY, 60000, 1500);
    world->server.opened_count = 0;
    world->server.echo = true;
    connect_one(world);
    assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                    bytes_of_text("hello"), &world->problem),
                     RESULT_OK);
    assert_true(rounds_until(world->loop, client_received, world, WAIT_MS));
    assert_int_equal(world->server.received_count, 1);
    assert_int_equal(websocket_connection_count(world->server.websocket), 2);
    (void)close(raw.descriptor);
    world_destroy(world);
}

static void expect_refusal(const char *request, const char *status)
{
    struct world *world = world_create(NULL, false, NULL);
    struct raw raw;

    raw_open(world, &raw);
    raw_write(&raw, request, strlen(request));
    assert_true(rounds_until(world->loop, raw_has_ended, &raw, WAIT_MS));
    if (strncmp((char *)raw.data, status, strlen(status)) != 0)
        fail_msg("%s instead of %s", raw.data, status);
    assert_int_equal(world->server.opened_count, 0);
    (void)close(raw.descriptor);
    world_destroy(world);
}

static void upgrades_with_an_origin_are_refused(void **state)
{
    char request[1024];

    (void)state;
    (void)snprintf(request, sizeof(request), "%s%sOrigin: http://x\r\n\r\n", UPGRADE, SUBPROTOCOL);
    expect_refusal(request, "HTTP/1.1 403");
}

static void upgrades_without_our_subprotocol_are_refused(void **state)
{
    char request[1024];

    (void)state;
    (void)snprintf(request, sizeof(request), "%s\r\n", UPGRADE);
    expect_refusal(request, "HTTP/1.1 400");
    (void)snprintf(request, sizeof(request), "%sSec-WebSocket-Protocol: chat\r\n\r\n", UPGRADE);
    expect_refusal(request, "");
    (void)snprintf(request, sizeof(request), "%sSec-WebSocket-Protocol: http\r\n\r\n", UPGRADE);
    expect_refusal(request, "HTTP/1.1 400");
}

static void upgrades_elsewhere_or_of_old_versions_are_refused(void **state)
{
    char request[1024];

    (void)state;
    (void)snprintf(request, sizeof(request), "%s%s\r\n", UPGRADE, SUBPROTOCOL);
    memcpy(request, "GET /sink", 9);
    expect_refusal(request, "HTTP/1.1 404");
    (void)snprintf(request, sizeof(request), "%s%s\r\n", UPGRADE, SUBPROTOCOL);
    memcpy(strstr(request, ": 13"), ":  8", 4);
    expect_refusal(request, "HTTP/1.1 426");
}

static bool all_opened(void *context)
{
    struct world *world = context;

    return world->client.opened_count == CLIENT_COUNT && world->server.opened_count == CLIENT_COUNT;
}

static bool all_received(void *context)
{
    return ((struct world *)context)->client.received_count == CLIENT_COUNT;
}

static void one_message_reaches_two_hundred_clients(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct websocket_message *message;
    static uint8_t data[300];

    (void)state;
    fill(data, sizeof(data));
    for (int i = 0; i < CLIENT_COUNT; i++)
        dial(world, world->url);
    assert_true(rounds_until(world->loop, all_opened, world, WAIT_MS));
    assert_int_equal(
        websocket_message_create(bytes_of(data, sizeof(data)), &message, &world->problem),
        RESULT_OK);
    for (size_t i = 0; i < CLIENT_COUNT; i++)
        assert_int_equal(websocket_send_message(world->server.websocket,
                                                world->server.connections[i], message,
                                                &world->problem),
                         RESULT_OK);
    websocket_message_release(message);
    assert_true(rounds_until(world->loop, all_received, world, WAIT_MS));
    assert_memory_equal(world->client.received, data, sizeof(data));
    world_destroy(world);
}

static void a_slow_reader_fills_its_queue_and_no_more(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    static uint8_t data[16 * 1024];
    enum result result = RESULT_OK;
    struct raw raw;
    size_t sent = 0;

    (void)state;
    raw_upgrade(world, &raw);
    while (result == RESULT_OK && sent < 64 * 1024 * 1024) { /* it never reads */
        result = websocket_send(world->server.websocket, world->server.connection,
                                bytes_of(data, sizeof(data)), &world->problem);
        sent += sizeof(data);
        rounds_pass(world->loop, 1);
    }
    assert_int_equal(result, RESULT_EXHAUSTED);
    assert_true(websocket_queue_size(world->server.websocket, world->server.connection) <=
                WEBSOCKET_QUEUE_SIZE_MAX);
    world->server.opened_count = 0;
    world->server.echo = true;
    connect_one(world); /* others are served */
    websocket_close(world->server.websocket, world->server.connections[0], 1008, "slow",
                    WEBSOCKET_FLUSH);
    (void)close(raw.descriptor);
    world_destroy(world);
}

static void a_peer_that_never_reads_is_cut_in_the_end(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    static uint8_t data[16 * 1024];
    enum result result = RESULT_OK;
    struct raw raw;

    (void)state;
    raw_upgrade(world, &raw);
    while (result == RESULT_OK) {
        result = websocket_send(world->server.websocket, world->server.connection,
                                bytes_of(data, sizeof(data)), &world->problem);
        rounds_pass(world->loop, 1);
    }
    websocket_close(world->server.websocket, world->server.connection, 1008, "slow",
                    WEBSOCKET_DROP);
    assert_true(websocket_queue_size(world->server.websocket, world->server.connection) > 0);
    assert_true(rounds_until(world->loop, server_closed, world, WEBSOCKET_CLOSE_LIMIT_MS + 2000));
    assert_int_equal(world->server.end.code, 1008);
    (void)close(raw.descriptor);
    world_destroy(world);
}

static void connections_over_the_limits_are_closed(void **state)
{
    struct listener_options options = {.connection_count_max = 2};
    struct listener_options slow = {.address_rate_max = 2};
    struct world *world = world_create(&options, false, NULL);
    struct raw raw[3];

    (void)state;
    raw_upgrade(world, &raw[0]);
    raw_upgrade(world, &raw[1]);
    raw_open(world, &raw[2]);
    assert_true(rounds_until(world->loop, raw_has_ended, &raw[2], WAIT_MS));
    assert_int_equal(listener_counts(world->listener).refused_full, 1);
    assert_int_equal(listener_counts(world->listener).open, 2);
    for (size_t i = 0; i < 3; i++)
        (void)close(raw[i].descriptor);
    assert_true(rounds_until(world->loop, server_closed, world, WAIT_MS));
    rounds_pass(world->loop, 50);
    assert_int_equal(listener_counts(world->listener).open, 0);
    world_destroy(world);

    world = world_create(&slow, false, NULL);
    raw_upgrade(world, &raw[0]);
    raw_upgrade(world, &raw[1]);
    raw_open(world, &raw[2]);
    assert_true(rounds_until(world->loop, raw_has_ended, &raw[2], WAIT_MS));
    assert_int_equal(listener_counts(world->listener).refused_rate, 1);
    for (size_t i = 0; i < 3; i++)
        (void)close(raw[i].descriptor);
    world_destroy(world);
}

static void without_descriptors_accepting_pauses_and_live_connections_go_on(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct raw raw;
    struct rlimit limit;
    struct rlimit low;

    (void)state;
    connect_one(world);
    world->server.echo = true;
    raw_open(world, &raw); /* in the backlog */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                    bytes_of_text("hello"), &world->problem),
                     RESULT_OK);
    assert_true(rounds_until(world->loop, client_received, world, WAIT_MS));
    rounds_pass(world->loop, 500);
    assert_in_range(listener_counts(world->listener).pauses, 1, 5);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    rounds_pass(world->loop, 300);
    assert_int_equal(listener_counts(world->listener).accepted, 2);
    (void)close(raw.descriptor);
    world_destroy(world);
}

static const char *failure_to_connect(struct world *world, const char *url)
{
    size_t connection_count = websocket_connection_count(world->client.websocket);

    world->client.closed_count = 0;
    dial(world, url);
    assert_true(rounds_until(world->loop, client_closed, world, WEBSOCKET_CONNECT_LIMIT_MS + 2000));
    assert_int_equal(world->client.opened_count, 0);
    assert_int_equal(world->client.end.code, WEBSOCKET_NOT_OPENED);
    assert_int_equal(websocket_connection_count(world->client.websocket), connection_count);
    if (getenv("TEST_SAYS") != NULL)
        print_message("%s\n", world->client.end_reason);
    return world->client.end_reason;
}

/* A listening socket that answers one connection with a text. */
static int answering_socket(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(descriptor, 8), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return descriptor;
}

struct answer {
    int listening;
    int descriptor;
    const char *text;
    struct world *world;
};

static bool answer_given_and_closed(void *context)
{
    struct answer *answer = context;

    if (answer->descriptor < 0) {
        answer->descriptor = accept(answer->listening, NULL, NULL);
        if (answer->descriptor >= 0)
            (void)!write(answer->descriptor, answer->text, strlen(answer->text));
    }
    return answer->world->client.closed_count > 0;
}

static const char *failure_after_answer(struct world *world, const char *text)
{
    struct answer answer = {.descriptor = -1, .text = text, .world = world};
    uint16_t port;
    char url[64];

    answer.listening = answering_socket(&port);
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u/sync", (unsigned int)port);
    world->client.closed_count = 0;
    dial(world, url);
    assert_true(rounds_until(world->loop, answer_given_and_closed, &answer, WAIT_MS));
    assert_int_equal(world->client.end.code, WEBSOCKET_NOT_OPENED);
    if (getenv("TEST_SAYS") != NULL)
        print_message("%s\n", world->client.end_reason);
    (void)close(answer.descriptor);
    (void)close(answer.listening);
    return world->client.end_reason;
}

static void a_failed_dial_says_why(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    uint16_t port;
    char url[64];

    (void)state;
    (void)close(answering_socket(&port)); /* nobody listens there now */
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u", (unsigned int)port);
    assert_non_null(strstr(failure_to_connect(world, url), "refuses"));
    (void)snprintf(url, sizeof(url), "ws://no-such-host.invalid:%u", (unsigned int)port);
    assert_non_null(strstr(failure_to_connect(world, url), "no address for no-such-host.invalid"));
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u/other",
                   (unsigned int)listener_port(world->listener));
    assert_non_null(strstr(failure_to_connect(world, url), "without Upgrade"));
    assert_non_null(
        strstr(failure_after_answer(world, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
               "without Upgrade"));
    world_destroy(world);
}

static void a_redirect_is_not_followed(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    char answer[256];

    (void)state;
    (void)snprintf(answer, sizeof(answer),
                   "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/sync\r\n"
                   "Content-Length: 0\r\n\r\n",
                   (unsigned int)listener_port(world->listener));
    assert_non_null(strstr(failure_after_answer(world, answer), "redirect"));
    rounds_pass(world->loop, 100);
    assert_int_equal(world->server.opened_count, 0);
    assert_int_equal(world->client.closed_count, 1);
    world_destroy(world);
}

static void a_server_that_never_answers_is_given_up(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct mono_time before = clock_mono_now();
    uint16_t port;
    int descriptor = answering_socket(&port);
    char url[64];

    (void)state;
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u", (unsigned int)port);
    assert_non_null(strstr(failure_to_connect(world, url), "not answer"));
    assert_in_range(clock_mono_now().us - before.us, SECONDS(8), SECONDS(12));
    (void)close(descriptor);
    world_destroy(world);
}

static void closing_while_dialling_ends_the_dialling(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    uint16_t port;
    int descriptor = answering_socket(&port);
    char url[64];

    (void)state;
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u", (unsigned int)port);
    dial(world, url);
    rounds_pass(world->loop, 50);
    websocket_close(world->client.websocket, world->client.connection, 1000, "changed my mind",
                    WEBSOCKET_DROP);
    assert_int_equal(world->client.closed_count, 0);
    assert_true(rounds_until(world->loop, client_closed, world, 500));
    assert_int_equal(world->client.end.code, WEBSOCKET_NOT_OPENED);
    (void)close(descriptor);
    world_destroy(world);
}

static void names_are_looked_up_and_all_addresses_tried(void **state)
{
    struct world *world = world_create(NULL, false, NULL);

    (void)state;
    /* localhost may be ::1 first, where nobody listens */
    (void)snprintf(world->url, sizeof(world->url), "ws://localhost:%u",
                   (unsigned int)listener_port(world->listener));
    connect_one(world);
    world_destroy(world);
}

static void proxies_of_the_environment_are_not_used(void **state)
{
    struct world *world;

    (void)state;
    assert_int_equal(setenv("http_proxy", "127.0.0.1:1", 1), 0);
    world = world_create(NULL, false, NULL);
    connect_one(world);
    world_destroy(world);
    assert_int_equal(unsetenv("http_proxy"), 0);
}

static void a_url_of_another_form_is_refused(void **state)
{
    static const char *const URLS[] = {
        "",          "http://x/",    "ws://",         "ws:///sync",      "ws://x:0/",
        "ws://x:y/", "ws://x:70000", "ws://[::1",     "ws://x/a b",      "ws://x y/",
        "ws://x:1a", "wss://x/",     "ws://user@x/s", "ws://x\r\nA: b/",
    };
    struct world *world = world_create(NULL, false, NULL);
    uint64_t connection;

    (void)state;
    for (size_t i = 0; i < sizeof(URLS) / sizeof(URLS[0]); i++)
        assert_int_equal(
            websocket_connect(world->client.websocket, URLS[i], &connection, &world->problem),
            RESULT_REFUSED);
    assert_int_equal(websocket_connection_count(world->client.websocket), 0);
    world_destroy(world);
}

static void a_port_in_use_is_refused_in_words(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct listener_options options = {.port = listener_port(world->listener)};
    struct listener *second = NULL;

    (void)state;
    assert_int_equal(listener_create(world->loop, &options, &second, &world->problem),
                     RESULT_REFUSED);
    assert_non_null(strstr(world->problem.text, "in use"));
    world_destroy(world);
}

/* libwebsockets 4.1.6 keeps the OpenSSL context of each vhost that had a connection, about 16 KiB;
 * AddressSanitizer's leak check asks for this function. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcrypto.so\nleak:libssl.so\n";
}

/* TLS: certificates made here with the openssl command; skipped where it is missing. */

static bool make_certificate(const char *name, const char *common_name)
{
    char command[512];

    (void)snprintf(command, sizeof(command),
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
                   "-subj /CN=%s -addext subjectAltName=%s -keyout %s.key -out %s.crt "
                   ">/dev/null 2>&1",
                   common_name, common_name[0] == '1' ? "IP:127.0.0.1" : "DNS:localhost", name,
                   name);
    return system(command) == 0;
}

static void wss_verifies_the_certificate(void **state)
{
    char folder[] = "/tmp/websocket-test-XXXXXX";
    struct listener_options options = {.certificate_path = "a.crt", .key_path = "a.key"};
    struct listener *listener = NULL;
    struct world *world;
    uint64_t connection;
    char before[512];

    (void)state;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    if (!make_certificate("a", "localhost") || !make_certificate("b", "localhost"))
        skip();
    world = world_create(&options, true, "a.crt");
    (void)snprintf(world->url, sizeof(world->url), "wss://localhost:%u/sync",
                   (unsigned int)listener_port(world->listener));
    world->server.echo = true;
    connect_one(world);
    assert_int_equal(websocket_send(world->client.websocket, world->client.connection,
                                    bytes_of_text("hello"), &world->problem),
                     RESULT_OK);
    assert_true(rounds_until(world->loop, client_received, world, WAIT_MS));
    connection = world->client.connection;

    /* another name than the certificate's */
    world->client.opened_count = 0;
    (void)snprintf(world->url, sizeof(world->url), "wss://127.0.0.1:%u/sync",
                   (unsigned int)listener_port(world->listener));
    assert_non_null(strstr(failure_to_connect(world, world->url), "TLS"));

    /* a new certificate that the client doesn't trust; the open connection stays */
    assert_int_equal(rename("b.crt", "a.crt") | rename("b.key", "a.key"), 0);
    if (listener_reload(world->listener, &world->problem) != RESULT_OK)
        fail_msg("%s", world->problem.text);
    (void)snprintf(world->url, sizeof(world->url), "wss://localhost:%u/sync",
                   (unsigned int)listener_port(world->listener));
    assert_non_null(strstr(failure_to_connect(world, world->url), "TLS"));
    world->client.received_count = 0;
    assert_int_equal(websocket_send(world->client.websocket, connection, bytes_of_text("again"),
                                    &world->problem),
                     RESULT_OK);
    assert_true(rounds_until(world->loop, client_received, world, WAIT_MS));

    /* a key that doesn't belong to it */
    assert_true(make_certificate("c", "localhost"));
    assert_int_equal(rename("c.key", "a.key"), 0);
    assert_int_equal(listener_reload(world->listener, &world->problem), RESULT_REFUSED);
    assert_int_equal(listener_create(world->loop, &options, &listener, &world->problem),
                     RESULT_REFUSED);
    world->client.closed_count = 0;
    world->server.closed_count = 0;
    websocket_close(world->client.websocket, connection, WEBSOCKET_NORMAL, "", WEBSOCKET_DROP);
    assert_true(rounds_until(world->loop, both_closed, world, WAIT_MS));
    rounds_pass(world->loop, 100);
    assert_int_equal(listener_counts(world->listener).open, 0);
    world_destroy(world);
    (void)(unlink("a.crt") | unlink("a.key") | unlink("c.crt"));
    assert_int_equal(chdir(before), 0);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_every_size_come_back_whole),
        cmocka_unit_test(many_queued_messages_arrive_in_order),
        cmocka_unit_test(close_code_and_reason_reach_the_other_side),
        cmocka_unit_test(flushing_close_delivers_the_queue_first),
        cmocka_unit_test(dropping_close_forgets_the_queue),
        cmocka_unit_test(destroying_tells_the_end_of_open_connections),
        cmocka_unit_test(ids_are_never_used_again),
        cmocka_unit_test(text_is_refused_with_1003),
        cmocka_unit_test(a_claim_over_the_limit_is_refused_before_its_bytes_come),
        cmocka_unit_test(fragments_that_add_up_over_the_limit_are_refused),
        cmocka_unit_test(sixty_four_fragments_are_joined),
        cmocka_unit_test(the_sixty_fifth_fragment_is_refused),
        cmocka_unit_test(empty_fragments_are_refused),
        cmocka_unit_test(a_silent_half_frame_disturbs_nobody_and_costs_no_claim),
        cmocka_unit_test(upgrades_with_an_origin_are_refused),
        cmocka_unit_test(upgrades_without_our_subprotocol_are_refused),
        cmocka_unit_test(upgrades_elsewhere_or_of_old_versions_are_refused),
        cmocka_unit_test(one_message_reaches_two_hundred_clients),
        cmocka_unit_test(a_slow_reader_fills_its_queue_and_no_more),
        cmocka_unit_test(a_peer_that_never_reads_is_cut_in_the_end),
        cmocka_unit_test(connections_over_the_limits_are_closed),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_live_connections_go_on),
        cmocka_unit_test(a_failed_dial_says_why),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(a_server_that_never_answers_is_given_up),
        cmocka_unit_test(closing_while_dialling_ends_the_dialling),
        cmocka_unit_test(names_are_looked_up_and_all_addresses_tried),
        cmocka_unit_test(proxies_of_the_environment_are_not_used),
        cmocka_unit_test(a_url_of_another_form_is_refused),
        cmocka_unit_test(a_port_in_use_is_refused_in_words),
        cmocka_unit_test(wss_verifies_the_certificate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

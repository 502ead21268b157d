/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/websocket.h"

#include "tests/unit/edge/sides.h"

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

/* Sends such messages until no more fit, letting so much time pass after each, and closes. */
static void expect_cut_of_a_peer_that_does_not_read(struct bytes message, int pause_ms)
{
    struct world *world = world_create(NULL, false, NULL);
    enum result result = RESULT_OK;
    struct raw raw;

    raw_upgrade(world, &raw);
    while (result == RESULT_OK) {
        result = websocket_send(world->server.websocket, world->server.connection, message,
                                &world->problem);
        rounds_pass(world->loop, pause_ms);
    }
    websocket_close(world->server.websocket, world->server.connection, 1008, "slow",
                    WEBSOCKET_DROP);
    assert_true(websocket_queue_size(world->server.websocket, world->server.connection) > 0);
    assert_true(rounds_until(world->loop, server_closed, world, WEBSOCKET_CLOSE_LIMIT_MS + 2000));
    assert_int_equal(world->server.end.code, 1008);
    (void)close(raw.descriptor);
    world_destroy(world);
}

static void a_peer_that_never_reads_is_cut_in_the_end(void **state)
{
    static uint8_t data[16 * 1024];

    (void)state;
    expect_cut_of_a_peer_that_does_not_read(bytes_of(data, sizeof(data)), 1);
}

/* The socket took a part of a message, and the library holds its end. */
static void a_peer_that_stops_inside_a_message_is_cut_in_the_end(void **state)
{
    static uint8_t data[200 * 1024];

    (void)state;
    expect_cut_of_a_peer_that_does_not_read(bytes_of(data, sizeof(data)), 50);
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
        cmocka_unit_test(a_peer_that_stops_inside_a_message_is_cut_in_the_end),
        cmocka_unit_test(connections_over_the_limits_are_closed),
        cmocka_unit_test(without_descriptors_accepting_pauses_and_live_connections_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* Dialling servers that break off at every point, hundreds of times in one context. Whatever they
 * do, each dial ends once and nothing is touched after its end; run it under valgrind or with a
 * libwebsockets that was built with AddressSanitizer to see what the library itself touches. */
#include "edge/websocket.h"

#include "tests/unit/edge/sides.h"

#include <libwebsockets.h>

enum { PEER_COUNT = 48, DIAL_COUNT = 400, REQUEST_SIZE = 2048, STORM_LIMIT_MS = 60 * 1000 };

/* What a server does with a connection. Those after OPENS answer the upgrade properly first. */
enum mood {
    SAYS_NOTHING,
    CLOSES_AT_ONCE,
    RESETS_AT_ONCE,
    CLOSES_AFTER_REQUEST,
    RESETS_AFTER_REQUEST,
    HALF_AN_ANSWER,
    GARBAGE,
    PAGE,
    REDIRECT,
    WRONG_ACCEPT,
    ANOTHER_PROTOCOL,
    OPENS,
    OPENS_AND_ECHOES,
    OPENS_AND_CLOSES,
    OPENS_AND_RESETS,
    HALF_A_FRAME,
    HALF_A_FRAME_AND_RESET,
    TOO_LARGE,
    RESERVED_BITS,
    MASKED,
    CLOSE_FRAME,
    CLOSE_FRAME_IN_THE_SAME_PACKET,
    MOOD_COUNT,
};

struct peer {
    int descriptor; /* -1: none */
    enum mood mood;
    char request[REQUEST_SIZE];
    size_t size;
    bool answered;
};

struct storm {
    struct world *world; /* its client's callbacks aren't used */
    struct websocket *websocket;
    int listening;
    struct peer peers[PEER_COUNT];
    size_t accepted_count;
    size_t dialled_count;
    size_t opened_count;
    size_t closed_count;
    uint64_t open[PEER_COUNT]; /* what is dialling or open; 0: free */
    uint32_t random;
    char url[64];
};

static uint32_t draw(struct storm *storm, uint32_t limit)
{
    storm->random = storm->random * 1664525U + 1013904223U;
    return (storm->random >> 8) % limit;
}

/* ---- the servers ---- */

static void peer_close(struct peer *peer, bool reset)
{
    struct linger at_once = {.l_onoff = 1};

    if (reset)
        (void)setsockopt(peer->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    (void)close(peer->descriptor);
    peer->descriptor = -1;
}

static void peer_say(struct peer *peer, const void *data, size_t size)
{
    if (send(peer->descriptor, data, size, MSG_NOSIGNAL) < 0) {
        /* the other side has gone already */
    }
}

static void say_text(struct peer *peer, const char *text)
{
    peer_say(peer, text, strlen(text));
}

/* The answer to an upgrade, with `more` behind it in the same packet. */
static void say_upgrade(struct peer *peer, const char *protocol, const char *more, size_t more_size)
{
    static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const char *key = strcasestr(peer->request, "Sec-WebSocket-Key: ");
    unsigned char hash[20];
    char accept_key[64] = "";
    char text[256];
    int size;

    assert_non_null(key);
    key += strlen("Sec-WebSocket-Key: ");
    size = snprintf(text, sizeof(text), "%.*s%s", (int)strcspn(key, "\r"), key, GUID);
    (void)lws_SHA1((unsigned char *)text, (size_t)size, hash);
    (void)lws_b64_encode_string((char *)hash, sizeof(hash), accept_key, sizeof(accept_key));
    if (peer->mood == WRONG_ACCEPT)
        accept_key[0] ^= 1;
    size = snprintf(text, sizeof(text),
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                    "Sec-WebSocket-Protocol: %s\r\n\r\n",
                    accept_key, protocol);
    assert_true((size_t)size + more_size < sizeof(text));
    memcpy(text + size, more, more_size);
    peer_say(peer, text, (size_t)size + more_size);
}

static void peer_answer(struct peer *peer)
{
    peer->answered = true;
    switch (peer->mood) {
    case HALF_AN_ANSWER:
        say_text(peer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs");
        peer_close(peer, false);
        break;
    case GARBAGE:
        peer_say(peer, "\0\377\r\n\r\n\1garbage", 14);
        break;
    case PAGE:
        say_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
        break;
    case REDIRECT:
        say_text(peer, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n");
        break;
    case ANOTHER_PROTOCOL:
        say_upgrade(peer, "chat", "", 0);
        break;
    case OPENS_AND_RESETS:
        say_upgrade(peer, "fieldsync.1", "", 0);
        peer_close(peer, true);
        break;
    case OPENS_AND_CLOSES:
        say_upgrade(peer, "fieldsync.1", "", 0);
        peer_close(peer, false);
        break;
    case HALF_A_FRAME:
        say_upgrade(peer, "fieldsync.1", "\202\176\1", 3);
        peer_close(peer, false);
        break;
    case HALF_A_FRAME_AND_RESET:
        say_upgrade(peer, "fieldsync.1", "\202\100half", 6);
        peer_close(peer, true);
        break;
    case TOO_LARGE:
        say_upgrade(peer, "fieldsync.1", "\202\177\0\0\0\0\0\1\0\1x", 11);
        break;
    case RESERVED_BITS:
        say_upgrade(peer, "fieldsync.1", "\362\1x", 3);
        break;
    case MASKED:
        say_upgrade(peer, "fieldsync.1", "\202\201abcdx", 7);
        break;
    case CLOSE_FRAME:
        say_upgrade(peer, "fieldsync.1", "", 0);
        peer_say(peer, "\210\5\3\350bye", 7);
        break;
    case CLOSE_FRAME_IN_THE_SAME_PACKET:
        say_upgrade(peer, "fieldsync.1", "\202\2hi\210\5\3\350bye", 11);
        break;
    case CLOSES_AFTER_REQUEST:
    case RESETS_AFTER_REQUEST:
        peer_close(peer, peer->mood == RESETS_AFTER_REQUEST);
        break;
    case SAYS_NOTHING:
        break;
    default:
        say_upgrade(peer, "fieldsync.1", "", 0);
        break;
    }
}

static void peer_serve(struct peer *peer)
{
    ssize_t size;

    if (peer->answered) {
        char data[4096];

        size = recv(peer->descriptor, data, sizeof(data), 0);
        if (size > 0 && peer->mood == OPENS_AND_ECHOES)
            peer_say(peer, "\202\2yo", 4);
    } else {
        size = recv(peer->descriptor, peer->request + peer->size, REQUEST_SIZE - 1 - peer->size, 0);
        if (size > 0) {
            peer->size += (size_t)size;
            peer->request[peer->size] = '\0';
            if (strstr(peer->request, "\r\n\r\n") != NULL)
                peer_answer(peer);
        }
    }
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EBADF))
        peer_close(peer, false);
}

static void accept_peers(struct storm *storm)
{
    for (size_t i = 0; i < PEER_COUNT; i++) {
        struct peer *peer = &storm->peers[i];

        if (peer->descriptor >= 0)
            continue;
        peer->descriptor = accept4(storm->listening, NULL, NULL, SOCK_NONBLOCK);
        if (peer->descriptor < 0)
            return;
        peer->mood = (enum mood)(storm->accepted_count++ % MOOD_COUNT);
        peer->size = 0;
        peer->answered = false;
        if (peer->mood == CLOSES_AT_ONCE || peer->mood == RESETS_AT_ONCE)
            peer_close(peer, peer->mood == RESETS_AT_ONCE);
    }
}

/* ---- the dialling side ---- */

static void dial_more(struct storm *storm)
{
    for (size_t i = 0; i < PEER_COUNT && storm->dialled_count < DIAL_COUNT; i++) {
        if (storm->open[i] != 0)
            continue;
        assert_int_equal(websocket_connect(storm->websocket, storm->url, &storm->open[i],
                                           &storm->world->problem),
                         RESULT_OK);
        storm->dialled_count++;
        return;
    }
}

static void storm_send(struct storm *storm, uint64_t connection)
{
    static const uint8_t DATA[20000];

    if (websocket_send(storm->websocket, connection, bytes_of(DATA, draw(storm, sizeof(DATA))),
                       &storm->world->problem) == RESULT_OK)
        return; /* it is closing already, or its queue is full */
}

static void storm_opened(void *context, uint64_t connection, const char *peer)
{
    struct storm *storm = context;

    (void)peer;
    storm->opened_count++;
    for (uint32_t i = draw(storm, 4); i > 0; i--)
        storm_send(storm, connection);
    if (draw(storm, 8) == 0)
        websocket_close(storm->websocket, connection, WEBSOCKET_NORMAL, "at once", WEBSOCKET_DROP);
}

static void storm_received(void *context, uint64_t connection, struct bytes message)
{
    struct storm *storm = context;

    (void)message;
    storm_send(storm, connection);
    if (draw(storm, 4) == 0)
        websocket_close(storm->websocket, connection, WEBSOCKET_NORMAL, "", WEBSOCKET_FLUSH);
    dial_more(storm);
}

static void storm_closed(void *context, uint64_t connection, const struct websocket_end *end)
{
    struct storm *storm = context;
    size_t found = 0;

    assert_non_null(end->reason);
    for (size_t i = 0; i < PEER_COUNT; i++) {
        if (storm->open[i] != connection)
            continue;
        storm->open[i] = 0;
        found++;
    }
    assert_int_equal(found, 1); /* once each */
    storm->closed_count++;
    dial_more(storm);
}

static bool storm_is_over(void *context)
{
    struct storm *storm = context;

    accept_peers(storm);
    for (size_t i = 0; i < PEER_COUNT; i++)
        if (storm->peers[i].descriptor >= 0)
            peer_serve(&storm->peers[i]);
    dial_more(storm);
    /* what a server leaves open: the dialling side changes its mind at some point */
    for (size_t i = 0; i < PEER_COUNT; i++)
        if (storm->open[i] != 0 && draw(storm, 50) == 0)
            websocket_close(storm->websocket, storm->open[i], WEBSOCKET_NORMAL, "",
                            draw(storm, 2) == 0 ? WEBSOCKET_DROP : WEBSOCKET_FLUSH);
    return storm->closed_count == DIAL_COUNT;
}

static void storm_begin(struct storm *storm)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct websocket_events events = {.context = storm,
                                      .opened = storm_opened,
                                      .received = storm_received,
                                      .closed = storm_closed};
    socklen_t size = sizeof(address);

    memset(storm, 0, sizeof(*storm));
    storm->random = 1;
    storm->world = world_create(NULL, false, NULL);
    for (size_t i = 0; i < PEER_COUNT; i++)
        storm->peers[i].descriptor = -1;
    storm->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(storm->listening >= 0);
    assert_int_equal(bind(storm->listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(storm->listening, 16), 0);
    assert_int_equal(getsockname(storm->listening, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(storm->url, sizeof(storm->url), "ws://127.0.0.1:%u",
                   (unsigned int)ntohs(address.sin_port));
    assert_int_equal(websocket_create(storm->world->loop, NULL, &events, &storm->websocket,
                                      &storm->world->problem),
                     RESULT_OK);
}

static void storm_end(struct storm *storm)
{
    storm->dialled_count = DIAL_COUNT; /* no more */
    websocket_destroy(storm->websocket);
    for (size_t i = 0; i < PEER_COUNT; i++)
        if (storm->peers[i].descriptor >= 0)
            peer_close(&storm->peers[i], false);
    (void)close(storm->listening);
    world_destroy(storm->world);
}

static void each_dial_ends_once_whatever_the_server_does(void **state)
{
    static struct storm storm;

    (void)state;
    storm_begin(&storm);
    if (!rounds_until(storm.world->loop, storm_is_over, &storm, STORM_LIMIT_MS))
        fail_msg("%zu of %zu ended", storm.closed_count, storm.dialled_count);
    assert_in_range(storm.opened_count, DIAL_COUNT / 8, DIAL_COUNT);
    assert_int_equal(websocket_connection_count(storm.websocket), 0);
    storm_end(&storm);
}

static bool storm_is_raging(void *context)
{
    (void)storm_is_over(context);
    return ((struct storm *)context)->closed_count >= DIAL_COUNT / 4;
}

static void destroying_in_the_middle_ends_all(void **state)
{
    static struct storm storm;
    size_t open_count;

    (void)state;
    storm_begin(&storm);
    assert_true(rounds_until(storm.world->loop, storm_is_raging, &storm, STORM_LIMIT_MS));
    open_count = websocket_connection_count(storm.websocket);
    assert_true(open_count > 0);
    open_count += storm.closed_count;
    storm_end(&storm);
    assert_int_equal(storm.closed_count, open_count);
}

/* ---- closed in the round in which it opens ---- */

static void storm_changes_its_mind(void *context)
{
    struct storm *storm = context;

    websocket_close(storm->websocket, storm->open[0], WEBSOCKET_NORMAL, "", WEBSOCKET_DROP);
}

static bool storm_has_request(void *context)
{
    struct storm *storm = context;
    struct peer *peer = storm->peers;
    ssize_t size;

    if (peer->descriptor < 0)
        peer->descriptor = accept4(storm->listening, NULL, NULL, SOCK_NONBLOCK);
    if (peer->descriptor < 0)
        return false;
    size = recv(peer->descriptor, peer->request, REQUEST_SIZE - 1, 0);
    return size > 0 && strstr(peer->request, "\r\n\r\n") != NULL;
}

static bool storm_has_closed(void *context)
{
    return ((struct storm *)context)->closed_count > 0;
}

static void closing_in_the_round_in_which_it_opens_closes(void **state)
{
    static struct storm storm;
    struct loop_timer *timer = NULL;

    (void)state;
    storm_begin(&storm);
    dial_more(&storm);
    storm.dialled_count = DIAL_COUNT; /* no more */
    assert_true(rounds_until(storm.world->loop, storm_has_request, &storm, WAIT_MS));
    assert_int_equal(loop_timer_create(storm.world->loop, storm_changes_its_mind, &storm, &timer,
                                       &storm.world->problem),
                     RESULT_OK);
    storm.peers[0].mood = OPENS;
    say_upgrade(&storm.peers[0], "fieldsync.1", "", 0);
    loop_timer_set(timer, clock_mono_now()); /* timers come before sockets in a round */
    assert_true(
        rounds_until(storm.world->loop, storm_has_closed, &storm, WEBSOCKET_CLOSE_LIMIT_MS + 2000));
    assert_int_equal(storm.opened_count, 0);
    loop_timer_destroy(timer);
    storm_end(&storm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_dial_ends_once_whatever_the_server_does),
        cmocka_unit_test(destroying_in_the_middle_ends_all),
        cmocka_unit_test(closing_in_the_round_in_which_it_opens_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

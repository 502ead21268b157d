/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes at the port of a real listener on the loopback. The first byte chooses: even, they are sent
 * as they are; odd, behind a correct upgrade to the WebSocket, so that the rest is frames. Handlers
 * see what http.h promises, whole messages keep their limits, and no connection stays. */
#define _GNU_SOURCE
#include "tests/fuzz/fuzz.h" /* first */

#include "edge/http.h"
#include "edge/websocket_listener.h"
#include "tests/unit/edge/rounds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SENT_SIZE_MAX = 100 * 1024, QUIET_ROUNDS = 4, LIMIT_MS = 2000 };

static const char UPGRADE[] = "GET /sync HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Protocol: fieldsync.1\r\n\r\n";

struct site {
    struct loop *loop;
    struct http *http;
    struct websocket *websocket;
    struct listener *listener;
    size_t open_count;
    struct problem problem;
};

struct caller {
    int descriptor;
    struct bytes unsent;
    int quiet_rounds;
    bool is_shut;
};

/* ---- the site ---- */

static void handle(void *context, const struct http_request *request,
                   struct http_response *response)
{
    (void)context;
    invariant(request->path[0] == '/' && strlen(request->path) <= HTTP_PATH_SIZE_MAX);
    invariant(strstr(request->path, "/../") == NULL);
    invariant(strlen(request->query) <= HTTP_QUERY_SIZE_MAX);
    invariant(request->body.size <= HTTP_BODY_SIZE_MAX);
    for (size_t i = 0; i < HTTP_HEADER_COUNT; i++)
        invariant(strlen(request->headers[i]) <= HTTP_HEADER_SIZE_MAX);
    http_respond_header(response, "X-Path", request->path); /* may not split the answer */
    http_respond(response, 200, "text/plain", request->body);
}

static const struct http_route ROUTES[] = {
    {HTTP_GET, "/health", handle}, {HTTP_GET, "/*", handle},   {HTTP_POST, "/*", handle},
    {HTTP_PUT, "/*", handle},      {HTTP_PATCH, "/*", handle}, {HTTP_DELETE, "/x", handle},
};

static void opened(void *context, uint64_t connection, const char *peer)
{
    struct site *site = context;

    (void)connection;
    invariant(peer[0] != '\0');
    site->open_count++;
}

static void received(void *context, uint64_t connection, struct bytes message)
{
    struct site *site = context;
    struct problem problem = {0};

    invariant(message.size <= WEBSOCKET_MESSAGE_SIZE_MAX);
    if (websocket_send(site->websocket, connection, message, &problem) != RESULT_OK)
        websocket_close(site->websocket, connection, WEBSOCKET_NORMAL, "full", WEBSOCKET_DROP);
}

static void closed(void *context, uint64_t connection, const struct websocket_end *end)
{
    struct site *site = context;

    (void)connection;
    invariant(end->reason != NULL && site->open_count > 0);
    site->open_count--;
}

static struct site *the_site(void)
{
    static struct site site;
    const struct http_options http = {
        .routes = ROUTES, .route_count = sizeof ROUTES / sizeof *ROUTES, .context = &site};
    const struct websocket_events events = {
        .context = &site, .opened = opened, .received = received, .closed = closed};
    struct listener_options options = {.port = 0};

    if (site.loop != NULL)
        return &site;
    FUZZ_OK(&site.problem, loop_create(NULL, &site.loop, &site.problem));
    FUZZ_OK(&site.problem, http_create(site.loop, &http, &site.http, &site.problem));
    FUZZ_OK(&site.problem,
            websocket_create(site.loop, NULL, &events, &site.websocket, &site.problem));
    options.http = site.http;
    options.websocket = site.websocket;
    FUZZ_OK(&site.problem, listener_create(site.loop, &options, &site.listener, &site.problem));
    return &site;
}

/* ---- the caller ---- */

static int dial(const struct site *site)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(listener_port(site->listener)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct linger reset = {.l_onoff = 1}; /* no port waits in TIME_WAIT */
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    invariant(descriptor >= 0);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    invariant(connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 ||
              errno == EINPROGRESS);
    return descriptor;
}

/* Sends, reads what comes, says that it has no more; true: the other end has closed. */
static bool call_goes_on(void *context)
{
    struct caller *caller = context;
    char room[4096];
    ssize_t size = 0;

    while (caller->unsent.size > 0) {
        size = send(caller->descriptor, caller->unsent.data, caller->unsent.size, MSG_NOSIGNAL);
        if (size <= 0)
            break;
        caller->unsent = bytes_of(caller->unsent.data + size, caller->unsent.size - (size_t)size);
    }
    size = recv(caller->descriptor, room, sizeof room, 0);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != ENOTCONN))
        return true;
    if (size < 0 && ++caller->quiet_rounds >= QUIET_ROUNDS && !caller->is_shut) {
        (void)shutdown(caller->descriptor, SHUT_WR);
        caller->is_shut = true;
    }
    return false;
}

static bool nobody_is_there(void *context)
{
    const struct site *site = context;

    return listener_counts(site->listener).open == 0 && site->open_count == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t sent[SENT_SIZE_MAX + sizeof UPGRADE];
    struct input input = input_over(data, size);
    struct site *site = the_site();
    bool is_upgrade = input_byte(&input) % 2 == 1;
    size_t head_size = is_upgrade ? sizeof UPGRADE - 1 : 0;
    struct bytes rest = input_rest(&input);
    struct caller caller = {.descriptor = dial(site)};

    if (rest.size > SENT_SIZE_MAX)
        rest.size = SENT_SIZE_MAX;
    memcpy(sent, UPGRADE, head_size);
    if (rest.size > 0)
        memcpy(sent + head_size, rest.data, rest.size);
    caller.unsent = bytes_of(sent, head_size + rest.size);
    (void)rounds_until(site->loop, call_goes_on, &caller, LIMIT_MS);
    (void)close(caller.descriptor);
    invariant(rounds_until(site->loop, nobody_is_there, site, LIMIT_MS));
    return 0;
}

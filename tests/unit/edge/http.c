/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/http.h"

#include "edge/websocket_listener.h"
#include "tests/unit/edge/rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAIT_MS = 5000, ANSWER_SIZE = 4 * 1024 * 1024, LARGE_SIZE = 3 * 1024 * 1024 };

struct site {
    struct loop *loop;
    struct http *http;
    struct listener *listener;
    struct problem problem;
    size_t handled_count;
    size_t body_size;
    uint8_t body_sum;
    char text[2048]; /* what the last handler saw */
    uint64_t ticket;
};

struct caller {
    int descriptor;
    char *answer;
    size_t size;
    bool ended;
    const char *until; /* text to wait for; NULL: the end of the connection */
};

static void handle_health(void *context, const struct http_request *request,
                          struct http_response *response)
{
    struct site *site = context;

    (void)request;
    site->handled_count++;
    http_respond_text(response, 200, "ok\n");
}

static void handle_show(void *context, const struct http_request *request,
                        struct http_response *response)
{
    struct site *site = context;

    site->handled_count++;
    (void)snprintf(site->text, sizeof(site->text), "%s|%s|%s|%s|%s|%s|%s", request->path,
                   request->query, request->headers[HTTP_HOST], request->headers[HTTP_COOKIE],
                   request->headers[HTTP_X_CSRF_TOKEN], request->headers[HTTP_ORIGIN],
                   request->peer);
    http_respond_header(response, "ETag", "\"7\"");
    http_respond_header(response, "Cache-Control", "max-age=60");
    http_respond(response, 201, "application/json", bytes_of_text("{}"));
}

static void handle_body(void *context, const struct http_request *request,
                        struct http_response *response)
{
    struct site *site = context;

    site->handled_count++;
    site->body_size = request->body.size;
    site->body_sum = 0;
    for (size_t i = 0; i < request->body.size; i++)
        site->body_sum = (uint8_t)(site->body_sum + request->body.data[i]);
    http_respond(response, 204, NULL, bytes_of(NULL, 0));
}

static void handle_large(void *context, const struct http_request *request,
                         struct http_response *response)
{
    static uint8_t data[LARGE_SIZE];

    (void)context;
    (void)request;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)('a' + i % 23);
    http_respond(response, 200, "application/octet-stream", bytes_of(data, sizeof(data)));
}

static void handle_later(void *context, const struct http_request *request,
                         struct http_response *response)
{
    (void)request;
    ((struct site *)context)->ticket = http_response_later(response);
}

static void handle_nothing(void *context, const struct http_request *request,
                           struct http_response *response)
{
    (void)context;
    (void)request;
    (void)response;
}

static void handle_injection(void *context, const struct http_request *request,
                             struct http_response *response)
{
    (void)context;
    (void)request;
    http_respond_header(response, "Location", "/x\r\nSet-Cookie: a=b");
    http_respond(response, 303, NULL, bytes_of(NULL, 0));
}

static const struct http_route ROUTES[] = {
    {HTTP_GET, "/healthz", handle_health},      {HTTP_GET, "/show", handle_show},
    {HTTP_GET, "/api/*", handle_show},          {HTTP_POST, "/body", handle_body},
    {HTTP_PUT, "/body", handle_body},           {HTTP_GET, "/large", handle_large},
    {HTTP_GET, "/later", handle_later},         {HTTP_GET, "/nothing", handle_nothing},
    {HTTP_GET, "/injection", handle_injection},
};

static bool permit_no_evil(void *context, const struct http_request *request)
{
    (void)context;
    return strcmp(request->headers[HTTP_HOST], "evil") != 0;
}

static struct site *site_open(void)
{
    struct site *site = calloc(1, sizeof(*site));
    struct http_options options = {.routes = ROUTES,
                                   .route_count = sizeof(ROUTES) / sizeof(ROUTES[0]),
                                   .context = site,
                                   .permit = permit_no_evil};
    struct listener_options listening = {0};

    assert_non_null(site);
    assert_int_equal(loop_create(NULL, &site->loop, &site->problem), RESULT_OK);
    assert_int_equal(http_create(site->loop, &options, &site->http, &site->problem), RESULT_OK);
    listening.http = site->http;
    assert_int_equal(listener_create(site->loop, &listening, &site->listener, &site->problem),
                     RESULT_OK);
    return site;
}

static void site_close(struct site *site)
{
    listener_destroy(site->listener);
    http_destroy(site->http);
    loop_destroy(site->loop);
    free(site);
}

static void caller_open(struct caller *caller, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(caller, 0, sizeof(*caller));
    caller->answer = calloc(1, ANSWER_SIZE);
    assert_non_null(caller->answer);
    caller->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(caller->descriptor >= 0);
    assert_int_equal(connect(caller->descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void caller_close(struct caller *caller)
{
    (void)close(caller->descriptor);
    free(caller->answer);
}

static void caller_say(struct caller *caller, const char *text)
{
    assert_int_equal(send(caller->descriptor, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool caller_has_answer(void *context)
{
    struct caller *caller = context;

    while (!caller->ended && caller->size < ANSWER_SIZE - 1) {
        ssize_t size = recv(caller->descriptor, caller->answer + caller->size,
                            ANSWER_SIZE - 1 - caller->size, MSG_DONTWAIT);

        if (size < 0 && errno == EAGAIN)
            break;
        if (size <= 0)
            caller->ended = true;
        else
            caller->size += (size_t)size;
    }
    return caller->until == NULL ? caller->ended : strstr(caller->answer, caller->until) != NULL;
}

static void ask(struct site *site, struct caller *caller, const char *request, const char *until)
{
    caller->until = until;
    memset(caller->answer, 0, caller->size);
    caller->size = 0;
    caller_say(caller, request);
    if (!rounds_until(site->loop, caller_has_answer, caller, WAIT_MS))
        fail_msg("no \"%s\" in: %.500s", until == NULL ? "end" : until, caller->answer);
}

/* Asks once on a new connection and expects the status and a text in the answer. */
static void expect_answer(const char *request, const char *status, const char *text)
{
    struct site *site = site_open();
    struct caller caller;

    caller_open(&caller, listener_port(site->listener));
    ask(site, &caller, request, "\r\n\r\n");
    rounds_pass(site->loop, 20);
    (void)caller_has_answer(&caller);
    if (strncmp(caller.answer + 9, status, 3) != 0 || strstr(caller.answer, text) == NULL)
        fail_msg("%s", caller.answer);
    caller_close(&caller);
    site_close(site);
}

static void a_route_answers_one_request_a_connection(void **state)
{
    struct site *site = site_open();
    struct caller caller;

    (void)state;
    for (int i = 0; i < 3; i++) {
        caller_open(&caller, listener_port(site->listener));
        ask(site, &caller, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "ok\n");
        assert_int_equal(strncmp(caller.answer, "HTTP/1.1 200 OK\r\n", 17), 0);
        assert_non_null(strstr(caller.answer, "Content-Length: 3\r\n"));
        assert_non_null(strstr(caller.answer, "nosniff"));
        assert_non_null(strstr(caller.answer, "Cache-Control: no-store\r\n"));
        assert_non_null(strstr(caller.answer, "Connection: close\r\n"));
        caller_close(&caller);
    }
    assert_int_equal(site->handled_count, 3);
    assert_int_equal(listener_counts(site->listener).accepted, 3);
    site_close(site);
}

static void handlers_see_path_query_and_headers(void **state)
{
    struct site *site = site_open();
    struct caller caller;

    (void)state;
    caller_open(&caller, listener_port(site->listener));
    ask(site, &caller,
        "GET /api/a%20b/c?x=1&y=%26&z HTTP/1.1\r\nHost: h:1\r\nCookie: s=1; t=2\r\n"
        "X-CSRF-Token: abc\r\nOrigin: http://h:1\r\n\r\n",
        "{}");
    assert_string_equal(site->text, "/api/a b/c|x=1&y=&&z|h:1|s=1; t=2|abc|http://h:1|127.0.0.1");
    assert_int_equal(strncmp(caller.answer, "HTTP/1.1 201 Created\r\n", 22), 0);
    assert_non_null(strstr(caller.answer, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(caller.answer, "ETag: \"7\"\r\n"));
    assert_non_null(strstr(caller.answer, "Cache-Control: max-age=60\r\n"));
    assert_null(strstr(caller.answer, "no-store"));
    caller_close(&caller);
    caller_open(&caller, listener_port(site->listener));
    ask(site, &caller, "GET /show HTTP/1.1\r\nHost: x\r\n\r\n", "{}");
    assert_string_equal(site->text, "/show||x||||127.0.0.1");
    caller_close(&caller);
    site_close(site);
}

static void unknown_paths_get_404_and_wrong_methods_405(void **state)
{
    (void)state;
    expect_answer("GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "404", "not found");
    expect_answer("GET /healthz/ HTTP/1.1\r\nHost: x\r\n\r\n", "404", "not found");
    expect_answer("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404", "not found");
    expect_answer("GET /body HTTP/1.1\r\nHost: x\r\n\r\n", "405", "Allow: POST, PUT\r\n");
    expect_answer("DELETE /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "405", "Allow: GET, HEAD\r\n");
}

/* With a body, libwebsockets would read it from freed memory, or tell its end for ever. */
static void what_follows_a_request_is_not_read(void **state)
{
    static const char *const SECONDS[] = {
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhello",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    };
    struct site *site = site_open();

    (void)state;
    for (size_t i = 0; i < sizeof(SECONDS) / sizeof(SECONDS[0]); i++) {
        struct caller caller;
        char both[512];

        (void)snprintf(both, sizeof(both), "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n%s",
                       SECONDS[i]);
        caller_open(&caller, listener_port(site->listener));
        ask(site, &caller, both, NULL);
        assert_int_equal(site->handled_count, i + 1);
        caller_close(&caller);
    }
    site_close(site);
}

static void head_is_get_without_the_body(void **state)
{
    struct site *site = site_open();
    struct caller caller;

    (void)state;
    caller_open(&caller, listener_port(site->listener));
    ask(site, &caller, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n");
    rounds_pass(site->loop, 20);
    (void)caller_has_answer(&caller);
    assert_non_null(strstr(caller.answer, "Content-Length: 3\r\n"));
    assert_string_equal(strstr(caller.answer, "\r\n\r\n"), "\r\n\r\n");
    caller_close(&caller);
    site_close(site);
}

static void a_body_up_to_the_limit_arrives_whole(void **state)
{
    static const size_t SIZES[] = {1, 5000, HTTP_BODY_SIZE_MAX};
    struct site *site = site_open();

    (void)state;
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        struct caller caller;
        char *body = malloc(SIZES[i] + 1);
        char head[128];

        assert_non_null(body);
        memset(body, 3, SIZES[i]);
        body[SIZES[i]] = '\0';
        caller_open(&caller, listener_port(site->listener));
        (void)snprintf(head, sizeof(head),
                       "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", SIZES[i]);
        caller_say(&caller, head);
        for (size_t at = 0; at < SIZES[i];) { /* the kernel takes it as we read it */
            ssize_t sent =
                send(caller.descriptor, body + at, SIZES[i] - at, MSG_DONTWAIT | MSG_NOSIGNAL);

            if (sent > 0)
                at += (size_t)sent;
            rounds_pass(site->loop, 1);
        }
        ask(site, &caller, "", "204 No Content");
        assert_int_equal(site->body_size, SIZES[i]);
        assert_int_equal(site->body_sum, (uint8_t)(3 * SIZES[i]));
        assert_null(strstr(caller.answer, "Content-Length"));
        caller_close(&caller);
        free(body);
    }
    assert_int_equal(site->handled_count, 3);
    site_close(site);
}

static void too_large_or_unmeasured_bodies_are_refused_unread(void **state)
{
    (void)state;
    expect_answer("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n", "413",
                  "Connection: close\r\n");
    expect_answer(
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", "413",
        "Connection: close\r\n");
    expect_answer("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400",
                  "Connection: close\r\n");
    expect_answer("POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "411",
                  "Connection: close\r\n");
    expect_answer("POST /body HTTP/1.1\r\nHost: x\r\n\r\n", "411", "Connection: close\r\n");
    expect_answer("POST /other HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "404",
                  "Connection: close\r\n");
}

static void an_empty_body_is_a_body(void **state)
{
    struct site *site = site_open();
    struct caller caller;

    (void)state;
    caller_open(&caller, listener_port(site->listener));
    ask(site, &caller, "PUT /body HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n");
    assert_non_null(strstr(caller.answer, "204"));
    assert_int_equal(site->handled_count, 1);
    caller_close(&caller);
    site_close(site);
}

static void a_large_response_reaches_a_slow_reader_whole(void **state)
{
    struct site *site = site_open();
    struct caller caller;
    const char *body;

    (void)state;
    caller_open(&caller, listener_port(site->listener));
    caller_say(&caller, "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    rounds_pass(site->loop, 200); /* the socket is full */
    for (int i = 0; i < 500 && caller.size < LARGE_SIZE; i++) {
        caller.until = "never";
        (void)rounds_until(site->loop, caller_has_answer, &caller, 10);
    }
    body = strstr(caller.answer, "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    assert_int_equal(caller.size - (size_t)(body - caller.answer), LARGE_SIZE);
    for (size_t i = 0; i < LARGE_SIZE; i++)
        if (body[i] != (char)('a' + i % 23))
            fail_msg("byte %zu differs", i);
    caller_close(&caller);
    site_close(site);
}

static void an_answer_may_come_later(void **state)
{
    struct site *site = site_open();
    struct http_response *response;
    struct caller caller;

    (void)state;
    caller_open(&caller, listener_port(site->listener));
    caller_say(&caller, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    rounds_pass(site->loop, 50);
    assert_true(site->ticket > 0);
    assert_false(caller_has_answer(&caller));
    assert_int_equal(caller.size, 0);
    response = http_response_of(site->http, site->ticket);
    assert_non_null(response);
    http_respond_text(response, 200, "at last");
    http_response_send(response);
    assert_null(http_response_of(site->http, site->ticket));
    ask(site, &caller, "", "at last");
    caller_close(&caller);
    site_close(site);
}

static int64_t timeval_us(struct timeval time)
{
    return SECONDS(time.tv_sec) + time.tv_usec;
}

static void a_ticket_of_a_client_that_left_is_void(void **state)
{
    struct rusage before;
    struct rusage after;
    struct site *site = site_open();
    struct caller caller;

    (void)state;
    caller_open(&caller, listener_port(site->listener));
    caller_say(&caller, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    rounds_pass(site->loop, 50);
    assert_non_null(http_response_of(site->http, site->ticket));
    caller_close(&caller);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    rounds_pass(site->loop, 1300);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_null(http_response_of(site->http, site->ticket));
    /* and waiting for it did not keep the processor busy */
    assert_true(timeval_us(after.ru_utime) - timeval_us(before.ru_utime) < 600 * 1000);
    site_close(site);
}

static void an_open_request_ends_with_its_listener(void **state)
{
    struct site *site = site_open();
    struct caller caller;

    (void)state;
    caller_open(&caller, listener_port(site->listener));
    caller_say(&caller, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    rounds_pass(site->loop, 50);
    assert_non_null(http_response_of(site->http, site->ticket));
    site_close(site);
    assert_true(caller_has_answer(&caller));
    assert_int_equal(caller.size, 0);
    caller_close(&caller);
}

static void silence_and_broken_headers_of_a_handler_become_500(void **state)
{
    (void)state;
    expect_answer("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", "500", "no answer");
    expect_answer("GET /injection HTTP/1.1\r\nHost: x\r\n\r\n", "500", "Content-Length: 0\r\n");
}

static void what_the_site_does_not_permit_gets_403(void **state)
{
    (void)state;
    expect_answer("GET /healthz HTTP/1.1\r\nHost: evil\r\n\r\n", "403", "forbidden");
    expect_answer("GET /other HTTP/1.1\r\nHost: evil\r\n\r\n", "403", "forbidden");
}

static void long_paths_queries_and_headers_are_refused(void **state)
{
    static char request[16 * 1024];
    static char long_text[8000];

    (void)state;
    memset(long_text, 'a', 6000);
    (void)snprintf(request, sizeof(request), "GET /%.2000s HTTP/1.1\r\nHost: x\r\n\r\n", long_text);
    expect_answer(request, "414", "Connection: close\r\n");
    (void)snprintf(request, sizeof(request), "GET /show?%.3000s HTTP/1.1\r\nHost: x\r\n\r\n",
                   long_text);
    expect_answer(request, "414", "Connection: close\r\n");
    (void)snprintf(request, sizeof(request),
                   "GET /show HTTP/1.1\r\nHost: x\r\nCookie: %.5000s\r\n\r\n", long_text);
    expect_answer(request, "431", "Connection: close\r\n");
}

static void two_sites_in_one_process_keep_apart(void **state)
{
    struct site *site = site_open();
    struct listener_options options = {0}; /* without http: all is 404 */
    struct listener *other;
    struct caller caller;

    (void)state;
    assert_int_equal(listener_create(site->loop, &options, &other, &site->problem), RESULT_OK);
    caller_open(&caller, listener_port(other));
    ask(site, &caller, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "404");
    caller_close(&caller);
    caller_open(&caller, listener_port(site->listener));
    ask(site, &caller, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "ok\n");
    caller_close(&caller);
    listener_destroy(other);
    site_close(site);
}

static void an_upgrade_where_no_websocket_is_served_is_refused(void **state)
{
    (void)state;
    expect_answer("GET /sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                  "Sec-WebSocket-Version: 13\r\n\r\n",
                  "400", "Connection: close");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_answers_one_request_a_connection),
        cmocka_unit_test(handlers_see_path_query_and_headers),
        cmocka_unit_test(unknown_paths_get_404_and_wrong_methods_405),
        cmocka_unit_test(what_follows_a_request_is_not_read),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(a_body_up_to_the_limit_arrives_whole),
        cmocka_unit_test(too_large_or_unmeasured_bodies_are_refused_unread),
        cmocka_unit_test(an_empty_body_is_a_body),
        cmocka_unit_test(a_large_response_reaches_a_slow_reader_whole),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(a_ticket_of_a_client_that_left_is_void),
        cmocka_unit_test(an_open_request_ends_with_its_listener),
        cmocka_unit_test(silence_and_broken_headers_of_a_handler_become_500),
        cmocka_unit_test(what_the_site_does_not_permit_gets_403),
        cmocka_unit_test(long_paths_queries_and_headers_are_refused),
        cmocka_unit_test(two_sites_in_one_process_keep_apart),
        cmocka_unit_test(an_upgrade_where_no_websocket_is_served_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* Dialling: what can go wrong, and what is said then. */
#include "edge/websocket.h"

#include "tests/unit/edge/sides.h"

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

/* A server that takes connections and says nothing. */
struct silence {
    int listening;
    int descriptor;
    struct world *world;
    struct mono_time ended_at; /* when it saw the end of the connection; us 0: not yet */
};

static bool silence_has_ended(void *context)
{
    struct silence *silence = context;
    char request[1024];

    if (silence->descriptor < 0)
        silence->descriptor = accept4(silence->listening, NULL, NULL, SOCK_NONBLOCK);
    if (silence->descriptor >= 0 && silence->ended_at.us == 0 &&
        recv(silence->descriptor, request, sizeof(request), 0) == 0)
        silence->ended_at = clock_mono_now();
    return silence->ended_at.us != 0 && silence->world->client.closed_count > 0;
}

/* The limit is ours: the library's own comes later, and would free what we still point to. */
static void a_server_that_never_answers_is_given_up(void **state)
{
    struct world *world = world_create(NULL, false, NULL);
    struct silence silence = {.descriptor = -1, .world = world};
    struct mono_time before = clock_mono_now();
    uint16_t port;
    char url[64];

    (void)state;
    silence.listening = answering_socket(&port);
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%u", (unsigned int)port);
    dial(world, url);
    assert_true(
        rounds_until(world->loop, silence_has_ended, &silence, WEBSOCKET_CONNECT_LIMIT_MS + 2000));
    assert_non_null(strstr(world->client.end_reason, "did not answer within"));
    assert_int_equal(world->client.end.code, WEBSOCKET_NOT_OPENED);
    assert_in_range(clock_mono_now().us - before.us, SECONDS(23), SECONDS(28));
    assert_in_range(silence.ended_at.us - before.us, SECONDS(23), SECONDS(28));
    (void)close(silence.descriptor);
    (void)close(silence.listening);
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

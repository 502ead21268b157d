/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/invariant.h"
#include "edge/clock.h"
#include "edge/websocket_inside.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <ev.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HOST_SIZE = 256, /* with the closing NUL: a DNS name has up to 253 */
    HOST_HEADER_SIZE = HOST_SIZE + 8,
    PATH_SIZE = 256,
    CAUSE_SIZE = 768,
    ADDRESS_COUNT_MAX = 6,
    CLIENT_READ_SIZE = 16 * 1024, /* an agent has one connection and long pages to read */
    LIBRARY_LIMIT_S = WEBSOCKET_CONNECT_LIMIT_MS / 1000 + 5, /* ours comes first */
};

/* "wss://host:port/path", taken apart. */
struct target {
    bool tls;
    bool bracketed; /* an IPv6 address */
    uint16_t port;
    char host[HOST_SIZE];
    char path[PATH_SIZE];
};

/* A name looked up on a thread. getaddrinfo(3) can't be cancelled and may take half a minute, so
 * the thread shares nothing but this, and whoever leaves last frees it. */
struct resolution {
    atomic_int reference_count;
    int read_end; /* readable when the thread is done; the loop's side owns it */
    int write_end;
    char host[HOST_SIZE];
    int error; /* of getaddrinfo */
    size_t address_count;
    char addresses[ADDRESS_COUNT_MAX][INET6_ADDRSTRLEN];
};

struct dialling {
    struct connection *connection;
    struct target target;
    struct loop_timer *timer; /* the next attempt, or the end of all patience */
    struct mono_time deadline;
    struct resolution *resolution; /* while it runs */
    ev_io resolved;
    size_t address_count;
    size_t address_next;
    char addresses[ADDRESS_COUNT_MAX][INET6_ADDRSTRLEN];
    bool starting;   /* the library is still inside the call that begins an attempt */
    bool attempting; /* and its callback has not told a failure */
    bool given_up;
    char cause[CAUSE_SIZE];
    char host_header[HOST_HEADER_SIZE];
};

static void resolution_release(struct resolution *resolution)
{
    if (atomic_fetch_sub(&resolution->reference_count, 1) != 1)
        return;
    (void)close(resolution->write_end);
    free(resolution);
}

static void *resolution_run(void *context)
{
    struct resolution *resolution = context;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    resolution->error = getaddrinfo(resolution->host, NULL, &hints, &list);
    for (struct addrinfo *item = resolution->error == 0 ? list : NULL;
         item != NULL && resolution->address_count < ADDRESS_COUNT_MAX; item = item->ai_next) {
        char *text = resolution->addresses[resolution->address_count];

        if (getnameinfo(item->ai_addr, item->ai_addrlen, text, INET6_ADDRSTRLEN, NULL, 0,
                        NI_NUMERICHOST) == 0)
            resolution->address_count++;
    }
    if (list != NULL)
        freeaddrinfo(list);
    if (write(resolution->write_end, "", 1) != 1) {
        /* Nobody reads any more: SIGPIPE is ignored, so there is nothing left to do. */
    }
    resolution_release(resolution);
    return NULL;
}

static enum result resolution_start(const char *host, struct resolution **ret_resolution,
                                    struct problem *problem)
{
    struct resolution *resolution = calloc(1, sizeof(*resolution));
    int ends[2];
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int error;

    if (resolution == NULL || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(resolution);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory or descriptors to look up %s",
                           host);
    }
    resolution->read_end = ends[0];
    resolution->write_end = ends[1];
    (void)snprintf(resolution->host, sizeof(resolution->host), "%s", host);
    atomic_init(&resolution->reference_count, 2);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, NULL, resolution_run, resolution);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        free(resolution);
        return problem_set(problem, RESULT_EXHAUSTED, "no thread to look up %s", host);
    }
    (void)pthread_detach(thread);
    *ret_resolution = resolution;
    return RESULT_OK;
}

static void dialling_drop_resolution(struct dialling *dialling)
{
    if (dialling->resolution == NULL)
        return;
    ev_io_stop(loop_ev(dialling->connection->websocket->loop), &dialling->resolved);
    (void)close(dialling->resolution->read_end);
    resolution_release(dialling->resolution);
    dialling->resolution = NULL;
}

void dialling_destroy(struct dialling *dialling)
{
    if (dialling == NULL)
        return;
    dialling_drop_resolution(dialling);
    loop_timer_destroy(dialling->timer);
    free(dialling);
}

void dialling_give_up(struct dialling *dialling)
{
    dialling->given_up = true;
    loop_timer_set(dialling->timer, clock_mono_now());
}

static void dialling_fail(struct dialling *dialling)
{
    struct connection *connection = dialling->connection;

    connection_note_end(connection, WEBSOCKET_NOT_OPENED, false, dialling->cause,
                        strlen(dialling->cause));
    if (connection->closing)
        connection->end_code = WEBSOCKET_NOT_OPENED; /* closed by us before it was open */
    connection_end(connection);
}

/* After an attempt without success: the next address, or the end. */
static void dialling_go_on(struct dialling *dialling)
{
    if (!dialling->given_up && dialling->address_next < dialling->address_count)
        loop_timer_set(dialling->timer, clock_mono_now());
    else
        dialling_fail(dialling);
}

static void dialling_attempt(struct dialling *dialling)
{
    struct connection *connection = dialling->connection;
    struct websocket *websocket = connection->websocket;
    struct lws_client_connect_info info;
    struct lws *wsi;

    memset(&info, 0, sizeof(info));
    info.context = websocket->client_lws;
    info.vhost = websocket->client_vhost;
    info.address = dialling->addresses[dialling->address_next++];
    info.port = dialling->target.port;
    info.path = dialling->target.path;
    info.host = dialling->host_header;
    info.protocol = WEBSOCKET_PROTOCOL;
    info.alpn = "http/1.1";
    info.ssl_connection = dialling->target.tls ? LCCSCF_USE_SSL : 0;
    info.opaque_user_data = connection;
    info.pwsi = &connection->wsi;
    (void)snprintf(dialling->cause, CAUSE_SIZE, "cannot connect to %s", dialling->host_header);
    dialling->attempting = true;
    dialling->starting = true;
    loop_timer_set(dialling->timer, dialling->deadline);
    wsi = lws_client_connect_via_info(&info); /* may or may not tell a failure by its callback */
    dialling->starting = false;
    if (wsi != NULL && dialling->attempting)
        return;
    connection->wsi = NULL;
    dialling_go_on(dialling);
}

static void dialling_rang(void *context)
{
    struct dialling *dialling = context;
    struct connection *connection = dialling->connection;

    if (!dialling->given_up && mono_is_due(dialling->deadline, clock_mono_now())) {
        dialling->given_up = true;
        (void)snprintf(dialling->cause, CAUSE_SIZE, "%s did not answer within %d s",
                       dialling->host_header, WEBSOCKET_CONNECT_LIMIT_MS / 1000);
    }
    if (!dialling->given_up) {
        dialling_attempt(dialling);
    } else if (connection->wsi != NULL) {
        struct lws *wsi = connection->wsi;

        lws_set_opaque_user_data(wsi, NULL); /* the end is told here, not by its callback */
        lws_set_timeout(wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_SYNC);
        dialling_fail(dialling);
    } else {
        dialling_fail(dialling);
    }
}

static void dialling_resolved(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct dialling *dialling = watcher->data;
    struct resolution *resolution = dialling->resolution;
    char done;

    (void)ev;
    (void)events;
    if (read(resolution->read_end, &done, 1) != 1)
        return;
    dialling->address_count = resolution->address_count;
    memcpy(dialling->addresses, resolution->addresses, sizeof(dialling->addresses));
    (void)snprintf(dialling->cause, CAUSE_SIZE, "no address for %.200s: %s", resolution->host,
                   resolution->error == 0 ? "none listed" : gai_strerror(resolution->error));
    dialling_drop_resolution(dialling);
    dialling_go_on(dialling);
}

/* What the library says, in words that help whoever reads the agent's status. */
static void dialling_explain(struct dialling *dialling, struct lws *wsi, const char *said)
{
    static const struct {
        const char *said; /* by the library, somewhere in its text */
        const char *meant;
    } MEANINGS[] = {
        {"upgrade response", "answers without Upgrade: no Fieldsync server, or a proxy between"},
        {"HTTP_UPGRADE", "answers without Upgrade: no Fieldsync server, or a proxy between"},
        {"not 101", "answers without Upgrade: no Fieldsync server, or a proxy between"},
        {"UPGRADE", "answers without Upgrade: no Fieldsync server, or a proxy between"},
        {"PROTOCOL", "does not speak fieldsync.1"},
        {"redirect", "sends us elsewhere (redirect), which is not followed"},
        {"Redirect", "sends us elsewhere (redirect), which is not followed"},
        {"hostname", "TLS: its certificate is for another name"},
        {"self signed", "TLS: nobody we trust vouches for its certificate"},
        {"selfsigned", "TLS: nobody we trust vouches for its certificate"},
        {"invalidca", "TLS: nobody we trust vouches for its certificate"},
        {"cert", "TLS: its certificate is not valid"},
        {"SSL", "TLS fails: its certificate is not trusted or for another name, or it has no TLS"},
        {"Unable to connect", "refuses the connection, or there is no way to it"},
        {"connect failed", "refuses the connection, or there is no way to it"},
        {"onnection refused", "refused"},
        {"Timed out", "did not answer in time"},
        {"closed before established", "closed the connection before it was open"},
        {"ended without a word", "did not answer in time, or closed the connection"},
    };
    const char *meant = "cannot be reached";
    int status = (int)lws_http_client_http_response(wsi);

    for (size_t i = 0; i < sizeof(MEANINGS) / sizeof(MEANINGS[0]); i++) {
        if (strstr(said, MEANINGS[i].said) != NULL) {
            meant = MEANINGS[i].meant;
            break;
        }
    }
    if (status >= 300 && status < 400)
        meant = "sends us elsewhere (redirect), which is not followed";
    if (status >= 100)
        (void)snprintf(dialling->cause, CAUSE_SIZE, "%s %s (HTTP status %d; %s)",
                       dialling->host_header, meant, status, said);
    else
        (void)snprintf(dialling->cause, CAUSE_SIZE, "%s %s (%s)", dialling->host_header, meant,
                       said);
}

static void client_failed(struct connection *connection, struct lws *wsi, const char *said,
                          size_t size)
{
    struct dialling *dialling = connection->dialling;
    char text[128];

    invariant(dialling != NULL);
    connection->wsi = NULL;
    dialling->attempting = false;
    (void)snprintf(text, sizeof(text), "%.*s", (int)(size < 120 ? size : 120),
                   said == NULL ? "" : said);
    if (!dialling->given_up)
        dialling_explain(dialling, wsi, said == NULL ? "no reason given" : text);
    if (!dialling->starting)
        dialling_go_on(dialling);
}

/* The library frees the wsi. That of a dialling whose time is over for the library itself goes
 * without an error told, since then it is still plain HTTP (LWS_CALLBACK_CLOSED_CLIENT_HTTP); so
 * does one that it couldn't even begin, of which our cause says as much as is known. */
static void client_gone(struct connection *connection, struct lws *wsi)
{
    static const char WORDS[] = "ended without a word";

    if (connection->dialling != NULL && !connection->dialling->starting) {
        client_failed(connection, wsi, WORDS, strlen(WORDS));
        return;
    }
    connection->wsi = NULL;
    if (connection->dialling != NULL)
        connection->dialling->attempting = false;
    else
        connection_end(connection);
}

static int client_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                           size_t size)
{
    struct connection *connection;

    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_HTTP_REDIRECT:
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
    case LWS_CALLBACK_CLIENT_RECEIVE:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        break;
    default: /* on others the wsi may be a made-up one without our data */
        return 0;
    }
    connection = lws_get_opaque_user_data(wsi);
    if (connection == NULL)
        return reason == LWS_CALLBACK_CLIENT_HTTP_REDIRECT ? 1 : 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        lws_set_opaque_user_data(wsi, NULL);
        client_failed(connection, wsi, in, size);
        return 0;
    case LWS_CALLBACK_CLIENT_HTTP_REDIRECT:
        return 1;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        dialling_destroy(connection->dialling);
        connection->dialling = NULL;
        return connection_opened(connection, wsi);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return connection_received(connection, in, size);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return connection_writable(connection);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        connection_peer_closes(connection, in, size);
        return 0;
    default: /* LWS_CALLBACK_CLIENT_CLOSED, or destroyed without a word */
        lws_set_opaque_user_data(wsi, NULL);
        client_gone(connection, wsi);
        return 0;
    }
}

static const struct lws_protocols CLIENT_PROTOCOLS[] = {
    {.name = "fieldsync.1", .callback = client_callback, .rx_buffer_size = CLIENT_READ_SIZE},
    {.name = NULL},
};

static const lws_retry_bo_t NO_PINGS = {0}; /* the conversation has its own */

static enum result client_prepare(struct websocket *websocket, struct problem *problem)
{
    struct lws_context_creation_info info;
    enum result result;

    if (websocket->client_vhost != NULL)
        return RESULT_OK;
    if (websocket->client_lws == NULL) {
        result = loop_open_lws(websocket->loop, LIBRARY_LIMIT_S, &websocket->client_lws, problem);
        if (result != RESULT_OK)
            return result;
    }
    memset(&info, 0, sizeof(info));
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = CLIENT_PROTOCOLS;
    info.vhost_name = "fieldsync-client";
    info.http_proxy_address = "";
    info.connect_timeout_secs = WEBSOCKET_TCP_LIMIT_MS / 1000;
    info.retry_and_idle_policy = &NO_PINGS;
    info.user = websocket;
    if (loop_has_tls(websocket->loop)) {
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_client_options_set = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
        if (websocket->options.ca_path != NULL) {
            info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
            info.client_ssl_ca_filepath = websocket->options.ca_path;
        }
    }
    websocket->client_vhost = lws_create_vhost(websocket->client_lws, &info);
    if (websocket->client_vhost == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no outgoing connections: %s",
                           websocket->options.ca_path == NULL ? "out of memory?"
                                                              : websocket->options.ca_path);
    return RESULT_OK;
}

/* The host, its brackets taken off, and what is behind it; NULL: malformed. */
static const char *target_parse_host(struct target *target, const char *text)
{
    size_t size;

    target->bracketed = *text == '[';
    if (target->bracketed)
        text++;
    size = strcspn(text, target->bracketed ? "]" : ":/");
    if (size == 0 || size >= HOST_SIZE)
        return NULL;
    for (size_t i = 0; i < size; i++)
        if (strchr(target->bracketed ? ":." : "-._", text[i]) == NULL &&
            isalnum((unsigned char)text[i]) == 0)
            return NULL;
    memcpy(target->host, text, size);
    target->host[size] = '\0';
    if (!target->bracketed)
        return text + size;
    return text[size] == ']' ? text + size + 1 : NULL;
}

static bool target_parse(struct target *target, const char *url)
{
    const char *text;

    memset(target, 0, sizeof(*target));
    target->tls = strncmp(url, "wss://", 6) == 0;
    if (!target->tls && strncmp(url, "ws://", 5) != 0)
        return false;
    text = target_parse_host(target, url + (target->tls ? 6 : 5));
    if (text == NULL)
        return false;
    target->port = target->tls ? 443 : 80;
    if (*text == ':') {
        char *end;
        unsigned long port = strtoul(text + 1, &end, 10);

        if (isdigit((unsigned char)text[1]) == 0 || port == 0 || port > UINT16_MAX)
            return false;
        target->port = (uint16_t)port;
        text = end;
    }
    if ((*text != '/' && *text != '\0') || strlen(text) >= PATH_SIZE)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if (isgraph((unsigned char)*at) == 0)
            return false;
    (void)snprintf(target->path, PATH_SIZE, "%s",
                   *text == '\0' || strcmp(text, "/") == 0 ? "/sync" : text);
    return true;
}

static enum result dialling_create(struct connection *connection, const struct target *target,
                                   struct problem *problem)
{
    struct loop *loop = connection->websocket->loop;
    struct dialling *dialling = calloc(1, sizeof(*dialling));
    unsigned char number[sizeof(struct in6_addr)];
    enum result result;

    if (dialling == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory to connect");
    connection->dialling = dialling; /* which frees it, whatever happens below */
    dialling->connection = connection;
    dialling->target = *target;
    dialling->deadline = mono_after(clock_mono_now(), MILLISECONDS(WEBSOCKET_CONNECT_LIMIT_MS));
    (void)snprintf(dialling->host_header, HOST_HEADER_SIZE,
                   target->bracketed ? "[%.230s]:%u" : "%.250s:%u", target->host,
                   (unsigned int)target->port);
    result = loop_timer_create(loop, dialling_rang, dialling, &dialling->timer, problem);
    if (result != RESULT_OK)
        return result;
    if (inet_pton(AF_INET, target->host, number) == 1 ||
        inet_pton(AF_INET6, target->host, number) == 1) {
        (void)snprintf(dialling->addresses[0], INET6_ADDRSTRLEN, "%.45s", target->host);
        dialling->address_count = 1;
        loop_timer_set(dialling->timer, clock_mono_now());
        return RESULT_OK;
    }
    loop_timer_set(dialling->timer, dialling->deadline);
    result = resolution_start(target->host, &dialling->resolution, problem);
    if (result != RESULT_OK)
        return result;
    ev_io_init(&dialling->resolved, dialling_resolved, dialling->resolution->read_end, EV_READ);
    dialling->resolved.data = dialling;
    ev_io_start(loop_ev(loop), &dialling->resolved);
    return RESULT_OK;
}

enum result websocket_connect(struct websocket *websocket, const char *url,
                              uint64_t *ret_connection, struct problem *problem)
{
    struct connection *connection;
    struct target target;
    enum result result;

    if (!target_parse(&target, url))
        return problem_set(problem, RESULT_REFUSED,
                           "%.200s is not of the form ws://host:port/path or wss://...", url);
    if (target.tls && !loop_has_tls(websocket->loop))
        return problem_set(problem, RESULT_REFUSED, "%.200s needs TLS, which is off", url);
    result = client_prepare(websocket, problem);
    if (result == RESULT_OK)
        result = connection_create(websocket, &connection, problem);
    if (result != RESULT_OK)
        return result;
    connection->is_client = true;
    result = dialling_create(connection, &target, problem);
    if (result != RESULT_OK) {
        connection_discard(connection);
        return result;
    }
    *ret_connection = connection->id;
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/websocket_listener.h"

#include "base/invariant.h"
#include "edge/clock.h"
#include "edge/websocket_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPT_COUNT_MAX = 64, /* a round */
    BACKLOG = 1024,
    PAUSE_US = 200 * 1000,
    RATE_SLOT_COUNT = 1024, /* addresses remembered: 24 KiB, only with a limit */
    RATE_PROBE_COUNT = 8,
    SERVER_READ_SIZE = 256, /* libwebsockets keeps this much for each connection */
    FILE_PATH_SIZE = 1024,
};

/* How many connections an address opened since `since`. */
struct rate {
    uint64_t address;
    struct mono_time since;
    uint32_t count;
};

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

/* Where connections with one certificate live: a context of libwebsockets with one vhost. A reload
 * makes another one, and the old one stays for the connections it has. */
struct service {
    struct service *next;
    struct listener *listener;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    uint32_t open_count; /* sockets */
};

struct listener {
    struct loop *loop;
    struct service *services; /* newest first: the one that gets new connections */
    struct websocket *websocket;
    struct http *http;
    int descriptor; /* -1: closed */
    uint16_t port;
    ev_io readable;
    struct loop_timer *pause_timer;
    uint32_t connection_count_max;
    uint32_t address_rate_max;
    struct rate *rates; /* NULL without a limit */
    struct listener_counts counts;
    bool tls;
    char certificate_path[FILE_PATH_SIZE];
    char key_path[FILE_PATH_SIZE];
};

/* IPv4 whole, IPv6 its network of 64 bits: what one customer of a provider has. */
static uint64_t address_key(const union socket_address *address)
{
    uint64_t key = 0;

    if (address->any.sa_family == AF_INET)
        return ntohl(address->v4.sin_addr.s_addr);
    if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr) != 0) {
        for (int i = 12; i < 16; i++)
            key = key << 8 | address->v6.sin6_addr.s6_addr[i];
        return key;
    }
    for (int i = 0; i < 8; i++)
        key = key << 8 | address->v6.sin6_addr.s6_addr[i];
    return key;
}

/* Forgets the oldest of a few addresses when it knows too many: the limit is a brake, no law. */
static bool rate_allows(struct listener *listener, uint64_t address)
{
    struct mono_time now = clock_mono_now();
    uint64_t mixed = address * UINT64_C(0x9e3779b97f4a7c15);
    struct rate *found = NULL;

    if (listener->address_rate_max == 0)
        return true;
    for (size_t i = 0; i < RATE_PROBE_COUNT; i++) {
        struct rate *rate = &listener->rates[((mixed >> 32) + i) % RATE_SLOT_COUNT];

        if (rate->count > 0 && rate->address == address) {
            found = rate;
            break;
        }
        if (found == NULL || rate->count == 0 ||
            (found->count != 0 && rate->since.us < found->since.us))
            found = rate;
    }
    if (found->count == 0 || found->address != address ||
        mono_is_due(mono_after(found->since, SECONDS(LISTENER_RATE_WINDOW_S)), now))
        *found = (struct rate){.address = address, .since = now};
    if (found->count >= listener->address_rate_max)
        return false;
    found->count++;
    return true;
}

static void listener_resume(void *context)
{
    struct listener *listener = context;

    if (listener->descriptor >= 0)
        ev_io_start(loop_ev(listener->loop), &listener->readable);
}

static void listener_pause(struct listener *listener)
{
    listener->counts.pauses++;
    ev_io_stop(loop_ev(listener->loop), &listener->readable);
    loop_timer_set(listener->pause_timer, mono_after(clock_mono_now(), PAUSE_US));
}

static void listener_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct listener *listener = watcher->data;

    (void)ev;
    (void)events;
    for (int i = 0; i < ACCEPT_COUNT_MAX; i++) {
        union socket_address address;
        socklen_t size = sizeof(address);
        int descriptor =
            accept4(listener->descriptor, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (descriptor < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                listener_pause(listener);
            return; /* EAGAIN: none left; others: that one is gone, the next round goes on */
        }
        if (listener->connection_count_max > 0 &&
            listener->counts.open >= listener->connection_count_max) {
            listener->counts.refused_full++;
            (void)close(descriptor);
        } else if (!rate_allows(listener, address_key(&address))) {
            listener->counts.refused_rate++;
            (void)close(descriptor);
        } else {
            listener->counts.accepted++;
            /* Closes the descriptor if it fails. */
            (void)lws_adopt_socket_vhost(listener->services->vhost, descriptor);
        }
    }
}

/* Says no to an upgrade. The library has left HTTP already, so the answer is written by hand. */
static int upgrade_refuse(struct lws *wsi, const char *status, const char *more)
{
    uint8_t buffer[LWS_PRE + 256];
    int size =
        snprintf((char *)buffer + LWS_PRE, sizeof(buffer) - LWS_PRE,
                 "HTTP/1.1 %s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", status, more);

    if (size > 0)
        (void)lws_write(wsi, buffer + LWS_PRE, (size_t)size, LWS_WRITE_HTTP_HEADERS);
    return 1;
}

static int upgrade_check(struct lws *wsi)
{
    char path[16] = "";
    char version[8] = "";

    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0 ||
        lws_hdr_total_length(wsi, WSI_TOKEN_SWORIGIN) > 0)
        return upgrade_refuse(wsi, "403 Forbidden", "");
    if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) <= 0 || strcmp(path, "/sync") != 0)
        return upgrade_refuse(wsi, "404 Not Found", "");
    if (lws_hdr_copy(wsi, version, sizeof(version), WSI_TOKEN_VERSION) <= 0 ||
        strcmp(version, "13") != 0)
        return upgrade_refuse(wsi, "426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n");
    return 0;
}

static int service_opened(struct service *service, struct lws *wsi)
{
    struct connection *connection;
    struct problem problem = {0};

    if (connection_create(service->listener->websocket, &connection, &problem) != RESULT_OK)
        return -1; /* out of memory: it may come back later */
    lws_set_opaque_user_data(wsi, connection);
    return connection_opened(connection, wsi);
}

static int sync_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t size)
{
    struct connection *connection;

    (void)user;
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return upgrade_check(wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return service_opened(lws_vhost_user(lws_get_vhost(wsi)), wsi);
    case LWS_CALLBACK_RECEIVE:
        connection = lws_get_opaque_user_data(wsi);
        return connection == NULL ? -1 : connection_received(connection, in, size);
    case LWS_CALLBACK_SERVER_WRITEABLE:
        connection = lws_get_opaque_user_data(wsi);
        return connection == NULL ? -1 : connection_writable(connection);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        connection = lws_get_opaque_user_data(wsi);
        if (connection != NULL)
            connection_peer_closes(connection, in, size);
        return 0;
    case LWS_CALLBACK_CLOSED:
        connection = lws_get_opaque_user_data(wsi);
        lws_set_opaque_user_data(wsi, NULL);
        if (connection != NULL) {
            connection->wsi = NULL;
            connection_end(connection);
        }
        return 0;
    default:
        return 0;
    }
}

/* Protocol 0: plain HTTP, the count of sockets, and upgrades without a subprotocol. */
static int plain_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t size)
{
    struct service *service;

    (void)user;
    switch (reason) {
    case LWS_CALLBACK_WSI_CREATE:
        service = lws_vhost_user(lws_get_vhost(wsi));
        service->open_count++;
        service->listener->counts.open++;
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        service = lws_vhost_user(lws_get_vhost(wsi));
        invariant(service->open_count > 0 && service->listener->counts.open > 0);
        service->open_count--;
        service->listener->counts.open--;
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return upgrade_refuse(wsi, "400 Bad Request", "");
    case LWS_CALLBACK_HTTP:
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
    case LWS_CALLBACK_HTTP_WRITEABLE:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        service = lws_vhost_user(lws_get_vhost(wsi));
        if (service->listener->http != NULL)
            return http_serve(service->listener->http, wsi, (int)reason, in, size);
        if (reason != LWS_CALLBACK_HTTP)
            return 0;
        (void)lws_return_http_status(wsi, HTTP_STATUS_NOT_FOUND, NULL);
        return -1;
    default:
        return 0;
    }
}

static const struct lws_protocols PROTOCOLS[] = {
    {.name = "http", .callback = plain_callback},
    {.name = "fieldsync.1", .callback = sync_callback, .rx_buffer_size = SERVER_READ_SIZE},
    {.name = NULL},
};
static const struct lws_protocols PROTOCOLS_WITHOUT_SYNC[] = {
    {.name = "http", .callback = plain_callback},
    {.name = NULL},
};

static const lws_retry_bo_t NO_PINGS = {0}; /* the conversation has its own */

static void service_destroy(struct service *service)
{
    if (service == NULL)
        return;
    loop_close_lws(&service->lws);
    free(service);
}

static enum result service_open(struct service *service, struct problem *problem)
{
    struct listener *listener = service->listener;
    struct lws_context_creation_info info;
    enum result result = loop_open_lws(listener->loop, 0, &service->lws, problem);

    if (result != RESULT_OK)
        return result;
    memset(&info, 0, sizeof(info));
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = listener->websocket != NULL ? PROTOCOLS : PROTOCOLS_WITHOUT_SYNC;
    info.vhost_name = "fieldsync";
    info.alpn = "http/1.1";
    info.retry_and_idle_policy = &NO_PINGS;
    info.user = service;
    if (listener->tls) {
        /* Each vhost can dial, too, and would load a megabyte of the system's authorities. */
        info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
        info.ssl_cert_filepath = listener->certificate_path;
        info.ssl_private_key_filepath = listener->key_path;
        info.ssl_options_set = SSL_OP_NO_SSLv3 | SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
    }
    service->vhost = lws_create_vhost(service->lws, &info);
    if (service->vhost != NULL)
        return RESULT_OK;
    return problem_set(problem, listener->tls ? RESULT_REFUSED : RESULT_EXHAUSTED,
                       "cannot serve on port %u%s%s", (unsigned int)listener->port,
                       listener->tls ? ": unusable certificate or key: " : "",
                       listener->tls ? listener->certificate_path : "");
}

static enum result listener_add_service(struct listener *listener, struct problem *problem)
{
    struct service *service = calloc(1, sizeof(*service));
    enum result result;

    if (service == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a listener");
    service->listener = listener;
    result = service_open(service, problem);
    if (result != RESULT_OK) {
        service_destroy(service);
        return result;
    }
    service->next = listener->services;
    listener->services = service;
    return RESULT_OK;
}

/* Old services whose connections are all gone. */
static void listener_drop_idle_services(struct listener *listener)
{
    struct service **at = &listener->services->next; /* the newest stays */

    while (*at != NULL) {
        struct service *service = *at;

        if (service->open_count > 0) {
            at = &service->next;
        } else {
            *at = service->next;
            service_destroy(service);
        }
    }
}

enum result listener_reload(struct listener *listener, struct problem *problem)
{
    enum result result;

    if (!listener->tls)
        return RESULT_OK;
    result = listener_add_service(listener, problem);
    if (result == RESULT_OK)
        listener_drop_idle_services(listener);
    return result;
}

static enum result listener_bind(struct listener *listener, const struct addrinfo *where,
                                 const char *address, struct problem *problem)
{
    union socket_address bound;
    socklen_t size = sizeof(bound);
    int on = 1;
    int off = 0;

    listener->descriptor = socket(where->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->descriptor < 0)
        return problem_set(problem, RESULT_EXHAUSTED, "no socket to listen: %s", strerror(errno));
    (void)setsockopt(listener->descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (where->ai_family == AF_INET6)
        (void)setsockopt(listener->descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(listener->descriptor, where->ai_addr, where->ai_addrlen) != 0 ||
        listen(listener->descriptor, BACKLOG) != 0 ||
        getsockname(listener->descriptor, &bound.any, &size) != 0)
        return problem_set(problem, RESULT_REFUSED, "cannot listen on %s port %u: %s", address,
                           (unsigned int)listener->port, strerror(errno));
    listener->port = ntohs(where->ai_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return RESULT_OK;
}

static enum result listener_open_socket(struct listener *listener, const char *address,
                                        struct problem *problem)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    enum result result;
    char service[8];
    int error;

    (void)snprintf(service, sizeof(service), "%u", (unsigned int)listener->port);
    error = getaddrinfo(address, service, &hints, &list);
    if (error != 0)
        return problem_set(problem, RESULT_REFUSED, "no address %s to listen on: %s", address,
                           gai_strerror(error));
    result = listener_bind(listener, list, address, problem);
    freeaddrinfo(list);
    return result;
}

static enum result listener_open(struct listener *listener, const struct listener_options *options,
                                 struct problem *problem)
{
    const char *address = options->address == NULL ? "127.0.0.1" : options->address;
    enum result result;

    if (options->address_rate_max > 0) {
        listener->rates = calloc(RATE_SLOT_COUNT, sizeof(struct rate));
        if (listener->rates == NULL)
            return problem_set(problem, RESULT_EXHAUSTED, "no memory for a listener");
    }
    if (listener->tls && !loop_has_tls(listener->loop))
        return problem_set(problem, RESULT_REFUSED, "a certificate is given, but TLS is off");
    if (listener->tls && (strlen(options->certificate_path) >= FILE_PATH_SIZE ||
                          options->key_path == NULL || strlen(options->key_path) >= FILE_PATH_SIZE))
        return problem_set(problem, RESULT_REFUSED,
                           "%.200s needs a key file, and paths have limits",
                           options->certificate_path);
    if (listener->tls) {
        (void)snprintf(listener->certificate_path, FILE_PATH_SIZE, "%s", options->certificate_path);
        (void)snprintf(listener->key_path, FILE_PATH_SIZE, "%s", options->key_path);
    }
    result = loop_timer_create(listener->loop, listener_resume, listener, &listener->pause_timer,
                               problem);
    if (result == RESULT_OK)
        result = listener_open_socket(listener, address, problem);
    if (result == RESULT_OK)
        result = listener_add_service(listener, problem);
    return result;
}

enum result listener_create(struct loop *loop, const struct listener_options *options,
                            struct listener **ret_listener, struct problem *problem)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    enum result result;

    if (listener == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a listener");
    listener->loop = loop;
    listener->websocket = options->websocket;
    listener->http = options->http;
    listener->descriptor = -1;
    listener->port = options->port;
    listener->tls = options->certificate_path != NULL;
    listener->connection_count_max = options->connection_count_max;
    listener->address_rate_max = options->address_rate_max;
    result = listener_open(listener, options, problem);
    if (result != RESULT_OK) {
        listener_destroy(listener);
        return result;
    }
    ev_io_init(&listener->readable, listener_readable, listener->descriptor, EV_READ);
    listener->readable.data = listener;
    ev_io_start(loop_ev(loop), &listener->readable);
    *ret_listener = listener;
    return RESULT_OK;
}

void listener_close(struct listener *listener)
{
    if (listener->descriptor < 0)
        return;
    if (listener->readable.data != NULL)
        ev_io_stop(loop_ev(listener->loop), &listener->readable);
    (void)close(listener->descriptor);
    listener->descriptor = -1;
}

void listener_destroy(struct listener *listener)
{
    if (listener == NULL)
        return;
    listener_close(listener);
    while (listener->services != NULL) {
        struct service *service = listener->services;

        listener->services = service->next;
        service_destroy(service);
    }
    loop_timer_destroy(listener->pause_timer);
    free(listener->rates);
    free(listener);
}

uint16_t listener_port(const struct listener *listener)
{
    return listener->port;
}

struct listener_counts listener_counts(const struct listener *listener)
{
    return listener->counts;
}

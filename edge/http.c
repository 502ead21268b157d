/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/http.h"

#include "base/arena.h"
#include "base/invariant.h"
#include "edge/clock.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    EXCHANGE_ARENA_SIZE = 256 * 1024, /* texts of one request */
    HEAD_SIZE = 8 * 1024,             /* status line and headers of one response */
    WRITE_SIZE = 32 * 1024,           /* of a body, at once */
    ALLOW_SIZE = 64,
    BODY_LIMIT_S = 20,     /* for the body of a request to arrive */
    PROGRESS_LIMIT_S = 30, /* a socket that takes nothing of a response for so long is cut */
};

/* libwebsockets has an index for the common headers and a name for others. */
static const struct {
    int token;        /* -1: look for the name */
    const char *name; /* lower case with colon */
} HEADERS[HTTP_HEADER_COUNT] = {
    [HTTP_HOST] = {WSI_TOKEN_HOST, "host:"},
    [HTTP_ORIGIN] = {WSI_TOKEN_ORIGIN, "origin:"},
    [HTTP_COOKIE] = {WSI_TOKEN_HTTP_COOKIE, "cookie:"},
    [HTTP_AUTHORIZATION] = {WSI_TOKEN_HTTP_AUTHORIZATION, "authorization:"},
    [HTTP_CONTENT_TYPE] = {WSI_TOKEN_HTTP_CONTENT_TYPE, "content-type:"},
    [HTTP_ACCEPT] = {WSI_TOKEN_HTTP_ACCEPT, "accept:"},
    [HTTP_ACCEPT_ENCODING] = {WSI_TOKEN_HTTP_ACCEPT_ENCODING, "accept-encoding:"},
    [HTTP_ACCEPT_LANGUAGE] = {WSI_TOKEN_HTTP_ACCEPT_LANGUAGE, "accept-language:"},
    [HTTP_IF_NONE_MATCH] = {WSI_TOKEN_HTTP_IF_NONE_MATCH, "if-none-match:"},
    [HTTP_SEC_FETCH_SITE] = {-1, "sec-fetch-site:"},
    [HTTP_X_CSRF_TOKEN] = {-1, "x-csrf-token:"},
    [HTTP_TRACEPARENT] = {-1, "traceparent:"},
};

static const struct {
    int token;
    enum http_method method;
    const char *name;
} METHODS[] = {
    {LWSHUMETH_GET, HTTP_GET, "GET"},       {LWSHUMETH_HEAD, HTTP_GET, "HEAD"},
    {LWSHUMETH_POST, HTTP_POST, "POST"},    {LWSHUMETH_PUT, HTTP_PUT, "PUT"},
    {LWSHUMETH_PATCH, HTTP_PATCH, "PATCH"}, {LWSHUMETH_DELETE, HTTP_DELETE, "DELETE"},
};

/* One request and its response; called http_response outside, as that is what handlers fill. */
struct http_response {
    struct http *http;
    struct http_response *next; /* in http->waiting */
    struct lws *wsi;
    struct arena arena; /* texts of the request */
    struct http_request request;
    struct buffer body_in;
    size_t body_in_size; /* as announced */
    const struct http_route *route;
    uint64_t ticket; /* 0: not later */
    struct mono_time deadline;
    bool ready; /* to be written */
    bool has_cache_control;
    bool broken; /* a header was refused */
    bool head_written;
    unsigned int status; /* 0: not yet given */
    char content_type[128];
    struct buffer headers;
    struct buffer body;
    size_t body_written;
};

struct http {
    struct loop *loop;
    struct http_options options;
    struct http_response *waiting; /* with a ticket */
    uint64_t ticket;
    struct loop_timer *later_timer;
};

/* The library doesn't read while an answer is due, so it doesn't see the end of a connection. */
static bool client_has_left(struct http_response *response)
{
    char byte;
    ssize_t size =
        recv(lws_get_socket_fd(response->wsi), &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);

    return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

static void http_tick(void *context)
{
    struct http *http = context;
    struct mono_time now = clock_mono_now();

    for (struct http_response *response = http->waiting; response != NULL;) {
        struct http_response *next = response->next;

        if (mono_is_due(response->deadline, now)) {
            http_respond_text(response, 503, "no answer in time\n");
            http_response_send(response);
        } else if (client_has_left(response)) {
            lws_set_timeout(response->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_SYNC);
        }
        response = next;
    }
    if (http->waiting != NULL)
        loop_timer_set(http->later_timer, mono_after(now, SECONDS(1)));
}

enum result http_create(struct loop *loop, const struct http_options *options,
                        struct http **ret_http, struct problem *problem)
{
    struct http *http = calloc(1, sizeof(*http));
    enum result result;

    if (http == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for http");
    http->loop = loop;
    http->options = *options;
    if (http->options.body_size_max == 0)
        http->options.body_size_max = HTTP_BODY_SIZE_MAX;
    result = loop_timer_create(loop, http_tick, http, &http->later_timer, problem);
    if (result != RESULT_OK) {
        free(http);
        return result;
    }
    *ret_http = http;
    return RESULT_OK;
}

void http_destroy(struct http *http)
{
    if (http == NULL)
        return;
    invariant(http->waiting == NULL); /* the listeners went before, and their requests with them */
    loop_timer_destroy(http->later_timer);
    free(http);
}

static void response_forget_ticket(struct http_response *response)
{
    struct http_response **at = &response->http->waiting;

    if (response->ticket == 0)
        return;
    while (*at != response)
        at = &(*at)->next;
    *at = response->next;
    response->ticket = 0;
}

static void response_destroy(struct http_response *response)
{
    response_forget_ticket(response);
    arena_done(&response->arena);
    buffer_done(&response->body_in);
    buffer_done(&response->headers);
    buffer_done(&response->body);
    free(response);
}

static struct http_response *response_create(struct http *http, struct lws *wsi)
{
    struct http_response *response = calloc(1, sizeof(*response));

    if (response == NULL)
        return NULL;
    response->http = http;
    response->wsi = wsi;
    arena_init(&response->arena, EXCHANGE_ARENA_SIZE);
    buffer_init(&response->body_in, http->options.body_size_max);
    buffer_init(&response->headers, HTTP_RESPONSE_HEADERS_SIZE_MAX);
    buffer_init(&response->body, HTTP_RESPONSE_SIZE_MAX);
    return response;
}

void http_respond(struct http_response *response, unsigned int status, const char *content_type,
                  struct bytes body)
{
    struct problem problem = {0};

    invariant(response->status == 0 && status >= 200 && status <= 599);
    response->status = status;
    (void)snprintf(response->content_type, sizeof(response->content_type), "%s",
                   content_type == NULL ? "" : content_type);
    if (body.size > 0 &&
        buffer_append(&response->body, body.data, body.size, &problem) != RESULT_OK)
        response->broken = true;
}

void http_respond_text(struct http_response *response, unsigned int status, const char *text)
{
    http_respond(response, status, "text/plain; charset=utf-8", bytes_of_text(text));
}

static bool header_is_clean(const char *name, const char *value)
{
    for (const char *at = name; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || *at == ':')
            return false;
    for (const char *at = value; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return false;
    return *name != '\0';
}

void http_respond_header(struct http_response *response, const char *name, const char *value)
{
    struct problem problem = {0};
    struct buffer *headers = &response->headers;

    if (strcasecmp(name, "cache-control") == 0)
        response->has_cache_control = true;
    if (!header_is_clean(name, value) ||
        buffer_append(headers, name, strlen(name), &problem) != RESULT_OK ||
        buffer_append(headers, ": ", 2, &problem) != RESULT_OK ||
        buffer_append(headers, value, strlen(value), &problem) != RESULT_OK ||
        buffer_append(headers, "\r\n", 2, &problem) != RESULT_OK)
        response->broken = true;
}

uint64_t http_response_later(struct http_response *response)
{
    struct http *http = response->http;

    invariant(response->ticket == 0 && response->status == 0);
    lws_set_timeout(response->wsi, PENDING_TIMEOUT_HTTP_CONTENT, HTTP_LATER_LIMIT_S + 30);
    response->ticket = ++http->ticket;
    response->deadline = mono_after(clock_mono_now(), SECONDS(HTTP_LATER_LIMIT_S));
    if (http->waiting == NULL)
        loop_timer_set(http->later_timer, mono_after(clock_mono_now(), SECONDS(1)));
    response->next = http->waiting;
    http->waiting = response;
    return response->ticket;
}

struct http_response *http_response_of(struct http *http, uint64_t ticket)
{
    struct http_response *response = http->waiting;

    while (response != NULL && response->ticket != ticket)
        response = response->next;
    return response;
}

void http_response_send(struct http_response *response)
{
    if (response->ticket != 0)
        (void)lws_rx_flow_control(response->wsi, 1);
    response_forget_ticket(response);
    if (response->status == 0)
        http_respond_text(response, 500, "no answer\n");
    if (response->broken) {
        response->status = 500;
        buffer_reset(&response->headers);
        buffer_reset(&response->body);
    }
    response->ready = true;
    lws_callback_on_writable(response->wsi);
}

static const char *status_phrase(unsigned int status)
{
    static const struct {
        unsigned int status;
        const char *phrase; /* RFC 9110 section 15 */
    } PHRASES[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {303, "See Other"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof(PHRASES) / sizeof(PHRASES[0]); i++)
        if (PHRASES[i].status == status)
            return PHRASES[i].phrase;
    return "Other";
}

/* What browsers have to be told with every answer. */
static const char PROTECTION[] =
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: no-referrer\r\n";
static const char ONLY_TLS[] = "Strict-Transport-Security: max-age=31536000\r\n";

/* Status line and headers; nonzero: the socket is gone. */
static int response_write_head(struct http_response *response)
{
    char head[LWS_PRE + HEAD_SIZE];
    char *text = head + LWS_PRE;
    bool has_body = response->status != 204 && response->status != 304;
    struct bytes more = buffer_bytes(&response->headers);
    char length[48] = "";
    int size;

    if (has_body)
        (void)snprintf(length, sizeof(length), "Content-Length: %zu\r\n", response->body.size);
    size =
        snprintf(text, HEAD_SIZE, "HTTP/1.1 %u %s\r\n%s%s%s%s%s%s%sConnection: close\r\n%.*s\r\n",
                 response->status, status_phrase(response->status), length,
                 *response->content_type == '\0' ? "" : "Content-Type: ", response->content_type,
                 *response->content_type == '\0' ? "" : "\r\n",
                 response->has_cache_control ? "" : "Cache-Control: no-store\r\n", PROTECTION,
                 response->request.tls ? ONLY_TLS : "", (int)more.size,
                 more.data == NULL ? "" : (const char *)more.data);
    invariant(size > 0 && size < HEAD_SIZE);
    response->head_written = true;
    if (!has_body || response->request.head)
        buffer_reset(&response->body);
    return lws_write(response->wsi, (unsigned char *)text, (size_t)size, LWS_WRITE_HTTP_HEADERS) < 0
               ? -1
               : 0;
}

/* One request a connection. What a client sends behind it, libwebsockets 4.1 keeps aside and reads
 * as the next request: with a body that is memory it has freed, or an end without end. */
static int response_finish(struct http_response *response)
{
    lws_set_opaque_user_data(response->wsi, NULL);
    response_destroy(response);
    return -1;
}

static int response_writable(struct http_response *response)
{
    unsigned char chunk[LWS_PRE + WRITE_SIZE];

    if (!response->ready)
        return 0;
    lws_set_timeout(response->wsi, PENDING_TIMEOUT_HTTP_CONTENT, PROGRESS_LIMIT_S);
    if (!response->head_written) {
        if (response_write_head(response) != 0)
            return -1;
        if (response->body.size > 0) {
            lws_callback_on_writable(response->wsi);
            return 0;
        }
    }
    if (response->body_written < response->body.size) {
        size_t left = response->body.size - response->body_written;
        size_t size = left < WRITE_SIZE ? left : WRITE_SIZE;

        memcpy(chunk + LWS_PRE, response->body.data + response->body_written, size);
        if (lws_write(response->wsi, chunk + LWS_PRE, size, LWS_WRITE_HTTP) < 0)
            return -1;
        response->body_written += size;
    }
    if (response->body_written < response->body.size || lws_partial_buffered(response->wsi) != 0) {
        lws_callback_on_writable(response->wsi);
        return 0;
    }
    return response_finish(response);
}

/* An answer of our own before the request was read to its end. */
static void response_deny(struct http_response *response, unsigned int status, const char *text)
{
    http_respond_text(response, status, text);
    http_response_send(response);
}

/* NULL: memory, or longer than `size_max`. */
static const char *request_text(struct http_response *response, int size, size_t size_max,
                                char **ret_room)
{
    *ret_room = NULL;
    if (size <= 0)
        return "";
    if ((size_t)size > size_max)
        return NULL;
    *ret_room = arena_alloc(&response->arena, (size_t)size + 1);
    return *ret_room;
}

static bool request_read_headers(struct http_response *response)
{
    struct lws *wsi = response->wsi;

    for (size_t i = 0; i < HTTP_HEADER_COUNT; i++) {
        const char *name = HEADERS[i].name;
        bool known = HEADERS[i].token >= 0;
        enum lws_token_indexes token = (enum lws_token_indexes)HEADERS[i].token;
        int size = known ? lws_hdr_total_length(wsi, token)
                         : lws_hdr_custom_length(wsi, name, (int)strlen(name));
        char *room;
        const char *text = request_text(response, size, HTTP_HEADER_SIZE_MAX, &room);
        int copied = 0;

        if (text == NULL)
            return false;
        if (room != NULL && known)
            copied = lws_hdr_copy(wsi, room, size + 1, token);
        else if (room != NULL)
            copied = lws_hdr_custom_copy(wsi, room, size + 1, name, (int)strlen(name));
        if (copied < 0)
            return false;
        response->request.headers[i] = text;
    }
    return true;
}

/* libwebsockets cuts the query at each "&" and keeps the parts apart. */
static bool request_read_query(struct http_response *response)
{
    int size = lws_hdr_total_length(response->wsi, WSI_TOKEN_HTTP_URI_ARGS);
    char *room;
    size_t at = 0;

    /* A part costs one more byte than it counts for: half the limit is left for them. */
    response->request.query =
        request_text(response, size <= 0 ? 0 : 2 * size + 1, HTTP_QUERY_SIZE_MAX, &room);
    if (room == NULL)
        return response->request.query != NULL;
    for (int part = 0;; part++) {
        int copied = lws_hdr_copy_fragment(response->wsi, room + at, 2 * size + 1 - (int)at,
                                           WSI_TOKEN_HTTP_URI_ARGS, part);

        if (copied < 0)
            break;
        at += (size_t)copied;
        room[at++] = '&';
    }
    room[at > 0 ? at - 1 : 0] = '\0';
    return true;
}

/* 0, or the status to deny it with. */
static unsigned int request_read(struct http_response *response, const char *path, size_t path_size)
{
    struct http_request *request = &response->request;
    char peer[64] = "";
    struct problem problem = {0};
    struct bytes copy;
    char length[24] = "";
    char *uri = NULL;
    int uri_size = 0;
    int token = lws_http_get_uri_and_method(response->wsi, &uri, &uri_size);
    size_t i = 0;

    while (i < sizeof(METHODS) / sizeof(METHODS[0]) && METHODS[i].token != token)
        i++;
    if (i == sizeof(METHODS) / sizeof(METHODS[0]))
        return 501;
    request->method = METHODS[i].method;
    request->head = token == LWSHUMETH_HEAD;
    request->tls = lws_is_ssl(response->wsi) != 0;
    if (path_size > HTTP_PATH_SIZE_MAX)
        return 414;
    if (arena_copy(&response->arena, bytes_of(path, path_size), &copy, &problem) != RESULT_OK)
        return 503;
    request->path = (const char *)copy.data;
    (void)lws_get_peer_simple(response->wsi, peer, sizeof(peer));
    request->peer = arena_format(&response->arena, "%s", peer);
    if (request->peer == NULL)
        return 503;
    if (lws_hdr_total_length(response->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0) {
        char *end;

        if (lws_hdr_copy(response->wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
            return 413;
        response->body_in_size = strtoul(length, &end, 10);
        if (*end != '\0' || length[0] < '0' || length[0] > '9')
            return 400;
    } else if (lws_hdr_total_length(response->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
               (request->method != HTTP_GET && request->method != HTTP_DELETE)) {
        return 411;
    }
    if (!request_read_query(response))
        return 414;
    if (!request_read_headers(response))
        return 431;
    return 0;
}

static bool route_matches(const struct http_route *route, const char *path)
{
    size_t size = strlen(route->path);

    if (size >= 2 && strcmp(route->path + size - 2, "/*") == 0)
        return strncmp(route->path, path, size - 1) == 0;
    return strcmp(route->path, path) == 0;
}

/* Finds the route; NULL: denied, with Allow if only the method was wrong. */
static const struct http_route *http_find_route(struct http *http, struct http_response *response)
{
    bool allowed[HTTP_METHOD_COUNT] = {false};
    char allow[ALLOW_SIZE] = "";
    bool found = false;

    for (size_t i = 0; i < http->options.route_count; i++) {
        const struct http_route *route = &http->options.routes[i];

        if (!route_matches(route, response->request.path))
            continue;
        if (route->method == response->request.method)
            return route;
        allowed[route->method] = true;
        found = true;
    }
    if (!found) {
        response_deny(response, 404, "not found\n");
        return NULL;
    }
    for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++) {
        size_t at = strlen(allow);

        if (allowed[METHODS[i].method])
            (void)snprintf(allow + at, sizeof(allow) - at, "%s%s", at == 0 ? "" : ", ",
                           METHODS[i].name);
    }
    http_respond_header(response, "Allow", allow);
    response_deny(response, 405, "method not allowed\n");
    return NULL;
}

static void http_handle(struct http *http, struct http_response *response)
{
    response->request.body = buffer_bytes(&response->body_in);
    response->route->handle(http->options.context, &response->request, response);
    if (response->ticket == 0)
        http_response_send(response);
    else
        (void)lws_rx_flow_control(response->wsi,
                                  0); /* what it doesn't read would wake us for ever */
}

static int http_begin(struct http *http, struct lws *wsi, const char *path, size_t path_size)
{
    struct http_response *response = response_create(http, wsi);
    unsigned int status;

    if (response == NULL)
        return -1;
    lws_set_opaque_user_data(wsi, response);
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, BODY_LIMIT_S);
    status = request_read(response, path, path_size);
    if (status == 0 && response->body_in_size > http->options.body_size_max)
        status = 413;
    if (status != 0) {
        response_deny(response, status, "request not accepted\n");
        return 0;
    }
    if (http->options.permit != NULL &&
        !http->options.permit(http->options.context, &response->request)) {
        response_deny(response, 403, "forbidden\n");
        return 0;
    }
    response->route = http_find_route(http, response);
    if (response->route != NULL && response->body_in_size == 0)
        http_handle(http, response);
    return 0;
}

int http_serve(struct http *http, struct lws *wsi, int reason, void *in, size_t size)
{
    struct http_response *response = lws_get_opaque_user_data(wsi);
    struct problem problem = {0};

    switch (reason) {
    case LWS_CALLBACK_HTTP:
        if (response != NULL)
            return -1; /* the one before is not finished */
        return http_begin(http, wsi, in, size);
    case LWS_CALLBACK_HTTP_BODY:
        if (response == NULL || response->route == NULL || response->ready)
            return 0; /* denied: what comes is not kept */
        return buffer_append(&response->body_in, in, size, &problem) == RESULT_OK ? 0 : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        if (response == NULL)
            return -1;
        if (response->route != NULL && !response->ready && response->ticket == 0)
            http_handle(http, response);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return response == NULL ? 0 : response_writable(response);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (response != NULL) {
            lws_set_opaque_user_data(wsi, NULL);
            response_destroy(response);
        }
        return 0;
    default:
        return 0;
    }
}

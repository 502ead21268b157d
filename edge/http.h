/* SPDX-License-Identifier: Apache-2.0 */
/* http.h: a table of routes, and the requests that a listener brings (RFC 9110, 9112).
 *
 * Handlers run on the loop's thread, one at a time, with the whole request in memory, and answer
 * either at once or later (http_response_later), when a worker has done the work. A response is
 * held in memory and written as the socket takes it.
 *
 * Answered here, before any handler: unknown path 404, other method 405 with Allow, body over
 * HTTP_BODY_SIZE_MAX 413, body without Content-Length 411, a request that `permit` denies 403.
 * Each response carries X-Content-Type-Options: nosniff, a Content-Security-Policy that lets pages
 * load from here only and be framed by nobody, Referrer-Policy: no-referrer, over TLS
 * Strict-Transport-Security, and, unless a handler says otherwise, Cache-Control: no-store. HEAD is
 * GET without the body. One request a connection: each answer says Connection: close, and what a
 * client sends behind its request is not read. */
#pragma once

#include "base/bytes.h"
#include "edge/loop.h"

struct http;
struct http_response;
struct lws;

enum {
    HTTP_BODY_SIZE_MAX = 1024 * 1024,          /* of a request */
    HTTP_PATH_SIZE_MAX = 1024,                 /* bytes, longer ones get 414 */
    HTTP_QUERY_SIZE_MAX = 4096,                /* bytes, longer ones get 414 */
    HTTP_HEADER_SIZE_MAX = 4096,               /* of one request header; longer ones get 431 */
    HTTP_RESPONSE_SIZE_MAX = 64 * 1024 * 1024, /* body */
    HTTP_RESPONSE_HEADERS_SIZE_MAX = 4096,     /* those a handler adds */
    HTTP_LATER_LIMIT_S = 60,                   /* a response not given until then becomes 503 */
};

enum http_method {
    HTTP_GET, /* HEAD too */
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_METHOD_COUNT
};

/* The request headers that handlers see; all others are dropped unread. */
enum http_header {
    HTTP_HOST,
    HTTP_ORIGIN,
    HTTP_COOKIE,
    HTTP_AUTHORIZATION,
    HTTP_CONTENT_TYPE,
    HTTP_ACCEPT,
    HTTP_ACCEPT_ENCODING,
    HTTP_ACCEPT_LANGUAGE,
    HTTP_IF_NONE_MATCH,
    HTTP_SEC_FETCH_SITE,
    HTTP_X_CSRF_TOKEN,
    HTTP_TRACEPARENT,
    HTTP_HEADER_COUNT
};

/* Texts are NUL-terminated, "" if absent, and valid until the response is sent. */
struct http_request {
    enum http_method method;
    bool head; /* a HEAD that is shown as GET */
    bool tls;
    const char *path;  /* %-decoded, without query, ".." resolved, begins with "/" */
    const char *query; /* as sent, without "?", parts joined by "&" */
    const char *peer;  /* address without port */
    const char *headers[HTTP_HEADER_COUNT];
    struct bytes body;
};

struct http_route {
    enum http_method method;
    const char *path; /* whole, or with a last segment "*": all below, first match wins */
    void (*handle)(void *context, const struct http_request *request,
                   struct http_response *response);
};

struct http_options {
    const struct http_route *routes; /* the caller's, must outlive the http */
    size_t route_count;
    void *context;        /* for handlers and `permit` */
    size_t body_size_max; /* of a request; 0: HTTP_BODY_SIZE_MAX */
    /* NULL, or asked before the table and before the body is read; false: 403. For checks of Host
     * (DNS rebinding) and Origin (CSRF), which must hold for all routes. */
    bool (*permit)(void *context, const struct http_request *request);
};

/* RESULT_EXHAUSTED: memory. */
MUST_CHECK enum result http_create(struct loop *loop, const struct http_options *options,
                                   struct http **ret_http, struct problem *problem);
/* After its listeners, before the loop; NULL is fine. */
void http_destroy(struct http *http);

/* What to answer; call once. Without it a handler's answer is 500. The body is copied.
 * `content_type` NULL: none. */
void http_respond(struct http_response *response, unsigned int status, const char *content_type,
                  struct bytes body);
void http_respond_text(struct http_response *response, unsigned int status, const char *text);

/* Adds a header, before http_respond or after. One with a control character in it, or beyond
 * HTTP_RESPONSE_HEADERS_SIZE_MAX, makes the answer 500. */
void http_respond_header(struct http_response *response, const char *name, const char *value);

/* Tells that the answer comes after the handler has returned; keep the ticket, not the pointers. */
uint64_t http_response_later(struct http_response *response);
/* On the loop's thread: the response of a ticket, NULL when the client is gone (noticed
 * within a second or two) or was answered by the time limit. Fill it with http_respond, then
 * http_response_send. */
struct http_response *http_response_of(struct http *http, uint64_t ticket);
void http_response_send(struct http_response *response);

/* What the listener calls with each callback of libwebsockets; nonzero ends the connection. */
int http_serve(struct http *http, struct lws *wsi, int reason, void *in, size_t size);

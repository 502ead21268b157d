/* SPDX-License-Identifier: Apache-2.0 */
/* web.h: the company's pages on the admin port: so far, signing in and out.
 *
 *     POST   /api/session            {"login", "password"}         201, cookie, who it is
 *     GET    /api/session                                          200, who it is
 *     DELETE /api/session            X-CSRF-Token                  204
 *     PUT    /api/session/password   X-CSRF-Token {"password", "new_password"}   204
 *
 * A failure is {"code", "title", "status"} as application/problem+json (docs/API.md). Runs on the
 * loop's thread, and waits there for nothing: the database is asked by jobs on the store's threads,
 * passwords are hashed by two threads of their own. Requests under way are bounded
 * (WEB_CALLS_MAX), and so is what of them waits; who finds no room gets 503 and a time. */
#pragma once

#include "edge/http.h"
#include "server/core/job.h"
#include "server/core/tally.h"
#include "server/service/web_session.h"

enum { WEB_CALLS_MAX = 64, WEB_BODY_SIZE_MAX = 8 * 1024 };

struct web;

struct web_options {
    struct loop *loop;
    struct web_limits limits;
    bool is_secure; /* the pages' origin is https, though this port may not be (a proxy is before
                       it); otherwise each request tells */
    void *context;  /* of the two that follow */
    /* Hands a job (ASK, ACT) to its thread and calls `done` on the loop's when it is back. False:
     * no room, the job is the caller's again. */
    bool (*submit)(void *context, struct job *job, void (*done)(void *context, struct job *job),
                   void *done_context);
    /* Somebody was refused: for the audit log. */
    void (*refused)(void *context, enum tally_kind kind, int64_t user_id, const char *text);
};

/* RESULT_EXHAUSTED: memory, or the system gives no more threads. */
MUST_CHECK enum result web_create(const struct web_options *options, struct web **ret_web,
                                  struct problem *problem);
/* The http whose routes lead here; before the first request. */
void web_attach(struct web *web, struct http *http);
/* No more passwords: what waits is answered. While `http` is there; takes NULL. */
void web_stop(struct web *web);
/* After the last request's end; takes NULL. */
void web_destroy(struct web *web);

/* ---- handlers ---- */

void web_post_session(struct web *web, const struct http_request *request,
                      struct http_response *response);
void web_get_session(struct web *web, const struct http_request *request,
                     struct http_response *response);
void web_delete_session(struct web *web, const struct http_request *request,
                        struct http_response *response);
void web_put_password(struct web *web, const struct http_request *request,
                      struct http_response *response);

/* SPDX-License-Identifier: Apache-2.0 */
/* web_inside.h: one request on its way between threads; for this room's handlers only.
 *
 * A call is a chain of steps: each begins something elsewhere (call_ask, call_act, call_compute)
 * and names the function that goes on, on the loop's thread. Nobody else touches a call meanwhile.
 * A step that can't begin or fails ends the call with 503. Calls live in guarded memory: they hold
 * passwords and tokens. */
#pragma once

#include "edge/worker.h"
#include "server/http/cookie.h"
#include "server/http/web.h"
#include "server/service/attempts.h"
#include "server/service/password.h"

enum { WEB_LOGIN_SIZE = 65, WEB_ADDRESS_SIZE = 64 };

struct web {
    struct web_options options;
    struct http *http;
    struct worker *hashers;
    size_t call_count;
    struct attempts attempts;
};

struct web_call {
    struct web *web;
    uint64_t ticket; /* of the response; 0: it was answered */
    struct arena arena;
    struct worker_job worker_job;
    void (*next)(struct web_call *call);
    enum result result; /* of the step that has ended */
    struct problem problem;

    char address[WEB_ADDRESS_SIZE];
    bool is_secure;
    bool is_italian;
    bool has_token; /* the browser sent one */
    uint8_t token[WEB_TOKEN_SIZE];
    uint8_t new_token[WEB_TOKEN_SIZE];
    char login[WEB_LOGIN_SIZE];
    char password[PASSWORD_SIZE_MAX + 1];
    char new_password[PASSWORD_SIZE_MAX + 1];
    char new_hash[PASSWORD_HASH_SIZE];
    bool is_right; /* the password */
    struct web_login found;
    struct web_session session;
};

/* ---- web.c ---- */

/* What all handlers begin with; NULL: it was answered with 503. */
struct web_call *call_begin(struct web *web, const struct http_request *request,
                            struct http_response *response);
void call_end(struct web_call *call);

/* Runs `step` on a reader's or the writer's thread; it finds the call in job->context. */
void call_ask(struct web_call *call,
              enum result (*step)(struct store *store, struct job *job, struct problem *problem),
              void (*next)(struct web_call *call));
void call_act(struct web_call *call,
              enum result (*step)(struct work *work, struct job *job, struct problem *problem),
              void (*next)(struct web_call *call));
/* Argon2id and the like, on a thread of its own. */
void call_compute(struct web_call *call, void (*run)(void *call),
                  void (*next)(struct web_call *call));

/* The response, if the client is still there, to be filled and sent with http_response_send. */
struct http_response *call_response(struct web_call *call);
/* Answers; the call goes on without a client, or ends with call_end. wait_ms 0: no Retry-After. */
void call_fail(struct web_call *call, unsigned int status, const char *code, const char *title,
               int64_t wait_ms);
void call_answer_session(struct web_call *call, unsigned int status,
                         const struct web_session *session, const uint8_t token[WEB_TOKEN_SIZE]);
void call_answer_nothing(struct web_call *call, bool removes_cookie);
/* True: it went well. False: it was answered with 503 (500 of what nobody thought of) and ended. */
bool call_is_good(struct web_call *call);

/* SPDX-License-Identifier: Apache-2.0 */
/* How a call travels; what is asked and answered on the way is in session_api.c. */
#include "server/http/web_inside.h"

#include "base/invariant.h"
#include "edge/entropy.h"
#include "edge/secret.h"
#include "edge/terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HASHERS = 2, /* each takes 64 MiB while it works */
    HASHERS_QUEUE = 16,
    HASHERS_NICENESS = 10, /* devices go first */
    CALL_ARENA_SIZE = 64 * 1024,
    JOB_SIZE = 4096,
    ANSWER_SIZE = 16 * 1024,
    BUSY_WAIT_MS = 2000,
};

/* ---- life ---- */

enum result web_create(const struct web_options *options, struct web **ret_web,
                       struct problem *problem)
{
    const struct worker_options hashers = {.loop = options->loop,
                                           .name = "password",
                                           .thread_count = HASHERS,
                                           .queue_count_max = HASHERS_QUEUE,
                                           .niceness = HASHERS_NICENESS};
    struct web *web = calloc(1, sizeof *web);
    uint8_t seed[ATTEMPTS_SEED_SIZE];
    enum result result;

    if (web == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the pages");
    web->options = *options;
    entropy_fill(seed, sizeof seed);
    attempts_init(&web->attempts, seed);
    result = worker_create(&hashers, &web->hashers, problem);
    if (result != RESULT_OK) {
        free(web);
        return result;
    }
    *ret_web = web;
    return RESULT_OK;
}

void web_attach(struct web *web, struct http *http)
{
    web->http = http;
}

void web_stop(struct web *web)
{
    if (web != NULL)
        worker_stop(web->hashers);
}

void web_destroy(struct web *web)
{
    if (web == NULL)
        return;
    invariant(web->call_count == 0); /* the stores' threads and the hashers have ended before */
    worker_destroy(web->hashers);
    free(web);
}

/* ---- a call ---- */

static void fail_response(struct http_response *response, unsigned int status, const char *code,
                          const char *title, int64_t wait_ms)
{
    char text[32];
    struct buffer body;
    struct terminal_json json;
    struct problem problem = {0};

    buffer_init(&body, ANSWER_SIZE);
    terminal_json_init(&json, &body);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "code");
    terminal_json_text(&json, code);
    terminal_json_key(&json, "title");
    terminal_json_text(&json, title);
    terminal_json_key(&json, "status");
    terminal_json_number(&json, status);
    terminal_json_object_end(&json);
    if (wait_ms > 0) {
        (void)snprintf(text, sizeof text, "%" PRId64, (wait_ms + 999) / 1000);
        http_respond_header(response, "Retry-After", text);
    }
    if (terminal_json_finish(&json, &problem) == RESULT_OK)
        http_respond(response, status, "application/problem+json", buffer_bytes(&body));
    buffer_done(&body);
}

/* The first of our two languages that the browser names. */
static bool wants_italian(const char *languages)
{
    while (*languages != '\0') {
        size_t size = strcspn(languages, ",");

        if (strncmp(languages, "it", 2) == 0 || strncmp(languages, "en", 2) == 0)
            return languages[0] == 'i';
        languages += size;
        languages += strspn(languages, ", ");
    }
    return false;
}

struct web_call *call_begin(struct web *web, const struct http_request *request,
                            struct http_response *response)
{
    struct web_call *call =
        web->call_count >= WEB_CALLS_MAX ? NULL : secret_alloc(sizeof(struct web_call));

    if (call == NULL) {
        fail_response(response, 503, "busy", "The server has too much to do.", BUSY_WAIT_MS);
        return NULL;
    }
    web->call_count++;
    call->web = web;
    arena_init(&call->arena, CALL_ARENA_SIZE);
    (void)snprintf(call->address, sizeof call->address, "%s", request->peer);
    call->is_secure = web->options.is_secure || request->tls;
    call->is_italian = wants_italian(request->headers[HTTP_ACCEPT_LANGUAGE]);
    call->has_token = cookie_read(request->headers[HTTP_COOKIE], call->is_secure, call->token);
    call->ticket = http_response_later(response);
    return call;
}

void call_end(struct web_call *call)
{
    invariant(call->web->call_count > 0);
    invariant(call->ticket == 0);
    call->web->call_count--;
    arena_done(&call->arena);
    secret_free(call);
}

/* ---- steps ---- */

static void give_up(struct web_call *call)
{
    call_fail(call, 503, "busy", "The server has too much to do.", BUSY_WAIT_MS);
    call_end(call);
}

static void job_done(void *context, struct job *job)
{
    struct web_call *call = context;

    call->result = job->result;
    call->problem = job->problem;
    job_destroy(job);
    call->next(call);
}

static void send_job(struct web_call *call, struct job *job, void (*next)(struct web_call *call))
{
    const struct web_options *options = &call->web->options;

    call->next = next;
    if (job != NULL)
        job->context = call;
    if (job != NULL && options->submit(options->context, job, job_done, call))
        return;
    job_destroy(job);
    give_up(call);
}

void call_ask(struct web_call *call,
              enum result (*step)(struct store *store, struct job *job, struct problem *problem),
              void (*next)(struct web_call *call))
{
    struct job *job = job_create(JOB_ASK, JOB_SIZE);

    if (job != NULL)
        job->ask = step;
    send_job(call, job, next);
}

void call_act(struct web_call *call,
              enum result (*step)(struct work *work, struct job *job, struct problem *problem),
              void (*next)(struct web_call *call))
{
    struct job *job = job_create(JOB_ACT, JOB_SIZE);

    if (job != NULL)
        job->act = step;
    send_job(call, job, next);
}

static void computed(void *context)
{
    struct web_call *call = context;

    call->next(call);
}

void call_compute(struct web_call *call, void (*run)(void *call),
                  void (*next)(struct web_call *call))
{
    struct problem problem = {0};

    call->next = next;
    call->result = RESULT_OK;
    call->worker_job = (struct worker_job){.run = run, .done = computed, .context = call};
    if (worker_submit(call->web->hashers, &call->worker_job, &problem) != RESULT_OK)
        give_up(call);
}

/* ---- answers ---- */

struct http_response *call_response(struct web_call *call)
{
    struct http_response *response =
        call->ticket == 0 ? NULL : http_response_of(call->web->http, call->ticket);

    call->ticket = 0;
    return response;
}

void call_fail(struct web_call *call, unsigned int status, const char *code, const char *title,
               int64_t wait_ms)
{
    struct http_response *response = call_response(call);

    if (response == NULL)
        return;
    fail_response(response, status, code, title, wait_ms);
    http_response_send(response);
}

static void set_cookie(struct http_response *response, const uint8_t *token, bool is_secure)
{
    char cookie[COOKIE_TEXT_SIZE];

    cookie_write(token, is_secure, cookie);
    http_respond_header(response, "Set-Cookie", cookie);
    secret_wipe(cookie, sizeof cookie);
}

static void put_time(struct terminal_json *json, const char *key, struct wall_time time)
{
    char text[WALL_TEXT_SIZE];

    wall_time_format(time, text);
    terminal_json_key(json, key);
    terminal_json_text(json, text);
}

static void put_session(struct terminal_json *json, const struct web_session *session,
                        bool is_italian, const char *csrf)
{
    terminal_json_object_begin(json);
    terminal_json_key(json, "login");
    terminal_json_text(json, session->login);
    terminal_json_key(json, "name");
    terminal_json_text(json, session->name);
    terminal_json_key(json, "roles");
    terminal_json_array_begin(json);
    for (size_t i = 0; i < session->role_count; i++)
        terminal_json_text(json, session->roles[i]);
    terminal_json_array_end(json);
    terminal_json_key(json, "language");
    terminal_json_text(json, is_italian ? "it" : "en");
    put_time(json, "expires_at", session->expires_at);
    put_time(json, "ends_at", session->ends_at);
    terminal_json_key(json, "csrf_token");
    terminal_json_text(json, csrf);
    terminal_json_object_end(json);
}

void call_answer_session(struct web_call *call, unsigned int status,
                         const struct web_session *session, const uint8_t token[WEB_TOKEN_SIZE])
{
    struct http_response *response = call_response(call);
    char csrf[WEB_TOKEN_TEXT_SIZE];
    struct buffer body;
    struct terminal_json json;
    struct problem problem = {0};

    if (response == NULL)
        return;
    web_csrf_token(token, csrf);
    buffer_init(&body, ANSWER_SIZE);
    terminal_json_init(&json, &body);
    put_session(&json, session, call->is_italian, csrf);
    if (status == 201)
        set_cookie(response, token, call->is_secure);
    if (terminal_json_finish(&json, &problem) == RESULT_OK)
        http_respond(response, status, "application/json", buffer_bytes(&body));
    http_response_send(response);
    secret_wipe(csrf, sizeof csrf);
    if (body.data != NULL)
        secret_wipe(body.data, body.size);
    buffer_done(&body);
}

void call_answer_nothing(struct web_call *call, bool removes_cookie)
{
    struct http_response *response = call_response(call);

    if (response == NULL)
        return;
    if (removes_cookie)
        set_cookie(response, NULL, call->is_secure);
    http_respond(response, 204, NULL, (struct bytes){0});
    http_response_send(response);
}

bool call_is_good(struct web_call *call)
{
    if (call->result == RESULT_OK)
        return true;
    if (call->result == RESULT_MALFORMED)
        call_fail(call, 500, "failed", "The server could not do this.", 0);
    else
        call_fail(call, 503, "unavailable", "The database can't be reached now.", BUSY_WAIT_MS);
    call_end(call);
    return false;
}

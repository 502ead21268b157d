/* SPDX-License-Identifier: Apache-2.0 */
/* /api/session: translates requests into what web_session.h decides, step by step. */
#include "base/json.h"
#include "edge/clock.h"
#include "edge/entropy.h"
#include "server/http/web_inside.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TOUCH_INTERVAL_US MINUTES(1) /* seen_at is as exact as that */

/* ---- what is the same for all ---- */

/* 0, or the status of what is wrong with the form of a request that brings something. */
static unsigned int check_form(const struct http_request *request)
{
    static const char JSON[] = "application/json";
    const char *type = request->headers[HTTP_CONTENT_TYPE];
    char after = strncasecmp(type, JSON, sizeof JSON - 1) == 0 ? type[sizeof JSON - 1] : 'x';

    if (after != '\0' && after != ';')
        return 415; /* only what no form of another page can send */
    return request->body.size > WEB_BODY_SIZE_MAX ? 413 : 0;
}

/* False: answered. */
static bool read_body(struct web_call *call, const struct http_request *request,
                      const struct json_text *texts, size_t text_count)
{
    struct problem problem = {0};
    unsigned int status = check_form(request);

    if (status == 0 && json_read_texts(request->body, texts, text_count, &problem) == RESULT_OK)
        return true;
    if (status != 0)
        call_fail(call, status, "form", "Send JSON (Content-Type: application/json), and little.",
                  0);
    else
        call_fail(call, 400, "form", problem.text, 0);
    return false;
}

static bool has_csrf_token(const struct web_call *call, const struct http_request *request)
{
    return call->has_token && web_csrf_is(call->token, request->headers[HTTP_X_CSRF_TOKEN]);
}

static void say_nobody(struct web_call *call)
{
    call_fail(call, 401, "not_signed_in", "Nobody is signed in, or the session has ended.", 0);
    call_end(call);
}

static void say_no_csrf(struct web_call *call)
{
    call_fail(call, 403, "csrf", "The header X-CSRF-Token is missing or of another session.", 0);
    call_end(call);
}

static enum result find_session(struct store *store, struct job *job, struct problem *problem)
{
    struct web_call *call = job->context;

    return web_session_find(store, call->token, job->now, &call->web->options.limits, &call->arena,
                            &call->session, problem);
}

static enum result find_login(struct store *store, struct job *job, struct problem *problem)
{
    struct web_call *call = job->context;

    return web_login_find(store, call->login, &call->arena, &call->found, problem);
}

static void check_password(void *context)
{
    struct web_call *call = context;

    call->is_right = password_is(bytes_of_text(call->password), call->found.password_hash);
}

/* False: answered, too many were wrong. */
static bool may_try(struct web_call *call)
{
    int64_t wait_ms =
        attempts_take(&call->web->attempts, call->address, call->login, clock_mono_now());
    char text[WEB_ADDRESS_SIZE + 8];

    if (wait_ms == 0)
        return true;
    (void)snprintf(text, sizeof text, "from %s", call->address);
    call->web->options.refused(call->web->options.context, TALLY_LOGIN_THROTTLED, 0, text);
    call_fail(call, 429, "too_many", "Too many were wrong: wait a little.", wait_ms);
    return false;
}

static void give_back(struct web_call *call)
{
    attempts_give_back(&call->web->attempts, call->address, call->login, call->is_right,
                       clock_mono_now());
}

/* What somebody typed as his login may be his password: it isn't noted. */
static void say_wrong(struct web_call *call)
{
    char text[WEB_ADDRESS_SIZE + 32];

    (void)snprintf(text, sizeof text, "%sfrom %s",
                   call->found.user_id == 0 ? "unknown login, " : "", call->address);
    call->web->options.refused(call->web->options.context, TALLY_LOGIN, call->found.user_id, text);
    call_fail(call, 401, "wrong_login", "Login or password is wrong.", 0);
    call_end(call);
}

/* ---- POST /api/session ---- */

static enum result begin_session(struct work *work, struct job *job, struct problem *problem)
{
    struct web_call *call = job->context;
    enum result result = RESULT_OK;

    if (call->has_token) /* of whoever was signed in here before */
        result = web_session_end(work, call->token, problem);
    return result == RESULT_OK
               ? web_session_begin(work, &call->found, call->new_token, &call->web->options.limits,
                                   call->address, problem)
               : result;
}

static void on_begun_session(struct web_call *call)
{
    if (!call_is_good(call))
        return;
    if (call->session.user_id == 0) {
        say_nobody(call);
        return;
    }
    call_answer_session(call, 201, &call->session, call->token);
    call_end(call);
}

static void on_begun(struct web_call *call)
{
    if (call->result == RESULT_REFUSED) {
        say_wrong(call);
        return;
    }
    if (!call_is_good(call))
        return;
    memcpy(call->token, call->new_token, sizeof call->token);
    call_ask(call, find_session, on_begun_session);
}

static void on_checked(struct web_call *call)
{
    if (!call->is_right) {
        say_wrong(call);
        return;
    }
    give_back(call);
    entropy_fill(call->new_token, sizeof call->new_token);
    call_act(call, begin_session, on_begun);
}

/* False: answered; the try was none. */
static bool is_login_found(struct web_call *call)
{
    if (call->result != RESULT_OK)
        give_back(call);
    return call_is_good(call);
}

static void on_login_found(struct web_call *call)
{
    if (is_login_found(call))
        call_compute(call, check_password, on_checked);
}

void web_post_session(struct web *web, const struct http_request *request,
                      struct http_response *response)
{
    struct web_call *call = call_begin(web, request, response);

    if (call == NULL)
        return;
    const struct json_text texts[] = {{"login", call->login, sizeof call->login},
                                      {"password", call->password, sizeof call->password}};

    if (read_body(call, request, texts, 2) && may_try(call))
        call_ask(call, find_login, on_login_found);
    else
        call_end(call);
}

/* ---- GET /api/session ---- */

static enum result touch_session(struct work *work, struct job *job, struct problem *problem)
{
    const struct web_call *call = job->context;

    return web_session_touch(work, call->token, problem);
}

static void on_session_found(struct web_call *call)
{
    if (!call_is_good(call))
        return;
    if (call->session.user_id == 0) {
        say_nobody(call);
        return;
    }
    call_answer_session(call, 200, &call->session, call->token);
    if (clock_wall_now().us - call->session.seen_at.us > TOUCH_INTERVAL_US)
        call_act(call, touch_session, call_end);
    else
        call_end(call);
}

void web_get_session(struct web *web, const struct http_request *request,
                     struct http_response *response)
{
    struct web_call *call = call_begin(web, request, response);

    if (call == NULL)
        return;
    if (call->has_token)
        call_ask(call, find_session, on_session_found);
    else
        say_nobody(call);
}

/* ---- DELETE /api/session ---- */

static enum result end_session(struct work *work, struct job *job, struct problem *problem)
{
    const struct web_call *call = job->context;

    return web_session_end(work, call->token, problem);
}

static void on_ended(struct web_call *call)
{
    if (!call_is_good(call))
        return;
    call_answer_nothing(call, true);
    call_end(call);
}

void web_delete_session(struct web *web, const struct http_request *request,
                        struct http_response *response)
{
    struct web_call *call = call_begin(web, request, response);

    if (call == NULL)
        return;
    if (!call->has_token)
        say_nobody(call);
    else if (has_csrf_token(call, request))
        call_act(call, end_session, on_ended);
    else
        say_no_csrf(call);
}

/* ---- PUT /api/session/password ---- */

static enum result change_password(struct work *work, struct job *job, struct problem *problem)
{
    const struct web_call *call = job->context;

    return web_session_change_password(work, &call->session, call->token, call->new_hash, problem);
}

static void on_changed(struct web_call *call)
{
    if (call->result == RESULT_REFUSED) {
        say_nobody(call);
        return;
    }
    if (!call_is_good(call))
        return;
    call_answer_nothing(call, false);
    call_end(call);
}

static void exchange_password(void *context)
{
    struct web_call *call = context;

    check_password(call);
    if (call->is_right)
        call->result =
            password_hash(bytes_of_text(call->new_password), call->new_hash, &call->problem);
}

static void on_exchanged(struct web_call *call)
{
    if (!call->is_right) {
        say_wrong(call);
        return;
    }
    give_back(call);
    if (call->result == RESULT_REFUSED) {
        call_fail(call, 422, "password", call->problem.text, 0);
        call_end(call);
    } else if (call_is_good(call)) {
        call_act(call, change_password, on_changed);
    }
}

static void on_own_login_found(struct web_call *call)
{
    if (is_login_found(call))
        call_compute(call, exchange_password, on_exchanged);
}

static void on_own_session_found(struct web_call *call)
{
    if (!call_is_good(call))
        return;
    if (call->session.user_id == 0) {
        say_nobody(call);
        return;
    }
    (void)snprintf(call->login, sizeof call->login, "%s", call->session.login);
    if (may_try(call))
        call_ask(call, find_login, on_own_login_found);
    else
        call_end(call);
}

void web_put_password(struct web *web, const struct http_request *request,
                      struct http_response *response)
{
    struct web_call *call = call_begin(web, request, response);

    if (call == NULL)
        return;
    const struct json_text texts[] = {
        {"password", call->password, sizeof call->password},
        {"new_password", call->new_password, sizeof call->new_password}};

    if (!call->has_token)
        say_nobody(call);
    else if (!has_csrf_token(call, request))
        say_no_csrf(call);
    else if (read_body(call, request, texts, 2))
        call_ask(call, find_session, on_own_session_found);
    else
        call_end(call);
}

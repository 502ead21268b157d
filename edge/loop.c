/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/loop.h"

#include "base/invariant.h"
#include "edge/clock.h"

#include <ev.h>
#include <libwebsockets.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    SIGNAL_COUNT = 5,
    CLOSE_STEP_COUNT_MAX = 10,       /* libwebsockets needs about three */
    SERVICE_BUFFER_SIZE = 64 * 1024, /* one a context: the largest single read */
    HEADER_SIZE_MAX = 16 * 1024,     /* of one HTTP request, while its headers are read */
    NAP_MAX_US = 60 * 1000 * 1000,   /* longest sleep before a far deadline is looked at again */
};

static const int SIGNALS[SIGNAL_COUNT] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

struct loop {
    struct ev_loop *ev;
    bool tls;
    ev_async wake;
    ev_signal signals[SIGNAL_COUNT];
    void (*raised)(void *context, int signal);
    void *raised_context;
    pthread_mutex_t lock; /* guards the three below */
    struct loop_call *call_first;
    struct loop_call *call_last;
    bool stopping;
};

struct loop_timer {
    struct loop *loop;
    ev_timer watcher;
    struct mono_time deadline;
    void (*fired)(void *context);
    void *context;
};

/* Takes all calls at once, so that a call that posts itself again cannot hold the loop. */
void loop_run_posted(struct loop *loop)
{
    struct loop_call *call;

    pthread_mutex_lock(&loop->lock);
    call = loop->call_first;
    loop->call_first = NULL;
    loop->call_last = NULL;
    pthread_mutex_unlock(&loop->lock);
    while (call != NULL) {
        struct loop_call *next = call->next;

        call->next = NULL;
        call->run(call->context); /* may free the call */
        call = next;
    }
}

static void loop_woken(struct ev_loop *ev, ev_async *wake, int events)
{
    struct loop *loop = wake->data;
    bool stopping;

    (void)events;
    loop_run_posted(loop);
    pthread_mutex_lock(&loop->lock);
    stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    if (stopping)
        ev_break(ev, EVBREAK_ALL);
}

static void loop_limit_descriptors(uint32_t count_max)
{
    struct rlimit limit;

    if (count_max == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = count_max < limit.rlim_max ? count_max : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* never above the hard limit: cannot fail */
}

enum result loop_open_lws(struct loop *loop, unsigned int timeout_s, struct lws_context **where,
                          struct problem *problem)
{
    struct lws_context_creation_info info;
    void *loops[1] = {loop->ev};

    memset(&info, 0, sizeof(info));
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    if (loop->tls)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.foreign_loops = loops;
    info.pcontext = where;
    info.timeout_secs = timeout_s;
    info.gid = -1;
    info.uid = -1;
    info.pt_serv_buf_size = SERVICE_BUFFER_SIZE;
    info.max_http_header_data2 = HEADER_SIZE_MAX;
    info.server_string = "fieldsync";
    *where = lws_create_context(&info);
    if (*where == NULL)
        return problem_set(problem, RESULT_REFUSED,
                           "libwebsockets does not start; is libwebsockets-evlib-ev installed?");
    return RESULT_OK;
}

void loop_close_lws(struct lws_context **where)
{
    /* With a loop that isn't its own, the library closes in several steps, and at the last it sets
     * *where to NULL through info.pcontext. */
    for (int step = 0; *where != NULL && step < CLOSE_STEP_COUNT_MAX; step++)
        lws_context_destroy(*where);
    invariant(*where == NULL);
}

enum result loop_create(const struct loop_options *options, struct loop **ret_loop,
                        struct problem *problem)
{
    struct loop_options defaults = {0};
    struct loop *loop;

    if (options == NULL)
        options = &defaults;
    loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for an event loop");
    loop->tls = options->tls;
    (void)signal(SIGPIPE, SIG_IGN);
    loop_limit_descriptors(options->descriptor_count_max);
    lws_set_log_level(options->library_log == NULL ? 0 : LLL_ERR | LLL_WARN, options->library_log);
    loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (loop->ev == NULL) {
        free(loop);
        return problem_set(problem, RESULT_EXHAUSTED, "no event loop: out of descriptors?");
    }
    pthread_mutex_init(&loop->lock, NULL);
    ev_async_init(&loop->wake, loop_woken);
    loop->wake.data = loop;
    ev_async_start(loop->ev, &loop->wake);
    *ret_loop = loop;
    return RESULT_OK;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    loop_run_posted(loop);
    ev_async_stop(loop->ev, &loop->wake);
    if (loop->raised != NULL)
        for (int i = 0; i < SIGNAL_COUNT; i++)
            ev_signal_stop(loop->ev, &loop->signals[i]);
    ev_loop_destroy(loop->ev);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

void loop_run(struct loop *loop)
{
    bool stopping;

    pthread_mutex_lock(&loop->lock);
    stopping = loop->stopping;
    pthread_mutex_unlock(&loop->lock);
    if (!stopping)
        ev_run(loop->ev, 0);
    pthread_mutex_lock(&loop->lock);
    loop->stopping = false;
    pthread_mutex_unlock(&loop->lock);
}

void loop_stop(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    loop->stopping = true;
    pthread_mutex_unlock(&loop->lock);
    ev_async_send(loop->ev, &loop->wake);
}

void loop_post(struct loop *loop, struct loop_call *call)
{
    pthread_mutex_lock(&loop->lock);
    invariant(call->next == NULL && call != loop->call_last);
    if (loop->call_last == NULL)
        loop->call_first = call;
    else
        loop->call_last->next = call;
    loop->call_last = call;
    pthread_mutex_unlock(&loop->lock);
    ev_async_send(loop->ev, &loop->wake);
}

/* libev counts from the time its round began, which may be long ago; so a timer may come early and
 * is then set again, and never later than it should be. */
static void loop_timer_arm(struct loop_timer *timer, struct mono_time now)
{
    int64_t wait_us = 0;

    if (!mono_is_due(timer->deadline, now))
        wait_us = timer->deadline.us - now.us;
    if (wait_us > NAP_MAX_US)
        wait_us = NAP_MAX_US;
    ev_timer_stop(timer->loop->ev, &timer->watcher);
    ev_timer_set(&timer->watcher, (double)wait_us / 1e6, 0.0);
    ev_timer_start(timer->loop->ev, &timer->watcher);
}

static void loop_timer_rang(struct ev_loop *ev, ev_timer *watcher, int events)
{
    struct loop_timer *timer = watcher->data;
    struct mono_time now = clock_mono_now();

    (void)ev;
    (void)events;
    if (!mono_is_due(timer->deadline, now)) {
        ev_now_update(timer->loop->ev);
        loop_timer_arm(timer, now);
        return;
    }
    timer->deadline = MONO_NEVER;
    timer->fired(timer->context); /* may set it again or destroy it */
}

enum result loop_timer_create(struct loop *loop, void (*fired)(void *context), void *context,
                              struct loop_timer **ret_timer, struct problem *problem)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));

    if (timer == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a timer");
    timer->loop = loop;
    timer->deadline = MONO_NEVER;
    timer->fired = fired;
    timer->context = context;
    ev_timer_init(&timer->watcher, loop_timer_rang, 0.0, 0.0);
    timer->watcher.data = timer;
    *ret_timer = timer;
    return RESULT_OK;
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    ev_timer_stop(timer->loop->ev, &timer->watcher);
    free(timer);
}

void loop_timer_set(struct loop_timer *timer, struct mono_time deadline)
{
    timer->deadline = deadline;
    if (deadline.us == MONO_NEVER.us)
        ev_timer_stop(timer->loop->ev, &timer->watcher);
    else
        loop_timer_arm(timer, clock_mono_now());
}

static void loop_signalled(struct ev_loop *ev, ev_signal *watcher, int events)
{
    struct loop *loop = watcher->data;

    (void)ev;
    (void)events;
    loop->raised(loop->raised_context, watcher->signum);
}

void loop_take_signals(struct loop *loop, void (*raised)(void *context, int signal), void *context)
{
    invariant(loop->raised == NULL);
    loop->raised = raised;
    loop->raised_context = context;
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        ev_signal_init(&loop->signals[i], loop_signalled, SIGNALS[i]);
        loop->signals[i].data = loop;
        ev_signal_start(loop->ev, &loop->signals[i]);
    }
}

struct ev_loop *loop_ev(struct loop *loop)
{
    return loop->ev;
}

bool loop_has_tls(const struct loop *loop)
{
    return loop->tls;
}

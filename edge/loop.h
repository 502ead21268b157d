/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: the one thread that waits: timers, sockets, signals, and calls from other threads.
 *
 * A libev loop that libwebsockets is attached to (libwebsockets' own poll loop needs
 * milliseconds a round with thousands of sockets, libev microseconds). Everything in websocket.h,
 * http.h and watch.h runs on the thread that calls loop_run and calls back on it; only loop_post
 * and loop_stop may be called from other threads. Callbacks never nest: a function called by the
 * loop runs to its end before the next one.
 *
 * Several loops may live in one process; only one of them may take the signals. loop_create ignores
 * SIGPIPE for the whole process, because a socket that the peer closed must fail a write and not
 * kill us. */
#pragma once

#include "base/instant.h"
#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

struct ev_loop;     /* libev */
struct lws_context; /* libwebsockets */

struct loop;
struct loop_timer;

struct loop_options {
    bool tls; /* certificates and wss:// will be used: sets up OpenSSL, about 1 MiB */
    /* Soft limit of open descriptors to set for the process; 0 leaves it. libwebsockets allocates
     * 16 bytes for each, so a million is 16 MiB. Above the hard limit it takes the hard limit. */
    uint32_t descriptor_count_max;
    /* Gets what libwebsockets has to say, or NULL: silence. Process-wide, last loop wins, as that
     * library has no other way; called on any loop's thread. */
    void (*library_log)(int level, const char *line);
};

/* RESULT_EXHAUSTED: memory or descriptors. `options` NULL: all zero. */
MUST_CHECK enum result loop_create(const struct loop_options *options, struct loop **ret_loop,
                                   struct problem *problem);

/* Makes the calls that are still posted, then frees. Timers, watches, listeners, websockets and
 * workers of this loop must be destroyed before; NULL is fine. Not from inside a callback. */
void loop_destroy(struct loop *loop);

/* Runs until loop_stop. May be called again afterwards. */
void loop_run(struct loop *loop);

/* Ends loop_run after the callback that is running now; any thread, not from a signal handler. A
 * stop that comes before loop_run makes the next loop_run return at once. */
void loop_stop(struct loop *loop);

/* A call to be made on the loop's thread. The caller owns it and keeps it until `run` begins; from
 * then on it may be freed or posted again. Posting cannot fail, since nothing is allocated. */
struct loop_call {
    void (*run)(void *context);
    void *context;
    struct loop_call *next; /* the loop's, while posted */
};

/* Any thread; calls are made in the order of posting. Posting a call that is already posted is our
 * own mistake (invariant when noticed). */
void loop_post(struct loop *loop, struct loop_call *call);

/* Makes the calls posted so far, now, on the loop's thread; for a shutdown that must see the last
 * completions of a worker after loop_run has returned. */
void loop_run_posted(struct loop *loop);

/* One shot: fires once at or after its deadline (libev's resolution is about a millisecond).
 * RESULT_EXHAUSTED: memory. */
MUST_CHECK enum result loop_timer_create(struct loop *loop, void (*fired)(void *context),
                                         void *context, struct loop_timer **ret_timer,
                                         struct problem *problem);
void loop_timer_destroy(struct loop_timer *timer); /* NULL is fine; also inside its own `fired` */

/* Sets or moves the deadline; MONO_NEVER cancels. In the past: fires in the next round. */
void loop_timer_set(struct loop_timer *timer, struct mono_time deadline);

/* Takes SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2: `raised` is called on the loop's thread with
 * the number. Once a loop, and one loop a process. */
void loop_take_signals(struct loop *loop, void (*raised)(void *context, int signal), void *context);

/* For the other modules of this room. */
struct ev_loop *loop_ev(struct loop *loop);
bool loop_has_tls(const struct loop *loop);

/* Opens a libwebsockets context on this loop and writes it to `*where`, which must stay in place
 * until loop_close_lws. Each listener has its own: among the vhosts of one context the library
 * picks by Host and SNI, which would mix listeners up. `timeout_s`: after so long without progress
 * the library gives a handshake up; 0: its own 5 s. RESULT_REFUSED: libwebsockets does not start
 * (its libev plugin, package libwebsockets-evlib-ev, is missing), or memory. */
MUST_CHECK enum result loop_open_lws(struct loop *loop, unsigned int timeout_s,
                                     struct lws_context **where, struct problem *problem);
/* Cuts what is open in it, with all callbacks, before it returns. NULL in `*where` is fine. */
void loop_close_lws(struct lws_context **where);

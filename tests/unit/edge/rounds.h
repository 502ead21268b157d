/* SPDX-License-Identifier: Apache-2.0 */
/* rounds.h: runs a loop until something has happened, for tests with real time and sockets. */
#pragma once

#include "base/instant.h"
#include "edge/clock.h"
#include "edge/loop.h"

#include <stdbool.h>
#include <stddef.h>

struct rounds {
    struct loop *loop;
    struct loop_timer *timer;
    bool (*reached)(void *context);
    void *context;
    struct mono_time deadline;
    bool ok;
};

static inline void rounds_look(void *context)
{
    struct rounds *rounds = context;

    rounds->ok = rounds->reached(rounds->context);
    if (rounds->ok || mono_is_due(rounds->deadline, clock_mono_now()))
        loop_stop(rounds->loop);
    else
        loop_timer_set(rounds->timer, mono_after(clock_mono_now(), MILLISECONDS(1)));
}

/* False when `limit_ms` is over first. */
static inline bool rounds_until(struct loop *loop, bool (*reached)(void *context), void *context,
                                int limit_ms)
{
    struct rounds rounds = {.loop = loop, .reached = reached, .context = context};
    struct problem problem = {0};

    rounds.deadline = mono_after(clock_mono_now(), MILLISECONDS(limit_ms));
    if (loop_timer_create(loop, rounds_look, &rounds, &rounds.timer, &problem) != RESULT_OK)
        return false;
    loop_timer_set(rounds.timer, clock_mono_now());
    loop_run(loop);
    loop_timer_destroy(rounds.timer);
    return rounds.ok;
}

static inline bool rounds_never(void *context)
{
    (void)context;
    return false;
}

static inline void rounds_pass(struct loop *loop, int time_ms)
{
    (void)rounds_until(loop, rounds_never, NULL, time_ms);
}

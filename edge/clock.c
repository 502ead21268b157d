/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "edge/clock.h"

#include "base/invariant.h"

#include <time.h>

static int64_t clock_read_us(clockid_t id)
{
    struct timespec now = {0};
    int failed = clock_gettime(id, &now);

    invariant(failed == 0);
    return SECONDS(now.tv_sec) + now.tv_nsec / 1000;
}

struct mono_time clock_mono_now(void)
{
    return (struct mono_time){clock_read_us(CLOCK_MONOTONIC)};
}

struct wall_time clock_wall_now(void)
{
    return (struct wall_time){clock_read_us(CLOCK_REALTIME)};
}

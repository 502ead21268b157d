/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/throttle.h"

#include "base/invariant.h"
#include "protocol/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    WITHOUT_MEMORY_MS = 60 * 1000,
    METERS_MAX = 1 << 20,
    DEBT_MINUTES_MAX = 10,     /* nobody is sent away for longer than LIMIT_RETRY_AFTER_MS_MAX */
    FILL_MS_MAX = 3600 * 1000, /* at a time: keeps the arithmetic inside int64 */
};

/* In micro-units, so that a limit of 1 a minute fills exactly, too. */
struct throttle_meter {
    struct mono_time filled_at; /* us 0: never used */
    int64_t levels_u[THROTTLE_KIND_COUNT];
};

void throttle_init(struct throttle *throttle, const struct throttle_options *options)
{
    for (int kind = 0; kind < THROTTLE_KIND_COUNT; kind++)
        invariant(options->per_minute[kind] >= 0 &&
                  options->per_minute[kind] <= THROTTLE_PER_MINUTE_MAX);
    *throttle = (struct throttle){.options = *options};
}

void throttle_done(struct throttle *throttle)
{
    free(throttle->meters);
    throttle->meters = NULL;
    throttle->meter_count = 0;
}

static struct throttle_meter *meter_of(struct throttle *throttle, int64_t replica_no)
{
    size_t needed = (size_t)replica_no + 1;

    invariant(replica_no > 0 && replica_no < METERS_MAX);
    if (needed > throttle->meter_count) {
        size_t count = throttle->meter_count == 0 ? 64 : throttle->meter_count * 2;
        struct throttle_meter *meters;

        if (count < needed)
            count = needed;
        meters = realloc(throttle->meters, count * sizeof *meters);
        if (meters == NULL)
            return NULL;
        memset(meters + throttle->meter_count, 0, (count - throttle->meter_count) * sizeof *meters);
        throttle->meters = meters;
        throttle->meter_count = count;
    }
    return &throttle->meters[replica_no];
}

static void fill(const struct throttle *throttle, struct throttle_meter *meter,
                 struct mono_time now)
{
    int64_t past_ms = (now.us - meter->filled_at.us) / 1000;
    bool is_new = meter->filled_at.us == 0;

    if (!is_new && past_ms <= 0)
        return;
    if (past_ms > FILL_MS_MAX)
        past_ms = FILL_MS_MAX;
    for (int kind = 0; kind < THROTTLE_KIND_COUNT; kind++) {
        int64_t per_minute = throttle->options.per_minute[kind];
        int64_t most_u = per_minute * 1000000;
        int64_t filled_u = past_ms * per_minute * 1000 / 60;

        if (is_new || filled_u > most_u - meter->levels_u[kind])
            meter->levels_u[kind] = most_u;
        else
            meter->levels_u[kind] += filled_u;
    }
    meter->filled_at = is_new ? now : mono_after(meter->filled_at, MILLISECONDS(past_ms));
}

int64_t throttle_wait_ms(struct throttle *throttle, enum throttle_kind kind, int64_t replica_no,
                         struct mono_time now)
{
    int64_t per_minute = throttle->options.per_minute[kind];
    struct throttle_meter *meter;
    int64_t wait_ms;

    if (per_minute == 0)
        return 0;
    meter = meter_of(throttle, replica_no);
    if (meter == NULL)
        return WITHOUT_MEMORY_MS;
    fill(throttle, meter, now);
    if (meter->levels_u[kind] > 0)
        return 0;
    /* until something is in it again; a second at least, so that nobody comes back for one drop */
    wait_ms = -meter->levels_u[kind] / (per_minute * 1000 / 60 + 1) + 1000;
    return wait_ms < LIMIT_RETRY_AFTER_MS_MAX ? wait_ms : LIMIT_RETRY_AFTER_MS_MAX;
}

void throttle_spend(struct throttle *throttle, enum throttle_kind kind, int64_t replica_no,
                    int64_t amount, struct mono_time now)
{
    struct throttle_meter *meter;
    int64_t least_u;

    if (throttle->options.per_minute[kind] == 0 || amount == 0)
        return;
    meter = meter_of(throttle, replica_no);
    if (meter == NULL)
        return;
    fill(throttle, meter, now);
    least_u = -DEBT_MINUTES_MAX * throttle->options.per_minute[kind] * 1000000;
    if (amount > THROTTLE_PER_MINUTE_MAX)
        amount = THROTTLE_PER_MINUTE_MAX;
    meter->levels_u[kind] -= amount * 1000000;
    if (meter->levels_u[kind] < least_u)
        meter->levels_u[kind] = least_u;
}

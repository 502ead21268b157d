/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/tally.h"

static const char *const EVENTS[TALLY_KIND_COUNT] = {
    [TALLY_CODE] = "enrolment_refused",
    [TALLY_LOGIN] = "login_failed",
    [TALLY_LOGIN_THROTTLED] = "login_throttled",
};

const char *tally_event(enum tally_kind kind)
{
    return EVENTS[kind];
}

static struct mono_time hour_end(const struct tally *tally, enum tally_kind kind)
{
    return mono_after(tally->kinds[kind].hour_began, HOURS(1));
}

bool tally_add(struct tally *tally, enum tally_kind kind, struct mono_time now)
{
    if (tally->kinds[kind].unsaid_count == 0 &&
        (tally->kinds[kind].line_count == 0 || mono_is_due(hour_end(tally, kind), now))) {
        tally->kinds[kind].hour_began = now;
        tally->kinds[kind].line_count = 0;
    }
    if (tally->kinds[kind].line_count < TALLY_LINES_HOUR_MAX) {
        tally->kinds[kind].line_count++;
        return true;
    }
    tally->kinds[kind].unsaid_count++;
    return false;
}

int64_t tally_take(struct tally *tally, enum tally_kind kind, struct mono_time now,
                   bool is_stopping)
{
    int64_t count = tally->kinds[kind].unsaid_count;

    if (count == 0 || (!is_stopping && !mono_is_due(hour_end(tally, kind), now)))
        return 0;
    tally->kinds[kind].unsaid_count = 0;
    tally->kinds[kind].line_count = 0;
    return count;
}

struct mono_time tally_deadline(const struct tally *tally)
{
    struct mono_time deadline = MONO_NEVER;

    for (enum tally_kind i = 0; i < TALLY_KIND_COUNT; i++)
        if (tally->kinds[i].unsaid_count > 0 && hour_end(tally, i).us < deadline.us)
            deadline = hour_end(tally, i);
    return deadline;
}

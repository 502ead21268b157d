/* SPDX-License-Identifier: Apache-2.0 */
/* tally.h: refusals for the audit log, so that nobody fills a disk by being refused.
 *
 * Of each kind the first TALLY_LINES_HOUR_MAX in an hour get a line of their own; what comes beyond
 * is counted, and one line says the count when the hour is over (or the server stops). Embedded in
 * its owner; no memory of its own. */
#pragma once

#include "base/instant.h"

#include <stddef.h>

enum tally_kind {
    TALLY_CODE,            /* a wrong, used or expired enrolment code */
    TALLY_LOGIN,           /* a wrong login or password */
    TALLY_LOGIN_THROTTLED, /* not even tried: too many before */
    TALLY_KIND_COUNT,
};

enum { TALLY_LINES_HOUR_MAX = 20 };

struct tally {
    struct {
        struct mono_time hour_began;
        int64_t line_count; /* since then */
        int64_t unsaid_count;
    } kinds[TALLY_KIND_COUNT];
};

/* The event's name in the audit log. */
const char *tally_event(enum tally_kind kind);

/* One more; true: write a line about it. */
bool tally_add(struct tally *tally, enum tally_kind kind, struct mono_time now);
/* How many have no line and are to be said together now, 0: none (yet). They count as said. */
int64_t tally_take(struct tally *tally, enum tally_kind kind, struct mono_time now,
                   bool is_stopping);
/* When the next count is due; MONO_NEVER: nothing waits. */
struct mono_time tally_deadline(const struct tally *tally);

/* SPDX-License-Identifier: Apache-2.0 */
/* instant.h: two kinds of time that must never be mixed up.
 *
 * mono_time is for waiting: it never jumps and means nothing to anybody else. wall_time is for
 * stamping: microseconds since 1970-01-01T00:00:00Z, may be wrong by years, decides no order of its
 * own (I9). Both are structs so that the compiler keeps them apart. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct mono_time {
    int64_t us;
};

struct wall_time {
    int64_t us;
};

#define MILLISECONDS(n) ((int64_t)(n)*1000)
#define SECONDS(n)      ((int64_t)(n)*1000 * 1000)
#define MINUTES(n)      ((int64_t)(n)*60 * 1000 * 1000)
#define HOURS(n)        ((int64_t)(n)*3600 * 1000 * 1000)

static const struct mono_time MONO_NEVER = {INT64_MAX};

/* Saturates instead of overflowing. */
struct mono_time mono_after(struct mono_time now, int64_t delay_us);
bool mono_is_due(struct mono_time deadline, struct mono_time now);
struct mono_time mono_earlier(struct mono_time a, struct mono_time b);

enum { WALL_TEXT_SIZE = 28 }; /* "2026-11-23T15:54:00.123456Z" and NUL */

/* ISO 8601 in UTC, proleptic Gregorian; years outside 0..9999 are shown as the nearest of them. */
void wall_time_format(struct wall_time time, char ret_text[WALL_TEXT_SIZE]);
/* Reads "YYYY-MM-DDTHH:MM:SS[.ffffff]Z"; false if it is anything else. */
bool wall_time_parse(const char *text, struct wall_time *ret_time);

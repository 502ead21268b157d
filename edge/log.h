/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: one line per event, for people and for machines.
 *
 * An event has a stable name in lower case ("session_opened") and fields key=value. Text form:
 *     2026-11-23T15:54:00.123456Z info event=session_opened conn=7 peer="a b"
 * JSON form: one object a line with the members time, level, event and the fields. Under journald
 * ($JOURNAL_STREAM names our descriptor; systemd.exec(5)) lines start with <3> to <7>
 * (sd-daemon(3)), and the text form leaves time and level to the journal.
 *
 * A text is put in quotes and escaped as in JSON unless it is plain; control characters, broken
 * UTF-8 and line ends of whoever sent it can't forge a line. Texts are cut at LOG_TEXT_SIZE_MAX and
 * end in "..." then. Secrets, customers' texts and signatures don't belong here at info or above.
 *
 * Of one event name at most `burst_count` lines are written in `window_us`; the next window reports
 * how many were left out as event=suppressed. Debug lines aren't limited: who switches them on
 * wants them all. A log may be used by all threads; one line is one write(2). What can't be written
 * is lost: a full disk under the log must not stop the service. */
#pragma once

#include "base/instant.h"
#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>

enum { LOG_TEXT_SIZE_MAX = 512 };  /* bytes of one field's text */
enum { LOG_LINE_SIZE_MAX = 8192 }; /* bytes; fields that don't fit are left out */

/* In the order of severity; the numbers are those of syslog(3) and journald. */
enum log_level {
    LOG_LEVEL_ERROR = 3, /* something is broken and a person must act */
    LOG_LEVEL_WARNING,   /* works, and won't for long */
    LOG_LEVEL_NOTICE,    /* start, stop, reload: few a day */
    LOG_LEVEL_INFO,      /* what happens, without customers' data */
    LOG_LEVEL_DEBUG,     /* traces */
};

enum log_kind {
    LOG_KIND_TEXT,
    LOG_KIND_NUMBER,
    LOG_KIND_BOOLEAN,
};

struct log_field {
    const char *key; /* lower case with _, of ours: not escaped */
    enum log_kind kind;
    const char *text; /* NULL: the field is left out */
    int64_t number;
};

struct log_field log_text(const char *key, const char *text);
struct log_field log_number(const char *key, int64_t number);
struct log_field log_boolean(const char *key, bool value);

/* The last two arguments of log_event:
 *     log_event(log, LOG_LEVEL_INFO, "session_opened", LOG_FIELDS(log_number("conn", 7)));
 *     log_event(log, LOG_LEVEL_NOTICE, "stopped", LOG_NO_FIELDS); */
#define LOG_FIELDS(...)                                                                            \
    (const struct log_field[]){__VA_ARGS__},                                                       \
        sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)
#define LOG_NO_FIELDS NULL, 0

struct log_options {
    int descriptor;       /* borrowed; 2 for stderr */
    enum log_level level; /* 0: info */
    bool is_json;
    bool has_prefix;   /* <3>..<7>; log_is_journal tells */
    int burst_count;   /* 0: 20 lines */
    int64_t window_us; /* 0: 10 seconds */
    /* NULL: the clocks of this machine. Tests bring their own. */
    struct mono_time (*mono_now)(void *context);
    struct wall_time (*wall_now)(void *context);
    void *context;
};

/* True if `descriptor` is the stream that journald reads. Reads the environment. */
bool log_is_journal(int descriptor);

struct log;

/* NULL: no memory. */
MUST_CHECK struct log *log_create(const struct log_options *options);
/* Reports what is still suppressed. No other thread may use the log any more. */
void log_destroy(struct log *log);

void log_set_level(struct log *log, enum log_level level); /* SIGUSR2: debug on and off */
/* For costly fields only; log_event asks by itself. */
bool log_shows(struct log *log, enum log_level level);

void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t field_count);

/* event, a failure's text and its result: what a room reported, said once. */
void log_problem(struct log *log, enum log_level level, const char *event, enum result result,
                 const struct problem *problem);

/* A trace line as a debug event, with the shape that struct trace wants: context is the log. */
void log_trace(void *context, const char *line);

/* "error", "warning", "notice", "info", "debug". */
const char *log_level_name(enum log_level level);
/* Returns false unless `name` is one of them. */
MUST_CHECK bool log_level_parse(const char *name, enum log_level *ret_level);

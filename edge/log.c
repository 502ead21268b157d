/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "edge/log.h"

#include "base/bytes.h"
#include "base/invariant.h"
#include "edge/clock.h"
#include "edge/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BURST_DEFAULT = 20, NAME_COUNT_MAX = 64, NAME_SIZE = 48 };

/* How often one event was written in its window, and how often it wasn't. */
struct allowance {
    char event[NAME_SIZE]; /* empty: free */
    struct mono_time window_end;
    int written_count;
    int64_t suppressed_count;
};

struct log {
    struct log_options options;
    pthread_mutex_t mutex; /* over everything below, and over options.level */
    struct allowance allowances[NAME_COUNT_MAX];
    struct buffer line;
};

static const char *const LEVEL_NAMES[] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
    [LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){.key = key, .kind = LOG_KIND_TEXT, .text = text};
}

struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .kind = LOG_KIND_NUMBER, .number = number};
}

struct log_field log_boolean(const char *key, bool value)
{
    return (struct log_field){.key = key, .kind = LOG_KIND_BOOLEAN, .number = value ? 1 : 0};
}

const char *log_level_name(enum log_level level)
{
    invariant(level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_DEBUG);
    return LEVEL_NAMES[level];
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (enum log_level level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        if (strcmp(LEVEL_NAMES[level], name) == 0) {
            *ret_level = level;
            return true;
        }
    }
    return false;
}

bool log_is_journal(int descriptor)
{
    const char *stream = getenv("JOURNAL_STREAM"); /* "DEVICE:INODE" */
    char ours[64];
    struct stat facts;

    if (stream == NULL || fstat(descriptor, &facts) != 0)
        return false;
    if (snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)facts.st_dev, (uintmax_t)facts.st_ino) <
        0)
        return false;
    return strcmp(stream, ours) == 0;
}

static struct mono_time machine_mono(void *context)
{
    (void)context;
    return clock_mono_now();
}

static struct wall_time machine_wall(void *context)
{
    (void)context;
    return clock_wall_now();
}

struct log *log_create(const struct log_options *options)
{
    struct log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return NULL;
    log->options = *options;
    if (log->options.level == 0)
        log->options.level = LOG_LEVEL_INFO;
    if (log->options.burst_count == 0)
        log->options.burst_count = BURST_DEFAULT;
    if (log->options.window_us == 0)
        log->options.window_us = SECONDS(10);
    if (log->options.mono_now == NULL)
        log->options.mono_now = machine_mono;
    if (log->options.wall_now == NULL)
        log->options.wall_now = machine_wall;
    if (pthread_mutex_init(&log->mutex, NULL) != 0) {
        free(log);
        return NULL;
    }
    buffer_init(&log->line, LOG_LINE_SIZE_MAX);
    return log;
}

static void lock(struct log *log)
{
    int failed = pthread_mutex_lock(&log->mutex);

    invariant(failed == 0);
}

static void unlock(struct log *log)
{
    int failed = pthread_mutex_unlock(&log->mutex);

    invariant(failed == 0);
}

void log_set_level(struct log *log, enum log_level level)
{
    lock(log);
    log->options.level = level;
    unlock(log);
}

bool log_shows(struct log *log, enum log_level level)
{
    bool shows = false;

    lock(log);
    shows = level <= log->options.level;
    unlock(log);
    return shows;
}

/* Bare words need no quotes: what people paste into grep. */
static bool is_plain(const char *text)
{
    size_t size = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                               "0123456789-_.:/@+,%[]");

    return size > 0 && text[size] == '\0';
}

static enum result append(struct buffer *line, const char *text)
{
    struct problem ignored = {0};

    return buffer_append(line, text, strlen(text), &ignored);
}

/* A text value, cut between code points. */
static enum result append_text(struct buffer *line, const char *text, bool is_bare)
{
    struct problem ignored = {0};
    char shortened[LOG_TEXT_SIZE_MAX + 4];
    size_t size = strnlen(text, LOG_TEXT_SIZE_MAX + 1);

    if (size > LOG_TEXT_SIZE_MAX) {
        size = LOG_TEXT_SIZE_MAX;
        while (size > 0 && ((uint8_t)text[size] & 0xc0u) == 0x80u)
            size--;
        memcpy(shortened, text, size);
        memcpy(shortened + size, "...", 4);
        text = shortened;
    }
    if (is_bare && is_plain(text))
        return append(line, text);
    return terminal_append_quoted(line, bytes_of_text(text), &ignored);
}

/* One field, whole or not at all: a value cut off at the end of the line would read as a fact. */
static void append_field(struct log *log, const struct log_field *field)
{
    struct buffer *line = &log->line;
    size_t size_before = line->size;
    bool is_json = log->options.is_json;
    char number[24];
    enum result result = RESULT_OK;

    if (field->kind == LOG_KIND_TEXT && field->text == NULL)
        return;
    result = append(line, is_json ? ",\"" : " ");
    if (result == RESULT_OK)
        result = append(line, field->key);
    if (result == RESULT_OK)
        result = append(line, is_json ? "\":" : "=");
    if (result == RESULT_OK && field->kind == LOG_KIND_TEXT)
        result = append_text(line, field->text, !is_json);
    if (result == RESULT_OK && field->kind == LOG_KIND_BOOLEAN)
        result = append(line, field->number != 0 ? "true" : "false");
    if (result == RESULT_OK && field->kind == LOG_KIND_NUMBER) {
        int size = snprintf(number, sizeof number, "%" PRId64, field->number);

        invariant(size > 0 && (size_t)size < sizeof number);
        result = append(line, number);
    }
    if (result != RESULT_OK || line->size > LOG_LINE_SIZE_MAX - 2) /* room for the end: }\n */
        line->size = size_before;
}

/* Everything up to the event's name; it always fits. */
static enum result append_head(struct log *log, enum log_level level, const char *event)
{
    const struct log_options *options = &log->options;
    char time[WALL_TEXT_SIZE];
    char head[256];
    char prefix[8] = "";
    int size = 0;

    wall_time_format(options->wall_now(options->context), time);
    if (options->has_prefix && snprintf(prefix, sizeof prefix, "<%d>", (int)level) < 0)
        return RESULT_EXHAUSTED;
    if (options->is_json)
        size =
            snprintf(head, sizeof head, "%s{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%.100s\"",
                     prefix, time, log_level_name(level), event);
    else if (options->has_prefix)
        size = snprintf(head, sizeof head, "%sevent=%.100s", prefix, event);
    else
        size =
            snprintf(head, sizeof head, "%s %s event=%.100s", time, log_level_name(level), event);
    invariant(size > 0 && (size_t)size < sizeof head);
    return append(&log->line, head);
}

static void write_line(struct log *log, enum log_level level, const char *event,
                       const struct log_field *fields, size_t field_count)
{
    const char *ending = log->options.is_json ? "}\n" : "\n";
    size_t done = 0;

    buffer_reset(&log->line);
    if (append_head(log, level, event) != RESULT_OK)
        return;
    for (size_t i = 0; i < field_count; i++)
        append_field(log, &fields[i]);
    if (append(&log->line, ending) != RESULT_OK)
        return;
    while (done < log->line.size) {
        ssize_t put = write(log->options.descriptor, log->line.data + done, log->line.size - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return;
        done += (size_t)put;
    }
}

static void report_suppressed(struct log *log, struct allowance *allowance)
{
    int64_t count = allowance->suppressed_count;

    allowance->suppressed_count = 0;
    if (count > 0)
        write_line(log, LOG_LEVEL_WARNING, "suppressed",
                   LOG_FIELDS(log_text("of", allowance->event), log_number("count", count)));
}

/* Windows that ended give their names back and say what they kept quiet. */
static void end_windows(struct log *log, struct mono_time now)
{
    for (size_t i = 0; i < NAME_COUNT_MAX; i++) {
        struct allowance *allowance = &log->allowances[i];

        if (allowance->event[0] == '\0' || !mono_is_due(allowance->window_end, now))
            continue;
        report_suppressed(log, allowance);
        allowance->event[0] = '\0';
    }
}

/* The running window of this event, or a new one; the oldest makes room when all are in use. */
static struct allowance *allowance_of(struct log *log, const char *event, struct mono_time now)
{
    struct allowance *chosen = &log->allowances[0];

    for (size_t i = 0; i < NAME_COUNT_MAX; i++) {
        struct allowance *allowance = &log->allowances[i];

        if (strncmp(allowance->event, event, NAME_SIZE - 1) == 0)
            return allowance;
        if (chosen->event[0] == '\0')
            continue;
        if (allowance->event[0] == '\0' || allowance->window_end.us < chosen->window_end.us)
            chosen = allowance;
    }
    report_suppressed(log, chosen);
    *chosen = (struct allowance){.window_end = mono_after(now, log->options.window_us)};
    memcpy(chosen->event, event, strnlen(event, NAME_SIZE - 1));
    return chosen;
}

static bool is_allowed(struct log *log, const char *event)
{
    struct mono_time now = log->options.mono_now(log->options.context);
    struct allowance *allowance = NULL;

    end_windows(log, now);
    allowance = allowance_of(log, event, now);
    if (allowance->written_count >= log->options.burst_count) {
        allowance->suppressed_count++;
        return false;
    }
    allowance->written_count++;
    return true;
}

void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t field_count)
{
    invariant(event[0] != '\0');
    lock(log);
    if (level <= log->options.level && (level == LOG_LEVEL_DEBUG || is_allowed(log, event)))
        write_line(log, level, event, fields, field_count);
    unlock(log);
}

void log_problem(struct log *log, enum log_level level, const char *event, enum result result,
                 const struct problem *problem)
{
    log_event(
        log, level, event,
        LOG_FIELDS(log_text("result", result_name(result)), log_text("problem", problem->text)));
}

void log_trace(void *context, const char *line)
{
    log_event(context, LOG_LEVEL_DEBUG, "trace", LOG_FIELDS(log_text("line", line)));
}

void log_destroy(struct log *log)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < NAME_COUNT_MAX; i++)
        report_suppressed(log, &log->allowances[i]);
    buffer_done(&log->line);
    (void)pthread_mutex_destroy(&log->mutex);
    free(log);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/watch.h"

#include "edge/clock.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    EVENTS_SIZE = 16 * 1024,
    FOLDER_RETRY_US = 1000 * 1000,
};

static const uint32_t EVENT_MASK = IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |
                                   IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

struct watch {
    struct loop *loop;
    char *folder;
    char *name; /* of the file in it */
    int descriptor;
    int folder_watch; /* of inotify_add_watch; -1: the folder is not there */
    ev_io watcher;
    int64_t interval_us;
    struct mono_time told; /* when `changed` was last called */
    bool pending;
    struct loop_timer *tell_timer;
    struct loop_timer *folder_timer;
    void (*changed)(void *context);
    void *context;
};

static void watch_tell(void *context)
{
    struct watch *watch = context;

    if (!watch->pending)
        return;
    watch->pending = false;
    watch->told = clock_mono_now();
    watch->changed(watch->context);
}

static void watch_note(struct watch *watch)
{
    struct mono_time due = mono_after(watch->told, watch->interval_us);

    if (watch->pending)
        return; /* the timer is set */
    watch->pending = true;
    if (mono_is_due(due, clock_mono_now()))
        watch_tell(watch);
    else
        loop_timer_set(watch->tell_timer, due);
}

/* The file may have changed while its folder was not watched, so finding the folder is a change. */
static void watch_find_folder(void *context)
{
    struct watch *watch = context;

    watch->folder_watch = inotify_add_watch(watch->descriptor, watch->folder, EVENT_MASK);
    if (watch->folder_watch >= 0)
        watch_note(watch);
    else
        loop_timer_set(watch->folder_timer, mono_after(clock_mono_now(), FOLDER_RETRY_US));
}

static bool watch_is_ours(const struct watch *watch, const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true; /* some events are lost: one may have been ours */
    return event->wd == watch->folder_watch && event->len > 0 &&
           strcmp(event->name, watch->name) == 0;
}

static void watch_lose_folder(struct watch *watch)
{
    if (watch->folder_watch < 0)
        return;
    (void)inotify_rm_watch(watch->descriptor, watch->folder_watch); /* fails if deleted: fine */
    watch->folder_watch = -1;
    loop_timer_set(watch->folder_timer, clock_mono_now());
}

/* Reads all there is, then notes at most one change. */
static void watch_readable(struct ev_loop *ev, ev_io *watcher, int events)
{
    alignas(struct inotify_event) char buffer[EVENTS_SIZE];
    struct watch *watch = watcher->data;
    bool changed = false;
    ssize_t size;

    (void)ev;
    (void)events;
    while ((size = read(watch->descriptor, buffer, sizeof(buffer))) > 0) {
        for (size_t at = 0; at < (size_t)size;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)&buffer[at];

            if (watch_is_ours(watch, event))
                changed = true;
            if (event->wd == watch->folder_watch &&
                (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) {
                changed = true;
                watch_lose_folder(watch);
            }
            at += sizeof(*event) + event->len;
        }
    }
    if (changed)
        watch_note(watch);
}

/* "folder/name", "/name" or "name" into its two parts. */
static enum result watch_split(struct watch *watch, const char *path, struct problem *problem)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    if (*name == '\0' || strlen(name) > NAME_MAX || strlen(path) >= PATH_MAX)
        return problem_set(problem, RESULT_REFUSED, "%s is not the path of a file", path);
    watch->name = strdup(name);
    if (slash == NULL)
        watch->folder = strdup(".");
    else
        watch->folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (watch->name == NULL || watch->folder == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a watch");
    return RESULT_OK;
}

static enum result watch_open(struct watch *watch, const char *path, struct problem *problem)
{
    enum result result = watch_split(watch, path, problem);

    if (result == RESULT_OK)
        result = loop_timer_create(watch->loop, watch_tell, watch, &watch->tell_timer, problem);
    if (result == RESULT_OK)
        result =
            loop_timer_create(watch->loop, watch_find_folder, watch, &watch->folder_timer, problem);
    if (result != RESULT_OK)
        return result;
    watch->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->descriptor < 0)
        return problem_set(problem, RESULT_EXHAUSTED, "watching %s: %s", path, strerror(errno));
    watch->folder_watch = inotify_add_watch(watch->descriptor, watch->folder, EVENT_MASK);
    if (watch->folder_watch < 0 && errno == ENOSPC)
        return problem_set(problem, RESULT_EXHAUSTED,
                           "watching %s: fs.inotify.max_user_watches is reached", path);
    if (watch->folder_watch < 0)
        loop_timer_set(watch->folder_timer, mono_after(clock_mono_now(), FOLDER_RETRY_US));
    ev_io_init(&watch->watcher, watch_readable, watch->descriptor, EV_READ);
    watch->watcher.data = watch;
    ev_io_start(loop_ev(watch->loop), &watch->watcher);
    return RESULT_OK;
}

enum result watch_create(struct loop *loop, const char *path, int64_t interval_us,
                         void (*changed)(void *context), void *context, struct watch **ret_watch,
                         struct problem *problem)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    enum result result;

    if (watch == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a watch");
    watch->loop = loop;
    watch->descriptor = -1;
    watch->interval_us = interval_us;
    watch->told = (struct mono_time){INT64_MIN / 2};
    watch->changed = changed;
    watch->context = context;
    result = watch_open(watch, path, problem);
    if (result != RESULT_OK) {
        watch_destroy(watch);
        return result;
    }
    *ret_watch = watch;
    return RESULT_OK;
}

void watch_destroy(struct watch *watch)
{
    if (watch == NULL)
        return;
    if (watch->watcher.data != NULL)
        ev_io_stop(loop_ev(watch->loop), &watch->watcher);
    if (watch->descriptor >= 0)
        (void)close(watch->descriptor);
    loop_timer_destroy(watch->tell_timer);
    loop_timer_destroy(watch->folder_timer);
    free(watch->folder);
    free(watch->name);
    free(watch);
}

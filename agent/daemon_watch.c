/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/state_file.h"
#include "agent/daemon_inside.h"
#include "agent/open.h"
#include "edge/clock.h"
#include "edge/files.h"

#include <malloc.h>
#include <stdlib.h>

#define REST_AFTER_US  SECONDS(2)
#define LOOK_SOON_US   MILLISECONDS(1)
#define LOOK_EVERY_US  SECONDS(1)  /* for commits that no watch sees */
#define LOOK_SELDOM_US SECONDS(10) /* the same beside a watch: a battery lasts longer asleep */
#define WATCH_EVERY_US MILLISECONDS(20)

/* Somebody may have committed: only another connection's commit moves the counter. */
static void look(void *context)
{
    struct daemon *daemon = context;
    struct problem problem = {0};
    int64_t counter = 0;

    if (daemon->replica == NULL ||
        replica_change_counter(daemon->replica, &counter, &problem) != RESULT_OK)
        return;
    if (counter == daemon->change_counter)
        return;
    daemon->change_counter = counter;
    daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_LOCAL_CHANGE});
}

/* The log is written before the commit counts: with a sync to the disk some time lies in between.
 * So this looks again soon, and then ever less often. */
static void on_log_written(void *context)
{
    struct daemon *daemon = context;

    daemon->look_delay_us = LOOK_SOON_US;
    look(daemon);
    loop_timer_set(daemon->look_timer, mono_after(clock_mono_now(), daemon->look_delay_us));
}

/* A device's memory is for the technician's other programs. */
static void rest(struct daemon *daemon)
{
    struct mono_time now = clock_mono_now();

    if (daemon->idle_since.us == MONO_NEVER.us) {
        daemon->is_resting = false;
        return;
    }
    if (daemon->is_resting || !mono_is_due(mono_after(daemon->idle_since, REST_AFTER_US), now))
        return;
    daemon->is_resting = true;
    daemon_keep_reserve(daemon);
    replica_rest(daemon->replica);
    (void)malloc_trim(0);
}

void daemon_on_look_timer(void *context)
{
    struct daemon *daemon = context;
    int64_t most_us = daemon->log_watch != NULL ? LOOK_SELDOM_US : LOOK_EVERY_US;

    look(daemon);
    rest(daemon);
    daemon_look_at_age(daemon);
    daemon->look_delay_us += daemon->look_delay_us / 2;
    if (daemon->look_delay_us > most_us)
        daemon->look_delay_us = most_us;
    if (daemon->idle_since.us != MONO_NEVER.us &&
        (daemon->request != 0 || daemon->options->mode != DAEMON_RUN))
        daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
    if (!daemon->is_ending)
        loop_timer_set(daemon->look_timer, mono_after(clock_mono_now(), daemon->look_delay_us));
}

static int64_t read_request(const struct daemon *daemon)
{
    char path[FILES_PATH_SIZE];
    struct problem problem = {0};
    struct buffer text;
    int64_t request = 0;

    buffer_init(&text, 64);
    if (files_join(daemon->options->data_folder, REQUEST_FILE_NAME, path, &problem) == RESULT_OK &&
        files_exists(path) && files_read(path, &text, &problem) == RESULT_OK &&
        buffer_append(&text, "", 1, &problem) == RESULT_OK)
        request = strtoll((const char *)text.data, NULL, 10);
    buffer_done(&text);
    return request;
}

static void on_request(void *context)
{
    struct daemon *daemon = context;
    int64_t request = read_request(daemon);

    if (request == 0 || request == daemon->request_last)
        return;
    daemon->request_last = request;
    look(daemon);
    daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
    daemon->request = request;
    daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
}

/* Without inotify the look of every second is enough. */
static void make_watches(struct daemon *daemon)
{
    char path[FILES_PATH_SIZE];
    struct problem problem = {0};
    const char *folder = daemon->options->data_folder;

    if (daemon->options->mode != DAEMON_RUN)
        return;
    if (open_log_path(folder, daemon->replica, path, &problem) != RESULT_OK ||
        watch_create(daemon->loop, path, WATCH_EVERY_US, on_log_written, daemon, &daemon->log_watch,
                     &problem) != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "no_watch", RESULT_REFUSED, &problem);
    if (files_join(folder, REQUEST_FILE_NAME, path, &problem) != RESULT_OK ||
        watch_create(daemon->loop, path, WATCH_EVERY_US, on_request, daemon, &daemon->request_watch,
                     &problem) != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "no_watch", RESULT_REFUSED, &problem);
}

void daemon_begin_watching(struct daemon *daemon)
{
    make_watches(daemon);
    daemon->look_delay_us = LOOK_EVERY_US;
    loop_timer_set(daemon->look_timer, mono_after(clock_mono_now(), daemon->look_delay_us));
    daemon->request_last = read_request(daemon);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon_inside.h"
#include "edge/clock.h"

#include <stdio.h>
#include <string.h>

#define STATE_DELAY_US    SECONDS(1)
#define FILES_PATIENCE_US SECONDS(10) /* a single sync waits so long for files that don't move */

static void write_state(struct daemon *daemon)
{
    struct problem problem = {0};

    if (daemon->options->mode != DAEMON_RUN)
        return; /* a single sync answers by its exit */
    daemon->is_state_due = false;
    daemon->state.written_at = clock_wall_now().us;
    if (state_file_write(daemon->options->data_folder, &daemon->state, &problem) != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "state_not_written", RESULT_REFUSED,
                    &problem);
}

void daemon_on_state_timer(void *context)
{
    struct daemon *daemon = context;

    if (daemon->is_state_due)
        write_state(daemon);
}

/* Files that wait to be sent count for a person who asks whether all is delivered. */
bool daemon_is_delivered(struct daemon *daemon, const struct agent_status *status)
{
    struct replica_counts counts = {0};
    struct problem problem = {0};

    if (!status->is_idle)
        return false;
    if (replica_counts(daemon->replica, &counts, &problem) != RESULT_OK)
        return false;
    if (counts.blobs_to_send == 0)
        return true;
    return mono_is_due(mono_after(daemon->idle_since, FILES_PATIENCE_US), clock_mono_now());
}

static int64_t wall_of(const struct daemon *daemon, struct mono_time due)
{
    (void)daemon;
    if (due.us == MONO_NEVER.us)
        return 0;
    return clock_wall_now().us + (due.us - clock_mono_now().us);
}

/* What changed is written at once if somebody may wait for it, else within a second. */
void daemon_note_state(struct daemon *daemon, const struct agent_status *status)
{
    struct state_file *state = &daemon->state;
    const char *name = agent_state_name(status->state);
    bool is_urgent = strcmp(state->state, name) != 0;

    if (daemon->request != 0 && daemon_is_delivered(daemon, status)) {
        state->answered = daemon->request;
        daemon->request = 0;
        is_urgent = true;
    } else if (daemon->request != 0 && status->state == AGENT_OFFLINE) {
        state->failed = daemon->request;
        daemon->request = 0;
        is_urgent = true;
    }
    snprintf(state->state, sizeof state->state, "%s", name);
    state->connected_at = status->connected_at.us;
    state->unreachable_since = status->unreachable_since.us;
    if (is_urgent || state->next_try_at == 0)
        state->next_try_at = wall_of(daemon, status->next_try);
    is_urgent |= state->is_pending != status->is_pending;
    state->is_pending = status->is_pending;
    snprintf(state->fingerprint, sizeof state->fingerprint, "%s", status->fingerprint);
    daemon->is_state_due |= state->is_idle != status->is_idle ||
                            state->bytes_sent != status->bytes_sent ||
                            state->bytes_received != status->bytes_received ||
                            state->is_disk_full != status->is_disk_full;
    state->bytes_sent = status->bytes_sent;
    state->bytes_received = status->bytes_received;
    state->repairs = status->repairs;
    state->is_idle = status->is_idle;
    if (state->is_disk_full && !status->is_disk_full)
        state->alarm[0] = '\0'; /* it told of the disk */
    state->is_disk_full = status->is_disk_full;
    snprintf(state->last_failure, sizeof state->last_failure, "%s", status->last_failure);
    if (is_urgent)
        write_state(daemon);
    else if (daemon->is_state_due)
        loop_timer_set(daemon->state_timer, mono_after(clock_mono_now(), STATE_DELAY_US));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon_inside.h"
#include "edge/clock.h"
#include "edge/reserve.h"

#include <stdio.h>

#define STOP_LIMIT_US SECONDS(1) /* of a network that takes no more bytes */

static void end(struct daemon *daemon)
{
    daemon->is_ending = true;
    loop_stop(daemon->loop);
}

void daemon_end(struct daemon *daemon, enum exit_code code, const char *reason)
{
    if (daemon->is_ending)
        return;
    daemon->outcome->exit_code = code;
    snprintf(daemon->outcome->reason, sizeof daemon->outcome->reason, "%s", reason);
    end(daemon);
}

static void on_alarm(struct daemon *daemon, const char *text)
{
    snprintf(daemon->state.alarm, sizeof daemon->state.alarm, "%s", text);
    daemon->is_state_due = true;
    log_event(daemon->options->log, LOG_LEVEL_WARNING, "alarm", LOG_FIELDS(log_text("what", text)));
}

static void on_revoked(struct daemon *daemon, const struct agent_effect *effect)
{
    log_event(daemon->options->log, LOG_LEVEL_ERROR, "revoked",
              LOG_FIELDS(log_text("why", effect->text), log_boolean("wipe", effect->wipe)));
    daemon->outcome->is_revoked = true;
    daemon->is_wiping = effect->wipe;
    daemon_end(daemon, EXIT_CODE_AUTHENTICATION, effect->text);
}

/* Sends and closes first; what makes a new step comes last, since it ends these effects. */
static void carry_out(struct daemon *daemon, const struct agent_effects *effects)
{
    bool is_dialling = false;
    bool is_rotating = false;

    for (size_t i = 0; i < effects->count; i++) {
        const struct agent_effect *effect = &effects->effects[i];

        switch (effect->kind) {
        case AGENT_EFFECT_CONNECT:
            is_dialling = true;
            break;
        case AGENT_EFFECT_SEND:
            daemon_send(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_CLOSE:
            daemon_hang_up(daemon);
            break;
        case AGENT_EFFECT_ENROLLED:
            daemon_on_enrolled(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_RENEW:
            daemon_on_renew(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_NEXT_PSK:
            daemon_on_next_psk(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_KEYS_ROTATED:
            daemon_on_keys_rotated(daemon);
            break;
        case AGENT_EFFECT_KEYS_REVERTED:
            daemon_on_keys_reverted(daemon);
            break;
        case AGENT_EFFECT_ROTATION_ASKED:
            is_rotating = true;
            break;
        case AGENT_EFFECT_REVOKED:
            on_revoked(daemon, effect);
            break;
        case AGENT_EFFECT_PUBLISHED:
            break; /* local pages look by PRAGMA data_version */
        case AGENT_EFFECT_SCHEMA:
            daemon->is_new_schema = true;
            break;
        case AGENT_EFFECT_ALARM:
            on_alarm(daemon, effect->text);
            break;
        }
    }
    if (daemon->is_new_schema)
        daemon_end(daemon, EXIT_CODE_OK, "");
    if (is_dialling && !daemon->is_ending)
        daemon_dial(daemon);
    else if (is_rotating && !daemon->is_ending)
        daemon_rotate_keys(daemon);
}

/* A full disk: the reserve makes room for what waits to be sent. */
static void give_reserve(struct daemon *daemon)
{
    struct problem problem = {0};
    bool is_given = false;
    enum result result;

    if (!daemon->has_reserve)
        return;
    daemon->has_reserve = false;
    result = reserve_give(daemon->options->data_folder, &is_given, &problem);
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "reserve", result, &problem);
    else if (is_given)
        log_event(daemon->options->log, LOG_LEVEL_WARNING, "disk_full_reserve_given",
                  LOG_NO_FIELDS);
}

/* In quiet times: once there is room again, it is kept anew. */
void daemon_keep_reserve(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result;

    if (daemon->options->mode != DAEMON_RUN)
        return;
    result = reserve_keep(daemon->options->data_folder, RESERVE_DEVICE_SIZE, &problem);
    daemon->has_reserve = true; /* or nothing will be found to give */
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "reserve", result, &problem);
}

void daemon_stop(struct daemon *daemon)
{
    daemon->is_stopping = true;
    daemon_step(daemon, (struct agent_event){.kind = AGENT_EVENT_STOP});
    if (websocket_connection_count(daemon->websocket) == 0)
        daemon_end(daemon, EXIT_CODE_OK, "");
    else
        loop_timer_set(daemon->stop_timer, mono_after(clock_mono_now(), STOP_LIMIT_US));
}

/* A single sync ends when all is delivered, or with the first failure. */
static void judge_single(struct daemon *daemon, const struct agent_status *status)
{
    if (daemon->options->mode == DAEMON_RUN || daemon->is_ending || daemon->is_stopping)
        return;
    if (daemon_is_delivered(daemon, status)) {
        daemon->outcome->is_delivered = true;
        daemon_stop(daemon);
    } else if (status->state == AGENT_OFFLINE && status->last_failure[0] != '\0') {
        bool is_refused = daemon->options->mode == DAEMON_ENROL && !daemon->outcome->is_enrolled;

        daemon->outcome->is_pending = status->is_pending;
        snprintf(daemon->outcome->fingerprint, sizeof daemon->outcome->fingerprint, "%s",
                 status->fingerprint);
        daemon_end(daemon,
                   is_refused           ? EXIT_CODE_AUTHENTICATION
                   : status->is_pending ? EXIT_CODE_TEMPORARY
                                        : EXIT_CODE_NETWORK,
                   daemon->state.alarm[0] != '\0' ? daemon->state.alarm : status->last_failure);
    }
}

void daemon_step(struct daemon *daemon, struct agent_event event)
{
    struct agent_effects effects = {0};
    struct agent_status status;
    struct problem problem = {0};
    enum result result;

    if (daemon->agent == NULL || daemon->is_ending)
        return;
    event.mono = clock_mono_now();
    event.wall = clock_wall_now();
    result = agent_step(daemon->agent, &event, &effects, &problem);
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_ERROR, "replica_in_trouble", result, &problem);
    carry_out(daemon, &effects);
    if (result == RESULT_STORAGE) {
        daemon->is_reopening = true;
        daemon_end(daemon, EXIT_CODE_DATABASE, problem.text);
    }
    if (daemon->is_ending)
        return;
    status = agent_status(daemon->agent);
    if (!status.is_idle)
        daemon->idle_since = MONO_NEVER;
    else if (daemon->idle_since.us == MONO_NEVER.us)
        daemon->idle_since = event.mono;
    if (status.is_disk_full)
        give_reserve(daemon);
    daemon_note_serial(daemon, status.key_serial);
    if (status.has_root)
        daemon_note_root(daemon, status.root_public_key);
    daemon_note_state(daemon, &status);
    daemon->outcome->bytes_sent = status.bytes_sent;
    daemon->outcome->bytes_received = status.bytes_received;
    judge_single(daemon, &status);
    if (!daemon->is_ending)
        loop_timer_set(daemon->deadline_timer, agent_deadline(daemon->agent));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* long because it is the one place where a device's core meets its files, socket and timers. */
#include "agent/daemon.h"

#include "agent/cli/blob_files.h"
#include "agent/cli/reserve.h"
#include "agent/cli/state_file.h"
#include "agent/open.h"
#include "agent/renewal.h"
#include "agent/wipe.h"
#include "base/invariant.h"
#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/files.h"
#include "edge/notify.h"
#include "edge/signals.h"
#include "edge/watch.h"
#include "edge/websocket.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUEUE_SIZE_MAX = 8 << 20, /* the core's send window and one large body */
    CLOSE_HANDSHAKE = 4401,   /* the server doesn't know the key or the code (PROTOCOL.md 1) */
    RENEWAL_TRIES = 3,
};

#define REST_AFTER_US     SECONDS(2)
#define LOOK_SOON_US      MILLISECONDS(1)
#define LOOK_EVERY_US     SECONDS(1) /* for commits that no watch sees */
#define WATCH_EVERY_US    MILLISECONDS(20)
#define STATE_DELAY_US    SECONDS(1)
#define STOP_LIMIT_US     SECONDS(1)  /* of a network that takes no more bytes */
#define FILES_PATIENCE_US SECONDS(10) /* a single sync waits so long for files that don't move */
#define REOPEN_EVERY_US   SECONDS(10)
#define KEY_AGE_S_MAX     (INT64_C(180) * 86400) /* then the device changes its keys */

struct daemon {
    const struct daemon_options *options;
    struct daemon_outcome *outcome;
    const struct renewal *renewal; /* its keys are NULL: none is under way */
    struct keys *keys;             /* of the renewal, or the options' */
    struct problem *problem;
    struct trace trace;
    struct loop *loop;
    struct websocket *websocket;
    struct loop_timer *deadline_timer; /* what the core waits for */
    struct loop_timer *look_timer;
    bool is_resting;
    bool has_reserve;      /* to be given up when the disk is full */
    int64_t look_delay_us; /* from one look to the next, without a write seen by the watch */
    struct loop_timer *state_timer;
    struct loop_timer *stop_timer;
    struct watch *log_watch;     /* replica.db-wal */
    struct watch *request_watch; /* sync-now */
    struct replica *replica;
    struct blob_store *blobs;
    struct agent *agent;
    uint64_t connection; /* 0: none */
    int64_t change_counter;
    int64_t request; /* number in the request file that waits for its answer; 0: none */
    int64_t request_last;
    struct mono_time idle_since; /* MONO_NEVER: not idle */
    struct mono_time started_at;
    struct mono_time age_due; /* when the age of the keys is looked at next */
    struct state_file state;
    bool is_state_due;
    bool is_stopping;
    bool is_ending;
    bool is_reopening;  /* the replica's file is in trouble: close it, open it, look */
    bool is_new_schema; /* the server has sent scripts: they run when the replica is opened */
    bool is_renewing;   /* other keys or none: everything begins anew */
    int rejected_count; /* times that the code of the renewal was turned away */
    bool is_wiping;
};

static void step(struct daemon *daemon, struct agent_event event);

static void end(struct daemon *daemon)
{
    daemon->is_ending = true;
    loop_stop(daemon->loop);
}

static void end_with(struct daemon *daemon, enum exit_code code, const char *reason)
{
    if (daemon->is_ending)
        return;
    daemon->outcome->exit_code = code;
    snprintf(daemon->outcome->reason, sizeof daemon->outcome->reason, "%s", reason);
    end(daemon);
}

/* ---- the state file ---- */

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

static void on_state_timer(void *context)
{
    struct daemon *daemon = context;

    if (daemon->is_state_due)
        write_state(daemon);
}

/* Files that wait to be sent count for a person who asks whether all is delivered. */
static bool is_delivered(struct daemon *daemon, const struct agent_status *status)
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
static void note_state(struct daemon *daemon, const struct agent_status *status)
{
    struct state_file *state = &daemon->state;
    const char *name = agent_state_name(status->state);
    bool is_urgent = strcmp(state->state, name) != 0;

    if (daemon->request != 0 && is_delivered(daemon, status)) {
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

/* ---- effects ---- */

static void on_enrolled(struct daemon *daemon, struct bytes psk)
{
    struct problem problem = {0};
    enum result result;

    memcpy(daemon->keys->file.psk, psk.data, IDENTITY_KEY_SIZE);
    result = daemon->renewal->keys != NULL
                 ? renewal_finish(daemon->options->data_folder, daemon->keys, &problem)
                 : keys_save(daemon->options->data_folder, daemon->keys, &problem);
    if (result != RESULT_OK) {
        end_with(daemon, EXIT_CODE_FAILURE, problem.text);
        return;
    }
    daemon->outcome->is_enrolled = true;
    if (daemon->renewal->keys != NULL)
        daemon->options->keys->file = daemon->keys->file;
    log_event(daemon->options->log, LOG_LEVEL_NOTICE, "enrolled", LOG_NO_FIELDS);
}

/* The code becomes a file, then everything begins anew with it. */
static void on_renew(struct daemon *daemon, struct bytes token)
{
    struct identity_code code = {.address = "renewal:1"};
    struct replica_identity who = {0};
    struct problem problem = {0};
    enum result result = replica_identity(daemon->replica, &who, &problem);

    memcpy(code.root_public_key, daemon->keys->file.root_public_key, sizeof code.root_public_key);
    memcpy(code.token_id, token.data, sizeof code.token_id);
    memcpy(code.secret, token.data + sizeof code.token_id, sizeof code.secret);
    if (result == RESULT_OK)
        result = renewal_begin(daemon->options->data_folder, daemon->keys, &code, who.replica_no,
                               &problem);
    identity_wipe(&code, sizeof code);
    daemon->is_renewing = result == RESULT_OK;
    end_with(daemon, result == RESULT_OK ? EXIT_CODE_OK : EXIT_CODE_FAILURE, problem.text);
}

/* The server doesn't know the code, perhaps because it was restored. Whoever still is what he was
 * asks with the old keys again; nothing else may follow from a word that isn't authenticated. */
static void on_rejected(struct daemon *daemon)
{
    int tries = daemon->options->mode == DAEMON_RUN ? RENEWAL_TRIES : 1;
    struct replica_identity who = {0};
    struct problem problem = {0};

    if (daemon->renewal->keys == NULL || keys_are_enrolled(daemon->keys) ||
        ++daemon->rejected_count < tries)
        return;
    if (replica_identity(daemon->replica, &who, &problem) != RESULT_OK ||
        who.replica_no != daemon->renewal->former_no)
        return;
    if (renewal_drop(daemon->options->data_folder, &problem) == RESULT_OK)
        daemon->is_renewing = daemon->options->mode == DAEMON_RUN;
    log_event(daemon->options->log, LOG_LEVEL_WARNING, "renewal_rejected", LOG_NO_FIELDS);
    end_with(daemon, EXIT_CODE_AUTHENTICATION, "the server doesn't know the code");
}

/* Before the next step uses what was stored: a pair that only memory knows would lock us out. */
static void check_stored(struct daemon *daemon, enum result result, const struct problem *problem,
                         const char *event)
{
    if (result != RESULT_OK)
        end_with(daemon, EXIT_CODE_FAILURE, problem->text);
    else
        log_event(daemon->options->log, LOG_LEVEL_NOTICE, event, LOG_NO_FIELDS);
}

static void on_next_psk(struct daemon *daemon, struct bytes psk)
{
    struct problem problem = {0};
    enum result result =
        keys_take_next_psk(daemon->options->data_folder, daemon->keys, psk, &problem);

    check_stored(daemon, result, &problem, "new_keys_stored");
}

static void on_keys_rotated(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result = keys_rotate(daemon->options->data_folder, daemon->keys,
                                     clock_wall_now().us / SECONDS(1), &problem);

    check_stored(daemon, result, &problem, "new_keys_in_use");
}

static void on_keys_reverted(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result = keys_revert(daemon->options->data_folder, daemon->keys, &problem);

    check_stored(daemon, result, &problem, "older_keys_in_use");
}

static void rotate(struct daemon *daemon)
{
    struct keys *keys = daemon->keys;
    struct problem problem = {0};
    uint8_t fresh[IDENTITY_KEY_SIZE];
    enum result result;

    entropy_fill(fresh, sizeof fresh);
    result = keys_begin_rotation(daemon->options->data_folder, keys, fresh, &problem);
    identity_wipe(fresh, sizeof fresh);
    if (result == RESULT_OK)
        step(daemon,
             (struct agent_event){.kind = AGENT_EVENT_ROTATE, .seed = keys->next.noise_private});
    else /* the old pair goes on; tried again a day later, or when the office asks again */
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "rotation_failed", result, &problem);
}

/* Keys of unknown age begin to age now. */
static void look_at_age(struct daemon *daemon)
{
    struct keys *keys = daemon->keys;
    int64_t now_s = clock_wall_now().us / SECONDS(1);
    struct problem problem = {0};

    if (!mono_is_due(daemon->age_due, clock_mono_now()) || !keys_are_enrolled(keys))
        return;
    daemon->age_due = mono_after(clock_mono_now(), HOURS(24));
    if (keys->made_at_s == 0) {
        keys->made_at_s = now_s;
        if (keys_save_server(daemon->options->data_folder, keys, &problem) != RESULT_OK)
            log_problem(daemon->options->log, LOG_LEVEL_WARNING, "age_not_stored", RESULT_REFUSED,
                        &problem);
    } else if (now_s - keys->made_at_s > KEY_AGE_S_MAX && !keys->has_next) {
        rotate(daemon);
    }
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
    end_with(daemon, EXIT_CODE_AUTHENTICATION, effect->text);
}

static void dial(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result =
        websocket_connect(daemon->websocket, daemon->keys->url, &daemon->connection, &problem);

    if (result == RESULT_OK)
        return;
    daemon->connection = 0;
    step(daemon, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = problem.text});
}

static void send_message(struct daemon *daemon, struct bytes message)
{
    struct problem problem = {0};
    uint64_t connection = daemon->connection;

    if (connection == 0)
        return;
    if (websocket_send(daemon->websocket, connection, message, &problem) != RESULT_OK)
        websocket_close(daemon->websocket, connection, WEBSOCKET_NORMAL, "", WEBSOCKET_DROP);
}

static void hang_up(struct daemon *daemon)
{
    if (daemon->connection != 0)
        websocket_close(daemon->websocket, daemon->connection, WEBSOCKET_NORMAL, "",
                        WEBSOCKET_FLUSH);
    daemon->connection = 0; /* its last events aren't ours any more */
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
            send_message(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_CLOSE:
            hang_up(daemon);
            break;
        case AGENT_EFFECT_ENROLLED:
            on_enrolled(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_RENEW:
            on_renew(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_NEXT_PSK:
            on_next_psk(daemon, effect->bytes);
            break;
        case AGENT_EFFECT_KEYS_ROTATED:
            on_keys_rotated(daemon);
            break;
        case AGENT_EFFECT_KEYS_REVERTED:
            on_keys_reverted(daemon);
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
        end_with(daemon, EXIT_CODE_OK, "");
    if (is_dialling && !daemon->is_ending)
        dial(daemon);
    else if (is_rotating && !daemon->is_ending)
        rotate(daemon);
}

/* ---- steps ---- */

static void note_serial(struct daemon *daemon, int64_t serial)
{
    struct keys *keys = daemon->keys;
    struct problem problem = {0};
    enum result result;

    if (serial <= keys->key_serial)
        return;
    keys->key_serial = serial;
    result = keys_save_server(daemon->options->data_folder, keys, &problem);
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "serial_not_stored", result, &problem);
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
static void keep_reserve(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result;

    if (daemon->options->mode != DAEMON_RUN)
        return;
    result = reserve_keep(daemon->options->data_folder, &problem);
    daemon->has_reserve = true; /* or nothing will be found to give */
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "reserve", result, &problem);
}

/* All pairs of this device trust the new root; the files are written anew. */
static void note_root(struct daemon *daemon, const uint8_t *root_public_key)
{
    struct keys *keys = daemon->keys;
    struct problem problem = {0};
    enum result result;

    if (memcmp(keys->file.root_public_key, root_public_key, IDENTITY_KEY_SIZE) == 0)
        return;
    memcpy(keys->file.root_public_key, root_public_key, IDENTITY_KEY_SIZE);
    memcpy(keys->next.root_public_key, root_public_key, IDENTITY_KEY_SIZE);
    memcpy(keys->previous.root_public_key, root_public_key, IDENTITY_KEY_SIZE);
    result = keys_save(daemon->options->data_folder, keys, &problem);
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_WARNING, "root_not_stored", result, &problem);
    else
        log_event(daemon->options->log, LOG_LEVEL_NOTICE, "new_root_key", LOG_NO_FIELDS);
}

/* Says BYE; what was said last goes out first. */
static void stop(struct daemon *daemon)
{
    daemon->is_stopping = true;
    step(daemon, (struct agent_event){.kind = AGENT_EVENT_STOP});
    if (websocket_connection_count(daemon->websocket) == 0)
        end_with(daemon, EXIT_CODE_OK, "");
    else
        loop_timer_set(daemon->stop_timer, mono_after(clock_mono_now(), STOP_LIMIT_US));
}

/* A single sync ends when all is delivered, or with the first failure. */
static void judge_single(struct daemon *daemon, const struct agent_status *status)
{
    if (daemon->options->mode == DAEMON_RUN || daemon->is_ending || daemon->is_stopping)
        return;
    if (is_delivered(daemon, status)) {
        daemon->outcome->is_delivered = true;
        stop(daemon);
    } else if (status->state == AGENT_OFFLINE && status->last_failure[0] != '\0') {
        bool is_refused = daemon->options->mode == DAEMON_ENROL && !daemon->outcome->is_enrolled;

        daemon->outcome->is_pending = status->is_pending;
        snprintf(daemon->outcome->fingerprint, sizeof daemon->outcome->fingerprint, "%s",
                 status->fingerprint);
        end_with(daemon,
                 is_refused           ? EXIT_CODE_AUTHENTICATION
                 : status->is_pending ? EXIT_CODE_TEMPORARY
                                      : EXIT_CODE_NETWORK,
                 daemon->state.alarm[0] != '\0' ? daemon->state.alarm : status->last_failure);
    }
}

static void step(struct daemon *daemon, struct agent_event event)
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
        end_with(daemon, EXIT_CODE_DATABASE, problem.text);
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
    note_serial(daemon, status.key_serial);
    if (status.has_root)
        note_root(daemon, status.root_public_key);
    note_state(daemon, &status);
    daemon->outcome->bytes_sent = status.bytes_sent;
    daemon->outcome->bytes_received = status.bytes_received;
    judge_single(daemon, &status);
    if (!daemon->is_ending)
        loop_timer_set(daemon->deadline_timer, agent_deadline(daemon->agent));
}

/* ---- events ---- */

static void on_opened(void *context, uint64_t connection, const char *peer)
{
    struct daemon *daemon = context;
    uint8_t seed[32];

    (void)peer;
    if (connection != daemon->connection)
        return;
    entropy_fill(seed, sizeof seed);
    step(daemon, (struct agent_event){.kind = AGENT_EVENT_CONNECTED, .seed = seed});
    identity_wipe(seed, sizeof seed);
}

static void on_received(void *context, uint64_t connection, struct bytes message)
{
    struct daemon *daemon = context;

    if (connection == daemon->connection)
        step(daemon, (struct agent_event){.kind = AGENT_EVENT_RECEIVED, .bytes = message});
}

static void on_drained(void *context, uint64_t connection)
{
    struct daemon *daemon = context;

    if (connection == daemon->connection)
        step(daemon, (struct agent_event){.kind = AGENT_EVENT_DRAINED});
}

static void on_closed(void *context, uint64_t connection, const struct websocket_end *how)
{
    struct daemon *daemon = context;
    char text[200];

    if (daemon->is_stopping)
        end_with(daemon, EXIT_CODE_OK, "");
    if (connection != daemon->connection)
        return;
    daemon->connection = 0;
    if (how->code == CLOSE_HANDSHAKE)
        on_rejected(daemon);
    if (how->code == WEBSOCKET_NOT_OPENED)
        snprintf(text, sizeof text, "no connection: %s", how->reason != NULL ? how->reason : "");
    else
        snprintf(text, sizeof text, "the connection ended (%u)", how->code);
    step(daemon, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = text});
}

static void on_deadline(void *context)
{
    step(context, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
}

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
    step(daemon, (struct agent_event){.kind = AGENT_EVENT_LOCAL_CHANGE});
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
    keep_reserve(daemon);
    replica_rest(daemon->replica);
    (void)malloc_trim(0);
}

static void on_look_timer(void *context)
{
    struct daemon *daemon = context;

    look(daemon);
    rest(daemon);
    look_at_age(daemon);
    daemon->look_delay_us += daemon->look_delay_us / 2;
    if (daemon->look_delay_us > LOOK_EVERY_US)
        daemon->look_delay_us = LOOK_EVERY_US;
    if (daemon->idle_since.us != MONO_NEVER.us &&
        (daemon->request != 0 || daemon->options->mode != DAEMON_RUN))
        step(daemon, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
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
    step(daemon, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
    daemon->request = request;
    step(daemon, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
}

static void on_stop_timer(void *context)
{
    end_with(context, EXIT_CODE_OK, "");
}

static void on_stop_signal(struct daemon *daemon)
{
    if (daemon->is_stopping) {
        end_with(daemon, EXIT_CODE_OK, "");
        return;
    }
    log_event(daemon->options->log, LOG_LEVEL_NOTICE, "stopping", LOG_NO_FIELDS);
    stop(daemon);
}

static void on_signal(void *context, int number)
{
    struct daemon *daemon = context;
    struct log *log = daemon->options->log;

    switch (signal_wish_of(number)) {
    case SIGNAL_STOP:
        on_stop_signal(daemon);
        break;
    case SIGNAL_STATUS:
        log_event(log, LOG_LEVEL_NOTICE, "status",
                  LOG_FIELDS(log_text("state", daemon->state.state),
                             log_boolean("is_idle", daemon->state.is_idle),
                             log_number("sent_bytes", daemon->state.bytes_sent),
                             log_number("received_bytes", daemon->state.bytes_received),
                             log_text("last_failure", daemon->state.last_failure)));
        break;
    case SIGNAL_DEBUG:
        log_set_level(log, log_shows(log, LOG_LEVEL_DEBUG) ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG);
        break;
    case SIGNAL_RELOAD: /* there is nothing that a start would read anew */
    case SIGNAL_NOTHING:
        break;
    }
}

/* ---- beginning and ending ---- */

static enum result open_replica(struct daemon *daemon, struct problem *problem)
{
    char blobs[FILES_PATH_SIZE];
    enum result result =
        files_join(daemon->options->data_folder, BLOBS_FOLDER_NAME, blobs, problem);

    if (result == RESULT_OK)
        result = files_make_folder(blobs, problem);
    if (result == RESULT_OK)
        result = blob_files_create(blobs, &daemon->blobs, problem);
    if (result == RESULT_OK)
        result = open_folder(daemon->options->data_folder, daemon->options->keys, false,
                             &daemon->trace, &daemon->replica, problem);
    if (result == RESULT_OK)
        result = replica_change_counter(daemon->replica, &daemon->change_counter, problem);
    return result;
}

static enum result create_agent(struct daemon *daemon, struct problem *problem)
{
    const struct daemon_options *options = daemon->options;
    struct keys *keys = daemon->keys;
    struct identity_signer signer;
    bool is_renewal = daemon->renewal->keys != NULL;
    bool is_enrolment = (options->mode == DAEMON_ENROL || is_renewal) && !keys_are_enrolled(keys);
    const struct identity_code *code = is_renewal ? &daemon->renewal->code : options->code;
    struct agent_options agent = {
        .replica = daemon->replica,
        .blobs = daemon->blobs,
        .static_secret = keys->file.noise_private,
        .psk = keys_are_enrolled(keys) ? keys->file.psk : NULL,
        .next_secret = keys->has_next ? keys->next.noise_private : NULL,
        .next_psk = keys->has_next && keys_pair_is_complete(&keys->next) ? keys->next.psk : NULL,
        .previous_secret = keys->has_previous ? keys->previous.noise_private : NULL,
        .previous_psk = keys->has_previous ? keys->previous.psk : NULL,
        .root_public_key = keys->file.root_public_key,
        .key_serial_min = keys->key_serial,
        .jitter_seed = entropy_seed(),
        .app_version = options->app_version,
        .trace = &daemon->trace,
        .token_id = is_enrolment ? code->token_id : NULL,
        .token_secret = is_enrolment ? code->secret : NULL,
        .sign_public_key = signer.public_key,
        .device_name = options->device_name,
        .is_renewal = is_renewal,
    };
    enum result result;

    identity_signer_from(keys->file.sign_seed, &signer);
    result = agent_create(&agent, &daemon->agent, problem);
    identity_wipe(&signer, sizeof signer);
    return result;
}

static enum result make_timers(struct daemon *daemon, struct problem *problem)
{
    const struct {
        void (*fired)(void *context);
        struct loop_timer **timer;
    } timers[] = {{on_deadline, &daemon->deadline_timer},
                  {on_look_timer, &daemon->look_timer},
                  {on_state_timer, &daemon->state_timer},
                  {on_stop_timer, &daemon->stop_timer}};
    enum result result = RESULT_OK;

    for (size_t i = 0; result == RESULT_OK && i < sizeof timers / sizeof timers[0]; i++)
        result = loop_timer_create(daemon->loop, timers[i].fired, daemon, timers[i].timer, problem);
    return result;
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

static enum result begin(struct daemon *daemon, struct problem *problem)
{
    const struct loop_options loop_options = {.tls = strncmp(daemon->keys->url, "wss:", 4) == 0};
    const struct websocket_options websocket_options = {.queue_size_max = QUEUE_SIZE_MAX};
    const struct websocket_events events = {.context = daemon,
                                            .opened = on_opened,
                                            .received = on_received,
                                            .drained = on_drained,
                                            .closed = on_closed};
    enum result result = loop_create(&loop_options, &daemon->loop, problem);

    if (result == RESULT_OK)
        result = websocket_create(daemon->loop, &websocket_options, &events, &daemon->websocket,
                                  problem);
    if (result == RESULT_OK)
        result = make_timers(daemon, problem);
    if (result == RESULT_OK)
        result = open_replica(daemon, problem);
    if (result == RESULT_OK)
        result = create_agent(daemon, problem);
    if (result != RESULT_OK)
        return result;
    if (daemon->options->mode == DAEMON_RUN)
        state_file_tidy(daemon->options->data_folder);
    keep_reserve(daemon);
    make_watches(daemon);
    loop_take_signals(daemon->loop, on_signal, daemon);
    daemon->look_delay_us = LOOK_EVERY_US;
    loop_timer_set(daemon->look_timer, mono_after(clock_mono_now(), daemon->look_delay_us));
    daemon->request_last = read_request(daemon);
    return RESULT_OK;
}

static void finish(struct daemon *daemon)
{
    daemon->is_ending = true; /* the last callbacks change nothing */
    watch_destroy(daemon->log_watch);
    watch_destroy(daemon->request_watch);
    loop_timer_destroy(daemon->deadline_timer);
    loop_timer_destroy(daemon->look_timer);
    loop_timer_destroy(daemon->state_timer);
    loop_timer_destroy(daemon->stop_timer);
    websocket_destroy(daemon->websocket);
    loop_destroy(daemon->loop);
    agent_destroy(daemon->agent);
    replica_close(daemon->replica);
    blob_files_destroy(daemon->blobs);
}

static void wipe(struct daemon *daemon)
{
    struct problem problem = {0};
    enum result result = wipe_device(daemon->options->data_folder, &problem);

    daemon->outcome->is_wiped = result == RESULT_OK;
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_ERROR, "not_wiped", result, &problem);
}

static void tell_manager(struct log *log, const char *state)
{
    struct problem problem = {0};
    enum result result = notify_send(state, &problem);

    if (result != RESULT_OK)
        log_problem(log, LOG_LEVEL_WARNING, "not_notified", result, &problem);
}

/* What one run leaves to the next. */
struct handover {
    struct renewal renewal;
    int64_t request; /* of a person who waits */
    bool is_again;
};

static enum result run_once(const struct daemon_options *options, struct handover *handover,
                            struct daemon_outcome *ret_outcome, struct problem *problem)
{
    struct daemon daemon = {.options = options,
                            .outcome = ret_outcome,
                            .renewal = &handover->renewal,
                            .keys = handover->renewal.keys != NULL ? handover->renewal.keys
                                                                   : options->keys,
                            .trace = {.write = log_trace, .context = options->log},
                            .idle_since = MONO_NEVER,
                            .started_at = clock_mono_now()};
    enum result result = begin(&daemon, problem);

    if (result == RESULT_OK) {
        daemon.request = handover->request;
        tell_manager(options->log, "READY=1");
        step(&daemon, (struct agent_event){.kind = AGENT_EVENT_START});
        if (!daemon.is_ending)
            loop_run(daemon.loop);
        tell_manager(options->log, "STOPPING=1");
    }
    ret_outcome->duration_us = clock_mono_now().us - daemon.started_at.us;
    /* a file that is in trouble again at once isn't helped by opening it */
    handover->is_again = daemon.is_renewing || daemon.is_new_schema ||
                         (daemon.is_reopening && ret_outcome->duration_us > REOPEN_EVERY_US);
    handover->request = daemon.is_renewing ? daemon.request : 0;
    finish(&daemon);
    if (daemon.is_wiping)
        wipe(&daemon);
    return result;
}

enum result daemon_run(const struct daemon_options *options, struct daemon_outcome *ret_outcome,
                       struct problem *problem)
{
    struct handover handover = {0};
    enum result result;

    do {
        *ret_outcome = (struct daemon_outcome){.exit_code = EXIT_CODE_OK};
        result = renewal_load(options->data_folder, options->keys, &handover.renewal, problem);
        if (result == RESULT_OK)
            result = run_once(options, &handover, ret_outcome, problem);
        renewal_done(&handover.renewal);
    } while (result == RESULT_OK && handover.is_again);
    return result;
}

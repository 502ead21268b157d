/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon.h"

#include "agent/daemon_inside.h"
#include "agent/local_http.h"
#include "agent/open.h"
#include "agent/wipe.h"
#include "edge/blob_files.h"
#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/files.h"
#include "edge/notify.h"
#include "edge/signals.h"

#include <string.h>

enum { QUEUE_SIZE_MAX = 8 << 20 }; /* the core's send window and one large body */

#define REOPEN_EVERY_US SECONDS(10)

static void on_deadline(void *context)
{
    daemon_step(context, (struct agent_event){.kind = AGENT_EVENT_DEADLINE});
}

static void on_stop_timer(void *context)
{
    daemon_end(context, EXIT_CODE_OK, "");
}

static void on_stop_signal(struct daemon *daemon)
{
    if (daemon->is_stopping) {
        daemon_end(daemon, EXIT_CODE_OK, "");
        return;
    }
    log_event(daemon->options->log, LOG_LEVEL_NOTICE, "stopping", LOG_NO_FIELDS);
    daemon_stop(daemon);
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

static enum result open_replica(struct daemon *daemon, struct problem *problem)
{
    char blobs[FILES_PATH_SIZE];
    enum result result =
        files_join(daemon->options->data_folder, BLOBS_FOLDER_NAME, blobs, problem);

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
                  {daemon_on_look_timer, &daemon->look_timer},
                  {daemon_on_state_timer, &daemon->state_timer},
                  {on_stop_timer, &daemon->stop_timer}};
    enum result result = RESULT_OK;

    for (size_t i = 0; result == RESULT_OK && i < sizeof timers / sizeof timers[0]; i++)
        result = loop_timer_create(daemon->loop, timers[i].fired, daemon, timers[i].timer, problem);
    return result;
}

/* Without it the device syncs all the same. */
static void open_local_http(struct daemon *daemon)
{
    const struct local_http_options options = {.listen = daemon->options->http_listen,
                                               .data_folder = daemon->options->data_folder,
                                               .replica = daemon->replica,
                                               .state = &daemon->state};
    struct problem problem = {0};
    enum result result = RESULT_OK;

    if (daemon->options->mode != DAEMON_RUN || options.listen == NULL)
        return;
    result = local_http_open(daemon->loop, &options, &daemon->local_http, &problem);
    if (result != RESULT_OK)
        log_problem(daemon->options->log, LOG_LEVEL_ERROR, "no_http", result, &problem);
    else
        log_event(daemon->options->log, LOG_LEVEL_NOTICE, "http",
                  LOG_FIELDS(log_number("port", local_http_port(daemon->local_http))));
}

static enum result begin(struct daemon *daemon, struct problem *problem)
{
    const struct loop_options loop_options = {.tls = strncmp(daemon->keys->url, "wss:", 4) == 0};
    const struct websocket_options websocket_options = {.queue_size_max = QUEUE_SIZE_MAX};
    const struct websocket_events events = {.context = daemon,
                                            .opened = daemon_on_opened,
                                            .received = daemon_on_received,
                                            .drained = daemon_on_drained,
                                            .closed = daemon_on_closed};
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
    daemon_keep_reserve(daemon);
    open_local_http(daemon);
    loop_take_signals(daemon->loop, on_signal, daemon);
    daemon_begin_watching(daemon);
    return RESULT_OK;
}

static void finish(struct daemon *daemon)
{
    daemon->is_ending = true; /* the last callbacks change nothing */
    local_http_close(daemon->local_http);
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

/* For what is said in the end: opening the replica again would cost as much as a small first sync.
 */
static void note_identity(struct daemon *daemon)
{
    struct problem problem = {0};

    if (replica_identity(daemon->replica, &daemon->outcome->who, &problem) != RESULT_OK)
        daemon->outcome->who = (struct replica_identity){0};
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
        daemon_step(&daemon, (struct agent_event){.kind = AGENT_EVENT_START});
        if (!daemon.is_ending)
            loop_run(daemon.loop);
        tell_manager(options->log, "STOPPING=1");
    }
    ret_outcome->duration_us = clock_mono_now().us - daemon.started_at.us;
    if (ret_outcome->is_enrolled)
        note_identity(&daemon);
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

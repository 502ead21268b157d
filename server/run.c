/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "server/run.h"

#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/notify.h"
#include "edge/reserve.h"
#include "edge/secret.h"
#include "edge/signals.h"
#include "edge/terminal.h"
#include "server/run_inside.h"
#include "server/settings.h"
#include "version.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_SEED_SIZE = 64, QUEUE_SIZE_MAX = 4 * 1024 * 1024, GREETING_SIZE_MAX = 256 * 1024 };

#define LOOK_INTERVAL_US  SECONDS(1) /* for what the file watch can't see */
#define LOOK_SOON_US      MILLISECONDS(1)
#define WATCH_INTERVAL_US MILLISECONDS(20)   /* of many commits one look is enough */
#define STOP_LIMIT_US     MILLISECONDS(1500) /* of networks that take no more bytes */
#define TRIM_INTERVAL_US  SECONDS(20)

/* ---- steps ---- */

void run_fail(struct run *run, const char *event, enum result result, const struct problem *problem,
              enum exit_code exit_code)
{
    log_problem(run->log, LOG_LEVEL_ERROR, event, result, problem);
    run->exit_code = exit_code;
    loop_stop(run->loop);
}

static void carry_out(struct run *run, const struct server_effect *effect)
{
    struct problem problem = {0};

    switch (effect->kind) {
    case SERVER_EFFECT_SEND:
        if (websocket_send(run->websocket, effect->connection, effect->bytes, &problem) ==
            RESULT_EXHAUSTED) /* a slow reader costs the others nothing (I16) */
            websocket_close(run->websocket, effect->connection, 1013, "too slow", WEBSOCKET_DROP);
        break;
    case SERVER_EFFECT_CLOSE:
        websocket_close(run->websocket, effect->connection, effect->code, effect->text,
                        WEBSOCKET_FLUSH);
        break;
    case SERVER_EFFECT_READ:
    case SERVER_EFFECT_WRITE:
        run_submit(run, effect->job);
        break;
    }
}

static void step_once(struct run *run, struct server_event *event)
{
    uint8_t seed[STEP_SEED_SIZE] = {0};
    struct server_effects effects = {0};
    struct problem problem = {0};

    if (event->kind == SERVER_EVENT_OPENED || event->kind == SERVER_EVENT_JOB_DONE)
        entropy_fill(seed, sizeof seed);
    event->seed = seed;
    event->mono = clock_mono_now();
    event->wall = clock_wall_now();
    if (server_step(run->server, event, &effects, &problem) != RESULT_OK) {
        log_problem(run->log, LOG_LEVEL_WARNING, "step_failed", RESULT_EXHAUSTED, &problem);
        if (event->kind == SERVER_EVENT_OPENED)
            websocket_close(run->websocket, event->connection, 1013, "busy", WEBSOCKET_DROP);
    }
    for (size_t i = 0; i < effects.count; i++)
        carry_out(run, &effects.effects[i]);
    identity_wipe(seed, sizeof seed);
}

static void answer_bounced(struct run *run)
{
    while (run->bounced != NULL) {
        struct errand *errand = run->bounced;
        struct server_event event = {.kind = SERVER_EVENT_JOB_DONE, .job = errand->job};

        run->bounced = errand->next;
        free(errand);
        step_once(run, &event);
    }
}

void run_step(struct run *run, struct server_event event)
{
    step_once(run, &event);
    answer_bounced(run);
    if (run->step_timer != NULL)
        loop_timer_set(run->step_timer, server_deadline(run->server));
    if (run->is_stopping && server_status(run->server).is_stopped)
        loop_stop(run->loop);
}

/* ---- sockets and timers ---- */

static void on_opened(void *context, uint64_t connection, const char *peer)
{
    run_step(context, (struct server_event){
                          .kind = SERVER_EVENT_OPENED, .connection = connection, .peer = peer});
}

static void on_received(void *context, uint64_t connection, struct bytes message)
{
    run_step(context, (struct server_event){.kind = SERVER_EVENT_RECEIVED,
                                            .connection = connection,
                                            .bytes = message});
}

static void on_drained(void *context, uint64_t connection)
{
    run_step(context,
             (struct server_event){.kind = SERVER_EVENT_DRAINED, .connection = connection});
}

static void on_closed(void *context, uint64_t connection, const struct websocket_end *end)
{
    (void)end; /* nothing in it is authenticated */
    run_step(context, (struct server_event){.kind = SERVER_EVENT_CLOSED, .connection = connection});
}

static void on_step_timer(void *context)
{
    run_step(context, (struct server_event){.kind = SERVER_EVENT_DEADLINE});
}

static void keep_reserve(struct run *run)
{
    struct problem problem = {0};
    enum result result = reserve_keep(
        run->setup->folder, (uint64_t)config_number(run->config, "disk.reserve"), &problem);

    if (result != RESULT_OK)
        log_problem(run->log, LOG_LEVEL_WARNING, "reserve", result, &problem);
}

/* What work has left in holes goes back to the system: once it is quiet, and now and then while it
 * never is. Pings are no work: with a thousand devices there is one in every second. */
static void rest(struct run *run)
{
    struct server_status status = server_status(run->server);
    int64_t work = run->counts.group_count + status.publishes + status.refused_handshakes;
    struct mono_time now = clock_mono_now();
    bool is_quiet = run->look_delay_us == LOOK_INTERVAL_US && work == run->work_seen;

    run->work_seen = work;
    if (is_quiet ? run->is_resting : !mono_is_due(run->trim_at, now)) {
        run->is_resting = is_quiet;
        return;
    }
    if (is_quiet)
        keep_reserve(run);
    run->is_resting = is_quiet;
    run->trim_at = mono_after(now, TRIM_INTERVAL_US);
    (void)malloc_trim(0);
}

static void on_look_timer(void *context)
{
    struct run *run = context;

    run_look(run);
    run->look_delay_us += run->look_delay_us / 2;
    if (run->look_delay_us > LOOK_INTERVAL_US)
        run->look_delay_us = LOOK_INTERVAL_US;
    rest(run);
    loop_timer_set(run->look_timer, mono_after(clock_mono_now(), run->look_delay_us));
}

/* The log is written before the commit counts: the sync to the disk comes in between. So this looks
 * again soon, and then ever less often. */
static void on_written(void *context)
{
    struct run *run = context;

    run->look_delay_us = LOOK_SOON_US;
    run_look(run);
    loop_timer_set(run->look_timer, mono_after(clock_mono_now(), run->look_delay_us));
}

static void on_stop_timer(void *context)
{
    struct run *run = context;

    log_event(run->log, LOG_LEVEL_WARNING, "stop_forced", LOG_NO_FIELDS);
    loop_stop(run->loop);
}

static void tell_manager(struct run *run, const char *state)
{
    struct problem problem = {0};
    enum result result = notify_send(state, &problem);

    if (result != RESULT_OK)
        log_problem(run->log, LOG_LEVEL_WARNING, "notify_failed", result, &problem);
}

static void on_watchdog_timer(void *context)
{
    struct run *run = context;

    tell_manager(run, "WATCHDOG=1");
    loop_timer_set(run->watchdog_timer, mono_after(clock_mono_now(), notify_watchdog_us()));
}

/* ---- signals ---- */

static void stop(struct run *run)
{
    if (run->is_stopping) {
        log_event(run->log, LOG_LEVEL_NOTICE, "stop_now", LOG_NO_FIELDS);
        loop_stop(run->loop);
        return;
    }
    log_event(run->log, LOG_LEVEL_NOTICE, "stopping", LOG_NO_FIELDS);
    tell_manager(run, "STOPPING=1");
    run->is_stopping = true;
    listener_close(run->listener);
    loop_timer_set(run->stop_timer, mono_after(clock_mono_now(), STOP_LIMIT_US));
    run_step(run, (struct server_event){.kind = SERVER_EVENT_STOP});
}

/* What can change without dropping sessions; the rest waits for the next start. */
static void reload(struct run *run)
{
    struct config *config = NULL;
    struct problem problem = {0};
    enum log_level level = LOG_LEVEL_INFO;
    enum result result = settings_load(run->options, &config, &problem);

    if (result == RESULT_OK)
        result = listener_reload(run->listener, &problem);
    if (result == RESULT_OK)
        result = listener_reload(run->admin_listener, &problem);
    if (result == RESULT_OK)
        result = setup_read_key(run->setup, &problem);
    if (result == RESULT_OK)
        result =
            server_set_key(run->server, run->setup->key->noise_private, run->setup->key->serial,
                           run->setup->key->signature,
                           run->setup->has_root_change ? &run->setup->root_change : NULL, &problem);
    if (result != RESULT_OK) {
        log_problem(run->log, LOG_LEVEL_ERROR, "reload_failed", result, &problem);
        config_destroy(config);
        return;
    }
    if (log_level_parse(config_text(config, "log.level"), &level))
        log_set_level(run->log, level);
    config_destroy(config);
    log_event(run->log, LOG_LEVEL_NOTICE, "reloaded", LOG_NO_FIELDS);
}

static void log_status(struct run *run)
{
    struct server_status status = server_status(run->server);

    log_event(run->log, LOG_LEVEL_NOTICE, "status",
              LOG_FIELDS(log_number("connections", (int64_t)status.connection_count),
                         log_number("live", (int64_t)status.live_count),
                         log_number("pushes", status.pushes), log_number("changes", status.changes),
                         log_number("publishes", status.publishes),
                         log_number("refused_handshakes", status.refused_handshakes),
                         log_number("sent_bytes", status.bytes_sent),
                         log_number("received_bytes", status.bytes_received),
                         log_number("groups", run->counts.group_count),
                         log_number("commit_us", run->counts.commit_us)));
}

static void on_signal(void *context, int signal)
{
    struct run *run = context;
    enum log_level level = LOG_LEVEL_INFO;

    switch (signal_wish_of(signal)) {
    case SIGNAL_STOP:
        stop(run);
        break;
    case SIGNAL_RELOAD:
        reload(run);
        break;
    case SIGNAL_STATUS:
        log_status(run);
        break;
    case SIGNAL_DEBUG:
        run->is_debug = !run->is_debug;
        if (!run->is_debug && !log_level_parse(config_text(run->config, "log.level"), &level))
            level = LOG_LEVEL_INFO;
        log_set_level(run->log, run->is_debug ? LOG_LEVEL_DEBUG : level);
        break;
    case SIGNAL_NOTHING:
        break;
    }
}

/* ---- start ---- */

static int64_t number(const struct run *run, const char *name)
{
    return config_number(run->config, name);
}

static enum result start_core(struct run *run, struct problem *problem)
{
    const struct server_options options = {
        .catalog = &run->setup->catalog,
        .static_secret = run->setup->key->noise_private,
        .key_serial = run->setup->key->serial,
        .root_signature = run->setup->key->signature,
        .root_change = run->setup->has_root_change ? &run->setup->root_change : NULL,
        .trace = &run->trace,
        .connections_max = (size_t)config_number(run->config, "limit.connections"),
        .handshakes_max = (size_t)config_number(run->config, "limit.handshakes"),
        .handshakes_per_address_max =
            (size_t)config_number(run->config, "limit.handshakes_per_address"),
        .throttle = {.per_minute = {[THROTTLE_CHANGES] = number(run, "limit.device_changes"),
                                    [THROTTLE_BYTES] = number(run, "limit.device_bytes"),
                                    [THROTTLE_BLOBS] = number(run, "limit.device_blobs"),
                                    [THROTTLE_MESSAGES] = number(run, "limit.device_messages"),
                                    [THROTTLE_SESSIONS] = number(run, "limit.device_sessions")}},
        .head = run->writer.head,
    };

    return server_create(&options, &run->server, problem);
}

static enum result start_sockets(struct run *run, struct problem *problem)
{
    const struct websocket_options websocket_options = {.queue_size_max = QUEUE_SIZE_MAX};
    const struct websocket_events events = {
        .context = run,
        .opened = on_opened,
        .received = on_received,
        .drained = on_drained,
        .closed = on_closed,
    };
    struct listener_options listen = {
        .address = config_text(run->config, "listen.address"),
        .port = (uint16_t)config_number(run->config, "listen.port"),
        .certificate_path = config_text(run->config, "listen.certificate"),
        .key_path = config_text(run->config, "listen.certificate_key"),
        .connection_count_max = (uint32_t)config_number(run->config, "limit.connections") + 1000,
        .address_rate_max = (uint32_t)config_number(run->config, "limit.connects_per_address"),
    };
    enum result result =
        websocket_create(run->loop, &websocket_options, &events, &run->websocket, problem);

    listen.websocket = run->websocket;
    if (result == RESULT_OK)
        result = listener_create(run->loop, &listen, &run->listener, problem);
    if (result != RESULT_OK)
        problem_add(problem, "listen.address and listen.port");
    return result;
}

static enum result start_timers(struct run *run, struct problem *problem)
{
    char log_path[FILES_PATH_SIZE + 8];
    struct mono_time now = clock_mono_now();
    enum result result =
        loop_timer_create(run->loop, on_step_timer, run, &run->step_timer, problem);

    snprintf(log_path, sizeof log_path, "%s-wal", run->setup->database);
    if (result == RESULT_OK)
        result = loop_timer_create(run->loop, on_look_timer, run, &run->look_timer, problem);
    if (result == RESULT_OK)
        result = loop_timer_create(run->loop, on_stop_timer, run, &run->stop_timer, problem);
    if (result == RESULT_OK)
        result =
            loop_timer_create(run->loop, on_watchdog_timer, run, &run->watchdog_timer, problem);
    if (result != RESULT_OK)
        return result;
    if (watch_create(run->loop, log_path, WATCH_INTERVAL_US, on_written, run, &run->watch,
                     problem) != RESULT_OK)
        log_problem(run->log, LOG_LEVEL_WARNING, "watch_failed", RESULT_EXHAUSTED, problem);
    run->look_delay_us = LOOK_INTERVAL_US;
    loop_timer_set(run->look_timer, mono_after(now, run->look_delay_us));
    if (notify_watchdog_us() > 0)
        loop_timer_set(run->watchdog_timer, mono_after(now, notify_watchdog_us()));
    loop_take_signals(run->loop, on_signal, run);
    return RESULT_OK;
}

static enum result start(struct run *run, struct problem *problem)
{
    const struct loop_options options = {
        .tls = config_is_set(run->config, "listen.certificate") ||
               config_is_set(run->config, "admin.certificate"),
        .descriptor_count_max = (uint32_t)config_number(run->config, "limit.connections") + 2000,
    };
    enum result result = loop_create(&options, &run->loop, problem);

    run->setup->departure_keep_us = HOURS(24) * config_number(run->config, "sync.keep_departures");
    if (result == RESULT_OK)
        result = run_threads_start(run, problem);
    if (result == RESULT_OK)
        result = start_core(run, problem);
    if (result == RESULT_OK)
        result = start_sockets(run, problem);
    if (result == RESULT_OK)
        result = run_admin_start(run, problem);
    if (result == RESULT_OK)
        result = start_timers(run, problem);
    return result;
}

static enum result say_places(struct run *run, struct buffer *greeting, struct problem *problem)
{
    char text[FILES_PATH_SIZE + 1024];
    bool tls = config_is_set(run->config, "listen.certificate");
    int size =
        snprintf(text, sizeof text,
                 "fieldsync-server %s  data: %s\n"
                 "  devices  %s://%s:%u/sync\n"
                 "  metrics  %s://%s:%u/metrics\n",
                 FIELDSYNC_VERSION, run->setup->folder, tls ? "wss" : "ws",
                 config_text(run->config, "listen.address"), listener_port(run->listener),
                 config_is_set(run->config, "admin.certificate") ? "https" : "http",
                 config_text(run->config, "admin.address"), listener_port(run->admin_listener));

    if (size < 0 || (size_t)size >= sizeof text)
        return problem_set(problem, RESULT_REFUSED, "the addresses are too long");
    return buffer_append(greeting, text, (size_t)size, problem);
}

static enum result announce(struct run *run, const struct run_guest *guest, struct problem *problem)
{
    static const char READY[] = "ready - press Ctrl-C to stop\n";
    struct buffer greeting;
    struct problem unheard = {0};
    enum result result;

    buffer_init(&greeting, GREETING_SIZE_MAX);
    result = say_places(run, &greeting, problem);
    if (result == RESULT_OK && guest != NULL)
        result = guest->greet(guest->context, listener_port(run->listener), &greeting, problem);
    if (result == RESULT_OK)
        result = buffer_append(&greeting, READY, sizeof READY - 1, problem);
    if (result == RESULT_OK &&
        terminal_write(STDOUT_FILENO, buffer_bytes(&greeting), &unheard) != RESULT_OK)
        log_problem(run->log, LOG_LEVEL_WARNING, "stdout_failed", RESULT_REFUSED, &unheard);
    if (greeting.data != NULL)
        identity_wipe(greeting.data, greeting.size); /* a guest may say secrets */
    buffer_done(&greeting);
    if (result != RESULT_OK)
        return result;
    log_event(run->log, LOG_LEVEL_NOTICE, "serving",
              LOG_FIELDS(log_text("data", run->setup->folder),
                         log_number("port", listener_port(run->listener)),
                         log_number("admin_port", listener_port(run->admin_listener))));
    tell_manager(run, "READY=1\nSTATUS=serving");
    return RESULT_OK;
}

/* ---- end ---- */

/* Threads first, while there is a core to hear their answers; sockets last, they tell it too. */
static void finish(struct run *run)
{
    struct problem problem = {0};

    if (run->server != NULL)
        run_threads_stop(run);
    web_stop(run->web);
    watch_destroy(run->watch);
    listener_destroy(run->listener);
    listener_destroy(run->admin_listener);
    websocket_destroy(run->websocket);
    http_destroy(run->http);
    web_destroy(run->web);
    loop_timer_destroy(run->step_timer);
    loop_timer_destroy(run->look_timer);
    loop_timer_destroy(run->stop_timer);
    loop_timer_destroy(run->watchdog_timer);
    run_threads_stop(run);
    server_destroy(run->server);
    if (run->writer.master != NULL && !run->writer.is_dead &&
        store_tidy(master_store(run->writer.master), &problem) != RESULT_OK)
        log_problem(run->log, LOG_LEVEL_WARNING, "tidy_failed", RESULT_WAIT, &problem);
    for (size_t i = 0; i < RUN_READERS_MAX; i++)
        master_destroy(run->readers[i]);
    master_destroy(run->writer.master);
    arena_done(&run->writer.arena);
    loop_destroy(run->loop);
    secret_free(run->admin_token);
}

static struct log *open_log(const struct config *config)
{
    struct log_options options = {
        .descriptor = STDERR_FILENO,
        .is_json = strcmp(config_text(config, "log.format"), "json") == 0,
        .has_prefix = log_is_journal(STDERR_FILENO),
    };

    if (!log_level_parse(config_text(config, "log.level"), &options.level))
        options.level = LOG_LEVEL_INFO;
    return log_create(&options);
}

enum exit_code run_serve(struct setup *setup, const struct options *options, struct config *config,
                         const struct run_guest *guest)
{
    struct run run = {.setup = setup, .options = options, .config = config};
    struct problem problem = {0};
    enum result result;

    run.log = open_log(config);
    if (run.log == NULL)
        return EXIT_CODE_FAILURE;
    run.trace = (struct trace){.write = log_trace, .context = run.log};
    result = start(&run, &problem);
    if (result == RESULT_OK)
        result = announce(&run, guest, &problem);
    if (result == RESULT_OK) {
        run_step(&run, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
        loop_run(run.loop);
    } else {
        log_problem(run.log, LOG_LEVEL_ERROR, "start_failed", result, &problem);
        run.exit_code = result == RESULT_STORAGE ? EXIT_CODE_DATABASE : EXIT_CODE_FAILURE;
    }
    finish(&run);
    log_event(run.log, LOG_LEVEL_NOTICE, "stopped",
              LOG_FIELDS(log_number("exit_code", run.exit_code)));
    log_destroy(run.log);
    return run.exit_code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/server.h"

#include "base/invariant.h"
#include "base/lookup.h"
#include "server/core/audit.h"
#include "server/core/session.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_INTERVAL_US    MILLISECONDS(250)
#define RESCOPE_INTERVAL_US HOURS(24)

/* ---- effects, time, chance ---- */

enum result server_emit(struct server *server, const struct server_effect *effect,
                        struct problem *problem)
{
    if (server->effect_count == server->effect_capacity) {
        size_t capacity = server->effect_capacity == 0 ? 64 : server->effect_capacity * 2;
        struct server_effect *effects = realloc(server->effects, capacity * sizeof *effects);

        if (effects == NULL)
            return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu effects", capacity);
        server->effects = effects;
        server->effect_capacity = capacity;
    }
    server->effects[server->effect_count++] = *effect;
    return RESULT_OK;
}

void server_want(struct server *server, struct mono_time deadline)
{
    server->deadline = mono_earlier(server->deadline, deadline);
}

int64_t server_jitter(struct server *server, int64_t least_us, int64_t most_us)
{
    invariant(least_us < most_us);
    return least_us + (int64_t)prng_below(&server->prng, (uint64_t)(most_us - least_us) + 1);
}

void server_drop_job(struct job *job)
{
    if (job->kind == JOB_RESUME || job->kind == JOB_FEED)
        feed_destroy(job->feed); /* its session is gone */
    job_destroy(job);
}

/* The seed also makes a connection's keys, so nothing that shows may be computed back to it. */
static void take_seed(struct server *server, const uint8_t *seed)
{
    static const char PURPOSE[] = "fieldsync server jitter";
    uint64_t numbers[2];

    if (server->is_seeded)
        return;
    crypto_generichash((unsigned char *)numbers, sizeof numbers, seed, 32,
                       (const unsigned char *)PURPOSE, sizeof PURPOSE - 1);
    prng_init(&server->prng, numbers[0]);
    gate_set_hash_seed(&server->gate, numbers[1]);
    server->is_seeded = true;
}

/* ---- life ---- */

static void take_root_change(struct server *server, const struct identity_root_change *change)
{
    server->has_root_change = change != NULL;
    if (change != NULL)
        server->root_change = *change;
}

enum result server_create(const struct server_options *options, struct server **ret_server,
                          struct problem *problem)
{
    struct server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a server");
    arena_init(&server->step_arena, STEP_ARENA_SIZE_MAX);
    gate_init(&server->gate, options->handshakes_max, options->handshakes_per_address_max);
    throttle_init(&server->throttle, &options->throttle);
    prng_init(&server->prng, 0);
    server->catalog = options->catalog;
    server->key_serial = options->key_serial;
    memcpy(server->root_signature, options->root_signature, sizeof server->root_signature);
    take_root_change(server, options->root_change);
    if (options->dictionary.size > 0)
        server->dictionary =
            (struct frame_dictionary){.number = MASTER_DICTIONARY_NO, .bytes = options->dictionary};
    server->trace = options->trace;
    server->connections_max = options->connections_max;
    server->head = options->head;
    server->rescope_interval_us =
        options->rescope_interval_us > 0 ? options->rescope_interval_us : RESCOPE_INTERVAL_US;
    server->deadline = MONO_NEVER;
    server->static_keys = sodium_malloc(sizeof *server->static_keys);
    if (server->static_keys == NULL ||
        hub_init(&server->hub, options->connections_max, problem) != RESULT_OK) {
        server_destroy(server);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a server");
    }
    noise_keypair_from(options->static_secret, server->static_keys);
    *ret_server = server;
    return RESULT_OK;
}

enum result server_set_key(struct server *server, const uint8_t *static_secret, int64_t key_serial,
                           const uint8_t *root_signature,
                           const struct identity_root_change *root_change, struct problem *problem)
{
    if (key_serial == server->key_serial)
        return RESULT_OK;
    if (key_serial < server->key_serial)
        return problem_set(problem, RESULT_REFUSED,
                           "the server key has serial %" PRId64 ", %" PRId64 " is in use",
                           key_serial, server->key_serial);
    noise_keypair_from(static_secret, server->static_keys); /* channels have copies of their own */
    memcpy(server->root_signature, root_signature, sizeof server->root_signature);
    take_root_change(server, root_change);
    server->key_serial = key_serial;
    return RESULT_OK;
}

void server_destroy(struct server *server)
{
    if (server == NULL)
        return;
    while (server->hub.first != NULL) {
        struct session *session = server->hub.first;

        hub_remove(&server->hub, session);
        session_destroy(session);
    }
    lane_clear(&server->housekeeping, server);
    hub_done(&server->hub);
    throttle_done(&server->throttle);
    arena_done(&server->step_arena);
    free(server->effects);
    sodium_free(server->static_keys); /* wipes; takes NULL */
    free(server);
}

/* ---- connections ---- */

struct hello server_hello(const struct server *server, int64_t retry_after_ms)
{
    struct hello hello = {
        .version_min = CHANNEL_VERSION,
        .version_max = CHANNEL_VERSION,
        .server_ms = server->event->wall.us / 1000,
        .key_serial = server->key_serial,
        .retry_after_ms = retry_after_ms,
        .message_size_max = LIMIT_MESSAGE_OFFER,
    };

    if (hello.server_ms < 0 || hello.server_ms > LIMIT_TIME_MS_MAX)
        hello.server_ms = 0; /* a clock that wrong is of no use to a device */
    memcpy(hello.public_key, server->static_keys->public_key, sizeof hello.public_key);
    memcpy(hello.signature, server->root_signature, sizeof hello.signature);
    hello.has_root_change = server->has_root_change;
    hello.root_change = server->root_change;
    return hello;
}

static enum result emit_close(struct server *server, uint64_t connection, uint16_t code,
                              const char *text, struct problem *problem)
{
    struct server_effect effect = {
        .kind = SERVER_EFFECT_CLOSE, .connection = connection, .code = code, .text = text};

    return server_emit(server, &effect, problem);
}

/* Too many at once: HELLO says when to come back, spread over a while. */
static enum result turn_away(struct server *server, struct problem *problem)
{
    struct hello hello = server_hello(server, server_jitter(server, 2 * 1000, 20 * 1000));
    struct server_effect effect = {.kind = SERVER_EFFECT_SEND,
                                   .connection = server->event->connection};
    struct buffer buffer;
    enum result result;

    server->status.refused_handshakes++;
    trace_line(server->trace, "server: too busy for %s", server->event->peer);
    buffer_init(&buffer, LIMIT_HELLO_SIZE_MAX);
    result = hello_encode(&hello, &buffer, problem);
    if (result == RESULT_OK)
        result = arena_copy(&server->step_arena, buffer_bytes(&buffer), &effect.bytes, problem);
    if (result == RESULT_OK)
        result = server_emit(server, &effect, problem);
    if (result == RESULT_OK)
        result = emit_close(server, effect.connection, SESSION_CLOSE_BUSY, "busy", problem);
    buffer_done(&buffer);
    return result;
}

static enum result on_opened(struct server *server, struct problem *problem)
{
    const struct server_event *event = server->event;
    struct session *session = NULL;
    size_t place = 0;
    enum result result;

    invariant(event->seed != NULL && event->peer != NULL);
    invariant(hub_find(&server->hub, event->connection) == NULL);
    take_seed(server, event->seed);
    if (server->is_stopping)
        return emit_close(server, event->connection, SESSION_CLOSE_GOING_AWAY, "stopping", problem);
    if (server->hub.count >= server->connections_max ||
        !gate_enter(&server->gate, event->peer, event->mono, &place))
        return turn_away(server, problem);
    result = session_create(server, event, place, &session, problem);
    if (result != RESULT_OK) {
        gate_leave(&server->gate, place);
        return result;
    }
    hub_add(&server->hub, session);
    session_begin(session);
    return RESULT_OK;
}

static void on_closed(struct server *server)
{
    struct session *session = hub_find(&server->hub, server->event->connection);

    if (session == NULL)
        return;
    session_cut(session);
    hub_remove(&server->hub, session);
    session_destroy(session);
}

/* ---- the server's own jobs ---- */

/* Takes it over; NULL: there was no memory for it. */
static void submit_own(struct server *server, enum job_kind kind, struct job *job)
{
    struct problem problem = {0};

    if (job == NULL || lane_add(&server->housekeeping, server, job, &problem) != RESULT_OK)
        trace_line(server->trace, "server: no %s now: no memory", job_name(kind));
}

void server_note_refusal(struct server *server, enum tally_kind kind, int64_t user_id,
                         const char *text)
{
    if (tally_add(&server->tally, kind, server->event->mono))
        submit_own(server, JOB_ACT, audit_job(tally_event(kind), user_id, text));
    server_want(server, tally_deadline(&server->tally));
}

/* Those of the hour that have no line of their own. */
static void note_counts(struct server *server)
{
    for (enum tally_kind kind = 0; kind < TALLY_KIND_COUNT; kind++) {
        int64_t count = tally_take(&server->tally, kind, server->event->mono, server->is_stopping);
        char text[64];

        if (count == 0)
            continue;
        (void)snprintf(text, sizeof text, "%" PRId64 " more in that hour", count);
        submit_own(server, JOB_ACT, audit_job(tally_event(kind), 0, text));
    }
}

/* One ADOPT takes all that was written until it begins, so one that waits is enough. */
static void run_own(struct server *server)
{
    const struct server_event *event = server->event;

    if (mono_is_due(server->rescope_at, event->mono) && !server->is_stopping) {
        server->rescope_at = mono_after(event->mono, server->rescope_interval_us);
        server_want(server, server->rescope_at);
        submit_own(server, JOB_RESCOPE, job_create(JOB_RESCOPE, JOB_ARENA_OVERHEAD));
    }
    if (server->adopt_wanted && server->housekeeping.count == 0) {
        server->adopt_wanted = false;
        submit_own(server, JOB_ADOPT, job_create(JOB_ADOPT, JOB_ARENA_OVERHEAD));
    }
    note_counts(server);
    lane_run(&server->housekeeping, server);
}

static void on_job_done(struct server *server, struct job *job)
{
    struct session *session = NULL;

    if (lane_has(&server->housekeeping, job)) {
        if (lane_take_back(&server->housekeeping, server, job)) {
            if (job->result != RESULT_OK)
                trace_line(server->trace, "server: %s %s: %s", job_name(job->kind),
                           result_name(job->result), job->problem.text);
            job_destroy(job);
        }
        return;
    }
    session = job->session_no == 0 ? NULL : hub_find(&server->hub, job->session_no);
    if (session == NULL)
        server_drop_job(job);
    else
        session_job_done(session, job);
}

/* ---- commits ---- */

static enum result on_committed(struct server *server, const struct master_outcome *outcome,
                                struct problem *problem)
{
    const struct work_outcome *work = &outcome->work;
    struct lookup rescoped;
    enum result result = RESULT_OK;

    if (work->seq > server->head) {
        if (server->head != 0)
            server->status.changes += work->seq - server->head;
        server->head = work->seq;
    }
    if (outcome->has_more_to_adopt)
        server->adopt_wanted = true;
    lookup_init(&rescoped, &server->step_arena);
    for (size_t i = 0; i < outcome->rescoped_count && result == RESULT_OK; i++)
        result = lookup_put(&rescoped, 0, outcome->rescoped[i], server, problem);
    for (size_t i = 0; i < outcome->revoked_count; i++) {
        struct session *session = hub_find_replica(&server->hub, outcome->revoked[i]);

        if (session != NULL)
            session_judge(session);
    }
    for (struct session *session = server->hub.first; session != NULL; session = session->next) {
        bool is_concerned = result != RESULT_OK; /* no memory to look: nobody is forgotten */

        if (session->state != SESSION_LIVE)
            continue;
        if (!is_concerned && session->lanes[LANE_FEED].count == 0)
            is_concerned = lookup_find(&rescoped, 0, session->user_id) != NULL ||
                           (work->seq != 0 && feed_concerns(session->feed, work));
        session_wake(session, work->seq != 0 ? work->seq : server->head, is_concerned);
    }
    return RESULT_OK;
}

static void on_stop(struct server *server)
{
    server->is_stopping = true;
    for (struct session *session = server->hub.first; session != NULL; session = session->next) {
        if (session->channel != NULL && channel_is_open(session->channel))
            session_bye(session, "stopping", "the server stops",
                        server_jitter(server, 1000, 10 * 1000));
        else
            session_close(session, SESSION_CLOSE_GOING_AWAY, "stopping");
    }
}

/* ---- the step ---- */

/* Looks at everybody, a few times a second at most; that costs less than keeping order. */
static void scan(struct server *server)
{
    const struct server_event *event = server->event;

    server->scanned_at = event->mono;
    server->deadline = server->rescope_at;
    for (struct session *session = server->hub.first; session != NULL; session = session->next)
        session_tick(session);
    for (struct session *session = server->hub.first; session != NULL; session = session->next)
        server_want(server, session_deadline(session));
    server_want(server, lane_deadline(&server->housekeeping));
    server_want(server, tally_deadline(&server->tally));
}

static enum result dispatch(struct server *server, struct problem *problem)
{
    const struct server_event *event = server->event;
    struct session *session = NULL;

    switch (event->kind) {
    case SERVER_EVENT_OPENED:
        return on_opened(server, problem);
    case SERVER_EVENT_RECEIVED:
        session = hub_find(&server->hub, event->connection);
        if (session != NULL)
            session_receive(session, event->bytes);
        break;
    case SERVER_EVENT_DRAINED:
        session = hub_find(&server->hub, event->connection);
        if (session != NULL)
            session_drained(session);
        break;
    case SERVER_EVENT_CLOSED:
        on_closed(server);
        break;
    case SERVER_EVENT_JOB_DONE:
        on_job_done(server, event->job);
        break;
    case SERVER_EVENT_COMMITTED:
        return on_committed(server, event->outcome, problem);
    case SERVER_EVENT_LOCAL_CHANGE:
        server->adopt_wanted = true;
        break;
    case SERVER_EVENT_REFUSAL:
        server_note_refusal(server, event->refusal, event->user_id, event->text);
        break;
    case SERVER_EVENT_DEADLINE:
        break;
    case SERVER_EVENT_STOP:
        on_stop(server);
        break;
    }
    return RESULT_OK;
}

enum result server_step(struct server *server, const struct server_event *event,
                        struct server_effects *ret_effects, struct problem *problem)
{
    enum result result;

    arena_reset(&server->step_arena);
    server->effect_count = 0;
    server->event = event;
    result = dispatch(server, problem);
    run_own(server);
    if (mono_is_due(server_deadline(server), event->mono))
        scan(server);
    *ret_effects =
        (struct server_effects){.count = server->effect_count, .effects = server->effects};
    server->event = NULL;
    return result;
}

struct mono_time server_deadline(const struct server *server)
{
    struct mono_time soonest = mono_after(server->scanned_at, SCAN_INTERVAL_US);

    return server->deadline.us < soonest.us ? soonest : server->deadline;
}

struct server_status server_status(const struct server *server)
{
    struct server_status status = server->status;

    status.connection_count = server->hub.count;
    status.live_count = server->live_count;
    status.handshake_count = server->gate.unfinished;
    status.head = server->head;
    status.is_stopped =
        server->is_stopping && server->hub.count == 0 && !server->housekeeping.is_running;
    return status;
}

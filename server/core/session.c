/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/session.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAY(state) (1u << SESSION_##state)

/* Where each state may lead. */
static const unsigned MOVES[SESSION_STATE_COUNT] = {
    [SESSION_GREETING] = MAY(AUTHENTICATING) | MAY(CLOSING),
    [SESSION_AUTHENTICATING] = MAY(ENROLLING) | MAY(RESUMING) | MAY(PARTING) | MAY(CLOSING),
    [SESSION_ENROLLING] = MAY(CLOSING),
    [SESSION_RESUMING] = MAY(LIVE) | MAY(JUDGING) | MAY(PARTING) | MAY(CLOSING),
    [SESSION_LIVE] = MAY(JUDGING) | MAY(PARTING) | MAY(CLOSING),
    [SESSION_JUDGING] = MAY(PARTING) | MAY(CLOSING),
    [SESSION_PARTING] = MAY(CLOSING),
    [SESSION_CLOSING] = 0,
};

const char *session_state_name(enum session_state state)
{
    static const char *const NAMES[SESSION_STATE_COUNT] = {
        "greeting", "authenticating", "enrolling", "resuming",
        "live",     "judging",        "parting",   "closing",
    };

    return NAMES[state];
}

void session_move(struct session *session, enum session_state state)
{
    struct server *server = session->server;

    invariant((MOVES[session->state] & (1u << state)) != 0);
    if (session->state == SESSION_LIVE)
        server->live_count--;
    if (state == SESSION_LIVE)
        server->live_count++;
    session->state = state;
    server_want(server, session_deadline(session));
}

/* ---- birth and death ---- */

static enum result open_channel(struct session *session, const uint8_t *seed,
                                struct problem *problem)
{
    struct server *server = session->server;
    struct channel_server_options options = {
        .static_keys = server->static_keys,
        .hello = server_hello(server, 0),
        .seed = seed,
        .body_size_max = LIMIT_BODY_SIZE_MAX,
    };

    return channel_create_server(&options, &session->channel, problem);
}

enum result session_create(struct server *server, const struct server_event *event,
                           size_t gate_place, struct session **ret_session, struct problem *problem)
{
    struct session *session = calloc(1, sizeof *session);
    enum result result;

    if (session == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a session");
    session->server = server;
    session->connection = event->connection;
    session->state = SESSION_GREETING;
    session->gate_place = gate_place;
    snprintf(session->peer, sizeof session->peer, "%s", event->peer);
    snprintf(session->name, sizeof session->name, "connection %" PRIu64, event->connection);
    session->greeting_by = mono_after(event->mono, gate_is_crowded(&server->gate, gate_place)
                                                       ? SECONDS(LIMIT_HANDSHAKE_CROWDED_SECONDS)
                                                       : SECONDS(LIMIT_HANDSHAKE_SECONDS));
    session->heard_at = event->mono;
    result = open_channel(session, event->seed, problem);
    if (result != RESULT_OK) {
        free(session);
        return result;
    }
    session->is_counted = true;
    *ret_session = session;
    return RESULT_OK;
}

/* Gives back all but the session's own place. */
static void let_go(struct session *session)
{
    struct server *server = session->server;

    session_drop_work(session);
    identity_wipe(session->key_seed, sizeof session->key_seed);
    for (size_t i = session->frame_first; i < session->frame_count; i++)
        shared_frame_release(session->frames[i]);
    free(session->frames);
    session->frames = NULL;
    session->frame_first = session->frame_count = session->frame_capacity = 0;
    channel_destroy(session->channel);
    session->channel = NULL;
    if (session->is_counted)
        gate_leave(&server->gate, session->gate_place);
    session->is_counted = false;
    hub_drop_replica(&server->hub, session);
}

/* The first receipt of a session says where the device stood before it, perhaps at the same seq. */
bool session_is_caught_up(const struct session *session, int64_t published_seq)
{
    return session->catch_up_seq != 0 && session->has_published && session->is_confirmed &&
           published_seq >= session->catch_up_seq;
}

/* What the device has shown last is worth a line even when it left; nobody waits for the answer. */
static void leave_receipt(struct session *session)
{
    struct server_effect effect = {.kind = SERVER_EFFECT_WRITE};
    struct problem problem = {0};

    if (session->receipt_seq == 0)
        return;
    effect.job = job_create(JOB_RECEIPT, JOB_ARENA_OVERHEAD);
    if (effect.job == NULL)
        return;
    effect.job->session_no = session->connection;
    effect.job->replica_no = session->replica_no;
    effect.job->user_id = session->user_id;
    effect.job->schema_version = session->schema_version;
    effect.job->contact_no = session->contact_no;
    effect.job->seq = session->receipt_seq;
    effect.job->is_caught_up = session_is_caught_up(session, session->receipt_seq);
    effect.job->now = session->server->event->wall;
    session->receipt_seq = 0;
    if (server_emit(session->server, &effect, &problem) != RESULT_OK)
        job_destroy(effect.job);
}

void session_cut(struct session *session)
{
    struct server *server = session->server;

    if (session->state == SESSION_CLOSING)
        return;
    trace_line(server->trace, "server: %s was cut while %s", session->name,
               session_state_name(session->state));
    if (session->is_counted)
        server->status.refused_handshakes++;
    leave_receipt(session);
}

void session_destroy(struct session *session)
{
    if (session->state == SESSION_LIVE)
        session->server->live_count--;
    let_go(session);
    free(session);
}

static void emit_close(struct session *session)
{
    struct problem problem = {0};
    struct server_effect effect = {
        .kind = SERVER_EFFECT_CLOSE,
        .connection = session->connection,
        .code = session->close_code,
        .text = session->close_text,
    };

    session->close_owed = server_emit(session->server, &effect, &problem) != RESULT_OK;
    if (session->close_owed)
        server_want(session->server, mono_after(session->server->event->mono, SECONDS(1)));
}

void session_close(struct session *session, uint16_t code, const char *text)
{
    if (session->state == SESSION_CLOSING)
        return;
    trace_line(session->server->trace, "server > %s: close %u %s", session->name, code, text);
    if (session->is_counted)
        session->server->status.refused_handshakes++;
    leave_receipt(session);
    let_go(session);
    session_move(session, SESSION_CLOSING);
    session->close_code = code;
    session->close_text = text;
    emit_close(session);
}

void session_bye(struct session *session, const char *code, const char *text,
                 int64_t retry_after_ms)
{
    struct message_text bye = {
        .retry_after_ms = retry_after_ms,
        .code = bytes_of_text(code),
        .text = bytes_of_text(text),
    };

    if (session->state == SESSION_CLOSING)
        return;
    if (session->channel != NULL && channel_is_open(session->channel))
        session_send_text(session, MESSAGE_BYE, &bye);
    session_close(session, SESSION_CLOSE_NORMAL, code);
}

/* ---- jobs ---- */

struct job *session_job(struct session *session, enum job_kind kind, struct bytes body)
{
    struct job *job = job_create(kind, body.size + JOB_ARENA_OVERHEAD);
    struct problem problem = {0};

    /* most jobs have no body: ten thousand of them at once shall not need memory for one */
    if (job == NULL ||
        (body.size > 0 && arena_copy(&job->arena, body, &job->body, &problem) != RESULT_OK)) {
        job_destroy(job);
        session_bye(session, "busy", "no memory", 30 * 1000);
        return NULL;
    }
    job->session_no = session->connection;
    job->replica_no = session->replica_no;
    job->user_id = session->user_id;
    job->schema_version = session->schema_version;
    job->contact_no = session->contact_no;
    job->now = session->server->event->wall;
    return job;
}

void session_submit(struct session *session, enum lane_name lane, struct job *job)
{
    struct problem problem = {0};

    if (lane_add(&session->lanes[lane], session->server, job, &problem) == RESULT_OK) {
        lane_run(&session->lanes[lane], session->server);
        return;
    }
    trace_line(session->server->trace, "server: %s: %s", session->name, problem.text);
    session_bye(session, "busy", "too much waits already", 30 * 1000);
}

/* A feed that is with a running job comes along when that one is dropped. */
void session_drop_work(struct session *session)
{
    if (!session->lanes[LANE_FEED].is_running)
        feed_destroy(session->feed);
    session->feed = NULL;
    for (int lane = 0; lane < LANE_COUNT; lane++)
        lane_clear(&session->lanes[lane], session->server);
}

void session_judge(struct session *session)
{
    if (session->state != SESSION_LIVE && session->state != SESSION_RESUMING)
        return;
    trace_line(session->server->trace, "server: %s is no longer welcome", session->name);
    session_drop_work(session);
    session_move(session, SESSION_JUDGING);
    session_authenticate(session);
}

/* ---- receiving ---- */

static void fail_channel(struct session *session, enum result result, const struct problem *problem)
{
    bool is_early = session->is_counted;

    trace_line(session->server->trace, "server: %s: %s", session->name, problem->text);
    if (result == RESULT_EXHAUSTED)
        session_close(session, SESSION_CLOSE_BUSY, "busy");
    else if (is_early)
        session_close(session, SESSION_CLOSE_HANDSHAKE, "handshake failed");
    else
        session_close(session, SESSION_CLOSE_PROTOCOL, "protocol error");
}

static void need_key(struct session *session, const struct channel_event *event)
{
    session->is_enrolment = event->peer_kind == CHANNEL_ENROL;
    memcpy(session->static_key, event->peer_static_key, NOISE_KEY_SIZE);
    if (session->is_enrolment)
        memcpy(session->token_id, event->peer_token_id, IDENTITY_TOKEN_ID_SIZE);
    session_move(session, SESSION_AUTHENTICATING);
    session_authenticate(session);
}

void session_receive(struct session *session, struct bytes message)
{
    struct server *server = session->server;
    struct channel_event event = {0};
    struct problem problem = {0};
    enum result result;

    server->status.bytes_received += (int64_t)message.size;
    if (session->state == SESSION_CLOSING)
        return;
    result = channel_receive(session->channel, message, &server->step_arena, &event, &problem);
    if (result == RESULT_WAIT) /* more bytes before we know who it is: nobody of ours does that */
        result = RESULT_MALFORMED;
    if (result == RESULT_OK && event.kind == CHANNEL_SEND)
        result = session_send_raw(session, event.message, &problem);
    if (result != RESULT_OK) {
        fail_channel(session, result, &problem);
        return;
    }
    session->heard_at = server->event->mono;
    if (event.kind == CHANNEL_NEED_PSK)
        need_key(session, &event);
    else if (event.kind == CHANNEL_FRAME)
        session_take_frame(session, &event.frame);
}

void session_begin(struct session *session)
{
    struct bytes hello = {0};
    struct problem problem = {0};
    enum result result =
        channel_start(session->channel, &session->server->step_arena, &hello, &problem);

    trace_line(session->server->trace, "server: %s from %s", session->name, session->peer);
    if (result == RESULT_OK)
        result = session_send_raw(session, hello, &problem);
    if (result != RESULT_OK)
        fail_channel(session, result, &problem);
    else
        server_want(session->server, session_deadline(session));
}

/* ---- time ---- */

static struct mono_time silent_at(const struct session *session)
{
    return mono_after(session->heard_at, SECONDS(LIMIT_SILENCE_SECONDS));
}

void session_has_spoken(struct session *session)
{
    struct server *server = session->server;

    session->ping_at =
        mono_after(server->event->mono, server_jitter(server, SECONDS(LIMIT_PING_SECONDS_MAX),
                                                      SECONDS(LIMIT_SERVER_PING_SECONDS_MAX)));
}

struct mono_time session_deadline(const struct session *session)
{
    struct mono_time deadline = MONO_NEVER;

    if (session->state == SESSION_CLOSING)
        return deadline;
    deadline = session->is_counted ? session->greeting_by : silent_at(session);
    for (int lane = 0; lane < LANE_COUNT; lane++)
        deadline = mono_earlier(deadline, lane_deadline(&session->lanes[lane]));
    if (session->state == SESSION_LIVE) {
        deadline = mono_earlier(deadline, session->ping_at);
        deadline = mono_earlier(deadline, session->renew_at);
    }
    if (session->state == SESSION_PARTING)
        deadline = mono_earlier(deadline, session->part_by);
    return deadline;
}

static void tick_live(struct session *session, struct mono_time now)
{
    if (mono_is_due(session->renew_at, now) || channel_is_worn(session->channel)) {
        session_bye(session, "renew", "fresh keys are due", 0);
        return;
    }
    if (mono_is_due(session->ping_at, now))
        session_send_ping(session);
    session_feed(session);
}

void session_tick(struct session *session)
{
    struct mono_time now = session->server->event->mono;

    if (session->state == SESSION_CLOSING) {
        if (session->close_owed)
            emit_close(session);
        return;
    }
    if (session->is_counted && mono_is_due(session->greeting_by, now)) {
        session_close(session, SESSION_CLOSE_HANDSHAKE, "handshake failed");
        return;
    }
    if (!session->is_counted && mono_is_due(silent_at(session), now)) {
        session_close(session, SESSION_CLOSE_SILENT, "nothing heard");
        return;
    }
    if (session->state == SESSION_PARTING && mono_is_due(session->part_by, now)) {
        session_close(session, SESSION_CLOSE_NORMAL, "revoked");
        return;
    }
    for (int lane = 0; lane < LANE_COUNT; lane++)
        lane_run(&session->lanes[lane], session->server);
    if (session->state == SESSION_LIVE)
        tick_live(session, now);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "server/core/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PART_LIMIT_US MINUTES(10) /* for a device that leaves its work behind */

enum { HELD_RETRY_MS = 300 * 1000, PENDING_RETRY_MS = 10 * 1000, SEED_SIZE = 64 };

/* ---- who is it? ---- */

void session_authenticate(struct session *session)
{
    bool is_enrolment = session->is_enrolment;
    struct job *job = session_job(session, JOB_AUTHENTICATE, (struct bytes){0});
    struct bytes key = is_enrolment ? bytes_of(session->token_id, sizeof session->token_id)
                                    : bytes_of(session->static_key, sizeof session->static_key);
    struct problem problem = {0};

    if (job == NULL)
        return;
    job->is_enrolment = is_enrolment;
    job->peer = arena_format(&job->arena, "%s", session->peer);
    if (job->peer == NULL || arena_copy(&job->arena, key, &job->key, &problem) != RESULT_OK) {
        job_destroy(job);
        session_close(session, SESSION_CLOSE_BUSY, "busy");
        return;
    }
    session_submit(session, LANE_GREETING, job);
}

/* A secret decides whether the enrolment may be tried; nobody outside sees the difference. */
static const uint8_t *key_of(struct session *session, const struct job *job)
{
    struct server *server = session->server;

    if (session->is_enrolment && !gate_may_enrol(&server->gate, session->gate_place,
                                                 session->token_id, server->event->mono)) {
        trace_line(server->trace, "server: %s: too many wrong codes from %s", session->name,
                   session->peer);
        return NULL;
    }
    if (job->result != RESULT_OK || !job->is_known) {
        trace_line(server->trace, "server: %s: unknown %s", session->name,
                   session->is_enrolment ? "enrolment code" : "device");
        return NULL;
    }
    return job->psk;
}

/* The port says nothing, and neither do more than four bytes of the code's number. */
static void note_wrong_code(struct session *session)
{
    char text[128];
    char id[2 * 4 + 1];
    const char *colon = strrchr(session->peer, ':');

    bytes_to_hex(bytes_of(session->token_id, 4), id);
    (void)snprintf(text, sizeof text, "code %s... from %.*s", id,
                   colon == NULL ? 64 : (int)(colon - session->peer), session->peer);
    server_note_refusal(session->server, TALLY_CODE, 0, text);
}

static void refuse_greeting(struct session *session, const struct problem *problem)
{
    struct server *server = session->server;

    trace_line(server->trace, "server: %s: refused: %s", session->name, problem->text);
    if (session->is_enrolment) {
        gate_note_wrong_code(&server->gate, session->gate_place, session->token_id,
                             server->event->mono);
        note_wrong_code(session);
    }
    session_close(session, SESSION_CLOSE_HANDSHAKE, "handshake failed");
}

/* The job that comes after the handshake, with 64 random bytes for keys and tokens. */
static void submit_greeting(struct session *session, enum job_kind kind, struct bytes greeting)
{
    struct job *job = session_job(session, kind, greeting);
    const uint8_t *seed = session->server->event->seed;
    struct problem problem = {0};
    struct bytes key = bytes_of(session->token_id, sizeof session->token_id);
    struct bytes static_key = bytes_of(session->static_key, sizeof session->static_key);

    if (job == NULL)
        return;
    invariant(seed != NULL);
    job->peer = arena_format(&job->arena, "%s", session->peer);
    if (job->peer == NULL ||
        arena_copy(&job->arena, bytes_of(seed, SEED_SIZE), &job->seed, &problem) != RESULT_OK ||
        arena_copy(&job->arena, key, &job->key, &problem) != RESULT_OK ||
        arena_copy(&job->arena, static_key, &job->static_key, &problem) != RESULT_OK) {
        job_destroy(job);
        session_close(session, SESSION_CLOSE_BUSY, "busy");
        return;
    }
    session_submit(session, LANE_GREETING, job);
}

/* It knows now. It may stay to leave its unsent work behind; nothing else happens any more. */
static void say_revoked(struct session *session, bool wipe)
{
    struct message_text text = {
        .wipe = wipe,
        .code = bytes_of_text("revoked"),
        .text = bytes_of_text(wipe ? "This device was revoked; its data is to be removed."
                                   : "This device was revoked."),
    };

    session_drop_work(session);
    session_send_text(session, MESSAGE_REVOKED, &text);
    session->part_by = mono_after(session->server->event->mono, PART_LIMIT_US);
    session_move(session, SESSION_PARTING);
}

static void say_held(struct session *session)
{
    session->server->status.held_contacts++;
    session_bye(session, "held",
                "Two copies of this device were seen. Nothing is lost; ask your office.",
                HELD_RETRY_MS);
}

/* The device shows its fingerprint beside these words and asks again by itself. */
static void say_pending(struct session *session)
{
    session_bye(session, "pending", "The office has not confirmed this device yet.",
                PENDING_RETRY_MS);
}

/* Devices that are revoked, held or not confirmed are told, inside the channel, and go. True: none
 * of these. */
static bool is_welcome(struct session *session, const struct job *job)
{
    if (job->state == REPLICA_REVOKED)
        say_revoked(session, job->wipe);
    else if (job->state == REPLICA_HELD)
        say_held(session);
    else if (job->state == REPLICA_PENDING)
        say_pending(session);
    else
        return true;
    return false;
}

/* One device that connects again and again costs a commit each time. */
static bool comes_too_often(struct session *session)
{
    struct server *server = session->server;
    struct mono_time now = server->event->mono;
    int64_t wait_ms =
        throttle_wait_ms(&server->throttle, THROTTLE_SESSIONS, session->replica_no, now);

    if (wait_ms > 0)
        session_bye(session, "busy", "This device connects too often. Nothing is lost.", wait_ms);
    else
        throttle_spend(&server->throttle, THROTTLE_SESSIONS, session->replica_no, 1, now);
    return wait_ms > 0;
}

/* A device opens a connection when it has given up the one before. What it sent on that one may
 * come all the same, after newer connections were welcomed and perhaps ended, and would look like a
 * copy of the device that still has the token of then. A copy comes again, on a connection of its
 * own. (No connection outlives the server, so memory is enough to know.) */
static bool is_late(const struct session *session, int64_t replica_no)
{
    return hub_newest_of(&session->server->hub, replica_no) > session->connection;
}

static void welcome_replica(struct session *session, const struct job *job, struct bytes greeting)
{
    struct server *server = session->server;
    struct session *older = NULL;

    if (is_late(session, job->replica_no)) {
        session_bye(session, "replaced", "the device has a newer connection", 0);
        return;
    }
    session->replica_no = job->replica_no;
    session->user_id = job->user_id;
    snprintf(session->name, sizeof session->name, "replica %" PRId64, job->replica_no);
    older = hub_claim_replica(&server->hub, session, session->replica_no);
    if (older != NULL)
        session_bye(older, "replaced", "the device has connected again", 0);
    if (comes_too_often(session) ||
        (job->state != REPLICA_HELD && !is_welcome(session, job))) /* says first which copy it is */
        return;
    session_move(session, SESSION_RESUMING);
    submit_greeting(session, JOB_RESUME, greeting);
}

static void on_authenticated(struct session *session, struct job *job)
{
    struct server *server = session->server;
    struct channel_event event = {0};
    struct problem problem = {0};
    enum result result;

    if (session->state == SESSION_JUDGING) {
        if (!job->is_known)
            say_revoked(session, false);
        else if (is_welcome(session, job))
            session_bye(session, "renew", "the device was let in again", 0);
        return;
    }
    result =
        channel_psk(session->channel, key_of(session, job), &server->step_arena, &event, &problem);
    if (result == RESULT_EXHAUSTED) {
        session_close(session, SESSION_CLOSE_BUSY, "busy");
        return;
    }
    if (result != RESULT_OK) {
        refuse_greeting(session, &problem);
        return;
    }
    gate_leave(&server->gate, session->gate_place);
    session->is_counted = false;
    session->heard_at = server->event->mono;
    if (server->dictionary.number != 0)
        channel_set_dictionary(session->channel, server->dictionary);
    if (session->is_enrolment) {
        session_move(session, SESSION_ENROLLING);
        submit_greeting(session, JOB_ENROL, event.greeting);
    } else {
        welcome_replica(session, job, event.greeting);
    }
}

/* ---- the answers ---- */

/* Proven peers get a reason. */
/* What may be sent of a problem. */
static const char *reason_of(const struct problem *problem)
{
    struct bytes text = bytes_of_text(problem->text);

    return text.size > LIMIT_REASON_SIZE_MAX || !bytes_are_text(text) ? "see the server's log"
                                                                      : problem->text;
}

static void say_error(struct session *session, const char *code, const struct problem *problem)
{
    struct message_text text = {
        .code = bytes_of_text(code),
        .text = bytes_of_text(reason_of(problem)),
    };

    session_send_text(session, MESSAGE_ERROR, &text);
}

static void on_enrolled(struct session *session, struct job *job)
{
    if (job->result == RESULT_OK) {
        trace_line(session->server->trace, "server > %s: enrolled as replica %" PRId64,
                   session->name, job->replica_no);
        session_send_frames(session, job, true);
    } else {
        trace_line(session->server->trace, "server: %s: enrolment %s: %s", session->name,
                   result_name(job->result), job->problem.text);
        if (job->result == RESULT_REFUSED)
            note_wrong_code(session);
        say_error(session, "enrolment", &job->problem);
    }
    session_close(session, SESSION_CLOSE_NORMAL, "enrolment is over");
}

static void on_resumed(struct session *session, struct job *job)
{
    struct server *server = session->server;
    struct mono_time now = server->event->mono;

    if (job->result != RESULT_OK) {
        trace_line(server->trace, "server: %s: resume %s: %s", session->name,
                   result_name(job->result), job->problem.text);
        feed_destroy(job->feed);
        job->feed = NULL;
        if (job->result == RESULT_MALFORMED) {
            session_close(session, SESSION_CLOSE_PROTOCOL, "protocol error");
        } else if (job->state == REPLICA_RENEWED) {
            session_send_frames(session, job, true);
            session_close(session, SESSION_CLOSE_NORMAL, "another identity");
        } else if (is_welcome(session, job)) {
            say_error(session, "resume", &job->problem);
            session_close(session, SESSION_CLOSE_NORMAL, "resume refused");
        }
        return;
    }
    if (!is_welcome(session, job)) {
        feed_destroy(job->feed);
        job->feed = NULL;
        return;
    }
    invariant(server->event->seed != NULL);
    memcpy(session->key_seed, server->event->seed, sizeof session->key_seed);
    session->feed = job->feed;
    job->feed = NULL;
    session->schema_version = job->schema_version;
    session->catch_up_seq = job->catch_up_seq;
    session->contact_no = job->contact_no;
    session_move(session, SESSION_LIVE);
    session_has_spoken(session);
    session->renew_at = mono_after(
        now, server_jitter(server, HOURS(LIMIT_SESSION_HOURS - 1), HOURS(LIMIT_SESSION_HOURS)));
    server_want(server, session_deadline(session));
    trace_line(server->trace, "server > %s: WELCOME, %zu frames", session->name, job->frame_count);
    session_send_frames(session, job, true);
    session->feed_wanted = true;
    session_feed(session);
}

static void on_pushed(struct session *session, struct job *job)
{
    struct server *server = session->server;

    if (job->result == RESULT_OK) {
        server->status.pushes++;
        throttle_spend(&server->throttle, THROTTLE_CHANGES, session->replica_no, job->change_count,
                       server->event->mono);
        if (job->frame_count > 0)
            trace_line(server->trace, "server > %s: VERDICT, %zu frames", session->name,
                       job->frame_count);
        session_send_frames(session, job, true);
        return;
    }
    trace_line(server->trace, "server: %s: push %s: %s", session->name, result_name(job->result),
               job->problem.text);
    if (job->result == RESULT_MALFORMED)
        session_close(session, SESSION_CLOSE_PROTOCOL, "protocol error");
    else if (is_welcome(session, job)) /* held: the same seal with other contents, a fork */
        session_bye(session, "push_refused", reason_of(&job->problem), HELD_RETRY_MS);
}

static void on_side_done(struct session *session, struct job *job)
{
    if (job->result == RESULT_OK) {
        bool is_repair = job->kind == JOB_REPAIR && job->frame_count > 0;

        session_send_frames(session, job, false);
        if (is_repair) {
            session->has_repaired = session->feed_wanted = true;
            session_feed(session);
        }
        return;
    }
    trace_line(session->server->trace, "server: %s: %s %s: %s", session->name, job_name(job->kind),
               result_name(job->result), job->problem.text);
    if (job->result == RESULT_MALFORMED)
        session_close(session, SESSION_CLOSE_PROTOCOL, "protocol error");
    else
        say_error(session, job_name(job->kind), &job->problem);
}

/* ---- the feed ---- */

void session_feed(struct session *session)
{
    struct job *job = NULL;
    struct lane *lane = &session->lanes[LANE_FEED];

    if (session->state != SESSION_LIVE || lane->count > 0 || !session->feed_wanted ||
        session->frame_count > 0 ||
        session->queue_size + SESSION_FEED_ROOM_MIN > SESSION_WINDOW_SIZE)
        return;
    job = session_job(session, JOB_FEED, (struct bytes){0});
    if (job == NULL)
        return;
    job->feed = session->feed;
    job->publishes = session->has_repaired;
    session->has_repaired = false;
    job->send_room = SESSION_WINDOW_SIZE - session->queue_size;
    session->feed_wanted = false;
    session_submit(session, LANE_FEED, job);
}

static void on_fed(struct session *session, struct job *job)
{
    struct server *server = session->server;

    if (job->result != RESULT_OK) {
        trace_line(server->trace, "server: %s: feed %s: %s", session->name,
                   result_name(job->result), job->problem.text);
        session_bye(session, "feed", "the server can't read for this device now", 60 * 1000);
        return;
    }
    if (job->frame_count > 0)
        trace_line(server->trace, "server > %s: %zu frames%s, published %" PRId64, session->name,
                   job->frame_count, job->feed_has_more ? ", more to come" : "",
                   job->published_seq);
    if (job->published_seq != 0 && job->frame_count > 0) {
        server->status.publishes++;
        session->has_published = true;
    }
    if (job->publishes && job->feed_has_more)
        session->has_repaired = true;
    session->feed_wanted = job->feed_has_more || session->has_repaired ||
                           feed_published_seq(session->feed) < session->wake_seq;
    session->wake_seq = 0;
    session_send_frames(session, job, false);
    session_feed(session);
}

void session_wake(struct session *session, int64_t seq, bool is_concerned)
{
    if (session->state != SESSION_LIVE)
        return;
    if (session->lanes[LANE_FEED].count > 0) {
        session->wake_seq = seq;
        return;
    }
    if (is_concerned) {
        session->feed_wanted = true;
        session_feed(session);
    }
}

/* ---- all of them ---- */

void session_job_done(struct session *session, struct job *job)
{
    struct server *server = session->server;
    struct lane *lane = NULL;

    for (int i = 0; i < LANE_COUNT && lane == NULL; i++)
        if (lane_has(&session->lanes[i], job))
            lane = &session->lanes[i];
    if (lane == NULL) { /* asked for before it was judged or closed */
        server_drop_job(job);
        return;
    }
    if (!lane_take_back(lane, server, job))
        return;
    switch (job->kind) {
    case JOB_AUTHENTICATE:
        on_authenticated(session, job);
        break;
    case JOB_ENROL:
        on_enrolled(session, job);
        break;
    case JOB_RESUME:
        on_resumed(session, job);
        break;
    case JOB_PUSH:
        on_pushed(session, job);
        break;
    case JOB_FEED:
        on_fed(session, job);
        break;
    default:
        on_side_done(session, job);
        break;
    }
    job_destroy(job);
    for (int i = 0; i < LANE_COUNT && session->state != SESSION_CLOSING; i++)
        lane_run(&session->lanes[i], server);
}

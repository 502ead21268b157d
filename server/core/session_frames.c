/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "server/core/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RECEIPT_INTERVAL_US SECONDS(60)

enum { NEW_KEYS_MAX = 2 }; /* a session */

/* ---- going out ---- */

enum result session_send_raw(struct session *session, struct bytes message, struct problem *problem)
{
    struct server_effect effect = {
        .kind = SERVER_EFFECT_SEND,
        .connection = session->connection,
        .bytes = message,
    };
    enum result result = RESULT_OK;

    if (session->queue_size > SESSION_QUEUE_SIZE_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "%zu bytes wait to be read",
                           session->queue_size);
    result = server_emit(session->server, &effect, problem);
    if (result == RESULT_OK) {
        session_has_spoken(session);
        session->queue_size += message.size + SESSION_MESSAGE_OVERHEAD;
        session->server->status.bytes_sent += (int64_t)message.size;
    }
    return result;
}

static enum result send_all(struct session *session, const struct channel_messages *messages,
                            struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < messages->count && result == RESULT_OK; i++)
        result = session_send_raw(session, messages->messages[i], problem);
    return result;
}

/* A message that was sealed and not sent breaks the channel, so a failure ends the session. */
static void send_failed(struct session *session, const struct problem *problem)
{
    trace_line(session->server->trace, "server: sending to %s: %s", session->name, problem->text);
    session_close(session, SESSION_CLOSE_BUSY, "busy");
}

/* Level 0: these are short, and some hold secrets. */
static enum result send_body(struct session *session, enum message_type type, struct bytes body,
                             struct problem *problem)
{
    struct channel_messages messages = {0};
    enum result result = channel_send(session->channel, (uint8_t)type, body, 0,
                                      &session->server->step_arena, &messages, problem);

    return result == RESULT_OK ? send_all(session, &messages, problem) : result;
}

void session_send_text(struct session *session, enum message_type type,
                       const struct message_text *text)
{
    struct buffer body;
    struct problem problem = {0};
    enum result result;

    buffer_init(&body, 4096);
    result = message_text_encode(text, &body, &problem);
    if (result == RESULT_OK)
        result = send_body(session, type, buffer_bytes(&body), &problem);
    buffer_done(&body);
    trace_line(session->server->trace, "server > %s: %s %.*s%s%s", session->name,
               message_name((int)type), (int)text->code.size, (const char *)text->code.data,
               result == RESULT_OK ? "" : ", not sent: ", result == RESULT_OK ? "" : problem.text);
}

static void send_ping_or_pong(struct session *session, enum message_type type, int64_t nonce)
{
    struct message_ping ping = {.nonce = nonce};
    struct buffer body;
    struct problem problem = {0};
    enum result result;

    buffer_init(&body, 64);
    result = message_ping_encode(&ping, &body, &problem);
    if (result == RESULT_OK)
        result = send_body(session, type, buffer_bytes(&body), &problem);
    buffer_done(&body);
    if (result != RESULT_OK)
        send_failed(session, &problem);
}

void session_send_ping(struct session *session)
{
    int64_t nonce = (int64_t)(prng_next(&session->server->prng) >> 2);

    send_ping_or_pong(session, MESSAGE_PING, nonce);
    server_want(session->server, session->ping_at);
}

/* How many of the frames belong to the first body: all that say "more follow", and the next. */
static size_t body_frames(struct shared_frame *const *frames, size_t count)
{
    size_t i = 0;

    while (i + 1 < count && (frames[i]->bytes[1] & FRAME_MORE) != 0)
        i++;
    return i + 1;
}

/* Seals whole bodies, so that another message may always come between two calls. */
static enum result send_one_body(struct session *session, struct shared_frame *const *frames,
                                 size_t count, struct problem *problem)
{
    struct arena *arena = &session->server->step_arena;
    struct bytes *plain = arena_array(arena, count, sizeof *plain);
    struct channel_messages messages = {0};
    struct frame_list list = {.frames = plain, .count = count};
    enum result result;

    if (plain == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < count; i++)
        plain[i] = bytes_of(frames[i]->bytes, frames[i]->size);
    result = channel_seal(session->channel, &list, arena, &messages, problem);
    return result == RESULT_OK ? send_all(session, &messages, problem) : result;
}

static enum result keep_frames(struct session *session, struct job *job, struct problem *problem)
{
    size_t count = session->frame_count + job->frame_count;

    if (count > session->frame_capacity) {
        struct shared_frame **frames = realloc(session->frames, count * sizeof *frames);

        if (frames == NULL)
            return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu frames", count);
        session->frames = frames;
        session->frame_capacity = count;
    }
    for (size_t i = 0; i < job->frame_count; i++)
        session->frames[session->frame_count + i] = shared_frame_hold(job->frames[i]);
    session->frame_count = count;
    return RESULT_OK;
}

static void send_kept_frames(struct session *session)
{
    struct problem problem = {0};
    enum result result = RESULT_OK;

    while (session->frame_first < session->frame_count &&
           session->queue_size < SESSION_WINDOW_SIZE && result == RESULT_OK) {
        struct shared_frame **frames = session->frames + session->frame_first;
        size_t count = body_frames(frames, session->frame_count - session->frame_first);

        result = send_one_body(session, frames, count, &problem);
        for (size_t i = 0; i < count; i++)
            shared_frame_release(frames[i]);
        session->frame_first += count;
    }
    if (session->frame_first == session->frame_count) {
        free(session->frames);
        session->frames = NULL;
        session->frame_first = session->frame_count = session->frame_capacity = 0;
    }
    if (result != RESULT_OK)
        send_failed(session, &problem);
}

void session_send_frames(struct session *session, struct job *job, bool is_urgent)
{
    struct problem problem = {0};
    enum result result = RESULT_OK;

    if (session->state == SESSION_CLOSING || job->frame_count == 0)
        return;
    if (is_urgent) {
        for (size_t at = 0; at < job->frame_count && result == RESULT_OK;) {
            size_t count = body_frames(job->frames + at, job->frame_count - at);

            result = send_one_body(session, job->frames + at, count, &problem);
            at += count;
        }
    } else {
        result = keep_frames(session, job, &problem);
        if (result == RESULT_OK) {
            send_kept_frames(session);
            return;
        }
    }
    if (result != RESULT_OK)
        send_failed(session, &problem);
}

void session_drained(struct session *session)
{
    session->queue_size = 0;
    if (session->state != SESSION_LIVE)
        return;
    send_kept_frames(session);
    session_feed(session);
}

/* ---- coming in ---- */

/* Told to wait, the device keeps what it has and sends that part of it again later. */
static void say_wait(struct session *session, const char *code, int64_t wait_ms)
{
    struct message_text text = {
        .retry_after_ms = wait_ms,
        .code = bytes_of_text(code),
        .text = bytes_of_text("This device sends more than it may in a minute. Nothing is lost."),
    };

    session_send_text(session, MESSAGE_ERROR, &text);
}

static int64_t longer_wait_ms(struct session *session, enum throttle_kind a, enum throttle_kind b)
{
    struct server *server = session->server;
    struct mono_time now = server->event->mono;
    int64_t first = throttle_wait_ms(&server->throttle, a, session->replica_no, now);
    int64_t second = throttle_wait_ms(&server->throttle, b, session->replica_no, now);

    return first > second ? first : second;
}

/* A seal is let in or not as a whole, at its first part: one that is larger than what a minute
 * allows would never arrive otherwise. */
static bool may_push(struct session *session, struct bytes body)
{
    int64_t wait_ms = 0;

    if (!message_push_is_first_part(body))
        return !session->is_push_dropped;
    wait_ms = longer_wait_ms(session, THROTTLE_CHANGES, THROTTLE_BYTES);
    session->is_push_dropped = wait_ms > 0;
    if (wait_ms > 0)
        say_wait(session, "busy", wait_ms);
    return wait_ms == 0;
}

static void on_push(struct session *session, struct bytes body)
{
    enum job_kind kind = session->state == SESSION_PARTING ? JOB_DEPOSIT : JOB_PUSH;
    struct job *job = may_push(session, body) ? session_job(session, kind, body) : NULL;

    if (job != NULL)
        session_submit(session, LANE_PUSH, job);
}

static void submit_side(struct session *session, enum job_kind kind, uint8_t message,
                        struct bytes body)
{
    struct job *job = session_job(session, kind, body);

    if (job == NULL)
        return;
    job->message = message;
    session_submit(session, LANE_SIDE, job);
}

static void on_digest(struct session *session, struct bytes body)
{
    submit_side(session, JOB_DIGEST, MESSAGE_DIGEST, body);
}

static void on_repair(struct session *session, struct bytes body)
{
    submit_side(session, JOB_REPAIR, MESSAGE_REPAIR, body);
}

/* Only the first of them is answered: the rest of the window is on its way already. */
static bool may_send_blob(struct session *session, bool is_begin)
{
    int64_t wait_ms = 0;

    if (session->is_blob_dropped && !is_begin)
        return false;
    wait_ms = longer_wait_ms(session, is_begin ? THROTTLE_BLOBS : THROTTLE_BYTES, THROTTLE_BYTES);
    session->is_blob_dropped = wait_ms > 0;
    if (wait_ms > 0)
        say_wait(session, job_name(JOB_BLOB), wait_ms);
    else if (is_begin)
        throttle_spend(&session->server->throttle, THROTTLE_BLOBS, session->replica_no, 1,
                       session->server->event->mono);
    return wait_ms == 0;
}

static void on_blob_have(struct session *session, struct bytes body)
{
    if (may_send_blob(session, true))
        submit_side(session, JOB_BLOB, MESSAGE_BLOB_HAVE, body);
}

/* Who asks for more before he has what he asked for gets a single part for it. */
static void on_blob_want(struct session *session, struct bytes body)
{
    bool is_served = session->lanes[LANE_SIDE].count == 0 && session->frame_count == 0 &&
                     session->queue_size < SESSION_WINDOW_SIZE;
    struct job *job = session_job(session, JOB_BLOB, body);

    if (job == NULL)
        return;
    job->message = MESSAGE_BLOB_WANT;
    job->send_room = is_served ? SESSION_WINDOW_SIZE - session->queue_size : 0;
    session_submit(session, LANE_SIDE, job);
}

static void on_blob_part(struct session *session, struct bytes body)
{
    if (may_send_blob(session, false))
        submit_side(session, JOB_BLOB, MESSAGE_BLOB_PART, body);
}

static void malformed(struct session *session, const struct problem *problem)
{
    trace_line(session->server->trace, "server: %s: %s", session->name, problem->text);
    session_close(session, SESSION_CLOSE_PROTOCOL, "protocol error");
}

/* A device changes its keys twice a year: more than a try again is somebody playing. */
static void on_new_key(struct session *session, struct bytes body)
{
    struct bytes seed = bytes_of(session->key_seed, sizeof session->key_seed);
    struct problem problem = {0};
    struct job *job = NULL;

    if (session->new_key_count >= NEW_KEYS_MAX)
        return;
    session->new_key_count++;
    job = session_job(session, JOB_NEW_KEY, body);
    if (job == NULL)
        return;
    if (arena_copy(&job->arena, seed, &job->seed, &problem) != RESULT_OK) {
        job_destroy(job);
        session_bye(session, "busy", "no memory", 30 * 1000);
        return;
    }
    session_submit(session, LANE_SIDE, job);
}

/* Noted now and then, not each time: it says what may be forgotten, which is in no hurry. */
static void on_published(struct session *session, struct bytes body)
{
    struct server *server = session->server;
    struct message_published published = {0};
    struct problem problem = {0};
    struct job *job = NULL;

    if (message_published_decode(body, &server->step_arena, &published, &problem) != RESULT_OK) {
        malformed(session, &problem);
        return;
    }
    session->receipt_seq = published.seq;
    if (!mono_is_due(session->receipt_at, server->event->mono) &&
        !session_is_caught_up(session, published.seq))
        return;
    job = session_job(session, JOB_RECEIPT, (struct bytes){0});
    if (job == NULL)
        return;
    job->seq = published.seq;
    job->is_caught_up = session_is_caught_up(session, published.seq);
    if (job->is_caught_up)
        session->catch_up_seq = 0;
    session->receipt_seq = 0;
    if (session->is_confirmed) /* the first says little more than that WELCOME has arrived */
        session->receipt_at = mono_after(server->event->mono, RECEIPT_INTERVAL_US);
    session->is_confirmed = true;
    session_submit(session, LANE_SIDE, job);
}

static void on_ping(struct session *session, struct bytes body)
{
    struct message_ping ping = {0};
    struct problem problem = {0};

    if (message_ping_decode(body, &session->server->step_arena, &ping, &problem) != RESULT_OK)
        malformed(session, &problem);
    else
        send_ping_or_pong(session, MESSAGE_PONG, ping.nonce);
}

static void on_pong(struct session *session, struct bytes body)
{
    struct message_ping pong = {0};
    struct problem problem = {0};

    if (message_ping_decode(body, &session->server->step_arena, &pong, &problem) != RESULT_OK)
        malformed(session, &problem);
}

/* What it says is for the log; only BYE has an effect. */
static void on_text(struct session *session, struct bytes body)
{
    struct message_text text = {0};
    struct problem problem = {0};

    if (message_text_decode(body, &session->server->step_arena, &text, &problem) != RESULT_OK)
        malformed(session, &problem);
    else
        trace_line(session->server->trace, "%s > server: %.*s: %.*s", session->name,
                   (int)text.code.size, (const char *)text.code.data, (int)text.text.size,
                   (const char *)text.text.data);
}

static void on_bye(struct session *session, struct bytes body)
{
    on_text(session, body);
    session_close(session, SESSION_CLOSE_NORMAL, "the device said goodbye");
}

struct reception {
    unsigned states;
    size_t size_max;
    void (*handle)(struct session *session, struct bytes body);
};

#define WHILE(state) (1u << SESSION_##state)
#define KIB          1024u

/* What a device may send, when, and how much of it. Everything else is refused unread. */
static const struct reception RECEPTIONS[] = {
    [MESSAGE_PUSH] = {WHILE(LIVE) | WHILE(PARTING), LIMIT_BODY_SIZE_MAX, on_push},
    [MESSAGE_PUBLISHED] = {WHILE(LIVE), 32, on_published},
    [MESSAGE_DIGEST] = {WHILE(LIVE), 256 * KIB, on_digest},
    [MESSAGE_REPAIR] = {WHILE(LIVE), 1 * KIB, on_repair},
    [MESSAGE_NEW_KEY] = {WHILE(LIVE), 64, on_new_key},
    [MESSAGE_PING] = {WHILE(LIVE) | WHILE(RESUMING) | WHILE(PARTING), 32, on_ping},
    [MESSAGE_PONG] = {WHILE(LIVE) | WHILE(PARTING), 32, on_pong},
    [MESSAGE_BLOB_HAVE] = {WHILE(LIVE) | WHILE(PARTING), 128, on_blob_have},
    [MESSAGE_BLOB_WANT] = {WHILE(LIVE), 128, on_blob_want},
    [MESSAGE_BLOB_PART] = {WHILE(LIVE) | WHILE(PARTING), LIMIT_BLOB_PART_SIZE + 128, on_blob_part},
    [MESSAGE_ERROR] = {WHILE(LIVE) | WHILE(RESUMING) | WHILE(PARTING), 2 * KIB, on_text},
    [MESSAGE_BYE] = {WHILE(LIVE) | WHILE(RESUMING) | WHILE(ENROLLING) | WHILE(PARTING), 2 * KIB,
                     on_bye},
};

/* False: the device sends so much that its connection ends. */
static bool may_say_more(struct session *session, const struct frame *frame)
{
    struct server *server = session->server;
    struct mono_time now = server->event->mono;
    int64_t wait_ms = 0;

    if (session->replica_no == 0)
        return true; /* an enrolment: it has one message to say */
    wait_ms = throttle_wait_ms(&server->throttle, THROTTLE_BYTES, session->replica_no, now);
    if (wait_ms < LIMIT_RETRY_AFTER_MS_MAX) /* deeper in debt than any honest seal brings it */
        wait_ms = throttle_wait_ms(&server->throttle, THROTTLE_MESSAGES, session->replica_no, now);
    if (wait_ms > 0) {
        session_bye(session, "busy", "This device sends too much. Nothing is lost.", wait_ms);
        return false;
    }
    throttle_spend(&server->throttle, THROTTLE_MESSAGES, session->replica_no, 1, now);
    throttle_spend(&server->throttle, THROTTLE_BYTES, session->replica_no,
                   (int64_t)frame->body.size, now);
    return true;
}

/* What a revoked device had on its way before it knew. */
static bool is_left_over(const struct session *session, const struct reception *reception)
{
    return session->state == SESSION_PARTING &&
           (reception == NULL || (reception->states & WHILE(PARTING)) == 0);
}

void session_take_frame(struct session *session, const struct frame *frame)
{
    const struct reception *reception =
        frame->type < sizeof RECEPTIONS / sizeof *RECEPTIONS ? &RECEPTIONS[frame->type] : NULL;
    struct problem problem = {0};
    enum result result = RESULT_MALFORMED;

    if (session->state == SESSION_JUDGING || is_left_over(session, reception) ||
        !may_say_more(session, frame))
        return; /* what it says no longer counts */
    if (reception == NULL || reception->handle == NULL) {
        if ((frame->type & MESSAGE_OPTIONAL_BIT) != 0)
            return;
        result = problem_set(&problem, RESULT_MALFORMED, "message %u", frame->type);
    } else if ((reception->states & (1u << session->state)) == 0 ||
               frame->body.size > reception->size_max) {
        result = problem_set(&problem, RESULT_MALFORMED, "%s of %zu bytes while %s",
                             message_name(frame->type), frame->body.size,
                             session_state_name(session->state));
    } else {
        trace_line(session->server->trace, "%s > server: %s %zu bytes", session->name,
                   message_name(frame->type), frame->body.size);
        reception->handle(session, frame->body);
        result = RESULT_OK;
    }
    if (result != RESULT_OK)
        malformed(session, &problem);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/agent_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- states ---------------------------------------------------------------------------------- */

#define TO(state) (1u << (state))

/* Which states may follow which; everything else is our own mistake. */
static const struct {
    const char *name;
    unsigned next;
} STATES[] = {
    [AGENT_UNENROLLED] = {"unenrolled", 0},
    [AGENT_OFFLINE] = {"offline", TO(AGENT_DIALLING) | TO(AGENT_OFFLINE)},
    [AGENT_DIALLING] = {"dialling", TO(AGENT_GREETING) | TO(AGENT_OFFLINE)},
    [AGENT_GREETING] = {"greeting", TO(AGENT_LIVE) | TO(AGENT_OFFLINE) | TO(AGENT_PARTING)},
    [AGENT_LIVE] = {"live", TO(AGENT_OFFLINE) | TO(AGENT_PARTING)},
    [AGENT_PARTING] = {"parting", TO(AGENT_OFFLINE) | TO(AGENT_REVOKED)},
    [AGENT_REVOKED] = {"revoked", 0},
};

const char *agent_state_name(enum agent_state state)
{
    return STATES[state].name;
}

static void move(struct agent *agent, enum agent_state state)
{
    invariant((STATES[agent->state].next & TO(state)) != 0);
    agent->state = state;
}

/* ---- effects --------------------------------------------------------------------------------- */

void agent_effect_add(struct agent *agent, enum agent_effect_kind kind, struct bytes bytes,
                      bool wipe, const char *text)
{
    invariant(agent->effect_count < AGENT_EFFECTS_MAX); /* a step sends a bounded amount */
    agent->effects[agent->effect_count++] =
        (struct agent_effect){.kind = kind, .bytes = bytes, .wipe = wipe, .text = text};
}

void agent_alarm(struct agent *agent, const char *text)
{
    const char *copy = arena_format(&agent->step_arena, "%s", text);

    trace_line(agent->trace, "%s: ALARM %s", agent->name, text);
    if (copy != NULL)
        agent_effect_add(agent, AGENT_EFFECT_ALARM, (struct bytes){0}, false, copy);
}

/* ---- backoff --------------------------------------------------------------------------------- */

/* Full jitter: anything between 1 s and twice the last bound, which ends at 5 min. */
static void plan_next_try(struct agent *agent, int64_t retry_after_ms)
{
    int64_t bound = AGENT_BACKOFF_MIN_US;
    int64_t delay;

    if (agent->attempts < 16)
        agent->attempts++;
    for (unsigned i = 0; i < agent->attempts && bound < AGENT_BACKOFF_MAX_US; i++)
        bound *= 2;
    if (bound > AGENT_BACKOFF_MAX_US)
        bound = AGENT_BACKOFF_MAX_US;
    delay = AGENT_BACKOFF_MIN_US +
            (int64_t)prng_below(&agent->prng, (uint64_t)(bound - AGENT_BACKOFF_MIN_US) + 1);
    if (retry_after_ms > 0) {
        int64_t floor = MILLISECONDS(retry_after_ms);

        /* everybody was told the same: spread over another quarter of it */
        floor += (int64_t)prng_below(&agent->prng, (uint64_t)(floor / 4) + 1);
        delay = delay > floor ? delay : floor;
    }
    agent->next_try = agent->is_stopped ? MONO_NEVER : mono_after(agent->now, delay);
}

void agent_progress(struct agent *agent)
{
    agent->attempts = 0;
}

void agent_stored(struct agent *agent)
{
    agent->is_disk_full = false;
}

/* Everything of the conversation is over; local work isn't touched. */
static void hang_up(struct agent *agent, bool is_close_needed)
{
    if (is_close_needed)
        agent_effect_add(agent, AGENT_EFFECT_CLOSE, (struct bytes){0}, false, NULL);
    link_end(agent);
    uplink_end(agent);
    downlink_end(agent);
    blobs_end(agent);
    replica_disconnected(agent->replica);
    agent->status.connected_at = (struct wall_time){0};
}

static void note_failure(struct agent *agent, const char *reason)
{
    trace_line(agent->trace, "%s: %s", agent->name, reason);
    snprintf(agent->status.last_failure, sizeof agent->status.last_failure, "%s", reason);
    if (agent->status.unreachable_since.us == 0)
        agent->status.unreachable_since = agent->wall;
}

static void go_offline(struct agent *agent, const char *reason, int64_t retry_after_ms,
                       bool is_close_needed)
{
    if (agent->state == AGENT_PARTING && !agent->parting.wipe) {
        trace_line(agent->trace, "%s: %s", agent->name, reason);
        agent_end_revoked(agent);
        return;
    }
    if (agent->state == AGENT_GREETING && !agent->has_token && !agent->has_heard_words)
        agent->refusals++; /* perhaps the server knows another pair */
    note_failure(agent, reason);
    hang_up(agent, is_close_needed);
    move(agent, AGENT_OFFLINE);
    plan_next_try(agent, retry_after_ms);
}

void agent_disconnect(struct agent *agent, const char *reason, int64_t retry_after_ms)
{
    go_offline(agent, reason, retry_after_ms, true);
}

enum result agent_hold(struct agent *agent, enum result result, struct mono_time *ret_not_before,
                       struct problem *problem)
{
    if (result == RESULT_WAIT) {
        *ret_not_before = mono_after(agent->now, AGENT_REPLICA_RETRY_US);
        return RESULT_WAIT;
    }
    if (result == RESULT_EXHAUSTED) {
        *ret_not_before = mono_after(agent->now, AGENT_DISK_RETRY_US);
        if (!agent->is_disk_full)
            agent_alarm(agent, problem->text);
        agent->is_disk_full = true;
        return RESULT_WAIT;
    }
    return result;
}

/* ---- messages -------------------------------------------------------------------------------- */

static enum result on_welcome(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_welcome welcome = {0};
    struct replica_identity identity = {0};
    enum result result = message_welcome_decode(body, &agent->decode_arena, &welcome, problem);

    if (result != RESULT_OK)
        return result;
    result = replica_welcome(agent->replica, &welcome, agent->wall, problem);
    if (result != RESULT_OK) /* the token isn't stored: nothing else may happen before it is */
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    result = replica_identity(agent->replica, &identity, problem);
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    snprintf(agent->name, sizeof agent->name, "%.60s", identity.user_login);
    trace_line(agent->trace, "%s < server: WELCOME head %" PRId64 ", lcn_high %" PRId64,
               agent->name, welcome.head, welcome.lcn_high);
    agent_stored(agent);
    rotation_on_welcome(agent);
    move(agent, AGENT_LIVE);
    agent->link.handshake_due = MONO_NEVER;
    agent->status.connected_at = agent->wall;
    agent->status.unreachable_since = (struct wall_time){0};
    agent->status.last_failure[0] = '\0';
    agent->status.is_pending = false;
    agent->down.published_seq = identity.published_seq;
    uplink_begin(agent);
    downlink_begin(agent, welcome.head);
    checks_begin(agent);
    blobs_begin(agent);
    return RESULT_OK;
}

static enum result on_enrolled(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_enrolled enrolled = {0};
    struct agent_pair *current;
    struct bytes psk;
    enum result result;

    if (!agent->has_token)
        return problem_set(problem, RESULT_MALFORMED, "ENROLLED in a session");
    result = message_enrolled_decode(body, &agent->decode_arena, &enrolled, problem);
    if (result != RESULT_OK)
        return result;
    result = agent->is_renewal ? replica_renew(agent->replica, &enrolled, agent->wall, problem)
                               : replica_enrol(agent->replica, &enrolled, problem);
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    current = &agent->secrets->pairs[AGENT_PAIR_CURRENT];
    memcpy(current->psk, enrolled.psk.data, PSK_SIZE);
    sodium_memzero(agent->secrets->token_secret, sizeof agent->secrets->token_secret);
    current->has_psk = true;
    agent->has_token = false;
    psk = bytes_of(current->psk, PSK_SIZE);
    trace_line(agent->trace, "device < server: ENROLLED as %.*s, replica %" PRId64,
               (int)enrolled.user_login.size, (const char *)enrolled.user_login.data,
               enrolled.replica_no);
    agent_effect_add(agent, AGENT_EFFECT_ENROLLED, psk, false, NULL);
    hang_up(agent, true);
    move(agent, AGENT_OFFLINE);
    agent_progress(agent);
    agent->next_try = agent->is_stopped ? MONO_NEVER : agent->now;
    return RESULT_OK;
}

static enum result read_text(struct agent *agent, struct bytes body, struct message_text *ret_text,
                             const char **ret_words, struct problem *problem)
{
    enum result result = message_text_decode(body, &agent->decode_arena, ret_text, problem);

    if (result != RESULT_OK)
        return result;
    agent->has_heard_words = true;
    *ret_words =
        arena_format(&agent->step_arena, "%.*s%s%.*s", (int)ret_text->code.size,
                     (const char *)ret_text->code.data, ret_text->text.size > 0 ? ": " : "",
                     (int)ret_text->text.size, (const char *)ret_text->text.data);
    if (*ret_words == NULL)
        return arena_full(&agent->step_arena, problem);
    return RESULT_OK;
}

static enum result on_revoked(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_text text = {0};
    const char *words = NULL;
    enum result result = read_text(agent, body, &text, &words, problem);

    if (result != RESULT_OK)
        return result;
    note_failure(agent, words);
    trace_line(agent->trace, "%s < server: REVOKED%s", agent->name, text.wipe ? " wipe" : "");
    parting_begin(agent, text.wipe, words);
    move(agent, AGENT_PARTING);
    return RESULT_OK;
}

void agent_end_revoked(struct agent *agent)
{
    hang_up(agent, true);
    move(agent, AGENT_REVOKED);
    agent->next_try = MONO_NEVER;
    agent_effect_add(agent, AGENT_EFFECT_REVOKED, (struct bytes){0}, agent->parting.wipe,
                     agent->parting.words);
}

/* This copy of the device goes on under another number, with other keys: the edge makes them. */
static enum result on_renew(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_renew renew = {0};
    uint8_t *code = arena_alloc(&agent->step_arena, RENEW_TOKEN_ID_SIZE + PSK_SIZE);
    enum result result = message_renew_decode(body, &agent->decode_arena, &renew, problem);

    if (result != RESULT_OK)
        return result;
    if (code == NULL)
        return arena_full(&agent->step_arena, problem);
    memcpy(code, renew.token_id.data, RENEW_TOKEN_ID_SIZE);
    memcpy(code + RENEW_TOKEN_ID_SIZE, renew.token_secret.data, PSK_SIZE);
    trace_line(agent->trace, "%s < server: RENEW", agent->name);
    agent_alarm(agent, "this device's disk was copied or put back: it goes on as another device, "
                       "with all that it has recorded");
    note_failure(agent, "the device gets another number");
    hang_up(agent, true);
    move(agent, AGENT_OFFLINE);
    agent->is_stopped = true;
    agent->next_try = MONO_NEVER;
    agent_effect_add(agent, AGENT_EFFECT_RENEW, bytes_of(code, RENEW_TOKEN_ID_SIZE + PSK_SIZE),
                     false, NULL);
    return RESULT_OK;
}

static enum result on_notice(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_text text = {0};
    const char *words = NULL;
    enum result result = read_text(agent, body, &text, &words, problem);

    if (result == RESULT_OK)
        agent_alarm(agent, words);
    return result;
}

/* Some errors are about one request only: that part pauses, the session goes on. */
static bool is_about_a_part(struct agent *agent, const struct message_text *text)
{
    if (bytes_equal(text->code, bytes_of_text("busy")))
        uplink_on_busy(agent, text->retry_after_ms);
    else if (bytes_equal(text->code, bytes_of_text("BLOB")))
        blobs_pause(agent);
    else if (bytes_equal(text->code, bytes_of_text("DIGEST")) ||
             bytes_equal(text->code, bytes_of_text("REPAIR")))
        checks_pause(agent);
    else if (bytes_equal(text->code, bytes_of_text("NEW_KEY")))
        agent->is_key_refused = true; /* the keys that there are go on */
    else
        return false;
    return true;
}

static enum result on_error(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_text text = {0};
    const char *words = NULL;
    enum result result = read_text(agent, body, &text, &words, problem);

    if (result != RESULT_OK)
        return result;
    trace_line(agent->trace, "%s < server: ERROR %s", agent->name, words);
    if (agent->state == AGENT_LIVE && is_about_a_part(agent, &text))
        return RESULT_OK;
    if (agent->state == AGENT_PARTING && parting_on_error(agent, &text))
        return RESULT_OK;
    agent_alarm(agent, words);
    agent_disconnect(agent, words, text.retry_after_ms);
    return RESULT_OK;
}

static enum result on_bye(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_text text = {0};
    const char *words = NULL;
    enum result result = read_text(agent, body, &text, &words, problem);

    if (result != RESULT_OK)
        return result;
    agent->status.is_pending = bytes_equal(text.code, bytes_of_text("pending"));
    if (bytes_equal(text.code, bytes_of_text("held")))
        agent_alarm(agent, words); /* a copy of this device was seen: the office decides */
    else if (!bytes_equal(text.code, bytes_of_text("replaced")))
        agent_progress(agent); /* a clean end is no failure */
    agent_disconnect(agent, words, text.retry_after_ms);
    return RESULT_OK;
}

#define WHILE(state) (1u << (state))
enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    GREETING = WHILE(AGENT_GREETING),
    LIVE = WHILE(AGENT_LIVE),
    BOTH = GREETING | LIVE,
    PARTING = WHILE(AGENT_PARTING),
    WORKING = LIVE | PARTING,
    ANY = BOTH | PARTING,
};

/* What a server may send, when, and how much of it. Everything else is refused unread. Urgent:
 * taken at once, even while others wait for the replica. */
struct reception {
    const char *name;
    unsigned states;
    size_t size_max;
    bool is_urgent;
    enum result (*handle)(struct agent *agent, struct bytes body, struct problem *problem);
};

enum { MESSAGE_COUNT = 128 };

/* clang-format off */
static const struct reception RECEPTIONS[MESSAGE_COUNT] = {
    [MESSAGE_WELCOME]        = {"WELCOME",        GREETING, 4 * KIB, false, on_welcome},
    [MESSAGE_ENROLLED]       = {"ENROLLED",       GREETING, 4 * KIB, false, on_enrolled},
    [MESSAGE_REVOKED]        = {"REVOKED",        BOTH,     4 * KIB, true,  on_revoked},
    [MESSAGE_RENEW]          = {"RENEW",          GREETING, 4 * KIB, true,  on_renew},
    [MESSAGE_SUBSCRIBED]     = {"SUBSCRIBED",     LIVE,     MIB,     false, downlink_on_subscribed},
    [MESSAGE_ROWS]           = {"ROWS",           LIVE,     MIB,     false, downlink_on_rows},
    [MESSAGE_SNAPSHOT]       = {"SNAPSHOT",       LIVE,     MIB,     false, downlink_on_snapshot},
    [MESSAGE_GONE]           = {"GONE",           LIVE,     MIB,     false, downlink_on_gone},
    [MESSAGE_IDS]            = {"IDS",            LIVE,     MIB,     false, downlink_on_ids},
    [MESSAGE_PUBLISH]        = {"PUBLISH",        LIVE,     64,      false, downlink_on_publish},
    [MESSAGE_VERDICT]        = {"VERDICT",        LIVE,     MIB,     false, uplink_on_verdict},
    [MESSAGE_DIGEST_DIFFERS] = {"DIGEST_DIFFERS", LIVE,     MIB,     false, checks_on_differs},
    [MESSAGE_POLICY]         = {"POLICY",         GREETING, 64,      false, rotation_on_policy},
    [MESSAGE_NEW_PSK]        = {"NEW_PSK",        LIVE,     256,     false, rotation_on_new_psk},
    [MESSAGE_DEPOSITED]      = {"DEPOSITED",      PARTING,  128,     false, parting_on_deposited},
    [MESSAGE_SCHEMA]         = {"SCHEMA",         LIVE,     MIB,     false, downlink_on_schema},
    [MESSAGE_NOTICE]         = {"NOTICE",         LIVE,     4 * KIB, true,  on_notice},
    [MESSAGE_PING]           = {"PING",           ANY,      32,      true,  link_on_ping},
    [MESSAGE_PONG]           = {"PONG",           ANY,      32,      true,  link_on_pong},
    [MESSAGE_BLOB_HAVE]      = {"BLOB_HAVE",      WORKING,  256,     false, blobs_on_have},
    [MESSAGE_BLOB_WANT]      = {"BLOB_WANT",      WORKING,  256,     false, blobs_on_want},
    [MESSAGE_BLOB_PART]      = {"BLOB_PART",      LIVE,     66 * KIB, false, blobs_on_part},
    [MESSAGE_ERROR]          = {"ERROR",          ANY,      4 * KIB, true,  on_error},
    [MESSAGE_BYE]            = {"BYE",            ANY,      4 * KIB, true,  on_bye},
};
/* clang-format on */

static const struct reception *reception_of(uint8_t type)
{
    return type < MESSAGE_COUNT && RECEPTIONS[type].name != NULL ? &RECEPTIONS[type] : NULL;
}

bool agent_is_urgent(uint8_t type)
{
    const struct reception *reception = reception_of(type);

    return reception == NULL || reception->is_urgent;
}

enum result agent_dispatch(struct agent *agent, uint8_t type, struct bytes body,
                           struct problem *problem)
{
    const struct reception *reception = reception_of(type);

    if (reception == NULL)
        return (type & MESSAGE_OPTIONAL_BIT) != 0
                   ? RESULT_OK
                   : problem_set(problem, RESULT_MALFORMED, "unknown message %u", type);
    if ((reception->states & WHILE(agent->state)) == 0 || body.size > reception->size_max)
        return problem_set(problem, RESULT_MALFORMED, "%s of %zu bytes while %s", reception->name,
                           body.size, agent_state_name(agent->state));
    if (agent->state == AGENT_GREETING && agent->has_token && type == MESSAGE_WELCOME)
        return problem_set(problem, RESULT_MALFORMED, "WELCOME in an enrolment");
    arena_reset(&agent->decode_arena);
    return reception->handle(agent, body, problem);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void dial(struct agent *agent)
{
    move(agent, AGENT_DIALLING);
    agent->next_try = mono_after(agent->now, AGENT_DIAL_TIMEOUT_US);
    trace_line(agent->trace, "%s: connecting", agent->name);
    agent_effect_add(agent, AGENT_EFFECT_CONNECT, (struct bytes){0}, false, NULL);
}

static enum result on_start(struct agent *agent, const struct agent_event *event,
                            struct problem *problem)
{
    (void)event;
    (void)problem;
    agent->is_stopped = false;
    if (agent->state == AGENT_OFFLINE)
        agent->next_try = agent->now;
    return RESULT_OK;
}

static enum result on_connected(struct agent *agent, const struct agent_event *event,
                                struct problem *problem)
{
    struct mono_time not_before = MONO_NEVER;
    enum result result;

    if (agent->state != AGENT_DIALLING)
        return RESULT_OK;
    result = link_begin(agent, event->seed, problem);
    if (result == RESULT_WAIT || result == RESULT_EXHAUSTED) {
        result = agent_hold(agent, result, &not_before, problem);
        agent_disconnect(agent, "the replica is locked or the disk is full: trying again", 0);
        return RESULT_OK;
    }
    if (result != RESULT_OK)
        return result;
    agent->has_heard_words = false;
    move(agent, AGENT_GREETING);
    agent->next_try = MONO_NEVER;
    return RESULT_OK;
}

static enum result on_received(struct agent *agent, const struct agent_event *event,
                               struct problem *problem)
{
    if (agent->link.channel == NULL)
        return RESULT_OK;
    return link_receive(agent, event->bytes, problem);
}

static enum result on_drained(struct agent *agent, const struct agent_event *event,
                              struct problem *problem)
{
    (void)event;
    (void)problem;
    agent->link.unsent_size = 0;
    return RESULT_OK;
}

static bool is_in_touch(const struct agent *agent)
{
    return agent->state == AGENT_DIALLING || agent->state == AGENT_GREETING ||
           agent->state == AGENT_LIVE || agent->state == AGENT_PARTING;
}

/* Whatever the reason says: it isn't authenticated, so it can't do more than make us wait. */
static enum result on_closed(struct agent *agent, const struct agent_event *event,
                             struct problem *problem)
{
    const char *reason =
        event->text != NULL && event->text[0] != '\0' ? event->text : "the connection was cut";

    (void)problem;
    if (is_in_touch(agent))
        go_offline(agent, reason, 0, false);
    return RESULT_OK;
}

static enum result on_local_change(struct agent *agent, const struct agent_event *event,
                                   struct problem *problem)
{
    (void)event;
    (void)problem;
    agent->up.is_dirty = true;
    return RESULT_OK;
}

static enum result on_sync_now(struct agent *agent, const struct agent_event *event,
                               struct problem *problem)
{
    (void)event;
    (void)problem;
    agent->up.is_dirty = true;
    if (agent->state == AGENT_OFFLINE && !agent->is_stopped)
        agent->next_try = agent->now;
    if (agent->state == AGENT_LIVE)
        blobs_look(agent);
    return RESULT_OK;
}

static enum result on_deadline(struct agent *agent, const struct agent_event *event,
                               struct problem *problem)
{
    (void)agent;
    (void)event;
    (void)problem;
    return RESULT_OK; /* every step looks at the time */
}

static enum result on_rotate(struct agent *agent, const struct agent_event *event,
                             struct problem *problem)
{
    (void)problem;
    invariant(event->seed != NULL);
    if (!agent->has_token)
        rotation_take(agent, event->seed);
    return RESULT_OK;
}

static enum result on_stop(struct agent *agent, const struct agent_event *event,
                           struct problem *problem)
{
    enum result result = RESULT_OK;

    (void)event;
    agent->is_stopped = true;
    if (agent->state == AGENT_LIVE) {
        agent->down.receipt_due = agent->now; /* what was published is worth a word */
        result = downlink_pump(agent, problem);
    }
    if (agent->state == AGENT_LIVE && result == RESULT_OK)
        result = link_send_text(agent, MESSAGE_BYE, "stop", "", problem);
    if (is_in_touch(agent))
        agent_disconnect(agent, "stopped", 0);
    agent->next_try = MONO_NEVER;
    return result;
}

typedef enum result (*event_handler)(struct agent *agent, const struct agent_event *event,
                                     struct problem *problem);
static const event_handler HANDLERS[] = {
    [AGENT_EVENT_START] = on_start,       [AGENT_EVENT_CONNECTED] = on_connected,
    [AGENT_EVENT_RECEIVED] = on_received, [AGENT_EVENT_DRAINED] = on_drained,
    [AGENT_EVENT_CLOSED] = on_closed,     [AGENT_EVENT_LOCAL_CHANGE] = on_local_change,
    [AGENT_EVENT_SYNC_NOW] = on_sync_now, [AGENT_EVENT_DEADLINE] = on_deadline,
    [AGENT_EVENT_ROTATE] = on_rotate,     [AGENT_EVENT_STOP] = on_stop,
};

/* ---- the step -------------------------------------------------------------------------------- */

/* Each part does a bounded piece of what is due. */
static enum result pump(struct agent *agent, struct problem *problem)
{
    static enum result (*const PARTS[])(struct agent *, struct problem *) = {
        downlink_pump, uplink_pump, blobs_pump, checks_pump, rotation_pump};
    enum result result;

    if (mono_is_due(agent->next_try, agent->now)) {
        if (agent->state == AGENT_OFFLINE)
            dial(agent);
        else if (agent->state == AGENT_DIALLING)
            agent_disconnect(agent, "no connection within 30 s", 0);
    }
    result = link_pump(agent, problem);
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++)
        if (result == RESULT_OK && agent->state == AGENT_LIVE)
            result = PARTS[i](agent, problem);
    if (result == RESULT_OK && agent->state == AGENT_PARTING)
        result = parting_pump(agent, problem);
    return result;
}

/* The peer broke the protocol, or the replica is in trouble: this conversation ends, the next one
 * begins where the replica stands. */
static enum result fail(struct agent *agent, enum result result, struct problem *problem)
{
    if (result == RESULT_WAIT)
        return RESULT_OK; /* the frame waits in the inbox */
    if (result == RESULT_REFUSED)
        agent_alarm(agent, problem->text);
    if (is_in_touch(agent))
        agent_disconnect(agent, problem->text, 0);
    return result == RESULT_STORAGE || result == RESULT_EXHAUSTED ? result : RESULT_OK;
}

enum result agent_step(struct agent *agent, const struct agent_event *event,
                       struct agent_effects *ret_effects, struct problem *problem)
{
    enum result result;

    arena_reset(&agent->step_arena);
    agent->effect_count = 0;
    agent->now = event->mono;
    agent->wall = event->wall;
    result = HANDLERS[event->kind](agent, event, problem);
    if (result == RESULT_OK)
        result = pump(agent, problem);
    if (result != RESULT_OK)
        result = fail(agent, result, problem);
    if (replica_has_lost_rows(agent->replica) && agent->state == AGENT_LIVE)
        agent_disconnect(agent, "rows could not be stored", 0);
    *ret_effects = (struct agent_effects){.count = agent->effect_count, .effects = agent->effects};
    return result;
}

struct mono_time agent_deadline(const struct agent *agent)
{
    struct mono_time due = mono_earlier(agent->next_try, link_deadline(agent));

    if (agent->state == AGENT_PARTING)
        return mono_earlier(due, parting_deadline(agent));
    if (agent->state != AGENT_LIVE)
        return due;
    due = mono_earlier(due, uplink_deadline(agent));
    due = mono_earlier(due, downlink_deadline(agent));
    due = mono_earlier(due, blobs_deadline(agent));
    return mono_earlier(due, checks_deadline(agent));
}

struct agent_status agent_status(const struct agent *agent)
{
    struct agent_status status = agent->status;

    status.state = agent->state;
    status.next_try = agent->state == AGENT_OFFLINE ? agent->next_try : MONO_NEVER;
    status.is_disk_full = agent->is_disk_full;
    status.is_idle = agent->state == AGENT_LIVE && uplink_is_idle(agent) &&
                     downlink_is_idle(agent) && rotation_is_idle(agent);
    return status;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void take_pair(struct agent *agent, enum agent_pair_name name, const uint8_t *secret,
                      const uint8_t *psk)
{
    struct agent_pair *pair = &agent->secrets->pairs[name];

    if (secret == NULL)
        return;
    noise_keypair_from(secret, &pair->static_keys);
    pair->has_key = true;
    pair->has_psk = psk != NULL;
    if (psk != NULL)
        memcpy(pair->psk, psk, PSK_SIZE);
}

static enum result take_keys(struct agent *agent, const struct agent_options *options,
                             struct problem *problem)
{
    agent->secrets = sodium_malloc(sizeof *agent->secrets);
    if (agent->secrets == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no guarded memory for the device's keys");
    sodium_memzero(agent->secrets, sizeof *agent->secrets);
    take_pair(agent, AGENT_PAIR_CURRENT, options->static_secret, options->psk);
    take_pair(agent, AGENT_PAIR_NEXT, options->next_secret, options->next_psk);
    take_pair(agent, AGENT_PAIR_PREVIOUS, options->previous_secret, options->previous_psk);
    rotation_show_fingerprint(agent);
    memcpy(agent->root_public_key, options->root_public_key, sizeof agent->root_public_key);
    if (options->token_id != NULL) {
        invariant(options->token_secret != NULL && options->sign_public_key != NULL);
        memcpy(agent->token_id, options->token_id, sizeof agent->token_id);
        memcpy(agent->secrets->token_secret, options->token_secret, PSK_SIZE);
        memcpy(agent->sign_public_key, options->sign_public_key, sizeof agent->sign_public_key);
        agent->has_token = true;
        agent->is_renewal = options->is_renewal;
    }
    return RESULT_OK;
}

static void take_names(struct agent *agent, const struct agent_options *options)
{
    snprintf(agent->device_name, sizeof agent->device_name, "%s",
             options->device_name != NULL ? options->device_name : "");
    snprintf(agent->app_version, sizeof agent->app_version, "%s",
             options->app_version != NULL ? options->app_version : "");
    snprintf(agent->name, sizeof agent->name, "device");
}

enum result agent_create(const struct agent_options *options, struct agent **ret_agent,
                         struct problem *problem)
{
    struct agent *agent = calloc(1, sizeof *agent);
    struct replica_identity identity = {0};
    enum result result;

    invariant(options->replica != NULL && options->static_secret != NULL);
    if (agent == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the agent");
    arena_init(&agent->step_arena, AGENT_DECODE_SIZE_MAX);
    arena_init(&agent->decode_arena, AGENT_DECODE_SIZE_MAX);
    arena_init(&agent->answer_arena, AGENT_ANSWER_SIZE_MAX);
    buffer_init(&agent->body, LIMIT_BODY_SIZE_MAX);
    agent->replica = options->replica;
    agent->blob_store = options->blobs;
    agent->dictionary = options->dictionary;
    agent->trace = options->trace;
    agent->key_serial = options->key_serial_min;
    agent->status.key_serial = options->key_serial_min;
    agent->next_try = MONO_NEVER;
    prng_init(&agent->prng, options->jitter_seed);
    link_end(agent);
    uplink_end(agent);
    downlink_end(agent);
    blobs_end(agent);
    take_names(agent, options);
    result = take_keys(agent, options, problem);
    if (result == RESULT_OK)
        result = replica_identity(agent->replica, &identity, problem);
    if (result != RESULT_OK) {
        agent_destroy(agent);
        return result;
    }
    if (identity.user_login[0] != '\0')
        snprintf(agent->name, sizeof agent->name, "%.60s", identity.user_login);
    agent->down.published_seq = identity.published_seq;
    agent->state = agent->secrets->pairs[AGENT_PAIR_CURRENT].has_psk || agent->has_token
                       ? AGENT_OFFLINE
                       : AGENT_UNENROLLED;
    *ret_agent = agent;
    return RESULT_OK;
}

void agent_destroy(struct agent *agent)
{
    if (agent == NULL)
        return;
    link_end(agent);
    if (agent->secrets != NULL)
        sodium_free(agent->secrets); /* wipes */
    arena_done(&agent->step_arena);
    arena_done(&agent->decode_arena);
    arena_done(&agent->answer_arena);
    buffer_done(&agent->body);
    free(agent);
}

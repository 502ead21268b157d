/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/agent_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

/* Up:    HAVE(size) > ... < WANT(offset) ... > PART PING PART PING ... < PONG ... > PART PING ...
 *        A WANT says what the server holds. Only its HAVE says that it has checked the hash.
 * Down:  WANT(offset, end) > ... < PART PART ... > WANT(offset, end) ... until it is whole.
 *        HAVE with size 0: the server hasn't got it.
 * Whoever hears nothing for 30 s begins again with what the other side holds.
 *
 * Both ways no more is on its way than the line carries in some seconds, however slow it is: a
 * change that is recorded meanwhile has to wait behind that, and a cut loses it. */

void blobs_begin(struct agent *agent)
{
    blobs_end(agent);
    agent->blobs.send_due = agent->now;
    agent->blobs.fetch_due = agent->now;
}

void blobs_end(struct agent *agent)
{
    agent->blobs = (struct agent_blobs){.send_due = MONO_NEVER,
                                        .fetch_due = MONO_NEVER,
                                        .window = {.size = AGENT_BLOB_WINDOW_FIRST},
                                        .fetch_window = {.size = AGENT_BLOB_WINDOW_FIRST}};
}

/* From an answer that took so long. */
static void learn(struct agent_window *window, int64_t took_us)
{
    int64_t later_us = took_us - window->least_us;

    if (window->least_us == 0 || took_us < window->least_us)
        window->least_us = took_us;
    if (later_us < AGENT_BLOB_BRISK_US && window->size <= AGENT_BLOB_WINDOW_MAX / 2)
        window->size *= 2;
    else if (later_us > AGENT_BLOB_SLOW_US && window->size >= 2 * AGENT_BLOB_WINDOW_MIN)
        window->size /= 2;
}

static void forget_parts(struct agent_blobs *blobs)
{
    blobs->part_count = 0;
    blobs->window_used = 0;
}

void blobs_look(struct agent *agent)
{
    if (agent->blobs.sending.size == 0)
        agent->blobs.send_due = agent->now;
    if (agent->blobs.fetching.size == 0)
        agent->blobs.fetch_due = agent->now;
}

/* An attachment that was deleted on the server is nobody's any more: the next one isn't held up. */
static bool give_up_orphan(struct agent *agent)
{
    struct problem problem = {0};

    if (agent->blobs.sending.size == 0 || !agent->blobs.sending.is_orphan ||
        replica_blob_mark(agent->replica, agent->blobs.sending.hash, BLOB_UNAVAILABLE, &problem) !=
            RESULT_OK)
        return false;
    trace_line(agent->trace, "%s: an attachment of a row that is gone isn't wanted", agent->name);
    agent->blobs.sending.size = 0;
    agent->blobs.send_due = agent->now;
    return true;
}

void blobs_pause(struct agent *agent)
{
    if (give_up_orphan(agent))
        return;
    blobs_end(agent);
    agent->blobs.send_due = mono_after(agent->now, AGENT_BLOB_PAUSE_US);
    agent->blobs.fetch_due = agent->blobs.send_due;
}

void blobs_on_pong(struct agent *agent, int64_t nonce)
{
    struct agent_blobs *blobs = &agent->blobs;

    while (blobs->part_count > 0 && blobs->parts[0].nonce <= nonce) {
        const struct agent_part part = blobs->parts[0];

        blobs->part_count--;
        memmove(blobs->parts, blobs->parts + 1, blobs->part_count * sizeof part);
        blobs->window_used -= part.size;
        learn(&blobs->window, agent->now.us - part.sent_at.us);
        blobs->send_due = mono_after(agent->now, AGENT_BLOB_ANSWER_US);
        agent_progress(agent);
    }
}

static struct bytes hash_of(const struct replica_blob *blob)
{
    return bytes_of(blob->hash, sizeof blob->hash);
}

static bool is_this(const struct replica_blob *blob, struct bytes hash)
{
    return blob->size > 0 && bytes_equal(hash_of(blob), hash);
}

static enum result send_blob_message(struct agent *agent, uint8_t type,
                                     const struct replica_blob *blob, int64_t offset,
                                     struct bytes data, struct problem *problem)
{
    struct message_blob message = {
        .hash = hash_of(blob), .offset = offset, .size = blob->size, .data = data};
    enum result result;

    buffer_reset(&agent->body);
    result = message_blob_encode(&message, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    return link_send(agent, type, 0, problem); /* photos don't get smaller */
}

/* ---- up ---- */

static enum result sending_is_done(struct agent *agent, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    enum result result = replica_blob_mark(agent->replica, blobs->sending.hash, BLOB_SENT, problem);

    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    trace_line(agent->trace, "%s: attachment of %" PRId64 " bytes is on the server", agent->name,
               blobs->sending.size);
    agent_progress(agent);
    blobs->sending.size = 0;
    blobs->is_wanted = false;
    blobs->unanswered = 0;
    blobs->send_due = agent->now;
    return RESULT_OK;
}

static enum result offer_next(struct agent *agent, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    struct replica_blob next = {0};
    bool is_whole = false;
    int64_t held = 0;
    enum result result =
        replica_blob_to_send(agent->replica, agent->state == AGENT_PARTING, &next, problem);

    if (result != RESULT_OK) {
        result = agent_hold(agent, result, &blobs->send_due, problem);
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    blobs->send_due = mono_after(agent->now, AGENT_BLOB_PAUSE_US);
    blobs->is_all_sent = next.size == 0;
    if (next.size == 0)
        return RESULT_OK;
    result = agent->blob_store->operations->status(agent->blob_store, next.hash, &held, &is_whole,
                                                   problem);
    if (result != RESULT_OK) {
        agent_alarm(agent, problem->text); /* the folder of blobs: looked at again later */
        return RESULT_OK;
    }
    if (!is_whole) {
        agent_alarm(agent, "the file of an attachment isn't in the blob folder: its row is sent, "
                           "its content can't be");
        result = replica_blob_mark(agent->replica, next.hash, BLOB_UNAVAILABLE, problem);
        if (result == RESULT_OK)
            blobs->send_due = agent->now; /* the next one isn't held up by it */
        else
            result = agent_hold(agent, result, &blobs->send_due, problem);
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    blobs->sending = next;
    blobs->is_wanted = false;
    blobs->send_due = mono_after(agent->now, AGENT_BLOB_ANSWER_US);
    trace_line(agent->trace, "%s > server: BLOB_HAVE %" PRId64 " bytes", agent->name, next.size);
    return send_blob_message(agent, MESSAGE_BLOB_HAVE, &next, 0, (struct bytes){0}, problem);
}

/* Two of them fill the window: while one is answered, the line has the other. */
static size_t part_size(const struct agent_blobs *blobs)
{
    size_t half = blobs->window.size / 2;

    return half < AGENT_BLOB_PART_SIZE ? half : AGENT_BLOB_PART_SIZE;
}

static enum result send_part(struct agent *agent, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    struct agent_part *part = &blobs->parts[blobs->part_count];
    uint8_t *memory = arena_alloc(&agent->step_arena, AGENT_BLOB_PART_SIZE);
    size_t size = 0;
    enum result result;

    if (memory == NULL)
        return arena_full(&agent->step_arena, problem);
    result = agent->blob_store->operations->read(agent->blob_store, blobs->sending.hash,
                                                 blobs->sent_offset, memory, part_size(blobs),
                                                 &size, problem);
    if (result != RESULT_OK || size == 0) {
        agent_alarm(agent, "the file of an attachment can't be read: its content waits");
        blobs->sending.size = 0;
        blobs->send_due = mono_after(agent->now, AGENT_BLOB_PAUSE_US);
        return RESULT_OK;
    }
    trace_line(agent->trace, "%s > server: BLOB_PART at %" PRId64 ", %zu bytes of %" PRId64,
               agent->name, blobs->sent_offset, size, blobs->sending.size);
    result = send_blob_message(agent, MESSAGE_BLOB_PART, &blobs->sending, blobs->sent_offset,
                               bytes_of(memory, size), problem);
    if (result == RESULT_OK)
        result = link_send_ping(agent, &part->nonce, problem);
    if (result != RESULT_OK)
        return result;
    part->size = size;
    part->sent_at = agent->now;
    blobs->part_count++;
    blobs->window_used += size;
    blobs->sent_offset += (int64_t)size;
    blobs->send_due = mono_after(agent->now, AGENT_BLOB_ANSWER_US);
    return RESULT_OK;
}

static bool has_part_to_send(const struct agent *agent)
{
    const struct agent_blobs *blobs = &agent->blobs;

    return blobs->sending.size > 0 && blobs->is_wanted &&
           blobs->sent_offset < blobs->sending.size && blobs->part_count < AGENT_BLOB_PARTS_MAX &&
           blobs->window_used + part_size(blobs) <= blobs->window.size && link_has_room(agent);
}

enum result blobs_on_want(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    struct message_blob want = {0};
    enum result result = message_blob_decode(body, &agent->decode_arena, &want, problem);

    if (result != RESULT_OK)
        return result;
    if (!is_this(&blobs->sending, want.hash))
        return RESULT_OK; /* late: we have given up on it meanwhile */
    if (want.offset > blobs->sending.size)
        return problem_set(problem, RESULT_MALFORMED,
                           "BLOB_WANT from %" PRId64 ", but it has %" PRId64 " bytes", want.offset,
                           blobs->sending.size);
    /* Parts on their way that the server can't use are each answered by the same WANT: obeyed once.
     */
    if (!blobs->is_wanted || want.offset != blobs->held_offset) {
        blobs->unanswered = 0;
        blobs->sent_offset = want.offset;
        forget_parts(blobs);
    }
    blobs->is_wanted = true;
    blobs->held_offset = want.offset;
    blobs->send_due = mono_after(agent->now, AGENT_BLOB_ANSWER_US);
    return RESULT_OK;
}

/* ---- down ---- */

static enum result fetching_is_done(struct agent *agent, enum replica_blob_state state,
                                    struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    enum result result = replica_blob_mark(agent->replica, blobs->fetching.hash, state, problem);

    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    trace_line(agent->trace, "%s: attachment of %" PRId64 " bytes %s", agent->name,
               blobs->fetching.size, state == BLOB_FETCHED ? "is here" : "isn't available");
    blobs->fetching.size = 0;
    blobs->fetch_due = agent->now;
    agent_effect_add(agent, AGENT_EFFECT_PUBLISHED, (struct bytes){0}, false, NULL);
    return RESULT_OK;
}

static enum result want_from(struct agent *agent, int64_t offset, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    struct replica_blob piece = blobs->fetching;

    if (piece.size - offset > (int64_t)blobs->fetch_window.size)
        piece.size = offset + (int64_t)blobs->fetch_window.size;
    blobs->fetch_end = piece.size;
    blobs->fetch_asked_at = agent->now;
    blobs->fetch_due = mono_after(agent->now, AGENT_BLOB_ANSWER_US);
    trace_line(agent->trace, "%s > server: BLOB_WANT from %" PRId64 " to %" PRId64 " of %" PRId64,
               agent->name, offset, piece.size, blobs->fetching.size);
    return send_blob_message(agent, MESSAGE_BLOB_WANT, &piece, offset, (struct bytes){0}, problem);
}

/* The hash is wrong and what was here is thrown away. A beginning of another day may have suffered
 * since, by a power cut for one: all of it is asked for again, once. */
static enum result fetched_wrong(struct agent *agent, struct problem *problem)
{
    trace_line(agent->trace, "%s: attachment with a wrong hash, thrown away", agent->name);
    if (!agent->blobs.is_resumed)
        return fetching_is_done(agent, BLOB_UNAVAILABLE, problem);
    agent->blobs.is_resumed = false;
    return want_from(agent, 0, problem);
}

/* Every byte was here before, and it isn't whole: this program was killed before it could check. */
static enum result finish_fetched(struct agent *agent, int64_t held, struct problem *problem)
{
    enum result result = agent->blob_store->operations->append(
        agent->blob_store, agent->blobs.fetching.hash, held, bytes_of("", 0), true, problem);

    if (result == RESULT_REFUSED)
        return fetched_wrong(agent, problem);
    if (result != RESULT_OK) {
        agent->blobs.fetching.size = 0;
        return agent_hold(agent, result, &agent->blobs.fetch_due, problem);
    }
    return fetching_is_done(agent, BLOB_FETCHED, problem);
}

static enum result fetch_next(struct agent *agent, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    bool is_whole = false;
    int64_t held = 0;
    enum result result = replica_blob_to_fetch(agent->replica, &blobs->fetching, problem);

    if (result != RESULT_OK) {
        blobs->fetching.size = 0;
        result = agent_hold(agent, result, &blobs->fetch_due, problem);
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    blobs->fetch_due = mono_after(agent->now, AGENT_BLOB_PAUSE_US);
    if (blobs->fetching.size == 0)
        return RESULT_OK;
    result = agent->blob_store->operations->status(agent->blob_store, blobs->fetching.hash, &held,
                                                   &is_whole, problem);
    if (result != RESULT_OK) {
        blobs->fetching.size = 0;
        result = agent_hold(agent, result, &blobs->fetch_due, problem);
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    if (is_whole) {
        result = fetching_is_done(agent, BLOB_FETCHED, problem);
        if (result == RESULT_WAIT)
            blobs->fetching.size = 0; /* looked at again after the pause */
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    blobs->is_resumed = held > 0;
    if (held == blobs->fetching.size) {
        result = finish_fetched(agent, held, problem);
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    return want_from(agent, held, problem);
}

enum result blobs_on_part(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    struct message_blob part = {0};
    bool is_whole = false;
    bool is_last;
    int64_t held = 0;
    enum result result = message_blob_decode(body, &agent->decode_arena, &part, problem);

    if (result != RESULT_OK)
        return result;
    if (agent->blob_store == NULL || !is_this(&blobs->fetching, part.hash))
        return RESULT_OK;
    result = agent->blob_store->operations->status(agent->blob_store, blobs->fetching.hash, &held,
                                                   &is_whole, problem);
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    if (is_whole) /* only the mark had to wait */
        return fetching_is_done(agent, BLOB_FETCHED, problem);
    if (part.offset != held || part.data.size == 0)
        return RESULT_OK; /* twice, or not in order: the next WANT says where to go on */
    is_last = part.offset + (int64_t)part.data.size == part.size;
    result = agent->blob_store->operations->append(agent->blob_store, blobs->fetching.hash, held,
                                                   part.data, is_last, problem);
    if (result == RESULT_REFUSED)
        return fetched_wrong(agent, problem);
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    if (is_last)
        return fetching_is_done(agent, BLOB_FETCHED, problem);
    agent_progress(agent);
    held += (int64_t)part.data.size;
    if (held >= blobs->fetch_end) {
        learn(&blobs->fetch_window, agent->now.us - blobs->fetch_asked_at.us);
        return want_from(agent, held, problem);
    }
    blobs->fetch_due = mono_after(agent->now, AGENT_BLOB_ANSWER_US);
    return RESULT_OK;
}

enum result blobs_on_have(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_blob have = {0};
    enum result result = message_blob_decode(body, &agent->decode_arena, &have, problem);

    if (result != RESULT_OK)
        return result;
    if (is_this(&agent->blobs.sending, have.hash) && have.size == agent->blobs.sending.size)
        return sending_is_done(agent, problem);
    if (is_this(&agent->blobs.fetching, have.hash) && have.size == 0)
        return fetching_is_done(agent, BLOB_UNAVAILABLE, problem);
    return RESULT_OK;
}

/* ---- both ---- */

/* Of customers that were erased, and what was fetched for rows that have left: a few at a time. */
static enum result erase_contents(struct agent *agent, struct problem *problem)
{
    const struct blob_store_operations *operations = agent->blob_store->operations;
    enum result result = RESULT_OK;

    for (int i = 0; i < AGENT_BLOB_ERASED_A_STEP; i++) {
        struct replica_blob blob = {0};
        struct problem refusal = {0};

        result = replica_blob_to_erase(agent->replica, &blob, problem);
        if (result != RESULT_OK || blob.size == 0)
            break;
        if (operations->destroy(agent->blob_store, blob.hash, &refusal) != RESULT_OK) {
            agent_alarm(agent, refusal.text); /* tried again with the next look */
            break;
        }
        result = replica_blob_mark(agent->replica, blob.hash, BLOB_ERASED, problem);
        if (result != RESULT_OK)
            break;
        trace_line(agent->trace, "%s: an attachment's content is destroyed here", agent->name);
    }
    if (result != RESULT_OK)
        result = agent_hold(agent, result, &agent->blobs.send_due, problem);
    return result == RESULT_WAIT ? RESULT_OK : result;
}

enum result blobs_pump(struct agent *agent, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    enum result result = RESULT_OK;

    if (agent->blob_store == NULL || !uplink_is_idle(agent) || !downlink_is_idle(agent))
        return RESULT_OK; /* data first */
    if (mono_is_due(blobs->send_due, agent->now)) {
        forget_parts(blobs);
        result = erase_contents(agent, problem);
        if (result == RESULT_OK)
            result = offer_next(agent, problem);
    }
    while (result == RESULT_OK && has_part_to_send(agent))
        result = send_part(agent, problem);
    if (result == RESULT_OK && mono_is_due(blobs->fetch_due, agent->now))
        result = fetch_next(agent, problem);
    return result;
}

void blobs_give_up(struct agent *agent)
{
    struct agent_blobs *blobs = &agent->blobs;
    struct problem problem = {0};

    agent_alarm(agent, "the office doesn't take the content of an attachment");
    blobs->unanswered = 0;
    blobs->send_due = agent->now;
    if (replica_blob_mark(agent->replica, blobs->sending.hash, BLOB_UNAVAILABLE, &problem) !=
        RESULT_OK)
        blobs->send_due = mono_after(agent->now, AGENT_BLOB_RETRY_US);
    blobs->sending.size = 0;
}

enum result blobs_deposit(struct agent *agent, bool *ret_is_done, struct problem *problem)
{
    struct agent_blobs *blobs = &agent->blobs;
    enum result result = RESULT_OK;

    *ret_is_done = agent->blob_store == NULL;
    if (agent->blob_store == NULL)
        return RESULT_OK;
    if (mono_is_due(blobs->send_due, agent->now)) {
        forget_parts(blobs);
        if (blobs->sending.size > 0 && ++blobs->unanswered >= AGENT_BLOB_PATIENCE)
            blobs_give_up(agent);
        result = offer_next(agent, problem);
    }
    while (result == RESULT_OK && has_part_to_send(agent))
        result = send_part(agent, problem);
    *ret_is_done = blobs->is_all_sent && blobs->sending.size == 0;
    return result;
}

struct mono_time blobs_deposit_deadline(const struct agent *agent)
{
    if (agent->blob_store == NULL || has_part_to_send(agent))
        return agent->now;
    return agent->blobs.send_due;
}

struct mono_time blobs_deadline(const struct agent *agent)
{
    const struct agent_blobs *blobs = &agent->blobs;

    if (agent->blob_store == NULL || !uplink_is_idle(agent) || !downlink_is_idle(agent))
        return MONO_NEVER;
    if (has_part_to_send(agent))
        return agent->now;
    return mono_earlier(blobs->send_due, blobs->fetch_due);
}

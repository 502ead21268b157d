/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/agent_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <string.h>

/* One seal is on its way at a time; what is recorded meanwhile waits for the next one. */
void uplink_begin(struct agent *agent)
{
    uplink_end(agent);
    agent->up.is_dirty = true;
}

void uplink_end(struct agent *agent)
{
    agent->up = (struct agent_uplink){.is_dirty = agent->up.is_dirty, .verdict_due = MONO_NEVER};
    arena_reset(&agent->answer_arena);
}

bool uplink_is_idle(const struct agent *agent)
{
    return agent->up.seal_no == 0 && !agent->up.is_dirty;
}

static void send_again(struct agent *agent, int64_t delay_us)
{
    agent->up.part_no = 0;
    agent->up.is_all_sent = false;
    agent->up.verdict_due = MONO_NEVER;
    agent->up.not_before = mono_after(agent->now, delay_us);
}

void uplink_on_busy(struct agent *agent, int64_t retry_after_ms)
{
    int64_t delay = MILLISECONDS(retry_after_ms);

    if (agent->up.seal_no == 0)
        return;
    /* jitter: whoever was told the same must not come back together */
    delay += (int64_t)prng_below(&agent->prng, (uint64_t)(delay / 2 + SECONDS(1)));
    send_again(agent, delay);
}

/* Finds or makes the seal to send next. */
static enum result next_seal(struct agent *agent, struct problem *problem)
{
    int64_t seal_no = 0;
    bool has_unsealed = false;
    bool is_cut = false;
    enum result result = replica_next_seal(agent->replica, 0, &seal_no, problem);

    if (result == RESULT_OK && seal_no == 0 && agent->up.is_dirty) {
        result = replica_has_unsealed(agent->replica, &has_unsealed, problem);
        if (result == RESULT_OK && has_unsealed)
            result = replica_seal(agent->replica, agent->wall, &seal_no, problem);
        is_cut = has_unsealed && replica_seal_is_cut(agent->replica);
        if (result == RESULT_OK && is_cut)
            agent_alarm(agent, "More was recorded in one piece than the office takes at once:"
                               " it is sent in several.");
        if (result == RESULT_OK)
            agent->up.is_dirty = is_cut; /* the rest follows */
    }
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->up.not_before, problem);
    agent_stored(agent);
    agent->up.seal_no = seal_no;
    agent->up.part_no = 0;
    agent->up.is_all_sent = false;
    return RESULT_OK;
}

enum result uplink_send_part(struct agent *agent, struct problem *problem)
{
    struct agent_uplink *up = &agent->up;
    const struct catalog *catalog = NULL;
    struct message_push push = {0};
    enum result result;

    arena_reset(&agent->decode_arena);
    result = replica_push_part(agent->replica, up->seal_no, up->part_no, AGENT_PUSH_PART_SIZE,
                               &agent->decode_arena, &push, problem);
    if (result != RESULT_OK)
        return agent_hold(agent, result, &up->not_before, problem);
    result = replica_catalog_of(agent->replica, push.schema_version, &catalog, problem);
    if (result != RESULT_OK)
        return agent_hold(agent, result, &up->not_before, problem);
    buffer_reset(&agent->body);
    result = message_push_encode(catalog, &push, &agent->body, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "seal %" PRId64 ", part %" PRId64, up->seal_no, up->part_no);
        return result;
    }
    trace_line(agent->trace, "%s > server: PUSH seal %" PRId64 " part %" PRId64 "%s, %zu changes",
               agent->name, push.seal_no, push.part_no, push.is_last_part ? " (last)" : "",
               push.change_count);
    result = link_send(agent, MESSAGE_PUSH, 6, problem);
    if (result != RESULT_OK)
        return result;
    up->part_no++;
    up->is_all_sent = push.is_last_part;
    if (up->is_all_sent)
        up->verdict_due = mono_after(agent->now, AGENT_VERDICT_WAIT_US);
    return RESULT_OK;
}

enum result uplink_pump(struct agent *agent, struct problem *problem)
{
    struct agent_uplink *up = &agent->up;

    if (mono_is_due(up->verdict_due, agent->now)) {
        trace_line(agent->trace, "%s: no verdict for seal %" PRId64 ", sent again", agent->name,
                   up->seal_no);
        send_again(agent, 0);
    }
    if (!mono_is_due(up->not_before, agent->now))
        return RESULT_OK;
    if (up->seal_no == 0) {
        enum result result = next_seal(agent, problem);

        if (result == RESULT_WAIT)
            return RESULT_OK;
        if (result != RESULT_OK)
            return result;
    }
    while (up->seal_no != 0 && !up->is_all_sent && link_has_room(agent)) {
        enum result result = uplink_send_part(agent, problem);

        if (result == RESULT_WAIT)
            return RESULT_OK;
        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

struct mono_time uplink_deadline(const struct agent *agent)
{
    const struct agent_uplink *up = &agent->up;
    bool has_work = up->seal_no != 0 ? !up->is_all_sent : up->is_dirty;

    if (has_work && link_has_room(agent))
        return mono_earlier(up->not_before, up->verdict_due);
    return up->verdict_due;
}

/* ---- the answer ---- */

static void forget_parts(struct agent *agent)
{
    struct agent_uplink *up = &agent->up;

    arena_reset(&agent->answer_arena);
    up->answer_parts = 0;
    up->answer_count = up->answer_size = 0;
    up->answer_first = up->answer_last = NULL;
}

/* Sent again, it begins anew. */
static enum result keep_part(struct agent *agent, const struct message_verdict *part,
                             struct bytes body, struct problem *problem)
{
    struct agent_uplink *up = &agent->up;
    struct answer_part *kept = NULL;

    if (part->part_no == 0)
        forget_parts(agent);
    if (part->part_no != up->answer_parts || up->answer_size + body.size > AGENT_ANSWER_BODIES_MAX)
        return problem_set(problem, RESULT_MALFORMED,
                           "VERDICT: part %" PRId64 " after %" PRId64 " of %zu bytes",
                           part->part_no, up->answer_parts, up->answer_size);
    kept = arena_alloc(&agent->answer_arena, sizeof *kept);
    if (kept == NULL)
        return arena_full(&agent->answer_arena, problem);
    *kept = (struct answer_part){0};
    if (up->answer_first == NULL)
        up->answer_first = kept;
    else
        up->answer_last->next = kept;
    up->answer_last = kept;
    up->answer_parts++;
    up->answer_count += part->exception_count;
    up->answer_size += body.size;
    up->verdict_due = mono_after(agent->now, AGENT_VERDICT_WAIT_US);
    return arena_copy(&agent->answer_arena, body, &kept->body, problem);
}

/* All exceptions of the parts before and of the last one, in its place. */
static enum result join_parts(struct agent *agent, struct message_verdict *last,
                              struct problem *problem)
{
    struct agent_uplink *up = &agent->up;
    struct arena *arena = &agent->decode_arena;
    struct verdict *all = NULL;
    size_t count = 0;
    enum result result = RESULT_OK;

    if (last->part_no != up->answer_parts)
        return problem_set(problem, RESULT_MALFORMED, "VERDICT: part %" PRId64 " after %" PRId64,
                           last->part_no, up->answer_parts);
    all = arena_array(arena, up->answer_count + last->exception_count, sizeof *all);
    if (all == NULL)
        return arena_full(arena, problem);
    for (const struct answer_part *part = up->answer_first; part != NULL && result == RESULT_OK;
         part = part->next) {
        struct message_verdict verdict = {0};

        result = message_verdict_decode(replica_wire(agent->replica), part->body, arena, &verdict,
                                        problem);
        if (result == RESULT_OK && verdict.exception_count > 0)
            memcpy(all + count, verdict.exceptions, verdict.exception_count * sizeof *all);
        count += verdict.exception_count;
    }
    if (result == RESULT_OK && last->exception_count > 0)
        memcpy(all + count, last->exceptions, last->exception_count * sizeof *all);
    last->exceptions = all;
    last->exception_count += count;
    return result;
}

enum result uplink_on_verdict(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct agent_uplink *up = &agent->up;
    struct message_verdict verdict = {0};
    enum result result = message_verdict_decode(replica_wire(agent->replica), body,
                                                &agent->decode_arena, &verdict, problem);

    if (result != RESULT_OK)
        return result;
    if (verdict.seal_no != up->seal_no)
        return problem_set(problem, RESULT_MALFORMED,
                           "VERDICT for seal %" PRId64 ", but %" PRId64 " is on its way",
                           verdict.seal_no, up->seal_no);
    if (verdict.has_more)
        return keep_part(agent, &verdict, body, problem);
    if (verdict.part_no > 0)
        result = join_parts(agent, &verdict, problem);
    if (result != RESULT_OK)
        return result;
    result = replica_verdict(agent->replica, &verdict, agent->wall, problem);
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    trace_line(agent->trace, "%s: verdict for seal %" PRId64 ", %zu exceptions", agent->name,
               verdict.seal_no, verdict.exception_count);
    agent_stored(agent);
    agent_progress(agent);
    uplink_end(agent);
    blobs_look(agent);
    if (verdict.exception_count > 0)
        agent_effect_add(agent, AGENT_EFFECT_PUBLISHED, (struct bytes){0}, false, NULL);
    return RESULT_OK;
}

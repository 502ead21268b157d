/* SPDX-License-Identifier: Apache-2.0 */
/* A revoked device leaves behind what the server doesn't have: seal after seal, each until the
 * server says that it lies there whole, then the contents of attachments. Only then it ends, and
 * only then it wipes if it is told to. If the line is cut before, a device that is to wipe comes
 * again; another one has told its person already, keeps everything, and goes on when it is started
 * the next time. */
#include "agent/core/agent_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>

void parting_begin(struct agent *agent, bool wipe, const char *words)
{
    link_forget_inbox(agent);
    uplink_end(agent);
    downlink_end(agent);
    blobs_end(agent);
    replica_disconnected(agent->replica);
    agent->link.handshake_due = MONO_NEVER;
    agent->parting = (struct agent_parting){.wipe = wipe};
    snprintf(agent->parting.words, sizeof agent->parting.words, "%s", words);
}

/* Seals what isn't sealed, once all seals are out. */
static enum result next_seal(struct agent *agent, bool *ret_is_done, struct problem *problem)
{
    bool has_unsealed = false;
    int64_t seal_no = 0;
    enum result result =
        replica_next_seal(agent->replica, agent->parting.seal_done, &seal_no, problem);

    if (result == RESULT_OK && seal_no == 0) {
        result = replica_has_unsealed(agent->replica, &has_unsealed, problem);
        if (result == RESULT_OK && has_unsealed)
            result = replica_seal(agent->replica, agent->wall, &seal_no, problem);
    }
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->up.not_before, problem);
    agent->up.seal_no = seal_no;
    agent->up.part_no = 0;
    agent->up.is_all_sent = false;
    *ret_is_done = seal_no == 0;
    return RESULT_OK;
}

enum result parting_pump(struct agent *agent, struct problem *problem)
{
    struct agent_uplink *up = &agent->up;
    bool is_done = false;
    enum result result = RESULT_OK;

    if (!agent->parting.is_noted) {
        result = replica_note_revoked(agent->replica, agent->wall, problem);
        if (result != RESULT_OK)
            return agent_hold(agent, result, &up->not_before, problem) == RESULT_WAIT ? RESULT_OK
                                                                                      : result;
        agent->parting.is_noted = true;
    }
    if (mono_is_due(up->verdict_due, agent->now))
        uplink_on_busy(agent, 0);
    if (!mono_is_due(up->not_before, agent->now))
        return RESULT_OK;
    if (up->seal_no == 0)
        result = next_seal(agent, &is_done, problem);
    while (result == RESULT_OK && up->seal_no != 0 && !up->is_all_sent && link_has_room(agent)) {
        result = uplink_send_part(agent, problem);
        if (up->is_all_sent)
            up->verdict_due = mono_after(agent->now, AGENT_DEPOSIT_WAIT_US);
    }
    if (result == RESULT_OK && is_done && !agent->parting.has_begun_blobs) {
        blobs_begin(agent);
        agent->parting.has_begun_blobs = true;
    }
    if (result == RESULT_OK && is_done)
        result = blobs_deposit(agent, &is_done, problem);
    if (result == RESULT_WAIT)
        return RESULT_OK;
    if (result == RESULT_OK && is_done) {
        result = link_send_text(agent, MESSAGE_BYE, "deposited", "", problem);
        if (result == RESULT_OK)
            agent_end_revoked(agent);
    }
    return result;
}

struct mono_time parting_deadline(const struct agent *agent)
{
    const struct agent_uplink *up = &agent->up;

    if (agent->parting.has_begun_blobs && up->seal_no == 0)
        return mono_is_due(up->not_before, agent->now) ? blobs_deposit_deadline(agent)
                                                       : up->not_before;
    if (!up->is_all_sent && link_has_room(agent))
        return mono_earlier(up->not_before, up->verdict_due);
    return up->verdict_due;
}

static void go_on(struct agent *agent)
{
    agent->parting.seal_done = agent->up.seal_no;
    uplink_end(agent);
    agent_progress(agent);
}

enum result parting_on_deposited(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_deposited deposited = {0};
    enum result result = message_deposited_decode(body, &agent->decode_arena, &deposited, problem);

    if (result != RESULT_OK)
        return result;
    if (agent->up.seal_no == 0 || deposited.seal_no != agent->up.seal_no)
        return RESULT_OK; /* sent twice, answered twice */
    trace_line(agent->trace, "%s < server: DEPOSITED seal %" PRId64, agent->name,
               deposited.seal_no);
    go_on(agent);
    return RESULT_OK;
}

bool parting_on_error(struct agent *agent, const struct message_text *text)
{
    if (bytes_equal(text->code, bytes_of_text("busy")))
        uplink_on_busy(agent, text->retry_after_ms);
    else if (bytes_equal(text->code, bytes_of_text("DEPOSIT")) && agent->up.seal_no != 0)
        go_on(agent); /* it can never be taken */
    else if (bytes_equal(text->code, bytes_of_text("BLOB")) && agent->blobs.sending.size > 0 &&
             text->retry_after_ms == 0)
        blobs_give_up(agent);
    else if (bytes_equal(text->code, bytes_of_text("BLOB")))
        agent->blobs.send_due = mono_after(agent->now, MILLISECONDS(text->retry_after_ms));
    else
        return false;
    return true;
}

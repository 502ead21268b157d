/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the device's key pairs opens the next session, and how a new one takes over.
 *
 *   NEXT      made here; good as soon as the server's psk for it is stored durably
 *   CURRENT   what the last session but one, or all so far, came with
 *   PREVIOUS  the one before: only a server that was restored from an older backup knows it
 *
 * The server keeps CURRENT until a session came with NEXT, so nothing that gets lost on the way
 * locks the device out. Nobody says which pair a server knows before the handshake is over; the
 * device tries. */
#include "agent/core/agent_inside.h"

#include "base/invariant.h"

#include <sodium.h>
#include <string.h>

enum { TRY_PREVIOUS_EVERY = 4 }; /* handshakes that failed, one after the other */

struct agent_pair *rotation_pair(struct agent *agent)
{
    struct agent_pair *pairs = agent->secrets->pairs;
    enum agent_pair_name name = AGENT_PAIR_CURRENT;

    if (pairs[AGENT_PAIR_PREVIOUS].has_psk &&
        agent->refusals % TRY_PREVIOUS_EVERY == TRY_PREVIOUS_EVERY - 1)
        name = AGENT_PAIR_PREVIOUS;
    else if (pairs[AGENT_PAIR_NEXT].has_psk && agent->refusals % 2 == 0)
        name = AGENT_PAIR_NEXT;
    agent->pair = name;
    return &pairs[name];
}

void rotation_show_fingerprint(struct agent *agent)
{
    identity_fingerprint(agent->secrets->pairs[AGENT_PAIR_CURRENT].static_keys.public_key,
                         agent->status.fingerprint);
}

void rotation_take(struct agent *agent, const uint8_t *secret)
{
    struct agent_pair *next = &agent->secrets->pairs[AGENT_PAIR_NEXT];

    if (next->has_key)
        return; /* one at a time */
    noise_keypair_from(secret, &next->static_keys);
    next->has_key = true;
    next->has_psk = false;
}

void rotation_on_welcome(struct agent *agent)
{
    struct agent_pair *pairs = agent->secrets->pairs;
    struct agent_pair kept = pairs[AGENT_PAIR_PREVIOUS];

    agent->refusals = 0;
    agent->is_key_offered = false;
    agent->is_key_refused = false;
    if (agent->pair == AGENT_PAIR_NEXT) {
        pairs[AGENT_PAIR_PREVIOUS] = pairs[AGENT_PAIR_CURRENT];
        pairs[AGENT_PAIR_CURRENT] = pairs[AGENT_PAIR_NEXT];
        sodium_memzero(&pairs[AGENT_PAIR_NEXT], sizeof pairs[AGENT_PAIR_NEXT]);
        agent_effect_add(agent, AGENT_EFFECT_KEYS_ROTATED, (struct bytes){0}, false, NULL);
        trace_line(agent->trace, "%s: the new keys are in use", agent->name);
    } else if (agent->pair == AGENT_PAIR_PREVIOUS) {
        pairs[AGENT_PAIR_PREVIOUS] = pairs[AGENT_PAIR_CURRENT];
        pairs[AGENT_PAIR_CURRENT] = kept;
        agent_effect_add(agent, AGENT_EFFECT_KEYS_REVERTED, (struct bytes){0}, false, NULL);
        trace_line(agent->trace, "%s: the server knows only the keys before", agent->name);
    }
    agent->pair = AGENT_PAIR_CURRENT;
    sodium_memzero(&kept, sizeof kept);
    rotation_show_fingerprint(agent);
}

bool rotation_is_idle(const struct agent *agent)
{
    return !agent->secrets->pairs[AGENT_PAIR_NEXT].has_key || agent->is_key_refused;
}

enum result rotation_pump(struct agent *agent, struct problem *problem)
{
    const struct agent_pair *next = &agent->secrets->pairs[AGENT_PAIR_NEXT];
    struct message_new_key message = {.public_key =
                                          bytes_of(next->static_keys.public_key, NOISE_KEY_SIZE)};
    enum result result;

    if (!next->has_key || agent->is_key_offered)
        return RESULT_OK;
    agent->is_key_offered = true;
    buffer_reset(&agent->body);
    result = message_new_key_encode(&message, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    trace_line(agent->trace, "%s > server: NEW_KEY", agent->name);
    return link_send(agent, MESSAGE_NEW_KEY, 0, problem);
}

enum result rotation_on_new_psk(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct agent_pair *next = &agent->secrets->pairs[AGENT_PAIR_NEXT];
    struct message_new_psk message = {0};
    enum result result = message_new_psk_decode(body, &agent->decode_arena, &message, problem);

    if (result != RESULT_OK)
        return result;
    if (!next->has_key ||
        !bytes_equal(message.public_key, bytes_of(next->static_keys.public_key, NOISE_KEY_SIZE)))
        return problem_set(problem, RESULT_MALFORMED, "NEW_PSK for another key");
    memcpy(next->psk, message.psk.data, PSK_SIZE);
    next->has_psk = true;
    /* the edge stores it durably before anything else happens */
    agent_effect_add(agent, AGENT_EFFECT_NEXT_PSK, bytes_of(next->psk, PSK_SIZE), false, NULL);
    result = link_send_text(agent, MESSAGE_BYE, "renew", "", problem);
    if (result != RESULT_OK)
        return result;
    agent_progress(agent);
    agent_disconnect(agent, "new keys", 0);
    agent->status.last_failure[0] = '\0'; /* nothing has failed */
    agent->next_try = agent->is_stopped ? MONO_NEVER : agent->now;
    return RESULT_OK;
}

enum result rotation_on_policy(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_policy policy = {0};
    enum result result = message_policy_decode(body, &agent->decode_arena, &policy, problem);

    if (result == RESULT_OK)
        result = replica_set_lease(agent->replica, policy.lease_s, problem);
    if (result != RESULT_OK)
        return result == RESULT_WAIT || result == RESULT_EXHAUSTED
                   ? agent_hold(agent, result, &agent->link.inbox_due, problem)
                   : result;
    if (policy.is_rotation_asked && !agent->secrets->pairs[AGENT_PAIR_NEXT].has_key)
        agent_effect_add(agent, AGENT_EFFECT_ROTATION_ASKED, (struct bytes){0}, false, NULL);
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/agent_inside.h"

#include <inttypes.h>
#include <stdio.h>

void checks_begin(struct agent *agent)
{
    struct agent_checks *checks = &agent->checks;

    checks->bucket_after = 0;
    /* the first one soon, but not while a whole fleet reconnects */
    checks->digest_due = mono_after(
        agent->now, MINUTES(1) + (int64_t)prng_below(&agent->prng, (uint64_t)MINUTES(4)));
    if (checks->triggers_due.us == 0) /* opening the replica has just checked them */
        checks->triggers_due = mono_after(agent->now, AGENT_TRIGGERS_EVERY_US);
}

void checks_pause(struct agent *agent)
{
    agent->checks.bucket_after = 0;
    agent->checks.digest_due = mono_after(agent->now, AGENT_DIGEST_EVERY_US);
}

static bool is_idle(const struct agent *agent)
{
    return uplink_is_idle(agent) && downlink_is_idle(agent);
}

static enum result check_triggers(struct agent *agent, struct problem *problem)
{
    struct agent_checks *checks = &agent->checks;
    size_t repaired = 0;
    char text[120];
    enum result result = replica_check_triggers(agent->replica, &repaired, problem);

    if (result != RESULT_OK) {
        result = agent_hold(agent, result, &checks->triggers_due, problem);
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    checks->triggers_due = mono_after(agent->now, AGENT_TRIGGERS_EVERY_US);
    if (repaired > 0) {
        snprintf(text, sizeof text, "%zu capture triggers were missing or altered and are repaired",
                 repaired);
        agent_alarm(agent, text);
    }
    return RESULT_OK;
}

static enum result send_digests(struct agent *agent, struct problem *problem)
{
    struct agent_checks *checks = &agent->checks;
    struct message_digest digest = {0};
    int64_t next = 0;
    enum result result;

    arena_reset(&agent->decode_arena);
    result = replica_digests(agent->replica, checks->bucket_after, AGENT_DIGEST_BUCKETS,
                             &agent->decode_arena, &digest, &next, problem);
    if (result != RESULT_OK) {
        result = agent_hold(agent, result, &checks->digest_due, problem);
        return result == RESULT_WAIT ? RESULT_OK : result;
    }
    checks->bucket_after = next;
    checks->digest_due =
        mono_after(agent->now, next == 0 ? AGENT_DIGEST_EVERY_US : AGENT_DIGEST_PAUSE_US);
    if (digest.count == 0)
        return RESULT_OK;
    buffer_reset(&agent->body);
    result = message_digest_encode(&digest, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    trace_line(agent->trace, "%s > server: DIGEST of %zu buckets at %" PRId64, agent->name,
               digest.count, digest.head);
    return link_send(agent, MESSAGE_DIGEST, 0, problem);
}

enum result checks_pump(struct agent *agent, struct problem *problem)
{
    struct agent_checks *checks = &agent->checks;

    if (mono_is_due(checks->triggers_due, agent->now)) {
        enum result result = check_triggers(agent, problem);

        if (result != RESULT_OK)
            return result;
    }
    if (!mono_is_due(checks->digest_due, agent->now))
        return RESULT_OK;
    if (!is_idle(agent)) {
        checks->digest_due = mono_after(agent->now, SECONDS(5));
        return RESULT_OK;
    }
    if (!replica_speaks_own(agent->replica)) { /* other columns, other sums */
        checks->digest_due = mono_after(agent->now, AGENT_DIGEST_EVERY_US);
        return RESULT_OK;
    }
    return send_digests(agent, problem);
}

struct mono_time checks_deadline(const struct agent *agent)
{
    return mono_earlier(agent->checks.digest_due, agent->checks.triggers_due);
}

/* May another repair be asked for within this hour? Says so once when not. */
static bool repair_is_allowed(struct agent *agent)
{
    struct agent_checks *checks = &agent->checks;

    if (mono_is_due(checks->hour_end, agent->now)) {
        checks->hour_end = mono_after(agent->now, HOURS(1));
        checks->repair_count = 0;
        checks->is_alarmed = false;
    }
    if (checks->repair_count < AGENT_REPAIRS_PER_HOUR_MAX) {
        checks->repair_count++;
        agent->status.repairs++;
        return true;
    }
    if (!checks->is_alarmed)
        agent_alarm(agent, "more than 20 repairs within an hour: this replica and the server keep "
                           "differing, no more repairs until the hour is over");
    checks->is_alarmed = true;
    return false;
}

static enum result repair(struct agent *agent, const struct differing_bucket *differing,
                          struct problem *problem)
{
    struct message_repair message = {0};
    char bucket[BUCKET_TEXT_SIZE];
    enum result result =
        replica_differing_parts(agent->replica, differing->bucket, differing->parts,
                                &agent->decode_arena, &message, problem);

    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    if (message.part_count == 0 || !repair_is_allowed(agent))
        return RESULT_OK;
    bucket_format(message.bucket, bucket);
    buffer_reset(&agent->body);
    result = message_repair_encode(&message, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    trace_line(agent->trace, "%s > server: REPAIR %s, %zu parts", agent->name, bucket,
               message.part_count);
    return link_send(agent, MESSAGE_REPAIR, 0, problem);
}

enum result checks_on_differs(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_digest_differs differs = {0};
    enum result result =
        message_digest_differs_decode(body, &agent->decode_arena, &differs, problem);

    /* A wait in the middle repeats the buckets before it: they agree by then or are asked for
     * again, which is harmless. */
    for (size_t i = 0; result == RESULT_OK && i < differs.count; i++)
        result = repair(agent, &differs.buckets[i], problem);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/agent_inside.h"

#include <inttypes.h>

void downlink_begin(struct agent *agent, int64_t head)
{
    struct agent_downlink *down = &agent->down;

    down->welcome_head = head;
    down->is_staging = false;
    down->is_caught_up = down->published_seq > 0 && down->published_seq >= head;
    /* at once, even if nothing is new: it also says that the new resume token is stored */
    down->owes_receipt = true;
    down->receipt_due = agent->now;
    down->settle_due = MONO_NEVER;
}

void downlink_end(struct agent *agent)
{
    agent->down.parts_taken = 0;
    agent->down.is_staging = false;
    agent->down.is_caught_up = false;
    agent->down.owes_receipt = false;
    agent->down.receipt_due = MONO_NEVER;
    agent->down.settle_due = MONO_NEVER;
}

bool downlink_is_idle(const struct agent *agent)
{
    return agent->down.is_caught_up && !agent->down.is_staging && agent->link.inbox_first == NULL;
}

/* What the replica said about a frame that it should take. */
static enum result taken(struct agent *agent, enum result result, struct problem *problem)
{
    if (result != RESULT_OK)
        return agent_hold(agent, result, &agent->link.inbox_due, problem);
    agent_stored(agent);
    return RESULT_OK;
}

enum result downlink_on_subscribed(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_subscribed subscribed = {0};
    enum result result =
        message_subscribed_decode(body, &agent->decode_arena, &subscribed, problem);

    if (result != RESULT_OK)
        return result;
    trace_line(agent->trace, "%s < server: SUBSCRIBED %s%zu buckets, %zu removed", agent->name,
               subscribed.is_whole ? "" : "+", subscribed.added_count, subscribed.removed_count);
    agent->down.is_staging = true;
    return taken(agent, replica_subscribed(agent->replica, &subscribed, problem), problem);
}

static enum result take_rows(struct agent *agent, const struct message_rows *rows,
                             struct problem *problem)
{
    char bucket[BUCKET_TEXT_SIZE];

    bucket_format(rows->bucket, bucket);
    trace_line(agent->trace, "%s < server: ROWS %s %zu (%" PRId64 ", %" PRId64 "]%s%s", agent->name,
               bucket, rows->row_count, rows->seq_after, rows->seq_to,
               rows->is_complete ? "" : " more", rows->is_repair ? " repair" : "");
    if (!rows->is_repair)
        agent->down.is_staging = true;
    return replica_rows(agent->replica, rows, problem);
}

enum result downlink_on_rows(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_rows rows = {0};
    enum result result = message_rows_decode(replica_wire(agent->replica), body,
                                             &agent->decode_arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    return taken(agent, take_rows(agent, &rows, problem), problem);
}

/* When the replica makes it wait, what it has taken stays taken. */
enum result downlink_on_snapshot(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_snapshot snapshot = {0};
    size_t *parts_taken = &agent->down.parts_taken;
    enum result result = message_snapshot_decode(replica_wire(agent->replica), body,
                                                 &agent->decode_arena, &snapshot, problem);

    if (result != RESULT_OK)
        return result;
    while (*parts_taken < snapshot.part_count && result == RESULT_OK) {
        result = take_rows(agent, &snapshot.parts[*parts_taken], problem);
        if (result == RESULT_OK)
            ++*parts_taken;
    }
    if (result == RESULT_OK)
        *parts_taken = 0;
    return taken(agent, result, problem);
}

enum result downlink_on_gone(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_gone gone = {0};
    char bucket[BUCKET_TEXT_SIZE];
    enum result result = message_gone_decode(replica_wire(agent->replica), body,
                                             &agent->decode_arena, &gone, problem);

    if (result != RESULT_OK)
        return result;
    bucket_format(gone.bucket, bucket);
    trace_line(agent->trace, "%s < server: GONE %s %zu (%" PRId64 ", %" PRId64 "]", agent->name,
               bucket, gone.count, gone.seq_after, gone.seq_to);
    agent->down.is_staging = true;
    return taken(agent, replica_gone(agent->replica, &gone, problem), problem);
}

enum result downlink_on_ids(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_ids ids = {0};
    char bucket[BUCKET_TEXT_SIZE];
    enum result result =
        message_ids_decode(replica_wire(agent->replica), body, &agent->decode_arena, &ids, problem);

    if (result != RESULT_OK)
        return result;
    bucket_format(ids.bucket, bucket);
    trace_line(agent->trace, "%s < server: IDS %s table %" PRId64 ": %zu at %" PRId64, agent->name,
               bucket, ids.table_no, ids.count, ids.seq_to);
    agent->down.is_staging = true;
    return taken(agent, replica_ids(agent->replica, &ids, problem), problem);
}

enum result downlink_on_publish(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct agent_downlink *down = &agent->down;
    struct message_publish publish = {0};
    struct replica_published published = {0};
    enum result result = message_publish_decode(body, &agent->decode_arena, &publish, problem);

    if (result != RESULT_OK)
        return result;
    result = replica_publish(agent->replica, publish.head, agent->wall, &published, problem);
    if (result != RESULT_OK)
        return taken(agent, result, problem);
    agent_stored(agent);
    agent_progress(agent);
    trace_line(agent->trace,
               "%s < server: PUBLISH %" PRId64 ": %zu rows, %zu gone, %zu quarantined, "
               "%zu buckets dropped",
               agent->name, publish.head, published.row_count, published.gone_count,
               published.quarantined_count, published.dropped_bucket_count);
    down->published_seq = publish.head;
    down->is_staging = false;
    down->is_caught_up = true;
    blobs_look(agent);
    if (!down->owes_receipt) {
        down->owes_receipt = true;
        down->receipt_due = mono_after(agent->now, AGENT_RECEIPT_DELAY_US);
    }
    if (published.quarantined_count > 0)
        agent_alarm(agent,
                    "rows from the server can't be stored here: see `fieldsync-agent status`");
    agent_effect_add(agent, AGENT_EFFECT_PUBLISHED, (struct bytes){0}, false, NULL);
    return RESULT_OK;
}

/* Scripts that this device lacks: they run when the replica is opened again. */
enum result downlink_on_schema(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_schema schema = {0};
    bool is_complete = false;
    enum result result = message_schema_decode(body, &agent->decode_arena, &schema, problem);

    if (result != RESULT_OK)
        return result;
    result = replica_schema(agent->replica, &schema, &is_complete, problem);
    if (result != RESULT_OK)
        return taken(agent, result, problem);
    trace_line(agent->trace, "%s < server: SCHEMA %zu scripts", agent->name, schema.script_count);
    if (!is_complete)
        return RESULT_OK;
    agent_progress(agent);
    agent_disconnect(agent, "the server has sent a new schema", 0);
    agent_effect_add(agent, AGENT_EFFECT_SCHEMA, (struct bytes){0}, false, NULL);
    return RESULT_OK;
}

/* What the replica holds in an open transaction is committed soon: others want to write, too. */
static enum result settle(struct agent *agent, struct problem *problem)
{
    struct agent_downlink *down = &agent->down;

    if (!replica_is_unsettled(agent->replica)) {
        down->settle_due = MONO_NEVER;
        return RESULT_OK;
    }
    if (down->settle_due.us == MONO_NEVER.us)
        down->settle_due = mono_after(agent->now, AGENT_SETTLE_DELAY_US);
    if (!mono_is_due(down->settle_due, agent->now))
        return RESULT_OK;
    down->settle_due = MONO_NEVER;
    return replica_settle(agent->replica, problem);
}

/* The receipt: one for all that was published within a second. */
enum result downlink_pump(struct agent *agent, struct problem *problem)
{
    struct agent_downlink *down = &agent->down;
    struct message_published published = {.seq = down->published_seq};
    enum result result = settle(agent, problem);

    if (result != RESULT_OK)
        return result;
    if (!down->owes_receipt || !mono_is_due(down->receipt_due, agent->now))
        return RESULT_OK;
    down->owes_receipt = false;
    down->receipt_due = MONO_NEVER;
    buffer_reset(&agent->body);
    result = message_published_encode(&published, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    trace_line(agent->trace, "%s > server: PUBLISHED %" PRId64, agent->name, published.seq);
    return link_send(agent, MESSAGE_PUBLISHED, 0, problem);
}

struct mono_time downlink_deadline(const struct agent *agent)
{
    return mono_earlier(agent->down.receipt_due, agent->down.settle_due);
}

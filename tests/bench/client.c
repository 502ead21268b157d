/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/client.h"

#include <string.h>

/* The first receipt says that WELCOME has arrived, the second that nothing is missing any more; an
 * agent's later ones, one now and then, are left out. */
enum { RECEIPTS_AT_FIRST = 2 };

void client_done(struct client *client)
{
    channel_destroy(client->channel);
    client->channel = NULL;
    identity_wipe(client->keys.private_key, sizeof client->keys.private_key);
    identity_wipe(client->psk, sizeof client->psk);
}

void client_disconnected(struct client *client)
{
    channel_destroy(client->channel);
    client->channel = NULL;
    client->is_live = false;
    client_forget_seal(client);
}

void client_forget_rows(struct client *client)
{
    client->published_seq = 0;
    client->has_buckets = false;
}

/* ---- greetings ---- */

static enum result greet_first(const struct client *client, struct wall_time now,
                               struct buffer *greeting, struct problem *problem)
{
    struct message_enrol enrol = {
        .sign_public_key =
            bytes_of(client->keys.public_key, PUBLIC_KEY_SIZE), /* it signs nothing */
        .device_name = bytes_of_text(client->app_version),
        .app_version = bytes_of_text(client->app_version),
        .schema_version = client->catalog->schema_version,
        .device_time = now};

    return message_enrol_encode(&enrol, greeting, problem);
}

static enum result greet_again(const struct client *client, struct wall_time now,
                               struct buffer *greeting, struct problem *problem)
{
    struct message_resume resume = {.resume_token = bytes_of(client->resume_token, TOKEN_SIZE),
                                    .epoch = bytes_of(client->epoch, EPOCH_SIZE),
                                    .incarnation = client->incarnation,
                                    .published_seq = client->published_seq,
                                    .lcn_last = client->lcn,
                                    .schema_version = client->catalog->schema_version,
                                    .device_time = now,
                                    .app_version = bytes_of_text(client->app_version),
                                    .seal_no = client->seal_no,
                                    .seal_digest = bytes_of(client->digest, SEAL_DIGEST_SIZE),
                                    .subscribed_digest_size =
                                        client->has_buckets ? sizeof client->buckets_digest : 0};

    memcpy(resume.subscribed_digest, client->buckets_digest, sizeof resume.subscribed_digest);
    return message_resume_encode(&resume, greeting, problem);
}

enum result client_dial(struct client *client, const uint8_t *seed, struct wall_time now,
                        struct problem *problem)
{
    struct channel_device_options options = {
        .root_public_key = client->root_key,
        .static_keys = &client->keys,
        .psk = client->psk,
        .kind = client->is_enrolled ? CHANNEL_SESSION : CHANNEL_ENROL,
        .token_id = client->is_enrolled ? NULL : client->token_id,
        .seed = seed};
    struct buffer greeting;
    enum result result;

    client_disconnected(client);
    buffer_init(&greeting, LIMIT_GREETING_SIZE_MAX);
    result = client->is_enrolled ? greet_again(client, now, &greeting, problem)
                                 : greet_first(client, now, &greeting, problem);
    options.greeting = buffer_bytes(&greeting);
    if (result == RESULT_OK)
        result = channel_create_device(&options, &client->channel, problem);
    buffer_done(&greeting);
    return result;
}

/* ---- sending ---- */

enum result client_send(struct client *client, uint8_t type, struct bytes body, int level,
                        struct arena *arena, struct problem *problem)
{
    struct channel_messages messages = {0};
    enum result result =
        channel_send(client->channel, type, body, level, arena, &messages, problem);

    if (result != RESULT_OK)
        return result;
    for (size_t i = 0; i < messages.count; i++)
        client->send(client->context, messages.messages[i]);
    return RESULT_OK;
}

static enum result send_receipt(struct client *client, struct arena *arena, struct problem *problem)
{
    struct message_published published = {.seq = client->published_seq};
    struct buffer body;
    enum result result;

    if (client->receipts_due == 0)
        return RESULT_OK;
    client->receipts_due--;
    buffer_init(&body, LIMIT_FRAME_PADDED_SIZE);
    result = message_published_encode(&published, &body, problem);
    if (result == RESULT_OK)
        result = client_send(client, MESSAGE_PUBLISHED, buffer_bytes(&body), 0, arena, problem);
    buffer_done(&body);
    return result;
}

enum result client_ask_rows(struct client *client, struct arena *arena, struct problem *problem)
{
    uint8_t parts[REPAIR_PARTS];
    struct message_repair repair = {
        .bucket = client->bucket, .part_count = REPAIR_PARTS, .parts = parts};
    struct buffer body;
    enum result result;

    for (size_t i = 0; i < sizeof parts; i++)
        parts[i] = (uint8_t)i;
    buffer_init(&body, 2 * REPAIR_PARTS);
    result = message_repair_encode(&repair, &body, problem);
    if (result == RESULT_OK)
        result = client_send(client, MESSAGE_REPAIR, buffer_bytes(&body), 0, arena, problem);
    buffer_done(&body);
    return result;
}

/* ---- what it hears ---- */

static enum result on_welcome(struct client *client, struct bytes body, struct arena *arena,
                              struct client_event *event, struct problem *problem)
{
    struct message_welcome welcome = {0};
    enum result result = message_welcome_decode(body, arena, &welcome, problem);

    if (result != RESULT_OK)
        return result;
    memcpy(client->resume_token, welcome.resume_token.data, TOKEN_SIZE);
    memcpy(client->epoch, welcome.epoch.data, EPOCH_SIZE);
    client->replica_no = welcome.replica_no;
    client->incarnation = welcome.incarnation;
    client->user_id = welcome.user_id;
    client->receipts_due = RECEIPTS_AT_FIRST;
    client->is_live = true;
    event->kind = CLIENT_LIVE;
    return RESULT_OK;
}

static enum result on_enrolled(struct client *client, struct bytes body, struct arena *arena,
                               struct client_event *event, struct problem *problem)
{
    struct message_enrolled enrolled = {0};
    enum result result = message_enrolled_decode(body, arena, &enrolled, problem);

    if (result != RESULT_OK)
        return result;
    memcpy(client->psk, enrolled.psk.data, PSK_SIZE);
    memcpy(client->resume_token, enrolled.resume_token.data, TOKEN_SIZE);
    memcpy(client->epoch, enrolled.epoch.data, EPOCH_SIZE);
    client->replica_no = enrolled.replica_no;
    client->incarnation = enrolled.incarnation;
    client->user_id = enrolled.user_id;
    client->is_enrolled = true;
    event->kind = CLIENT_ENROLLED;
    return RESULT_OK;
}

static enum result on_subscribed(struct client *client, struct bytes body, struct arena *arena,
                                 struct client_event *event, struct problem *problem)
{
    struct message_subscribed subscribed = {0};
    enum result result = message_subscribed_decode(body, arena, &subscribed, problem);

    (void)event;
    client->has_buckets = result == RESULT_OK && subscribed.is_whole;
    if (result == RESULT_OK && subscribed.added_count > 0)
        client->bucket = subscribed.added[subscribed.added_count - 1];
    if (client->has_buckets)
        subscribed_digest(subscribed.added, subscribed.added_count, client->buckets_digest);
    return result;
}

static enum result on_publish(struct client *client, struct bytes body, struct arena *arena,
                              struct client_event *event, struct problem *problem)
{
    struct message_publish publish = {0};
    enum result result = message_publish_decode(body, arena, &publish, problem);

    if (result != RESULT_OK)
        return result;
    client->published_seq = publish.head;
    event->kind = CLIENT_PUBLISH;
    return send_receipt(client, arena, problem);
}

/* Of a seal of many changes it comes in parts. */
static enum result on_verdict(struct client *client, struct bytes body, struct arena *arena,
                              struct client_event *event, struct problem *problem)
{
    struct message_verdict verdict = {0};
    enum result result = message_verdict_decode(client->catalog, body, arena, &verdict, problem);

    if (result != RESULT_OK || verdict.has_more)
        return result;
    client->seal_no = verdict.seal_no;
    client->is_pushed = false;
    event->kind = CLIENT_VERDICT;
    event->exception_count = verdict.exception_count;
    return RESULT_OK;
}

static enum result on_rows(struct client *client, struct bytes body, struct arena *arena,
                           struct client_event *event, struct problem *problem)
{
    (void)client;
    (void)body;
    (void)arena;
    (void)problem;
    event->kind = CLIENT_ROWS;
    return RESULT_OK;
}

static enum result on_ping(struct client *client, struct bytes body, struct arena *arena,
                           struct client_event *event, struct problem *problem)
{
    event->kind = CLIENT_PING;
    return client_send(client, MESSAGE_PONG, body, 0, arena, problem);
}

static enum result on_text(struct client *client, struct bytes body, struct arena *arena,
                           struct client_event *event, struct problem *problem)
{
    struct message_text text = {0};
    enum result result = message_text_decode(body, arena, &text, problem);

    (void)client;
    event->retry_after_ms = text.retry_after_ms;
    return result;
}

static enum result on_error(struct client *client, struct bytes body, struct arena *arena,
                            struct client_event *event, struct problem *problem)
{
    event->kind = CLIENT_ERROR;
    return on_text(client, body, arena, event, problem);
}

static enum result on_bye(struct client *client, struct bytes body, struct arena *arena,
                          struct client_event *event, struct problem *problem)
{
    event->kind = CLIENT_BYE;
    return on_text(client, body, arena, event, problem);
}

/* Everything else it drops. */
static enum result (*const HANDLERS[256])(struct client *client, struct bytes body,
                                          struct arena *arena, struct client_event *event,
                                          struct problem *problem) = {
    [MESSAGE_WELCOME] = on_welcome,
    [MESSAGE_ENROLLED] = on_enrolled,
    [MESSAGE_SUBSCRIBED] = on_subscribed,
    [MESSAGE_PUBLISH] = on_publish,
    [MESSAGE_VERDICT] = on_verdict,
    [MESSAGE_ROWS] = on_rows,
    [MESSAGE_PING] = on_ping,
    [MESSAGE_ERROR] = on_error,
    [MESSAGE_BYE] = on_bye,
};

enum result client_receive(struct client *client, struct bytes message, struct arena *arena,
                           struct client_event *ret_event, struct problem *problem)
{
    struct channel_event event = {0};
    enum result result = channel_receive(client->channel, message, arena, &event, problem);

    *ret_event = (struct client_event){.kind = CLIENT_NOTHING};
    if (result != RESULT_OK)
        return result;
    if (event.kind == CHANNEL_SEND || event.kind == CHANNEL_OPEN)
        client->send(client->context, event.message);
    if (event.kind == CHANNEL_LATER)
        *ret_event = (struct client_event){.kind = CLIENT_LATER,
                                           .retry_after_ms = event.hello->retry_after_ms};
    if (event.kind == CHANNEL_FRAME && HANDLERS[event.frame.type] != NULL)
        result = HANDLERS[event.frame.type](client, event.frame.body, arena, ret_event, problem);
    return result;
}

/* ---- seals ---- */

enum result client_seal(struct client *client, struct client_seal *seal, struct wall_time now,
                        struct problem *problem)
{
    struct message_push *push = &seal->push;
    struct seal_digest_state state;
    enum result result = RESULT_OK;

    client->lcn_before = client->lcn;
    memcpy(client->digest_before, client->digest, sizeof client->digest);
    push->incarnation = client->incarnation;
    push->seal_no = client->seal_no + 1;
    push->lcn_first = client->lcn + 1;
    push->lcn_last = client->lcn + (int64_t)(seal->part_count * push->change_count);
    push->schema_version = client->catalog->schema_version;
    push->sealed_at = now;
    push->previous_digest = bytes_of(client->digest_before, SEAL_DIGEST_SIZE);
    seal_digest_begin(&state, push);
    for (size_t part = 0; part < seal->part_count && result == RESULT_OK; part++) {
        push->changes = seal->parts[part];
        for (size_t i = 0; i < push->change_count; i++)
            push->changes[i].lcn = ++client->lcn;
        result = seal_digest_add(&state, client->catalog, push, problem);
    }
    seal_digest_end(&state, client->digest);
    push->digest = bytes_of(client->digest, SEAL_DIGEST_SIZE);
    client->is_pushed = true;
    return result;
}

enum result client_part(const struct client *client, struct client_seal *seal, size_t part_no,
                        struct buffer *body, struct problem *problem)
{
    seal->push.part_no = (int64_t)part_no;
    seal->push.is_last_part = part_no + 1 == seal->part_count;
    seal->push.changes = seal->parts[part_no];
    return message_push_encode(client->catalog, &seal->push, body, problem);
}

void client_forget_seal(struct client *client)
{
    if (!client->is_pushed)
        return;
    client->lcn = client->lcn_before;
    memcpy(client->digest, client->digest_before, sizeof client->digest);
    client->is_pushed = false;
}

/* ---- changes ---- */

struct change *client_changes(struct arena *arena, size_t count)
{
    struct change *changes = arena_array(arena, count, sizeof *changes);

    if (changes != NULL)
        memset(changes, 0, count * sizeof *changes);
    return changes;
}

bool client_change_begin(struct arena *arena, const struct catalog_table *table,
                         struct change *change)
{
    change->table_no = table->number;
    change->values = arena_array(arena, table->column_count, sizeof *change->values);
    if (change->values == NULL)
        return false;
    memset(change->values, 0, table->column_count * sizeof *change->values);
    return true;
}

bool client_change_set(struct change *change, const struct catalog_table *table,
                       const char *column_name, struct value value)
{
    const struct catalog_column *column = catalog_column_by_name(table, column_name);

    if (column == NULL || column->number == 0)
        return false;
    change->values[column->number] = value;
    change->mask |= UINT64_C(1) << column->number;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/agent_inside.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

static void heard(struct agent *agent)
{
    agent->link.silence_due = mono_after(agent->now, SECONDS(LIMIT_SILENCE_SECONDS));
}

/* Whoever says nothing for a while pings, however much he hears: on a slow line what the server
 * would ask may lie for minutes behind what it sends. */
static void said(struct agent *agent)
{
    int64_t spread = SECONDS(LIMIT_PING_SECONDS_MAX - LIMIT_PING_SECONDS_MIN);
    int64_t delay =
        SECONDS(LIMIT_PING_SECONDS_MIN) + (int64_t)prng_below(&agent->prng, (uint64_t)spread + 1);

    agent->link.ping_due = mono_after(agent->now, delay);
}

/* ---- begin and end ---- */

static enum result greeting_of_enrolment(struct agent *agent, struct problem *problem)
{
    struct message_enrol enrol = {
        .sign_public_key = bytes_of(agent->sign_public_key, sizeof agent->sign_public_key),
        .device_name = bytes_of_text(agent->device_name),
        .app_version = bytes_of_text(agent->app_version),
        .schema_version = replica_catalog(agent->replica)->schema_version,
        .device_time = agent->wall,
    };
    struct replica_identity who = {0};
    enum result result = replica_identity(agent->replica, &who, problem);

    if (result != RESULT_OK)
        return result;
    if (agent->is_renewal)
        enrol.first_no = who.first_no != 0 ? who.first_no : who.replica_no;
    return message_enrol_encode(&enrol, &agent->body, problem);
}

static enum result greeting_of_session(struct agent *agent, struct problem *problem)
{
    struct message_resume resume = {0};
    enum result result = replica_resume(agent->replica, &agent->step_arena, &resume, problem);

    if (result != RESULT_OK)
        return result;
    resume.device_time = agent->wall;
    resume.app_version = bytes_of_text(agent->app_version);
    return message_resume_encode(&resume, &agent->body, problem);
}

enum result link_begin(struct agent *agent, const uint8_t *seed, struct problem *problem)
{
    bool is_enrolment = agent->has_token;
    struct agent_pair *pair = rotation_pair(agent);
    struct channel_device_options options = {
        .root_public_key = agent->root_public_key,
        .key_serial_min = agent->key_serial,
        .static_keys = &pair->static_keys,
        .psk = is_enrolment ? agent->secrets->token_secret : pair->psk,
        .kind = is_enrolment ? CHANNEL_ENROL : CHANNEL_SESSION,
        .token_id = is_enrolment ? agent->token_id : NULL,
        .seed = seed,
    };
    enum result result;

    invariant(agent->link.channel == NULL && seed != NULL);
    buffer_reset(&agent->body);
    result =
        is_enrolment ? greeting_of_enrolment(agent, problem) : greeting_of_session(agent, problem);
    if (result != RESULT_OK)
        return result;
    options.greeting = buffer_bytes(&agent->body);
    result = channel_create_device(&options, &agent->link.channel, problem);
    if (result != RESULT_OK)
        return result;
    agent->link.handshake_due = mono_after(agent->now, SECONDS(LIMIT_HANDSHAKE_SECONDS));
    agent->link.unsent_size = 0;
    agent->link.inbox_due = MONO_NEVER;
    heard(agent);
    said(agent);
    return RESULT_OK;
}

void link_forget_inbox(struct agent *agent)
{
    struct agent_link *link = &agent->link;

    while (link->inbox_first != NULL) {
        struct agent_frame *next = link->inbox_first->next;

        free(link->inbox_first);
        link->inbox_first = next;
    }
    link->inbox_last = NULL;
    link->inbox_count = 0;
    link->inbox_size = 0;
    link->inbox_due = MONO_NEVER;
}

void link_end(struct agent *agent)
{
    struct agent_link *link = &agent->link;

    link_forget_inbox(agent);
    channel_destroy(link->channel);
    *link = (struct agent_link){.inbox_due = MONO_NEVER,
                                .handshake_due = MONO_NEVER,
                                .ping_due = MONO_NEVER,
                                .silence_due = MONO_NEVER};
}

/* ---- sending ---- */

static void give(struct agent *agent, struct bytes message)
{
    agent->link.unsent_size += message.size;
    agent->status.bytes_sent += (int64_t)message.size;
    said(agent);
    agent_effect_add(agent, AGENT_EFFECT_SEND, message, false, NULL);
}

enum result link_send(struct agent *agent, uint8_t type, int level, struct problem *problem)
{
    struct channel_messages messages = {0};
    enum result result;

    invariant(agent->link.is_open);
    result = channel_send(agent->link.channel, type, buffer_bytes(&agent->body), level,
                          &agent->step_arena, &messages, problem);
    buffer_reset(&agent->body);
    if (result != RESULT_OK) {
        problem_add(problem, "sending %s", message_name(type));
        return result;
    }
    for (size_t i = 0; i < messages.count; i++)
        give(agent, messages.messages[i]);
    return RESULT_OK;
}

enum result link_send_text(struct agent *agent, uint8_t type, const char *code, const char *text,
                           struct problem *problem)
{
    struct message_text message = {.code = bytes_of_text(code), .text = bytes_of_text(text)};
    enum result result;

    buffer_reset(&agent->body);
    result = message_text_encode(&message, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    trace_line(agent->trace, "%s > server: %s %s", agent->name, message_name(type), code);
    return link_send(agent, type, 0, problem);
}

bool link_has_room(const struct agent *agent)
{
    return agent->link.unsent_size < AGENT_SEND_WINDOW_SIZE;
}

/* ---- frames that wait for the replica ---- */

static enum result inbox_put(struct agent *agent, const struct frame *frame,
                             struct problem *problem)
{
    struct agent_link *link = &agent->link;
    struct agent_frame *kept;

    if (link->inbox_count == AGENT_INBOX_FRAMES_MAX ||
        frame->body.size > AGENT_INBOX_SIZE_MAX - link->inbox_size)
        return problem_set(problem, RESULT_MALFORMED,
                           "the replica is locked for too long: %zu frames of %zu bytes wait",
                           link->inbox_count, link->inbox_size);
    kept = malloc(sizeof *kept + frame->body.size);
    if (kept == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a received frame");
    kept->next = NULL;
    kept->type = frame->type;
    kept->size = frame->body.size;
    if (frame->body.size > 0)
        memcpy(kept->body, frame->body.data, frame->body.size);
    if (link->inbox_last != NULL)
        link->inbox_last->next = kept;
    else
        link->inbox_first = kept;
    link->inbox_last = kept;
    link->inbox_count++;
    link->inbox_size += kept->size;
    return RESULT_OK;
}

static void inbox_drop_first(struct agent_link *link)
{
    struct agent_frame *first = link->inbox_first;

    link->inbox_first = first->next;
    if (link->inbox_first == NULL)
        link->inbox_last = NULL;
    link->inbox_count--;
    link->inbox_size -= first->size;
    free(first);
}

/* In the order in which they came, until one has to wait again. */
static enum result inbox_pump(struct agent *agent, struct problem *problem)
{
    struct agent_link *link = &agent->link;

    while (link->inbox_first != NULL && mono_is_due(link->inbox_due, agent->now)) {
        enum result result =
            agent_dispatch(agent, link->inbox_first->type,
                           bytes_of(link->inbox_first->body, link->inbox_first->size), problem);

        if (result == RESULT_WAIT)
            return RESULT_OK;
        if (result != RESULT_OK)
            return result;
        if (link->inbox_first == NULL)
            return RESULT_OK; /* the frame has ended the conversation */
        inbox_drop_first(link);
    }
    if (link->inbox_first == NULL)
        link->inbox_due = MONO_NEVER;
    return RESULT_OK;
}

/* ---- receiving ---- */

static enum result take_frame(struct agent *agent, const struct frame *frame,
                              struct problem *problem)
{
    enum result result;

    if (agent->link.inbox_first != NULL && !agent_is_urgent(frame->type))
        return inbox_put(agent, frame, problem);
    result = agent_dispatch(agent, frame->type, frame->body, problem);
    if (result != RESULT_WAIT)
        return result;
    return inbox_put(agent, frame, problem);
}

static enum result take_hello(struct agent *agent, const struct channel_event *event,
                              struct problem *problem)
{
    give(agent, event->message);
    agent->link.is_open = true;
    /* proven by now; remembered so that a stolen older key is refused from here on */
    if (event->hello->key_serial > agent->key_serial)
        agent->key_serial = event->hello->key_serial;
    agent->status.key_serial = agent->key_serial;
    /* the same for the root: what the old one vouches for replaces it */
    if (event->hello->has_root_change &&
        identity_is_root_change(agent->root_public_key, &event->hello->root_change)) {
        memcpy(agent->root_public_key, event->hello->root_change.public_key,
               sizeof agent->root_public_key);
        trace_line(agent->trace, "%s: the company has a new root key", agent->name);
    }
    memcpy(agent->status.root_public_key, agent->root_public_key,
           sizeof agent->status.root_public_key);
    agent->status.has_root = true;
    if (agent->dictionary.size > 0)
        channel_set_dictionary(agent->link.channel,
                               (struct frame_dictionary){.number = 1, .bytes = agent->dictionary});
    (void)problem;
    return RESULT_OK;
}

enum result link_receive(struct agent *agent, struct bytes message, struct problem *problem)
{
    struct channel_event event = {0};
    enum result result;

    agent->status.bytes_received += (int64_t)message.size;
    result = channel_receive(agent->link.channel, message, &agent->step_arena, &event, problem);
    if (result != RESULT_OK)
        return result;
    heard(agent);
    switch (event.kind) {
    case CHANNEL_SEND:
        give(agent, event.message);
        return RESULT_OK;
    case CHANNEL_LATER:
        agent_disconnect(agent, "the server is busy", event.hello->retry_after_ms);
        return RESULT_OK;
    case CHANNEL_OPEN:
        return take_hello(agent, &event, problem);
    case CHANNEL_FRAME:
        return take_frame(agent, &event.frame, problem);
    case CHANNEL_NOTHING:
        return RESULT_OK;
    case CHANNEL_NEED_PSK:
        break;
    }
    invariant(event.kind != CHANNEL_NEED_PSK); /* a server's event */
    return RESULT_OK;
}

/* ---- pings ---- */

enum result link_on_ping(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_ping ping = {0};
    enum result result = message_ping_decode(body, &agent->decode_arena, &ping, problem);

    if (result != RESULT_OK)
        return result;
    buffer_reset(&agent->body);
    result = message_ping_encode(&ping, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    return link_send(agent, MESSAGE_PONG, 0, problem);
}

enum result link_on_pong(struct agent *agent, struct bytes body, struct problem *problem)
{
    struct message_ping pong = {0};
    enum result result = message_ping_decode(body, &agent->decode_arena, &pong, problem);

    if (result == RESULT_OK)
        blobs_on_pong(agent, pong.nonce);
    return result;
}

enum result link_send_ping(struct agent *agent, int64_t *ret_nonce, struct problem *problem)
{
    struct message_ping ping = {.nonce = ++agent->link.ping_nonce};
    enum result result;

    *ret_nonce = ping.nonce;
    buffer_reset(&agent->body);
    result = message_ping_encode(&ping, &agent->body, problem);
    if (result != RESULT_OK)
        return result;
    return link_send(agent, MESSAGE_PING, 0, problem);
}

enum result link_pump(struct agent *agent, struct problem *problem)
{
    struct agent_link *link = &agent->link;

    if (link->channel == NULL)
        return RESULT_OK;
    if (mono_is_due(link->silence_due, agent->now)) {
        agent_disconnect(agent, "no sign of the server for 60 s", 0);
        return RESULT_OK;
    }
    /* a frame that waits for the replica isn't the server's fault */
    if (mono_is_due(link->handshake_due, agent->now) && link->inbox_first == NULL) {
        agent_disconnect(agent, "the handshake took more than 30 s", 0);
        return RESULT_OK;
    }
    if (link->is_open && mono_is_due(link->ping_due, agent->now)) {
        int64_t unused = 0;
        enum result result = link_send_ping(agent, &unused, problem);

        if (result != RESULT_OK)
            return result;
    }
    return inbox_pump(agent, problem);
}

struct mono_time link_deadline(const struct agent *agent)
{
    const struct agent_link *link = &agent->link;
    struct mono_time due = link->silence_due;

    if (link->channel == NULL)
        return MONO_NEVER;
    if (link->is_open)
        due = mono_earlier(due, link->ping_due);
    if (link->inbox_first != NULL)
        return mono_earlier(due, link->inbox_due);
    return mono_earlier(due, link->handshake_due);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/websocket.h"

#include "base/invariant.h"
#include "edge/clock.h"
#include "edge/websocket_inside.h"

#include <arpa/inet.h>
#include <assert.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    SLOT_BITS = 20, /* an id is serial << SLOT_BITS | slot */
    SLOT_COUNT_FIRST = 16,
    WRITE_SIZE_MAX = 64 * 1024, /* to one connection before the others get their turn */
    USER_TIMEOUT_MS = 30 * 1000,
    SWEEP_US = 500 * 1000,
    CLOSE_REASON_SIZE_MAX = 123, /* RFC 6455 section 5.5: 125 less the code */
    PEER_TEXT_SIZE = INET6_ADDRSTRLEN + 16,
};

static_assert(WEBSOCKET_CONNECTION_COUNT_MAX == 1 << SLOT_BITS, "a slot fits its bits");

const char WEBSOCKET_PROTOCOL[] = "fieldsync.1";

struct websocket_message {
    size_t reference_count;
    size_t size;
    uint8_t data[]; /* LWS_PRE bytes for the frame's header, then the message */
};

/* The library waits until what it holds of a message is written, and each further call makes it
 * wait anew; a socket that takes nothing any more ends that. */
static void connection_cut(struct connection *connection)
{
    (void)shutdown(lws_get_socket_fd(connection->wsi), SHUT_RDWR);
    lws_set_timeout(connection->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_SYNC);
}

/* Cuts connections whose peer doesn't answer our close, or doesn't read what is before it. */
static void websocket_sweep(void *context)
{
    struct websocket *websocket = context;
    struct mono_time now = clock_mono_now();

    for (size_t i = 0; i < websocket->slot_count; i++) {
        struct connection *connection = websocket->slots[i].connection;

        if (connection != NULL && connection->wsi != NULL && mono_is_due(connection->deadline, now))
            connection_cut(connection);
    }
    if (websocket->closing_count > 0)
        loop_timer_set(websocket->sweep_timer, mono_after(now, SWEEP_US));
}

enum result websocket_create(struct loop *loop, const struct websocket_options *options,
                             const struct websocket_events *events,
                             struct websocket **ret_websocket, struct problem *problem)
{
    struct websocket *websocket = calloc(1, sizeof(*websocket));
    enum result result;

    invariant(events->opened != NULL && events->received != NULL && events->closed != NULL);
    if (websocket == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for websockets");
    websocket->loop = loop;
    websocket->events = *events;
    if (options != NULL)
        websocket->options = *options;
    if (websocket->options.queue_size_max == 0)
        websocket->options.queue_size_max = WEBSOCKET_QUEUE_SIZE_MAX;
    result = loop_timer_create(loop, websocket_sweep, websocket, &websocket->sweep_timer, problem);
    if (result != RESULT_OK) {
        free(websocket);
        return result;
    }
    *ret_websocket = websocket;
    return RESULT_OK;
}

void websocket_destroy(struct websocket *websocket)
{
    if (websocket == NULL)
        return;
    for (size_t i = 0; i < websocket->slot_count; i++) {
        struct connection *connection = websocket->slots[i].connection;

        if (connection == NULL)
            continue;
        if (connection->wsi != NULL) {
            lws_set_opaque_user_data(connection->wsi, NULL); /* no callback finds it any more */
            lws_set_timeout(connection->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_SYNC);
        }
        connection_end(connection);
    }
    loop_close_lws(&websocket->client_lws);
    loop_timer_destroy(websocket->sweep_timer);
    free(websocket->slots);
    free(websocket);
}

/* Doubles the table; ids keep their slots. */
static enum result websocket_grow(struct websocket *websocket, struct problem *problem)
{
    size_t count = websocket->slot_count == 0 ? SLOT_COUNT_FIRST : 2 * websocket->slot_count;
    struct slot *slots;

    if (count > WEBSOCKET_CONNECTION_COUNT_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "%zu connections, the limit",
                           websocket->connection_count);
    slots = realloc(websocket->slots, count * sizeof(*slots));
    if (slots == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu connections", count);
    memset(slots + websocket->slot_count, 0, (count - websocket->slot_count) * sizeof(*slots));
    websocket->slot_next = websocket->slot_count;
    websocket->slots = slots;
    websocket->slot_count = count;
    return RESULT_OK;
}

enum result connection_create(struct websocket *websocket, struct connection **ret,
                              struct problem *problem)
{
    struct connection *connection;
    size_t slot;

    if (websocket->connection_count == websocket->slot_count) {
        enum result result = websocket_grow(websocket, problem);

        if (result != RESULT_OK)
            return result;
    }
    connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a connection");
    slot = websocket->slot_next;
    while (websocket->slots[slot].connection != NULL) /* ends: one is free */
        slot = (slot + 1) % websocket->slot_count;
    websocket->slots[slot].connection = connection;
    websocket->slot_next = (slot + 1) % websocket->slot_count;
    websocket->connection_count++;
    connection->id = ++websocket->serial << SLOT_BITS | slot;
    connection->websocket = websocket;
    connection->deadline = MONO_NEVER;
    *ret = connection;
    return RESULT_OK;
}

struct connection *connection_find(const struct websocket *websocket, uint64_t id)
{
    size_t slot = (size_t)(id & (WEBSOCKET_CONNECTION_COUNT_MAX - 1));

    if (slot >= websocket->slot_count || websocket->slots[slot].connection == NULL ||
        websocket->slots[slot].connection->id != id)
        return NULL;
    return websocket->slots[slot].connection;
}

static void connection_drop_queue(struct connection *connection)
{
    while (connection->first != NULL) {
        struct outgoing *outgoing = connection->first;

        connection->first = outgoing->next;
        websocket_message_release(outgoing->message);
        free(outgoing);
    }
    connection->last = NULL;
    connection->queue_size = connection->partial_size;
}

static void connection_drop_join(struct connection *connection)
{
    if (connection->join == NULL)
        return;
    buffer_done(&connection->join->buffer);
    free(connection->join);
    connection->join = NULL;
}

void connection_discard(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;
    size_t slot = (size_t)(connection->id & (WEBSOCKET_CONNECTION_COUNT_MAX - 1));

    invariant(websocket->slots[slot].connection == connection);
    websocket->slots[slot].connection = NULL;
    websocket->connection_count--;
    if (connection->deadline.us != MONO_NEVER.us)
        websocket->closing_count--;
    connection_drop_queue(connection);
    connection_drop_join(connection);
    dialling_destroy(connection->dialling);
    free(connection->end_reason);
    free(connection);
}

void connection_end(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;
    uint64_t id = connection->id;
    char *reason = connection->end_reason;
    struct websocket_end end = {
        .code = connection->end_code, .by_peer = connection->end_by_peer, .reason = reason};

    if (end.code == 0 && connection->opened)
        end.code = WEBSOCKET_CUT;
    if (reason == NULL)
        end.reason = end.code == WEBSOCKET_CUT ? "the connection was cut" : "";
    connection->end_reason = NULL;
    connection_discard(connection);
    websocket->events.closed(websocket->events.context, id, &end);
    free(reason);
}

void connection_note_end(struct connection *connection, uint16_t code, bool by_peer,
                         const char *reason, size_t reason_size)
{
    if (connection->end_code != 0 || connection->end_reason != NULL)
        return;
    connection->end_code = code;
    connection->end_by_peer = by_peer;
    connection->end_reason = strndup(reason, reason_size); /* NULL: then without words */
}

static void peer_format(int descriptor, char ret_text[PEER_TEXT_SIZE])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage storage;
    } address;
    socklen_t size = sizeof(address);
    char host[INET6_ADDRSTRLEN] = "?";

    memset(&address, 0, sizeof(address));
    (void)snprintf(ret_text, PEER_TEXT_SIZE, "unknown");
    if (getpeername(descriptor, &address.any, &size) != 0)
        return;
    if (address.any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
        (void)snprintf(ret_text, PEER_TEXT_SIZE, "%s:%u", host,
                       (unsigned int)ntohs(address.v4.sin_port));
    } else if (address.any.sa_family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr) != 0;

        if (mapped)
            (void)inet_ntop(AF_INET, &address.v6.sin6_addr.s6_addr[12], host, sizeof(host));
        else
            (void)inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof(host));
        (void)snprintf(ret_text, PEER_TEXT_SIZE, mapped ? "%s:%u" : "[%s]:%u", host,
                       (unsigned int)ntohs(address.v6.sin6_port));
    }
}

/* The socket is cut then, whatever the peer does. */
static void connection_set_deadline(struct connection *connection, int64_t limit_ms)
{
    struct websocket *websocket = connection->websocket;
    struct mono_time now = clock_mono_now();

    if (connection->deadline.us == MONO_NEVER.us && websocket->closing_count++ == 0)
        loop_timer_set(websocket->sweep_timer, mono_after(now, SWEEP_US));
    connection->deadline = mono_after(now, MILLISECONDS(limit_ms));
}

int connection_opened(struct connection *connection, struct lws *wsi)
{
    struct websocket *websocket = connection->websocket;
    int descriptor = lws_get_socket_fd(wsi);
    unsigned int timeout_ms = USER_TIMEOUT_MS;
    char peer[PEER_TEXT_SIZE];
    int on = 1;

    /* Both only improve matters: a connection without them still works. */
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
    connection->wsi = wsi;
    connection->opened = true;
    peer_format(descriptor, peer);
    if (connection->closing) { /* while it was dialling, in the round in which it opens */
        connection_set_deadline(connection, WEBSOCKET_CLOSE_LIMIT_MS);
        lws_callback_on_writable(wsi);
        return 0;
    }
    websocket->events.opened(websocket->events.context, connection->id, peer);
    return 0;
}

/* Ends a connection from inside a callback of the library, for what its peer did. */
static int connection_fail(struct connection *connection, uint16_t code, const char *reason)
{
    connection_note_end(connection, code, false, reason, strlen(reason));
    connection_drop_queue(connection);
    connection_drop_join(connection);
    connection->closing = true;
    connection->close_sent = true;
    connection_set_deadline(connection, WEBSOCKET_CLOSE_LIMIT_MS);
    lws_close_reason(connection->wsi, (enum lws_close_status)code,
                     (unsigned char *)(uintptr_t)reason, strlen(reason));
    return -1;
}

static int connection_join(struct connection *connection, const void *data, size_t size,
                           size_t rest_size, bool starts_frame)
{
    struct join *join = connection->join;
    struct problem problem = {0};
    uint8_t *room;

    if (join == NULL) {
        join = calloc(1, sizeof(*join));
        if (join == NULL)
            return connection_fail(connection, WEBSOCKET_TOO_LARGE, "out of memory");
        buffer_init(&join->buffer, WEBSOCKET_MESSAGE_SIZE_MAX);
        connection->join = join;
    }
    if (starts_frame && ++join->fragment_count > WEBSOCKET_FRAGMENT_COUNT_MAX)
        return connection_fail(connection, WEBSOCKET_PROTOCOL_ERROR, "too many fragments");
    if (rest_size > WEBSOCKET_MESSAGE_SIZE_MAX ||
        join->buffer.size + size + rest_size > WEBSOCKET_MESSAGE_SIZE_MAX)
        return connection_fail(connection, WEBSOCKET_TOO_LARGE, "message over 65535 bytes");
    /* Room for what has come only: a claimed length costs the peer bytes, not us memory. */
    if (buffer_reserve(&join->buffer, size, &room, &problem) != RESULT_OK)
        return connection_fail(connection, WEBSOCKET_TOO_LARGE, "out of memory");
    if (size > 0)
        memcpy(room, data, size);
    join->buffer.size += size;
    return 0;
}

int connection_received(struct connection *connection, const void *data, size_t size)
{
    struct websocket *websocket = connection->websocket;
    struct lws *wsi = connection->wsi;
    bool first = lws_is_first_fragment(wsi) != 0;
    bool final = lws_is_final_fragment(wsi) != 0;
    size_t rest_size = lws_remaining_packet_payload(wsi);
    bool starts_frame = !connection->frame_open;
    struct bytes message = bytes_of(data, size);
    struct join *join;

    if (connection->closing || connection->flushing)
        return 0; /* our close is under way: what comes is not heard */
    connection->frame_open = rest_size > 0;
    if (first && lws_frame_is_binary(wsi) == 0)
        return connection_fail(connection, WEBSOCKET_UNSUPPORTED, "text message");
    if (starts_frame && size + rest_size == 0 && !(first && final))
        return connection_fail(connection, WEBSOCKET_PROTOCOL_ERROR, "empty fragment");
    if (!first || !final) {
        int failed = connection_join(connection, data, size, rest_size, starts_frame);

        if (failed != 0 || !final)
            return failed;
        message = buffer_bytes(&connection->join->buffer);
    }
    join = connection->join;
    connection->join = NULL; /* the callback may do anything but keep the message */
    websocket->events.received(websocket->events.context, connection->id, message);
    if (join != NULL) {
        buffer_done(&join->buffer);
        free(join);
    }
    return 0;
}

void connection_peer_closes(struct connection *connection, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint16_t code = 1005; /* RFC 6455 section 7.1.5: no code given */

    if (size >= 2)
        code = (uint16_t)(bytes[0] << 8 | bytes[1]);
    connection_note_end(connection, code, true, size > 2 ? (const char *)bytes + 2 : "",
                        size > 2 ? size - 2 : 0);
}

static size_t message_cost(const struct websocket_message *message)
{
    return message->size + WEBSOCKET_MESSAGE_OVERHEAD_SIZE;
}

/* Writes until the socket is full or the others want their turn; nonzero: the socket is gone. */
static int connection_write_queue(struct connection *connection)
{
    size_t written = 0;

    connection->queue_size -= connection->partial_size;
    connection->partial_size = 0;
    while (connection->first != NULL && written < WRITE_SIZE_MAX &&
           lws_send_pipe_choked(connection->wsi) == 0) {
        struct outgoing *outgoing = connection->first;
        struct websocket_message *message = outgoing->message;
        size_t cost = message_cost(message);
        int count =
            lws_write(connection->wsi, message->data + LWS_PRE, message->size, LWS_WRITE_BINARY);

        if (count < 0)
            return -1;
        connection->first = outgoing->next;
        if (connection->first == NULL)
            connection->last = NULL;
        websocket_message_release(message);
        free(outgoing);
        written += cost;
        if (lws_partial_buffered(connection->wsi) != 0)
            connection->partial_size = cost; /* the library has a copy of its end */
        else
            connection->queue_size -= cost;
    }
    return 0;
}

int connection_writable(struct connection *connection)
{
    struct websocket *websocket = connection->websocket;
    bool had_some = connection->queue_size > 0;

    if (connection->close_sent)
        return 0;
    if (connection->closing)
        connection_drop_queue(connection);
    if (connection_write_queue(connection) != 0)
        return -1;
    if (connection->queue_size > 0) {
        lws_callback_on_writable(connection->wsi);
        return 0;
    }
    if (connection->closing || connection->flushing) {
        const char *reason = connection->end_reason == NULL ? "" : connection->end_reason;

        connection->close_sent = true;
        lws_close_reason(connection->wsi, (enum lws_close_status)connection->end_code,
                         (unsigned char *)(uintptr_t)reason,
                         strnlen(reason, CLOSE_REASON_SIZE_MAX));
        return -1;
    }
    if (had_some && websocket->events.drained != NULL)
        websocket->events.drained(websocket->events.context, connection->id);
    return 0;
}

enum result websocket_message_create(struct bytes bytes, struct websocket_message **ret_message,
                                     struct problem *problem)
{
    struct websocket_message *message = NULL;

    if (bytes.size < SIZE_MAX - LWS_PRE - sizeof(*message))
        message = malloc(sizeof(*message) + LWS_PRE + bytes.size);
    if (message == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu bytes to send",
                           bytes.size);
    message->reference_count = 1;
    message->size = bytes.size;
    if (bytes.size > 0)
        memcpy(message->data + LWS_PRE, bytes.data, bytes.size);
    *ret_message = message;
    return RESULT_OK;
}

void websocket_message_release(struct websocket_message *message)
{
    if (message == NULL)
        return;
    invariant(message->reference_count > 0);
    if (--message->reference_count == 0)
        free(message);
}

static enum result connection_may_send(const struct websocket *websocket, uint64_t id, size_t size,
                                       struct connection **ret_connection, struct problem *problem)
{
    struct connection *connection = connection_find(websocket, id);
    size_t room;

    if (connection == NULL || !connection->opened || connection->closing || connection->flushing)
        return problem_set(problem, RESULT_REFUSED, "connection %llu is not open",
                           (unsigned long long)id);
    room = websocket->options.queue_size_max > connection->queue_size
               ? websocket->options.queue_size_max - connection->queue_size
               : 0;
    if (room < WEBSOCKET_MESSAGE_OVERHEAD_SIZE || room - WEBSOCKET_MESSAGE_OVERHEAD_SIZE < size)
        return problem_set(problem, RESULT_EXHAUSTED,
                           "%zu bytes wait for a slow reader, %zu more are over the limit of %zu",
                           connection->queue_size, size, websocket->options.queue_size_max);
    *ret_connection = connection;
    return RESULT_OK;
}

/* Takes over one reference, on failure too. */
static enum result connection_queue(struct connection *connection,
                                    struct websocket_message *message, struct problem *problem)
{
    struct outgoing *outgoing = malloc(sizeof(*outgoing));

    if (outgoing == NULL) {
        websocket_message_release(message);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory to queue a message");
    }
    *outgoing = (struct outgoing){.message = message};
    if (connection->last == NULL)
        connection->first = outgoing;
    else
        connection->last->next = outgoing;
    connection->last = outgoing;
    connection->queue_size += message_cost(message);
    lws_callback_on_writable(connection->wsi);
    return RESULT_OK;
}

enum result websocket_send(struct websocket *websocket, uint64_t connection, struct bytes message,
                           struct problem *problem)
{
    struct websocket_message *copy;
    struct connection *found;
    enum result result;

    result = connection_may_send(websocket, connection, message.size, &found, problem);
    if (result == RESULT_OK)
        result = websocket_message_create(message, &copy, problem);
    if (result != RESULT_OK)
        return result;
    return connection_queue(found, copy, problem);
}

enum result websocket_send_message(struct websocket *websocket, uint64_t connection,
                                   struct websocket_message *message, struct problem *problem)
{
    struct connection *found;
    enum result result;

    result = connection_may_send(websocket, connection, message->size, &found, problem);
    if (result != RESULT_OK)
        return result;
    if (found->is_client)
        return websocket_send(websocket, connection,
                              bytes_of(message->data + LWS_PRE, message->size), problem);
    message->reference_count++;
    return connection_queue(found, message, problem);
}

void websocket_close(struct websocket *websocket, uint64_t connection, uint16_t code,
                     const char *reason, enum websocket_flush flush)
{
    struct connection *found = connection_find(websocket, connection);

    if (found == NULL || found->closing || (found->flushing && flush == WEBSOCKET_FLUSH))
        return;
    connection_note_end(found, code, false, reason, strnlen(reason, CLOSE_REASON_SIZE_MAX));
    connection_drop_join(found);
    if (!found->opened) {
        found->closing = true;
        dialling_give_up(found->dialling);
        return;
    }
    found->flushing = flush == WEBSOCKET_FLUSH;
    found->closing = !found->flushing;
    connection_set_deadline(found, WEBSOCKET_CLOSE_LIMIT_MS * (found->flushing ? 2 : 1));
    lws_callback_on_writable(found->wsi);
}

size_t websocket_queue_size(const struct websocket *websocket, uint64_t connection)
{
    const struct connection *found = connection_find(websocket, connection);

    return found == NULL ? 0 : found->queue_size;
}

size_t websocket_connection_count(const struct websocket *websocket)
{
    return websocket->connection_count;
}

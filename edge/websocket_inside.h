/* SPDX-License-Identifier: Apache-2.0 */
/* websocket_inside.h: what websocket.c, websocket_client.c and websocket_listener.c share; nobody
 * else includes it.
 *
 * A connection is small on purpose, ten thousand of them lie idle: it owns a queue node per message
 * that waits, a join while a fragmented message is incomplete, a dialling while it is one. */
#pragma once

#include "edge/websocket.h"

struct lws;
struct lws_context;
struct lws_vhost;
struct dialling;

/* Messages in the order of sending. */
struct outgoing {
    struct outgoing *next;
    struct websocket_message *message;
};

/* The part of a message that has arrived. */
struct join {
    struct buffer buffer;
    uint32_t fragment_count;
};

struct connection {
    uint64_t id;
    struct websocket *websocket;
    struct lws *wsi;           /* NULL between two attempts to dial */
    struct dialling *dialling; /* until opened; NULL for an accepted one */
    struct join *join;
    struct outgoing *first;
    struct outgoing *last;
    size_t queue_size;
    size_t partial_size;       /* part of queue_size that the library still holds */
    struct mono_time deadline; /* when a closing one is cut */
    char *end_reason;          /* heap, NULL: none known */
    uint16_t end_code;         /* 0: none known */
    bool end_by_peer;
    bool is_client;
    bool opened;
    bool frame_open; /* the last piece left some of its frame to come */
    bool flushing;   /* close behind the queue */
    bool closing;    /* close now; nothing is told to the caller but the end */
    bool close_sent;
};

struct slot {
    struct connection *connection; /* NULL: free */
};

struct websocket {
    struct loop *loop;
    struct websocket_events events;
    struct websocket_options options;
    struct lws_context *client_lws; /* both NULL until the first dial */
    struct lws_vhost *client_vhost;
    struct slot *slots;
    size_t slot_count;
    size_t slot_next; /* where the search for a free one begins */
    size_t connection_count;
    uint64_t serial; /* of the last connection; makes ids unique */
    struct loop_timer *sweep_timer;
    size_t closing_count;
};

extern const char WEBSOCKET_PROTOCOL[]; /* the subprotocol's name */

MUST_CHECK enum result connection_create(struct websocket *websocket, struct connection **ret,
                                         struct problem *problem);
struct connection *connection_find(const struct websocket *websocket, uint64_t id);
void connection_discard(struct connection *connection); /* frees it without a word */
/* Frees it and tells its end, in this order. */
void connection_end(struct connection *connection);
/* Keeps the first end that is noted, the cause. */
void connection_note_end(struct connection *connection, uint16_t code, bool by_peer,
                         const char *reason, size_t reason_size);
/* These answer a callback of libwebsockets: nonzero ends the connection. */
int connection_opened(struct connection *connection, struct lws *wsi);
int connection_received(struct connection *connection, const void *data, size_t size);
int connection_writable(struct connection *connection);
void connection_peer_closes(struct connection *connection, const void *data, size_t size);

/* websocket_client.c */
void dialling_give_up(struct dialling *dialling); /* ends the connection in the next round */
void dialling_destroy(struct dialling *dialling);

/* SPDX-License-Identifier: Apache-2.0 */
/* websocket.h: conversations in whole binary messages, accepted from a listener or dialled.
 *
 * A `struct websocket` is a table of connections, each with an id that is never used again, that
 * share one set of callbacks. Connections come from a listener (websocket_listener.h) or from
 * websocket_connect; from then on both are the same. RFC 6455; subprotocol "fieldsync.1" on path
 * /sync, no extensions (permessage-deflate would cost 268 KB a connection).
 *
 * Refused at the handshake: an Origin header (that is a browser, 403), a missing or other
 * subprotocol, another path (404), another version than 13 (426). Cookies are ignored.
 *
 * Received fragments are joined. The library below passes any flood of them on, so the limits are
 * ours: over 65,535 bytes closes with 1009 as soon as a frame header says so, over 64 fragments or
 * an empty fragment of a fragmented message with 1002, text with 1003. Memory for joining exists
 * only while a message is incomplete; a silent peer is the caller's to time out.
 *
 * Sent messages are queued, up to a limit a connection, and written as the socket takes them,
 * several at once. TCP_NODELAY is on; data that the peer's TCP doesn't acknowledge for 30 s ends
 * the connection (TCP_USER_TIMEOUT, RFC 5482).
 *
 * All on the loop's thread. Every function may be called from inside every callback, except
 * websocket_destroy; callbacks never come from inside a function except, again, websocket_destroy.
 */
#pragma once

#include "base/bytes.h"
#include "edge/loop.h"

struct websocket;
struct websocket_message;

enum {
    WEBSOCKET_MESSAGE_SIZE_MAX = 65535,     /* received; Noise's limit for one message */
    WEBSOCKET_FRAGMENT_COUNT_MAX = 64,      /* of one received message */
    WEBSOCKET_QUEUE_SIZE_MAX = 256 * 1024,  /* default of queue_size_max */
    WEBSOCKET_MESSAGE_OVERHEAD_SIZE = 64,   /* what each queued message counts beyond its bytes */
    WEBSOCKET_CONNECT_LIMIT_MS = 25 * 1000, /* dialling: name, TCP, TLS and upgrade together */
    WEBSOCKET_TCP_LIMIT_MS = 12 * 1000,     /* of that, TCP to one address: four tries of a SYN */
    WEBSOCKET_CLOSE_LIMIT_MS = 5 * 1000,    /* closing: then the socket is cut */
    WEBSOCKET_CONNECTION_COUNT_MAX = 1 << 20,
};

/* Close codes, RFC 6455 section 7.4; 4000 to 4999 are the application's. */
enum {
    WEBSOCKET_NOT_OPENED = 0, /* ours: a dialled connection that never came about */
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_UNSUPPORTED = 1003,
    WEBSOCKET_CUT = 1006, /* never on the wire: ended without a close frame */
    WEBSOCKET_TOO_LARGE = 1009,
};

/* How a connection ended. Nothing in it is authenticated: enough to log, not to act on. */
struct websocket_end {
    uint16_t code;
    bool by_peer;       /* the peer's close frame; false: ours, or nobody's (1006) */
    const char *reason; /* in words, may hold anything if by_peer; valid during the callback */
};

/* All members are needed but `drained`. */
struct websocket_events {
    void *context;
    /* `peer` is "192.0.2.1:5678" or "[2001:db8::1]:5678", valid during the callback. */
    void (*opened)(void *context, uint64_t connection, const char *peer);
    /* 0 to WEBSOCKET_MESSAGE_SIZE_MAX bytes, valid during the callback. */
    void (*received)(void *context, uint64_t connection, struct bytes message);
    /* The queue became empty: the kernel has all that was sent. */
    void (*drained)(void *context, uint64_t connection);
    /* Once for each `opened` and for each websocket_connect; the id is void afterwards. */
    void (*closed)(void *context, uint64_t connection, const struct websocket_end *end);
};

struct websocket_options {
    size_t queue_size_max; /* bytes a connection; 0: WEBSOCKET_QUEUE_SIZE_MAX */
    const char *ca_path;   /* PEM file of the only authorities wss:// trusts; NULL: the system's */
};

/* RESULT_EXHAUSTED: memory. `options` NULL: all zero. Texts in it stay the caller's, for ever. */
MUST_CHECK enum result websocket_create(struct loop *loop, const struct websocket_options *options,
                                        const struct websocket_events *events,
                                        struct websocket **ret_websocket, struct problem *problem);

/* Cuts what is open (`closed` is called for each, the only callback from inside a call). Destroy
 * its listeners before it and the loop after it. NULL is fine. */
void websocket_destroy(struct websocket *websocket);

/* Dials "ws://host[:port][/path]" or "wss://...": ports 80 and 443, path /sync. Names are looked up
 * on a thread of their own and all their addresses tried in order; no proxy, no redirect; wss
 * verifies the certificate and its name. Then `opened`, or `closed` with WEBSOCKET_NOT_OPENED and
 * the cause in words, within WEBSOCKET_CONNECT_LIMIT_MS.
 *
 * RESULT_REFUSED    the URL is not of this form, or wss:// on a loop without tls
 * RESULT_EXHAUSTED  memory or descriptors */
MUST_CHECK enum result websocket_connect(struct websocket *websocket, const char *url,
                                         uint64_t *ret_connection, struct problem *problem);

/* Queues a copy of one message of any size within the queue's limit.
 *
 * RESULT_EXHAUSTED  the queue is full, or memory: a slow reader; wait for `drained` or close it
 * RESULT_REFUSED    no such connection, not open yet, or closing: nobody will hear it */
MUST_CHECK enum result websocket_send(struct websocket *websocket, uint64_t connection,
                                      struct bytes message, struct problem *problem);

/* One message for many connections, copied once. Release what you created; queues keep it while
 * they need it. RESULT_EXHAUSTED: memory. */
MUST_CHECK enum result websocket_message_create(struct bytes bytes,
                                                struct websocket_message **ret_message,
                                                struct problem *problem);
void websocket_message_release(struct websocket_message *message);
/* As websocket_send. (A dialled connection gets a copy, since a client masks in place.) */
MUST_CHECK enum result websocket_send_message(struct websocket *websocket, uint64_t connection,
                                              struct websocket_message *message,
                                              struct problem *problem);

enum websocket_flush { WEBSOCKET_DROP, WEBSOCKET_FLUSH };

/* Ends a connection with a close frame, either at once or behind what is queued. Nothing more is
 * received; `closed` follows within WEBSOCKET_CLOSE_LIMIT_MS (plus what flushing takes, at most as
 * long again). `reason` up to 123 bytes, longer ones are cut. An unknown id does nothing. */
void websocket_close(struct websocket *websocket, uint64_t connection, uint16_t code,
                     const char *reason, enum websocket_flush flush);

/* Bytes in its queue, WEBSOCKET_MESSAGE_OVERHEAD_SIZE a message included; 0 for an unknown id. */
size_t websocket_queue_size(const struct websocket *websocket, uint64_t connection);
size_t websocket_connection_count(const struct websocket *websocket); /* dialling ones included */

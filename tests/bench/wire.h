/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: the smallest WebSocket client that a server can't tell from a real one, for measurements
 * in which clients and server share the processors: a connection costs a struct and a descriptor.
 *
 * It dials from a loopback address of its own choice (127.1.x.y by `number`), so that ten thousand
 * connections neither run out of ports nor count as one address. It checks nothing of what the
 * server says but the frames' sizes: edge/websocket.h is the real client. */
#pragma once

#include "base/bytes.h"

#include <ev.h>

struct wires {
    struct ev_loop *loop;
    uint16_t port;        /* at 127.0.0.1 */
    const char *protocol; /* of the upgrade */
    /* Both may close the wire, and not open it again before they return. */
    void (*received)(void *context, struct bytes message);
    void (*closed)(void *context); /* by the other side, or it never opened */
    uint8_t *room;                 /* where all read */
};

struct wire {
    struct wires *wires;
    void *context;
    int descriptor; /* below 0: closed */
    bool is_upgraded;
    struct ev_io watcher;
    struct buffer unread; /* the beginning of a frame */
    struct buffer unsent;
};

MUST_CHECK enum result wires_init(struct wires *wires, struct problem *problem);
void wires_done(struct wires *wires);

void wire_init(struct wire *wire, struct wires *wires, void *context);
/* RESULT_EXHAUSTED: no descriptor, no port. */
MUST_CHECK enum result wire_open(struct wire *wire, size_t number, struct problem *problem);
/* Without a goodbye; `closed` isn't called. Frees all, may be opened again. */
void wire_close(struct wire *wire);
/* One binary message. Lost if the wire is closed. RESULT_EXHAUSTED: 16 MiB are unsent. */
MUST_CHECK enum result wire_send(struct wire *wire, struct bytes message, struct problem *problem);

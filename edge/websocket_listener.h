/* SPDX-License-Identifier: Apache-2.0 */
/* websocket_listener.h: a listening socket that hands what comes to a websocket, to http, or both.
 *
 * It accepts by itself instead of leaving that to libwebsockets, to be able to count before
 * anything costs memory, and to pause when descriptors run out: then accepting stops for 200 ms at
 * a time, live connections go on, and the backlog waits. Each round accepts a few dozen at most, so
 * that ten thousand devices that reconnect at once don't starve those that are connected.
 *
 * Unfinished HTTP headers are cut by libwebsockets after 10 s. */
#pragma once

#include "edge/http.h"
#include "edge/websocket.h"

struct listener;

enum { LISTENER_RATE_WINDOW_S = 10 };

struct listener_options {
    const char *address; /* "127.0.0.1", "::1", "::" (all, IPv4 too), a name; NULL: 127.0.0.1 */
    uint16_t port;       /* 0: any, see listener_port */
    struct websocket *websocket; /* for /sync; NULL: upgrades are refused */
    struct http *http;           /* for everything else; NULL: 404 */
    /* PEM files, certificate chain first; both or none. Need a loop with tls; 1.2 and newer. */
    const char *certificate_path;
    const char *key_path;
    uint32_t connection_count_max; /* open at once, more are closed unanswered; 0: no limit */
    /* New connections of one address (IPv6: of one /64) in LISTENER_RATE_WINDOW_S; 0: no limit. */
    uint32_t address_rate_max;
};

struct listener_counts {
    uint64_t accepted;
    uint64_t refused_full; /* over connection_count_max */
    uint64_t refused_rate; /* over address_rate_max */
    uint64_t pauses;       /* out of descriptors or kernel memory */
    uint32_t open;
};

/* Listens at once; the first connection is accepted in the next round.
 *
 * RESULT_REFUSED    the address isn't ours, the port is taken, a certificate can't be used: in
 * words RESULT_EXHAUSTED  memory or descriptors */
MUST_CHECK enum result listener_create(struct loop *loop, const struct listener_options *options,
                                       struct listener **ret_listener, struct problem *problem);

/* Stops accepting and cuts its connections, those of its websocket too (`closed` is called). Before
 * its websocket and http; NULL is fine; not inside a callback. */
void listener_destroy(struct listener *listener);

/* Stops accepting and closes the listening socket; connections stay. For a graceful end. */
void listener_close(struct listener *listener);

uint16_t listener_port(const struct listener *listener);
struct listener_counts listener_counts(const struct listener *listener);

/* Reads certificate and key again, for new connections. RESULT_REFUSED: they can't be read or don't
 * belong together; the old ones stay. Without TLS it does nothing. */
MUST_CHECK enum result listener_reload(struct listener *listener, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* server.h: all sessions of one server, as a step function without sockets, threads or clocks.
 *
 * The edge feeds events and carries out effects: sending, closing, and jobs for the threads that
 * own a store (job.h, master.h), whose results come back as events. Same events, same effects.
 *
 *               messages 1, 3                  key is right             RESUME done
 *   GREETING --------------> AUTHENTICATING --------------> RESUMING -------------> LIVE -->
 * CLOSING enrolment:               AUTHENTICATING --> ENROLLING --> CLOSING
 *
 * What a session is and may hold: session.h. Whatever a peer does ends its own connection at most;
 * server_step fails only for lack of memory. */
#pragma once

#include "protocol/identity.h"
#include "server/core/job.h"
#include "server/core/master.h"
#include "server/core/tally.h"
#include "server/core/throttle.h"

struct server;

struct server_options {
    const struct catalog *catalog;
    const uint8_t *static_secret; /* X25519, 32 bytes; copied into guarded memory */
    int64_t key_serial;
    const uint8_t *root_signature;                  /* 64 bytes over the server key */
    const struct identity_root_change *root_change; /* NULL: the root was never changed */
    struct bytes dictionary;
    const struct trace *trace;
    size_t connections_max;
    size_t handshakes_max;             /* unfinished at once; 0: the default of limits.h */
    size_t handshakes_per_address_max; /* 0: the default */
    struct throttle_options throttle;  /* of each device */
    int64_t head;                      /* newest seq of the master; 0: not known yet */
    int64_t rescope_interval_us;       /* between two JOB_RESCOPE; 0: a day */
};

enum server_event_kind {
    SERVER_EVENT_OPENED,       /* connection, peer, seed (32 random bytes) */
    SERVER_EVENT_RECEIVED,     /* connection, bytes */
    SERVER_EVENT_DRAINED,      /* connection: its send queue is (nearly) empty */
    SERVER_EVENT_CLOSED,       /* connection */
    SERVER_EVENT_JOB_DONE,     /* job: belongs to the server core again */
    SERVER_EVENT_COMMITTED,    /* outcome of a group; before the JOB_DONEs of its jobs */
    SERVER_EVENT_LOCAL_CHANGE, /* another program has committed to the master */
    SERVER_EVENT_REFUSAL,      /* refusal, text, user_id: for the audit log */
    SERVER_EVENT_DEADLINE,
    SERVER_EVENT_STOP, /* graceful: BYE to all, no new connections */
};

struct server_event {
    enum server_event_kind kind;
    struct mono_time mono;
    struct wall_time wall;
    uint64_t connection; /* never reused */
    struct bytes bytes;
    const char *peer;
    const uint8_t *seed; /* OPENED: 32, JOB_DONE: 64 random bytes */
    struct job *job;
    const struct master_outcome *outcome;
    enum tally_kind refusal;
    const char *text; /* REFUSAL: why and from where; no secrets */
    int64_t user_id;  /* REFUSAL: whom it is about, 0: nobody known */
};

enum server_effect_kind {
    SERVER_EFFECT_SEND,
    SERVER_EFFECT_CLOSE, /* after what was queued before has gone out; `code` for the close frame */
    SERVER_EFFECT_READ,  /* job for a reader */
    SERVER_EFFECT_WRITE, /* job for the writer */
};

struct server_effect {
    enum server_effect_kind kind;
    uint64_t connection;
    struct bytes bytes; /* SEND: one WebSocket message */
    uint16_t code;
    const char *text;
    struct job *job;
};

/* Valid until the next step begins. */
struct server_effects {
    size_t count;
    const struct server_effect *effects;
};

/* RESULT_EXHAUSTED: memory. The first step asks for a RESCOPE. */
/* A newer server key, for handshakes that begin from now on; live sessions go on. RESULT_REFUSED:
 * its serial isn't higher. */
MUST_CHECK enum result server_set_key(struct server *server, const uint8_t *static_secret,
                                      int64_t key_serial, const uint8_t *root_signature,
                                      const struct identity_root_change *root_change,
                                      struct problem *problem);
MUST_CHECK enum result server_create(const struct server_options *options,
                                     struct server **ret_server, struct problem *problem);
/* Takes NULL; wipes keys, destroys queued jobs. Jobs that were handed out have come back before. */
void server_destroy(struct server *server);

/* RESULT_EXHAUSTED: memory; a new connection was not taken (close it), everything else has happened
 * or will be tried again at the deadline. The effects are to be carried out in either case. */
MUST_CHECK enum result server_step(struct server *server, const struct server_event *event,
                                   struct server_effects *ret_effects, struct problem *problem);
/* When SERVER_EVENT_DEADLINE is due; at most four times a second. */
struct mono_time server_deadline(const struct server *server);

struct server_status {
    size_t connection_count;
    size_t live_count;
    size_t handshake_count;
    int64_t pushes;
    int64_t changes;
    int64_t publishes;
    int64_t refused_handshakes;
    int64_t held_contacts; /* of devices whose disk was copied or put back */
    int64_t bytes_sent;
    int64_t bytes_received;
    int64_t head;    /* newest seq heard of */
    bool is_stopped; /* after STOP: every session is gone */
};
struct server_status server_status(const struct server *server);

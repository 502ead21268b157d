/* SPDX-License-Identifier: Apache-2.0 */
/* agent.h: one device's side of the sync, as a step function without sockets, clocks or entropy.
 *
 * The edge feeds events (time and one fact) and carries out effects. Same events on the same
 * replica, same effects. The replica is called synchronously: it is a local file.
 *
 *             connect            HELLO..3           WELCOME
 *   OFFLINE ----------> DIALLING --------> GREETING --------> LIVE --BYE/closed--> OFFLINE
 *      ^  backoff with full jitter, 1 s to 5 min, obeys retry_after  |
 *      '-------------------------------------------------------------'
 *   GREETING or LIVE --REVOKED--> PARTING: leaves unsent work behind --> REVOKED
 *   REVOKED and UNENROLLED are ends: only a person or an enrolment code leads out of them. After
 *   RENEW it stays OFFLINE: the edge goes on with another agent, which has other keys. */
#pragma once

#include "agent/replica/replica.h"
#include "base/blob_store.h"
#include "base/trace.h"
#include "protocol/identity.h"

struct agent;

enum agent_state {
    AGENT_UNENROLLED,
    AGENT_OFFLINE,
    AGENT_DIALLING,
    AGENT_GREETING,
    AGENT_LIVE,
    AGENT_PARTING,
    AGENT_REVOKED,
};
const char *agent_state_name(enum agent_state state);

struct agent_options {
    struct replica *replica;      /* borrowed */
    struct blob_store *blobs;     /* borrowed; NULL: attachments wait */
    const uint8_t *static_secret; /* X25519 private key, 32 bytes, copied into guarded memory */
    const uint8_t *psk;           /* 32 bytes; NULL while unenrolled */
    /* of a rotation that isn't over: the next pair (its psk may be NULL), and the pair before this
     */
    const uint8_t *next_secret, *next_psk;         /* NULL: none */
    const uint8_t *previous_secret, *previous_psk; /* NULL: none */
    const uint8_t *root_public_key;                /* company root, 32 bytes */
    int64_t key_serial_min;
    uint64_t jitter_seed;
    struct bytes dictionary; /* zlib preset dictionary; may be empty */
    const char *app_version;
    const struct trace *trace;
    /* enrolment only */
    const uint8_t *token_id;        /* 16 bytes; NULL: a session */
    const uint8_t *token_secret;    /* 32 bytes */
    const uint8_t *sign_public_key; /* 32 bytes */
    const char *device_name;
    bool is_renewal; /* the replica is enrolled already and takes another number (RENEW) */
};

enum agent_event_kind {
    AGENT_EVENT_START,
    AGENT_EVENT_CONNECTED, /* seed: 32 random bytes for the ephemeral key */
    AGENT_EVENT_RECEIVED,
    AGENT_EVENT_DRAINED,      /* everything sent has left the queue */
    AGENT_EVENT_CLOSED,       /* or the attempt failed; reason in `text` */
    AGENT_EVENT_LOCAL_CHANGE, /* somebody committed to the replica */
    AGENT_EVENT_SYNC_NOW,     /* a person asks: don't wait for the backoff */
    AGENT_EVENT_DEADLINE,
    AGENT_EVENT_ROTATE, /* seed: a fresh private key, stored durably: use it from now on */
    AGENT_EVENT_STOP,   /* say BYE and close */
};

struct agent_event {
    enum agent_event_kind kind;
    struct mono_time mono;
    struct wall_time wall;
    struct bytes bytes;  /* RECEIVED */
    const uint8_t *seed; /* CONNECTED, ROTATE: 32 bytes */
    const char *text;    /* CLOSED */
};

enum agent_effect_kind {
    AGENT_EFFECT_CONNECT,
    AGENT_EFFECT_SEND,
    AGENT_EFFECT_CLOSE,    /* after what was sent before has gone out; no event of that connection
                              may come any more */
    AGENT_EFFECT_ENROLLED, /* psk is in `bytes`: store it durably (0600), then go on as a session */
    AGENT_EFFECT_RENEW,    /* authenticated; `bytes` is a code, token id and secret: make new keys,
                              store them with it durably, and go on as an enrolment with
                              is_renewal; this agent does nothing more */
    AGENT_EFFECT_NEXT_PSK, /* psk of the next pair is in `bytes`: store it durably before the next
                              step, or stop */
    AGENT_EFFECT_KEYS_ROTATED,  /* the next pair is the current one, that one the previous */
    AGENT_EFFECT_KEYS_REVERTED, /* the server knows only the previous pair: the two change places */
    AGENT_EFFECT_ROTATION_ASKED, /* the office wants new keys: make one, then ROTATE */
    AGENT_EFFECT_REVOKED,        /* authenticated; `wipe` says whether to destroy keys and data */
    AGENT_EFFECT_PUBLISHED,      /* new data is visible: tell local pages */
    AGENT_EFFECT_SCHEMA, /* close agent and replica, open them again: that runs the server's scripts
                          */
    AGENT_EFFECT_ALARM,  /* something needs a person; `text` says what */
};

struct agent_effect {
    enum agent_effect_kind kind;
    struct bytes bytes;
    bool wipe;
    const char *text;
};

/* Valid until the next step begins. */
struct agent_effects {
    size_t count;
    const struct agent_effect *effects;
};

MUST_CHECK enum result agent_create(const struct agent_options *options, struct agent **ret_agent,
                                    struct problem *problem);
void agent_destroy(struct agent *agent); /* wipes keys; takes NULL */

/* RESULT_STORAGE and RESULT_EXHAUSTED are about the replica: the agent closes its connection (in
 * the effects) and tries again by itself; the caller only reports them. */
MUST_CHECK enum result agent_step(struct agent *agent, const struct agent_event *event,
                                  struct agent_effects *ret_effects, struct problem *problem);
struct mono_time agent_deadline(const struct agent *agent); /* when EVENT_DEADLINE is due */

struct agent_status {
    enum agent_state state;
    struct wall_time connected_at;      /* us 0: not connected */
    struct wall_time unreachable_since; /* us 0: reachable or never tried */
    struct mono_time next_try;
    char last_failure[200];
    int64_t bytes_sent;
    int64_t bytes_received;
    int64_t key_serial; /* highest of a server that has proven itself: store it when it rises */
    bool has_root;      /* a server has proven itself: this is the root key to trust from now on */
    uint8_t root_public_key[IDENTITY_KEY_SIZE];
    int64_t repairs;   /* parts of buckets asked for again since the start */
    bool is_disk_full; /* nothing can be stored at the moment; tried again every 10 s */
    bool is_pending;   /* the office hasn't confirmed this device yet */
    char fingerprint[IDENTITY_FINGERPRINT_SIZE]; /* of its key, for the office to compare */
    bool is_idle; /* live, nothing unsent, nothing staged: all delivered both ways */
};
struct agent_status agent_status(const struct agent *agent);

/* SPDX-License-Identifier: Apache-2.0 */
/* agent_inside.h: what the files of the agent's core share; nobody else includes it.
 *
 *   agent.c     the step, the states, dialling and backoff, which message goes to whom
 *   link.c      one conversation: channel, frames to send, frames that wait for the replica
 *   uplink.c    seals, PUSH, verdicts
 *   rotation.c  which keys open the next session, and how new ones take over
 *   parting.c   what a revoked device leaves behind before it ends
 *   downlink.c  SUBSCRIBED, ROWS, GONE, IDS, PUBLISH, receipts
 *   checks.c    digests, repairs, triggers, in idle time
 *   blobs.c     attachments, after the data
 *
 * Uplink and downlink never wait for each other (R5). Each part has its own `..._pump`, called at
 * the end of every step while LIVE, that does a bounded piece of work, and its own deadline. */
#pragma once

#include "agent/core/agent.h"
#include "base/prng.h"
#include "protocol/channel.h"
#include "protocol/limits.h"

enum {
    AGENT_EFFECTS_MAX = 4096,            /* of one step: 1 MiB in the smallest messages and more */
    AGENT_SEND_WINDOW_SIZE = 256 * 1024, /* bytes given to the edge that haven't left its queue */
    AGENT_PUSH_PART_SIZE = 128 * 1024,   /* body of one PUSH before compression */
    AGENT_BLOB_PART_SIZE = 60 * 1024,    /* at most: its body has room for 64 KiB */
    AGENT_BLOB_PATIENCE = 6,             /* silences, then a revoked device goes without it */
    AGENT_BLOB_PARTS_MAX = 4,            /* on their way */
    AGENT_BLOB_WINDOW_MIN = 2 * 1024,    /* bytes on their way: what a line carries in some s */
    AGENT_BLOB_WINDOW_FIRST = 4 * 1024,
    AGENT_BLOB_WINDOW_MAX = AGENT_BLOB_PARTS_MAX * AGENT_BLOB_PART_SIZE,
    AGENT_BLOB_ERASED_A_STEP = 4,
    AGENT_INBOX_SIZE_MAX = 8 << 20, /* frames that wait for a locked replica, bytes */
    AGENT_INBOX_FRAMES_MAX = 4096,
    AGENT_DECODE_SIZE_MAX = 128 << 20,  /* 65,536 rows of 62 columns, decoded */
    AGENT_ANSWER_BODIES_MAX = 32 << 20, /* 300,000 exceptions and 4 MiB of rows take half of it */
    AGENT_ANSWER_SIZE_MAX = AGENT_ANSWER_BODIES_MAX + (1 << 20),
    AGENT_REPAIRS_PER_HOUR_MAX = 20, /* a self-healing that never ends is an outage */
    AGENT_DIGEST_BUCKETS = 4,        /* scanned a step: a few milliseconds */
};

#define AGENT_REPLICA_RETRY_US  MILLISECONDS(50) /* the replica is locked by another program */
#define AGENT_DISK_RETRY_US     SECONDS(10)
#define AGENT_DIAL_TIMEOUT_US   SECONDS(30)
#define AGENT_BACKOFF_MIN_US    SECONDS(1)
#define AGENT_BACKOFF_MAX_US    MINUTES(5)
#define AGENT_RECEIPT_DELAY_US  SECONDS(1)
#define AGENT_SETTLE_DELAY_US   MILLISECONDS(500)
#define AGENT_VERDICT_WAIT_US   MINUTES(5) /* then the seal is sent again: always safe */
#define AGENT_DIGEST_EVERY_US   MINUTES(20)
#define AGENT_DIGEST_PAUSE_US   MILLISECONDS(200)
#define AGENT_TRIGGERS_EVERY_US HOURS(1)
#define AGENT_BLOB_ANSWER_US    SECONDS(30)
#define AGENT_BLOB_RETRY_US     SECONDS(2)
#define AGENT_BLOB_BRISK_US     MILLISECONDS(1500) /* beyond the soonest answer: twice as much */
#define AGENT_BLOB_SLOW_US      SECONDS(8)         /* the same: half as much */
#define AGENT_BLOB_PAUSE_US     MINUTES(5)
#define AGENT_DEPOSIT_WAIT_US   MINUTES(1) /* then a seal is left behind once more */

enum agent_pair_name {
    AGENT_PAIR_CURRENT,
    AGENT_PAIR_NEXT,
    AGENT_PAIR_PREVIOUS,
    AGENT_PAIR_COUNT,
};

struct agent_pair {
    bool has_key;
    bool has_psk; /* complete: it may open a session */
    struct noise_keypair static_keys;
    uint8_t psk[PSK_SIZE];
};

/* In guarded memory. */
struct agent_secrets {
    struct agent_pair pairs[AGENT_PAIR_COUNT];
    uint8_t token_secret[PSK_SIZE];
};

/* A received frame that the replica couldn't take yet. */
struct agent_frame {
    struct agent_frame *next;
    uint8_t type;
    size_t size;
    uint8_t body[];
};

struct agent_link {
    struct channel *channel; /* NULL: no conversation */
    bool is_open;            /* the server has proven who it is */
    size_t unsent_size;      /* given to the edge since it was last drained */
    struct agent_frame *inbox_first;
    struct agent_frame *inbox_last;
    size_t inbox_count;
    size_t inbox_size;
    struct mono_time inbox_due; /* when the replica is asked again */
    struct mono_time handshake_due;
    struct mono_time ping_due;
    struct mono_time silence_due;
    int64_t ping_nonce;
};

struct agent_uplink {
    bool is_dirty;                /* something may have been recorded since the last look */
    int64_t seal_no;              /* on its way; 0: none */
    int64_t part_no;              /* the next part to send */
    bool is_all_sent;             /* the last part is on its way: the verdict is next */
    struct mono_time not_before;  /* the replica is locked or the server is busy */
    struct mono_time verdict_due; /* MONO_NEVER unless is_all_sent */
    int64_t answer_parts;         /* of its verdict, taken */
    size_t answer_count;          /* exceptions in them */
    size_t answer_size;
    struct answer_part *answer_first, *answer_last;
};

/* A body of a verdict that comes in several. */
struct answer_part {
    struct bytes body;
    struct answer_part *next;
};

/* What a revoked device still has to do; its seals go out as the uplink's do. */
struct agent_parting {
    bool wipe;
    bool is_noted;        /* in the replica */
    int64_t seal_done;    /* up to here the server keeps them, or never will */
    bool has_begun_blobs; /* all seals are there: contents of attachments follow */
    char words[LIMIT_REASON_SIZE_MAX + LIMIT_NAME_SIZE_MAX + 4];
};

struct agent_downlink {
    int64_t welcome_head;  /* the server's head when the session began */
    int64_t published_seq; /* what this replica shows */
    size_t parts_taken;    /* of the SNAPSHOT that is being taken: the replica made it wait */
    bool is_staging;       /* rows have come that aren't visible yet */
    bool is_caught_up;     /* all that was there at the beginning of the session is published */
    bool owes_receipt;
    struct mono_time receipt_due;
    struct mono_time settle_due; /* when rows held in an open transaction are committed */
};

struct agent_checks {
    struct mono_time digest_due;
    int64_t bucket_after; /* where the scan goes on */
    struct mono_time triggers_due;
    struct mono_time hour_end; /* repairs are counted within an hour */
    size_t repair_count;
    bool is_alarmed;
};

/* How much of contents may be on its way in one direction: what the line carries in a few seconds,
 * told by how much later than the soonest an answer comes. */
struct agent_window {
    size_t size;      /* bytes */
    int64_t least_us; /* the soonest answer of this session; 0: none yet */
};

/* A part on its way, and the ping behind it: its pong says that the part has arrived. */
struct agent_part {
    int64_t nonce;
    size_t size;
    struct mono_time sent_at;
};

struct agent_blobs {
    struct replica_blob sending; /* size 0: none */
    bool is_wanted;              /* the server has said where to go on */
    int64_t sent_offset;         /* the next byte to send */
    int64_t held_offset;         /* what the server says it holds */
    struct agent_window window;
    size_t window_used;                            /* bytes that are */
    struct agent_part parts[AGENT_BLOB_PARTS_MAX]; /* the oldest first */
    size_t part_count;
    struct mono_time send_due; /* when to look for the next one, or to give up on this one */
    bool is_all_sent;          /* at the last look */
    int unanswered;            /* times that the server said nothing for so long */
    struct replica_blob fetching;
    bool is_resumed;                  /* its beginning was here already */
    struct agent_window fetch_window; /* how much to ask for at a time */
    int64_t fetch_end;                /* where the last WANT ends */
    struct mono_time fetch_asked_at;
    struct mono_time fetch_due;
};

struct agent {
    enum agent_state state;
    struct agent_secrets *secrets;
    enum agent_pair_name pair; /* that the running conversation came with */
    unsigned refusals;         /* handshakes that failed, one after the other */
    bool is_key_offered;       /* in this session */
    bool is_key_refused;       /* the same */
    bool has_token;
    bool is_renewal; /* the token is for a replica that is enrolled already */
    bool is_stopped;
    bool has_heard_words; /* of the server, inside the channel, in this conversation */
    bool is_disk_full;    /* shown once, forgotten when something could be stored again */
    uint8_t token_id[IDENTITY_TOKEN_ID_SIZE];
    uint8_t root_public_key[IDENTITY_KEY_SIZE];
    uint8_t sign_public_key[IDENTITY_KEY_SIZE];
    int64_t key_serial;
    char device_name[LIMIT_NAME_SIZE_MAX + 1];
    char app_version[LIMIT_NAME_SIZE_MAX + 1];
    char name[64]; /* the user's login, for traces */
    struct replica *replica;
    struct blob_store *blob_store;
    struct bytes dictionary;
    const struct trace *trace;
    struct prng prng;
    struct mono_time now; /* of the step that runs */
    struct wall_time wall;

    unsigned attempts; /* failed ones in a row */
    struct mono_time next_try;
    struct agent_link link;
    struct agent_uplink up;
    struct agent_parting parting;
    struct agent_downlink down;
    struct agent_checks checks;
    struct agent_blobs blobs;
    struct agent_status status;

    struct arena step_arena;   /* until the next step: what effects point to */
    struct arena decode_arena; /* one frame */
    struct arena answer_arena; /* bodies of a verdict that isn't whole yet */
    struct buffer body;        /* of the message that is being sent */
    size_t effect_count;
    struct agent_effect effects[AGENT_EFFECTS_MAX];
};

/* ---- agent.c --------------------------------------------------------------------------------- */

void agent_effect_add(struct agent *agent, enum agent_effect_kind kind, struct bytes bytes,
                      bool wipe, const char *text);
/* `text` is copied. */
void agent_alarm(struct agent *agent, const char *text);
/* Ends the conversation and plans the next try, not before `retry_after_ms` from now. */
void agent_disconnect(struct agent *agent, const char *reason, int64_t retry_after_ms);
/* What a replica's answer means for who asked: RESULT_WAIT and RESULT_EXHAUSTED become a time to
 * ask again (and RESULT_WAIT); anything else is passed on. */
MUST_CHECK enum result agent_hold(struct agent *agent, enum result result,
                                  struct mono_time *ret_not_before, struct problem *problem);
/* The end of a revoked device: hangs up, and asks for a wipe if that was the order. */
void agent_end_revoked(struct agent *agent);
/* Something was delivered: the next failure is the first one again. */
void agent_progress(struct agent *agent);
/* Something was stored: the disk isn't full any more. */
void agent_stored(struct agent *agent);
/* Hands a frame to whoever handles its type. RESULT_WAIT: keep the frame, see link.inbox_due. */
MUST_CHECK enum result agent_dispatch(struct agent *agent, uint8_t type, struct bytes body,
                                      struct problem *problem);
/* Frames that don't touch the replica: taken at once even while others wait. */
bool agent_is_urgent(uint8_t type);

/* ---- link.c ---------------------------------------------------------------------------------- */

MUST_CHECK enum result link_begin(struct agent *agent, const uint8_t *seed,
                                  struct problem *problem);
/* Frames that wait for the replica mean nothing any more. */
void link_forget_inbox(struct agent *agent);
void link_end(struct agent *agent); /* harmless without a conversation */
MUST_CHECK enum result link_receive(struct agent *agent, struct bytes message,
                                    struct problem *problem);
/* Sends agent->body and empties it. Level: zlib's, 0 for secrets and what is compressed already. */
MUST_CHECK enum result link_send(struct agent *agent, uint8_t type, int level,
                                 struct problem *problem);
/* NOTICE, ERROR or BYE. */
MUST_CHECK enum result link_send_text(struct agent *agent, uint8_t type, const char *code,
                                      const char *text, struct problem *problem);
bool link_has_room(const struct agent *agent); /* of the send window */
/* Frames that wait, pings, silence. */
MUST_CHECK enum result link_pump(struct agent *agent, struct problem *problem);
struct mono_time link_deadline(const struct agent *agent);
/* The nonce of its pong. */
MUST_CHECK enum result link_send_ping(struct agent *agent, int64_t *ret_nonce,
                                      struct problem *problem);
MUST_CHECK enum result link_on_ping(struct agent *agent, struct bytes body,
                                    struct problem *problem);
MUST_CHECK enum result link_on_pong(struct agent *agent, struct bytes body,
                                    struct problem *problem);

/* ---- uplink.c -------------------------------------------------------------------------------- */

void uplink_begin(struct agent *agent);
void uplink_end(struct agent *agent);
MUST_CHECK enum result uplink_pump(struct agent *agent, struct problem *problem);
struct mono_time uplink_deadline(const struct agent *agent);
MUST_CHECK enum result uplink_on_verdict(struct agent *agent, struct bytes body,
                                         struct problem *problem);
/* The next part of the seal on its way. */
MUST_CHECK enum result uplink_send_part(struct agent *agent, struct problem *problem);
void uplink_on_busy(struct agent *agent, int64_t retry_after_ms);
bool uplink_is_idle(const struct agent *agent);

/* ---- parting.c ------------------------------------------------------------------------------- */

/* Everything else of the conversation is over. `words` is copied. */
void parting_begin(struct agent *agent, bool wipe, const char *words);
MUST_CHECK enum result parting_pump(struct agent *agent, struct problem *problem);
struct mono_time parting_deadline(const struct agent *agent);
MUST_CHECK enum result parting_on_deposited(struct agent *agent, struct bytes body,
                                            struct problem *problem);
/* False: the error isn't about a seal. */
bool parting_on_error(struct agent *agent, const struct message_text *text);

/* ---- rotation.c ------------------------------------------------------------------------------ */

/* The pair for the next handshake. */
struct agent_pair *rotation_pair(struct agent *agent);
void rotation_show_fingerprint(struct agent *agent);
/* A fresh private key of the edge, stored durably, becomes the next one. */
void rotation_take(struct agent *agent, const uint8_t *secret);
/* The server has let this device in with the pair that it came with. */
void rotation_on_welcome(struct agent *agent);
bool rotation_is_idle(const struct agent *agent);
MUST_CHECK enum result rotation_pump(struct agent *agent, struct problem *problem);
MUST_CHECK enum result rotation_on_new_psk(struct agent *agent, struct bytes body,
                                           struct problem *problem);
MUST_CHECK enum result rotation_on_policy(struct agent *agent, struct bytes body,
                                          struct problem *problem);

/* ---- downlink.c ------------------------------------------------------------------------------ */

void downlink_begin(struct agent *agent, int64_t head);
void downlink_end(struct agent *agent);
MUST_CHECK enum result downlink_on_schema(struct agent *agent, struct bytes body,
                                          struct problem *problem);
MUST_CHECK enum result downlink_pump(struct agent *agent, struct problem *problem);
struct mono_time downlink_deadline(const struct agent *agent);
MUST_CHECK enum result downlink_on_subscribed(struct agent *agent, struct bytes body,
                                              struct problem *problem);
MUST_CHECK enum result downlink_on_snapshot(struct agent *agent, struct bytes body,
                                            struct problem *problem);
MUST_CHECK enum result downlink_on_rows(struct agent *agent, struct bytes body,
                                        struct problem *problem);
MUST_CHECK enum result downlink_on_gone(struct agent *agent, struct bytes body,
                                        struct problem *problem);
MUST_CHECK enum result downlink_on_ids(struct agent *agent, struct bytes body,
                                       struct problem *problem);
MUST_CHECK enum result downlink_on_publish(struct agent *agent, struct bytes body,
                                           struct problem *problem);
bool downlink_is_idle(const struct agent *agent);

/* ---- checks.c -------------------------------------------------------------------------------- */

void checks_begin(struct agent *agent);
void checks_pause(struct agent *agent); /* the server refuses what we ask for: later */
MUST_CHECK enum result checks_pump(struct agent *agent, struct problem *problem);
struct mono_time checks_deadline(const struct agent *agent);
MUST_CHECK enum result checks_on_differs(struct agent *agent, struct bytes body,
                                         struct problem *problem);

/* ---- blobs.c --------------------------------------------------------------------------------- */

void blobs_begin(struct agent *agent);
void blobs_end(struct agent *agent);
void blobs_look(struct agent *agent);  /* rows have come or gone: there may be something to move */
void blobs_pause(struct agent *agent); /* the server refuses what we ask for: later */
void blobs_on_pong(struct agent *agent, int64_t nonce);
MUST_CHECK enum result blobs_pump(struct agent *agent, struct problem *problem);
/* The same for a revoked device, which only sends. *ret_is_done: the server has all, or says that
 * it doesn't take it, or says nothing. */
MUST_CHECK enum result blobs_deposit(struct agent *agent, bool *ret_is_done,
                                     struct problem *problem);
struct mono_time blobs_deposit_deadline(const struct agent *agent);
/* This one isn't taken, ever: the next. */
void blobs_give_up(struct agent *agent);
struct mono_time blobs_deadline(const struct agent *agent);
MUST_CHECK enum result blobs_on_have(struct agent *agent, struct bytes body,
                                     struct problem *problem);
MUST_CHECK enum result blobs_on_want(struct agent *agent, struct bytes body,
                                     struct problem *problem);
MUST_CHECK enum result blobs_on_part(struct agent *agent, struct bytes body,
                                     struct problem *problem);

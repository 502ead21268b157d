/* SPDX-License-Identifier: Apache-2.0 */
/* session.h: one connection, from its first byte to its last; the inside of server.h.
 *
 * Shared by session*.c, hub.c, lane.c and server.c, nobody else includes it. A session handles its
 * own failures: whatever goes wrong ends this connection and no other, so most functions return
 * nothing. What it may hold is bounded: one body being received (the channel), SESSION_WINDOW_SIZE
 * bytes on the way out, frames of one feed job behind them (shared with other sessions), and jobs
 * up to LANE_SIZE_MAX bytes a lane.
 *
 *   GREETING --> AUTHENTICATING --> RESUMING --> LIVE --> JUDGING --> CLOSING
 *                      |               |          |          |           ^
 *                      |               '----------+----------+--> PARTING (and from each of them)
 *                      +-----------> ENROLLING                           '
 *
 *   GREETING        messages 1 and 3 are due; nobody has proven anything
 *   AUTHENTICATING  a reader looks up the key
 *   ENROLLING       a new device: the writer stores it, it gets one frame
 *   RESUMING        a known device: the writer gives it its next token
 *   LIVE            both directions run
 *   JUDGING         it was revoked or held just now: a reader looks what to tell it
 *   PARTING         it was told that it is revoked; it may leave behind what it still had, no more
 *   CLOSING         the edge was told to close; waiting for CLOSED */
#pragma once

#include "base/prng.h"
#include "base/trace.h"
#include "protocol/channel.h"
#include "protocol/limits.h"
#include "server/core/feed.h"
#include "server/core/gate.h"
#include "server/core/hub.h"
#include "server/core/server.h"
#include "server/core/throttle.h"

enum session_state {
    SESSION_GREETING,
    SESSION_AUTHENTICATING,
    SESSION_ENROLLING,
    SESSION_RESUMING,
    SESSION_LIVE,
    SESSION_JUDGING,
    SESSION_PARTING,
    SESSION_CLOSING,
    SESSION_STATE_COUNT,
};

/* Close codes; the device acts on none of them, since nobody signs them. */
enum {
    SESSION_CLOSE_NORMAL = 1000,
    SESSION_CLOSE_GOING_AWAY = 1001,
    SESSION_CLOSE_FAILED = 1011,    /* our own trouble */
    SESSION_CLOSE_BUSY = 1013,      /* come back later */
    SESSION_CLOSE_PROTOCOL = 4400,  /* broke the protocol after the handshake */
    SESSION_CLOSE_HANDSHAKE = 4401, /* any failure before it was over, without a reason */
    SESSION_CLOSE_SILENT = 4408,
};

enum {
    SESSION_WINDOW_SIZE = 256 * 1024,     /* bytes a connection's queue may hold */
    SESSION_FEED_ROOM_MIN = 64 * 1024,    /* no feed job for less room than this */
    SESSION_QUEUE_SIZE_MAX = 2048 * 1024, /* then it doesn't read: closed */
    SESSION_MESSAGE_OVERHEAD = 64,        /* what a queued message costs beyond its bytes */
    SESSION_PEER_SIZE = 64,               /* of "address:port" and NUL; longer ones are cut */
    SESSION_NAME_SIZE = 32,               /* "replica 17" */
    LANE_SIZE_MAX = LIMIT_UNIT_SIZE_MAX,  /* bytes of bodies that wait: one whole seal in parts */
    LANES_SIZE_MAX = 4 * LIMIT_UNIT_SIZE_MAX, /* the same of all sessions */
    LANE_JOBS_MAX = 4096,
    JOB_ARENA_OVERHEAD = 64 * 1024 * 1024, /* beyond its body: what decoding and answers may take */
    STEP_ARENA_SIZE_MAX = 256 * 1024 * 1024,
};

/* Jobs that run one after the other; one that must wait is handed over again after a while. */
struct lane {
    struct job **jobs; /* jobs[0] runs, or is next */
    size_t count;
    size_t capacity;
    size_t size; /* bytes of their bodies */
    bool is_running;
    unsigned tries; /* of jobs[0], failed ones */
    struct mono_time retry_at;
};

enum lane_name {
    LANE_GREETING, /* AUTHENTICATE, ENROL, RESUME */
    LANE_PUSH,
    LANE_SIDE, /* digests, repairs, attachments */
    LANE_FEED,
    LANE_COUNT,
};

struct session {
    struct server *server;
    struct session *previous, *next; /* hub's */
    struct hub_link by_connection, by_replica;
    uint64_t connection;
    enum session_state state;
    struct channel *channel;
    char peer[SESSION_PEER_SIZE];
    char name[SESSION_NAME_SIZE];

    bool is_counted; /* at the gate */
    size_t gate_place;
    uint8_t static_key[NOISE_KEY_SIZE];
    uint8_t token_id[IDENTITY_TOKEN_ID_SIZE];
    bool is_enrolment;
    int64_t replica_no;
    int64_t user_id;
    int64_t schema_version; /* that the device speaks */
    int64_t catch_up_seq;   /* see job.h; 0: it lacks nothing */
    bool has_published;     /* in this session */
    int64_t contact_no;     /* which of the replica's sessions this is */

    struct mono_time greeting_by; /* handshake done until then */
    struct mono_time heard_at;
    struct mono_time ping_at;
    struct mono_time renew_at;
    struct mono_time part_by;    /* PARTING ends then */
    struct mono_time receipt_at; /* not before */
    int64_t receipt_seq;         /* published on the device, not yet noted; 0: none */
    bool is_confirmed;           /* it has stored its new resume token */

    uint8_t key_seed[PSK_SIZE]; /* random: makes the psk if the device changes its keys */
    unsigned new_key_count;
    bool is_push_dropped; /* told to wait: up to the next first part nothing is taken */
    bool is_blob_dropped;

    struct lane lanes[LANE_COUNT];
    struct feed *feed; /* while LANE_FEED runs it is the job's alone */
    bool feed_wanted;
    bool has_repaired; /* parts have been sent that the next PUBLISH makes visible */
    int64_t wake_seq;  /* a commit that came while the feed was with a job */

    size_t queue_size;            /* sent and, as far as we know, not yet gone */
    struct shared_frame **frames; /* behind the window, whole bodies */
    size_t frame_first, frame_count, frame_capacity;
    bool close_owed; /* no memory to say it to the edge yet */
    uint16_t close_code;
    const char *close_text; /* constant: it is read after this step's jobs are gone */
};

struct server {
    const struct catalog *catalog;
    struct noise_keypair *static_keys; /* guarded memory */
    int64_t key_serial;
    uint8_t root_signature[IDENTITY_SIGNATURE_SIZE];
    bool has_root_change;
    struct identity_root_change root_change;
    struct frame_dictionary dictionary;
    const struct trace *trace;
    size_t connections_max;

    struct hub hub;
    struct gate gate;
    struct throttle throttle;
    struct tally tally;
    struct prng prng;
    bool is_seeded;
    struct arena step_arena;
    struct server_effect *effects;
    size_t effect_count, effect_capacity;
    const struct server_event *event; /* of the running step */

    struct mono_time deadline; /* nothing is due before; never late, may be early */
    struct mono_time scanned_at;
    struct lane housekeeping; /* ADOPT, RESCOPE, lines for the audit log */
    bool adopt_wanted;
    struct mono_time rescope_at;
    int64_t rescope_interval_us;
    int64_t head;
    size_t lanes_size;
    size_t live_count;
    bool is_stopping;
    struct server_status status;
};

/* ---- server.c ---- */

/* RESULT_EXHAUSTED: memory; nothing was added. */
MUST_CHECK enum result server_emit(struct server *server, const struct server_effect *effect,
                                   struct problem *problem);
/* Something is due then. */
void server_want(struct server *server, struct mono_time deadline);
/* A job that nobody waits for any more. */
void server_drop_job(struct job *job);
/* HELLO as this server says it now; retry_after_ms 0 for those that may go on. */
struct hello server_hello(const struct server *server, int64_t retry_after_ms);
/* For the audit log, as a line of its own or as one more of many. */
void server_note_refusal(struct server *server, enum tally_kind kind, int64_t user_id,
                         const char *text);
/* Some time between the two, drawn. */
int64_t server_jitter(struct server *server, int64_t least_us, int64_t most_us);

/* ---- lane.c ---- */

/* Takes over the job; RESULT_EXHAUSTED: too much waits already, or memory; the job is gone. */
MUST_CHECK enum result lane_add(struct lane *lane, struct server *server, struct job *job,
                                struct problem *problem);
/* Hands over the next job if none is running and none has to wait. */
void lane_run(struct lane *lane, struct server *server);
bool lane_has(const struct lane *lane, const struct job *job);
/* The running job is back: true, it is the caller's; false, it stays and is tried again later. */
bool lane_take_back(struct lane *lane, struct server *server, struct job *job);
/* Forgets all; a running one is dropped when it comes back. */
void lane_clear(struct lane *lane, struct server *server);
struct mono_time lane_deadline(const struct lane *lane);

/* ---- session.c ---- */

MUST_CHECK enum result session_create(struct server *server, const struct server_event *event,
                                      size_t gate_place, struct session **ret_session,
                                      struct problem *problem);
/* Its connection has ended, not by us. To be destroyed next. */
void session_cut(struct session *session);
void session_destroy(struct session *session);
void session_begin(struct session *session); /* says HELLO */
void session_receive(struct session *session, struct bytes message);
void session_tick(struct session *session);
struct mono_time session_deadline(const struct session *session);
/* Moves along the drawing above; anything else is our own mistake. */
void session_move(struct session *session, enum session_state state);
const char *session_state_name(enum session_state state);
/* Ends it without a word inside the channel. `text` is constant. */
void session_close(struct session *session, uint16_t code, const char *text);
/* BYE, then the end. `code` is constant, `text` need only last for the call. */
void session_bye(struct session *session, const char *code, const char *text,
                 int64_t retry_after_ms);
/* Forgets all its jobs and its feed. */
void session_drop_work(struct session *session);
/* Revoked or held while it was live. */
void session_judge(struct session *session);
/* A job for one of its lanes with what all jobs need; NULL: no memory, the session was ended. */
/* Has the device published what its newer columns hold, if it shows this head? */
bool session_is_caught_up(const struct session *session, int64_t published_seq);
struct job *session_job(struct session *session, enum job_kind kind, struct bytes body);
void session_submit(struct session *session, enum lane_name lane, struct job *job);

/* ---- session_jobs.c: answers of readers and writer ---- */

void session_authenticate(struct session *session);
void session_job_done(struct session *session, struct job *job);
/* A commit concerns it. */
void session_wake(struct session *session, int64_t seq, bool is_concerned);
/* Asks for more to send if there is any and room for it. */
void session_feed(struct session *session);

/* ---- session_frames.c: what goes out and what comes in over the open channel ---- */

void session_take_frame(struct session *session, const struct frame *frame);
/* Queues a message of the edge. */
MUST_CHECK enum result session_send_raw(struct session *session, struct bytes message,
                                        struct problem *problem);
void session_send_ping(struct session *session);
void session_has_spoken(struct session *session); /* no ping is needed for a while */
/* REVOKED, NOTICE, ERROR, BYE. Failures are traced: it's a last word. */
void session_send_text(struct session *session, enum message_type type,
                       const struct message_text *text);
/* Seals the job's frames at once (answers), or as the window allows (feeds). Takes them over. */
void session_send_frames(struct session *session, struct job *job, bool is_urgent);
void session_drained(struct session *session);

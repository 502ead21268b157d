/* SPDX-License-Identifier: Apache-2.0 */
/* job.h: what a session asks of the master dataset, and the answer; a piece of data that travels
 * between the event loop (server.h) and the threads that own a store (master.h).
 *
 * A job owns its arena: input and output live there until job_destroy. While a job runs nobody
 * else touches it or the feed it points to. No job holds a socket, and no session holds a store. */
#pragma once

#include "base/blob_store.h"
#include "protocol/frame.h"
#include "protocol/limits.h"
#include "protocol/messages.h"
#include "server/store/work.h"

struct feed; /* feed.h: what a session still has to be sent */

enum job_kind {
    /* readers: one read transaction for all jobs of a batch */
    JOB_AUTHENTICATE, /* whose key or token is this? */
    JOB_FEED,         /* next frames of a session's feed */
    JOB_DIGEST,       /* compare a device's digests */
    JOB_REPAIR,       /* parts of a bucket as a whole */
    JOB_BLOB,         /* HAVE, WANT or PART of an attachment */
    JOB_ASK,          /* no device's: `ask`, for pages and the like */
    /* the writer: one transaction for all jobs of a group */
    JOB_ENROL,
    JOB_RESUME,
    JOB_PUSH,
    JOB_DEPOSIT, /* what a revoked device still had: kept, not applied */
    JOB_NEW_KEY, /* the device offers its next key */
    JOB_RECEIPT, /* note what a device has published or when it was last seen */
    JOB_ADOPT,   /* another program wrote to the master: adopt its rows */
    JOB_RESCOPE, /* evaluate everybody's subscription again (once a day, and at start) */
    JOB_ACT,     /* no device's: `act`, undone alone when it is refused */
};
bool job_is_write(enum job_kind kind);
const char *job_name(enum job_kind kind);

/* An encoded frame (protocol/frame.h), ready to be sealed for any number of connections. */
struct shared_frame {
    _Atomic int holders;
    uint8_t type; /* enum message_type */
    size_t size;
    uint8_t bytes[]; /* as frame_encode made it */
};
struct shared_frame *shared_frame_hold(struct shared_frame *frame);
void shared_frame_release(struct shared_frame *frame); /* takes NULL */

enum replica_state {
    REPLICA_ACTIVE = 1,
    REPLICA_HELD = 2,
    REPLICA_REVOKED = 3,
    REPLICA_RENEWED = 4, /* RESUME: this copy of it is told to take another identity */
    REPLICA_PENDING = 5, /* enrolled, but nobody has confirmed it yet */
};

struct job {
    enum job_kind kind;
    uint64_t session_no; /* the asker; 0: the server itself */
    struct arena arena;
    struct wall_time now; /* set by whoever hands the job over */
    enum result result;   /* RESULT_WAIT: the store is busy or out of space, ask again later */
    struct problem problem;

    /* who asks (all but AUTHENTICATE and ENROL) */
    int64_t replica_no;
    int64_t user_id;
    int64_t schema_version; /* that he speaks; RESUME finds it out */

    /* in */
    bool is_enrolment;       /* AUTHENTICATE: `key` is a token id, otherwise a static key */
    struct bytes key;        /* AUTHENTICATE: see above; ENROL: token id */
    struct bytes static_key; /* ENROL, AUTHENTICATE of a token: the device's X25519 public key */
    struct bytes body;       /* message body: ENROL, RESUME, PUSH, DIGEST, REPAIR, BLOB */
    uint8_t message;         /* BLOB: which message `body` is */
    struct bytes seed;  /* ENROL, RESUME: 64 random bytes for psk and resume token; NEW_KEY: 32 */
    struct feed *feed;  /* FEED; RESUME makes it */
    bool publishes;     /* FEED: even at the same head, since repaired parts wait for it */
    size_t send_room;   /* FEED, BLOB: stop after about so many bytes of frames */
    int64_t seq;        /* RECEIPT: published head */
    bool is_caught_up;  /* RECEIPT: what newer columns hold has been published, too */
    int64_t contact_no; /* PUSH, RECEIPT: of the session; RESUME: of the one it begins (out) */
    struct wall_time
        released_until; /* PUSH out of the quarantine: changes dated later are refused */
    const char *peer;   /* ENROL, AUTHENTICATE: address, for the audit log */
    /* ASK and ACT, on the store's thread; `act` may be called again when the group before it
     * failed, so it sets what it answers and adds nothing to it. */
    enum result (*ask)(struct store *store, struct job *job, struct problem *problem);
    enum result (*act)(struct work *work, struct job *job, struct problem *problem);
    void *context; /* the asker's, until the job is done */

    /* out */
    bool is_known;            /* AUTHENTICATE */
    uint8_t psk[PSK_SIZE];    /* AUTHENTICATE; wiped by job_destroy */
    enum replica_state state; /* AUTHENTICATE, RESUME, PUSH: not ACTIVE goes with RESULT_REFUSED */
    bool wipe;                /* AUTHENTICATE of a revoked replica */
    size_t frame_count;       /* to be sent in this order; the receiver releases them */
    struct shared_frame **frames;
    bool has_lease;        /* RESUME: the device has the company's lease already */
    int64_t change_count;  /* PUSH: changes in the seal that was applied now, 0: a repetition */
    int64_t schema_before; /* RESUME: the version up to which it has everything, 0: its own */
    int64_t catch_up_seq;  /* RESUME: a receipt from here on says that it has it now, 0: it has */
    bool feed_has_more;    /* FEED: call again when there is room */
    int64_t published_seq; /* FEED: the head that the frames publish, 0: none yet */
};

/* NULL: no memory. size_max bounds its arena. */
struct job *job_create(enum job_kind kind, size_t size_max);
void job_destroy(struct job *job); /* releases frames, wipes secrets; takes NULL */
/* Adds a frame to `frames` (takes over the reference, also when it fails). */
MUST_CHECK enum result job_add_frame(struct job *job, struct shared_frame *frame,
                                     struct problem *problem);
/* Releases the frames of a job whose transaction was undone. */
void job_drop_frames(struct job *job);

/* Frames are made as large as any channel of this version takes them, so that all can share. */
enum { SHARED_FRAME_SIZE_MAX = LIMIT_MESSAGE_OFFER - 16 };

/* Encodes a body into frames that hold one reference each. Level 0 for all that holds a secret.
 * ret_frames is in `arena`, the frames are on the heap. */
MUST_CHECK enum result shared_frames_encode(uint8_t type, struct bytes body, int level,
                                            const struct frame_dictionary *dictionary,
                                            struct arena *arena, struct shared_frame ***ret_frames,
                                            size_t *ret_count, struct problem *problem);
/* The same, added to the job's frames. */
MUST_CHECK enum result job_add_body(struct job *job, uint8_t type, struct bytes body, int level,
                                    const struct frame_dictionary *dictionary,
                                    struct problem *problem);

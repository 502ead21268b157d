/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.h: takes one device's seal into the master: checks, merges, applies, answers.
 *
 * A seal is a union of whole local transactions (R7). All its changes that are accepted become
 * visible together; a change that is not gets a verdict with a reason and is kept whole in
 * review_item (R6, I8). Verdicts, lcn_high and data are written in the same transaction (I2), so a
 * seal that comes again gets the stored verdicts and changes nothing (I3). The same number with
 * another content, or a chain that doesn't fit, is a copied disk: the replica is held.
 *
 * Order of checks of a change: table and columns, id, grant, own column, entitlement at edit time
 * (R8), references, merge, CHECK and UNIQUE. Time never refuses anything. */
#pragma once

#include "base/trace.h"
#include "server/core/job.h"
#include "server/core/wire.h"

/* What is known of the asking replica (fs_replica). */
struct ingest_replica {
    int64_t replica_no;
    int64_t device_id;
    int64_t user_id;
    int64_t incarnation;
    int64_t lcn_high;
    int64_t seal_high;
    struct bytes seal_digest;
    enum replica_state state;
    int64_t first_no; /* the number under which its disk began; 0: this one */
    struct bytes token_current;
    int64_t published_seq;
};

struct ingest_verdict {
    int64_t lcn;
    enum verdict_kind kind;
    const char *reason; /* code of domain/reason.h or NULL */
    uint16_t table_no;
    int64_t row_id;
    int64_t merged_into_id;
};

/* What is to be answered once the commit is there; lives in the work's arena. */
struct ingest_answer {
    int64_t seal_no; /* 0: nothing to answer, a part was stored or the job was refused */
    int64_t lcn_high;
    int64_t commit_seq; /* lowest seq of the commit that holds it */
    int64_t change_count;
    bool is_repetition;
    size_t count; /* exceptions: every other change is simply applied */
    struct ingest_verdict *verdicts;
};

/* TOGETHER is fast: what the pushes of a group change is sent to the database at once, and a
 * constraint or a rule that speaks makes RESULT_REFUSED: undo all and take them APART, each in a
 * savepoint, so that what can't be is found and gets its verdict. */
enum ingest_way { INGEST_TOGETHER, INGEST_APART };

/* Runs a JOB_PUSH inside an open work that has no savepoint. Sets the job's result: RESULT_OK;
 * RESULT_MALFORMED the body is none; RESULT_REFUSED the replica may not push (job->state says so),
 * or the seal does not follow the last one: nothing of it was done, the device's next greeting puts
 * it right. The return value is about the store: anything but RESULT_OK undoes the group. The
 * job's body stays where it is until the work is finished: rows point into it. */
MUST_CHECK enum result ingest_push(struct work *work, struct store *store, struct wire_views *views,
                                   struct job *job, enum ingest_way way, const struct trace *trace,
                                   struct ingest_answer *ret_answer, struct problem *problem);

/* Encodes the answer with the rows as they are now (R4), after work_finish, and adds it to the job.
 * Rows that no longer fit into one message are left out; the digests bring them. `wire` is the
 * catalog in which the device is spoken to. */
MUST_CHECK enum result ingest_answer_encode(struct store *store, const struct catalog *wire,
                                            const struct ingest_answer *answer, int64_t head,
                                            const struct frame_dictionary *dictionary,
                                            struct job *job, struct problem *problem);

/* Reads the replica's line; RESULT_REFUSED: there is none. */
MUST_CHECK enum result ingest_read_replica(struct store *store, struct arena *arena,
                                           int64_t replica_no, struct ingest_replica *ret_replica,
                                           struct problem *problem);

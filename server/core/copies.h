/* SPDX-License-Identifier: Apache-2.0 */
/* copies.h: several disks that claim to be one replica, and what an admin has decided about them.
 *
 * A held replica gets no new resume tokens, so each copy keeps presenting the one it has: that is
 * how copies are told apart. A copy that stands where the server stands may go on under the
 * replica's number once an admin has chosen it. Any other would give change numbers and ids again
 * that the server knows with other contents: it is told to enrol anew (RENEW), under a number of
 * its own, and brings its unanswered work along. docs/SYNC.md 5. */
#pragma once

#include "server/core/job.h"
#include "server/store/work.h"

enum copy_decision {
    COPY_UNDECIDED,
    COPY_RENEWS,     /* becomes a device of its own */
    COPY_TAKES_OVER, /* stays the device that it is, under a new replica number */
};

struct copy {
    int64_t copy_no; /* 0: no such copy is known */
    bool is_newest;
    enum copy_decision decision;
    struct bytes code_id;
};

/* What is seen of a copy. */
struct copy_sight {
    int64_t replica_no;
    struct bytes token;
    bool is_newest;
    const char *why;
    struct wall_time seen_at;
    const char *peer; /* NULL: it isn't the one that called */
    struct bytes app_version;
    int64_t lcn_last;
    int64_t published_seq;
};

/* The copy that presents this token. */
MUST_CHECK enum result copies_find(struct work *work, int64_t replica_no, struct bytes token,
                                   struct copy *ret_copy, struct problem *problem);
/* Remembers the copy, or what is new of it. is_newest is never taken back once it was lost. */
MUST_CHECK enum result copies_note(struct work *work, const struct copy_sight *sight,
                                   struct problem *problem);
/* Adds RENEW with a code to the job's frames, the same one until it is used. `job` has 64 random
 * bytes in `seed`. RESULT_REFUSED: the person may not have devices any more. */
MUST_CHECK enum result copies_renew(struct work *work, struct job *job, const struct copy *copy,
                                    struct problem *problem);

/* ---- for commands, inside their transaction ---- */

/* An admin says that this copy of a held replica lives; the others become devices of their own
 * when they call next. copy_no 0: the only one that was seen.
 *
 *   ret_goes_on  it keeps its replica number; otherwise it takes a new one when it calls next
 *
 * RESULT_REFUSED: the replica isn't held, there is no such copy, or several and none was named. */
MUST_CHECK enum result copies_choose(struct work *work, int64_t replica_no, int64_t copy_no,
                                     bool *ret_goes_on, struct problem *problem);

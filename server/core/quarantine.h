/* SPDX-License-Identifier: Apache-2.0 */
/* quarantine.h: what a revoked device still had to bring, kept as it came until a person decides.
 *
 * A device that is told REVOKED sends its seals without verdict once more. Nothing of them is
 * applied: they lie in fs_quarantine, whole, and the device may wipe itself. Later a manager looks
 * at them and releases or drops them, seal by seal, in their order. Released seals go through the
 * ordinary ingest with the rights their author had; a change that its author dates after the
 * revocation is refused like any other (and kept in review_item). Dates are the device's word: that
 * is why a person decides.
 *
 * The contents of attachments that these seals name are taken as well, before the device ends
 * (blobs.h): fs_quarantine_blob has their hashes and sizes.
 *
 * Bounded a replica: QUARANTINE_SIZE_MAX bytes of seals, QUARANTINE_BLOBS_SIZE_MAX of contents. */
#pragma once

#include "base/trace.h"
#include "server/core/job.h"

enum { QUARANTINE_SIZE_MAX = 2 * LIMIT_UNIT_SIZE_MAX };
#define QUARANTINE_BLOBS_SIZE_MAX (INT64_C(2) << 30) /* photos of some months without a network */

/* JOB_DEPOSIT: one PUSH body of a revoked replica. job->result RESULT_REFUSED: it can never be
 * taken (another incarnation, other contents than before, too much); RESULT_MALFORMED: no PUSH. The
 * return value is about the store. */
MUST_CHECK enum result quarantine_deposit(struct work *work, struct job *job,
                                          const struct trace *trace, struct problem *problem);

/* ---- for commands ---- */

/* One change as people read it; texts in the caller's arena. */
struct quarantine_change {
    int64_t seal_no;
    const char *table_name;
    int64_t row_id;
    const char *op;
    struct wall_time edited_at;
    bool is_late;       /* dated after the revocation: a release refuses it */
    const char *values; /* "subject='Pump', note=NULL" */
};
/* Everything that waits of this replica; needs a store that is inside a transaction. */
MUST_CHECK enum result quarantine_read(struct store *store, int64_t replica_no, struct arena *arena,
                                       struct quarantine_change **ret_changes, size_t *ret_count,
                                       struct problem *problem);

struct quarantine_step {
    int64_t seal_no; /* 0: nothing waits any more */
    int64_t change_count;
    int64_t late_count; /* refused because of their date */
};
/* Applies the oldest complete seal that waits, inside a work of its own. RESULT_REFUSED: it can't
 * be applied (the chain has a gap, or the replica isn't revoked): nothing was done. */
MUST_CHECK enum result quarantine_release(struct work *work, struct store *store,
                                          int64_t replica_no, struct quarantine_step *ret_step,
                                          struct problem *problem);
/* Whatever waits of this replica will not be applied; the bytes stay for the record. */
MUST_CHECK enum result quarantine_drop(struct work *work, int64_t replica_no, int64_t *ret_count,
                                       struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* blobs.h: attachments by the hash of their content, in parts, resumable at a byte.
 *
 *   device HAVE size    server WANT offset: send from there; or HAVE: it is here already
 *   device PART         server HAVE when it was the last one and the hash is right; WANT offset
 * when it did not fit what is held device WANT offset  server PART...: as many as there is room
 * for; the device asks again behind the last one. HAVE of size 0: not here, ask later
 *
 * A hash is answered only for whom an attachment row with it is to be seen, or who wrote that row;
 * from a revoked device also what a row of its in quarantine names, up to the size it names.
 */
#pragma once

#include "base/trace.h"
#include "server/core/job.h"

enum { BLOBS_PARTS_MAX = 8 }; /* of one WANT */

/* JOB_BLOB inside a read transaction. blobs NULL: RESULT_REFUSED for the job. */
MUST_CHECK enum result blobs_answer(struct store *store, struct blob_store *blobs, struct job *job,
                                    struct problem *problem);

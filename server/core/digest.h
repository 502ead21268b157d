/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h: answers a device that compares contents (DIGEST) or asks for parts again (REPAIR).
 *
 * A digest is the sum modulo 2^128 of the hashes of a bucket's rows. A bucket that changed after
 * the head that the device speaks of is left out: it will come by feed. Buckets that are not the
 * user's are passed over in silence (I10). */
#pragma once

#include "server/core/feed_read.h"

enum { DIGEST_ANSWERS_MAX = 8 }; /* buckets answered in one message: more differ, more rounds */

/* JOB_DIGEST: DIGEST_DIFFERS, if anything does. Sets the job's result for a body that is none. */
MUST_CHECK enum result digest_answer(const struct feed_reader *reader, struct job *job,
                                     struct problem *problem);
/* JOB_REPAIR: the parts whole. The device takes them with the next PUBLISH: job.h's `publishes`. */
MUST_CHECK enum result digest_repair(const struct feed_reader *reader, struct job *job,
                                     struct problem *problem);

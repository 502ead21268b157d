/* SPDX-License-Identifier: Apache-2.0 */
/* devices_rotate.h: a device changes its keys while it works.
 *
 * NEW_KEY brings the device's next X25519 key; the server keeps it beside the old one, with a fresh
 * pre-shared key, until a session was begun with it. So nothing that gets lost on the way locks the
 * device out: either pair opens a session until the new one has opened one. The device's signing
 * key stays, signatures are verified by it for ever. Secrets are never traced. */
#pragma once

#include "base/trace.h"
#include "server/core/job.h"

/* JOB_NEW_KEY: answers NEW_PSK; job->seed: 32 random bytes. job->result RESULT_MALFORMED, or
 * RESULT_REFUSED: that key is somebody's, or the replica isn't active. */
MUST_CHECK enum result devices_new_key(struct work *work, struct job *job,
                                       const struct trace *trace, struct problem *problem);
/* In RESUME: the session came with job->static_key. Makes the next pair the only one if it is that
 * one's. job->result RESULT_REFUSED: the key has been replaced meanwhile. A job without a key says
 * nothing about it. */
MUST_CHECK enum result devices_use_key(struct work *work, struct job *job,
                                       const struct trace *trace, struct problem *problem);
/* Before WELCOME: what the company asks of the device, unless it is to do nothing and has the lease
 * already (job->has_lease). */
MUST_CHECK enum result devices_policy(struct store *store, struct job *job, int64_t lease_s,
                                      struct problem *problem);
/* The device is to change its keys at its next contact. RESULT_REFUSED: no such active replica. */
MUST_CHECK enum result devices_ask_rotation(struct work *work, int64_t replica_no,
                                            struct problem *problem);

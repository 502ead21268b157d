/* SPDX-License-Identifier: Apache-2.0 */
/* devices.h: who may connect: enrolment codes, replicas, their keys, tokens and states.
 *
 * A code is good once and for a short time; it is burnt in the transaction that stores the device.
 * The same device with the same code gets the same answer while the code lives, so a lost answer
 * costs nothing. Each session hands out a new resume token; the server keeps the newest two. The
 * previous one is good while the newest was never used; anything else is a copied disk and holds
 * the replica until an admin decides (copies.h). So does a device that has lost changes which the
 * server has from it. Secrets are compared in constant time and never traced. */
#pragma once

#include "base/trace.h"
#include "server/core/feed.h"
#include "server/core/job.h"
#include "server/core/scope.h"

/* ---- for commands, inside their transaction ---- */

enum {
    DEVICES_INIT_SEED_SIZE = 32, /* epoch and digest key */
    DEVICES_CODE_SEED_SIZE = 48, /* token id and secret */
    DEVICES_TOKEN_ID_SIZE = 16,
};

/* Fills fs_state of a new database: epoch, digest key, numbers. Once; does nothing to one that has
 * them. `seed`: DEVICES_INIT_SEED_SIZE random bytes. The store is inside a write transaction. */
MUST_CHECK enum result devices_init(struct store *store, const uint8_t *seed,
                                    struct problem *problem);
/* What was given last: of these numbers none is given again. */
struct devices_given {
    int64_t seq;
    int64_t lcn; /* counter of the server's own ids */
    int64_t replica_no;
};
MUST_CHECK enum result devices_read_given(struct store *store, struct arena *arena,
                                          struct devices_given *ret_given, struct problem *problem);
/* After a restore from a backup: a new epoch, numbers past everything that may have been given
 * since, resume tokens forgotten. In a write transaction.
 *
 *   seed   DEVICES_INIT_SEED_SIZE random bytes: the epoch, and by how much numbers jump
 *   given  by the database that is replaced, if it can still be read; zeros otherwise. A backup may
 *          be restored twice, and what the first restored server gave must not be given again */
MUST_CHECK enum result devices_restored(struct store *store, const uint8_t *seed,
                                        const struct devices_given *given, struct problem *problem);
/* A code for one device of this person; van_id 0: none. `seed`: DEVICES_CODE_SEED_SIZE random
 * bytes, of which the first 16 are the token's id and the rest its secret (identity_code).
 * RESULT_REFUSED: no such active user, or no such location. */
MUST_CHECK enum result devices_create_code(struct work *work, int64_t user_id, int64_t van_id,
                                           const uint8_t *seed, struct wall_time expires_at,
                                           struct problem *problem);
/* Its next greeting gets REVOKED, with or without the order to wipe; sets device.revoked_at.
 * RESULT_REFUSED: no such replica. */
MUST_CHECK enum result devices_revoke(struct work *work, int64_t replica_no, bool is_wipe,
                                      struct problem *problem);
/* ---- jobs ---- */

/* AUTHENTICATE, in a read transaction. */
MUST_CHECK enum result devices_authenticate(struct store *store, struct job *job,
                                            struct problem *problem);
/* ENROL inside a savepoint: RESULT_REFUSED or RESULT_MALFORMED, the caller undoes it. */
MUST_CHECK enum result devices_enrol(struct work *work, struct store *store, struct job *job,
                                     const struct trace *trace, struct problem *problem);
/* First half of RESUME: judges and turns the token; notes that its session tells the device of this
 * lease (0: for ever), and in job->has_lease whether it knows. Sets job->state and, for a device
 * that can't go on, job->result; REPLICA_RENEWED comes with its frame. The return value is about
 * the store. */
MUST_CHECK enum result devices_resume(struct work *work, struct store *store, struct job *job,
                                      int64_t lease_s, const struct trace *trace,
                                      struct problem *problem);
/* Second half, after subscriptions are evaluated: WELCOME and the feed. `head`: newest seq. */
MUST_CHECK enum result devices_welcome(struct store *store, struct job *job, int64_t head,
                                       struct problem *problem);
/* Holds the replica: somebody has seen that its disk was copied or put back. */
MUST_CHECK enum result devices_hold(struct work *work, int64_t replica_no, int64_t user_id,
                                    const char *why, struct problem *problem);
/* The device has made `seq` visible, and so it has stored the token of the session that says it. */
MUST_CHECK enum result devices_receipt(struct work *work, struct job *job, struct problem *problem);
/* Replicas that must go because somebody set device.revoked_at or app_user.is_active: marks them
 * and lists them. After work_finish, before the commit. */
MUST_CHECK enum result devices_watch(struct store *store, struct arena *arena, struct wall_time now,
                                     int64_t **ret_revoked, size_t *ret_count,
                                     struct problem *problem);
/* Wipes secrets of codes that have expired. */
MUST_CHECK enum result devices_expire_codes(struct store *store, struct wall_time now,
                                            struct problem *problem);

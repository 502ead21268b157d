/* SPDX-License-Identifier: Apache-2.0 */
/* scope.h: who is subscribed to which buckets, since when and until when.
 *
 * The subscription SQL of a user's roles says what he receives now; fs_entitlement keeps the
 * history as (user, bucket, from_seq in, to_seq out), stamped with the seq of the commit that
 * changed it. Late work is judged by what its author was entitled to when he did it (R8). Users
 * without roles or who are not active receive nothing. Only users who have a device are kept track
 * of: nobody else's subscription is ever sent.
 *
 * All functions run inside the caller's transaction; failures are the store's. */
#pragma once

#include "base/lookup.h"
#include "server/store/store.h"

/* What to open and to close is written with `stamp_seq`, the seq of the commit under way. Nothing
 * happens for a user without a device. ret_changed: the set is another one now. */
MUST_CHECK enum result scope_evaluate(struct store *store, struct arena *arena, int64_t user_id,
                                      struct wall_time now, int64_t stamp_seq, bool *ret_changed,
                                      struct problem *problem);
/* Everybody who has a device. */
MUST_CHECK enum result scope_users(struct store *store, struct arena *arena, int64_t **ret_users,
                                   size_t *ret_count, struct problem *problem);

/* Roles of a user now (role_grant); 0 for one who isn't active. */
MUST_CHECK enum result scope_roles(struct store *store, struct arena *arena, int64_t user_id,
                                   unsigned *ret_roles, struct problem *problem);

/* The current subscription, ascending by bucket. */
struct scope_bucket {
    int64_t bucket;
    int64_t from_seq;
};
MUST_CHECK enum result scope_subscribed(struct store *store, struct arena *arena, int64_t user_id,
                                        struct scope_bucket **ret_buckets, size_t *ret_count,
                                        struct problem *problem);

/* Remembers answers about one user for the length of one transaction. */
struct scope_rights {
    struct store *store;
    struct arena *arena;
    int64_t user_id;
    struct lookup answers; /* (0, bucket) -> int64_t: out of it from this seq on */
};
void scope_rights_init(struct scope_rights *rights, struct store *store, struct arena *arena,
                       int64_t user_id);
enum { SCOPE_NEVER = 0 };
/* The seq from which the user is out of the bucket: INT64_MAX if he is in it, SCOPE_NEVER if he
 * never was. He was entitled at some seq from `base` to now if this is greater than base. */
MUST_CHECK enum result scope_rights_until(struct scope_rights *rights, int64_t bucket,
                                          int64_t *ret_until, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h: what one session still has to be sent: its buckets, its cursors, where paging stands.
 *
 * Made by RESUME, moved by each JOB_FEED, owned by the session. Rules R1 and I16: pages are read in
 * short transactions, bounded by the room in the connection's queue; the final tails of all
 * buckets, the subscription and PUBLISH come from one read transaction. */
#pragma once

#include "server/core/job.h"
#include "server/core/scope.h"

enum { FEED_TAIL_ROWS_MAX = 1000, FEED_PAGE_BYTES = 128 * 1024 }; /* raw body before compression */

/* A device has got columns that others have filled before: what it lacks is newer than `from_seq`,
 * in columns that its version `before` didn't have. */
struct feed_catch_up {
    int64_t before; /* 0: it lacks nothing */
    int64_t from_seq;
};

struct feed *feed_create(int64_t user_id, int64_t replica_no);
void feed_destroy(struct feed *feed); /* takes NULL */

/* Where the device says it stands (RESUME). A bucket that it has held since a publication stands at
 * its published seq unless it says otherwise; one that came later, and all of them in another
 * epoch, start from 0.
 *
 *   subscribed   its user's buckets now, ascending
 *   catch_up     may be NULL
 *   is_behind    it has lost changes of its own that it had delivered (an old image): up to `head`
 *                it gets its own values back, too */
MUST_CHECK enum result feed_resume(struct feed *feed, const struct message_resume *resume,
                                   bool is_epoch_same, bool is_behind, int64_t head,
                                   const struct feed_catch_up *catch_up,
                                   const struct scope_bucket *subscribed, size_t subscribed_count,
                                   struct problem *problem);

/* Does a commit concern this session? Looks only at memory: sorted buckets of the last publish.
 * Users whose subscription changed (master_outcome.rescoped) are to be woken besides. */
bool feed_concerns(const struct feed *feed, const struct work_outcome *outcome);
int64_t feed_published_seq(const struct feed *feed);

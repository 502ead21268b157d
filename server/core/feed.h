/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h: what one session still has to be sent: its buckets, its cursors, where paging stands.
 *
 * Made by RESUME, moved by each JOB_FEED, owned by the session. Rules R1 and I16: pages are read in
 * short transactions, bounded by the room in the connection's queue; the final tails of all
 * buckets, the subscription and PUBLISH come from one read transaction. */
#pragma once

#include "server/core/job.h"

enum { FEED_TAIL_ROWS_MAX = 1000, FEED_PAGE_BYTES = 128 * 1024 }; /* raw body before compression */

struct feed *feed_create(int64_t user_id, int64_t replica_no);
void feed_destroy(struct feed *feed); /* takes NULL */

/* Where the device says it stands (RESUME). Buckets of unknown cursors start from 0. */
MUST_CHECK enum result feed_resume(struct feed *feed, const struct message_resume *resume,
                                   bool is_epoch_same, const int64_t *subscribed,
                                   size_t subscribed_count, struct problem *problem);

/* Does a commit concern this session? Looks only at memory: sorted buckets of the last publish. */
bool feed_concerns(const struct feed *feed, const struct work_outcome *outcome);
int64_t feed_published_seq(const struct feed *feed);

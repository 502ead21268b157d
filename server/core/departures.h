/* SPDX-License-Identifier: Apache-2.0 */
/* departures.h: how long the master remembers which rows were deleted or moved away.
 *
 * fs_tomb has a line for each of them. A line that is older than the time to keep goes, and its
 * bucket's low-water mark (fs_bucket.tomb_low) rises to its seq. The feed tells a device that
 * stands below the mark which rows there are (IDS) instead of which have gone, so that nothing
 * deleted comes back however long a device was away (docs/SYNC.md 4). */
#pragma once

#include "server/store/store.h"

#include "base/instant.h"

/* Notes which seq is reached now, and forgets departures older than `keep_us`, some 100,000 at a
 * time. keep_us 0: all are kept for ever. In a write transaction; to be called once a day or so. */
MUST_CHECK enum result departures_expire(struct store *store, struct arena *arena,
                                         struct wall_time now, int64_t keep_us,
                                         struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h: tells when any process, this one too, has written a file.
 *
 * Made for the replica: another program commits with plain SQL, `replica.db-wal` grows, and the
 * agent looks for new changes (PRAGMA data_version tells it whether they are its own). It watches
 * the file's folder with inotify(7), so the file may be absent, deleted, replaced by a rename or
 * truncated; when the folder itself disappears it looks for it again once a second.
 *
 * What inotify cannot see: writes through a memory map, through a hard link in another folder, or
 * on another machine of a network file system. So a caller also looks now and then by itself. */
#pragma once

#include "base/result.h"
#include "edge/loop.h"

#include <stdint.h>

struct watch;

/* Calls `changed` on the loop's thread: the first write is told at once, later ones together, at
 * most one call in `interval_us`; the last write is always followed by a call.
 *
 * RESULT_EXHAUSTED  memory, or inotify's limits (fs.inotify.max_user_instances): go on by polling
 * RESULT_REFUSED    `path` has no name after its last slash, or is too long */
MUST_CHECK enum result watch_create(struct loop *loop, const char *path, int64_t interval_us,
                                    void (*changed)(void *context), void *context,
                                    struct watch **ret_watch, struct problem *problem);
void watch_destroy(struct watch *watch); /* NULL is fine; not inside `changed` */

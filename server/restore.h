/* SPDX-License-Identifier: Apache-2.0 */
/* restore.h: goes back to a backup (server/cli/manifest.h), or only looks whether one could.
 *
 * A restored server begins a new epoch, and gives no sequence number, id or replica number again
 * that it may have given after the backup. Devices deliver again what they still hold. */
#pragma once

#include "server/setup.h"

/* Is the backup complete and sound? Manifest, hashes of all files, the database's integrity, its
 * rows and digests. Writes nothing. A sentence for people goes to `report`.
 *
 * RESULT_REFUSED: it isn't; the problem says what is wrong with which file */
MUST_CHECK enum result restore_verify(const char *backup, struct buffer *report,
                                      struct problem *problem);
/* The same, and then: the backup takes the place of the database, which is kept beside it as
 * fieldsync.db.before-restore; attachments that are missing come from the backup. Until the last
 * step nothing of what is there is touched. Only with the lock. */
MUST_CHECK enum result restore_run(struct setup *setup, const char *backup, struct wall_time now,
                                   struct buffer *report, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* audit_copy.h: the second copy of the audit log, in a file beside the database (0600).
 *
 * One JSON object a line, begun by id and hash; control characters are escaped, so that no text can
 * look like a line of its own. Only the one server that holds the lock writes it, on its writer's
 * thread, after each commit. If the database knows less than the file (it was restored from a
 * backup), the file says so in a line "begun anew" and goes on with what the database has; what
 * stands above stays. */
#pragma once

#include "edge/files.h"
#include "server/store/store.h"

struct audit_copy {
    char path[FILES_PATH_SIZE];
    int64_t last_id; /* in the file */
    bool is_begun;
};

/* Appends what is new. RESULT_EXHAUSTED, RESULT_REFUSED: of the file; the next call tries again.
 * Otherwise as store_query. */
MUST_CHECK enum result audit_copy_run(struct audit_copy *copy, struct store *store,
                                      struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* rescue.h: the command `rescue`: puts a new replica in the place of a damaged one and says what of
 * the unsent work came along (agent/replica/rescue.h). The damaged file stays in the folder.
 *
 * A cut at any moment leaves the damaged replica, or a finished new one under RESCUED_FILE_NAME:
 * then nothing opens a replica here until the same command has put it in its place. */
#pragma once

#include "agent/keys.h"
#include "agent/replica/rescue.h"

#define RESCUED_FILE_NAME        "replica.db.rescued"
#define RESCUE_COPY_FILE_NAME    "replica.db.wreck"    /* what is read, while the command runs */
#define RESCUE_FRESH_FILE_NAME   "replica.db.making"   /* what is made */
#define RESCUE_DAMAGED_FILE_NAME "replica.db.damaged-" /* and the time: kept */
#define RESCUE_REPORT_FILE_NAME  "rescue-"             /* and the time, .jsonl */

/* Has a rescue been cut before its last step? */
bool rescue_is_unfinished(const char *data_folder);

struct rescue_said {
    bool was_unfinished; /* an earlier one is finished now, nothing else was done */
    struct rescue_outcome outcome;
    char damaged[64]; /* name of the file that is kept; "": it is where it was */
    char report[64];  /* name of the list of what is lost; "": nothing is */
};

/* The caller holds the folder's lock. `arena` keeps the losses. Failures as replica_rescue: the
 * replica is what it was. */
MUST_CHECK enum result rescue_folder(const char *data_folder, const struct keys *keys,
                                     struct wall_time now, struct arena *arena,
                                     struct rescue_said *ret_said, struct problem *problem);
/* What a person is told; as_json: one object for programs. */
MUST_CHECK enum result rescue_say(const struct rescue_said *said, bool as_json, struct buffer *out,
                                  struct problem *problem);

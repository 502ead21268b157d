/* SPDX-License-Identifier: Apache-2.0 */
/* closing.h: what every group of changes ends with, in its own transaction (server/core/master.h):
 * receipts for sealed reports, the hashes of new lines of the audit log, once a day its root. */
#pragma once

#include "server/service/receipt.h"

struct closing {
    const struct report_key *key; /* borrowed; NULL: what needs it waits for a group that has it */
};

/* For struct master_closing; `context` is a struct closing. */
MUST_CHECK enum result closing_run(struct work *work, const void *context, struct problem *problem);

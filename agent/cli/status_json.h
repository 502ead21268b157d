/* SPDX-License-Identifier: Apache-2.0 */
/* status_json.h: how a device stands, as programs read it: `status --json` and the local
 * GET /api/status say the same. */
#pragma once

#include "agent/cli/state_file.h"
#include "agent/replica/replica.h"

/* Appends one object and a newline. `state` counts while `is_running`. Failures as replica_counts;
 * RESULT_EXHAUSTED also: `out` is full. */
MUST_CHECK enum result status_json(struct replica *replica, const char *data_folder,
                                   bool is_running, const struct state_file *state,
                                   struct buffer *out, struct problem *problem);

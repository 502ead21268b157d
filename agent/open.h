/* SPDX-License-Identifier: Apache-2.0 */
/* open.h: opens the replica of a data folder, with the company's own schema scripts that lie there
 * (edge/scripts.h). */
#pragma once

#include "agent/replica/replica.h"

/* `data_folder` exists. `trace` may be NULL. Failures as replica_open; RESULT_EXHAUSTED also: too
 * many scripts, or too large. */
MUST_CHECK enum result open_folder(const char *data_folder, bool is_read_only,
                                   const struct trace *trace, struct replica **ret_replica,
                                   struct problem *problem);

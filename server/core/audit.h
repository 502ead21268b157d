/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h: a line for people who look later who did what that matters for security. Append only; no
 * secrets, no payloads. */
#pragma once

#include "server/core/job.h"

/* user_id 0: nobody known; `detail` may be NULL. */
MUST_CHECK enum result audit_note(struct work *work, const char *event, int64_t user_id,
                                  int64_t replica_no, const char *detail, struct problem *problem);
/* A job of the writer that adds such a line; NULL: no memory. `event` is constant, `detail` copied.
 */
struct job *audit_job(const char *event, int64_t user_id, const char *detail);

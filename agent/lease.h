/* SPDX-License-Identifier: Apache-2.0 */
/* lease.h (of the agent): may this device's commands still work? What it can and can't keep people
 * from doing: docs/SECURITY.md. */
#pragma once

#include "agent/keys.h"
#include "agent/replica/replica.h"

/* RESULT_REFUSED: this device was revoked, or it had no contact for too long; the problem says how
 * it is opened again. */
MUST_CHECK enum result lease_check(struct replica *replica, struct wall_time now,
                                   struct problem *problem);
/* The office's answer opens it for as long as a contact would. RESULT_REFUSED: it is another one,
 * or the device isn't locked. */
MUST_CHECK enum result lease_unlock(struct replica *replica, const struct keys *keys,
                                    const char *answer, struct wall_time now,
                                    struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* part.h: parts fitted by technicians, and what was counted in places. */
#pragma once

#include "server/store/work.h"

/* A part used is exactly one move out of its place; taking the use back is exactly one reverse of
 * that move. Reactions (work.h); running one again changes nothing. */
MUST_CHECK enum result part_use_react(struct work *work, const struct work_change *change,
                                      struct problem *problem);

/* A counted line posts what differs from the books as they are known for the moment of the count,
 * and keeps what they said (known_m). */
MUST_CHECK enum result count_line_react(struct work *work, const struct work_change *change,
                                        struct problem *problem);

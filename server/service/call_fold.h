/* SPDX-License-Identifier: Apache-2.0 */
/* call_fold.h: what follows for a call from its events and from the work done for it. */
#pragma once

#include "server/store/work.h"

/* Reactions (work.h); running one again changes nothing. */
MUST_CHECK enum result call_event_react(struct work *work, const struct work_change *change,
                                        struct problem *problem);
/* A new call without a number gets one of the server's series: `C2026-000123`. */
MUST_CHECK enum result call_react(struct work *work, const struct work_change *change,
                                  struct problem *problem);

/* Folds the call again and writes its state; the work of a merged call moves to the one that stays.
 */
MUST_CHECK enum result call_refresh(struct work *work, int64_t call_id, struct problem *problem);

/* An event by the server itself, for a call that waits for parts which have come. */
MUST_CHECK enum result call_release(struct work *work, int64_t call_id, struct problem *problem);

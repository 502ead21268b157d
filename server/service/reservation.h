/* SPDX-License-Identifier: Apache-2.0 */
/* reservation.h: parts held for calls. Holds are granted by the server only, oldest need first, and
 * never more than is there; what is missing is shown as short.
 *
 * A need is met from the van of its technician first, then from warehouses. A reservation whose
 * held_m is less than its asked_m is short of the rest. */
#pragma once

#include "server/store/work.h"

/* Reactions (work.h); running one again changes nothing. */
MUST_CHECK enum result part_need_react(struct work *work, const struct work_change *change,
                                       struct problem *problem);
MUST_CHECK enum result reservation_react(struct work *work, const struct work_change *change,
                                         struct problem *problem);
MUST_CHECK enum result reservation_event_react(struct work *work, const struct work_change *change,
                                               struct problem *problem);

/* Parts of a call were used from a place: its own holds there are used up. */
MUST_CHECK enum result reservation_consume(struct work *work, int64_t call_id, int64_t place_id,
                                           int64_t item_id, int64_t used_m,
                                           struct problem *problem);
/* Stock of a place went down: holds that it no longer covers are taken away, newest first, and
 * those calls are planned again and asked about. */
MUST_CHECK enum result reservation_shrink(struct work *work, int64_t place_id, int64_t item_id,
                                          struct problem *problem);
/* Stock of a place went up: holds that are short get more, oldest first; a call that waited only
 * for these parts goes on. */
MUST_CHECK enum result reservation_grow(struct work *work, int64_t place_id, int64_t item_id,
                                        struct problem *problem);

/* A call was closed or cancelled, or opened again: its holds go, or come back. */
MUST_CHECK enum result reservation_follow_call(struct work *work, int64_t call_id,
                                               struct problem *problem);

/* What is held at a place of an item for others than this call (0: for anybody). */
MUST_CHECK enum result reservation_held_other(struct work *work, int64_t call_id, int64_t place_id,
                                              int64_t item_id, int64_t *ret_held_m,
                                              struct problem *problem);

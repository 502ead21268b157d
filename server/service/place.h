/* SPDX-License-Identifier: Apache-2.0 */
/* place.h: places that hold stock, and the virtual ends of moves. */
#pragma once

#include "domain/stock.h"
#include "server/store/work.h"

/* The place of a virtual kind (consumed, loss, supplier, ...): the one with the lowest id, made if
 * there is none yet. */
MUST_CHECK enum result place_virtual(struct work *work, enum stock_place_kind kind, int64_t *ret_id,
                                     struct problem *problem);

/* RESULT_REFUSED  there is no such place, or its kind is unknown to this program */
MUST_CHECK enum result place_kind(struct work *work, int64_t place_id,
                                  enum stock_place_kind *ret_kind, struct problem *problem);

/* The van that a person drives: the one they hold, else the one of their device; 0: none. */
MUST_CHECK enum result place_van_of(struct work *work, int64_t user_id, int64_t *ret_id,
                                    struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* correction.h: a fact that is taken back after the work was approved.
 *
 * Time, parts and expenses are never changed: a row with void_of_id takes another one back, and is
 * kept whatever its time (facts are never refused). What was approved or priced with the old figure
 * doesn't move by itself: the manager is asked. */
#pragma once

#include "server/store/work.h"

/* Reaction (work.h) to tables with activity_id and void_of_id; running it again asks nothing more.
 */
MUST_CHECK enum result correction_react(struct work *work, const struct work_change *change,
                                        struct problem *problem);

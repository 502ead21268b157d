/* SPDX-License-Identifier: Apache-2.0 */
/* asset.h: serial numbers of machines, compared in their normal form (domain/serial.h). */
#pragma once

#include "server/store/work.h"

/* Fills serial_normalised. A second machine of the same model and number stays, marked as a
 * duplicate of the first, and the manager is asked whether it moved, was swapped or mistyped.
 * Reaction (work.h); running it again changes nothing. */
MUST_CHECK enum result asset_react(struct work *work, const struct work_change *change,
                                   struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* upkeep.h: what the care of the database has to note in it. */
#pragma once

#include "server/store/work.h"

/* A complete backup holds all changes up to these: rows of (replica_no, lcn_high), read before the
 * backup began. From now on devices may forget them. */
MUST_CHECK enum result upkeep_note_backup(struct work *work, const struct store_result *replicas,
                                          struct problem *problem);

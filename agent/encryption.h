/* SPDX-License-Identifier: Apache-2.0 */
/* encryption.h: a device's replica encrypted on its disk, and back (agent/replica/vault.h).
 *
 * The caller holds the folder's lock. The new file is made beside the old one, whole and durable,
 * then takes its place: a kill at any moment leaves a replica that works, and the same call again
 * goes on. */
#pragma once

#include "agent/keys.h"

/* For a replica that isn't there yet: it will be made encrypted. RESULT_REFUSED: one is there, and
 * isn't; or the keys are under no passphrase. */
MUST_CHECK enum result encryption_prepare(const char *data_folder, struct keys *keys,
                                          struct problem *problem);
/* *ret_was: it was so before; only what a cut has left was tidied up.
 *
 * RESULT_WAIT: another program has the replica open. RESULT_REFUSED also: the keys are under no
 * passphrase, or there is no replica. */
MUST_CHECK enum result encryption_turn_on(const char *data_folder, struct keys *keys, bool *ret_was,
                                          struct problem *problem);
MUST_CHECK enum result encryption_turn_off(const char *data_folder, struct keys *keys,
                                           bool *ret_was, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* devices_confirm.h: a new device waits until a person has looked at it.
 *
 * An enrolment code proves that somebody had the code, not who. A code that asks for confirmation
 * makes a device that may connect but gets and brings nothing, until a person of the office has
 * compared the fingerprint of its key: the technician reads it from his screen, the office types
 * it. So a code that leaked lets nobody in, and nobody confirms blindly. */
#pragma once

#include "protocol/unlock.h"
#include "server/core/job.h"

/* What a line of fs_replica means: its `state` and `is_confirmed`. Every state but "active" comes
 * before the missing confirmation; an unknown word counts as revoked. */
enum replica_state replica_state_of(struct bytes state, bool is_confirmed);
const char *replica_state_name(enum replica_state state);

/* The device that uses this fresh code will wait for devices_confirm. `token_id`: of
 * devices_create_code. */
MUST_CHECK enum result devices_ask_confirmation(struct work *work, const uint8_t *token_id,
                                                struct problem *problem);
/* `fingerprint` as typed: capitals, blanks and hyphens don't matter.
 * ret_is_same false: it is another device's; that is audited, and the device goes on waiting.
 * RESULT_REFUSED: no such replica, or it doesn't wait. */
MUST_CHECK enum result devices_confirm(struct work *work, int64_t replica_no,
                                       const char *fingerprint, bool *ret_is_same,
                                       struct problem *problem);
/* What the office reads to the person whose device is locked: protocol/unlock.h. `ret_answer` has
 * UNLOCK_TEXT_SIZE. Audited. RESULT_REFUSED: no such active replica, or no challenge. */
MUST_CHECK enum result devices_unlock(struct work *work, int64_t replica_no, const char *challenge,
                                      char *ret_answer, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* unlock.h: a device that had no contact for too long is opened again by telephone.
 *
 * The device shows a challenge of eight digits; the office, which knows the device's pre-shared
 * key, answers with eight digits. The challenge follows from the moment at which the device was
 * last in contact (or unlocked), so each answer works once. Both sides compute it alike. */
#pragma once

#include "base/bytes.h"
#include "base/instant.h"

enum { UNLOCK_DIGITS = 8, UNLOCK_TEXT_SIZE = 10 }; /* "1234 5678" and NUL */

void unlock_challenge(int64_t replica_no, struct wall_time contact_at,
                      char ret_text[UNLOCK_TEXT_SIZE]);
/* psk: 32 bytes. `challenge` as typed; false: it doesn't have eight digits. */
MUST_CHECK bool unlock_answer(const uint8_t *psk, int64_t replica_no, const char *challenge,
                              char ret_text[UNLOCK_TEXT_SIZE]);
/* Do these two texts have the same eight digits? Blanks and hyphens don't matter. */
bool unlock_is_same(const char *a, const char *b);

/* SPDX-License-Identifier: Apache-2.0 */
/* password.h: passwords of people, as Argon2id hashes in libsodium's text form (64 MiB, 3 passes).
 *
 * Making or checking one takes about a tenth of a second and 64 MiB, on purpose: never on a thread
 * that others wait for. Clear texts are the caller's to wipe. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

enum {
    PASSWORD_SIZE_MIN = 10,
    PASSWORD_SIZE_MAX = 1024, /* bytes of UTF-8, without NUL */
    PASSWORD_HASH_SIZE = 128, /* with NUL */
};

/* RESULT_REFUSED: shorter or longer than it may be. RESULT_EXHAUSTED: no 64 MiB of memory. */
MUST_CHECK enum result password_hash(struct bytes password, char ret_hash[PASSWORD_HASH_SIZE],
                                     struct problem *problem);
/* Is it the one with this hash? `hash` NULL: of nobody; the answer is no after the same work, so
 * that the time doesn't tell. */
bool password_is(struct bytes password, const char *hash);

/* SPDX-License-Identifier: Apache-2.0 */
/* sealed_file.h: a small secret text under a passphrase, as another text.
 *
 *     fieldsync sealed file 1
 *     salt HEX16                Argon2id, 64 MiB, 3 passes: passphrase and salt give the key
 *     nonce HEX24
 *     box HEX...                XSalsa20-Poly1305 of the text (libsodium's secretbox)
 *
 * Deriving a key takes about a tenth of a second and 64 MiB, on purpose: do it once a process.
 * Draws no randomness: salt and nonce come from the caller, a fresh nonce for each sealing. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

enum {
    SEALED_SALT_SIZE = 16,
    SEALED_NONCE_SIZE = 24,
    SEALED_KEY_SIZE = 32,
    SEALED_PLAIN_SIZE_MAX = 1024,
    SEALED_TEXT_SIZE_MAX = 2400, /* with NUL */
    SEALED_PASSPHRASE_SIZE_MIN = 10,
    SEALED_PASSPHRASE_SIZE_MAX = 1024,
};

struct sealed_key {
    uint8_t salt[SEALED_SALT_SIZE];
    uint8_t key[SEALED_KEY_SIZE];
};

/* RESULT_EXHAUSTED: no 64 MiB of memory. RESULT_REFUSED: shorter or longer than it may be. */
MUST_CHECK enum result sealed_key_derive(struct bytes passphrase,
                                         const uint8_t salt[SEALED_SALT_SIZE],
                                         struct sealed_key *ret_key, struct problem *problem);
bool sealed_file_is(struct bytes text);
/* RESULT_MALFORMED: it isn't such a text. */
MUST_CHECK enum result sealed_file_salt(struct bytes text, uint8_t ret_salt[SEALED_SALT_SIZE],
                                        struct problem *problem);
/* Returns how many characters it wrote. `plain` has at most SEALED_PLAIN_SIZE_MAX bytes. */
size_t sealed_file_encode(struct bytes plain, const struct sealed_key *key,
                          const uint8_t nonce[SEALED_NONCE_SIZE],
                          char ret_text[SEALED_TEXT_SIZE_MAX]);
/* RESULT_REFUSED: another passphrase, or the text was altered. */
MUST_CHECK enum result sealed_file_decode(struct bytes text, const struct sealed_key *key,
                                          uint8_t ret_plain[SEALED_PLAIN_SIZE_MAX],
                                          size_t *ret_size, struct problem *problem);

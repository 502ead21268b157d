/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/password.h"

#include <assert.h>
#include <sodium.h>

enum { PASSES = 3, MEMORY_SIZE = 64 * 1024 * 1024 };

static_assert(PASSWORD_HASH_SIZE == crypto_pwhash_STRBYTES, "libsodium's text form");

/* Of 32 random bytes that nobody has kept. */
static const char NOBODY[] = "$argon2id$v=19$m=65536,t=3,p=1$huKfSf9kdkY/"
                             "X+YJ6I20lA$3Q6L80VJ3HilgdYzmum0+xZqnWWFjrFD67+GXtmtPF0";

enum result password_hash(struct bytes password, char ret_hash[PASSWORD_HASH_SIZE],
                          struct problem *problem)
{
    if (password.size < PASSWORD_SIZE_MIN || password.size > PASSWORD_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "a password has %d to %d bytes",
                           PASSWORD_SIZE_MIN, PASSWORD_SIZE_MAX);
    if (crypto_pwhash_str_alg(ret_hash, (const char *)password.data, password.size, PASSES,
                              MEMORY_SIZE, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return problem_set(problem, RESULT_EXHAUSTED, "no 64 MiB of memory for Argon2id");
    return RESULT_OK;
}

bool password_is(struct bytes password, const char *hash)
{
    const char *against = hash != NULL ? hash : NOBODY;
    bool is_right =
        crypto_pwhash_str_verify(against, (const char *)password.data, password.size) == 0;

    return is_right && hash != NULL;
}

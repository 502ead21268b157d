/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/passphrase.h"

#include "edge/entropy.h"
#include "edge/secret.h"

enum { TYPED_SIZE = SEALED_PASSPHRASE_SIZE_MAX + 2 };

static enum result ask(void *context, char *buffer, size_t size, struct bytes *ret_passphrase,
                       struct problem *problem)
{
    const struct secret_source source = {.descriptor = options_value(context, "passphrase-fd"),
                                         .question = "Passphrase of this device: ",
                                         .hint = "give --passphrase-fd"};

    return secret_from(&source, buffer, size, ret_passphrase, problem);
}

struct keys_opener passphrase_opener(const struct options *options)
{
    return (struct keys_opener){.ask = ask, .context = (void *)(uintptr_t)options};
}

enum result passphrase_choose(const struct options *options, struct sealed_key *ret_key,
                              struct problem *problem)
{
    char *typed = secret_alloc(TYPED_SIZE);
    uint8_t salt[SEALED_SALT_SIZE];
    struct bytes passphrase = {0};
    enum result result;

    if (typed == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a passphrase");
    entropy_fill(salt, sizeof salt);
    result = secret_choose(options_value(options, "new-passphrase-fd"), typed, TYPED_SIZE,
                           &passphrase, problem);
    if (result == RESULT_OK)
        result = sealed_key_derive(passphrase, salt, ret_key, problem);
    secret_free(typed);
    return result;
}

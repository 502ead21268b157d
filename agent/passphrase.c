/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/passphrase.h"

#include "edge/entropy.h"
#include "edge/secret.h"

#include <errno.h>
#include <stdlib.h>

enum { TYPED_SIZE = SEALED_PASSPHRASE_SIZE_MAX + 2 };

static enum result read_given(const char *number, char *buffer, size_t size,
                              struct bytes *ret_passphrase, struct problem *problem)
{
    char *end = NULL;
    long descriptor;

    errno = 0;
    descriptor = strtol(number, &end, 10);
    if (errno != 0 || end == number || *end != '\0' || descriptor < 0 || descriptor > 1023)
        return problem_set(problem, RESULT_REFUSED, "'%s' is no descriptor", number);
    return secret_read_descriptor((int)descriptor, buffer, size, ret_passphrase, problem);
}

static enum result ask(void *context, char *buffer, size_t size, struct bytes *ret_passphrase,
                       struct problem *problem)
{
    const char *given = options_value(context, "passphrase-fd");

    if (given != NULL)
        return read_given(given, buffer, size, ret_passphrase, problem);
    if (secret_ask("Passphrase of this device: ", buffer, size, ret_passphrase, problem) !=
        RESULT_OK)
        return problem_set(problem, RESULT_REFUSED,
                           "the keys are under a passphrase and there is no terminal to ask at; "
                           "give --passphrase-fd");
    return RESULT_OK;
}

struct keys_opener passphrase_opener(const struct options *options)
{
    return (struct keys_opener){.ask = ask, .context = (void *)(uintptr_t)options};
}

static enum result ask_twice(char *buffer, struct bytes *ret_passphrase, struct problem *problem)
{
    char *again = secret_alloc(TYPED_SIZE);
    struct bytes second = {0};
    enum result result = RESULT_OK;

    if (again == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a passphrase");
    result = secret_ask("New passphrase: ", buffer, TYPED_SIZE, ret_passphrase, problem);
    if (result == RESULT_OK)
        result = secret_ask("Once more: ", again, TYPED_SIZE, &second, problem);
    if (result == RESULT_OK && !bytes_equal(*ret_passphrase, second))
        result = problem_set(problem, RESULT_REFUSED, "the two differ");
    secret_free(again);
    return result;
}

enum result passphrase_choose(const struct options *options, struct sealed_key *ret_key,
                              struct problem *problem)
{
    const char *given = options_value(options, "new-passphrase-fd");
    char *typed = secret_alloc(TYPED_SIZE);
    uint8_t salt[SEALED_SALT_SIZE];
    struct bytes passphrase = {0};
    enum result result;

    if (typed == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a passphrase");
    entropy_fill(salt, sizeof salt);
    result = given != NULL ? read_given(given, typed, TYPED_SIZE, &passphrase, problem)
                           : ask_twice(typed, &passphrase, problem);
    if (result == RESULT_OK)
        result = sealed_key_derive(passphrase, salt, ret_key, problem);
    secret_free(typed);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The passphrase over the server's key file. */
#include "server/setup_inside.h"

#include "edge/entropy.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    TYPED_SIZE = SEALED_PASSPHRASE_SIZE_MAX + 2,
    PUBLIC_TEXT_SIZE = 2 * IDENTITY_KEY_SIZE + 1, /* with its line end */
    KEY_MODE = 0600,
};

/* ---- reading ---- */

static enum result ask(struct setup *setup, const uint8_t *salt, struct sealed_key *ret_key,
                       struct problem *problem)
{
    char *typed = secret_alloc(TYPED_SIZE);
    struct bytes passphrase = {0};
    enum result result;

    if (typed == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a passphrase");
    result = secret_from(&setup->passphrase, typed, TYPED_SIZE, &passphrase, problem);
    if (result == RESULT_OK)
        result = sealed_key_derive(passphrase, salt, ret_key, problem);
    secret_free(typed);
    /* a descriptor has been read to its end, and a server that runs has nobody to ask */
    setup->passphrase.descriptor = NULL;
    setup->passphrase.question = NULL;
    return result;
}

enum result setup_unseal(struct setup *setup, struct bytes text, uint8_t *plain, size_t *ret_size,
                         struct problem *problem)
{
    struct sealed_key *seal = sodium_malloc(sizeof *seal);
    uint8_t salt[SEALED_SALT_SIZE];
    enum result result = sealed_file_salt(text, salt, problem);

    if (seal == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no guarded memory for a passphrase");
    if (result == RESULT_OK && setup->seal != NULL &&
        memcmp(setup->seal->salt, salt, sizeof salt) == 0)
        *seal = *setup->seal;
    else if (result == RESULT_OK)
        result = ask(setup, salt, seal, problem);
    if (result == RESULT_OK)
        result = sealed_file_decode(text, seal, plain, ret_size, problem);
    if (result != RESULT_OK) {
        sodium_free(seal);
        return result;
    }
    sodium_free(setup->seal);
    setup->seal = seal;
    return RESULT_OK;
}

/* ---- root.public: what enrolment codes need is no secret ---- */

static enum result write_public(const struct setup *setup, const struct identity_file *key,
                                struct problem *problem)
{
    char text[PUBLIC_TEXT_SIZE + 1];

    bytes_to_hex(bytes_of(key->root_public_key, sizeof key->root_public_key), text);
    text[PUBLIC_TEXT_SIZE - 1] = '\n';
    return files_write(setup->root_public, bytes_of(text, PUBLIC_TEXT_SIZE), KEY_MODE, problem);
}

static enum result read_public(const struct setup *setup, uint8_t ret_public_key[IDENTITY_KEY_SIZE],
                               struct problem *problem)
{
    struct buffer text;
    enum result result;

    buffer_init(&text, PUBLIC_TEXT_SIZE);
    result = files_read(setup->root_public, &text, problem);
    if (result == RESULT_OK && text.size == PUBLIC_TEXT_SIZE)
        text.data[PUBLIC_TEXT_SIZE - 1] = '\0';
    if (result == RESULT_OK &&
        (text.size != PUBLIC_TEXT_SIZE ||
         !bytes_from_hex((const char *)text.data, ret_public_key, IDENTITY_KEY_SIZE)))
        result = problem_set(problem, RESULT_REFUSED, "%s is damaged", setup->root_public);
    buffer_done(&text);
    return result;
}

enum result setup_read_root_public(struct setup *setup, uint8_t ret_public_key[IDENTITY_KEY_SIZE],
                                   struct problem *problem)
{
    enum result result;

    if (setup->key == NULL && files_exists(setup->root_public))
        return read_public(setup, ret_public_key, problem);
    result = setup_read_key(setup, problem);
    if (result == RESULT_OK)
        memcpy(ret_public_key, setup->key->root_public_key, IDENTITY_KEY_SIZE);
    return result;
}

/* ---- writing ---- */

enum result setup_write_server_key(const struct setup *setup, const struct identity_file *key,
                                   struct problem *problem)
{
    char text[IDENTITY_FILE_SIZE_MAX];
    char sealed[SEALED_TEXT_SIZE_MAX];
    uint8_t nonce[SEALED_NONCE_SIZE];
    size_t size = identity_file_encode(key, text);
    enum result result = RESULT_OK;

    if (setup->seal != NULL) {
        entropy_fill(nonce, sizeof nonce);
        size = sealed_file_encode(bytes_of(text, size), setup->seal, nonce, sealed);
        result = write_public(setup, key, problem);
    }
    if (result == RESULT_OK)
        result = files_write(setup->server_key, bytes_of(setup->seal != NULL ? sealed : text, size),
                             KEY_MODE, problem);
    identity_wipe(text, sizeof text);
    return result;
}

enum result setup_protect_key(struct setup *setup, const char *descriptor, struct problem *problem)
{
    char *typed = secret_alloc(TYPED_SIZE);
    struct sealed_key *seal = sodium_malloc(sizeof *seal);
    uint8_t salt[SEALED_SALT_SIZE];
    struct bytes passphrase = {0};
    enum result result = setup_read_key(setup, problem);

    if (result == RESULT_OK && (typed == NULL || seal == NULL))
        result = problem_set(problem, RESULT_EXHAUSTED, "no memory for a passphrase");
    if (result == RESULT_OK)
        result = secret_choose(descriptor, typed, TYPED_SIZE, &passphrase, problem);
    entropy_fill(salt, sizeof salt);
    if (result == RESULT_OK)
        result = sealed_key_derive(passphrase, salt, seal, problem);
    secret_free(typed);
    if (result != RESULT_OK) {
        sodium_free(seal);
        return result;
    }
    sodium_free(setup->seal);
    setup->seal = seal;
    return setup_write_server_key(setup, setup->key, problem);
}

enum result setup_unprotect_key(struct setup *setup, struct problem *problem)
{
    enum result result = setup_read_key(setup, problem);

    if (result == RESULT_OK && setup->seal == NULL)
        return problem_set(problem, RESULT_REFUSED, "%s is under no passphrase", setup->server_key);
    sodium_free(setup->seal);
    setup->seal = NULL;
    if (result == RESULT_OK)
        result = setup_write_server_key(setup, setup->key, problem);
    return result == RESULT_OK ? files_remove(setup->root_public, problem) : result;
}

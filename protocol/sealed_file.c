/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/sealed_file.h"

#include "base/invariant.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define TITLE "fieldsync sealed file 1\n"

enum { ARGON2_PASSES = 3, ARGON2_MEMORY = 64 * 1024 * 1024 };

static_assert(SEALED_SALT_SIZE == crypto_pwhash_SALTBYTES, "libsodium's salt");
static_assert(SEALED_NONCE_SIZE == crypto_secretbox_NONCEBYTES, "libsodium's nonce");
static_assert(SEALED_KEY_SIZE == crypto_secretbox_KEYBYTES, "libsodium's key");
static_assert(sizeof TITLE + sizeof "salt \nnonce \nbox \n" +
                      2 * (SEALED_SALT_SIZE + SEALED_NONCE_SIZE + SEALED_PLAIN_SIZE_MAX +
                           crypto_secretbox_MACBYTES) <
                  SEALED_TEXT_SIZE_MAX,
              "the text holds the largest file");

enum result sealed_key_derive(struct bytes passphrase, const uint8_t salt[SEALED_SALT_SIZE],
                              struct sealed_key *ret_key, struct problem *problem)
{
    if (passphrase.size < SEALED_PASSPHRASE_SIZE_MIN ||
        passphrase.size > SEALED_PASSPHRASE_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "a passphrase has %d to %d bytes",
                           SEALED_PASSPHRASE_SIZE_MIN, SEALED_PASSPHRASE_SIZE_MAX);
    if (crypto_pwhash(ret_key->key, sizeof ret_key->key, (const char *)passphrase.data,
                      passphrase.size, salt, ARGON2_PASSES, ARGON2_MEMORY,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        return problem_set(problem, RESULT_EXHAUSTED, "no 64 MiB of memory for Argon2id");
    memcpy(ret_key->salt, salt, sizeof ret_key->salt);
    return RESULT_OK;
}

/* ---- the text ---- */

static bool takes(struct bytes *text, const char *word)
{
    size_t size = strlen(word);

    if (text->size < size || memcmp(text->data, word, size) != 0)
        return false;
    *text = bytes_of(text->data + size, text->size - size);
    return true;
}

/* Up to size_max bytes in hex, then the end of the line. */
static bool takes_hex(struct bytes *text, uint8_t *data, size_t size_max, size_t *ret_size)
{
    size_t size = 0;

    if (sodium_hex2bin(data, size_max, (const char *)text->data, text->size, NULL, &size, NULL) !=
            0 &&
        size == 0)
        return false;
    if (text->size < 2 * size + 1 || text->data[2 * size] != '\n')
        return false;
    *text = bytes_of(text->data + 2 * size + 1, text->size - 2 * size - 1);
    *ret_size = size;
    return true;
}

bool sealed_file_is(struct bytes text)
{
    return takes(&text, TITLE);
}

static enum result read_all(struct bytes text, uint8_t *salt, uint8_t *nonce, uint8_t *box,
                            size_t box_size_max, size_t *ret_box_size, struct problem *problem)
{
    size_t salt_size = 0;
    size_t nonce_size = 0;
    bool is_good = takes(&text, TITLE) && takes(&text, "salt ") &&
                   takes_hex(&text, salt, SEALED_SALT_SIZE, &salt_size) && takes(&text, "nonce ") &&
                   takes_hex(&text, nonce, SEALED_NONCE_SIZE, &nonce_size) &&
                   takes(&text, "box ") && takes_hex(&text, box, box_size_max, ret_box_size) &&
                   text.size == 0;

    if (!is_good || salt_size != SEALED_SALT_SIZE || nonce_size != SEALED_NONCE_SIZE ||
        *ret_box_size < crypto_secretbox_MACBYTES)
        return problem_set(problem, RESULT_MALFORMED, "this isn't a sealed file, or it is damaged");
    return RESULT_OK;
}

enum result sealed_file_salt(struct bytes text, uint8_t ret_salt[SEALED_SALT_SIZE],
                             struct problem *problem)
{
    uint8_t nonce[SEALED_NONCE_SIZE];
    uint8_t box[SEALED_PLAIN_SIZE_MAX + crypto_secretbox_MACBYTES];
    size_t size = 0;

    return read_all(text, ret_salt, nonce, box, sizeof box, &size, problem);
}

size_t sealed_file_encode(struct bytes plain, const struct sealed_key *key,
                          const uint8_t nonce[SEALED_NONCE_SIZE],
                          char ret_text[SEALED_TEXT_SIZE_MAX])
{
    uint8_t box[SEALED_PLAIN_SIZE_MAX + crypto_secretbox_MACBYTES];
    char salt_hex[2 * SEALED_SALT_SIZE + 1];
    char nonce_hex[2 * SEALED_NONCE_SIZE + 1];
    char box_hex[2 * sizeof box + 1];
    int size;

    invariant(plain.size <= SEALED_PLAIN_SIZE_MAX);
    (void)crypto_secretbox_easy(box, plain.data, plain.size, nonce, key->key);
    (void)sodium_bin2hex(salt_hex, sizeof salt_hex, key->salt, SEALED_SALT_SIZE);
    (void)sodium_bin2hex(nonce_hex, sizeof nonce_hex, nonce, SEALED_NONCE_SIZE);
    (void)sodium_bin2hex(box_hex, sizeof box_hex, box, plain.size + crypto_secretbox_MACBYTES);
    size = snprintf(ret_text, SEALED_TEXT_SIZE_MAX, TITLE "salt %s\nnonce %s\nbox %s\n", salt_hex,
                    nonce_hex, box_hex);
    invariant(size > 0 && size < SEALED_TEXT_SIZE_MAX);
    return (size_t)size;
}

enum result sealed_file_decode(struct bytes text, const struct sealed_key *key,
                               uint8_t ret_plain[SEALED_PLAIN_SIZE_MAX], size_t *ret_size,
                               struct problem *problem)
{
    uint8_t salt[SEALED_SALT_SIZE];
    uint8_t nonce[SEALED_NONCE_SIZE];
    uint8_t box[SEALED_PLAIN_SIZE_MAX + crypto_secretbox_MACBYTES];
    size_t size = 0;
    enum result result = read_all(text, salt, nonce, box, sizeof box, &size, problem);

    if (result != RESULT_OK)
        return result;
    if (crypto_secretbox_open_easy(ret_plain, box, size, nonce, key->key) != 0)
        return problem_set(problem, RESULT_REFUSED, "this isn't the passphrase");
    *ret_size = size - crypto_secretbox_MACBYTES;
    return RESULT_OK;
}

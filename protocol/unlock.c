/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/unlock.h"

#include "protocol/identity.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* The digits of a typed number without blanks and hyphens; false: not eight digits. */
static bool digits_of(const char *text, char ret_digits[UNLOCK_DIGITS])
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        if (*text == ' ' || *text == '-')
            continue;
        if (*text < '0' || *text > '9' || count == UNLOCK_DIGITS)
            return false;
        ret_digits[count++] = *text;
    }
    return count == UNLOCK_DIGITS;
}

static void show(const uint8_t hash[8], char ret_text[UNLOCK_TEXT_SIZE])
{
    uint64_t number = 0;

    for (int i = 0; i < 8; i++)
        number = number << 8 | hash[i];
    number %= 100000000;
    (void)snprintf(ret_text, UNLOCK_TEXT_SIZE, "%04u %04u", (unsigned)(number / 10000),
                   (unsigned)(number % 10000));
}

static void put_number(uint8_t *bytes, int64_t number)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
}

/* BLAKE2b-512, its first 8 bytes. */
static void hash(const uint8_t *key, const char *purpose, const uint8_t *data, size_t size,
                 uint8_t ret_hash[8])
{
    uint8_t whole[crypto_generichash_BYTES_MAX];
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, key == NULL ? 0 : IDENTITY_KEY_SIZE, sizeof whole);
    (void)crypto_generichash_update(&state, (const uint8_t *)purpose, strlen(purpose));
    (void)crypto_generichash_update(&state, data, size);
    (void)crypto_generichash_final(&state, whole, sizeof whole);
    memcpy(ret_hash, whole, 8);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(whole, sizeof whole);
}

void unlock_challenge(int64_t replica_no, struct wall_time contact_at,
                      char ret_text[UNLOCK_TEXT_SIZE])
{
    uint8_t data[16];
    uint8_t short_hash[8];

    put_number(data, replica_no);
    put_number(data + 8, contact_at.us);
    hash(NULL, "fieldsync lock v1", data, sizeof data, short_hash);
    show(short_hash, ret_text);
}

bool unlock_answer(const uint8_t *psk, int64_t replica_no, const char *challenge,
                   char ret_text[UNLOCK_TEXT_SIZE])
{
    uint8_t data[8 + UNLOCK_DIGITS];
    uint8_t short_hash[8];
    char digits[UNLOCK_DIGITS];

    if (!digits_of(challenge, digits))
        return false;
    put_number(data, replica_no);
    memcpy(data + 8, digits, UNLOCK_DIGITS);
    hash(psk, "fieldsync unlock v1", data, sizeof data, short_hash);
    show(short_hash, ret_text);
    return true;
}

bool unlock_is_same(const char *a, const char *b)
{
    char first[UNLOCK_DIGITS];
    char second[UNLOCK_DIGITS];

    return digits_of(a, first) && digits_of(b, second) && memcmp(first, second, UNLOCK_DIGITS) == 0;
}

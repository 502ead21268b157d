/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/attempts.h"

#include <sodium.h>
#include <string.h>

enum { PROBES = 8 };

#define ADDRESS_REFILL_US SECONDS(6)
#define LOGIN_REFILL_US   SECONDS(30)

/* A bucket counts in time: a try spends what it takes to come back. */
struct measure {
    int64_t refill_us;
    int64_t capacity;
};
static const struct measure OF_ADDRESS = {ADDRESS_REFILL_US, ATTEMPTS_ADDRESS_MAX};
static const struct measure OF_LOGIN = {LOGIN_REFILL_US, ATTEMPTS_LOGIN_MAX};

void attempts_init(struct attempts *attempts, const uint8_t seed[ATTEMPTS_SEED_SIZE])
{
    *attempts = (struct attempts){0};
    memcpy(attempts->seed, seed, ATTEMPTS_SEED_SIZE);
}

/* Never 0. */
static uint64_t hash_of(const struct attempts *attempts, uint64_t first, const char *text)
{
    uint8_t key[crypto_shorthash_KEYBYTES];
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t number;

    memcpy(key, attempts->seed, sizeof key);
    for (size_t i = 0; i < sizeof first; i++)
        key[i] ^= (uint8_t)(first >> (8 * i));
    crypto_shorthash(hash, (const uint8_t *)text, strlen(text), key);
    memcpy(&number, hash, sizeof number);
    return number | 1;
}

static uint64_t pair_of(const struct attempts *attempts, const char *address, const char *login)
{
    return hash_of(attempts, hash_of(attempts, 0, address), login);
}

static bool is_known(const struct attempts *attempts, uint64_t pair)
{
    for (size_t i = 0; i < ATTEMPTS_KNOWN; i++)
        if (attempts->known[i] == pair)
            return true;
    return false;
}

static void refill(struct attempts_bucket *bucket, struct mono_time now)
{
    int64_t passed_us = now.us - bucket->at.us;

    bucket->spent_us = passed_us >= bucket->spent_us ? 0 : bucket->spent_us - passed_us;
    bucket->at = now;
}

static struct attempts_bucket *bucket_of(struct attempts_bucket *places, uint64_t owner,
                                         struct mono_time now)
{
    struct attempts_bucket *free_one = NULL;

    for (size_t i = 0; i < PROBES; i++) {
        struct attempts_bucket *bucket = &places[(owner + i) % ATTEMPTS_PLACES];

        refill(bucket, now);
        if (bucket->owner == owner)
            return bucket;
        if (free_one == NULL && bucket->spent_us == 0)
            free_one = bucket;
    }
    if (free_one == NULL)
        return &places[owner % ATTEMPTS_PLACES];
    free_one->owner = owner;
    return free_one;
}

static int64_t wait_ms(const struct attempts_bucket *bucket, const struct measure *measure)
{
    int64_t over_us = bucket->spent_us - (measure->capacity - 1) * measure->refill_us;

    return over_us <= 0 ? 0 : over_us / 1000 + 1;
}

static void find(struct attempts *attempts, const char *address, const char *login,
                 struct mono_time now, struct attempts_bucket **ret_address,
                 struct attempts_bucket **ret_login)
{
    uint64_t pair = pair_of(attempts, address, login);

    *ret_address = bucket_of(attempts->addresses, hash_of(attempts, 0, address), now);
    *ret_login = bucket_of(attempts->logins,
                           is_known(attempts, pair) ? pair : hash_of(attempts, 0, login), now);
}

int64_t attempts_take(struct attempts *attempts, const char *address, const char *login,
                      struct mono_time now)
{
    struct attempts_bucket *of_address;
    struct attempts_bucket *of_login;
    int64_t wait;
    int64_t login_wait;

    find(attempts, address, login, now, &of_address, &of_login);
    wait = wait_ms(of_address, &OF_ADDRESS);
    login_wait = wait_ms(of_login, &OF_LOGIN);
    if (login_wait > wait)
        wait = login_wait;
    if (wait == 0) {
        of_address->spent_us += OF_ADDRESS.refill_us;
        of_login->spent_us += OF_LOGIN.refill_us;
    }
    return wait;
}

static void give(struct attempts_bucket *bucket, const struct measure *measure)
{
    bucket->spent_us =
        bucket->spent_us <= measure->refill_us ? 0 : bucket->spent_us - measure->refill_us;
}

void attempts_give_back(struct attempts *attempts, const char *address, const char *login,
                        bool is_right, struct mono_time now)
{
    uint64_t pair = pair_of(attempts, address, login);
    struct attempts_bucket *of_address;
    struct attempts_bucket *of_login;

    find(attempts, address, login, now, &of_address, &of_login);
    give(of_address, &OF_ADDRESS);
    give(of_login, &OF_LOGIN);
    if (!is_right || is_known(attempts, pair))
        return;
    attempts->known[attempts->known_next] = pair;
    attempts->known_next = (attempts->known_next + 1) % ATTEMPTS_KNOWN;
}

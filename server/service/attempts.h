/* SPDX-License-Identifier: Apache-2.0 */
/* attempts.h: how often somebody may try to sign in.
 *
 * Two buckets have to have something in them: the address's (30 tries, one more every 6 s) and the
 * login's (10 tries, one more every 30 s: at most some 2,900 guesses a day). A login that doesn't
 * exist has a bucket like any other, so nothing is learnt from it. What is right costs nothing.
 * An address from which this login was right before has a bucket of its own for it: whoever locks
 * a login from elsewhere doesn't lock out its owner.
 *
 * Bounded: fixed tables. A bucket that is full again gives up its place; when no place near is
 * free, a newcomer shares one, which makes the limits tighter, never wider. */
#pragma once

#include "base/instant.h"

#include <stddef.h>
#include <stdint.h>

enum {
    ATTEMPTS_PLACES = 2048, /* of each kind; a power of two */
    ATTEMPTS_KNOWN = 256,   /* pairs of login and address that were right; the oldest goes first */
    ATTEMPTS_SEED_SIZE = 16,
    ATTEMPTS_ADDRESS_MAX = 30,
    ATTEMPTS_LOGIN_MAX = 10,
};

struct attempts_bucket {
    uint64_t owner; /* hash of whose it is; 0: free */
    int64_t spent_us;
    struct mono_time at; /* spent_us is as of then */
};

struct attempts {
    uint8_t seed[ATTEMPTS_SEED_SIZE];
    size_t known_next;
    uint64_t known[ATTEMPTS_KNOWN];
    struct attempts_bucket addresses[ATTEMPTS_PLACES];
    struct attempts_bucket logins[ATTEMPTS_PLACES]; /* and pairs */
};

/* `seed`: random, unknown outside. */
void attempts_init(struct attempts *attempts, const uint8_t seed[ATTEMPTS_SEED_SIZE]);

/* Takes one try. Returns 0, or the milliseconds until there is one: then nothing was taken. */
int64_t attempts_take(struct attempts *attempts, const char *address, const char *login,
                      struct mono_time now);
/* That try was right, or wasn't made after all. */
void attempts_give_back(struct attempts *attempts, const char *address, const char *login,
                        bool is_right, struct mono_time now);

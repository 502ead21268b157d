/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h: what strangers may cost before they have proven anything.
 *
 * Counts unfinished handshakes, in all and per address, and wrong enrolment codes, per token and
 * per address. Bounded: addresses share a fixed table; when it is crowded a newcomer takes the
 * place of one that has nothing unfinished, and if there is none it shares a place, which makes the
 * limits tighter, never wider. Limits: limits.h; wrong codes: 5 a token, 20 an address and hour, so
 * that guessing is hopeless and a mistyped code does no harm. Embedded in its owner; no memory of
 * its own. */
#pragma once

#include "base/bytes.h"
#include "base/instant.h"
#include "protocol/identity.h"

enum {
    GATE_ADDRESSES = 4096, /* a power of two */
    GATE_TOKENS = 256,
    GATE_ADDRESS_SIZE = 48, /* "[2001:db8:...]" without port and NUL; longer ones are cut */
    GATE_WRONG_CODES_ADDRESS_MAX = 20, /* in an hour */
    GATE_WRONG_CODES_TOKEN_MAX = 5,
};

struct gate_address {
    char address[GATE_ADDRESS_SIZE]; /* empty: free */
    struct mono_time hour_began;
    uint32_t unfinished;
    uint32_t wrong_codes; /* since hour_began */
};

struct gate_token {
    uint8_t id[IDENTITY_TOKEN_ID_SIZE];
    uint32_t wrong_codes; /* 0: free */
};

struct gate {
    size_t unfinished;
    size_t unfinished_max;
    size_t unfinished_address_max;
    uint64_t hash_seed;
    size_t token_next; /* the oldest entry, to be replaced next */
    struct gate_address addresses[GATE_ADDRESSES];
    struct gate_token tokens[GATE_TOKENS];
};

/* A limit of 0 is the default of limits.h. hash_seed: a number that strangers can't know. */
void gate_init(struct gate *gate, size_t unfinished_max, size_t unfinished_address_max);
void gate_set_hash_seed(struct gate *gate, uint64_t hash_seed);

/* A connection from `peer` ("192.0.2.1:5678", "[::1]:5678") wants to begin. False: too many
 * unfinished ones; tell it to come back later. ret_place is needed for the other calls, until
 * gate_leave. */
MUST_CHECK bool gate_enter(struct gate *gate, const char *peer, struct mono_time now,
                           size_t *ret_place);
/* Half of all places are taken, or of those of one address: who comes now has less time. */
bool gate_is_crowded(const struct gate *gate, size_t place);
/* Its handshake is over, one way or the other. */
void gate_leave(struct gate *gate, size_t place);

/* False: too many wrong codes of this token or from this address; answer as to a wrong code. */
MUST_CHECK bool gate_may_enrol(struct gate *gate, size_t place, const uint8_t *token_id,
                               struct mono_time now);
void gate_note_wrong_code(struct gate *gate, size_t place, const uint8_t *token_id,
                          struct mono_time now);

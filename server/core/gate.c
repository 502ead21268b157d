/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/gate.h"

#include "base/invariant.h"
#include "protocol/limits.h"

#include <string.h>

enum { PROBES = 8 }; /* places that an address may take: bounds the search */

void gate_init(struct gate *gate, size_t unfinished_max, size_t unfinished_address_max)
{
    *gate = (struct gate){
        .unfinished_max = unfinished_max != 0 ? unfinished_max : LIMIT_HANDSHAKES_MAX,
        .unfinished_address_max =
            unfinished_address_max != 0 ? unfinished_address_max : LIMIT_HANDSHAKES_ADDRESS_MAX,
    };
}

void gate_set_hash_seed(struct gate *gate, uint64_t hash_seed)
{
    gate->hash_seed = hash_seed;
}

/* The peer without its port. */
static void address_of(const char *peer, char ret_address[GATE_ADDRESS_SIZE])
{
    const char *colon = strrchr(peer, ':');
    size_t size = colon == NULL ? strlen(peer) : (size_t)(colon - peer);

    if (size > GATE_ADDRESS_SIZE - 1)
        size = GATE_ADDRESS_SIZE - 1;
    memset(ret_address, 0, GATE_ADDRESS_SIZE);
    memcpy(ret_address, peer, size);
    if (size == 0)
        ret_address[0] = '?';
}

/* FNV-1a, begun with a number that nobody outside knows. */
static uint64_t hash_of(uint64_t seed, const char *address)
{
    uint64_t hash = seed ^ UINT64_C(14695981039346656037);

    for (; *address != '\0'; address++)
        hash = (hash ^ (uint8_t)*address) * UINT64_C(1099511628211);
    return hash ^ (hash >> 32);
}

static bool is_idle(const struct gate_address *entry)
{
    return entry->unfinished == 0;
}

/* The address's own place, a free one, the idle one whose hour began first, or a shared one. */
static size_t place_of(struct gate *gate, const char *address, struct mono_time now)
{
    uint64_t hash = hash_of(gate->hash_seed, address);
    size_t first = (size_t)(hash % GATE_ADDRESSES);
    size_t best = first;

    for (size_t i = 0; i < PROBES; i++) {
        size_t place = (first + i) % GATE_ADDRESSES;
        const struct gate_address *entry = &gate->addresses[place];
        const struct gate_address *chosen = &gate->addresses[best];

        if (strcmp(entry->address, address) == 0)
            return place;
        if (is_idle(entry) && (!is_idle(chosen) || entry->hour_began.us < chosen->hour_began.us))
            best = place;
    }
    if (is_idle(&gate->addresses[best])) {
        struct gate_address *entry = &gate->addresses[best];

        *entry = (struct gate_address){.hour_began = now};
        memcpy(entry->address, address, GATE_ADDRESS_SIZE);
    }
    return best;
}

bool gate_enter(struct gate *gate, const char *peer, struct mono_time now, size_t *ret_place)
{
    char address[GATE_ADDRESS_SIZE];
    size_t place;

    address_of(peer, address);
    place = place_of(gate, address, now);
    if (gate->unfinished >= gate->unfinished_max ||
        gate->addresses[place].unfinished >= gate->unfinished_address_max)
        return false;
    gate->unfinished++;
    gate->addresses[place].unfinished++;
    *ret_place = place;
    return true;
}

bool gate_is_crowded(const struct gate *gate, size_t place)
{
    return gate->unfinished > gate->unfinished_max / 2 ||
           gate->addresses[place].unfinished > gate->unfinished_address_max / 2;
}

void gate_leave(struct gate *gate, size_t place)
{
    invariant(place < GATE_ADDRESSES);
    invariant(gate->addresses[place].unfinished > 0 && gate->unfinished > 0);
    gate->addresses[place].unfinished--;
    gate->unfinished--;
}

static struct gate_token *token_find(struct gate *gate, const uint8_t *token_id)
{
    for (size_t i = 0; i < GATE_TOKENS; i++)
        if (gate->tokens[i].wrong_codes != 0 &&
            memcmp(gate->tokens[i].id, token_id, IDENTITY_TOKEN_ID_SIZE) == 0)
            return &gate->tokens[i];
    return NULL;
}

bool gate_may_enrol(struct gate *gate, size_t place, const uint8_t *token_id, struct mono_time now)
{
    struct gate_address *entry = &gate->addresses[place];
    const struct gate_token *token = token_find(gate, token_id);

    if (mono_is_due(mono_after(entry->hour_began, HOURS(1)), now)) {
        entry->hour_began = now;
        entry->wrong_codes = 0;
    }
    return entry->wrong_codes < GATE_WRONG_CODES_ADDRESS_MAX &&
           (token == NULL || token->wrong_codes < GATE_WRONG_CODES_TOKEN_MAX);
}

void gate_note_wrong_code(struct gate *gate, size_t place, const uint8_t *token_id,
                          struct mono_time now)
{
    struct gate_address *entry = &gate->addresses[place];
    struct gate_token *token = token_find(gate, token_id);

    if (entry->wrong_codes == 0)
        entry->hour_began = now;
    if (entry->wrong_codes < UINT32_MAX)
        entry->wrong_codes++;
    if (token == NULL) {
        token = &gate->tokens[gate->token_next];
        gate->token_next = (gate->token_next + 1) % GATE_TOKENS;
        *token = (struct gate_token){0};
        memcpy(token->id, token_id, IDENTITY_TOKEN_ID_SIZE);
    }
    if (token->wrong_codes < UINT32_MAX)
        token->wrong_codes++;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/replica/vault_units.h"

#include "base/invariant.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(VAULT_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "size of a nonce");
static_assert(VAULT_TAG_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES, "size of a tag");
static_assert(VAULT_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "size of a key");

/* A file is `before` bytes of our own, a first unit (or none), then rounds of one or two units. */
static const struct layout {
    char name; /* in the associated data */
    int64_t before;
    int64_t first;
    int64_t round[2];
} LAYOUTS[] = {
    [VAULT_DATABASE] = {'d', VAULT_HEADER_SIZE, 0, {VAULT_PAGE_SIZE, 0}},
    [VAULT_LOG] = {'l', 0, 32, {24, VAULT_PAGE_SIZE}},
    [VAULT_JOURNAL] = {'j', 0, 0, {512, 0}},
    [VAULT_TEMPORARY] = {'t', 0, 0, {VAULT_PAGE_SIZE, 0}},
};

static int64_t units_a_round(const struct layout *layout)
{
    return layout->round[1] != 0 ? 2 : 1;
}

static int64_t round_seen(const struct layout *layout)
{
    return layout->round[0] + layout->round[1];
}

static int64_t round_stored(const struct layout *layout)
{
    return round_seen(layout) + units_a_round(layout) * VAULT_UNIT_EXTRA_SIZE;
}

/* Where the rounds begin on the disk. */
static int64_t rounds_place(const struct layout *layout)
{
    return layout->before + (layout->first != 0 ? layout->first + VAULT_UNIT_EXTRA_SIZE : 0);
}

struct vault_unit vault_unit_at(enum vault_kind kind, int64_t offset)
{
    const struct layout *layout = &LAYOUTS[kind];
    int64_t round = (offset - layout->first) / round_seen(layout);
    int64_t within = (offset - layout->first) % round_seen(layout);
    struct vault_unit unit = {.size = (size_t)layout->first, .place = layout->before};

    invariant(offset >= 0);
    if (offset < layout->first)
        return unit;
    unit.number = (uint64_t)((layout->first != 0) + round * units_a_round(layout));
    unit.offset = layout->first + round * round_seen(layout);
    unit.place = rounds_place(layout) + round * round_stored(layout);
    unit.size = (size_t)layout->round[0];
    if (within >= layout->round[0]) {
        unit.number++;
        unit.offset += layout->round[0];
        unit.place += layout->round[0] + VAULT_UNIT_EXTRA_SIZE;
        unit.size = (size_t)layout->round[1];
    }
    return unit;
}

int64_t vault_size_seen(enum vault_kind kind, int64_t size)
{
    const struct layout *layout = &LAYOUTS[kind];
    int64_t rest = size - rounds_place(layout);
    int64_t seen = layout->first;

    if (rest < 0)
        return 0;
    seen += rest / round_stored(layout) * round_seen(layout);
    if (rest % round_stored(layout) >= layout->round[0] + VAULT_UNIT_EXTRA_SIZE)
        seen += layout->round[0];
    return seen;
}

int64_t vault_size_stored(enum vault_kind kind, int64_t size)
{
    struct vault_unit last;

    if (size == 0)
        return LAYOUTS[kind].before;
    last = vault_unit_at(kind, size - 1);
    return last.place + (int64_t)last.size + VAULT_UNIT_EXTRA_SIZE;
}

/* ---- sealing --------------------------------------------------------------------------------- */

enum { ASSOCIATED_SIZE = VAULT_IDENTITY_SIZE + 1 + 8 };

static void associate(const struct vault_lock *lock, uint64_t number, uint8_t ret[ASSOCIATED_SIZE])
{
    memcpy(ret, lock->identity, VAULT_IDENTITY_SIZE);
    ret[VAULT_IDENTITY_SIZE] = (uint8_t)LAYOUTS[lock->kind].name;
    for (int i = 0; i < 8; i++)
        ret[VAULT_IDENTITY_SIZE + 1 + i] = (uint8_t)(number >> (8 * i));
}

void vault_unit_seal(const struct vault_lock *lock, const struct vault_unit *unit,
                     const uint8_t *text, uint8_t *sealed)
{
    uint8_t associated[ASSOCIATED_SIZE];

    associate(lock, unit->number, associated);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + VAULT_NONCE_SIZE, NULL, text,
                                                     unit->size, associated, sizeof associated,
                                                     NULL, sealed, lock->key);
}

bool vault_unit_open(const struct vault_lock *lock, const struct vault_unit *unit,
                     const uint8_t *sealed, uint8_t *ret_text)
{
    uint8_t associated[ASSOCIATED_SIZE];

    associate(lock, unit->number, associated);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(ret_text, NULL, NULL, sealed + VAULT_NONCE_SIZE,
                                                   unit->size + VAULT_TAG_SIZE, associated,
                                                   sizeof associated, sealed, lock->key) == 0)
        return true;
    memset(ret_text, 0, unit->size);
    return false;
}

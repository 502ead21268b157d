/* SPDX-License-Identifier: Apache-2.0 */
/* vault_units.h: how the bytes that SQLite sees of an encrypted file lie on the disk.
 *
 * A file is a row of units, each as large as what SQLite writes at once, so that a write never
 * touches what another transaction has made durable (docs/decisions/0024). On the disk a unit is
 *
 *     nonce 24   random, fresh at each writing
 *     text       as long as what SQLite sees
 *     tag 16     XChaCha20-Poly1305 of libsodium
 *
 * and its associated data are the file's identity, the kind of file and the unit's number: a unit
 * is good in its own place of its own file only.
 *
 *     database   VAULT_HEADER_SIZE bytes of header (vault.c), then pages of 4,096
 *     log        SQLite's header of 32, then for each frame its header of 24 and its page
 *     journal    pieces of 512, a sector to SQLite
 *     temporary  pieces of 4,096
 *
 * Knows no SQLite and draws no randomness. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    VAULT_KEY_SIZE = 32,
    VAULT_IDENTITY_SIZE = 16,
    VAULT_PAGE_SIZE = 4096, /* the only size of a page there is */
    VAULT_HEADER_SIZE = 4096,
    VAULT_NONCE_SIZE = 24,
    VAULT_TAG_SIZE = 16,
    VAULT_UNIT_EXTRA_SIZE = VAULT_NONCE_SIZE + VAULT_TAG_SIZE,
    VAULT_SEALED_SIZE_MAX = VAULT_PAGE_SIZE + VAULT_UNIT_EXTRA_SIZE,
};

enum vault_kind { VAULT_DATABASE, VAULT_LOG, VAULT_JOURNAL, VAULT_TEMPORARY };

struct vault_unit {
    uint64_t number; /* from 0 */
    int64_t offset;  /* of its first byte, as SQLite counts */
    size_t size;     /* of its text */
    int64_t place;   /* on the disk */
};

/* The unit that holds the byte at `offset`. */
struct vault_unit vault_unit_at(enum vault_kind kind, int64_t offset);
/* How large SQLite sees a file of `size` bytes on the disk: a unit that isn't whole isn't there. */
int64_t vault_size_seen(enum vault_kind kind, int64_t size);
/* How large a file is on the disk that SQLite sees with `size` bytes, rounded up to a unit. */
int64_t vault_size_stored(enum vault_kind kind, int64_t size);

struct vault_lock {
    const uint8_t *key;      /* VAULT_KEY_SIZE */
    const uint8_t *identity; /* VAULT_IDENTITY_SIZE */
    enum vault_kind kind;
};

/* `sealed` begins with the nonce; the rest, unit->size + VAULT_TAG_SIZE, is written. */
void vault_unit_seal(const struct vault_lock *lock, const struct vault_unit *unit,
                     const uint8_t *text, uint8_t *sealed);
/* False: it isn't what was written there, and `ret_text` is zeros. */
bool vault_unit_open(const struct vault_lock *lock, const struct vault_unit *unit,
                     const uint8_t *sealed, uint8_t *ret_text);

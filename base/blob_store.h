/* SPDX-License-Identifier: Apache-2.0 */
/* blob_store.h: attachments by the hash of their content, as both cores see them.
 *
 * An interface: the edge implements it on files, the simulator on memory. A blob is whole or
 * partial; a partial one grows at its end only and becomes whole when its hash is right. */
#pragma once

#include "base/bytes.h"

enum { BLOB_STORE_HASH_SIZE = 32 }; /* BLAKE2b-256 */

struct blob_store {
    const struct blob_store_operations *operations;
};

struct blob_store_operations {
    /* ret_size: bytes held; ret_is_whole: all of it, checked. Unknown: size 0, not whole. */
    enum result (*status)(struct blob_store *, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                          int64_t *ret_size, bool *ret_is_whole, struct problem *);
    /* Adds at `offset`, which is the size held so far (RESULT_REFUSED otherwise). With `is_last`
     * the hash is checked, the content made durable and whole; a wrong hash discards the partial
     * blob (RESULT_REFUSED). */
    enum result (*append)(struct blob_store *, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                          int64_t offset, struct bytes data, bool is_last, struct problem *);
    /* Reads up to `size_max` bytes at `offset` of a whole blob into the arena's memory given. */
    enum result (*read)(struct blob_store *, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                        int64_t offset, uint8_t *memory, size_t size_max, size_t *ret_size,
                        struct problem *);
    /* Destroys what is held, whole or not; that nothing is, is no failure. */
    enum result (*destroy)(struct blob_store *, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                           struct problem *);
};

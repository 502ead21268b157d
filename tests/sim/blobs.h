/* SPDX-License-Identifier: Apache-2.0 */
/* blobs.h: the attachments of one machine, in memory. What is whole survives a power cut; of a
 * partial one the end may be lost. A full or failing disk fails here, too. */
#pragma once

#include "base/blob_store.h"
#include "tests/sim/disk.h"

struct sim_blob {
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    uint8_t *bytes;
    size_t size;
    bool is_whole;
};

struct sim_blobs {
    struct blob_store store; /* first: both cores hand it back */
    struct disk *disk;
    int machine;
    size_t count, room;
    struct sim_blob *list;
};

void sim_blobs_init(struct sim_blobs *blobs, struct disk *disk, int machine);
void sim_blobs_done(struct sim_blobs *blobs);
void sim_blobs_cut_power(struct sim_blobs *blobs);
bool sim_blobs_is_whole(const struct sim_blobs *blobs, const uint8_t *hash);
/* Puts a whole one there; ret_hash is of its content. */
void sim_blobs_put(struct sim_blobs *blobs, const uint8_t *bytes, size_t size, uint8_t *ret_hash);

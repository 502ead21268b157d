/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/blobs.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static struct sim_blobs *blobs_of(struct blob_store *store)
{
    return (struct sim_blobs *)(void *)store;
}

static struct sim_blob *find(const struct sim_blobs *blobs, const uint8_t *hash)
{
    for (size_t i = 0; i < blobs->count; i++)
        if (memcmp(blobs->list[i].hash, hash, BLOB_STORE_HASH_SIZE) == 0)
            return &blobs->list[i];
    return NULL;
}

static struct sim_blob *find_or_add(struct sim_blobs *blobs, const uint8_t *hash)
{
    struct sim_blob *blob = find(blobs, hash);

    if (blob != NULL)
        return blob;
    if (blobs->count == blobs->room) {
        blobs->room = blobs->room * 2 + 8;
        blobs->list = realloc(blobs->list, blobs->room * sizeof *blobs->list);
        invariant(blobs->list != NULL);
    }
    blob = &blobs->list[blobs->count++];
    *blob = (struct sim_blob){0};
    memcpy(blob->hash, hash, sizeof blob->hash);
    return blob;
}

static enum result status(struct blob_store *store, const uint8_t *hash, int64_t *ret_size,
                          bool *ret_is_whole, struct problem *problem)
{
    const struct sim_blob *blob = find(blobs_of(store), hash);

    (void)problem;
    *ret_size = blob == NULL ? 0 : (int64_t)blob->size;
    *ret_is_whole = blob != NULL && blob->is_whole;
    return RESULT_OK;
}

static void add_bytes(struct sim_blob *blob, struct bytes data)
{
    blob->bytes = realloc(blob->bytes, blob->size + data.size + 1);
    invariant(blob->bytes != NULL);
    if (data.size != 0)
        memcpy(blob->bytes + blob->size, data.data, data.size);
    blob->size += data.size;
}

static bool is_right(const struct sim_blob *blob)
{
    uint8_t hash[BLOB_STORE_HASH_SIZE];

    crypto_generichash(hash, sizeof hash, blob->bytes, blob->size, NULL, 0);
    return memcmp(hash, blob->hash, sizeof hash) == 0;
}

static enum result append(struct blob_store *store, const uint8_t *hash, int64_t offset,
                          struct bytes data, bool is_last, struct problem *problem)
{
    struct sim_blobs *blobs = blobs_of(store);
    struct sim_blob *blob = NULL;

    if (disk_strikes(blobs->disk, blobs->machine, DISK_FULL))
        return problem_set(problem, RESULT_EXHAUSTED, "an attachment: the disk is full");
    if (disk_strikes(blobs->disk, blobs->machine, DISK_WRITE_ERROR))
        return problem_set(problem, RESULT_STORAGE, "an attachment: the disk fails");
    blob = find_or_add(blobs, hash);
    if (blob->is_whole || offset != (int64_t)blob->size)
        return problem_set(problem, RESULT_REFUSED, "%zu bytes are here, not %" PRId64, blob->size,
                           offset);
    add_bytes(blob, data);
    if (!is_last)
        return RESULT_OK;
    blob->is_whole = is_right(blob);
    if (blob->is_whole)
        return RESULT_OK;
    blob->size = 0;
    return problem_set(problem, RESULT_REFUSED, "the content isn't what its name says");
}

static enum result read_part(struct blob_store *store, const uint8_t *hash, int64_t offset,
                             uint8_t *memory, size_t size_max, size_t *ret_size,
                             struct problem *problem)
{
    struct sim_blobs *blobs = blobs_of(store);
    const struct sim_blob *blob = find(blobs, hash);
    size_t size = 0;

    if (blob == NULL || !blob->is_whole || offset < 0 || (size_t)offset > blob->size)
        return problem_set(problem, RESULT_REFUSED, "this attachment isn't here");
    if (disk_strikes(blobs->disk, blobs->machine, DISK_READ_ERROR))
        return problem_set(problem, RESULT_STORAGE, "an attachment: the disk fails");
    size = blob->size - (size_t)offset;
    if (size > size_max)
        size = size_max;
    if (size != 0)
        memcpy(memory, blob->bytes + offset, size);
    *ret_size = size;
    return RESULT_OK;
}

static enum result destroy(struct blob_store *store, const uint8_t *hash, struct problem *problem)
{
    struct sim_blobs *blobs = blobs_of(store);
    struct sim_blob *blob = find(blobs, hash);

    if (disk_strikes(blobs->disk, blobs->machine, DISK_WRITE_ERROR))
        return problem_set(problem, RESULT_STORAGE, "an attachment: the disk fails");
    if (blob != NULL) {
        blob->size = 0;
        blob->is_whole = false;
    }
    return RESULT_OK;
}

static const struct blob_store_operations OPERATIONS = {
    .status = status, .append = append, .read = read_part, .destroy = destroy};

void sim_blobs_init(struct sim_blobs *blobs, struct disk *disk, int machine)
{
    *blobs = (struct sim_blobs){.store = {&OPERATIONS}, .disk = disk, .machine = machine};
}

void sim_blobs_done(struct sim_blobs *blobs)
{
    for (size_t i = 0; i < blobs->count; i++)
        free(blobs->list[i].bytes);
    free(blobs->list);
}

void sim_blobs_cut_power(struct sim_blobs *blobs)
{
    for (size_t i = 0; i < blobs->count; i++)
        if (!blobs->list[i].is_whole)
            blobs->list[i].size =
                (size_t)prng_below(&blobs->disk->damage, (uint64_t)blobs->list[i].size + 1);
}

bool sim_blobs_is_whole(const struct sim_blobs *blobs, const uint8_t *hash)
{
    const struct sim_blob *blob = find(blobs, hash);

    return blob != NULL && blob->is_whole && is_right(blob);
}

void sim_blobs_put(struct sim_blobs *blobs, const uint8_t *bytes, size_t size, uint8_t *ret_hash)
{
    struct sim_blob *blob = NULL;

    crypto_generichash(ret_hash, BLOB_STORE_HASH_SIZE, bytes, size, NULL, 0);
    blob = find_or_add(blobs, ret_hash);
    if (blob->is_whole)
        return;
    blob->size = 0;
    add_bytes(blob, bytes_of(bytes, size));
    blob->is_whole = true;
}

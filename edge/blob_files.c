/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/blob_files.h"

#include "edge/files.h"
#include "edge/wipe.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK_SIZE = 256 * 1024, FOLDER_BITS_COUNT = 65536 / 64 };

struct blob_files {
    struct blob_store store;
    char folder[FILES_PATH_SIZE];
    _Atomic uint64_t synced[FOLDER_BITS_COUNT]; /* a bit for each ab/cd: its names are durable */
};

static struct blob_files *self_of(struct blob_store *store)
{
    return (struct blob_files *)(void *)store;
}

/* Of the finished blob; 0 if it can't be told. */
static enum result finished_size(const char *path, int64_t *ret_size, struct problem *problem)
{
    FILE *file = fopen(path, "rb");
    long size = -1;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (file != NULL)
        (void)fclose(file);
    if (size < 0)
        return problem_set(problem, RESULT_STORAGE, "%s can't be read", path);
    *ret_size = size;
    return RESULT_OK;
}

/* A process that was killed may have moved a blob to its place without getting to sync the folder,
 * and a power cut would then take back what we are about to say. Once a folder and process is
 * enough: what we move ourselves is synced at once. */
static enum result sync_name(struct blob_files *self, const uint8_t *hash, const char *path,
                             struct problem *problem)
{
    size_t number = (size_t)hash[0] << 8 | hash[1];
    uint64_t bit = UINT64_C(1) << number % 64;
    enum result result = RESULT_OK;

    if ((atomic_load(&self->synced[number / 64]) & bit) != 0)
        return RESULT_OK;
    result = files_sync_name(path, problem);
    if (result == RESULT_OK)
        (void)atomic_fetch_or(&self->synced[number / 64], bit);
    return result;
}

static enum result partial_path(const struct blob_files *self, const uint8_t *hash,
                                char ret_path[FILES_PATH_SIZE], struct problem *problem)
{
    char name[sizeof "partial/" + 2 * BLOB_STORE_HASH_SIZE] = "partial/";

    bytes_to_hex(bytes_of(hash, BLOB_STORE_HASH_SIZE), name + sizeof "partial/" - 1);
    return files_join(self->folder, name, ret_path, problem);
}

static enum result blob_status(struct blob_store *store, const uint8_t *hash, int64_t *ret_size,
                               bool *ret_is_whole, struct problem *problem)
{
    struct blob_files *self = self_of(store);
    char path[FILES_PATH_SIZE];
    enum result result = files_blob_path(self->folder, hash, path, problem);

    *ret_size = 0;
    *ret_is_whole = result == RESULT_OK && files_exists(path);
    if (*ret_is_whole)
        result = sync_name(self, hash, path, problem);
    if (result != RESULT_OK || *ret_is_whole)
        return result == RESULT_OK ? finished_size(path, ret_size, problem) : result;
    result = partial_path(self, hash, path, problem);
    if (result == RESULT_OK && files_exists(path))
        result = finished_size(path, ret_size, problem);
    return result;
}

static enum result hash_of(const struct files_partial *partial,
                           uint8_t ret_hash[BLOB_STORE_HASH_SIZE], struct problem *problem)
{
    crypto_generichash_state state;
    struct buffer block;
    enum result result = RESULT_OK;

    buffer_init(&block, BLOCK_SIZE);
    (void)crypto_generichash_init(&state, NULL, 0, BLOB_STORE_HASH_SIZE);
    for (uint64_t offset = 0; offset < partial->size && result == RESULT_OK; offset += block.size) {
        buffer_reset(&block);
        result = files_partial_read(partial, offset, BLOCK_SIZE, &block, problem);
        if (result == RESULT_OK && block.size == 0)
            result =
                problem_set(problem, RESULT_STORAGE, "%s is shorter than it was", partial->path);
        if (result == RESULT_OK)
            (void)crypto_generichash_update(&state, block.data, block.size);
    }
    (void)crypto_generichash_final(&state, ret_hash, BLOB_STORE_HASH_SIZE);
    buffer_done(&block);
    return result;
}

static enum result finish(struct files_partial *partial, const uint8_t *hash,
                          struct problem *problem)
{
    uint8_t found[BLOB_STORE_HASH_SIZE];
    struct problem ignored = {0};
    enum result result = hash_of(partial, found, problem);

    if (result != RESULT_OK) {
        files_partial_pause(partial);
        return result;
    }
    if (memcmp(found, hash, sizeof found) == 0)
        return files_partial_finish(partial, problem);
    if (files_partial_drop(partial, &ignored) != RESULT_OK)
        return problem_set(problem, RESULT_STORAGE, "a blob with a wrong hash can't be removed: %s",
                           ignored.text);
    return problem_set(problem, RESULT_REFUSED, "what came is not the content of that hash");
}

static enum result blob_append(struct blob_store *store, const uint8_t *hash, int64_t offset,
                               struct bytes data, bool is_last, struct problem *problem)
{
    struct files_partial partial = {0};
    enum result result = files_partial_open(self_of(store)->folder, hash, &partial, problem);

    if (result != RESULT_OK)
        return result;
    result = files_partial_append(&partial, (uint64_t)offset, data, problem);
    if (result == RESULT_OK && is_last)
        return finish(&partial, hash, problem);
    files_partial_pause(&partial);
    return result;
}

static enum result blob_read(struct blob_store *store, const uint8_t *hash, int64_t offset,
                             uint8_t *memory, size_t size_max, size_t *ret_size,
                             struct problem *problem)
{
    struct buffer part;
    char path[FILES_PATH_SIZE];
    enum result result = files_blob_path(self_of(store)->folder, hash, path, problem);

    buffer_init(&part, size_max);
    if (result == RESULT_OK)
        result = files_read_part(path, (uint64_t)offset, size_max, &part, problem);
    if (result == RESULT_OK) {
        if (part.size > 0)
            memcpy(memory, part.data, part.size);
        *ret_size = part.size;
    }
    buffer_done(&part);
    return result;
}

static enum result blob_destroy(struct blob_store *store, const uint8_t *hash,
                                struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_blob_path(self_of(store)->folder, hash, path, problem);

    if (result == RESULT_OK)
        result = wipe_file(path, problem);
    if (result == RESULT_OK)
        result = partial_path(self_of(store), hash, path, problem);
    return result == RESULT_OK ? wipe_file(path, problem) : result;
}

enum result blob_files_create(const char *folder, struct blob_store **ret_store,
                              struct problem *problem)
{
    static const struct blob_store_operations OPERATIONS = {
        .status = blob_status, .append = blob_append, .read = blob_read, .destroy = blob_destroy};
    struct blob_files *self = NULL;
    enum result result = files_make_folder(folder, problem);

    if (result != RESULT_OK)
        return result;
    if (strlen(folder) >= sizeof self->folder)
        return problem_set(problem, RESULT_REFUSED, "the folder's path is too long");
    self = calloc(1, sizeof *self);
    if (self == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a blob store");
    self->store.operations = &OPERATIONS;
    (void)snprintf(self->folder, sizeof self->folder, "%s", folder);
    *ret_store = &self->store;
    return RESULT_OK;
}

void blob_files_destroy(struct blob_store *store)
{
    free(store == NULL ? NULL : self_of(store));
}

/* ---- wiping ---- */

/* The files in one folder; folders in it are left to the caller. */
static enum result wipe_folder(const char *folder, struct problem *problem)
{
    const char *const *names = NULL;
    char path[FILES_PATH_SIZE];
    struct arena arena;
    size_t count = 0;
    enum result result;

    arena_init(&arena, 64 << 20);
    result = files_list(folder, &arena, &names, &count, problem);
    for (size_t i = 0; result == RESULT_OK && i < count; i++) {
        result = files_join(folder, names[i], path, problem);
        if (result == RESULT_OK && files_exists(path))
            result = files_remove(path, problem);
    }
    arena_done(&arena);
    return result;
}

/* Blobs lie two folders deep: ab/cd/rest. */
static enum result wipe_level(const char *folder, int depth, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char name[3];
    struct stat status_of;
    enum result result = RESULT_OK;

    for (unsigned i = 0; result == RESULT_OK && i < 256; i++) {
        snprintf(name, sizeof name, "%02x", i);
        result = files_join(folder, name, path, problem);
        if (result != RESULT_OK || stat(path, &status_of) != 0)
            continue;
        result = depth == 0 ? wipe_folder(path, problem) : wipe_level(path, depth - 1, problem);
    }
    return result;
}

enum result blob_files_wipe(const char *folder, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct stat status_of;
    enum result result = files_join(folder, "partial", path, problem);

    if (result == RESULT_OK && stat(path, &status_of) == 0)
        result = wipe_folder(path, problem);
    return result == RESULT_OK ? wipe_level(folder, 1, problem) : result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "agent/cli/blob_files.h"

#include "edge/files.h"
#include "edge/wipe.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CHECK_PIECE_SIZE = 256 * 1024 };

struct blob_files {
    struct blob_store store; /* first: the interface is the object */
    char folder[FILES_PATH_SIZE];
};

static const struct blob_files *files_of(const struct blob_store *store)
{
    return (const struct blob_files *)store;
}

static bool size_of(const char *path, int64_t *ret_size)
{
    struct stat status;

    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    *ret_size = (int64_t)status.st_size;
    return true;
}

static enum result partial_path(struct blob_store *store, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                                char *ret_path, struct problem *problem)
{
    char name[sizeof "partial/" + 2 * BLOB_STORE_HASH_SIZE] = "partial/";

    bytes_to_hex(bytes_of(hash, BLOB_STORE_HASH_SIZE), name + sizeof "partial/" - 1);
    return files_join(files_of(store)->folder, name, ret_path, problem);
}

static enum result status(struct blob_store *store, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                          int64_t *ret_size, bool *ret_is_whole, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char partial[FILES_PATH_SIZE];
    enum result result = files_blob_path(files_of(store)->folder, hash, path, problem);

    if (result == RESULT_OK)
        result = partial_path(store, hash, partial, problem);
    if (result != RESULT_OK)
        return result;
    *ret_size = 0;
    *ret_is_whole = size_of(path, ret_size);
    if (!*ret_is_whole)
        (void)size_of(partial, ret_size); /* not there: 0 bytes */
    return RESULT_OK;
}

static enum result is_hash_right(const struct files_partial *partial,
                                 const uint8_t hash[BLOB_STORE_HASH_SIZE], bool *ret_is_right,
                                 struct problem *problem)
{
    crypto_generichash_state state;
    uint8_t actual[BLOB_STORE_HASH_SIZE];
    struct buffer piece;
    enum result result = RESULT_OK;

    crypto_generichash_init(&state, NULL, 0, sizeof actual);
    buffer_init(&piece, CHECK_PIECE_SIZE);
    for (uint64_t at = 0; result == RESULT_OK && at < partial->size; at += piece.size) {
        buffer_reset(&piece);
        result = files_partial_read(partial, at, CHECK_PIECE_SIZE, &piece, problem);
        if (result == RESULT_OK && piece.size == 0)
            result =
                problem_set(problem, RESULT_STORAGE, "%s is shorter than it was", partial->path);
        if (result == RESULT_OK)
            crypto_generichash_update(&state, piece.data, piece.size);
    }
    buffer_done(&piece);
    crypto_generichash_final(&state, actual, sizeof actual);
    *ret_is_right = memcmp(actual, hash, sizeof actual) == 0;
    return result;
}

static enum result append(struct blob_store *store, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                          int64_t offset, struct bytes data, bool is_last, struct problem *problem)
{
    struct files_partial partial;
    bool is_right = false;
    enum result result = files_partial_open(files_of(store)->folder, hash, &partial, problem);

    if (result != RESULT_OK)
        return result;
    result = files_partial_append(&partial, (uint64_t)offset, data, problem);
    if (result == RESULT_OK && is_last)
        result = is_hash_right(&partial, hash, &is_right, problem);
    if (result != RESULT_OK || !is_last) {
        files_partial_pause(&partial);
        return result;
    }
    if (is_right)
        return files_partial_finish(&partial, problem);
    result = files_partial_drop(&partial, problem);
    if (result != RESULT_OK)
        return result;
    return problem_set(problem, RESULT_REFUSED, "what arrived isn't what its hash says");
}

static enum result read_part(struct blob_store *store, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                             int64_t offset, uint8_t *memory, size_t size_max, size_t *ret_size,
                             struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct buffer contents;
    enum result result = files_blob_path(files_of(store)->folder, hash, path, problem);

    buffer_init(&contents, size_max);
    if (result == RESULT_OK)
        result = files_read_part(path, (uint64_t)offset, size_max, &contents, problem);
    if (result == RESULT_OK) {
        if (contents.size > 0)
            memcpy(memory, contents.data, contents.size);
        *ret_size = contents.size;
    }
    buffer_done(&contents);
    return result;
}

static enum result destroy(struct blob_store *store, const uint8_t hash[BLOB_STORE_HASH_SIZE],
                           struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_blob_path(files_of(store)->folder, hash, path, problem);

    if (result == RESULT_OK)
        result = wipe_file(path, problem);
    if (result == RESULT_OK)
        result = partial_path(store, hash, path, problem);
    return result == RESULT_OK ? wipe_file(path, problem) : result;
}

static const struct blob_store_operations OPERATIONS = {
    .status = status, .append = append, .read = read_part, .destroy = destroy};

enum result blob_files_create(const char *folder, struct blob_store **ret_store,
                              struct problem *problem)
{
    struct blob_files *files = calloc(1, sizeof *files);

    if (files == NULL || strlen(folder) >= sizeof files->folder) {
        free(files);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the folder of attachments");
    }
    files->store.operations = &OPERATIONS;
    snprintf(files->folder, sizeof files->folder, "%s", folder);
    *ret_store = &files->store;
    return RESULT_OK;
}

void blob_files_destroy(struct blob_store *store)
{
    free(store);
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

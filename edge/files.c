/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/files.h"

#include "base/invariant.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FOLDER_MODE = 0700, PRIVATE_MODE = 0600 };

/* What the caller can do about errno; the table of files.h. */
static enum result result_of_errno(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return RESULT_EXHAUSTED;
    case EIO:
    case EUCLEAN: /* the file system says it is damaged */
        return RESULT_STORAGE;
    default:
        return RESULT_REFUSED;
    }
}

static enum result failed(struct problem *problem, const char *path, const char *what)
{
    int error = errno;

    return problem_set(problem, result_of_errno(error), "%s: %s: %s", path, what, strerror(error));
}

enum result files_join(const char *folder, const char *name, char ret_path[FILES_PATH_SIZE],
                       struct problem *problem)
{
    int size = snprintf(ret_path, FILES_PATH_SIZE, "%s/%s", folder, name);

    if (size < 0 || size >= FILES_PATH_SIZE)
        return problem_set(problem, RESULT_EXHAUSTED, "%.200s...: path is too long", folder);
    return RESULT_OK;
}

/* "." for a bare name, "/" for a name in the root. */
static enum result folder_of(const char *path, char ret_folder[FILES_PATH_SIZE],
                             struct problem *problem)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);

    if (size >= FILES_PATH_SIZE)
        return problem_set(problem, RESULT_EXHAUSTED, "%.200s...: path is too long", path);
    memcpy(ret_folder, path, size);
    ret_folder[size] = '\0';
    if (size == 0)
        memcpy(ret_folder, slash == NULL ? "." : "/", 2);
    return RESULT_OK;
}

/* Makes a rename, a new name or a removal in `folder` durable. */
static enum result folder_sync(const char *folder, struct problem *problem)
{
    enum result result = RESULT_OK;
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (descriptor < 0)
        return failed(problem, folder, "opening the folder");
    if (fsync(descriptor) != 0)
        result = problem_set(problem, RESULT_STORAGE, "%s: syncing the folder: %s", folder,
                             strerror(errno));
    (void)close(descriptor);
    return result;
}

enum result files_sync_name(const char *path, struct problem *problem)
{
    char folder[FILES_PATH_SIZE];
    enum result result = folder_of(path, folder, problem);

    if (result == RESULT_OK)
        result = folder_sync(folder, problem);
    return result;
}

static enum result sync_file(int descriptor, const char *path, struct problem *problem)
{
    if (fsync(descriptor) != 0)
        return problem_set(problem, RESULT_STORAGE, "%s: syncing: %s", path, strerror(errno));
    return RESULT_OK;
}

static enum result write_all(int descriptor, const char *path, struct bytes contents,
                             struct problem *problem)
{
    size_t done = 0;

    while (done < contents.size) {
        ssize_t put = write(descriptor, contents.data + done, contents.size - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return failed(problem, path, "writing");
        done += (size_t)put;
    }
    return RESULT_OK;
}

/* O_NONBLOCK so that opening a pipe doesn't wait for its writer; regular files don't care. */
static enum result open_regular(const char *path, int *ret_descriptor, uint64_t *ret_size,
                                struct problem *problem)
{
    struct stat facts;
    enum result result = RESULT_OK;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (descriptor < 0)
        return failed(problem, path, "opening");
    if (fstat(descriptor, &facts) != 0)
        result = failed(problem, path, "looking at it");
    else if (!S_ISREG(facts.st_mode))
        result = problem_set(problem, RESULT_REFUSED, "%s: not a regular file", path);
    if (result != RESULT_OK) {
        (void)close(descriptor);
        return result;
    }
    *ret_descriptor = descriptor;
    *ret_size = (uint64_t)facts.st_size;
    return RESULT_OK;
}

static enum result read_at(int descriptor, const char *path, uint64_t offset, size_t size,
                           struct buffer *contents, struct problem *problem)
{
    size_t size_before = contents->size;
    uint8_t *room = NULL;
    enum result result = RESULT_OK;

    if (size == 0)
        return RESULT_OK;
    if (offset > INT64_MAX || size > (uint64_t)INT64_MAX - offset)
        return problem_set(problem, RESULT_REFUSED, "%s: no byte %" PRIu64, path, offset);
    result = buffer_reserve(contents, size, &room, problem);
    if (result != RESULT_OK)
        goto done;
    while (contents->size - size_before < size) {
        size_t done = contents->size - size_before;
        ssize_t got = pread(descriptor, room + done, size - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            break;
        if (got < 0) {
            contents->size = size_before;
            return failed(problem, path, "reading");
        }
        contents->size += (size_t)got;
    }
done:
    if (result != RESULT_OK)
        problem_add(problem, "%s", path);
    return result;
}

enum result files_read_part(const char *path, uint64_t offset, size_t size, struct buffer *contents,
                            struct problem *problem)
{
    int descriptor = -1;
    uint64_t file_size = 0;
    enum result result = open_regular(path, &descriptor, &file_size, problem);

    if (result != RESULT_OK)
        return result;
    if (offset >= file_size)
        size = 0;
    else if (size > file_size - offset)
        size = (size_t)(file_size - offset);
    result = read_at(descriptor, path, offset, size, contents, problem);
    (void)close(descriptor);
    return result;
}

enum result files_read(const char *path, struct buffer *contents, struct problem *problem)
{
    enum { PIECE_SIZE = 4096 }; /* for what /proc calls empty, and for growth while we read */
    size_t size_before = contents->size;
    int descriptor = -1;
    uint64_t file_size = 0;
    uint64_t done = 0;
    enum result result = open_regular(path, &descriptor, &file_size, problem);

    if (result != RESULT_OK)
        return result;
    if (file_size > contents->size_max - contents->size) {
        result = problem_set(problem, RESULT_EXHAUSTED, "%s: has %" PRIu64 " bytes, limit %zu",
                             path, file_size, contents->size_max - contents->size);
        goto done;
    }
    result = read_at(descriptor, path, 0, (size_t)file_size, contents, problem);
    while (result == RESULT_OK) {
        uint8_t piece[PIECE_SIZE];
        ssize_t got = 0;

        done = contents->size - size_before;
        got = pread(descriptor, piece, sizeof piece, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            break;
        result = got < 0 ? failed(problem, path, "reading")
                         : buffer_append(contents, piece, (size_t)got, problem);
    }
done:
    if (result != RESULT_OK)
        contents->size = size_before;
    (void)close(descriptor);
    return result;
}

enum result files_write(const char *path, struct bytes contents, mode_t mode,
                        struct problem *problem)
{
    char temporary[FILES_PATH_SIZE];
    enum result result = RESULT_OK;
    int descriptor = -1;
    int size = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);

    if (size < 0 || (size_t)size >= sizeof temporary)
        return problem_set(problem, RESULT_EXHAUSTED, "%.200s...: path is too long", path);
    descriptor = mkostemp(temporary, O_CLOEXEC); /* beside it: rename works in one file system */
    if (descriptor < 0)
        return failed(problem, path, "making a temporary file beside it");
    if (fchmod(descriptor, mode) != 0)
        result = failed(problem, path, "setting its rights");
    if (result == RESULT_OK)
        result = write_all(descriptor, path, contents, problem);
    if (result == RESULT_OK)
        result = sync_file(descriptor, path, problem);
    if (close(descriptor) != 0 && result == RESULT_OK)
        result = failed(problem, path, "closing");
    if (result == RESULT_OK && rename(temporary, path) != 0)
        result = failed(problem, path, "renaming");
    if (result != RESULT_OK) {
        (void)unlink(temporary);
        return result;
    }
    return files_sync_name(path, problem);
}

enum result files_append(const char *path, struct bytes contents, mode_t mode,
                         struct problem *problem)
{
    struct stat before;
    bool is_new = !files_exists(path);
    enum result result = RESULT_OK;
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, mode);

    if (descriptor < 0)
        return failed(problem, path, "opening");
    if (fstat(descriptor, &before) != 0)
        result = failed(problem, path, "looking at it");
    else if (!S_ISREG(before.st_mode))
        result = problem_set(problem, RESULT_REFUSED, "%s: not a regular file", path);
    if (result == RESULT_OK) {
        result = write_all(descriptor, path, contents, problem);
        if (result != RESULT_OK && ftruncate(descriptor, before.st_size) != 0)
            result =
                problem_set(problem, RESULT_STORAGE, "%s: half written: %s", path, strerror(errno));
    }
    if (result == RESULT_OK)
        result = sync_file(descriptor, path, problem);
    (void)close(descriptor);
    if (result == RESULT_OK && is_new)
        result = files_sync_name(path, problem);
    return result;
}

enum result files_allocate(const char *path, uint64_t size, mode_t mode, struct problem *problem)
{
    enum result result = RESULT_OK;
    int descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (descriptor < 0)
        return failed(problem, path, "making");
    errno = posix_fallocate(descriptor, 0, (off_t)size); /* returns it, sets nothing */
    if (errno != 0) {
        result = failed(problem, path, "allocating");
        (void)unlink(path);
    }
    (void)close(descriptor);
    return result;
}

enum result files_remove(const char *path, struct problem *problem)
{
    if (unlink(path) != 0) {
        if (errno == ENOENT)
            return RESULT_OK;
        return failed(problem, path, "removing");
    }
    return files_sync_name(path, problem);
}

bool files_exists(const char *path)
{
    struct stat facts;

    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

bool files_is_folder(const char *path)
{
    struct stat facts;

    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* RESULT_OK also when it was there before. */
static enum result make_one_folder(const char *path, struct problem *problem)
{
    struct stat facts;

    if (mkdir(path, FOLDER_MODE) == 0)
        return files_sync_name(path, problem);
    if (errno != EEXIST)
        return failed(problem, path, "making the folder");
    if (stat(path, &facts) != 0)
        return failed(problem, path, "looking at it");
    if (!S_ISDIR(facts.st_mode))
        return problem_set(problem, RESULT_REFUSED, "%s: is there and is no folder", path);
    return RESULT_OK;
}

enum result files_make_folder(const char *path, struct problem *problem)
{
    char prefix[FILES_PATH_SIZE];
    size_t size = strlen(path);

    if (size == 0)
        return problem_set(problem, RESULT_REFUSED, "the folder has no name");
    if (size >= sizeof prefix)
        return problem_set(problem, RESULT_EXHAUSTED, "%.200s...: path is too long", path);
    memcpy(prefix, path, size + 1);
    while (size > 1 && prefix[size - 1] == '/')
        prefix[--size] = '\0';
    for (size_t i = 1; i < size; i++) {
        enum result result = RESULT_OK;

        if (prefix[i] != '/' || prefix[i - 1] == '/')
            continue;
        prefix[i] = '\0';
        result = make_one_folder(prefix, problem);
        prefix[i] = '/';
        if (result != RESULT_OK)
            return result;
    }
    return make_one_folder(prefix, problem);
}

enum result files_free_size(const char *path, uint64_t *ret_size, struct problem *problem)
{
    struct statvfs facts;

    if (statvfs(path, &facts) != 0)
        return failed(problem, path, "asking for free space");
    *ret_size = (uint64_t)facts.f_bavail * facts.f_frsize;
    return RESULT_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Calls for each name; with `names` NULL it only counts. Names past `name_max` appeared meanwhile
 * and are left for the next listing. */
static enum result list_names(const char *path, struct arena *arena, const char **names,
                              size_t name_max, size_t *ret_count, struct problem *problem)
{
    enum result result = RESULT_OK;
    size_t count = 0;
    DIR *folder = opendir(path);

    if (folder == NULL)
        return failed(problem, path, "listing");
    while (count < name_max) {
        struct bytes copy = {0};
        const struct dirent *entry = NULL;

        errno = 0;
        entry = readdir(folder);
        if (entry == NULL) {
            if (errno != 0)
                result = failed(problem, path, "listing");
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (names != NULL) {
            result = arena_copy(arena, bytes_of_text(entry->d_name), &copy, problem);
            if (result != RESULT_OK)
                break;
            names[count] = (const char *)copy.data;
        }
        count++;
    }
    (void)closedir(folder);
    *ret_count = count;
    return result;
}

enum result files_list(const char *path, struct arena *arena, const char *const **ret_names,
                       size_t *ret_name_count, struct problem *problem)
{
    size_t count = 0;
    const char **names = NULL;
    enum result result = list_names(path, NULL, NULL, SIZE_MAX, &count, problem);

    if (result != RESULT_OK)
        return result;
    names = arena_array(arena, count + 1, sizeof *names);
    if (names == NULL)
        return arena_full(arena, problem);
    result = list_names(path, arena, names, count, &count, problem);
    if (result != RESULT_OK)
        return result;
    qsort(names, count, sizeof *names, compare_names);
    *ret_names = names;
    *ret_name_count = count;
    return RESULT_OK;
}

/* The message for whoever comes second: who holds it, as far as the file tells. */
static enum result lock_is_held(int descriptor, const char *path, struct problem *problem)
{
    char text[24] = {0};
    long process = 0;

    if (pread(descriptor, text, sizeof text - 1, 0) > 0)
        process = strtol(text, NULL, 10);
    if (process > 0)
        return problem_set(problem, RESULT_REFUSED, "%s: process %ld already uses this folder",
                           path, process);
    return problem_set(problem, RESULT_REFUSED, "%s: another process already uses this folder",
                       path);
}

enum result files_lock_open(const char *path, struct files_lock *ret_lock, struct problem *problem)
{
    char text[24];
    enum result result = RESULT_OK;
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, PRIVATE_MODE);

    invariant(size > 0 && (size_t)size < sizeof text);
    if (descriptor < 0)
        return failed(problem, path, "opening");
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        result = errno == EWOULDBLOCK ? lock_is_held(descriptor, path, problem)
                                      : failed(problem, path, "locking");
        goto done;
    }
    if (ftruncate(descriptor, 0) != 0)
        result = failed(problem, path, "emptying");
    else
        result = write_all(descriptor, path, bytes_of(text, (size_t)size), problem);
done:
    if (result != RESULT_OK)
        (void)close(descriptor);
    else
        ret_lock->descriptor = descriptor;
    return result;
}

void files_lock_close(struct files_lock *lock)
{
    (void)close(lock->descriptor);
    lock->descriptor = -1;
}

enum { HASH_TEXT_SIZE = 2 * FILES_BLOB_HASH_SIZE + 1 };

enum result files_blob_path(const char *folder, const uint8_t hash[FILES_BLOB_HASH_SIZE],
                            char ret_path[FILES_PATH_SIZE], struct problem *problem)
{
    char text[HASH_TEXT_SIZE];
    int size = 0;

    bytes_to_hex(bytes_of(hash, FILES_BLOB_HASH_SIZE), text);
    size = snprintf(ret_path, FILES_PATH_SIZE, "%s/%.2s/%.2s/%s", folder, text, text + 2, text + 4);
    if (size < 0 || size >= FILES_PATH_SIZE)
        return problem_set(problem, RESULT_EXHAUSTED, "%.200s...: path is too long", folder);
    return RESULT_OK;
}

/* FOLDER/partial/HEX; makes FOLDER/partial. */
static enum result partial_path(const char *folder, const uint8_t hash[FILES_BLOB_HASH_SIZE],
                                char ret_path[FILES_PATH_SIZE], struct problem *problem)
{
    char text[HASH_TEXT_SIZE];
    char inner[FILES_PATH_SIZE];
    enum result result = files_join(folder, "partial", inner, problem);

    if (result == RESULT_OK)
        result = files_make_folder(inner, problem);
    bytes_to_hex(bytes_of(hash, FILES_BLOB_HASH_SIZE), text);
    if (result == RESULT_OK)
        result = files_join(inner, text, ret_path, problem);
    return result;
}

enum result files_partial_open(const char *folder, const uint8_t hash[FILES_BLOB_HASH_SIZE],
                               struct files_partial *ret_partial, struct problem *problem)
{
    struct stat facts;
    struct stat named;
    int descriptor = -1;
    enum result result = partial_path(folder, hash, ret_partial->path, problem);

    if (result == RESULT_OK)
        result = files_blob_path(folder, hash, ret_partial->finished_path, problem);
    if (result != RESULT_OK)
        return result;
    descriptor = open(ret_partial->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, PRIVATE_MODE);
    if (descriptor < 0)
        return failed(problem, ret_partial->path, "opening");
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: is being received already",
                             ret_partial->path);
    else if (fstat(descriptor, &facts) != 0)
        result = failed(problem, ret_partial->path, "looking at it");
    else if (stat(ret_partial->path, &named) != 0 || named.st_ino != facts.st_ino)
        result = problem_set(problem, RESULT_REFUSED, "%s: was finished or dropped meanwhile",
                             ret_partial->path);
    if (result != RESULT_OK) {
        (void)close(descriptor);
        return result;
    }
    ret_partial->descriptor = descriptor;
    ret_partial->size = (uint64_t)facts.st_size;
    return RESULT_OK;
}

enum result files_partial_append(struct files_partial *partial, uint64_t offset, struct bytes part,
                                 struct problem *problem)
{
    enum result result = RESULT_OK;

    invariant(partial->descriptor >= 0);
    if (offset != partial->size)
        return problem_set(problem, RESULT_REFUSED,
                           "%s: part at byte %" PRIu64 ", wanted at %" PRIu64, partial->path,
                           offset, partial->size);
    if (lseek(partial->descriptor, (off_t)partial->size, SEEK_SET) < 0)
        return failed(problem, partial->path, "seeking");
    result = write_all(partial->descriptor, partial->path, part, problem);
    if (result == RESULT_OK)
        partial->size += part.size;
    else if (ftruncate(partial->descriptor, (off_t)partial->size) != 0)
        result = problem_set(problem, RESULT_STORAGE, "%s: half written: %s", partial->path,
                             strerror(errno));
    return result;
}

enum result files_partial_read(const struct files_partial *partial, uint64_t offset, size_t size,
                               struct buffer *contents, struct problem *problem)
{
    invariant(partial->descriptor >= 0);
    if (offset >= partial->size)
        size = 0;
    else if (size > partial->size - offset)
        size = (size_t)(partial->size - offset);
    return read_at(partial->descriptor, partial->path, offset, size, contents, problem);
}

enum result files_partial_finish(struct files_partial *partial, struct problem *problem)
{
    char folder[FILES_PATH_SIZE];
    enum result result = RESULT_OK;

    invariant(partial->descriptor >= 0);
    result = sync_file(partial->descriptor, partial->path, problem);
    if (result == RESULT_OK)
        result = folder_of(partial->finished_path, folder, problem);
    if (result == RESULT_OK)
        result = files_make_folder(folder, problem);
    if (result == RESULT_OK && rename(partial->path, partial->finished_path) != 0)
        result = failed(problem, partial->finished_path, "moving it there");
    if (result == RESULT_OK)
        result = folder_sync(folder, problem);
    files_partial_pause(partial);
    return result;
}

enum result files_partial_drop(struct files_partial *partial, struct problem *problem)
{
    enum result result = files_remove(partial->path, problem);

    files_partial_pause(partial);
    return result;
}

void files_partial_pause(struct files_partial *partial)
{
    (void)close(partial->descriptor);
    partial->descriptor = -1;
}

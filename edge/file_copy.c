/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_CLOEXEC */

#include "edge/file_copy.h"

#include "edge/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_SIZE = 1 << 20 };

static enum result failed(const char *path, struct problem *problem)
{
    enum result result = errno == ENOSPC || errno == EDQUOT || errno == EMFILE ? RESULT_EXHAUSTED
                         : errno == EIO                                        ? RESULT_STORAGE
                                                                               : RESULT_REFUSED;

    return problem_set(problem, result, "%s: %s", path, strerror(errno));
}

static enum result write_all(int file, const char *path, const uint8_t *data, size_t size,
                             struct problem *problem)
{
    while (size > 0) {
        ssize_t written = write(file, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return failed(path, problem);
        data += written;
        size -= (size_t)written;
    }
    return RESULT_OK;
}

/* out -1: only looks. */
static enum result pass(int in, const char *from, int out, const char *to,
                        struct file_content *content, struct problem *problem)
{
    crypto_generichash_state state;
    uint8_t *piece = malloc(PIECE_SIZE);
    enum result result = RESULT_OK;

    if (piece == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory to read %s", from);
    content->size = 0;
    (void)crypto_generichash_init(&state, NULL, 0, FILE_HASH_SIZE);
    while (result == RESULT_OK) {
        ssize_t size = read(in, piece, PIECE_SIZE);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            result = failed(from, problem);
        if (size <= 0)
            break;
        (void)crypto_generichash_update(&state, piece, (size_t)size);
        content->size += size;
        if (out >= 0)
            result = write_all(out, to, piece, (size_t)size, problem);
    }
    (void)crypto_generichash_final(&state, content->hash, FILE_HASH_SIZE);
    free(piece);
    return result;
}

static enum result open_source(const char *path, int *ret_file, struct problem *problem)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file < 0)
        return failed(path, problem);
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)close(file);
        return problem_set(problem, RESULT_REFUSED, "%s is no file", path);
    }
    *ret_file = file;
    return RESULT_OK;
}

enum result file_look(const char *path, struct file_content *ret_content, struct problem *problem)
{
    struct file_content content = {0};
    int file = -1;
    enum result result = open_source(path, &file, problem);

    if (result != RESULT_OK)
        return result;
    result = pass(file, path, -1, NULL, &content, problem);
    (void)close(file);
    if (result == RESULT_OK)
        *ret_content = content;
    return result;
}

static enum result sync_folder_of(const char *path, struct problem *problem)
{
    const char *slash = strrchr(path, '/');
    char folder[FILES_PATH_SIZE];
    int file = -1;
    enum result result = RESULT_OK;

    (void)snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
                   slash == NULL ? "." : path);
    file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || fsync(file) != 0)
        result = failed(folder, problem);
    if (file >= 0)
        (void)close(file);
    return result;
}

enum result file_sync(const char *path, struct problem *problem)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    enum result result = RESULT_OK;

    if (file < 0 || fsync(file) != 0)
        result = failed(path, problem);
    if (file >= 0)
        (void)close(file);
    return result == RESULT_OK ? sync_folder_of(path, problem) : result;
}

enum result file_copy(const char *from, const char *to, struct file_content *ret_content,
                      struct problem *problem)
{
    struct file_content content = {0};
    int in = -1;
    int out = -1;
    enum result result = open_source(from, &in, problem);

    if (result != RESULT_OK)
        return result;
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) {
        result = failed(to, problem);
    } else {
        result = pass(in, from, out, to, &content, problem);
        if (result == RESULT_OK && fsync(out) != 0)
            result = failed(to, problem);
        (void)close(out);
        if (result == RESULT_OK)
            result = sync_folder_of(to, problem);
        if (result != RESULT_OK)
            (void)unlink(to);
    }
    (void)close(in);
    if (result == RESULT_OK)
        *ret_content = content;
    return result;
}

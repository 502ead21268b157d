/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_NOFOLLOW, O_CLOEXEC */

#include "edge/wipe.h"

#include "edge/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_SIZE = 64 * 1024 };

static int overwrite(int descriptor)
{
    static const char ZEROS[PIECE_SIZE];
    struct stat facts;
    off_t left;

    if (fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode))
        return -1;
    left = facts.st_size;
    while (left > 0) {
        ssize_t done = write(descriptor, ZEROS, left < PIECE_SIZE ? (size_t)left : PIECE_SIZE);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        left -= done;
    }
    return fsync(descriptor);
}

enum result wipe_file(const char *path, struct problem *problem)
{
    int descriptor = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    enum result result = RESULT_OK;

    if (descriptor < 0 && errno == ENOENT)
        return RESULT_OK;
    if (descriptor < 0 || overwrite(descriptor) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: overwriting: %s", path, strerror(errno));
    if (descriptor >= 0)
        (void)close(descriptor);
    if (result == RESULT_OK)
        result = files_remove(path, problem);
    return result;
}

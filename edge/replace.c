/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/replace.h"

#include "edge/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum result replace_file(const char *from, const char *to, struct problem *problem)
{
    if (rename(from, to) != 0)
        return problem_set(problem, RESULT_REFUSED, "renaming %s to %s: %s", from, to,
                           strerror(errno));
    return files_sync_name(to, problem);
}

enum result replace_keep(const char *path, const char *second_path, struct problem *problem)
{
    if (link(path, second_path) != 0)
        return problem_set(problem, RESULT_REFUSED, "a second name %s: %s", second_path,
                           strerror(errno));
    return files_sync_name(second_path, problem);
}

bool replace_is_same(const char *path, const char *other_path)
{
    struct stat one;
    struct stat other;

    return lstat(path, &one) == 0 && lstat(other_path, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/reserve.h"

#include "edge/files.h"

#define RESERVE_FILE_NAME "reserve"

enum { LOW_SIZE = 2 * RESERVE_SIZE, NONE_SIZE = 64 * 1024, RESERVE_MODE = 0600 };

enum reserve_room reserve_room(const char *folder, uint64_t *ret_size)
{
    struct problem ignored = {0};

    *ret_size = UINT64_MAX;
    if (files_free_size(folder, ret_size, &ignored) != RESULT_OK || *ret_size >= LOW_SIZE)
        return RESERVE_ROOM_AMPLE;
    return *ret_size >= NONE_SIZE ? RESERVE_ROOM_LOW : RESERVE_ROOM_NONE;
}

enum result reserve_keep(const char *folder, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    uint64_t free_size = 0;
    enum result result = files_join(folder, RESERVE_FILE_NAME, path, problem);

    if (result != RESULT_OK || files_exists(path))
        return result;
    if (reserve_room(folder, &free_size) != RESERVE_ROOM_AMPLE)
        return RESULT_OK;
    return files_allocate(path, RESERVE_SIZE, RESERVE_MODE, problem);
}

enum result reserve_give(const char *folder, bool *ret_is_given, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(folder, RESERVE_FILE_NAME, path, problem);

    *ret_is_given = false;
    if (result != RESULT_OK || !files_exists(path))
        return result;
    result = files_remove(path, problem);
    *ret_is_given = result == RESULT_OK;
    return result;
}

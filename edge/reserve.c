/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/reserve.h"

#include "edge/files.h"

enum { NONE_SIZE = 64 * 1024, RESERVE_MODE = 0600 };

enum reserve_room reserve_room(const char *folder, uint64_t size, uint64_t *ret_free)
{
    struct problem ignored = {0};

    *ret_free = UINT64_MAX;
    if (files_free_size(folder, ret_free, &ignored) != RESULT_OK || *ret_free / 2 >= size)
        return RESERVE_ROOM_AMPLE;
    return *ret_free >= NONE_SIZE ? RESERVE_ROOM_LOW : RESERVE_ROOM_NONE;
}

enum result reserve_keep(const char *folder, uint64_t size, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    uint64_t free_size = 0;
    enum result result = files_join(folder, RESERVE_FILE_NAME, path, problem);

    if (result != RESULT_OK || size == 0 || files_exists(path))
        return result;
    if (reserve_room(folder, size, &free_size) != RESERVE_ROOM_AMPLE)
        return RESULT_OK;
    return files_allocate(path, size, RESERVE_MODE, problem);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* New keys beside the old ones, file by file, so that a cut anywhere leaves a pair that opens. */
#include "agent/keys.h"

#include "agent/cli/state_file.h"
#include "base/invariant.h"
#include "edge/wipe.h"

#include "edge/files.h"

#include <string.h>

enum result keys_begin_rotation(const char *data_folder, struct keys *keys,
                                const uint8_t fresh[IDENTITY_KEY_SIZE], struct problem *problem)
{
    enum result result;

    if (keys->has_next)
        return RESULT_OK;
    keys->next = keys->file;
    memcpy(keys->next.noise_private, fresh, IDENTITY_KEY_SIZE);
    memset(keys->next.psk, 0, sizeof keys->next.psk);
    result = keys_write_file(data_folder, KEYS_NEXT_SUFFIX, keys, &keys->next, problem);
    keys->has_next = result == RESULT_OK;
    return result;
}

enum result keys_take_next_psk(const char *data_folder, struct keys *keys, struct bytes psk,
                               struct problem *problem)
{
    invariant(keys->has_next && psk.size == IDENTITY_KEY_SIZE);
    memcpy(keys->next.psk, psk.data, IDENTITY_KEY_SIZE);
    return keys_write_file(data_folder, KEYS_NEXT_SUFFIX, keys, &keys->next, problem);
}

static enum result remove_next(const char *data_folder, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(data_folder, KEY_FILE_NAME KEYS_NEXT_SUFFIX, path, problem);

    return result == RESULT_OK ? wipe_file(path, problem) : result;
}

enum result keys_rotate(const char *data_folder, struct keys *keys, int64_t now_s,
                        struct problem *problem)
{
    enum result result =
        keys_write_file(data_folder, KEYS_PREVIOUS_SUFFIX, keys, &keys->file, problem);

    invariant(keys->has_next);
    if (result == RESULT_OK)
        result = keys_write_file(data_folder, "", keys, &keys->next, problem);
    if (result != RESULT_OK)
        return result;
    keys->previous = keys->file;
    keys->has_previous = true;
    keys->file = keys->next;
    identity_wipe(&keys->next, sizeof keys->next);
    keys->has_next = false;
    keys->made_at_s = now_s;
    result = remove_next(data_folder, problem);
    return result == RESULT_OK ? keys_save_server(data_folder, keys, problem) : result;
}

enum result keys_revert(const char *data_folder, struct keys *keys, struct problem *problem)
{
    struct identity_file newer = keys->file;
    enum result result = keys_write_file(data_folder, "", keys, &keys->previous, problem);

    invariant(keys->has_previous);
    if (result == RESULT_OK)
        result = keys_write_file(data_folder, KEYS_PREVIOUS_SUFFIX, keys, &newer, problem);
    if (result == RESULT_OK) {
        keys->file = keys->previous;
        keys->previous = newer;
    }
    identity_wipe(&newer, sizeof newer);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/wipe.h"

#include "agent/cli/state_file.h"
#include "agent/keys.h"
#include "agent/local_http.h"
#include "agent/renewal.h"
#include "agent/replica/vault.h"
#include "agent/rescue.h"
#include "edge/blob_files.h"
#include "edge/files.h"
#include "edge/reserve.h"
#include "edge/wipe.h"

#include <string.h>

enum { NAMES_SIZE_MAX = 4 << 20 };

bool wipe_is_begun(const char *data_folder)
{
    char path[FILES_PATH_SIZE];
    struct problem ignored = {0};

    return files_join(data_folder, WIPE_FILE_NAME, path, &ignored) == RESULT_OK &&
           files_exists(path);
}

static enum result begin(const char *data_folder, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(data_folder, WIPE_FILE_NAME, path, problem);

    return result == RESULT_OK ? files_write(path, bytes_of_text("wiping\n"), 0600, problem)
                               : result;
}

/* Damaged files that a rescue has kept, its reports, and what a cut has left of it. */
static enum result wipe_rescued(const char *data_folder, struct problem *problem)
{
    static const char *const BEGINNINGS[] = {REPLICA_FILE_NAME ".", RESCUE_REPORT_FILE_NAME};
    const char *const *names = NULL;
    char path[FILES_PATH_SIZE];
    struct arena arena;
    size_t count = 0;
    enum result result;

    arena_init(&arena, NAMES_SIZE_MAX);
    result = files_list(data_folder, &arena, &names, &count, problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        if (strncmp(names[i], BEGINNINGS[0], strlen(BEGINNINGS[0])) != 0 &&
            strncmp(names[i], BEGINNINGS[1], strlen(BEGINNINGS[1])) != 0)
            continue;
        result = files_join(data_folder, names[i], path, problem);
        if (result == RESULT_OK)
            result = wipe_file(path, problem);
    }
    arena_done(&arena);
    return result;
}

/* The keys come first: without them nothing here speaks for the device any more. */
enum result wipe_device(const char *data_folder, struct problem *problem)
{
    static const char *const NAMES[] = {
        KEY_FILE_NAME,
        KEY_FILE_NAME KEYS_NEXT_SUFFIX,
        KEY_FILE_NAME KEYS_PREVIOUS_SUFFIX,
        REPLICA_KEY_FILE_NAME,
        REPLICA_KEY_FILE_NAME KEYS_NEXT_SUFFIX,
        RENEWAL_KEY_FILE_NAME,
        RENEWAL_FILE_NAME,
        REPLICA_FILE_NAME,
        REPLICA_FILE_NAME "-wal",
        REPLICA_FILE_NAME "-shm",
        REPLICA_FILE_NAME VAULT_LOG_SUFFIX,
        REPLICA_FILE_NAME VAULT_JOURNAL_SUFFIX,
        REPLICA_FORMER_FILE_NAME,
        REPLICA_FRESH_FILE_NAME,
        SERVER_FILE_NAME,
        STATE_FILE_NAME,
        REQUEST_FILE_NAME,
        RESERVE_FILE_NAME,
        LOCAL_TOKEN_FILE_NAME,
    };
    char path[FILES_PATH_SIZE];
    enum result first = begin(data_folder, problem);

    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct problem failure = {0};
        enum result result = files_join(data_folder, NAMES[i], path, &failure);

        if (result == RESULT_OK)
            result = wipe_file(path, &failure);
        if (result != RESULT_OK && first == RESULT_OK)
            first = problem_set(problem, result, "%s", failure.text);
    }
    if (first == RESULT_OK)
        first = wipe_rescued(data_folder, problem);
    if (first == RESULT_OK)
        first = files_join(data_folder, BLOBS_FOLDER_NAME, path, problem);
    if (first == RESULT_OK)
        first = blob_files_wipe(path, problem);
    if (first == RESULT_OK)
        first = files_join(data_folder, WIPE_FILE_NAME, path, problem);
    if (first == RESULT_OK)
        first = files_remove(path, problem);
    return first;
}

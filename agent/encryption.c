/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/encryption.h"

#include "agent/cli/state_file.h"
#include "agent/open.h"
#include "agent/replica/conversion.h"
#include "edge/files.h"
#include "edge/replace.h"
#include "edge/wipe.h"

#include <stdio.h>

struct places {
    char replica[FILES_PATH_SIZE];
    char fresh[FILES_PATH_SIZE];  /* being made */
    char former[FILES_PATH_SIZE]; /* the readable one, until it is wiped */
};

static enum result find_places(const char *data_folder, struct places *places,
                               struct problem *problem)
{
    enum result result = files_join(data_folder, REPLICA_FILE_NAME, places->replica, problem);

    if (result == RESULT_OK)
        result = files_join(data_folder, REPLICA_FRESH_FILE_NAME, places->fresh, problem);
    if (result == RESULT_OK)
        result = files_join(data_folder, REPLICA_FORMER_FILE_NAME, places->former, problem);
    return result;
}

static enum result require_passphrase(const struct keys *keys, struct problem *problem)
{
    if (keys->is_sealed)
        return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED,
                       "the keys of this device are under no passphrase: the replica's key beside "
                       "them would open it for anybody. Run `fieldsync-agent passphrase` first");
}

static enum result remove_beside(const char *replica, const char *const *ends, size_t end_count,
                                 struct problem *problem)
{
    char path[FILES_PATH_SIZE + 16];
    enum result result = RESULT_OK;

    for (size_t i = 0; i < end_count && result == RESULT_OK; i++) {
        (void)snprintf(path, sizeof path, "%s%s", replica, ends[i]);
        result = wipe_file(path, problem);
    }
    return result;
}

static enum result remove_fresh(const struct places *places, struct problem *problem)
{
    static const char *const ENDS[] = {"",     "-journal",           "-wal",
                                       "-shm", VAULT_JOURNAL_SUFFIX, VAULT_LOG_SUFFIX};

    return remove_beside(places->fresh, ENDS, sizeof ENDS / sizeof ENDS[0], problem);
}

/* What a cut has left: the file that was being made; the readable one, unless it is the replica
 * itself; and what SQLite made beside the other kind of file than the replica is now. */
static enum result tidy(const struct places *places, bool is_sealed, struct problem *problem)
{
    static const char *const PLAIN_ENDS[] = {"-journal", "-wal"};
    static const char *const SEALED_ENDS[] = {VAULT_JOURNAL_SUFFIX, VAULT_LOG_SUFFIX};
    enum result result = files_sync_name(places->replica, problem); /* before the former is gone */

    if (result == RESULT_OK)
        result = replace_is_same(places->replica, places->former)
                     ? files_remove(places->former, problem)
                     : wipe_file(places->former, problem);
    if (result == RESULT_OK)
        result = remove_fresh(places, problem);
    if (result == RESULT_OK)
        result = remove_beside(places->replica, is_sealed ? PLAIN_ENDS : SEALED_ENDS, 2, problem);
    return result;
}

enum result encryption_prepare(const char *data_folder, struct keys *keys, struct problem *problem)
{
    struct places places;
    enum result result = find_places(data_folder, &places, problem);

    if (result == RESULT_OK)
        result = require_passphrase(keys, problem);
    if (result == RESULT_OK && vault_look(places.replica) == VAULT_LOOK_PLAIN)
        result = problem_set(problem, RESULT_REFUSED,
                             "there is a replica that isn't encrypted: enrol without --encrypt, "
                             "then run `fieldsync-agent encrypt`");
    return result == RESULT_OK ? keys_make_replica(data_folder, keys, problem) : result;
}

/* The old one is locked until the new one has its name. After a failure the readable one isn't
 * wiped: the new name may not be on the disk. */
static enum result exchange(const struct places *places, const struct vault_options *from_vault,
                            const struct vault_options *to_vault, struct problem *problem)
{
    struct conversion *conversion = NULL;
    struct problem ignored = {0};
    const struct conversion_options options = {.from = places->replica,
                                               .to = places->fresh,
                                               .from_vault = from_vault,
                                               .to_vault = to_vault};
    enum result result = conversion_begin(&options, &conversion, problem);

    if (result == RESULT_OK && from_vault == NULL)
        result = replace_keep(places->replica, places->former, problem);
    if (result == RESULT_OK)
        result = replace_file(places->fresh, places->replica, problem);
    conversion_end(conversion);
    if (result != RESULT_OK && remove_fresh(places, &ignored) != RESULT_OK)
        problem_add(problem, "%s", ignored.text); /* the next call removes it */
    return result;
}

enum result encryption_turn_on(const char *data_folder, struct keys *keys, bool *ret_was,
                               struct problem *problem)
{
    struct places places;
    struct vault_options vault;
    enum vault_look look = VAULT_LOOK_NOTHING;
    enum result result = require_passphrase(keys, problem);

    if (result == RESULT_OK)
        result = find_places(data_folder, &places, problem);
    if (result == RESULT_OK)
        look = vault_look(places.replica);
    if (result == RESULT_OK && look == VAULT_LOOK_NOTHING)
        result = problem_set(problem, RESULT_REFUSED, "there is no replica yet");
    if (result == RESULT_OK)
        result = tidy(&places, look == VAULT_LOOK_SEALED, problem);
    if (result == RESULT_OK && look == VAULT_LOOK_PLAIN) {
        result = keys_make_replica(data_folder, keys, problem);
        vault = open_vault(keys);
        if (result == RESULT_OK)
            result = exchange(&places, NULL, &vault, problem);
        if (result == RESULT_OK)
            result = tidy(&places, true, problem);
    }
    if (result == RESULT_OK)
        *ret_was = look == VAULT_LOOK_SEALED;
    return result;
}

enum result encryption_turn_off(const char *data_folder, struct keys *keys, bool *ret_was,
                                struct problem *problem)
{
    struct places places;
    struct vault_options vault;
    enum vault_look look = VAULT_LOOK_NOTHING;
    enum result result = find_places(data_folder, &places, problem);

    if (result == RESULT_OK)
        look = vault_look(places.replica);
    if (result == RESULT_OK)
        result = tidy(&places, look == VAULT_LOOK_SEALED, problem);
    if (result == RESULT_OK && look == VAULT_LOOK_SEALED) {
        vault = open_vault(keys);
        result = keys->has_replica_key ? exchange(&places, &vault, NULL, problem)
                                       : problem_set(problem, RESULT_REFUSED, "%s isn't there",
                                                     REPLICA_KEY_FILE_NAME);
        if (result == RESULT_OK)
            result = tidy(&places, false, problem);
    }
    if (result == RESULT_OK) /* only now: until here it opens the replica */
        result = keys_remove_replica(data_folder, keys, problem);
    if (result == RESULT_OK)
        *ret_was = look != VAULT_LOOK_SEALED;
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The key of an encrypted replica: a file of its own under the passphrase of the other keys. */
#include "agent/keys.h"

#include "agent/cli/state_file.h"
#include "edge/entropy.h"
#include "edge/files.h"
#include "edge/replace.h"
#include "edge/secret.h"
#include "edge/wipe.h"

#include <string.h>

static const char MAGIC[] = "fieldsync replica key 1\n";
enum { MAGIC_SIZE = sizeof MAGIC - 1, PLAIN_SIZE = MAGIC_SIZE + VAULT_KEY_SIZE };

static enum result write_key(const char *data_folder, const char *name, const struct keys *keys,
                             struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char sealed[SEALED_TEXT_SIZE_MAX];
    uint8_t plain[PLAIN_SIZE];
    uint8_t nonce[SEALED_NONCE_SIZE];
    size_t size;
    enum result result = files_join(data_folder, name, path, problem);

    if (result != RESULT_OK)
        return result;
    memcpy(plain, MAGIC, MAGIC_SIZE);
    memcpy(plain + MAGIC_SIZE, keys->replica_key, VAULT_KEY_SIZE);
    entropy_fill(nonce, sizeof nonce);
    size = sealed_file_encode(bytes_of(plain, sizeof plain), &keys->seal, nonce, sealed);
    identity_wipe(plain, sizeof plain);
    return files_write(path, bytes_of(sealed, size), 0600, problem);
}

static enum result read_key(const char *path, struct keys *keys, struct problem *problem)
{
    uint8_t *plain = secret_alloc(SEALED_PLAIN_SIZE_MAX);
    struct buffer text;
    size_t size = 0;
    enum result result;

    if (plain == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the replica's key");
    buffer_init(&text, SEALED_TEXT_SIZE_MAX);
    result = files_read(path, &text, problem);
    if (result == RESULT_OK)
        result = sealed_file_decode(buffer_bytes(&text), &keys->seal, plain, &size, problem);
    if (result == RESULT_OK && (size != PLAIN_SIZE || memcmp(plain, MAGIC, MAGIC_SIZE) != 0))
        result = problem_set(problem, RESULT_REFUSED, "it holds no key of a replica");
    if (result == RESULT_OK) {
        memcpy(keys->replica_key, plain + MAGIC_SIZE, VAULT_KEY_SIZE);
        keys->has_replica_key = true;
    }
    buffer_done(&text);
    secret_free(plain);
    if (result != RESULT_OK)
        problem_add(problem, "%s", path);
    return result == RESULT_MALFORMED ? RESULT_REFUSED : result;
}

bool keys_have_replica_file(const char *data_folder)
{
    char path[FILES_PATH_SIZE];
    struct problem ignored = {0};

    return files_join(data_folder, REPLICA_KEY_FILE_NAME, path, &ignored) == RESULT_OK &&
           files_exists(path);
}

/* While the passphrase changes there are two, and the one of the device's keys decides. */
enum result keys_load_replica(const char *data_folder, struct keys *keys, struct problem *problem)
{
    static const char *const NAMES[] = {REPLICA_KEY_FILE_NAME,
                                        REPLICA_KEY_FILE_NAME KEYS_NEXT_SUFFIX};
    char path[FILES_PATH_SIZE];
    struct problem first = {0};
    enum result result = RESULT_OK;

    if (!keys_have_replica_file(data_folder))
        return RESULT_OK;
    if (!keys->is_sealed)
        return problem_set(problem, RESULT_REFUSED,
                           "%s is under a passphrase, and the device's keys aren't",
                           REPLICA_KEY_FILE_NAME);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0] && !keys->has_replica_key; i++) {
        struct problem failure = {0};

        result = files_join(data_folder, NAMES[i], path, &failure);
        if (result == RESULT_OK)
            result = read_key(path, keys, &failure);
        if (i == 0)
            first = failure;
    }
    if (keys->has_replica_key)
        return RESULT_OK;
    *problem = first;
    return result;
}

enum result keys_make_replica(const char *data_folder, struct keys *keys, struct problem *problem)
{
    enum result result;

    if (keys->has_replica_key)
        return RESULT_OK;
    entropy_fill(keys->replica_key, VAULT_KEY_SIZE);
    result = write_key(data_folder, REPLICA_KEY_FILE_NAME, keys, problem);
    keys->has_replica_key = result == RESULT_OK;
    return result;
}

/* It gets another name first: a cut in the midst of the wiping must not leave a key file that can't
 * be read. */
enum result keys_remove_replica(const char *data_folder, struct keys *keys, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char going[FILES_PATH_SIZE];
    enum result result = files_join(data_folder, REPLICA_KEY_FILE_NAME, path, problem);

    if (result == RESULT_OK)
        result = files_join(data_folder, REPLICA_KEY_FILE_NAME KEYS_NEXT_SUFFIX, going, problem);
    if (result == RESULT_OK)
        result = wipe_file(going, problem);
    if (result == RESULT_OK && files_exists(path))
        result = replace_file(path, going, problem);
    if (result == RESULT_OK)
        result = wipe_file(going, problem);
    keys->has_replica_key = false;
    identity_wipe(keys->replica_key, VAULT_KEY_SIZE);
    return result;
}

/* The next one first: whichever passphrase the device's keys have after a cut, one of the two is
 * under it. */
enum result keys_reseal(const char *data_folder, const struct keys *keys, struct problem *problem)
{
    char next[FILES_PATH_SIZE];
    enum result result =
        files_join(data_folder, REPLICA_KEY_FILE_NAME KEYS_NEXT_SUFFIX, next, problem);

    if (result == RESULT_OK && keys->has_replica_key)
        result = write_key(data_folder, REPLICA_KEY_FILE_NAME KEYS_NEXT_SUFFIX, keys, problem);
    if (result == RESULT_OK)
        result = keys_save(data_folder, keys, problem);
    if (result == RESULT_OK && keys->has_replica_key)
        result = write_key(data_folder, REPLICA_KEY_FILE_NAME, keys, problem);
    if (result == RESULT_OK)
        result = files_remove(next, problem);
    return result;
}

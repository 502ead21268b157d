/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keys.h"

#include "agent/cli/state_file.h"
#include "edge/entropy.h"
#include "edge/files.h"
#include "edge/secret.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void keys_destroy(struct keys *keys)
{
    secret_free(keys);
}

bool keys_pair_is_complete(const struct identity_file *file)
{
    static const uint8_t NONE[IDENTITY_KEY_SIZE];

    return !identity_equal(file->psk, NONE, sizeof NONE);
}

bool keys_are_enrolled(const struct keys *keys)
{
    return keys_pair_is_complete(&keys->file);
}

/* ---- the file `server` ---- */

enum result keys_save_server(const char *data_folder, const struct keys *keys,
                             struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char text[KEYS_URL_SIZE + 128];
    int size =
        snprintf(text, sizeof text, "url %s\nkey_serial %" PRId64 "\nkeys_made_at %" PRId64 "\n",
                 keys->url, keys->key_serial, keys->made_at_s);
    enum result result = files_join(data_folder, SERVER_FILE_NAME, path, problem);

    if (result != RESULT_OK)
        return result;
    return files_write(path, bytes_of(text, (size_t)size), 0600, problem);
}

static void take_server_line(const char *line, size_t size, struct keys *keys)
{
    if (size > 4 && size - 4 < sizeof keys->url && strncmp(line, "url ", 4) == 0)
        snprintf(keys->url, sizeof keys->url, "%.*s", (int)(size - 4), line + 4);
    else if (size > 11 && strncmp(line, "key_serial ", 11) == 0)
        keys->key_serial = strtoll(line + 11, NULL, 10);
    else if (size > 13 && strncmp(line, "keys_made_at ", 13) == 0)
        keys->made_at_s = strtoll(line + 13, NULL, 10);
}

static enum result load_server(const char *data_folder, struct keys *keys, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct buffer text;
    enum result result = files_join(data_folder, SERVER_FILE_NAME, path, problem);

    buffer_init(&text, 4096);
    if (result == RESULT_OK)
        result = files_read(path, &text, problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, "", 1, problem);
    for (const char *line = (const char *)text.data; result == RESULT_OK && *line != '\0';) {
        size_t size = strcspn(line, "\n");

        take_server_line(line, size, keys);
        line += size + (line[size] == '\n');
    }
    buffer_done(&text);
    if (result == RESULT_OK && (keys->url[0] == '\0' || keys->key_serial < 0))
        return problem_set(problem, RESULT_REFUSED, "%s has no url", path);
    return result;
}

/* ---- the key files ---- */

static enum result key_path(const char *data_folder, const char *suffix,
                            char ret_path[FILES_PATH_SIZE], struct problem *problem)
{
    char name[64];
    int size = snprintf(name, sizeof name, "%s%s", KEY_FILE_NAME, suffix);

    if (size < 0 || (size_t)size >= sizeof name)
        return problem_set(problem, RESULT_REFUSED, "a name of %d characters", size);
    return files_join(data_folder, name, ret_path, problem);
}

/* The first sealed file asks for the passphrase; the others open with the same key. */
static enum result unseal(struct bytes text, const struct keys_opener *opener, struct keys *keys,
                          uint8_t *plain, size_t *ret_size, struct problem *problem)
{
    char *typed = secret_alloc(SEALED_PASSPHRASE_SIZE_MAX + 2);
    uint8_t salt[SEALED_SALT_SIZE];
    struct bytes passphrase = {0};
    enum result result = RESULT_OK;

    if (typed == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a passphrase");
    if (!keys->is_sealed) {
        result = sealed_file_salt(text, salt, problem);
        if (result == RESULT_OK)
            result = opener == NULL
                         ? problem_set(problem, RESULT_REFUSED, "it is under a passphrase")
                         : opener->ask(opener->context, typed, SEALED_PASSPHRASE_SIZE_MAX + 2,
                                       &passphrase, problem);
        if (result == RESULT_OK)
            result = sealed_key_derive(passphrase, salt, &keys->seal, problem);
        keys->is_sealed = result == RESULT_OK;
    }
    secret_free(typed);
    return result == RESULT_OK ? sealed_file_decode(text, &keys->seal, plain, ret_size, problem)
                               : result;
}

static enum result load_file(const char *path, const struct keys_opener *opener, struct keys *keys,
                             struct identity_file *ret_file, struct problem *problem)
{
    uint8_t *plain = secret_alloc(SEALED_PLAIN_SIZE_MAX);
    struct buffer text;
    struct bytes content;
    size_t size = 0;
    enum result result;

    if (plain == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the device's keys");
    buffer_init(&text, SEALED_TEXT_SIZE_MAX);
    result = files_read(path, &text, problem);
    content = buffer_bytes(&text);
    if (result == RESULT_OK && sealed_file_is(content)) {
        result = unseal(content, opener, keys, plain, &size, problem);
        content = bytes_of(plain, size);
    }
    if (result == RESULT_OK)
        result = identity_file_decode(content, IDENTITY_DEVICE, ret_file, problem);
    if (text.data != NULL)
        identity_wipe(text.data, text.capacity);
    buffer_done(&text);
    secret_free(plain);
    if (result != RESULT_OK)
        problem_add(problem, "%s", path);
    return result == RESULT_MALFORMED ? RESULT_REFUSED : result;
}

bool keys_are_sealed(const char *data_folder)
{
    char path[FILES_PATH_SIZE];
    struct problem ignored = {0};
    struct buffer text;
    bool is_sealed = false;

    buffer_init(&text, SEALED_TEXT_SIZE_MAX);
    if (key_path(data_folder, "", path, &ignored) == RESULT_OK && files_exists(path) &&
        files_read(path, &text, &ignored) == RESULT_OK)
        is_sealed = sealed_file_is(buffer_bytes(&text));
    if (text.data != NULL)
        identity_wipe(text.data, text.capacity);
    buffer_done(&text);
    return is_sealed;
}

enum result keys_write_file(const char *data_folder, const char *suffix, const struct keys *keys,
                            const struct identity_file *file, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char text[IDENTITY_FILE_SIZE_MAX];
    char sealed[SEALED_TEXT_SIZE_MAX];
    uint8_t nonce[SEALED_NONCE_SIZE];
    size_t size;
    enum result result = key_path(data_folder, suffix, path, problem);

    if (result != RESULT_OK)
        return result;
    size = identity_file_encode(file, text);
    if (keys->is_sealed) {
        entropy_fill(nonce, sizeof nonce);
        size = sealed_file_encode(bytes_of(text, size), &keys->seal, nonce, sealed);
    }
    result = files_write(path, bytes_of(keys->is_sealed ? sealed : text, size), 0600, problem);
    identity_wipe(text, sizeof text);
    return result;
}

enum result keys_save(const char *data_folder, const struct keys *keys, struct problem *problem)
{
    enum result result = keys_save_server(data_folder, keys, problem);

    if (result == RESULT_OK && keys->has_next)
        result = keys_write_file(data_folder, KEYS_NEXT_SUFFIX, keys, &keys->next, problem);
    if (result == RESULT_OK && keys->has_previous)
        result = keys_write_file(data_folder, KEYS_PREVIOUS_SUFFIX, keys, &keys->previous, problem);
    if (result == RESULT_OK)
        result = keys_write_file(data_folder, "", keys, &keys->file, problem);
    return result;
}

/* What a rotation has left; a next pair that is the current one was cut while it took over. */
static enum result load_others(const char *data_folder, const struct keys_opener *opener,
                               struct keys *keys, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = key_path(data_folder, KEYS_NEXT_SUFFIX, path, problem);

    if (result == RESULT_OK && files_exists(path)) {
        result = load_file(path, opener, keys, &keys->next, problem);
        keys->has_next =
            result == RESULT_OK &&
            !identity_equal(keys->next.noise_private, keys->file.noise_private, IDENTITY_KEY_SIZE);
    }
    if (result == RESULT_OK)
        result = key_path(data_folder, KEYS_PREVIOUS_SUFFIX, path, problem);
    if (result == RESULT_OK && files_exists(path)) {
        result = load_file(path, opener, keys, &keys->previous, problem);
        keys->has_previous = result == RESULT_OK;
    }
    return result;
}

enum result keys_load(const char *data_folder, const struct keys_opener *opener,
                      struct keys **ret_keys, struct problem *problem)
{
    struct keys *keys = secret_alloc(sizeof *keys);
    char path[FILES_PATH_SIZE];
    enum result result;

    if (keys == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the device's keys");
    result = key_path(data_folder, "", path, problem);
    if (result == RESULT_OK && !files_exists(path))
        result = problem_set(problem, RESULT_REFUSED, "%s isn't there: this device isn't enrolled",
                             path);
    if (result == RESULT_OK)
        result = load_file(path, opener, keys, &keys->file, problem);
    if (result == RESULT_OK)
        result = load_others(data_folder, opener, keys, problem);
    if (result == RESULT_OK)
        result = keys_load_replica(data_folder, keys, problem);
    if (result == RESULT_OK)
        result = load_server(data_folder, keys, problem);
    if (result != RESULT_OK) {
        keys_destroy(keys);
        return result;
    }
    *ret_keys = keys;
    return RESULT_OK;
}

/* Those that are there, of an enrolment that was begun. */
static enum result take_begun(const char *path, const struct identity_code *code,
                              const struct keys_opener *opener, struct keys *keys,
                              struct problem *problem)
{
    enum result result = load_file(path, opener, keys, &keys->file, problem);

    if (result == RESULT_OK && keys_are_enrolled(keys))
        return problem_set(problem, RESULT_REFUSED, "this device is enrolled already");
    if (result == RESULT_OK &&
        !identity_equal(keys->file.root_public_key, code->root_public_key, IDENTITY_KEY_SIZE))
        return problem_set(problem, RESULT_REFUSED,
                           "an enrolment with another company was begun in this folder");
    return result;
}

enum result keys_prepare(const char *data_folder, const struct identity_code *code, const char *url,
                         const struct keys_opener *opener, const struct sealed_key *seal,
                         struct keys **ret_keys, struct problem *problem)
{
    struct keys *keys = secret_alloc(sizeof *keys);
    char path[FILES_PATH_SIZE];
    enum result result;

    if (keys == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the device's keys");
    result = key_path(data_folder, "", path, problem);
    if (result == RESULT_OK && files_exists(path)) {
        result = take_begun(path, code, opener, keys, problem);
    } else if (result == RESULT_OK) {
        keys->file.kind = IDENTITY_DEVICE;
        entropy_fill(keys->file.noise_private, sizeof keys->file.noise_private);
        entropy_fill(keys->file.sign_seed, sizeof keys->file.sign_seed);
        memcpy(keys->file.root_public_key, code->root_public_key, IDENTITY_KEY_SIZE);
    }
    if (seal != NULL) {
        keys->seal = *seal;
        keys->is_sealed = true;
    }
    if (result == RESULT_OK &&
        snprintf(keys->url, sizeof keys->url, "%s%s", url != NULL ? "" : "ws://",
                 url != NULL ? url : code->address) >= (int)sizeof keys->url)
        result = problem_set(problem, RESULT_REFUSED, "the server's address is too long");
    if (result == RESULT_OK)
        result = keys_save(data_folder, keys, problem);
    if (result != RESULT_OK) {
        keys_destroy(keys);
        return result;
    }
    *ret_keys = keys;
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/keys.h"

#include "agent/cli/state_file.h"
#include "edge/entropy.h"
#include "edge/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The wiping allocator is libsodium's, through protocol/identity.h only for the wiping: guarded
 * pages are the agent core's, which holds its own copy for as long as it runs. */
static struct keys *keys_create(void)
{
    return calloc(1, sizeof(struct keys));
}

void keys_destroy(struct keys *keys)
{
    if (keys == NULL)
        return;
    identity_wipe(keys, sizeof *keys);
    free(keys);
}

bool keys_are_enrolled(const struct keys *keys)
{
    static const uint8_t NONE[IDENTITY_KEY_SIZE];

    return !identity_equal(keys->file.psk, NONE, sizeof NONE);
}

/* ---- the file `server` ---- */

enum result keys_save_server(const char *data_folder, const struct keys *keys,
                             struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char text[KEYS_URL_SIZE + 64];
    int size = snprintf(text, sizeof text, "url %s\nkey_serial %" PRId64 "\n", keys->url,
                        keys->key_serial);
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

/* ---- the key file ---- */

static enum result load_file(const char *path, struct keys *keys, struct problem *problem)
{
    struct buffer text;
    enum result result;

    buffer_init(&text, IDENTITY_FILE_SIZE_MAX);
    result = files_read(path, &text, problem);
    if (result == RESULT_OK)
        result = identity_file_decode(buffer_bytes(&text), IDENTITY_DEVICE, &keys->file, problem);
    if (text.data != NULL)
        identity_wipe(text.data, text.capacity);
    buffer_done(&text);
    return result;
}

enum result keys_save(const char *data_folder, const struct keys *keys, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char text[IDENTITY_FILE_SIZE_MAX];
    size_t size;
    enum result result = keys_save_server(data_folder, keys, problem);

    if (result == RESULT_OK)
        result = files_join(data_folder, KEY_FILE_NAME, path, problem);
    if (result != RESULT_OK)
        return result;
    size = identity_file_encode(&keys->file, text);
    result = files_write(path, bytes_of(text, size), 0600, problem);
    identity_wipe(text, sizeof text);
    return result;
}

enum result keys_load(const char *data_folder, struct keys **ret_keys, struct problem *problem)
{
    struct keys *keys = keys_create();
    char path[FILES_PATH_SIZE];
    enum result result;

    if (keys == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the device's keys");
    result = files_join(data_folder, KEY_FILE_NAME, path, problem);
    if (result == RESULT_OK && !files_exists(path))
        result = problem_set(problem, RESULT_REFUSED, "%s isn't there: this device isn't enrolled",
                             path);
    if (result == RESULT_OK)
        result = load_file(path, keys, problem);
    if (result == RESULT_OK)
        result = load_server(data_folder, keys, problem);
    if (result != RESULT_OK) {
        keys_destroy(keys);
        return result == RESULT_MALFORMED ? RESULT_REFUSED : result;
    }
    *ret_keys = keys;
    return RESULT_OK;
}

enum result keys_prepare(const char *data_folder, const struct identity_code *code, const char *url,
                         struct keys **ret_keys, struct problem *problem)
{
    struct keys *keys = keys_create();
    char path[FILES_PATH_SIZE];
    enum result result;

    if (keys == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the device's keys");
    result = files_join(data_folder, KEY_FILE_NAME, path, problem);
    if (result == RESULT_OK && files_exists(path)) {
        result = load_file(path, keys, problem);
        if (result == RESULT_OK && keys_are_enrolled(keys))
            result = problem_set(problem, RESULT_REFUSED, "this device is enrolled already");
        else if (result == RESULT_OK && !identity_equal(keys->file.root_public_key,
                                                        code->root_public_key, IDENTITY_KEY_SIZE))
            result = problem_set(problem, RESULT_REFUSED,
                                 "an enrolment with another company was begun in this folder");
    } else if (result == RESULT_OK) {
        keys->file.kind = IDENTITY_DEVICE;
        entropy_fill(keys->file.noise_private, sizeof keys->file.noise_private);
        entropy_fill(keys->file.sign_seed, sizeof keys->file.sign_seed);
        memcpy(keys->file.root_public_key, code->root_public_key, IDENTITY_KEY_SIZE);
    }
    if (result == RESULT_OK &&
        snprintf(keys->url, sizeof keys->url, "%s%s", url != NULL ? "" : "ws://",
                 url != NULL ? url : code->address) >= (int)sizeof keys->url)
        result = problem_set(problem, RESULT_REFUSED, "the server's address is too long");
    if (result == RESULT_OK)
        result = keys_save(data_folder, keys, problem);
    if (result != RESULT_OK) {
        keys_destroy(keys);
        return result == RESULT_MALFORMED ? RESULT_REFUSED : result;
    }
    *ret_keys = keys;
    return RESULT_OK;
}

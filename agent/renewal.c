/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/renewal.h"

#include "edge/entropy.h"
#include "edge/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RENEWAL_TEXT_SIZE = IDENTITY_CODE_SIZE + 64 };

static enum result write_text(const char *data_folder, const char *name, struct bytes text,
                              struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(data_folder, name, path, problem);

    return result == RESULT_OK ? files_write(path, text, 0600, problem) : result;
}

/* RESULT_OK with an empty buffer: it isn't there. */
static enum result read_text(const char *data_folder, const char *name, struct buffer *text,
                             struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(data_folder, name, path, problem);

    if (result != RESULT_OK || !files_exists(path))
        return result;
    return files_read(path, text, problem);
}

enum result renewal_begin(const char *data_folder, const struct keys *keys,
                          const struct identity_code *code, int64_t former_no,
                          struct problem *problem)
{
    struct identity_file file = {.kind = IDENTITY_DEVICE};
    char key_text[IDENTITY_FILE_SIZE_MAX];
    char code_text[IDENTITY_CODE_SIZE];
    char text[RENEWAL_TEXT_SIZE];
    size_t key_size = 0;
    int size = 0;
    enum result result = identity_code_encode(code, code_text, problem);

    memcpy(file.root_public_key, keys->file.root_public_key, sizeof file.root_public_key);
    entropy_fill(file.noise_private, sizeof file.noise_private);
    /* what it has signed must stay its own: the signing key goes along */
    memcpy(file.sign_seed, keys->file.sign_seed, sizeof file.sign_seed);
    key_size = identity_file_encode(&file, key_text);
    size = snprintf(text, sizeof text, "%" PRId64 " %s\n", former_no,
                    result == RESULT_OK ? code_text : "");
    if (result == RESULT_OK)
        result =
            write_text(data_folder, RENEWAL_KEY_FILE_NAME, bytes_of(key_text, key_size), problem);
    if (result == RESULT_OK) /* last: with it the renewal has begun */
        result = write_text(data_folder, RENEWAL_FILE_NAME, bytes_of(text, (size_t)size), problem);
    identity_wipe(&file, sizeof file);
    identity_wipe(key_text, sizeof key_text);
    identity_wipe(code_text, sizeof code_text);
    identity_wipe(text, sizeof text);
    return result;
}

static enum result decode(struct bytes key_text, const char *text, const struct keys *keys,
                          struct renewal *renewal, struct problem *problem)
{
    char *code = NULL;
    enum result result;

    renewal->former_no = strtoll(text, &code, 10);
    renewal->keys = calloc(1, sizeof *renewal->keys);
    if (renewal->keys == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the device's keys");
    *renewal->keys = *keys;
    result = identity_file_decode(key_text, IDENTITY_DEVICE, &renewal->keys->file, problem);
    if (result == RESULT_OK)
        result = identity_code_decode(bytes_of(code, strcspn(code, "\n")), &renewal->code, problem);
    return result == RESULT_MALFORMED ? RESULT_REFUSED : result;
}

enum result renewal_load(const char *data_folder, const struct keys *keys,
                         struct renewal *ret_renewal, struct problem *problem)
{
    struct buffer key_text;
    struct buffer text;
    enum result result;

    *ret_renewal = (struct renewal){0};
    buffer_init(&key_text, IDENTITY_FILE_SIZE_MAX);
    buffer_init(&text, RENEWAL_TEXT_SIZE);
    result = read_text(data_folder, RENEWAL_FILE_NAME, &text, problem);
    if (result == RESULT_OK && text.size > 0)
        result = read_text(data_folder, RENEWAL_KEY_FILE_NAME, &key_text, problem);
    if (result == RESULT_OK && text.size > 0)
        result = buffer_append(&text, "", 1, problem);
    if (result == RESULT_OK && text.size > 0)
        result =
            decode(buffer_bytes(&key_text), (const char *)text.data, keys, ret_renewal, problem);
    if (key_text.data != NULL)
        identity_wipe(key_text.data, key_text.capacity);
    if (text.data != NULL)
        identity_wipe(text.data, text.capacity);
    buffer_done(&key_text);
    buffer_done(&text);
    if (result != RESULT_OK)
        problem_add(problem, "%s in %s", RENEWAL_FILE_NAME, data_folder);
    return result;
}

enum result renewal_drop(const char *data_folder, struct problem *problem)
{
    static const char *const NAMES[] = {RENEWAL_FILE_NAME, RENEWAL_KEY_FILE_NAME};
    char path[FILES_PATH_SIZE];
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0] && result == RESULT_OK; i++) {
        result = files_join(data_folder, NAMES[i], path, problem);
        if (result == RESULT_OK)
            result = files_remove(path, problem);
    }
    return result;
}

enum result renewal_finish(const char *data_folder, const struct keys *keys,
                           struct problem *problem)
{
    enum result result = keys_save(data_folder, keys, problem);

    return result == RESULT_OK ? renewal_drop(data_folder, problem) : result;
}

void renewal_done(struct renewal *renewal)
{
    keys_destroy(renewal->keys);
    identity_wipe(renewal, sizeof *renewal);
}

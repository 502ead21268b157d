/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the company: made once, read at each start, changed under the root key. */
#define _GNU_SOURCE

#include "server/setup_inside.h"

#include "edge/entropy.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { KEY_MODE = 0600, CHANGE_TEXT_SIZE = 256 };

#define CHANGE_TITLE "fieldsync root change 1\n"

static enum result write_key(const char *path, const struct identity_file *file,
                             struct problem *problem)
{
    char text[IDENTITY_FILE_SIZE_MAX];
    size_t size = identity_file_encode(file, text);
    enum result result = files_write(path, bytes_of(text, size), KEY_MODE, problem);

    identity_wipe(text, sizeof text);
    return result;
}

enum result setup_create_keys(const struct setup *setup, struct problem *problem)
{
    struct identity_file root = {.kind = IDENTITY_ROOT};
    struct identity_file server = {.kind = IDENTITY_SERVER, .serial = 1};
    struct identity_signer signer;
    struct noise_keypair keys;
    enum result result;

    entropy_fill(root.sign_seed, sizeof root.sign_seed);
    entropy_fill(server.noise_private, sizeof server.noise_private);
    identity_signer_from(root.sign_seed, &signer);
    noise_keypair_from(server.noise_private, &keys);
    memcpy(server.root_public_key, signer.public_key, sizeof server.root_public_key);
    identity_certify(&signer, server.serial, keys.public_key, server.signature);
    result = write_key(setup->root_key, &root, problem);
    if (result == RESULT_OK)
        result = write_key(setup->server_key, &server, problem);
    identity_wipe(&root, sizeof root);
    identity_wipe(&server, sizeof server);
    identity_wipe(&signer, sizeof signer);
    identity_wipe(&keys, sizeof keys);
    return result;
}

static enum result decode_key(struct setup *setup, struct bytes text, struct problem *problem)
{
    struct identity_file *key = setup->key;
    struct noise_keypair keys;
    enum result result = identity_file_decode(text, IDENTITY_SERVER, key, problem);

    if (result != RESULT_OK) {
        problem_add(problem, "%s", setup->server_key);
        return RESULT_REFUSED;
    }
    noise_keypair_from(key->noise_private, &keys);
    if (!identity_is_certified(key->root_public_key, key->serial, keys.public_key, key->signature))
        result = problem_set(problem, RESULT_REFUSED,
                             "%s: the root key has not signed this server key", setup->server_key);
    identity_wipe(&keys, sizeof keys);
    return result;
}

/* ---- root.change: the new root's public key and the old root's word for it ---- */

static enum result write_change(const struct setup *setup,
                                const struct identity_root_change *change, struct problem *problem)
{
    char text[CHANGE_TEXT_SIZE];
    char root[2 * IDENTITY_KEY_SIZE + 1];
    char signature[2 * IDENTITY_SIGNATURE_SIZE + 1];
    int size;

    bytes_to_hex(bytes_of(change->public_key, sizeof change->public_key), root);
    bytes_to_hex(bytes_of(change->signature, sizeof change->signature), signature);
    size = snprintf(text, sizeof text, CHANGE_TITLE "root %s\nsignature %s\n", root, signature);
    return files_write(setup->root_change_path, bytes_of(text, (size_t)size), KEY_MODE, problem);
}

/* The text is ours to the letter, so its places are fixed. */
static enum result read_change(struct setup *setup, struct problem *problem)
{
    enum {
        ROOT_AT = sizeof CHANGE_TITLE - 1 + sizeof "root " - 1,
        SIGNATURE_AT = ROOT_AT + 2 * IDENTITY_KEY_SIZE + sizeof "\nsignature " - 1,
        TEXT_SIZE = SIGNATURE_AT + 2 * IDENTITY_SIGNATURE_SIZE + 1,
    };
    struct buffer text;
    enum result result;

    setup->has_root_change = false;
    if (!files_exists(setup->root_change_path))
        return RESULT_OK;
    buffer_init(&text, CHANGE_TEXT_SIZE);
    result = files_read(setup->root_change_path, &text, problem);
    if (result == RESULT_OK && text.size == TEXT_SIZE) { /* line ends become ends of texts */
        text.data[SIGNATURE_AT - (sizeof "\nsignature " - 1)] = '\0';
        text.data[TEXT_SIZE - 1] = '\0';
    }
    if (result == RESULT_OK &&
        (text.size != TEXT_SIZE || memcmp(text.data, CHANGE_TITLE, sizeof CHANGE_TITLE - 1) != 0 ||
         !bytes_from_hex((const char *)text.data + ROOT_AT, setup->root_change.public_key,
                         IDENTITY_KEY_SIZE) ||
         !bytes_from_hex((const char *)text.data + SIGNATURE_AT, setup->root_change.signature,
                         IDENTITY_SIGNATURE_SIZE)))
        result = problem_set(problem, RESULT_REFUSED, "%s is damaged", setup->root_change_path);
    /* one that was cut before the server key followed says nothing yet */
    setup->has_root_change =
        result == RESULT_OK &&
        memcmp(setup->root_change.public_key, setup->key->root_public_key, IDENTITY_KEY_SIZE) == 0;
    buffer_done(&text);
    return result;
}

enum result setup_read_key(struct setup *setup, struct problem *problem)
{
    uint8_t *plain = secret_alloc(SEALED_PLAIN_SIZE_MAX);
    struct buffer text;
    struct bytes content;
    size_t size = 0;
    enum result result;

    if (setup->key == NULL)
        setup->key = sodium_malloc(sizeof *setup->key);
    if (setup->key == NULL || plain == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no guarded memory for the server key");
    buffer_init(&text, SEALED_TEXT_SIZE_MAX);
    result = files_read(setup->server_key, &text, problem);
    content = buffer_bytes(&text);
    if (result == RESULT_OK && sealed_file_is(content)) {
        result = setup_unseal(setup, content, plain, &size, problem);
        content = bytes_of(plain, size);
        if (result != RESULT_OK)
            problem_add(problem, "%s", setup->server_key);
    }
    if (result == RESULT_OK)
        result = decode_key(setup, content, problem);
    if (text.data != NULL)
        identity_wipe(text.data, text.size);
    buffer_done(&text);
    secret_free(plain);
    return result == RESULT_OK ? read_change(setup, problem) : result;
}

static enum result read_root(const char *path, struct identity_file *root, struct problem *problem)
{
    struct buffer text;
    enum result result;

    buffer_init(&text, IDENTITY_FILE_SIZE_MAX);
    result = files_read(path, &text, problem);
    if (result == RESULT_OK)
        result = identity_file_decode(buffer_bytes(&text), IDENTITY_ROOT, root, problem);
    if (text.data != NULL)
        identity_wipe(text.data, text.size);
    buffer_done(&text);
    if (result != RESULT_OK)
        problem_add(problem, "the root key %s", path);
    return result == RESULT_MALFORMED ? RESULT_REFUSED : result;
}

static enum result check_root(const struct setup *setup, const struct identity_signer *signer,
                              struct problem *problem)
{
    if (memcmp(signer->public_key, setup->key->root_public_key, sizeof signer->public_key) != 0)
        return problem_set(problem, RESULT_REFUSED,
                           "this is not the root key that devices know; nothing was changed");
    return RESULT_OK;
}

/* Whoever holds the root key may change keys; the caller wipes *ret_signer. */
static enum result read_signer(struct setup *setup, const char *root_path,
                               struct identity_signer *ret_signer, struct problem *problem)
{
    struct identity_file root = {0};
    enum result result = setup_read_key(setup, problem);

    if (result == RESULT_OK)
        result = read_root(root_path != NULL ? root_path : setup->root_key, &root, problem);
    if (result == RESULT_OK) {
        identity_signer_from(root.sign_seed, ret_signer);
        result = check_root(setup, ret_signer, problem);
    }
    identity_wipe(&root, sizeof root);
    return result;
}

/* A new server key under this root, with the next serial. */
static enum result certify_next(struct setup *setup, const struct identity_signer *signer,
                                struct problem *problem)
{
    struct identity_file next = *setup->key;
    struct noise_keypair keys = {0};
    enum result result = RESULT_OK;

    memcpy(next.root_public_key, signer->public_key, sizeof next.root_public_key);
    entropy_fill(next.noise_private, sizeof next.noise_private);
    next.serial++;
    noise_keypair_from(next.noise_private, &keys);
    identity_certify(signer, next.serial, keys.public_key, next.signature);
    result = setup_write_server_key(setup, &next, problem);
    if (result == RESULT_OK)
        *setup->key = next;
    identity_wipe(&next, sizeof next);
    identity_wipe(&keys, sizeof keys);
    return result;
}

enum result setup_rotate_key(struct setup *setup, const char *root_path, struct problem *problem)
{
    struct identity_signer signer = {0};
    enum result result = read_signer(setup, root_path, &signer, problem);

    if (result == RESULT_OK)
        result = certify_next(setup, &signer, problem);
    identity_wipe(&signer, sizeof signer);
    return result;
}

/* The old key steps aside only in the end: until then everything is as it was, or can be done anew.
 */
static enum result replace_root(struct setup *setup, const struct identity_signer *old_signer,
                                struct problem *problem)
{
    struct identity_file root = {.kind = IDENTITY_ROOT};
    struct identity_signer signer;
    struct identity_root_change change;
    char next[FILES_PATH_SIZE + 8];
    char old[FILES_PATH_SIZE + 8];
    enum result result;

    snprintf(next, sizeof next, "%s.next", setup->root_key);
    snprintf(old, sizeof old, "%s.old", setup->root_key);
    entropy_fill(root.sign_seed, sizeof root.sign_seed);
    identity_signer_from(root.sign_seed, &signer);
    identity_change_root(old_signer, signer.public_key, &change);
    result = write_key(next, &root, problem);
    if (result == RESULT_OK)
        result = write_change(setup, &change, problem);
    if (result == RESULT_OK)
        result = certify_next(setup, &signer, problem);
    if (result == RESULT_OK && ((rename(setup->root_key, old) != 0 && errno != ENOENT) ||
                                rename(next, setup->root_key) != 0))
        result = problem_set(problem, RESULT_REFUSED, "%s is the new root key: %s", next,
                             strerror(errno));
    identity_wipe(&root, sizeof root);
    identity_wipe(&signer, sizeof signer);
    return result;
}

enum result setup_change_root(struct setup *setup, const char *root_path, struct problem *problem)
{
    struct identity_signer signer = {0};
    enum result result = read_signer(setup, root_path, &signer, problem);

    if (result == RESULT_OK)
        result = replace_root(setup, &signer, problem);
    identity_wipe(&signer, sizeof signer);
    return result;
}

/* ---- the key for receipts ---- */

enum result setup_ensure_report_key(struct setup *setup, struct problem *problem)
{
    struct identity_file file = {.kind = IDENTITY_REPORT};
    char keys[FILES_PATH_SIZE];
    enum result result;

    if (files_exists(setup->report_key))
        return RESULT_OK;
    result = files_join(setup->folder, "keys", keys, problem);
    if (result == RESULT_OK)
        result = files_make_folder(keys, problem);
    if (result != RESULT_OK)
        return result;
    entropy_fill(file.sign_seed, sizeof file.sign_seed);
    result = write_key(setup->report_key, &file, problem);
    identity_wipe(&file, sizeof file);
    return result;
}

static enum result decode_report_key(struct setup *setup, struct bytes text,
                                     struct problem *problem)
{
    struct identity_file file = {0};
    enum result result = identity_file_decode(text, IDENTITY_REPORT, &file, problem);

    if (result == RESULT_OK)
        crypto_sign_seed_keypair(setup->reports->public_key, setup->reports->secret_key,
                                 file.sign_seed);
    else
        result = problem_set(problem, RESULT_REFUSED, "%s: %s", setup->report_key, problem->text);
    identity_wipe(&file, sizeof file);
    return result;
}

enum result setup_read_report_key(struct setup *setup, struct problem *problem)
{
    struct problem unreadable = {0};
    struct buffer text;
    enum result result = RESULT_OK;

    if (setup->reports != NULL || !files_exists(setup->report_key))
        return RESULT_OK;
    setup->reports = sodium_malloc(sizeof *setup->reports);
    if (setup->reports == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no guarded memory for the report key");
    buffer_init(&text, IDENTITY_FILE_SIZE_MAX);
    if (files_read(setup->report_key, &text, &unreadable) == RESULT_OK) {
        result = decode_report_key(setup, buffer_bytes(&text), problem);
    } else {
        sodium_free(setup->reports);
        setup->reports = NULL;
    }
    if (text.data != NULL)
        identity_wipe(text.data, text.size);
    buffer_done(&text);
    return result;
}

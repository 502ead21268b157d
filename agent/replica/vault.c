/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* O_CLOEXEC */
#endif

#include "agent/replica/vault_inside.h"

#include "base/invariant.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct vault *vault_of(sqlite3_vfs *vfs)
{
    return (struct vault *)(void *)vfs;
}

/* ---- the header of a database ----------------------------------------------------------------
 *
 *     magic 16      what the file is, for people, too
 *     identity 16   random: units of one file are no good in another
 *     nonce 24
 *     tag 16        over nothing, with magic and identity as associated data: is it this key?
 *     hash 16       BLAKE2b of all before: is it whole?
 *
 * twice, in the middle of the block once more: without the identity nothing can be read. */

enum {
    MAGIC_SIZE = 16,
    NONCE_AT = MAGIC_SIZE + VAULT_IDENTITY_SIZE,
    TAG_AT = NONCE_AT + VAULT_NONCE_SIZE,
    HASH_AT = TAG_AT + VAULT_TAG_SIZE,
    HASH_SIZE = 16,
    HEADER_USED_SIZE = HASH_AT + HASH_SIZE,
    SECOND_AT = VAULT_HEADER_SIZE / 2,
};
static const uint8_t MAGIC[MAGIC_SIZE + 1] = "fieldsync sealed";
static const char PLAIN_MAGIC[] = "SQLite format 3"; /* with its NUL */

static void encode_header(struct vault_file *file, uint8_t ret_block[VAULT_HEADER_SIZE])
{
    struct vault *vault = file->vault;

    memset(ret_block, 0, VAULT_HEADER_SIZE);
    memcpy(ret_block, MAGIC, MAGIC_SIZE);
    vault->draw(vault->context, file->identity, VAULT_IDENTITY_SIZE);
    memcpy(ret_block + MAGIC_SIZE, file->identity, VAULT_IDENTITY_SIZE);
    vault->draw(vault->context, ret_block + NONCE_AT, VAULT_NONCE_SIZE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(ret_block + TAG_AT, NULL, NULL, 0, ret_block,
                                                     NONCE_AT, NULL, ret_block + NONCE_AT,
                                                     vault->key);
    (void)crypto_generichash(ret_block + HASH_AT, HASH_SIZE, ret_block, HASH_AT, NULL, 0);
    memcpy(ret_block + SECOND_AT, ret_block, HEADER_USED_SIZE);
}

static bool header_is_whole(const uint8_t *header)
{
    uint8_t hash[HASH_SIZE];

    (void)crypto_generichash(hash, HASH_SIZE, header, HASH_AT, NULL, 0);
    return memcmp(header, MAGIC, MAGIC_SIZE) == 0 && memcmp(header + HASH_AT, hash, HASH_SIZE) == 0;
}

/* NULL: neither of the two is whole. */
static const uint8_t *find_header(const uint8_t block[VAULT_HEADER_SIZE])
{
    if (header_is_whole(block))
        return block;
    return header_is_whole(block + SECOND_AT) ? block + SECOND_AT : NULL;
}

static bool is_header_of(const uint8_t *header, const uint8_t *key)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt(NULL, NULL, NULL, header + TAG_AT,
                                                      VAULT_TAG_SIZE, header, NONCE_AT,
                                                      header + NONCE_AT, key) == 0;
}

enum vault_look vault_look(const char *path)
{
    uint8_t block[VAULT_HEADER_SIZE] = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t size = file < 0 ? 0 : pread(file, block, sizeof block, 0);

    if (file >= 0)
        (void)close(file);
    if (size == 0)
        return VAULT_LOOK_NOTHING;
    /* a name alone is enough: then it is a damaged one, and says so when it is opened */
    return memcmp(block, MAGIC, MAGIC_SIZE) == 0 || find_header(block) != NULL ? VAULT_LOOK_SEALED
                                                                               : VAULT_LOOK_PLAIN;
}

/* ---- opening a database ---------------------------------------------------------------------- */

static int refuse(struct vault_file *file, const char *why)
{
    (void)snprintf(file->vault->trouble, sizeof file->vault->trouble, "%s", why);
    return SQLITE_NOTADB;
}

static int read_block(struct vault_file *file, uint8_t ret_block[VAULT_HEADER_SIZE],
                      sqlite3_int64 *ret_size)
{
    sqlite3_file *below = vault_file_below(file);
    int code = below->pMethods->xFileSize(below, ret_size);

    if (code == SQLITE_OK)
        code = below->pMethods->xRead(below, ret_block, VAULT_HEADER_SIZE, 0);
    return code == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : code;
}

/* Nothing yet, or a header that a power cut has torn while the file was made. */
static bool may_be_made(const uint8_t block[VAULT_HEADER_SIZE], sqlite3_int64 size)
{
    return size <= VAULT_HEADER_SIZE && memcmp(block, PLAIN_MAGIC, sizeof PLAIN_MAGIC) != 0;
}

static int make_header(struct vault_file *file)
{
    uint8_t block[VAULT_HEADER_SIZE];
    sqlite3_file *below = vault_file_below(file);
    int code;

    encode_header(file, block);
    code = below->pMethods->xWrite(below, block, sizeof block, 0);
    return code == SQLITE_OK ? below->pMethods->xSync(below, SQLITE_SYNC_NORMAL) : code;
}

static int take_header(struct vault_file *file, const uint8_t block[VAULT_HEADER_SIZE])
{
    const uint8_t *header = find_header(block);

    if (header == NULL && memcmp(block, PLAIN_MAGIC, sizeof PLAIN_MAGIC) == 0)
        return refuse(file, "it isn't encrypted");
    if (header == NULL)
        return refuse(file, "both copies of its header are damaged");
    if (!is_header_of(header, file->vault->key))
        return refuse(file, "it was encrypted under another key");
    memcpy(file->identity, header + MAGIC_SIZE, VAULT_IDENTITY_SIZE);
    return SQLITE_OK;
}

/* Another process may be making it: one at a time, and a second look. */
static int make_or_take(struct vault_file *file)
{
    static const int LEVELS[] = {SQLITE_LOCK_SHARED, SQLITE_LOCK_RESERVED, SQLITE_LOCK_EXCLUSIVE};
    uint8_t block[VAULT_HEADER_SIZE];
    sqlite3_file *below = vault_file_below(file);
    sqlite3_int64 size = 0;
    int code = SQLITE_OK;

    for (size_t i = 0; code == SQLITE_OK && i < sizeof LEVELS / sizeof LEVELS[0]; i++)
        code = below->pMethods->xLock(below, LEVELS[i]);
    if (code == SQLITE_OK)
        code = read_block(file, block, &size);
    if (code == SQLITE_OK)
        code = find_header(block) == NULL && may_be_made(block, size) ? make_header(file)
                                                                      : take_header(file, block);
    (void)below->pMethods->xUnlock(below, SQLITE_LOCK_NONE);
    return code;
}

static int open_database(struct vault_file *file, int flags)
{
    uint8_t block[VAULT_HEADER_SIZE];
    sqlite3_int64 size = 0;
    int code = read_block(file, block, &size);

    if (code != SQLITE_OK)
        return code;
    if (find_header(block) != NULL || !may_be_made(block, size))
        return take_header(file, block);
    if ((flags & SQLITE_OPEN_READWRITE) == 0)
        return size == 0 ? SQLITE_OK : take_header(file, block);
    return make_or_take(file);
}

/* ---- the file system ------------------------------------------------------------------------- */

/* SQLite's name for a log or a journal; ours is `ret_name`. False: the name stays as it is. */
static bool rename_side_file(const char *name, char *ret_name, size_t size)
{
    static const struct {
        const char *end, *our_end;
    } ENDS[] = {{"-wal", VAULT_LOG_SUFFIX}, {"-journal", VAULT_JOURNAL_SUFFIX}};
    size_t length = strlen(name);

    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        size_t end = strlen(ENDS[i].end);

        if (length <= end || strcmp(name + length - end, ENDS[i].end) != 0)
            continue;
        (void)snprintf(ret_name, size, "%.*s%s", (int)(length - end), name, ENDS[i].our_end);
        return true;
    }
    return false;
}

enum { OTHER_NAME_SIZE = 1024 + 16 }; /* mxPathname of the systems is 512 */

static bool kind_of(int flags, enum vault_kind *ret_kind)
{
    static const struct {
        int flags;
        enum vault_kind kind;
    } KINDS[] = {
        {SQLITE_OPEN_MAIN_DB, VAULT_DATABASE},
        {SQLITE_OPEN_WAL, VAULT_LOG},
        {SQLITE_OPEN_MAIN_JOURNAL, VAULT_JOURNAL},
        {SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL |
             SQLITE_OPEN_SUBJOURNAL,
         VAULT_TEMPORARY},
    };

    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
        if ((flags & KINDS[i].flags) != 0) {
            *ret_kind = KINDS[i].kind;
            return true;
        }
    return false; /* a super-journal: of several databases at once, which nobody attaches */
}

static const char *label_of(const char *name)
{
    const char *slash = name == NULL ? NULL : strrchr(name, '/');

    return slash == NULL ? name : slash + 1;
}

/* Another key for each temporary file: nobody opens it a second time. */
static int prepare(struct vault_file *file, const char *name)
{
    struct vault *vault = file->vault;
    char other[OTHER_NAME_SIZE];

    file->lock =
        (struct vault_lock){.key = vault->key, .identity = file->identity, .kind = file->kind};
    file->label = label_of(name);
    if (file->kind == VAULT_TEMPORARY) {
        file->own_key = sodium_malloc(VAULT_KEY_SIZE);
        if (file->own_key == NULL)
            return SQLITE_NOMEM;
        vault->draw(vault->context, file->own_key, VAULT_KEY_SIZE);
        file->lock.key = file->own_key;
        return SQLITE_OK;
    }
    if (file->kind == VAULT_DATABASE)
        return SQLITE_OK;
    memcpy(file->identity, vault_file_of(sqlite3_database_file_object(name))->identity,
           VAULT_IDENTITY_SIZE);
    if (!rename_side_file(name, other, sizeof other))
        return SQLITE_CANTOPEN;
    file->name = sqlite3_malloc((int)strlen(other) + 4);
    if (file->name == NULL)
        return SQLITE_NOMEM;
    memset(file->name, 0, strlen(other) + 4); /* SQLite looks for parameters behind the name */
    memcpy(file->name, other, strlen(other));
    file->label = label_of(file->name);
    return SQLITE_OK;
}

static int vault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    struct vault *vault = vault_of(vfs);
    struct vault_file *self = vault_file_of(file);
    sqlite3_file *below = vault_file_below(self);
    int flags_now = flags;
    int code = SQLITE_OK;

    memset(self, 0, sizeof *self);
    self->vault = vault;
    if (!kind_of(flags, &self->kind))
        return SQLITE_CANTOPEN;
    code = prepare(self, name);
    if (code == SQLITE_OK)
        code =
            vault->below->xOpen(vault->below, self->name != NULL ? self->name : name, below,
                                self->name != NULL ? flags & ~SQLITE_OPEN_URI : flags, &flags_now);
    if (code == SQLITE_OK && self->kind == VAULT_DATABASE) {
        code = open_database(self, flags_now);
        if (code != SQLITE_OK)
            (void)below->pMethods->xClose(below);
    }
    if (code == SQLITE_OK) {
        file->pMethods = &VAULT_FILE_METHODS;
    } else { /* without methods SQLite doesn't close it */
        sodium_free(self->own_key);
        sqlite3_free(self->name);
    }
    if (code == SQLITE_OK && ret_flags != NULL)
        *ret_flags = flags_now;
    return code;
}

static int vault_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    sqlite3_vfs *below = vault_of(vfs)->below;
    char other[OTHER_NAME_SIZE];

    return below->xDelete(below, rename_side_file(name, other, sizeof other) ? other : name, sync);
}

static int vault_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    sqlite3_vfs *below = vault_of(vfs)->below;
    char other[OTHER_NAME_SIZE];

    return below->xAccess(below, rename_side_file(name, other, sizeof other) ? other : name, flags,
                          ret);
}

static int vault_full_name(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
    return vault_of(vfs)->below->xFullPathname(vault_of(vfs)->below, name, size, ret);
}

static int vault_random(sqlite3_vfs *vfs, int size, char *ret)
{
    return vault_of(vfs)->below->xRandomness(vault_of(vfs)->below, size, ret);
}

static int vault_sleep(sqlite3_vfs *vfs, int microseconds)
{
    return vault_of(vfs)->below->xSleep(vault_of(vfs)->below, microseconds);
}

static int vault_time(sqlite3_vfs *vfs, double *ret_days)
{
    return vault_of(vfs)->below->xCurrentTime(vault_of(vfs)->below, ret_days);
}

static int vault_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
    return vault_of(vfs)->below->xCurrentTimeInt64(vault_of(vfs)->below, ret_ms);
}

static int vault_last_error(sqlite3_vfs *vfs, int size, char *ret)
{
    return vault_of(vfs)->below->xGetLastError(vault_of(vfs)->below, size, ret);
}

/* ---- making one ------------------------------------------------------------------------------ */

enum result vault_create(const struct vault_options *options, struct vault **ret_vault,
                         struct problem *problem)
{
    sqlite3_vfs *below = sqlite3_vfs_find(options->below);
    struct vault *vault = NULL;

    if (below == NULL || below->iVersion < 2)
        return problem_set(problem, RESULT_REFUSED, "SQLite has no VFS %s",
                           options->below == NULL ? "" : options->below);
    vault = calloc(1, sizeof *vault);
    if (vault != NULL)
        vault->key = sodium_malloc(VAULT_KEY_SIZE);
    if (vault == NULL || vault->key == NULL) {
        free(vault);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a key");
    }
    memcpy(vault->key, options->key, VAULT_KEY_SIZE);
    (void)sodium_mprotect_readonly(vault->key);
    vault->below = below;
    vault->draw = options->draw;
    vault->context = options->context;
    (void)snprintf(vault->name, sizeof vault->name, "vault-%p", (void *)vault);
    vault->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct vault_file) + below->szOsFile,
        .mxPathname = below->mxPathname,
        .zName = vault->name,
        .xOpen = vault_open,
        .xDelete = vault_delete,
        .xAccess = vault_access,
        .xFullPathname = vault_full_name,
        .xRandomness = vault_random,
        .xSleep = vault_sleep,
        .xCurrentTime = vault_time,
        .xGetLastError = vault_last_error,
        .xCurrentTimeInt64 = vault_time_ms,
    };
    invariant(below->mxPathname < OTHER_NAME_SIZE - 16);
    invariant(sqlite3_vfs_register(&vault->vfs, 0) == SQLITE_OK);
    *ret_vault = vault;
    return RESULT_OK;
}

void vault_destroy(struct vault *vault)
{
    if (vault == NULL)
        return;
    (void)sqlite3_vfs_unregister(&vault->vfs);
    sodium_free(vault->key); /* wipes */
    free(vault);
}

const char *vault_vfs_name(const struct vault *vault)
{
    return vault->name;
}

const char *vault_trouble(const struct vault *vault)
{
    return vault->trouble;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* vault_kit.h: a folder, a vault, and what tests of encrypted files do with the files. */
#pragma once

#include "agent/replica/vault.h"
#include "base/prng.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* cmocka wants the others first */
#include <cmocka.h>

struct scene {
    char folder[64];
    char path[96];
    uint8_t key[VAULT_KEY_SIZE];
    struct vault_options options;
    struct vault *vault;
    struct problem problem;
    struct prng prng;
};

static inline void scene_draw(void *context, void *bytes, size_t size)
{
    (void)context;
    randombytes_buf(bytes, size);
}

static inline int scene_begin(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);

    assert_non_null(scene);
    assert_true(sodium_init() >= 0);
    (void)snprintf(scene->folder, sizeof scene->folder, "/tmp/fieldsync-vault-XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    (void)snprintf(scene->path, sizeof scene->path, "%s/replica.db", scene->folder);
    randombytes_buf(scene->key, sizeof scene->key);
    scene->options = (struct vault_options){.key = scene->key, .draw = scene_draw};
    assert_int_equal(vault_create(&scene->options, &scene->vault, &scene->problem), RESULT_OK);
    prng_init(&scene->prng, 7);
    *state = scene;
    return 0;
}

static inline int scene_end(void **state)
{
    struct scene *scene = *state;
    DIR *folder = opendir(scene->folder);

    vault_destroy(scene->vault);
    for (struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char path[400];

        (void)snprintf(path, sizeof path, "%s/%s", scene->folder, entry->d_name);
        (void)unlink(path);
    }
    (void)closedir(folder);
    (void)rmdir(scene->folder);
    free(scene);
    return 0;
}

/* ---- SQL ---- */

static inline void run(sqlite3 *database, const char *sql)
{
    char *problem = NULL;

    if (sqlite3_exec(database, sql, NULL, NULL, &problem) != SQLITE_OK)
        fail_msg("%s: %s (%d)", sql, problem, sqlite3_extended_errcode(database));
}

static inline sqlite3 *open_with(const char *path, const char *vfs)
{
    sqlite3 *database = NULL;

    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs) !=
        SQLITE_OK)
        fail_msg("%s: %s", path, sqlite3_errmsg(database));
    (void)sqlite3_extended_result_codes(database, 1);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    run(database, "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF"); /* no real cuts */
    return database;
}

static inline sqlite3 *open_sealed(struct scene *scene, const char *path)
{
    return open_with(path, vault_vfs_name(scene->vault));
}

static inline int64_t integer_or(sqlite3 *database, const char *sql, int64_t otherwise)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = otherwise;

    if (sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return number;
}

static inline int64_t integer(sqlite3 *database, const char *sql)
{
    int64_t number = integer_or(database, sql, INT64_MIN);

    if (number == INT64_MIN)
        fail_msg("%s: %s", sql, sqlite3_errmsg(database));
    return number;
}

static inline void expect_sound(sqlite3 *database)
{
    sqlite3_stmt *statement = NULL;

    assert_int_equal(sqlite3_prepare_v2(database, "PRAGMA integrity_check", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    (void)sqlite3_finalize(statement);
}

/* ---- files ---- */

struct content {
    uint8_t *bytes;
    size_t size;
};

static inline struct content content_of(const char *path)
{
    struct content content = {0};
    struct stat about;
    int file = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(file >= 0 && fstat(file, &about) == 0);
    content.size = (size_t)about.st_size;
    content.bytes = malloc(content.size + 1);
    assert_non_null(content.bytes);
    for (size_t done = 0; done < content.size;) {
        ssize_t got = pread(file, content.bytes + done, content.size - done, (off_t)done);

        assert_true(got > 0);
        done += (size_t)got;
    }
    (void)close(file);
    return content;
}

static inline void put_content(const char *path, const uint8_t *bytes, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(file >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t written = write(file, bytes + done, size - done);

        assert_true(written > 0);
        done += (size_t)written;
    }
    (void)close(file);
}

/* Changes bytes of a file that may be open elsewhere. */
static inline void patch(const char *path, int64_t offset, const void *bytes, size_t size)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);

    assert_true(file >= 0);
    assert_int_equal(pwrite(file, bytes, size, offset), (ssize_t)size);
    (void)close(file);
}

static inline void path_beside(const struct scene *scene, const char *end, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s%s", scene->path, end);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "server/restore.h"

#include "schema/load.h"
#include "schema/sql.h"
#include "server/cli/manifest.h"
#include "server/core/devices.h"
#include "server/service/web_session.h"
#include "server/store/contents.h"
#include "server/store/sqlite/sqlite_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_SIZE_MAX = 512 * 1024 * 1024, CATALOG_SIZE_MAX = 16 * 1024 * 1024 };

/* A backup that is looked at. */
struct source {
    const char *folder;
    char database[FILES_PATH_SIZE];
    char blobs[FILES_PATH_SIZE];
    struct arena arena;
    struct manifest manifest;
};

/* ---- is it whole? ---- */

static enum result read_manifest(struct source *source, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct buffer text;
    enum result result = files_join(source->folder, MANIFEST_FILE_NAME, path, problem);

    if (result == RESULT_OK)
        result = files_join(source->folder, MANIFEST_DATABASE_NAME, source->database, problem);
    if (result == RESULT_OK)
        result = files_join(source->folder, MANIFEST_BLOBS_NAME, source->blobs, problem);
    if (result != RESULT_OK)
        return result;
    if (!files_exists(path))
        return problem_set(problem, RESULT_REFUSED,
                           "%s has no manifest: it is no backup, or one that was cut off",
                           source->folder);
    buffer_init(&text, MANIFEST_SIZE_MAX);
    result = files_read(path, &text, problem);
    if (result == RESULT_OK)
        result = manifest_decode(buffer_bytes(&text), &source->arena, &source->manifest, problem);
    buffer_done(&text);
    if (result != RESULT_OK)
        problem_add(problem, "%s", path);
    return result;
}

static enum result compare(const char *path, const struct file_content *expected,
                           struct problem *problem)
{
    struct file_content found = {0};
    enum result result = file_look(path, &found, problem);

    if (result == RESULT_OK && found.size != expected->size)
        result = problem_set(problem, RESULT_REFUSED,
                             "%s has %" PRId64 " bytes, the manifest says %" PRId64, path,
                             found.size, expected->size);
    else if (result == RESULT_OK && memcmp(found.hash, expected->hash, sizeof found.hash) != 0)
        result = problem_set(problem, RESULT_REFUSED,
                             "%s isn't what was backed up: its hash is another", path);
    return result;
}

static enum result compare_blobs(struct source *source, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < source->manifest.blob_count && result == RESULT_OK; i++) {
        char path[FILES_PATH_SIZE];

        result = files_blob_path(source->blobs, source->manifest.blobs[i].hash, path, problem);
        if (result == RESULT_OK)
            result = compare(path, &source->manifest.blobs[i], problem);
    }
    return result;
}

static enum result load_catalog(struct source *source, struct arena *arena,
                                struct catalog *ret_catalog, struct problem *problem)
{
    const struct sql_options options = {
        .path = source->database, .profile = SQL_PROFILE_PLAIN, .read_only = true};
    struct sql_database *database = NULL;
    enum result result = sql_open(&options, &database, problem);

    if (result == RESULT_OK)
        result = sql_integrity_check(database, problem);
    if (result == RESULT_OK)
        result = catalog_load(database, arena, ret_catalog, problem);
    sql_close(database);
    return result;
}

static enum result look_inside(struct source *source, struct contents *ret_contents,
                               struct problem *problem)
{
    const struct sqlite_store_options options = {.path = source->database, .is_reader = true};
    struct arena catalog_arena;
    struct catalog catalog = {0};
    struct store *store = NULL;
    struct buffer report;
    enum result result;

    arena_init(&catalog_arena, CATALOG_SIZE_MAX);
    buffer_init(&report, 1 << 20);
    result = load_catalog(source, &catalog_arena, &catalog, problem);
    if (result == RESULT_OK)
        result = sqlite_store_open(&options, &catalog, &store, problem);
    if (result == RESULT_OK)
        result = contents_check(store, &catalog, &source->arena, &report, ret_contents, problem);
    if (result == RESULT_OK && ret_contents->wrong > 0)
        result = problem_set(problem, RESULT_REFUSED, "%zu faults in it, the first: %.*s",
                             ret_contents->wrong, (int)strcspn((const char *)report.data, "\n"),
                             (const char *)report.data);
    if (result != RESULT_OK)
        problem_add(problem, "%s", source->database);
    store_close(store);
    buffer_done(&report);
    arena_done(&catalog_arena);
    return result;
}

static enum result tell(struct source *source, const struct contents *contents,
                        struct buffer *report, struct problem *problem)
{
    char made_at[WALL_TEXT_SIZE];
    char text[FILES_PATH_SIZE + 400];
    int size;

    wall_time_format(source->manifest.made_at, made_at);
    size = snprintf(text, sizeof text,
                    "%s: complete and sound, of %s: %" PRId64 " rows, %zu attachments, up to"
                    " seq %" PRId64 "\n",
                    source->folder, made_at, contents->row_count, source->manifest.blob_count,
                    source->manifest.seq);
    return buffer_append(report, text, (size_t)size, problem);
}

static enum result verify(struct source *source, struct buffer *report, struct problem *problem)
{
    struct contents contents = {0};
    enum result result = read_manifest(source, problem);

    if (result == RESULT_OK)
        result = compare(source->database, &source->manifest.database, problem);
    if (result == RESULT_OK)
        result = compare_blobs(source, problem);
    if (result == RESULT_OK)
        result = look_inside(source, &contents, problem);
    return result == RESULT_OK ? tell(source, &contents, report, problem) : result;
}

enum result restore_verify(const char *backup, struct buffer *report, struct problem *problem)
{
    struct source source = {.folder = backup};
    enum result result;

    arena_init(&source.arena, ARENA_SIZE_MAX);
    result = verify(&source, report, problem);
    arena_done(&source.arena);
    return result;
}

/* ---- back to it ---- */

static enum result beside(const struct setup *setup, const char *suffix,
                          char ret_path[FILES_PATH_SIZE], struct problem *problem)
{
    int size = snprintf(ret_path, FILES_PATH_SIZE, "%s%s", setup->database, suffix);

    if (size < 0 || size >= FILES_PATH_SIZE)
        return problem_set(problem, RESULT_REFUSED, "the data folder's path is too long");
    return RESULT_OK;
}

/* A database and its log under names of their own: a log without its file is harmful. */
static enum result remove_database(const struct setup *setup, const char *suffix,
                                   struct problem *problem)
{
    static const char *const PARTS[] = {"-wal", "-shm", ""};
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0] && result == RESULT_OK; i++) {
        char name[64];
        char path[FILES_PATH_SIZE];

        snprintf(name, sizeof name, "%s%s", suffix, PARTS[i]);
        result = beside(setup, name, path, problem);
        if (result == RESULT_OK)
            result = files_remove(path, problem);
    }
    return result;
}

/* The database and what belongs to it step aside together. */
static enum result step_aside(const struct setup *setup, struct problem *problem)
{
    static const char *const PARTS[] = {"", "-wal", "-shm"};
    static const char *const ASIDE[] = {".before-restore", ".before-restore-wal",
                                        ".before-restore-shm"};
    enum result result = remove_database(setup, ".before-restore", problem);

    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0] && result == RESULT_OK; i++) {
        char from[FILES_PATH_SIZE];
        char to[FILES_PATH_SIZE];

        result = beside(setup, PARTS[i], from, problem);
        if (result == RESULT_OK)
            result = beside(setup, ASIDE[i], to, problem);
        if (result == RESULT_OK && rename(from, to) != 0 && errno != ENOENT)
            result = problem_set(problem, RESULT_REFUSED, "%s: %s", from, strerror(errno));
    }
    return result;
}

/* By the database that is there. One that can't be read any more is no reason to stay down. */
static enum result read_given(const struct setup *setup, struct devices_given *ret_given,
                              struct problem *problem)
{
    const struct sqlite_store_options options = {.path = setup->database, .is_reader = true};
    static const struct catalog NO_CATALOG = {0};
    struct problem reason = {0};
    struct store *store = NULL;
    struct arena arena;
    enum result result;

    if (!files_exists(setup->database))
        return RESULT_OK;
    arena_init(&arena, 1 << 20);
    result = sqlite_store_open(&options, &NO_CATALOG, &store, &reason);
    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, &reason);
    if (result == RESULT_OK)
        result = devices_read_given(store, &arena, ret_given, &reason);
    if (store != NULL)
        store_rollback(store);
    store_close(store);
    arena_done(&arena);
    if (result == RESULT_WAIT || result == RESULT_EXHAUSTED)
        return problem_set(problem, result, "%s", reason.text);
    return RESULT_OK;
}

static enum result begin_epoch(struct store *store, const uint8_t *seed, void *context,
                               struct problem *problem)
{
    enum result result = devices_restored(store, seed, context, problem);

    /* who has signed out since the backup doesn't come back */
    return result == RESULT_OK ? web_sessions_forget(store, problem) : result;
}

/* A copy that is brought up to date and into a new epoch before it takes the database's place: one
 * with the old epoch never does. */
static enum result prepare(struct setup *setup, const struct source *source, const char *arriving,
                           struct wall_time now, struct problem *problem)
{
    struct file_content content = {0};
    struct devices_given given = {0};
    struct setup aside;
    char log[FILES_PATH_SIZE];
    enum result result = remove_database(setup, ".arriving", problem);

    if (result == RESULT_OK)
        result = file_copy(source->database, arriving, &content, problem);
    if (result == RESULT_OK &&
        memcmp(content.hash, source->manifest.database.hash, sizeof content.hash) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s has changed meanwhile", source->database);
    if (result != RESULT_OK)
        return result;
    result = read_given(setup, &given, problem);
    if (result == RESULT_OK)
        result = setup_init(&aside, setup->folder, problem);
    else
        return result;
    snprintf(aside.database, sizeof aside.database, "%s", arriving);
    if (result == RESULT_OK)
        result = setup_migrate(&aside, now, problem);
    if (result == RESULT_OK)
        result = setup_change(&aside, begin_epoch, &given, problem);
    setup_done(&aside);
    if (result == RESULT_OK)
        result = beside(setup, ".arriving-wal", log, problem);
    if (result == RESULT_OK && files_exists(log))
        result = problem_set(problem, RESULT_REFUSED,
                             "%s is still there: somebody else has the file open", log);
    return result == RESULT_OK ? file_sync(arriving, problem) : result;
}

static enum result bring_blobs(struct setup *setup, const struct source *source,
                               struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < source->manifest.blob_count && result == RESULT_OK; i++) {
        struct file_content content = {0};
        char from[FILES_PATH_SIZE];
        char to[FILES_PATH_SIZE];
        char folder[FILES_PATH_SIZE];

        result = files_blob_path(source->blobs, source->manifest.blobs[i].hash, from, problem);
        if (result == RESULT_OK)
            result =
                files_blob_path(setup->blobs_path, source->manifest.blobs[i].hash, to, problem);
        if (result != RESULT_OK || files_exists(to))
            continue;
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(to, '/') - to), to);
        result = files_make_folder(folder, problem);
        if (result == RESULT_OK)
            result = file_copy(from, to, &content, problem);
    }
    return result;
}

enum result restore_run(struct setup *setup, const char *backup, struct wall_time now,
                        struct buffer *report, struct problem *problem)
{
    struct source source = {.folder = backup};
    char arriving[FILES_PATH_SIZE];
    enum result result = beside(setup, ".arriving", arriving, problem);

    arena_init(&source.arena, ARENA_SIZE_MAX);
    if (result == RESULT_OK)
        result = verify(&source, report, problem);
    if (result == RESULT_OK)
        result = prepare(setup, &source, arriving, now, problem);
    if (result == RESULT_OK)
        result = bring_blobs(setup, &source, problem);
    if (result == RESULT_OK)
        result = step_aside(setup, problem);
    if (result == RESULT_OK && rename(arriving, setup->database) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: %s", arriving, strerror(errno));
    if (result == RESULT_OK)
        result = file_sync(setup->database, problem);
    arena_done(&source.arena);
    return result;
}

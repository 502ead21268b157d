/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "server/setup.h"

#include "edge/blob_files.h"
#include "edge/entropy.h"
#include "edge/scripts.h"
#include "embedded_files.h"
#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/scopes.h"
#include "schema/triggers.h"
#include "server/core/devices.h"
#include "server/service/service.h"
#include "server/store/sqlite/sqlite_store.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CATALOG_SIZE_MAX = 16 * 1024 * 1024, KEY_MODE = 0600 };

/* ---- paths and lock ---- */

enum result setup_init(struct setup *setup, const char *folder, struct problem *problem)
{
    const struct {
        char *path;
        const char *name;
    } places[] = {
        {setup->database, "fieldsync.db"},
        {setup->root_key, "keys/root.key"},
        {setup->server_key, "keys/server.key"},
        {setup->root_public, "keys/root.public"},
        {setup->root_change_path, "keys/root.change"},
        {setup->report_key, "keys/report.key"},
        {setup->lock_path, "lock"},
        {setup->blobs_path, "blobs"},
    };
    enum result result = RESULT_OK;

    setup->is_locked = false;
    setup->key = NULL;
    setup->seal = NULL;
    setup->reports = NULL;
    setup->closing = (struct closing){0};
    setup->blobs = NULL;
    setup->lease_s = 0;
    setup->has_root_change = false;
    setup->catalog = (struct catalog){0};
    arena_init(&setup->arena, CATALOG_SIZE_MAX);
    if (strlen(folder) >= sizeof setup->folder)
        return problem_set(problem, RESULT_REFUSED, "the data folder's path is too long");
    snprintf(setup->folder, sizeof setup->folder, "%s", folder);
    for (size_t i = 0; i < sizeof places / sizeof *places && result == RESULT_OK; i++)
        result = files_join(folder, places[i].name, places[i].path, problem);
    return result;
}

void setup_done(struct setup *setup)
{
    arena_done(&setup->arena);
    blob_files_destroy(setup->blobs);
    setup->blobs = NULL;
    sodium_free(setup->key); /* wipes; takes NULL */
    setup->key = NULL;
    sodium_free(setup->seal);
    setup->seal = NULL;
    sodium_free(setup->reports);
    setup->reports = NULL;
    if (setup->is_locked)
        files_lock_close(&setup->lock);
    setup->is_locked = false;
}

enum result setup_lock(struct setup *setup, struct problem *problem)
{
    enum result result = files_lock_open(setup->lock_path, &setup->lock, problem);

    setup->is_locked = result == RESULT_OK;
    return result;
}

/* ---- the database ---- */

static enum result open_database(const char *path, bool create, struct sql_database **ret_database,
                                 struct problem *problem)
{
    const struct sql_options options = {
        .path = path, .profile = SQL_PROFILE_SERVER, .create = create};

    return sql_open(&options, ret_database, problem);
}

/* The catalog is read anew each time: migrations may have changed it. */
static enum result read_catalog(struct setup *setup, struct sql_database *database,
                                struct problem *problem)
{
    enum result result;

    arena_reset(&setup->arena);
    result = catalog_load(database, &setup->arena, &setup->catalog, problem);
    return result == RESULT_OK ? scopes_find(database, &setup->arena, &setup->catalog, problem)
                               : result;
}

/* Our own scripts and the company's. */
static enum result run_scripts(struct setup *setup, struct sql_database *database,
                               struct wall_time now, struct problem *problem)
{
    const struct script *scripts = NULL;
    struct migration_script *extra = NULL;
    size_t count = 0;
    enum result result = scripts_read(setup->folder, &setup->arena, &scripts, &count, problem);

    if (result != RESULT_OK)
        return result;
    extra = arena_array(&setup->arena, count, sizeof *extra);
    if (extra == NULL)
        return arena_full(&setup->arena, problem);
    for (size_t i = 0; i < count; i++)
        extra[i] = (struct migration_script){.name = scripts[i].name, .text = scripts[i].text};
    return migrate_run(database, SCHEMA_SIDE_SERVER, extra, count, now, NULL, problem);
}

static enum result migrate(struct setup *setup, bool create, struct wall_time now,
                           struct problem *problem)
{
    struct sql_database *database = NULL;
    enum result result = open_database(setup->database, create, &database, problem);

    if (result == RESULT_OK)
        result = run_scripts(setup, database, now, problem);
    if (result == RESULT_OK)
        result = read_catalog(setup, database, problem);
    if (result == RESULT_OK)
        result = triggers_install(database, &setup->catalog, SCHEMA_SIDE_SERVER, NULL, problem);
    sql_close(database);
    return result;
}

enum result setup_expect_company(const struct setup *setup, struct problem *problem)
{
    if (files_exists(setup->database))
        return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED,
                       "%s does not exist: fieldsync-server init --data %s", setup->database,
                       setup->folder);
}

enum result setup_migrate(struct setup *setup, struct wall_time now, struct problem *problem)
{
    enum result result = setup_expect_company(setup, problem);

    return result == RESULT_OK ? migrate(setup, false, now, problem) : result;
}

/* Newest common script that this program carries. */
enum { COMPANY_SCRIPTS_FROM = 5000 }; /* numbers of the company's own scripts */

/* The program's own scripts must all have run, and no other program's. */
static enum result check_version(struct sql_database *database, struct problem *problem)
{
    const struct value company = value_integer(COMPANY_SCRIPTS_FROM);
    int64_t own_count = 0;
    int64_t count = 0;
    enum result result = sql_query_integer(
        database,
        "SELECT count(*) FROM fs_migration WHERE CAST(substr(name, 1, 4) AS INTEGER) < ?1",
        &company, 1, 0, &count, problem);

    for (size_t i = 0; i < EMBEDDED_MIGRATION_COUNT; i++)
        if (strstr(EMBEDDED_MIGRATIONS[i].name, "_agent_") == NULL)
            own_count++;
    if (result != RESULT_OK || count == own_count)
        return result;
    if (count > own_count)
        return problem_set(problem, RESULT_REFUSED,
                           "the database is newer than this program: it had %" PRId64
                           " migrations, the program knows %" PRId64
                           "; nothing was changed; install the version that wrote it",
                           count, own_count);
    return problem_set(problem, RESULT_REFUSED,
                       "the database had %" PRId64 " migrations, this program has %" PRId64
                       ": start 'fieldsync-server serve' once, it brings it up to date",
                       count, own_count);
}

enum result setup_load_catalog(struct setup *setup, struct problem *problem)
{
    struct sql_database *database = NULL;
    enum result result = setup_expect_company(setup, problem);

    if (result == RESULT_OK)
        result = open_database(setup->database, false, &database, problem);
    if (result == RESULT_OK)
        result = check_version(database, problem);
    if (result == RESULT_OK)
        result = read_catalog(setup, database, problem);
    sql_close(database);
    return result;
}

enum result setup_open_blobs(struct setup *setup, struct problem *problem)
{
    return blob_files_create(setup->blobs_path, &setup->blobs, problem);
}

enum result setup_open_master(struct setup *setup, bool is_reader, const struct trace *trace,
                              struct master **ret_master, struct problem *problem)
{
    const struct sqlite_store_options store_options = {.path = setup->database,
                                                       .is_reader = is_reader};
    struct master_options options = {
        .catalog = &setup->catalog,
        .reactions = is_reader ? NULL : service_reactions(),
        .blobs = setup->blobs,
        .departure_keep_us = setup->departure_keep_us,
        .lease_s = setup->lease_s,
        .trace = trace,
    };
    enum result result = is_reader ? RESULT_OK : setup_read_report_key(setup, problem);

    if (result == RESULT_OK)
        result = sqlite_store_open(&store_options, &setup->catalog, &options.store, problem);
    if (result != RESULT_OK)
        return result;
    if (!is_reader) { /* readers are opened beside the running writer and must not touch it */
        setup->closing.key = setup->reports;
        options.closing = (struct master_closing){closing_run, &setup->closing};
    }
    result = master_create(&options, ret_master, problem);
    if (result != RESULT_OK)
        store_close(options.store);
    return result;
}

enum result setup_change(struct setup *setup,
                         enum result (*change)(struct store *store, const uint8_t *seed,
                                               void *context, struct problem *problem),
                         void *context, struct problem *problem)
{
    const struct sqlite_store_options options = {.path = setup->database};
    uint8_t seed[DEVICES_INIT_SEED_SIZE];
    struct store *store = NULL;
    enum result result = sqlite_store_open(&options, &setup->catalog, &store, problem);

    entropy_fill(seed, sizeof seed);
    if (result == RESULT_OK)
        result = store_begin(store, STORE_WRITE, problem);
    if (result == RESULT_OK)
        result = change(store, seed, context, problem);
    if (result == RESULT_OK)
        result = store_commit(store, problem);
    if (store != NULL)
        store_rollback(store);
    store_close(store);
    identity_wipe(seed, sizeof seed);
    return result;
}

static enum result initialise(struct store *store, const uint8_t *seed, void *context,
                              struct problem *problem)
{
    (void)context;
    return devices_init(store, seed, problem);
}

/* The database's path with a suffix. */
static enum result beside(const struct setup *setup, const char *suffix,
                          char ret_path[FILES_PATH_SIZE], struct problem *problem)
{
    int size = snprintf(ret_path, FILES_PATH_SIZE, "%s%s", setup->database, suffix);

    if (size < 0 || size >= FILES_PATH_SIZE)
        return problem_set(problem, RESULT_REFUSED, "the data folder's path is too long");
    return RESULT_OK;
}

/* A database of the company under another name, in the place of what an init that was killed left.
 */
static enum result create_database(struct setup *setup, const char *path, struct wall_time now,
                                   struct problem *problem)
{
    static const char *const PARTS[] = {"", "-wal", "-shm"};
    char final_path[FILES_PATH_SIZE];
    enum result result = RESULT_OK;

    memcpy(final_path, setup->database, sizeof final_path);
    snprintf(setup->database, sizeof setup->database, "%s", path);
    for (size_t i = 0; i < 3 && result == RESULT_OK; i++) {
        char part[FILES_PATH_SIZE];

        result = beside(setup, PARTS[i], part, problem);
        if (result == RESULT_OK)
            result = files_remove(part, problem);
    }
    if (result == RESULT_OK)
        result = migrate(setup, true, now, problem);
    if (result == RESULT_OK && chmod(setup->database, KEY_MODE) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: %s", setup->database, strerror(errno));
    if (result == RESULT_OK)
        result = setup_change(setup, initialise, NULL, problem);
    if (result == RESULT_OK)
        result = files_sync_name(setup->database, problem);
    memcpy(setup->database, final_path, sizeof final_path);
    return result;
}

/* The database gets its name last: until then the folder holds no installation, and the same
 * command again begins anew. */
static enum result create_all(struct setup *setup, const char *arriving, struct wall_time now,
                              struct problem *problem)
{
    char keys[FILES_PATH_SIZE];
    enum result result = files_join(setup->folder, "keys", keys, problem);

    if (result == RESULT_OK)
        result = files_make_folder(keys, problem);
    if (result == RESULT_OK)
        result = create_database(setup, arriving, now, problem);
    if (result == RESULT_OK)
        result = setup_create_keys(setup, problem);
    if (result == RESULT_OK && rename(arriving, setup->database) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: %s", arriving, strerror(errno));
    if (result == RESULT_OK)
        result = files_sync_name(setup->database, problem);
    return result;
}

enum result setup_create(struct setup *setup, struct wall_time now, struct problem *problem)
{
    char arriving[FILES_PATH_SIZE];
    enum result result = files_make_folder(setup->folder, problem);

    if (result == RESULT_OK)
        result = setup_lock(setup, problem);
    if (result == RESULT_OK)
        result = beside(setup, ".new", arriving, problem);
    if (result != RESULT_OK)
        return result;
    if (files_exists(setup->database) ||
        (!files_exists(arriving) &&
         (files_exists(setup->root_key) || files_exists(setup->server_key))))
        return problem_set(problem, RESULT_REFUSED,
                           "%s holds an installation already; nothing was changed", setup->folder);
    return create_all(setup, arriving, now, problem);
}

enum result setup_compact(struct setup *setup, struct problem *problem)
{
    struct sql_database *database = NULL;
    enum result result = open_database(setup->database, false, &database, problem);

    if (result == RESULT_OK) /* freed pages are zeroed, then none is left, then the log is cut */
        result = sql_exec(
            database, "PRAGMA secure_delete=ON; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)", problem);
    sql_close(database);
    return result;
}

/* ---- check ---- */

static enum result report_line(struct buffer *report, const char *what, const char *text,
                               struct problem *problem)
{
    char line[1024];
    int size = snprintf(line, sizeof line, "%s: %s\n", what, text);

    if (size < 0)
        size = 0;
    if ((size_t)size >= sizeof line)
        size = sizeof line - 1;
    return buffer_append(report, line, (size_t)size, problem);
}

static enum result check_references(struct sql_database *database, struct buffer *report,
                                    size_t *wrong, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result = sql_prepare(database,
                                     "SELECT \"table\" || ' row ' || coalesce(rowid, '?') ||"
                                     " ' refers to a missing row of ' || parent"
                                     " FROM pragma_foreign_key_check LIMIT 1000",
                                     &statement, problem);

    while (result == RESULT_OK) {
        struct value text;
        char line[256];

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        text = sql_column(statement, 0);
        snprintf(line, sizeof line, "%.*s", (int)text.bytes.size, (const char *)text.bytes.data);
        (*wrong)++;
        result = report_line(report, "reference", line, problem);
    }
    sql_release(statement);
    return result;
}

static enum result check_triggers(struct setup *setup, struct sql_database *database,
                                  struct buffer *report, size_t *wrong, struct problem *problem)
{
    const char *text = "";
    size_t count = 0;
    enum result result = triggers_verify(database, &setup->catalog, SCHEMA_SIDE_SERVER,
                                         &setup->arena, &count, &text, problem);

    if (result != RESULT_OK || count == 0)
        return result;
    *wrong += count;
    return report_line(report, "triggers", text, problem);
}

enum result setup_check(struct setup *setup, struct buffer *report, size_t *ret_wrong_count,
                        struct problem *problem)
{
    struct sql_database *database = NULL;
    struct problem damage = {0};
    size_t wrong = 0;
    enum result result = open_database(setup->database, false, &database, problem);

    if (result == RESULT_OK && sql_integrity_check(database, &damage) != RESULT_OK) {
        wrong++;
        result = report_line(report, "file", damage.text, problem);
    }
    if (result == RESULT_OK)
        result = check_references(database, report, &wrong, problem);
    if (result == RESULT_OK)
        result = check_triggers(setup, database, report, &wrong, problem);
    sql_close(database);
    *ret_wrong_count = wrong;
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A real master in a temporary folder, and files read the way a command reads them. */
#pragma once

#define _POSIX_C_SOURCE 200809L /* mkdtemp, clock_gettime */

#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"
#include "server/service/import.h"
#include "server/store/sqlite/sqlite_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct kit {
    char folder[64];
    char path[96];
    struct arena catalog_arena;
    struct arena arena;
    struct catalog catalog;
    struct store *store;
    struct work *work;
    struct import *import;
    struct import_report report; /* of the last run */
    struct import_options options;
    struct problem problem;
};

static const struct wall_time KIT_NOW = {INT64_C(1760000000000000)};

static inline void kit_ok(const struct kit *kit, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), kit->problem.text);
}

static inline void kit_prepare(struct kit *kit)
{
    const struct sql_options options = {
        .path = kit->path, .profile = SQL_PROFILE_SERVER, .create = true};
    struct sql_database *database = NULL;

    kit_ok(kit, sql_open(&options, &database, &kit->problem));
    kit_ok(kit, migrate_run(database, SCHEMA_SIDE_SERVER, NULL, 0, KIT_NOW, NULL, &kit->problem));
    kit_ok(kit, catalog_load(database, &kit->catalog_arena, &kit->catalog, &kit->problem));
    kit_ok(kit, triggers_install(database, &kit->catalog, SCHEMA_SIDE_SERVER, NULL, &kit->problem));
    kit_ok(kit, sql_exec(database,
                         "INSERT OR REPLACE INTO fs_state(name, number) VALUES"
                         "('seq',0),('published_seq',0),('replica_no',0)",
                         &kit->problem));
    sql_close(database);
}

static inline int kit_open(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);
    struct sqlite_store_options options = {0};

    assert_non_null(kit);
    (void)snprintf(kit->folder, sizeof kit->folder, "/tmp/fieldsync-import-XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    (void)snprintf(kit->path, sizeof kit->path, "%s/master.db", kit->folder);
    arena_init(&kit->catalog_arena, 8 * 1024 * 1024);
    arena_init(&kit->arena, 64 * 1024 * 1024);
    kit_prepare(kit);
    options.path = kit->path;
    kit_ok(kit, sqlite_store_open(&options, &kit->catalog, &kit->store, &kit->problem));
    kit->options = (struct import_options){.store = kit->store, .now = KIT_NOW};
    *state = kit;
    return 0;
}

static inline void kit_begin(struct kit *kit, const struct import_profile *profile)
{
    static const uint8_t KEY[16] = {1, 2, 3};

    import_destroy(kit->import);
    kit->import = NULL;
    work_destroy(kit->work);
    kit->work = NULL;
    kit_ok(kit, work_create(kit->store, import_reactions(profile), KEY, &kit->work, &kit->problem));
    kit->options.work = kit->work;
    kit_ok(kit, import_create(&kit->options, profile, &kit->import, &kit->problem));
}

static inline int kit_close(void **state)
{
    struct kit *kit = *state;
    char command[128];

    import_destroy(kit->import);
    work_destroy(kit->work);
    store_close(kit->store);
    arena_done(&kit->arena);
    arena_done(&kit->catalog_arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", kit->folder);
    assert_int_equal(system(command), 0);
    free(kit);
    return 0;
}

static inline int64_t kit_number(struct kit *kit, const char *sql)
{
    struct store_result result = {0};
    int64_t number;

    kit_ok(kit, store_begin(kit->store, STORE_READ, &kit->problem));
    kit_ok(kit, store_query(kit->store, sql, NULL, 0, &kit->arena, &result, &kit->problem));
    number = store_integer_at(&result, 0, 0, -1);
    store_rollback(kit->store);
    return number;
}

/* The first value as text; "(null)" if there is none. In the kit's arena. */
static inline const char *kit_text(struct kit *kit, const char *sql)
{
    struct store_result result = {0};
    struct bytes copy = bytes_of_text("(null)");

    kit_ok(kit, store_begin(kit->store, STORE_READ, &kit->problem));
    kit_ok(kit, store_query(kit->store, sql, NULL, 0, &kit->arena, &result, &kit->problem));
    if (result.row_count > 0 && store_at(&result, 0, 0)->type == VALUE_TEXT)
        copy = store_bytes_at(&result, 0, 0);
    kit_ok(kit, arena_copy(&kit->arena, copy, &copy, &kit->problem));
    store_rollback(kit->store);
    return (const char *)copy.data;
}

/* ---- sources ---- */

static inline enum result kit_read_file(void *context, uint8_t *room, size_t size, size_t *ret_size,
                                        struct problem *problem)
{
    FILE *file = context;

    *ret_size = fread(room, 1, size, file);
    if (ferror(file))
        return problem_set(problem, RESULT_STORAGE, "reading fails");
    return RESULT_OK;
}

struct kit_memory {
    struct bytes text;
    size_t step;     /* bytes a read, 0: all */
    size_t fails_at; /* a read from there on fails; 0: none */
    size_t at;
};

static inline enum result kit_read_memory(void *context, uint8_t *room, size_t size,
                                          size_t *ret_size, struct problem *problem)
{
    struct kit_memory *memory = context;
    size_t left = memory->text.size - memory->at;

    if (memory->fails_at != 0 && memory->at >= memory->fails_at)
        return problem_set(problem, RESULT_STORAGE, "the disk can't be read");
    if (size > left)
        size = left;
    if (memory->step != 0 && size > memory->step)
        size = memory->step;
    if (size > 0)
        memcpy(room, memory->text.data + memory->at, size);
    memory->at += size;
    *ret_size = size;
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of every version that was ever released, as people left them: a master with rows, and a
 * device with work that was answered, and work that wasn't even sealed. Each is opened by this
 * program, and holds what it held. tests/data/releases/README.md says how to add
 * the next. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkdtemp, popen */
#endif

#include "agent/replica/replica.h"
#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/rehash.h"
#include "tests/schema_fixture/versions.h"

#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NAMES_MAX = 64, TEXT_SIZE_MAX = 64 << 20 };
static const struct wall_time NOW = {1800000000000000};

struct bench {
    char folder[64];
    char path[128];
    struct arena arena;
    struct problem problem;
};

static void ok(struct bench *bench, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), bench->problem.text);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    assert_non_null(bench);
    (void)snprintf(bench->folder, sizeof bench->folder, "/tmp/fieldsync-releases-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    (void)snprintf(bench->path, sizeof bench->path, "%s/released.db", bench->folder);
    arena_init(&bench->arena, (size_t)512 << 20);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    char command[128];

    arena_done(&bench->arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", bench->folder);
    assert_int_equal(system(command), 0);
    free(bench);
    return 0;
}

/* ---- a released database ---- */

static struct sql_database *open_file(struct bench *bench, enum sql_profile profile)
{
    struct sql_options options = {.path = bench->path, .profile = profile, .create = true};
    struct sql_database *database = NULL;

    ok(bench, sql_open(&options, &database, &bench->problem));
    return database;
}

/* Makes the file anew out of its text. */
static void restore(struct bench *bench, const char *name)
{
    struct sql_database *database = NULL;
    struct buffer script;
    char command[512];
    char block[65536];
    FILE *pipe = NULL;
    size_t size = 0;

    (void)remove(bench->path);
    (void)snprintf(command, sizeof command, "gzip -dc '%s/tests/data/releases/%s'", SOURCE_DIR,
                   name);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    buffer_init(&script, TEXT_SIZE_MAX);
    while ((size = fread(block, 1, sizeof block, pipe)) > 0)
        ok(bench, buffer_append(&script, block, size, &bench->problem));
    assert_int_equal(pclose(pipe), 0);
    ok(bench, buffer_append(&script, "", 1, &bench->problem));
    database = open_file(bench, SQL_PROFILE_PLAIN);
    ok(bench, sql_exec(database, (const char *)script.data, &bench->problem));
    sql_close(database);
    buffer_done(&script);
}

static int64_t integer_of(struct bench *bench, struct sql_database *database, const char *sql)
{
    int64_t integer = 0;

    ok(bench, sql_query_integer(database, sql, NULL, 0, -1, &integer, &bench->problem));
    return integer;
}

static const char *text_of(struct bench *bench, struct sql_database *database, const char *sql)
{
    struct sql_statement *statement = NULL;
    const char *text = NULL;
    bool has_row = false;

    ok(bench, sql_prepare(database, sql, &statement, &bench->problem));
    ok(bench, sql_step(statement, &has_row, &bench->problem));
    if (has_row)
        ok(bench, sql_column_text(statement, 0, &bench->arena, &text, &bench->problem));
    sql_release(statement);
    return text == NULL ? "" : text;
}

/* Every row of every table of the model, as text: the columns that this catalog knows. */
static const char *contents(struct bench *bench, struct sql_database *database,
                            const struct catalog *catalog)
{
    struct buffer all;
    struct bytes copy = {0};

    buffer_init(&all, TEXT_SIZE_MAX);
    for (size_t t = 1; t < catalog->table_count; t++) {
        const struct catalog_table *table = &catalog->tables[t];
        const char *sql = "";
        const char *rows = NULL;

        if (table->name == NULL)
            continue;
        for (uint8_t n = 1; n < table->column_count; n++)
            if (catalog_has_column(table, n))
                sql = arena_format(&bench->arena, "%s || ' ' || quote(\"%s\")", sql,
                                   table->columns[n].name);
        sql = arena_format(&bench->arena,
                           "SELECT group_concat(line, char(10)) FROM (SELECT '%s ' || id%s AS line"
                           " FROM \"%s\" ORDER BY id)",
                           table->name, sql, table->name);
        rows = text_of(bench, database, sql);
        ok(bench, buffer_append(&all, rows, strlen(rows), &bench->problem));
        ok(bench, buffer_append(&all, "\n", 1, &bench->problem));
    }
    ok(bench, buffer_append(&all, "", 1, &bench->problem));
    ok(bench, arena_copy(&bench->arena, buffer_bytes(&all), &copy, &bench->problem));
    buffer_done(&all);
    return (const char *)copy.data;
}

static struct catalog catalog_of(struct bench *bench, struct sql_database *database)
{
    struct catalog catalog = {0};

    ok(bench, catalog_load(database, &bench->arena, &catalog, &bench->problem));
    return catalog;
}

/* The releases whose name ends so. */
static size_t find_releases(const char *end, char names[NAMES_MAX][64])
{
    DIR *folder = opendir(SOURCE_DIR "/tests/data/releases");
    const struct dirent *entry = NULL;
    size_t count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL && count < NAMES_MAX) {
        size_t size = strlen(entry->d_name);

        if (size > strlen(end) && strcmp(entry->d_name + size - strlen(end), end) == 0)
            (void)snprintf(names[count++], 64, "%.60s", entry->d_name);
    }
    (void)closedir(folder);
    assert_true(count > 0);
    return count;
}

/* ---- masters ---- */

/* Do the digests of the buckets say what the rows' columns are now? */
static void expect_right_digests(struct bench *bench, struct sql_database *database)
{
    static const char DIGESTS[] = "SELECT group_concat(hex(digest)) FROM fs_bucket";
    struct catalog catalog = catalog_of(bench, database);
    struct catalog none = catalog;
    struct catalog_table *tables =
        arena_array(&bench->arena, catalog.table_count + 1, sizeof *tables);
    const char *before = text_of(bench, database, DIGESTS);
    size_t row_count = 0;

    assert_non_null(tables);
    memcpy(tables, catalog.tables, catalog.table_count * sizeof *tables);
    for (size_t t = 1; t < catalog.table_count; t++)
        tables[t].columns_mask = 0; /* all count as changed */
    none.tables = tables;
    ok(bench, rehash_tables(database, &none, &catalog, &row_count, &bench->problem));
    assert_true(row_count > 10);
    assert_string_equal(text_of(bench, database, DIGESTS), before);
}

static void upgrade_master(struct bench *bench, const char *name)
{
    struct migration_script scripts[VERSIONS_COUNT];
    struct sql_database *database = NULL;
    struct catalog old = {0};
    const char *before = NULL;
    int64_t seq = 0;

    print_message("%s\n", name);
    restore(bench, name);
    database = open_file(bench, SQL_PROFILE_SERVER);
    old = catalog_of(bench, database);
    before = contents(bench, database, &old);
    seq = integer_of(bench, database, "SELECT number FROM fs_state WHERE name = 'seq'");
    ok(bench, migrate_run(database, SCHEMA_SIDE_SERVER, NULL, 0, NOW, NULL, &bench->problem));
    assert_string_equal(contents(bench, database, &old), before);
    expect_right_digests(bench, database);
    /* and what a company does to it later */
    for (size_t i = 0; i < VERSIONS_COUNT; i++)
        scripts[i] = (struct migration_script){VERSIONS[i].name, VERSIONS[i].text};
    ok(bench, migrate_run(database, SCHEMA_SIDE_SERVER, scripts, VERSIONS_COUNT, NOW, NULL,
                          &bench->problem));
    assert_string_equal(contents(bench, database, &old), before);
    expect_right_digests(bench, database);
    /* no row was announced anew */
    assert_int_equal(integer_of(bench, database, "SELECT number FROM fs_state WHERE name = 'seq'"),
                     seq);
    assert_int_equal(integer_of(bench, database, "SELECT count(*) FROM fs_outbox WHERE op <> '-'"),
                     0);
    ok(bench, sql_integrity_check(database, &bench->problem));
    sql_close(database);
}

static void released_masters_are_upgraded(void **state)
{
    char names[NAMES_MAX][64];
    size_t count = find_releases("-server.sql.gz", names);

    for (size_t i = 0; i < count; i++)
        upgrade_master(*state, names[i]);
}

/* ---- devices ---- */

static void upgrade_device(struct bench *bench, const char *name)
{
    struct replica_options options = {.path = bench->path};
    struct sql_database *database = NULL;
    struct replica *replica = NULL;
    struct replica_counts counts = {0};
    struct catalog old = {0};
    const char *before = NULL;
    int64_t unsealed = 0;

    print_message("%s\n", name);
    restore(bench, name);
    database = open_file(bench, SQL_PROFILE_AGENT);
    old = catalog_of(bench, database);
    before = contents(bench, database, &old);
    unsealed = integer_of(bench, database, "SELECT unsealed FROM fs_sync");
    assert_true(unsealed > 0);
    sql_close(database);
    ok(bench, replica_open(&options, &replica, &bench->problem));
    ok(bench, replica_counts(replica, &counts, &bench->problem));
    /* R7: what was recorded under the old version is sealed in it */
    assert_int_equal(counts.unsealed, 0);
    assert_int_equal(counts.unacknowledged, unsealed);
    replica_close(replica);
    database = open_file(bench, SQL_PROFILE_AGENT);
    assert_string_equal(contents(bench, database, &old), before);
    assert_int_equal(
        integer_of(bench, database, "SELECT schema_version FROM fs_seal WHERE verdict_at IS NULL"),
        old.schema_version);
    ok(bench, sql_integrity_check(database, &bench->problem));
    sql_close(database);
}

static void released_devices_are_upgraded_and_keep_their_work(void **state)
{
    char names[NAMES_MAX][64];
    size_t count = find_releases("-agent.sql.gz", names);

    for (size_t i = 0; i < count; i++)
        upgrade_device(*state, names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(released_masters_are_upgraded, setup, teardown),
        cmocka_unit_test_setup_teardown(released_devices_are_upgraded_and_keep_their_work, setup,
                                        teardown),
    };

    return cmocka_run_group_tests_name("released_databases", tests, NULL, NULL);
}

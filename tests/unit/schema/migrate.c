/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schema_fixture/fixture.h" /* first: it asks for POSIX */

#include "schema/load.h"
#include "schema/triggers.h"
#include "tests/schema_fixture/versions.h"

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct wall_time NOW = {.us = 1700000000000000};
static const struct migration_script LIFTS[] = {
    {"5001_common_more", "ALTER TABLE lift ADD COLUMN b TEXT; INSERT INTO lift(id) VALUES (1);"},
    {"5000_common_lifts", "CREATE TABLE lift(id INTEGER PRIMARY KEY, a TEXT);"},
};

static int setup(void **state)
{
    *state = fixture_create(SQL_PROFILE_SERVER);
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void run(struct fixture *f, enum schema_side side, const struct migration_script *extra,
                size_t count, bool expect_some)
{
    size_t applied_count = 0;

    fixture_ok(f, migrate_run(f->database, side, extra, count, NOW, &applied_count, &f->problem));
    assert_int_equal(applied_count > 0, expect_some);
}

static void refuse(struct fixture *f, enum schema_side side, const struct migration_script *extra,
                   size_t count, const char *why)
{
    struct problem problem = {0};

    assert_int_equal(migrate_run(f->database, side, extra, count, NOW, NULL, &problem),
                     RESULT_REFUSED);
    if (strstr(problem.text, why) == NULL)
        fail_msg("'%s' doesn't say '%s'", problem.text, why);
    assert_false(sql_in_transaction(f->database));
    fixture_expect(f, "PRAGMA foreign_keys", "1"); /* as it was */
}

static void scripts_run_once_in_order_of_their_names(void **state)
{
    struct fixture *f = *state;
    int64_t version = -1;

    fixture_ok(f, migrate_version(f->database, &version, &f->problem));
    assert_int_equal(version, 0);
    run(f, SCHEMA_SIDE_SERVER, LIFTS, 2, true);
    run(f, SCHEMA_SIDE_SERVER, LIFTS, 2, false);
    fixture_ok(f, migrate_version(f->database, &version, &f->problem));
    assert_int_equal(schema_version_of(version).company, 5001);
    assert_int_equal(schema_version_of(version).product, 44);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_migration WHERE length(digest) ="
                                        " 64 AND applied_at = 1700000000000000"),
                     fixture_integer(f, "SELECT count(*) FROM fs_migration"));
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM lift"), 1);
}

static void each_side_runs_its_own(void **state)
{
    struct fixture *f = *state;
    static const struct migration_script SIDES[] = {
        {"6000_server_a", "CREATE TABLE of_server(id INTEGER PRIMARY KEY);"},
        {"6001_agent_a", "CREATE TABLE of_agent(id INTEGER PRIMARY KEY);"},
    };
    int64_t version = 0;

    run(f, SCHEMA_SIDE_SERVER, SIDES, 2, true);
    fixture_expect(f, "SELECT group_concat(name) FROM sqlite_schema WHERE name LIKE 'of_%'",
                   "of_server");
    fixture_ok(f, migrate_version(f->database, &version, &f->problem));
    assert_int_equal(schema_version_of(version).company, 0); /* not what is replicated */
    refuse(f, SCHEMA_SIDE_AGENT, SIDES, 2, "this is a database of a server");
}

static void script_that_fails_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct migration_script BAD[] = {
        {"5000_common_bad",
         "CREATE TABLE half(id INTEGER PRIMARY KEY); INSERT INTO nowhere VALUES (1);"}};
    static const struct migration_script ENDS[] = {
        {"5000_common_ends", "CREATE TABLE half(id INTEGER PRIMARY KEY); ROLLBACK;"}};
    static const struct migration_script ORPHAN[] = {
        {"5000_common_orphan",
         "CREATE TABLE half(id INTEGER PRIMARY KEY, p INTEGER REFERENCES half(id));"
         "INSERT INTO half VALUES (1, 2);"}};

    refuse(f, SCHEMA_SIDE_SERVER, BAD, 1, "5000_common_bad (undone)");
    refuse(f, SCHEMA_SIDE_SERVER, ENDS, 1, "mustn't");
    refuse(f, SCHEMA_SIDE_SERVER, ORPHAN, 1, "half refers to a row that isn't there");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"),
                     0);
    assert_int_equal(
        fixture_integer(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'fs_migration'"),
        0); /* all or nothing */
}

static void changed_script_and_newer_database_are_refused(void **state)
{
    struct fixture *f = *state;
    struct migration_script changed[2];

    run(f, SCHEMA_SIDE_SERVER, LIFTS, 2, true);
    memcpy(changed, LIFTS, sizeof changed);
    changed[1].text = "CREATE TABLE lift(id INTEGER PRIMARY KEY, a TEXT) ;";
    refuse(f, SCHEMA_SIDE_SERVER, changed, 2, "5000_common_lifts has changed since it ran here");
    refuse(f, SCHEMA_SIDE_SERVER, LIFTS + 1, 1,
           "the database is newer (has 5001_common_more) than this program");
    run(f, SCHEMA_SIDE_SERVER, LIFTS, 2, false);
}

static void names_out_of_order_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const NAMES[] = {"",
                                        "lifts",
                                        "500_common_x",
                                        "50000_common_x",
                                        "5000_other_x",
                                        "5000_common_X",
                                        "5000common_x",
                                        "5000_common_'); DROP TABLE x"};
    const struct migration_script twice[] = {LIFTS[0], LIFTS[0]};

    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct migration_script script = {NAMES[i], "SELECT 1"};

        refuse(f, SCHEMA_SIDE_SERVER, &script, 1, "migration");
    }
    refuse(f, SCHEMA_SIDE_SERVER, twice, 2, "two migrations are named 5001_common_more");
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM sqlite_schema"), 0);
}

static void agent_scripts_are_not_captured(void **state)
{
    struct fixture *f = *state;
    static const struct migration_script FILL[] = {
        {"5002_common_fill", "INSERT INTO captured(id) VALUES (1);"},
    };
    static const struct migration_script MAKE[] = {
        {"5001_common_make",
         "CREATE TABLE captured(id INTEGER PRIMARY KEY); CREATE TRIGGER c AFTER INSERT ON captured"
         " WHEN NOT EXISTS (SELECT 1 FROM fs_flag) BEGIN SELECT RAISE(ABORT, 'captured'); END;"},
    };
    const struct migration_script both[] = {MAKE[0], FILL[0]};

    run(f, SCHEMA_SIDE_AGENT, both, 2, true);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM captured"), 1);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_flag"), 0);
    fixture_refuses(f, "INSERT INTO captured(id) VALUES (2)", "captured");
}

/* ---- history ---- */

static void load_and_install(struct fixture *f, enum schema_side side)
{
    arena_reset(&f->arena);
    fixture_ok(f, catalog_load(f->database, &f->arena, &f->catalog, &f->problem));
    fixture_ok(f, triggers_install(f->database, &f->catalog, side, NULL, &f->problem));
}

static void scripts_of(struct migration_script scripts[VERSIONS_COUNT])
{
    for (size_t i = 0; i < VERSIONS_COUNT; i++)
        scripts[i] = (struct migration_script){VERSIONS[i].name, VERSIONS[i].text};
}

/* Columns keep their numbers for ever; the catalog says since when and until when. */
static void what_a_script_brings_is_marked_with_its_number(void **state)
{
    struct fixture *f = *state;
    struct migration_script scripts[VERSIONS_COUNT];
    const struct catalog_table *lift = NULL;

    scripts_of(scripts);
    run(f, SCHEMA_SIDE_SERVER, scripts, VERSIONS_COUNT, true);
    load_and_install(f, SCHEMA_SIDE_SERVER);
    fixture_expect(f,
                   "SELECT group_concat(number || name || ':' || since || '-' ||"
                   " coalesce(until, ''), ' ') FROM (SELECT * FROM fs_column WHERE table_number ="
                   " 900 ORDER BY number)",
                   "1code:5001- 2paint:5001- 3weight:5001-5004 4floors:5002- 5note:5002-");
    fixture_expect(f, "SELECT group_concat(since) FROM fs_table WHERE number IN (1, 900, 901)",
                   "0,5001,5004");
    lift = catalog_table_by_name(&f->catalog, "lift");
    assert_int_equal(lift->columns_mask, 0x36);
    assert_false(catalog_has_column(lift, 3));
    assert_null(catalog_column_by_name(lift, "weight"));
    assert_int_equal(f->catalog.dropped_count, 1);
    assert_int_equal(f->catalog.dropped[0].until, 5004);
    assert_int_equal(f->catalog.step_count, VERSIONS_COUNT);
    /* a column far away, as companies have in tables of the product */
    assert_int_equal(
        catalog_column_by_name(catalog_table_by_name(&f->catalog, "site"), "lift_count")->number,
        48);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_script WHERE name >= '5000'"),
                     VERSIONS_COUNT);
    fixture_exec(f, "INSERT INTO lift(id, code) VALUES (1, 'a')");
    assert_int_equal(fixture_integer(f, "SELECT max(mask) FROM fs_outbox WHERE op = 'I'"), 0x36);
}

static void a_dropped_column_names_the_script_that_drops_it(void **state)
{
    struct fixture *f = *state;
    struct migration_script scripts[VERSIONS_COUNT];

    scripts_of(scripts);
    run(f, SCHEMA_SIDE_SERVER, scripts, 1, true);
    scripts[1].text = "ALTER TABLE lift DROP COLUMN weight;"
                      "UPDATE fs_column SET until = 5001 WHERE name = 'weight'";
    refuse(f, SCHEMA_SIDE_SERVER, scripts, 2, "isn't the number of the script that drops it");
    fixture_expect(f, "SELECT count(weight) FROM lift", "0"); /* it is still there */
}

/* The same numbers with other texts are another company's. */
static void versions_of_two_companies_differ(void **state)
{
    struct fixture *f = *state;
    struct migration_script scripts[VERSIONS_COUNT];
    struct problem problem = {0};
    int64_t version = 0;

    scripts_of(scripts);
    run(f, SCHEMA_SIDE_SERVER, scripts, 2, true);
    load_and_install(f, SCHEMA_SIDE_SERVER);
    fixture_ok(f, migrate_version(f->database, &version, &f->problem));
    assert_int_equal(catalog_check_version(&f->catalog, version, &problem), RESULT_OK);
    assert_int_equal(catalog_check_version(&f->catalog, version ^ (INT64_C(1) << 40), &problem),
                     RESULT_REFUSED);
}

/* Rows that a script writes on a server travel like anybody's; also in columns that came just now.
 */
static void what_scripts_write_on_a_server_is_captured(void **state)
{
    struct fixture *f = *state;
    const struct migration_script MORE[] = {
        {VERSIONS[0].name, VERSIONS[0].text},
        {"5002_common_more", "INSERT INTO lift(id, code) VALUES (1, 'from a script');"
                             "ALTER TABLE lift ADD COLUMN floors BIGINT;"
                             "INSERT INTO fs_column(table_number, number, name, type, is_nullable)"
                             " VALUES (900, 4, 'floors', 'integer', 1);"},
        {"5003_server_floors", "UPDATE lift SET floors = 3"},
        {"5004_common_less", "ALTER TABLE lift DROP COLUMN weight;"
                             "UPDATE fs_column SET until = 5004 WHERE name = 'weight'"},
    };

    run(f, SCHEMA_SIDE_SERVER, MORE, 1, true);
    load_and_install(f, SCHEMA_SIDE_SERVER);
    run(f, SCHEMA_SIDE_SERVER, MORE, 4, true);
    fixture_expect(f,
                   "SELECT group_concat(op || mask, ' ') FROM (SELECT op, mask FROM fs_outbox"
                   " WHERE tbl = 900 ORDER BY lcn)",
                   "I14 U16");
    load_and_install(f, SCHEMA_SIDE_SERVER);
}

/* ---- scripts from the server ---- */

static void receive(struct fixture *f, const char *name, const char *text)
{
    const struct value values[] = {value_text_of(name), value_text_of(text)};

    fixture_ok(f, sql_run(f->database,
                          "INSERT INTO fs_script(name, text, is_pending) VALUES (?1, ?2, 1)",
                          values, 2, &f->problem));
}

static const char *run_received(struct fixture *f, size_t *ret_count)
{
    static char refused[MIGRATE_REFUSED_SIZE];
    const struct migrate_options options = {.side = SCHEMA_SIDE_AGENT, .now = NOW};

    *ret_count = 0;
    fixture_ok(f, migrate_received(f->database, &options, ret_count, refused, &f->problem));
    return refused;
}

static void scripts_from_the_server_run_together_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    size_t count = 0;

    run(f, SCHEMA_SIDE_AGENT, NULL, 0, true);
    load_and_install(f, SCHEMA_SIDE_AGENT);
    receive(f, VERSIONS[0].name, VERSIONS[0].text);
    receive(f, VERSIONS[1].name, VERSIONS[1].text);
    receive(f, "5003_common_bad", "DELETE FROM site");
    assert_non_null(strstr(run_received(f, &count), "may not do this"));
    assert_int_equal(count, 0);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'lift'"),
                     0);
    fixture_expect(f, "SELECT count(*) FROM fs_script WHERE problem IS NOT NULL", "3");
    /* asked again it doesn't try again; sent again it does */
    assert_string_equal(run_received(f, &count), "");
    fixture_exec(f, "DELETE FROM fs_script WHERE name LIKE '5003%';"
                    "UPDATE fs_script SET problem = NULL");
    assert_string_equal(run_received(f, &count), "");
    assert_int_equal(count, 2);
    load_and_install(f, SCHEMA_SIDE_AGENT);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM fs_script WHERE is_pending = 0"), 2);
    run(f, SCHEMA_SIDE_AGENT, NULL, 0, false); /* this program knows where they come from */
    /* what the company has in its own folder is the same script */
    run(f, SCHEMA_SIDE_AGENT,
        (const struct migration_script[]){{VERSIONS[0].name, VERSIONS[0].text}}, 1, false);
}

/* A program's own statements speak of the product's columns: nobody takes them away under it. */
static void the_products_columns_stay_until_the_program_is_replaced(void **state)
{
    struct fixture *f = *state;
    size_t count = 0;

    run(f, SCHEMA_SIDE_AGENT, NULL, 0, true);
    load_and_install(f, SCHEMA_SIDE_AGENT);
    receive(f, "0090_common_rename",
            "ALTER TABLE site RENAME COLUMN access_note TO note_of_access");
    receive(f, VERSIONS[0].name, VERSIONS[0].text);
    assert_non_null(strstr(run_received(f, &count), "0090_common_rename (undone)"));
    assert_int_equal(count, 1); /* the company's came in */
    fixture_expect(f, "SELECT count(access_note) FROM site", "0");
}

/* ---- crashes ---- */

static int die(void *context)
{
    int *steps_left = context;

    if ((*steps_left)-- == 0)
        _exit(77); /* as if the power went: nothing is closed, nothing rolled back */
    return 0;
}

/* True: it died on the way. */
static bool upgrade_until(struct fixture *f, int steps)
{
    struct migration_script scripts[VERSIONS_COUNT];
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct sql_options options = {.path = f->path, .profile = SQL_PROFILE_SERVER};
        struct sql_database *database = NULL;
        struct problem problem = {0};

        scripts_of(scripts);
        if (sql_open(&options, &database, &problem) != RESULT_OK)
            _exit(1);
        sqlite3_progress_handler(sql_handle(database), 100, die, &steps);
        if (migrate_run(database, SCHEMA_SIDE_SERVER, scripts, VERSIONS_COUNT, NOW, NULL,
                        &problem) != RESULT_OK)
            _exit(2);
        _exit(0); /* without closing: the log is left as it is */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
    return WEXITSTATUS(status) == 77;
}

static void reopen(struct fixture *f)
{
    struct sql_options options = {.path = f->path, .profile = SQL_PROFILE_SERVER};

    sql_close(f->database);
    f->database = NULL;
    fixture_ok(f, sql_open(&options, &f->database, &f->problem));
}

/* A crash inside an upgrade leaves the old schema whole, and the next start has the
 * new one; killed at points all over it. */
static void a_crash_inside_an_upgrade_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct migration_script scripts[VERSIONS_COUNT];
    bool has_died = true;
    size_t crashes = 0;

    scripts_of(scripts);
    run(f, SCHEMA_SIDE_SERVER, scripts, 1, true);
    load_and_install(f, SCHEMA_SIDE_SERVER);
    fixture_exec(f, "INSERT INTO lift(id, code, weight) VALUES (1, 'a', 700)");
    for (int steps = 0; has_died; steps += 1 + steps) {
        sql_close(f->database); /* no connection lives through a fork */
        f->database = NULL;
        has_died = upgrade_until(f, steps);
        reopen(f);
        fixture_ok(f, sql_integrity_check(f->database, &f->problem));
        if (!has_died)
            break;
        crashes++;
        fixture_expect(f, "SELECT colour IS NULL AND weight = 700 FROM lift", "1");
        assert_int_equal(
            fixture_integer(f, "SELECT count(*) FROM fs_migration WHERE name > '5001~'"), 0);
    }
    assert_true(crashes > 6);
    fixture_expect(f, "SELECT paint IS NULL AND note = 'none' FROM lift", "1");
    run(f, SCHEMA_SIDE_SERVER, scripts, VERSIONS_COUNT, false);
    /* and the old program, started after it, says so */
    refuse(f, SCHEMA_SIDE_SERVER, scripts, 1, "the database is newer (has 5005_common_site_lifts)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_script_brings_is_marked_with_its_number, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dropped_column_names_the_script_that_drops_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_scripts_write_on_a_server_is_captured, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(versions_of_two_companies_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(scripts_from_the_server_run_together_or_not_at_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_products_columns_stay_until_the_program_is_replaced,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_inside_an_upgrade_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(scripts_run_once_in_order_of_their_names, setup, teardown),
        cmocka_unit_test_setup_teardown(each_side_runs_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(script_that_fails_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_script_and_newer_database_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_out_of_order_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(agent_scripts_are_not_captured, setup, teardown),
    };

    return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schema_fixture/fixture.h"

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
    assert_int_equal(schema_version_of(version).product, 30);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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

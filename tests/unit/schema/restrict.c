/* SPDX-License-Identifier: Apache-2.0 */
/* A script from the network does to a database what its subject is, and nothing else. */
#include "tests/schema_fixture/fixture.h" /* first: it asks for POSIX */

#include "schema/restrict.h"

static int setup(void **state)
{
    struct fixture *f = fixture_create(SQL_PROFILE_AGENT);

    fixture_exec(
        f, "CREATE TABLE fs_table(number INTEGER PRIMARY KEY, name TEXT);"
           "CREATE TABLE fs_column(table_number INTEGER, number INTEGER, name TEXT);"
           "CREATE TABLE fs_grant(role TEXT); CREATE TABLE fs_subscription(sql TEXT);"
           "CREATE TABLE fs_watch(sql TEXT); CREATE TABLE fs_state(name TEXT, data BLOB);"
           "CREATE TABLE fs_outbox(lcn INTEGER PRIMARY KEY);"
           "CREATE TABLE site(id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT);"
           "CREATE UNIQUE INDEX site_name ON site(name);"
           "INSERT INTO site VALUES (1, 'a', 'x'); INSERT INTO fs_state VALUES ('psk', x'01')");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static enum result try_script(struct fixture *f, enum restrict_mode mode, const char *script)
{
    struct restriction restriction;
    struct problem problem = {0};
    enum result result = RESULT_OK;

    fixture_exec(f, "BEGIN IMMEDIATE");
    restrict_begin(&restriction, mode, f->database);
    result = sql_exec(f->database, script, &problem);
    restrict_end(f->database);
    if (result != RESULT_OK && restriction.refused[0] == '\0')
        fail_msg("%s: %s", script, problem.text); /* it failed, but not by the restriction */
    fixture_exec(f, "ROLLBACK");
    if (result != RESULT_OK && getenv("FIELDSYNC_TEST_TRACE") != NULL)
        print_message("%s: %s\n", script, restriction.refused);
    return result;
}

static void expect_allowed(struct fixture *f, enum restrict_mode mode, const char *script)
{
    if (try_script(f, mode, script) != RESULT_OK)
        fail_msg("%s: was refused", script); /* the words are in restriction.refused */
}

static void what_a_schema_needs_is_allowed(void **state)
{
    static const char *const SCRIPTS[] = {
        ("CREATE TABLE lift(id INTEGER PRIMARY KEY, code TEXT NOT NULL DEFAULT 'x' CHECK"
         " (length(code) < 9), site_id BIGINT REFERENCES site(id), UNIQUE(code))"),
        "CREATE INDEX site_note ON site(note) WHERE note IS NOT NULL",
        "CREATE UNIQUE INDEX site_both ON site(name, note)",
        "DROP INDEX site_name",
        "CREATE VIEW site_names AS SELECT id, upper(name) AS name FROM site",
        "ALTER TABLE site ADD COLUMN lifts BIGINT",
        "ALTER TABLE site ADD COLUMN kind TEXT NOT NULL DEFAULT 'house' CHECK (kind <> '')",
        "INSERT INTO fs_table(number, name) VALUES (900, 'lift')",
        "INSERT INTO fs_column SELECT 900, 1, 'code' UNION ALL SELECT 900, 2, 'site_id'",
        "UPDATE fs_column SET name = 'x' WHERE name = 'y'",
        "DELETE FROM fs_grant WHERE role = 'sales'",
        "INSERT INTO fs_subscription VALUES ('SELECT 1')",
        "INSERT INTO fs_watch VALUES ('SELECT 1')",
    };
    static const char *const OF_COMPANIES[] = {
        "ALTER TABLE site RENAME COLUMN note TO remark",
        "ALTER TABLE site DROP COLUMN note",
    };

    for (size_t i = 0; i < sizeof SCRIPTS / sizeof SCRIPTS[0]; i++) {
        expect_allowed(*state, RESTRICT_COMPANY, SCRIPTS[i]);
        expect_allowed(*state, RESTRICT_PRODUCT, SCRIPTS[i]);
    }
    for (size_t i = 0; i < sizeof OF_COMPANIES / sizeof OF_COMPANIES[0]; i++) {
        expect_allowed(*state, RESTRICT_COMPANY, OF_COMPANIES[i]);
        assert_int_not_equal(try_script(*state, RESTRICT_PRODUCT, OF_COMPANIES[i]), RESULT_OK);
    }
}

static void everything_else_is_not(void **state)
{
    struct fixture *f = *state;
    static const char *const SCRIPTS[] = {
        "UPDATE site SET name = 'b'",
        "INSERT INTO site VALUES (2, 'b', 'c')",
        "DELETE FROM site",
        "INSERT INTO fs_outbox VALUES (1)",
        "UPDATE fs_state SET data = x'02'",
        "DELETE FROM fs_state",
        "CREATE TABLE copy AS SELECT * FROM fs_state",
        "CREATE TABLE copy AS SELECT * FROM fs_outbox",
        "CREATE TABLE fs_mine(a)",
        "CREATE TABLE _fs_mine(a)",
        "CREATE VIEW fs_flag AS SELECT 1",
        "CREATE INDEX i ON fs_outbox(lcn)",
        "CREATE TRIGGER t AFTER INSERT ON site BEGIN DELETE FROM site; END",
        "CREATE TEMP TABLE t(a)",
        "CREATE TEMP TRIGGER t AFTER INSERT ON site BEGIN DELETE FROM site; END",
        "CREATE TEMP VIEW v AS SELECT 1",
        "DROP TABLE site",
        "DROP TABLE fs_outbox",
        "ALTER TABLE fs_state ADD COLUMN x",
        "ALTER TABLE fs_outbox RENAME COLUMN lcn TO l",
        "PRAGMA writable_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA foreign_keys = ON",
        "ATTACH '/tmp/x.db' AS x",
        "DETACH main",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "SELECT load_extension('x')",
        "SELECT writefile('x', 'y')",
        "SELECT randomblob(1000000000)",
        "SELECT zeroblob(1000000000)",
        "INSERT INTO fs_subscription SELECT hex(data) FROM fs_state",
        "CREATE VIRTUAL TABLE v USING fts5(a)",
        "UPDATE sqlite_schema SET sql = ''",
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO fs_watch"
         " SELECT i FROM n"),
        "ANALYZE",
        "ALTER TABLE site RENAME TO fs_site",
    };

    for (size_t i = 0; i < sizeof SCRIPTS / sizeof SCRIPTS[0]; i++) {
        struct restriction restriction;
        struct problem problem = {0};

        fixture_exec(f, "BEGIN IMMEDIATE");
        restrict_begin(&restriction, RESTRICT_COMPANY, f->database);
        if (sql_exec(f->database, SCRIPTS[i], &problem) == RESULT_OK)
            fail_msg("%s: went through", SCRIPTS[i]);
        restrict_end(f->database);
        assert_true(sql_in_transaction(f->database));
        fixture_exec(f, "ROLLBACK");
    }
    fixture_expect(f, "SELECT name || note FROM site", "ax");
    fixture_exec(f, "UPDATE site SET name = 'b'"); /* over: everything goes again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_schema_needs_is_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(everything_else_is_not, setup, teardown),
    };

    return cmocka_run_group_tests_name("restrict", tests, NULL, NULL);
}

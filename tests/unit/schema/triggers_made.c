/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schema_fixture/fixture.h"

#include <sqlite3.h>

static int agent_setup(void **state)
{
    *state = fixture_create_model(SCHEMA_SIDE_AGENT);
    return 0;
}

static int server_setup(void **state)
{
    *state = fixture_create_model(SCHEMA_SIDE_SERVER);
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

#define NEW_ID "(SELECT id FROM new_id)"

static void expect_all_right(struct fixture *f)
{
    const char *report = NULL;
    size_t wrong_count = 99;
    struct arena report_arena;

    arena_init(&report_arena, 64 * 1024);
    fixture_ok(f, triggers_verify(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &report_arena,
                                  &wrong_count, &report, &f->problem));
    assert_string_equal(report, "");
    assert_int_equal(wrong_count, 0);
    arena_done(&report_arena);
}

/* A start at which nothing has changed doesn't even write; whatever has changed is noticed, also
 * what no statement of SQL's own for schemas did. */
static void only_what_has_changed_is_compared(void **state)
{
    static const char ALTER[] = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
                                " replace(sql, '''I''', '''D''') WHERE name = '_fs_site_insert';"
                                " PRAGMA writable_schema = RESET";
    struct fixture *f = *state;
    sqlite3 *handle = sql_handle(f->database);
    size_t changed_count = 99;

    fixture_exec(f, "PRAGMA query_only = ON");
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &changed_count,
                                   &f->problem));
    assert_int_equal(changed_count, 0);
    fixture_exec(f, "PRAGMA query_only = OFF");

    assert_int_equal(sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL), SQLITE_OK);
    fixture_exec(f, ALTER);
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &changed_count,
                                   &f->problem));
    assert_int_equal(changed_count, 2);
    expect_all_right(f);

    fixture_exec(f, "UPDATE fs_column SET merge = 'server_only' WHERE table_number = 8");
    fixture_load(f);
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &changed_count,
                                   &f->problem));
    assert_true(changed_count > 0);
    expect_all_right(f);
    fixture_refuses(f, "INSERT INTO folder(id) VALUES (" NEW_ID ")",
                    "rows of folder are made by the server only");

    fixture_exec(f, "DELETE FROM fs_state WHERE name = 'triggers_made'");
    fixture_ok(f, triggers_install(f->database, &f->catalog, SCHEMA_SIDE_AGENT, &changed_count,
                                   &f->problem));
    assert_int_equal(changed_count, 0);
    assert_int_equal(
        fixture_integer(f, "SELECT length(data) FROM fs_state WHERE name = 'triggers_made'"), 32);
}

static void a_server_gets_its_number_back(void **state)
{
    struct fixture *f = *state;

    fixture_exec(f, "DELETE FROM fs_state WHERE name = 'replica_no'");
    fixture_ok(f,
               triggers_install(f->database, &f->catalog, SCHEMA_SIDE_SERVER, NULL, &f->problem));
    assert_int_equal(fixture_integer(f, "SELECT number FROM fs_state WHERE name = 'replica_no'"),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_what_has_changed_is_compared, agent_setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_gets_its_number_back, server_setup, teardown),
    };

    return cmocka_run_group_tests_name("triggers_made", tests, NULL, NULL);
}

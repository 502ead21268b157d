/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schema_fixture/fixture.h"

static int setup(void **state)
{
    struct fixture *f = fixture_create(SQL_PROFILE_AGENT);

    fixture_exec(f, fixture_script("0001_"));
    fixture_exec(f, fixture_script("0002_"));
    fixture_exec(f, FIXTURE_TABLES);
    fixture_exec(f, FIXTURE_CATALOG);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void catalog_is_what_the_tables_say(void **state)
{
    struct fixture *f = *state;
    const struct catalog *catalog = &f->catalog;
    const struct catalog_table *event = NULL;
    const struct catalog_table *part = NULL;

    fixture_load(f);
    assert_int_equal(catalog->table_count, 11);
    event = catalog_table_by_name(catalog, "event");
    assert_int_equal(event->number, 4);
    assert_true(event->append_only);
    assert_int_equal(event->delete_rule, DELETE_NEVER);
    assert_int_equal(event->home_column_no, 2);
    assert_int_equal(event->columns[2].merge, MERGE_SERVER_ONLY); /* home always is */
    assert_int_equal(event->columns[3].merge, MERGE_APPEND_ONLY);
    assert_int_equal(event->columns[1].refers_to, 3);
    assert_int_equal(event->bucket_terms[0].source, BUCKET_INHERITED);
    assert_int_equal(event->columns_mask, 14);
    assert_int_equal(event->server_only_mask, 4);
    part = catalog_table_by_name(catalog, "part");
    assert_int_equal(part->column_count, 6);
    assert_int_equal(part->columns[4].type, VALUE_REAL);
    assert_int_equal(part->columns[2].group_no, 1);
    assert_int_equal(part->key_column_count, 1);
    assert_int_equal(part->key_columns[0], 1);
    assert_true(catalog_table_by_name(catalog, "scratch")->is_local);
    assert_false(catalog_table_by_name(catalog, "call")->columns[4].nullable);
    assert_null(catalog_table_by_no(catalog, 6));
}

static void rights_are_loaded(void **state)
{
    struct fixture *f = *state;
    const struct catalog_table *call = NULL;
    uint8_t own = 99;

    fixture_load(f);
    call = catalog_table_by_name(&f->catalog, "call");
    assert_int_equal(f->catalog.grant_count, 4);
    assert_int_equal(f->catalog.subscription_count, 2);
    assert_int_equal(f->catalog.subscriptions[0].role, ROLE_ADMIN);
    assert_string_equal(f->catalog.subscriptions[0].sql, "SELECT 2");
    assert_int_equal(f->catalog.watch_count, 1);
    assert_int_equal(f->catalog.watches[0].table_no, 2);
    /* '*' is everything but server_only */
    assert_true(catalog_may(&f->catalog, ROLE_TECHNICIAN, call, CHANGE_INSERT, 14, &own));
    assert_false(catalog_may(&f->catalog, ROLE_TECHNICIAN, call, CHANGE_INSERT, 16, &own));
    assert_true(catalog_may(&f->catalog, ROLE_TECHNICIAN, call, CHANGE_UPDATE, 8, &own));
    assert_int_equal(own, 2);
}

struct mistake {
    const char *script;
    const char *words;
};

static const struct mistake MISTAKES[] = {
    {"UPDATE fs_grant SET role = 'tehnician' WHERE columns = 'title'",
     "fs_grant: table call: role 'tehnician': unknown role; roles are technician"},
    {"UPDATE fs_grant SET columns = 'titel' WHERE columns = 'title'", "titel is no column of it"},
    {"UPDATE fs_grant SET columns = 'state' WHERE columns = 'title'", "state is server_only"},
    {"UPDATE fs_grant SET op = 'read' WHERE columns = 'title'", "none of: insert update delete"},
    {"UPDATE fs_grant SET table_name = 'cal'", "'cal' is not in fs_table"},
    {"UPDATE fs_grant SET own_column = 'me' WHERE columns = 'title'", "own_column me"},
    {"UPDATE fs_grant SET op = 'update' WHERE table_name = 'event'", "only inserted"},
    {"UPDATE fs_subscription SET role = 'boss' WHERE role = 'admin'",
     "fs_subscription: role 'boss'"},
    {"UPDATE fs_watch SET table_name = 'x'", "fs_watch: table 'x'"},
    {"UPDATE fs_table SET merge = 'write_once' WHERE number = 1", "merge of site: 'write_once'"},
    {"UPDATE fs_table SET delete_rule = 'maybe' WHERE number = 1", "delete_rule of site: 'maybe'"},
    {"UPDATE fs_table SET bucket_rule = 'site' WHERE number = 1", "bucket rule of site: 'site'"},
    {"UPDATE fs_table SET bucket_rule = NULL WHERE number = 1", "bucket rule of site: ''"},
    {"UPDATE fs_table SET natural_key = 'nam' WHERE number = 1", "nam is no column of it"},
    {"UPDATE fs_table SET number = 5000 WHERE number = 7", "numbers go up to"},
    {"UPDATE fs_table SET number = -1 WHERE number = 7", "number -1 of scratch"},
    {"DELETE FROM fs_column WHERE table_number = 1", "fs_column has no rows for table site"},
    {"DELETE FROM fs_column WHERE table_number = 1 AND number = 1",
     "column site.name is not in fs_column"},
    {"DELETE FROM fs_column WHERE table_number = 1 AND number = 2",
     "column site.note is not in fs_column"},
    {"UPDATE fs_column SET name = 'nite' WHERE name = 'note'",
     "column site.note is not in fs_column"},
    {"INSERT INTO fs_column(table_number, number, name, type, is_nullable) VALUES (1, 3, 'x',"
     " 'text', 1)",
     "column site.x is in fs_column but not in the database"},
    {"UPDATE fs_column SET type = 'string' WHERE name = 'note'", "fs_column: site.note: 'string'"},
    {"UPDATE fs_column SET type = 'blob' WHERE name = 'note'", "column site.note is declared TEXT"},
    {"UPDATE fs_column SET is_nullable = 0 WHERE name = 'note'", "column site.note is nullable"},
    {"UPDATE fs_column SET is_nullable = 1 WHERE name = 'state'", "column call.state is NOT NULL"},
    {"UPDATE fs_column SET refers_to = 'syte' WHERE name = 'site_id'", "refers to syte"},
    {"UPDATE fs_column SET group_no = 300 WHERE name = 'note'", "group_no"},
    {"DROP TABLE scratch", "table scratch is in fs_table but not in the database"},
    {"DROP TABLE scratch; CREATE TABLE scratch(id INT PRIMARY KEY, t TEXT)",
     "scratch needs exactly id INTEGER PRIMARY KEY"},
    {"WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 63) INSERT INTO"
     " fs_column(table_number, number, name, type, is_nullable) SELECT 1, i, 'c' || i, 'text', 1"
     " FROM n",
     "column number 63"},
};

static void mistakes_are_named_with_what_is_expected(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof MISTAKES / sizeof MISTAKES[0]; i++) {
        struct problem problem = {0};
        struct catalog catalog = {0};

        fixture_exec(f, "BEGIN");
        fixture_exec(f, MISTAKES[i].script);
        arena_reset(&f->arena);
        assert_int_equal(catalog_load(f->database, &f->arena, &catalog, &problem), RESULT_REFUSED);
        if (strstr(problem.text, MISTAKES[i].words) == NULL)
            fail_msg("%s: '%s' doesn't say '%s'", MISTAKES[i].script, problem.text,
                     MISTAKES[i].words);
        assert_null(catalog.tables); /* written only on success */
        fixture_exec(f, "ROLLBACK");
    }
    fixture_load(f);
}

static void small_arena_is_exhausted_at_any_point(void **state)
{
    struct fixture *f = *state;
    enum result result = RESULT_EXHAUSTED;
    size_t size = 0;

    for (; result != RESULT_OK && size < 200000; size += 97) {
        struct arena arena;
        struct catalog catalog = {0};
        struct problem problem = {0};

        arena_init(&arena, size);
        result = catalog_load(f->database, &arena, &catalog, &problem);
        assert_true(result == RESULT_OK || result == RESULT_EXHAUSTED);
        arena_done(&arena);
        assert_false(sql_in_transaction(f->database));
    }
    assert_int_equal(result, RESULT_OK);
    assert_true(size > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(catalog_is_what_the_tables_say, setup, teardown),
        cmocka_unit_test_setup_teardown(rights_are_loaded, setup, teardown),
        cmocka_unit_test_setup_teardown(mistakes_are_named_with_what_is_expected, setup, teardown),
        cmocka_unit_test_setup_teardown(small_arena_is_exhausted_at_any_point, setup, teardown),
    };

    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}

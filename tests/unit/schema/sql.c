/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schema_fixture/fixture.h"

#include <math.h>

static int setup(void **state)
{
    *state = fixture_create(SQL_PROFILE_SERVER);
    fixture_exec(*state, "CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
                         "CREATE TABLE c(id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t(id)"
                         " DEFERRABLE INITIALLY DEFERRED);");
    return 0;
}

static int teardown(void **state)
{
    fixture_destroy(*state);
    return 0;
}

static void profiles_set_what_they_promise(void **state)
{
    struct fixture *f = *state;

    fixture_expect(f, "PRAGMA journal_mode", "wal");
    fixture_expect(f, "PRAGMA synchronous", "2");
    fixture_expect(f, "PRAGMA foreign_keys", "1");
    fixture_expect(f, "PRAGMA wal_autocheckpoint", "0");
    fixture_expect(f, "PRAGMA cache_size", "-16384");
    fixture_expect(f, "PRAGMA trusted_schema", "0");
    fixture_reopen(f, SQL_PROFILE_AGENT);
    fixture_expect(f, "PRAGMA synchronous", "1");
    fixture_expect(f, "PRAGMA foreign_keys", "0");
    fixture_ok(f, sql_set_durable(f->database, true, &f->problem));
    fixture_expect(f, "PRAGMA synchronous", "2");
    fixture_ok(f, sql_set_durable(f->database, false, &f->problem));
    fixture_expect(f, "PRAGMA synchronous", "1");
    fixture_refuses(f, "ATTACH ':memory:' AS other", "too many attached");
    fixture_exec(f, "PRAGMA writable_schema = ON");
    fixture_refuses(f, "DELETE FROM sqlite_schema", "may not be modified"); /* defensive */
}

static void values_come_back_as_they_went_in(void **state)
{
    struct fixture *f = *state;
    const struct value values[] = {
        value_null(),
        value_integer(INT64_MIN),
        value_real(1.5),
        value_text_of("ö"),
        value_text_of(""),
        value_blob(bytes_of("\0x", 2)),
        value_blob((struct bytes){0}),
    };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct sql_statement *statement = NULL;
        struct value copy = {0};
        struct value borrowed = {0};
        bool row = false;

        fixture_ok(f, sql_run(f->database, "INSERT OR REPLACE INTO t(id, v) VALUES (1, ?1)",
                              &values[i], 1, &f->problem));
        fixture_ok(f, sql_prepare(f->database, "SELECT v FROM t", &statement, &f->problem));
        fixture_ok(f, sql_step(statement, &row, &f->problem));
        assert_true(row);
        borrowed = sql_column(statement, 0);
        assert_true(value_equal(&borrowed, &values[i]));
        fixture_ok(f, sql_column_copy(statement, 0, &f->arena, &copy, &f->problem));
        fixture_ok(f, sql_step(statement, &row, &f->problem));
        assert_false(row);
        sql_release(statement);
        assert_true(value_equal(&copy, &values[i]));
    }
}

static void values_no_database_keeps_are_refused_at_bind(void **state)
{
    struct fixture *f = *state;
    const struct value values[] = {value_real((double)NAN), value_real((double)INFINITY),
                                   value_text(bytes_of("a\0b", 3))};

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            sql_run(f->database, "INSERT INTO t(v) VALUES (?1)", &values[i], 1, &f->problem),
            RESULT_REFUSED);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM t"), 0);
    assert_int_equal(sql_run(f->database, "SELECT 1", values, 1, &f->problem), RESULT_REFUSED);
}

static void wrong_statements_are_refused_with_words(void **state)
{
    struct fixture *f = *state;
    struct sql_statement *statement = NULL;
    static const char *const TEXTS[] = {"", ";", "SELECT", "SELECT 1; SELECT 2", "SELECT \"nope\""};

    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        f->problem.text[0] = '\0';
        assert_int_equal(sql_prepare(f->database, TEXTS[i], &statement, &f->problem),
                         RESULT_REFUSED);
        assert_true(f->problem.text[0] != '\0');
    }
    fixture_ok(f, sql_prepare(f->database, "SELECT 1; \n", &statement, &f->problem));
    sql_release(statement);
}

static void same_text_can_be_taken_twice_and_many_are_kept_bounded(void **state)
{
    struct fixture *f = *state;
    struct sql_statement *a = NULL;
    struct sql_statement *b = NULL;
    struct sql_statement *again = NULL;
    char text[32];

    fixture_ok(f, sql_prepare(f->database, "SELECT ?1", &a, &f->problem));
    fixture_ok(f, sql_prepare(f->database, "SELECT ?1", &b, &f->problem));
    assert_ptr_not_equal(a, b);
    sql_release(a);
    fixture_ok(f, sql_prepare(f->database, "SELECT ?1", &again, &f->problem));
    assert_ptr_equal(a, again);
    sql_release(b);
    sql_release(again);
    for (int i = 0; i < 3 * SQL_STATEMENTS_KEPT_MAX; i++) {
        (void)snprintf(text, sizeof text, "SELECT %d", i);
        assert_int_equal(fixture_integer(f, text), i);
    }
}

static void released_statement_forgets_its_bindings(void **state)
{
    struct fixture *f = *state;
    struct value seven = value_integer(7);
    int64_t integer = 0;

    fixture_ok(f,
               sql_query_integer(f->database, "SELECT ?1", &seven, 1, -1, &integer, &f->problem));
    assert_int_equal(integer, 7);
    fixture_ok(f, sql_query_integer(f->database, "SELECT ?1", NULL, 0, -1, &integer, &f->problem));
    assert_int_equal(integer, -1);
}

static void scope_that_is_not_committed_is_undone(void **state)
{
    struct fixture *f = *state;
    struct sql_transaction transaction = {0};

    sql_end(&transaction); /* never begun */
    fixture_ok(f, sql_begin(&transaction, f->database, SQL_IMMEDIATE, &f->problem));
    fixture_exec(f, "INSERT INTO t(v) VALUES (1)");
    sql_end(&transaction);
    assert_false(sql_in_transaction(f->database));
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM t"), 0);
    fixture_ok(f, sql_begin(&transaction, f->database, SQL_DEFERRED, &f->problem));
    fixture_exec(f, "INSERT INTO t(v) VALUES (1)");
    fixture_ok(f, sql_commit(&transaction, &f->problem));
    sql_end(&transaction);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM t"), 1);
}

static void broken_reference_at_commit_is_refused_and_undone(void **state)
{
    struct fixture *f = *state;
    struct sql_transaction transaction = {0};

    fixture_ok(f, sql_begin(&transaction, f->database, SQL_IMMEDIATE, &f->problem));
    fixture_exec(f, "INSERT INTO c(t_id) VALUES (1)");
    assert_int_equal(sql_commit(&transaction, &f->problem), RESULT_REFUSED);
    assert_false(transaction.outcome_unknown);
    sql_end(&transaction);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM c"), 0);
}

static void second_writer_is_told_to_wait(void **state)
{
    struct fixture *f = *state;
    struct sql_options options = {
        .path = f->path, .profile = SQL_PROFILE_SERVER, .busy_timeout_ms = -1};
    struct sql_database *other = NULL;
    struct sql_transaction first = {0};
    struct sql_transaction second = {0};
    int64_t version_before = 0;
    int64_t version_after = 0;

    fixture_ok(f, sql_open(&options, &other, &f->problem));
    fixture_ok(f, sql_data_version(other, &version_before, &f->problem));
    fixture_ok(f, sql_begin(&first, f->database, SQL_IMMEDIATE, &f->problem));
    assert_int_equal(sql_begin(&second, other, SQL_IMMEDIATE, &f->problem), RESULT_WAIT);
    sql_end(&second);
    fixture_exec(f, "INSERT INTO t(v) VALUES (1)");
    fixture_ok(f, sql_commit(&first, &f->problem));
    fixture_ok(f, sql_data_version(other, &version_after, &f->problem));
    assert_int_not_equal(version_before, version_after);
    fixture_ok(f, sql_begin(&second, other, SQL_IMMEDIATE, &f->problem));
    sql_end(&second);
    sql_close(other);
}

static void limits_are_exhausted_not_broken(void **state)
{
    struct fixture *f = *state;
    struct problem problem = {0};

    assert_int_equal(
        sql_exec(f->database, "INSERT INTO t(v) VALUES (zeroblob(17000000))", &problem),
        RESULT_EXHAUSTED);
    fixture_exec(f, "PRAGMA max_page_count = 8");
    assert_int_equal(sql_exec(f->database, "INSERT INTO t(v) VALUES (zeroblob(100000))", &problem),
                     RESULT_EXHAUSTED);
    assert_int_equal(fixture_integer(f, "SELECT count(*) FROM t"), 0);
}

static void files_that_are_no_databases_are_storage_failures(void **state)
{
    struct fixture *f = *state;
    struct sql_options options = {.path = "/nonexistent/x.db", .create = true};
    struct sql_database *database = NULL;
    struct problem problem = {0};
    char path[128];
    FILE *file = NULL;

    assert_int_equal(sql_open(&options, &database, &problem), RESULT_STORAGE);
    assert_null(database);
    options.create = false;
    (void)snprintf(path, sizeof path, "%s.copy", f->path);
    options.path = path;
    assert_int_equal(sql_open(&options, &database, &problem), RESULT_STORAGE); /* not there */
    file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        assert_true(fputs("this is no database\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(sql_open(&options, &database, &problem), RESULT_STORAGE);
    assert_non_null(strstr(problem.text, "opening"));
    assert_null(database);
}

static void reader_can_not_write(void **state)
{
    struct fixture *f = *state;
    struct sql_options options = {.path = f->path, .read_only = true};
    struct sql_database *reader = NULL;
    struct problem problem = {0};

    fixture_ok(f, sql_open(&options, &reader, &f->problem));
    assert_int_equal(sql_exec(reader, "INSERT INTO t(v) VALUES (1)", &problem), RESULT_STORAGE);
    sql_close(reader);
    sql_close(NULL);
}

static void damage_is_found(void **state)
{
    struct fixture *f = *state;
    int64_t frame_count = 0;
    int64_t copied_count = 0;
    struct problem problem = {0};
    FILE *file = NULL;

    fixture_exec(f, "CREATE INDEX t_v ON t(v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                    " i + 1 FROM n WHERE i < 2000) INSERT INTO t(v) SELECT hex(i) FROM n");
    fixture_ok(f, sql_quick_check(f->database, &f->problem));
    fixture_ok(f, sql_integrity_check(f->database, &f->problem));
    fixture_ok(f, sql_checkpoint(f->database, &frame_count, &copied_count, &f->problem));
    assert_true(frame_count > 0);
    assert_int_equal(frame_count, copied_count);
    sql_close(f->database);
    f->database = NULL;
    file = fopen(f->path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 5 * 4096, SEEK_SET), 0);
    for (int i = 0; i < 4096; i++)
        assert_true(fputc(0x5a, file) >= 0);
    assert_int_equal(fclose(file), 0);
    fixture_reopen(f, SQL_PROFILE_PLAIN);
    assert_int_equal(sql_quick_check(f->database, &problem), RESULT_STORAGE);
    assert_int_equal(sql_integrity_check(f->database, &problem), RESULT_STORAGE);
}

static void vacuum_works_in_place_and_into_a_file(void **state)
{
    struct fixture *f = *state;
    struct sql_options options = {0};
    struct sql_database *copy = NULL;
    char path[128];
    int64_t count = 0;

    (void)snprintf(path, sizeof path, "%s.copy", f->path);
    options.path = path;
    fixture_exec(f, "INSERT INTO t(v) VALUES (1)");
    fixture_ok(f, sql_vacuum(f->database, NULL, &f->problem));
    fixture_ok(f, sql_vacuum(f->database, path, &f->problem));
    fixture_refuses(f, "ATTACH ':memory:' AS other", "too many attached"); /* closed again */
    fixture_ok(f, sql_open(&options, &copy, &f->problem));
    fixture_ok(f,
               sql_query_integer(copy, "SELECT count(*) FROM t", NULL, 0, 0, &count, &f->problem));
    assert_int_equal(count, 1);
    sql_close(copy);
}

static void identifiers_are_quoted(void **state)
{
    struct problem problem = {0};
    struct buffer text;

    (void)state;
    buffer_init(&text, 16);
    assert_int_equal(sql_append_identifier(&text, "a\"b", &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&text), bytes_of_text("\"a\"\"b\"")));
    assert_int_equal(sql_append_identifier(&text, "0123456789", &problem), RESULT_EXHAUSTED);
    buffer_done(&text);
}

static void expect_first(const char *script, size_t size)
{
    assert_int_equal(sql_statement_end(script) - script, size);
}

static void a_script_is_cut_where_a_statement_ends(void **state)
{
    struct fixture *f = *state;
    struct sql_statement *statement = NULL;

    expect_first("", 0);
    expect_first("SELECT 1", 8);
    expect_first("SELECT 1; SELECT 2", 9);
    expect_first("SELECT ';'; x", 11);
    expect_first("SELECT 1 -- ;\n; x", 15);
    expect_first("SELECT \"a;b\", [c;d] /* ; */; x", 28);
    expect_first("CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; x", 65);
    fixture_ok(f, sql_prepare(f->database, "SELECT v, 7 AS seven FROM t", &statement, &f->problem));
    assert_true(sql_is_read_only(statement));
    assert_string_equal(sql_column_name(statement, 1), "seven");
    sql_release(statement);
    fixture_ok(f, sql_prepare(f->database, "INSERT INTO t(v) VALUES (1)", &statement, &f->problem));
    assert_false(sql_is_read_only(statement));
    sql_release(statement);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(profiles_set_what_they_promise, setup, teardown),
        cmocka_unit_test_setup_teardown(values_come_back_as_they_went_in, setup, teardown),
        cmocka_unit_test_setup_teardown(values_no_database_keeps_are_refused_at_bind, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(wrong_statements_are_refused_with_words, setup, teardown),
        cmocka_unit_test_setup_teardown(same_text_can_be_taken_twice_and_many_are_kept_bounded,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(released_statement_forgets_its_bindings, setup, teardown),
        cmocka_unit_test_setup_teardown(scope_that_is_not_committed_is_undone, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_reference_at_commit_is_refused_and_undone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(second_writer_is_told_to_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_exhausted_not_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_are_no_databases_are_storage_failures, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reader_can_not_write, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(vacuum_works_in_place_and_into_a_file, setup, teardown),
        cmocka_unit_test(identifiers_are_quoted),
        cmocka_unit_test_setup_teardown(a_script_is_cut_where_a_statement_ends, setup, teardown),
    };

    return cmocka_run_group_tests_name("sql", tests, NULL, NULL);
}

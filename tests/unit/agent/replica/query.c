/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

static void what_services_write_is_captured_like_anybodys(void **state)
{
    struct kit *kit = *state;
    struct replica_result result = {0};
    struct value values[2];
    int64_t id = 0;

    first_snapshot(kit);
    OK(kit, replica_begin(kit->replica, &kit->problem));
    OK(kit, replica_new_id(kit->replica, &id, &kit->problem));
    values[0] = value_integer(id);
    values[1] = value_text_of("by a service");
    OK(kit, replica_execute(kit->replica, "INSERT INTO memo(id, title) VALUES (?1, ?2)", values, 2,
                            &kit->problem));
    OK(kit, replica_query(kit->replica, "SELECT title FROM memo WHERE id = ?1", values, 1,
                          &kit->arena, &result, &kit->problem));
    assert_int_equal(result.row_count, 1);
    OK(kit, replica_commit(kit->replica, true, &kit->problem));
    assert_string_equal(changes(kit, seal(kit)),
                        "insert memo 1 site_id=- title=by a service body=- n=-");
    OK(kit, replica_begin(kit->replica, &kit->problem));
    OK(kit, replica_execute(kit->replica, "DELETE FROM memo", NULL, 0, &kit->problem));
    replica_rollback(kit->replica);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo"), "3");
}

static void a_query_that_writes_is_refused(void **state)
{
    struct kit *kit = *state;
    struct replica_result result = {0};

    first_snapshot(kit);
    assert_int_not_equal(replica_query(kit->replica, "DELETE FROM memo", NULL, 0, &kit->arena,
                                       &result, &kit->problem),
                         RESULT_OK);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo"), "2");
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    assert_int_equal(seal(kit), 1); /* and writes again afterwards */
}

static void explain_says_why_a_row_is_or_is_not_here(void **state)
{
    struct kit *kit = *state;
    const char *text = NULL;

    first_snapshot(kit);
    OK(kit, replica_explain(kit->replica, "memo", 99, &kit->arena, &text, &kit->problem));
    assert_non_null(strstr(text, "memo 99 is not on this device"));
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    OK(kit, replica_explain(kit->replica, "memo", 1, &kit->arena, &text, &kit->problem));
    assert_non_null(strstr(text, "memo 1 is here, in site/1, which this device receives"));
    assert_non_null(strstr(text, "waits to be sent"));
    assert_int_equal(
        replica_explain(kit->replica, "fs_state", 1, &kit->arena, &text, &kit->problem),
        RESULT_REFUSED);
}

static void the_change_counter_moves_when_another_program_commits(void **state)
{
    struct kit *kit = *state;
    int64_t before = 0;
    int64_t after = 0;

    first_snapshot(kit);
    OK(kit, replica_change_counter(kit->replica, &before, &kit->problem));
    sql(kit, "UPDATE memo SET title = 'x' WHERE id = 1");
    OK(kit, replica_change_counter(kit->replica, &after, &kit->problem));
    assert_int_not_equal(before, after);
}

static void an_attachment_is_offered_once_its_row_is_acknowledged(void **state)
{
    struct kit *kit = *state;
    struct replica_blob blob = {0};

    first_snapshot(kit);
    sql(kit, "INSERT INTO attachment(id, asset_id, name, mime_type, size_n, content_hash,"
             " created_at, by_id) VALUES ((SELECT id FROM new_id), 5, 'a.jpg', 'image/jpeg', 400,"
             " '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', 1, 12)");
    OK(kit, replica_blob_to_send(kit->replica, false, &blob, &kit->problem));
    assert_int_equal(blob.size, 0);
    answer(kit, seal(kit), 11, 0, NULL);
    OK(kit, replica_blob_to_send(kit->replica, false, &blob, &kit->problem));
    assert_int_equal(blob.size, 400);
    assert_int_equal(blob.hash[1], 0x11);
    OK(kit, replica_blob_mark(kit->replica, blob.hash, BLOB_SENT, &kit->problem));
    OK(kit, replica_blob_to_send(kit->replica, false, &blob, &kit->problem));
    assert_int_equal(blob.size, 0);
    blob.hash[0] = 0;
    for (size_t i = 0; i < BLOB_HASH_SIZE; i++)
        blob.hash[i] = (uint8_t)(i % 16 * 17);
    OK(kit, replica_blob_mark(kit->replica, blob.hash, BLOB_WANTED, &kit->problem));
    OK(kit, replica_blob_to_fetch(kit->replica, &blob, &kit->problem));
    assert_int_equal(blob.size, 400);
}

/* As the server's own change is applied. */
static void erase_row(struct kit *kit, const char *which)
{
    char script[200];

    (void)snprintf(script, sizeof script,
                   "BEGIN; INSERT INTO fs_flag(k) VALUES (1); UPDATE attachment SET"
                   " name = '(erased)' WHERE %s; DELETE FROM fs_flag; COMMIT",
                   which);
    sql(kit, "%s", script);
}

/* A customer's erasure reaches the contents of attachments, and what was fetched goes with its row;
 * what somebody else's row still names stays. */
static void contents_of_erased_rows_are_to_be_destroyed(void **state)
{
    static const char INSERT[] =
        "INSERT INTO attachment(id, asset_id, name, mime_type, size_n, content_hash,"
        " created_at, by_id) VALUES ((SELECT id FROM new_id), 5, 'a.jpg', 'image/jpeg', 400,"
        " '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', 1, 12)";
    uint8_t fetched[BLOB_HASH_SIZE] = {7};
    struct kit *kit = *state;
    struct replica_blob blob = {0};

    first_snapshot(kit);
    sql(kit, INSERT);
    sql(kit, INSERT);
    erase_row(kit, "id = (SELECT min(id) FROM attachment)");
    OK(kit, replica_blob_to_erase(kit->replica, &blob, &kit->problem));
    assert_int_equal(blob.size, 0); /* the other row has its name */
    erase_row(kit, "1");
    OK(kit, replica_blob_to_erase(kit->replica, &blob, &kit->problem));
    assert_int_equal(blob.size, 0); /* the server has no say in it yet */
    answer(kit, seal(kit), 11, 0, NULL);
    OK(kit, replica_blob_to_erase(kit->replica, &blob, &kit->problem));
    assert_int_equal(blob.size, 400);
    OK(kit, replica_blob_mark(kit->replica, blob.hash, BLOB_ERASED, &kit->problem));
    OK(kit, replica_blob_to_send(kit->replica, false, &blob, &kit->problem));
    assert_int_equal(blob.size, 0);

    OK(kit, replica_blob_mark(kit->replica, fetched, BLOB_FETCHED, &kit->problem));
    OK(kit, replica_blob_to_erase(kit->replica, &blob, &kit->problem));
    assert_memory_equal(blob.hash, fetched, sizeof fetched);
}

static void a_script_is_captured_whole_or_not_at_all(void **state)
{
    struct kit *kit = *state;
    const struct replica_table *tables = NULL;

    first_snapshot(kit);
    OK(kit, replica_run_script(kit->replica,
                               "UPDATE memo SET title = 'a;b' WHERE id = 1;"
                               "SELECT title AS what FROM memo WHERE id = 1;"
                               "UPDATE memo SET title = 'c' WHERE id = 2 RETURNING id; -- the end",
                               &kit->arena, &tables, &kit->problem));
    assert_string_equal(tables->names[0], "what");
    assert_true(bytes_equal(tables->rows.values[0].bytes, bytes_of_text("a;b")));
    assert_int_equal(tables->next->rows.values[0].integer, 2);
    assert_null(tables->next->next);
    assert_string_equal(changes(kit, seal(kit)), "update memo 1 title=a;b;update memo 2 title=c");
    assert_int_equal(replica_run_script(kit->replica,
                                        "UPDATE memo SET title = 'half'; DELETE FROM nowhere",
                                        &kit->arena, &tables, &kit->problem),
                     RESULT_REFUSED);
    assert_int_equal(replica_run_script(kit->replica, "UPDATE memo SET title = 'half'; COMMIT",
                                        &kit->arena, &tables, &kit->problem),
                     RESULT_REFUSED);
    assert_string_equal(rows(kit, "SELECT count(*) FROM memo WHERE title = 'half'"), "0");
    sql(kit, "UPDATE memo SET title = 'after' WHERE id = 1"); /* nothing is left open */
}

/* Another program has the write lock, and reading goes on. */
static void a_statement_that_reads_waits_for_nobody(void **state)
{
    struct kit *kit = *state;
    const struct replica_table *tables = NULL;
    sqlite3 *other = NULL;

    first_snapshot(kit);
    assert_int_equal(sqlite3_open(kit->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    OK(kit, replica_run_script(kit->replica, "SELECT count(*) FROM memo;", &kit->arena, &tables,
                               &kit->problem));
    assert_int_equal(tables->rows.row_count, 1);
    assert_int_equal(
        replica_run_script(kit->replica, "DELETE FROM memo", &kit->arena, &tables, &kit->problem),
        RESULT_WAIT);
    (void)sqlite3_close(other);
}

/* The sqlite3 shell and python see and write the same file. */
static void other_programs_take_part(void **state)
{
    struct kit *kit = *state;
    char command[512];

    first_snapshot(kit);
    (void)snprintf(command, sizeof command,
                   "sqlite3 %s \"UPDATE memo SET title = 'shell' WHERE id = 1\" && python3 -c \""
                   "import sqlite3; c = sqlite3.connect('%s');"
                   " c.execute('UPDATE memo SET title = ? WHERE id = 2', ('python',));"
                   " c.commit()\"",
                   kit->path, kit->path);
    assert_int_equal(system(command), 0);
    assert_string_equal(changes(kit, seal(kit)),
                        "update memo 1 title=shell;update memo 2 title=python");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_services_write_is_captured_like_anybodys),
        TEST(a_query_that_writes_is_refused),
        TEST(explain_says_why_a_row_is_or_is_not_here),
        TEST(the_change_counter_moves_when_another_program_commits),
        TEST(an_attachment_is_offered_once_its_row_is_acknowledged),
        TEST(contents_of_erased_rows_are_to_be_destroyed),
        TEST(a_script_is_captured_whole_or_not_at_all),
        TEST(a_statement_that_reads_waits_for_nobody),
        TEST(other_programs_take_part),
    };

    return RUN(tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The unit of work on a real SQLite file with the real model. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/store/work.h"
#include "base/bytes.h"
#include "schema/load.h"
#include "server/store/sqlite/sqlite_store.h"
#include "server/store/versions.h"
#include "tests/schema_fixture/master_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct bench {
    char folder[64];
    char path[96];
    struct arena catalog_arena;
    struct arena arena;
    struct catalog catalog;
    struct store *store;
    struct work *work;
    struct work_outcome outcome;
    struct problem problem;
};

static const struct wall_time NOW = {INT64_C(1760000000000000)};
static const struct author OFFICE = {.edited_at = {INT64_C(1760000000000000)}};
static const struct author ANNA = {.replica_no = 7, .edited_at = {INT64_C(1760000000000000)}};

static void assert_ok(const struct bench *bench, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), bench->problem.text);
}

static void prepare_file(struct bench *bench)
{
    const struct sql_options options = {.path = bench->path, .profile = SQL_PROFILE_SERVER};
    struct sql_database *database = NULL;

    master_file_make(bench->path);
    assert_ok(bench, sql_open(&options, &database, &bench->problem));
    assert_ok(bench,
              catalog_load(database, &bench->catalog_arena, &bench->catalog, &bench->problem));
    sql_close(database);
}

static int bench_open(void **state)
{
    static const uint8_t KEY[16] = {1, 2, 3};
    struct bench *bench = calloc(1, sizeof *bench);
    struct sqlite_store_options options = {0};

    assert_non_null(bench);
    (void)snprintf(bench->folder, sizeof bench->folder, "/tmp/fieldsync-work-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    (void)snprintf(bench->path, sizeof bench->path, "%s/master.db", bench->folder);
    arena_init(&bench->catalog_arena, 8 * 1024 * 1024);
    arena_init(&bench->arena, 64 * 1024 * 1024);
    prepare_file(bench);
    options.path = bench->path;
    assert_ok(bench, sqlite_store_open(&options, &bench->catalog, &bench->store, &bench->problem));
    assert_ok(bench, work_create(bench->store, NULL, KEY, &bench->work, &bench->problem));
    *state = bench;
    return 0;
}

static int bench_close(void **state)
{
    struct bench *bench = *state;
    char command[128];

    work_destroy(bench->work);
    store_close(bench->store);
    arena_done(&bench->arena);
    arena_done(&bench->catalog_arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", bench->folder);
    assert_int_equal(system(command), 0);
    free(bench);
    return 0;
}

static void begin(struct bench *bench)
{
    assert_ok(bench, store_begin(bench->store, STORE_WRITE, &bench->problem));
    assert_ok(bench, work_begin(bench->work, NOW, &bench->problem));
}

static void commit(struct bench *bench)
{
    assert_ok(bench, work_finish(bench->work, &bench->outcome, &bench->problem));
    assert_ok(bench, store_commit(bench->store, &bench->problem));
}

static int64_t number_of(struct bench *bench, const char *sql)
{
    struct store_result result = {0};
    int64_t number = 0;

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench,
              store_query(bench->store, sql, NULL, 0, &bench->arena, &result, &bench->problem));
    number = store_integer_at(&result, 0, 0, -1);
    store_rollback(bench->store);
    return number;
}

static int64_t insert_party(struct bench *bench, const char *name)
{
    const struct work_field fields[] = {
        {"kind", value_text_of("customer")}, {"name", value_text_of(name)}, {.name = NULL}};
    int64_t id = 0;

    assert_ok(bench,
              work_insert_fields(bench->work, "party", fields, &OFFICE, &id, &bench->problem));
    return id;
}

static int64_t insert_site(struct bench *bench, int64_t party_id, const char *name)
{
    const struct work_field fields[] = {
        {"party_id", value_integer(party_id)}, {"name", value_text_of(name)}, {.name = NULL}};
    int64_t id = 0;

    assert_ok(bench,
              work_insert_fields(bench->work, "site", fields, &OFFICE, &id, &bench->problem));
    return id;
}

static int64_t insert_call(struct bench *bench, int64_t party_id, int64_t site_id)
{
    const struct work_field fields[] = {{"channel", value_text_of("phone")},
                                        {"party_id", value_integer(party_id)},
                                        {"site_id", value_integer(site_id)},
                                        {"subject", value_text_of("Perdita d'acqua")},
                                        {"priority_n", value_integer(2)},
                                        {"opened_at", value_integer(NOW.us)},
                                        {.name = NULL}};
    int64_t id = 0;

    assert_ok(bench,
              work_insert_fields(bench->work, "call", fields, &OFFICE, &id, &bench->problem));
    return id;
}

static int64_t insert_note(struct bench *bench, int64_t call_id, int64_t user_id)
{
    const struct work_field fields[] = {
        {"call_id", value_integer(call_id)},   {"occurred_at", value_integer(NOW.us)},
        {"by_id", value_integer(user_id)},     {"visibility", value_text_of("internal")},
        {"body", value_text_of("citofono 4")}, {.name = NULL}};
    int64_t id = 0;

    assert_ok(bench,
              work_insert_fields(bench->work, "call_note", fields, &OFFICE, &id, &bench->problem));
    return id;
}

static int64_t insert_user(struct bench *bench)
{
    const struct work_field fields[] = {
        {"login", value_text_of("anna")}, {"name", value_text_of("Anna Però")}, {.name = NULL}};
    int64_t id = 0;

    assert_ok(bench,
              work_insert_fields(bench->work, "app_user", fields, &OFFICE, &id, &bench->problem));
    return id;
}

static const struct touched_bucket *touched(const struct bench *bench, int64_t bucket)
{
    for (size_t i = 0; i < bench->outcome.touched_count; i++)
        if (bench->outcome.touched[i].bucket == bucket)
            return &bench->outcome.touched[i];
    return NULL;
}

static struct stored_row row_of(struct bench *bench, const char *table_name, int64_t id)
{
    const struct catalog_table *table = catalog_table_by_name(&bench->catalog, table_name);
    struct stored_row *rows = NULL;

    assert_non_null(table);
    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench,
              store_read_rows(bench->store, table, &id, 1, &bench->arena, &rows, &bench->problem));
    store_rollback(bench->store);
    return rows[0];
}

/* The stored digest of every bucket must be the sum of its rows' stored hashes. */
static void assert_digests_right(struct bench *bench)
{
    for (size_t t = 1; t < bench->catalog.table_count; t++) {
        const struct catalog_table *table = &bench->catalog.tables[t];
        char sql[256];

        if (table->name == NULL)
            continue;
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM \"%s\" WHERE _fs_seq IS NULL OR _fs_hash IS NULL"
                       " OR _fs_bucket IS NULL",
                       table->name);
        assert_int_equal(number_of(bench, sql), 0);
    }
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_bucket WHERE row_count < 0"), 0);
}

static void a_row_gets_seq_bucket_hash_and_head(void **state)
{
    struct bench *bench = *state;
    int64_t party_id = 0;
    struct stored_row row;

    begin(bench);
    party_id = insert_party(bench, "Società Rossi & C.");
    commit(bench);
    row = row_of(bench, "party", party_id);
    assert_int_equal(row.seq, 1);
    assert_int_equal(row.bucket, bucket_of(BUCKET_CUSTOMER, party_id));
    assert_int_equal(bench->outcome.seq, 1);
    assert_int_equal(bench->outcome.touched_count, 1);
    assert_int_equal(bench->outcome.touched[0].seq_before, 0);
    assert_int_equal(number_of(bench, "SELECT seq FROM fs_head"), 1);
    assert_int_equal(number_of(bench, "SELECT row_count FROM fs_bucket"), 1);
    assert_int_equal(number_of(bench, "SELECT number FROM fs_state WHERE name='seq'"), 1);
}

static void ids_of_the_server_are_never_given_twice(void **state)
{
    struct bench *bench = *state;
    int64_t first = 0;
    int64_t second = 0;

    begin(bench);
    first = insert_party(bench, "a");
    assert_int_not_equal(insert_party(bench, "b"), first);
    commit(bench);
    begin(bench);
    second = insert_party(bench, "c");
    commit(bench);
    assert_true(second > first + 1);
    assert_true(number_of(bench, "SELECT id FROM new_id") > second);
}

static void an_update_to_the_same_value_changes_nothing(void **state)
{
    struct bench *bench = *state;
    const struct work_field same[] = {{"name", value_text_of("a")}, {.name = NULL}};
    int64_t id = 0;

    begin(bench);
    id = insert_party(bench, "a");
    commit(bench);
    begin(bench);
    assert_ok(bench, work_update_fields(bench->work, "party", id, same, &ANNA, &bench->problem));
    commit(bench);
    assert_int_equal(bench->outcome.seq, 1);
    assert_int_equal(bench->outcome.touched_count, 0);
}

static void a_column_remembers_who_changed_it_and_when(void **state)
{
    struct bench *bench = *state;
    const struct work_field change[] = {{"name", value_text_of("b")}, {.name = NULL}};
    const struct catalog_table *table = catalog_table_by_name(&bench->catalog, "party");
    uint8_t name_no = catalog_column_by_name(table, "name")->number;
    struct versions versions;
    struct stored_row row;
    int64_t id = 0;

    begin(bench);
    id = insert_party(bench, "a");
    commit(bench);
    begin(bench);
    assert_ok(bench, work_update_fields(bench->work, "party", id, change, &ANNA, &bench->problem));
    commit(bench);
    row = row_of(bench, "party", id);
    assert_ok(bench, versions_of_row(&row, &versions, &bench->problem));
    assert_int_equal(versions.full_seq, 1);
    assert_int_equal(versions_of_column(&versions, name_no).seq, 2);
    assert_int_equal(versions_of_column(&versions, name_no).replica_no, 7);
    assert_int_equal(versions_newer_mask(table, &versions, 1), UINT64_C(1) << name_no);
    assert_int_equal(versions_newer_mask(table, &versions, 0), table->columns_mask);
    assert_true(versions_newer_only_from(table, &versions, 1, 7));
    assert_false(versions_newer_only_from(table, &versions, 0, 7));
    assert_int_equal(touched(bench, row.bucket)->only_replica_no, 7);
}

static void children_follow_a_call_to_another_site(void **state)
{
    struct bench *bench = *state;
    struct work_field move[] = {{"site_id", value_null()}, {.name = NULL}};
    int64_t first = 0;
    int64_t second = 0;
    int64_t call_id = 0;
    int64_t note_id = 0;

    begin(bench);
    first = insert_site(bench, insert_party(bench, "a"), "Forlì");
    second = insert_site(bench, insert_party(bench, "b"), "Cesena");
    call_id = insert_call(bench, insert_party(bench, "c"), first);
    note_id = insert_note(bench, call_id, insert_user(bench));
    commit(bench);
    assert_int_equal(row_of(bench, "call_note", note_id).bucket, bucket_of(BUCKET_SITE, first));
    begin(bench);
    move[0].value = value_integer(second);
    assert_ok(bench,
              work_update_fields(bench->work, "call", call_id, move, &OFFICE, &bench->problem));
    commit(bench);
    assert_int_equal(row_of(bench, "call_note", note_id).bucket, bucket_of(BUCKET_SITE, second));
    assert_non_null(touched(bench, bucket_of(BUCKET_SITE, first)));
    assert_non_null(touched(bench, bucket_of(BUCKET_SITE, second)));
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_tomb WHERE kind=2"), 2);
    begin(bench); /* and back: the old departure must not outlive the return */
    move[0].value = value_integer(first);
    assert_ok(bench,
              work_update_fields(bench->work, "call", call_id, move, &OFFICE, &bench->problem));
    commit(bench);
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_tomb WHERE kind=2"), 2);
    assert_digests_right(bench);
}

static void undo_takes_back_one_push_and_nothing_else(void **state)
{
    struct bench *bench = *state;
    int64_t kept = 0;

    begin(bench);
    kept = insert_party(bench, "kept");
    assert_ok(bench, work_savepoint(bench->work, &bench->problem));
    (void)insert_party(bench, "undone");
    assert_ok(bench, work_flush(bench->work, &bench->problem));
    assert_ok(bench, work_undo(bench->work, &bench->problem));
    commit(bench);
    assert_int_equal(number_of(bench, "SELECT count(*) FROM party"), 1);
    assert_int_equal(number_of(bench, "SELECT id FROM party"), kept);
    assert_int_equal(number_of(bench, "SELECT sum(row_count) FROM fs_bucket"), 1);
    assert_int_equal(bench->outcome.seq, 1);
}

static void a_broken_reference_is_refused_before_the_commit(void **state)
{
    struct bench *bench = *state;

    begin(bench);
    (void)insert_site(bench, id_of(0, 4711), "nowhere");
    assert_int_equal(work_flush(bench->work, &bench->problem), RESULT_REFUSED);
    work_abandon(bench->work);
    store_rollback(bench->store);
    assert_int_equal(number_of(bench, "SELECT count(*) FROM site"), 0);
}

static void plain_sql(struct bench *bench, const char *script)
{
    const struct sql_options options = {.path = bench->path, .profile = SQL_PROFILE_SERVER};
    struct sql_database *database = NULL;

    assert_ok(bench, sql_open(&options, &database, &bench->problem));
    assert_ok(bench, sql_exec(database, script, &bench->problem));
    sql_close(database);
}

static void adopt(struct bench *bench, size_t count_expected)
{
    size_t count = 0;

    begin(bench);
    assert_ok(bench, work_adopt(bench->work, WORK_ADOPT_TOGETHER, &count, &bench->problem));
    assert_int_equal(count, count_expected);
    commit(bench);
}

static void what_another_program_wrote_is_adopted_once(void **state)
{
    struct bench *bench = *state;
    const int64_t party_id = 1;

    plain_sql(bench, "INSERT INTO party(id, kind, name) SELECT id, 'customer', 'ERP' FROM new_id");
    adopt(bench, 1);
    assert_int_equal(row_of(bench, "party", party_id).bucket, bucket_of(BUCKET_CUSTOMER, party_id));
    adopt(bench, 0);
    assert_int_equal(bench->outcome.touched_count, 0);
    plain_sql(bench, "UPDATE party SET name = 'ERP 2' WHERE id = 1");
    adopt(bench, 1);
    assert_int_equal(row_of(bench, "party", party_id).seq, 2);
    plain_sql(bench, "DELETE FROM party WHERE id = 1");
    adopt(bench, 1);
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_tomb WHERE kind=1"), 1);
    assert_int_equal(number_of(bench, "SELECT row_count FROM fs_bucket"), 0);
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_bucket WHERE digest<>zeroblob(16)"),
                     0);
}

static void a_replace_by_another_program_keeps_the_digest_right(void **state)
{
    struct bench *bench = *state;

    begin(bench);
    assert_int_equal(insert_party(bench, "a"), 1);
    commit(bench);
    plain_sql(bench, "REPLACE INTO party(id, kind, name) VALUES(1, 'customer', 'b')");
    adopt(bench, 1);
    assert_int_equal(number_of(bench, "SELECT row_count FROM fs_bucket"), 1);
    assert_int_equal(
        number_of(bench, "SELECT count(*) FROM fs_bucket b JOIN party p ON b.bucket=p._fs_bucket"
                         " WHERE b.digest=p._fs_hash"),
        1);
}

static void a_value_of_the_wrong_type_stays_on_the_server(void **state)
{
    struct bench *bench = *state;

    plain_sql(bench,
              "INSERT INTO party(id, kind, name) SELECT id, 'customer', x'00ff' FROM new_id");
    adopt(bench, 1);
    assert_int_equal(row_of(bench, "party", 1).bucket, bucket_of(BUCKET_SERVER, 0));
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_audit"), 1);
    plain_sql(bench, "UPDATE party SET name = 'mended' WHERE id = 1");
    adopt(bench, 1);
    assert_int_equal(row_of(bench, "party", 1).bucket, bucket_of(BUCKET_CUSTOMER, 1));
}

static enum result refuse_bad_names(struct work *work, const struct work_change *change,
                                    struct problem *problem)
{
    uint8_t name_no = catalog_column_by_name(change->table, "name")->number;

    (void)work;
    if (bytes_equal(change->after[name_no].bytes, bytes_of_text("bad")))
        return problem_set(problem, RESULT_REFUSED, "no party is called bad");
    return RESULT_OK;
}

static void a_row_that_a_rule_refuses_is_set_aside_and_the_others_are_adopted(void **state)
{
    static const struct reaction RULES[] = {{"party", refuse_bad_names}, {.table_name = NULL}};
    static const uint8_t KEY[16] = {1, 2, 3};
    struct bench *bench = *state;
    size_t count = 0;

    work_destroy(bench->work);
    assert_ok(bench, work_create(bench->store, RULES, KEY, &bench->work, &bench->problem));
    plain_sql(bench, "INSERT INTO party(id, kind, name) VALUES (1, 'customer', 'first'),"
                     " (2, 'customer', 'bad'), (3, 'customer', 'third')");
    begin(bench);
    assert_int_equal(work_adopt(bench->work, WORK_ADOPT_TOGETHER, &count, &bench->problem),
                     RESULT_REFUSED);
    work_abandon(bench->work);
    store_rollback(bench->store);
    begin(bench);
    assert_ok(bench, work_adopt(bench->work, WORK_ADOPT_CAREFULLY, &count, &bench->problem));
    commit(bench);
    assert_int_equal(count, 3);
    assert_int_equal(row_of(bench, "party", 1).bucket, bucket_of(BUCKET_CUSTOMER, 1));
    assert_int_equal(row_of(bench, "party", 2).bucket, bucket_of(BUCKET_SERVER, 0));
    assert_int_equal(row_of(bench, "party", 3).bucket, bucket_of(BUCKET_CUSTOMER, 3));
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_audit WHERE detail LIKE"
                                      " '%no party is called bad%'"),
                     1);
    assert_int_equal(number_of(bench, "SELECT count(*) FROM fs_outbox WHERE op <> '-'"), 0);
    assert_digests_right(bench);
    plain_sql(bench, "UPDATE party SET name = 'mended' WHERE id = 2");
    adopt(bench, 1);
    assert_int_equal(row_of(bench, "party", 2).bucket, bucket_of(BUCKET_CUSTOMER, 2));
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)
    const struct CMUnitTest tests[] = {
        STORY(a_row_gets_seq_bucket_hash_and_head),
        STORY(ids_of_the_server_are_never_given_twice),
        STORY(an_update_to_the_same_value_changes_nothing),
        STORY(a_column_remembers_who_changed_it_and_when),
        STORY(children_follow_a_call_to_another_site),
        STORY(undo_takes_back_one_push_and_nothing_else),
        STORY(a_broken_reference_is_refused_before_the_commit),
        STORY(what_another_program_wrote_is_adopted_once),
        STORY(a_replace_by_another_program_keeps_the_digest_right),
        STORY(a_value_of_the_wrong_type_stays_on_the_server),
        STORY(a_row_that_a_rule_refuses_is_set_aside_and_the_others_are_adopted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

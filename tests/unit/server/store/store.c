/* SPDX-License-Identifier: Apache-2.0 */
/* What store.h promises, for every implementation. Each story gets stores from an opener, so a
 * second database joins by adding a line to OPENERS. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "schema/load.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/schema_fixture/master_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char folder[64];
    char path[96];
    struct arena catalog_arena;
    struct arena arena;
    struct catalog catalog;
    struct store *writer;
    struct store *reader;
    struct problem problem;
};

static const int64_t BUCKET = INT64_C(4) << BUCKET_ID_BITS;

static void assert_ok(const struct world *world, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), world->problem.text);
}

static int open_sqlite(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct sql_options options = {.profile = SQL_PROFILE_SERVER};
    struct sqlite_store_options store_options = {0};
    struct sql_database *database = NULL;

    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/fieldsync-store-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->path, sizeof world->path, "%s/master.db", world->folder);
    arena_init(&world->catalog_arena, 8 * 1024 * 1024);
    arena_init(&world->arena, 64 * 1024 * 1024);
    master_file_make(world->path);
    options.path = world->path;
    assert_ok(world, sql_open(&options, &database, &world->problem));
    assert_ok(world,
              catalog_load(database, &world->catalog_arena, &world->catalog, &world->problem));
    sql_close(database);
    store_options.path = world->path;
    assert_ok(world,
              sqlite_store_open(&store_options, &world->catalog, &world->writer, &world->problem));
    store_options.is_reader = true;
    assert_ok(world,
              sqlite_store_open(&store_options, &world->catalog, &world->reader, &world->problem));
    *state = world;
    return 0;
}

static int close_sqlite(void **state)
{
    struct world *world = *state;
    char command[128];

    store_close(world->reader);
    store_close(world->writer);
    arena_done(&world->arena);
    arena_done(&world->catalog_arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", world->folder);
    assert_int_equal(system(command), 0);
    free(world);
    return 0;
}

static const struct catalog_table *party_of(const struct world *world)
{
    return catalog_table_by_name(&world->catalog, "party");
}

static uint8_t column_of(const struct world *world, const char *name)
{
    return catalog_column_by_name(party_of(world), name)->number;
}

static struct stored_row make_party(struct world *world, int64_t id, int64_t seq, const char *name)
{
    const struct catalog_table *table = party_of(world);
    struct value *values = arena_array(&world->arena, table->column_count, sizeof *values);

    assert_non_null(values);
    for (uint8_t i = 0; i < table->column_count; i++)
        values[i] = table->columns[i].default_value;
    values[0] = value_integer(id);
    values[column_of(world, "kind")] = value_text_of("customer");
    values[column_of(world, "name")] = value_text_of(name);
    return (struct stored_row){
        .id = id, .values = values, .seq = seq, .bucket = BUCKET, .hash = {(uint8_t)id}};
}

static void insert_party(struct world *world, int64_t id, int64_t seq, const char *name)
{
    const struct stored_row row = make_party(world, id, seq, name);
    const struct stored_row *rows[] = {&row};

    assert_ok(world, store_insert_rows(world->writer, party_of(world), rows, 1, &world->problem));
}

static void begin_write(struct world *world)
{
    assert_ok(world, store_begin(world->writer, STORE_WRITE, &world->problem));
}

static void commit_write(struct world *world)
{
    assert_ok(world, store_commit(world->writer, &world->problem));
}

static int64_t count_parties(struct world *world, struct store *store)
{
    struct store_result result = {0};

    assert_ok(world, store_query(store, "SELECT count(*) FROM party", NULL, 0, &world->arena,
                                 &result, &world->problem));
    return store_integer_at(&result, 0, 0, -1);
}

static void rows_come_back_as_they_went_in(void **state)
{
    struct world *world = *state;
    const int64_t ids[] = {2, 1, 99};
    struct stored_row *rows = NULL;
    struct stored_row sent = make_party(world, 1, 10, "Società \"Però\" 1E217");
    const struct stored_row *sending[] = {&sent};

    sent.versions = bytes_of("\x01\x00\x02", 3);
    begin_write(world);
    assert_ok(world,
              store_insert_rows(world->writer, party_of(world), sending, 1, &world->problem));
    insert_party(world, 2, 11, "b");
    commit_write(world);
    assert_ok(world, store_begin(world->reader, STORE_READ, &world->problem));
    assert_ok(world, store_read_rows(world->reader, party_of(world), ids, 3, &world->arena, &rows,
                                     &world->problem));
    store_rollback(world->reader);
    assert_int_equal(rows[0].id, 2);
    assert_int_equal(rows[0].versions.size, 0);
    assert_int_equal(rows[1].seq, 10);
    assert_int_equal(rows[1].bucket, BUCKET);
    assert_true(bytes_equal(rows[1].versions, sent.versions));
    assert_int_equal(rows[1].hash[0], 1);
    for (uint8_t i = 0; i < party_of(world)->column_count; i++)
        assert_true(value_equal(&rows[1].values[i], &sent.values[i]));
    assert_null(rows[2].values);
}

/* In whatever order they are asked for, more than once, beside gaps and past the end. */
static void many_rows_are_found_and_gaps_are_gaps(void **state)
{
    static const int64_t IDS[] = {-9,  1,   2,  3,  4, 5,         5,  40, 41,        400,
                                  400, 401, 39, 40, 1, INT64_MAX, 43, 47, INT64_MIN, 2};
    enum { COUNT = sizeof IDS / sizeof IDS[0] };
    struct world *world = *state;
    struct stored_row *rows = NULL;
    struct stored_row *heads = NULL;

    begin_write(world);
    for (int64_t id = 1; id <= 400; id += id < 4 ? 1 : 3)
        insert_party(world, id, 1000 + id, "many");
    assert_ok(world, store_read_rows(world->writer, party_of(world), IDS, COUNT, &world->arena,
                                     &rows, &world->problem));
    assert_ok(world, store_read_heads(world->writer, party_of(world), IDS, COUNT, &world->arena,
                                      &heads, &world->problem));
    commit_write(world);
    for (size_t i = 0; i < COUNT; i++) {
        bool is_there = IDS[i] >= 1 && IDS[i] <= 400 && (IDS[i] <= 4 || (IDS[i] - 4) % 3 == 0);

        assert_int_equal(rows[i].id, IDS[i]);
        assert_int_equal(heads[i].id, IDS[i]);
        assert_int_equal(rows[i].values != NULL, is_there);
        assert_int_equal(heads[i].values != NULL, is_there);
        if (!is_there)
            continue;
        assert_int_equal(rows[i].values[0].integer, IDS[i]);
        assert_int_equal(rows[i].seq, 1000 + IDS[i]);
        assert_int_equal(heads[i].seq, 1000 + IDS[i]);
        assert_int_equal(heads[i].bucket, BUCKET);
        assert_true(bytes_equal(heads[i].versions, rows[i].versions));
    }
}

/* Together or one by one, each is there as it was handed over. */
static void a_batch_of_any_size_goes_in(void **state)
{
    enum { COUNT = 37 };
    struct world *world = *state;
    struct stored_row sent[COUNT];
    const struct stored_row *sending[COUNT];
    int64_t ids[COUNT];
    struct stored_row *read = NULL;

    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = (int64_t)i + 1;
        sent[i] = make_party(world, ids[i], 10 + ids[i], "name");
        sent[i].values[column_of(world, "name")] =
            value_text_of(arena_format(&world->arena, "name %zu", i));
        sending[i] = &sent[i];
    }
    begin_write(world);
    assert_ok(world,
              store_insert_rows(world->writer, party_of(world), sending, COUNT, &world->problem));
    assert_ok(world, store_read_rows(world->writer, party_of(world), ids, COUNT, &world->arena,
                                     &read, &world->problem));
    commit_write(world);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(read[i].seq, sent[i].seq);
        for (uint8_t c = 0; c < party_of(world)->column_count; c++)
            assert_true(value_equal(&read[i].values[c], &sent[i].values[c]));
    }
}

static void one_row_of_a_batch_that_cannot_be_is_refused(void **state)
{
    enum { COUNT = 12 };
    struct world *world = *state;
    struct stored_row sent[COUNT];
    const struct stored_row *sending[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        sent[i] = make_party(world, (int64_t)i + 1, 10, "name");
        sending[i] = &sent[i];
    }
    begin_write(world);
    insert_party(world, 7, 9, "was here first");
    assert_int_equal(
        store_insert_rows(world->writer, party_of(world), sending, COUNT, &world->problem),
        RESULT_REFUSED);
    store_rollback(world->writer);
    assert_int_equal(count_parties(world, world->reader), 0);
}

static void an_update_writes_its_columns_only(void **state)
{
    struct world *world = *state;
    struct stored_row changed = make_party(world, 1, 20, "new name");
    const struct stored_row *rows[] = {&changed};
    const int64_t id = 1;
    struct stored_row *read = NULL;

    begin_write(world);
    insert_party(world, 1, 10, "old name");
    changed.values[column_of(world, "kind")] = value_text_of("prospect");
    assert_ok(world,
              store_update_rows(world->writer, party_of(world),
                                UINT64_C(1) << column_of(world, "name"), rows, 1, &world->problem));
    assert_ok(world, store_read_rows(world->writer, party_of(world), &id, 1, &world->arena, &read,
                                     &world->problem));
    commit_write(world);
    assert_true(
        bytes_equal(read[0].values[column_of(world, "name")].bytes, bytes_of_text("new name")));
    assert_true(
        bytes_equal(read[0].values[column_of(world, "kind")].bytes, bytes_of_text("customer")));
    assert_int_equal(read[0].seq, 20);
}

static void a_page_is_in_order_of_seq_and_within_its_bounds(void **state)
{
    struct world *world = *state;
    struct stored_row *rows = NULL;
    size_t count = 0;

    begin_write(world);
    insert_party(world, 1, 30, "c");
    insert_party(world, 2, 10, "a");
    insert_party(world, 3, 20, "b");
    insert_party(world, 4, 40, "d");
    commit_write(world);
    assert_ok(world, store_page(world->writer, party_of(world), BUCKET, 10, 30, 100, &world->arena,
                                &rows, &count, &world->problem));
    assert_int_equal(count, 2); /* 10 is out, 30 is in */
    assert_int_equal(rows[0].id, 3);
    assert_int_equal(rows[1].id, 1);
    assert_ok(world, store_page(world->writer, party_of(world), BUCKET, 0, 40, 1, &world->arena,
                                &rows, &count, &world->problem));
    assert_int_equal(count, 1);
    assert_int_equal(rows[0].id, 2);
    assert_ok(world, store_page(world->writer, party_of(world), BUCKET + 1, 0, 40, 10,
                                &world->arena, &rows, &count, &world->problem));
    assert_int_equal(count, 0);
}

static void a_reader_keeps_its_state_while_the_writer_commits(void **state)
{
    struct world *world = *state;

    assert_ok(world, store_begin(world->reader, STORE_READ, &world->problem));
    assert_int_equal(count_parties(world, world->reader), 0);
    begin_write(world);
    insert_party(world, 1, 1, "a");
    commit_write(world);
    assert_int_equal(count_parties(world, world->reader), 0);
    store_rollback(world->reader);
    assert_int_equal(count_parties(world, world->reader), 1);
}

static void a_rollback_leaves_nothing(void **state)
{
    struct world *world = *state;

    begin_write(world);
    insert_party(world, 1, 1, "a");
    store_rollback(world->writer);
    store_rollback(world->writer); /* harmless outside */
    assert_int_equal(count_parties(world, world->writer), 0);
}

static void a_broken_constraint_is_refused_and_names_the_row(void **state)
{
    struct world *world = *state;
    const struct stored_row row = make_party(world, 1, 2, "again");
    const struct stored_row *rows[] = {&row};

    begin_write(world);
    insert_party(world, 1, 1, "a");
    assert_int_equal(store_insert_rows(world->writer, party_of(world), rows, 1, &world->problem),
                     RESULT_REFUSED);
    assert_non_null(strstr(world->problem.text, "party 1"));
    commit_write(world); /* what was there before stays usable */
    assert_int_equal(count_parties(world, world->writer), 1);
}

static void a_broken_reference_shows_before_the_commit(void **state)
{
    struct world *world = *state;
    struct stored_row row = make_party(world, 1, 1, "a");
    const struct stored_row *rows[] = {&row};

    row.values[column_of(world, "bill_to_id")] = value_integer(4711);
    begin_write(world);
    assert_ok(world, store_insert_rows(world->writer, party_of(world), rows, 1, &world->problem));
    assert_int_equal(store_check(world->writer, &world->problem), RESULT_REFUSED);
    store_rollback(world->writer);
    begin_write(world);
    assert_ok(world, store_check(world->writer, &world->problem));
    store_rollback(world->writer);
}

static void own_writes_are_not_captured_as_somebody_elses(void **state)
{
    struct world *world = *state;
    struct store_result lines = {0};

    begin_write(world);
    insert_party(world, 1, 1, "a");
    commit_write(world);
    assert_ok(world, store_query(world->reader, "SELECT count(*) FROM fs_outbox", NULL, 0,
                                 &world->arena, &lines, &world->problem));
    assert_int_equal(store_integer_at(&lines, 0, 0, -1), 0);
}

static void a_reader_cannot_write(void **state)
{
    struct world *world = *state;

    assert_int_equal(store_begin(world->reader, STORE_WRITE, &world->problem), RESULT_REFUSED);
}

static void a_second_writer_is_told_to_wait(void **state)
{
    struct world *world = *state;
    const struct sqlite_store_options options = {.path = world->path};
    struct store *second = NULL;

    assert_ok(world, sqlite_store_open(&options, &world->catalog, &second, &world->problem));
    begin_write(world);
    assert_int_equal(store_begin(second, STORE_WRITE, &world->problem), RESULT_WAIT);
    commit_write(world);
    assert_ok(world, store_begin(second, STORE_WRITE, &world->problem));
    store_rollback(second);
    store_close(second);
}

static void a_query_takes_only_the_parameters_it_mentions(void **state)
{
    struct world *world = *state;
    const struct value two[] = {value_integer(5), value_integer(6)};
    struct store_result result = {0};

    assert_ok(world, store_query(world->reader, "SELECT ?1", two, 2, &world->arena, &result,
                                 &world->problem));
    assert_int_equal(store_integer_at(&result, 0, 0, -1), 5);
    assert_int_equal(store_integer_at(&result, 1, 0, -1), -1);
    assert_int_equal(store_bytes_at(&result, 0, 0).size, 0);
}

/* The log may grow past the soft limit inside one transaction, but not from one to the next. */
static void the_write_ahead_log_stays_bounded(void **state)
{
    struct world *world = *state;
    static const char FILLER[] = "UPDATE party SET name = hex(zeroblob(60000)) WHERE id = ?1";
    char wal[128];
    struct stat status;

    (void)snprintf(wal, sizeof wal, "%s-wal", world->path);
    begin_write(world);
    for (int64_t id = 1; id <= 10; id++)
        insert_party(world, id, id, "a");
    commit_write(world);
    for (int round = 0; round < 40; round++) {
        begin_write(world);
        for (int64_t id = 1; id <= 10; id++) {
            const struct value parameter = value_integer(id);

            assert_ok(world, store_execute(world->writer, FILLER, &parameter, 1, 1, NULL,
                                           &world->problem));
        }
        commit_write(world);
        assert_ok(world, store_tidy(world->writer, &world->problem));
    }
    assert_int_equal(stat(wal, &status), 0);
    assert_true(status.st_size < 24 * 1024 * 1024); /* 48 MB were written */
}

static void a_backup_is_a_whole_checked_copy(void **state)
{
    struct world *world = *state;
    struct sqlite_store_options options = {.is_reader = true};
    struct store *copy = NULL;
    char path[128];

    begin_write(world);
    insert_party(world, 1, 1, "a");
    commit_write(world);
    (void)snprintf(path, sizeof path, "%s/copy.db", world->folder);
    assert_ok(world, store_backup(world->writer, path, &world->problem));
    options.path = path;
    assert_ok(world, sqlite_store_open(&options, &world->catalog, &copy, &world->problem));
    assert_int_equal(count_parties(world, copy), 1);
    store_close(copy);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, open_sqlite, close_sqlite)
    const struct CMUnitTest tests[] = {
        STORY(rows_come_back_as_they_went_in),
        STORY(many_rows_are_found_and_gaps_are_gaps),
        STORY(a_batch_of_any_size_goes_in),
        STORY(one_row_of_a_batch_that_cannot_be_is_refused),
        STORY(an_update_writes_its_columns_only),
        STORY(a_page_is_in_order_of_seq_and_within_its_bounds),
        STORY(a_reader_keeps_its_state_while_the_writer_commits),
        STORY(a_rollback_leaves_nothing),
        STORY(a_broken_constraint_is_refused_and_names_the_row),
        STORY(a_broken_reference_shows_before_the_commit),
        STORY(own_writes_are_not_captured_as_somebody_elses),
        STORY(a_reader_cannot_write),
        STORY(a_second_writer_is_told_to_wait),
        STORY(a_query_takes_only_the_parameters_it_mentions),
        STORY(the_write_ahead_log_stays_bounded),
        STORY(a_backup_is_a_whole_checked_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

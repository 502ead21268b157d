/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "vault_kit.h"

#include "agent/replica/conversion.h"

static void make_plain(const char *path, int count)
{
    sqlite3 *database = open_with(path, NULL);
    char sql[300];

    run(database, "PRAGMA journal_mode = WAL");
    run(database, "CREATE TABLE item(id INTEGER PRIMARY KEY, title TEXT);"
                  "CREATE TRIGGER t AFTER INSERT ON item BEGIN SELECT 1; END");
    (void)snprintf(sql, sizeof sql,
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT INTO item SELECT i, 'a known title ' || i FROM n",
                   count);
    run(database, sql);
    run(database, "DELETE FROM item WHERE id % 3 = 0; PRAGMA user_version = 77");
    (void)sqlite3_close(database); /* much of it in the log */
}

static void convert(struct scene *scene, const struct conversion_options *options)
{
    struct conversion *conversion = NULL;

    scene->problem = (struct problem){0};
    if (conversion_begin(options, &conversion, &scene->problem) != RESULT_OK)
        fail_msg("%s", scene->problem.text);
    assert_int_equal(rename(options->to, options->from), 0);
    conversion_end(conversion);
}

static void there_and_back_gives_the_same_pages(void **state)
{
    struct scene *scene = *state;
    char copy[128];
    struct content before;
    struct content sealed;
    struct content after;
    sqlite3 *database = NULL;

    path_beside(scene, ".new", copy);
    make_plain(scene->path, 3000);
    database = open_with(scene->path, NULL);
    run(database, "PRAGMA journal_mode = DELETE");
    (void)sqlite3_close(database);
    before = content_of(scene->path);
    convert(scene, &(struct conversion_options){
                       .from = scene->path, .to = copy, .to_vault = &scene->options});
    assert_int_equal(vault_look(scene->path), VAULT_LOOK_SEALED);
    sealed = content_of(scene->path);
    assert_null(memmem(sealed.bytes, sealed.size, "a known title", 13));
    database = open_sealed(scene, scene->path);
    run(database, "PRAGMA journal_mode = WAL");
    assert_int_equal(integer(database, "SELECT count(*) FROM item"), 2000);
    assert_int_equal(integer(database, "PRAGMA user_version"), 77);
    (void)sqlite3_close(database);
    convert(scene, &(struct conversion_options){
                       .from = scene->path, .to = copy, .from_vault = &scene->options});
    assert_int_equal(vault_look(scene->path), VAULT_LOOK_PLAIN);
    after = content_of(scene->path);
    assert_int_equal(after.size, before.size);
    for (size_t at = 4096; at < after.size; at += 4096) /* page 1 counts changes */
        assert_memory_equal(after.bytes + at, before.bytes + at, 4096);
    free(before.bytes);
    free(sealed.bytes);
    free(after.bytes);
}

static void what_lies_in_the_log_comes_along(void **state)
{
    struct scene *scene = *state;
    char copy[128];
    sqlite3 *database = NULL;

    path_beside(scene, ".new", copy);
    make_plain(scene->path, 300);
    convert(scene, &(struct conversion_options){
                       .from = scene->path, .to = copy, .to_vault = &scene->options});
    database = open_sealed(scene, scene->path);
    assert_int_equal(integer(database, "SELECT count(*) FROM item"), 200);
    run(database, "PRAGMA journal_mode = WAL; INSERT INTO item VALUES (1000, 'new')");
    (void)sqlite3_close(database);
    convert(scene, &(struct conversion_options){
                       .from = scene->path, .to = copy, .from_vault = &scene->options});
    database = open_with(scene->path, NULL);
    assert_int_equal(integer(database, "SELECT count(*) FROM item"), 201);
    expect_sound(database);
    (void)sqlite3_close(database);
}

static void a_replica_that_somebody_has_open_stays(void **state)
{
    struct scene *scene = *state;
    struct conversion *conversion = NULL;
    sqlite3 *other = NULL;
    char copy[128];

    path_beside(scene, ".new", copy);
    make_plain(scene->path, 30);
    other = open_with(scene->path, NULL);
    assert_int_equal(integer(other, "SELECT count(*) FROM item"), 20); /* and does nothing */
    assert_int_equal(conversion_begin(&(struct conversion_options){.from = scene->path,
                                                                   .to = copy,
                                                                   .to_vault = &scene->options},
                                      &conversion, &scene->problem),
                     RESULT_WAIT);
    run(other, "INSERT INTO item VALUES (99, 'x')");
    (void)sqlite3_close(other);
    assert_int_equal(access(copy, F_OK), -1);
}

static void nobody_gets_in_before_the_end(void **state)
{
    struct scene *scene = *state;
    struct conversion *conversion = NULL;
    sqlite3 *other = NULL;
    char copy[128];

    path_beside(scene, ".new", copy);
    make_plain(scene->path, 30);
    assert_int_equal(conversion_begin(&(struct conversion_options){.from = scene->path,
                                                                   .to = copy,
                                                                   .to_vault = &scene->options},
                                      &conversion, &scene->problem),
                     RESULT_OK);
    assert_int_equal(sqlite3_open(scene->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "INSERT INTO item VALUES (99, 'x')", NULL, NULL, NULL),
                     SQLITE_BUSY);
    conversion_end(conversion);
    run(other, "INSERT INTO item VALUES (99, 'x')"); /* nothing was replaced: as before */
    (void)sqlite3_close(other);
}

static void a_damaged_page_stops_it(void **state)
{
    struct scene *scene = *state;
    struct conversion *conversion = NULL;
    uint8_t garbage[16];
    char copy[128];

    path_beside(scene, ".new", copy);
    make_plain(scene->path, 3000);
    convert(scene, &(struct conversion_options){
                       .from = scene->path, .to = copy, .to_vault = &scene->options});
    randombytes_buf(garbage, sizeof garbage);
    patch(scene->path, vault_unit_at(VAULT_DATABASE, 7 * 4096).place + 100, garbage,
          sizeof garbage);
    assert_int_equal(conversion_begin(&(struct conversion_options){.from = scene->path,
                                                                   .to = copy,
                                                                   .from_vault = &scene->options},
                                      &conversion, &scene->problem),
                     RESULT_STORAGE);
    assert_non_null(strstr(scene->problem.text, "page 8 of replica.db is damaged or was altered"));
    assert_int_equal(vault_look(scene->path), VAULT_LOOK_SEALED);
}

static void pages_of_another_size_are_refused(void **state)
{
    struct scene *scene = *state;
    struct conversion *conversion = NULL;
    sqlite3 *database = open_with(scene->path, NULL);
    char copy[128];

    path_beside(scene, ".new", copy);
    run(database, "PRAGMA page_size = 1024; CREATE TABLE t(a)");
    (void)sqlite3_close(database);
    assert_int_equal(conversion_begin(&(struct conversion_options){.from = scene->path,
                                                                   .to = copy,
                                                                   .to_vault = &scene->options},
                                      &conversion, &scene->problem),
                     RESULT_REFUSED);
    assert_non_null(strstr(scene->problem.text, "its pages have 1024 bytes"));
}

int main(void)
{
#define STORY(test) cmocka_unit_test_setup_teardown(test, scene_begin, scene_end)
    const struct CMUnitTest tests[] = {
        STORY(there_and_back_gives_the_same_pages),
        STORY(what_lies_in_the_log_comes_along),
        STORY(a_replica_that_somebody_has_open_stays),
        STORY(nobody_gets_in_before_the_end),
        STORY(a_damaged_page_stops_it),
        STORY(pages_of_another_size_are_refused),
    };
#undef STORY

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "vault_kit.h"

#include <errno.h>

static const char NEEDLE[] = "a very well known sentence of a customer";

static const char SCHEMA[] = "CREATE TABLE item(id INTEGER PRIMARY KEY, title TEXT, body BLOB);"
                             "CREATE INDEX item_title ON item(title);";

/* ---- the same as plain SQLite ---------------------------------------------------------------- */

static void random_statement(struct prng *prng, char ret_sql[300])
{
    uint64_t id = 1 + prng_below(prng, 300);
    uint64_t size = prng_below(prng, 10) == 0 ? prng_below(prng, 40000) : prng_below(prng, 300);

    switch (prng_below(prng, 14)) {
    case 0:
        (void)snprintf(ret_sql, 300, "DELETE FROM item WHERE id %% 7 = %" PRIu64, id % 7);
        break;
    case 1:
        (void)snprintf(ret_sql, 300, "BEGIN; UPDATE item SET body = NULL; ROLLBACK");
        break;
    case 2:
        (void)snprintf(ret_sql, 300,
                       "BEGIN; DELETE FROM item WHERE id > 100; SAVEPOINT a; DELETE FROM item;"
                       "ROLLBACK TO a; COMMIT");
        break;
    case 3:
        (void)snprintf(ret_sql, 300, "PRAGMA wal_checkpoint(%s)",
                       prng_below(prng, 2) == 0 ? "TRUNCATE" : "PASSIVE");
        break;
    case 4:
        (void)snprintf(ret_sql, 300,
                       "UPDATE item SET title = title || '%" PRIu64 "' WHERE id < %" PRIu64, id,
                       id);
        break;
    case 5:
        (void)snprintf(ret_sql, 300, prng_below(prng, 20) == 0 ? "VACUUM" : "PRAGMA optimize");
        break;
    case 6: /* all of it twice in one transaction: pages of the log are written over */
        (void)snprintf(ret_sql, 300,
                       "BEGIN; UPDATE item SET body = zeroblob(3000);"
                       "UPDATE item SET body = zeroblob(%" PRIu64 "); COMMIT",
                       size % 1000);
        break;
    default:
        (void)snprintf(ret_sql, 300,
                       "INSERT OR REPLACE INTO item VALUES (%" PRIu64 ", 'title %" PRIu64
                       "', CAST(printf('%%0%" PRIu64 "d', %" PRIu64 ") AS BLOB))",
                       id, size, size + 1, id);
        break;
    }
}

static void expect_same(sqlite3 *one, sqlite3 *other)
{
    static const char SQL[] = "SELECT id, title, body FROM item ORDER BY title, body, id";
    sqlite3_stmt *a = NULL;
    sqlite3_stmt *b = NULL;
    int code = SQLITE_ROW;

    assert_int_equal(sqlite3_prepare_v2(one, SQL, -1, &a, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(other, SQL, -1, &b, NULL), SQLITE_OK);
    while (code == SQLITE_ROW) {
        code = sqlite3_step(a);
        assert_int_equal(sqlite3_step(b), code);
        for (int i = 0; code == SQLITE_ROW && i < 3; i++) {
            int size = sqlite3_column_bytes(a, i);

            assert_int_equal(sqlite3_column_bytes(b, i), size);
            if (size > 0)
                assert_memory_equal(sqlite3_column_blob(a, i), sqlite3_column_blob(b, i),
                                    (size_t)size);
        }
    }
    assert_int_equal(code, SQLITE_DONE);
    (void)sqlite3_finalize(a);
    (void)sqlite3_finalize(b);
    expect_sound(other);
}

static void play(struct scene *scene, const char *journal_mode, int cache_pages)
{
    char plain_path[128];
    char sql[300];
    char settings[120];
    sqlite3 *plain = NULL;
    sqlite3 *sealed = NULL;

    (void)snprintf(plain_path, sizeof plain_path, "%s/plain.db", scene->folder);
    (void)unlink(plain_path);
    (void)unlink(scene->path);
    (void)snprintf(settings, sizeof settings,
                   "PRAGMA journal_mode = %s; PRAGMA cache_size = %d; PRAGMA cache_spill = 5",
                   journal_mode, cache_pages);
    for (int life = 0; life < 4; life++) {
        plain = open_with(plain_path, NULL);
        sealed = open_sealed(scene, scene->path);
        run(plain, settings);
        run(sealed, settings);
        if (life == 0) {
            run(plain, SCHEMA);
            run(sealed, SCHEMA);
        }
        for (int i = 0; i < 60; i++) {
            random_statement(&scene->prng, sql);
            run(plain, sql);
            run(sealed, sql);
        }
        expect_same(plain, sealed);
        (void)sqlite3_close(plain);
        (void)sqlite3_close(sealed);
    }
}

static void random_work_gives_what_plain_sqlite_gives(void **state)
{
    play(*state, "WAL", 2000);
}

static void so_does_work_that_does_not_fit_the_cache(void **state)
{
    play(*state, "WAL", 10);
}

static void so_does_work_with_a_rollback_journal(void **state)
{
    play(*state, "DELETE", 10);
    play(*state, "PERSIST", 10);
    play(*state, "TRUNCATE", 10);
}

static void connections_see_each_others_commits(void **state)
{
    struct scene *scene = *state;
    sqlite3 *one = open_sealed(scene, scene->path);
    sqlite3 *other = NULL;

    run(one, "PRAGMA journal_mode = WAL");
    run(one, SCHEMA);
    other = open_sealed(scene, scene->path);
    for (int i = 1; i <= 20; i++) {
        sqlite3 *writer = i % 2 == 0 ? one : other;
        char sql[100];

        (void)snprintf(sql, sizeof sql, "INSERT INTO item(id) VALUES (%d)", i);
        run(writer, sql);
        assert_int_equal(integer(i % 2 == 0 ? other : one, "SELECT count(*) FROM item"), i);
        if (i % 7 == 0)
            run(one, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    (void)sqlite3_close(one);
    (void)sqlite3_close(other);
}

/* ---- nothing can be read --------------------------------------------------------------------- */

static bool has_text(const struct content *content, const char *text)
{
    return memmem(content->bytes, content->size, text, strlen(text)) != NULL;
}

/* All files that this process has open, those without a name, too. *ret_size: of all together. */
static void expect_unreadable(struct scene *scene, size_t count_min)
{
    static const char *const TEXTS[] = {NEEDLE, "SQLite format", "CREATE TABLE", "item_title"};
    size_t count = 0;

    for (int i = 3; i < 200; i++) {
        char path[64];
        char target[200] = "";
        struct content content;
        ssize_t size;

        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        size = readlink(path, target, sizeof target - 1);
        if (size <= 0 || (strncmp(target, scene->folder, strlen(scene->folder)) != 0 &&
                          strstr(target, "etilqs") == NULL))
            continue;
        content = content_of(path);
        count++;
        for (size_t k = 0; k < sizeof TEXTS / sizeof TEXTS[0]; k++)
            if (has_text(&content, TEXTS[k]))
                fail_msg("%s holds \"%s\"", target, TEXTS[k]);
        free(content.bytes);
    }
    assert_true(count >= count_min);
}

static void fill_with_needles(sqlite3 *database, int count)
{
    char sql[400];

    (void)snprintf(sql, sizeof sql,
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT OR REPLACE INTO item SELECT i, '%s ' || (i * 7919 %% 1000),"
                   " CAST('%s' AS BLOB) FROM n",
                   count, NEEDLE, NEEDLE);
    run(database, sql);
}

static void nothing_of_database_log_or_temporary_files_can_be_read(void **state)
{
    struct scene *scene = *state;
    sqlite3 *database = open_sealed(scene, scene->path);
    sqlite3_stmt *sorted = NULL;

    run(database, "PRAGMA journal_mode = WAL; PRAGMA cache_size = 20; PRAGMA temp_store = FILE");
    run(database, SCHEMA);
    fill_with_needles(database, 20000);
    expect_unreadable(scene, 3); /* database, log, -shm */
    run(database, "PRAGMA wal_checkpoint(PASSIVE)");
    expect_unreadable(scene, 3);
    assert_int_equal(sqlite3_prepare_v2(database,
                                        "SELECT body, title FROM item ORDER BY body || title DESC",
                                        -1, &sorted, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(sorted), SQLITE_ROW);
    expect_unreadable(scene, 4); /* the sorter's file */
    (void)sqlite3_finalize(sorted);
    run(database, "CREATE TEMP TABLE copy AS SELECT * FROM item");
    expect_unreadable(scene, 4);
    (void)sqlite3_close(database);
}

static void nothing_of_a_journal_can_be_read(void **state)
{
    struct scene *scene = *state;
    sqlite3 *database = open_sealed(scene, scene->path);
    char journal[128];
    char plain_name[128];

    path_beside(scene, VAULT_JOURNAL_SUFFIX, journal);
    path_beside(scene, "-journal", plain_name);
    run(database, "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 10; PRAGMA cache_spill = 5");
    run(database, SCHEMA);
    fill_with_needles(database, 2000);
    run(database, "BEGIN; UPDATE item SET title = title || 'x'");
    assert_int_equal(access(journal, F_OK), 0);
    assert_int_equal(access(plain_name, F_OK), -1);
    expect_unreadable(scene, 2);
    run(database, "ROLLBACK");
    expect_sound(database);
    (void)sqlite3_close(database);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void make_closed(struct scene *scene, int count)
{
    sqlite3 *database = open_sealed(scene, scene->path);

    run(database, "PRAGMA journal_mode = WAL");
    run(database, SCHEMA);
    fill_with_needles(database, count);
    run(database, "PRAGMA wal_checkpoint(TRUNCATE)");
    (void)sqlite3_close(database);
}

/* Everything is read: which code of SQLite comes of it? */
static int read_all(struct scene *scene, const char *path, char ret_trouble[256])
{
    static const char *const READS[] = {"SELECT sum(length(title || body)) FROM item NOT INDEXED",
                                        "SELECT count(title) FROM item INDEXED BY item_title",
                                        "PRAGMA integrity_check"};
    sqlite3 *database = NULL;
    int code =
        sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, vault_vfs_name(scene->vault));

    (void)sqlite3_extended_result_codes(database, 1);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; code == SQLITE_OK && i < sizeof READS / sizeof READS[0]; i++)
        code = sqlite3_exec(database, READS[i], NULL, NULL, NULL);
    (void)snprintf(ret_trouble, 256, "%s", vault_trouble(scene->vault));
    (void)sqlite3_close(database);
    return code;
}

static void each_flipped_bit_of_a_page_is_found_and_named(void **state)
{
    struct scene *scene = *state;
    char trouble[256];
    char expected[100];
    struct content content;

    make_closed(scene, 300);
    content = content_of(scene->path);
    assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_OK);
    for (size_t at = VAULT_HEADER_SIZE; at < content.size;
         at += 1 + prng_below(&scene->prng, 600)) {
        uint8_t flipped = content.bytes[at] ^ (uint8_t)(1u << prng_below(&scene->prng, 8));

        patch(scene->path, (int64_t)at, &flipped, 1);
        assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_IOERR_DATA);
        (void)snprintf(expected, sizeof expected,
                       "page %zu of replica.db is damaged or was altered",
                       (at - VAULT_HEADER_SIZE) / VAULT_SEALED_SIZE_MAX + 1);
        assert_string_equal(trouble, expected);
        patch(scene->path, (int64_t)at, &content.bytes[at], 1);
    }
    assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_OK);
    free(content.bytes);
}

static void a_page_is_good_in_its_own_place_of_its_own_file_only(void **state)
{
    struct scene *scene = *state;
    char other_path[128];
    char trouble[256];
    struct content content;
    struct content other;
    const int64_t third = vault_unit_at(VAULT_DATABASE, 2 * 4096).place;
    const int64_t fourth = vault_unit_at(VAULT_DATABASE, 3 * 4096).place;

    make_closed(scene, 300);
    content = content_of(scene->path);
    (void)snprintf(other_path, sizeof other_path, "%s.other", scene->path);
    assert_int_equal(rename(scene->path, other_path), 0);
    make_closed(scene, 300); /* the same rows under the same key */
    other = content_of(other_path);
    patch(other_path, third, content.bytes + fourth, VAULT_SEALED_SIZE_MAX);
    patch(other_path, fourth, content.bytes + third, VAULT_SEALED_SIZE_MAX);
    assert_int_equal(read_all(scene, other_path, trouble), SQLITE_IOERR_DATA); /* swapped */
    patch(scene->path, third, other.bytes + third, VAULT_SEALED_SIZE_MAX);
    assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_IOERR_DATA); /* of a twin */
    free(content.bytes);
    free(other.bytes);
}

static void one_damaged_copy_of_the_header_does_no_harm(void **state)
{
    struct scene *scene = *state;
    uint8_t zeros[512] = {0};
    char trouble[256];

    make_closed(scene, 10);
    patch(scene->path, 0, zeros, sizeof zeros);
    assert_int_equal(vault_look(scene->path), VAULT_LOOK_SEALED);
    assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_OK);
    patch(scene->path, VAULT_HEADER_SIZE / 2, zeros, sizeof zeros);
    assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_NOTADB);
    assert_string_equal(trouble, "both copies of its header are damaged");
}

static void another_key_is_refused_in_words(void **state)
{
    struct scene *scene = *state;
    char trouble[256];

    make_closed(scene, 10);
    vault_destroy(scene->vault);
    scene->key[0] ^= 1;
    assert_int_equal(vault_create(&scene->options, &scene->vault, &scene->problem), RESULT_OK);
    assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_NOTADB);
    assert_string_equal(trouble, "it was encrypted under another key");
}

static void an_ordinary_file_is_not_taken_for_an_encrypted_one(void **state)
{
    struct scene *scene = *state;
    sqlite3 *plain = open_with(scene->path, NULL);
    char trouble[256];

    run(plain, SCHEMA);
    (void)sqlite3_close(plain);
    assert_int_equal(vault_look(scene->path), VAULT_LOOK_PLAIN);
    assert_int_equal(read_all(scene, scene->path, trouble), SQLITE_NOTADB);
    assert_string_equal(trouble, "it isn't encrypted");
    plain = open_with(scene->path, NULL);
    expect_sound(plain);
    (void)sqlite3_close(plain);
}

/* A program without the key: it says so, and what is in the log stays. */
static void plain_sqlite_can_neither_read_nor_harm_it(void **state)
{
    struct scene *scene = *state;
    sqlite3 *database = open_sealed(scene, scene->path);
    sqlite3 *foreign = NULL;

    run(database, "PRAGMA journal_mode = WAL");
    run(database, SCHEMA);
    fill_with_needles(database, 500);
    (void)sqlite3_close(database); /* all of it is in the log */
    assert_int_equal(sqlite3_open(scene->path, &foreign), SQLITE_OK);
    assert_int_equal(sqlite3_exec(foreign, "SELECT * FROM item", NULL, NULL, NULL), SQLITE_NOTADB);
    assert_int_equal(sqlite3_exec(foreign, "CREATE TABLE t(a)", NULL, NULL, NULL), SQLITE_NOTADB);
    assert_int_equal(sqlite3_exec(foreign, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL),
                     SQLITE_NOTADB);
    assert_int_equal(sqlite3_exec(foreign, "VACUUM", NULL, NULL, NULL), SQLITE_NOTADB);
    (void)sqlite3_close(foreign);
    database = open_sealed(scene, scene->path);
    assert_int_equal(integer(database, "SELECT count(*) FROM item"), 500);
    expect_sound(database);
    (void)sqlite3_close(database);
}

static void pages_of_another_size_are_refused(void **state)
{
    static const char *const SIZES[] = {"PRAGMA page_size = 1024", "PRAGMA page_size = 8192"};
    struct scene *scene = *state;

    for (size_t i = 0; i < 2; i++) {
        sqlite3 *database = open_sealed(scene, scene->path);

        run(database, SIZES[i]);
        assert_int_not_equal(sqlite3_exec(database, "PRAGMA journal_mode = WAL; CREATE TABLE t(a)",
                                          NULL, NULL, NULL),
                             SQLITE_OK);
        assert_string_equal(vault_trouble(scene->vault),
                            "an encrypted file has pages of 4096 bytes, no others");
        (void)sqlite3_close(database);
        (void)unlink(scene->path);
    }
}

/* ---- what a power cut leaves ----------------------------------------------------------------- */

enum { COMMIT_COUNT = 6 };

/* Commits 1 to COMMIT_COUNT lie in the log; the files are kept as a crash leaves them. */
static void make_log(struct scene *scene, struct content *ret_database, struct content *ret_log)
{
    sqlite3 *database = open_sealed(scene, scene->path);
    char log[128];

    run(database, "PRAGMA journal_mode = WAL");
    run(database, SCHEMA);
    run(database, "PRAGMA wal_checkpoint(TRUNCATE)");
    for (int i = 1; i <= COMMIT_COUNT; i++) {
        char sql[120];

        (void)snprintf(sql, sizeof sql, "INSERT INTO item VALUES (%d, '%s', zeroblob(%d))", i,
                       NEEDLE, 3000 * i);
        run(database, sql);
    }
    path_beside(scene, VAULT_LOG_SUFFIX, log);
    *ret_database = content_of(scene->path);
    *ret_log = content_of(log);
    (void)sqlite3_close(database);
}

/* Opens such files elsewhere: how many commits are there? Whole ones, always. */
static int64_t commits_in(struct scene *scene, const struct content *database_file,
                          const uint8_t *log, size_t log_size)
{
    static const char *const ENDS[] = {"", VAULT_LOG_SUFFIX, "-shm"};
    char path[128];
    char name[160];
    sqlite3 *database = NULL;
    int64_t count = 0;

    (void)snprintf(path, sizeof path, "%s/crashed.db", scene->folder);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, ENDS[i]);
        (void)unlink(name);
    }
    put_content(path, database_file->bytes, database_file->size);
    (void)snprintf(name, sizeof name, "%s%s", path, VAULT_LOG_SUFFIX);
    put_content(name, log, log_size);
    database = open_sealed(scene, path);
    expect_sound(database);
    count = integer(database, "SELECT count(*) FROM item");
    assert_int_equal(integer(database, "SELECT coalesce(max(id), 0) FROM item"), count);
    assert_int_equal(integer(database, "SELECT coalesce(sum(length(body)), 0) FROM item"),
                     3000 * count * (count + 1) / 2);
    run(database, "INSERT INTO item(title) VALUES ('goes on')");
    run(database, "PRAGMA wal_checkpoint(TRUNCATE)");
    expect_sound(database);
    (void)sqlite3_close(database);
    return count;
}

static void a_torn_log_ends_before_the_torn_transaction(void **state)
{
    struct scene *scene = *state;
    struct content database;
    struct content log;
    int64_t before = 0;

    make_log(scene, &database, &log);
    assert_int_equal(commits_in(scene, &database, log.bytes, log.size), COMMIT_COUNT);
    for (size_t size = 0; size < log.size; size += 1 + prng_below(&scene->prng, 900)) {
        int64_t count = commits_in(scene, &database, log.bytes, size);

        assert_true(count >= before && count < COMMIT_COUNT);
        before = count;
    }
    assert_int_equal(before, COMMIT_COUNT - 1);
    free(database.bytes);
    free(log.bytes);
}

/* Garbage in a sector that was being written: what was committed before it stays. */
static void a_damaged_frame_takes_no_transaction_before_it(void **state)
{
    struct scene *scene = *state;
    struct content database;
    struct content log;
    struct content damaged;

    make_log(scene, &database, &log);
    damaged.size = log.size;
    damaged.bytes = malloc(log.size);
    assert_non_null(damaged.bytes);
    for (size_t at = 0; at + 512 < log.size; at += 512 * (1 + prng_below(&scene->prng, 3))) {
        int64_t intact = at < 72 ? 0 : commits_in(scene, &database, log.bytes, at);

        memcpy(damaged.bytes, log.bytes, log.size);
        randombytes_buf(damaged.bytes + at, 512);
        assert_int_equal(commits_in(scene, &database, damaged.bytes, damaged.size), intact);
    }
    free(damaged.bytes);
    free(database.bytes);
    free(log.bytes);
}

static void a_frame_that_is_in_use_is_named_when_it_is_altered(void **state)
{
    struct scene *scene = *state;
    sqlite3 *database = open_sealed(scene, scene->path);
    sqlite3 *other = NULL;
    char log[128];
    uint8_t garbage[64];

    run(database, "PRAGMA journal_mode = WAL");
    run(database, SCHEMA);
    fill_with_needles(database, 300);
    path_beside(scene, VAULT_LOG_SUFFIX, log);
    other = open_sealed(scene, scene->path); /* its cache is empty but for page 1 */
    randombytes_buf(garbage, sizeof garbage);
    for (int frame = 4; frame < 12; frame++)
        patch(log, vault_unit_at(VAULT_LOG, 32 + frame * 4120 + 24).place + 500, garbage,
              sizeof garbage);
    assert_int_equal(sqlite3_exec(other, "PRAGMA integrity_check", NULL, NULL, NULL),
                     SQLITE_IOERR_DATA);
    assert_non_null(strstr(vault_trouble(scene->vault), " of replica.db-vwal is damaged"));
    assert_int_equal(sqlite3_exec(other, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL),
                     SQLITE_IOERR_DATA); /* nothing false gets into the database */
    (void)sqlite3_close(other);
    (void)sqlite3_close(database);
}

/* A checkpoint was cut while it wrote page 1; the log still has it. */
static void a_torn_first_page_that_the_log_has_is_no_damage(void **state)
{
    struct scene *scene = *state;
    struct content database;
    struct content log;

    make_log(scene, &database, &log);
    randombytes_buf(database.bytes + VAULT_HEADER_SIZE + 1000, 2000);
    assert_int_equal(commits_in(scene, &database, log.bytes, log.size), COMMIT_COUNT);
    free(database.bytes);
    free(log.bytes);
}

/* Each state of a journal, with what the database has meanwhile: whole before, or whole after. */
static void a_hot_journal_rolls_back(void **state)
{
    struct scene *scene = *state;
    sqlite3 *database = open_sealed(scene, scene->path);
    char journal[128];
    char copy[128];
    char copied_journal[160];
    struct content files[2];

    run(database, "PRAGMA synchronous = FULL; PRAGMA cache_size = 10; PRAGMA cache_spill = 5");
    run(database, SCHEMA);
    fill_with_needles(database, 2000);
    run(database, "BEGIN; UPDATE item SET title = 'changed', body = zeroblob(100)");
    path_beside(scene, VAULT_JOURNAL_SUFFIX, journal);
    files[0] = content_of(scene->path);
    files[1] = content_of(journal);
    run(database, "ROLLBACK");
    (void)sqlite3_close(database);
    (void)snprintf(copy, sizeof copy, "%s/crashed.db", scene->folder);
    (void)snprintf(copied_journal, sizeof copied_journal, "%s%s", copy, VAULT_JOURNAL_SUFFIX);
    put_content(copy, files[0].bytes, files[0].size);
    database = open_sealed(scene, copy);
    assert_int_not_equal(
        integer_or(database, "SELECT count(*) FROM item WHERE title LIKE 'a %'", -1),
        2000); /* it is needed */
    (void)sqlite3_close(database);
    put_content(copy, files[0].bytes, files[0].size);
    put_content(copied_journal, files[1].bytes, files[1].size);
    database = open_sealed(scene, copy);
    assert_int_equal(integer(database, "SELECT count(*) FROM item WHERE title <> 'changed'"), 2000);
    expect_sound(database);
    (void)sqlite3_close(database);
    free(files[0].bytes);
    free(files[1].bytes);
}

static void a_header_that_was_torn_while_it_was_made_is_made_anew(void **state)
{
    struct scene *scene = *state;

    for (size_t size = 0; size <= VAULT_HEADER_SIZE; size += size == 0 ? 40 : 507) {
        uint8_t torn[VAULT_HEADER_SIZE] = "fieldsync sealed";
        sqlite3 *database = NULL;

        put_content(scene->path, torn, size);
        database = open_sealed(scene, scene->path);
        run(database, SCHEMA);
        expect_sound(database);
        (void)sqlite3_close(database);
        assert_int_equal(vault_look(scene->path), VAULT_LOOK_SEALED);
    }
}

int main(void)
{
#define STORY(test) cmocka_unit_test_setup_teardown(test, scene_begin, scene_end)
    const struct CMUnitTest tests[] = {
        STORY(random_work_gives_what_plain_sqlite_gives),
        STORY(so_does_work_that_does_not_fit_the_cache),
        STORY(so_does_work_with_a_rollback_journal),
        STORY(connections_see_each_others_commits),
        STORY(nothing_of_database_log_or_temporary_files_can_be_read),
        STORY(nothing_of_a_journal_can_be_read),
        STORY(each_flipped_bit_of_a_page_is_found_and_named),
        STORY(a_page_is_good_in_its_own_place_of_its_own_file_only),
        STORY(one_damaged_copy_of_the_header_does_no_harm),
        STORY(another_key_is_refused_in_words),
        STORY(an_ordinary_file_is_not_taken_for_an_encrypted_one),
        STORY(plain_sqlite_can_neither_read_nor_harm_it),
        STORY(pages_of_another_size_are_refused),
        STORY(a_torn_log_ends_before_the_torn_transaction),
        STORY(a_damaged_frame_takes_no_transaction_before_it),
        STORY(a_frame_that_is_in_use_is_named_when_it_is_altered),
        STORY(a_torn_first_page_that_the_log_has_is_no_damage),
        STORY(a_hot_journal_rolls_back),
        STORY(a_header_that_was_torn_while_it_was_made_is_made_anew),
    };
#undef STORY

    return cmocka_run_group_tests(tests, NULL, NULL);
}

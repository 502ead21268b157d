/* SPDX-License-Identifier: Apache-2.0 */
/* vault_cost: what encryption costs: the same work on an ordinary file and on an encrypted one.
 *
 *     vault_cost FOLDER PART     lines "NAME KIND MS CPU_MS", KIND plain or sealed
 *
 * PART 1 is all of it, 50 a fiftieth. */
#define _GNU_SOURCE

#include "agent/replica/vault.h"

#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void fail(sqlite3 *database, const char *what)
{
    (void)fprintf(stderr, "vault_cost: %s: %s\n", what, sqlite3_errmsg(database));
    exit(1);
}

static void run(sqlite3 *database, const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(database, sql);
}

static double now_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* As the agent opens it (schema/sql.c). */
static sqlite3 *open_file(const char *path, const char *vfs)
{
    sqlite3 *database = NULL;

    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs) !=
        SQLITE_OK)
        fail(database, path);
    run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                  "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384");
    return database;
}

static void insert(sqlite3 *database, int64_t first, int64_t count)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(database,
                           "INSERT INTO work(id, number_text, note, started_at) VALUES (?1,"
                           " 'W-' || (?1 * 7919 % 1000003), printf('%.*c', 60 + ?1 % 80, 'x'), ?1)",
                           -1, &statement, NULL) != SQLITE_OK)
        fail(database, "insert");
    for (int64_t id = first; id < first + count; id++) {
        (void)sqlite3_bind_int64(statement, 1, id);
        if (sqlite3_step(statement) != SQLITE_DONE)
            fail(database, "insert");
        (void)sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
}

static void apply_rows(sqlite3 *database, int64_t part)
{
    run(database, "BEGIN IMMEDIATE");
    insert(database, 1000000, 10000 / part);
    run(database, "COMMIT");
}

static void checkpoint(sqlite3 *database, int64_t part)
{
    (void)part;
    run(database, "PRAGMA wal_checkpoint(TRUNCATE)");
}

static void commit_often(sqlite3 *database, int64_t part)
{
    for (int64_t i = 0; i < 1000 / part; i++)
        insert(database, 2000000 + i, 1);
}

static void commit_durably(sqlite3 *database, int64_t part)
{
    run(database, "PRAGMA synchronous = FULL");
    for (int64_t i = 0; i < 1000 / part; i++)
        insert(database, 3000000 + i, 1);
    run(database, "PRAGMA synchronous = NORMAL");
}

static void read_points(sqlite3 *database, int64_t part)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(database, "SELECT note FROM work WHERE id = ?1", -1, &statement, NULL) !=
        SQLITE_OK)
        fail(database, "select");
    for (int64_t i = 0; i < 100000 / part; i++) {
        (void)sqlite3_bind_int64(statement, 1, 1 + i * 48271 % (200000 / part));
        if (sqlite3_step(statement) != SQLITE_ROW)
            fail(database, "select");
        (void)sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
}

/* Nearly every read is one of a page that SQLite doesn't have. */
static void read_points_uncached(sqlite3 *database, int64_t part)
{
    run(database, "PRAGMA cache_size = -256");
    read_points(database, part);
    run(database, "PRAGMA cache_size = -16384");
}

static void read_all(sqlite3 *database, int64_t part)
{
    (void)part;
    (void)sqlite3_db_release_memory(database);
    run(database, "SELECT sum(length(note)) FROM work");
}

static const struct work {
    const char *name;
    void (*run)(sqlite3 *database, int64_t part);
} WORK[] = {
    {"apply_10000_rows", apply_rows},  {"checkpoint", checkpoint},
    {"commit_1000", commit_often},     {"commit_1000_durably", commit_durably},
    {"read_100000_rows", read_points}, {"read_100000_rows_uncached", read_points_uncached},
    {"read_whole_table", read_all},
};

static void measure(const char *folder, int64_t part, const char *kind, const char *vfs)
{
    char path[300];
    char side[320];
    static const char *const ENDS[] = {"", "-wal", "-shm", VAULT_LOG_SUFFIX};
    sqlite3 *database = NULL;

    (void)snprintf(path, sizeof path, "%s/cost.db", folder);
    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        (void)snprintf(side, sizeof side, "%s%s", path, ENDS[i]);
        (void)unlink(side);
    }
    database = open_file(path, vfs);
    run(database, "CREATE TABLE work(id INTEGER PRIMARY KEY, number_text TEXT, note TEXT,"
                  " started_at INTEGER); CREATE INDEX work_number ON work(number_text); BEGIN");
    insert(database, 1, 200000 / part);
    run(database, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    for (size_t i = 0; i < sizeof WORK / sizeof WORK[0]; i++) {
        double begin = now_ms(CLOCK_MONOTONIC);
        double cpu_begin = now_ms(CLOCK_PROCESS_CPUTIME_ID);

        WORK[i].run(database, part);
        (void)printf("%s %s %.3f %.3f\n", WORK[i].name, kind, now_ms(CLOCK_MONOTONIC) - begin,
                     now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin);
    }
    (void)sqlite3_close(database);
}

static void draw(void *context, void *bytes, size_t size)
{
    (void)context;
    randombytes_buf(bytes, size); /* getrandom(2), as edge/entropy.c */
}

int main(int count, char **words)
{
    uint8_t key[VAULT_KEY_SIZE];
    const struct vault_options options = {.key = key, .draw = draw};
    struct vault *vault = NULL;
    struct problem problem = {0};
    int64_t part = count == 3 ? strtoll(words[2], NULL, 10) : 0;

    if (part < 1 || part > 1000 || sodium_init() < 0)
        return 2;
    randombytes_buf(key, sizeof key);
    if (vault_create(&options, &vault, &problem) != RESULT_OK)
        return 1;
    measure(words[1], part, "plain", NULL);
    measure(words[1], part, "sealed", vault_vfs_name(vault));
    vault_destroy(vault);
    return 0;
}

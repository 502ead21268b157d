/* SPDX-License-Identifier: Apache-2.0 */
/* capture_cost: what recording costs a program that writes to a replica: the same statements on the
 * same file with the agent's triggers and without.
 *
 *     capture_cost CAPTURED BARE CALLS ROUND PART
 *
 * CAPTURED: a replica with workload W, enrolled, its agent doesn't run. BARE: a copy of it without
 * its triggers. CALLS: how many calls there are. PART
 * 1 is all of it, 50 a fiftieth. On stdout "NAME KIND US", KIND captured or bare:
 *
 *     insert_100   50 transactions of 100 new work logs, synchronous NORMAL as the agent has it
 *     update_100   the same of updates of two columns of calls
 *     insert_1     200 work logs in autocommit, synchronous FULL
 *     update_1     the same of calls */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ALL = 5000, STATEMENTS = 100, ALONE = 200, STEP = 7919, KINDS = 2, WORK_COUNT = 4 };

static const char *const KIND_NAMES[KINDS] = {"captured", "bare"};
static const char INSERT[] =
    "INSERT INTO worklogs(id, call_id, technician, started_at, minutes, note)"
    " VALUES((SELECT id FROM new_id), ?1, 1, 1735689600, ?2,"
    " printf('%.*c', 40 + ?1 % 120, 'x'))";
/* Without triggers nothing counts new_id on. */
static const char BARE_INSERT[] =
    "INSERT INTO worklogs(id, call_id, technician, started_at, minutes, note)"
    " VALUES(NULL, ?1, 1, 1735689600, ?2, printf('%.*c', 40 + ?1 % 120, 'x'))";
static const char UPDATE[] = "UPDATE calls SET status = 'done ' || ?2,"
                             " note = ?2 || printf('%.*c', 60 + ?1 % 100, 'y') WHERE id = ?1";

static const struct work {
    const char *name;
    const char *statements[KINDS];
    bool is_alone;
} WORK[WORK_COUNT] = {{"insert_100", {INSERT, BARE_INSERT}, false},
                      {"update_100", {UPDATE, UPDATE}, false},
                      {"insert_1", {INSERT, BARE_INSERT}, true},
                      {"update_1", {UPDATE, UPDATE}, true}};

static void must(sqlite3 *database, bool is_right)
{
    if (is_right)
        return;
    (void)fprintf(stderr, "capture_cost: %s\n", sqlite3_errmsg(database));
    exit(1);
}

static void run(sqlite3 *database, const char *sql)
{
    must(database, sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void step(sqlite3 *database, sqlite3_stmt *statement, int64_t call, int64_t number)
{
    (void)sqlite3_bind_int64(statement, 1, call);
    (void)sqlite3_bind_int64(statement, 2, number);
    must(database, sqlite3_step(statement) == SQLITE_DONE);
    (void)sqlite3_reset(statement);
}

static void do_work(sqlite3 *database, const struct work *work, int kind, int64_t calls,
                    int64_t round_no, int64_t part)
{
    sqlite3_stmt *statement = NULL;
    int64_t count = (work->is_alone ? ALONE : ALL) / part;
    int64_t first = (2 * round_no + work->is_alone) * ALL; /* never again */
    int64_t began_us;

    must(database,
         sqlite3_prepare_v2(database, work->statements[kind], -1, &statement, NULL) == SQLITE_OK);
    run(database, work->is_alone ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    began_us = now_us();
    for (int64_t i = 0; i < count; i++) {
        if (!work->is_alone && i % STATEMENTS == 0)
            run(database, "BEGIN IMMEDIATE");
        step(database, statement, 1 + i * STEP % calls, first + i);
        if (!work->is_alone && i % STATEMENTS == STATEMENTS - 1)
            run(database, "COMMIT");
    }
    (void)printf("%s %s %" PRId64 "\n", work->name, KIND_NAMES[kind], now_us() - began_us);
    (void)sqlite3_finalize(statement);
}

int main(int argc, char **argv)
{
    int64_t calls = argc == 6 ? strtoll(argv[3], NULL, 10) : 0;
    int64_t part = argc == 6 ? strtoll(argv[5], NULL, 10) : 0;

    if (calls < 1 || part < 1 || part > 50)
        return 2;
    for (int i = 0; i < WORK_COUNT * KINDS; i++) { /* by turns, so that both see the same machine */
        int kind = i % KINDS;
        sqlite3 *database = NULL;

        must(database, sqlite3_open(argv[1 + kind], &database) == SQLITE_OK);
        run(database, "PRAGMA journal_mode=WAL; PRAGMA cache_size=-16384");
        do_work(database, &WORK[i / KINDS], kind, calls, strtoll(argv[4], NULL, 10), part);
        run(database, "PRAGMA wal_checkpoint(TRUNCATE)");
        must(database, sqlite3_close(database) == SQLITE_OK);
    }
    return 0;
}

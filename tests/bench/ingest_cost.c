/* SPDX-License-Identifier: Apache-2.0 */
/* ingest_cost: what the writer needs for pushes, without sockets and threads, for profilers.
 *
 *     ingest_cost DATA PLAIN KIND DEVICES CHANGES ROUNDS
 *
 * DATA is a server's folder with workload W, as `bench --keep` leaves it, PLAIN a file with W as
 * ordinary tables: work on copies, both are changed. KIND is insert, update or mix (T2). Each round
 * is one group of DEVICES pushes of CHANGES each, in one transaction, and the same rows in one
 * transaction of plain SQLite. One line a round: "KIND MS PLAIN_MS RATIO" and
 * the same of CPU time. */
#define _GNU_SOURCE

#include "server/setup.h"

#include "schema/sql.h"

#include <inttypes.h>
#include <malloc.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLS = 20000, PARTS = 5000, DEVICE_NO_FIRST = 1000, TEXT_SIZE = 200, WORDS_MAX = 20 };

struct device {
    int64_t replica_no;
    int64_t lcn;
    int64_t seal_no;
    int64_t id_counter;
    uint8_t digest[SEAL_DIGEST_SIZE];
};

struct cost {
    struct setup setup;
    struct master *master;
    struct master_outcome outcome;
    struct problem problem;
    sqlite3 *plain;
    int64_t head;
    struct wall_time now;
    uint64_t random;
    int64_t plain_id;
    size_t device_count;
    struct device *devices;
    size_t change_count; /* of one push */
    double cpu_ms;       /* of the last round */
    double plain_cpu_ms;
};

/* Where the writer's columns and the plain file's have a change, and how often in ten. */
struct kind {
    const char *name;
    const char *table_name;
    const char *columns[6]; /* ends with NULL */
    const char *plain;      /* the parameters in the same order, then the id */
};
static const struct kind KINDS[] = {
    {"update",
     "calls",
     {"status", "note", NULL},
     "UPDATE calls SET status = ?1, note = ?2 WHERE id = ?3"},
    {"insert",
     "worklogs",
     {"call_id", "technician", "started_at", "minutes", "note", NULL},
     "INSERT INTO worklogs(call_id, technician, started_at, minutes, note, id)"
     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
    {"partuse",
     "partuse",
     {"call_id", "part_id", "qty", "price_cents", "used_at", NULL},
     "INSERT INTO partuse(call_id, part_id, qty, price_cents, used_at, id)"
     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"},
};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0] };

static void check(struct cost *cost, enum result result)
{
    if (result == RESULT_OK)
        return;
    (void)fprintf(stderr, "ingest_cost: %s\n", cost->problem.text);
    exit(1);
}

static void check_sqlite(struct cost *cost, int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE)
        return;
    (void)fprintf(stderr, "ingest_cost: %s\n", sqlite3_errmsg(cost->plain));
    exit(1);
}

static void *allocate(struct arena *arena, size_t count, size_t size)
{
    void *memory = arena_array(arena, count, size);

    if (memory == NULL)
        exit(1);
    return memory;
}

static double now_ms(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- rows ---- */

static int64_t draw(struct cost *cost, int64_t below)
{
    cost->random = cost->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)(cost->random >> 33) % below;
}

static struct value draw_text(struct cost *cost, struct arena *arena)
{
    static const char *const WORDS[] = {"pump",  "valve",    "motor",   "filter",  "leak",
                                        "noise", "replaced", "cleaned", "ordered", "tested"};
    char *text = allocate(arena, TEXT_SIZE, 1);
    size_t size = 0;
    int64_t words = 6 + draw(cost, WORDS_MAX - 6);

    for (int64_t i = 0; i < words; i++) {
        const char *word = WORDS[draw(cost, 10)];

        memcpy(text + size, word, strlen(word));
        size += strlen(word);
        text[size++] = ' ';
    }
    return value_text(bytes_of((const uint8_t *)text, size));
}

static struct value draw_value(struct cost *cost, const char *column, struct arena *arena)
{
    if (strcmp(column, "status") == 0 || strcmp(column, "note") == 0)
        return draw_text(cost, arena);
    if (strcmp(column, "call_id") == 0)
        return value_integer(1 + draw(cost, CALLS));
    if (strcmp(column, "part_id") == 0)
        return value_integer(1 + draw(cost, PARTS));
    return value_integer(1735689600 + draw(cost, 100000));
}

static void fill_change(struct cost *cost, struct device *device, const struct kind *kind,
                        size_t index, struct arena *arena, struct change *change)
{
    const struct catalog_table *table =
        catalog_table_by_name(&cost->setup.catalog, kind->table_name);
    bool is_insert = kind != &KINDS[0];

    *change = (struct change){.op = is_insert ? CHANGE_INSERT : CHANGE_UPDATE,
                              .table_no = table->number,
                              .lcn = ++device->lcn,
                              .base_seq = cost->head,
                              .edited_at = cost->now};
    change->row_id =
        is_insert ? id_of(device->replica_no, ++device->id_counter)
                  : 1 + (int64_t)(((size_t)(device - cost->devices) * cost->change_count + index) %
                                  CALLS);
    change->values = allocate(arena, table->column_count, sizeof *change->values);
    for (size_t i = 0; kind->columns[i] != NULL; i++) {
        const struct catalog_column *column = catalog_column_by_name(table, kind->columns[i]);

        change->mask |= UINT64_C(1) << column->number;
        change->values[column->number] = draw_value(cost, kind->columns[i], arena);
    }
}

/* A quarter calls, half work logs, a quarter part uses for "mix". */
static const struct kind *kind_of(const char *name, size_t index, size_t count)
{
    for (size_t k = 0; k < KIND_COUNT; k++)
        if (strcmp(name, KINDS[k].name) == 0)
            return &KINDS[k];
    return &KINDS[index < count / 4 ? 0 : index < count / 4 * 3 ? 1 : 2];
}

/* ---- the writer ---- */

static struct job *make_push(struct cost *cost, struct device *device, const char *kind_name,
                             struct arena *arena, struct change **ret_changes)
{
    struct job *job = job_create(JOB_PUSH, (size_t)256 * 1024 * 1024);
    struct message_push push = {.incarnation = 1,
                                .seal_no = ++device->seal_no,
                                .is_last_part = true,
                                .lcn_first = device->lcn + 1,
                                .schema_version = cost->setup.catalog.schema_version,
                                .sealed_at = cost->now,
                                .change_count = cost->change_count};
    struct seal_digest_state state;
    uint8_t previous[SEAL_DIGEST_SIZE];
    struct buffer body;

    memcpy(previous, device->digest, sizeof previous);
    push.previous_digest = bytes_of(previous, sizeof previous);
    push.digest = bytes_of(device->digest, sizeof device->digest);
    push.changes = allocate(arena, cost->change_count, sizeof *push.changes);
    for (size_t i = 0; i < cost->change_count; i++)
        fill_change(cost, device, kind_of(kind_name, i, cost->change_count), i, arena,
                    &push.changes[i]);
    push.lcn_last = device->lcn;
    seal_digest_begin(&state, &push);
    check(cost, seal_digest_add(&state, &cost->setup.catalog, &push, &cost->problem));
    seal_digest_end(&state, device->digest);
    buffer_init(&body, (size_t)64 * 1024 * 1024);
    check(cost, message_push_encode(&cost->setup.catalog, &push, &body, &cost->problem));
    check(cost, arena_copy(&job->arena, buffer_bytes(&body), &job->body, &cost->problem));
    buffer_done(&body);
    job->replica_no = device->replica_no;
    job->user_id = 1;
    job->schema_version = cost->setup.catalog.schema_version;
    *ret_changes = push.changes;
    return job;
}

static double run_writer(struct cost *cost, struct job **jobs)
{
    double begin = now_ms(CLOCK_MONOTONIC);

    cost->cpu_ms = now_ms(CLOCK_PROCESS_CPUTIME_ID);
    check(cost, master_write(cost->master, jobs, cost->device_count, cost->now, &cost->outcome,
                             &cost->problem));
    begin = now_ms(CLOCK_MONOTONIC) - begin;
    cost->cpu_ms = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cost->cpu_ms;
    cost->head = cost->outcome.work.seq;
    for (size_t i = 0; i < cost->device_count; i++) {
        if (jobs[i]->result != RESULT_OK || jobs[i]->change_count != (int64_t)cost->change_count) {
            (void)fprintf(stderr, "ingest_cost: %s\n", jobs[i]->problem.text);
            exit(1);
        }
        job_destroy(jobs[i]);
    }
    return begin;
}

/* ---- the yardstick ---- */

static void bind_plain(struct cost *cost, sqlite3_stmt *statement, const struct kind *kind,
                       const struct change *change)
{
    const struct catalog_table *table = catalog_table_by_no(&cost->setup.catalog, change->table_no);
    int index = 1;

    for (size_t i = 0; kind->columns[i] != NULL; i++) {
        const struct value *value =
            &change->values[catalog_column_by_name(table, kind->columns[i])->number];

        if (value->type == VALUE_INTEGER)
            check_sqlite(cost, sqlite3_bind_int64(statement, index++, value->integer));
        else
            check_sqlite(cost,
                         sqlite3_bind_text(statement, index++, (const char *)value->bytes.data,
                                           (int)value->bytes.size, SQLITE_STATIC));
    }
    check_sqlite(cost, sqlite3_bind_int64(statement, index, change->row_id));
}

__attribute__((noinline)) static double run_plain(struct cost *cost, const char *kind_name,
                                                  struct change **changes)
{
    sqlite3_stmt *statements[KIND_COUNT];
    double begin = now_ms(CLOCK_MONOTONIC);

    cost->plain_cpu_ms = now_ms(CLOCK_PROCESS_CPUTIME_ID);
    check_sqlite(cost, sqlite3_exec(cost->plain, "BEGIN", NULL, NULL, NULL));
    for (size_t k = 0; k < KIND_COUNT; k++)
        check_sqlite(cost,
                     sqlite3_prepare_v2(cost->plain, KINDS[k].plain, -1, &statements[k], NULL));
    for (size_t d = 0; d < cost->device_count; d++)
        for (size_t i = 0; i < cost->change_count; i++) {
            const struct kind *kind = kind_of(kind_name, i, cost->change_count);

            bind_plain(cost, statements[kind - KINDS], kind, &changes[d][i]);
            check_sqlite(cost, sqlite3_step(statements[kind - KINDS]));
            (void)sqlite3_reset(statements[kind - KINDS]);
        }
    for (size_t k = 0; k < KIND_COUNT; k++)
        (void)sqlite3_finalize(statements[k]);
    check_sqlite(cost, sqlite3_exec(cost->plain, "COMMIT", NULL, NULL, NULL));
    cost->plain_cpu_ms = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cost->plain_cpu_ms;
    return now_ms(CLOCK_MONOTONIC) - begin;
}

/* ---- all ---- */

/* As the enrolment of the first replica left it, under other numbers. */
static enum result add_devices(struct work *work, void *context, struct problem *problem)
{
    struct cost *cost = context;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < cost->device_count && result == RESULT_OK; i++) {
        uint8_t key[32] = {0};
        const struct value values[] = {value_integer(DEVICE_NO_FIRST + (int64_t)i),
                                       value_blob(bytes_of(key, sizeof key))};

        randombytes_buf(key, sizeof key);
        cost->devices[i].replica_no = values[0].integer;
        result =
            work_execute(work,
                         "INSERT INTO fs_replica(replica_no, user_id, device_id, static_public_key,"
                         " sign_public_key, psk, enrolled_at)"
                         " SELECT ?1, user_id, device_id, ?2, ?2, psk, enrolled_at"
                         " FROM fs_replica WHERE replica_no = 1",
                         values, 2, problem);
    }
    return result;
}

static void open_both(struct cost *cost, const char *folder, const char *plain)
{
    check(cost, setup_init(&cost->setup, folder, &cost->problem));
    check(cost, setup_load_catalog(&cost->setup, &cost->problem));
    check(cost, setup_open_master(&cost->setup, false, NULL, &cost->master, &cost->problem));
    check(cost,
          master_run(cost->master, cost->now, add_devices, cost, &cost->outcome, &cost->problem));
    cost->head = cost->outcome.work.seq;
    check_sqlite(cost, sqlite3_open(plain, &cost->plain));
    check_sqlite(cost, sqlite3_exec(cost->plain,
                                    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                    "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384",
                                    NULL, NULL, NULL));
}

static void run_round(struct cost *cost, const char *kind_name)
{
    struct arena arena;
    struct job **jobs;
    struct change **changes;
    double writer = 0;
    double plain = 0;

    arena_init(&arena, (size_t)1024 * 1024 * 1024);
    jobs = allocate(&arena, cost->device_count, sizeof *jobs);
    changes = allocate(&arena, cost->device_count, sizeof *changes);
    for (size_t i = 0; i < cost->device_count; i++)
        jobs[i] = make_push(cost, &cost->devices[i], kind_name, &arena, &changes[i]);
    writer = run_writer(cost, jobs);
    plain = run_plain(cost, kind_name, changes);
    (void)printf("%s %.1f %.1f %.3f %.1f %.1f %.3f\n", kind_name, writer, plain, plain / writer,
                 cost->cpu_ms, cost->plain_cpu_ms, cost->plain_cpu_ms / cost->cpu_ms);
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    struct cost cost = {.now = {(int64_t)time(NULL) * 1000000}};
    long rounds = argc == 7 ? strtol(argv[6], NULL, 10) : 0;

    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024); /* as the server's main */
    sql_set_up_process();
    if (rounds <= 0 || sodium_init() < 0)
        return 2;
    cost.device_count = strtoul(argv[4], NULL, 10);
    cost.change_count = strtoul(argv[5], NULL, 10);
    cost.devices = calloc(cost.device_count, sizeof *cost.devices);
    if (cost.devices == NULL)
        return 1;
    open_both(&cost, argv[1], argv[2]);
    for (long i = 0; i < rounds; i++)
        run_round(&cost, argv[3]);
    master_destroy(cost.master);
    setup_done(&cost.setup);
    (void)sqlite3_close(cost.plain);
    free(cost.devices);
    return 0;
}

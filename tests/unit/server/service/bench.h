/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h: a small company on a real SQLite file with the real model and all reactions: five people
 * of the office, two technicians with a van each, one customer. Every write is a transaction. */
#pragma once

/* needs mkdtemp: the program defines _POSIX_C_SOURCE 200809L before its first #include */

#include "base/prng.h"
#include "domain/activity_state.h"
#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"
#include "server/service/service.h"
#include "server/store/sqlite/sqlite_store.h"
#include "server/store/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
    struct wall_time now;
    struct reaction reactions[64];

    int64_t diana, helga, marta, walter, bruno; /* dispatcher, help desk, manager, ... */
    int64_t mario, luigi;                       /* technicians; replicas 7 and 8 */
    int64_t party, site;
    int64_t visit, phone; /* activity types */
    int64_t warehouse, van, other_van;
    int64_t part, board; /* items; the board has serial numbers */
};

#define MORNING INT64_C(1780000200000000) /* the clock at the start of every test */
#define AT(hours_and_minutes)                                                                      \
    (MORNING + HOURS((hours_and_minutes) / 100) + MINUTES((hours_and_minutes) % 100))

static inline void assert_ok(const struct bench *bench, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), bench->problem.text);
}

static inline void begin(struct bench *bench)
{
    assert_ok(bench, store_begin(bench->store, STORE_WRITE, &bench->problem));
    assert_ok(bench, work_begin(bench->work, bench->now, &bench->problem));
}

static inline void commit(struct bench *bench)
{
    assert_ok(bench, work_finish(bench->work, &bench->outcome, &bench->problem));
    assert_ok(bench, store_commit(bench->store, &bench->problem));
}

static inline void undo(struct bench *bench)
{
    work_abandon(bench->work);
    store_rollback(bench->store);
}

/* What a person writes on a device, or at the office (replica 0). */
static inline struct author author_of(const struct bench *bench, int64_t user_id)
{
    int64_t replica_no = user_id == bench->mario ? 7 : user_id == bench->luigi ? 8 : 0;

    return (struct author){.replica_no = replica_no, .user_id = user_id, .edited_at = bench->now};
}

static inline int64_t insert_in(struct bench *bench, const char *table, int64_t user_id,
                                const struct work_field *fields)
{
    const struct author author = author_of(bench, user_id);
    int64_t id = 0;

    assert_ok(bench, work_insert_fields(bench->work, table, fields, &author, &id, &bench->problem));
    return id;
}

static inline int64_t insert(struct bench *bench, const char *table, int64_t user_id,
                             const struct work_field *fields)
{
    int64_t id = 0;

    begin(bench);
    id = insert_in(bench, table, user_id, fields);
    commit(bench);
    return id;
}

/* insert(bench, "call", user, FIELDS({"subject", T("x")}, {"n", N(1)})) */
#define T(text)     value_text_of(text)
#define N(integer)  value_integer(integer)
#define FIELDS(...) ((const struct work_field[]){__VA_ARGS__, {.name = NULL}})

/* First number of a query about up to two ids; -1 if there is none. */
static inline int64_t number(struct bench *bench, const char *sql, int64_t first, int64_t second)
{
    const struct value ids[] = {value_integer(first), value_integer(second)};
    struct store_result result = {0};
    int64_t found = 0;

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench,
              store_query(bench->store, sql, ids, 2, &bench->arena, &result, &bench->problem));
    found = store_integer_at(&result, 0, 0, -1);
    store_rollback(bench->store);
    return found;
}

/* First text of a query about up to two ids, "" if there is none; lives with the bench. */
static inline const char *text(struct bench *bench, const char *sql, int64_t first, int64_t second)
{
    const struct value ids[] = {value_integer(first), value_integer(second)};
    struct store_result result = {0};
    struct bytes copy = {0};

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench,
              store_query(bench->store, sql, ids, 2, &bench->arena, &result, &bench->problem));
    store_rollback(bench->store);
    assert_ok(bench,
              arena_copy(&bench->arena, store_bytes_at(&result, 0, 0), &copy, &bench->problem));
    return (const char *)copy.data;
}

/* ---- the company ---- */

static inline int64_t person(struct bench *bench, const char *login, const char *role)
{
    int64_t id = insert_in(bench, "app_user", 0, FIELDS({"login", T(login)}, {"name", T(login)}));

    (void)insert_in(bench, "role_grant", 0, FIELDS({"user_id", N(id)}, {"role", T(role)}));
    return id;
}

static inline int64_t place(struct bench *bench, const char *kind, const char *name,
                            int64_t holder_id)
{
    return insert_in(bench, "location", 0,
                     FIELDS({"kind", T(kind)}, {"name", T(name)},
                            {"holder_id", holder_id == 0 ? value_null() : N(holder_id)}));
}

static inline int64_t item(struct bench *bench, const char *code, int is_serialised)
{
    return insert_in(bench, "item", 0,
                     FIELDS({"code", T(code)}, {"name", T(code)}, {"unit_of_measure", T("pcs")},
                            {"is_serialised", N(is_serialised)}));
}

static inline void company_open(struct bench *bench)
{
    begin(bench);
    bench->diana = person(bench, "diana", "dispatcher");
    bench->helga = person(bench, "helga", "help_desk");
    bench->marta = person(bench, "marta", "manager");
    bench->walter = person(bench, "walter", "warehouse");
    bench->bruno = person(bench, "bruno", "billing");
    bench->mario = person(bench, "mario", "technician");
    bench->luigi = person(bench, "luigi", "technician");
    bench->party =
        insert_in(bench, "party", 0, FIELDS({"kind", T("customer")}, {"name", T("Rossi Srl")}));
    bench->site =
        insert_in(bench, "site", 0, FIELDS({"party_id", N(bench->party)}, {"name", T("Forlì")}));
    bench->visit =
        insert_in(bench, "activity_type", 0,
                  FIELDS({"name", T("Visit")}, {"mode", T("on_site")}, {"default_min", N(60)}));
    bench->phone =
        insert_in(bench, "activity_type", 0,
                  FIELDS({"name", T("Phone")}, {"mode", T("phone")}, {"default_min", N(15)}));
    bench->warehouse = place(bench, "warehouse", "Main", 0);
    bench->van = place(bench, "van", "Van 1", bench->mario);
    bench->other_van = place(bench, "van", "Van 2", bench->luigi);
    bench->part = item(bench, "P", 0);
    bench->board = item(bench, "BOARD", 1);
    commit(bench);
}

/* Making the model takes a second under a sanitizer: once for a program, then files are copied. */
static inline char *template_path(void)
{
    static char path[96];

    return path;
}

static inline void remove_template(void)
{
    (void)unlink(template_path());
}

static inline void make_template(struct bench *bench)
{
    const struct sql_options options = {
        .path = template_path(), .profile = SQL_PROFILE_SERVER, .create = true};
    struct sql_database *database = NULL;

    (void)snprintf(template_path(), 96, "%s-template.db", bench->folder);
    assert_int_equal(atexit(remove_template), 0);
    assert_ok(bench, sql_open(&options, &database, &bench->problem));
    assert_ok(bench, migrate_run(database, SCHEMA_SIDE_SERVER, NULL, 0, bench->now, NULL,
                                 &bench->problem));
    assert_ok(bench,
              catalog_load(database, &bench->catalog_arena, &bench->catalog, &bench->problem));
    assert_ok(bench, triggers_install(database, &bench->catalog, SCHEMA_SIDE_SERVER, NULL,
                                      &bench->problem));
    assert_ok(bench, sql_exec(database,
                              "INSERT OR REPLACE INTO fs_state(name, number) VALUES"
                              "('seq',0),('published_seq',0),('replica_no',0)",
                              &bench->problem));
    assert_ok(bench, sql_exec(database, "PRAGMA wal_checkpoint(TRUNCATE)", &bench->problem));
    sql_close(database);
}

static inline void prepare_file(struct bench *bench)
{
    struct sql_options options = {.path = bench->path, .profile = SQL_PROFILE_SERVER};
    struct sql_database *database = NULL;
    char command[256];

    if (template_path()[0] == '\0')
        make_template(bench);
    (void)snprintf(command, sizeof command, "cp %s %s", template_path(), bench->path);
    assert_int_equal(system(command), 0);
    assert_ok(bench, sql_open(&options, &database, &bench->problem));
    assert_ok(bench,
              catalog_load(database, &bench->catalog_arena, &bench->catalog, &bench->problem));
    sql_close(database);
}

/* Each rule `times` times for each change: a second time must change nothing. */
static inline void take_reactions(struct bench *bench, size_t times)
{
    size_t count = 0;

    for (const struct reaction *r = service_reactions(); r->table_name != NULL; r++)
        for (size_t i = 0; i < times; i++) {
            assert_true(count + 1 < sizeof bench->reactions / sizeof *bench->reactions);
            bench->reactions[count++] = *r;
        }
}

static inline int bench_open_with(void **state, size_t times)
{
    static const uint8_t KEY[16] = {1, 2, 3};
    struct bench *bench = calloc(1, sizeof *bench);
    struct sqlite_store_options options = {0};

    assert_non_null(bench);
    (void)snprintf(bench->folder, sizeof bench->folder, "/tmp/fieldsync-service-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    (void)snprintf(bench->path, sizeof bench->path, "%s/master.db", bench->folder);
    bench->now.us = MORNING;
    take_reactions(bench, times);
    arena_init(&bench->catalog_arena, 8 * 1024 * 1024);
    arena_init(&bench->arena, 64 * 1024 * 1024);
    prepare_file(bench);
    options.path = bench->path;
    assert_ok(bench, sqlite_store_open(&options, &bench->catalog, &bench->store, &bench->problem));
    assert_ok(bench,
              work_create(bench->store, bench->reactions, KEY, &bench->work, &bench->problem));
    company_open(bench);
    *state = bench;
    return 0;
}

static inline int bench_open(void **state)
{
    return bench_open_with(state, 1);
}

static inline int bench_open_twice(void **state)
{
    return bench_open_with(state, 2);
}

static inline int bench_close(void **state)
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

/* ---- calls and work ---- */

static inline int64_t call_new(struct bench *bench, const char *subject)
{
    return insert(bench, "call", bench->helga,
                  FIELDS({"channel", T("phone")}, {"party_id", N(bench->party)},
                         {"site_id", N(bench->site)}, {"subject", T(subject)},
                         {"opened_at", N(bench->now.us)}, {"opened_by_id", N(bench->helga)}));
}

static inline int64_t call_event(struct bench *bench, int64_t call_id, const char *kind,
                                 int64_t by_id, int64_t occurred_at)
{
    return insert(bench, "call_event", by_id,
                  FIELDS({"call_id", N(call_id)}, {"kind", T(kind)},
                         {"occurred_at", N(occurred_at)}, {"by_id", N(by_id)}));
}

/* An activity that the office has planned for a technician. */
static inline int64_t visit_for(struct bench *bench, int64_t call_id, int64_t technician_id)
{
    return insert(bench, "activity", 0,
                  FIELDS({"call_id", N(call_id)}, {"activity_type_id", N(bench->visit)},
                         {"technician_id", N(technician_id)}, {"state", T("dispatched")}));
}

/* A step that `by_id` recorded at `occurred_at`, having seen that version and state. */
static inline int64_t step(struct bench *bench, int64_t activity_id, const char *kind,
                           int64_t by_id, int64_t version_n, const char *state, int64_t occurred_at)
{
    return insert(bench, "activity_event", by_id,
                  FIELDS({"activity_id", N(activity_id)}, {"kind", T(kind)},
                         {"base_version_n", N(version_n)}, {"base_state", T(state)},
                         {"occurred_at", N(occurred_at)}, {"by_id", N(by_id)}));
}

static inline int64_t office_step(struct bench *bench, int64_t activity_id, const char *kind,
                                  int64_t by_id, int64_t technician_id, int64_t occurred_at)
{
    return insert(bench, "activity_event", by_id,
                  FIELDS({"activity_id", N(activity_id)}, {"kind", T(kind)},
                         {"technician_id", technician_id == 0 ? value_null() : N(technician_id)},
                         {"occurred_at", N(occurred_at)}, {"by_id", N(by_id)}));
}

static inline int64_t session(struct bench *bench, int64_t activity_id, int64_t technician_id,
                              int64_t from, int64_t to)
{
    return insert(bench, "work_session", technician_id,
                  FIELDS({"activity_id", N(activity_id)}, {"technician_id", N(technician_id)},
                         {"kind", T("work")}, {"started_at", N(from)}, {"ended_at", N(to)}));
}

static inline const char *activity_state(struct bench *bench, int64_t id)
{
    return text(bench, "SELECT state FROM activity WHERE id = ?1", id, 0);
}

static inline int64_t technician_of(struct bench *bench, int64_t id)
{
    return number(bench, "SELECT technician_id FROM activity WHERE id = ?1", id, 0);
}

static inline const char *call_state(struct bench *bench, int64_t id)
{
    return text(bench, "SELECT state FROM call WHERE id = ?1", id, 0);
}

/* How many review items of this reason wait for this role. */
static inline int64_t reviews(struct bench *bench, const char *reason, const char *role)
{
    const struct value keys[] = {value_text_of(reason), value_text_of(role)};
    struct store_result result = {0};
    int64_t found = 0;

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, store_query(bench->store,
                                 "SELECT count(*) FROM review_item WHERE state = 'open'"
                                 " AND reason_code = ?1 AND role = ?2",
                                 keys, 2, &bench->arena, &result, &bench->problem));
    found = store_integer_at(&result, 0, 0, -1);
    store_rollback(bench->store);
    return found;
}

/* Every story is told twice: the second time each rule runs twice for each change. */
#define STORY(name)                                                                                \
    cmocka_unit_test_setup_teardown(name, bench_open, bench_close),                                \
        cmocka_unit_test_setup_teardown(name, bench_open_twice, bench_close)

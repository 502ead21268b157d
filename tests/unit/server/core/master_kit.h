/* SPDX-License-Identifier: Apache-2.0 */
/* master_kit.h: a master on a real file with a few tables of its own, devices that push to it, and
 * a mirror that takes a feed like a device does.
 *
 * User 1 (anna) and user 2 (bruno) are technicians, their replicas are 1 and 2. Sites 10, 20 and 30
 * belong to party 5. A row (user, site) in watch_list subscribes a user to a site. */
#pragma once

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#endif

#include "schema/load.h"
#include "schema/scopes.h"
#include "schema/triggers.h"
#include "server/core/devices.h"
#include "server/core/master.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/schema_fixture/master_file.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANNA = 1, BRUNO = 2 };

#define KIT_NOW_US INT64_C(1790000000000000)
#define SITE(id)   bucket_of(BUCKET_SITE, (id))

/* clang-format off */
static const char KIT_TABLES[] =
    "CREATE TABLE watch_list(id INTEGER PRIMARY KEY, user_id BIGINT NOT NULL,"
    " site_id BIGINT NOT NULL);"
    "CREATE TABLE note(id INTEGER PRIMARY KEY, site_id BIGINT, a TEXT, b BIGINT CHECK(b < 100),"
    " g1 TEXT, g2 TEXT, once TEXT, state TEXT NOT NULL DEFAULT 'new', code TEXT UNIQUE);"
    "CREATE TABLE reply(id INTEGER PRIMARY KEY, note_id BIGINT NOT NULL, text TEXT NOT NULL,"
    " home BIGINT,"
    " FOREIGN KEY(note_id) REFERENCES note(id) DEFERRABLE INITIALLY DEFERRED);"
    "CREATE TABLE fact(id INTEGER PRIMARY KEY, site_id BIGINT, n BIGINT, by_id BIGINT);"
    "CREATE TABLE reviving(id INTEGER PRIMARY KEY, site_id BIGINT, a TEXT);"
    "CREATE TABLE parent(id INTEGER PRIMARY KEY, site_id BIGINT, a TEXT);"
    "CREATE TABLE child(id INTEGER PRIMARY KEY, parent_id BIGINT NOT NULL, home BIGINT,"
    " FOREIGN KEY(parent_id) REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED);"
    "CREATE TABLE keyed(id INTEGER PRIMARY KEY, site_id BIGINT NOT NULL, k TEXT NOT NULL, a TEXT,"
    " UNIQUE(site_id, k));"
    "CREATE TABLE keyed_item(id INTEGER PRIMARY KEY, keyed_id BIGINT NOT NULL, home BIGINT,"
    " FOREIGN KEY(keyed_id) REFERENCES keyed(id) DEFERRABLE INITIALLY DEFERRED);";

static const char KIT_CATALOG[] =
    "INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule, natural_key, is_local)"
    " VALUES"
    " (901,'watch_list','user:user_id','server_only','never',NULL,0),"
    " (902,'note','site:site_id','last_writer','delete_wins',NULL,0),"
    " (903,'reply','home:note_id','last_writer','delete_wins',NULL,0),"
    " (904,'fact','site:site_id','append_only','never',NULL,0),"
    " (905,'reviving','site:site_id','last_writer','edit_revives',NULL,0),"
    " (906,'parent','site:site_id','last_writer','refuse_if_children',NULL,0),"
    " (907,'child','home:parent_id','last_writer','delete_wins',NULL,0),"
    " (908,'keyed','site:site_id','last_writer','delete_wins','site_id,k',0),"
    " (909,'keyed_item','home:keyed_id','last_writer','delete_wins',NULL,0);"
    "INSERT INTO fs_column(table_number, number, name, type, is_nullable, merge, group_no,"
    " refers_to) VALUES"
    " (901,1,'user_id','integer',0,NULL,0,NULL),(901,2,'site_id','integer',0,NULL,0,NULL),"
    " (902,1,'site_id','integer',1,NULL,0,'site'),(902,2,'a','text',1,NULL,0,NULL),"
    " (902,3,'b','integer',1,NULL,0,NULL),(902,4,'g1','text',1,NULL,1,NULL),"
    " (902,5,'g2','text',1,NULL,1,NULL),(902,6,'once','text',1,'write_once',0,NULL),"
    " (902,7,'state','text',0,'server_only',0,NULL),(902,8,'code','text',1,NULL,0,NULL),"
    " (903,1,'note_id','integer',0,NULL,0,'note'),(903,2,'text','text',0,NULL,0,NULL),"
    " (903,3,'home','integer',1,NULL,0,NULL),"
    " (904,1,'site_id','integer',1,NULL,0,'site'),(904,2,'n','integer',1,NULL,0,NULL),"
    " (904,3,'by_id','integer',1,NULL,0,'app_user'),"
    " (905,1,'site_id','integer',1,NULL,0,'site'),(905,2,'a','text',1,NULL,0,NULL),"
    " (906,1,'site_id','integer',1,NULL,0,'site'),(906,2,'a','text',1,NULL,0,NULL),"
    " (907,1,'parent_id','integer',0,NULL,0,'parent'),(907,2,'home','integer',1,NULL,0,NULL),"
    " (908,1,'site_id','integer',0,NULL,0,'site'),(908,2,'k','text',0,NULL,0,NULL),"
    " (908,3,'a','text',1,NULL,0,NULL),"
    " (909,1,'keyed_id','integer',0,NULL,0,'keyed'),(909,2,'home','integer',1,NULL,0,NULL);"
    "INSERT INTO fs_grant(role, table_name, op, columns, own_column) VALUES"
    " ('technician','note','insert','*',NULL),('technician','note','update','*',NULL),"
    " ('technician','note','delete','*',NULL),"
    " ('technician','reply','insert','*',NULL),('technician','reply','update','*',NULL),"
    " ('technician','reply','delete','*',NULL),"
    " ('technician','fact','insert','*','by_id'),"
    " ('technician','reviving','insert','*',NULL),('technician','reviving','update','*',NULL),"
    " ('technician','reviving','delete','*',NULL),"
    " ('technician','parent','insert','*',NULL),('technician','parent','delete','*',NULL),"
    " ('technician','child','insert','*',NULL),('technician','child','delete','*',NULL),"
    " ('technician','keyed','insert','*',NULL),('technician','keyed','update','*',NULL),"
    " ('technician','keyed','delete','*',NULL),"
    " ('technician','keyed_item','insert','*',NULL);"
    "DELETE FROM fs_subscription WHERE role='technician' AND ordinal>2;"
    "INSERT INTO fs_subscription(role, ordinal, sql) VALUES ('technician', 9,"
    " 'SELECT ''site'', site_id FROM watch_list WHERE user_id=?1');"
    "INSERT INTO fs_watch(table_name, ordinal, sql) VALUES ('watch_list', 1,"
    " 'SELECT user_id FROM watch_list WHERE id=?1');";

static const char KIT_ROWS[] =
    "INSERT INTO app_user(id, login, name) VALUES (1,'anna','Anna'),(2,'bruno','Bruno');"
    "INSERT INTO role_grant(id, user_id, role) VALUES (1,1,'technician'),(2,2,'technician');"
    "INSERT INTO party(id, kind, name) VALUES (5,'customer','Acme');"
    "INSERT INTO site(id, party_id, name) VALUES (10,5,'North'),(20,5,'South'),(30,5,'East');"
    "INSERT INTO watch_list(id, user_id, site_id) VALUES (1,1,10),(2,2,10),(3,1,20);";
/* clang-format on */

/* One enrolled device as far as pushing goes. */
struct kit_device {
    int64_t replica_no;
    int64_t user_id;
    int64_t seal_no;
    int64_t lcn;
    int64_t id_counter;
    uint8_t digest[SEAL_DIGEST_SIZE];
    uint8_t token[TOKEN_SIZE];
    uint8_t key[PUBLIC_KEY_SIZE];
};

struct world {
    char folder[64];
    char path[96];
    struct arena catalog_arena;
    struct arena arena;
    struct catalog catalog;
    struct sql_database *other; /* another program on the master's file */
    struct master *master;      /* the writer */
    struct master *reader;
    struct master_outcome outcome;
    struct wall_time now;
    uint8_t next_byte; /* of the "random" seeds */
    int64_t lease_s;   /* of a master that is opened from now on */
    struct kit_device devices[3];
    struct problem problem;
};

static inline void kit_ok(struct world *world, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), world->problem.text);
}

/* ---- SQL of another program ---- */

static inline void sql(struct world *world, const char *script)
{
    kit_ok(world, sql_exec(world->other, script, &world->problem));
}

static inline int64_t integer(struct world *world, const char *query)
{
    int64_t found = 0;

    kit_ok(world, sql_query_integer(world->other, query, NULL, 0, -1, &found, &world->problem));
    return found;
}

static inline void expect_text(struct world *world, const char *query, const char *expected)
{
    struct sql_statement *statement = NULL;
    const char *text = NULL;
    bool has_row = false;

    kit_ok(world, sql_prepare(world->other, query, &statement, &world->problem));
    kit_ok(world, sql_step(statement, &has_row, &world->problem));
    if (has_row)
        kit_ok(world, sql_column_text(statement, 0, &world->arena, &text, &world->problem));
    if (strcmp(text == NULL ? "" : text, expected) != 0)
        fail_msg("%s: '%s' instead of '%s'", query, text == NULL ? "" : text, expected);
    sql_release(statement);
}

/* ---- jobs ---- */

static inline const uint8_t *kit_seed(struct world *world, size_t size)
{
    uint8_t *seed = arena_alloc(&world->arena, size);

    assert_non_null(seed);
    memset(seed, ++world->next_byte, size);
    return seed;
}

static inline void write_job(struct world *world, struct job *job)
{
    kit_ok(world,
           master_write(world->master, &job, 1, world->now, &world->outcome, &world->problem));
}

static inline void read_job(struct world *world, struct job *job)
{
    kit_ok(world, master_read(world->reader, &job, 1, world->now, &world->problem));
}

static inline struct job *make_job(struct world *world, enum job_kind kind, int device)
{
    struct job *job = job_create(kind, 64 * 1024 * 1024);

    assert_non_null(job);
    job->seed = bytes_of(kit_seed(world, 64), 64);
    job->replica_no = world->devices[device].replica_no;
    job->user_id = world->devices[device].user_id;
    job->schema_version = world->catalog.schema_version;
    return job;
}

static inline void adopt(struct world *world)
{
    struct job *job = job_create(JOB_ADOPT, 1024 * 1024);

    assert_non_null(job);
    write_job(world, job);
    assert_int_equal(job->result, RESULT_OK);
    job_destroy(job);
}

/* Writes as another program and lets the master adopt it. */
static inline void office(struct world *world, const char *script)
{
    sql(world, script);
    adopt(world);
}

/* The body of the job's frame at `index`, joined; NULL type: there is none. */
static inline struct frame body_at(struct world *world, const struct job *job, size_t *index)
{
    struct frame_joiner joiner;
    struct frame frame = {0};
    enum result result = RESULT_WAIT;

    frame_joiner_init(&joiner, LIMIT_BODY_SIZE_MAX);
    while (result == RESULT_WAIT && *index < job->frame_count) {
        const struct shared_frame *piece = job->frames[(*index)++];

        result = frame_join(&joiner, bytes_of(piece->bytes, piece->size), NULL, 0, &world->arena,
                            &frame, &world->problem);
    }
    kit_ok(world, result);
    {
        struct bytes copy = {0};

        kit_ok(world, arena_copy(&world->arena, frame.body, &copy, &world->problem));
        frame.body = copy;
    }
    frame_joiner_done(&joiner);
    return frame;
}

/* ---- devices ---- */

struct kit_code {
    int64_t user_id;
    const uint8_t *seed;
    int64_t expires_at_us;
};

static inline enum result kit_create_code(struct work *work, void *context, struct problem *problem)
{
    const struct kit_code *code = context;
    const struct wall_time expires_at = {code->expires_at_us};

    return devices_create_code(work, code->user_id, 0, code->seed, expires_at, problem);
}

static inline struct job *enrol_job(struct world *world, int device, const uint8_t *token_id)
{
    struct job *job = make_job(world, JOB_ENROL, device);
    struct message_enrol enrol = {.sign_public_key = bytes_of(world->devices[device].key, 32),
                                  .device_name = bytes_of_text("van laptop"),
                                  .app_version = bytes_of_text("0.1"),
                                  .schema_version = world->catalog.schema_version,
                                  .device_time = world->now};
    struct buffer body;

    buffer_init(&body, 65536);
    kit_ok(world, message_enrol_encode(&enrol, &body, &world->problem));
    kit_ok(world, arena_copy(&job->arena, buffer_bytes(&body), &job->body, &world->problem));
    buffer_done(&body);
    job->key = bytes_of(token_id, DEVICES_TOKEN_ID_SIZE);
    job->static_key = bytes_of(world->devices[device].key, PUBLIC_KEY_SIZE);
    return job;
}

static inline const uint8_t *make_code(struct world *world, int64_t user_id, int64_t life_us)
{
    struct kit_code code = {.user_id = user_id,
                            .seed = kit_seed(world, DEVICES_CODE_SEED_SIZE),
                            .expires_at_us = world->now.us + life_us};

    kit_ok(world, master_run(world->master, world->now, kit_create_code, &code, &world->outcome,
                             &world->problem));
    return code.seed;
}

static inline void enrol(struct world *world, int device)
{
    const uint8_t *token_id = make_code(world, device, MINUTES(15));
    struct job *job = NULL;

    memset(world->devices[device].key, 0x40 + device, PUBLIC_KEY_SIZE);
    world->devices[device].user_id = device;
    job = enrol_job(world, device, token_id);
    write_job(world, job);
    if (job->result != RESULT_OK)
        fail_msg("enrolling: %s", job->problem.text);
    world->devices[device].replica_no = job->replica_no;
    memcpy(world->devices[device].token, job->seed.data + PSK_SIZE, TOKEN_SIZE);
    job_destroy(job);
}

static inline const struct catalog_table *table_of(const struct world *world, const char *name)
{
    const struct catalog_table *table = catalog_table_by_name(&world->catalog, name);

    assert_non_null(table);
    return table;
}

/* ---- pushes ---- */

static inline int64_t new_id(struct world *world, int device)
{
    return id_of(world->devices[device].replica_no, ++world->devices[device].id_counter);
}

/* The head that a device has seen, if it has seen everything. */
static inline int64_t head(struct world *world)
{
    return integer(world, "SELECT number FROM fs_state WHERE name='seq'");
}

/* One change; fields end with a NULL name. */
static inline struct change make_change(struct world *world, const char *table_name,
                                        enum change_op op, int64_t row_id, int64_t base_seq,
                                        int64_t edited_at_us, const struct work_field *fields)
{
    const struct catalog_table *table = table_of(world, table_name);
    struct change change = {
        .table_no = table->number,
        .op = op,
        .row_id = row_id,
        .base_seq = base_seq,
        .edited_at = {edited_at_us},
        .values = arena_array(&world->arena, table->column_count, sizeof(struct value))};

    for (size_t i = 0; fields != NULL && fields[i].name != NULL; i++) {
        const struct catalog_column *column = catalog_column_by_name(table, fields[i].name);

        assert_non_null(column);
        change.values[column->number] = fields[i].value;
        change.mask |= UINT64_C(1) << column->number;
    }
    return change;
}

#define FIELDS(...) ((const struct work_field[]){__VA_ARGS__, {NULL, {.type = VALUE_NULL}}})
#define T(name, text)                                                                              \
    {                                                                                              \
        name, value_text_of(text)                                                                  \
    }
#define N(name, number)                                                                            \
    {                                                                                              \
        name, value_integer(number)                                                                \
    }

static inline int by_table(const void *left, const void *right)
{
    const struct change *a = left;
    const struct change *b = right;

    if (a->table_no != b->table_no)
        return a->table_no - b->table_no;
    return (a->lcn > b->lcn) - (a->lcn < b->lcn);
}

/* A seal as the agent would make it; moves the device's chain. */
static inline struct job *seal_job(struct world *world, int device, struct change *changes,
                                   size_t count)
{
    struct kit_device *sender = &world->devices[device];
    uint8_t previous[SEAL_DIGEST_SIZE];
    struct message_push push = {.incarnation = 1,
                                .seal_no = ++sender->seal_no,
                                .is_last_part = true,
                                .lcn_first = sender->lcn + 1,
                                .schema_version = world->catalog.schema_version,
                                .sealed_at = world->now,
                                .change_count = count,
                                .changes = changes};
    struct seal_digest_state state;
    struct job *job = make_job(world, JOB_PUSH, device);
    struct buffer body;

    for (size_t i = 0; i < count; i++)
        changes[i].lcn = ++sender->lcn;
    push.lcn_last = count == 0 ? ++sender->lcn : sender->lcn;
    qsort(changes, count, sizeof *changes, by_table);
    memcpy(previous, sender->digest, sizeof previous);
    push.previous_digest = bytes_of(previous, sizeof previous);
    seal_digest_begin(&state, &push);
    kit_ok(world, seal_digest_add(&state, &world->catalog, &push, &world->problem));
    seal_digest_end(&state, sender->digest);
    push.digest = bytes_of(sender->digest, SEAL_DIGEST_SIZE);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    kit_ok(world, message_push_encode(&world->catalog, &push, &body, &world->problem));
    kit_ok(world, arena_copy(&job->arena, buffer_bytes(&body), &job->body, &world->problem));
    buffer_done(&body);
    return job;
}

static inline struct message_verdict verdict_of(struct world *world, const struct job *job)
{
    struct message_verdict verdict = {0};
    size_t index = 0;
    struct frame frame;

    if (job->result != RESULT_OK)
        fail_msg("push: %s: %s", result_name(job->result), job->problem.text);
    assert_int_equal(job->frame_count, 1);
    frame = body_at(world, job, &index);
    assert_int_equal(frame.type, MESSAGE_VERDICT);
    kit_ok(world, message_verdict_decode(&world->catalog, frame.body, &world->arena, &verdict,
                                         &world->problem));
    return verdict;
}

static inline struct message_verdict push(struct world *world, int device, struct change *changes,
                                          size_t count)
{
    struct job *job = seal_job(world, device, changes, count);
    struct message_verdict verdict;

    write_job(world, job);
    verdict = verdict_of(world, job);
    job_destroy(job);
    return verdict;
}

/* One change alone; the exception it got, or a zero one (applied). */
static inline struct verdict push_one(struct world *world, int device, const char *table_name,
                                      enum change_op op, int64_t row_id, int64_t base_seq,
                                      int64_t edited_at_us, const struct work_field *fields)
{
    struct change change =
        make_change(world, table_name, op, row_id, base_seq, edited_at_us, fields);
    struct message_verdict verdict = push(world, device, &change, 1);

    assert_true(verdict.exception_count <= 1);
    return verdict.exception_count == 0 ? (struct verdict){0} : verdict.exceptions[0];
}

static inline void expect_verdict(const struct verdict *verdict, enum verdict_kind kind,
                                  const char *reason)
{
    if (verdict->kind != kind || !bytes_equal(verdict->reason, bytes_of_text(reason)))
        fail_msg("%s(%.*s) instead of %s(%s)", verdict_name(verdict->kind),
                 (int)verdict->reason.size, (const char *)verdict->reason.data, verdict_name(kind),
                 reason);
}

/* ---- the whole ---- */

static inline void kit_make_file(struct world *world)
{
    struct sql_options options = {.path = world->path, .profile = SQL_PROFILE_SERVER};

    master_file_make(world->path);
    kit_ok(world, sql_open(&options, &world->other, &world->problem));
    sql(world, KIT_TABLES);
    sql(world, KIT_CATALOG);
    kit_ok(world,
           catalog_load(world->other, &world->catalog_arena, &world->catalog, &world->problem));
    kit_ok(world,
           scopes_find(world->other, &world->catalog_arena, &world->catalog, &world->problem));
    kit_ok(world, triggers_install(world->other, &world->catalog, SCHEMA_SIDE_SERVER, NULL,
                                   &world->problem));
}

static inline struct master *kit_open(struct world *world, bool is_reader)
{
    struct sqlite_store_options store_options = {.path = world->path, .is_reader = is_reader};
    struct master_options options = {.catalog = &world->catalog, .lease_s = world->lease_s};
    struct master *master = NULL;

    kit_ok(world,
           sqlite_store_open(&store_options, &world->catalog, &options.store, &world->problem));
    if (!is_reader) {
        uint8_t seed[DEVICES_INIT_SEED_SIZE];

        memset(seed, 7, sizeof seed);
        kit_ok(world, store_begin(options.store, STORE_WRITE, &world->problem));
        kit_ok(world, devices_init(options.store, seed, &world->problem));
        kit_ok(world, store_commit(options.store, &world->problem));
    }
    kit_ok(world, master_create(&options, &master, &world->problem));
    return master;
}

/* Makes the world once for all tests of a program: migrated, filled, both devices enrolled. */
static inline int template_create(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/fieldsync-core-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->path, sizeof world->path, "%s/master.db", world->folder);
    arena_init(&world->catalog_arena, 8 * 1024 * 1024);
    arena_init(&world->arena, 64 * 1024 * 1024);
    world->now.us = KIT_NOW_US;
    kit_make_file(world);
    world->master = kit_open(world, false);
    office(world, KIT_ROWS);
    enrol(world, ANNA);
    enrol(world, BRUNO);
    master_destroy(world->master);
    world->master = NULL;
    sql(world, "PRAGMA wal_checkpoint(TRUNCATE)");
    sql_close(world->other);
    world->other = NULL;
    *state = world;
    return 0;
}

static inline int folder_remove(const char *folder)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static inline int template_destroy(void **state)
{
    struct world *world = *state;

    arena_done(&world->arena);
    arena_done(&world->catalog_arena);
    assert_int_equal(folder_remove(world->folder), 0);
    free(world);
    return 0;
}

/* A copy of the template for one test; borrows its catalog. */
static inline int world_create(void **state)
{
    const struct world *template = *state;
    struct world *world = calloc(1, sizeof *world);
    struct sql_options options = {.profile = SQL_PROFILE_SERVER};
    char command[256];

    assert_non_null(world);
    *world = *template;
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/fieldsync-core-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->path, sizeof world->path, "%s/master.db", world->folder);
    (void)snprintf(command, sizeof command, "cp %s %s", template->path, world->path);
    assert_int_equal(system(command), 0);
    arena_init(&world->arena, 256 * 1024 * 1024);
    options.path = world->path;
    kit_ok(world, sql_open(&options, &world->other, &world->problem));
    world->master = kit_open(world, false);
    world->reader = kit_open(world, true);
    *state = world;
    return 0;
}

static inline int world_destroy(void **state)
{
    struct world *world = *state;

    master_destroy(world->reader);
    master_destroy(world->master);
    sql_close(world->other);
    arena_done(&world->arena);
    assert_int_equal(folder_remove(world->folder), 0);
    free(world);
    return 0;
}

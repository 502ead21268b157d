/* SPDX-License-Identifier: Apache-2.0 */
/* both_sides.h: a master and several replicas, in files, that talk in encoded messages only.
 *
 * Everything that one side says is encoded, copied out and decoded by the other; nothing else is
 * shared. Other programs write either side with plain SQL through connections of their own. */
#pragma once

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#endif

#include "agent/replica/replica.h"
#include "protocol/noise.h"
#include "schema/load.h"
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

enum { SIDES_MAX = 16, VERDICTS_MAX = 2048 };
#define SIDES_NOW_US INT64_C(1790000000000000)

/* A device; without a replica it is a key and a seal chain, for pushes made by hand. */
struct side {
    char name[16];
    int64_t user_id;
    int64_t replica_no;
    char path[128];
    struct replica *replica;
    struct sql_database *other; /* another program on the device */
    bool has_scripts;           /* of the server, waiting for the next opening */
    struct feed *feed;
    struct noise_keypair keys;
    uint8_t psk[PSK_SIZE];
    uint8_t token[TOKEN_SIZE];
    /* by hand */
    int64_t seal_no;
    int64_t lcn;
    int64_t id_counter;
    uint8_t digest[SEAL_DIGEST_SIZE];
};

struct world {
    char folder[64];
    char path[96];
    char blank_path[96]; /* a replica that nobody enrolled yet */
    struct arena catalog_arena;
    struct arena arena;
    struct catalog catalog;
    struct sql_database *other; /* another program on the master's file */
    struct master *master;
    struct master *reader;
    struct master_outcome outcome;
    struct wall_time now;
    uint8_t next_byte;
    size_t side_count;
    struct side sides[SIDES_MAX];
    /* scripts of the company that new devices have already */
    const struct replica_script *scripts;
    size_t script_count;
    const struct trace *trace; /* of devices; may be NULL */
    struct problem problem;
};

static inline void ok(struct world *world, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), world->problem.text);
}

/* ---- SQL of other programs ---- */

static inline void run_sql(struct world *world, struct sql_database *database, const char *text,
                           const struct value *values, size_t count)
{
    if (sql_run(database, text, values, count, &world->problem) != RESULT_OK)
        fail_msg("%s: %s", text, world->problem.text);
}

static inline int64_t integer_of(struct world *world, struct sql_database *database,
                                 const char *text, const struct value *values, size_t count)
{
    int64_t found = 0;

    ok(world, sql_query_integer(database, text, values, count, -1, &found, &world->problem));
    return found;
}

static inline const char *text_of(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline const char *text_of(struct world *world, const char *format, ...)
{
    char text[4096];
    struct bytes copy = {0};
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ok(world, arena_copy(&world->arena, bytes_of(text, strlen(text) + 1), &copy, &world->problem));
    return (const char *)copy.data;
}

/* ---- jobs ---- */

static inline const uint8_t *seed_of(struct world *world, size_t size)
{
    uint8_t *seed = arena_alloc(&world->arena, size);

    assert_non_null(seed);
    memset(seed, ++world->next_byte, size);
    return seed;
}

static inline struct job *make_job(struct world *world, enum job_kind kind, struct side *side)
{
    struct job *job = job_create(kind, 256 * 1024 * 1024);

    assert_non_null(job);
    job->seed = bytes_of(seed_of(world, 64), 64);
    job->schema_version = side != NULL && side->replica != NULL
                              ? replica_catalog(side->replica)->schema_version
                              : world->catalog.schema_version;
    if (side != NULL) {
        job->replica_no = side->replica_no;
        job->user_id = side->user_id;
    }
    return job;
}

static inline void give_body(struct world *world, struct job *job, struct buffer *body)
{
    ok(world, arena_copy(&job->arena, buffer_bytes(body), &job->body, &world->problem));
    buffer_done(body);
}

static inline void run_job(struct world *world, struct job *job)
{
    if (job_is_write(job->kind))
        ok(world,
           master_write(world->master, &job, 1, world->now, &world->outcome, &world->problem));
    else
        ok(world, master_read(world->reader, &job, 1, world->now, &world->problem));
    if (job->result != RESULT_OK)
        fail_msg("%s: %s", job_name(job->kind), job->problem.text);
}

static inline void adopt(struct world *world)
{
    struct job *job = make_job(world, JOB_ADOPT, NULL);

    run_job(world, job);
    job_destroy(job);
}

/* The next message of a job's frames, its body in the world's arena; type 0: none is left. */
static inline struct frame next_message(struct world *world, const struct job *job, size_t *index)
{
    struct frame_joiner joiner;
    struct frame frame = {0};
    struct bytes copy = {0};
    enum result result = RESULT_WAIT;

    if (*index == job->frame_count)
        return frame;
    frame_joiner_init(&joiner, LIMIT_BODY_SIZE_MAX);
    while (result == RESULT_WAIT && *index < job->frame_count) {
        const struct shared_frame *piece = job->frames[(*index)++];

        result = frame_join(&joiner, bytes_of(piece->bytes, piece->size), NULL, 0, &world->arena,
                            &frame, &world->problem);
    }
    ok(world, result);
    ok(world, arena_copy(&world->arena, frame.body, &copy, &world->problem));
    frame.body = copy;
    frame_joiner_done(&joiner);
    return frame;
}

/* ---- the device's side of a session ---- */

static inline const struct catalog *catalog_of(struct world *world, const struct side *side)
{
    return side->replica != NULL ? replica_wire(side->replica) : &world->catalog;
}

static inline void side_hears_rows(struct world *world, struct side *side, struct bytes body)
{
    struct message_rows rows = {0};

    ok(world,
       message_rows_decode(catalog_of(world, side), body, &world->arena, &rows, &world->problem));
    ok(world, replica_rows(side->replica, &rows, &world->problem));
}

static inline void side_hears_snapshot(struct world *world, struct side *side, struct bytes body)
{
    struct message_snapshot snapshot = {0};

    ok(world, message_snapshot_decode(catalog_of(world, side), body, &world->arena, &snapshot,
                                      &world->problem));
    for (size_t i = 0; i < snapshot.part_count; i++)
        ok(world, replica_rows(side->replica, &snapshot.parts[i], &world->problem));
}

static inline void side_hears(struct world *world, struct side *side, const struct frame *frame)
{
    struct message_subscribed subscribed = {0};
    struct message_gone gone = {0};
    struct message_ids ids = {0};
    struct message_publish publish = {0};
    struct replica_published published = {0};

    switch (frame->type) {
    case MESSAGE_SUBSCRIBED:
        ok(world,
           message_subscribed_decode(frame->body, &world->arena, &subscribed, &world->problem));
        ok(world, replica_subscribed(side->replica, &subscribed, &world->problem));
        break;
    case MESSAGE_ROWS:
        side_hears_rows(world, side, frame->body);
        break;
    case MESSAGE_SNAPSHOT:
        side_hears_snapshot(world, side, frame->body);
        break;
    case MESSAGE_GONE:
        ok(world, message_gone_decode(catalog_of(world, side), frame->body, &world->arena, &gone,
                                      &world->problem));
        ok(world, replica_gone(side->replica, &gone, &world->problem));
        break;
    case MESSAGE_IDS:
        ok(world, message_ids_decode(catalog_of(world, side), frame->body, &world->arena, &ids,
                                     &world->problem));
        ok(world, replica_ids(side->replica, &ids, &world->problem));
        break;
    case MESSAGE_PUBLISH:
        ok(world, message_publish_decode(frame->body, &world->arena, &publish, &world->problem));
        ok(world,
           replica_publish(side->replica, publish.head, world->now, &published, &world->problem));
        assert_int_equal(published.quarantined_count, 0);
        break;
    default:
        fail_msg("a feed with %s", message_name(frame->type));
    }
}

/* Takes everything that the master has for this device. */
static inline void side_pull(struct world *world, struct side *side)
{
    bool has_more = true;

    while (has_more) {
        struct job *job = make_job(world, JOB_FEED, side);
        struct frame frame;
        size_t index = 0;

        job->feed = side->feed;
        job->send_room = 1 << 20;
        run_job(world, job);
        for (frame = next_message(world, job, &index); frame.type != 0;
             frame = next_message(world, job, &index))
            side_hears(world, side, &frame);
        has_more = job->feed_has_more;
        job_destroy(job);
    }
}

static inline void pull_all(struct world *world)
{
    for (size_t i = 0; i < world->side_count; i++)
        if (world->sides[i].replica != NULL)
            side_pull(world, &world->sides[i]);
}

/* ---- enrolling ---- */

struct code_request {
    int64_t user_id;
    const uint8_t *seed;
    int64_t expires_at_us;
};

static inline enum result create_code(struct work *work, void *context, struct problem *problem)
{
    const struct code_request *code = context;
    const struct wall_time expires_at = {code->expires_at_us};

    return devices_create_code(work, code->user_id, 0, code->seed, expires_at, problem);
}

static inline void side_enrol(struct world *world, struct side *side)
{
    struct code_request code = {.user_id = side->user_id,
                                .seed = seed_of(world, DEVICES_CODE_SEED_SIZE),
                                .expires_at_us = world->now.us + MINUTES(15)};
    struct job *job = make_job(world, JOB_ENROL, NULL);
    struct message_enrol enrol = {.sign_public_key =
                                      bytes_of(side->keys.public_key, PUBLIC_KEY_SIZE),
                                  .device_name = bytes_of_text(side->name),
                                  .app_version = bytes_of_text("test"),
                                  .schema_version = world->catalog.schema_version,
                                  .device_time = world->now};
    struct message_enrolled enrolled = {0};
    struct buffer body;
    struct frame frame;
    size_t index = 0;

    noise_keypair_from(seed_of(world, NOISE_KEY_SIZE), &side->keys);
    ok(world,
       master_run(world->master, world->now, create_code, &code, &world->outcome, &world->problem));
    buffer_init(&body, 65536);
    ok(world, message_enrol_encode(&enrol, &body, &world->problem));
    give_body(world, job, &body);
    job->key = bytes_of(code.seed, DEVICES_TOKEN_ID_SIZE);
    job->static_key = bytes_of(side->keys.public_key, PUBLIC_KEY_SIZE);
    run_job(world, job);
    frame = next_message(world, job, &index);
    assert_int_equal(frame.type, MESSAGE_ENROLLED);
    ok(world, message_enrolled_decode(frame.body, &world->arena, &enrolled, &world->problem));
    side->replica_no = enrolled.replica_no;
    memcpy(side->token, enrolled.resume_token.data, TOKEN_SIZE);
    memcpy(side->psk, enrolled.psk.data, PSK_SIZE);
    if (side->replica != NULL)
        ok(world, replica_enrol(side->replica, &enrolled, &world->problem));
    job_destroy(job);
}

/* What the device says first in a session. */
static inline void encode_resume(struct world *world, struct side *side, struct buffer *body)
{
    struct message_resume resume = {.resume_token = bytes_of(side->token, TOKEN_SIZE),
                                    .incarnation = 1,
                                    .lcn_last = side->lcn,
                                    .schema_version = world->catalog.schema_version};

    if (side->replica != NULL)
        ok(world, replica_resume(side->replica, &world->arena, &resume, &world->problem));
    resume.device_time = world->now;
    resume.app_version = bytes_of_text("test");
    buffer_init(body, 65536);
    ok(world, message_resume_encode(&resume, body, &world->problem));
}

static inline void side_hears_welcome(struct world *world, struct side *side, struct bytes body)
{
    struct message_welcome welcome = {0};

    ok(world, message_welcome_decode(body, &world->arena, &welcome, &world->problem));
    memcpy(side->token, welcome.resume_token.data, TOKEN_SIZE);
    if (side->replica != NULL)
        ok(world, replica_welcome(side->replica, &welcome, world->now, &world->problem));
}

/* Scripts that the device lacks; they run when its replica is opened again. */
static inline void side_hears_schema(struct world *world, struct side *side,
                                     const struct frame *frame)
{
    struct message_schema schema = {0};

    assert_int_equal(frame->type, MESSAGE_SCHEMA);
    ok(world, message_schema_decode(frame->body, &world->arena, &schema, &world->problem));
    ok(world, replica_schema(side->replica, &schema, &side->has_scripts, &world->problem));
}

/* A session begins: RESUME and WELCOME. */
static inline void side_resume(struct world *world, struct side *side)
{
    struct job *job = make_job(world, JOB_RESUME, side);
    struct buffer body;
    struct frame frame;
    size_t index = 0;

    encode_resume(world, side, &body);
    give_body(world, job, &body);
    run_job(world, job);
    frame = next_message(world, job, &index);
    assert_int_equal(frame.type, MESSAGE_WELCOME);
    side_hears_welcome(world, side, frame.body);
    while ((frame = next_message(world, job, &index)).type != 0)
        side_hears_schema(world, side, &frame);
    feed_destroy(side->feed);
    side->feed = job->feed;
    job->feed = NULL;
    job_destroy(job);
}

static inline void copy_file(const char *from, const char *to)
{
    static uint8_t block[64 * 1024];
    FILE *source = fopen(from, "rb");
    FILE *target = fopen(to, "wb");
    size_t size = 0;

    assert_non_null(source);
    assert_non_null(target);
    while ((size = fread(block, 1, sizeof block, source)) > 0)
        assert_int_equal(fwrite(block, 1, size, target), size);
    assert_int_equal(fclose(source), 0);
    assert_int_equal(fclose(target), 0);
}

/* A new device of a user, enrolled and in a session; its replica is empty. */
static inline struct side *side_add(struct world *world, const char *name, int64_t user_id,
                                    bool has_replica)
{
    struct side *side = &world->sides[world->side_count];
    struct replica_options options = {.path = side->path,
                                      .extras = world->scripts,
                                      .extra_count = world->script_count,
                                      .trace = world->trace};
    struct sql_options other = {.path = side->path, .profile = SQL_PROFILE_AGENT};

    assert_true(world->side_count + 1 < SIDES_MAX);
    (void)snprintf(side->name, sizeof side->name, "%s", name);
    (void)snprintf(side->path, sizeof side->path, "%s",
                   text_of(world, "%s/%zu.db", world->folder, world->side_count));
    side->user_id = user_id;
    if (has_replica) {
        copy_file(world->blank_path, side->path);
        ok(world, replica_open(&options, &side->replica, &world->problem));
        ok(world, sql_open(&other, &side->other, &world->problem));
    }
    side_enrol(world, side);
    side_resume(world, side);
    world->side_count++;
    return side;
}

/* ---- up ---- */

struct answers {
    size_t change_count;
    size_t count;
    struct verdict verdicts[VERDICTS_MAX];
};

static inline void side_hears_verdict(struct world *world, struct side *side, struct bytes body,
                                      struct answers *answers)
{
    struct message_verdict verdict = {0};

    ok(world, message_verdict_decode(catalog_of(world, side), body, &world->arena, &verdict,
                                     &world->problem));
    assert_true(answers->count + verdict.exception_count <= VERDICTS_MAX);
    for (size_t i = 0; i < verdict.exception_count; i++)
        answers->verdicts[answers->count++] = verdict.exceptions[i];
    if (side->replica != NULL)
        ok(world, replica_verdict(side->replica, &verdict, world->now, &world->problem));
}

static inline void take_verdict(struct world *world, struct side *side, const struct job *job,
                                struct answers *answers)
{
    size_t index = 0;
    struct frame frame = next_message(world, job, &index);

    assert_int_equal(frame.type, MESSAGE_VERDICT);
    side_hears_verdict(world, side, frame.body, answers);
}

/* Seals what other programs wrote on the device, pushes it part by part and takes the verdict. */
static inline void side_push(struct world *world, struct side *side, size_t part_size,
                             struct answers *answers)
{
    const struct catalog *catalog = NULL;
    int64_t seal_no = 0;
    bool is_last = false;

    answers->count = answers->change_count = 0;
    ok(world, replica_seal(side->replica, world->now, &seal_no, &world->problem));
    ok(world, replica_next_seal(side->replica, 0, &seal_no, &world->problem));
    for (int64_t part_no = 0; seal_no != 0 && !is_last; part_no++) {
        struct job *job = make_job(world, JOB_PUSH, side);
        struct message_push push = {0};
        struct buffer body;

        ok(world, replica_push_part(side->replica, seal_no, part_no, part_size, &world->arena,
                                    &push, &world->problem));
        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        ok(world,
           replica_catalog_of(side->replica, push.schema_version, &catalog, &world->problem));
        ok(world, message_push_encode(catalog, &push, &body, &world->problem));
        give_body(world, job, &body);
        run_job(world, job);
        answers->change_count += push.change_count;
        is_last = push.is_last_part;
        if (is_last)
            take_verdict(world, side, job, answers);
        job_destroy(job);
    }
}

static inline int by_table_and_lcn(const void *left, const void *right)
{
    const struct change *a = left;
    const struct change *b = right;

    if (a->table_no != b->table_no)
        return a->table_no - b->table_no;
    return (a->lcn > b->lcn) - (a->lcn < b->lcn);
}

/* A seal of changes made by hand, numbered and chained as an agent would, by a catalog that may be
 * another one than the server's. */
static inline void encode_by_hand(struct world *world, const struct catalog *catalog,
                                  struct side *side, struct change *changes, size_t count,
                                  struct buffer *body)
{
    uint8_t previous[SEAL_DIGEST_SIZE];
    struct message_push push = {.incarnation = 1,
                                .seal_no = ++side->seal_no,
                                .is_last_part = true,
                                .lcn_first = side->lcn + 1,
                                .lcn_last = side->lcn + (int64_t)count,
                                .schema_version = world->catalog.schema_version,
                                .sealed_at = world->now,
                                .change_count = count,
                                .changes = changes};
    struct seal_digest_state state;

    for (size_t i = 0; i < count; i++)
        changes[i].lcn = ++side->lcn;
    qsort(changes, count, sizeof *changes, by_table_and_lcn);
    memcpy(previous, side->digest, sizeof previous);
    push.previous_digest = bytes_of(previous, sizeof previous);
    seal_digest_begin(&state, &push);
    ok(world, seal_digest_add(&state, catalog, &push, &world->problem));
    seal_digest_end(&state, side->digest);
    push.digest = bytes_of(side->digest, SEAL_DIGEST_SIZE);
    buffer_init(body, LIMIT_BODY_SIZE_MAX);
    ok(world, message_push_encode(catalog, &push, body, &world->problem));
}

static inline void push_by_hand(struct world *world, struct side *side, struct change *changes,
                                size_t count, struct answers *answers)
{
    struct job *job = make_job(world, JOB_PUSH, side);
    struct buffer body;

    encode_by_hand(world, &world->catalog, side, changes, count, &body);
    give_body(world, job, &body);
    run_job(world, job);
    answers->count = 0;
    answers->change_count = count;
    take_verdict(world, side, job, answers);
    job_destroy(job);
}

/* ---- the whole ---- */

static inline struct master *open_master(struct world *world, bool is_reader,
                                         const struct reaction *reactions)
{
    struct sqlite_store_options store_options = {.path = world->path, .is_reader = is_reader};
    struct master_options options = {.catalog = &world->catalog,
                                     .reactions = is_reader ? NULL : reactions};
    struct master *master = NULL;

    ok(world, sqlite_store_open(&store_options, &world->catalog, &options.store, &world->problem));
    if (!is_reader) {
        uint8_t seed[DEVICES_INIT_SEED_SIZE];

        memset(seed, 7, sizeof seed);
        ok(world, store_begin(options.store, STORE_WRITE, &world->problem));
        ok(world, devices_init(options.store, seed, &world->problem));
        ok(world, store_commit(options.store, &world->problem));
    }
    ok(world, master_create(&options, &master, &world->problem));
    return master;
}

static inline void make_blank_replica(struct world *world)
{
    struct replica_options options = {.path = world->blank_path};
    struct replica *replica = NULL;

    ok(world, replica_open(&options, &replica, &world->problem));
    replica_close(replica);
}

static inline struct world *world_create(const struct reaction *reactions)
{
    struct world *world = calloc(1, sizeof *world);
    struct sql_options options = {.profile = SQL_PROFILE_SERVER};

    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/fieldsync-sides-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->path, sizeof world->path, "%s/master.db", world->folder);
    (void)snprintf(world->blank_path, sizeof world->blank_path, "%s/blank.db", world->folder);
    arena_init(&world->catalog_arena, 8 << 20);
    arena_init(&world->arena, (size_t)1 << 30);
    world->now.us = SIDES_NOW_US;
    master_file_make(world->path);
    options.path = world->path;
    ok(world, sql_open(&options, &world->other, &world->problem));
    ok(world, catalog_load(world->other, &world->catalog_arena, &world->catalog, &world->problem));
    world->master = open_master(world, false, reactions);
    world->reader = open_master(world, true, NULL);
    make_blank_replica(world);
    return world;
}

static inline void world_destroy(struct world *world)
{
    char command[128];

    for (size_t i = 0; i < world->side_count; i++) {
        sql_close(world->sides[i].other);
        replica_close(world->sides[i].replica);
        feed_destroy(world->sides[i].feed);
    }
    master_destroy(world->reader);
    master_destroy(world->master);
    sql_close(world->other);
    arena_done(&world->arena);
    arena_done(&world->catalog_arena);
    (void)snprintf(command, sizeof command, "rm -rf %s", world->folder);
    assert_int_equal(system(command), 0);
    free(world);
}

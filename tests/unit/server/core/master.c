/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, parts of a seal, digests and repairs, attachments. */
#include "tests/unit/server/core/master_kit.h" /* first: it asks for POSIX */

#include "base/invariant.h"
#include "schema/canonical.h"
#include "server/core/feed.h"

/* ---- large seals ---- */

/* A seal in three parts of one note each. */
static void make_parts(struct world *world, struct job *jobs[3])
{
    struct kit_device *sender = &world->devices[ANNA];
    static const uint8_t zeros[SEAL_DIGEST_SIZE] = {0};
    uint8_t digest[SEAL_DIGEST_SIZE];
    struct message_push parts[3];
    struct change changes[3];
    struct seal_digest_state state;

    for (int i = 0; i < 3; i++) {
        changes[i] = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world),
                                 KIT_NOW_US, FIELDS(N("site_id", 10), N("b", i)));
        changes[i].lcn = ++sender->lcn;
        parts[i] = (struct message_push){.incarnation = 1,
                                         .seal_no = 1,
                                         .part_no = i,
                                         .is_last_part = i == 2,
                                         .lcn_first = 1,
                                         .lcn_last = 3,
                                         .schema_version = world->catalog.schema_version,
                                         .sealed_at = world->now,
                                         .previous_digest = bytes_of(zeros, sizeof zeros),
                                         .change_count = 1,
                                         .changes = &changes[i]};
    }
    seal_digest_begin(&state, &parts[0]);
    for (int i = 0; i < 3; i++)
        kit_ok(world, seal_digest_add(&state, &world->catalog, &parts[i], &world->problem));
    seal_digest_end(&state, digest);
    for (int i = 0; i < 3; i++) {
        struct buffer body;

        parts[i].digest = bytes_of(digest, sizeof digest);
        jobs[i] = make_job(world, JOB_PUSH, ANNA);
        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        kit_ok(world, message_push_encode(&world->catalog, &parts[i], &body, &world->problem));
        kit_ok(world,
               arena_copy(&jobs[i]->arena, buffer_bytes(&body), &jobs[i]->body, &world->problem));
        buffer_done(&body);
    }
}

static void a_seal_in_parts_appears_with_its_last_part(void **state)
{
    struct world *world = *state;
    struct job *jobs[3];

    make_parts(world, jobs);
    for (int i = 0; i < 2; i++) {
        write_job(world, jobs[i]);
        assert_int_equal(jobs[i]->result, RESULT_OK);
        assert_int_equal(jobs[i]->frame_count, 0);
        assert_int_equal(integer(world, "SELECT count(*) FROM note"), 0);
    }
    write_job(world, jobs[2]);
    assert_int_equal(verdict_of(world, jobs[2]).lcn_high, 3);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 3);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_push_part"), 0);
    for (int i = 0; i < 3; i++)
        job_destroy(jobs[i]);
}

static void a_seal_with_a_missing_part_is_sent_again(void **state)
{
    struct world *world = *state;
    struct job *jobs[3];

    make_parts(world, jobs);
    write_job(world, jobs[0]);
    write_job(world, jobs[2]);
    assert_int_equal(jobs[2]->result, RESULT_REFUSED);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 0);
    for (int i = 0; i < 3; i++)
        write_job(world, jobs[i]);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 3);
    for (int i = 0; i < 3; i++)
        job_destroy(jobs[i]);
}

static void a_part_that_was_changed_on_the_way_spoils_the_seal(void **state)
{
    struct world *world = *state;
    struct job *jobs[3];
    struct bytes first;

    make_parts(world, jobs);
    first = jobs[0]->body;
    jobs[0]->body = jobs[1]->body; /* part 1 twice */
    write_job(world, jobs[0]);
    jobs[0]->body = first;
    write_job(world, jobs[2]);
    assert_int_equal(jobs[2]->result, RESULT_REFUSED);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 0);
    for (int i = 0; i < 3; i++)
        job_destroy(jobs[i]);
}

/* ---- digests and repairs ---- */

static struct job *digest_job(struct world *world, int64_t seq, int64_t bucket,
                              const uint8_t *digest)
{
    struct bucket_digest one = {.bucket = bucket};
    const struct message_digest message = {.head = seq, .count = 1, .digests = &one};
    struct job *job = make_job(world, JOB_DIGEST, ANNA);
    struct buffer body;

    memcpy(one.digest, digest, ROW_DIGEST_SIZE);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    kit_ok(world, message_digest_encode(&message, &body, &world->problem));
    kit_ok(world, arena_copy(&job->arena, buffer_bytes(&body), &job->body, &world->problem));
    buffer_done(&body);
    return job;
}

static void stored_digest(struct world *world, int64_t bucket, uint8_t *ret_digest)
{
    struct sql_statement *statement = NULL;
    struct value value;
    bool has_row = false;

    kit_ok(world, sql_prepare(world->other, "SELECT digest FROM fs_bucket WHERE bucket=?1",
                              &statement, &world->problem));
    kit_ok(world, sql_bind_integer(statement, 1, bucket, &world->problem));
    kit_ok(world, sql_step(statement, &has_row, &world->problem));
    assert_true(has_row);
    value = sql_column(statement, 0);
    assert_int_equal(value.bytes.size, ROW_DIGEST_SIZE);
    memcpy(ret_digest, value.bytes.data, ROW_DIGEST_SIZE);
    sql_release(statement);
}

static void a_bucket_that_agrees_is_not_mentioned(void **state)
{
    struct world *world = *state;
    uint8_t digest[ROW_DIGEST_SIZE];
    struct job *job = NULL;

    office(world, "INSERT INTO note(id, site_id) VALUES (1,10),(2,10)");
    stored_digest(world, SITE(10), digest);
    job = digest_job(world, head(world), SITE(10), digest);
    read_job(world, job);
    assert_int_equal(job->result, RESULT_OK);
    assert_int_equal(job->frame_count, 0);
    job_destroy(job);
}

static void a_bucket_that_differs_is_narrowed_down_and_repaired(void **state)
{
    struct world *world = *state;
    static const uint8_t wrong[ROW_DIGEST_SIZE] = {1};
    uint8_t sum[ROW_DIGEST_SIZE] = {0};
    uint8_t digest[ROW_DIGEST_SIZE];
    struct message_digest_differs differs = {0};
    struct message_rows rows = {0};
    const uint8_t part = 2;
    const struct message_repair repair = {.bucket = SITE(10), .part_count = 1, .parts = &part};
    struct job *job = NULL;
    struct frame frame;
    struct buffer body;
    size_t index = 0;

    office(world, "INSERT INTO note(id, site_id, a) VALUES (1,10,'one'),(2,10,'two')");
    job = digest_job(world, head(world), SITE(10), wrong);
    read_job(world, job);
    frame = body_at(world, job, &index);
    assert_int_equal(frame.type, MESSAGE_DIGEST_DIFFERS);
    kit_ok(world,
           message_digest_differs_decode(frame.body, &world->arena, &differs, &world->problem));
    assert_int_equal(differs.count, 1);
    for (int i = 0; i < REPAIR_PARTS; i++)
        digest_add(sum, differs.buckets[0].parts + i * ROW_DIGEST_SIZE);
    stored_digest(world, SITE(10), digest);
    assert_memory_equal(sum, digest, sizeof sum);
    job_destroy(job);

    job = make_job(world, JOB_REPAIR, ANNA);
    buffer_init(&body, 65536);
    kit_ok(world, message_repair_encode(&repair, &body, &world->problem));
    job->body = buffer_bytes(&body);
    read_job(world, job);
    index = 0;
    frame = body_at(world, job, &index);
    kit_ok(world,
           message_rows_decode(&world->catalog, frame.body, &world->arena, &rows, &world->problem));
    assert_true(rows.is_repair);
    assert_int_equal(rows.row_count, 1);
    assert_int_equal(rows.rows[0].row_id, 2);
    job_destroy(job);
    buffer_done(&body);
}

static void a_foreign_bucket_is_passed_over_in_silence(void **state)
{
    struct world *world = *state;
    static const uint8_t wrong[ROW_DIGEST_SIZE] = {1};
    struct job *job = NULL;

    office(world, "INSERT INTO note(id, site_id) VALUES (1,30)");
    job = digest_job(world, head(world), SITE(30), wrong);
    read_job(world, job);
    assert_int_equal(job->result, RESULT_OK);
    assert_int_equal(job->frame_count, 0);
    job_destroy(job);
}

static void a_bucket_that_changed_since_waits_for_the_feed(void **state)
{
    struct world *world = *state;
    static const uint8_t wrong[ROW_DIGEST_SIZE] = {1};
    int64_t seen = head(world);
    struct job *job = NULL;

    office(world, "INSERT INTO note(id, site_id) VALUES (1,10)");
    job = digest_job(world, seen, SITE(10), wrong);
    read_job(world, job);
    assert_int_equal(job->frame_count, 0);
    job_destroy(job);
}

static void every_digest_of_the_master_is_the_sum_of_its_rows(void **state)
{
    struct world *world = *state;

    office(world, "INSERT INTO note(id, site_id) VALUES (1,10),(2,10),(3,20)");
    office(world, "UPDATE note SET site_id=20 WHERE id=1; DELETE FROM note WHERE id=2");
    (void)push_one(world, ANNA, "note", CHANGE_DELETE, 3, head(world), KIT_NOW_US, NULL);
    (void)push_one(world, ANNA, "note", CHANGE_UPDATE, 1, head(world), KIT_NOW_US,
                   FIELDS(T("a", "x")));
    for (int64_t site = 10; site <= 20; site += 10) {
        struct store *store = master_store(world->reader);
        uint8_t sum[ROW_DIGEST_SIZE] = {0};
        uint8_t digest[ROW_DIGEST_SIZE];

        kit_ok(world, store_begin(store, STORE_READ, &world->problem));
        for (size_t t = 1; t < world->catalog.table_count; t++) {
            struct stored_row *rows = NULL;
            size_t count = 0;

            if (world->catalog.tables[t].name == NULL)
                continue;
            kit_ok(world, store_page(store, &world->catalog.tables[t], SITE(site), 0, INT64_MAX,
                                     1000, &world->arena, &rows, &count, &world->problem));
            for (size_t i = 0; i < count; i++)
                digest_add(sum, rows[i].hash);
        }
        store_rollback(store);
        stored_digest(world, SITE(site), digest);
        assert_memory_equal(sum, digest, sizeof sum);
    }
}

/* ---- attachments ---- */

/* One blob in memory behind the interface. */
struct memory_blobs {
    struct blob_store store;
    uint8_t data[256];
    int64_t size;
    bool is_whole;
    bool is_hash_wrong;
};

static enum result memory_status(struct blob_store *store, const uint8_t *hash, int64_t *ret_size,
                                 bool *ret_is_whole, struct problem *problem)
{
    const struct memory_blobs *blobs = (const struct memory_blobs *)store;

    (void)hash;
    (void)problem;
    *ret_size = blobs->size;
    *ret_is_whole = blobs->is_whole;
    return RESULT_OK;
}

static enum result memory_append(struct blob_store *store, const uint8_t *hash, int64_t offset,
                                 struct bytes data, bool is_last, struct problem *problem)
{
    struct memory_blobs *blobs = (struct memory_blobs *)store;

    (void)hash;
    invariant(offset == blobs->size && offset + (int64_t)data.size <= 256);
    memcpy(blobs->data + offset, data.data, data.size);
    blobs->size += (int64_t)data.size;
    if (is_last && blobs->is_hash_wrong) {
        blobs->size = 0;
        return problem_set(problem, RESULT_REFUSED, "wrong hash");
    }
    blobs->is_whole = is_last;
    return RESULT_OK;
}

static enum result memory_read(struct blob_store *store, const uint8_t *hash, int64_t offset,
                               uint8_t *memory, size_t size_max, size_t *ret_size,
                               struct problem *problem)
{
    const struct memory_blobs *blobs = (const struct memory_blobs *)store;

    (void)hash;
    (void)problem;
    *ret_size =
        (size_t)(blobs->size - offset) < size_max ? (size_t)(blobs->size - offset) : size_max;
    memcpy(memory, blobs->data + offset, *ret_size);
    return RESULT_OK;
}

static const struct blob_store_operations MEMORY_OPERATIONS = {
    .status = memory_status, .append = memory_append, .read = memory_read};

/* Asks the reader and returns the type and the message of its only frame; 0: none. */
static int exchange(struct world *world, struct master *reader, enum message_type type,
                    int64_t offset, int64_t size, const char *data, struct message_blob *ret_answer)
{
    uint8_t hash[BLOB_HASH_SIZE];
    struct message_blob message = {.offset = offset, .size = size, .data = bytes_of_text(data)};
    struct job *job = make_job(world, JOB_BLOB, BRUNO);
    struct frame frame = {0};
    struct buffer body;
    size_t index = 0;

    memset(hash, 0xab, sizeof hash);
    message.hash = bytes_of(hash, sizeof hash);
    buffer_init(&body, 65536);
    kit_ok(world, message_blob_encode(&message, &body, &world->problem));
    job->body = buffer_bytes(&body);
    job->message = (uint8_t)type;
    job->send_room = 65536;
    kit_ok(world, master_read(reader, &job, 1, world->now, &world->problem));
    if (job->frame_count > 0) {
        frame = body_at(world, job, &index);
        kit_ok(world, message_blob_decode(frame.body, &world->arena, ret_answer, &world->problem));
    }
    job_destroy(job);
    buffer_done(&body);
    return frame.type;
}

static void an_attachment_travels_in_parts_to_whom_it_belongs(void **state)
{
    struct world *world = *state;
    struct sqlite_store_options store_options = {.path = world->path, .is_reader = true};
    struct memory_blobs blobs = {.store = {.operations = &MEMORY_OPERATIONS}};
    struct master_options options = {.catalog = &world->catalog, .blobs = &blobs.store};
    struct master *reader = NULL;
    struct message_blob answer = {0};

    kit_ok(world,
           sqlite_store_open(&store_options, &world->catalog, &options.store, &world->problem));
    kit_ok(world, master_create(&options, &reader, &world->problem));
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_HAVE, 0, 10, "", &answer), 0);
    office(world, "INSERT INTO call(id, channel, party_id, site_id, subject, opened_at)"
                  " VALUES (1,'phone',5,10,'broken',1);"
                  "INSERT INTO attachment(id, call_id, name, mime_type, size_n, content_hash,"
                  " created_at, by_id) VALUES (1,1,'a.jpg','image/jpeg',10,"
                  " replace(hex(zeroblob(32)),'00','ab'),1,1)");
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_HAVE, 0, 10, "", &answer),
                     MESSAGE_BLOB_WANT);
    assert_int_equal(answer.offset, 0);
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_PART, 0, 10, "01234", &answer), 0);
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_PART, 9, 10, "x", &answer),
                     MESSAGE_BLOB_WANT);
    assert_int_equal(answer.offset, 5); /* goes on where it stands */
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_WANT, 0, 0, "", &answer),
                     MESSAGE_BLOB_HAVE);
    assert_int_equal(answer.size, 0); /* not whole yet: not to be had */
    blobs.size = 10; /* all came, and the server was killed before it checked the hash */
    blobs.is_hash_wrong = true;
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_HAVE, 0, 10, "", &answer),
                     MESSAGE_BLOB_WANT);
    assert_int_equal(answer.offset, 0);
    blobs = (struct memory_blobs){.store = blobs.store, .size = 10};
    memcpy(blobs.data, "0123456789", 10);
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_HAVE, 0, 10, "", &answer),
                     MESSAGE_BLOB_HAVE);
    assert_true(blobs.is_whole);
    blobs = (struct memory_blobs){.store = blobs.store, .size = 5};
    memcpy(blobs.data, "01234", 5);
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_PART, 5, 10, "56789", &answer),
                     MESSAGE_BLOB_HAVE);
    assert_int_equal(answer.size, 10);
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_WANT, 4, 7, "", &answer),
                     MESSAGE_BLOB_PART);
    assert_true(bytes_equal(answer.data, bytes_of_text("456"))); /* no further than asked */
    assert_int_equal(answer.size, 10);
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_WANT, 4, 99, "", &answer),
                     MESSAGE_BLOB_PART);
    assert_true(bytes_equal(answer.data, bytes_of_text("456789")));
    office(world, "UPDATE call SET site_id=30 WHERE id=1"); /* away from Bruno */
    assert_int_equal(exchange(world, reader, MESSAGE_BLOB_WANT, 4, 0, "", &answer),
                     MESSAGE_BLOB_HAVE);
    assert_int_equal(answer.size, 0);
    master_destroy(reader);
}

/* ---- groups ---- */

static enum result fail_halfway(struct work *work, void *context, struct problem *problem)
{
    const struct author author = {.edited_at = work_now(work)};
    const struct work_field fields[] = {
        {"kind", value_text_of("customer")}, {"name", value_text_of("half")}, {NULL, value_null()}};
    enum result result = work_insert_fields(work, "party", fields, &author, NULL, problem);

    (void)context;
    return result == RESULT_OK ? problem_set(problem, RESULT_REFUSED, "changed its mind") : result;
}

static void an_action_that_fails_leaves_nothing(void **state)
{
    struct world *world = *state;
    int64_t seq = head(world);

    assert_int_equal(
        master_run(world->master, world->now, fail_halfway, NULL, &world->outcome, &world->problem),
        RESULT_REFUSED);
    assert_int_equal(world->outcome.work.seq, 0);
    assert_int_equal(head(world), seq);
    assert_int_equal(integer(world, "SELECT count(*) FROM party WHERE name='half'"), 0);
    adopt(world); /* and the master goes on */
}

static void a_locked_database_makes_the_group_wait(void **state)
{
    struct world *world = *state;
    struct change change = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA),
                                       head(world), KIT_NOW_US, FIELDS(N("site_id", 10)));
    struct job *job = seal_job(world, ANNA, &change, 1);

    sql(world, "BEGIN IMMEDIATE");
    assert_int_equal(
        master_write(world->master, &job, 1, world->now, &world->outcome, &world->problem),
        RESULT_WAIT);
    assert_int_equal(job->result, RESULT_WAIT);
    assert_int_equal(job->frame_count, 0);
    sql(world, "COMMIT");
    world->problem = (struct problem){0};
    write_job(world, job);
    (void)verdict_of(world, job);
    job_destroy(job);
}

static void the_outcome_says_whom_to_wake(void **state)
{
    struct world *world = *state;
    struct change change = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA),
                                       head(world), KIT_NOW_US, FIELDS(N("site_id", 10)));
    int64_t before = head(world);

    (void)push(world, ANNA, &change, 1);
    assert_int_equal(world->outcome.work.touched_count, 1);
    assert_int_equal(world->outcome.work.touched[0].bucket, SITE(10));
    assert_true(world->outcome.work.touched[0].seq_before <= before);
    assert_int_equal(world->outcome.work.touched[0].seq, before + 1); /* I1: no gaps */
    assert_int_equal(world->outcome.work.touched[0].only_replica_no, 1);
    assert_int_equal(world->outcome.work.seq, before + 1);
}

static enum result answer_head(struct store *store, struct job *job, struct problem *problem)
{
    struct store_result found = {0};
    enum result result = store_query(store, "SELECT number FROM fs_state WHERE name='seq'", NULL, 0,
                                     &job->arena, &found, problem);

    *(int64_t *)job->context = store_integer_at(&found, 0, 0, -1);
    return result;
}

static enum result act_and_agree(struct work *work, struct job *job, struct problem *problem)
{
    ++*(int *)job->context;
    return work_execute(work, "INSERT INTO fs_audit(occurred_at, event) VALUES(1, 'agreed')", NULL,
                        0, problem);
}

static enum result act_and_refuse(struct work *work, struct job *job, struct problem *problem)
{
    enum result result = work_execute(
        work, "INSERT INTO fs_audit(occurred_at, event) VALUES(1, 'refused')", NULL, 0, problem);

    (void)job;
    return result == RESULT_OK ? problem_set(problem, RESULT_REFUSED, "not today") : result;
}

/* What pages ask and do goes the same ways as what devices send, and harms it as little. */
static void what_a_page_does_is_undone_alone(void **state)
{
    struct world *world = *state;
    int agreed = 0;
    int64_t found = 0;
    struct job *jobs[] = {make_job(world, JOB_ACT, ANNA), make_job(world, JOB_ACT, ANNA),
                          make_job(world, JOB_ACT, ANNA)};
    struct job *question = make_job(world, JOB_ASK, ANNA);

    jobs[0]->act = jobs[2]->act = act_and_agree;
    jobs[0]->context = jobs[2]->context = &agreed;
    jobs[1]->act = act_and_refuse;
    kit_ok(world,
           master_write(world->master, jobs, 3, world->now, &world->outcome, &world->problem));
    assert_int_equal(jobs[0]->result, RESULT_OK);
    assert_int_equal(jobs[1]->result, RESULT_REFUSED);
    assert_non_null(strstr(jobs[1]->problem.text, "not today"));
    assert_int_equal(jobs[2]->result, RESULT_OK);
    assert_int_equal(agreed, 2);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='agreed'"), 2);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='refused'"), 0);
    question->ask = answer_head;
    question->context = &found;
    read_job(world, question);
    assert_int_equal(found, head(world));
    for (size_t i = 0; i < 3; i++)
        job_destroy(jobs[i]);
    job_destroy(question);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_seal_in_parts_appears_with_its_last_part),
        STORY(a_seal_with_a_missing_part_is_sent_again),
        STORY(a_part_that_was_changed_on_the_way_spoils_the_seal),
        STORY(a_bucket_that_agrees_is_not_mentioned),
        STORY(a_bucket_that_differs_is_narrowed_down_and_repaired),
        STORY(a_foreign_bucket_is_passed_over_in_silence),
        STORY(a_bucket_that_changed_since_waits_for_the_feed),
        STORY(every_digest_of_the_master_is_the_sum_of_its_rows),
        STORY(an_attachment_travels_in_parts_to_whom_it_belongs),
        STORY(an_action_that_fails_leaves_nothing),
        STORY(a_locked_database_makes_the_group_wait),
        STORY(the_outcome_says_whom_to_wake),
        STORY(what_a_page_does_is_undone_alone),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}

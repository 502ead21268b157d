/* SPDX-License-Identifier: Apache-2.0 */
/* Codes, replicas, resume tokens. */
#include "tests/unit/server/core/master_kit.h" /* first: it asks for POSIX */

#include "server/core/copies.h"
#include "server/core/feed.h"

enum { CARLA = 0 }; /* a device that isn't enrolled yet */

static struct job *resume_job(struct world *world, int device, const uint8_t *token)
{
    struct job *job = make_job(world, JOB_RESUME, device);
    struct message_resume resume = {.resume_token = token == NULL ? (struct bytes){0}
                                                                  : bytes_of(token, TOKEN_SIZE),
                                    .incarnation = 1,
                                    .schema_version = world->catalog.schema_version,
                                    .device_time = {world->now.us - 5000000},
                                    .app_version = bytes_of_text("0.1")};
    struct buffer body;

    buffer_init(&body, 65536);
    kit_ok(world, message_resume_encode(&resume, &body, &world->problem));
    kit_ok(world, arena_copy(&job->arena, buffer_bytes(&body), &job->body, &world->problem));
    buffer_done(&body);
    return job;
}

/* Comes back with this token; the new one, if it was let in, goes to ret_token. */
static enum result resume(struct world *world, int device, const uint8_t *token, uint8_t *ret_token)
{
    struct job *job = resume_job(world, device, token);
    enum result result;

    write_job(world, job);
    result = job->result;
    if (result == RESULT_OK) {
        size_t index = 0;
        struct frame frame = body_at(world, job, &index);
        struct message_welcome welcome = {0};

        assert_int_equal(frame.type, MESSAGE_WELCOME);
        kit_ok(world, message_welcome_decode(frame.body, &world->arena, &welcome, &world->problem));
        memcpy(ret_token, welcome.resume_token.data, TOKEN_SIZE);
        assert_int_equal(welcome.head, head(world));
        assert_non_null(job->feed);
        feed_destroy(job->feed);
        job->feed = NULL;
    } else {
        assert_int_equal(job->frame_count, 0);
        assert_null(job->feed);
    }
    job_destroy(job);
    return result;
}

static void an_enrolled_device_has_a_row_a_series_and_a_subscription(void **state)
{
    struct world *world = *state;

    expect_text(world, "SELECT series FROM device WHERE user_id=1", "T01");
    assert_int_equal(
        integer(world, "SELECT count(*) FROM number_series WHERE prefix='T01' AND user_id=1"), 5);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_entitlement WHERE user_id=1"
                                    " AND to_seq IS NULL"),
                     4); /* shared, own, two sites */
}

static void a_code_is_good_for_one_device_only(void **state)
{
    struct world *world = *state;
    const uint8_t *token_id = make_code(world, ANNA, MINUTES(15));
    struct job *first = NULL;
    struct job *again = NULL;
    struct job *thief = NULL;

    memset(world->devices[CARLA].key, 0x60, PUBLIC_KEY_SIZE);
    first = enrol_job(world, CARLA, token_id);
    write_job(world, first);
    assert_int_equal(first->result, RESULT_OK);
    assert_int_equal(first->replica_no, 3);
    again = enrol_job(world, CARLA, token_id); /* its answer was lost */
    write_job(world, again);
    assert_int_equal(again->result, RESULT_OK);
    assert_int_equal(again->replica_no, 3);
    {
        size_t a = 0;
        size_t b = 0;
        struct frame one = body_at(world, first, &a);
        struct frame two = body_at(world, again, &b);

        assert_true(bytes_equal(one.body, two.body));
    }
    memset(world->devices[CARLA].key, 0x61, PUBLIC_KEY_SIZE);
    thief = enrol_job(world, CARLA, token_id);
    write_job(world, thief);
    assert_int_equal(thief->result, RESULT_REFUSED);
    assert_int_equal(thief->frame_count, 0);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_replica"), 3);
    job_destroy(first);
    job_destroy(again);
    job_destroy(thief);
}

static void a_code_dies_with_its_time(void **state)
{
    struct world *world = *state;
    const uint8_t *token_id = make_code(world, ANNA, MINUTES(15));
    struct job *known = make_job(world, JOB_AUTHENTICATE, CARLA);
    struct job *job = NULL;
    struct job *rescope = NULL;

    known->is_enrolment = true;
    known->key = bytes_of(token_id, DEVICES_TOKEN_ID_SIZE);
    read_job(world, known);
    assert_true(known->is_known);
    assert_memory_equal(known->psk, token_id + DEVICES_TOKEN_ID_SIZE, PSK_SIZE);
    world->now.us += MINUTES(15) + 1;
    known->is_known = false;
    read_job(world, known);
    assert_false(known->is_known);
    job = enrol_job(world, CARLA, token_id);
    write_job(world, job);
    assert_int_equal(job->result, RESULT_REFUSED);
    rescope = make_job(world, JOB_RESCOPE, ANNA);
    write_job(world, rescope);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_enrolment WHERE secret IS NOT NULL"),
                     0);
    job_destroy(known);
    job_destroy(job);
    job_destroy(rescope);
}

static void a_key_nobody_knows_is_not_known(void **state)
{
    struct world *world = *state;
    struct job *job = make_job(world, JOB_AUTHENTICATE, CARLA);
    uint8_t key[PUBLIC_KEY_SIZE] = {1};

    job->key = bytes_of(key, sizeof key);
    read_job(world, job);
    assert_int_equal(job->result, RESULT_OK);
    assert_false(job->is_known);
    memset(key, 0x40 + ANNA, sizeof key);
    read_job(world, job);
    assert_true(job->is_known);
    assert_int_equal(job->replica_no, 1);
    assert_int_equal(job->user_id, ANNA);
    assert_int_equal(job->state, REPLICA_ACTIVE);
    job_destroy(job);
}

static void each_session_has_a_new_token(void **state)
{
    struct world *world = *state;
    uint8_t second[TOKEN_SIZE];
    uint8_t third[TOKEN_SIZE];

    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, second), RESULT_OK);
    assert_memory_not_equal(second, world->devices[ANNA].token, TOKEN_SIZE);
    assert_int_equal(resume(world, ANNA, second, third), RESULT_OK);
    assert_int_equal(integer(world, "SELECT clock_offset_us FROM fs_replica WHERE replica_no=1"),
                     5000000);
}

static void a_lost_answer_is_no_alarm(void **state)
{
    struct world *world = *state;
    uint8_t lost[TOKEN_SIZE];
    uint8_t next[TOKEN_SIZE];
    uint8_t last[TOKEN_SIZE];

    for (int i = 0; i < 5; i++) /* WELCOME never arrives */
        assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, lost), RESULT_OK);
    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, next), RESULT_OK);
    assert_int_equal(resume(world, ANNA, next, last), RESULT_OK);
}

static void an_old_token_holds_the_replica(void **state)
{
    struct world *world = *state;
    uint8_t second[TOKEN_SIZE];
    uint8_t third[TOKEN_SIZE];
    uint8_t fourth[TOKEN_SIZE];

    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, second), RESULT_OK);
    assert_int_equal(resume(world, ANNA, second, third), RESULT_OK);
    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, fourth), RESULT_REFUSED);
    expect_text(world, "SELECT state FROM fs_replica WHERE replica_no=1", "held");
    assert_int_equal(resume(world, ANNA, third, fourth), RESULT_REFUSED); /* nobody until ... */
}

static void the_previous_token_after_work_with_the_current_one_is_a_copy(void **state)
{
    struct world *world = *state;
    uint8_t second[TOKEN_SIZE];
    uint8_t third[TOKEN_SIZE];
    struct job *receipt = make_job(world, JOB_RECEIPT, ANNA);

    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, second), RESULT_OK);
    receipt->seq = 3;
    write_job(world, receipt); /* so WELCOME had arrived */
    job_destroy(receipt);
    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, third), RESULT_REFUSED);
    expect_text(world, "SELECT state FROM fs_replica WHERE replica_no=1", "held");
}

static enum result release(struct work *work, void *context, struct problem *problem)
{
    bool goes_on = false;

    return copies_choose(work, *(const int64_t *)context, 0, &goes_on, problem);
}

static enum result revoke(struct work *work, void *context, struct problem *problem)
{
    return devices_revoke(work, *(const int64_t *)context, true, problem);
}

static void a_released_copy_may_go_on(void **state)
{
    struct world *world = *state;
    uint8_t token[TOKEN_SIZE] = {9};
    int64_t replica_no = 1;

    assert_int_equal(resume(world, ANNA, token, token), RESULT_REFUSED);
    kit_ok(world, master_run(world->master, world->now, release, &replica_no, &world->outcome,
                             &world->problem));
    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, token), RESULT_OK);
    assert_int_equal(master_run(world->master, world->now, release, &replica_no, &world->outcome,
                                &world->problem),
                     RESULT_REFUSED);
}

static void a_revoked_device_is_told_so_and_nothing_else(void **state)
{
    struct world *world = *state;
    struct job *job = make_job(world, JOB_AUTHENTICATE, CARLA);
    int64_t replica_no = 1;
    uint8_t token[TOKEN_SIZE];

    kit_ok(world, master_run(world->master, world->now, revoke, &replica_no, &world->outcome,
                             &world->problem));
    job->key = bytes_of(world->devices[ANNA].key, PUBLIC_KEY_SIZE);
    read_job(world, job);
    assert_true(job->is_known);
    assert_int_equal(job->state, REPLICA_REVOKED);
    assert_true(job->wipe);
    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, token), RESULT_REFUSED);
    assert_int_equal(integer(world, "SELECT revoked_at FROM device WHERE user_id=1"), KIT_NOW_US);
    job_destroy(job);
}

static void a_device_revoked_by_plain_sql_is_revoked(void **state)
{
    struct world *world = *state;

    office(world, "UPDATE device SET revoked_at=1 WHERE user_id=2");
    assert_int_equal(world->outcome.revoked_count, 1);
    assert_int_equal(world->outcome.revoked[0], 2);
}

static void a_restore_starts_an_epoch_and_forgets_tokens(void **state)
{
    struct world *world = *state;
    struct store *store = master_store(world->master);
    uint8_t epoch[EPOCH_SIZE] = {5};
    uint8_t token[TOKEN_SIZE] = {77};
    int64_t seq = head(world);

    kit_ok(world, store_begin(store, STORE_WRITE, &world->problem));
    kit_ok(world, devices_restored(store, epoch, &world->problem));
    kit_ok(world, store_commit(store, &world->problem));
    assert_int_equal(head(world), seq + (1 << 24));
    assert_int_equal(integer(world, "SELECT id>(1<<24) FROM new_id"), 1);
    assert_int_equal(resume(world, ANNA, token, token), RESULT_OK);
}

static void a_code_for_nobody_is_refused(void **state)
{
    struct world *world = *state;
    struct kit_code code = {.user_id = 99,
                            .seed = kit_seed(world, DEVICES_CODE_SEED_SIZE),
                            .expires_at_us = world->now.us + 1};

    assert_int_equal(master_run(world->master, world->now, kit_create_code, &code, &world->outcome,
                                &world->problem),
                     RESULT_REFUSED);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(an_enrolled_device_has_a_row_a_series_and_a_subscription),
        STORY(a_code_is_good_for_one_device_only),
        STORY(a_code_dies_with_its_time),
        STORY(a_key_nobody_knows_is_not_known),
        STORY(each_session_has_a_new_token),
        STORY(a_lost_answer_is_no_alarm),
        STORY(an_old_token_holds_the_replica),
        STORY(the_previous_token_after_work_with_the_current_one_is_a_copy),
        STORY(a_released_copy_may_go_on),
        STORY(a_revoked_device_is_told_so_and_nothing_else),
        STORY(a_device_revoked_by_plain_sql_is_revoked),
        STORY(a_restore_starts_an_epoch_and_forgets_tokens),
        STORY(a_code_for_nobody_is_refused),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}

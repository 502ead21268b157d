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

/* The first frame of a session that was let in; POLICY before it, if there is one. */
static struct frame welcome_of(struct world *world, const struct job *job, int64_t *ret_lease_s)
{
    size_t index = 0;
    struct frame frame = body_at(world, job, &index);
    struct message_policy policy = {.lease_s = -1};

    if (frame.type == MESSAGE_POLICY) {
        kit_ok(world, message_policy_decode(frame.body, &world->arena, &policy, &world->problem));
        frame = body_at(world, job, &index);
    }
    *ret_lease_s = policy.lease_s;
    return frame;
}

/* Comes back with this token; the new one, if it was let in, goes to ret_token, and what it was
 * told of its lease, -1 for nothing. */
static enum result resume_with_lease(struct world *world, int device, const uint8_t *token,
                                     uint8_t *ret_token, int64_t *ret_lease_s)
{
    struct job *job = resume_job(world, device, token);
    enum result result;

    write_job(world, job);
    result = job->result;
    if (result == RESULT_OK) {
        struct frame frame = welcome_of(world, job, ret_lease_s);
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

static enum result resume(struct world *world, int device, const uint8_t *token, uint8_t *ret_token)
{
    int64_t lease_s = 0;

    return resume_with_lease(world, device, token, ret_token, &lease_s);
}

/* What a session with this token says of the lease. */
static int64_t told_lease(struct world *world, const uint8_t *token, uint8_t *ret_token)
{
    int64_t lease_s = 0;

    assert_int_equal(resume_with_lease(world, ANNA, token, ret_token, &lease_s), RESULT_OK);
    return lease_s;
}

static void change_lease(struct world *world, int64_t lease_s)
{
    master_destroy(world->master);
    world->lease_s = lease_s;
    world->master = kit_open(world, false);
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

static void a_lease_is_told_until_the_device_has_it(void **state)
{
    struct world *world = *state;
    uint8_t first[TOKEN_SIZE];
    uint8_t second[TOKEN_SIZE];
    uint8_t third[TOKEN_SIZE];
    uint8_t lost[TOKEN_SIZE];

    assert_int_equal(told_lease(world, world->devices[ANNA].token, first), -1); /* for ever */
    change_lease(world, 86400);
    assert_int_equal(told_lease(world, first, lost), 86400);
    assert_int_equal(told_lease(world, first, second), 86400); /* perhaps the first was lost */
    assert_int_equal(told_lease(world, second, third), -1);
    change_lease(world, 0);
    assert_int_equal(told_lease(world, third, lost), 0); /* or it would keep its day */
    change_lease(world, 86400);
    assert_int_equal(told_lease(world, third, first), 86400);
    assert_int_equal(told_lease(world, first, second), -1);
}

static void what_a_device_of_an_older_server_was_told_is_not_known(void **state)
{
    struct world *world = *state;
    uint8_t first[TOKEN_SIZE];
    uint8_t second[TOKEN_SIZE];

    sql(world, "UPDATE fs_replica SET lease_told=NULL");
    assert_int_equal(told_lease(world, world->devices[ANNA].token, first), 0);
    assert_int_equal(told_lease(world, first, second), -1);
}

static void a_key_change_is_asked_for_whatever_the_lease(void **state)
{
    struct world *world = *state;
    uint8_t next[TOKEN_SIZE];

    sql(world, "UPDATE fs_replica SET is_rotation_asked=1");
    assert_int_equal(told_lease(world, world->devices[ANNA].token, next), 0);
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
    receipt->contact_no = integer(world, "SELECT contact_no FROM fs_replica WHERE replica_no=1");
    write_job(world, receipt); /* so WELCOME had arrived */
    job_destroy(receipt);
    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, third), RESULT_REFUSED);
    expect_text(world, "SELECT state FROM fs_replica WHERE replica_no=1", "held");
}

/* Of a session whose link was cut: its last words come after the next session has begun. */
static void a_late_receipt_of_an_older_session_proves_nothing(void **state)
{
    struct world *world = *state;
    uint8_t second[TOKEN_SIZE];
    uint8_t third[TOKEN_SIZE];
    struct job *receipt = make_job(world, JOB_RECEIPT, ANNA);

    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, second), RESULT_OK);
    receipt->contact_no = integer(world, "SELECT contact_no FROM fs_replica WHERE replica_no=1");
    receipt->seq = 3;
    assert_int_equal(resume(world, ANNA, second, third), RESULT_OK); /* this WELCOME gets lost */
    write_job(world, receipt);
    job_destroy(receipt);
    assert_int_equal(resume(world, ANNA, second, third), RESULT_OK);
}

struct choice {
    int64_t replica_no, copy_no;
    bool goes_on;
};

static enum result choose(struct work *work, void *context, struct problem *problem)
{
    struct choice *choice = context;

    return copies_choose(work, choice->replica_no, choice->copy_no, &choice->goes_on, problem);
}

static enum result say(struct world *world, struct choice *choice)
{
    return master_run(world->master, world->now, choose, choice, &world->outcome, &world->problem);
}

static enum result revoke(struct work *work, void *context, struct problem *problem)
{
    return devices_revoke(work, *(const int64_t *)context, true, problem);
}

static void a_released_copy_may_go_on(void **state)
{
    struct world *world = *state;
    uint8_t token[TOKEN_SIZE] = {9};
    struct choice choice = {.replica_no = 1};

    assert_int_equal(resume(world, ANNA, token, token), RESULT_REFUSED);
    assert_int_equal(say(world, &choice), RESULT_REFUSED); /* which of the two? */
    choice.copy_no = 3;
    assert_int_equal(say(world, &choice), RESULT_REFUSED);
    choice.copy_no = 1; /* the one that was let in last */
    kit_ok(world, say(world, &choice));
    assert_true(choice.goes_on);
    assert_int_equal(resume(world, ANNA, world->devices[ANNA].token, token), RESULT_OK);
    assert_int_equal(say(world, &choice), RESULT_REFUSED);
}

/* RENEW for the copy with this token; the code goes to ret_code. */
static void expect_renewal(struct world *world, const uint8_t *token,
                           uint8_t ret_code[DEVICES_CODE_SEED_SIZE])
{
    struct job *job = resume_job(world, ANNA, token);
    struct message_renew renew = {0};
    struct frame frame;
    size_t index = 0;

    write_job(world, job);
    assert_int_equal(job->result, RESULT_REFUSED);
    assert_int_equal(job->state, REPLICA_RENEWED);
    assert_null(job->feed);
    frame = body_at(world, job, &index);
    assert_int_equal(frame.type, MESSAGE_RENEW);
    kit_ok(world, message_renew_decode(frame.body, &world->arena, &renew, &world->problem));
    memcpy(ret_code, renew.token_id.data, RENEW_TOKEN_ID_SIZE);
    memcpy(ret_code + RENEW_TOKEN_ID_SIZE, renew.token_secret.data, PSK_SIZE);
    job_destroy(job);
}

static void a_copy_that_does_not_live_gets_one_code_for_a_number_of_its_own(void **state)
{
    struct world *world = *state;
    uint8_t other[TOKEN_SIZE] = {9};
    uint8_t code[DEVICES_CODE_SEED_SIZE];
    uint8_t again[DEVICES_CODE_SEED_SIZE];
    struct choice choice = {.replica_no = 1, .copy_no = 1};
    struct job *enrol = NULL;

    assert_int_equal(resume(world, ANNA, other, other), RESULT_REFUSED);
    memset(other, 0, sizeof other);
    other[0] = 9;
    kit_ok(world, say(world, &choice));
    expect_renewal(world, other, code);
    expect_renewal(world, other, again);
    assert_memory_equal(code, again, sizeof code);
    memset(world->devices[CARLA].key, 0x60, PUBLIC_KEY_SIZE);
    enrol = enrol_job(world, CARLA, code);
    write_job(world, enrol);
    assert_int_equal(enrol->result, RESULT_OK);
    assert_int_equal(enrol->user_id, ANNA);
    job_destroy(enrol);
    assert_int_equal(
        integer(world, "SELECT former_no FROM fs_replica ORDER BY replica_no DESC LIMIT 1"), 1);
    assert_int_equal(integer(world, "SELECT count(DISTINCT device_id) FROM fs_replica"), 3);
    expect_renewal(world, other, again); /* a copy of that copy: a device of its own again */
    assert_memory_not_equal(code, again, sizeof code);
}

static void the_chosen_copy_takes_its_device_over_if_it_is_behind(void **state)
{
    struct world *world = *state;
    uint8_t other[TOKEN_SIZE] = {9};
    uint8_t code[DEVICES_CODE_SEED_SIZE];
    struct choice choice = {.replica_no = 1, .copy_no = 2};
    struct job *enrol = NULL;

    assert_int_equal(resume(world, ANNA, other, other), RESULT_REFUSED);
    memset(other, 0, sizeof other);
    other[0] = 9;
    kit_ok(world, say(world, &choice));
    assert_false(choice.goes_on);
    expect_text(world, "SELECT state FROM fs_replica WHERE replica_no=1", "held");
    expect_renewal(world, other, code);
    memset(world->devices[CARLA].key, 0x60, PUBLIC_KEY_SIZE);
    enrol = enrol_job(world, CARLA, code);
    write_job(world, enrol);
    assert_int_equal(enrol->result, RESULT_OK);
    job_destroy(enrol);
    assert_int_equal(integer(world, "SELECT count(DISTINCT device_id) FROM fs_replica"), 2);
    expect_renewal(world, world->devices[ANNA].token, code); /* and so does the other one */
    assert_int_equal(integer(world, "SELECT takes_over FROM fs_enrolment ORDER BY rowid DESC"), 0);
}

/* Whoever has the keys can't make the server remember for ever. */
static void copies_beyond_a_number_are_held_and_not_listed(void **state)
{
    struct world *world = *state;
    uint8_t other[TOKEN_SIZE];
    uint8_t token[TOKEN_SIZE];

    for (int i = 0; i < 40; i++) {
        memset(other, 100 + i, sizeof other);
        assert_int_equal(resume(world, ANNA, other, token), RESULT_REFUSED);
    }
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_copy"), 32);
}

/* A database that was put back by hand keeps its epoch: seqs would mean two things. */
static void a_device_that_has_seen_a_later_state_is_told_so(void **state)
{
    struct world *world = *state;
    struct job *job = make_job(world, JOB_RESUME, ANNA);
    struct store_result epoch = {0};
    struct message_resume resume = {.resume_token =
                                        bytes_of(world->devices[ANNA].token, TOKEN_SIZE),
                                    .incarnation = 1,
                                    .published_seq = head(world) + 1};
    struct store *store = master_store(world->master);
    struct buffer body;

    kit_ok(world, store_begin(store, STORE_READ, &world->problem));
    kit_ok(world, store_query(store, "SELECT data FROM fs_state WHERE name='epoch'", NULL, 0,
                              &world->arena, &epoch, &world->problem));
    store_rollback(store);
    resume.epoch = store_bytes_at(&epoch, 0, 0);
    buffer_init(&body, 65536);
    kit_ok(world, message_resume_encode(&resume, &body, &world->problem));
    job->body = buffer_bytes(&body);
    write_job(world, job);
    assert_int_equal(job->result, RESULT_REFUSED);
    assert_int_equal(job->state, REPLICA_ACTIVE);
    assert_non_null(strstr(job->problem.text, "restore"));
    job_destroy(job);
    buffer_done(&body);
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
    uint8_t seed[DEVICES_INIT_SEED_SIZE] = {5};
    struct devices_given given = {.seq = 0};
    uint8_t token[TOKEN_SIZE] = {77};
    int64_t seq = head(world);
    int64_t replica_no = integer(world, "SELECT number FROM fs_state WHERE name='replica_no_last'");

    kit_ok(world, store_begin(store, STORE_WRITE, &world->problem));
    kit_ok(world, devices_restored(store, seed, &given, &world->problem));
    kit_ok(world, store_commit(store, &world->problem));
    assert_int_equal(head(world), seq + (1 << 24));
    assert_int_equal(integer(world, "SELECT id>(1<<24) FROM new_id"), 1);
    assert_int_equal(integer(world, "SELECT number FROM fs_state WHERE name='replica_no_last'"),
                     replica_no + 1024);
    assert_int_equal(resume(world, ANNA, token, token), RESULT_OK);
}

/* The same backup again: what the server gave since the first time isn't given once more. */
static void a_second_restore_goes_past_what_the_first_one_gave(void **state)
{
    struct world *world = *state;
    struct store *store = master_store(world->master);
    uint8_t seed[DEVICES_INIT_SEED_SIZE] = {6};
    struct devices_given given = {
        .seq = INT64_C(1) << 30, .lcn = INT64_C(1) << 29, .replica_no = 5000};

    kit_ok(world, store_begin(store, STORE_WRITE, &world->problem));
    kit_ok(world, devices_restored(store, seed, &given, &world->problem));
    kit_ok(world, store_commit(store, &world->problem));
    assert_true(head(world) > given.seq);
    assert_int_equal(integer(world, "SELECT id > (1<<29) FROM new_id"), 1);
    assert_int_equal(
        integer(world, "SELECT number>5000 FROM fs_state WHERE name='replica_no_last'"), 1);
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
        STORY(a_lease_is_told_until_the_device_has_it),
        STORY(what_a_device_of_an_older_server_was_told_is_not_known),
        STORY(a_key_change_is_asked_for_whatever_the_lease),
        STORY(an_old_token_holds_the_replica),
        STORY(the_previous_token_after_work_with_the_current_one_is_a_copy),
        STORY(a_late_receipt_of_an_older_session_proves_nothing),
        STORY(a_released_copy_may_go_on),
        STORY(a_copy_that_does_not_live_gets_one_code_for_a_number_of_its_own),
        STORY(the_chosen_copy_takes_its_device_over_if_it_is_behind),
        STORY(copies_beyond_a_number_are_held_and_not_listed),
        STORY(a_device_that_has_seen_a_later_state_is_told_so),
        STORY(a_revoked_device_is_told_so_and_nothing_else),
        STORY(a_device_revoked_by_plain_sql_is_revoked),
        STORY(a_restore_starts_an_epoch_and_forgets_tokens),
        STORY(a_second_restore_goes_past_what_the_first_one_gave),
        STORY(a_code_for_nobody_is_refused),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}

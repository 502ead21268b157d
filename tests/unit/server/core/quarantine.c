/* SPDX-License-Identifier: Apache-2.0 */
/* What a revoked device leaves behind: kept, shown, released, dropped. */
#include "tests/unit/server/core/master_kit.h" /* first: it asks for POSIX */

#include "server/core/quarantine.h"

enum { ANNAS_REPLICA = 1 };

static enum result revoke(struct work *work, void *context, struct problem *problem)
{
    return devices_revoke(work, *(const int64_t *)context, true, problem);
}

static void revoke_anna(struct world *world)
{
    int64_t replica_no = ANNAS_REPLICA;

    kit_ok(world, master_run(world->master, world->now, revoke, &replica_no, &world->outcome,
                             &world->problem));
}

/* A seal with one note of Anna's at her site. */
static struct job *note_seal(struct world *world, const char *text, int64_t edited_at_us)
{
    struct change change =
        make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world), edited_at_us,
                    FIELDS(N("site_id", 10), T("a", text)));

    return seal_job(world, ANNA, &change, 1);
}

/* True: the server says that it lies there. */
static bool deposit(struct world *world, struct job *job)
{
    struct message_deposited deposited = {0};
    size_t index = 0;
    bool is_there = false;

    job->kind = JOB_DEPOSIT;
    write_job(world, job);
    if (job->result == RESULT_OK && job->frame_count > 0) {
        struct frame frame = body_at(world, job, &index);

        assert_int_equal(frame.type, MESSAGE_DEPOSITED);
        kit_ok(world,
               message_deposited_decode(frame.body, &world->arena, &deposited, &world->problem));
        assert_int_equal(deposited.seal_no, world->devices[ANNA].seal_no);
        assert_memory_equal(deposited.digest.data, world->devices[ANNA].digest, SEAL_DIGEST_SIZE);
        is_there = true;
    }
    return is_there;
}

static bool deposit_note(struct world *world, const char *text, int64_t edited_at_us)
{
    struct job *job = note_seal(world, text, edited_at_us);
    bool is_there = deposit(world, job);

    job_destroy(job);
    return is_there;
}

struct releasing {
    struct world *world;
    struct quarantine_step step;
    int64_t count;
};

static enum result release(struct work *work, void *context, struct problem *problem)
{
    struct releasing *releasing = context;

    return quarantine_release(work, master_store(releasing->world->master), ANNAS_REPLICA,
                              &releasing->step, problem);
}

static enum result drop(struct work *work, void *context, struct problem *problem)
{
    struct releasing *releasing = context;

    return quarantine_drop(work, ANNAS_REPLICA, &releasing->count, problem);
}

static struct quarantine_step release_next(struct world *world, enum result expected)
{
    struct releasing releasing = {.world = world};

    assert_int_equal(master_run(world->master, world->now, release, &releasing, &world->outcome,
                                &world->problem),
                     expected);
    return releasing.step;
}

static int64_t notes(struct world *world)
{
    return integer(world, "SELECT count(*) FROM note");
}

static void a_deposit_is_kept_whole_and_nothing_of_it_is_applied(void **state)
{
    struct world *world = *state;
    int64_t seq;

    revoke_anna(world);
    seq = head(world);
    assert_true(deposit_note(world, "kept", world->now.us - 1));
    assert_int_equal(notes(world), 0);
    assert_int_equal(head(world), seq);
    assert_int_equal(integer(world, "SELECT lcn_high FROM fs_replica WHERE replica_no=1"), 0);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_quarantine WHERE decided_at IS NULL"),
                     1);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='deposited'"), 1);
}

static void only_a_revoked_device_leaves_anything_behind(void **state)
{
    struct world *world = *state;
    struct job *job = note_seal(world, "not revoked", world->now.us);

    assert_false(deposit(world, job));
    assert_int_equal(job->result, RESULT_REFUSED);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_quarantine"), 0);
    job_destroy(job);
}

static void what_comes_again_lies_there_once_and_other_contents_are_refused(void **state)
{
    struct world *world = *state;
    struct job *job = NULL;

    revoke_anna(world);
    job = note_seal(world, "first", world->now.us - 1);
    assert_true(deposit(world, job));
    job_drop_frames(job);
    assert_true(deposit(world, job));
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_quarantine"), 1);
    job_destroy(job);
    world->devices[ANNA].seal_no = 0;
    world->devices[ANNA].lcn = 0;
    memset(world->devices[ANNA].digest, 0, SEAL_DIGEST_SIZE);
    job = note_seal(world, "another first", world->now.us - 1);
    assert_false(deposit(world, job));
    assert_int_equal(job->result, RESULT_REFUSED);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='deposit_refused'"),
                     1);
    job_destroy(job);
}

static void a_seal_that_was_applied_before_the_revocation_needs_no_place(void **state)
{
    struct world *world = *state;
    struct job *job = note_seal(world, "in time", world->now.us);

    write_job(world, job);
    assert_int_equal(job->result, RESULT_OK);
    job_drop_frames(job);
    revoke_anna(world);
    assert_true(deposit(world, job));
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_quarantine"), 0);
    assert_int_equal(notes(world), 1);
    job_destroy(job);
}

/* DOMAIN: facts dated before the revocation are stored when a person says so, later ones aren't. */
static void released_work_is_stored_as_far_as_it_is_dated_before_the_revocation(void **state)
{
    struct world *world = *state;
    struct quarantine_step step;

    revoke_anna(world);
    assert_true(deposit_note(world, "in time", world->now.us - 1));
    assert_true(deposit_note(world, "too late", world->now.us + 1));
    world->now.us += MINUTES(60);
    step = release_next(world, RESULT_OK);
    assert_int_equal(step.seal_no, 1);
    assert_int_equal(step.change_count, 1);
    assert_int_equal(step.late_count, 0);
    step = release_next(world, RESULT_OK);
    assert_int_equal(step.seal_no, 2);
    assert_int_equal(step.late_count, 1);
    step = release_next(world, RESULT_OK);
    assert_int_equal(step.seal_no, 0);
    assert_int_equal(notes(world), 1);
    expect_text(world, "SELECT a FROM note", "in time");
    expect_text(world, "SELECT reason_code FROM review_item WHERE kind='refused'", "revoked");
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_quarantine WHERE decision='released'"),
                     2);
    expect_text(world, "SELECT state FROM fs_replica WHERE replica_no=1", "revoked");
}

static void a_seal_whose_predecessor_is_missing_is_not_released(void **state)
{
    struct world *world = *state;
    struct job *lost = NULL;

    revoke_anna(world);
    lost = note_seal(world, "never arrives", world->now.us - 1);
    assert_true(deposit_note(world, "second", world->now.us - 1));
    (void)release_next(world, RESULT_REFUSED);
    assert_int_equal(notes(world), 0);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_quarantine WHERE decided_at IS NULL"),
                     1);
    job_destroy(lost);
}

static void dropped_work_is_not_applied_and_stays_for_the_record(void **state)
{
    struct world *world = *state;
    struct releasing releasing = {.world = world};

    revoke_anna(world);
    assert_true(deposit_note(world, "unwanted", world->now.us - 1));
    kit_ok(world, master_run(world->master, world->now, drop, &releasing, &world->outcome,
                             &world->problem));
    assert_int_equal(releasing.count, 1);
    assert_int_equal(release_next(world, RESULT_OK).seal_no, 0);
    assert_int_equal(notes(world), 0);
    assert_int_equal(integer(world, "SELECT length(body)>0 FROM fs_quarantine"), 1);
}

static void what_lies_there_can_be_read(void **state)
{
    struct world *world = *state;
    struct store *store = master_store(world->master);
    struct quarantine_change *changes = NULL;
    size_t count = 0;

    revoke_anna(world);
    assert_true(deposit_note(world, "read me", world->now.us - 1));
    assert_true(deposit_note(world, "late", world->now.us + 1));
    kit_ok(world, store_begin(store, STORE_READ, &world->problem));
    kit_ok(world,
           quarantine_read(store, ANNAS_REPLICA, &world->arena, &changes, &count, &world->problem));
    store_rollback(store);
    assert_int_equal(count, 2);
    assert_string_equal(changes[0].table_name, "note");
    assert_string_equal(changes[0].op, "insert");
    assert_string_equal(changes[0].values, "site_id=10, a='read me'");
    assert_false(changes[0].is_late);
    assert_true(changes[1].is_late);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_deposit_is_kept_whole_and_nothing_of_it_is_applied),
        STORY(only_a_revoked_device_leaves_anything_behind),
        STORY(what_comes_again_lies_there_once_and_other_contents_are_refused),
        STORY(a_seal_that_was_applied_before_the_revocation_needs_no_place),
        STORY(released_work_is_stored_as_far_as_it_is_dated_before_the_revocation),
        STORY(a_seal_whose_predecessor_is_missing_is_not_released),
        STORY(dropped_work_is_not_applied_and_stays_for_the_record),
        STORY(what_lies_there_can_be_read),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}

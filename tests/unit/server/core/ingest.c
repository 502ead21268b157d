/* SPDX-License-Identifier: Apache-2.0 */
/* A device's seal on its way into the master, on a real store. */
#include "tests/unit/server/core/master_kit.h"

#define LATER_US   (KIT_NOW_US - 1000000)
#define EARLIER_US (KIT_NOW_US - 2000000)

/* A note of Anna's at site 10, seen by both. */
static int64_t shared_note(struct world *world)
{
    int64_t id = new_id(world, ANNA);
    struct verdict verdict =
        push_one(world, ANNA, "note", CHANGE_INSERT, id, head(world), EARLIER_US,
                 FIELDS(N("site_id", 10), T("a", "first"), T("g1", "9"), T("g2", "10")));

    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    return id;
}

static struct verdict update_a(struct world *world, int device, int64_t id, int64_t base_seq,
                               int64_t edited_at_us, const char *text)
{
    return push_one(world, device, "note", CHANGE_UPDATE, id, base_seq, edited_at_us,
                    FIELDS(T("a", text)));
}

/* ---- I2, I3: once, durably, with a verdict ---- */

static void accepted_changes_are_stored_and_counted(void **state)
{
    struct world *world = *state;
    int64_t id = new_id(world, ANNA);
    struct change change = make_change(world, "note", CHANGE_INSERT, id, head(world), LATER_US,
                                       FIELDS(N("site_id", 10), T("a", "hello")));
    struct message_verdict verdict = push(world, ANNA, &change, 1);

    assert_int_equal(verdict.exception_count, 0);
    assert_int_equal(verdict.lcn_high, 1);
    assert_int_equal(verdict.commit_seq, head(world));
    expect_text(world, "SELECT a FROM note", "hello");
    assert_int_equal(integer(world, "SELECT lcn_high FROM fs_replica WHERE replica_no=1"), 1);
    assert_int_equal(integer(world, "SELECT _fs_bucket FROM note"), SITE(10));
}

static void a_repeated_seal_gets_the_stored_verdicts_and_changes_nothing(void **state)
{
    struct world *world = *state;
    struct change changes[] = {
        make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world), LATER_US,
                    FIELDS(N("site_id", 10), T("a", "hello"))),
        make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world), LATER_US,
                    FIELDS(N("site_id", 30), T("a", "not mine")))};
    struct job *job = seal_job(world, ANNA, changes, 2);
    struct message_verdict first;
    struct message_verdict again;
    int64_t seq;

    write_job(world, job);
    first = verdict_of(world, job);
    seq = head(world);
    write_job(world, job);
    again = verdict_of(world, job);
    assert_int_equal(seq, head(world));
    assert_int_equal(first.exception_count, 1);
    assert_int_equal(again.exception_count, 1);
    assert_int_equal(again.exceptions[0].lcn, first.exceptions[0].lcn);
    expect_verdict(&again.exceptions[0], VERDICT_REFUSED, "not_entitled");
    assert_int_equal(again.lcn_high, 2);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 1);
    job_destroy(job);
}

static void the_same_seal_with_another_content_holds_the_replica(void **state)
{
    struct world *world = *state;
    struct kit_device before = world->devices[ANNA];
    struct job *job = NULL;
    struct change change = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA),
                                       head(world), LATER_US, FIELDS(N("site_id", 10)));

    (void)push(world, ANNA, &change, 1);
    world->devices[ANNA] = before; /* a copy of the disk goes its own way */
    change.values[2] = value_text_of("other");
    change.mask |= 4;
    job = seal_job(world, ANNA, &change, 1);
    write_job(world, job);
    assert_int_equal(job->result, RESULT_REFUSED);
    assert_int_equal(job->state, REPLICA_HELD);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_replica WHERE state='held'"), 1);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='fork'"), 1);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 1);
    job_destroy(job);
}

static void a_seal_that_leaves_one_out_waits_for_the_missing_one(void **state)
{
    struct world *world = *state;
    struct change change = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA),
                                       head(world), LATER_US, FIELDS(N("site_id", 10)));
    struct job *first = seal_job(world, ANNA, &change, 1);
    struct job *second = NULL;

    change.row_id = new_id(world, ANNA);
    second = seal_job(world, ANNA, &change, 1);
    write_job(world, second);
    assert_int_equal(second->result, RESULT_REFUSED);
    assert_int_equal(second->state, REPLICA_ACTIVE);
    write_job(world, first);
    (void)verdict_of(world, first);
    write_job(world, second);
    (void)verdict_of(world, second);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 2);
    job_destroy(first);
    job_destroy(second);
}

static void garbage_is_malformed_and_leaves_no_trace(void **state)
{
    struct world *world = *state;
    struct job *job = make_job(world, JOB_PUSH, ANNA);
    int64_t seq = head(world);

    job->body = bytes_of("\x93\xff\x00garbage", 10);
    write_job(world, job);
    assert_int_equal(job->result, RESULT_MALFORMED);
    assert_int_equal(head(world), seq);
    job_destroy(job);
}

/* ---- one bad change ---- */

/* A seal of three with the poison at `bad`: CHECK(b < 100). */
static void push_poison(struct world *world, int bad)
{
    struct change changes[3];
    struct message_verdict verdict;

    for (int i = 0; i < 3; i++)
        changes[i] = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world),
                                 LATER_US, FIELDS(N("site_id", 10), N("b", i == bad ? 100 : i)));
    verdict = push(world, ANNA, changes, 3);
    assert_int_equal(verdict.exception_count, 1);
    assert_int_equal(verdict.exceptions[0].lcn, bad + 1);
    expect_verdict(&verdict.exceptions[0], VERDICT_REFUSED, "check_failed");
    assert_true(verdict.exceptions[0].is_row_gone);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 2);
    assert_int_equal(integer(world, "SELECT count(*) FROM review_item WHERE kind='refused'"
                                    " AND instr(payload,'\"b\":100')>0 AND user_id=1"),
                     1);
    assert_int_equal(verdict.lcn_high, 3);
}

static void one_bad_change_at_the_head_of_a_seal_is_refused_alone(void **state)
{
    push_poison(*state, 0);
}

static void one_bad_change_in_the_middle_of_a_seal_is_refused_alone(void **state)
{
    push_poison(*state, 1);
}

static void one_bad_change_at_the_end_of_a_seal_is_refused_alone(void **state)
{
    push_poison(*state, 2);
}

static void a_unique_value_that_is_taken_refuses_that_change_only(void **state)
{
    struct world *world = *state;
    struct change changes[2];
    struct message_verdict verdict;

    office(world, "INSERT INTO note(id, site_id, code) VALUES (1000, 10, 'X1')");
    changes[0] = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world),
                             LATER_US, FIELDS(N("site_id", 10), T("code", "X1")));
    changes[1] = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world),
                             LATER_US, FIELDS(N("site_id", 10), T("code", "X2")));
    verdict = push(world, ANNA, changes, 2);
    assert_int_equal(verdict.exception_count, 1);
    expect_verdict(&verdict.exceptions[0], VERDICT_REFUSED, "check_failed");
    expect_text(world, "SELECT group_concat(code) FROM (SELECT code FROM note ORDER BY code)",
                "X1,X2");
}

static void a_refused_insert_takes_its_dependents_with_it(void **state)
{
    struct world *world = *state;
    int64_t note = new_id(world, ANNA);
    struct change changes[] = {make_change(world, "note", CHANGE_INSERT, note, head(world),
                                           LATER_US, FIELDS(N("site_id", 30))),
                               make_change(world, "reply", CHANGE_INSERT, new_id(world, ANNA),
                                           head(world), LATER_US,
                                           FIELDS(N("note_id", note), T("text", "child")))};
    struct message_verdict verdict = push(world, ANNA, changes, 2);

    assert_int_equal(verdict.exception_count, 2);
    expect_verdict(&verdict.exceptions[0], VERDICT_REFUSED, "not_entitled");
    expect_verdict(&verdict.exceptions[1], VERDICT_REFUSED, "bad_reference");
    assert_int_equal(integer(world, "SELECT count(*) FROM review_item"), 2);
}

static void a_child_sealed_before_its_parent_is_accepted(void **state)
{
    struct world *world = *state;
    int64_t reply = new_id(world, ANNA);
    int64_t note = new_id(world, ANNA);
    struct change changes[] = {make_change(world, "keyed_item", CHANGE_INSERT, reply, head(world),
                                           LATER_US, FIELDS(N("keyed_id", note))),
                               make_change(world, "keyed", CHANGE_INSERT, note, head(world),
                                           LATER_US, FIELDS(N("site_id", 10), T("k", "one")))};

    assert_int_equal(push(world, ANNA, changes, 2).exception_count, 0);
    assert_int_equal(integer(world, "SELECT home FROM keyed_item"), SITE(10));
}

/* ---- I10: rights ---- */

static void an_insert_into_a_foreign_site_is_refused_and_audited(void **state)
{
    struct world *world = *state;
    struct verdict verdict = push_one(world, BRUNO, "note", CHANGE_INSERT, new_id(world, BRUNO),
                                      head(world), LATER_US, FIELDS(N("site_id", 20)));

    expect_verdict(&verdict, VERDICT_REFUSED, "not_entitled");
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='foreign_bucket'"),
                     1);
    assert_int_equal(integer(world, "SELECT home FROM review_item"), bucket_of(BUCKET_USER, BRUNO));
}

static void an_id_of_another_device_is_refused(void **state)
{
    struct world *world = *state;
    struct verdict verdict = push_one(world, ANNA, "note", CHANGE_INSERT, id_of(2, 77), head(world),
                                      LATER_US, FIELDS(N("site_id", 10)));

    expect_verdict(&verdict, VERDICT_REFUSED, "id_out_of_range");
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 0);
}

static void a_table_without_a_grant_is_refused(void **state)
{
    struct world *world = *state;
    struct verdict verdict = push_one(world, ANNA, "party", CHANGE_UPDATE, 5, head(world), LATER_US,
                                      FIELDS(T("name", "Mine")));

    assert_int_equal(verdict.kind, VERDICT_REFUSED);
    expect_text(world, "SELECT name FROM party WHERE id=5", "Acme");
}

static void a_row_in_the_name_of_a_colleague_is_refused_and_audited(void **state)
{
    struct world *world = *state;
    struct verdict verdict =
        push_one(world, ANNA, "fact", CHANGE_INSERT, new_id(world, ANNA), head(world), LATER_US,
                 FIELDS(N("site_id", 10), N("n", 1), N("by_id", BRUNO)));

    expect_verdict(&verdict, VERDICT_REFUSED, "not_entitled");
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_audit WHERE event='forged_author'"),
                     1);
    verdict = push_one(world, ANNA, "fact", CHANGE_INSERT, new_id(world, ANNA), head(world),
                       LATER_US, FIELDS(N("site_id", 10), N("n", 1), N("by_id", ANNA)));
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
}

static void facts_are_never_changed_or_deleted(void **state)
{
    struct world *world = *state;
    int64_t id = new_id(world, ANNA);
    struct verdict verdict = push_one(world, ANNA, "fact", CHANGE_INSERT, id, head(world), LATER_US,
                                      FIELDS(N("site_id", 10), N("n", 1), N("by_id", ANNA)));

    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    verdict =
        push_one(world, ANNA, "fact", CHANGE_UPDATE, id, head(world), LATER_US, FIELDS(N("n", 2)));
    expect_verdict(&verdict, VERDICT_REFUSED, "append_only");
    assert_true(verdict.has_row);
    assert_int_equal(verdict.row.values[2].integer, 1);
    verdict = push_one(world, ANNA, "fact", CHANGE_DELETE, id, head(world), LATER_US, NULL);
    expect_verdict(&verdict, VERDICT_REFUSED, "append_only");
}

/* server_only: left out of inserts with the row echoed (R4), refused in updates. */
static void a_state_written_by_a_device_does_not_count(void **state)
{
    struct world *world = *state;
    int64_t id = new_id(world, ANNA);
    struct verdict verdict = push_one(world, ANNA, "note", CHANGE_INSERT, id, head(world), LATER_US,
                                      FIELDS(N("site_id", 10), T("state", "done")));

    assert_int_equal(verdict.kind, VERDICT_MERGED);
    assert_true(verdict.has_row);
    assert_true(bytes_equal(verdict.row.values[7].bytes, bytes_of_text("new")));
    verdict = push_one(world, ANNA, "note", CHANGE_UPDATE, id, head(world), LATER_US,
                       FIELDS(T("state", "done"), T("a", "x")));
    expect_verdict(&verdict, VERDICT_REFUSED, "server_only");
    expect_text(world, "SELECT state FROM note", "new");
    assert_int_equal(integer(world, "SELECT a IS NULL FROM note"), 1);
}

static void a_held_replica_delivers_nothing(void **state)
{
    struct world *world = *state;
    struct change change = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA),
                                       head(world), LATER_US, FIELDS(N("site_id", 10)));
    struct job *job = seal_job(world, ANNA, &change, 1);

    sql(world, "UPDATE fs_replica SET state='held' WHERE replica_no=1");
    write_job(world, job);
    assert_int_equal(job->result, RESULT_REFUSED);
    assert_int_equal(job->state, REPLICA_HELD);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 0);
    job_destroy(job);
}

/* ---- R8: late work ---- */

static void late_work_on_a_site_that_was_his_is_accepted(void **state)
{
    struct world *world = *state;
    int64_t id = new_id(world, ANNA);
    int64_t base = head(world);
    struct verdict verdict;

    office(world, "DELETE FROM watch_list WHERE id=3");
    assert_int_equal(world->outcome.rescoped_count, 1);
    verdict = push_one(world, ANNA, "note", CHANGE_INSERT, id, base, LATER_US,
                       FIELDS(N("site_id", 20), T("a", "late")));
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    expect_text(world, "SELECT a FROM note", "late");
    verdict = push_one(world, ANNA, "note", CHANGE_INSERT, new_id(world, ANNA), head(world),
                       LATER_US, FIELDS(N("site_id", 20), T("a", "too late")));
    expect_verdict(&verdict, VERDICT_REFUSED, "not_entitled");
    assert_true(verdict.is_row_gone);
}

static void late_work_on_a_row_that_moved_away_is_accepted(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);
    struct verdict verdict;

    office(world, "UPDATE note SET site_id=30");
    verdict = update_a(world, BRUNO, id, base, LATER_US, "late");
    assert_int_equal(verdict.kind, VERDICT_MERGED); /* stored, and no longer his to see */
    assert_true(verdict.is_row_gone);
    expect_text(world, "SELECT a FROM note", "late");
    verdict = update_a(world, BRUNO, id, head(world), LATER_US, "too late");
    expect_verdict(&verdict, VERDICT_REFUSED, "not_entitled");
    assert_true(verdict.is_row_gone); /* nothing of it is shown */
}

static void daily_rescoping_does_not_disown_what_was_just_published(void **state)
{
    struct world *world = *state;
    int64_t base = head(world);
    struct job *job = make_job(world, JOB_RESCOPE, ANNA);
    struct verdict verdict;

    sql(world, "INSERT INTO fs_flag(k) VALUES(1); DELETE FROM watch_list WHERE id=3;"
               "DELETE FROM fs_flag;"); /* as if only the time had passed */
    write_job(world, job);
    job_destroy(job);
    assert_int_equal(world->outcome.rescoped_count, 1);
    verdict = push_one(world, ANNA, "note", CHANGE_INSERT, new_id(world, ANNA), base, LATER_US,
                       FIELDS(N("site_id", 20)));
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
}

/* ---- merging ---- */

static void an_overruled_edit_is_kept_and_the_row_echoed(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);
    struct verdict verdict = update_a(world, BRUNO, id, base, LATER_US, "bruno");

    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    verdict = update_a(world, ANNA, id, base, EARLIER_US, "anna");
    expect_verdict(&verdict, VERDICT_OVERRULED, "older_edit");
    assert_true(verdict.has_row);
    assert_true(bytes_equal(verdict.row.values[2].bytes, bytes_of_text("bruno")));
    expect_text(world, "SELECT a FROM note", "bruno");
    expect_text(world,
                "SELECT kept||','||lost||','||user_id||','||kept_by_user_id||','||lost_by_user_id"
                "||','||column_name||','||rule FROM merge_loss",
                "bruno,anna,1,2,1,a,last_writer");
    assert_int_equal(integer(world, "SELECT home FROM merge_loss"), SITE(10));
}

static void a_stored_value_that_loses_is_kept_for_its_author(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);

    (void)update_a(world, BRUNO, id, base, EARLIER_US, "bruno");
    assert_int_equal(update_a(world, ANNA, id, base, LATER_US, "anna").kind, VERDICT_APPLIED);
    expect_text(world, "SELECT kept||','||lost||','||user_id FROM merge_loss", "anna,bruno,2");
}

static void an_informed_edit_beats_a_wrong_clock(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    struct verdict verdict;

    (void)update_a(world, BRUNO, id, head(world), KIT_NOW_US + HOURS(24 * 3650), "from 2036");
    verdict = update_a(world, ANNA, id, head(world), 1, "from 1970, but informed");
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    expect_text(world, "SELECT a FROM note", "from 1970, but informed");
    assert_int_equal(integer(world, "SELECT count(*) FROM merge_loss"), 0);
}

static void a_clock_that_is_ahead_does_not_win_for_ever(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);

    (void)update_a(world, BRUNO, id, base, KIT_NOW_US + HOURS(24 * 3650), "from 2036");
    world->now.us += MINUTES(1);
    assert_int_equal(update_a(world, ANNA, id, base, world->now.us, "a minute later").kind,
                     VERDICT_APPLIED);
    expect_text(world, "SELECT a FROM note", "a minute later");
}

static void columns_of_a_group_lose_together(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);
    struct verdict verdict;

    (void)push_one(world, BRUNO, "note", CHANGE_UPDATE, id, base, LATER_US,
                   FIELDS(T("g1", "14"), T("g2", "15")));
    verdict = push_one(world, ANNA, "note", CHANGE_UPDATE, id, base, EARLIER_US,
                       FIELDS(T("g1", "11"), T("g2", "12"), T("a", "free")));
    assert_int_equal(verdict.kind, VERDICT_OVERRULED);
    expect_text(world, "SELECT g1||g2||a FROM note", "1415free");
    assert_int_equal(integer(world, "SELECT count(*) FROM merge_loss"), 2);
}

static void a_different_second_writing_of_a_once_column_is_parked(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);
    struct verdict verdict;

    (void)push_one(world, ANNA, "note", CHANGE_UPDATE, id, base, LATER_US,
                   FIELDS(T("once", "signed")));
    verdict = push_one(world, BRUNO, "note", CHANGE_UPDATE, id, base, LATER_US,
                       FIELDS(T("once", "signed")));
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    verdict = push_one(world, BRUNO, "note", CHANGE_UPDATE, id, base, LATER_US,
                       FIELDS(T("once", "other"), T("a", "kept")));
    expect_verdict(&verdict, VERDICT_PARKED, "written_once");
    expect_text(world, "SELECT once||a FROM note", "signedkept");
    assert_int_equal(integer(world, "SELECT count(*) FROM review_item WHERE kind='parked'"
                                    " AND instr(payload,'other')>0"),
                     1);
}

/* ---- natural keys ---- */

static void the_same_key_from_two_devices_becomes_one_row(void **state)
{
    struct world *world = *state;
    int64_t base = head(world);
    int64_t first = new_id(world, ANNA);
    int64_t second = new_id(world, BRUNO);
    struct message_verdict verdict;
    struct change changes[] = {
        make_change(world, "keyed", CHANGE_INSERT, second, base, LATER_US,
                    FIELDS(N("site_id", 10), T("k", "serial 1"), T("a", "bruno's"))),
        make_change(world, "keyed_item", CHANGE_INSERT, new_id(world, BRUNO), base, LATER_US,
                    FIELDS(N("keyed_id", second)))};

    (void)push_one(world, ANNA, "keyed", CHANGE_INSERT, first, base, EARLIER_US,
                   FIELDS(N("site_id", 10), T("k", "serial 1"), T("a", "anna's")));
    verdict = push(world, BRUNO, changes, 2);
    assert_int_equal(verdict.exception_count, 2);
    expect_verdict(&verdict.exceptions[0], VERDICT_MERGED, "natural_key_merged");
    assert_int_equal(verdict.exceptions[0].merged_into_id, first);
    assert_int_equal(verdict.exceptions[0].row.row_id, first);
    assert_int_equal(verdict.exceptions[1].kind, VERDICT_MERGED);
    expect_text(world, "SELECT group_concat(a) FROM keyed", "bruno's");
    expect_text(world, "SELECT lost FROM merge_loss", "anna's");
    assert_int_equal(integer(world, "SELECT keyed_id FROM keyed_item"), first);
    /* later work on the row that was merged away reaches the one that stayed */
    assert_int_equal(push_one(world, BRUNO, "keyed", CHANGE_UPDATE, second, head(world), LATER_US,
                              FIELDS(T("a", "still bruno's")))
                         .merged_into_id,
                     first);
    expect_text(world, "SELECT a FROM keyed", "still bruno's");
}

static void a_key_given_up_in_the_same_seal_is_free_again(void **state)
{
    struct world *world = *state;
    int64_t old_id = new_id(world, ANNA);
    int64_t id = new_id(world, ANNA);
    struct change changes[2];

    (void)push_one(world, ANNA, "keyed", CHANGE_INSERT, old_id, head(world), EARLIER_US,
                   FIELDS(N("site_id", 10), T("k", "s")));
    changes[0] = make_change(world, "keyed", CHANGE_DELETE, old_id, head(world), LATER_US, NULL);
    changes[1] = make_change(world, "keyed", CHANGE_INSERT, id, head(world), LATER_US,
                             FIELDS(N("site_id", 10), T("k", "s")));
    assert_int_equal(push(world, ANNA, changes, 2).exception_count, 0);
    assert_int_equal(integer(world, "SELECT id FROM keyed"), id);
    assert_int_equal(integer(world, "SELECT count(*) FROM keyed"), 1);
}

/* ---- deletes ---- */

static void a_delete_that_wins_keeps_the_values_it_had_not_seen(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);
    struct verdict verdict;

    (void)update_a(world, BRUNO, id, base, LATER_US, "unseen");
    verdict = push_one(world, ANNA, "note", CHANGE_DELETE, id, base, LATER_US, NULL);
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 0);
    expect_text(world, "SELECT lost||','||rule||','||user_id FROM merge_loss",
                "unseen,delete_wins,2");
    verdict = update_a(world, BRUNO, id, base, LATER_US, "after the end");
    expect_verdict(&verdict, VERDICT_GONE, "unknown_row");
    assert_true(verdict.is_row_gone);
    assert_int_equal(integer(world, "SELECT count(*) FROM review_item"
                                    " WHERE instr(payload,'after the end')>0"),
                     1);
}

static void an_unseen_edit_revives_what_a_delete_would_take(void **state)
{
    struct world *world = *state;
    int64_t id = new_id(world, ANNA);
    int64_t base;
    struct verdict verdict;

    (void)push_one(world, ANNA, "reviving", CHANGE_INSERT, id, head(world), EARLIER_US,
                   FIELDS(N("site_id", 10), T("a", "one")));
    base = head(world);
    (void)push_one(world, BRUNO, "reviving", CHANGE_UPDATE, id, base, LATER_US,
                   FIELDS(T("a", "two")));
    verdict = push_one(world, ANNA, "reviving", CHANGE_DELETE, id, base, LATER_US, NULL);
    expect_verdict(&verdict, VERDICT_OVERRULED, "older_edit");
    assert_true(verdict.has_row);
    verdict = push_one(world, ANNA, "reviving", CHANGE_DELETE, id, head(world), LATER_US, NULL);
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    verdict = push_one(world, BRUNO, "reviving", CHANGE_UPDATE, id, base, LATER_US,
                       FIELDS(N("site_id", 10), T("a", "back")));
    assert_int_equal(verdict.kind, VERDICT_APPLIED);
    expect_text(world, "SELECT a FROM reviving", "back");
}

static void a_parent_with_children_is_not_deleted(void **state)
{
    struct world *world = *state;
    int64_t parent = new_id(world, ANNA);
    int64_t child = new_id(world, ANNA);
    struct verdict verdict;
    struct change both[2];

    (void)push_one(world, ANNA, "parent", CHANGE_INSERT, parent, head(world), LATER_US,
                   FIELDS(N("site_id", 10)));
    (void)push_one(world, ANNA, "child", CHANGE_INSERT, child, head(world), LATER_US,
                   FIELDS(N("parent_id", parent)));
    verdict = push_one(world, ANNA, "parent", CHANGE_DELETE, parent, head(world), LATER_US, NULL);
    expect_verdict(&verdict, VERDICT_REFUSED, "bad_reference");
    assert_true(verdict.has_row);
    both[0] = make_change(world, "parent", CHANGE_DELETE, parent, head(world), LATER_US, NULL);
    both[1] = make_change(world, "child", CHANGE_DELETE, child, head(world), LATER_US, NULL);
    assert_int_equal(push(world, ANNA, both, 2).exception_count, 0);
    assert_int_equal(integer(world, "SELECT count(*) FROM parent"), 0);
}

static void deleting_what_is_gone_is_simply_done(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);

    (void)push_one(world, ANNA, "note", CHANGE_DELETE, id, head(world), LATER_US, NULL);
    assert_int_equal(
        push_one(world, BRUNO, "note", CHANGE_DELETE, id, head(world), LATER_US, NULL).kind,
        VERDICT_APPLIED);
}

/* ---- groups ---- */

static void a_refused_push_leaves_the_others_of_its_group_alone(void **state)
{
    struct world *world = *state;
    struct change good = make_change(world, "note", CHANGE_INSERT, new_id(world, ANNA), head(world),
                                     LATER_US, FIELDS(N("site_id", 10)));
    struct change bad = make_change(world, "note", CHANGE_INSERT, new_id(world, BRUNO), head(world),
                                    LATER_US, FIELDS(N("site_id", 10), N("b", 500)));
    struct job *garbage = make_job(world, JOB_PUSH, BRUNO);
    struct job *jobs[3];

    garbage->body = bytes_of("nonsense", 8);
    jobs[0] = garbage;
    jobs[1] = seal_job(world, BRUNO, &bad, 1);
    jobs[2] = seal_job(world, ANNA, &good, 1);
    kit_ok(world,
           master_write(world->master, jobs, 3, world->now, &world->outcome, &world->problem));
    assert_int_equal(jobs[0]->result, RESULT_MALFORMED);
    assert_int_equal(verdict_of(world, jobs[1]).exception_count, 1);
    assert_int_equal(verdict_of(world, jobs[2]).exception_count, 0);
    assert_int_equal(integer(world, "SELECT count(*) FROM note"), 1);
    for (int i = 0; i < 3; i++)
        job_destroy(jobs[i]);
}

/* They reach the database together, but each is judged by what those before it did. */
static void pushes_of_one_group_follow_each_other(void **state)
{
    struct world *world = *state;
    int64_t id = shared_note(world);
    int64_t base = head(world);
    struct change first = make_change(world, "note", CHANGE_UPDATE, id, base, LATER_US,
                                      FIELDS(T("a", "later"), N("b", 7)));
    struct change second = make_change(world, "note", CHANGE_UPDATE, id, base, LATER_US - 1,
                                       FIELDS(T("a", "earlier"), T("once", "mine")));
    struct job *jobs[] = {seal_job(world, BRUNO, &first, 1), seal_job(world, ANNA, &second, 1)};

    kit_ok(world,
           master_write(world->master, jobs, 2, world->now, &world->outcome, &world->problem));
    assert_int_equal(verdict_of(world, jobs[0]).exception_count, 0);
    assert_int_equal(verdict_of(world, jobs[1]).exception_count, 1);
    expect_text(world, "SELECT a || b || once FROM note", "later7mine");
    expect_text(world, "SELECT lost FROM merge_loss", "earlier");
    assert_int_equal(head(world), base + 3); /* two of the note, one of the loss */
    for (int i = 0; i < 2; i++)
        job_destroy(jobs[i]);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(accepted_changes_are_stored_and_counted),
        STORY(a_repeated_seal_gets_the_stored_verdicts_and_changes_nothing),
        STORY(the_same_seal_with_another_content_holds_the_replica),
        STORY(a_seal_that_leaves_one_out_waits_for_the_missing_one),
        STORY(garbage_is_malformed_and_leaves_no_trace),
        STORY(one_bad_change_at_the_head_of_a_seal_is_refused_alone),
        STORY(one_bad_change_in_the_middle_of_a_seal_is_refused_alone),
        STORY(one_bad_change_at_the_end_of_a_seal_is_refused_alone),
        STORY(a_unique_value_that_is_taken_refuses_that_change_only),
        STORY(a_refused_insert_takes_its_dependents_with_it),
        STORY(a_child_sealed_before_its_parent_is_accepted),
        STORY(an_insert_into_a_foreign_site_is_refused_and_audited),
        STORY(an_id_of_another_device_is_refused),
        STORY(a_table_without_a_grant_is_refused),
        STORY(a_row_in_the_name_of_a_colleague_is_refused_and_audited),
        STORY(facts_are_never_changed_or_deleted),
        STORY(a_state_written_by_a_device_does_not_count),
        STORY(a_held_replica_delivers_nothing),
        STORY(late_work_on_a_site_that_was_his_is_accepted),
        STORY(late_work_on_a_row_that_moved_away_is_accepted),
        STORY(daily_rescoping_does_not_disown_what_was_just_published),
        STORY(an_overruled_edit_is_kept_and_the_row_echoed),
        STORY(a_stored_value_that_loses_is_kept_for_its_author),
        STORY(an_informed_edit_beats_a_wrong_clock),
        STORY(a_clock_that_is_ahead_does_not_win_for_ever),
        STORY(columns_of_a_group_lose_together),
        STORY(a_different_second_writing_of_a_once_column_is_parked),
        STORY(the_same_key_from_two_devices_becomes_one_row),
        STORY(a_key_given_up_in_the_same_seal_is_free_again),
        STORY(a_delete_that_wins_keeps_the_values_it_had_not_seen),
        STORY(an_unseen_edit_revives_what_a_delete_would_take),
        STORY(a_parent_with_children_is_not_deleted),
        STORY(deleting_what_is_gone_is_simply_done),
        STORY(a_refused_push_leaves_the_others_of_its_group_alone),
        STORY(pushes_of_one_group_follow_each_other),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}

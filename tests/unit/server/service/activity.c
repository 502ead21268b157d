/* SPDX-License-Identifier: Apache-2.0 */
/* Work reported from devices, in order and out of it: the rules for stale events, on real rows. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/activity.h"
#include "tests/unit/server/service/bench.h"

/* Everything a technician does on one visit. */
static void work_through(struct bench *bench, int64_t id, int64_t by_id, int64_t version_n)
{
    (void)step(bench, id, "accept", by_id, version_n, "dispatched", AT(10));
    (void)step(bench, id, "depart", by_id, version_n, "accepted", AT(20));
    (void)step(bench, id, "arrive", by_id, version_n, "travelling", AT(100));
    (void)step(bench, id, "start", by_id, version_n, "on_site", AT(105));
    (void)session(bench, id, by_id, AT(105), AT(205));
    (void)step(bench, id, "finish", by_id, version_n, "working", AT(205));
}

static void a_visit_goes_from_dispatch_to_done_and_resolves_its_call(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "Perdita");
    int64_t visit = 0;

    assert_string_equal(call_state(bench, call), "new");
    visit = visit_for(bench, call, bench->mario);
    assert_string_equal(activity_state(bench, visit), "dispatched");
    assert_int_equal(technician_of(bench, visit), bench->mario);
    assert_int_equal(number(bench, "SELECT assign_version_n FROM activity WHERE id = ?1", visit, 0),
                     1);
    assert_string_equal(call_state(bench, call), "planned");
    (void)step(bench, visit, "accept", bench->mario, 1, "dispatched", AT(10));
    assert_string_equal(activity_state(bench, visit), "accepted");
    (void)step(bench, visit, "depart", bench->mario, 1, "accepted", AT(20));
    assert_string_equal(call_state(bench, call), "in_progress");
    (void)step(bench, visit, "arrive", bench->mario, 1, "travelling", AT(100));
    (void)step(bench, visit, "start", bench->mario, 1, "on_site", AT(105));
    (void)session(bench, visit, bench->mario, AT(105), AT(205));
    (void)step(bench, visit, "finish", bench->mario, 1, "working", AT(205));
    assert_string_equal(activity_state(bench, visit), "done");
    assert_string_equal(call_state(bench, call), "resolved");
    assert_int_equal(number(bench, "SELECT count(*) FROM review_item", 0, 0), 0);
}

static void an_accepted_event_says_with_what_right_and_in_which_order(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t event = step(bench, visit, "accept", bench->mario, 1, "dispatched", AT(10));

    assert_string_equal(text(bench, "SELECT by_roles FROM activity_event WHERE id = ?1", event, 0),
                        "technician");
    assert_int_equal(number(bench, "SELECT accepted_n FROM activity_event WHERE id = ?1", event, 0),
                     3);
    assert_string_equal(text(bench,
                             "SELECT group_concat(kind) FROM (SELECT kind FROM activity_event"
                             " WHERE activity_id = ?1 ORDER BY accepted_n)",
                             visit, 0),
                        "plan,dispatch,accept");
}

static void own_unplanned_work_is_born_accepted_and_stays_so_after_a_reassignment(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "a");
    int64_t visit = insert(bench, "activity", bench->mario,
                           FIELDS({"call_id", N(call)}, {"activity_type_id", N(bench->visit)},
                                  {"technician_id", N(bench->mario)}));

    assert_string_equal(activity_state(bench, visit), "accepted");
    (void)step(bench, visit, "depart", bench->mario, 0, "accepted", AT(10));
    assert_string_equal(activity_state(bench, visit), "travelling");
    (void)office_step(bench, visit, "reassign", bench->diana, bench->luigi, AT(20));
    assert_string_equal(activity_state(bench, visit), "dispatched");
    assert_int_equal(technician_of(bench, visit), bench->luigi);
    assert_int_equal(number(bench, "SELECT unplanned_by_id FROM activity WHERE id = ?1", visit, 0),
                     bench->mario);
}

static void another_program_reassigns_by_plain_sql(void **state)
{
    struct bench *bench = *state;
    const struct sql_options options = {.path = bench->path, .profile = SQL_PROFILE_SERVER};
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    struct sql_database *database = NULL;
    char sql[128];
    size_t count = 0;

    (void)snprintf(sql, sizeof sql, "UPDATE activity SET technician_id = %lld WHERE id = %lld",
                   (long long)bench->luigi, (long long)visit);
    assert_ok(bench, sql_open(&options, &database, &bench->problem));
    assert_ok(bench, sql_exec(database, sql, &bench->problem));
    sql_close(database);
    begin(bench);
    assert_ok(bench, work_adopt(bench->work, WORK_ADOPT_TOGETHER, &count, &bench->problem));
    commit(bench);
    assert_int_equal(technician_of(bench, visit), bench->luigi);
    assert_int_equal(number(bench, "SELECT assign_version_n FROM activity WHERE id = ?1", visit, 0),
                     2);
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM activity_event"
                            " WHERE activity_id = ?1 AND kind = 'reassign'",
                            visit, 0),
                     1);
}

static void history_that_was_imported_is_not_planned_again(void **state)
{
    struct bench *bench = *state;
    int64_t visit =
        insert(bench, "activity", 0,
               FIELDS({"call_id", N(call_new(bench, "old"))}, {"activity_type_id", N(bench->visit)},
                      {"technician_id", N(bench->mario)}, {"state", T("approved")}));

    assert_string_equal(activity_state(bench, visit), "approved");
    assert_int_equal(number(bench, "SELECT count(*) FROM activity_event", 0, 0), 0);
}

/* ---- stale events, row by row ---- */

static void row_1_work_beats_plan(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    (void)office_step(bench, visit, "reassign", bench->diana, bench->luigi, AT(5));
    assert_int_equal(technician_of(bench, visit), bench->luigi);
    (void)step(bench, visit, "start", bench->mario, 1, "on_site", AT(30));
    assert_int_equal(technician_of(bench, visit), bench->mario);
    assert_string_equal(activity_state(bench, visit), "working");
    assert_int_equal(number(bench, "SELECT assign_version_n FROM activity WHERE id = ?1", visit, 0),
                     3);
    assert_int_equal(reviews(bench, "work_beats_plan", "dispatcher"), 1);
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM review_item WHERE kind = 'notice'"
                            " AND role = 'technician' AND user_id = ?1 AND home = ?2",
                            bench->luigi, bucket_of(BUCKET_USER, bench->luigi)),
                     1);
}

static void row_2_a_double_visit_becomes_a_sibling_with_its_facts(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "a");
    int64_t visit = visit_for(bench, call, bench->mario);
    int64_t sibling = 0;
    int64_t fact = 0;

    (void)office_step(bench, visit, "reassign", bench->diana, bench->luigi, AT(5));
    work_through(bench, visit, bench->luigi, 2);
    fact = session(bench, visit, bench->mario, AT(30), AT(130));
    (void)step(bench, visit, "start", bench->mario, 1, "on_site", AT(30));
    (void)step(bench, visit, "finish", bench->mario, 1, "working", AT(130));
    sibling =
        number(bench, "SELECT id FROM activity WHERE branch_of_id = ?1 AND technician_id = ?2",
               visit, bench->mario);
    assert_true(sibling > 0);
    assert_string_equal(activity_state(bench, sibling), "done");
    assert_string_equal(activity_state(bench, visit), "done");
    assert_int_equal(technician_of(bench, visit), bench->luigi);
    assert_int_equal(number(bench, "SELECT count(*) FROM work_session WHERE id = ?1", fact, 0), 1);
    assert_int_equal(reviews(bench, "double_visit", "dispatcher"), 1);
    assert_int_equal(reviews(bench, "double_visit", "billing"), 1);
    assert_int_equal(number(bench, "SELECT count(*) FROM activity", 0, 0), 2);
    assert_string_equal(call_state(bench, call), "resolved");
}

static void row_3_an_answer_to_an_old_plan_is_absorbed_and_its_author_told(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    (void)office_step(bench, visit, "reassign", bench->diana, bench->luigi, AT(5));
    (void)step(bench, visit, "accept", bench->mario, 1, "dispatched", AT(10));
    assert_int_equal(technician_of(bench, visit), bench->luigi);
    assert_string_equal(activity_state(bench, visit), "dispatched");
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM review_item WHERE kind = 'notice'"
                            " AND reason_code = 'plan_changed' AND user_id = ?1",
                            bench->mario, 0),
                     1);
}

static void row_4_work_after_a_cancellation_counts_and_is_asked_about(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "a");
    int64_t visit = visit_for(bench, call, bench->mario);

    (void)office_step(bench, visit, "cancel", bench->diana, 0, AT(5));
    assert_string_equal(activity_state(bench, visit), "cancelled");
    (void)session(bench, visit, bench->mario, AT(10), AT(110));
    (void)step(bench, visit, "finish", bench->mario, 1, "working", AT(110));
    assert_string_equal(activity_state(bench, visit), "done");
    assert_string_equal(call_state(bench, call), "in_progress");
    assert_int_equal(reviews(bench, "done_after_cancel", "dispatcher"), 1);
    assert_int_equal(reviews(bench, "done_after_cancel", "billing"), 1);
    (void)office_step(bench, visit, "approve", bench->marta, 0, AT(200));
    assert_string_equal(call_state(bench, call), "resolved");
}

static void row_5_work_for_a_merged_call_goes_on_under_the_one_that_stays(void **state)
{
    struct bench *bench = *state;
    int64_t kept = call_new(bench, "kept");
    int64_t merged = call_new(bench, "merged");
    int64_t visit = visit_for(bench, merged, bench->mario);
    int64_t late = 0;

    (void)insert(bench, "call_event", bench->helga,
                 FIELDS({"call_id", N(merged)}, {"kind", T("duplicate")},
                        {"other_call_id", N(kept)}, {"occurred_at", N(AT(5))},
                        {"by_id", N(bench->helga)}));
    assert_string_equal(call_state(bench, merged), "duplicate");
    assert_int_equal(number(bench, "SELECT duplicate_of_id FROM call WHERE id = ?1", merged, 0),
                     kept);
    assert_int_equal(number(bench, "SELECT call_id FROM activity WHERE id = ?1", visit, 0), kept);
    (void)step(bench, visit, "accept", bench->mario, 1, "dispatched", AT(10));
    (void)step(bench, visit, "depart", bench->mario, 1, "accepted", AT(10));
    assert_string_equal(activity_state(bench, visit), "travelling");
    assert_string_equal(call_state(bench, kept), "in_progress");
    assert_string_equal(call_state(bench, merged), "duplicate");
    late = insert(bench, "activity", bench->mario,
                  FIELDS({"call_id", N(merged)}, {"activity_type_id", N(bench->visit)},
                         {"technician_id", N(bench->mario)}));
    assert_int_equal(number(bench, "SELECT call_id FROM activity WHERE id = ?1", late, 0), kept);
    (void)call_event(bench, merged, "cancel", bench->diana, AT(20));
    assert_string_equal(call_state(bench, merged), "duplicate");
}

static void row_6_own_times_replace_the_offices_estimate(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t estimate = insert(bench, "work_session", bench->marta,
                              FIELDS({"activity_id", N(visit)}, {"technician_id", N(bench->mario)},
                                     {"kind", T("work")}, {"started_at", N(AT(100))},
                                     {"ended_at", N(AT(200))}, {"source", T("estimate")}));

    (void)office_step(bench, visit, "finish", bench->marta, bench->mario, AT(300));
    assert_string_equal(activity_state(bench, visit), "done");
    (void)session(bench, visit, bench->mario, AT(110), AT(140));
    (void)step(bench, visit, "finish", bench->mario, 1, "working", AT(140));
    assert_string_equal(activity_state(bench, visit), "done");
    assert_int_equal(
        number(bench, "SELECT count(*) FROM work_session WHERE void_of_id = ?1", estimate, 0), 1);
}

static void row_7_the_same_step_twice_is_kept_twice_and_counts_once(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    (void)step(bench, visit, "accept", bench->mario, 1, "dispatched", AT(10));
    (void)step(bench, visit, "accept", bench->mario, 1, "dispatched", AT(12));
    assert_string_equal(activity_state(bench, visit), "accepted");
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM activity_event"
                            " WHERE activity_id = ?1 AND kind = 'accept'",
                            visit, 0),
                     2);
    assert_int_equal(number(bench, "SELECT count(*) FROM review_item", 0, 0), 0);
}

static void row_8_a_report_after_billing_is_kept_and_shown_to_billing(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t late = 0;

    (void)insert(bench, "work_session", bench->marta,
                 FIELDS({"activity_id", N(visit)}, {"technician_id", N(bench->mario)},
                        {"kind", T("work")}, {"started_at", N(AT(100))}, {"ended_at", N(AT(200))},
                        {"source", T("estimate")}));
    (void)office_step(bench, visit, "finish", bench->marta, bench->mario, AT(300));
    (void)office_step(bench, visit, "approve", bench->marta, 0, AT(301));
    (void)insert(
        bench, "activity_event", 0,
        FIELDS({"activity_id", N(visit)}, {"kind", T("price")}, {"occurred_at", N(AT(302))}));
    (void)office_step(bench, visit, "bill", bench->bruno, 0, AT(303));
    assert_string_equal(activity_state(bench, visit), "priced");
    late = step(bench, visit, "finish", bench->mario, 1, "working", AT(140));
    assert_string_equal(activity_state(bench, visit), "priced");
    assert_int_equal(reviews(bench, "work_after_billing", "billing"), 1);
    assert_int_equal(number(bench, "SELECT count(*) FROM activity_event WHERE id = ?1", late, 0),
                     1);
}

/* ---- what a person has to look at ---- */

static void row_15_time_taken_back_after_approval_is_stored_and_asked_about(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t early = 0;
    int64_t wrong = 0;

    early = session(bench, visit, bench->mario, AT(5), AT(6));
    work_through(bench, visit, bench->mario, 1);
    wrong = session(bench, visit, bench->mario, AT(210), AT(220));
    (void)insert(bench, "work_session", bench->mario,
                 FIELDS({"activity_id", N(visit)}, {"technician_id", N(bench->mario)},
                        {"kind", T("work")}, {"started_at", N(AT(5))}, {"ended_at", N(AT(6))},
                        {"void_of_id", N(early)}));
    assert_int_equal(reviews(bench, "correction_after_approval", "manager"), 0);
    (void)office_step(bench, visit, "approve", bench->marta, 0, AT(230));
    (void)insert(bench, "work_session", bench->mario,
                 FIELDS({"activity_id", N(visit)}, {"technician_id", N(bench->mario)},
                        {"kind", T("work")}, {"started_at", N(AT(210))}, {"ended_at", N(AT(220))},
                        {"void_of_id", N(wrong)}));
    assert_string_equal(activity_state(bench, visit), "approved"); /* by itself nothing moves */
    assert_int_equal(
        number(bench, "SELECT count(*) FROM work_session WHERE void_of_id = ?1", wrong, 0), 1);
    assert_int_equal(reviews(bench, "correction_after_approval", "manager"), 1);
}

static void a_finish_without_work_waits_for_the_session(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    (void)step(bench, visit, "finish", bench->mario, 1, "working", AT(200));
    assert_string_equal(activity_state(bench, visit), "dispatched");
    assert_int_equal(reviews(bench, "finish_without_work", "manager"), 1);
    (void)session(bench, visit, bench->mario, AT(100), AT(200));
    assert_string_equal(activity_state(bench, visit), "done");
    assert_int_equal(reviews(bench, "finish_without_work", "manager"), 0);
}

static void a_step_that_the_role_may_not_take_changes_nothing(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    (void)office_step(bench, visit, "cancel", bench->mario, 0, AT(10));
    assert_string_equal(activity_state(bench, visit), "dispatched");
    (void)step(bench, visit, "accept", bench->helga, 1, "dispatched", AT(10));
    assert_string_equal(activity_state(bench, visit), "dispatched");
}

static void an_event_of_a_newer_program_is_kept_and_shown(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    (void)step(bench, visit, "teleport", bench->mario, 1, "dispatched", AT(10));
    assert_string_equal(activity_state(bench, visit), "dispatched");
    assert_int_equal(reviews(bench, "check_failed", "manager"), 1);
}

static void running_the_reactions_again_changes_nothing(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t seq = 0;

    (void)office_step(bench, visit, "reassign", bench->diana, bench->luigi, AT(5));
    work_through(bench, visit, bench->luigi, 2);
    (void)session(bench, visit, bench->mario, AT(30), AT(130));
    (void)step(bench, visit, "finish", bench->mario, 1, "working", AT(130));
    (void)step(bench, visit, "reject", bench->mario, 1, "dispatched", AT(131));
    seq = bench->outcome.seq;
    begin(bench);
    assert_ok(bench, activity_refresh(bench->work, visit, &bench->problem));
    commit(bench);
    assert_int_equal(bench->outcome.seq, seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_visit_goes_from_dispatch_to_done_and_resolves_its_call),
        STORY(an_accepted_event_says_with_what_right_and_in_which_order),
        STORY(own_unplanned_work_is_born_accepted_and_stays_so_after_a_reassignment),
        STORY(another_program_reassigns_by_plain_sql),
        STORY(history_that_was_imported_is_not_planned_again),
        STORY(row_1_work_beats_plan),
        STORY(row_2_a_double_visit_becomes_a_sibling_with_its_facts),
        STORY(row_3_an_answer_to_an_old_plan_is_absorbed_and_its_author_told),
        STORY(row_4_work_after_a_cancellation_counts_and_is_asked_about),
        STORY(row_5_work_for_a_merged_call_goes_on_under_the_one_that_stays),
        STORY(row_6_own_times_replace_the_offices_estimate),
        STORY(row_7_the_same_step_twice_is_kept_twice_and_counts_once),
        STORY(row_8_a_report_after_billing_is_kept_and_shown_to_billing),
        STORY(row_15_time_taken_back_after_approval_is_stored_and_asked_about),
        STORY(a_finish_without_work_waits_for_the_session),
        STORY(a_step_that_the_role_may_not_take_changes_nothing),
        STORY(an_event_of_a_newer_program_is_kept_and_shown),
        STORY(running_the_reactions_again_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

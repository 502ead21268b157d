/* SPDX-License-Identifier: Apache-2.0 */
/* What the office does with calls, and what follows for a call from others' work. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/call.h"
#include "tests/unit/server/service/bench.h"

static int64_t open_call(struct bench *bench, int64_t by_id)
{
    const struct call_order order = {
        .party_id = bench->party, .subject = "Perdita d'acqua", .by_id = by_id};
    int64_t id = 0;

    begin(bench);
    assert_ok(bench, call_open(bench->work, &order, &id, &bench->problem));
    commit(bench);
    return id;
}

static int64_t assign(struct bench *bench, int64_t call_id, int64_t technician_id)
{
    const struct call_assignment assignment = {
        .call_id = call_id, .technician_id = technician_id, .by_id = bench->diana};
    int64_t id = 0;

    begin(bench);
    assert_ok(bench, call_assign(bench->work, &assignment, &id, &bench->problem));
    commit(bench);
    return id;
}

static enum result try_assign(struct bench *bench, int64_t call_id, int64_t technician_id,
                              int64_t by_id)
{
    const struct call_assignment assignment = {
        .call_id = call_id, .technician_id = technician_id, .by_id = by_id};
    enum result result;
    int64_t id = 0;

    begin(bench);
    result = call_assign(bench->work, &assignment, &id, &bench->problem);
    undo(bench);
    return result;
}

static void a_call_gets_the_next_number_of_the_year(void **state)
{
    struct bench *bench = *state;
    int64_t first = open_call(bench, bench->helga);
    int64_t second = open_call(bench, 0);

    assert_string_equal(text(bench, "SELECT number_text FROM call WHERE id = ?1", first, 0),
                        "C2026-000001");
    assert_string_equal(text(bench, "SELECT number_text FROM call WHERE id = ?1", second, 0),
                        "C2026-000002");
    assert_int_equal(number(bench, "SELECT next_n FROM number_series WHERE kind = 'call'", 0, 0),
                     3);
    assert_int_equal(number(bench, "SELECT site_id FROM call WHERE id = ?1", first, 0),
                     bench->site);
}

static void
a_number_that_a_device_gave_stays_and_one_that_was_imported_is_stepped_over(void **state)
{
    struct bench *bench = *state;
    int64_t device_call =
        insert(bench, "call", bench->mario,
               FIELDS({"number_text", T("T07-000123")}, {"channel", T("device")},
                      {"party_id", N(bench->party)}, {"subject", T("a")}, {"opened_at", N(AT(0))}));
    int64_t next = 0;

    assert_string_equal(text(bench, "SELECT number_text FROM call WHERE id = ?1", device_call, 0),
                        "T07-000123");
    (void)insert(bench, "call", 0,
                 FIELDS({"number_text", T("C2026-000001")}, {"channel", T("phone")},
                        {"party_id", N(bench->party)}, {"subject", T("a")},
                        {"opened_at", N(AT(0))}));
    next = open_call(bench, bench->helga);
    assert_string_equal(text(bench, "SELECT number_text FROM call WHERE id = ?1", next, 0),
                        "C2026-000002");
}

static void an_assignment_plans_a_visit_and_a_second_one_moves_it(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);
    int64_t visit = assign(bench, call, bench->mario);

    assert_string_equal(activity_state(bench, visit), "dispatched");
    assert_int_equal(technician_of(bench, visit), bench->mario);
    assert_string_equal(call_state(bench, call), "planned");
    assert_int_equal(assign(bench, call, bench->luigi), visit);
    assert_int_equal(technician_of(bench, visit), bench->luigi);
    assert_int_equal(number(bench, "SELECT assign_version_n FROM activity WHERE id = ?1", visit, 0),
                     2);
    assert_int_equal(
        number(bench, "SELECT count(*) FROM activity_event WHERE activity_id = ?1 AND by_id = ?2",
               visit, bench->diana),
        3);
}

static void nobody_takes_a_job_from_somebody_who_is_at_work(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);
    int64_t visit = assign(bench, call, bench->mario);

    (void)step(bench, visit, "accept", bench->mario, 1, "dispatched", AT(1));
    (void)step(bench, visit, "depart", bench->mario, 1, "accepted", AT(2));
    (void)step(bench, visit, "arrive", bench->mario, 1, "travelling", AT(3));
    (void)step(bench, visit, "start", bench->mario, 1, "on_site", AT(4));
    assert_int_equal(try_assign(bench, call, bench->luigi, bench->diana), RESULT_REFUSED);
    assert_non_null(strstr(bench->problem.text, "working"));
}

static void an_assignment_needs_the_right_a_technician_and_an_open_call(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);

    assert_int_equal(try_assign(bench, call, bench->mario, bench->helga), RESULT_REFUSED);
    assert_int_equal(try_assign(bench, call, bench->walter, bench->diana), RESULT_REFUSED);
    assert_int_equal(try_assign(bench, 4711, bench->mario, bench->diana), RESULT_REFUSED);
    (void)assign(bench, call, bench->mario);
    assert_int_equal(try_assign(bench, call, bench->mario, bench->diana), RESULT_REFUSED);
    begin(bench);
    assert_ok(bench, call_cancel(bench->work, call, "wrong number", bench->diana, &bench->problem));
    commit(bench);
    assert_int_equal(try_assign(bench, call, bench->luigi, bench->diana), RESULT_REFUSED);
    assert_int_equal(number(bench, "SELECT count(*) FROM review_item", 0, 0), 0);
}

static void a_cancelled_call_cancels_its_visits(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);
    int64_t visit = assign(bench, call, bench->mario);

    begin(bench);
    assert_ok(bench, call_cancel(bench->work, call, "solved itself", 0, &bench->problem));
    commit(bench);
    assert_string_equal(call_state(bench, call), "cancelled");
    assert_string_equal(activity_state(bench, visit), "cancelled");
}

static void only_a_resolved_call_is_closed(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);

    begin(bench);
    assert_int_equal(call_close(bench->work, call, NULL, bench->helga, &bench->problem),
                     RESULT_REFUSED);
    undo(bench);
    (void)call_event(bench, call, "answer", bench->helga, bench->now.us);
    assert_string_equal(call_state(bench, call), "resolved");
    bench->now.us += HOURS(1);
    begin(bench);
    assert_int_equal(call_close(bench->work, call, NULL, bench->mario, &bench->problem),
                     RESULT_REFUSED);
    undo(bench);
    begin(bench);
    assert_ok(bench, call_close(bench->work, call, NULL, bench->helga, &bench->problem));
    commit(bench);
    assert_string_equal(call_state(bench, call), "closed");
}

static void a_visit_after_the_answer_by_phone_is_kept_and_shown(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);
    int64_t visit = assign(bench, call, bench->mario);

    (void)call_event(bench, call, "answer", bench->helga, AT(30));
    assert_string_equal(call_state(bench, call), "resolved");
    assert_int_equal(reviews(bench, "answered_with_visit_open", "dispatcher"), 1);
    (void)session(bench, visit, bench->mario, AT(100), AT(200));
    (void)step(bench, visit, "finish", bench->mario, 1, "dispatched", AT(200));
    assert_string_equal(activity_state(bench, visit), "done");
    assert_string_equal(call_state(bench, call), "resolved");
    assert_int_equal(reviews(bench, "visit_after_close", "dispatcher"), 1);
    assert_int_equal(reviews(bench, "visit_after_close", "billing"), 1);
}

static void a_report_that_asks_for_more_opens_the_call_again(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);
    int64_t visit = assign(bench, call, bench->mario);

    (void)session(bench, visit, bench->mario, AT(100), AT(200));
    (void)step(bench, visit, "finish", bench->mario, 1, "dispatched", AT(200));
    assert_string_equal(call_state(bench, call), "resolved");
    (void)insert(
        bench, "activity_result", bench->mario,
        FIELDS({"activity_id", N(visit)}, {"outcome", T("provisional")}, {"is_follow_up", N(1)}));
    assert_string_equal(call_state(bench, call), "triaged");
}

static void a_call_event_without_the_right_changes_nothing(void **state)
{
    struct bench *bench = *state;
    int64_t call = open_call(bench, bench->helga);

    (void)call_event(bench, call, "cancel", bench->mario, AT(10));
    assert_string_equal(call_state(bench, call), "new");
    (void)call_event(bench, call, "explode", bench->helga, AT(10));
    assert_string_equal(call_state(bench, call), "new");
    assert_int_equal(reviews(bench, "check_failed", "manager"), 1);
}

static void lists_show_what_the_office_looks_for(void **state)
{
    struct bench *bench = *state;
    const struct call_filter of_mario = {.technician_id = bench->mario};
    const struct call_filter everything = {.is_all = true};
    int64_t call = open_call(bench, bench->helga);
    int64_t other = open_call(bench, bench->helga);
    struct store_result rows = {0};
    int64_t found = 0;

    (void)assign(bench, call, bench->mario);
    begin(bench);
    assert_ok(bench, call_cancel(bench->work, other, NULL, 0, &bench->problem));
    commit(bench);
    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, call_list(bench->store, &of_mario, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 1);
    assert_int_equal(rows.column_count, CALL_LIST_COLUMNS);
    assert_int_equal(store_integer_at(&rows, 0, 0, 0), call);
    assert_ok(bench, call_list(bench->store, &everything, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 2);
    assert_ok(bench,
              call_find(bench->store, "C2026-000002", &bench->arena, &found, &bench->problem));
    assert_int_equal(found, other);
    assert_int_equal(call_find(bench->store, "nothing", &bench->arena, &found, &bench->problem),
                     RESULT_REFUSED);
    assert_ok(bench, call_activities(bench->store, call, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 1);
    assert_int_equal(rows.column_count, CALL_ACTIVITY_COLUMNS);
    assert_ok(bench, call_history(bench->store, call, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 2);
    assert_int_equal(rows.column_count, CALL_HISTORY_COLUMNS);
    store_rollback(bench->store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_call_gets_the_next_number_of_the_year),
        STORY(a_number_that_a_device_gave_stays_and_one_that_was_imported_is_stepped_over),
        STORY(an_assignment_plans_a_visit_and_a_second_one_moves_it),
        STORY(nobody_takes_a_job_from_somebody_who_is_at_work),
        STORY(an_assignment_needs_the_right_a_technician_and_an_open_call),
        STORY(a_cancelled_call_cancels_its_visits),
        STORY(only_a_resolved_call_is_closed),
        STORY(a_visit_after_the_answer_by_phone_is_kept_and_shown),
        STORY(a_report_that_asks_for_more_opens_the_call_again),
        STORY(a_call_event_without_the_right_changes_nothing),
        STORY(lists_show_what_the_office_looks_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lost values and questions, and how people answer them. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/conflict.h"
#include "tests/unit/server/service/bench.h"

static enum result answer(struct bench *bench, int64_t id, enum conflict_answer answer)
{
    const struct conflict_order order = {
        .id = id, .answer = answer, .resolution = "seen", .by_id = bench->marta};
    enum result result;

    begin(bench);
    result = conflict_resolve(bench->work, &order, &bench->problem);
    if (result == RESULT_OK)
        commit(bench);
    else
        undo(bench);
    return result;
}

static int64_t lose(struct bench *bench, const char *table, int64_t row_id, const char *column,
                    const char *lost)
{
    return insert(bench, "merge_loss", 0,
                  FIELDS({"table_name", T(table)}, {"row_id", N(row_id)},
                         {"column_name", T(column)}, {"kept", T("kept")}, {"lost", T(lost)},
                         {"user_id", N(bench->mario)}, {"rule", T("last_writer")},
                         {"occurred_at", N(AT(0))}, {"home", N(bucket_of(BUCKET_OFFICE, 0))}));
}

static int64_t question(struct bench *bench)
{
    return insert(bench, "review_item", 0,
                  FIELDS({"kind", T("parked")}, {"table_name", T("call")},
                         {"reason_code", T("check_failed")}, {"reason_text", T("x")},
                         {"role", T("manager")}, {"created_at", N(AT(0))},
                         {"home", N(bucket_of(BUCKET_OFFICE, 0))}));
}

static void a_lost_value_is_written_again(void **state)
{
    struct bench *bench = *state;
    int64_t id = lose(bench, "site", bench->site, "name", "Cesena");

    assert_int_equal(answer(bench, id, CONFLICT_SETTLE), RESULT_REFUSED);
    assert_ok(bench, answer(bench, id, CONFLICT_REAPPLY));
    assert_string_equal(text(bench, "SELECT name FROM site WHERE id = ?1", bench->site, 0),
                        "Cesena");
    assert_string_equal(text(bench, "SELECT state FROM merge_loss WHERE id = ?1", id, 0),
                        "reapplied");
    assert_int_equal(answer(bench, id, CONFLICT_REAPPLY), RESULT_REFUSED);
}

static void a_lost_number_is_a_number_again_or_refused(void **state)
{
    struct bench *bench = *state;
    int64_t good = lose(bench, "site", bench->site, "base_km_m", "12500");
    int64_t bad = lose(bench, "site", bench->site, "base_km_m", "far");
    int64_t gone = lose(bench, "site", 4711, "name", "x");

    assert_ok(bench, answer(bench, good, CONFLICT_REAPPLY));
    assert_int_equal(number(bench, "SELECT base_km_m FROM site WHERE id = ?1", bench->site, 0),
                     12500);
    assert_int_equal(answer(bench, bad, CONFLICT_REAPPLY), RESULT_REFUSED);
    assert_int_equal(answer(bench, gone, CONFLICT_REAPPLY), RESULT_REFUSED);
    assert_ok(bench, answer(bench, bad, CONFLICT_DISCARD));
    assert_string_equal(text(bench, "SELECT state FROM merge_loss WHERE id = ?1", bad, 0),
                        "discarded");
}

static void a_question_is_answered_once_and_says_by_whom(void **state)
{
    struct bench *bench = *state;
    int64_t id = question(bench);

    assert_int_equal(answer(bench, id, CONFLICT_REAPPLY), RESULT_REFUSED);
    assert_ok(bench, answer(bench, id, CONFLICT_SETTLE));
    assert_int_equal(number(bench, "SELECT resolved_by_id FROM review_item WHERE id = ?1", id, 0),
                     bench->marta);
    assert_string_equal(text(bench, "SELECT resolution FROM review_item WHERE id = ?1", id, 0),
                        "seen");
    assert_int_equal(answer(bench, id, CONFLICT_DISCARD), RESULT_REFUSED);
    assert_int_equal(answer(bench, 4711, CONFLICT_DISCARD), RESULT_REFUSED);
}

static void both_kinds_stand_in_one_list(void **state)
{
    struct bench *bench = *state;
    const struct conflict_filter open = {.is_all = false};
    const struct conflict_filter all = {.is_all = true};
    const struct conflict_filter of_managers = {.role = "manager"};
    int64_t lost = lose(bench, "site", bench->site, "name", "Cesena");
    int64_t asked = question(bench);
    struct store_result rows = {0};

    assert_ok(bench, answer(bench, lost, CONFLICT_DISCARD));
    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, conflict_list(bench->store, &open, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 1);
    assert_int_equal(rows.column_count, CONFLICT_LIST_COLUMNS);
    assert_int_equal(store_integer_at(&rows, 0, 0, 0), asked);
    assert_ok(bench, conflict_list(bench->store, &all, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 2);
    assert_ok(bench,
              conflict_list(bench->store, &of_managers, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 1);
    assert_ok(bench, conflict_show(bench->store, lost, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.column_count, CONFLICT_SHOW_COLUMNS);
    assert_true(rows.row_count > 6);
    assert_int_equal(conflict_show(bench->store, 4711, &bench->arena, &rows, &bench->problem),
                     RESULT_REFUSED);
    store_rollback(bench->store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_lost_value_is_written_again),
        STORY(a_lost_number_is_a_number_again_or_refused),
        STORY(a_question_is_answered_once_and_says_by_whom),
        STORY(both_kinds_stand_in_one_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is personal about a customer goes; the rest stays, and so does everybody else's. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/erasure.h"
#include "tests/unit/server/service/bench.h"

struct scene {
    int64_t other_party, other_site;
    int64_t call, other_call, note, contact;
};

static int64_t call_of(struct bench *bench, int64_t party, int64_t site, const char *subject)
{
    return insert(bench, "call", bench->helga,
                  FIELDS({"channel", T("phone")}, {"party_id", N(party)}, {"site_id", N(site)},
                         {"subject", T(subject)}, {"description", T("of Maria")},
                         {"opened_at", N(bench->now.us)}, {"opened_by_id", N(bench->helga)}));
}

static struct scene scene_make(struct bench *bench)
{
    struct scene scene = {0};

    begin(bench);
    scene.other_party =
        insert_in(bench, "party", 0, FIELDS({"kind", T("customer")}, {"name", T("Verdi")}));
    scene.other_site = insert_in(bench, "site", 0,
                                 FIELDS({"party_id", N(scene.other_party)}, {"name", T("Pola")}));
    commit(bench);
    scene.call = call_of(bench, bench->party, bench->site, "No hot water");
    scene.other_call = call_of(bench, scene.other_party, scene.other_site, "Leak");
    begin(bench);
    scene.contact = insert_in(
        bench, "contact", 0,
        FIELDS({"party_id", N(bench->party)}, {"name", T("Maria")}, {"phone", T("0432 1")}));
    scene.note = insert_in(bench, "call_note", bench->helga,
                           FIELDS({"call_id", N(scene.call)}, {"visibility", T("internal")},
                                  {"body", T("call Maria")}, {"occurred_at", N(1)},
                                  {"by_id", N(bench->helga)}));
    commit(bench);
    return scene;
}

static struct erasure_plan plan_of(struct bench *bench, int64_t party_id, bool is_meant)
{
    struct erasure_plan plan = {0};

    begin(bench);
    assert_ok(bench, is_meant ? erasure_run(bench->work, party_id, &plan, &bench->problem)
                              : erasure_plan(bench->work, party_id, &plan, &bench->problem));
    commit(bench);
    return plan;
}

static void a_plan_changes_nothing_and_names_the_tables(void **state)
{
    struct bench *bench = *state;
    struct erasure_plan plan;
    int64_t head;

    (void)scene_make(bench);
    head = number(bench, "SELECT number FROM fs_state WHERE name = 'seq'", 0, 0);
    plan = plan_of(bench, bench->party, false);
    assert_int_equal(plan.item_count, 5); /* party, site, contact, call, call_note */
    assert_int_equal(plan.row_count, 5);
    assert_int_equal(number(bench, "SELECT number FROM fs_state WHERE name = 'seq'", 0, 0), head);
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_erasure", 0, 0), 0);
}

static void personal_columns_are_emptied_and_the_rest_stays(void **state)
{
    struct bench *bench = *state;
    struct scene scene = scene_make(bench);
    int64_t head;

    assert_int_equal(plan_of(bench, bench->party, true).row_count, 5);
    head = number(bench, "SELECT number FROM fs_state WHERE name = 'seq'", 0, 0);
    assert_string_equal(text(bench, "SELECT name FROM party WHERE id = ?1", bench->party, 0),
                        ERASURE_MARK);
    assert_string_equal(text(bench, "SELECT body FROM call_note WHERE id = ?1", scene.note, 0),
                        ERASURE_MARK);
    assert_int_equal(number(bench, "SELECT count(*) FROM contact WHERE phone IS NOT NULL", 0, 0),
                     0);
    assert_string_equal(text(bench, "SELECT channel FROM call WHERE id = ?1", scene.call, 0),
                        "phone");
    assert_string_equal(text(bench, "SELECT name FROM party WHERE id = ?1", scene.other_party, 0),
                        "Verdi");
    assert_string_equal(text(bench, "SELECT subject FROM call WHERE id = ?1", scene.other_call, 0),
                        "Leak");
    assert_int_equal(
        number(bench, "SELECT seq FROM fs_erasure WHERE party_id = ?1", bench->party, 0), head);
    assert_int_equal(
        number(bench, "SELECT count(*) FROM fs_audit WHERE event = 'customer_erased'", 0, 0), 1);
    assert_int_equal(plan_of(bench, bench->party, false).row_count, 0); /* nothing is left */
}

static void a_site_of_several_customers_is_refused(void **state)
{
    struct bench *bench = *state;
    struct scene scene = scene_make(bench);
    struct erasure_plan plan = {0};
    struct problem problem = {0};

    (void)call_of(bench, scene.other_party, bench->site, "At the neighbour's");
    begin(bench);
    assert_int_equal(erasure_run(bench->work, bench->party, &plan, &problem), RESULT_REFUSED);
    assert_non_null(strstr(problem.text, "another customer's"));
    assert_int_equal(erasure_run(bench->work, 99999, &plan, &problem), RESULT_REFUSED);
    undo(bench);
    assert_string_equal(text(bench, "SELECT name FROM party WHERE id = ?1", bench->party, 0),
                        "Rossi Srl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_plan_changes_nothing_and_names_the_tables),
        STORY(personal_columns_are_emptied_and_the_rest_stays),
        STORY(a_site_of_several_customers_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

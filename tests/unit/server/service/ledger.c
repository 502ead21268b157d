/* SPDX-License-Identifier: Apache-2.0 */
/* The laws of stock on real rows: uses, voids, counts, late facts, holds. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/ledger.h"
#include "tests/unit/server/service/bench.h"

#define PIECES(n) ((int64_t)(n)*1000)

static int64_t balance(struct bench *bench, int64_t place_id, int64_t item_id)
{
    int64_t found = number(bench,
                           "SELECT coalesce(sum(quantity_m), 0) FROM stock_balance"
                           " WHERE location_id = ?1 AND item_id = ?2",
                           place_id, item_id);

    assert_int_equal(number(bench, "SELECT coalesce(sum(quantity_m), 0) FROM stock_balance", 0, 0),
                     0);
    return found;
}

static int64_t place_of(struct bench *bench, const char *kind)
{
    char sql[96];

    (void)snprintf(sql, sizeof sql, "SELECT min(id) FROM location WHERE kind = '%s'", kind);
    return number(bench, sql, 0, 0);
}

/* A move that somebody writes as a plain row. */
static int64_t move(struct bench *bench, const char *kind, int64_t item_id, int64_t pieces,
                    int64_t from, int64_t to, int64_t at)
{
    return insert(bench, "stock_move", bench->walter,
                  FIELDS({"item_id", N(item_id)}, {"quantity_m", N(PIECES(pieces))},
                         {"from_location_id", N(from)}, {"to_location_id", N(to)},
                         {"ledger_location_id", N(from)}, {"kind", T(kind)}, {"occurred_at", N(at)},
                         {"by_id", N(bench->walter)}));
}

static void stock_up(struct bench *bench, int64_t place_id, int64_t item_id, int64_t pieces)
{
    int64_t supplier = place_of(bench, "supplier");

    if (supplier <= 0)
        supplier = insert(bench, "location", 0, FIELDS({"kind", T("supplier")}, {"name", T("s")}));
    (void)move(bench, "receive", item_id, pieces, supplier, place_id, AT(0));
}

static int64_t use(struct bench *bench, int64_t activity_id, int64_t by_id, int64_t item_id,
                   int64_t pieces, int64_t from, int64_t at)
{
    return insert(bench, "part_use", by_id,
                  FIELDS({"activity_id", N(activity_id)}, {"item_id", N(item_id)},
                         {"used_m", N(PIECES(pieces))}, {"from_location_id", N(from)},
                         {"occurred_at", N(at)}, {"by_id", N(by_id)}));
}

static int64_t count_place(struct bench *bench, int64_t place_id, int64_t item_id, int64_t pieces,
                           int64_t at)
{
    int64_t count = 0;

    begin(bench);
    count = insert_in(
        bench, "stock_count", bench->walter,
        FIELDS({"location_id", N(place_id)}, {"occurred_at", N(at)}, {"by_id", N(bench->walter)}));
    (void)insert_in(
        bench, "count_line", bench->walter,
        FIELDS({"count_id", N(count)}, {"item_id", N(item_id)}, {"counted_m", N(PIECES(pieces))}));
    commit(bench);
    return count;
}

static int64_t need(struct bench *bench, int64_t call_id, int64_t item_id, int64_t pieces)
{
    return insert(
        bench, "part_need", bench->diana,
        FIELDS({"call_id", N(call_id)}, {"item_id", N(item_id)}, {"needed_m", N(PIECES(pieces))}));
}

static int64_t held(struct bench *bench, int64_t need_id)
{
    return number(bench, "SELECT coalesce(sum(held_m), 0) FROM reservation WHERE part_need_id = ?1",
                  need_id, 0);
}

static int64_t missing(struct bench *bench, int64_t need_id)
{
    return number(bench,
                  "SELECT coalesce(sum(asked_m - held_m), 0) FROM reservation"
                  " WHERE part_need_id = ?1",
                  need_id, 0);
}

static const char *need_state(struct bench *bench, int64_t id)
{
    return text(bench, "SELECT state FROM part_need WHERE id = ?1", id, 0);
}

/* ---- use and void ---- */

static void a_part_used_is_exactly_one_move(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t part_use = 0;

    stock_up(bench, bench->van, bench->part, 12);
    part_use = use(bench, visit, bench->mario, bench->part, 2, bench->van, AT(100));
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(10));
    assert_int_equal(balance(bench, place_of(bench, "consumed"), bench->part), PIECES(2));
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM stock_move WHERE source_kind = 'part_use'"
                            " AND source_id = ?1 AND ledger_location_id = ?2 AND kind = 'use'",
                            part_use, bench->van),
                     1);
    assert_int_equal(
        number(bench, "SELECT count(*) FROM stock_move WHERE posted_seq IS NULL", 0, 0), 0);
    assert_int_equal(number(bench, "SELECT count(*) FROM review_item", 0, 0), 0);
}

static void a_use_taken_back_is_exactly_one_reverse(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t part_use = 0;

    stock_up(bench, bench->van, bench->part, 12);
    part_use = use(bench, visit, bench->mario, bench->part, 2, bench->van, AT(100));
    for (int i = 0; i < 2; i++) /* twice: by the technician and by the manager */
        (void)insert(bench, "part_use", bench->mario,
                     FIELDS({"activity_id", N(visit)}, {"item_id", N(bench->part)},
                            {"used_m", N(PIECES(2))}, {"from_location_id", N(bench->van)},
                            {"occurred_at", N(AT(110))}, {"by_id", N(bench->mario)},
                            {"void_of_id", N(part_use)}));
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(12));
    assert_int_equal(number(bench, "SELECT count(*) FROM stock_move WHERE kind = 'reverse'", 0, 0),
                     1);
}

static void two_technicians_use_the_last_board_of_one_van(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "a");
    int64_t mine = visit_for(bench, call, bench->mario);
    int64_t theirs = visit_for(bench, call, bench->luigi);

    stock_up(bench, bench->van, bench->part, 1);
    (void)use(bench, mine, bench->mario, bench->part, 1, bench->van, AT(100));
    (void)use(bench, theirs, bench->luigi, bench->part, 1, bench->van, AT(101));
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(-1));
    assert_int_equal(reviews(bench, "negative_stock", "warehouse"), 1);
    assert_int_equal(number(bench, "SELECT count(*) FROM part_use", 0, 0), 2);
}

static void a_serial_used_twice_is_posted_and_both_stories_are_shown(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t unit = insert(
        bench, "serial_unit", 0,
        FIELDS({"item_id", N(bench->board)}, {"serial", T("b-1")}, {"serial_normalised", T("B1")}));

    (void)insert(bench, "location", 0, FIELDS({"kind", T("supplier")}, {"name", T("s")}));
    (void)insert(bench, "stock_move", bench->walter,
                 FIELDS({"item_id", N(bench->board)}, {"serial_unit_id", N(unit)},
                        {"quantity_m", N(1000)},
                        {"from_location_id", N(place_of(bench, "supplier"))},
                        {"to_location_id", N(bench->van)}, {"ledger_location_id", N(bench->van)},
                        {"kind", T("receive")}, {"occurred_at", N(AT(0))}));
    for (int i = 0; i < 2; i++)
        (void)insert(bench, "part_use", bench->mario,
                     FIELDS({"activity_id", N(visit)}, {"item_id", N(bench->board)},
                            {"serial_unit_id", N(unit)}, {"used_m", N(1000)},
                            {"from_location_id", N(i == 0 ? bench->van : bench->other_van)},
                            {"occurred_at", N(AT(100 + i))}, {"by_id", N(bench->mario)}));
    assert_int_equal(balance(bench, bench->van, bench->board), 0);
    assert_int_equal(balance(bench, bench->other_van, bench->board), -1000);
    assert_int_equal(reviews(bench, "serial_conflict", "warehouse"), 1);
    assert_int_equal(reviews(bench, "serial_conflict", "manager"), 1);
}

static void a_part_without_its_serial_number_is_asked_about(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    stock_up(bench, bench->van, bench->board, 1);
    assert_int_equal(reviews(bench, "serial_missing", "warehouse"), 1);
    (void)use(bench, visit, bench->mario, bench->board, 1, bench->van, AT(100));
    assert_int_equal(reviews(bench, "serial_missing", "warehouse"), 2);
}

/* ---- counts ---- */

static void a_count_stays_true_when_an_earlier_use_arrives_late(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t loss = 0;

    stock_up(bench, bench->van, bench->part, 12);
    (void)count_place(bench, bench->van, bench->part, 9, AT(400));
    loss = place_of(bench, "loss");
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(9));
    assert_int_equal(balance(bench, loss, bench->part), PIECES(3));
    assert_int_equal(number(bench, "SELECT known_m FROM count_line", 0, 0), PIECES(12));
    assert_string_equal(text(bench, "SELECT state FROM stock_count", 0, 0), "posted");
    (void)use(bench, visit, bench->mario, bench->part, 2, bench->van, AT(100));
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(9));
    assert_int_equal(balance(bench, loss, bench->part), PIECES(1));
    (void)use(bench, visit, bench->mario, bench->part, 1, bench->van, AT(500));
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(8));
    assert_int_equal(balance(bench, loss, bench->part), PIECES(1));
}

static void a_count_that_agrees_pins_the_books_too(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);

    stock_up(bench, bench->van, bench->part, 5);
    (void)count_place(bench, bench->van, bench->part, 5, AT(400));
    (void)use(bench, visit, bench->mario, bench->part, 2, bench->van, AT(100));
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(5));
    assert_int_equal(balance(bench, place_of(bench, "loss"), bench->part), PIECES(-2));
}

static void use_and_count_of_one_push_give_what_was_counted(void **state)
{
    struct bench *bench = *state;
    int64_t visit = visit_for(bench, call_new(bench, "a"), bench->mario);
    int64_t count = 0;

    stock_up(bench, bench->van, bench->part, 12);
    begin(bench);
    (void)insert_in(bench, "part_use", bench->mario,
                    FIELDS({"activity_id", N(visit)}, {"item_id", N(bench->part)},
                           {"used_m", N(PIECES(2))}, {"from_location_id", N(bench->van)},
                           {"occurred_at", N(AT(100))}, {"by_id", N(bench->mario)}));
    count = insert_in(bench, "stock_count", bench->mario,
                      FIELDS({"location_id", N(bench->van)}, {"occurred_at", N(AT(400))},
                             {"by_id", N(bench->mario)}));
    (void)insert_in(
        bench, "count_line", bench->mario,
        FIELDS({"count_id", N(count)}, {"item_id", N(bench->part)}, {"counted_m", N(PIECES(9))}));
    commit(bench);
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(9));
    assert_int_equal(balance(bench, place_of(bench, "loss"), bench->part), PIECES(1));
    assert_int_equal(number(bench, "SELECT known_m FROM count_line", 0, 0), PIECES(10));
}

/* The whole day of one van, as the acceptance story has it. */
static void the_stock_of_one_day_with_three_devices(void **state)
{
    struct bench *bench = *state;
    int64_t other_item = 0;
    int64_t first = visit_for(bench, call_new(bench, "K1"), bench->mario);
    int64_t second = visit_for(bench, call_new(bench, "K2"), bench->mario);

    begin(bench);
    other_item = item(bench, "Q", 0);
    commit(bench);
    stock_up(bench, bench->van, bench->part, 12);
    stock_up(bench, bench->van, other_item, 4);
    (void)office_step(bench, second, "reassign", bench->diana, bench->luigi, AT(135));
    (void)count_place(bench, bench->van, bench->part, 9, AT(430));
    assert_int_equal(balance(bench, place_of(bench, "loss"), bench->part), PIECES(3));
    (void)step(bench, second, "start", bench->mario, 1, "on_site", AT(130));
    (void)use(bench, second, bench->mario, bench->part, 2, bench->van, AT(130));
    (void)session(bench, second, bench->mario, AT(130), AT(200));
    (void)step(bench, second, "finish", bench->mario, 1, "working", AT(200));
    (void)use(bench, first, bench->mario, other_item, 2, bench->van, AT(930));
    assert_int_equal(technician_of(bench, second), bench->mario);
    assert_string_equal(activity_state(bench, second), "done");
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(9));
    assert_int_equal(balance(bench, place_of(bench, "loss"), bench->part), PIECES(1));
    assert_int_equal(balance(bench, bench->van, other_item), PIECES(2));
}

/* ---- holds ---- */

static void the_first_need_is_held_and_the_second_is_short(void **state)
{
    struct bench *bench = *state;
    int64_t first = 0;
    int64_t second = 0;

    stock_up(bench, bench->warehouse, bench->part, 5);
    first = need(bench, call_new(bench, "a"), bench->part, 3);
    second = need(bench, call_new(bench, "b"), bench->part, 3);
    assert_int_equal(held(bench, first), PIECES(3));
    assert_int_equal(missing(bench, first), 0);
    assert_int_equal(held(bench, second), PIECES(2));
    assert_int_equal(missing(bench, second), PIECES(1));
    assert_string_equal(need_state(bench, first), "held");
    assert_string_equal(need_state(bench, second), "short");
    assert_int_equal(number(bench,
                            "SELECT free_m FROM stock_available"
                            " WHERE location_id = ?1 AND item_id = ?2",
                            bench->warehouse, bench->part),
                     0);
    assert_int_equal(balance(bench, bench->warehouse, bench->part), PIECES(5));
}

static void parts_that_arrive_go_to_who_waits_and_the_call_goes_on(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "a");
    int64_t wanted = 0;

    stock_up(bench, bench->warehouse, bench->part, 2);
    wanted = need(bench, call, bench->part, 3);
    (void)insert(bench, "call_event", bench->helga,
                 FIELDS({"call_id", N(call)}, {"kind", T("hold")}, {"waiting_for", T("parts")},
                        {"occurred_at", N(bench->now.us)}, {"by_id", N(bench->helga)}));
    assert_string_equal(call_state(bench, call), "waiting");
    bench->now.us += HOURS(1);
    stock_up(bench, bench->warehouse, bench->part, 1);
    assert_int_equal(held(bench, wanted), PIECES(3));
    assert_string_equal(need_state(bench, wanted), "held");
    assert_string_equal(call_state(bench, call), "new");
}

static void
row_9_a_part_held_for_another_call_may_be_used_and_that_call_is_planned_again(void **state)
{
    struct bench *bench = *state;
    int64_t robbed_call = call_new(bench, "a");
    int64_t visit = visit_for(bench, call_new(bench, "b"), bench->mario);
    int64_t robbed = 0;

    stock_up(bench, bench->warehouse, bench->part, 3);
    robbed = need(bench, robbed_call, bench->part, 3);
    (void)use(bench, visit, bench->mario, bench->part, 2, bench->warehouse, AT(100));
    assert_int_equal(held(bench, robbed), PIECES(1));
    assert_int_equal(missing(bench, robbed), PIECES(2));
    assert_string_equal(need_state(bench, robbed), "short");
    assert_int_equal(reviews(bench, "held_for_other_call", "warehouse"), 1);
    assert_int_equal(reviews(bench, "held_for_other_call", "dispatcher"), 2);
    assert_int_equal(reviews(bench, "held_for_other_call", "purchasing"), 2);
    stock_up(bench, bench->warehouse, bench->part, 2);
    assert_string_equal(need_state(bench, robbed), "held");
    assert_int_equal(held(bench, robbed), PIECES(3));
}

static void a_part_used_for_its_own_call_uses_up_the_hold(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "a");
    int64_t visit = visit_for(bench, call, bench->mario);
    int64_t wanted = 0;

    stock_up(bench, bench->warehouse, bench->part, 5);
    wanted = need(bench, call, bench->part, 2);
    (void)use(bench, visit, bench->mario, bench->part, 2, bench->warehouse, AT(100));
    assert_int_equal(held(bench, wanted), 0);
    assert_string_equal(need_state(bench, wanted), "used");
    assert_int_equal(number(bench, "SELECT count(*) FROM review_item", 0, 0), 0);
}

static void a_hold_that_a_person_releases_goes_to_the_next(void **state)
{
    struct bench *bench = *state;
    int64_t first = 0;
    int64_t second = 0;
    int64_t reservation = 0;

    stock_up(bench, bench->warehouse, bench->part, 3);
    first = need(bench, call_new(bench, "a"), bench->part, 3);
    second = need(bench, call_new(bench, "b"), bench->part, 2);
    reservation =
        number(bench, "SELECT min(id) FROM reservation WHERE part_need_id = ?1", first, 0);
    (void)insert(bench, "reservation_event", bench->diana,
                 FIELDS({"reservation_id", N(reservation)}, {"kind", T("release")},
                        {"delta_m", N(PIECES(-3))}, {"occurred_at", N(AT(100))},
                        {"by_id", N(bench->diana)}));
    assert_int_equal(held(bench, first), 0);
    assert_int_equal(held(bench, second), PIECES(2));
    assert_string_equal(need_state(bench, second), "held");
}

static void a_cancelled_call_gives_its_holds_back(void **state)
{
    struct bench *bench = *state;
    int64_t call = call_new(bench, "a");
    int64_t first = 0;
    int64_t second = 0;

    stock_up(bench, bench->warehouse, bench->part, 3);
    first = need(bench, call, bench->part, 3);
    second = need(bench, call_new(bench, "b"), bench->part, 3);
    assert_int_equal(held(bench, second), 0);
    (void)call_event(bench, call, "cancel", bench->diana, AT(100));
    assert_int_equal(held(bench, first), 0);
    assert_int_equal(held(bench, second), PIECES(3));
}

static void a_device_is_granted_what_is_there(void **state)
{
    struct bench *bench = *state;
    int64_t reservation = 0;

    stock_up(bench, bench->van, bench->part, 2);
    reservation = insert(bench, "reservation", bench->mario,
                         FIELDS({"item_id", N(bench->part)}, {"location_id", N(bench->van)},
                                {"asked_m", N(PIECES(3))}, {"by_id", N(bench->mario)}));
    assert_int_equal(number(bench, "SELECT held_m FROM reservation WHERE id = ?1", reservation, 0),
                     PIECES(2));
    assert_string_equal(text(bench, "SELECT state FROM reservation WHERE id = ?1", reservation, 0),
                        "held");
}

static void goods_issued_on_pick_go_to_the_van_and_are_held_there(void **state)
{
    struct bench *bench = *state;
    const struct work_field on_pick[] = {{"issue_mode", T("on_pick")}, {.name = NULL}};
    const struct author office = {.edited_at = bench->now};
    int64_t call = call_new(bench, "a");
    int64_t visit = visit_for(bench, call, bench->mario);
    int64_t wanted = 0;
    int64_t reservation = 0;

    begin(bench);
    assert_ok(bench, work_update_fields(bench->work, "item", bench->part, on_pick, &office,
                                        &bench->problem));
    commit(bench);
    stock_up(bench, bench->warehouse, bench->part, 5);
    wanted = insert(bench, "part_need", bench->diana,
                    FIELDS({"call_id", N(call)}, {"activity_id", N(visit)},
                           {"item_id", N(bench->part)}, {"needed_m", N(PIECES(2))}));
    reservation =
        number(bench, "SELECT min(id) FROM reservation WHERE part_need_id = ?1", wanted, 0);
    (void)insert(bench, "reservation_event", bench->walter,
                 FIELDS({"reservation_id", N(reservation)}, {"kind", T("pick")},
                        {"delta_m", N(PIECES(-2))}, {"occurred_at", N(AT(50))},
                        {"by_id", N(bench->walter)}));
    assert_int_equal(balance(bench, bench->warehouse, bench->part), PIECES(3));
    assert_int_equal(balance(bench, bench->van, bench->part), PIECES(2));
    assert_int_equal(held(bench, wanted), PIECES(2));
    assert_int_equal(number(bench,
                            "SELECT held_m FROM reservation"
                            " WHERE part_need_id = ?1 AND location_id = ?2",
                            wanted, bench->van),
                     PIECES(2));
    (void)use(bench, visit, bench->mario, bench->part, 2, bench->van, AT(100));
    assert_int_equal(balance(bench, bench->van, bench->part), 0);
    assert_string_equal(need_state(bench, wanted), "used");
}

/* ---- serials of machines ---- */

static void
a_second_machine_of_one_serial_number_is_a_duplicate_until_somebody_decides(void **state)
{
    struct bench *bench = *state;
    int64_t model =
        insert(bench, "asset_model", 0,
               FIELDS({"code", T("M1")}, {"name", T("Boiler")}, {"nature", T("machine")}));
    int64_t first = 0;
    int64_t second = 0;

    first = insert(bench, "asset", bench->mario,
                   FIELDS({"model_id", N(model)}, {"serial", T("ab-12 34")},
                          {"site_id", N(bench->site)}, {"owner_id", N(bench->party)}));
    second = insert(bench, "asset", bench->luigi,
                    FIELDS({"model_id", N(model)}, {"serial", T("AB 1234")},
                           {"site_id", N(bench->site)}, {"owner_id", N(bench->party)}));
    assert_string_equal(text(bench, "SELECT serial_normalised FROM asset WHERE id = ?1", first, 0),
                        "AB1234");
    assert_int_equal(number(bench, "SELECT duplicate_of_id FROM asset WHERE id = ?1", second, 0),
                     first);
    assert_int_equal(
        number(bench, "SELECT count(*) FROM asset WHERE duplicate_of_id IS NULL", 0, 0), 1);
    assert_int_equal(reviews(bench, "serial_known_elsewhere", "manager"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_part_used_is_exactly_one_move),
        STORY(a_use_taken_back_is_exactly_one_reverse),
        STORY(two_technicians_use_the_last_board_of_one_van),
        STORY(a_serial_used_twice_is_posted_and_both_stories_are_shown),
        STORY(a_part_without_its_serial_number_is_asked_about),
        STORY(a_count_stays_true_when_an_earlier_use_arrives_late),
        STORY(a_count_that_agrees_pins_the_books_too),
        STORY(use_and_count_of_one_push_give_what_was_counted),
        STORY(the_stock_of_one_day_with_three_devices),
        STORY(the_first_need_is_held_and_the_second_is_short),
        STORY(parts_that_arrive_go_to_who_waits_and_the_call_goes_on),
        STORY(row_9_a_part_held_for_another_call_may_be_used_and_that_call_is_planned_again),
        STORY(a_part_used_for_its_own_call_uses_up_the_hold),
        STORY(a_hold_that_a_person_releases_goes_to_the_next),
        STORY(a_cancelled_call_gives_its_holds_back),
        STORY(a_device_is_granted_what_is_there),
        STORY(goods_issued_on_pick_go_to_the_van_and_are_held_there),
        STORY(a_second_machine_of_one_serial_number_is_a_duplicate_until_somebody_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the warehouse asks for, and what it is refused. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/stock.h"
#include "tests/unit/server/service/bench.h"

#define PIECES(n) ((int64_t)(n)*1000)

static int64_t balance(struct bench *bench, int64_t place_id)
{
    assert_int_equal(number(bench, "SELECT coalesce(sum(quantity_m), 0) FROM stock_balance", 0, 0),
                     0);
    return number(bench,
                  "SELECT coalesce(sum(quantity_m), 0) FROM stock_balance"
                  " WHERE location_id = ?1 AND item_id = ?2",
                  place_id, bench->part);
}

static enum result load(struct bench *bench, int64_t pieces, int64_t from_id, int64_t to_id)
{
    const struct stock_order order = {.item_id = bench->part,
                                      .quantity_m = PIECES(pieces),
                                      .from_id = from_id,
                                      .to_id = to_id,
                                      .by_id = bench->walter};
    int64_t id = 0;
    enum result result;

    begin(bench);
    result = stock_load(bench->work, &order, &id, &bench->problem);
    if (result == RESULT_OK)
        commit(bench);
    else
        undo(bench);
    return result;
}

static enum result transfer(struct bench *bench, int64_t pieces, int64_t from_id, int64_t to_id)
{
    const struct stock_order order = {
        .item_id = bench->part, .quantity_m = PIECES(pieces), .from_id = from_id, .to_id = to_id};
    int64_t id = 0;
    enum result result;

    begin(bench);
    result = stock_transfer(bench->work, &order, &id, &bench->problem);
    if (result == RESULT_OK)
        commit(bench);
    else
        undo(bench);
    return result;
}

static void goods_come_from_the_supplier_and_go_onto_a_van(void **state)
{
    struct bench *bench = *state;

    assert_ok(bench, load(bench, 12, 0, bench->warehouse));
    assert_int_equal(balance(bench, bench->warehouse), PIECES(12));
    assert_ok(bench, load(bench, 5, 0, bench->van));
    assert_int_equal(balance(bench, bench->warehouse), PIECES(7));
    assert_int_equal(balance(bench, bench->van), PIECES(5));
    assert_string_equal(text(bench, "SELECT kind FROM stock_move ORDER BY id DESC LIMIT 1", 0, 0),
                        "load");
    assert_int_equal(number(bench, "SELECT count(*) FROM stock_move WHERE ledger_location_id = ?1",
                            bench->van, 0),
                     1);
}

static void a_warehouse_never_goes_below_zero_online(void **state)
{
    struct bench *bench = *state;

    assert_ok(bench, load(bench, 2, 0, bench->warehouse));
    assert_int_equal(load(bench, 3, 0, bench->van), RESULT_REFUSED);
    assert_int_equal(balance(bench, bench->warehouse), PIECES(2));
    assert_int_equal(number(bench, "SELECT count(*) FROM review_item", 0, 0), 0);
}

static void from_van_to_van_goes_through_transit(void **state)
{
    struct bench *bench = *state;

    assert_ok(bench, load(bench, 5, 0, bench->warehouse));
    assert_ok(bench, load(bench, 5, bench->warehouse, bench->van));
    assert_ok(bench, transfer(bench, 2, bench->van, bench->other_van));
    assert_int_equal(balance(bench, bench->van), PIECES(3));
    assert_int_equal(balance(bench, bench->other_van), PIECES(2));
    assert_int_equal(
        number(bench, "SELECT count(*) FROM stock_move WHERE kind LIKE 'transit%'", 0, 0), 2);
}

static void goods_go_back_and_are_scrapped(void **state)
{
    struct bench *bench = *state;
    int64_t supplier = 0;
    int64_t loss = insert(bench, "location", 0, FIELDS({"kind", T("loss")}, {"name", T("loss")}));

    assert_ok(bench, load(bench, 5, 0, bench->warehouse));
    supplier = number(bench, "SELECT id FROM location WHERE kind = 'supplier'", 0, 0);
    assert_ok(bench, transfer(bench, 1, bench->warehouse, supplier));
    assert_ok(bench, transfer(bench, 1, bench->warehouse, loss));
    assert_int_equal(balance(bench, bench->warehouse), PIECES(3));
    assert_int_equal(transfer(bench, 1, supplier, loss), RESULT_REFUSED);
    assert_int_equal(transfer(bench, 1, bench->warehouse, bench->warehouse), RESULT_REFUSED);
    assert_int_equal(transfer(bench, 0, bench->warehouse, bench->van), RESULT_REFUSED);
    assert_int_equal(transfer(bench, 1, bench->warehouse, 4711), RESULT_REFUSED);
}

static void a_count_at_the_office_posts_the_difference(void **state)
{
    struct bench *bench = *state;
    const struct stock_counted line = {.item_id = bench->part, .quantity_m = PIECES(9)};
    const struct stock_counted wrong = {.item_id = bench->part, .quantity_m = -1};
    int64_t id = 0;

    assert_ok(bench, load(bench, 12, 0, bench->warehouse));
    begin(bench);
    assert_ok(bench, stock_count_take(bench->work, bench->warehouse, 0, &line, 1, bench->walter,
                                      &id, &bench->problem));
    commit(bench);
    assert_int_equal(balance(bench, bench->warehouse), PIECES(9));
    begin(bench);
    assert_int_equal(stock_count_take(bench->work, bench->warehouse, 0, &wrong, 1, bench->walter,
                                      &id, &bench->problem),
                     RESULT_REFUSED);
    undo(bench);
    begin(bench);
    assert_int_equal(
        stock_count_take(bench->work, bench->warehouse, 0, &line, 1, 0, &id, &bench->problem),
        RESULT_REFUSED);
    undo(bench);
    assert_int_equal(number(bench, "SELECT count(*) FROM stock_count", 0, 0), 1);
}

static void names_find_items_and_places(void **state)
{
    struct bench *bench = *state;
    struct store_result rows = {0};
    int64_t id = 0;

    assert_ok(bench, load(bench, 3, 0, bench->warehouse));
    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, stock_find_item(bench->store, "P", &bench->arena, &id, &bench->problem));
    assert_int_equal(id, bench->part);
    assert_ok(bench, stock_find_place(bench->store, "Van 1", &bench->arena, &id, &bench->problem));
    assert_int_equal(id, bench->van);
    assert_ok(bench, stock_find_place(bench->store, "luigi", &bench->arena, &id, &bench->problem));
    assert_int_equal(id, bench->other_van);
    assert_int_equal(stock_find_place(bench->store, "Mars", &bench->arena, &id, &bench->problem),
                     RESULT_REFUSED);
    assert_int_equal(stock_find_item(bench->store, "?", &bench->arena, &id, &bench->problem),
                     RESULT_REFUSED);
    assert_ok(bench, stock_show(bench->store, 0, 0, &bench->arena, &rows, &bench->problem));
    assert_int_equal(rows.row_count, 1);
    assert_int_equal(rows.column_count, STOCK_SHOW_COLUMNS);
    assert_int_equal(store_integer_at(&rows, 0, 5, 0), PIECES(3));
    assert_int_equal(store_integer_at(&rows, 0, 6, 0), PIECES(3));
    store_rollback(bench->store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(goods_come_from_the_supplier_and_go_onto_a_van),
        STORY(a_warehouse_never_goes_below_zero_online),
        STORY(from_van_to_van_goes_through_transit),
        STORY(goods_go_back_and_are_scrapped),
        STORY(a_count_at_the_office_posts_the_difference),
        STORY(names_find_items_and_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

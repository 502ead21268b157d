/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/stock.h"

#include "base/number.h"
#include "server/service/ledger.h"
#include "server/service/place.h"
#include "server/service/rows.h"

#include <inttypes.h>

/* ---- moves ---- */

static enum result move_now(struct work *work, const struct stock_order *order,
                            enum stock_kind kind, int64_t from_id, int64_t to_id,
                            int64_t *ret_move_id, struct problem *problem)
{
    const struct ledger_entry entry = {
        .move = {.kind = kind,
                 .item_id = order->item_id,
                 .serial_id = order->serial_id,
                 .qty_m = order->quantity_m,
                 .from_id = from_id,
                 .to_id = to_id,
                 .occurred_at = order->occurred_at != 0 ? order->occurred_at : work_now(work).us},
        .by_id = order->by_id};
    enum result result = ledger_check(work, &entry, problem);

    if (result == RESULT_OK)
        result = ledger_post(work, &entry, ret_move_id, problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    return result;
}

/* The usual kind of a move between places of these kinds; false: there is none. */
static bool kind_between(enum stock_place_kind from, enum stock_place_kind to,
                         enum stock_kind *ret_kind)
{
    bool is_real = !stock_place_is_virtual(from) && !stock_place_is_virtual(to);
    bool is_shelf = from == STOCK_WAREHOUSE || from == STOCK_STAGING;

    if (from == STOCK_SUPPLIER && !stock_place_is_virtual(to))
        *ret_kind = STOCK_RECEIVE;
    else if (to == STOCK_SUPPLIER && !stock_place_is_virtual(from))
        *ret_kind = STOCK_SUPPLIER_RETURN;
    else if (to == STOCK_LOSS && !stock_place_is_virtual(from))
        *ret_kind = STOCK_SCRAP;
    else if (is_real && (from == STOCK_CUSTOMER_SITE || to == STOCK_CUSTOMER_SITE))
        *ret_kind = to == STOCK_CUSTOMER_SITE ? STOCK_LOAN_OUT : STOCK_LOAN_BACK;
    else if (is_shelf && to == STOCK_VAN)
        *ret_kind = STOCK_LOAD;
    else if (is_real && from == STOCK_VAN)
        *ret_kind = STOCK_UNLOAD;
    else if (is_real)
        *ret_kind = STOCK_TRANSFER;
    else
        return false;
    return true;
}

enum result stock_transfer(struct work *work, const struct stock_order *order, int64_t *ret_move_id,
                           struct problem *problem)
{
    enum stock_place_kind from = STOCK_WAREHOUSE;
    enum stock_place_kind to = STOCK_WAREHOUSE;
    enum stock_kind kind = STOCK_TRANSFER;
    int64_t transit_id = 0;
    enum result result = place_kind(work, order->from_id, &from, problem);

    if (result == RESULT_OK)
        result = place_kind(work, order->to_id, &to, problem);
    if (result != RESULT_OK)
        return result;
    if (from == STOCK_VAN && to == STOCK_VAN && order->from_id != order->to_id) {
        result = place_virtual(work, STOCK_IN_TRANSIT, &transit_id, problem);
        if (result == RESULT_OK)
            result = move_now(work, order, STOCK_TRANSIT_OUT, order->from_id, transit_id,
                              ret_move_id, problem);
        if (result == RESULT_OK)
            result = move_now(work, order, STOCK_TRANSIT_IN, transit_id, order->to_id, ret_move_id,
                              problem);
        return result;
    }
    if (!kind_between(from, to, &kind))
        return problem_set(problem, RESULT_REFUSED, "goods don't go from %s to %s by hand",
                           stock_place_kind_name(from), stock_place_kind_name(to));
    return move_now(work, order, kind, order->from_id, order->to_id, ret_move_id, problem);
}

enum result stock_load(struct work *work, const struct stock_order *order, int64_t *ret_move_id,
                       struct problem *problem)
{
    struct stock_order complete = *order;
    enum stock_place_kind to = STOCK_WAREHOUSE;
    enum result result = place_kind(work, order->to_id, &to, problem);

    if (result != RESULT_OK)
        return result;
    if (complete.from_id == 0 && to == STOCK_VAN) {
        result = query_integer(work, "SELECT min(id) FROM location WHERE kind = 'warehouse'", NULL,
                               0, 0, &complete.from_id, problem);
        if (result == RESULT_OK && complete.from_id == 0)
            result = problem_set(problem, RESULT_REFUSED,
                                 "there is no warehouse to load from: say the place");
    } else if (complete.from_id == 0) {
        result = place_virtual(work, STOCK_SUPPLIER, &complete.from_id, problem);
    }
    if (result == RESULT_OK)
        result = stock_transfer(work, &complete, ret_move_id, problem);
    return result;
}

/* ---- counts ---- */

enum result stock_count_take(struct work *work, int64_t place_id, int64_t occurred_at,
                             const struct stock_counted *lines, size_t line_count, int64_t by_id,
                             int64_t *ret_count_id, struct problem *problem)
{
    const struct author author = {.user_id = by_id, .edited_at = work_now(work)};
    enum stock_place_kind kind = STOCK_WAREHOUSE;
    const struct work_field head[] = {
        {"location_id", value_integer(place_id)},
        {"occurred_at", value_integer(occurred_at != 0 ? occurred_at : work_now(work).us)},
        {"by_id", value_id(by_id)},
        {.name = NULL}};
    int64_t count_id = 0;
    enum result result = place_kind(work, place_id, &kind, problem);

    if (result != RESULT_OK)
        return result;
    if (stock_place_is_virtual(kind))
        return problem_set(problem, RESULT_REFUSED, "nothing can be counted in a place of kind %s",
                           stock_place_kind_name(kind));
    if (by_id == 0)
        return problem_set(problem, RESULT_REFUSED, "a count says who has counted");
    result = work_insert_fields(work, "stock_count", head, &author, &count_id, problem);
    for (size_t i = 0; i < line_count && result == RESULT_OK; i++) {
        const struct work_field line[] = {{"count_id", value_integer(count_id)},
                                          {"item_id", value_integer(lines[i].item_id)},
                                          {"serial_unit_key", value_integer(lines[i].serial_id)},
                                          {"counted_m", value_integer(lines[i].quantity_m)},
                                          {.name = NULL}};

        if (lines[i].quantity_m < 0)
            return problem_set(problem, RESULT_REFUSED, "a count is never below zero");
        result = work_insert_fields(work, "count_line", line, &author, NULL, problem);
    }
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    if (result == RESULT_OK)
        *ret_count_id = count_id;
    return result;
}

/* ---- reading ---- */

enum result stock_find_item(struct store *store, const char *text, struct arena *arena,
                            int64_t *ret_item_id, struct problem *problem)
{
    const struct value key[] = {value_text_of(text), value_integer(number_or_zero(text))};
    struct store_result row = {0};
    enum result result = store_query(store,
                                     "SELECT id FROM item WHERE code = ?1 OR id = ?2"
                                     " ORDER BY CASE WHEN code = ?1 THEN 0 ELSE 1 END LIMIT 1",
                                     key, 2, arena, &row, problem);

    if (result == RESULT_OK && row.row_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "there is no item '%s'", text);
    if (result == RESULT_OK)
        *ret_item_id = store_integer_at(&row, 0, 0, 0);
    return result;
}

enum result stock_find_place(struct store *store, const char *text, struct arena *arena,
                             int64_t *ret_place_id, struct problem *problem)
{
    const struct value key[] = {value_text_of(text), value_integer(number_or_zero(text))};
    struct store_result rows = {0};
    enum result result = store_query(store,
                                     "SELECT l.id FROM location l"
                                     " LEFT JOIN app_user u ON u.id = l.holder_id"
                                     " WHERE l.name = ?1 OR u.login = ?1 OR l.id = ?2 LIMIT 2",
                                     key, 2, arena, &rows, problem);

    if (result == RESULT_OK && rows.row_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "there is no place '%s'", text);
    if (result == RESULT_OK && rows.row_count > 1)
        result = problem_set(problem, RESULT_REFUSED,
                             "more than one place is called '%s': say its id", text);
    if (result == RESULT_OK)
        *ret_place_id = store_integer_at(&rows, 0, 0, 0);
    return result;
}

enum result stock_show(struct store *store, int64_t place_id, int64_t item_id, struct arena *arena,
                       struct store_result *ret_rows, struct problem *problem)
{
    const struct value parameters[] = {value_integer(place_id), value_integer(item_id)};

    return store_query(store,
                       "SELECT l.name, i.code, i.name, i.unit_of_measure, n.serial, b.quantity_m,"
                       " CASE WHEN b.serial_unit_key = 0 AND b.owner_key = 0 THEN f.free_m END"
                       " FROM stock_balance b JOIN location l ON l.id = b.location_id"
                       " JOIN item i ON i.id = b.item_id"
                       " LEFT JOIN serial_unit n ON n.id = b.serial_unit_key"
                       " LEFT JOIN stock_available f"
                       "  ON f.location_id = b.location_id AND f.item_id = b.item_id"
                       " WHERE b.quantity_m <> 0 AND (?1 = 0 OR b.location_id = ?1)"
                       " AND (?2 = 0 OR b.item_id = ?2)"
                       " AND (?1 <> 0 OR l.kind NOT IN"
                       "  ('supplier', 'customer', 'loss', 'consumed', 'in_transit'))"
                       " ORDER BY l.name, i.code, n.serial",
                       parameters, 2, arena, ret_rows, problem);
}

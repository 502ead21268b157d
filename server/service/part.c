/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/part.h"

#include "server/service/ledger.h"
#include "server/service/place.h"
#include "server/service/review.h"
#include "server/service/rows.h"

#include <inttypes.h>

/* ---- parts fitted ---- */

/* A fact that cannot be a move: it stays where it is written, and somebody looks at it. */
static enum result park(struct work *work, const char *table_name, int64_t row_id, int64_t user_id,
                        enum reason reason, struct problem *problem)
{
    const struct review_request question = {.kind = "parked",
                                            .table_name = table_name,
                                            .row_id = row_id,
                                            .reason = reason,
                                            .roles = ROLE_WAREHOUSE,
                                            .user_id = user_id};

    return review_raise(work, &question, problem);
}

static enum result entry_of_use(struct work *work, const struct work_change *change,
                                struct ledger_entry *ret_entry, struct problem *problem)
{
    struct ledger_entry entry = {.move = {.kind = STOCK_USE,
                                          .item_id = change_integer(change, "item_id", 0),
                                          .serial_id = change_integer(change, "serial_unit_id", 0),
                                          .qty_m = change_integer(change, "used_m", 0),
                                          .from_id = change_integer(change, "from_location_id", 0),
                                          .occurred_at = change_integer(change, "occurred_at", 0)},
                                 .source_kind = "part_use",
                                 .source_id = change->row_id,
                                 .by_id = change_integer(change, "by_id", 0)};
    enum result result = place_virtual(work, STOCK_CONSUMED, &entry.move.to_id, problem);

    if (result == RESULT_OK)
        result = row_integer(work, "activity", change_integer(change, "activity_id", 0), "call_id",
                             0, &entry.call_id, problem);
    if (result == RESULT_OK)
        *ret_entry = entry;
    return result;
}

/* The move that a use was posted as; 0: not yet, or it was no fact. */
static enum result move_of_use(struct work *work, int64_t use_id, int64_t *ret_id,
                               struct problem *problem)
{
    const struct value use = value_integer(use_id);

    return query_integer(work,
                         "SELECT id FROM stock_move WHERE source_kind = 'part_use'"
                         " AND source_id = ?1 AND reverses_id IS NULL",
                         &use, 1, 0, ret_id, problem);
}

static enum result post_reverse(struct work *work, int64_t void_id, int64_t move_id,
                                struct problem *problem)
{
    const struct value id = value_integer(move_id);
    struct ledger_entry entry = {
        .source_kind = "part_use", .source_id = void_id, .reverses_id = move_id};
    struct stock_move move = {.kind = STOCK_USE};
    struct store_result row = {0};
    int64_t occurred_at = 0;
    enum result result = work_query(
        work,
        "SELECT item_id, serial_unit_id, owner_id, quantity_m, from_location_id, to_location_id,"
        " (SELECT count(*) FROM stock_move r WHERE r.reverses_id = ?1)"
        " FROM stock_move WHERE id = ?1",
        &id, 1, &row, problem);

    if (result != RESULT_OK || store_integer_at(&row, 0, 6, 0) > 0)
        return result;
    result = row_integer(work, "part_use", void_id, "occurred_at", 0, &occurred_at, problem);
    if (result == RESULT_OK)
        result = row_integer(work, "part_use", void_id, "by_id", 0, &entry.by_id, problem);
    if (result != RESULT_OK)
        return result;
    move.item_id = store_integer_at(&row, 0, 0, 0);
    move.serial_id = store_integer_at(&row, 0, 1, 0);
    move.owner_id = store_integer_at(&row, 0, 2, 0);
    move.qty_m = store_integer_at(&row, 0, 3, 0);
    move.from_id = store_integer_at(&row, 0, 4, 0);
    move.to_id = store_integer_at(&row, 0, 5, 0);
    entry.move = stock_reverse_of(&move, occurred_at);
    return ledger_post(work, &entry, NULL, problem);
}

/* A use that was taken back before it arrived here. */
static enum result follow_void(struct work *work, int64_t use_id, int64_t move_id,
                               struct problem *problem)
{
    const struct value use = value_integer(use_id);
    int64_t void_id = 0;
    enum result result = query_integer(work, "SELECT min(id) FROM part_use WHERE void_of_id = ?1",
                                       &use, 1, 0, &void_id, problem);

    if (result == RESULT_OK && void_id != 0)
        result = post_reverse(work, void_id, move_id, problem);
    return result;
}

static enum result take_void(struct work *work, const struct work_change *change,
                             int64_t void_of_id, struct problem *problem)
{
    int64_t move_id = 0;
    int64_t is_void_itself = 0;
    enum result result = move_of_use(work, void_of_id, &move_id, problem);

    if (result == RESULT_OK)
        result =
            row_integer(work, "part_use", void_of_id, "void_of_id", 0, &is_void_itself, problem);
    if (result == RESULT_OK && is_void_itself != 0)
        return park(work, "part_use", change->row_id, change_integer(change, "by_id", 0),
                    REASON_BAD_REFERENCE, problem);
    if (result == RESULT_OK && move_id != 0) /* otherwise the use follows, and finds this row */
        result = post_reverse(work, change->row_id, move_id, problem);
    return result;
}

enum result part_use_react(struct work *work, const struct work_change *change,
                           struct problem *problem)
{
    struct ledger_entry entry = {0};
    int64_t void_of_id = 0;
    int64_t move_id = 0;
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    void_of_id = change_integer(change, "void_of_id", 0);
    if (void_of_id != 0)
        return take_void(work, change, void_of_id, problem);
    result = move_of_use(work, change->row_id, &move_id, problem);
    if (result != RESULT_OK || move_id != 0)
        return result;
    result = entry_of_use(work, change, &entry, problem);
    if (result != RESULT_OK)
        return result;
    if (entry.move.from_id == entry.move.to_id)
        return park(work, "part_use", change->row_id, entry.by_id, REASON_SAME_PLACE, problem);
    if (entry.move.serial_id != 0 && entry.move.qty_m != 1000)
        return park(work, "part_use", change->row_id, entry.by_id, REASON_SERIAL_QUANTITY, problem);
    result = ledger_post(work, &entry, &move_id, problem);
    if (result == RESULT_OK)
        result = follow_void(work, change->row_id, move_id, problem);
    return result;
}

/* ---- counts ---- */

static enum result post_difference(struct work *work, const struct stock_key *key, int64_t adjust_m,
                                   int64_t counted_at, int64_t line_id, int64_t by_id,
                                   struct problem *problem)
{
    struct ledger_entry entry = {.source_kind = "count_line", .source_id = line_id, .by_id = by_id};
    int64_t loss_id = 0;
    enum result result;

    if (adjust_m == 0)
        return RESULT_OK;
    result = place_virtual(work, STOCK_LOSS, &loss_id, problem);
    if (result != RESULT_OK)
        return result;
    entry.move = stock_count_move(key, loss_id, adjust_m, counted_at);
    return ledger_post(work, &entry, NULL, problem);
}

static enum result write_known(struct work *work, int64_t line_id, int64_t count_id,
                               int64_t known_m, struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct work_field known[] = {{"known_m", value_integer(known_m)}, {.name = NULL}};
    const struct work_field posted[] = {{"state", value_text_of("posted")}, {.name = NULL}};
    enum result result = work_update_fields(work, "count_line", line_id, known, &server, problem);

    if (result == RESULT_OK)
        result = work_update_fields(work, "stock_count", count_id, posted, &server, problem);
    return result;
}

enum result count_line_react(struct work *work, const struct work_change *change,
                             struct problem *problem)
{
    int64_t count_id = 0;
    int64_t counted_at = 0;
    int64_t by_id = 0;
    int64_t known_before = 0;
    int64_t known_m = 0;
    int64_t adjust_m = 0;
    struct stock_key key = {0};
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    result = row_integer(work, "count_line", change->row_id, "known_m", INT64_MIN, &known_before,
                         problem);
    if (result != RESULT_OK || known_before != INT64_MIN)
        return result;
    count_id = change_integer(change, "count_id", 0);
    key.item_id = change_integer(change, "item_id", 0);
    key.serial_id = change_integer(change, "serial_unit_key", 0);
    result = row_integer(work, "stock_count", count_id, "location_id", 0, &key.place_id, problem);
    if (result == RESULT_OK)
        result = row_integer(work, "stock_count", count_id, "occurred_at", 0, &counted_at, problem);
    if (result == RESULT_OK)
        result = row_integer(work, "stock_count", count_id, "by_id", 0, &by_id, problem);
    if (result == RESULT_OK)
        result = ledger_balance(work, &key, counted_at, &known_m, problem);
    if (result != RESULT_OK)
        return result;
    if (stock_count_adjust(known_m, change_integer(change, "counted_m", 0), &adjust_m, problem) !=
        RESULT_OK)
        return park(work, "count_line", change->row_id, by_id, REASON_QUANTITY_NOT_POSITIVE,
                    problem);
    if (key.serial_id != 0 && adjust_m != 0 && adjust_m != 1000 && adjust_m != -1000)
        return park(work, "count_line", change->row_id, by_id, REASON_SERIAL_QUANTITY, problem);
    result = post_difference(work, &key, adjust_m, counted_at, change->row_id, by_id, problem);
    if (result == RESULT_OK)
        result = write_known(work, change->row_id, count_id, known_m, problem);
    return result;
}

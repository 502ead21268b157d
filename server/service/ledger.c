/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/ledger.h"

#include "base/invariant.h"
#include "server/service/place.h"
#include "server/service/reservation.h"
#include "server/service/review.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <string.h>

/* ---- what the books say ---- */

/* Only posted moves count: one that is still to be posted must not be seen by those before it. */
enum result ledger_balance(struct work *work, const struct stock_key *key, int64_t until_at,
                           int64_t *ret_qty_m, struct problem *problem)
{
    const struct value parameters[] = {value_integer(key->place_id), value_integer(key->item_id),
                                       value_integer(key->serial_id), value_integer(key->owner_id),
                                       value_integer(until_at)};

    return query_integer(
        work,
        "SELECT CAST(SUM(CASE WHEN to_location_id = ?1 THEN quantity_m ELSE -quantity_m END)"
        " AS BIGINT) FROM stock_move WHERE (to_location_id = ?1 OR from_location_id = ?1)"
        " AND item_id = ?2 AND COALESCE(serial_unit_id, 0) = ?3 AND COALESCE(owner_id, 0) = ?4"
        " AND occurred_at <= ?5 AND posted_seq IS NOT NULL",
        parameters, 5, 0, ret_qty_m, problem);
}

/* The real place where the books have this serial; 0: none. */
static enum result serial_place(struct work *work, int64_t serial_id, int64_t *ret_place_id,
                                struct problem *problem)
{
    const struct value serial = value_integer(serial_id);

    return query_integer(
        work,
        "SELECT x.place FROM"
        " (SELECT to_location_id AS place, quantity_m AS q FROM stock_move"
        "  WHERE serial_unit_id = ?1 AND posted_seq IS NOT NULL"
        "  UNION ALL SELECT from_location_id, -quantity_m FROM stock_move"
        "  WHERE serial_unit_id = ?1 AND posted_seq IS NOT NULL) x"
        " JOIN location l ON l.id = x.place"
        " WHERE l.kind NOT IN ('supplier', 'customer', 'loss', 'consumed', 'in_transit')"
        " GROUP BY x.place HAVING SUM(x.q) > 0 ORDER BY x.place LIMIT 1",
        &serial, 1, 0, ret_place_id, problem);
}

static enum result item_rules(struct work *work, int64_t item_id, struct stock_view *view,
                              struct problem *problem)
{
    const char *issue_mode = NULL;
    int64_t is_serialised = 0;
    enum result result = row_text(work, "item", item_id, "issue_mode", &issue_mode, problem);

    if (result == RESULT_OK)
        result = row_integer(work, "item", item_id, "is_serialised", 0, &is_serialised, problem);
    if (result != RESULT_OK)
        return result;
    if (issue_mode == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no item %" PRId64, item_id);
    view->issue_mode = strcmp(issue_mode, "on_pick") == 0 ? STOCK_ON_PICK : STOCK_ON_USE;
    view->is_serial_item = is_serialised != 0;
    return RESULT_OK;
}

static enum result view_of(struct work *work, const struct ledger_entry *entry, bool is_late_fact,
                           struct stock_view *ret_view, struct problem *problem)
{
    const struct stock_move *move = &entry->move;
    const struct stock_key key = {.place_id = move->from_id,
                                  .item_id = move->item_id,
                                  .serial_id = move->serial_id,
                                  .owner_id = move->owner_id};
    struct stock_view view = {.is_late_fact = is_late_fact};
    enum result result = place_kind(work, move->from_id, &view.from_kind, problem);

    if (result == RESULT_OK)
        result = place_kind(work, move->to_id, &view.to_kind, problem);
    if (result == RESULT_OK)
        result = item_rules(work, move->item_id, &view, problem);
    if (result == RESULT_OK)
        result = ledger_balance(work, &key, INT64_MAX, &view.from_balance_m, problem);
    if (result == RESULT_OK)
        result = reservation_held_other(work, entry->call_id, move->from_id, move->item_id,
                                        &view.held_other_m, problem);
    if (result == RESULT_OK && move->serial_id != 0)
        result = serial_place(work, move->serial_id, &view.serial_at_id, problem);
    if (result == RESULT_OK)
        *ret_view = view;
    return result;
}

enum result ledger_check(struct work *work, const struct ledger_entry *entry,
                         struct problem *problem)
{
    struct stock_view view = {0};
    struct stock_answer answer;
    enum result result = view_of(work, entry, false, &view, problem);

    if (result != RESULT_OK)
        return result;
    answer = stock_judge(&entry->move, &view);
    if (answer.answer == ANSWER_REFUSE)
        return problem_set(problem, RESULT_REFUSED, "%s", reason_english(answer.reason));
    return RESULT_OK;
}

/* ---- posting ---- */

/* Whose devices see the move: the van's if it touches one, else the place it comes from. */
static int64_t ledger_place(const struct stock_move *move, const struct stock_view *view)
{
    return view->from_kind != STOCK_VAN && view->to_kind == STOCK_VAN ? move->to_id : move->from_id;
}

static enum result insert_move(struct work *work, const struct ledger_entry *entry,
                               int64_t ledger_place_id, int64_t *ret_id, struct problem *problem)
{
    const struct author author = {.user_id = entry->by_id, .edited_at = work_now(work)};
    const struct stock_move *move = &entry->move;
    const struct work_field fields[] = {{"item_id", value_integer(move->item_id)},
                                        {"serial_unit_id", value_id(move->serial_id)},
                                        {"owner_id", value_id(move->owner_id)},
                                        {"quantity_m", value_integer(move->qty_m)},
                                        {"from_location_id", value_integer(move->from_id)},
                                        {"to_location_id", value_integer(move->to_id)},
                                        {"ledger_location_id", value_integer(ledger_place_id)},
                                        {"kind", value_text_of(stock_kind_name(move->kind))},
                                        {"source_kind", value_text_of(entry->source_kind)},
                                        {"source_id", value_id(entry->source_id)},
                                        {"occurred_at", value_integer(move->occurred_at)},
                                        {"by_id", value_id(entry->by_id)},
                                        {"device_id", value_id(entry->device_id)},
                                        {"reverses_id", value_id(entry->reverses_id)},
                                        {.name = NULL}};

    return work_insert_fields(work, "stock_move", fields, &author, ret_id, problem);
}

/* Gives the move its place in the order of posting. */
static enum result mark_posted(struct work *work, int64_t move_id, struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(work_catalog(work), "stock_move");
    const struct author server = rows_server(work);
    struct work_field fields[] = {{"posted_seq", value_null()}, {.name = NULL}};
    const struct stored_row *row = NULL;
    enum result result = work_row(work, table, move_id, &row, problem);

    if (result != RESULT_OK)
        return result;
    invariant(row != NULL);
    fields[0].value = value_integer(row->seq);
    return work_update_fields(work, "stock_move", move_id, fields, &server, problem);
}

static enum result ask_about(struct work *work, const struct ledger_entry *entry, int64_t move_id,
                             const struct stock_answer *answer, struct problem *problem)
{
    bool is_use = entry->source_kind != NULL && strcmp(entry->source_kind, "part_use") == 0;
    struct review_request question = {.table_name = is_use ? "part_use" : "stock_move",
                                      .row_id = is_use ? entry->source_id : move_id,
                                      .user_id = entry->by_id};
    enum result result = row_bucket(work, "stock_move", move_id, &question.home, problem);

    for (size_t i = 0; i < answer->review_count && result == RESULT_OK; i++) {
        question.reason = answer->reviews[i].reason;
        question.roles = answer->reviews[i].roles;
        result = review_raise(work, &question, problem);
    }
    if (result == RESULT_OK && answer->answer == ANSWER_REFUSE) {
        question.kind = "parked";
        question.reason = answer->reason;
        question.roles = ROLE_WAREHOUSE;
        result = review_raise(work, &question, problem);
    }
    return result;
}

/* Counts of the move's goods in a place that were posted already, of that time or later. */
static enum result pins_of(struct work *work, const struct stock_move *move, int64_t place_id,
                           struct stock_pin **ret_pins, size_t *ret_count, struct problem *problem)
{
    const struct value parameters[] = {value_integer(place_id), value_integer(move->item_id),
                                       value_integer(move->serial_id),
                                       value_integer(move->occurred_at)};
    struct store_result rows = {0};
    struct stock_pin *pins = NULL;
    enum result result = work_query(work,
                                    "SELECT c.occurred_at FROM stock_count c"
                                    " JOIN count_line l ON l.count_id = c.id"
                                    " WHERE c.location_id = ?1 AND l.item_id = ?2"
                                    " AND l.serial_unit_key = ?3 AND c.occurred_at >= ?4"
                                    " AND l.known_m IS NOT NULL",
                                    parameters, 4, &rows, problem);

    if (result != RESULT_OK)
        return result;
    pins = arena_array(work_arena(work), rows.row_count + 1, sizeof *pins);
    if (pins == NULL)
        return arena_full(work_arena(work), problem);
    for (size_t i = 0; i < rows.row_count; i++)
        pins[i].counted_at = store_integer_at(&rows, i, 0, 0);
    *ret_pins = pins;
    *ret_count = rows.row_count;
    return RESULT_OK;
}

/* Keeps what was counted in one place true although this move arrives only now. */
static enum result true_up(struct work *work, const struct stock_move *late, int64_t late_id,
                           int64_t place_id, struct problem *problem)
{
    struct ledger_entry entry = {.source_kind = "stock_move", .source_id = late_id};
    struct stock_view view = {0};
    struct stock_pin *pins = NULL;
    size_t pin_count = 0;
    int64_t loss_id = 0;
    int64_t id = 0;
    enum result result = pins_of(work, late, place_id, &pins, &pin_count, problem);

    if (result != RESULT_OK || pin_count == 0)
        return result;
    result = place_virtual(work, STOCK_LOSS, &loss_id, problem);
    if (result != RESULT_OK ||
        !stock_true_up(late, place_id, loss_id, pins, pin_count, &entry.move))
        return result;
    result = place_kind(work, entry.move.from_id, &view.from_kind, problem);
    if (result == RESULT_OK)
        result = place_kind(work, entry.move.to_id, &view.to_kind, problem);
    if (result == RESULT_OK)
        result = insert_move(work, &entry, ledger_place(&entry.move, &view), &id, problem);
    if (result == RESULT_OK)
        result = mark_posted(work, id, problem);
    return result;
}

static enum result true_up_both(struct work *work, const struct stock_move *move, int64_t move_id,
                                const struct stock_view *view, struct problem *problem)
{
    enum result result = RESULT_OK;

    if (move->owner_id != 0) /* counts are of our own goods */
        return RESULT_OK;
    if (!stock_place_is_virtual(view->from_kind))
        result = true_up(work, move, move_id, move->from_id, problem);
    if (result == RESULT_OK && !stock_place_is_virtual(view->to_kind))
        result = true_up(work, move, move_id, move->to_id, problem);
    return result;
}

/* Calls that hold these goods learn what is there now. */
static enum result follow_holds(struct work *work, const struct ledger_entry *entry,
                                const struct stock_view *view, struct problem *problem)
{
    const struct stock_move *move = &entry->move;
    enum result result = RESULT_OK;

    if (move->owner_id != 0)
        return RESULT_OK;
    if (entry->call_id != 0 && move->kind == STOCK_USE)
        result = reservation_consume(work, entry->call_id, move->from_id, move->item_id,
                                     move->qty_m, problem);
    if (result == RESULT_OK && !stock_place_is_virtual(view->from_kind))
        result = reservation_shrink(work, move->from_id, move->item_id, problem);
    if (result == RESULT_OK && !stock_place_is_virtual(view->to_kind))
        result = reservation_grow(work, move->to_id, move->item_id, problem);
    if (result == RESULT_OK && !stock_place_is_virtual(view->from_kind))
        result = reservation_grow(work, move->from_id, move->item_id, problem);
    return result;
}

static enum result post(struct work *work, const struct ledger_entry *entry, int64_t move_id,
                        const struct stock_view *view, const struct stock_answer *answer,
                        struct problem *problem)
{
    enum result result = mark_posted(work, move_id, problem);

    if (result == RESULT_OK)
        result = ask_about(work, entry, move_id, answer, problem);
    if (result == RESULT_OK)
        result = true_up_both(work, &entry->move, move_id, view, problem);
    if (result == RESULT_OK)
        result = follow_holds(work, entry, view, problem);
    if (result != RESULT_OK)
        problem_add(problem, "posting stock move %" PRId64, move_id);
    return result;
}

enum result ledger_post(struct work *work, const struct ledger_entry *entry, int64_t *ret_id,
                        struct problem *problem)
{
    struct stock_view view = {0};
    struct stock_answer answer;
    int64_t id = 0;
    enum result result = view_of(work, entry, true, &view, problem);

    if (result != RESULT_OK)
        return result;
    answer = stock_judge(&entry->move, &view);
    if (answer.answer == ANSWER_REFUSE)
        return problem_set(problem, RESULT_REFUSED, "%s", reason_english(answer.reason));
    result = insert_move(work, entry, ledger_place(&entry->move, &view), &id, problem);
    if (result == RESULT_OK)
        result = post(work, entry, id, &view, &answer, problem);
    if (result == RESULT_OK && ret_id != NULL)
        *ret_id = id;
    return result;
}

/* ---- moves that others have inserted ---- */

static enum result entry_of_change(struct work *work, const struct work_change *change,
                                   struct ledger_entry *ret_entry, bool *ret_is_known,
                                   struct problem *problem)
{
    struct ledger_entry entry = {.move = {.item_id = change_integer(change, "item_id", 0),
                                          .serial_id = change_integer(change, "serial_unit_id", 0),
                                          .owner_id = change_integer(change, "owner_id", 0),
                                          .qty_m = change_integer(change, "quantity_m", 0),
                                          .from_id = change_integer(change, "from_location_id", 0),
                                          .to_id = change_integer(change, "to_location_id", 0),
                                          .occurred_at = change_integer(change, "occurred_at", 0)},
                                 .source_id = change_integer(change, "source_id", 0),
                                 .reverses_id = change_integer(change, "reverses_id", 0),
                                 .by_id = change_integer(change, "by_id", 0)};
    const char *kind = NULL;
    enum result result = row_text(work, "stock_move", change->row_id, "kind", &kind, problem);

    if (result == RESULT_OK)
        result = row_text(work, "stock_move", change->row_id, "source_kind", &entry.source_kind,
                          problem);
    if (result != RESULT_OK)
        return result;
    *ret_is_known = kind != NULL && stock_kind_parse(kind, &entry.move.kind);
    *ret_entry = entry;
    return RESULT_OK;
}

enum result stock_move_react(struct work *work, const struct work_change *change,
                             struct problem *problem)
{
    struct ledger_entry entry = {0};
    struct stock_view view = {0};
    struct stock_answer answer = {.answer = ANSWER_REFUSE, .reason = REASON_CHECK_FAILED};
    bool is_known = false;
    int64_t posted_seq = 0;
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    result = row_integer(work, "stock_move", change->row_id, "posted_seq", 0, &posted_seq, problem);
    if (result != RESULT_OK || posted_seq != 0)
        return result;
    result = entry_of_change(work, change, &entry, &is_known, problem);
    if (result == RESULT_OK)
        result = view_of(work, &entry, true, &view, problem);
    if (result != RESULT_OK)
        return result;
    if (is_known) /* a kind of a newer program moves goods as well, but somebody should look */
        answer = stock_judge(&entry.move, &view);
    return post(work, &entry, change->row_id, &view, &answer, problem);
}

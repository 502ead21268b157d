/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/reservation.h"

#include "base/invariant.h"
#include "domain/stock.h"
#include "server/service/call_fold.h"
#include "server/service/ledger.h"
#include "server/service/place.h"
#include "server/service/review.h"
#include "server/service/rows.h"

#include <string.h>

#define NEXT_OF_RESERVATION                                                                        \
    "SELECT coalesce(max(accepted_n), 0) + 1 FROM reservation_event WHERE reservation_id = ?1"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- one hold ---- */

/* What lies in a place, of all serials, our own and posted. */
static enum result on_hand(struct work *work, int64_t place_id, int64_t item_id, int64_t *ret_qty_m,
                           struct problem *problem)
{
    const struct value key[] = {value_integer(place_id), value_integer(item_id)};

    return query_integer(
        work,
        "SELECT CAST(SUM(CASE WHEN to_location_id = ?1 THEN quantity_m ELSE -quantity_m END)"
        " AS BIGINT) FROM stock_move WHERE (to_location_id = ?1 OR from_location_id = ?1)"
        " AND item_id = ?2 AND owner_id IS NULL AND posted_seq IS NOT NULL",
        key, 2, 0, ret_qty_m, problem);
}

enum result reservation_held_other(struct work *work, int64_t call_id, int64_t place_id,
                                   int64_t item_id, int64_t *ret_held_m, struct problem *problem)
{
    const struct value key[] = {value_integer(place_id), value_integer(item_id),
                                value_integer(call_id)};

    return query_integer(work,
                         "SELECT CAST(SUM(r.held_m) AS BIGINT) FROM reservation r"
                         " LEFT JOIN part_need n ON n.id = r.part_need_id"
                         " WHERE r.location_id = ?1 AND r.item_id = ?2 AND r.state = 'held'"
                         " AND (n.call_id IS NULL OR n.call_id <> ?3)",
                         key, 3, 0, ret_held_m, problem);
}

static enum result note_event(struct work *work, int64_t reservation_id, const char *kind,
                              int64_t delta_m, struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct work_field fields[] = {{"reservation_id", value_integer(reservation_id)},
                                        {"kind", value_text_of(kind)},
                                        {"delta_m", value_integer(delta_m)},
                                        {"occurred_at", value_integer(work_now(work).us)},
                                        {.name = NULL}};

    return work_insert_fields(work, "reservation_event", fields, &server, NULL, problem);
}

static enum result set_hold(struct work *work, int64_t reservation_id, int64_t asked_m,
                            int64_t held_m, const char *state, struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct work_field fields[] = {{"asked_m", value_integer(asked_m)},
                                        {"held_m", value_integer(held_m)},
                                        {"state", value_text_of(state)},
                                        {.name = NULL}};

    return work_update_fields(work, "reservation", reservation_id, fields, &server, problem);
}

/* ---- one need ---- */

struct need {
    int64_t id;
    int64_t call_id;
    int64_t activity_id;
    int64_t item_id;
    int64_t needed_m;
    int64_t used_m; /* of what the call has used, this need's part */
    int64_t wanted_m;
    int64_t held_m;
};

struct hold {
    int64_t id;
    int64_t place_id;
    int64_t asked_m;
    int64_t held_m;
    bool is_released; /* by a person: not to be granted again */
};

static enum result read_need(struct work *work, int64_t need_id, struct need *ret_need,
                             struct problem *problem)
{
    const struct value id = value_integer(need_id);
    struct store_result row = {0};
    int64_t used = 0;
    enum result result = work_query(
        work,
        "SELECT n.call_id, n.activity_id, n.item_id, n.needed_m,"
        " CASE WHEN c.state IN ('cancelled', 'closed') THEN 1 ELSE 0 END,"
        " (SELECT CAST(SUM(u.used_m) AS BIGINT) FROM part_use u"
        "  JOIN activity a ON a.id = u.activity_id"
        "  WHERE a.call_id = n.call_id AND u.item_id = n.item_id AND u.void_of_id IS NULL"
        "  AND NOT EXISTS (SELECT 1 FROM part_use v WHERE v.void_of_id = u.id)),"
        " (SELECT CAST(SUM(o.needed_m) AS BIGINT) FROM part_need o"
        "  WHERE o.call_id = n.call_id AND o.item_id = n.item_id AND o.id < n.id)"
        " FROM part_need n JOIN call c ON c.id = n.call_id WHERE n.id = ?1",
        &id, 1, &row, problem);

    if (result != RESULT_OK)
        return result;
    *ret_need = (struct need){.id = need_id,
                              .call_id = store_integer_at(&row, 0, 0, 0),
                              .activity_id = store_integer_at(&row, 0, 1, 0),
                              .item_id = store_integer_at(&row, 0, 2, 0),
                              .needed_m = store_integer_at(&row, 0, 3, 0)};
    used = store_integer_at(&row, 0, 5, 0) - store_integer_at(&row, 0, 6, 0);
    ret_need->used_m = used <= 0 ? 0 : smaller(used, ret_need->needed_m);
    if (store_integer_at(&row, 0, 4, 0) == 0 && ret_need->needed_m > ret_need->used_m)
        ret_need->wanted_m = ret_need->needed_m - ret_need->used_m;
    return RESULT_OK;
}

/* Holds of a need, oldest first. */
static enum result read_holds(struct work *work, struct need *need, struct hold **ret_holds,
                              size_t *ret_count, struct problem *problem)
{
    const struct value id = value_integer(need->id);
    struct store_result rows = {0};
    struct hold *holds = NULL;
    enum result result =
        work_query(work,
                   "SELECT r.id, r.location_id, r.asked_m, r.held_m,"
                   " CASE WHEN r.state = 'released' AND EXISTS"
                   " (SELECT 1 FROM reservation_event e WHERE e.reservation_id = r.id"
                   "  AND e.kind = 'release' AND e.by_id IS NOT NULL) THEN 1 ELSE 0 END"
                   " FROM reservation r"
                   " WHERE r.part_need_id = ?1 AND r.state <> 'picked' ORDER BY r.id",
                   &id, 1, &rows, problem);

    if (result != RESULT_OK)
        return result;
    holds = arena_array(work_arena(work), rows.row_count + 1, sizeof *holds);
    if (holds == NULL)
        return arena_full(work_arena(work), problem);
    need->held_m = 0;
    for (size_t i = 0; i < rows.row_count; i++) {
        holds[i] = (struct hold){.id = store_integer_at(&rows, i, 0, 0),
                                 .place_id = store_integer_at(&rows, i, 1, 0),
                                 .asked_m = store_integer_at(&rows, i, 2, 0),
                                 .held_m = store_integer_at(&rows, i, 3, 0),
                                 .is_released = store_integer_at(&rows, i, 4, 0) != 0};
        need->held_m += holds[i].held_m;
    }
    *ret_holds = holds;
    *ret_count = rows.row_count;
    return RESULT_OK;
}

static enum result drop_from(struct work *work, struct need *need, struct hold *hold,
                             struct problem *problem)
{
    int64_t excess = smaller(need->held_m - need->wanted_m, hold->held_m);
    const char *state = need->used_m > 0 ? "consumed" : "released";
    enum result result;

    if (excess <= 0)
        return RESULT_OK;
    hold->held_m -= excess;
    hold->asked_m = hold->held_m;
    need->held_m -= excess;
    result = set_hold(work, hold->id, hold->held_m, hold->held_m, hold->held_m > 0 ? "held" : state,
                      problem);
    if (result == RESULT_OK)
        result =
            note_event(work, hold->id, need->used_m > 0 ? "consume" : "release", -excess, problem);
    return result;
}

/* Holds more than is wanted: the place of use gives first, then the oldest hold. */
static enum result drop_excess(struct work *work, struct need *need, struct hold *holds,
                               size_t count, int64_t used_at_id, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < count && result == RESULT_OK; i++)
        if (holds[i].place_id == used_at_id)
            result = drop_from(work, need, &holds[i], problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++)
        result = drop_from(work, need, &holds[i], problem);
    return result;
}

static enum result insert_hold(struct work *work, const struct need *need, int64_t place_id,
                               int64_t asked_m, int64_t held_m, int64_t *ret_id,
                               struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct work_field fields[] = {{"part_need_id", value_integer(need->id)},
                                        {"item_id", value_integer(need->item_id)},
                                        {"location_id", value_integer(place_id)},
                                        {"asked_m", value_integer(asked_m)},
                                        {"held_m", value_integer(held_m)},
                                        {"state", value_text_of(held_m > 0 ? "held" : "short")},
                                        {.name = NULL}};

    return work_insert_fields(work, "reservation", fields, &server, ret_id, problem);
}

static struct hold *hold_at(struct hold *holds, size_t count, int64_t place_id)
{
    for (size_t i = 0; i < count; i++)
        if (holds[i].place_id == place_id)
            return &holds[i];
    return NULL;
}

/* Holds as much as one place has free. */
static enum result grant_at(struct work *work, struct need *need, struct hold *hold,
                            int64_t place_id, struct problem *problem)
{
    struct stock_grant grant = {0};
    int64_t here_m = 0;
    int64_t held_m = 0;
    int64_t id = 0;
    enum result result = on_hand(work, place_id, need->item_id, &here_m, problem);

    if (result == RESULT_OK)
        result = reservation_held_other(work, 0, place_id, need->item_id, &held_m, problem);
    if (result != RESULT_OK)
        return result;
    grant = stock_grant_of(here_m, held_m, need->wanted_m - need->held_m);
    if (grant.held_m == 0)
        return RESULT_OK;
    need->held_m += grant.held_m;
    if (hold != NULL) {
        id = hold->id;
        hold->held_m += grant.held_m;
        hold->asked_m = hold->held_m;
        result = set_hold(work, id, hold->held_m, hold->held_m, "held", problem);
    } else {
        result = insert_hold(work, need, place_id, grant.held_m, grant.held_m, &id, problem);
    }
    if (result == RESULT_OK)
        result = note_event(work, id, "grant", grant.held_m, problem);
    return result;
}

/* Places that may give, in order: the technician's van, then warehouses. */
static enum result places_for(struct work *work, const struct need *need, int64_t **ret_places,
                              size_t *ret_count, struct problem *problem)
{
    struct store_result rows = {0};
    int64_t technician_id = 0;
    int64_t van_id = 0;
    int64_t *places = NULL;
    size_t count = 0;
    enum result result =
        work_query(work, "SELECT id FROM location WHERE kind = 'warehouse' ORDER BY id", NULL, 0,
                   &rows, problem);

    if (result == RESULT_OK && need->activity_id != 0)
        result = row_integer(work, "activity", need->activity_id, "technician_id", 0,
                             &technician_id, problem);
    if (result == RESULT_OK && technician_id != 0)
        result = place_van_of(work, technician_id, &van_id, problem);
    if (result != RESULT_OK)
        return result;
    places = arena_array(work_arena(work), rows.row_count + 1, sizeof *places);
    if (places == NULL)
        return arena_full(work_arena(work), problem);
    if (van_id != 0)
        places[count++] = van_id;
    for (size_t i = 0; i < rows.row_count; i++)
        places[count++] = store_integer_at(&rows, i, 0, 0);
    *ret_places = places;
    *ret_count = count;
    return RESULT_OK;
}

/* Exactly one reservation shows what is missing: the first that holds something, else the first of
 * the need, else a new one at the first warehouse. */
static enum result show_short(struct work *work, const struct need *need, int64_t place_id,
                              struct problem *problem)
{
    struct need again = *need;
    struct hold *holds = NULL;
    size_t count = 0;
    struct hold *shown = NULL;
    const char *done = need->used_m > 0 ? "consumed" : "released";
    int64_t short_m = need->wanted_m - need->held_m;
    enum result result = read_holds(work, &again, &holds, &count, problem);

    for (size_t i = 0; i < count; i++)
        if (!holds[i].is_released && (shown == NULL || (shown->held_m == 0 && holds[i].held_m > 0)))
            shown = &holds[i];
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        int64_t asked = holds[i].held_m + (&holds[i] == shown ? short_m : 0);

        if (!holds[i].is_released && holds[i].asked_m != asked)
            result = set_hold(work, holds[i].id, asked, holds[i].held_m,
                              holds[i].held_m > 0 ? "held"
                              : asked > 0         ? "short"
                                                  : done,
                              problem);
    }
    if (result == RESULT_OK && shown == NULL && short_m > 0 && place_id != 0)
        result = insert_hold(work, need, place_id, short_m, 0, NULL, problem);
    return result;
}

static enum result write_need(struct work *work, const struct need *need, struct problem *problem)
{
    const struct author server = rows_server(work);
    const char *state = need->needed_m > 0 && need->used_m >= need->needed_m ? "used"
                        : need->wanted_m == 0                                ? "cancelled"
                        : need->held_m >= need->wanted_m                     ? "held"
                                                                             : "short";
    const struct work_field fields[] = {{"state", value_text_of(state)}, {.name = NULL}};
    const struct value call = value_integer(need->call_id);
    const char *before = NULL;
    int64_t short_count = 0;
    enum result result = row_text(work, "part_need", need->id, "state", &before, problem);

    if (result == RESULT_OK)
        result = work_update_fields(work, "part_need", need->id, fields, &server, problem);
    if (result != RESULT_OK || strcmp(state, "held") != 0 || strcmp(before, "short") != 0)
        return result;
    result = query_integer(work,
                           "SELECT count(*) FROM part_need WHERE call_id = ?1"
                           " AND state IN ('short', 'open', 'ordered')",
                           &call, 1, 0, &short_count, problem);
    if (result == RESULT_OK && short_count == 0)
        result = call_release(work, need->call_id, problem);
    return result;
}

/* Brings the holds of a need to what it wants and what there is. Again changes nothing. */
static enum result plan_need(struct work *work, int64_t need_id, int64_t used_at_id,
                             struct need *ret_need, struct problem *problem)
{
    struct need need = {0};
    struct hold *holds = NULL;
    int64_t *places = NULL;
    size_t hold_count = 0;
    size_t place_count = 0;
    enum result result = read_need(work, need_id, &need, problem);

    if (result == RESULT_OK)
        result = read_holds(work, &need, &holds, &hold_count, problem);
    if (result == RESULT_OK)
        result = drop_excess(work, &need, holds, hold_count, used_at_id, problem);
    if (result == RESULT_OK)
        result = places_for(work, &need, &places, &place_count, problem);
    for (size_t i = 0; i < place_count && result == RESULT_OK && need.held_m < need.wanted_m; i++) {
        struct hold *hold = hold_at(holds, hold_count, places[i]);

        if (hold == NULL || !hold->is_released)
            result = grant_at(work, &need, hold, places[i], problem);
    }
    if (result == RESULT_OK)
        result = show_short(work, &need, place_count > 0 ? places[place_count - 1] : 0, problem);
    if (result == RESULT_OK)
        result = write_need(work, &need, problem);
    if (result == RESULT_OK && ret_need != NULL)
        *ret_need = need;
    return result;
}

/* ---- stock went up or down ---- */

static enum result plan_all(struct work *work, const char *sql, const struct value *parameters,
                            size_t parameter_count, int64_t used_at_id, struct problem *problem)
{
    struct store_result ids = {0};
    enum result result = work_query(work, sql, parameters, parameter_count, &ids, problem);

    for (size_t i = 0; i < ids.row_count && result == RESULT_OK; i++)
        result = plan_need(work, store_integer_at(&ids, i, 0, 0), used_at_id, NULL, problem);
    return result;
}

enum result reservation_consume(struct work *work, int64_t call_id, int64_t place_id,
                                int64_t item_id, int64_t used_m, struct problem *problem)
{
    const struct value key[] = {value_integer(call_id), value_integer(item_id)};

    invariant(used_m > 0);
    return plan_all(work,
                    "SELECT id FROM part_need WHERE call_id = ?1 AND item_id = ?2 ORDER BY id", key,
                    2, place_id, problem);
}

enum result reservation_follow_call(struct work *work, int64_t call_id, struct problem *problem)
{
    const struct value call = value_integer(call_id);
    struct store_result items = {0};
    enum result result = work_query(work,
                                    "SELECT DISTINCT item_id FROM part_need WHERE call_id = ?1"
                                    " ORDER BY item_id",
                                    &call, 1, &items, problem);

    if (result == RESULT_OK)
        result = plan_all(work,
                          "SELECT id FROM part_need WHERE call_id = ?1"
                          " AND state <> 'used' ORDER BY id",
                          &call, 1, 0, problem);
    for (size_t i = 0; i < items.row_count && result == RESULT_OK; i++)
        result = reservation_grow(work, 0, store_integer_at(&items, i, 0, 0), problem);
    return result;
}

/* Stand-alone reservations that are short, oldest first. */
static enum result grow_free(struct work *work, int64_t place_id, int64_t item_id,
                             struct problem *problem)
{
    const struct value key[] = {value_integer(place_id), value_integer(item_id)};
    struct store_result rows = {0};
    enum result result = work_query(work,
                                    "SELECT id, asked_m, held_m FROM reservation"
                                    " WHERE location_id = ?1 AND item_id = ?2"
                                    " AND part_need_id IS NULL AND state IN ('held', 'short')"
                                    " AND held_m < asked_m ORDER BY id",
                                    key, 2, &rows, problem);

    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        int64_t id = store_integer_at(&rows, i, 0, 0);
        int64_t asked_m = store_integer_at(&rows, i, 1, 0);
        int64_t held_m = store_integer_at(&rows, i, 2, 0);
        struct stock_grant grant = {0};
        int64_t here_m = 0;
        int64_t held_all_m = 0;

        result = on_hand(work, place_id, item_id, &here_m, problem);
        if (result == RESULT_OK)
            result = reservation_held_other(work, 0, place_id, item_id, &held_all_m, problem);
        if (result != RESULT_OK)
            break;
        grant = stock_grant_of(here_m, held_all_m, asked_m - held_m);
        if (grant.held_m == 0)
            break;
        result = set_hold(work, id, asked_m, held_m + grant.held_m, "held", problem);
        if (result == RESULT_OK)
            result = note_event(work, id, "grant", grant.held_m, problem);
    }
    return result;
}

enum result reservation_grow(struct work *work, int64_t place_id, int64_t item_id,
                             struct problem *problem)
{
    const struct value item = value_integer(item_id);
    enum result result = plan_all(
        work, "SELECT id FROM part_need WHERE item_id = ?1 AND state = 'short' ORDER BY id", &item,
        1, 0, problem);

    if (result == RESULT_OK)
        result = grow_free(work, place_id, item_id, problem);
    return result;
}

/* A call lost a part that was held for it: it is planned again, and asked about if that fails. */
static enum result replan_robbed(struct work *work, int64_t need_id, struct problem *problem)
{
    const struct review_request alert = {.kind = "shortage",
                                         .table_name = "part_need",
                                         .row_id = need_id,
                                         .reason = REASON_HELD_FOR_OTHER_CALL,
                                         .roles = ROLE_DISPATCHER | ROLE_PURCHASING};
    struct need need = {0};
    enum result result;

    if (need_id == 0)
        return RESULT_OK;
    result = plan_need(work, need_id, 0, &need, problem);
    if (result == RESULT_OK && need.held_m < need.wanted_m)
        result = review_raise(work, &alert, problem);
    return result;
}

enum result reservation_shrink(struct work *work, int64_t place_id, int64_t item_id,
                               struct problem *problem)
{
    const struct value key[] = {value_integer(place_id), value_integer(item_id)};
    struct store_result rows = {0};
    int64_t *held = NULL;
    int64_t *lost = NULL;
    int64_t here_m = 0;
    enum result result = work_query(work,
                                    "SELECT id, held_m, part_need_id, asked_m FROM reservation"
                                    " WHERE location_id = ?1 AND item_id = ?2 AND state = 'held'"
                                    " AND held_m > 0 ORDER BY id",
                                    key, 2, &rows, problem);

    if (result != RESULT_OK || rows.row_count == 0)
        return result;
    held = arena_array(work_arena(work), rows.row_count, sizeof *held);
    lost = arena_array(work_arena(work), rows.row_count, sizeof *lost);
    if (held == NULL || lost == NULL)
        return arena_full(work_arena(work), problem);
    result = on_hand(work, place_id, item_id, &here_m, problem);
    for (size_t i = 0; i < rows.row_count; i++)
        held[i] = store_integer_at(&rows, i, 1, 0);
    stock_rob(here_m, held, rows.row_count, lost);
    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        int64_t id = store_integer_at(&rows, i, 0, 0);

        if (lost[i] == 0)
            continue;
        result = set_hold(work, id, store_integer_at(&rows, i, 3, 0), held[i],
                          held[i] > 0 ? "held" : "short", problem);
        if (result == RESULT_OK)
            result = note_event(work, id, "release", -lost[i], problem);
    }
    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++)
        if (lost[i] > 0)
            result = replan_robbed(work, store_integer_at(&rows, i, 2, 0), problem);
    return result;
}

/* ---- reactions ---- */

enum result part_need_react(struct work *work, const struct work_change *change,
                            struct problem *problem)
{
    int64_t item_id = 0;
    enum result result;

    if (change->after == NULL ||
        !(change_sets(change, "needed_m") || change_sets(change, "item_id") ||
          change_sets(change, "activity_id")))
        return RESULT_OK;
    item_id = change_integer(change, "item_id", 0);
    result = plan_need(work, change->row_id, 0, NULL, problem);
    if (result == RESULT_OK && !change_is_insert(change)) /* what it gave up is for others */
        result = reservation_grow(work, 0, item_id, problem);
    return result;
}

/* A device or the office asks for stock of one place. */
enum result reservation_react(struct work *work, const struct work_change *change,
                              struct problem *problem)
{
    struct stock_grant grant = {0};
    int64_t place_id = 0;
    int64_t item_id = 0;
    int64_t asked_m = 0;
    int64_t here_m = 0;
    int64_t held_m = 0;
    int64_t need_id = 0;
    const char *state = NULL;
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    result = row_text(work, "reservation", change->row_id, "state", &state, problem);
    if (result != RESULT_OK || state == NULL || strcmp(state, "asked") != 0)
        return result;
    place_id = change_integer(change, "location_id", 0);
    item_id = change_integer(change, "item_id", 0);
    asked_m = change_integer(change, "asked_m", 0);
    need_id = change_integer(change, "part_need_id", 0);
    result = on_hand(work, place_id, item_id, &here_m, problem);
    if (result == RESULT_OK)
        result = reservation_held_other(work, 0, place_id, item_id, &held_m, problem);
    if (result != RESULT_OK)
        return result;
    grant = stock_grant_of(here_m, held_m, asked_m > 0 ? asked_m : 0);
    result = set_hold(work, change->row_id, asked_m, grant.held_m,
                      grant.held_m > 0 ? "held" : "short", problem);
    if (result == RESULT_OK && grant.held_m > 0)
        result = note_event(work, change->row_id, "grant", grant.held_m, problem);
    if (result == RESULT_OK && need_id != 0)
        result = plan_need(work, need_id, 0, NULL, problem);
    return result;
}

/* Goods issued at picking go from the shelf to the technician's van, and are held there. */
static enum result pick(struct work *work, int64_t reservation_id, int64_t by_id,
                        struct problem *problem)
{
    const struct value id = value_integer(reservation_id);
    struct store_result row = {0};
    struct ledger_entry entry = {.source_kind = "reservation",
                                 .source_id = reservation_id,
                                 .by_id = by_id,
                                 .move = {.kind = STOCK_PICK, .occurred_at = work_now(work).us}};
    enum result result =
        work_query(work,
                   "SELECT r.item_id, r.location_id, r.held_m, r.part_need_id, a.technician_id,"
                   " r.serial_unit_id FROM reservation r"
                   " JOIN part_need n ON n.id = r.part_need_id"
                   " JOIN item i ON i.id = r.item_id AND i.issue_mode = 'on_pick'"
                   " JOIN activity a ON a.id = n.activity_id"
                   " WHERE r.id = ?1 AND r.state = 'held' AND r.held_m > 0",
                   &id, 1, &row, problem);

    if (result != RESULT_OK || row.row_count == 0)
        return result;
    entry.move.item_id = store_integer_at(&row, 0, 0, 0);
    entry.move.from_id = store_integer_at(&row, 0, 1, 0);
    entry.move.qty_m = store_integer_at(&row, 0, 2, 0);
    entry.move.serial_id = store_integer_at(&row, 0, 5, 0);
    result = place_van_of(work, store_integer_at(&row, 0, 4, 0), &entry.move.to_id, problem);
    if (result != RESULT_OK || entry.move.to_id == 0 || entry.move.to_id == entry.move.from_id)
        return result;
    result = set_hold(work, reservation_id, entry.move.qty_m, 0, "picked", problem);
    if (result == RESULT_OK)
        result = ledger_post(work, &entry, NULL, problem);
    if (result == RESULT_OK)
        result = plan_need(work, store_integer_at(&row, 0, 3, 0), 0, NULL, problem);
    return result;
}

static enum result release(struct work *work, int64_t reservation_id, struct problem *problem)
{
    const struct value id = value_integer(reservation_id);
    struct store_result row = {0};
    enum result result =
        work_query(work,
                   "SELECT item_id, location_id, part_need_id FROM reservation WHERE id = ?1"
                   " AND state IN ('asked', 'held', 'short')",
                   &id, 1, &row, problem);

    if (result != RESULT_OK || row.row_count == 0)
        return result;
    result = set_hold(work, reservation_id, 0, 0, "released", problem);
    if (result == RESULT_OK && store_integer_at(&row, 0, 2, 0) != 0)
        result = plan_need(work, store_integer_at(&row, 0, 2, 0), 0, NULL, problem);
    if (result == RESULT_OK)
        result = reservation_grow(work, store_integer_at(&row, 0, 1, 0),
                                  store_integer_at(&row, 0, 0, 0), problem);
    return result;
}

enum result reservation_event_react(struct work *work, const struct work_change *change,
                                    struct problem *problem)
{
    struct bytes kind;
    int64_t reservation_id = 0;
    int64_t by_id = 0;
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    reservation_id = change_integer(change, "reservation_id", 0);
    by_id = change_integer(change, "by_id", 0);
    kind = change_text(change, "kind");
    result = event_accept(work, change, NEXT_OF_RESERVATION, reservation_id, problem);
    if (result != RESULT_OK || by_id == 0) /* the server's own say what it has done already */
        return result;
    if (bytes_equal(kind, bytes_of_text("release")))
        return release(work, reservation_id, problem);
    if (bytes_equal(kind, bytes_of_text("pick")))
        return pick(work, reservation_id, by_id, problem);
    return RESULT_OK;
}

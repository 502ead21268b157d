/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/conflict.h"

#include "base/number.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <string.h>

enum { LIST_COUNT_MAX = 1000 };

/* ---- answers ---- */

static enum result check_open(const char *state, int64_t id, struct problem *problem)
{
    if (state == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no conflict %" PRId64, id);
    if (strcmp(state, "open") != 0)
        return problem_set(problem, RESULT_REFUSED, "conflict %" PRId64 " is %s already", id,
                           state);
    return RESULT_OK;
}

/* A lost value, which is kept as text, in the type of its column. */
static enum result value_of_text(const struct catalog_column *column, const char *text,
                                 struct value *ret_value, struct problem *problem)
{
    int64_t number = 0;

    if (text == NULL) {
        *ret_value = value_null();
        return RESULT_OK;
    }
    if (column->type == VALUE_TEXT) {
        *ret_value = value_text_of(text);
        return RESULT_OK;
    }
    if (column->type != VALUE_INTEGER || !number_read(text, &number))
        return problem_set(problem, RESULT_REFUSED, "'%s' can't be written to %s any more", text,
                           column->name);
    *ret_value = value_integer(number);
    return RESULT_OK;
}

static enum result reapply(struct work *work, const struct conflict_order *order,
                           struct problem *problem)
{
    const struct author author = {.user_id = order->by_id, .edited_at = work_now(work)};
    const struct catalog_table *table = NULL;
    const struct catalog_column *column = NULL;
    const char *table_name = NULL;
    const char *column_name = NULL;
    const char *lost = NULL;
    int64_t row_id = 0;
    enum result result =
        row_text(work, "merge_loss", order->id, "table_name", &table_name, problem);

    if (result == RESULT_OK)
        result = row_text(work, "merge_loss", order->id, "column_name", &column_name, problem);
    if (result == RESULT_OK)
        result = row_text(work, "merge_loss", order->id, "lost", &lost, problem);
    if (result == RESULT_OK)
        result = row_integer(work, "merge_loss", order->id, "row_id", 0, &row_id, problem);
    if (result != RESULT_OK)
        return result;
    table = catalog_table_by_name(work_catalog(work), table_name);
    column = table == NULL ? NULL : catalog_column_by_name(table, column_name);
    if (column == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no %s.%s any more", table_name,
                           column_name);
    struct work_field fields[] = {{column->name, value_null()}, {.name = NULL}};

    result = value_of_text(column, lost, &fields[0].value, problem);
    if (result == RESULT_OK)
        result = work_update_fields(work, table_name, row_id, fields, &author, problem);
    return result;
}

static enum result answer_loss(struct work *work, const struct conflict_order *order,
                               struct problem *problem)
{
    const struct author author = {.user_id = order->by_id, .edited_at = work_now(work)};
    bool is_reapplied = order->answer == CONFLICT_REAPPLY;
    const struct work_field fields[] = {
        {"state", value_text_of(is_reapplied ? "reapplied" : "discarded")}, {.name = NULL}};
    enum result result = RESULT_OK;

    if (order->answer == CONFLICT_SETTLE)
        return problem_set(problem, RESULT_REFUSED,
                           "a lost value is reapplied or discarded: say which");
    if (is_reapplied)
        result = reapply(work, order, problem);
    if (result == RESULT_OK)
        result = work_update_fields(work, "merge_loss", order->id, fields, &author, problem);
    return result;
}

static enum result answer_question(struct work *work, const struct conflict_order *order,
                                   struct problem *problem)
{
    const struct author author = {.user_id = order->by_id, .edited_at = work_now(work)};
    bool is_discarded = order->answer == CONFLICT_DISCARD;
    const struct work_field fields[] = {
        {"state", value_text_of(is_discarded ? "discarded" : "resolved")},
        {"resolved_by_id", value_id(order->by_id)},
        {"resolution", value_text_of(order->resolution)},
        {.name = NULL}};

    if (order->answer == CONFLICT_REAPPLY)
        return problem_set(problem, RESULT_REFUSED,
                           "a question is resolved or discarded; its author reapplies the change"
                           " on the device");
    return work_update_fields(work, "review_item", order->id, fields, &author, problem);
}

enum result conflict_resolve(struct work *work, const struct conflict_order *order,
                             struct problem *problem)
{
    const char *loss_state = NULL;
    const char *question_state = NULL;
    enum result result = row_text(work, "merge_loss", order->id, "state", &loss_state, problem);

    if (result == RESULT_OK)
        result = row_text(work, "review_item", order->id, "state", &question_state, problem);
    if (result == RESULT_OK)
        result = check_open(loss_state != NULL ? loss_state : question_state, order->id, problem);
    if (result != RESULT_OK)
        return result;
    result = loss_state != NULL ? answer_loss(work, order, problem)
                                : answer_question(work, order, problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    return result;
}

/* ---- reading ---- */

enum result conflict_list(struct store *store, const struct conflict_filter *filter,
                          struct arena *arena, struct store_result *ret_rows,
                          struct problem *problem)
{
    size_t count_max = filter->count_max == 0 ? LIST_COUNT_MAX : filter->count_max;
    const struct value parameters[] = {value_integer(filter->is_all), value_text_of(filter->role),
                                       value_integer((int64_t)count_max)};

    return store_query(
        store,
        "SELECT x.id, x.kind, x.state, x.whose, x.table_name, x.row_id, x.says FROM"
        " (SELECT r.id, r.kind, r.state, CASE WHEN r.kind = 'notice' AND r.role = 'technician'"
        "   THEN u.login ELSE r.role END AS whose, r.table_name, r.row_id,"
        "   r.reason_text AS says FROM review_item r LEFT JOIN app_user u ON u.id = r.user_id"
        "   WHERE (?1 = 1 OR r.state = 'open') AND (?2 IS NULL OR r.role = ?2)"
        "  UNION ALL SELECT m.id, 'lost', m.state, u.login, m.table_name, m.row_id,"
        "   m.column_name || ': ' || COALESCE(m.lost, '(nothing)') || ' lost to '"
        "   || COALESCE(m.kept, '(nothing)')"
        "   FROM merge_loss m LEFT JOIN app_user u ON u.id = m.user_id"
        "   WHERE (?1 = 1 OR m.state = 'open') AND ?2 IS NULL) x"
        " ORDER BY x.id DESC LIMIT ?3",
        parameters, 3, arena, ret_rows, problem);
}

enum result conflict_show(struct store *store, int64_t id, struct arena *arena,
                          struct store_result *ret_rows, struct problem *problem)
{
    const struct value key = value_integer(id);
    struct store_result row = {0};
    struct value *lines = NULL;
    static const char *const TITLES[] = {
        "id",      "kind", "state",      "role",       "table",      "row",
        "reason",  "says", "author",     "payload",    "column",     "kept",
        "kept by", "lost", "base value", "resolution", "resolved by"};
    enum { TITLE_COUNT = sizeof TITLES / sizeof *TITLES };
    enum result result = store_query(
        store,
        "SELECT r.id, r.kind, r.state, r.role, r.table_name, r.row_id, r.reason_code,"
        " r.reason_text, u.login, r.payload, NULL, NULL, NULL, NULL, NULL, r.resolution, w.login"
        " FROM review_item r LEFT JOIN app_user u ON u.id = r.user_id"
        " LEFT JOIN app_user w ON w.id = r.resolved_by_id WHERE r.id = ?1"
        " UNION ALL SELECT m.id, 'lost', m.state, NULL, m.table_name, m.row_id, m.rule, NULL,"
        " u.login, NULL, m.column_name, m.kept, w.login, m.lost, m.base_value, NULL, NULL"
        " FROM merge_loss m LEFT JOIN app_user u ON u.id = m.user_id"
        " LEFT JOIN app_user w ON w.id = m.kept_by_user_id WHERE m.id = ?1",
        &key, 1, arena, &row, problem);

    if (result == RESULT_OK && row.row_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "there is no conflict %" PRId64, id);
    if (result != RESULT_OK)
        return result;
    lines = arena_array(arena, (size_t)TITLE_COUNT * 2, sizeof *lines);
    if (lines == NULL)
        return arena_full(arena, problem);
    *ret_rows = (struct store_result){.column_count = 2, .values = lines};
    for (size_t i = 0; i < TITLE_COUNT; i++) {
        const struct value *value = store_at(&row, 0, i);

        if (value->type == VALUE_NULL)
            continue;
        lines[2 * ret_rows->row_count] = value_text_of(TITLES[i]);
        lines[2 * ret_rows->row_count + 1] = *value;
        ret_rows->row_count++;
    }
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/call.h"

#include "base/number.h"
#include "domain/activity_state.h"
#include "domain/call_state.h"
#include "server/service/activity.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <string.h>

enum {
    OFFICE_ROLES = ROLE_DISPATCHER | ROLE_HELP_DESK | ROLE_MANAGER,
    LIST_COUNT_MAX = 1000,
};

static enum result acting_roles(struct work *work, int64_t by_id, unsigned *ret_roles,
                                struct problem *problem)
{
    if (by_id != 0)
        return roles_of(work, by_id, ret_roles, problem);
    *ret_roles = OFFICE_ROLES;
    return RESULT_OK;
}

/* ---- open ---- */

static enum result only_site(struct work *work, int64_t party_id, int64_t *ret_site_id,
                             struct problem *problem)
{
    const struct value party = value_integer(party_id);
    struct store_result rows = {0};
    enum result result = work_query(work, "SELECT id FROM site WHERE party_id = ?1 LIMIT 2", &party,
                                    1, &rows, problem);

    if (result == RESULT_OK)
        *ret_site_id = rows.row_count == 1 ? store_integer_at(&rows, 0, 0, 0) : 0;
    return result;
}

static enum result check_order(struct work *work, const struct call_order *order, unsigned roles,
                               struct problem *problem)
{
    const char *party = NULL;
    enum result result = row_text(work, "party", order->party_id, "name", &party, problem);

    if (result != RESULT_OK)
        return result;
    if (party == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no customer %" PRId64,
                           order->party_id);
    if (order->subject == NULL || order->subject[0] == '\0')
        return problem_set(problem, RESULT_REFUSED, "a call needs a subject: what is wrong?");
    if (order->priority_n < 0 || order->priority_n > 5)
        return problem_set(problem, RESULT_REFUSED, "priority is 1 (most urgent) to 5");
    if ((roles & (OFFICE_ROLES | ROLE_TECHNICIAN | ROLE_SALES)) == 0)
        return problem_set(problem, RESULT_REFUSED, "%s", reason_english(REASON_NOT_PERMITTED));
    return RESULT_OK;
}

enum result call_open(struct work *work, const struct call_order *order, int64_t *ret_call_id,
                      struct problem *problem)
{
    const struct author author = {.user_id = order->by_id, .edited_at = work_now(work)};
    int64_t site_id = order->site_id;
    unsigned roles = 0;
    enum result result = acting_roles(work, order->by_id, &roles, problem);

    if (result == RESULT_OK)
        result = check_order(work, order, roles, problem);
    if (result == RESULT_OK && site_id == 0)
        result = only_site(work, order->party_id, &site_id, problem);
    if (result != RESULT_OK)
        return result;
    const struct work_field fields[] = {
        {"channel", value_text_of(order->channel != NULL ? order->channel : "phone")},
        {"party_id", value_integer(order->party_id)},
        {"site_id", value_id(site_id)},
        {"asset_id", value_id(order->asset_id)},
        {"contact_id", value_id(order->contact_id)},
        {"caller_text", value_text_of(order->caller)},
        {"subject", value_text_of(order->subject)},
        {"description", value_text_of(order->description)},
        {"priority_n", value_integer(order->priority_n == 0 ? 3 : order->priority_n)},
        {"opened_at", value_integer(work_now(work).us)},
        {"opened_by_id", value_id(order->by_id)},
        {.name = NULL}};

    result = work_insert_fields(work, "call", fields, &author, ret_call_id, problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    return result;
}

/* ---- assign ---- */

struct visit {
    int64_t id; /* 0: none */
    int64_t technician_id;
    enum activity_state state;
};

/* The call's newest visit that is neither ended nor cancelled. */
static enum result open_visit(struct work *work, int64_t call_id, struct visit *ret_visit,
                              struct problem *problem)
{
    const struct value call = value_integer(call_id);
    struct store_result row = {0};
    const char *state = NULL;
    struct visit visit = {0};
    enum result result = work_query(
        work,
        "SELECT id, technician_id, state FROM activity WHERE call_id = ?1 AND state NOT IN"
        " ('done', 'approved', 'priced', 'failed', 'cancelled') ORDER BY id DESC LIMIT 1",
        &call, 1, &row, problem);

    if (result == RESULT_OK && row.row_count > 0)
        result = cell_text(work, &row, 0, 2, &state, problem);
    if (result != RESULT_OK)
        return result;
    if (state != NULL && !activity_state_parse(state, &visit.state))
        return problem_set(problem, RESULT_REFUSED, "the visit is in an unknown state: %s", state);
    visit.id = store_integer_at(&row, 0, 0, 0);
    visit.technician_id = store_integer_at(&row, 0, 1, 0);
    *ret_visit = visit;
    return RESULT_OK;
}

static enum result new_visit(struct work *work, const struct call_assignment *assignment,
                             int64_t *ret_id, struct problem *problem)
{
    const struct author author = {.user_id = assignment->by_id, .edited_at = work_now(work)};
    const struct value call = value_integer(assignment->call_id);
    struct store_result row = {0};
    int64_t type_id = assignment->type_id;
    enum result result =
        work_query(work, "SELECT asset_id FROM call WHERE id = ?1", &call, 1, &row, problem);

    if (result == RESULT_OK && type_id == 0)
        result = query_integer(work, "SELECT min(id) FROM activity_type WHERE mode = 'on_site'",
                               NULL, 0, 0, &type_id, problem);
    if (result != RESULT_OK)
        return result;
    if (type_id == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "there is no type of visit yet: add an activity_type on site first");
    const struct work_field fields[] = {{"call_id", call},
                                        {"activity_type_id", value_integer(type_id)},
                                        {"asset_id", *store_at(&row, 0, 0)},
                                        {.name = NULL}};

    return work_insert_fields(work, "activity", fields, &author, ret_id, problem);
}

static enum result write_plan(struct work *work, const struct call_assignment *assignment,
                              int64_t activity_id, struct problem *problem)
{
    const struct author author = {.user_id = assignment->by_id, .edited_at = work_now(work)};
    struct work_field fields[3] = {{.name = NULL}};
    size_t count = 0;

    if (assignment->start_at != 0)
        fields[count++] =
            (struct work_field){"planned_start_at", value_integer(assignment->start_at)};
    if (assignment->planned_min != 0)
        fields[count++] =
            (struct work_field){"planned_min", value_integer(assignment->planned_min)};
    if (count == 0)
        return RESULT_OK;
    return work_update_fields(work, "activity", activity_id, fields, &author, problem);
}

/* Which step leads from here to "it is that technician's job". */
static enum result step_for(const struct visit *visit, const struct call_assignment *assignment,
                            unsigned roles, const char **ret_kind, struct problem *problem)
{
    bool is_same = visit->technician_id == assignment->technician_id;
    enum activity_kind kind = ACTIVITY_REASSIGN;
    enum activity_state to = ACTIVITY_DRAFT;
    enum reason reason = REASON_NONE;

    if (visit->state == ACTIVITY_DRAFT || visit->state == ACTIVITY_PLANNED)
        kind = ACTIVITY_DISPATCH;
    else if (is_same && assignment->start_at == 0 && assignment->planned_min == 0)
        return problem_set(problem, RESULT_REFUSED, "the visit is that technician's already");
    else if (is_same)
        kind = ACTIVITY_RESCHEDULE;
    if (!activity_permits(visit->state == ACTIVITY_DRAFT ? ACTIVITY_PLANNED : visit->state, kind,
                          roles, false, &to, &reason))
        return problem_set(problem, RESULT_REFUSED, "the visit is %s: %s",
                           activity_state_name(visit->state), reason_english(reason));
    *ret_kind = activity_kind_name(kind);
    return RESULT_OK;
}

static enum result check_assignment(struct work *work, const struct call_assignment *assignment,
                                    struct problem *problem)
{
    const char *state = NULL;
    unsigned roles = 0;
    enum result result = row_text(work, "call", assignment->call_id, "state", &state, problem);

    if (result == RESULT_OK && state == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no call %" PRId64,
                           assignment->call_id);
    if (result == RESULT_OK && (strcmp(state, "closed") == 0 || strcmp(state, "cancelled") == 0 ||
                                strcmp(state, "duplicate") == 0))
        return problem_set(problem, RESULT_REFUSED,
                           "the call is %s: reopen it, or assign the call that stays", state);
    if (result == RESULT_OK)
        result = roles_of(work, assignment->technician_id, &roles, problem);
    if (result == RESULT_OK && (roles & ROLE_TECHNICIAN) == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "that person is no technician: grant the role first");
    return result;
}

static enum result take_steps(struct work *work, const struct call_assignment *assignment,
                              const struct visit *visit, const char *kind, unsigned roles,
                              struct problem *problem)
{
    struct activity_step step = {.activity_id = visit->id,
                                 .kind = "plan",
                                 .by_id = assignment->by_id,
                                 .roles = roles,
                                 .reason = assignment->reason};
    enum result result = RESULT_OK;

    if (visit->state == ACTIVITY_DRAFT)
        result = activity_step_insert(work, &step, problem);
    step.kind = kind;
    step.technician_id = assignment->technician_id;
    if (result == RESULT_OK)
        result = activity_step_insert(work, &step, problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    return result;
}

enum result call_assign(struct work *work, const struct call_assignment *assignment,
                        int64_t *ret_activity_id, struct problem *problem)
{
    struct visit visit = {0};
    const char *kind = NULL;
    unsigned roles = 0;
    enum result result = check_assignment(work, assignment, problem);

    if (result == RESULT_OK)
        result = acting_roles(work, assignment->by_id, &roles, problem);
    if (result == RESULT_OK)
        result = open_visit(work, assignment->call_id, &visit, problem);
    if (result == RESULT_OK)
        result = step_for(&visit, assignment, roles, &kind, problem);
    if (result == RESULT_OK && visit.id == 0)
        result = new_visit(work, assignment, &visit.id, problem);
    if (result == RESULT_OK)
        result = write_plan(work, assignment, visit.id, problem);
    if (result == RESULT_OK)
        result = take_steps(work, assignment, &visit, kind, roles, problem);
    if (result == RESULT_OK)
        *ret_activity_id = visit.id;
    return result;
}

/* ---- cancel, close ---- */

static enum result call_step(struct work *work, int64_t call_id, enum call_kind kind,
                             const char *reason_text, int64_t by_id, struct problem *problem)
{
    const struct author author = {.user_id = by_id, .edited_at = work_now(work)};
    char roles_text[ROLES_TEXT_SIZE];
    const char *state_text = NULL;
    enum call_state state = CALL_NEW;
    enum call_state to = CALL_NEW;
    enum reason reason = REASON_NONE;
    unsigned roles = 0;
    enum result result = row_text(work, "call", call_id, "state", &state_text, problem);

    if (result == RESULT_OK)
        result = acting_roles(work, by_id, &roles, problem);
    if (result != RESULT_OK)
        return result;
    if (state_text == NULL || !call_state_parse(state_text, &state))
        return problem_set(problem, RESULT_REFUSED, "there is no call %" PRId64, call_id);
    if (!call_permits(state, kind, roles, &to, &reason))
        return problem_set(problem, RESULT_REFUSED, "the call is %s: %s", state_text,
                           reason_english(reason));
    roles_format(roles, roles_text);
    const struct work_field fields[] = {{"call_id", value_integer(call_id)},
                                        {"kind", value_text_of(call_kind_name(kind))},
                                        {"base_state", value_text_of(state_text)},
                                        {"occurred_at", value_integer(work_now(work).us)},
                                        {"by_id", value_id(by_id)},
                                        {"by_roles", value_text_of(roles_text)},
                                        {"reason", value_text_of(reason_text)},
                                        {.name = NULL}};

    result = work_insert_fields(work, "call_event", fields, &author, NULL, problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    return result;
}

static enum result cancel_visits(struct work *work, int64_t call_id, const char *reason,
                                 int64_t by_id, struct problem *problem)
{
    const struct value call = value_integer(call_id);
    struct store_result ids = {0};
    unsigned roles = 0;
    enum result result = acting_roles(work, by_id, &roles, problem);

    if (result == RESULT_OK)
        result = work_query(work,
                            "SELECT id FROM activity WHERE call_id = ?1 AND state NOT IN"
                            " ('done', 'approved', 'priced', 'failed', 'cancelled') ORDER BY id",
                            &call, 1, &ids, problem);
    for (size_t i = 0; i < ids.row_count && result == RESULT_OK; i++) {
        const struct activity_step step = {.activity_id = store_integer_at(&ids, i, 0, 0),
                                           .kind = "cancel",
                                           .by_id = by_id,
                                           .roles = roles,
                                           .reason = reason};

        result = activity_step_insert(work, &step, problem);
    }
    return result;
}

enum result call_cancel(struct work *work, int64_t call_id, const char *reason, int64_t by_id,
                        struct problem *problem)
{
    enum result result = call_step(work, call_id, CALL_CANCEL, reason, by_id, problem);

    if (result == RESULT_OK)
        result = cancel_visits(work, call_id, reason, by_id, problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    return result;
}

enum result call_close(struct work *work, int64_t call_id, const char *reason, int64_t by_id,
                       struct problem *problem)
{
    return call_step(work, call_id, CALL_CLOSE, reason, by_id, problem);
}

/* ---- reading ---- */

enum result call_find(struct store *store, const char *text, struct arena *arena,
                      int64_t *ret_call_id, struct problem *problem)
{
    const struct value key[] = {value_text_of(text), value_integer(number_or_zero(text))};
    struct store_result row = {0};
    enum result result = store_query(store, "SELECT id FROM call WHERE number_text = ?1 OR id = ?2",
                                     key, 2, arena, &row, problem);

    if (result != RESULT_OK)
        return result;
    if (row.row_count == 0)
        return problem_set(problem, RESULT_REFUSED, "there is no call '%s'", text);
    *ret_call_id = store_integer_at(&row, 0, 0, 0);
    return RESULT_OK;
}

enum result call_list(struct store *store, const struct call_filter *filter, struct arena *arena,
                      struct store_result *ret_rows, struct problem *problem)
{
    size_t count_max = filter->count_max == 0 ? LIST_COUNT_MAX : filter->count_max;
    const struct value parameters[] = {
        value_integer(filter->is_all), value_integer(filter->technician_id),
        value_integer(filter->party_id), value_integer((int64_t)count_max)};

    return store_query(
        store,
        "SELECT c.id, c.number_text, c.state, c.priority_n, c.opened_at, p.name, s.name,"
        " c.subject,"
        " (SELECT group_concat(u.login, ' ') FROM activity a JOIN app_user u"
        "  ON u.id = a.technician_id WHERE a.call_id = c.id AND a.state <> 'cancelled')"
        " FROM call c JOIN party p ON p.id = c.party_id LEFT JOIN site s ON s.id = c.site_id"
        " WHERE (?1 = 1 OR c.state NOT IN ('closed', 'cancelled', 'duplicate'))"
        " AND (?2 = 0 OR EXISTS (SELECT 1 FROM activity a WHERE a.call_id = c.id"
        "  AND a.technician_id = ?2))"
        " AND (?3 = 0 OR c.party_id = ?3)"
        " ORDER BY c.opened_at DESC, c.id DESC LIMIT ?4",
        parameters, 4, arena, ret_rows, problem);
}

enum result call_activities(struct store *store, int64_t call_id, struct arena *arena,
                            struct store_result *ret_rows, struct problem *problem)
{
    const struct value call = value_integer(call_id);

    return store_query(store,
                       "SELECT a.id, t.name, u.login, a.state, a.planned_start_at, a.planned_min,"
                       " a.assign_version_n, (SELECT max(k.assign_version_n) FROM assign_ack k"
                       "  WHERE k.activity_id = a.id)"
                       " FROM activity a JOIN activity_type t ON t.id = a.activity_type_id"
                       " LEFT JOIN app_user u ON u.id = a.technician_id"
                       " WHERE a.call_id = ?1 ORDER BY a.id",
                       &call, 1, arena, ret_rows, problem);
}

enum result call_history(struct store *store, int64_t call_id, struct arena *arena,
                         struct store_result *ret_rows, struct problem *problem)
{
    const struct value call = value_integer(call_id);

    return store_query(store,
                       "SELECT h.occurred_at, h.what, h.kind, u.login, h.reason FROM"
                       " (SELECT occurred_at, 'call' AS what, kind, by_id, reason, id"
                       "  FROM call_event WHERE call_id = ?1"
                       "  UNION ALL SELECT e.occurred_at, 'visit', e.kind, e.by_id, e.reason, e.id"
                       "  FROM activity_event e JOIN activity a ON a.id = e.activity_id"
                       "  WHERE a.call_id = ?1) h LEFT JOIN app_user u ON u.id = h.by_id"
                       " ORDER BY h.occurred_at, h.id",
                       &call, 1, arena, ret_rows, problem);
}

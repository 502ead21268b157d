/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/activity.h"

#include "base/invariant.h"
#include "server/service/call_fold.h"
#include "server/service/review.h"
#include "server/service/rows.h"
#include "server/service/story.h"

#include <inttypes.h>
#include <string.h>

#define NEXT_OF_ACTIVITY                                                                           \
    "SELECT coalesce(max(accepted_n), 0) + 1 FROM activity_event WHERE activity_id = ?1"

/* ---- what the events say about the row ---- */

static enum result write_state(struct work *work, const struct activity_story *story,
                               struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct work_field fields[] = {
        {"state", value_text_of(activity_state_name(story->activity.state))},
        {"technician_id", value_id(story->activity.tech_id)},
        {"assign_version_n", value_integer(story->activity.assign_ver)},
        {.name = NULL}};

    return work_update_fields(work, "activity", story->activity_id, fields, &server, problem);
}

/* ---- what an answer asks for ---- */

/* Tells one person on whatever device that person has, also when the site is no longer theirs. */
static enum result tell(struct work *work, const struct activity_event *event, enum reason reason,
                        int64_t user_id, struct problem *problem)
{
    const struct review_request notice = {.kind = "notice",
                                          .table_name = "activity_event",
                                          .row_id = event->id,
                                          .reason = reason,
                                          .roles = ROLE_TECHNICIAN,
                                          .user_id = user_id,
                                          .home = bucket_of(BUCKET_USER, user_id)};

    return user_id == 0 ? RESULT_OK : review_raise(work, &notice, problem);
}

static enum result ask(struct work *work, const struct activity_story *story,
                       const struct activity_event *event, const struct activity_answer *answer,
                       struct problem *problem)
{
    bool is_parked = answer->answer == ANSWER_PARK;
    const struct review_request question = {.kind = is_parked ? "parked" : NULL,
                                            .table_name = is_parked ? "activity_event" : "activity",
                                            .row_id = is_parked ? event->id : story->activity_id,
                                            .reason = answer->review.reason,
                                            .roles = answer->review.roles,
                                            .user_id = event->by_id};

    return review_raise(work, &question, problem);
}

/* The office's estimate of a technician's time gives way to what was reported. */
static enum result void_estimates(struct work *work, int64_t activity_id, int64_t technician_id,
                                  struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value parameters[] = {value_integer(activity_id), value_integer(technician_id)};
    struct store_result rows = {0};
    enum result result =
        work_query(work,
                   "SELECT w.id, w.kind, w.started_at, w.ended_at FROM work_session w"
                   " WHERE w.activity_id = ?1 AND w.technician_id = ?2 AND w.source = 'estimate'"
                   " AND w.void_of_id IS NULL"
                   " AND NOT EXISTS (SELECT 1 FROM work_session v WHERE v.void_of_id = w.id)"
                   " AND EXISTS (SELECT 1 FROM work_session o WHERE o.activity_id = ?1"
                   "  AND o.technician_id = ?2 AND o.source <> 'estimate' AND o.void_of_id IS NULL)"
                   " ORDER BY w.id",
                   parameters, 2, &rows, problem);

    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        const struct work_field fields[] = {
            {"activity_id", parameters[0]},         {"technician_id", parameters[1]},
            {"kind", *store_at(&rows, i, 1)},       {"started_at", *store_at(&rows, i, 2)},
            {"ended_at", *store_at(&rows, i, 3)},   {"source", value_text_of("estimate")},
            {"void_of_id", *store_at(&rows, i, 0)}, {.name = NULL}};

        result = work_insert_fields(work, "work_session", fields, &server, NULL, problem);
    }
    return result;
}

static enum result follow_effects(struct work *work, const struct activity_story *story,
                                  const struct activity_event *event,
                                  const struct activity_answer *answer, struct problem *problem)
{
    const struct review_request notice = {.kind = "notice",
                                          .table_name = "activity_event",
                                          .row_id = event->id,
                                          .reason = answer->reason,
                                          .roles = ROLE_DISPATCHER,
                                          .user_id = event->by_id};
    enum result result = RESULT_OK;

    if ((answer->effects & ACTIVITY_NOTIFY_DISPATCHER) != 0)
        result = review_raise(work, &notice, problem);
    if (result == RESULT_OK && (answer->effects & ACTIVITY_WITHDRAW_COPY) != 0)
        result = tell(work, event, answer->reason, answer->withdraw_tech_id, problem);
    if (result == RESULT_OK && (answer->effects & ACTIVITY_SEND_PLAN) != 0)
        result = tell(work, event, answer->reason, event->tech_id, problem);
    if (result == RESULT_OK && (answer->effects & ACTIVITY_REPLACE_ESTIMATE) != 0)
        result = void_estimates(work, story->activity_id, event->tech_id, problem);
    return result;
}

static enum result follow_answers(struct work *work, const struct activity_story *story,
                                  struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < story->count && result == RESULT_OK; i++) {
        const struct activity_event *event = &story->events[i];
        const struct activity_answer *answer = &story->answers[i];

        if (answer->review.roles != 0)
            result = ask(work, story, event, answer, problem);
        else if (event->kind == ACTIVITY_FINISH && answer->answer == ANSWER_ACCEPT)
            result = review_settle(work, "activity_event", event->id,
                                   "the missing work time has arrived", problem);
        if (result == RESULT_OK)
            result = follow_effects(work, story, event, answer, problem);
    }
    return result;
}

/* ---- a visit of its own ---- */

/* Inserts the sibling if there is none yet; found again by (branch_of_id, technician_id). */
static enum result sibling_of(struct work *work, const struct activity_story *story,
                              int64_t technician_id, int64_t *ret_id, struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value key[] = {value_integer(story->activity_id), value_integer(technician_id)};
    struct store_result parent = {0};
    int64_t id = 0;
    enum result result = query_integer(
        work, "SELECT id FROM activity WHERE branch_of_id = ?1 AND technician_id = ?2", key, 2, 0,
        &id, problem);

    if (result == RESULT_OK && id == 0)
        result = work_query(work,
                            "SELECT call_id, activity_type_id, job_template_id, asset_id, site_id"
                            " FROM activity WHERE id = ?1",
                            key, 1, &parent, problem);
    if (result == RESULT_OK && id == 0) {
        const struct work_field fields[] = {{"call_id", *store_at(&parent, 0, 0)},
                                            {"activity_type_id", *store_at(&parent, 0, 1)},
                                            {"job_template_id", *store_at(&parent, 0, 2)},
                                            {"asset_id", *store_at(&parent, 0, 3)},
                                            {"site_id", *store_at(&parent, 0, 4)},
                                            {"technician_id", key[1]},
                                            {"unplanned_by_id", key[1]},
                                            {"branch_of_id", key[0]},
                                            {"state", value_text_of("accepted")},
                                            {.name = NULL}};

        result = work_insert_fields(work, "activity", fields, &server, &id, problem);
    }
    if (result == RESULT_OK)
        *ret_id = id;
    return result;
}

static enum result refresh_one(struct work *work, int64_t activity_id,
                               struct activity_story *ret_story, struct problem *problem)
{
    enum result result = activity_story_read(work, activity_id, ret_story, problem);

    if (result == RESULT_OK)
        result = write_state(work, ret_story, problem);
    if (result == RESULT_OK)
        result = follow_answers(work, ret_story, problem);
    return result;
}

static enum result refresh_siblings(struct work *work, const struct activity_story *story,
                                    struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < story->count && result == RESULT_OK; i++) {
        struct activity_story sibling = {0};
        int64_t id = 0;

        if ((story->answers[i].effects & ACTIVITY_WANT_SIBLING) == 0)
            continue;
        result = sibling_of(work, story, story->events[i].tech_id, &id, problem);
        if (result == RESULT_OK)
            result = refresh_one(work, id, &sibling, problem);
    }
    return result;
}

enum result activity_refresh(struct work *work, int64_t activity_id, struct problem *problem)
{
    struct activity_story story = {0};
    enum result result = refresh_one(work, activity_id, &story, problem);

    if (result == RESULT_OK)
        result = refresh_siblings(work, &story, problem);
    if (result == RESULT_OK)
        result = call_refresh(work, story.call_id, problem);
    return result;
}

/* ---- reactions ---- */

static enum result ask_about_kind(struct work *work, const struct work_change *change,
                                  struct problem *problem)
{
    enum activity_kind known = ACTIVITY_PLAN;
    const char *kind = NULL;
    enum result result =
        row_text(work, change->table->name, change->row_id, "kind", &kind, problem);

    if (result != RESULT_OK || (kind != NULL && activity_kind_parse(kind, &known)))
        return result;
    return review_ask_about_kind(work, change, problem);
}

enum result activity_event_react(struct work *work, const struct work_change *change,
                                 struct problem *problem)
{
    int64_t activity_id = 0;
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    activity_id = change_integer(change, "activity_id", 0);
    result = event_accept(work, change, NEXT_OF_ACTIVITY, activity_id, problem);
    if (result == RESULT_OK)
        result = ask_about_kind(work, change, problem);
    if (result == RESULT_OK)
        result = activity_refresh(work, activity_id, problem);
    return result;
}

enum result activity_step_insert(struct work *work, const struct activity_step *step,
                                 struct problem *problem)
{
    const struct author author = {.user_id = step->by_id, .edited_at = work_now(work)};
    const struct value activity = value_integer(step->activity_id);
    char roles_text[ROLES_TEXT_SIZE];
    struct store_result now = {0};
    unsigned roles = step->roles;
    enum result result = RESULT_OK;

    if (roles == 0)
        result = roles_of(work, step->by_id, &roles, problem);
    if (result == RESULT_OK)
        result = work_query(work, "SELECT assign_version_n, state FROM activity WHERE id = ?1",
                            &activity, 1, &now, problem);
    if (result == RESULT_OK && now.row_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "there is no activity %" PRId64,
                             step->activity_id);
    if (result != RESULT_OK)
        return result;
    roles_format(roles, roles_text);
    const struct work_field fields[] = {{"activity_id", activity},
                                        {"kind", value_text_of(step->kind)},
                                        {"technician_id", value_id(step->technician_id)},
                                        {"base_version_n", *store_at(&now, 0, 0)},
                                        {"base_state", *store_at(&now, 0, 1)},
                                        {"occurred_at", value_integer(work_now(work).us)},
                                        {"by_id", value_id(step->by_id)},
                                        {"reason", value_text_of(step->reason)},
                                        {"by_roles", value_text_of(roles_text)},
                                        {.name = NULL}};

    return work_insert_fields(work, "activity_event", fields, &author, NULL, problem);
}

/* The office's plan in the words of events: planned, and dispatched if there is a technician. */
static enum result plan_by_row(struct work *work, const struct work_change *change,
                               struct problem *problem)
{
    struct activity_step step = {.activity_id = change->row_id,
                                 .kind = "plan",
                                 .by_id = change->author.user_id,
                                 .roles = ROLE_DISPATCHER};
    enum result result = activity_step_insert(work, &step, problem);

    step.technician_id = change_integer(change, "technician_id", 0);
    step.kind = "dispatch";
    if (result == RESULT_OK && step.technician_id != 0)
        result = activity_step_insert(work, &step, problem);
    return result;
}

static enum result follow_merged_call(struct work *work, const struct work_change *change,
                                      struct problem *problem)
{
    const struct author server = rows_server(work);
    struct work_field fields[] = {{"call_id", value_null()}, {.name = NULL}};
    int64_t call_id = change_integer(change, "call_id", 0);
    int64_t survivor_id = 0;
    enum result result = call_survivor(work, call_id, &survivor_id, problem);

    if (result != RESULT_OK || survivor_id == call_id)
        return result;
    fields[0].value = value_integer(survivor_id);
    return work_update_fields(work, "activity", change->row_id, fields, &server, problem);
}

static bool is_plan_of_office(const struct work_change *change)
{
    struct bytes state = change_text(change, "state");
    bool is_draft = bytes_equal(state, bytes_of_text("draft"));
    bool is_planned = bytes_equal(state, bytes_of_text("planned"));
    bool is_dispatched = bytes_equal(state, bytes_of_text("dispatched"));
    bool has_technician = change_integer(change, "technician_id", 0) != 0;

    return has_technician ? is_draft || is_planned || is_dispatched : is_planned;
}

/* A new row says who began it; history that was imported with a later state stays as it is. */
static enum result take_new(struct work *work, const struct work_change *change,
                            struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value id = value_integer(change->row_id);
    int64_t technician_id = change_integer(change, "technician_id", 0);
    bool is_own = technician_id != 0 && technician_id == change->author.user_id;
    const struct work_field born[] = {{"unplanned_by_id", value_id(technician_id)}, {.name = NULL}};
    int64_t born_id = 0;
    int64_t event_count = 0;
    enum result result =
        row_integer(work, "activity", change->row_id, "unplanned_by_id", 0, &born_id, problem);

    if (result == RESULT_OK)
        result = query_integer(work, "SELECT count(*) FROM activity_event WHERE activity_id = ?1",
                               &id, 1, 0, &event_count, problem);
    if (result != RESULT_OK)
        return result;
    if (born_id != 0)
        return activity_refresh(work, change->row_id, problem);
    if (is_own) {
        result = work_update_fields(work, "activity", change->row_id, born, &server, problem);
        if (result == RESULT_OK)
            result = activity_refresh(work, change->row_id, problem);
        return result;
    }
    if (event_count == 0 && is_plan_of_office(change))
        return plan_by_row(work, change, problem);
    return RESULT_OK;
}

/* Another program has put the job into other hands by plain SQL: that is a step of the office. */
static enum result take_foreign_assignment(struct work *work, const struct work_change *change,
                                           struct problem *problem)
{
    struct activity_step step = {
        .activity_id = change->row_id, .by_id = change->author.user_id, .roles = ROLE_DISPATCHER};
    const struct value id = value_integer(change->row_id);
    struct activity_story story = {0};
    int64_t waiting = 0; /* events that will say themselves whose job it is */
    enum result result = query_integer(work,
                                       "SELECT count(*) FROM activity_event"
                                       " WHERE activity_id = ?1 AND accepted_n IS NULL",
                                       &id, 1, 0, &waiting, problem);

    if (result == RESULT_OK)
        result = activity_story_read(work, change->row_id, &story, problem);
    if (result != RESULT_OK || waiting > 0 || story.count == 0 || story.technician_id == 0 ||
        story.technician_id == story.activity.tech_id)
        return result;
    step.technician_id = story.technician_id;
    step.kind = story.activity.state == ACTIVITY_PLANNED ? "dispatch" : "reassign";
    return activity_step_insert(work, &step, problem);
}

enum result activity_react(struct work *work, const struct work_change *change,
                           struct problem *problem)
{
    enum result result = RESULT_OK;

    if (change->after == NULL)
        return RESULT_OK;
    if (!change_is_insert(change))
        return change_sets(change, "technician_id") ? take_foreign_assignment(work, change, problem)
                                                    : RESULT_OK;
    result = follow_merged_call(work, change, problem);
    if (result == RESULT_OK)
        result = take_new(work, change, problem);
    return result;
}

enum result work_session_react(struct work *work, const struct work_change *change,
                               struct problem *problem)
{
    struct value activity;
    int64_t finish_count = 0;
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    activity = value_integer(change_integer(change, "activity_id", 0));
    result = query_integer(work,
                           "SELECT count(*) FROM activity_event"
                           " WHERE activity_id = ?1 AND kind = 'finish'"
                           " AND accepted_n IS NOT NULL",
                           &activity, 1, 0, &finish_count, problem);
    if (result == RESULT_OK && finish_count > 0)
        result = activity_refresh(work, activity.integer, problem);
    return result;
}

enum result activity_result_react(struct work *work, const struct work_change *change,
                                  struct problem *problem)
{
    int64_t call_id = 0;
    enum result result;

    if (change->after == NULL || !change_sets(change, "is_follow_up"))
        return RESULT_OK;
    result = row_integer(work, "activity", change_integer(change, "activity_id", 0), "call_id", 0,
                         &call_id, problem);
    if (result == RESULT_OK && call_id != 0)
        result = call_refresh(work, call_id, problem);
    return result;
}

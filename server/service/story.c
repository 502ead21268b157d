/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/story.h"

#include "server/service/rows.h"

#include <inttypes.h>
#include <string.h>

enum { MERGES_FOLLOWED_MAX = 16 };

/* Who is meant by an event that names nobody: its author, for a step of a technician. */
static int64_t technician_of(enum activity_kind kind, int64_t technician_id, int64_t by_id)
{
    enum activity_state to = ACTIVITY_DRAFT;
    enum reason reason = REASON_NONE;

    (void)activity_permits(ACTIVITY_DRAFT, kind, ROLE_TECHNICIAN, false, &to, &reason);
    if (technician_id != 0 || reason == REASON_NOT_PERMITTED) /* no step that technicians take */
        return technician_id;
    return by_id;
}

/* Columns: id, kind, technician_id, base_version_n, base_state, occurred_at, by_id, by_roles,
 * accepted_n, has_work. False: a kind of a newer program. */
static enum result event_of_row(struct work *work, const struct store_result *rows, size_t row,
                                struct activity_event *ret_event, bool *ret_is_known,
                                struct problem *problem)
{
    const char *kind = NULL;
    const char *base_state = NULL;
    struct activity_event event = {.base_state = ACTIVITY_DRAFT};
    enum result result = cell_text(work, rows, row, 1, &kind, problem);

    if (result == RESULT_OK)
        result = cell_text(work, rows, row, 4, &base_state, problem);
    if (result != RESULT_OK)
        return result;
    *ret_is_known = kind != NULL && activity_kind_parse(kind, &event.kind);
    if (!*ret_is_known)
        return RESULT_OK;
    if (base_state != NULL && !activity_state_parse(base_state, &event.base_state))
        event.base_state = ACTIVITY_DRAFT;
    event.id = store_integer_at(rows, row, 0, 0);
    event.by_id = store_integer_at(rows, row, 6, 0);
    event.tech_id = technician_of(event.kind, store_integer_at(rows, row, 2, 0), event.by_id);
    event.base_ver = store_integer_at(rows, row, 3, ACTIVITY_VERSION_ANY);
    event.occurred_at = store_integer_at(rows, row, 5, 0);
    event.roles = roles_parse(store_bytes_at(rows, row, 7));
    event.seq = store_integer_at(rows, row, 8, 0);
    event.has_work = store_integer_at(rows, row, 9, 0) != 0;
    *ret_event = event;
    return RESULT_OK;
}

/* Reads the accepted events of one activity behind those that are in the story already. */
static enum result read_events(struct work *work, int64_t activity_id, int64_t parent_id,
                               struct activity_story *story, struct problem *problem)
{
    const struct value parameters[] = {value_integer(activity_id), value_integer(parent_id)};
    struct store_result rows = {0};
    struct activity_event *events = NULL;
    size_t count = story->count;
    enum result result = work_query(
        work,
        "SELECT e.id, e.kind, e.technician_id, e.base_version_n, e.base_state, e.occurred_at,"
        " e.by_id, e.by_roles, e.accepted_n,"
        " CASE WHEN t.mode = 'phone' OR EXISTS (SELECT 1 FROM work_session w"
        "  WHERE w.activity_id IN (?1, ?2) AND w.void_of_id IS NULL"
        "  AND w.technician_id = COALESCE(e.technician_id, e.by_id)"
        "  AND NOT EXISTS (SELECT 1 FROM work_session v WHERE v.void_of_id = w.id))"
        " THEN 1 ELSE 0 END"
        " FROM activity_event e JOIN activity a ON a.id = e.activity_id"
        " JOIN activity_type t ON t.id = a.activity_type_id"
        " WHERE e.activity_id = ?1 AND e.accepted_n IS NOT NULL ORDER BY e.accepted_n, e.id",
        parameters, 2, &rows, problem);

    if (result != RESULT_OK)
        return result;
    events = arena_array(work_arena(work), count + rows.row_count, sizeof *events);
    if (events == NULL && count + rows.row_count > 0)
        return arena_full(work_arena(work), problem);
    if (count > 0)
        memcpy(events, story->events, count * sizeof *events);
    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        bool is_known = false;

        result = event_of_row(work, &rows, i, &events[count], &is_known, problem);
        if (result == RESULT_OK && is_known)
            count++;
    }
    story->events = events;
    story->count = count;
    return result;
}

static enum result fold(struct work *work, struct activity_story *story, int64_t born_id,
                        struct problem *problem)
{
    struct activity born = activity_born(born_id);

    story->answers = arena_array(work_arena(work), story->count + 1, sizeof *story->answers);
    if (story->answers == NULL)
        return arena_full(work_arena(work), problem);
    story->activity =
        activity_fold(&born, story->events, story->count, story->is_call_merged, story->answers);
    return RESULT_OK;
}

/* The events of `technician_id` that were judged to be a visit of its own, as a beginning. */
static enum result take_branch(struct work *work, const struct activity_story *parent,
                               int64_t technician_id, struct activity_story *story,
                               struct problem *problem)
{
    struct activity_event *events =
        arena_array(work_arena(work), parent->count + 1, sizeof *events);
    size_t count = 0;

    if (events == NULL)
        return arena_full(work_arena(work), problem);
    for (size_t i = 0; i < parent->count; i++)
        if (parent->answers[i].answer == ANSWER_BRANCH &&
            parent->events[i].tech_id == technician_id) {
            events[count] = parent->events[i];
            events[count++].base_ver = ACTIVITY_VERSION_ANY; /* versions of another activity */
        }
    story->events = events;
    story->count = count;
    return RESULT_OK;
}

/* The head of a story: its row. */
static enum result read_head(struct work *work, int64_t activity_id,
                             struct activity_story *ret_story, int64_t *ret_born_id,
                             struct problem *problem)
{
    const struct value id = value_integer(activity_id);
    struct store_result row = {0};
    enum result result =
        work_query(work,
                   "SELECT a.call_id, a.branch_of_id, a.technician_id, a.unplanned_by_id,"
                   " c.duplicate_of_id, r.is_follow_up FROM activity a"
                   " JOIN call c ON c.id = a.call_id"
                   " LEFT JOIN activity_result r ON r.activity_id = a.id WHERE a.id = ?1",
                   &id, 1, &row, problem);

    if (result != RESULT_OK)
        return result;
    if (row.row_count == 0)
        return problem_set(problem, RESULT_REFUSED, "there is no activity %" PRId64, activity_id);
    *ret_story = (struct activity_story){
        .activity_id = activity_id,
        .call_id = store_integer_at(&row, 0, 0, 0),
        .branch_of_id = store_integer_at(&row, 0, 1, 0),
        .technician_id = store_integer_at(&row, 0, 2, 0),
        .is_call_merged = store_integer_at(&row, 0, 4, 0) != 0,
        .has_follow_up = store_integer_at(&row, 0, 5, 0) != 0,
    };
    *ret_born_id = store_integer_at(&row, 0, 3, 0);
    return RESULT_OK;
}

enum result activity_story_read(struct work *work, int64_t activity_id,
                                struct activity_story *ret_story, struct problem *problem)
{
    struct activity_story story = {0};
    struct activity_story parent = {0};
    int64_t born_id = 0;
    int64_t parent_born_id = 0;
    enum result result = read_head(work, activity_id, &story, &born_id, problem);

    if (result == RESULT_OK && story.branch_of_id != 0) {
        result = read_head(work, story.branch_of_id, &parent, &parent_born_id, problem);
        if (result == RESULT_OK)
            result = read_events(work, parent.activity_id, parent.branch_of_id, &parent, problem);
        if (result == RESULT_OK)
            result = fold(work, &parent, parent_born_id, problem);
        if (result == RESULT_OK)
            result = take_branch(work, &parent, born_id, &story, problem);
    }
    if (result == RESULT_OK)
        result = read_events(work, activity_id, story.branch_of_id, &story, problem);
    if (result != RESULT_OK)
        return result;
    for (size_t i = 0; i < story.count; i++)
        story.events[i].seq = (int64_t)i + 1; /* two sources have one order now */
    result = fold(work, &story, born_id, problem);
    if (result == RESULT_OK)
        *ret_story = story;
    return result;
}

/* ---- calls ---- */

static enum call_hold hold_of(const char *waiting_for)
{
    if (waiting_for != NULL && strcmp(waiting_for, "parts") == 0)
        return CALL_HOLD_PARTS;
    if (waiting_for != NULL && strcmp(waiting_for, "vendor") == 0)
        return CALL_HOLD_VENDOR;
    return CALL_HOLD_CUSTOMER;
}

/* Columns: id, kind, other_call_id, waiting_for, is_remote, occurred_at, by_roles. */
static enum result call_event_of_row(struct work *work, const struct store_result *rows, size_t row,
                                     struct call_event *ret_event, bool *ret_is_known,
                                     struct problem *problem)
{
    const char *kind = NULL;
    const char *waiting_for = NULL;
    struct call_event event = {0};
    enum result result = cell_text(work, rows, row, 1, &kind, problem);

    if (result == RESULT_OK)
        result = cell_text(work, rows, row, 3, &waiting_for, problem);
    if (result != RESULT_OK)
        return result;
    *ret_is_known = kind != NULL && call_kind_parse(kind, &event.kind);
    event.id = store_integer_at(rows, row, 0, 0);
    event.dup_of_id = store_integer_at(rows, row, 2, 0);
    event.hold_for = event.kind == CALL_HOLD ? hold_of(waiting_for) : CALL_HOLD_NONE;
    event.is_remote = store_integer_at(rows, row, 4, 0) != 0;
    event.occurred_at = store_integer_at(rows, row, 5, 0);
    event.roles = roles_parse(store_bytes_at(rows, row, 6));
    *ret_event = event;
    return RESULT_OK;
}

static enum result add_own_events(struct work *work, struct call_story *story,
                                  const struct store_result *rows, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < rows->row_count && result == RESULT_OK; i++) {
        bool is_known = false;

        result = call_event_of_row(work, rows, i, &story->events[story->count], &is_known, problem);
        if (result == RESULT_OK && is_known)
            story->count++;
    }
    return result;
}

/* Own events of the call and what its activities did, in one array. */
static enum result gather(struct work *work, struct call_story *story,
                          const struct activity_story *activities, size_t activity_count,
                          const struct store_result *own, struct problem *problem)
{
    size_t count = own->row_count;
    enum result result;

    for (size_t i = 0; i < activity_count; i++)
        count += activities[i].count;
    story->events = arena_array(work_arena(work), count + 1, sizeof *story->events);
    story->answers = arena_array(work_arena(work), count + 1, sizeof *story->answers);
    if (story->events == NULL || story->answers == NULL)
        return arena_full(work_arena(work), problem);
    result = add_own_events(work, story, own, problem);
    for (size_t i = 0; i < activity_count && result == RESULT_OK; i++)
        story->count += call_events_of_activity(
            activities[i].activity_id, activities[i].events, activities[i].answers,
            activities[i].count, activities[i].has_follow_up, &story->events[story->count]);
    return result;
}

enum result call_story_read(struct work *work, int64_t call_id, struct call_story *ret_story,
                            struct problem *problem)
{
    static const struct call_policy POLICY = {.close_days = CALL_CLOSE_DAYS,
                                              .reopen_days = CALL_REOPEN_DAYS};
    const struct value id = value_integer(call_id);
    struct store_result ids = {0};
    struct store_result own = {0};
    struct activity_story *activities = NULL;
    struct call_story story = {.call_id = call_id};
    enum result result = work_query(work, "SELECT id FROM activity WHERE call_id = ?1 ORDER BY id",
                                    &id, 1, &ids, problem);

    if (result == RESULT_OK)
        result = work_query(work,
                            "SELECT id, kind, other_call_id, waiting_for, is_remote, occurred_at,"
                            " by_roles FROM call_event"
                            " WHERE call_id = ?1 AND accepted_n IS NOT NULL ORDER BY id",
                            &id, 1, &own, problem);
    if (result != RESULT_OK)
        return result;
    activities = arena_array(work_arena(work), ids.row_count + 1, sizeof *activities);
    if (activities == NULL)
        return arena_full(work_arena(work), problem);
    for (size_t i = 0; i < ids.row_count && result == RESULT_OK; i++)
        result =
            activity_story_read(work, store_integer_at(&ids, i, 0, 0), &activities[i], problem);
    if (result == RESULT_OK)
        result = gather(work, &story, activities, ids.row_count, &own, problem);
    if (result != RESULT_OK)
        return result;
    call_events_sort(story.events, story.count);
    result = call_fold(story.events, story.count, &POLICY, work_arena(work), &story.call,
                       story.answers, problem);
    if (result == RESULT_OK)
        *ret_story = story;
    return result;
}

enum result call_survivor(struct work *work, int64_t call_id, int64_t *ret_call_id,
                          struct problem *problem)
{
    int64_t at = call_id;
    enum result result = RESULT_OK;

    for (int i = 0; i < MERGES_FOLLOWED_MAX && result == RESULT_OK; i++) {
        int64_t next = 0;

        result = row_integer(work, "call", at, "duplicate_of_id", 0, &next, problem);
        if (next == 0 || next == call_id) /* two calls that name each other: stay where it is */
            break;
        at = next;
    }
    if (result == RESULT_OK)
        *ret_call_id = at;
    return result;
}

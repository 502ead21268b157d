/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/activities.h"

#include <string.h>

enum { EVENTS_SIZE_MAX = 4 << 20 };

/* ---- folding ---- */

/* "technician,manager" */
static unsigned roles_of(const char *names)
{
    unsigned roles = 0;
    char name[32];

    while (*names != '\0') {
        size_t size = strcspn(names, ",");
        enum role role;

        if (size < sizeof name) {
            memcpy(name, names, size);
            name[size] = '\0';
            if (role_from_name(name, &role))
                roles |= role;
        }
        names += size + (names[size] == ',');
    }
    return roles;
}

/* Rows that the server has taken say with what right; own pending ones are ours. A row that this
 * program can't read (a kind of a newer version) is left out: the server's state has it. */
static bool read_event(struct service *service, struct arena *arena, const struct value *row,
                       bool has_work, struct activity_event *ret_event)
{
    struct activity_event event = {
        .id = service_integer(&row[0]),
        .tech_id = service_integer(&row[2]),
        .base_ver = row[3].type == VALUE_INTEGER ? row[3].integer : ACTIVITY_VERSION_ANY,
        .occurred_at = service_integer(&row[5]),
        .by_id = service_integer(&row[6]),
        .seq = service_integer(&row[8]),
        .has_work = has_work,
    };

    if (!activity_kind_parse(service_text(arena, &row[1]), &event.kind))
        return false;
    if (row[4].type == VALUE_TEXT &&
        !activity_state_parse(service_text(arena, &row[4]), &event.base_state))
        return false;
    event.lcn = event.seq == 0 ? id_counter(event.id) : 0;
    event.roles = event.seq == 0 ? service->roles : roles_of(service_text(arena, &row[7]));
    if (event.tech_id == 0 && event.kind >= ACTIVITY_ACCEPT && event.kind <= ACTIVITY_NO_ACCESS)
        event.tech_id = event.by_id;
    *ret_event = event;
    return true;
}

static const char EVENTS_SQL[] =
    "SELECT id, kind, technician_id, base_version_n, base_state, occurred_at, by_id, by_roles, "
    "accepted_n FROM activity_event WHERE activity_id = ?1 ORDER BY id";

static enum result read_events(struct service *service, int64_t activity_id, bool has_work,
                               struct arena *arena, struct activity_event **ret_events,
                               size_t *ret_count, struct problem *problem)
{
    struct replica_result rows = {0};
    struct activity_event *events;
    size_t count = 0;
    enum result result =
        replica_query(service->replica, EVENTS_SQL, SERVICE_VALUES(value_integer(activity_id)),
                      arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    events = arena_array(arena, rows.row_count + 1, sizeof *events);
    if (events == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < rows.row_count; i++)
        if (read_event(service, arena, rows.values + i * rows.column_count, has_work,
                       &events[count]))
            count++;
    activity_events_sort(events, count);
    *ret_events = events;
    *ret_count = count;
    return RESULT_OK;
}

/* The activity as the server folded it: from its events, if they lead to the state that the server
 * says; otherwise (imported, or a part of the history is elsewhere) from its columns alone. */
static struct activity server_view(const struct value *row, enum activity_state state,
                                   const struct activity_event *events, size_t accepted_count)
{
    struct activity born = activity_born(service_integer(&row[3]));
    struct activity activity = activity_fold(&born, events, accepted_count, false, NULL);

    if (activity.state != state || activity.tech_id != service_integer(&row[1]))
        activity = (struct activity){.state = state, .tech_id = service_integer(&row[1])};
    activity.assign_ver = service_integer(&row[2]);
    return activity;
}

static const char LOOK_SQL[] =
    "SELECT a.state, a.technician_id, a.assign_version_n, "
    "CASE WHEN a.unplanned_by_id IS NOT NULL THEN a.unplanned_by_id "
    "WHEN a.state = 'draft' AND a.id >> 33 = ?2 THEN a.technician_id END, "
    "t.mode = 'phone' OR EXISTS (SELECT 1 FROM work_session w WHERE w.activity_id = a.id "
    "AND w.void_of_id IS NULL) FROM activity a "
    "LEFT JOIN activity_type t ON t.id = a.activity_type_id WHERE a.id = ?1";

static enum result look(struct service *service, int64_t activity_id, struct arena *arena,
                        struct activity_view *ret_view, struct problem *problem)
{
    struct activity_view view = {0};
    struct activity_event *events = NULL;
    const struct value *row = NULL;
    size_t count = 0;
    size_t accepted = 0;
    bool is_found = false;
    enum result result = service_row(
        service, LOOK_SQL,
        SERVICE_VALUES(value_integer(activity_id), value_integer(service->who.replica_no)), arena,
        &row, &is_found, problem);

    if (result != RESULT_OK)
        return result;
    if (!is_found)
        return problem_set(problem, RESULT_REFUSED, "no such activity is on this device");
    if (!activity_state_parse(service_text(arena, &row[0]), &view.server_state))
        return problem_set(problem, RESULT_REFUSED, "state `%s` is of a newer version",
                           service_text(arena, &row[0]));
    result = read_events(service, activity_id, service_integer(&row[4]) != 0, arena, &events,
                         &count, problem);
    if (result != RESULT_OK)
        return result;
    while (accepted < count && events[accepted].seq != 0)
        accepted++;
    /* own unplanned work that the server hasn't seen: born accepted */
    view.activity = view.server_state == ACTIVITY_DRAFT && service_integer(&row[3]) != 0
                        ? activity_born(service_integer(&row[3]))
                        : server_view(row, view.server_state, events, accepted);
    view.is_pending = accepted < count;
    for (size_t i = accepted; i < count; i++) {
        struct activity before = view.activity;

        (void)activity_judge(&before, &events[i], false, &view.activity);
    }
    *ret_view = view;
    return RESULT_OK;
}

enum result activity_look(struct service *service, int64_t activity_id,
                          struct activity_view *ret_view, struct problem *problem)
{
    struct arena arena;
    enum result result;

    arena_init(&arena, EVENTS_SIZE_MAX);
    result = look(service, activity_id, &arena, ret_view, problem);
    arena_done(&arena);
    return result;
}

/* ---- steps ---- */

static enum result check_step(struct service *service, const struct activity_view *view,
                              const struct activity_step *step, struct problem *problem)
{
    enum activity_state to;
    enum reason reason;

    if ((step->kind == ACTIVITY_REJECT || step->kind == ACTIVITY_NO_ACCESS) &&
        (step->reason == NULL || step->reason[0] == '\0'))
        return problem_set(problem, RESULT_REFUSED, "%s needs a reason",
                           activity_kind_name(step->kind));
    if (!activity_permits(view->activity.state, step->kind, service->roles,
                          view->activity.tech_id != service->who.user_id, &to, &reason))
        return problem_set(problem, RESULT_REFUSED, "%s isn't possible while it is %s: %s",
                           activity_kind_name(step->kind),
                           activity_state_name(view->activity.state), reason_english(reason));
    return RESULT_OK;
}

static enum result insert_event(struct service *service, int64_t activity_id,
                                const struct activity_view *view, const struct activity_step *step,
                                struct problem *problem)
{
    return service_insert(
        service,
        "INSERT INTO activity_event (id, activity_id, kind, technician_id, base_version_n, "
        "base_state, occurred_at, by_id, device_id, lat_e7, lon_e7, reason) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        SERVICE_VALUES(value_integer(activity_id), value_text_of(activity_kind_name(step->kind)),
                       service_id(view->activity.tech_id), value_integer(view->activity.assign_ver),
                       value_text_of(activity_state_name(view->activity.state)),
                       value_integer(step->occurred_at != 0 ? step->occurred_at : service->now.us),
                       value_integer(service->who.user_id), service_id(service->who.device_id),
                       step->has_position ? value_integer(step->latitude_e7) : value_null(),
                       step->has_position ? value_integer(step->longitude_e7) : value_null(),
                       value_text_of(step->reason)),
        NULL, problem);
}

enum result activity_do(struct service *service, int64_t activity_id,
                        const struct activity_step *step, struct activity_view *ret_view,
                        struct problem *problem)
{
    struct activity_view view = {0};
    struct arena arena;
    enum result result;

    arena_init(&arena, EVENTS_SIZE_MAX);
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        goto done;
    result = look(service, activity_id, &arena, &view, problem);
    if (result == RESULT_OK)
        result = check_step(service, &view, step, problem);
    if (result == RESULT_OK)
        result = insert_event(service, activity_id, &view, step, problem);
    if (result == RESULT_OK && ret_view != NULL)
        result = look(service, activity_id, &arena, ret_view, problem);
    result = service_change_end(service, result, false, problem);
done:
    arena_done(&arena);
    return result;
}

/* ---- words ---- */

static bool is_outcome(const char *outcome)
{
    static const char *const OUTCOMES[] = {"solved", "provisional", "not_solved", "no_fault_found"};

    for (size_t i = 0; i < sizeof OUTCOMES / sizeof OUTCOMES[0]; i++)
        if (strcmp(outcome, OUTCOMES[i]) == 0)
            return true;
    return false;
}

enum result activity_report(struct service *service, int64_t activity_id,
                            const struct activity_words *words, struct problem *problem)
{
    const struct value given[] = {value_text_of(words->outcome), value_text_of(words->cause),
                                  value_text_of(words->report), value_text_of(words->follow_up)};
    const struct value *row = NULL;
    struct arena arena;
    bool is_found = false;
    enum result result;

    if (words->outcome != NULL && !is_outcome(words->outcome))
        return problem_set(problem, RESULT_REFUSED,
                           "an outcome is solved, provisional, not_solved or no_fault_found");
    arena_init(&arena, 1 << 20);
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        goto done;
    result =
        service_row(service, "SELECT id FROM activity_result WHERE activity_id = ?1",
                    SERVICE_VALUES(value_integer(activity_id)), &arena, &row, &is_found, problem);
    if (result == RESULT_OK && is_found)
        result = replica_execute(
            service->replica,
            "UPDATE activity_result SET outcome = coalesce(?2, outcome), "
            "cause = coalesce(?3, cause), report_text = coalesce(?4, report_text), "
            "follow_up_note = coalesce(?5, follow_up_note), "
            "is_follow_up = CASE WHEN ?5 IS NULL THEN is_follow_up ELSE 1 END WHERE id = ?1",
            SERVICE_VALUES(row[0], given[0], given[1], given[2], given[3]), problem);
    else if (result == RESULT_OK)
        result = service_insert(
            service,
            "INSERT INTO activity_result (id, activity_id, outcome, cause, "
            "report_text, follow_up_note, is_follow_up) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6 IS NOT NULL)",
            SERVICE_VALUES(value_integer(activity_id), given[0], given[1], given[2], given[3]),
            NULL, problem);
    result = service_change_end(service, result, false, problem);
done:
    arena_done(&arena);
    return result;
}

/* ---- list ---- */

static const struct listing_column COLUMNS[] = {
    {"id", "ACTIVITY", LISTING_ID},          {"call", "CALL", LISTING_TEXT},
    {"planned_at", "PLANNED", LISTING_TIME}, {"state", "STATE", LISTING_TEXT},
    {"pending", "PENDING", LISTING_FLAG},    {"type", "TYPE", LISTING_TEXT},
    {"site", "SITE", LISTING_TEXT},          {"subject", "SUBJECT", LISTING_TEXT},
};
enum { STATE_COLUMN = 3, PENDING_COLUMN = 4 };
static const struct listing_query LIST = LISTING_QUERY(
    "SELECT a.id, coalesce(c.number_text, '#' || c.id), a.planned_start_at, a.state, "
    "EXISTS (SELECT 1 FROM activity_event e WHERE e.activity_id = a.id AND e.accepted_n IS NULL), "
    "t.name, s.name, c.subject FROM activity a JOIN call c ON c.id = a.call_id "
    "LEFT JOIN activity_type t ON t.id = a.activity_type_id "
    "LEFT JOIN site s ON s.id = coalesce(a.site_id, c.site_id) "
    "WHERE a.technician_id = ?1 AND (?2 OR a.state NOT IN "
    "('done', 'approved', 'priced', 'failed', 'cancelled')) "
    "ORDER BY a.planned_start_at IS NULL, a.planned_start_at, a.id",
    COLUMNS);

enum result activity_list(struct service *service, bool with_ended, struct arena *arena,
                          struct listing *ret_listing, struct problem *problem)
{
    struct listing listing = {0};
    struct value *values;
    enum result result =
        service_list(service, &LIST,
                     SERVICE_VALUES(value_integer(service->who.user_id), value_integer(with_ended)),
                     arena, &listing, problem);

    if (result != RESULT_OK)
        return result;
    values = arena_array(arena, listing.row_count * listing.column_count + 1, sizeof *values);
    if (values == NULL)
        return arena_full(arena, problem);
    if (listing.row_count > 0)
        memcpy(values, listing.values, listing.row_count * listing.column_count * sizeof *values);
    for (size_t i = 0; i < listing.row_count; i++) {
        struct value *row = values + i * listing.column_count;
        struct activity_view view = {0};

        if (service_integer(&row[PENDING_COLUMN]) == 0)
            continue;
        result = look(service, service_integer(&row[0]), arena, &view, problem);
        if (result != RESULT_OK)
            return result;
        row[STATE_COLUMN] = value_text_of(activity_state_name(view.activity.state));
    }
    listing.values = values;
    *ret_listing = listing;
    return RESULT_OK;
}

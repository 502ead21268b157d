/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/calls.h"

#include "domain/numbers.h"

#include <assert.h>

static_assert((int)CALL_NUMBER_SIZE == (int)NUMBER_TEXT_SIZE, "one size for a number's text");

static const struct listing_column CALL_COLUMNS[] = {
    {"id", NULL, LISTING_ID},
    {"number", "CALL", LISTING_TEXT},
    {"planned_at", "PLANNED", LISTING_TIME},
    {"state", "STATE", LISTING_TEXT},
    {"activity_state", "MY STATE", LISTING_TEXT},
    {"priority", "PRIO", LISTING_NUMBER},
    {"site", "SITE", LISTING_TEXT},
    {"city", "CITY", LISTING_TEXT},
    {"subject", "SUBJECT", LISTING_TEXT},
    {"activity_id", "ACTIVITY", LISTING_ID},
};

#define CALL_SELECT                                                                                \
    "SELECT c.id, coalesce(c.number_text, '#' || c.id), a.planned_start_at, c.state, a.state, "    \
    "c.priority_n, coalesce(s.name, p.name), s.city, c.subject, a.id FROM call c "                 \
    "LEFT JOIN site s ON s.id = c.site_id LEFT JOIN party p ON p.id = c.party_id "
#define OWN_ACTIVITY                                                                               \
    "ON a.id = (SELECT x.id FROM activity x WHERE x.call_id = c.id AND x.technician_id = ?1 "      \
    "ORDER BY x.state IN ('done', 'approved', 'priced', 'failed', 'cancelled'), "                  \
    "x.planned_start_at, x.id LIMIT 1) "

static const struct listing_query LISTS[] = {
    [CALLS_MINE] = LISTING_QUERY(
        CALL_SELECT "JOIN activity a " OWN_ACTIVITY
                    "WHERE a.state NOT IN ('done', 'approved', 'priced', 'failed', 'cancelled') "
                    "ORDER BY a.planned_start_at IS NULL, a.planned_start_at, c.priority_n, c.id",
        CALL_COLUMNS),
    [CALLS_OPEN] =
        LISTING_QUERY(CALL_SELECT "LEFT JOIN activity a " OWN_ACTIVITY
                                  "WHERE c.state NOT IN ('closed', 'cancelled', 'duplicate') "
                                  "ORDER BY c.priority_n, c.opened_at, c.id",
                      CALL_COLUMNS),
    [CALLS_ALL] = LISTING_QUERY(CALL_SELECT "LEFT JOIN activity a " OWN_ACTIVITY
                                            "ORDER BY c.opened_at DESC, c.id DESC",
                                CALL_COLUMNS),
};

enum result call_list(struct service *service, enum call_filter filter, struct arena *arena,
                      struct listing *ret_listing, struct problem *problem)
{
    return service_list(service, &LISTS[filter],
                        SERVICE_VALUES(value_integer(service->who.user_id)), arena, ret_listing,
                        problem);
}

static const struct listing_column SHOW_COLUMNS[] = {
    {"id", "ID", LISTING_ID},
    {"number", "CALL", LISTING_TEXT},
    {"state", "STATE", LISTING_TEXT},
    {"priority", "PRIO", LISTING_NUMBER},
    {"subject", "SUBJECT", LISTING_TEXT},
    {"description", "DESCRIPTION", LISTING_TEXT},
    {"problem_code", "PROBLEM", LISTING_TEXT},
    {"party", "CUSTOMER", LISTING_TEXT},
    {"site", "SITE", LISTING_TEXT},
    {"street", "STREET", LISTING_TEXT},
    {"city", "CITY", LISTING_TEXT},
    {"access_note", "ACCESS", LISTING_TEXT},
    {"contact", "CONTACT", LISTING_TEXT},
    {"asset", "ASSET", LISTING_TEXT},
    {"serial", "SERIAL", LISTING_TEXT},
    {"opened_at", "OPENED", LISTING_TIME},
    {"onsite_due_at", "ON SITE BY", LISTING_TIME},
};
static const struct listing_query SHOW = LISTING_QUERY(
    "SELECT c.id, c.number_text, c.state, c.priority_n, c.subject, c.description, c.problem_code, "
    "p.name, s.name, s.street, s.city, s.access_note, coalesce(k.name, c.caller_text), m.name, "
    "t.serial, c.opened_at, c.onsite_due_at FROM call c LEFT JOIN party p ON p.id = c.party_id "
    "LEFT JOIN site s ON s.id = c.site_id LEFT JOIN contact k ON k.id = c.contact_id "
    "LEFT JOIN asset t ON t.id = c.asset_id LEFT JOIN asset_model m ON m.id = t.model_id "
    "WHERE c.id = ?1",
    SHOW_COLUMNS);

static const struct listing_column ACTIVITY_COLUMNS[] = {
    {"id", "ACTIVITY", LISTING_ID},
    {"type", "TYPE", LISTING_TEXT},
    {"technician", "TECHNICIAN", LISTING_TEXT},
    {"planned_at", "PLANNED", LISTING_TIME},
    {"planned_min", "MIN", LISTING_NUMBER},
    {"state", "STATE", LISTING_TEXT},
};
static const struct listing_query ACTIVITIES = LISTING_QUERY(
    "SELECT a.id, t.name, u.name, a.planned_start_at, a.planned_min, a.state FROM activity a "
    "LEFT JOIN activity_type t ON t.id = a.activity_type_id "
    "LEFT JOIN app_user u ON u.id = a.technician_id WHERE a.call_id = ?1 "
    "ORDER BY a.planned_start_at IS NULL, a.planned_start_at, a.id",
    ACTIVITY_COLUMNS);

static const struct listing_column NOTE_COLUMNS[] = {
    {"id", NULL, LISTING_ID},       {"occurred_at", "WHEN", LISTING_TIME},
    {"by", "BY", LISTING_TEXT},     {"visibility", "FOR", LISTING_TEXT},
    {"body", "NOTE", LISTING_TEXT},
};
static const struct listing_query NOTES = LISTING_QUERY(
    "SELECT n.id, n.occurred_at, u.name, n.visibility, n.body FROM call_note n "
    "LEFT JOIN app_user u ON u.id = n.by_id WHERE n.call_id = ?1 ORDER BY n.occurred_at, n.id",
    NOTE_COLUMNS);

static const struct listing_column NEED_COLUMNS[] = {
    {"id", NULL, LISTING_ID},       {"item", "PART", LISTING_TEXT},
    {"name", "NAME", LISTING_TEXT}, {"needed", "NEEDED", LISTING_MILLI},
    {"unit", "UNIT", LISTING_TEXT}, {"state", "STATE", LISTING_TEXT},
    {"note", "NOTE", LISTING_TEXT},
};
static const struct listing_query NEEDS = LISTING_QUERY(
    "SELECT n.id, i.code, i.name, n.needed_m, i.unit_of_measure, n.state, n.note FROM part_need n "
    "LEFT JOIN item i ON i.id = n.item_id WHERE n.call_id = ?1 ORDER BY n.id",
    NEED_COLUMNS);

enum result call_show(struct service *service, int64_t call_id, struct arena *arena,
                      struct call_view *ret_view, struct problem *problem)
{
    const struct listing_query *queries[] = {&SHOW, &ACTIVITIES, &NOTES, &NEEDS};
    struct call_view view = {0};
    struct listing *listings[] = {&view.call, &view.activities, &view.notes, &view.needs};
    enum result result = RESULT_OK;

    for (size_t i = 0; result == RESULT_OK && i < sizeof queries / sizeof queries[0]; i++)
        result = service_list(service, queries[i], SERVICE_VALUES(value_integer(call_id)), arena,
                              listings[i], problem);
    if (result == RESULT_OK && view.call.row_count == 0)
        return problem_set(problem, RESULT_REFUSED, "no such call is on this device");
    if (result == RESULT_OK)
        *ret_view = view;
    return result;
}

/* ---- opening ---- */

/* Moves the device's own series on; "" if it has none. */
static enum result take_number(struct service *service, struct arena *arena,
                               char ret_number[CALL_NUMBER_SIZE], struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    int64_t next;
    enum result result = service_row(
        service,
        "SELECT id, prefix, next_n FROM number_series WHERE kind = 'call' AND device_id = ?1 "
        "ORDER BY year_n DESC, id DESC LIMIT 1",
        SERVICE_VALUES(value_integer(service->who.device_id)), arena, &row, &is_found, problem);

    ret_number[0] = '\0';
    if (result != RESULT_OK || !is_found)
        return result;
    next = service_integer(&row[2]);
    result = number_take(service_text(arena, &row[1]), &next, ret_number, problem);
    if (result != RESULT_OK)
        return result;
    return replica_execute(service->replica, "UPDATE number_series SET next_n = ?2 WHERE id = ?1",
                           SERVICE_VALUES(row[0], value_integer(next)), problem);
}

/* Site and customer of the new call: as given, else the asset's. */
static enum result find_place(struct service *service, const struct call_draft *draft,
                              struct arena *arena, struct call_draft *ret_draft,
                              struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    enum result result = RESULT_OK;

    *ret_draft = *draft;
    if (draft->asset_id != 0) {
        result = service_row(service, "SELECT site_id, owner_id FROM asset WHERE id = ?1",
                             SERVICE_VALUES(value_integer(draft->asset_id)), arena, &row, &is_found,
                             problem);
        if (result == RESULT_OK && !is_found)
            return problem_set(problem, RESULT_REFUSED, "no such asset is on this device");
        if (result == RESULT_OK && ret_draft->site_id == 0)
            ret_draft->site_id = service_integer(&row[0]);
        if (result == RESULT_OK && ret_draft->party_id == 0)
            ret_draft->party_id = service_integer(&row[1]);
    }
    if (result == RESULT_OK && ret_draft->site_id != 0) {
        result = service_row(service, "SELECT party_id FROM site WHERE id = ?1",
                             SERVICE_VALUES(value_integer(ret_draft->site_id)), arena, &row,
                             &is_found, problem);
        if (result == RESULT_OK && !is_found)
            return problem_set(problem, RESULT_REFUSED, "no such site is on this device");
        if (result == RESULT_OK && (draft->party_id == 0 || ret_draft->party_id == 0))
            ret_draft->party_id = service_integer(&row[0]);
    }
    if (result == RESULT_OK && ret_draft->party_id == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "a call needs a site, an asset or a customer that is on this device");
    return result;
}

static enum result insert_call(struct service *service, const struct call_draft *draft,
                               const char *number, int64_t *ret_id, struct problem *problem)
{
    return service_insert(
        service,
        "INSERT INTO call (id, number_text, channel, party_id, site_id, asset_id, caller_text, "
        "problem_code, subject, description, priority_n, opened_at, opened_by_id) "
        "VALUES (?1, ?2, 'device', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        SERVICE_VALUES(number[0] == '\0' ? value_null() : value_text_of(number),
                       value_integer(draft->party_id), service_id(draft->site_id),
                       service_id(draft->asset_id), value_text_of(draft->caller),
                       value_text_of(draft->problem_code), value_text_of(draft->subject),
                       value_text_of(draft->description),
                       value_integer(draft->priority == 0 ? 3 : draft->priority),
                       value_integer(service->now.us), value_integer(service->who.user_id)),
        ret_id, problem);
}

/* The technician's own unplanned visit, of the first kind of work that happens on site. */
static enum result insert_own_activity(struct service *service, int64_t call_id, int64_t asset_id,
                                       struct arena *arena, int64_t *ret_id,
                                       struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    enum result result =
        service_row(service, "SELECT id FROM activity_type ORDER BY mode <> 'on_site', id LIMIT 1",
                    NULL, 0, arena, &row, &is_found, problem);

    if (result == RESULT_OK && !is_found)
        return problem_set(problem, RESULT_REFUSED,
                           "no kinds of work are on this device: it needs a first sync");
    if (result != RESULT_OK)
        return result;
    return service_insert(
        service,
        "INSERT INTO activity (id, call_id, activity_type_id, asset_id, technician_id) "
        "VALUES (?1, ?2, ?3, ?4, ?5)",
        SERVICE_VALUES(value_integer(call_id), row[0], service_id(asset_id),
                       value_integer(service->who.user_id)),
        ret_id, problem);
}

enum result call_open(struct service *service, const struct call_draft *draft, int64_t *ret_call_id,
                      int64_t *ret_activity_id, char ret_number[CALL_NUMBER_SIZE],
                      struct problem *problem)
{
    struct call_draft whole = {0};
    struct arena arena;
    enum result result;

    if (draft->subject == NULL || draft->subject[0] == '\0')
        return problem_set(problem, RESULT_REFUSED, "a call needs a subject");
    if (draft->priority < 0 || draft->priority > 5)
        return problem_set(problem, RESULT_REFUSED, "priority is 1 (most urgent) to 5");
    *ret_activity_id = 0;
    arena_init(&arena, 1 << 20);
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        goto done;
    result = find_place(service, draft, &arena, &whole, problem);
    if (result == RESULT_OK)
        result = take_number(service, &arena, ret_number, problem);
    if (result == RESULT_OK)
        result = insert_call(service, &whole, ret_number, ret_call_id, problem);
    if (result == RESULT_OK && draft->is_mine)
        result = insert_own_activity(service, *ret_call_id, whole.asset_id, &arena, ret_activity_id,
                                     problem);
    result = service_change_end(service, result, false, problem);
done:
    arena_done(&arena);
    return result;
}

enum result call_note_add(struct service *service, int64_t call_id, const char *body,
                          bool is_for_customer, int64_t *ret_id, struct problem *problem)
{
    enum result result;

    if (body == NULL || body[0] == '\0')
        return problem_set(problem, RESULT_REFUSED, "an empty note says nothing");
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        return result;
    result =
        service_insert(service,
                       "INSERT INTO call_note (id, call_id, occurred_at, by_id, visibility, body) "
                       "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                       SERVICE_VALUES(value_integer(call_id), value_integer(service->now.us),
                                      value_integer(service->who.user_id),
                                      value_text_of(is_for_customer ? "customer" : "internal"),
                                      value_text_of(body)),
                       ret_id, problem);
    return service_change_end(service, result, false, problem);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/work_log.h"

#include "domain/dates.h"

#include <string.h>

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* One insert as an action of its own. */
static enum result insert_alone(struct service *service, const char *sql,
                                const struct value *values, size_t count, int64_t *ret_id,
                                struct problem *problem)
{
    enum result result = service_change_begin(service, problem);

    if (result != RESULT_OK)
        return result;
    result = service_insert(service, sql, values, count, ret_id, problem);
    return service_change_end(service, result, false, problem);
}

static enum result check_activity(struct service *service, int64_t activity_id,
                                  struct problem *problem)
{
    const struct value *row = NULL;
    struct arena arena;
    bool is_found = false;
    enum result result;

    arena_init(&arena, 64 * 1024);
    result =
        service_row(service, "SELECT id FROM activity WHERE id = ?1",
                    SERVICE_VALUES(value_integer(activity_id)), &arena, &row, &is_found, problem);
    arena_done(&arena);
    if (result == RESULT_OK && !is_found)
        return problem_set(problem, RESULT_REFUSED, "no such activity is on this device");
    return result;
}

/* ---- time ---- */

enum result work_log_add(struct service *service, const struct work_entry *entry, int64_t *ret_id,
                         struct problem *problem)
{
    static const char *const KINDS[] = {"work", "travel", "waiting", "phone", "training"};
    const char *kind = entry->kind != NULL ? entry->kind : "work";
    enum result result;

    if (!is_one_of(kind, KINDS, sizeof KINDS / sizeof KINDS[0]))
        return problem_set(problem, RESULT_REFUSED,
                           "time is work, travel, waiting, phone or training, not `%.40s`", kind);
    if (entry->started_at <= 0 || entry->ended_at <= entry->started_at ||
        entry->ended_at - entry->started_at > HOURS(24))
        return problem_set(problem, RESULT_REFUSED, "work ends after it begins, within 24 hours");
    if (entry->break_min < 0 || MINUTES(entry->break_min) >= entry->ended_at - entry->started_at)
        return problem_set(problem, RESULT_REFUSED, "the break is as long as the work");
    result = check_activity(service, entry->activity_id, problem);
    if (result != RESULT_OK)
        return result;
    return insert_alone(
        service,
        "INSERT INTO work_session (id, activity_id, technician_id, kind, started_at, ended_at, "
        "break_min, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        SERVICE_VALUES(value_integer(entry->activity_id), value_integer(service->who.user_id),
                       value_text_of(kind), value_integer(entry->started_at),
                       value_integer(entry->ended_at), value_integer(entry->break_min),
                       value_text_of(entry->source != NULL ? entry->source : "typed")),
        ret_id, problem);
}

/* Is this row ours, no void itself, and not void yet? `sql` has ?1 id and ?2 user, and yields one
 * column: whether it is void. */
static enum result check_voidable(struct service *service, const char *what, const char *sql,
                                  int64_t id, struct problem *problem)
{
    const struct value *row = NULL;
    struct arena arena;
    bool is_found = false;
    bool is_void = false;
    enum result result;

    arena_init(&arena, 64 * 1024);
    result = service_row(service, sql,
                         SERVICE_VALUES(value_integer(id), value_integer(service->who.user_id)),
                         &arena, &row, &is_found, problem);
    if (result == RESULT_OK && is_found)
        is_void = service_integer(&row[0]) != 0;
    arena_done(&arena);
    if (result == RESULT_OK && !is_found)
        return problem_set(problem, RESULT_REFUSED, "no %s of yours with this id", what);
    if (result == RESULT_OK && is_void)
        return problem_set(problem, RESULT_REFUSED, "this %s is void already", what);
    return result;
}

enum result work_log_void(struct service *service, int64_t session_id, int64_t *ret_id,
                          struct problem *problem)
{
    enum result result = check_voidable(
        service, "entry",
        "SELECT w.void_of_id IS NOT NULL OR EXISTS (SELECT 1 FROM work_session v "
        "WHERE v.void_of_id = w.id) FROM work_session w WHERE w.id = ?1 AND w.technician_id = ?2",
        session_id, problem);

    if (result != RESULT_OK)
        return result;
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        return result;
    result = service_insert(service,
                            "INSERT INTO work_session (id, activity_id, technician_id, kind, "
                            "started_at, ended_at, break_min, source, void_of_id) "
                            "SELECT ?1, activity_id, technician_id, kind, started_at, ended_at, "
                            "break_min, source, id FROM work_session WHERE id = ?2",
                            SERVICE_VALUES(value_integer(session_id)), ret_id, problem);
    return service_change_end(service, result, false, problem);
}

static const struct listing_column WORK_COLUMNS[] = {
    {"id", "ID", LISTING_ID},           {"started_at", "FROM", LISTING_TIME},
    {"ended_at", "TO", LISTING_TIME},   {"kind", "KIND", LISTING_TEXT},
    {"minutes", "MIN", LISTING_NUMBER}, {"by", "BY", LISTING_TEXT},
    {"is_void", "VOID", LISTING_FLAG},
};
static const struct listing_query WORK = LISTING_QUERY(
    "SELECT w.id, w.started_at, w.ended_at, w.kind, "
    "(w.ended_at - w.started_at) / 60000000 - w.break_min, u.name, "
    "EXISTS (SELECT 1 FROM work_session v WHERE v.void_of_id = w.id) FROM work_session w "
    "LEFT JOIN app_user u ON u.id = w.technician_id "
    "WHERE w.activity_id = ?1 AND w.void_of_id IS NULL ORDER BY w.started_at, w.id",
    WORK_COLUMNS);

enum result work_log_list(struct service *service, int64_t activity_id, struct arena *arena,
                          struct listing *ret_listing, struct problem *problem)
{
    return service_list(service, &WORK, SERVICE_VALUES(value_integer(activity_id)), arena,
                        ret_listing, problem);
}

/* ---- money ---- */

enum result expense_add(struct service *service, const struct expense_entry *entry, int64_t *ret_id,
                        struct problem *problem)
{
    static const char *const KINDS[] = {"meal", "lodging", "toll", "parking", "material", "other"};
    int64_t day = 0;
    enum result result;

    if (!is_one_of(entry->kind, KINDS, sizeof KINDS / sizeof KINDS[0]))
        return problem_set(
            problem, RESULT_REFUSED,
            "an expense is meal, lodging, toll, parking, material or other, not `%.40s`",
            entry->kind);
    if (entry->amount_cents <= 0)
        return problem_set(problem, RESULT_REFUSED, "an amount is above 0");
    result = date_parse(entry->day, &day, problem);
    if (result == RESULT_OK)
        result = check_activity(service, entry->activity_id, problem);
    if (result != RESULT_OK)
        return result;
    return insert_alone(
        service,
        "INSERT INTO expense (id, activity_id, technician_id, kind, amount_cents, spent_d, "
        "receipt_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        SERVICE_VALUES(value_integer(entry->activity_id), value_integer(service->who.user_id),
                       value_text_of(entry->kind), value_integer(entry->amount_cents),
                       value_text_of(entry->day), service_id(entry->receipt_id)),
        ret_id, problem);
}

enum result expense_void(struct service *service, int64_t expense_id, int64_t *ret_id,
                         struct problem *problem)
{
    enum result result = check_voidable(
        service, "expense",
        "SELECT x.void_of_id IS NOT NULL OR EXISTS (SELECT 1 FROM expense v "
        "WHERE v.void_of_id = x.id) FROM expense x WHERE x.id = ?1 AND x.technician_id = ?2",
        expense_id, problem);

    if (result != RESULT_OK)
        return result;
    return insert_alone(service,
                        "INSERT INTO expense (id, activity_id, technician_id, kind, amount_cents, "
                        "currency, spent_d, rebill, receipt_id, void_of_id) "
                        "SELECT ?1, activity_id, technician_id, kind, amount_cents, currency, "
                        "spent_d, rebill, receipt_id, id FROM expense WHERE id = ?2",
                        SERVICE_VALUES(value_integer(expense_id)), ret_id, problem);
}

static const struct listing_column EXPENSE_COLUMNS[] = {
    {"id", "ID", LISTING_ID},          {"day", "DAY", LISTING_TEXT},
    {"kind", "KIND", LISTING_TEXT},    {"amount", "AMOUNT", LISTING_CENTS},
    {"currency", "CUR", LISTING_TEXT}, {"by", "BY", LISTING_TEXT},
    {"is_void", "VOID", LISTING_FLAG},
};
static const struct listing_query EXPENSES =
    LISTING_QUERY("SELECT x.id, x.spent_d, x.kind, x.amount_cents, x.currency, u.name, "
                  "EXISTS (SELECT 1 FROM expense v WHERE v.void_of_id = x.id) FROM expense x "
                  "LEFT JOIN app_user u ON u.id = x.technician_id "
                  "WHERE x.activity_id = ?1 AND x.void_of_id IS NULL ORDER BY x.spent_d, x.id",
                  EXPENSE_COLUMNS);

enum result expense_list(struct service *service, int64_t activity_id, struct arena *arena,
                         struct listing *ret_listing, struct problem *problem)
{
    return service_list(service, &EXPENSES, SERVICE_VALUES(value_integer(activity_id)), arena,
                        ret_listing, problem);
}

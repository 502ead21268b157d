/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICE_LOOK_SIZE_MAX = 1 << 20 };

static enum result read_roles(struct service *service, struct problem *problem)
{
    struct replica_result rows = {0};
    struct arena arena;
    enum result result;

    arena_init(&arena, SERVICE_LOOK_SIZE_MAX);
    result =
        replica_query(service->replica, "SELECT role FROM role_grant WHERE user_id = ?1",
                      SERVICE_VALUES(value_integer(service->who.user_id)), &arena, &rows, problem);
    for (size_t i = 0; result == RESULT_OK && i < rows.row_count; i++) {
        enum role role;

        if (role_from_name(service_text(&arena, &rows.values[i]), &role))
            service->roles |= role;
    }
    arena_done(&arena);
    return result;
}

/* The van may have been given after the enrolment: the newest word is in the rows. */
static enum result find_van(struct service *service, struct problem *problem)
{
    struct replica_result rows = {0};
    struct arena arena;
    enum result result;

    arena_init(&arena, SERVICE_LOOK_SIZE_MAX);
    result = replica_query(
        service->replica,
        "SELECT coalesce((SELECT van_id FROM device WHERE id = ?1), (SELECT min(id) FROM location "
        "WHERE kind = 'van' AND holder_id = ?2), 0)",
        SERVICE_VALUES(value_integer(service->who.device_id), value_integer(service->who.user_id)),
        &arena, &rows, problem);
    if (result == RESULT_OK && rows.row_count == 1 && service_integer(&rows.values[0]) != 0)
        service->who.van_id = service_integer(&rows.values[0]);
    arena_done(&arena);
    return result;
}

enum result service_begin(struct replica *replica, struct blob_store *blobs, struct wall_time now,
                          struct service *ret_service, struct problem *problem)
{
    struct service service = {.replica = replica, .blobs = blobs, .now = now};
    enum result result = replica_identity(replica, &service.who, problem);

    if (result == RESULT_OK && !service.who.is_enrolled)
        return problem_set(problem, RESULT_REFUSED, "this device isn't enrolled yet");
    if (result == RESULT_OK)
        result = read_roles(&service, problem);
    if (result == RESULT_OK)
        result = find_van(&service, problem);
    if (result == RESULT_OK && service.roles == 0)
        service.roles = ROLE_TECHNICIAN; /* the grants haven't come yet; the server decides */
    if (result == RESULT_OK)
        *ret_service = service;
    return result;
}

/* ---- lists ---- */

/* Codes become sentences in the reader's language; one that this program doesn't know stays. */
static void say_reasons(const struct service *service, struct arena *arena, size_t column,
                        struct replica_result *rows)
{
    for (size_t row = 0; row < rows->row_count; row++) {
        struct value *value = &rows->values[row * rows->column_count + column];
        enum reason reason = REASON_NONE;

        if (value->type == VALUE_TEXT && reason_find(service_text(arena, value), &reason))
            *value = value_text_of(reason_sentence(reason, service->language));
    }
}

enum result service_list(struct service *service, const struct listing_query *query,
                         const struct value *parameters, size_t parameter_count,
                         struct arena *arena, struct listing *ret_listing, struct problem *problem)
{
    struct replica_result rows = {0};
    enum result result = replica_query(service->replica, query->sql, parameters, parameter_count,
                                       arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    if (rows.row_count > 0 && rows.column_count != query->column_count)
        return problem_set(problem, RESULT_STORAGE, "a list of %zu columns has %zu",
                           query->column_count, rows.column_count);
    for (size_t i = 0; i < query->column_count; i++)
        if (query->columns[i].kind == LISTING_REASON)
            say_reasons(service, arena, i, &rows);
    *ret_listing = (struct listing){.column_count = query->column_count,
                                    .columns = query->columns,
                                    .row_count = rows.row_count,
                                    .values = rows.values};
    return RESULT_OK;
}

/* ---- values ---- */

struct value service_id(int64_t id)
{
    return id == 0 ? value_null() : value_integer(id);
}

const char *service_text(struct arena *arena, const struct value *value)
{
    const char *text;

    if (value->type != VALUE_TEXT)
        return "";
    text = arena_format(arena, "%.*s", (int)value->bytes.size, (const char *)value->bytes.data);
    return text != NULL ? text : "";
}

int64_t service_integer(const struct value *value)
{
    return value->type == VALUE_INTEGER ? value->integer : 0;
}

/* ---- changes ---- */

enum result service_change_begin(struct service *service, struct problem *problem)
{
    return replica_begin(service->replica, problem);
}

enum result service_change_end(struct service *service, enum result result, bool is_durable,
                               struct problem *problem)
{
    if (result == RESULT_OK)
        result = replica_commit(service->replica, is_durable, problem);
    if (result != RESULT_OK)
        replica_rollback(service->replica);
    return result;
}

enum result service_insert(struct service *service, const char *sql, const struct value *values,
                           size_t value_count, int64_t *ret_id, struct problem *problem)
{
    enum { VALUES_MAX = ROW_COLUMNS_MAX };
    struct value with_id[VALUES_MAX + 1];
    int64_t id = 0;
    enum result result;

    if (value_count > VALUES_MAX)
        return problem_set(problem, RESULT_REFUSED, "too many values for one row");
    result = replica_new_id(service->replica, &id, problem);
    if (result != RESULT_OK)
        return result;
    with_id[0] = value_integer(id);
    memcpy(with_id + 1, values, value_count * sizeof *values);
    result = replica_execute(service->replica, sql, with_id, value_count + 1, problem);
    if (result == RESULT_OK && ret_id != NULL)
        *ret_id = id;
    return result;
}

enum result service_row(struct service *service, const char *sql, const struct value *parameters,
                        size_t parameter_count, struct arena *arena,
                        const struct value **ret_values, bool *ret_found, struct problem *problem)
{
    struct replica_result rows = {0};
    enum result result =
        replica_query(service->replica, sql, parameters, parameter_count, arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    *ret_found = rows.row_count > 0;
    *ret_values = rows.values;
    return RESULT_OK;
}

/* ---- names ---- */

/* True if the whole text is a positive number. */
static bool read_id(const char *text, int64_t *ret_id)
{
    char *end = NULL;
    long long id;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    id = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || id < 1 || id > ID_MAX)
        return false;
    *ret_id = id;
    return true;
}

/* `by_id` and `by_name` select the ids of rows that match ?1. A number that is no id may still be a
 * name. */
static enum result find(struct service *service, const char *what, const char *name,
                        const char *by_id, const char *by_name, int64_t *ret_id,
                        struct problem *problem)
{
    struct replica_result rows = {0};
    struct arena arena;
    int64_t id = 0;
    enum result result = RESULT_OK;

    arena_init(&arena, SERVICE_LOOK_SIZE_MAX);
    if (read_id(name, &id))
        result = replica_query(service->replica, by_id, SERVICE_VALUES(value_integer(id)), &arena,
                               &rows, problem);
    if (result == RESULT_OK && rows.row_count == 0)
        result =
            replica_query(service->replica, by_name,
                          SERVICE_VALUES(value_text_of(name), value_integer(service->who.user_id)),
                          &arena, &rows, problem);
    if (result == RESULT_OK && rows.row_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "no %s `%s` is on this device", what, name);
    else if (result == RESULT_OK && rows.row_count > 1)
        result = problem_set(problem, RESULT_REFUSED,
                             "`%s` is the name of %zu rows: give the id of the %s", name,
                             rows.row_count, what);
    if (result == RESULT_OK)
        *ret_id = service_integer(&rows.values[0]);
    arena_done(&arena);
    return result;
}

enum result service_find_call(struct service *service, const char *name, int64_t *ret_id,
                              struct problem *problem)
{
    return find(service, "call", name, "SELECT id FROM call WHERE id = ?1",
                "SELECT id FROM call WHERE number_text = ?1 AND ?2 IS NOT NULL LIMIT 3", ret_id,
                problem);
}

enum result service_find_activity(struct service *service, const char *name, int64_t *ret_id,
                                  struct problem *problem)
{
    return find(service, "activity", name,
                "SELECT id FROM activity WHERE id = ?1 UNION ALL "
                "SELECT id FROM activity WHERE call_id = ?1 "
                "AND state NOT IN ('approved', 'priced', 'failed', 'cancelled')",
                "SELECT a.id FROM activity a JOIN call c ON c.id = a.call_id "
                "WHERE c.number_text = ?1 AND a.technician_id = ?2 "
                "AND a.state NOT IN ('approved', 'priced', 'failed', 'cancelled') LIMIT 20",
                ret_id, problem);
}

enum result service_find_site(struct service *service, const char *name, int64_t *ret_id,
                              struct problem *problem)
{
    return find(service, "site", name, "SELECT id FROM site WHERE id = ?1",
                "SELECT id FROM site WHERE lower(name) = lower(?1) AND ?2 IS NOT NULL LIMIT 20",
                ret_id, problem);
}

enum result service_find_item(struct service *service, const char *name, int64_t *ret_id,
                              struct problem *problem)
{
    return find(service, "part", name, "SELECT id FROM item WHERE id = ?1",
                "SELECT id FROM item WHERE code = ?1 AND ?2 IS NOT NULL UNION "
                "SELECT id FROM item WHERE barcode = ?1 LIMIT 20",
                ret_id, problem);
}

enum result service_find_asset(struct service *service, const char *name, int64_t *ret_id,
                               struct problem *problem)
{
    return find(service, "asset", name, "SELECT id FROM asset WHERE id = ?1",
                "SELECT id FROM asset WHERE (serial = ?1 OR serial_normalised = upper(?1)) "
                "AND ?2 IS NOT NULL LIMIT 20",
                ret_id, problem);
}

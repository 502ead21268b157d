/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/parts.h"

#include "domain/serial.h"

enum { LOOK_SIZE_MAX = 256 * 1024 };

/* ---- needs ---- */

enum result part_need_add(struct service *service, int64_t call_id, int64_t item_id,
                          int64_t needed_m, const char *note, int64_t *ret_id,
                          struct problem *problem)
{
    enum result result;

    if (needed_m <= 0)
        return problem_set(problem, RESULT_REFUSED, "a quantity is above 0");
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        return result;
    result = service_insert(
        service,
        "INSERT INTO part_need (id, call_id, item_id, needed_m, note) VALUES (?1, ?2, ?3, ?4, ?5)",
        SERVICE_VALUES(value_integer(call_id), value_integer(item_id), value_integer(needed_m),
                       value_text_of(note)),
        ret_id, problem);
    return service_change_end(service, result, false, problem);
}

/* ---- use ---- */

/* The unit with this serial number; a new one if this device has never heard of it. */
static enum result find_serial_unit(struct service *service, int64_t item_id, const char *text,
                                    struct arena *arena, int64_t *ret_id, struct problem *problem)
{
    struct serial serial = {0};
    const struct value *row = NULL;
    bool is_found = false;
    enum result result = serial_normalise(bytes_of_text(text), &serial, problem);

    if (result != RESULT_OK)
        return result;
    result = service_row(service,
                         "SELECT id FROM serial_unit WHERE item_id = ?1 AND serial_normalised = ?2",
                         SERVICE_VALUES(value_integer(item_id), value_text_of(serial.text)), arena,
                         &row, &is_found, problem);
    if (result != RESULT_OK)
        return result;
    if (is_found) {
        *ret_id = service_integer(&row[0]);
        return RESULT_OK;
    }
    return service_insert(
        service,
        "INSERT INTO serial_unit (id, item_id, serial, serial_normalised) VALUES (?1, ?2, ?3, ?4)",
        SERVICE_VALUES(value_integer(item_id), value_text_of(text), value_text_of(serial.text)),
        ret_id, problem);
}

struct part_place {
    int64_t location_id;
    int64_t asset_id;
    int64_t serial_unit_id;
};

/* Completes what the technician left out. */
static enum result find_part_place(struct service *service, const struct part_entry *entry,
                                   struct arena *arena, struct part_place *ret_place,
                                   struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    enum result result = service_row(
        service,
        "SELECT i.is_serialised, a.asset_id, c.asset_id FROM item i, "
        "activity a JOIN call c ON c.id = a.call_id "
        "WHERE i.id = ?1 AND a.id = ?2",
        SERVICE_VALUES(value_integer(entry->item_id), value_integer(entry->activity_id)), arena,
        &row, &is_found, problem);

    if (result != RESULT_OK)
        return result;
    if (!is_found)
        return problem_set(problem, RESULT_REFUSED, "no such activity or part is on this device");
    if (service_integer(&row[0]) != 0 && entry->serial == NULL)
        return problem_set(problem, RESULT_REFUSED, "this part is kept by serial number: give it");
    if (entry->serial != NULL && entry->used_m != 1000)
        return problem_set(problem, RESULT_REFUSED, "a serial number is one piece");
    ret_place->location_id =
        entry->from_location_id != 0 ? entry->from_location_id : service->who.van_id;
    if (ret_place->location_id == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "this device has no van: say where the part came from");
    ret_place->asset_id = entry->asset_id != 0           ? entry->asset_id
                          : row[1].type == VALUE_INTEGER ? row[1].integer
                                                         : service_integer(&row[2]);
    ret_place->serial_unit_id = 0;
    if (entry->serial == NULL)
        return RESULT_OK;
    return find_serial_unit(service, entry->item_id, entry->serial, arena,
                            &ret_place->serial_unit_id, problem);
}

enum result part_use_add(struct service *service, const struct part_entry *entry, int64_t *ret_id,
                         struct problem *problem)
{
    struct part_place place = {0};
    struct arena arena;
    enum result result;

    if (entry->used_m <= 0)
        return problem_set(problem, RESULT_REFUSED, "a quantity is above 0");
    arena_init(&arena, LOOK_SIZE_MAX);
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        goto done;
    result = find_part_place(service, entry, &arena, &place, problem);
    if (result == RESULT_OK)
        result = service_insert(
            service,
            "INSERT INTO part_use (id, activity_id, item_id, serial_unit_id, used_m, "
            "from_location_id, asset_id, removed_serial, cause, occurred_at, by_id) "
            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            SERVICE_VALUES(value_integer(entry->activity_id), value_integer(entry->item_id),
                           service_id(place.serial_unit_id), value_integer(entry->used_m),
                           value_integer(place.location_id), service_id(place.asset_id),
                           value_text_of(entry->removed_serial), value_text_of(entry->cause),
                           value_integer(service->now.us), value_integer(service->who.user_id)),
            ret_id, problem);
    result = service_change_end(service, result, false, problem);
done:
    arena_done(&arena);
    return result;
}

enum result part_use_void(struct service *service, int64_t use_id, int64_t *ret_id,
                          struct problem *problem)
{
    const struct value *row = NULL;
    struct arena arena;
    bool is_found = false;
    bool is_void = false;
    enum result result;

    arena_init(&arena, LOOK_SIZE_MAX);
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        goto done;
    result = service_row(service,
                         "SELECT u.void_of_id IS NOT NULL OR EXISTS (SELECT 1 FROM part_use v "
                         "WHERE v.void_of_id = u.id) FROM part_use u "
                         "WHERE u.id = ?1 AND u.by_id = ?2",
                         SERVICE_VALUES(value_integer(use_id), value_integer(service->who.user_id)),
                         &arena, &row, &is_found, problem);
    if (result == RESULT_OK && !is_found)
        result = problem_set(problem, RESULT_REFUSED, "no part used by you has this id");
    if (result == RESULT_OK)
        is_void = service_integer(&row[0]) != 0;
    if (result == RESULT_OK && is_void)
        result = problem_set(problem, RESULT_REFUSED, "it is taken back already");
    if (result == RESULT_OK)
        result = service_insert(
            service,
            "INSERT INTO part_use (id, activity_id, item_id, serial_unit_id, used_m, "
            "from_location_id, asset_id, occurred_at, by_id, void_of_id) "
            "SELECT ?1, activity_id, item_id, serial_unit_id, used_m, from_location_id, asset_id, "
            "?3, ?4, id FROM part_use WHERE id = ?2",
            SERVICE_VALUES(value_integer(use_id), value_integer(service->now.us),
                           value_integer(service->who.user_id)),
            ret_id, problem);
    result = service_change_end(service, result, false, problem);
done:
    arena_done(&arena);
    return result;
}

static const struct listing_column USE_COLUMNS[] = {
    {"id", "ID", LISTING_ID},       {"item", "PART", LISTING_TEXT},
    {"name", "NAME", LISTING_TEXT}, {"used", "USED", LISTING_MILLI},
    {"unit", "UNIT", LISTING_TEXT}, {"serial", "SERIAL", LISTING_TEXT},
    {"from", "FROM", LISTING_TEXT}, {"is_void", "VOID", LISTING_FLAG},
};
static const struct listing_query USES = LISTING_QUERY(
    "SELECT u.id, i.code, i.name, u.used_m, i.unit_of_measure, s.serial, l.name, "
    "EXISTS (SELECT 1 FROM part_use v WHERE v.void_of_id = u.id) FROM part_use u "
    "LEFT JOIN item i ON i.id = u.item_id LEFT JOIN serial_unit s ON s.id = u.serial_unit_id "
    "LEFT JOIN location l ON l.id = u.from_location_id "
    "WHERE u.activity_id = ?1 AND u.void_of_id IS NULL ORDER BY u.occurred_at, u.id",
    USE_COLUMNS);

enum result part_use_list(struct service *service, int64_t activity_id, struct arena *arena,
                          struct listing *ret_listing, struct problem *problem)
{
    return service_list(service, &USES, SERVICE_VALUES(value_integer(activity_id)), arena,
                        ret_listing, problem);
}

/* ---- the van ---- */

static const struct listing_column VAN_COLUMNS[] = {
    {"item_id", NULL, LISTING_ID},
    {"item", "PART", LISTING_TEXT},
    {"name", "NAME", LISTING_TEXT},
    {"quantity", "IN VAN", LISTING_MILLI},
    {"unposted", "NOT POSTED", LISTING_MILLI},
    {"unit", "UNIT", LISTING_TEXT},
};

/* A use is posted when its move is here, a void when the reverse of that move is. */
static const struct listing_query VAN = LISTING_QUERY(
    "SELECT i.id, i.code, i.name, coalesce(b.q, 0) - coalesce(u.q, 0), coalesce(u.q, 0), "
    "i.unit_of_measure FROM item i "
    "LEFT JOIN (SELECT item_id, sum(quantity_m) AS q FROM stock_balance "
    "WHERE location_id = ?1 AND owner_key = 0 GROUP BY item_id) b ON b.item_id = i.id "
    "LEFT JOIN (SELECT p.item_id, sum(CASE WHEN p.void_of_id IS NULL THEN p.used_m "
    "ELSE -p.used_m END) AS q FROM part_use p WHERE p.from_location_id = ?1 "
    "AND NOT EXISTS (SELECT 1 FROM stock_move m WHERE p.void_of_id IS NULL "
    "AND m.source_kind = 'part_use' AND m.source_id = p.id) "
    "AND NOT EXISTS (SELECT 1 FROM stock_move m JOIN stock_move r ON r.reverses_id = m.id "
    "WHERE p.void_of_id IS NOT NULL AND m.source_kind = 'part_use' "
    "AND m.source_id = p.void_of_id) GROUP BY p.item_id) u ON u.item_id = i.id "
    "WHERE coalesce(b.q, 0) <> 0 OR coalesce(u.q, 0) <> 0 ORDER BY i.code",
    VAN_COLUMNS);

enum result van_show(struct service *service, struct arena *arena, struct listing *ret_listing,
                     struct problem *problem)
{
    if (service->who.van_id == 0)
        return problem_set(problem, RESULT_REFUSED, "this device has no van");
    return service_list(service, &VAN, SERVICE_VALUES(value_integer(service->who.van_id)), arena,
                        ret_listing, problem);
}

enum result van_count(struct service *service, const struct van_count_line *lines,
                      size_t line_count, int64_t *ret_id, struct problem *problem)
{
    enum result result;

    if (service->who.van_id == 0)
        return problem_set(problem, RESULT_REFUSED, "this device has no van");
    if (line_count == 0)
        return problem_set(problem, RESULT_REFUSED, "a count has at least one part");
    for (size_t i = 0; i < line_count; i++) {
        if (lines[i].counted_m < 0)
            return problem_set(problem, RESULT_REFUSED, "a count is 0 or more");
        for (size_t k = 0; k < i; k++)
            if (lines[k].item_id == lines[i].item_id)
                return problem_set(problem, RESULT_REFUSED, "a part is there twice");
    }
    result = service_change_begin(service, problem);
    if (result != RESULT_OK)
        return result;
    result = service_insert(
        service,
        "INSERT INTO stock_count (id, location_id, occurred_at, by_id) VALUES (?1, ?2, ?3, ?4)",
        SERVICE_VALUES(value_integer(service->who.van_id), value_integer(service->now.us),
                       value_integer(service->who.user_id)),
        ret_id, problem);
    for (size_t i = 0; result == RESULT_OK && i < line_count; i++)
        result = service_insert(
            service,
            "INSERT INTO count_line (id, count_id, item_id, counted_m) VALUES (?1, ?2, ?3, ?4)",
            SERVICE_VALUES(value_integer(*ret_id), value_integer(lines[i].item_id),
                           value_integer(lines[i].counted_m)),
            NULL, problem);
    return service_change_end(service, result, false, problem);
}

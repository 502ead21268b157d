/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/place.h"

#include "base/invariant.h"
#include "server/service/rows.h"

#include <inttypes.h>

enum result place_virtual(struct work *work, enum stock_place_kind kind, int64_t *ret_id,
                          struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value name = value_text_of(stock_place_kind_name(kind));
    const struct work_field fields[] = {{"kind", name}, {"name", name}, {.name = NULL}};
    int64_t id = 0;
    enum result result;

    invariant(stock_place_is_virtual(kind));
    result = query_integer(work, "SELECT min(id) FROM location WHERE kind = ?1", &name, 1, 0, &id,
                           problem);
    if (result == RESULT_OK && id == 0)
        result = work_insert_fields(work, "location", fields, &server, &id, problem);
    if (result == RESULT_OK)
        *ret_id = id;
    return result;
}

enum result place_kind(struct work *work, int64_t place_id, enum stock_place_kind *ret_kind,
                       struct problem *problem)
{
    const char *kind = NULL;
    enum result result = row_text(work, "location", place_id, "kind", &kind, problem);

    if (result != RESULT_OK)
        return result;
    if (kind == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no place %" PRId64, place_id);
    if (!stock_place_kind_parse(kind, ret_kind))
        return problem_set(problem, RESULT_REFUSED, "place %" PRId64 " is of an unknown kind: %s",
                           place_id, kind);
    return RESULT_OK;
}

enum result place_van_of(struct work *work, int64_t user_id, int64_t *ret_id,
                         struct problem *problem)
{
    const struct value user = value_integer(user_id);

    return query_integer(
        work,
        "SELECT coalesce((SELECT min(id) FROM location WHERE kind = 'van' AND holder_id = ?1),"
        " (SELECT min(van_id) FROM device WHERE user_id = ?1 AND revoked_at IS NULL))",
        &user, 1, 0, ret_id, problem);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/fate.h"

#include "base/number.h"
#include "schema/row.h"

#include <inttypes.h>

enum { WHY_COLUMN = 4, KIND_COLUMN = 3, CODE_COLUMN = 8 };

static enum result put_words(const struct fate_filter *filter, struct arena *arena,
                             struct store_result *rows, struct problem *problem)
{
    for (size_t i = 0; i < rows->row_count; i++) {
        struct value *row = rows->values + i * rows->column_count;
        int64_t kind = row[KIND_COLUMN].integer;
        enum reason reason = REASON_NONE;
        const char *code = row[CODE_COLUMN].type != VALUE_TEXT
                               ? ""
                               : arena_format(arena, "%.*s", (int)row[CODE_COLUMN].bytes.size,
                                              (const char *)row[CODE_COLUMN].bytes.data);

        if (code == NULL)
            return arena_full(arena, problem);
        if (kind >= VERDICT_APPLIED && kind <= VERDICT_GONE)
            row[KIND_COLUMN] = value_text_of(verdict_name((enum verdict_kind)kind));
        if (reason_find(code, &reason))
            row[WHY_COLUMN] = value_text_of(reason_sentence(reason, filter->language));
    }
    return RESULT_OK;
}

enum result fate_list(struct store *store, const struct fate_filter *filter, struct arena *arena,
                      struct store_result *ret_rows, struct problem *problem)
{
    const struct value parameters[] = {value_integer(filter->device_id),
                                       value_integer(filter->since_us),
                                       value_integer((int64_t)filter->count_max)};
    enum result result = store_query(
        store,
        "SELECT v.lcn, t.name, v.row_id, v.kind, v.reason,"
        " CASE WHEN m.id IS NOT NULL THEN w.login ELSE r.role END,"
        " COALESCE(m.state, r.state), COALESCE(m.occurred_at, r.created_at), v.reason"
        " FROM fs_replica p JOIN fs_verdict v ON v.replica_no = p.replica_no"
        " AND v.incarnation = p.incarnation JOIN fs_table t ON t.number = v.table_no"
        " LEFT JOIN merge_loss m ON m.id = (SELECT max(x.id) FROM merge_loss x"
        "  WHERE x.row_id = v.row_id AND x.table_name = t.name AND x.lost_device_id = p.device_id)"
        " LEFT JOIN app_user w ON w.id = m.kept_by_user_id"
        " LEFT JOIN review_item r ON r.id = (SELECT max(x.id) FROM review_item x"
        "  WHERE x.row_id = v.row_id AND x.table_name = t.name AND x.user_id = p.user_id)"
        " WHERE p.device_id = ?1 AND COALESCE(m.occurred_at, r.created_at, ?2) >= ?2"
        " ORDER BY v.lcn DESC LIMIT ?3",
        parameters, 3, arena, ret_rows, problem);

    return result == RESULT_OK ? put_words(filter, arena, ret_rows, problem) : result;
}

enum result fate_summary(struct store *store, int64_t device_id, struct arena *arena,
                         struct store_result *ret_row, struct problem *problem)
{
    const struct value parameter = value_integer(device_id);
    enum result result =
        store_query(store,
                    "SELECT u.login, d.series, p.last_seen_at, p.lcn_high, p.seal_high,"
                    " (SELECT count(*) FROM fs_verdict v WHERE v.replica_no = p.replica_no"
                    "  AND v.incarnation = p.incarnation)"
                    " FROM fs_replica p JOIN device d ON d.id = p.device_id"
                    " LEFT JOIN app_user u ON u.id = p.user_id WHERE p.device_id = ?1"
                    " ORDER BY p.replica_no DESC LIMIT 1",
                    &parameter, 1, arena, ret_row, problem);

    if (result == RESULT_OK && ret_row->row_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "there is no device %" PRId64, device_id);
    return result;
}

enum result fate_find_device(struct store *store, const char *text, struct arena *arena,
                             int64_t *ret_device_id, struct problem *problem)
{
    const struct value parameters[] = {value_text_of(text), value_integer(number_or_zero(text))};
    struct store_result found = {0};
    enum result result =
        store_query(store,
                    "SELECT d.id FROM device d LEFT JOIN app_user u ON u.id = d.user_id"
                    " WHERE d.id = ?2 OR d.series = ?1 OR u.login = ?1 ORDER BY d.id",
                    parameters, 2, arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    if (found.row_count == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "no device and no person's device is called %.60s: see `device list`",
                           text);
    if (found.row_count > 1)
        return problem_set(problem, RESULT_REFUSED,
                           "%.60s has %zu devices: name one by its id or series, see"
                           " `device list`",
                           text, found.row_count);
    *ret_device_id = store_integer_at(&found, 0, 0, 0);
    return RESULT_OK;
}

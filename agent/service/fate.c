/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/fate.h"

static const struct listing_column COLUMNS[] = {
    {"lcn", "CHANGE", LISTING_NUMBER},
    {"table", "TABLE", LISTING_TEXT},
    {"row_id", "ROW", LISTING_ID},
    {"op", "OP", LISTING_TEXT},
    {"recorded_at", "RECORDED", LISTING_TIME},
    {"fate", "FATE", LISTING_TEXT},
    {"by", "BY OR WITH", LISTING_TEXT},
    {"reason", NULL, LISTING_TEXT},
    {"says", "WHY", LISTING_REASON},
    {"decided_at", "DECIDED", LISTING_TIME},
};

/* Who overruled it, or whose decision it waits for. */
static const struct listing_query LIST = LISTING_QUERY(
    "SELECT f.lcn, f.table_name, f.row_id, f.op, f.recorded_at, f.fate,"
    " CASE WHEN f.fate = 'overruled' THEN (SELECT group_concat(DISTINCT u.name) FROM merge_loss m"
    "  JOIN app_user u ON u.id = m.kept_by_user_id WHERE m.row_id = f.row_id"
    "  AND m.table_name = f.table_name AND m.user_id = ?3)"
    " WHEN f.fate IN ('parked', 'refused') THEN (SELECT group_concat(DISTINCT r.role)"
    "  FROM review_item r WHERE r.row_id = f.row_id AND r.table_name = f.table_name"
    "  AND r.state = 'open') END,"
    " f.reason, f.reason, f.decided_at FROM fs_fate f"
    " WHERE (?1 OR f.fate <> 'applied') AND f.recorded_at >= ?2"
    " ORDER BY f.recorded_at DESC, f.lcn DESC LIMIT 10000",
    COLUMNS);

enum result fate_list(struct service *service, const struct fate_filter *filter,
                      struct arena *arena, struct listing *ret_listing, struct problem *problem)
{
    return service_list(service, &LIST,
                        SERVICE_VALUES(value_integer(filter->is_all),
                                       value_integer(filter->since_us),
                                       value_integer(service->who.user_id)),
                        arena, ret_listing, problem);
}

enum result fate_count(struct service *service, int64_t since_us, struct arena *arena,
                       struct fate_counts *ret_counts, struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    enum result result =
        service_row(service,
                    "SELECT count(*) FILTER (WHERE fate = 'applied'),"
                    " count(*) FILTER (WHERE fate = 'merged'),"
                    " count(*) FILTER (WHERE fate = 'overruled'),"
                    " count(*) FILTER (WHERE fate = 'parked'),"
                    " count(*) FILTER (WHERE fate = 'refused'),"
                    " count(*) FILTER (WHERE fate = 'gone'),"
                    " count(*) FILTER (WHERE fate IN ('pending', 'sealed', 'unsendable'))"
                    " FROM fs_fate WHERE recorded_at >= ?1",
                    SERVICE_VALUES(value_integer(since_us)), arena, &row, &is_found, problem);

    if (result == RESULT_OK)
        *ret_counts = (struct fate_counts){service_integer(&row[0]), service_integer(&row[1]),
                                           service_integer(&row[2]), service_integer(&row[3]),
                                           service_integer(&row[4]), service_integer(&row[5]),
                                           service_integer(&row[6])};
    return result;
}

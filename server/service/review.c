/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/review.h"

#include "base/invariant.h"
#include "server/service/rows.h"

static enum result raise_one(struct work *work, const struct review_request *request,
                             const char *kind, const char *role, int64_t home,
                             struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value key[] = {value_text_of(request->table_name), value_integer(request->row_id),
                                value_text_of(reason_code(request->reason)), value_text_of(role),
                                value_text_of(kind)};
    int64_t known = 0;
    enum result result =
        query_integer(work,
                      "SELECT count(*) FROM review_item WHERE row_id = ?2 AND table_name = ?1"
                      " AND reason_code = ?3 AND role = ?4 AND kind = ?5",
                      key, 5, 0, &known, problem);
    const struct work_field fields[] = {
        {"kind", key[4]},
        {"table_name", key[0]},
        {"row_id", key[1]},
        {"reason_code", key[2]},
        {"reason_text", value_text_of(reason_english(request->reason))},
        {"role", key[3]},
        {"user_id", value_id(request->user_id)},
        {"created_at", value_integer(work_now(work).us)},
        {"home", value_integer(home)},
        {.name = NULL}};

    if (result != RESULT_OK || known > 0)
        return result;
    return work_insert_fields(work, "review_item", fields, &server, NULL, problem);
}

enum result review_raise(struct work *work, const struct review_request *request,
                         struct problem *problem)
{
    const char *kind = request->kind != NULL ? request->kind : reason_code(request->reason);
    int64_t home = request->home;
    enum result result = RESULT_OK;

    invariant(request->reason != REASON_NONE);
    if (home == 0)
        result = row_bucket(work, request->table_name, request->row_id, &home, problem);
    for (int i = 0; i < ROLE_COUNT && result == RESULT_OK; i++)
        if ((request->roles & 1u << i) != 0)
            result = raise_one(work, request, kind, role_name((enum role)(1u << i)), home, problem);
    if (result != RESULT_OK)
        problem_add(problem, "asking people about %s", request->table_name);
    return result;
}

enum result review_ask_about_kind(struct work *work, const struct work_change *event,
                                  struct problem *problem)
{
    const struct review_request question = {.kind = "parked",
                                            .table_name = event->table->name,
                                            .row_id = event->row_id,
                                            .reason = REASON_CHECK_FAILED,
                                            .roles = ROLE_MANAGER,
                                            .user_id = change_integer(event, "by_id", 0)};

    return review_raise(work, &question, problem);
}

enum result review_settle(struct work *work, const char *table_name, int64_t row_id,
                          const char *resolution, struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value key[] = {value_text_of(table_name), value_integer(row_id)};
    const struct work_field fields[] = {{"state", value_text_of("resolved")},
                                        {"resolution", value_text_of(resolution)},
                                        {.name = NULL}};
    struct store_result open = {0};
    enum result result = work_query(work,
                                    "SELECT id FROM review_item WHERE row_id = ?2"
                                    " AND table_name = ?1 AND kind = 'parked'"
                                    " AND state = 'open' ORDER BY id",
                                    key, 2, &open, problem);

    for (size_t i = 0; i < open.row_count && result == RESULT_OK; i++)
        result = work_update_fields(work, "review_item", store_integer_at(&open, i, 0, 0), fields,
                                    &server, problem);
    return result;
}

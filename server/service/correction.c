/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/correction.h"

#include "server/service/review.h"
#include "server/service/rows.h"

enum result correction_react(struct work *work, const struct work_change *change,
                             struct problem *problem)
{
    const struct value activity = value_integer(change_integer(change, "activity_id", 0));
    const struct review_request question = {.kind = "parked",
                                            .table_name = change->table->name,
                                            .row_id = change->row_id,
                                            .reason = REASON_CORRECTION_AFTER_APPROVAL,
                                            .roles = ROLE_MANAGER,
                                            .user_id = change->author.user_id};
    int64_t approved_count = 0;
    enum result result;

    if (!change_is_insert(change) || change_integer(change, "void_of_id", 0) == 0)
        return RESULT_OK;
    result = query_integer(work,
                           "SELECT count(*) FROM activity WHERE id = ?1"
                           " AND state IN ('approved', 'priced')",
                           &activity, 1, 0, &approved_count, problem);
    if (result == RESULT_OK && approved_count > 0)
        result = review_raise(work, &question, problem);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/audit.h"

enum result audit_note(struct work *work, const char *event, int64_t user_id, int64_t replica_no,
                       const char *detail, struct problem *problem)
{
    const struct value parameters[] = {value_integer(work_now(work).us), value_text_of(event),
                                       value_integer(user_id), value_integer(replica_no),
                                       value_text_of(detail)};

    return work_execute(work,
                        "INSERT INTO fs_audit(occurred_at, event, user_id, replica_no, detail)"
                        " VALUES(?1,?2,?3,?4,?5)",
                        parameters, 5, problem);
}

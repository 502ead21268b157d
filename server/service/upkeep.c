/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/upkeep.h"

enum result upkeep_note_backup(struct work *work, const struct store_result *replicas,
                               struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < replicas->row_count && result == RESULT_OK; i++)
        result = work_execute(work,
                              "UPDATE fs_replica SET backup_lcn=?2"
                              " WHERE replica_no=?1 AND backup_lcn < ?2",
                              store_at(replicas, i, 0), 2, problem);
    return result;
}

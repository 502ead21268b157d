/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/cli_commands.h"

#include "edge/files.h"

#include <inttypes.h>

/* What each device had delivered when the backup began is in it; devices may forget it. */
struct watermark {
    struct store_result replicas; /* replica_no, lcn_high */
};

static enum result raise_watermark(struct work *work, void *context, struct problem *problem)
{
    const struct watermark *mark = context;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < mark->replicas.row_count && result == RESULT_OK; i++)
        result = work_execute(work,
                              "UPDATE fs_replica SET backup_lcn=max(backup_lcn, ?2)"
                              " WHERE replica_no=?1",
                              store_at(&mark->replicas, i, 0), 2, problem);
    return result;
}

static enum result run_backup(struct cli *cli, struct problem *problem)
{
    const char *path = cli_argument(cli, 0);
    struct watermark mark = {0};
    enum result result = RESULT_OK;

    if (files_exists(path))
        return problem_set(problem, RESULT_REFUSED, "%s exists; a backup overwrites nothing", path);
    result = cli_query(cli, "SELECT replica_no, lcn_high FROM fs_replica", NULL, 0, &mark.replicas,
                       problem);
    if (result == RESULT_OK)
        result = store_backup(master_store(cli->master), path, problem);
    if (result == RESULT_OK && mark.replicas.row_count > 0)
        result = cli_write(cli, raise_watermark, &mark, problem);
    if (result == RESULT_OK)
        result =
            cli_say(cli, problem,
                    "%s: complete and checked. The keys are not in it: copy keys/ once.\n", path);
    return result;
}

static const struct cli_action ACTIONS[] = {{NULL, "FILE", 1, 1, run_backup}};

const struct cli_family CLI_BACKUP = {
    .command = {"backup", "write a checked copy of the database, while others work", "FILE", 1, 1,
                NULL, 0},
    .actions = ACTIONS,
    .action_count = 1,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/cli_commands.h"

#include "edge/files.h"
#include "server/service/upkeep.h"

/* What each device had delivered when the backup began is in it; devices may forget it. */
struct watermark {
    struct store_result replicas; /* replica_no, lcn_high */
};

static enum result note(struct work *work, void *context, struct problem *problem)
{
    const struct watermark *mark = context;

    return upkeep_note_backup(work, &mark->replicas, problem);
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
        result = cli_write(cli, note, &mark, problem);
    if (result == RESULT_OK)
        result = cli_say(cli, problem,
                         "%s: complete and checked. Keys and attachments are not in it:\n"
                         "copy keys/ once, and blobs/ each time.\n",
                         path);
    return result;
}

static const struct cli_action ACTIONS[] = {{NULL, "FILE", 1, 1, run_backup}};

const struct cli_family CLI_BACKUP = {
    .command = {"backup", "write a checked copy of the database, while others work", "FILE", 1, 1,
                NULL, 0},
    .actions = ACTIONS,
    .action_count = 1,
};

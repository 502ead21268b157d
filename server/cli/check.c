/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/cli_commands.h"
#include "server/cli/contents.h"

#include <inttypes.h>

static enum result run_check(struct cli *cli, struct problem *problem)
{
    struct contents contents = {0};
    size_t wrong_in_file = 0;
    size_t wrong = 0;
    enum result result =
        cli->host->check_file(cli->host->context, &cli->out, &wrong_in_file, problem);

    if (result == RESULT_OK)
        result = contents_check(master_store(cli->master), cli->catalog, &cli->arena, &cli->out,
                                &contents, problem);
    wrong = contents.wrong + wrong_in_file;
    if (result == RESULT_OK)
        result =
            cli_say(cli, problem, "%s: %" PRId64 " rows, %zu buckets, %zu faults\n",
                    wrong == 0 ? "ok" : "NOT OK", contents.row_count, contents.bucket_count, wrong);
    cli->exit_code = wrong == 0 ? EXIT_CODE_OK : EXIT_CODE_DATABASE;
    return result;
}

static const struct cli_action ACTIONS[] = {{NULL, NULL, 0, 0, run_check}};

const struct cli_family CLI_CHECK = {
    .command = {"check", "recompute digests, look at references, triggers and the file itself",
                NULL, 0, 0, NULL, 0},
    .actions = ACTIONS,
    .action_count = 1,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/cli_commands.h"
#include "server/service/audit.h"
#include "server/store/contents.h"

#include <inttypes.h>

static enum result check_audit(struct cli *cli, size_t *wrong, struct problem *problem)
{
    struct store *store = master_store(cli->master);
    struct audit_check audit = {0};
    enum result result = store_begin(store, STORE_READ, problem);

    if (result == RESULT_OK)
        result = audit_check(store, NULL, &audit, problem);
    store_rollback(store);
    if (result != RESULT_OK)
        return result;
    *wrong += !audit.is_good;
    if (!audit.is_good)
        result = cli_say(cli, problem, "%s\n", audit.difference);
    return result == RESULT_OK
               ? cli_say(cli, problem, "audit log: %" PRId64 " lines, %" PRId64 " signed roots\n",
                         audit.line_count, audit.root_count)
               : result;
}

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
        result = check_audit(cli, &wrong, problem);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* customer erase: what is personal about a customer, out of the whole company. */
#include "server/service/erasure.h"

#include "server/cli/cli_commands.h"

#include <inttypes.h>

struct erase_order {
    int64_t party_id;
    bool is_meant;
    struct erasure_plan plan;
};

static enum result erase_in(struct work *work, void *context, struct problem *problem)
{
    struct erase_order *order = context;

    return order->is_meant ? erasure_run(work, order->party_id, &order->plan, problem)
                           : erasure_plan(work, order->party_id, &order->plan, problem);
}

/* The order's names live in the work's arena, which lasts until the next work. */
static enum result say_plan(struct cli *cli, const struct erase_order *order,
                            struct problem *problem)
{
    const struct erasure_plan *plan = &order->plan;
    const char *verb = order->is_meant ? "emptied" : "would be emptied";
    enum result result = RESULT_OK;

    for (size_t i = 0; i < plan->item_count && result == RESULT_OK; i++)
        result = cli_say(cli, problem, "%-18s %6" PRId64 " rows %s\n", plan->items[i].table_name,
                         plan->items[i].row_count, verb);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "%-18s %6zu files %s\n", "attachments", plan->blob_count,
                         order->is_meant ? "removed" : "would be removed");
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "%-18s %6" PRId64 " kept as they are: the law wants them\n",
                         "contracts, papers", plan->kept_papers);
    return result;
}

static enum result remove_files(struct cli *cli, const struct erasure_plan *plan,
                                struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < plan->blob_count && result == RESULT_OK; i++)
        result = cli->host->remove_blob(cli->host->context, plan->blobs[i], problem);
    return result;
}

static enum result sweep(struct cli *cli, const struct erasure_plan *plan, struct problem *problem)
{
    struct problem busy = {0};
    enum result result = remove_files(cli, plan, problem);

    if (result != RESULT_OK)
        return result;
    if (cli->host->compact(cli->host->context, &busy) != RESULT_OK)
        return cli_say(cli, problem,
                       "The database could not be written anew (%s): old values may still be found"
                       " in the file. Say it again with the server stopped.\n",
                       busy.text);
    return cli_say(cli, problem,
                   "Backups made before still have it, until they are thrown away. Which devices"
                   " have erased it too: customer status\n");
}

static enum result run_erase(struct cli *cli, struct problem *problem)
{
    struct erase_order order = {.is_meant = options_count(cli->options, "yes") > 0};
    enum result result = cli_integer(cli_argument(cli, 0), "customer", &order.party_id, problem);

    if (result == RESULT_OK)
        result = cli_write(cli, erase_in, &order, problem);
    if (result == RESULT_OK)
        result = say_plan(cli, &order, problem);
    if (result != RESULT_OK)
        return result;
    return order.is_meant
               ? sweep(cli, &order.plan, problem)
               : cli_say(cli, problem, "Nothing was changed. This can't be undone; say --yes.\n");
}

static enum result run_status(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"CUSTOMER", "party_id", CLI_NUMBER}, {"ERASED", "erased_at", CLI_TIME},
        {"ROWS", "row_count", CLI_NUMBER},    {"DEVICES DONE", "confirmed", CLI_NUMBER},
        {"STILL OPEN", "open", CLI_NUMBER},   {"WHICH", "devices", CLI_TEXT},
    };
    struct store_result rows = {0};
    enum result result =
        cli_query(cli,
                  "SELECT e.party_id, e.erased_at, e.row_count,"
                  " (SELECT count(*) FROM fs_replica r WHERE r.published_seq >= e.seq),"
                  " (SELECT count(*) FROM fs_replica r WHERE r.published_seq < e.seq"
                  " AND r.enrolled_at <= e.erased_at),"
                  " (SELECT group_concat(coalesce(d.series, r.replica_no), ' ') FROM fs_replica r"
                  " LEFT JOIN device d ON d.id = r.device_id WHERE r.published_seq < e.seq"
                  " AND r.enrolled_at <= e.erased_at) FROM fs_erasure e ORDER BY e.id",
                  NULL, 0, &rows, problem);

    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static const struct option_spec SPECS[] = {
    {"yes", 'y', NULL, "erase: yes, do it; without it only what would be done is shown"},
};

static const struct cli_action ACTIONS[] = {
    {"erase", "CUSTOMER [--yes]", 1, 1, run_erase},
    {"status", NULL, 0, 0, run_status},
};

const struct cli_family CLI_CUSTOMER = {
    .command = {"customer",
                "erase: empty what is personal about a customer, everywhere; status: which devices"
                " have done it",
                "erase|status [CUSTOMER]", 1, 2, SPECS, sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};

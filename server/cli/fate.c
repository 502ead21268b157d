/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/fate.h"
#include "server/cli/cli_commands.h"
#include "server/cli/office.h"

#include <inttypes.h>

enum { FATES_MAX = 10000 };

static enum result print_summary(struct cli *cli, const struct store_result *row,
                                 struct problem *problem)
{
    struct bytes login = store_bytes_at(row, 0, 0);
    struct bytes series = store_bytes_at(row, 0, 1);

    return cli_say(cli, problem,
                   "%.*s on %.*s: every change up to number %" PRId64 " is answered (%" PRId64
                   " deliveries); %" PRId64 " were not simply stored",
                   (int)login.size, (const char *)login.data, (int)series.size,
                   (const char *)series.data, store_integer_at(row, 0, 3, 0),
                   store_integer_at(row, 0, 4, 0), store_integer_at(row, 0, 5, 0));
}

static enum result run_fate(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[FATE_LIST_COLUMNS] = {
        {"CHANGE", "lcn", CLI_NUMBER}, {"TABLE", "table", CLI_TEXT}, {"ROW", "row_id", CLI_NUMBER},
        {"FATE", "fate", CLI_TEXT},    {"WHY", "says", CLI_TEXT},    {"BY OR WITH", "by", CLI_TEXT},
        {"STATE", "state", CLI_TEXT},  {"WHEN", "at", CLI_TIME},     {"REASON", "reason", CLI_TEXT},
    };
    struct fate_filter filter = {.language = reason_language_of(terminal_locale()),
                                 .count_max = FATES_MAX};
    const char *since = options_value(cli->options, "since");
    struct store *store = master_store(cli->master);
    struct store_result summary = {0};
    struct store_result rows = {0};
    enum result result = RESULT_OK;

    if (since != NULL)
        result = office_time(since, &filter.since_us, problem);
    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, problem);
    if (result == RESULT_OK)
        result =
            fate_find_device(store, cli_argument(cli, 0), &cli->arena, &filter.device_id, problem);
    if (result == RESULT_OK)
        result = fate_summary(store, filter.device_id, &cli->arena, &summary, problem);
    if (result == RESULT_OK)
        result = fate_list(store, &filter, &cli->arena, &rows, problem);
    store_rollback(store);
    if (result == RESULT_OK)
        result = print_summary(cli, &summary, problem);
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static const struct option_spec SPECS[] = {
    {"since", 0, "TIME", "decided since then, such as 2026-11-23T07:00Z"},
};

static const struct cli_action ACTIONS[] = {
    {NULL, "DEVICE|LOGIN [--since TIME]", 1, 1, run_fate},
};

const struct cli_family CLI_FATE = {
    .command = {"fate",
                "what became of what a device sent; e.g. fate anna --since 2026-11-23T07:00Z",
                "DEVICE|LOGIN", 1, 1, SPECS, sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};

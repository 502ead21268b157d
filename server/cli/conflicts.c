/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/cli_commands.h"
#include "server/cli/office.h"
#include "server/service/conflict.h"

#include <inttypes.h>
#include <string.h>

static enum result run_list(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[CONFLICT_LIST_COLUMNS] = {
        {"ID", "id", CLI_NUMBER},   {"KIND", "kind", CLI_TEXT},   {"STATE", "state", CLI_TEXT},
        {"FOR", "for", CLI_TEXT},   {"TABLE", "table", CLI_TEXT}, {"ROW", "row_id", CLI_NUMBER},
        {"WHAT", "says", CLI_TEXT},
    };
    const struct conflict_filter filter = {.is_all = options_count(cli->options, "all") > 0,
                                           .role = options_value(cli->options, "role")};
    struct store *store = master_store(cli->master);
    struct store_result rows = {0};
    enum result result = store_begin(store, STORE_READ, problem);

    if (result == RESULT_OK)
        result = conflict_list(store, &filter, &cli->arena, &rows, problem);
    store_rollback(store);
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result run_show(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[CONFLICT_SHOW_COLUMNS] = {{"WHAT", "what", CLI_TEXT},
                                                                     {"VALUE", "value", CLI_TEXT}};
    struct store *store = master_store(cli->master);
    struct store_result rows = {0};
    int64_t id = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "conflict", &id, problem);

    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = conflict_show(store, id, &cli->arena, &rows, problem);
    store_rollback(store);
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result resolve_in(struct work *work, void *context, struct problem *problem)
{
    return conflict_resolve(work, context, problem);
}

static enum result run_resolve(struct cli *cli, struct problem *problem)
{
    bool is_reapply = options_count(cli->options, "reapply") > 0;
    bool is_discard = options_count(cli->options, "discard") > 0;
    struct conflict_order order = {.answer = is_reapply   ? CONFLICT_REAPPLY
                                             : is_discard ? CONFLICT_DISCARD
                                                          : CONFLICT_SETTLE,
                                   .resolution = options_value(cli->options, "note")};
    const char *sentence = NULL;
    enum result result = cli_integer(cli_argument(cli, 0), "conflict", &order.id, problem);

    if (is_reapply && is_discard)
        return problem_set(problem, RESULT_REFUSED, "say --reapply or --discard, not both");
    if (result == RESULT_OK)
        result = office_by(cli, &order.by_id, problem);
    if (result == RESULT_OK)
        result = cli_write(cli, resolve_in, &order, problem);
    if (result != RESULT_OK)
        return result;
    sentence = arena_format(&cli->arena, "conflict %" PRId64 " %s", order.id,
                            is_reapply   ? "reapplied"
                            : is_discard ? "discarded"
                                         : "resolved");
    return sentence == NULL ? arena_full(&cli->arena, problem)
                            : office_done(cli, "id", order.id, NULL, sentence, problem);
}

static const struct option_spec SPECS[] = {
    {"role", 0, "ROLE", "list: only the questions to this role"},
    {"all", 'a', NULL, "list: answered ones too"},
    {"reapply", 0, NULL, "resolve: write the lost value now, over what stands"},
    {"discard", 0, NULL, "resolve: what stands is right"},
    {"note", 0, "TEXT", "resolve: what was decided; it stays with the question"},
    {"by", 0, "LOGIN", "resolve: who decides"},
};

static const struct cli_action ACTIONS[] = {
    {"list", NULL, 0, 0, run_list},
    {"show", "ID", 1, 1, run_show},
    {"resolve", "ID [--reapply|--discard]", 1, 1, run_resolve},
};

const struct cli_family CLI_CONFLICTS = {
    .command = {"conflicts",
                "values that lost and questions to people; e.g. conflicts resolve 17 --reapply",
                "list|show|resolve [ID]", 1, 2, SPECS, sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/parts.h"

#include "agent/cli/cli.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
enum { COUNT_LINES_MAX = 200, ITEM_NAME_SIZE = 128 };

static enum result read_quantity(struct cli *cli, int argument, int64_t *ret_quantity_m,
                                 struct problem *problem)
{
    const char *text = cli_argument(cli, argument);

    *ret_quantity_m = 1000;
    return text == NULL ? RESULT_OK : cli_decimal(text, 3, "quantity", ret_quantity_m, problem);
}

static enum result run_need(struct cli *cli, struct problem *problem)
{
    int64_t call_id = 0;
    int64_t item_id = 0;
    int64_t quantity_m = 0;
    int64_t id = 0;
    enum result result = service_find_call(&cli->service, cli_argument(cli, 0), &call_id, problem);

    if (result == RESULT_OK)
        result = service_find_item(&cli->service, cli_argument(cli, 1), &item_id, problem);
    if (result == RESULT_OK)
        result = read_quantity(cli, 2, &quantity_m, problem);
    if (result == RESULT_OK)
        result = part_need_add(&cli->service, call_id, item_id, quantity_m, cli_option(cli, "note"),
                               &id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "asked for", problem);
}

static enum result run_use(struct cli *cli, struct problem *problem)
{
    struct part_entry entry = {
        .serial = cli_option(cli, "serial"),
        .removed_serial = cli_option(cli, "removed"),
        .cause = cli_option(cli, "cause"),
    };
    int64_t id = 0;
    enum result result =
        service_find_activity(&cli->service, cli_argument(cli, 0), &entry.activity_id, problem);

    if (result == RESULT_OK)
        result = service_find_item(&cli->service, cli_argument(cli, 1), &entry.item_id, problem);
    if (result == RESULT_OK)
        result = read_quantity(cli, 2, &entry.used_m, problem);
    if (result == RESULT_OK && cli_option(cli, "asset") != NULL)
        result =
            service_find_asset(&cli->service, cli_option(cli, "asset"), &entry.asset_id, problem);
    if (result == RESULT_OK)
        result = part_use_add(&cli->service, &entry, &id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "recorded", problem);
}

static enum result run_void(struct cli *cli, struct problem *problem)
{
    int64_t id = 0;
    int64_t void_id = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "id", &id, problem);

    if (result == RESULT_OK)
        result = part_use_void(&cli->service, id, &void_id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, void_id, "taken back", problem);
}

static enum result run_list(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    int64_t id = 0;
    enum result result = service_find_activity(&cli->service, cli_argument(cli, 0), &id, problem);

    if (result == RESULT_OK)
        result = part_use_list(&cli->service, id, &cli->arena, &listing, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "no parts recorded", problem);
}

static const struct option_spec PART_OPTIONS[] = {
    {"serial", 0, "SERIAL", "use: of the part fitted"},
    {"removed", 0, "SERIAL", "use: of the part taken out"},
    {"asset", 0, "ASSET", "use: fitted to this machine; the call's if not given"},
    {"cause", 0, "TEXT", "use: why"},
    {"note", 0, "TEXT", "need: what for"},
};
static const struct cli_action PART_ACTIONS[] = {
    {"use", "ACTIVITY PART [QUANTITY]", 2, 3, run_use},
    {"need", "CALL PART [QUANTITY]", 2, 3, run_need},
    {"list", "ACTIVITY", 1, 1, run_list},
    {"void", "ID", 1, 1, run_void},
};
const struct cli_family CLI_PART = {
    .command = {.name = "part",
                .help = "parts fitted and parts needed; PART is a code, barcode or id",
                .arguments = "use ACTIVITY PART [QUANTITY] | need CALL PART [QUANTITY] | "
                             "list ACTIVITY | void ID",
                .argument_count_max = 4,
                .specs = PART_OPTIONS,
                .spec_count = COUNT_OF(PART_OPTIONS)},
    .needs_enrolment = true,
    .actions = PART_ACTIONS,
    .action_count = COUNT_OF(PART_ACTIONS),
};

/* ---- the van ---- */

static enum result run_van_show(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    enum result result = van_show(&cli->service, &cli->arena, &listing, problem);

    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "the van is empty", problem);
}

/* "FILTER-10=3" */
static enum result read_count(struct cli *cli, const char *text, struct van_count_line *ret_line,
                              struct problem *problem)
{
    const char *equals = strrchr(text, '=');
    char name[ITEM_NAME_SIZE];
    size_t size = equals == NULL ? 0 : (size_t)(equals - text);
    enum result result;

    if (size == 0 || size >= sizeof name)
        return problem_set(problem, RESULT_REFUSED, "`%.60s` isn't PART=QUANTITY", text);
    memcpy(name, text, size);
    name[size] = '\0';
    result = service_find_item(&cli->service, name, &ret_line->item_id, problem);
    if (result == RESULT_OK)
        result = cli_decimal(equals + 1, 3, "quantity", &ret_line->counted_m, problem);
    return result;
}

static enum result run_van_count(struct cli *cli, struct problem *problem)
{
    struct van_count_line lines[COUNT_LINES_MAX];
    size_t count = 0;
    int64_t id = 0;
    enum result result = RESULT_OK;

    for (int i = 0; result == RESULT_OK && i < cli_argument_count(cli); i++)
        result = read_count(cli, cli_argument(cli, i), &lines[count++], problem);
    if (result == RESULT_OK)
        result = van_count(&cli->service, lines, count, &id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "counted", problem);
}

static const struct cli_action VAN_ACTIONS[] = {
    {"show", "", 0, 0, run_van_show},
    {"count", "PART=QUANTITY...", 1, COUNT_LINES_MAX, run_van_count},
};
const struct cli_family CLI_VAN = {
    .command = {.name = "van",
                .help = "what my van holds",
                .arguments = "show | count PART=QUANTITY...",
                .argument_count_max = COUNT_LINES_MAX + 1},
    .needs_enrolment = true,
    .actions = VAN_ACTIONS,
    .action_count = COUNT_OF(VAN_ACTIONS),
};

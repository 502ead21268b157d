/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/calls.h"

#include "agent/cli/cli.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static enum result run_list(struct cli *cli, struct problem *problem)
{
    enum call_filter filter = options_count(cli->options, "all") > 0    ? CALLS_ALL
                              : options_count(cli->options, "open") > 0 ? CALLS_OPEN
                                                                        : CALLS_MINE;
    struct listing listing = {0};
    enum result result = call_list(&cli->service, filter, &cli->arena, &listing, problem);

    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing,
                             filter == CALLS_MINE ? "nothing to do; `call list --open` shows all"
                                                  : "no calls on this device",
                             problem);
}

static enum result print_view(struct cli *cli, const struct call_view *view,
                              struct problem *problem)
{
    const struct {
        const char *title;
        const struct listing *listing;
    } parts[] = {
        {"activities", &view->activities}, {"notes", &view->notes}, {"parts needed", &view->needs}};
    enum result result = cli_print_card(cli, &view->call, problem);

    for (size_t i = 0; result == RESULT_OK && i < COUNT_OF(parts); i++) {
        if (parts[i].listing->row_count == 0)
            continue;
        result = cli_say(cli, problem, "\n%s\n", parts[i].title);
        if (result == RESULT_OK)
            result = cli_print_listing(cli, parts[i].listing, NULL, problem);
    }
    return result;
}

static enum result run_show(struct cli *cli, struct problem *problem)
{
    struct call_view view = {0};
    struct terminal_json json;
    int64_t call_id = 0;
    enum result result = service_find_call(&cli->service, cli_argument(cli, 0), &call_id, problem);

    if (result == RESULT_OK)
        result = call_show(&cli->service, call_id, &cli->arena, &view, problem);
    if (result != RESULT_OK)
        return result;
    if (!cli->is_json)
        return print_view(cli, &view, problem);
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    cli_json_listing(&json, "call", &view.call);
    cli_json_listing(&json, "activities", &view.activities);
    cli_json_listing(&json, "notes", &view.notes);
    cli_json_listing(&json, "needs", &view.needs);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

static enum result print_opened(struct cli *cli, int64_t call_id, int64_t activity_id,
                                const char *number, struct problem *problem)
{
    struct terminal_json json;

    if (!cli->is_json)
        return cli_say(cli, problem, "opened %s (call %lld)%s\n",
                       number[0] != '\0' ? number : "without a number yet", (long long)call_id,
                       activity_id != 0 ? ", and the visit is yours" : "");
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "id");
    terminal_json_number(&json, call_id);
    terminal_json_key(&json, "number");
    terminal_json_text(&json, number[0] != '\0' ? number : NULL);
    terminal_json_key(&json, "activity_id");
    if (activity_id != 0)
        terminal_json_number(&json, activity_id);
    else
        terminal_json_null(&json);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

static enum result run_open(struct cli *cli, struct problem *problem)
{
    struct call_draft draft = {
        .subject = cli_argument(cli, 0),
        .description = cli_option(cli, "description"),
        .problem_code = cli_option(cli, "problem"),
        .caller = cli_option(cli, "caller"),
        .is_mine = options_count(cli->options, "mine") > 0,
    };
    char number[CALL_NUMBER_SIZE];
    int64_t call_id = 0;
    int64_t activity_id = 0;
    enum result result = RESULT_OK;

    if (cli_option(cli, "site") != NULL)
        result = service_find_site(&cli->service, cli_option(cli, "site"), &draft.site_id, problem);
    if (result == RESULT_OK && cli_option(cli, "asset") != NULL)
        result =
            service_find_asset(&cli->service, cli_option(cli, "asset"), &draft.asset_id, problem);
    if (result == RESULT_OK && cli_option(cli, "priority") != NULL)
        result = cli_integer(cli_option(cli, "priority"), "priority", &draft.priority, problem);
    if (result == RESULT_OK)
        result = call_open(&cli->service, &draft, &call_id, &activity_id, number, problem);
    if (result != RESULT_OK)
        return result;
    return print_opened(cli, call_id, activity_id, number, problem);
}

static const struct option_spec CALL_OPTIONS[] = {
    {"open", 0, NULL, "list: everything open on this device"},
    {"all", 0, NULL, "list: closed ones too"},
    {"site", 0, "SITE", "open: id or name of the place"},
    {"asset", 0, "ASSET", "open: id or serial number of the machine"},
    {"description", 0, "TEXT", "open: more words"},
    {"problem", 0, "CODE", "open: code of the problem"},
    {"caller", 0, "TEXT", "open: who called"},
    {"priority", 0, "N", "open: 1 most urgent to 5; 3 if not given"},
    {"mine", 0, NULL, "open: I do it myself, now"},
};
static const struct cli_action CALL_ACTIONS[] = {
    {"list", "[--open|--all]", 0, 0, run_list},
    {"show", "CALL", 1, 1, run_show},
    {"open", "SUBJECT --site SITE", 1, 1, run_open},
};
const struct cli_family CLI_CALL = {
    .command = {.name = "call",
                .help = "the calls on this device",
                .arguments = "list | show CALL | open SUBJECT",
                .argument_count_max = 2,
                .specs = CALL_OPTIONS,
                .spec_count = COUNT_OF(CALL_OPTIONS)},
    .needs_enrolment = true,
    .actions = CALL_ACTIONS,
    .action_count = COUNT_OF(CALL_ACTIONS),
};

static enum result run_note(struct cli *cli, struct problem *problem)
{
    int64_t call_id = 0;
    int64_t id = 0;
    enum result result = service_find_call(&cli->service, cli_argument(cli, 0), &call_id, problem);

    if (result == RESULT_OK)
        result = call_note_add(&cli->service, call_id, cli_argument(cli, 1),
                               options_count(cli->options, "customer") > 0, &id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "noted", problem);
}

static const struct option_spec NOTE_OPTIONS[] = {
    {"customer", 0, NULL, "the customer may read it: it is part of the report"},
};
static const struct cli_action NOTE_ACTIONS[] = {{"add", "CALL TEXT", 2, 2, run_note}};
const struct cli_family CLI_NOTE = {
    .command = {.name = "note",
                .help = "a remark on a call",
                .arguments = "add CALL TEXT",
                .argument_count_max = 3,
                .specs = NOTE_OPTIONS,
                .spec_count = COUNT_OF(NOTE_OPTIONS)},
    .needs_enrolment = true,
    .actions = NOTE_ACTIONS,
    .action_count = COUNT_OF(NOTE_ACTIONS),
};

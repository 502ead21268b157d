/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/activities.h"

#include "agent/cli/cli.h"
#include "agent/service/work_log.h"

#include <inttypes.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static enum result find(struct cli *cli, int64_t *ret_id, struct problem *problem)
{
    return service_find_activity(&cli->service, cli_argument(cli, 0), ret_id, problem);
}

/* ---- activity ---- */

static enum result print_state(struct cli *cli, int64_t id, const struct activity_view *view,
                               struct problem *problem)
{
    struct terminal_json json;

    if (!cli->is_json)
        return cli_say(cli, problem, "activity %" PRId64 " is %s%s\n", id,
                       activity_state_name(view->activity.state),
                       view->is_pending ? " (the server doesn't know yet)" : "");
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "id");
    terminal_json_number(&json, id);
    terminal_json_key(&json, "state");
    terminal_json_text(&json, activity_state_name(view->activity.state));
    terminal_json_key(&json, "server_state");
    terminal_json_text(&json, activity_state_name(view->server_state));
    terminal_json_key(&json, "is_pending");
    terminal_json_boolean(&json, view->is_pending);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

static enum result step(struct cli *cli, enum activity_kind kind, struct problem *problem)
{
    struct activity_step step = {.kind = kind, .reason = cli_option(cli, "reason")};
    struct activity_view view = {0};
    int64_t id = 0;
    enum result result = find(cli, &id, problem);

    if (result == RESULT_OK && cli_option(cli, "at") != NULL)
        result = cli_time(cli, cli_option(cli, "at"), &step.occurred_at, problem);
    if (result == RESULT_OK)
        result = activity_do(&cli->service, id, &step, &view, problem);
    if (result != RESULT_OK)
        return result;
    return print_state(cli, id, &view, problem);
}

static enum result run_accept(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_ACCEPT, problem);
}

static enum result run_reject(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_REJECT, problem);
}

static enum result run_depart(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_DEPART, problem);
}

static enum result run_arrive(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_ARRIVE, problem);
}

static enum result run_start(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_START, problem);
}

static enum result run_pause(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_PAUSE, problem);
}

static enum result run_resume(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_RESUME, problem);
}

static enum result run_finish(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_FINISH, problem);
}

static enum result run_no_access(struct cli *cli, struct problem *problem)
{
    return step(cli, ACTIVITY_NO_ACCESS, problem);
}

static enum result run_list(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    enum result result = activity_list(&cli->service, options_count(cli->options, "all") > 0,
                                       &cli->arena, &listing, problem);

    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "nothing to do", problem);
}

static enum result run_show(struct cli *cli, struct problem *problem)
{
    struct activity_view view = {0};
    int64_t id = 0;
    enum result result = find(cli, &id, problem);

    if (result == RESULT_OK)
        result = activity_look(&cli->service, id, &view, problem);
    if (result != RESULT_OK)
        return result;
    return print_state(cli, id, &view, problem);
}

static enum result run_report(struct cli *cli, struct problem *problem)
{
    struct activity_words words = {
        .outcome = cli_option(cli, "outcome"),
        .cause = cli_option(cli, "cause"),
        .report = cli_option(cli, "text"),
        .follow_up = cli_option(cli, "follow-up"),
    };
    int64_t id = 0;
    enum result result = find(cli, &id, problem);

    if (result == RESULT_OK && words.outcome == NULL && words.cause == NULL &&
        words.report == NULL && words.follow_up == NULL)
        return problem_set(problem, RESULT_REFUSED,
                           "give --outcome, --cause, --text or --follow-up");
    if (result == RESULT_OK)
        result = activity_report(&cli->service, id, &words, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "the report is written", problem);
}

static const struct option_spec ACTIVITY_OPTIONS[] = {
    {"all", 0, NULL, "list: ended ones too"},
    {"reason", 0, "TEXT", "why; needed for reject and no-access"},
    {"at", 0, "TIME", "when it happened: 2026-11-23T15:54Z, -20m; now if not given"},
    {"outcome", 0, "WORD", "report: solved, provisional, not_solved, no_fault_found"},
    {"cause", 0, "TEXT", "report: what it was"},
    {"text", 0, "TEXT", "report: what was done"},
    {"follow-up", 0, "TEXT", "report: somebody must come again, and why"},
};
static const struct cli_action ACTIVITY_ACTIONS[] = {
    {"list", "[--all]", 0, 0, run_list},
    {"show", "ACTIVITY", 1, 1, run_show},
    {"accept", "ACTIVITY", 1, 1, run_accept},
    {"reject", "ACTIVITY --reason TEXT", 1, 1, run_reject},
    {"depart", "ACTIVITY", 1, 1, run_depart},
    {"arrive", "ACTIVITY", 1, 1, run_arrive},
    {"start", "ACTIVITY", 1, 1, run_start},
    {"pause", "ACTIVITY", 1, 1, run_pause},
    {"resume", "ACTIVITY", 1, 1, run_resume},
    {"finish", "ACTIVITY", 1, 1, run_finish},
    {"no-access", "ACTIVITY --reason TEXT", 1, 1, run_no_access},
    {"report", "ACTIVITY --outcome WORD --text TEXT", 1, 1, run_report},
};
const struct cli_family CLI_ACTIVITY = {
    .command = {.name = "activity",
                .help = "my visits: steps and report; ACTIVITY is an id or the call's number",
                .arguments = "list | show | accept | reject | depart | arrive | start | pause | "
                             "resume | finish | no-access | report  ACTIVITY",
                .argument_count_max = 2,
                .specs = ACTIVITY_OPTIONS,
                .spec_count = COUNT_OF(ACTIVITY_OPTIONS)},
    .needs_enrolment = true,
    .actions = ACTIVITY_ACTIONS,
    .action_count = COUNT_OF(ACTIVITY_ACTIONS),
};

/* ---- work ---- */

static enum result read_entry(struct cli *cli, struct work_entry *entry, struct problem *problem)
{
    int64_t minutes = 0;
    enum result result =
        cli_time(cli, cli_option(cli, "to") != NULL ? cli_option(cli, "to") : "now",
                 &entry->ended_at, problem);

    if (result == RESULT_OK && cli_option(cli, "break") != NULL)
        result = cli_integer(cli_option(cli, "break"), "break", &entry->break_min, problem);
    if (result != RESULT_OK)
        return result;
    if (cli_option(cli, "from") != NULL)
        return cli_time(cli, cli_option(cli, "from"), &entry->started_at, problem);
    if (cli_option(cli, "minutes") == NULL)
        return problem_set(problem, RESULT_REFUSED, "give --from TIME or --minutes N");
    result = cli_integer(cli_option(cli, "minutes"), "minutes", &minutes, problem);
    if (result == RESULT_OK && minutes > 24 * 60)
        return problem_set(problem, RESULT_REFUSED, "at most 24 hours at a time");
    if (result == RESULT_OK)
        entry->started_at = entry->ended_at - MINUTES(minutes + entry->break_min);
    return result;
}

static enum result run_work_add(struct cli *cli, struct problem *problem)
{
    struct work_entry entry = {.kind = cli_option(cli, "kind")};
    int64_t id = 0;
    enum result result = find(cli, &entry.activity_id, problem);

    if (result == RESULT_OK)
        result = read_entry(cli, &entry, problem);
    if (result == RESULT_OK)
        result = work_log_add(&cli->service, &entry, &id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "recorded", problem);
}

static enum result run_work_list(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    int64_t id = 0;
    enum result result = find(cli, &id, problem);

    if (result == RESULT_OK)
        result = work_log_list(&cli->service, id, &cli->arena, &listing, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "no time recorded", problem);
}

static enum result run_work_void(struct cli *cli, struct problem *problem)
{
    int64_t id = 0;
    int64_t void_id = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "id", &id, problem);

    if (result == RESULT_OK)
        result = work_log_void(&cli->service, id, &void_id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, void_id, "taken back", problem);
}

static const struct option_spec WORK_OPTIONS[] = {
    {"minutes", 0, "N", "worked for so long, without the break"},
    {"from", 0, "TIME", "began: 2026-11-23T15:54Z, -90m"},
    {"to", 0, "TIME", "ended; now if not given"},
    {"break", 0, "N", "minutes not worked in between"},
    {"kind", 0, "WORD", "work, travel, waiting, phone, training"},
};
static const struct cli_action WORK_ACTIONS[] = {
    {"add", "ACTIVITY --minutes N", 1, 1, run_work_add},
    {"list", "ACTIVITY", 1, 1, run_work_list},
    {"void", "ID", 1, 1, run_work_void},
};
const struct cli_family CLI_WORK = {
    .command = {.name = "work",
                .help = "time worked on an activity",
                .arguments = "add ACTIVITY | list ACTIVITY | void ID",
                .argument_count_max = 2,
                .specs = WORK_OPTIONS,
                .spec_count = COUNT_OF(WORK_OPTIONS)},
    .needs_enrolment = true,
    .actions = WORK_ACTIONS,
    .action_count = COUNT_OF(WORK_ACTIONS),
};

/* ---- expenses ---- */

static enum result run_expense_add(struct cli *cli, struct problem *problem)
{
    struct expense_entry entry = {.kind = cli_argument(cli, 1), .day = cli_option(cli, "day")};
    char today[WALL_TEXT_SIZE];
    int64_t id = 0;
    enum result result = find(cli, &entry.activity_id, problem);

    if (result == RESULT_OK)
        result = cli_decimal(cli_argument(cli, 2), 2, "amount", &entry.amount_cents, problem);
    if (entry.day == NULL) {
        wall_time_format(cli->service.now, today);
        today[10] = '\0';
        entry.day = today;
    }
    if (result == RESULT_OK)
        result = expense_add(&cli->service, &entry, &id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, id, "recorded", problem);
}

static enum result run_expense_list(struct cli *cli, struct problem *problem)
{
    struct listing listing = {0};
    int64_t id = 0;
    enum result result = find(cli, &id, problem);

    if (result == RESULT_OK)
        result = expense_list(&cli->service, id, &cli->arena, &listing, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_listing(cli, &listing, "no expenses recorded", problem);
}

static enum result run_expense_void(struct cli *cli, struct problem *problem)
{
    int64_t id = 0;
    int64_t void_id = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "id", &id, problem);

    if (result == RESULT_OK)
        result = expense_void(&cli->service, id, &void_id, problem);
    if (result != RESULT_OK)
        return result;
    return cli_print_done(cli, void_id, "taken back", problem);
}

static const struct option_spec EXPENSE_OPTIONS[] = {
    {"day", 0, "YYYY-MM-DD", "when it was paid; today if not given"},
};
static const struct cli_action EXPENSE_ACTIONS[] = {
    {"add", "ACTIVITY KIND AMOUNT", 3, 3, run_expense_add},
    {"list", "ACTIVITY", 1, 1, run_expense_list},
    {"void", "ID", 1, 1, run_expense_void},
};
const struct cli_family CLI_EXPENSE = {
    .command = {.name = "expense",
                .help = "money spent: meal, lodging, toll, parking, material, other",
                .arguments = "add ACTIVITY KIND AMOUNT | list ACTIVITY | void ID",
                .argument_count_max = 4,
                .specs = EXPENSE_OPTIONS,
                .spec_count = COUNT_OF(EXPENSE_OPTIONS)},
    .needs_enrolment = true,
    .actions = EXPENSE_ACTIONS,
    .action_count = COUNT_OF(EXPENSE_ACTIONS),
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/call.h"
#include "server/cli/cli_commands.h"
#include "server/cli/office.h"

#include <inttypes.h>

/* ---- open ---- */

struct opening {
    struct call_order order;
    int64_t call_id;
};

static enum result open_in(struct work *work, void *context, struct problem *problem)
{
    struct opening *opening = context;

    return call_open(work, &opening->order, &opening->call_id, problem);
}

static const char *number_of(struct cli *cli, int64_t call_id, struct problem *problem)
{
    const struct value id = value_integer(call_id);
    struct store_result row = {0};
    struct bytes number;

    if (cli_query(cli, "SELECT number_text FROM call WHERE id = ?1", &id, 1, &row, problem) !=
        RESULT_OK)
        return NULL;
    number = store_bytes_at(&row, 0, 0);
    return arena_format(&cli->arena, "%.*s", (int)number.size, (const char *)number.data);
}

static enum result say(struct cli *cli, int64_t call_id, const char *what, struct problem *problem)
{
    const char *number = number_of(cli, call_id, problem);
    const char *sentence = NULL;

    if (number == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "done, but nothing can be printed");
    sentence = arena_format(&cli->arena, "call %s %s", number, what);
    if (sentence == NULL)
        return arena_full(&cli->arena, problem);
    return office_done(cli, "id", call_id, number, sentence, problem);
}

static enum result run_open(struct cli *cli, struct problem *problem)
{
    const char *customer = options_value(cli->options, "customer");
    const char *site = options_value(cli->options, "site");
    const char *priority = options_value(cli->options, "priority");
    struct opening opening = {.order = {.subject = cli_argument(cli, 0),
                                        .description = options_value(cli->options, "description"),
                                        .caller = options_value(cli->options, "caller")}};
    enum result result = office_by(cli, &opening.order.by_id, problem);

    if (customer == NULL)
        return problem_set(problem, RESULT_REFUSED,
                           "say who has the problem: --customer NAME (or its id)");
    if (result == RESULT_OK)
        result = office_party(cli, customer, &opening.order.party_id, problem);
    if (result == RESULT_OK && site != NULL)
        result = office_site(cli, site, opening.order.party_id, &opening.order.site_id, problem);
    if (result == RESULT_OK && priority != NULL)
        result = cli_integer(priority, "priority", &opening.order.priority_n, problem);
    if (result == RESULT_OK)
        result = cli_write(cli, open_in, &opening, problem);
    return result == RESULT_OK ? say(cli, opening.call_id, "opened", problem) : result;
}

/* ---- assign ---- */

struct assigning {
    struct call_assignment assignment;
    int64_t activity_id;
};

static enum result assign_in(struct work *work, void *context, struct problem *problem)
{
    struct assigning *assigning = context;

    return call_assign(work, &assigning->assignment, &assigning->activity_id, problem);
}

static enum result read_assignment(struct cli *cli, struct call_assignment *ret_assignment,
                                   struct problem *problem)
{
    const char *to = options_value(cli->options, "to");
    const char *at = options_value(cli->options, "at");
    const char *minutes = options_value(cli->options, "minutes");
    const char *type = options_value(cli->options, "type");
    struct call_assignment assignment = {.reason = options_value(cli->options, "reason")};
    enum result result;

    if (to == NULL)
        return problem_set(problem, RESULT_REFUSED, "say who is to go: --to LOGIN");
    result = office_find_by(cli, call_find, cli_argument(cli, 0), &assignment.call_id, problem);
    if (result == RESULT_OK)
        result = office_person(cli, to, &assignment.technician_id, problem);
    if (result == RESULT_OK)
        result = office_by(cli, &assignment.by_id, problem);
    if (result == RESULT_OK && at != NULL)
        result = office_time(at, &assignment.start_at, problem);
    if (result == RESULT_OK && minutes != NULL)
        result = cli_integer(minutes, "minutes", &assignment.planned_min, problem);
    if (result == RESULT_OK && type != NULL)
        result = office_type(cli, type, &assignment.type_id, problem);
    if (result == RESULT_OK)
        *ret_assignment = assignment;
    return result;
}

static enum result run_assign(struct cli *cli, struct problem *problem)
{
    struct assigning assigning = {0};
    const char *what = NULL;
    enum result result = read_assignment(cli, &assigning.assignment, problem);

    if (result == RESULT_OK)
        result = cli_write(cli, assign_in, &assigning, problem);
    if (result != RESULT_OK)
        return result;
    what = arena_format(&cli->arena, "goes to %s", options_value(cli->options, "to"));
    return what == NULL ? arena_full(&cli->arena, problem)
                        : say(cli, assigning.assignment.call_id, what, problem);
}

/* ---- cancel, close ---- */

struct ending {
    int64_t call_id;
    const char *reason;
    int64_t by_id;
};

static enum result cancel_in(struct work *work, void *context, struct problem *problem)
{
    const struct ending *ending = context;

    return call_cancel(work, ending->call_id, ending->reason, ending->by_id, problem);
}

static enum result close_in(struct work *work, void *context, struct problem *problem)
{
    const struct ending *ending = context;

    return call_close(work, ending->call_id, ending->reason, ending->by_id, problem);
}

static enum result end_with(struct cli *cli,
                            enum result (*end)(struct work *work, void *context,
                                               struct problem *problem),
                            const char *what, struct problem *problem)
{
    struct ending ending = {.reason = options_value(cli->options, "reason")};
    enum result result =
        office_find_by(cli, call_find, cli_argument(cli, 0), &ending.call_id, problem);

    if (result == RESULT_OK)
        result = office_by(cli, &ending.by_id, problem);
    if (result == RESULT_OK)
        result = cli_write(cli, end, &ending, problem);
    return result == RESULT_OK ? say(cli, ending.call_id, what, problem) : result;
}

static enum result run_cancel(struct cli *cli, struct problem *problem)
{
    return end_with(cli, cancel_in, "cancelled", problem);
}

static enum result run_close(struct cli *cli, struct problem *problem)
{
    return end_with(cli, close_in, "closed", problem);
}

/* ---- list, show ---- */

static enum result run_list(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[CALL_LIST_COLUMNS] = {
        {"ID", "id", CLI_NUMBER},          {"NUMBER", "number", CLI_TEXT},
        {"STATE", "state", CLI_TEXT},      {"PRIO", "priority", CLI_NUMBER},
        {"OPENED", "opened_at", CLI_TIME}, {"CUSTOMER", "customer", CLI_TEXT},
        {"SITE", "site", CLI_TEXT},        {"SUBJECT", "subject", CLI_TEXT},
        {"FOR", "technicians", CLI_TEXT},
    };
    struct call_filter filter = {.is_all = options_count(cli->options, "all") > 0};
    const char *to = options_value(cli->options, "to");
    const char *customer = options_value(cli->options, "customer");
    struct store *store = master_store(cli->master);
    struct store_result rows = {0};
    enum result result = RESULT_OK;

    if (to != NULL)
        result = office_person(cli, to, &filter.technician_id, problem);
    if (result == RESULT_OK && customer != NULL)
        result = office_party(cli, customer, &filter.party_id, problem);
    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = call_list(store, &filter, &cli->arena, &rows, problem);
    store_rollback(store);
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result print_head(struct cli *cli, int64_t call_id, struct problem *problem)
{
    const struct value id = value_integer(call_id);
    struct store_result row = {0};
    enum result result =
        cli_query(cli,
                  "SELECT c.number_text, c.state, c.subject, p.name, s.name, s.city, c.caller_text,"
                  " c.description FROM call c JOIN party p ON p.id = c.party_id"
                  " LEFT JOIN site s ON s.id = c.site_id WHERE c.id = ?1",
                  &id, 1, &row, problem);
    static const char *const TITLES[] = {"call", "state", "subject", "customer",
                                         "site", "city",  "caller",  "description"};

    for (size_t i = 0; i < sizeof TITLES / sizeof *TITLES && result == RESULT_OK; i++) {
        struct bytes text = store_bytes_at(&row, 0, i);

        if (text.size > 0)
            result = cli_say(cli, problem, "%-12s", TITLES[i]);
        if (text.size > 0 && result == RESULT_OK)
            result = terminal_append_plain(&cli->out, text, problem);
        if (text.size > 0 && result == RESULT_OK)
            result = cli_say(cli, problem, "\n");
    }
    return result;
}

static enum result run_show(struct cli *cli, struct problem *problem)
{
    static const struct cli_column VISITS[CALL_ACTIVITY_COLUMNS] = {
        {"VISIT", "activity_id", CLI_NUMBER}, {"TYPE", "type", CLI_TEXT},
        {"FOR", "technician", CLI_TEXT},      {"STATE", "state", CLI_TEXT},
        {"PLANNED", "planned_at", CLI_TIME},  {"MIN", "planned_min", CLI_NUMBER},
        {"VERSION", "version", CLI_NUMBER},   {"SEEN", "seen_version", CLI_NUMBER},
    };
    static const struct cli_column HISTORY[CALL_HISTORY_COLUMNS] = {
        {"TIME", "occurred_at", CLI_TIME}, {"OF", "of", CLI_TEXT},
        {"WHAT", "kind", CLI_TEXT},        {"BY", "by", CLI_TEXT},
        {"WHY", "reason", CLI_TEXT},
    };
    struct store *store = master_store(cli->master);
    struct store_result visits = {0};
    struct store_result history = {0};
    int64_t call_id = 0;
    enum result result = office_find_by(cli, call_find, cli_argument(cli, 0), &call_id, problem);

    if (result == RESULT_OK)
        result = store_begin(store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = call_activities(store, call_id, &cli->arena, &visits, problem);
    if (result == RESULT_OK)
        result = call_history(store, call_id, &cli->arena, &history, problem);
    store_rollback(store);
    if (result != RESULT_OK)
        return result;
    if (cli->is_json) /* one document: the visits; the history is call_event and activity_event */
        return cli_print(cli, &visits, VISITS, problem);
    result = print_head(cli, call_id, problem);
    if (result == RESULT_OK && visits.row_count > 0)
        result = cli_say(cli, problem, "\n");
    if (result == RESULT_OK && visits.row_count > 0)
        result = cli_print(cli, &visits, VISITS, problem);
    if (result == RESULT_OK && history.row_count > 0)
        result = cli_say(cli, problem, "\n");
    if (result == RESULT_OK && history.row_count > 0)
        result = cli_print(cli, &history, HISTORY, problem);
    return result;
}

static const struct option_spec SPECS[] = {
    {"customer", 0, "NAME", "open, list: whose call; a name that is the only one, or an id"},
    {"site", 0, "NAME", "open: where; default: the customer's only site"},
    {"description", 0, "TEXT", "open: more words"},
    {"caller", 0, "TEXT", "open: name and number of who called"},
    {"priority", 0, "N", "open: 1 most urgent to 5; default: 3"},
    {"to", 0, "LOGIN", "assign: who goes; list: only this technician's"},
    {"at", 0, "TIME", "assign: planned start in UTC, 2026-11-24T09:00Z"},
    {"minutes", 0, "N", "assign: planned time"},
    {"type", 0, "NAME", "assign: type of a new visit; default: the first on site"},
    {"reason", 0, "TEXT", "assign, cancel, close: why; it stays in the history"},
    {"by", 0, "LOGIN", "who decides, with that person's rights; default: the office"},
    {"all", 'a', NULL, "list: closed and cancelled ones too"},
};

static const struct cli_action ACTIONS[] = {
    {"open", "SUBJECT --customer NAME", 1, 1, run_open},
    {"assign", "CALL --to LOGIN", 1, 1, run_assign},
    {"list", NULL, 0, 0, run_list},
    {"show", "CALL", 1, 1, run_show},
    {"cancel", "CALL", 1, 1, run_cancel},
    {"close", "CALL", 1, 1, run_close},
};

const struct cli_family CLI_CALL = {
    .command = {"call",
                "calls and who goes; e.g. call open 'No heat' --customer Rossi;"
                " call assign C2026-000001 --to mario",
                "open|assign|list|show|cancel|close [SUBJECT|CALL]", 1, 2, SPECS,
                sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "edge/entropy.h"
#include "server/cli/cli_commands.h"
#include "server/core/copies.h"
#include "server/core/devices.h"
#include "server/service/people.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#define CODE_LIFE_US MINUTES(15)

struct device_order {
    const char *login;
    const char *van;
    uint8_t seed[DEVICES_CODE_SEED_SIZE];
    struct wall_time expires_at;
    int64_t replica_no;
    bool is_wipe;
    int64_t copy_no; /* 0: not named */
    bool goes_on;
};

/* ---- enrol ---- */

static enum result find_van(struct work *work, const char *name, int64_t *ret_id,
                            struct problem *problem)
{
    const struct value parameter = value_text_of(name);
    enum result result;

    *ret_id = 0;
    if (name == NULL)
        return RESULT_OK;
    result = query_integer(work, "SELECT id FROM location WHERE name=?1 ORDER BY id", &parameter, 1,
                           0, ret_id, problem);
    if (result == RESULT_OK && *ret_id == 0)
        result = problem_set(problem, RESULT_REFUSED, "no location is called '%s'", name);
    return result;
}

static enum result enrol(struct work *work, void *context, struct problem *problem)
{
    struct device_order *order = context;
    int64_t user_id = 0;
    int64_t van_id = 0;
    enum result result = people_find(work, order->login, &user_id, problem);

    if (result == RESULT_OK)
        result = find_van(work, order->van, &van_id, problem);
    if (result == RESULT_OK)
        result =
            devices_create_code(work, user_id, van_id, order->seed, order->expires_at, problem);
    return result;
}

static enum result print_code(struct cli *cli, const struct device_order *order, struct bytes code,
                              struct problem *problem)
{
    char expires[WALL_TEXT_SIZE];
    struct terminal_json json;

    wall_time_format(order->expires_at, expires);
    if (!cli->is_json)
        return cli_say(cli, problem,
                       "%.*s\n\nOne device of %s may use this code once, until %s:\n"
                       "  fieldsync-agent enrol CODE\n",
                       (int)code.size, (const char *)code.data, order->login, expires);
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "code");
    terminal_json_bytes(&json, code);
    terminal_json_key(&json, "login");
    terminal_json_text(&json, order->login);
    terminal_json_key(&json, "expires_at");
    terminal_json_text(&json, expires);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

static enum result run_enrol(struct cli *cli, struct problem *problem)
{
    struct device_order order = {.login = options_value(cli->options, "user"),
                                 .van = options_value(cli->options, "van")};
    struct buffer code;
    enum result result;

    if (order.login == NULL)
        return problem_set(problem, RESULT_REFUSED, "say whose device: --user LOGIN");
    buffer_init(&code, 4096);
    entropy_fill(order.seed, sizeof order.seed);
    order.expires_at.us = cli->now.us + CODE_LIFE_US;
    result = cli->host->encode_code(cli->host->context, order.seed, &code, problem);
    if (result == RESULT_OK)
        result = cli_write(cli, enrol, &order, problem);
    if (result == RESULT_OK)
        result = print_code(cli, &order, buffer_bytes(&code), problem);
    if (code.data != NULL)
        sodium_memzero(code.data, code.size);
    sodium_memzero(&order, sizeof order);
    buffer_done(&code);
    return result;
}

/* ---- list, revoke, release ---- */

static enum result run_list(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"REPLICA", "replica_no", CLI_NUMBER},
        {"SERIES", "series", CLI_TEXT},
        {"USER", "user", CLI_TEXT},
        {"NAME", "name", CLI_TEXT},
        {"STATE", "state", CLI_TEXT},
        {"ENROLLED", "enrolled_at", CLI_TIME},
        {"LAST SEEN", "last_seen_at", CLI_TIME},
        {"PUBLISHED", "published_seq", CLI_NUMBER},
        {"BEHIND", "behind", CLI_NUMBER},
        {"APP", "app_version", CLI_TEXT},
    };
    struct store_result rows = {0};
    enum result result =
        cli_query(cli,
                  "SELECT r.replica_no, d.series, u.login, r.device_name,"
                  " CASE WHEN r.state='held' AND EXISTS(SELECT 1 FROM fs_replica n WHERE"
                  " n.former_no=r.replica_no AND n.device_id=r.device_id) THEN 'replaced'"
                  " ELSE r.state END, r.enrolled_at,"
                  " r.last_seen_at, r.published_seq,"
                  " (SELECT number FROM fs_state WHERE name='seq') - r.published_seq,"
                  " r.app_version FROM fs_replica r"
                  " LEFT JOIN device d ON d.id=r.device_id LEFT JOIN app_user u ON u.id=r.user_id"
                  " ORDER BY r.replica_no",
                  NULL, 0, &rows, problem);

    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result revoke(struct work *work, void *context, struct problem *problem)
{
    struct device_order *order = context;

    return devices_revoke(work, order->replica_no, order->is_wipe, problem);
}

static enum result release(struct work *work, void *context, struct problem *problem)
{
    struct device_order *order = context;

    return copies_choose(work, order->replica_no, order->copy_no, &order->goes_on, problem);
}

static enum result run_revoke(struct cli *cli, struct problem *problem)
{
    struct device_order order = {.is_wipe = options_count(cli->options, "wipe") > 0};
    enum result result = cli_integer(cli_argument(cli, 0), "replica", &order.replica_no, problem);

    if (result == RESULT_OK)
        result = cli_write(cli, revoke, &order, problem);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "replica %" PRId64 " is revoked%s\n", order.replica_no,
                         order.is_wipe ? "; it is told to remove its data when it connects" : "");
    return result;
}

static enum result run_copies(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"COPY", "copy", CLI_NUMBER},
        {"FIRST SEEN", "first_seen_at", CLI_TIME},
        {"LAST SEEN", "last_seen_at", CLI_TIME},
        {"FROM", "peer", CLI_TEXT},
        {"CHANGES", "lcn_last", CLI_NUMBER},
        {"PUBLISHED", "published_seq", CLI_NUMBER},
        {"APP", "app_version", CLI_TEXT},
        {"IF CHOSEN", "if_chosen", CLI_TEXT},
        {"DECISION", "decision", CLI_TEXT},
        {"WHAT WAS SEEN", "why", CLI_TEXT},
    };
    struct store_result rows = {0};
    int64_t replica_no = 0;
    enum result result = cli_integer(cli_argument(cli, 0), "replica", &replica_no, problem);
    const struct value parameter = value_integer(replica_no);

    if (result == RESULT_OK)
        result = cli_query(cli,
                           "SELECT copy_no, first_seen_at, last_seen_at,"
                           " coalesce(peer,'not since it is held'), lcn_last, published_seq,"
                           " app_version,"
                           " CASE WHEN is_newest<>0 THEN 'goes on' ELSE 'takes a new number' END,"
                           " CASE decision WHEN 'renew' THEN 'becomes a new device'"
                           " WHEN 'take_over' THEN 'lives' ELSE 'open' END, why"
                           " FROM fs_copy WHERE replica_no=?1 ORDER BY copy_no",
                           &parameter, 1, &rows, problem);
    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static enum result run_release(struct cli *cli, struct problem *problem)
{
    struct device_order order = {0};
    const char *copy = options_value(cli->options, "copy");
    enum result result = cli_integer(cli_argument(cli, 0), "replica", &order.replica_no, problem);

    if (result == RESULT_OK && copy != NULL)
        result = cli_integer(copy, "copy", &order.copy_no, problem);
    if (result == RESULT_OK)
        result = cli_write(cli, release, &order, problem);
    if (result == RESULT_OK)
        result = cli_say(cli, problem,
                         order.goes_on
                             ? "replica %" PRId64 " goes on; any other copy becomes a device of its"
                               " own when it calls next\n"
                             : "replica %" PRId64 ": the copy that lives takes a new number when it"
                               " calls next, any other becomes a device of its own\n",
                         order.replica_no);
    return result;
}

static const struct option_spec SPECS[] = {
    {"user", 'u', "LOGIN", "whose device it will be (enrol)"},
    {"van", 0, "NAME", "location of its van (enrol)"},
    {"wipe", 0, NULL, "tell the device to remove its data (revoke)"},
    {"copy", 0, "N", "which of its copies lives (release)"},
};

static const struct cli_action ACTIONS[] = {
    {"enrol", "--user LOGIN [--van NAME]", 0, 0, run_enrol},
    {"list", NULL, 0, 0, run_list},
    {"revoke", "REPLICA [--wipe]", 1, 1, run_revoke},
    {"copies", "REPLICA", 1, 1, run_copies},
    {"release", "REPLICA [--copy N]", 1, 1, run_release},
};

const struct cli_family CLI_DEVICE = {
    .command = {"device", "enrolment codes and enrolled devices",
                "enrol|list|revoke|copies|release [REPLICA]", 1, 2, SPECS,
                sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};

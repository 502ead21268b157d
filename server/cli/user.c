/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/secret.h"
#include "server/cli/cli_commands.h"
#include "server/service/password.h"
#include "server/service/people.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* ---- passwords ---- */

/* One line of stdin; it never stands on a command line, where everybody could read it. */
static enum result hash_password(char hash[PASSWORD_HASH_SIZE], struct problem *problem)
{
    char *password = secret_alloc(PASSWORD_SIZE_MAX + 2);
    struct bytes line = {0};
    enum result result;

    if (password == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a password");
    result = secret_read_descriptor(STDIN_FILENO, password, PASSWORD_SIZE_MAX + 2, &line, problem);
    if (result == RESULT_OK)
        result = password_hash(line, hash, problem);
    secret_free(password);
    return result;
}

/* ---- actions ---- */

struct user_order {
    const struct options *options;
    struct person person;
    const char *hash; /* NULL: no password */
    int64_t user_id;
};

static enum result add(struct work *work, void *context, struct problem *problem)
{
    struct user_order *order = context;
    const struct options *options = order->options;
    const char *area = options_value(options, "area");
    enum result result = people_add(work, &order->person, &order->user_id, problem);

    for (size_t i = 0; i < options->given_count && result == RESULT_OK; i++)
        if (strcmp(options->given[i].spec->name, "role") == 0)
            result = people_grant(work, order->user_id, options->given[i].value,
                                  area == NULL ? "" : area, problem);
    if (result == RESULT_OK && order->hash != NULL)
        result = people_set_password(work, order->user_id, order->hash, problem);
    return result;
}

static enum result run_add(struct cli *cli, struct problem *problem)
{
    char hash[PASSWORD_HASH_SIZE];
    struct user_order order = {.options = cli->options};
    enum result result = RESULT_OK;

    order.person.login = cli_argument(cli, 0);
    order.person.name = options_value(cli->options, "name");
    order.person.grade = options_value(cli->options, "grade");
    if (order.person.name == NULL)
        order.person.name = order.person.login;
    if (options_count(cli->options, "role") == 0)
        return problem_set(problem, RESULT_REFUSED, "say at least one --role");
    if (options_count(cli->options, "password-stdin") > 0) {
        result = hash_password(hash, problem);
        order.hash = hash;
    }
    if (result == RESULT_OK)
        result = cli_write(cli, add, &order, problem);
    if (result == RESULT_OK)
        result =
            cli_say(cli, problem, "user %" PRId64 " %s added\n", order.user_id, order.person.login);
    return result;
}

static enum result passwd(struct work *work, void *context, struct problem *problem)
{
    struct user_order *order = context;
    enum result result = people_find(work, order->person.login, &order->user_id, problem);

    return result == RESULT_OK ? people_set_password(work, order->user_id, order->hash, problem)
                               : result;
}

static enum result run_passwd(struct cli *cli, struct problem *problem)
{
    char hash[PASSWORD_HASH_SIZE];
    struct user_order order = {.options = cli->options, .hash = hash};
    enum result result;

    order.person.login = cli_argument(cli, 0);
    if (options_count(cli->options, "password-stdin") == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "give the password on stdin and say --password-stdin");
    result = hash_password(hash, problem);
    if (result == RESULT_OK)
        result = cli_write(cli, passwd, &order, problem);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "password of %s changed\n", order.person.login);
    return result;
}

static enum result grant(struct work *work, void *context, struct problem *problem)
{
    struct user_order *order = context;
    const struct options *options = order->options;
    const char *area = options_value(options, "area");
    enum result result = people_find(work, order->person.login, &order->user_id, problem);

    for (size_t i = 0; i < options->given_count && result == RESULT_OK; i++)
        if (strcmp(options->given[i].spec->name, "role") == 0)
            result = people_grant(work, order->user_id, options->given[i].value,
                                  area == NULL ? "" : area, problem);
    return result;
}

static enum result run_grant(struct cli *cli, struct problem *problem)
{
    struct user_order order = {.options = cli->options};
    enum result result;

    order.person.login = cli_argument(cli, 0);
    if (options_count(cli->options, "role") == 0)
        return problem_set(problem, RESULT_REFUSED, "say at least one --role");
    result = cli_write(cli, grant, &order, problem);
    if (result == RESULT_OK)
        result = cli_say(cli, problem, "%s has the roles now\n", order.person.login);
    return result;
}

static enum result deactivate(struct work *work, void *context, struct problem *problem)
{
    struct user_order *order = context;
    enum result result = people_find(work, order->person.login, &order->user_id, problem);

    return result == RESULT_OK ? people_set_active(work, order->user_id, false, problem) : result;
}

static enum result activate(struct work *work, void *context, struct problem *problem)
{
    struct user_order *order = context;
    enum result result = people_find(work, order->person.login, &order->user_id, problem);

    return result == RESULT_OK ? people_set_active(work, order->user_id, true, problem) : result;
}

static enum result run_deactivate(struct cli *cli, struct problem *problem)
{
    struct user_order order = {.options = cli->options};

    order.person.login = cli_argument(cli, 0);
    return cli_write(cli, deactivate, &order, problem);
}

static enum result run_activate(struct cli *cli, struct problem *problem)
{
    struct user_order order = {.options = cli->options};

    order.person.login = cli_argument(cli, 0);
    return cli_write(cli, activate, &order, problem);
}

static enum result run_list(struct cli *cli, struct problem *problem)
{
    static const struct cli_column COLUMNS[] = {
        {"ID", "id", CLI_NUMBER},           {"LOGIN", "login", CLI_TEXT},
        {"NAME", "name", CLI_TEXT},         {"ROLES", "roles", CLI_TEXT},
        {"ACTIVE", "active", CLI_FLAG},     {"PASSWORD", "has_password", CLI_FLAG},
        {"DEVICES", "devices", CLI_NUMBER},
    };
    struct store_result rows = {0};
    enum result result = cli_query(
        cli,
        "SELECT u.id, u.login, u.name,"
        " (SELECT group_concat(CASE WHEN g.area='' THEN g.role ELSE g.role||'@'||g.area END, ' ')"
        "  FROM role_grant g WHERE g.user_id=u.id),"
        " u.is_active, EXISTS(SELECT 1 FROM fs_login l WHERE l.user_id=u.id),"
        " (SELECT count(*) FROM fs_replica r WHERE r.user_id=u.id AND r.state<>'revoked')"
        " FROM app_user u ORDER BY u.login",
        NULL, 0, &rows, problem);

    return result == RESULT_OK ? cli_print(cli, &rows, COLUMNS, problem) : result;
}

static const struct option_spec SPECS[] = {
    {"name", 'n', "NAME", "name that others read; default: the login"},
    {"role", 'r', "ROLE", "technician, dispatcher, ...; may be given several times"},
    {"area", 0, "AREA", "territory to which the roles are limited"},
    {"grade", 0, "GRADE", "picks the hourly rate: senior, junior, ..."},
    {"password-stdin", 0, NULL, "read the password for the server's pages from stdin"},
};

static const struct cli_action ACTIONS[] = {
    {"add", "LOGIN --role ROLE", 1, 1, run_add},
    {"list", NULL, 0, 0, run_list},
    {"grant", "LOGIN --role ROLE", 1, 1, run_grant},
    {"passwd", "LOGIN --password-stdin", 1, 1, run_passwd},
    {"deactivate", "LOGIN", 1, 1, run_deactivate},
    {"activate", "LOGIN", 1, 1, run_activate},
};

const struct cli_family CLI_USER = {
    .command = {"user", "people, their roles and passwords",
                "add|list|grant|passwd|deactivate|activate [LOGIN]", 1, 2, SPECS,
                sizeof SPECS / sizeof *SPECS},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof *ACTIONS,
};

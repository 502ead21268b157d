/* SPDX-License-Identifier: Apache-2.0 */
/* sql: what any program does with an ordinary replica, for one that is encrypted. */
#include "agent/cli/cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { SCRIPT_SIZE_MAX = 1024 * 1024, TRIES_MAX = 60 };

static enum result read_stdin(struct cli *cli, const char **ret_script, struct problem *problem)
{
    char *script = arena_array(&cli->arena, SCRIPT_SIZE_MAX + 1, 1);
    size_t size = 0;
    ssize_t got = 1;

    if (script == NULL)
        return arena_full(&cli->arena, problem);
    while (got > 0 && size < SCRIPT_SIZE_MAX) {
        got = read(STDIN_FILENO, script + size, SCRIPT_SIZE_MAX - size);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            size += (size_t)got;
    }
    if (got < 0)
        return problem_set(problem, RESULT_REFUSED, "reading stdin: %s", strerror(errno));
    if (size == SCRIPT_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "more than %d bytes of SQL: give it in parts",
                           (int)SCRIPT_SIZE_MAX - 1);
    script[size] = '\0';
    if (strlen(script) != size)
        return problem_set(problem, RESULT_REFUSED, "there is a NUL in the SQL");
    *ret_script = script;
    return RESULT_OK;
}

/* As the sqlite3 shell shows them: values between bars, NULL is nothing. */
static enum result say_table(struct cli *cli, const struct replica_table *table,
                             struct problem *problem)
{
    const struct replica_result *rows = &table->rows;
    enum result result = RESULT_OK;

    for (size_t i = 0; result == RESULT_OK && i < rows->row_count * rows->column_count; i++) {
        result = cli_append(cli, cli_value_text(cli, LISTING_TEXT, &rows->values[i]), problem);
        if (result == RESULT_OK)
            result = cli_append(cli, (i + 1) % rows->column_count == 0 ? "\n" : "|", problem);
    }
    return result;
}

static void json_value(struct cli *cli, struct terminal_json *json, const struct value *value)
{
    if (value->type == VALUE_NULL)
        terminal_json_null(json);
    else if (value->type == VALUE_INTEGER)
        terminal_json_number(json, value->integer);
    else
        terminal_json_text(json, cli_value_text(cli, LISTING_TEXT, value));
}

static enum result json_table(struct cli *cli, const struct replica_table *table,
                              struct problem *problem)
{
    const struct replica_result *rows = &table->rows;
    struct terminal_json json;

    terminal_json_init(&json, &cli->out);
    terminal_json_array_begin(&json);
    for (size_t i = 0; i < rows->row_count; i++) {
        terminal_json_object_begin(&json);
        for (size_t k = 0; k < rows->column_count; k++) {
            terminal_json_key(&json, table->names[k]);
            json_value(cli, &json, &rows->values[i * rows->column_count + k]);
        }
        terminal_json_object_end(&json);
    }
    terminal_json_array_end(&json);
    return terminal_json_finish(&json, problem);
}

/* Not to be run again from the start by whoever waits: stdin is read. */
static enum result run_script(struct cli *cli, const char *script,
                              const struct replica_table **ret_table, struct problem *problem)
{
    enum result result = RESULT_WAIT;

    for (int tries = 0; result == RESULT_WAIT && tries < TRIES_MAX; tries++) {
        *problem = (struct problem){0};
        result = replica_run_script(cli->service.replica, script, &cli->arena, ret_table, problem);
    }
    if (result != RESULT_WAIT)
        return result;
    cli->exit_code = EXIT_CODE_TEMPORARY;
    return problem_set(problem, RESULT_REFUSED, "another program is writing");
}

static enum result run_sql(struct cli *cli, struct problem *problem)
{
    const char *script = cli_argument(cli, 0);
    const struct replica_table *table = NULL;
    enum result result = RESULT_OK;

    if (script == NULL)
        result = read_stdin(cli, &script, problem);
    if (result == RESULT_OK)
        result = run_script(cli, script, &table, problem);
    for (; result == RESULT_OK && table != NULL; table = table->next)
        result = cli->is_json ? json_table(cli, table, problem) : say_table(cli, table, problem);
    return result;
}

static const struct cli_action ACTIONS[] = {{NULL, "[STATEMENTS]", 0, 1, run_sql}};
const struct cli_family CLI_SQL = {
    .command = {.name = "sql",
                .help = "runs SQL on the replica as any program may, in one transaction; without"
                        " STATEMENTS it reads stdin",
                .arguments = "[STATEMENTS]",
                .argument_count_max = 1},
    .actions = ACTIONS,
    .action_count = sizeof ACTIONS / sizeof ACTIONS[0],
};

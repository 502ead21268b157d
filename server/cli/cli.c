/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/cli.h"

#include "base/invariant.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- command line ---- */

static const struct cli_family *family_of(const struct options *options)
{
    for (const struct cli_family *const *family = cli_families(); *family != NULL; family++)
        if (strcmp((*family)->command.name, options->command->name) == 0)
            return *family;
    return NULL;
}

static enum result check_count(const struct options *options, const struct cli_action *action,
                               struct problem *problem)
{
    int count = options->argument_count - (action->name != NULL ? 1 : 0);

    if (count >= action->argument_count_min && count <= action->argument_count_max)
        return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED, "usage: %s%s%s%s%s", options->command->name,
                       action->name != NULL ? " " : "", action->name != NULL ? action->name : "",
                       action->arguments != NULL ? " " : "",
                       action->arguments != NULL ? action->arguments : "");
}

enum result cli_action_of(const struct options *options, const struct cli_action **ret_action,
                          struct problem *problem)
{
    const struct cli_family *family = family_of(options);
    const char *word = options->argument_count > 0 ? options->arguments[0] : "";

    invariant(family != NULL);
    for (size_t i = 0; i < family->action_count; i++) {
        const struct cli_action *action = &family->actions[i];

        if (action->name == NULL || strcmp(action->name, word) == 0) {
            *ret_action = action;
            return check_count(options, action, problem);
        }
    }
    for (size_t i = 0; i < family->action_count && word[0] != '\0'; i++)
        if (options_is_near(word, family->actions[i].name))
            return problem_set(problem, RESULT_REFUSED, "%s %s: did you mean '%s'?",
                               options->command->name, word, family->actions[i].name);
    return problem_set(problem, RESULT_REFUSED, "%s needs one of: %s", options->command->name,
                       options->command->arguments);
}

const char *cli_argument(const struct cli *cli, int index)
{
    const struct cli_family *family = family_of(cli->options);
    int at = index + (family->actions[0].name != NULL ? 1 : 0);

    return at < cli->options->argument_count ? cli->options->arguments[at] : NULL;
}

enum result cli_integer(const char *text, const char *what, int64_t *ret_integer,
                        struct problem *problem)
{
    int64_t number = 0;

    if (!number_read(text, &number) || number < 0)
        return problem_set(problem, RESULT_REFUSED, "%s '%s' is not a number", what, text);
    *ret_integer = number;
    return RESULT_OK;
}

/* ---- reading and printing ---- */

enum result cli_query(struct cli *cli, const char *sql, const struct value *parameters,
                      size_t parameter_count, struct store_result *ret_result,
                      struct problem *problem)
{
    struct store *store = master_store(cli->master);
    enum result result = store_begin(store, STORE_READ, problem);

    if (result == RESULT_OK)
        result =
            store_query(store, sql, parameters, parameter_count, &cli->arena, ret_result, problem);
    store_rollback(store);
    return result;
}

static const char *cell_of(struct cli *cli, const struct value *value, enum cli_form form)
{
    char time[WALL_TEXT_SIZE];

    if (value->type == VALUE_NULL)
        return "";
    if (value->type == VALUE_TEXT || value->type == VALUE_BLOB)
        return arena_format(&cli->arena, "%.*s", (int)value->bytes.size,
                            (const char *)value->bytes.data);
    if (value->type == VALUE_REAL)
        return arena_format(&cli->arena, "%g", value->real);
    switch (form) {
    case CLI_TIME:
        wall_time_format((struct wall_time){value->integer}, time);
        return arena_format(&cli->arena, "%s", time);
    case CLI_FLAG:
        return value->integer != 0 ? "yes" : "";
    default:
        return arena_format(&cli->arena, "%" PRId64, value->integer);
    }
}

static enum result print_table(struct cli *cli, const struct store_result *rows,
                               const struct cli_column *columns, struct problem *problem)
{
    struct terminal_column heads[TERMINAL_COLUMN_COUNT_MAX];
    const char *cells[TERMINAL_COLUMN_COUNT_MAX];
    struct terminal_table *table = NULL;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < rows->column_count; i++)
        heads[i] = (struct terminal_column){.title = columns[i].title,
                                            .is_right = columns[i].form == CLI_NUMBER};
    table = terminal_table_create(heads, rows->column_count, CLI_OUT_SIZE_MAX);
    if (table == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a table");
    for (size_t row = 0; row < rows->row_count && result == RESULT_OK; row++) {
        for (size_t i = 0; i < rows->column_count; i++) {
            cells[i] = cell_of(cli, store_at(rows, row, i), columns[i].form);
            if (cells[i] == NULL)
                result = arena_full(&cli->arena, problem);
        }
        if (result == RESULT_OK)
            result = terminal_table_add(table, cells, problem);
    }
    if (result == RESULT_OK)
        result = terminal_table_print(table, &cli->out, problem);
    terminal_table_destroy(table);
    return result;
}

static void print_json_value(struct cli *cli, struct terminal_json *json, const struct value *value,
                             enum cli_form form)
{
    if (value->type == VALUE_NULL)
        terminal_json_null(json);
    else if (value->type == VALUE_INTEGER && form == CLI_FLAG)
        terminal_json_boolean(json, value->integer != 0);
    else if (value->type == VALUE_INTEGER && form != CLI_TIME)
        terminal_json_number(json, value->integer);
    else
        terminal_json_text(json, cell_of(cli, value, form));
}

static enum result print_json(struct cli *cli, const struct store_result *rows,
                              const struct cli_column *columns, struct problem *problem)
{
    struct terminal_json json;

    terminal_json_init(&json, &cli->out);
    terminal_json_array_begin(&json);
    for (size_t row = 0; row < rows->row_count; row++) {
        terminal_json_object_begin(&json);
        for (size_t i = 0; i < rows->column_count; i++) {
            terminal_json_key(&json, columns[i].key);
            print_json_value(cli, &json, store_at(rows, row, i), columns[i].form);
        }
        terminal_json_object_end(&json);
    }
    terminal_json_array_end(&json);
    return terminal_json_finish(&json, problem);
}

enum result cli_print(struct cli *cli, const struct store_result *rows,
                      const struct cli_column *columns, struct problem *problem)
{
    invariant(rows->column_count <= TERMINAL_COLUMN_COUNT_MAX);
    return cli->is_json ? print_json(cli, rows, columns, problem)
                        : print_table(cli, rows, columns, problem);
}

enum result cli_say(struct cli *cli, struct problem *problem, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    int size;

    if (cli->is_json)
        return RESULT_OK;
    va_start(arguments, format);
    size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text)
        return problem_set(problem, RESULT_EXHAUSTED, "a line of %d bytes", size);
    return buffer_append(&cli->out, text, (size_t)size, problem);
}

/* ---- writing ---- */

enum result cli_write(struct cli *cli,
                      enum result (*action)(struct work *work, void *context,
                                            struct problem *problem),
                      void *context, struct problem *problem)
{
    struct master_outcome outcome = {0};

    return master_run(cli->master, cli->now, action, context, &outcome, problem);
}

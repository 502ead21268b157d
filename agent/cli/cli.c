/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"

#include "base/invariant.h"
#include "base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the command line ---- */

const struct cli_family *cli_family_of(const struct options *options)
{
    for (const struct cli_family *const *family = cli_families(); *family != NULL; family++)
        if (strcmp((*family)->command.name, options->command->name) == 0)
            return *family;
    return NULL;
}

static const struct cli_action *action_of(const struct cli *cli)
{
    const struct cli_family *family = cli_family_of(cli->options);
    const char *word = cli->options->argument_count > 0 ? cli->options->arguments[0] : "";

    for (size_t i = 0; i < family->action_count; i++)
        if (family->actions[i].name == NULL || strcmp(family->actions[i].name, word) == 0)
            return &family->actions[i];
    return NULL;
}

static enum result refuse_word(const struct cli *cli, struct problem *problem)
{
    const struct cli_family *family = cli_family_of(cli->options);
    const char *word = cli->options->argument_count > 0 ? cli->options->arguments[0] : "";

    for (size_t i = 0; i < family->action_count && word[0] != '\0'; i++)
        if (options_is_near(word, family->actions[i].name))
            return problem_set(problem, RESULT_REFUSED, "%s %s: did you mean `%s`?",
                               family->command.name, word, family->actions[i].name);
    return problem_set(problem, RESULT_REFUSED, "%s needs one of: %s", family->command.name,
                       family->command.arguments);
}

static int words_before(const struct cli *cli)
{
    return action_of(cli)->name != NULL ? 1 : 0;
}

int cli_argument_count(const struct cli *cli)
{
    return cli->options->argument_count - words_before(cli);
}

const char *cli_argument(const struct cli *cli, int index)
{
    int at = index + words_before(cli);

    return at < cli->options->argument_count ? cli->options->arguments[at] : NULL;
}

const char *cli_option(const struct cli *cli, const char *name)
{
    return options_value(cli->options, name);
}

enum result cli_run(struct cli *cli, struct problem *problem)
{
    const struct cli_action *action = action_of(cli);
    int count;

    if (action == NULL) {
        cli->exit_code = EXIT_CODE_USAGE;
        return refuse_word(cli, problem);
    }
    count = cli_argument_count(cli);
    if (count < action->argument_count_min || count > action->argument_count_max) {
        cli->exit_code = EXIT_CODE_USAGE;
        return problem_set(problem, RESULT_REFUSED, "usage: %s%s%s %s", cli->options->command->name,
                           action->name != NULL ? " " : "",
                           action->name != NULL ? action->name : "",
                           action->arguments != NULL ? action->arguments : "");
    }
    return action->run(cli, problem);
}

/* ---- reading ---- */

enum result cli_integer(const char *text, const char *what, int64_t *ret_integer,
                        struct problem *problem)
{
    int64_t number = 0;

    if (!number_read(text, &number) || number < 0)
        return problem_set(problem, RESULT_REFUSED, "%s `%.60s` is no whole number", what, text);
    *ret_integer = number;
    return RESULT_OK;
}

enum result cli_decimal(const char *text, int digits, const char *what, int64_t *ret_number,
                        struct problem *problem)
{
    int64_t number = 0;
    int behind = -1; /* digits after the point; -1: before it */
    size_t i = 0;

    for (; text[i] != '\0' && i < 16; i++) {
        if ((text[i] == '.' || text[i] == ',') && behind < 0 && i > 0) {
            behind = 0;
        } else if (text[i] >= '0' && text[i] <= '9' && behind < digits) {
            number = number * 10 + (text[i] - '0');
            behind += behind >= 0;
        } else {
            break;
        }
    }
    if (i == 0 || text[i] != '\0' || behind == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "%s `%.60s` is no number with at most %d digits behind the point", what,
                           text, digits);
    for (int k = behind < 0 ? 0 : behind; k < digits; k++)
        number *= 10;
    *ret_number = number;
    return RESULT_OK;
}

/* "-90m" */
static bool read_before(const char *text, int64_t *ret_us)
{
    char *end = NULL;
    long long count;

    if (text[0] != '-' || text[1] < '0' || text[1] > '9')
        return false;
    errno = 0;
    count = strtoll(text + 1, &end, 10);
    if (errno != 0 || count > 100000)
        return false;
    if (strcmp(end, "m") == 0)
        *ret_us = MINUTES(count);
    else if (strcmp(end, "h") == 0)
        *ret_us = HOURS(count);
    else if (strcmp(end, "d") == 0)
        *ret_us = HOURS(24 * count);
    else
        return false;
    return true;
}

enum result cli_time(const struct cli *cli, const char *text, int64_t *ret_us,
                     struct problem *problem)
{
    struct wall_time time;
    char whole[WALL_TEXT_SIZE];
    int64_t before;

    if (strcmp(text, "now") == 0) {
        *ret_us = cli->service.now.us;
        return RESULT_OK;
    }
    if (read_before(text, &before)) {
        *ret_us = cli->service.now.us - before;
        return RESULT_OK;
    }
    snprintf(whole, sizeof whole, "%.16s:00Z", text);
    if (wall_time_parse(text, &time) ||
        (strlen(text) == 17 && text[16] == 'Z' && wall_time_parse(whole, &time))) {
        *ret_us = time.us;
        return RESULT_OK;
    }
    return problem_set(problem, RESULT_REFUSED,
                       "`%.60s` is no time: write 2026-11-23T15:54Z, now, -90m or -2h", text);
}

/* ---- printing ---- */

static const char *format_fraction(struct arena *arena, int64_t number, int64_t unit, int digits)
{
    int64_t whole = number / unit;
    int64_t rest = number % unit;
    const char *sign = number < 0 && whole == 0 ? "-" : "";

    if (rest < 0)
        rest = -rest;
    if (rest == 0 && digits == 3)
        return arena_format(arena, "%" PRId64, whole);
    return arena_format(arena, "%s%" PRId64 ".%0*" PRId64, sign, whole, digits, rest);
}

const char *cli_value_text(struct cli *cli, enum listing_kind kind, const struct value *value)
{
    char time[WALL_TEXT_SIZE];
    const char *text = "";

    if (value->type == VALUE_TEXT)
        text = service_text(&cli->arena, value);
    else if (value->type == VALUE_REAL)
        text = arena_format(&cli->arena, "%.15g", value->real);
    else if (value->type == VALUE_BLOB)
        text = arena_format(&cli->arena, "(%zu bytes)", value->bytes.size);
    else if (value->type == VALUE_INTEGER && kind == LISTING_TIME) {
        wall_time_format((struct wall_time){value->integer}, time);
        text = arena_format(&cli->arena, "%.10s %.5sZ", time, time + 11);
    } else if (value->type == VALUE_INTEGER && kind == LISTING_MILLI)
        text = format_fraction(&cli->arena, value->integer, 1000, 3);
    else if (value->type == VALUE_INTEGER && kind == LISTING_CENTS)
        text = format_fraction(&cli->arena, value->integer, 100, 2);
    else if (value->type == VALUE_INTEGER && kind == LISTING_FLAG)
        text = value->integer != 0 ? "yes" : "";
    else if (value->type == VALUE_INTEGER)
        text = arena_format(&cli->arena, "%" PRId64, value->integer);
    return text != NULL ? text : "";
}

static void json_value(struct terminal_json *json, enum listing_kind kind,
                       const struct value *value)
{
    char time[WALL_TEXT_SIZE];

    if (value->type == VALUE_TEXT)
        terminal_json_bytes(json, value->bytes);
    else if (value->type == VALUE_INTEGER && kind == LISTING_TIME) {
        wall_time_format((struct wall_time){value->integer}, time);
        terminal_json_text(json, time);
    } else if (value->type == VALUE_INTEGER && kind == LISTING_FLAG)
        terminal_json_boolean(json, value->integer != 0);
    else if (value->type == VALUE_INTEGER)
        terminal_json_number(json, value->integer);
    else
        terminal_json_null(json);
}

static void json_rows(struct terminal_json *json, const struct listing *listing)
{
    terminal_json_array_begin(json);
    for (size_t i = 0; i < listing->row_count; i++) {
        terminal_json_object_begin(json);
        for (size_t k = 0; k < listing->column_count; k++) {
            terminal_json_key(json, listing->columns[k].name);
            json_value(json, listing->columns[k].kind,
                       &listing->values[i * listing->column_count + k]);
        }
        terminal_json_object_end(json);
    }
    terminal_json_array_end(json);
}

void cli_json_listing(struct terminal_json *json, const char *key, const struct listing *listing)
{
    terminal_json_key(json, key);
    json_rows(json, listing);
}

static bool is_right(enum listing_kind kind)
{
    return kind == LISTING_NUMBER || kind == LISTING_MILLI || kind == LISTING_CENTS;
}

static enum result print_table(struct cli *cli, const struct listing *listing,
                               struct problem *problem)
{
    struct terminal_column columns[TERMINAL_COLUMN_COUNT_MAX];
    const char *cells[TERMINAL_COLUMN_COUNT_MAX];
    struct terminal_table *table;
    size_t count = 0;
    enum result result = RESULT_OK;

    for (size_t k = 0; k < listing->column_count; k++)
        if (listing->columns[k].title != NULL)
            columns[count++] = (struct terminal_column){
                .title = listing->columns[k].title, .is_right = is_right(listing->columns[k].kind)};
    table = terminal_table_create(columns, count, CLI_OUT_SIZE_MAX);
    if (table == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a table");
    for (size_t i = 0; result == RESULT_OK && i < listing->row_count; i++) {
        size_t cell = 0;

        for (size_t k = 0; k < listing->column_count; k++)
            if (listing->columns[k].title != NULL)
                cells[cell++] = cli_value_text(cli, listing->columns[k].kind,
                                               &listing->values[i * listing->column_count + k]);
        result = terminal_table_add(table, cells, problem);
    }
    if (result == RESULT_OK)
        result = terminal_table_print(table, &cli->out, problem);
    terminal_table_destroy(table);
    return result;
}

enum result cli_print_listing(struct cli *cli, const struct listing *listing, const char *empty,
                              struct problem *problem)
{
    struct terminal_json json;

    invariant(listing->column_count <= TERMINAL_COLUMN_COUNT_MAX);
    if (!cli->is_json && listing->row_count == 0)
        return empty == NULL ? RESULT_OK : cli_say(cli, problem, "%s\n", empty);
    if (!cli->is_json)
        return print_table(cli, listing, problem);
    terminal_json_init(&json, &cli->out);
    json_rows(&json, listing);
    return terminal_json_finish(&json, problem);
}

enum result cli_print_card(struct cli *cli, const struct listing *listing, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t k = 0; result == RESULT_OK && listing->row_count > 0 && k < listing->column_count;
         k++) {
        const char *text = cli_value_text(cli, listing->columns[k].kind, &listing->values[k]);

        if (listing->columns[k].title != NULL && text[0] != '\0')
            result = cli_say(cli, problem, "%-12s %s\n", listing->columns[k].title, text);
    }
    return result;
}

enum result cli_append(struct cli *cli, const char *text, struct problem *problem)
{
    enum result result = RESULT_OK;

    while (result == RESULT_OK && *text != '\0') {
        size_t size = strcspn(text, "\n");

        result = terminal_append_plain(&cli->out, bytes_of(text, size), problem);
        text += size;
        if (result == RESULT_OK && *text == '\n') {
            result = buffer_append(&cli->out, "\n", 1, problem);
            text++;
        }
    }
    return result;
}

enum result cli_say(struct cli *cli, struct problem *problem, const char *format, ...)
{
    char text[4096];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return cli_append(cli, text, problem);
}

enum result cli_print_done(struct cli *cli, int64_t id, const char *words, struct problem *problem)
{
    struct terminal_json json;

    if (!cli->is_json)
        return cli_say(cli, problem, "%s (%" PRId64 ")\n", words, id);
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "id");
    terminal_json_number(&json, id);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

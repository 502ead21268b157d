/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "edge/options.h"

#include "base/invariant.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct option_spec BUILT_IN[] = {
    {"help", 'h', NULL, "show this help"},
    {"version", 'V', NULL, "show the version"},
};
enum { BUILT_IN_COUNT = sizeof BUILT_IN / sizeof BUILT_IN[0] };

/* getopt's tables, made from ours. The code of a long option is LONG_BASE + its index. */
enum { LONG_BASE = 256, SHORTS_SIZE = 2 + 2 * OPTIONS_SPEC_COUNT_MAX + 1 };

struct grammar {
    const struct option_spec *specs[OPTIONS_SPEC_COUNT_MAX];
    size_t spec_count;
    struct option longs[OPTIONS_SPEC_COUNT_MAX + 1];
    char shorts[SHORTS_SIZE];
    size_t shorts_size;
};

static void grammar_add(struct grammar *grammar, const struct option_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct option_spec *spec = &specs[i];

        invariant(grammar->spec_count < OPTIONS_SPEC_COUNT_MAX);
        grammar->longs[grammar->spec_count] = (struct option){
            .name = spec->name,
            .has_arg = spec->argument == NULL ? no_argument : required_argument,
            .val = LONG_BASE + (int)grammar->spec_count,
        };
        grammar->specs[grammar->spec_count++] = spec;
        if (spec->short_name == 0)
            continue;
        invariant(strchr(grammar->shorts, spec->short_name) == NULL); /* taken */
        grammar->shorts[grammar->shorts_size++] = spec->short_name;
        if (spec->argument != NULL)
            grammar->shorts[grammar->shorts_size++] = ':';
    }
}

/* Before the command "+": stop at the first word; after it options and arguments may mix. The colon
 * makes getopt tell a missing value from an unknown option. */
static void grammar_init(struct grammar *grammar, const struct options_program *program,
                         const struct options_command *command)
{
    const char *start = command == NULL ? "+:" : ":";

    memset(grammar, 0, sizeof *grammar);
    grammar->shorts_size = strlen(start);
    memcpy(grammar->shorts, start, grammar->shorts_size);
    grammar_add(grammar, BUILT_IN, BUILT_IN_COUNT);
    grammar_add(grammar, program->specs, program->spec_count);
    if (command != NULL)
        grammar_add(grammar, command->specs, command->spec_count);
}

static const struct option_spec *spec_of_code(const struct grammar *grammar, int code)
{
    if (code >= LONG_BASE)
        return grammar->specs[code - LONG_BASE];
    for (size_t i = 0; i < grammar->spec_count; i++) {
        if (grammar->specs[i]->short_name == code)
            return grammar->specs[i];
    }
    return NULL;
}

size_t options_distance(const char *a, const char *b)
{
    enum { WORD_SIZE = 64 };
    size_t rows[3][WORD_SIZE]; /* of a's letters: this one, the one before, and the one before it */
    size_t size_a = strlen(a);
    size_t size_b = strlen(b);

    if (size_a >= WORD_SIZE || size_b >= WORD_SIZE)
        return SIZE_MAX;
    for (size_t k = 0; k <= size_b; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= size_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t k = 1; k <= size_b; k++) {
            size_t best = above[k - 1] + (a[i - 1] == b[k - 1] ? 0 : 1);

            if (above[k] + 1 < best)
                best = above[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                two_above[k - 2] + 1 < best)
                best = two_above[k - 2] + 1;
            row[k] = best;
        }
    }
    return rows[size_a % 3][size_b];
}

bool options_is_near(const char *word, const char *name)
{
    size_t distance = options_distance(word, name);

    return distance <= 3 && distance * 3 <= strlen(name);
}

static enum result unknown_long(const struct grammar *grammar, const char *word,
                                struct problem *problem)
{
    char name[64];
    size_t size = 0;
    const char *nearest = NULL;

    invariant(strncmp(word, "--", 2) == 0);
    size = strcspn(word + 2, "=");
    if (size >= sizeof name)
        size = sizeof name - 1;
    memcpy(name, word + 2, size);
    name[size] = '\0';
    for (size_t i = 0; i < grammar->spec_count; i++) {
        const struct option_spec *spec = grammar->specs[i];

        if (strcmp(spec->name, name) == 0) /* known, so its value is too much */
            return problem_set(problem, RESULT_REFUSED, "option --%s takes no value", name);
        if (options_is_near(name, spec->name) &&
            (nearest == NULL ||
             options_distance(name, spec->name) < options_distance(name, nearest)))
            nearest = spec->name;
    }
    if (nearest != NULL)
        return problem_set(problem, RESULT_REFUSED, "unknown option --%s, did you mean --%s?", name,
                           nearest);
    return problem_set(problem, RESULT_REFUSED, "unknown or ambiguous option --%s", name);
}

/* `word` is the element of argv that getopt stumbled over. */
static enum result refuse(const struct grammar *grammar, int code, const char *word,
                          struct problem *problem)
{
    const struct option_spec *spec = optopt == 0 ? NULL : spec_of_code(grammar, optopt);

    if (code == ':' && spec != NULL)
        return problem_set(problem, RESULT_REFUSED, "option --%s needs a value (%s)", spec->name,
                           spec->argument);
    if (optopt == 0 || optopt >= LONG_BASE) /* getopt names short ones only */
        return unknown_long(grammar, word, problem);
    return problem_set(problem, RESULT_REFUSED, "unknown option -%c",
                       optopt >= ' ' && optopt < 0x7f ? optopt : '?');
}

/* Reads options from argv[1] on, up to the first word (no command yet) or to the end. */
static enum result read_options(const struct grammar *grammar, int argc, char **argv,
                                struct options *options, struct problem *problem)
{
    opterr = 0;
    optind = 0; /* glibc: forget the last scan altogether */
    for (;;) {
        int code = getopt_long(argc, argv, grammar->shorts, grammar->longs, NULL);
        const struct option_spec *spec = NULL;

        if (code == -1)
            return RESULT_OK;
        if (code == '?' || code == ':')
            return refuse(grammar, code, argv[optind - 1], problem);
        spec = spec_of_code(grammar, code);
        invariant(spec != NULL);
        if (spec == &BUILT_IN[0])
            options->wish = OPTIONS_HELP;
        if (spec == &BUILT_IN[1])
            options->wish = OPTIONS_VERSION;
        if (options->given_count == OPTIONS_GIVEN_COUNT_MAX)
            return problem_set(problem, RESULT_REFUSED, "more than %d options",
                               (int)OPTIONS_GIVEN_COUNT_MAX);
        options->given[options->given_count].spec = spec;
        options->given[options->given_count].value = spec->argument == NULL ? NULL : optarg;
        options->given_count++;
    }
}

static enum result find_command(const struct options_program *program, const char *word,
                                const struct options_command **ret_command, struct problem *problem)
{
    const char *nearest = NULL;

    for (size_t i = 0; i < program->command_count; i++) {
        const char *name = program->commands[i].name;

        if (strcmp(name, word) == 0) {
            *ret_command = &program->commands[i];
            return RESULT_OK;
        }
        if (options_is_near(word, name) &&
            (nearest == NULL || options_distance(word, name) < options_distance(word, nearest)))
            nearest = name;
    }
    if (nearest != NULL)
        return problem_set(problem, RESULT_REFUSED, "unknown command %.64s, did you mean %s?", word,
                           nearest);
    return problem_set(problem, RESULT_REFUSED, "unknown command %.64s", word);
}

static enum result check_arguments(const struct options *options, struct problem *problem)
{
    const struct options_command *command = options->command;

    if (options->argument_count < command->argument_count_min)
        return problem_set(problem, RESULT_REFUSED, "%s needs %s", command->name,
                           command->arguments);
    if (options->argument_count > command->argument_count_max)
        return problem_set(problem, RESULT_REFUSED, "%s: too many arguments, from %.64s on",
                           command->name, options->arguments[command->argument_count_max]);
    return RESULT_OK;
}

enum result options_parse(const struct options_program *program, int argc, char **argv,
                          struct options *ret_options, struct problem *problem)
{
    struct options options = {.wish = OPTIONS_RUN};
    struct grammar grammar;
    int command_index = 0;
    enum result result = RESULT_OK;

    if (argc < 1)
        return problem_set(problem, RESULT_REFUSED, "empty command line");
    grammar_init(&grammar, program, NULL);
    result = read_options(&grammar, argc, argv, &options, problem);
    command_index = optind;
    if (result != RESULT_OK || options.wish != OPTIONS_RUN)
        goto done;
    if (command_index >= argc) {
        result = problem_set(problem, RESULT_REFUSED, "no command given");
        goto done;
    }
    result = find_command(program, argv[command_index], &options.command, problem);
    if (result != RESULT_OK)
        goto done;
    grammar_init(&grammar, program, options.command);
    result = read_options(&grammar, argc - command_index, argv + command_index, &options, problem);
    options.arguments = argv + command_index + optind;
    options.argument_count = argc - command_index - optind;
    if (result == RESULT_OK && options.wish == OPTIONS_RUN)
        result = check_arguments(&options, problem);
done:
    if (result == RESULT_OK)
        *ret_options = options;
    return result;
}

const char *options_value(const struct options *options, const char *name)
{
    for (size_t i = options->given_count; i > 0; i--) {
        if (strcmp(options->given[i - 1].spec->name, name) == 0)
            return options->given[i - 1].value;
    }
    return NULL;
}

size_t options_count(const struct options *options, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < options->given_count; i++)
        count += strcmp(options->given[i].spec->name, name) == 0 ? 1 : 0;
    return count;
}

/* A line of at most 511 bytes; the tables are ours, so longer ones are our mistake. */
__attribute__((format(printf, 3, 4))) static void
append_line(struct buffer *out, enum result *result, const char *format, ...)
{
    char line[512];
    struct problem ignored = {0};
    va_list arguments;
    int size = 0;

    if (*result != RESULT_OK)
        return;
    va_start(arguments, format);
    size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    invariant(size >= 0 && (size_t)size < sizeof line);
    *result = buffer_append(out, line, (size_t)size, &ignored);
}

static void append_specs(struct buffer *out, enum result *result, const char *title,
                         const struct option_spec *specs, size_t count)
{
    if (count == 0)
        return;
    append_line(out, result, "\n%s:\n", title);
    for (size_t i = 0; i < count; i++) {
        const struct option_spec *spec = &specs[i];
        char left[64];
        char short_form[] = {'-', spec->short_name, ',', ' ', '\0'};
        int size =
            snprintf(left, sizeof left, "%s--%s%s%s", spec->short_name == 0 ? "    " : short_form,
                     spec->name, spec->argument == NULL ? "" : " ",
                     spec->argument == NULL ? "" : spec->argument);

        invariant(size > 0 && (size_t)size < sizeof left);
        if (size > 28) /* the help would not line up: give it a line of its own */
            append_line(out, result, "  %s\n%32s%s\n", left, "", spec->help);
        else
            append_line(out, result, "  %-30s%s\n", left, spec->help);
    }
}

static void append_usage(const struct options_program *program,
                         const struct options_command *command, struct buffer *out,
                         enum result *result)
{
    if (command == NULL)
        append_line(out, result, "Usage: %s [options] COMMAND ...\n", program->name);
    else
        append_line(out, result, "Usage: %s %s [options]%s%s\n", program->name, command->name,
                    command->arguments == NULL ? "" : " ",
                    command->arguments == NULL ? "" : command->arguments);
}

static enum result finish_text(enum result result, const struct buffer *out,
                               struct problem *problem)
{
    if (result == RESULT_OK)
        return RESULT_OK;
    return problem_set(problem, result, "the help has more than %zu bytes", out->size_max);
}

enum result options_usage(const struct options_program *program,
                          const struct options_command *command, struct buffer *out,
                          struct problem *problem)
{
    enum result result = RESULT_OK;

    append_usage(program, command, out, &result);
    append_line(out, &result, "Try: %s %s%s--help\n", program->name,
                command == NULL ? "" : command->name, command == NULL ? "" : " ");
    return finish_text(result, out, problem);
}

enum result options_help(const struct options_program *program,
                         const struct options_command *command, struct buffer *out,
                         struct problem *problem)
{
    enum result result = RESULT_OK;

    append_line(out, &result, "%s: %s\n", command == NULL ? program->name : command->name,
                command == NULL ? program->summary : command->help);
    if (command == NULL && program->examples != NULL) {
        append_line(out, &result, "\nExamples:\n");
        if (result == RESULT_OK)
            result = buffer_append(out, program->examples, strlen(program->examples), problem);
    }
    append_line(out, &result, "\n");
    append_usage(program, command, out, &result);
    if (command == NULL) {
        append_line(out, &result, "\nCommands:\n");
        for (size_t i = 0; i < program->command_count; i++)
            append_line(out, &result, "  %-18s%s\n", program->commands[i].name,
                        program->commands[i].help);
    } else {
        append_specs(out, &result, "Options", command->specs, command->spec_count);
    }
    append_specs(out, &result, "Global options", program->specs, program->spec_count);
    append_specs(out, &result, "Always", BUILT_IN, BUILT_IN_COUNT);
    return finish_text(result, out, problem);
}

enum result options_version(const struct options_program *program, struct buffer *out,
                            struct problem *problem)
{
    enum result result = RESULT_OK;

    append_line(out, &result, "%s %s\n", program->name, program->version);
    return finish_text(result, out, problem);
}

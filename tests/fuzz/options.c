/* SPDX-License-Identifier: Apache-2.0 */
/* A command line: the input's lines are its words. */
#include "tests/fuzz/fuzz.h" /* first */

#include "edge/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 200 };

static const struct option_spec GLOBALS[] = {
    {"config", 'c', "FILE", "read this configuration"},
    {"verbose", 'v', NULL, "say more"},
};
static const struct option_spec BACKUP[] = {
    {"every", 0, "DURATION", "repeat"},
    {"dry-run", 'n', NULL, "change nothing"},
};
static const struct options_command COMMANDS[] = {
    {.name = "run", .help = "serve devices"},
    {.name = "backup",
     .help = "copy everything",
     .arguments = "FILE [FILE]",
     .argument_count_min = 1,
     .argument_count_max = 2,
     .specs = BACKUP,
     .spec_count = 2},
    {.name = "call add",
     .help = "a new call",
     .arguments = "TEXT",
     .argument_count_min = 1,
     .argument_count_max = 1},
};
static const struct options_program PROGRAM = {.name = "fieldsync-test",
                                               .summary = "a program for tests",
                                               .version = "1.2.3",
                                               .specs = GLOBALS,
                                               .spec_count = 2,
                                               .commands = COMMANDS,
                                               .command_count = 3};

static void expect_sound(const struct options *options)
{
    struct problem problem = {0};
    struct buffer text;

    invariant(options->given_count <= OPTIONS_GIVEN_COUNT_MAX);
    invariant(options->command != NULL || options->wish != OPTIONS_RUN);
    if (options->wish == OPTIONS_RUN)
        invariant(options->argument_count >= options->command->argument_count_min &&
                  (options->command->argument_count_max < 0 ||
                   options->argument_count <= options->command->argument_count_max));
    for (size_t i = 0; i < options->given_count; i++)
        invariant((options->given[i].value != NULL) == (options->given[i].spec->argument != NULL));
    buffer_init(&text, 64 * 1024);
    FUZZ_OK(&problem, options_help(&PROGRAM, options->command, &text, &problem));
    FUZZ_OK(&problem, options_usage(&PROGRAM, options->command, &text, &problem));
    buffer_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char program_name[] = "fieldsync-test";
    char *words[WORDS_MAX + 1] = {program_name};
    char *text = malloc(size + 1);
    struct options options = {0};
    struct problem problem = {0};
    int count = 1;
    char *end = NULL;

    invariant(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    for (char *word = text; count < WORDS_MAX && word != NULL; word = end) {
        end = strchr(word, '\n');
        if (end != NULL)
            *end++ = '\0';
        words[count++] = word;
    }
    if (options_parse(&PROGRAM, count, words, &options, &problem) == RESULT_OK)
        expect_sound(&options);
    else
        invariant(problem.text[0] != '\0');
    free(text);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/options.h"

#include <string.h>

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
};
static const struct options_program PROGRAM = {
    .name = "fieldsync-test",
    .summary = "a program for tests",
    .version = "1.2.3 (git abc)",
    .examples = "  fieldsync-test run\n",
    .specs = GLOBALS,
    .spec_count = 2,
    .commands = COMMANDS,
    .command_count = 2,
};

enum { WORDS_MAX = 80 };

/* Parses a NULL-terminated list of words, the program's name not among them. */
static enum result parse(const char *const *words, struct options *ret_options,
                         struct problem *problem)
{
    static char texts[WORDS_MAX][32]; /* options borrow from it until the next parse */
    static char *argv[WORDS_MAX + 1];
    int argc = 1;

    memcpy(texts[0], "fieldsync-test", sizeof "fieldsync-test");
    argv[0] = texts[0];
    for (; words[argc - 1] != NULL; argc++) {
        assert_true(argc < WORDS_MAX && strlen(words[argc - 1]) < sizeof texts[0]);
        memcpy(texts[argc], words[argc - 1], strlen(words[argc - 1]) + 1);
        argv[argc] = texts[argc];
    }
    argv[argc] = NULL;
    return options_parse(&PROGRAM, argc, argv, ret_options, problem);
}

static void expect_refused(const char *const *words, const char *expected)
{
    struct options options = {.argument_count = 77};
    struct problem problem = {0};

    assert_int_equal(parse(words, &options, &problem), RESULT_REFUSED);
    assert_string_equal(problem.text, expected);
    assert_int_equal(options.argument_count, 77); /* written only on success */
}

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void command_options_and_arguments_mix_and_the_last_value_wins(void **state)
{
    struct options options;
    struct problem problem = {0};

    (void)state;
    assert_int_equal(
        parse(WORDS("-v", "--config=a", "backup", "one", "--every", "1h", "-nv", "two", "-cb"),
              &options, &problem),
        RESULT_OK);
    assert_int_equal(options.wish, OPTIONS_RUN);
    assert_ptr_equal(options.command, &COMMANDS[1]);
    assert_string_equal(options_value(&options, "config"), "b");
    assert_string_equal(options_value(&options, "every"), "1h");
    assert_int_equal(options_count(&options, "config"), 2);
    assert_int_equal(options_count(&options, "verbose"), 2);
    assert_int_equal(options_count(&options, "dry-run"), 1);
    assert_int_equal(options_count(&options, "help"), 0);
    assert_null(options_value(&options, "verbose"));
    assert_int_equal(options.argument_count, 2);
    assert_string_equal(options.arguments[0], "one");
    assert_string_equal(options.arguments[1], "two");
}

static void two_dashes_end_the_options(void **state)
{
    struct options options;
    struct problem problem = {0};

    (void)state;
    assert_int_equal(parse(WORDS("backup", "--", "--every"), &options, &problem), RESULT_OK);
    assert_int_equal(options.argument_count, 1);
    assert_string_equal(options.arguments[0], "--every");
    assert_int_equal(options.given_count, 0);
}

static void wrong_command_lines_say_what_is_wrong(void **state)
{
    (void)state;
    expect_refused((const char *const[]){NULL}, "no command given");
    expect_refused(WORDS("-v"), "no command given");
    expect_refused(WORDS("backpu", "x"), "unknown command backpu, did you mean backup?");
    expect_refused(WORDS("dance"), "unknown command dance");
    expect_refused(WORDS("--confg", "x", "run"), "unknown option --confg, did you mean --config?");
    expect_refused(WORDS("backup", "x", "--evry=1h"),
                   "unknown option --evry, did you mean --every?");
    expect_refused(WORDS("run", "--every=1h"), "unknown or ambiguous option --every");
    expect_refused(WORDS("run", "--verbose=yes"), "option --verbose takes no value");
    expect_refused(WORDS("run", "--config"), "option --config needs a value (FILE)");
    expect_refused(WORDS("run", "-c"), "option --config needs a value (FILE)");
    expect_refused(WORDS("run", "-x"), "unknown option -x");
    expect_refused(WORDS("--verbose", "run", "-vxv"), "unknown option -x");
    expect_refused(WORDS("backup"), "backup needs FILE [FILE]");
    expect_refused(WORDS("backup", "a", "b", "c"), "backup: too many arguments, from c on");
    expect_refused(WORDS("run", "a"), "run: too many arguments, from a on");
}

static void too_many_options_are_refused(void **state)
{
    const char *words[OPTIONS_GIVEN_COUNT_MAX + 3] = {"run"};

    (void)state;
    for (int i = 1; i <= OPTIONS_GIVEN_COUNT_MAX + 1; i++)
        words[i] = "-v";
    expect_refused(words, "more than 64 options");
}

static void help_and_version_need_nothing_else(void **state)
{
    struct options options;
    struct problem problem = {0};

    (void)state;
    assert_int_equal(parse(WORDS("--help"), &options, &problem), RESULT_OK);
    assert_int_equal(options.wish, OPTIONS_HELP);
    assert_null(options.command);
    assert_int_equal(parse(WORDS("backup", "-h"), &options, &problem), RESULT_OK);
    assert_int_equal(options.wish, OPTIONS_HELP);
    assert_ptr_equal(options.command, &COMMANDS[1]);
    assert_int_equal(parse(WORDS("-V"), &options, &problem), RESULT_OK);
    assert_int_equal(options.wish, OPTIONS_VERSION);
}

static void expect_text(struct buffer *out, const char *expected)
{
    char text[2048] = {0};

    assert_true(out->size > 0 && out->size < sizeof text);
    memcpy(text, out->data, out->size);
    assert_string_equal(text, expected);
    buffer_reset(out);
}

static void help_is_made_from_the_tables(void **state)
{
    struct buffer out;
    struct problem problem = {0};

    (void)state;
    buffer_init(&out, 4096);
    assert_int_equal(options_help(&PROGRAM, NULL, &out, &problem), RESULT_OK);
    expect_text(&out, "fieldsync-test: a program for tests\n"
                      "\nExamples:\n  fieldsync-test run\n"
                      "\nUsage: fieldsync-test [options] COMMAND ...\n"
                      "\nCommands:\n"
                      "  run               serve devices\n"
                      "  backup            copy everything\n"
                      "\nGlobal options:\n"
                      "  -c, --config FILE             read this configuration\n"
                      "  -v, --verbose                 say more\n"
                      "\nAlways:\n"
                      "  -h, --help                    show this help\n"
                      "  -V, --version                 show the version\n");
    assert_int_equal(options_help(&PROGRAM, &COMMANDS[1], &out, &problem), RESULT_OK);
    expect_text(&out, "backup: copy everything\n"
                      "\nUsage: fieldsync-test backup [options] FILE [FILE]\n"
                      "\nOptions:\n"
                      "      --every DURATION          repeat\n"
                      "  -n, --dry-run                 change nothing\n"
                      "\nGlobal options:\n"
                      "  -c, --config FILE             read this configuration\n"
                      "  -v, --verbose                 say more\n"
                      "\nAlways:\n"
                      "  -h, --help                    show this help\n"
                      "  -V, --version                 show the version\n");
    assert_int_equal(options_version(&PROGRAM, &out, &problem), RESULT_OK);
    expect_text(&out, "fieldsync-test 1.2.3 (git abc)\n");
    assert_int_equal(options_usage(&PROGRAM, &COMMANDS[1], &out, &problem), RESULT_OK);
    expect_text(&out, "Usage: fieldsync-test backup [options] FILE [FILE]\n"
                      "Try: fieldsync-test backup --help\n");
    buffer_done(&out);
    buffer_init(&out, 100);
    assert_int_equal(options_help(&PROGRAM, NULL, &out, &problem), RESULT_EXHAUSTED);
    buffer_done(&out);
}

static void nearness_counts_slips_of_the_finger(void **state)
{
    (void)state;
    assert_int_equal(options_distance("", ""), 0);
    assert_int_equal(options_distance("", "abc"), 3);
    assert_int_equal(options_distance("listen", "lisen"), 1);
    assert_int_equal(options_distance("port", "prot"), 1);
    assert_int_equal(options_distance("kitten", "sitting"), 3);
    assert_true(options_distance("a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                      "aaaaaaaaaaaa") == SIZE_MAX);
    assert_true(options_is_near("prot", "port"));
    assert_false(options_is_near("root", "port"));
    assert_false(options_is_near("x", "y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_options_and_arguments_mix_and_the_last_value_wins),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(wrong_command_lines_say_what_is_wrong),
        cmocka_unit_test(too_many_options_are_refused),
        cmocka_unit_test(help_and_version_need_nothing_else),
        cmocka_unit_test(help_is_made_from_the_tables),
        cmocka_unit_test(nearness_counts_slips_of_the_finger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

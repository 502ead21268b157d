/* SPDX-License-Identifier: Apache-2.0 */
/* kit.h: command lines run on the company of the service tests, as the program would. */
#pragma once

#include "server/cli/cli_commands.h"
#include "server/core/devices.h"
#include "tests/unit/server/service/bench.h"

struct shell {
    struct bench *bench;
    struct master *master;
    char said[16 * 1024]; /* what the last command printed */
    struct problem problem;
};

static inline int shell_open(void **state)
{
    static const uint8_t SEED[DEVICES_INIT_SEED_SIZE] = {1};
    struct shell *shell = calloc(1, sizeof *shell);
    struct sqlite_store_options options = {0};
    struct master_options master = {.reactions = service_reactions()};
    void *bench = NULL;

    assert_non_null(shell);
    assert_int_equal(bench_open(&bench), 0);
    shell->bench = bench;
    options.path = shell->bench->path;
    assert_ok(shell->bench, store_begin(shell->bench->store, STORE_WRITE, &shell->bench->problem));
    assert_ok(shell->bench, devices_init(shell->bench->store, SEED, &shell->bench->problem));
    assert_ok(shell->bench, store_commit(shell->bench->store, &shell->bench->problem));
    assert_ok(shell->bench, sqlite_store_open(&options, &shell->bench->catalog, &master.store,
                                              &shell->bench->problem));
    master.catalog = &shell->bench->catalog;
    assert_ok(shell->bench, master_create(&master, &shell->master, &shell->bench->problem));
    *state = shell;
    return 0;
}

static inline int shell_close(void **state)
{
    struct shell *shell = *state;
    void *bench = shell->bench;

    master_destroy(shell->master);
    assert_int_equal(bench_close(&bench), 0);
    free(shell);
    return 0;
}

/* Runs one command line of words; what it printed is in `said`, why not in `problem`. */
static inline enum result run(struct shell *shell, const struct cli_family *family, char **words)
{
    static const struct option_spec GLOBAL[] = {{"json", 0, NULL, "listings as JSON"}};
    const struct options_program program = {.name = "fieldsync-server",
                                            .summary = "",
                                            .version = "",
                                            .specs = GLOBAL,
                                            .spec_count = 1,
                                            .commands = &family->command,
                                            .command_count = 1};
    char *argv[32] = {(char *)(uintptr_t) "fieldsync-server"};
    struct options options = {0};
    const struct cli_action *action = NULL;
    struct cli cli = {.options = &options,
                      .catalog = &shell->bench->catalog,
                      .master = shell->master,
                      .now = shell->bench->now};
    int argc = 1;
    enum result result;

    for (size_t i = 0; words[i] != NULL; i++)
        argv[argc++] = words[i];
    shell->problem = (struct problem){0};
    shell->said[0] = '\0';
    result = options_parse(&program, argc, argv, &options, &shell->problem);
    if (result == RESULT_OK)
        result = cli_action_of(&options, &action, &shell->problem);
    if (result != RESULT_OK)
        return result;
    cli.is_json = options_count(&options, "json") > 0;
    arena_init(&cli.arena, 8 * 1024 * 1024);
    buffer_init(&cli.out, sizeof shell->said - 1);
    result = action->run(&cli, &shell->problem);
    if (result == RESULT_OK && cli.out.size > 0) {
        memcpy(shell->said, cli.out.data, cli.out.size);
        shell->said[cli.out.size] = '\0';
    }
    buffer_done(&cli.out);
    arena_done(&cli.arena);
    return result;
}

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})

static inline void assert_said(const struct shell *shell, enum result result, const char *words)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), shell->problem.text);
    if (strstr(shell->said, words) == NULL)
        fail_msg("'%s' is not in: %s", words, shell->said);
}

static inline void assert_refused(const struct shell *shell, enum result result, const char *words)
{
    assert_int_equal(result, RESULT_REFUSED);
    if (strstr(shell->problem.text, words) == NULL)
        fail_msg("'%s' is not in: %s", words, shell->problem.text);
}

#define COMMAND(name) cmocka_unit_test_setup_teardown(name, shell_open, shell_close)

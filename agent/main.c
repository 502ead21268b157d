/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* fieldsync-agent: a technician's replica, its sync, and the commands that work on it. */
#include "agent/commands.h"
#include "agent/wipe.h"
#include "edge/secret.h"
#include "edge/terminal.h"
#include "schema/sql.h"
#include "version.h"

#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMANDS_MAX = 32 };

/* ---- the command line ------------------------------------------------------------------------ */

static const struct option_spec GLOBAL_OPTIONS[] = {
    {"data", 'd', "FOLDER",
     "where replica and keys are; default $FIELDSYNC_DATA or "
     "~/.local/share/fieldsync"},
    {"json", 'j', NULL, "for programs: JSON instead of words"},
    {"verbose", 'v', NULL, "say what is exchanged with the server"},
    {"passphrase-fd", 0, "FD", "read the passphrase of the keys from this open descriptor"},
};
static const struct option_spec ENROL_OPTIONS[] = {
    {"server", 0, "URL", "ws:// or wss:// address, if not the one in the code"},
    {"name", 0, "TEXT", "name of this device"},
    {"again", 0, NULL, "the server has forgotten this device: a new number, all unsent work kept"},
    {"protect", 0, NULL, "put the keys under a passphrase: see the command passphrase"},
    {"new-passphrase-fd", 0, "FD", "read it from this open descriptor"},
    {"encrypt", 0, NULL, "the replica is encrypted on the disk, too; needs --protect"},
};
static const struct option_spec RUN_OPTIONS[] = {
    {"http-listen", 0, "ADDRESS:PORT",
     "answer programs of this machine, such as 127.0.0.1:7745; also http.listen in agent.conf"},
};
static const struct option_spec PASSPHRASE_OPTIONS[] = {
    {"new-passphrase-fd", 0, "FD", "read the new one from this open descriptor"},
    {"remove", 0, NULL, "the keys are to be readable without one"},
};
static const struct option_spec SYNC_OPTIONS[] = {
    {"now", 0, NULL, "without waiting for the next try"},
};
static const struct options_command OWN_COMMANDS[] = {
    {.name = "enrol",
     .help = "make this device one of the company, with a code of the office",
     .arguments = "CODE",
     .argument_count_min = 1,
     .argument_count_max = 1,
     .specs = ENROL_OPTIONS,
     .spec_count = sizeof ENROL_OPTIONS / sizeof ENROL_OPTIONS[0]},
    {.name = "run",
     .help = "keep this device in sync until stopped",
     .specs = RUN_OPTIONS,
     .spec_count = sizeof RUN_OPTIONS / sizeof RUN_OPTIONS[0]},
    {.name = "sync",
     .help = "send and receive everything now, then say what moved",
     .specs = SYNC_OPTIONS,
     .spec_count = sizeof SYNC_OPTIONS / sizeof SYNC_OPTIONS[0]},
    {.name = "unlock",
     .help = "open a device that had no contact for too long, with an answer of the office",
     .arguments = "ANSWER",
     .argument_count_min = 1,
     .argument_count_max = 2},
    {.name = "passphrase",
     .help = "set, change or remove the passphrase of this device's keys",
     .specs = PASSPHRASE_OPTIONS,
     .spec_count = sizeof PASSPHRASE_OPTIONS / sizeof PASSPHRASE_OPTIONS[0]},
    {.name = "encrypt",
     .help = "encrypt the replica on the disk: every command then asks for the passphrase, and"
             " other programs use `fieldsync-agent sql`"},
    {.name = "decrypt", .help = "make the replica an ordinary SQLite file again"},
    {.name = "rescue",
     .help = "put a new replica in the place of a damaged one, with all unsent work that can be"
             " read; the damaged file is kept"},
};
enum { OWN_COMMAND_COUNT = sizeof OWN_COMMANDS / sizeof OWN_COMMANDS[0] };

static const char EXAMPLES[] =
    "  fieldsync-agent enrol fs1:aebagbaf...\n"
    "  fieldsync-agent run\n"
    "  fieldsync-agent call list\n"
    "  fieldsync-agent activity start T07-000123\n"
    "  fieldsync-agent part use T07-000123 FILTER-10 2\n"
    "  fieldsync-agent sign T07-000123 --name \"Maria Rossi\"\n"
    "  fieldsync-agent sync --now\n"
    "  sqlite3 ~/.local/share/fieldsync/replica.db \"SELECT * FROM fs_sync\"\n"
    "  fieldsync-agent sql \"SELECT * FROM fs_sync\"    # the same, encrypted or not\n";

static size_t all_commands(struct options_command commands[COMMANDS_MAX])
{
    size_t count = 0;

    for (; count < OWN_COMMAND_COUNT; count++)
        commands[count] = OWN_COMMANDS[count];
    for (const struct cli_family *const *family = cli_families();
         *family != NULL && count < COMMANDS_MAX; family++)
        commands[count++] = (*family)->command;
    return count;
}

/* ---- main ------------------------------------------------------------------------------------ */

static enum result find_data_folder(struct program *program, struct problem *problem)
{
    const char *given = options_value(&program->options, "data");
    const char *home = getenv("HOME");
    int size;

    if (given == NULL)
        given = getenv("FIELDSYNC_DATA");
    if (given == NULL && home == NULL)
        return problem_set(problem, RESULT_REFUSED, "no data folder: give --data");
    size = given != NULL ? snprintf(program->data_folder, sizeof program->data_folder, "%s", given)
                         : snprintf(program->data_folder, sizeof program->data_folder,
                                    "%s/.local/share/fieldsync", home);
    if (size <= 0 || (size_t)size >= sizeof program->data_folder)
        return problem_set(problem, RESULT_REFUSED, "the data folder's path is too long");
    if (strcmp(program->options.command->name, "enrol") != 0 &&
        !files_is_folder(program->data_folder))
        return problem_set(problem, RESULT_REFUSED,
                           "there is no folder %s, so no device is enrolled here. Enrol it with a "
                           "code of your office, `fieldsync-agent enrol CODE`, or say another "
                           "folder with --data",
                           program->data_folder);
    return RESULT_OK;
}

static enum exit_code run(struct program *program)
{
    static const struct {
        const char *name;
        enum exit_code (*run)(struct program *program);
    } OWN[] = {{"enrol", command_enrol},
               {"run", command_run},
               {"sync", command_sync},
               {"unlock", command_unlock},
               {"passphrase", command_passphrase},
               {"encrypt", command_encrypt},
               {"decrypt", command_decrypt},
               {"rescue", command_rescue}};
    const struct cli_family *family;
    struct problem problem = {0};

    if (find_data_folder(program, &problem) != RESULT_OK)
        return program_fail(EXIT_CODE_CONFIG, problem.text, "");
    if (wipe_is_begun(program->data_folder) &&
        wipe_device(program->data_folder, &problem) != RESULT_OK)
        return program_fail(EXIT_CODE_AUTHENTICATION, problem.text,
                            "This device was revoked and its data has to go; it is tried again.");
    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++)
        if (strcmp(OWN[i].name, program->options.command->name) == 0)
            return OWN[i].run(program);
    family = cli_family_of(&program->options);
    return family == NULL ? EXIT_CODE_USAGE : command_on_replica(program, family);
}

static enum exit_code say_help(const struct options_program *about, const struct options *options)
{
    struct buffer out;
    struct problem problem = {0};
    enum exit_code exit_code = EXIT_CODE_OK;
    enum result result;

    buffer_init(&out, 256 * 1024);
    result = options->wish == OPTIONS_VERSION
                 ? options_version(about, &out, &problem)
                 : options_help(about, options->command, &out, &problem);
    if (result != RESULT_OK || terminal_write(1, buffer_bytes(&out), &problem) != RESULT_OK)
        exit_code = EXIT_CODE_FAILURE;
    buffer_done(&out);
    return exit_code;
}

static enum exit_code say_usage(const struct options_program *about, const struct problem *mistake)
{
    struct buffer out;
    struct problem problem = {0};

    buffer_init(&out, 64 * 1024);
    if (options_usage(about, NULL, &out, &problem) == RESULT_OK) {
        (void)program_fail(EXIT_CODE_USAGE, mistake->text, "");
        if (terminal_write(2, buffer_bytes(&out), &problem) != RESULT_OK)
            problem.text[0] = '\0'; /* nobody reads it */
    }
    buffer_done(&out);
    return EXIT_CODE_USAGE;
}

static enum exit_code start(int argc, char **argv)
{
    struct options_command commands[COMMANDS_MAX];
    struct options_program about = {
        .name = "fieldsync-agent",
        .summary = "a technician's replica: works for weeks without a network, then syncs",
        .version = FIELDSYNC_VERSION,
        .examples = EXAMPLES,
        .specs = GLOBAL_OPTIONS,
        .spec_count = sizeof GLOBAL_OPTIONS / sizeof GLOBAL_OPTIONS[0],
        .commands = commands,
    };
    struct log_options log_options = {.descriptor = 2, .level = LOG_LEVEL_WARNING};
    struct program program = {0};
    struct problem problem = {0};
    enum exit_code exit_code;

    /* Fixed, it doesn't grow: what is large goes back to the system as soon as it is freed. */
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    sql_set_up_process();
    secret_harden_process();
    about.command_count = all_commands(commands);
    if (sodium_init() < 0)
        return program_fail(EXIT_CODE_FAILURE, "libsodium doesn't start", "");
    if (options_parse(&about, argc, argv, &program.options, &problem) != RESULT_OK)
        return say_usage(&about, &problem);
    if (program.options.wish != OPTIONS_RUN)
        return say_help(&about, &program.options);
    program.is_json = options_count(&program.options, "json") > 0;
    if (strcmp(program.options.command->name, "run") == 0)
        log_options.level = LOG_LEVEL_INFO;
    if (options_count(&program.options, "verbose") > 0)
        log_options.level = LOG_LEVEL_DEBUG;
    log_options.has_prefix = log_is_journal(2);
    program.log = log_create(&log_options);
    if (program.log == NULL)
        return program_fail(EXIT_CODE_TEMPORARY, "no memory for the log", "");
    exit_code = run(&program);
    log_destroy(program.log);
    return exit_code;
}

int main(int argc, char **argv)
{
    return (int)start(argc, argv);
}

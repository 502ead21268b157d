/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the command line of fieldsync-server, and the joining of the rooms. */
#define _GNU_SOURCE

#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/secret.h"
#include "schema/sql.h"
#include "server/cli/cli.h"
#include "server/cli/report_file.h"
#include "server/demo.h"
#include "server/restore.h"
#include "server/run.h"
#include "server/settings.h"
#include "server/setup.h"
#include "version.h"

#include <inttypes.h>
#include <malloc.h>
#include <sodium.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_SIZE_MAX = 1024 * 1024, COMMANDS_MAX = 32, SECONDS_PER_DAY = 86400 };

static const char EXAMPLES[] =
    "  fieldsync-server demo                             a made-up company, to try things with\n"
    "  fieldsync-server init --data /srv/fieldsync       make a data folder, keys and database\n"
    "  fieldsync-server serve --data /srv/fieldsync      serve devices until Ctrl-C\n"
    "  fieldsync-server user add mario --name 'Mario Rossi' --role technician\n"
    "  fieldsync-server device enrol --user mario        a code for one new device\n"
    "  fieldsync-server device list --json               as JSON, for scripts\n"
    "  fieldsync-server backup /srv/backup/monday        a checked copy while others work\n"
    "  fieldsync-server restore --verify /srv/backup/monday   is that copy sound?\n"
    "  fieldsync-server check                            is everything as it must be?\n"
    "  fieldsync-server config show                      every setting and where it comes from\n";

/* What the program itself does; the other commands are families of cli.h. */
static const struct option_spec RESTORE_SPECS[] = {
    {"yes", 'y', NULL, "yes, replace the database (it is kept beside)"},
    {"verify", 0, NULL, "only look whether the backup is complete and sound"},
};
static const struct option_spec KEY_SPECS[] = {
    {"root-key", 0, "FILE", "the root key, if it isn't in the data folder any more"},
    {"new-passphrase-fd", 0, "FD", "protect: read the new passphrase from this open descriptor"},
};
static const struct option_spec VERIFY_SPECS[] = {
    {"key", 'k', "HEX", "the public key of the server's receipts, as 'report key' printed it"},
};
static const struct options_command OWN_COMMANDS[] = {
    {"init", "make the data folder, its keys and an empty database", NULL, 0, 0, NULL, 0},
    {"serve", "serve devices", NULL, 0, 0, NULL, 0},
    {"demo",
     "serve a made-up company from a temporary folder, or a new one with --data, on free ports",
     NULL, 0, 0, NULL, 0},
    {"restore", "go back to a backup; devices bring again what they still hold", "FOLDER", 1, 1,
     RESTORE_SPECS, sizeof RESTORE_SPECS / sizeof *RESTORE_SPECS},
    {"key",
     "rotate: a new server key under the root key; change-root: a new root key, too; protect: put"
     " the server's key under a passphrase; unprotect: under none any more",
     "rotate|change-root|protect|unprotect", 1, 1, KEY_SPECS, sizeof KEY_SPECS / sizeof *KEY_SPECS},
    {"config", "show: settings and their origin; check: only look; sample: a file to begin with",
     "show|check|sample", 1, 1, NULL, 0},
    {"verify", "check a file of 'report export' with nothing but that file and the public key",
     "FILE", 1, 1, VERIFY_SPECS, 1},
};
enum { OWN_COMMAND_COUNT = sizeof OWN_COMMANDS / sizeof *OWN_COMMANDS };

struct call {
    struct arena arena;
    struct options_program program;
    struct options options;
    struct config *config;
    struct setup setup;
    struct buffer out;
    const char *program_path; /* argv[0] */
    uint16_t port;            /* where devices connect; 0: as configured */
    bool is_greeted;          /* the demo has begun to serve */
};

/* ---- what everybody needs ---- */

static enum exit_code exit_code_of(enum result result)
{
    switch (result) {
    case RESULT_OK:
        return EXIT_CODE_OK;
    case RESULT_WAIT:
        return EXIT_CODE_TEMPORARY;
    case RESULT_STORAGE:
        return EXIT_CODE_DATABASE;
    default:
        return EXIT_CODE_FAILURE;
    }
}

static void put(int descriptor, struct bytes text)
{
    struct problem problem = {0};

    if (text.size > 0 && terminal_write(descriptor, text, &problem) != RESULT_OK)
        return; /* nobody reads: nothing is left to say it to */
}

static enum exit_code complain(enum exit_code exit_code, const struct problem *problem)
{
    char text[PROBLEM_TEXT_SIZE + 16];
    int size = snprintf(text, sizeof text, "error: %s\n", problem->text);

    put(STDERR_FILENO, bytes_of(text, (size_t)size));
    return exit_code;
}

static enum exit_code end_with(struct call *call, enum result result, const struct problem *problem)
{
    if (result != RESULT_OK)
        return complain(exit_code_of(result), problem);
    put(STDOUT_FILENO, buffer_bytes(&call->out));
    return EXIT_CODE_OK;
}

/* ---- tables ---- */

static enum result add_specs(struct call *call, struct problem *problem)
{
    static const struct option_spec OWN[] = {
        {"config", 'c', "FILE", "settings from this file, over /etc/fieldsync/server.conf.d"},
        {"json", 0, NULL, "listings as JSON"},
        {"passphrase-fd", 0, "FD", "read the passphrase of the server's key from this descriptor"},
    };
    const size_t own_count = sizeof OWN / sizeof *OWN;
    const struct option_spec *settings = NULL;
    struct option_spec *all = arena_array(&call->arena, SETTING_COUNT + own_count, sizeof *all);
    enum result result = config_options(SETTINGS, SETTING_COUNT, &call->arena, &settings, problem);

    if (result != RESULT_OK || all == NULL)
        return result != RESULT_OK ? result : arena_full(&call->arena, problem);
    memcpy(all, OWN, sizeof OWN);
    memcpy(all + own_count, settings, SETTING_COUNT * sizeof *all);
    call->program.specs = all;
    call->program.spec_count = own_count + SETTING_COUNT;
    return RESULT_OK;
}

static enum result add_commands(struct call *call, struct problem *problem)
{
    struct options_command *commands = arena_array(&call->arena, COMMANDS_MAX, sizeof *commands);
    size_t count = OWN_COMMAND_COUNT;

    if (commands == NULL)
        return arena_full(&call->arena, problem);
    memcpy(commands, OWN_COMMANDS, sizeof OWN_COMMANDS);
    for (const struct cli_family *const *family = cli_families(); *family != NULL; family++) {
        if (count == COMMANDS_MAX)
            return problem_set(problem, RESULT_EXHAUSTED, "more than %d commands", COMMANDS_MAX);
        commands[count++] = (*family)->command;
    }
    call->program.commands = commands;
    call->program.command_count = count;
    return RESULT_OK;
}

static enum result describe(struct call *call, struct problem *problem)
{
    enum result result;

    call->program.name = "fieldsync-server";
    call->program.summary = "the company's side of Fieldsync: one master dataset, many devices";
    call->program.version =
        arena_format(&call->arena, "%s (sodium %s)", FIELDSYNC_VERSION, sodium_version_string());
    call->program.examples = EXAMPLES;
    if (call->program.version == NULL)
        return arena_full(&call->arena, problem);
    result = add_specs(call, problem);
    return result == RESULT_OK ? add_commands(call, problem) : result;
}

/* ---- commands of the program itself ---- */

static enum exit_code run_init(struct call *call)
{
    static const char FORM[] =
        "%s is ready.\n"
        "\n"
        "  %s/keys/root.key  vouches for this server: copy it to two safe places,\n"
        "  then take it away from here. Without it the server's key can't be renewed.\n"
        "\n"
        "next:  fieldsync-server user add LOGIN --role technician --data %s\n"
        "       fieldsync-server serve --data %s\n";
    struct setup *setup = &call->setup;
    struct problem problem = {0};
    enum result result = setup_create(setup, clock_wall_now(), &problem);
    const char *text = NULL;

    if (result == RESULT_OK) {
        text = arena_format(&call->arena, FORM, setup->folder, setup->folder, setup->folder,
                            setup->folder);
        if (text == NULL)
            result = arena_full(&call->arena, &problem);
        else
            result = buffer_append(&call->out, text, strlen(text), &problem);
    }
    return end_with(call, result, &problem);
}

static enum exit_code serve(struct call *call, const struct run_guest *guest)
{
    static const char AS_ROOT[] = "warning: running as root; a user of its own is safer\n";
    struct setup *setup = &call->setup;
    struct problem problem = {0};
    enum result result = RESULT_OK;

    if (geteuid() == 0 && !config_boolean(call->config, "serve.as_root"))
        result = problem_set(&problem, RESULT_REFUSED, "serve.as_root is no, and this is root");
    else if (geteuid() == 0)
        put(STDERR_FILENO, bytes_of_text(AS_ROOT));
    if (result == RESULT_OK)
        result = setup_expect_company(setup, &problem);
    if (result == RESULT_OK && !setup->is_locked)
        result = setup_lock(setup, &problem);
    if (result == RESULT_OK)
        result = setup_migrate(setup, clock_wall_now(), &problem);
    if (result == RESULT_OK)
        result = setup_read_key(setup, &problem);
    if (result == RESULT_OK)
        result = setup_ensure_report_key(setup, &problem);
    if (result == RESULT_OK)
        result = setup_open_blobs(setup, &problem);
    if (result != RESULT_OK)
        return complain(exit_code_of(result), &problem);
    setup->lease_s = config_number(call->config, "lease.days") * SECONDS_PER_DAY;
    return run_serve(setup, &call->options, call->config, guest);
}

static enum exit_code run_server(struct call *call)
{
    return serve(call, NULL);
}

static enum exit_code run_restore(struct call *call)
{
    static const char DONE[] = "restored. Devices bring again what they still hold, as soon as the"
                               " server runs.\n";
    const char *backup = call->options.arguments[0];
    struct setup *setup = &call->setup;
    struct problem problem = {0};
    enum result result = RESULT_OK;

    if (options_count(&call->options, "verify") > 0)
        return end_with(call, restore_verify(backup, &call->out, &problem), &problem);
    if (options_count(&call->options, "yes") == 0 && files_exists(setup->database))
        result = problem_set(&problem, RESULT_REFUSED,
                             "this replaces %s; say --yes. Devices bring again what they still"
                             " hold; what only people at the office entered since is lost",
                             setup->database);
    if (result == RESULT_OK)
        result = files_make_folder(setup->folder, &problem);
    if (result == RESULT_OK)
        result = setup_lock(setup, &problem);
    if (result == RESULT_OK)
        result = restore_run(setup, backup, clock_wall_now(), &call->out, &problem);
    if (result == RESULT_OK)
        result = buffer_append(&call->out, DONE, sizeof DONE - 1, &problem);
    if (result == RESULT_OK && !files_exists(setup->server_key))
        put(STDERR_FILENO, bytes_of_text("warning: no keys/server.key here; put the old keys/"
                                         " folder back before serving\n"));
    return end_with(call, result, &problem);
}

static enum exit_code run_key(struct call *call)
{
    static const char PROTECTED[] =
        "%s is under this passphrase now. The server asks for it at each start:\nset "
        "keys.passphrase_file, give --passphrase-fd or the credential " SETTINGS_CREDENTIAL_NAME
        ".\n";
    static const char UNPROTECTED[] = "%s is under no passphrase any more.\n";
    static const char FORM[] =
        "the server key has serial %" PRId64 " now. A running server takes it with SIGHUP or at its"
        " next start;\ndevices take it by themselves at their next contact.\n";
    const char *action = call->options.arguments[0];
    const char *root_path = options_value(&call->options, "root-key");
    struct problem problem = {0};
    enum result result = RESULT_OK;
    const char *text = NULL;

    if (strcmp(action, "rotate") == 0) {
        result = setup_rotate_key(&call->setup, root_path, &problem);
    } else if (strcmp(action, "change-root") == 0) {
        result = setup_change_root(&call->setup, root_path, &problem);
    } else if (strcmp(action, "protect") == 0) {
        result = setup_protect_key(&call->setup, options_value(&call->options, "new-passphrase-fd"),
                                   &problem);
        text = arena_format(&call->arena, PROTECTED, call->setup.server_key);
    } else if (strcmp(action, "unprotect") == 0) {
        result = setup_unprotect_key(&call->setup, &problem);
        text = arena_format(&call->arena, UNPROTECTED, call->setup.server_key);
    } else {
        result = problem_set(&problem, RESULT_REFUSED,
                             "key needs one of: rotate|change-root|protect|unprotect");
        return complain(EXIT_CODE_USAGE, &problem);
    }
    if (result == RESULT_OK) {
        if (text == NULL)
            text = arena_format(&call->arena, FORM, call->setup.key->serial);
        result = text == NULL ? arena_full(&call->arena, &problem)
                              : buffer_append(&call->out, text, strlen(text), &problem);
    }
    return end_with(call, result, &problem);
}

static enum exit_code run_config(struct call *call)
{
    const char *action = call->options.arguments[0];
    struct problem problem = {0};
    enum result result = RESULT_OK;

    if (strcmp(action, "show") == 0) {
        result = config_show(call->config, &call->out, &problem);
    } else if (strcmp(action, "sample") == 0) {
        result = config_sample(SETTINGS, SETTING_COUNT, &call->out, &problem);
    } else if (strcmp(action, "check") != 0) {
        result = problem_set(&problem, RESULT_REFUSED, "config needs one of: show|check|sample");
        return complain(EXIT_CODE_USAGE, &problem);
    }
    return end_with(call, result, &problem);
}

/* Without data folder or database: whoever holds the file can do it. */
static enum exit_code run_verify(struct call *call)
{
    struct problem problem = {0};
    struct buffer file;
    struct arena arena;
    size_t wrong = 0;
    enum result result;

    buffer_init(&file, REPORT_FILE_SIZE_MAX);
    arena_init(&arena, 2 * (size_t)REPORT_FILE_SIZE_MAX);
    call->out.size_max = REPORT_FILE_SIZE_MAX;
    result = files_read(call->options.arguments[0], &file, &problem);
    if (result == RESULT_OK)
        result = report_file_verify(buffer_bytes(&file), options_value(&call->options, "key"),
                                    &arena, &call->out, &wrong, &problem);
    buffer_done(&file);
    arena_done(&arena);
    if (result == RESULT_OK && wrong > 0) {
        put(STDOUT_FILENO, buffer_bytes(&call->out));
        return EXIT_CODE_FAILURE;
    }
    return end_with(call, result, &problem);
}

/* ---- commands on the master ---- */

/* Where devices connect, as the code has to say it. */
static const char *public_address(struct call *call)
{
    const char *address = config_text(call->config, "listen.public_address");

    if (address != NULL)
        return address;
    address = config_text(call->config, "listen.address");
    return arena_format(
        &call->arena, strchr(address, ':') != NULL ? "[%s]:%" PRId64 : "%s:%" PRId64, address,
        call->port != 0 ? (int64_t)call->port : config_number(call->config, "listen.port"));
}

static enum result encode_code(void *context, const uint8_t *seed, struct buffer *text,
                               struct problem *problem)
{
    struct call *call = context;
    struct identity_code code = {0};
    char written[IDENTITY_CODE_SIZE];
    const char *address = public_address(call);
    enum result result = setup_read_root_public(&call->setup, code.root_public_key, problem);

    if (result == RESULT_OK && (address == NULL || strlen(address) > IDENTITY_ADDRESS_SIZE_MAX))
        result = problem_set(problem, RESULT_REFUSED, "listen.public_address is too long");
    if (result == RESULT_OK) {
        memcpy(code.token_id, seed, IDENTITY_TOKEN_ID_SIZE);
        memcpy(code.secret, seed + IDENTITY_TOKEN_ID_SIZE, IDENTITY_KEY_SIZE);
        memcpy(code.address, address, strlen(address) + 1);
        result = identity_code_encode(&code, written, problem);
    }
    if (result == RESULT_OK)
        result = buffer_append(text, written, strlen(written), problem);
    identity_wipe(&code, sizeof code);
    identity_wipe(written, sizeof written);
    return result;
}

static enum result check_file(void *context, struct buffer *report, size_t *ret_wrong_count,
                              struct problem *problem)
{
    struct call *call = context;

    return setup_check(&call->setup, report, ret_wrong_count, problem);
}

static enum result compact(void *context, struct problem *problem)
{
    struct call *call = context;

    return setup_compact(&call->setup, problem);
}

static enum result remove_blob(void *context, const char *hash, struct problem *problem)
{
    struct call *call = context;
    uint8_t bytes[FILES_BLOB_HASH_SIZE];
    char path[FILES_PATH_SIZE];
    enum result result;

    if (!bytes_from_hex(hash, bytes, sizeof bytes))
        return RESULT_OK; /* no attachment of ours has such a name */
    result = files_blob_path(call->setup.blobs_path, bytes, path, problem);
    return result == RESULT_OK ? files_remove(path, problem) : result;
}

static enum exit_code run_family(struct call *call)
{
    const struct cli_host host = {.context = call,
                                  .encode_code = encode_code,
                                  .check_file = check_file,
                                  .compact = compact,
                                  .remove_blob = remove_blob,
                                  .blobs_path = call->setup.blobs_path,
                                  .asks_confirmation =
                                      config_boolean(call->config, "enrolment.confirm")};
    const struct cli_action *action = NULL;
    struct cli cli = {.options = &call->options,
                      .config = call->config,
                      .catalog = &call->setup.catalog,
                      .host = &host,
                      .now = clock_wall_now(),
                      .is_json = options_count(&call->options, "json") > 0};
    struct problem problem = {0};
    enum result result = cli_action_of(&call->options, &action, &problem);

    if (result != RESULT_OK)
        return complain(EXIT_CODE_USAGE, &problem);
    arena_init(&cli.arena, CLI_ARENA_SIZE_MAX);
    buffer_init(&cli.out, CLI_OUT_SIZE_MAX);
    result = setup_load_catalog(&call->setup, &problem);
    if (result == RESULT_OK)
        result = setup_open_blobs(&call->setup, &problem);
    if (result == RESULT_OK)
        result = setup_open_master(&call->setup, false, NULL, &cli.master, &problem);
    cli.blobs = call->setup.blobs;
    cli.report_key = call->setup.reports;
    if (result == RESULT_OK)
        result = action->run(&cli, &problem);
    if (result == RESULT_OK) {
        put(STDOUT_FILENO, buffer_bytes(&cli.out));
    } else {
        cli.exit_code = complain(exit_code_of(result), &problem);
    }
    master_destroy(cli.master);
    buffer_done(&cli.out);
    arena_done(&cli.arena);
    return cli.exit_code;
}

/* ---- the demo ---- */

static enum result greet(void *context, uint16_t port, struct buffer *text, struct problem *problem)
{
    struct call *call = context;
    const struct cli_host host = {.context = call,
                                  .encode_code = encode_code,
                                  .check_file = check_file,
                                  .compact = compact,
                                  .remove_blob = remove_blob,
                                  .blobs_path = call->setup.blobs_path};
    const struct demo_invitation invitation = {
        .host = &host,
        .program = call->program_path,
        .port = port,
        .is_kept = config_is_set(call->config, "data"),
        .now = clock_wall_now(),
    };
    enum result result;

    call->port = port;
    result = demo_invite(&call->setup, &invitation, text, problem);
    call->is_greeted = result == RESULT_OK;
    return result;
}

static enum exit_code run_demo(struct call *call)
{
    const struct run_guest guest = {call, greet};
    const char *wanted = config_text(call->config, "data");
    struct setup *setup = &call->setup;
    char folder[FILES_PATH_SIZE];
    struct problem problem = {0};
    enum exit_code exit_code;
    enum result result = demo_make_folder(wanted, folder, &problem);

    if (result != RESULT_OK)
        return complain(exit_code_of(result), &problem);
    result = setup_init(setup, folder, &problem);
    if (result == RESULT_OK)
        result = setup_create(setup, clock_wall_now(), &problem);
    if (result == RESULT_OK)
        result = demo_fill(setup, clock_wall_now(), &problem);
    exit_code =
        result == RESULT_OK ? serve(call, &guest) : complain(exit_code_of(result), &problem);
    if (wanted != NULL && call->is_greeted)
        return exit_code;
    if (demo_remove_folder(folder, &problem) != RESULT_OK)
        exit_code = complain(EXIT_CODE_FAILURE, &problem);
    return exit_code;
}

/* ---- */

static enum exit_code run_command(struct call *call)
{
    static const struct {
        const char *name;
        enum exit_code (*run)(struct call *call);
    } RUNS[OWN_COMMAND_COUNT] = {
        {"init", run_init},       {"serve", run_server}, {"demo", run_demo},
        {"restore", run_restore}, {"key", run_key},      {"config", run_config},
        {"verify", run_verify},
    };
    const char *name = call->options.command->name;
    bool is_demo = strcmp(name, "demo") == 0;
    struct problem problem = {0};
    enum result result =
        is_demo ? settings_load_demo(&call->options, &call->arena, &call->config, &problem)
                : settings_load(&call->options, &call->config, &problem);

    if (result == RESULT_OK)
        result = settings_passphrase(call->config, &call->options, &call->arena,
                                     &call->setup.passphrase, &problem);
    if (result == RESULT_OK && !is_demo)
        result = setup_init(&call->setup, config_text(call->config, "data"), &problem);
    if (result != RESULT_OK)
        return complain(EXIT_CODE_CONFIG, &problem);
    for (size_t i = 0; i < OWN_COMMAND_COUNT; i++)
        if (strcmp(name, RUNS[i].name) == 0)
            return RUNS[i].run(call);
    return run_family(call);
}

static enum exit_code run(struct call *call, int argc, char **argv)
{
    struct problem problem = {0};
    struct problem ignored = {0};
    enum result result = describe(call, &problem);

    if (result != RESULT_OK)
        return complain(EXIT_CODE_FAILURE, &problem);
    if (options_parse(&call->program, argc, argv, &call->options, &problem) != RESULT_OK) {
        (void)complain(EXIT_CODE_USAGE, &problem);
        if (options_usage(&call->program, call->options.command, &call->out, &ignored) == RESULT_OK)
            put(STDERR_FILENO, buffer_bytes(&call->out));
        return EXIT_CODE_USAGE;
    }
    if (call->options.wish == OPTIONS_HELP)
        return end_with(call,
                        options_help(&call->program, call->options.command, &call->out, &problem),
                        &problem);
    if (call->options.wish == OPTIONS_VERSION)
        return end_with(call, options_version(&call->program, &call->out, &problem), &problem);
    return run_command(call);
}

int main(int argc, char **argv)
{
    struct call call = {0};
    enum exit_code exit_code;

    /* Fixed, it doesn't grow: what is large goes back to the system as soon as it is freed. */
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    sql_set_up_process();
    secret_harden_process();
    if (sodium_init() < 0)
        return EXIT_CODE_FAILURE;
    call.program_path = argc > 0 ? argv[0] : "fieldsync-server";
    arena_init(&call.arena, TEXT_SIZE_MAX);
    buffer_init(&call.out, TEXT_SIZE_MAX);
    exit_code = run(&call, argc, argv);
    setup_done(&call.setup);
    config_destroy(call.config);
    buffer_done(&call.out);
    arena_done(&call.arena);
    return (int)exit_code;
}

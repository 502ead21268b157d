/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
/* fieldsync-agent: a technician's replica, its sync, and the commands that work on it. */
#include "agent/asking.h"
#include "agent/cli/blob_files.h"
#include "agent/cli/cli.h"
#include "agent/cli/state_file.h"
#include "agent/daemon.h"
#include "agent/encryption.h"
#include "agent/keys.h"
#include "agent/lease.h"
#include "agent/open.h"
#include "agent/passphrase.h"
#include "agent/renewal.h"
#include "agent/rescue.h"
#include "agent/settings.h"
#include "agent/wipe.h"
#include "edge/clock.h"
#include "edge/files.h"
#include "edge/log.h"
#include "edge/secret.h"
#include "version.h"

#include <inttypes.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { COMMANDS_MAX = 32, TRIES_MAX = 60, RESCUE_ARENA_SIZE_MAX = 256 << 20 };

struct program {
    struct options options;
    char data_folder[FILES_PATH_SIZE];
    bool is_json;
    struct log *log;
};

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

/* ---- saying things --------------------------------------------------------------------------- */

/* "error: cause. effect. next step" */
static enum exit_code fail(enum exit_code code, const char *cause, const char *next)
{
    char text[PROBLEM_TEXT_SIZE + 512];
    struct buffer out;
    struct problem problem = {0};

    size_t size = strlen(cause);
    bool has_end = size > 0 && strchr(".?!", cause[size - 1]) != NULL;

    snprintf(text, sizeof text, "error: %s%s%s%s", cause, has_end ? "" : ".",
             next[0] != '\0' ? " " : "", next);
    buffer_init(&out, 16 * 1024);
    if (terminal_append_plain(&out, bytes_of_text(text), &problem) == RESULT_OK &&
        buffer_append(&out, "\n", 1, &problem) == RESULT_OK &&
        terminal_write(2, buffer_bytes(&out), &problem) != RESULT_OK)
        code = EXIT_CODE_FAILURE;
    buffer_done(&out);
    return code;
}

static enum exit_code code_of(enum result result)
{
    switch (result) {
    case RESULT_OK:
        return EXIT_CODE_OK;
    case RESULT_WAIT:
    case RESULT_EXHAUSTED:
        return EXIT_CODE_TEMPORARY;
    case RESULT_STORAGE:
        return EXIT_CODE_DATABASE;
    case RESULT_REFUSED:
    case RESULT_MALFORMED:
        break;
    }
    return EXIT_CODE_FAILURE;
}

static const char *next_step_of(enum result result)
{
    switch (result) {
    case RESULT_WAIT:
        return "Nothing was changed. Another program is writing: try again in a moment.";
    case RESULT_EXHAUSTED:
        return "Nothing was changed. Make room on the disk and try again.";
    case RESULT_STORAGE:
        return "Run `fieldsync-agent verify`. If the replica is damaged, `fieldsync-agent rescue` "
               "saves the unsent work; don't delete anything before the office has seen it.";
    default:
        return "Nothing was changed.";
    }
}

static enum exit_code print(const char *text)
{
    struct problem problem = {0};

    return terminal_write(1, bytes_of_text(text), &problem) == RESULT_OK ? EXIT_CODE_OK
                                                                         : EXIT_CODE_FAILURE;
}

/* ---- the data folder ------------------------------------------------------------------------- */

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
    return RESULT_OK;
}

static enum result make_data_folder(const struct program *program, struct problem *problem)
{
    enum result result = files_make_folder(program->data_folder, problem);

    if (result == RESULT_OK && chmod(program->data_folder, 0700) != 0)
        return problem_set(problem, RESULT_REFUSED, "%s can't be made private",
                           program->data_folder);
    return result;
}

static enum result take_lock(const struct program *program, struct files_lock *lock,
                             struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(program->data_folder, LOCK_FILE_NAME, path, problem);

    return result == RESULT_OK ? files_lock_open(path, lock, problem) : result;
}

/* ---- enrol, run, sync ------------------------------------------------------------------------ */

static enum exit_code say_enrolled(struct program *program, const struct keys *keys,
                                   const struct daemon_outcome *outcome)
{
    char text[1024];
    struct replica_identity who = {0};
    struct problem problem = {0};
    struct replica *replica = NULL;

    if (open_folder(program->data_folder, keys, true, NULL, &replica, &problem) == RESULT_OK &&
        replica_identity(replica, &who, &problem) != RESULT_OK)
        who = (struct replica_identity){0};
    replica_close(replica);
    if (program->is_json)
        snprintf(text, sizeof text,
                 "{\"enrolled\":true,\"replica_no\":%" PRId64
                 ",\"first_sync\":%s,\"pending\":%s,\"fingerprint\":\"%s\"}\n",
                 who.replica_no, outcome->is_delivered ? "true" : "false",
                 outcome->is_pending ? "true" : "false", outcome->fingerprint);
    else if (outcome->is_pending)
        snprintf(text, sizeof text,
                 "enrolled as %s (%s), replica %" PRId64 "\n"
                 "waiting for confirmation, fingerprint:  %s\n"
                 "Read the fingerprint to the office. `fieldsync-agent run` goes on by itself.\n",
                 who.user_login, who.series, who.replica_no, outcome->fingerprint);
    else if (outcome->is_delivered)
        snprintf(text, sizeof text,
                 "enrolled as %s (%s)\nfirst sync: %" PRId64 " KiB received in %.1f s\n",
                 who.user_login, who.series, outcome->bytes_received / 1024,
                 (double)outcome->duration_us / 1e6);
    else
        snprintf(text, sizeof text,
                 "enrolled as %s (%s)\nthe first sync isn't complete (%s): `fieldsync-agent run` "
                 "goes on with it\n",
                 who.user_login, who.series, outcome->reason);
    return print(text);
}

/* A device that is enrolled gets keys for another number beside the ones it has. */
static enum result prepare_again(struct program *program, const struct identity_code *code,
                                 const struct keys_opener *opener, struct keys **ret_keys,
                                 struct problem *problem)
{
    struct replica_identity who = {0};
    struct replica *replica = NULL;
    struct keys *keys = NULL;
    enum result result = keys_load(program->data_folder, opener, &keys, problem);

    if (result == RESULT_OK &&
        !identity_equal(keys->file.root_public_key, code->root_public_key, IDENTITY_KEY_SIZE))
        result = problem_set(problem, RESULT_REFUSED, "the code is another company's");
    if (result == RESULT_OK)
        result = open_folder(program->data_folder, keys, true, NULL, &replica, problem);
    if (result == RESULT_OK)
        result = replica_identity(replica, &who, problem);
    replica_close(replica);
    if (result == RESULT_OK)
        result = renewal_begin(program->data_folder, keys, code, who.replica_no, problem);
    if (result != RESULT_OK) {
        keys_destroy(keys);
        return result;
    }
    *ret_keys = keys;
    return RESULT_OK;
}

static enum exit_code enrol_with(struct program *program, const struct identity_code *code)
{
    struct daemon_outcome outcome;
    struct problem problem = {0};
    struct files_lock lock;
    struct keys *keys = NULL;
    const struct keys_opener opener = passphrase_opener(&program->options);
    const struct sealed_key *seal = NULL;
    struct sealed_key new_seal = {0};
    struct daemon_options options = {
        .mode = DAEMON_ENROL,
        .data_folder = program->data_folder,
        .log = program->log,
        .code = code,
        .device_name = options_value(&program->options, "name"),
        .app_version = FIELDSYNC_VERSION,
    };
    enum exit_code exit_code;
    enum result result = make_data_folder(program, &problem);

    if (result == RESULT_OK && options_count(&program->options, "protect") > 0) {
        result = passphrase_choose(&program->options, &new_seal, &problem);
        seal = &new_seal;
    }
    if (result == RESULT_OK)
        result = take_lock(program, &lock, &problem);
    if (result != RESULT_OK)
        return fail(code_of(result), problem.text, next_step_of(result));
    result =
        options_count(&program->options, "again") > 0
            ? prepare_again(program, code, &opener, &keys, &problem)
            : keys_prepare(program->data_folder, code, options_value(&program->options, "server"),
                           &opener, seal, &keys, &problem);
    identity_wipe(&new_seal, sizeof new_seal);
    if (result == RESULT_OK && options_count(&program->options, "encrypt") > 0)
        result = encryption_prepare(program->data_folder, keys, &problem);
    if (result == RESULT_OK) {
        options.keys = keys;
        result = daemon_run(&options, &outcome, &problem);
    }
    if (result == RESULT_OK && outcome.is_enrolled) {
        exit_code = say_enrolled(program, keys, &outcome);
        keys_destroy(keys);
        files_lock_close(&lock);
        return exit_code;
    }
    keys_destroy(keys);
    files_lock_close(&lock);
    if (result != RESULT_OK)
        return fail(code_of(result), problem.text, next_step_of(result));
    exit_code = outcome.exit_code != EXIT_CODE_OK ? outcome.exit_code : EXIT_CODE_FAILURE;
    return fail(exit_code, outcome.reason[0] != '\0' ? outcome.reason : "stopped",
                "This device isn't enrolled. Check the address and that the code is fresh, then "
                "enter it again; a code that was used or is too old is refused without a reason.");
}

static enum exit_code run_enrol(struct program *program)
{
    struct identity_code code = {0};
    struct problem problem = {0};
    enum exit_code exit_code;
    enum result result =
        identity_code_decode(bytes_of_text(program->options.arguments[0]), &code, &problem);

    if (result != RESULT_OK)
        return fail(EXIT_CODE_AUTHENTICATION, problem.text,
                    "Nothing was changed. Copy the whole code of the office.");
    exit_code = enrol_with(program, &code);
    identity_wipe(&code, sizeof code);
    return exit_code;
}

static enum exit_code end_of(const struct daemon_outcome *outcome)
{
    if (outcome->is_revoked)
        return fail(EXIT_CODE_AUTHENTICATION, outcome->reason,
                    outcome->is_wiped ? "The keys and data of this device are destroyed."
                                      : "Everything recorded stays here. Ask the office.");
    if (outcome->is_pending) {
        char text[128];

        snprintf(text, sizeof text, "waiting for confirmation, fingerprint %s",
                 outcome->fingerprint);
        return fail(outcome->exit_code, text,
                    "Read the fingerprint to the office; everything recorded stays here.");
    }
    if (outcome->exit_code != EXIT_CODE_OK)
        return fail(outcome->exit_code, outcome->reason,
                    outcome->exit_code == EXIT_CODE_NETWORK
                        ? "Everything recorded stays here and is sent later."
                        : next_step_of(RESULT_STORAGE));
    return EXIT_CODE_OK;
}

static enum exit_code run_daemon(struct program *program, enum daemon_mode mode,
                                 const char *http_listen, struct daemon_outcome *ret_outcome,
                                 const struct files_lock *lock)
{
    struct problem problem = {0};
    struct keys *keys = NULL;
    struct daemon_options options = {.mode = mode,
                                     .data_folder = program->data_folder,
                                     .log = program->log,
                                     .app_version = FIELDSYNC_VERSION,
                                     .http_listen = http_listen};
    const struct keys_opener opener = passphrase_opener(&program->options);
    enum result result = keys_load(program->data_folder, &opener, &keys, &problem);

    (void)lock; /* the caller's, for as long as this runs */
    if (result == RESULT_OK && !keys_are_enrolled(keys))
        result = problem_set(&problem, RESULT_REFUSED, "this device isn't enrolled");
    if (result == RESULT_OK) {
        options.keys = keys;
        result = daemon_run(&options, ret_outcome, &problem);
    } else {
        keys_destroy(keys);
        if (keys_are_sealed(program->data_folder))
            return fail(EXIT_CODE_AUTHENTICATION, problem.text, "Nothing was changed.");
        return fail(EXIT_CODE_CONFIG, problem.text,
                    "Enrol it first: `fieldsync-agent enrol CODE` with a code of your office.");
    }
    keys_destroy(keys);
    if (result != RESULT_OK)
        return fail(code_of(result), problem.text, next_step_of(result));
    return end_of(ret_outcome);
}

static enum exit_code run_run(struct program *program)
{
    struct daemon_outcome outcome;
    struct problem problem = {0};
    struct config *config = NULL;
    struct files_lock lock;
    enum exit_code exit_code;
    enum result result = settings_load(program->data_folder, &program->options, &config, &problem);

    if (result != RESULT_OK) {
        config_destroy(config);
        return fail(EXIT_CODE_CONFIG, problem.text, "Nothing was started.");
    }
    result = take_lock(program, &lock, &problem);
    if (result != RESULT_OK) {
        config_destroy(config);
        return fail(EXIT_CODE_TEMPORARY, problem.text, "One agent a folder is enough.");
    }
    exit_code =
        run_daemon(program, DAEMON_RUN, config_text(config, "http.listen"), &outcome, &lock);
    files_lock_close(&lock);
    config_destroy(config);
    return exit_code;
}

/* *ret_has_lock: nobody answers any more, the caller does it with the lock. */
static enum exit_code ask_running(struct program *program, struct files_lock *lock,
                                  bool *ret_has_lock)
{
    struct asking_answer answer;
    struct problem problem = {0};
    char text[256];
    enum result result = asking_run(program->data_folder, lock, &answer, &problem);

    *ret_has_lock = answer.has_lock;
    if (result != RESULT_OK)
        return fail(code_of(result), problem.text, "");
    if (answer.has_lock)
        return EXIT_CODE_OK;
    if (answer.has_failed)
        return fail(EXIT_CODE_NETWORK, answer.state.last_failure,
                    "Everything recorded stays here; the agent tries again by itself.");
    if (!answer.is_answered)
        return fail(EXIT_CODE_TEMPORARY, "the running agent isn't done within a minute",
                    "It goes on by itself: `fieldsync-agent status`.");
    snprintf(text, sizeof text, "in sync: sent %" PRId64 " bytes, received %" PRId64 " bytes\n",
             answer.bytes_sent, answer.bytes_received);
    return program->is_json ? print("{\"in_sync\":true}\n") : print(text);
}

static enum exit_code run_sync(struct program *program)
{
    struct daemon_outcome outcome = {0};
    struct problem problem = {0};
    struct files_lock lock;
    char text[256];
    enum exit_code exit_code;

    if (take_lock(program, &lock, &problem) != RESULT_OK) {
        bool has_lock = false;

        exit_code = ask_running(program, &lock, &has_lock);
        if (!has_lock)
            return exit_code;
    }
    exit_code = run_daemon(program, DAEMON_ONCE, NULL, &outcome, &lock);
    files_lock_close(&lock);
    if (exit_code != EXIT_CODE_OK)
        return exit_code;
    snprintf(text, sizeof text,
             "in sync: sent %" PRId64 " bytes, received %" PRId64 " bytes in %.1f s\n",
             outcome.bytes_sent, outcome.bytes_received, (double)outcome.duration_us / 1e6);
    return program->is_json ? print("{\"in_sync\":true}\n") : print(text);
}

/* ---- commands on the replica ----------------------------------------------------------------- */

/* Beginning and running again is safe: a refused or waiting action has changed nothing. */
static enum result run_family(struct cli *cli, const struct cli_family *family,
                              struct replica *replica, struct blob_store *blobs,
                              const uint8_t *sign_seed, struct problem *problem)
{
    enum result result = RESULT_WAIT;

    for (int tries = 0; result == RESULT_WAIT && tries < TRIES_MAX; tries++) {
        *problem = (struct problem){0};
        buffer_reset(&cli->out);
        arena_reset(&cli->arena);
        result = service_begin(replica, blobs, clock_wall_now(), &cli->service, problem);
        cli->service.language = reason_language_of(terminal_locale());
        if (result == RESULT_REFUSED && !family->needs_enrolment) {
            cli->service =
                (struct service){.replica = replica, .blobs = blobs, .now = clock_wall_now()};
            result = RESULT_OK;
        }
        if (result != RESULT_OK)
            continue;
        cli->service.sign_secret_seed = sign_seed;
        result = cli_run(cli, problem);
    }
    return result;
}

static enum exit_code run_opened(struct program *program, const struct cli_family *family,
                                 struct replica *replica, struct blob_store *blobs,
                                 struct keys *keys)
{
    struct cli cli = {.options = &program->options,
                      .data_folder = program->data_folder,
                      .is_json = program->is_json,
                      .exit_code = EXIT_CODE_OK};
    struct problem problem = {0};
    struct problem no_keys = {0};
    struct keys *own_keys = NULL;
    const struct keys_opener opener = passphrase_opener(&program->options);
    enum exit_code exit_code;
    enum result result = RESULT_OK;

    arena_init(&cli.arena, CLI_ARENA_SIZE_MAX);
    buffer_init(&cli.out, CLI_OUT_SIZE_MAX);
    if (family != &CLI_STATUS)
        result = lease_check(replica, clock_wall_now(), &problem);
    if (result == RESULT_OK && keys == NULL &&
        keys_load(program->data_folder, family == &CLI_SIGN ? &opener : NULL, &own_keys,
                  &no_keys) == RESULT_OK)
        keys = own_keys; /* only signing needs them, and says so */
    if (result == RESULT_OK)
        result = run_family(&cli, family, replica, blobs,
                            keys != NULL ? keys->file.sign_seed : NULL, &problem);
    else
        cli.exit_code = EXIT_CODE_AUTHENTICATION;
    keys_destroy(own_keys);
    exit_code = cli.exit_code;
    if (result != RESULT_OK)
        exit_code = fail(cli.exit_code != EXIT_CODE_OK ? cli.exit_code : code_of(result),
                         problem.text, next_step_of(result));
    else if (terminal_write(1, buffer_bytes(&cli.out), &problem) != RESULT_OK)
        exit_code = EXIT_CODE_FAILURE;
    buffer_done(&cli.out);
    arena_done(&cli.arena);
    return exit_code;
}

static enum exit_code run_on_replica(struct program *program, const struct cli_family *family)
{
    char path[FILES_PATH_SIZE];
    char blobs_path[FILES_PATH_SIZE];
    const struct keys_opener opener = passphrase_opener(&program->options);
    struct replica *replica = NULL;
    struct blob_store *blobs = NULL;
    struct problem problem = {0};
    struct keys *keys = NULL; /* only if the replica needs them */
    enum exit_code exit_code;
    enum result result = files_join(program->data_folder, REPLICA_FILE_NAME, path, &problem);

    if (result == RESULT_OK && !files_exists(path) && !rescue_is_unfinished(program->data_folder))
        return fail(EXIT_CODE_CONFIG, "this device isn't enrolled: there is no replica yet",
                    "Run `fieldsync-agent enrol CODE` with a code of your office.");
    if (result == RESULT_OK && open_needs_keys(program->data_folder) &&
        keys_load(program->data_folder, &opener, &keys, &problem) != RESULT_OK)
        return fail(EXIT_CODE_AUTHENTICATION, problem.text,
                    "The replica is encrypted. Nothing was changed.");
    if (result == RESULT_OK)
        result = files_join(program->data_folder, BLOBS_FOLDER_NAME, blobs_path, &problem);
    if (result == RESULT_OK)
        result = files_make_folder(blobs_path, &problem);
    if (result == RESULT_OK)
        result = blob_files_create(blobs_path, &blobs, &problem);
    if (result == RESULT_OK)
        result = open_folder(program->data_folder, keys, false, NULL, &replica, &problem);
    exit_code = result == RESULT_OK
                    ? run_opened(program, family, replica, blobs, keys)
                    : fail(result == RESULT_REFUSED ? EXIT_CODE_DATABASE : code_of(result),
                           problem.text, next_step_of(result));
    replica_close(replica);
    blob_files_destroy(blobs);
    keys_destroy(keys);
    return exit_code;
}

/* ---- locks ----------------------------------------------------------------------------------- */

static enum exit_code run_unlock(struct program *program)
{
    const struct keys_opener opener = passphrase_opener(&program->options);
    const struct options *options = &program->options;
    char answer[64];
    struct replica *replica = NULL;
    struct problem problem = {0};
    struct keys *keys = NULL;
    enum result result = keys_load(program->data_folder, &opener, &keys, &problem);

    snprintf(answer, sizeof answer, "%s%s", options->arguments[0],
             options->argument_count > 1 ? options->arguments[1] : "");
    if (result == RESULT_OK)
        result = open_folder(program->data_folder, keys, false, NULL, &replica, &problem);
    if (result == RESULT_OK)
        result = lease_unlock(replica, keys, answer, clock_wall_now(), &problem);
    replica_close(replica);
    keys_destroy(keys);
    if (result != RESULT_OK)
        return fail(result == RESULT_REFUSED ? EXIT_CODE_AUTHENTICATION : code_of(result),
                    problem.text, "Nothing was changed.");
    return print("this device is open again\n");
}

/* The files are written anew, each whole: under the new passphrase, or without one. */
static enum exit_code run_passphrase(struct program *program)
{
    const struct keys_opener opener = passphrase_opener(&program->options);
    bool is_removing = options_count(&program->options, "remove") > 0;
    struct problem problem = {0};
    struct files_lock lock;
    struct keys *keys = NULL;
    enum result result = take_lock(program, &lock, &problem);

    if (result != RESULT_OK)
        return fail(EXIT_CODE_TEMPORARY, problem.text, "Stop the agent first.");
    result = keys_load(program->data_folder, &opener, &keys, &problem);
    if (result == RESULT_OK && is_removing && keys->has_replica_key)
        result = problem_set(&problem, RESULT_REFUSED,
                             "the replica is encrypted, and its key is under the passphrase: "
                             "`fieldsync-agent decrypt` comes first");
    if (result == RESULT_OK) {
        keys->is_sealed = !is_removing;
        if (!is_removing)
            result = passphrase_choose(&program->options, &keys->seal, &problem);
    }
    if (result == RESULT_OK)
        result = keys_reseal(program->data_folder, keys, &problem);
    keys_destroy(keys);
    files_lock_close(&lock);
    if (result != RESULT_OK)
        return fail(EXIT_CODE_AUTHENTICATION, problem.text, "Nothing was changed.");
    return print(is_removing ? "the keys are no longer under a passphrase\n"
                             : "the keys are under this passphrase now\n");
}

/* ---- encryption ------------------------------------------------------------------------------ */

static enum exit_code convert(struct program *program, bool is_on)
{
    const struct keys_opener opener = passphrase_opener(&program->options);
    struct problem problem = {0};
    struct files_lock lock;
    struct keys *keys = NULL;
    bool was = false;
    enum result result = take_lock(program, &lock, &problem);

    if (result != RESULT_OK)
        return fail(EXIT_CODE_TEMPORARY, problem.text, "Stop the agent first.");
    result = keys_load(program->data_folder, &opener, &keys, &problem);
    if (result != RESULT_OK) {
        files_lock_close(&lock);
        return fail(EXIT_CODE_AUTHENTICATION, problem.text, "Nothing was changed.");
    }
    result = is_on ? encryption_turn_on(program->data_folder, keys, &was, &problem)
                   : encryption_turn_off(program->data_folder, keys, &was, &problem);
    keys_destroy(keys);
    files_lock_close(&lock);
    if (result == RESULT_WAIT)
        return fail(EXIT_CODE_TEMPORARY, problem.text,
                    "Nothing was changed. Close it and try again.");
    if (result != RESULT_OK)
        return fail(code_of(result), problem.text, next_step_of(result));
    if (is_on)
        return print(was ? "the replica was encrypted already\n"
                         : "the replica is encrypted now\n");
    return print(was ? "the replica wasn't encrypted\n"
                     : "the replica is an ordinary SQLite file again\n");
}

static enum exit_code run_encrypt(struct program *program)
{
    return convert(program, true);
}

static enum exit_code run_decrypt(struct program *program)
{
    return convert(program, false);
}

/* ---- rescue ---------------------------------------------------------------------------------- */

static enum exit_code say_rescue(const struct program *program, const struct rescue_said *said)
{
    struct buffer out;
    struct problem problem = {0};
    enum exit_code exit_code = said->outcome.is_identity_lost ? EXIT_CODE_DATABASE
                               : said->outcome.loss_count > 0 ? EXIT_CODE_FAILURE
                                                              : EXIT_CODE_OK;

    buffer_init(&out, 64 * 1024);
    if (rescue_say(said, program->is_json, &out, &problem) != RESULT_OK ||
        terminal_write(1, buffer_bytes(&out), &problem) != RESULT_OK)
        exit_code = EXIT_CODE_FAILURE;
    buffer_done(&out);
    return exit_code;
}

/* The keys are needed for an encrypted replica only: those that are damaged don't stop the rest. */
static enum exit_code run_rescue(struct program *program)
{
    const struct keys_opener opener = passphrase_opener(&program->options);
    struct rescue_said said = {0};
    struct problem problem = {0};
    struct files_lock lock;
    struct arena arena;
    struct keys *keys = NULL;
    enum exit_code exit_code = EXIT_CODE_OK;
    enum result result = take_lock(program, &lock, &problem);

    if (result != RESULT_OK)
        return fail(EXIT_CODE_TEMPORARY, problem.text, "Stop the agent first.");
    if (keys_have_replica_file(program->data_folder) &&
        keys_load(program->data_folder, &opener, &keys, &problem) != RESULT_OK) {
        files_lock_close(&lock);
        return fail(EXIT_CODE_AUTHENTICATION, problem.text,
                    "The replica is encrypted. Nothing was changed.");
    }
    arena_init(&arena, RESCUE_ARENA_SIZE_MAX);
    result = rescue_folder(program->data_folder, keys, clock_wall_now(), &arena, &said, &problem);
    exit_code = result == RESULT_OK
                    ? say_rescue(program, &said)
                    : fail(code_of(result), problem.text,
                           "The replica is as it was. Keep the whole folder for the office.");
    arena_done(&arena);
    keys_destroy(keys);
    files_lock_close(&lock);
    return exit_code;
}

/* ---- main ------------------------------------------------------------------------------------ */

static enum exit_code run(struct program *program)
{
    static const struct {
        const char *name;
        enum exit_code (*run)(struct program *program);
    } OWN[] = {{"enrol", run_enrol},
               {"run", run_run},
               {"sync", run_sync},
               {"unlock", run_unlock},
               {"passphrase", run_passphrase},
               {"encrypt", run_encrypt},
               {"decrypt", run_decrypt},
               {"rescue", run_rescue}};
    const struct cli_family *family;
    struct problem problem = {0};

    if (find_data_folder(program, &problem) != RESULT_OK)
        return fail(EXIT_CODE_CONFIG, problem.text, "");
    if (wipe_is_begun(program->data_folder) &&
        wipe_device(program->data_folder, &problem) != RESULT_OK)
        return fail(EXIT_CODE_AUTHENTICATION, problem.text,
                    "This device was revoked and its data has to go; it is tried again.");
    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++)
        if (strcmp(OWN[i].name, program->options.command->name) == 0)
            return OWN[i].run(program);
    family = cli_family_of(&program->options);
    return family == NULL ? EXIT_CODE_USAGE : run_on_replica(program, family);
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
        (void)fail(EXIT_CODE_USAGE, mistake->text, "");
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
    secret_harden_process();
    about.command_count = all_commands(commands);
    if (sodium_init() < 0)
        return fail(EXIT_CODE_FAILURE, "libsodium doesn't start", "");
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
        return fail(EXIT_CODE_TEMPORARY, "no memory for the log", "");
    exit_code = run(&program);
    log_destroy(program.log);
    return exit_code;
}

int main(int argc, char **argv)
{
    return (int)start(argc, argv);
}

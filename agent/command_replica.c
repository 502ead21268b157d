/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the replica for a family of commands (agent/cli/cli.h) and says how it ended. */
#include "agent/cli/state_file.h"
#include "agent/commands.h"
#include "agent/keys.h"
#include "agent/lease.h"
#include "agent/open.h"
#include "agent/passphrase.h"
#include "agent/rescue.h"
#include "edge/blob_files.h"
#include "edge/clock.h"
#include "edge/terminal.h"

enum { TRIES_MAX = 60 };

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
        exit_code =
            program_fail(cli.exit_code != EXIT_CODE_OK ? cli.exit_code : program_code_of(result),
                         problem.text, program_next_step_of(result));
    else if (terminal_write(1, buffer_bytes(&cli.out), &problem) != RESULT_OK)
        exit_code = EXIT_CODE_FAILURE;
    buffer_done(&cli.out);
    arena_done(&cli.arena);
    return exit_code;
}

enum exit_code command_on_replica(struct program *program, const struct cli_family *family)
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
        return program_fail(EXIT_CODE_CONFIG, "this device isn't enrolled: there is no replica yet",
                            "Run `fieldsync-agent enrol CODE` with a code of your office.");
    if (result == RESULT_OK && open_needs_keys(program->data_folder) &&
        keys_load(program->data_folder, &opener, &keys, &problem) != RESULT_OK)
        return program_fail(EXIT_CODE_AUTHENTICATION, problem.text,
                            "The replica is encrypted. Nothing was changed.");
    if (result == RESULT_OK)
        result = files_join(program->data_folder, BLOBS_FOLDER_NAME, blobs_path, &problem);
    if (result == RESULT_OK)
        result = blob_files_create(blobs_path, &blobs, &problem);
    if (result == RESULT_OK)
        result = open_folder(program->data_folder, keys, false, NULL, &replica, &problem);
    exit_code =
        result == RESULT_OK
            ? run_opened(program, family, replica, blobs, keys)
            : program_fail(result == RESULT_REFUSED ? EXIT_CODE_DATABASE : program_code_of(result),
                           problem.text, program_next_step_of(result));
    replica_close(replica);
    blob_files_destroy(blobs);
    keys_destroy(keys);
    return exit_code;
}

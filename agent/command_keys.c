/* SPDX-License-Identifier: Apache-2.0 */
/* What changes how this device's keys and replica lie on its disk, and who may open them. */
#include "agent/commands.h"
#include "agent/encryption.h"
#include "agent/keys.h"
#include "agent/lease.h"
#include "agent/open.h"
#include "agent/passphrase.h"
#include "edge/clock.h"

#include <stdio.h>

enum exit_code command_unlock(struct program *program)
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
        return program_fail(result == RESULT_REFUSED ? EXIT_CODE_AUTHENTICATION
                                                     : program_code_of(result),
                            problem.text, "Nothing was changed.");
    return program_print("this device is open again\n");
}

/* The files are written anew, each whole: under the new passphrase, or without one. */
enum exit_code command_passphrase(struct program *program)
{
    const struct keys_opener opener = passphrase_opener(&program->options);
    bool is_removing = options_count(&program->options, "remove") > 0;
    struct problem problem = {0};
    struct files_lock lock;
    struct keys *keys = NULL;
    enum result result = program_take_lock(program, &lock, &problem);

    if (result != RESULT_OK)
        return program_fail(EXIT_CODE_TEMPORARY, problem.text, "Stop the agent first.");
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
        return program_fail(EXIT_CODE_AUTHENTICATION, problem.text, "Nothing was changed.");
    return program_print(is_removing ? "the keys are no longer under a passphrase\n"
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
    enum result result = program_take_lock(program, &lock, &problem);

    if (result != RESULT_OK)
        return program_fail(EXIT_CODE_TEMPORARY, problem.text, "Stop the agent first.");
    result = keys_load(program->data_folder, &opener, &keys, &problem);
    if (result != RESULT_OK) {
        files_lock_close(&lock);
        return program_fail(EXIT_CODE_AUTHENTICATION, problem.text, "Nothing was changed.");
    }
    result = is_on ? encryption_turn_on(program->data_folder, keys, &was, &problem)
                   : encryption_turn_off(program->data_folder, keys, &was, &problem);
    keys_destroy(keys);
    files_lock_close(&lock);
    if (result == RESULT_WAIT)
        return program_fail(EXIT_CODE_TEMPORARY, problem.text,
                            "Nothing was changed. Close it and try again.");
    if (result != RESULT_OK)
        return program_fail(program_code_of(result), problem.text, program_next_step_of(result));
    if (is_on)
        return program_print(was ? "the replica was encrypted already\n"
                                 : "the replica is encrypted now\n");
    return program_print(was ? "the replica wasn't encrypted\n"
                             : "the replica is an ordinary SQLite file again\n");
}

enum exit_code command_encrypt(struct program *program)
{
    return convert(program, true);
}

enum exit_code command_decrypt(struct program *program)
{
    return convert(program, false);
}

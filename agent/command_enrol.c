/* SPDX-License-Identifier: Apache-2.0 */
/* Makes this device one of the company, or anew under another number. */
#include "agent/commands.h"
#include "agent/daemon.h"
#include "agent/encryption.h"
#include "agent/keys.h"
#include "agent/open.h"
#include "agent/passphrase.h"
#include "agent/renewal.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

static enum result make_data_folder(const struct program *program, struct problem *problem)
{
    enum result result = files_make_folder(program->data_folder, problem);

    if (result == RESULT_OK && chmod(program->data_folder, 0700) != 0)
        return problem_set(problem, RESULT_REFUSED, "%s can't be made private",
                           program->data_folder);
    return result;
}

static enum exit_code say_enrolled(struct program *program, const struct daemon_outcome *outcome)
{
    const struct replica_identity *who = &outcome->who;
    char text[1024];

    if (program->is_json)
        snprintf(text, sizeof text,
                 "{\"enrolled\":true,\"replica_no\":%" PRId64
                 ",\"first_sync\":%s,\"pending\":%s,\"fingerprint\":\"%s\"}\n",
                 who->replica_no, outcome->is_delivered ? "true" : "false",
                 outcome->is_pending ? "true" : "false", outcome->fingerprint);
    else if (outcome->is_pending)
        snprintf(text, sizeof text,
                 "enrolled as %s (%s), replica %" PRId64 "\n"
                 "waiting for confirmation, fingerprint:  %s\n"
                 "Read the fingerprint to the office. `fieldsync-agent run` goes on by itself.\n",
                 who->user_login, who->series, who->replica_no, outcome->fingerprint);
    else if (outcome->is_delivered)
        snprintf(text, sizeof text,
                 "enrolled as %s (%s)\nfirst sync: %" PRId64 " KiB received in %.1f s\n",
                 who->user_login, who->series, outcome->bytes_received / 1024,
                 (double)outcome->duration_us / 1e6);
    else
        snprintf(text, sizeof text,
                 "enrolled as %s (%s)\nthe first sync isn't complete (%s): `fieldsync-agent run` "
                 "goes on with it\n",
                 who->user_login, who->series, outcome->reason);
    return program_print(text);
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
        result = program_take_lock(program, &lock, &problem);
    if (result != RESULT_OK)
        return program_fail(program_code_of(result), problem.text, program_next_step_of(result));
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
        exit_code = say_enrolled(program, &outcome);
        keys_destroy(keys);
        files_lock_close(&lock);
        return exit_code;
    }
    keys_destroy(keys);
    files_lock_close(&lock);
    if (result != RESULT_OK)
        return program_fail(program_code_of(result), problem.text, program_next_step_of(result));
    exit_code = outcome.exit_code != EXIT_CODE_OK ? outcome.exit_code : EXIT_CODE_FAILURE;
    return program_fail(
        exit_code, outcome.reason[0] != '\0' ? outcome.reason : "stopped",
        "This device isn't enrolled. Check the address and that the code is fresh, then "
        "enter it again; a code that was used or is too old is refused without a reason.");
}

enum exit_code command_enrol(struct program *program)
{
    struct identity_code code = {0};
    struct problem problem = {0};
    enum exit_code exit_code;
    enum result result =
        identity_code_decode(bytes_of_text(program->options.arguments[0]), &code, &problem);

    if (result != RESULT_OK)
        return program_fail(EXIT_CODE_AUTHENTICATION, problem.text,
                            "Nothing was changed. Copy the whole code of the office.");
    exit_code = enrol_with(program, &code);
    identity_wipe(&code, sizeof code);
    return exit_code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps this device in sync, or syncs it once: itself, or by the agent that already runs here. */
#include "agent/asking.h"
#include "agent/commands.h"
#include "agent/daemon.h"
#include "agent/keys.h"
#include "agent/passphrase.h"
#include "agent/settings.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>

static enum exit_code end_of(const struct daemon_outcome *outcome)
{
    if (outcome->is_revoked)
        return program_fail(EXIT_CODE_AUTHENTICATION, outcome->reason,
                            outcome->is_wiped ? "The keys and data of this device are destroyed."
                                              : "Everything recorded stays here. Ask the office.");
    if (outcome->is_pending) {
        char text[128];

        snprintf(text, sizeof text, "waiting for confirmation, fingerprint %s",
                 outcome->fingerprint);
        return program_fail(outcome->exit_code, text,
                            "Read the fingerprint to the office; everything recorded stays here.");
    }
    if (outcome->exit_code != EXIT_CODE_OK)
        return program_fail(outcome->exit_code, outcome->reason,
                            outcome->exit_code == EXIT_CODE_NETWORK
                                ? "Everything recorded stays here and is sent later."
                                : program_next_step_of(RESULT_STORAGE));
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
            return program_fail(EXIT_CODE_AUTHENTICATION, problem.text, "Nothing was changed.");
        return program_fail(
            EXIT_CODE_CONFIG, problem.text,
            "Enrol it first: `fieldsync-agent enrol CODE` with a code of your office.");
    }
    keys_destroy(keys);
    if (result != RESULT_OK)
        return program_fail(program_code_of(result), problem.text, program_next_step_of(result));
    return end_of(ret_outcome);
}

enum exit_code command_run(struct program *program)
{
    struct daemon_outcome outcome;
    struct problem problem = {0};
    struct config *config = NULL;
    struct files_lock lock;
    enum exit_code exit_code;
    enum result result = settings_load(program->data_folder, &program->options, &config, &problem);

    if (result != RESULT_OK) {
        config_destroy(config);
        return program_fail(EXIT_CODE_CONFIG, problem.text, "Nothing was started.");
    }
    result = program_take_lock(program, &lock, &problem);
    if (result != RESULT_OK) {
        config_destroy(config);
        return program_fail(EXIT_CODE_TEMPORARY, problem.text, "One agent a folder is enough.");
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
        return program_fail(program_code_of(result), problem.text, "");
    if (answer.has_lock)
        return EXIT_CODE_OK;
    if (answer.has_failed)
        return program_fail(EXIT_CODE_NETWORK, answer.state.last_failure,
                            "Everything recorded stays here; the agent tries again by itself.");
    if (!answer.is_answered)
        return program_fail(EXIT_CODE_TEMPORARY, "the running agent isn't done within a minute",
                            "It goes on by itself: `fieldsync-agent status`.");
    snprintf(text, sizeof text, "in sync: sent %" PRId64 " bytes, received %" PRId64 " bytes\n",
             answer.bytes_sent, answer.bytes_received);
    return program->is_json ? program_print("{\"in_sync\":true}\n") : program_print(text);
}

enum exit_code command_sync(struct program *program)
{
    struct daemon_outcome outcome = {0};
    struct problem problem = {0};
    struct files_lock lock;
    char text[256];
    enum exit_code exit_code;

    if (program_take_lock(program, &lock, &problem) != RESULT_OK) {
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
    return program->is_json ? program_print("{\"in_sync\":true}\n") : program_print(text);
}

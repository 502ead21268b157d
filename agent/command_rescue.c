/* SPDX-License-Identifier: Apache-2.0 */
/* Puts a new replica in a damaged one's place and says what became of the unsent work. */
#include "agent/cli/state_file.h"
#include "agent/commands.h"
#include "agent/keys.h"
#include "agent/passphrase.h"
#include "agent/rescue.h"
#include "edge/clock.h"
#include "edge/terminal.h"

enum { RESCUE_ARENA_SIZE_MAX = 256 << 20 };

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
enum exit_code command_rescue(struct program *program)
{
    const struct keys_opener opener = passphrase_opener(&program->options);
    struct rescue_said said = {0};
    struct problem problem = {0};
    struct files_lock lock;
    struct arena arena;
    struct keys *keys = NULL;
    char path[FILES_PATH_SIZE];
    enum exit_code exit_code = EXIT_CODE_OK;
    enum result result = files_join(program->data_folder, REPLICA_FILE_NAME, path, &problem);

    if (result == RESULT_OK && !files_exists(path) && !rescue_is_unfinished(program->data_folder))
        return program_fail(EXIT_CODE_CONFIG, "there is no replica here to rescue",
                            "Nothing was changed. Say its folder with --data.");
    if (result == RESULT_OK)
        result = program_take_lock(program, &lock, &problem);
    if (result != RESULT_OK)
        return program_fail(EXIT_CODE_TEMPORARY, problem.text, "Stop the agent first.");
    if (keys_have_replica_file(program->data_folder) &&
        keys_load(program->data_folder, &opener, &keys, &problem) != RESULT_OK) {
        files_lock_close(&lock);
        return program_fail(EXIT_CODE_AUTHENTICATION, problem.text,
                            "The replica is encrypted. Nothing was changed.");
    }
    arena_init(&arena, RESCUE_ARENA_SIZE_MAX);
    result = rescue_folder(program->data_folder, keys, clock_wall_now(), &arena, &said, &problem);
    exit_code =
        result == RESULT_OK
            ? say_rescue(program, &said)
            : program_fail(program_code_of(result), problem.text,
                           "The replica is as it was. Keep the whole folder for the office.");
    arena_done(&arena);
    keys_destroy(keys);
    files_lock_close(&lock);
    return exit_code;
}

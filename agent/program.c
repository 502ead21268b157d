/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/program.h"

#include "agent/cli/state_file.h"
#include "edge/terminal.h"

#include <stdio.h>
#include <string.h>

/* "error: cause. effect. next step" */
enum exit_code program_fail(enum exit_code code, const char *cause, const char *next)
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

enum exit_code program_code_of(enum result result)
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

const char *program_next_step_of(enum result result)
{
    switch (result) {
    case RESULT_WAIT:
        return "Nothing was changed. Another program is writing: try again in a moment.";
    case RESULT_EXHAUSTED:
        return "Nothing was changed. Make room, in memory or on the disk, and try again.";
    case RESULT_STORAGE:
        return "Run `fieldsync-agent verify`. If the replica is damaged, `fieldsync-agent rescue` "
               "saves the unsent work; don't delete anything before the office has seen it.";
    default:
        return "Nothing was changed.";
    }
}

enum exit_code program_print(const char *text)
{
    struct problem problem = {0};

    return terminal_write(1, bytes_of_text(text), &problem) == RESULT_OK ? EXIT_CODE_OK
                                                                         : EXIT_CODE_FAILURE;
}

enum result program_take_lock(const struct program *program, struct files_lock *lock,
                              struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(program->data_folder, LOCK_FILE_NAME, path, problem);

    return result == RESULT_OK ? files_lock_open(path, lock, problem) : result;
}

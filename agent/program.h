/* SPDX-License-Identifier: Apache-2.0 */
/* program.h: one call of fieldsync-agent, and what its commands share: the data folder's lock, how
 * they say things, which exit code a failure has. */
#pragma once

#include "edge/files.h"
#include "edge/log.h"
#include "edge/options.h"

struct program {
    struct options options;
    char data_folder[FILES_PATH_SIZE];
    bool is_json;
    struct log *log;
};

/* Says "error: cause. next step" and returns `code`; `next` may be "". */
enum exit_code program_fail(enum exit_code code, const char *cause, const char *next);
enum exit_code program_print(const char *text);
/* How a failure ends that the command has nothing special to say about. */
enum exit_code program_code_of(enum result result);
const char *program_next_step_of(enum result result);
/* Failures as files_lock_open: somebody has it. */
MUST_CHECK enum result program_take_lock(const struct program *program, struct files_lock *lock,
                                         struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* asking.h: a person's "sync now", for an agent that runs already: written to a file beside the
 * replica, answered in the agent's state file (agent/cli/state_file.h). */
#pragma once

#include "agent/cli/state_file.h"
#include "edge/files.h"

struct asking_answer {
    bool has_lock;    /* the agent that was asked has ended: `lock` is the caller's now */
    bool is_answered; /* everything is delivered */
    bool has_failed;  /* it couldn't connect: state.last_failure */
    int64_t bytes_sent, bytes_received; /* meanwhile */
    struct state_file state;
};

/* Waits up to a minute. None of the three: it isn't done yet. */
MUST_CHECK enum result asking_run(const char *data_folder, struct files_lock *lock,
                                  struct asking_answer *ret_answer, struct problem *problem);

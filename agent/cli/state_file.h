/* SPDX-License-Identifier: Apache-2.0 */
/* state_file.h: what a running agent tells the other commands: a small text file beside the
 * replica, written whole when something changes. Lines of `key value`; unknown keys are skipped. */
#pragma once

#include "agent/core/agent.h"

#define STATE_FILE_NAME "agent.state"
/* a person asks: holds a number that the answer repeats */
#define REQUEST_FILE_NAME        "sync-now"
#define LOCK_FILE_NAME           "agent.lock"
#define REPLICA_FILE_NAME        "replica.db"
#define REPLICA_FRESH_FILE_NAME  "replica.db.new" /* while it is encrypted or decrypted */
#define REPLICA_FORMER_FILE_NAME "replica.db.old" /* what it was before it was encrypted */
#define BLOBS_FOLDER_NAME        "blobs"
#define KEY_FILE_NAME            "device.key"
#define REPLICA_KEY_FILE_NAME    "replica.key" /* of an encrypted replica */
#define SERVER_FILE_NAME         "server"

struct state_file {
    bool is_there;
    char state[24]; /* agent_state_name */
    int64_t written_at;
    int64_t connected_at;      /* us, 0: not connected */
    int64_t unreachable_since; /* us, 0: reachable, or never tried */
    int64_t next_try_at;       /* us, 0: none planned */
    int64_t bytes_sent;
    int64_t bytes_received;
    int64_t repairs;
    int64_t answered; /* the last request that was followed by an idle moment */
    int64_t failed;   /* the last request that met a failure to connect */
    bool is_idle;
    bool is_disk_full;
    bool is_pending;      /* the office hasn't confirmed this device yet */
    char fingerprint[24]; /* of the device's key */
    char last_failure[200];
    char alarm[200]; /* the last one */
};

MUST_CHECK enum result state_file_write(const char *data_folder, const struct state_file *state,
                                        struct problem *problem);
/* Removes what writers left behind that were killed; only for whoever holds the folder's lock. */
void state_file_tidy(const char *data_folder);
/* A missing or unreadable file gives is_there false. */
void state_file_read(const char *data_folder, struct state_file *ret_state);

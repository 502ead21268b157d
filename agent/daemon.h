/* SPDX-License-Identifier: Apache-2.0 */
/* daemon.h: the agent's core joined with a socket, a clock, files and signals, on one thread.
 *
 * Watches the replica's write-ahead log, so that what any program commits goes up at once, and
 * looks once a second for what the watch can't see. Other commands learn how it stands from the
 * state file (agent/cli/state_file.h) and ask for a sync by writing the request file. */
#pragma once

#include "agent/keys.h"
#include "agent/replica/replica.h"
#include "edge/log.h"
#include "edge/options.h"

enum daemon_mode {
    DAEMON_RUN,   /* until a signal */
    DAEMON_ONCE,  /* until everything is delivered both ways, or the first failure */
    DAEMON_ENROL, /* with a code, then as DAEMON_ONCE */
};

struct daemon_options {
    enum daemon_mode mode;
    const char *data_folder; /* exists, and its lock is held */
    struct keys *keys;       /* changed: psk after an enrolment, serial */
    struct log *log;
    const struct identity_code *code; /* DAEMON_ENROL */
    const char *device_name;          /* DAEMON_ENROL */
    const char *app_version;
    const char *http_listen; /* DAEMON_RUN: local_http.h; NULL: off */
};

/* What happened, for the words of the command. */
struct daemon_outcome {
    enum exit_code exit_code;
    bool is_enrolled;            /* DAEMON_ENROL: the keys are stored */
    struct replica_identity who; /* then: who it is now */
    bool is_delivered;           /* everything was delivered both ways */
    bool is_pending;             /* not confirmed by the office yet */
    char fingerprint[IDENTITY_FINGERPRINT_SIZE];
    bool is_revoked;
    bool is_wiped;
    int64_t bytes_sent;
    int64_t bytes_received;
    int64_t duration_us;
    char reason[PROBLEM_TEXT_SIZE]; /* why not, in words */
};

/* RESULT_OK says that it ran; how it went is in the outcome. Others: it couldn't start. */
MUST_CHECK enum result daemon_run(const struct daemon_options *options,
                                  struct daemon_outcome *ret_outcome, struct problem *problem);

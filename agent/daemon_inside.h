/* SPDX-License-Identifier: Apache-2.0 */
/* daemon_inside.h: what the files of the agent's daemon share; nobody else includes it.
 *
 *   daemon.c        beginning and ending: files, socket, timers, signals; one run after the other
 *   daemon_step.c   one step of the core, its effects, and when a single sync is done
 *   daemon_link.c   the one connection: dialling, sending, what the socket tells
 *   daemon_keys.c   what a step changes in the files of keys
 *   daemon_state.c  the state file, and whether all is delivered
 *   daemon_watch.c  local commits, requests of other commands, rest in quiet times */
#pragma once

#include "agent/cli/state_file.h"
#include "agent/core/agent.h"
#include "agent/daemon.h"
#include "agent/renewal.h"
#include "edge/loop.h"
#include "edge/watch.h"
#include "edge/websocket.h"

struct daemon {
    const struct daemon_options *options;
    struct daemon_outcome *outcome;
    const struct renewal *renewal; /* its keys are NULL: none is under way */
    struct keys *keys;             /* of the renewal, or the options' */
    struct problem *problem;
    struct trace trace;
    struct loop *loop;
    struct websocket *websocket;
    struct loop_timer *deadline_timer; /* what the core waits for */
    struct loop_timer *look_timer;
    bool is_resting;
    bool has_reserve;      /* to be given up when the disk is full */
    int64_t look_delay_us; /* from one look to the next, without a write seen by the watch */
    struct loop_timer *state_timer;
    struct loop_timer *stop_timer;
    struct watch *log_watch;     /* replica.db-wal */
    struct watch *request_watch; /* sync-now */
    struct replica *replica;
    struct blob_store *blobs;
    struct local_http *local_http; /* NULL: off */
    struct agent *agent;
    uint64_t connection; /* 0: none */
    int64_t change_counter;
    int64_t request; /* number in the request file that waits for its answer; 0: none */
    int64_t request_last;
    struct mono_time idle_since; /* MONO_NEVER: not idle */
    struct mono_time started_at;
    struct mono_time age_due; /* when the age of the keys is looked at next */
    struct state_file state;
    bool is_state_due;
    bool is_stopping;
    bool is_ending;
    bool is_reopening;  /* the replica's file is in trouble: close it, open it, look */
    bool is_new_schema; /* the server has sent scripts: they run when the replica is opened */
    bool is_renewing;   /* other keys or none: everything begins anew */
    int rejected_count; /* times that the code of the renewal was turned away */
    bool is_wiping;
};

/* daemon_step.c */
void daemon_step(struct daemon *daemon, struct agent_event event);
/* Says BYE; what was said last goes out first. */
void daemon_stop(struct daemon *daemon);
/* The first call's code and reason count; the loop stops. */
void daemon_end(struct daemon *daemon, enum exit_code code, const char *reason);
void daemon_keep_reserve(struct daemon *daemon);

/* daemon_link.c */
void daemon_dial(struct daemon *daemon);
void daemon_send(struct daemon *daemon, struct bytes message);
void daemon_hang_up(struct daemon *daemon);
void daemon_on_opened(void *context, uint64_t connection, const char *peer);
void daemon_on_received(void *context, uint64_t connection, struct bytes message);
void daemon_on_drained(void *context, uint64_t connection);
void daemon_on_closed(void *context, uint64_t connection, const struct websocket_end *how);

/* daemon_keys.c */
void daemon_on_enrolled(struct daemon *daemon, struct bytes psk);
void daemon_on_renew(struct daemon *daemon, struct bytes token);
void daemon_on_rejected(struct daemon *daemon);
void daemon_on_next_psk(struct daemon *daemon, struct bytes psk);
void daemon_on_keys_rotated(struct daemon *daemon);
void daemon_on_keys_reverted(struct daemon *daemon);
void daemon_rotate_keys(struct daemon *daemon);
void daemon_look_at_age(struct daemon *daemon);
void daemon_note_serial(struct daemon *daemon, int64_t serial);
void daemon_note_root(struct daemon *daemon, const uint8_t *root_public_key);

/* daemon_state.c */
void daemon_on_state_timer(void *context);
void daemon_note_state(struct daemon *daemon, const struct agent_status *status);
bool daemon_is_delivered(struct daemon *daemon, const struct agent_status *status);

/* daemon_watch.c */
void daemon_on_look_timer(void *context);
/* Begins to look; the look timer and the watches exist from here on. */
void daemon_begin_watching(struct daemon *daemon);

/* SPDX-License-Identifier: Apache-2.0 */
/* run_inside.h: what run.c, run_threads.c and run_admin.c share; nobody else includes it. */
#pragma once

#include "base/trace.h"
#include "edge/http.h"
#include "edge/loop.h"
#include "edge/watch.h"
#include "edge/websocket.h"
#include "edge/websocket_listener.h"
#include "edge/worker.h"
#include "server/audit_copy.h"
#include "server/core/server.h"
#include "server/http/web.h"
#include "server/run.h"
#include "server/service/audit.h"

/* A commit, copied for the loop's thread. */
struct commit_note {
    struct arena arena;
    struct master_outcome outcome;
};

/* A job on its way to a thread and back. */
struct errand {
    struct worker_job worker_job;
    struct run *run;
    struct job *job;                               /* NULL: only look whether others have written */
    void (*asked)(void *context, struct job *job); /* NULL: the core's job */
    void *asked_context;
    struct errand *next;
    /* first of a group only: what came of it, told before its jobs' answers */
    struct commit_note *foreign; /* what other programs' commits touched */
    struct commit_note *commit;
    bool others_wrote;
    enum result result; /* of the group */
    struct problem problem;
    struct audit_newest root;
    int64_t commit_us; /* 0: no group of writes */
    size_t group_size;
};

/* The writer's, touched by its thread only. */
struct writer {
    struct master *master;
    int64_t data_version;
    int64_t head;               /* all commits up to here were told */
    struct mono_time worked_at; /* its last group */
    bool is_rested;             /* since then it has given back what it keeps in memory */
    struct audit_newest root;   /* of the audit log, as of audit.last_id */
    bool is_dead;               /* the store failed; the process is about to end */
    struct audit_copy audit;
    struct arena arena;
};

enum { RUN_READERS_MAX = 16 };

struct run_counts {
    int64_t group_count;
    int64_t group_jobs;
    int64_t commit_us;
};

struct run {
    struct setup *setup;
    const struct options *options;
    struct config *config;
    struct log *log;
    struct trace trace;
    enum exit_code exit_code;

    struct loop *loop;
    struct websocket *websocket;
    struct listener *listener;
    struct http *http;
    struct listener *admin_listener;
    struct web *web;
    char *admin_token; /* in guarded memory; NULL: none is set */
    struct watch *watch;
    struct loop_timer *step_timer;
    struct loop_timer *look_timer;
    struct loop_timer *stop_timer;
    struct loop_timer *watchdog_timer;

    struct server *server;
    struct worker *writer_worker;
    struct worker *reader_worker;
    struct writer writer;
    struct master *readers[RUN_READERS_MAX]; /* each its thread's; NULL: not opened */

    struct errand look;
    struct errand warm_up; /* no job: opens the first reader */
    int64_t work_seen;     /* groups and publications at the last look: unchanged is quiet */
    bool is_resting;
    struct mono_time trim_at; /* without quiet, not before */
    bool is_looking;
    int64_t look_delay_us;  /* from one look to the next, without a write seen by the watch */
    struct errand *bounced; /* no thread took them: answered "wait" at the end of the step */
    bool is_stopping;
    bool is_debug;
    bool is_failing;               /* the last group was not committed */
    struct mono_time failing_told; /* in the log, last */
    struct run_counts counts;
    struct audit_newest root; /* of the audit log */
};

enum { RUN_QUEUE_MAX = 65536, RUN_GROUP_MAX = 256, RUN_BATCH_MAX = 1024 };

/* ---- run.c ---- */

/* One event, its effects, and what follows at once. The caller fills in kind and what belongs to
 * it; times and random bytes are added here. */
void run_step(struct run *run, struct server_event event);
void run_fail(struct run *run, const char *event, enum result result, const struct problem *problem,
              enum exit_code exit_code);

/* ---- run_threads.c ---- */

MUST_CHECK enum result run_threads_start(struct run *run, struct problem *problem);
/* Waits for what runs; its answers are told. */
void run_threads_stop(struct run *run);
/* Hands a job to its thread; bounced if there is no room. */
void run_submit(struct run *run, struct job *job);
/* The same for a job that isn't the core's: `done` gets it back. False: no room. */
bool run_ask(struct run *run, struct job *job, void (*done)(void *context, struct job *job),
             void *done_context);
/* Asks the writer whether another program has committed. */
void run_look(struct run *run);

/* ---- run_admin.c ---- */

MUST_CHECK enum result run_admin_start(struct run *run, struct problem *problem);

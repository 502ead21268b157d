/* SPDX-License-Identifier: Apache-2.0 */
/* worker.h: threads for what would hold up the loop: the database, documents, backups.
 *
 * A bounded queue of jobs in order of submission, in one of two forms. A pool: N threads, each
 * takes one job and runs it. A gatherer: a thread takes all waiting jobs at once, up to a limit,
 * and gets them as one array, so that a whole group can share one transaction and one fsync; while
 * it works the next group gathers by itself. A further thread of a gatherer takes jobs only while
 * all before it are busy, so that what it needs can be opened when it is first called.
 *
 * When a job has run, `done` is called on the loop's thread; the completions of a gatherer with one
 * thread arrive in the order of submission. Jobs belong to the caller and nothing is allocated for
 * them: submitting fails for one reason only, a full queue. The threads have all signals blocked.
 */
#pragma once

#include "base/result.h"
#include "edge/loop.h"

#include <stddef.h>
#include <stdint.h>

struct worker;

/* Kept by the caller from worker_submit until `done` begins; then it may be freed or used again. */
struct worker_job {
    void (*run)(void *context);  /* on a worker thread; unused by a gatherer */
    void (*done)(void *context); /* on the loop's thread; NULL: nobody waits (the job must then
                                    stay until worker_stop has returned) */
    void *context;
    struct loop_call call; /* the worker's, as is the next */
    struct worker_job *next;
};

enum { WORKER_THREAD_COUNT_MAX = 64, WORKER_GROUP_COUNT_MAX = 4096 };

struct worker_options {
    struct loop *loop;      /* where `done` is called */
    const char *name;       /* of the threads, up to 15 bytes are shown by ps -T */
    size_t thread_count;    /* 1 to WORKER_THREAD_COUNT_MAX */
    size_t queue_count_max; /* waiting jobs, at least 1 */
    int niceness;           /* 0 to 19: whose work may wait while others have some (nice(2)) */
    /* Not NULL: a gatherer. Called on thread `thread_index` (from 0) with 1 to group_count_max
     * jobs, in order of submission; `jobs` is borrowed for the call. With none: a further thread
     * had nothing to do for idle_ms and may give back what it opened. */
    void (*gather)(void *context, size_t thread_index, struct worker_job *const *jobs,
                   size_t count);
    void *gather_context;
    size_t group_count_max; /* 1 to WORKER_GROUP_COUNT_MAX */
    int64_t idle_ms;        /* 0: further threads are never told */
};

/* RESULT_EXHAUSTED: memory, or the system gives no more threads; nothing is left running. */
MUST_CHECK enum result worker_create(const struct worker_options *options,
                                     struct worker **ret_worker, struct problem *problem);

/* Any thread. RESULT_EXHAUSTED: the queue is full, tell the sender to come back later;
 * RESULT_REFUSED: the worker is stopping. In both cases the job is the caller's again. */
MUST_CHECK enum result worker_submit(struct worker *worker, struct worker_job *job,
                                     struct problem *problem);

/* Jobs that wait, without those that run. Any thread. */
size_t worker_queue_count(struct worker *worker);

/* Takes no more jobs, runs what waits, and returns when the last thread has ended. On the loop's
 * thread: then every `done` has been called, too. Call it once, worker_destroy does it otherwise.
 */
void worker_stop(struct worker *worker);
void worker_destroy(struct worker *worker); /* stops, frees; NULL is fine */

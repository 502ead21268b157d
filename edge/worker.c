/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/worker.h"

#include "base/invariant.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { THREAD_NAME_SIZE = 16 }; /* with the closing NUL: pthread_setname_np(3) */

/* One thread, and of a gatherer its array. */
struct worker_thread {
    struct worker *worker;
    size_t index;
    pthread_t thread;
    struct worker_job **group; /* group_count_max items; NULL: a pool */
};

struct worker {
    struct worker_options options;
    struct worker_thread threads[WORKER_THREAD_COUNT_MAX];
    size_t thread_count;  /* started and not yet joined */
    pthread_mutex_t lock; /* guards what follows */
    size_t busy_count;    /* threads that run jobs */
    pthread_cond_t changed;
    struct worker_job *job_first;
    struct worker_job *job_last;
    size_t job_count;
    bool stopping;
};

enum taken { TAKEN_JOBS, TAKEN_NOTHING, TAKEN_STOP };

/* A further thread of a gatherer is for what the ones before it leave waiting. */
static bool may_take(const struct worker *worker, const struct worker_thread *thread)
{
    return worker->job_first != NULL &&
           (thread->group == NULL || thread->index <= worker->busy_count);
}

static struct timespec idle_end(const struct worker *worker)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(worker->options.idle_ms / 1000);
    end.tv_nsec += (long)(worker->options.idle_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    return end;
}

/* Waits until there is something to do, or, once, until the thread has idled for long. */
static enum taken worker_wait(struct worker *worker, const struct worker_thread *thread,
                              bool *is_rested)
{
    bool has_end = worker->options.idle_ms > 0 && thread->index > 0 && !*is_rested;
    struct timespec end = idle_end(worker);

    while (!may_take(worker, thread)) {
        if (worker->stopping && (worker->job_first == NULL || thread->index > 0))
            return TAKEN_STOP; /* the first thread runs what is left */
        if (!has_end) {
            pthread_cond_wait(&worker->changed, &worker->lock);
        } else if (pthread_cond_timedwait(&worker->changed, &worker->lock, &end) == ETIMEDOUT) {
            *is_rested = true;
            return TAKEN_NOTHING;
        }
    }
    *is_rested = false;
    return TAKEN_JOBS;
}

/* Takes up to `count_max` jobs; those of the call before are done. */
static enum taken worker_take(struct worker_thread *thread, struct worker_job **ret_jobs,
                              size_t count_max, size_t *ret_count, bool *is_rested)
{
    struct worker *worker = thread->worker;
    size_t count = 0;
    enum taken taken;

    pthread_mutex_lock(&worker->lock);
    if (*ret_count > 0)
        worker->busy_count--;
    taken = worker_wait(worker, thread, is_rested);
    while (taken == TAKEN_JOBS && count < count_max && worker->job_first != NULL) {
        struct worker_job *job = worker->job_first;

        worker->job_first = job->next;
        job->next = NULL;
        ret_jobs[count++] = job;
    }
    if (worker->job_first == NULL)
        worker->job_last = NULL;
    invariant(worker->job_count >= count);
    worker->job_count -= count;
    if (count > 0 && ++worker->busy_count < worker->options.thread_count &&
        worker->job_first != NULL)
        pthread_cond_broadcast(&worker->changed); /* now the next thread may take the rest */
    *ret_count = count;
    pthread_mutex_unlock(&worker->lock);
    return taken;
}

static void worker_finish(struct worker *worker, struct worker_job *job)
{
    if (job->done == NULL)
        return;
    job->call = (struct loop_call){.run = job->done, .context = job->context};
    loop_post(worker->options.loop, &job->call); /* from here on the job is not ours */
}

/* On Linux niceness is a thread's own. It is a wish: who may not have it works as before. */
static void be_nice(const struct worker_thread *thread)
{
    if (thread->worker->options.niceness > 0)
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), thread->worker->options.niceness);
}

static void *worker_run_pool(void *context)
{
    struct worker_thread *thread = context;
    struct worker_job *job = NULL;
    size_t count = 0;
    bool is_rested = true;

    be_nice(thread);
    while (worker_take(thread, &job, 1, &count, &is_rested) == TAKEN_JOBS) {
        job->run(job->context);
        worker_finish(thread->worker, job);
    }
    return NULL;
}

static void *worker_run_gatherer(void *context)
{
    struct worker_thread *thread = context;
    const struct worker_options *options = &thread->worker->options;
    size_t count = 0;
    bool is_rested = true; /* nothing was opened yet */

    be_nice(thread);
    while (worker_take(thread, thread->group, options->group_count_max, &count, &is_rested) !=
           TAKEN_STOP) {
        options->gather(options->gather_context, thread->index, thread->group, count);
        for (size_t i = 0; i < count; i++)
            worker_finish(thread->worker, thread->group[i]);
    }
    return NULL;
}

static enum result worker_start_threads(struct worker *worker, struct problem *problem)
{
    char name[THREAD_NAME_SIZE];
    sigset_t all;
    sigset_t before;
    int error = 0;

    (void)snprintf(name, sizeof(name), "%s", worker->options.name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* threads inherit it: signals are the loop's */
    while (worker->thread_count < worker->options.thread_count && error == 0) {
        struct worker_thread *thread = &worker->threads[worker->thread_count];

        error = pthread_create(
            &thread->thread, NULL,
            worker->options.gather == NULL ? worker_run_pool : worker_run_gatherer, thread);
        if (error == 0) {
            (void)pthread_setname_np(thread->thread, name);
            worker->thread_count++;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return problem_set(problem, RESULT_EXHAUSTED, "thread %zu of %zu for %s: %s",
                           worker->thread_count + 1, worker->options.thread_count, name,
                           strerror(error));
    return RESULT_OK;
}

/* The threads' places, and what each gathers into. */
static bool worker_make_groups(struct worker *worker)
{
    const struct worker_options *options = &worker->options;

    invariant(options->gather == NULL ||
              (options->group_count_max > 0 && options->group_count_max <= WORKER_GROUP_COUNT_MAX));
    for (size_t i = 0; i < options->thread_count; i++) {
        struct worker_thread *thread = &worker->threads[i];

        thread->worker = worker;
        thread->index = i;
        if (options->gather == NULL)
            continue;
        thread->group = calloc(options->group_count_max, sizeof(struct worker_job *));
        if (thread->group == NULL)
            return false;
    }
    return true;
}

static void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum result worker_create(const struct worker_options *options, struct worker **ret_worker,
                          struct problem *problem)
{
    struct worker *worker;
    enum result result;

    invariant(options->loop != NULL && options->name != NULL && options->queue_count_max > 0);
    invariant(options->thread_count > 0 && options->thread_count <= WORKER_THREAD_COUNT_MAX);
    worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a worker");
    worker->options = *options;
    pthread_mutex_init(&worker->lock, NULL);
    condition_init(&worker->changed);
    if (!worker_make_groups(worker)) {
        worker_destroy(worker);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a group of jobs");
    }
    result = worker_start_threads(worker, problem);
    if (result != RESULT_OK) {
        worker_destroy(worker);
        return result;
    }
    *ret_worker = worker;
    return RESULT_OK;
}

enum result worker_submit(struct worker *worker, struct worker_job *job, struct problem *problem)
{
    enum result result = RESULT_OK;

    pthread_mutex_lock(&worker->lock);
    if (worker->stopping) {
        result = problem_set(problem, RESULT_REFUSED, "%s is stopping", worker->options.name);
    } else if (worker->job_count >= worker->options.queue_count_max) {
        result = problem_set(problem, RESULT_EXHAUSTED, "%s has %zu jobs waiting, its limit",
                             worker->options.name, worker->job_count);
    } else {
        job->next = NULL;
        if (worker->job_last == NULL)
            worker->job_first = job;
        else
            worker->job_last->next = job;
        worker->job_last = job;
        worker->job_count++;
        if (worker->options.gather != NULL && worker->options.thread_count > 1)
            pthread_cond_broadcast(&worker->changed); /* one of them may take it */
        else
            pthread_cond_signal(&worker->changed);
    }
    pthread_mutex_unlock(&worker->lock);
    return result;
}

size_t worker_queue_count(struct worker *worker)
{
    size_t count;

    pthread_mutex_lock(&worker->lock);
    count = worker->job_count;
    pthread_mutex_unlock(&worker->lock);
    return count;
}

void worker_stop(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_broadcast(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    for (size_t i = 0; i < worker->thread_count; i++)
        (void)pthread_join(worker->threads[i].thread, NULL);
    worker->thread_count = 0;
    invariant(worker->job_first == NULL);
    loop_run_posted(worker->options.loop);
}

void worker_destroy(struct worker *worker)
{
    if (worker == NULL)
        return;
    worker_stop(worker);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    for (size_t i = 0; i < worker->options.thread_count; i++)
        free(worker->threads[i].group);
    free(worker);
}

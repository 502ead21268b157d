/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/worker.h"

#include "base/invariant.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREAD_NAME_SIZE = 16 }; /* with the closing NUL: pthread_setname_np(3) */

struct worker {
    struct worker_options options;
    struct worker_job **group; /* the gatherer's array, group_count_max items */
    pthread_t threads[WORKER_THREAD_COUNT_MAX];
    size_t thread_count;  /* started and not yet joined */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct worker_job *job_first;
    struct worker_job *job_last;
    size_t job_count;
    bool stopping;
};

/* Waits for jobs and takes up to `count_max` of them; none means: stop. */
static size_t worker_take(struct worker *worker, struct worker_job **ret_jobs, size_t count_max)
{
    size_t count = 0;

    pthread_mutex_lock(&worker->lock);
    while (worker->job_first == NULL && !worker->stopping)
        pthread_cond_wait(&worker->changed, &worker->lock);
    while (count < count_max && worker->job_first != NULL) {
        struct worker_job *job = worker->job_first;

        worker->job_first = job->next;
        job->next = NULL;
        ret_jobs[count++] = job;
    }
    if (worker->job_first == NULL)
        worker->job_last = NULL;
    invariant(worker->job_count >= count);
    worker->job_count -= count;
    pthread_mutex_unlock(&worker->lock);
    return count;
}

static void worker_finish(struct worker *worker, struct worker_job *job)
{
    if (job->done == NULL)
        return;
    job->call = (struct loop_call){.run = job->done, .context = job->context};
    loop_post(worker->options.loop, &job->call); /* from here on the job is not ours */
}

static void *worker_run_pool(void *context)
{
    struct worker *worker = context;
    struct worker_job *job;

    while (worker_take(worker, &job, 1) == 1) {
        job->run(job->context);
        worker_finish(worker, job);
    }
    return NULL;
}

static void *worker_run_gatherer(void *context)
{
    struct worker *worker = context;
    size_t count;

    while ((count = worker_take(worker, worker->group, worker->options.group_count_max)) > 0) {
        worker->options.gather(worker->options.gather_context, worker->group, count);
        for (size_t i = 0; i < count; i++)
            worker_finish(worker, worker->group[i]);
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
        pthread_t *thread = &worker->threads[worker->thread_count];

        error = pthread_create(
            thread, NULL, worker->options.gather == NULL ? worker_run_pool : worker_run_gatherer,
            worker);
        if (error == 0) {
            (void)pthread_setname_np(*thread, name);
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
    pthread_cond_init(&worker->changed, NULL);
    if (options->gather != NULL) {
        invariant(options->thread_count == 1);
        invariant(options->group_count_max > 0 &&
                  options->group_count_max <= WORKER_GROUP_COUNT_MAX);
        worker->group = calloc(options->group_count_max, sizeof(struct worker_job *));
        if (worker->group == NULL) {
            worker_destroy(worker);
            return problem_set(problem, RESULT_EXHAUSTED, "no memory for a group of jobs");
        }
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
        (void)pthread_join(worker->threads[i], NULL);
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
    free(worker->group);
    free(worker);
}

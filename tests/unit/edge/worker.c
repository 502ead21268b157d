/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/worker.h"

#include "tests/unit/edge/rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { JOB_COUNT = 200 };

struct bench;

struct task {
    struct worker_job job;
    struct bench *bench;
    size_t number;
    bool ran;
    bool done;
};

struct bench {
    struct loop *loop;
    struct worker *worker;
    struct problem problem;
    pthread_t loop_thread;
    pthread_mutex_t gate; /* held by a test to keep the worker busy */
    atomic_size_t run_count;
    atomic_size_t further_count; /* jobs of the second thread */
    atomic_size_t rest_count;
    size_t done_count;
    size_t done_order[JOB_COUNT];
    size_t groups[JOB_COUNT];
    size_t group_count;
    struct task tasks[JOB_COUNT];
};

static void task_run(void *context)
{
    struct task *task = context;

    assert_false(pthread_equal(pthread_self(), task->bench->loop_thread));
    pthread_mutex_lock(&task->bench->gate);
    pthread_mutex_unlock(&task->bench->gate);
    task->ran = true;
    atomic_fetch_add(&task->bench->run_count, 1);
}

static void task_done(void *context)
{
    struct task *task = context;
    struct bench *bench = task->bench;

    assert_true(pthread_equal(pthread_self(), bench->loop_thread));
    assert_true(task->ran);
    assert_false(task->done);
    task->done = true;
    bench->done_order[bench->done_count++] = task->number;
}

static void gather(void *context, size_t thread_index, struct worker_job *const *jobs, size_t count)
{
    struct bench *bench = context;

    assert_int_equal(thread_index, 0);
    pthread_mutex_lock(&bench->gate);
    pthread_mutex_unlock(&bench->gate);
    bench->groups[bench->group_count++] = count;
    for (size_t i = 0; i < count; i++)
        ((struct task *)jobs[i]->context)->ran = true;
}

static void bench_open(struct bench *bench, struct worker_options options)
{
    memset(bench, 0, sizeof(*bench));
    bench->loop_thread = pthread_self();
    assert_int_equal(pthread_mutex_init(&bench->gate, NULL), 0);
    assert_int_equal(loop_create(NULL, &bench->loop, &bench->problem), RESULT_OK);
    options.loop = bench->loop;
    options.name = "test-worker";
    if (options.gather != NULL)
        options.gather_context = bench;
    assert_int_equal(worker_create(&options, &bench->worker, &bench->problem), RESULT_OK);
    for (size_t i = 0; i < JOB_COUNT; i++) {
        struct task *task = &bench->tasks[i];

        task->bench = bench;
        task->number = i;
        task->job = (struct worker_job){.run = task_run, .done = task_done, .context = task};
    }
}

static void bench_close(struct bench *bench)
{
    worker_destroy(bench->worker);
    loop_destroy(bench->loop);
    (void)pthread_mutex_destroy(&bench->gate);
}

static enum result submit(struct bench *bench, size_t number)
{
    return worker_submit(bench->worker, &bench->tasks[number].job, &bench->problem);
}

static bool all_done(void *context)
{
    return ((struct bench *)context)->done_count == JOB_COUNT;
}

static bool queue_is_empty(void *context)
{
    return worker_queue_count(((struct bench *)context)->worker) == 0;
}

static void jobs_run_on_threads_and_end_on_the_loop(void **state)
{
    static struct bench bench;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 4, .queue_count_max = JOB_COUNT});
    for (size_t i = 0; i < JOB_COUNT; i++)
        assert_int_equal(submit(&bench, i), RESULT_OK);
    assert_true(rounds_until(bench.loop, all_done, &bench, 5000));
    assert_int_equal(atomic_load(&bench.run_count), JOB_COUNT);
    bench_close(&bench);
}

static void a_single_thread_keeps_the_order(void **state)
{
    static struct bench bench;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 1, .queue_count_max = JOB_COUNT});
    for (size_t i = 0; i < JOB_COUNT; i++)
        assert_int_equal(submit(&bench, i), RESULT_OK);
    assert_true(rounds_until(bench.loop, all_done, &bench, 5000));
    for (size_t i = 0; i < JOB_COUNT; i++)
        assert_int_equal(bench.done_order[i], i);
    bench_close(&bench);
}

static void a_full_queue_refuses_and_later_takes_again(void **state)
{
    static struct bench bench;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 1, .queue_count_max = 3});
    pthread_mutex_lock(&bench.gate);
    assert_int_equal(submit(&bench, 0), RESULT_OK);
    assert_true(rounds_until(bench.loop, queue_is_empty, &bench, 2000)); /* the thread has it */
    for (size_t i = 1; i <= 3; i++)
        assert_int_equal(submit(&bench, i), RESULT_OK);
    assert_int_equal(worker_queue_count(bench.worker), 3);
    assert_int_equal(submit(&bench, 4), RESULT_EXHAUSTED);
    assert_non_null(strstr(bench.problem.text, "test-worker"));
    pthread_mutex_unlock(&bench.gate);
    assert_true(rounds_until(bench.loop, queue_is_empty, &bench, 2000));
    assert_int_equal(submit(&bench, 4), RESULT_OK);
    worker_stop(bench.worker);
    assert_int_equal(bench.done_count, 5);
    bench_close(&bench);
}

static void what_waits_during_one_group_becomes_the_next(void **state)
{
    static struct bench bench;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 1,
                                               .queue_count_max = JOB_COUNT,
                                               .gather = gather,
                                               .group_count_max = 100});
    pthread_mutex_lock(&bench.gate);
    assert_int_equal(submit(&bench, 0), RESULT_OK);
    assert_true(rounds_until(bench.loop, queue_is_empty, &bench, 2000));
    for (size_t i = 1; i < JOB_COUNT; i++)
        assert_int_equal(submit(&bench, i), RESULT_OK);
    pthread_mutex_unlock(&bench.gate);
    assert_true(rounds_until(bench.loop, all_done, &bench, 5000));
    worker_stop(bench.worker);
    assert_int_equal(bench.group_count, 3);
    assert_int_equal(bench.groups[0], 1);
    assert_int_equal(bench.groups[1], 100);
    assert_int_equal(bench.groups[2], 99);
    for (size_t i = 0; i < JOB_COUNT; i++)
        assert_int_equal(bench.done_order[i], i);
    bench_close(&bench);
}

/* Thread 0 is held at the gate, thread 1 isn't. */
static void gather_with_two(void *context, size_t thread_index, struct worker_job *const *jobs,
                            size_t count)
{
    struct bench *bench = context;

    assert_true(thread_index < 2);
    if (thread_index == 0) {
        pthread_mutex_lock(&bench->gate);
        pthread_mutex_unlock(&bench->gate);
    } else if (count == 0) {
        atomic_fetch_add(&bench->rest_count, 1);
    } else {
        atomic_fetch_add(&bench->further_count, count);
    }
    for (size_t i = 0; i < count; i++)
        ((struct task *)jobs[i]->context)->ran = true;
}

static bool ten_are_done(void *context)
{
    return ((struct bench *)context)->done_count == 10;
}

static bool has_rested(void *context)
{
    return atomic_load(&((struct bench *)context)->rest_count) > 0;
}

static void a_further_thread_takes_what_the_first_leaves_and_rests_afterwards(void **state)
{
    static struct bench bench;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 2,
                                               .queue_count_max = JOB_COUNT,
                                               .gather = gather_with_two,
                                               .group_count_max = 100,
                                               .idle_ms = 50});
    pthread_mutex_lock(&bench.gate);
    assert_int_equal(submit(&bench, 0), RESULT_OK);
    assert_true(rounds_until(bench.loop, queue_is_empty, &bench, 2000));
    assert_int_equal(atomic_load(&bench.further_count), 0); /* the first one comes first */
    for (size_t i = 1; i <= 10; i++)
        assert_int_equal(submit(&bench, i), RESULT_OK);
    assert_true(rounds_until(bench.loop, ten_are_done, &bench, 5000));
    assert_int_equal(atomic_load(&bench.further_count), 10);
    pthread_mutex_unlock(&bench.gate);
    for (size_t i = 11; i < JOB_COUNT; i++)
        assert_int_equal(submit(&bench, i), RESULT_OK);
    assert_true(rounds_until(bench.loop, all_done, &bench, 5000));
    assert_true(rounds_until(bench.loop, has_rested, &bench, 5000));
    worker_stop(bench.worker);
    assert_int_equal(atomic_load(&bench.rest_count), 1); /* once, not again and again */
    bench_close(&bench);
}

static void stopping_runs_what_waits_and_refuses_the_rest(void **state)
{
    static struct bench bench;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 2, .queue_count_max = JOB_COUNT});
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(submit(&bench, i), RESULT_OK);
    worker_stop(bench.worker);
    assert_int_equal(bench.done_count, 50);
    assert_int_equal(submit(&bench, 50), RESULT_REFUSED);
    bench_close(&bench);
}

static void a_stop_without_any_job_returns(void **state)
{
    static struct bench bench;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 8, .queue_count_max = 1});
    bench_close(&bench);
}

static void look_at_signals(void *context)
{
    struct task *task = context;
    sigset_t blocked;

    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    task->ran = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGHUP) == 1;
}

static void threads_leave_the_signals_to_the_loop(void **state)
{
    static struct bench bench;
    sigset_t blocked;

    (void)state;
    bench_open(&bench, (struct worker_options){.thread_count = 1, .queue_count_max = 1});
    bench.tasks[0].job.run = look_at_signals;
    assert_int_equal(submit(&bench, 0), RESULT_OK);
    worker_stop(bench.worker);
    assert_true(bench.tasks[0].done);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_on_threads_and_end_on_the_loop),
        cmocka_unit_test(a_single_thread_keeps_the_order),
        cmocka_unit_test(a_full_queue_refuses_and_later_takes_again),
        cmocka_unit_test(what_waits_during_one_group_becomes_the_next),
        cmocka_unit_test(a_further_thread_takes_what_the_first_leaves_and_rests_afterwards),
        cmocka_unit_test(stopping_runs_what_waits_and_refuses_the_rest),
        cmocka_unit_test(a_stop_without_any_job_returns),
        cmocka_unit_test(threads_leave_the_signals_to_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

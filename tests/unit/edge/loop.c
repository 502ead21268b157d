/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/loop.h"

#include "tests/unit/edge/rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

struct note {
    struct loop_timer *timer;
    int numbers[16];
    size_t count;
};

struct mark {
    struct note *note;
    int number;
};

static void mark_write(void *context)
{
    struct mark *mark = context;

    assert_true(mark->note->count < 16);
    mark->note->numbers[mark->note->count++] = mark->number;
}

static struct loop *open_loop(void)
{
    struct problem problem = {0};
    struct loop *loop = NULL;

    assert_int_equal(loop_create(NULL, &loop, &problem), RESULT_OK);
    return loop;
}

static struct loop_timer *open_timer(struct loop *loop, void (*fired)(void *context), void *context)
{
    struct problem problem = {0};
    struct loop_timer *timer = NULL;

    assert_int_equal(loop_timer_create(loop, fired, context, &timer, &problem), RESULT_OK);
    return timer;
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
    struct loop *loop = open_loop();
    struct note note = {0};
    struct mark marks[3] = {{&note, 0}, {&note, 1}, {&note, 2}};
    static const int DELAYS_MS[3] = {60, 20, 40};
    struct loop_timer *timers[3];
    struct mono_time start = clock_mono_now();

    (void)state;
    for (int i = 0; i < 3; i++) {
        timers[i] = open_timer(loop, mark_write, &marks[i]);
        loop_timer_set(timers[i], mono_after(start, MILLISECONDS(DELAYS_MS[i])));
    }
    rounds_pass(loop, 100);
    assert_int_equal(note.count, 3);
    assert_int_equal(note.numbers[0], 1);
    assert_int_equal(note.numbers[1], 2);
    assert_int_equal(note.numbers[2], 0);
    for (int i = 0; i < 3; i++)
        loop_timer_destroy(timers[i]);
    loop_destroy(loop);
}

static void early_check(void *context)
{
    struct mono_time *deadline = context;

    assert_true(clock_mono_now().us >= deadline->us);
    deadline->us = 0;
}

static void a_timer_never_fires_before_its_deadline(void **state)
{
    struct loop *loop = open_loop();
    struct mono_time deadline;
    struct loop_timer *timer = open_timer(loop, early_check, &deadline);

    (void)state;
    for (int i = 0; i < 20; i++) {
        usleep(3000); /* libev's idea of now falls behind */
        deadline = mono_after(clock_mono_now(), MILLISECONDS(5) + i * 137);
        loop_timer_set(timer, deadline);
        rounds_pass(loop, 15);
        assert_int_equal(deadline.us, 0);
    }
    loop_timer_destroy(timer);
    loop_destroy(loop);
}

static void a_cancelled_or_destroyed_timer_stays_silent(void **state)
{
    struct loop *loop = open_loop();
    struct note note = {0};
    struct mark mark = {&note, 1};
    struct loop_timer *cancelled = open_timer(loop, mark_write, &mark);
    struct loop_timer *destroyed = open_timer(loop, mark_write, &mark);

    (void)state;
    loop_timer_set(cancelled, mono_after(clock_mono_now(), MILLISECONDS(5)));
    loop_timer_set(destroyed, mono_after(clock_mono_now(), MILLISECONDS(5)));
    loop_timer_set(cancelled, MONO_NEVER);
    loop_timer_destroy(destroyed);
    rounds_pass(loop, 30);
    assert_int_equal(note.count, 0);
    loop_timer_destroy(cancelled);
    loop_destroy(loop);
}

static void destroy_itself(void *context)
{
    struct note *note = context;

    loop_timer_destroy(note->timer);
    note->timer = NULL;
}

static void a_timer_may_destroy_itself(void **state)
{
    struct loop *loop = open_loop();
    struct note note = {0};

    (void)state;
    note.timer = open_timer(loop, destroy_itself, &note);
    loop_timer_set(note.timer, clock_mono_now());
    rounds_pass(loop, 10);
    assert_null(note.timer);
    loop_destroy(loop);
}

enum { THREAD_COUNT = 4, POST_COUNT = 5000 };

struct poster {
    struct loop *loop;
    struct loop_call calls[POST_COUNT];
    size_t next; /* expected */
    struct slip {
        struct poster *poster;
        size_t number;
    } slips[POST_COUNT];
};

static void slip_arrived(void *context)
{
    struct slip *slip = context;

    assert_int_equal(slip->number, slip->poster->next);
    slip->poster->next++;
}

static void *poster_run(void *context)
{
    struct poster *poster = context;

    for (size_t i = 0; i < POST_COUNT; i++) {
        poster->slips[i] = (struct slip){poster, i};
        poster->calls[i] = (struct loop_call){.run = slip_arrived, .context = &poster->slips[i]};
        loop_post(poster->loop, &poster->calls[i]);
    }
    return NULL;
}

static bool all_arrived(void *context)
{
    struct poster *posters = context;

    for (size_t i = 0; i < THREAD_COUNT; i++)
        if (posters[i].next < POST_COUNT)
            return false;
    return true;
}

static void calls_from_threads_arrive_once_and_in_order(void **state)
{
    struct loop *loop = open_loop();
    struct poster *posters = calloc(THREAD_COUNT, sizeof(*posters));
    pthread_t threads[THREAD_COUNT];

    (void)state;
    assert_non_null(posters);
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        posters[i].loop = loop;
        assert_int_equal(pthread_create(&threads[i], NULL, poster_run, &posters[i]), 0);
    }
    assert_true(rounds_until(loop, all_arrived, posters, 10000));
    for (size_t i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(posters[i].next, POST_COUNT);
    }
    free(posters);
    loop_destroy(loop);
}

static void calls_still_posted_are_made_when_the_loop_ends(void **state)
{
    struct loop *loop = open_loop();
    struct note note = {0};
    struct mark mark = {&note, 7};
    struct loop_call call = {.run = mark_write, .context = &mark};

    (void)state;
    loop_post(loop, &call);
    assert_int_equal(note.count, 0);
    loop_run_posted(loop);
    assert_int_equal(note.count, 1);
    loop_post(loop, &call); /* a call that was made may be posted again */
    loop_destroy(loop);
    assert_int_equal(note.count, 2);
}

static void a_stop_before_run_is_not_lost(void **state)
{
    struct loop *loop = open_loop();
    struct note note = {0};
    struct mark mark = {&note, 1};
    struct loop_timer *timer = open_timer(loop, mark_write, &mark);

    (void)state;
    loop_stop(loop);
    loop_run(loop); /* would never return */
    loop_timer_set(timer, clock_mono_now());
    rounds_pass(loop, 20);
    assert_int_equal(note.count, 1);
    loop_timer_destroy(timer);
    loop_destroy(loop);
}

static void note_signal(void *context, int number)
{
    struct note *note = context;

    assert_true(note->count < 16);
    note->numbers[note->count++] = number;
}

static bool five_noted(void *context)
{
    return ((struct note *)context)->count == 5;
}

static void signals_become_calls_on_the_loop(void **state)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    struct loop *loop = open_loop();
    struct note note = {0};

    (void)state;
    loop_take_signals(loop, note_signal, &note);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(raise(NUMBERS[i]), 0);
    assert_int_equal(note.count, 0);
    assert_true(rounds_until(loop, five_noted, &note, 2000));
    for (size_t i = 0; i < 5; i++) {
        bool found = false;

        for (size_t k = 0; k < 5; k++)
            found = found || note.numbers[k] == NUMBERS[i];
        assert_true(found);
    }
    loop_destroy(loop);
}

static void a_closed_pipe_does_not_kill_the_process(void **state)
{
    struct loop *loop = open_loop();
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(close(ends[1]), 0);
    loop_destroy(loop);
}

static void the_descriptor_limit_is_set_within_the_hard_one(void **state)
{
    struct loop_options options = {.descriptor_count_max = 512};
    struct problem problem = {0};
    struct loop *loop;
    struct rlimit limit;

    (void)state;
    assert_int_equal(loop_create(&options, &loop, &problem), RESULT_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 512);
    loop_destroy(loop);
    options.descriptor_count_max = UINT32_MAX;
    assert_int_equal(loop_create(&options, &loop, &problem), RESULT_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(limit.rlim_cur <= limit.rlim_max);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_deadlines),
        cmocka_unit_test(a_timer_never_fires_before_its_deadline),
        cmocka_unit_test(a_cancelled_or_destroyed_timer_stays_silent),
        cmocka_unit_test(a_timer_may_destroy_itself),
        cmocka_unit_test(calls_from_threads_arrive_once_and_in_order),
        cmocka_unit_test(calls_still_posted_are_made_when_the_loop_ends),
        cmocka_unit_test(a_stop_before_run_is_not_lost),
        cmocka_unit_test(signals_become_calls_on_the_loop),
        cmocka_unit_test(a_closed_pipe_does_not_kill_the_process),
        cmocka_unit_test(the_descriptor_limit_is_set_within_the_hard_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

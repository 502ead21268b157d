/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/asking.h"

#include "edge/clock.h"
#include "edge/entropy.h"
#include "edge/loop.h"

#include <inttypes.h>
#include <stdio.h>

#define ANSWER_LIMIT_US SECONDS(60)

struct asking {
    const char *data_folder;
    struct loop *loop;
    struct loop_timer *timer;
    struct mono_time until;
    int64_t request;
    struct state_file state;
    struct files_lock *lock;
    bool has_lock;
};

static enum result take_lock(const struct asking *asking, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    enum result result = files_join(asking->data_folder, LOCK_FILE_NAME, path, problem);

    return result == RESULT_OK ? files_lock_open(path, asking->lock, problem) : result;
}

static void on_asking_timer(void *context)
{
    struct asking *asking = context;
    struct problem problem = {0};

    state_file_read(asking->data_folder, &asking->state);
    if (asking->state.answered == asking->request || asking->state.failed == asking->request)
        loop_stop(asking->loop);
    else if (take_lock(asking, &problem) == RESULT_OK) {
        asking->has_lock = true;
        loop_stop(asking->loop);
    } else if (mono_is_due(asking->until, clock_mono_now()))
        loop_stop(asking->loop);
    else
        loop_timer_set(asking->timer, mono_after(clock_mono_now(), MILLISECONDS(50)));
}

static enum result write_request(struct asking *asking, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    char text[32];
    int size;
    enum result result = files_join(asking->data_folder, REQUEST_FILE_NAME, path, problem);

    asking->request = (int64_t)(entropy_seed() >> 2) + 1;
    size = snprintf(text, sizeof text, "%" PRId64 "\n", asking->request);
    if (result == RESULT_OK)
        result = files_write(path, bytes_of(text, (size_t)size), 0600, problem);
    return result;
}

enum result asking_run(const char *data_folder, struct files_lock *lock,
                       struct asking_answer *ret_answer, struct problem *problem)
{
    struct asking asking = {.data_folder = data_folder, .lock = lock};
    struct state_file before;
    enum result result;

    state_file_read(data_folder, &before);
    result = loop_create(NULL, &asking.loop, problem);
    if (result == RESULT_OK)
        result = loop_timer_create(asking.loop, on_asking_timer, &asking, &asking.timer, problem);
    if (result == RESULT_OK)
        result = write_request(&asking, problem);
    if (result == RESULT_OK) {
        asking.until = mono_after(clock_mono_now(), ANSWER_LIMIT_US);
        loop_timer_set(asking.timer, mono_after(clock_mono_now(), MILLISECONDS(20)));
        loop_run(asking.loop);
    }
    loop_timer_destroy(asking.timer);
    loop_destroy(asking.loop);
    *ret_answer = (struct asking_answer){
        .has_lock = asking.has_lock,
        .is_answered = asking.state.answered == asking.request,
        .has_failed = asking.state.failed == asking.request,
        .bytes_sent = asking.state.bytes_sent - before.bytes_sent,
        .bytes_received = asking.state.bytes_received - before.bytes_received,
        .state = asking.state,
    };
    return result;
}

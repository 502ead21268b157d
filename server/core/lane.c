/* SPDX-License-Identifier: Apache-2.0 */
#include "base/invariant.h"
#include "server/core/session.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES_SHIFT_MAX = 7 };

#define RETRY_FIRST_US MILLISECONDS(250)
#define RETRY_MOST_US  SECONDS(30)

/* Bodies are what devices send; the rest of a job is small. */
static size_t job_size(const struct job *job)
{
    return job->body.size + sizeof *job;
}

static bool make_room(struct lane *lane)
{
    size_t capacity = lane->capacity == 0 ? 4 : lane->capacity * 2;
    struct job **jobs = NULL;

    if (lane->count < lane->capacity)
        return true;
    if (lane->count >= LANE_JOBS_MAX)
        return false;
    jobs = realloc(lane->jobs, capacity * sizeof *jobs);
    if (jobs == NULL)
        return false;
    lane->jobs = jobs;
    lane->capacity = capacity;
    return true;
}

enum result lane_add(struct lane *lane, struct server *server, struct job *job,
                     struct problem *problem)
{
    size_t size = job_size(job);

    if (size > LANE_SIZE_MAX - lane->size || size > LANES_SIZE_MAX - server->lanes_size ||
        !make_room(lane)) {
        enum result result =
            problem_set(problem, RESULT_EXHAUSTED, "%zu jobs of %zu bytes wait already",
                        lane->count, lane->size);

        job_destroy(job); /* what it points to is still the session's */
        return result;
    }
    lane->jobs[lane->count++] = job;
    lane->size += size;
    server->lanes_size += size;
    return RESULT_OK;
}

void lane_run(struct lane *lane, struct server *server)
{
    struct server_effect effect = {0};
    struct problem problem = {0};

    if (lane->count == 0 || lane->is_running || !mono_is_due(lane->retry_at, server->event->mono))
        return;
    effect.job = lane->jobs[0];
    effect.kind = job_is_write(effect.job->kind) ? SERVER_EFFECT_WRITE : SERVER_EFFECT_READ;
    effect.job->now = server->event->wall;
    if (server_emit(server, &effect, &problem) == RESULT_OK) {
        lane->is_running = true;
    } else {
        lane->retry_at = mono_after(server->event->mono, RETRY_FIRST_US);
        server_want(server, lane->retry_at);
    }
}

bool lane_has(const struct lane *lane, const struct job *job)
{
    return lane->is_running && lane->count > 0 && lane->jobs[0] == job;
}

/* Nothing of a failed try may reach the device. */
static void forget_answer(struct job *job)
{
    for (size_t i = 0; i < job->frame_count; i++)
        shared_frame_release(job->frames[i]);
    job->frame_count = 0;
    if (job->kind == JOB_RESUME) {
        feed_destroy(job->feed);
        job->feed = NULL;
    }
    job->result = RESULT_OK;
    job->problem = (struct problem){0};
}

bool lane_take_back(struct lane *lane, struct server *server, struct job *job)
{
    invariant(lane_has(lane, job));
    lane->is_running = false;
    if (job->result == RESULT_WAIT || job->result == RESULT_EXHAUSTED ||
        job->result == RESULT_STORAGE) {
        int64_t delay = RETRY_FIRST_US
                        << (lane->tries < TRIES_SHIFT_MAX ? lane->tries : TRIES_SHIFT_MAX);

        if (delay > RETRY_MOST_US)
            delay = RETRY_MOST_US;
        lane->tries++;
        lane->retry_at = mono_after(server->event->mono, server_jitter(server, delay / 2, delay));
        server_want(server, lane->retry_at);
        trace_line(server->trace, "server: %s waits (%s), try %u", job_name(job->kind),
                   result_name(job->result), lane->tries);
        forget_answer(job);
        return false;
    }
    lane->tries = 0;
    lane->retry_at = (struct mono_time){0};
    lane->size -= job_size(job);
    server->lanes_size -= job_size(job);
    lane->count--;
    memmove(lane->jobs, lane->jobs + 1, lane->count * sizeof *lane->jobs);
    if (lane->count == 0) { /* ten thousand idle sessions keep nothing */
        free(lane->jobs);
        lane->jobs = NULL;
        lane->capacity = 0;
    }
    return true;
}

void lane_clear(struct lane *lane, struct server *server)
{
    server->lanes_size -= lane->size;
    for (size_t i = lane->is_running ? 1 : 0; i < lane->count; i++)
        job_destroy(lane->jobs[i]); /* what it points to is still the session's */
    free(lane->jobs);
    *lane = (struct lane){0};
}

struct mono_time lane_deadline(const struct lane *lane)
{
    return lane->count > 0 && !lane->is_running ? lane->retry_at : MONO_NEVER;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/job.h"

#include "base/invariant.h"
#include "protocol/identity.h"
#include "server/core/feed.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct {
    const char *name;
    bool is_write;
} KINDS[] = {
    [JOB_AUTHENTICATE] = {"AUTHENTICATE", false},
    [JOB_FEED]         = {"FEED",         false},
    [JOB_DIGEST]       = {"DIGEST",       false},
    [JOB_REPAIR]       = {"REPAIR",       false},
    [JOB_BLOB]         = {"BLOB",         false},
    [JOB_ASK]          = {"ASK",          false},
    [JOB_ENROL]        = {"ENROL",        true},
    [JOB_RESUME]       = {"RESUME",       true},
    [JOB_PUSH]         = {"PUSH",         true},
    [JOB_DEPOSIT]      = {"DEPOSIT",      true},
    [JOB_NEW_KEY]      = {"NEW_KEY",      true},
    [JOB_RECEIPT]      = {"RECEIPT",      true},
    [JOB_ADOPT]        = {"ADOPT",        true},
    [JOB_RESCOPE]      = {"RESCOPE",      true},
    [JOB_ACT]          = {"ACT",          true},
};
/* clang-format on */

bool job_is_write(enum job_kind kind)
{
    return KINDS[kind].is_write;
}

const char *job_name(enum job_kind kind)
{
    return KINDS[kind].name;
}

/* ---- frames that many connections share ---- */

struct shared_frame *shared_frame_hold(struct shared_frame *frame)
{
    invariant(frame->holders > 0);
    frame->holders++;
    return frame;
}

void shared_frame_release(struct shared_frame *frame)
{
    if (frame == NULL)
        return;
    invariant(frame->holders > 0);
    if (--frame->holders == 0)
        free(frame);
}

static struct shared_frame *shared_frame_create(uint8_t type, struct bytes bytes)
{
    struct shared_frame *frame = malloc(sizeof *frame + bytes.size);

    if (frame == NULL)
        return NULL;
    frame->holders = 1;
    frame->type = type;
    frame->size = bytes.size;
    if (bytes.size > 0)
        memcpy(frame->bytes, bytes.data, bytes.size);
    return frame;
}

enum result shared_frames_encode(uint8_t type, struct bytes body, int level,
                                 const struct frame_dictionary *dictionary, struct arena *arena,
                                 struct shared_frame ***ret_frames, size_t *ret_count,
                                 struct problem *problem)
{
    struct frame_options options = {.frame_size_max = SHARED_FRAME_SIZE_MAX, .level = level};
    struct frame_list list = {0};
    struct shared_frame **frames = NULL;
    size_t count = 0;
    enum result result;

    if (dictionary != NULL)
        options.dictionary = *dictionary;
    result = frame_encode(type, body, &options, arena, &list, problem);
    if (result != RESULT_OK)
        return result;
    frames = arena_array(arena, list.count, sizeof(struct shared_frame *));
    if (frames == NULL)
        return arena_full(arena, problem);
    for (; count < list.count && result == RESULT_OK; count++) {
        frames[count] = shared_frame_create(type, list.frames[count]);
        if (frames[count] == NULL)
            result = problem_set(problem, RESULT_EXHAUSTED, "no memory for a frame");
    }
    if (result != RESULT_OK) {
        while (count > 0)
            shared_frame_release(frames[--count]);
        return result;
    }
    *ret_frames = frames;
    *ret_count = list.count;
    return RESULT_OK;
}

/* ---- jobs ---- */

struct job *job_create(enum job_kind kind, size_t size_max)
{
    struct job *job = calloc(1, sizeof *job);

    if (job == NULL)
        return NULL;
    job->kind = kind;
    arena_init(&job->arena, size_max);
    return job;
}

void job_drop_frames(struct job *job)
{
    for (size_t i = 0; i < job->frame_count; i++)
        shared_frame_release(job->frames[i]);
    job->frame_count = 0;
}

void job_destroy(struct job *job)
{
    if (job == NULL)
        return;
    job_drop_frames(job);
    identity_wipe(job->psk, sizeof job->psk);
    arena_done(&job->arena);
    free(job);
}

enum result job_add_frame(struct job *job, struct shared_frame *frame, struct problem *problem)
{
    size_t count = job->frame_count;

    if ((count & (count - 1)) == 0) { /* 0, 1, 2, 4, 8, ...: full */
        struct shared_frame **frames =
            arena_array(&job->arena, count == 0 ? 1 : count * 2, sizeof(struct shared_frame *));

        if (frames == NULL) {
            shared_frame_release(frame);
            return arena_full(&job->arena, problem);
        }
        if (count > 0)
            memcpy(frames, job->frames, count * sizeof *frames);
        job->frames = frames;
    }
    job->frames[job->frame_count++] = frame;
    return RESULT_OK;
}

enum result job_add_body(struct job *job, uint8_t type, struct bytes body, int level,
                         const struct frame_dictionary *dictionary, struct problem *problem)
{
    struct shared_frame **frames = NULL;
    size_t count = 0;
    enum result result =
        shared_frames_encode(type, body, level, dictionary, &job->arena, &frames, &count, problem);

    for (size_t i = 0; i < count; i++)
        if (result == RESULT_OK)
            result = job_add_frame(job, frames[i], problem);
        else
            shared_frame_release(frames[i]);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/audit.h"

enum { DETAIL_SIZE_MAX = 512, JOB_SIZE_MAX = 4096 };

enum result audit_note(struct work *work, const char *event, int64_t user_id, int64_t replica_no,
                       const char *detail, struct problem *problem)
{
    const struct value parameters[] = {value_integer(work_now(work).us), value_text_of(event),
                                       value_integer(user_id), value_integer(replica_no),
                                       value_text_of(detail)};

    return work_execute(work,
                        "INSERT INTO fs_audit(occurred_at, event, user_id, replica_no, detail)"
                        " VALUES(?1,?2,?3,?4,?5)",
                        parameters, 5, problem);
}

static enum result note_job(struct work *work, struct job *job, struct problem *problem)
{
    return audit_note(work, job->context, job->user_id, 0, job->peer, problem);
}

struct job *audit_job(const char *event, int64_t user_id, const char *detail)
{
    struct job *job = job_create(JOB_ACT, JOB_SIZE_MAX);

    if (job == NULL)
        return NULL;
    job->act = note_job;
    job->context = (void *)(uintptr_t)event; /* constant, and only read */
    job->user_id = user_id;
    job->peer = arena_format(&job->arena, "%.*s", DETAIL_SIZE_MAX - 1, detail);
    if (job->peer == NULL) {
        job_destroy(job);
        return NULL;
    }
    return job;
}

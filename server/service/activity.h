/* SPDX-License-Identifier: Apache-2.0 */
/* activity.h: what follows from work that technicians report and the office plans.
 *
 * The state, the technician and the assignment version of an activity are what its events say; a
 * row of activity is written by nobody else. An event is never refused: one that comes too late is
 * absorbed, kept under a visit of its own, or shown to a person, and its author is told. */
#pragma once

#include "server/store/work.h"

/* Reactions (work.h). Each may run again for the same change: nothing changes the second time. */
MUST_CHECK enum result activity_event_react(struct work *work, const struct work_change *change,
                                            struct problem *problem);
/* A row of activity: a technician's own unplanned work is born accepted; one that the office or
 * another program inserts with a technician is planned and dispatched to that person; one of a
 * merged call goes to the call that stays. */
MUST_CHECK enum result activity_react(struct work *work, const struct work_change *change,
                                      struct problem *problem);
/* A session may be what a finish was waiting for. */
MUST_CHECK enum result work_session_react(struct work *work, const struct work_change *change,
                                          struct problem *problem);
/* A report that asks for another visit, or no longer does. */
MUST_CHECK enum result activity_result_react(struct work *work, const struct work_change *change,
                                             struct problem *problem);

/* Folds the events again and writes what they say; then the same for the call. */
MUST_CHECK enum result activity_refresh(struct work *work, int64_t activity_id,
                                        struct problem *problem);

/* A step that the office takes: an event of `kind`, accepted at once. */
struct activity_step {
    int64_t activity_id;
    const char *kind;
    int64_t technician_id; /* who gets the job, or whose step it is; 0: as it is */
    int64_t by_id;         /* 0: the server */
    unsigned roles;        /* 0: those that by_id has */
    const char *reason;    /* NULL: none */
};
MUST_CHECK enum result activity_step_insert(struct work *work, const struct activity_step *step,
                                            struct problem *problem);

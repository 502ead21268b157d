/* SPDX-License-Identifier: Apache-2.0 */
/* story.h: the rows of an activity or a call, read and folded with the rules that the devices have
 * too (domain/activity_state.h, domain/call_state.h). Reads only.
 *
 * The events of an activity are those that the server has accepted (accepted_n), in that order. An
 * activity that branched off another one begins with the events of its technician that were judged
 * to be a visit of its own. Event kinds that this program doesn't know move nothing. */
#pragma once

#include "domain/call_state.h"
#include "server/store/work.h"

enum { CALL_CLOSE_DAYS = 14, CALL_REOPEN_DAYS = 30 }; /* as every company has them today */

struct activity_story {
    int64_t activity_id;
    int64_t call_id;
    int64_t branch_of_id;  /* 0: none */
    int64_t technician_id; /* as stored now, 0: nobody */
    bool has_follow_up;    /* its report asks for another visit */
    bool is_call_merged;
    size_t count;
    struct activity_event *events;
    struct activity_answer *answers; /* one an event */
    struct activity activity;        /* as the events say */
};

/* RESULT_REFUSED  there is no such activity */
MUST_CHECK enum result activity_story_read(struct work *work, int64_t activity_id,
                                           struct activity_story *ret_story,
                                           struct problem *problem);

struct call_story {
    int64_t call_id;
    size_t count;
    struct call_event *events;
    struct call_answer *answers;
    struct call call;
};

MUST_CHECK enum result call_story_read(struct work *work, int64_t call_id,
                                       struct call_story *ret_story, struct problem *problem);

/* The call that stays when calls were merged, perhaps more than once; the call itself if it was
 * not. */
MUST_CHECK enum result call_survivor(struct work *work, int64_t call_id, int64_t *ret_call_id,
                                     struct problem *problem);

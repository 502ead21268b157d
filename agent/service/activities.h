/* SPDX-License-Identifier: Apache-2.0 */
/* activities.h: steps of a visit (accept, depart, arrive, start, pause, resume, finish, ...) and
 * what came of it.
 *
 * A step is an activity_event row with what its author saw. The state shown here is the server's
 * with the own events on top that it hasn't answered yet, folded by the same code as on the server
 * (domain/activity_state.h). */
#pragma once

#include "agent/service/service.h"
#include "domain/activity_state.h"

struct activity_view {
    struct activity activity; /* with the pending steps */
    enum activity_state server_state;
    bool is_pending; /* some of it hasn't been answered by the server */
};
/* RESULT_REFUSED: no such activity is on this device. */
MUST_CHECK enum result activity_look(struct service *service, int64_t activity_id,
                                     struct activity_view *ret_view, struct problem *problem);

struct activity_step {
    enum activity_kind kind;
    const char *reason; /* NULL: none; needed for reject and no_access */
    bool has_position;  /* WGS 84 degrees times 10,000,000 */
    int64_t latitude_e7;
    int64_t longitude_e7;
    int64_t occurred_at; /* us; 0: now */
};
/* RESULT_REFUSED: the step isn't possible from the state that is shown; ret_view (may be NULL) is
 * the activity after the step. */
MUST_CHECK enum result activity_do(struct service *service, int64_t activity_id,
                                   const struct activity_step *step, struct activity_view *ret_view,
                                   struct problem *problem);

struct activity_words {
    const char *outcome; /* 'solved', 'provisional', 'not_solved', 'no_fault_found'; NULL: as is */
    const char *cause;
    const char *report;
    const char *follow_up; /* not NULL: somebody must come again, and why */
};
/* The words of the visit report; only what isn't NULL is changed. */
MUST_CHECK enum result activity_report(struct service *service, int64_t activity_id,
                                       const struct activity_words *words, struct problem *problem);

/* Own activities with the folded state, soonest first. */
MUST_CHECK enum result activity_list(struct service *service, bool with_ended, struct arena *arena,
                                     struct listing *ret_listing, struct problem *problem);

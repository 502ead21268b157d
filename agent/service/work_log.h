/* SPDX-License-Identifier: Apache-2.0 */
/* work_log.h: time worked and money spent on an activity. Facts: a wrong one is voided by another
 * row, never changed. */
#pragma once

#include "agent/service/service.h"

struct work_entry {
    int64_t activity_id;
    const char *kind; /* 'work', 'travel', 'waiting', 'phone', 'training'; NULL: work */
    int64_t started_at;
    int64_t ended_at; /* us; after started_at and at most a day later */
    int64_t break_min;
    const char *source; /* 'typed', 'timer', 'estimate'; NULL: typed */
};
MUST_CHECK enum result work_log_add(struct service *service, const struct work_entry *entry,
                                    int64_t *ret_id, struct problem *problem);
/* Takes one of this technician's entries back. RESULT_REFUSED also when it is void already. */
MUST_CHECK enum result work_log_void(struct service *service, int64_t session_id, int64_t *ret_id,
                                     struct problem *problem);
MUST_CHECK enum result work_log_list(struct service *service, int64_t activity_id,
                                     struct arena *arena, struct listing *ret_listing,
                                     struct problem *problem);

struct expense_entry {
    int64_t activity_id;
    const char *kind;     /* 'meal', 'lodging', 'toll', 'parking', 'material', 'other' */
    int64_t amount_cents; /* above 0 */
    const char *day;      /* YYYY-MM-DD */
    int64_t receipt_id;   /* an attachment, 0: none */
};
MUST_CHECK enum result expense_add(struct service *service, const struct expense_entry *entry,
                                   int64_t *ret_id, struct problem *problem);
MUST_CHECK enum result expense_void(struct service *service, int64_t expense_id, int64_t *ret_id,
                                    struct problem *problem);
MUST_CHECK enum result expense_list(struct service *service, int64_t activity_id,
                                    struct arena *arena, struct listing *ret_listing,
                                    struct problem *problem);

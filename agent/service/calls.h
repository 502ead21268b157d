/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h: the calls on this device: list, show, open one on the spot, add a note. */
#pragma once

#include "agent/service/service.h"

enum call_filter {
    CALLS_MINE, /* with an activity of this technician that isn't ended, soonest first */
    CALLS_OPEN, /* everything that isn't closed, cancelled or a duplicate */
    CALLS_ALL,
};
MUST_CHECK enum result call_list(struct service *service, enum call_filter filter,
                                 struct arena *arena, struct listing *ret_listing,
                                 struct problem *problem);

/* One call with its activities, notes and part needs. */
struct call_view {
    struct listing call; /* one row */
    struct listing activities;
    struct listing notes;
    struct listing needs;
};
MUST_CHECK enum result call_show(struct service *service, int64_t call_id, struct arena *arena,
                                 struct call_view *ret_view, struct problem *problem);

struct call_draft {
    int64_t site_id;  /* 0: none; the party is then the asset's owner or `party_id` */
    int64_t asset_id; /* 0: none */
    int64_t party_id; /* 0: the site's */
    const char *subject;
    const char *description;  /* NULL: none */
    const char *problem_code; /* NULL: none */
    const char *caller;       /* NULL: none */
    int64_t priority;         /* 1 most urgent to 5; 0: 3 */
    bool is_mine;             /* also an unplanned activity of this technician */
};
/* The number comes from the device's own series, so it is given for ever.
 *
 *   ret_number  at least 24 bytes; empty if the device has no series for calls yet
 *
 * RESULT_REFUSED also for a site or asset that isn't here, or no subject */
enum { CALL_NUMBER_SIZE = 24 };
MUST_CHECK enum result call_open(struct service *service, const struct call_draft *draft,
                                 int64_t *ret_call_id, int64_t *ret_activity_id,
                                 char ret_number[CALL_NUMBER_SIZE], struct problem *problem);

MUST_CHECK enum result call_note_add(struct service *service, int64_t call_id, const char *body,
                                     bool is_for_customer, int64_t *ret_id,
                                     struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* review.h: questions and notices to people, kept as rows of review_item.
 *
 * A question is put once to each role, for the same reason and about the same row, however often
 * the rule that asks is run again; one that somebody has answered is not asked again. */
#pragma once

#include "domain/reason.h"
#include "server/store/work.h"

struct review_request {
    const char *kind;       /* "parked", "notice"; NULL: the reason's code */
    const char *table_name; /* the row it speaks of */
    int64_t row_id;
    enum reason reason;
    unsigned roles;  /* set of enum role: one review_item each */
    int64_t user_id; /* author of what is asked about, or whom a notice is for; 0: nobody */
    int64_t home;    /* bucket; 0: that of the row */
};

MUST_CHECK enum result review_raise(struct work *work, const struct review_request *request,
                                    struct problem *problem);

/* An event of a kind that nobody here understands: it is kept, and a manager is asked. */
MUST_CHECK enum result review_ask_about_kind(struct work *work, const struct work_change *event,
                                             struct problem *problem);

/* Answers open questions by itself: what was missing has come. */
MUST_CHECK enum result review_settle(struct work *work, const char *table_name, int64_t row_id,
                                     const char *resolution, struct problem *problem);

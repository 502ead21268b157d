/* SPDX-License-Identifier: Apache-2.0 */
/* conflict.h: values that lost (merge_loss) and questions to people (review_item), and their
 * answers. An id names one of either: ids of the server are given once over all tables. */
#pragma once

#include "server/store/work.h"

enum conflict_answer {
    CONFLICT_SETTLE,  /* a question: done, with words */
    CONFLICT_DISCARD, /* what stands is right */
    CONFLICT_REAPPLY, /* a lost value: write it now, over what stands */
};

struct conflict_order {
    int64_t id;
    enum conflict_answer answer;
    const char *resolution; /* NULL: no words; kept with a question */
    int64_t by_id;          /* 0: the server's own command */
};

/* RESULT_REFUSED: there is no such conflict, it has been answered before, the answer doesn't fit
 * its kind, or the lost value can't be written any more (its row is gone). */
MUST_CHECK enum result conflict_resolve(struct work *work, const struct conflict_order *order,
                                        struct problem *problem);

/* ---- reading, inside the caller's read transaction; results in `arena` ---- */

struct conflict_filter {
    bool is_all;      /* answered ones too */
    const char *role; /* questions of one role only, and no lost values; NULL: all */
    size_t count_max; /* 0: 1,000 */
};
enum { CONFLICT_LIST_COLUMNS = 7 };
/* Newest first: id, "lost" or the question's kind, state, whose turn (role, or the author's login),
 * table, row id, what it says. */
MUST_CHECK enum result conflict_list(struct store *store, const struct conflict_filter *filter,
                                     struct arena *arena, struct store_result *ret_rows,
                                     struct problem *problem);

enum { CONFLICT_SHOW_COLUMNS = 2 };
/* All that is known of one conflict, as lines of (what, value). RESULT_REFUSED: none. */
MUST_CHECK enum result conflict_show(struct store *store, int64_t id, struct arena *arena,
                                     struct store_result *ret_rows, struct problem *problem);

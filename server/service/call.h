/* SPDX-License-Identifier: Apache-2.0 */
/* call.h: what the office does with calls, and what it sees of them.
 *
 * Actions run inside the caller's work and are complete when they return: the reactions have run,
 * and what they say about the call stands in its row. by_id 0 is whoever may use the server's own
 * commands: the office with all its roles. RESULT_REFUSED of an action says in words why not: the
 * caller shows it and undoes the work. */
#pragma once

#include "server/store/work.h"

struct call_order {
    int64_t party_id;
    int64_t site_id; /* 0: the party's only site, or none */
    int64_t asset_id;
    int64_t contact_id;
    const char *subject;
    const char *description; /* these may be NULL */
    const char *caller;
    const char *channel; /* NULL: "phone" */
    int64_t priority_n;  /* 1 most urgent to 5; 0: 3 */
    int64_t by_id;
};
MUST_CHECK enum result call_open(struct work *work, const struct call_order *order,
                                 int64_t *ret_call_id, struct problem *problem);

struct call_assignment {
    int64_t call_id;
    int64_t technician_id;
    int64_t start_at;    /* us; 0: not said */
    int64_t planned_min; /* 0: as it is, or the type's default */
    int64_t type_id;     /* of a new visit; 0: the first type that is on site */
    const char *reason;
    int64_t by_id;
};
/* Gives the call's open visit to a technician, or plans a new one if it has none. Somebody else who
 * has it is told; one who is at work on it keeps it (RESULT_REFUSED). */
MUST_CHECK enum result call_assign(struct work *work, const struct call_assignment *assignment,
                                   int64_t *ret_activity_id, struct problem *problem);

/* Cancels the call and its visits that are not done. */
MUST_CHECK enum result call_cancel(struct work *work, int64_t call_id, const char *reason,
                                   int64_t by_id, struct problem *problem);
/* Closes a resolved call. */
MUST_CHECK enum result call_close(struct work *work, int64_t call_id, const char *reason,
                                  int64_t by_id, struct problem *problem);

/* ---- reading, inside the caller's read transaction; results in `arena` ---- */

/* The call with this number ("C2026-000123") or id. RESULT_REFUSED: none. */
MUST_CHECK enum result call_find(struct store *store, const char *text, struct arena *arena,
                                 int64_t *ret_call_id, struct problem *problem);

struct call_filter {
    bool is_all;           /* finished ones too */
    int64_t technician_id; /* 0: anybody's */
    int64_t party_id;      /* 0: any customer's */
    size_t count_max;      /* newest first; 0: 1,000 */
};
enum { CALL_LIST_COLUMNS = 9 };
/* Columns: id, number, state, priority, opened_at, customer, site, subject, technicians. */
MUST_CHECK enum result call_list(struct store *store, const struct call_filter *filter,
                                 struct arena *arena, struct store_result *ret_rows,
                                 struct problem *problem);

enum { CALL_ACTIVITY_COLUMNS = 8, CALL_HISTORY_COLUMNS = 5 };
/* Activities of a call: id, type, technician, state, planned start, minutes, assignment version,
 * newest version that a device has shown. */
MUST_CHECK enum result call_activities(struct store *store, int64_t call_id, struct arena *arena,
                                       struct store_result *ret_rows, struct problem *problem);
/* What happened, oldest first: time, what ("call" or "visit"), kind, by whom, reason. */
MUST_CHECK enum result call_history(struct store *store, int64_t call_id, struct arena *arena,
                                    struct store_result *ret_rows, struct problem *problem);

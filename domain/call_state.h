/* SPDX-License-Identifier: Apache-2.0 */
/* call_state.h: the life of a call, folded from its own events and from what its activities did.
 *
 *   new -triage[H D]-> triaged -plan[D]-> planned -(an activity is under way)-> in_progress
 *   in_progress -(all activities ended, no follow-up open)-> resolved -close[H M, srv later]->
 * closed new|triaged|planned -answer[H, T remote]-> resolved new|triaged|planned -duplicate[H D]->
 * duplicate      open -cancel[D M]-> cancelled open -hold(customer|parts|vendor)[H D T]-> waiting
 * -release[H D, srv for parts]-> (recomputed) resolved|closed -reopen[H M, C for some days]->
 * in_progress open: new, triaged, planned, in_progress, waiting
 *
 * Between those events the state follows from the activities (call_status). Three things hold it:
 * an answer by phone stays resolved, a closed call stays closed, and a reopened one is in progress
 * until something new is done. A visit that ends after that is kept and shown (visit_after_close);
 * one done after a cancellation brings the call back to in_progress until that visit is approved.
 *
 * Order: true time (occurred_at, corrected and never later than its arrival), then id. So the fold
 * does not depend on the order of arrival, and is the same on server and device. */
#pragma once

#include "base/arena.h"
#include "domain/activity_state.h"

enum call_state {
    CALL_NEW,
    CALL_TRIAGED,
    CALL_PLANNED,
    CALL_IN_PROGRESS,
    CALL_WAITING,
    CALL_RESOLVED,
    CALL_CLOSED,
    CALL_DUPLICATE,
    CALL_CANCELLED,
    CALL_STATE_COUNT
};

enum call_kind {
    CALL_TRIAGE,
    CALL_PLAN,
    CALL_ANSWER,
    CALL_MERGE, /* "duplicate": another call stays */
    CALL_CANCEL,
    CALL_HOLD,
    CALL_RELEASE,
    CALL_CLOSE,
    CALL_REOPEN,
    CALL_ACTIVITY, /* an activity of the call came into another state; not a row of its own */
    CALL_KIND_COUNT
};

enum call_hold {
    CALL_HOLD_NONE,
    CALL_HOLD_CUSTOMER,
    CALL_HOLD_PARTS,
    CALL_HOLD_VENDOR,
};

struct call_event {
    int64_t id;
    int64_t occurred_at; /* us, true time; > 0 */
    enum call_kind kind;
    unsigned roles;          /* of the author: set of enum role; unused by CALL_ACTIVITY */
    bool is_remote;          /* answer: the technician worked remotely */
    enum call_hold hold_for; /* hold */
    int64_t dup_of_id;       /* duplicate: the call that stays; 0: none named */
    int64_t activity_id;     /* CALL_ACTIVITY */
    enum activity_state to;  /* CALL_ACTIVITY: its new state */
    bool has_follow_up;      /* CALL_ACTIVITY, done: more work is needed */
    bool is_after_cancel;    /* CALL_ACTIVITY, done although it was cancelled */
};

/* Days from the company's settings; 0 switches the rule off: never by itself, never by C. */
struct call_policy {
    int64_t close_days;  /* srv closes a resolved call after them */
    int64_t reopen_days; /* C may reopen within them */
};

/* The call as its events say. Zeroed is a new call. */
struct call {
    enum call_state state;
    enum call_state
        without_work;        /* new, triaged or planned: the state while nothing is scheduled */
    enum call_hold hold_for; /* while waiting */
    int64_t dup_of_id;       /* while duplicate */
    int64_t resolved_at;     /* us; 0: not resolved */
    int64_t closed_at;       /* us; 0: not closed */
    bool is_answered;        /* resolved by an answer, whatever the activities say */
    bool is_reopened;        /* in progress until something new is done */
    bool is_after_cancel;    /* in progress until the work after the cancellation is approved */
};

struct call_answer {
    enum answer answer;
    enum reason reason;
    enum call_state state; /* after the event */
    struct review review;  /* roles 0: nobody is asked */
};

/* The activities of a call, counted; drafts don't count. */
struct call_work {
    size_t open_count;      /* planned, dispatched, accepted, and those under way */
    size_t under_way_count; /* travelling, on_site, working, paused */
    size_t done_count;      /* done, approved, priced */
    size_t vain_count;      /* failed, cancelled */
    size_t follow_up_count; /* done ones that ask for more, with nothing done for it since */
};

const char *call_state_name(enum call_state state); /* "in_progress": as stored; for ever */
bool call_state_parse(const char *name, enum call_state *ret_state);
const char *call_kind_name(enum call_kind kind); /* "triage": as stored; for ever */
bool call_kind_parse(const char *name, enum call_kind *ret_kind); /* not CALL_ACTIVITY */

/* The state that the activities alone give; `without_work` if there are none. */
enum call_state call_status(const struct call_work *work, enum call_state without_work);

/* The table alone: may someone with these roles take this step now? `ret_to` is where it leads;
 * for a release it is the state itself, as only the fold can recompute it. `ret_reason` is
 * REASON_NOT_PERMITTED or REASON_TRANSITION_NOT_ALLOWED if false. */
bool call_permits(enum call_state state, enum call_kind kind, unsigned roles,
                  enum call_state *ret_to, enum reason *ret_reason);

/* Turns the folded events of one activity into CALL_ACTIVITY events: one for each that moved it.
 * `ret_events` has room for `count`; returns how many were written. */
size_t call_events_of_activity(int64_t activity_id, const struct activity_event *events,
                               const struct activity_answer *answers, size_t count,
                               bool has_follow_up, struct call_event *ret_events);

/* Brings events into the order in which they are folded. */
void call_events_sort(struct call_event *events, size_t count);

/* Folds sorted events onto a new call.
 *
 *   arena        for scratch, bounded by the number of activities
 *   ret_answers  `count` answers, one an event; NULL if they are not wanted
 *
 * RESULT_EXHAUSTED  `arena` is full: nothing was written, call again with a larger one */
MUST_CHECK enum result call_fold(const struct call_event *events, size_t count,
                                 const struct call_policy *policy, struct arena *arena,
                                 struct call *ret_call, struct call_answer *ret_answers,
                                 struct problem *problem);

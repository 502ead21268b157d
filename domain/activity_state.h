/* SPDX-License-Identifier: Apache-2.0 */
/* activity_state.h: the life of an activity (one visit or one phone intervention), folded from its
 * events; never a state that somebody wrote.
 *
 *   draft -plan[D]-> planned -dispatch[D]-> dispatched -accept[T]-> accepted -depart[T]->
 *   travelling -arrive[T]-> on_site -start[T]-> working <-pause/resume[T]-> paused
 *   dispatched..paused -finish[T]-> done -approve[M D srv]-> approved -price[srv]-> priced
 *   dispatched -reject[T]-> planned      travelling|on_site -no_access[T]-> failed
 *   planned..on_site -reassign[D]-> dispatched      dispatched..on_site -reschedule[D]-> dispatched
 *   draft..paused -cancel[D M]-> cancelled          done|approved -reopen[M]-> working, unbilled
 *   priced -bill[B srv]-> priced, billed            priced -credit[B srv]-> priced, not billed
 *
 * A technician's own unplanned activity is born accepted. D and M may record a step [T] on behalf
 * of the technician named in the event.
 *
 * The assignment version starts at 0 and grows by one with each dispatch, reassign and reschedule,
 * and when work beats plan; an event carries the version and state its author had seen.
 *
 * Order. Events are folded in the order in which the server accepted them (`seq`); a device appends
 * its own pending ones (seq 0) last, by their local change number, and then by id. So the fold of
 * the same rows is the same on both sides. Where two reports of one step meet, the earliest time
 * counts whichever came first: started_at and finished_at don't depend on the order of arrival.
 *
 * The caller has already checked that the author was entitled to the row when the event was made,
 * and has stored all facts (sessions, parts, photos): only the step is judged here. */
#pragma once

#include "domain/answer.h"

#include <stdbool.h>

enum activity_state {
    ACTIVITY_DRAFT,
    ACTIVITY_PLANNED,
    ACTIVITY_DISPATCHED,
    ACTIVITY_ACCEPTED,
    ACTIVITY_TRAVELLING,
    ACTIVITY_ON_SITE,
    ACTIVITY_WORKING,
    ACTIVITY_PAUSED,
    ACTIVITY_DONE,
    ACTIVITY_APPROVED,
    ACTIVITY_PRICED,
    ACTIVITY_FAILED,
    ACTIVITY_CANCELLED,
    ACTIVITY_STATE_COUNT
};

enum activity_kind {
    ACTIVITY_PLAN,
    ACTIVITY_DISPATCH,
    ACTIVITY_REASSIGN,
    ACTIVITY_RESCHEDULE,
    ACTIVITY_ACCEPT,
    ACTIVITY_REJECT,
    ACTIVITY_DEPART,
    ACTIVITY_ARRIVE,
    ACTIVITY_START,
    ACTIVITY_PAUSE,
    ACTIVITY_RESUME,
    ACTIVITY_FINISH,
    ACTIVITY_NO_ACCESS,
    ACTIVITY_CANCEL,
    ACTIVITY_APPROVE,
    ACTIVITY_PRICE,
    ACTIVITY_BILL,
    ACTIVITY_CREDIT,
    ACTIVITY_REOPEN,
    ACTIVITY_KIND_COUNT
};

/* base_ver of an author who did not look at a version (a server job). */
enum { ACTIVITY_VERSION_ANY = -1 };

struct activity_event {
    int64_t id;
    int64_t seq; /* of the server's acceptance; 0 while pending on the device that made it */
    int64_t lcn; /* local change number, orders the pending ones */
    int64_t occurred_at; /* us, corrected by the measured clock offset; > 0 */
    int64_t by_id;       /* who recorded it; 0 for a server job */
    int64_t tech_id;     /* whose step it is; for plan, dispatch and reassign: who gets the job,
                            0 keeps the technician there is */
    int64_t base_ver;    /* assignment version its author had seen, or ACTIVITY_VERSION_ANY */
    enum activity_kind kind;
    enum activity_state base_state; /* state its author had seen */
    unsigned roles;                 /* of by_id when it was recorded: set of enum role */
    bool has_work;                  /* finish: there is a session, or the work was a phone call */
};

/* The activity as its events say. Zeroed is an activity in draft without technician. */
struct activity {
    int64_t tech_id; /* 0: nobody */
    int64_t assign_ver;
    int64_t started_at;  /* us; 0: not yet */
    int64_t finished_at; /* us; 0: not yet, or open again */
    int64_t reopened_at; /* us; steps reported from before it belong to the earlier round */
    enum activity_state state;
    enum activity_state cancelled_in; /* the state a cancellation met */
    bool is_after_cancel;             /* done although cancelled */
    bool is_closed_on_behalf; /* finished by the office; the technician's own is outstanding */
    bool is_billed;
};

/* What an answer asks the caller to do besides storing the state; all are idempotent. */
enum activity_effect {
    ACTIVITY_WITHDRAW_COPY = 1 << 0,     /* take the job off withdraw_tech_id's device, tell them */
    ACTIVITY_NOTIFY_DISPATCHER = 1 << 1, /* a notice, no question */
    ACTIVITY_SEND_PLAN = 1 << 2,         /* the author's device gets the plan as it is now */
    ACTIVITY_WANT_SIBLING = 1 << 3,      /* an activity of its own for (this one, tech_id) */
    ACTIVITY_CALL_IN_PROGRESS = 1 << 4,  /* the call is open again */
    ACTIVITY_REPLACE_ESTIMATE = 1 << 5,  /* the technician's facts replace the office's estimate */
    ACTIVITY_LATE_CHARGES = 1 << 6,      /* new charges, next generation, for the difference only */
    ACTIVITY_FOLLOW_CALL = 1 << 7,       /* the call was merged: the work is under the survivor */
};

struct activity_answer {
    int64_t withdraw_tech_id; /* with ACTIVITY_WITHDRAW_COPY */
    enum answer answer;
    enum reason reason;
    enum activity_state state; /* after the event */
    unsigned effects;          /* set of enum activity_effect */
    struct review review;      /* roles 0: nobody is asked */
    int stale_row;             /* 1..8 if a rule for stale events answered (see the .c); else 0 */
};

const char *activity_state_name(enum activity_state state); /* "on_site": as stored; for ever */
bool activity_state_parse(const char *name, enum activity_state *ret_state);
const char *activity_kind_name(enum activity_kind kind); /* "no_access": as stored; for ever */
bool activity_kind_parse(const char *name, enum activity_kind *ret_kind);

/* Nothing more happens by itself: done, approved, priced, failed, cancelled. */
bool activity_is_ended(enum activity_state state);
/* On the way or at work: travelling, on_site, working, paused. */
bool activity_is_under_way(enum activity_state state);

/* The table alone: may someone with these roles take this step now?
 *
 *   is_on_behalf  the author records it for the technician, who is someone else
 *   ret_to        the state it leads to
 *   ret_reason    why not: REASON_NOT_PERMITTED or REASON_TRANSITION_NOT_ALLOWED
 *
 * False: a form does not offer the step, an online request is refused with the reason. */
bool activity_permits(enum activity_state state, enum activity_kind kind, unsigned roles,
                      bool is_on_behalf, enum activity_state *ret_to, enum reason *ret_reason);

/* A new activity: a draft of the office (tech_id 0), or a technician's own, born accepted. */
struct activity activity_born(int64_t tech_id);

/* Judges one event against the activity and returns the activity after it through ret_after
 * (equal to `activity` if nothing changed). Whatever the answer, the event row stays stored. */
struct activity_answer activity_judge(const struct activity *activity,
                                      const struct activity_event *event, bool is_call_merged,
                                      struct activity *ret_after);

/* Brings events into the order in which they are folded. */
void activity_events_sort(struct activity_event *events, size_t count);

/* Folds sorted events onto a new activity.
 *
 *   ret_answers  `count` answers, one an event: the absorbed, parked and branched ones with their
 *                reasons; NULL if they are not wanted
 *
 * An id that is there twice is absorbed the second time. Time grows with the square of `count`,
 * which is some dozens in practice. */
struct activity activity_fold(const struct activity *born, const struct activity_event *events,
                              size_t count, bool is_call_merged,
                              struct activity_answer *ret_answers);

/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/activity_state.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

#define IN(state)       (1u << ACTIVITY_##state)
#define OF(kind)        (1u << ACTIVITY_##kind)
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum {
    BEFORE_WORK = IN(PLANNED) | IN(DISPATCHED) | IN(ACCEPTED) | IN(TRAVELLING) | IN(ON_SITE),
    AT_WORK = IN(WORKING) | IN(PAUSED),
    OPEN = IN(DRAFT) | BEFORE_WORK | AT_WORK,
    CLOSED = IN(DONE) | IN(APPROVED) | IN(PRICED),
    TECHNICIAN_STEPS = OF(ACCEPT) | OF(REJECT) | OF(DEPART) | OF(ARRIVE) | OF(START) | OF(PAUSE) |
                       OF(RESUME) | OF(FINISH) | OF(NO_ACCESS),
    ASSIGNMENTS = OF(DISPATCH) | OF(REASSIGN) | OF(RESCHEDULE),
    ON_BEHALF_ROLES = ROLE_DISPATCHER | ROLE_MANAGER,
};

static const char *const STATE_NAMES[ACTIVITY_STATE_COUNT] = {
    [ACTIVITY_DRAFT] = "draft",
    [ACTIVITY_PLANNED] = "planned",
    [ACTIVITY_DISPATCHED] = "dispatched",
    [ACTIVITY_ACCEPTED] = "accepted",
    [ACTIVITY_TRAVELLING] = "travelling",
    [ACTIVITY_ON_SITE] = "on_site",
    [ACTIVITY_WORKING] = "working",
    [ACTIVITY_PAUSED] = "paused",
    [ACTIVITY_DONE] = "done",
    [ACTIVITY_APPROVED] = "approved",
    [ACTIVITY_PRICED] = "priced",
    [ACTIVITY_FAILED] = "failed",
    [ACTIVITY_CANCELLED] = "cancelled",
};

static const char *const KIND_NAMES[ACTIVITY_KIND_COUNT] = {
    [ACTIVITY_PLAN] = "plan",           [ACTIVITY_DISPATCH] = "dispatch",
    [ACTIVITY_REASSIGN] = "reassign",   [ACTIVITY_RESCHEDULE] = "reschedule",
    [ACTIVITY_ACCEPT] = "accept",       [ACTIVITY_REJECT] = "reject",
    [ACTIVITY_DEPART] = "depart",       [ACTIVITY_ARRIVE] = "arrive",
    [ACTIVITY_START] = "start",         [ACTIVITY_PAUSE] = "pause",
    [ACTIVITY_RESUME] = "resume",       [ACTIVITY_FINISH] = "finish",
    [ACTIVITY_NO_ACCESS] = "no_access", [ACTIVITY_CANCEL] = "cancel",
    [ACTIVITY_APPROVE] = "approve",     [ACTIVITY_PRICE] = "price",
    [ACTIVITY_BILL] = "bill",           [ACTIVITY_CREDIT] = "credit",
    [ACTIVITY_REOPEN] = "reopen",
};

/* The permitted steps; a kind may have several lines. Everything else is refused. */
/* clang-format off */
static const struct transition {
    enum activity_kind kind;
    unsigned from; /* set of states */
    unsigned roles;
    enum activity_state to;
} TRANSITIONS[] = {
    {ACTIVITY_PLAN,       IN(DRAFT),                    ROLE_DISPATCHER, ACTIVITY_PLANNED},
    {ACTIVITY_DISPATCH,   IN(PLANNED),                  ROLE_DISPATCHER, ACTIVITY_DISPATCHED},
    {ACTIVITY_REASSIGN,   BEFORE_WORK,                  ROLE_DISPATCHER, ACTIVITY_DISPATCHED},
    {ACTIVITY_RESCHEDULE, BEFORE_WORK & ~IN(PLANNED),   ROLE_DISPATCHER, ACTIVITY_DISPATCHED},
    {ACTIVITY_ACCEPT,     IN(DISPATCHED),               ROLE_TECHNICIAN, ACTIVITY_ACCEPTED},
    {ACTIVITY_REJECT,     IN(DISPATCHED),               ROLE_TECHNICIAN, ACTIVITY_PLANNED},
    {ACTIVITY_DEPART,     IN(ACCEPTED),                 ROLE_TECHNICIAN, ACTIVITY_TRAVELLING},
    {ACTIVITY_ARRIVE,     IN(TRAVELLING),               ROLE_TECHNICIAN, ACTIVITY_ON_SITE},
    {ACTIVITY_START,      IN(ON_SITE),                  ROLE_TECHNICIAN, ACTIVITY_WORKING},
    {ACTIVITY_PAUSE,      IN(WORKING),                  ROLE_TECHNICIAN, ACTIVITY_PAUSED},
    {ACTIVITY_RESUME,     IN(PAUSED),                   ROLE_TECHNICIAN, ACTIVITY_WORKING},
    {ACTIVITY_FINISH,     (BEFORE_WORK & ~IN(PLANNED)) | AT_WORK, ROLE_TECHNICIAN, ACTIVITY_DONE},
    {ACTIVITY_NO_ACCESS,  IN(TRAVELLING) | IN(ON_SITE), ROLE_TECHNICIAN, ACTIVITY_FAILED},
    {ACTIVITY_CANCEL,     OPEN, ROLE_DISPATCHER | ROLE_MANAGER, ACTIVITY_CANCELLED},
    {ACTIVITY_APPROVE,    IN(DONE), ROLE_MANAGER | ROLE_DISPATCHER | ROLE_SERVER,
                          ACTIVITY_APPROVED},
    {ACTIVITY_PRICE,      IN(APPROVED),                 ROLE_SERVER,     ACTIVITY_PRICED},
    {ACTIVITY_BILL,       IN(PRICED), ROLE_BILLING | ROLE_SERVER, ACTIVITY_PRICED},
    {ACTIVITY_CREDIT,     IN(PRICED), ROLE_BILLING | ROLE_SERVER, ACTIVITY_PRICED},
    {ACTIVITY_REOPEN,     IN(DONE) | IN(APPROVED),      ROLE_MANAGER,    ACTIVITY_WORKING},
};

/* What may have happened on the server between the author's view and now. */
enum circumstance {
    ALWAYS = 0,
    OTHERS_JOB = 1 << 0,    /* the job is not the technician's: reassigned, or rejected before */
    OTHER_WORKED = 1 << 1,  /* and the technician who has it started, finished or stood outside */
    PLAN_MOVED = 1 << 2,    /* a newer assignment version than the author had seen */
    CANCELLED = 1 << 3,
    ON_BEHALF_DONE = 1 << 4,/* the office closed it for the technician, who now reports */
    BILLED = 1 << 5,
    OPEN_JOB = 1 << 6,      /* neither ended nor cancelled */
    OWN_REPORT = 1 << 7,    /* the technician's own event, not one on behalf */
};

/* Stale events of a device that was offline, in the order in which the lines are tried; the first
 * that fits answers. `row` names the rule:
 *   1 work beats plan   2 double visit        3 a mere answer to an old plan   4 done after cancel
 *   5 merged call (an effect on every line)   6 closed on behalf   7 the same twice   8 billed */
static const struct stale {
    int row;
    unsigned kinds;
    unsigned when; /* circumstances that must all be so */
    enum answer answer;
    enum reason reason;
    unsigned effects;
    unsigned review_roles; /* the review's reason is the answer's */
} STALE[] = {
    {2, OF(START) | OF(PAUSE) | OF(RESUME) | OF(FINISH), OTHERS_JOB | OTHER_WORKED, ANSWER_BRANCH,
        REASON_DOUBLE_VISIT, ACTIVITY_WANT_SIBLING, ROLE_DISPATCHER | ROLE_BILLING},
    {2, OF(ARRIVE) | OF(NO_ACCESS), OTHERS_JOB | OTHER_WORKED, ANSWER_ABSORB,
        REASON_OTHER_TECHNICIAN_WORKED, ACTIVITY_NOTIFY_DISPATCHER, 0},
    {4, OF(FINISH), CANCELLED, ANSWER_ACCEPT,
        REASON_DONE_AFTER_CANCEL, ACTIVITY_CALL_IN_PROGRESS, ROLE_DISPATCHER | ROLE_BILLING},
    {4, TECHNICIAN_STEPS, CANCELLED, ANSWER_ABSORB,
        REASON_ACTIVITY_CANCELLED, ACTIVITY_SEND_PLAN, 0},
    {3, OF(ACCEPT) | OF(REJECT) | OF(DEPART), OTHERS_JOB, ANSWER_ABSORB,
        REASON_PLAN_CHANGED, ACTIVITY_SEND_PLAN, 0},
    {3, OF(ACCEPT) | OF(REJECT) | OF(DEPART), PLAN_MOVED, ANSWER_ABSORB,
        REASON_PLAN_CHANGED, ACTIVITY_SEND_PLAN, 0},
    {1, OF(ARRIVE) | OF(START) | OF(FINISH), OTHERS_JOB | OPEN_JOB, ANSWER_ACCEPT,
        REASON_WORK_BEATS_PLAN, ACTIVITY_WITHDRAW_COPY | ACTIVITY_NOTIFY_DISPATCHER, 0},
    {1, OF(NO_ACCESS), OTHERS_JOB | OPEN_JOB, ANSWER_ABSORB,
        REASON_NO_ACCESS_BY_PREVIOUS, ACTIVITY_SEND_PLAN | ACTIVITY_NOTIFY_DISPATCHER, 0},
    {8, OF(FINISH), ON_BEHALF_DONE | BILLED | OWN_REPORT, ANSWER_ABSORB,
        REASON_WORK_AFTER_BILLING, ACTIVITY_LATE_CHARGES, ROLE_BILLING},
    {6, OF(FINISH), ON_BEHALF_DONE | OWN_REPORT, ANSWER_ABSORB,
        REASON_CLOSED_ON_BEHALF, ACTIVITY_REPLACE_ESTIMATE, 0},
};
/* clang-format on */

const char *activity_state_name(enum activity_state state)
{
    invariant(state >= 0 && state < ACTIVITY_STATE_COUNT);
    return STATE_NAMES[state];
}

bool activity_state_parse(const char *name, enum activity_state *ret_state)
{
    for (size_t i = 0; i < ACTIVITY_STATE_COUNT; i++) {
        if (strcmp(STATE_NAMES[i], name) == 0) {
            *ret_state = (enum activity_state)i;
            return true;
        }
    }
    return false;
}

const char *activity_kind_name(enum activity_kind kind)
{
    invariant(kind >= 0 && kind < ACTIVITY_KIND_COUNT);
    return KIND_NAMES[kind];
}

bool activity_kind_parse(const char *name, enum activity_kind *ret_kind)
{
    for (size_t i = 0; i < ACTIVITY_KIND_COUNT; i++) {
        if (strcmp(KIND_NAMES[i], name) == 0) {
            *ret_kind = (enum activity_kind)i;
            return true;
        }
    }
    return false;
}

static bool is_in(enum activity_state state, unsigned states)
{
    return (states & (1u << state)) != 0;
}

static bool is_of(enum activity_kind kind, unsigned kinds)
{
    return (kinds & (1u << kind)) != 0;
}

bool activity_is_ended(enum activity_state state)
{
    return is_in(state, CLOSED | IN(FAILED) | IN(CANCELLED));
}

bool activity_is_under_way(enum activity_state state)
{
    return is_in(state, IN(TRAVELLING) | IN(ON_SITE) | AT_WORK);
}

bool activity_permits(enum activity_state state, enum activity_kind kind, unsigned roles,
                      bool is_on_behalf, enum activity_state *ret_to, enum reason *ret_reason)
{
    *ret_reason = REASON_NOT_PERMITTED;
    for (size_t i = 0; i < COUNT_OF(TRANSITIONS); i++) {
        const struct transition *line = &TRANSITIONS[i];
        unsigned allowed =
            is_on_behalf && is_of(kind, TECHNICIAN_STEPS) ? ON_BEHALF_ROLES : line->roles;

        if (line->kind != kind || (allowed & roles) == 0)
            continue;
        if (is_in(state, line->from)) {
            *ret_to = line->to;
            *ret_reason = REASON_NONE;
            return true;
        }
        *ret_reason = REASON_TRANSITION_NOT_ALLOWED;
    }
    return false;
}

struct activity activity_born(int64_t tech_id)
{
    return (struct activity){.tech_id = tech_id,
                             .state = tech_id == 0 ? ACTIVITY_DRAFT : ACTIVITY_ACCEPTED};
}

static unsigned circumstances_of(const struct activity *activity,
                                 const struct activity_event *event, bool is_on_behalf)
{
    enum activity_state met =
        activity->state == ACTIVITY_CANCELLED ? activity->cancelled_in : activity->state;
    unsigned found = 0;

    if (activity->tech_id != event->tech_id) {
        found |= OTHERS_JOB;
        if (activity->tech_id != 0 && is_in(met, AT_WORK | CLOSED | IN(FAILED)))
            found |= OTHER_WORKED;
    }
    if (event->base_ver != ACTIVITY_VERSION_ANY && event->base_ver < activity->assign_ver)
        found |= PLAN_MOVED;
    if (activity->state == ACTIVITY_CANCELLED)
        found |= CANCELLED;
    if (activity->is_closed_on_behalf && is_in(activity->state, CLOSED))
        found |= ON_BEHALF_DONE;
    if (activity->is_billed)
        found |= BILLED;
    if (is_in(activity->state, OPEN))
        found |= OPEN_JOB;
    if (!is_on_behalf)
        found |= OWN_REPORT;
    return found;
}

/* How far along the way a state is, for telling "already there" from "not yet". */
static int progress_of(enum activity_state state)
{
    static const int PROGRESS[ACTIVITY_STATE_COUNT] = {
        [ACTIVITY_DRAFT] = 0,      [ACTIVITY_PLANNED] = 1,
        [ACTIVITY_DISPATCHED] = 2, [ACTIVITY_ACCEPTED] = 3,
        [ACTIVITY_TRAVELLING] = 4, [ACTIVITY_ON_SITE] = 5,
        [ACTIVITY_WORKING] = 6,    [ACTIVITY_PAUSED] = 6,
        [ACTIVITY_DONE] = 7,       [ACTIVITY_APPROVED] = 8,
        [ACTIVITY_PRICED] = 9,     [ACTIVITY_FAILED] = 5, /* stood at the door: never worked */
        [ACTIVITY_CANCELLED] = -1,                        /* nothing is behind it */
    };

    return PROGRESS[state];
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || b < a ? b : a;
}

/* The activity after an accepted step into `to`. */
static void advance(struct activity *after, const struct activity_event *event,
                    enum activity_state to, bool is_on_behalf)
{
    if (event->kind == ACTIVITY_CANCEL)
        after->cancelled_in = after->state;
    if (event->kind == ACTIVITY_START)
        after->started_at = earlier(after->started_at, event->occurred_at);
    if (event->kind == ACTIVITY_FINISH) {
        after->finished_at = event->occurred_at;
        after->is_closed_on_behalf = is_on_behalf;
    }
    if (event->kind == ACTIVITY_REOPEN) {
        after->finished_at = 0;
        after->reopened_at = event->occurred_at;
        after->is_closed_on_behalf = false;
    }
    if (event->kind == ACTIVITY_REJECT)
        after->tech_id = 0;
    if (is_of(event->kind, OF(PLAN) | OF(DISPATCH) | OF(REASSIGN)) && event->tech_id != 0)
        after->tech_id = event->tech_id;
    if (is_of(event->kind, ASSIGNMENTS))
        after->assign_ver += 1;
    if (is_of(event->kind, OF(BILL) | OF(CREDIT)))
        after->is_billed = event->kind == ACTIVITY_BILL;
    after->state = to;
}

/* What a rule for stale events does to the activity. */
static void apply_stale(const struct stale *rule, const struct activity_event *event,
                        enum activity_state to, bool is_on_behalf, struct activity *after,
                        struct activity_answer *answer)
{
    if (rule->row == 1 && rule->answer == ANSWER_ACCEPT) {
        answer->withdraw_tech_id = after->tech_id;
        if (after->tech_id == 0)
            answer->effects &= ~(unsigned)ACTIVITY_WITHDRAW_COPY;
        after->assign_ver += 1;
    }
    if (rule->row == 4 && rule->answer == ANSWER_ACCEPT)
        after->is_after_cancel = true;
    if (rule->answer == ANSWER_ACCEPT) {
        after->tech_id = event->tech_id;
        advance(after, event, to, is_on_behalf);
    }
    if (rule->row == 6 || rule->row == 8) { /* the technician's times count, not the estimate */
        after->finished_at = event->occurred_at;
        after->is_closed_on_behalf = false;
    }
    if (event->kind == ACTIVITY_START && rule->row == 4)
        after->started_at = earlier(after->started_at, event->occurred_at);
}

static struct activity_answer answer_with(enum answer answer, enum reason reason,
                                          unsigned review_roles)
{
    return (struct activity_answer){
        .answer = answer, .reason = reason, .review = {.reason = reason, .roles = review_roles}};
}

/* The state in which a step leaves an activity wherever it came from; NULL for kinds unknown. */
static const struct transition *transition_of(enum activity_kind kind)
{
    for (size_t i = 0; i < COUNT_OF(TRANSITIONS); i++)
        if (TRANSITIONS[i].kind == kind)
            return &TRANSITIONS[i];
    return NULL;
}

/* A second report of a step: the earliest time counts. */
static void note_repeated(struct activity *after, const struct activity_event *event)
{
    if (event->tech_id != after->tech_id)
        return;
    if (event->kind == ACTIVITY_START)
        after->started_at = earlier(after->started_at, event->occurred_at);
    if (event->kind == ACTIVITY_FINISH && after->finished_at != 0)
        after->finished_at = earlier(after->finished_at, event->occurred_at);
}

/* A technician's step that no rule for stale events took. The state its author had seen counts as
 * well as the server's, as long as it leads forward: in between only plans can have changed. */
static struct activity_answer judge_work(const struct activity_event *event,
                                         const struct transition *line, bool is_on_behalf,
                                         struct activity *after)
{
    bool is_legal_now = is_in(after->state, line->from);
    bool is_forward = is_in(after->state, OPEN) && is_in(event->base_state, line->from) &&
                      progress_of(line->to) > progress_of(after->state);

    if (event->tech_id == after->tech_id && after->reopened_at != 0 &&
        event->occurred_at <= after->reopened_at) /* a late copy from the round before */
        return answer_with(ANSWER_ABSORB, REASON_ALREADY_THERE, 0);

    if (event->tech_id == after->tech_id && (is_legal_now || is_forward)) {
        advance(after, event, line->to, is_on_behalf);
        return answer_with(ANSWER_ACCEPT, REASON_NONE, 0);
    }
    if (event->tech_id == after->tech_id && progress_of(after->state) >= progress_of(line->to)) {
        note_repeated(after, event);
        return answer_with(ANSWER_ABSORB, REASON_ALREADY_THERE, 0);
    }
    return answer_with(ANSWER_PARK, REASON_TRANSITION_NOT_ALLOWED, ROLE_DISPATCHER);
}

/* A step of the office or of a job. */
static struct activity_answer judge_office(const struct activity_event *event,
                                           const struct transition *line, unsigned circumstances,
                                           struct activity *after)
{
    if (event->kind == ACTIVITY_REOPEN && (after->is_billed || after->state == ACTIVITY_PRICED))
        return answer_with(ANSWER_PARK, REASON_ALREADY_BILLED, ROLE_MANAGER);
    if (is_of(event->kind, ASSIGNMENTS) && (circumstances & PLAN_MOVED) != 0)
        return answer_with(ANSWER_ABSORB, REASON_OVERTAKEN, ROLE_DISPATCHER);
    if (is_of(event->kind, OF(DISPATCH) | OF(REASSIGN)) && event->tech_id == 0 &&
        after->tech_id == 0)
        return answer_with(ANSWER_PARK, REASON_NO_TECHNICIAN, ROLE_DISPATCHER);
    if (event->kind == ACTIVITY_BILL && after->is_billed)
        return answer_with(ANSWER_ABSORB, REASON_ALREADY_THERE, 0);
    if (event->kind == ACTIVITY_CREDIT && !after->is_billed)
        return answer_with(ANSWER_ABSORB, REASON_ALREADY_THERE, 0);
    if (is_in(after->state, line->from)) {
        advance(after, event, line->to, false);
        return answer_with(ANSWER_ACCEPT, REASON_NONE, 0);
    }
    if (after->state == line->to)
        return answer_with(ANSWER_ABSORB, REASON_ALREADY_THERE, 0);
    if (event->kind == ACTIVITY_CANCEL && is_in(after->state, CLOSED))
        return answer_with(ANSWER_PARK, REASON_TRANSITION_NOT_ALLOWED, ROLE_MANAGER);
    return answer_with(ANSWER_PARK, REASON_TRANSITION_NOT_ALLOWED, ROLE_DISPATCHER);
}

static const struct stale *stale_rule_of(const struct activity_event *event, unsigned circumstances)
{
    for (size_t i = 0; i < COUNT_OF(STALE); i++)
        if (is_of(event->kind, STALE[i].kinds) && (circumstances & STALE[i].when) == STALE[i].when)
            return &STALE[i];
    return NULL;
}

struct activity_answer activity_judge(const struct activity *activity,
                                      const struct activity_event *event, bool is_call_merged,
                                      struct activity *ret_after)
{
    const struct transition *line = transition_of(event->kind);
    bool is_work = is_of(event->kind, TECHNICIAN_STEPS);
    bool is_on_behalf = is_work && event->by_id != event->tech_id;
    unsigned circumstances = circumstances_of(activity, event, is_on_behalf);
    unsigned allowed = is_on_behalf ? ON_BEHALF_ROLES : line->roles;
    const struct stale *rule = is_work ? stale_rule_of(event, circumstances) : NULL;
    struct activity after = *activity;
    struct activity_answer answer;

    invariant(line != NULL && event->base_state < ACTIVITY_STATE_COUNT);
    if ((allowed & event->roles) == 0) {
        answer = answer_with(ANSWER_REFUSE, REASON_NOT_PERMITTED, 0);
    } else if (is_work && event->tech_id == 0) {
        answer = answer_with(ANSWER_PARK, REASON_NO_TECHNICIAN, ROLE_DISPATCHER);
    } else if (event->kind == ACTIVITY_FINISH && !event->has_work) {
        answer = answer_with(ANSWER_PARK, REASON_FINISH_WITHOUT_WORK, ROLE_MANAGER);
    } else if (rule != NULL) {
        answer = answer_with(rule->answer, rule->reason, rule->review_roles);
        answer.effects = rule->effects;
        answer.stale_row = rule->row;
        apply_stale(rule, event, line->to, is_on_behalf, &after, &answer);
    } else if (is_work) {
        answer = judge_work(event, line, is_on_behalf, &after);
        if (answer.reason == REASON_ALREADY_THERE)
            answer.stale_row = 7;
    } else {
        answer = judge_office(event, line, circumstances, &after);
    }
    if (is_call_merged && answer.answer != ANSWER_REFUSE)
        answer.effects |= ACTIVITY_FOLLOW_CALL;
    answer.state = after.state;
    *ret_after = after;
    return answer;
}

/* Accepted ones by seq, then the pending ones by lcn; ids settle the rest. */
static int event_compare(const void *left, const void *right)
{
    const struct activity_event *a = left;
    const struct activity_event *b = right;

    if ((a->seq == 0) != (b->seq == 0))
        return a->seq == 0 ? 1 : -1;
    if (a->seq != b->seq)
        return a->seq < b->seq ? -1 : 1;
    if (a->seq == 0 && a->lcn != b->lcn)
        return a->lcn < b->lcn ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

void activity_events_sort(struct activity_event *events, size_t count)
{
    if (count > 1)
        qsort(events, count, sizeof events[0], event_compare);
}

static bool has_come_before(const struct activity_event *events, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (events[i].id == events[index].id)
            return true;
    return false;
}

struct activity activity_fold(const struct activity *born, const struct activity_event *events,
                              size_t count, bool is_call_merged,
                              struct activity_answer *ret_answers)
{
    struct activity activity = *born;

    for (size_t i = 0; i < count; i++) {
        struct activity_answer answer = answer_with(ANSWER_ABSORB, REASON_SAME_EVENT, 0);

        invariant(i == 0 || event_compare(&events[i - 1], &events[i]) <= 0);
        if (has_come_before(events, i)) {
            answer.state = activity.state;
            answer.stale_row = 7;
        } else {
            answer = activity_judge(&activity, &events[i], is_call_merged, &activity);
        }
        if (ret_answers != NULL)
            ret_answers[i] = answer;
    }
    return activity;
}

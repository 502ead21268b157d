/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/call_state.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

#define IN(state)       (1u << CALL_##state)
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define DAY_US          (INT64_C(86400) * 1000 * 1000)

enum {
    UNSTARTED = IN(NEW) | IN(TRIAGED) | IN(PLANNED),
    OPEN = UNSTARTED | IN(IN_PROGRESS) | IN(WAITING),
};

/* The permitted steps. Everything else is refused. */
static const struct transition {
    unsigned from; /* set of states */
    unsigned roles;
    enum call_state to; /* a release recomputes it */
} TRANSITIONS[CALL_KIND_COUNT] = {
    [CALL_TRIAGE] = {IN(NEW), ROLE_HELP_DESK | ROLE_DISPATCHER, CALL_TRIAGED},
    [CALL_PLAN] = {IN(TRIAGED), ROLE_DISPATCHER, CALL_PLANNED},
    [CALL_ANSWER] = {UNSTARTED, ROLE_HELP_DESK | ROLE_TECHNICIAN, CALL_RESOLVED},
    [CALL_MERGE] = {UNSTARTED, ROLE_HELP_DESK | ROLE_DISPATCHER, CALL_DUPLICATE},
    [CALL_CANCEL] = {OPEN, ROLE_DISPATCHER | ROLE_MANAGER, CALL_CANCELLED},
    [CALL_HOLD] = {OPEN & ~IN(WAITING), ROLE_HELP_DESK | ROLE_DISPATCHER | ROLE_TECHNICIAN,
                   CALL_WAITING},
    [CALL_RELEASE] = {IN(WAITING), ROLE_HELP_DESK | ROLE_DISPATCHER | ROLE_SERVER, CALL_WAITING},
    [CALL_CLOSE] = {IN(RESOLVED), ROLE_HELP_DESK | ROLE_MANAGER | ROLE_SERVER, CALL_CLOSED},
    [CALL_REOPEN] = {IN(RESOLVED) | IN(CLOSED), ROLE_HELP_DESK | ROLE_MANAGER | ROLE_CUSTOMER,
                     CALL_IN_PROGRESS},
    [CALL_ACTIVITY] = {0, 0, CALL_NEW},
};

static const char *const STATE_NAMES[CALL_STATE_COUNT] = {
    [CALL_NEW] = "new",
    [CALL_TRIAGED] = "triaged",
    [CALL_PLANNED] = "planned",
    [CALL_IN_PROGRESS] = "in_progress",
    [CALL_WAITING] = "waiting",
    [CALL_RESOLVED] = "resolved",
    [CALL_CLOSED] = "closed",
    [CALL_DUPLICATE] = "duplicate",
    [CALL_CANCELLED] = "cancelled",
};

static const char *const KIND_NAMES[CALL_KIND_COUNT] = {
    [CALL_TRIAGE] = "triage",     [CALL_PLAN] = "plan",     [CALL_ANSWER] = "answer",
    [CALL_MERGE] = "duplicate",   [CALL_CANCEL] = "cancel", [CALL_HOLD] = "hold",
    [CALL_RELEASE] = "release",   [CALL_CLOSE] = "close",   [CALL_REOPEN] = "reopen",
    [CALL_ACTIVITY] = "activity",
};

/* One activity while the call is folded. Positions are indexes into the events, plus one. */
struct slot {
    int64_t activity_id;
    enum activity_state state;
    size_t begun; /* when it was first under way or ended; 0: not yet */
    size_t done;
    bool has_follow_up;
};

struct fold {
    struct call call;
    const struct call_policy *policy;
    struct slot *slots;
    size_t slot_count;
};

const char *call_state_name(enum call_state state)
{
    invariant(state >= 0 && state < CALL_STATE_COUNT);
    return STATE_NAMES[state];
}

bool call_state_parse(const char *name, enum call_state *ret_state)
{
    for (size_t i = 0; i < CALL_STATE_COUNT; i++) {
        if (strcmp(STATE_NAMES[i], name) == 0) {
            *ret_state = (enum call_state)i;
            return true;
        }
    }
    return false;
}

const char *call_kind_name(enum call_kind kind)
{
    invariant(kind >= 0 && kind < CALL_KIND_COUNT);
    return KIND_NAMES[kind];
}

bool call_kind_parse(const char *name, enum call_kind *ret_kind)
{
    for (size_t i = 0; i < CALL_ACTIVITY; i++) {
        if (strcmp(KIND_NAMES[i], name) == 0) {
            *ret_kind = (enum call_kind)i;
            return true;
        }
    }
    return false;
}

enum call_state call_status(const struct call_work *work, enum call_state without_work)
{
    if (work->under_way_count > 0 || (work->done_count > 0 && work->open_count > 0))
        return CALL_IN_PROGRESS;
    if (work->open_count > 0)
        return CALL_PLANNED;
    if (work->done_count > 0)
        return work->follow_up_count > 0 ? CALL_TRIAGED : CALL_RESOLVED;
    return work->vain_count > 0 ? CALL_TRIAGED : without_work;
}

bool call_permits(enum call_state state, enum call_kind kind, unsigned roles,
                  enum call_state *ret_to, enum reason *ret_reason)
{
    const struct transition *line = &TRANSITIONS[kind];

    invariant(state < CALL_STATE_COUNT && kind < CALL_KIND_COUNT);
    if ((line->roles & roles) == 0) {
        *ret_reason = REASON_NOT_PERMITTED;
        return false;
    }
    if ((line->from & (1u << state)) == 0) {
        *ret_reason = REASON_TRANSITION_NOT_ALLOWED;
        return false;
    }
    *ret_reason = REASON_NONE;
    *ret_to = kind == CALL_RELEASE ? state : line->to;
    return true;
}

size_t call_events_of_activity(int64_t activity_id, const struct activity_event *events,
                               const struct activity_answer *answers, size_t count,
                               bool has_follow_up, struct call_event *ret_events)
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        if (answers[i].answer != ANSWER_ACCEPT)
            continue;
        ret_events[used++] = (struct call_event){
            .id = events[i].id,
            .occurred_at = events[i].occurred_at,
            .kind = CALL_ACTIVITY,
            .activity_id = activity_id,
            .to = answers[i].state,
            .has_follow_up = has_follow_up,
            .is_after_cancel = answers[i].reason == REASON_DONE_AFTER_CANCEL,
        };
    }
    return used;
}

static int event_compare(const void *left, const void *right)
{
    const struct call_event *a = left;
    const struct call_event *b = right;

    if (a->occurred_at != b->occurred_at)
        return a->occurred_at < b->occurred_at ? -1 : 1;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    if (a->kind != b->kind) /* ids are unique in their table only */
        return a->kind < b->kind ? -1 : 1;
    return (a->activity_id > b->activity_id) - (a->activity_id < b->activity_id);
}

void call_events_sort(struct call_event *events, size_t count)
{
    if (count > 1)
        qsort(events, count, sizeof events[0], event_compare);
}

static struct call_answer answer_with(enum answer answer, enum reason reason, unsigned roles)
{
    return (struct call_answer){
        .answer = answer, .reason = reason, .review = {.reason = reason, .roles = roles}};
}

static bool is_done(enum activity_state state)
{
    return state == ACTIVITY_DONE || state == ACTIVITY_APPROVED || state == ACTIVITY_PRICED;
}

/* A follow-up is met by an activity that began after the one that asked for it and was done. */
static bool follow_up_is_open(const struct fold *fold, const struct slot *asking)
{
    for (size_t i = 0; i < fold->slot_count; i++)
        if (is_done(fold->slots[i].state) && fold->slots[i].begun > asking->done)
            return false;
    return true;
}

static struct call_work work_of(const struct fold *fold)
{
    struct call_work work = {0};

    for (size_t i = 0; i < fold->slot_count; i++) {
        const struct slot *slot = &fold->slots[i];

        if (slot->state == ACTIVITY_DRAFT)
            continue;
        if (!activity_is_ended(slot->state))
            work.open_count++;
        if (activity_is_under_way(slot->state))
            work.under_way_count++;
        if (slot->state == ACTIVITY_FAILED || slot->state == ACTIVITY_CANCELLED)
            work.vain_count++;
        if (is_done(slot->state)) {
            work.done_count++;
            if (slot->has_follow_up && follow_up_is_open(fold, slot))
                work.follow_up_count++;
        }
    }
    return work;
}

static void enter(struct call *call, enum call_state state, int64_t now)
{
    bool was_resolved = call->state == CALL_RESOLVED || call->state == CALL_CLOSED;

    if (state == CALL_RESOLVED && !was_resolved)
        call->resolved_at = now;
    if (state != CALL_RESOLVED && state != CALL_CLOSED)
        call->resolved_at = 0;
    call->closed_at = state == CALL_CLOSED ? now : 0;
    call->state = state;
}

/* The state of a call that no event holds where it is. */
static void recompute(struct fold *fold, int64_t now)
{
    struct call *call = &fold->call;
    struct call_work work = work_of(fold);

    if (call->is_answered)
        enter(call, CALL_RESOLVED, now);
    else if (call->is_reopened || call->is_after_cancel)
        enter(call, CALL_IN_PROGRESS, now);
    else
        enter(call, call_status(&work, call->without_work), now);
}

static struct slot *slot_of(struct fold *fold, int64_t activity_id)
{
    for (size_t i = 0; i < fold->slot_count; i++)
        if (fold->slots[i].activity_id == activity_id)
            return &fold->slots[i];
    fold->slots[fold->slot_count] = (struct slot){.activity_id = activity_id};
    return &fold->slots[fold->slot_count++];
}

static bool slot_update(struct fold *fold, const struct call_event *event, size_t position)
{
    struct slot *slot = slot_of(fold, event->activity_id);
    bool is_newly_done = is_done(event->to) && !is_done(slot->state);

    if (slot->begun == 0 && (activity_is_under_way(event->to) || activity_is_ended(event->to)))
        slot->begun = position;
    if (is_newly_done)
        slot->done = position;
    slot->state = event->to;
    slot->has_follow_up = event->has_follow_up;
    return is_newly_done;
}

/* An activity came into another state. */
static struct call_answer take_activity(struct fold *fold, const struct call_event *event,
                                        size_t position)
{
    struct call *call = &fold->call;
    bool is_newly_done = slot_update(fold, event, position);

    if (call->state == CALL_DUPLICATE)
        return answer_with(ANSWER_ABSORB, REASON_CALL_MERGED, 0);
    if (call->state == CALL_CLOSED || call->is_answered) {
        if (is_newly_done)
            return answer_with(ANSWER_ABSORB, REASON_VISIT_AFTER_CLOSE,
                               ROLE_DISPATCHER | ROLE_BILLING);
        return answer_with(ANSWER_ABSORB, REASON_OVERTAKEN, 0);
    }
    if (is_newly_done && (event->is_after_cancel || call->state == CALL_CANCELLED)) {
        call->is_after_cancel = true;
        recompute(fold, event->occurred_at);
        return answer_with(ANSWER_ACCEPT, REASON_DONE_AFTER_CANCEL, ROLE_DISPATCHER | ROLE_BILLING);
    }
    if (call->state == CALL_CANCELLED)
        return answer_with(ANSWER_ABSORB, REASON_OVERTAKEN, 0);
    if (is_newly_done)
        call->is_reopened = false;
    if (event->to == ACTIVITY_APPROVED || event->to == ACTIVITY_PRICED)
        call->is_after_cancel = false;
    if (call->state == CALL_WAITING) /* until it is released */
        return answer_with(ANSWER_ACCEPT, REASON_NONE, 0);
    recompute(fold, event->occurred_at);
    return answer_with(ANSWER_ACCEPT, REASON_NONE, 0);
}

/* What the table can't say: REASON_NONE if the step may be taken. */
static struct call_answer check_conditions(const struct fold *fold, const struct call_event *event)
{
    const struct call *call = &fold->call;
    int64_t since = call->closed_at != 0 ? call->closed_at : call->resolved_at;
    unsigned roles = event->roles & TRANSITIONS[event->kind].roles;
    int64_t days = 0;

    if (event->kind == CALL_ANSWER && roles == ROLE_TECHNICIAN && !event->is_remote)
        return answer_with(ANSWER_PARK, REASON_NOT_REMOTE, ROLE_HELP_DESK);
    if (event->kind == CALL_MERGE && event->dup_of_id == 0)
        return answer_with(ANSWER_PARK, REASON_NO_SURVIVING_CALL, ROLE_HELP_DESK);
    if (event->kind == CALL_RELEASE && roles == ROLE_SERVER && call->hold_for != CALL_HOLD_PARTS)
        return answer_with(ANSWER_ABSORB, REASON_NOT_WAITING_FOR_PARTS, 0);
    days = (event->occurred_at - since) / DAY_US;
    if (event->kind == CALL_CLOSE && roles == ROLE_SERVER &&
        (fold->policy->close_days <= 0 || days < fold->policy->close_days))
        return answer_with(ANSWER_ABSORB, REASON_CLOSE_TOO_EARLY, 0);
    if (event->kind == CALL_REOPEN && roles == ROLE_CUSTOMER &&
        (fold->policy->reopen_days <= 0 ||
         event->occurred_at - since > fold->policy->reopen_days * DAY_US))
        return answer_with(ANSWER_PARK, REASON_REOPEN_TOO_LATE, ROLE_HELP_DESK | ROLE_MANAGER);
    return answer_with(ANSWER_ACCEPT, REASON_NONE, 0);
}

/* A step that table and conditions permit. */
static struct call_answer take_step(struct fold *fold, const struct call_event *event)
{
    struct call *call = &fold->call;
    enum call_state to = TRANSITIONS[event->kind].to;
    bool is_visit_open = event->kind == CALL_ANSWER && work_of(fold).open_count > 0;

    if (event->kind == CALL_TRIAGE || event->kind == CALL_PLAN)
        call->without_work = to;
    if (event->kind == CALL_ANSWER)
        call->is_answered = true;
    if (event->kind == CALL_REOPEN) {
        call->is_answered = false;
        call->is_reopened = true;
    }
    if (event->kind == CALL_CANCEL)
        call->is_reopened = call->is_after_cancel = false;
    call->hold_for = event->kind == CALL_HOLD ? event->hold_for : CALL_HOLD_NONE;
    call->dup_of_id = event->kind == CALL_MERGE ? event->dup_of_id : 0;
    if (event->kind == CALL_RELEASE)
        recompute(fold, event->occurred_at);
    else
        enter(call, to, event->occurred_at);
    return is_visit_open
               ? answer_with(ANSWER_ACCEPT, REASON_ANSWERED_WITH_VISIT_OPEN, ROLE_DISPATCHER)
               : answer_with(ANSWER_ACCEPT, REASON_NONE, 0);
}

/* How far along a call is, for telling an overtaken step from an impossible one. */
static bool is_overtaken(enum call_state state, enum call_kind kind)
{
    if (kind == CALL_TRIAGE || kind == CALL_PLAN)
        return state > TRANSITIONS[kind].to && state != CALL_WAITING;
    if (kind == CALL_ANSWER)
        return state == CALL_CLOSED;
    if (kind == CALL_REOPEN) /* someone opened it before */
        return state == CALL_IN_PROGRESS;
    return kind == CALL_RELEASE && state != CALL_WAITING;
}

static struct call_answer take_event(struct fold *fold, const struct call_event *event)
{
    enum call_state to = CALL_NEW;
    enum reason reason = REASON_NONE;
    bool is_permitted = call_permits(fold->call.state, event->kind, event->roles, &to, &reason);
    struct call_answer answer;

    if (reason == REASON_NOT_PERMITTED)
        return answer_with(ANSWER_REFUSE, REASON_NOT_PERMITTED, 0);
    if (fold->call.state == CALL_DUPLICATE)
        return answer_with(ANSWER_ABSORB, REASON_CALL_MERGED, 0);
    if (is_permitted) {
        answer = check_conditions(fold, event);
        return answer.reason == REASON_NONE ? take_step(fold, event) : answer;
    }
    if (event->kind != CALL_RELEASE && fold->call.state == TRANSITIONS[event->kind].to)
        return answer_with(ANSWER_ABSORB, REASON_ALREADY_THERE, 0);
    if (is_overtaken(fold->call.state, event->kind))
        return answer_with(ANSWER_ABSORB, REASON_OVERTAKEN, 0);
    return answer_with(ANSWER_PARK, REASON_TRANSITION_NOT_ALLOWED,
                       ROLE_HELP_DESK | ROLE_DISPATCHER);
}

enum result call_fold(const struct call_event *events, size_t count,
                      const struct call_policy *policy, struct arena *arena, struct call *ret_call,
                      struct call_answer *ret_answers, struct problem *problem)
{
    struct fold fold = {.policy = policy};
    size_t slot_max = 0;

    for (size_t i = 0; i < count; i++)
        slot_max += events[i].kind == CALL_ACTIVITY;
    if (slot_max > 0) {
        fold.slots = arena_array(arena, slot_max, sizeof fold.slots[0]);
        if (fold.slots == NULL)
            return arena_full(arena, problem);
    }
    for (size_t i = 0; i < count; i++) {
        const struct call_event *event = &events[i];
        struct call_answer answer;

        invariant(i == 0 || event_compare(&events[i - 1], event) <= 0);
        if (i > 0 && event->id == events[i - 1].id && event->kind == events[i - 1].kind &&
            event->activity_id == events[i - 1].activity_id)
            answer = answer_with(ANSWER_ABSORB, REASON_SAME_EVENT, 0);
        else if (event->kind == CALL_ACTIVITY)
            answer = take_activity(&fold, event, i + 1);
        else
            answer = take_event(&fold, event);
        answer.state = fold.call.state;
        if (ret_answers != NULL)
            ret_answers[i] = answer;
    }
    *ret_call = fold.call;
    return RESULT_OK;
}

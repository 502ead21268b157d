/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/activity_state.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { ANNA = 11, BRUNO = 12, DORA = 21, MARIO = 31, OFFICE = DORA };

/* The permitted steps, written down a second time as words. */
static const struct permitted {
    const char *from;
    const char *kind;
    const char *roles; /* separated by blanks */
    const char *to;
} PERMITTED[] = {
    {"draft", "plan", "D", "planned"},
    {"planned", "dispatch", "D", "dispatched"},
    {"planned", "reassign", "D", "dispatched"},
    {"dispatched", "reassign", "D", "dispatched"},
    {"accepted", "reassign", "D", "dispatched"},
    {"travelling", "reassign", "D", "dispatched"},
    {"on_site", "reassign", "D", "dispatched"},
    {"dispatched", "reschedule", "D", "dispatched"},
    {"accepted", "reschedule", "D", "dispatched"},
    {"travelling", "reschedule", "D", "dispatched"},
    {"on_site", "reschedule", "D", "dispatched"},
    {"dispatched", "accept", "T", "accepted"},
    {"dispatched", "reject", "T", "planned"},
    {"accepted", "depart", "T", "travelling"},
    {"travelling", "arrive", "T", "on_site"},
    {"on_site", "start", "T", "working"},
    {"working", "pause", "T", "paused"},
    {"paused", "resume", "T", "working"},
    {"dispatched", "finish", "T", "done"},
    {"accepted", "finish", "T", "done"},
    {"travelling", "finish", "T", "done"},
    {"on_site", "finish", "T", "done"},
    {"working", "finish", "T", "done"},
    {"paused", "finish", "T", "done"},
    {"travelling", "no_access", "T", "failed"},
    {"on_site", "no_access", "T", "failed"},
    {"draft", "cancel", "D M", "cancelled"},
    {"planned", "cancel", "D M", "cancelled"},
    {"dispatched", "cancel", "D M", "cancelled"},
    {"accepted", "cancel", "D M", "cancelled"},
    {"travelling", "cancel", "D M", "cancelled"},
    {"on_site", "cancel", "D M", "cancelled"},
    {"working", "cancel", "D M", "cancelled"},
    {"paused", "cancel", "D M", "cancelled"},
    {"done", "approve", "M D srv", "approved"},
    {"approved", "price", "srv", "priced"},
    {"priced", "bill", "B srv", "priced"},
    {"priced", "credit", "B srv", "priced"},
    {"done", "reopen", "M", "working"},
    {"approved", "reopen", "M", "working"},
};

static const char *const TECHNICIAN_KINDS =
    " accept reject depart arrive start pause resume finish no_access ";

static bool has_word(const char *words, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = strstr(words, word); at != NULL; at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

static bool is_technician_kind(const char *kind)
{
    return has_word(TECHNICIAN_KINDS, kind);
}

/* Where the list says the step leads; NULL: nowhere. */
/* The letters that the list above uses. */
static const char *letter_of(int role_bit)
{
    static const char *const LETTERS[ROLE_COUNT] = {"T", "D", "H",   "M", "W",  "P",
                                                    "B", "A", "adm", "C", "srv"};

    return LETTERS[role_bit];
}

static const char *listed(const char *from, const char *kind, const char *role, bool is_on_behalf)
{
    for (size_t i = 0; i < sizeof PERMITTED / sizeof PERMITTED[0]; i++) {
        const struct permitted *line = &PERMITTED[i];
        const char *roles = is_on_behalf && is_technician_kind(kind) ? "D M" : line->roles;

        if (strcmp(line->from, from) == 0 && strcmp(line->kind, kind) == 0 && has_word(roles, role))
            return line->to;
    }
    return NULL;
}

static void the_table_permits_exactly_the_listed_steps(void **state)
{
    int permitted = 0;

    (void)state;
    for (int s = 0; s < ACTIVITY_STATE_COUNT; s++)
        for (int k = 0; k < ACTIVITY_KIND_COUNT; k++)
            for (int r = 0; r < ROLE_COUNT; r++)
                for (int behalf = 0; behalf < 2; behalf++) {
                    enum activity_state to = ACTIVITY_STATE_COUNT;
                    enum reason reason = REASON_COUNT;
                    const char *expected = listed(activity_state_name((enum activity_state)s),
                                                  activity_kind_name((enum activity_kind)k),
                                                  letter_of(r), behalf != 0);
                    bool is = activity_permits((enum activity_state)s, (enum activity_kind)k,
                                               1u << r, behalf != 0, &to, &reason);

                    assert_int_equal(is, expected != NULL);
                    if (is) {
                        assert_string_equal(activity_state_name(to), expected);
                        assert_int_equal(reason, REASON_NONE);
                        permitted++;
                    } else {
                        assert_true(reason == REASON_NOT_PERMITTED ||
                                    reason == REASON_TRANSITION_NOT_ALLOWED);
                        assert_int_equal(to, ACTIVITY_STATE_COUNT);
                    }
                }
    assert_true(permitted > 80);
}

static struct activity in_state(enum activity_state state)
{
    return (struct activity){.state = state, .tech_id = ANNA, .assign_ver = 1};
}

static struct activity_event event_of(enum activity_kind kind, int64_t by, unsigned roles,
                                      int64_t base_ver, enum activity_state base_state)
{
    static int64_t id = 100;

    id++;
    return (struct activity_event){.id = id,
                                   .seq = id,
                                   .occurred_at = 1000 + id,
                                   .by_id = by,
                                   .tech_id = by,
                                   .base_ver = base_ver,
                                   .kind = kind,
                                   .base_state = base_state,
                                   .roles = roles,
                                   .has_work = true};
}

static struct activity_event work(enum activity_kind kind, int64_t by, int64_t base_ver,
                                  enum activity_state base_state)
{
    return event_of(kind, by, ROLE_TECHNICIAN, base_ver, base_state);
}

/* An event of the dispatcher's; `tech` gets the job. */
static struct activity_event office(enum activity_kind kind, int64_t tech, int64_t base_ver)
{
    struct activity_event event =
        event_of(kind, OFFICE, ROLE_DISPATCHER, base_ver, ACTIVITY_PLANNED);

    event.tech_id = tech;
    return event;
}

/* The office takes the technician's step; M may do it. */
static struct activity_event behalf(enum activity_kind kind, int64_t tech, int64_t base_ver)
{
    struct activity_event event = event_of(kind, MARIO, ROLE_MANAGER, base_ver, ACTIVITY_PLANNED);

    event.tech_id = tech;
    return event;
}

static struct activity_answer judge(struct activity *activity, struct activity_event event)
{
    return activity_judge(activity, &event, false, activity);
}

static void expect(struct activity_answer answer, enum answer expected, enum reason reason,
                   enum activity_state to)
{
    assert_string_equal(answer_name(answer.answer), answer_name(expected));
    assert_string_equal(reason_code(answer.reason), reason_code(reason));
    assert_string_equal(activity_state_name(answer.state), activity_state_name(to));
}

static void up_to_date_events_do_what_the_table_says_and_nothing_else(void **state)
{
    (void)state;
    for (int s = 0; s < ACTIVITY_STATE_COUNT; s++)
        for (int k = 0; k < ACTIVITY_KIND_COUNT; k++)
            for (int r = 0; r < ROLE_COUNT; r++) {
                enum activity_kind kind = (enum activity_kind)k;
                enum activity_state from = (enum activity_state)s;
                struct activity before = in_state(from);
                struct activity after = before;
                struct activity_event event = event_of(kind, ANNA, 1u << r, 1, from);
                const char *to = listed(activity_state_name(from), activity_kind_name(kind),
                                        letter_of(r), false);
                struct activity_answer answer = activity_judge(&before, &event, false, &after);

                if (from == ACTIVITY_CANCELLED && kind == ACTIVITY_FINISH && r == 0)
                    to = "done"; /* the one exception: work that happened */
                if (kind == ACTIVITY_CREDIT)
                    to = NULL; /* nothing is billed here */
                if (to != NULL) {
                    assert_int_equal(answer.answer, ANSWER_ACCEPT);
                    assert_string_equal(activity_state_name(after.state), to);
                    continue;
                }
                assert_int_not_equal(answer.answer, ANSWER_ACCEPT);
                assert_int_not_equal(answer.reason, REASON_NONE);
                assert_int_equal(after.state, from);
                assert_int_equal(after.tech_id, ANNA);
                assert_int_equal(after.assign_ver, 1);
                assert_int_equal(answer.answer == ANSWER_PARK, answer.review.roles != 0);
            }
}

static void names_are_read_back(void **state)
{
    enum activity_state found_state = ACTIVITY_DRAFT;
    enum activity_kind found_kind = ACTIVITY_PLAN;

    (void)state;
    for (int s = 0; s < ACTIVITY_STATE_COUNT; s++) {
        assert_true(
            activity_state_parse(activity_state_name((enum activity_state)s), &found_state));
        assert_int_equal(found_state, s);
    }
    for (int k = 0; k < ACTIVITY_KIND_COUNT; k++) {
        assert_true(activity_kind_parse(activity_kind_name((enum activity_kind)k), &found_kind));
        assert_int_equal(found_kind, k);
    }
    assert_false(activity_state_parse("Done", &found_state));
    assert_false(activity_kind_parse("", &found_kind));
}

/* Reassigned to Bruno, who has not begun. */
static struct activity given_to_bruno(void)
{
    return (struct activity){.state = ACTIVITY_DISPATCHED, .tech_id = BRUNO, .assign_ver = 2};
}

static void row_1_work_beats_the_plan(void **state)
{
    static const enum activity_kind KINDS[] = {ACTIVITY_ARRIVE, ACTIVITY_START, ACTIVITY_FINISH};
    static const enum activity_state BASES[] = {ACTIVITY_TRAVELLING, ACTIVITY_ON_SITE,
                                                ACTIVITY_WORKING};
    static const enum activity_state AFTER[] = {ACTIVITY_ON_SITE, ACTIVITY_WORKING, ACTIVITY_DONE};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct activity activity = given_to_bruno();
        struct activity_answer answer = judge(&activity, work(KINDS[i], ANNA, 1, BASES[i]));

        expect(answer, ANSWER_ACCEPT, REASON_WORK_BEATS_PLAN, AFTER[i]);
        assert_int_equal(answer.stale_row, 1);
        assert_int_equal(activity.tech_id, ANNA);
        assert_int_equal(activity.assign_ver, 3); /* Bruno's version 2 is stale from now on */
        assert_int_equal(answer.withdraw_tech_id, BRUNO);
        assert_int_equal(answer.effects, ACTIVITY_WITHDRAW_COPY | ACTIVITY_NOTIFY_DISPATCHER);
        expect(judge(&activity, work(ACTIVITY_DEPART, BRUNO, 2, ACTIVITY_ACCEPTED)), ANSWER_ABSORB,
               REASON_PLAN_CHANGED, AFTER[i]);
    }
}

static void row_1_the_rest_of_the_visit_follows(void **state)
{
    struct activity activity = given_to_bruno();

    (void)state;
    expect(judge(&activity, work(ACTIVITY_DEPART, ANNA, 1, ACTIVITY_ACCEPTED)), ANSWER_ABSORB,
           REASON_PLAN_CHANGED, ACTIVITY_DISPATCHED);
    expect(judge(&activity, work(ACTIVITY_ARRIVE, ANNA, 1, ACTIVITY_TRAVELLING)), ANSWER_ACCEPT,
           REASON_WORK_BEATS_PLAN, ACTIVITY_ON_SITE);
    expect(judge(&activity, work(ACTIVITY_START, ANNA, 1, ACTIVITY_ON_SITE)), ANSWER_ACCEPT,
           REASON_NONE, ACTIVITY_WORKING);
    expect(judge(&activity, work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING)), ANSWER_ACCEPT,
           REASON_NONE, ACTIVITY_DONE);
    assert_int_equal(activity.assign_ver, 3);
}

static void row_2_two_who_worked_become_two_visits(void **state)
{
    static const enum activity_state MET[] = {ACTIVITY_WORKING, ACTIVITY_PAUSED, ACTIVITY_DONE,
                                              ACTIVITY_APPROVED, ACTIVITY_PRICED};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct activity activity = given_to_bruno();
        struct activity_answer answer;

        activity.state = MET[i];
        answer = judge(&activity, work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING));
        expect(answer, ANSWER_BRANCH, REASON_DOUBLE_VISIT, MET[i]);
        assert_int_equal(answer.stale_row, 2);
        assert_int_equal(answer.effects, ACTIVITY_WANT_SIBLING);
        assert_int_equal(answer.review.reason, REASON_DOUBLE_VISIT);
        assert_int_equal(answer.review.roles, ROLE_DISPATCHER | ROLE_BILLING);
        assert_int_equal(activity.tech_id, BRUNO);
    }
}

static void row_2_also_if_the_other_visit_was_cancelled_on_the_way(void **state)
{
    struct activity activity = given_to_bruno();

    (void)state;
    activity.state = ACTIVITY_WORKING;
    (void)judge(&activity, office(ACTIVITY_CANCEL, 0, 2));
    expect(judge(&activity, work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING)), ANSWER_BRANCH,
           REASON_DOUBLE_VISIT, ACTIVITY_CANCELLED);
}

static void row_3_an_answer_to_an_old_plan_is_absorbed(void **state)
{
    static const enum activity_kind KINDS[] = {ACTIVITY_ACCEPT, ACTIVITY_REJECT, ACTIVITY_DEPART};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct activity reassigned = given_to_bruno();
        struct activity rescheduled = in_state(ACTIVITY_DISPATCHED);
        struct activity_answer answer =
            judge(&reassigned, work(KINDS[i], ANNA, 1, ACTIVITY_DISPATCHED));

        expect(answer, ANSWER_ABSORB, REASON_PLAN_CHANGED, ACTIVITY_DISPATCHED);
        assert_int_equal(answer.stale_row, 3);
        assert_int_equal(answer.effects, ACTIVITY_SEND_PLAN);
        assert_int_equal(reassigned.tech_id, BRUNO);
        rescheduled.assign_ver = 2;
        answer = judge(&rescheduled, work(KINDS[i], ANNA, 1, ACTIVITY_DISPATCHED));
        expect(answer, ANSWER_ABSORB, REASON_PLAN_CHANGED, ACTIVITY_DISPATCHED);
        assert_int_equal(rescheduled.tech_id, ANNA);
    }
}

static void row_3_work_on_a_rescheduled_job_still_counts(void **state)
{
    struct activity activity = in_state(ACTIVITY_DISPATCHED);

    (void)state;
    activity.assign_ver = 2;
    expect(judge(&activity, work(ACTIVITY_START, ANNA, 1, ACTIVITY_ON_SITE)), ANSWER_ACCEPT,
           REASON_NONE, ACTIVITY_WORKING);
}

static void row_4_work_done_after_a_cancellation_counts_as_done(void **state)
{
    struct activity activity = in_state(ACTIVITY_ACCEPTED);
    struct activity_event start = work(ACTIVITY_START, ANNA, 1, ACTIVITY_ON_SITE);
    struct activity_answer answer;

    (void)state;
    expect(judge(&activity, office(ACTIVITY_CANCEL, 0, 1)), ANSWER_ACCEPT, REASON_NONE,
           ACTIVITY_CANCELLED);
    expect(judge(&activity, start), ANSWER_ABSORB, REASON_ACTIVITY_CANCELLED, ACTIVITY_CANCELLED);
    answer = judge(&activity, work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING));
    expect(answer, ANSWER_ACCEPT, REASON_DONE_AFTER_CANCEL, ACTIVITY_DONE);
    assert_int_equal(answer.stale_row, 4);
    assert_int_equal(answer.effects, ACTIVITY_CALL_IN_PROGRESS);
    assert_int_equal(answer.review.roles, ROLE_DISPATCHER | ROLE_BILLING);
    assert_true(activity.is_after_cancel);
    assert_int_equal(activity.started_at, start.occurred_at);
}

static void row_5_work_follows_a_merged_call(void **state)
{
    struct activity activity = in_state(ACTIVITY_WORKING);
    struct activity_event finish = work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING);
    struct activity_answer answer = activity_judge(&activity, &finish, true, &activity);

    (void)state;
    expect(answer, ANSWER_ACCEPT, REASON_NONE, ACTIVITY_DONE);
    assert_int_equal(answer.effects, ACTIVITY_FOLLOW_CALL);
}

static void row_6_the_technicians_times_replace_the_offices_estimate(void **state)
{
    struct activity activity = in_state(ACTIVITY_WORKING);
    struct activity_event finish = work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING);
    struct activity_answer answer;

    (void)state;
    expect(judge(&activity, behalf(ACTIVITY_FINISH, ANNA, 1)), ANSWER_ACCEPT, REASON_NONE,
           ACTIVITY_DONE);
    assert_true(activity.is_closed_on_behalf);
    finish.occurred_at += 500;
    answer = judge(&activity, finish);
    expect(answer, ANSWER_ABSORB, REASON_CLOSED_ON_BEHALF, ACTIVITY_DONE);
    assert_int_equal(answer.stale_row, 6);
    assert_int_equal(answer.effects, ACTIVITY_REPLACE_ESTIMATE);
    assert_int_equal(activity.finished_at, finish.occurred_at);
    expect(judge(&activity, work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING)), ANSWER_ABSORB,
           REASON_ALREADY_THERE, ACTIVITY_DONE); /* the second time it is a repetition */
}

static void row_7_the_same_event_twice_changes_nothing(void **state)
{
    struct activity born = activity_born(ANNA);
    struct activity_event events[3] = {work(ACTIVITY_DEPART, ANNA, 0, ACTIVITY_ACCEPTED)};
    struct activity_answer answers[3];
    struct activity activity;

    (void)state;
    events[1] = events[0];
    events[2] = work(ACTIVITY_ARRIVE, ANNA, 0, ACTIVITY_TRAVELLING);
    activity = activity_fold(&born, events, 3, false, answers);
    assert_int_equal(activity.state, ACTIVITY_ON_SITE);
    expect(answers[1], ANSWER_ABSORB, REASON_SAME_EVENT, ACTIVITY_TRAVELLING);
    assert_int_equal(answers[1].stale_row, 7);
}

static void row_7_of_two_reports_the_earliest_counts_in_either_order(void **state)
{
    (void)state;
    for (int swap = 0; swap < 2; swap++) {
        struct activity activity = in_state(ACTIVITY_ON_SITE);
        struct activity_event starts[2] = {work(ACTIVITY_START, ANNA, 1, ACTIVITY_ON_SITE),
                                           work(ACTIVITY_START, ANNA, 1, ACTIVITY_ON_SITE)};
        struct activity_event finishes[2] = {work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING),
                                             work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING)};

        (void)judge(&activity, starts[swap]);
        expect(judge(&activity, starts[1 - swap]), ANSWER_ABSORB, REASON_ALREADY_THERE,
               ACTIVITY_WORKING);
        (void)judge(&activity, finishes[swap]);
        expect(judge(&activity, finishes[1 - swap]), ANSWER_ABSORB, REASON_ALREADY_THERE,
               ACTIVITY_DONE);
        assert_int_equal(activity.started_at, starts[0].occurred_at);
        assert_int_equal(activity.finished_at, finishes[0].occurred_at);
    }
}

static void row_8_work_after_billing_makes_late_charges(void **state)
{
    struct activity activity = in_state(ACTIVITY_PRICED);
    struct activity_answer answer;

    (void)state;
    activity.is_closed_on_behalf = true;
    expect(judge(&activity,
                 event_of(ACTIVITY_BILL, 0, ROLE_SERVER, ACTIVITY_VERSION_ANY, ACTIVITY_PRICED)),
           ANSWER_ACCEPT, REASON_NONE, ACTIVITY_PRICED);
    answer = judge(&activity, work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING));
    expect(answer, ANSWER_ABSORB, REASON_WORK_AFTER_BILLING, ACTIVITY_PRICED);
    assert_int_equal(answer.stale_row, 8);
    assert_int_equal(answer.effects, ACTIVITY_LATE_CHARGES);
    assert_int_equal(answer.review.roles, ROLE_BILLING);
}

static void billed_work_is_not_reopened(void **state)
{
    struct activity activity = in_state(ACTIVITY_PRICED);
    struct activity_event bill =
        event_of(ACTIVITY_BILL, 0, ROLE_SERVER, ACTIVITY_VERSION_ANY, ACTIVITY_PRICED);

    (void)state;
    (void)judge(&activity, bill);
    expect(judge(&activity, event_of(ACTIVITY_REOPEN, MARIO, ROLE_MANAGER, 1, ACTIVITY_DONE)),
           ANSWER_PARK, REASON_ALREADY_BILLED, ACTIVITY_PRICED);
    bill.kind = ACTIVITY_CREDIT;
    expect(judge(&activity, bill), ANSWER_ACCEPT, REASON_NONE, ACTIVITY_PRICED);
    assert_false(activity.is_billed);
}

static void a_late_copy_of_a_finish_does_not_close_a_reopened_job(void **state)
{
    struct activity activity = in_state(ACTIVITY_WORKING);
    struct activity_event finish = work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING);
    struct activity_event copy = work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING);

    (void)state;
    (void)judge(&activity, finish);
    expect(judge(&activity, event_of(ACTIVITY_REOPEN, MARIO, ROLE_MANAGER, 1, ACTIVITY_DONE)),
           ANSWER_ACCEPT, REASON_NONE, ACTIVITY_WORKING);
    assert_int_equal(activity.finished_at, 0);
    expect(judge(&activity, copy), ANSWER_ABSORB, REASON_ALREADY_THERE, ACTIVITY_WORKING);
    expect(judge(&activity, work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_WORKING)), ANSWER_ACCEPT,
           REASON_NONE, ACTIVITY_DONE);
}

static void a_job_without_work_is_not_finished(void **state)
{
    struct activity activity = in_state(ACTIVITY_ON_SITE);
    struct activity_event finish = work(ACTIVITY_FINISH, ANNA, 1, ACTIVITY_ON_SITE);

    (void)state;
    finish.has_work = false;
    expect(judge(&activity, finish), ANSWER_PARK, REASON_FINISH_WITHOUT_WORK, ACTIVITY_ON_SITE);
}

static void of_two_dispatchers_the_second_sees_that_it_lost(void **state)
{
    struct activity activity = in_state(ACTIVITY_DISPATCHED);
    struct activity_answer answer;

    (void)state;
    expect(judge(&activity, office(ACTIVITY_REASSIGN, BRUNO, 1)), ANSWER_ACCEPT, REASON_NONE,
           ACTIVITY_DISPATCHED);
    answer = judge(&activity, office(ACTIVITY_REASSIGN, ANNA, 1));
    expect(answer, ANSWER_ABSORB, REASON_OVERTAKEN, ACTIVITY_DISPATCHED);
    assert_int_equal(answer.review.roles, ROLE_DISPATCHER);
    assert_int_equal(activity.tech_id, BRUNO);
    assert_int_equal(activity.assign_ver, 2);
}

static void a_job_is_dispatched_to_somebody(void **state)
{
    struct activity activity = activity_born(0);

    (void)state;
    expect(judge(&activity, office(ACTIVITY_PLAN, 0, 0)), ANSWER_ACCEPT, REASON_NONE,
           ACTIVITY_PLANNED);
    expect(judge(&activity, office(ACTIVITY_DISPATCH, 0, 0)), ANSWER_PARK, REASON_NO_TECHNICIAN,
           ACTIVITY_PLANNED);
    expect(judge(&activity, office(ACTIVITY_DISPATCH, ANNA, 0)), ANSWER_ACCEPT, REASON_NONE,
           ACTIVITY_DISPATCHED);
    assert_int_equal(activity.assign_ver, 1);
    expect(judge(&activity, work(ACTIVITY_REJECT, ANNA, 1, ACTIVITY_DISPATCHED)), ANSWER_ACCEPT,
           REASON_NONE, ACTIVITY_PLANNED);
    assert_int_equal(activity.tech_id, 0);
}

static void an_own_unplanned_job_needs_no_dispatch(void **state)
{
    struct activity activity = activity_born(ANNA);

    (void)state;
    assert_int_equal(activity.state, ACTIVITY_ACCEPTED);
    expect(judge(&activity, work(ACTIVITY_FINISH, ANNA, 0, ACTIVITY_ACCEPTED)), ANSWER_ACCEPT,
           REASON_NONE, ACTIVITY_DONE);
}

static void nobody_takes_a_technicians_step_but_the_office(void **state)
{
    struct activity activity = in_state(ACTIVITY_DISPATCHED);
    struct activity_event accept = work(ACTIVITY_ACCEPT, BRUNO, 1, ACTIVITY_DISPATCHED);

    (void)state;
    accept.tech_id = ANNA; /* Bruno, a technician, accepts in Anna's name */
    expect(judge(&activity, accept), ANSWER_REFUSE, REASON_NOT_PERMITTED, ACTIVITY_DISPATCHED);
    expect(judge(&activity, behalf(ACTIVITY_ACCEPT, ANNA, 1)), ANSWER_ACCEPT, REASON_NONE,
           ACTIVITY_ACCEPTED);
}

static void pending_events_come_after_accepted_ones_by_local_number(void **state)
{
    struct activity_event events[4] = {{.id = 1, .seq = 0, .lcn = 9},
                                       {.id = 2, .seq = 50},
                                       {.id = 3, .seq = 0, .lcn = 8},
                                       {.id = 4, .seq = 7}};

    (void)state;
    activity_events_sort(events, 4);
    assert_int_equal(events[0].id, 4);
    assert_int_equal(events[1].id, 2);
    assert_int_equal(events[2].id, 3);
    assert_int_equal(events[3].id, 1);
    activity_events_sort(NULL, 0);
}

/* The device shows what the server will say once it has taken the pending events in that order. */
static void a_device_folds_its_pending_events_to_the_servers_later_state(void **state)
{
    struct prng prng;

    (void)state;
    prng_init(&prng, 5);
    for (int round = 0; round < 3000; round++) {
        struct activity born = activity_born(round % 2 == 0 ? ANNA : 0);
        struct activity_event events[24];
        struct activity_event on_device[24];
        struct activity_answer answers[24];
        struct activity server;
        struct activity device;
        size_t count = 1 + (size_t)prng_below(&prng, 24);
        size_t synced = (size_t)prng_below(&prng, count + 1);

        for (size_t i = 0; i < count; i++) {
            events[i] = event_of((enum activity_kind)prng_below(&prng, ACTIVITY_KIND_COUNT),
                                 prng_below(&prng, 2) == 0 ? ANNA : BRUNO,
                                 (unsigned)prng_below(&prng, 1 << ROLE_COUNT),
                                 (int64_t)prng_below(&prng, 4),
                                 (enum activity_state)prng_below(&prng, ACTIVITY_STATE_COUNT));
            on_device[i] = events[i];
            on_device[i].lcn = (int64_t)i;
            if (i >= synced)
                on_device[i].seq = 0;
        }
        for (size_t i = count; i > 1; i--) { /* rows come out of a table in any order */
            size_t j = (size_t)prng_below(&prng, i);
            struct activity_event moved = on_device[j];

            on_device[j] = on_device[i - 1];
            on_device[i - 1] = moved;
        }
        activity_events_sort(on_device, count);
        server = activity_fold(&born, events, count, false, answers);
        device = activity_fold(&born, on_device, count, false, NULL);
        assert_memory_equal(&server.tech_id, &device.tech_id, sizeof server.tech_id);
        assert_int_equal(server.state, device.state);
        assert_int_equal(server.assign_ver, device.assign_ver);
        assert_int_equal(server.started_at, device.started_at);
        assert_int_equal(server.finished_at, device.finished_at);
        assert_int_equal(answers[count - 1].state, server.state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_permits_exactly_the_listed_steps),
        cmocka_unit_test(up_to_date_events_do_what_the_table_says_and_nothing_else),
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(row_1_work_beats_the_plan),
        cmocka_unit_test(row_1_the_rest_of_the_visit_follows),
        cmocka_unit_test(row_2_two_who_worked_become_two_visits),
        cmocka_unit_test(row_2_also_if_the_other_visit_was_cancelled_on_the_way),
        cmocka_unit_test(row_3_an_answer_to_an_old_plan_is_absorbed),
        cmocka_unit_test(row_3_work_on_a_rescheduled_job_still_counts),
        cmocka_unit_test(row_4_work_done_after_a_cancellation_counts_as_done),
        cmocka_unit_test(row_5_work_follows_a_merged_call),
        cmocka_unit_test(row_6_the_technicians_times_replace_the_offices_estimate),
        cmocka_unit_test(row_7_the_same_event_twice_changes_nothing),
        cmocka_unit_test(row_7_of_two_reports_the_earliest_counts_in_either_order),
        cmocka_unit_test(row_8_work_after_billing_makes_late_charges),
        cmocka_unit_test(billed_work_is_not_reopened),
        cmocka_unit_test(a_late_copy_of_a_finish_does_not_close_a_reopened_job),
        cmocka_unit_test(a_job_without_work_is_not_finished),
        cmocka_unit_test(of_two_dispatchers_the_second_sees_that_it_lost),
        cmocka_unit_test(a_job_is_dispatched_to_somebody),
        cmocka_unit_test(an_own_unplanned_job_needs_no_dispatch),
        cmocka_unit_test(nobody_takes_a_technicians_step_but_the_office),
        cmocka_unit_test(pending_events_come_after_accepted_ones_by_local_number),
        cmocka_unit_test(a_device_folds_its_pending_events_to_the_servers_later_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

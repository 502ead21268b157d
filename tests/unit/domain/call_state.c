/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/call_state.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DAY INT64_C(86400000000)

enum { EVENTS_MAX = 16 };

/* The permitted steps, written down a second time as words. */
static const struct permitted {
    const char *from; /* separated by blanks */
    const char *kind;
    const char *roles;
    const char *to;
} PERMITTED[] = {
    {"new", "triage", "H D", "triaged"},
    {"triaged", "plan", "D", "planned"},
    {"new triaged planned", "answer", "H T", "resolved"},
    {"new triaged planned", "duplicate", "H D", "duplicate"},
    {"new triaged planned in_progress waiting", "cancel", "D M", "cancelled"},
    {"new triaged planned in_progress", "hold", "H D T", "waiting"},
    {"waiting", "release", "H D srv", "waiting"},
    {"resolved", "close", "H M srv", "closed"},
    {"resolved closed", "reopen", "H M C", "in_progress"},
};

static bool has_word(const char *words, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = strstr(words, word); at != NULL; at = strstr(at + 1, word))
        if ((at == words || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

/* The letters that the list above uses. */
static const char *letter_of(int role_bit)
{
    static const char *const LETTERS[ROLE_COUNT] = {"T", "D", "H",   "M", "W",  "P",
                                                    "B", "A", "adm", "C", "srv"};

    return LETTERS[role_bit];
}

static const char *listed(const char *from, const char *kind, const char *role)
{
    for (size_t i = 0; i < sizeof PERMITTED / sizeof PERMITTED[0]; i++)
        if (has_word(PERMITTED[i].from, from) && strcmp(PERMITTED[i].kind, kind) == 0 &&
            has_word(PERMITTED[i].roles, role))
            return PERMITTED[i].to;
    return NULL;
}

static void the_table_permits_exactly_the_listed_steps(void **state)
{
    int permitted = 0;

    (void)state;
    for (int s = 0; s < CALL_STATE_COUNT; s++)
        for (int k = 0; k < CALL_KIND_COUNT; k++)
            for (int r = 0; r < ROLE_COUNT; r++) {
                enum call_state to = CALL_STATE_COUNT;
                enum reason reason = REASON_COUNT;
                const char *expected = listed(call_state_name((enum call_state)s),
                                              call_kind_name((enum call_kind)k), letter_of(r));

                assert_int_equal(
                    call_permits((enum call_state)s, (enum call_kind)k, 1u << r, &to, &reason),
                    expected != NULL);
                if (expected != NULL) {
                    assert_string_equal(call_state_name(to), expected);
                    permitted++;
                } else {
                    assert_true(reason == REASON_NOT_PERMITTED ||
                                reason == REASON_TRANSITION_NOT_ALLOWED);
                }
            }
    assert_int_equal(permitted, 2 + 1 + 6 + 6 + 10 + 12 + 3 + 3 + 6);
}

/* A call that is told event by event; each fold starts from nothing, as on a device. */
struct story {
    struct call_event events[EVENTS_MAX];
    struct call_answer answers[EVENTS_MAX];
    struct call call;
    struct call_policy policy;
    size_t count;
};

static void fold(struct story *story)
{
    struct problem problem = {0};
    struct arena arena;

    arena_init(&arena, 1 << 16);
    call_events_sort(story->events, story->count);
    assert_int_equal(call_fold(story->events, story->count, &story->policy, &arena, &story->call,
                               story->answers, &problem),
                     RESULT_OK);
    arena_done(&arena);
}

/* Adds the event as the latest (one microsecond later) and checks what it leads to. */
static void then(struct story *story, struct call_event event, enum answer answer,
                 enum reason reason, enum call_state to)
{
    size_t i = story->count++;

    assert_true(i < EVENTS_MAX);
    if (event.occurred_at == 0)
        event.occurred_at = i == 0 ? DAY : story->events[i - 1].occurred_at + 1;
    event.id = (int64_t)i + 1;
    story->events[i] = event;
    fold(story);
    assert_string_equal(answer_name(story->answers[i].answer), answer_name(answer));
    assert_string_equal(reason_code(story->answers[i].reason), reason_code(reason));
    assert_string_equal(call_state_name(story->call.state), call_state_name(to));
    assert_int_equal(story->answers[i].state, to);
}

static void accepted(struct story *story, struct call_event event, enum call_state to)
{
    then(story, event, ANSWER_ACCEPT, REASON_NONE, to);
}

static struct call_event step(enum call_kind kind, unsigned roles)
{
    return (struct call_event){.kind = kind, .roles = roles};
}

static struct call_event activity(int64_t id, enum activity_state to)
{
    return (struct call_event){.kind = CALL_ACTIVITY, .activity_id = id, .to = to};
}

static struct call_event hold(enum call_hold hold_for, unsigned roles)
{
    return (struct call_event){.kind = CALL_HOLD, .roles = roles, .hold_for = hold_for};
}

static void the_state_follows_from_the_activities(void **state)
{
    static const struct {
        struct call_work work; /* open, under way, done, vain, follow-up */
        enum call_state status;
    } CASES[] = {
        {{0, 0, 0, 0, 0}, CALL_NEW},         {{1, 1, 0, 0, 0}, CALL_IN_PROGRESS},
        {{2, 1, 3, 1, 1}, CALL_IN_PROGRESS}, {{1, 0, 1, 0, 0}, CALL_IN_PROGRESS},
        {{1, 0, 1, 0, 1}, CALL_IN_PROGRESS}, {{0, 0, 1, 0, 0}, CALL_RESOLVED},
        {{0, 0, 2, 1, 0}, CALL_RESOLVED},    {{0, 0, 2, 0, 1}, CALL_TRIAGED},
        {{0, 0, 0, 2, 0}, CALL_TRIAGED},     {{1, 0, 0, 0, 0}, CALL_PLANNED},
        {{1, 0, 0, 2, 0}, CALL_PLANNED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_int_equal(call_status(&CASES[i].work, CALL_NEW), CASES[i].status);
}

static void a_call_goes_from_new_to_closed(void **state)
{
    struct story story = {0};

    (void)state;
    accepted(&story, step(CALL_TRIAGE, ROLE_HELP_DESK), CALL_TRIAGED);
    accepted(&story, step(CALL_PLAN, ROLE_DISPATCHER), CALL_PLANNED);
    accepted(&story, activity(1, ACTIVITY_DISPATCHED), CALL_PLANNED);
    accepted(&story, activity(1, ACTIVITY_TRAVELLING), CALL_IN_PROGRESS);
    accepted(&story, activity(1, ACTIVITY_DONE), CALL_RESOLVED);
    assert_int_equal(story.call.resolved_at, story.events[4].occurred_at);
    accepted(&story, step(CALL_CLOSE, ROLE_MANAGER), CALL_CLOSED);
    accepted(&story, step(CALL_REOPEN, ROLE_HELP_DESK), CALL_IN_PROGRESS);
    assert_int_equal(story.call.resolved_at, 0);
    accepted(&story, activity(2, ACTIVITY_DISPATCHED), CALL_IN_PROGRESS);
    accepted(&story, activity(1, ACTIVITY_APPROVED), CALL_IN_PROGRESS); /* nothing new is done */
    accepted(&story, activity(2, ACTIVITY_DONE), CALL_RESOLVED);
}

static void a_follow_up_keeps_the_call_open_until_later_work_is_done(void **state)
{
    struct story story = {0};
    struct call_event done = activity(1, ACTIVITY_DONE);

    (void)state;
    done.has_follow_up = true;
    accepted(&story, activity(1, ACTIVITY_WORKING), CALL_IN_PROGRESS);
    accepted(&story, activity(2, ACTIVITY_WORKING), CALL_IN_PROGRESS); /* at the same time */
    accepted(&story, done, CALL_IN_PROGRESS);
    accepted(&story, activity(2, ACTIVITY_DONE), CALL_TRIAGED);
    accepted(&story, activity(3, ACTIVITY_PLANNED), CALL_IN_PROGRESS);
    accepted(&story, activity(3, ACTIVITY_ON_SITE), CALL_IN_PROGRESS);
    accepted(&story, activity(3, ACTIVITY_DONE), CALL_RESOLVED);
}

static void visits_in_vain_bring_the_call_back_to_the_dispatcher(void **state)
{
    struct story story = {0};

    (void)state;
    accepted(&story, activity(1, ACTIVITY_DRAFT), CALL_NEW); /* a draft is no plan yet */
    accepted(&story, activity(1, ACTIVITY_PLANNED), CALL_PLANNED);
    accepted(&story, activity(1, ACTIVITY_FAILED), CALL_TRIAGED);
    accepted(&story, activity(2, ACTIVITY_CANCELLED), CALL_TRIAGED);
}

static void a_call_waits_until_it_is_released(void **state)
{
    struct story story = {0};

    (void)state;
    accepted(&story, activity(1, ACTIVITY_WORKING), CALL_IN_PROGRESS);
    accepted(&story, hold(CALL_HOLD_PARTS, ROLE_TECHNICIAN), CALL_WAITING);
    assert_int_equal(story.call.hold_for, CALL_HOLD_PARTS);
    accepted(&story, activity(1, ACTIVITY_DONE), CALL_WAITING);
    accepted(&story, step(CALL_RELEASE, ROLE_SERVER), CALL_RESOLVED);
    then(&story, step(CALL_RELEASE, ROLE_DISPATCHER), ANSWER_ABSORB, REASON_OVERTAKEN,
         CALL_RESOLVED);
}

static void parts_that_arrive_release_no_other_wait(void **state)
{
    struct story story = {0};

    (void)state;
    accepted(&story, hold(CALL_HOLD_CUSTOMER, ROLE_HELP_DESK), CALL_WAITING);
    then(&story, step(CALL_RELEASE, ROLE_SERVER), ANSWER_ABSORB, REASON_NOT_WAITING_FOR_PARTS,
         CALL_WAITING);
    accepted(&story, step(CALL_RELEASE, ROLE_HELP_DESK), CALL_NEW);
}

static void an_answer_by_phone_stays_whatever_the_visit_does(void **state)
{
    struct story story = {0};

    (void)state;
    accepted(&story, activity(1, ACTIVITY_DISPATCHED), CALL_PLANNED);
    then(&story, step(CALL_ANSWER, ROLE_HELP_DESK), ANSWER_ACCEPT, REASON_ANSWERED_WITH_VISIT_OPEN,
         CALL_RESOLVED);
    assert_int_equal(story.answers[1].review.roles, ROLE_DISPATCHER);
    then(&story, activity(1, ACTIVITY_DONE), ANSWER_ABSORB, REASON_VISIT_AFTER_CLOSE,
         CALL_RESOLVED);
    assert_int_equal(story.answers[2].review.roles, ROLE_DISPATCHER | ROLE_BILLING);
    accepted(&story, step(CALL_CLOSE, ROLE_HELP_DESK), CALL_CLOSED);
    then(&story, activity(2, ACTIVITY_DONE), ANSWER_ABSORB, REASON_VISIT_AFTER_CLOSE, CALL_CLOSED);
}

static void a_technician_answers_only_remotely(void **state)
{
    struct story story = {0};
    struct call_event answer = step(CALL_ANSWER, ROLE_TECHNICIAN);

    (void)state;
    then(&story, answer, ANSWER_PARK, REASON_NOT_REMOTE, CALL_NEW);
    answer.is_remote = true;
    accepted(&story, answer, CALL_RESOLVED);
}

static void row_4_work_after_a_cancellation_opens_the_call_again(void **state)
{
    struct story story = {0};
    struct call_event done = activity(1, ACTIVITY_DONE);

    (void)state;
    done.is_after_cancel = true;
    accepted(&story, activity(1, ACTIVITY_DISPATCHED), CALL_PLANNED);
    accepted(&story, step(CALL_CANCEL, ROLE_DISPATCHER), CALL_CANCELLED);
    then(&story, activity(1, ACTIVITY_CANCELLED), ANSWER_ABSORB, REASON_OVERTAKEN, CALL_CANCELLED);
    then(&story, done, ANSWER_ACCEPT, REASON_DONE_AFTER_CANCEL, CALL_IN_PROGRESS);
    assert_int_equal(story.answers[3].review.roles, ROLE_DISPATCHER | ROLE_BILLING);
    accepted(&story, activity(1, ACTIVITY_APPROVED), CALL_RESOLVED);
}

static void row_5_events_of_a_merged_call_are_absorbed(void **state)
{
    struct story story = {0};
    struct call_event merge = step(CALL_MERGE, ROLE_HELP_DESK);

    (void)state;
    then(&story, merge, ANSWER_PARK, REASON_NO_SURVIVING_CALL, CALL_NEW);
    merge.dup_of_id = 77;
    accepted(&story, merge, CALL_DUPLICATE);
    assert_int_equal(story.call.dup_of_id, 77);
    then(&story, step(CALL_TRIAGE, ROLE_DISPATCHER), ANSWER_ABSORB, REASON_CALL_MERGED,
         CALL_DUPLICATE);
    then(&story, activity(1, ACTIVITY_DONE), ANSWER_ABSORB, REASON_CALL_MERGED, CALL_DUPLICATE);
    assert_int_equal(story.call.dup_of_id, 77);
}

static void stale_steps_are_absorbed_impossible_ones_parked(void **state)
{
    struct story story = {0};

    (void)state;
    then(&story, step(CALL_CLOSE, ROLE_HELP_DESK), ANSWER_PARK, REASON_TRANSITION_NOT_ALLOWED,
         CALL_NEW);
    assert_int_equal(story.answers[0].review.roles, ROLE_HELP_DESK | ROLE_DISPATCHER);
    accepted(&story, activity(1, ACTIVITY_WORKING), CALL_IN_PROGRESS);
    then(&story, step(CALL_TRIAGE, ROLE_HELP_DESK), ANSWER_ABSORB, REASON_OVERTAKEN,
         CALL_IN_PROGRESS);
    then(&story, step(CALL_TRIAGE, ROLE_TECHNICIAN), ANSWER_REFUSE, REASON_NOT_PERMITTED,
         CALL_IN_PROGRESS);
    accepted(&story, step(CALL_CANCEL, ROLE_MANAGER), CALL_CANCELLED);
    then(&story, step(CALL_CANCEL, ROLE_MANAGER), ANSWER_ABSORB, REASON_ALREADY_THERE,
         CALL_CANCELLED);
}

static void the_server_closes_and_the_customer_reopens_within_the_days(void **state)
{
    struct story story = {.policy = {.close_days = 5, .reopen_days = 7}};
    struct call_event close = step(CALL_CLOSE, ROLE_SERVER);
    struct call_event reopen = step(CALL_REOPEN, ROLE_CUSTOMER);

    (void)state;
    accepted(&story, activity(1, ACTIVITY_DONE), CALL_RESOLVED); /* on day 1 */
    close.occurred_at = 6 * DAY - 1;
    then(&story, close, ANSWER_ABSORB, REASON_CLOSE_TOO_EARLY, CALL_RESOLVED);
    close.occurred_at = 6 * DAY;
    accepted(&story, close, CALL_CLOSED);
    reopen.occurred_at = 13 * DAY + 1;
    then(&story, reopen, ANSWER_PARK, REASON_REOPEN_TOO_LATE, CALL_CLOSED);
    story.count--;
    reopen.occurred_at = 13 * DAY;
    accepted(&story, reopen, CALL_IN_PROGRESS);
}

static void without_a_policy_nothing_closes_by_itself(void **state)
{
    struct story story = {0};
    struct call_event close = step(CALL_CLOSE, ROLE_SERVER);

    (void)state;
    accepted(&story, activity(1, ACTIVITY_DONE), CALL_RESOLVED);
    close.occurred_at = 9999 * DAY;
    then(&story, close, ANSWER_ABSORB, REASON_CLOSE_TOO_EARLY, CALL_RESOLVED);
}

static void a_folded_activity_tells_the_call_what_it_did(void **state)
{
    struct activity born = activity_born(11);
    struct activity_event events[3] = {{.id = 1,
                                        .seq = 1,
                                        .occurred_at = 10,
                                        .by_id = 11,
                                        .tech_id = 11,
                                        .kind = ACTIVITY_DEPART,
                                        .base_state = ACTIVITY_ACCEPTED,
                                        .roles = ROLE_TECHNICIAN},
                                       {.id = 2,
                                        .seq = 2,
                                        .occurred_at = 20,
                                        .by_id = 11,
                                        .tech_id = 11,
                                        .kind = ACTIVITY_DEPART,
                                        .base_state = ACTIVITY_ACCEPTED,
                                        .roles = ROLE_TECHNICIAN},
                                       {.id = 3,
                                        .seq = 3,
                                        .occurred_at = 30,
                                        .by_id = 11,
                                        .tech_id = 11,
                                        .kind = ACTIVITY_FINISH,
                                        .base_state = ACTIVITY_TRAVELLING,
                                        .roles = ROLE_TECHNICIAN,
                                        .has_work = true}};
    struct activity_answer answers[3];
    struct story story = {0};

    (void)state;
    (void)activity_fold(&born, events, 3, false, answers);
    story.count = call_events_of_activity(9, events, answers, 3, true, story.events);
    assert_int_equal(story.count, 2); /* the second depart moved nothing */
    fold(&story);
    assert_int_equal(story.call.state, CALL_TRIAGED); /* it asked for a follow-up */
    assert_int_equal(story.answers[0].state, CALL_IN_PROGRESS);
}

static void an_event_that_is_there_twice_counts_once(void **state)
{
    struct story story = {0};

    (void)state;
    accepted(&story, step(CALL_TRIAGE, ROLE_HELP_DESK), CALL_TRIAGED);
    story.events[1] = story.events[0];
    story.count = 2;
    fold(&story);
    assert_int_equal(story.answers[1].reason, REASON_SAME_EVENT);
    assert_int_equal(story.call.state, CALL_TRIAGED);
}

static void a_full_arena_is_reported_and_nothing_written(void **state)
{
    struct call_event event = activity(1, ACTIVITY_DONE);
    struct call_policy policy = {0};
    struct call call = {.state = CALL_WAITING};
    struct problem problem = {0};
    struct arena arena;

    (void)state;
    arena_init(&arena, 1);
    assert_int_equal(call_fold(&event, 1, &policy, &arena, &call, NULL, &problem),
                     RESULT_EXHAUSTED);
    assert_int_equal(call.state, CALL_WAITING);
    arena_done(&arena);
}

static void names_are_read_back(void **state)
{
    enum call_state found_state = CALL_NEW;
    enum call_kind found_kind = CALL_TRIAGE;

    (void)state;
    for (int s = 0; s < CALL_STATE_COUNT; s++) {
        assert_true(call_state_parse(call_state_name((enum call_state)s), &found_state));
        assert_int_equal(found_state, s);
    }
    for (int k = 0; k < CALL_ACTIVITY; k++) {
        assert_true(call_kind_parse(call_kind_name((enum call_kind)k), &found_kind));
        assert_int_equal(found_kind, k);
    }
    assert_false(call_kind_parse("activity", &found_kind)); /* no row says so */
    assert_false(call_state_parse("", &found_state));
}

/* True time orders a call: whatever the order of arrival, the same facts make the same call. */
static void the_order_of_arrival_does_not_matter(void **state)
{
    struct prng prng;

    (void)state;
    prng_init(&prng, 3);
    for (int round = 0; round < 3000; round++) {
        struct story first = {.policy = {2, 2}, .count = EVENTS_MAX};
        struct story second;

        for (size_t i = 0; i < EVENTS_MAX; i++)
            first.events[i] = (struct call_event){
                .id = (int64_t)i + 1,
                .occurred_at = 1 + (int64_t)prng_below(&prng, 8) * DAY,
                .kind = (enum call_kind)prng_below(&prng, CALL_KIND_COUNT),
                .roles = (unsigned)prng_below(&prng, 1 << ROLE_COUNT),
                .is_remote = prng_below(&prng, 2) == 0,
                .hold_for = (enum call_hold)prng_below(&prng, 4),
                .dup_of_id = (int64_t)prng_below(&prng, 2),
                .activity_id = 1 + (int64_t)prng_below(&prng, 3),
                .to = (enum activity_state)prng_below(&prng, ACTIVITY_STATE_COUNT),
                .has_follow_up = prng_below(&prng, 2) == 0};
        second = first;
        for (size_t i = EVENTS_MAX; i > 1; i--) {
            size_t j = (size_t)prng_below(&prng, i);
            struct call_event moved = second.events[j];

            second.events[j] = second.events[i - 1];
            second.events[i - 1] = moved;
        }
        fold(&first);
        fold(&second);
        assert_int_equal(first.call.state, second.call.state);
        assert_int_equal(first.call.resolved_at, second.call.resolved_at);
        assert_int_equal((first.call.state == CALL_WAITING) && first.call.hold_for != 0,
                         first.call.hold_for != 0); /* a hold ends with the wait */
        assert_int_equal(first.call.state == CALL_CLOSED, first.call.closed_at != 0);
        for (size_t i = 0; i < EVENTS_MAX; i++)
            assert_int_equal(first.answers[i].reason, second.answers[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_permits_exactly_the_listed_steps),
        cmocka_unit_test(the_state_follows_from_the_activities),
        cmocka_unit_test(a_call_goes_from_new_to_closed),
        cmocka_unit_test(a_follow_up_keeps_the_call_open_until_later_work_is_done),
        cmocka_unit_test(visits_in_vain_bring_the_call_back_to_the_dispatcher),
        cmocka_unit_test(a_call_waits_until_it_is_released),
        cmocka_unit_test(parts_that_arrive_release_no_other_wait),
        cmocka_unit_test(an_answer_by_phone_stays_whatever_the_visit_does),
        cmocka_unit_test(a_technician_answers_only_remotely),
        cmocka_unit_test(row_4_work_after_a_cancellation_opens_the_call_again),
        cmocka_unit_test(row_5_events_of_a_merged_call_are_absorbed),
        cmocka_unit_test(stale_steps_are_absorbed_impossible_ones_parked),
        cmocka_unit_test(the_server_closes_and_the_customer_reopens_within_the_days),
        cmocka_unit_test(without_a_policy_nothing_closes_by_itself),
        cmocka_unit_test(a_folded_activity_tells_the_call_what_it_did),
        cmocka_unit_test(an_event_that_is_there_twice_counts_once),
        cmocka_unit_test(a_full_arena_is_reported_and_nothing_written),
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(the_order_of_arrival_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Random events of an office and two devices, in random order of arrival: stock always sums to
 * zero, stored states are the pure fold of the stored events, the same rules run again change
 * nothing. A failure names its seed. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/story.h"
#include "server/service/activity.h"
#include "server/service/call_fold.h"
#include "tests/unit/server/service/bench.h"

enum { SEEDS = 12, FACTS = 40 };

struct play {
    struct bench *bench;
    struct prng prng;
    uint64_t seed;
    int64_t calls[2];
    int64_t visits[3];
    int64_t uses[FACTS];
    size_t use_count;
};

static uint64_t one_of(struct play *play, uint64_t count)
{
    return prng_below(&play->prng, count);
}

static void random_step(struct play *play)
{
    static const char *const KINDS[] = {"accept", "reject", "depart", "arrive",    "start",
                                        "pause",  "resume", "finish", "no_access", "accept"};
    static const char *const STATES[] = {"dispatched", "accepted", "travelling", "on_site",
                                         "working"};
    struct bench *bench = play->bench;

    (void)step(bench, play->visits[one_of(play, 3)], KINDS[one_of(play, 10)],
               one_of(play, 2) == 0 ? bench->mario : bench->luigi, (int64_t)one_of(play, 4),
               STATES[one_of(play, 5)], MORNING + MINUTES((int64_t)one_of(play, 600)));
}

static void random_office_step(struct play *play)
{
    static const char *const KINDS[] = {"dispatch", "reassign", "reassign", "reschedule",
                                        "cancel",   "approve",  "reopen"};
    struct bench *bench = play->bench;

    (void)office_step(bench, play->visits[one_of(play, 3)], KINDS[one_of(play, 7)],
                      one_of(play, 2) == 0 ? bench->diana : bench->marta,
                      one_of(play, 2) == 0 ? bench->mario : bench->luigi,
                      MORNING + MINUTES((int64_t)one_of(play, 600)));
}

static void random_call_event(struct play *play)
{
    static const char *const KINDS[] = {"triage", "answer", "hold", "release", "reopen", "cancel"};
    struct bench *bench = play->bench;

    (void)call_event(bench, play->calls[one_of(play, 2)], KINDS[one_of(play, 6)],
                     one_of(play, 2) == 0 ? bench->helga : bench->diana,
                     MORNING + MINUTES((int64_t)one_of(play, 600)));
}

static void random_use(struct play *play)
{
    struct bench *bench = play->bench;
    int64_t technician = one_of(play, 2) == 0 ? bench->mario : bench->luigi;
    const int64_t places[] = {bench->van, bench->other_van, bench->warehouse};

    play->uses[play->use_count++] = insert(
        bench, "part_use", technician,
        FIELDS({"activity_id", N(play->visits[one_of(play, 3)])}, {"item_id", N(bench->part)},
               {"used_m", N(1000 + 500 * (int64_t)one_of(play, 4))},
               {"from_location_id", N(places[one_of(play, 3)])},
               {"occurred_at", N(MORNING + MINUTES((int64_t)one_of(play, 600)))},
               {"by_id", N(technician)}));
}

static void random_void(struct play *play)
{
    struct bench *bench = play->bench;

    if (play->use_count == 0)
        return;
    (void)insert(bench, "part_use", bench->marta,
                 FIELDS({"activity_id", N(play->visits[0])}, {"item_id", N(bench->part)},
                        {"used_m", N(1000)}, {"from_location_id", N(bench->van)},
                        {"occurred_at", N(MORNING)}, {"by_id", N(bench->marta)},
                        {"void_of_id", N(play->uses[one_of(play, play->use_count)])}));
}

static void random_count(struct play *play)
{
    struct bench *bench = play->bench;
    int64_t count = 0;

    begin(bench);
    count =
        insert_in(bench, "stock_count", bench->walter,
                  FIELDS({"location_id", N(one_of(play, 2) == 0 ? bench->van : bench->warehouse)},
                         {"occurred_at", N(MORNING + MINUTES((int64_t)one_of(play, 600)))},
                         {"by_id", N(bench->walter)}));
    (void)insert_in(bench, "count_line", bench->walter,
                    FIELDS({"count_id", N(count)}, {"item_id", N(bench->part)},
                           {"counted_m", N(1000 * (int64_t)one_of(play, 20))}));
    commit(bench);
}

static void random_need(struct play *play)
{
    struct bench *bench = play->bench;

    (void)insert(bench, "part_need", bench->diana,
                 FIELDS({"call_id", N(play->calls[one_of(play, 2)])}, {"item_id", N(bench->part)},
                        {"needed_m", N(1000 * (1 + (int64_t)one_of(play, 4)))}));
}

static void random_move(struct play *play)
{
    struct bench *bench = play->bench;
    int64_t from = one_of(play, 2) == 0 ? bench->warehouse : bench->other_van;

    (void)insert(bench, "stock_move", bench->walter,
                 FIELDS({"item_id", N(bench->part)},
                        {"quantity_m", N(1000 * (1 + (int64_t)one_of(play, 5)))},
                        {"from_location_id", N(from)}, {"to_location_id", N(bench->van)},
                        {"ledger_location_id", N(bench->van)}, {"kind", T("load")},
                        {"occurred_at", N(MORNING + MINUTES((int64_t)one_of(play, 600)))}));
}

static void random_session(struct play *play)
{
    struct bench *bench = play->bench;
    int64_t from = MORNING + MINUTES((int64_t)one_of(play, 500));

    (void)session(bench, play->visits[one_of(play, 3)],
                  one_of(play, 2) == 0 ? bench->mario : bench->luigi, from, from + MINUTES(45));
}

static void play_one(struct play *play)
{
    static void (*const FACT[])(struct play *) = {
        random_step,       random_step, random_step, random_office_step,
        random_call_event, random_use,  random_use,  random_void,
        random_count,      random_need, random_move, random_session,
    };

    FACT[one_of(play, sizeof FACT / sizeof *FACT)](play);
}

/* ---- what must hold after each of them ---- */

static void assert_stock_laws(struct play *play)
{
    struct bench *bench = play->bench;

    if (number(bench, "SELECT coalesce(sum(quantity_m), 0) FROM stock_balance", 0, 0) != 0)
        fail_msg("seed %llu: stock does not sum to zero", (unsigned long long)play->seed);
    if (number(bench, "SELECT count(*) FROM stock_move WHERE posted_seq IS NULL", 0, 0) != 0)
        fail_msg("seed %llu: a move was not posted", (unsigned long long)play->seed);
    if (number(bench,
               "SELECT count(*) FROM part_use u WHERE u.void_of_id IS NULL AND 1 <>"
               " (SELECT count(*) FROM stock_move m WHERE m.source_kind = 'part_use'"
               "  AND m.source_id = u.id AND m.reverses_id IS NULL)",
               0, 0) != 0)
        fail_msg("seed %llu: a use is not one move", (unsigned long long)play->seed);
    if (number(bench,
               "SELECT count(*) FROM part_use u WHERE u.void_of_id IS NULL AND"
               " (SELECT count(*) FROM part_use v WHERE v.void_of_id = u.id) > 0 AND 1 <>"
               " (SELECT count(*) FROM stock_move m JOIN stock_move r ON r.reverses_id = m.id"
               "  WHERE m.source_kind = 'part_use' AND m.source_id = u.id)",
               0, 0) != 0)
        fail_msg("seed %llu: a void is not one reverse", (unsigned long long)play->seed);
    if (number(bench,
               "SELECT count(*) FROM (SELECT r.location_id, r.item_id, sum(r.held_m) AS held"
               " FROM reservation r WHERE r.state = 'held' GROUP BY 1, 2) h WHERE h.held >"
               " (SELECT max(0, coalesce(sum(b.quantity_m), 0)) FROM stock_balance b"
               "  WHERE b.location_id = h.location_id AND b.item_id = h.item_id)",
               0, 0) != 0)
        fail_msg("seed %llu: more is held than lies there", (unsigned long long)play->seed);
}

/* At the moment of each newest count of a place, the books say what was counted. */
static void assert_counts_hold(struct play *play)
{
    if (number(play->bench,
               "SELECT count(*) FROM count_line l JOIN stock_count c ON c.id = l.count_id"
               " WHERE NOT EXISTS (SELECT 1 FROM stock_count d WHERE d.location_id = c.location_id"
               "  AND d.id <> c.id AND d.occurred_at = c.occurred_at)"
               " AND l.counted_m <> (SELECT coalesce(sum(CASE WHEN m.to_location_id ="
               "  c.location_id THEN m.quantity_m ELSE -m.quantity_m END), 0) FROM stock_move m"
               "  WHERE (m.to_location_id = c.location_id OR m.from_location_id = c.location_id)"
               "  AND m.item_id = l.item_id AND m.occurred_at <= c.occurred_at)",
               0, 0) != 0)
        fail_msg("seed %llu: a count is no longer true", (unsigned long long)play->seed);
}

static void assert_states_are_the_fold(struct play *play)
{
    struct bench *bench = play->bench;
    struct activity_story visit = {0};
    struct call_story call = {0};

    begin(bench);
    for (size_t i = 0; i < 3; i++) {
        const char *state = NULL;

        assert_ok(bench,
                  activity_story_read(bench->work, play->visits[i], &visit, &bench->problem));
        state = activity_state_name(visit.activity.state);
        undo(bench);
        if (strcmp(activity_state(bench, play->visits[i]), state) != 0)
            fail_msg("seed %llu: a visit is not what its events say: %s",
                     (unsigned long long)play->seed, state);
        begin(bench);
    }
    for (size_t i = 0; i < 2; i++) {
        const char *state = NULL;

        assert_ok(bench, call_story_read(bench->work, play->calls[i], &call, &bench->problem));
        state = call_state_name(call.call.state);
        undo(bench);
        if (strcmp(call_state(bench, play->calls[i]), state) != 0)
            fail_msg("seed %llu: a call is not what its events say: %s, stored %s",
                     (unsigned long long)play->seed, state, call_state(bench, play->calls[i]));
        begin(bench);
    }
    undo(bench);
}

static void assert_again_changes_nothing(struct play *play)
{
    struct bench *bench = play->bench;
    int64_t seq = bench->outcome.seq;

    begin(bench);
    for (size_t i = 0; i < 3; i++)
        assert_ok(bench, activity_refresh(bench->work, play->visits[i], &bench->problem));
    for (size_t i = 0; i < 2; i++)
        assert_ok(bench, call_refresh(bench->work, play->calls[i], &bench->problem));
    commit(bench);
    if (bench->outcome.seq != seq)
        fail_msg("seed %llu: the rules changed something when run again",
                 (unsigned long long)play->seed);
}

static void random_events_in_random_order_keep_every_law(void **state)
{
    struct bench *bench = *state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct play play = {.bench = bench, .seed = seed};

        prng_init(&play.prng, seed);
        play.calls[0] = call_new(bench, "a");
        play.calls[1] = call_new(bench, "b");
        play.visits[0] = visit_for(bench, play.calls[0], bench->mario);
        play.visits[1] = visit_for(bench, play.calls[0], bench->luigi);
        play.visits[2] = visit_for(bench, play.calls[1], bench->mario);
        for (int i = 0; i < FACTS; i++) {
            play_one(&play);
            assert_stock_laws(&play);
        }
        assert_counts_hold(&play);
        assert_states_are_the_fold(&play);
        assert_again_changes_nothing(&play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {STORY(random_events_in_random_order_keep_every_law)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

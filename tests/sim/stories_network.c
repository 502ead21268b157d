/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of what lies between devices and server, and of clocks: nothing that wasn't sent is
 * accepted, nothing that was is lost, and whoever is cut off comes back by himself. */
#include "tests/sim/story.h"

enum { TEXT_SIZE = 400, MESSAGES_MAX = 200, BODY_SIZE = 64 * 1024 };

#ifdef __SANITIZE_ADDRESS__
enum { STRIDE = 4 }; /* each fourth message: a step costs four times as much here */
#else
enum { STRIDE = 1 };
#endif

static struct link *link_of(struct world *world, int agent)
{
    return network_link(world, world->agents[agent].link);
}

static void cut(struct world *world, int agent)
{
    if (link_of(world, agent) != NULL)
        network_cut(world, link_of(world, agent));
}

/* ---- messages that were never sent like this ---- */

/* Strikes at the n-th message of a session with a push, for all n. */
static void tell_of_each_message(void **state, enum fault fault)
{
    struct world *world = world_of(state, 2);
    size_t fired = 0;
    int64_t number = 0;

    send_both_to_site_1(world);
    do {
        fired = world->counts.fired[fault];
        write_numbered_note(world, ANNA, number);
        cut(world, ANNA);
        world->planned[fault] = number++ * STRIDE + 1;
        world_pass(world, SECONDS(20));
        world->planned[fault] = 0;
        assert_true(world_wait(world, MINUTES(6)));
    } while (world->counts.fired[fault] != fired && number < MESSAGES_MAX);
    assert_in_range(number, 10 / STRIDE, MESSAGES_MAX - 1);
    for (int64_t i = 0; i < number; i++) {
        assert_int_equal(count_numbered_notes(world, OFFICE, i), 1);
        assert_int_equal(count_numbered_notes(world, BRUNO, i), 1);
    }
    the_end(world);
}

/* FAULTS 15: check_refusal in network.c looks at each such message (G10). */
static void a_wrong_bit_in_any_message_ends_the_session_and_nothing_else(void **state)
{
    tell_of_each_message(state, FAULT_CORRUPT);
}

static void any_message_that_comes_twice_ends_the_session_and_nothing_else(void **state)
{
    tell_of_each_message(state, FAULT_DUPLICATE);
}

/* FAULTS 15, 17: wherever the link is cut, the next one goes on from there. */
static void a_link_cut_after_any_message_is_resumed(void **state)
{
    tell_of_each_message(state, FAULT_CUT);
}

/* FAULTS 15: what an old connection carried arrives after a new one was made. */
static void what_an_old_connection_brings_late_counts_once(void **state)
{
    tell_of_each_message(state, FAULT_LATE);
}

static void tape_free(struct tape *tape)
{
    for (size_t i = 0; i < tape->count; i++)
        free(tape->messages[i].bytes);
    free(tape->messages);
}

/* FAULTS 16: what somebody has heard is of no use to him, and disturbs nobody. */
static void a_replayed_session_is_refused_and_disturbs_nobody(void **state)
{
    struct world *world = world_of(state, 2);
    struct tape tape = {0};
    struct link *pretended = NULL;
    uint64_t link = 0;

    send_both_to_site_1(world);
    world->tape = &tape;
    cut(world, ANNA);
    write_numbered_note(world, ANNA, 1);
    assert_true(world_wait(world, MINUTES(1)));
    world->tape = NULL;
    link = world->agents[ANNA].link;
    pretended = network_pretend(world, ANNA);
    world_pass(world, SECONDS(1));
    for (size_t i = 0; i < tape.count; i++)
        if (tape.messages[i].link == link && tape.messages[i].direction == TO_SERVER)
            network_replay(world, pretended, &tape.messages[i]);
    world_pass(world, SECONDS(5));
    assert_true(pretended->has_hung_up[TO_SERVER]);
    for (size_t i = 0; i < tape.count; i++) /* spliced into the live session of somebody else */
        if (tape.messages[i].link == link && tape.messages[i].direction == TO_SERVER)
            network_replay(world, link_of(world, BRUNO), &tape.messages[i]);
    write_numbered_note(world, ANNA, 2);
    assert_true(world_wait(world, MINUTES(1)));
    assert_int_equal(world->agents[ANNA].link, link);
    assert_int_equal(count_numbered_notes(world, OFFICE, 1), 1);
    assert_int_equal(count_numbered_notes(world, BRUNO, 2), 1);
    tape_free(&tape);
    the_end(world);
}

static int compare_heard(const void *a, const void *b)
{
    const struct heard *x = a;
    const struct heard *y = b;

    return memcmp(x->bytes, y->bytes, 32);
}

/* FAULTS 36: keys live in memory and for one connection: what is put back on the disk of a machine
 * in the midst of a session can't make it say anything under the same keys again. */
static void no_session_goes_on_with_the_keys_of_another(void **state)
{
    struct world *world = world_of(state, 2);
    struct tape tape = {0};
    size_t count = 0;

    send_both_to_site_1(world);
    world->tape = &tape;
    for (int64_t i = 0; i < 10; i++) {
        write_numbered_note(world, ANNA, i);
        world_pass(world, MILLISECONDS(200) * i);
        agent_node_crash(world, ANNA);
        world_pass(world, SECONDS(15));
    }
    world->tape = NULL;
    for (size_t i = 0; i < tape.count; i++)
        if (tape.messages[i].size >= 32)
            tape.messages[count++] = tape.messages[i];
        else
            free(tape.messages[i].bytes);
    tape.count = count;
    assert_true(count > 100);
    qsort(tape.messages, count, sizeof *tape.messages, compare_heard);
    for (size_t i = 1; i < count; i++)
        assert_int_not_equal(compare_heard(&tape.messages[i - 1], &tape.messages[i]), 0);
    tape_free(&tape);
    the_end(world);
}

/* ---- links that die without a word ---- */

static void tell_of_a_hole(void **state, bool is_to_server, bool is_to_agent)
{
    struct world *world = world_of(state, 2);
    struct link *link = NULL;
    uint64_t number = 0;
    int64_t begin_us = 0;

    send_both_to_site_1(world);
    link = link_of(world, ANNA);
    number = link->number;
    link->is_hole[TO_SERVER] = is_to_server;
    link->is_hole[TO_AGENT] = is_to_agent;
    begin_us = world->now_us;
    write_numbered_note(world, ANNA, 1);
    while (world->agents[ANNA].link == number || world->agents[ANNA].link == 0) {
        world_pass(world, MILLISECONDS(100));
        assert_in_range(world->now_us - begin_us, 0, SECONDS(65)); /* 60 s, and the next dial */
    }
    assert_true(world_wait(world, SECONDS(30)));
    assert_int_equal(count_numbered_notes(world, BRUNO, 1), 1);
    the_end(world);
}

/* FAULTS 13. */
static void a_link_that_swallows_everything_is_left_within_a_minute(void **state)
{
    tell_of_a_hole(state, true, true);
}

static void a_link_that_loses_what_a_device_says_is_left_within_a_minute(void **state)
{
    tell_of_a_hole(state, true, false);
}

static void a_link_that_loses_what_the_server_says_is_left_within_a_minute(void **state)
{
    tell_of_a_hole(state, false, true);
}

/* FAULTS 17: each connection lives a second; each brings something. */
static void a_link_that_flaps_each_second_makes_progress(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    for (int64_t i = 0; i < 60; i++)
        write_numbered_note(world, ANNA, i);
    sql(world, OFFICE,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
        " SELECT (SELECT id FROM new_id) + i, 1, i, 1, 'list ' || i FROM n");
    for (int i = 0; i < 600; i++) {
        struct agent_event now = {.kind = AGENT_EVENT_SYNC_NOW};

        world_pass(world, SECONDS(1));
        cut(world, ANNA);
        if (i % 5 == 0)
            agent_node_step(world, ANNA, &now);
    }
    assert_int_equal(count_numbered_notes(world, OFFICE, 0), 1);
    assert_int_equal(count_numbered_notes(world, OFFICE, 59), 1);
    expect(world, ANNA, "SELECT count(*) FROM call_note WHERE body LIKE 'list%'", "3000");
    the_end(world);
}

/* FAULTS 17: a process that stood still for five minutes finds its connection dead, and goes on. */
static void a_process_stopped_for_five_minutes_goes_on(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    write_numbered_note(world, ANNA, 1);
    world_pass(world, MILLISECONDS(300)); /* in the midst of it */
    world->agents[ANNA].stopped_until_us = world->now_us + MINUTES(5);
    write_numbered_note(world, ANNA, 2); /* by another program */
    write_numbered_note(world, BRUNO, 3);
    world_pass(world, MINUTES(5));
    assert_int_equal(count_numbered_notes(world, OFFICE, 2), 0);
    world_pass(world, SECONDS(30));
    assert_true(world_is_settled(world));
    for (int64_t i = 1; i <= 3; i++) {
        assert_int_equal(count_numbered_notes(world, ANNA, i), 1);
        assert_int_equal(count_numbered_notes(world, BRUNO, i), 1);
    }
    the_end(world);
}

/* FAULTS 18: everybody is back within 15 s. */
static void a_storm_of_thirty_devices_is_over_in_fifteen_seconds(void **state)
{
    enum { DEVICES = 30 };
    struct world *world = world_of(state, DEVICES);
    int64_t begin_us = 0;

    world_settle(world);
    for (int i = 0; i < DEVICES; i++)
        cut(world, i);
    begin_us = world->now_us;
    world_pass(world, SECONDS(3));
    while (server_status(world->server.core).live_count != DEVICES) {
        world_pass(world, MILLISECONDS(100));
        assert_in_range(world->now_us - begin_us, 0, SECONDS(15));
    }
    the_end(world);
}

/* FAULTS 26: what one doesn't read waits with him (check_queue in network.c), not with others. */
static void a_slow_reader_holds_up_nobody(void **state)
{
    struct world *world = world_of(state, 3);
    int64_t seen_us = 0;

    send_both_to_site_1(world);
    world->agents[ANNA].slow_rate = 100;
    world->agents[ANNA].slow_until_us = world->now_us + MINUTES(10);
    for (int64_t i = 0; i < 100; i++) {
        write_numbered_note(world, BRUNO, i);
        sql(world, OFFICE,
            "UPDATE site SET access_note = hex(randomblob(3000)) WHERE id = 1;"
            "UPDATE item SET name = hex(randomblob(3000)) WHERE id = 1");
        seen_us = world->now_us;
        world_pass(world, SECONDS(6));
        assert_int_equal(count_numbered_notes(world, OFFICE, i), 1);
        assert_in_range(agent_node_state(world, BRUNO, "published_seq"), world->history.head - 3,
                        world->history.head);
    }
    assert_true(seen_us != 0);
    world->agents[ANNA].slow_until_us = 0;
    cut(world, ANNA);
    world_pass(world, MINUTES(6));
    assert_true(world_is_settled(world));
    assert_int_equal(count_numbered_notes(world, ANNA, 99), 1);
    the_end(world);
}

/* ---- first snapshots ---- */

/* Bytes to Bruno until he has the site; the link is cut each time so many have come, if not 0. */
static size_t fetch_site(struct world *world, size_t cut_every)
{
    size_t begin = 0;
    size_t next = 0;
    int64_t begin_us = 0;

    world->agents[BRUNO].slow_until_us = world->now_us + HOURS(1);
    world->agents[BRUNO].slow_rate = 200000;
    sql(world, OFFICE, "UPDATE activity SET technician_id = 1 WHERE id IN (1, 4)");
    assert_true(world_wait(world, SECONDS(60)));
    expect(world, BRUNO, "SELECT count(*) FROM call_note", "0");
    begin = world->counts.bytes[TO_AGENT];
    next = begin + cut_every;
    begin_us = world->now_us;
    sql(world, OFFICE, "UPDATE activity SET technician_id = 2 WHERE id = 4");
    while (sim_integer(world, world->agents[BRUNO].database, "SELECT count(*) FROM call_note") ==
           0) {
        assert_in_range(world->now_us - begin_us, 0, MINUTES(10));
        world_pass(world, MILLISECONDS(5));
        if (cut_every == 0 || world->counts.bytes[TO_AGENT] < next)
            continue;
        cut(world, BRUNO);
        next = world->counts.bytes[TO_AGENT] + cut_every;
    }
    assert_true(world_wait(world, MINUTES(6)));
    return world->counts.bytes[TO_AGENT] - begin;
}

/* FAULTS 37: what has come needn't come again, but for the body that each of four cuts hits. */
static void a_snapshot_cut_many_times_costs_little_more(void **state)
{
    struct world *world = world_of(state, 2);
    size_t whole = 0;
    size_t pieces = 0;

    send_both_to_site_1(world);
    for (int i = 0; i < 4; i++) {
        sql(world, OFFICE,
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
            " INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
            " SELECT (SELECT id FROM new_id) + i, 1, i, 1, hex(randomblob(100)) FROM n");
        assert_true(world_wait(world, SECONDS(60)));
    }
    whole = fetch_site(world, 0);
    pieces = fetch_site(world, whole / 4);
    print_message("             whole %zu bytes, with cuts %zu\n", whole, pieces);
    assert_in_range(pieces, whole / 2, whole + 4 * BODY_SIZE);
    the_end(world);
}

/* ---- clocks ---- */

#define YEAR_US (HOURS(24) * 365)

/* FAULTS 11: the later of two edits counts, though the clock went back by a year between them, and
 * inside a transaction, too. */
static void a_clock_that_jumps_back_changes_no_order(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    link_cut(world, ANNA);
    sql(world, ANNA, "UPDATE site SET access_note = 'first' WHERE id = 1");
    sql(world, ANNA, "BEGIN; UPDATE contact SET phone = '1' WHERE id = 1");
    world->agents[ANNA].skew_us -= YEAR_US;
    sql(world, ANNA, "UPDATE contact SET phone = '2' WHERE id = 1; COMMIT");
    sql(world, ANNA, "UPDATE site SET access_note = 'second' WHERE id = 1");
    link_restore(world, ANNA);
    assert_true(world_wait(world, MINUTES(6)));
    world->agents[ANNA].skew_us -= YEAR_US;
    sql(world, ANNA, "UPDATE site SET access_note = 'third' WHERE id = 1");
    assert_true(world_wait(world, SECONDS(30)));
    expect(world, OFFICE, "SELECT access_note FROM site WHERE id = 1", "third");
    expect(world, BRUNO, "SELECT phone FROM contact WHERE id = 1", "2");
    expect(world, OFFICE, "SELECT count(*) FROM merge_loss", "0");
    the_end(world);
}

/* FAULTS 11: a machine that slept for a night goes on as if it had been out of reach. */
static void a_night_of_sleep_costs_a_minute(void **state)
{
    struct world *world = world_of(state, 2);
    struct link *link = NULL;

    send_both_to_site_1(world);
    link = link_of(world, ANNA);
    link->is_hole[TO_SERVER] = link->is_hole[TO_AGENT] = true;
    world->agents[ANNA].skew_us += HOURS(8);
    write_numbered_note(world, ANNA, 1);
    world_pass(world, SECONDS(70));
    assert_int_equal(count_numbered_notes(world, BRUNO, 1), 1);
    the_end(world);
}

/* FAULTS 12: cursors are numbers, sessions count by the monotonic clock: nothing expires. */
static void a_server_whose_clock_jumps_ends_no_session(void **state)
{
    static const int64_t JUMPS[] = {HOURS(24) * 4, -HOURS(24) * 4, MINUTES(10), 0, -HOURS(5)};
    struct world *world = world_of(state, 3);
    uint64_t links = 0;

    send_both_to_site_1(world);
    links = world->link_last;
    for (int64_t i = 0; i < 5; i++) {
        world->server_skew_us = JUMPS[i];
        write_numbered_note(world, ANNA, i);
        sql(world, BRUNO, "UPDATE site SET access_note = access_note || 'x' WHERE id = 1");
        world_pass(world, MINUTES(2));
        assert_int_equal(count_numbered_notes(world, BRUNO, i), 1);
    }
    assert_int_equal(world->link_last, links);
    the_end(world);
}

/* ---- large and impossible work ---- */

/* Refusals fill three bodies at least; the cut comes so many messages later, inside the seal. */
#ifdef __SANITIZE_ADDRESS__
enum { MANY = 10000, REFUSED = 10000, CUT_AT = 4 };
#else
enum { MANY = 250000, REFUSED = 40000, CUT_AT = 12 };
#endif

/* FAULTS 24: whole or not at all, on the server and on each device, at each moment; cut off on its
 * way it begins anew. */
static void a_transaction_of_250000_rows_arrives_whole(void **state)
{
    struct world *world = world_of(state, 2);
    char script[TEXT_SIZE];
    int64_t end_us = 0;
    size_t cuts = world->counts.fired[FAULT_CUT];

    send_both_to_site_1(world);
    (void)snprintf(script, sizeof script,
                   "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
                   " SELECT (SELECT id FROM new_id) + i, 1, i, 1, 'row' FROM n",
                   MANY - 1);
    sql(world, ANNA, script);
    world->planned[FAULT_CUT] = CUT_AT;
    write_numbered_note(world, BRUNO, 1);
    end_us = world->now_us + MINUTES(3);
    for (int node = OFFICE; node <= BRUNO; node += 2) {
        int64_t count = 0;

        while (count == 0 && world->now_us < end_us) {
            world_pass(world, SECONDS(1));
            count = sim_integer(world, database_of(world, node),
                                "SELECT count(*) FROM call_note WHERE body = 'row'");
        }
        assert_int_equal(count, MANY);
    }
    assert_true(world->counts.fired[FAULT_CUT] > cuts);
    assert_int_equal(count_numbered_notes(world, ANNA, 1), 1);
    the_end(world);
}

/* More refusals than one message holds: they are answered all the same, and what follows arrives.
 */
static void a_transaction_of_which_each_row_is_refused_is_answered(void **state)
{
    struct world *world = world_of(state, 2);
    char script[TEXT_SIZE];

    send_both_to_site_1(world);
    (void)snprintf(script, sizeof script,
                   "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                   " INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
                   " SELECT (SELECT id FROM new_id) + i, 1, i, 2, 'in Bruno''s name' FROM n",
                   REFUSED - 1);
    sql(world, ANNA, script);
    write_numbered_note(world, ANNA, 1);
    assert_true(world_wait(world, MINUTES(3)));
    assert_int_equal(sim_integer(world, database_of(world, ANNA),
                                 "SELECT count(*) FROM fs_seal_change WHERE verdict = 'refused'"),
                     REFUSED);
    assert_int_equal(sim_integer(world, database_of(world, ANNA),
                                 "SELECT count(*) FROM call_note WHERE by_id = 2"),
                     0);
    assert_int_equal(
        sim_integer(world, database_of(world, OFFICE), "SELECT count(*) FROM review_item"),
        REFUSED);
    assert_int_equal(count_numbered_notes(world, OFFICE, 1), 1);
    the_end(world);
}

/* FAULTS 25: one a kind of constraint; each at the head, in the middle, at the end of the queue. */
static void no_kind_of_impossible_change_stops_the_others(void **state)
{
    static const char *const WRONG[] = {
        /* refers to nothing */
        "INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
        " ((SELECT id FROM new_id), 4711, 1, 1, 'wrong')",
        /* under somebody else's name */
        "INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
        " ((SELECT id FROM new_id), 1, 1, 2, 'wrong')",
        /* a column that isn't a technician's */
        "UPDATE site SET name = 'wrong' WHERE id = 1",
        /* a row that isn't */
        "DELETE FROM party WHERE id = 1",
        /* a CHECK, switched off here by the program */
        "PRAGMA ignore_check_constraints = ON; UPDATE contact SET is_active = 7 WHERE id = 1;"
        "PRAGMA ignore_check_constraints = OFF",
        /* under a number that belongs to another device */
        "INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
        " (99 << 33 | 5, 1, 1, 1, 'wrong')",
    };
    struct world *world = world_of(state, 2);
    int64_t number = 0;

    send_both_to_site_1(world);
    for (size_t kind = 0; kind < sizeof WRONG / sizeof WRONG[0]; kind++)
        for (int place = 0; place < 3; place++) {
            link_cut(world, ANNA);
            for (int i = 0; i < 3; i++) {
                if (i == place)
                    (void)sim_try(world->agents[ANNA].database, WRONG[kind]);
                write_numbered_note(world, ANNA, number++);
            }
            link_restore(world, ANNA);
            assert_true(world_wait(world, MINUTES(6)));
        }
    for (int64_t i = 0; i < number; i++)
        assert_int_equal(count_numbered_notes(world, BRUNO, i), 1);
    expect(world, OFFICE, "SELECT count(*) FROM call_note WHERE body = 'wrong'", "0");
    expect(world, OFFICE, "SELECT name FROM site WHERE id = 1", "site 1");
    assert_true(sim_integer(world, world->agents[ANNA].database,
                            "SELECT count(*) FROM review_item WHERE kind = 'refused'") >= 9);
    the_end(world);
}

/* With a word: only the stories that match it (* and ? stand for anything). */
int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        STORY(a_wrong_bit_in_any_message_ends_the_session_and_nothing_else),
        STORY(any_message_that_comes_twice_ends_the_session_and_nothing_else),
        STORY(a_link_cut_after_any_message_is_resumed),
        STORY(what_an_old_connection_brings_late_counts_once),
        STORY(a_replayed_session_is_refused_and_disturbs_nobody),
        STORY(no_session_goes_on_with_the_keys_of_another),
        STORY(a_link_that_swallows_everything_is_left_within_a_minute),
        STORY(a_link_that_loses_what_a_device_says_is_left_within_a_minute),
        STORY(a_link_that_loses_what_the_server_says_is_left_within_a_minute),
        STORY(a_link_that_flaps_each_second_makes_progress),
        STORY(a_process_stopped_for_five_minutes_goes_on),
        STORY(a_storm_of_thirty_devices_is_over_in_fifteen_seconds),
        STORY(a_slow_reader_holds_up_nobody),
        STORY(a_snapshot_cut_many_times_costs_little_more),
        STORY(a_clock_that_jumps_back_changes_no_order),
        STORY(a_night_of_sleep_costs_a_minute),
        STORY(a_server_whose_clock_jumps_ends_no_session),
        STORY(a_transaction_of_250000_rows_arrives_whole),
        STORY(a_transaction_of_which_each_row_is_refused_is_answered),
        STORY(no_kind_of_impossible_change_stops_the_others),
    };

    if (count > 1)
        cmocka_set_test_filter(words[1]);
    cmocka_set_test_filter(getenv("STORY")); /* one alone, or all */
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}

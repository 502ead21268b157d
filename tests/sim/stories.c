/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the sync, told in the simulator's world: one rule each, with everybody real but time,
 * network and machines' ends. */
#include "tests/sim/story.h"

/* ---- stories ---- */

/* I8: of two edits of one column the later wins; the other is kept and shown to its author. */
static void an_overruled_edit_is_kept_and_shown(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    link_cut(world, ANNA);
    sql(world, ANNA, "UPDATE site SET access_note = 'code 4711' WHERE id = 1");
    world_pass(world, MINUTES(5));
    sql(world, BRUNO, "UPDATE site SET access_note = 'ask the porter' WHERE id = 1");
    world_pass(world, SECONDS(5));
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", "ask the porter");
    expect(world, ANNA, "SELECT lost FROM merge_loss", "code 4711");
    expect(world, ANNA, "SELECT kept FROM merge_loss", "ask the porter");
    the_end(world);
}

/* R8: what was done while entitled arrives, however late, and the replica lets the site go. */
static void work_of_a_technician_who_was_replaced_meanwhile_arrives(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    link_cut(world, ANNA);
    write_note(world, ANNA, "pump replaced");
    assign(world, 1, 2);
    world_pass(world, MINUTES(2));
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, OFFICE, "SELECT body FROM call_note", "pump replaced");
    expect(world, BRUNO, "SELECT body FROM call_note", "pump replaced");
    expect(world, ANNA, "SELECT count(*) FROM site", "0");
    expect(world, ANNA, "SELECT count(*) FROM call_note", "0");
    the_end(world);
}

/* I7: a bucket that leaves while it holds unsent work stays until the work has its verdict. */
static void a_bucket_with_unsent_work_stays_until_its_verdict(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t published = 0;

    send_both_to_site_1(world);
    assign(world, 1, 2);
    sql(world, ANNA, "UPDATE site SET access_note = 'written at the same time' WHERE id = 1");
    published = agent_node_state(world, ANNA, "published_seq");
    while (agent_node_state(world, ANNA, "published_seq") == published)
        world_pass(world, MILLISECONDS(1)); /* each step is checked against the first oracle */
    world_settle(world);
    expect(world, OFFICE, "SELECT access_note FROM site WHERE id = 1", "written at the same time");
    expect(world, ANNA, "SELECT count(*) FROM site", "0");
    the_end(world);
}

/* R2: out of a bucket and back into it between two publications is no departure. */
static void a_row_that_goes_and_comes_back_in_one_gap_stays(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    write_note(world, ANNA, "travels along");
    assert_true(world_wait(world, SECONDS(20)));
    link_cut(world, BRUNO);
    sql(world, OFFICE, "UPDATE call SET site_id = 2, party_id = 2 WHERE id = 1");
    world_pass(world, SECONDS(5));
    sql(world, OFFICE, "UPDATE call SET site_id = 1, party_id = 1 WHERE id = 1");
    world_pass(world, SECONDS(5));
    link_restore(world, BRUNO);
    world_settle(world);
    expect(world, BRUNO, "SELECT site_id FROM call WHERE id = 1", "1");
    expect(world, BRUNO, "SELECT body FROM call_note", "travels along");
    the_end(world);
}

/* Two devices that insert the same natural key have made one row. */
static void the_same_natural_key_on_two_devices_is_one_row(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    link_cut(world, ANNA);
    link_cut(world, BRUNO);
    sql(world, ANNA,
        "INSERT INTO activity_result (id, activity_id, cause) VALUES"
        " ((SELECT id FROM new_id), 1, 'worn out')");
    sql(world, BRUNO,
        "INSERT INTO activity_result (id, activity_id, report_text) VALUES"
        " ((SELECT id FROM new_id), 1, 'bearing changed')");
    world_pass(world, MINUTES(1));
    link_restore(world, ANNA);
    link_restore(world, BRUNO);
    world_settle(world);
    expect(world, OFFICE, "SELECT cause || ', ' || report_text FROM activity_result",
           "worn out, bearing changed");
    expect(world, ANNA, "SELECT cause || ', ' || report_text FROM activity_result",
           "worn out, bearing changed");
    expect(world, BRUNO, "SELECT cause || ', ' || report_text FROM activity_result",
           "worn out, bearing changed");
    the_end(world);
}

/* A crew of two on one visit: answers to different questions all stay; to the same one the later
 * answer stands, and the earlier is kept and shown. */
static void a_crew_answers_the_same_checklist_and_no_answer_is_lost(void **state)
{
    struct world *world = world_of(state, 2);
    const char *answers = "SELECT group_concat(item_id || '=' || value, ' ') FROM (SELECT * FROM"
                          " checklist_answer ORDER BY item_id)";

    send_both_to_site_1(world);
    link_cut(world, ANNA);
    link_cut(world, BRUNO);
    sql(world, ANNA,
        "INSERT INTO checklist_answer (id, activity_id, item_id, by_id, answered_at, value) VALUES"
        " ((SELECT id FROM new_id), 1, 1, 1, 1, 'yes')");
    sql(world, ANNA,
        "INSERT INTO checklist_answer (id, activity_id, item_id, by_id, answered_at, value) VALUES"
        " ((SELECT id FROM new_id), 1, 2, 1, 1, '3.1')");
    world_pass(world, MINUTES(2));
    sql(world, BRUNO,
        "INSERT INTO checklist_answer (id, activity_id, item_id, by_id, answered_at, value) VALUES"
        " ((SELECT id FROM new_id), 1, 2, 2, 2, '3.4')");
    link_restore(world, BRUNO); /* the later answer arrives first */
    world_settle(world);
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, OFFICE, answers, "1=yes 2=3.4");
    expect(world, ANNA, answers, "1=yes 2=3.4");
    expect(world, BRUNO, answers, "1=yes 2=3.4");
    expect(world, ANNA, "SELECT lost FROM merge_loss WHERE column_name = 'value'", "3.1");
    the_end(world);
}

/* I3: an answer that got lost is given again; the change is there once. */
static void a_change_whose_answer_got_lost_is_there_once(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t high = 0;

    send_both_to_site_1(world);
    high = sim_integer(world, world->server.office,
                       "SELECT max(lcn_high) FROM fs_replica WHERE user_id = 1");
    write_note(world, ANNA, "only once");
    while (sim_integer(world, world->server.office,
                       "SELECT max(lcn_high) FROM fs_replica WHERE user_id = 1") == high)
        world_pass(world, MILLISECONDS(1));
    link_cut(world, ANNA);
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, OFFICE, "SELECT count(*) FROM call_note WHERE body = 'only once'", "1");
    the_end(world);
}

/* I2, I3: the server dies after the commit and before it could say so. */
static void a_server_killed_between_commit_and_answer_loses_and_doubles_nothing(void **state)
{
    struct world *world = world_of(state, 2);
    size_t commits = 0;

    send_both_to_site_1(world);
    commits = world->history.commit_count;
    write_note(world, ANNA, "before the crash");
    while (world->history.commit_count == commits || world->server.running_count == 0)
        world_pass(world, 100);
    server_node_crash(world);
    assert_int_equal(world->counts.lost_acks, 1);
    world_pass(world, SECONDS(15));
    world_settle(world);
    expect(world, OFFICE, "SELECT count(*) FROM call_note WHERE body = 'before the crash'", "1");
    expect(world, BRUNO, "SELECT body FROM call_note", "before the crash");
    the_end(world);
}

/* R6: one change that is refused, at the head, in the middle or at the end, stops no other. */
static void a_refused_change_stops_no_other(void **state)
{
    static const char *const GOOD = "INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
                                    " VALUES ((SELECT id FROM new_id), 1, 1, 1, 'good')";
    static const char *const BAD = "INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
                                   " VALUES ((SELECT id FROM new_id), 4711, 1, 1, 'bad')";
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    for (int bad = 0; bad < 3; bad++) {
        link_cut(world, ANNA);
        for (int i = 0; i < 3; i++)
            sql(world, ANNA, i == bad ? BAD : GOOD);
        link_restore(world, ANNA);
        assert_true(world_wait(world, MINUTES(6)));
    }
    expect(world, OFFICE, "SELECT count(*) FROM call_note WHERE body = 'good'", "6");
    expect(world, OFFICE, "SELECT count(*) FROM call_note WHERE body = 'bad'", "0");
    expect(world, ANNA, "SELECT count(*) FROM review_item WHERE kind = 'refused'", "3");
    expect(world, ANNA, "SELECT count(*) FROM call_note", "6");
    the_end(world);
}

/* A row that a device can't store is put aside there; the rest is published, and it comes later. */
static void a_row_that_a_device_cannot_store_stops_no_other(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    sql(world, ANNA,
        "CREATE TRIGGER somebodys BEFORE UPDATE ON site WHEN NEW.name = 'bad' BEGIN"
        " SELECT RAISE(ABORT, 'not here'); END;"
        "CREATE TRIGGER another BEFORE INSERT ON site WHEN NEW.name = 'bad' BEGIN"
        " SELECT RAISE(ABORT, 'not here'); END");
    sql(world, OFFICE,
        "UPDATE site SET name = 'bad' WHERE id = 1;"
        "UPDATE item SET name = 'good' WHERE id = 1");
    world_pass(world, SECONDS(10));
    expect(world, ANNA, "SELECT name FROM item WHERE id = 1", "good");
    expect(world, ANNA, "SELECT count(*) FROM fs_quarantine", "1");
    sql(world, ANNA, "DROP TRIGGER somebodys; DROP TRIGGER another");
    sql(world, OFFICE, "UPDATE item SET name = 'better' WHERE id = 1");
    world_pass(world, SECONDS(10));
    expect(world, ANNA, "SELECT name FROM site WHERE id = 1", "bad");
    the_end(world);
}

/* I9: a clock that is wrong by decades neither loses an edit nor wins for ever. */
static void clocks_of_1970_and_2099_lose_nothing(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    world->agents[ANNA].skew_us = -HOURS(24) * 365 * 56;
    world->agents[BRUNO].skew_us = HOURS(24) * 365 * 73;
    sql(world, BRUNO, "UPDATE site SET access_note = 'from 2099' WHERE id = 1");
    assert_true(world_wait(world, SECONDS(20)));
    sql(world, ANNA, "UPDATE site SET access_note = 'from 1970, but informed' WHERE id = 1");
    assert_true(world_wait(world, SECONDS(20)));
    expect(world, BRUNO, "SELECT access_note FROM site WHERE id = 1", "from 1970, but informed");
    expect(world, OFFICE, "SELECT count(*) FROM merge_loss", "0");
    the_end(world);
}

/* I9: a clock that jumps ahead between two greetings wins over what comes later only until the
 * change has arrived: it counts as made at the latest then. */
static void a_clock_that_jumps_ahead_does_not_win_over_later_work(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    link_cut(world, BRUNO);
    world->agents[ANNA].skew_us = HOURS(2);
    sql(world, ANNA, "UPDATE site SET access_note = 'from the future' WHERE id = 1");
    world_pass(world, MINUTES(1));
    expect(world, OFFICE, "SELECT access_note FROM site WHERE id = 1", "from the future");
    sql(world, BRUNO, "UPDATE site SET access_note = 'a minute later' WHERE id = 1");
    link_restore(world, BRUNO);
    world_settle(world);
    expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", "a minute later");
    expect(world, OFFICE, "SELECT lost || ' by ' || lost_by_user_id FROM merge_loss",
           "from the future by 1");
    the_end(world);
}

/* An empty value that nobody has entered wins over nothing and loses against nothing, also where
 * the row has moved since the author looked. */
static void a_moved_row_is_no_edit_of_its_columns(void **state)
{
    struct world *world = world_of(state, 2);

    sql(world, OFFICE,
        "UPDATE activity SET technician_id = 1 WHERE id IN (1, 2);"
        "UPDATE activity SET technician_id = 2 WHERE id NOT IN (1, 2)");
    assert_true(world_wait(world, SECONDS(20)));
    sql(world, ANNA,
        "INSERT INTO activity_result (id, activity_id, cause) VALUES"
        " ((SELECT id FROM new_id), 1, 'worn out')");
    assert_true(world_wait(world, SECONDS(20)));
    link_cut(world, ANNA);
    sql(world, OFFICE, "UPDATE call SET site_id = 2, party_id = 2 WHERE id = 1");
    world_pass(world, SECONDS(5));
    world->agents[ANNA].skew_us = -HOURS(24); /* the time doesn't decide: she has seen the cause */
    sql(world, ANNA,
        "UPDATE activity_result SET cause = 'broken', outcome = 'ok';"
        "UPDATE call SET problem_code = 'P1', description = 'pump' WHERE id = 1");
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, OFFICE, "SELECT cause || ' ' || outcome FROM activity_result", "broken ok");
    expect(world, OFFICE, "SELECT problem_code || ' ' || description FROM call WHERE id = 1",
           "P1 pump");
    expect(world, OFFICE, "SELECT count(*) FROM merge_loss", "0");
    the_end(world);
}

/* I4: what the server read before it took an edit in, and says after it has answered it, undoes
 * nothing. Rounds enough that reader and writer meet in each way. */
static void what_was_read_before_an_edit_comes_after_its_answer(void **state)
{
    enum { ROUNDS = 60 };
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    world->scenario.job_delay_us = MILLISECONDS(400);
    for (int round = 1; round <= ROUNDS; round++) {
        char script[120];
        char expected[40];

        (void)snprintf(script, sizeof script,
                       "UPDATE site SET access_note = 'office %d' WHERE id = 1", round);
        sql(world, OFFICE, script);
        world_pass(world, world_draw(world, MILLISECONDS(1), MILLISECONDS(1500)));
        (void)snprintf(expected, sizeof expected, "Anna %d", round);
        (void)snprintf(script, sizeof script, "UPDATE site SET access_note = '%s' WHERE id = 1",
                       expected);
        sql(world, ANNA, script);
        assert_true(world_wait(world, SECONDS(20)));
        expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", expected);
        expect(world, BRUNO, "SELECT access_note FROM site WHERE id = 1", expected);
    }
    the_end(world);
}

/* What a rule sets in a new row doesn't make the rest of it the server's: its author changes what
 * he wrote himself, though the server's head that holds it isn't here yet. */
static void a_rule_that_follows_an_insert_does_not_take_it_over(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    sql(world, ANNA,
        "BEGIN; INSERT INTO call (id, channel, party_id, site_id, subject, description, opened_at,"
        " opened_by_id) SELECT id, 'visit', 1, 1, 'new', 'first', 1, 1 FROM new_id;"
        "INSERT INTO call_event (id, call_id, kind, waiting_for, occurred_at, by_id) SELECT id,"
        " (SELECT id FROM call WHERE subject = 'new'), 'hold', 'customer', 1, 1 FROM new_id;"
        "COMMIT");
    while (sim_integer(world, world->agents[ANNA].database, "SELECT unsealed FROM fs_sync") != 0)
        world_pass(world, MILLISECONDS(1));
    sql(world, ANNA, "UPDATE call SET description = 'second' WHERE subject = 'new'");
    world_settle(world);
    expect(world, OFFICE, "SELECT description || ' ' || state FROM call WHERE subject = 'new'",
           "second waiting");
    expect(world, OFFICE, "SELECT count(*) FROM merge_loss", "0");
    the_end(world);
}

/* Plain SQL on the master takes part like any device, whole transactions at a time. */
static void plain_sql_on_the_master_reaches_the_devices(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    sql(world, OFFICE,
        "BEGIN; UPDATE site SET access_note = 'first half' WHERE id = 1;"
        "UPDATE call SET description = 'second half' WHERE id = 1; COMMIT");
    assert_true(world_wait(world, SECONDS(20)));
    expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", "first half");
    expect(world, ANNA, "SELECT description FROM call WHERE id = 1", "second half");
    expect_told(world, "rows of other programs adopted");
    the_end(world);
}

/* The server remembers for a minute what was deleted, and looks after it each ten seconds. */
static void forget_deletions_soon(struct world *world)
{
    world->scenario.departure_keep_us = MINUTES(1);
    world->scenario.rescope_every_us = SECONDS(10);
    server_node_crash(world); /* it comes back with these settings */
    world_settle(world);
}

/* Trap 10: what was deleted while a device was away for longer than deletions are remembered
 * doesn't come back, and its own work of that time arrives. */
static void a_device_away_longer_than_deletions_are_remembered_holds_nothing_deleted(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    forget_deletions_soon(world);
    link_cut(world, ANNA);
    sql(world, OFFICE, "DELETE FROM call_note; DELETE FROM contact WHERE site_id = 1");
    sql(world, ANNA, "UPDATE site SET access_note = 'written in the drawer' WHERE id = 1");
    world_pass(world, MINUTES(5));
    expect(world, OFFICE, "SELECT count(*) FROM fs_tomb", "0");
    expect(world, ANNA, "SELECT count(*) > 0 FROM contact WHERE site_id = 1", "1");
    link_restore(world, ANNA);
    world_settle(world);
    expect_told(world, "< server: IDS site/1");
    expect(world, ANNA, "SELECT count(*) FROM contact WHERE site_id = 1", "0");
    expect(world, BRUNO, "SELECT access_note FROM site WHERE id = 1", "written in the drawer");
    the_end(world);
}

/* The same, and the answer to that work was given before the row was deleted, and lost: when it
 * comes again, nobody tells of the deletion any more. */
static void an_answer_that_comes_after_its_row_was_forgotten_lets_the_row_go(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    forget_deletions_soon(world);
    world->scenario.bytes_per_second = 20000; /* what comes down is quicker than this */
    sql(world, ANNA, "UPDATE contact SET phone = hex(randomblob(30000)) WHERE id = 1");
    while (sim_integer(world, world->server.office,
                       "SELECT count(*) FROM contact WHERE length(phone) > 1000") == 0)
        world_pass(world, MILLISECONDS(1));
    link_cut(world, ANNA);
    sql(world, OFFICE, "DELETE FROM contact WHERE id = 1");
    world_pass(world, MINUTES(5));
    expect(world, OFFICE, "SELECT count(*) FROM fs_tomb", "0");
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, ANNA, "SELECT count(*) FROM contact WHERE id = 1", "0");
    the_end(world);
}

/* What a device has inserted itself isn't among the ids that the master has, either: once the
 * insert is answered, the row stays, also if a change of it is answered later. */
static void a_row_that_the_master_did_not_have_yet_stays(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    forget_deletions_soon(world);
    world->scenario.bytes_per_second = 20000; /* what comes down is quicker than this */
    sql(world, ANNA,
        "INSERT INTO contact (id, party_id, site_id, name) SELECT id, 1, 1,"
        " 'new' || hex(randomblob(30000)) FROM new_id");
    while (sim_integer(world, world->agents[ANNA].database, "SELECT unsealed FROM fs_sync") != 0)
        world_pass(world, MILLISECONDS(1));
    link_cut(world, ANNA);
    sql(world, ANNA, "UPDATE contact SET phone = '4711' WHERE name LIKE 'new%'");
    sql(world, OFFICE, "DELETE FROM contact WHERE id = 1");
    world_pass(world, MINUTES(5));
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, ANNA, "SELECT phone FROM contact WHERE site_id = 1", "4711");
    expect(world, OFFICE, "SELECT phone FROM contact WHERE name LIKE 'new%'", "4711");
    the_end(world);
}

/* DOMAIN 2.4: the books at the end would show a part that came back twice. */
static void a_part_that_is_taken_back_twice_comes_back_once(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    sql(world, ANNA,
        "INSERT INTO part_use (id, cause, activity_id, item_id, used_m, from_location_id,"
        " occurred_at, by_id) VALUES ((SELECT id FROM new_id), 'worn', 1, 2, 1000, 11, 1, 1)");
    assert_true(world_wait(world, SECONDS(20)));
    for (int i = 0; i < 2; i++) {
        sql(world, ANNA,
            "INSERT INTO part_use (id, cause, activity_id, item_id, used_m, from_location_id,"
            " occurred_at, by_id, void_of_id) SELECT (SELECT id FROM new_id), 'not worn', 1, 2,"
            " 1000, 11, 1, 1, id FROM part_use WHERE void_of_id IS NULL");
        assert_true(world_wait(world, SECONDS(20)));
    }
    expect(world, OFFICE, "SELECT count(*) FROM stock_move WHERE source_kind = 'part_use'", "2");
    the_end(world);
}

/* A whole fleet that comes back at once is served, each with what is its own. */
static void a_storm_of_reconnecting_devices_is_served(void **state)
{
    struct world *world = world_of(state, 12);

    for (int i = 0; i < 12; i++)
        link_cut(world, i);
    sql(world, OFFICE, "UPDATE item SET name = 'new name' WHERE id = 1");
    for (int i = 0; i < 12; i++)
        link_restore(world, i);
    world_settle(world);
    for (int i = 0; i < 12; i++)
        expect(world, i, "SELECT name FROM item WHERE id = 1", "new name");
    the_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(an_overruled_edit_is_kept_and_shown),
        STORY(work_of_a_technician_who_was_replaced_meanwhile_arrives),
        STORY(a_bucket_with_unsent_work_stays_until_its_verdict),
        STORY(a_row_that_goes_and_comes_back_in_one_gap_stays),
        STORY(the_same_natural_key_on_two_devices_is_one_row),
        STORY(a_crew_answers_the_same_checklist_and_no_answer_is_lost),
        STORY(a_change_whose_answer_got_lost_is_there_once),
        STORY(a_server_killed_between_commit_and_answer_loses_and_doubles_nothing),
        STORY(a_refused_change_stops_no_other),
        STORY(a_row_that_a_device_cannot_store_stops_no_other),
        STORY(clocks_of_1970_and_2099_lose_nothing),
        STORY(a_clock_that_jumps_ahead_does_not_win_over_later_work),
        STORY(a_moved_row_is_no_edit_of_its_columns),
        STORY(what_was_read_before_an_edit_comes_after_its_answer),
        STORY(a_rule_that_follows_an_insert_does_not_take_it_over),
        STORY(plain_sql_on_the_master_reaches_the_devices),
        STORY(a_device_away_longer_than_deletions_are_remembered_holds_nothing_deleted),
        STORY(an_answer_that_comes_after_its_row_was_forgotten_lets_the_row_go),
        STORY(a_row_that_the_master_did_not_have_yet_stays),
        STORY(a_part_that_is_taken_back_twice_comes_back_once),
        STORY(a_storm_of_reconnecting_devices_is_served),
    };

    cmocka_set_test_filter(getenv("STORY")); /* one alone, or all */
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}

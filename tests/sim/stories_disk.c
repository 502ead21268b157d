/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of machines that stop and of disks that fail: what was said to be saved is there, what
 * wasn't is there whole or not at all, and nobody has to repair anything by hand. */
#include "tests/sim/story.h"

#include <inttypes.h>

enum { CALLS_MAX = 400 };

#ifdef __SANITIZE_ADDRESS__
enum { STRIDE = 4 }; /* each fourth call: a step costs four times as much here */
#else
enum { STRIDE = 1 };
#endif

/* A program's transaction while the disk is in trouble. True: it was told that it is saved. */
static bool try_note(struct world *world, int agent, int64_t number)
{
    sqlite3 *database = world->agents[agent].database;
    char body[NOTE_BODY_SIZE];
    char script[NOTE_SCRIPT_SIZE];
    int code = SQLITE_OK;

    numbered_body(body, number);
    note_script(script, agent + 1, body);
    world_enter(world, agent);
    disk_arm_writes(&world->disk, world_machine(agent));
    code = sim_try(database, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        code = sim_try(database, script);
    if (code == SQLITE_OK)
        code = sim_try(database, "COMMIT");
    world_disarm(world);
    if (code == SQLITE_OK)
        agent_node_changed(world, agent);
    else
        (void)sim_try(database, "ROLLBACK");
    if (world_disk(world, agent)->is_dead)
        agent_node_die(world, agent);
    return code == SQLITE_OK;
}

static void wait_until_it_runs(struct world *world, int agent)
{
    while (!world->agents[agent].is_running)
        world_pass(world, SECONDS(1));
}

/* Ends Anna's device at its n-th call to the disk, for all n from a note to its publication. */
static int64_t end_device_at_each_call(struct world *world, enum fault how, bool *saved)
{
    size_t ends = 0;
    int64_t number = 0;

    do {
        ends = world->counts.fired[how];
        world->death[world_machine(ANNA)] = how;
        disk_trouble(&world->disk, world_machine(ANNA), DISK_DEATH, number * STRIDE, 1);
        saved[number] = try_note(world, ANNA, number);
        world_pass(world, SECONDS(15));
        disk_trouble(&world->disk, world_machine(ANNA), DISK_DEATH, 0, 0);
        wait_until_it_runs(world, ANNA);
        number++;
    } while (world->counts.fired[how] != ends && number < CALLS_MAX);
    return number;
}

static void tell_of_ended_devices(void **state, enum fault how)
{
    struct world *world = world_of(state, 2);
    bool saved[CALLS_MAX] = {false};
    int64_t count = 0;

    send_both_to_site_1(world);
    count = end_device_at_each_call(world, how, saved);
    assert_in_range(count, 8 / STRIDE,
                    CALLS_MAX - 1); /* there are some calls, and we came to their end */
    world_settle(world);
    for (int64_t i = 0; i < count; i++) {
        if (saved[i] && count_numbered_notes(world, OFFICE, i) != 1)
            fail_msg("note %" PRId64 " was saved and is lost", i);
        if (count_numbered_notes(world, ANNA, i) != count_numbered_notes(world, OFFICE, i))
            fail_msg("note %" PRId64 " is on one side only", i);
        assert_in_range(count_numbered_notes(world, BRUNO, i), 0, 1);
    }
    the_end(world);
}

/* FAULTS 1: the row and its line in the outbox are there both or neither. */
static void a_device_killed_at_any_call_loses_nothing_saved(void **state)
{
    tell_of_ended_devices(state, FAULT_DEVICE_KILL_INSIDE);
}

/* FAULTS 3, devices: sectors that weren't synced are lost, torn or garbled. */
static void a_power_cut_at_any_call_of_a_device_loses_nothing_saved(void **state)
{
    tell_of_ended_devices(state, FAULT_DEVICE_POWER_CUT);
}

static void tell_of_ended_servers(void **state, enum fault how)
{
    struct world *world = world_of(state, 2);
    size_t ends = 0;
    int64_t number = 0;

    send_both_to_site_1(world);
    do {
        ends = world->counts.fired[how];
        world->death[world_machine(OFFICE)] = how;
        disk_trouble(&world->disk, world_machine(OFFICE), DISK_DEATH, number * STRIDE, 1);
        write_numbered_note(world, ANNA, number);
        world_pass(world, SECONDS(20));
        disk_trouble(&world->disk, world_machine(OFFICE), DISK_DEATH, 0, 0);
        while (!world->server.is_running)
            world_pass(world, SECONDS(1));
        number++;
    } while (world->counts.fired[how] != ends && number < CALLS_MAX);
    assert_in_range(number, 4 / STRIDE, CALLS_MAX - 1);
    world_settle(world);
    for (int64_t i = 0; i < number; i++) {
        assert_int_equal(count_numbered_notes(world, OFFICE, i), 1);
        assert_int_equal(count_numbered_notes(world, BRUNO, i), 1);
    }
    the_end(world);
}

/* FAULTS 2: the push comes again and is recognised. */
static void a_server_killed_at_any_call_loses_and_doubles_nothing(void **state)
{
    tell_of_ended_servers(state, FAULT_SERVER_KILL_INSIDE);
}

/* FAULTS 3, server. */
static void a_power_cut_at_any_call_of_the_server_loses_and_doubles_nothing(void **state)
{
    tell_of_ended_servers(state, FAULT_SERVER_POWER_CUT);
}

/* A seal that the server has must survive: made again with more in it, it would look like a copy
 * of the device. */
static void a_power_cut_right_after_a_push_makes_no_copy_of_the_device(void **state)
{
    struct world *world = world_of(state, 2);
    size_t commits = 0;

    send_both_to_site_1(world);
    commits = world->history.commit_count;
    write_numbered_note(world, ANNA, 1);
    while (world->history.commit_count == commits)
        world_pass(world, 100);
    agent_node_power_cut(world, ANNA);
    wait_until_it_runs(world, ANNA);
    write_numbered_note(world, ANNA, 2);
    world_settle(world);
    expect(world, OFFICE, "SELECT count(*) FROM fs_replica WHERE state = 'held'", "0");
    assert_int_equal(count_numbered_notes(world, OFFICE, 1), 1);
    assert_int_equal(count_numbered_notes(world, OFFICE, 2), 1);
    the_end(world);
}

/* FAULTS 4: the server can't know what became of the commit: it ends, opens the file, looks. */
static void a_failed_sync_of_the_server_is_looked_at_and_happens_once(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    for (int64_t i = 0; i < 5; i++) {
        disk_trouble(&world->disk, world_machine(OFFICE), DISK_SYNC_ERROR, i, 1);
        write_numbered_note(world, ANNA, i);
        world_pass(world, SECONDS(30));
    }
    assert_in_range(world->counts.reopens, 1, 5);
    world_settle(world);
    for (int64_t i = 0; i < 5; i++)
        assert_int_equal(count_numbered_notes(world, OFFICE, i), 1);
    the_end(world);
}

/* FAULTS 4, devices: the program is told, looks, and finds the whole or nothing. */
static void a_failed_sync_of_a_device_leaves_the_whole_or_nothing(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    for (int64_t i = 0; i < 8; i++) {
        disk_trouble(&world->disk, world_machine(ANNA), DISK_SYNC_ERROR, i / 2, 1);
        if (!try_note(world, ANNA, i))
            agent_node_reopen(world, ANNA, "a commit failed");
        world_pass(world, SECONDS(30));
    }
    assert_true(world->counts.fired[FAULT_SYNC_ERROR] >= 4);
    world_settle(world);
    for (int64_t i = 0; i < 8; i++)
        assert_int_equal(count_numbered_notes(world, ANNA, i),
                         count_numbered_notes(world, OFFICE, i));
    the_end(world);
}

/* FAULTS 5: an error for minutes: tried again at a walking pace, healed without anybody. */
static void tell_of_a_failing_disk(void **state, int node, enum disk_trouble trouble)
{
    struct world *world = world_of(state, 2);
    uint64_t links = 0;

    send_both_to_site_1(world);
    write_numbered_note(world, ANNA, 1);
    disk_trouble(&world->disk, world_machine(node), trouble, 0, DISK_ALWAYS);
    links = world->link_last;
    world_pass(world, MINUTES(5));
    assert_in_range(world->link_last - links, 0, 150); /* dials */
    assert_in_range(world->counts.reopens, 0, 150);
    disk_heal(&world->disk, world_machine(node));
    wait_until_it_runs(world, ANNA);
    write_numbered_note(world, ANNA, 2);
    world_pass(world, MINUTES(6)); /* the longest backoff */
    assert_true(world_is_settled(world));
    assert_int_equal(count_numbered_notes(world, BRUNO, 1), 1);
    assert_int_equal(count_numbered_notes(world, BRUNO, 2), 1);
    the_end(world);
}

static void a_device_whose_reads_fail_for_minutes_recovers_by_itself(void **state)
{
    tell_of_a_failing_disk(state, ANNA, DISK_READ_ERROR);
}

static void a_device_whose_writes_fail_for_minutes_recovers_by_itself(void **state)
{
    tell_of_a_failing_disk(state, ANNA, DISK_WRITE_ERROR);
}

static void a_server_whose_reads_fail_for_minutes_recovers_by_itself(void **state)
{
    tell_of_a_failing_disk(state, OFFICE, DISK_READ_ERROR);
}

static void a_server_whose_writes_fail_for_minutes_recovers_by_itself(void **state)
{
    tell_of_a_failing_disk(state, OFFICE, DISK_WRITE_ERROR);
}

/* FAULTS 6: what can't be saved is refused whole, what was saved goes out and comes in again. */
static void a_full_device_refuses_whole_and_recovers_by_itself(void **state)
{
    struct world *world = world_of(state, 2);
    uint64_t life = 0;

    send_both_to_site_1(world);
    write_numbered_note(world, ANNA, 1);
    life = world->agents[ANNA].life;
    disk_trouble(&world->disk, world_machine(ANNA), DISK_FULL, 0, DISK_ALWAYS);
    assert_false(try_note(world, ANNA, 2));
    assert_int_equal(count_numbered_notes(world, ANNA, 2), 0);
    sql(world, OFFICE, "UPDATE item SET name = 'new name' WHERE id = 1");
    world_pass(world, MINUTES(3));
    assert_int_equal(count_numbered_notes(world, ANNA, 1), 1);
    assert_true(agent_status(world->agents[ANNA].core).is_disk_full);
    disk_heal(&world->disk, world_machine(ANNA));
    world_pass(world, SECONDS(30));
    assert_true(world_is_settled(world));
    assert_false(agent_status(world->agents[ANNA].core).is_disk_full);
    assert_int_equal(world->agents[ANNA].life, life); /* the same process */
    assert_int_equal(count_numbered_notes(world, OFFICE, 1), 1);
    expect(world, ANNA, "SELECT name FROM item WHERE id = 1", "new name");
    the_end(world);
}

/* FAULTS 7: pushes are refused for now, sessions stay, nobody restarts anything. */
static void a_full_server_refuses_for_now_and_recovers_by_itself(void **state)
{
    struct world *world = world_of(state, 2);
    uint64_t life = 0;
    uint64_t link = 0;

    send_both_to_site_1(world);
    life = world->server.life;
    link = world->agents[BRUNO].link;
    disk_trouble(&world->disk, world_machine(OFFICE), DISK_FULL, 0, DISK_ALWAYS);
    write_numbered_note(world, ANNA, 1);
    world_pass(world, MINUTES(3));
    assert_true(world->counts.fired[FAULT_DISK_FULL] > 0);
    assert_int_equal(count_numbered_notes(world, OFFICE, 1), 0);
    assert_int_equal(world->agents[BRUNO].link, link); /* whoever only reads isn't concerned */
    disk_heal(&world->disk, world_machine(OFFICE));
    world_pass(world, SECONDS(30));
    assert_true(world_is_settled(world));
    assert_int_equal(world->server.life, life);
    assert_int_equal(count_numbered_notes(world, BRUNO, 1), 1);
    the_end(world);
}

/* FAULTS 8, as far as SQLite sees it: a page that is read wrong is noticed and read again. */
static void tell_of_wrong_pages(void **state, enum disk_trouble trouble)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    for (int64_t i = 0; i < 10; i++) {
        int node = i % 2 == 0 ? ANNA : OFFICE;

        disk_trouble(&world->disk, world_machine(node), trouble, i, 1);
        if (node == ANNA)
            agent_node_crash(world, ANNA);
        else
            server_node_crash(world);
        world_pass(world, SECONDS(40));
        wait_until_it_runs(world, ANNA);
        write_numbered_note(world, ANNA, i);
        world_pass(world, SECONDS(40));
    }
    assert_true(world->counts.fired[FAULT_FLIPPED_BIT] + world->counts.fired[FAULT_SHORT_READ] > 5);
    world_settle(world);
    for (int64_t i = 0; i < 10; i++)
        assert_int_equal(count_numbered_notes(world, BRUNO, i), 1);
    the_end(world);
}

static void a_flipped_bit_that_sqlite_sees_is_read_again(void **state)
{
    tell_of_wrong_pages(state, DISK_FLIPPED_BIT);
}

static void a_short_read_is_read_again(void **state)
{
    tell_of_wrong_pages(state, DISK_SHORT_READ);
}

/* Changes a byte of a text where it stands in the file: SQLite has no checksums and can't see it.
 */
static size_t rot(struct world *world, const char *path, const char *text)
{
    FILE *file = fopen(path, "r+b");
    char *bytes = NULL;
    long size = 0;
    size_t count = 0;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    bytes = sim_zero((size_t)size);
    rewind(file);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), (size_t)size);
    for (long i = 0; i + (long)strlen(text) <= size; i++) {
        if (memcmp(bytes + i, text, strlen(text)) != 0)
            continue;
        assert_int_equal(fseek(file, i, SEEK_SET), 0);
        assert_int_equal(fputc(text[0] ^ 1, file), text[0] ^ 1);
        count++;
    }
    free(bytes);
    assert_int_equal(fclose(file), 0);
    world_say(world, "%zu places of '%s' rot", count, text);
    return count;
}

/* FAULTS 8, what SQLite can't see: a value that rots on a device is found by the bucket's digest,
 * comes again, though nothing else is published; it is never sent, because nobody has edited
 * it there. An unsent value that rots is sent as it is then: SQLite keeps no checksums of pages. */
static void a_value_that_rots_on_a_device_is_found_by_the_digest(void **state)
{
    struct world *world = world_of(state, 2);
    const char *path = world->agents[ANNA].path;
    char log[200];

    send_both_to_site_1(world);
    sql(world, OFFICE, "UPDATE site SET access_note = 'ring twice, please' WHERE id = 1");
    assert_true(world_wait(world, SECONDS(20)));
    agent_node_crash(world, ANNA);
    (void)snprintf(log, sizeof log, "%s-wal", path);
    world->is_story = true;
    {
        sqlite3 *database = sim_open(world, path); /* all of the log into the file */

        sim_exec(world, database, "PRAGMA wal_checkpoint(TRUNCATE)");
        (void)sqlite3_close(database);
    }
    assert_true(rot(world, path, "ring twice, please") > 0);
    world->has_rotten = true; /* the oracle would see it, too: it looks away until it is repaired */
    wait_until_it_runs(world, ANNA);
    while (agent_status(world->agents[ANNA].core).repairs == 0 && world->now_us < HOURS(1))
        world_pass(world, SECONDS(1));
    world_pass(world, SECONDS(5)); /* nobody commits anything */
    world->has_rotten = false;
    expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", "ring twice, please");
    expect(world, OFFICE, "SELECT access_note FROM site WHERE id = 1", "ring twice, please");
    assert_true(agent_status(world->agents[ANNA].core).repairs > 0);
    the_end(world);
}

static int64_t head_of(struct world *world)
{
    return sim_integer(world, database_of(world, OFFICE),
                       "SELECT number FROM fs_state WHERE name = 'seq'");
}

/* A commit that couldn't be synced is in the log, and the next process finds it there: before it
 * shows it to anybody, it sees to it that no power cut takes it back. */
static void what_a_failed_sync_left_in_the_log_is_made_durable_at_the_start(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t head = 0;

    send_both_to_site_1(world);
    disk_trouble(&world->disk, world_machine(OFFICE), DISK_SYNC_ERROR, 0, DISK_ALWAYS);
    write_numbered_note(world, ANNA, 1);
    world_pass(world, SECONDS(30));
    assert_false(world->server.is_running); /* it tries again and again */
    disk_heal(&world->disk, world_machine(OFFICE));
    while (!world->server.is_running)
        world_pass(world, MILLISECONDS(10));
    head = head_of(world);
    server_node_power_cut(world);
    while (!world->server.is_running)
        world_pass(world, MILLISECONDS(10));
    assert_true(head_of(world) >= head);
    assert_true(world_wait(world, MINUTES(2)));
    assert_int_equal(count_numbered_notes(world, OFFICE, 1), 1);
    the_end(world);
}

/* FAULTS 28: each sync takes two seconds: answers are late, nobody hangs up. */
static void a_slow_disk_makes_answers_late_and_ends_no_session(void **state)
{
    struct world *world = world_of(state, 3);
    uint64_t links = 0;

    send_both_to_site_1(world);
    links = world->link_last;
    disk_trouble(&world->disk, world_machine(OFFICE), DISK_SLOW, 0, DISK_ALWAYS);
    for (int64_t i = 0; i < 20; i++) {
        write_numbered_note(world, ANNA, i);
        sql(world, BRUNO, "UPDATE site SET access_note = access_note || 'x' WHERE id = 1");
        world_pass(world, SECONDS(6));
    }
    assert_true(world->counts.fired[FAULT_SLOW_DISK] >= 20);
    assert_int_equal(world->link_last, links);
    disk_heal(&world->disk, world_machine(OFFICE));
    world_settle(world);
    for (int64_t i = 0; i < 20; i++)
        assert_int_equal(count_numbered_notes(world, BRUNO, i), 1);
    the_end(world);
}

/* FAULTS 32: another program holds the write lock for a minute: the agent waits, and goes on. */
static void a_replica_locked_for_a_minute_is_waited_for(void **state)
{
    struct world *world = world_of(state, 2);
    sqlite3 *locker = NULL;
    uint64_t life = 0;

    send_both_to_site_1(world);
    life = world->agents[ANNA].life;
    write_numbered_note(world, ANNA, 1);
    locker = world->agents[ANNA].locker = sim_open(world, world->agents[ANNA].path);
    sim_exec(world, locker, "BEGIN IMMEDIATE");
    sql(world, OFFICE, "UPDATE item SET name = 'while it was locked' WHERE id = 1");
    world_pass(world, SECONDS(60));
    expect(world, ANNA, "SELECT name FROM item WHERE id = 1", "part");
    sim_exec(world, locker, "ROLLBACK");
    (void)sqlite3_close(locker);
    world->agents[ANNA].locker = NULL;
    world_pass(world, SECONDS(10));
    assert_true(world_is_settled(world));
    assert_int_equal(world->agents[ANNA].life, life);
    expect(world, ANNA, "SELECT name FROM item WHERE id = 1", "while it was locked");
    assert_int_equal(count_numbered_notes(world, OFFICE, 1), 1);
    the_end(world);
}

/* FAULTS 32: somebody reads for hours in one transaction: he sees one state, the others go on. */
static void a_reader_of_hours_holds_up_nobody(void **state)
{
    struct world *world = world_of(state, 2);
    sqlite3 *reader = NULL;

    send_both_to_site_1(world);
    reader = sim_open(world, world->agents[ANNA].path);
    sim_exec(world, reader, "BEGIN");
    assert_int_equal(sim_integer(world, reader, "SELECT count(*) FROM call_note"), 0);
    for (int64_t i = 0; i < 40; i++) {
        write_numbered_note(world, i % 2 == 0 ? ANNA : BRUNO, i);
        world_pass(world, MINUTES(3));
        assert_int_equal(count_numbered_notes(world, ANNA, i), 1);
    }
    assert_int_equal(sim_integer(world, reader, "SELECT count(*) FROM call_note"), 0);
    (void)sqlite3_close(reader);
    the_end(world);
}

/* With a word: only the stories that match it (* and ? stand for anything). */
int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        STORY(a_device_killed_at_any_call_loses_nothing_saved),
        STORY(a_power_cut_at_any_call_of_a_device_loses_nothing_saved),
        STORY(a_server_killed_at_any_call_loses_and_doubles_nothing),
        STORY(a_power_cut_at_any_call_of_the_server_loses_and_doubles_nothing),
        STORY(a_power_cut_right_after_a_push_makes_no_copy_of_the_device),
        STORY(a_failed_sync_of_the_server_is_looked_at_and_happens_once),
        STORY(a_failed_sync_of_a_device_leaves_the_whole_or_nothing),
        STORY(a_device_whose_reads_fail_for_minutes_recovers_by_itself),
        STORY(a_device_whose_writes_fail_for_minutes_recovers_by_itself),
        STORY(a_server_whose_reads_fail_for_minutes_recovers_by_itself),
        STORY(a_server_whose_writes_fail_for_minutes_recovers_by_itself),
        STORY(a_full_device_refuses_whole_and_recovers_by_itself),
        STORY(a_full_server_refuses_for_now_and_recovers_by_itself),
        STORY(a_flipped_bit_that_sqlite_sees_is_read_again),
        STORY(a_short_read_is_read_again),
        STORY(a_value_that_rots_on_a_device_is_found_by_the_digest),
        STORY(what_a_failed_sync_left_in_the_log_is_made_durable_at_the_start),
        STORY(a_slow_disk_makes_answers_late_and_ends_no_session),
        STORY(a_replica_locked_for_a_minute_is_waited_for),
        STORY(a_reader_of_hours_holds_up_nobody),
    };

    if (count > 1)
        cmocka_set_test_filter(words[1]);
    cmocka_set_test_filter(getenv("STORY")); /* one alone, or all */
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of confirmation, revocation, keys and limits. */
#include "tests/sim/story.h" /* first: it asks for POSIX */

#include "protocol/identity.h"
#include "server/core/devices.h"
#include "server/core/devices_confirm.h"
#include "server/core/devices_rotate.h"
#include "server/core/quarantine.h"

/* ---- what the office does ---- */

struct command {
    struct world *world;
    int64_t replica_no;
    bool wipe;
    struct quarantine_step step;
};

static void run(struct world *world, enum result (*action)(struct work *, void *, struct problem *),
                struct command *command)
{
    struct master_outcome outcome;
    struct problem problem = {0};

    world_enter(world, OFFICE);
    command->world = world;
    if (master_run(world->server.writer, world_wall(world, OFFICE), action, command, &outcome,
                   &problem) != RESULT_OK)
        world_fail(world, "a command: %s", problem.text);
    if (outcome.work.seq != 0) {
        struct server_event event = {.kind = SERVER_EVENT_COMMITTED, .outcome = &outcome};

        history_commit(&world->history);
        server_node_step(world, &event);
    }
}

static enum result revoke_device(struct work *work, void *context, struct problem *problem)
{
    const struct command *command = context;

    return devices_revoke(work, command->replica_no, command->wipe, problem);
}

/* A running server sees what other programs have committed. */
static void tell_revoked(struct world *world, const struct command *command)
{
    struct master_outcome outcome = {.revoked = &command->replica_no, .revoked_count = 1};
    struct server_event event = {.kind = SERVER_EVENT_COMMITTED, .outcome = &outcome};

    server_node_step(world, &event);
}

static enum result ask_rotation(struct work *work, void *context, struct problem *problem)
{
    const struct command *command = context;

    return devices_ask_rotation(work, command->replica_no, problem);
}

static enum result release(struct work *work, void *context, struct problem *problem)
{
    struct command *command = context;

    return quarantine_release(work, master_store(command->world->server.writer),
                              command->replica_no, &command->step, problem);
}

/* Each step says where the next one begins. */
static void release_all(struct world *world, struct command *command)
{
    for (command->step.seal_no = 1; command->step.seal_no != 0;)
        run(world, release, command);
}

static struct command anna_of(struct world *world)
{
    return (struct command){.replica_no = world->agents[ANNA].replica_no};
}

static bool wait_until(struct world *world, const bool *flag, int64_t limit_us)
{
    int64_t end_us = world->now_us + limit_us;

    while (!*flag && world->now_us < end_us)
        world_pass(world, MILLISECONDS(10));
    return *flag;
}

/* ---- confirmation ---- */

/* Nothing goes either way until somebody has confirmed it; then it begins by itself. */
static void a_device_that_is_not_confirmed_waits_and_then_begins_by_itself(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t published = 0;

    send_both_to_site_1(world);
    sql(world, OFFICE, "UPDATE fs_replica SET is_confirmed = 0 WHERE user_id = 1");
    link_cut(world, ANNA);
    write_note(world, ANNA, "while waiting");
    sql(world, OFFICE, "UPDATE item SET name = 'not for anna yet' WHERE id = 1");
    link_restore(world, ANNA);
    published = agent_node_state(world, ANNA, "published_seq");
    world_pass(world, MINUTES(5));
    assert_int_equal(count_notes(world, OFFICE, "while waiting"), 0);
    assert_int_equal(agent_node_state(world, ANNA, "published_seq"), published);
    assert_true(agent_status(world->agents[ANNA].core).is_pending);
    sql(world, OFFICE, "UPDATE fs_replica SET is_confirmed = 1");
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "while waiting"), 1);
    expect(world, ANNA, "SELECT name FROM item WHERE id = 1", "not for anna yet");
    assert_false(agent_status(world->agents[ANNA].core).is_pending);
    the_end(world);
}

/* ---- revocation ---- */

/* DOMAIN: facts of a revoked device dated before it are kept until a person decides. */
static void a_revoked_device_leaves_its_work_behind_before_it_wipes(void **state)
{
    struct world *world = world_of(state, 2);
    struct command command;

    send_both_to_site_1(world);
    command = anna_of(world);
    command.wipe = true;
    link_cut(world, ANNA);
    write_note(world, ANNA, "in time");
    world_pass(world, SECONDS(5));
    run(world, revoke_device, &command);
    world_pass(world, SECONDS(5));
    write_note(world, ANNA, "too late");
    link_restore(world, ANNA);
    assert_true(wait_until(world, &world->agents[ANNA].is_revoked, MINUTES(6)));
    assert_true(world->agents[ANNA].is_wiped);
    assert_int_equal(count_notes(world, OFFICE, "in time"), 0);
    release_all(world, &command);
    assert_int_equal(count_notes(world, OFFICE, "in time"), 1);
    assert_int_equal(count_notes(world, OFFICE, "too late"), 0);
    world_pass(world, SECONDS(10));
    expect(world, BRUNO, "SELECT body FROM call_note", "in time");
}

/* However often the line is cut: no wipe before the server has what the device still had. */
static void a_cut_while_it_leaves_its_work_behind_loses_nothing(void **state)
{
    struct world *world = world_of(state, 2);
    struct command command;

    send_both_to_site_1(world);
    command = anna_of(world);
    command.wipe = true;
    link_cut(world, ANNA);
    write_note(world, ANNA, "kept through cuts");
    run(world, revoke_device, &command);
    for (int i = 1; i <= 8 && !world->agents[ANNA].is_revoked; i++) {
        struct link *link = NULL;

        link_restore(world, ANNA);
        for (int ms = 0; link == NULL && ms < 400 * 1000 && !world->agents[ANNA].is_revoked; ms++) {
            world_pass(world, MILLISECONDS(1));
            link = network_link(world, world->agents[ANNA].link);
        }
        world_pass(world, MILLISECONDS(4) * i); /* a little further each time */
        if (!world->agents[ANNA].is_revoked)
            link_cut(world, ANNA);
        else
            assert_int_equal(sim_integer(world, world->server.office,
                                         "SELECT count(*) FROM fs_quarantine WHERE is_last"),
                             1);
    }
    link_restore(world, ANNA);
    assert_true(wait_until(world, &world->agents[ANNA].is_revoked, MINUTES(6)));
    release_all(world, &command);
    assert_int_equal(count_notes(world, OFFICE, "kept through cuts"), 1);
}

/* Half of it is there: the rest follows, and only then does the device hear that it has arrived. */
static void a_photo_that_is_cut_in_the_middle_goes_on_from_there(void **state)
{
    enum { PHOTO_SIZE = 3000000 };
    struct world *world = world_of(state, 2);
    uint8_t hash[BLOB_STORE_HASH_SIZE];

    send_both_to_site_1(world);
    world->scenario.bytes_per_second = 1000000;
    take_photo(world, PHOTO_SIZE, hash);
    for (int ms = 0; ms < 60 * 1000 && bytes_on_server(world, hash) < PHOTO_SIZE / 2; ms++)
        world_pass(world, MILLISECONDS(1));
    link_cut(world, ANNA);
    assert_in_range(bytes_on_server(world, hash), PHOTO_SIZE / 2, PHOTO_SIZE - 1);
    link_restore(world, ANNA);
    world_settle(world);
    world_settle_blobs(world);
    assert_true(sim_blobs_is_whole(&world->server.blobs, hash));
    assert_true(world->counts.bytes[TO_SERVER] < PHOTO_SIZE * 3 / 2);
    check_end(world);
}

/* No wipe before the contents of its attachments are there, too, however often the line is cut. */
static void a_revoked_device_leaves_its_photos_behind(void **state)
{
    enum { PHOTO_SIZE = 3000000, CUTS = 4 };
    struct world *world = world_of(state, 2);
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    struct command command;

    send_both_to_site_1(world);
    command = anna_of(world);
    command.wipe = true;
    link_cut(world, ANNA);
    take_photo(world, PHOTO_SIZE, hash);
    run(world, revoke_device, &command);
    for (int i = 0; i < CUTS; i++) {
        link_restore(world, ANNA);
        for (int ms = 0; ms < 400 * 1000 && network_link(world, world->agents[ANNA].link) == NULL;
             ms++)
            world_pass(world, MILLISECONDS(1));
        world_pass(world, MILLISECONDS(70 + 20 * i));
        assert_false(world->agents[ANNA].is_revoked);
        assert_false(sim_blobs_is_whole(&world->server.blobs, hash));
        link_cut(world, ANNA);
    }
    link_restore(world, ANNA);
    assert_true(wait_until(world, &world->agents[ANNA].is_revoked, MINUTES(12)));
    assert_true(world->agents[ANNA].is_wiped);
    assert_true(sim_blobs_is_whole(&world->server.blobs, hash));
    release_all(world, &command);
    expect(world, OFFICE, "SELECT name FROM attachment", "pump.jpg");
}

/* A live session gets nothing more from the commit on that revokes it. */
static void a_live_session_ends_within_a_second(void **state)
{
    struct world *world = world_of(state, 2);
    struct command command;

    send_both_to_site_1(world);
    command = anna_of(world);
    run(world, revoke_device, &command);
    tell_revoked(world, &command);
    assert_true(wait_until(world, &world->agents[ANNA].is_revoked, SECONDS(1)));
    assert_false(world->agents[ANNA].is_wiped);
    assert_int_equal(server_status(world->server.core).live_count, 1);
    assert_true(agent_node_state(world, ANNA, "revoked_at") != 0);
    sql(world, OFFICE, "UPDATE item SET name = 'not for anna' WHERE id = 1");
    world_pass(world, SECONDS(5));
    expect(world, BRUNO, "SELECT name FROM item WHERE id = 1", "not for anna");
    assert_true(agent_node_state(world, ANNA, "published_seq") <
                agent_node_state(world, BRUNO, "published_seq"));
}

/* ---- keys ---- */

static void has_new_keys(struct world *world, const uint8_t *old_secret)
{
    const struct world_agent *agent = &world->agents[ANNA];

    assert_false(agent->has_next);
    assert_memory_not_equal(agent->secret, old_secret, sizeof agent->secret);
    assert_memory_equal(agent->previous_secret, old_secret, sizeof agent->secret);
    assert_int_equal(sim_integer(world, world->server.office,
                                 "SELECT count(*) FROM fs_replica WHERE user_id = 1"
                                 " AND next_public_key IS NULL AND keys_changed_at IS NOT NULL"),
                     1);
}

static void keys_change_when_the_office_asks(void **state)
{
    struct world *world = world_of(state, 2);
    struct command command;
    uint8_t old_secret[32];

    send_both_to_site_1(world);
    memcpy(old_secret, world->agents[ANNA].secret, sizeof old_secret);
    command = anna_of(world);
    run(world, ask_rotation, &command);
    link_cut(world, ANNA); /* it is told with its next WELCOME */
    link_restore(world, ANNA);
    world_settle(world);
    world_pass(world, SECONDS(30));
    has_new_keys(world, old_secret);
    write_note(world, ANNA, "with new keys");
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "with new keys"), 1);
    the_end(world);
}

/* Cut, or killed, after each number of milliseconds: there is always a pair that opens. */
static void a_rotation_that_is_cut_anywhere_locks_nobody_out(void **state)
{
    struct world *world = world_of(state, 2);
    uint8_t old_secret[32];
    char body[NOTE_BODY_SIZE];

    send_both_to_site_1(world);
    for (int i = 0; i < 15; i++) {
        memcpy(old_secret, world->agents[ANNA].secret, sizeof old_secret);
        agent_node_rotate(world, ANNA);
        world_pass(world, MILLISECONDS(3) * i + MILLISECONDS(1)); /* its file is written by then */
        if (i % 3 == 0)
            agent_node_crash(world, ANNA);
        else if (i % 3 == 1)
            server_node_crash(world);
        else
            link_cut(world, ANNA);
        link_restore(world, ANNA);
        (void)snprintf(body, sizeof body, "after cut %d", i);
        world_pass(world, SECONDS(20));
        write_note(world, ANNA, body);
        world_settle(world);
        assert_int_equal(count_notes(world, OFFICE, body), 1);
        world_pass(world, SECONDS(20));
        has_new_keys(world, old_secret);
    }
    the_end(world);
}

/* The server was restored from a backup of before the rotation: the pair before still opens. */
static void a_server_that_knows_only_the_keys_before_is_still_reached(void **state)
{
    struct world *world = world_of(state, 2);
    uint8_t old_secret[32];

    send_both_to_site_1(world);
    memcpy(old_secret, world->agents[ANNA].secret, sizeof old_secret);
    sql(world, OFFICE,
        "CREATE TABLE backup_of_keys AS SELECT replica_no, static_public_key, psk FROM fs_replica");
    agent_node_rotate(world, ANNA);
    world_pass(world, SECONDS(30));
    has_new_keys(world, old_secret);
    link_cut(world, ANNA);
    sql(world, OFFICE,
        "UPDATE fs_replica SET (static_public_key, psk) = (SELECT b.static_public_key, b.psk FROM"
        " backup_of_keys b WHERE b.replica_no = fs_replica.replica_no), keys_changed_at = NULL;"
        "DROP TABLE backup_of_keys");
    link_restore(world, ANNA);
    write_note(world, ANNA, "after the restore");
    world_pass(world, MINUTES(10));
    assert_int_equal(count_notes(world, OFFICE, "after the restore"), 1);
    assert_memory_equal(world->agents[ANNA].secret, old_secret, sizeof old_secret);
    the_end(world);
}

/* FAULTS: the device trusts the root, not one key; the serial only rises. */
static void a_device_away_through_two_server_keys_comes_back_and_takes_no_older_one(void **state)
{
    struct world *world = world_of(state, 2);
    struct world_server older;

    send_both_to_site_1(world);
    link_cut(world, ANNA);
    write_note(world, ANNA, "written while the keys changed");
    server_node_rotate(world);
    older = world->server;
    server_node_rotate(world);
    server_node_crash(world);
    world_pass(world, SECONDS(15));
    link_restore(world, ANNA);
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "written while the keys changed"), 1);
    assert_int_equal(world->agents[ANNA].key_serial, 3);
    memcpy(world->server.secret, older.secret, sizeof older.secret); /* somebody has the old one */
    memcpy(world->server.signature, older.signature, sizeof older.signature);
    world->server.key_serial = older.key_serial;
    server_node_crash(world);
    world_pass(world, SECONDS(15));
    write_note(world, ANNA, "not for an old key");
    world_pass(world, MINUTES(6));
    assert_int_equal(count_notes(world, OFFICE, "not for an old key"), 0);
    assert_int_equal(server_status(world->server.core).live_count, 0);
    world->server.key_serial = 9; /* a serial that the root has not signed */
    server_node_crash(world);
    world_pass(world, MINUTES(6));
    assert_int_equal(server_status(world->server.core).live_count, 0);
    world->server.key_serial = 3;
    server_node_rotate(world);
    server_node_crash(world);
    world_pass(world, MINUTES(6));
    assert_int_equal(count_notes(world, OFFICE, "not for an old key"), 1);
    the_end(world);
}

/* ---- limits ---- */

static void restart_with(struct world *world, enum throttle_kind kind, int64_t per_minute)
{
    world->server.throttle.per_minute[kind] = per_minute;
    server_node_crash(world);
    world_pass(world, SECONDS(15));
    world_settle(world);
}

/* Too much in a minute waits on the device; nothing is lost, others notice nothing. */
static void who_sends_too_much_waits_and_loses_nothing(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t waited_us;

    send_both_to_site_1(world);
    restart_with(world, THROTTLE_CHANGES, 20);
    for (int i = 0; i < 40; i++) {
        write_note(world, ANNA, "many");
        world_pass(world, MILLISECONDS(900));
    }
    sql(world, BRUNO, "UPDATE site SET access_note = 'bruno is served' WHERE id = 1");
    world_pass(world, SECONDS(2));
    expect(world, OFFICE, "SELECT access_note FROM site WHERE id = 1", "bruno is served");
    for (int i = 0; i < 20; i++)
        write_note(world, ANNA, "more");
    waited_us = world->now_us;
    while (count_notes(world, OFFICE, "more") < 20)
        world_pass(world, MILLISECONDS(100));
    waited_us = world->now_us - waited_us;
    assert_true(waited_us < MINUTES(4));
    expect_told(world, "more than it may in a minute");
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "many"), 40);
    the_end(world);
}

/* A large seal in parts whose middle is refused for now begins anew, whole. */
static void a_seal_in_parts_that_must_wait_arrives_whole(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    restart_with(world, THROTTLE_BYTES, 400 * 1000);
    link_cut(world, ANNA);
    sql(world, ANNA,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
        " INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
        " SELECT (SELECT id FROM new_id) + i, 1, 1, 1, hex(randomblob(1500)) FROM n");
    link_restore(world, ANNA);
    world_pass(world, MINUTES(4));
    expect(world, OFFICE, "SELECT count(*) FROM call_note", "400");
    the_end(world);
}

static void a_device_that_connects_again_and_again_is_told_to_wait(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    restart_with(world, THROTTLE_SESSIONS, 1);
    for (int i = 0; i < 6; i++) {
        link_cut(world, ANNA);
        link_restore(world, ANNA);
        world_pass(world, SECONDS(20)); /* enough for its next try, too soon for the limit */
    }
    expect_told(world, "connects too often");
    write_note(world, ANNA, "after the wait");
    world_pass(world, MINUTES(8));
    assert_int_equal(count_notes(world, OFFICE, "after the wait"), 1);
    the_end(world);
}

/* ---- lease ---- */

static void a_lease_runs_from_the_last_contact(void **state)
{
    struct world *world = world_of(state, 2);
    struct replica_lease lease = {0};
    struct problem problem = {0};

    send_both_to_site_1(world);
    world->server.lease_s = 30 * 86400;
    server_node_crash(world);
    world_pass(world, SECONDS(15));
    world_settle(world);
    link_cut(world, ANNA);
    assert_int_equal(replica_lease(world->agents[ANNA].replica, &lease, &problem), RESULT_OK);
    assert_int_equal(lease.lease_s, 30 * 86400);
    assert_false(replica_lease_is_over(&lease, world_wall(world, ANNA)));
    lease.contact_at.us -= INT64_C(31) * 86400 * 1000000;
    assert_true(replica_lease_is_over(&lease, world_wall(world, ANNA)));
    link_restore(world, ANNA);
    world_settle(world);
    world->server.lease_s = 0; /* has to be told as well */
    server_node_crash(world);
    world_pass(world, SECONDS(15));
    world_settle(world);
    assert_int_equal(replica_lease(world->agents[ANNA].replica, &lease, &problem), RESULT_OK);
    assert_int_equal(lease.lease_s, 0);
    the_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_device_that_is_not_confirmed_waits_and_then_begins_by_itself),
        STORY(a_revoked_device_leaves_its_work_behind_before_it_wipes),
        STORY(a_cut_while_it_leaves_its_work_behind_loses_nothing),
        STORY(a_photo_that_is_cut_in_the_middle_goes_on_from_there),
        STORY(a_revoked_device_leaves_its_photos_behind),
        STORY(a_live_session_ends_within_a_second),
        STORY(keys_change_when_the_office_asks),
        STORY(a_rotation_that_is_cut_anywhere_locks_nobody_out),
        STORY(a_server_that_knows_only_the_keys_before_is_still_reached),
        STORY(a_device_away_through_two_server_keys_comes_back_and_takes_no_older_one),
        STORY(who_sends_too_much_waits_and_loses_nothing),
        STORY(a_seal_in_parts_that_must_wait_arrives_whole),
        STORY(a_device_that_connects_again_and_again_is_told_to_wait),
        STORY(a_lease_runs_from_the_last_contact),
    };

    cmocka_set_test_filter(getenv("STORY")); /* one alone, or all */
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}

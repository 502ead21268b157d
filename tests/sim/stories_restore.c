/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of copied disks, of images that are put back, of a server that goes back to a backup. */
#include "tests/sim/story.h"

static int64_t number(struct world *world, int node, const char *query)
{
    return sim_integer(world, database_of(world, node), query);
}

static int64_t replica_of(struct world *world, int agent)
{
    return agent_node_state(world, agent, "replica_no");
}

/* All who write here are Anna: her device and copies of it. */
static void note(struct world *world, int agent, const char *body)
{
    char script[NOTE_SCRIPT_SIZE];

    note_script(script, 1, body);
    sql(world, agent, script);
}

static int64_t held_count(struct world *world)
{
    return number(world, OFFICE, "SELECT count(*) FROM fs_replica WHERE state = 'held'");
}

/* Lets a device call until it has been let in or turned away, and waits for what comes of it. */
static void call(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    size_t alarm_count = agent->alarm_count;

    agent->is_offline = false;
    for (int second = 0; second < 60 && agent->alarm_count == alarm_count; second++) {
        struct agent_event event = {.kind = AGENT_EVENT_SYNC_NOW};

        if (agent_status(agent->core).state == AGENT_LIVE)
            break;
        agent_node_step(world, number, &event);
        world_pass(world, SECONDS(1));
    }
    world_pass(world, SECONDS(3));
}

static int64_t copy_that_called(struct world *world, bool is_newest)
{
    return number(world, OFFICE,
                  is_newest ? "SELECT copy_no FROM fs_copy WHERE decision IS NULL AND is_newest = 1"
                            : "SELECT copy_no FROM fs_copy WHERE decision IS NULL AND is_newest = 0"
                              " AND peer IS NOT NULL ORDER BY last_seen_at DESC LIMIT 1");
}

/* Row 20: a disk copied into two living devices. Both have recorded the same row before the copy
 * and other rows with the same ids after it. */
static void a_cloned_disk_is_seen_held_and_both_deliver_all(void **state)
{
    struct world *world = world_of(state, 3);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    link_cut(world, ANNA);
    note(world, ANNA, "before the copy");
    link_cut(world, CARLA);
    life_clone(world, ANNA, CARLA);
    note(world, ANNA, "by the original");
    note(world, CARLA, "by the copy");
    sql(world, CARLA, "UPDATE site SET access_note = 'seen by the copy' WHERE id = 1");
    call(world, ANNA);
    assert_int_equal(held_count(world), 0);
    call(world, CARLA); /* both have connected once */
    assert_int_equal(held_count(world), 1);
    assert_int_equal(number(world, OFFICE, "SELECT count(*) FROM fs_copy"), 2);
    note(world, ANNA, "by the original, held");
    note(world, CARLA, "by the copy, held");
    call(world, ANNA);
    call(world, CARLA);
    assert_int_equal(count_notes(world, OFFICE, "by the original, held"), 0);
    assert_int_equal(number(world, ANNA, "SELECT count(*) FROM call_note"), 3);
    assert_int_equal(number(world, CARLA, "SELECT count(*) FROM call_note"), 3);
    assert_false(life_choose(world, replica_no, 0)); /* which one? */
    assert_false(life_choose(world, replica_no, 7));
    assert_true(life_choose(world, replica_no, copy_that_called(world, true)));
    world_settle(world);
    assert_int_equal(replica_of(world, ANNA), replica_no);
    assert_int_not_equal(replica_of(world, CARLA), replica_no);
    assert_int_equal(count_notes(world, OFFICE, "before the copy"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the original"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the copy"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the original, held"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the copy, held"), 1);
    assert_int_equal(number(world, OFFICE, "SELECT count(*) FROM call_note"), 5);
    expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", "seen by the copy");
    assert_int_equal(number(world, OFFICE, "SELECT count(DISTINCT device_id) FROM fs_replica"), 4);
    the_end(world);
}

/* Nothing that it says of its work is wrong: only its token was replaced since. */
static void a_copy_that_recorded_nothing_is_seen_by_its_token(void **state)
{
    struct world *world = world_of(state, 3);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    link_cut(world, ANNA);
    link_cut(world, CARLA);
    life_clone(world, ANNA, CARLA);
    call(world, ANNA);
    assert_int_equal(held_count(world), 0);
    call(world, CARLA);
    assert_int_equal(held_count(world), 1);
    assert_true(life_choose(world, replica_no, copy_that_called(world, true)));
    world_settle(world);
    assert_int_equal(replica_of(world, ANNA), replica_no);
    assert_int_not_equal(replica_of(world, CARLA), replica_no);
    the_end(world);
}

/* What refers to a row of one's own follows it: in the tables, in what waits, in the seal that was
 * on its way when the disk was copied. */
static void rows_that_get_other_ids_keep_what_refers_to_them(void **state)
{
    static const char *const CALL =
        "INSERT INTO call (id, channel, party_id, site_id, subject, opened_at, opened_by_id)"
        " SELECT id, 'device', 1, 1, 'opened by a copy', 1, 1 FROM new_id;"
        "INSERT INTO call_note (id, call_id, occurred_at, by_id, body) SELECT (SELECT id FROM"
        " new_id), (SELECT max(id) FROM call WHERE subject = 'opened by a copy'), 1, 1, 'in it'";
    struct world *world = world_of(state, 3);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    link_cut(world, ANNA);
    link_cut(world, CARLA);
    life_clone(world, ANNA, CARLA);
    note(world, ANNA, "one id");
    note(world, ANNA, "another id");
    sql(world, CARLA, CALL);
    call(world, ANNA);
    call(world, CARLA);
    assert_true(life_choose(world, replica_no, copy_that_called(world, true)));
    call(world, CARLA);
    world_settle(world);
    assert_int_equal(number(world, OFFICE,
                            "SELECT count(*) FROM call_note n JOIN call c ON c.id = n.call_id"
                            " WHERE n.body = 'in it' AND c.subject = 'opened by a copy'"),
                     1);
    assert_int_equal(number(world, CARLA,
                            "SELECT count(*) FROM call_note n JOIN call c ON c.id = n.call_id"
                            " WHERE n.body = 'in it' AND c.subject = 'opened by a copy'"),
                     1);
    assert_int_equal(number(world, OFFICE, "SELECT count(*) FROM review_item"), 0);
    assert_int_equal(replica_of(world, ANNA), replica_no);
    the_end(world);
}

/* The older one may be the one that lives: then no copy keeps the number. */
static void the_copy_that_is_behind_may_live(void **state)
{
    struct world *world = world_of(state, 3);
    int64_t replica_no = 0;
    int64_t device_id = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    device_id = agent_node_state(world, ANNA, "device_id");
    link_cut(world, ANNA);
    link_cut(world, CARLA);
    life_clone(world, ANNA, CARLA);
    note(world, ANNA, "by the original");
    note(world, CARLA, "by the copy");
    call(world, CARLA);
    call(world, ANNA); /* it comes second: it is the one whose token is old */
    assert_int_equal(held_count(world), 1);
    assert_true(life_choose(world, replica_no, copy_that_called(world, false)));
    world_settle(world);
    assert_int_not_equal(replica_of(world, ANNA), replica_no);
    assert_int_not_equal(replica_of(world, CARLA), replica_no);
    assert_int_equal(agent_node_state(world, ANNA, "device_id"), device_id);
    assert_int_not_equal(agent_node_state(world, CARLA, "device_id"), device_id);
    assert_int_equal(count_notes(world, OFFICE, "by the original"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the copy"), 1);
    the_end(world);
}

/* Row 21: a device put back to an older image presents an old token and has fewer changes than the
 * server has from it. */
static void a_device_put_back_to_an_image_gets_its_work_back_and_delivers_the_new(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t replica_no = 0;
    int64_t device_id = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    device_id = agent_node_state(world, ANNA, "device_id");
    note(world, ANNA, "before the image");
    assert_true(world_wait(world, SECONDS(20)));
    life_keep_image(world, ANNA);
    link_cut(world, ANNA);
    link_restore(world, ANNA);
    assert_true(world_wait(world, SECONDS(60)));
    note(world, ANNA, "after the image"); /* has the id that the next note will have again */
    assert_true(world_wait(world, SECONDS(20)));
    link_cut(world, ANNA);
    life_put_image_back(world, ANNA);
    note(world, ANNA, "after the restore");
    assert_int_equal(number(world, ANNA, "SELECT count(*) FROM call_note"), 2);
    call(world, ANNA);
    assert_int_equal(held_count(world), 1);
    assert_int_equal(count_notes(world, OFFICE, "after the restore"), 0);
    assert_true(life_choose(world, replica_no, copy_that_called(world, false)));
    world_settle(world);
    assert_int_equal(agent_node_state(world, ANNA, "device_id"), device_id);
    assert_int_not_equal(replica_of(world, ANNA), replica_no);
    assert_int_equal(count_notes(world, OFFICE, "after the image"), 1);
    assert_int_equal(count_notes(world, OFFICE, "after the restore"), 1);
    expect(world, ANNA, "SELECT count(*) FROM call_note", "3");
    the_end(world);
}

/* An image of the very session: the token is right, the change numbers tell. */
static void an_image_with_the_right_token_is_seen_by_its_change_numbers(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    life_keep_image(world, ANNA);
    note(world, ANNA, "delivered, then lost here");
    assert_true(world_wait(world, SECONDS(20)));
    link_cut(world, ANNA);
    life_put_image_back(world, ANNA);
    call(world, ANNA);
    assert_int_equal(held_count(world), 1);
    assert_true(life_choose(world, replica_no, 0)); /* there is only one */
    world_settle(world);
    expect(world, ANNA, "SELECT body FROM call_note", "delivered, then lost here");
    the_end(world);
}

/* The same, but it has recorded as much again: only the seal tells. */
static void a_number_with_another_content_is_never_taken_for_seen(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    life_keep_image(world, ANNA);
    note(world, ANNA, "the one");
    assert_true(world_wait(world, SECONDS(20)));
    link_cut(world, ANNA);
    life_put_image_back(world, ANNA);
    note(world, ANNA, "the other");
    note(world, ANNA, "and one more");
    call(world, ANNA);
    assert_int_equal(held_count(world), 1);
    assert_int_equal(count_notes(world, OFFICE, "the other"), 0);
    assert_true(life_choose(world, replica_no, 0));
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "the one"), 1);
    assert_int_equal(count_notes(world, OFFICE, "the other"), 1);
    assert_int_equal(count_notes(world, OFFICE, "and one more"), 1);
    the_end(world);
}

/* Row 36: a machine's snapshot that is resumed within a session: keys live in memory only, so the
 * second life has to greet anew, and is told apart like any copy. */
static void a_copy_made_within_a_session_is_a_copy_like_any_other(void **state)
{
    struct world *world = world_of(state, 3);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    note(world, ANNA, "on its way");
    world_pass(world, MILLISECONDS(700)); /* sealed, perhaps sent */
    life_clone(world, ANNA, CARLA);
    note(world, CARLA, "by the copy");
    world_pass(world, SECONDS(30));
    note(world, ANNA, "by the original");
    world_pass(world, SECONDS(30));
    assert_int_equal(held_count(world), 1);
    assert_true(life_choose(
        world, replica_no,
        number(world, OFFICE, "SELECT max(copy_no) FROM fs_copy WHERE decision IS NULL")));
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "on its way"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the copy"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the original"), 1);
    the_end(world);
}

/* A copy of a copy that was turned into a device of its own asks with the same token: each gets a
 * number of its own. */
static void three_copies_become_three_devices(void **state)
{
    struct world *world = world_of(state, 4);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    for (int copy = CARLA; copy <= DARIO; copy++) {
        link_cut(world, copy);
        life_clone(world, ANNA, copy);
    }
    call(world, ANNA);
    note(world, ANNA, "by the first");
    note(world, CARLA, "by the second");
    note(world, DARIO, "by the third");
    link_cut(world, ANNA);
    call(world, ANNA);
    call(world, CARLA);
    assert_int_equal(held_count(world), 1);
    assert_true(life_choose(world, replica_no, copy_that_called(world, true)));
    call(world, CARLA);
    world_settle(world); /* the third one has never called before */
    assert_int_equal(number(world, OFFICE, "SELECT count(*) FROM call_note"), 3);
    assert_int_not_equal(replica_of(world, CARLA), replica_of(world, DARIO));
    the_end(world);
}

/* Row 19: the server goes back to its backup while devices are ahead. */
static void a_restored_server_gets_back_what_devices_still_hold(void **state)
{
    struct world *world = world_of(state, 2);
    int64_t id = 0;

    send_both_to_site_1(world);
    note(world, ANNA, "in the backup");
    assert_true(world_wait(world, SECONDS(20)));
    backups_take(world);
    world_pass(world, SECONDS(5));
    note(world, ANNA, "after the backup");
    sql(world, BRUNO, "UPDATE site SET access_note = 'after the backup' WHERE id = 1");
    sql(world, OFFICE,
        "INSERT INTO item (id, code, name, unit_of_measure) SELECT id, 'NEW-1', 'by hand', 'pcs'"
        " FROM new_id");
    id = number(world, OFFICE, "SELECT max(id) FROM item");
    assert_true(world_wait(world, SECONDS(20)));
    assert_int_equal(number(world, ANNA, "SELECT count(*) FROM item WHERE code = 'NEW-1'"), 1);
    backups_restore(world);
    assert_int_equal(count_notes(world, OFFICE, "after the backup"), 0);
    note(world, ANNA, "after the restore");
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "in the backup"), 1);
    assert_int_equal(count_notes(world, OFFICE, "after the backup"), 1);
    assert_int_equal(count_notes(world, OFFICE, "after the restore"), 1);
    expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", "after the backup");
    assert_int_equal(number(world, BRUNO, "SELECT count(*) FROM item WHERE code = 'NEW-1'"), 0);
    assert_true(number(world, OFFICE, "SELECT id FROM new_id") > id); /* given once, never again */
    assert_int_equal(held_count(world), 0);
    the_end(world);
}

/* A number that was given after the backup belongs to a device that is out there. */
static void replica_numbers_are_not_given_again_after_a_restore(void **state)
{
    struct world *world = world_of(state, 3);
    int64_t given = 0;

    send_both_to_site_1(world);
    backups_take(world);
    world_pass(world, SECONDS(5));
    life_enrol_again(world, BRUNO);
    assert_true(world_wait(world, SECONDS(60)));
    given = replica_of(world, BRUNO);
    link_cut(world, BRUNO);
    sql(world, BRUNO, "UPDATE site SET access_note = 'of the forgotten number' WHERE id = 1");
    backups_restore(world);
    assert_true(given > number(world, OFFICE, "SELECT max(replica_no) FROM fs_replica"));
    life_enrol_again(world, CARLA);
    world_pass(world, SECONDS(30));
    assert_true(replica_of(world, CARLA) > given);
    link_restore(world, BRUNO);
    life_enrol_again(world, BRUNO);
    world_settle(world);
    assert_true(replica_of(world, BRUNO) > replica_of(world, CARLA));
    expect(world, ANNA, "SELECT access_note FROM site WHERE id = 1", "of the forgotten number");
    the_end(world);
}

/* A bucket that comes back is read whole, and lacks a row that the server has put into another one.
 * Who wrote the row isn't sent it there: the verdict's own image of it must stay. */
static void a_row_that_the_server_put_elsewhere_outlives_the_old_place(void **state)
{
    static const char LONG_NOTE[] =
        "INSERT INTO call_note (id, call_id, occurred_at, by_id, body) SELECT id, 1, 1, 1,"
        " 'moved' || hex(randomblob(30000)) FROM new_id";
    static const char COUNT[] = "SELECT count(*) FROM call_note WHERE body LIKE 'moved%'";
    struct world *world = world_of(state, 2);

    sql(world, OFFICE,
        "UPDATE activity SET technician_id = 2;"
        "UPDATE activity SET technician_id = 1 WHERE id IN (1, 2, 4)");
    assert_true(world_wait(world, SECONDS(20)));
    link_cut(world, ANNA);
    sql(world, ANNA, LONG_NOTE);
    sql(world, OFFICE, "UPDATE call SET site_id = 2, party_id = 2 WHERE id = 1");
    assign(world, 4, 2); /* site 1 leaves, but for what is unsent */
    world_pass(world, SECONDS(5));
    world->scenario.bytes_per_second = 20000; /* what comes down is quicker than the note */
    link_restore(world, ANNA);
    while (number(world, OFFICE, COUNT) == 0)
        world_pass(world, MILLISECONDS(1));
    link_cut(world, ANNA); /* the answer is lost */
    assign(world, 4, 1);   /* site 1 comes back, without the note */
    world_pass(world, SECONDS(5));
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, ANNA, "SELECT group_concat(id) FROM site", "1,2");
    expect(world, ANNA, COUNT, "1");
    the_end(world);
}

/* Row 39: a clone is held, the server goes back to a time when nobody knew of it. */
static void a_server_restored_while_a_clone_is_held_sees_it_again(void **state)
{
    struct world *world = world_of(state, 3);
    int64_t replica_no = 0;

    send_both_to_site_1(world);
    replica_no = replica_of(world, ANNA);
    backups_take(world);
    world_pass(world, SECONDS(5));
    link_cut(world, CARLA);
    link_cut(world, ANNA);
    life_clone(world, ANNA, CARLA);
    note(world, ANNA, "by the original");
    note(world, CARLA, "by the copy");
    call(world, ANNA);
    call(world, CARLA);
    assert_int_equal(held_count(world), 1);
    backups_restore(world);
    assert_int_equal(held_count(world), 0);
    call(world, ANNA);
    call(world, CARLA);
    assert_int_equal(held_count(world), 1);
    assert_true(life_choose(world, replica_no, copy_that_called(world, true)));
    world_settle(world);
    assert_int_equal(count_notes(world, OFFICE, "by the original"), 1);
    assert_int_equal(count_notes(world, OFFICE, "by the copy"), 1);
    the_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_cloned_disk_is_seen_held_and_both_deliver_all),
        STORY(a_copy_that_recorded_nothing_is_seen_by_its_token),
        STORY(rows_that_get_other_ids_keep_what_refers_to_them),
        STORY(the_copy_that_is_behind_may_live),
        STORY(a_device_put_back_to_an_image_gets_its_work_back_and_delivers_the_new),
        STORY(an_image_with_the_right_token_is_seen_by_its_change_numbers),
        STORY(a_number_with_another_content_is_never_taken_for_seen),
        STORY(a_copy_made_within_a_session_is_a_copy_like_any_other),
        STORY(three_copies_become_three_devices),
        STORY(a_restored_server_gets_back_what_devices_still_hold),
        STORY(replica_numbers_are_not_given_again_after_a_restore),
        STORY(a_row_that_the_server_put_elsewhere_outlives_the_old_place),
        STORY(a_server_restored_while_a_clone_is_held_sees_it_again),
    };

    cmocka_set_test_filter(getenv("STORY")); /* one alone, or all */
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of a line of 9.6 kbit/s with 600 ms each way: what is healthy isn't cut, photos hold up
 * no change, and nothing is said that needn't be. */
#include "tests/sim/story.h"

enum { BYTES_PER_SECOND = 1200, PHOTO_SIZE = 200000 };

static struct world *slow_world(void **state)
{
    struct world *world = world_of(state, 2);

    send_both_to_site_1(world);
    world->scenario.bytes_per_second = BYTES_PER_SECOND;
    world->scenario.latency_us = MILLISECONDS(600);
    return world;
}

static void end_of_slow_world(struct world *world)
{
    world->scenario.bytes_per_second = 1000000;
    world->scenario.latency_us = MILLISECONDS(5);
    the_end(world);
}

/* Seconds until a note of Anna is on the master. */
static int64_t seconds_of_note(struct world *world, int64_t number)
{
    int64_t begin_us = world->now_us;

    write_numbered_note(world, ANNA, number);
    while (count_numbered_notes(world, OFFICE, number) == 0) {
        assert_in_range(world->now_us - begin_us, 0, MINUTES(10));
        world_pass(world, MILLISECONDS(100));
    }
    return (world->now_us - begin_us) / SECONDS(1);
}

/* What is on its way of a photo is never more than some seconds of the line. */
static void a_change_behind_a_photo_waits_for_seconds(void **state)
{
    struct world *world = slow_world(state);
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    uint64_t links = world->link_last;
    size_t sent = world->counts.bytes[TO_SERVER];
    int64_t longest_s = 0;

    take_photo(world, PHOTO_SIZE, hash);
    for (int64_t i = 1; i <= 5; i++) {
        int64_t seconds = 0;

        while (bytes_on_server(world, hash) < (size_t)i * PHOTO_SIZE / 8)
            world_pass(world, MILLISECONDS(100));
        seconds = seconds_of_note(world, i);
        longest_s = seconds > longest_s ? seconds : longest_s;
    }
    assert_in_range(longest_s, 1, 12);
    while (!sim_blobs_is_whole(&world->server.blobs, hash))
        world_pass(world, SECONDS(1));
    sent = world->counts.bytes[TO_SERVER] - sent;
    print_message("             longest %" PRId64 " s, %zu bytes for %d\n", longest_s, sent,
                  PHOTO_SIZE);
    assert_in_range(sent, PHOTO_SIZE, PHOTO_SIZE * 5 / 4);
    assert_int_equal(world->link_last, links); /* nobody hung up on a healthy line */
    end_of_slow_world(world);
}

/* Each cut costs what was on its way: some seconds of the line, not the photo. */
static void a_photo_cut_many_times_goes_on_each_time(void **state)
{
    struct world *world = slow_world(state);
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    size_t sent = world->counts.bytes[TO_SERVER];
    size_t held = 0;

    take_photo(world, PHOTO_SIZE, hash);
    for (size_t i = 1; i <= 6; i++) {
        while (bytes_on_server(world, hash) < i * PHOTO_SIZE / 8)
            world_pass(world, MILLISECONDS(100));
        held = bytes_on_server(world, hash);
        link_cut(world, ANNA);
        world_pass(world, SECONDS(20));
        link_restore(world, ANNA);
        assert_true(bytes_on_server(world, hash) >= held);
    }
    while (!sim_blobs_is_whole(&world->server.blobs, hash))
        world_pass(world, SECONDS(1));
    sent = world->counts.bytes[TO_SERVER] - sent;
    print_message("             %zu bytes for %d\n", sent, PHOTO_SIZE);
    assert_in_range(sent, PHOTO_SIZE, PHOTO_SIZE * 6 / 5);
    end_of_slow_world(world);
}

/* It hears rows for minutes and has nothing to say: both sides know all the same that the other
 * one lives. */
static void minutes_of_rows_come_in_one_session(void **state)
{
    struct world *world = slow_world(state);
    uint64_t links = world->link_last;
    int64_t begin_us = world->now_us;

    sql(world, OFFICE,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
        " INSERT INTO call_note (id, call_id, occurred_at, by_id, body)"
        " SELECT (SELECT id FROM new_id) + i, 1, i, 1, hex(randomblob(100)) FROM n");
    while (sim_integer(world, world->agents[ANNA].database, "SELECT count(*) FROM call_note") <
               2500 ||
           sim_integer(world, world->agents[BRUNO].database, "SELECT count(*) FROM call_note") <
               2500) {
        assert_in_range(world->now_us - begin_us, 0, MINUTES(20));
        world_pass(world, SECONDS(1));
    }
    assert_true(world->now_us - begin_us > MINUTES(3));
    assert_int_equal(world->link_last, links);
    end_of_slow_world(world);
}

/* An hour without work: a ping and a pong each 40 s. */
static void an_idle_hour_costs_little(void **state)
{
    struct world *world = slow_world(state);
    size_t bytes = 0;

    world_pass(world, MINUTES(5));
    bytes = world->counts.bytes[TO_SERVER] + world->counts.bytes[TO_AGENT];
    world_pass(world, HOURS(1));
    bytes = world->counts.bytes[TO_SERVER] + world->counts.bytes[TO_AGENT] - bytes;
    print_message("             %zu bytes an hour and device\n", bytes / 2);
    assert_in_range(bytes / 2, 8000, 11000); /* digests, now and then, included */
    end_of_slow_world(world);
}

/* With a word: only the stories that match it (* and ? stand for anything). */
int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        STORY(a_change_behind_a_photo_waits_for_seconds),
        STORY(a_photo_cut_many_times_goes_on_each_time),
        STORY(minutes_of_rows_come_in_one_session),
        STORY(an_idle_hour_costs_little),
    };

    if (count > 1)
        cmocka_set_test_filter(words[1]);
    cmocka_set_test_filter(getenv("STORY")); /* one alone, or all */
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}

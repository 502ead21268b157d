/* SPDX-License-Identifier: Apache-2.0 */
/* What a session sends by itself: pages as fast as they are read, and receipts for them. */
#include "tests/unit/server/core/session_desk.h"

static void feed_pages_flow_while_the_reader_reads(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->feed_pages = 20;
    desk->page_size = 128 * 1024;
    device = dial(world, 0);
    world_work(world);
    assert_int_equal(desk->feeds, 21);
    assert_non_null(strstr(device->heard, "ROWS PUBLISH "));
}

static void reader_that_does_not_read_stops_its_feed(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];
    size_t feeds = 0;

    desk->feed_pages = 50;
    desk->page_size = 100 * 1024;
    world->is_asleep = true;
    dial(world, 0);
    world_work(world);
    feeds = desk->feeds;
    assert_in_range(feeds, 1, 3);
    assert_true(desk->send_room_least >= 64 * 1024);
    world_pass(world, SECONDS(5));
    world_work(world);
    assert_int_equal(desk->feeds, feeds);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_DRAINED,
                                            .connection = device->connection});
    world_work(world);
    assert_true(desk->feeds > feeds);
    assert_false(device->is_closed);
}

static void frames_beyond_the_window_wait_for_the_reader(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];
    int64_t sent = 0;

    desk->feed_pages = 1;
    desk->page_size = 900 * 1024; /* one body, larger than the window: whole or not at all */
    world->is_asleep = true;
    dial(world, 0);
    world_work(world);
    sent = server_status(world->server).bytes_sent;
    assert_in_range(sent, 900 * 1024, 1000 * 1024);
    send_number(world, device, MESSAGE_PING, 1); /* answered between bodies */
    assert_string_equal(device->heard, "WELCOME ROWS PONG ");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_DRAINED,
                                            .connection = device->connection});
    world_work(world);
    assert_string_equal(device->heard, "WELCOME ROWS PONG PUBLISH ");
}

static void failed_read_is_tried_again(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];

    desk->feed_result = RESULT_WAIT;
    dial(world, 0);
    world_work(world);
    assert_string_equal(device->heard, "WELCOME ");
    desk->feed_result = RESULT_OK;
    world_pass(world, SECONDS(1));
    world_work(world);
    assert_string_equal(device->heard, "WELCOME PUBLISH ");
}

static void session_may_end_while_its_feed_waits_for_another_try(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = &world->devices[0];

    desk->feed_result = RESULT_WAIT;
    dial(world, 0);
    world_work(world);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = device->connection});
    assert_int_equal(server_status(world->server).connection_count, 0);
    dial(world, 0);
    world_work(world);
    world_step(world, (struct server_event){.kind = SERVER_EVENT_STOP});
    assert_string_equal(device->heard, "WELCOME BYE ");
}

static void receipts_are_noted_once_a_minute_and_at_the_end(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = live(world, 0);

    for (int i = 0; i < 10; i++) {
        send_number(world, device, MESSAGE_PUBLISHED, 10 + i);
        world_work(world);
    }
    assert_int_equal(desk->receipts, 2); /* the first one says that WELCOME has arrived */
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = device->connection});
    assert_int_equal(world->job_count, 1);
    assert_int_equal(world->jobs[0]->seq, 19);
    world_work(world);
    assert_int_equal(desk->receipts, 3);
}

/* The device has newer columns since it was here last. Its first receipt says where it stood
 * before, though the same head has been published to it meanwhile. */
static void only_a_receipt_for_what_was_published_now_ends_a_catch_up(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = NULL;

    desk->head = desk->catch_up_seq = 82;
    device = live(world, 0);
    assert_int_equal(desk->feeds, 1);
    send_number(world, device, MESSAGE_PUBLISHED, 82);
    world_work(world);
    assert_int_equal(desk->receipts, 1);
    assert_int_equal(desk->caught_up, 0);
    send_number(world, device, MESSAGE_PUBLISHED, 82);
    world_work(world);
    assert_int_equal(desk->caught_up, 1);
}

/* A repair is seen on the device with the next publication: there is one, though nothing is new. */
static void a_repair_is_published_at_the_same_head(void **state)
{
    struct world *world = *state;
    struct desk *desk = world->context;
    struct device *device = live(world, 0);

    assert_int_equal(desk->feeds, 1);
    device_sends(world, device, MESSAGE_REPAIR, bytes_of_text("x"));
    world_work(world);
    assert_int_equal(desk->feeds, 2);
    assert_true(desk->publishes_again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(feed_pages_flow_while_the_reader_reads),
        CASE(reader_that_does_not_read_stops_its_feed),
        CASE(frames_beyond_the_window_wait_for_the_reader),
        CASE(failed_read_is_tried_again),
        CASE(session_may_end_while_its_feed_waits_for_another_try),
        CASE(receipts_are_noted_once_a_minute_and_at_the_end),
        CASE(only_a_receipt_for_what_was_published_now_ends_a_catch_up),
        CASE(a_repair_is_published_at_the_same_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

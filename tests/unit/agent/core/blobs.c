/* SPDX-License-Identifier: Apache-2.0 */
/* Attachments: after the data, resumable at a byte, both ways. */
#include "tests/unit/agent/core/world.h"

enum { BLOB_SIZE = 200000, WINDOW_FIRST = 4096, WINDOW_MIN = 2048 }; /* agent_inside.h */

/* One blob in memory. */
struct memory_store {
    struct blob_store store;
    uint8_t data[BLOB_SIZE];
    int64_t size;
    bool is_whole;
    bool is_hash_wrong;
};

static enum result memory_status(struct blob_store *store, const uint8_t *hash, int64_t *ret_size,
                                 bool *ret_is_whole, struct problem *problem)
{
    struct memory_store *memory = (struct memory_store *)store;

    (void)hash;
    (void)problem;
    *ret_size = memory->size;
    *ret_is_whole = memory->is_whole;
    return RESULT_OK;
}

static enum result memory_append(struct blob_store *store, const uint8_t *hash, int64_t offset,
                                 struct bytes data, bool is_last, struct problem *problem)
{
    struct memory_store *memory = (struct memory_store *)store;

    (void)hash;
    assert_int_equal(offset, memory->size);
    assert_true(memory->size + (int64_t)data.size <= BLOB_SIZE);
    memcpy(memory->data + memory->size, data.data, data.size);
    memory->size += (int64_t)data.size;
    if (is_last && memory->is_hash_wrong) {
        memory->size = 0;
        return problem_set(problem, RESULT_REFUSED, "wrong hash");
    }
    memory->is_whole = is_last;
    return RESULT_OK;
}

static enum result memory_read(struct blob_store *store, const uint8_t *hash, int64_t offset,
                               uint8_t *data, size_t size_max, size_t *ret_size,
                               struct problem *problem)
{
    struct memory_store *memory = (struct memory_store *)store;
    size_t left = (size_t)(memory->size - offset);

    (void)hash;
    (void)problem;
    *ret_size = left < size_max ? left : size_max;
    memcpy(data, memory->data + offset, *ret_size);
    return RESULT_OK;
}

static const struct blob_store_operations OPERATIONS = {
    .status = memory_status, .append = memory_append, .read = memory_read};
static const char HASH_TEXT[] = "abababababababababababababababababababababababababababababababab";

struct meeting {
    struct world *world;
    struct memory_store memory;
    uint8_t hash[BLOB_HASH_SIZE];
};

static void meet(struct meeting *meeting, void **state, int64_t held)
{
    memset(meeting->hash, 0xab, sizeof meeting->hash);
    meeting->memory.store.operations = &OPERATIONS;
    meeting->memory.size = held;
    for (size_t i = 0; i < BLOB_SIZE; i++)
        meeting->memory.data[i] = (uint8_t)(i * 7);
    meeting->world = world_begin(state);
    agent_destroy(meeting->world->agent);
    meeting->world->blobs = &meeting->memory.store;
    world_agent(meeting->world);
}

/* A file of this device whose row the server has. */
static void attach(struct meeting *meeting)
{
    struct world *world = meeting->world;
    struct message_push push;

    meeting->memory.is_whole = true;
    meeting->memory.size = BLOB_SIZE;
    sql(world->kit,
        "INSERT INTO attachment(id, article_id, name, mime_type, size_n, content_hash, created_at,"
        " by_id) VALUES ((SELECT id FROM new_id), 1, 'a.jpg', 'image/jpeg', %d, '%s', 1, 12)",
        (int)BLOB_SIZE, HASH_TEXT);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_LOCAL_CHANGE});
    push = world_push(world);
    assert_int_equal(world_count(world, MESSAGE_BLOB_HAVE), 0); /* not before the row's verdict */
    world_answer(world, &push);
}

static struct message_blob last_blob(struct meeting *meeting, uint8_t type)
{
    struct message_blob blob = {0};

    OK(meeting->world, message_blob_decode(world_last(meeting->world, type), &meeting->world->arena,
                                           &blob, &meeting->world->problem));
    return blob;
}

static void want(struct meeting *meeting, int64_t offset)
{
    struct world *world = meeting->world;

    SAY(world, blob, MESSAGE_BLOB_WANT,
        {.hash = bytes_of(meeting->hash, BLOB_HASH_SIZE), .offset = offset});
}

static void give(struct meeting *meeting, int64_t offset, size_t size)
{
    struct world *world = meeting->world;
    uint8_t data[LIMIT_BLOB_PART_SIZE];

    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(((size_t)offset + i) * 7);
    SAY(world, blob, MESSAGE_BLOB_PART,
        {.hash = bytes_of(meeting->hash, BLOB_HASH_SIZE),
         .offset = offset,
         .size = BLOB_SIZE,
         .data = bytes_of(data, size)});
}

/* The server has got all that was sent before the last ping, so long after it. */
static void answer_ping(struct meeting *meeting, int64_t delay_us)
{
    struct world *world = meeting->world;
    struct message_ping ping = {0};

    OK(world,
       message_ping_decode(world_last(world, MESSAGE_PING), &world->arena, &ping, &world->problem));
    world_pass(world, delay_us);
    SAY(world, ping, MESSAGE_PONG, {.nonce = ping.nonce});
}

static int64_t end_of_parts(struct meeting *meeting)
{
    struct message_blob blob = last_blob(meeting, MESSAGE_BLOB_PART);

    return blob.offset + (int64_t)blob.data.size;
}

static void a_file_goes_up_after_its_row_from_where_the_server_stands(void **state)
{
    static struct meeting meeting;
    struct message_blob blob;

    meeting = (struct meeting){0};
    meet(&meeting, state, 0);
    world_go_live(meeting.world);
    attach(&meeting);
    blob = last_blob(&meeting, MESSAGE_BLOB_HAVE);
    assert_int_equal(blob.size, BLOB_SIZE);
    assert_memory_equal(blob.hash.data, meeting.hash, BLOB_HASH_SIZE);
    want(&meeting, 100000); /* it has the beginning from another day */
    for (int i = 0; i < 20 && end_of_parts(&meeting) < BLOB_SIZE; i++)
        answer_ping(&meeting, MILLISECONDS(1));
    assert_int_equal(end_of_parts(&meeting), BLOB_SIZE);
    blob = last_blob(&meeting, MESSAGE_BLOB_PART);
    assert_int_equal(blob.data.data[0], (uint8_t)(blob.offset * 7));
    assert_in_range(world_count(meeting.world, MESSAGE_BLOB_PART), 4, 10); /* ever larger ones */
    assert_string_equal(rows(meeting.world->kit, "SELECT count(*) FROM fs_blob"), "0");
    SAY(meeting.world, blob, MESSAGE_BLOB_HAVE,
        {.hash = bytes_of(meeting.hash, BLOB_HASH_SIZE), .size = BLOB_SIZE});
    assert_string_equal(rows(meeting.world->kit, "SELECT state FROM fs_blob"), "1");
    world_pass(meeting.world, SECONDS(20));
    assert_int_equal(world_count(meeting.world, MESSAGE_BLOB_HAVE), 1);
    world_end(meeting.world);
}

static void parts_wait_for_those_before_and_begin_again_where_they_are_wanted(void **state)
{
    static struct meeting meeting;

    meeting = (struct meeting){0};
    meet(&meeting, state, 0);
    world_go_live(meeting.world);
    attach(&meeting);
    want(&meeting, 0);
    assert_int_equal(end_of_parts(&meeting), WINDOW_FIRST);
    world_step(meeting.world, (struct agent_event){.kind = AGENT_EVENT_DRAINED});
    assert_int_equal(end_of_parts(&meeting), WINDOW_FIRST); /* the kernel has much room */
    want(&meeting, 2048); /* the second part was lost on the way */
    assert_int_equal(end_of_parts(&meeting), 2048 + WINDOW_FIRST);
    answer_ping(&meeting, MILLISECONDS(1));
    assert_true(end_of_parts(&meeting) > 2048 + 2 * WINDOW_FIRST);
    world_end(meeting.world);
}

/* A line of 9.6 kbit/s: what is on its way holds up the next change for some seconds at most. */
static void a_slow_line_gets_small_parts(void **state)
{
    static struct meeting meeting;
    int64_t held = 0;

    meeting = (struct meeting){0};
    meet(&meeting, state, 0);
    world_go_live(meeting.world);
    attach(&meeting);
    want(&meeting, 0);
    answer_ping(&meeting, SECONDS(2)); /* so long takes its way alone */
    for (int i = 0; i < 8; i++) {
        held = end_of_parts(&meeting);
        answer_ping(&meeting, SECONDS(12)); /* answers both parts */
    }
    assert_int_equal(end_of_parts(&meeting) - held, WINDOW_MIN);
    assert_int_equal(agent_status(meeting.world->agent).state, AGENT_LIVE);
    world_end(meeting.world);
}

static void an_offer_that_nobody_answers_is_made_again(void **state)
{
    static struct meeting meeting;

    meeting = (struct meeting){0};
    meet(&meeting, state, 0);
    world_go_live(meeting.world);
    attach(&meeting);
    world_pass(meeting.world, SECONDS(31));
    assert_int_equal(world_count(meeting.world, MESSAGE_BLOB_HAVE), 2);
    SAY(meeting.world, text, MESSAGE_ERROR, {.code = bytes_of_text("BLOB")});
    assert_int_equal(agent_status(meeting.world->agent).state, AGENT_LIVE);
    world_pass(meeting.world, SECONDS(25));
    assert_int_equal(world_count(meeting.world, MESSAGE_BLOB_HAVE), 2); /* refused: it pauses */
    world_end(meeting.world);
}

/* The row came from the server, and somebody here wants to see the file. */
static void ask_for_rows(struct meeting *meeting)
{
    struct world *world = meeting->world;

    sql(world->kit,
        "BEGIN; INSERT INTO fs_flag(k) VALUES (1);"
        "INSERT INTO attachment(id, article_id, name, mime_type, size_n, content_hash, created_at,"
        " by_id) VALUES (5, 1, 'a.jpg', 'image/jpeg', %d, '%s', 1, 12);"
        "DELETE FROM fs_flag; INSERT INTO fs_blob(hash, state) VALUES (X'%s', 3); COMMIT",
        (int)BLOB_SIZE, HASH_TEXT, HASH_TEXT);
    world_go_live(world);
}

static void ask_for(struct meeting *meeting)
{
    ask_for_rows(meeting);
    assert_int_equal(world_count(meeting->world, MESSAGE_BLOB_WANT), 1);
}

static void a_wanted_file_comes_down_from_the_byte_it_stopped_at(void **state)
{
    static struct meeting meeting;

    meeting = (struct meeting){0};
    meet(&meeting, state, 1000); /* held from another day */
    ask_for(&meeting);
    assert_int_equal(last_blob(&meeting, MESSAGE_BLOB_WANT).offset, 1000);
    assert_int_equal(last_blob(&meeting, MESSAGE_BLOB_WANT).size, 1000 + WINDOW_FIRST);
    give(&meeting, 1000, 3000);
    give(&meeting, 1000, 3000); /* twice: ignored */
    assert_int_equal(meeting.memory.size, 4000);
    assert_int_equal(world_count(meeting.world, MESSAGE_BLOB_WANT), 1); /* some are missing */
    world_pass(meeting.world, MILLISECONDS(30100)); /* nothing more comes: asked again */
    assert_int_equal(last_blob(&meeting, MESSAGE_BLOB_WANT).offset, 4000);
    give(&meeting, 4000, 57000); /* within a second: more at a time */
    assert_int_equal(last_blob(&meeting, MESSAGE_BLOB_WANT).size, 61000 + 2 * WINDOW_FIRST);
    give(&meeting, 61000, 60000);
    give(&meeting, 121000, 60000);
    give(&meeting, 181000, BLOB_SIZE - 181000);
    assert_true(meeting.memory.is_whole);
    assert_string_equal(rows(meeting.world->kit, "SELECT state FROM fs_blob"), "2");
    world_end(meeting.world);
}

/* Killed between the last byte and the check of the hash. */
static void a_file_whose_last_byte_came_just_before_a_crash_is_finished(void **state)
{
    static struct meeting meeting;

    meeting = (struct meeting){0};
    meet(&meeting, state, BLOB_SIZE);
    ask_for_rows(&meeting);
    assert_int_equal(world_count(meeting.world, MESSAGE_BLOB_WANT), 0);
    assert_true(meeting.memory.is_whole);
    assert_string_equal(rows(meeting.world->kit, "SELECT state FROM fs_blob"), "2");
    world_end(meeting.world);
}

static void a_file_with_a_wrong_hash_or_that_nobody_has_is_marked(void **state)
{
    static struct meeting meeting;

    meeting = (struct meeting){0};
    meet(&meeting, state, 140000);
    meeting.memory.is_hash_wrong = true;
    ask_for(&meeting);
    give(&meeting, 140000, 60000);
    assert_string_equal(rows(meeting.world->kit, "SELECT state FROM fs_blob"), "3");
    assert_int_equal(last_blob(&meeting, MESSAGE_BLOB_WANT).offset, 0); /* all of it, once */
    for (int64_t offset = 0; offset < BLOB_SIZE; offset += 50000)
        give(&meeting, offset, 50000);
    assert_string_equal(rows(meeting.world->kit, "SELECT state FROM fs_blob"), "4");
    sql(meeting.world->kit, "UPDATE fs_blob SET state = 3");
    world_step(meeting.world, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
    SAY(meeting.world, blob, MESSAGE_BLOB_HAVE,
        {.hash = bytes_of(meeting.hash, BLOB_HASH_SIZE), .size = 0});
    assert_string_equal(rows(meeting.world->kit, "SELECT state FROM fs_blob"), "4");
    world_end(meeting.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_goes_up_after_its_row_from_where_the_server_stands),
        TEST(parts_wait_for_those_before_and_begin_again_where_they_are_wanted),
        TEST(a_slow_line_gets_small_parts),
        TEST(an_offer_that_nobody_answers_is_made_again),
        TEST(a_wanted_file_comes_down_from_the_byte_it_stopped_at),
        TEST(a_file_whose_last_byte_came_just_before_a_crash_is_finished),
        TEST(a_file_with_a_wrong_hash_or_that_nobody_has_is_marked),
    };

    return RUN(tests);
}

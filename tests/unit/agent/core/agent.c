/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/core/world.h"

static enum agent_state state_of(const struct world *world)
{
    return agent_status(world->agent).state;
}

/* ---- sessions ---- */

static void a_session_begins_where_the_replica_stands(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    assert_int_equal(world->kind, CHANNEL_SESSION);
    assert_int_equal(world->resume.published_seq, 0);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "cut"});
    world_pass(world, SECONDS(10));
    world_connect(world);
    assert_int_equal(world->resume.published_seq, 10);
    assert_memory_equal(world->resume.resume_token.data, "token-token-token-token-tok-0001",
                        TOKEN_SIZE);
    assert_memory_equal(world->resume.epoch.data, "epoch-epoch-0001", EPOCH_SIZE);
    assert_false(agent_status(world->agent).is_idle);
    world_welcome(world, 10);
    assert_true(agent_status(world->agent).is_idle); /* nothing new: all is delivered already */
    world_end(world);
}

static void an_enrolment_gives_keys_and_goes_on_as_a_session(void **state)
{
    struct world *world = world_begin(state);
    struct message_enrol enrol = {0};

    agent_destroy(world->agent);
    kit_remove(world->kit);
    kit_reopen(world->kit); /* a file that knows nothing yet */
    world->is_enrolment = true;
    world_agent(world);
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_connect(world);
    assert_int_equal(world->kind, CHANNEL_ENROL);
    OK(world, message_enrol_decode(world->greeting, &world->arena, &enrol, &world->problem));
    assert_int_equal(enrol.device_name.size, 5);
    SAY(world, enrolled, MESSAGE_ENROLLED,
        {.replica_no = REPLICA_NO,
         .device_id = 70,
         .incarnation = 1,
         .user_id = 12,
         .user_login = bytes_of_text("anna"),
         .series = bytes_of_text("T07"),
         .psk = bytes_of_text("ffffffffffffffffffffffffffffffff"),
         .resume_token = bytes_of_text("token-token-token-token-token-00"),
         .epoch = bytes_of_text("epoch-epoch-0001"),
         .digest_key = bytes_of_text("0123456789abcdef"),
         .schema_version = 1});
    assert_int_equal(world->enrolled, 1);
    assert_memory_equal(world->psk, "ffffffffffffffffffffffffffffffff", PSK_SIZE);
    world_pass(world, SECONDS(1));
    world_connect(world);
    assert_int_equal(world->kind, CHANNEL_SESSION);
    world_welcome(world, 10);
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

static void an_agent_without_keys_stays_unenrolled(void **state)
{
    struct world *world = world_begin(state);
    struct agent_options options = {.replica = world->kit->replica,
                                    .static_secret = world->device_keys.private_key,
                                    .root_public_key = world->root.public_key};
    struct agent *agent = NULL;
    struct agent_event start = {.kind = AGENT_EVENT_START};
    struct agent_effects effects = {0};

    OK(world, agent_create(&options, &agent, &world->problem));
    OK(world, agent_step(agent, &start, &effects, &world->problem));
    assert_int_equal(agent_status(agent).state, AGENT_UNENROLLED);
    assert_int_equal(effects.count, 0);
    assert_true(agent_deadline(agent).us == MONO_NEVER.us);
    agent_destroy(agent);
    world_end(world);
}

static void a_key_that_the_root_did_not_sign_gets_no_word(void **state)
{
    struct world *world = world_begin(state);

    world->has_forged_key = true;
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_connect(world);
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    assert_int_equal(agent_status(world->agent).bytes_sent, 0);
    assert_int_equal(world->closes, 1);
    world_end(world);
}

static void an_older_server_key_is_refused_once_a_newer_one_was_proven(void **state)
{
    struct world *world = world_begin(state);

    world->key_serial = 4; /* below what the key file says */
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_connect(world);
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    assert_int_equal(agent_status(world->agent).key_serial, 5);
    world->key_serial = 7;
    world_pass(world, SECONDS(10));
    world_connect(world);
    assert_int_equal(agent_status(world->agent).key_serial, 7);
    world_welcome(world, 0);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "cut"});
    world->key_serial = 6;
    world_pass(world, SECONDS(10));
    world_connect(world);
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    world_end(world);
}

static void garbage_ends_a_conversation_in_every_state_and_nothing_else(void **state)
{
    uint8_t noise[64];

    memset(noise, 0xa5, sizeof noise);
    for (int when = 0; when < 4; when++) {
        struct world *world = world_begin(state);

        world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
        if (when == 0)
            world->has_forged_key = true; /* HELLO itself */
        world_connect(world);
        if (when >= 2)
            world_welcome(world, 10);
        if (when >= 1)
            world_receive(world, bytes_of(noise, when == 3 ? 3 : sizeof noise));
        assert_int_equal(state_of(world), AGENT_OFFLINE);
        assert_int_equal(world->closes, 1);
        assert_int_equal(world->revoked, 0);
        assert_string_equal(rows(world->kit, "SELECT count(*) FROM memo"), "0");
        world_pass(world, SECONDS(10));
        world->has_forged_key = false;
        world_connect(world); /* and it comes back */
        world_welcome(world, 10);
        assert_int_equal(state_of(world), AGENT_LIVE);
        world_end(world);
    }
}

static void a_message_out_of_place_or_unknown_ends_the_conversation(void **state)
{
    static const uint8_t TYPES[] = {MESSAGE_WELCOME, MESSAGE_ENROLLED, MESSAGE_PUSH, 100, 0};

    for (size_t i = 0; i < sizeof TYPES; i++) {
        struct world *world = world_begin(state);
        struct buffer body;

        world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
        world_connect(world);
        world_welcome(world, 10);
        buffer_init(&body, 64);
        OK(world, buffer_append(&body, "\x90", 1, &world->problem));
        world_say(world, TYPES[i], &body);
        assert_int_equal(state_of(world), AGENT_OFFLINE);
        world_end(world);
    }
}

static void an_optional_message_that_nobody_knows_is_skipped(void **state)
{
    struct world *world = world_begin(state);
    struct buffer body;

    world_go_live(world);
    buffer_init(&body, 64);
    OK(world, buffer_append(&body, "\x90", 1, &world->problem));
    world_say(world, MESSAGE_OPTIONAL_BIT | 9, &body);
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

/* I4: what left is gone with the publication, not before. */
static void a_row_that_left_is_gone_at_the_publication(void **state)
{
    struct world *world = world_begin(state);
    struct gone gone = {.kind = GONE_LEFT, .table_no = MEMO, .row_id = SERVER(1), .seq = 11};

    world_go_live(world);
    SAY(world, gone, MESSAGE_GONE,
        {.bucket = SITE(1), .seq_after = 10, .seq_to = 11, .count = 1, .rows = &gone});
    assert_string_equal(rows(world->kit, "SELECT count(*) FROM memo"), "1");
    world_publish(world, 11);
    assert_string_equal(rows(world->kit, "SELECT count(*) FROM memo"), "0");
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

/* Another program may drop or alter what captures its changes: an hour later they are captured
 * again, and somebody is told. */
static void capture_that_was_lost_is_put_back_within_an_hour(void **state)
{
    static const char COUNT[] =
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'memo'";
    struct world *world = world_begin(state);
    const char *before = NULL;

    world_go_live(world);
    before = rows(world->kit, COUNT);
    sql(world->kit, "DROP TRIGGER %s",
        rows(world->kit, "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name ="
                         " 'memo' ORDER BY name LIMIT 1"));
    assert_string_not_equal(rows(world->kit, COUNT), before);
    for (int seconds = 0; seconds < 3700; seconds += 50) {
        world_pass(world, SECONDS(50));
        SAY(world, ping, MESSAGE_PING, {.nonce = seconds}); /* it isn't silent */
        world->heard_count = 0;
    }
    assert_int_equal(state_of(world), AGENT_LIVE);
    assert_string_equal(rows(world->kit, COUNT), before);
    assert_int_equal(world->alarms, 1);
    assert_non_null(strstr(world->alarm, "capture triggers"));
    world_end(world);
}

/* ---- backoff ---- */

static void tries_spread_between_one_second_and_five_minutes(void **state)
{
    struct world *world = world_begin(state);
    int64_t longest = 0;

    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    for (int i = 0; i < 60; i++) {
        int64_t delay;

        assert_true(world->is_connecting);
        world->is_connecting = false;
        world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "refused"});
        delay = agent_status(world->agent).next_try.us - world->now.us;
        assert_in_range(delay, SECONDS(1), i == 0 ? SECONDS(2) : MINUTES(5));
        longest = delay > longest ? delay : longest;
        world_pass(world, delay);
    }
    assert_true(longest > MINUTES(2)); /* 60 draws of up to 5 min: 2 or less is 1 in 10^20 */
    assert_int_equal(world->connects, 61);
    world_end(world);
}

static void a_person_need_not_wait_for_the_next_try(void **state)
{
    struct world *world = world_begin(state);

    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world->is_connecting = false;
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "refused"});
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
    assert_true(world->is_connecting);
    world_end(world);
}

static void bye_and_a_busy_server_say_when_to_come_back(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    SAY(world, text, MESSAGE_BYE, {.retry_after_ms = 90000, .code = bytes_of_text("restart")});
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    assert_in_range(agent_status(world->agent).next_try.us - world->now.us, SECONDS(90),
                    SECONDS(113));
    world_pass(world, SECONDS(89));
    assert_false(world->is_connecting);
    world_pass(world, SECONDS(25));
    assert_true(world->is_connecting);
    world->retry_after_ms = 60000;
    world_connect(world);
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    assert_true(agent_status(world->agent).next_try.us - world->now.us >= SECONDS(60));
    world_end(world);
}

static void a_dial_or_handshake_that_hangs_is_given_up(void **state)
{
    struct world *world = world_begin(state);

    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_pass(world, SECONDS(29));
    assert_int_equal(state_of(world), AGENT_DIALLING);
    world_pass(world, SECONDS(1));
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    world_pass(world, SECONDS(10));
    world_connect(world);
    world_pass(world, SECONDS(LIMIT_HANDSHAKE_SECONDS - 1));
    assert_int_equal(state_of(world), AGENT_GREETING);
    world_pass(world, SECONDS(2));
    assert_int_not_equal(state_of(world), AGENT_GREETING);
    world_end(world);
}

/* ---- up ---- */

static void a_local_change_goes_up_at_once_and_its_verdict_ends_it(void **state)
{
    struct world *world = world_begin(state);
    struct message_push push;

    world_go_live(world);
    assert_true(agent_status(world->agent).is_idle);
    world_write(world, "mine");
    push = world_push(world);
    assert_int_equal(push.seal_no, 1);
    assert_true(push.is_last_part);
    assert_int_equal(push.change_count, 1);
    assert_int_equal(push.changes[0].base_seq, 10);
    assert_false(agent_status(world->agent).is_idle);
    world_answer(world, &push);
    assert_true(agent_status(world->agent).is_idle);
    assert_string_equal(rows(world->kit, "SELECT count(*) FROM fs_status"), "0");
    world_end(world);
}

/* R7: one seal on its way, what is written meanwhile waits for the next. */
static void edits_during_a_seal_wait_for_the_next_one(void **state)
{
    struct world *world = world_begin(state);
    struct message_push first;
    struct message_push second;

    world_go_live(world);
    world_write(world, "a");
    first = world_push(world);
    world_write(world, "b");
    world_write(world, "c");
    assert_int_equal(world_count(world, MESSAGE_PUSH), 1);
    world_answer(world, &first);
    second = world_push(world);
    assert_int_equal(second.seal_no, 2);
    assert_int_equal(second.change_count, 2);
    assert_memory_equal(second.previous_digest.data, first.digest.data, SEAL_DIGEST_SIZE);
    world_end(world);
}

static void a_seal_without_verdict_is_sent_again_unchanged(void **state)
{
    struct world *world = world_begin(state);
    struct bytes sent;

    world_go_live(world);
    world_write(world, "a");
    sent = world_last(world, MESSAGE_PUSH);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "cut"});
    world->is_connected = false;
    world_write(world, "b"); /* offline: for the next seal */
    world_pass(world, SECONDS(10));
    world_connect(world);
    world_welcome(world, 10);
    assert_int_equal(world_count(world, MESSAGE_PUSH), 2);
    assert_true(bytes_equal(sent, world_last(world, MESSAGE_PUSH)));
    world_end(world);
}

static void a_busy_server_gets_the_seal_again_later(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    world_write(world, "a");
    SAY(world, text, MESSAGE_ERROR, {.retry_after_ms = 5000, .code = bytes_of_text("busy")});
    world_pass(world, SECONDS(4));
    assert_int_equal(world_count(world, MESSAGE_PUSH), 1);
    world_pass(world, SECONDS(6));
    assert_int_equal(world_count(world, MESSAGE_PUSH), 2);
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

/* R6: another program holds the file when the verdict comes; what came after it waits behind it. */
static void a_verdict_that_meets_a_locked_replica_is_taken_up_soon(void **state)
{
    struct world *world = world_begin(state);
    struct message_push push;
    sqlite3 *other = NULL;

    world_go_live(world);
    world_write(world, "a");
    push = world_push(world);
    assert_int_equal(sqlite3_open(world->kit->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    world_answer(world, &push);
    world_rows(world, 1, 10, 21, "of a colleague");
    world_publish(world, 21);
    world_pass(world, SECONDS(2));
    assert_false(agent_status(world->agent).is_idle);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    world_pass(world, SECONDS(2));
    assert_true(agent_status(world->agent).is_idle);
    assert_string_equal(rows(world->kit, "SELECT unacknowledged, published_seq FROM fs_sync"),
                        "0|21");
    world_end(world);
}

/* The first rows of a new device, while another program holds the file for a moment. */
static void a_snapshot_of_several_buckets_is_taken_part_by_part(void **state)
{
    struct world *world = world_begin(state);
    int64_t buckets[] = {SITE(1), SITE(2)};
    struct row_image images[] = {memo(world->kit, SERVER(1), 10, 1, "first", "body"),
                                 memo(world->kit, SERVER(2), 11, 2, "second", "body")};
    struct message_rows parts[] = {
        {.bucket = SITE(1), .seq_to = 10, .is_complete = true, .row_count = 1, .rows = &images[0]},
        {.bucket = SITE(2), .seq_to = 11, .is_complete = true, .row_count = 1, .rows = &images[1]}};
    sqlite3 *other = NULL;

    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_connect(world);
    world_welcome(world, 11);
    assert_int_equal(sqlite3_open(world->kit->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    SAY_BY_CATALOG(world, snapshot, MESSAGE_SNAPSHOT, {.part_count = 2, .parts = parts});
    SAY(world, subscribed, MESSAGE_SUBSCRIBED,
        {.is_whole = true, .added_count = 2, .added = buckets});
    world_publish(world, 11);
    world_pass(world, SECONDS(2));
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    world_pass(world, SECONDS(2));
    assert_string_equal(rows(world->kit, "SELECT title FROM memo ORDER BY id"), "first;second");
    assert_string_equal(rows(world->kit, "SELECT published_seq FROM fs_sync"), "11");
    world_end(world);
}

static void a_verdict_that_does_not_come_is_asked_for_again(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    world_write(world, "a");
    for (int i = 0; i < 31; i++) { /* the link is well, only the verdict is missing */
        world_pass(world, SECONDS(10));
        SAY(world, ping, MESSAGE_PONG, {.nonce = 1});
    }
    assert_int_equal(world_count(world, MESSAGE_PUSH), 2);
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

static void a_verdict_for_a_seal_that_is_not_on_its_way_is_refused(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    SAY_BY_CATALOG(world, verdict, MESSAGE_VERDICT, {.seal_no = 3, .lcn_high = 9});
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    world_end(world);
}

static void a_large_seal_goes_in_parts_within_the_window(void **state)
{
    struct world *world = world_begin(state);
    struct message_push push;
    size_t before;

    world_go_live(world);
    sql(world->kit, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)"
                    " INSERT INTO memo(id, site_id, body) SELECT (SELECT id FROM new_id) + i, 1,"
                    " hex(randomblob(400)) FROM n");
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_LOCAL_CHANGE});
    before = world_count(world, MESSAGE_PUSH);
    assert_in_range(before, 1, 8);
    for (int i = 0; i < 50 && !world_push(world).is_last_part; i++)
        world_step(world, (struct agent_event){.kind = AGENT_EVENT_DRAINED});
    push = world_push(world);
    assert_true(push.is_last_part);
    assert_true(world_count(world, MESSAGE_PUSH) > before);
    assert_int_equal(push.part_no + 1, world_count(world, MESSAGE_PUSH));
    world_answer(world, &push);
    assert_true(agent_status(world->agent).is_idle);
    world_end(world);
}

/* ---- down ---- */

/* R1: between two publications nothing changes for local readers. */
static void rows_are_visible_at_publish_and_not_before(void **state)
{
    struct world *world = world_begin(state);
    struct message_published receipt = {0};

    world_go_live(world);
    world_pass(world, SECONDS(2)); /* at once for the new resume token, then for the rows */
    assert_int_equal(world_count(world, MESSAGE_PUBLISHED), 2);
    world_rows(world, 2, 10, 12, "two");
    assert_string_equal(rows(world->kit, "SELECT title FROM memo ORDER BY id"), "one");
    assert_false(agent_status(world->agent).is_idle);
    world_publish(world, 12);
    assert_string_equal(rows(world->kit, "SELECT title FROM memo ORDER BY id"), "one;two");
    assert_int_equal(world->published, 2);
    world_rows(world, 3, 12, 13, "three");
    world_publish(world, 13);
    assert_int_equal(world_count(world, MESSAGE_PUBLISHED), 2);
    world_pass(world, SECONDS(2)); /* lazily, one for both */
    assert_int_equal(world_count(world, MESSAGE_PUBLISHED), 3);
    OK(world, message_published_decode(world_last(world, MESSAGE_PUBLISHED), &world->arena,
                                       &receipt, &world->problem));
    assert_int_equal(receipt.seq, 13);
    world_end(world);
}

/* R5 */
static void neither_direction_waits_for_the_other(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    world_rows(world, 2, 10, 12, "two"); /* staged, its PUBLISH is late */
    world_write(world, "mine");
    assert_int_equal(world_count(world, MESSAGE_PUSH), 1);
    world_publish(world, 12); /* the verdict is late */
    assert_string_equal(rows(world->kit, "SELECT title FROM memo ORDER BY id >> 33, id"),
                        "one;two;mine");
    world_end(world);
}

static void frames_wait_while_another_program_locks_the_replica(void **state)
{
    struct world *world = world_begin(state);
    sqlite3 *other = NULL;

    world_go_live(world);
    assert_int_equal(sqlite3_open(world->kit->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    world_rows(world, 2, 10, 12, "two");
    world_publish(world, 12);
    SAY(world, ping, MESSAGE_PING, {.nonce = 77}); /* answered all the same */
    assert_int_equal(world_count(world, MESSAGE_PONG), 1);
    world_rows(world, 3, 12, 13, "three");
    world_publish(world, 13);
    world_pass(world, SECONDS(1));
    assert_int_equal(state_of(world), AGENT_LIVE);
    assert_false(agent_status(world->agent).is_idle);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(other);
    world_rows(world, 4, 13, 14, "four"); /* the lock is gone, but these don't overtake */
    world_publish(world, 14);
    assert_string_equal(rows(world->kit, "SELECT title FROM memo ORDER BY id"), "one");
    world_pass(world, MILLISECONDS(100));
    assert_string_equal(rows(world->kit, "SELECT title FROM memo ORDER BY id"),
                        "one;two;three;four");
    assert_true(agent_status(world->agent).is_idle);
    world_end(world);
}

/* A cut after any message, then a server that sends everything again: the same end. */
static void a_cut_at_any_message_is_healed_by_the_next_session(void **state)
{
    for (size_t cut = 0; cut < 8; cut++) {
        struct world *world = world_begin(state);
        const char *titles;

        kit_teardown(state);
        kit_setup(state);
        agent_destroy(world->agent);
        world_agent(world);
        world->cut_after = cut;
        world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
        world_connect(world);
        if (world->is_connected)
            world_welcome(world, 10);
        world_subscribe(world);
        world_rows(world, 1, 0, 10, "one");
        world_publish(world, 10);
        world_write(world, "mine");
        if (world->is_connected && world_count(world, MESSAGE_PUSH) > 0) {
            struct message_push push = world_push(world);

            world_answer(world, &push);
        }
        if (world->is_connected) {
            world->is_connected = false;
            world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "cut"});
        }
        world->cut_after = SIZE_MAX;
        world_pass(world, SECONDS(20));
        world_connect(world);
        world_welcome(world, 10);
        world_subscribe(world);
        if (world->resume.published_seq == 0)
            world_rows(world, 1, 0, 10, "one");
        world_publish(world, 10);
        if (rows(world->kit, "SELECT 1 FROM fs_seal WHERE verdict_at IS NULL")[0] != '\0') {
            struct message_push push = world_push(world);

            world_answer(world, &push);
        }
        titles = rows(world->kit, "SELECT title FROM memo ORDER BY id >> 33, id");
        assert_string_equal(titles, "one;mine");
        assert_true(agent_status(world->agent).is_idle);
        world_end(world);
    }
}

/* ---- the end ---- */

static void only_an_authenticated_word_revokes(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "4401 revoked"});
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    assert_int_equal(world->revoked, 0);
    world->is_connected = false;
    world_pass(world, SECONDS(10));
    world_connect(world);
    SAY(world, text, MESSAGE_REVOKED,
        {.wipe = true, .code = bytes_of_text("lost"), .text = bytes_of_text("reported lost")});
    assert_int_equal(state_of(world), AGENT_REVOKED);
    assert_int_equal(world->revoked, 1);
    assert_true(world->wipe);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_LOCAL_CHANGE});
    world_pass(world, HOURS(24));
    assert_int_equal(world->connects, 2);
    world_end(world);
}

/* A copy of a disk: the edge goes on with other keys, this agent has nothing more to do. */
static void renew_ends_this_agent_and_hands_the_code_over(void **state)
{
    struct world *world = world_begin(state);
    uint8_t token[RENEW_TOKEN_ID_SIZE + PSK_SIZE];

    memset(token, 0x5a, sizeof token);
    token[0] = 1;
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_connect(world);
    SAY(world, renew, MESSAGE_RENEW,
        {.token_id = bytes_of(token, RENEW_TOKEN_ID_SIZE),
         .token_secret = bytes_of(token + RENEW_TOKEN_ID_SIZE, PSK_SIZE),
         .reason = bytes_of_text("another copy goes on")});
    assert_int_equal(world->renewals, 1);
    assert_true(bytes_equal(world->code, bytes_of(token, sizeof token)));
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    assert_false(world->is_connected);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
    world_pass(world, HOURS(24));
    assert_int_equal(world->connects, 1);
    world_end(world);
}

static void silence_is_met_with_a_ping_and_then_with_an_end(void **state)
{
    struct world *world = world_begin(state);
    struct message_ping ping = {0};

    world_go_live(world);
    world_pass(world, SECONDS(LIMIT_PING_SECONDS_MIN - 2));
    assert_int_equal(world_count(world, MESSAGE_PING), 0);
    world_pass(world, SECONDS(LIMIT_PING_SECONDS_MAX - LIMIT_PING_SECONDS_MIN + 4));
    assert_int_equal(world_count(world, MESSAGE_PING), 1);
    OK(world,
       message_ping_decode(world_last(world, MESSAGE_PING), &world->arena, &ping, &world->problem));
    SAY(world, ping, MESSAGE_PONG, {.nonce = ping.nonce});
    world_pass(world, SECONDS(20));
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_pass(world, SECONDS(41));
    assert_int_not_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

/* On a slow line the server's own pings may lie for minutes behind rows. */
static void a_device_that_only_hears_says_that_it_lives(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    for (int i = 0; i < 12; i++) {
        world_pass(world, SECONDS(10));
        SAY(world, ping, MESSAGE_PONG, {.nonce = 0});
    }
    assert_in_range(world_count(world, MESSAGE_PING), 2, 3);
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

static void stop_says_bye_and_does_not_come_back(void **state)
{
    struct world *world = world_begin(state);

    world_go_live(world);
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_STOP});
    assert_int_equal(world_count(world, MESSAGE_BYE), 1);
    assert_int_equal(state_of(world), AGENT_OFFLINE);
    world_pass(world, HOURS(1));
    assert_int_equal(world->connects, 1);
    world_end(world);
}

/* ---- checks ---- */

static void digests_are_sent_in_idle_time_and_repairs_are_limited(void **state)
{
    struct world *world = world_begin(state);
    uint8_t parts[REPAIR_PARTS * ROW_DIGEST_SIZE];
    struct differing_bucket differing = {.bucket = SITE(1), .parts = parts};
    struct message_digest digest = {0};

    memset(parts, 7, sizeof parts);
    world_go_live(world);
    for (int i = 0; i < 40; i++) { /* keeps the link awake */
        world_pass(world, SECONDS(10));
        SAY(world, ping, MESSAGE_PONG, {.nonce = 1});
    }
    assert_true(world_count(world, MESSAGE_DIGEST) >= 1);
    OK(world, message_digest_decode(world_last(world, MESSAGE_DIGEST), &world->arena, &digest,
                                    &world->problem));
    assert_int_equal(digest.head, 10);
    for (int i = 0; i < 30; i++)
        SAY(world, digest_differs, MESSAGE_DIGEST_DIFFERS,
            {.head = 10, .count = 1, .buckets = &differing});
    assert_int_equal(world_count(world, MESSAGE_REPAIR), 20);
    assert_int_equal(agent_status(world->agent).repairs, 20);
    assert_int_equal(world->alarms, 1);
    assert_int_equal(state_of(world), AGENT_LIVE);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_begins_where_the_replica_stands),
        TEST(a_row_that_left_is_gone_at_the_publication),
        TEST(capture_that_was_lost_is_put_back_within_an_hour),
        TEST(an_enrolment_gives_keys_and_goes_on_as_a_session),
        TEST(an_agent_without_keys_stays_unenrolled),
        TEST(a_key_that_the_root_did_not_sign_gets_no_word),
        TEST(an_older_server_key_is_refused_once_a_newer_one_was_proven),
        TEST(garbage_ends_a_conversation_in_every_state_and_nothing_else),
        TEST(a_message_out_of_place_or_unknown_ends_the_conversation),
        TEST(an_optional_message_that_nobody_knows_is_skipped),
        TEST(tries_spread_between_one_second_and_five_minutes),
        TEST(a_person_need_not_wait_for_the_next_try),
        TEST(bye_and_a_busy_server_say_when_to_come_back),
        TEST(a_dial_or_handshake_that_hangs_is_given_up),
        TEST(a_local_change_goes_up_at_once_and_its_verdict_ends_it),
        TEST(edits_during_a_seal_wait_for_the_next_one),
        TEST(a_seal_without_verdict_is_sent_again_unchanged),
        TEST(a_busy_server_gets_the_seal_again_later),
        TEST(a_verdict_that_meets_a_locked_replica_is_taken_up_soon),
        TEST(a_snapshot_of_several_buckets_is_taken_part_by_part),
        TEST(a_verdict_that_does_not_come_is_asked_for_again),
        TEST(a_verdict_for_a_seal_that_is_not_on_its_way_is_refused),
        TEST(a_large_seal_goes_in_parts_within_the_window),
        TEST(rows_are_visible_at_publish_and_not_before),
        TEST(neither_direction_waits_for_the_other),
        TEST(frames_wait_while_another_program_locks_the_replica),
        TEST(a_cut_at_any_message_is_healed_by_the_next_session),
        TEST(only_an_authenticated_word_revokes),
        TEST(renew_ends_this_agent_and_hands_the_code_over),
        TEST(silence_is_met_with_a_ping_and_then_with_an_end),
        TEST(a_device_that_only_hears_says_that_it_lives),
        TEST(stop_says_bye_and_does_not_come_back),
        TEST(digests_are_sent_in_idle_time_and_repairs_are_limited),
    };

    return RUN(tests);
}

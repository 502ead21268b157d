/* SPDX-License-Identifier: Apache-2.0 */
/* An enrolled agent, its core on a real replica with the real model, in a session with a server
 * that has the right keys and has gone mad. The input is what the server says and what happens
 * meanwhile: a list of records, the first byte of each which.
 *
 *     0 any body          type, u16 size, body
 *     1 PUBLISH           u8 how far above the head before
 *     2 a verdict on the newest seal: u8 how far its lcn_high is off, u8 kind, u8 which change
 *     3 time passes       u8 seconds
 *     4 another program writes the replica: u8 which statement
 *     5 the link is cut, and the agent comes back
 *     6 raw bytes instead of a message: u16 size, bytes
 *
 * Whatever the server says, the agent goes on, wipes nothing without REVOKED, and leaves a replica
 * that opens again. What an input changed in the replica is undone by a fresh copy of the file. */
#include "tests/unit/agent/core/world.h"

#include "tests/fuzz/fuzz.h"

enum { RECORDS_MAX = 24, TRIES_MAX = 4 };

struct bench {
    struct kit *kit;
    struct world *world;
    bool is_changed;
    int64_t head;
    int tries;
    sqlite3 *watcher; /* sees what others commit */
    int64_t version;
};

/* ---- the replica, as it was ---- */

static struct kit *the_kit(void);

static void bench_remove(void)
{
    void *kit = the_kit();

    (void)kit_teardown(&kit);
    (void)kit_group_teardown(&kit);
}

static struct kit *the_kit(void)
{
    static struct kit *kit;
    void *made = NULL;

    if (kit == NULL) {
        invariant(kit_group_setup(&made) == 0);
        invariant(kit_setup(&made) == 0);
        kit = made;
        (void)atexit(bench_remove);
    }
    return kit;
}

/* Changes when somebody else commits to the replica. */
static int64_t data_version(struct bench *bench)
{
    sqlite3_stmt *statement = NULL;
    int64_t version = 0;

    invariant(sqlite3_prepare_v2(bench->watcher, "PRAGMA data_version", -1, &statement, NULL) ==
              SQLITE_OK);
    invariant(sqlite3_step(statement) == SQLITE_ROW);
    version = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return version;
}

static void restore(struct kit *kit, bool is_opened_before)
{
    void *state = kit;

    if (is_opened_before)
        kit_reopen(kit); /* whatever the server made of it */
    invariant(kit_teardown(&state) == 0);
    invariant(kit_setup(&state) == 0);
}

/* Before a WELCOME: another resume token alone makes no other replica. */
static void note_changes(struct bench *bench)
{
    bench->is_changed = bench->is_changed || data_version(bench) != bench->version;
}

/* ---- what the server says ---- */

static void say(struct bench *bench, uint8_t type, struct bytes body)
{
    struct world *world = bench->world;
    struct channel_messages messages = {0};

    if (!world->is_connected || !channel_is_open(world->server))
        return;
    FUZZ_OK(&world->problem,
            channel_send(world->server, type, body, 1, &world->arena, &messages, &world->problem));
    for (size_t i = 0; i < messages.count; i++)
        world_deliver(world, messages.messages[i]);
}

static void say_any(struct bench *bench, struct input *input)
{
    static const uint8_t TYPES[] = {
        MESSAGE_SUBSCRIBED, MESSAGE_ROWS,      MESSAGE_SNAPSHOT,  MESSAGE_GONE,
        MESSAGE_PUBLISH,    MESSAGE_VERDICT,   MESSAGE_WELCOME,   MESSAGE_DIGEST_DIFFERS,
        MESSAGE_BLOB_HAVE,  MESSAGE_BLOB_WANT, MESSAGE_BLOB_PART, MESSAGE_PING,
        MESSAGE_NOTICE,     MESSAGE_ERROR,     MESSAGE_BYE,       MESSAGE_ENROLLED};
    uint8_t choice = input_byte(input);

    say(bench, choice < 224 ? TYPES[choice % sizeof TYPES] : choice, input_part(input));
}

static void say_publish(struct bench *bench, uint8_t step)
{
    bench->head += step;
    world_publish(bench->world, bench->head);
}

static void say_verdict(struct bench *bench, struct input *input)
{
    struct world *world = bench->world;
    struct message_push push = {0};
    struct verdict exception = {.kind = (enum verdict_kind)(input_byte(input) % 6),
                                .reason = bytes_of_text("check_failed")};
    struct message_verdict verdict = {.exceptions = &exception};
    struct buffer body;
    size_t which = input_byte(input);

    if (world_count(world, MESSAGE_PUSH) == 0)
        return;
    push = world_push(world);
    verdict.seal_no = push.seal_no;
    verdict.lcn_high = push.lcn_last + input_byte(input) % 4 / 3;
    verdict.commit_seq = bench->head + 1;
    if (push.change_count > 0 && which < 200) {
        const struct change *change = &push.changes[which % push.change_count];

        exception.lcn = change->lcn;
        exception.table_no = change->table_no;
        exception.row_id = change->row_id;
        exception.is_row_gone = (which & 1) != 0;
        verdict.exception_count = 1;
    }
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    if (message_verdict_encode(replica_catalog(bench->kit->replica), &verdict, &body,
                               &world->problem) == RESULT_OK)
        say(bench, MESSAGE_VERDICT, buffer_bytes(&body));
    buffer_done(&body);
}

static void connect_again(struct bench *bench)
{
    struct world *world = bench->world;

    if (bench->tries++ >= TRIES_MAX || agent_status(world->agent).state == AGENT_REVOKED)
        return;
    if (world->is_connected) {
        world->is_connected = false;
        world_step(world, (struct agent_event){.kind = AGENT_EVENT_CLOSED, .text = "cut"});
    }
    world_step(world, (struct agent_event){.kind = AGENT_EVENT_SYNC_NOW});
    world_pass(world, world->is_connecting ? 0 : MINUTES(11));
    if (!world->is_connecting)
        return;
    note_changes(bench);
    world_connect(world);
    world_welcome(world, bench->head);
    bench->version = data_version(bench);
}

/* ---- the device's people ---- */

static void people_write(struct bench *bench, uint8_t choice)
{
    static const char *const STATEMENTS[] = {
        "INSERT INTO memo(id, site_id, title) SELECT id, 1, 'new' FROM new_id",
        "UPDATE memo SET title = 'changed'",
        "UPDATE memo SET body = 'b' || n, n = 9223372036854775807",
        "DELETE FROM memo WHERE id IN (SELECT max(id) FROM memo)",
        "INSERT INTO label(id, code, text) SELECT id, 'A', 'mine' FROM new_id",
        "INSERT INTO entry(id, memo_id, minutes) SELECT new_id.id, 1, 5 FROM new_id",
    };
    sqlite3 *other = NULL;

    bench->is_changed = true;
    invariant(sqlite3_open(bench->kit->path, &other) == SQLITE_OK);
    (void)sqlite3_exec(other, STATEMENTS[choice % (sizeof STATEMENTS / sizeof *STATEMENTS)], NULL,
                       NULL, NULL); /* one may be refused: a code that is there already */
    (void)sqlite3_close(other);
    world_step(bench->world, (struct agent_event){.kind = AGENT_EVENT_LOCAL_CHANGE});
}

static void one_record(struct bench *bench, struct input *input)
{
    struct world *world = bench->world;

    switch (input_byte(input) % 8) {
    case 1:
        say_publish(bench, input_byte(input));
        break;
    case 2:
        say_verdict(bench, input);
        break;
    case 3:
        world_pass(world, SECONDS(1) * input_byte(input));
        break;
    case 4:
        people_write(bench, input_byte(input));
        break;
    case 5:
        connect_again(bench);
        break;
    case 6:
        world_deliver(world, input_part(input));
        break;
    default:
        say_any(bench, input);
        break;
    }
    world->heard_count = world->heard_count > RECEIVED_MAX / 2 ? 0 : world->heard_count;
    invariant(world->result == RESULT_OK || world->result == RESULT_STORAGE ||
              world->result == RESULT_EXHAUSTED);
}

/* ---- the whole ---- */

static void run(struct bench *bench, struct input *input)
{
    struct world *world = bench->world;

    world_step(world, (struct agent_event){.kind = AGENT_EVENT_START});
    world_connect(world);
    world_welcome(world, 0);
    bench->version = data_version(bench);
    for (int i = 0; i < RECORDS_MAX && input_left(input) > 0; i++) {
        if (!world->is_connected && bench->tries < TRIES_MAX)
            connect_again(bench);
        one_record(bench, input);
    }
    invariant(!world->wipe || world->revoked > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    struct bench bench = {.kit = the_kit()};
    void *kit = bench.kit;

    invariant(sqlite3_open(bench.kit->path, &bench.watcher) == SQLITE_OK);
    bench.world = world_begin(&kit);
    run(&bench, &input);
    world_end(bench.world);
    note_changes(&bench);
    (void)sqlite3_close(bench.watcher);
    if (bench.is_changed)
        restore(bench.kit, size % 4 == 0); /* opening takes half of the time of an input */
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* An enrolled device in a session with the real server core on a real master with the real model.
 * The input is what it says: a list of records, each of which is encrypted and framed as the
 * protocol wants it, so that the fuzzer reaches what lies behind the channel:
 *
 *     0 any body          type, u16 size, body
 *     1 a seal of changes u16 size, a list of changes (msgpack); numbered and chained correctly
 *     2 a seal of changes built from choices, in one to three parts
 *     3 a PUSH            u16 size, body; its digest is made right
 *     4 time passes       u8 tenths of a second
 *     5 the office works  u8 which statement
 *     6 the link is cut, and the device comes back
 *     7 raw bytes instead of a message: u16 size, bytes
 *
 * Whatever it says ends its own connection at most; the server can take the next one, and its
 * counts stay sane. What an input changed in the master is undone by a fresh copy of the file. */
#include "tests/integration/station.h"

#include "protocol/rows.h"

#include "tests/fuzz/fuzz.h"

enum { RECORDS_MAX = 24, CHANGES_MAX = 8, PARTS_MAX = 3, RECONNECTS_MAX = 4 };

struct bench {
    struct station *station;
    struct world *world;
    struct side *forger;
    struct side saved; /* the forger as the master knows it */
    struct wall_time now;
    char snapshot_path[128];
    bool is_changed; /* the master isn't the snapshot any more */
    int64_t data_version;
    struct wire *wire;
    int reconnects;
};

/* ---- the same random bytes for the same input ---- */

static uint64_t random_state;

static uint32_t random_next(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 32);
}

static void random_fill(void *room, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)room)[i] = (uint8_t)random_next();
}

static const char *random_name(void)
{
    return "fixed";
}

/* ---- the master, as it was ---- */

static void server_begin(struct bench *bench)
{
    struct server_options options = {.catalog = &bench->world->catalog,
                                     .static_secret = bench->station->secret,
                                     .key_serial = 3,
                                     .root_signature = bench->station->certificate,
                                     .connections_max = 100};

    ok(bench->world, server_create(&options, &bench->station->server, &bench->world->problem));
}

static void server_end(struct bench *bench)
{
    server_destroy(bench->station->server);
    bench->station->server = NULL;
}

static void copy_master(const char *from, const char *to)
{
    static const char *const SUFFIXES[] = {"-wal", "-shm"};
    char name[160];

    copy_file(from, to);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(name, sizeof name, "%s%s", to, SUFFIXES[i]);
        (void)unlink(name);
    }
}

static void stores_close(struct bench *bench)
{
    master_destroy(bench->world->reader);
    master_destroy(bench->world->master);
    sql_close(bench->world->other);
}

static void stores_open(struct bench *bench)
{
    struct sql_options options = {.path = bench->world->path, .profile = SQL_PROFILE_SERVER};

    ok(bench->world, sql_open(&options, &bench->world->other, &bench->world->problem));
    bench->world->master = open_master(bench->world, false, service_reactions());
    bench->world->reader = open_master(bench->world, true, NULL);
}

static void restore(struct bench *bench)
{
    stores_close(bench);
    copy_master(bench->snapshot_path, bench->world->path);
    stores_open(bench);
    *bench->forger = bench->saved;
    bench->is_changed = false;
}

/* All but the token, which changes with each session. */
static void forget_what_was_said(struct bench *bench)
{
    struct side before = bench->saved;

    memcpy(before.token, bench->forger->token, sizeof before.token);
    *bench->forger = before;
}

static struct bench *the_bench(void);

static void bench_remove(void)
{
    void *station = the_bench()->station;

    server_begin(the_bench());
    (void)station_destroy(&station);
}

static void bench_create(struct bench *bench)
{
    static struct randombytes_implementation fixed;
    void *made = NULL;

    fixed = (struct randombytes_implementation){
        .implementation_name = random_name, .random = random_next, .buf = random_fill};
    invariant(randombytes_set_implementation(&fixed) == 0);
    invariant(station_create(&made) == 0);
    bench->station = made;
    bench->world = bench->station->world;
    bench->forger = bench->station->company->forger;
    make_scene(bench->station->company, &bench->station->company->spare, NOTHING_LEFT_OUT, 0);
    make_scene(bench->station->company, &bench->station->company->people[0].scene, NOTHING_LEFT_OUT,
               0);
    server_end(bench);
    bench->now = bench->world->now;
    bench->saved = *bench->forger;
    stores_close(bench); /* the last one closes the log */
    (void)snprintf(bench->snapshot_path, sizeof bench->snapshot_path, "%s/snapshot.db",
                   bench->world->folder);
    copy_master(bench->world->path, bench->snapshot_path);
    stores_open(bench);
    arena_reset(&bench->world->arena);
    (void)atexit(bench_remove);
}

static struct bench *the_bench(void)
{
    static struct bench bench;

    if (bench.station == NULL)
        bench_create(&bench);
    return &bench;
}

/* Commits of the server's own connections; what the office does says so itself. */
static int64_t data_version(struct bench *bench)
{
    return integer_of(bench->world, bench->world->other, "PRAGMA data_version", NULL, 0);
}

/* ---- what the device says ---- */

/* A new resume token alone makes no other master. */
static void note_changes(struct bench *bench)
{
    bench->is_changed = bench->is_changed || data_version(bench) != bench->data_version;
}

static void connect_again(struct bench *bench)
{
    wire_close(bench->station, bench->wire);
    bench->wire = NULL;
    if (bench->reconnects++ >= RECONNECTS_MAX)
        return;
    note_changes(bench);
    bench->wire = wire_connect(bench->station, bench->forger);
    bench->data_version = data_version(bench);
}

static void say(struct bench *bench, uint8_t type, struct bytes body)
{
    if (!channel_is_open(bench->wire->channel))
        return; /* turned away: held, or revoked */
    wire_send(bench->station, bench->wire, type, body);
    station_flow(bench->station);
}

static void say_any(struct bench *bench, struct input *input)
{
    static const uint8_t TYPES[] = {MESSAGE_PUSH,      MESSAGE_PUBLISHED, MESSAGE_DIGEST,
                                    MESSAGE_REPAIR,    MESSAGE_BLOB_HAVE, MESSAGE_BLOB_WANT,
                                    MESSAGE_BLOB_PART, MESSAGE_PING,      MESSAGE_PONG,
                                    MESSAGE_NOTICE,    MESSAGE_ERROR,     MESSAGE_BYE};
    uint8_t choice = input_byte(input);

    say(bench, choice < 200 ? TYPES[choice % sizeof TYPES] : choice, input_part(input));
}

static bool say_push(struct bench *bench, const struct message_push *push)
{
    struct buffer body;
    bool is_said = false;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    if (message_push_encode(&bench->world->catalog, push, &body, &bench->world->problem) ==
        RESULT_OK) {
        say(bench, MESSAGE_PUSH, buffer_bytes(&body));
        is_said = true;
    }
    buffer_done(&body);
    return is_said;
}

/* The changes as the device's next seal; what the encoder refuses was never said. */
static void say_seal(struct bench *bench, struct change *changes, size_t count, size_t part_count)
{
    struct side *forger = bench->forger;
    const struct side before = *forger;
    struct seal_digest_state state;
    struct message_push push = {.incarnation = 1,
                                .seal_no = ++forger->seal_no,
                                .lcn_first = forger->lcn + 1,
                                .lcn_last = forger->lcn + (int64_t)count,
                                .schema_version = bench->world->catalog.schema_version,
                                .sealed_at = bench->world->now,
                                .previous_digest = bytes_of(before.digest, SEAL_DIGEST_SIZE),
                                .change_count = count,
                                .changes = changes};

    if (count == 0)
        return;
    qsort(changes, count, sizeof *changes, by_table_and_lcn);
    for (size_t i = 0; i < count; i++)
        changes[i].lcn = ++forger->lcn;
    seal_digest_begin(&state, &push);
    if (seal_digest_add(&state, &bench->world->catalog, &push, &bench->world->problem) !=
        RESULT_OK) {
        *forger = before;
        return;
    }
    seal_digest_end(&state, forger->digest);
    push.digest = bytes_of(forger->digest, SEAL_DIGEST_SIZE);
    if (part_count > count)
        part_count = count;
    for (size_t part = 0, at = 0; part < part_count && !bench->wire->is_closed; part++) {
        push.part_no = (int64_t)part;
        push.is_last_part = part + 1 == part_count;
        push.changes = changes + at;
        push.change_count = push.is_last_part ? count - at : count / part_count;
        at += push.change_count;
        if (!say_push(bench, &push)) {
            *forger = before;
            return;
        }
    }
}

static void say_list(struct bench *bench, struct input *input)
{
    struct reader reader = reader_over(input_part(input));
    struct change *changes = NULL;
    size_t count = 0;

    if (changes_read(&bench->world->catalog, &reader, &bench->world->arena, &changes, &count,
                     &bench->world->problem) == RESULT_OK)
        say_seal(bench, changes, count, 1);
}

static void say_numbered_push(struct bench *bench, struct input *input)
{
    struct message_push push = {0};

    if (message_push_decode(&bench->world->catalog, input_part(input), &bench->world->arena, &push,
                            &bench->world->problem) != RESULT_OK)
        return;
    push.incarnation = 1;
    push.seal_no = bench->forger->seal_no + 1;
    push.previous_digest = bytes_of(bench->forger->digest, SEAL_DIGEST_SIZE);
    (void)say_push(bench, &push);
}

/* ---- changes from choices ---- */

static int64_t chosen_id(struct bench *bench, struct input *input, uint16_t table_no)
{
    struct side *forger = bench->forger;

    switch (input_byte(input) % 8) {
    case 0:
        return bench->station->company->people[0].scene.ids[table_no];
    case 1:
        return bench->station->company->spare.ids[table_no];
    case 2: /* one that may be there from the seal before */
        return id_of(forger->replica_no, 1 + input_byte(input) % 8);
    case 3:
        return (int64_t)input_number(input, 8);
    default:
        return id_of(forger->replica_no, ++forger->id_counter);
    }
}

static struct value chosen_value(struct bench *bench, struct input *input,
                                 const struct catalog_column *column)
{
    struct bytes text = {0};

    switch (input_byte(input) % 8) {
    case 0:
        return value_null();
    case 1:
        return value_integer(input_byte(input));
    case 2:
        return value_integer((int64_t)input_number(input, 8));
    case 3:
        return value_integer(chosen_id(bench, input, column->refers_to));
    case 4:
        return value_real((double)input_number(input, 4) / 1000);
    case 5:
        text = input_part(input);
        return value_blob(text);
    default:
        text = input_part(input);
        return value_text(text);
    }
}

static struct change chosen_change(struct bench *bench, struct input *input)
{
    struct world *world = bench->world;
    const struct table_order *order = &bench->station->company->order;
    const struct catalog_table *table = order->tables[input_byte(input) % order->count];
    struct scene *scene = &bench->station->company->people[0].scene;
    uint8_t choice = input_byte(input);
    bool is_granted = false;
    struct change change = {.table_no = table->number,
                            .op = (enum change_op)(choice % 3 + 1),
                            .row_id = chosen_id(bench, input, table->number),
                            .edited_at = world->now,
                            .base_seq = server_status(bench->station->server).head};

    if (change.op == CHANGE_DELETE)
        return change;
    change.mask = granted_mask(world, ROLE_TECHNICIAN, table, change.op, &is_granted);
    if ((choice & 0x10) != 0)
        change.mask ^= input_number(input, 8) & table->columns_mask;
    if ((choice & 0x20) != 0)
        change.base_seq = (int64_t)input_number(input, 8);
    if ((choice & 0x40) != 0)
        change.edited_at.us = (int64_t)input_number(input, 8);
    change.values = sample_row(world, table, scene, 0, input_byte(input) % 8);
    for (int i = choice >> 2 & 3; i > 0; i--) {
        uint8_t column_no = (uint8_t)(1 + input_byte(input) % (table->column_count - 1));

        change.values[column_no] = chosen_value(bench, input, &table->columns[column_no]);
        change.mask |= UINT64_C(1) << column_no;
    }
    return change;
}

static void say_chosen(struct bench *bench, struct input *input)
{
    struct change *changes = arena_array(&bench->world->arena, CHANGES_MAX, sizeof *changes);
    uint8_t choice = input_byte(input);
    size_t count = 1 + choice % CHANGES_MAX;

    invariant(changes != NULL);
    for (size_t i = 0; i < count; i++)
        changes[i] = chosen_change(bench, input);
    say_seal(bench, changes, count, 1 + (size_t)(choice / CHANGES_MAX) % PARTS_MAX);
}

/* ---- what others do meanwhile ---- */

static void office_works(struct bench *bench, uint8_t choice)
{
    static const char *const STATEMENTS[] = {
        "UPDATE site SET city = 'Bolzano'",
        "UPDATE site SET access_note = 'ring twice' WHERE id IN (SELECT min(id) FROM site)",
        "DELETE FROM call_note",
        "UPDATE call SET summary = 'changed'",
        "DELETE FROM role_grant WHERE role = 'technician'",
        "UPDATE fs_device SET name = 'x'",
    };
    struct problem problem = {0};
    const char *statement = STATEMENTS[choice % (sizeof STATEMENTS / sizeof *STATEMENTS)];

    bench->is_changed = true;
    if (sql_exec(bench->world->other, statement, &problem) == RESULT_OK)
        station_queue(bench->station, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    station_pass(bench->station, MILLISECONDS(300));
}

static void one_record(struct bench *bench, struct input *input)
{
    switch (input_byte(input) % 8) {
    case 0:
        say_any(bench, input);
        break;
    case 1:
        say_list(bench, input);
        break;
    case 2:
        say_chosen(bench, input);
        break;
    case 3:
        say_numbered_push(bench, input);
        break;
    case 4:
        station_pass(bench->station, MILLISECONDS(100) * input_byte(input));
        break;
    case 5:
        office_works(bench, input_byte(input));
        break;
    case 6:
        connect_again(bench);
        break;
    default:
        wire_says(bench->station, bench->wire, input_part(input));
        station_flow(bench->station);
        break;
    }
}

/* ---- the whole ---- */

static void expect_sane(struct bench *bench)
{
    struct world *world = bench->world;

    invariant(server_status(bench->station->server).live_count <= 1);
    invariant(bench->station->job_count == 0);
    if (!bench->is_changed)
        return;
    invariant(integer_of(world, world->other, "SELECT count(*) FROM fs_bucket WHERE row_count < 0",
                         NULL, 0) == 0);
    invariant(integer_of(world, world->other,
                         "SELECT (SELECT number FROM fs_state WHERE name = 'published_seq') >"
                         " (SELECT number FROM fs_state WHERE name = 'seq')",
                         NULL, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    struct bench *bench = the_bench();

    random_state = 1;
    bench->station->mono.us = SECONDS(1000);
    bench->station->wire_count = 0;
    bench->world->now = bench->now;
    bench->reconnects = 0;
    server_begin(bench);
    bench->wire = wire_connect(bench->station, bench->forger);
    invariant(bench->wire->heard[MESSAGE_WELCOME] == 1);
    bench->data_version = data_version(bench);
    for (int i = 0; i < RECORDS_MAX && input_left(&input) > 0 && bench->wire != NULL; i++) {
        if (bench->wire->is_closed)
            connect_again(bench);
        else
            one_record(bench, &input);
    }
    if (bench->wire != NULL)
        wire_close(bench->station, bench->wire);
    note_changes(bench);
    expect_sane(bench);
    server_end(bench);
    if (bench->is_changed)
        restore(bench);
    else
        forget_what_was_said(bench);
    arena_reset(&bench->world->arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The server core before a real master on a real file: what devices are told from their code to
 * their revocation. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#endif

#include "tests/unit/server/core/session_kit.h"

#include "schema/load.h"
#include "schema/sql.h"
#include "server/core/devices.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/schema_fixture/master_file.h"

#include <inttypes.h>
#include <unistd.h>

enum { ANNA = 1, BRUNO = 2 };

/* The threads behind the server, and what the devices keep. */
struct office {
    char folder[64];
    char path[96];
    struct arena catalog_arena;
    struct catalog catalog;
    struct sql_database *other; /* another program on the same file */
    struct master *writer;
    struct master *reader;
    struct problem problem;
    struct memory {
        uint8_t token[TOKEN_SIZE];
        uint8_t older_token[TOKEN_SIZE];
        uint8_t epoch[EPOCH_SIZE];
        int64_t replica_no;
        int64_t incarnation;
        int64_t published;
        size_t row_count;
    } memories[DEVICES];
};

static void ok(struct office *office, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), office->problem.text);
}

static void answer(struct world *world, struct job *job)
{
    struct office *office = world->context;
    struct master_outcome outcome = {0};

    if (!job_is_write(job->kind)) {
        ok(office, master_read(office->reader, &job, 1, world->wall, &office->problem));
        return;
    }
    ok(office, master_write(office->writer, &job, 1, world->wall, &outcome, &office->problem));
    if (outcome.work.seq != 0 || outcome.revoked_count > 0 || outcome.rescoped_count > 0)
        world_step(world,
                   (struct server_event){.kind = SERVER_EVENT_COMMITTED, .outcome = &outcome});
}

static void keep_welcome(struct world *world, struct memory *memory, struct bytes body)
{
    struct message_welcome welcome = {0};
    struct problem problem = {0};

    expect(message_welcome_decode(body, &world->arena, &welcome, &problem), &problem);
    memcpy(memory->older_token, memory->token, TOKEN_SIZE);
    memcpy(memory->token, welcome.resume_token.data, TOKEN_SIZE);
    memcpy(memory->epoch, welcome.epoch.data, EPOCH_SIZE);
    memory->incarnation = welcome.incarnation;
}

static void keep_enrolled(struct world *world, struct device *device, struct memory *memory,
                          struct bytes body)
{
    struct message_enrolled enrolled = {0};
    struct problem problem = {0};

    expect(message_enrolled_decode(body, &world->arena, &enrolled, &problem), &problem);
    memcpy(device->psk, enrolled.psk.data, PSK_SIZE);
    memcpy(memory->token, enrolled.resume_token.data, TOKEN_SIZE);
    memcpy(memory->epoch, enrolled.epoch.data, EPOCH_SIZE);
    memory->replica_no = enrolled.replica_no;
    memory->incarnation = enrolled.incarnation;
}

static void hears(struct world *world, struct device *device, const struct frame *frame)
{
    struct office *office = world->context;
    struct memory *memory = &office->memories[device - world->devices];
    struct message_publish publish = {0};
    struct message_rows rows = {0};
    struct message_snapshot snapshot = {0};
    struct problem problem = {0};

    if (frame->type == MESSAGE_WELCOME)
        keep_welcome(world, memory, frame->body);
    if (frame->type == MESSAGE_ENROLLED)
        keep_enrolled(world, device, memory, frame->body);
    if (frame->type == MESSAGE_ROWS) {
        expect(message_rows_decode(&office->catalog, frame->body, &world->arena, &rows, &problem),
               &problem);
        memory->row_count += rows.row_count;
    }
    if (frame->type == MESSAGE_SNAPSHOT) {
        expect(message_snapshot_decode(&office->catalog, frame->body, &world->arena, &snapshot,
                                       &problem),
               &problem);
        for (size_t i = 0; i < snapshot.part_count; i++)
            memory->row_count += snapshot.parts[i].row_count;
    }
    if (frame->type == MESSAGE_PUBLISH) {
        expect(message_publish_decode(frame->body, &world->arena, &publish, &problem), &problem);
        memory->published = publish.head;
    }
}

/* ---- life ---- */

static struct master *open_master(struct office *office, bool is_reader, bool is_new)
{
    const struct sqlite_store_options store_options = {.path = office->path,
                                                       .is_reader = is_reader};
    struct master_options options = {.catalog = &office->catalog};
    struct master *master = NULL;
    uint8_t seed[DEVICES_INIT_SEED_SIZE] = {7};

    ok(office,
       sqlite_store_open(&store_options, &office->catalog, &options.store, &office->problem));
    if (is_new) {
        ok(office, store_begin(options.store, STORE_WRITE, &office->problem));
        ok(office, devices_init(options.store, seed, &office->problem));
        ok(office, store_commit(options.store, &office->problem));
    }
    ok(office, master_create(&options, &master, &office->problem));
    return master;
}

static void sql(struct world *world, const char *script)
{
    struct office *office = world->context;

    ok(office, sql_exec(office->other, script, &office->problem));
}

static int set_up(void **state)
{
    struct world *world = world_create();
    struct office *office = calloc(1, sizeof *office);
    struct sql_options options = {.profile = SQL_PROFILE_SERVER};

    assert_non_null(office);
    (void)snprintf(office->folder, sizeof office->folder, "/tmp/fieldsync-server-XXXXXX");
    assert_non_null(mkdtemp(office->folder));
    (void)snprintf(office->path, sizeof office->path, "%s/master.db", office->folder);
    master_file_make(office->path);
    options.path = office->path;
    ok(office, sql_open(&options, &office->other, &office->problem));
    arena_init(&office->catalog_arena, 16 << 20);
    ok(office,
       catalog_load(office->other, &office->catalog_arena, &office->catalog, &office->problem));
    world->context = office;
    world->answer = answer;
    world->hears = hears;
    office->writer = open_master(office, false, true);
    office->reader = open_master(office, true, false);
    sql(world, "INSERT INTO app_user(id, login, name) VALUES (1,'anna','Anna'),(2,'bruno','Bruno');"
               "INSERT INTO role_grant(id, user_id, role) VALUES (1,1,'technician'),"
               "(2,2,'technician');");
    for (size_t i = 0; i < DEVICES; i++) {
        uint8_t secret[32] = {9, (uint8_t)i};

        noise_keypair_from(secret, &world->devices[i].keys);
    }
    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_work(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const SUFFIXES[] = {"", "-wal", "-shm"};
    struct world *world = *state;
    struct office *office = world->context;

    world_destroy(world);
    server_destroy(world->server);
    for (size_t i = 0; i < DEVICES; i++)
        channel_destroy(world->devices[i].channel);
    master_destroy(office->reader);
    master_destroy(office->writer);
    sql_close(office->other);
    for (size_t i = 0; i < 3; i++) {
        char path[128];

        (void)snprintf(path, sizeof path, "%s%s", office->path, SUFFIXES[i]);
        (void)unlink(path);
    }
    (void)rmdir(office->folder);
    arena_done(&office->catalog_arena);
    arena_done(&world->arena);
    free(office);
    free(world);
    return 0;
}

/* ---- what devices do ---- */

struct code_order {
    int64_t user_id;
    uint8_t seed[DEVICES_CODE_SEED_SIZE];
    struct wall_time expires_at;
};

static enum result create_code(struct work *work, void *context, struct problem *problem)
{
    struct code_order *order = context;

    return devices_create_code(work, order->user_id, 0, order->seed, order->expires_at, problem);
}

/* Device `i` gets a code of this person, good for 15 minutes. */
static void give_code(struct world *world, size_t i, int64_t user_id)
{
    struct office *office = world->context;
    struct device *device = &world->devices[i];
    struct code_order order = {.user_id = user_id, .expires_at = {world->wall.us + MINUTES(15)}};
    struct master_outcome outcome = {0};

    memset(order.seed, (int)i + 1, 16);
    memset(order.seed + 16, (int)i + 101, 32);
    memcpy(device->token_id, order.seed, 16);
    memcpy(device->psk, order.seed + 16, PSK_SIZE);
    ok(office,
       master_run(office->writer, world->wall, create_code, &order, &outcome, &office->problem));
}

static struct device *enrol(struct world *world, size_t i)
{
    struct office *office = world->context;
    struct device *device = &world->devices[i];
    uint8_t sign_key[PUBLIC_KEY_SIZE] = {5, (uint8_t)i};
    struct message_enrol message = {
        .sign_public_key = bytes_of(sign_key, sizeof sign_key),
        .device_name = bytes_of_text("laptop"),
        .app_version = bytes_of_text("test"),
        .schema_version = office->catalog.schema_version,
        .device_time = world->wall,
    };
    struct buffer body;

    buffer_init(&body, 4096);
    ok(office, message_enrol_encode(&message, &body, &office->problem));
    device->is_enrolment = true;
    connect_from(world, i, "192.0.2.1:4000", buffer_bytes(&body));
    world_work(world);
    buffer_done(&body);
    return device;
}

static struct device *resume_with(struct world *world, size_t i, const uint8_t *token)
{
    struct office *office = world->context;
    struct device *device = &world->devices[i];
    const struct memory *memory = &office->memories[i];
    struct message_resume message = {
        .resume_token = bytes_of(token, TOKEN_SIZE),
        .epoch = bytes_of(memory->epoch, EPOCH_SIZE),
        .incarnation = memory->incarnation,
        .published_seq = memory->published,
        .schema_version = office->catalog.schema_version,
        .device_time = world->wall,
        .app_version = bytes_of_text("test"),
    };
    struct buffer body;

    buffer_init(&body, 4096);
    ok(office, message_resume_encode(&message, &body, &office->problem));
    device->is_enrolment = false;
    connect_from(world, i, "192.0.2.1:4000", buffer_bytes(&body));
    world_work(world);
    buffer_done(&body);
    return device;
}

static struct device *resume(struct world *world, size_t i)
{
    struct office *office = world->context;
    uint8_t token[TOKEN_SIZE];

    memcpy(token, office->memories[i].token, sizeof token);
    return resume_with(world, i, token);
}

static void hang_up(struct world *world, struct device *device)
{
    world_step(world, (struct server_event){.kind = SERVER_EVENT_CLOSED,
                                            .connection = device->connection});
    world_work(world);
}

/* ---- stories ---- */

static void code_makes_a_device_and_the_device_a_session(void **state)
{
    struct world *world = *state;
    struct office *office = world->context;
    struct device *device = NULL;

    give_code(world, 0, ANNA);
    device = enrol(world, 0);
    assert_string_equal(device->heard, "ENROLLED ");
    assert_true(device->is_closed);
    assert_int_equal(office->memories[0].replica_no, 1);
    device = resume(world, 0);
    assert_non_null(strstr(device->heard, "WELCOME "));
    assert_non_null(strstr(device->heard, "SUBSCRIBED "));
    assert_non_null(strstr(device->heard, "PUBLISH "));
    assert_false(device->is_closed);
    assert_true(office->memories[0].row_count >= 3); /* two people, her own role */
    assert_true(office->memories[0].published > 0);
}

static void code_is_good_for_one_device_only(void **state)
{
    struct world *world = *state;
    struct device *thief = &world->devices[1];

    give_code(world, 0, ANNA);
    memcpy(thief->token_id, world->devices[0].token_id, IDENTITY_TOKEN_ID_SIZE);
    memcpy(thief->psk, world->devices[0].psk, PSK_SIZE);
    enrol(world, 0);
    enrol(world, 1);
    assert_null(strstr(thief->heard, "ENROLLED"));
    assert_true(thief->is_closed);
}

static void lost_answer_is_given_again_to_the_same_device(void **state)
{
    struct world *world = *state;
    struct office *office = world->context;
    struct device *device = &world->devices[0];
    struct memory first;
    uint8_t secret[PSK_SIZE];

    give_code(world, 0, ANNA);
    memcpy(secret, device->psk, sizeof secret);
    enrol(world, 0);
    first = office->memories[0];
    memcpy(device->psk, secret, sizeof secret); /* it never heard */
    enrol(world, 0);
    assert_string_equal(device->heard, "ENROLLED ");
    assert_int_equal(office->memories[0].replica_no, first.replica_no);
}

static void old_code_is_refused(void **state)
{
    struct world *world = *state;

    give_code(world, 0, ANNA);
    world_pass(world, MINUTES(16));
    world_work(world);
    enrol(world, 0);
    assert_string_equal(world->devices[0].heard, "");
    assert_int_equal(world->devices[0].close_code, 4401);
}

static void plain_sql_on_the_master_reaches_the_device(void **state)
{
    struct world *world = *state;
    struct office *office = world->context;
    struct device *device = NULL;
    size_t rows = 0;
    int64_t published = 0;

    give_code(world, 0, ANNA);
    enrol(world, 0);
    device = resume(world, 0);
    rows = office->memories[0].row_count;
    published = office->memories[0].published;
    device->heard[0] = '\0';
    sql(world, "UPDATE app_user SET name='Bruno B.' WHERE id=2");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_work(world);
    assert_string_equal(device->heard, "ROWS PUBLISH ");
    assert_int_equal(office->memories[0].row_count, rows + 1);
    assert_true(office->memories[0].published > published);
}

static void what_happened_meanwhile_comes_with_the_next_session(void **state)
{
    struct world *world = *state;
    struct office *office = world->context;
    struct device *device = NULL;
    size_t rows = 0;

    give_code(world, 0, ANNA);
    enrol(world, 0);
    device = resume(world, 0);
    hang_up(world, device);
    rows = office->memories[0].row_count;
    sql(world, "UPDATE app_user SET name='Anna A.' WHERE id=1");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_work(world);
    resume(world, 0);
    assert_int_equal(office->memories[0].row_count, rows + 1); /* and not everything again */
}

static void revocation_by_plain_sql_ends_the_session(void **state)
{
    struct world *world = *state;
    struct device *device = NULL;
    struct device *other = NULL;

    give_code(world, 0, ANNA);
    give_code(world, 1, BRUNO);
    enrol(world, 0);
    enrol(world, 1);
    device = resume(world, 0);
    other = resume(world, 1);
    sql(world, "UPDATE device SET revoked_at=1 WHERE user_id=1");
    world_step(world, (struct server_event){.kind = SERVER_EVENT_LOCAL_CHANGE});
    world_work(world);
    assert_non_null(strstr(device->heard, "REVOKED "));
    assert_int_equal(server_status(world->server).live_count, 1);
    assert_false(other->is_closed);
    world_pass(world, SECONDS(LIMIT_SILENCE_SECONDS + 1)); /* it has nothing to leave behind */
    resume(world, 0);                                      /* and it stays revoked */
    assert_string_equal(device->heard, "REVOKED ");
}

static void copied_disk_is_held_at_its_first_contact(void **state)
{
    struct world *world = *state;
    struct office *office = world->context;
    struct device *device = NULL;
    uint8_t copy[TOKEN_SIZE];

    give_code(world, 0, ANNA);
    enrol(world, 0);
    memcpy(copy, office->memories[0].token, sizeof copy);
    hang_up(world, resume(world, 0));
    hang_up(world, resume(world, 0));
    device = resume_with(world, 0, copy);
    assert_string_equal(device->heard, "BYE ");
    assert_string_equal(device->code, "held");
    device = resume(world, 0); /* the original is held, too, until somebody decides */
    assert_string_equal(device->code, "held");
}

static void lost_welcome_is_no_fork(void **state)
{
    struct world *world = *state;
    struct office *office = world->context;
    struct device *device = NULL;
    uint8_t kept[TOKEN_SIZE];

    give_code(world, 0, ANNA);
    enrol(world, 0);
    memcpy(kept, office->memories[0].token, sizeof kept);
    hang_up(world, resume(world, 0)); /* WELCOME never reached its disk */
    device = resume_with(world, 0, kept);
    assert_non_null(strstr(device->heard, "WELCOME "));
    assert_false(device->is_closed);
}

static void push_that_is_no_push_ends_only_its_session(void **state)
{
    struct world *world = *state;
    struct device *device = NULL;
    struct device *other = NULL;

    give_code(world, 0, ANNA);
    give_code(world, 1, BRUNO);
    enrol(world, 0);
    enrol(world, 1);
    device = resume(world, 0);
    other = resume(world, 1);
    device_sends(world, device, MESSAGE_PUSH, bytes_of_text("\x93nonsense"));
    world_work(world);
    assert_int_equal(device->close_code, 4400);
    assert_false(other->is_closed);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(code_makes_a_device_and_the_device_a_session),
        CASE(code_is_good_for_one_device_only),
        CASE(lost_answer_is_given_again_to_the_same_device),
        CASE(old_code_is_refused),
        CASE(plain_sql_on_the_master_reaches_the_device),
        CASE(what_happened_meanwhile_comes_with_the_next_session),
        CASE(revocation_by_plain_sql_ends_the_session),
        CASE(copied_disk_is_held_at_its_first_contact),
        CASE(lost_welcome_is_no_fork),
        CASE(push_that_is_no_push_ends_only_its_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

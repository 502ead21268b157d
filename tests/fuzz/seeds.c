/* SPDX-License-Identifier: Apache-2.0 */
/* seeds.c: writes what a small company really says as first inputs of the targets.
 *
 *     seeds FOLDER        FOLDER/<target>/<name>, as they lie in tests/fuzz/corpus
 *
 * Run it again when a message or the model changes; inputs that were found stay beside them. */
#include "tests/integration/station.h" /* first: it asks for POSIX */

#include "protocol/rows.h"
#include "tests/unit/protocol/message_kit.h"

#include <sys/stat.h>

enum { SEED_SIZE_MAX = 6000, REAL_MODEL = 0x80 };

static const char *folder;

static void write_seed(const char *target, const char *name, const struct buffer *seed)
{
    char path[512];
    FILE *file = NULL;

    if (seed->size == 0 || seed->size > SEED_SIZE_MAX)
        return;
    (void)snprintf(path, sizeof path, "%s/%s", folder, target);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(seed->data, 1, seed->size, file), seed->size);
    assert_int_equal(fclose(file), 0);
}

static void add(struct buffer *seed, const void *data, size_t size)
{
    struct problem problem = {0};

    if (size > 0)
        assert_int_equal(buffer_append(seed, data, size, &problem), RESULT_OK);
}

static void add_byte(struct buffer *seed, unsigned byte)
{
    uint8_t data = (uint8_t)byte;

    add(seed, &data, 1);
}

static void add_part(struct buffer *seed, struct bytes bytes)
{
    add_byte(seed, (unsigned)(bytes.size >> 8));
    add_byte(seed, (unsigned)(bytes.size & 0xff));
    add(seed, bytes.data, bytes.size);
}

/* ---- what comes down ---- */

static int kind_of(uint8_t type)
{
    switch (type) {
    case MESSAGE_SUBSCRIBED:
        return KIND_SUBSCRIBED;
    case MESSAGE_ROWS:
        return KIND_ROWS;
    case MESSAGE_SNAPSHOT:
        return KIND_SNAPSHOT;
    case MESSAGE_GONE:
        return KIND_GONE;
    case MESSAGE_PUBLISH:
        return KIND_PUBLISH;
    default:
        return -1;
    }
}

/* Where agent_session.c has it among its types. */
static unsigned place_of(uint8_t type)
{
    switch (type) {
    case MESSAGE_SUBSCRIBED:
        return 0;
    case MESSAGE_ROWS:
        return 1;
    case MESSAGE_SNAPSHOT:
        return 2;
    default:
        return 3;
    }
}

static void seed_message(const struct frame *frame, int kind, int number)
{
    struct buffer seed;
    char name[64];

    buffer_init(&seed, 1 << 20);
    add_byte(&seed, REAL_MODEL | (unsigned)kind);
    add(&seed, frame->body.data, frame->body.size);
    (void)snprintf(name, sizeof name, "feed-%03d", number);
    write_seed("messages", name, &seed);
    buffer_done(&seed);
}

/* The first snapshot of a technician: each message, each frame, and the story whole. */
static void seed_feed(struct company *company)
{
    struct world *world = company->world;
    struct side *side = company->forger;
    struct buffer story;
    struct job *job = make_job(world, JOB_FEED, side);
    struct frame frame;
    size_t index = 0;
    int number = 0;

    buffer_init(&story, 1 << 20);
    job->feed = side->feed;
    job->send_room = 1 << 20;
    run_job(world, job);
    for (frame = next_message(world, job, &index); frame.type != 0;
         frame = next_message(world, job, &index)) {
        int kind = kind_of(frame.type);

        if (kind < 0 || frame.body.size > SEED_SIZE_MAX)
            continue;
        if (number < 24)
            seed_message(&frame, kind, number);
        number++;
        if (story.size + frame.body.size > SEED_SIZE_MAX - 10)
            continue;
        add_byte(&story, 0); /* any body */
        add_byte(&story, place_of(frame.type));
        add_part(&story, frame.body);
    }
    add_byte(&story, 1); /* PUBLISH */
    add_byte(&story, 100);
    write_seed("agent_session", "first-snapshot", &story);
    buffer_done(&story);
    for (size_t i = 0; i < job->frame_count && i < 6; i++) {
        struct buffer seed;
        char name[64];

        buffer_init(&seed, 1 << 20);
        add_part(&seed, bytes_of(job->frames[i]->bytes, job->frames[i]->size));
        (void)snprintf(name, sizeof name, "feed-%zu", i);
        write_seed("frame", name, &seed);
        buffer_done(&seed);
    }
    job_destroy(job);
}

/* ---- what goes up ---- */

static struct change sample_change(struct company *company, const struct catalog_table *table,
                                   enum change_op op, bool *ret_is_granted)
{
    struct world *world = company->world;
    struct side *forger = company->forger;
    struct scene *scene = &company->people[0].scene;

    return (struct change){.table_no = table->number,
                           .op = op,
                           .lcn = ++forger->lcn,
                           .row_id = op == CHANGE_INSERT
                                         ? id_of(forger->replica_no, ++forger->id_counter)
                                         : scene->ids[table->number],
                           .base_seq = 1,
                           .edited_at = world->now,
                           .mask = granted_mask(world, ROLE_TECHNICIAN, table, op, ret_is_granted),
                           .values = sample_row(world, table, scene, 0, 5)};
}

static void seed_list(struct company *company, const char *name, struct change *changes,
                      size_t count)
{
    struct world *world = company->world;
    struct buffer list;
    struct buffer seed;
    struct writer writer;
    struct message_push push = {.incarnation = 1,
                                .seal_no = 1,
                                .is_last_part = true,
                                .lcn_first = changes[0].lcn,
                                .lcn_last = changes[count - 1].lcn,
                                .schema_version = 1,
                                .sealed_at = world->now,
                                .previous_digest = bytes_of(company->forger->digest, 32),
                                .digest = bytes_of(company->forger->digest, 32),
                                .change_count = count,
                                .changes = changes};

    buffer_init(&list, 1 << 20);
    buffer_init(&seed, 1 << 20);
    writer_init(&writer, &list);
    ok(world, changes_write(&world->catalog, changes, count, &writer, &world->problem));
    ok(world, writer_finish(&writer, &world->problem));
    add_byte(&seed, 1); /* a list of changes */
    add(&seed, list.data, list.size);
    write_seed("rows", name, &seed);
    buffer_reset(&seed);
    add_byte(&seed, 1); /* a seal of such a list */
    add_part(&seed, buffer_bytes(&list));
    write_seed("server_session", name, &seed);
    buffer_reset(&seed);
    add_byte(&seed, REAL_MODEL | KIND_PUSH);
    buffer_reset(&list);
    ok(world, message_push_encode(&world->catalog, &push, &list, &world->problem));
    add(&seed, list.data, list.size);
    write_seed("messages", name, &seed);
    buffer_done(&seed);
    buffer_done(&list);
}

/* For each table that a technician may write: an insert and an update. */
static void seed_changes(struct company *company)
{
    static const enum change_op OPS[] = {CHANGE_INSERT, CHANGE_UPDATE};

    for (size_t t = 1; t < company->world->catalog.table_count; t++) {
        const struct catalog_table *table = &company->world->catalog.tables[t];
        struct change changes[2];
        size_t count = 0;

        for (size_t i = 0; i < 2 && table->name != NULL && !table->is_local; i++) {
            bool is_granted = false;
            struct change change = sample_change(company, table, OPS[i], &is_granted);

            if (is_granted && change.row_id != 0)
                changes[count++] = change;
        }
        if (count > 0)
            seed_list(company, text_of(company->world, "write-%s", table->name), changes, count);
    }
}

/* Choices for the target that builds changes itself: tables, operations, odd values. */
static void seed_choices(void)
{
    for (unsigned i = 0; i < 24; i++) {
        struct buffer seed;
        char name[32];

        buffer_init(&seed, 1024);
        add_byte(&seed, 2); /* a seal built from choices */
        add_byte(&seed, i % 3 + 8 * (i % 3));
        for (unsigned change = 0; change <= i % 3; change++) {
            add_byte(&seed, i * 4 + change);
            add_byte(&seed, i % 3 + 4 * (i % 4) + 0x10 * (i % 8));
            add_byte(&seed, i % 8);
            for (unsigned k = 0; k < 12; k++)
                add_byte(&seed, i * 31 + k * 7);
        }
        add_byte(&seed, 5); /* the office works, time passes, the device comes back */
        add_byte(&seed, i);
        add_byte(&seed, 4);
        add_byte(&seed, 20);
        add_byte(&seed, 6);
        (void)snprintf(name, sizeof name, "choices-%02u", i);
        write_seed("server_session", name, &seed);
        buffer_done(&seed);
    }
}

static void all_seeds(void **state)
{
    struct station *station = *state;
    struct company *company = station->company;

    make_scene(company, &company->spare, NOTHING_LEFT_OUT, 0);
    make_scene(company, &company->people[0].scene, NOTHING_LEFT_OUT, 0);
    seed_feed(company);
    seed_changes(company);
    seed_choices();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_seeds, station_create, station_destroy)};

    if (argc != 2) {
        (void)fprintf(stderr, "usage: seeds FOLDER\n");
        return 2;
    }
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Server and devices of different schema versions (I15, docs/SYNC.md 6): every version of the
 * device with every version of the server; nothing that either side wrote is lost, and when both
 * have the same version they hold the same. */
#include "tests/integration/both_sides.h"
#include "tests/schema_fixture/versions.h"

#include "schema/triggers.h"

enum { ANNA = 4, OLDEST = 1, NEWEST = 4 };

static void print_line(void *context, const char *line)
{
    (void)context;
    if (getenv("FIELDSYNC_TEST_TRACE") != NULL)
        print_message("  %s\n", line);
}
static const struct trace TRACE = {print_line, NULL};

static const struct replica_script *device_scripts(void)
{
    static struct replica_script scripts[VERSIONS_COUNT];

    for (size_t i = 0; i < VERSIONS_COUNT; i++)
        scripts[i] = (struct replica_script){VERSIONS[i].name, VERSIONS[i].text};
    return scripts;
}

/* ---- the office ---- */

static void close_office(struct world *world)
{
    master_destroy(world->reader);
    master_destroy(world->master);
    sql_close(world->other);
}

/* The server is stopped, brought to this version and started. */
static void upgrade_office(struct world *world, size_t version)
{
    struct migration_script scripts[VERSIONS_COUNT];
    struct sql_options options = {.path = world->path, .profile = SQL_PROFILE_SERVER};

    for (size_t i = 0; i < VERSIONS_COUNT; i++)
        scripts[i] = (struct migration_script){VERSIONS[i].name, VERSIONS[i].text};
    close_office(world);
    ok(world, sql_open(&options, &world->other, &world->problem));
    ok(world, migrate_run(world->other, SCHEMA_SIDE_SERVER, scripts, version, world->now, NULL,
                          &world->problem));
    arena_reset(&world->catalog_arena);
    ok(world, catalog_load(world->other, &world->catalog_arena, &world->catalog, &world->problem));
    ok(world,
       triggers_install(world->other, &world->catalog, SCHEMA_SIDE_SERVER, NULL, &world->problem));
    world->master = open_master(world, false, NULL);
    world->reader = open_master(world, true, NULL);
    for (size_t i = 0; i < world->side_count; i++) { /* their connections were cut */
        feed_destroy(world->sides[i].feed);
        world->sides[i].feed = NULL;
    }
}

static struct world *office_of(size_t version)
{
    struct world *world = world_create(NULL);

    run_sql(world, world->other, "INSERT INTO app_user(id, login, name) VALUES (4, 'anna', 'Anna')",
            NULL, 0);
    run_sql(world, world->other,
            "INSERT INTO role_grant(id, user_id, role) VALUES (4, 4, 'technician')", NULL, 0);
    adopt(world);
    upgrade_office(world, version);
    return world;
}

static void office_says(struct world *world, const char *sql)
{
    run_sql(world, world->other, sql, NULL, 0);
    adopt(world);
}

/* ---- the device ---- */

static struct side *device_of(struct world *world, size_t version)
{
    world->trace = &TRACE;
    world->scripts = device_scripts();
    world->script_count = version;
    return side_add(world, "anna", ANNA, true);
}

/* The program is started anew, with scripts of its own folder up to `version` (0: as it had). */
static void reopen_device(struct world *world, struct side *side, size_t version)
{
    struct replica_options options = {
        .path = side->path, .extras = device_scripts(), .extra_count = version, .trace = &TRACE};
    struct sql_options other = {.path = side->path, .profile = SQL_PROFILE_AGENT};

    sql_close(side->other);
    replica_close(side->replica);
    side->replica = NULL;
    ok(world, replica_open(&options, &side->replica, &world->problem));
    ok(world, sql_open(&other, &side->other, &world->problem));
    side->has_scripts = false;
}

/* One session: what goes up, then what comes down. */
static void talk(struct world *world, struct side *side)
{
    static struct answers answers;
    int64_t seal_no = 0;

    side_resume(world, side);
    side_push(world, side, 64 * 1024, &answers);
    ok(world, replica_next_seal(side->replica, 0, &seal_no, &world->problem));
    if (seal_no != 0) /* what waited since before the connection and what came since */
        side_push(world, side, 64 * 1024, &answers);
    side_pull(world, side);
}

static const char *one_text(struct world *world, struct sql_database *database, const char *sql)
{
    struct sql_statement *statement = NULL;
    const char *text = NULL;
    bool has_row = false;

    ok(world, sql_prepare(database, sql, &statement, &world->problem));
    ok(world, sql_step(statement, &has_row, &world->problem));
    if (has_row)
        ok(world, sql_column_text(statement, 0, &world->arena, &text, &world->problem));
    sql_release(statement);
    return text == NULL ? "" : text;
}

static void expect(struct world *world, struct sql_database *database, const char *sql,
                   const char *expected)
{
    const char *found = one_text(world, database, sql);

    if (strcmp(found, expected) != 0)
        fail_msg("%s\n  is '%s'\n  not '%s'", sql, found, expected);
}

/* Both hold the same in all columns that the server has; and the sums agree. */
static void expect_same(struct world *world, struct side *side)
{
    static const char LIFTS[] =
        "SELECT coalesce(group_concat(line, '; '), '') FROM (SELECT id || ' ' || code || ' ' ||"
        " coalesce(paint, '-') || ' ' || coalesce(floors, '-') || ' ' || note AS line FROM lift"
        " ORDER BY id)";
    static const char CHECKS[] =
        "SELECT coalesce(group_concat(id || ' ' || lift_id || ' ' || coalesce(result, '-'), '; '),"
        " '') FROM lift_check";
    struct job *job = make_job(world, JOB_DIGEST, side);
    struct message_digest digest = {0};
    struct buffer body;
    int64_t next = 0;

    expect(world, side->other, LIFTS, one_text(world, world->other, LIFTS));
    expect(world, side->other, CHECKS, one_text(world, world->other, CHECKS));
    assert_true(replica_speaks_own(side->replica));
    ok(world,
       replica_digests(side->replica, 0, 100, &world->arena, &digest, &next, &world->problem));
    assert_true(digest.count > 0);
    buffer_init(&body, 65536);
    ok(world, message_digest_encode(&digest, &body, &world->problem));
    give_body(world, job, &body);
    run_job(world, job);
    assert_int_equal(job->frame_count, 0); /* nothing differs */
    job_destroy(job);
}

/* Names of what a version calls colour, then paint. */
static const char *paint_of(size_t version)
{
    return version >= 3 ? "paint" : "colour";
}

/* ---- one meeting ---- */

struct meeting {
    size_t office;
    size_t device;
    bool is_offline; /* the device has no connection while it is of another version */
};

static void office_writes(struct world *world, size_t version)
{
    office_says(world, text_of(world,
                               "INSERT INTO lift(id, code, %s) VALUES (11, 'A1', 'red'),"
                               " (12, 'A2', 'blue'), (13, 'A3', NULL)",
                               paint_of(version)));
    if (version < 4)
        office_says(world, "UPDATE lift SET weight = 700 WHERE id = 11");
    if (version >= 2)
        office_says(world, "UPDATE lift SET floors = 9, note = 'office' WHERE id = 12");
    if (version >= 4)
        office_says(world, "INSERT INTO lift_check(id, lift_id, result) VALUES (21, 11, 'good')");
}

/* All that this version lets a technician say. */
static void device_writes(struct world *world, struct side *side, size_t version)
{
    struct sql_database *device = side->other;

    run_sql(world, device,
            text_of(world, "UPDATE lift SET %s = 'green' WHERE id = 11", paint_of(version)), NULL,
            0);
    run_sql(world, device,
            text_of(world,
                    "INSERT INTO lift(id, code, %s) VALUES ((SELECT id FROM new_id), 'B1', 'grey')",
                    paint_of(version)),
            NULL, 0);
    if (version >= 2)
        run_sql(world, device, "UPDATE lift SET floors = 5 WHERE id = 11 OR code = 'B1'", NULL, 0);
    if (version < 4)
        run_sql(world, device, "UPDATE lift SET weight = 850 WHERE id = 13", NULL, 0);
    if (version >= 4)
        run_sql(world, device,
                "INSERT INTO lift_check(id, lift_id, result) VALUES ((SELECT id FROM new_id),"
                " (SELECT id FROM lift WHERE code = 'B1'), 'fair')",
                NULL, 0);
}

/* Everything that was written before the two got the same version, in the newest one. */
static void expect_all(struct world *world, struct sql_database *database,
                       const struct meeting *meeting)
{
    expect(world, database, "SELECT paint FROM lift WHERE id = 11", "green");
    expect(world, database, "SELECT paint FROM lift WHERE code = 'B1'", "grey");
    expect(world, database, "SELECT code FROM lift WHERE id = 12", "A2");
    expect(world, database, "SELECT floors || note FROM lift WHERE id = 12",
           meeting->office >= 2 ? "9office" : "");
    expect(world, database, "SELECT floors FROM lift WHERE code = 'B1'",
           meeting->device >= 2 ? "5" : "");
    expect(world, database, "SELECT floors FROM lift WHERE id = 11",
           meeting->device >= 2 ? "5" : "");
    expect(world, database, "SELECT note FROM lift WHERE id = 11", "none");
    expect(world, database, "SELECT result FROM lift_check WHERE lift_id = 11",
           meeting->office >= 4 ? "good" : "");
    expect(world, database,
           "SELECT k.result FROM lift_check AS k JOIN lift AS l ON l.id = k.lift_id"
           " WHERE l.code = 'B1'",
           meeting->device >= 4 ? "fair" : "");
}

/* Both are brought to the newest version: the office by its scripts, the device by what the office
 * sends, or by scripts of its own. */
static void bring_up(struct world *world, struct side *side, const struct meeting *meeting)
{
    upgrade_office(world, NEWEST);
    if (meeting->is_offline)
        reopen_device(world, side, NEWEST);
    side_resume(world, side);
    assert_true(meeting->device == NEWEST || meeting->office == NEWEST || meeting->is_offline ||
                side->has_scripts);
    reopen_device(world, side, meeting->is_offline ? NEWEST : meeting->device);
    talk(world, side);
}

static void meet(const struct meeting *meeting)
{
    struct world *world = office_of(meeting->office);
    struct side *side = device_of(world, meeting->device);
    bool has_weights = meeting->office < 4 && meeting->device < 4;

    office_writes(world, meeting->office);
    talk(world, side);
    expect(world, side->other,
           text_of(world, "SELECT %s FROM lift WHERE id = 12", paint_of(meeting->device)), "blue");
    if (has_weights)
        expect(world, side->other, "SELECT weight FROM lift WHERE id = 11", "700");
    device_writes(world, side, meeting->device);
    if (!meeting->is_offline)
        talk(world, side);
    if (has_weights && !meeting->is_offline)
        expect(world, world->other, "SELECT weight FROM lift WHERE id = 13", "850");
    bring_up(world, side, meeting);
    expect_all(world, world->other, meeting);
    expect_all(world, side->other, meeting);
    expect_same(world, side);
    /* a value for a column that was dropped meanwhile is kept for a person, whole */
    if (meeting->device < 4 && (meeting->office == 4 || meeting->is_offline))
        expect(world, world->other,
               "SELECT reason_code || json_extract(payload, '$.values.weight') FROM review_item",
               "column_dropped850");
    else
        expect(world, world->other, "SELECT count(*) FROM review_item", "0");
    assert_int_equal(integer_of(world, side->other, "SELECT count(*) FROM fs_unsendable", NULL, 0),
                     0);
    world_destroy(world);
}

/* Versions of office and device; FIELDSYNC_TEST_ALL=1 takes every pair of them. */
static const struct meeting MEETINGS[] = {
    {3, 1, false}, {3, 2, false}, {3, 3, false}, {3, 4, false}, /* n-2, n-1, n, n+1 */
    {1, 3, false}, {2, 4, false}, {4, 1, false}, {4, 3, false},
};

/* Device n-2, n-1, n and n+1, and more: edits made while connected, each side in its own schema. */
static void every_version_meets_every_version(void **state)
{
    (void)state;
    if (getenv("FIELDSYNC_TEST_ALL") == NULL) {
        for (size_t i = 0; i < sizeof MEETINGS / sizeof MEETINGS[0]; i++)
            meet(&MEETINGS[i]);
        return;
    }
    for (size_t office = OLDEST; office <= NEWEST; office++)
        for (size_t device = OLDEST; device <= NEWEST; device++)
            meet(&(struct meeting){.office = office, .device = device});
}

/* R7: what was recorded under one version is delivered after the upgrade to another. */
static void work_of_an_old_version_is_delivered_after_the_upgrade(void **state)
{
    (void)state;
    meet(&(struct meeting){.office = OLDEST, .device = OLDEST, .is_offline = true});
    meet(&(struct meeting){.office = OLDEST, .device = 3, .is_offline = true});
    meet(&(struct meeting){.office = NEWEST, .device = OLDEST, .is_offline = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_meets_every_version),
        cmocka_unit_test(work_of_an_old_version_is_delivered_after_the_upgrade),
    };

    return cmocka_run_group_tests_name("schema_versions", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of schemas that grow while people work: the server is brought up to date, devices follow
 * later, some much later, and what they recorded in between arrives (I15). */
#include "tests/sim/story.h"

#include "tests/schema_fixture/versions.h"

#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"

#ifdef __SANITIZE_ADDRESS__ /* each step costs several times as much */
enum { RUNS = 2, ROUNDS_MAX = 12 };
#else
enum { RUNS = 6, ROUNDS_MAX = 12 };
#endif

/* ---- upgrades ---- */

/* The server's program is ended, replaced by one with these scripts, and started. */
static void upgrade_server(struct world *world, size_t version)
{
    struct migration_script scripts[VERSIONS_COUNT];
    struct sql_options options = {.path = world->server.path, .profile = SQL_PROFILE_SERVER};
    struct wall_time now = world_wall(world, OFFICE);
    struct sql_database *database = NULL;
    struct problem problem = {0};

    for (size_t i = 0; i < VERSIONS_COUNT; i++)
        scripts[i] = (struct migration_script){VERSIONS[i].name, VERSIONS[i].text};
    world_say(world, "server: brought to %s", VERSIONS[version - 1].name);
    network_lose_process(world, OFFICE);
    server_node_stop(world);
    world_enter(world, OFFICE);
    if (sql_open(&options, &database, &problem) != RESULT_OK ||
        migrate_run(database, SCHEMA_SIDE_SERVER, scripts, version, now, NULL, &problem) !=
            RESULT_OK)
        fail_msg("%s", problem.text);
    if (version == 1) { /* tables that are new have no triggers yet */
        struct arena arena;
        struct catalog catalog = {0};

        arena_init(&arena, 16 << 20);
        if (catalog_load(database, &arena, &catalog, &problem) != RESULT_OK ||
            triggers_install(database, &catalog, SCHEMA_SIDE_SERVER, NULL, &problem) != RESULT_OK)
            fail_msg("%s", problem.text);
        arena_done(&arena);
    }
    sql_close(database);
    server_node_start(world);
}

static void restart_agent(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];

    if (!agent->is_running)
        return;
    world_say(world, "%s: started anew", agent->name);
    network_lose_process(world, number);
    agent_node_stop(world, number);
    agent->has_new_schema = false;
    agent_node_start(world, number);
}

/* Does what this device was sent by the server run there by now? */
static bool is_at(struct world *world, int number, size_t version)
{
    char query[200];
    char *found = NULL;
    bool is = false;

    (void)snprintf(query, sizeof query, "SELECT count(*) FROM fs_migration WHERE name = '%s'",
                   VERSIONS[version - 1].name);
    found = text_of(world, number, query);
    is = strcmp(found, "1") == 0;
    free(found);
    return is;
}

/* Everybody comes home, and gets what the server has, however often its messages were lost. */
static void bring_all_to(struct world *world, size_t version)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool are_all = true;

        world_settle(world);
        for (size_t i = 0; i < world->scenario.agent_count; i++) {
            if (world->agents[i].has_new_schema || !is_at(world, (int)i, version)) {
                are_all = false;
                restart_agent(world, (int)i);
            }
        }
        if (are_all)
            return;
        if (round % 2 == 1)
            world_pass(world, HOURS(1) + SECONDS(10)); /* scripts are sent once an hour */
    }
    fail_msg("not all devices have %s", VERSIONS[version - 1].name);
}

static void expect_same_lifts(struct world *world)
{
    static const char LIFTS[] = "SELECT id || ' ' || code || ' ' || coalesce(paint, '-') || ' ' ||"
                                " coalesce(floors, '-') || ' ' || note FROM lift ORDER BY id";
    char *office = text_of(world, OFFICE, LIFTS);

    for (size_t i = 0; i < world->scenario.agent_count; i++)
        expect(world, (int)i, LIFTS, office);
    free(office);
}

/* ---- stories ---- */

/* I15: Anna is away while the server goes through three versions; Bruno follows at once. What she
 * records in the oldest one arrives, what he writes in new columns comes to her. */
static void a_device_three_versions_behind_delivers_and_catches_up(void **state)
{
    struct world *world = world_of(state, 2);

    upgrade_server(world, 1);
    bring_all_to(world, 1);
    sql(world, OFFICE,
        "INSERT INTO lift(id, code, colour) VALUES (11, 'A1', 'red'), (12, 'A2', 'blue')");
    world_settle(world);
    link_cut(world, ANNA);
    sql(world, ANNA, "UPDATE lift SET colour = 'green', weight = 900 WHERE id = 11");
    for (size_t version = 2; version <= 4; version++) {
        upgrade_server(world, version);
        world_pass(world, MINUTES(2));
        restart_agent(world, BRUNO);
        world_pass(world, MINUTES(2));
    }
    sql(world, BRUNO, "UPDATE lift SET floors = 7 WHERE id = 12");
    sql(world, BRUNO, "UPDATE lift SET note = 'noisy' WHERE id = 11");
    world_pass(world, MINUTES(2));
    link_restore(world, ANNA);
    world_settle(world); /* in her old schema: her work goes up, theirs comes down */
    expect(world, OFFICE, "SELECT paint FROM lift WHERE id = 11", "green");
    expect(world, ANNA, "SELECT colour FROM lift ORDER BY id", "green blue");
    bring_all_to(world, 4);
    expect(world, ANNA, "SELECT paint || coalesce(floors, '-') || note FROM lift ORDER BY id",
           "green-noisy blue7none");
    expect(world, OFFICE,
           "SELECT reason_code || json_extract(payload, '$.values.weight') FROM review_item",
           "column_dropped900");
    expect_same_lifts(world);
    check_end(world);
}

/* An upgraded device asks only for rows whose new column differs from its default. */
static void an_upgrade_sends_only_what_new_columns_hold(void **state)
{
    struct world *world = world_of(state, 1);
    int64_t before = 0;

    upgrade_server(world, 1);
    bring_all_to(world, 1);
    sql(world, OFFICE,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
        " INSERT INTO lift(id, code) SELECT i, 'lift number ' || i FROM n");
    world_settle(world);
    upgrade_server(world, 2);
    sql(world, OFFICE, "UPDATE lift SET floors = 3 WHERE id IN (100, 200, 300)");
    sql(world, OFFICE, "UPDATE lift SET colour = 'red' WHERE id = 400");
    world_settle(world);
    restart_agent(world, ANNA);
    before = server_status(world->server.core).bytes_sent;
    bring_all_to(world, 2);
    expect(world, ANNA, "SELECT id FROM lift WHERE floors = 3", "100 200 300");
    assert_true(server_status(world->server.core).bytes_sent - before < 3000);
    check_end(world);
}

/* A device says at each greeting what it has published, to confirm its token. That this is the same
 * head as before its upgrade doesn't mean that the rows of its new table have come. */
static void new_columns_that_were_cut_off_come_with_the_next_session(void **state)
{
    struct world *world = world_of(state, 1);
    size_t told = 0;

    upgrade_server(world, 1);
    world_settle(world);
    sql(world, OFFICE, "INSERT INTO lift(id, code) VALUES (11, 'A1'), (12, 'A2')");
    world_settle(world);
    assert_true(world->agents[0].has_new_schema);
    told = world->story.size;
    restart_agent(world, ANNA);
    while (strstr(world->story.text + told, "> replica 1: WELCOME") == NULL)
        world_pass(world, 10);
    network_link(world, world->agents[0].link)->is_hole[TO_AGENT] = true;
    world_pass(world, SECONDS(1)); /* its receipt arrives, the rows don't */
    link_cut(world, ANNA);
    link_restore(world, ANNA);
    world_settle(world);
    expect(world, ANNA, "SELECT code FROM lift ORDER BY id", "A1 A2");
    check_end(world);
}

/* ---- random runs ---- */

static bool draw_one_in(struct prng *prng, uint64_t count)
{
    return prng_below(prng, count) == 0;
}

/* Somebody writes a lift on this device, in the words of the schema that it has. */
static void write_lift(struct world *world, struct prng *prng, int number)
{
    char script[300];
    int64_t id = (int64_t)prng_below(prng, 6) + 11;
    bool is_painted = false;

    if (!world->agents[number].is_running || !is_at(world, number, 1))
        return;
    is_painted = is_at(world, number, 3);
    (void)snprintf(script, sizeof script, "UPDATE lift SET %s = 'c%d', code = 'L%d' WHERE id = %d",
                   is_painted ? "paint" : "colour", (int)prng_below(prng, 1000),
                   (int)prng_below(prng, 1000), (int)id);
    sql(world, number, script);
    if (is_at(world, number, 2)) {
        (void)snprintf(script, sizeof script,
                       "UPDATE lift SET floors = %d, note = 'n%d' WHERE id = %d",
                       (int)prng_below(prng, 100), (int)prng_below(prng, 100), (int)id);
        sql(world, number, script);
    }
    if (is_at(world, number, 1) && !is_at(world, number, 4)) {
        (void)snprintf(script, sizeof script, "UPDATE lift SET weight = %d WHERE id = %d",
                       (int)prng_below(prng, 1000), (int)id);
        sql(world, number, script);
    }
}

/* Half a minute of work, faults and all; then perhaps one thing about schemas. */
static void live_on(struct world *world, struct prng *prng, size_t *version)
{
    int number = (int)prng_below(prng, world->scenario.agent_count);

    world_pass(world, SECONDS(1) + (int64_t)prng_below(prng, (uint64_t)SECONDS(8)));
    if (*version < VERSIONS_COUNT && draw_one_in(prng, 4) && world->server.is_running) {
        upgrade_server(world, ++*version);
        if (*version == 1)
            sql(world, OFFICE,
                "INSERT INTO lift(id, code) VALUES (11, 'a'), (12, 'b'), (13, 'c'), (14, 'd'),"
                " (15, 'e'), (16, 'f')");
    }
    if (world->agents[number].has_new_schema && draw_one_in(prng, 3))
        restart_agent(world, number);
    if (world->server.is_running && draw_one_in(prng, 2))
        write_lift(world, prng, number);
}

/* The simulator's random life, with a server that goes through five versions and devices that
 * follow when they will; in the end all have the same. */
static void whoever_upgrades_when_all_end_with_the_same(void **state)
{
    struct stage *stage = *state;

    const char *only = getenv("FIELDSYNC_TEST_SEED");
    uint64_t first = only == NULL ? 1 : strtoull(only, NULL, 10);
    uint64_t last = only == NULL ? RUNS : first;

    for (uint64_t seed = first; seed <= last; seed++) {
        const struct scenario_options options = {
            .seed = seed, .agent_count = 3, .span_us = SECONDS(120)};
        struct scenario scenario;
        struct prng prng;
        size_t version = 0;

        scenario_expand(&options, &scenario);
        prng_init(&prng, seed);
        print_message("seed %d\n", (int)seed);
        stage->world = world_create(&scenario, stage->folder,
                                    getenv("FIELDSYNC_TEST_TRACE") != NULL, tell_failure);
        for (int step = 0; step < 40; step++)
            live_on(stage->world, &prng, &version);
        world_settle(stage->world);
        while (version < VERSIONS_COUNT)
            upgrade_server(stage->world, ++version);
        bring_all_to(stage->world, VERSIONS_COUNT);
        expect_same_lifts(stage->world);
        check_end(stage->world);
        world_destroy(stage->world);
        stage->world = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_device_three_versions_behind_delivers_and_catches_up),
        STORY(an_upgrade_sends_only_what_new_columns_hold),
        STORY(new_columns_that_were_cut_off_come_with_the_next_session),
        STORY(whoever_upgrades_when_all_end_with_the_same),
    };

    cmocka_set_test_filter(getenv("STORY")); /* one alone, or all */
    return cmocka_run_group_tests(tests, open_stage, close_stage);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How worlds begin and end: a company is founded, its copies live, their files go. */
#define _GNU_SOURCE /* dirfd, unlinkat */

#include "tests/sim/world.h"

#include "base/invariant.h"
#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"
#include "server/core/devices.h"
#include "server/store/sqlite/sqlite_store.h"
#include "tests/sim/memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STORY_SIZE = 200000 };
#define BASE_US INT64_C(1772438400000000) /* 2026-03-02, 08:00 UTC */

/* ---- the beginning ---- */

static _Noreturn void prepare_failed(const struct problem *problem)
{
    (void)fprintf(stderr, "sim: %s\n", problem->text);
    exit(2);
}

static void prepare_server(const char *path)
{
    struct sql_options options = {.path = path, .profile = SQL_PROFILE_SERVER, .create = true};
    struct sqlite_store_options store_options = {.path = path};
    static const uint8_t SEED[DEVICES_INIT_SEED_SIZE] = {7};
    struct wall_time now = {BASE_US};
    struct sql_database *database = NULL;
    struct store *store = NULL;
    struct arena arena;
    struct catalog catalog = {0};
    struct problem problem = {0};

    arena_init(&arena, 16 * 1024 * 1024);
    if (sql_open(&options, &database, &problem) != RESULT_OK ||
        migrate_run(database, SCHEMA_SIDE_SERVER, NULL, 0, now, NULL, &problem) != RESULT_OK ||
        catalog_load(database, &arena, &catalog, &problem) != RESULT_OK ||
        triggers_install(database, &catalog, SCHEMA_SIDE_SERVER, NULL, &problem) != RESULT_OK)
        prepare_failed(&problem);
    sql_close(database);
    if (sqlite_store_open(&store_options, &catalog, &store, &problem) != RESULT_OK ||
        store_begin(store, STORE_WRITE, &problem) != RESULT_OK ||
        devices_init(store, SEED, &problem) != RESULT_OK ||
        store_commit(store, &problem) != RESULT_OK)
        prepare_failed(&problem);
    store_close(store);
    arena_done(&arena);
}

static void prepare_agent(const char *folder, const char *name, const struct vault_options *vault)
{
    char path[200];
    struct replica_options options = {.path = path, .vault = vault};
    struct replica *replica = NULL;
    struct problem problem = {0};

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (replica_open(&options, &replica, &problem) != RESULT_OK)
        prepare_failed(&problem);
    replica_close(replica);
}

void world_prepare(const char *folder)
{
    char path[200];
    struct disk *disk = sim_zero(sizeof *disk);
    struct prng prng;
    const struct vault_options vault = sim_vault_options(&prng);

    if (sodium_init() < 0)
        exit(2);
    memory_install();
    disk_install(disk, 1);
    disk->now.us = BASE_US;
    prng_init(&prng, 1);
    (void)snprintf(path, sizeof path, "%s/server.db", folder);
    prepare_server(path);
    prepare_agent(folder, "agent.db", NULL);
    prepare_agent(folder, "agent-sealed.db", &vault);
    disk_remove(disk);
    free(disk);
}

static void make_vault(struct world *world)
{
    const struct vault_options options = sim_vault_options(&world->vault_prng);
    struct problem problem = {0};

    prng_init(&world->vault_prng, world->scenario.seed ^ UINT64_C(0x5ea1ed));
    if (world->scenario.is_encrypted &&
        vault_create(&options, &world->vault, &problem) != RESULT_OK)
        world_fail(world, "%s", problem.text);
}

static void enrol_all(struct world *world)
{
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct world_agent *agent = &world->agents[i];
        char sql[120];

        agent_node_init(world, (int)i);
        (void)snprintf(sql, sizeof sql, "SELECT id FROM app_user WHERE login = '%s'", agent->name);
        agent->user_id = sim_integer(world, world->server.office, sql);
        server_node_invite(world, agent);
        agent_node_start(world, (int)i);
    }
    if (!world_wait(world, MINUTES(3))) {
        struct sim_text text = {0};

        world_describe(world, &text);
        world_fail(world, "the devices don't get ready: %s", text.text);
    }
}

static void begin(struct world *world)
{
    const struct scenario *scenario = &world->scenario;

    world->has_faults = true;
    world->has_workload = true;
    world_push_for(world, EVENT_OFFICE, 0, scenario->office_every_us);
    for (size_t i = 0; i < scenario->agent_count; i++)
        world_push_for(world, EVENT_EDIT, (int)i, scenario->edit_every_us);
    faults_begin(world);
}

struct world *world_found(const struct scenario *scenario, const char *folder, bool is_traced,
                          void (*on_failure)(struct world *, const char *))
{
    struct world *world = sim_zero(sizeof *world);
    char from[200];

    world->scenario = *scenario;
    world->on_failure = on_failure;
    world->is_traced = is_traced;
    world->base_us = BASE_US;
    world->story_size_max = STORY_SIZE;
    prng_init(&world->prng, scenario->seed);
    (void)snprintf(world->template_folder, sizeof world->template_folder, "%s", folder);
    (void)snprintf(world->folder, sizeof world->folder, "%s/world-%" PRIu64, folder,
                   scenario->seed);
    (void)mkdir(world->folder, 0700);
    disk_install(&world->disk, scenario->seed);
    world->disk.on_death = faults_on_death;
    world->disk.context = world;
    make_vault(world);
    world->agents = sim_zero(scenario->agent_count * sizeof *world->agents);
    (void)snprintf(world->server.path, sizeof world->server.path, "%s/server.db", world->folder);
    (void)snprintf(from, sizeof from, "%s/server.db", folder);
    sim_copy_file(world, from, world->server.path);
    disk_attach(&world->disk, world_machine(WORLD_OFFICE), world->server.path);
    sim_blobs_init(&world->server.blobs, &world->disk, world_machine(WORLD_OFFICE));
    server_node_init(world);
    server_node_start(world);
    office_fill(world);
    world_pass(world, SECONDS(3));
    enrol_all(world);
    return world;
}

struct world *world_create(const struct scenario *scenario, const char *folder, bool is_traced,
                           void (*on_failure)(struct world *, const char *))
{
    struct world *world = world_found(scenario, folder, is_traced, on_failure);

    begin(world);
    return world;
}

static void copy_folder(struct world *world, const char *from, const char *to)
{
    DIR *folder = opendir(from);
    const struct dirent *entry = NULL;

    if (folder == NULL || mkdir(to, 0700) != 0)
        world_fail(world, "can't copy %s to %s", from, to);
    while ((entry = readdir(folder)) != NULL) {
        char source[512];
        char target[512];

        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        sim_copy_file(world, source, target);
    }
    (void)closedir(folder);
}

void world_live(struct world *world, const struct scenario *scenario, bool is_traced)
{
    char home[sizeof world->folder];

    invariant(scenario->company == world->scenario.company &&
              scenario->agent_count == world->scenario.agent_count);
    invariant((size_t)snprintf(home, sizeof home, "%s/life-%" PRIu64, world->template_folder,
                               scenario->seed) < sizeof home);
    copy_folder(world, world->folder, home);
    disk_move(&world->disk, world->folder, home, scenario->seed);
    disk_move_path(world->server.path, sizeof world->server.path, world->folder, home);
    for (size_t i = 0; i < scenario->agent_count; i++)
        disk_move_path(world->agents[i].path, sizeof world->agents[i].path, world->folder, home);
    (void)snprintf(world->folder, sizeof world->folder, "%s", home);
    memory_leave();
    world->scenario = *scenario;
    world->is_traced = is_traced;
    prng_init(&world->prng, scenario->seed);
    prng_init(&world->vault_prng, scenario->seed ^ UINT64_C(0x5ea1ed) << 32);
    begin(world);
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry = NULL;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder == NULL || closedir(folder) != 0 || rmdir(path) != 0)
        (void)fprintf(stderr, "sim: %s stays\n", path);
}

void world_leave(struct world *world)
{
    remove_folder(world->folder);
}

void world_destroy(struct world *world)
{
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        agent_node_stop(world, (int)i);
        sim_blobs_done(&world->agents[i].blobs);
    }
    server_node_stop(world);
    sim_blobs_done(&world->server.blobs);
    while (world->event_count != 0) {
        struct world_event event = world_pop(world);

        if (event.kind == EVENT_JOB)
            server_node_event(world, &event);
        free(event.bytes);
    }
    remove_folder(world->folder);
    network_free(world);
    history_free(&world->history);
    arena_done(&world->server.catalog_arena);
    vault_destroy(world->vault);
    disk_remove(&world->disk);
    free(world->server.writes);
    free(world->server.running);
    free(world->server.reads);
    free(world->ledger.edits);
    judge_free(&world->judge);
    free(world->events);
    free(world->agents);
    free(world->story.text);
    free(world);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A server that goes back to an older state, as `fieldsync-server restore` does it. */
#include "tests/sim/world.h"

#include "server/core/devices.h"
#include "server/store/sqlite/sqlite_store.h"

#include <stdlib.h>

static void backup_path(const struct world *world, char ret_path[200])
{
    (void)snprintf(ret_path, 200, "%s.backup", world->server.path);
}

static enum result note(struct work *work, void *context, struct problem *problem)
{
    (void)context;
    return work_execute(work, "UPDATE fs_replica SET backup_lcn=lcn_high", NULL, 0, problem);
}

/* A copy of this moment; from now on devices may forget what is in it. */
void backups_take(struct world *world)
{
    struct master_outcome outcome;
    struct problem problem = {0};
    char path[200];

    backup_path(world, path);
    world_say(world, "server: a backup");
    life_copy_database(world, world->server.path, path);
    world_enter(world, WORLD_OFFICE);
    if (master_run(world->server.writer, world_wall(world, WORLD_OFFICE), note, NULL, &outcome,
                   &problem) != RESULT_OK)
        world_fail(world, "the backup isn't noted: %s", problem.text);
    if (outcome.work.seq != 0)
        history_commit(&world->history);
}

static struct devices_given read_given(struct world *world)
{
    sqlite3 *office = world->server.office;

    return (struct devices_given){
        .seq = sim_integer(world, office, "SELECT number FROM fs_state WHERE name = 'seq'"),
        .lcn = sim_integer(world, office, "SELECT max(lcn) FROM fs_outbox"),
        .replica_no = sim_integer(world, office,
                                  "SELECT number FROM fs_state WHERE name = 'replica_no_last'")};
}

static void change_epoch(struct world *world, const struct devices_given *given)
{
    const struct sqlite_store_options options = {.path = world->server.path};
    uint8_t seed[DEVICES_INIT_SEED_SIZE];
    struct store *store = NULL;
    struct problem problem = {0};

    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)prng_next(&world->prng);
    if (sqlite_store_open(&options, &world->server.catalog, &store, &problem) != RESULT_OK ||
        store_begin(store, STORE_WRITE, &problem) != RESULT_OK ||
        devices_restored(store, seed, given, &problem) != RESULT_OK ||
        store_commit(store, &problem) != RESULT_OK)
        world_fail(world, "restoring: %s", problem.text);
    store_close(store);
}

void backups_restore(struct world *world)
{
    struct devices_given given = read_given(world);
    struct sim_text shared = {0};
    char path[200];

    backup_path(world, path);
    world_say(world, "server: restored from its backup");
    network_lose_process(world, WORLD_OFFICE);
    server_node_stop(world);
    life_copy_database(world, path, world->server.path);
    sim_text_add(&shared, "%s-shm", world->server.path);
    (void)remove(shared.text);
    free(shared.text);
    disk_restart(&world->disk, world_machine(WORLD_OFFICE));
    world_enter(world, WORLD_OFFICE);
    change_epoch(world, &given);
    history_open(&world->history, world, world->server.path);
    history_restored(&world->history);
    history_close(&world->history);
    server_node_start(world);
}

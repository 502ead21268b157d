/* SPDX-License-Identifier: Apache-2.0 */
/* restores: random lives of disks that are copied and put back and of a server that goes back to
 * its backups, with kills, power cuts and cut links in between; and thousands of crashes that must
 * not be taken for any of it.
 *
 * The model is one line: a note that some disk holds as its own, or that the master has had since
 * it was last restored, is on the master once in the end (I2, G1, G2, I14). Whether all replicas
 * agree with the master is checked as after every run of the simulator. */
#define _GNU_SOURCE /* mkdtemp */

#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AGENTS = 4, NOTES_MAX = 400, STEPS = 60, ROUNDS_MAX = 40 };

/* What the disks hold of their own, by the model. */
struct model {
    size_t note_count;
    bool is_on_disk[AGENTS][NOTES_MAX];
    bool is_in_image[AGENTS][NOTES_MAX];
    bool has_image[AGENTS];
    bool was_stored[NOTES_MAX]; /* on the master, since its last restore */
    bool has_backup;
    int64_t replica_no[AGENTS];
    int64_t image_replica_no[AGENTS];
};

struct totals {
    int64_t seeds, notes, clones, put_backs, backups, restores, decisions, renewals, again;
    int64_t kills, power_cuts, holds;
};

static int64_t office_integer(struct world *world, const char *query)
{
    return sim_integer(world, world->server.office, query);
}

static int64_t stored_count(struct world *world, size_t note)
{
    char query[100];

    (void)snprintf(query, sizeof query, "SELECT count(*) FROM call_note WHERE body = 'note %zu'",
                   note);
    return office_integer(world, query);
}

/* ---- what happens ---- */

static void write_note(struct world *world, struct model *model, int number)
{
    struct world_agent *agent = &world->agents[number];
    char script[300];

    if (!agent->is_running || model->note_count == NOTES_MAX)
        return;
    (void)snprintf(script, sizeof script,
                   "INSERT INTO call_note (id, call_id, occurred_at, by_id, body) VALUES"
                   " ((SELECT id FROM new_id), 1, %" PRId64 ", %" PRId64 ", 'note %zu')",
                   world_wall(world, number).us, agent->user_id, model->note_count);
    world_enter(world, number);
    if (sim_try(agent->database, script) != SQLITE_OK)
        return; /* locked at the moment */
    model->is_on_disk[number][model->note_count++] = true;
    agent_node_changed(world, number);
}

static void look_at_master(struct world *world, struct model *model)
{
    for (size_t i = 0; i < model->note_count && world->server.is_running; i++)
        model->was_stored[i] = model->was_stored[i] || stored_count(world, i) > 0;
}

/* Under its new number a device doesn't send again what was answered under the old one. */
static void look_at_numbers(struct world *world, struct model *model, struct totals *totals)
{
    for (int a = 0; a < AGENTS; a++) {
        int64_t replica_no = 0;

        if (!world->agents[a].is_running)
            continue;
        replica_no = agent_node_state(world, a, "replica_no");
        if (replica_no == model->replica_no[a] || !world->server.is_running)
            continue;
        totals->renewals++;
        model->replica_no[a] = replica_no;
        for (size_t i = 0; i < model->note_count; i++)
            if (stored_count(world, i) > 0)
                model->is_on_disk[a][i] = false;
    }
}

static void put_back(struct world *world, struct model *model, struct totals *totals, int number)
{
    /* an image from before another number has other keys beside it: the sim keeps one set */
    if (!model->has_image[number] || world->agents[number].is_renewing ||
        model->image_replica_no[number] != model->replica_no[number])
        return;
    life_put_image_back(world, number);
    totals->put_backs++;
    memcpy(model->is_on_disk[number], model->is_in_image[number], sizeof model->is_on_disk[number]);
}

static void clone(struct world *world, struct model *model, struct totals *totals, int from, int to)
{
    if (from == to || world->agents[from].is_renewing || !world->agents[from].is_enrolled)
        return;
    life_clone(world, from, to);
    totals->clones++;
    world->agents[to].is_renewing = false;
    world->agents[to].is_enrolled = true;
    memcpy(model->is_on_disk[to], model->is_on_disk[from], sizeof model->is_on_disk[to]);
    model->has_image[to] = false;
    model->replica_no[to] = model->replica_no[from];
}

static void restore(struct world *world, struct model *model, struct totals *totals)
{
    if (!model->has_backup)
        return;
    backups_restore(world);
    totals->restores++;
    memset(model->was_stored, 0, sizeof model->was_stored);
}

static void decide(struct world *world, struct totals *totals)
{
    int64_t replica_no =
        office_integer(world, "SELECT replica_no FROM fs_copy WHERE decision IS NULL AND"
                              " replica_no IN (SELECT replica_no FROM fs_replica"
                              " WHERE state = 'held') ORDER BY random() LIMIT 1");
    char query[120];

    if (replica_no == 0)
        return;
    (void)snprintf(query, sizeof query,
                   "SELECT copy_no FROM fs_copy WHERE decision IS NULL AND replica_no = %" PRId64
                   " ORDER BY random() LIMIT 1",
                   replica_no);
    if (life_choose(world, replica_no, office_integer(world, query)))
        totals->decisions++;
}

static void happen(struct world *world, struct model *model, struct totals *totals)
{
    int number = (int)world_draw(world, 0, AGENTS - 1);
    int64_t dice = world_draw(world, 0, 99);

    if (dice < 35) {
        write_note(world, model, number);
    } else if (dice < 50) {
        world_pass(world, world_draw(world, 0, SECONDS(20)));
    } else if (dice < 60) {
        world->agents[number].is_offline = !world->agents[number].is_offline;
        if (world->agents[number].link != 0 && world->agents[number].is_offline)
            network_cut(world, network_link(world, world->agents[number].link));
    } else if (dice < 70) {
        bool is_power = world_chance(world, 500000);

        is_power ? agent_node_power_cut(world, number) : agent_node_crash(world, number);
        *(is_power ? &totals->power_cuts : &totals->kills) += 1;
    } else if (dice < 74) {
        server_node_crash(world);
        totals->kills++;
    } else if (dice < 80 && world->agents[number].is_running) {
        life_keep_image(world, number);
        memcpy(model->is_in_image[number], model->is_on_disk[number],
               sizeof model->is_in_image[number]);
        model->has_image[number] = true;
        model->image_replica_no[number] = model->replica_no[number];
    } else if (dice < 85) {
        put_back(world, model, totals, number);
    } else if (dice < 89) {
        clone(world, model, totals, number, (int)world_draw(world, 0, AGENTS - 1));
    } else if (dice < 93 && world->server.is_running) {
        look_at_master(world, model);
        backups_take(world);
        model->has_backup = true;
        totals->backups++;
    } else if (dice < 95 && world->server.is_running) {
        restore(world, model, totals);
    } else if (world->server.is_running) {
        decide(world, totals);
    }
}

/* ---- the end ---- */

static void call_all(struct world *world)
{
    struct agent_event event = {.kind = AGENT_EVENT_SYNC_NOW};

    for (int a = 0; a < AGENTS; a++) {
        world->agents[a].is_offline = false;
        if (world->agents[a].is_running)
            agent_node_step(world, a, &event);
    }
}

/* Devices that the server doesn't know are given a new code. */
static void help_forgotten(struct world *world, struct totals *totals)
{
    for (int a = 0; a < AGENTS; a++) {
        struct world_agent *agent = &world->agents[a];
        char query[120];

        if (!agent->is_running || agent_status(agent->core).state == AGENT_LIVE)
            continue;
        (void)snprintf(query, sizeof query,
                       "SELECT count(*) FROM fs_replica WHERE replica_no = %" PRId64,
                       agent_node_state(world, a, "replica_no"));
        if (!agent->is_renewing && office_integer(world, query) > 0)
            continue;
        life_enrol_again(world, a);
        totals->again++;
    }
}

static void bring_home(struct world *world, struct totals *totals)
{
    if (!world->server.is_running)
        server_node_start(world);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        world_pass(world, SECONDS(12)); /* machines are up again */
        call_all(world);
        if (world_wait(world, SECONDS(20)))
            return;
        for (int i = 0; i < AGENTS; i++)
            decide(world, totals);
        if (round > 2)
            help_forgotten(world, totals);
    }
    world_settle(world); /* fails, and says why */
}

static void check(struct world *world, struct model *model)
{
    for (size_t i = 0; i < model->note_count; i++) {
        int64_t count = stored_count(world, i);
        bool is_due = model->was_stored[i];

        for (int a = 0; a < AGENTS; a++)
            is_due = is_due || model->is_on_disk[a][i];
        if (count > 1)
            world_fail(world, "G2: note %zu is there %" PRId64 " times", i, count);
        if (is_due && count == 0)
            world_fail(world, "G1: note %zu is on a disk or was on the master, and is lost", i);
    }
    check_end(world);
}

/* Each has a visit at site 1, and so the right to write at call 1. */
static const char EVERYBODY_AT_SITE_1[] = "UPDATE call SET site_id = 1, party_id = 1 WHERE id <= 4;"
                                          "UPDATE activity SET technician_id = id WHERE id <= 4";

static struct world *begin(uint64_t seed, const char *folder, bool is_traced)
{
    struct scenario scenario;
    struct world *world = NULL;

    scenario_quiet(seed, AGENTS, &scenario);
    world = world_create(&scenario, folder, is_traced, NULL);
    world->is_story = true;
    world->has_faults = false;
    world->has_workload = false;
    world_enter(world, WORLD_OFFICE);
    sim_exec(world, world->server.office, EVERYBODY_AT_SITE_1);
    server_node_changed(world);
    if (!world_wait(world, SECONDS(60)))
        world_fail(world, "they don't get their work");
    return world;
}

static void run_seed(uint64_t seed, const char *folder, bool is_traced, struct totals *totals)
{
    struct world *world = begin(seed, folder, is_traced);
    struct model *model = sim_zero(sizeof *model);

    for (int a = 0; a < AGENTS; a++)
        model->replica_no[a] = agent_node_state(world, a, "replica_no");
    for (int step = 0; step < STEPS; step++) {
        happen(world, model, totals);
        world_pass(world, world_draw(world, 0, SECONDS(2)));
        look_at_numbers(world, model, totals);
        look_at_master(world, model);
    }
    bring_home(world, totals);
    look_at_numbers(world, model, totals);
    totals->holds += office_integer(world, "SELECT count(*) FROM fs_audit WHERE event = 'fork'");
    totals->notes += (int64_t)model->note_count;
    check(world, model);
    totals->seeds++;
    free(model);
    world_destroy(world);
}

/* ---- crashes are crashes ---- */

/* In the midst of anything: sealing, sending, storing a greeting, committing. */
static void crash_one(struct world *world, struct totals *totals)
{
    int number = (int)world_draw(world, 0, AGENTS);
    bool is_power = world_chance(world, 500000);

    if (number == AGENTS)
        is_power ? server_node_power_cut(world) : server_node_crash(world);
    else
        is_power ? agent_node_power_cut(world, number) : agent_node_crash(world, number);
    *(is_power ? &totals->power_cuts : &totals->kills) += 1;
}

static void run_crashes(int64_t crash_count, const char *folder, bool is_traced)
{
    struct totals totals = {0};
    struct model *model = sim_zero(sizeof *model);
    uint64_t seed = 0;

    while (totals.kills + totals.power_cuts < crash_count) {
        struct world *world = begin(++seed, folder, is_traced);

        model->note_count = 0;
        memset(model->is_on_disk, 0, sizeof model->is_on_disk);
        for (int i = 0; i < 250 && totals.kills + totals.power_cuts < crash_count; i++) {
            write_note(world, model, (int)world_draw(world, 0, AGENTS - 1));
            world_pass(world,
                       world_draw(world, 0,
                                  world_chance(world, 700000) ? MILLISECONDS(300) : SECONDS(12)));
            crash_one(world, &totals);
        }
        bring_home(world, &totals);
        totals.holds += office_integer(world, "SELECT count(*) FROM fs_audit WHERE event = 'fork'");
        if (totals.holds != 0)
            world_fail(world, "3.6: a crash was taken for a copied disk");
        check_end(world);
        world_destroy(world);
    }
    free(model);
    printf("%" PRId64 " crashes in %" PRIu64 " worlds: %" PRId64 " kills, %" PRId64
           " power cuts; %" PRId64 " devices taken for copies\n",
           crash_count, seed, totals.kills, totals.power_cuts, totals.holds);
}

/* ---- the program ---- */

static uint64_t option(int count, char **words, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < count; i++)
        if (strcmp(words[i], name) == 0)
            return strtoull(words[i + 1], NULL, 10);
    return otherwise;
}

int main(int count, char **words)
{
    char folder[64] = "/dev/shm/fieldsync-restores-XXXXXX";
    char command[100];
    uint64_t first = option(count, words, "--seed", option(count, words, "--first", 1));
    uint64_t seeds =
        option(count, words, "--seed", 0) != 0 ? 1 : option(count, words, "--seeds", 0);
    uint64_t crashes = option(count, words, "--crashes", 0);
    bool is_traced = count > 1 && strcmp(words[count - 1], "--trace") == 0;
    struct totals totals = {0};

    if (mkdtemp(folder) == NULL)
        return 2;
    world_prepare(folder);
    for (uint64_t seed = first; seed < first + seeds; seed++)
        run_seed(seed, folder, is_traced, &totals);
    if (seeds > 0)
        printf("%" PRId64 " lives: %" PRId64 " notes, %" PRId64 " clones, %" PRId64
               " disks put back, %" PRId64 " backups, %" PRId64 " restores, %" PRId64
               " kills, %" PRId64 " power cuts; %" PRId64 " holds, %" PRId64 " decisions, %" PRId64
               " new numbers, %" PRId64 " of them by hand\n",
               totals.seeds, totals.notes, totals.clones, totals.put_backs, totals.backups,
               totals.restores, totals.kills, totals.power_cuts, totals.holds, totals.decisions,
               totals.renewals, totals.again);
    if (crashes > 0)
        run_crashes((int64_t)crashes, folder, is_traced);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? 0 : 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Disks that are copied, or put back to an older image; and the admin who decides. */
#include "tests/sim/world.h"

#include "server/core/copies.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void life_copy_database(struct world *world, const char *from, const char *to)
{
    static const char *const ENDS[] = {"", "-wal", VAULT_LOG_SUFFIX};

    for (size_t i = 0; i < sizeof ENDS / sizeof ENDS[0]; i++) {
        struct sim_text source = {0};
        struct sim_text target = {0};

        sim_text_add(&source, "%s%s", from, ENDS[i]);
        sim_text_add(&target, "%s%s", to, ENDS[i]);
        sim_copy_file(world, source.text, target.text);
        free(source.text);
        free(target.text);
    }
}

static void image_path(const struct world_agent *agent, char ret_path[200])
{
    (void)snprintf(ret_path, 200, "%s.image", agent->path);
}

void life_keep_image(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    char image[200];

    image_path(agent, image);
    world_say(world, "%s: an image of the disk is kept", agent->name);
    life_copy_database(world, agent->path, image);
}

/* Files under a process that is gone: it starts on what is there now. */
static void change_disk(struct world *world, int number, const char *from)
{
    struct world_agent *agent = &world->agents[number];
    struct sim_text shared = {0};

    network_lose_process(world, number);
    agent_node_stop(world, number);
    life_copy_database(world, from, agent->path);
    sim_text_add(&shared, "%s-shm", agent->path);
    (void)remove(shared.text);
    free(shared.text);
    disk_restart(&world->disk, world_machine(number));
}

/* Keys are files beside it and part of the image; nobody has had others since. */
void life_put_image_back(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    char image[200];

    image_path(agent, image);
    world_say(world, "%s: the disk is put back to its image", agent->name);
    change_disk(world, number, image);
    agent_node_start(world, number);
}

void life_clone(struct world *world, int from, int to)
{
    struct world_agent *original = &world->agents[from];
    struct world_agent *copy = &world->agents[to];

    world_say(world, "%s's disk is a copy of %s's from now on", copy->name, original->name);
    change_disk(world, to, original->path);
    memcpy(copy->secret, original->secret, sizeof copy->secret);
    memcpy(copy->sign_public, original->sign_public, sizeof copy->sign_public);
    memcpy(copy->psk, original->psk, sizeof copy->psk);
    copy->user_id = original->user_id;
    copy->replica_no = original->replica_no;
    agent_node_start(world, to);
}

/* ---- the admin ---- */

struct choice {
    int64_t replica_no, copy_no;
};

static enum result choose(struct work *work, void *context, struct problem *problem)
{
    const struct choice *choice = context;
    bool goes_on = false;

    return copies_choose(work, choice->replica_no, choice->copy_no, &goes_on, problem);
}

bool life_choose(struct world *world, int64_t replica_no, int64_t copy_no)
{
    struct choice choice = {replica_no, copy_no};
    struct master_outcome outcome;
    struct problem problem = {0};
    enum result result;

    world_enter(world, WORLD_OFFICE);
    result = master_run(world->server.writer, world_wall(world, WORLD_OFFICE), choose, &choice,
                        &outcome, &problem);
    world_say(world, "office: of replica %" PRId64 " copy %" PRId64 " lives: %s", replica_no,
              copy_no, result == RESULT_OK ? "ok" : problem.text);
    if (result == RESULT_OK && outcome.work.seq != 0)
        history_commit(&world->history);
    return result == RESULT_OK;
}

/* ---- another number ---- */

static void make_keys(struct world *world, struct world_agent *agent)
{
    for (size_t i = 0; i < sizeof agent->secret; i++) {
        agent->secret[i] = (uint8_t)prng_next(&world->prng);
        agent->sign_public[i] = (uint8_t)prng_next(&world->prng);
    }
    agent->is_enrolled = false;
    agent->is_renewing = true;
}

/* In the midst of a step: the process goes on with other keys as soon as it is over. */
void life_renew(struct world *world, int number, struct bytes code)
{
    struct world_agent *agent = &world->agents[number];

    if (code.size != sizeof agent->token_id + sizeof agent->token_secret)
        world_fail(world, "%s: a code of %zu bytes", agent->name, code.size);
    memcpy(agent->token_id, code.data, sizeof agent->token_id);
    memcpy(agent->token_secret, code.data + sizeof agent->token_id, sizeof agent->token_secret);
    make_keys(world, agent);
    agent->has_old_core = true;
}

void life_start_again(struct world *world, int number)
{
    world->agents[number].has_old_core = false;
    network_lose_process(world, number);
    agent_node_stop(world, number);
    agent_node_start(world, number);
}

void life_enrol_again(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];

    world_say(world, "%s: a new code is entered", agent->name);
    server_node_invite(world, agent);
    make_keys(world, agent);
    life_start_again(world, number);
}

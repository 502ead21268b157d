/* SPDX-License-Identifier: Apache-2.0 */
/* A device: the agent's core on its replica, and the programs beside it that write with plain SQL.
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void write_trace(void *context, const char *line)
{
    struct world_agent *agent = context;

    world_say(agent->world, "%s: %s", agent->name, line);
}

static const char *const NAMES[] = {"anna", "bruno", "carla", "dario", "elena", "fabio", "gina"};

void agent_node_init(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    char template_path[200];
    uint8_t seed[32];
    uint8_t secret[64];

    agent->world = world;
    if ((size_t)number < sizeof NAMES / sizeof NAMES[0])
        (void)snprintf(agent->name, sizeof agent->name, "%s", NAMES[number]);
    else
        (void)snprintf(agent->name, sizeof agent->name, "person %d", number);
    agent->trace = (struct trace){write_trace, agent};
    agent->skew_us = world->scenario.skew_us[number];
    for (size_t i = 0; i < sizeof seed; i++) {
        agent->secret[i] = (uint8_t)prng_next(&world->prng);
        seed[i] = (uint8_t)prng_next(&world->prng);
    }
    if (crypto_sign_seed_keypair(agent->sign_public, secret, seed) != 0)
        world_fail(world, "no keys");
    (void)snprintf(agent->path, sizeof agent->path, "%s/agent%d.db", world->folder, number);
    (void)snprintf(template_path, sizeof template_path, "%s/%s", world->template_folder,
                   world->scenario.is_encrypted ? "agent-sealed.db" : "agent.db");
    sim_copy_file(world, template_path, agent->path);
    disk_attach(&world->disk, world_machine(number), agent->path);
    world_disk(world, number)->log_end = world->scenario.is_encrypted ? VAULT_LOG_SUFFIX : "-wal";
    sim_blobs_init(&agent->blobs, &world->disk, world_machine(number));
}

/* A start that fails because of the disk is tried again later. */
static void start_later(struct world *world, int number)
{
    world_push(world, world_draw(world, MILLISECONDS(100), SECONDS(10)),
               (struct world_event){
                   .kind = EVENT_AGENT_START, .agent = number, .life = world->agents[number].life});
}

static enum result open_core(struct world *world, int number, struct problem *problem)
{
    struct world_agent *agent = &world->agents[number];
    const struct vault_options vault = sim_vault_options(&world->vault_prng);
    struct replica_options replica_options = {.path = agent->path,
                                              .vault = world->vault != NULL ? &vault : NULL,
                                              .checkpoint_rows = world->scenario.checkpoint_rows,
                                              .trace = &agent->trace};
    struct agent_options options = {
        .static_secret = agent->secret,
        .psk = agent->is_enrolled ? agent->psk : NULL,
        .next_secret = agent->has_next ? agent->next_secret : NULL,
        .next_psk = agent->has_next_psk ? agent->next_psk : NULL,
        .previous_secret = agent->has_previous ? agent->previous_secret : NULL,
        .previous_psk = agent->has_previous ? agent->previous_psk : NULL,
        .key_serial_min = agent->key_serial,
        .root_public_key = world->server.root_public,
        .jitter_seed = prng_next(&world->prng),
        .app_version = "sim",
        .blobs = &agent->blobs.store,
        .trace = &agent->trace,
        .token_id = agent->is_enrolled ? NULL : agent->token_id,
        .token_secret = agent->is_enrolled ? NULL : agent->token_secret,
        .sign_public_key = agent->sign_public,
        .device_name = agent->name,
        .is_renewal = agent->is_renewing,
    };
    enum result result = RESULT_OK;

    world_arm(world, number);
    result = replica_open(&replica_options, &agent->replica, problem);
    options.replica = agent->replica;
    if (result == RESULT_OK)
        result = agent_create(&options, &agent->core, problem);
    world_disarm(world);
    return result;
}

/* Nothing may fail by itself: a full disk is said to be full, a lock is somebody's. */
static void check_excuse(struct world *world, int number, const char *what, enum result result,
                         const struct problem *problem)
{
    struct world_agent *agent = &world->agents[number];

    if (world_disk(world, number)->struck_count == 0 &&
        (result != RESULT_WAIT || agent->locker == NULL))
        world_fail(world, "%s: %s: %s: %s", agent->name, what, result_name(result), problem->text);
    world_say(world, "%s: %s: %s: %s", agent->name, what, result_name(result), problem->text);
}

void agent_node_start(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    struct agent_event event = {.kind = AGENT_EVENT_START};
    struct problem problem = {0};
    enum result result = open_core(world, number, &problem);

    if (result != RESULT_OK) {
        bool is_dead = world_disk(world, number)->is_dead;

        if (!is_dead)
            check_excuse(world, number, "it doesn't start", result, &problem);
        replica_close(agent->replica);
        agent->replica = NULL;
        if (is_dead)
            agent_node_die(world, number);
        else
            start_later(world, number);
        return;
    }
    agent->database = sim_open(world, agent->path);
    agent->scans = sim_zero(world->history.table_count * sizeof(sqlite3_stmt *));
    agent->data_version = 0;
    agent->is_running = true;
    agent->life++;
    agent_node_step(world, number, &event);
}

void agent_node_stop(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];

    if (!agent->is_running)
        return;
    agent->is_running = false;
    agent->stopped_until_us = 0;
    agent->link = 0;
    (void)sqlite3_close(agent->locker);
    agent->locker = NULL;
    agent_destroy(agent->core);
    agent->core = NULL;
    replica_close(agent->replica);
    agent->replica = NULL;
    for (size_t i = 0; i < world->history.table_count; i++)
        sqlite3_finalize(agent->scans[i]);
    free(agent->scans);
    agent->scans = NULL;
    (void)sqlite3_close(agent->database);
    agent->database = NULL;
}

/* The files of that moment are kept already. */
void agent_node_die(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    int machine = world_machine(number);

    world_count(world, world->death[machine]);
    world_say(world, "%s: %s", agent->name, fault_name(world->death[machine]));
    network_lose_process(world, number);
    agent_node_stop(world, number);
    sim_restore_files(world, agent->path);
    disk_restart(&world->disk, machine);
    start_later(world, number);
}

static void end_now(struct world *world, int number, enum fault how)
{
    if (!world->agents[number].is_running)
        return;
    world->death[world_machine(number)] = how;
    faults_on_death(world, world_machine(number));
    agent_node_die(world, number);
}

void agent_node_crash(struct world *world, int number)
{
    end_now(world, number, FAULT_DEVICE_KILL);
}

void agent_node_power_cut(struct world *world, int number)
{
    end_now(world, number, FAULT_DEVICE_POWER_CUT);
}

void agent_node_reopen(struct world *world, int number, const char *why)
{
    world->counts.reopens++;
    world_say(world, "%s: ends: %s", world->agents[number].name, why);
    network_lose_process(world, number);
    agent_node_stop(world, number);
    world_disk(world, number)->struck_count = 0;
    start_later(world, number);
}

int64_t agent_node_state(struct world *world, int number, const char *name)
{
    struct world_agent *agent = &world->agents[number];
    char sql[120];

    (void)snprintf(sql, sizeof sql, "SELECT number FROM fs_state WHERE name = '%s'", name);
    return sim_integer(world, agent->database, sql);
}

/* ---- the step ---- */

static void enrolled(struct world *world, int number, const struct agent_effect *effect)
{
    struct world_agent *agent = &world->agents[number];

    if (effect->bytes.size != sizeof agent->psk)
        world_fail(world, "%s: a key of %zu bytes", agent->name, effect->bytes.size);
    memcpy(agent->psk, effect->bytes.data, sizeof agent->psk);
    agent->is_enrolled = true;
    agent->replica_no = agent_node_state(world, number, "replica_no");
    agent->is_renewing = false;
}

static void keys_rotated(struct world_agent *agent)
{
    memcpy(agent->previous_secret, agent->secret, sizeof agent->secret);
    memcpy(agent->previous_psk, agent->psk, sizeof agent->psk);
    memcpy(agent->secret, agent->next_secret, sizeof agent->secret);
    memcpy(agent->psk, agent->next_psk, sizeof agent->psk);
    agent->has_previous = true;
    agent->has_next = agent->has_next_psk = false;
}

static void swap(uint8_t *a, uint8_t *b)
{
    for (int i = 0; i < 32; i++) {
        uint8_t kept = a[i];

        a[i] = b[i];
        b[i] = kept;
    }
}

/* False: the process is gone. */
static void carry_out(struct world *world, int number, const struct agent_effect *effect)
{
    struct world_agent *agent = &world->agents[number];
    struct link *link = agent->link == 0 ? NULL : network_link(world, agent->link);

    switch (effect->kind) {
    case AGENT_EFFECT_CONNECT:
        network_dial(world, number);
        break;
    case AGENT_EFFECT_SEND:
        network_send(world, link, TO_SERVER, effect->bytes);
        break;
    case AGENT_EFFECT_CLOSE:
        network_close(world, link, TO_AGENT);
        break;
    case AGENT_EFFECT_ENROLLED:
        enrolled(world, number, effect);
        break;
    case AGENT_EFFECT_RENEW:
        life_renew(world, number, effect->bytes);
        break;
    case AGENT_EFFECT_NEXT_PSK:
        memcpy(agent->next_psk, effect->bytes.data, sizeof agent->next_psk);
        agent->has_next_psk = true;
        break;
    case AGENT_EFFECT_KEYS_ROTATED:
        keys_rotated(agent);
        break;
    case AGENT_EFFECT_KEYS_REVERTED:
        swap(agent->secret, agent->previous_secret);
        swap(agent->psk, agent->previous_psk);
        break;
    case AGENT_EFFECT_ROTATION_ASKED:
        agent_node_rotate(world, number);
        break;
    case AGENT_EFFECT_REVOKED:
        agent->is_revoked = true;
        agent->is_wiped = effect->wipe;
        world_say(world, "%s: revoked", agent->name);
        break;
    case AGENT_EFFECT_PUBLISHED:
        agent->publish_count++;
        break;
    case AGENT_EFFECT_SCHEMA:
        agent->has_new_schema = true;
        break;
    case AGENT_EFFECT_ALARM:
        agent->alarm_count++;
        world_say(world, "%s: alarm: %s", agent->name, effect->text);
        break;
    }
}

static void look_at_replica(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    int64_t version = sim_integer(world, agent->database, "PRAGMA data_version");

    if (version == agent->data_version)
        return;
    agent->data_version = version;
    judge_seals(world, number);
    check_replica(world, number);
}

void agent_node_step(struct world *world, int number, struct agent_event *event)
{
    struct world_agent *agent = &world->agents[number];
    struct agent_effects effects = {0};
    struct problem problem = {0};
    enum result result = RESULT_OK;

    world_arm(world, number);
    event->mono.us = world->now_us;
    event->wall = world_wall(world, number);
    result = agent_step(agent->core, event, &effects, &problem);
    world_disarm(world);
    if (world_disk(world, number)->is_dead) {
        agent_node_die(world, number);
        return;
    }
    for (size_t i = 0; i < effects.count; i++)
        carry_out(world, number, &effects.effects[i]);
    if (result != RESULT_OK)
        check_excuse(world, number, "agent_step", result, &problem);
    agent->key_serial = agent_status(agent->core).key_serial;
    look_at_replica(world, number);
    if (agent->is_renewing && agent->has_old_core)
        life_start_again(world, number);
    else if (result == RESULT_STORAGE) /* what is on the disk is unknown: open it anew and look */
        agent_node_reopen(world, number, "the replica is in trouble");
}

void agent_node_rotate(struct world *world, int number)
{
    world_push(world, 1,
               (struct world_event){.kind = EVENT_AGENT_ROTATE,
                                    .agent = number,
                                    .life = world->agents[number].life});
}

/* Stored before it is used. */
static void rotate(struct world *world, int number)
{
    struct world_agent *agent = &world->agents[number];
    struct agent_event event = {.kind = AGENT_EVENT_ROTATE, .seed = agent->next_secret};

    if (!agent->has_next)
        for (size_t i = 0; i < sizeof agent->next_secret; i++)
            agent->next_secret[i] = (uint8_t)prng_next(&world->prng);
    agent->has_next = true;
    agent_node_step(world, number, &event);
}

void agent_node_event(struct world *world, const struct world_event *event)
{
    struct world_agent *agent = &world->agents[event->agent];
    struct agent_event step = {.kind = event->kind == EVENT_AGENT_SYNC ? AGENT_EVENT_SYNC_NOW
                                                                       : AGENT_EVENT_LOCAL_CHANGE};

    if (event->kind == EVENT_AGENT_START) {
        if (!agent->is_running)
            agent_node_start(world, event->agent);
    } else if (agent->is_running && event->life == agent->life &&
               event->kind == EVENT_AGENT_ROTATE) {
        rotate(world, event->agent);
    } else if (agent->is_running && event->life == agent->life) {
        agent_node_step(world, event->agent, &step);
    }
}

/* Some program has committed: the agent's watch on the file fires a little later. */
void agent_node_changed(struct world *world, int number)
{
    world_push(world, world_draw(world, 100, MILLISECONDS(800)),
               (struct world_event){.kind = EVENT_AGENT_CHANGE,
                                    .agent = number,
                                    .life = world->agents[number].life});
}

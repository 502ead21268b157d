/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong by the clock. Faults of single messages are in network.c, those of single calls
 * to the disk in disk.c, those of single edits in people.c. */
#include "tests/sim/world.h"

#include "base/invariant.h"

#define YEAR_US (INT64_C(31557600) * 1000 * 1000)

/* Whom a kind strikes. */
enum target {
    NOT_BY_CLOCK,
    EACH_DEVICE,
    THE_SERVER,
    EACH_MACHINE, /* devices and the server */
};

static void push_end(struct world *world, enum fault fault, int node, int64_t after_us)
{
    world_push(world, after_us,
               (struct world_event){.kind = EVENT_FAULT_END, .agent = node, .fault = fault});
}

/* ---- network ---- */

static void go_offline(struct world *world, enum fault fault, int node)
{
    struct link *link = network_link(world, world->agents[node].link);

    world_say(world, "%s goes out of reach", world->agents[node].name);
    world->agents[node].is_offline = true;
    if (link != NULL)
        network_cut(world, link);
    world_count(world, fault);
    push_end(world, fault, node, world_draw_pause(world, world->scenario.faults[fault].for_us));
}

static void come_online(struct world *world, enum fault fault, int node)
{
    (void)fault;
    world->agents[node].is_offline = false;
}

static void slow_down(struct world *world, enum fault fault, int node)
{
    struct world_agent *agent = &world->agents[node];
    int64_t for_us = world_draw_pause(world, world->scenario.faults[fault].for_us);

    agent->slow_until_us = world->now_us + for_us;
    agent->slow_rate = world_draw(world, 100, 3000);
    world_say(world, "%s reads slowly: %lld bytes a second", agent->name,
              (long long)agent->slow_rate);
    push_end(world, fault, node, for_us);
}

/* What waits in the queue of such a link would come at its old pace: a new one is quicker. */
static void speed_up(struct world *world, enum fault fault, int node)
{
    struct world_agent *agent = &world->agents[node];
    struct link *link = network_link(world, agent->link);
    int64_t waits_us = link == NULL ? 0 : link->sent_us[TO_AGENT] - world->now_us;

    (void)fault;
    if (waits_us > SECONDS(1))
        network_cut(world, link);
    else if (waits_us > 0 && agent->slow_until_us != 0) /* the same bytes, in less time */
        link->sent_us[TO_AGENT] =
            world->now_us + waits_us * agent->slow_rate / world->scenario.bytes_per_second;
    agent->slow_until_us = 0;
}

static void refuse(struct world *world, enum fault fault, int node)
{
    int64_t for_us = world_draw_pause(world, world->scenario.faults[fault].for_us);

    (void)node;
    world->refused_until_us = world->now_us + for_us;
    world_say(world, "the server's machine refuses connections");
    for (struct link *link = world->links; link != NULL; link = link->next)
        if (world_chance(world, 300000))
            network_cut(world, link);
}

static void storm(struct world *world, enum fault fault, int node)
{
    (void)node;
    world_say(world, "all links are cut, all devices come back at once");
    world_count(world, fault);
    for (struct link *link = world->links; link != NULL; link = link->next)
        network_cut(world, link);
    for (size_t i = 0; i < world->scenario.agent_count; i++)
        world_push(world, SECONDS(2),
                   (struct world_event){
                       .kind = EVENT_AGENT_SYNC, .agent = (int)i, .life = world->agents[i].life});
}

/* ---- machines ---- */

static void kill_one(struct world *world, enum fault fault, int node)
{
    (void)fault;
    if (node == WORLD_OFFICE)
        server_node_crash(world);
    else
        agent_node_crash(world, node);
}

static void stop(struct world *world, enum fault fault, int node)
{
    int64_t for_us = world_draw_pause(world, world->scenario.faults[fault].for_us);

    world->agents[node].stopped_until_us = world->now_us + for_us;
    world_say(world, "%s: stands still for %lld s", world->agents[node].name,
              (long long)(for_us / SECONDS(1)));
    world_count(world, fault);
    push_end(world, fault, node, for_us);
}

static void go_on(struct world *world, enum fault fault, int node)
{
    (void)fault;
    world->agents[node].stopped_until_us = 0;
}

/* At one of the next calls that change a file. */
static void kill_inside(struct world *world, enum fault fault, int node)
{
    world->death[world_machine(node)] = fault;
    disk_trouble(&world->disk, world_machine(node), DISK_DEATH, world_draw(world, 0, 60), 1);
}

static void cut_power(struct world *world, enum fault fault, int node)
{
    if (world_chance(world, 500000))
        kill_inside(world, fault, node);
    else if (node == WORLD_OFFICE)
        server_node_power_cut(world);
    else
        agent_node_power_cut(world, node);
}

void faults_on_death(void *context, int machine)
{
    struct world *world = context;
    enum fault fault = world->death[machine];

    sim_keep_files(world, world->disk.machines[machine].path);
    if (fault != FAULT_DEVICE_POWER_CUT && fault != FAULT_SERVER_POWER_CUT)
        return;
    (void)disk_damage(&world->disk, machine);
    sim_blobs_cut_power(machine == world_machine(WORLD_OFFICE) ? &world->server.blobs
                                                               : &world->agents[machine - 1].blobs);
}

/* ---- disks ---- */

static enum disk_trouble trouble_of(enum fault fault)
{
    switch (fault) {
    case FAULT_READ_ERROR:
        return DISK_READ_ERROR;
    case FAULT_WRITE_ERROR:
        return DISK_WRITE_ERROR;
    case FAULT_SYNC_ERROR:
        return DISK_SYNC_ERROR;
    case FAULT_DISK_FULL:
        return DISK_FULL;
    case FAULT_SHORT_READ:
        return DISK_SHORT_READ;
    case FAULT_FLIPPED_BIT:
        return DISK_FLIPPED_BIT;
    default:
        return DISK_SLOW;
    }
}

static void trouble_once(struct world *world, enum fault fault, int node)
{
    disk_trouble(&world->disk, world_machine(node), trouble_of(fault), world_draw(world, 0, 12), 1);
}

static void trouble_for_a_while(struct world *world, enum fault fault, int node)
{
    disk_trouble(&world->disk, world_machine(node), trouble_of(fault), 0, DISK_ALWAYS);
    push_end(world, fault, node, world_draw_pause(world, world->scenario.faults[fault].for_us));
}

static void trouble(struct world *world, enum fault fault, int node)
{
    if (world_chance(world, 500000))
        trouble_once(world, fault, node);
    else
        trouble_for_a_while(world, fault, node);
}

static void end_trouble(struct world *world, enum fault fault, int node)
{
    disk_trouble(&world->disk, world_machine(node), trouble_of(fault), 0, 0);
}

static void lock(struct world *world, enum fault fault, int node)
{
    struct world_agent *agent = &world->agents[node];

    if (agent->is_running)
        agent->locker = sim_open(world, agent->path);
    if (agent->locker != NULL && sim_try(agent->locker, "BEGIN IMMEDIATE") == SQLITE_OK) {
        world_say(world, "a program on %s's device takes the write lock", agent->name);
        world_count(world, fault);
    }
    push_end(world, fault, node, world_draw_pause(world, world->scenario.faults[fault].for_us));
}

static void unlock(struct world *world, enum fault fault, int node)
{
    (void)fault;
    (void)sqlite3_close(world->agents[node].locker);
    world->agents[node].locker = NULL;
}

/* ---- clocks ---- */

static void jump(struct world *world, enum fault fault, int node)
{
    struct world_agent *agent = &world->agents[node];
    struct link *link = network_link(world, agent->link);

    switch (world_draw(world, 0, 5)) {
    case 0: /* asleep for a night: the link is dead, nobody was told */
        agent->skew_us += HOURS(8);
        if (link != NULL)
            link->is_hole[TO_SERVER] = link->is_hole[TO_AGENT] = true;
        break;
    case 1:
        agent->skew_us -= YEAR_US;
        break;
    case 2:
        agent->skew_us = -56 * YEAR_US;
        break;
    case 3:
        agent->skew_us = 73 * YEAR_US;
        break;
    case 4:
        agent->skew_us += world_draw(world, -SECONDS(100), SECONDS(100));
        break;
    default:
        agent->skew_us = 0;
        break;
    }
    world_say(world, "%s's clock is now wrong by %lld s", agent->name,
              (long long)(agent->skew_us / SECONDS(1)));
    world_count(world, fault);
}

/* Subscriptions have windows of weeks, so that less than a few days changes no one's. */
static void jump_server(struct world *world, enum fault fault, int node)
{
    int64_t most_us = world_chance(world, 500000) ? MINUTES(10) : HOURS(60);

    (void)node;
    world->server_skew_us = world_draw(world, -most_us, most_us);
    world_say(world, "the server's clock is now wrong by %lld s",
              (long long)(world->server_skew_us / SECONDS(1)));
    world_count(world, fault);
}

/* ---- by the clock ---- */

struct kind {
    enum target target;
    void (*begin)(struct world *world, enum fault fault, int node);
    void (*end)(struct world *world, enum fault fault, int node); /* NULL: it doesn't last */
};

static const struct kind KINDS[FAULT_COUNT] = {
    [FAULT_OFFLINE] = {EACH_DEVICE, go_offline, come_online},
    [FAULT_SLOW_READER] = {EACH_DEVICE, slow_down, speed_up},
    [FAULT_REFUSED] = {THE_SERVER, refuse, NULL},
    [FAULT_STORM] = {THE_SERVER, storm, NULL},
    [FAULT_STOPPED] = {EACH_DEVICE, stop, go_on},
    [FAULT_DEVICE_KILL] = {EACH_DEVICE, kill_one, NULL},
    [FAULT_DEVICE_KILL_INSIDE] = {EACH_DEVICE, kill_inside, NULL},
    [FAULT_DEVICE_POWER_CUT] = {EACH_DEVICE, cut_power, NULL},
    [FAULT_SERVER_KILL] = {THE_SERVER, kill_one, NULL},
    [FAULT_SERVER_KILL_INSIDE] = {THE_SERVER, kill_inside, NULL},
    [FAULT_SERVER_POWER_CUT] = {THE_SERVER, cut_power, NULL},
    [FAULT_READ_ERROR] = {EACH_MACHINE, trouble, end_trouble},
    [FAULT_WRITE_ERROR] = {EACH_MACHINE, trouble, end_trouble},
    [FAULT_SYNC_ERROR] = {EACH_MACHINE, trouble, end_trouble},
    [FAULT_DISK_FULL] = {EACH_MACHINE, trouble_for_a_while, end_trouble},
    [FAULT_SHORT_READ] = {EACH_MACHINE, trouble_once, NULL},
    [FAULT_FLIPPED_BIT] = {EACH_MACHINE, trouble_once, NULL},
    [FAULT_SLOW_DISK] = {THE_SERVER, trouble_for_a_while, end_trouble},
    [FAULT_LOCKED] = {EACH_DEVICE, lock, unlock},
    [FAULT_CLOCK_JUMP] = {EACH_DEVICE, jump, NULL},
    [FAULT_SERVER_CLOCK] = {THE_SERVER, jump_server, NULL},
};

static void push_next(struct world *world, enum fault fault, int node)
{
    if (world->scenario.faults[fault].every_us != 0)
        world_push(world, world_draw_pause(world, world->scenario.faults[fault].every_us),
                   (struct world_event){.kind = EVENT_FAULT, .agent = node, .fault = fault});
}

void faults_begin(struct world *world)
{
    if (scenario_has(&world->scenario, FAULT_CLOCK_WRONG))
        world_count(world, FAULT_CLOCK_WRONG);
    if (scenario_has(&world->scenario, FAULT_CLOCK_DRIFT))
        world_count(world, FAULT_CLOCK_DRIFT);
    for (int i = 0; i < FAULT_COUNT; i++) {
        enum target target = KINDS[i].target;

        if (target == THE_SERVER || target == EACH_MACHINE)
            push_next(world, (enum fault)i, WORLD_OFFICE);
        for (size_t a = 0; target == EACH_DEVICE || target == EACH_MACHINE; a++) {
            if (a == world->scenario.agent_count)
                break;
            push_next(world, (enum fault)i, (int)a);
        }
    }
}

/* A kind that lasts comes again only after its end. */
void faults_event(struct world *world, const struct world_event *event)
{
    const struct kind *kind = &KINDS[event->fault];

    invariant(kind->target != NOT_BY_CLOCK);
    if (!world->has_faults)
        return;
    if (event->kind == EVENT_FAULT_END)
        kind->end(world, event->fault, event->agent);
    else
        kind->begin(world, event->fault, event->agent);
    if (event->kind == EVENT_FAULT_END || kind->end == NULL)
        push_next(world, event->fault, event->agent);
}

void faults_end(struct world *world)
{
    world->refused_until_us = 0;
    for (struct link *link = world->links; link != NULL; link = link->next)
        if (link->is_hole[0] || link->is_hole[1] || link->late_us != 0)
            network_cut(world, link);
    disk_heal(&world->disk, world_machine(WORLD_OFFICE));
    for (size_t i = 0; i < world->scenario.agent_count; i++) {
        struct world_agent *agent = &world->agents[i];

        agent->is_offline = false;
        agent->stopped_until_us = 0;
        disk_heal(&world->disk, world_machine((int)i));
        unlock(world, FAULT_LOCKED, (int)i);
        speed_up(world, FAULT_SLOW_READER, (int)i);
    }
}

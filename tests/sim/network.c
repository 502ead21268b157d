/* SPDX-License-Identifier: Apache-2.0 */
/* Links between devices and server: as a WebSocket has them, whole messages in order in each
 * direction. What can go wrong: a dial fails, a link is cut between any two messages, a link
 * becomes a hole that swallows all without a word, ends hear of it at different times, a message
 * comes twice or with a wrong bit, what an old connection carried comes after a new one was made,
 * a device reads slowly. A message that was never sent like this must end its connection (G10). */
#include "tests/sim/world.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_OVERHEAD = 60 };

struct link *network_link(struct world *world, uint64_t number)
{
    struct link *link = world->links;

    while (link != NULL && link->number != number)
        link = link->next;
    return link;
}

static bool end_lives(struct world *world, const struct link *link, int direction)
{
    if (!link->is_up[direction])
        return false;
    if (direction == TO_SERVER)
        return world->server.is_running && world->server.life == link->server_life;
    return world->agents[link->agent].is_running &&
           world->agents[link->agent].life == link->agent_life;
}

static int64_t draw_delay(struct world *world)
{
    return world->scenario.latency_us + world_draw(world, 0, world->scenario.jitter_us);
}

void network_dial(struct world *world, int agent)
{
    struct link *link = sim_zero(sizeof *link);

    link->number = ++world->link_last;
    link->agent = agent;
    link->agent_life = world->agents[agent].life;
    link->is_up[TO_AGENT] = true;
    link->next = world->links;
    world->links = link;
    world->agents[agent].link = link->number;
    world_push(world, draw_delay(world),
               (struct world_event){.kind = EVENT_DIAL, .agent = agent, .link = link->number});
}

static void push_closed(struct world *world, struct link *link, int direction, int64_t delay_us)
{
    world_push(world, delay_us,
               (struct world_event){.kind = EVENT_CLOSED,
                                    .agent = link->agent,
                                    .link = link->number,
                                    .direction = direction});
}

/* Nothing more gets through; each end learns it in its own time. */
void network_cut(struct world *world, struct link *link)
{
    if (link->is_cut)
        return;
    link->is_cut = true;
    world_say(world, "link %" PRIu64 " of %s is cut", link->number,
              world->agents[link->agent].name);
    push_closed(world, link, TO_AGENT, world_draw(world, 0, SECONDS(2)));
    push_closed(world, link, TO_SERVER, world_draw(world, 0, SECONDS(2)));
}

static int64_t rate_of(const struct world *world, const struct link *link, int direction)
{
    const struct world_agent *agent = &world->agents[link->agent];

    return direction == TO_AGENT && agent->slow_until_us > world->now_us
               ? agent->slow_rate
               : world->scenario.bytes_per_second;
}

/* G12: nobody keeps more than this for an end that doesn't read. */
static void check_queue(struct world *world, const struct link *link, int direction, size_t size)
{
    enum { QUEUE_SIZE_MAX = 1536 * 1024 };
    int64_t queued = (link->sent_us[direction] - world->now_us) *
                     (rate_of(world, link, direction) / 100) / 10000;

    if (queued > (int64_t)(QUEUE_SIZE_MAX + size))
        world_fail(world, "G12: %" PRId64 " bytes wait for %s", queued,
                   direction == TO_AGENT ? world->agents[link->agent].name : "the server");
}

static void push_message(struct world *world, struct link *link, int direction, struct bytes bytes,
                         int64_t arrival_us, bool is_damaged)
{
    struct world_event event = {.kind = EVENT_MESSAGE, .direction = direction};

    event.agent = link->agent;
    event.link = link->number;
    event.size = bytes.size;
    event.bytes = sim_zero(bytes.size);
    event.is_damaged = is_damaged;
    if (bytes.size != 0)
        memcpy(event.bytes, bytes.data, bytes.size);
    if (is_damaged && arrival_us == 0) { /* the one before it is the real one */
        arrival_us = link->last_us[direction];
    } else if (is_damaged) {
        event.bytes[world_draw(world, 0, (int64_t)bytes.size - 1)] ^=
            (uint8_t)(1u << world_draw(world, 0, 7));
    }
    world_push(world, arrival_us - world->now_us, event);
}

/* The device is told at once that the link is gone, the server hears what was sent much later. */
static void make_late(struct world *world, struct link *link)
{
    link->late_us = world->now_us + world_draw(world, SECONDS(4), SECONDS(60));
    link->is_hole[TO_AGENT] = true;
    world_say(world, "link %" PRIu64 " of %s delivers late", link->number,
              world->agents[link->agent].name);
    push_closed(world, link, TO_AGENT, world_draw(world, 0, SECONDS(1)));
    push_closed(world, link, TO_SERVER, link->late_us - world->now_us + SECONDS(1));
}

static void make_hole(struct world *world, struct link *link, int direction)
{
    link->is_hole[direction] = true;
    link->is_hole[1 - direction] = world_chance(world, 600000);
    world_say(world, "link %" PRIu64 " of %s swallows everything", link->number,
              world->agents[link->agent].name);
}

static bool strikes(struct world *world, enum fault fault)
{
    if (world->planned[fault] != 0 && --world->planned[fault] == 0) {
        world_count(world, fault);
        return true;
    }
    if (!world->has_faults || world->scenario.faults[fault].chance == 0 ||
        !world_chance(world, world->scenario.faults[fault].chance))
        return false;
    world_count(world, fault);
    return true;
}

static void listen(struct world *world, const struct link *link, int direction, struct bytes bytes)
{
    struct tape *tape = world->tape;

    if (tape == NULL)
        return;
    if (tape->count == tape->room) {
        tape->room = tape->room * 2 + 64;
        tape->messages = sim_grow(tape->messages, tape->room, sizeof *tape->messages);
    }
    tape->messages[tape->count] =
        (struct heard){.link = link->number, .direction = direction, .bytes = sim_zero(bytes.size)};
    if (bytes.size != 0)
        memcpy(tape->messages[tape->count].bytes, bytes.data, bytes.size);
    tape->messages[tape->count++].size = bytes.size;
}

static void deliver(struct world *world, struct link *link, int direction, struct bytes bytes,
                    int64_t arrival_us)
{
    bool is_corrupt = bytes.size != 0 && strikes(world, FAULT_CORRUPT);

    listen(world, link, direction, bytes);
    push_message(world, link, direction, bytes, arrival_us, is_corrupt);
    if (strikes(world, FAULT_DUPLICATE))
        push_message(world, link, direction, bytes, 0, true);
    if (strikes(world, FAULT_CUT))
        network_cut(world, link);
    else if (strikes(world, FAULT_HALF_OPEN))
        make_hole(world, link, direction);
    else if (link->is_accepted && link->late_us == 0 && strikes(world, FAULT_LATE))
        make_late(world, link);
}

void network_send(struct world *world, struct link *link, int direction, struct bytes bytes)
{
    int64_t start_us = 0;
    int64_t arrival_us = 0;

    if (link == NULL || link->is_cut)
        return; /* on its way into nothing */
    if (link->is_hole[direction])
        return; /* never leaves the queue */
    start_us = link->sent_us[direction] > world->now_us ? link->sent_us[direction] : world->now_us;
    link->sent_us[direction] = start_us + (int64_t)(bytes.size + MESSAGE_OVERHEAD) * 1000000 /
                                              rate_of(world, link, direction);
    check_queue(world, link, direction, bytes.size);
    arrival_us = link->sent_us[direction] + draw_delay(world);
    if (arrival_us < link->last_us[direction])
        arrival_us = link->last_us[direction];
    link->last_us[direction] = arrival_us;
    world_push(world, link->sent_us[direction] - world->now_us,
               (struct world_event){.kind = EVENT_DRAINED,
                                    .agent = link->agent,
                                    .link = link->number,
                                    .direction = direction});
    if (direction == TO_AGENT && rate_of(world, link, direction) < world->scenario.bytes_per_second)
        world_count(world, FAULT_SLOW_READER);
    deliver(world, link, direction, bytes, arrival_us);
}

/* One end hangs up: what it has sent before still arrives, then the other end hears of it. */
void network_close(struct world *world, struct link *link, int direction)
{
    int other = 1 - direction;
    int64_t delay_us = 0;

    if (link == NULL)
        return;
    link->has_hung_up[direction] = true;
    if (direction == TO_AGENT) { /* the device wants to hear no more of it */
        link->is_up[TO_AGENT] = false;
        world->agents[link->agent].link = 0;
    }
    if (link->is_cut)
        return;
    if (direction == TO_SERVER)
        push_closed(world, link, direction, world_draw(world, 0, 2000));
    if (link->is_hole[other] || !link->is_up[other])
        return;
    delay_us = link->last_us[other] - world->now_us;
    push_closed(world, link, other, (delay_us > 0 ? delay_us : 0) + draw_delay(world));
}

/* A process died: its system tells the other end, unless the link is a hole. */
void network_lose_process(struct world *world, int agent)
{
    for (struct link *link = world->links; link != NULL; link = link->next) {
        int direction = agent == WORLD_OFFICE ? TO_SERVER : TO_AGENT;

        if ((agent != WORLD_OFFICE && link->agent != agent) || link->is_cut ||
            !link->is_up[direction])
            continue;
        link->is_up[direction] = false;
        if (!link->is_hole[1 - direction])
            push_closed(world, link, 1 - direction, draw_delay(world));
    }
}

/* ---- what happens when it is time ---- */

static void arrive_dial(struct world *world, struct link *link)
{
    uint8_t seed[32];
    struct server_event event = {.kind = SERVER_EVENT_OPENED,
                                 .connection = link->number,
                                 .peer = "192.0.2.1:4000",
                                 .seed = seed};

    if (link->agent_life != 0 && !end_lives(world, link, TO_AGENT))
        return;
    if (world->refused_until_us > world->now_us)
        world_count(world, FAULT_REFUSED);
    if (world->agents[link->agent].is_offline || !world->server.is_running ||
        world->refused_until_us > world->now_us) {
        world_push(
            world, world_draw(world, 1000, SECONDS(3)),
            (struct world_event){.kind = EVENT_FAIL, .agent = link->agent, .link = link->number});
        return;
    }
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)prng_next(&world->prng);
    link->is_up[TO_SERVER] = true;
    link->is_accepted = true;
    link->server_life = world->server.life;
    world_push(
        world, draw_delay(world),
        (struct world_event){.kind = EVENT_CONNECTED, .agent = link->agent, .link = link->number});
    link->last_us[TO_AGENT] = world->now_us + world->scenario.latency_us * 4; /* not before it */
    server_node_step(world, &event);
}

static void arrive_connected(struct world *world, struct link *link)
{
    uint8_t seed[32];
    struct agent_event event = {.kind = AGENT_EVENT_CONNECTED, .seed = seed};

    if (!end_lives(world, link, TO_AGENT) || link->is_cut)
        return;
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)prng_next(&world->prng);
    agent_node_step(world, link->agent, &event);
}

static void arrive_closed(struct world *world, struct link *link, int direction)
{
    if (!end_lives(world, link, direction))
        return;
    link->is_up[direction] = false;
    if (direction == TO_SERVER) {
        struct server_event event = {.kind = SERVER_EVENT_CLOSED, .connection = link->number};

        server_node_step(world, &event);
    } else {
        struct agent_event event = {.kind = AGENT_EVENT_CLOSED, .text = "the connection is gone"};

        world->agents[link->agent].link = 0;
        agent_node_step(world, link->agent, &event);
    }
}

/* What is for the server waits on the way, in its order. */
static bool is_held_back(struct world *world, const struct link *link,
                         const struct world_event *message)
{
    struct world_event later = *message;

    if (message->direction != TO_SERVER || link->late_us <= world->now_us)
        return false;
    later.bytes = sim_zero(message->size);
    if (message->size != 0)
        memcpy(later.bytes, message->bytes, message->size);
    world_push(world, link->late_us - world->now_us, later);
    return true;
}

static bool is_live(struct world *world, const struct link *link)
{
    const struct world_agent *agent = &world->agents[link->agent];

    return agent->is_running && agent->link == link->number &&
           agent_status(agent->core).state == AGENT_LIVE;
}

/* G10: whoever receives it in a session hangs up, in the same step. What is said in the clear
 * before the keys are there is found out by the handshake, which then comes to no end. */
static void check_refusal(struct world *world, struct link *link, const struct world_event *message,
                          bool was_live)
{
    if (!message->is_damaged || !end_lives(world, link, message->direction) ||
        link->has_hung_up[message->direction])
        return;
    if (was_live)
        world_fail(world, "G10: %s goes on after a message on link %" PRIu64 " that nobody sent",
                   message->direction == TO_SERVER ? "the server" : world->agents[link->agent].name,
                   link->number);
    link->is_tainted = true;
}

static void arrive_message(struct world *world, struct link *link,
                           const struct world_event *message)
{
    struct bytes bytes = {message->bytes, message->size};
    bool was_live = is_live(world, link);

    if (link->is_cut || !end_lives(world, link, message->direction) ||
        is_held_back(world, link, message))
        return;
    world->counts.bytes[message->direction] += bytes.size;
    if (message->is_damaged)
        world_say(world, "a damaged or repeated message for %s on link %" PRIu64,
                  message->direction == TO_SERVER ? "the server" : world->agents[link->agent].name,
                  link->number);
    if (message->direction == TO_SERVER) {
        struct server_event event = {
            .kind = SERVER_EVENT_RECEIVED, .connection = link->number, .bytes = bytes};

        server_node_step(world, &event);
    } else {
        struct agent_event event = {.kind = AGENT_EVENT_RECEIVED, .bytes = bytes};

        agent_node_step(world, link->agent, &event);
    }
    check_refusal(world, link, message, was_live);
    if (link->is_tainted && is_live(world, link))
        world_fail(world,
                   "G10: link %" PRIu64 " of %s is in use after a handshake that was altered",
                   link->number, world->agents[link->agent].name);
}

/* The sender's queue is empty, if nothing was added since. */
static void arrive_drained(struct world *world, struct link *link, int direction)
{
    if (link->is_cut || link->is_hole[direction] || link->sent_us[direction] > world->now_us ||
        !end_lives(world, link, 1 - direction))
        return;
    if (direction == TO_AGENT) {
        struct server_event event = {.kind = SERVER_EVENT_DRAINED, .connection = link->number};

        server_node_step(world, &event);
    } else {
        struct agent_event event = {.kind = AGENT_EVENT_DRAINED};

        agent_node_step(world, link->agent, &event);
    }
}

void network_event(struct world *world, const struct world_event *event)
{
    struct link *link = network_link(world, event->link);

    invariant(link != NULL);
    switch (event->kind) {
    case EVENT_DIAL:
        arrive_dial(world, link);
        break;
    case EVENT_CONNECTED:
        arrive_connected(world, link);
        break;
    case EVENT_FAIL:
        arrive_closed(world, link, TO_AGENT);
        break;
    case EVENT_MESSAGE:
        arrive_message(world, link, event);
        break;
    case EVENT_DRAINED:
        arrive_drained(world, link, event->direction);
        break;
    default:
        arrive_closed(world, link, event->direction);
        break;
    }
}

/* ---- somebody who isn't a device ---- */

struct link *network_pretend(struct world *world, int agent)
{
    struct link *link = sim_zero(sizeof *link);

    link->number = ++world->link_last;
    link->agent = agent; /* of no life: nothing reaches it */
    link->next = world->links;
    world->links = link;
    world_push(world, draw_delay(world),
               (struct world_event){.kind = EVENT_DIAL, .agent = agent, .link = link->number});
    return link;
}

void network_replay(struct world *world, struct link *link, const struct heard *heard)
{
    network_send(world, link, TO_SERVER, (struct bytes){heard->bytes, heard->size});
}

void network_free(struct world *world)
{
    while (world->links != NULL) {
        struct link *next = world->links->next;

        free(world->links);
        world->links = next;
    }
}

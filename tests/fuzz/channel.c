/* SPDX-License-Identifier: Apache-2.0 */
/* An open channel, both directions. The input is a list of steps: what a side says (type, size of
 * the body), and what becomes of each of its messages on the way: as it was sent, with a byte
 * changed, cut, lost, twice, or something else altogether. Everything up to the first fault arrives
 * as it was said; the fault kills the receiving side, and nothing arrives there after it. */
#include "tests/fuzz/fuzz.h" /* first */

#include "protocol/channel.h"
#include "protocol/limits.h"

#include <sodium.h>
#include <string.h>

enum { ARENA_SIZE = 8 * 1024 * 1024, STEPS_MAX = 40, BODY_SIZE_MAX = 5000 };

enum fault { FAULT_NONE, FAULT_CHANGE, FAULT_CUT, FAULT_LOSE, FAULT_TWICE, FAULT_OTHER, FAULTS };

struct world {
    struct arena arena;
    struct problem problem;
    struct channel *sides[2]; /* server, device */
    bool is_faulty[2];        /* something wrong was put on the way to this side */
    struct bytes last[2];     /* newest message that arrived at this side */
};

static const uint8_t SEEDS[6][32] = {{1}, {2}, {3}, {4}, {5}, {9}};

static void create(struct world *world)
{
    struct identity_signer root;
    struct noise_keypair keys[2];
    struct channel_server_options server = {
        .static_keys = &keys[0],
        .seed = SEEDS[3],
        .hello = {.version_min = 1, .version_max = 1, .key_serial = 1, .message_size_max = 2048}};
    struct channel_device_options device = {.static_keys = &keys[1],
                                            .psk = SEEDS[5],
                                            .kind = CHANNEL_SESSION,
                                            .seed = SEEDS[4],
                                            .greeting = bytes_of_text("RESUME")};

    identity_signer_from(SEEDS[0], &root);
    noise_keypair_from(SEEDS[1], &keys[0]);
    noise_keypair_from(SEEDS[2], &keys[1]);
    device.root_public_key = root.public_key;
    identity_certify(&root, 1, keys[0].public_key, server.hello.signature);
    FUZZ_OK(&world->problem, channel_create_server(&server, &world->sides[0], &world->problem));
    FUZZ_OK(&world->problem, channel_create_device(&device, &world->sides[1], &world->problem));
}

static void greet(struct world *world)
{
    struct bytes message = {0};
    struct channel_event event = {0};

    FUZZ_OK(&world->problem,
            channel_start(world->sides[0], &world->arena, &message, &world->problem));
    for (int to = 1; message.size > 0; to = 1 - to) {
        event = (struct channel_event){0};
        FUZZ_OK(&world->problem,
                channel_receive(world->sides[to], message, &world->arena, &event, &world->problem));
        if (event.kind == CHANNEL_NEED_PSK)
            FUZZ_OK(&world->problem,
                    channel_psk(world->sides[0], SEEDS[5], &world->arena, &event, &world->problem));
        message = event.message;
    }
    invariant(channel_is_open(world->sides[0]) && channel_is_open(world->sides[1]));
}

/* The body that the receiver must see: made of type and size alone. */
static struct bytes body_of(struct world *world, uint8_t type, size_t size)
{
    uint8_t *body = arena_alloc(&world->arena, size + 1);

    invariant(body != NULL);
    for (size_t i = 0; i < size; i++)
        body[i] = (uint8_t)(type + i / 7);
    return bytes_of(body, size);
}

/* RESULT_OK with a whole frame, RESULT_WAIT for a piece of one. */
static bool deliver(struct world *world, int to, struct bytes message, struct frame *ret_frame)
{
    struct channel_event event = {0};
    enum result result =
        channel_receive(world->sides[to], message, &world->arena, &event, &world->problem);

    invariant(result == RESULT_OK || result == RESULT_MALFORMED);
    invariant((result == RESULT_MALFORMED) == channel_is_dead(world->sides[to]));
    invariant(result == RESULT_OK || event.kind == CHANNEL_NOTHING);
    if (result == RESULT_OK)
        world->last[to] = message;
    if (event.kind != CHANNEL_FRAME)
        return false;
    invariant(!world->is_faulty[to]);
    *ret_frame = event.frame;
    return true;
}

/* Puts what becomes of `message` on the way; true: a frame arrived. */
static bool carry(struct world *world, int to, struct bytes message, struct input *input,
                  struct frame *ret_frame)
{
    enum fault fault = (enum fault)(input_byte(input) % (2 * FAULTS));
    uint8_t *copy = arena_alloc(&world->arena, message.size + 1);
    bool has_frame = false;

    invariant(copy != NULL);
    memcpy(copy, message.data, message.size);
    switch (fault) {
    case FAULT_CHANGE:
        copy[input_number(input, 2) % message.size] ^= (uint8_t)(1u << (input_byte(input) & 7));
        world->is_faulty[to] = true;
        return deliver(world, to, bytes_of(copy, message.size), ret_frame);
    case FAULT_CUT:
        world->is_faulty[to] = true;
        return deliver(world, to, bytes_of(copy, input_number(input, 2) % message.size), ret_frame);
    case FAULT_LOSE:
        world->is_faulty[to] = true; /* seen with the next one */
        return false;
    case FAULT_TWICE:
        has_frame = deliver(world, to, message, ret_frame);
        world->is_faulty[to] = true;
        invariant(!deliver(world, to, message, &(struct frame){0}));
        return has_frame;
    case FAULT_OTHER: {
        struct bytes other = input_part(input);

        if (input_byte(input) % 2 == 0 && world->last[to].size > 0)
            other = world->last[to];
        world->is_faulty[to] = true;
        return deliver(world, to, other, ret_frame);
    }
    default:
        return deliver(world, to, message, ret_frame);
    }
}

static void say(struct world *world, struct input *input)
{
    uint8_t choice = input_byte(input);
    uint8_t type = input_byte(input) & 0x7f;
    struct bytes body = body_of(world, type, input_number(input, 2) % BODY_SIZE_MAX);
    int from = choice & 1;
    struct channel_messages messages = {0};
    struct frame frame = {0};
    bool has_frame = false;

    if (channel_is_dead(world->sides[from]))
        return;
    FUZZ_OK(&world->problem, channel_send(world->sides[from], type, body, choice >> 1 & 7,
                                          &world->arena, &messages, &world->problem));
    for (size_t i = 0; i < messages.count; i++) {
        has_frame = carry(world, 1 - from, messages.messages[i], input, &frame);
        invariant(!has_frame || i + 1 == messages.count);
    }
    if (has_frame)
        invariant(frame.type == type && bytes_equal(frame.body, body));
    invariant(has_frame || world->is_faulty[1 - from]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    struct world world = {0};

    if (sodium_init() < 0)
        return 0;
    arena_init(&world.arena, ARENA_SIZE);
    create(&world);
    greet(&world);
    for (int i = 0; i < STEPS_MAX && input_left(&input) > 0; i++)
        say(&world, &input);
    channel_destroy(world.sides[0]);
    channel_destroy(world.sides[1]);
    arena_done(&world.arena);
    return 0;
}

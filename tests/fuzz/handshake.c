/* SPDX-License-Identifier: Apache-2.0 */
/* Server and device talk, with fixed keys; the input says what happens to each message on its way:
 * first byte 0 to 9 the number of the message to change, then triples (place u16, xor u8); or, with
 * the first byte 10 and up, everything behind it is delivered instead of message first % 8. */
#include "base/invariant.h"
#include "protocol/channel.h"
#include "protocol/limits.h"

#include <sodium.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_SIZE = 4 * 1024 * 1024, MESSAGES = 8 };

struct world {
    struct arena arena;
    struct problem problem;
    struct channel *sides[2]; /* server, device */
    bool changed;
};

static const uint8_t PSK[32] = {9};

static void create(struct world *world, bool enrol)
{
    static const uint8_t SEEDS[5][32] = {{1}, {2}, {3}, {4}, {5}};
    struct identity_signer root;
    struct noise_keypair server_keys;
    struct noise_keypair device_keys;
    struct channel_server_options server = {
        .static_keys = &server_keys,
        .seed = SEEDS[3],
        .hello = {.version_min = 1, .version_max = 1, .key_serial = 1, .message_size_max = 2048}};
    struct channel_device_options device = {.root_public_key = root.public_key,
                                            .static_keys = &device_keys,
                                            .psk = PSK,
                                            .kind = enrol ? CHANNEL_ENROL : CHANNEL_SESSION,
                                            .token_id = enrol ? SEEDS[0] : NULL,
                                            .seed = SEEDS[4],
                                            .greeting = bytes_of_text("RESUME")};
    enum result result;

    identity_signer_from(SEEDS[0], &root);
    noise_keypair_from(SEEDS[1], &server_keys);
    noise_keypair_from(SEEDS[2], &device_keys);
    identity_certify(&root, 1, server_keys.public_key, server.hello.signature);
    result = channel_create_server(&server, &world->sides[0], &world->problem);
    invariant(result == RESULT_OK);
    result = channel_create_device(&device, &world->sides[1], &world->problem);
    invariant(result == RESULT_OK);
}

static struct bytes on_its_way(struct world *world, struct bytes message, int number,
                               struct bytes input)
{
    struct bytes copy = {0};
    uint8_t *bytes = NULL;
    enum result result = RESULT_OK;

    if (input.size < 2 || number != (input.data[0] < 10 ? input.data[0] : input.data[0] % MESSAGES))
        return message;
    if (input.data[0] >= 10) {
        copy = bytes_of(input.data + 1, input.size - 1);
        world->changed = world->changed || !bytes_equal(copy, message);
        return copy;
    }
    result = arena_copy(&world->arena, message, &copy, &world->problem);
    invariant(result == RESULT_OK);
    bytes = arena_alloc(&world->arena, copy.size + 1);
    invariant(bytes != NULL);
    memcpy(bytes, copy.data, copy.size);
    for (size_t i = 1; i + 3 <= input.size; i += 3)
        bytes[((size_t)input.data[i] << 8 | input.data[i + 1]) % copy.size] ^= input.data[i + 2];
    world->changed = world->changed || memcmp(bytes, message.data, copy.size) != 0;
    return bytes_of(bytes, copy.size);
}

/* What `channel` says next, or nothing. */
static struct bytes next_of(struct world *world, struct channel *channel,
                            struct channel_event *event)
{
    static const uint8_t BODY[3000] = "frame";
    struct channel_messages messages = {0};

    if (event->kind == CHANNEL_NEED_PSK &&
        channel_psk(channel, PSK, &world->arena, event, &world->problem) != RESULT_OK)
        return (struct bytes){0};
    if (event->message.size > 0)
        return event->message;
    if (!channel_is_open(channel) ||
        channel_send(channel, 40, bytes_of(BODY, 600), 0, &world->arena, &messages,
                     &world->problem) != RESULT_OK)
        return (struct bytes){0};
    return messages.messages[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct world world = {0};
    struct channel_event event = {0};
    struct bytes message = {0};
    enum result result;

    if (sodium_init() < 0)
        return 0;
    arena_init(&world.arena, ARENA_SIZE);
    create(&world, size % 2 == 1);
    result = channel_start(world.sides[0], &world.arena, &message, &world.problem);
    for (int number = 0; number < MESSAGES && result == RESULT_OK && message.size > 0; number++) {
        struct channel *to = world.sides[1 - number % 2];

        message = on_its_way(&world, message, number, input);
        event = (struct channel_event){0};
        result = channel_receive(to, message, &world.arena, &event, &world.problem);
        invariant(result != RESULT_MALFORMED || channel_is_dead(to));
        if (result == RESULT_OK)
            message = next_of(&world, to, &event);
        invariant(!world.changed || !channel_is_open(to)); /* no change goes unnoticed */
    }
    if (!world.changed)
        invariant(channel_is_open(world.sides[0]) && channel_is_open(world.sides[1]));
    channel_destroy(world.sides[0]);
    channel_destroy(world.sides[1]);
    arena_done(&world.arena);
    return 0;
}

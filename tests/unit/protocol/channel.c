/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/channel.h"

#include "base/prng.h"
#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_SIZE = 16 * 1024 * 1024 };

static const uint8_t PSK[NOISE_KEY_SIZE] = {11, 12};
static const uint8_t TOKEN_ID[IDENTITY_TOKEN_ID_SIZE] = "token-number-one";

struct world {
    struct arena arena;
    struct problem problem;
    struct identity_signer root;
    struct channel_server_options server_options;
    struct channel_device_options device_options;
    struct noise_keypair server_keys;
    struct noise_keypair device_keys;
    uint8_t server_seed[32];
    uint8_t device_seed[32];
    struct channel *server;
    struct channel *device;
    struct channel_event event;
};

static int world_begin(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    uint8_t number[32] = {1};

    assert_non_null(world);
    arena_init(&world->arena, ARENA_SIZE);
    identity_signer_from(number, &world->root);
    number[0] = 2;
    noise_keypair_from(number, &world->server_keys);
    number[0] = 3;
    noise_keypair_from(number, &world->device_keys);
    world->server_seed[0] = 4;
    world->device_seed[0] = 5;
    world->server_options = (struct channel_server_options){
        .static_keys = &world->server_keys,
        .seed = world->server_seed,
        .hello = {.version_min = 1,
                  .version_max = 2,
                  .server_ms = 1764000000000,
                  .key_serial = 7,
                  .message_size_max = LIMIT_MESSAGE_SIZE_MAX},
    };
    identity_certify(&world->root, 7, world->server_keys.public_key,
                     world->server_options.hello.signature);
    world->device_options = (struct channel_device_options){
        .root_public_key = world->root.public_key,
        .key_serial_min = 7,
        .static_keys = &world->device_keys,
        .psk = PSK,
        .kind = CHANNEL_SESSION,
        .seed = world->device_seed,
        .greeting = bytes_of_text("RESUME"),
    };
    *state = world;
    return 0;
}

static int world_end(void **state)
{
    struct world *world = *state;

    channel_destroy(world->server);
    channel_destroy(world->device);
    arena_done(&world->arena);
    free(world);
    return 0;
}

static void create(struct world *world)
{
    channel_destroy(world->server);
    channel_destroy(world->device);
    assert_int_equal(channel_create_server(&world->server_options, &world->server, &world->problem),
                     RESULT_OK);
    assert_int_equal(channel_create_device(&world->device_options, &world->device, &world->problem),
                     RESULT_OK);
}

static enum result receive(struct world *world, struct channel *channel, struct bytes message)
{
    world->event = (struct channel_event){0};
    return channel_receive(channel, message, &world->arena, &world->event, &world->problem);
}

static struct bytes hello_of(struct world *world)
{
    struct bytes message = {0};

    create(world);
    assert_int_equal(channel_start(world->server, &world->arena, &message, &world->problem),
                     RESULT_OK);
    return message;
}

static enum result receive_hello(struct world *world)
{
    struct bytes hello = hello_of(world);

    return receive(world, world->device, hello);
}

/* Runs the handshake and returns the message with this number (0: HELLO), not yet delivered. */
static struct bytes message_of(struct world *world, int number)
{
    struct bytes message = hello_of(world);

    for (int i = 0; i < number; i++) {
        struct channel *to = i % 2 == 0 ? world->device : world->server;

        assert_int_equal(receive(world, to, message), RESULT_OK);
        message = world->event.message;
    }
    return message;
}

static void open_both(struct world *world)
{
    struct bytes message = message_of(world, 3);

    assert_int_equal(world->event.kind, CHANNEL_OPEN);
    assert_int_equal(receive(world, world->server, message), RESULT_OK);
    assert_int_equal(world->event.kind, CHANNEL_NEED_PSK);
    assert_int_equal(channel_psk(world->server, PSK, &world->arena, &world->event, &world->problem),
                     RESULT_OK);
    assert_true(channel_is_open(world->server) && channel_is_open(world->device));
}

static struct channel_messages sent(struct world *world, struct channel *from, struct bytes body,
                                    int level)
{
    struct channel_messages messages = {0};

    assert_int_equal(channel_send(from, 33, body, level, &world->arena, &messages, &world->problem),
                     RESULT_OK);
    return messages;
}

static void expect_delivered(struct world *world, struct channel *from, struct channel *to,
                             struct bytes body, int level)
{
    struct channel_messages messages = sent(world, from, body, level);

    for (size_t i = 0; i < messages.count; i++) {
        assert_int_equal(receive(world, to, messages.messages[i]), RESULT_OK);
        assert_int_equal(world->event.kind,
                         i + 1 == messages.count ? CHANNEL_FRAME : CHANNEL_NOTHING);
    }
    assert_int_equal(world->event.frame.type, 33);
    assert_true(bytes_equal(world->event.frame.body, body));
}

static void expect_dead(struct world *world, struct channel *channel, struct bytes message)
{
    assert_int_equal(receive(world, channel, message), RESULT_MALFORMED);
    assert_true(channel_is_dead(channel));
    assert_int_equal(world->event.message.size, 0);
    assert_int_equal(receive(world, channel, message), RESULT_MALFORMED);
    assert_string_equal(world->problem.text, "the channel failed before");
}

static void a_session_opens_with_what_each_side_has_to_know(void **state)
{
    struct world *world = *state;
    struct bytes message = message_of(world, 3);

    assert_int_equal(world->event.kind, CHANNEL_OPEN);
    assert_int_equal(world->event.hello->server_ms, 1764000000000);
    assert_int_equal(world->event.hello->key_serial, 7);
    assert_true(channel_is_open(world->device));
    assert_int_equal(receive(world, world->server, message), RESULT_OK);
    assert_int_equal(world->event.kind, CHANNEL_NEED_PSK);
    assert_int_equal(world->event.peer_kind, CHANNEL_SESSION);
    assert_null(world->event.peer_token_id);
    assert_memory_equal(world->event.peer_static_key, world->device_keys.public_key, 32);
    assert_false(channel_is_open(world->server));
    assert_int_equal(channel_psk(world->server, PSK, &world->arena, &world->event, &world->problem),
                     RESULT_OK);
    assert_int_equal(world->event.kind, CHANNEL_OPEN);
    assert_true(bytes_equal(world->event.greeting, bytes_of_text("RESUME")));
    assert_memory_equal(world->event.peer_static_key, world->device_keys.public_key, 32);
}

static void an_enrolment_names_its_token(void **state)
{
    struct world *world = *state;

    world->device_options.kind = CHANNEL_ENROL;
    world->device_options.token_id = TOKEN_ID;
    open_both(world);
    assert_int_equal(world->event.peer_kind, CHANNEL_ENROL);
    assert_memory_equal(world->event.peer_token_id, TOKEN_ID, sizeof TOKEN_ID);
}

static void sizes_of_the_handshake_tell_nothing_about_kind_and_greeting(void **state)
{
    struct world *world = *state;
    static const uint8_t GREETING[62];

    for (int i = 0; i < 2; i++) {
        assert_true(hello_of(world).size <= LIMIT_HELLO_SIZE_MAX);
        assert_int_equal(message_of(world, 1).size, 2 + 32 + 64 + 16);
        assert_int_equal(message_of(world, 2).size, 1 + 32 + 64 + 16);
        assert_int_equal(message_of(world, 3).size, 1 + 48 + 64 + 16);
        world->device_options.kind = CHANNEL_ENROL;
        world->device_options.token_id = TOKEN_ID;
        world->device_options.greeting = bytes_of(GREETING, sizeof GREETING);
    }
}

static void greetings_of_every_size_arrive(void **state)
{
    struct world *world = *state;
    static uint8_t greeting[LIMIT_GREETING_SIZE_MAX + 1];
    static const size_t SIZES[] = {0, 1, 61, 62, 63, 64, 126, 127, LIMIT_GREETING_SIZE_MAX};

    memset(greeting, 'g', sizeof greeting);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        world->device_options.greeting = bytes_of(greeting, SIZES[i]);
        open_both(world);
        assert_true(bytes_equal(world->event.greeting, bytes_of(greeting, SIZES[i])));
    }
    world->device_options.greeting = bytes_of(greeting, sizeof greeting);
    channel_destroy(world->device);
    world->device = NULL;
    assert_int_equal(channel_create_device(&world->device_options, &world->device, &world->problem),
                     RESULT_REFUSED);
}

static void frames_go_both_ways_large_and_small(void **state)
{
    struct world *world = *state;
    struct prng prng;
    uint8_t *body = arena_alloc(&world->arena, LIMIT_BODY_SIZE_MAX);

    assert_non_null(body);
    prng_init(&prng, 1);
    for (size_t i = 0; i < LIMIT_BODY_SIZE_MAX; i++)
        body[i] = (uint8_t)prng_next(&prng);
    open_both(world);
    for (size_t size = 0; size < 100; size += 7) {
        expect_delivered(world, world->server, world->device, bytes_of(body, size), 6);
        expect_delivered(world, world->device, world->server, bytes_of(body, size), 6);
    }
    expect_delivered(world, world->server, world->device, bytes_of(body, LIMIT_BODY_SIZE_MAX), 0);
    memset(body, 'x', LIMIT_BODY_SIZE_MAX);
    expect_delivered(world, world->device, world->server, bytes_of(body, LIMIT_BODY_SIZE_MAX), 1);
}

static void one_encoded_body_is_sealed_for_two_receivers(void **state)
{
    struct world *world = *state;
    struct world *other = NULL;
    void *other_state = NULL;
    struct bytes body = bytes_of_text("call 2026-000123 assigned to Anna; call 2026-000124 too");
    struct frame_list frames = {0};
    struct channel_messages messages = {0};

    assert_int_equal(world_begin(&other_state), 0);
    other = other_state;
    other->server_seed[0] = 99;
    open_both(world);
    open_both(other);
    assert_int_equal(
        frame_encode(4, body,
                     &(struct frame_options){
                         .frame_size_max = channel_frame_size_max(world->server), .level = 6},
                     &world->arena, &frames, &world->problem),
        RESULT_OK);
    for (int i = 0; i < 2; i++) {
        struct world *to = i == 0 ? world : other;

        assert_int_equal(channel_seal(to->server, &frames, &to->arena, &messages, &to->problem),
                         RESULT_OK);
        assert_int_equal(receive(to, to->device, messages.messages[0]), RESULT_OK);
        assert_true(bytes_equal(to->event.frame.body, body));
    }
    assert_int_equal(world_end(&other_state), 0);
}

static void dictionary_in_use_and_the_one_before_are_understood(void **state)
{
    struct world *world = *state;
    struct bytes body =
        bytes_of_text("Customer has no hot water in the bathroom; ring at Meier twice");
    struct frame_dictionary first = {1, bytes_of_text("Customer has no hot water in the bathroom")};
    struct frame_dictionary second = {2, bytes_of_text("ring at Meier twice, Customer has no")};
    struct channel_messages late;
    size_t plain_size = 0;

    open_both(world);
    plain_size = sent(world, world->device, body, 6).messages[0].size;
    open_both(world);
    channel_set_dictionary(world->device, first);
    channel_set_dictionary(world->server, first);
    late = sent(world, world->device, body, 6);
    assert_true(late.messages[0].size + 20 < plain_size);
    channel_set_dictionary(world->server, second);
    assert_int_equal(receive(world, world->server, late.messages[0]), RESULT_OK);
    assert_true(bytes_equal(world->event.frame.body, body));
    channel_set_dictionary(world->device, second);
    expect_delivered(world, world->device, world->server, body, 6);
    channel_set_dictionary(world->server, (struct frame_dictionary){3, body});
    channel_set_dictionary(world->server, (struct frame_dictionary){4, body});
    late = sent(world, world->device, body, 6);
    expect_dead(world, world->server, late.messages[0]);
}

static void a_server_key_that_the_root_did_not_sign_ends_it(void **state)
{
    struct world *world = *state;

    for (int fault = 0; fault < 3; fault++) {
        struct bytes hello;

        world->server_options.hello.signature[0] ^= fault == 0;
        world->server_options.hello.key_serial += fault == 1; /* signed for another serial */
        world->server_keys.public_key[3] ^= fault == 2;       /* signed for another key */
        hello = hello_of(world);
        expect_dead(world, world->device, hello);
        world->server_options.hello.signature[0] ^= fault == 0;
        world->server_options.hello.key_serial -= fault == 1;
    }
}

static void an_older_server_key_than_seen_before_is_refused(void **state)
{
    struct world *world = *state;

    world->device_options.key_serial_min = 8;
    assert_int_equal(receive_hello(world), RESULT_MALFORMED);
    assert_string_equal(world->problem.text, "the server's key has serial 7, seen before: 8");
}

static void no_version_in_common_is_said_as_such(void **state)
{
    struct world *world = *state;

    world->server_options.hello.version_min = 2;
    assert_int_equal(receive_hello(world), RESULT_REFUSED);
    assert_true(channel_is_dead(world->device));
}

static void a_busy_server_sends_the_device_away_for_a_while(void **state)
{
    struct world *world = *state;

    world->server_options.hello.retry_after_ms = 1500;
    assert_int_equal(receive_hello(world), RESULT_OK);
    assert_int_equal(world->event.kind, CHANNEL_LATER);
    assert_int_equal(world->event.hello->retry_after_ms, 1500);
    assert_true(channel_is_dead(world->device));
}

/* The whole HELLO is in the prologue, so a changed clock or limit doesn't survive message 1. */
static void a_changed_hello_is_noticed_by_the_server(void **state)
{
    struct world *world = *state;
    struct bytes hello = hello_of(world);
    uint8_t changed[LIMIT_HELLO_SIZE_MAX];

    memcpy(changed, hello.data, hello.size);
    changed[13] ^= 1; /* last byte of server_ms */
    assert_int_equal(receive(world, world->device, bytes_of(changed, hello.size)), RESULT_OK);
    expect_dead(world, world->server, world->event.message);
}

static void every_flipped_byte_of_the_handshake_ends_it(void **state)
{
    struct world *world = *state;

    for (int number = 1; number <= 3; number++) {
        size_t size = message_of(world, number).size;

        for (size_t at = 0; at < size; at++) {
            struct bytes message = message_of(world, number);
            struct channel *to = number == 2 ? world->device : world->server;
            uint8_t changed[256];
            enum result result;

            assert_true(size <= sizeof changed);
            memcpy(changed, message.data, size);
            changed[at] ^= 0x40;
            result = receive(world, to, bytes_of(changed, size));
            if (result == RESULT_OK) { /* the payload of message 3 waits for the key */
                assert_int_equal(world->event.kind, CHANNEL_NEED_PSK);
                result = channel_psk(to, PSK, &world->arena, &world->event, &world->problem);
            }
            assert_int_equal(result, RESULT_MALFORMED);
            assert_true(channel_is_dead(to));
            arena_reset(&world->arena);
        }
    }
}

static void every_cut_of_the_handshake_ends_it(void **state)
{
    struct world *world = *state;

    for (int number = 0; number <= 3; number++) {
        size_t size = message_of(world, number).size;

        for (size_t cut = 0; cut < size; cut++) {
            struct bytes message = message_of(world, number);
            struct channel *to = number % 2 == 0 ? world->device : world->server;
            enum result result = receive(world, to, bytes_of(message.data, cut));

            assert_int_equal(result, RESULT_MALFORMED);
            arena_reset(&world->arena);
        }
    }
}

static void an_unknown_device_and_a_wrong_key_end_the_same_way(void **state)
{
    struct world *world = *state;
    static const uint8_t ZEROS[NOISE_KEY_SIZE];
    static const uint8_t WRONG[NOISE_KEY_SIZE] = {1};
    const uint8_t *const device_psks[] = {PSK, ZEROS, PSK};
    const uint8_t *const answers[] = {NULL, NULL, WRONG};

    for (int i = 0; i < 3; i++) { /* also if the device's key is the stand-in for nobody's */
        struct bytes message;

        world->device_options.psk = device_psks[i];
        message = message_of(world, 3);
        assert_int_equal(receive(world, world->server, message), RESULT_OK);
        assert_int_equal(
            channel_psk(world->server, answers[i], &world->arena, &world->event, &world->problem),
            RESULT_MALFORMED);
        assert_true(channel_is_dead(world->server));
        assert_int_equal(
            channel_psk(world->server, PSK, &world->arena, &world->event, &world->problem),
            RESULT_MALFORMED);
    }
}

static void a_frame_before_the_key_is_there_has_to_wait(void **state)
{
    struct world *world = *state;
    struct bytes message = message_of(world, 3);
    struct bytes early = sent(world, world->device, bytes_of_text("early"), 0).messages[0];

    assert_int_equal(receive(world, world->server, message), RESULT_OK);
    assert_int_equal(receive(world, world->server, early), RESULT_WAIT);
    assert_int_equal(channel_psk(world->server, PSK, &world->arena, &world->event, &world->problem),
                     RESULT_OK);
    assert_int_equal(receive(world, world->server, early), RESULT_OK);
    assert_true(bytes_equal(world->event.frame.body, bytes_of_text("early")));
}

static void a_repeated_or_lost_or_oversized_frame_ends_the_channel(void **state)
{
    struct world *world = *state;
    static const uint8_t LARGE[LIMIT_MESSAGE_SIZE_MAX + 1];

    for (int fault = 0; fault < 4; fault++) {
        struct channel_messages first;
        struct channel_messages second;

        open_both(world);
        first = sent(world, world->server, bytes_of_text("first"), 0);
        second = sent(world, world->server, bytes_of_text("second"), 0);
        if (fault == 0)
            assert_int_equal(receive(world, world->device, first.messages[0]), RESULT_OK);
        expect_dead(world, world->device,
                    fault == 0   ? first.messages[0]
                    : fault == 1 ? second.messages[0]
                    : fault == 2 ? bytes_of(LARGE, sizeof LARGE)
                                 : bytes_of(LARGE, LIMIT_MESSAGE_SIZE_MIN - 1));
    }
}

static void the_message_size_of_hello_binds_both_sides(void **state)
{
    struct world *world = *state;
    static const uint8_t BODY[5000];
    struct channel_messages messages;

    world->server_options.hello.message_size_max = LIMIT_MESSAGE_OFFER_MIN;
    open_both(world);
    messages = sent(world, world->device, bytes_of(BODY, sizeof BODY), 0);
    assert_int_equal(messages.count, 5);
    assert_int_equal(messages.messages[0].size, LIMIT_MESSAGE_OFFER_MIN);
    expect_dead(world, world->server, bytes_of(BODY, LIMIT_MESSAGE_OFFER_MIN + 1));
}

static void bodies_above_the_limit_of_a_channel_end_it(void **state)
{
    struct world *world = *state;
    static const uint8_t BODY[2000];

    open_both(world);
    channel_set_body_limit(world->server, 1999);
    expect_delivered(world, world->device, world->server, bytes_of(BODY, 1999), 6);
    expect_dead(world, world->server,
                sent(world, world->device, bytes_of(BODY, 2000), 6).messages[0]);
}

static void a_limit_lowered_inside_a_body_holds_for_that_body(void **state)
{
    struct world *world = *state;
    static const uint8_t BODY[5000];
    struct channel_messages messages;

    world->server_options.hello.message_size_max = LIMIT_MESSAGE_OFFER_MIN;
    open_both(world);
    messages = sent(world, world->device, bytes_of(BODY, sizeof BODY), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(receive(world, world->server, messages.messages[i]), RESULT_OK);
    channel_set_body_limit(world->server, 2000); /* less than what has come */
    expect_dead(world, world->server, messages.messages[3]);
}

static void a_full_arena_changes_nothing_at_any_step(void **state)
{
    struct world *world = *state;
    static const uint8_t BODY[3000];

    for (int number = 0; number <= 4; number++) {
        struct bytes message = number < 4 ? message_of(world, number) : (struct bytes){0};
        struct channel *to = NULL;
        size_t room = 0;
        enum result result = RESULT_EXHAUSTED;

        if (number == 4) {
            open_both(world);
            message = sent(world, world->server, bytes_of(BODY, sizeof BODY), 6).messages[0];
        }
        to = number % 2 == 0 ? world->device : world->server;
        for (; result == RESULT_EXHAUSTED; room += 40) {
            struct arena arena;
            struct channel_event event = {0};

            arena_init(&arena, room);
            result = channel_receive(to, message, &arena, &event, &world->problem);
            if (result == RESULT_OK && event.kind == CHANNEL_FRAME)
                assert_true(bytes_equal(event.frame.body, bytes_of(BODY, sizeof BODY)));
            arena_done(&arena);
        }
        assert_int_equal(result, RESULT_OK);
        assert_true(room > 40 || number == 3);
    }
}

static void a_full_arena_while_sending_leaves_no_gap(void **state)
{
    struct world *world = *state;
    static const uint8_t BODY[3000];
    struct channel_messages messages = {0};
    size_t room = 0;
    enum result result = RESULT_EXHAUSTED;

    open_both(world);
    for (; result == RESULT_EXHAUSTED; room += 100) {
        struct arena arena;

        arena_init(&arena, room);
        result = channel_send(world->server, 33, bytes_of(BODY, sizeof BODY), 0, &arena, &messages,
                              &world->problem);
        if (result == RESULT_OK)
            assert_int_equal(receive(world, world->device, messages.messages[0]), RESULT_OK);
        arena_done(&arena);
    }
    assert_int_equal(result, RESULT_OK);
    assert_true(room > 6000);
}

static void a_message_before_hello_was_sent_ends_the_channel(void **state)
{
    struct world *world = *state;

    create(world);
    expect_dead(world, world->server, bytes_of_text("early"));
}

/* ---- a device written from the documents alone, which can also break their rules ---- */

static void insider_begin(struct world *world, struct noise *noise, struct bytes hello,
                          uint8_t kind)
{
    uint8_t prologue[44] = "fieldsync";

    prologue[10] = kind;
    prologue[11] = 1;
    assert_int_equal(crypto_generichash_blake2b(prologue + 12, 32, hello.data, hello.size, NULL, 0),
                     0);
    noise_init(noise, &(struct noise_setup){.pattern = NOISE_XKPSK3,
                                            .role = NOISE_INITIATOR,
                                            .prologue = bytes_of(prologue, sizeof prologue),
                                            .static_keys = &world->device_keys,
                                            .ephemeral_private = world->device_seed,
                                            .remote_static = world->server_keys.public_key,
                                            .psk = PSK});
}

/* Sends a handshake message with this raw payload; returns what the server's channel says. */
static enum result insider_says(struct world *world, struct noise *noise, struct bytes mark,
                                struct bytes payload)
{
    uint8_t message[LIMIT_GREETING_SIZE_MAX + 512];
    size_t size = mark.size + noise_overhead(noise) + payload.size;

    assert_true(size <= sizeof message);
    memcpy(message, mark.data, mark.size);
    assert_int_equal(noise_write(noise, payload, message + mark.size, &world->problem), RESULT_OK);
    return receive(world, world->server, bytes_of(message, size));
}

static enum result insider_message_1(struct world *world, struct noise *noise, uint8_t kind,
                                     const uint8_t payload[64])
{
    uint8_t mark[2] = {kind, 1};
    struct bytes hello = hello_of(world);

    insider_begin(world, noise, hello, kind);
    return insider_says(world, noise, bytes_of(mark, sizeof mark), bytes_of(payload, 64));
}

static enum result insider_message_3(struct world *world, struct bytes payload)
{
    static const uint8_t EMPTY[64];
    struct noise noise;
    uint8_t read[128];
    size_t size = 0;

    assert_int_equal(insider_message_1(world, &noise, CHANNEL_SESSION, EMPTY), RESULT_OK);
    assert_int_equal(world->event.message.data[0], 2);
    assert_int_equal(
        noise_read(&noise, bytes_of(world->event.message.data + 1, world->event.message.size - 1),
                   read, &size, &world->problem),
        RESULT_OK);
    assert_int_equal(size, 64);
    assert_true(sodium_is_zero(read, size));
    if (insider_says(world, &noise, bytes_of("\3", 1), payload) != RESULT_OK)
        return RESULT_MALFORMED;
    return channel_psk(world->server, PSK, &world->arena, &world->event, &world->problem);
}

static void a_device_written_from_the_documents_is_understood(void **state)
{
    struct world *world = *state;
    uint8_t payload[64] = "\0\5hello";

    assert_int_equal(insider_message_3(world, bytes_of(payload, sizeof payload)), RESULT_OK);
    assert_int_equal(world->event.kind, CHANNEL_OPEN);
    assert_true(bytes_equal(world->event.greeting, bytes_of_text("hello")));
}

static void payloads_of_message_1_that_break_the_rules_are_refused(void **state)
{
    static const uint8_t PAYLOADS[][64] = {
        "\0\1x",    /* a session has no content */
        "\0\77",    /* says 63: two blocks */
        "\0\0\0\1", /* padding isn't zero */
        "\377\377", /* says more than is there */
    };
    struct world *world = *state;
    struct noise noise;

    for (size_t i = 0; i < sizeof PAYLOADS / sizeof *PAYLOADS; i++) {
        assert_int_equal(insider_message_1(world, &noise, CHANNEL_SESSION, PAYLOADS[i]),
                         RESULT_MALFORMED);
        assert_true(channel_is_dead(world->server));
    }
    assert_int_equal(insider_message_1(world, &noise, CHANNEL_ENROL, PAYLOADS[0]),
                     RESULT_MALFORMED); /* a token id has 16 bytes */
    assert_string_equal(world->problem.text, "message 1 with 1 bytes of content");
}

static void payloads_of_message_3_that_break_the_rules_are_refused(void **state)
{
    struct world *world = *state;
    static uint8_t payload[LIMIT_GREETING_SIZE_MAX + 192];
    size_t size = LIMIT_GREETING_SIZE_MAX + 64;

    payload[0] = (uint8_t)((LIMIT_GREETING_SIZE_MAX + 1) >> 8);
    payload[1] = (uint8_t)(LIMIT_GREETING_SIZE_MAX + 1);
    assert_int_equal(insider_message_3(world, bytes_of(payload, size)), RESULT_MALFORMED);
    assert_string_equal(world->problem.text, "greeting of 16385 bytes");
    payload[1]--;
    assert_int_equal(insider_message_3(world, bytes_of(payload, size)), RESULT_OK);
    assert_int_equal(insider_message_3(world, bytes_of(payload, size + 64)), RESULT_MALFORMED);
    assert_int_equal(insider_message_3(world, bytes_of(payload, size - 64)), RESULT_MALFORMED);
    payload[size - 1] = 1;
    assert_int_equal(insider_message_3(world, bytes_of(payload, size)), RESULT_MALFORMED);
    assert_string_equal(world->problem.text, "handshake padding isn't zero");
}

static void a_dead_channel_neither_starts_nor_sends(void **state)
{
    struct world *world = *state;
    struct bytes message = {0};
    struct channel_messages messages = {0};
    struct frame_list frames = {0};

    create(world);
    expect_dead(world, world->server, bytes_of_text("early"));
    assert_int_equal(channel_start(world->server, &world->arena, &message, &world->problem),
                     RESULT_MALFORMED);
    assert_int_equal(
        channel_send(world->server, 1, message, 0, &world->arena, &messages, &world->problem),
        RESULT_MALFORMED);
    assert_int_equal(
        channel_seal(world->server, &frames, &world->arena, &messages, &world->problem),
        RESULT_MALFORMED);
    assert_int_equal(messages.count, 0);
    assert_false(channel_is_worn(world->server));
}

static void a_full_arena_lets_the_key_be_given_again(void **state)
{
    struct world *world = *state;
    struct arena arena;
    struct bytes message = message_of(world, 3);

    arena_init(&arena, 10);
    assert_int_equal(receive(world, world->server, message), RESULT_OK);
    assert_int_equal(channel_psk(world->server, PSK, &arena, &world->event, &world->problem),
                     RESULT_EXHAUSTED);
    assert_int_equal(channel_psk(world->server, PSK, &world->arena, &world->event, &world->problem),
                     RESULT_OK);
    assert_true(bytes_equal(world->event.greeting, bytes_of_text("RESUME")));
    arena_done(&arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_opens_with_what_each_side_has_to_know),
        TEST(an_enrolment_names_its_token),
        TEST(sizes_of_the_handshake_tell_nothing_about_kind_and_greeting),
        TEST(greetings_of_every_size_arrive),
        TEST(frames_go_both_ways_large_and_small),
        TEST(one_encoded_body_is_sealed_for_two_receivers),
        TEST(dictionary_in_use_and_the_one_before_are_understood),
        TEST(a_server_key_that_the_root_did_not_sign_ends_it),
        TEST(an_older_server_key_than_seen_before_is_refused),
        TEST(no_version_in_common_is_said_as_such),
        TEST(a_busy_server_sends_the_device_away_for_a_while),
        TEST(a_changed_hello_is_noticed_by_the_server),
        TEST(every_flipped_byte_of_the_handshake_ends_it),
        TEST(every_cut_of_the_handshake_ends_it),
        TEST(an_unknown_device_and_a_wrong_key_end_the_same_way),
        TEST(a_frame_before_the_key_is_there_has_to_wait),
        TEST(a_repeated_or_lost_or_oversized_frame_ends_the_channel),
        TEST(the_message_size_of_hello_binds_both_sides),
        TEST(bodies_above_the_limit_of_a_channel_end_it),
        TEST(a_limit_lowered_inside_a_body_holds_for_that_body),
        TEST(a_full_arena_changes_nothing_at_any_step),
        TEST(a_full_arena_while_sending_leaves_no_gap),
        TEST(a_message_before_hello_was_sent_ends_the_channel),
        TEST(a_device_written_from_the_documents_is_understood),
        TEST(payloads_of_message_1_that_break_the_rules_are_refused),
        TEST(payloads_of_message_3_that_break_the_rules_are_refused),
        TEST(a_dead_channel_neither_starts_nor_sends),
        TEST(a_full_arena_lets_the_key_be_given_again),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

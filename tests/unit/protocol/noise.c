/* SPDX-License-Identifier: Apache-2.0 */
/* What the published vectors (tests/vectors/noise.c) don't say: failures, REKEY, wiping. */
#include "protocol/noise.h"

#include "protocol/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

enum { ROOM = 256 };

struct pair {
    struct noise device;
    struct noise server;
    struct noise_keypair device_keys;
    struct noise_keypair server_keys;
};

static const uint8_t PSK[NOISE_KEY_SIZE] = {7};

static void keys_from(uint8_t number, struct noise_keypair *ret_keys)
{
    uint8_t private_key[NOISE_KEY_SIZE];

    memset(private_key, number, sizeof private_key);
    noise_keypair_from(private_key, ret_keys);
}

static void pair_begin(struct pair *pair, const char *server_prologue)
{
    uint8_t ephemeral[NOISE_KEY_SIZE] = {1};

    keys_from(3, &pair->device_keys);
    keys_from(4, &pair->server_keys);
    noise_init(&pair->device, &(struct noise_setup){.pattern = NOISE_XKPSK3,
                                                    .role = NOISE_INITIATOR,
                                                    .prologue = bytes_of_text("hello"),
                                                    .static_keys = &pair->device_keys,
                                                    .ephemeral_private = ephemeral,
                                                    .remote_static = pair->server_keys.public_key,
                                                    .psk = PSK});
    ephemeral[0] = 2;
    noise_init(&pair->server, &(struct noise_setup){.pattern = NOISE_XKPSK3,
                                                    .role = NOISE_RESPONDER,
                                                    .prologue = bytes_of_text(server_prologue),
                                                    .static_keys = &pair->server_keys,
                                                    .ephemeral_private = ephemeral});
}

static size_t written(struct noise *from, uint8_t *ret_message)
{
    struct problem problem = {0};
    size_t size = noise_overhead(from) + 2;

    assert_int_equal(noise_write(from, bytes_of_text("hi"), ret_message, &problem), RESULT_OK);
    return size;
}

/* Messages 1 and 2; message 3 is in ret_message. */
static size_t pair_until_message_3(struct pair *pair, uint8_t *ret_message)
{
    struct problem problem = {0};
    uint8_t payload[ROOM];
    size_t size = written(&pair->device, ret_message);

    assert_int_equal(
        noise_read(&pair->server, bytes_of(ret_message, size), payload, &size, &problem),
        RESULT_OK);
    size = written(&pair->server, ret_message);
    assert_int_equal(
        noise_read(&pair->device, bytes_of(ret_message, size), payload, &size, &problem),
        RESULT_OK);
    return written(&pair->device, ret_message);
}

static void transports_begin(struct noise_transport *device, struct noise_transport *server)
{
    struct pair pair;
    uint8_t message[ROOM];
    uint8_t payload[ROOM];
    struct problem problem = {0};
    size_t size = 0;

    pair_begin(&pair, "hello");
    size = pair_until_message_3(&pair, message);
    noise_set_psk(&pair.server, PSK);
    assert_int_equal(noise_read(&pair.server, bytes_of(message, size), payload, &size, &problem),
                     RESULT_OK);
    noise_split(&pair.device, device);
    noise_split(&pair.server, server);
}

static void responder_learns_who_it_is_before_the_psk_is_needed(void **state)
{
    struct pair pair;
    uint8_t message[ROOM];
    uint8_t payload[ROOM];
    struct problem problem = {0};
    size_t size = 0;
    size_t payload_size = 0;

    (void)state;
    pair_begin(&pair, "hello");
    size = pair_until_message_3(&pair, message);
    assert_null(noise_remote_static(&pair.server));
    for (int i = 0; i < 2; i++) /* asking twice changes nothing */
        assert_int_equal(
            noise_read(&pair.server, bytes_of(message, size), payload, &payload_size, &problem),
            RESULT_WAIT);
    assert_memory_equal(noise_remote_static(&pair.server), pair.device_keys.public_key,
                        NOISE_KEY_SIZE);
    noise_set_psk(&pair.server, PSK);
    assert_int_equal(
        noise_read(&pair.server, bytes_of(message, size), payload, &payload_size, &problem),
        RESULT_OK);
    assert_int_equal(payload_size, 2);
    assert_memory_equal(payload, "hi", 2);
    assert_memory_equal(noise_hash(&pair.server), noise_hash(&pair.device), NOISE_HASH_SIZE);
}

static void a_wrong_psk_kills_the_handshake_for_ever(void **state)
{
    static const uint8_t WRONG[NOISE_KEY_SIZE] = {8};
    struct pair pair;
    uint8_t message[ROOM];
    uint8_t payload[ROOM];
    struct problem problem = {0};
    size_t size = 0;

    (void)state;
    pair_begin(&pair, "hello");
    size = pair_until_message_3(&pair, message);
    noise_set_psk(&pair.server, WRONG);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            noise_read(&pair.server, bytes_of(message, size), payload, &size, &problem),
            RESULT_MALFORMED);
    assert_string_equal(problem.text, "handshake: failed before");
    assert_false(noise_is_complete(&pair.server));
}

static void another_prologue_is_noticed_in_the_first_message(void **state)
{
    struct pair pair;
    uint8_t message[ROOM];
    uint8_t payload[ROOM];
    struct problem problem = {0};
    size_t size = 0;

    (void)state;
    pair_begin(&pair, "hullo");
    size = written(&pair.device, message);
    assert_int_equal(noise_read(&pair.server, bytes_of(message, size), payload, &size, &problem),
                     RESULT_MALFORMED);
    assert_string_equal(problem.text, "handshake: wrong tag on the payload");
}

static void every_flipped_bit_and_every_cut_of_message_3_is_refused(void **state)
{
    struct pair pair;
    uint8_t message[ROOM];
    uint8_t changed[ROOM];
    uint8_t payload[ROOM];
    struct problem problem = {0};
    size_t size = 0;

    (void)state;
    pair_begin(&pair, "hello");
    size = pair_until_message_3(&pair, message);
    noise_set_psk(&pair.server, PSK);
    for (size_t i = 0; i < size; i++) {
        struct noise copy = pair.server;
        size_t ret_size = 0;

        memcpy(changed, message, size);
        changed[i] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(noise_read(&copy, bytes_of(changed, size), payload, &ret_size, &problem),
                         RESULT_MALFORMED);
        copy = pair.server;
        assert_int_equal(noise_read(&copy, bytes_of(message, i), payload, &ret_size, &problem),
                         RESULT_MALFORMED);
    }
}

/* A key of low order would make the secret the same for everyone. */
static void low_order_ephemeral_is_refused(void **state)
{
    struct pair pair;
    uint8_t message[NOISE_KEY_SIZE + NOISE_TAG_SIZE] = {0};
    uint8_t payload[ROOM];
    struct problem problem = {0};
    size_t size = 0;

    (void)state;
    for (uint8_t low = 0; low <= 1; low++) {
        pair_begin(&pair, "hello");
        message[0] = low;
        assert_int_equal(
            noise_read(&pair.server, bytes_of(message, sizeof message), payload, &size, &problem),
            RESULT_MALFORMED);
        assert_string_equal(problem.text, "handshake: low-order key");
    }
}

static void low_order_key_of_the_responder_is_refused_before_sending(void **state)
{
    static const uint8_t ZERO[NOISE_KEY_SIZE];
    uint8_t ephemeral[NOISE_KEY_SIZE] = {1};
    uint8_t message[ROOM];
    struct noise noise;
    struct problem problem = {0};

    (void)state;
    noise_init(&noise, &(struct noise_setup){.pattern = NOISE_NK,
                                             .role = NOISE_INITIATOR,
                                             .ephemeral_private = ephemeral,
                                             .remote_static = ZERO});
    assert_int_equal(noise_write(&noise, (struct bytes){0}, message, &problem), RESULT_MALFORMED);
    assert_int_equal(noise_write(&noise, (struct bytes){0}, message, &problem), RESULT_MALFORMED);
}

static void a_repeated_lost_or_forged_message_kills_the_conversation(void **state)
{
    struct noise_transport device;
    struct noise_transport server;
    struct problem problem = {0};
    uint8_t first[ROOM];
    uint8_t second[ROOM];
    uint8_t plaintext[ROOM];
    size_t size = 2 + NOISE_TAG_SIZE;

    (void)state;
    for (int fault = 0; fault < 4; fault++) {
        enum result result;

        transports_begin(&device, &server);
        assert_int_equal(noise_seal(&device, bytes_of_text("hi"), first, &problem), RESULT_OK);
        assert_int_equal(noise_seal(&device, bytes_of_text("ho"), second, &problem), RESULT_OK);
        assert_int_equal(noise_open(&server, bytes_of(first, size), plaintext, &problem),
                         RESULT_OK);
        if (fault == 0) /* sent again */
            result = noise_open(&server, bytes_of(first, size), plaintext, &problem);
        else if (fault == 1) { /* one bit */
            second[3] ^= 1;
            result = noise_open(&server, bytes_of(second, size), plaintext, &problem);
        } else if (fault == 2) /* cut */
            result = noise_open(&server, bytes_of(second, NOISE_TAG_SIZE - 1), plaintext, &problem);
        else /* sent back to where it came from */
            result = noise_open(&device, bytes_of(first, size), plaintext, &problem);
        assert_int_equal(result, RESULT_MALFORMED);
        if (fault < 3)
            assert_int_equal(noise_open(&server, bytes_of(second, size), plaintext, &problem),
                             RESULT_MALFORMED);
    }
}

/* The key below was computed with OpenSSL, which shares no code with libsodium: the first 32 bytes
 * of a ChaCha20-Poly1305 ciphertext of zeros are the key stream from block 1 on.
 *   head -c32 /dev/zero | openssl enc -chacha20 -K 000102...1f \
 *       -iv 0100000000000000ffffffffffffffff | xxd -p */
static void rekey_is_what_openssl_computes(void **state)
{
    struct noise_cipher cipher = {.nonce = 65536};
    char text[2 * NOISE_KEY_SIZE + 1];

    (void)state;
    for (uint8_t i = 0; i < NOISE_KEY_SIZE; i++)
        cipher.key[i] = i;
    noise_rekey(&cipher);
    bytes_to_hex(bytes_of(cipher.key, sizeof cipher.key), text);
    assert_string_equal(text, "50835543a205b22c9323f2022bc4f67d838f90e61d5ccf33c4513e01f85b5042");
    assert_int_equal(cipher.nonce, 65536); /* counting goes on */
}

static void both_sides_change_the_key_after_65536_messages_of_a_direction(void **state)
{
    struct noise_transport device;
    struct noise_transport server;
    struct noise_cipher before;
    struct problem problem = {0};
    uint8_t message[ROOM];
    uint8_t plaintext[ROOM];

    (void)state;
    transports_begin(&device, &server);
    before = device.send;
    for (int i = 0; i < LIMIT_REKEY_MESSAGES * 2 + 3; i++) {
        assert_int_equal(noise_seal(&device, bytes_of_text("hi"), message, &problem), RESULT_OK);
        assert_int_equal(
            noise_open(&server, bytes_of(message, 2 + NOISE_TAG_SIZE), plaintext, &problem),
            RESULT_OK);
        if (i == LIMIT_REKEY_MESSAGES - 2)
            assert_memory_equal(device.send.key, before.key, NOISE_KEY_SIZE);
        if (i == LIMIT_REKEY_MESSAGES - 1) {
            noise_rekey(&before);
            assert_memory_equal(device.send.key, before.key, NOISE_KEY_SIZE);
        }
    }
    noise_rekey(&before);
    assert_memory_equal(device.send.key, before.key, NOISE_KEY_SIZE);
    assert_memory_equal(server.receive.key, before.key, NOISE_KEY_SIZE);
    assert_int_equal(server.send.nonce, 0); /* the other direction counts for itself */
}

static void nothing_is_sent_past_the_messages_of_a_session(void **state)
{
    struct noise_transport device;
    struct noise_transport server;
    struct problem problem = {0};
    uint8_t message[ROOM];

    (void)state;
    transports_begin(&device, &server);
    device.send.nonce = (uint64_t)LIMIT_SESSION_MESSAGES + LIMIT_REKEY_MESSAGES - 1;
    assert_int_equal(noise_seal(&device, bytes_of_text("hi"), message, &problem), RESULT_OK);
    assert_int_equal(noise_seal(&device, bytes_of_text("hi"), message, &problem), RESULT_EXHAUSTED);
}

static void keys_are_wiped_when_a_handshake_ends(void **state)
{
    struct noise_transport device;
    struct pair pair;
    uint8_t message[ROOM];

    (void)state;
    pair_begin(&pair, "hello");
    (void)pair_until_message_3(&pair, message);
    noise_split(&pair.device, &device);
    assert_true(sodium_is_zero(pair.device.psk, NOISE_KEY_SIZE));
    assert_true(
        sodium_is_zero((const uint8_t *)&pair.device.static_keys, sizeof pair.device.static_keys));
    assert_true(sodium_is_zero(pair.device.chaining_key, NOISE_HASH_SIZE));
    noise_transport_done(&device);
    assert_true(sodium_is_zero(device.send.key, NOISE_KEY_SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responder_learns_who_it_is_before_the_psk_is_needed),
        cmocka_unit_test(a_wrong_psk_kills_the_handshake_for_ever),
        cmocka_unit_test(another_prologue_is_noticed_in_the_first_message),
        cmocka_unit_test(every_flipped_bit_and_every_cut_of_message_3_is_refused),
        cmocka_unit_test(low_order_ephemeral_is_refused),
        cmocka_unit_test(low_order_key_of_the_responder_is_refused_before_sending),
        cmocka_unit_test(a_repeated_lost_or_forged_message_kills_the_conversation),
        cmocka_unit_test(rekey_is_what_openssl_computes),
        cmocka_unit_test(both_sides_change_the_key_after_65536_messages_of_a_direction),
        cmocka_unit_test(nothing_is_sent_past_the_messages_of_a_session),
        cmocka_unit_test(keys_are_wiped_when_a_handshake_ends),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

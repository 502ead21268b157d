/* SPDX-License-Identifier: Apache-2.0 */
/* Published known answers for noise.h: noise.json beside this file (public domain, from
 * haskell-cryptography/cacophony), as C data in noise_vectors.h. */
#include "noise_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { ROOM = 512, VECTOR_COUNT = sizeof NOISE_VECTORS / sizeof *NOISE_VECTORS };

struct data {
    uint8_t bytes[ROOM];
    size_t size;
};

static struct data data_of(const char *hex)
{
    struct data data = {.size = strlen(hex) / 2};

    assert_true(data.size <= ROOM);
    assert_true(bytes_from_hex(hex, data.bytes, data.size));
    return data;
}

static void expect_hex(struct bytes bytes, const char *hex)
{
    char text[2 * ROOM + 1];

    assert_true(bytes.size <= ROOM);
    bytes_to_hex(bytes, text);
    assert_string_equal(text, hex);
}

static void begin(struct noise *noise, const struct noise_vector *vector, enum noise_role role,
                  bool psk_later)
{
    const struct noise_vector_side *side = &vector->sides[role];
    struct data prologue = data_of(side->prologue);
    struct data ephemeral = data_of(side->ephemeral_private);
    struct data remote = data_of(side->remote_static == NULL ? "" : side->remote_static);
    struct data psk = data_of(side->psk == NULL ? "" : side->psk);
    struct noise_keypair static_keys = {0};

    if (side->static_private != NULL)
        noise_keypair_from(data_of(side->static_private).bytes, &static_keys);
    noise_init(noise, &(struct noise_setup){
                          .pattern = vector->pattern,
                          .role = role,
                          .prologue = bytes_of(prologue.bytes, prologue.size),
                          .static_keys = side->static_private == NULL ? NULL : &static_keys,
                          .ephemeral_private = ephemeral.bytes,
                          .remote_static = side->remote_static == NULL ? NULL : remote.bytes,
                          .psk = side->psk == NULL || psk_later ? NULL : psk.bytes,
                      });
}

static void expect_handshake_message(struct noise *from, struct noise *to,
                                     const struct noise_vector *vector, size_t message_no,
                                     bool psk_later)
{
    const struct noise_vector_message *expected = &vector->messages[message_no];
    struct data payload = data_of(expected->payload);
    struct problem problem = {0};
    uint8_t message[ROOM];
    uint8_t read[ROOM];
    size_t size = payload.size + noise_overhead(from);
    enum result result;

    assert_true(noise_is_mine(from) && !noise_is_mine(to));
    if (psk_later && vector->sides[from->role].psk != NULL)
        noise_set_psk(from, data_of(vector->sides[from->role].psk).bytes);
    assert_int_equal(noise_write(from, bytes_of(payload.bytes, payload.size), message, &problem),
                     RESULT_OK);
    expect_hex(bytes_of(message, size), expected->ciphertext);
    result = noise_read(to, bytes_of(message, size), read, &size, &problem);
    if (result == RESULT_WAIT) {
        assert_true(psk_later);
        noise_set_psk(to, data_of(vector->sides[to->role].psk).bytes);
        size = payload.size + (size_t)(strlen(expected->ciphertext) / 2 - payload.size);
        result = noise_read(to, bytes_of(message, size), read, &size, &problem);
    }
    assert_int_equal(result, RESULT_OK);
    expect_hex(bytes_of(read, size), expected->payload);
}

static void expect_transport_message(struct noise_transport *from, struct noise_transport *to,
                                     const struct noise_vector_message *expected)
{
    struct data payload = data_of(expected->payload);
    struct problem problem = {0};
    uint8_t message[ROOM];
    uint8_t read[ROOM];
    size_t size = payload.size + NOISE_TAG_SIZE;

    assert_int_equal(noise_seal(from, bytes_of(payload.bytes, payload.size), message, &problem),
                     RESULT_OK);
    expect_hex(bytes_of(message, size), expected->ciphertext);
    assert_int_equal(noise_open(to, bytes_of(message, size), read, &problem), RESULT_OK);
    expect_hex(bytes_of(read, payload.size), expected->payload);
}

static void expect_vector(const struct noise_vector *vector, bool psk_later)
{
    struct noise sides[2];
    struct noise_transport transports[2];
    size_t message_no = 0;

    assert_string_equal(vector->protocol_name, noise_pattern_name(vector->pattern));
    begin(&sides[0], vector, NOISE_INITIATOR, psk_later);
    begin(&sides[1], vector, NOISE_RESPONDER, psk_later);
    for (; !noise_is_complete(&sides[0]); message_no++)
        expect_handshake_message(&sides[message_no % 2], &sides[1 - message_no % 2], vector,
                                 message_no, psk_later);
    assert_true(noise_is_complete(&sides[1]));
    expect_hex(bytes_of(noise_hash(&sides[0]), NOISE_HASH_SIZE), vector->handshake_hash);
    expect_hex(bytes_of(noise_hash(&sides[1]), NOISE_HASH_SIZE), vector->handshake_hash);
    for (size_t i = 0; i < 2; i++)
        noise_split(&sides[i], &transports[i]);
    for (; message_no < 6; message_no++)
        expect_transport_message(&transports[message_no % 2], &transports[1 - message_no % 2],
                                 &vector->messages[message_no]);
}

static void every_published_vector_comes_out_on_both_sides(void **state)
{
    (void)state;
    assert_int_equal(VECTOR_COUNT, 6);
    for (size_t i = 0; i < VECTOR_COUNT; i++)
        expect_vector(&NOISE_VECTORS[i], false);
}

static void the_same_comes_out_if_the_psk_is_given_only_when_it_is_needed(void **state)
{
    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++)
        expect_vector(&NOISE_VECTORS[i], true);
}

static void every_pattern_of_the_table_has_a_vector(void **state)
{
    bool seen[NOISE_PATTERN_COUNT] = {0};

    (void)state;
    for (size_t i = 0; i < VECTOR_COUNT; i++)
        seen[NOISE_VECTORS[i].pattern] = true;
    for (size_t i = 0; i < NOISE_PATTERN_COUNT; i++)
        assert_true(seen[i]);
}

/* The JSON file that others read and the C table that we read must not drift apart. */
static void the_table_is_the_published_file(void **state)
{
#ifdef VECTORS_DIR
    char path[1024] = VECTORS_DIR "/noise.json";
#else
    char path[1024] = __FILE__;
    char *slash = strrchr(path, '/');
    size_t at = slash == NULL ? 0 : (size_t)(slash + 1 - path);
#endif
    static char text[64 * 1024];
    FILE *file = NULL;
    size_t size = 0;

    (void)state;
#ifndef VECTORS_DIR
    memcpy(path + at, "noise.json", sizeof "noise.json");
#endif
    file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(text, 1, sizeof text - 1, file);
    assert_int_equal(fclose(file), 0);
    assert_true(size > 0 && size < sizeof text - 1);
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        const struct noise_vector *vector = &NOISE_VECTORS[i];
        const char *at_vector = strstr(text, vector->protocol_name);

        assert_non_null(at_vector);
        assert_non_null(strstr(at_vector, vector->handshake_hash));
        for (size_t m = 0; m < 6; m++)
            assert_non_null(strstr(at_vector, vector->messages[m].ciphertext));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_published_vector_comes_out_on_both_sides),
        cmocka_unit_test(the_same_comes_out_if_the_psk_is_given_only_when_it_is_needed),
        cmocka_unit_test(every_pattern_of_the_table_has_a_vector),
        cmocka_unit_test(the_table_is_the_published_file),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

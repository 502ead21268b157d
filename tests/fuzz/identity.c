/* SPDX-License-Identifier: Apache-2.0 */
/* What is read before anybody is known: enrolment codes, key files and HELLO. First byte which;
 * what decodes is encoded and has to decode to the same. */
#include "tests/fuzz/fuzz.h" /* first */

#include "protocol/hello.h"
#include "protocol/identity.h"

#include <sodium.h>
#include <string.h>

enum { KIND_CODE, KIND_FILE, KIND_HELLO, KIND_FORGED_CODE, KIND_COUNT };

static void code_round(struct bytes text)
{
    struct identity_code code;
    struct identity_code again;
    struct problem problem = {0};
    char encoded[IDENTITY_CODE_SIZE];

    if (identity_code_decode(text, &code, &problem) != RESULT_OK) {
        static const struct identity_code NOTHING;

        invariant(memcmp(&code, &NOTHING, sizeof code) == 0 && problem.text[0] != '\0');
        return;
    }
    FUZZ_OK(&problem, identity_code_encode(&code, encoded, &problem));
    FUZZ_OK(&problem, identity_code_decode(bytes_of_text(encoded), &again, &problem));
    invariant(memcmp(&code, &again, sizeof code) == 0);
}

/* The fuzzer can't find the check by itself: a code with any content and the right check. */
static void forged_code(struct bytes content)
{
    static const char DIGITS[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t raw[IDENTITY_CODE_SIZE];
    uint8_t check[crypto_generichash_BYTES];
    char text[2 * IDENTITY_CODE_SIZE] = "fs1:";
    size_t size = content.size < 400 ? content.size : 400;
    size_t at = 4;
    uint32_t bits = 0;
    unsigned bit_count = 0;

    if (size > 0)
        memcpy(raw, content.data, size);
    (void)crypto_generichash(check, sizeof check, raw, size, NULL, 0);
    memcpy(raw + size, check, 4);
    for (size_t i = 0; i < size + 4; i++) {
        bits = bits << 8 | raw[i];
        for (bit_count += 8; bit_count >= 5; bit_count -= 5)
            text[at++] = DIGITS[bits >> (bit_count - 5) & 31];
    }
    if (bit_count > 0)
        text[at++] = DIGITS[bits << (5 - bit_count) & 31];
    code_round(bytes_of(text, at));
}

static void file_round(enum identity_kind kind, struct bytes text)
{
    struct identity_file file;
    struct identity_file again;
    struct problem problem = {0};
    char encoded[IDENTITY_FILE_SIZE_MAX];
    size_t size = 0;

    if (identity_file_decode(text, kind, &file, &problem) != RESULT_OK) {
        invariant(problem.text[0] != '\0');
        return;
    }
    size = identity_file_encode(&file, encoded);
    invariant(size < sizeof encoded);
    FUZZ_OK(&problem, identity_file_decode(bytes_of(encoded, size), kind, &again, &problem));
    invariant(memcmp(&file, &again, sizeof file) == 0);
}

static void hello_round(struct bytes message)
{
    struct hello hello;
    struct hello again;
    struct problem problem = {0};
    struct buffer buffer;

    buffer_init(&buffer, 4096);
    if (hello_decode(message, &hello, &problem) == RESULT_OK) {
        FUZZ_OK(&problem, hello_encode(&hello, &buffer, &problem));
        FUZZ_OK(&problem, hello_decode(buffer_bytes(&buffer), &again, &problem));
        invariant(hello.key_serial == again.key_serial && hello.server_ms == again.server_ms &&
                  memcmp(hello.public_key, again.public_key, sizeof hello.public_key) == 0);
    }
    buffer_done(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    uint8_t choice = input_byte(&input);

    if (sodium_init() < 0)
        return 0;
    switch (choice % KIND_COUNT) {
    case KIND_CODE:
        code_round(input_rest(&input));
        break;
    case KIND_FILE:
        file_round((enum identity_kind)(choice / KIND_COUNT % IDENTITY_KIND_COUNT),
                   input_rest(&input));
        break;
    case KIND_HELLO:
        hello_round(input_rest(&input));
        break;
    default:
        forged_code(input_rest(&input));
        break;
    }
    return 0;
}

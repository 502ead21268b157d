/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds every message decoder: the first byte of the input chooses which, and the catalog: the
 * small one of the protocol's examples, or with bit 7 the real model. What a decoder lets through
 * is encoded, decoded and encoded again; both encodings are the same bytes. */
#include "tests/fuzz/model.h" /* first */

#include "protocol/limits.h"

#include "tests/unit/protocol/example_catalog.h"
#include "tests/unit/protocol/message_kit.h"

enum { ENCODED_SIZE_MAX = 16 * LIMIT_BODY_SIZE_MAX, REAL_MODEL = 0x80 };

/* A whole body may grow when it is encoded anew (columns to rows): then it isn't decoded again. */
static void expect_round(enum message_kind kind, const struct catalog *catalog,
                         const union any_message *any, struct arena *arena)
{
    union any_message again;
    struct problem problem = {0};
    struct buffer first;
    struct buffer second;

    buffer_init(&first, ENCODED_SIZE_MAX);
    buffer_init(&second, ENCODED_SIZE_MAX);
    FUZZ_OK(&problem, kit_encode(kind, catalog, any, &first, &problem));
    if (first.size <= LIMIT_BODY_SIZE_MAX) {
        FUZZ_OK(&problem, kit_decode(kind, catalog, buffer_bytes(&first), arena, &again, &problem));
        FUZZ_OK(&problem, kit_encode(kind, catalog, &again, &second, &problem));
        invariant(bytes_equal(buffer_bytes(&first), buffer_bytes(&second)));
    }
    buffer_done(&first);
    buffer_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct catalog EXAMPLE = {
        .schema_version = 3, .table_count = 3, .tables = EXAMPLE_TABLES};
    struct input input = input_over(data, size);
    uint8_t choice = input_byte(&input);
    enum message_kind kind = (enum message_kind)((choice & ~REAL_MODEL) % KIND_COUNT);
    const struct catalog *catalog = (choice & REAL_MODEL) != 0 ? model_catalog() : &EXAMPLE;
    struct arena arena;
    union any_message any;
    struct problem problem = {0};

    arena_init(&arena, (size_t)2 * ENCODED_SIZE_MAX);
    if (kit_decode(kind, catalog, input_rest(&input), &arena, &any, &problem) == RESULT_OK)
        expect_round(kind, catalog, &any, &arena);
    arena_done(&arena);
    return 0;
}

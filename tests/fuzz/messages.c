/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds every message decoder: the first byte of the input chooses which. What a decoder lets
 * through must encode again. */
#include "base/invariant.h"
#include "protocol/limits.h"

#include "tests/unit/protocol/example_catalog.h"
#include "tests/unit/protocol/message_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct catalog catalog = {
        .schema_version = 3, .table_count = 3, .tables = EXAMPLE_TABLES};
    struct arena arena;
    struct buffer body;
    union any_message any;
    struct problem problem = {0};

    if (size == 0)
        return 0;
    enum message_kind kind = (enum message_kind)(data[0] % KIND_COUNT);

    arena_init(&arena, 16 * LIMIT_BODY_SIZE_MAX);
    buffer_init(&body, 16 * LIMIT_BODY_SIZE_MAX);
    if (kit_decode(kind, &catalog, bytes_of(data + 1, size - 1), &arena, &any, &problem) ==
        RESULT_OK) {
        enum result result = kit_encode(kind, &catalog, &any, &body, &problem);

        invariant(result == RESULT_OK);
    }
    buffer_done(&body);
    arena_done(&arena);
    return 0;
}

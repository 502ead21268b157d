/* SPDX-License-Identifier: Apache-2.0 */
/* Values that the agent keeps packed in its file: table (u8), mask (u64), then the packed bytes.
 * What unpacks is packed again and has to be the same bytes. */
#include "tests/fuzz/model.h" /* first */

#include "agent/replica/replica_inside.h"

enum { PACKED_SIZE_MAX = 1024 * 1024, ARENA_SIZE = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    const struct catalog_table *table = model_table(input_byte(&input));
    uint64_t mask = input_number(&input, 8) & table->columns_mask;
    struct bytes packed = input_rest(&input);
    struct value *values = NULL;
    struct problem problem = {0};
    struct buffer again;
    struct arena arena;
    enum result result;

    arena_init(&arena, ARENA_SIZE);
    buffer_init(&again, PACKED_SIZE_MAX);
    result = unpack_values(table, mask, packed, &arena, &values, &problem);
    invariant(result == RESULT_OK || result == RESULT_STORAGE);
    if (result == RESULT_OK) {
        FUZZ_OK(&problem, pack_values(table, mask, values, &again, &problem));
        invariant(bytes_equal(buffer_bytes(&again), packed));
    }
    buffer_done(&again);
    arena_done(&arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A file of signed reports, from whoever says that it is one: it is read, checked and judged, and
 * whatever it holds the check ends with a verdict or a reason. First byte: with a key or without.
 */
#include "tests/fuzz/fuzz.h" /* first */

#include "server/cli/report_file.h"

#include <sodium.h>

enum { ARENA_SIZE = 64 * 1024 * 1024, OUT_SIZE = 16 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char KEY[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    struct input input = input_over(data, size);
    bool has_key = input_byte(&input) % 2 == 1;
    struct bytes file = input_rest(&input);
    struct problem problem = {0};
    struct arena arena;
    struct buffer out;
    size_t wrong = 0;

    if (sodium_init() < 0)
        return 0;
    arena_init(&arena, ARENA_SIZE);
    buffer_init(&out, OUT_SIZE);
    if (report_file_verify(file, has_key ? KEY : NULL, &arena, &out, &wrong, &problem) != RESULT_OK)
        invariant(problem.text[0] != '\0');
    buffer_done(&out);
    arena_done(&arena);
    return 0;
}

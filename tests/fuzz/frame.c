/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a list of frames (u16 size, big-endian, then the frame) of one direction; what
 * decodes is encoded again and has to come back. */
#include "protocol/frame.h"
#include "base/invariant.h"
#include "protocol/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_SIZE = 6 * 1024 * 1024, ROUND_SIZE_MAX = 64 * 1024 };

static struct frame_dictionary dictionary(void)
{
    return (struct frame_dictionary){1, bytes_of_text("Customer has no hot water in the bathroom")};
}

static void expect_round(const struct frame *frame, struct arena *arena)
{
    struct frame_options options = {.frame_size_max = LIMIT_MESSAGE_OFFER_MIN - 16,
                                    .level = frame->type % 10,
                                    .dictionary = dictionary()};
    struct frame_dictionary known = dictionary();
    struct frame_joiner joiner;
    struct frame_list list = {0};
    struct frame back = {0};
    struct problem problem = {0};
    enum result result = frame_encode(frame->type, frame->body, &options, arena, &list, &problem);

    invariant(result == RESULT_OK);
    frame_joiner_init(&joiner, LIMIT_BODY_SIZE_MAX);
    for (size_t i = 0; i < list.count; i++) {
        result = frame_join(&joiner, list.frames[i], &known, 1, arena, &back, &problem);
        invariant(result == (i + 1 == list.count ? RESULT_OK : RESULT_WAIT));
    }
    invariant(back.type == frame->type && bytes_equal(back.body, frame->body));
    frame_joiner_done(&joiner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_dictionary known = dictionary();
    struct frame_joiner joiner;
    struct arena arena;
    struct problem problem = {0};
    size_t at = 0;
    enum result result = RESULT_OK;

    arena_init(&arena, ARENA_SIZE);
    frame_joiner_init(&joiner, LIMIT_BODY_SIZE_MAX);
    while (at + 2 <= size && (result == RESULT_OK || result == RESULT_WAIT)) {
        size_t frame_size = (size_t)data[at] << 8 | data[at + 1];
        struct frame frame = {0};

        at += 2;
        if (frame_size > size - at)
            frame_size = size - at;
        result = frame_join(&joiner, bytes_of(data + at, frame_size), &known, 1, &arena, &frame,
                            &problem);
        at += frame_size;
        if (result == RESULT_OK && frame.body.size <= ROUND_SIZE_MAX)
            expect_round(&frame, &arena);
        if (result == RESULT_OK)
            arena_reset(&arena);
        invariant(joiner.buffer.size <= LIMIT_BODY_SIZE_MAX);
    }
    frame_joiner_done(&joiner);
    arena_done(&arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h: what stands inside one encrypted message: type, flags, a body or a part of it.
 *
 * Pure and without keys, so that a body is encoded once and sealed for many receivers (channel.h).
 *
 *     u8 type | u8 flags | piece | padding
 *
 *     flags  1  FRAME_COMPRESSED  the whole body is u32 raw_size (big-endian) | raw deflate data
 *            2  FRAME_MORE        the body goes on in the next frame, which has the same type and
 *                                 the same flags but for MORE and PADDED
 *            4  FRAME_PADDED      the frame is exactly LIMIT_FRAME_PADDED_SIZE bytes: behind the
 *                                 piece come zeros, and its last byte says how many bytes the
 *                                 padding has, itself included (1 to 30)
 *            8                    always 0
 *            16 to 128            number of the preset dictionary, 0: none; only if COMPRESSED
 *
 * A sender pads each frame that is shorter than LIMIT_FRAME_PADDED_SIZE, and gives a piece with
 * MORE at least LIMIT_CHUNK_SIZE_MIN bytes. raw_size is 1 to the body limit; the deflate data ends
 * exactly there and nothing follows it (RFC 1951; raw: no header, no check sum, the tag of the
 * message is one). Bodies that hold a secret next to text that somebody else chose, and all with
 * tokens or keys, are sent with level 0: the size of what is compressed tells about its content. */
#pragma once

#include "base/arena.h"

enum {
    FRAME_COMPRESSED = 1,
    FRAME_MORE = 2,
    FRAME_PADDED = 4,
    FRAME_DICTIONARY_SHIFT = 4,
    FRAME_DICTIONARIES_MAX = 15,
    FRAME_HEAD_SIZE = 2,
};

/* What both sides know beforehand of the bodies to come. Borrowed: it must outlive its use. */
struct frame_dictionary {
    uint8_t number;     /* 1 to FRAME_DICTIONARIES_MAX; 0: none */
    struct bytes bytes; /* at most LIMIT_DICTIONARY_SIZE_MAX; likely strings last */
};

struct frame {
    uint8_t type;
    struct bytes body; /* inflated and joined */
};

struct frame_options {
    size_t frame_size_max;              /* of one plaintext frame, head included */
    int level;                          /* zlib: 1 fast to 9 small; 0: never compress */
    struct frame_dictionary dictionary; /* number 0: none */
};

/* The frames of one body, in the order in which they are to be sealed. */
struct frame_list {
    struct bytes *frames;
    size_t count;
};

/* Compresses the body if that makes it smaller, and splits it.
 *
 * RESULT_EXHAUSTED  the body is larger than LIMIT_BODY_SIZE_MAX, or `arena` is full */
MUST_CHECK enum result frame_encode(uint8_t type, struct bytes body,
                                    const struct frame_options *options, struct arena *arena,
                                    struct frame_list *ret_list, struct problem *problem);

/* Joins the frames of one direction. Owns what has come of an unfinished body, nothing else. */
struct frame_joiner {
    struct buffer buffer;
    size_t body_size_max;
    uint8_t type;
    uint8_t flags;
    bool open; /* a frame with MORE was the last */
};

void frame_joiner_init(struct frame_joiner *joiner, size_t body_size_max);
void frame_joiner_done(struct frame_joiner *joiner);

/* Takes the next plaintext frame. The body is in `arena`, or is part of `plaintext`.
 *
 *   dictionaries  those that the sender may use; entries with number 0 are skipped
 *
 * RESULT_WAIT       taken, the body goes on in the next frame
 * RESULT_MALFORMED  breaks the format above, or the body is larger than body_size_max: nothing was
 *                   allocated for it; close the conversation
 * RESULT_EXHAUSTED  `arena` or memory is full: nothing happened, call again with the same frame */
MUST_CHECK enum result frame_join(struct frame_joiner *joiner, struct bytes plaintext,
                                  const struct frame_dictionary *dictionaries,
                                  size_t dictionary_count, struct arena *arena,
                                  struct frame *ret_frame, struct problem *problem);

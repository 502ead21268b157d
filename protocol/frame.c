/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/frame.h"

#include "base/invariant.h"
#include "protocol/limits.h"

#include <assert.h>
#include <string.h>
#define ZLIB_CONST /* next_in points to const */
#include <zlib.h>

enum {
    RAW_SIZE_SIZE = 4,
    COMPRESS_SIZE_MIN = 48, /* below it deflate saves less than its head costs */
    FLAGS_KEPT = 0xff & ~(FRAME_MORE | FRAME_PADDED), /* the same in all frames of a body */
};

static_assert(LIMIT_MESSAGE_OFFER_MIN - 16 - FRAME_HEAD_SIZE >= LIMIT_CHUNK_SIZE_MIN,
              "the smallest full frame is a good chunk");
static_assert(LIMIT_FRAME_PADDED_SIZE - FRAME_HEAD_SIZE <= UINT8_MAX, "padding fits its byte");

static uint8_t dictionary_flags(uint8_t number)
{
    invariant(number <= FRAME_DICTIONARIES_MAX);
    return (uint8_t)(number << FRAME_DICTIONARY_SHIFT);
}

/* The smallest window that still sees the dictionary and all of the body: a small delta then costs
 * 20 KiB of working memory instead of 260. */
static int window_bits(size_t size)
{
    enum { BITS_MIN = 9, BITS_MAX = 15, LOOKAHEAD = 512 };
    int bits = BITS_MIN;

    while (bits < BITS_MAX && ((size_t)1 << bits) < size + LOOKAHEAD)
        bits++;
    return bits;
}

/* Deflates `body` behind its raw size into ret_data, which has room for body.size bytes. Returns
 * how many it wrote; 0 if that isn't fewer than body.size. */
static size_t compress_into(struct bytes body, const struct frame_options *options,
                            uint8_t *ret_data)
{
    z_stream stream = {0};
    const struct bytes *dictionary = &options->dictionary.bytes;
    int bits = window_bits(body.size + dictionary->size);
    size_t size = 0;
    int status = Z_OK;

    if (deflateInit2(&stream, options->level, Z_DEFLATED, -bits, bits - 7, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return 0; /* no memory: it goes uncompressed */
    if (options->dictionary.number != 0)
        status = deflateSetDictionary(&stream, dictionary->data, (uInt)dictionary->size);
    invariant(status == Z_OK);
    stream.next_in = body.data;
    stream.avail_in = (uInt)body.size;
    stream.next_out = ret_data + RAW_SIZE_SIZE;
    stream.avail_out = (uInt)(body.size - RAW_SIZE_SIZE - 1);
    if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
        size = RAW_SIZE_SIZE + stream.total_out;
    (void)deflateEnd(&stream);
    for (size_t i = 0; i < RAW_SIZE_SIZE; i++)
        ret_data[i] = (uint8_t)(body.size >> (8 * (RAW_SIZE_SIZE - 1 - i)));
    return size;
}

/* Writes one frame and returns its size. */
static size_t frame_write(uint8_t type, uint8_t flags, struct bytes piece, uint8_t *ret_frame)
{
    size_t size = FRAME_HEAD_SIZE + piece.size;

    if (piece.size > 0)
        memcpy(ret_frame + FRAME_HEAD_SIZE, piece.data, piece.size);
    if (size < LIMIT_FRAME_PADDED_SIZE) {
        memset(ret_frame + size, 0, LIMIT_FRAME_PADDED_SIZE - size);
        ret_frame[LIMIT_FRAME_PADDED_SIZE - 1] = (uint8_t)(LIMIT_FRAME_PADDED_SIZE - size);
        flags |= FRAME_PADDED;
        size = LIMIT_FRAME_PADDED_SIZE;
    }
    ret_frame[0] = type;
    ret_frame[1] = flags;
    return size;
}

static enum result split(uint8_t type, uint8_t flags, struct bytes body, size_t piece_size_max,
                         struct arena *arena, struct frame_list *ret_list, struct problem *problem)
{
    size_t count = body.size == 0 ? 1 : (body.size + piece_size_max - 1) / piece_size_max;
    struct bytes *frames = arena_array(arena, count, sizeof *frames);
    uint8_t *data =
        arena_alloc(arena, body.size + count * FRAME_HEAD_SIZE + LIMIT_FRAME_PADDED_SIZE);

    if (frames == NULL || data == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < count; i++) {
        bool is_last = i + 1 == count;
        size_t from = i * piece_size_max;
        struct bytes piece = {0};

        if (body.size > 0)
            piece = bytes_of(body.data + from, is_last ? body.size - from : piece_size_max);
        frames[i].data = data;
        frames[i].size =
            frame_write(type, (uint8_t)(is_last ? flags : flags | FRAME_MORE), piece, data);
        data += frames[i].size;
    }
    *ret_list = (struct frame_list){.frames = frames, .count = count};
    return RESULT_OK;
}

enum result frame_encode(uint8_t type, struct bytes body, const struct frame_options *options,
                         struct arena *arena, struct frame_list *ret_list, struct problem *problem)
{
    uint8_t *compressed = NULL;
    uint8_t flags = 0;

    invariant(options->frame_size_max >= FRAME_HEAD_SIZE + LIMIT_CHUNK_SIZE_MIN);
    invariant(options->level >= 0 && options->level <= 9);
    if (body.size > LIMIT_BODY_SIZE_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "body of %zu bytes, limit %d", body.size,
                           LIMIT_BODY_SIZE_MAX);
    if (options->level > 0 && body.size >= COMPRESS_SIZE_MIN) {
        size_t size = 0;

        compressed = arena_alloc(arena, body.size);
        if (compressed == NULL)
            return arena_full(arena, problem);
        size = compress_into(body, options, compressed);
        if (size > 0) {
            body = bytes_of(compressed, size);
            flags = FRAME_COMPRESSED | dictionary_flags(options->dictionary.number);
        }
    }
    return split(type, flags, body, options->frame_size_max - FRAME_HEAD_SIZE, arena, ret_list,
                 problem);
}

void frame_joiner_init(struct frame_joiner *joiner, size_t body_size_max)
{
    invariant(body_size_max > 0 && body_size_max <= LIMIT_BODY_SIZE_MAX);
    *joiner = (struct frame_joiner){.body_size_max = body_size_max};
    buffer_init(&joiner->buffer, body_size_max); /* compressed is sent only if it is smaller */
}

void frame_joiner_done(struct frame_joiner *joiner)
{
    buffer_done(&joiner->buffer);
    joiner->open = false;
}

static bool is_zero(struct bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i] != 0)
            return false;
    return true;
}

/* Checks head and padding, returns the piece between them. */
static enum result piece_of(struct bytes plaintext, struct bytes *ret_piece,
                            struct problem *problem)
{
    struct bytes piece = {0};
    uint8_t flags = 0;
    size_t padding = 0;

    if (plaintext.size < FRAME_HEAD_SIZE)
        return problem_set(problem, RESULT_MALFORMED, "frame of %zu bytes", plaintext.size);
    flags = plaintext.data[1];
    piece = bytes_of(plaintext.data + FRAME_HEAD_SIZE, plaintext.size - FRAME_HEAD_SIZE);
    if ((flags & 8) != 0 || ((flags & FRAME_COMPRESSED) == 0 && flags >> FRAME_DICTIONARY_SHIFT))
        return problem_set(problem, RESULT_MALFORMED, "frame with flags %u", flags);
    if ((flags & FRAME_PADDED) != 0) {
        padding = plaintext.data[plaintext.size - 1];
        if (plaintext.size != LIMIT_FRAME_PADDED_SIZE || padding == 0 || padding > piece.size ||
            !is_zero(bytes_of(plaintext.data + plaintext.size - padding, padding - 1)))
            return problem_set(problem, RESULT_MALFORMED, "frame of %zu bytes with bad padding",
                               plaintext.size);
        piece.size -= padding;
    }
    if ((flags & FRAME_MORE) != 0 && piece.size < LIMIT_CHUNK_SIZE_MIN)
        return problem_set(problem, RESULT_MALFORMED, "chunk of %zu bytes, at least %d", piece.size,
                           LIMIT_CHUNK_SIZE_MIN);
    *ret_piece = piece;
    return RESULT_OK;
}

/* Inflates exactly `room.size` bytes from exactly all of `data`. */
static enum result inflate_exactly(struct bytes data, struct bytes dictionary, uint8_t *ret_raw,
                                   size_t raw_size, struct problem *problem)
{
    z_stream stream = {0};
    enum result result = RESULT_OK;
    int status = inflateInit2(&stream, -15);

    if (status != Z_OK)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory to inflate");
    if (dictionary.size > 0)
        status = inflateSetDictionary(&stream, dictionary.data, (uInt)dictionary.size);
    invariant(status == Z_OK);
    stream.next_in = data.data;
    stream.avail_in = (uInt)data.size;
    stream.next_out = ret_raw;
    stream.avail_out = (uInt)raw_size;
    status = inflate(&stream, Z_FINISH);
    if (status == Z_MEM_ERROR)
        result = problem_set(problem, RESULT_EXHAUSTED, "no memory to inflate");
    else if (status != Z_STREAM_END || stream.avail_out != 0 || stream.avail_in != 0)
        result = problem_set(problem, RESULT_MALFORMED,
                             "deflate data of %zu bytes doesn't end at %zu raw bytes", data.size,
                             raw_size);
    (void)inflateEnd(&stream);
    return result;
}

static enum result inflate_body(struct bytes body, size_t size_max, struct bytes dictionary,
                                struct arena *arena, struct bytes *ret_body,
                                struct problem *problem)
{
    size_t raw_size = 0;
    uint8_t *raw = NULL;
    enum result result;

    if (body.size <= RAW_SIZE_SIZE)
        return problem_set(problem, RESULT_MALFORMED, "compressed body of %zu bytes", body.size);
    for (size_t i = 0; i < RAW_SIZE_SIZE; i++)
        raw_size = raw_size << 8 | body.data[i];
    if (raw_size == 0 || raw_size > size_max)
        return problem_set(problem, RESULT_MALFORMED, "body of %zu raw bytes, limit %zu", raw_size,
                           size_max);
    raw = arena_alloc(arena, raw_size);
    if (raw == NULL)
        return arena_full(arena, problem);
    result = inflate_exactly(bytes_of(body.data + RAW_SIZE_SIZE, body.size - RAW_SIZE_SIZE),
                             dictionary, raw, raw_size, problem);
    if (result == RESULT_OK)
        *ret_body = bytes_of(raw, raw_size);
    return result;
}

static enum result dictionary_find(uint8_t number, const struct frame_dictionary *dictionaries,
                                   size_t count, struct bytes *ret_bytes, struct problem *problem)
{
    *ret_bytes = (struct bytes){0};
    if (number == 0)
        return RESULT_OK;
    for (size_t i = 0; i < count; i++)
        if (dictionaries[i].number == number) {
            *ret_bytes = dictionaries[i].bytes;
            return RESULT_OK;
        }
    return problem_set(problem, RESULT_MALFORMED, "unknown dictionary %u", number);
}

/* The frame that goes on with a body must fit what is there. */
static enum result check_order(const struct frame_joiner *joiner, struct bytes plaintext,
                               size_t piece_size, struct problem *problem)
{
    size_t before = joiner->open ? joiner->buffer.size : 0;

    if (joiner->open &&
        (plaintext.data[0] != joiner->type || (plaintext.data[1] & FLAGS_KEPT) != joiner->flags))
        return problem_set(problem, RESULT_MALFORMED,
                           "frame of type %u inside the body of one of type %u", plaintext.data[0],
                           joiner->type);
    if (before > joiner->body_size_max || piece_size > joiner->body_size_max - before)
        return problem_set(problem, RESULT_MALFORMED, "body of more than %zu bytes",
                           joiner->body_size_max);
    return RESULT_OK;
}

/* All frames of the body are there, joined in `encoded`. */
static enum result body_decode(const struct frame_joiner *joiner, struct bytes encoded,
                               uint8_t flags, const struct frame_dictionary *dictionaries,
                               size_t dictionary_count, struct arena *arena, struct bytes *ret_body,
                               struct problem *problem)
{
    struct bytes dictionary = {0};
    enum result result;

    if ((flags & FRAME_COMPRESSED) != 0) {
        result = dictionary_find(flags >> FRAME_DICTIONARY_SHIFT, dictionaries, dictionary_count,
                                 &dictionary, problem);
        if (result != RESULT_OK)
            return result;
        return inflate_body(encoded, joiner->body_size_max, dictionary, arena, ret_body, problem);
    }
    if (joiner->open) /* the buffer is given back, the body stays */
        return arena_copy(arena, encoded, ret_body, problem);
    *ret_body = encoded;
    return RESULT_OK;
}

enum result frame_join(struct frame_joiner *joiner, struct bytes plaintext,
                       const struct frame_dictionary *dictionaries, size_t dictionary_count,
                       struct arena *arena, struct frame *ret_frame, struct problem *problem)
{
    size_t before = joiner->buffer.size;
    struct bytes piece = {0};
    struct bytes body = {0};
    enum result result = piece_of(plaintext, &piece, problem);

    if (result == RESULT_OK)
        result = check_order(joiner, plaintext, piece.size, problem);
    if (result != RESULT_OK)
        return result;
    if (joiner->open || (plaintext.data[1] & FRAME_MORE) != 0) {
        result = buffer_append(&joiner->buffer, piece.data, piece.size, problem);
        if (result != RESULT_OK)
            return result;
        piece = buffer_bytes(&joiner->buffer);
    }
    if ((plaintext.data[1] & FRAME_MORE) != 0) {
        joiner->open = true;
        joiner->type = plaintext.data[0];
        joiner->flags = plaintext.data[1] & FLAGS_KEPT;
        return RESULT_WAIT;
    }
    result = body_decode(joiner, piece, plaintext.data[1], dictionaries, dictionary_count, arena,
                         &body, problem);
    if (result != RESULT_OK) {
        joiner->buffer.size = before;
        return result;
    }
    frame_joiner_done(joiner);
    *ret_frame = (struct frame){.type = plaintext.data[0], .body = body};
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h: what all targets share: the entry point and a cursor that turns an input into choices.
 *
 * A target does the same for the same bytes, whatever it was fed before. An input that runs out
 * yields zeros, so every prefix of an input is one too and the fuzzer can cut anywhere. */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/invariant.h"
#include "base/result.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
    size_t at;
};

static inline struct input input_over(const uint8_t *data, size_t size)
{
    return (struct input){.data = data, .size = size};
}

static inline size_t input_left(const struct input *input)
{
    return input->size - input->at;
}

static inline uint8_t input_byte(struct input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

/* Big-endian. */
static inline uint64_t input_number(struct input *input, size_t byte_count)
{
    uint64_t number = 0;

    for (size_t i = 0; i < byte_count; i++)
        number = number << 8 | input_byte(input);
    return number;
}

/* u16 size, then so many bytes, or what is left. Borrowed from the input. */
static inline struct bytes input_part(struct input *input)
{
    size_t size = (size_t)input_number(input, 2);
    struct bytes part = {0};

    if (size > input_left(input))
        size = input_left(input);
    if (size > 0)
        part = bytes_of(input->data + input->at, size);
    input->at += size;
    return part;
}

static inline struct bytes input_rest(struct input *input)
{
    struct bytes rest = {0};

    if (input_left(input) > 0)
        rest = bytes_of(input->data + input->at, input_left(input));
    input->at = input->size;
    return rest;
}

/* For calls that must not fail; every target keeps its problem in `problem`. */
#define FUZZ_OK(problem, call) fuzz_expect(call, problem, #call)

static inline void fuzz_expect(enum result result, const struct problem *problem, const char *call)
{
    if (result != RESULT_OK)
        (void)fprintf(stderr, "%s: %s: %s\n", call, result_name(result), problem->text);
    invariant(result == RESULT_OK);
}

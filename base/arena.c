/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/invariant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONED 1
#endif
#endif

#ifdef ARENA_POISONED
#include <sanitizer/asan_interface.h>
#define memory_hide(start, size) __asan_poison_memory_region(start, size)
#define memory_show(start, size) __asan_unpoison_memory_region(start, size)
#else
#define memory_hide(start, size) ((void)(start), (void)(size))
#define memory_show(start, size) ((void)(start), (void)(size))
#endif

enum { ARENA_ALIGNMENT = 16, ARENA_CHUNK_SIZE = 16 * 1024, ARENA_LARGE_SIZE = 128 * 1024 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t capacity;
    size_t used;
    bool is_zero; /* what isn't used yet is zero */
    _Alignas(ARENA_ALIGNMENT) uint8_t memory[];
};

void arena_init(struct arena *arena, size_t size_max)
{
    *arena = (struct arena){.size_max = size_max};
}

static void chunk_free(struct arena_chunk *chunk)
{
    memory_show(chunk->memory, chunk->capacity);
    free(chunk);
}

void arena_done(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *older = arena->chunks->older;

        chunk_free(arena->chunks);
        arena->chunks = older;
    }
    arena->size = 0;
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = arena->chunks;

    if (kept == NULL)
        return;
    while (kept->older != NULL) {
        struct arena_chunk *older = kept->older;

        kept->older = older->older;
        chunk_free(older);
    }
    if (kept->capacity > ARENA_CHUNK_SIZE) { /* one huge batch must not be remembered for ever */
        chunk_free(kept);
        arena->chunks = NULL;
    } else {
        kept->used = 0;
        kept->is_zero = false;
        memory_hide(kept->memory, kept->capacity);
    }
    arena->size = 0;
}

static struct arena_chunk *chunk_add(struct arena *arena, size_t size)
{
    size_t doubled = arena->chunks == NULL ? ARENA_CHUNK_SIZE : arena->chunks->capacity * 2;
    size_t capacity = doubled > 1024 * 1024 ? 1024 * 1024 : doubled;
    struct arena_chunk *chunk = NULL;

    if (capacity < size)
        capacity = size;
    /* A large one comes as untouched pages: a sparse table then takes only what is written. */
    chunk = capacity >= ARENA_LARGE_SIZE ? calloc(1, sizeof *chunk + capacity)
                                         : malloc(sizeof *chunk + capacity);
    if (chunk == NULL)
        return NULL;
    chunk->is_zero = capacity >= ARENA_LARGE_SIZE;
    chunk->older = arena->chunks;
    chunk->capacity = capacity;
    chunk->used = 0;
    memory_hide(chunk->memory, capacity);
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    size_t rounded = 0;
    void *memory = NULL;

    invariant(arena->size <= arena->size_max);
    if (size > arena->size_max - arena->size || size > SIZE_MAX / 2)
        return NULL;
    rounded = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (chunk == NULL || rounded > chunk->capacity - chunk->used)
        chunk = chunk_add(arena, rounded);
    if (chunk == NULL)
        return NULL;
    memory = chunk->memory + chunk->used;
    chunk->used += rounded;
    arena->size += size;
    memory_show(memory, size);
    if (!chunk->is_zero)
        memset(memory, 0, size);
    return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t item_size)
{
    if (item_size != 0 && count > SIZE_MAX / 2 / item_size)
        return NULL;
    return arena_alloc(arena, count * item_size);
}

enum result arena_full(const struct arena *arena, struct problem *problem)
{
    return problem_set(problem, RESULT_EXHAUSTED,
                       "memory of this batch is used up: %zu of %zu bytes", arena->size,
                       arena->size_max);
}

enum result arena_copy(struct arena *arena, struct bytes bytes, struct bytes *ret_copy,
                       struct problem *problem)
{
    uint8_t *copy = bytes.size == SIZE_MAX ? NULL : arena_alloc(arena, bytes.size + 1);

    if (copy == NULL)
        return arena_full(arena, problem);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    *ret_copy = (struct bytes){.data = copy, .size = bytes.size};
    return RESULT_OK;
}

const char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    int size = 0;

    va_start(arguments, format);
    size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0)
        return NULL;
    text = arena_alloc(arena, (size_t)size + 1);
    if (text == NULL)
        return NULL;
    va_start(arguments, format);
    (void)vsnprintf(text, (size_t)size + 1, format, arguments);
    va_end(arguments);
    return text;
}

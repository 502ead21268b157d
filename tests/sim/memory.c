/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/memory.h"

#include "base/invariant.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Pieces of one size come from chunks and go back to a list of that size; nothing is given back to
 * the system. Sizes go up by 16 bytes, from 512 on by a quarter of a power of two. */
enum { HEAD_SIZE = 16, STEP = 16, SMALL_MAX = 512, CLASS_COUNT = 64, PIECE_MAX = 64 * 1024 };
enum { CHUNK_SIZE = 1024 * 1024 };

struct piece {
    int32_t size; /* what can be used */
    int16_t class;
    int16_t generation;
    struct piece *next; /* while it is free; otherwise the first bytes of a user */
};

static struct {
    struct piece *free[CLASS_COUNT];
    uint8_t *chunk;
    size_t left;
    int16_t generation;
} heap; /* SQLite's functions get no context */

static int class_of(int size, int *ret_rounded)
{
    int class = SMALL_MAX / STEP;
    int rounded = SMALL_MAX;

    if (size <= SMALL_MAX) {
        *ret_rounded = size <= STEP ? STEP : (size + STEP - 1) / STEP * STEP;
        return *ret_rounded / STEP - 1;
    }
    for (int power = SMALL_MAX; rounded < size; class ++) {
        rounded += power / 4;
        if (rounded == power * 2)
            power *= 2;
    }
    *ret_rounded = rounded;
    return class - 1;
}

static struct piece *piece_of(void *memory)
{
    return (struct piece *)(void *)((uint8_t *)memory - 8);
}

static void *memory_of(struct piece *piece)
{
    return (uint8_t *)piece + 8;
}

static struct piece *cut(int size)
{
    size_t whole = (size_t)size + HEAD_SIZE;
    struct piece *piece = NULL;

    if (heap.left < whole) {
        heap.chunk = malloc(CHUNK_SIZE);
        invariant(heap.chunk != NULL);
        heap.chunk += 8; /* what users get is aligned to 16 */
        heap.left = CHUNK_SIZE - 8;
    }
    piece = (struct piece *)(void *)heap.chunk;
    heap.chunk += whole;
    heap.left -= whole;
    return piece;
}

static void *take(int size)
{
    int rounded = 0;
    int class = 0;
    struct piece *piece = NULL;

    if (size > PIECE_MAX) {
        uint8_t *whole = malloc((size_t)size + HEAD_SIZE);

        if (whole == NULL)
            return NULL;
        piece = (struct piece *)(void *)(whole + 8);
        *piece = (struct piece){.size = size, .class = -1};
        return memory_of(piece);
    }
    class = class_of(size, &rounded);
    invariant(class < CLASS_COUNT);
    piece = heap.free[class];
    if (piece != NULL)
        heap.free[class] = piece->next;
    else
        piece = cut(rounded);
    piece->size = rounded;
    piece->class = (int16_t) class;
    piece->generation = heap.generation;
    return memory_of(piece);
}

static void give(void *memory)
{
    struct piece *piece = NULL;

    if (memory == NULL)
        return;
    piece = piece_of(memory);
    if (piece->class < 0) {
        free((uint8_t *)piece - 8);
        return;
    }
    if (piece->generation != heap.generation)
        return;
    piece->next = heap.free[piece->class];
    heap.free[piece->class] = piece;
}

void memory_leave(void)
{
    memset(heap.free, 0, sizeof heap.free);
    heap.left = 0;
    heap.generation++;
}

static int size_of(void *memory)
{
    return memory == NULL ? 0 : piece_of(memory)->size;
}

static void *resize(void *memory, int size)
{
    void *moved = NULL;

    if (size <= size_of(memory))
        return memory;
    moved = take(size);
    if (moved == NULL)
        return NULL;
    if (memory != NULL)
        memcpy(moved, memory, (size_t)size_of(memory));
    give(memory);
    return moved;
}

static int round_up(int size)
{
    int rounded = size;

    if (size <= PIECE_MAX)
        (void)class_of(size, &rounded);
    return rounded;
}

static int begin(void *context)
{
    (void)context;
    return SQLITE_OK;
}

static void end(void *context)
{
    (void)context;
}

void memory_install(void)
{
    static const sqlite3_mem_methods METHODS = {.xMalloc = take,
                                                .xFree = give,
                                                .xRealloc = resize,
                                                .xSize = size_of,
                                                .xRoundup = round_up,
                                                .xInit = begin,
                                                .xShutdown = end};

    invariant(sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK);
    invariant(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
    invariant(sqlite3_config(SQLITE_CONFIG_MALLOC, &METHODS) == SQLITE_OK);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* fast_sqlite.h: makes a target with a database in a file fast enough. Include it first.
 *
 * Nobody cuts the power here, and a sync of the disk would be most of the time of an input:
 * SQLite's calls come here instead. And SQLite itself isn't instrumented: the sanitizer's
 * bookkeeping for each of its allocations costs several times the allocation and finds nothing, so
 * it gets memory from the C library. */
#pragma once

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

int fsync(int descriptor)
{
    (void)descriptor;
    return 0;
}

int fdatasync(int descriptor)
{
    (void)descriptor;
    return 0;
}

/* What the C library calls its allocator inside; the sanitizer leaves these names alone. */
void *__libc_malloc(size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

enum { FAST_HEAD_SIZE = 16 }; /* in front of each piece: its size */

static void *fast_place(void *whole, int size)
{
    if (whole == NULL)
        return NULL;
    memcpy(whole, &size, sizeof size);
    return (uint8_t *)whole + FAST_HEAD_SIZE;
}

static void *fast_malloc(int size)
{
    return fast_place(__libc_malloc((size_t)size + FAST_HEAD_SIZE), size);
}

static void fast_free(void *memory)
{
    if (memory != NULL)
        __libc_free((uint8_t *)memory - FAST_HEAD_SIZE);
}

static void *fast_realloc(void *memory, int size)
{
    void *whole = memory == NULL ? NULL : (uint8_t *)memory - FAST_HEAD_SIZE;

    return fast_place(__libc_realloc(whole, (size_t)size + FAST_HEAD_SIZE), size);
}

static int fast_size(void *memory)
{
    int size = 0;

    memcpy(&size, (uint8_t *)memory - FAST_HEAD_SIZE, sizeof size);
    return size;
}

static int fast_round(int size)
{
    return (size + 15) & ~15;
}

static int fast_init(void *context)
{
    (void)context;
    return SQLITE_OK;
}

static void fast_shutdown(void *context)
{
    (void)context;
}

/* Before the first call of SQLite. */
static inline void fast_sqlite(void)
{
    static const sqlite3_mem_methods METHODS = {.xMalloc = fast_malloc,
                                                .xFree = fast_free,
                                                .xRealloc = fast_realloc,
                                                .xSize = fast_size,
                                                .xRoundup = fast_round,
                                                .xInit = fast_init,
                                                .xShutdown = fast_shutdown};

    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &METHODS);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

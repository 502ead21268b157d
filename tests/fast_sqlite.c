/* SPDX-License-Identifier: Apache-2.0 */
/* Linked into every test program that a sanitizer of addresses watches, to make SQLite as fast
 * there as elsewhere: nobody cuts the power in these, and a sync of the disk would be most of many
 * of them; and SQLite itself isn't instrumented, so the sanitizer's bookkeeping for each of its
 * allocations, three quarters of the time, finds nothing in it: it gets memory from the C library.
 *
 * What is lost, a text of SQLite's that we read after it was freed, is left to the whole programs,
 * which tests/e2e runs without this. */
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

/* Not there in a program that doesn't use SQLite. */
extern int sqlite3_config(int option, ...) __attribute__((weak));

/* Before main, and so before SQLite's first call. */
__attribute__((constructor)) static void fast_sqlite(void)
{
    static const sqlite3_mem_methods METHODS = {.xMalloc = fast_malloc,
                                                .xFree = fast_free,
                                                .xRealloc = fast_realloc,
                                                .xSize = fast_size,
                                                .xRoundup = fast_round,
                                                .xInit = fast_init,
                                                .xShutdown = fast_shutdown};

    if (sqlite3_config == NULL)
        return;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &METHODS);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

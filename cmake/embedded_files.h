/* SPDX-License-Identifier: Apache-2.0 */
/* embedded_files.h: files of the source tree that the programs carry inside.
 *
 * The arrays are made at build time, sorted by file name (0001_base.sql before 0002_...), live as
 * long as the program and are never written. Each array ends with one more item whose name is NULL,
 * not counted. */
#pragma once

#include <stddef.h>

struct embedded_file {
    const char *name;          /* file name without folder */
    const unsigned char *data; /* content, closed by a NUL that `size` doesn't count */
    size_t size;               /* bytes */
};

extern const struct embedded_file EMBEDDED_MIGRATIONS[]; /* schema/migrations, *.sql */
extern const size_t EMBEDDED_MIGRATION_COUNT;
extern const struct embedded_file EMBEDDED_DICTIONARIES[]; /* schema, *.dict: zlib dictionaries */
extern const size_t EMBEDDED_DICTIONARY_COUNT;
extern const struct embedded_file EMBEDDED_DEMO[]; /* schema/demo, *.sql: run in this order */
extern const size_t EMBEDDED_DEMO_COUNT;

/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_store.h: the store on an SQLite file (store.h says what it promises).
 *
 * A writer holds two connections: its own, and one that only checkpoints while the first keeps the
 * write lock, so that no commit can run beside a checkpoint. Its writes put a row into fs_flag, so
 * the capture triggers, which are for other programs, stay silent. */
#pragma once

#include "schema/sql.h"
#include "server/store/store.h"

struct sqlite_store_options {
    const char *path;
    const char *vfs;       /* NULL: the system's */
    bool is_reader;        /* opened read-only: STORE_WRITE is refused */
    int64_t wal_size_soft; /* 0: SQLITE_STORE_WAL_SIZE_SOFT */
};

/* The write-ahead log is copied back once it has grown past this many bytes. */
enum { SQLITE_STORE_WAL_SIZE_SOFT = 16 * 1024 * 1024 };

/* The database must have been migrated and its triggers installed. */
MUST_CHECK enum result sqlite_store_open(const struct sqlite_store_options *options,
                                         const struct catalog *catalog, struct store **ret_store,
                                         struct problem *problem);
/* The writer's connection, for migrations and checks between transactions. */
struct sql_database *sqlite_store_database(struct store *store);

/* SPDX-License-Identifier: Apache-2.0 */
/* locks.h: what SQLite's connections to one database share besides the file: its locks, and the
 * index of its write-ahead log ("shared memory").
 *
 * All connections of the simulator live in one process, so both live in its memory: a forked copy
 * of a world has locks and an index of its own, and no system call is needed. The rules are those
 * of SQLite's documents "File Locking And Concurrency" and "WAL-mode File Format". */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lock_place;

/* Of one connection; zeroed: of a file that isn't shared, on which every lock is granted. */
struct lock_holder {
    struct lock_place *place;
    int level; /* SQLITE_LOCK_... */
    bool has_index;
    uint16_t shared, exclusive; /* of the index: bits by slot */
};

struct lock_places {
    struct lock_place *first;
};

void locks_join(struct lock_places *places, const char *path, struct lock_holder *holder);
/* All files of folder `from` are in `to` now. */
void locks_move(struct lock_places *places, const char *from, const char *to);
void locks_leave(struct lock_places *places, struct lock_holder *holder);

/* These give SQLite's codes. */
int locks_raise(struct lock_holder *holder, int level);
void locks_lower(struct lock_holder *holder, int level);
bool locks_is_reserved(const struct lock_holder *holder);
int locks_index_map(struct lock_holder *holder, int region, int size, bool extend,
                    void volatile **ret);
int locks_index_lock(struct lock_holder *holder, int first, int count, int flags);
void locks_index_leave(struct lock_holder *holder);

/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h: the file system that SQLite sees in the simulator: the real one, with virtual time and
 * with troubles.
 *
 * Registered as SQLite's default, so that every connection of every room goes through it. Triggers
 * stamp edits with SQLite's clock: it says what *now points to, which the world sets to the clock
 * of the machine whose turn it is. Random bytes come from a seed.
 *
 * Each machine has a disk of its own: the database and the write-ahead log under one path. Locks
 * and shared memory are the process's own (locks.h). Troubles strike only between disk_arm and
 * disk_disarm: while what is tested runs, not while the world looks. */
#pragma once

#include "base/instant.h"
#include "base/prng.h"
#include "tests/sim/locks.h"
#include "tests/sim/sectors.h"

#include <sqlite3.h>

enum disk_trouble {
    DISK_READ_ERROR,
    DISK_WRITE_ERROR,
    DISK_SYNC_ERROR, /* what was to be synced may be on the disk or not */
    DISK_FULL,       /* a file can't grow; what is there can be overwritten */
    DISK_SHORT_READ, /* a page is cut off and filled with zeros */
    DISK_FLIPPED_BIT,
    DISK_SLOW,  /* a sync takes DISK_SLOW_US */
    DISK_DEATH, /* the machine stops here; what it leaves is told to `on_death` */
    DISK_TROUBLE_COUNT,
};

enum { DISK_MACHINES_MAX = 40, DISK_NOBODY = -1, DISK_ALWAYS = -1, DISK_FOLDER_SIZE = 128 };
#define DISK_SLOW_US SECONDS(2)

struct disk_machine {
    char path[160];                    /* empty: there is none */
    const char *log_end;               /* of the log's name; NULL: as SQLite has it */
    struct sectors unsynced[2];        /* database, log */
    int64_t skips[DISK_TROUBLE_COUNT]; /* chances that go by before it strikes */
    int64_t times[DISK_TROUBLE_COUNT]; /* how often it strikes then, or DISK_ALWAYS */
    size_t struck[DISK_TROUBLE_COUNT]; /* so often did it */
    size_t struck_count;               /* all kinds, since the machine started */
    bool flips_content; /* a flipped bit is anywhere; otherwise where SQLite must find it */
    bool is_dead;
    int64_t wait_us; /* what slow syncs have cost since the machine was armed */
};

struct disk {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    sqlite3_vfs *below;
    struct disk_file *files; /* all that are open */
    struct lock_places places;
    char from[DISK_FOLDER_SIZE], to[DISK_FOLDER_SIZE]; /* what is asked for in `from` is in `to` */
    struct wall_time now;
    struct prng prng;   /* SQLite's random bytes */
    struct prng damage; /* what a power cut takes, which bit flips */
    int armed;          /* machine, or DISK_NOBODY */
    bool is_writes_only;
    struct disk_machine machines[DISK_MACHINES_MAX];
    void (*on_death)(void *context, int machine);
    void *context;
};

/* One at a time in a process; it lives until disk_remove. */
void disk_install(struct disk *disk, uint64_t seed);
void disk_remove(struct disk *disk);
/* A forked copy of the process gets its own files: what was opened in `from`, or still is by that
 * name, is the file of the same name in `to`, which holds the same. */
void disk_move(struct disk *disk, const char *from, const char *to, uint64_t seed);
/* Such a name, if it is in `from`. */
void disk_move_path(char *path, size_t path_size, const char *from, const char *to);

void disk_attach(struct disk *disk, int machine, const char *path);
void disk_arm(struct disk *disk, int machine);
/* Only what changes the files is in trouble. */
void disk_arm_writes(struct disk *disk, int machine);
void disk_disarm(struct disk *disk);
/* From now on: after `skips` chances it strikes `times` times, or always. */
void disk_trouble(struct disk *disk, int machine, enum disk_trouble trouble, int64_t skips,
                  int64_t times);
void disk_heal(struct disk *disk, int machine);
/* Somebody has synced both files by hand. */
void disk_sync(struct disk *disk, int machine);
/* For what isn't SQLite's: does it strike now? */
bool disk_strikes(struct disk *disk, int machine, enum disk_trouble trouble);
/* A power cut: damages copies of the two files, path + ".crash" and path + "-wal.crash". */
size_t disk_damage(struct disk *disk, int machine);
/* The machine starts again on what is there. */
void disk_restart(struct disk *disk, int machine);

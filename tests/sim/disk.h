/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h: the file system that SQLite sees in the simulator: the real one, with virtual time.
 *
 * Registered as SQLite's default, so that every connection of every room goes through it. Triggers
 * stamp edits with SQLite's clock: it says what *now points to, which the world sets to the clock
 * of the machine whose turn it is. Random bytes come from a seed. */
#pragma once

#include "base/instant.h"
#include "base/prng.h"

#include <sqlite3.h>

struct disk {
    sqlite3_vfs vfs; /* first: SQLite hands it back */
    sqlite3_vfs *below;
    struct wall_time now;
    struct prng prng;
};

/* One at a time in a process; it lives until disk_remove. */
void disk_install(struct disk *disk);
void disk_remove(struct disk *disk);

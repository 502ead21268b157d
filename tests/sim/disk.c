/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/disk.h"

#include "base/invariant.h"

#include <string.h>

#define JULIAN_MS_OF_1970 INT64_C(210866760000000) /* milliseconds since noon of day 0 */

static struct disk *disk_of(sqlite3_vfs *vfs)
{
    return (struct disk *)(void *)vfs;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    sqlite3_vfs *below = disk_of(vfs)->below;

    return below->xOpen(below, name, file, flags, ret_flags);
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    sqlite3_vfs *below = disk_of(vfs)->below;

    return below->xDelete(below, name, sync);
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    sqlite3_vfs *below = disk_of(vfs)->below;

    return below->xAccess(below, name, flags, ret);
}

static int disk_full_name(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
    sqlite3_vfs *below = disk_of(vfs)->below;

    return below->xFullPathname(below, name, size, ret);
}

static int disk_random(sqlite3_vfs *vfs, int size, char *ret)
{
    for (int i = 0; i < size; i++)
        ret[i] = (char)(prng_next(&disk_of(vfs)->prng) & 0x7f);
    return size;
}

static int disk_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds; /* nobody else can move meanwhile */
}

static int disk_time(sqlite3_vfs *vfs, double *ret_days)
{
    *ret_days =
        (double)(disk_of(vfs)->now.us / 1000 + JULIAN_MS_OF_1970) / (24.0 * 3600.0 * 1000.0);
    return SQLITE_OK;
}

static int disk_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms)
{
    *ret_ms = disk_of(vfs)->now.us / 1000 + JULIAN_MS_OF_1970;
    return SQLITE_OK;
}

static int disk_last_error(sqlite3_vfs *vfs, int size, char *ret)
{
    sqlite3_vfs *below = disk_of(vfs)->below;

    return below->xGetLastError(below, size, ret);
}

void disk_install(struct disk *disk)
{
    sqlite3_vfs *below = sqlite3_vfs_find("unix");

    invariant(below != NULL);
    *disk = (struct disk){.below = below};
    prng_init(&disk->prng, 1);
    disk->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = below->szOsFile,
        .mxPathname = below->mxPathname,
        .zName = "sim",
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_full_name,
        .xRandomness = disk_random,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
        .xGetLastError = disk_last_error,
        .xCurrentTimeInt64 = disk_time_ms,
    };
    invariant(sqlite3_vfs_register(&disk->vfs, 1) == SQLITE_OK);
}

void disk_remove(struct disk *disk)
{
    (void)sqlite3_vfs_unregister(&disk->vfs);
    (void)sqlite3_vfs_register(disk->below, 1);
}

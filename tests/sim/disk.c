/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/disk.h"

#include "agent/replica/vault_units.h"
#include "base/invariant.h"

#include <stdio.h>
#include <string.h>

#define JULIAN_MS_OF_1970 INT64_C(210866760000000) /* milliseconds since noon of day 0 */

enum { DATABASE = 0, LOG = 1 };

/* An open file: ours first, the real one right behind it. */
struct disk_file {
    sqlite3_file base;
    struct disk *disk;
    struct disk_file *before, *after; /* in the disk's list */
    const char *name;                 /* as SQLite gave it; NULL: a temporary file */
    const char *place;                /* where it is instead; NULL: there */
    int flags;
    int machine; /* DISK_NOBODY: some other file */
    int part;
    struct lock_holder lock;
};

static struct disk *disk_of(sqlite3_vfs *vfs)
{
    return (struct disk *)(void *)vfs;
}

static struct disk_file *file_of(sqlite3_file *file)
{
    return (struct disk_file *)(void *)file;
}

static sqlite3_file *below_of(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)(file_of(file) + 1);
}

/* NULL: no trouble can strike now. */
static struct disk_machine *armed(sqlite3_file *file)
{
    struct disk_file *self = file_of(file);

    if (self->machine == DISK_NOBODY || self->disk->armed != self->machine)
        return NULL;
    return &self->disk->machines[self->machine];
}

static bool strikes(struct disk_machine *machine, enum disk_trouble trouble)
{
    if (machine->times[trouble] == 0)
        return false;
    if (machine->skips[trouble] > 0) {
        machine->skips[trouble]--;
        return false;
    }
    if (machine->times[trouble] > 0)
        machine->times[trouble]--;
    machine->struck[trouble]++;
    return true;
}

/* Each call that changes a file may be the last one; nothing works after it. */
static bool dies(sqlite3_file *file, struct disk_machine *machine)
{
    struct disk *disk = file_of(file)->disk;

    if (machine->is_dead)
        return true;
    if (!strikes(machine, DISK_DEATH))
        return false;
    disk->on_death(disk->context, file_of(file)->machine);
    machine->is_dead = true;
    return true;
}

/* ---- files ---- */

static int file_close(sqlite3_file *file)
{
    struct disk_file *self = file_of(file);
    int code = below_of(file)->pMethods->xClose(below_of(file));

    locks_leave(&self->disk->places, &self->lock);
    sqlite3_free_filename(self->place);
    if (self->before == NULL)
        self->disk->files = self->after;
    else
        self->before->after = self->after;
    if (self->after != NULL)
        self->after->before = self->before;
    return code;
}

/* The kind of a page of a b-tree is its first byte: 2, 5, 10 or 13. SQLite looks at it when it
 * reads the page, but not at that of page 1: a transaction changes only the header in front of it,
 * and would write the wrong byte back. That is a damaged file, for which a person calls rescue. */
static uint8_t *page_kind(void *bytes, int size, sqlite3_int64 offset)
{
    uint8_t *kind = bytes;

    if (size == VAULT_SEALED_SIZE_MAX) /* of an encrypted file: each bit is guarded */
        return bytes;
    if (offset == 0 || size < 512 || (*kind != 2 && *kind != 5 && *kind != 10 && *kind != 13))
        return NULL;
    return kind;
}

static void flip(struct disk_file *self, const struct disk_machine *machine, void *bytes, int size,
                 uint8_t *kind)
{
    struct prng *prng = &self->disk->damage;

    if (machine->flips_content)
        ((uint8_t *)bytes)[prng_below(prng, (uint64_t)size)] ^=
            (uint8_t)(1u << prng_below(prng, 8));
    else
        *kind ^= 0x80;
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    struct disk_file *self = file_of(file);
    struct disk_machine *machine = self->disk->is_writes_only ? NULL : armed(file);
    uint8_t *kind = NULL;
    int code = SQLITE_OK;

    if (machine != NULL && (machine->is_dead || strikes(machine, DISK_READ_ERROR)))
        return SQLITE_IOERR_READ;
    code = below_of(file)->pMethods->xRead(below_of(file), bytes, size, offset);
    if (machine == NULL || code != SQLITE_OK)
        return code;
    kind = self->part == DATABASE ? page_kind(bytes, size, offset) : NULL;
    if (kind != NULL && strikes(machine, DISK_SHORT_READ)) {
        memset(kind, 0, (size_t)size - (size_t)(kind - (uint8_t *)bytes));
        return SQLITE_IOERR_SHORT_READ;
    }
    if (kind != NULL && strikes(machine, DISK_FLIPPED_BIT))
        flip(self, machine, bytes, size, kind);
    return SQLITE_OK;
}

static void read_sector(void *context, int64_t offset, uint8_t *bytes)
{
    sqlite3_file *file = context;

    (void)below_of(file)->pMethods->xRead(below_of(file), bytes, SECTOR_SIZE, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    struct disk_file *self = file_of(file);
    struct disk_machine *machine = armed(file);
    sqlite3_int64 file_size = 0;

    if (machine != NULL && dies(file, machine))
        return SQLITE_IOERR_WRITE;
    if (machine != NULL && strikes(machine, DISK_WRITE_ERROR))
        return SQLITE_IOERR_WRITE;
    if (self->machine == DISK_NOBODY)
        return below_of(file)->pMethods->xWrite(below_of(file), bytes, size, offset);
    (void)below_of(file)->pMethods->xFileSize(below_of(file), &file_size);
    if (machine != NULL && offset + size > file_size && strikes(machine, DISK_FULL))
        return SQLITE_FULL;
    sectors_note(&self->disk->machines[self->machine].unsynced[self->part], file_size, offset,
                 (size_t)size, read_sector, file);
    return below_of(file)->pMethods->xWrite(below_of(file), bytes, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct disk_machine *machine = armed(file);

    if (machine != NULL && dies(file, machine))
        return SQLITE_IOERR_TRUNCATE;
    return below_of(file)->pMethods->xTruncate(below_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct disk_file *self = file_of(file);
    struct disk_machine *machine = armed(file);

    if (machine != NULL && dies(file, machine))
        return SQLITE_IOERR_FSYNC;
    if (machine != NULL && strikes(machine, DISK_SYNC_ERROR))
        return SQLITE_IOERR_FSYNC;
    if (machine != NULL && strikes(machine, DISK_SLOW))
        machine->wait_us += DISK_SLOW_US;
    (void)flags; /* /dev/shm has nothing to sync */
    if (self->machine != DISK_NOBODY)
        sectors_forget(&self->disk->machines[self->machine].unsynced[self->part]);
    return SQLITE_OK;
}

static int file_size_of(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    return below_of(file)->pMethods->xFileSize(below_of(file), ret_size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return locks_raise(&file_of(file)->lock, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    locks_lower(&file_of(file)->lock, level);
    return SQLITE_OK;
}

static int file_check_lock(sqlite3_file *file, int *ret)
{
    *ret = locks_is_reserved(&file_of(file)->lock);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    return below_of(file)->pMethods->xFileControl(below_of(file), op, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return below_of(file)->pMethods->xSectorSize(below_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return below_of(file)->pMethods->xDeviceCharacteristics(below_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    return locks_index_map(&file_of(file)->lock, page, size, extend != 0, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return locks_index_lock(&file_of(file)->lock, offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    (void)file; /* one thread */
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
    (void)remove;
    locks_index_leave(&file_of(file)->lock);
    return SQLITE_OK;
}

/* Version 2: without xFetch, so that all pages are read and none is mapped. */
static const sqlite3_io_methods METHODS = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size_of,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the file system ---- */

static const char *log_end(const struct disk_machine *machine)
{
    return machine->log_end == NULL ? "-wal" : machine->log_end;
}

static void find_machine(struct disk_file *file, const char *name)
{
    file->machine = DISK_NOBODY;
    for (int i = 0; name != NULL && i < DISK_MACHINES_MAX; i++) {
        const char *path = file->disk->machines[i].path;
        size_t size = strlen(path);

        if (size == 0 || strncmp(name, path, size) != 0)
            continue;
        if (name[size] == '\0' || strcmp(name + size, log_end(&file->disk->machines[i])) == 0) {
            file->machine = i;
            file->part = name[size] == '\0' ? DATABASE : LOG;
        }
    }
}

/* Where a file is that has been asked for by this name; *ret_made is to be freed. SQLite looks for
 * parameters before and behind a name, hence its own function. */
static const char *place_of(const struct disk *disk, const char *name, const char **ret_made)
{
    size_t size = strlen(disk->from);
    char place[2 * DISK_FOLDER_SIZE];

    *ret_made = NULL;
    if (size == 0 || name == NULL || strncmp(name, disk->from, size) != 0 || name[size] != '/')
        return name;
    invariant((size_t)snprintf(place, sizeof place, "%s%s", disk->to, name + size) < sizeof place);
    *ret_made = sqlite3_create_filename(place, "", "", 0, NULL);
    invariant(*ret_made != NULL);
    return *ret_made;
}

static int open_below(struct disk_file *self, int flags, int *ret_flags)
{
    sqlite3_vfs *below = self->disk->below;
    const char *place = place_of(self->disk, self->name, &self->place);
    int code = SQLITE_OK;

    find_machine(self, place);
    code = below->xOpen(below, place, below_of(&self->base), flags, ret_flags);
    if (code != SQLITE_OK) {
        sqlite3_free_filename(self->place);
        self->place = NULL;
    }
    return code;
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    struct disk_file *self = file_of(file);
    int code = SQLITE_OK;

    memset(self, 0, sizeof *self);
    self->disk = disk_of(vfs);
    self->name = name;
    self->flags = flags & ~(SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE);
    code = open_below(self, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    if ((flags & SQLITE_OPEN_MAIN_DB) != 0)
        locks_join(&self->disk->places, self->place == NULL ? name : self->place, &self->lock);
    file->pMethods = &METHODS;
    self->after = self->disk->files;
    if (self->after != NULL)
        self->after->before = self;
    self->disk->files = self;
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    sqlite3_vfs *below = disk_of(vfs)->below;
    struct disk_file file = {.disk = disk_of(vfs)};
    const char *place = place_of(file.disk, name, &file.place);
    int code = SQLITE_OK;

    find_machine(&file, place);
    if (file.machine != DISK_NOBODY)
        sectors_forget(&file.disk->machines[file.machine].unsynced[file.part]);
    code = below->xDelete(below, place, sync);
    sqlite3_free_filename(file.place);
    return code;
}

static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    sqlite3_vfs *below = disk_of(vfs)->below;
    const char *made = NULL;
    int code = below->xAccess(below, place_of(disk_of(vfs), name, &made), flags, ret);

    sqlite3_free_filename(made);
    return code;
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

void disk_install(struct disk *disk, uint64_t seed)
{
    sqlite3_vfs *below = sqlite3_vfs_find("unix");

    invariant(below != NULL);
    *disk = (struct disk){.below = below, .armed = DISK_NOBODY};
    prng_init(&disk->prng, 1);
    prng_init(&disk->damage, seed);
    disk->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct disk_file) + below->szOsFile,
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
    for (int i = 0; i < DISK_MACHINES_MAX; i++)
        for (int part = DATABASE; part <= LOG; part++)
            sectors_done(&disk->machines[i].unsynced[part]);
}

static void reopen(struct disk_file *file)
{
    int flags = 0;

    invariant(file->name != NULL); /* a temporary file has no other place */
    (void)below_of(&file->base)->pMethods->xClose(below_of(&file->base));
    sqlite3_free_filename(file->place);
    invariant(open_below(file, file->flags, &flags) == SQLITE_OK);
}

void disk_move_path(char *path, size_t path_size, const char *from, const char *to)
{
    size_t size = strlen(from);
    char moved[2 * DISK_FOLDER_SIZE];
    int moved_size = 0;

    if (strncmp(path, from, size) != 0)
        return;
    moved_size = snprintf(moved, sizeof moved, "%s%s", to, path + size);
    invariant(moved_size > 0 && (size_t)moved_size < sizeof moved &&
              (size_t)moved_size < path_size);
    memcpy(path, moved, (size_t)moved_size + 1);
}

void disk_move(struct disk *disk, const char *from, const char *to, uint64_t seed)
{
    prng_init(&disk->damage, seed);
    for (int i = 0; i < DISK_MACHINES_MAX; i++)
        disk_move_path(disk->machines[i].path, sizeof disk->machines[i].path, from, to);
    locks_move(&disk->places, from, to);
    invariant(strlen(from) < sizeof disk->from && strlen(to) < sizeof disk->to);
    (void)snprintf(disk->from, sizeof disk->from, "%s", from);
    (void)snprintf(disk->to, sizeof disk->to, "%s", to);
    for (struct disk_file *file = disk->files; file != NULL; file = file->after)
        reopen(file);
}

/* ---- troubles ---- */

void disk_attach(struct disk *disk, int machine, const char *path)
{
    invariant(machine >= 0 && machine < DISK_MACHINES_MAX);
    (void)snprintf(disk->machines[machine].path, sizeof disk->machines[machine].path, "%s", path);
}

void disk_arm(struct disk *disk, int machine)
{
    disk->armed = machine;
    disk->is_writes_only = false;
    disk->machines[machine].wait_us = 0;
}

void disk_arm_writes(struct disk *disk, int machine)
{
    disk_arm(disk, machine);
    disk->is_writes_only = true;
}

void disk_disarm(struct disk *disk)
{
    disk->armed = DISK_NOBODY;
}

void disk_trouble(struct disk *disk, int machine, enum disk_trouble trouble, int64_t skips,
                  int64_t times)
{
    disk->machines[machine].skips[trouble] = skips;
    disk->machines[machine].times[trouble] = times;
}

void disk_heal(struct disk *disk, int machine)
{
    for (int i = 0; i < DISK_TROUBLE_COUNT; i++)
        disk_trouble(disk, machine, (enum disk_trouble)i, 0, 0);
}

bool disk_strikes(struct disk *disk, int machine, enum disk_trouble trouble)
{
    return disk->armed == machine && strikes(&disk->machines[machine], trouble);
}

size_t disk_damage(struct disk *disk, int machine)
{
    struct disk_machine *self = &disk->machines[machine];
    size_t count = 0;

    for (int part = DATABASE; part <= LOG; part++) {
        char path[200];

        (void)snprintf(path, sizeof path, "%s%s.crash", self->path,
                       part == DATABASE ? "" : log_end(self));
        count += sectors_damage(&self->unsynced[part], &disk->damage, path);
    }
    return count;
}

void disk_sync(struct disk *disk, int machine)
{
    for (int part = DATABASE; part <= LOG; part++)
        sectors_forget(&disk->machines[machine].unsynced[part]);
}

void disk_restart(struct disk *disk, int machine)
{
    struct disk_machine *self = &disk->machines[machine];

    disk_sync(disk, machine);
    self->is_dead = false;
    self->struck_count = 0;
    self->times[DISK_DEATH] = 0;
}

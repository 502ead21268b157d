/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* pread, pwrite */

#include "tests/sim/sectors.h"

#include "base/invariant.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *grow(void *memory, size_t size)
{
    void *grown = realloc(memory, size);

    invariant(grown != NULL);
    return grown;
}

static void make_place(struct sectors *sectors, size_t number)
{
    size_t room = sectors->place_room;

    if (number < room)
        return;
    while (room <= number)
        room = room * 2 + 1024;
    sectors->places = grow(sectors->places, room * sizeof *sectors->places);
    memset(sectors->places + sectors->place_room, 0,
           (room - sectors->place_room) * sizeof *sectors->places);
    sectors->place_room = room;
}

void sectors_note(struct sectors *sectors, int64_t file_size, int64_t offset, size_t size,
                  void (*read)(void *context, int64_t offset, uint8_t *bytes), void *context)
{
    size_t first = (size_t)offset / SECTOR_SIZE;
    size_t last = ((size_t)offset + size - 1) / SECTOR_SIZE;

    if (sectors->count == 0)
        sectors->durable_size = file_size;
    make_place(sectors, last);
    for (size_t number = first; number <= last; number++) {
        struct sector *sector = NULL;

        if (sectors->places[number] != 0)
            continue;
        if (sectors->count == sectors->room) {
            sectors->room = sectors->room * 2 + 64;
            sectors->list = grow(sectors->list, sectors->room * sizeof *sectors->list);
        }
        sector = &sectors->list[sectors->count++];
        sectors->places[number] = (uint32_t)sectors->count;
        sector->number = number;
        memset(sector->durable, 0, sizeof sector->durable);
        if ((int64_t)(number * SECTOR_SIZE) < file_size)
            read(context, (int64_t)(number * SECTOR_SIZE), sector->durable);
    }
}

void sectors_forget(struct sectors *sectors)
{
    for (size_t i = 0; i < sectors->count; i++)
        sectors->places[sectors->list[i].number] = 0;
    sectors->count = 0;
}

/* ---- the power cut ---- */

enum fate { FATE_KEPT, FATE_LOST, FATE_TORN, FATE_GARBLED };

/* Half of all cuts take much, the other half little; whole pages of 4 KiB often share a fate. */
static enum fate draw_fate(struct prng *prng, uint64_t lost_percent)
{
    if (prng_below(prng, 100) >= lost_percent)
        return FATE_KEPT;
    switch (prng_below(prng, 6)) {
    case 0:
        return FATE_TORN;
    case 1:
        return FATE_GARBLED;
    default:
        return FATE_LOST;
    }
}

static bool damage_sector(const struct sector *sector, enum fate fate, struct prng *prng, int file)
{
    off_t offset = (off_t)(sector->number * SECTOR_SIZE);
    uint8_t bytes[SECTOR_SIZE] = {0};
    size_t torn_at = (size_t)prng_below(prng, SECTOR_SIZE);
    ssize_t size = pread(file, bytes, sizeof bytes, offset);
    bool is_changed = false;

    if (fate == FATE_KEPT || size <= 0)
        return false;
    for (size_t i = 0; i < (size_t)size; i++) {
        if (bytes[i] == sector->durable[i] || (fate == FATE_TORN && i < torn_at))
            continue;
        bytes[i] = fate == FATE_GARBLED ? (uint8_t)prng_next(prng) : sector->durable[i];
        is_changed = true;
    }
    invariant(pwrite(file, bytes, (size_t)size, offset) == size);
    return is_changed;
}

/* A file that grew may have its old size, too. */
static void draw_size(const struct sectors *sectors, struct prng *prng, int file)
{
    struct stat status = {0};

    invariant(fstat(file, &status) == 0);
    if (status.st_size > sectors->durable_size && prng_below(prng, 3) == 0)
        invariant(ftruncate(file, sectors->durable_size +
                                      (off_t)prng_below(prng, (uint64_t)(status.st_size -
                                                                         sectors->durable_size))) ==
                  0);
}

size_t sectors_damage(const struct sectors *sectors, struct prng *prng, const char *path)
{
    enum { PAGE_SECTORS = 8 };
    uint64_t lost_percent = prng_below(prng, 2) == 0 ? 90 : 20;
    bool is_by_page = prng_below(prng, 2) == 0;
    enum fate fate = FATE_KEPT;
    size_t page = SIZE_MAX;
    size_t count = 0;
    int file = -1;

    if (sectors->count == 0)
        return 0;
    file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return 0;
    for (size_t i = 0; i < sectors->count; i++) {
        const struct sector *sector = &sectors->list[i];

        if (!is_by_page || sector->number / PAGE_SECTORS != page)
            fate = draw_fate(prng, lost_percent);
        page = sector->number / PAGE_SECTORS;
        count += damage_sector(sector, fate, prng, file) ? 1 : 0;
    }
    draw_size(sectors, prng, file);
    (void)close(file);
    return count;
}

void sectors_done(struct sectors *sectors)
{
    free(sectors->list);
    free(sectors->places);
    *sectors = (struct sectors){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/locks.h"

#include "tests/sim/disk.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

enum { REGIONS_MAX = 64, PATH_SIZE = 200 };

struct lock_place {
    char path[PATH_SIZE];
    size_t holder_count;
    size_t shared_count;                /* level SHARED or higher */
    const struct lock_holder *reserved; /* level RESERVED or higher */
    const struct lock_holder *pending;  /* nobody new gets SHARED */
    size_t index_users;
    uint8_t *regions[REGIONS_MAX];
    size_t slot_shared[SQLITE_SHM_NLOCK];
    const struct lock_holder *slot_exclusive[SQLITE_SHM_NLOCK];
    struct lock_place *next;
};

void locks_join(struct lock_places *places, const char *path, struct lock_holder *holder)
{
    struct lock_place *place = places->first;

    while (place != NULL && strcmp(place->path, path) != 0)
        place = place->next;
    if (place == NULL) {
        size_t size = strlen(path) + 1;

        place = calloc(1, sizeof *place);
        invariant(place != NULL && size <= sizeof place->path);
        memcpy(place->path, path, size);
        place->next = places->first;
        places->first = place;
    }
    place->holder_count++;
    *holder = (struct lock_holder){.place = place};
}

void locks_leave(struct lock_places *places, struct lock_holder *holder)
{
    struct lock_place *place = holder->place;
    struct lock_place **link = &places->first;

    if (place == NULL)
        return;
    locks_lower(holder, SQLITE_LOCK_NONE);
    locks_index_leave(holder);
    holder->place = NULL;
    if (--place->holder_count != 0)
        return;
    while (*link != place)
        link = &(*link)->next;
    *link = place->next;
    free(place);
}

void locks_move(struct lock_places *places, const char *from, const char *to)
{
    for (struct lock_place *place = places->first; place != NULL; place = place->next)
        disk_move_path(place->path, sizeof place->path, from, to);
}

/* ---- the file ---- */

static int raise_to_exclusive(struct lock_holder *holder)
{
    struct lock_place *place = holder->place;

    place->pending = holder; /* stays, so that readers that end aren't replaced for ever */
    if (place->shared_count > 1) {
        holder->level = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
    }
    holder->level = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
}

int locks_raise(struct lock_holder *holder, int level)
{
    struct lock_place *place = holder->place;

    if (place == NULL || holder->level >= level)
        return SQLITE_OK;
    if (place->pending != NULL && place->pending != holder)
        return SQLITE_BUSY;
    if (holder->level == SQLITE_LOCK_NONE) {
        place->shared_count++;
        holder->level = SQLITE_LOCK_SHARED;
    }
    if (level == SQLITE_LOCK_SHARED)
        return SQLITE_OK;
    if (place->reserved != NULL && place->reserved != holder)
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_RESERVED) {
        place->reserved = holder;
        holder->level = level;
        return SQLITE_OK;
    }
    return raise_to_exclusive(holder);
}

void locks_lower(struct lock_holder *holder, int level)
{
    struct lock_place *place = holder->place;

    if (place == NULL || holder->level <= level)
        return;
    if (place->reserved == holder)
        place->reserved = NULL;
    if (place->pending == holder)
        place->pending = NULL;
    if (level == SQLITE_LOCK_NONE)
        place->shared_count--;
    holder->level = level;
}

bool locks_is_reserved(const struct lock_holder *holder)
{
    const struct lock_place *place = holder->place;

    return place != NULL && (place->reserved != NULL || place->pending != NULL);
}

/* ---- the index of the log ---- */

int locks_index_map(struct lock_holder *holder, int region, int size, bool extend,
                    void volatile **ret)
{
    struct lock_place *place = holder->place;

    invariant(region >= 0 && region < REGIONS_MAX && size > 0);
    if (!holder->has_index) {
        holder->has_index = true;
        place->index_users++;
    }
    if (place->regions[region] == NULL && extend) {
        place->regions[region] = calloc(1, (size_t)size);
        invariant(place->regions[region] != NULL);
    }
    *ret = place->regions[region];
    return SQLITE_OK;
}

static bool is_held_by_others(const struct lock_holder *holder, int slot, bool is_exclusive)
{
    const struct lock_place *place = holder->place;
    size_t mine = (size_t)(holder->shared >> slot & 1);
    const struct lock_holder *owner = place->slot_exclusive[slot];

    return (owner != NULL && owner != holder) || (is_exclusive && place->slot_shared[slot] > mine);
}

static void let_go(struct lock_holder *holder, int slot)
{
    struct lock_place *place = holder->place;
    uint16_t bit = (uint16_t)(1u << slot);

    if ((holder->shared & bit) != 0)
        place->slot_shared[slot]--;
    if ((holder->exclusive & bit) != 0)
        place->slot_exclusive[slot] = NULL;
    holder->shared &= (uint16_t)~bit;
    holder->exclusive &= (uint16_t)~bit;
}

static void take(struct lock_holder *holder, int slot, bool is_exclusive)
{
    struct lock_place *place = holder->place;
    uint16_t bit = (uint16_t)(1u << slot);

    if (is_exclusive) {
        place->slot_exclusive[slot] = holder;
        holder->exclusive |= bit;
    } else if ((holder->shared & bit) == 0) {
        place->slot_shared[slot]++;
        holder->shared |= bit;
    }
}

int locks_index_lock(struct lock_holder *holder, int first, int count, int flags)
{
    bool is_exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;

    invariant(first >= 0 && count > 0 && first + count <= SQLITE_SHM_NLOCK);
    for (int slot = first; slot < first + count; slot++) {
        if ((flags & SQLITE_SHM_UNLOCK) != 0)
            let_go(holder, slot);
        else if (is_held_by_others(holder, slot, is_exclusive))
            return SQLITE_BUSY; /* nothing has been taken yet */
    }
    for (int slot = first; (flags & SQLITE_SHM_LOCK) != 0 && slot < first + count; slot++)
        take(holder, slot, is_exclusive);
    return SQLITE_OK;
}

/* The last one takes it away: the next one reads the log anew. */
void locks_index_leave(struct lock_holder *holder)
{
    struct lock_place *place = holder->place;

    if (!holder->has_index)
        return;
    for (int slot = 0; slot < SQLITE_SHM_NLOCK; slot++)
        let_go(holder, slot);
    holder->has_index = false;
    if (--place->index_users != 0)
        return;
    for (int i = 0; i < REGIONS_MAX; i++) {
        free(place->regions[i]);
        place->regions[i] = NULL;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lookup.h"

#include "base/invariant.h"

enum { LOOKUP_CAPACITY_FIRST = 16 };

void lookup_init(struct lookup *lookup, struct arena *arena)
{
    *lookup = (struct lookup){.arena = arena};
}

/* Murmur3's 64-bit finaliser: ids differ in their low bits only, slots need all of them mixed. */
static uint64_t key_hash(int64_t high, int64_t low)
{
    uint64_t mixed = (uint64_t)low ^ ((uint64_t)high * UINT64_C(0x9e3779b97f4a7c15));

    mixed ^= mixed >> 33;
    mixed *= UINT64_C(0xff51afd7ed558ccd);
    mixed ^= mixed >> 33;
    mixed *= UINT64_C(0xc4ceb9fe1a85ec53);
    return mixed ^ (mixed >> 33);
}

/* The slot that holds the key, or the free one where it belongs. */
static struct lookup_slot *slot_of(struct lookup_slot *slots, size_t capacity, int64_t high,
                                   int64_t low)
{
    size_t at = (size_t)key_hash(high, low) & (capacity - 1);

    while (slots[at].item != NULL && (slots[at].high != high || slots[at].low != low))
        at = (at + 1) & (capacity - 1);
    return &slots[at];
}

void *lookup_find(const struct lookup *lookup, int64_t high, int64_t low)
{
    if (lookup->capacity == 0)
        return NULL;
    return slot_of(lookup->slots, lookup->capacity, high, low)->item;
}

static enum result lookup_grow(struct lookup *lookup, size_t capacity, struct problem *problem)
{
    struct lookup_slot *slots = arena_array(lookup->arena, capacity, sizeof *slots);

    if (slots == NULL)
        return arena_full(lookup->arena, problem);
    for (size_t i = 0; i < lookup->capacity; i++)
        if (lookup->slots[i].item != NULL)
            *slot_of(slots, capacity, lookup->slots[i].high, lookup->slots[i].low) =
                lookup->slots[i];
    lookup->slots = slots;
    lookup->capacity = capacity;
    return RESULT_OK;
}

enum result lookup_reserve(struct lookup *lookup, size_t count, struct problem *problem)
{
    size_t capacity = lookup->capacity == 0 ? LOOKUP_CAPACITY_FIRST : lookup->capacity;

    if (count > SIZE_MAX / 4 - lookup->count)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for %zu entries", count);
    while (capacity / 4 * 3 < lookup->count + count)
        capacity *= 2;
    return capacity == lookup->capacity ? RESULT_OK : lookup_grow(lookup, capacity, problem);
}

enum result lookup_put(struct lookup *lookup, int64_t high, int64_t low, void *item,
                       struct problem *problem)
{
    struct lookup_slot *slot = NULL;
    enum result result;

    invariant(item != NULL);
    if (lookup->count >= lookup->capacity / 4 * 3) {
        result = lookup_reserve(lookup, 1, problem);
        if (result != RESULT_OK)
            return result;
    }
    slot = slot_of(lookup->slots, lookup->capacity, high, low);
    if (slot->item == NULL)
        lookup->count++;
    *slot = (struct lookup_slot){.high = high, .low = low, .item = item};
    return RESULT_OK;
}

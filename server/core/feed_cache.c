/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/feed_cache.h"

#include "base/invariant.h"

#include <stdlib.h>
#include <string.h>

/* A ring: the oldest entry makes room. */
struct feed_cache {
    size_t first;
    size_t count;
    size_t size;
    struct feed_part entries[FEED_CACHE_ENTRIES_MAX];
};

struct feed_cache *feed_cache_create(void)
{
    return calloc(1, sizeof(struct feed_cache));
}

static void forget_oldest(struct feed_cache *cache)
{
    struct feed_part *part = &cache->entries[cache->first];

    invariant(cache->count > 0);
    for (size_t i = 0; i < part->frame_count; i++)
        shared_frame_release(part->frames[i]);
    free(part->frames);
    cache->size -= part->size;
    cache->first = (cache->first + 1) % FEED_CACHE_ENTRIES_MAX;
    cache->count--;
}

void feed_cache_destroy(struct feed_cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->count > 0)
        forget_oldest(cache);
    free(cache);
}

static const struct feed_part *newest(const struct feed_cache *cache, size_t age)
{
    return &cache->entries[(cache->first + cache->count - 1 - age) % FEED_CACHE_ENTRIES_MAX];
}

static bool is_author(const struct feed_part *part, int64_t replica_no)
{
    if (part->author_count > FEED_CACHE_AUTHORS_MAX)
        return true;
    for (size_t i = 0; i < part->author_count; i++)
        if (part->authors[i] == replica_no)
            return true;
    return false;
}

const struct feed_part *feed_cache_find_delta(const struct feed_cache *cache, int64_t bucket,
                                              int64_t cursor, int64_t seq_to, int64_t replica_no)
{
    for (size_t age = 0; age < cache->count; age++) {
        const struct feed_part *part = newest(cache, age);

        if (part->bucket == bucket && part->seq_to == seq_to && !part->is_page &&
            part->seq_after <= cursor && cursor < part->first_seq &&
            (part->seq_after > 0 || cursor == 0) && (cursor == 0 || !is_author(part, replica_no)))
            return part;
    }
    return NULL;
}

const struct feed_part *feed_cache_find_page(const struct feed_cache *cache, int64_t bucket,
                                             int64_t seq_to, int64_t page_table_no,
                                             int64_t page_seq)
{
    for (size_t age = 0; age < cache->count; age++) {
        const struct feed_part *part = newest(cache, age);

        if (part->bucket == bucket && part->is_page && part->seq_to == seq_to &&
            part->page_table_no == page_table_no && part->page_seq == page_seq)
            return part;
    }
    return NULL;
}

void feed_cache_put(struct feed_cache *cache, const struct feed_part *part)
{
    struct shared_frame **frames = NULL;
    struct feed_part *kept = NULL;

    if (part->size > FEED_CACHE_BYTES_MAX / 8 || part->frame_count == 0)
        return;
    frames = malloc(part->frame_count * sizeof *frames);
    if (frames == NULL)
        return;
    while (cache->count == FEED_CACHE_ENTRIES_MAX ||
           (cache->count > 0 && cache->size + part->size > FEED_CACHE_BYTES_MAX))
        forget_oldest(cache);
    for (size_t i = 0; i < part->frame_count; i++)
        frames[i] = shared_frame_hold(part->frames[i]);
    kept = &cache->entries[(cache->first + cache->count) % FEED_CACHE_ENTRIES_MAX];
    *kept = *part;
    kept->frames = frames;
    cache->count++;
    cache->size += part->size;
}

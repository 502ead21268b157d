/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/wire.h"

#include <stdlib.h>

enum { VIEWS_MAX = 32, ARENA_SIZE_MAX = 64 << 20 };

struct wire_views {
    const struct catalog *own;
    size_t count;
    int64_t versions[VIEWS_MAX];
    struct catalog views[VIEWS_MAX];
    struct arena arena; /* of all views: when there are too many, all are forgotten */
};

struct wire_views *wire_views_create(const struct catalog *catalog)
{
    struct wire_views *views = calloc(1, sizeof *views);

    if (views == NULL)
        return NULL;
    views->own = catalog;
    arena_init(&views->arena, ARENA_SIZE_MAX);
    return views;
}

void wire_views_destroy(struct wire_views *views)
{
    if (views == NULL)
        return;
    arena_done(&views->arena);
    free(views);
}

enum result wire_view(struct wire_views *views, int64_t version, const struct catalog **ret_view,
                      struct problem *problem)
{
    int64_t common = version == views->own->schema_version
                         ? version
                         : schema_version_common(version, views->own->schema_version);
    enum result result = RESULT_OK;

    *ret_view = views->own;
    if (!schema_version_lacks(common, views->own->schema_version))
        return RESULT_OK;
    for (size_t i = 0; i < views->count; i++) {
        if (views->versions[i] == common) {
            *ret_view = &views->views[i];
            return RESULT_OK;
        }
    }
    if (views->count == VIEWS_MAX) {
        arena_reset(&views->arena);
        views->count = 0;
    }
    result = catalog_view(views->own, common, &views->arena, &views->views[views->count], problem);
    if (result != RESULT_OK)
        return result;
    views->versions[views->count] = common;
    *ret_view = &views->views[views->count++];
    return RESULT_OK;
}

enum result wire_decode_push(const struct catalog *catalog, struct bytes body, struct arena *arena,
                             struct message_push *ret_push, struct problem *problem)
{
    struct wire_views *views = wire_views_create(catalog);
    const struct catalog *view = NULL;
    int64_t version = 0;
    enum result result;

    if (views == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a schema version");
    result = message_push_version(body, &version, problem);
    if (result == RESULT_OK)
        result = wire_view(views, version, &view, problem);
    if (result == RESULT_OK)
        result = message_push_decode(view, body, arena, ret_push, problem);
    wire_views_destroy(views);
    return result;
}

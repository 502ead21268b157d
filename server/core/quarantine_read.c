/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in quarantine, as a person reads it. */
#include "server/core/quarantine.h"

#include "server/core/wire.h"

#include <inttypes.h>
#include <string.h>

enum { TEXT_SHOWN_MAX = 200, CHANGES_SHOWN_MAX = 100000 };

static const char *value_words(struct arena *arena, const struct value *value)
{
    bool is_long = value->bytes.size > TEXT_SHOWN_MAX;
    int size = (int)(is_long ? TEXT_SHOWN_MAX : value->bytes.size);

    switch (value->type) {
    case VALUE_NULL:
        return "NULL";
    case VALUE_INTEGER:
        return arena_format(arena, "%" PRId64, value->integer);
    case VALUE_REAL:
        return arena_format(arena, "%g", value->real);
    case VALUE_TEXT:
        return arena_format(arena, "'%.*s%s'", size, (const char *)value->bytes.data,
                            is_long ? "..." : "");
    case VALUE_BLOB:
        break;
    }
    return arena_format(arena, "%zu bytes", value->bytes.size);
}

static const char *values_words(struct arena *arena, const struct catalog_table *table,
                                const struct change *change)
{
    const char *words = "";

    for (uint8_t i = 1; i < table->column_count && words != NULL; i++) {
        const char *value = NULL;

        if ((change->mask >> i & 1) == 0)
            continue;
        value = value_words(arena, &change->values[i]);
        words = value == NULL
                    ? NULL
                    : arena_format(arena, "%s%s%s=%s", words, words[0] == '\0' ? "" : ", ",
                                   table->columns[i].name, value);
    }
    return words;
}

static enum result add_part(const struct catalog *catalog, struct bytes body, int64_t revoked_at,
                            struct arena *arena, struct quarantine_change *changes, size_t *count,
                            size_t room, struct problem *problem)
{
    static const char *const OPS[] = {
        [CHANGE_INSERT] = "insert", [CHANGE_UPDATE] = "update", [CHANGE_DELETE] = "delete"};
    struct message_push push = {0};
    enum result result = wire_decode_push(catalog, body, arena, &push, problem);

    for (size_t i = 0; i < push.change_count && result == RESULT_OK && *count < room; i++) {
        const struct change *change = &push.changes[i];
        const struct catalog_table *table = catalog_table_by_no(catalog, change->table_no);
        struct quarantine_change *shown = &changes[(*count)++];

        *shown = (struct quarantine_change){.seal_no = push.seal_no,
                                            .table_name = table->name,
                                            .row_id = change->row_id,
                                            .op = OPS[change->op],
                                            .edited_at = change->edited_at,
                                            .is_late = change->edited_at.us > revoked_at,
                                            .values = values_words(arena, table, change)};
        if (shown->values == NULL)
            return arena_full(arena, problem);
    }
    return result;
}

enum result quarantine_read(struct store *store, int64_t replica_no, struct arena *arena,
                            struct quarantine_change **ret_changes, size_t *ret_count,
                            struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    struct store_result parts = {0};
    struct quarantine_change *changes = NULL;
    int64_t room = 0;
    size_t count = 0;
    enum result result = store_query(store,
                                     "SELECT q.body, q.change_count, coalesce(r.revoked_at,0)"
                                     " FROM fs_quarantine q JOIN fs_replica r"
                                     " ON r.replica_no=q.replica_no WHERE q.replica_no=?1"
                                     " AND q.decided_at IS NULL ORDER BY q.seal_no, q.part_no",
                                     &parameter, 1, arena, &parts, problem);

    if (result != RESULT_OK)
        return result;
    for (size_t i = 0; i < parts.row_count; i++)
        room += store_integer_at(&parts, i, 1, 0);
    if (room > CHANGES_SHOWN_MAX)
        room = CHANGES_SHOWN_MAX;
    changes = arena_array(arena, (size_t)room + 1, sizeof *changes);
    if (changes == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < parts.row_count && result == RESULT_OK; i++)
        result = add_part(store->catalog, store_bytes_at(&parts, i, 0),
                          store_integer_at(&parts, i, 2, 0), arena, changes, &count, (size_t)room,
                          problem);
    *ret_changes = changes;
    *ret_count = count;
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas other than the file's own (docs/SCHEMA.md): the one in which this device and its server
 * speak, those in which seals were made, and the one that the server has sent. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>

enum { VIEW_ARENA_SIZE_MAX = 16 << 20 };

/* Part of fs_unsendable.reason: these go as soon as the server knows their columns. */
#define SERVER_IS_OLDER                                                                            \
    "the server is older than this device: it is sent when it is brought up to date"

void schemas_init(struct replica *replica)
{
    arena_init(&replica->wire_arena, VIEW_ARENA_SIZE_MAX);
    arena_init(&replica->seal_arena, VIEW_ARENA_SIZE_MAX);
}

void schemas_done(struct replica *replica)
{
    arena_done(&replica->wire_arena);
    arena_done(&replica->seal_arena);
}

/* ---- speaking -------------------------------------------------------------------------------- */

/* A server that hasn't been met yet is taken for one of this device's version. */
enum result schemas_speak(struct replica *replica, int64_t server_version, struct problem *problem)
{
    int64_t own = replica->catalog.schema_version;

    replica->server_version = server_version;
    replica->wire = replica->catalog;
    if (!schema_version_lacks(server_version, own))
        return RESULT_OK;
    arena_reset(&replica->wire_arena);
    return catalog_view(&replica->catalog, schema_version_common(own, server_version),
                        &replica->wire_arena, &replica->wire, problem);
}

enum result schemas_load(struct replica *replica, struct problem *problem)
{
    int64_t server_version = 0;
    enum result result = state_number(replica, "server_schema", replica->catalog.schema_version,
                                      &server_version, problem);

    replica->seal_version = -1;
    return result == RESULT_OK ? schemas_speak(replica, server_version, problem) : result;
}

const struct catalog *replica_wire(const struct replica *replica)
{
    return &replica->wire;
}

bool replica_speaks_own(const struct replica *replica)
{
    return replica->server_version == replica->catalog.schema_version;
}

uint64_t wire_mask(const struct replica *replica, const struct catalog_table *table)
{
    const struct catalog_table *wire = catalog_table_by_no(&replica->wire, table->number);

    return wire == NULL ? 0 : wire->columns_mask;
}

/* What waits for a newer server is recorded once more: it joins the next seal. */
static enum result release_waiting(struct replica *replica, struct problem *problem)
{
    const struct value reason = value_text_of(SERVER_IS_OLDER);

    return sql_run(replica->database,
                   "INSERT INTO fs_outbox(tbl, row_id, op, mask, edited_at, base_seq)"
                   " SELECT table_no, row_id, 'U', mask, edited_at, base_seq FROM fs_unsendable"
                   " WHERE reason = ?1",
                   &reason, 1, problem);
}

enum result schemas_welcome(struct replica *replica, int64_t server_version,
                            struct problem *problem)
{
    enum result result = catalog_check_version(&replica->catalog, server_version, problem);

    if (result != RESULT_OK) {
        problem_add(problem, "this device's schema is another company's: its work stays here");
        return result;
    }
    if (server_version == replica->server_version)
        return RESULT_OK;
    result = state_set_number(replica, "server_schema", server_version, problem);
    if (result == RESULT_OK && schema_version_lacks(replica->server_version, server_version))
        result = release_waiting(replica, problem);
    return result;
}

/* ---- seals ----------------------------------------------------------------------------------- */

int64_t schemas_spoken(const struct replica *replica)
{
    return replica->wire.schema_version;
}

enum result replica_catalog_of(struct replica *replica, int64_t version,
                               const struct catalog **ret_catalog, struct problem *problem)
{
    enum result result = RESULT_OK;

    *ret_catalog = &replica->catalog;
    if (!schema_version_lacks(version, replica->catalog.schema_version))
        return RESULT_OK;
    *ret_catalog = &replica->seal_catalog;
    if (replica->seal_version == version)
        return RESULT_OK;
    replica->seal_version = -1;
    arena_reset(&replica->seal_arena);
    result = catalog_view(&replica->catalog, version, &replica->seal_arena, &replica->seal_catalog,
                          problem);
    if (result == RESULT_OK)
        replica->seal_version = version;
    return result;
}

bool schemas_may_send(const struct replica *replica, int64_t seal_version)
{
    return !schema_version_lacks(replica->server_version, seal_version);
}

/* An older server still has columns that were dropped here; some of them can't be left out. */
static void fill_dropped(const struct catalog_table *wire, const struct catalog_table *table,
                         struct outbox_row *row, struct value *values)
{
    for (uint8_t n = 1; n < wire->column_count; n++) {
        if (!catalog_has_column(wire, n) || catalog_has_column(table, n) ||
            wire->columns[n].nullable || (wire->server_only_mask >> n & 1) != 0)
            continue;
        values[n] = catalog_stand_in(&wire->columns[n]);
        row->mask |= UINT64_C(1) << n;
    }
}

const char *schemas_split(const struct replica *replica, const struct outbox_row *row,
                          struct value *values, struct outbox_row *ret_now,
                          struct outbox_row *ret_later)
{
    const struct catalog_table *table = replica_table(replica, row->table_no);
    const struct catalog_table *wire = catalog_table_by_no(&replica->wire, row->table_no);
    uint64_t known = wire == NULL ? 0 : wire->columns_mask;

    *ret_now = *row;
    *ret_later = *row;
    ret_later->is_change = false;
    if (wire == NULL) {
        ret_now->is_change = false;
        ret_later->is_change = true;
        return SERVER_IS_OLDER;
    }
    ret_now->mask = row->mask & known;
    ret_later->mask = row->mask & ~known;
    ret_now->is_change = row->op != CHANGE_UPDATE || ret_now->mask != 0;
    ret_later->is_change = ret_later->mask != 0;
    if (row->op == CHANGE_INSERT) {
        ret_later->op = CHANGE_UPDATE; /* the row itself goes now */
        fill_dropped(wire, table, ret_now, values);
    }
    return SERVER_IS_OLDER;
}

/* ---- scripts from the server ----------------------------------------------------------------- */

static enum result store_script(struct replica *replica, const struct schema_script *script,
                                struct problem *problem)
{
    const struct value values[] = {value_text(script->name), value_text(script->text)};

    return sql_run(replica->database,
                   "INSERT INTO fs_script(name, text, is_pending) SELECT ?1, ?2, 2 WHERE NOT EXISTS"
                   " (SELECT 1 FROM fs_migration WHERE name = ?1)"
                   " ON CONFLICT(name) DO UPDATE SET text = ?2, is_pending = 2, problem = NULL",
                   values, 2, problem);
}

enum result replica_schema(struct replica *replica, const struct message_schema *schema,
                           bool *ret_is_complete, struct problem *problem)
{
    struct sql_transaction transaction = {0};
    int64_t waiting = 0;
    enum result result = replica_write_begin(replica, &transaction, problem);

    for (size_t i = 0; i < schema->script_count && result == RESULT_OK; i++)
        result = store_script(replica, &schema->scripts[i], problem);
    if (result == RESULT_OK && schema->is_last)
        result =
            sql_run(replica->database, "UPDATE fs_script SET is_pending = 1 WHERE is_pending = 2",
                    NULL, 0, problem);
    if (result == RESULT_OK)
        result = sql_query_integer(replica->database,
                                   "SELECT count(*) FROM fs_script WHERE is_pending = 1", NULL, 0,
                                   0, &waiting, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    if (result != RESULT_OK) {
        problem_add(problem, "storing the server's scripts");
        return result;
    }
    *ret_is_complete = schema->is_last && waiting > 0;
    return RESULT_OK;
}

/* Half a message of a former connection is of no use. */
enum result schemas_forget_parts(struct replica *replica, struct problem *problem)
{
    return sql_run(replica->database, "DELETE FROM fs_script WHERE is_pending = 2", NULL, 0,
                   problem);
}

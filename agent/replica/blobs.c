/* SPDX-License-Identifier: Apache-2.0 */
/* Which attachments still have to move. Their rows are ordinary rows of the table `attachment`
 * (content_hash in hexadecimal, size_n); what happened to their bytes is in fs_blob. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"
#include "domain/erasure.h"

#include <string.h>

static bool has_attachments(const struct replica *replica)
{
    const struct catalog_table *table = catalog_table_by_name(&replica->catalog, "attachment");

    return table != NULL && table_is_synced(table) &&
           catalog_column_by_name(table, "content_hash") != NULL &&
           catalog_column_by_name(table, "size_n") != NULL;
}

/* The first row of hash in hexadecimal and size that makes sense. */
static enum result first_blob(struct replica *replica, const char *text,
                              struct replica_blob *ret_blob, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    struct replica_blob blob = {0};
    bool has_row = true;
    enum result result = sql_prepare(replica->database, text, &statement, problem);

    while (result == RESULT_OK && blob.size == 0) {
        char hex[2 * BLOB_HASH_SIZE + 1];
        struct value hash;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        hash = sql_column(statement, 0);
        if (hash.type != VALUE_TEXT || hash.bytes.size != sizeof hex - 1)
            continue;
        memcpy(hex, hash.bytes.data, sizeof hex - 1);
        hex[sizeof hex - 1] = '\0';
        if (bytes_from_hex(hex, blob.hash, sizeof blob.hash) &&
            sql_column_integer(statement, 1) > 0)
            blob.size = sql_column_integer(statement, 1);
    }
    sql_release(statement);
    if (result == RESULT_OK)
        *ret_blob = blob;
    return result;
}

/* Rows made here whose content may be here only. */
#define UNSENT                                                                                     \
    "SELECT a.content_hash, a.size_n FROM attachment AS a WHERE a.id BETWEEN"                      \
    " (SELECT number << 33 FROM fs_state WHERE name = 'replica_no') AND"                           \
    " (SELECT (number << 33) + 8589934591 FROM fs_state WHERE name = 'replica_no')"                \
    " AND lower(a.content_hash) NOT IN"                                                            \
    " (SELECT lower(hex(hash)) FROM fs_blob WHERE state IN (1, 2, 4, 5))"

/* The server has answered all that was changed of them here. */
#define SETTLED                                                                                    \
    " AND NOT EXISTS (SELECT 1 FROM fs_seal_change AS c JOIN fs_table AS t ON"                     \
    " t.number = c.table_no WHERE t.name = 'attachment' AND c.row_id = a.id"                       \
    " AND (c.is_pending = 1 OR (c.op = 1 AND c.verdict IN ('refused', 'gone'))))"                  \
    " AND NOT EXISTS (SELECT 1 FROM fs_outbox AS o JOIN fs_table AS t ON t.number = o.tbl"         \
    " WHERE t.name = 'attachment' AND o.row_id = a.id AND o.lcn >"                                 \
    " coalesce((SELECT number FROM fs_state WHERE name = 'sealed_lcn'), 0))"

/* Once the server has their change: only then it knows whose blob it is. A revoked device has left
 * all its changes there when it comes to this. */
static enum result next_of_rows(struct replica *replica, bool is_parting,
                                struct replica_blob *ret_blob, struct problem *problem)
{
    if (is_parting)
        return first_blob(replica, UNSENT " ORDER BY a.id", ret_blob, problem);
    return first_blob(replica, UNSENT SETTLED " ORDER BY a.id", ret_blob, problem);
}

/* Still to be sent? `values` are those of the insert that a seal keeps. */
static enum result orphan_of(struct replica *replica, const struct catalog_table *table,
                             const struct value *values, struct replica_blob *ret_blob,
                             struct problem *problem)
{
    const struct value *hash = &values[catalog_column_by_name(table, "content_hash")->number];
    const struct value *size = &values[catalog_column_by_name(table, "size_n")->number];
    struct replica_blob blob = {.is_orphan = true};
    struct value key = value_blob(bytes_of(blob.hash, sizeof blob.hash));
    char hex[2 * BLOB_HASH_SIZE + 1];
    int64_t is_known = 0;
    enum result result = RESULT_OK;

    if (hash->type != VALUE_TEXT || hash->bytes.size != sizeof hex - 1 ||
        size->type != VALUE_INTEGER || size->integer <= 0)
        return RESULT_OK;
    memcpy(hex, hash->bytes.data, sizeof hex - 1);
    hex[sizeof hex - 1] = '\0';
    if (!bytes_from_hex(hex, blob.hash, sizeof blob.hash))
        return RESULT_OK;
    result = sql_query_integer(
        replica->database, "SELECT count(*) FROM fs_blob WHERE hash = ?1 AND state IN (1, 2, 4, 5)",
        &key, 1, 0, &is_known, problem);
    blob.size = size->integer;
    if (result == RESULT_OK && is_known == 0)
        *ret_blob = blob;
    return result;
}

/* Rows made here that have left since, with their call or by somebody's hand: the content is still
 * only here. */
static enum result next_orphan(struct replica *replica, struct replica_blob *ret_blob,
                               struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(&replica->catalog, "attachment");
    const struct value number = value_integer(table->number);
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result =
        sql_prepare(replica->database,
                    "SELECT c.mask, c.data FROM fs_seal_change AS c WHERE c.table_no = ?1"
                    " AND c.op = 1 AND c.is_pending = 0 AND c.verdict NOT IN ('refused', 'gone')"
                    " AND NOT EXISTS (SELECT 1 FROM attachment AS a WHERE a.id = c.row_id)"
                    " ORDER BY c.lcn",
                    &statement, problem);

    arena_reset(&replica->step_arena);
    if (result == RESULT_OK)
        result = sql_bind_all(statement, &number, 1, problem);
    while (result == RESULT_OK && ret_blob->size == 0) {
        struct value *values = NULL;

        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        result =
            unpack_values(table, (uint64_t)sql_column_integer(statement, 0),
                          sql_column(statement, 1).bytes, &replica->step_arena, &values, problem);
        if (result == RESULT_OK)
            result = orphan_of(replica, table, values, ret_blob, problem);
    }
    sql_release(statement);
    return result;
}

enum result replica_blob_to_send(struct replica *replica, bool is_parting,
                                 struct replica_blob *ret_blob, struct problem *problem)
{
    struct replica_blob blob = {0};
    enum result result = RESULT_OK;

    if (has_attachments(replica)) {
        result = next_of_rows(replica, is_parting, &blob, problem);
        if (result == RESULT_OK && blob.size == 0)
            result = next_orphan(replica, &blob, problem);
    }
    if (result == RESULT_OK)
        *ret_blob = blob;
    return result;
}

enum result replica_blob_to_fetch(struct replica *replica, struct replica_blob *ret_blob,
                                  struct problem *problem)
{
    if (!has_attachments(replica)) {
        *ret_blob = (struct replica_blob){0};
        return RESULT_OK;
    }
    return first_blob(replica,
                      "SELECT a.content_hash, a.size_n FROM fs_blob AS b JOIN attachment AS a"
                      " ON a.content_hash = lower(hex(b.hash)) WHERE b.state = 3 ORDER BY a.id",
                      ret_blob, problem);
}

enum result replica_blob_to_erase(struct replica *replica, struct replica_blob *ret_blob,
                                  struct problem *problem)
{
    if (!has_attachments(replica)) {
        *ret_blob = (struct replica_blob){0};
        return RESULT_OK;
    }
    return first_blob(replica,
                      "SELECT a.content_hash, a.size_n FROM attachment AS a"
                      " WHERE a.name = '" ERASURE_MARK "' AND NOT EXISTS (SELECT 1"
                      " FROM attachment AS o WHERE o.content_hash = a.content_hash"
                      " AND o.name <> '" ERASURE_MARK "') AND lower(a.content_hash) NOT IN"
                      " (SELECT lower(hex(hash)) FROM fs_blob WHERE state = 5)" SETTLED
                      " UNION ALL SELECT lower(hex(b.hash)), 1 FROM fs_blob AS b"
                      " WHERE b.state = 2 AND NOT EXISTS (SELECT 1 FROM attachment AS a"
                      " WHERE a.content_hash = lower(hex(b.hash)))",
                      ret_blob, problem);
}

enum result replica_blob_mark(struct replica *replica, const uint8_t hash[BLOB_HASH_SIZE],
                              enum replica_blob_state state, struct problem *problem)
{
    const struct value values[] = {value_blob(bytes_of(hash, BLOB_HASH_SIZE)),
                                   value_integer((int64_t)state)};

    return sql_run(replica->database,
                   "INSERT INTO fs_blob(hash, state) VALUES (?1, ?2)"
                   " ON CONFLICT(hash) DO UPDATE SET state = excluded.state",
                   values, 2, problem);
}

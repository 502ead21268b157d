/* SPDX-License-Identifier: Apache-2.0 */
/* A device of another schema version: what it lacks, and the scripts that bring it up to date. */
#include "server/core/devices_schema.h"

#include "base/invariant.h"
#include "schema/catalog_version.h"

#include <inttypes.h>

enum {
    RELEASE_FIRST = 29, /* of devices that were enrolled before versions were written down */
    SHIPPED_FROM = 32,  /* older devices don't know SCHEMA */
    MESSAGE_TEXT_SIZE_MAX = LIMIT_BODY_SIZE_MAX / 2, /* scripts in one message */
};
#define OFFER_AGAIN_US HOURS(1) /* a device that can't take them shall not get them each time */

/* ---- what it lacks ---- */

/* Has anything that travels come between the two? */
static bool is_gain(const struct catalog *catalog, int64_t before, int64_t now)
{
    for (size_t t = 1; t < catalog->table_count; t++) {
        const struct catalog_table *table = &catalog->tables[t];

        if (table->name == NULL || table->is_local)
            continue;
        if (schema_version_has(now, table->since) && !schema_version_has(before, table->since))
            return true;
        for (uint8_t n = 1; n < table->column_count; n++)
            if (catalog_has_column(table, n) && schema_version_has(now, table->columns[n].since) &&
                !schema_version_has(before, table->columns[n].since))
                return true;
    }
    return false;
}

struct schema_standing devices_schema_standing(const struct catalog *catalog,
                                               const struct value *stored, int64_t spoken)
{
    int64_t now = schema_version_common(spoken, catalog->schema_version);
    int64_t before = stored->type == VALUE_INTEGER
                         ? stored->integer
                         : schema_version_number((struct schema_version){.product = RELEASE_FIRST});
    struct schema_standing standing = {.to_store = now};

    if (!schema_version_lacks(before, now) || !is_gain(catalog, before, now))
        return standing;
    standing.before = before;
    standing.to_store = schema_version_common(before, now);
    return standing;
}

enum result devices_schema_catch_up(struct store *store, struct arena *arena, int64_t before,
                                    int64_t spoken, struct feed_catch_up *ret_catch_up,
                                    struct problem *problem)
{
    struct schema_version from = schema_version_of(before);
    struct schema_version to =
        schema_version_of(schema_version_common(spoken, store->catalog->schema_version));
    const struct value parameters[] = {value_integer(from.product), value_integer(to.product),
                                       value_integer(from.company), value_integer(to.company),
                                       value_integer(SCHEMA_COMPANY_FROM)};
    struct store_result found = {0};
    enum result result = RESULT_OK;

    *ret_catch_up = (struct feed_catch_up){0};
    if (before == 0)
        return RESULT_OK;
    result = store_query(store,
                         "SELECT min(coalesce(seq,0)) FROM fs_migration"
                         " WHERE substr(name,5,8)='_common_'"
                         " AND ((CAST(substr(name,1,4) AS INTEGER)<?5"
                         " AND CAST(substr(name,1,4) AS INTEGER)>?1"
                         " AND CAST(substr(name,1,4) AS INTEGER)<=?2)"
                         " OR (CAST(substr(name,1,4) AS INTEGER)>=?5"
                         " AND CAST(substr(name,1,4) AS INTEGER)>?3"
                         " AND CAST(substr(name,1,4) AS INTEGER)<=?4))",
                         parameters, 5, arena, &found, problem);
    if (result == RESULT_OK)
        *ret_catch_up =
            (struct feed_catch_up){.before = before, .from_seq = store_integer_at(&found, 0, 0, 0)};
    return result;
}

/* ---- scripts ---- */

static enum result send_scripts(struct store *store, struct job *job, struct schema_script *scripts,
                                size_t count, bool is_last, struct problem *problem)
{
    const struct message_schema message = {.schema_version = store->catalog->schema_version,
                                           .is_last = is_last,
                                           .script_count = count,
                                           .scripts = scripts};
    struct buffer body;
    enum result result = RESULT_OK;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_schema_encode(&message, &body, problem);
    if (result == RESULT_OK)
        result = job_add_body(job, MESSAGE_SCHEMA, buffer_bytes(&body), 6, NULL, problem);
    buffer_done(&body);
    return result;
}

/* In messages of about MESSAGE_TEXT_SIZE_MAX each. */
static enum result send_all(struct store *store, struct job *job, const struct store_result *found,
                            struct problem *problem)
{
    struct schema_script *scripts = arena_array(&job->arena, found->row_count + 1, sizeof *scripts);
    size_t first = 0;
    size_t size = 0;
    enum result result = RESULT_OK;

    if (scripts == NULL)
        return arena_full(&job->arena, problem);
    for (size_t i = 0; i < found->row_count && result == RESULT_OK; i++) {
        bool is_last = i + 1 == found->row_count;

        scripts[i] =
            (struct schema_script){store_bytes_at(found, i, 0), store_bytes_at(found, i, 1)};
        size += scripts[i].text.size;
        if (!is_last && i + 1 - first < LIMIT_SCRIPTS_MAX &&
            size + store_bytes_at(found, i + 1, 1).size <= MESSAGE_TEXT_SIZE_MAX)
            continue;
        result = send_scripts(store, job, scripts + first, i + 1 - first, is_last, problem);
        first = i + 1;
        size = 0;
    }
    return result;
}

static enum result note_offer(struct store *store, struct job *job, struct problem *problem)
{
    const struct value parameters[] = {value_integer(job->replica_no),
                                       value_integer(store->catalog->schema_version),
                                       value_integer(job->now.us)};

    return store_execute(store,
                         "UPDATE fs_replica SET schema_offered=?2, schema_offered_at=?3"
                         " WHERE replica_no=?1",
                         parameters, 3, 1, NULL, problem);
}

static enum result was_offered(struct store *store, struct job *job, bool *ret_was,
                               struct problem *problem)
{
    const struct value parameters[] = {
        value_integer(job->replica_no), value_integer(store->catalog->schema_version),
        value_integer(job->now.us - OFFER_AGAIN_US), value_integer(job->now.us)};
    struct store_result found = {0};
    enum result result =
        store_query(store,
                    "SELECT 1 FROM fs_replica WHERE replica_no=?1 AND schema_offered=?2"
                    " AND schema_offered_at BETWEEN ?3 AND ?4",
                    parameters, 4, &job->arena, &found, problem);

    *ret_was = found.row_count > 0;
    return result;
}

enum result devices_schema_offer(struct store *store, struct job *job, struct problem *problem)
{
    struct schema_version theirs = schema_version_of(job->schema_version);
    const struct value parameters[] = {value_integer(theirs.product), value_integer(theirs.company),
                                       value_integer(SCHEMA_COMPANY_FROM)};
    struct store_result found = {0};
    bool was = false;
    enum result result = RESULT_OK;

    if (theirs.product < SHIPPED_FROM ||
        !schema_version_lacks(job->schema_version, store->catalog->schema_version))
        return RESULT_OK;
    result = was_offered(store, job, &was, problem);
    if (result != RESULT_OK || was)
        return result;
    result = store_query(store,
                         "SELECT name, text FROM fs_script WHERE CAST(substr(name,1,4) AS INTEGER)"
                         ">CASE WHEN CAST(substr(name,1,4) AS INTEGER)<?3 THEN ?1 ELSE ?2 END"
                         " ORDER BY name",
                         parameters, 3, &job->arena, &found, problem);
    if (result == RESULT_OK && found.row_count > 0)
        result = send_all(store, job, &found, problem);
    if (result == RESULT_OK)
        result = note_offer(store, job, problem);
    if (result != RESULT_OK)
        problem_add(problem, "scripts for replica %" PRId64, job->replica_no);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Another replica number: what has no answer yet moves to it, in one transaction.
 *
 * A row of the device's own keeps the counter of its id and changes the number in front of it, so
 * nothing new has to be given, and the server can tell which row it was. Change numbers go on.
 * Seals without an answer are written anew, from 1; answered ones are history and get numbers
 * below 1. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { RENEW_TEXT_SIZE_MAX = 4096, RENEW_DATA_SIZE_MAX = 16 << 20 };

struct renewal {
    struct replica *replica;
    const struct message_enrolled *enrolled;
    int64_t former_no;
    struct problem *problem;
};

static enum result run(struct renewal *renewal, const char *sql, const struct value *values,
                       size_t count)
{
    return sql_run(renewal->replica->database, sql, values, count, renewal->problem);
}

/* ---- which rows --------------------------------------------------------------------------------
 */

/* Everything recorded is in seals afterwards, but for what can't be sent. */
static enum result seal_rest(struct renewal *renewal, struct wall_time now)
{
    bool has_more = true;
    enum result result = RESULT_OK;

    while (has_more && result == RESULT_OK) {
        int64_t seal_no = 0;
        size_t count = 0;

        result = seal_all(renewal->replica, now, &seal_no, &count, renewal->problem);
        if (result == RESULT_OK)
            result = replica_has_unsealed(renewal->replica, &has_more, renewal->problem);
    }
    return result;
}

/* The server was restored meanwhile and may know nothing of what its backup didn't hold. */
static enum result reopen_answered(struct renewal *renewal)
{
    enum result result =
        run(renewal,
            "UPDATE fs_seal SET verdict_at = NULL, commit_seq = NULL WHERE seal_no > 0"
            " AND lcn_last > coalesce((SELECT number FROM fs_state WHERE name = 'backup_lcn'), 0)",
            NULL, 0);

    if (result == RESULT_OK)
        result = run(renewal,
                     "UPDATE fs_seal_change SET is_pending = 1, verdict = NULL, reason = NULL,"
                     " merged_into_id = NULL, verdict_at = NULL WHERE seal_no IN"
                     " (SELECT seal_no FROM fs_seal WHERE verdict_at IS NULL)",
                     NULL, 0);
    return result;
}

static enum result collect_rows(struct renewal *renewal)
{
    static const char *const SOURCES[] = {
        "INSERT OR IGNORE INTO fs_renewed(table_no, old_id, new_id)"
        " SELECT table_no, row_id, row_id + ((?2 - ?1) << 33) FROM fs_seal_change"
        " WHERE is_pending = 1 AND op = 1 AND row_id >> 33 = ?1",
        "INSERT OR IGNORE INTO fs_renewed(table_no, old_id, new_id)"
        " SELECT table_no, row_id, row_id + ((?2 - ?1) << 33) FROM fs_unsendable"
        " WHERE op = 1 AND row_id >> 33 = ?1",
    };
    const struct value numbers[] = {value_integer(renewal->former_no),
                                    value_integer(renewal->enrolled->replica_no)};
    enum result result = run(renewal, "DELETE FROM fs_renewed", NULL, 0);

    for (size_t i = 0; i < sizeof SOURCES / sizeof SOURCES[0] && result == RESULT_OK; i++)
        result = run(renewal, SOURCES[i], numbers, 2);
    return result;
}

/* ---- the tables that people see ----------------------------------------------------------------
 */

/* # is the table, @ the column. ?1: of the table whose ids are meant; 0: of any. */
static const char OWN_IDS[] =
    "UPDATE # SET id = (SELECT new_id FROM fs_renewed WHERE table_no = ?1 AND old_id = #.id)"
    " WHERE id IN (SELECT old_id FROM fs_renewed WHERE table_no = ?1)";
static const char REFERENCES[] =
    "UPDATE # SET @ = (SELECT new_id FROM fs_renewed WHERE old_id = #.@"
    " AND (?1 = 0 OR table_no = ?1) LIMIT 1)"
    " WHERE @ IN (SELECT old_id FROM fs_renewed WHERE ?1 = 0 OR table_no = ?1)";
/* A bucket's number is its kind and, in the low 53 bits, an id. */
static const char HOMES[] =
    "UPDATE # SET @ = (SELECT (#.@ & ~9007199254740991) | new_id FROM fs_renewed"
    " WHERE old_id = (#.@ & 9007199254740991) LIMIT 1)"
    " WHERE ?1 = 0 AND (@ & 9007199254740991) IN (SELECT old_id FROM fs_renewed)";

static enum result rewrite(struct renewal *renewal, const char *form,
                           const struct catalog_table *table, const char *column, int64_t table_no)
{
    const struct value parameter = value_integer(table_no);
    struct buffer text;
    enum result result = RESULT_OK;

    static_assert(ID_MAX == INT64_C(9007199254740991), "the mask in HOMES");
    buffer_init(&text, RENEW_TEXT_SIZE_MAX);
    for (const char *at = form; result == RESULT_OK && at <= form + strlen(form); at++) {
        if (*at == '#' || *at == '@')
            result =
                sql_append_identifier(&text, *at == '#' ? table->name : column, renewal->problem);
        else
            result = buffer_append(&text, at, 1, renewal->problem);
    }
    if (result == RESULT_OK)
        result = run(renewal, (const char *)text.data, &parameter, 1);
    buffer_done(&text);
    return result;
}

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    size_t end_size = strlen(end);

    return size > end_size && strcmp(name + size - end_size, end) == 0;
}

/* What of a table's columns may hold an id: one that refers to a table, or one that holds ids of
 * several, which by the model's convention is called so (stock_move.source_id, count_line's
 * serial_unit_key). ret_table_no 0: of any table. */
static bool holds_ids(const struct catalog_table *table, uint8_t column_no, int64_t *ret_table_no)
{
    const struct catalog_column *column = &table->columns[column_no];

    *ret_table_no = column->refers_to;
    return column->refers_to != 0 ||
           (column->type == VALUE_INTEGER &&
            (ends_with(column->name, "_id") || ends_with(column->name, "_key")));
}

static enum result rewrite_table(struct renewal *renewal, const struct catalog_table *table)
{
    enum result result = rewrite(renewal, OWN_IDS, table, "id", table->number);

    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++) {
        int64_t table_no = 0;

        if (!catalog_has_column(table, n))
            continue; /* it was dropped */
        if (n == table->home_column_no)
            result = rewrite(renewal, HOMES, table, table->columns[n].name, 0);
        else if (holds_ids(table, n, &table_no))
            result = rewrite(renewal, REFERENCES, table, table->columns[n].name, table_no);
    }
    return result;
}

static enum result rewrite_tables(struct renewal *renewal)
{
    const struct catalog *catalog = &renewal->replica->catalog;
    int64_t has_rows = 0;
    enum result result =
        sql_query_integer(renewal->replica->database, "SELECT EXISTS (SELECT 1 FROM fs_renewed)",
                          NULL, 0, 0, &has_rows, renewal->problem);

    if (result != RESULT_OK || has_rows == 0)
        return result;
    result = run(renewal, "INSERT INTO fs_flag(k) VALUES (1)", NULL, 0);
    for (size_t i = 1; i < catalog->table_count && result == RESULT_OK; i++)
        if (table_is_synced(&catalog->tables[i]))
            result = rewrite_table(renewal, &catalog->tables[i]);
    if (result == RESULT_OK)
        result = run(renewal, "DELETE FROM fs_flag", NULL, 0);
    return result;
}

/* ---- what waits --------------------------------------------------------------------------------
 */

/* The server's words about a row under its old id are about another row now. */
static enum result rewrite_books(struct renewal *renewal)
{
    static const char *const BOOKS[] = {
        ("UPDATE fs_seal_change SET row_id = (SELECT new_id FROM fs_renewed AS r WHERE"
         " r.table_no = fs_seal_change.table_no AND r.old_id = row_id) WHERE is_pending = 1"
         " AND (table_no, row_id) IN (SELECT table_no, old_id FROM fs_renewed)"),
        ("UPDATE fs_unsendable SET row_id = (SELECT new_id FROM fs_renewed AS r WHERE"
         " r.table_no = fs_unsendable.table_no AND r.old_id = row_id)"
         " WHERE (table_no, row_id) IN (SELECT table_no, old_id FROM fs_renewed)"),
        ("DELETE FROM fs_shadow WHERE (table_no, row_id) IN"
         " (SELECT table_no, old_id FROM fs_renewed)"),
        "DELETE FROM fs_hold WHERE (table_no, row_id) IN (SELECT table_no, old_id FROM fs_renewed)",
    };
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof BOOKS / sizeof BOOKS[0] && result == RESULT_OK; i++)
        result = run(renewal, BOOKS[i], NULL, 0);
    return result;
}

static enum result new_id_of(struct renewal *renewal, int64_t table_no, int64_t id, int64_t *ret_id)
{
    const struct value values[] = {value_integer(table_no), value_integer(id)};

    return sql_query_integer(renewal->replica->database,
                             "SELECT new_id FROM fs_renewed WHERE old_id = ?2"
                             " AND (?1 = 0 OR table_no = ?1) LIMIT 1",
                             values, 2, id, ret_id, renewal->problem);
}

/* References in the values that a change was sealed with. */
static enum result rewrite_values(struct renewal *renewal, const struct catalog_table *table,
                                  uint64_t mask, struct value *values, bool *ret_is_changed)
{
    enum result result = RESULT_OK;

    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++) {
        int64_t table_no = 0;
        int64_t id = 0;

        if ((mask >> n & 1) == 0 || values[n].type != VALUE_INTEGER)
            continue;
        if (n == table->home_column_no) {
            result = new_id_of(renewal, 0, values[n].integer & ID_MAX, &id);
            id |= values[n].integer & ~ID_MAX;
        } else if (holds_ids(table, n, &table_no)) {
            result = new_id_of(renewal, table_no, values[n].integer, &id);
        } else {
            continue;
        }
        *ret_is_changed = *ret_is_changed || id != values[n].integer;
        values[n] = value_integer(id);
    }
    return result;
}

/* The first waiting change after *lcn. ret_found false: that was the last. */
static enum result rewrite_next(struct renewal *renewal, struct arena *arena, struct buffer *packed,
                                int64_t *lcn, bool *ret_found)
{
    struct sql_database *database = renewal->replica->database;
    const struct value after = value_integer(*lcn);
    const struct catalog *catalog = NULL; /* in which the change was sealed */
    const struct catalog_table *table = NULL;
    struct sql_statement *statement = NULL;
    struct value *values = NULL;
    struct value data = {0};
    uint64_t mask = 0;
    bool is_changed = false;
    enum result result = sql_prepare(database,
                                     "SELECT c.lcn, c.table_no, c.mask, c.data, s.schema_version"
                                     " FROM fs_seal_change AS c JOIN fs_seal AS s USING (seal_no)"
                                     " WHERE c.is_pending = 1 AND c.lcn > ?1"
                                     " ORDER BY c.lcn LIMIT 1",
                                     &statement, renewal->problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, &after, 1, renewal->problem);
    if (result == RESULT_OK)
        result = sql_step(statement, ret_found, renewal->problem);
    if (result == RESULT_OK && *ret_found) {
        *lcn = sql_column_integer(statement, 0);
        result = replica_catalog_of(renewal->replica, sql_column_integer(statement, 4), &catalog,
                                    renewal->problem);
    }
    if (result == RESULT_OK && *ret_found) {
        table = catalog_table_by_no(catalog, sql_column_integer(statement, 1));
        mask = (uint64_t)sql_column_integer(statement, 2);
        result = sql_column_copy(statement, 3, arena, &data, renewal->problem);
    }
    sql_release(statement);
    if (result != RESULT_OK || !*ret_found || table == NULL)
        return result;
    result = unpack_values(table, mask, data.bytes, arena, &values, renewal->problem);
    if (result == RESULT_OK)
        result = rewrite_values(renewal, table, mask, values, &is_changed);
    if (result != RESULT_OK || !is_changed)
        return result;
    buffer_reset(packed);
    result = pack_values(table, mask, values, packed, renewal->problem);
    if (result == RESULT_OK) {
        const struct value change[] = {value_integer(*lcn), value_blob(buffer_bytes(packed))};

        result = run(renewal, "UPDATE fs_seal_change SET data = ?2 WHERE lcn = ?1", change, 2);
    }
    return result;
}

static enum result rewrite_changes(struct renewal *renewal)
{
    struct arena arena;
    struct buffer packed;
    int64_t lcn = 0;
    bool is_found = true;
    enum result result = RESULT_OK;

    arena_init(&arena, REPLICA_ARENA_SIZE_MAX);
    buffer_init(&packed, RENEW_DATA_SIZE_MAX);
    while (is_found && result == RESULT_OK) {
        arena_reset(&arena);
        result = rewrite_next(renewal, &arena, &packed, &lcn, &is_found);
    }
    buffer_done(&packed);
    arena_done(&arena);
    return result;
}

/* ---- seals -------------------------------------------------------------------------------------
 */

/* Answered ones were another replica's: they count down from 0 and are never sent again. */
static enum result put_history_aside(struct renewal *renewal)
{
    int64_t newest = 0;
    enum result result = state_number(renewal->replica, "seal_no", 0, &newest, renewal->problem);
    const struct value shift = value_integer(newest);

    if (result == RESULT_OK)
        result =
            run(renewal, "UPDATE fs_seal_change SET seal_no = seal_no - ?1 WHERE is_pending = 0",
                &shift, 1);
    if (result == RESULT_OK)
        result =
            run(renewal, "UPDATE fs_seal SET seal_no = seal_no - ?1 WHERE verdict_at IS NOT NULL",
                &shift, 1);
    return result;
}

static enum result read_seal_head(struct renewal *renewal, int64_t seal_no,
                                  struct message_push *head)
{
    const struct value parameter = value_integer(seal_no);
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result =
        sql_prepare(renewal->replica->database,
                    "SELECT lcn_first, lcn_last, schema_version, sealed_at FROM fs_seal"
                    " WHERE seal_no = ?1",
                    &statement, renewal->problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, &parameter, 1, renewal->problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, renewal->problem);
    if (result == RESULT_OK) {
        invariant(has_row); /* the caller has just found its number */
        head->lcn_first = sql_column_integer(statement, 0);
        head->lcn_last = sql_column_integer(statement, 1);
        head->schema_version = sql_column_integer(statement, 2);
        head->sealed_at.us = sql_column_integer(statement, 3);
    }
    sql_release(statement);
    return result;
}

/* The open seal `old_no` becomes head->seal_no, behind the one with `digest`. */
static enum result write_seal_again(struct renewal *renewal, int64_t old_no,
                                    struct message_push *head, uint8_t digest[SEAL_DIGEST_SIZE])
{
    const struct value numbers[] = {value_integer(old_no), value_integer(head->seal_no)};
    enum result result =
        arena_copy(&renewal->replica->step_arena, bytes_of(digest, SEAL_DIGEST_SIZE),
                   &head->previous_digest, renewal->problem);

    if (result == RESULT_OK)
        result = read_seal_head(renewal, old_no, head);

    if (result == RESULT_OK)
        result =
            run(renewal, "UPDATE fs_seal_change SET seal_no = ?2 WHERE seal_no = ?1", numbers, 2);
    if (result == RESULT_OK)
        result = seal_compute_digest(renewal->replica, head, digest, renewal->problem);
    if (result == RESULT_OK) {
        const struct value values[] = {numbers[0], numbers[1], value_integer(head->incarnation),
                                       value_blob(head->previous_digest),
                                       value_blob(bytes_of(digest, SEAL_DIGEST_SIZE))};

        result = run(renewal,
                     "UPDATE fs_seal SET seal_no = ?2, incarnation = ?3, previous_digest = ?4,"
                     " digest = ?5 WHERE seal_no = ?1",
                     values, 5);
    }
    return result;
}

static enum result renumber_seals(struct renewal *renewal)
{
    struct replica *replica = renewal->replica;
    struct message_push head = {.incarnation = renewal->enrolled->incarnation};
    uint8_t digest[SEAL_DIGEST_SIZE] = {0};
    int64_t old_no = 0;
    enum result result = put_history_aside(renewal);

    while (result == RESULT_OK) {
        result = replica_next_seal(replica, old_no, &old_no, renewal->problem);
        if (result != RESULT_OK || old_no == 0)
            break;
        head.seal_no++;
        result = write_seal_again(renewal, old_no, &head, digest);
    }
    if (result == RESULT_OK)
        result = state_set_number(replica, "seal_no", head.seal_no, renewal->problem);
    if (result == RESULT_OK)
        result = state_set_data(replica, "seal_digest", bytes_of(digest, sizeof digest),
                                renewal->problem);
    return result;
}

/* ---- who it is now -----------------------------------------------------------------------------
 */

/* The epoch stays what this device has seen: WELCOME will tell it whether the server was restored.
 */
static enum result write_identity(struct renewal *renewal)
{
    const struct message_enrolled *enrolled = renewal->enrolled;
    const struct {
        const char *name;
        int64_t number;
    } numbers[] = {
        {"replica_no", enrolled->replica_no},
        {"device_id", enrolled->device_id},
        {"incarnation", enrolled->incarnation},
        {"van_id", enrolled->van_id},
        {"lcn_high", 0},
        {"backup_lcn", 0},
    };
    int64_t first_no = 0;
    enum result result =
        state_number(renewal->replica, "first_no", renewal->former_no, &first_no, renewal->problem);

    if (result == RESULT_OK)
        result = state_set_number(renewal->replica, "first_no", first_no, renewal->problem);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && result == RESULT_OK; i++)
        result = state_set_number(renewal->replica, numbers[i].name, numbers[i].number,
                                  renewal->problem);
    if (result == RESULT_OK)
        result = state_set_data(renewal->replica, "series", enrolled->series, renewal->problem);
    if (result == RESULT_OK)
        result = state_set_data(renewal->replica, "resume_token", enrolled->resume_token,
                                renewal->problem);
    return result;
}

static enum result check_person(struct renewal *renewal)
{
    int64_t user_id = 0;
    enum result result = state_number(renewal->replica, "user_id", 0, &user_id, renewal->problem);

    if (result == RESULT_OK && user_id != renewal->enrolled->user_id)
        result = problem_set(renewal->problem, RESULT_REFUSED,
                             "the code is for %.*s, but another person's work is on this device",
                             (int)renewal->enrolled->user_login.size,
                             (const char *)renewal->enrolled->user_login.data);
    return result;
}

static enum result change_identity(struct renewal *renewal, struct wall_time now)
{
    struct bytes epoch = {0};
    enum result result = check_person(renewal);

    if (result == RESULT_OK)
        result = seal_rest(renewal, now);
    if (result == RESULT_OK)
        result = state_data(renewal->replica, "epoch", &renewal->replica->step_arena, &epoch,
                            renewal->problem);
    if (result == RESULT_OK && !bytes_equal(epoch, renewal->enrolled->epoch))
        result = reopen_answered(renewal);
    if (result == RESULT_OK)
        result = collect_rows(renewal);
    if (result == RESULT_OK)
        result = rewrite_tables(renewal);
    if (result == RESULT_OK)
        result = rewrite_books(renewal);
    if (result == RESULT_OK)
        result = rewrite_changes(renewal);
    if (result == RESULT_OK)
        result = renumber_seals(renewal);
    if (result == RESULT_OK)
        result = write_identity(renewal);
    /* a disk that was put back lacks rows that the server took from it and doesn't send again */
    if (result == RESULT_OK)
        result = replica_read_anew(renewal->replica, renewal->problem);
    return result;
}

enum result replica_renew(struct replica *replica, const struct message_enrolled *enrolled,
                          struct wall_time now, struct problem *problem)
{
    struct renewal renewal = {.replica = replica, .enrolled = enrolled, .problem = problem};
    struct sql_transaction transaction = {0};
    enum result result = replica_durable_begin(replica, &transaction, problem);

    if (result == RESULT_OK)
        result = state_number(replica, "replica_no", 0, &renewal.former_no, problem);
    if (result == RESULT_OK && renewal.former_no != enrolled->replica_no)
        result = change_identity(&renewal, now);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    replica_durable_end(replica, &transaction);
    if (result != RESULT_OK) {
        problem_add(problem, "taking another replica number");
        return result;
    }
    stage_reset(&replica->stage);
    replica->stage.is_spilled = false;
    replica->part_seal_no = 0; /* the cache was of a seal of that name */
    trace_line(replica->trace, "replica: %" PRId64 " is %" PRId64 " now", renewal.former_no,
               enrolled->replica_no);
    replica_written(replica, 0);
    return RESULT_OK;
}

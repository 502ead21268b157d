/* SPDX-License-Identifier: Apache-2.0 */
/* For people: how much waits, and why a row is (not) here. Other programs read the views fs_sync,
 * fs_status and fs_fate. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>

static enum result count_blobs(struct replica *replica, struct replica_counts *counts,
                               struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result = RESULT_OK;

    if (catalog_table_by_name(&replica->catalog, "attachment") == NULL)
        return RESULT_OK;
    result =
        sql_prepare(replica->database,
                    "SELECT count(*), coalesce(sum(size_n), 0) FROM attachment WHERE id BETWEEN"
                    " (SELECT number << 33 FROM fs_state WHERE name = 'replica_no') AND"
                    " (SELECT (number << 33) + 8589934591 FROM fs_state WHERE name = 'replica_no')"
                    " AND lower(content_hash) NOT IN"
                    " (SELECT lower(hex(hash)) FROM fs_blob WHERE state IN (1, 2, 4, 5))",
                    &statement, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, problem);
    if (result == RESULT_OK && has_row) {
        counts->blobs_to_send = sql_column_integer(statement, 0);
        counts->blob_bytes_to_send = sql_column_integer(statement, 1);
    }
    sql_release(statement);
    return result;
}

enum result replica_counts(struct replica *replica, struct replica_counts *ret_counts,
                           struct problem *problem)
{
    struct replica_counts counts = {0};
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result = sql_prepare(replica->database,
                                     "SELECT unsealed, unacknowledged, parked, refused,"
                                     " quarantined, published_seq, published_at FROM fs_sync",
                                     &statement, problem);

    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, problem);
    if (result == RESULT_OK && has_row) {
        counts.unsealed = sql_column_integer(statement, 0);
        counts.unacknowledged = sql_column_integer(statement, 1);
        counts.parked = sql_column_integer(statement, 2);
        counts.refused = sql_column_integer(statement, 3);
        counts.quarantined = sql_column_integer(statement, 4);
        counts.published_seq = sql_column_integer(statement, 5);
        counts.published_at.us = sql_column_integer(statement, 6);
    }
    sql_release(statement);
    if (result == RESULT_OK)
        result = count_blobs(replica, &counts, problem);
    if (result == RESULT_OK)
        *ret_counts = counts;
    return result;
}

/* ---- explain --------------------------------------------------------------------------------- */

enum { EXPLANATION_SIZE_MAX = 16 * 1024, LINE_SIZE_MAX = 700 };

struct explanation {
    struct replica *replica;
    const struct catalog_table *table;
    int64_t id;
    struct buffer text;
    enum result result;
    struct problem *problem;
};

static void say(struct explanation *explanation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct explanation *explanation, const char *format, ...)
{
    char line[LINE_SIZE_MAX];
    va_list arguments;
    int size = 0;

    va_start(arguments, format);
    size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (explanation->result != RESULT_OK || size < 0)
        return;
    if ((size_t)size >= sizeof line)
        size = (int)sizeof line - 1;
    explanation->result =
        buffer_append(&explanation->text, line, (size_t)size, explanation->problem);
}

static void explain_presence(struct explanation *explanation)
{
    struct replica *replica = explanation->replica;
    struct value *values = NULL;
    struct value value = {0};
    char name[BUCKET_TEXT_SIZE];
    int64_t bucket = 0;
    int64_t state = 0;

    explanation->result =
        replica_read_row(replica, explanation->table, explanation->id, &replica->step_arena,
                         &values, &bucket, explanation->problem);
    if (explanation->result != RESULT_OK)
        return;
    if (values == NULL) {
        say(explanation, "%s %" PRId64 " is not on this device.\n", explanation->table->name,
            explanation->id);
        return;
    }
    if (bucket <= 0) {
        say(explanation, "%s %" PRId64 " is here; its own columns put it into no bucket.\n",
            explanation->table->name, explanation->id);
        return;
    }
    bucket_format(bucket, name);
    value = value_integer(bucket);
    explanation->result =
        sql_query_integer(replica->database, "SELECT state FROM fs_bucket WHERE bucket = ?1",
                          &value, 1, 0, &state, explanation->problem);
    say(explanation, "%s %" PRId64 " is here, in %s, which %s.\n", explanation->table->name,
        explanation->id, name,
        state == BUCKET_SUBSCRIBED ? "this device receives"
        : state == BUCKET_LEAVING  ? "this device no longer receives: the row goes when the server"
                                     " has answered the work that needs it"
                                   : "this device doesn't receive: the row was recorded here");
}

/* Each line of the query is a line of the answer. */
static void explain_by_query(struct explanation *explanation, const char *sql)
{
    const struct value key[] = {value_integer(explanation->table->number),
                                value_integer(explanation->id)};
    struct sql_statement *statement = NULL;
    bool has_row = true;

    if (explanation->result != RESULT_OK)
        return;
    explanation->result =
        sql_prepare(explanation->replica->database, sql, &statement, explanation->problem);
    if (explanation->result == RESULT_OK)
        explanation->result = sql_bind_all(statement, key, 2, explanation->problem);
    while (explanation->result == RESULT_OK) {
        struct value line;

        explanation->result = sql_step(statement, &has_row, explanation->problem);
        if (explanation->result != RESULT_OK || !has_row)
            break;
        line = sql_column(statement, 0);
        if (line.type == VALUE_TEXT)
            say(explanation, "%.*s\n", (int)line.bytes.size, (const char *)line.bytes.data);
    }
    sql_release(statement);
}

static const char *const EXPLANATIONS[] = {
    "SELECT 'An edit of ' || datetime(edited_at / 1000000, 'unixepoch') || ' UTC waits to be sent.'"
    " FROM fs_outbox WHERE tbl = ?1 AND row_id = ?2 AND lcn >"
    " coalesce((SELECT number FROM fs_state WHERE name = 'sealed_lcn'), 0)",
    "SELECT 'An edit can''t be sent: ' || reason ||"
    " CASE WHEN reason LIKE 'the server is older%' THEN '.' ELSE '. Correct the row.' END"
    " FROM fs_unsendable"
    " WHERE table_no = ?1 AND row_id = ?2",
    "SELECT CASE op WHEN 1 THEN 'Inserted' WHEN 2 THEN 'Updated' ELSE 'Deleted' END || ' here on '"
    " || datetime(recorded_at / 1000000, 'unixepoch') || ' UTC: '"
    " || CASE is_pending WHEN 1 THEN 'sent or to be sent, not answered yet' ELSE verdict END"
    " || coalesce(', ' || reason, '') || coalesce(', it is row ' || merged_into_id || ' now', '')"
    " || '.' FROM fs_seal_change WHERE table_no = ?1 AND row_id = ?2 ORDER BY lcn",
    "SELECT CASE gone_kind WHEN 0 THEN 'The server has other values for columns edited here.'"
    " WHEN 1 THEN 'The server has deleted it; it stays until the edits made here are answered.'"
    " ELSE 'It has left this device''s scope; it stays until the edits made here are answered.' END"
    " FROM fs_shadow WHERE table_no = ?1 AND row_id = ?2",
    ("SELECT 'The server''s row can''t be stored here: ' || reason || '.' FROM fs_quarantine"
     " WHERE table_no = ?1 AND row_id = ?2"),
};

static void explain_absence(struct explanation *explanation)
{
    int64_t published_seq = 0;
    int64_t bucket_count = 0;

    if (explanation->result == RESULT_OK)
        explanation->result = state_number(explanation->replica, "published_seq", 0, &published_seq,
                                           explanation->problem);
    if (explanation->result == RESULT_OK)
        explanation->result = sql_query_integer(explanation->replica->database,
                                                "SELECT count(*) FROM fs_bucket WHERE state = 1",
                                                NULL, 0, 0, &bucket_count, explanation->problem);
    if (published_seq == 0)
        say(explanation, "The first snapshot isn't complete yet.\n");
    else
        say(explanation,
            "This device shows the master as of change %" PRId64 " and receives %" PRId64
            " buckets.\n",
            published_seq, bucket_count);
}

enum result replica_explain(struct replica *replica, const char *table_name, int64_t id,
                            struct arena *arena, const char **ret_text, struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(&replica->catalog, table_name);
    struct explanation explanation = {
        .replica = replica, .table = table, .id = id, .problem = problem};
    struct bytes copy = {0};

    if (table == NULL || !table_is_synced(table))
        return problem_set(problem, RESULT_REFUSED, "there is no synchronised table %.80s",
                           table_name);
    arena_reset(&replica->step_arena);
    buffer_init(&explanation.text, EXPLANATION_SIZE_MAX);
    explain_presence(&explanation);
    for (size_t i = 0; i < sizeof EXPLANATIONS / sizeof EXPLANATIONS[0]; i++)
        explain_by_query(&explanation, EXPLANATIONS[i]);
    explain_absence(&explanation);
    if (explanation.result == RESULT_OK)
        explanation.result = arena_copy(arena, buffer_bytes(&explanation.text), &copy, problem);
    buffer_done(&explanation.text);
    if (explanation.result == RESULT_OK)
        *ret_text = (const char *)copy.data;
    return explanation.result;
}

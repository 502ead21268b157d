/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/triggers_made.h"

#include "base/invariant.h"

#include <sodium.h>
#include <string.h>

enum { DIGEST_SIZE = crypto_generichash_BYTES };

/* Of the sources that make triggers, by CMakeLists.txt. */
static const char MADE_BY[] = TRIGGERS_MADE_BY;

static void add_bytes(crypto_generichash_state *state, const void *data, size_t size)
{
    (void)crypto_generichash_update(state, data, size);
}

static void add_number(crypto_generichash_state *state, uint64_t number)
{
    add_bytes(state, &number, sizeof number); /* read again on this machine only */
}

/* With its length, so that one text can't pass for two. */
static void add_text(crypto_generichash_state *state, struct bytes text)
{
    add_number(state, text.size);
    add_bytes(state, text.data, text.size);
}

static void add_name(crypto_generichash_state *state, const char *name)
{
    add_text(state, bytes_of(name, strlen(name)));
}

/* All that trigger_text.c reads of a table, but for what its SQL says. */
static void add_table(crypto_generichash_state *state, const struct catalog_table *table)
{
    const uint64_t numbers[] = {
        table->number,       table->column_count,     table->append_only,
        table->is_local,     table->delete_rule,      table->home_column_no,
        table->columns_mask, table->server_only_mask, table->bucket_term_count};

    add_name(state, table->name);
    add_bytes(state, numbers, sizeof numbers);
    for (uint8_t i = 0; i < table->bucket_term_count; i++) {
        const struct bucket_term *term = &table->bucket_terms[i];

        add_number(state, term->source);
        add_number(state, term->source == BUCKET_CONSTANT || term->source == BUCKET_COLUMN
                              ? (uint64_t)bucket_of(term->kind, 0)
                              : 0);
        add_number(state, term->column_no);
    }
    for (uint8_t n = 1; n < table->column_count; n++) {
        if (!catalog_has_column(table, n))
            continue;
        add_name(state, table->columns[n].name);
        add_number(state, table->columns[n].refers_to);
    }
}

static enum result add_schema(crypto_generichash_state *state, struct sql_database *database,
                              struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = true;
    enum result result = sql_prepare(database,
                                     "SELECT type, name, tbl_name, coalesce(sql, '')"
                                     " FROM sqlite_schema",
                                     &statement, problem);

    while (result == RESULT_OK) {
        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        for (int i = 0; i < sql_column_count(statement); i++)
            add_text(state, sql_column(statement, i).bytes);
    }
    sql_release(statement);
    return result;
}

static enum result digest_all(struct sql_database *database, const struct catalog *catalog,
                              enum schema_side side, uint8_t ret_digest[DIGEST_SIZE],
                              struct problem *problem)
{
    crypto_generichash_state state;
    enum result result = RESULT_OK;

    invariant(crypto_generichash_init(&state, NULL, 0, DIGEST_SIZE) == 0);
    add_name(&state, MADE_BY);
    add_number(&state, side);
    for (size_t n = 1; n < catalog->table_count; n++)
        if (catalog->tables[n].name != NULL)
            add_table(&state, &catalog->tables[n]);
    result = add_schema(&state, database, problem);
    (void)crypto_generichash_final(&state, ret_digest, DIGEST_SIZE);
    return result;
}

enum result triggers_made_look(struct sql_database *database, const struct catalog *catalog,
                               enum schema_side side, bool *ret_is_same, struct problem *problem)
{
    static const char LOOK[] = "SELECT EXISTS (SELECT 1 FROM fs_state WHERE name = 'triggers_made'"
                               " AND data = ?1)";
    uint8_t digest[DIGEST_SIZE];
    int64_t is_same = 0;
    enum result result = digest_all(database, catalog, side, digest, problem);

    if (result == RESULT_OK) {
        const struct value values[] = {value_blob(bytes_of(digest, sizeof digest))};

        result = sql_query_integer(database, LOOK, values, 1, 0, &is_same, problem);
    }
    *ret_is_same = result == RESULT_OK && is_same != 0;
    return result;
}

enum result triggers_made_note(struct sql_database *database, const struct catalog *catalog,
                               enum schema_side side, struct problem *problem)
{
    uint8_t digest[DIGEST_SIZE];
    enum result result = digest_all(database, catalog, side, digest, problem);

    if (result == RESULT_OK) {
        const struct value values[] = {value_blob(bytes_of(digest, sizeof digest))};

        result = sql_run(database,
                         "INSERT INTO fs_state(name, data) VALUES ('triggers_made', ?1)"
                         " ON CONFLICT(name) DO UPDATE SET data = excluded.data",
                         values, 1, problem);
    }
    return result;
}

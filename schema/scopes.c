/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/scopes.h"

#include <sqlite3.h>
#include <string.h>
#include <strings.h>

#define EVERYTHING UINT64_MAX

/* What the server asks of each user and device before any subscription is looked at. */
static const char *const OWN_QUESTIONS[] = {
    "SELECT user_id, role FROM role_grant",
    "SELECT is_active FROM app_user",
    "SELECT user_id, revoked_at FROM device",
};

/* Columns that two tables share by these words are read without the authorizer hearing of it. */
static const char *const UNHEARD[] = {"USING", "NATURAL"};

struct reading {
    struct catalog_table *tables;
    size_t table_count;
};

static struct catalog_table *table_of(const struct reading *reading, const char *name)
{
    for (size_t i = 0; i < reading->table_count; i++)
        if (reading->tables[i].name != NULL && strcasecmp(reading->tables[i].name, name) == 0)
            return &reading->tables[i];
    return NULL;
}

static uint64_t mask_of(const struct catalog_table *table, const char *column)
{
    if (column == NULL || column[0] == '\0' || strcasecmp(column, "ROWID") == 0)
        return 1; /* that there is such a row */
    for (uint8_t i = 0; i < table->column_count; i++)
        if (table->columns[i].name != NULL && strcasecmp(table->columns[i].name, column) == 0)
            return UINT64_C(1) << i | 1;
    return EVERYTHING; /* a hidden one */
}

static int note_read(void *context, int action, const char *table_name, const char *column,
                     const char *schema, const char *cause)
{
    const struct reading *reading = context;
    struct catalog_table *table = NULL;

    (void)schema;
    (void)cause;
    if (action == SQLITE_READ && table_name != NULL)
        table = table_of(reading, table_name);
    if (table != NULL)
        table->scope_mask |= mask_of(table, column);
    return SQLITE_OK;
}

static bool contains(const char *text, const char *word)
{
    size_t size = strlen(word);

    for (; *text != '\0'; text++)
        if (strncasecmp(text, word, size) == 0)
            return true;
    return false;
}

static void note_everything(struct reading *reading)
{
    for (size_t i = 0; i < reading->table_count; i++)
        reading->tables[i].scope_mask = EVERYTHING;
}

/* The authorizer hears all columns that are named, before any is optimised away. */
static void listen(struct reading *reading, sqlite3 *handle, const char *text)
{
    sqlite3_stmt *statement = NULL;
    bool is_heard = text != NULL;

    for (size_t i = 0; i < sizeof UNHEARD / sizeof *UNHEARD && is_heard; i++)
        is_heard = !contains(text, UNHEARD[i]);
    if (!is_heard || sqlite3_prepare_v2(handle, text, -1, &statement, NULL) != SQLITE_OK)
        note_everything(reading);
    (void)sqlite3_finalize(statement);
}

enum result scopes_find(struct sql_database *database, struct arena *arena, struct catalog *catalog,
                        struct problem *problem)
{
    sqlite3 *handle = sql_handle(database);
    struct reading reading = {.table_count = catalog->table_count};

    reading.tables = arena_array(arena, catalog->table_count, sizeof *reading.tables);
    if (reading.tables == NULL)
        return arena_full(arena, problem);
    memcpy(reading.tables, catalog->tables, catalog->table_count * sizeof *reading.tables);
    for (size_t i = 0; i < reading.table_count; i++)
        reading.tables[i].scope_mask = 0;
    (void)sqlite3_set_authorizer(handle, note_read, &reading);
    for (size_t i = 0; i < sizeof OWN_QUESTIONS / sizeof *OWN_QUESTIONS; i++)
        listen(&reading, handle, OWN_QUESTIONS[i]);
    for (size_t i = 0; i < catalog->subscription_count; i++)
        listen(&reading, handle, catalog->subscriptions[i].sql);
    (void)sqlite3_set_authorizer(handle, NULL, NULL);
    catalog->tables = reading.tables;
    return RESULT_OK;
}

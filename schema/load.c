/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/load.h"

#include "schema/migrate.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What is being built; the arrays are the same memory as in `catalog`, but writable. */
struct loader {
    struct sql_database *database;
    struct arena *arena;
    struct catalog catalog;
    struct catalog_table *tables;
    struct catalog_dropped *dropped;
    bool has_history; /* the database is as new as 0032_common_history */
};

struct word {
    const char *name;
    int code;
};

static const struct word TABLE_MERGES[] = {
    {"append_only", MERGE_APPEND_ONLY},
    {"last_writer", MERGE_LAST_WRITER},
    {"server_only", MERGE_SERVER_ONLY},
    {NULL, 0},
};

static const struct word COLUMN_MERGES[] = {
    {"append_only", MERGE_APPEND_ONLY},
    {"last_writer", MERGE_LAST_WRITER},
    {"server_only", MERGE_SERVER_ONLY},
    {"write_once", MERGE_WRITE_ONCE},
    {NULL, 0},
};

static const struct word DELETE_RULES[] = {
    {"never", DELETE_NEVER},
    {"delete_wins", DELETE_WINS},
    {"edit_revives", EDIT_REVIVES},
    {"refuse_if_children", REFUSE_IF_CHILDREN},
    {NULL, 0},
};

static const struct word TYPES[] = {
    {"integer", VALUE_INTEGER},
    {"real", VALUE_REAL},
    {"text", VALUE_TEXT},
    {"blob", VALUE_BLOB},
    {NULL, 0},
};

static const struct word OPS[] = {
    {"insert", CHANGE_INSERT},
    {"update", CHANGE_UPDATE},
    {"delete", CHANGE_DELETE},
    {NULL, 0},
};

/* The code of a word; otherwise says which words there are. `where` begins the sentence. */
static enum result word_code(const struct word *words, const char *text, const char *where,
                             int *ret_code, struct problem *problem)
{
    size_t used = 0;
    char known[160] = "";

    for (const struct word *word = words; word->name != NULL; word++) {
        size_t size = strlen(word->name);

        if (text != NULL && strcmp(text, word->name) == 0) {
            *ret_code = word->code;
            return RESULT_OK;
        }
        if (used + size + 2 < sizeof known) {
            memcpy(known + used, " ", 1);
            memcpy(known + used + 1, word->name, size + 1);
            used += size + 1;
        }
    }
    return problem_set(problem, RESULT_REFUSED, "%s: '%.60s' is none of:%s",
                       where == NULL ? "catalog" : where, text == NULL ? "NULL" : text, known);
}

/* Array with room for what `count_sql` counts; at least one item, so that it is never NULL. */
static enum result make_room(struct loader *loader, const char *count_sql, size_t item_size,
                             void **ret_items, struct problem *problem)
{
    int64_t count = 0;
    enum result result =
        sql_query_integer(loader->database, count_sql, NULL, 0, 0, &count, problem);

    if (result != RESULT_OK)
        return result;
    *ret_items = arena_array(loader->arena, (size_t)count + 1, item_size);
    return *ret_items == NULL ? arena_full(loader->arena, problem) : RESULT_OK;
}

/* ---- tables ---- */

static enum result load_table_row(struct loader *loader, struct sql_statement *statement,
                                  struct problem *problem)
{
    int64_t number = sql_column_integer(statement, 0);
    struct catalog_table *table = NULL;
    const char *name = NULL;
    const char *text = NULL;
    int code = 0;
    enum result result = sql_column_text(statement, 1, loader->arena, &name, problem);

    if (result != RESULT_OK)
        return result;
    if (name == NULL || number < 1 || number > CATALOG_TABLES_MAX)
        return problem_set(problem, RESULT_REFUSED,
                           "fs_table: number %" PRId64 " of %s is not in 1 to %d", number,
                           name == NULL ? "NULL" : name, (int)CATALOG_TABLES_MAX);
    table = &loader->tables[number];
    invariant(table->name == NULL); /* number is the primary key */
    *table = (struct catalog_table){.number = (uint16_t)number, .name = name};
    result = sql_column_text(statement, 2, loader->arena, &text, problem);
    if (result == RESULT_OK)
        result =
            word_code(TABLE_MERGES, text,
                      arena_format(loader->arena, "fs_table: merge of %s", name), &code, problem);
    if (result != RESULT_OK)
        return result;
    table->append_only = code == MERGE_APPEND_ONLY;
    result = sql_column_text(statement, 3, loader->arena, &text, problem);
    if (result == RESULT_OK)
        result = word_code(DELETE_RULES, text,
                           arena_format(loader->arena, "fs_table: delete_rule of %s", name), &code,
                           problem);
    table->delete_rule = (enum delete_rule)code;
    table->is_local = sql_column_integer(statement, 4) != 0;
    table->since = (uint16_t)sql_column_integer(statement, 5);
    return result;
}

static enum result load_tables(struct loader *loader, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    int64_t highest = 0;
    bool row = true;
    enum result result = sql_query_integer(loader->database, "SELECT max(number) FROM fs_table",
                                           NULL, 0, 0, &highest, problem);

    if (result != RESULT_OK)
        return result;
    if (highest < 0 || highest > CATALOG_TABLES_MAX)
        return problem_set(problem, RESULT_REFUSED, "fs_table: numbers go up to %d",
                           (int)CATALOG_TABLES_MAX);
    loader->tables = arena_array(loader->arena, (size_t)highest + 2, sizeof *loader->tables);
    if (loader->tables == NULL)
        return arena_full(loader->arena, problem);
    loader->catalog.tables = loader->tables;
    loader->catalog.table_count = (size_t)highest + 1;
    result = sql_prepare(
        loader->database,
        loader->has_history
            ? "SELECT number, name, merge, delete_rule, is_local, coalesce(since, 0) FROM fs_table"
            : "SELECT number, name, merge, delete_rule, is_local, 0 FROM fs_table",
        &statement, problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = load_table_row(loader, statement, problem);
    }
    sql_release(statement);
    return result;
}

/* ---- columns ---- */

static enum result load_column_row(struct loader *loader, const struct catalog_table *table,
                                   int table_merge, struct sql_statement *statement,
                                   struct catalog_column *column, struct problem *problem)
{
    const char *type = NULL;
    const char *merge = NULL;
    const char *parent = NULL;
    const char *where = NULL;
    const struct catalog_table *parent_table = NULL;
    int code = 0;
    enum result result = sql_column_text(statement, 1, loader->arena, &column->name, problem);

    if (result == RESULT_OK)
        result = sql_column_text(statement, 2, loader->arena, &type, problem);
    if (result == RESULT_OK)
        result = sql_column_text(statement, 4, loader->arena, &merge, problem);
    if (result == RESULT_OK)
        result = sql_column_text(statement, 6, loader->arena, &parent, problem);
    if (result != RESULT_OK)
        return result;
    where = arena_format(loader->arena, "fs_column: %s.%s", table->name,
                         column->name == NULL ? "NULL" : column->name);
    if (where == NULL)
        return arena_full(loader->arena, problem);
    if (column->name == NULL)
        return problem_set(problem, RESULT_REFUSED, "fs_column: a column of %s has no name",
                           table->name);
    result = word_code(TYPES, type, where, &code, problem);
    column->type = (enum value_type)code;
    code = table_merge;
    if (result == RESULT_OK && merge != NULL)
        result = word_code(COLUMN_MERGES, merge, where, &code, problem);
    column->merge = strcmp(column->name, "home") == 0 ? MERGE_SERVER_ONLY : (enum merge_rule)code;
    column->nullable = sql_column_integer(statement, 3) != 0;
    column->since = (uint16_t)sql_column_integer(statement, 7);
    if (sql_column_integer(statement, 5) < 0 || sql_column_integer(statement, 5) > UINT8_MAX)
        return problem_set(problem, RESULT_REFUSED, "%s: group_no is not in 0 to 255", where);
    column->group_no = (uint8_t)sql_column_integer(statement, 5);
    if (result == RESULT_OK && parent != NULL) {
        parent_table = catalog_table_by_name(&loader->catalog, parent);
        if (parent_table == NULL)
            return problem_set(problem, RESULT_REFUSED, "%s refers to %s, which is not in fs_table",
                               where, parent);
        column->refers_to = parent_table->number;
    }
    return result;
}

static void set_masks(struct catalog_table *table)
{
    table->scope_mask = UINT64_MAX; /* until scopes_find knows better */
    for (uint8_t n = 1; n < table->column_count; n++) {
        if (table->columns[n].name[0] == '\0')
            continue;
        table->columns_mask |= UINT64_C(1) << n;
        if (table->columns[n].merge == MERGE_SERVER_ONLY)
            table->server_only_mask |= UINT64_C(1) << n;
        if (strcmp(table->columns[n].name, "home") == 0)
            table->home_column_no = n;
    }
}

/* One row of fs_column to where it belongs: a column of the table, or one that it had. */
static enum result place_column(struct loader *loader, struct catalog_table *table, int table_merge,
                                struct sql_statement *statement, struct catalog_column *columns,
                                struct problem *problem)
{
    int64_t number = sql_column_integer(statement, 0);
    int64_t until = sql_column_integer(statement, 8);
    struct catalog_column column = {0};
    enum result result = RESULT_OK;

    if (number < 1 || number > ROW_COLUMNS_MAX)
        return problem_set(problem, RESULT_REFUSED,
                           "fs_column: %s: column number %" PRId64 " isn't in 1 to %d", table->name,
                           number, (int)ROW_COLUMNS_MAX);
    result = load_column_row(loader, table, table_merge, statement, &column, problem);
    column.number = (uint8_t)number;
    for (uint8_t n = table->column_count; n < number; n++)
        columns[n] = catalog_no_column(n);
    table->column_count = (uint8_t)(number + 1);
    if (until == 0) {
        columns[number] = column;
        return result;
    }
    columns[number] = catalog_no_column(column.number);
    loader->dropped[loader->catalog.dropped_count++] = (struct catalog_dropped){
        .table_no = table->number, .until = (uint16_t)until, .column = column};
    return result;
}

static enum result load_columns(struct loader *loader, struct catalog_table *table, int table_merge,
                                struct problem *problem)
{
    struct sql_statement *statement = NULL;
    struct catalog_column *columns =
        arena_array(loader->arena, ROW_COLUMNS_MAX + 2, sizeof *columns);
    bool row = true;
    enum result result = RESULT_OK;

    if (columns == NULL)
        return arena_full(loader->arena, problem);
    columns[0] =
        (struct catalog_column){.name = "id", .type = VALUE_INTEGER, .merge = MERGE_WRITE_ONCE};
    table->columns = columns;
    table->column_count = 1;
    result = sql_prepare(
        loader->database,
        loader->has_history
            ? "SELECT number, name, type, is_nullable, merge, coalesce(group_no, 0), refers_to,"
              " coalesce(since, 0), coalesce(until, 0) FROM fs_column"
              " WHERE table_number = ?1 AND number <> 0 ORDER BY number"
            : "SELECT number, name, type, is_nullable, merge, coalesce(group_no, 0), refers_to, 0,"
              " 0 FROM fs_column WHERE table_number = ?1 AND number <> 0 ORDER BY number",
        &statement, problem);
    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, table->number, problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = place_column(loader, table, table_merge, statement, columns, problem);
    }
    sql_release(statement);
    if (result == RESULT_OK && table->column_count == 1)
        result =
            problem_set(problem, RESULT_REFUSED, "fs_column has no rows for table %s", table->name);
    if (result == RESULT_OK)
        set_masks(table);
    return result;
}

/* The next name of "a, b"; NULL at the end. */
static enum result next_name(struct arena *arena, const char **rest, const char **ret_name,
                             struct problem *problem)
{
    const char *start = *rest + strspn(*rest, " ,");
    size_t size = strcspn(start, " ,");

    *rest = start + size;
    *ret_name = NULL;
    if (size == 0)
        return RESULT_OK;
    *ret_name = arena_format(arena, "%.*s", (int)size, start);
    return *ret_name == NULL ? arena_full(arena, problem) : RESULT_OK;
}

static enum result load_key(struct loader *loader, struct catalog_table *table, const char *names,
                            struct problem *problem)
{
    const char *rest = names == NULL ? "" : names;
    const char *name = NULL;

    while (true) {
        const struct catalog_column *column = NULL;
        enum result result = next_name(loader->arena, &rest, &name, problem);

        if (result != RESULT_OK || name == NULL)
            return result;
        column = catalog_column_by_name(table, name);
        if (column == NULL || column->number == 0)
            return problem_set(problem, RESULT_REFUSED,
                               "fs_table: natural_key of %s: %s is no column of it", table->name,
                               name);
        if (table->key_column_count == CATALOG_KEY_COLUMNS_MAX)
            return problem_set(problem, RESULT_REFUSED,
                               "fs_table: natural_key of %s has more than %d columns", table->name,
                               (int)CATALOG_KEY_COLUMNS_MAX);
        table->key_columns[table->key_column_count++] = column->number;
    }
}

/* Columns, then what speaks of columns: bucket rule and natural key. */
static enum result load_inside(struct loader *loader, struct catalog_table *table,
                               struct problem *problem)
{
    struct sql_statement *statement = NULL;
    const char *rule = NULL;
    const char *merge = NULL;
    const char *key = NULL;
    int merge_code = 0;
    bool row = false;
    enum result result = sql_prepare(
        loader->database, "SELECT bucket_rule, merge, natural_key FROM fs_table WHERE number = ?1",
        &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, table->number, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &row, problem);
    if (result == RESULT_OK)
        result = sql_column_text(statement, 0, loader->arena, &rule, problem);
    if (result == RESULT_OK)
        result = sql_column_text(statement, 1, loader->arena, &merge, problem);
    if (result == RESULT_OK)
        result = sql_column_text(statement, 2, loader->arena, &key, problem);
    sql_release(statement);
    if (result == RESULT_OK)
        result = word_code(TABLE_MERGES, merge, table->name, &merge_code, problem);
    if (result == RESULT_OK)
        result = load_columns(loader, table, merge_code, problem);
    if (result == RESULT_OK && !table->is_local)
        result = catalog_parse_bucket_rule(table, rule == NULL ? "" : rule, problem);
    if (result == RESULT_OK)
        result = load_key(loader, table, key, problem);
    return result;
}

/* ---- grants, subscriptions, watches ---- */

static enum result role_of(const char *name, const char *where, enum role *ret_role,
                           struct problem *problem)
{
    if (name != NULL && role_from_name(name, ret_role))
        return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED,
                       "%s: role '%.40s': unknown role; roles are technician dispatcher help_desk "
                       "manager warehouse purchasing billing sales admin",
                       where, name == NULL ? "NULL" : name);
}

static enum result grant_columns(struct loader *loader, const struct catalog_table *table,
                                 const char *names, struct catalog_grant *grant,
                                 struct problem *problem)
{
    const char *rest = names == NULL ? "" : names;
    const char *name = NULL;

    if (grant->op == CHANGE_DELETE)
        return RESULT_OK;
    if (strcmp(rest, "*") == 0) {
        grant->mask = table->columns_mask & ~table->server_only_mask;
        return RESULT_OK;
    }
    while (true) {
        const struct catalog_column *column = NULL;
        enum result result = next_name(loader->arena, &rest, &name, problem);

        if (result != RESULT_OK || name == NULL)
            return result;
        column = catalog_column_by_name(table, name);
        if (column == NULL || column->number == 0)
            return problem_set(problem, RESULT_REFUSED, "fs_grant: %s on %s: %s is no column of it",
                               role_name(grant->role), table->name, name);
        if (column->merge == MERGE_SERVER_ONLY)
            return problem_set(problem, RESULT_REFUSED,
                               "fs_grant: %s on %s: column %s is server_only",
                               role_name(grant->role), table->name, name);
        grant->mask |= UINT64_C(1) << column->number;
    }
}

static enum result load_grant_row(struct loader *loader, struct sql_statement *statement,
                                  struct catalog_grant *grant, struct problem *problem)
{
    const char *texts[5] = {NULL};
    const struct catalog_table *table = NULL;
    const struct catalog_column *own = NULL;
    const char *where = NULL;
    int code = 0;
    enum result result = RESULT_OK;

    for (int i = 0; i < 5 && result == RESULT_OK; i++)
        result = sql_column_text(statement, i, loader->arena, &texts[i], problem);
    if (result != RESULT_OK)
        return result;
    if (texts[1] != NULL)
        table = catalog_table_by_name(&loader->catalog, texts[1]);
    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "fs_grant: table '%.60s' is not in fs_table",
                           texts[1] == NULL ? "NULL" : texts[1]);
    grant->table_no = table->number;
    where = arena_format(loader->arena, "fs_grant: table %s", table->name);
    if (where == NULL)
        return arena_full(loader->arena, problem);
    result = role_of(texts[0], where, &grant->role, problem);
    if (result == RESULT_OK)
        result = word_code(OPS, texts[2], where, &code, problem);
    grant->op = (enum change_op)code;
    if (result == RESULT_OK)
        result = grant_columns(loader, table, texts[3], grant, problem);
    if (result != RESULT_OK || texts[4] == NULL)
        return result;
    own = catalog_column_by_name(table, texts[4]);
    if (own == NULL)
        return problem_set(problem, RESULT_REFUSED, "%s: own_column %s is no column of it", where,
                           texts[4]);
    if (own->number == 0)
        return problem_set(problem, RESULT_REFUSED, "%s: own_column can't be the id", where);
    grant->own_column_no = own->number;
    return RESULT_OK;
}

static enum result load_subscription_row(struct loader *loader, struct sql_statement *statement,
                                         struct catalog_subscription *subscription,
                                         struct problem *problem)
{
    const char *role = NULL;
    enum result result = sql_column_text(statement, 0, loader->arena, &role, problem);

    if (result == RESULT_OK)
        result = role_of(role, "fs_subscription", &subscription->role, problem);
    if (result == RESULT_OK)
        result = sql_column_text(statement, 1, loader->arena, &subscription->sql, problem);
    return result;
}

static enum result load_watch_row(struct loader *loader, struct sql_statement *statement,
                                  struct catalog_watch *watch, struct problem *problem)
{
    const struct catalog_table *table = NULL;
    const char *name = NULL;
    enum result result = sql_column_text(statement, 0, loader->arena, &name, problem);

    if (result != RESULT_OK)
        return result;
    table = catalog_table_by_name(&loader->catalog, name == NULL ? "" : name);
    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "fs_watch: table '%.60s' is not in fs_table",
                           name == NULL ? "NULL" : name);
    watch->table_no = table->number;
    return sql_column_text(statement, 1, loader->arena, &watch->sql, problem);
}

enum subject { GRANTS, SUBSCRIPTIONS, WATCHES };

/* All rows of one of the three; they differ in one line each. */
static enum result load_rows(struct loader *loader, enum subject subject, const char *text,
                             void *items, size_t *ret_count, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    size_t count = 0;
    bool row = true;
    enum result result = sql_prepare(loader->database, text, &statement, problem);

    while (result == RESULT_OK) {
        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        if (subject == GRANTS)
            result =
                load_grant_row(loader, statement, &((struct catalog_grant *)items)[count], problem);
        else if (subject == SUBSCRIPTIONS)
            result = load_subscription_row(loader, statement,
                                           &((struct catalog_subscription *)items)[count], problem);
        else
            result =
                load_watch_row(loader, statement, &((struct catalog_watch *)items)[count], problem);
        count++;
    }
    sql_release(statement);
    *ret_count = count;
    return result;
}

static enum result load_rights(struct loader *loader, struct problem *problem)
{
    struct catalog *catalog = &loader->catalog;
    void *items = NULL;
    enum result result = make_room(loader, "SELECT count(*) FROM fs_grant",
                                   sizeof(struct catalog_grant), &items, problem);

    if (result == RESULT_OK)
        result = load_rows(loader, GRANTS,
                           "SELECT role, table_name, op, columns, own_column FROM fs_grant"
                           " ORDER BY role, table_name, op, columns",
                           items, &catalog->grant_count, problem);
    catalog->grants = items;
    if (result == RESULT_OK)
        result = make_room(loader, "SELECT count(*) FROM fs_subscription",
                           sizeof(struct catalog_subscription), &items, problem);
    if (result == RESULT_OK)
        result = load_rows(loader, SUBSCRIPTIONS,
                           "SELECT role, sql FROM fs_subscription ORDER BY role, ordinal", items,
                           &catalog->subscription_count, problem);
    catalog->subscriptions = items;
    if (result == RESULT_OK)
        result = make_room(loader, "SELECT count(*) FROM fs_watch", sizeof(struct catalog_watch),
                           &items, problem);
    if (result == RESULT_OK)
        result = load_rows(loader, WATCHES,
                           "SELECT table_name, sql FROM fs_watch ORDER BY table_name, ordinal",
                           items, &catalog->watch_count, problem);
    catalog->watches = items;
    return result;
}

/* ---- the catalog beside the database ---- */

static bool contains_word(const char *type, const char *word)
{
    size_t size = strlen(word);

    for (; *type != '\0'; type++)
        if (strncasecmp(type, word, size) == 0)
            return true;
    return false;
}

/* SQLite's own rules for a declared type (datatype3.html, 3.1), in their order; NUMERIC is none. */
static enum value_type declared_type(const char *type)
{
    if (contains_word(type, "INT"))
        return VALUE_INTEGER;
    if (contains_word(type, "CHAR") || contains_word(type, "CLOB") || contains_word(type, "TEXT"))
        return VALUE_TEXT;
    if (contains_word(type, "BLOB") || type[0] == '\0')
        return VALUE_BLOB;
    if (contains_word(type, "REAL") || contains_word(type, "FLOA") || contains_word(type, "DOUB"))
        return VALUE_REAL;
    return VALUE_NULL;
}

/* A literal DEFAULT as PRAGMA table_info shows it: 'text', 17, -2.5 or NULL. */
static enum result read_default(struct loader *loader, const char *literal, struct value *ret_value,
                                struct problem *problem)
{
    size_t size = literal == NULL ? 0 : strlen(literal);
    char *end = NULL;
    uint8_t *text = NULL;
    size_t text_size = 0;

    *ret_value = value_null();
    if (size == 0 || strcasecmp(literal, "NULL") == 0)
        return RESULT_OK;
    if (size >= 2 && literal[0] == '\'' && literal[size - 1] == '\'') {
        text = arena_alloc(loader->arena, size);
        if (text == NULL)
            return arena_full(loader->arena, problem);
        for (size_t i = 1; i < size - 1; i++) {
            text[text_size++] = (uint8_t)literal[i];
            if (literal[i] == '\'')
                i++; /* a quote inside stands there twice */
        }
        *ret_value = value_text(bytes_of(text, text_size));
        return RESULT_OK;
    }
    *ret_value = value_integer(strtoll(literal, &end, 10));
    if (*end == '\0')
        return RESULT_OK;
    *ret_value = value_real(strtod(literal, &end));
    if (*end == '\0')
        return RESULT_OK;
    return problem_set(problem, RESULT_REFUSED, "DEFAULT %s is no literal value", literal);
}

/* The catalog's columns are the loader's own memory until it hands them out. */
static enum result note_default(struct loader *loader, const struct catalog_table *table,
                                uint8_t column_no, const char *literal, struct problem *problem)
{
    struct catalog_column *columns = (struct catalog_column *)(uintptr_t)table->columns;
    enum result result = read_default(loader, literal, &columns[column_no].default_value, problem);

    if (result != RESULT_OK)
        problem_add(problem, "column %s.%s", table->name, table->columns[column_no].name);
    return result;
}

static enum result compare_column(struct loader *loader, const struct catalog_table *table,
                                  struct sql_statement *statement, uint64_t *seen,
                                  struct problem *problem)
{
    const struct catalog_column *column = NULL;
    const char *name = NULL;
    const char *type = NULL;
    const char *literal = NULL;
    bool not_null = sql_column_integer(statement, 2) != 0;
    bool is_key = sql_column_integer(statement, 3) != 0;
    enum result result = sql_column_text(statement, 0, loader->arena, &name, problem);

    if (result == RESULT_OK)
        result = sql_column_text(statement, 1, loader->arena, &type, problem);
    if (result == RESULT_OK)
        result = sql_column_text(statement, 4, loader->arena, &literal, problem);
    if (result != RESULT_OK || strncmp(name, "_fs_", 4) == 0)
        return result;
    column = catalog_column_by_name(table, name);
    if (column == NULL)
        return problem_set(problem, RESULT_REFUSED, "column %s.%s is not in fs_column", table->name,
                           name);
    *seen |= UINT64_C(1) << column->number;
    if (is_key != (column->number == 0) ||
        (column->number == 0 && strcasecmp(type, "INTEGER") != 0))
        return problem_set(problem, RESULT_REFUSED, "%s needs exactly id INTEGER PRIMARY KEY",
                           table->name);
    if (declared_type(type) != column->type)
        return problem_set(problem, RESULT_REFUSED,
                           "column %s.%s is declared %s, not of the type in fs_column", table->name,
                           name, type);
    if (column->number != 0 && not_null == column->nullable)
        return problem_set(problem, RESULT_REFUSED, "column %s.%s is %s, unlike in fs_column",
                           table->name, name, not_null ? "NOT NULL" : "nullable");
    return note_default(loader, table, column->number, literal, problem);
}

static enum result compare_table(struct loader *loader, const struct catalog_table *table,
                                 struct problem *problem)
{
    struct sql_statement *statement = NULL;
    uint64_t seen = 0;
    bool row = true;
    enum result result =
        sql_prepare(loader->database,
                    "SELECT name, type, \"notnull\", pk, dflt_value FROM pragma_table_info(?1)",
                    &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_text(statement, 1, table->name, problem);
    while (result == RESULT_OK) {
        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = compare_column(loader, table, statement, &seen, problem);
    }
    sql_release(statement);
    if (result == RESULT_OK && seen == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "table %s is in fs_table but not in the database", table->name);
    for (uint8_t n = 0; n < table->column_count && result == RESULT_OK; n++)
        if (catalog_has_column(table, n) && (seen >> n & 1) == 0)
            result = problem_set(problem, RESULT_REFUSED,
                                 "column %s.%s is in fs_column but not in the database",
                                 table->name, table->columns[n].name);
    return result;
}

/* What it takes to know what the catalog was before. */
static enum result load_history(struct loader *loader, struct problem *problem)
{
    struct catalog *catalog = &loader->catalog;
    void *items = NULL;
    enum result result = migrate_has_history(loader->database, &loader->has_history, problem);

    if (result == RESULT_OK)
        result =
            make_room(loader,
                      loader->has_history ? "SELECT count(*) FROM fs_column WHERE until IS NOT NULL"
                                          : "SELECT 0",
                      sizeof(struct catalog_dropped), &items, problem);
    loader->dropped = items;
    catalog->dropped = items;
    if (result == RESULT_OK)
        result = migrate_steps(loader->database, loader->arena, &catalog->steps,
                               &catalog->step_count, problem);
    return result;
}

static enum result load_all(struct loader *loader, struct problem *problem)
{
    struct catalog *catalog = &loader->catalog;
    enum result result = migrate_version(loader->database, &catalog->schema_version, problem);

    if (result == RESULT_OK)
        result = load_history(loader, problem);
    if (result == RESULT_OK)
        result = load_tables(loader, problem);
    for (size_t n = 1; n < catalog->table_count && result == RESULT_OK; n++)
        if (loader->tables[n].name != NULL)
            result = load_inside(loader, &loader->tables[n], problem);
    if (result == RESULT_OK)
        result = load_rights(loader, problem);
    if (result == RESULT_OK)
        result = catalog_check(catalog, problem);
    for (size_t n = 1; n < catalog->table_count && result == RESULT_OK; n++)
        if (loader->tables[n].name != NULL)
            result = compare_table(loader, &loader->tables[n], problem);
    return result;
}

enum result catalog_load(struct sql_database *database, struct arena *arena,
                         struct catalog *ret_catalog, struct problem *problem)
{
    struct sql_transaction transaction = {0};
    struct loader loader = {.database = database, .arena = arena};
    enum result result = RESULT_OK;

    if (!sql_in_transaction(database)) /* one state of the catalog, whoever writes meanwhile */
        result = sql_begin(&transaction, database, SQL_DEFERRED, problem);
    if (result == RESULT_OK)
        result = load_all(&loader, problem);
    sql_end(&transaction);
    if (result == RESULT_OK)
        *ret_catalog = loader.catalog;
    else
        problem_add(problem, "catalog");
    return result;
}

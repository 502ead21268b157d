/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/triggers.h"

#include "schema/trigger_shared.h"
#include "schema/trigger_text.h"
#include "schema/triggers_made.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Text of all generated objects of a few hundred tables. */
enum { TEXT_ARENA_SIZE_MAX = 64 * 1024 * 1024, REPORT_SIZE_MAX = 4000, FIRST_TIME_MIN = 8 };

struct hidden_column {
    const char *name;
    const char *type;
};

static const struct hidden_column HIDDEN_COLUMNS[] = {
    {"_fs_seq", "BIGINT"},
    {"_fs_bucket", "BIGINT"},
    {"_fs_cv", "BLOB"},
    {"_fs_hash", "BLOB"},
};
enum { HIDDEN_COLUMN_COUNT = sizeof HIDDEN_COLUMNS / sizeof HIDDEN_COLUMNS[0] };

/* What should be there, and what is. */
struct plan {
    struct sql_database *database;
    const struct catalog *catalog;
    enum schema_side side;
    struct arena *arena;
    struct trigger_object *wanted;
    size_t wanted_count;
    struct trigger_object *present;
    size_t present_count;
    const struct trigger_object **wanted_by_name; /* the same, sorted */
    const struct trigger_object **present_by_name;
    const char **with_collation; /* tables, sorted */
    size_t with_collation_count;
};

/* ---- what a table looks like ---- */

static enum result read_defaults(struct plan *plan, struct trigger_table *table,
                                 bool not_null[ROW_COLUMNS_MAX + 1], struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = true;
    enum result result = sql_prepare(
        plan->database, "SELECT name, dflt_value, \"notnull\" FROM pragma_table_info(?1)",
        &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_text(statement, 1, table->table->name, problem);
    while (result == RESULT_OK) {
        const struct catalog_column *column = NULL;
        const char *name = NULL;

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = sql_column_text(statement, 0, plan->arena, &name, problem);
        if (result == RESULT_OK)
            column = catalog_column_by_name(table->table, name);
        if (column == NULL)
            continue;
        not_null[column->number] = sql_column_integer(statement, 2) != 0;
        result =
            sql_column_text(statement, 1, plan->arena, &table->defaults[column->number], problem);
    }
    sql_release(statement);
    return result;
}

/* ---- sorted names: some nine hundred objects are compared at each start ---- */

static int compare_names(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* Tables of which any column names a collation. The word anywhere in the table's text counts: too
 * often is harmless. One pass, since SQLite reads the whole schema for it. */
static enum result read_collations(struct plan *plan, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = true;
    enum result result = sql_prepare(plan->database,
                                     "SELECT name FROM sqlite_schema WHERE type = 'table'"
                                     " AND instr(upper(sql), 'COLLATE') > 0",
                                     &statement, problem);

    plan->with_collation =
        arena_array(plan->arena, plan->catalog->table_count + 1, sizeof *plan->with_collation);
    if (plan->with_collation == NULL)
        result = arena_full(plan->arena, problem);
    while (result == RESULT_OK) {
        const char *name = NULL;

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = sql_column_text(statement, 0, plan->arena, &name, problem);
        if (result == RESULT_OK && catalog_table_by_name(plan->catalog, name) != NULL)
            plan->with_collation[plan->with_collation_count++] = name;
    }
    sql_release(statement);
    if (result == RESULT_OK)
        qsort(plan->with_collation, plan->with_collation_count, sizeof *plan->with_collation,
              compare_names);
    return result;
}

static bool has_collations(const struct plan *plan, const struct catalog_table *table)
{
    return bsearch(&table->name, plan->with_collation, plan->with_collation_count,
                   sizeof *plan->with_collation, compare_names) != NULL;
}

/* Where the word WHERE stands in a CREATE INDEX outside of quotes, brackets, comments and
 * parentheses; the text behind it, or NULL. */
static const char *predicate_of(const char *text)
{
    int depth = 0;
    const char *at = text;

    while (*at != '\0') {
        if (*at == '\'' || *at == '"' || *at == '`' || *at == '[') {
            char end = *at == '[' ? ']' : *at;

            at = strchr(at + 1, end); /* a doubled quote looks like two texts: fine here */
            if (at == NULL)
                return NULL;
        } else if (strncmp(at, "--", 2) == 0) {
            at += strcspn(at, "\n");
            continue;
        } else if (strncmp(at, "/*", 2) == 0) {
            at = strstr(at + 2, "*/");
            if (at == NULL)
                return NULL;
            at++;
        } else if (*at == '(') {
            depth++;
        } else if (*at == ')') {
            depth--;
        } else if (depth == 0 && at > text && strchr(" \t\r\n)/", at[-1]) != NULL &&
                   strncasecmp(at, "WHERE", 5) == 0 && strchr(" \t\r\n(-/\"[`'", at[5]) != NULL) {
            return at[5] == '\0' ? NULL : at + 5;
        }
        at++;
    }
    return NULL;
}

static enum result read_predicate(struct plan *plan, const char *index, struct unique_index *unique,
                                  struct problem *problem)
{
    struct sql_statement *statement = NULL;
    const char *text = NULL;
    const char *predicate = NULL;
    bool row = false;
    enum result result = sql_prepare(
        plan->database, "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = ?1",
        &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_text(statement, 1, index, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &row, problem);
    if (result == RESULT_OK && row)
        result = sql_column_text(statement, 0, plan->arena, &text, problem);
    sql_release(statement);
    if (result != RESULT_OK || text == NULL)
        return result;
    predicate = predicate_of(text);
    if (predicate != NULL) { /* a closing comment would swallow what follows: a line end ends it */
        unique->predicate = arena_format(plan->arena, "%s\n", predicate);
        if (unique->predicate == NULL)
            return arena_full(plan->arena, problem);
    }
    return RESULT_OK;
}

/* Terms that are expressions are left out: more rows look the same than do, never fewer. */
static enum result read_unique_columns(struct plan *plan, const struct trigger_table *table,
                                       const bool *not_null, const char *index,
                                       struct unique_index *unique, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = true;
    enum result result =
        sql_prepare(plan->database,
                    "SELECT name, coll, name IS NULL FROM pragma_index_xinfo(?1) WHERE key = 1"
                    " ORDER BY name IS NULL, seqno",
                    &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_text(statement, 1, index, problem);
    while (result == RESULT_OK) {
        uint8_t n = unique->column_count;
        const struct catalog_column *column = NULL;

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row || n == UNIQUE_COLUMNS_MAX)
            break;
        unique->has_expression = sql_column_integer(statement, 2) != 0;
        if (unique->has_expression) /* and all that follow */
            break;
        result = sql_column_text(statement, 0, plan->arena, &unique->columns[n], problem);
        if (result == RESULT_OK)
            result = sql_column_text(statement, 1, plan->arena, &unique->collations[n], problem);
        if (result != RESULT_OK)
            break;
        column = catalog_column_by_name(table->table, unique->columns[n]);
        if (column != NULL && not_null[column->number])
            unique->defaults[n] = table->defaults[column->number];
        unique->column_count++;
    }
    sql_release(statement);
    if (result == RESULT_OK && unique->column_count == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "unique index %s of %s is on expressions only: capture can't see which "
                           "row a REPLACE removes through it; make it an index on columns",
                           index, table->table->name);
    return result;
}

static enum result read_uniques(struct plan *plan, struct trigger_table *table,
                                const bool *not_null, struct problem *problem)
{
    struct sql_statement *statement = NULL;
    bool row = true;
    enum result result = sql_prepare(plan->database,
                                     "SELECT name, partial FROM pragma_index_list(?1)"
                                     " WHERE \"unique\" = 1 ORDER BY name",
                                     &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_text(statement, 1, table->table->name, problem);
    while (result == RESULT_OK) {
        struct unique_index *unique = &table->uniques[table->unique_count];
        const char *name = NULL;

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        if (table->unique_count == UNIQUES_MAX) {
            result = problem_set(problem, RESULT_REFUSED, "%s has more than %d unique indexes",
                                 table->table->name, (int)UNIQUES_MAX);
            break;
        }
        unique->is_partial = sql_column_integer(statement, 1) != 0;
        result = sql_column_text(statement, 0, plan->arena, &name, problem);
        if (result == RESULT_OK)
            result = read_unique_columns(plan, table, not_null, name, unique, problem);
        if (result == RESULT_OK && unique->is_partial)
            result = read_predicate(plan, name, unique, problem);
        table->unique_count++;
    }
    sql_release(statement);
    return result;
}

/* ---- what should be there ---- */

static enum result plan_table(struct plan *plan, const struct catalog_table *table,
                              struct problem *problem)
{
    struct trigger_table *of = arena_alloc(plan->arena, sizeof *of);
    bool not_null[ROW_COLUMNS_MAX + 1] = {false};
    size_t count = 0;
    enum result result = RESULT_OK;

    if (of == NULL)
        return arena_full(plan->arena, problem);
    of->catalog = plan->catalog;
    of->table = table;
    of->side = plan->side;
    result = read_defaults(plan, of, not_null, problem);
    of->has_collations = has_collations(plan, table);
    if (result == RESULT_OK)
        result = read_uniques(plan, of, not_null, problem);
    if (result == RESULT_OK)
        result =
            trigger_text_make(of, plan->arena, plan->wanted + plan->wanted_count, &count, problem);
    plan->wanted_count += count;
    return result;
}

static int compare_objects(const void *a, const void *b)
{
    return strcasecmp((*(const struct trigger_object *const *)a)->name,
                      (*(const struct trigger_object *const *)b)->name);
}

static enum result sort_objects(struct plan *plan, const struct trigger_object *objects,
                                size_t count, const struct trigger_object ***ret_sorted,
                                struct problem *problem)
{
    const struct trigger_object **sorted = arena_array(plan->arena, count + 1, sizeof *sorted);

    if (sorted == NULL)
        return arena_full(plan->arena, problem);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &objects[i];
    qsort(sorted, count, sizeof *sorted, compare_objects);
    *ret_sorted = sorted;
    return RESULT_OK;
}

/* Ours by name; and whatever somebody put on the table of lines: what such a trigger writes would
 * escape, since SQLite doesn't run a trigger (here a shared one) within itself. */
#define PRESENT                                                                                    \
    " FROM sqlite_schema WHERE type IN ('view', 'trigger', 'index') AND"                           \
    " (lower(substr(name, 1, 4)) = '_fs_' OR (type = 'trigger' AND lower(tbl_name) ="              \
    " 'fs_outbox'))"

static enum result read_present(struct plan *plan, struct problem *problem)
{
    static const char COUNT[] = "SELECT count(*)" PRESENT;
    struct sql_statement *statement = NULL;
    int64_t count = 0;
    bool row = true;
    enum result result = sql_query_integer(plan->database, COUNT, NULL, 0, 0, &count, problem);

    if (result != RESULT_OK)
        return result;
    plan->present_count = 0;
    plan->present = arena_array(plan->arena, (size_t)count + 1, sizeof *plan->present);
    if (plan->present == NULL)
        return arena_full(plan->arena, problem);
    result = sql_prepare(plan->database, "SELECT type, name, sql" PRESENT " ORDER BY name",
                         &statement, problem);
    while (result == RESULT_OK && plan->present_count < (size_t)count) {
        struct trigger_object *object = &plan->present[plan->present_count];

        result = sql_step(statement, &row, problem);
        if (result != RESULT_OK || !row)
            break;
        result = sql_column_text(statement, 0, plan->arena, &object->type, problem);
        if (result == RESULT_OK)
            result = sql_column_text(statement, 1, plan->arena, &object->name, problem);
        if (result == RESULT_OK)
            result = sql_column_text(statement, 2, plan->arena, &object->text, problem);
        plan->present_count++;
    }
    sql_release(statement);
    if (result == RESULT_OK)
        result =
            sort_objects(plan, plan->present, plan->present_count, &plan->present_by_name, problem);
    return result;
}

static enum result plan_make(struct plan *plan, struct problem *problem)
{
    enum result result = RESULT_OK;

    plan->wanted = arena_array(plan->arena, plan->catalog->table_count + 1,
                               TRIGGER_OBJECTS_MAX * sizeof *plan->wanted);
    if (plan->wanted == NULL)
        return arena_full(plan->arena, problem);
    trigger_shared_objects(plan->side, plan->wanted, &plan->wanted_count);
    result = read_collations(plan, problem);
    for (size_t n = 1; n < plan->catalog->table_count && result == RESULT_OK; n++)
        if (plan->catalog->tables[n].name != NULL && !plan->catalog->tables[n].is_local)
            result = plan_table(plan, &plan->catalog->tables[n], problem);
    if (result == RESULT_OK)
        result =
            sort_objects(plan, plan->wanted, plan->wanted_count, &plan->wanted_by_name, problem);
    if (result == RESULT_OK)
        result = read_present(plan, problem);
    return result;
}

static const struct trigger_object *find(const struct trigger_object *const *sorted, size_t count,
                                         const char *name)
{
    const struct trigger_object wanted = {.name = name};
    const struct trigger_object *key = &wanted;
    const struct trigger_object *const *found =
        bsearch(&key, sorted, count, sizeof *sorted, compare_objects);

    return found == NULL ? NULL : *found;
}

static bool is_same(const struct trigger_object *a, const struct trigger_object *b)
{
    return strcmp(a->type, b->type) == 0 && a->text != NULL && b->text != NULL &&
           strcmp(a->text, b->text) == 0;
}

/* ---- install ---- */

static enum result has_column(struct sql_database *database, const char *table, const char *column,
                              bool *ret_has, struct problem *problem)
{
    const struct value names[] = {value_text_of(table), value_text_of(column)};
    int64_t count = 0;
    enum result result =
        sql_query_integer(database, "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2",
                          names, 2, 0, &count, problem);

    *ret_has = count > 0;
    return result;
}

static enum result run_named(struct sql_database *database, const char *before, const char *name,
                             const char *after, struct problem *problem)
{
    struct buffer text;
    enum result result = RESULT_OK;

    buffer_init(&text, 4096);
    result = buffer_append(&text, before, strlen(before), problem);
    if (result == RESULT_OK)
        result = sql_append_identifier(&text, name, problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, after, strlen(after) + 1, problem);
    if (result == RESULT_OK)
        result = sql_exec(database, (const char *)text.data, problem);
    buffer_done(&text);
    if (result != RESULT_OK)
        problem_add(problem, "%s%.80s%s", before, name, after);
    return result;
}

static enum result add_hidden_columns(struct plan *plan, const struct catalog_table *table,
                                      size_t *changed_count, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < HIDDEN_COLUMN_COUNT && result == RESULT_OK; i++) {
        char after[64];
        bool has = false;

        result = has_column(plan->database, table->name, HIDDEN_COLUMNS[i].name, &has, problem);
        if (result != RESULT_OK || has)
            continue;
        (void)snprintf(after, sizeof after, " ADD COLUMN %s %s", HIDDEN_COLUMNS[i].name,
                       HIDDEN_COLUMNS[i].type);
        result = run_named(plan->database, "ALTER TABLE ", table->name, after, problem);
        (*changed_count)++;
    }
    return result;
}

static enum result prepare_server(struct plan *plan, size_t *changed_count, struct problem *problem)
{
    enum result result = sql_exec(plan->database,
                                  "INSERT INTO fs_state(name, number) SELECT 'replica_no', 0"
                                  " WHERE NOT EXISTS (SELECT 1 FROM fs_state WHERE name ="
                                  " 'replica_no')",
                                  problem);

    for (size_t n = 1; n < plan->catalog->table_count && result == RESULT_OK; n++)
        if (plan->catalog->tables[n].name != NULL && !plan->catalog->tables[n].is_local)
            result = add_hidden_columns(plan, &plan->catalog->tables[n], changed_count, problem);
    return result;
}

static const char *drop_of(const char *type)
{
    if (strcmp(type, "view") == 0)
        return "DROP VIEW IF EXISTS ";
    return strcmp(type, "index") == 0 ? "DROP INDEX IF EXISTS " : "DROP TRIGGER IF EXISTS ";
}

/* A new database gets some nine hundred objects. SQLite searches the whole schema for each one that
 * is created, four fifths of the time that a new replica takes, so these go into its list at once;
 * then it reads the list anew, as every other connection does. Indexes have pages of their own and
 * take the usual way. Nothing but our own text is run while the list may be written to. */
static enum result list_object(struct sql_statement *insert, const struct trigger_object *object,
                               struct problem *problem)
{
    const struct value values[] = {value_text_of(object->type), value_text_of(object->name),
                                   value_text_of(object->on != NULL ? object->on : object->name),
                                   value_text_of(object->text)};
    bool has_row = false;
    enum result result;

    sql_reset(insert);
    result = sql_bind_all(insert, values, sizeof values / sizeof *values, problem);
    return result == RESULT_OK ? sql_step(insert, &has_row, problem) : result;
}

static enum result list_objects(struct plan *plan, size_t count, size_t *changed_count,
                                struct problem *problem)
{
    struct sql_statement *insert = NULL;
    enum result result = sql_exec(plan->database, "PRAGMA writable_schema = ON", problem);

    if (result == RESULT_OK)
        result = sql_prepare(plan->database,
                             "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql)"
                             " VALUES (?1, ?2, ?3, 0, ?4)",
                             &insert, problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        const struct trigger_object *wanted = &plan->wanted[i];

        if (strcmp(wanted->type, "index") == 0)
            continue;
        result = list_object(insert, wanted, problem);
        (*changed_count)++;
    }
    sql_release(insert);
    if (result == RESULT_OK)
        result = sql_exec(plan->database, "PRAGMA writable_schema = RESET", problem);
    return result;
}

static void set_defensive(struct sql_database *database, bool on)
{
    int code = sqlite3_db_config(sql_handle(database), SQLITE_DBCONFIG_DEFENSIVE, (int)on, NULL);

    invariant(code == SQLITE_OK);
}

/* All but the last one, which is created as usual: that tells other connections, too. */
static enum result put_first_time(struct plan *plan, size_t *changed_count, struct problem *problem)
{
    enum result result;

    set_defensive(plan->database, false);
    result = list_objects(plan, plan->wanted_count - 1, changed_count, problem);
    if (result != RESULT_OK)
        (void)sqlite3_exec(sql_handle(plan->database), "PRAGMA writable_schema = RESET", NULL, NULL,
                           NULL);
    set_defensive(plan->database, true);
    if (result == RESULT_OK)
        result = read_present(plan, problem);
    return result;
}

/* Old ones go first: an altered trigger may stand in the way of the statement that creates. */
static enum result put_right(struct plan *plan, size_t *changed_count, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < plan->present_count && result == RESULT_OK; i++) {
        const struct trigger_object *present = &plan->present[i];
        const struct trigger_object *wanted =
            find(plan->wanted_by_name, plan->wanted_count, present->name);

        if (wanted != NULL && is_same(wanted, present))
            continue;
        result = run_named(plan->database, drop_of(present->type), present->name, "", problem);
        (*changed_count)++;
    }
    if (result == RESULT_OK && *changed_count > 0) /* a view took its triggers with it */
        result = read_present(plan, problem);
    if (result == RESULT_OK && plan->present_count == 0 && plan->wanted_count >= FIRST_TIME_MIN)
        result = put_first_time(plan, changed_count, problem);
    for (size_t i = 0; i < plan->wanted_count && result == RESULT_OK; i++) {
        const struct trigger_object *wanted = &plan->wanted[i];
        const struct trigger_object *present =
            find(plan->present_by_name, plan->present_count, wanted->name);

        if (present != NULL && is_same(wanted, present))
            continue;
        result = sql_exec(plan->database, wanted->text, problem);
        if (result != RESULT_OK)
            problem_add(problem, "creating %s", wanted->name);
        (*changed_count)++;
    }
    return result;
}

/* A server's own number: it may be gone though nothing else has changed. */
static enum result has_number(struct sql_database *database, enum schema_side side, bool *ret_has,
                              struct problem *problem)
{
    int64_t has = 1;
    enum result result = RESULT_OK;

    if (side == SCHEMA_SIDE_SERVER)
        result = sql_query_integer(
            database, "SELECT EXISTS (SELECT 1 FROM fs_state WHERE name = 'replica_no')", NULL, 0,
            0, &has, problem);
    *ret_has = has != 0;
    return result;
}

static enum result install_all(struct plan *plan, size_t *changed_count, struct problem *problem)
{
    enum result result = RESULT_OK;

    if (plan->side == SCHEMA_SIDE_SERVER)
        result = prepare_server(plan, changed_count, problem);
    if (result == RESULT_OK)
        result = plan_make(plan, problem);
    if (result == RESULT_OK)
        result = put_right(plan, changed_count, problem);
    if (result == RESULT_OK)
        result = triggers_made_note(plan->database, plan->catalog, plan->side, problem);
    return result;
}

enum result triggers_install(struct sql_database *database, const struct catalog *catalog,
                             enum schema_side side, size_t *ret_changed_count,
                             struct problem *problem)
{
    struct sql_transaction transaction = {0};
    struct arena text_arena;
    struct plan plan = {.database = database, .catalog = catalog, .side = side};
    bool is_ours = !sql_in_transaction(database);
    bool has = false;
    bool is_same = false;
    size_t changed_count = 0;
    enum result result = has_number(database, side, &has, problem);

    arena_init(&text_arena, TEXT_ARENA_SIZE_MAX);
    plan.arena = &text_arena;
    if (result == RESULT_OK && has)
        result = triggers_made_look(database, catalog, side, &is_same, problem);
    if (result != RESULT_OK || is_same)
        goto done;
    if (is_ours)
        result = sql_begin(&transaction, database, SQL_IMMEDIATE, problem);
    if (result == RESULT_OK)
        result = install_all(&plan, &changed_count, problem);
    if (result == RESULT_OK && is_ours)
        result = sql_commit(&transaction, problem);
done:
    sql_end(&transaction);
    arena_done(&text_arena);
    if (result == RESULT_OK && ret_changed_count != NULL)
        *ret_changed_count = changed_count;
    if (result != RESULT_OK)
        problem_add(problem, "installing triggers");
    return result;
}

enum result triggers_remove(struct sql_database *database, size_t *ret_removed_count,
                            struct problem *problem)
{
    struct arena text_arena;
    struct plan plan = {.database = database, .arena = &text_arena};
    size_t removed_count = 0;
    enum result result = RESULT_OK;

    arena_init(&text_arena, TEXT_ARENA_SIZE_MAX);
    result = read_present(&plan, problem);
    for (size_t i = 0; i < plan.present_count && result == RESULT_OK; i++) {
        const struct trigger_object *present = &plan.present[i];

        if (strcmp(present->type, "index") == 0)
            continue;
        result = run_named(database, drop_of(present->type), present->name, "", problem);
        removed_count++;
    }
    arena_done(&text_arena);
    *ret_removed_count = removed_count;
    return result;
}

/* ---- verify ---- */

struct report {
    char text[REPORT_SIZE_MAX];
    size_t size;
    size_t wrong_count;
};

static void report_wrong(struct report *report, const char *what, const char *name)
{
    size_t room = sizeof report->text - report->size;
    int size = snprintf(report->text + report->size, room, "%s%s %s",
                        report->wrong_count == 0 ? "" : "; ", what, name);

    report->wrong_count++;
    if (size > 0 && (size_t)size < room) /* what doesn't fit is counted all the same */
        report->size += (size_t)size;
    else
        report->text[report->size] = '\0';
}

static enum result verify_hidden(struct plan *plan, struct report *report, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t n = 1; n < plan->catalog->table_count && result == RESULT_OK; n++) {
        const struct catalog_table *table = &plan->catalog->tables[n];

        if (table->name == NULL || table->is_local)
            continue;
        for (size_t i = 0; i < HIDDEN_COLUMN_COUNT && result == RESULT_OK; i++) {
            bool has = false;

            result = has_column(plan->database, table->name, HIDDEN_COLUMNS[i].name, &has, problem);
            if (result == RESULT_OK && !has)
                report_wrong(report, "missing column", HIDDEN_COLUMNS[i].name);
        }
    }
    return result;
}

static void verify_objects(const struct plan *plan, struct report *report)
{
    for (size_t i = 0; i < plan->wanted_count; i++) {
        const struct trigger_object *wanted = &plan->wanted[i];
        const struct trigger_object *present =
            find(plan->present_by_name, plan->present_count, wanted->name);

        if (present == NULL)
            report_wrong(report, "missing", wanted->name);
        else if (!is_same(wanted, present))
            report_wrong(report, "altered", wanted->name);
    }
    for (size_t i = 0; i < plan->present_count; i++)
        if (find(plan->wanted_by_name, plan->wanted_count, plan->present[i].name) == NULL)
            report_wrong(report, "unknown", plan->present[i].name);
}

enum result triggers_verify(struct sql_database *database, const struct catalog *catalog,
                            enum schema_side side, struct arena *arena, size_t *ret_wrong_count,
                            const char **ret_report, struct problem *problem)
{
    struct arena text_arena;
    struct plan plan = {.database = database, .catalog = catalog, .side = side};
    struct report report = {.size = 0};
    struct bytes copy = {0};
    enum result result = RESULT_OK;

    arena_init(&text_arena, TEXT_ARENA_SIZE_MAX);
    plan.arena = &text_arena;
    if (side == SCHEMA_SIDE_SERVER)
        result = verify_hidden(&plan, &report, problem);
    if (result == RESULT_OK)
        result = plan_make(&plan, problem);
    if (result == RESULT_OK)
        verify_objects(&plan, &report);
    arena_done(&text_arena);
    if (result == RESULT_OK)
        result = arena_copy(arena, bytes_of(report.text, report.size), &copy, problem);
    if (result != RESULT_OK) {
        problem_add(problem, "verifying triggers");
        return result;
    }
    *ret_wrong_count = report.wrong_count;
    *ret_report = (const char *)copy.data;
    return RESULT_OK;
}

/* ---- pause ---- */

static void set_triggers(struct sql_database *database, bool on)
{
    int is_on = 0;
    int code =
        sqlite3_db_config(sql_handle(database), SQLITE_DBCONFIG_ENABLE_TRIGGER, (int)on, &is_on);

    invariant(code == SQLITE_OK);
    invariant((is_on != 0) == on);
}

enum result triggers_pause_begin(struct triggers_pause *pause, struct sql_database *database,
                                 struct problem *problem)
{
    static const char FOREIGN[] =
        "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND"
        " lower(substr(name, 1, 4)) <> '_fs_' AND lower(substr(tbl_name, 1, 3)) <> 'fs_'";
    int64_t version = 0;
    int64_t foreign_count = 0;
    enum result result;

    invariant(sql_in_transaction(database));
    result = sql_query_integer(database, "SELECT schema_version FROM pragma_schema_version", NULL,
                               0, 0, &version, problem);
    if (result == RESULT_OK && version != pause->schema_version) {
        result = sql_query_integer(database, FOREIGN, NULL, 0, 0, &foreign_count, problem);
        if (result == RESULT_OK) {
            set_triggers(database, foreign_count > 0);
            pause->is_off = foreign_count == 0;
            pause->schema_version = version;
            sql_release_memory(database); /* all pages of the schema, just to count */
        }
    }
    if (result == RESULT_OK && !pause->is_off)
        result = sql_run(database, "INSERT INTO fs_flag(k) VALUES (1)", NULL, 0, problem);
    if (result != RESULT_OK)
        problem_add(problem, "pausing the triggers");
    return result;
}

enum result triggers_pause_end(struct triggers_pause *pause, struct sql_database *database,
                               struct problem *problem)
{
    static const char SAME_AS_STATE[] =
        "UPDATE fs_capture SET replica_no = s.replica_no, published_seq = s.published_seq FROM"
        " (SELECT (SELECT number FROM fs_state WHERE name = 'replica_no') AS replica_no,"
        " coalesce((SELECT number FROM fs_state WHERE name = 'published_seq'), 0) AS published_seq)"
        " AS s WHERE fs_capture.replica_no IS NOT s.replica_no"
        " OR fs_capture.published_seq <> s.published_seq";
    enum result result;

    invariant(sql_in_transaction(database));
    if (pause->is_off)
        result = sql_run(database, SAME_AS_STATE, NULL, 0, problem);
    else
        result = sql_run(database, "DELETE FROM fs_flag", NULL, 0, problem);
    if (result != RESULT_OK)
        problem_add(problem, "ending the pause of the triggers");
    return result;
}

void triggers_pause_done(struct triggers_pause *pause, struct sql_database *database)
{
    invariant(!sql_in_transaction(database));
    if (pause->is_off)
        set_triggers(database, true);
    *pause = (struct triggers_pause){0};
}

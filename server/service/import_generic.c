/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import_generic.h"

#include <string.h>

/* ---- pairs ---- */

/* Up to an unescaped `mark` or the end; without its backslashes. */
static enum result take_part(const char **at, char mark, struct arena *arena,
                             struct bytes *ret_part, struct problem *problem)
{
    uint8_t *part = arena_alloc(arena, strlen(*at) + 1);
    size_t size = 0;

    if (part == NULL)
        return arena_full(arena, problem);
    while (**at != 0 && **at != mark) {
        if (**at == '\\' && (*at)[1] != 0)
            (*at)++;
        part[size++] = (uint8_t) * (*at)++;
    }
    *ret_part = bytes_of(part, size);
    return RESULT_OK;
}

enum result import_generic_pairs(const char *text, struct arena *arena, struct import_pair *pairs,
                                 size_t pair_count_max, size_t *pair_count, struct problem *problem)
{
    const char *at = text;

    while (*at != 0) {
        struct import_pair *pair = &pairs[*pair_count];
        enum result result;

        if (*pair_count == pair_count_max)
            return problem_set(problem, RESULT_REFUSED, "more than %zu columns", pair_count_max);
        result = take_part(&at, '=', arena, &pair->column, problem);
        if (result == RESULT_OK && *at != '=')
            return problem_set(problem, RESULT_REFUSED, "column=field is missing its = in %s",
                               text);
        if (result == RESULT_OK) {
            at++;
            result = take_part(&at, ',', arena, &pair->field, problem);
        }
        if (result != RESULT_OK)
            return result;
        if (pair->column.size == 0 || pair->field.size == 0)
            return problem_set(problem, RESULT_REFUSED, "an empty side of = in %s", text);
        at += *at == ',';
        (*pair_count)++;
    }
    return RESULT_OK;
}

/* ---- kinds by name ---- */

struct suffix {
    const char *text;
    enum import_kind kind;
    const char *argument;       /* with a decimal point */
    const char *comma_argument; /* with a decimal comma */
};

static const struct suffix SUFFIXES[] = {
    {"_d", IMPORT_DATE, NULL, NULL},       {"_at", IMPORT_INSTANT, NULL, NULL},
    {"_cents", IMPORT_DECIMAL, "2", "2,"}, {"_e4", IMPORT_DECIMAL, "4", "4,"},
    {"_e7", IMPORT_DECIMAL, "7~", "7,~"},  {"_m", IMPORT_DECIMAL, "3", "3,"},
    {"_bp", IMPORT_DECIMAL, "2", "2,"},
};
enum { SUFFIX_COUNT = sizeof SUFFIXES / sizeof SUFFIXES[0] };

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t suffix_size = strlen(suffix);

    return size > suffix_size && strcmp(name + size - suffix_size, suffix) == 0;
}

static void choose_kind(const struct catalog *catalog, const struct import_generic *generic,
                        const struct catalog_column *field, struct import_column *column)
{
    bool is_raw = generic->is_raw || generic->pair_count == 0;
    bool is_date = ends_with(field->name, "_d") && field->type == VALUE_TEXT;

    column->kind = field->type == VALUE_TEXT ? IMPORT_TEXT : IMPORT_INTEGER;
    if (field->refers_to != 0) {
        column->kind = IMPORT_REFERENCE;
        column->argument = catalog_table_by_no(catalog, field->refers_to)->name;
        return;
    }
    if (is_raw) {
        column->kind = field->type == VALUE_TEXT ? IMPORT_VERBATIM : IMPORT_INTEGER;
        return;
    }
    if (field->type == VALUE_INTEGER &&
        (strncmp(field->name, "is_", 3) == 0 || strncmp(field->name, "has_", 4) == 0))
        column->kind = IMPORT_BOOLEAN;
    for (size_t i = 0; i < SUFFIX_COUNT; i++) {
        if (!ends_with(field->name, SUFFIXES[i].text) || (field->type == VALUE_TEXT && !is_date))
            continue;
        column->kind = SUFFIXES[i].kind;
        column->argument =
            generic->decimal_mark == ',' ? SUFFIXES[i].comma_argument : SUFFIXES[i].argument;
        if (column->kind == IMPORT_DATE || column->kind == IMPORT_INSTANT)
            column->argument = generic->order;
    }
}

/* ---- the profile ---- */

/* "{column}"; a heading with a } in it can only be given by its number. */
static const char *template_of(struct bytes column, struct arena *arena)
{
    return arena_format(arena, "{%.*s}", (int)column.size, (const char *)column.data);
}

static enum result unknown_field(const struct catalog_table *table, struct bytes name,
                                 struct problem *problem)
{
    char list[360];
    size_t size = 0;

    for (uint8_t i = 1; i < table->column_count; i++) {
        size_t name_size = strlen(table->columns[i].name);

        if (!catalog_has_column(table, i) || i == table->home_column_no ||
            size + name_size + 2 >= sizeof list)
            continue;
        if (size > 0)
            list[size++] = ' ';
        memcpy(list + size, table->columns[i].name, name_size);
        size += name_size;
    }
    return problem_set(problem, RESULT_REFUSED, "table %s has no field \"%.*s\"; it has: %.*s",
                       table->name, (int)(name.size < 60 ? name.size : 60), (const char *)name.data,
                       (int)size, list);
}

static enum result add_column(const struct catalog *catalog, const struct catalog_table *table,
                              const struct import_generic *generic, const struct import_pair *pair,
                              struct arena *arena, struct import_column *columns, size_t *count,
                              struct problem *problem)
{
    const char *name =
        arena_format(arena, "%.*s", (int)pair->field.size, (const char *)pair->field.data);
    struct import_column *column = &columns[*count];
    const struct catalog_column *field;

    if (name == NULL)
        return arena_full(arena, problem);
    field = catalog_column_by_name(table, name);
    if (field == NULL || field->number == 0 || field->number == table->home_column_no)
        return unknown_field(table, pair->field, problem);
    for (size_t i = 0; i < *count; i++)
        if (strcmp(columns[i].name, name) == 0)
            return problem_set(problem, RESULT_REFUSED, "field %s is given twice", name);
    column->name = field->name;
    column->source = template_of(pair->column, arena);
    if (column->source == NULL)
        return arena_full(arena, problem);
    choose_kind(catalog, generic, field, column);
    (*count)++;
    return RESULT_OK;
}

/* A serial number is compared by its normal form, which nobody has in a file. */
static void add_normal_form(const struct catalog_table *table, struct import_column *columns,
                            size_t *count)
{
    const struct import_column *serial = NULL;

    for (size_t i = 0; i < *count; i++) {
        if (strcmp(columns[i].name, "serial_normalised") == 0)
            return;
        if (strcmp(columns[i].name, "serial") == 0)
            serial = &columns[i];
    }
    if (serial == NULL || catalog_column_by_name(table, "serial_normalised") == NULL ||
        strcmp(table->name, "asset") == 0) /* there a rule of the master does it */
        return;
    columns[*count] = (struct import_column){
        .name = "serial_normalised", .kind = IMPORT_SERIAL, .source = serial->source};
    (*count)++;
}

static enum result make_columns(const struct catalog *catalog, const struct catalog_table *table,
                                const struct import_generic *generic, struct arena *arena,
                                struct import_column *columns, struct problem *problem)
{
    bool by_heading = generic->pair_count == 0;
    size_t count = 0;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < generic->pair_count && result == RESULT_OK; i++)
        result = add_column(catalog, table, generic, &generic->pairs[i], arena, columns, &count,
                            problem);
    for (size_t i = 0; by_heading && i < generic->heading_count && result == RESULT_OK; i++) {
        const struct import_pair pair = {generic->heading[i], generic->heading[i]};

        if (!bytes_equal(pair.column, bytes_of_text("id")))
            result = add_column(catalog, table, generic, &pair, arena, columns, &count, problem);
    }
    if (result == RESULT_OK && count == 0)
        result = problem_set(problem, RESULT_REFUSED, "no column of the file is to be imported");
    if (result == RESULT_OK)
        add_normal_form(table, columns, &count);
    return result;
}

/* By which column rows are told apart. */
static const char *key_template(const struct import_generic *generic, struct arena *arena)
{
    if (generic->key != NULL)
        return template_of(bytes_of_text(generic->key), arena);
    if (generic->pair_count == 0)
        return "{id}";
    return template_of(generic->pairs[0].column, arena);
}

/* An item that has this code already is the same item. */
static const char *match_of(const struct catalog_table *table, const struct import_column *columns)
{
    bool has_code = false;

    for (; columns->name != NULL; columns++)
        has_code = has_code || strcmp(columns->name, "code") == 0;
    return has_code && (strcmp(table->name, "item") == 0 || strcmp(table->name, "asset_model") == 0)
               ? "code"
               : NULL;
}

enum result import_generic_profile(const struct catalog *catalog,
                                   const struct import_generic *generic, struct arena *arena,
                                   const struct import_profile **ret_profile,
                                   struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(catalog, generic->table);
    struct import_profile *profile = arena_alloc(arena, sizeof *profile);
    struct import_file *files = arena_array(arena, 2, sizeof *files);
    struct import_target *targets = arena_array(arena, 2, sizeof *targets);
    struct import_column *columns = arena_array(arena, ROW_COLUMNS_MAX + 2, sizeof *columns);
    enum result result;

    if (table == NULL || table->is_local)
        return problem_set(problem, RESULT_REFUSED, "there is no table %s", generic->table);
    if (profile == NULL || files == NULL || targets == NULL || columns == NULL)
        return arena_full(arena, problem);
    result = make_columns(catalog, table, generic, arena, columns, problem);
    if (result != RESULT_OK)
        return result;
    targets[0] = (struct import_target){.table = table->name,
                                        .key = key_template(generic, arena),
                                        .flags = IMPORT_MAIN,
                                        .match = match_of(table, columns),
                                        .columns = columns};
    if (targets[0].key == NULL)
        return arena_full(arena, problem);
    files[0].format.separator = generic->separator;
    files[0].format.encoding = generic->encoding;
    files[0].has_heading = true;
    files[0].targets = targets;
    profile->name = "csv";
    profile->help = "any table";
    profile->system = generic->system;
    profile->files = files;
    *ret_profile = profile;
    return RESULT_OK;
}

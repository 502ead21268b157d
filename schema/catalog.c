/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/catalog.h"

#include "base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const BUCKET_KIND_NAMES[BUCKET_KIND_COUNT] = {
    [BUCKET_SHARED] = "shared",
    [BUCKET_USER] = "user",
    [BUCKET_SITE] = "site",
    [BUCKET_CUSTOMER] = "customer",
    [BUCKET_COMMERCIAL] = "commercial",
    [BUCKET_LOCATION] = "location",
    [BUCKET_OFFICE] = "office",
    [BUCKET_SERVER] = "server",
};

static const char *const ROLE_NAMES[ROLE_COUNT] = {
    "technician", "dispatcher", "help_desk", "manager",  "warehouse", "purchasing",
    "billing",    "sales",      "admin",     "customer", "server",
};

static bool kind_is_known(uint64_t kind)
{
    return kind >= BUCKET_SHARED && kind < BUCKET_KIND_COUNT;
}

int64_t bucket_of(enum bucket_kind kind, int64_t id)
{
    invariant(kind_is_known((uint64_t)kind));
    invariant(id >= 0 && id <= ID_MAX);
    return (int64_t)((uint64_t)kind << BUCKET_ID_BITS | (uint64_t)id);
}

enum bucket_kind bucket_kind_of(int64_t bucket)
{
    return (enum bucket_kind)((uint64_t)bucket >> BUCKET_ID_BITS);
}

int64_t bucket_id_of(int64_t bucket)
{
    return bucket & ID_MAX;
}

static bool bucket_is_possible(int64_t bucket)
{
    return kind_is_known((uint64_t)bucket >> BUCKET_ID_BITS);
}

const char *bucket_kind_name(enum bucket_kind kind)
{
    if (!kind_is_known((uint64_t)kind))
        return "unknown";
    return BUCKET_KIND_NAMES[kind];
}

/* Kinds of which there is only one bucket, with id 0. */
static bool kind_is_single(enum bucket_kind kind)
{
    return kind == BUCKET_SHARED || kind == BUCKET_OFFICE || kind == BUCKET_SERVER;
}

void bucket_format(int64_t bucket, char ret_text[BUCKET_TEXT_SIZE])
{
    enum bucket_kind kind = bucket_kind_of(bucket);
    int64_t id = bucket_id_of(bucket);

    if (kind_is_single(kind) && id == 0)
        (void)snprintf(ret_text, BUCKET_TEXT_SIZE, "%s", bucket_kind_name(kind));
    else
        (void)snprintf(ret_text, BUCKET_TEXT_SIZE, "%s/%" PRId64, bucket_kind_name(kind), id);
}

const char *role_name(enum role role)
{
    for (unsigned n = 0; n < ROLE_COUNT; n++)
        if ((unsigned)role == 1u << n)
            return ROLE_NAMES[n];
    return "unknown";
}

bool role_from_name(const char *name, enum role *ret_role)
{
    for (unsigned n = 0; n < ROLE_COUNT; n++) {
        if (strcmp(name, ROLE_NAMES[n]) == 0) {
            *ret_role = (enum role)(1u << n);
            return true;
        }
    }
    return false;
}

const struct catalog_table *catalog_table_by_no(const struct catalog *catalog, int64_t number)
{
    if (number < 1 || (uint64_t)number >= catalog->table_count)
        return NULL;
    if (catalog->tables[number].name == NULL)
        return NULL;
    return &catalog->tables[number];
}

const struct catalog_table *catalog_table_by_name(const struct catalog *catalog, const char *name)
{
    for (size_t n = 1; n < catalog->table_count; n++) {
        const struct catalog_table *table = &catalog->tables[n];

        if (table->name != NULL && strcmp(table->name, name) == 0)
            return table;
    }
    return NULL;
}

const struct catalog_column *catalog_column_by_name(const struct catalog_table *table,
                                                    const char *name)
{
    for (uint8_t n = 0; n < table->column_count; n++)
        if (strcmp(table->columns[n].name, name) == 0)
            return &table->columns[n];
    return NULL;
}

bool catalog_has_column(const struct catalog_table *table, uint8_t number)
{
    return ((table->columns_mask | 1) >> number & 1) != 0;
}

struct catalog_column catalog_no_column(uint8_t number)
{
    return (struct catalog_column){.number = number, .name = "", .nullable = true};
}

/* All columns that the roles' grants for this op allow, taken together, among those without an own
 * column or with `own_column_no`. */
static uint64_t granted_mask(const struct catalog *catalog, unsigned roles, uint16_t table_no,
                             enum change_op op, uint8_t own_column_no, bool *ret_found)
{
    uint64_t mask = 0;

    *ret_found = false;
    for (size_t i = 0; i < catalog->grant_count; i++) {
        const struct catalog_grant *grant = &catalog->grants[i];

        if (grant->table_no != table_no || grant->op != op || ((unsigned)grant->role & roles) == 0)
            continue;
        if (grant->own_column_no != 0 && grant->own_column_no != own_column_no)
            continue;
        *ret_found = true;
        mask |= grant->mask;
    }
    return mask;
}

bool catalog_may(const struct catalog *catalog, unsigned roles, const struct catalog_table *table,
                 enum change_op op, uint64_t mask, uint8_t *ret_own_column_no)
{
    /* Without an own column first (0): a role that is free of the rule frees the user. */
    for (uint8_t own = 0; own < table->column_count; own++) {
        bool found = false;
        uint64_t allowed = granted_mask(catalog, roles, table->number, op, own, &found);

        if (found && (mask & ~allowed) == 0) {
            *ret_own_column_no = own;
            return true;
        }
    }
    return false;
}

static enum result home_bucket(const struct catalog_table *table, const struct value *values,
                               int64_t *ret_bucket, struct problem *problem)
{
    const struct value *home = NULL;

    invariant(table->home_column_no != 0); /* catalog_check */
    home = &values[table->home_column_no];
    if (home->type != VALUE_INTEGER || !bucket_is_possible(home->integer))
        return problem_set(problem, RESULT_REFUSED, "%s: column home isn't filled", table->name);
    *ret_bucket = home->integer;
    return RESULT_OK;
}

enum result catalog_bucket(const struct catalog_table *table, int64_t row_id,
                           const struct value *values, int64_t *ret_bucket, struct problem *problem)
{
    for (uint8_t i = 0; i < table->bucket_term_count; i++) {
        const struct bucket_term *term = &table->bucket_terms[i];
        struct value value = value_integer(row_id);

        if (term->source == BUCKET_CONSTANT) {
            *ret_bucket = bucket_of(term->kind, 0);
            return RESULT_OK;
        }
        if (term->source == BUCKET_GIVEN)
            return home_bucket(table, values, ret_bucket, problem);
        if (term->column_no != 0)
            value = values[term->column_no];
        if (value.type == VALUE_NULL)
            continue;
        if (term->source == BUCKET_INHERITED)
            return home_bucket(table, values, ret_bucket, problem);
        if (value.type != VALUE_INTEGER || value.integer < 0 || value.integer > ID_MAX)
            return problem_set(problem, RESULT_REFUSED, "%s: column %s can't be the id of a %s",
                               table->name, table->columns[term->column_no].name,
                               bucket_kind_name(term->kind));
        *ret_bucket = bucket_of(term->kind, value.integer);
        return RESULT_OK;
    }
    return problem_set(problem, RESULT_REFUSED,
                       "%s: the row belongs to no bucket: all of its "
                       "deciding columns are NULL",
                       table->name);
}

/* One term, without spaces around it, into `ret_term`; false if it can't be read. */
static bool parse_term(const struct catalog_table *table, struct bytes text,
                       struct bucket_term *ret_term)
{
    const uint8_t *colon = text.size == 0 ? NULL : memchr(text.data, ':', text.size);
    struct bytes head =
        bytes_of(text.data, colon == NULL ? text.size : (size_t)(colon - text.data));
    struct bytes column = {0};
    struct bucket_term term = {0};

    if (colon == NULL && bytes_equal(head, bytes_of_text("given"))) {
        *ret_term = (struct bucket_term){.source = BUCKET_GIVEN};
        return table->home_column_no != 0;
    }
    for (int kind = BUCKET_SHARED; kind < BUCKET_KIND_COUNT; kind++)
        if (bytes_equal(head, bytes_of_text(BUCKET_KIND_NAMES[kind])))
            term.kind = (enum bucket_kind)kind;
    if (colon == NULL) {
        term.source = BUCKET_CONSTANT;
        *ret_term = term;
        return term.kind != 0 && kind_is_single(term.kind);
    }
    term.source = term.kind != 0 ? BUCKET_COLUMN : BUCKET_INHERITED;
    if (term.kind == 0 && !bytes_equal(head, bytes_of_text("home")))
        return false;
    if (term.kind != 0 && kind_is_single(term.kind))
        return false;
    column = bytes_of(colon + 1, text.size - head.size - 1);
    for (uint8_t n = 0; n < table->column_count; n++) {
        if (column.size > 0 && bytes_equal(column, bytes_of_text(table->columns[n].name))) {
            term.column_no = n;
            *ret_term = term;
            return true;
        }
    }
    return false;
}

static struct bytes trimmed(struct bytes text)
{
    while (text.size > 0 && text.data[0] == ' ')
        text = bytes_of(text.data + 1, text.size - 1);
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    return text;
}

enum result catalog_parse_bucket_rule(struct catalog_table *table, const char *rule,
                                      struct problem *problem)
{
    const char *rest = rule;
    uint8_t count = 0;

    while (true) {
        size_t size = strcspn(rest, ",");
        struct bytes text = trimmed(bytes_of(rest, size));

        if (count == BUCKET_TERMS_MAX)
            return problem_set(problem, RESULT_REFUSED, "bucket rule of %s has more than %d terms",
                               table->name, (int)BUCKET_TERMS_MAX);
        if (!parse_term(table, text, &table->bucket_terms[count]))
            return problem_set(problem, RESULT_REFUSED,
                               "bucket rule of %s: '%.*s' is neither shared, office, server, given "
                               "(with a column home), <kind>:<column> nor home:<column>",
                               table->name, (int)(text.size > 80 ? 80 : text.size),
                               (const char *)text.data);
        count++;
        if (rest[size] == '\0')
            break;
        rest += size + 1;
    }
    table->bucket_term_count = count;
    return RESULT_OK;
}

/* From here on: looking for contradictions, once, at open. */

static enum result check_column(const struct catalog *catalog, const struct catalog_table *table,
                                uint8_t n, struct problem *problem)
{
    const struct catalog_column *column = &table->columns[n];

    if (column->name == NULL || column->number != n)
        return problem_set(problem, RESULT_REFUSED, "%s: column number %d is missing", table->name,
                           n);
    if (n > 0 && column->name[0] == '\0')
        return RESULT_OK; /* not in use: check_masks */
    if (catalog_column_by_name(table, column->name) != column)
        return problem_set(problem, RESULT_REFUSED, "%s: two columns are named %s", table->name,
                           column->name);
    if (strncmp(column->name, "_fs_", 4) == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "%s: column %s: names beginning with _fs_ are reserved", table->name,
                           column->name);
    if (column->type < VALUE_INTEGER || column->type > VALUE_BLOB)
        return problem_set(problem, RESULT_REFUSED, "%s: column %s has no type", table->name,
                           column->name);
    if (n > 0 && (column->merge < MERGE_LAST_WRITER || column->merge > MERGE_APPEND_ONLY))
        return problem_set(problem, RESULT_REFUSED, "%s: column %s has no merge rule", table->name,
                           column->name);
    if (n > 0 && column->merge == MERGE_APPEND_ONLY && !table->append_only)
        return problem_set(problem, RESULT_REFUSED,
                           "%s: column %s is append_only, but the table isn't: use write_once",
                           table->name, column->name);
    if (n > 0 && table->append_only && column->merge == MERGE_LAST_WRITER)
        return problem_set(problem, RESULT_REFUSED,
                           "%s: column %s is last_writer in an append_only table", table->name,
                           column->name);
    if (column->refers_to != 0 && catalog_table_by_no(catalog, column->refers_to) == NULL)
        return problem_set(problem, RESULT_REFUSED, "%s: column %s refers to table %d: no such one",
                           table->name, column->name, column->refers_to);
    for (uint8_t m = 1; m < n; m++)
        if (column->group_no != 0 && table->columns[m].group_no == column->group_no &&
            table->columns[m].merge != column->merge)
            return problem_set(problem, RESULT_REFUSED,
                               "%s: columns %s and %s are of one group but have two merge rules",
                               table->name, table->columns[m].name, column->name);
    return RESULT_OK;
}

static enum result check_masks(const struct catalog_table *table, struct problem *problem)
{
    uint64_t all = 0;
    uint64_t server_only = 0;

    for (uint8_t n = 1; n < table->column_count; n++) {
        if (table->columns[n].name[0] == '\0')
            continue;
        all |= UINT64_C(1) << n;
        if (table->columns[n].merge == MERGE_SERVER_ONLY)
            server_only |= UINT64_C(1) << n;
    }
    if (table->columns_mask != all || table->server_only_mask != server_only)
        return problem_set(problem, RESULT_REFUSED, "%s: masks don't match its columns",
                           table->name);
    if (table->home_column_no != 0 &&
        (table->home_column_no >= table->column_count ||
         table->columns[table->home_column_no].type != VALUE_INTEGER ||
         table->columns[table->home_column_no].merge != MERGE_SERVER_ONLY))
        return problem_set(problem, RESULT_REFUSED,
                           "%s: column home must be an integer and server_only", table->name);
    return RESULT_OK;
}

static enum result check_bucket_rule(const struct catalog_table *table, struct problem *problem)
{
    if (table->bucket_term_count == 0 || table->bucket_term_count > BUCKET_TERMS_MAX)
        return problem_set(problem, RESULT_REFUSED, "%s has no bucket rule", table->name);
    for (uint8_t i = 0; i < table->bucket_term_count; i++) {
        const struct bucket_term *term = &table->bucket_terms[i];
        const struct catalog_column *column = &table->columns[term->column_no];

        if (term->column_no >= table->column_count)
            return problem_set(problem, RESULT_REFUSED, "%s: bucket rule names column %d",
                               table->name, term->column_no);
        if (term->source == BUCKET_COLUMN && column->type != VALUE_INTEGER)
            return problem_set(problem, RESULT_REFUSED,
                               "%s: bucket rule: column %s isn't an integer", table->name,
                               column->name);
        if ((term->source == BUCKET_INHERITED || term->source == BUCKET_GIVEN) &&
            table->home_column_no == 0)
            return problem_set(problem, RESULT_REFUSED,
                               "%s: an inherited or given bucket needs a column home", table->name);
        if (term->source == BUCKET_INHERITED && column->refers_to == 0)
            return problem_set(problem, RESULT_REFUSED,
                               "%s: bucket rule: column %s refers to no table", table->name,
                               column->name);
    }
    return RESULT_OK;
}

static enum result check_key(const struct catalog_table *table, struct problem *problem)
{
    if (table->key_column_count > CATALOG_KEY_COLUMNS_MAX)
        return problem_set(problem, RESULT_REFUSED, "%s: natural key of more than %d columns",
                           table->name, (int)CATALOG_KEY_COLUMNS_MAX);
    for (uint8_t i = 0; i < table->key_column_count; i++)
        if (table->key_columns[i] == 0 || table->key_columns[i] >= table->column_count)
            return problem_set(problem, RESULT_REFUSED, "%s: natural key names column %d",
                               table->name, table->key_columns[i]);
    return RESULT_OK;
}

static enum result check_table(const struct catalog *catalog, size_t number,
                               struct problem *problem)
{
    const struct catalog_table *table = &catalog->tables[number];
    enum result result = RESULT_OK;

    if (table->number != number)
        return problem_set(problem, RESULT_REFUSED, "%s: number %d at place %zu", table->name,
                           table->number, number);
    if (catalog_table_by_name(catalog, table->name) != table)
        return problem_set(problem, RESULT_REFUSED, "two tables are named %s", table->name);
    if (table->column_count < 2 || table->column_count > ROW_COLUMNS_MAX + 1)
        return problem_set(problem, RESULT_REFUSED, "%s has %d columns besides the id, not 1 to %d",
                           table->name, table->column_count - 1, (int)ROW_COLUMNS_MAX);
    if (table->delete_rule < DELETE_NEVER || table->delete_rule > REFUSE_IF_CHILDREN)
        return problem_set(problem, RESULT_REFUSED, "%s has no delete rule", table->name);
    if (strcmp(table->columns[0].name == NULL ? "" : table->columns[0].name, "id") != 0)
        return problem_set(problem, RESULT_REFUSED, "%s: column 0 must be id", table->name);
    for (uint8_t n = 0; n < table->column_count && result == RESULT_OK; n++)
        result = check_column(catalog, table, n, problem);
    if (result == RESULT_OK)
        result = check_masks(table, problem);
    if (result == RESULT_OK && !table->is_local)
        result = check_bucket_rule(table, problem);
    if (result == RESULT_OK)
        result = check_key(table, problem);
    return result;
}

/* Does some inherited term of the table lead to one that isn't known to end yet? */
static bool waits_for_parent(const struct catalog *catalog, const struct catalog_table *table,
                             const bool *ends)
{
    for (uint8_t i = 0; i < table->bucket_term_count; i++) {
        const struct bucket_term *term = &table->bucket_terms[i];

        if (term->source == BUCKET_INHERITED &&
            !ends[catalog_table_by_no(catalog, table->columns[term->column_no].refers_to)->number])
            return true;
    }
    return false;
}

/* Takes away tables whose parents all end, until nothing changes: what is left is a circle. */
static enum result check_circles(const struct catalog *catalog, struct problem *problem)
{
    bool ends[CATALOG_TABLES_MAX + 1] = {0};
    bool moved = true;

    while (moved) {
        moved = false;
        for (size_t n = 1; n < catalog->table_count; n++) {
            const struct catalog_table *table = &catalog->tables[n];

            if (ends[n] || (table->name != NULL && waits_for_parent(catalog, table, ends)))
                continue;
            ends[n] = true;
            moved = true;
        }
    }
    for (size_t n = 1; n < catalog->table_count; n++)
        if (!ends[n])
            return problem_set(problem, RESULT_REFUSED,
                               "%s: its bucket is inherited in a circle, or from one",
                               catalog->tables[n].name);
    return RESULT_OK;
}

static enum result check_grant(const struct catalog *catalog, const struct catalog_grant *grant,
                               struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_no(catalog, grant->table_no);

    if (table == NULL)
        return problem_set(problem, RESULT_REFUSED, "a grant speaks of table %d: no such one",
                           grant->table_no);
    if (table->is_local)
        return problem_set(problem, RESULT_REFUSED, "grant on %s: the table is local", table->name);
    if (table->append_only && grant->op != CHANGE_INSERT)
        return problem_set(problem, RESULT_REFUSED,
                           "grant of %s on %s: rows of an append_only table are only inserted",
                           role_name(grant->role), table->name);
    if (table->delete_rule == DELETE_NEVER && grant->op == CHANGE_DELETE)
        return problem_set(problem, RESULT_REFUSED, "grant of %s on %s: its delete rule is never",
                           role_name(grant->role), table->name);
    if ((grant->mask & ~table->columns_mask) != 0)
        return problem_set(problem, RESULT_REFUSED, "grant of %s on %s: no such column",
                           role_name(grant->role), table->name);
    if ((grant->mask & table->server_only_mask) != 0)
        return problem_set(problem, RESULT_REFUSED, "grant of %s on %s: a column is server_only",
                           role_name(grant->role), table->name);
    if (grant->own_column_no >= table->column_count)
        return problem_set(problem, RESULT_REFUSED, "grant of %s on %s: no such own column",
                           role_name(grant->role), table->name);
    return RESULT_OK;
}

enum result catalog_check(const struct catalog *catalog, struct problem *problem)
{
    enum result result = RESULT_OK;

    if (catalog->table_count > CATALOG_TABLES_MAX + 1)
        return problem_set(problem, RESULT_REFUSED, "table numbers above %d",
                           (int)CATALOG_TABLES_MAX);
    for (size_t n = 1; n < catalog->table_count && result == RESULT_OK; n++)
        if (catalog->tables[n].name != NULL)
            result = check_table(catalog, n, problem);
    if (result == RESULT_OK)
        result = check_circles(catalog, problem);
    for (size_t i = 0; i < catalog->grant_count && result == RESULT_OK; i++)
        result = check_grant(catalog, &catalog->grants[i], problem);
    for (size_t i = 0; i < catalog->watch_count && result == RESULT_OK; i++)
        if (catalog_table_by_no(catalog, catalog->watches[i].table_no) == NULL)
            result = problem_set(problem, RESULT_REFUSED, "a watch speaks of table %d: no such one",
                                 catalog->watches[i].table_no);
    return result;
}

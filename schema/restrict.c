/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/restrict.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const CATALOG_TABLES[] = {
    "fs_table", "fs_column", "fs_grant", "fs_subscription", "fs_watch", NULL,
};

/* What ALTER TABLE and the DEFAULTs and CHECKs of ordinary tables call. */
static const char *const FUNCTIONS[] = {
    "abs",
    "coalesce",
    "glob",
    "ifnull",
    "instr",
    "length",
    "like",
    "lower",
    "max",
    "min",
    "nullif",
    "printf",
    "quote",
    "replace",
    "round",
    "substr",
    "trim",
    "typeof",
    "upper",
    "sqlite_rename_quotefix",
    "sqlite_rename_test",
    NULL,
};

/* These rename or drop a column. SQLite lets nobody but ALTER TABLE call them. */
static const char *const COLUMN_FUNCTIONS[] = {"sqlite_rename_column", "sqlite_drop_column", NULL};

static bool is_in(const char *const *names, const char *name)
{
    for (; *names != NULL; names++)
        if (name != NULL && strcasecmp(*names, name) == 0)
            return true;
    return false;
}

static bool begins(const char *name, const char *prefix)
{
    return name == NULL || strncasecmp(name, prefix, strlen(prefix)) == 0;
}

/* Tables, indexes and views of the model and of companies. */
static bool is_ordinary(const char *name)
{
    return !begins(name, "sqlite_") && !begins(name, "fs_") && !begins(name, "_fs_");
}

/* Defensive mode keeps everybody but CREATE and ALTER from writing to it. */
static bool is_schema_table(const char *name)
{
    return name != NULL &&
           (strcasecmp(name, "sqlite_master") == 0 || strcasecmp(name, "sqlite_schema") == 0 ||
            strcasecmp(name, "sqlite_temp_master") == 0 ||
            strcasecmp(name, "sqlite_temp_schema") == 0);
}

static bool is_index(const char *index, const char *table)
{
    /* SQLite's own of a UNIQUE: sqlite_autoindex_... */
    return is_ordinary(table) && (is_ordinary(index) || begins(index, "sqlite_autoindex_"));
}

static bool may_call(enum restrict_mode mode, const char *function)
{
    return is_in(FUNCTIONS, function) ||
           (mode == RESTRICT_COMPANY && is_in(COLUMN_FUNCTIONS, function));
}

static bool is_allowed(enum restrict_mode mode, int action, const char *a, const char *b)
{
    switch (action) {
    case SQLITE_SELECT:
        return true;
    case SQLITE_READ:
        return is_ordinary(a) || is_in(CATALOG_TABLES, a) || is_schema_table(a);
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_VIEW:
        return is_ordinary(a);
    case SQLITE_CREATE_INDEX:
    case SQLITE_DROP_INDEX:
        return is_index(a, b);
    case SQLITE_REINDEX: /* CREATE INDEX fills it */
        return true;
    case SQLITE_ALTER_TABLE: /* a: the database */
        return a != NULL && strcasecmp(a, "main") == 0 && is_ordinary(b);
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return is_in(CATALOG_TABLES, a) || is_schema_table(a);
    case SQLITE_PRAGMA: /* ADD COLUMN with a CHECK looks whether the rows pass */
        return a != NULL && strcasecmp(a, "quick_check") == 0;
    case SQLITE_FUNCTION: /* b: its name */
        return may_call(mode, b);
    default:
        return false;
    }
}

static int authorize(void *context, int action, const char *a, const char *b, const char *schema,
                     const char *cause)
{
    struct restriction *restriction = context;
    bool is_ours = schema == NULL || strcasecmp(schema, "main") == 0 || action == SQLITE_READ ||
                   action == SQLITE_ALTER_TABLE || /* it is a column's name there */
                   is_schema_table(a);             /* ALTER looks for temporary triggers, too */

    (void)cause;
    if (is_ours && is_allowed(restriction->mode, action, a, b))
        return SQLITE_OK;
    if (restriction->refused[0] == '\0')
        (void)snprintf(restriction->refused, sizeof restriction->refused,
                       "a script from the server may not do this (action %d%s%.50s%s%.50s)", action,
                       a == NULL ? "" : ", ", a == NULL ? "" : a, b == NULL ? "" : ", ",
                       b == NULL ? "" : b);
    return SQLITE_DENY;
}

void restrict_begin(struct restriction *restriction, enum restrict_mode mode,
                    struct sql_database *database)
{
    *restriction = (struct restriction){.mode = mode};
    (void)sqlite3_set_authorizer(sql_handle(database), authorize, restriction);
}

void restrict_end(struct sql_database *database)
{
    (void)sqlite3_set_authorizer(sql_handle(database), NULL, NULL);
}

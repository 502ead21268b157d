/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.h: the tables, columns, buckets, merge rules and rights, as loaded from the fs_ tables.
 *
 * The catalog is data: a new table needs SQL and catalog rows, no C. It is loaded once, checked
 * (catalog_check), and then only read; pointers into it live as long as the catalog. Pure: the
 * loading itself is in schema/load.h. */
#pragma once

#include "schema/row.h"

/* How a column's concurrent edits are settled on the server. */
enum merge_rule {
    MERGE_LAST_WRITER = 1, /* later corrected edit time wins; the loser goes to merge_loss */
    MERGE_WRITE_ONCE = 2,  /* first arrival stays; a different later one goes to review_item */
    MERGE_SERVER_ONLY = 3, /* devices may not write it, not even in an insert */
    MERGE_APPEND_ONLY = 4, /* set by the insert, never changed (all columns of a fact table) */
};

/* What happens when a delete meets edits that its author had not seen. */
enum delete_rule {
    DELETE_NEVER = 1,       /* devices may not delete */
    DELETE_WINS = 2,        /* later edits of the row are answered "gone" */
    EDIT_REVIVES = 3,       /* the delete is overruled */
    REFUSE_IF_CHILDREN = 4, /* refused while rows refer to it */
};

/* A bucket is the unit of partial replication. Its number is kind << 53 | id, so buckets sort by
 * kind and a bucket number fits an int64. */
enum bucket_kind {
    BUCKET_SHARED = 1,     /* id 0: everybody */
    BUCKET_USER = 2,       /* one person's own rows */
    BUCKET_SITE = 3,       /* assets, calls, work and history of a site */
    BUCKET_CUSTOMER = 4,   /* customer card, contacts; calls without a site */
    BUCKET_COMMERCIAL = 5, /* money of a customer: office roles only */
    BUCKET_LOCATION = 6,   /* stock of a warehouse or van */
    BUCKET_OFFICE = 7,     /* id 0: rows for office roles that belong to no customer */
    BUCKET_SERVER = 8,     /* id 0: never leaves the server */
};
enum { BUCKET_KIND_COUNT = 9, BUCKET_ID_BITS = 53 };

int64_t bucket_of(enum bucket_kind kind, int64_t id);
enum bucket_kind bucket_kind_of(int64_t bucket);
int64_t bucket_id_of(int64_t bucket);
const char *bucket_kind_name(enum bucket_kind kind); /* "site", ... */
/* "site/17" or "shared"; for traces and the explain command. */
enum { BUCKET_TEXT_SIZE = 40 };
void bucket_format(int64_t bucket, char ret_text[BUCKET_TEXT_SIZE]);

/* One step of a table's bucket rule; the first whose column is not NULL decides. */
enum bucket_source {
    BUCKET_CONSTANT = 1,  /* shared, office, server */
    BUCKET_COLUMN = 2,    /* kind and the id in `column_no` (may be column 0, the row's own id) */
    BUCKET_INHERITED = 3, /* the bucket of the row that `column_no` refers to */
    BUCKET_GIVEN = 4,     /* column `home` as the server wrote it */
};

struct bucket_term {
    enum bucket_source source;
    enum bucket_kind kind; /* CONSTANT and COLUMN */
    uint8_t column_no;     /* COLUMN and INHERITED */
};

enum { BUCKET_TERMS_MAX = 6, CATALOG_KEY_COLUMNS_MAX = 4, CATALOG_TABLES_MAX = 1023 };

struct catalog_column {
    uint8_t number; /* position in rows and masks; 0 is the id */
    const char *name;
    enum value_type type; /* never VALUE_NULL */
    bool nullable;
    enum merge_rule merge;
    uint8_t group_no;           /* 0: alone; columns of one group win or lose together */
    uint16_t refers_to;         /* table number, 0: nothing */
    struct value default_value; /* literal DEFAULT of the SQL column, VALUE_NULL if it has none */
    uint16_t since;             /* script in which it came, 0: there from the start */
};

/* A column that was dropped, as it was: who speaks an older schema still has it. In its table its
 * number stays free for ever (catalog_has_column). */
struct catalog_dropped {
    uint16_t table_no;
    uint16_t until; /* script that dropped it */
    struct catalog_column column;
};

struct catalog_table {
    uint16_t number; /* from 1, never reused */
    const char *name;
    uint16_t since;       /* script in which it came, 0: there from the start */
    uint8_t column_count; /* with the id and numbers that aren't in use: the highest number + 1 */
    const struct catalog_column *columns;
    bool append_only;
    bool is_local; /* never captured, never sent: it has no bucket and no grants */
    enum delete_rule delete_rule;
    uint8_t home_column_no; /* column `home` where the bucket is stored, 0: computed from columns */
    uint8_t bucket_term_count;
    struct bucket_term bucket_terms[BUCKET_TERMS_MAX];
    /* Natural key: a second insert with the same values is the same row (merged into the first). */
    uint8_t key_column_count; /* 0: none */
    uint8_t key_columns[CATALOG_KEY_COLUMNS_MAX];
    uint64_t columns_mask;     /* all columns but the id; a number outside of it has no column */
    uint64_t server_only_mask; /* columns that devices may not write; home is one of them */
    uint64_t scope_mask; /* columns that a subscription reads (scopes.h); 0: it reads nothing */
};

/* Roles are bits, in the order of the catalog's role names. */
enum role {
    ROLE_TECHNICIAN = 1 << 0,
    ROLE_DISPATCHER = 1 << 1,
    ROLE_HELP_DESK = 1 << 2,
    ROLE_MANAGER = 1 << 3,
    ROLE_WAREHOUSE = 1 << 4,
    ROLE_PURCHASING = 1 << 5,
    ROLE_BILLING = 1 << 6,
    ROLE_SALES = 1 << 7,
    ROLE_ADMIN = 1 << 8,
    ROLE_CUSTOMER = 1 << 9, /* speaks through somebody else; has no device */
    ROLE_SERVER = 1 << 10,  /* a server job, no person */
};
enum { ROLE_COUNT = 11 };
const char *role_name(enum role role); /* "technician", ... */
bool role_from_name(const char *name, enum role *ret_role);

/* What a role may do with a table from a device. */
struct catalog_grant {
    uint16_t table_no;
    enum role role;
    enum change_op op;
    uint64_t mask;         /* columns that may be set (insert, update) */
    uint8_t own_column_no; /* this column must hold the author's user id, 0: no such rule */
};

/* SQL that yields the buckets (kind name, id) of a user: ?1 user id, ?2 now in microseconds. */
struct catalog_subscription {
    enum role role;
    const char *sql;
};

/* SQL that yields the ids of users whose subscription a change of this table's row may alter:
 * ?1 row id. Run before and after the change. */
struct catalog_watch {
    uint16_t table_no;
    const char *sql;
};

/* A script of the company that has run, and what its version is called (catalog_version.h). */
struct catalog_step {
    uint16_t number;
    uint32_t check;
};

struct catalog {
    int64_t schema_version; /* catalog_version.h says what is in it */
    /* Tables are indexed by number: tables[1] to tables[table_count - 1]; a number that is not in
     * use has a NULL name. */
    size_t table_count;
    const struct catalog_table *tables;
    size_t grant_count;
    const struct catalog_grant *grants;
    size_t subscription_count;
    const struct catalog_subscription *subscriptions;
    size_t watch_count;
    const struct catalog_watch *watches;
    size_t dropped_count;
    const struct catalog_dropped *dropped;
    size_t step_count; /* ascending */
    const struct catalog_step *steps;
};

/* Is this number in use? The id's always is. */
bool catalog_has_column(const struct catalog_table *table, uint8_t number);

/* NULL if there is no such table or column. */
const struct catalog_table *catalog_table_by_no(const struct catalog *catalog, int64_t number);
const struct catalog_table *catalog_table_by_name(const struct catalog *catalog, const char *name);
const struct catalog_column *catalog_column_by_name(const struct catalog_table *table,
                                                    const char *name);

/* May any of `roles` do `op` on these columns? ret_own_column_no: the column that must hold the
 * author's user id, 0 if one of the matching grants has no such rule. */
bool catalog_may(const struct catalog *catalog, unsigned roles, const struct catalog_table *table,
                 enum change_op op, uint64_t mask, uint8_t *ret_own_column_no);

/* The home bucket of a row by its own columns. Inherited terms need column `home` to be filled
 * (values[home_column_no]); RESULT_REFUSED if it isn't or if no term applies. */
MUST_CHECK enum result catalog_bucket(const struct catalog_table *table, int64_t row_id,
                                      const struct value *values, int64_t *ret_bucket,
                                      struct problem *problem);

/* Parses a bucket rule of fs_table: terms separated by commas, tried in order. "shared", "office",
 * "server", "given", "<kind>:<column>", "home:<column>". RESULT_REFUSED names the bad term. */
MUST_CHECK enum result catalog_parse_bucket_rule(struct catalog_table *table, const char *rule,
                                                 struct problem *problem);

/* What stands in a number that isn't in use: no name, NULL, never in columns_mask. */
struct catalog_column catalog_no_column(uint8_t number);

/* Everything a loaded catalog must satisfy: numbers unique and in range, references to existing
 * tables, no cycle in inherited buckets, inherited terms only where a `home` column exists and
 * refers to a table, natural keys of existing columns, groups within one rule, grants of existing
 * columns and never of server_only ones, append_only tables without update or delete grants. */
MUST_CHECK enum result catalog_check(const struct catalog *catalog, struct problem *problem);

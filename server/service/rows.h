/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h: small readings of rows that all rules of this room share.
 *
 * Failures of everything here: those of work_row and work_query (store.h); the caller passes them
 * on. Texts live in the work's arena. */
#pragma once

#include "server/store/work.h"

/* The server itself, now: whose change a consequence is. */
struct author rows_server(const struct work *work);

/* A column of the changed row as it is after the change; `otherwise` for NULL. The column must
 * exist. */
int64_t change_integer(const struct work_change *change, const char *column, int64_t otherwise);
struct bytes change_text(const struct work_change *change, const char *column);
bool change_is_insert(const struct work_change *change);
/* Inserted with this column, or updated in it. */
bool change_sets(const struct work_change *change, const char *column);

/* A column of any row as this work has it; `otherwise` for NULL and for a row that doesn't exist.
 */
MUST_CHECK enum result row_integer(struct work *work, const char *table_name, int64_t id,
                                   const char *column, int64_t otherwise, int64_t *ret_value,
                                   struct problem *problem);
/* The same for text, with a closing NUL; NULL for NULL. */
MUST_CHECK enum result row_text(struct work *work, const char *table_name, int64_t id,
                                const char *column, const char **ret_text, struct problem *problem);
/* Home bucket of a row; RESULT_REFUSED if there is no such row. */
MUST_CHECK enum result row_bucket(struct work *work, const char *table_name, int64_t id,
                                  int64_t *ret_bucket, struct problem *problem);

/* A text of a query result with a closing NUL; NULL for NULL. */
MUST_CHECK enum result cell_text(struct work *work, const struct store_result *result, size_t row,
                                 size_t column, const char **ret_text, struct problem *problem);

/* First column of the first row of a query; `otherwise` if there is none or it is NULL. */
MUST_CHECK enum result query_integer(struct work *work, const char *sql,
                                     const struct value *parameters, size_t parameter_count,
                                     int64_t otherwise, int64_t *ret_value,
                                     struct problem *problem);

/* 0 becomes NULL: for columns that refer to nothing. */
struct value value_id(int64_t id);

/* ---- with what right ---- */

enum { ROLES_TEXT_SIZE = 160 };

/* Roles that a person has now; user_id 0 is the server. */
MUST_CHECK enum result roles_of(struct work *work, int64_t user_id, unsigned *ret_roles,
                                struct problem *problem);
/* "dispatcher,manager": as stored with an event. */
void roles_format(unsigned roles, char ret_text[ROLES_TEXT_SIZE]);
unsigned roles_parse(struct bytes text); /* names that are unknown here count for nothing */

/* Fills by_roles and accepted_n of an event that a device or another program has inserted, if it
 * has none: with what right, and in which order of the events of `parent_column`'s row. */
MUST_CHECK enum result event_accept(struct work *work, const struct work_change *change,
                                    const char *sql_next, int64_t parent_id,
                                    struct problem *problem);

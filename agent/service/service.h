/* SPDX-License-Identifier: Apache-2.0 */
/* service.h: what a technician does, as plain SQL on the replica, one transaction an action.
 *
 * The other headers of this room are its subjects: calls, activities, work_log, parts, van,
 * expenses, photos, notes, reports, signatures, inbox, search. They write like any other program
 * (the triggers capture it) and never wait for a network. Whether the server agrees shows later, in
 * states and in the inbox.
 *
 * Everywhere: RESULT_REFUSED is about what was asked, in words for the person who asked, and
 * nothing was written; RESULT_WAIT: another program is writing, ask again; RESULT_EXHAUSTED: disk
 * or memory; RESULT_STORAGE: the file is in trouble. Times are microseconds since 1970, UTC. */
#pragma once

#include "agent/replica/replica.h"
#include "base/blob_store.h"
#include "domain/reason.h"

struct service {
    struct replica *replica;         /* borrowed */
    struct blob_store *blobs;        /* borrowed; NULL: no attachments */
    struct wall_time now;            /* of this action */
    struct replica_identity who;     /* whose device this is */
    unsigned roles;                  /* set of enum role: as the replica knows them */
    enum reason_language language;   /* of the person who asks; service_begin: English */
    const uint8_t *sign_secret_seed; /* Ed25519 seed of the device, 32 bytes; NULL: can't sign */
};

/* Reads who we are. RESULT_REFUSED: not enrolled, or nothing has been received yet. */
MUST_CHECK enum result service_begin(struct replica *replica, struct blob_store *blobs,
                                     struct wall_time now, struct service *ret_service,
                                     struct problem *problem);

/* ---- lists ----------------------------------------------------------------------------------- */

enum listing_kind {
    LISTING_TEXT,
    LISTING_ID,     /* a row's id, in full */
    LISTING_NUMBER, /* a plain number */
    LISTING_TIME,   /* microseconds since 1970 */
    LISTING_MILLI,  /* thousandths: 1500 is 1.5 */
    LISTING_CENTS,  /* hundredths of a currency */
    LISTING_FLAG,   /* 0 or 1 */
    LISTING_REASON, /* the query gives a reason's code, the listing its sentence */
};

struct listing_column {
    const char *name;  /* of the JSON member */
    const char *title; /* of the table's column; NULL: only in JSON */
    enum listing_kind kind;
};

/* Rows as pages and commands show them; memory of the arena it was made in. */
struct listing {
    size_t column_count;
    const struct listing_column *columns;
    size_t row_count;
    const struct value *values; /* row_count * column_count */
};

/* A listing is a SELECT and the meaning of its columns. */
struct listing_query {
    const char *sql;
    size_t column_count;
    const struct listing_column *columns;
};
#define LISTING_QUERY(text, table)                                                                 \
    {                                                                                              \
        .sql = (text), .column_count = sizeof(table) / sizeof(table)[0], .columns = (table)        \
    }
MUST_CHECK enum result service_list(struct service *service, const struct listing_query *query,
                                    const struct value *parameters, size_t parameter_count,
                                    struct arena *arena, struct listing *ret_listing,
                                    struct problem *problem);

/* ---- for the subjects ------------------------------------------------------------------------ */

/* The last two parameters of calls that take values. */
#define SERVICE_VALUES(...)                                                                        \
    (const struct value[]){__VA_ARGS__},                                                           \
        sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value)

struct value service_id(int64_t id); /* 0 gives NULL */

/* An action between begin and end: end commits if `result` is RESULT_OK and undoes otherwise. */
MUST_CHECK enum result service_change_begin(struct service *service, struct problem *problem);
MUST_CHECK enum result service_change_end(struct service *service, enum result result,
                                          bool is_durable, struct problem *problem);
/* Inside an action: a statement whose ?1 is a new id, and whose ?2... are the values. */
MUST_CHECK enum result service_insert(struct service *service, const char *sql,
                                      const struct value *values, size_t value_count,
                                      int64_t *ret_id, struct problem *problem);
/* One row or none: ret_values has `column_count` values then, NULLs without a row. */
MUST_CHECK enum result service_row(struct service *service, const char *sql,
                                   const struct value *parameters, size_t parameter_count,
                                   struct arena *arena, const struct value **ret_values,
                                   bool *ret_found, struct problem *problem);
/* A NUL-terminated copy of a text value; "" for NULL and what is no text. */
const char *service_text(struct arena *arena, const struct value *value);
int64_t service_integer(const struct value *value); /* 0 for what is no integer */

/* What a person wrote for a row: its id, or a name that only one row has. RESULT_REFUSED says what
 * was found instead. An activity may also be named by its call if that has one open one of ours. */
MUST_CHECK enum result service_find_call(struct service *service, const char *name, int64_t *ret_id,
                                         struct problem *problem);
MUST_CHECK enum result service_find_activity(struct service *service, const char *name,
                                             int64_t *ret_id, struct problem *problem);
MUST_CHECK enum result service_find_site(struct service *service, const char *name, int64_t *ret_id,
                                         struct problem *problem);
MUST_CHECK enum result service_find_item(struct service *service, const char *name, int64_t *ret_id,
                                         struct problem *problem);
MUST_CHECK enum result service_find_asset(struct service *service, const char *name,
                                          int64_t *ret_id, struct problem *problem);

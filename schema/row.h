/* SPDX-License-Identifier: Apache-2.0 */
/* row.h: values, rows and changes of rows, as both sides hold them in memory.
 *
 * Nothing here owns memory: values borrow their bytes from the arena or message they came from.
 * Column 0 of every replicated table is its id; the other columns are numbered from 1 in catalog
 * order. A mask has bit n set for column n. */
#pragma once

#include "base/arena.h"
#include "base/instant.h"

enum { ROW_COLUMNS_MAX = 62 }; /* one 64-bit mask word, two bits to spare */

enum value_type {
    VALUE_NULL = 0,
    VALUE_INTEGER = 1,
    VALUE_REAL = 2,
    VALUE_TEXT = 3, /* UTF-8 without NUL */
    VALUE_BLOB = 4,
};

struct value {
    enum value_type type;
    union {
        int64_t integer;
        double real; /* never NaN or infinite */
        struct bytes bytes;
    };
};

struct value value_null(void);
struct value value_integer(int64_t integer);
struct value value_real(double real);
struct value value_text(struct bytes text);
struct value value_text_of(const char *text); /* NULL gives VALUE_NULL */
struct value value_blob(struct bytes blob);
/* Same type and same content; two NULLs are equal; -0.0 equals 0.0. */
bool value_equal(const struct value *a, const struct value *b);
/* Copies text and blob into the arena. */
MUST_CHECK enum result value_copy(struct arena *arena, const struct value *value,
                                  struct value *ret_copy, struct problem *problem);

/* Ids: replica number << 33 | counter, 53 bits in all, so that they fit a JavaScript number.
 * Replica 0 is the server. */
enum { ID_COUNTER_BITS = 33, ID_REPLICA_BITS = 20 };
#define ID_COUNTER_MAX ((INT64_C(1) << ID_COUNTER_BITS) - 1)
#define ID_REPLICA_MAX ((INT64_C(1) << ID_REPLICA_BITS) - 1)
#define ID_MAX         ((INT64_C(1) << (ID_COUNTER_BITS + ID_REPLICA_BITS)) - 1)
int64_t id_of(int64_t replica_no, int64_t counter);
int64_t id_replica_no(int64_t id);
int64_t id_counter(int64_t id);

enum change_op {
    CHANGE_INSERT = 1,
    CHANGE_UPDATE = 2,
    CHANGE_DELETE = 3,
};

/* One edit of one row as its author made it, on its way to the master. */
struct change {
    int64_t lcn; /* the author's local change number, from 1; of several coalesced ones the last */
    uint16_t table_no;
    enum change_op op;
    int64_t row_id;
    uint64_t mask;              /* columns that are set; bit 0 never; 0 for a delete */
    int64_t base_seq;           /* published head that the author had seen when editing */
    struct wall_time edited_at; /* as corrected by the device; the server clamps it */
    struct value
        *values; /* indexed by column number, as many as the table has; only those in mask */
};

/* One row as the server sends it: whole (mask has all columns) or only what is newer. */
struct row_image {
    uint16_t table_no;
    int64_t row_id;
    int64_t seq; /* of the row's newest change */
    uint64_t mask;
    struct value *values; /* indexed by column number; values[0] is unused */
};

/* A row that is no longer in a bucket. */
enum gone_kind {
    GONE_DELETED = 1, /* the row no longer exists */
    GONE_LEFT = 2,    /* the row lives on in another bucket */
};

struct gone {
    enum gone_kind kind;
    uint16_t table_no;
    int64_t row_id;
    int64_t seq;
};

/* What the server answers for one change. */
enum verdict_kind {
    VERDICT_APPLIED = 0,   /* stored as sent */
    VERDICT_MERGED = 1,    /* stored, but the row differs from what the author holds: echoed */
    VERDICT_OVERRULED = 2, /* a newer value of somebody else stays; the loser is in merge_loss */
    VERDICT_PARKED = 3,    /* kept in review_item for a person to decide */
    VERDICT_REFUSED = 4,   /* not allowed or not valid; kept in review_item with the reason */
    VERDICT_GONE = 5,      /* the row was deleted meanwhile */
};

const char *verdict_name(enum verdict_kind kind); /* "applied", "merged", ... */

/* SPDX-License-Identifier: Apache-2.0 */
/* fields.h: the plain fields of a message as a table, from which both directions follow.
 *
 * A message struct has a `static const struct field` table: one line a field, in the order of the
 * wire. What the encoder may send and what the decoder lets through is the same line, so the two
 * can't drift apart. Lists (rows, changes, buckets) come after the plain fields, by hand. Internal
 * to protocol/message*.c. */
#pragma once

#include "protocol/reader.h"
#include "protocol/writer.h"

enum field_kind {
    FIELD_INTEGER,       /* int64_t member, min..max */
    FIELD_BOOL,          /* bool member */
    FIELD_TEXT,          /* struct bytes member of min..max bytes, UTF-8 without NUL */
    FIELD_BLOB,          /* struct bytes member of min..max bytes */
    FIELD_BLOB_OR_EMPTY, /* the same, or none at all */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset; /* of the member in the message struct */
    int64_t min;
    int64_t max;
};

struct field_table {
    const char *message; /* "WELCOME" */
    size_t count;
    const struct field *fields;
};

/* RESULT_REFUSED: a value that the other side wouldn't take; the problem names message and field.
 */
MUST_CHECK enum result fields_check(const struct field_table *table, const void *message,
                                    struct problem *problem);
/* Call after fields_check. */
void fields_write(const struct field_table *table, const void *message, struct writer *writer);
/* Fills the members; texts and blobs borrow from the reader's bytes. */
void fields_read(const struct field_table *table, struct reader *reader, void *ret_message);

/* A message that has nothing but plain fields: one array of them. */
MUST_CHECK enum result fields_encode(const struct field_table *table, const void *message,
                                     struct buffer *body, struct problem *problem);
/* RESULT_MALFORMED: `ret_message` is half filled, to be thrown away. */
MUST_CHECK enum result fields_decode(const struct field_table *table, struct bytes body,
                                     void *ret_message, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* export.h: a table of the master as CSV or JSON, one state, any size, bounded memory.
 *
 * CSV: RFC 4180, UTF-8, the names of the fields as heading, id first, values as they are stored
 * (cents, microseconds, ids); no value is an empty field, an empty text is "". Blobs are hex. An
 * import of such a file (import_generic.h without pairs) makes the same rows elsewhere. JSON: an
 * array of objects, RFC 8259. The bucket (`home`) is no part of it. */
#pragma once

#include "server/store/store.h"

enum export_form {
    EXPORT_CSV,
    EXPORT_JSON,
};

struct export_options {
    struct store *store; /* no transaction open */
    const char *table;
    enum export_form form;
    bool for_spreadsheet; /* csv.h: texts that a spreadsheet would run get an apostrophe */
    /* Takes the next piece of the file; its failure ends the export. */
    enum result (*write)(void *context, struct bytes piece, struct problem *problem);
    void *context;
};

/* RESULT_REFUSED  no such table, or what `write` said; the file is not complete then */
MUST_CHECK enum result export_table(const struct export_options *options, int64_t *ret_row_count,
                                    struct problem *problem);

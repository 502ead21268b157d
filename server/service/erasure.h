/* SPDX-License-Identifier: Apache-2.0 */
/* erasure.h: takes what is personal out of everything that the company holds about a customer.
 *
 * Which columns are personal is data (fs_column.is_personal); which rows are the customer's follows
 * from their buckets: the customer's own, and those of its sites. Values become NULL, or
 * ERASURE_MARK where a column may not be; ids, times, goods and money stay, as does what the law
 * wants kept. The rows travel to every device like any other change. With the salts gone the hashes
 * in seals, receipts and the audit log lead to nobody; the chains stay whole.
 *
 * A device that edits such a row later, or had edited it before and comes back after, brings a
 * value again: the plan shows it, and the erasure is done again. */
#pragma once

#include "domain/erasure.h"
#include "server/store/work.h"

/* Rows of a table with personal columns that still hold something. */
struct erasure_item {
    const char *table_name;
    int64_t row_count;
};

struct erasure_plan {
    int64_t party_id;
    int64_t row_count;
    size_t item_count;
    const struct erasure_item *items;
    int64_t kept_papers;      /* invoices, quotes and contracts: kept as they are */
    size_t blob_count;        /* attachments of the customer that no other row names */
    const char *const *blobs; /* their hashes, hexadecimal */
};

/* What would be done. RESULT_REFUSED: no such customer, or one of its sites has calls of another
 * customer, whose texts would go too: move them first. In the work's arena. */
MUST_CHECK enum result erasure_plan(struct work *work, int64_t party_id,
                                    struct erasure_plan *ret_plan, struct problem *problem);
/* Does it, and notes it in fs_erasure and the audit log. What the files of attachments hold is the
 * caller's to remove, after the commit. */
MUST_CHECK enum result erasure_run(struct work *work, int64_t party_id,
                                   struct erasure_plan *ret_plan, struct problem *problem);

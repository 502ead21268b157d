/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h: parts that a call needs, parts fitted, and the stock of the own van.
 *
 * A part used is a fact, whatever the books say: the server posts the stock move from it. Until
 * then the van's list here counts it down by itself. Quantities are thousandths of the unit. */
#pragma once

#include "agent/service/service.h"

MUST_CHECK enum result part_need_add(struct service *service, int64_t call_id, int64_t item_id,
                                     int64_t needed_m, const char *note, int64_t *ret_id,
                                     struct problem *problem);

struct part_entry {
    int64_t activity_id;
    int64_t item_id;
    int64_t used_m;             /* above 0 */
    int64_t from_location_id;   /* 0: the own van */
    const char *serial;         /* of the part fitted; needed for items kept by serial number */
    const char *removed_serial; /* of the part taken out, NULL: none */
    int64_t asset_id;           /* 0: the activity's */
    const char *cause;
};
MUST_CHECK enum result part_use_add(struct service *service, const struct part_entry *entry,
                                    int64_t *ret_id, struct problem *problem);
MUST_CHECK enum result part_use_void(struct service *service, int64_t use_id, int64_t *ret_id,
                                     struct problem *problem);
MUST_CHECK enum result part_use_list(struct service *service, int64_t activity_id,
                                     struct arena *arena, struct listing *ret_listing,
                                     struct problem *problem);

/* What the own van holds: by the books, less what was used and isn't posted yet. */
MUST_CHECK enum result van_show(struct service *service, struct arena *arena,
                                struct listing *ret_listing, struct problem *problem);

struct van_count_line {
    int64_t item_id;
    int64_t counted_m; /* 0 and more */
};
/* A count of the van at this moment, with its lines. RESULT_REFUSED also for an item twice. */
MUST_CHECK enum result van_count(struct service *service, const struct van_count_line *lines,
                                 size_t line_count, int64_t *ret_id, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* fate.h: the nothing-lost receipt: what was recorded on this device, and what became of each
 * change: stored, merged, overruled by whom and why, parked with whom, still here. */
#pragma once

#include "agent/service/service.h"

struct fate_filter {
    int64_t since_us; /* recorded at or after; 0: as far as it is kept */
    bool is_all;      /* also what was stored as it is */
};

/* Newest first, at most 10,000 changes. */
MUST_CHECK enum result fate_list(struct service *service, const struct fate_filter *filter,
                                 struct arena *arena, struct listing *ret_listing,
                                 struct problem *problem);

struct fate_counts {
    int64_t stored, merged, overruled, parked, refused, gone, still_here;
};
MUST_CHECK enum result fate_count(struct service *service, int64_t since_us, struct arena *arena,
                                  struct fate_counts *ret_counts, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* inbox.h: what the sync asks this person: own values that lost (merge_loss) and own changes that
 * were refused or parked (review_item). Nothing of it is lost: reapply writes it again as a new
 * edit, which knows what it met; discard says that it is settled. */
#pragma once

#include "agent/service/service.h"

MUST_CHECK enum result inbox_list(struct service *service, struct arena *arena,
                                  struct listing *ret_listing, struct problem *problem);
/* `id` of either kind. RESULT_REFUSED: not there, settled already, or its table, row or column
 * isn't known here. */
MUST_CHECK enum result inbox_reapply(struct service *service, int64_t id, struct problem *problem);
MUST_CHECK enum result inbox_discard(struct service *service, int64_t id, struct problem *problem);

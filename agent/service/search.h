/* SPDX-License-Identifier: Apache-2.0 */
/* search.h: finds calls, sites, customers, assets and parts by a piece of text. */
#pragma once

#include "agent/service/service.h"

/* Rows that hold `text` somewhere, letters of ASCII in either case; at most 100, calls first.
 * RESULT_REFUSED: less than 2 bytes to look for. */
MUST_CHECK enum result search_all(struct service *service, const char *text, struct arena *arena,
                                  struct listing *ret_listing, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* fate.h: what became of what a device sent, as the server knows it: the office's side of the
 * nothing-lost receipt. What isn't listed was stored as it is, up to the number in the summary. */
#pragma once

#include "domain/reason.h"
#include "server/store/store.h"

struct fate_filter {
    int64_t device_id;
    int64_t since_us; /* decided at or after; 0: all. What was asked about before has no time */
    enum reason_language language;
    size_t count_max;
};

/* Inside the caller's read transaction; results in `arena`. */

enum { FATE_LIST_COLUMNS = 9 };
/* Newest first: change number, table, row id, fate, why in words, by whom or with whom, state of
 * the question, when it was decided (us), the reason's code. */
MUST_CHECK enum result fate_list(struct store *store, const struct fate_filter *filter,
                                 struct arena *arena, struct store_result *ret_rows,
                                 struct problem *problem);

enum { FATE_SUMMARY_COLUMNS = 6 };
/* One row: person, prefix of the device, last contact (us), changes answered up to this number,
 * seals applied, changes not stored as they are. RESULT_REFUSED: no such device. */
MUST_CHECK enum result fate_summary(struct store *store, int64_t device_id, struct arena *arena,
                                    struct store_result *ret_row, struct problem *problem);
/* The devices of a login, or the device with this id or series. RESULT_REFUSED: none, or several.
 */
MUST_CHECK enum result fate_find_device(struct store *store, const char *text, struct arena *arena,
                                        int64_t *ret_device_id, struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* report_key.h: which key of a device signed a report. */
#pragma once

#include "domain/evidence.h"
#include "server/store/store.h"

/* All keys that a device (?1) ever enrolled with, newest first. */
#define REPORT_KEYS_QUERY                                                                          \
    "SELECT sign_public_key FROM fs_replica WHERE device_id = ?1 ORDER BY replica_no DESC"

/* Among the rows of that query the key that signed it; if none did, the newest; "" if it has
 * none. */
void report_key_find(const struct store_result *keys, const struct evidence *evidence,
                     bool *ret_is_signed, char ret_hex[EVIDENCE_HEX_SIZE]);

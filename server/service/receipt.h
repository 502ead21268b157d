/* SPDX-License-Identifier: Apache-2.0 */
/* receipt.h: the server's answer to a sealed report (domain/evidence.h).
 *
 * The rule that follows a seal only notes that a receipt is wanted; whoever holds the report key
 * signs at the end of the group, in the same transaction. So a command without the key loses
 * nothing: the next group with it signs. A seal is never refused for what the server thinks of it:
 * a wrong key, rows that are not those that were signed, a gap or a fork in the device's chain
 * stand in the receipt, and the manager is asked. */
#pragma once

#include "domain/evidence.h"
#include "server/store/work.h"

/* The server's key for receipts and roots (Ed25519); kept in guarded memory by whoever read it. */
struct report_key {
    uint8_t public_key[EVIDENCE_KEY_SIZE];
    uint8_t secret_key[EVIDENCE_SECRET_SIZE];
};

MUST_CHECK enum result report_seal_react(struct work *work, const struct work_change *change,
                                         struct problem *problem);

enum { RECEIPTS_AT_ONCE = 1000 };
/* Signs what is wanted, at most RECEIPTS_AT_ONCE; the rest waits for the next group. Only after
 * work_settle. */
MUST_CHECK enum result receipts_sign(struct work *work, const struct report_key *key,
                                     struct problem *problem);

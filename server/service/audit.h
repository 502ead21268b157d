/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h: the audit log (fs_audit) as a chain, and the roots over it.
 *
 * The hash of a line is BLAKE2b-256 over the 32 bytes of the hash before (zeros before the first)
 * and the text
 *
 *     ID SP OCCURRED_AT SP USER_ID SP REPLICA_NO SP SIZE OF EVENT SP SIZE OF DETAIL LF EVENT DETAIL
 *
 * with 0 for NULL. A root is the Merkle tree hash of RFC 6962, 2.1 over the 32-byte hashes of its
 * lines, with BLAKE2b-256 in the place of SHA-256. Signed (evidence_sign) is the text
 *
 *     fieldsync root v1 LF made-at US LF after ID LF to ID LF lines N LF root HEX LF chain HEX LF
 *
 * Receipts are in it by their line "receipt", whose detail has the hash of what was signed. */
#pragma once

#include "server/service/receipt.h"

/* Adds a line, once a group: of two equal ones only the first. Who and what: opaque ids and codes,
 * never names, secrets or contents. */
MUST_CHECK enum result audit_add(struct work *work, const char *event, int64_t user_id,
                                 int64_t replica_no, const char *detail, struct problem *problem);

/* Hashes the lines that were added since, and notes a restore by its new epoch. */
MUST_CHECK enum result audit_close(struct work *work, struct problem *problem);

/* Makes a root over all lines that have none yet, if the oldest of them is of a day before today
 * (UTC), or at once with `is_wanted`. */
MUST_CHECK enum result audit_make_root(struct work *work, const struct report_key *key,
                                       bool is_wanted, struct problem *problem);

/* The newest root, in short, for people who want to hold the server to it. */
struct audit_newest {
    int64_t number; /* 0: there is none yet */
    struct wall_time made_at;
    char first[17]; /* digits of its hash, NUL-terminated */
};
MUST_CHECK enum result audit_newest_root(struct store *store, struct audit_newest *ret_newest,
                                         struct problem *problem);

/* What people decide and who may do what, as lines of the log. */
MUST_CHECK enum result audit_rights_react(struct work *work, const struct work_change *change,
                                          struct problem *problem);
MUST_CHECK enum result audit_decision_react(struct work *work, const struct work_change *change,
                                            struct problem *problem);

/* ---- checking -------------------------------------------------------------------------------- */

struct audit_check {
    int64_t line_count, root_count, receipt_count;
    bool is_good;
    char difference[256]; /* the first: what is where not as it must be */
};
/* Recomputes the chain and every root, and looks for the line of every receipt. Inside a
 * transaction of the caller.
 *
 *   server_key  roots must be signed by this one; NULL: by the one they name */
MUST_CHECK enum result audit_check(struct store *store, const uint8_t *server_key,
                                   struct audit_check *ret_check, struct problem *problem);

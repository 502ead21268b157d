/* SPDX-License-Identifier: Apache-2.0 */
/* report_check.h: are the signed reports on the master still what was signed?
 *
 * Everything is looked at anew, from the rows as they are now: the seal's signature under the keys
 * that the device enrolled with, its place in the device's chain, the receipt, the signature's own
 * columns, and each line of the report. A row that somebody changed with plain SQL shows as well as
 * one that was rightly edited after the customer had signed: which of the two it is, people know.
 *
 * Failures: those of store_query (store.h) and of the blob store; RESULT_EXHAUSTED: a report of
 * more than REPORT_SIZE_MAX. */
#pragma once

#include "base/blob_store.h"
#include "domain/evidence.h"
#include "server/store/store.h"

struct report_check {
    const struct value *row; /* of EVIDENCE_SQL */
    struct evidence evidence;
    bool is_sealed;       /* otherwise the signature proves nothing, and what follows is false */
    bool is_key_good;     /* a key of the device signed the seal */
    bool is_chain_good;   /* it names the device's seal before, and that one is here */
    bool is_receipt_good; /* the server signed the receipt for exactly this seal */
    bool is_erased;       /* the personal content was erased: only ids and times can be compared */
    int64_t erased_at;    /* when; 0: it isn\'t, or nobody noted it */
    const char *device_key;  /* hex: the key that fits, else the newest; "" for none */
    struct bytes text;       /* as it was signed; empty: it isn't here */
    struct bytes difference; /* lines of evidence_difference; empty: nothing differs */
};
/* Seal, key, chain or content is wrong; an erased content alone isn't. */
bool report_check_is_good(const struct report_check *check);

/* A signature (0: all), those of an activity (0: all), device by device. Inside a transaction of
 * the caller, for one state. blobs may be NULL: what was signed is then only named. */
MUST_CHECK enum result report_check(struct store *store, struct blob_store *blobs,
                                    int64_t signature_id, int64_t activity_id, struct arena *arena,
                                    struct report_check **ret_checks, size_t *ret_count,
                                    struct problem *problem);

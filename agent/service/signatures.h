/* SPDX-License-Identifier: Apache-2.0 */
/* signatures.h: a person's signature on exactly one work report, sealed by the device's key.
 *
 * document_hash is BLAKE2b-256 of the report (reports.h), whose text is kept as an attachment under
 * that very hash, so that a later change of the work shows and shows what changed. key_signature is
 * the device's Ed25519 (RFC 8032) over
 *
 *     "fieldsync signature v1" LF document_hash LF version_n LF signer_name LF signer_role LF
 *     signed_at LF BLAKE2b-256 of strokes, hex LF refused_reason LF amount_cents LF device_id LF
 *     previous_hash LF
 *
 * with empty text for NULL. previous_hash is BLAKE2b-256, in hex, of the key_signature of the
 * signature that this device made before; so none can be taken out of the middle.
 *
 * Strokes: u8 1 (format), then per stroke u16 count and that many points of u16 x, u16 y (0 to
 * 10,000, origin at the top left), u16 pressure (0 to 1,000), u16 ms since the point before; all
 * big-endian. */
#pragma once

#include "agent/service/service.h"

enum { SIGNATURE_STROKES_SIZE_MAX = 60 * 1024 };

struct signature_draft {
    int64_t activity_id;
    const char *signer_name;
    const char *signer_role;    /* NULL: none */
    struct bytes strokes;       /* as above; empty: drawn from the name */
    const char *refused_reason; /* not NULL: the person refused to sign, and why */
    bool has_amount;
    int64_t amount_cents; /* the total that was shown */
};
/* Durable when it returns (G3). RESULT_REFUSED also without the device's key. */
MUST_CHECK enum result signature_add(struct service *service, const struct signature_draft *draft,
                                     int64_t *ret_id, struct problem *problem);

/* Lines of "x y pressure milliseconds", a blank line between strokes. RESULT_REFUSED names the
 * line. */
MUST_CHECK enum result signature_strokes_parse(struct bytes text, struct buffer *strokes,
                                               struct problem *problem);

struct signature_check {
    int64_t id;
    int64_t activity_id;
    int64_t signed_at;
    const char *signer_name;
    bool is_own_device;     /* otherwise its key isn't here, and the next two are false */
    bool is_key_good;       /* the device's key signed exactly these columns */
    bool is_chain_good;     /* it follows the signature before */
    bool is_unchanged;      /* the report is today what was signed */
    const char *difference; /* lines of report_difference; "" if the signed text isn't here */
};
/* All signatures of an activity, or of every activity (0), oldest first. */
MUST_CHECK enum result signature_verify(struct service *service, int64_t activity_id,
                                        struct arena *arena, struct signature_check **ret_checks,
                                        size_t *ret_count, struct problem *problem);

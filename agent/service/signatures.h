/* SPDX-License-Identifier: Apache-2.0 */
/* signatures.h: a person's signature on exactly one work report, sealed by the device's key.
 *
 * document_hash is BLAKE2b-256 of the report (domain/report.h), whose text is kept as an attachment
 * under that very hash. Beside the signature lies its seal (table report_seal), the bytes that the
 * device's key signs: domain/evidence.h says what is in them. key_signature is that signature,
 * previous_hash the hash of the device's seal before; so none can be altered, or taken out of the
 * middle, unseen. The server's receipt (table report_receipt) comes back with the rows.
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
    const char *language; /* of the text that was shown; NULL: en */
    const uint8_t *salt;  /* 16 random bytes, never used twice */
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
    bool is_sealed;         /* otherwise it proves nothing, and what follows is false */
    bool is_own_device;     /* otherwise its key isn't here, and the next two are false */
    bool is_key_good;       /* the device's key signed this seal */
    bool is_chain_good;     /* it follows the seal before */
    bool is_unchanged;      /* rows and report are today what was signed */
    bool is_erased;         /* its personal content was erased; only ids and times compare */
    bool has_receipt;       /* the server has answered for it */
    bool is_receipt_good;   /* and its signature is of exactly this seal */
    int64_t received_at;    /* by the server's clock */
    const char *difference; /* lines of evidence_difference */
};
/* All signatures of an activity, or of every activity (0), oldest first. */
MUST_CHECK enum result signature_verify(struct service *service, int64_t activity_id,
                                        struct arena *arena, struct signature_check **ret_checks,
                                        size_t *ret_count, struct problem *problem);

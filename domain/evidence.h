/* SPDX-License-Identifier: Apache-2.0 */
/* evidence.h: what is signed of a work report, byte by byte, and how it is checked; the same on the
 * device, on the server and by whoever holds an export and the public keys (docs/EVIDENCE.md).
 *
 * The seal is UTF-8 text: one line a fact, always these lines in this order, each "WORD VALUE" and
 * a newline. "-" stands for none. SALTED is BLAKE2b-256 keyed with the seal's 16-byte salt over
 * WORD, a zero byte and the value, hexadecimal; so a seal holds nothing of a person once the salt
 * is gone.
 *
 *     fieldsync report v1
 *     signature ID | activity ID | version N | chain N
 *     previous HASH        of the device's seal before this one
 *     call ID | customer ID | site ID | technician ID | device ID
 *     signed-at US         the device's clock, microseconds since 1970
 *     server-time US       last known: when the device last published, by its own clock
 *     clock-offset US      server minus device, at the last contact
 *     document KIND | language CODE | template N
 *     text HASH            BLAKE2b-256 of the report as it was shown, which has the salt in it
 *     strokes SALTED | signer SALTED | role SALTED | refused SALTED
 *     amount CENTS
 *     item LABEL SALTED    one for each line of the report: "item part 12 HASH"
 *     items-more N SALTED  of the lines beyond EVIDENCE_ITEMS_MAX, if there are any
 *
 * The device's key signs (Ed25519, RFC 8032) the BLAKE2b-256 of these bytes; that hash is also the
 * link of the chain. A receipt is text of the same kind, signed likewise by the server's key. */
#pragma once

#include "domain/report.h"

enum {
    EVIDENCE_HASH_SIZE = 32,
    EVIDENCE_HEX_SIZE = 2 * EVIDENCE_HASH_SIZE + 1,
    EVIDENCE_KEY_SIZE = 32,    /* a public key */
    EVIDENCE_SECRET_SIZE = 64, /* as crypto_sign makes it of a seed */
    EVIDENCE_SIGNATURE_SIZE = 64,
    EVIDENCE_SEAL_SIZE_MAX = 60 * 1024,
    EVIDENCE_ITEMS_MAX = 400,
};

/* ---- the seal -------------------------------------------------------------------------------- */

struct evidence_claim {
    int64_t signature_id, activity_id, version_n, chain_n;
    struct bytes previous_hash; /* hex; empty: the device's first */
    int64_t call_id, customer_id, site_id, user_id, device_id;
    int64_t signed_at, server_time, clock_offset_us;
    struct bytes document_kind, language, document_hash;
    struct bytes strokes, signer_name, signer_role, refused_reason;
    bool has_amount;
    int64_t amount_cents;
    struct bytes salt;
};

/* RESULT_EXHAUSTED: a line's texts are too large for EVIDENCE_SEAL_SIZE_MAX. */
MUST_CHECK enum result evidence_append_seal(const struct evidence_claim *claim, struct bytes report,
                                            struct buffer *sealed, struct problem *problem);
void evidence_hash(struct bytes text, char ret_hex[EVIDENCE_HEX_SIZE]);
/* The value behind a word of a seal or receipt; empty if there is no such line. */
struct bytes evidence_value(struct bytes text, const char *word);
int64_t evidence_number(struct bytes text, const char *word); /* 0 if it is none */

void evidence_sign(struct bytes text, const uint8_t secret_key[EVIDENCE_SECRET_SIZE],
                   uint8_t ret_signature[EVIDENCE_SIGNATURE_SIZE]);
bool evidence_is_signed(struct bytes text, const uint8_t public_key[EVIDENCE_KEY_SIZE],
                        struct bytes signature);

/* ---- the receipt ----------------------------------------------------------------------------- */

struct evidence_receipt {
    int64_t signature_id;
    struct bytes report_hash; /* hex */
    int64_t device_id;
    struct bytes device_key; /* hex; empty: the device has no key here */
    int64_t chain_n;
    struct bytes finding;
    int64_t seq_n;
    int64_t received_at;
    struct bytes server_key; /* hex */
    struct bytes server_signature;
};
/* The bytes that the server signs. */
MUST_CHECK enum result evidence_append_receipt(const struct evidence_receipt *receipt,
                                               struct buffer *text, struct problem *problem);

/* ---- checking -------------------------------------------------------------------------------- */

/* Selects what there is of a signature (?1), of an activity's (?2), or of all (both 0), device by
 * device in the order of their chains; the same columns on both sides. */
#define EVIDENCE_SQL                                                                               \
    "SELECT s.id, s.activity_id, s.version_n, s.previous_hash, s.document_kind, s.document_hash,"  \
    " s.signer_name, s.signer_role, s.refused_reason, s.strokes, s.amount_cents, s.by_id,"         \
    " s.device_id, s.signed_at, s.key_signature, p.chain_n, p.sealed, p.salt, p.device_id,"        \
    " a.call_id, c.party_id, coalesce(a.site_id, c.site_id), r.report_hash, r.device_id,"          \
    " r.device_key, r.chain_n, r.finding, r.seq_n, r.received_at, r.server_key,"                   \
    " r.server_signature FROM signature s"                                                         \
    " LEFT JOIN report_seal p ON p.signature_id = s.id"                                            \
    " LEFT JOIN report_receipt r ON r.signature_id = s.id"                                         \
    " LEFT JOIN activity a ON a.id = s.activity_id LEFT JOIN call c ON c.id = a.call_id"           \
    " WHERE (?1 = 0 OR s.id = ?1) AND (?2 = 0 OR s.activity_id = ?2)"                              \
    " ORDER BY s.device_id, p.chain_n, s.id"
enum { EVIDENCE_COLUMN_COUNT = 31 };

struct evidence {
    struct evidence_claim claim; /* as the rows say today */
    struct bytes key_signature;
    struct bytes sealed; /* empty: none; the signature proves nothing */
    struct evidence_receipt receipt;
    bool has_receipt;
};
/* One row of EVIDENCE_SQL; borrows its texts. */
void evidence_read(const struct value *row, struct evidence *ret_evidence);

bool evidence_receipt_is_good(const struct evidence *evidence);
/* The signature's own columns are those that were sealed; says nothing of the report's lines. */
bool evidence_is_of_row(const struct evidence *evidence);

/* Which items differ from what was signed: "- line" as it was, "+ line" as it is, by name only
 * where the text isn't there any more. Empty: nothing differs. Without the salt (erased) only what
 * is not salted is compared.
 *
 *   report_then  the text that was signed; empty: not here
 *   report_now   the same report from today's rows, with the same language and salt */
MUST_CHECK enum result evidence_difference(const struct evidence *evidence,
                                           struct bytes report_then, struct bytes report_now,
                                           struct buffer *difference, struct problem *problem);

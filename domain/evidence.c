/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/evidence.h"

#include "base/invariant.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)EVIDENCE_HASH_SIZE == crypto_generichash_BYTES, "BLAKE2b-256");
static_assert((int)EVIDENCE_SECRET_SIZE == crypto_sign_SECRETKEYBYTES, "Ed25519");
static_assert((int)REPORT_SALT_SIZE == crypto_generichash_KEYBYTES_MIN, "a salt is a BLAKE2b key");

/* ---- lines ---- */

/* Lines on their way; after the first failure nothing is added any more. */
struct lines {
    struct buffer *out;
    struct bytes salt;
    enum result result;
    struct problem *problem;
};

static void add(struct lines *lines, struct bytes piece)
{
    if (lines->result == RESULT_OK)
        lines->result = buffer_append(lines->out, piece.data, piece.size, lines->problem);
}

static void add_text(struct lines *lines, const char *word, struct bytes value)
{
    add(lines, bytes_of_text(word));
    add(lines, bytes_of_text(" "));
    add(lines, value.size == 0 ? bytes_of_text("-") : value);
    add(lines, bytes_of_text("\n"));
}

static void add_number(struct lines *lines, const char *word, int64_t number)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%" PRId64, number);
    add_text(lines, word, bytes_of_text(digits));
}

static void salted_hash(struct bytes salt, const char *word, struct bytes value,
                        char ret_hex[EVIDENCE_HEX_SIZE])
{
    uint8_t hash[EVIDENCE_HASH_SIZE];
    crypto_generichash_state state;

    crypto_generichash_init(&state, salt.size == 0 ? NULL : salt.data, salt.size, sizeof hash);
    crypto_generichash_update(&state, (const uint8_t *)word, strlen(word) + 1);
    crypto_generichash_update(&state, value.data, value.size);
    crypto_generichash_final(&state, hash, sizeof hash);
    bytes_to_hex(bytes_of(hash, sizeof hash), ret_hex);
}

static void add_salted(struct lines *lines, const char *word, struct bytes value)
{
    char hex[EVIDENCE_HEX_SIZE];

    salted_hash(lines->salt, word, value, hex);
    add_text(lines, word, value.size == 0 ? bytes_of(NULL, 0) : bytes_of_text(hex));
}

/* ---- the seal ---- */

static void add_item(struct lines *lines, struct bytes label, struct bytes line)
{
    char hex[EVIDENCE_HEX_SIZE];

    salted_hash(lines->salt, "item", line, hex);
    add(lines, bytes_of_text("item "));
    add(lines, label);
    add(lines, bytes_of_text(" "));
    add(lines, bytes_of_text(hex));
    add(lines, bytes_of_text("\n"));
}

static void add_items(struct lines *lines, struct bytes report)
{
    size_t count = 0;

    while (report.size > 0) {
        struct bytes rest = report;
        struct bytes line = report_next_line(&report);
        struct bytes label = report_label(line);

        if (label.size == 0)
            continue;
        if (++count <= EVIDENCE_ITEMS_MAX) {
            add_item(lines, label, line);
            continue;
        }
        add_salted(lines, "items-more", rest);
        return;
    }
}

enum result evidence_append_seal(const struct evidence_claim *claim, struct bytes report,
                                 struct buffer *sealed, struct problem *problem)
{
    struct lines lines = {.out = sealed, .salt = claim->salt, .problem = problem};

    add(&lines, bytes_of_text("fieldsync report v1\n"));
    add_number(&lines, "signature", claim->signature_id);
    add_number(&lines, "activity", claim->activity_id);
    add_number(&lines, "version", claim->version_n);
    add_number(&lines, "chain", claim->chain_n);
    add_text(&lines, "previous", claim->previous_hash);
    add_number(&lines, "call", claim->call_id);
    add_number(&lines, "customer", claim->customer_id);
    add_number(&lines, "site", claim->site_id);
    add_number(&lines, "technician", claim->user_id);
    add_number(&lines, "device", claim->device_id);
    add_number(&lines, "signed-at", claim->signed_at);
    add_number(&lines, "server-time", claim->server_time);
    add_number(&lines, "clock-offset", claim->clock_offset_us);
    add_text(&lines, "document", claim->document_kind);
    add_text(&lines, "language", claim->language);
    add_number(&lines, "template", REPORT_TEMPLATE);
    add_text(&lines, "text", claim->document_hash);
    add_salted(&lines, "strokes", claim->strokes);
    add_salted(&lines, "signer", claim->signer_name);
    add_salted(&lines, "role", claim->signer_role);
    add_salted(&lines, "refused", claim->refused_reason);
    if (claim->has_amount)
        add_number(&lines, "amount", claim->amount_cents);
    else
        add_text(&lines, "amount", bytes_of(NULL, 0));
    add_items(&lines, report);
    if (lines.result == RESULT_OK && sealed->size > EVIDENCE_SEAL_SIZE_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "the seal has %zu bytes, limit %d",
                           sealed->size, EVIDENCE_SEAL_SIZE_MAX);
    return lines.result;
}

void evidence_hash(struct bytes text, char ret_hex[EVIDENCE_HEX_SIZE])
{
    uint8_t hash[EVIDENCE_HASH_SIZE];

    crypto_generichash(hash, sizeof hash, text.data, text.size, NULL, 0);
    bytes_to_hex(bytes_of(hash, sizeof hash), ret_hex);
}

static bool begins_with(struct bytes line, const char *word, struct bytes *ret_value)
{
    size_t size = strlen(word);

    if (line.size <= size || memcmp(line.data, word, size) != 0 || line.data[size] != ' ')
        return false;
    *ret_value = bytes_of(line.data + size + 1, line.size - size - 1);
    return true;
}

struct bytes evidence_value(struct bytes text, const char *word)
{
    struct bytes value = {0};

    while (text.size > 0)
        if (begins_with(report_next_line(&text), word, &value))
            return value.size == 1 && value.data[0] == '-' ? bytes_of(NULL, 0) : value;
    return value;
}

int64_t evidence_number(struct bytes text, const char *word)
{
    struct bytes value = evidence_value(text, word);
    char digits[24] = "";

    if (value.size == 0 || value.size >= sizeof digits)
        return 0;
    memcpy(digits, value.data, value.size);
    return strtoll(digits, NULL, 10);
}

void evidence_sign(struct bytes text, const uint8_t secret_key[EVIDENCE_SECRET_SIZE],
                   uint8_t ret_signature[EVIDENCE_SIGNATURE_SIZE])
{
    uint8_t hash[EVIDENCE_HASH_SIZE];

    crypto_generichash(hash, sizeof hash, text.data, text.size, NULL, 0);
    crypto_sign_detached(ret_signature, NULL, hash, sizeof hash, secret_key);
}

bool evidence_is_signed(struct bytes text, const uint8_t public_key[EVIDENCE_KEY_SIZE],
                        struct bytes signature)
{
    uint8_t hash[EVIDENCE_HASH_SIZE];

    if (signature.size != EVIDENCE_SIGNATURE_SIZE || text.size == 0)
        return false;
    crypto_generichash(hash, sizeof hash, text.data, text.size, NULL, 0);
    return crypto_sign_verify_detached(signature.data, hash, sizeof hash, public_key) == 0;
}

/* ---- the receipt ---- */

enum result evidence_append_receipt(const struct evidence_receipt *receipt, struct buffer *text,
                                    struct problem *problem)
{
    struct lines lines = {.out = text, .problem = problem};

    add(&lines, bytes_of_text("fieldsync receipt v1\n"));
    add_number(&lines, "signature", receipt->signature_id);
    add_text(&lines, "report", receipt->report_hash);
    add_number(&lines, "device", receipt->device_id);
    add_text(&lines, "device-key", receipt->device_key);
    add_number(&lines, "chain", receipt->chain_n);
    add_text(&lines, "finding", receipt->finding);
    add_number(&lines, "seq", receipt->seq_n);
    add_number(&lines, "received-at", receipt->received_at);
    add_text(&lines, "server-key", receipt->server_key);
    return lines.result;
}

/* ---- checking ---- */

enum {
    COLUMN_ID,
    COLUMN_ACTIVITY,
    COLUMN_VERSION,
    COLUMN_PREVIOUS,
    COLUMN_KIND,
    COLUMN_DOCUMENT,
    COLUMN_SIGNER,
    COLUMN_ROLE,
    COLUMN_REFUSED,
    COLUMN_STROKES,
    COLUMN_AMOUNT,
    COLUMN_BY,
    COLUMN_DEVICE,
    COLUMN_SIGNED_AT,
    COLUMN_KEY_SIGNATURE,
    COLUMN_CHAIN,
    COLUMN_SEALED,
    COLUMN_SALT,
    COLUMN_SEAL_DEVICE,
    COLUMN_CALL,
    COLUMN_CUSTOMER,
    COLUMN_SITE,
    COLUMN_RECEIPT_HASH,
    COLUMN_RECEIPT_DEVICE,
    COLUMN_DEVICE_KEY,
    COLUMN_RECEIPT_CHAIN,
    COLUMN_FINDING,
    COLUMN_SEQ,
    COLUMN_RECEIVED_AT,
    COLUMN_SERVER_KEY,
    COLUMN_SERVER_SIGNATURE,
    COLUMN_COUNT,
};
static_assert((int)COLUMN_COUNT == (int)EVIDENCE_COLUMN_COUNT, "EVIDENCE_SQL and this list");

static int64_t number_at(const struct value *row, int column)
{
    return row[column].type == VALUE_INTEGER ? row[column].integer : 0;
}

static struct bytes bytes_at(const struct value *row, int column)
{
    return row[column].type == VALUE_TEXT || row[column].type == VALUE_BLOB ? row[column].bytes
                                                                            : bytes_of(NULL, 0);
}

void evidence_read(const struct value *row, struct evidence *ret_evidence)
{
    struct bytes sealed = bytes_at(row, COLUMN_SEALED);

    *ret_evidence = (struct evidence){
        .claim = {.signature_id = number_at(row, COLUMN_ID),
                  .activity_id = number_at(row, COLUMN_ACTIVITY),
                  .version_n = number_at(row, COLUMN_VERSION),
                  .chain_n = number_at(row, COLUMN_CHAIN),
                  .previous_hash = bytes_at(row, COLUMN_PREVIOUS),
                  .call_id = number_at(row, COLUMN_CALL),
                  .customer_id = number_at(row, COLUMN_CUSTOMER),
                  .site_id = number_at(row, COLUMN_SITE),
                  .user_id = number_at(row, COLUMN_BY),
                  .device_id = number_at(row, COLUMN_DEVICE),
                  .signed_at = number_at(row, COLUMN_SIGNED_AT),
                  /* no row has these: they are what the device said */
                  .server_time = evidence_number(sealed, "server-time"),
                  .clock_offset_us = evidence_number(sealed, "clock-offset"),
                  .language = evidence_value(sealed, "language"),
                  .document_kind = bytes_at(row, COLUMN_KIND),
                  .document_hash = bytes_at(row, COLUMN_DOCUMENT),
                  .strokes = bytes_at(row, COLUMN_STROKES),
                  .signer_name = bytes_at(row, COLUMN_SIGNER),
                  .signer_role = bytes_at(row, COLUMN_ROLE),
                  .refused_reason = bytes_at(row, COLUMN_REFUSED),
                  .has_amount = row[COLUMN_AMOUNT].type == VALUE_INTEGER,
                  .amount_cents = number_at(row, COLUMN_AMOUNT),
                  .salt = bytes_at(row, COLUMN_SALT)},
        .key_signature = bytes_at(row, COLUMN_KEY_SIGNATURE),
        .sealed = sealed,
        .has_receipt = row[COLUMN_RECEIPT_HASH].type == VALUE_TEXT,
        .receipt = {.signature_id = number_at(row, COLUMN_ID),
                    .report_hash = bytes_at(row, COLUMN_RECEIPT_HASH),
                    .device_id = number_at(row, COLUMN_RECEIPT_DEVICE),
                    .device_key = bytes_at(row, COLUMN_DEVICE_KEY),
                    .chain_n = number_at(row, COLUMN_RECEIPT_CHAIN),
                    .finding = bytes_at(row, COLUMN_FINDING),
                    .seq_n = number_at(row, COLUMN_SEQ),
                    .received_at = number_at(row, COLUMN_RECEIVED_AT),
                    .server_key = bytes_at(row, COLUMN_SERVER_KEY),
                    .server_signature = bytes_at(row, COLUMN_SERVER_SIGNATURE)},
    };
    if (ret_evidence->claim.salt.size != REPORT_SALT_SIZE)
        ret_evidence->claim.salt = bytes_of(NULL, 0);
}

static bool key_from_hex(struct bytes hex, uint8_t ret_key[EVIDENCE_KEY_SIZE])
{
    char text[2 * EVIDENCE_KEY_SIZE + 1] = "";

    if (hex.size != sizeof text - 1)
        return false;
    memcpy(text, hex.data, hex.size);
    return bytes_from_hex(text, ret_key, EVIDENCE_KEY_SIZE);
}

bool evidence_receipt_is_good(const struct evidence *evidence)
{
    uint8_t key[EVIDENCE_KEY_SIZE];
    uint8_t bytes[1024];
    char hash[EVIDENCE_HEX_SIZE];
    struct buffer text = {.data = bytes, .capacity = sizeof bytes, .size_max = sizeof bytes};
    struct problem ignored = {0};

    if (!evidence->has_receipt || !key_from_hex(evidence->receipt.server_key, key))
        return false;
    evidence_hash(evidence->sealed, hash);
    return bytes_equal(evidence->receipt.report_hash, bytes_of_text(hash)) &&
           evidence_append_receipt(&evidence->receipt, &text, &ignored) == RESULT_OK &&
           evidence_is_signed(buffer_bytes(&text), key, evidence->receipt.server_signature);
}

/* ---- differences ---- */

/* What the words of a seal are called where people read them. */
static const struct fact {
    const char *word;
    bool is_salted;
    bool is_elsewhere; /* in rows that may rightly change after the signature */
    const char *name;
} FACTS[] = {
    {"signature", false, false, "the signature's id"},
    {"activity", false, false, "the visit"},
    {"version", false, false, "the version"},
    {"chain", false, false, "the number in the device's chain"},
    {"previous", false, false, "the link to the signature before"},
    {"call", false, true, "the call"},
    {"customer", false, true, "the customer"},
    {"site", false, true, "the site"},
    {"technician", false, false, "the technician"},
    {"device", false, false, "the device"},
    {"signed-at", false, false, "the time of signing"},
    {"document", false, false, "the kind of document"},
    {"text", false, false, "the text that was shown"},
    {"strokes", true, false, "the strokes"},
    {"signer", true, false, "the signer's name"},
    {"role", true, false, "the signer's role"},
    {"refused", true, false, "the reason of the refusal"},
    {"amount", false, false, "the amount"},
    {"items-more", true, true, "the rest of the lines"},
};

struct comparison {
    const struct evidence *evidence;
    struct bytes today; /* the seal as it would be today */
    struct bytes report_then, report_now;
    struct lines out;
};

static void compare_fact(struct comparison *comparison, const struct fact *fact)
{
    struct bytes then = evidence_value(comparison->evidence->sealed, fact->word);
    struct bytes now = evidence_value(comparison->today, fact->word);

    if (bytes_equal(then, now) || (fact->is_salted && comparison->evidence->claim.salt.size == 0))
        return;
    add(&comparison->out, bytes_of_text("! "));
    add(&comparison->out, bytes_of_text(fact->name));
    add(&comparison->out, bytes_of_text(" is not what was signed"));
    if (!fact->is_salted) {
        add(&comparison->out, bytes_of_text(": "));
        add(&comparison->out, then.size == 0 ? bytes_of_text("-") : then);
        add(&comparison->out, bytes_of_text(", now "));
        add(&comparison->out, now.size == 0 ? bytes_of_text("-") : now);
    }
    add(&comparison->out, bytes_of_text("\n"));
}

static bool has_line(struct bytes text, struct bytes wanted)
{
    while (text.size > 0)
        if (bytes_equal(report_next_line(&text), wanted))
            return true;
    return false;
}

/* "item part 12 HASH": the label in the middle; empty for other lines. */
static struct bytes item_label(struct bytes line)
{
    struct bytes value = {0};

    if (!begins_with(line, "item", &value) || value.size < EVIDENCE_HEX_SIZE)
        return bytes_of(NULL, 0);
    value.size -= EVIDENCE_HEX_SIZE; /* a space and the digits */
    return value;
}

/* Items of `seal` that `other` lacks, shown as `report` has them. */
static void compare_items(struct comparison *comparison, const char *mark, struct bytes seal,
                          struct bytes other, struct bytes report)
{
    while (seal.size > 0) {
        struct bytes line = report_next_line(&seal);
        struct bytes label = item_label(line);
        struct bytes shown = label.size == 0 ? label : report_find(report, label);

        if (label.size == 0 || has_line(other, line))
            continue;
        add(&comparison->out, bytes_of_text(mark));
        add(&comparison->out, shown.size == 0 ? label : shown);
        if (shown.size == 0)
            add(&comparison->out, bytes_of_text(" (the signed text isn't here)"));
        add(&comparison->out, bytes_of_text("\n"));
    }
}

bool evidence_is_of_row(const struct evidence *evidence)
{
    struct buffer today;
    struct problem ignored = {0};
    bool is_same = true;

    buffer_init(&today, 2 * EVIDENCE_SEAL_SIZE_MAX);
    if (evidence_append_seal(&evidence->claim, bytes_of(NULL, 0), &today, &ignored) != RESULT_OK)
        is_same = false;
    for (size_t i = 0; i < sizeof FACTS / sizeof *FACTS && is_same; i++)
        is_same = FACTS[i].is_elsewhere ||
                  bytes_equal(evidence_value(evidence->sealed, FACTS[i].word),
                              evidence_value(buffer_bytes(&today), FACTS[i].word));
    buffer_done(&today);
    return is_same;
}

enum result evidence_difference(const struct evidence *evidence, struct bytes report_then,
                                struct bytes report_now, struct buffer *difference,
                                struct problem *problem)
{
    struct comparison comparison = {.evidence = evidence,
                                    .report_then = report_then,
                                    .report_now = report_now,
                                    .out = {.out = difference, .problem = problem}};
    struct buffer today;
    enum result result;

    buffer_init(&today, 2 * EVIDENCE_SEAL_SIZE_MAX);
    result = evidence_append_seal(&evidence->claim, report_now, &today, problem);
    comparison.today = buffer_bytes(&today);
    if (result == RESULT_OK) {
        for (size_t i = 0; i < sizeof FACTS / sizeof *FACTS; i++)
            compare_fact(&comparison, &FACTS[i]);
        if (evidence->claim.salt.size > 0) {
            compare_items(&comparison, "- ", evidence->sealed, comparison.today, report_then);
            compare_items(&comparison, "+ ", comparison.today, evidence->sealed, report_now);
        }
        result = comparison.out.result;
    }
    buffer_done(&today);
    return result;
}

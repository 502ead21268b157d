/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/receipt.h"

#include "base/invariant.h"
#include "server/service/audit.h"
#include "server/service/report_key.h"
#include "server/service/review.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum result report_seal_react(struct work *work, const struct work_change *change,
                              struct problem *problem)
{
    const struct value signature_id = value_integer(change_integer(change, "signature_id", 0));

    if (!change_is_insert(change))
        return RESULT_OK;
    return work_execute(work,
                        "INSERT INTO fs_receipt_wanted(signature_id) VALUES(?1)"
                        " ON CONFLICT (signature_id) DO NOTHING",
                        &signature_id, 1, problem);
}

/* ---- what the server thinks of it ---- */

struct finding {
    const char *name; /* as in report_receipt */
    enum reason reason;
};
static const struct finding GOOD = {"good", REASON_NONE};
static const struct finding WRONG_KEY = {"wrong_key", REASON_SEAL_WRONG_KEY};
static const struct finding NOT_THESE_ROWS = {"not_these_rows", REASON_SEAL_NOT_THESE_ROWS};
static const struct finding GAP = {"gap", REASON_SEAL_GAP};
static const struct finding FORK = {"fork", REASON_SEAL_FORK};

static enum result find_key(struct work *work, const struct evidence *evidence, bool *ret_is_signed,
                            char ret_hex[EVIDENCE_HEX_SIZE], struct problem *problem)
{
    const struct value device = value_integer(evidence->claim.device_id);
    struct store_result keys = {0};
    enum result result = work_query(work, REPORT_KEYS_QUERY, &device, 1, &keys, problem);

    if (result == RESULT_OK)
        report_key_find(&keys, evidence, ret_is_signed, ret_hex);
    return result;
}

/* Another seal with this number is a fork; the one before must be there and be the one it names. */
static enum result judge_chain(struct work *work, const struct evidence *evidence,
                               const struct finding **ret_finding, struct problem *problem)
{
    struct bytes previous = evidence_value(evidence->sealed, "previous");
    const struct value keys[] = {value_integer(evidence->claim.device_id),
                                 value_integer(evidence->claim.chain_n),
                                 value_integer(evidence->claim.signature_id)};
    struct store_result found = {0};
    enum result result =
        work_query(work,
                   "SELECT chain_n, report_hash FROM report_receipt WHERE device_id = ?1"
                   " AND chain_n IN (?2 - 1, ?2) AND signature_id <> ?3 ORDER BY chain_n DESC",
                   keys, 3, &found, problem);
    bool is_first = evidence->claim.chain_n == 1 && previous.size == 0;

    *ret_finding = is_first ? &GOOD : &GAP;
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++) {
        bool is_before = store_integer_at(&found, i, 0, 0) < evidence->claim.chain_n;

        if (is_before && bytes_equal(store_bytes_at(&found, i, 1), previous)) {
            *ret_finding = &GOOD;
            continue;
        }
        *ret_finding = &FORK;
        break;
    }
    return result;
}

static enum result judge(struct work *work, const struct evidence *evidence, bool is_signed,
                         const struct finding **ret_finding, struct problem *problem)
{
    *ret_finding = is_signed ? &NOT_THESE_ROWS : &WRONG_KEY;
    if (!is_signed || !evidence_is_of_row(evidence))
        return RESULT_OK;
    return judge_chain(work, evidence, ret_finding, problem);
}

/* ---- the receipt ---- */

static enum result insert_receipt(struct work *work, const struct evidence_receipt *receipt,
                                  struct problem *problem)
{
    const struct author server = rows_server(work);
    char detail[160];
    enum result result;
    const struct work_field fields[] = {{"signature_id", value_integer(receipt->signature_id)},
                                        {"report_hash", value_text(receipt->report_hash)},
                                        {"device_id", value_integer(receipt->device_id)},
                                        {"device_key", receipt->device_key.size == 0
                                                           ? value_null()
                                                           : value_text(receipt->device_key)},
                                        {"chain_n", value_integer(receipt->chain_n)},
                                        {"finding", value_text(receipt->finding)},
                                        {"seq_n", value_integer(receipt->seq_n)},
                                        {"received_at", value_integer(receipt->received_at)},
                                        {"server_key", value_text(receipt->server_key)},
                                        {"server_signature", value_blob(receipt->server_signature)},
                                        {.name = NULL}};

    snprintf(detail, sizeof detail, "signature %" PRId64 " %.*s", receipt->signature_id,
             (int)receipt->report_hash.size, (const char *)receipt->report_hash.data);
    result = work_insert_fields(work, "report_receipt", fields, &server, NULL, problem);
    return result == RESULT_OK ? audit_add(work, "receipt", 0, 0, detail, problem) : result;
}

static enum result sign_receipt(struct work *work, const struct report_key *key,
                                struct evidence_receipt *receipt, struct problem *problem)
{
    uint8_t signature[EVIDENCE_SIGNATURE_SIZE];
    char server_key[EVIDENCE_HEX_SIZE];
    struct buffer text;
    enum result result;

    bytes_to_hex(bytes_of(key->public_key, sizeof key->public_key), server_key);
    receipt->server_key = bytes_of_text(server_key);
    buffer_init(&text, 4096);
    result = evidence_append_receipt(receipt, &text, problem);
    if (result == RESULT_OK) {
        evidence_sign(buffer_bytes(&text), key->secret_key, signature);
        receipt->server_signature = bytes_of(signature, sizeof signature);
        result = insert_receipt(work, receipt, problem);
    }
    buffer_done(&text);
    return result;
}

static enum result ask(struct work *work, const struct evidence *evidence, enum reason reason,
                       struct problem *problem)
{
    const struct review_request question = {.table_name = "signature",
                                            .row_id = evidence->claim.signature_id,
                                            .reason = reason,
                                            .roles = ROLE_MANAGER,
                                            .user_id = evidence->claim.user_id};

    return review_raise(work, &question, problem);
}

static enum result seq_of(struct work *work, int64_t signature_id, int64_t *ret_seq,
                          struct problem *problem)
{
    const struct catalog_table *table = catalog_table_by_name(work_catalog(work), "signature");
    const struct stored_row *row = NULL;
    enum result result;

    invariant(table != NULL);
    result = work_row(work, table, signature_id, &row, problem);
    *ret_seq = result == RESULT_OK && row != NULL ? row->seq : 0;
    return result;
}

static enum result give_receipt(struct work *work, const struct report_key *key,
                                const struct evidence *evidence, struct problem *problem)
{
    char report_hash[EVIDENCE_HEX_SIZE];
    char device_key[EVIDENCE_HEX_SIZE];
    const struct finding *finding = NULL;
    bool is_signed = false;
    struct evidence_receipt receipt = {
        .signature_id = evidence->claim.signature_id,
        .device_id = evidence->claim.device_id,
        .chain_n = evidence->claim.chain_n,
        .received_at = work_now(work).us,
    };
    enum result result = find_key(work, evidence, &is_signed, device_key, problem);

    if (result == RESULT_OK)
        result = judge(work, evidence, is_signed, &finding, problem);
    if (result == RESULT_OK)
        result = seq_of(work, receipt.signature_id, &receipt.seq_n, problem);
    if (result != RESULT_OK)
        return result;
    evidence_hash(evidence->sealed, report_hash);
    receipt.report_hash = bytes_of_text(report_hash);
    receipt.device_key = bytes_of_text(device_key);
    receipt.finding = bytes_of_text(finding->name);
    result = sign_receipt(work, key, &receipt, problem);
    if (result == RESULT_OK && finding->reason != REASON_NONE)
        result = ask(work, evidence, finding->reason, problem);
    return result;
}

/* ---- what is wanted ---- */

/* The one signature, if it is sealed and has no receipt yet. */
static enum result answer(struct work *work, const struct report_key *key, int64_t signature_id,
                          struct problem *problem)
{
    const struct value which[] = {value_integer(signature_id), value_integer(0)};
    struct store_result rows = {0};
    struct evidence evidence = {0};
    enum result result = work_query(work, EVIDENCE_SQL, which, 2, &rows, problem);

    if (result != RESULT_OK || rows.row_count == 0)
        return result;
    evidence_read(rows.values, &evidence);
    if (evidence.sealed.size == 0 || evidence.has_receipt)
        return RESULT_OK;
    result = give_receipt(work, key, &evidence, problem);
    if (result == RESULT_OK)
        result = work_settle(work, problem);
    return result == RESULT_OK ? work_flush(work, problem) : result;
}

/* A receipt that the database refuses must not keep the changes around it from being stored. */
static enum result answer_alone(struct work *work, const struct report_key *key,
                                int64_t signature_id, struct problem *problem)
{
    const struct value wanted = value_integer(signature_id);
    struct problem refusal = {0};
    enum result result = work_savepoint(work, problem);

    if (result != RESULT_OK)
        return result;
    result = answer(work, key, signature_id, &refusal);
    if (result == RESULT_REFUSED)
        result = work_undo(work, problem);
    else if (result == RESULT_OK)
        result = work_release(work, problem);
    else
        return problem_set(problem, result, "%s", refusal.text);
    if (result == RESULT_OK)
        result = work_execute(work, "DELETE FROM fs_receipt_wanted WHERE signature_id = ?1",
                              &wanted, 1, problem);
    return result;
}

enum result receipts_sign(struct work *work, const struct report_key *key, struct problem *problem)
{
    const struct value limit = value_integer(RECEIPTS_AT_ONCE);
    struct store_result wanted = {0};
    enum result result = work_query(
        work, "SELECT signature_id FROM fs_receipt_wanted ORDER BY signature_id LIMIT ?1", &limit,
        1, &wanted, problem);

    for (size_t i = 0; i < wanted.row_count && result == RESULT_OK; i++)
        result = answer_alone(work, key, store_integer_at(&wanted, i, 0, 0), problem);
    if (result != RESULT_OK)
        problem_add(problem, "signing receipts");
    return result;
}

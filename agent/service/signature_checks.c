/* SPDX-License-Identifier: Apache-2.0 */
/* Are the signatures here still what was signed? */
#include "agent/service/reports.h"
#include "agent/service/signatures.h"
#include "domain/evidence.h"

#include <sodium.h>
#include <string.h>

enum { DIFFERENCE_SIZE_MAX = 2 * REPORT_SIZE_MAX };

static bool is_sealed_by_us(const struct service *service, const struct evidence *evidence)
{
    uint8_t public_key[EVIDENCE_KEY_SIZE];
    uint8_t secret_key[EVIDENCE_SECRET_SIZE];

    crypto_sign_seed_keypair(public_key, secret_key, service->sign_secret_seed);
    sodium_memzero(secret_key, sizeof secret_key);
    return evidence_is_signed(evidence->sealed, public_key, evidence->key_signature);
}

/* The seal names the one before it; the oldest one here may follow one that has left. */
static bool follows(const struct evidence *evidence, const struct evidence *before)
{
    char hash[EVIDENCE_HEX_SIZE];
    int64_t number = evidence_number(evidence->sealed, "chain");

    if (before == NULL || before->claim.device_id != evidence->claim.device_id)
        return true;
    evidence_hash(before->sealed, hash);
    return number == evidence_number(before->sealed, "chain") + 1 &&
           bytes_equal(evidence_value(evidence->sealed, "previous"), bytes_of_text(hash));
}

/* The text that was signed, if it is on this device. */
static enum result read_signed_text(const struct service *service, const struct evidence *evidence,
                                    struct buffer *text, struct problem *problem)
{
    struct bytes hex = evidence_value(evidence->sealed, "text");
    char digits[2 * BLOB_STORE_HASH_SIZE + 1] = "";
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    uint8_t *room = NULL;
    size_t read = 0;
    bool is_whole = false;
    int64_t size = 0;
    enum result result;

    if (service->blobs == NULL || hex.size != sizeof digits - 1)
        return RESULT_OK;
    memcpy(digits, hex.data, hex.size);
    if (!bytes_from_hex(digits, hash, sizeof hash))
        return RESULT_OK;
    result = service->blobs->operations->status(service->blobs, hash, &size, &is_whole, problem);
    if (result != RESULT_OK || !is_whole || size > REPORT_SIZE_MAX)
        return result;
    result = buffer_reserve(text, (size_t)size, &room, problem);
    if (result == RESULT_OK)
        result = service->blobs->operations->read(service->blobs, hash, 0, room, (size_t)size,
                                                  &read, problem);
    if (result == RESULT_OK)
        text->size += read;
    return result;
}

static enum result compare(struct service *service, struct arena *arena,
                           const struct evidence *evidence, const char **ret_difference,
                           struct problem *problem)
{
    struct buffer then;
    struct buffer now;
    struct buffer difference;
    struct bytes copy = {0};
    enum result result;

    buffer_init(&then, REPORT_SIZE_MAX);
    buffer_init(&now, REPORT_SIZE_MAX);
    buffer_init(&difference, DIFFERENCE_SIZE_MAX);
    result = report_append(service, evidence->claim.activity_id, evidence->claim.language,
                           evidence->claim.salt, &now, problem);
    if (result == RESULT_OK)
        result = read_signed_text(service, evidence, &then, problem);
    if (result == RESULT_OK)
        result = evidence_difference(evidence, buffer_bytes(&then), buffer_bytes(&now), &difference,
                                     problem);
    if (result == RESULT_OK)
        result = arena_copy(arena, buffer_bytes(&difference), &copy, problem);
    if (result == RESULT_OK)
        *ret_difference = (const char *)copy.data;
    buffer_done(&then);
    buffer_done(&now);
    buffer_done(&difference);
    return result;
}

static enum result check_one(struct service *service, struct arena *arena,
                             const struct evidence *evidence, const struct evidence *before,
                             struct signature_check *ret_check, struct problem *problem)
{
    const struct value name = value_text(evidence->claim.signer_name);
    struct signature_check check = {
        .id = evidence->claim.signature_id,
        .activity_id = evidence->claim.activity_id,
        .signed_at = evidence->claim.signed_at,
        .signer_name = service_text(arena, &name),
        .is_sealed = evidence->sealed.size > 0,
        .is_own_device = service->sign_secret_seed != NULL &&
                         evidence->claim.device_id == service->who.device_id,
        .has_receipt = evidence->has_receipt,
        .is_receipt_good = evidence_receipt_is_good(evidence),
        .received_at = evidence->receipt.received_at,
        .difference = "",
    };
    enum result result = RESULT_OK;

    if (check.is_sealed && check.is_own_device) {
        check.is_key_good = is_sealed_by_us(service, evidence);
        check.is_chain_good = follows(evidence, before);
    }
    check.is_erased = check.is_sealed && evidence->claim.salt.size == 0;
    if (check.is_sealed)
        result = compare(service, arena, evidence, &check.difference, problem);
    check.is_unchanged = check.is_sealed && check.difference[0] == '\0';
    *ret_check = check;
    return result;
}

enum result signature_verify(struct service *service, int64_t activity_id, struct arena *arena,
                             struct signature_check **ret_checks, size_t *ret_count,
                             struct problem *problem)
{
    struct replica_result rows = {0};
    struct signature_check *checks;
    struct evidence evidence = {0};
    struct evidence before = {0};
    size_t count = 0;
    enum result result =
        replica_query(service->replica, EVIDENCE_SQL,
                      SERVICE_VALUES(value_integer(0), value_integer(0)), arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    checks = arena_array(arena, rows.row_count + 1, sizeof *checks);
    if (checks == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; result == RESULT_OK && i < rows.row_count; i++) {
        evidence_read(rows.values + i * rows.column_count, &evidence);
        if (evidence.claim.activity_id != 0 &&
            (activity_id == 0 || evidence.claim.activity_id == activity_id))
            result = check_one(service, arena, &evidence, before.sealed.size > 0 ? &before : NULL,
                               &checks[count++], problem);
        before = evidence;
    }
    *ret_checks = checks;
    *ret_count = count;
    return result;
}

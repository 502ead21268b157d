/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/report_check.h"
#include "server/service/report_key.h"

#include <string.h>

enum { ROWS_SIZE_MAX = 16 << 20 };

bool report_check_is_good(const struct report_check *check)
{
    return check->is_sealed && check->is_key_good && check->is_chain_good &&
           (!check->evidence.has_receipt || check->is_receipt_good) && check->difference.size == 0;
}

/* ---- texts ---- */

static enum result append_today(struct store *store, const struct evidence_claim *claim,
                                struct buffer *text, struct problem *problem)
{
    const struct value activity = value_integer(claim->activity_id);
    struct arena arena;
    enum result result = report_append_header(text, claim->language, claim->salt, problem);

    arena_init(&arena, ROWS_SIZE_MAX);
    for (size_t i = 0; i < report_section_count() && result == RESULT_OK; i++) {
        const struct report_section *section = report_section_at(i);
        struct store_result rows = {0};

        result = store_query(store, section->sql, &activity, 1, &arena, &rows, problem);
        if (result == RESULT_OK)
            result = report_append_rows(text, section, rows.values, rows.row_count,
                                        rows.column_count, problem);
    }
    arena_done(&arena);
    return result;
}

static enum result read_signed(struct blob_store *blobs, const struct evidence *evidence,
                               struct arena *arena, struct bytes *ret_text, struct problem *problem)
{
    struct bytes hex = evidence_value(evidence->sealed, "text");
    char digits[EVIDENCE_HEX_SIZE] = "";
    uint8_t hash[BLOB_STORE_HASH_SIZE];
    uint8_t *memory = NULL;
    size_t size_read = 0;
    int64_t size = 0;
    bool is_whole = false;
    enum result result;

    if (blobs == NULL || hex.size != sizeof digits - 1)
        return RESULT_OK;
    memcpy(digits, hex.data, hex.size);
    if (!bytes_from_hex(digits, hash, sizeof hash))
        return RESULT_OK;
    result = blobs->operations->status(blobs, hash, &size, &is_whole, problem);
    if (result != RESULT_OK || !is_whole || size > REPORT_SIZE_MAX)
        return result;
    memory = arena_alloc(arena, (size_t)size);
    if (memory == NULL)
        return arena_full(arena, problem);
    result = blobs->operations->read(blobs, hash, 0, memory, (size_t)size, &size_read, problem);
    if (result == RESULT_OK)
        *ret_text = bytes_of(memory, size_read);
    return result;
}

static enum result compare(struct store *store, struct report_check *check, struct arena *arena,
                           struct problem *problem)
{
    struct buffer today;
    struct buffer difference;
    enum result result;

    buffer_init(&today, REPORT_SIZE_MAX);
    buffer_init(&difference, 2 * REPORT_SIZE_MAX);
    result = append_today(store, &check->evidence.claim, &today, problem);
    if (result == RESULT_OK)
        result = evidence_difference(&check->evidence, check->text, buffer_bytes(&today),
                                     &difference, problem);
    if (result == RESULT_OK)
        result = arena_copy(arena, buffer_bytes(&difference), &check->difference, problem);
    buffer_done(&today);
    buffer_done(&difference);
    return result;
}

/* ---- key and chain ---- */

static enum result check_key(struct store *store, struct report_check *check, struct arena *arena,
                             struct problem *problem)
{
    const struct value device = value_integer(check->evidence.claim.device_id);
    char *hex = arena_alloc(arena, EVIDENCE_HEX_SIZE);
    struct store_result keys = {0};
    enum result result;

    if (hex == NULL)
        return arena_full(arena, problem);
    hex[0] = '\0';
    check->device_key = hex;
    result = store_query(store, REPORT_KEYS_QUERY, &device, 1, arena, &keys, problem);
    if (result == RESULT_OK)
        report_key_find(&keys, &check->evidence, &check->is_key_good, hex);
    return result;
}

static enum result check_chain(struct store *store, struct report_check *check, struct arena *arena,
                               struct problem *problem)
{
    int64_t number = evidence_number(check->evidence.sealed, "chain");
    struct bytes previous = evidence_value(check->evidence.sealed, "previous");
    const struct value keys[] = {value_integer(check->evidence.claim.device_id),
                                 value_integer(number)};
    char hash[EVIDENCE_HEX_SIZE];
    struct store_result before = {0};
    enum result result;

    if (number == 1) {
        check->is_chain_good = previous.size == 0;
        return RESULT_OK;
    }
    result = store_query(store,
                         "SELECT sealed FROM report_seal WHERE device_id = ?1 AND chain_n = ?2 - 1",
                         keys, 2, arena, &before, problem);
    evidence_hash(store_bytes_at(&before, 0, 0), hash);
    check->is_chain_good = before.row_count == 1 && bytes_equal(previous, bytes_of_text(hash));
    return result;
}

/* The customer as it was sealed: the rows may lead elsewhere by now. */
static enum result find_erasure(struct store *store, struct report_check *check,
                                struct arena *arena, struct problem *problem)
{
    const struct value party = value_integer(evidence_number(check->evidence.sealed, "customer"));
    struct store_result found = {0};
    enum result result;

    if (!check->is_erased)
        return RESULT_OK;
    result = store_query(store, "SELECT max(erased_at) FROM fs_erasure WHERE party_id = ?1", &party,
                         1, arena, &found, problem);
    check->erased_at = store_integer_at(&found, 0, 0, 0);
    return result;
}

static enum result check_one(struct store *store, struct blob_store *blobs, struct arena *arena,
                             struct report_check *check, struct problem *problem)
{
    enum result result = RESULT_OK;

    check->device_key = "";
    check->is_sealed = check->evidence.sealed.size > 0;
    if (!check->is_sealed)
        return RESULT_OK;
    check->is_erased = check->evidence.claim.salt.size == 0;
    check->is_receipt_good = evidence_receipt_is_good(&check->evidence);
    result = check_key(store, check, arena, problem);
    if (result == RESULT_OK)
        result = check_chain(store, check, arena, problem);
    if (result == RESULT_OK)
        result = find_erasure(store, check, arena, problem);
    if (result == RESULT_OK)
        result = read_signed(blobs, &check->evidence, arena, &check->text, problem);
    return result == RESULT_OK ? compare(store, check, arena, problem) : result;
}

enum result report_check(struct store *store, struct blob_store *blobs, int64_t signature_id,
                         int64_t activity_id, struct arena *arena, struct report_check **ret_checks,
                         size_t *ret_count, struct problem *problem)
{
    const struct value which[] = {value_integer(signature_id), value_integer(activity_id)};
    struct store_result rows = {0};
    struct report_check *checks = NULL;
    enum result result = store_query(store, EVIDENCE_SQL, which, 2, arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    checks = arena_array(arena, rows.row_count + 1, sizeof *checks);
    if (checks == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < rows.row_count && result == RESULT_OK; i++) {
        checks[i] = (struct report_check){.row = store_at(&rows, i, 0)};
        evidence_read(rows.values + i * rows.column_count, &checks[i].evidence);
        result = check_one(store, blobs, arena, &checks[i], problem);
    }
    *ret_checks = checks;
    *ret_count = rows.row_count;
    return result;
}

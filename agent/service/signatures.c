/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/signatures.h"

#include "agent/service/photos.h"
#include "agent/service/reports.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HASH_SIZE = BLOB_STORE_HASH_SIZE,
    HASH_TEXT_SIZE = PHOTO_HASH_TEXT_SIZE,
    REPORT_SIZE_MAX = 8 << 20,
    SEALED_SIZE_MAX = 16 * 1024, /* the text that the device signs */
    NAME_SIZE_MAX = 200,
    POINTS_PER_LETTER = 6,
};

/* ---- strokes ---- */

static enum result append_u16(struct buffer *out, unsigned number, struct problem *problem)
{
    uint8_t pair[2] = {(uint8_t)(number >> 8), (uint8_t)number};

    return buffer_append(out, pair, sizeof pair, problem);
}

static enum result append_point(struct buffer *out, unsigned x, unsigned y, unsigned pressure,
                                unsigned ms, struct problem *problem)
{
    enum result result = append_u16(out, x, problem);

    if (result == RESULT_OK)
        result = append_u16(out, y, problem);
    if (result == RESULT_OK)
        result = append_u16(out, pressure, problem);
    if (result == RESULT_OK)
        result = append_u16(out, ms, problem);
    return result;
}

/* A typed name as strokes: one a letter, a line that the letter's code bends. No claim of being
 * handwriting, only something to look at and to hash. */
static enum result strokes_of_name(const char *name, struct buffer *out, struct problem *problem)
{
    size_t letters = strlen(name);
    enum result result = buffer_append(out, "\x01", 1, problem);

    for (size_t i = 0; result == RESULT_OK && i < letters; i++) {
        unsigned code = (unsigned char)name[i];
        unsigned left = (unsigned)(500 + i * 9000 / letters);

        result = append_u16(out, POINTS_PER_LETTER, problem);
        for (unsigned k = 0; result == RESULT_OK && k < POINTS_PER_LETTER; k++)
            result = append_point(out, left + k * 40, 4000 + (code * (k + 3) * 37) % 2000, 500,
                                  k == 0 ? 120 : 15, problem);
    }
    return result;
}

/* "120 4500 510 12" */
static bool read_point(struct bytes line, unsigned ret_numbers[4])
{
    static const unsigned MAX[4] = {10000, 10000, 1000, 65535};
    size_t at = 0;

    for (size_t k = 0; k < 4; k++) {
        unsigned number = 0;
        size_t digits = 0;

        while (at < line.size && line.data[at] == ' ')
            at++;
        while (at < line.size && line.data[at] >= '0' && line.data[at] <= '9' && digits < 6) {
            number = number * 10 + (unsigned)(line.data[at] - '0');
            at++;
            digits++;
        }
        if (digits == 0 || number > MAX[k])
            return false;
        ret_numbers[k] = number;
    }
    while (at < line.size && (line.data[at] == ' ' || line.data[at] == '\r'))
        at++;
    return at == line.size;
}

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\r')
            return false;
    return true;
}

/* The count of the stroke that begins at `start` is only known at its end. */
static void close_stroke(struct buffer *strokes, size_t start, unsigned count)
{
    strokes->data[start] = (uint8_t)(count >> 8);
    strokes->data[start + 1] = (uint8_t)count;
}

enum result signature_strokes_parse(struct bytes text, struct buffer *strokes,
                                    struct problem *problem)
{
    size_t line_no = 0;
    size_t start = 0;
    unsigned count = 0;
    size_t points = 0;
    enum result result = buffer_append(strokes, "\x01", 1, problem);

    while (result == RESULT_OK && text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        struct bytes line =
            bytes_of(text.data, end == NULL ? text.size : (size_t)(end - text.data));
        unsigned point[4];

        line_no++;
        text.data += line.size + (end != NULL);
        text.size -= line.size + (end != NULL);
        if (is_blank(line)) {
            if (count > 0)
                close_stroke(strokes, start, count);
            count = 0;
            continue;
        }
        if (!read_point(line, point) || count == UINT16_MAX)
            return problem_set(problem, RESULT_REFUSED,
                               "line %zu of the strokes isn't `x y pressure milliseconds` with x "
                               "and y to 10000 and pressure to 1000",
                               line_no);
        if (count == 0) {
            start = strokes->size;
            result = append_u16(strokes, 0, problem);
        }
        if (result == RESULT_OK)
            result = append_point(strokes, point[0], point[1], point[2], point[3], problem);
        count++;
        points++;
    }
    if (result == RESULT_OK && count > 0)
        close_stroke(strokes, start, count);
    if (result == RESULT_OK && points == 0)
        return problem_set(problem, RESULT_REFUSED, "the strokes have no point");
    return result;
}

/* ---- what the device signs ---- */

struct sealed {
    const char *document_hash;
    int64_t version;
    const char *signer_name;
    const char *signer_role;
    int64_t signed_at;
    struct bytes strokes;
    const char *refused_reason;
    bool has_amount;
    int64_t amount_cents;
    int64_t device_id;
    const char *previous_hash;
};

static void hash_text(struct bytes bytes, char ret_text[HASH_TEXT_SIZE])
{
    uint8_t hash[HASH_SIZE];

    crypto_generichash(hash, sizeof hash, bytes.data, bytes.size, NULL, 0);
    bytes_to_hex(bytes_of(hash, sizeof hash), ret_text);
}

static enum result append_line(struct buffer *out, const char *text, struct problem *problem)
{
    enum result result = buffer_append(out, text, strlen(text), problem);

    return result == RESULT_OK ? buffer_append(out, "\n", 1, problem) : result;
}

static enum result append_number(struct buffer *out, int64_t number, struct problem *problem)
{
    char digits[32];

    snprintf(digits, sizeof digits, "%" PRId64, number);
    return append_line(out, digits, problem);
}

static enum result sealed_append(const struct sealed *sealed, struct buffer *out,
                                 struct problem *problem)
{
    char strokes[HASH_TEXT_SIZE];
    enum result result = append_line(out, "fieldsync signature v1", problem);

    hash_text(sealed->strokes, strokes);
    if (result == RESULT_OK)
        result = append_line(out, sealed->document_hash, problem);
    if (result == RESULT_OK)
        result = append_number(out, sealed->version, problem);
    if (result == RESULT_OK)
        result = append_line(out, sealed->signer_name, problem);
    if (result == RESULT_OK)
        result = append_line(out, sealed->signer_role, problem);
    if (result == RESULT_OK)
        result = append_number(out, sealed->signed_at, problem);
    if (result == RESULT_OK)
        result = append_line(out, strokes, problem);
    if (result == RESULT_OK)
        result = append_line(out, sealed->refused_reason, problem);
    if (result == RESULT_OK)
        result = sealed->has_amount ? append_number(out, sealed->amount_cents, problem)
                                    : append_line(out, "", problem);
    if (result == RESULT_OK)
        result = append_number(out, sealed->device_id, problem);
    if (result == RESULT_OK)
        result = append_line(out, sealed->previous_hash, problem);
    return result;
}

static enum result sign_sealed(const struct service *service, const struct sealed *sealed,
                               uint8_t ret_signature[crypto_sign_BYTES], struct problem *problem)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
    struct buffer text;
    enum result result;

    buffer_init(&text, SEALED_SIZE_MAX);
    result = sealed_append(sealed, &text, problem);
    if (result == RESULT_OK) {
        crypto_sign_seed_keypair(public_key, secret_key, service->sign_secret_seed);
        crypto_sign_detached(ret_signature, NULL, text.data, text.size, secret_key);
        sodium_memzero(secret_key, sizeof secret_key);
    }
    buffer_done(&text);
    return result;
}

/* ---- signing ---- */

/* The version to give, and the hash of this device's signature before. */
static enum result look_back(struct service *service, int64_t activity_id, struct arena *arena,
                             int64_t *ret_version, char ret_previous[HASH_TEXT_SIZE],
                             struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    enum result result = service_row(
        service, "SELECT coalesce(max(version_n), 0) + 1 FROM signature WHERE activity_id = ?1",
        SERVICE_VALUES(value_integer(activity_id)), arena, &row, &is_found, problem);

    if (result != RESULT_OK)
        return result;
    *ret_version = is_found ? service_integer(&row[0]) : 1;
    result = service_row(
        service,
        "SELECT key_signature FROM signature WHERE device_id = ?1 ORDER BY id DESC LIMIT 1",
        SERVICE_VALUES(value_integer(service->who.device_id)), arena, &row, &is_found, problem);
    ret_previous[0] = '\0';
    if (result == RESULT_OK && is_found && row[0].type == VALUE_BLOB)
        hash_text(row[0].bytes, ret_previous);
    return result;
}

static enum result insert_signature(struct service *service, const struct signature_draft *draft,
                                    const struct sealed *sealed, struct bytes key_signature,
                                    int64_t *ret_id, struct problem *problem)
{
    return service_insert(
        service,
        "INSERT INTO signature (id, activity_id, document_kind, version_n, document_hash, "
        "signer_name, signer_role, signed_at, strokes, refused_reason, amount_cents, by_id, "
        "device_id, key_signature, previous_hash) "
        "VALUES (?1, ?2, 'report', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        SERVICE_VALUES(value_integer(draft->activity_id), value_integer(sealed->version),
                       value_text_of(sealed->document_hash), value_text_of(draft->signer_name),
                       value_text_of(draft->signer_role), value_integer(sealed->signed_at),
                       sealed->strokes.size == 0 ? value_null() : value_blob(sealed->strokes),
                       value_text_of(draft->refused_reason),
                       draft->has_amount ? value_integer(draft->amount_cents) : value_null(),
                       value_integer(service->who.user_id), value_integer(service->who.device_id),
                       value_blob(key_signature),
                       sealed->previous_hash[0] == '\0' ? value_null()
                                                        : value_text_of(sealed->previous_hash)),
        ret_id, problem);
}

/* The text that was signed, as an attachment under its own hash. */
static enum result insert_report(struct service *service, const struct signature_draft *draft,
                                 const struct sealed *sealed, size_t size, struct problem *problem)
{
    char name[64];

    snprintf(name, sizeof name, "report-%" PRId64 "-v%" PRId64 ".txt", draft->activity_id,
             sealed->version);
    return service_insert(
        service,
        "INSERT INTO attachment (id, activity_id, name, mime_type, size_n, content_hash, "
        "created_at, by_id) VALUES (?1, ?2, ?3, '" REPORT_MIME_TYPE "', ?4, ?5, ?6, ?7)",
        SERVICE_VALUES(value_integer(draft->activity_id), value_text_of(name),
                       value_integer((int64_t)size), value_text_of(sealed->document_hash),
                       value_integer(service->now.us), value_integer(service->who.user_id)),
        NULL, problem);
}

static enum result check_draft(const struct service *service, const struct signature_draft *draft,
                               struct problem *problem)
{
    if (service->sign_secret_seed == NULL)
        return problem_set(problem, RESULT_REFUSED, "the device's signing key isn't there");
    if (draft->signer_name == NULL || draft->signer_name[0] == '\0' ||
        strlen(draft->signer_name) > NAME_SIZE_MAX || strchr(draft->signer_name, '\n') != NULL)
        return problem_set(problem, RESULT_REFUSED, "a signer has a name of 1 to 200 bytes");
    if ((draft->signer_role != NULL && strchr(draft->signer_role, '\n') != NULL) ||
        (draft->refused_reason != NULL && strchr(draft->refused_reason, '\n') != NULL))
        return problem_set(problem, RESULT_REFUSED, "role and reason are one line each");
    if (draft->strokes.size > SIGNATURE_STROKES_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "the strokes take more than 60 KiB");
    return RESULT_OK;
}

/* In the transaction: what is hashed is what is committed beside it. */
static enum result sign(struct service *service, const struct signature_draft *draft,
                        struct bytes strokes, int64_t *ret_id, struct problem *problem)
{
    uint8_t key_signature[crypto_sign_BYTES];
    char document_hash[HASH_TEXT_SIZE];
    char previous[HASH_TEXT_SIZE];
    struct sealed sealed = {
        .document_hash = document_hash,
        .signer_name = draft->signer_name,
        .signer_role = draft->signer_role != NULL ? draft->signer_role : "",
        .signed_at = service->now.us,
        .strokes = strokes,
        .refused_reason = draft->refused_reason != NULL ? draft->refused_reason : "",
        .has_amount = draft->has_amount,
        .amount_cents = draft->amount_cents,
        .device_id = service->who.device_id,
        .previous_hash = previous,
    };
    struct buffer report;
    struct arena arena;
    enum result result;

    buffer_init(&report, REPORT_SIZE_MAX);
    arena_init(&arena, 1 << 20);
    result = report_append(service, draft->activity_id, &report, problem);
    if (result == RESULT_OK)
        result = photo_store(service, buffer_bytes(&report), document_hash, problem);
    if (result == RESULT_OK)
        result = look_back(service, draft->activity_id, &arena, &sealed.version, previous, problem);
    if (result == RESULT_OK)
        result = sign_sealed(service, &sealed, key_signature, problem);
    if (result == RESULT_OK)
        result = insert_report(service, draft, &sealed, report.size, problem);
    if (result == RESULT_OK)
        result = insert_signature(service, draft, &sealed,
                                  bytes_of(key_signature, sizeof key_signature), ret_id, problem);
    arena_done(&arena);
    buffer_done(&report);
    return result;
}

enum result signature_add(struct service *service, const struct signature_draft *draft,
                          int64_t *ret_id, struct problem *problem)
{
    struct buffer drawn;
    struct bytes strokes = draft->strokes;
    enum result result = check_draft(service, draft, problem);

    if (result != RESULT_OK)
        return result;
    buffer_init(&drawn, SIGNATURE_STROKES_SIZE_MAX);
    if (draft->refused_reason != NULL) {
        strokes = (struct bytes){0};
    } else if (strokes.size == 0) {
        result = strokes_of_name(draft->signer_name, &drawn, problem);
        strokes = buffer_bytes(&drawn);
    }
    if (result == RESULT_OK)
        result = service_change_begin(service, problem);
    if (result == RESULT_OK) {
        result = sign(service, draft, strokes, ret_id, problem);
        result = service_change_end(service, result, true, problem);
    }
    buffer_done(&drawn);
    return result;
}

/* ---- verifying ---- */

enum {
    COLUMN_ID,
    COLUMN_ACTIVITY,
    COLUMN_VERSION,
    COLUMN_DOCUMENT,
    COLUMN_NAME,
    COLUMN_ROLE,
    COLUMN_AT,
    COLUMN_STROKES,
    COLUMN_REFUSED,
    COLUMN_AMOUNT,
    COLUMN_DEVICE,
    COLUMN_KEY,
    COLUMN_PREVIOUS,
    COLUMN_COUNT,
};
static const char VERIFY_SQL[] =
    "SELECT id, activity_id, version_n, document_hash, signer_name, signer_role, signed_at, "
    "strokes, refused_reason, amount_cents, device_id, key_signature, previous_hash "
    "FROM signature WHERE activity_id IS NOT NULL ORDER BY device_id, id";

static enum result is_signed_by_us(const struct service *service, struct arena *arena,
                                   const struct value *row, bool *ret_is_good,
                                   struct problem *problem)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret_key[crypto_sign_SECRETKEYBYTES];
    const struct sealed sealed = {
        .document_hash = service_text(arena, &row[COLUMN_DOCUMENT]),
        .version = service_integer(&row[COLUMN_VERSION]),
        .signer_name = service_text(arena, &row[COLUMN_NAME]),
        .signer_role = service_text(arena, &row[COLUMN_ROLE]),
        .signed_at = service_integer(&row[COLUMN_AT]),
        .strokes =
            row[COLUMN_STROKES].type == VALUE_BLOB ? row[COLUMN_STROKES].bytes : (struct bytes){0},
        .refused_reason = service_text(arena, &row[COLUMN_REFUSED]),
        .has_amount = row[COLUMN_AMOUNT].type == VALUE_INTEGER,
        .amount_cents = service_integer(&row[COLUMN_AMOUNT]),
        .device_id = service_integer(&row[COLUMN_DEVICE]),
        .previous_hash = service_text(arena, &row[COLUMN_PREVIOUS]),
    };
    struct buffer text;
    enum result result;

    buffer_init(&text, SEALED_SIZE_MAX);
    result = sealed_append(&sealed, &text, problem);
    if (result == RESULT_OK) {
        crypto_sign_seed_keypair(public_key, secret_key, service->sign_secret_seed);
        sodium_memzero(secret_key, sizeof secret_key);
        *ret_is_good = row[COLUMN_KEY].type == VALUE_BLOB &&
                       row[COLUMN_KEY].bytes.size == crypto_sign_BYTES &&
                       crypto_sign_verify_detached(row[COLUMN_KEY].bytes.data, text.data, text.size,
                                                   public_key) == 0;
    }
    buffer_done(&text);
    return result;
}

/* What was signed and what would be signed today. */
static enum result compare_report(struct service *service, struct arena *arena,
                                  const struct value *row, struct signature_check *check,
                                  struct problem *problem)
{
    const char *signed_hash = service_text(arena, &row[COLUMN_DOCUMENT]);
    uint8_t hash[HASH_SIZE];
    char today[HASH_TEXT_SIZE];
    struct buffer report;
    struct buffer before;
    struct buffer difference;
    bool is_whole = false;
    int64_t size = 0;
    enum result result;

    buffer_init(&report, REPORT_SIZE_MAX);
    buffer_init(&before, REPORT_SIZE_MAX);
    buffer_init(&difference, 2 * REPORT_SIZE_MAX);
    check->difference = "";
    result = report_append(service, check->activity_id, &report, problem);
    if (result != RESULT_OK)
        goto done;
    hash_text(buffer_bytes(&report), today);
    check->is_unchanged = strcmp(today, signed_hash) == 0;
    if (check->is_unchanged || service->blobs == NULL ||
        !bytes_from_hex(signed_hash, hash, sizeof hash))
        goto done;
    result = service->blobs->operations->status(service->blobs, hash, &size, &is_whole, problem);
    if (result != RESULT_OK || !is_whole || size > REPORT_SIZE_MAX)
        goto done;
    result = buffer_reserve(&before, (size_t)size, &(uint8_t *){NULL}, problem);
    if (result == RESULT_OK)
        result = service->blobs->operations->read(service->blobs, hash, 0, before.data,
                                                  (size_t)size, &before.size, problem);
    if (result == RESULT_OK)
        result =
            report_difference(buffer_bytes(&before), buffer_bytes(&report), &difference, problem);
    if (result == RESULT_OK) {
        struct bytes copy = {0};

        result = arena_copy(arena, buffer_bytes(&difference), &copy, problem);
        if (result == RESULT_OK)
            check->difference = (const char *)copy.data;
    }
done:
    buffer_done(&report);
    buffer_done(&before);
    buffer_done(&difference);
    return result;
}

static enum result verify_row(struct service *service, struct arena *arena, const struct value *row,
                              const struct value *row_before, struct signature_check *ret_check,
                              struct problem *problem)
{
    struct signature_check check = {
        .id = service_integer(&row[COLUMN_ID]),
        .activity_id = service_integer(&row[COLUMN_ACTIVITY]),
        .signed_at = service_integer(&row[COLUMN_AT]),
        .signer_name = service_text(arena, &row[COLUMN_NAME]),
        .is_own_device = service->sign_secret_seed != NULL &&
                         service_integer(&row[COLUMN_DEVICE]) == service->who.device_id,
    };
    const char *previous = service_text(arena, &row[COLUMN_PREVIOUS]);
    char expected[HASH_TEXT_SIZE] = "";
    enum result result = RESULT_OK;

    if (check.is_own_device) {
        result = is_signed_by_us(service, arena, row, &check.is_key_good, problem);
        if (row_before != NULL && row_before[COLUMN_KEY].type == VALUE_BLOB)
            hash_text(row_before[COLUMN_KEY].bytes, expected);
        /* the oldest one here may follow one that has left this device */
        check.is_chain_good = row_before == NULL || strcmp(previous, expected) == 0;
    }
    if (result == RESULT_OK)
        result = compare_report(service, arena, row, &check, problem);
    *ret_check = check;
    return result;
}

enum result signature_verify(struct service *service, int64_t activity_id, struct arena *arena,
                             struct signature_check **ret_checks, size_t *ret_count,
                             struct problem *problem)
{
    struct replica_result rows = {0};
    struct signature_check *checks;
    size_t count = 0;
    enum result result =
        replica_query(service->replica, VERIFY_SQL, NULL, 0, arena, &rows, problem);

    if (result != RESULT_OK)
        return result;
    checks = arena_array(arena, rows.row_count + 1, sizeof *checks);
    if (checks == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; result == RESULT_OK && i < rows.row_count; i++) {
        const struct value *row = rows.values + i * COLUMN_COUNT;
        const struct value *before = i > 0 ? row - COLUMN_COUNT : NULL;

        if (activity_id != 0 && service_integer(&row[COLUMN_ACTIVITY]) != activity_id)
            continue;
        if (before != NULL &&
            service_integer(&before[COLUMN_DEVICE]) != service_integer(&row[COLUMN_DEVICE]))
            before = NULL;
        result = verify_row(service, arena, row, before, &checks[count++], problem);
    }
    *ret_checks = checks;
    *ret_count = count;
    return result;
}

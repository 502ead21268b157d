/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/service/signatures.h"

#include "agent/service/photos.h"
#include "agent/service/reports.h"
#include "domain/evidence.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE_MAX = 200, LANGUAGE_SIZE_MAX = 8, POINTS_PER_LETTER = 6 };

static_assert((int)PHOTO_HASH_TEXT_SIZE == (int)EVIDENCE_HEX_SIZE, "both are BLAKE2b-256");

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

/* ---- the chain of this device ---- */

/* Its head, as fs_state keeps it: rows of old signatures leave the device, their order doesn't. */
struct chain {
    int64_t number;
    char hash[EVIDENCE_HEX_SIZE]; /* "": nothing was signed yet */
};

static enum result chain_read(struct service *service, struct arena *arena, struct chain *ret_chain,
                              struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    enum result result = service_row(
        service,
        "SELECT number, data FROM fs_state WHERE name = 'chain' UNION ALL "
        "SELECT chain_n, sealed FROM report_seal WHERE device_id = ?1 "
        "ORDER BY 1 DESC LIMIT 1",
        SERVICE_VALUES(value_integer(service->who.device_id)), arena, &row, &is_found, problem);

    *ret_chain = (struct chain){0};
    if (result != RESULT_OK || !is_found)
        return result;
    ret_chain->number = service_integer(&row[0]);
    if (row[1].type == VALUE_BLOB && row[1].bytes.size == EVIDENCE_HASH_SIZE)
        bytes_to_hex(row[1].bytes, ret_chain->hash);
    else if (row[1].type == VALUE_TEXT)
        evidence_hash(row[1].bytes, ret_chain->hash);
    return result;
}

static enum result chain_write(struct service *service, int64_t number, struct bytes sealed,
                               struct problem *problem)
{
    uint8_t hash[EVIDENCE_HASH_SIZE];

    crypto_generichash(hash, sizeof hash, sealed.data, sealed.size, NULL, 0);
    return replica_execute(
        service->replica,
        "INSERT INTO fs_state(name, number, data) VALUES ('chain', ?1, ?2) "
        "ON CONFLICT(name) DO UPDATE SET number = ?1, data = ?2",
        SERVICE_VALUES(value_integer(number), value_blob(bytes_of(hash, sizeof hash))), problem);
}

/* ---- signing ---- */

/* What the rows say that the report is about, and what this device knows of the time. */
static enum result look_around(struct service *service, struct arena *arena,
                               struct evidence_claim *claim, struct problem *problem)
{
    const struct value *row = NULL;
    bool is_found = false;
    enum result result = service_row(
        service,
        "SELECT a.call_id, c.party_id, coalesce(a.site_id, c.site_id), "
        "(SELECT coalesce(max(version_n), 0) + 1 FROM signature WHERE activity_id = ?1), "
        "(SELECT number FROM fs_state WHERE name = 'published_at'), "
        "(SELECT number FROM fs_state WHERE name = 'clock_offset_us') "
        "FROM activity a LEFT JOIN call c ON c.id = a.call_id WHERE a.id = ?1",
        SERVICE_VALUES(value_integer(claim->activity_id)), arena, &row, &is_found, problem);

    if (result != RESULT_OK || !is_found)
        return result;
    claim->call_id = service_integer(&row[0]);
    claim->customer_id = service_integer(&row[1]);
    claim->site_id = service_integer(&row[2]);
    claim->version_n = service_integer(&row[3]);
    claim->server_time = service_integer(&row[4]);
    claim->clock_offset_us = service_integer(&row[5]);
    return RESULT_OK;
}

static enum result insert_signature(struct service *service, const struct evidence_claim *claim,
                                    struct bytes key_signature, struct problem *problem)
{
    return replica_execute(
        service->replica,
        "INSERT INTO signature (id, activity_id, document_kind, version_n, document_hash, "
        "signer_name, signer_role, signed_at, strokes, refused_reason, amount_cents, by_id, "
        "device_id, key_signature, previous_hash) "
        "VALUES (?1, ?2, ?15, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        SERVICE_VALUES(
            value_integer(claim->signature_id), value_integer(claim->activity_id),
            value_integer(claim->version_n), value_text(claim->document_hash),
            value_text(claim->signer_name),
            claim->signer_role.size == 0 ? value_null() : value_text(claim->signer_role),
            value_integer(claim->signed_at),
            claim->strokes.size == 0 ? value_null() : value_blob(claim->strokes),
            claim->refused_reason.size == 0 ? value_null() : value_text(claim->refused_reason),
            claim->has_amount ? value_integer(claim->amount_cents) : value_null(),
            value_integer(claim->user_id), value_integer(claim->device_id),
            value_blob(key_signature),
            claim->previous_hash.size == 0 ? value_null() : value_text(claim->previous_hash),
            value_text(claim->document_kind)),
        problem);
}

static enum result insert_seal(struct service *service, const struct evidence_claim *claim,
                               struct bytes sealed, struct problem *problem)
{
    return service_insert(
        service,
        "INSERT INTO report_seal (id, signature_id, device_id, chain_n, sealed, "
        "salt) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        SERVICE_VALUES(value_integer(claim->signature_id), value_integer(claim->device_id),
                       value_integer(claim->chain_n), value_text(sealed), value_blob(claim->salt)),
        NULL, problem);
}

/* The text that was signed, as an attachment under its own hash. */
static enum result insert_report(struct service *service, const struct evidence_claim *claim,
                                 size_t size, struct problem *problem)
{
    char name[64];

    snprintf(name, sizeof name, "report-%" PRId64 "-v%" PRId64 ".txt", claim->activity_id,
             claim->version_n);
    return service_insert(
        service,
        "INSERT INTO attachment (id, activity_id, name, mime_type, size_n, content_hash, "
        "created_at, by_id) VALUES (?1, ?2, ?3, '" REPORT_MIME_TYPE "', ?4, ?5, ?6, ?7)",
        SERVICE_VALUES(value_integer(claim->activity_id), value_text_of(name),
                       value_integer((int64_t)size), value_text(claim->document_hash),
                       value_integer(service->now.us), value_integer(service->who.user_id)),
        NULL, problem);
}

static bool is_one_line(const char *text)
{
    return text == NULL || strchr(text, '\n') == NULL;
}

static enum result check_draft(const struct service *service, const struct signature_draft *draft,
                               struct problem *problem)
{
    if (service->who.published_seq == 0) /* the signature before this one isn't here yet */
        return problem_set(problem, RESULT_REFUSED,
                           "this device has nothing yet but what was recorded on it: sync first");
    if (service->sign_secret_seed == NULL || draft->salt == NULL)
        return problem_set(problem, RESULT_REFUSED, "the device's signing key isn't there");
    if (draft->signer_name == NULL || draft->signer_name[0] == '\0' ||
        strlen(draft->signer_name) > NAME_SIZE_MAX || !is_one_line(draft->signer_name))
        return problem_set(problem, RESULT_REFUSED, "a signer has a name of 1 to 200 bytes");
    if (!is_one_line(draft->signer_role) || !is_one_line(draft->refused_reason))
        return problem_set(problem, RESULT_REFUSED, "role and reason are one line each");
    if (draft->language != NULL &&
        (strlen(draft->language) > LANGUAGE_SIZE_MAX || draft->language[0] == '\0' ||
         strspn(draft->language, "abcdefghijklmnopqrstuvwxyz-") != strlen(draft->language)))
        return problem_set(problem, RESULT_REFUSED, "a language is a code like en or it");
    if (draft->strokes.size > SIGNATURE_STROKES_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "the strokes take more than 60 KiB");
    return RESULT_OK;
}

static struct bytes text_or_none(const char *text)
{
    return text == NULL ? bytes_of(NULL, 0) : bytes_of_text(text);
}

/* Seals the claim with the device's key and writes all that belongs to it. */
static enum result seal(struct service *service, const struct evidence_claim *claim,
                        struct bytes report, struct problem *problem)
{
    uint8_t key_signature[EVIDENCE_SIGNATURE_SIZE];
    uint8_t public_key[EVIDENCE_KEY_SIZE];
    uint8_t secret_key[EVIDENCE_SECRET_SIZE];
    struct buffer sealed;
    enum result result;

    buffer_init(&sealed, 2 * EVIDENCE_SEAL_SIZE_MAX);
    result = evidence_append_seal(claim, report, &sealed, problem);
    if (result == RESULT_OK) {
        crypto_sign_seed_keypair(public_key, secret_key, service->sign_secret_seed);
        evidence_sign(buffer_bytes(&sealed), secret_key, key_signature);
        sodium_memzero(secret_key, sizeof secret_key);
        result = insert_report(service, claim, report.size, problem);
    }
    if (result == RESULT_OK)
        result = insert_signature(service, claim, bytes_of(key_signature, sizeof key_signature),
                                  problem);
    if (result == RESULT_OK)
        result = insert_seal(service, claim, buffer_bytes(&sealed), problem);
    if (result == RESULT_OK)
        result = chain_write(service, claim->chain_n, buffer_bytes(&sealed), problem);
    buffer_done(&sealed);
    return result;
}

/* In the transaction: what is hashed is what is committed beside it. */
static enum result sign(struct service *service, const struct signature_draft *draft,
                        struct bytes strokes, int64_t *ret_id, struct problem *problem)
{
    char document_hash[PHOTO_HASH_TEXT_SIZE];
    struct chain chain = {0};
    struct evidence_claim claim = {
        .activity_id = draft->activity_id,
        .document_kind = bytes_of_text("report"),
        .language = bytes_of_text(draft->language != NULL ? draft->language : "en"),
        .signer_name = text_or_none(draft->signer_name),
        .signer_role = text_or_none(draft->signer_role),
        .signed_at = service->now.us,
        .strokes = strokes,
        .refused_reason = text_or_none(draft->refused_reason),
        .has_amount = draft->has_amount,
        .amount_cents = draft->amount_cents,
        .user_id = service->who.user_id,
        .device_id = service->who.device_id,
        .salt = bytes_of(draft->salt, REPORT_SALT_SIZE),
    };
    struct buffer report;
    struct arena arena;
    enum result result;

    buffer_init(&report, REPORT_SIZE_MAX);
    arena_init(&arena, 1 << 20);
    result =
        report_append(service, draft->activity_id, claim.language, claim.salt, &report, problem);
    if (result == RESULT_OK)
        result = photo_store(service, buffer_bytes(&report), document_hash, problem);
    if (result == RESULT_OK)
        result = look_around(service, &arena, &claim, problem);
    if (result == RESULT_OK)
        result = chain_read(service, &arena, &chain, problem);
    if (result == RESULT_OK)
        result = replica_new_id(service->replica, &claim.signature_id, problem);
    if (result == RESULT_OK) {
        claim.document_hash = bytes_of_text(document_hash);
        claim.chain_n = chain.number + 1;
        claim.previous_hash = bytes_of_text(chain.hash);
        result = seal(service, &claim, buffer_bytes(&report), problem);
    }
    if (result == RESULT_OK)
        *ret_id = claim.signature_id;
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

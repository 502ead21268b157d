/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/report_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The columns of EVIDENCE_SQL in its order, and two more. */
static const struct member {
    const char *name;
    enum value_type type;
} MEMBERS[] = {
    {"signature_id", VALUE_INTEGER},
    {"activity_id", VALUE_INTEGER},
    {"version_n", VALUE_INTEGER},
    {"previous_hash", VALUE_TEXT},
    {"document_kind", VALUE_TEXT},
    {"document_hash", VALUE_TEXT},
    {"signer_name", VALUE_TEXT},
    {"signer_role", VALUE_TEXT},
    {"refused_reason", VALUE_TEXT},
    {"strokes", VALUE_BLOB},
    {"amount_cents", VALUE_INTEGER},
    {"by_id", VALUE_INTEGER},
    {"device_id", VALUE_INTEGER},
    {"signed_at", VALUE_INTEGER},
    {"key_signature", VALUE_BLOB},
    {"chain_n", VALUE_INTEGER},
    {"sealed", VALUE_TEXT},
    {"salt", VALUE_BLOB},
    {"seal_device_id", VALUE_INTEGER},
    {"call_id", VALUE_INTEGER},
    {"customer_id", VALUE_INTEGER},
    {"site_id", VALUE_INTEGER},
    {"receipt_hash", VALUE_TEXT},
    {"receipt_device_id", VALUE_INTEGER},
    {"receipt_device_key", VALUE_TEXT},
    {"receipt_chain_n", VALUE_INTEGER},
    {"receipt_finding", VALUE_TEXT},
    {"receipt_seq_n", VALUE_INTEGER},
    {"receipt_received_at", VALUE_INTEGER},
    {"receipt_server_key", VALUE_TEXT},
    {"receipt_server_signature", VALUE_BLOB},
    {"device_public_key", VALUE_TEXT},
    {"text", VALUE_TEXT},
};
enum {
    MEMBER_COUNT = sizeof MEMBERS / sizeof *MEMBERS,
    MEMBER_DEVICE_KEY = EVIDENCE_COLUMN_COUNT,
    MEMBER_TEXT,
};
static_assert((int)MEMBER_COUNT == (int)EVIDENCE_COLUMN_COUNT + 2, "EVIDENCE_SQL and this list");

/* ---- writing ---- */

static void append_blob(struct terminal_json *json, struct bytes blob)
{
    char piece[2 * 32 + 1];
    struct buffer hex;
    struct problem problem = {0};
    enum result result = RESULT_OK;

    buffer_init(&hex, 1 << 20);
    for (size_t at = 0; at < blob.size && result == RESULT_OK; at += 32) {
        size_t size = blob.size - at < 32 ? blob.size - at : 32;

        bytes_to_hex(bytes_of(blob.data + at, size), piece);
        result = buffer_append(&hex, piece, 2 * size, &problem);
    }
    terminal_json_bytes(json, buffer_bytes(&hex));
    buffer_done(&hex);
}

void report_file_append(struct terminal_json *json, const struct report_check *check)
{
    terminal_json_object_begin(json);
    for (size_t i = 0; i < EVIDENCE_COLUMN_COUNT; i++) {
        const struct value *value = &check->row[i];

        terminal_json_key(json, MEMBERS[i].name);
        if (value->type == VALUE_INTEGER)
            terminal_json_number(json, value->integer);
        else if (value->type == VALUE_TEXT)
            terminal_json_bytes(json, value->bytes);
        else if (value->type == VALUE_BLOB)
            append_blob(json, value->bytes);
        else
            terminal_json_null(json);
    }
    terminal_json_key(json, MEMBERS[MEMBER_DEVICE_KEY].name);
    terminal_json_text(json, check->device_key);
    terminal_json_key(json, MEMBERS[MEMBER_TEXT].name);
    if (check->text.size > 0)
        terminal_json_bytes(json, check->text);
    else
        terminal_json_null(json);
    terminal_json_object_end(json);
}

/* ---- reading: the JSON that is written above, and nothing wider ---- */

struct cursor {
    struct bytes rest;
    size_t size; /* of the whole, to say where */
    struct arena *arena;
    struct problem *problem;
};

static enum result refuse(const struct cursor *cursor, const char *wanted)
{
    return problem_set(cursor->problem, RESULT_REFUSED,
                       "byte %zu of the file is not %s: it is no export of signed reports",
                       cursor->size - cursor->rest.size, wanted);
}

static int peek(struct cursor *cursor)
{
    while (cursor->rest.size > 0 && memchr(" \t\r\n", cursor->rest.data[0], 4) != NULL) {
        cursor->rest.data++;
        cursor->rest.size--;
    }
    return cursor->rest.size == 0 ? -1 : cursor->rest.data[0];
}

static int take(struct cursor *cursor)
{
    int byte = cursor->rest.size == 0 ? -1 : cursor->rest.data[0];

    if (byte >= 0) {
        cursor->rest.data++;
        cursor->rest.size--;
    }
    return byte;
}

static bool take_if(struct cursor *cursor, char wanted)
{
    if (peek(cursor) != wanted)
        return false;
    (void)take(cursor);
    return true;
}

/* \u00XX is all that is written of this kind: control characters. */
static int take_escape(struct cursor *cursor)
{
    static const char FROM[] = "\"\\/bfnrt";
    static const char TO[] = "\"\\/\b\f\n\r\t";
    int byte = take(cursor);
    const char *found = byte <= 0 ? NULL : strchr(FROM, byte);
    char digits[5] = "";
    uint8_t unit[2];

    if (found != NULL)
        return (unsigned char)TO[found - FROM];
    for (size_t i = 0; i < 4 && byte == 'u'; i++) {
        int digit = take(cursor);

        digits[i] = digit < 0 ? '\0' : (char)digit;
    }
    if (!bytes_from_hex(digits, unit, sizeof unit) || unit[0] != 0 || unit[1] > 0x7f)
        return -1;
    return unit[1];
}

static enum result take_string(struct cursor *cursor, struct bytes *ret_text)
{
    uint8_t *text = NULL;
    size_t size = 0;
    const uint8_t *end = cursor->rest.data;

    if (!take_if(cursor, '"'))
        return refuse(cursor, "a text");
    end = cursor->rest.data;
    for (size_t i = 0; i < cursor->rest.size && *end != '"'; end++, i++)
        if (*end == '\\') { /* what follows it ends nothing */
            end++;
            i++;
        }
    if (end >= cursor->rest.data + cursor->rest.size)
        return refuse(cursor, "a text with an end");
    text = arena_alloc(cursor->arena, (size_t)(end - cursor->rest.data) + 1);
    if (text == NULL)
        return arena_full(cursor->arena, cursor->problem);
    while (cursor->rest.data < end) {
        int byte = take(cursor);

        if (byte == '\\')
            byte = take_escape(cursor);
        if (byte < 0)
            return refuse(cursor, "a text's escape");
        text[size++] = (uint8_t)byte;
    }
    (void)take(cursor);
    text[size] = '\0';
    *ret_text = bytes_of(text, size);
    return RESULT_OK;
}

static enum result take_integer(struct cursor *cursor, int64_t *ret_number)
{
    bool is_negative = take_if(cursor, '-');
    int64_t number = 0;
    size_t digits = 0;

    while (cursor->rest.size > 0 && cursor->rest.data[0] >= '0' && cursor->rest.data[0] <= '9' &&
           digits < 18) {
        number = number * 10 + (take(cursor) - '0');
        digits++;
    }
    if (digits == 0)
        return refuse(cursor, "a number");
    *ret_number = is_negative ? -number : number;
    return RESULT_OK;
}

static enum result take_null(struct cursor *cursor)
{
    for (const char *word = "null"; *word != '\0'; word++)
        if (take(cursor) != *word)
            return refuse(cursor, "a value");
    return RESULT_OK;
}

/* A value of the member, or of any type for a member that we don't know. */
static enum result take_value(struct cursor *cursor, enum value_type type, struct value *ret_value)
{
    struct bytes text = {0};
    int64_t number = 0;
    uint8_t *blob = NULL;
    enum result result;

    *ret_value = value_null();
    if (peek(cursor) == 'n')
        return take_null(cursor);
    if (peek(cursor) != '"') {
        result = take_integer(cursor, &number);
        *ret_value = value_integer(number);
        return result;
    }
    result = take_string(cursor, &text);
    *ret_value = value_text(text);
    if (result != RESULT_OK || type != VALUE_BLOB)
        return result;
    blob = arena_alloc(cursor->arena, text.size / 2 + 1);
    if (blob == NULL)
        return arena_full(cursor->arena, cursor->problem);
    if (!bytes_from_hex((const char *)text.data, blob, text.size / 2))
        return refuse(cursor, "hexadecimal before it");
    *ret_value = value_blob(bytes_of(blob, text.size / 2));
    return RESULT_OK;
}

static enum result take_member(struct cursor *cursor, struct value *values)
{
    struct bytes name = {0};
    struct value value = value_null();
    size_t at = 0;
    enum result result = take_string(cursor, &name);

    if (result != RESULT_OK)
        return result;
    if (!take_if(cursor, ':'))
        return refuse(cursor, "a colon");
    while (at < MEMBER_COUNT && !bytes_equal(name, bytes_of_text(MEMBERS[at].name)))
        at++;
    result = take_value(cursor, at < MEMBER_COUNT ? MEMBERS[at].type : VALUE_TEXT, &value);
    if (result == RESULT_OK && at < MEMBER_COUNT) {
        if (value.type != VALUE_NULL && value.type != MEMBERS[at].type)
            return refuse(cursor, MEMBERS[at].type == VALUE_INTEGER ? "after a number" : "text");
        values[at] = value;
    }
    return result;
}

static enum result take_object(struct cursor *cursor, struct value *values)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < MEMBER_COUNT; i++)
        values[i] = value_null();
    if (!take_if(cursor, '{'))
        return refuse(cursor, "a signature");
    do {
        result = take_member(cursor, values);
    } while (result == RESULT_OK && take_if(cursor, ','));
    if (result == RESULT_OK && !take_if(cursor, '}'))
        return refuse(cursor, "the end of a signature");
    return result;
}

/* ---- checking ---- */

static struct bytes text_of(const struct value *value)
{
    return value->type == VALUE_TEXT ? value->bytes : bytes_of(NULL, 0);
}

static bool is_sealed_by(const struct evidence *evidence, struct bytes hex)
{
    uint8_t key[EVIDENCE_KEY_SIZE];

    return hex.size == sizeof key * 2 && bytes_from_hex((const char *)hex.data, key, sizeof key) &&
           evidence_is_signed(evidence->sealed, key, evidence->key_signature);
}

struct examination {
    const char *server_key;
    struct buffer *out;
    struct problem *problem;
    char last_hash[EVIDENCE_HEX_SIZE]; /* of the seal before, */
    int64_t last_device, last_number;  /* and whose it was */
    size_t wrong;
};

static enum result say(struct examination *examination, const char *text)
{
    return buffer_append(examination->out, text, strlen(text), examination->problem);
}

/* The signature follows the one before in the file, if that one has the number before. */
static bool is_next(const struct examination *examination, const struct evidence *evidence)
{
    int64_t number = evidence_number(evidence->sealed, "chain");

    return examination->last_device != evidence->claim.device_id ||
           examination->last_number + 1 != number ||
           bytes_equal(evidence_value(evidence->sealed, "previous"),
                       bytes_of_text(examination->last_hash));
}

static enum result examine(struct examination *examination, const struct value *values)
{
    struct evidence evidence = {0};
    struct bytes text = text_of(&values[MEMBER_TEXT]);
    char text_hash[EVIDENCE_HEX_SIZE];
    char line[256];
    size_t wrong = 0;
    enum result result = RESULT_OK;

    evidence_read(values, &evidence);
    evidence_hash(text, text_hash);
    struct bytes receipt_key = evidence.receipt.server_key;
    bool is_erased = evidence.claim.salt.size == 0;
    const struct {
        bool is_wrong;
        const char *says;
    } faults[] = {
        {evidence.sealed.size == 0, "it has no seal and proves nothing"},
        {!is_sealed_by(&evidence, text_of(&values[MEMBER_DEVICE_KEY])),
         "the device's key did not sign this seal"},
        {!evidence.has_receipt, "there is no receipt"},
        {evidence.has_receipt && !evidence_receipt_is_good(&evidence),
         "the receipt is not signed, or for another seal"},
        {evidence.has_receipt &&
             !bytes_equal(evidence.receipt.device_key, text_of(&values[MEMBER_DEVICE_KEY])),
         "the receipt vouches for another key of the device"},
        {evidence.has_receipt && examination->server_key != NULL &&
             !bytes_equal(receipt_key, bytes_of_text(examination->server_key)),
         "the receipt is signed by another key than the one given"},
        {!is_erased && !evidence_is_of_row(&evidence),
         "the signature's data are not those that were sealed"},
        {text.size > 0 &&
             !bytes_equal(evidence_value(evidence.sealed, "text"), bytes_of_text(text_hash)),
         "the text is not the one that was signed"},
        {!is_next(examination, &evidence), "it does not follow the signature before it"},
    };

    snprintf(line, sizeof line, "signature %" PRId64 ": ", evidence.claim.signature_id);
    result = say(examination, line);
    for (size_t i = 0; i < sizeof faults / sizeof *faults && result == RESULT_OK; i++)
        if (faults[i].is_wrong) {
            result = say(examination, wrong++ == 0 ? "NOT GOOD\n  " : "  ");
            if (result == RESULT_OK)
                result = say(examination, faults[i].says);
            if (result == RESULT_OK)
                result = say(examination, "\n");
        }
    if (result == RESULT_OK && wrong == 0)
        result = say(examination, is_erased        ? "good, its content was erased\n"
                                  : text.size == 0 ? "good, without the text\n"
                                                   : "good\n");
    examination->wrong += wrong > 0;
    evidence_hash(evidence.sealed, examination->last_hash);
    examination->last_device = evidence.claim.device_id;
    examination->last_number = evidence_number(evidence.sealed, "chain");
    return result;
}

enum result report_file_verify(struct bytes file, const char *server_key, struct arena *arena,
                               struct buffer *out, size_t *ret_wrong, struct problem *problem)
{
    struct cursor cursor = {.rest = file, .size = file.size, .arena = arena, .problem = problem};
    struct examination examination = {.server_key = server_key, .out = out, .problem = problem};
    struct value values[MEMBER_COUNT];
    enum result result = RESULT_OK;

    if (!take_if(&cursor, '['))
        return refuse(&cursor, "the beginning of a list");
    if (peek(&cursor) != ']')
        do {
            result = take_object(&cursor, values);
            if (result == RESULT_OK)
                result = examine(&examination, values);
        } while (result == RESULT_OK && take_if(&cursor, ','));
    if (result == RESULT_OK && (!take_if(&cursor, ']') || peek(&cursor) != -1))
        return refuse(&cursor, "the end of the list");
    *ret_wrong = examination.wrong;
    return result;
}

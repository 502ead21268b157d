/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/identity.h"

#include "base/invariant.h"
#include "protocol/limits.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    CHECK_SIZE = 4,
    SERIAL_SIZE = 8,
    CODE_FIXED_SIZE = IDENTITY_KEY_SIZE + IDENTITY_TOKEN_ID_SIZE + IDENTITY_KEY_SIZE,
    CODE_BYTES_MAX = CODE_FIXED_SIZE + IDENTITY_ADDRESS_SIZE_MAX + CHECK_SIZE,
};

static const char CODE_PREFIX[] = "fs1:";
static const char BASE32[] = "abcdefghijklmnopqrstuvwxyz234567";

static_assert(IDENTITY_KEY_SIZE == crypto_sign_SEEDBYTES, "Ed25519 seed");
static_assert(IDENTITY_SIGNATURE_SIZE == crypto_sign_SECRETKEYBYTES, "Ed25519 secret key");
static_assert(sizeof CODE_PREFIX + (CODE_BYTES_MAX * 8 + 4) / 5 <= IDENTITY_CODE_SIZE, "room");

void identity_wipe(void *secret, size_t size)
{
    sodium_memzero(secret, size);
}

bool identity_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    return sodium_memcmp(a, b, size) == 0;
}

static void check_of(struct bytes data, uint8_t ret_check[CHECK_SIZE])
{
    uint8_t hash[crypto_generichash_blake2b_BYTES];

    (void)crypto_generichash_blake2b(hash, sizeof hash, data.data, data.size, NULL, 0);
    memcpy(ret_check, hash, CHECK_SIZE);
}

static void serial_write(int64_t serial, uint8_t ret_data[SERIAL_SIZE])
{
    invariant(serial >= 0 && serial <= LIMIT_SERIAL_MAX);
    for (size_t i = 0; i < SERIAL_SIZE; i++)
        ret_data[i] = (uint8_t)((uint64_t)serial >> (8 * (SERIAL_SIZE - 1 - i)));
}

/* ---- signatures ---- */

void identity_signer_from(const uint8_t seed[IDENTITY_KEY_SIZE], struct identity_signer *ret_signer)
{
    (void)crypto_sign_seed_keypair(ret_signer->public_key, ret_signer->secret_key, seed);
}

void identity_sign(const struct identity_signer *signer, struct bytes message,
                   uint8_t ret_signature[IDENTITY_SIGNATURE_SIZE])
{
    (void)crypto_sign_detached(ret_signature, NULL, message.data, message.size, signer->secret_key);
}

bool identity_verify(const uint8_t public_key[IDENTITY_KEY_SIZE], struct bytes message,
                     const uint8_t signature[IDENTITY_SIGNATURE_SIZE])
{
    return crypto_sign_verify_detached(signature, message.data, message.size, public_key) == 0;
}

struct certificate {
    uint8_t data[23 + SERIAL_SIZE + IDENTITY_KEY_SIZE];
};

static struct certificate certificate_of(int64_t serial, const uint8_t *server_public_key)
{
    static const char DOMAIN[] = "fieldsync server key v1";
    struct certificate certificate;

    static_assert(sizeof DOMAIN - 1 == 23, "the first part of struct certificate");
    memcpy(certificate.data, DOMAIN, sizeof DOMAIN - 1);
    serial_write(serial, certificate.data + 23);
    memcpy(certificate.data + 23 + SERIAL_SIZE, server_public_key, IDENTITY_KEY_SIZE);
    return certificate;
}

void identity_certify(const struct identity_signer *root, int64_t serial,
                      const uint8_t server_public_key[IDENTITY_KEY_SIZE],
                      uint8_t ret_signature[IDENTITY_SIGNATURE_SIZE])
{
    struct certificate certificate = certificate_of(serial, server_public_key);

    identity_sign(root, bytes_of(certificate.data, sizeof certificate.data), ret_signature);
}

bool identity_is_certified(const uint8_t root_public_key[IDENTITY_KEY_SIZE], int64_t serial,
                           const uint8_t server_public_key[IDENTITY_KEY_SIZE],
                           const uint8_t signature[IDENTITY_SIGNATURE_SIZE])
{
    struct certificate certificate = certificate_of(serial, server_public_key);

    return identity_verify(root_public_key, bytes_of(certificate.data, sizeof certificate.data),
                           signature);
}

void identity_fingerprint(const uint8_t public_key[IDENTITY_KEY_SIZE],
                          char ret_text[IDENTITY_FINGERPRINT_SIZE])
{
    enum { GROUPS = 4 };
    uint8_t hash[crypto_generichash_blake2b_BYTES];

    (void)crypto_generichash_blake2b(hash, sizeof hash, public_key, IDENTITY_KEY_SIZE, NULL, 0);
    for (size_t i = 0; i < GROUPS; i++) {
        bytes_to_hex(bytes_of(hash + 2 * i, 2), ret_text + 5 * i);
        ret_text[5 * i + 4] = i + 1 == GROUPS ? '\0' : '-';
    }
}

/* ---- enrolment codes ---- */

/* host:port, visible ASCII, port 1 to 65535 without a leading zero. */
static bool is_address(struct bytes text)
{
    size_t digits = 0;
    unsigned port = 0;

    if (text.size < 3 || text.size > IDENTITY_ADDRESS_SIZE_MAX)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    while (digits < text.size && text.data[text.size - 1 - digits] != ':')
        digits++;
    if (digits == 0 || digits > 5 || digits + 1 >= text.size)
        return false;
    for (size_t i = text.size - digits; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || (port == 0 && text.data[i] == '0'))
            return false;
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    return port <= 65535;
}

static void base32_encode(struct bytes data, char *ret_text)
{
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < data.size; i++) {
        bits = bits << 8 | data.data[i];
        for (count += 8; count >= 5; count -= 5)
            *ret_text++ = BASE32[bits >> (count - 5) & 31];
    }
    if (count > 0)
        *ret_text++ = BASE32[bits << (5 - count) & 31];
    *ret_text = '\0';
}

static char lower_of(uint8_t character)
{
    return (char)(character >= 'A' && character <= 'Z' ? character + ('a' - 'A') : character);
}

static bool is_skipped(uint8_t character)
{
    return character == ' ' || character == '-' || character == '\n' || character == '\r' ||
           character == '\t';
}

/* False: a character outside the alphabet, too long, or bits left over that aren't zero. */
static bool base32_decode(struct bytes text, uint8_t *ret_data, size_t size_max, size_t *ret_size)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        char character = lower_of(text.data[i]);
        const char *found = character == '\0' ? NULL : strchr(BASE32, character);

        if (is_skipped(text.data[i]))
            continue;
        if (found == NULL)
            return false;
        bits = (bits << 5 | (uint32_t)(found - BASE32)) & 0xfff;
        count += 5;
        if (count < 8)
            continue;
        if (size == size_max)
            return false;
        count -= 8;
        ret_data[size++] = (uint8_t)(bits >> count);
    }
    *ret_size = size;
    return count < 5 && (bits & ((1u << count) - 1)) == 0;
}

enum result identity_code_encode(const struct identity_code *code,
                                 char ret_text[IDENTITY_CODE_SIZE], struct problem *problem)
{
    const char *end = memchr(code->address, '\0', sizeof code->address);
    struct bytes address = bytes_of(code->address, end == NULL ? 0 : (size_t)(end - code->address));
    uint8_t data[CODE_BYTES_MAX];
    size_t size = 0;

    if (!is_address(address))
        return problem_set(problem, RESULT_REFUSED, "address '%.*s' is not host:port",
                           (int)address.size, code->address);
    memcpy(data, code->root_public_key, IDENTITY_KEY_SIZE);
    size = IDENTITY_KEY_SIZE;
    memcpy(data + size, code->token_id, IDENTITY_TOKEN_ID_SIZE);
    size += IDENTITY_TOKEN_ID_SIZE;
    memcpy(data + size, code->secret, IDENTITY_KEY_SIZE);
    size += IDENTITY_KEY_SIZE;
    invariant(size == CODE_FIXED_SIZE);
    memcpy(data + size, address.data, address.size);
    size += address.size;
    check_of(bytes_of(data, size), data + size);
    memcpy(ret_text, CODE_PREFIX, sizeof CODE_PREFIX - 1);
    base32_encode(bytes_of(data, size + CHECK_SIZE), ret_text + sizeof CODE_PREFIX - 1);
    sodium_memzero(data, sizeof data);
    return RESULT_OK;
}

/* Behind the prefix, blanks in front skipped; an empty text if there is no prefix. */
static struct bytes code_behind_prefix(struct bytes text)
{
    size_t matched = 0;
    size_t at = 0;

    while (at < text.size && matched < sizeof CODE_PREFIX - 1) {
        if (!is_skipped(text.data[at])) {
            if (lower_of(text.data[at]) != CODE_PREFIX[matched])
                return (struct bytes){0};
            matched++;
        }
        at++;
    }
    if (matched < sizeof CODE_PREFIX - 1)
        return (struct bytes){0}; /* too short, perhaps nothing at all */
    return bytes_of(text.data + at, text.size - at);
}

static const char *code_read(struct bytes text, uint8_t *data, struct identity_code *code)
{
    uint8_t check[CHECK_SIZE];
    size_t size = 0;

    text = code_behind_prefix(text);
    if (text.size == 0)
        return "an enrolment code begins with fs1: and goes on behind it";
    if (!base32_decode(text, data, CODE_BYTES_MAX, &size) || size < CODE_FIXED_SIZE + CHECK_SIZE)
        return "the enrolment code is incomplete or mistyped: compare its length and characters";
    size -= CHECK_SIZE;
    check_of(bytes_of(data, size), check);
    if (memcmp(check, data + size, CHECK_SIZE) != 0)
        return "the enrolment code is mistyped: its check doesn't match";
    if (!is_address(bytes_of(data + CODE_FIXED_SIZE, size - CODE_FIXED_SIZE)))
        return "the enrolment code holds no address";
    memcpy(code->root_public_key, data, IDENTITY_KEY_SIZE);
    memcpy(code->token_id, data + IDENTITY_KEY_SIZE, IDENTITY_TOKEN_ID_SIZE);
    memcpy(code->secret, data + IDENTITY_KEY_SIZE + IDENTITY_TOKEN_ID_SIZE, IDENTITY_KEY_SIZE);
    memcpy(code->address, data + CODE_FIXED_SIZE, size - CODE_FIXED_SIZE);
    return NULL;
}

enum result identity_code_decode(struct bytes text, struct identity_code *ret_code,
                                 struct problem *problem)
{
    uint8_t data[CODE_BYTES_MAX];
    const char *failure = NULL;

    *ret_code = (struct identity_code){0};
    failure = code_read(text, data, ret_code);
    sodium_memzero(data, sizeof data);
    if (failure != NULL)
        return problem_set(problem, RESULT_REFUSED, "%s", failure);
    return RESULT_OK;
}

/* ---- key files ---- */

enum { FIELDS_MAX = 5, LINE_SIZE_MAX = 160 };

struct field {
    const char *name; /* NULL ends the list */
    size_t offset;    /* in struct identity_file */
    size_t size;      /* SERIAL_SIZE: the number, big-endian */
};

/* clang-format off */
#define FIELD(name, member) {name, offsetof(struct identity_file, member), \
                             sizeof((struct identity_file *)NULL)->member}

static const struct {
    const char *title;
    struct field fields[FIELDS_MAX];
} FILES[IDENTITY_KIND_COUNT] = {
    [IDENTITY_ROOT]   = {"fieldsync root key 1",
                         {FIELD("sign", sign_seed)}},
    [IDENTITY_SERVER] = {"fieldsync server key 1",
                         {FIELD("noise", noise_private), FIELD("root", root_public_key),
                          FIELD("serial", serial), FIELD("signature", signature)}},
    [IDENTITY_DEVICE] = {"fieldsync device key 1",
                         {FIELD("noise", noise_private), FIELD("sign", sign_seed),
                          FIELD("root", root_public_key), FIELD("psk", psk)}},
};
#undef FIELD
/* clang-format on */

/* A number in memory is written big-endian, everything else as it is. */
static bool is_serial(const struct field *field)
{
    return field->offset == offsetof(struct identity_file, serial);
}

static size_t line_write(char *text, size_t at, const char *name, struct bytes value)
{
    int size = snprintf(text + at, IDENTITY_FILE_SIZE_MAX - at, "%s ", name);

    invariant(size > 0 && at + (size_t)size + 2 * value.size + 2 <= IDENTITY_FILE_SIZE_MAX);
    at += (size_t)size;
    bytes_to_hex(value, text + at);
    at += 2 * value.size;
    text[at++] = '\n';
    text[at] = '\0';
    return at;
}

size_t identity_file_encode(const struct identity_file *file, char ret_text[IDENTITY_FILE_SIZE_MAX])
{
    const struct field *field = FILES[file->kind].fields;
    uint8_t serial[SERIAL_SIZE];
    uint8_t check[CHECK_SIZE];
    int title = snprintf(ret_text, IDENTITY_FILE_SIZE_MAX, "%s\n", FILES[file->kind].title);
    size_t at = title > 0 ? (size_t)title : 0;

    serial_write(file->serial, serial);
    for (; field->name != NULL; field++) {
        const uint8_t *value = (const uint8_t *)file + field->offset;

        at = line_write(ret_text, at, field->name,
                        bytes_of(is_serial(field) ? serial : value, field->size));
    }
    check_of(bytes_of(ret_text, at), check);
    return line_write(ret_text, at, "check", bytes_of(check, sizeof check));
}

/* Copies the next line without its end to ret_line; false if there is none or it is too long. */
static bool line_next(struct bytes text, size_t *at, char ret_line[LINE_SIZE_MAX])
{
    const uint8_t *end = *at < text.size ? memchr(text.data + *at, '\n', text.size - *at) : NULL;
    size_t size = end == NULL ? 0 : (size_t)(end - (text.data + *at));

    if (end == NULL || size >= LINE_SIZE_MAX)
        return false;
    memcpy(ret_line, text.data + *at, size);
    ret_line[size] = '\0';
    *at += size + 1;
    return true;
}

static bool value_next(struct bytes text, size_t *at, const char *name, uint8_t *ret_value,
                       size_t size)
{
    char line[LINE_SIZE_MAX];
    size_t name_size = strlen(name);
    bool good = line_next(text, at, line) && strncmp(line, name, name_size) == 0 &&
                line[name_size] == ' ' && bytes_from_hex(line + name_size + 1, ret_value, size);

    sodium_memzero(line, sizeof line);
    return good;
}

static bool serial_next(struct bytes text, size_t *at, int64_t *ret_serial)
{
    uint8_t data[SERIAL_SIZE];
    uint64_t serial = 0;

    if (!value_next(text, at, "serial", data, sizeof data))
        return false;
    for (size_t i = 0; i < SERIAL_SIZE; i++)
        serial = serial << 8 | data[i];
    if (serial > (uint64_t)LIMIT_SERIAL_MAX)
        return false;
    *ret_serial = (int64_t)serial;
    return true;
}

/* Returns the number of the bad line, 0 if all are good. */
static int file_read(struct bytes text, enum identity_kind kind, struct identity_file *file)
{
    char line[LINE_SIZE_MAX];
    uint8_t expected[CHECK_SIZE];
    uint8_t check[CHECK_SIZE];
    size_t at = 0;
    int line_no = 1;

    if (!line_next(text, &at, line) || strcmp(line, FILES[kind].title) != 0)
        return line_no;
    for (const struct field *field = FILES[kind].fields; field->name != NULL; field++) {
        bool good = is_serial(field) ? serial_next(text, &at, &file->serial)
                                     : value_next(text, &at, field->name,
                                                  (uint8_t *)file + field->offset, field->size);

        line_no++;
        if (!good)
            return line_no;
    }
    line_no++;
    check_of(bytes_of(text.data, at), expected);
    if (!value_next(text, &at, "check", check, sizeof check) ||
        memcmp(check, expected, sizeof check) != 0 || at != text.size)
        return line_no;
    return 0;
}

enum result identity_file_decode(struct bytes text, enum identity_kind kind,
                                 struct identity_file *ret_file, struct problem *problem)
{
    int line_no = 0;

    *ret_file = (struct identity_file){.kind = kind};
    line_no = file_read(text, kind, ret_file);
    if (line_no == 0)
        return RESULT_OK;
    sodium_memzero(ret_file, sizeof *ret_file);
    return problem_set(problem, RESULT_MALFORMED, "line %d is not what a '%s' file has there",
                       line_no, FILES[kind].title);
}

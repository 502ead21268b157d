/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h: keys and who vouches for them: the company's root, the server, a device.
 *
 * The root key (Ed25519) stays offline and signs the server's key (X25519); devices know the root's
 * public key from their enrolment code. Draws no randomness: seeds come from the caller, 32 fresh
 * random bytes each. Whoever holds a struct or text with a secret wipes it (identity_wipe); keys
 * that live as long as the process belong into memory of sodium_malloc. sodium_init was called. */
#pragma once

#include "base/bytes.h"
#include "protocol/noise.h"

enum {
    IDENTITY_KEY_SIZE = 32, /* public keys, seeds, pre-shared keys */
    IDENTITY_SIGNATURE_SIZE = 64,
    IDENTITY_TOKEN_ID_SIZE = 16,
    IDENTITY_ADDRESS_SIZE_MAX = 255,
    IDENTITY_CODE_SIZE = 560,       /* text of an enrolment code and NUL */
    IDENTITY_FILE_SIZE_MAX = 1024,  /* text of a key file and NUL */
    IDENTITY_FINGERPRINT_SIZE = 20, /* "9f3a-01c2-77de-b410" and NUL */
};

void identity_wipe(void *secret, size_t size);
/* Tells nothing by its time about where two secrets of one size differ. */
bool identity_equal(const uint8_t *a, const uint8_t *b, size_t size);

/* ---- signatures ------------------------------------------------------------------------------ */

/* Ed25519 (RFC 8032). */
struct identity_signer {
    uint8_t public_key[IDENTITY_KEY_SIZE];
    uint8_t secret_key[IDENTITY_SIGNATURE_SIZE]; /* libsodium's form: seed and public key */
};

void identity_signer_from(const uint8_t seed[IDENTITY_KEY_SIZE],
                          struct identity_signer *ret_signer);
void identity_sign(const struct identity_signer *signer, struct bytes message,
                   uint8_t ret_signature[IDENTITY_SIGNATURE_SIZE]);
/* False: not signed by that key; also for keys and signatures that aren't well formed. */
MUST_CHECK bool identity_verify(const uint8_t public_key[IDENTITY_KEY_SIZE], struct bytes message,
                                const uint8_t signature[IDENTITY_SIGNATURE_SIZE]);

/* The root's word for a server key: signs "fieldsync server key v1", the serial (u64, big-endian)
 * and the X25519 public key. A new server key gets a higher serial (0 to LIMIT_SERIAL_MAX). */
void identity_certify(const struct identity_signer *root, int64_t serial,
                      const uint8_t server_public_key[IDENTITY_KEY_SIZE],
                      uint8_t ret_signature[IDENTITY_SIGNATURE_SIZE]);
MUST_CHECK bool identity_is_certified(const uint8_t root_public_key[IDENTITY_KEY_SIZE],
                                      int64_t serial,
                                      const uint8_t server_public_key[IDENTITY_KEY_SIZE],
                                      const uint8_t signature[IDENTITY_SIGNATURE_SIZE]);

/* The old root's word for a new one: signs "fieldsync root key v1" and the new root's public key.
 */
struct identity_root_change {
    uint8_t public_key[IDENTITY_KEY_SIZE]; /* of the new root */
    uint8_t signature[IDENTITY_SIGNATURE_SIZE];
};
void identity_change_root(const struct identity_signer *old_root,
                          const uint8_t new_public_key[IDENTITY_KEY_SIZE],
                          struct identity_root_change *ret_change);
MUST_CHECK bool identity_is_root_change(const uint8_t old_public_key[IDENTITY_KEY_SIZE],
                                        const struct identity_root_change *change);

/* For two persons to compare by eye or telephone: 64 bits of the key's BLAKE2b-256. Enough against
 * another key in the minutes that an enrolment is open, not as a name for ever. */
void identity_fingerprint(const uint8_t public_key[IDENTITY_KEY_SIZE],
                          char ret_text[IDENTITY_FINGERPRINT_SIZE]);

/* ---- enrolment codes ------------------------------------------------------------------------- */

/* What a new device needs to find the server, to know it and to be known, once.
 *
 *     fs1: base32( root 32 | token id 16 | secret 32 | "host:port" | check 4 )
 *
 * Base32 of RFC 4648 without padding. Written in lower case, read in any case, so a QR code may
 * carry it in capitals (alphanumeric mode); blanks, line breaks and hyphens are skipped. The check
 * is the beginning of BLAKE2b-256 of all before it: it tells a slip of the pen from an unknown
 * code. */
struct identity_code {
    uint8_t root_public_key[IDENTITY_KEY_SIZE];
    uint8_t token_id[IDENTITY_TOKEN_ID_SIZE];
    uint8_t secret[IDENTITY_KEY_SIZE]; /* the pre-shared key of the enrolment's handshake */
    char address[IDENTITY_ADDRESS_SIZE_MAX + 1]; /* "sync.example.com:8443", "[::1]:8443" */
};

/* RESULT_REFUSED  the address isn't host:port in visible ASCII: ask for another */
MUST_CHECK enum result identity_code_encode(const struct identity_code *code,
                                            char ret_text[IDENTITY_CODE_SIZE],
                                            struct problem *problem);
/* RESULT_REFUSED  no such code, or mistyped: show the problem's text and ask again; ret_code is
 *                 all zeros */
MUST_CHECK enum result identity_code_decode(struct bytes text, struct identity_code *ret_code,
                                            struct problem *problem);

/* ---- key files ------------------------------------------------------------------------------- */

enum identity_kind {
    IDENTITY_ROOT,
    IDENTITY_SERVER,
    IDENTITY_DEVICE,
    IDENTITY_REPORT, /* signs receipts: "fieldsync report key 1", sign, check */
    IDENTITY_KIND_COUNT
};

/* The content of a key file; fields that a kind doesn't have are zero. The file has mode 0600 and
 * is neither in the database nor in its backup. Lines of text:
 *
 *     fieldsync root key 1   | fieldsync server key 1  | fieldsync device key 1
 *     sign HEX32             | noise HEX32             | noise HEX32
 *     check HEX4             | root HEX32              | sign HEX32
 *                            | serial HEX8             | root HEX32
 *                            | signature HEX64         | psk HEX32 (zeros: not yet enrolled)
 *                            | check HEX4              | check HEX4 */
struct identity_file {
    enum identity_kind kind;
    uint8_t noise_private[IDENTITY_KEY_SIZE]; /* X25519 private key */
    uint8_t sign_seed[IDENTITY_KEY_SIZE];     /* Ed25519 seed */
    uint8_t root_public_key[IDENTITY_KEY_SIZE];
    uint8_t psk[IDENTITY_KEY_SIZE];
    uint8_t signature[IDENTITY_SIGNATURE_SIZE]; /* the root's, over serial and public key */
    int64_t serial;
};

/* Returns how many characters it wrote, without the NUL. */
size_t identity_file_encode(const struct identity_file *file,
                            char ret_text[IDENTITY_FILE_SIZE_MAX]);
/* RESULT_MALFORMED  another kind, another format or damaged: the problem names the line; ret_file
 *                   is all zeros */
MUST_CHECK enum result identity_file_decode(struct bytes text, enum identity_kind kind,
                                            struct identity_file *ret_file,
                                            struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* noise.h: the Noise handshake and transport over libsodium's primitives.
 *
 * Suite 25519_ChaChaPoly_BLAKE2b, patterns from a table; rules: Noise Protocol Framework, revision
 * 34, sections 4, 5, 7, 9 and 11. Draws no randomness: ephemeral keys come from the caller, a fresh
 * one for each handshake. Keys that it holds are wiped by noise_done, noise_split (of the
 * handshake) and noise_transport_done. The process has called sodium_init once before.
 *
 * Known answers: tests/vectors/noise.c.
 *
 *     initiator                      responder
 *     noise_write  --- message 1 --> noise_read
 *     noise_read   <-- message 2 --- noise_write
 *     noise_write  --- message 3 --> noise_read      (XK, XX: RESULT_WAIT if the key is missing)
 *     noise_split                    noise_split     then noise_seal and noise_open */
#pragma once

#include "base/bytes.h"

enum {
    NOISE_KEY_SIZE = 32,
    NOISE_HASH_SIZE = 64,
    NOISE_TAG_SIZE = 16,
    NOISE_TOKENS_MAX = 5,   /* of one message, with the closing one */
    NOISE_MESSAGES_MAX = 3, /* of one handshake */
};

enum noise_pattern {
    NOISE_NK,
    NOISE_XK,
    NOISE_IK,
    NOISE_XX,
    NOISE_XKPSK3,
    NOISE_IKPSK2,
    NOISE_PATTERN_COUNT,
};

enum noise_role { NOISE_INITIATOR, NOISE_RESPONDER };

struct noise_keypair {
    uint8_t private_key[NOISE_KEY_SIZE];
    uint8_t public_key[NOISE_KEY_SIZE];
};

/* X25519: any 32 random bytes are a private key. */
void noise_keypair_from(const uint8_t private_key[NOISE_KEY_SIZE],
                        struct noise_keypair *ret_keypair);

/* A key and the number of the next message under it. */
struct noise_cipher {
    uint8_t key[NOISE_KEY_SIZE];
    uint64_t nonce;
};

/* A running handshake. The members are the module's own: use the functions. */
struct noise {
    enum noise_pattern pattern;
    enum noise_role role;
    bool has_key; /* of the cipher: before, payloads go in the clear */
    bool has_remote_static;
    bool has_psk;
    bool dead;
    uint8_t message_no;
    uint8_t token_no;  /* where to go on inside a message after RESULT_WAIT */
    size_t message_at; /* the same in bytes */
    struct noise_cipher cipher;
    uint8_t chaining_key[NOISE_HASH_SIZE];
    uint8_t hash[NOISE_HASH_SIZE];
    struct noise_keypair static_keys;
    struct noise_keypair ephemeral_keys;
    uint8_t remote_static[NOISE_KEY_SIZE];
    uint8_t remote_ephemeral[NOISE_KEY_SIZE];
    uint8_t psk[NOISE_KEY_SIZE];
};

/* Everything is copied. */
struct noise_setup {
    enum noise_pattern pattern;
    enum noise_role role;
    struct bytes prologue;                   /* both sides must have the same */
    const struct noise_keypair *static_keys; /* NULL where the pattern has none (NK initiator) */
    const uint8_t *ephemeral_private;        /* 32 random bytes, for this handshake only */
    const uint8_t *remote_static; /* initiator of NK, XK, IK: the responder's public key */
    const uint8_t *psk;           /* 32 bytes; NULL: none or given by noise_set_psk */
};

void noise_init(struct noise *noise, const struct noise_setup *setup);
void noise_done(struct noise *noise); /* wipes; harmless when done before */

/* "Noise_XKpsk3_25519_ChaChaPoly_BLAKE2b". */
const char *noise_pattern_name(enum noise_pattern pattern);

/* Bytes that the next message has beside its payload. */
size_t noise_overhead(const struct noise *noise);
bool noise_is_mine(const struct noise *noise);     /* the next message is ours to write */
bool noise_is_complete(const struct noise *noise); /* ready for noise_split */

/* Writes the next handshake message: payload.size + noise_overhead bytes to ret_message.
 *
 * RESULT_MALFORMED  the peer's key is a low-order point: the handshake is dead */
MUST_CHECK enum result noise_write(struct noise *noise, struct bytes payload, uint8_t *ret_message,
                                   struct problem *problem);

/* Reads the next handshake message. ret_payload has room for message.size bytes.
 *
 * RESULT_WAIT       the pre-shared key is needed now: choose it by noise_remote_static, call
 *                   noise_set_psk, then call again with the same message
 * RESULT_MALFORMED  size, tag or key is wrong: the handshake is dead, each later call says so, and
 *                   nothing of the payload may be used */
MUST_CHECK enum result noise_read(struct noise *noise, struct bytes message, uint8_t *ret_payload,
                                  size_t *ret_size, struct problem *problem);

/* The peer's static public key once it is known, else NULL. Before the message that brought it is
 * read to its end, the peer has not proven that it owns the key. */
const uint8_t *noise_remote_static(const struct noise *noise);
void noise_set_psk(struct noise *noise, const uint8_t psk[NOISE_KEY_SIZE]);

/* Hash of the whole handshake: the same on both sides, different for every conversation. */
const uint8_t *noise_hash(const struct noise *noise);

/* Both directions of a conversation. */
struct noise_transport {
    struct noise_cipher send;
    struct noise_cipher receive;
    bool dead;
};

/* Ends the complete handshake and wipes it. */
void noise_split(struct noise *noise, struct noise_transport *ret_transport);
void noise_transport_done(struct noise_transport *transport); /* wipes */

/* Encrypts one message: plaintext.size + NOISE_TAG_SIZE bytes to ret_message. After every
 * LIMIT_REKEY_MESSAGES of a direction both sides replace its key (section 11.3).
 *
 * RESULT_EXHAUSTED  LIMIT_SESSION_MESSAGES were sent, and some: open a new conversation */
MUST_CHECK enum result noise_seal(struct noise_transport *transport, struct bytes plaintext,
                                  uint8_t *ret_message, struct problem *problem);

/* Decrypts one message: message.size - NOISE_TAG_SIZE bytes to ret_plaintext.
 *
 * RESULT_MALFORMED  a lost, repeated, reordered or forged message: the conversation is dead */
MUST_CHECK enum result noise_open(struct noise_transport *transport, struct bytes message,
                                  uint8_t *ret_plaintext, struct problem *problem);

/* REKEY of section 4.2: the key becomes the first 32 bytes of zeros encrypted under nonce 2^64-1.
 */
void noise_rekey(struct noise_cipher *cipher);

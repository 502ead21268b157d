/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/noise.h"

#include "base/invariant.h"
#include "protocol/limits.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum token { TOKEN_NONE, TOKEN_E, TOKEN_S, TOKEN_EE, TOKEN_ES, TOKEN_SE, TOKEN_SS, TOKEN_PSK };

struct pattern {
    const char *name;
    bool responder_known; /* "<- s" before the first message */
    bool has_psk;
    uint8_t message_count;
    uint8_t tokens[NOISE_MESSAGES_MAX][NOISE_TOKENS_MAX];
};

/* Noise rev. 34, sections 7.4, 7.5 and 9.4; the initiator writes the first line. */
/* clang-format off */
static const struct pattern PATTERNS[NOISE_PATTERN_COUNT] = {
    [NOISE_NK] = {"Noise_NK_25519_ChaChaPoly_BLAKE2b", true, false, 2, {
        {TOKEN_E, TOKEN_ES},
        {TOKEN_E, TOKEN_EE}}},
    [NOISE_XK] = {"Noise_XK_25519_ChaChaPoly_BLAKE2b", true, false, 3, {
        {TOKEN_E, TOKEN_ES},
        {TOKEN_E, TOKEN_EE},
        {TOKEN_S, TOKEN_SE}}},
    [NOISE_IK] = {"Noise_IK_25519_ChaChaPoly_BLAKE2b", true, false, 2, {
        {TOKEN_E, TOKEN_ES, TOKEN_S, TOKEN_SS},
        {TOKEN_E, TOKEN_EE, TOKEN_SE}}},
    [NOISE_XX] = {"Noise_XX_25519_ChaChaPoly_BLAKE2b", false, false, 3, {
        {TOKEN_E},
        {TOKEN_E, TOKEN_EE, TOKEN_S, TOKEN_ES},
        {TOKEN_S, TOKEN_SE}}},
    [NOISE_XKPSK3] = {"Noise_XKpsk3_25519_ChaChaPoly_BLAKE2b", true, true, 3, {
        {TOKEN_E, TOKEN_ES},
        {TOKEN_E, TOKEN_EE},
        {TOKEN_S, TOKEN_SE, TOKEN_PSK}}},
    [NOISE_IKPSK2] = {"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b", true, true, 2, {
        {TOKEN_E, TOKEN_ES, TOKEN_S, TOKEN_SS},
        {TOKEN_E, TOKEN_EE, TOKEN_SE, TOKEN_PSK}}},
};
/* clang-format on */

static_assert(NOISE_KEY_SIZE == crypto_scalarmult_curve25519_BYTES, "X25519");
static_assert(NOISE_KEY_SIZE == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "ChaCha20");
static_assert(NOISE_TAG_SIZE == crypto_aead_chacha20poly1305_ietf_ABYTES, "Poly1305");

/* The parts of section 4.3, over BLAKE2b with 64 bytes of output. */

static void hash_two(struct bytes first, struct bytes second, uint8_t ret_hash[NOISE_HASH_SIZE])
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, NULL, 0, NOISE_HASH_SIZE);
    (void)crypto_generichash_blake2b_update(&state, first.data, first.size);
    (void)crypto_generichash_blake2b_update(&state, second.data, second.size);
    (void)crypto_generichash_blake2b_final(&state, ret_hash, NOISE_HASH_SIZE);
    sodium_memzero(&state, sizeof state);
}

/* HMAC of RFC 2104 with a key of 64 bytes; not BLAKE2b's own keyed mode. */
static void hmac(const uint8_t key[NOISE_HASH_SIZE], struct bytes data,
                 uint8_t ret_mac[NOISE_HASH_SIZE])
{
    enum { BLOCK_SIZE = 128 };
    uint8_t inner[BLOCK_SIZE];
    uint8_t outer[BLOCK_SIZE];
    uint8_t hash[NOISE_HASH_SIZE];

    memset(inner, 0x36, sizeof inner);
    memset(outer, 0x5c, sizeof outer);
    for (size_t i = 0; i < NOISE_HASH_SIZE; i++) {
        inner[i] ^= key[i];
        outer[i] ^= key[i];
    }
    hash_two(bytes_of(inner, sizeof inner), data, hash);
    hash_two(bytes_of(outer, sizeof outer), bytes_of(hash, sizeof hash), ret_mac);
    sodium_memzero(inner, sizeof inner);
    sodium_memzero(outer, sizeof outer);
    sodium_memzero(hash, sizeof hash);
}

/* HKDF of section 4.3: `count` outputs, 2 or 3. */
static void hkdf(const uint8_t chaining_key[NOISE_HASH_SIZE], struct bytes input, size_t count,
                 uint8_t ret_outputs[][NOISE_HASH_SIZE])
{
    uint8_t secret[NOISE_HASH_SIZE];
    uint8_t block[NOISE_HASH_SIZE + 1];

    hmac(chaining_key, input, secret);
    for (size_t i = 0; i < count; i++) {
        size_t size = i == 0 ? 0 : NOISE_HASH_SIZE;

        if (i > 0)
            memcpy(block, ret_outputs[i - 1], NOISE_HASH_SIZE);
        block[size] = (uint8_t)(i + 1);
        hmac(secret, bytes_of(block, size + 1), ret_outputs[i]);
    }
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(block, sizeof block);
}

static void nonce_write(uint64_t number, uint8_t ret_nonce[12])
{
    memset(ret_nonce, 0, 4);
    for (size_t i = 0; i < 8; i++)
        ret_nonce[4 + i] = (uint8_t)(number >> (8 * i));
}

static void cipher_seal(struct noise_cipher *cipher, struct bytes associated,
                        struct bytes plaintext, uint8_t *ret_message)
{
    uint8_t nonce[12];

    invariant(cipher->nonce < UINT64_MAX);
    nonce_write(cipher->nonce, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(ret_message, NULL, plaintext.data,
                                                    plaintext.size, associated.data,
                                                    associated.size, NULL, nonce, cipher->key);
    cipher->nonce++;
}

static bool cipher_open(struct noise_cipher *cipher, struct bytes associated, struct bytes message,
                        uint8_t *ret_plaintext)
{
    uint8_t nonce[12];

    invariant(cipher->nonce < UINT64_MAX);
    nonce_write(cipher->nonce, nonce);
    if (message.size < NOISE_TAG_SIZE ||
        crypto_aead_chacha20poly1305_ietf_decrypt(ret_plaintext, NULL, NULL, message.data,
                                                  message.size, associated.data, associated.size,
                                                  nonce, cipher->key) != 0)
        return false;
    cipher->nonce++;
    return true;
}

/* Sections 5.2 and 5.3: the symmetric state. */

static void mix_hash(struct noise *noise, struct bytes data)
{
    hash_two(bytes_of(noise->hash, sizeof noise->hash), data, noise->hash);
}

static void key_begin(struct noise *noise, const uint8_t *key)
{
    memcpy(noise->cipher.key, key, NOISE_KEY_SIZE);
    noise->cipher.nonce = 0;
    noise->has_key = true;
}

static void mix_key(struct noise *noise, struct bytes input)
{
    uint8_t outputs[2][NOISE_HASH_SIZE];

    hkdf(noise->chaining_key, input, 2, outputs);
    memcpy(noise->chaining_key, outputs[0], NOISE_HASH_SIZE);
    key_begin(noise, outputs[1]);
    sodium_memzero(outputs, sizeof outputs);
}

static void mix_key_and_hash(struct noise *noise, struct bytes input)
{
    uint8_t outputs[3][NOISE_HASH_SIZE];

    hkdf(noise->chaining_key, input, 3, outputs);
    memcpy(noise->chaining_key, outputs[0], NOISE_HASH_SIZE);
    mix_hash(noise, bytes_of(outputs[1], NOISE_HASH_SIZE));
    key_begin(noise, outputs[2]);
    sodium_memzero(outputs, sizeof outputs);
}

/* Returns how many bytes it wrote. */
static size_t seal_and_hash(struct noise *noise, struct bytes plaintext, uint8_t *ret_message)
{
    size_t size = plaintext.size + (noise->has_key ? (size_t)NOISE_TAG_SIZE : 0);

    if (noise->has_key)
        cipher_seal(&noise->cipher, bytes_of(noise->hash, NOISE_HASH_SIZE), plaintext, ret_message);
    else if (size > 0)
        memcpy(ret_message, plaintext.data, size);
    mix_hash(noise, bytes_of(ret_message, size));
    return size;
}

static bool open_and_hash(struct noise *noise, struct bytes message, uint8_t *ret_plaintext)
{
    if (noise->has_key) {
        if (!cipher_open(&noise->cipher, bytes_of(noise->hash, NOISE_HASH_SIZE), message,
                         ret_plaintext))
            return false;
    } else if (message.size > 0) {
        memcpy(ret_plaintext, message.data, message.size);
    }
    mix_hash(noise, message);
    return true;
}

/* The handshake, token by token. */

const char *noise_pattern_name(enum noise_pattern pattern)
{
    return PATTERNS[pattern].name;
}

void noise_keypair_from(const uint8_t private_key[NOISE_KEY_SIZE],
                        struct noise_keypair *ret_keypair)
{
    memcpy(ret_keypair->private_key, private_key, NOISE_KEY_SIZE);
    (void)crypto_scalarmult_curve25519_base(ret_keypair->public_key, private_key);
}

void noise_init(struct noise *noise, const struct noise_setup *setup)
{
    const struct pattern *pattern = &PATTERNS[setup->pattern];
    const uint8_t *responder_static = NULL;

    *noise = (struct noise){.pattern = setup->pattern, .role = setup->role};
    invariant(strlen(pattern->name) <= NOISE_HASH_SIZE);
    memcpy(noise->hash, pattern->name, strlen(pattern->name));
    memcpy(noise->chaining_key, noise->hash, NOISE_HASH_SIZE);
    mix_hash(noise, setup->prologue);
    memcpy(noise->ephemeral_keys.private_key, setup->ephemeral_private, NOISE_KEY_SIZE);
    if (setup->static_keys != NULL)
        noise->static_keys = *setup->static_keys;
    if (setup->psk != NULL)
        noise_set_psk(noise, setup->psk);
    if (!pattern->responder_known)
        return;
    if (setup->role == NOISE_INITIATOR) {
        invariant(setup->remote_static != NULL);
        memcpy(noise->remote_static, setup->remote_static, NOISE_KEY_SIZE);
        noise->has_remote_static = true;
        responder_static = noise->remote_static;
    } else {
        invariant(setup->static_keys != NULL);
        responder_static = noise->static_keys.public_key;
    }
    mix_hash(noise, bytes_of(responder_static, NOISE_KEY_SIZE));
}

void noise_done(struct noise *noise)
{
    sodium_memzero(noise, sizeof *noise);
    noise->dead = true;
}

void noise_set_psk(struct noise *noise, const uint8_t psk[NOISE_KEY_SIZE])
{
    memcpy(noise->psk, psk, NOISE_KEY_SIZE);
    noise->has_psk = true;
}

const uint8_t *noise_remote_static(const struct noise *noise)
{
    return noise->has_remote_static ? noise->remote_static : NULL;
}

const uint8_t *noise_hash(const struct noise *noise)
{
    return noise->hash;
}

bool noise_is_complete(const struct noise *noise)
{
    return !noise->dead && noise->message_no == PATTERNS[noise->pattern].message_count;
}

bool noise_is_mine(const struct noise *noise)
{
    enum noise_role writer = noise->message_no % 2 == 0 ? NOISE_INITIATOR : NOISE_RESPONDER;

    return !noise->dead && !noise_is_complete(noise) && noise->role == writer;
}

static const uint8_t *tokens_of(const struct noise *noise)
{
    invariant(noise->message_no < PATTERNS[noise->pattern].message_count);
    return PATTERNS[noise->pattern].tokens[noise->message_no];
}

size_t noise_overhead(const struct noise *noise)
{
    const uint8_t *tokens = tokens_of(noise);
    bool has_key = noise->has_key;
    size_t size = 0;

    for (size_t i = 0; tokens[i] != TOKEN_NONE; i++) {
        if (tokens[i] == TOKEN_E)
            size += NOISE_KEY_SIZE;
        else if (tokens[i] == TOKEN_S)
            size += NOISE_KEY_SIZE + (has_key ? (size_t)NOISE_TAG_SIZE : 0);
        has_key = has_key || (tokens[i] != TOKEN_E && tokens[i] != TOKEN_S) ||
                  (tokens[i] == TOKEN_E && PATTERNS[noise->pattern].has_psk);
    }
    return size + (has_key ? (size_t)NOISE_TAG_SIZE : 0);
}

/* EE, ES, SE, SS: the first letter is the initiator's key, the second the responder's. False if
 * the peer's key has low order, so that the secret would be known to everyone. */
static bool mix_shared_secret(struct noise *noise, enum token token)
{
    bool first = token == TOKEN_SE || token == TOKEN_SS;  /* initiator's is the static one */
    bool second = token == TOKEN_ES || token == TOKEN_SS; /* responder's is the static one */
    bool mine = noise->role == NOISE_INITIATOR ? first : second;
    bool theirs = noise->role == NOISE_INITIATOR ? second : first;
    uint8_t shared[NOISE_KEY_SIZE];
    int status = 0;

    invariant(!theirs || noise->has_remote_static);
    status = crypto_scalarmult_curve25519(
        shared, mine ? noise->static_keys.private_key : noise->ephemeral_keys.private_key,
        theirs ? noise->remote_static : noise->remote_ephemeral);
    if (status == 0)
        mix_key(noise, bytes_of(shared, sizeof shared));
    sodium_memzero(shared, sizeof shared);
    return status == 0;
}

/* In patterns with a pre-shared key, ephemerals also go into the key (section 9.2). */
static void mix_ephemeral(struct noise *noise, const uint8_t *public_key)
{
    mix_hash(noise, bytes_of(public_key, NOISE_KEY_SIZE));
    if (PATTERNS[noise->pattern].has_psk)
        mix_key(noise, bytes_of(public_key, NOISE_KEY_SIZE));
}

static enum result die(struct noise *noise, const char *why, struct problem *problem)
{
    noise_done(noise);
    return problem_set(problem, RESULT_MALFORMED, "handshake: %s", why);
}

enum result noise_write(struct noise *noise, struct bytes payload, uint8_t *ret_message,
                        struct problem *problem)
{
    size_t at = 0;

    if (noise->dead)
        return die(noise, "failed before", problem);
    invariant(noise_is_mine(noise));
    for (const uint8_t *token = tokens_of(noise); *token != TOKEN_NONE; token++) {
        switch (*token) {
        case TOKEN_E:
            noise_keypair_from(noise->ephemeral_keys.private_key, &noise->ephemeral_keys);
            memcpy(ret_message + at, noise->ephemeral_keys.public_key, NOISE_KEY_SIZE);
            mix_ephemeral(noise, ret_message + at);
            at += NOISE_KEY_SIZE;
            break;
        case TOKEN_S:
            at += seal_and_hash(noise, bytes_of(noise->static_keys.public_key, NOISE_KEY_SIZE),
                                ret_message + at);
            break;
        case TOKEN_PSK:
            invariant(noise->has_psk);
            mix_key_and_hash(noise, bytes_of(noise->psk, NOISE_KEY_SIZE));
            break;
        default:
            if (!mix_shared_secret(noise, *token))
                return die(noise, "low-order key", problem);
        }
    }
    (void)seal_and_hash(noise, payload, ret_message + at);
    noise->message_no++;
    return RESULT_OK;
}

static const char *read_ephemeral(struct noise *noise, struct bytes message)
{
    if (message.size - noise->message_at < NOISE_KEY_SIZE)
        return "message too short";
    memcpy(noise->remote_ephemeral, message.data + noise->message_at, NOISE_KEY_SIZE);
    mix_ephemeral(noise, noise->remote_ephemeral);
    noise->message_at += NOISE_KEY_SIZE;
    return NULL;
}

static const char *read_static(struct noise *noise, struct bytes message)
{
    size_t size = NOISE_KEY_SIZE + (noise->has_key ? (size_t)NOISE_TAG_SIZE : 0);

    if (message.size - noise->message_at < size)
        return "message too short";
    if (!open_and_hash(noise, bytes_of(message.data + noise->message_at, size),
                       noise->remote_static))
        return "wrong tag on the static key";
    noise->has_remote_static = true;
    noise->message_at += size;
    return NULL;
}

/* NULL, or why the handshake dies. */
static const char *read_token(struct noise *noise, enum token token, struct bytes message)
{
    switch (token) {
    case TOKEN_E:
        return read_ephemeral(noise, message);
    case TOKEN_S:
        return read_static(noise, message);
    case TOKEN_PSK:
        mix_key_and_hash(noise, bytes_of(noise->psk, NOISE_KEY_SIZE));
        return NULL;
    default:
        return mix_shared_secret(noise, token) ? NULL : "low-order key";
    }
}

enum result noise_read(struct noise *noise, struct bytes message, uint8_t *ret_payload,
                       size_t *ret_size, struct problem *problem)
{
    const uint8_t *tokens = NULL;
    const char *failure = NULL;
    struct bytes payload;

    if (noise->dead)
        return die(noise, "failed before", problem);
    invariant(!noise_is_mine(noise) && !noise_is_complete(noise));
    if (message.size > LIMIT_MESSAGE_SIZE_MAX || message.size < noise->message_at)
        return die(noise, "message of a wrong size", problem);
    tokens = tokens_of(noise);
    for (; tokens[noise->token_no] != TOKEN_NONE; noise->token_no++) {
        if (tokens[noise->token_no] == TOKEN_PSK && !noise->has_psk)
            return RESULT_WAIT;
        failure = read_token(noise, tokens[noise->token_no], message);
        if (failure != NULL)
            return die(noise, failure, problem);
    }
    payload = bytes_of(message.data + noise->message_at, message.size - noise->message_at);
    if (!open_and_hash(noise, payload, ret_payload))
        return die(noise, "wrong tag on the payload", problem);
    *ret_size = payload.size - (noise->has_key ? (size_t)NOISE_TAG_SIZE : 0);
    noise->message_no++;
    noise->token_no = 0;
    noise->message_at = 0;
    return RESULT_OK;
}

/* The conversation behind it. */

void noise_split(struct noise *noise, struct noise_transport *ret_transport)
{
    uint8_t outputs[2][NOISE_HASH_SIZE];
    size_t send = noise->role == NOISE_INITIATOR ? 0 : 1;

    invariant(noise_is_complete(noise));
    hkdf(noise->chaining_key, (struct bytes){0}, 2, outputs);
    *ret_transport = (struct noise_transport){0};
    memcpy(ret_transport->send.key, outputs[send], NOISE_KEY_SIZE);
    memcpy(ret_transport->receive.key, outputs[1 - send], NOISE_KEY_SIZE);
    sodium_memzero(outputs, sizeof outputs);
    noise_done(noise);
}

void noise_transport_done(struct noise_transport *transport)
{
    sodium_memzero(transport, sizeof *transport);
    transport->dead = true;
}

void noise_rekey(struct noise_cipher *cipher)
{
    static const uint8_t ZEROS[NOISE_KEY_SIZE];
    uint8_t nonce[12];
    uint8_t message[NOISE_KEY_SIZE + NOISE_TAG_SIZE];

    nonce_write(UINT64_MAX, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(message, NULL, ZEROS, sizeof ZEROS, NULL, 0,
                                                    NULL, nonce, cipher->key);
    memcpy(cipher->key, message, NOISE_KEY_SIZE);
    sodium_memzero(message, sizeof message);
}

static void rekey_when_due(struct noise_cipher *cipher)
{
    if (cipher->nonce % LIMIT_REKEY_MESSAGES == 0)
        noise_rekey(cipher);
}

/* The messages that announce the end of a session are still allowed behind the limit. */
static bool is_used_up(const struct noise_cipher *cipher)
{
    return cipher->nonce >= (uint64_t)LIMIT_SESSION_MESSAGES + LIMIT_REKEY_MESSAGES;
}

enum result noise_seal(struct noise_transport *transport, struct bytes plaintext,
                       uint8_t *ret_message, struct problem *problem)
{
    if (transport->dead)
        return problem_set(problem, RESULT_MALFORMED, "the conversation failed before");
    if (is_used_up(&transport->send))
        return problem_set(problem, RESULT_EXHAUSTED, "too many messages under one handshake");
    invariant(plaintext.size <= LIMIT_MESSAGE_SIZE_MAX - NOISE_TAG_SIZE);
    cipher_seal(&transport->send, (struct bytes){0}, plaintext, ret_message);
    rekey_when_due(&transport->send);
    return RESULT_OK;
}

enum result noise_open(struct noise_transport *transport, struct bytes message,
                       uint8_t *ret_plaintext, struct problem *problem)
{
    if (transport->dead)
        return problem_set(problem, RESULT_MALFORMED, "the conversation failed before");
    if (is_used_up(&transport->receive) || message.size > LIMIT_MESSAGE_SIZE_MAX ||
        !cipher_open(&transport->receive, (struct bytes){0}, message, ret_plaintext)) {
        noise_transport_done(transport);
        return problem_set(problem, RESULT_MALFORMED, "message of %zu bytes has a wrong tag",
                           message.size);
    }
    rekey_when_due(&transport->receive);
    return RESULT_OK;
}

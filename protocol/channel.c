/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/channel.h"

#include "base/invariant.h"
#include "protocol/limits.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/*   server  STARTING --channel_start--> MESSAGE_1 --> MESSAGE_3 --> PSK --channel_psk--> OPEN
 *   device  HELLO --> MESSAGE_2 --> OPEN
 *   both    any --failure--> DEAD */
enum channel_state {
    CHANNEL_STARTING,
    CHANNEL_EXPECTS_HELLO,
    CHANNEL_EXPECTS_MESSAGE_1,
    CHANNEL_EXPECTS_MESSAGE_2,
    CHANNEL_EXPECTS_MESSAGE_3,
    CHANNEL_EXPECTS_PSK,
    CHANNEL_IS_OPEN,
    CHANNEL_IS_DEAD,
    CHANNEL_STATE_COUNT,
};

enum {
    MARK_MESSAGE_2 = 2,
    MARK_MESSAGE_3 = 3,
    KEY_MESSAGE_SIZE = NOISE_KEY_SIZE + LIMIT_HANDSHAKE_PADDED_SIZE + NOISE_TAG_SIZE,
    MESSAGE_1_SIZE = 2 + KEY_MESSAGE_SIZE,
    MESSAGE_2_SIZE = 1 + KEY_MESSAGE_SIZE,
    MESSAGE_3_OVERHEAD = 1 + NOISE_KEY_SIZE + NOISE_TAG_SIZE + NOISE_TAG_SIZE,
    PAYLOAD_SIZE_SIZE = 2,
    PAYLOAD_3_SIZE_MAX = LIMIT_GREETING_SIZE_MAX + LIMIT_HANDSHAKE_PADDED_SIZE,
    DICTIONARIES = 2, /* the one in use and the one before */
};

/* What is needed only until the channel is open. Keys of a connection are wiped like all others,
 * but live in ordinary memory: guard pages and locking would cost 16 KiB a connection, and there
 * are ten thousand. The long-lived keys that they come from are the caller's, in guarded memory. */
struct greeting_phase {
    struct noise noise;
    struct noise_keypair static_keys;
    uint8_t seed[NOISE_KEY_SIZE];
    uint8_t hello_hash[32];
    uint8_t psk[NOISE_KEY_SIZE];                /* device */
    uint8_t root_public_key[IDENTITY_KEY_SIZE]; /* device */
    int64_t key_serial_min;                     /* device */
    struct buffer
        bytes; /* device: the greeting to send; server: message 3 until the key is there */
};

struct channel {
    enum channel_state state;
    enum channel_kind kind;
    bool has_token_id;
    uint8_t token_id[IDENTITY_TOKEN_ID_SIZE];
    uint8_t peer_static_key[NOISE_KEY_SIZE]; /* server */
    struct hello *hello; /* server: NULL when open, ten thousand lie idle then */
    size_t message_size_max;
    struct greeting_phase *phase; /* NULL when open or dead */
    struct noise_transport transport;
    struct frame_joiner joiner;
    struct frame_dictionary dictionaries[DICTIONARIES];
};

/* ---- life ---- */

static void phase_end(struct channel *channel)
{
    struct greeting_phase *phase = channel->phase;

    if (phase == NULL)
        return;
    if (phase->bytes.data != NULL)
        sodium_memzero(phase->bytes.data, phase->bytes.capacity);
    buffer_done(&phase->bytes);
    sodium_memzero(phase, sizeof *phase);
    free(phase);
    channel->phase = NULL;
}

static void move(struct channel *channel, enum channel_state to)
{
    static const enum channel_state NEXT[CHANNEL_STATE_COUNT] = {
        [CHANNEL_STARTING] = CHANNEL_EXPECTS_MESSAGE_1,
        [CHANNEL_EXPECTS_HELLO] = CHANNEL_EXPECTS_MESSAGE_2,
        [CHANNEL_EXPECTS_MESSAGE_1] = CHANNEL_EXPECTS_MESSAGE_3,
        [CHANNEL_EXPECTS_MESSAGE_2] = CHANNEL_IS_OPEN,
        [CHANNEL_EXPECTS_MESSAGE_3] = CHANNEL_EXPECTS_PSK,
        [CHANNEL_EXPECTS_PSK] = CHANNEL_IS_OPEN,
        [CHANNEL_IS_OPEN] = CHANNEL_IS_DEAD,
        [CHANNEL_IS_DEAD] = CHANNEL_IS_DEAD,
    };

    invariant(to == CHANNEL_IS_DEAD || to == NEXT[channel->state]);
    channel->state = to;
}

static void die(struct channel *channel)
{
    phase_end(channel);
    noise_transport_done(&channel->transport);
    frame_joiner_done(&channel->joiner);
    move(channel, CHANNEL_IS_DEAD);
}

/* Every failure of the peer ends here. */
static enum result judge(struct channel *channel, enum result result)
{
    if (result == RESULT_MALFORMED || result == RESULT_REFUSED)
        die(channel);
    return result;
}

static enum result channel_create(enum channel_state state, const struct noise_keypair *keys,
                                  const uint8_t *seed, size_t body_size_max,
                                  struct channel **ret_channel, struct problem *problem)
{
    struct channel *channel = calloc(1, sizeof *channel);
    struct greeting_phase *phase = calloc(1, sizeof *phase);
    struct hello *hello = calloc(1, sizeof *hello);

    if (channel == NULL || phase == NULL || hello == NULL) {
        free(channel);
        free(phase);
        free(hello);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for a channel");
    }
    channel->state = state;
    channel->phase = phase;
    channel->hello = hello;
    frame_joiner_init(&channel->joiner, body_size_max == 0 ? LIMIT_BODY_SIZE_MAX : body_size_max);
    phase->static_keys = *keys;
    memcpy(phase->seed, seed, sizeof phase->seed);
    buffer_init(&phase->bytes, LIMIT_MESSAGE_SIZE_MAX);
    *ret_channel = channel;
    return RESULT_OK;
}

enum result channel_create_server(const struct channel_server_options *options,
                                  struct channel **ret_channel, struct problem *problem)
{
    struct channel *channel = NULL;
    enum result result;

    invariant(options->hello.message_size_max >= LIMIT_MESSAGE_OFFER_MIN &&
              options->hello.message_size_max <= LIMIT_MESSAGE_SIZE_MAX);
    result = channel_create(CHANNEL_STARTING, options->static_keys, options->seed,
                            options->body_size_max, &channel, problem);
    if (result != RESULT_OK)
        return result;
    *channel->hello = options->hello;
    channel->message_size_max = (size_t)options->hello.message_size_max;
    memcpy(channel->hello->public_key, options->static_keys->public_key, NOISE_KEY_SIZE);
    *ret_channel = channel;
    return RESULT_OK;
}

enum result channel_create_device(const struct channel_device_options *options,
                                  struct channel **ret_channel, struct problem *problem)
{
    struct channel *channel = NULL;
    enum result result;

    invariant((options->kind == CHANNEL_ENROL) == (options->token_id != NULL));
    if (options->greeting.size > LIMIT_GREETING_SIZE_MAX)
        return problem_set(problem, RESULT_REFUSED, "greeting of %zu bytes, limit %d",
                           options->greeting.size, LIMIT_GREETING_SIZE_MAX);
    result = channel_create(CHANNEL_EXPECTS_HELLO, options->static_keys, options->seed,
                            options->body_size_max, &channel, problem);
    if (result != RESULT_OK)
        return result;
    channel->kind = options->kind;
    if (options->token_id != NULL) {
        channel->has_token_id = true;
        memcpy(channel->token_id, options->token_id, sizeof channel->token_id);
    }
    memcpy(channel->phase->psk, options->psk, NOISE_KEY_SIZE);
    memcpy(channel->phase->root_public_key, options->root_public_key, IDENTITY_KEY_SIZE);
    channel->phase->key_serial_min = options->key_serial_min;
    result = buffer_append(&channel->phase->bytes, options->greeting.data, options->greeting.size,
                           problem);
    if (result != RESULT_OK)
        channel_destroy(channel);
    else
        *ret_channel = channel;
    return result;
}

void channel_destroy(struct channel *channel)
{
    if (channel == NULL)
        return;
    die(channel);
    free(channel->hello);
    sodium_memzero(channel, sizeof *channel);
    free(channel);
}

bool channel_is_open(const struct channel *channel)
{
    return channel->state == CHANNEL_IS_OPEN;
}

bool channel_is_dead(const struct channel *channel)
{
    return channel->state == CHANNEL_IS_DEAD;
}

bool channel_is_worn(const struct channel *channel)
{
    return channel->transport.send.nonce >= (uint64_t)LIMIT_SESSION_MESSAGES ||
           channel->transport.receive.nonce >= (uint64_t)LIMIT_SESSION_MESSAGES;
}

size_t channel_frame_size_max(const struct channel *channel)
{
    return channel->message_size_max - NOISE_TAG_SIZE;
}

void channel_set_dictionary(struct channel *channel, struct frame_dictionary dictionary)
{
    invariant(dictionary.number > 0 && dictionary.number <= FRAME_DICTIONARIES_MAX);
    invariant(dictionary.bytes.size <= LIMIT_DICTIONARY_SIZE_MAX);
    if (channel->dictionaries[0].number != dictionary.number)
        channel->dictionaries[1] = channel->dictionaries[0];
    channel->dictionaries[0] = dictionary;
}

void channel_set_body_limit(struct channel *channel, size_t body_size_max)
{
    invariant(body_size_max > 0 && body_size_max <= LIMIT_BODY_SIZE_MAX);
    channel->joiner.body_size_max = body_size_max;
    channel->joiner.buffer.size_max = body_size_max;
}

/* ---- the handshake ---- */

static size_t payload_size(size_t content_size)
{
    size_t unit = LIMIT_HANDSHAKE_PADDED_SIZE;

    return (PAYLOAD_SIZE_SIZE + content_size + unit - 1) / unit * unit;
}

/* ret_payload has room for payload_size bytes, all zeros. */
static void payload_write(struct bytes content, uint8_t *ret_payload)
{
    invariant(content.size <= UINT16_MAX);
    ret_payload[0] = (uint8_t)(content.size >> 8);
    ret_payload[1] = (uint8_t)content.size;
    if (content.size > 0)
        memcpy(ret_payload + PAYLOAD_SIZE_SIZE, content.data, content.size);
}

static enum result payload_read(struct bytes payload, struct bytes *ret_content,
                                struct problem *problem)
{
    size_t size = 0;

    if (payload.size >= PAYLOAD_SIZE_SIZE)
        size = (size_t)payload.data[0] << 8 | payload.data[1];
    if (payload.size != payload_size(size))
        return problem_set(problem, RESULT_MALFORMED, "handshake payload of %zu bytes for %zu",
                           payload.size, size);
    for (size_t i = PAYLOAD_SIZE_SIZE + size; i < payload.size; i++)
        if (payload.data[i] != 0)
            return problem_set(problem, RESULT_MALFORMED, "handshake padding isn't zero");
    *ret_content = bytes_of(payload.data + PAYLOAD_SIZE_SIZE, size);
    return RESULT_OK;
}

static void noise_begin(struct channel *channel, enum noise_role role, uint8_t version)
{
    struct greeting_phase *phase = channel->phase;
    uint8_t prologue[10 + 2 + sizeof phase->hello_hash] = "fieldsync"; /* with its closing NUL */

    prologue[10] = (uint8_t)channel->kind;
    prologue[11] = version;
    memcpy(prologue + 12, phase->hello_hash, sizeof phase->hello_hash);
    noise_init(&phase->noise, &(struct noise_setup){
                                  .pattern = NOISE_XKPSK3,
                                  .role = role,
                                  .prologue = bytes_of(prologue, sizeof prologue),
                                  .static_keys = &phase->static_keys,
                                  .ephemeral_private = phase->seed,
                                  .remote_static = channel->hello->public_key,
                                  .psk = role == NOISE_INITIATOR ? phase->psk : NULL,
                              });
}

/* Writes the next handshake message behind `mark`; ret_message is in `arena`. */
static enum result handshake_write(struct channel *channel, struct bytes mark, struct bytes content,
                                   uint8_t *payload, uint8_t *message, struct bytes *ret_message,
                                   struct problem *problem)
{
    size_t size = payload_size(content.size);
    struct noise *noise = &channel->phase->noise;
    size_t overhead = noise_overhead(noise);

    payload_write(content, payload);
    memcpy(message, mark.data, mark.size);
    *ret_message = bytes_of(message, mark.size + overhead + size);
    return noise_write(noise, bytes_of(payload, size), message + mark.size, problem);
}

static void hello_hash(struct channel *channel, struct bytes hello)
{
    (void)crypto_generichash_blake2b(channel->phase->hello_hash, sizeof channel->phase->hello_hash,
                                     hello.data, hello.size, NULL, 0);
}

enum result channel_start(struct channel *channel, struct arena *arena, struct bytes *ret_message,
                          struct problem *problem)
{
    struct buffer buffer;
    struct bytes message = {0};
    enum result result;

    if (channel_is_dead(channel))
        return problem_set(problem, RESULT_MALFORMED, "the channel failed before");
    invariant(channel->state == CHANNEL_STARTING);
    buffer_init(&buffer, LIMIT_HELLO_SIZE_MAX);
    result = hello_encode(channel->hello, &buffer, problem);
    if (result == RESULT_OK)
        result = arena_copy(arena, buffer_bytes(&buffer), &message, problem);
    buffer_done(&buffer);
    if (result != RESULT_OK)
        return result;
    hello_hash(channel, message);
    move(channel, CHANNEL_EXPECTS_MESSAGE_1);
    *ret_message = message;
    return RESULT_OK;
}

/* The highest version both speak; 0: none. */
static uint8_t version_choose(const struct hello *hello)
{
    bool both = hello->version_min <= CHANNEL_VERSION && CHANNEL_VERSION <= hello->version_max;

    return both ? CHANNEL_VERSION : 0;
}

/* By the root that this device knows, or by one that it vouches for. */
static bool is_certified(const uint8_t *root_public_key, const struct hello *hello)
{
    if (hello->has_root_change && identity_is_root_change(root_public_key, &hello->root_change))
        root_public_key = hello->root_change.public_key;
    return identity_is_certified(root_public_key, hello->key_serial, hello->public_key,
                                 hello->signature);
}

static enum result hello_check(const struct channel *channel, const struct hello *hello,
                               struct problem *problem)
{
    const struct greeting_phase *phase = channel->phase;

    if (!is_certified(phase->root_public_key, hello))
        return problem_set(problem, RESULT_MALFORMED,
                           "the server's key isn't signed by this company's root key");
    if (hello->key_serial < phase->key_serial_min)
        return problem_set(problem, RESULT_MALFORMED,
                           "the server's key has serial %lld, seen before: %lld",
                           (long long)hello->key_serial, (long long)phase->key_serial_min);
    if (version_choose(hello) == 0)
        return problem_set(problem, RESULT_REFUSED,
                           "the server speaks protocol versions %lld to %lld, we speak %d",
                           (long long)hello->version_min, (long long)hello->version_max,
                           CHANNEL_VERSION);
    return RESULT_OK;
}

static enum result receive_hello(struct channel *channel, struct bytes message, struct arena *arena,
                                 struct channel_event *ret_event, struct problem *problem)
{
    struct hello hello = {0};
    uint8_t mark[2] = {(uint8_t)channel->kind, CHANNEL_VERSION};
    struct bytes content = bytes_of(channel->token_id, channel->has_token_id ? 16 : 0);
    uint8_t *payload = arena_alloc(arena, LIMIT_HANDSHAKE_PADDED_SIZE);
    uint8_t *reply = arena_alloc(arena, MESSAGE_1_SIZE);
    enum result result = hello_decode(message, &hello, problem);

    if (payload == NULL || reply == NULL)
        return arena_full(arena, problem);
    if (result == RESULT_OK)
        result = hello_check(channel, &hello, problem);
    if (result != RESULT_OK)
        return result;
    *channel->hello = hello;
    channel->message_size_max = (size_t)hello.message_size_max;
    if (hello.retry_after_ms > 0) {
        die(channel);
        *ret_event = (struct channel_event){.kind = CHANNEL_LATER, .hello = channel->hello};
        return RESULT_OK;
    }
    hello_hash(channel, message);
    noise_begin(channel, NOISE_INITIATOR, mark[1]);
    *ret_event = (struct channel_event){.kind = CHANNEL_SEND};
    result = handshake_write(channel, bytes_of(mark, sizeof mark), content, payload, reply,
                             &ret_event->message, problem);
    if (result == RESULT_OK)
        move(channel, CHANNEL_EXPECTS_MESSAGE_2);
    return result;
}

/* The first two bytes of message 1, before anything is computed. */
static enum result mark_check(const struct channel *channel, struct bytes message,
                              struct problem *problem)
{
    if (message.size != MESSAGE_1_SIZE ||
        (message.data[0] != CHANNEL_SESSION && message.data[0] != CHANNEL_ENROL))
        return problem_set(problem, RESULT_MALFORMED, "message 1 of %zu bytes", message.size);
    if (message.data[1] < channel->hello->version_min ||
        message.data[1] > channel->hello->version_max)
        return problem_set(problem, RESULT_MALFORMED, "message 1 of version %u", message.data[1]);
    return RESULT_OK;
}

static enum result receive_message_1(struct channel *channel, struct bytes message,
                                     struct arena *arena, struct channel_event *ret_event,
                                     struct problem *problem)
{
    static const uint8_t MARK[1] = {MARK_MESSAGE_2};
    uint8_t read[LIMIT_HANDSHAKE_PADDED_SIZE] = {0};
    struct bytes content = {0};
    size_t size = 0;
    uint8_t *payload = arena_alloc(arena, LIMIT_HANDSHAKE_PADDED_SIZE);
    uint8_t *reply = arena_alloc(arena, MESSAGE_2_SIZE);
    enum result result = mark_check(channel, message, problem);

    if (payload == NULL || reply == NULL)
        return arena_full(arena, problem);
    if (result != RESULT_OK)
        return result;
    channel->kind = (enum channel_kind)message.data[0];
    noise_begin(channel, NOISE_RESPONDER, message.data[1]);
    result = noise_read(&channel->phase->noise, bytes_of(message.data + 2, message.size - 2), read,
                        &size, problem);
    if (result == RESULT_OK)
        result = payload_read(bytes_of(read, size), &content, problem);
    if (result != RESULT_OK)
        return result;
    if (content.size != (channel->kind == CHANNEL_ENROL ? IDENTITY_TOKEN_ID_SIZE : 0))
        return problem_set(problem, RESULT_MALFORMED, "message 1 with %zu bytes of content",
                           content.size);
    channel->has_token_id = channel->kind == CHANNEL_ENROL;
    memcpy(channel->token_id, content.data, content.size);
    *ret_event = (struct channel_event){.kind = CHANNEL_SEND};
    result = handshake_write(channel, bytes_of(MARK, sizeof MARK), (struct bytes){0}, payload,
                             reply, &ret_event->message, problem);
    if (result == RESULT_OK)
        move(channel, CHANNEL_EXPECTS_MESSAGE_3);
    return result;
}

static enum result receive_message_2(struct channel *channel, struct bytes message,
                                     struct arena *arena, struct channel_event *ret_event,
                                     struct problem *problem)
{
    static const uint8_t MARK[1] = {MARK_MESSAGE_3};
    struct noise *noise = &channel->phase->noise;
    struct bytes greeting = buffer_bytes(&channel->phase->bytes);
    uint8_t read[LIMIT_HANDSHAKE_PADDED_SIZE] = {0};
    struct bytes content = {0};
    size_t size = payload_size(greeting.size);
    uint8_t *payload = arena_alloc(arena, size);
    uint8_t *reply = arena_alloc(arena, MESSAGE_3_OVERHEAD + size);
    enum result result;

    if (payload == NULL || reply == NULL)
        return arena_full(arena, problem);
    if (message.size != MESSAGE_2_SIZE || message.data[0] != MARK_MESSAGE_2)
        return problem_set(problem, RESULT_MALFORMED, "message 2 of %zu bytes", message.size);
    result = noise_read(noise, bytes_of(message.data + 1, message.size - 1), read, &size, problem);
    if (result == RESULT_OK)
        result = payload_read(bytes_of(read, size), &content, problem);
    if (result == RESULT_OK && content.size != 0)
        result = problem_set(problem, RESULT_MALFORMED, "message 2 with content");
    if (result != RESULT_OK)
        return result;
    *ret_event = (struct channel_event){.kind = CHANNEL_OPEN, .hello = channel->hello};
    result = handshake_write(channel, bytes_of(MARK, sizeof MARK), greeting, payload, reply,
                             &ret_event->message, problem);
    if (result != RESULT_OK)
        return result;
    noise_split(noise, &channel->transport);
    phase_end(channel);
    move(channel, CHANNEL_IS_OPEN);
    return RESULT_OK;
}

static struct channel_event event_of_peer(const struct channel *channel,
                                          enum channel_event_kind kind)
{
    return (struct channel_event){
        .kind = kind,
        .peer_kind = channel->kind,
        .peer_token_id = channel->has_token_id ? channel->token_id : NULL,
        .peer_static_key = channel->peer_static_key,
    };
}

static enum result receive_message_3(struct channel *channel, struct bytes message,
                                     struct arena *arena, struct channel_event *ret_event,
                                     struct problem *problem)
{
    struct greeting_phase *phase = channel->phase;
    size_t size = 0;
    enum result result;

    (void)arena;
    if (message.size < MESSAGE_3_OVERHEAD + LIMIT_HANDSHAKE_PADDED_SIZE ||
        message.size > MESSAGE_3_OVERHEAD + PAYLOAD_3_SIZE_MAX || message.data[0] != MARK_MESSAGE_3)
        return problem_set(problem, RESULT_MALFORMED, "message 3 of %zu bytes", message.size);
    result = buffer_append(&phase->bytes, message.data + 1, message.size - 1, problem);
    if (result != RESULT_OK)
        return result;
    /* without the key it stops before the payload, so no room for one is needed */
    result = noise_read(&phase->noise, buffer_bytes(&phase->bytes), NULL, &size, problem);
    invariant(result != RESULT_OK);
    if (result != RESULT_WAIT)
        return result;
    memcpy(channel->peer_static_key, noise_remote_static(&phase->noise), NOISE_KEY_SIZE);
    *ret_event = event_of_peer(channel, CHANNEL_NEED_PSK);
    move(channel, CHANNEL_EXPECTS_PSK);
    return RESULT_OK;
}

static enum result psk_use(struct channel *channel, const uint8_t *psk, uint8_t *payload,
                           struct bytes *ret_greeting, struct problem *problem)
{
    static const uint8_t NOBODY[NOISE_KEY_SIZE];
    struct greeting_phase *phase = channel->phase;
    size_t size = 0;
    enum result result;

    noise_set_psk(&phase->noise, psk == NULL ? NOBODY : psk);
    result = noise_read(&phase->noise, buffer_bytes(&phase->bytes), payload, &size, problem);
    if (result == RESULT_OK)
        result = payload_read(bytes_of(payload, size), ret_greeting, problem);
    if (psk == NULL) /* also if a peer guessed the stand-in */
        return problem_set(problem, RESULT_MALFORMED, "unknown peer");
    if (result == RESULT_OK && ret_greeting->size > LIMIT_GREETING_SIZE_MAX)
        return problem_set(problem, RESULT_MALFORMED, "greeting of %zu bytes", ret_greeting->size);
    return result;
}

enum result channel_psk(struct channel *channel, const uint8_t *psk, struct arena *arena,
                        struct channel_event *ret_event, struct problem *problem)
{
    struct bytes greeting = {0};
    uint8_t *payload = NULL;
    enum result result;

    if (channel_is_dead(channel))
        return problem_set(problem, RESULT_MALFORMED, "the channel failed before");
    invariant(channel->state == CHANNEL_EXPECTS_PSK);
    payload = arena_alloc(arena, channel->phase->bytes.size);
    if (payload == NULL)
        return arena_full(arena, problem);
    result = psk_use(channel, psk, payload, &greeting, problem);
    if (result != RESULT_OK)
        return judge(channel, result);
    noise_split(&channel->phase->noise, &channel->transport);
    phase_end(channel);
    free(channel->hello);
    channel->hello = NULL;
    move(channel, CHANNEL_IS_OPEN);
    *ret_event = event_of_peer(channel, CHANNEL_OPEN);
    ret_event->greeting = greeting;
    return RESULT_OK;
}

/* ---- frames ---- */

static enum result receive_frame(struct channel *channel, struct bytes message, struct arena *arena,
                                 struct channel_event *ret_event, struct problem *problem)
{
    struct noise_cipher before = channel->transport.receive;
    struct frame frame = {0};
    uint8_t *plaintext = NULL;
    enum result result;

    if (message.size < LIMIT_MESSAGE_SIZE_MIN || message.size > channel->message_size_max)
        return problem_set(problem, RESULT_MALFORMED, "message of %zu bytes", message.size);
    plaintext = arena_alloc(arena, message.size - NOISE_TAG_SIZE);
    if (plaintext == NULL)
        return arena_full(arena, problem);
    result = noise_open(&channel->transport, message, plaintext, problem);
    if (result == RESULT_OK)
        result = frame_join(&channel->joiner, bytes_of(plaintext, message.size - NOISE_TAG_SIZE),
                            channel->dictionaries, DICTIONARIES, arena, &frame, problem);
    if (result == RESULT_EXHAUSTED)
        channel->transport.receive = before; /* so that the same message can come again */
    sodium_memzero(&before, sizeof before);
    if (result == RESULT_OK)
        *ret_event = (struct channel_event){.kind = CHANNEL_FRAME, .frame = frame};
    if (result == RESULT_WAIT) {
        *ret_event = (struct channel_event){.kind = CHANNEL_NOTHING};
        result = RESULT_OK;
    }
    return result;
}

static enum result receive_too_early(struct channel *channel, struct bytes message,
                                     struct arena *arena, struct channel_event *ret_event,
                                     struct problem *problem)
{
    (void)channel;
    (void)arena;
    (void)ret_event;
    return problem_set(problem, RESULT_MALFORMED, "message of %zu bytes before HELLO",
                       message.size);
}

static enum result receive_after_psk(struct channel *channel, struct bytes message,
                                     struct arena *arena, struct channel_event *ret_event,
                                     struct problem *problem)
{
    (void)channel;
    (void)arena;
    (void)ret_event;
    return problem_set(problem, RESULT_WAIT, "message of %zu bytes waits for the key",
                       message.size);
}

static enum result receive_dead(struct channel *channel, struct bytes message, struct arena *arena,
                                struct channel_event *ret_event, struct problem *problem)
{
    (void)channel;
    (void)message;
    (void)arena;
    (void)ret_event;
    return problem_set(problem, RESULT_MALFORMED, "the channel failed before");
}

enum result channel_receive(struct channel *channel, struct bytes message, struct arena *arena,
                            struct channel_event *ret_event, struct problem *problem)
{
    typedef enum result receiver(struct channel *, struct bytes, struct arena *,
                                 struct channel_event *, struct problem *);
    static receiver *const RECEIVERS[CHANNEL_STATE_COUNT] = {
        [CHANNEL_STARTING] = receive_too_early,
        [CHANNEL_EXPECTS_HELLO] = receive_hello,
        [CHANNEL_EXPECTS_MESSAGE_1] = receive_message_1,
        [CHANNEL_EXPECTS_MESSAGE_2] = receive_message_2,
        [CHANNEL_EXPECTS_MESSAGE_3] = receive_message_3,
        [CHANNEL_EXPECTS_PSK] = receive_after_psk,
        [CHANNEL_IS_OPEN] = receive_frame,
        [CHANNEL_IS_DEAD] = receive_dead,
    };
    struct channel_event event = {0};
    enum result result = RECEIVERS[channel->state](channel, message, arena, &event, problem);

    if (result == RESULT_OK)
        *ret_event = event;
    return judge(channel, result);
}

enum result channel_seal(struct channel *channel, const struct frame_list *frames,
                         struct arena *arena, struct channel_messages *ret_messages,
                         struct problem *problem)
{
    struct bytes *messages = arena_array(arena, frames->count, sizeof *messages);
    size_t size = 0;
    uint8_t *data = NULL;

    if (channel_is_dead(channel))
        return problem_set(problem, RESULT_MALFORMED, "the channel failed before");
    invariant(channel_is_open(channel));
    for (size_t i = 0; i < frames->count; i++) {
        invariant(frames->frames[i].size <= channel_frame_size_max(channel));
        size += frames->frames[i].size + NOISE_TAG_SIZE;
    }
    data = arena_alloc(arena, size);
    if (messages == NULL || data == NULL) /* all or none: a message once sealed has to be sent */
        return arena_full(arena, problem);
    for (size_t i = 0; i < frames->count; i++) {
        enum result result = noise_seal(&channel->transport, frames->frames[i], data, problem);

        if (result != RESULT_OK) {
            die(channel); /* used up far behind channel_is_worn */
            return result;
        }
        messages[i] = bytes_of(data, frames->frames[i].size + NOISE_TAG_SIZE);
        data += messages[i].size;
    }
    *ret_messages = (struct channel_messages){.messages = messages, .count = frames->count};
    return RESULT_OK;
}

enum result channel_send(struct channel *channel, uint8_t type, struct bytes body, int level,
                         struct arena *arena, struct channel_messages *ret_messages,
                         struct problem *problem)
{
    struct frame_list frames = {0};
    struct frame_options options = {.level = level, .dictionary = channel->dictionaries[0]};
    enum result result;

    if (channel_is_dead(channel))
        return problem_set(problem, RESULT_MALFORMED, "the channel failed before");
    options.frame_size_max = channel_frame_size_max(channel);
    result = frame_encode(type, body, &options, arena, &frames, problem);
    if (result != RESULT_OK)
        return result;
    return channel_seal(channel, &frames, arena, ret_messages, problem);
}

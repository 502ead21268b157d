/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h: one encrypted conversation with one peer, over any ordered stream of messages.
 *
 * A pure state machine: received messages go in, frames and messages to send come out. It owns no
 * socket and reads no clock; randomness comes with the keys. Handshake and transport:
 * Noise_XKpsk3_25519_ChaChaPoly_BLAKE2b, Noise rev. 34, sections 5 and 7; limits: limits.h.
 *
 *     device                                          server
 *            <- HELLO (hello.h, in the clear) ----------      channel_start
 *            -- u8 kind | u8 version | message 1 ------>      payload: token id (enrol) or nothing
 *            <- u8 2 | message 2 -----------------------      payload: nothing
 *            -- u8 3 | message 3 ---------------------->      payload: greeting (RESUME or ENROL)
 *                                                             CHANNEL_NEED_PSK, channel_psk
 *            <- frames (frame.h), one a message -------->
 *
 * Prologue: "fieldsync" | 0 | kind | version | BLAKE2b-256 of HELLO as received, so that nobody can
 * change HELLO, kind or version on the way. A handshake payload is u16 size (big-endian) | content
 * | zeros up to a multiple of LIMIT_HANDSHAKE_PADDED_SIZE.
 *
 * After RESULT_MALFORMED, from whichever function, the channel is dead: its keys are wiped, each
 * later call says the same, and nothing of the message has reached the caller (I11). The caller
 * closes the connection and tells the peer nothing about the reason. After RESULT_EXHAUSTED nothing
 * has happened: free memory and call again with the same arguments, or close. */
#pragma once

#include "base/arena.h"
#include "protocol/frame.h"
#include "protocol/hello.h"
#include "protocol/identity.h"
#include "protocol/noise.h"

struct channel; /* owns its keys; channel_destroy wipes them */

enum { CHANNEL_VERSION = 1 }; /* the only protocol version so far */

enum channel_kind {
    CHANNEL_SESSION = 1, /* an enrolled device; the key is the device's */
    CHANNEL_ENROL = 3,   /* a new one; the key is the secret of the enrolment token */
};

/* Everything is copied unless it says otherwise. */
struct channel_server_options {
    const struct noise_keypair *static_keys;
    struct hello hello;   /* public_key is taken from static_keys */
    const uint8_t *seed;  /* 32 random bytes for this conversation only */
    size_t body_size_max; /* of received bodies; 0: LIMIT_BODY_SIZE_MAX */
};

struct channel_device_options {
    const uint8_t *root_public_key; /* IDENTITY_KEY_SIZE */
    int64_t key_serial_min;         /* highest server key serial seen so far */
    const struct noise_keypair *static_keys;
    const uint8_t *psk; /* session: the device's; enrol: the token's secret */
    enum channel_kind kind;
    const uint8_t *token_id; /* enrol: IDENTITY_TOKEN_ID_SIZE; session: NULL */
    const uint8_t *seed;     /* 32 random bytes for this conversation only */
    struct bytes greeting;   /* payload of message 3, at most LIMIT_GREETING_SIZE_MAX */
    size_t body_size_max;    /* of received bodies; 0: LIMIT_BODY_SIZE_MAX */
};

/* RESULT_EXHAUSTED  no memory
 * RESULT_REFUSED    the greeting is larger than LIMIT_GREETING_SIZE_MAX (device only) */
MUST_CHECK enum result channel_create_server(const struct channel_server_options *options,
                                             struct channel **ret_channel, struct problem *problem);
MUST_CHECK enum result channel_create_device(const struct channel_device_options *options,
                                             struct channel **ret_channel, struct problem *problem);
void channel_destroy(struct channel *channel); /* takes NULL */

enum channel_event_kind {
    CHANNEL_NOTHING,  /* taken; wait for the next message */
    CHANNEL_SEND,     /* send `message` */
    CHANNEL_LATER,    /* device: the server is busy; close, come back after hello.retry_after_ms */
    CHANNEL_NEED_PSK, /* server: find the key by `peer_*`, then call channel_psk */
    CHANNEL_OPEN,     /* device: send `message`, the server is authenticated, `hello` is true;
                         server: the device is authenticated, `greeting` is what it says */
    CHANNEL_FRAME,    /* `frame` */
};

/* Pointers and bytes: in the arena of the call, or as long as the channel lives. */
struct channel_event {
    enum channel_event_kind kind;
    struct bytes message;
    struct frame frame;
    struct bytes greeting;
    const struct hello *hello;      /* device: LATER and OPEN */
    enum channel_kind peer_kind;    /* server: NEED_PSK and OPEN */
    const uint8_t *peer_token_id;   /* IDENTITY_TOKEN_ID_SIZE; NULL unless CHANNEL_ENROL */
    const uint8_t *peer_static_key; /* NOISE_KEY_SIZE; proven only at OPEN */
};

/* Server: the first message to send, HELLO. Once, before anything is received. */
MUST_CHECK enum result channel_start(struct channel *channel, struct arena *arena,
                                     struct bytes *ret_message, struct problem *problem);

/* Feeds one received message and returns what came of it.
 *
 *   message  as received, LIMIT_MESSAGE_SIZE_MAX bytes at most; not kept
 *   arena    needs room for the message and its body, at most twice LIMIT_BODY_SIZE_MAX
 *
 * RESULT_WAIT       server: channel_psk has to be called before this message
 * RESULT_REFUSED    device: no protocol version in common; one of the two needs an update. The
 *                   channel is dead. (HELLO isn't proven at that point: never act on it alone)
 * RESULT_MALFORMED  the channel is dead, see above */
MUST_CHECK enum result channel_receive(struct channel *channel, struct bytes message,
                                       struct arena *arena, struct channel_event *ret_event,
                                       struct problem *problem);

/* Server: the answer to CHANNEL_NEED_PSK.
 *
 *   psk  NOISE_KEY_SIZE bytes; NULL: nobody we know. That fails after the same work and in the same
 *        way as a wrong key
 *
 * RESULT_OK gives CHANNEL_OPEN. RESULT_MALFORMED: wrong or unknown key; the channel is dead. */
MUST_CHECK enum result channel_psk(struct channel *channel, const uint8_t *psk, struct arena *arena,
                                   struct channel_event *ret_event, struct problem *problem);

/* Messages to send, in this order, all of them. */
struct channel_messages {
    struct bytes *messages;
    size_t count;
};

/* Encodes a body and seals it. Level as in frame_options: 0 for all that holds a secret.
 * RESULT_EXHAUSTED also when LIMIT_SESSION_MESSAGES are used up: open a new channel. */
MUST_CHECK enum result channel_send(struct channel *channel, uint8_t type, struct bytes body,
                                    int level, struct arena *arena,
                                    struct channel_messages *ret_messages, struct problem *problem);

/* Seals frames that frame_encode made, perhaps for many channels: with a frame_size_max of at most
 * channel_frame_size_max, and with a dictionary that this peer has. */
MUST_CHECK enum result channel_seal(struct channel *channel, const struct frame_list *frames,
                                    struct arena *arena, struct channel_messages *ret_messages,
                                    struct problem *problem);

/* From now on channel_send uses this dictionary; received frames may use it or the one before.
 * Borrowed: it outlives the channel. Both sides set it at the same place in the conversation. */
void channel_set_dictionary(struct channel *channel, struct frame_dictionary dictionary);

/* Bound of received bodies from the next one on: by role and state, at most LIMIT_BODY_SIZE_MAX. */
void channel_set_body_limit(struct channel *channel, size_t body_size_max);

bool channel_is_open(const struct channel *channel);
bool channel_is_dead(const struct channel *channel);
bool channel_is_worn(const struct channel *channel); /* LIMIT_SESSION_MESSAGES reached: say BYE */
size_t channel_frame_size_max(const struct channel *channel); /* plaintext; known when open */

/* SPDX-License-Identifier: Apache-2.0 */
/* hello.h: the server's first message, in the clear: who it is and which protocol it speaks.
 *
 * msgpack array of 9, or 10, at most LIMIT_HELLO_SIZE_MAX bytes:
 *
 *     "FSY"
 *     version_min, version_max  1 to 255
 *     server_ms                 its clock, milliseconds since 1970
 *     public_key                blob of 32: its X25519 key
 *     key_serial                0 to LIMIT_SERIAL_MAX
 *     signature                 blob of 64: the root's over serial and key (identity.h)
 *     retry_after_ms            0, or: too busy, come back after so long
 *     message_size_max          LIMIT_MESSAGE_OFFER_MIN to LIMIT_MESSAGE_SIZE_MAX: both directions
 *     root_change               only after the company changed its root key: blob of 96, the new
 *                               root's public key and the old root's signature over it
 *
 * Nothing in it but the certified key is to be believed until message 2 of the handshake was read:
 * its hash is in the prologue. */
#pragma once

#include "base/bytes.h"
#include "protocol/identity.h"

struct hello {
    int64_t version_min;
    int64_t version_max;
    int64_t server_ms;
    uint8_t public_key[IDENTITY_KEY_SIZE];
    int64_t key_serial;
    uint8_t signature[IDENTITY_SIGNATURE_SIZE];
    int64_t retry_after_ms;
    int64_t message_size_max;
    bool has_root_change; /* `signature` is the new root's */
    struct identity_root_change root_change;
};

/* RESULT_EXHAUSTED  the buffer is full */
MUST_CHECK enum result hello_encode(const struct hello *hello, struct buffer *buffer,
                                    struct problem *problem);
/* RESULT_MALFORMED  not of this form: whoever speaks there is no server of ours */
MUST_CHECK enum result hello_decode(struct bytes message, struct hello *ret_hello,
                                    struct problem *problem);

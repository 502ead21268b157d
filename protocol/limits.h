/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: every bound on what the other side may make us do, one line each with its reason.
 *
 * Sizes are bytes, counts are items, times say their unit. A limit is checked before memory is
 * taken or work is done; who goes past one broke the protocol (RESULT_MALFORMED). docs/PROTOCOL.md
 * repeats these numbers for those who write a client in another language. */
#pragma once

#include <stdint.h>

/* Messages: one binary WebSocket message is one Noise message. */
enum {
    LIMIT_MESSAGE_SIZE_MIN = 17,        /* a tag and one byte: less can't say anything */
    LIMIT_MESSAGE_SIZE_MAX = 65535,     /* Noise rev. 34, section 3: lengths fit 16 bits */
    LIMIT_MESSAGE_OFFER_MIN = 1024,     /* a server may ask for smaller messages, not for dust */
    LIMIT_MESSAGE_OFFER = 16384,        /* ours: 14 s at 9.6 kbit/s, so that something is heard */
    LIMIT_MESSAGE_FRAGMENTS_MAX = 64,   /* WebSocket fragments a message: floods cost calls */
    LIMIT_CHUNK_SIZE_MIN = 512,         /* body bytes of a chunk that says "more follow" */
    LIMIT_FRAME_PADDED_SIZE = 32,       /* smaller frames are padded to it: sizes tell types */
    LIMIT_HANDSHAKE_PADDED_SIZE = 64,   /* handshake payloads are multiples of it: the same */
    LIMIT_HELLO_SIZE_MAX = 512,         /* read before anything is proven */
    LIMIT_GREETING_SIZE_MAX = 16 * 1024 /* RESUME or ENROL in message 3: cursors of 1,000 buckets */
};

/* Bodies and msgpack. */
enum {
    LIMIT_BODY_SIZE_MAX = 1024 * 1024, /* inflated; costs a bomb of that size 5-7 ms at most */
    LIMIT_DICTIONARY_SIZE_MAX = 32768, /* deflate looks back no further, RFC 1951 section 2 */
    LIMIT_DEPTH_MAX = 8,               /* arrays in arrays; the deepest message needs 5 */
    LIMIT_TEXT_SIZE_MAX = 64 * 1024,   /* one text or blob value of a row; more is a blob file */
    LIMIT_NAME_SIZE_MAX = 128,         /* names of tables, columns, persons, programs */
    LIMIT_REASON_SIZE_MAX = 512        /* a sentence for a person */
};

/* Changes and transfers. */
enum {
    LIMIT_PUSH_CHANGES_MAX = 2000,    /* one group of the writer: 25 ms of work */
    LIMIT_SCRIPTS_MAX = 256,          /* in one SCHEMA: years of releases */
    LIMIT_COLUMNS_MAX = 62,           /* one mask word of the outbox */
    LIMIT_ROWS_MAX = 65536,           /* rows in one body of 1 MiB: at least 16 bytes each */
    LIMIT_BUCKETS_MAX = 4096,         /* buckets of one subscription */
    LIMIT_BLOB_PART_SIZE = 64 * 1024, /* resumable at a byte, small against a lane's credit */
    LIMIT_UNIT_SIZE_MAX = 64 << 20,   /* a unit that is larger than one body, spooled to disk */
    LIMIT_UNIT_PARTS_MAX = 4096,      /* of 16 KiB each at least, if the unit is to be full */
    LIMIT_UNIT_CHANGES_MAX = 300000   /* in changes: half a GiB of a server while it applies it */
};

/* Connections and times. */
enum {
    LIMIT_HANDSHAKE_SECONDS = 30,         /* to the first good frame: 600 ms latency, some loss */
    LIMIT_HANDSHAKE_CROWDED_SECONDS = 10, /* while strangers use half of what there is for them */
    LIMIT_HANDSHAKES_MAX = 1000,          /* unfinished ones, all addresses */
    LIMIT_HANDSHAKES_ADDRESS_MAX = 64,    /* unfinished ones of one address: an office behind NAT */
    LIMIT_PING_SECONDS_MIN = 35,          /* of saying nothing; drawn, so that a fleet spreads */
    LIMIT_PING_SECONDS_MAX = 45,          /* proxies drop what is silent for 60 s */
    LIMIT_SERVER_PING_SECONDS_MAX =
        50,                     /* from 45 s: mostly the device was first, and one is enough */
    LIMIT_SILENCE_SECONDS = 60, /* then the link counts as dead */
    LIMIT_RETRY_AFTER_MS_MAX = 600000, /* unproven HELLO: a liar can't send a device away longer */
    LIMIT_SESSION_HOURS = 24,          /* then a new handshake: fresh keys every day */
    LIMIT_REKEY_MESSAGES = 65536       /* per direction; both sides count, nothing is said */
};

#define LIMIT_SESSION_MESSAGES INT64_C(4294967296)      /* then BYE{renew}; far from nonce reuse */
#define LIMIT_TIME_MS_MAX      INT64_C(253402300799999) /* 9999-12-31: more is no date */
#define LIMIT_SERIAL_MAX       INT64_C(4294967295)      /* one server key a second for 136 years */

/* SPDX-License-Identifier: Apache-2.0 */
/* messages.h: everything that server and device say to each other once the channel is open, one
 * struct and one encode/decode pair a message; both directions of a message live in one file.
 *
 * A message is a frame body (frame.h): one msgpack array, positional, integers shortest form.
 * Decoders verify everything (types, ranges, counts against catalog and limits.h) before anything
 * reaches the caller, never trust a count, and leave texts and blobs pointing into `body`, so the
 * decoded message lives as long as both `body` and `arena`. HELLO and the payload wrapping of the
 * handshake are channel.h's. docs/PROTOCOL.md describes the same bytes for other languages.
 *
 * Every _decode returns RESULT_MALFORMED for bytes that break the format, RESULT_REFUSED for a
 * table or column that this side's catalog doesn't know, RESULT_EXHAUSTED for a limit of ours. */
#pragma once

#include "schema/catalog.h"

enum message_type {
    /* server to device */
    MESSAGE_WELCOME = 1,
    MESSAGE_ENROLLED = 2,
    MESSAGE_SUBSCRIBED = 3,
    MESSAGE_ROWS = 4,
    MESSAGE_GONE = 5,
    MESSAGE_PUBLISH = 6,
    MESSAGE_VERDICT = 7,
    MESSAGE_DIGEST_DIFFERS = 8,
    MESSAGE_NOTICE = 9,
    MESSAGE_REVOKED = 10,
    MESSAGE_SCHEMA = 11,
    MESSAGE_IDS = 12,
    MESSAGE_RENEW = 13,
    MESSAGE_DEPOSITED = 14,
    MESSAGE_POLICY = 15,
    MESSAGE_NEW_PSK = 16,
    MESSAGE_SNAPSHOT = 17,
    /* device to server */
    MESSAGE_PUSH = 32,
    MESSAGE_PUBLISHED = 33,
    MESSAGE_DIGEST = 34,
    MESSAGE_REPAIR = 35,
    MESSAGE_NEW_KEY = 36,
    /* both ways */
    MESSAGE_PING = 64,
    MESSAGE_PONG = 65,
    MESSAGE_BLOB_HAVE = 66,
    MESSAGE_BLOB_WANT = 67,
    MESSAGE_BLOB_PART = 68,
    MESSAGE_ERROR = 69,
    MESSAGE_BYE = 70,
};
/* Types with bit 7 set are optional: a side that doesn't know one skips it. */
enum { MESSAGE_OPTIONAL_BIT = 0x80 };
const char *message_name(int type); /* "PUSH"; "?" for an unknown one */

enum {
    EPOCH_SIZE = 16,
    SESSION_ID_SIZE = 16,
    TOKEN_SIZE = 32, /* resume token */
    RENEW_TOKEN_ID_SIZE = 16,
    PSK_SIZE = 32,
    PUBLIC_KEY_SIZE = 32, /* X25519 and Ed25519 alike */
    SEAL_DIGEST_SIZE = 32,
    BLOB_HASH_SIZE = 32, /* BLAKE2b-256 of the whole content */
    DIGEST_KEY_SIZE = 16,
    ROW_DIGEST_SIZE = 16,
    REPAIR_PARTS = 256, /* a bucket's rows fall into 256 parts by id modulo 256 */
};

/* Where the device stands in one bucket when it isn't simply at its published head. */
struct bucket_cursor {
    int64_t bucket;
    int64_t seq;           /* everything up to here is published or staged; 0: nothing complete */
    int64_t page_table_no; /* inside a first paging: last table and seq received, else 0 and 0 */
    int64_t page_seq;
    int64_t page_to; /* head at which that paging began, 0 if none */
};

/* Payload of handshake message 3, kind session: the device comes back. */
struct message_resume {
    struct bytes resume_token; /* TOKEN_SIZE, or empty before the first one was stored */
    struct bytes epoch;        /* EPOCH_SIZE as last seen, or empty */
    int64_t incarnation;
    int64_t published_seq; /* 0: nothing yet */
    int64_t lcn_last;      /* highest change number given on this device */
    int64_t schema_version;
    struct wall_time device_time;
    struct bytes app_version;
    int64_t seal_no;          /* newest seal of this device, 0: none */
    struct bytes seal_digest; /* SEAL_DIGEST_SIZE: its digest, zeros for none; empty: not told */
    size_t cursor_count;      /* only buckets that differ from published_seq, ascending */
    struct bucket_cursor *cursors;
    size_t subscribed_digest_size; /* 0 or 8 */
    uint8_t subscribed_digest[8];  /* of the sorted bucket numbers the device holds: equal to the
                                      server's means SUBSCRIBED need not be sent */
};

/* Payload of handshake message 3, kind enrol. */
struct message_enrol {
    struct bytes sign_public_key; /* Ed25519, PUBLIC_KEY_SIZE */
    struct bytes device_name;
    struct bytes app_version;
    int64_t schema_version;
    struct wall_time device_time;
    int64_t first_no; /* the replica number that this disk had first, 0: it is new */
};

/* First frame of a session. */
struct message_welcome {
    struct bytes session_id;
    struct bytes epoch;
    int64_t replica_no;
    int64_t incarnation;
    int64_t lcn_high;   /* all changes up to here have their verdict */
    int64_t seal_high;  /* last seal applied, 0: none */
    int64_t backup_lcn; /* up to here the device may forget acknowledged changes */
    int64_t head;       /* server's newest seq */
    int64_t schema_version;
    int64_t user_id;
    struct bytes user_login;
    struct bytes resume_token; /* to store durably before anything else */
    struct bytes digest_key;
    struct wall_time server_time;
};

/* The only frame of an enrolment. The device stores it and connects again as a session. */
struct message_enrolled {
    int64_t replica_no;
    int64_t device_id;
    int64_t incarnation;
    int64_t user_id;
    struct bytes user_login;
    struct bytes user_name;
    struct bytes series; /* prefix of its human numbers, such as "T07" */
    int64_t van_id;      /* 0: none */
    struct bytes psk;
    struct bytes resume_token;
    struct bytes epoch;
    struct bytes digest_key;
    int64_t schema_version;
};

/* The only frame of a session whose device must take a new identity: its disk was copied or put
 * back, and an admin has decided that another copy goes on as this replica, or that none can. It
 * makes new keys, enrols with this code, and brings its unanswered work along. */
struct message_renew {
    struct bytes token_id;     /* RENEW_TOKEN_ID_SIZE: of the code */
    struct bytes token_secret; /* PSK_SIZE */
    struct bytes reason;       /* for people */
};

/* The device's buckets from `stamp_seq` on. Takes effect at the next PUBLISH. */
struct message_subscribed {
    int64_t stamp_seq;
    bool is_whole; /* `added` is the whole set; otherwise added and removed are changes */
    size_t added_count;
    int64_t *added; /* ascending */
    size_t removed_count;
    int64_t *removed; /* ascending */
};

/* Rows of one bucket: changed after seq_after, up to seq_to.
 * Paging a bucket from nothing: seq_after = 0, is_complete false until its last page; page_table_no
 * and page_seq tell where the page ends (tables in ascending number, rows in ascending seq).
 * A repair: is_repair, the named parts of the bucket are replaced as a whole (see message_repair).
 * Tables in ascending number, rows of a table in any order; each row's mask is all columns for a
 * whole row. */
struct message_rows {
    int64_t bucket;
    int64_t seq_after;
    int64_t seq_to;
    bool is_complete;
    bool is_repair;
    int64_t page_table_no;
    int64_t page_seq;
    size_t part_count; /* is_repair: which parts (0..255) are replaced */
    const uint8_t *parts;
    size_t row_count;
    struct row_image *rows;
};

/* Pages of several buckets that are read from nothing, as ROWS of each would have them: seq_after
 * 0, no repair. Buckets ascend; what comes for each is worth as much as by itself. */
struct message_snapshot {
    size_t part_count; /* 1 to SNAPSHOT_PARTS_MAX */
    struct message_rows *parts;
};
enum {
    SNAPSHOT_PARTS_MAX = 64
}; /* with all tables a catalog may have no more than LIMIT_ROWS_MAX
      counts */

struct message_gone {
    int64_t bucket;
    int64_t seq_after;
    int64_t seq_to;
    size_t count;
    struct gone *rows;
};

/* All rows that one table has in the bucket at seq_to, as far as their ids lie in (id_after,
 * id_to]: what the device holds of it besides has gone. Sent where departures after the device's
 * cursor have expired, so that GONE can't name them. */
struct message_ids {
    int64_t bucket;
    int64_t seq_to;
    int64_t table_no;
    int64_t id_after;
    int64_t id_to;
    size_t count;
    int64_t *ids; /* ascending */
};

/* Everything staged becomes visible now; the replica is then the master at `head`. */
struct message_publish {
    int64_t head;
};

/* One change's answer where it isn't simply "applied". */
struct verdict {
    int64_t lcn;
    enum verdict_kind kind;
    struct bytes reason; /* reason code of domain/reason.h, empty if none */
    uint16_t table_no;
    int64_t row_id;         /* of the change */
    int64_t merged_into_id; /* natural key merged: the surviving row's id, else 0 */
    bool has_row;           /* the row as the server has it, to be applied like feed data (R4) */
    struct row_image row;   /* row.row_id may be merged_into_id */
    bool is_row_gone;       /* the server has no such row, or it isn't the device's to see */
};

struct message_verdict {
    int64_t seal_no;
    int64_t lcn_high;       /* all changes up to here now have their verdict */
    int64_t commit_seq;     /* lowest seq of the commit that holds them: rows read at a seq from
                               here on are as new as they or newer */
    size_t exception_count; /* every other change of the seal is VERDICT_APPLIED */
    struct verdict *exceptions;
    int64_t part_no; /* from 0: more exceptions than one body holds come in several */
    bool has_more;   /* parts; the answer counts when the last one is there */
};

/* A union of whole local transactions (R7), or one part of it. */
struct message_push {
    int64_t incarnation;
    int64_t seal_no; /* from 1, no gap */
    int64_t part_no; /* from 0 */
    bool is_last_part;
    int64_t lcn_first; /* the seal's range, the same in every part */
    int64_t lcn_last;
    int64_t schema_version;
    struct wall_time sealed_at;
    struct bytes previous_digest; /* SEAL_DIGEST_SIZE: of the seal before, zeros for the first */
    struct bytes digest;          /* of this seal: push_seal_digest over all its changes */
    size_t change_count;
    struct change *changes; /* grouped by table in ascending number, then lcn */
};

/* Scripts that the device lacks, in the order of their names; several messages if they are many. It
 * stores them and runs them when it has them all (docs/SCHEMA.md). */
struct schema_script {
    struct bytes name; /* "5000_common_lifts" */
    struct bytes text;
};
struct message_schema {
    int64_t schema_version; /* what the device has when they have run */
    bool is_last;
    size_t script_count;
    struct schema_script *scripts;
};

/* Device's receipt: `seq` is published on it. Sent lazily, never waited for. */
struct message_published {
    int64_t seq;
};

struct bucket_digest {
    int64_t bucket;
    uint8_t digest[ROW_DIGEST_SIZE];
};

/* Contents of the device's buckets at its published head (without pending and quarantined rows). */
struct message_digest {
    int64_t head;
    size_t count;
    struct bucket_digest *digests; /* ascending by bucket */
};

/* Buckets that differ, each with the digests of its 256 parts. A bucket that changed since `head`
 * is left out. */
struct message_digest_differs {
    int64_t head;
    size_t count;
    struct differing_bucket {
        int64_t bucket;
        const uint8_t *parts; /* REPAIR_PARTS * ROW_DIGEST_SIZE bytes */
    } * buckets;              /* ascending */
};

/* The device asks for these parts of a bucket as a whole; answered by ROWS with is_repair. */
struct message_repair {
    int64_t bucket;
    size_t part_count;
    const uint8_t *parts;
};

struct message_blob {
    struct bytes hash; /* BLOB_HASH_SIZE */
    int64_t offset;    /* WANT: send from here; PART: where `data` starts; HAVE: 0 */
    int64_t size; /* HAVE, PART: of the whole content; WANT: send up to here, if it has so much */
    struct bytes data; /* PART: at most LIMIT_BLOB_PART_SIZE bytes */
};

struct message_ping {
    int64_t nonce;
};

/* What the server asks of this device; before WELCOME. */
struct message_policy {
    int64_t lease_s;        /* so long the device's commands work without contact; 0: for ever */
    bool is_rotation_asked; /* new keys now, however old these are */
};

/* The device's next X25519 key. Sent again until a session began with it. */
struct message_new_key {
    struct bytes public_key;
};

/* The pre-shared key that goes with it. Both pairs are good until the new one was used once. */
struct message_new_psk {
    struct bytes public_key; /* as NEW_KEY said */
    struct bytes psk;
};

/* A revoked device's seal is kept on the server, whole and durably. */
struct message_deposited {
    int64_t seal_no;
    struct bytes digest; /* of the seal */
};

/* REVOKED: wipe, reason. NOTICE, ERROR, BYE: code and words; retry_after_ms for BYE and ERROR. */
struct message_text {
    bool wipe;
    int64_t retry_after_ms;
    struct bytes code;
    struct bytes text;
};

/* Encoders append to `body`.
 *
 * RESULT_EXHAUSTED  it is full: send less (row_size_max in rows.h helps to fill a body)
 * RESULT_REFUSED    a value, an order or a table that the other side's decoder wouldn't take
 * After either nothing of `body` is to be sent: drop it. */
#define MESSAGE_ENCODER(name)                                                                      \
    MUST_CHECK enum result message_##name##_encode(const struct message_##name *message,           \
                                                   struct buffer *body, struct problem *problem)
#define MESSAGE_DECODER(name)                                                                      \
    MUST_CHECK enum result message_##name##_decode(struct bytes body, struct arena *arena,         \
                                                   struct message_##name *ret_message,             \
                                                   struct problem *problem)
#define MESSAGE_ENCODER_BY_CATALOG(name)                                                           \
    MUST_CHECK enum result message_##name##_encode(const struct catalog *catalog,                  \
                                                   const struct message_##name *message,           \
                                                   struct buffer *body, struct problem *problem)
#define MESSAGE_DECODER_BY_CATALOG(name)                                                           \
    MUST_CHECK enum result message_##name##_decode(                                                \
        const struct catalog *catalog, struct bytes body, struct arena *arena,                     \
        struct message_##name *ret_message, struct problem *problem)

MESSAGE_ENCODER(resume);
MESSAGE_DECODER(resume);
MESSAGE_ENCODER(enrol);
MESSAGE_DECODER(enrol);
MESSAGE_ENCODER(welcome);
MESSAGE_DECODER(welcome);
MESSAGE_ENCODER(enrolled);
MESSAGE_DECODER(enrolled);
MESSAGE_ENCODER(renew);
MESSAGE_DECODER(renew);
MESSAGE_ENCODER(subscribed);
MESSAGE_DECODER(subscribed);
MESSAGE_ENCODER_BY_CATALOG(rows);
MESSAGE_DECODER_BY_CATALOG(rows);
MESSAGE_ENCODER_BY_CATALOG(snapshot); /* the tables of each part ascend */
MESSAGE_DECODER_BY_CATALOG(snapshot);
MESSAGE_ENCODER(gone);
MESSAGE_DECODER_BY_CATALOG(gone);
MESSAGE_ENCODER(ids);
MESSAGE_DECODER_BY_CATALOG(ids);
MESSAGE_ENCODER(publish);
MESSAGE_DECODER(publish);
MESSAGE_ENCODER_BY_CATALOG(verdict);
MESSAGE_DECODER_BY_CATALOG(verdict);
MESSAGE_ENCODER_BY_CATALOG(push);
MESSAGE_DECODER_BY_CATALOG(push);
MESSAGE_ENCODER(schema);
MESSAGE_DECODER(schema);
MESSAGE_ENCODER(published);
MESSAGE_DECODER(published);
MESSAGE_ENCODER(digest);
MESSAGE_DECODER(digest);
MESSAGE_ENCODER(digest_differs);
MESSAGE_DECODER(digest_differs);
MESSAGE_ENCODER(repair);
MESSAGE_DECODER(repair);
MESSAGE_ENCODER(blob); /* HAVE, WANT and PART share one body */
MESSAGE_DECODER(blob);
MESSAGE_ENCODER(ping); /* PING and PONG */
MESSAGE_DECODER(ping);
MESSAGE_ENCODER(policy);
MESSAGE_DECODER(policy);
MESSAGE_ENCODER(new_key);
MESSAGE_DECODER(new_key);
MESSAGE_ENCODER(new_psk);
MESSAGE_DECODER(new_psk);
MESSAGE_ENCODER(deposited);
MESSAGE_DECODER(deposited);
MESSAGE_ENCODER(text); /* NOTICE, REVOKED, ERROR, BYE */
MESSAGE_DECODER(text);

/* Without reading the rest: does this PUSH begin a seal? False for what isn't a PUSH. */
bool message_push_is_first_part(struct bytes body);
/* In which schema is this PUSH? To be known before its changes can be read. */
MUST_CHECK enum result message_push_version(struct bytes body, int64_t *ret_version,
                                            struct problem *problem);

/* Digest of a seal: BLAKE2b-256 over "fieldsync seal v1", previous digest, incarnation, seal
 * number, lcn range, schema version, sealed_at and the canonical change bytes in message order.
 * Parts are fed one after the other, so a large seal needs no large memory. */
struct seal_digest_state {
    _Alignas(64) unsigned char opaque[384]; /* crypto_generichash_state */
    uint8_t waiting[256];                   /* for it */
    size_t waiting_size;
};
void seal_digest_begin(struct seal_digest_state *state, const struct message_push *first_part);
MUST_CHECK enum result seal_digest_add(struct seal_digest_state *state,
                                       const struct catalog *catalog,
                                       const struct message_push *part, struct problem *problem);
void seal_digest_end(struct seal_digest_state *state, uint8_t ret_digest[SEAL_DIGEST_SIZE]);

/* Digest of a sorted list of buckets for message_resume. */
void subscribed_digest(const int64_t *buckets, size_t count, uint8_t ret_digest[8]);

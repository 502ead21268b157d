/* SPDX-License-Identifier: Apache-2.0 */
/* client.h: a device's side of the conversation without a replica: real keys, the real channel,
 * correct seals, and nothing that is kept. Thousands of them fit into one process.
 *
 * It knows no socket: received messages go in, messages to send go to `send`. What the feed brings
 * is decrypted and dropped; receipts are given as an agent gives them. */
#pragma once

#include "protocol/channel.h"
#include "protocol/limits.h"
#include "protocol/messages.h"

struct client {
    /* Given by the caller before the first client_dial. */
    const struct catalog *catalog;
    const char *app_version;
    const uint8_t *root_key; /* IDENTITY_KEY_SIZE; borrowed */
    struct noise_keypair keys;
    uint8_t token_id[IDENTITY_TOKEN_ID_SIZE]; /* of the enrolment code, until it is enrolled */
    uint8_t psk[PSK_SIZE];                    /* the code's secret; then the device's own */
    bool is_enrolled;
    void (*send)(void *context, struct bytes message);
    void *context;

    /* What an agent would keep in its replica. */
    int64_t replica_no;
    int64_t incarnation;
    int64_t user_id;
    uint8_t epoch[EPOCH_SIZE];
    uint8_t resume_token[TOKEN_SIZE];
    int64_t published_seq;
    uint8_t buckets_digest[8];
    bool has_buckets; /* the digest is of the server's whole list */
    int64_t bucket;   /* one of them: the last */

    /* Its seals. */
    int64_t lcn;
    int64_t seal_no;
    uint8_t digest[SEAL_DIGEST_SIZE];
    int64_t row_counter;
    bool is_pushed; /* a seal waits for its verdict */
    int64_t lcn_before;
    uint8_t digest_before[SEAL_DIGEST_SIZE];

    struct channel *channel; /* of this conversation */
    bool is_live;
    int receipts_due;
};

enum client_event_kind {
    CLIENT_NOTHING,
    CLIENT_PING, /* answered */
    CLIENT_ENROLLED,
    CLIENT_LIVE,
    CLIENT_PUBLISH, /* all that was sent is to become visible now */
    CLIENT_ROWS,    /* dropped, like all of the feed */
    CLIENT_VERDICT, /* the whole of it; `exception_count` of its last part */
    CLIENT_ERROR,   /* the seal wasn't taken: client_forget_seal */
    CLIENT_LATER,   /* busy: close, come back after `retry_after_ms` */
    CLIENT_BYE,     /* the same */
};
struct client_event {
    enum client_event_kind kind;
    int64_t retry_after_ms;
    size_t exception_count;
};

void client_done(struct client *client);

/* A new conversation: ENROL or RESUME. `seed`: 32 random bytes for this conversation only. */
MUST_CHECK enum result client_dial(struct client *client, const uint8_t *seed, struct wall_time now,
                                   struct problem *problem);
/* RESULT_MALFORMED: the conversation is dead, close it. */
MUST_CHECK enum result client_receive(struct client *client, struct bytes message,
                                      struct arena *arena, struct client_event *ret_event,
                                      struct problem *problem);
/* One body, compressed at `level` (0: not). */
MUST_CHECK enum result client_send(struct client *client, uint8_t type, struct bytes body,
                                   int level, struct arena *arena, struct problem *problem);
/* Asks for all rows of its `bucket`: CLIENT_ROWS answers. */
MUST_CHECK enum result client_ask_rows(struct client *client, struct arena *arena,
                                       struct problem *problem);
/* The connection is gone. */
void client_disconnected(struct client *client);
/* From the next conversation on it is a device that has received nothing yet. */
void client_forget_rows(struct client *client);

/* A seal of `part_count` parts of `change_count` changes each. */
struct client_seal {
    size_t part_count;
    struct change *const *parts; /* without lcn: client_seal gives it */
    struct message_push push;    /* client_seal's; change_count is the caller's */
};
/* Numbers the changes and closes the seal over them; then client_part for each part. */
MUST_CHECK enum result client_seal(struct client *client, struct client_seal *seal,
                                   struct wall_time now, struct problem *problem);
MUST_CHECK enum result client_part(const struct client *client, struct client_seal *seal,
                                   size_t part_no, struct buffer *body, struct problem *problem);
/* The server has taken nothing of the last one. */
void client_forget_seal(struct client *client);

/* A change of this device's: values are NULL in all columns. NULL: no memory. */
MUST_CHECK struct change *client_changes(struct arena *arena, size_t count);
MUST_CHECK bool client_change_begin(struct arena *arena, const struct catalog_table *table,
                                    struct change *change);
/* False: the table has no such column. */
MUST_CHECK bool client_change_set(struct change *change, const struct catalog_table *table,
                                  const char *column_name, struct value value);

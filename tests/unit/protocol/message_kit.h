/* SPDX-License-Identifier: Apache-2.0 */
/* message_kit.h: all messages behind one table, for tests: encode, decode, and say in words.
 *
 * The words of a message are one "name: value" line a field. Two messages are equal when their
 * words are; docs/PROTOCOL.md shows the same words beside the bytes. */
#pragma once

#include "protocol/messages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

union any_message {
    struct message_resume resume;
    struct message_enrol enrol;
    struct message_welcome welcome;
    struct message_enrolled enrolled;
    struct message_subscribed subscribed;
    struct message_rows rows;
    struct message_gone gone;
    struct message_ids ids;
    struct message_publish publish;
    struct message_verdict verdict;
    struct message_push push;
    struct message_published published;
    struct message_digest digest;
    struct message_digest_differs differs;
    struct message_repair repair;
    struct message_blob blob;
    struct message_ping ping;
    struct message_policy policy;
    struct message_new_key new_key;
    struct message_new_psk new_psk;
    struct message_deposited deposited;
    struct message_text text;
    struct message_schema schema;
    struct message_renew renew;
    struct message_snapshot snapshot;
};

enum message_kind {
    KIND_RESUME,
    KIND_ENROL,
    KIND_WELCOME,
    KIND_ENROLLED,
    KIND_SUBSCRIBED,
    KIND_ROWS,
    KIND_GONE,
    KIND_IDS,
    KIND_PUBLISH,
    KIND_VERDICT,
    KIND_PUSH,
    KIND_PUBLISHED,
    KIND_DIGEST,
    KIND_DIFFERS,
    KIND_REPAIR,
    KIND_BLOB,
    KIND_PING,
    KIND_TEXT,
    KIND_SCHEMA,
    KIND_RENEW,
    KIND_POLICY,
    KIND_NEW_KEY,
    KIND_NEW_PSK,
    KIND_DEPOSITED,
    KIND_SNAPSHOT,
    KIND_COUNT,
};

static inline enum result kit_encode(enum message_kind kind, const struct catalog *catalog,
                                     const union any_message *any, struct buffer *body,
                                     struct problem *problem)
{
    switch (kind) {
    case KIND_RESUME:
        return message_resume_encode(&any->resume, body, problem);
    case KIND_ENROL:
        return message_enrol_encode(&any->enrol, body, problem);
    case KIND_WELCOME:
        return message_welcome_encode(&any->welcome, body, problem);
    case KIND_ENROLLED:
        return message_enrolled_encode(&any->enrolled, body, problem);
    case KIND_SUBSCRIBED:
        return message_subscribed_encode(&any->subscribed, body, problem);
    case KIND_ROWS:
        return message_rows_encode(catalog, &any->rows, body, problem);
    case KIND_GONE:
        return message_gone_encode(&any->gone, body, problem);
    case KIND_IDS:
        return message_ids_encode(&any->ids, body, problem);
    case KIND_PUBLISH:
        return message_publish_encode(&any->publish, body, problem);
    case KIND_VERDICT:
        return message_verdict_encode(catalog, &any->verdict, body, problem);
    case KIND_PUSH:
        return message_push_encode(catalog, &any->push, body, problem);
    case KIND_SCHEMA:
        return message_schema_encode(&any->schema, body, problem);
    case KIND_PUBLISHED:
        return message_published_encode(&any->published, body, problem);
    case KIND_DIGEST:
        return message_digest_encode(&any->digest, body, problem);
    case KIND_DIFFERS:
        return message_digest_differs_encode(&any->differs, body, problem);
    case KIND_REPAIR:
        return message_repair_encode(&any->repair, body, problem);
    case KIND_BLOB:
        return message_blob_encode(&any->blob, body, problem);
    case KIND_PING:
        return message_ping_encode(&any->ping, body, problem);
    case KIND_TEXT:
        return message_text_encode(&any->text, body, problem);
    case KIND_RENEW:
        return message_renew_encode(&any->renew, body, problem);
    case KIND_POLICY:
        return message_policy_encode(&any->policy, body, problem);
    case KIND_NEW_KEY:
        return message_new_key_encode(&any->new_key, body, problem);
    case KIND_NEW_PSK:
        return message_new_psk_encode(&any->new_psk, body, problem);
    case KIND_DEPOSITED:
        return message_deposited_encode(&any->deposited, body, problem);
    case KIND_SNAPSHOT:
        return message_snapshot_encode(catalog, &any->snapshot, body, problem);
    case KIND_COUNT:
        break;
    }
    return RESULT_REFUSED;
}

static inline enum result kit_decode(enum message_kind kind, const struct catalog *catalog,
                                     struct bytes body, struct arena *arena, union any_message *any,
                                     struct problem *problem)
{
    switch (kind) {
    case KIND_RESUME:
        return message_resume_decode(body, arena, &any->resume, problem);
    case KIND_ENROL:
        return message_enrol_decode(body, arena, &any->enrol, problem);
    case KIND_WELCOME:
        return message_welcome_decode(body, arena, &any->welcome, problem);
    case KIND_ENROLLED:
        return message_enrolled_decode(body, arena, &any->enrolled, problem);
    case KIND_SUBSCRIBED:
        return message_subscribed_decode(body, arena, &any->subscribed, problem);
    case KIND_ROWS:
        return message_rows_decode(catalog, body, arena, &any->rows, problem);
    case KIND_GONE:
        return message_gone_decode(catalog, body, arena, &any->gone, problem);
    case KIND_IDS:
        return message_ids_decode(catalog, body, arena, &any->ids, problem);
    case KIND_PUBLISH:
        return message_publish_decode(body, arena, &any->publish, problem);
    case KIND_VERDICT:
        return message_verdict_decode(catalog, body, arena, &any->verdict, problem);
    case KIND_PUSH:
        return message_push_decode(catalog, body, arena, &any->push, problem);
    case KIND_SCHEMA:
        return message_schema_decode(body, arena, &any->schema, problem);
    case KIND_PUBLISHED:
        return message_published_decode(body, arena, &any->published, problem);
    case KIND_DIGEST:
        return message_digest_decode(body, arena, &any->digest, problem);
    case KIND_DIFFERS:
        return message_digest_differs_decode(body, arena, &any->differs, problem);
    case KIND_REPAIR:
        return message_repair_decode(body, arena, &any->repair, problem);
    case KIND_BLOB:
        return message_blob_decode(body, arena, &any->blob, problem);
    case KIND_PING:
        return message_ping_decode(body, arena, &any->ping, problem);
    case KIND_TEXT:
        return message_text_decode(body, arena, &any->text, problem);
    case KIND_RENEW:
        return message_renew_decode(body, arena, &any->renew, problem);
    case KIND_POLICY:
        return message_policy_decode(body, arena, &any->policy, problem);
    case KIND_NEW_KEY:
        return message_new_key_decode(body, arena, &any->new_key, problem);
    case KIND_NEW_PSK:
        return message_new_psk_decode(body, arena, &any->new_psk, problem);
    case KIND_DEPOSITED:
        return message_deposited_decode(body, arena, &any->deposited, problem);
    case KIND_SNAPSHOT:
        return message_snapshot_decode(catalog, body, arena, &any->snapshot, problem);
    case KIND_COUNT:
        break;
    }
    return RESULT_REFUSED;
}

/* --- words ------------------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static inline void say(struct buffer *out, const char *format,
                                                             ...)
{
    char text[256];
    struct problem problem = {0};
    va_list arguments;
    int size = 0;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text ||
        buffer_append(out, text, (size_t)size, &problem) != RESULT_OK)
        abort();
}

static inline void say_hex(struct buffer *out, const char *name, struct bytes bytes)
{
    say(out, "%s: x'", name);
    for (size_t i = 0; i < bytes.size; i++)
        say(out, "%02x", bytes.data[i]);
    say(out, "'\n");
}

static inline void say_text(struct buffer *out, const char *name, struct bytes text)
{
    struct problem problem = {0};

    say(out, "%s: \"", name);
    if (text.size > 0 && buffer_append(out, text.data, text.size, &problem) != RESULT_OK)
        abort();
    say(out, "\"\n");
}

static inline void say_number(struct buffer *out, const char *name, int64_t number)
{
    say(out, "%s: %" PRId64 "\n", name, number);
}

static inline void say_bool(struct buffer *out, const char *name, bool value)
{
    say(out, "%s: %s\n", name, value ? "true" : "false");
}

static inline void say_values(struct buffer *out, const struct catalog *catalog, uint16_t table_no,
                              uint64_t mask, const struct value *values)
{
    const struct catalog_table *table = catalog_table_by_no(catalog, table_no);
    char name[80];

    for (size_t i = 1; i < table->column_count; i++) {
        if ((mask >> i & 1) == 0)
            continue;
        (void)snprintf(name, sizeof name, "  %s", table->columns[i].name);
        switch (values[i].type) {
        case VALUE_NULL:
            say(out, "%s: NULL\n", name);
            break;
        case VALUE_INTEGER:
            say_number(out, name, values[i].integer);
            break;
        case VALUE_REAL:
            say(out, "%s: real %.17g\n", name, values[i].real);
            break;
        case VALUE_TEXT:
            say_text(out, name, values[i].bytes);
            break;
        case VALUE_BLOB:
            say_hex(out, name, values[i].bytes);
            break;
        }
    }
}

static inline void say_row(struct buffer *out, const struct catalog *catalog,
                           const struct row_image *row)
{
    say(out, "row: table %u id %" PRId64 " seq %" PRId64 " mask %" PRIx64 "\n", row->table_no,
        row->row_id, row->seq, row->mask);
    say_values(out, catalog, row->table_no, row->mask, row->values);
}

static inline void say_change(struct buffer *out, const struct catalog *catalog,
                              const struct change *change)
{
    static const char *const OPS[] = {"?", "insert", "update", "delete"};

    say(out,
        "change: lcn %" PRId64 " %s table %u id %" PRId64 " base_seq %" PRId64 " edited_at %" PRId64
        " mask %" PRIx64 "\n",
        change->lcn, OPS[change->op], change->table_no, change->row_id, change->base_seq,
        change->edited_at.us, change->mask);
    say_values(out, catalog, change->table_no, change->mask, change->values);
}

static inline void say_verdict(struct buffer *out, const struct catalog *catalog,
                               const struct verdict *verdict)
{
    static const char *const KINDS[] = {"applied", "merged",  "overruled",
                                        "parked",  "refused", "gone"};

    say(out, "verdict: lcn %" PRId64 " %s table %u id %" PRId64 " merged_into_id %" PRId64 "%s\n",
        verdict->lcn, KINDS[verdict->kind], verdict->table_no, verdict->row_id,
        verdict->merged_into_id, verdict->is_row_gone ? " row gone" : "");
    say_text(out, "  reason", verdict->reason);
    if (verdict->has_row)
        say_row(out, catalog, &verdict->row);
}

static inline void say_buckets(struct buffer *out, const char *name, const int64_t *buckets,
                               size_t count)
{
    for (size_t i = 0; i < count; i++)
        say_number(out, name, buckets[i]);
}

static inline void say_resume(struct buffer *out, const struct message_resume *m)
{
    say_hex(out, "resume_token", m->resume_token);
    say_hex(out, "epoch", m->epoch);
    say_number(out, "incarnation", m->incarnation);
    say_number(out, "published_seq", m->published_seq);
    say_number(out, "lcn_last", m->lcn_last);
    say_number(out, "schema_version", m->schema_version);
    say_number(out, "device_time", m->device_time.us);
    say_text(out, "app_version", m->app_version);
    say_number(out, "seal_no", m->seal_no);
    say_hex(out, "seal_digest", m->seal_digest);
    for (size_t i = 0; i < m->cursor_count; i++)
        say(out,
            "cursor: bucket %" PRId64 " seq %" PRId64 " page_table_no %" PRId64 " page_seq %" PRId64
            " page_to %" PRId64 "\n",
            m->cursors[i].bucket, m->cursors[i].seq, m->cursors[i].page_table_no,
            m->cursors[i].page_seq, m->cursors[i].page_to);
    say_hex(out, "subscribed_digest", bytes_of(m->subscribed_digest, m->subscribed_digest_size));
}

static inline void say_enrol(struct buffer *out, const struct message_enrol *m)
{
    say_hex(out, "sign_public_key", m->sign_public_key);
    say_text(out, "device_name", m->device_name);
    say_text(out, "app_version", m->app_version);
    say_number(out, "schema_version", m->schema_version);
    say_number(out, "device_time", m->device_time.us);
    say_number(out, "first_no", m->first_no);
}

static inline void say_welcome(struct buffer *out, const struct message_welcome *m)
{
    say_hex(out, "session_id", m->session_id);
    say_hex(out, "epoch", m->epoch);
    say_number(out, "replica_no", m->replica_no);
    say_number(out, "incarnation", m->incarnation);
    say_number(out, "lcn_high", m->lcn_high);
    say_number(out, "seal_high", m->seal_high);
    say_number(out, "backup_lcn", m->backup_lcn);
    say_number(out, "head", m->head);
    say_number(out, "schema_version", m->schema_version);
    say_number(out, "user_id", m->user_id);
    say_text(out, "user_login", m->user_login);
    say_hex(out, "resume_token", m->resume_token);
    say_hex(out, "digest_key", m->digest_key);
    say_number(out, "server_time", m->server_time.us);
}

static inline void say_enrolled(struct buffer *out, const struct message_enrolled *m)
{
    say_number(out, "replica_no", m->replica_no);
    say_number(out, "device_id", m->device_id);
    say_number(out, "incarnation", m->incarnation);
    say_number(out, "user_id", m->user_id);
    say_text(out, "user_login", m->user_login);
    say_text(out, "user_name", m->user_name);
    say_text(out, "series", m->series);
    say_number(out, "van_id", m->van_id);
    say_hex(out, "psk", m->psk);
    say_hex(out, "resume_token", m->resume_token);
    say_hex(out, "epoch", m->epoch);
    say_hex(out, "digest_key", m->digest_key);
    say_number(out, "schema_version", m->schema_version);
}

static inline void say_rows(struct buffer *out, const struct catalog *catalog,
                            const struct message_rows *m)
{
    say_number(out, "bucket", m->bucket);
    say_number(out, "seq_after", m->seq_after);
    say_number(out, "seq_to", m->seq_to);
    say_bool(out, "is_complete", m->is_complete);
    say_bool(out, "is_repair", m->is_repair);
    say_number(out, "page_table_no", m->page_table_no);
    say_number(out, "page_seq", m->page_seq);
    say_hex(out, "parts", bytes_of(m->parts, m->part_count));
    for (size_t i = 0; i < m->row_count; i++)
        say_row(out, catalog, &m->rows[i]);
}

static inline void say_snapshot(struct buffer *out, const struct catalog *catalog,
                                const struct message_snapshot *m)
{
    for (size_t i = 0; i < m->part_count; i++) {
        const struct message_rows *part = &m->parts[i];

        say_number(out, "bucket", part->bucket);
        say_number(out, "seq_to", part->seq_to);
        say_bool(out, "is_complete", part->is_complete);
        say_number(out, "page_table_no", part->page_table_no);
        say_number(out, "page_seq", part->page_seq);
        for (size_t r = 0; r < part->row_count; r++)
            say_row(out, catalog, &part->rows[r]);
    }
}

static inline void say_gone(struct buffer *out, const struct message_gone *m)
{
    say_number(out, "bucket", m->bucket);
    say_number(out, "seq_after", m->seq_after);
    say_number(out, "seq_to", m->seq_to);
    for (size_t i = 0; i < m->count; i++)
        say(out, "gone: table %u id %" PRId64 " seq %" PRId64 " %s\n", m->rows[i].table_no,
            m->rows[i].row_id, m->rows[i].seq,
            m->rows[i].kind == GONE_DELETED ? "deleted" : "left");
}

static inline void say_ids(struct buffer *out, const struct message_ids *m)
{
    say_number(out, "bucket", m->bucket);
    say_number(out, "seq_to", m->seq_to);
    say_number(out, "table_no", m->table_no);
    say_number(out, "id_after", m->id_after);
    say_number(out, "id_to", m->id_to);
    for (size_t i = 0; i < m->count; i++)
        say_number(out, "id", m->ids[i]);
}

static inline void say_push(struct buffer *out, const struct catalog *catalog,
                            const struct message_push *m)
{
    say_number(out, "incarnation", m->incarnation);
    say_number(out, "seal_no", m->seal_no);
    say_number(out, "part_no", m->part_no);
    say_bool(out, "is_last_part", m->is_last_part);
    say_number(out, "lcn_first", m->lcn_first);
    say_number(out, "lcn_last", m->lcn_last);
    say_number(out, "schema_version", m->schema_version);
    say_number(out, "sealed_at", m->sealed_at.us);
    say_hex(out, "previous_digest", m->previous_digest);
    say_hex(out, "digest", m->digest);
    for (size_t i = 0; i < m->change_count; i++)
        say_change(out, catalog, &m->changes[i]);
}

static inline void say_verdicts(struct buffer *out, const struct catalog *catalog,
                                const struct message_verdict *m)
{
    say_number(out, "seal_no", m->seal_no);
    say_number(out, "lcn_high", m->lcn_high);
    say_number(out, "commit_seq", m->commit_seq);
    if (m->part_no > 0 || m->has_more) {
        say_number(out, "part_no", m->part_no);
        say_number(out, "has_more", m->has_more);
    }
    for (size_t i = 0; i < m->exception_count; i++)
        say_verdict(out, catalog, &m->exceptions[i]);
}

static inline void say_security(struct buffer *out, enum message_kind kind,
                                const union any_message *any)
{
    if (kind == KIND_POLICY) {
        say_number(out, "lease_s", any->policy.lease_s);
        say_bool(out, "is_rotation_asked", any->policy.is_rotation_asked);
    } else if (kind == KIND_NEW_KEY) {
        say_hex(out, "public_key", any->new_key.public_key);
    } else if (kind == KIND_NEW_PSK) {
        say_hex(out, "public_key", any->new_psk.public_key);
        say_hex(out, "psk", any->new_psk.psk);
    } else {
        say_number(out, "seal_no", any->deposited.seal_no);
        say_hex(out, "digest", any->deposited.digest);
    }
}

/* long because it has a case for each message */
static inline void say_schema(struct buffer *out, const struct message_schema *m)
{
    say_number(out, "schema_version", m->schema_version);
    say_bool(out, "is_last", m->is_last);
    for (size_t i = 0; i < m->script_count; i++) {
        say_text(out, "script", m->scripts[i].name);
        say_text(out, "  text", m->scripts[i].text);
    }
}

static inline void say_renew(struct buffer *out, const struct message_renew *m)
{
    say_hex(out, "token_id", m->token_id);
    say_hex(out, "token_secret", m->token_secret);
    say_text(out, "reason", m->reason);
}

/* long because it has a case for each message */
static inline void kit_say(enum message_kind kind, const struct catalog *catalog,
                           const union any_message *any, struct buffer *out)
{
    switch (kind) {
    case KIND_RESUME:
        say_resume(out, &any->resume);
        break;
    case KIND_ENROL:
        say_enrol(out, &any->enrol);
        break;
    case KIND_WELCOME:
        say_welcome(out, &any->welcome);
        break;
    case KIND_ENROLLED:
        say_enrolled(out, &any->enrolled);
        break;
    case KIND_RENEW:
        say_renew(out, &any->renew);
        break;
    case KIND_SUBSCRIBED:
        say_number(out, "stamp_seq", any->subscribed.stamp_seq);
        say_bool(out, "is_whole", any->subscribed.is_whole);
        say_buckets(out, "added", any->subscribed.added, any->subscribed.added_count);
        say_buckets(out, "removed", any->subscribed.removed, any->subscribed.removed_count);
        break;
    case KIND_ROWS:
        say_rows(out, catalog, &any->rows);
        break;
    case KIND_GONE:
        say_gone(out, &any->gone);
        break;
    case KIND_IDS:
        say_ids(out, &any->ids);
        break;
    case KIND_PUBLISH:
        say_number(out, "head", any->publish.head);
        break;
    case KIND_VERDICT:
        say_verdicts(out, catalog, &any->verdict);
        break;
    case KIND_PUSH:
        say_push(out, catalog, &any->push);
        break;
    case KIND_SCHEMA:
        say_schema(out, &any->schema);
        break;
    case KIND_PUBLISHED:
        say_number(out, "seq", any->published.seq);
        break;
    case KIND_DIGEST:
        say_number(out, "head", any->digest.head);
        for (size_t i = 0; i < any->digest.count; i++) {
            say_number(out, "bucket", any->digest.digests[i].bucket);
            say_hex(out, "  digest", bytes_of(any->digest.digests[i].digest, ROW_DIGEST_SIZE));
        }
        break;
    case KIND_DIFFERS:
        say_number(out, "head", any->differs.head);
        for (size_t i = 0; i < any->differs.count; i++) {
            say_number(out, "bucket", any->differs.buckets[i].bucket);
            for (size_t part = 0; part < REPAIR_PARTS; part++)
                say_hex(out, "  part",
                        bytes_of(any->differs.buckets[i].parts + part * ROW_DIGEST_SIZE,
                                 ROW_DIGEST_SIZE));
        }
        break;
    case KIND_REPAIR:
        say_number(out, "bucket", any->repair.bucket);
        say_hex(out, "parts", bytes_of(any->repair.parts, any->repair.part_count));
        break;
    case KIND_BLOB:
        say_hex(out, "hash", any->blob.hash);
        say_number(out, "offset", any->blob.offset);
        say_number(out, "size", any->blob.size);
        say_hex(out, "data", any->blob.data);
        break;
    case KIND_PING:
        say_number(out, "nonce", any->ping.nonce);
        break;
    case KIND_TEXT:
        say_bool(out, "wipe", any->text.wipe);
        say_number(out, "retry_after_ms", any->text.retry_after_ms);
        say_text(out, "code", any->text.code);
        say_text(out, "text", any->text.text);
        break;
    case KIND_POLICY:
    case KIND_NEW_KEY:
    case KIND_NEW_PSK:
    case KIND_DEPOSITED:
        say_security(out, kind, any);
        break;
    case KIND_SNAPSHOT:
        say_snapshot(out, catalog, &any->snapshot);
        break;
    case KIND_COUNT:
        break;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/messages.h"

#include "protocol/fields.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define TABLE_OF(name, fields)                                                                     \
    {                                                                                              \
        name, COUNT_OF(fields), fields                                                             \
    }

static const struct {
    int type;
    const char *name;
} NAMES[] = {
    {MESSAGE_WELCOME, "WELCOME"},
    {MESSAGE_ENROLLED, "ENROLLED"},
    {MESSAGE_SUBSCRIBED, "SUBSCRIBED"},
    {MESSAGE_ROWS, "ROWS"},
    {MESSAGE_GONE, "GONE"},
    {MESSAGE_PUBLISH, "PUBLISH"},
    {MESSAGE_VERDICT, "VERDICT"},
    {MESSAGE_DIGEST_DIFFERS, "DIGEST_DIFFERS"},
    {MESSAGE_NOTICE, "NOTICE"},
    {MESSAGE_REVOKED, "REVOKED"},
    {MESSAGE_SCHEMA, "SCHEMA"},
    {MESSAGE_IDS, "IDS"},
    {MESSAGE_RENEW, "RENEW"},
    {MESSAGE_DEPOSITED, "DEPOSITED"},
    {MESSAGE_POLICY, "POLICY"},
    {MESSAGE_NEW_PSK, "NEW_PSK"},
    {MESSAGE_SNAPSHOT, "SNAPSHOT"},
    {MESSAGE_PUSH, "PUSH"},
    {MESSAGE_PUBLISHED, "PUBLISHED"},
    {MESSAGE_DIGEST, "DIGEST"},
    {MESSAGE_REPAIR, "REPAIR"},
    {MESSAGE_NEW_KEY, "NEW_KEY"},
    {MESSAGE_PING, "PING"},
    {MESSAGE_PONG, "PONG"},
    {MESSAGE_BLOB_HAVE, "BLOB_HAVE"},
    {MESSAGE_BLOB_WANT, "BLOB_WANT"},
    {MESSAGE_BLOB_PART, "BLOB_PART"},
    {MESSAGE_ERROR, "ERROR"},
    {MESSAGE_BYE, "BYE"},
};

const char *message_name(int type)
{
    for (size_t i = 0; i < COUNT_OF(NAMES); i++)
        if (NAMES[i].type == type)
            return NAMES[i].name;
    return "?";
}

/* --- enrolment and welcome -------------------------------------------------------------------- */

#define IN(member) offsetof(struct message_enrol, member)
static const struct field ENROL_FIELDS[] = {
    {"sign_public_key", FIELD_BLOB, IN(sign_public_key), PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE},
    {"device_name", FIELD_TEXT, IN(device_name), 0, LIMIT_NAME_SIZE_MAX},
    {"app_version", FIELD_TEXT, IN(app_version), 0, LIMIT_NAME_SIZE_MAX},
    {"schema_version", FIELD_INTEGER, IN(schema_version), 0, INT64_MAX},
    {"device_time", FIELD_INTEGER, IN(device_time.us), INT64_MIN, INT64_MAX},
    {"first_no", FIELD_INTEGER, IN(first_no), 0, ID_REPLICA_MAX},
};
static const struct field_table ENROL = TABLE_OF("ENROL", ENROL_FIELDS);
#undef IN

enum result message_enrol_encode(const struct message_enrol *message, struct buffer *body,
                                 struct problem *problem)
{
    return fields_encode(&ENROL, message, body, problem);
}

enum result message_enrol_decode(struct bytes body, struct arena *arena,
                                 struct message_enrol *ret_message, struct problem *problem)
{
    struct message_enrol message = {0};

    (void)arena;
    if (fields_decode(&ENROL, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

#define IN(member) offsetof(struct message_enrolled, member)
static const struct field ENROLLED_FIELDS[] = {
    {"replica_no", FIELD_INTEGER, IN(replica_no), 1, ID_REPLICA_MAX},
    {"device_id", FIELD_INTEGER, IN(device_id), 1, ID_MAX},
    {"incarnation", FIELD_INTEGER, IN(incarnation), 0, INT64_MAX},
    {"user_id", FIELD_INTEGER, IN(user_id), 1, ID_MAX},
    {"user_login", FIELD_TEXT, IN(user_login), 0, LIMIT_NAME_SIZE_MAX},
    {"user_name", FIELD_TEXT, IN(user_name), 0, LIMIT_NAME_SIZE_MAX},
    {"series", FIELD_TEXT, IN(series), 0, LIMIT_NAME_SIZE_MAX},
    {"van_id", FIELD_INTEGER, IN(van_id), 0, ID_MAX},
    {"psk", FIELD_BLOB, IN(psk), PSK_SIZE, PSK_SIZE},
    {"resume_token", FIELD_BLOB, IN(resume_token), TOKEN_SIZE, TOKEN_SIZE},
    {"epoch", FIELD_BLOB, IN(epoch), EPOCH_SIZE, EPOCH_SIZE},
    {"digest_key", FIELD_BLOB, IN(digest_key), DIGEST_KEY_SIZE, DIGEST_KEY_SIZE},
    {"schema_version", FIELD_INTEGER, IN(schema_version), 0, INT64_MAX},
};
static const struct field_table ENROLLED = TABLE_OF("ENROLLED", ENROLLED_FIELDS);
#undef IN

enum result message_enrolled_encode(const struct message_enrolled *message, struct buffer *body,
                                    struct problem *problem)
{
    return fields_encode(&ENROLLED, message, body, problem);
}

enum result message_enrolled_decode(struct bytes body, struct arena *arena,
                                    struct message_enrolled *ret_message, struct problem *problem)
{
    struct message_enrolled message = {0};

    (void)arena;
    if (fields_decode(&ENROLLED, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

#define IN(member) offsetof(struct message_renew, member)
static const struct field RENEW_FIELDS[] = {
    {"token_id", FIELD_BLOB, IN(token_id), RENEW_TOKEN_ID_SIZE, RENEW_TOKEN_ID_SIZE},
    {"token_secret", FIELD_BLOB, IN(token_secret), PSK_SIZE, PSK_SIZE},
    {"reason", FIELD_TEXT, IN(reason), 0, LIMIT_REASON_SIZE_MAX},
};
static const struct field_table RENEW = TABLE_OF("RENEW", RENEW_FIELDS);
#undef IN

enum result message_renew_encode(const struct message_renew *message, struct buffer *body,
                                 struct problem *problem)
{
    return fields_encode(&RENEW, message, body, problem);
}

enum result message_renew_decode(struct bytes body, struct arena *arena,
                                 struct message_renew *ret_message, struct problem *problem)
{
    struct message_renew message = {0};

    (void)arena;
    if (fields_decode(&RENEW, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

#define IN(member) offsetof(struct message_welcome, member)
static const struct field WELCOME_FIELDS[] = {
    {"session_id", FIELD_BLOB, IN(session_id), SESSION_ID_SIZE, SESSION_ID_SIZE},
    {"epoch", FIELD_BLOB, IN(epoch), EPOCH_SIZE, EPOCH_SIZE},
    {"replica_no", FIELD_INTEGER, IN(replica_no), 1, ID_REPLICA_MAX},
    {"incarnation", FIELD_INTEGER, IN(incarnation), 0, INT64_MAX},
    {"lcn_high", FIELD_INTEGER, IN(lcn_high), 0, INT64_MAX},
    {"seal_high", FIELD_INTEGER, IN(seal_high), 0, INT64_MAX},
    {"backup_lcn", FIELD_INTEGER, IN(backup_lcn), 0, INT64_MAX},
    {"head", FIELD_INTEGER, IN(head), 0, INT64_MAX},
    {"schema_version", FIELD_INTEGER, IN(schema_version), 0, INT64_MAX},
    {"user_id", FIELD_INTEGER, IN(user_id), 1, ID_MAX},
    {"user_login", FIELD_TEXT, IN(user_login), 0, LIMIT_NAME_SIZE_MAX},
    {"resume_token", FIELD_BLOB, IN(resume_token), TOKEN_SIZE, TOKEN_SIZE},
    {"digest_key", FIELD_BLOB, IN(digest_key), DIGEST_KEY_SIZE, DIGEST_KEY_SIZE},
    {"server_time", FIELD_INTEGER, IN(server_time.us), INT64_MIN, INT64_MAX},
};
static const struct field_table WELCOME = TABLE_OF("WELCOME", WELCOME_FIELDS);
#undef IN

enum result message_welcome_encode(const struct message_welcome *message, struct buffer *body,
                                   struct problem *problem)
{
    return fields_encode(&WELCOME, message, body, problem);
}

enum result message_welcome_decode(struct bytes body, struct arena *arena,
                                   struct message_welcome *ret_message, struct problem *problem)
{
    struct message_welcome message = {0};

    (void)arena;
    if (fields_decode(&WELCOME, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

/* --- publish, published, ping ----------------------------------------------------------------- */

static const struct field PUBLISH_FIELDS[] = {
    {"head", FIELD_INTEGER, offsetof(struct message_publish, head), 0, INT64_MAX},
};
static const struct field_table PUBLISH = TABLE_OF("PUBLISH", PUBLISH_FIELDS);

enum result message_publish_encode(const struct message_publish *message, struct buffer *body,
                                   struct problem *problem)
{
    return fields_encode(&PUBLISH, message, body, problem);
}

enum result message_publish_decode(struct bytes body, struct arena *arena,
                                   struct message_publish *ret_message, struct problem *problem)
{
    struct message_publish message = {0};

    (void)arena;
    if (fields_decode(&PUBLISH, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

static const struct field PUBLISHED_FIELDS[] = {
    {"seq", FIELD_INTEGER, offsetof(struct message_published, seq), 0, INT64_MAX},
};
static const struct field_table PUBLISHED = TABLE_OF("PUBLISHED", PUBLISHED_FIELDS);

enum result message_published_encode(const struct message_published *message, struct buffer *body,
                                     struct problem *problem)
{
    return fields_encode(&PUBLISHED, message, body, problem);
}

enum result message_published_decode(struct bytes body, struct arena *arena,
                                     struct message_published *ret_message, struct problem *problem)
{
    struct message_published message = {0};

    (void)arena;
    if (fields_decode(&PUBLISHED, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

static const struct field PING_FIELDS[] = {
    {"nonce", FIELD_INTEGER, offsetof(struct message_ping, nonce), INT64_MIN, INT64_MAX},
};
static const struct field_table PING = TABLE_OF("PING", PING_FIELDS);

enum result message_ping_encode(const struct message_ping *message, struct buffer *body,
                                struct problem *problem)
{
    return fields_encode(&PING, message, body, problem);
}

enum result message_ping_decode(struct bytes body, struct arena *arena,
                                struct message_ping *ret_message, struct problem *problem)
{
    struct message_ping message = {0};

    (void)arena;
    if (fields_decode(&PING, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

/* --- words for people ------------------------------------------------------------------------- */

#define IN(member) offsetof(struct message_text, member)
static const struct field TEXT_FIELDS[] = {
    {"wipe", FIELD_BOOL, IN(wipe), 0, 1},
    {"retry_after_ms", FIELD_INTEGER, IN(retry_after_ms), 0, LIMIT_RETRY_AFTER_MS_MAX},
    {"code", FIELD_TEXT, IN(code), 0, LIMIT_NAME_SIZE_MAX},
    {"text", FIELD_TEXT, IN(text), 0, LIMIT_REASON_SIZE_MAX},
};
static const struct field_table TEXT = TABLE_OF("TEXT", TEXT_FIELDS);
#undef IN

enum result message_text_encode(const struct message_text *message, struct buffer *body,
                                struct problem *problem)
{
    return fields_encode(&TEXT, message, body, problem);
}

enum result message_text_decode(struct bytes body, struct arena *arena,
                                struct message_text *ret_message, struct problem *problem)
{
    struct message_text message = {0};

    (void)arena;
    if (fields_decode(&TEXT, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    *ret_message = message;
    return RESULT_OK;
}

/* --- blobs ------------------------------------------------------------------------------------ */

#define IN(member) offsetof(struct message_blob, member)
static const struct field BLOB_FIELDS[] = {
    {"hash", FIELD_BLOB, IN(hash), BLOB_HASH_SIZE, BLOB_HASH_SIZE},
    {"offset", FIELD_INTEGER, IN(offset), 0, INT64_MAX},
    {"size", FIELD_INTEGER, IN(size), 0, INT64_MAX},
    {"data", FIELD_BLOB, IN(data), 0, LIMIT_BLOB_PART_SIZE},
};
static const struct field_table BLOB = TABLE_OF("BLOB", BLOB_FIELDS);
#undef IN

/* Data lies inside the content that it is a part of. */
static bool blob_is_inside(const struct message_blob *message)
{
    return message->data.size == 0 ||
           (message->offset <= message->size &&
            message->data.size <= (uint64_t)(message->size - message->offset));
}

enum result message_blob_encode(const struct message_blob *message, struct buffer *body,
                                struct problem *problem)
{
    if (!blob_is_inside(message))
        return problem_set(problem, RESULT_REFUSED, "BLOB: data reaches past the content's end");
    return fields_encode(&BLOB, message, body, problem);
}

enum result message_blob_decode(struct bytes body, struct arena *arena,
                                struct message_blob *ret_message, struct problem *problem)
{
    struct message_blob message = {0};

    (void)arena;
    if (fields_decode(&BLOB, body, &message, problem) != RESULT_OK)
        return RESULT_MALFORMED;
    if (!blob_is_inside(&message))
        return problem_set(problem, RESULT_MALFORMED, "BLOB: data reaches past the content's end");
    *ret_message = message;
    return RESULT_OK;
}

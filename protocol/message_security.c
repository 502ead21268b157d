/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about keys, leases and the work that a revoked device leaves behind. */
#include "protocol/fields.h"
#include "protocol/messages.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* All four have nothing but plain fields, so both directions follow from a table. */
#define PLAIN_MESSAGE(message_name, TITLE, FIELDS)                                                 \
    static const struct field_table message_name##_table = {TITLE, COUNT_OF(FIELDS), FIELDS};      \
    enum result message_##message_name##_encode(const struct message_##message_name *message,      \
                                                struct buffer *body, struct problem *problem)      \
    {                                                                                              \
        return fields_encode(&message_name##_table, message, body, problem);                       \
    }                                                                                              \
    enum result message_##message_name##_decode(struct bytes body, struct arena *arena,            \
                                                struct message_##message_name *ret_message,        \
                                                struct problem *problem)                           \
    {                                                                                              \
        struct message_##message_name message = {0};                                               \
                                                                                                   \
        (void)arena;                                                                               \
        if (fields_decode(&message_name##_table, body, &message, problem) != RESULT_OK)            \
            return RESULT_MALFORMED;                                                               \
        *ret_message = message;                                                                    \
        return RESULT_OK;                                                                          \
    }

#define IN(member) offsetof(struct message_policy, member)
static const struct field POLICY_FIELDS[] = {
    {"lease_s", FIELD_INTEGER, IN(lease_s), 0, INT64_C(10) * 366 * 86400},
    {"is_rotation_asked", FIELD_BOOL, IN(is_rotation_asked), 0, 0},
};
#undef IN
PLAIN_MESSAGE(policy, "POLICY", POLICY_FIELDS)

#define IN(member) offsetof(struct message_new_key, member)
static const struct field NEW_KEY_FIELDS[] = {
    {"public_key", FIELD_BLOB, IN(public_key), PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE},
};
#undef IN
PLAIN_MESSAGE(new_key, "NEW_KEY", NEW_KEY_FIELDS)

#define IN(member) offsetof(struct message_new_psk, member)
static const struct field NEW_PSK_FIELDS[] = {
    {"public_key", FIELD_BLOB, IN(public_key), PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE},
    {"psk", FIELD_BLOB, IN(psk), PSK_SIZE, PSK_SIZE},
};
#undef IN
PLAIN_MESSAGE(new_psk, "NEW_PSK", NEW_PSK_FIELDS)

#define IN(member) offsetof(struct message_deposited, member)
static const struct field DEPOSITED_FIELDS[] = {
    {"seal_no", FIELD_INTEGER, IN(seal_no), 1, INT64_MAX},
    {"digest", FIELD_BLOB, IN(digest), SEAL_DIGEST_SIZE, SEAL_DIGEST_SIZE},
};
#undef IN
PLAIN_MESSAGE(deposited, "DEPOSITED", DEPOSITED_FIELDS)

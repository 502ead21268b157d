/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/devices_confirm.h"

#include "protocol/identity.h"
#include "server/core/audit.h"

#include <inttypes.h>
#include <string.h>

enum { TOKEN_ID_SIZE = 16 };

enum replica_state replica_state_of(struct bytes state, bool is_confirmed)
{
    if (bytes_equal(state, bytes_of_text("active")))
        return is_confirmed ? REPLICA_ACTIVE : REPLICA_PENDING;
    return bytes_equal(state, bytes_of_text("held")) ? REPLICA_HELD : REPLICA_REVOKED;
}

const char *replica_state_name(enum replica_state state)
{
    switch (state) {
    case REPLICA_ACTIVE:
        return "active";
    case REPLICA_HELD:
        return "held";
    case REPLICA_PENDING:
        return "not confirmed yet";
    case REPLICA_RENEWED:
        return "to become another one";
    case REPLICA_REVOKED:
        break;
    }
    return "revoked";
}

enum result devices_ask_confirmation(struct work *work, const uint8_t *token_id,
                                     struct problem *problem)
{
    const struct value parameter = value_blob(bytes_of(token_id, TOKEN_ID_SIZE));

    return work_execute(work, "UPDATE fs_enrolment SET is_confirmed=0 WHERE token_id=?1",
                        &parameter, 1, problem);
}

/* ---- confirming ---- */

/* The next hexadecimal digit of a text, as a small letter; 0: there is none, '?': something else.
 */
static char next_digit(const char **text)
{
    static const char DIGITS[] = "0123456789abcdef";

    while (**text == ' ' || **text == '-')
        (*text)++;
    if (**text == '\0')
        return 0;
    for (size_t i = 0; i < sizeof DIGITS - 1; i++) {
        char digit = DIGITS[i];
        char capital = digit >= 'a' ? (char)(digit - 'a' + 'A') : digit;

        if (**text == digit || **text == capital) {
            (*text)++;
            return digit;
        }
    }
    return '?';
}

static bool is_same_fingerprint(const char *typed, const char *own)
{
    char a = 0;
    char b = 0;

    do {
        a = next_digit(&typed);
        b = next_digit(&own);
    } while (a == b && a != 0 && a != '?');
    return a == b && a == 0;
}

enum result devices_confirm(struct work *work, int64_t replica_no, const char *fingerprint,
                            bool *ret_is_same, struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    char own[IDENTITY_FINGERPRINT_SIZE];
    struct store_result found = {0};
    struct bytes key;
    int64_t user_id;
    enum result result = work_query(work,
                                    "SELECT static_public_key, user_id FROM fs_replica"
                                    " WHERE replica_no=?1 AND state='active' AND is_confirmed=0",
                                    &parameter, 1, &found, problem);

    *ret_is_same = false;
    key = store_bytes_at(&found, 0, 0);
    user_id = store_integer_at(&found, 0, 1, 0);
    if (result != RESULT_OK)
        return result;
    if (found.row_count == 0 || key.size != PUBLIC_KEY_SIZE)
        return problem_set(problem, RESULT_REFUSED,
                           "replica %" PRId64 " does not exist or does not wait for confirmation",
                           replica_no);
    identity_fingerprint(key.data, own);
    if (!is_same_fingerprint(fingerprint, own))
        return audit_note(work, "confirmation_mismatch", user_id, replica_no, NULL, problem);
    result = work_execute(work, "UPDATE fs_replica SET is_confirmed=1 WHERE replica_no=?1",
                          &parameter, 1, problem);
    if (result == RESULT_OK)
        result = audit_note(work, "confirmed", user_id, replica_no, NULL, problem);
    *ret_is_same = result == RESULT_OK;
    return result;
}

/* ---- unlocking ---- */

enum result devices_unlock(struct work *work, int64_t replica_no, const char *challenge,
                           char *ret_answer, struct problem *problem)
{
    const struct value parameter = value_integer(replica_no);
    struct store_result found = {0};
    struct bytes psk;
    enum result result = work_query(work,
                                    "SELECT psk, user_id FROM fs_replica"
                                    " WHERE replica_no=?1 AND state='active'",
                                    &parameter, 1, &found, problem);

    if (result != RESULT_OK)
        return result;
    psk = store_bytes_at(&found, 0, 0);
    if (psk.size != PSK_SIZE)
        return problem_set(problem, RESULT_REFUSED,
                           "replica %" PRId64 " does not exist or isn't active", replica_no);
    if (!unlock_answer(psk.data, replica_no, challenge, ret_answer))
        return problem_set(problem, RESULT_REFUSED, "a challenge has eight digits");
    return audit_note(work, "unlocked", store_integer_at(&found, 0, 1, 0), replica_no, NULL,
                      problem);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/web_session.h"

#include "server/service/audit.h"
#include "server/service/people.h"
#include "server/service/rows.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { DETAIL_SIZE = 160, SHOWN_SIZE = 4 /* bytes of a hash that name a session in the log */ };

/* ---- tokens ---- */

static void hash_token(const uint8_t token[WEB_TOKEN_SIZE], uint8_t ret_hash[WEB_TOKEN_SIZE])
{
    crypto_generichash(ret_hash, WEB_TOKEN_SIZE, token, WEB_TOKEN_SIZE, NULL, 0);
}

void web_csrf_token(const uint8_t token[WEB_TOKEN_SIZE], char ret_text[WEB_TOKEN_TEXT_SIZE])
{
    static const char TITLE[] = "fieldsync csrf 1";
    uint8_t hash[WEB_TOKEN_SIZE];

    crypto_generichash(hash, sizeof hash, (const uint8_t *)TITLE, sizeof TITLE - 1, token,
                       WEB_TOKEN_SIZE);
    bytes_to_hex(bytes_of(hash, sizeof hash), ret_text);
}

bool web_csrf_is(const uint8_t token[WEB_TOKEN_SIZE], const char *text)
{
    char right[WEB_TOKEN_TEXT_SIZE];

    web_csrf_token(token, right);
    return strlen(text) == sizeof right - 1 && sodium_memcmp(text, right, sizeof right - 1) == 0;
}

/* ---- reading ---- */

static enum result text_at(const struct store_result *rows, size_t row, size_t column,
                           struct arena *arena, const char **ret_text, struct problem *problem)
{
    struct bytes text = store_bytes_at(rows, row, column);

    *ret_text =
        arena_format(arena, "%.*s", (int)text.size, text.size == 0 ? "" : (const char *)text.data);
    return *ret_text != NULL ? RESULT_OK : arena_full(arena, problem);
}

enum result web_login_find(struct store *store, const char *login, struct arena *arena,
                           struct web_login *ret_login, struct problem *problem)
{
    const struct value parameter = value_text_of(login);
    struct store_result found = {0};
    enum result result =
        store_query(store,
                    "SELECT u.id, l.changed_at, l.password_hash FROM app_user u"
                    " JOIN fs_login l ON l.user_id = u.id WHERE u.login = ?1 AND u.is_active = 1",
                    &parameter, 1, arena, &found, problem);

    *ret_login = (struct web_login){0};
    if (result != RESULT_OK || found.row_count == 0)
        return result;
    ret_login->user_id = store_integer_at(&found, 0, 0, 0);
    ret_login->password_at = store_integer_at(&found, 0, 1, 0);
    return text_at(&found, 0, 2, arena, &ret_login->password_hash, problem);
}

static enum result read_roles(struct store *store, struct arena *arena, struct web_session *session,
                              struct problem *problem)
{
    const struct value parameter = value_integer(session->user_id);
    struct store_result found = {0};
    const char **roles = NULL;
    enum result result =
        store_query(store,
                    "SELECT DISTINCT CASE WHEN area = '' THEN role ELSE role || '@' || area END"
                    " FROM role_grant WHERE user_id = ?1 ORDER BY 1",
                    &parameter, 1, arena, &found, problem);

    if (result != RESULT_OK)
        return result;
    roles = arena_array(arena, found.row_count, sizeof *roles);
    if (roles == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++)
        result = text_at(&found, i, 0, arena, &roles[i], problem);
    session->roles = roles;
    session->role_count = found.row_count;
    return result;
}

enum result web_session_find(struct store *store, const uint8_t token[WEB_TOKEN_SIZE],
                             struct wall_time now, const struct web_limits *limits,
                             struct arena *arena, struct web_session *ret_session,
                             struct problem *problem)
{
    uint8_t hash[WEB_TOKEN_SIZE];
    struct web_session session = {0};
    struct store_result found = {0};
    enum result result;

    *ret_session = session;
    hash_token(token, hash);
    const struct value parameters[] = {value_blob(bytes_of(hash, sizeof hash)),
                                       value_integer(now.us - limits->idle_us),
                                       value_integer(now.us - limits->age_us)};

    result = store_query(store,
                         "SELECT u.id, l.changed_at, u.login, u.name, s.begun_at, s.seen_at"
                         " FROM fs_web_session s JOIN app_user u ON u.id = s.user_id"
                         " JOIN fs_login l ON l.user_id = u.id AND l.changed_at = s.password_at"
                         " WHERE s.token_hash = ?1 AND s.seen_at > ?2 AND s.begun_at > ?3"
                         " AND u.is_active = 1",
                         parameters, 3, arena, &found, problem);
    if (result != RESULT_OK || found.row_count == 0)
        return result;
    session.user_id = store_integer_at(&found, 0, 0, 0);
    session.password_at = store_integer_at(&found, 0, 1, 0);
    session.ends_at.us = store_integer_at(&found, 0, 4, 0) + limits->age_us;
    session.seen_at.us = store_integer_at(&found, 0, 5, 0);
    session.expires_at.us = now.us + limits->idle_us;
    if (session.expires_at.us > session.ends_at.us)
        session.expires_at = session.ends_at;
    result = text_at(&found, 0, 2, arena, &session.login, problem);
    if (result == RESULT_OK)
        result = text_at(&found, 0, 3, arena, &session.name, problem);
    if (result == RESULT_OK)
        result = read_roles(store, arena, &session, problem);
    if (result == RESULT_OK)
        *ret_session = session;
    return result;
}

/* ---- writing ---- */

/* "from 192.0.2.7, session 1a2b3c4d": enough to tell one from another, nothing to use it with. */
static enum result note(struct work *work, const char *event, int64_t user_id, const char *address,
                        const uint8_t hash[WEB_TOKEN_SIZE], struct problem *problem)
{
    char shown[2 * SHOWN_SIZE + 1];
    char detail[DETAIL_SIZE];

    bytes_to_hex(bytes_of(hash, SHOWN_SIZE), shown);
    (void)snprintf(detail, sizeof detail, "%s%.64s%ssession %s", address == NULL ? "" : "from ",
                   address == NULL ? "" : address, address == NULL ? "" : ", ", shown);
    return audit_add(work, event, user_id, 0, detail, problem);
}

static enum result remove_ended(struct work *work, int64_t user_id, const struct web_limits *limits,
                                struct problem *problem)
{
    const int64_t now_us = work_now(work).us;
    const struct value limit[] = {value_integer(now_us - limits->idle_us),
                                  value_integer(now_us - limits->age_us)};
    const struct value user[] = {value_integer(user_id), value_integer(WEB_SESSIONS_USER_MAX - 1)};
    enum result result =
        work_execute(work,
                     "DELETE FROM fs_web_session WHERE seen_at <= ?1 OR begun_at <= ?2"
                     " OR NOT EXISTS (SELECT 1 FROM fs_login l WHERE l.user_id ="
                     " fs_web_session.user_id AND l.changed_at = fs_web_session.password_at)",
                     limit, 2, problem);

    return result == RESULT_OK
               ? work_execute(work,
                              "DELETE FROM fs_web_session WHERE user_id = ?1 AND token_hash NOT IN"
                              " (SELECT token_hash FROM fs_web_session WHERE user_id = ?1"
                              " ORDER BY begun_at DESC, token_hash LIMIT ?2)",
                              user, 2, problem)
               : result;
}

/* RESULT_REFUSED: not any more. */
static enum result check_password_at(struct work *work, int64_t user_id, int64_t password_at,
                                     struct problem *problem)
{
    const struct value parameters[] = {value_integer(user_id), value_integer(password_at)};
    int64_t is_there = 0;
    enum result result =
        query_integer(work,
                      "SELECT 1 FROM app_user u JOIN fs_login l ON l.user_id = u.id"
                      " WHERE u.id = ?1 AND l.changed_at = ?2 AND u.is_active = 1",
                      parameters, 2, 0, &is_there, problem);

    if (result == RESULT_OK && is_there == 0)
        result = problem_set(problem, RESULT_REFUSED, "the password was changed meanwhile");
    return result;
}

enum result web_session_begin(struct work *work, const struct web_login *login,
                              const uint8_t token[WEB_TOKEN_SIZE], const struct web_limits *limits,
                              const char *address, struct problem *problem)
{
    uint8_t hash[WEB_TOKEN_SIZE];
    enum result result = check_password_at(work, login->user_id, login->password_at, problem);

    hash_token(token, hash);
    if (result == RESULT_OK)
        result = remove_ended(work, login->user_id, limits, problem);
    if (result != RESULT_OK)
        return result;
    const struct value parameters[] = {
        value_blob(bytes_of(hash, sizeof hash)), value_integer(login->user_id),
        value_integer(login->password_at), value_integer(work_now(work).us)};

    result = work_execute(work,
                          "INSERT INTO fs_web_session(token_hash, user_id, password_at, begun_at,"
                          " seen_at) VALUES(?1,?2,?3,?4,?4)",
                          parameters, 4, problem);
    return result == RESULT_OK ? note(work, "login", login->user_id, address, hash, problem)
                               : result;
}

enum result web_session_end(struct work *work, const uint8_t token[WEB_TOKEN_SIZE],
                            struct problem *problem)
{
    uint8_t hash[WEB_TOKEN_SIZE];
    int64_t user_id = 0;
    enum result result;

    hash_token(token, hash);
    const struct value key = value_blob(bytes_of(hash, sizeof hash));

    result = query_integer(work, "SELECT user_id FROM fs_web_session WHERE token_hash = ?1", &key,
                           1, 0, &user_id, problem);
    if (result != RESULT_OK || user_id == 0)
        return result;
    result =
        work_execute(work, "DELETE FROM fs_web_session WHERE token_hash = ?1", &key, 1, problem);
    return result == RESULT_OK ? note(work, "logout", user_id, NULL, hash, problem) : result;
}

enum result web_session_touch(struct work *work, const uint8_t token[WEB_TOKEN_SIZE],
                              struct problem *problem)
{
    uint8_t hash[WEB_TOKEN_SIZE];

    hash_token(token, hash);
    const struct value parameters[] = {value_blob(bytes_of(hash, sizeof hash)),
                                       value_integer(work_now(work).us)};

    return work_execute(work,
                        "UPDATE fs_web_session SET seen_at = ?2 WHERE token_hash = ?1"
                        " AND seen_at < ?2",
                        parameters, 2, problem);
}

enum result web_sessions_forget(struct store *store, struct problem *problem)
{
    return store_execute(store, "DELETE FROM fs_web_session", NULL, 0, 1, NULL, problem);
}

enum result web_session_change_password(struct work *work, const struct web_session *session,
                                        const uint8_t token[WEB_TOKEN_SIZE], const char *hash,
                                        struct problem *problem)
{
    uint8_t token_hash[WEB_TOKEN_SIZE];
    enum result result = check_password_at(work, session->user_id, session->password_at, problem);

    hash_token(token, token_hash);
    const struct value parameters[] = {value_blob(bytes_of(token_hash, sizeof token_hash)),
                                       value_integer(session->user_id)};

    if (result == RESULT_OK)
        result = people_set_password(work, session->user_id, hash, problem);
    if (result == RESULT_OK)
        result = work_execute(work,
                              "UPDATE fs_web_session SET password_at = (SELECT changed_at FROM"
                              " fs_login WHERE user_id = ?2) WHERE token_hash = ?1",
                              parameters, 2, problem);
    return result;
}

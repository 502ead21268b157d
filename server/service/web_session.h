/* SPDX-License-Identifier: Apache-2.0 */
/* web_session.h: who is signed in on the server's pages.
 *
 * The browser holds a token of 32 random bytes, the database only its hash. A session ends by
 * itself after a time without requests and after one in all, when the person signs out, is no
 * longer active or gets another password: each reading asks the database, so it doesn't matter
 * which program changed that. The CSRF token follows from the session's token and is stored
 * nowhere.
 *
 * Failures are those of store.h besides what is said here. */
#pragma once

#include "server/store/work.h"

enum {
    WEB_TOKEN_SIZE = 32,
    WEB_TOKEN_TEXT_SIZE = 2 * WEB_TOKEN_SIZE + 1, /* hexadecimal, with NUL */
    WEB_SESSIONS_USER_MAX = 10,                   /* of one person; the oldest ends */
};

struct web_limits {
    int64_t idle_us; /* since the last request */
    int64_t age_us;  /* since it began */
};

/* How somebody may prove who he is; user_id 0: nobody may with this login. */
struct web_login {
    int64_t user_id;
    int64_t password_at;
    const char *password_hash; /* NULL: nobody */
};

struct web_session {
    int64_t user_id; /* 0: there is none */
    int64_t password_at;
    const char *login;
    const char *name;
    const char *const *roles; /* "dispatcher", "technician@north" */
    size_t role_count;
    struct wall_time seen_at;
    struct wall_time expires_at; /* if nothing more is asked */
    struct wall_time ends_at;    /* whatever is asked */
};

/* ---- reading ---- */

MUST_CHECK enum result web_login_find(struct store *store, const char *login, struct arena *arena,
                                      struct web_login *ret_login, struct problem *problem);
/* Texts are in `arena`. No session, or one that has ended: user_id 0. */
MUST_CHECK enum result web_session_find(struct store *store, const uint8_t token[WEB_TOKEN_SIZE],
                                        struct wall_time now, const struct web_limits *limits,
                                        struct arena *arena, struct web_session *ret_session,
                                        struct problem *problem);
void web_csrf_token(const uint8_t token[WEB_TOKEN_SIZE], char ret_text[WEB_TOKEN_TEXT_SIZE]);
/* Is `text` the CSRF token of this session? Says nothing by its time. */
bool web_csrf_is(const uint8_t token[WEB_TOKEN_SIZE], const char *text);

/* ---- writing, each with its line in the audit log ---- */

/* RESULT_REFUSED: meanwhile the password was changed, or the person is not active any more. Removes
 * what has ended on the way. `address`: from where, for the log. */
MUST_CHECK enum result web_session_begin(struct work *work, const struct web_login *login,
                                         const uint8_t token[WEB_TOKEN_SIZE],
                                         const struct web_limits *limits, const char *address,
                                         struct problem *problem);
/* Does nothing if there is none. */
MUST_CHECK enum result web_session_end(struct work *work, const uint8_t token[WEB_TOKEN_SIZE],
                                       struct problem *problem);
/* It was used just now (no line in the log). */
MUST_CHECK enum result web_session_touch(struct work *work, const uint8_t token[WEB_TOKEN_SIZE],
                                         struct problem *problem);
/* Ends all, for a database that was put back. In a write transaction. */
MUST_CHECK enum result web_sessions_forget(struct store *store, struct problem *problem);
/* A new password for the session's person; all his other sessions end. RESULT_REFUSED: the password
 * isn't the one of `password_at` any more. */
MUST_CHECK enum result web_session_change_password(struct work *work,
                                                   const struct web_session *session,
                                                   const uint8_t token[WEB_TOKEN_SIZE],
                                                   const char *hash, struct problem *problem);

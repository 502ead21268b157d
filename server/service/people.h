/* SPDX-License-Identifier: Apache-2.0 */
/* people.h: who works here: logins, roles, passwords.
 *
 * Each function runs inside the caller's work. A password comes as its hash (Argon2id in
 * libsodium's text form); the clear text never gets here. */
#pragma once

#include "server/store/work.h"

struct person {
    const char *login; /* 1 to 64 characters of [a-z0-9._@-], unique */
    const char *name;  /* what others read */
    const char *grade; /* NULL: none */
};

/* RESULT_REFUSED: the login has another form, or somebody has it already. */
MUST_CHECK enum result people_add(struct work *work, const struct person *person,
                                  int64_t *ret_user_id, struct problem *problem);
/* RESULT_REFUSED: nobody has this login. */
MUST_CHECK enum result people_find(struct work *work, const char *login, int64_t *ret_user_id,
                                   struct problem *problem);
/* area "": everywhere. Does nothing if the person has the role there already. RESULT_REFUSED: no
 * such role. */
MUST_CHECK enum result people_grant(struct work *work, int64_t user_id, const char *role,
                                    const char *area, struct problem *problem);
/* One who isn't active receives nothing, may push nothing, and signs in nowhere. */
MUST_CHECK enum result people_set_active(struct work *work, int64_t user_id, bool is_active,
                                         struct problem *problem);
/* The person's web sessions end (web_session.h); a line in the audit log. */
MUST_CHECK enum result people_set_password(struct work *work, int64_t user_id, const char *hash,
                                           struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/people.h"

#include "server/service/audit.h"
#include "server/service/rows.h"

#include <string.h>

enum { LOGIN_SIZE_MAX = 64, NAME_SIZE_MAX = 200 };

static enum result check_login(const char *login, struct problem *problem)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz0123456789._@-";
    size_t size = strlen(login);

    if (size == 0 || size > LOGIN_SIZE_MAX || strspn(login, LETTERS) != size)
        return problem_set(problem, RESULT_REFUSED,
                           "a login has 1 to %d characters of a-z, 0-9, . _ @ -", LOGIN_SIZE_MAX);
    return RESULT_OK;
}

static enum result id_of_login(struct work *work, const char *login, int64_t *ret_user_id,
                               struct problem *problem)
{
    const struct value parameter = value_text_of(login);

    return query_integer(work, "SELECT id FROM app_user WHERE login=?1", &parameter, 1, 0,
                         ret_user_id, problem);
}

enum result people_add(struct work *work, const struct person *person, int64_t *ret_user_id,
                       struct problem *problem)
{
    const struct author author = rows_server(work);
    const struct work_field fields[] = {
        {"login", value_text_of(person->login)},
        {"name", value_text_of(person->name)},
        {"grade", value_text_of(person->grade)},
        {"is_active", value_integer(1)},
        {NULL, value_null()},
    };
    int64_t other = 0;
    enum result result = check_login(person->login, problem);

    if (result == RESULT_OK && (person->name[0] == '\0' || strlen(person->name) > NAME_SIZE_MAX))
        result = problem_set(problem, RESULT_REFUSED, "a name has 1 to %d bytes", NAME_SIZE_MAX);
    if (result == RESULT_OK)
        result = id_of_login(work, person->login, &other, problem);
    if (result == RESULT_OK && other != 0)
        result = problem_set(problem, RESULT_REFUSED, "somebody has the login '%s' already",
                             person->login);
    if (result == RESULT_OK)
        result = work_insert_fields(work, "app_user", fields, &author, ret_user_id, problem);
    return result;
}

enum result people_find(struct work *work, const char *login, int64_t *ret_user_id,
                        struct problem *problem)
{
    int64_t id = 0;
    enum result result = id_of_login(work, login, &id, problem);

    if (result == RESULT_OK && id == 0)
        result = problem_set(problem, RESULT_REFUSED, "nobody has the login '%s'", login);
    if (result == RESULT_OK)
        *ret_user_id = id;
    return result;
}

enum result people_grant(struct work *work, int64_t user_id, const char *role, const char *area,
                         struct problem *problem)
{
    const struct author author = rows_server(work);
    const struct work_field fields[] = {
        {"user_id", value_integer(user_id)},
        {"role", value_text_of(role)},
        {"area", value_text_of(area)},
        {NULL, value_null()},
    };
    const struct value key[] = {value_integer(user_id), value_text_of(role), value_text_of(area)};
    enum role known;
    int64_t id = 0;
    enum result result;

    if (!role_from_name(role, &known) || known == ROLE_SERVER || known == ROLE_CUSTOMER)
        return problem_set(problem, RESULT_REFUSED,
                           "no role '%s': technician, dispatcher, help_desk, manager, warehouse,"
                           " purchasing, billing, sales, admin",
                           role);
    result =
        query_integer(work, "SELECT id FROM role_grant WHERE user_id=?1 AND role=?2 AND area=?3",
                      key, 3, 0, &id, problem);
    if (result == RESULT_OK && id == 0)
        result = work_insert_fields(work, "role_grant", fields, &author, &id, problem);
    return result;
}

enum result people_set_active(struct work *work, int64_t user_id, bool is_active,
                              struct problem *problem)
{
    const struct author author = rows_server(work);
    const struct work_field fields[] = {
        {"is_active", value_integer(is_active ? 1 : 0)},
        {NULL, value_null()},
    };

    return work_update_fields(work, "app_user", user_id, fields, &author, problem);
}

enum result people_set_password(struct work *work, int64_t user_id, const char *hash,
                                struct problem *problem)
{
    const struct value parameters[] = {value_integer(user_id), value_text_of(hash),
                                       value_integer(work_now(work).us)};

    enum result result =
        work_execute(work,
                     "INSERT INTO fs_login(user_id, password_hash, changed_at) VALUES(?1,?2,?3)"
                     " ON CONFLICT(user_id) DO UPDATE SET password_hash=excluded.password_hash,"
                     " changed_at=max(excluded.changed_at, fs_login.changed_at + 1)",
                     parameters, 3, problem);

    return result == RESULT_OK ? audit_add(work, "password_changed", user_id, 0, NULL, problem)
                               : result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who is signed in, for how long, and what ends it. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "server/service/web_session.h"
#include "server/service/people.h"
#include "tests/unit/server/service/bench.h"

static const struct web_limits LIMITS = {.idle_us = MINUTES(30), .age_us = HOURS(12)};

static const uint8_t FIRST[WEB_TOKEN_SIZE] = {1};
static const uint8_t SECOND[WEB_TOKEN_SIZE] = {2};

static void set_password(struct bench *bench, int64_t user_id, const char *hash)
{
    begin(bench);
    assert_ok(bench, people_set_password(bench->work, user_id, hash, &bench->problem));
    commit(bench);
}

static struct web_login login_of(struct bench *bench, const char *login)
{
    struct web_login found = {0};

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, web_login_find(bench->store, login, &bench->arena, &found, &bench->problem));
    store_rollback(bench->store);
    return found;
}

static struct web_session session_of(struct bench *bench, const uint8_t *token)
{
    struct web_session found = {0};

    assert_ok(bench, store_begin(bench->store, STORE_READ, &bench->problem));
    assert_ok(bench, web_session_find(bench->store, token, bench->now, &LIMITS, &bench->arena,
                                      &found, &bench->problem));
    store_rollback(bench->store);
    return found;
}

static enum result sign_in_with(struct bench *bench, const struct web_login *login,
                                const uint8_t *token)
{
    enum result result;

    begin(bench);
    result = web_session_begin(bench->work, login, token, &LIMITS, "192.0.2.7", &bench->problem);
    if (result == RESULT_OK)
        commit(bench);
    else
        undo(bench);
    return result;
}

static void sign_in(struct bench *bench, const char *login, const uint8_t *token)
{
    const struct web_login found = login_of(bench, login);

    assert_int_not_equal(found.user_id, 0);
    assert_ok(bench, sign_in_with(bench, &found, token));
}

static const char *login_name(struct bench *bench, int64_t user_id)
{
    return text(bench, "SELECT login FROM app_user WHERE id = ?1", user_id, 0);
}

static void only_who_is_active_and_has_a_password_signs_in(void **state)
{
    struct bench *bench = *state;
    const char *diana = login_name(bench, bench->diana);

    assert_int_equal(login_of(bench, diana).user_id, 0);
    set_password(bench, bench->diana, "hash");
    assert_int_equal(login_of(bench, diana).user_id, bench->diana);
    assert_string_equal(login_of(bench, diana).password_hash, "hash");
    assert_int_equal(login_of(bench, "nobody").user_id, 0);
    begin(bench);
    assert_ok(bench, people_set_active(bench->work, bench->diana, false, &bench->problem));
    commit(bench);
    assert_int_equal(login_of(bench, diana).user_id, 0);
}

static void a_session_says_who_it_is_and_only_to_its_token(void **state)
{
    struct bench *bench = *state;
    struct web_session session;

    set_password(bench, bench->diana, "hash");
    sign_in(bench, login_name(bench, bench->diana), FIRST);
    session = session_of(bench, FIRST);
    assert_int_equal(session.user_id, bench->diana);
    assert_int_equal(session.role_count, 1);
    assert_string_equal(session.roles[0], "dispatcher");
    assert_int_equal(session.expires_at.us, bench->now.us + MINUTES(30));
    assert_int_equal(session.ends_at.us, bench->now.us + HOURS(12));
    assert_int_equal(session_of(bench, SECOND).user_id, 0);
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM fs_web_session WHERE token_hash = x'01'"
                            " OR substr(token_hash, 1, 1) = x'01'",
                            0, 0),
                     0); /* what is stored opens nothing */
    assert_int_equal(number(bench,
                            "SELECT count(*) FROM fs_audit WHERE event = 'login' AND user_id = ?1"
                            " AND detail LIKE 'from 192.0.2.7, session ________'",
                            bench->diana, 0),
                     1);
}

static void it_ends_without_requests_and_in_any_case(void **state)
{
    struct bench *bench = *state;

    set_password(bench, bench->diana, "hash");
    sign_in(bench, login_name(bench, bench->diana), FIRST);
    bench->now.us += MINUTES(30) - 1;
    assert_int_equal(session_of(bench, FIRST).user_id, bench->diana);
    bench->now.us += 1;
    assert_int_equal(session_of(bench, FIRST).user_id, 0);

    sign_in(bench, login_name(bench, bench->diana), SECOND);
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_web_session", 0, 0), 1); /* swept */
    for (int i = 0; i < 12 * 3; i++) {
        begin(bench);
        assert_ok(bench, web_session_touch(bench->work, SECOND, &bench->problem));
        commit(bench);
        assert_int_equal(session_of(bench, SECOND).user_id, bench->diana);
        bench->now.us += MINUTES(20);
    }
    assert_int_equal(session_of(bench, SECOND).user_id, 0); /* twelve hours are over */
}

static void signing_out_ends_it_at_once(void **state)
{
    struct bench *bench = *state;

    set_password(bench, bench->diana, "hash");
    sign_in(bench, login_name(bench, bench->diana), FIRST);
    sign_in(bench, login_name(bench, bench->diana), SECOND);
    begin(bench);
    assert_ok(bench, web_session_end(bench->work, FIRST, &bench->problem));
    assert_ok(bench, web_session_end(bench->work, FIRST, &bench->problem)); /* there is none */
    commit(bench);
    assert_int_equal(session_of(bench, FIRST).user_id, 0);
    assert_int_equal(session_of(bench, SECOND).user_id, bench->diana);
    assert_int_equal(number(bench, "SELECT count(*) FROM fs_audit WHERE event = 'logout'", 0, 0),
                     1);
}

static void who_is_not_active_any_more_is_out(void **state)
{
    struct bench *bench = *state;

    set_password(bench, bench->diana, "hash");
    sign_in(bench, login_name(bench, bench->diana), FIRST);
    begin(bench); /* whoever does it, with whatever program */
    assert_ok(bench, people_set_active(bench->work, bench->diana, false, &bench->problem));
    commit(bench);
    assert_int_equal(session_of(bench, FIRST).user_id, 0);
}

static void a_new_password_ends_the_other_sessions(void **state)
{
    struct bench *bench = *state;
    struct web_session own;

    set_password(bench, bench->diana, "hash");
    sign_in(bench, login_name(bench, bench->diana), FIRST);
    sign_in(bench, login_name(bench, bench->diana), SECOND);
    own = session_of(bench, FIRST);
    begin(bench); /* in the same microsecond as all before */
    assert_ok(bench,
              web_session_change_password(bench->work, &own, FIRST, "another", &bench->problem));
    commit(bench);
    assert_int_equal(session_of(bench, FIRST).user_id, bench->diana);
    assert_int_equal(session_of(bench, SECOND).user_id, 0);
    assert_string_equal(login_of(bench, own.login).password_hash, "another");
    set_password(bench, bench->diana, "third"); /* of the office: all end */
    assert_int_equal(session_of(bench, FIRST).user_id, 0);
    assert_int_equal(
        number(bench, "SELECT count(*) FROM fs_audit WHERE event = 'password_changed'", 0, 0), 3);
}

/* Between the check of a password and the session somebody else changes the password. */
static void a_password_that_is_old_meanwhile_opens_nothing(void **state)
{
    struct bench *bench = *state;
    struct web_login found;

    set_password(bench, bench->diana, "hash");
    found = login_of(bench, login_name(bench, bench->diana));
    set_password(bench, bench->diana, "another");
    assert_int_equal(sign_in_with(bench, &found, FIRST), RESULT_REFUSED);
    assert_int_equal(session_of(bench, FIRST).user_id, 0);
}

static void of_many_sessions_of_one_person_the_oldest_end(void **state)
{
    struct bench *bench = *state;
    uint8_t token[WEB_TOKEN_SIZE] = {0};

    set_password(bench, bench->diana, "hash");
    set_password(bench, bench->marta, "hash");
    sign_in(bench, login_name(bench, bench->marta), FIRST);
    for (uint8_t i = 0; i < WEB_SESSIONS_USER_MAX + 3; i++) {
        token[1] = i;
        bench->now.us += 1;
        sign_in(bench, login_name(bench, bench->diana), token);
    }
    token[1] = 2;
    assert_int_equal(session_of(bench, token).user_id, 0);
    token[1] = 3;
    assert_int_equal(session_of(bench, token).user_id, bench->diana);
    assert_int_equal(session_of(bench, FIRST).user_id, bench->marta);
}

static void a_csrf_token_belongs_to_one_session(void **state)
{
    char first[WEB_TOKEN_TEXT_SIZE];
    char second[WEB_TOKEN_TEXT_SIZE];

    (void)state;
    web_csrf_token(FIRST, first);
    web_csrf_token(SECOND, second);
    assert_true(web_csrf_is(FIRST, first));
    assert_false(web_csrf_is(FIRST, second));
    assert_false(web_csrf_is(FIRST, ""));
    first[10] = first[10] == '0' ? '1' : '0';
    assert_false(web_csrf_is(FIRST, first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(only_who_is_active_and_has_a_password_signs_in),
        STORY(a_session_says_who_it_is_and_only_to_its_token),
        STORY(it_ends_without_requests_and_in_any_case),
        STORY(signing_out_ends_it_at_once),
        STORY(who_is_not_active_any_more_is_out),
        STORY(a_new_password_ends_the_other_sessions),
        STORY(a_password_that_is_old_meanwhile_opens_nothing),
        STORY(of_many_sessions_of_one_person_the_oldest_end),
        cmocka_unit_test(a_csrf_token_belongs_to_one_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

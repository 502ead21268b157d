/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/office.h"

#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { QUANTITY_WHOLE_MAX = 1000000000, DECIMALS_MAX = 3 };

/* The only row that a query of (text, number, ?3) finds. */
static enum result find_one(struct cli *cli, const char *sql, const char *what, const char *text,
                            int64_t third, int64_t *ret_id, struct problem *problem)
{
    const struct value parameters[] = {value_text_of(text), value_integer(number_or_zero(text)),
                                       value_integer(third)};
    struct store_result rows = {0};
    enum result result = cli_query(cli, sql, parameters, 3, &rows, problem);

    if (result != RESULT_OK)
        return result;
    if (rows.row_count == 0)
        return problem_set(problem, RESULT_REFUSED, "there is no %s '%s'", what, text);
    if (rows.row_count > 1)
        return problem_set(problem, RESULT_REFUSED,
                           "more than one %s is called '%s': say the id instead", what, text);
    *ret_id = store_integer_at(&rows, 0, 0, 0);
    return RESULT_OK;
}

enum result office_person(struct cli *cli, const char *login, int64_t *ret_user_id,
                          struct problem *problem)
{
    enum result result =
        find_one(cli, "SELECT id FROM app_user WHERE login = ?1 OR id = ?2 LIMIT 2", "user", login,
                 0, ret_user_id, problem);

    if (result == RESULT_REFUSED)
        return problem_set(problem, RESULT_REFUSED,
                           "nobody has the login '%s'; 'user list' shows who there is", login);
    return result;
}

enum result office_by(struct cli *cli, int64_t *ret_user_id, struct problem *problem)
{
    const char *login = options_value(cli->options, "by");

    *ret_user_id = 0;
    return login == NULL ? RESULT_OK : office_person(cli, login, ret_user_id, problem);
}

enum result office_party(struct cli *cli, const char *text, int64_t *ret_id,
                         struct problem *problem)
{
    return find_one(cli,
                    "SELECT id FROM party WHERE (name = ?1 OR id = ?2)"
                    " AND merged_into_id IS NULL LIMIT 2",
                    "customer", text, 0, ret_id, problem);
}

enum result office_site(struct cli *cli, const char *text, int64_t party_id, int64_t *ret_id,
                        struct problem *problem)
{
    return find_one(cli,
                    "SELECT id FROM site WHERE (name = ?1 OR id = ?2)"
                    " AND (?3 = 0 OR party_id = ?3) LIMIT 2",
                    "site of that customer", text, party_id, ret_id, problem);
}

enum result office_type(struct cli *cli, const char *text, int64_t *ret_id, struct problem *problem)
{
    return find_one(cli, "SELECT id FROM activity_type WHERE name = ?1 OR id = ?2 LIMIT 2",
                    "type of visit", text, 0, ret_id, problem);
}

enum result office_find_by(struct cli *cli, office_find *find, const char *text, int64_t *ret_id,
                           struct problem *problem)
{
    struct store *store = master_store(cli->master);
    enum result result = store_begin(store, STORE_READ, problem);

    if (result == RESULT_OK)
        result = find(store, text, &cli->arena, ret_id, problem);
    store_rollback(store);
    return result;
}

enum result office_time(const char *text, int64_t *ret_us, struct problem *problem)
{
    char complete[WALL_TEXT_SIZE];
    size_t size = strlen(text);
    struct wall_time time = {0};
    bool is_short = size == sizeof "2026-11-24T09:00Z" - 1 && text[size - 1] == 'Z';

    (void)snprintf(complete, sizeof complete, "%.*s%s", (int)(is_short ? size - 1 : size), text,
                   is_short ? ":00Z" : "");
    if (size >= sizeof complete || !wall_time_parse(complete, &time))
        return problem_set(problem, RESULT_REFUSED,
                           "'%s' is no time; write it in UTC like 2026-11-24T09:00Z", text);
    *ret_us = time.us;
    return RESULT_OK;
}

enum result office_quantity(const char *text, int64_t *ret_quantity_m, struct problem *problem)
{
    int64_t quantity = 0;
    int decimals = -1; /* before the point */
    bool is_wrong = text[0] == '\0' || text[0] == '.';

    for (const char *at = text; *at != '\0' && !is_wrong; at++) {
        if (*at == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        is_wrong = *at < '0' || *at > '9' || decimals == DECIMALS_MAX ||
                   quantity > (int64_t)QUANTITY_WHOLE_MAX * 1000;
        if (is_wrong)
            break;
        quantity = quantity * 10 + (*at - '0');
        if (decimals >= 0)
            decimals++;
    }
    for (int i = decimals < 0 ? 0 : decimals; i < DECIMALS_MAX && !is_wrong; i++)
        quantity *= 10;
    if (is_wrong || decimals == 0 || quantity > (int64_t)QUANTITY_WHOLE_MAX * 1000)
        return problem_set(problem, RESULT_REFUSED,
                           "'%s' is no quantity; write it like 2 or 0.5, up to %d", text,
                           (int)QUANTITY_WHOLE_MAX);
    *ret_quantity_m = quantity;
    return RESULT_OK;
}

const char *office_quantity_text(struct cli *cli, int64_t quantity_m)
{
    int64_t whole = quantity_m / 1000;
    int64_t rest = quantity_m % 1000 < 0 ? -(quantity_m % 1000) : quantity_m % 1000;
    const char *sign = quantity_m < 0 && whole == 0 ? "-" : "";

    if (rest == 0)
        return arena_format(&cli->arena, "%" PRId64, whole);
    if (rest % 100 == 0)
        return arena_format(&cli->arena, "%s%" PRId64 ".%" PRId64, sign, whole, rest / 100);
    if (rest % 10 == 0)
        return arena_format(&cli->arena, "%s%" PRId64 ".%02" PRId64, sign, whole, rest / 10);
    return arena_format(&cli->arena, "%s%" PRId64 ".%03" PRId64, sign, whole, rest);
}

enum result office_done(struct cli *cli, const char *key, int64_t id, const char *name,
                        const char *sentence, struct problem *problem)
{
    struct terminal_json json;

    if (!cli->is_json)
        return cli_say(cli, problem, "%s\n", sentence);
    terminal_json_init(&json, &cli->out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, key);
    terminal_json_number(&json, id);
    if (name != NULL) {
        terminal_json_key(&json, "number");
        terminal_json_text(&json, name);
    }
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

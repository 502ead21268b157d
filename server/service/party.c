/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/party.h"

#include "server/service/review.h"
#include "server/service/rows.h"

static bool is_from_device(const struct work_change *change)
{
    return change->after != NULL && change->author.replica_no != 0;
}

static enum result ask(struct work *work, const struct work_change *change, int64_t party_id,
                       struct problem *problem)
{
    const struct review_request question = {.kind = "merge_proposal",
                                            .table_name = "party",
                                            .row_id = party_id,
                                            .reason = REASON_PARTY_KNOWN_ALREADY,
                                            .roles = ROLE_HELP_DESK | ROLE_BILLING,
                                            .user_id = change->author.user_id};

    return review_raise(work, &question, problem);
}

/* Asks if the query finds another party for (?1 this party, ?2 the value). */
static enum result ask_if_known(struct work *work, const struct work_change *change,
                                int64_t party_id, const char *column, const char *sql,
                                struct problem *problem)
{
    struct value parameters[] = {value_integer(party_id), value_null()};
    struct bytes text = change_text(change, column);
    int64_t other_id = 0;
    enum result result = RESULT_OK;

    if (!change_sets(change, column) || text.size == 0)
        return RESULT_OK;
    parameters[1] = value_text(text);
    result = query_integer(work, sql, parameters, 2, 0, &other_id, problem);
    if (result == RESULT_OK && other_id != 0)
        result = ask(work, change, party_id, problem);
    return result;
}

enum result party_react(struct work *work, const struct work_change *change,
                        struct problem *problem)
{
    enum result result = RESULT_OK;

    if (!is_from_device(change))
        return RESULT_OK;
    result = ask_if_known(work, change, change->row_id, "tax_code",
                          "SELECT min(id) FROM party WHERE tax_code = ?2 AND id <> ?1"
                          " AND merged_into_id IS NULL",
                          problem);
    if (result == RESULT_OK)
        result = ask_if_known(work, change, change->row_id, "vat_number",
                              "SELECT min(id) FROM party WHERE vat_number = ?2 AND id <> ?1"
                              " AND merged_into_id IS NULL",
                              problem);
    return result;
}

enum result contact_react(struct work *work, const struct work_change *change,
                          struct problem *problem)
{
    if (!is_from_device(change))
        return RESULT_OK;
    return ask_if_known(work, change, change_integer(change, "party_id", 0), "phone",
                        "SELECT min(p.id) FROM contact AS c JOIN party AS p ON p.id = c.party_id"
                        " WHERE c.phone = ?2 AND p.id <> ?1 AND p.merged_into_id IS NULL",
                        problem);
}

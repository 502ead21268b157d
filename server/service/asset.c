/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/asset.h"

#include "domain/serial.h"
#include "server/service/review.h"
#include "server/service/rows.h"

/* The live machine that has the number already; 0: none. */
static enum result same_serial(struct work *work, int64_t asset_id, int64_t model_id,
                               const char *normal, int64_t *ret_id, struct problem *problem)
{
    const struct value key[] = {value_integer(asset_id), value_integer(model_id),
                                value_text_of(normal)};

    return query_integer(work,
                         "SELECT min(id) FROM asset WHERE model_id = ?2"
                         " AND serial_normalised = ?3 AND duplicate_of_id IS NULL AND id <> ?1",
                         key, 3, 0, ret_id, problem);
}

static enum result write_serial(struct work *work, const struct work_change *change,
                                const char *normal, int64_t same_id, struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct work_field fields[] = {{"serial_normalised", value_text_of(normal)},
                                        {"duplicate_of_id", value_id(same_id)},
                                        {.name = NULL}};
    const struct review_request question = {.kind = "duplicate_serial",
                                            .table_name = "asset",
                                            .row_id = change->row_id,
                                            .reason = REASON_SERIAL_KNOWN_ELSEWHERE,
                                            .roles = ROLE_MANAGER,
                                            .user_id = change->author.user_id};
    enum result result =
        work_update_fields(work, "asset", change->row_id, fields, &server, problem);

    if (result == RESULT_OK && same_id != 0)
        result = review_raise(work, &question, problem);
    return result;
}

enum result asset_react(struct work *work, const struct work_change *change,
                        struct problem *problem)
{
    struct problem unreadable = {0};
    struct serial serial = {0};
    const char *text = NULL;
    int64_t same_id = 0;
    enum result result;

    if (change->after == NULL ||
        !(change_sets(change, "serial") || change_sets(change, "model_id")))
        return RESULT_OK;
    result = row_text(work, "asset", change->row_id, "serial", &text, problem);
    if (result != RESULT_OK)
        return result;
    if (text == NULL || serial_normalise(bytes_of_text(text), &serial, &unreadable) != RESULT_OK)
        return write_serial(work, change, NULL, 0, problem); /* kept as typed, found by nobody */
    result = same_serial(work, change->row_id, change_integer(change, "model_id", 0), serial.text,
                         &same_id, problem);
    if (result == RESULT_OK)
        result = write_serial(work, change, serial.text, same_id, problem);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/call_fold.h"

#include "server/service/activity.h"
#include "server/service/reservation.h"
#include "server/service/review.h"
#include "server/service/rows.h"
#include "server/service/series.h"
#include "server/service/story.h"

#include <string.h>

#define NEXT_OF_CALL "SELECT coalesce(max(accepted_n), 0) + 1 FROM call_event WHERE call_id = ?1"

enum { NUMBERS_SKIPPED_MAX = 1000 };

static enum result write_state(struct work *work, const struct call_story *story,
                               struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct work_field fields[] = {
        {"state", value_text_of(call_state_name(story->call.state))},
        {"duplicate_of_id", value_id(story->call.dup_of_id)},
        {.name = NULL}};

    return work_update_fields(work, "call", story->call_id, fields, &server, problem);
}

/* What an activity did is asked about once for that activity, a parked step of the call by itself.
 */
static enum result ask(struct work *work, const struct call_story *story,
                       const struct call_event *event, const struct call_answer *answer,
                       struct problem *problem)
{
    bool is_parked = answer->answer == ANSWER_PARK;
    struct review_request question = {.kind = is_parked ? "parked" : NULL,
                                      .table_name = "call",
                                      .row_id = story->call_id,
                                      .reason = answer->review.reason,
                                      .roles = answer->review.roles};
    const char *table_name = "call_event";
    enum result result;

    if (event->kind == CALL_ACTIVITY) {
        table_name = "activity_event";
        question.table_name = "activity";
        question.row_id = event->activity_id;
    } else if (is_parked) {
        question.table_name = "call_event";
        question.row_id = event->id;
    }
    result = row_integer(work, table_name, event->id, "by_id", 0, &question.user_id, problem);
    if (result == RESULT_OK)
        result = review_raise(work, &question, problem);
    return result;
}

/* The work of a merged call goes on under the one that stays. */
static enum result move_work(struct work *work, int64_t call_id, int64_t survivor_id,
                             struct problem *problem)
{
    const struct author server = rows_server(work);
    const struct value from = value_integer(call_id);
    const struct work_field fields[] = {{"call_id", value_integer(survivor_id)}, {.name = NULL}};
    struct store_result ids = {0};
    enum result result = work_query(work, "SELECT id FROM activity WHERE call_id = ?1 ORDER BY id",
                                    &from, 1, &ids, problem);

    for (size_t i = 0; i < ids.row_count && result == RESULT_OK; i++)
        result = work_update_fields(work, "activity", store_integer_at(&ids, i, 0, 0), fields,
                                    &server, problem);
    if (result == RESULT_OK)
        result = work_query(work, "SELECT id FROM part_need WHERE call_id = ?1 ORDER BY id", &from,
                            1, &ids, problem);
    for (size_t i = 0; i < ids.row_count && result == RESULT_OK; i++)
        result = work_update_fields(work, "part_need", store_integer_at(&ids, i, 0, 0), fields,
                                    &server, problem);
    return result;
}

static enum result refresh_one(struct work *work, int64_t call_id, struct problem *problem)
{
    struct call_story story = {0};
    enum result result = call_story_read(work, call_id, &story, problem);

    if (result == RESULT_OK && (story.count > 0 || story.call.state != CALL_NEW))
        result = write_state(work, &story, problem);
    for (size_t i = 0; i < story.count && result == RESULT_OK; i++)
        if (story.answers[i].review.roles != 0)
            result = ask(work, &story, &story.events[i], &story.answers[i], problem);
    return result;
}

enum result call_refresh(struct work *work, int64_t call_id, struct problem *problem)
{
    int64_t survivor_id = call_id;
    enum result result = refresh_one(work, call_id, problem);

    if (result == RESULT_OK)
        result = call_survivor(work, call_id, &survivor_id, problem);
    if (result != RESULT_OK || survivor_id == call_id)
        return result;
    result = move_work(work, call_id, survivor_id, problem);
    if (result == RESULT_OK)
        result = refresh_one(work, survivor_id, problem);
    return result;
}

static enum result ask_about_kind(struct work *work, const struct work_change *change,
                                  struct problem *problem)
{
    enum call_kind known = CALL_TRIAGE;
    const char *kind = NULL;
    enum result result =
        row_text(work, change->table->name, change->row_id, "kind", &kind, problem);

    if (result != RESULT_OK || (kind != NULL && call_kind_parse(kind, &known)))
        return result;
    return review_ask_about_kind(work, change, problem);
}

enum result call_event_react(struct work *work, const struct work_change *change,
                             struct problem *problem)
{
    int64_t call_id = 0;
    enum result result;

    if (!change_is_insert(change))
        return RESULT_OK;
    call_id = change_integer(change, "call_id", 0);
    result = event_accept(work, change, NEXT_OF_CALL, call_id, problem);
    if (result == RESULT_OK)
        result = ask_about_kind(work, change, problem);
    if (result == RESULT_OK)
        result = call_refresh(work, call_id, problem);
    return result;
}

/* Numbers that were imported are stepped over. */
static enum result free_number(struct work *work, char ret_text[NUMBER_TEXT_SIZE],
                               struct problem *problem)
{
    enum result result = RESULT_OK;

    for (int i = 0; i < NUMBERS_SKIPPED_MAX; i++) {
        struct value number;
        int64_t taken = 0;

        result = series_take(work, "call", "C", ret_text, problem);
        if (result != RESULT_OK)
            return result;
        number = value_text_of(ret_text);
        result = query_integer(work, "SELECT count(*) FROM call WHERE number_text = ?1", &number, 1,
                               0, &taken, problem);
        if (result != RESULT_OK || taken == 0)
            return result;
    }
    return problem_set(problem, RESULT_EXHAUSTED,
                       "the next %d call numbers are taken: set next_n of the series higher",
                       NUMBERS_SKIPPED_MAX);
}

enum result call_react(struct work *work, const struct work_change *change, struct problem *problem)
{
    const struct author server = rows_server(work);
    struct work_field fields[] = {{"number_text", value_null()}, {.name = NULL}};
    char number_text[NUMBER_TEXT_SIZE];
    const char *known = NULL;
    enum result result;

    if (change->after != NULL && change_sets(change, "state") && !change_is_insert(change))
        return reservation_follow_call(work, change->row_id, problem);
    if (!change_is_insert(change))
        return RESULT_OK;
    result = row_text(work, "call", change->row_id, "number_text", &known, problem);
    if (result != RESULT_OK || (known != NULL && known[0] != '\0'))
        return result;
    result = free_number(work, number_text, problem);
    if (result != RESULT_OK)
        return result;
    fields[0].value = value_text_of(number_text);
    return work_update_fields(work, "call", change->row_id, fields, &server, problem);
}

enum result call_release(struct work *work, int64_t call_id, struct problem *problem)
{
    const struct author server = rows_server(work);
    struct call_story story = {0};
    const struct work_field fields[] = {{"call_id", value_integer(call_id)},
                                        {"kind", value_text_of("release")},
                                        {"base_state", value_text_of("waiting")},
                                        {"occurred_at", value_integer(work_now(work).us)},
                                        {"reason", value_text_of("the parts are here")},
                                        {.name = NULL}};
    enum result result = call_story_read(work, call_id, &story, problem);

    if (result != RESULT_OK || story.call.state != CALL_WAITING ||
        story.call.hold_for != CALL_HOLD_PARTS)
        return result;
    return work_insert_fields(work, "call_event", fields, &server, NULL, problem);
}

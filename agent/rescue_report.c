/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rescue_report.h"

#include "agent/rescue.h"
#include "edge/files.h"
#include "edge/terminal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { REPORT_SIZE_MAX = 256 << 20, WORDS_SIZE = 1024 };

static const char *const KINDS[] = {
    [RESCUE_LOST_CHANGE] = "change",
    [RESCUE_LOST_LINES] = "outbox",
    [RESCUE_LOST_SEALED] = "seals",
    [RESCUE_LOST_ROWS] = "rows",
};

static void put_value(struct terminal_json *json, const struct value *value)
{
    char text[40];

    switch (value->type) {
    case VALUE_NULL:
        terminal_json_null(json);
        break;
    case VALUE_INTEGER:
        terminal_json_number(json, value->integer);
        break;
    case VALUE_REAL:
        (void)snprintf(text, sizeof text, "%.17g", value->real);
        terminal_json_text(json, text);
        break;
    case VALUE_TEXT:
        terminal_json_bytes(json, value->bytes);
        break;
    case VALUE_BLOB:
        (void)snprintf(text, sizeof text, "%zu bytes", value->bytes.size);
        terminal_json_text(json, text);
        break;
    }
}

static void put_range(struct terminal_json *json, const struct rescue_loss *loss)
{
    terminal_json_key(json, "first");
    terminal_json_number(json, loss->first);
    terminal_json_key(json, "last");
    if (loss->last == INT64_MAX)
        terminal_json_null(json);
    else
        terminal_json_number(json, loss->last);
}

static void put_change(struct terminal_json *json, const struct rescue_loss *loss)
{
    char at[WALL_TEXT_SIZE];

    terminal_json_key(json, "op");
    terminal_json_text(json, loss->op);
    terminal_json_key(json, "row");
    terminal_json_number(json, loss->row_id);
    if (loss->recorded_at.us != 0) {
        wall_time_format(loss->recorded_at, at);
        terminal_json_key(json, "recorded_at");
        terminal_json_text(json, at);
    }
    if (loss->field_count == 0)
        return;
    terminal_json_key(json, "values");
    terminal_json_object_begin(json);
    for (size_t i = 0; i < loss->field_count; i++) {
        terminal_json_key(json, loss->fields[i].name);
        put_value(json, &loss->fields[i].value);
    }
    terminal_json_object_end(json);
}

static enum result put_loss(const struct rescue_loss *loss, struct buffer *out,
                            struct problem *problem)
{
    struct terminal_json json;

    terminal_json_init(&json, out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "kind");
    terminal_json_text(&json, KINDS[loss->kind]);
    if (loss->table_name != NULL) {
        terminal_json_key(&json, "table");
        terminal_json_text(&json, loss->table_name);
    }
    if (loss->kind == RESCUE_LOST_CHANGE)
        put_change(&json, loss);
    put_range(&json, loss);
    terminal_json_key(&json, "reason");
    terminal_json_text(&json, loss->reason);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

enum result rescue_report_write(const char *path, const struct rescue_outcome *outcome,
                                struct problem *problem)
{
    struct buffer out;
    enum result result = RESULT_OK;

    buffer_init(&out, REPORT_SIZE_MAX);
    for (const struct rescue_loss *loss = outcome->losses; loss != NULL && result == RESULT_OK;
         loss = loss->next)
        result = put_loss(loss, &out, problem);
    if (result == RESULT_OK)
        result = files_write(path, buffer_bytes(&out), 0600, problem);
    buffer_done(&out);
    return result;
}

/* ---- what is said ------------------------------------------------------------------------------
 */

static enum result say(struct buffer *out, struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum result say(struct buffer *out, struct problem *problem, const char *format, ...)
{
    char text[WORDS_SIZE];
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || size >= WORDS_SIZE)
        return problem_set(problem, RESULT_EXHAUSTED, "a sentence is too long");
    return buffer_append(out, text, (size_t)size, problem);
}

static enum result say_json(const struct rescue_said *said, struct buffer *out,
                            struct problem *problem)
{
    const struct rescue_outcome *outcome = &said->outcome;
    const struct {
        const char *key;
        int64_t number;
    } numbers[] = {{"sealed_changes", outcome->sealed_count},
                   {"seals", outcome->seal_count},
                   {"lines", outcome->line_count},
                   {"rows", outcome->row_count},
                   {"lost", (int64_t)outcome->loss_count}};
    struct terminal_json json;

    terminal_json_init(&json, out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "damaged");
    terminal_json_boolean(&json, !outcome->is_sound && !said->was_unfinished);
    terminal_json_key(&json, "rescued");
    terminal_json_boolean(&json, said->damaged[0] != '\0' || said->was_unfinished);
    terminal_json_key(&json, "seals_lost");
    terminal_json_boolean(&json, outcome->are_seals_lost);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        terminal_json_key(&json, numbers[i].key);
        terminal_json_number(&json, numbers[i].number);
    }
    terminal_json_key(&json, "kept");
    terminal_json_text(&json, said->damaged);
    terminal_json_key(&json, "report");
    terminal_json_text(&json, said->report);
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

static enum result say_losses(const struct rescue_said *said, struct buffer *out,
                              struct problem *problem)
{
    if (said->outcome.loss_count == 0)
        return say(out, problem, "lost        nothing that was recorded here\n");
    return say(out, problem, "lost        %zu entries: see %s. Enter again what it names\n",
               said->outcome.loss_count, said->report);
}

static enum result say_rescued(const struct rescue_said *said, struct buffer *out,
                               struct problem *problem)
{
    const struct rescue_outcome *outcome = &said->outcome;
    enum result result =
        say(out, problem,
            "rescued     %" PRId64 " changes in %" PRId64 " transfers that have no answer yet\n"
            "rescued     %" PRId64 " changes of %" PRId64 " rows that were never sent\n",
            outcome->sealed_count, outcome->seal_count, outcome->line_count, outcome->row_count);

    if (result == RESULT_OK)
        result = say_losses(said, out, problem);
    if (result == RESULT_OK)
        result = say(out, problem, "kept        %s, untouched, until the office says otherwise\n",
                     said->damaged);
    if (result == RESULT_OK && outcome->are_seals_lost)
        result = say(out, problem,
                     "Parts of the transfers without an answer can't be proven whole. If the "
                     "server has some of them it holds this device until the office decides "
                     "(`fieldsync-server device copies`); nothing is sent twice.\n");
    return result == RESULT_OK ? say(out, problem,
                                     "Next: `fieldsync-agent sync`. It sends what was rescued and "
                                     "fills the new replica. Check the disk.\n")
                               : result;
}

enum result rescue_say(const struct rescue_said *said, bool as_json, struct buffer *out,
                       struct problem *problem)
{
    if (as_json)
        return say_json(said, out, problem);
    if (said->was_unfinished)
        return say(out, problem, "the rescue that was interrupted is finished now\n");
    if (said->outcome.is_sound)
        return say(out, problem, "the replica isn't damaged: nothing was changed\n");
    if (!said->outcome.is_identity_lost)
        return say_rescued(said, out, problem);
    return say(out, problem,
               "Who this device is can't be read any more, so nothing can be sent under its name. "
               "Nothing was changed.\n"
               "lost        %zu entries: %s names what was recorded and may not have been sent\n"
               "Next: keep this folder, tell the office, enrol anew with another --data folder, "
               "and enter again there what the office doesn't have.\n",
               said->outcome.loss_count, said->report);
}

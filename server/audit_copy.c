/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "server/audit_copy.h"

#include "edge/terminal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LINES_AT_ONCE = 1000, BATCH_SIZE_MAX = 16 << 20, TAIL_SIZE = 64 * 1024, FILE_MODE = 0600 };

static const char ANEW[] =
    "{\"mark\":\"begun anew: the database does not have what stands above\"}\n";

/* The last whole line's id and hash; id 0: there is none. */
static enum result read_tail(const struct audit_copy *copy, int64_t *ret_id, char ret_hash[65],
                             bool *ret_is_torn, struct problem *problem)
{
    struct stat file;
    struct buffer tail;
    uint64_t from = 0;
    enum result result = RESULT_OK;

    *ret_id = 0;
    ret_hash[0] = '\0';
    *ret_is_torn = false;
    if (stat(copy->path, &file) != 0)
        return RESULT_OK;
    if (file.st_size > TAIL_SIZE)
        from = (uint64_t)file.st_size - TAIL_SIZE;
    buffer_init(&tail, TAIL_SIZE + 1);
    result = files_read_part(copy->path, from, TAIL_SIZE, &tail, problem);
    for (size_t at = tail.size; result == RESULT_OK && at > 0 && *ret_id == 0; at--) {
        char text[160] = "";
        size_t size =
            tail.size - (at - 1) < sizeof text - 1 ? tail.size - (at - 1) : sizeof text - 1;

        if (at - 1 > 0 && tail.data[at - 2] != '\n')
            continue;
        memcpy(text, tail.data + at - 1, size);
        if (sscanf(text, "{\"id\":%" SCNd64 ",\"hash\":\"%64[0-9a-f]\"", ret_id, ret_hash) != 2)
            *ret_id = 0;
    }
    *ret_is_torn = result == RESULT_OK && tail.size > 0 && tail.data[tail.size - 1] != '\n';
    buffer_done(&tail);
    return result;
}

static void put_optional(struct terminal_json *json, const char *key, const struct value *value)
{
    terminal_json_key(json, key);
    if (value->type == VALUE_INTEGER)
        terminal_json_number(json, value->integer);
    else
        terminal_json_null(json);
}

static enum result put_line(struct buffer *out, const struct store_result *lines, size_t row,
                            struct problem *problem)
{
    struct terminal_json json;
    char time[WALL_TEXT_SIZE];

    wall_time_format((struct wall_time){store_integer_at(lines, row, 1, 0)}, time);
    terminal_json_init(&json, out);
    terminal_json_object_begin(&json);
    terminal_json_key(&json, "id");
    terminal_json_number(&json, store_integer_at(lines, row, 0, 0));
    terminal_json_key(&json, "hash");
    terminal_json_bytes(&json, store_bytes_at(lines, row, 6));
    terminal_json_key(&json, "occurred_at");
    terminal_json_text(&json, time);
    terminal_json_key(&json, "event");
    terminal_json_bytes(&json, store_bytes_at(lines, row, 2));
    put_optional(&json, "user_id", store_at(lines, row, 3));
    put_optional(&json, "replica_no", store_at(lines, row, 4));
    terminal_json_key(&json, "detail");
    terminal_json_bytes(&json, store_bytes_at(lines, row, 5));
    terminal_json_object_end(&json);
    return terminal_json_finish(&json, problem);
}

/* Where the file stands, in the database's words. */
static enum result begin(struct audit_copy *copy, struct store *store, struct arena *arena,
                         struct problem *problem)
{
    struct store_result found = {0};
    int64_t id = 0;
    char hash[65] = "";
    bool is_torn = false;
    enum result result = read_tail(copy, &id, hash, &is_torn, problem);
    const struct value key = value_integer(id);

    if (result == RESULT_OK && is_torn) /* a power cut: what was half written is no line */
        result = files_append(copy->path, bytes_of_text("\n"), FILE_MODE, problem);
    if (result == RESULT_OK && id > 0)
        result = store_query(store, "SELECT hash FROM fs_audit WHERE id = ?1", &key, 1, arena,
                             &found, problem);
    if (result == RESULT_OK && id > 0 &&
        !bytes_equal(store_bytes_at(&found, 0, 0), bytes_of_text(hash))) {
        result = files_append(copy->path, bytes_of_text(ANEW), FILE_MODE, problem);
        id = 0;
    }
    copy->last_id = id;
    copy->is_begun = result == RESULT_OK;
    return result;
}

static enum result copy_some(struct audit_copy *copy, struct store *store, struct arena *arena,
                             size_t *ret_count, struct problem *problem)
{
    const struct value parameters[] = {value_integer(copy->last_id), value_integer(LINES_AT_ONCE)};
    struct store_result lines = {0};
    struct buffer out;
    enum result result =
        store_query(store,
                    "SELECT id, occurred_at, event, user_id, replica_no, detail, hash FROM fs_audit"
                    " WHERE id > ?1 AND hash IS NOT NULL ORDER BY id LIMIT ?2",
                    parameters, 2, arena, &lines, problem);

    *ret_count = lines.row_count;
    if (result != RESULT_OK || lines.row_count == 0)
        return result;
    buffer_init(&out, BATCH_SIZE_MAX);
    for (size_t i = 0; i < lines.row_count && result == RESULT_OK; i++)
        result = put_line(&out, &lines, i, problem);
    if (result == RESULT_OK)
        result = files_append(copy->path, buffer_bytes(&out), FILE_MODE, problem);
    if (result == RESULT_OK)
        copy->last_id = store_integer_at(&lines, lines.row_count - 1, 0, 0);
    buffer_done(&out);
    return result;
}

enum result audit_copy_run(struct audit_copy *copy, struct store *store, struct problem *problem)
{
    struct arena arena;
    size_t count = 0;
    enum result result = store_begin(store, STORE_READ, problem);

    if (result != RESULT_OK)
        return result;
    arena_init(&arena, BATCH_SIZE_MAX);
    if (!copy->is_begun)
        result = begin(copy, store, &arena, problem);
    do {
        arena_reset(&arena);
        if (result == RESULT_OK)
            result = copy_some(copy, store, &arena, &count, problem);
    } while (result == RESULT_OK && count == LINES_AT_ONCE);
    store_rollback(store);
    arena_done(&arena);
    if (result != RESULT_OK)
        problem_add(problem, "copying the audit log to %s", copy->path);
    return result;
}

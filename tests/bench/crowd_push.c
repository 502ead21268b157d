/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/crowd.h"

#include "edge/clock.h"
#include "edge/files.h"

#include <stdlib.h>
#include <string.h>

enum {
    WORK_SIZE_MAX = 256 * 1024 * 1024,
    CHANGES_MAX = 2000, /* of a device's seal */
    PUSH_LEVEL = 6,     /* as the agent compresses */
};

static bool read_value(const char *text, struct value *ret_value)
{
    if (text[0] == 'i')
        *ret_value = value_integer(strtoll(text + 1, NULL, 10));
    else if (text[0] == 't')
        *ret_value = value_text(bytes_of_text(text + 1));
    else
        return false;
    return true;
}

/* Cuts what is up to `end` off, in place. NULL: nothing is left. */
static char *next_piece(char **place, char end)
{
    char *piece = *place;
    char *stop = piece == NULL ? NULL : strchr(piece, end);

    if (piece == NULL || *piece == '\0')
        return NULL;
    if (stop != NULL)
        *stop = '\0';
    *place = stop == NULL ? NULL : stop + 1;
    return piece;
}

/* One line of the file. The member, or NULL. */
static struct member *read_change(struct crowd *crowd, char *line, struct change *change)
{
    const struct catalog_table *table;
    struct member *member;
    const char *number = next_piece(&line, '\t');
    const char *op = next_piece(&line, '\t');
    const char *name = next_piece(&line, '\t');
    const char *id = next_piece(&line, '\t');
    size_t index = number == NULL ? crowd->count : (size_t)strtoull(number, NULL, 10);

    table = name == NULL ? NULL : catalog_table_by_name(replica_catalog(crowd->template), name);
    if (id == NULL || index >= crowd->count || table == NULL ||
        !client_change_begin(&crowd->arena, table, change))
        return NULL;
    member = &crowd->members[index];
    change->op = op[0] == 'i' ? CHANGE_INSERT : CHANGE_UPDATE;
    change->row_id = change->op == CHANGE_INSERT
                         ? id_of(member->client.replica_no, ++member->client.row_counter)
                         : strtoll(id, NULL, 10);
    change->base_seq = member->client.published_seq;
    change->edited_at = clock_wall_now();
    for (const char *column; (column = next_piece(&line, '\t')) != NULL;) {
        const char *text = next_piece(&line, '\t');
        struct value value;

        if (text == NULL || !read_value(text, &value) ||
            !client_change_set(change, table, column, value))
            return NULL;
    }
    return member;
}

/* Sealed, compressed and encrypted; only to be sent. */
static enum result prepare_seal(struct member *member, struct change *changes, size_t count,
                                struct problem *problem)
{
    struct crowd *crowd = member->crowd;
    struct client_seal seal = {.part_count = 1, .parts = &changes, .push = {.change_count = count}};
    struct buffer body;
    enum result result;

    if (!member->client.is_live || member->client.is_pushed)
        return problem_set(problem, RESULT_REFUSED, "a device isn't ready to push");
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = client_seal(&member->client, &seal, clock_wall_now(), problem);
    if (result == RESULT_OK)
        result = client_part(&member->client, &seal, 0, &body, problem);
    crowd->is_sealing = true;
    if (result == RESULT_OK)
        result = client_send(&member->client, MESSAGE_PUSH, buffer_bytes(&body), PUSH_LEVEL,
                             &crowd->arena, problem);
    crowd->is_sealing = false;
    buffer_done(&body);
    member->is_wanted = true;
    member->is_there = false;
    crowd->open_count++;
    crowd->begun_count++;
    crowd->changes += (int64_t)count;
    return result;
}

static enum result prepare_seals(struct crowd *crowd, char *text, struct problem *problem)
{
    struct member *author = NULL;
    struct change *changes = client_changes(&crowd->arena, CHANGES_MAX);
    size_t count = 0;
    enum result result = changes == NULL ? arena_full(&crowd->arena, problem) : RESULT_OK;

    for (char *line; result == RESULT_OK && (line = next_piece(&text, '\n')) != NULL;) {
        struct change change = {0};
        struct member *member = read_change(crowd, line, &change);

        if (member == NULL || count == CHANGES_MAX)
            return problem_set(problem, RESULT_REFUSED, "a line of the work isn't as it should be");
        if (author != NULL && member != author) {
            result = prepare_seal(author, changes, count, problem);
            count = 0;
        }
        author = member;
        changes[count++] = change;
    }
    if (author != NULL && result == RESULT_OK)
        result = prepare_seal(author, changes, count, problem);
    return result;
}

static void send_sealed(struct member *member)
{
    struct buffer *sealed = &member->sealed;
    struct problem problem = {0};
    size_t size = 0;

    for (size_t place = 0; place < sealed->size; place += size) {
        memcpy(&size, sealed->data + place, sizeof size);
        place += sizeof size;
        if (wire_send(&member->wire, bytes_of(sealed->data + place, size), &problem) != RESULT_OK)
            crowd_fail(member->crowd, problem.text);
    }
    buffer_reset(sealed);
}

void crowd_push(struct crowd *crowd, const char *path)
{
    struct buffer text;
    struct problem problem = {0};
    enum result result;

    arena_reset(&crowd->arena);
    buffer_init(&text, WORK_SIZE_MAX);
    result = files_read(path, &text, &problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, "", 1, &problem);
    if (result == RESULT_OK)
        result = prepare_seals(crowd, (char *)text.data, &problem);
    buffer_done(&text);
    if (result != RESULT_OK) {
        crowd_fail(crowd, problem.text);
        return;
    }
    crowd->began_at = clock_mono_now();
    for (size_t i = 0; i < crowd->count; i++)
        if (crowd->members[i].is_wanted)
            send_sealed(&crowd->members[i]);
}

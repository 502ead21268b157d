/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/state_file.h"

#include "edge/files.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_SIZE_MAX = 1024 * 1024 };

enum field_kind { FIELD_NUMBER, FIELD_FLAG, FIELD_WORDS };

static const struct state_field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    size_t size;
} FIELDS[] = {
#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, FIELD_NUMBER, offsetof(struct state_file, member), 0                              \
    }
#define FLAG(member)                                                                               \
    {                                                                                              \
#member, FIELD_FLAG, offsetof(struct state_file, member), 0                                \
    }
#define WORDS(member)                                                                              \
    {                                                                                              \
#member, FIELD_WORDS, offsetof(struct state_file, member),                                 \
            sizeof((struct state_file *)0)->member                                                 \
    }
    WORDS(state),        NUMBER(written_at), NUMBER(connected_at),   NUMBER(unreachable_since),
    NUMBER(next_try_at), NUMBER(bytes_sent), NUMBER(bytes_received), NUMBER(repairs),
    NUMBER(answered),    NUMBER(failed),     FLAG(is_idle),          FLAG(is_disk_full),
    WORDS(last_failure), WORDS(alarm),
};

static enum result append_field(const struct state_field *field, const struct state_file *state,
                                struct buffer *text, struct problem *problem)
{
    const char *member = (const char *)state + field->offset;
    char line[320];
    int64_t number = 0;
    bool flag = false;
    int size;

    if (field->kind == FIELD_NUMBER)
        memcpy(&number, member, sizeof number);
    if (field->kind == FIELD_FLAG)
        memcpy(&flag, member, sizeof flag);
    if (field->kind == FIELD_WORDS)
        size = snprintf(line, sizeof line, "%s %s", field->name, member);
    else
        size = snprintf(line, sizeof line, "%s %" PRId64, field->name,
                        field->kind == FIELD_FLAG ? (int64_t)flag : number);
    for (int i = 0; i < size; i++)
        if (line[i] == '\n' || line[i] == '\r')
            line[i] = ' ';
    line[size] = '\n';
    return buffer_append(text, line, (size_t)size + 1, problem);
}

enum result state_file_write(const char *data_folder, const struct state_file *state,
                             struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct buffer text;
    enum result result = files_join(data_folder, STATE_FILE_NAME, path, problem);

    buffer_init(&text, 8 * 1024);
    for (size_t i = 0; result == RESULT_OK && i < sizeof FIELDS / sizeof FIELDS[0]; i++)
        result = append_field(&FIELDS[i], state, &text, problem);
    if (result == RESULT_OK)
        result = files_write(path, buffer_bytes(&text), 0600, problem);
    buffer_done(&text);
    return result;
}

void state_file_tidy(const char *data_folder)
{
    static const char PREFIX[] = STATE_FILE_NAME "."; /* as files_write names them */
    char path[FILES_PATH_SIZE];
    struct arena arena;
    struct problem ignored = {0};
    const char *const *names = NULL;
    size_t count = 0;

    arena_init(&arena, NAMES_SIZE_MAX);
    if (files_list(data_folder, &arena, &names, &count, &ignored) != RESULT_OK)
        count = 0;
    for (size_t i = 0; i < count; i++)
        if (strncmp(names[i], PREFIX, sizeof PREFIX - 1) == 0 &&
            files_join(data_folder, names[i], path, &ignored) == RESULT_OK &&
            files_remove(path, &ignored) != RESULT_OK)
            break; /* nothing depends on it */
    arena_done(&arena);
}

static void take_line(const char *line, size_t size, struct state_file *state)
{
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        const struct state_field *field = &FIELDS[i];
        size_t name_size = strlen(field->name);
        char *member = (char *)state + field->offset;
        const char *value = line + name_size + 1;

        if (size <= name_size || strncmp(line, field->name, name_size) != 0 ||
            line[name_size] != ' ')
            continue;
        if (field->kind == FIELD_WORDS) {
            snprintf(member, field->size, "%.*s", (int)(size - name_size - 1), value);
        } else {
            int64_t number = strtoll(value, NULL, 10);
            bool flag = number != 0;

            if (field->kind == FIELD_NUMBER)
                memcpy(member, &number, sizeof number);
            else
                memcpy(member, &flag, sizeof flag);
        }
    }
}

void state_file_read(const char *data_folder, struct state_file *ret_state)
{
    char path[FILES_PATH_SIZE];
    struct problem problem = {0};
    struct buffer text;
    const char *line;

    *ret_state = (struct state_file){0};
    buffer_init(&text, 8 * 1024);
    if (files_join(data_folder, STATE_FILE_NAME, path, &problem) != RESULT_OK ||
        files_read(path, &text, &problem) != RESULT_OK ||
        buffer_append(&text, "", 1, &problem) != RESULT_OK)
        goto done;
    ret_state->is_there = true;
    for (line = (const char *)text.data; *line != '\0';) {
        size_t size = strcspn(line, "\n");

        take_line(line, size, ret_state);
        line += size + (line[size] == '\n');
    }
done:
    buffer_done(&text);
}

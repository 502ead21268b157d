/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/export.h"

#include "server/service/csv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    ROWS_AT_ONCE = 500,
    PAGE_SIZE_MAX = 256 * 1024 * 1024,
    PIECE_SIZE_MAX = 64 * 1024 * 1024,
    PIECE_SIZE_SOFT = 4 * 1024 * 1024,
};

struct export
{
    const struct export_options *options;
    const struct catalog_table *table;
    struct arena page_arena;
    struct buffer piece;
    int64_t row_count;
};

static bool is_exported(const struct catalog_table *table, uint8_t column)
{
    return catalog_has_column(table, column) && (column == 0 || column != table->home_column_no);
}

static enum result put(struct export *export, const char *text, struct problem *problem)
{
    return buffer_append(&export->piece, text, strlen(text), problem);
}

static enum result hand_over(struct export *export, size_t size_min, struct problem *problem)
{
    enum result result = RESULT_OK;

    if (export->piece.size > 0 && export->piece.size >= size_min) {
        result =
            export->options->write(export->options->context, buffer_bytes(&export->piece), problem);
        buffer_reset(&export->piece);
    }
    return result;
}

/* Numbers as digits, blobs as hex; texts as they are. */
static enum result text_of(struct export *export, const struct value *value, struct bytes *ret_text,
                           struct problem *problem)
{
    struct arena *arena = &export->page_arena;
    char *text;

    switch (value->type) {
    case VALUE_TEXT:
        *ret_text = value->bytes;
        return RESULT_OK;
    case VALUE_BLOB:
        text = arena_alloc(arena, value->bytes.size * 2 + 1);
        if (text != NULL)
            bytes_to_hex(value->bytes, text);
        break;
    case VALUE_INTEGER:
        text = arena_alloc(arena, 24);
        if (text != NULL)
            (void)snprintf(text, 24, "%" PRId64, value->integer);
        break;
    case VALUE_REAL:
        text = arena_alloc(arena, 32);
        if (text != NULL)
            (void)snprintf(text, 32, "%.17g", value->real);
        break;
    default:
        *ret_text = bytes_of_text("");
        return RESULT_OK;
    }
    if (text == NULL)
        return arena_full(arena, problem);
    *ret_text = bytes_of_text(text);
    return RESULT_OK;
}

/* ---- CSV ---- */

static enum result put_csv_heading(struct export *export, struct problem *problem)
{
    struct csv_cell cells[ROW_COLUMNS_MAX + 1];
    size_t count = 0;

    for (uint8_t i = 0; i < export->table->column_count; i++)
        if (is_exported(export->table, i))
            cells[count++] = (struct csv_cell){
                .text = bytes_of_text(i == 0 ? "id" : export->table->columns[i].name),
                .is_text = true};
    return csv_append(&export->piece, cells, count, false, problem);
}

static enum result put_csv_row(struct export *export, const struct value *values,
                               struct problem *problem)
{
    struct csv_cell cells[ROW_COLUMNS_MAX + 1] = {0};
    size_t count = 0;
    enum result result = RESULT_OK;

    for (uint8_t i = 0; i < export->table->column_count && result == RESULT_OK; i++) {
        if (!is_exported(export->table, i))
            continue;
        cells[count].is_null = values[i].type == VALUE_NULL;
        cells[count].is_text = values[i].type == VALUE_TEXT;
        result = text_of(export, &values[i], &cells[count].text, problem);
        count++;
    }
    if (result == RESULT_OK)
        result =
            csv_append(&export->piece, cells, count, export->options->for_spreadsheet, problem);
    return result;
}

/* ---- JSON ---- */

static enum result put_json_text(struct export *export, struct bytes text, struct problem *problem)
{
    size_t begin = 0;
    enum result result = put(export, "\"", problem);

    for (size_t i = 0; i < text.size && result == RESULT_OK; i++) {
        uint8_t byte = text.data[i];
        char escape[8];

        if (byte >= ' ' && byte != '"' && byte != '\\' && byte != 0x7F)
            continue;
        (void)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)byte);
        result = buffer_append(&export->piece, text.data + begin, i - begin, problem);
        if (result == RESULT_OK)
            result = put(export, escape, problem);
        begin = i + 1;
    }
    if (result == RESULT_OK && begin < text.size)
        result = buffer_append(&export->piece, text.data + begin, text.size - begin, problem);
    return result == RESULT_OK ? put(export, "\"", problem) : result;
}

static enum result put_json_value(struct export *export, const struct value *value,
                                  struct problem *problem)
{
    struct bytes text = {0};
    enum result result;

    if (value->type == VALUE_NULL)
        return put(export, "null", problem);
    result = text_of(export, value, &text, problem);
    if (result != RESULT_OK)
        return result;
    if (value->type == VALUE_INTEGER || value->type == VALUE_REAL)
        return buffer_append(&export->piece, text.data, text.size, problem);
    return put_json_text(export, text, problem);
}

static enum result put_json_row(struct export *export, const struct value *values,
                                struct problem *problem)
{
    enum result result = put(export, export->row_count > 0 ? ",\n{" : "\n{", problem);

    for (uint8_t i = 0; i < export->table->column_count && result == RESULT_OK; i++) {
        if (!is_exported(export->table, i))
            continue;
        result = put(export, i == 0 ? "\"" : ",\"", problem);
        if (result == RESULT_OK)
            result = put(export, i == 0 ? "id" : export->table->columns[i].name, problem);
        if (result == RESULT_OK)
            result = put(export, "\":", problem);
        if (result == RESULT_OK)
            result = put_json_value(export, &values[i], problem);
    }
    return result == RESULT_OK ? put(export, "}", problem) : result;
}

/* ---- all rows ---- */

/* "SELECT id FROM table ..."; the name is the catalog's. */
static const char *page_sql(struct export *export, char *room, size_t room_size)
{
    (void)snprintf(room, room_size, "SELECT id FROM \"%s\" WHERE id > ?1 ORDER BY id LIMIT %d",
                   export->table->name, ROWS_AT_ONCE);
    return room;
}

/* Returns the last id of the page, or the one it began after if there are no more rows. */
static enum result put_page(struct export *export, int64_t *id_after, size_t *ret_count,
                            struct problem *problem)
{
    struct store *store = export->options->store;
    struct value parameter = value_integer(*id_after);
    struct store_result found = {0};
    struct stored_row *rows = NULL;
    char sql[200];
    int64_t ids[ROWS_AT_ONCE];
    enum result result;

    arena_reset(&export->page_arena);
    result = store_query(store, page_sql(export, sql, sizeof sql), &parameter, 1,
                         &export->page_arena, &found, problem);
    for (size_t i = 0; i < found.row_count; i++)
        ids[i] = store_integer_at(&found, i, 0, 0);
    if (result == RESULT_OK && found.row_count > 0)
        result = store_read_rows(store, export->table, ids, found.row_count, &export->page_arena,
                                 &rows, problem);
    for (size_t i = 0; i < found.row_count && result == RESULT_OK; i++) {
        result = export->options->form == EXPORT_CSV
                     ? put_csv_row(export, rows[i].values, problem)
                     : put_json_row(export, rows[i].values, problem);
        if (result == RESULT_OK)
            result = hand_over(export, PIECE_SIZE_SOFT, problem);
        export->row_count++;
        *id_after = ids[i];
    }
    *ret_count = found.row_count;
    return result;
}

static enum result put_rows(struct export *export, struct problem *problem)
{
    bool is_csv = export->options->form == EXPORT_CSV;
    int64_t id_after = INT64_MIN;
    size_t count = ROWS_AT_ONCE;
    enum result result = is_csv ? put_csv_heading(export, problem) : put(export, "[", problem);

    while (result == RESULT_OK && count == ROWS_AT_ONCE)
        result = put_page(export, &id_after, &count, problem);
    if (result == RESULT_OK && !is_csv)
        result = put(export, "\n]\n", problem);
    return result == RESULT_OK ? hand_over(export, 0, problem) : result;
}

enum result export_table(const struct export_options *options, int64_t *ret_row_count,
                         struct problem *problem)
{
    struct export export = {.options = options};
    enum result result;

    export.table = catalog_table_by_name(options->store->catalog, options->table);
    if (export.table == NULL)
        return problem_set(problem, RESULT_REFUSED, "there is no table %s", options->table);
    arena_init(&export.page_arena, PAGE_SIZE_MAX);
    buffer_init(&export.piece, PIECE_SIZE_MAX);
    result = store_begin(options->store, STORE_READ, problem);
    if (result == RESULT_OK)
        result = put_rows(&export, problem);
    store_rollback(options->store);
    arena_done(&export.page_arena);
    buffer_done(&export.piece);
    if (result == RESULT_OK)
        *ret_row_count = export.row_count;
    else
        problem_add(problem, "exporting %s", options->table);
    return result;
}

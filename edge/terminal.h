/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.h: what commands print: tables for people, JSON for programs.
 *
 * Both are built in a struct buffer that the caller owns and bounds; terminal_write puts it out.
 * Data goes to stdout, everything said about it to stderr. Texts may come from anywhere: control
 * characters never reach the terminal. NO_COLOR: https://no-color.org; JSON: RFC 8259. */
#pragma once

#include "base/bytes.h"
#include "base/result.h"

/* A person sits at this descriptor: prompts and progress are welcome. */
bool terminal_is_interactive(int descriptor);

/* The same, and neither NO_COLOR (not empty) nor TERM=dumb asks for plain text. */
bool terminal_has_color(int descriptor);

/* What the environment says of the reader's language, such as "it_IT.UTF-8"; "" if nothing. Lives
 * as long as the environment isn't changed. */
const char *terminal_locale(void);

/* Writes all of it. RESULT_REFUSED: the reader went away (closed pipe) or the system said no;
 * RESULT_EXHAUSTED: the disk behind a redirection is full. Both: end with exit code 1. */
MUST_CHECK enum result terminal_write(int descriptor, struct bytes contents,
                                      struct problem *problem);

/* Code points in UTF-8 text; each byte that isn't part of one counts as one. Wide and combining
 * characters count as one too, so a column with them may look uneven. */
size_t terminal_width(struct bytes text);

/* Appends text with control characters (C0, C1, DEL), line and paragraph separators, changes of the
 * writing direction and broken UTF-8 replaced by U+FFFD, so that data can't steer the terminal. */
MUST_CHECK enum result terminal_append_plain(struct buffer *out, struct bytes text,
                                             struct problem *problem);
/* Is this what terminal_append_plain would leave as it is? */
bool terminal_is_plain(struct bytes text);

/* ---- Tables ---------------------------------------------------------------------------------
 * Cells are kept until the table is printed, because the widest one sets the column. */
enum { TERMINAL_COLUMN_COUNT_MAX = 24 };

struct terminal_column {
    const char *title;
    bool is_right; /* numbers: aligned at their last digit */
};

struct terminal_table;

/* `columns` (1 to TERMINAL_COLUMN_COUNT_MAX of them) must live as long as the table; its cells may
 * take `size_max` bytes in all. NULL: no memory. */
MUST_CHECK struct terminal_table *terminal_table_create(const struct terminal_column *columns,
                                                        size_t column_count, size_t size_max);
void terminal_table_destroy(struct terminal_table *table);

/* Adds a row of column_count texts, copied; NULL is an empty cell. RESULT_EXHAUSTED: size_max;
 * the row isn't in the table. */
MUST_CHECK enum result terminal_table_add(struct terminal_table *table, const char *const *cells,
                                          struct problem *problem);

/* Appends the title line and all rows, two blanks between columns, none at the end of a line.
 * RESULT_EXHAUSTED: `out` is full and holds a part. */
MUST_CHECK enum result terminal_table_print(const struct terminal_table *table, struct buffer *out,
                                            struct problem *problem);

/* ---- JSON -----------------------------------------------------------------------------------
 * A writer that places commas itself. It remembers its first failure and does nothing from then on:
 * one check at terminal_json_finish is enough. Wrong nesting is our own mistake (invariant). */
enum { TERMINAL_JSON_DEPTH_MAX = 16 };

struct terminal_json {
    struct buffer *out;
    enum result result;
    size_t depth;
    bool has_key;                                /* a key is written, its value is due */
    bool has_items[TERMINAL_JSON_DEPTH_MAX + 1]; /* by depth: the next one needs a comma */
    char closings[TERMINAL_JSON_DEPTH_MAX];      /* what ends each open level: ] or } */
    struct problem problem;
};

void terminal_json_init(struct terminal_json *json, struct buffer *out);
void terminal_json_object_begin(struct terminal_json *json);
void terminal_json_object_end(struct terminal_json *json);
void terminal_json_array_begin(struct terminal_json *json);
void terminal_json_array_end(struct terminal_json *json);
void terminal_json_key(struct terminal_json *json, const char *key);
void terminal_json_text(struct terminal_json *json, const char *text); /* NULL writes null */
void terminal_json_bytes(struct terminal_json *json, struct bytes text);
void terminal_json_number(struct terminal_json *json, int64_t number);
void terminal_json_boolean(struct terminal_json *json, bool value);
void terminal_json_null(struct terminal_json *json);

/* All levels must be closed. Adds a newline. RESULT_EXHAUSTED: `out` was too small; print nothing
 * of it. */
MUST_CHECK enum result terminal_json_finish(struct terminal_json *json, struct problem *problem);

/* Appends `text` in double quotes, escaped for JSON; bytes that aren't UTF-8 become U+FFFD.
 * Non-ASCII stays as it is, except what terminal_append_plain replaces: that becomes \uXXXX. */
MUST_CHECK enum result terminal_append_quoted(struct buffer *out, struct bytes text,
                                              struct problem *problem);

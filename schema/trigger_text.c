/* SPDX-License-Identifier: Apache-2.0 */
#include "schema/trigger_text.h"

#include "base/invariant.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What each trigger asks comes from the one row of fs_capture. Lines are put by INSERT ... SELECT
 * from it: no WHEN is needed. */
#define IS_ON      "(SELECT is_on FROM fs_capture)"
#define FROM_IF_ON " FROM fs_capture WHERE is_on"
/* All names under which a statement may set the key. */
#define KEY_NAMES "id, rowid, _rowid_, oid"
static_assert(ID_COUNTER_BITS == 33 && ID_COUNTER_MAX == INT64_C(8589934591), "as in the text");

enum { PIECE_SIZE = 256 };

/* Grows a text; after the first failure it stays as it is, so one check at the end is enough. */
struct maker {
    const struct trigger_table *of;
    const struct catalog_table *table;
    struct arena *arena;
    struct buffer text;
    enum result result;
    struct problem *problem;
    const char *name;     /* of the table, quoted */
    const char *raw_name; /* of the table, as part of a string in SQL: quotes doubled */
};

static void put(struct maker *maker, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Most pieces find room at once; a longer one is put a second time. */
static void put(struct maker *maker, const char *format, ...)
{
    size_t room_size = PIECE_SIZE;
    int size = 0;

    while (maker->result == RESULT_OK) {
        uint8_t *room = NULL;
        va_list arguments;

        maker->result = buffer_reserve(&maker->text, room_size, &room, maker->problem);
        if (maker->result != RESULT_OK)
            return;
        va_start(arguments, format);
        size = vsnprintf((char *)room, room_size, format, arguments);
        va_end(arguments);
        invariant(size >= 0);
        if ((size_t)size < room_size)
            break;
        room_size = (size_t)size + 1;
    }
    maker->text.size += (size_t)size;
}

/* `text` with each `quote` doubled, and between two of them if `around`. */
static const char *doubled(struct maker *maker, const char *text, char quote, bool around)
{
    char *copy = arena_array(maker->arena, strlen(text) + 2, 2);
    size_t size = 0;

    if (copy == NULL) {
        maker->result = arena_full(maker->arena, maker->problem);
        return "";
    }
    if (around)
        copy[size++] = quote;
    for (; *text != '\0'; text++) {
        if (*text == quote)
            copy[size++] = quote;
        copy[size++] = *text;
    }
    if (around)
        copy[size++] = quote;
    return copy; /* arenas give zeroed memory: the closing NUL is there */
}

static const char *quoted(struct maker *maker, const char *name)
{
    return doubled(maker, name, '"', true);
}

static const char *object_name(struct maker *maker, const char *suffix)
{
    const char *name = arena_format(maker->arena, "_fs_%s_%s", maker->table->name, suffix);

    if (name == NULL) {
        maker->result = arena_full(maker->arena, maker->problem);
        return "";
    }
    return name;
}

static const char *column_name(struct maker *maker, uint8_t number)
{
    return quoted(maker, maker->table->columns[number].name);
}

/* Comparisons must see every difference; only a column with a collation of its own needs telling.
 */
static const char *binary(const struct maker *maker)
{
    return maker->of->has_collations ? " COLLATE BINARY" : "";
}

static bool is_agent(const struct maker *maker)
{
    return maker->of->side == SCHEMA_SIDE_AGENT;
}

/* Columns that are compared and captured: all but the id and home. */
static bool is_captured(const struct maker *maker, uint8_t number)
{
    return number != 0 && number != maker->table->home_column_no &&
           catalog_has_column(maker->table, number);
}

static bool is_server_only(const struct maker *maker, uint8_t number)
{
    return is_captured(maker, number) && (maker->table->server_only_mask >> number & 1) != 0;
}

static bool has_captured_columns(const struct maker *maker)
{
    for (uint8_t n = 1; n < maker->table->column_count; n++)
        if (is_captured(maker, n))
            return true;
    return false;
}

/* On a device, a table of which it may write nothing. */
static bool is_made_by_server(const struct maker *maker)
{
    if (!is_agent(maker) || !has_captured_columns(maker))
        return false;
    for (uint8_t n = 1; n < maker->table->column_count; n++)
        if (is_captured(maker, n) && !is_server_only(maker, n))
            return false;
    return true;
}

static bool takes_rows(const struct maker *maker)
{
    return !is_made_by_server(maker);
}

static bool refuses_update(const struct maker *maker)
{
    return is_made_by_server(maker) || (is_agent(maker) && maker->table->append_only);
}

static bool has_before_update(const struct maker *maker)
{
    return !refuses_update(maker);
}

static bool captures_update(const struct maker *maker)
{
    return !refuses_update(maker) && has_captured_columns(maker);
}

static bool refuses_delete(const struct maker *maker)
{
    return is_agent(maker) &&
           (maker->table->append_only || maker->table->delete_rule == DELETE_NEVER);
}

static bool captures_delete(const struct maker *maker)
{
    return !refuses_delete(maker);
}

/* ---- pieces ---- */

/* The mask of columns that differ from those of the row `old` ("OLD." or ""). << and | bind alike
 * and from the left, so this begins with the last column and shifts what it has by one column at a
 * time. CASE for each column would take fewer steps and half as much memory again. */
static void put_mask(struct maker *maker, const char *old)
{
    uint8_t last = 0;

    for (uint8_t n = maker->table->column_count; n-- > 1;) {
        if (!is_captured(maker, n))
            continue;
        if (last != 0)
            put(maker, " << %d | ", last - n);
        put(maker, "(%s%s IS NOT NEW.%s%s)", old, column_name(maker, n), column_name(maker, n),
            binary(maker));
        last = n;
    }
    put(maker, last != 0 ? " << %d" : "%d", (int)last);
}

/* Where the row `old` ("OLD." or "") was: that goes with its line on the server. */
static void put_old_place(struct maker *maker, const char *old)
{
    if (!is_agent(maker))
        put(maker, ", %s_fs_bucket, %s_fs_hash", old, old);
}

static void put_term(struct maker *maker, const struct catalog_table *table,
                     const struct bucket_term *term, const char *row)
{
    int64_t base = term->source == BUCKET_INHERITED ? 0 : bucket_of(term->kind, 0);
    const char *column = quoted(maker, table->columns[term->column_no].name);

    if (term->source == BUCKET_CONSTANT)
        put(maker, "%" PRId64, base);
    else
        put(maker, "%" PRId64 " + %s.%s", base, row, column);
}

/* The bucket of the row `p` of `table`, by its column home or by its own columns. */
static void put_bucket_of_parent(struct maker *maker, const struct catalog_table *table)
{
    if (table->home_column_no != 0) {
        put(maker, "p.%s", quoted(maker, table->columns[table->home_column_no].name));
        return;
    }
    put(maker, "coalesce(");
    for (uint8_t i = 0; i < table->bucket_term_count; i++) {
        put_term(maker, table, &table->bucket_terms[i], "p");
        put(maker, ", ");
    }
    put(maker, "NULL)");
}

static void put_inherited(struct maker *maker, const struct bucket_term *term)
{
    const struct catalog_column *column = &maker->table->columns[term->column_no];
    const struct catalog_table *parent = catalog_table_by_no(maker->of->catalog, column->refers_to);

    invariant(parent != NULL); /* catalog_check */
    put(maker, "(SELECT ");
    put_bucket_of_parent(maker, parent);
    put(maker, " FROM %s AS p WHERE p.id = NEW.%s)", quoted(maker, parent->name),
        quoted(maker, column->name));
}

/* The row NEW's own bucket: the first term that isn't NULL. NULL where the server gives it. */
static void put_home(struct maker *maker)
{
    put(maker, "coalesce(");
    for (uint8_t i = 0; i < maker->table->bucket_term_count; i++) {
        const struct bucket_term *term = &maker->table->bucket_terms[i];

        if (term->source == BUCKET_GIVEN)
            continue;
        if (term->source == BUCKET_INHERITED)
            put_inherited(maker, term);
        else
            put_term(maker, maker->table, term, "NEW");
        put(maker, ", ");
    }
    put(maker, "NULL, NULL)");
}

/* Has the table a column home that its own columns decide? */
static bool fills_home(const struct maker *maker)
{
    if (maker->table->home_column_no == 0)
        return false;
    for (uint8_t i = 0; i < maker->table->bucket_term_count; i++)
        if (maker->table->bucket_terms[i].source == BUCKET_GIVEN)
            return false;
    return maker->table->bucket_term_count > 0;
}

static void put_fill_home(struct maker *maker)
{
    put(maker, "  UPDATE %s SET \"home\" = ", maker->name);
    put_home(maker);
    put(maker, " WHERE id = NEW.id;\n");
}

/* "o.a = NEW.a COLLATE x AND ...": rows that the index holds to be the same as NEW. A column that
 * is NULL is never the same, and = says so too. */
static void put_unique_match(struct maker *maker, const struct unique_index *unique)
{
    for (uint8_t i = 0; i < unique->column_count; i++) {
        const char *column = quoted(maker, unique->columns[i]);

        put(maker, "%so.%s = ", i == 0 ? "" : " AND ", column);
        if (unique->defaults[i] != NULL)
            put(maker, "coalesce(NEW.%s, %s)", column, unique->defaults[i]);
        else
            put(maker, "NEW.%s", column);
        put(maker, " COLLATE %s", quoted(maker, unique->collations[i]));
    }
    if (unique->predicate != NULL)
        put(maker, " AND (%s)", unique->predicate);
}

/* Does `name` stand anywhere in `text`, in whatever case? */
static bool mentions(const char *text, const char *name)
{
    size_t size = strlen(name);

    for (; *text != '\0'; text++)
        if (strncasecmp(text, name, size) == 0)
            return true;
    return false;
}

/* Columns that can bring a row into conflict with another one by this index. Rather too many than
 * too few: all of them if it has columns that the catalog doesn't know, or a name with quotes. */
static uint64_t unique_columns(const struct maker *maker, const struct unique_index *unique)
{
    const struct catalog_table *table = maker->table;
    uint64_t mask = 0;

    for (uint8_t i = 0; i < unique->column_count; i++) {
        const struct catalog_column *column = catalog_column_by_name(table, unique->columns[i]);

        if (column == NULL)
            return table->columns_mask;
        mask |= UINT64_C(1) << column->number;
    }
    if (unique->has_expression || (unique->is_partial && unique->predicate == NULL))
        return table->columns_mask;
    if (!unique->is_partial)
        return mask & table->columns_mask;
    for (uint8_t n = 1; n < table->column_count; n++)
        if (catalog_has_column(table, n) && (strpbrk(table->columns[n].name, "\"`]") != NULL ||
                                             mentions(unique->predicate, table->columns[n].name)))
            mask |= UINT64_C(1) << n;
    return mask & table->columns_mask;
}

/* "RAISE(ABORT, '...')": before, the table's name, the column's if there is one, after. */
static void put_raise(struct maker *maker, const char *before, const char *column,
                      const char *after)
{
    put(maker, "RAISE(ABORT, '%s%s%s%s%s') ", before, maker->raw_name, column == NULL ? "" : ".",
        column == NULL ? "" : doubled(maker, column, '\'', false), after);
}

/* A refusal: "... SELECT RAISE(...) FROM fs_capture WHERE is_on". No line is ever put: but SQLite
 * keeps the parsed text of an INSERT in a quarter of the room that a SELECT takes. */
static void put_refusal(struct maker *maker, const char *before, const char *column,
                        const char *after)
{
    put(maker, "  INSERT INTO fs_outbox(lcn) SELECT ");
    put_raise(maker, before, column, after);
    put(maker, FROM_IF_ON);
}

static void put_begin(struct maker *maker, const char *suffix, const char *event)
{
    put(maker, "CREATE TRIGGER %s %s", quoted(maker, object_name(maker, suffix)), event);
}

static void put_on(struct maker *maker)
{
    put(maker, " ON %s\n", maker->name);
}

static uint64_t insert_mask(const struct maker *maker)
{
    uint64_t mask = maker->table->columns_mask;

    if (is_agent(maker))
        mask &= ~maker->table->server_only_mask;
    if (maker->table->home_column_no != 0)
        mask &= ~(UINT64_C(1) << maker->table->home_column_no);
    return mask;
}

/* What stands before the new row, or the row `was` with a new id, is written: its id is looked at.
 */
static void put_id_check(struct maker *maker, const char *was)
{
    put(maker,
        "  INSERT INTO _fs_id VALUES (%s, NEW.id, EXISTS (SELECT 1 FROM %s WHERE id = NEW.id));\n",
        was, maker->name);
}

/* Another row that the index holds to be the same. A row that an update doesn't bring into conflict
 * may get a line, too: that is harmless. */
static void put_look(struct maker *maker, const struct unique_index *unique, const char *not_was)
{
    put(maker, "  INSERT INTO _fs_line SELECT '?', %d, id, 0", maker->table->number);
    put_old_place(maker, "");
    put(maker, " FROM %s AS o WHERE ", maker->name);
    put_unique_match(maker, unique);
    put(maker, " AND id IS NOT NEW.id%s;\n", not_was);
}

/* The row that is there with NEW's id; must be the last line before the row itself. A key change
 * onto it is so rare that all columns count as different. */
static void put_met(struct maker *maker, const char *not_was)
{
    put(maker, "  INSERT INTO _fs_line SELECT 'R', %d, id, ", maker->table->number);
    if (not_was[0] == '\0')
        put_mask(maker, "");
    else
        put(maker, "%" PRIu64, insert_mask(maker));
    put_old_place(maker, "");
    put(maker, " FROM %s WHERE id = NEW.id%s;\n", maker->name, not_was);
}

/* ---- what only the server sets (agent) ---- */

static void put_default_differs(struct maker *maker, uint8_t number)
{
    const char *fallback = maker->of->defaults[number];

    put(maker, "NEW.%s IS NOT ", column_name(maker, number));
    if (fallback == NULL)
        put(maker, "NULL");
    else
        put(maker, "(%s)", fallback);
}

static void put_home_is_foreign(struct maker *maker, const char *old)
{
    put(maker, "NEW.\"home\" IS NOT %s AND NEW.\"home\" IS NOT ", old);
    put_home(maker);
}

/* Given values are let through if the row has them already: REPLACE and UPSERT of a whole row. */
static void put_given_refusals(struct maker *maker)
{
    bool is_begun = false;

    for (uint8_t n = 1; n < maker->table->column_count; n++) {
        const char *name = column_name(maker, n);
        bool is_home = n == maker->table->home_column_no;
        /* then nothing is what a new row gets, and what the row that isn't there seems to have */
        bool is_null_default = !is_home && maker->of->defaults[n] == NULL;

        if (!is_home && !is_server_only(maker, n))
            continue;
        if (!is_begun)
            put(maker,
                "  INSERT INTO fs_outbox(lcn) SELECT 1 FROM fs_capture LEFT JOIN %s AS o ON"
                " o.id = NEW.id WHERE CASE",
                maker->name);
        is_begun = true;
        put(maker, "\n  WHEN %sNEW.%s IS NOT o.%s%s%s AND ",
            is_null_default ? "" : "(o.id IS NULL OR ", name, name, binary(maker),
            is_null_default ? "" : ")");
        if (is_home)
            put_home_is_foreign(maker, "NULL");
        else
            put_default_differs(maker, n);
        put(maker, " THEN ");
        put_raise(maker, "", maker->table->columns[n].name, " is set by the server: leave it out");
    }
    if (is_begun)
        put(maker, "ELSE 0 END;\n");
}

static void put_changed_refusals(struct maker *maker)
{
    bool is_begun = false;

    for (uint8_t n = 1; n < maker->table->column_count; n++) {
        if (!is_server_only(maker, n))
            continue;
        if (!is_begun)
            put(maker, "  INSERT INTO fs_outbox(lcn) SELECT 1 WHERE CASE");
        is_begun = true;
        put(maker, "\n  WHEN OLD.%s IS NOT NEW.%s%s THEN ", column_name(maker, n),
            column_name(maker, n), binary(maker));
        put_raise(maker, "", maker->table->columns[n].name, " is set by the server only");
    }
    if (is_begun)
        put(maker, "ELSE 0 END;\n");
}

/* Columns that a REPLACE on a device may not change. */
static uint64_t kept_columns(const struct maker *maker)
{
    const struct catalog_table *table = maker->table;
    uint64_t kept = table->append_only ? table->columns_mask : table->server_only_mask;

    if (!is_agent(maker))
        return 0;
    if (table->home_column_no != 0)
        kept &= ~(UINT64_C(1) << table->home_column_no);
    return kept;
}

/* After the insert and its line: did a REPLACE remove another row, where a device may not? SELECT
 * needs no table of its own at each row, as INSERT does from a SELECT that reads what it fills. */
static void put_other_removed(struct maker *maker)
{
    if (!refuses_delete(maker) || maker->of->unique_count == 0)
        return;
    put(maker, "  SELECT ");
    put_raise(maker, "REPLACE removes another row of ", NULL, ": devices never delete its rows");
    put(maker,
        "FROM _fs_looked AS l WHERE l.id <> NEW.id AND l.tbl = %d AND NOT EXISTS"
        " (SELECT 1 FROM %s AS o WHERE o.id = l.row_id);\n",
        maker->table->number, maker->name);
}

/* ---- the triggers ---- */

static void make_before_insert(struct maker *maker)
{
    put_begin(maker, "before_insert", "BEFORE INSERT");
    put_on(maker);
    put(maker, "WHEN (SELECT id IS NOT NEW.id");
    if (!is_agent(maker)) /* its counter may be behind its rows: others write them */
        put(maker, "\n  OR EXISTS (SELECT 1 FROM %s WHERE id = NEW.id)", maker->name);
    for (size_t i = 0; i < maker->of->unique_count; i++) {
        put(maker, "\n  OR EXISTS (SELECT 1 FROM %s AS o WHERE ", maker->name);
        put_unique_match(maker, &maker->of->uniques[i]);
        put(maker, ")");
    }
    for (uint8_t n = 1; n < maker->table->column_count && is_agent(maker); n++) {
        if (n == maker->table->home_column_no)
            put(maker, "\n  OR NEW.\"home\" IS NOT NULL");
        if (!is_server_only(maker, n))
            continue;
        put(maker, "\n  OR ");
        put_default_differs(maker, n);
    }
    put(maker, " FROM _fs_next)\nBEGIN\n");
    put_id_check(maker, "NULL");
    if (is_agent(maker))
        put_given_refusals(maker);
    for (size_t i = 0; i < maker->of->unique_count; i++)
        put_look(maker, &maker->of->uniques[i], "");
    put_met(maker, "");
    put(maker, "END");
}

static void put_inserted(struct maker *maker)
{
    uint64_t kept = kept_columns(maker);

    if (kept != 0)
        put(maker, "  INSERT INTO _fs_new VALUES (%d, NEW.id, %" PRIu64 ", %" PRIu64 ");\n",
            maker->table->number, insert_mask(maker), kept);
    else
        put(maker,
            "  INSERT INTO fs_outbox(tbl, row_id, op, mask, base_seq) SELECT %d, NEW.id, 'I', "
            "%" PRIu64 ", published_seq" FROM_IF_ON ";\n",
            maker->table->number, insert_mask(maker));
}

/* A table of which a device may write nothing: it is told so at once. AFTER, for an insert that
 * becomes an update or nothing never gets there. */
static void make_insert_refusal(struct maker *maker)
{
    put_begin(maker, "insert", "AFTER INSERT");
    put_on(maker);
    put(maker, "BEGIN\n");
    put_refusal(maker, "rows of ", NULL, " are made by the server only");
    put(maker, ";\nEND");
}

static void make_insert(struct maker *maker)
{
    put_begin(maker, "insert", "AFTER INSERT");
    put_on(maker);
    if (fills_home(maker))
        put(maker, "WHEN " IS_ON "\n");
    put(maker, "BEGIN\n");
    put_inserted(maker);
    if (is_agent(maker))
        put_other_removed(maker);
    if (fills_home(maker))
        put_fill_home(maker);
    put(maker, "END");
}

/* " OF a, b": the captured columns. A statement that names none of them doesn't run the trigger. */
static void put_of_captured(struct maker *maker)
{
    const char *between = " OF ";

    for (uint8_t n = 1; n < maker->table->column_count; n++) {
        if (!is_captured(maker, n))
            continue;
        put(maker, "%s%s", between, column_name(maker, n));
        between = ", ";
    }
}

/* The mask is worked out once: LIMIT keeps SQLite from putting it in place of each m. */
static void make_update(struct maker *maker)
{
    put_begin(maker, "update", "AFTER UPDATE");
    put_of_captured(maker);
    put_on(maker);
    put(maker,
        "BEGIN\n  INSERT INTO fs_outbox(tbl, row_id, op, mask, base_seq)"
        " SELECT %d, NEW.id, 'U', m, published_seq\n  FROM (SELECT ",
        maker->table->number);
    put_mask(maker, "OLD.");
    put(maker, " AS m LIMIT 1) CROSS JOIN fs_capture WHERE m AND is_on AND OLD.id IS NEW.id;\nEND");
}

/* Does anything differ that isn't home or, where a device may write nothing, anything at all? */
static void put_differs(struct maker *maker)
{
    put(maker, "WHEN OLD.id IS NOT NEW.id");
    for (uint8_t n = 1; n < maker->table->column_count; n++) {
        if (!catalog_has_column(maker->table, n) ||
            (n == maker->table->home_column_no && !is_made_by_server(maker)))
            continue;
        put(maker, "\n  OR OLD.%s IS NOT NEW.%s%s", column_name(maker, n), column_name(maker, n),
            binary(maker));
    }
    put(maker, "\n");
}

/* Rows that a device may never change. */
static void make_update_refusal(struct maker *maker)
{
    put_begin(maker, "update", "AFTER UPDATE");
    if (!is_made_by_server(maker)) { /* what fills in home has nothing to fear here */
        put_of_captured(maker);
        put(maker, "%s" KEY_NAMES, has_captured_columns(maker) ? ", " : " OF ");
    }
    put_on(maker);
    put_differs(maker);
    put(maker, "BEGIN\n");
    if (is_made_by_server(maker))
        put_refusal(maker, "rows of ", NULL, " are changed by the server only");
    else
        put_refusal(maker, "rows of ", NULL,
                    " are facts and never changed: insert a new one that refers to it");
    put(maker, ";\nEND");
}

static void make_key(struct maker *maker)
{
    put_begin(maker, "key", "AFTER UPDATE OF " KEY_NAMES);
    put_on(maker);
    put(maker,
        "WHEN OLD.id IS NOT NEW.id\nBEGIN\n"
        "  INSERT INTO fs_key_change VALUES (%d, OLD.id, NEW.id, %" PRIu64,
        maker->table->number, insert_mask(maker));
    put_old_place(maker, "OLD.");
    put(maker, ");\nEND");
}

/* Columns that decide home and may change. */
static bool decides_home(const struct maker *maker, uint8_t number)
{
    if (refuses_update(maker))
        return false;
    for (uint8_t i = 0; i < maker->table->bucket_term_count; i++) {
        const struct bucket_term *term = &maker->table->bucket_terms[i];

        if (term->source != BUCKET_CONSTANT && term->column_no == number)
            return fills_home(maker);
    }
    return false;
}

static bool has_deciders(const struct maker *maker)
{
    for (uint8_t n = 0; n < maker->table->column_count; n++)
        if (decides_home(maker, n))
            return true;
    return false;
}

static bool has_home_to_keep(const struct maker *maker)
{
    if (is_made_by_server(maker))
        return false;
    return (is_agent(maker) && maker->table->home_column_no != 0) || has_deciders(maker);
}

static void put_deciders_differ(struct maker *maker)
{
    const char *between = "";

    for (uint8_t n = 0; n < maker->table->column_count; n++) {
        if (!decides_home(maker, n))
            continue;
        put(maker, "%sOLD.%s IS NOT NEW.%s", between, column_name(maker, n), column_name(maker, n));
        between = " OR ";
    }
}

/* Keeps home what the row's columns say; on an agent nobody may say otherwise. The home that the
 * trigger itself fills in passes as one that is right. */
static void make_home(struct maker *maker)
{
    bool follows = has_deciders(maker);

    put_begin(maker, "home", "AFTER UPDATE OF ");
    for (uint8_t n = 1; n < maker->table->column_count; n++)
        if (decides_home(maker, n))
            put(maker, "%s, ", column_name(maker, n));
    put(maker, is_agent(maker) ? "\"home\"" : KEY_NAMES);
    if (is_agent(maker) && decides_home(maker, 0))
        put(maker, ", " KEY_NAMES);
    put_on(maker);
    put(maker, "WHEN (");
    if (follows)
        put_deciders_differ(maker);
    if (is_agent(maker)) {
        put(maker, follows ? " OR (" : "(");
        put_home_is_foreign(maker, "OLD.\"home\"");
        put(maker, ")");
    }
    put(maker, ") AND " IS_ON "\nBEGIN\n");
    if (is_agent(maker)) {
        put_refusal(maker, "", "home", " is set by the server only");
        if (follows) {
            put(maker, " AND ");
            put_home_is_foreign(maker, "OLD.\"home\"");
        }
        put(maker, ";\n");
    }
    if (follows) {
        put(maker, "  UPDATE %s SET \"home\" = ", maker->name);
        put_home(maker);
        put(maker, " WHERE id = NEW.id AND (");
        put_deciders_differ(maker);
        put(maker, ");\n");
    }
    put(maker, "END");
}

/* Columns whose change has to be looked at before it is made. */
static uint64_t watched_columns(const struct maker *maker)
{
    uint64_t watched = 0;

    if (is_agent(maker))
        watched = maker->table->server_only_mask;
    for (size_t i = 0; i < maker->of->unique_count; i++)
        watched |= unique_columns(maker, &maker->of->uniques[i]);
    if (maker->table->home_column_no != 0 && is_agent(maker))
        watched &=
            ~(UINT64_C(1) << maker->table->home_column_no); /* the server gives it: no edit */
    return watched;
}

/* Runs only for statements that name a watched column: most don't. */
static void make_before_update(struct maker *maker)
{
    static const char NOT_WAS[] = " AND id IS NOT OLD.id";
    uint64_t watched = watched_columns(maker);

    put_begin(maker, "before_update", "BEFORE UPDATE OF " KEY_NAMES);
    for (uint8_t n = 1; n < maker->table->column_count; n++)
        if ((watched >> n & 1) != 0)
            put(maker, ", %s", column_name(maker, n));
    put_on(maker);
    put(maker, "WHEN (OLD.id IS NOT NEW.id");
    for (uint8_t n = 1; n < maker->table->column_count; n++)
        if ((watched >> n & 1) != 0)
            put(maker, "\n  OR OLD.%s IS NOT NEW.%s%s", column_name(maker, n),
                column_name(maker, n), binary(maker));
    put(maker, ") AND " IS_ON "\n");
    put(maker, "BEGIN\n");
    put_id_check(maker, "OLD.id");
    if (is_agent(maker))
        put_changed_refusals(maker);
    for (size_t i = 0; i < maker->of->unique_count; i++)
        put_look(maker, &maker->of->uniques[i], NOT_WAS);
    put_met(maker, NOT_WAS);
    put(maker, "END");
}

static void make_before_delete(struct maker *maker)
{
    put_begin(maker, "before_delete", "BEFORE DELETE");
    put_on(maker);
    put(maker, "BEGIN\n");
    put_refusal(maker, "rows of ", NULL, " are never deleted by a device");
    put(maker, ";\nEND");
}

static void make_delete(struct maker *maker)
{
    put_begin(maker, "delete", "AFTER DELETE");
    put_on(maker);
    put(maker, "BEGIN\n  INSERT INTO _fs_line VALUES ('D', %d, OLD.id, 0", maker->table->number);
    put_old_place(maker, "OLD.");
    put(maker, ");\nEND");
}

static void make_feed(struct maker *maker)
{
    put(maker, "CREATE INDEX %s ON %s(\"_fs_bucket\", \"_fs_seq\")",
        quoted(maker, object_name(maker, "feed")), maker->name);
}

/* ---- all of them ---- */

struct recipe {
    const char *suffix;
    const char *type;
    void (*make)(struct maker *maker);
    bool (*is_needed)(const struct maker *maker); /* NULL: always */
};

static bool is_server(const struct maker *maker)
{
    return !is_agent(maker);
}

static const struct recipe RECIPES[] = {
    {"before_insert", "trigger", make_before_insert, takes_rows},
    {"insert", "trigger", make_insert, takes_rows},
    {"insert", "trigger", make_insert_refusal, is_made_by_server},
    {"before_update", "trigger", make_before_update, has_before_update},
    {"update", "trigger", make_update, captures_update},
    {"update", "trigger", make_update_refusal, refuses_update},
    {"key", "trigger", make_key, has_before_update},
    {"home", "trigger", make_home, has_home_to_keep},
    {"before_delete", "trigger", make_before_delete, refuses_delete},
    {"delete", "trigger", make_delete, captures_delete},
    {"feed", "index", make_feed, is_server},
};
enum { RECIPE_COUNT = sizeof RECIPES / sizeof RECIPES[0] };
static_assert((int)RECIPE_COUNT <= (int)TRIGGER_OBJECTS_MAX,
              "each recipe makes at most one object");

static void make_object(struct maker *maker, const struct recipe *recipe,
                        struct trigger_object *ret_object)
{
    struct bytes copy = {0};

    buffer_reset(&maker->text);
    recipe->make(maker);
    if (maker->result == RESULT_OK)
        maker->result = arena_copy(maker->arena, buffer_bytes(&maker->text), &copy, maker->problem);
    if (maker->result != RESULT_OK)
        return;
    *ret_object = (struct trigger_object){
        .type = recipe->type,
        .name = object_name(maker, recipe->suffix),
        .on = strcmp(recipe->type, "trigger") == 0 ? maker->table->name : NULL,
        .text = (const char *)copy.data,
    };
}

/* ---- all of a table ---- */

enum result trigger_text_make(const struct trigger_table *table, struct arena *arena,
                              struct trigger_object ret_objects[TRIGGER_OBJECTS_MAX],
                              size_t *ret_count, struct problem *problem)
{
    enum { TEXT_SIZE_MAX = 1024 * 1024 };
    struct maker maker = {.of = table, .table = table->table, .arena = arena, .problem = problem};
    size_t count = 0;

    *ret_count = 0;
    if (table->table->is_local)
        return RESULT_OK;
    buffer_init(&maker.text, TEXT_SIZE_MAX);
    maker.name = quoted(&maker, table->table->name);
    maker.raw_name = doubled(&maker, table->table->name, '\'', false);
    for (size_t i = 0; i < RECIPE_COUNT && maker.result == RESULT_OK; i++) {
        if (RECIPES[i].is_needed != NULL && !RECIPES[i].is_needed(&maker))
            continue;
        make_object(&maker, &RECIPES[i], &ret_objects[count]);
        count++;
    }
    buffer_done(&maker.text);
    if (maker.result != RESULT_OK)
        problem_add(problem, "triggers of %s", table->table->name);
    else
        *ret_count = count;
    return maker.result;
}

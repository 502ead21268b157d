/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of unsent work. Lines whose row can't be read are taken out again and named: sealed
 * without it they would say something else than what was done. */
#include "agent/replica/rescue_inside.h"

#include "base/invariant.h"

enum { ROWS_MAX = 4 << 20 };

/* What the lines say of one row. */
struct unsent {
    const struct catalog_table *table;
    int64_t row_id;
    int64_t lcn_first, lcn_last; /* of its lines; 0: it has none */
    char last_op;
    bool has_insert, may_be_gone, is_waiting;
    int64_t recorded_at;
};
struct unsent_list {
    struct unsent *rows; /* in order of table and row */
    size_t count;
};

enum { COLUMN_TABLE, COLUMN_ROW, COLUMN_LCN, COLUMN_OP, COLUMN_TIME };
static const char UNSENT[] =
    " FROM (SELECT tbl AS t, row_id AS r, lcn AS l, op AS o, edited_at AS e FROM fs_outbox"
    " WHERE op <> '-' UNION ALL SELECT table_no, row_id, 0, 'S', recorded_at FROM fs_seal_change"
    " WHERE is_pending = 1 UNION ALL SELECT table_no, row_id, 0, 'W', edited_at"
    " FROM fs_unsendable) ";

static void follow(struct unsent *row, struct sql_statement *statement)
{
    struct value op = sql_column(statement, COLUMN_OP);
    char letter = op.type == VALUE_TEXT && op.bytes.size == 1 ? (char)op.bytes.data[0] : ' ';

    row->recorded_at = sql_column_integer(statement, COLUMN_TIME);
    row->is_waiting |= letter == 'W';
    if (letter == 'S' || letter == 'W')
        return;
    if (row->lcn_first == 0)
        row->lcn_first = sql_column_integer(statement, COLUMN_LCN);
    row->lcn_last = sql_column_integer(statement, COLUMN_LCN);
    row->has_insert |= letter == 'I';
    row->may_be_gone |= letter == 'D' || letter == '?';
    row->last_op = letter;
}

static enum result list_rows(struct rescue *rescue, struct sql_statement *statement,
                             struct unsent_list *list, size_t room)
{
    bool has_row = true;
    enum result result = RESULT_OK;

    while (result == RESULT_OK) {
        const struct catalog_table *table = NULL;
        struct unsent *row = list->count == 0 ? NULL : &list->rows[list->count - 1];
        int64_t row_id = 0;

        result = sql_step(statement, &has_row, rescue->problem);
        if (result != RESULT_OK || !has_row)
            break;
        table = replica_table(rescue->replica, sql_column_integer(statement, COLUMN_TABLE));
        row_id = sql_column_integer(statement, COLUMN_ROW);
        if (table == NULL)
            continue; /* of a table that is gone: it never was sent */
        if (row == NULL || row->table != table || row->row_id != row_id) {
            invariant(list->count < room);
            row = &list->rows[list->count++];
            *row = (struct unsent){.table = table, .row_id = row_id};
        }
        follow(row, statement);
    }
    return result;
}

static enum result list_unsent(struct rescue *rescue, struct arena *arena, struct unsent_list *list)
{
    struct sql_database *database = rescue->replica->database;
    struct sql_statement *statement = NULL;
    struct buffer text;
    int64_t room = 0;
    enum result result;

    buffer_init(&text, 2048);
    result = buffer_append(&text, "SELECT count(*)", 15, rescue->problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, UNSENT, sizeof UNSENT, rescue->problem);
    if (result == RESULT_OK)
        result = sql_query_integer(database, (const char *)text.data, NULL, 0, 0, &room,
                                   rescue->problem);
    if (result == RESULT_OK && room > ROWS_MAX)
        result =
            problem_set(rescue->problem, RESULT_EXHAUSTED, "more than %d changes", (int)ROWS_MAX);
    if (result == RESULT_OK) {
        list->rows = arena_array(arena, (size_t)room + 1, sizeof *list->rows);
        if (list->rows == NULL)
            result = arena_full(arena, rescue->problem);
    }
    buffer_reset(&text);
    if (result == RESULT_OK)
        result = buffer_append(&text, "SELECT t, r, l, o, e", 20, rescue->problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, UNSENT, sizeof UNSENT - 1, rescue->problem);
    if (result == RESULT_OK)
        result = buffer_append(&text, "ORDER BY t, r, l", 17, rescue->problem);
    if (result == RESULT_OK)
        result = sql_prepare(database, (const char *)text.data, &statement, rescue->problem);
    if (result == RESULT_OK)
        result = list_rows(rescue, statement, list, (size_t)room + 1);
    sql_release(statement);
    buffer_done(&text);
    return result;
}

/* ---- naming -----------------------------------------------------------------------------------
 */

static enum result add_fields(struct rescue *rescue, const struct catalog_table *table,
                              uint64_t mask, const struct value *values, struct rescue_loss *loss)
{
    struct rescue_field *fields = arena_array(rescue->arena, table->column_count, sizeof *fields);
    enum result result = RESULT_OK;

    if (fields == NULL)
        return arena_full(rescue->arena, rescue->problem);
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++) {
        struct rescue_field *field = &fields[loss->field_count];

        if ((mask >> n & 1) == 0 || !catalog_has_column(table, n))
            continue;
        field->name = arena_format(rescue->arena, "%s", table->columns[n].name);
        if (field->name == NULL)
            return arena_full(rescue->arena, rescue->problem);
        result = value_copy(rescue->arena, &values[n], &field->value, rescue->problem);
        loss->field_count++;
    }
    loss->fields = fields;
    return result;
}

/* `values` NULL: they aren't known. `reason` is copied. */
static enum result name(struct rescue *rescue, const struct catalog_table *table,
                        const struct rescue_loss *known, const char *reason, uint64_t mask,
                        const struct value *values)
{
    struct rescue_loss loss = *known;
    enum result result = RESULT_OK;

    loss.kind = RESCUE_LOST_CHANGE;
    loss.table_name = arena_format(rescue->arena, "%s", table->name);
    loss.reason = arena_format(rescue->arena, "%s", reason);
    if (loss.table_name == NULL || loss.reason == NULL)
        return arena_full(rescue->arena, rescue->problem);
    if (values != NULL)
        result = add_fields(rescue, table, mask, values, &loss);
    return result == RESULT_OK ? rescue_lose(rescue, &loss) : result;
}

/* Its lines go: the list has them now. */
static enum result give_up(struct rescue *rescue, const struct unsent *row, const char *reason,
                           const struct value *values)
{
    const struct rescue_loss known = {.op = row->last_op == 'D' || row->last_op == '?' ? "delete"
                                            : row->has_insert                          ? "insert"
                                                                                       : "update",
                                      .row_id = row->row_id,
                                      .first = row->lcn_first,
                                      .last = row->lcn_last,
                                      .recorded_at = {row->recorded_at}};
    const struct value key[] = {value_integer(row->table->number), value_integer(row->row_id),
                                value_integer(row->lcn_first), value_integer(row->lcn_last)};
    enum result result = name(rescue, row->table, &known, reason, row->table->columns_mask, values);

    if (result == RESULT_OK)
        result = sql_run(rescue->replica->database,
                         "DELETE FROM fs_outbox WHERE lcn BETWEEN ?3 AND ?4 AND tbl = ?1"
                         " AND row_id = ?2",
                         key, 4, rescue->problem);
    if (result == RESULT_OK)
        result = sql_run(rescue->replica->database,
                         "DELETE FROM fs_unsendable WHERE table_no = ?1 AND row_id = ?2", key, 2,
                         rescue->problem);
    return result;
}

/* ---- rows -------------------------------------------------------------------------------------
 */

/* A column that the old file didn't have yet gets what a new one gets. */
static enum result read_values(struct rescue *rescue, const struct catalog_table *table,
                               struct wreck_scan *scan, struct value *values)
{
    enum result result = RESULT_OK;

    values[0] = value_integer(wreck_rowid(scan));
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++) {
        values[n] = value_null();
        if (!catalog_has_column(table, n))
            continue;
        values[n] = table->columns[n].default_value;
        if (wreck_has_column(scan, table->columns[n].name))
            result = wreck_value(scan, table->columns[n].name, &rescue->replica->step_arena,
                                 &values[n], rescue->problem);
    }
    return result;
}

static enum result put(struct rescue *rescue, const struct catalog_table *table,
                       const struct value *values)
{
    struct sql_statement *statement = NULL;
    bool has_row = false;
    enum result result =
        sql_prepare(rescue->replica->database, rescue->replica->sql[table->number].put, &statement,
                    rescue->problem);

    if (result == RESULT_OK)
        result = sql_bind_integer(statement, 1, values[0].integer, rescue->problem);
    for (uint8_t n = 1; n < table->column_count && result == RESULT_OK; n++)
        if (catalog_has_column(table, n))
            result = sql_bind(statement, n + 1, &values[n], rescue->problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, rescue->problem);
    sql_release(statement);
    return result;
}

static enum result keep(struct rescue *rescue, const struct unsent *row, struct wreck_scan *scan)
{
    struct value values[ROW_COLUMNS_MAX + 1];
    bool has_own = row->lcn_first != 0 || row->is_waiting; /* or all of it is in a seal */
    struct problem why = {0};
    enum result result = read_values(rescue, row->table, scan, values);

    if (result != RESULT_OK)
        return result;
    if (rescue->outcome->is_identity_lost)
        return has_own ? give_up(rescue, row, "who this device is can't be read", values)
                       : RESULT_OK;
    result = put(rescue, row->table, values);
    if (result != RESULT_REFUSED)
        return result;
    why = *rescue->problem;
    *rescue->problem = (struct problem){0};
    return has_own ? give_up(rescue, row, why.text, values) : RESULT_OK;
}

static enum result rescue_row(struct rescue *rescue, const struct unsent *row)
{
    bool has_own = row->lcn_first != 0 || row->is_waiting;
    enum wreck_found found = WRECK_END;
    struct wreck_scan scan;
    enum result result = RESULT_OK;

    arena_reset(&rescue->replica->step_arena);
    if (row->last_op == 'D' && rescue->outcome->is_identity_lost)
        return give_up(rescue, row, "who this device is can't be read", NULL);
    if (row->last_op == 'D')
        return RESULT_OK; /* it was deleted: there is nothing to read */
    wreck_scan_begin(&scan, rescue->wreck, row->table->name, row->row_id, row->row_id);
    result = wreck_next(&scan, &found, rescue->problem);
    if (result == RESULT_OK && found == WRECK_ROW)
        result = keep(rescue, row, &scan);
    else if (result == RESULT_OK && found == WRECK_GAP && has_own)
        result = give_up(rescue, row, "its values can't be read", NULL);
    else if (result == RESULT_OK && found == WRECK_END && has_own &&
             (!row->may_be_gone || rescue->outcome->is_identity_lost))
        result = give_up(rescue, row, "the row isn't there", NULL);
    wreck_scan_end(&scan);
    return result;
}

/* ---- lines that are lost -----------------------------------------------------------------------
 */

static const struct unsent *find(const struct unsent_list *list, const struct catalog_table *table,
                                 int64_t row_id)
{
    size_t low = 0;
    size_t high = list->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct unsent *row = &list->rows[middle];

        if (row->table == table && row->row_id == row_id)
            return row;
        if (row->table->number < table->number || (row->table == table && row->row_id < row_id))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Its insert is among the lines that are lost: one new line stands for all of it. */
static enum result write_insert(struct rescue *rescue, const struct catalog_table *table,
                                int64_t row_id, const struct unsent *known)
{
    int64_t at = known != NULL ? known->recorded_at : rescue->options->now.us;
    const struct value values[] = {
        value_integer(table->number),
        value_integer(row_id),
        value_integer((int64_t)(table->columns_mask & ~table->server_only_mask)),
        value_integer(at),
        value_integer(rescue->base_seq),
        value_integer(rescue->sealed_lcn),
    };
    enum result result = RESULT_OK;

    if (known != NULL)
        result = sql_run(rescue->replica->database,
                         "DELETE FROM fs_outbox WHERE tbl = ?1 AND row_id = ?2", values, 2,
                         rescue->problem);
    if (result == RESULT_OK)
        result = sql_run(rescue->replica->database,
                         "INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, edited_at, base_seq)"
                         " SELECT max(?6, coalesce((SELECT max(lcn) FROM fs_outbox), 0)) + 1,"
                         " ?1, ?2, 'I', ?3, ?4, ?5",
                         values, 6, rescue->problem);
    return result;
}

static enum result keep_new(struct rescue *rescue, const struct unsent_list *list,
                            const struct catalog_table *table, struct wreck_scan *scan)
{
    struct value values[ROW_COLUMNS_MAX + 1];
    int64_t row_id = wreck_rowid(scan);
    const struct unsent *known = find(list, table, row_id);
    struct rescue_loss loss = {.op = "insert", .row_id = row_id};
    enum result result = RESULT_OK;

    if (known != NULL && known->has_insert)
        return RESULT_OK; /* its lines are here */
    arena_reset(&rescue->replica->step_arena);
    result = read_values(rescue, table, scan, values);
    if (result == RESULT_OK)
        result = put(rescue, table, values);
    if (result == RESULT_REFUSED) {
        struct problem why = *rescue->problem;

        *rescue->problem = (struct problem){0};
        return name(rescue, table, &loss, why.text, table->columns_mask, values);
    }
    return result == RESULT_OK ? write_insert(rescue, table, row_id, known) : result;
}

/* An id's counter is at most the number of the line that recorded its insert: rows of this replica
 * above all seals are new. */
static enum result find_new(struct rescue *rescue, const struct unsent_list *list,
                            const struct catalog_table *table)
{
    enum wreck_found found = WRECK_GAP;
    struct wreck_scan scan;
    enum result result = RESULT_OK;

    wreck_scan_begin(&scan, rescue->wreck, table->name,
                     id_of(rescue->replica_no, rescue->sealed_lcn + 1),
                     id_of(rescue->replica_no, ID_COUNTER_MAX));
    while (result == RESULT_OK && found != WRECK_END) {
        struct rescue_loss loss = {.kind = RESCUE_LOST_ROWS, .op = "insert"};

        result = wreck_next(&scan, &found, rescue->problem);
        if (result == RESULT_OK && found == WRECK_ROW)
            result = keep_new(rescue, list, table, &scan);
        if (result != RESULT_OK || found != WRECK_GAP)
            continue;
        loss.table_name = arena_format(rescue->arena, "%s", table->name);
        loss.first = scan.gap_first;
        loss.last = scan.gap_last == scan.last ? INT64_MAX : scan.gap_last;
        loss.reason = "a page of the table can't be read";
        result = loss.table_name == NULL ? arena_full(rescue->arena, rescue->problem)
                                         : rescue_lose(rescue, &loss);
    }
    wreck_scan_end(&scan);
    return result;
}

enum result rescue_rows(struct rescue *rescue)
{
    const struct catalog *catalog = &rescue->replica->catalog;
    struct unsent_list list = {0};
    struct arena arena;
    enum result result;

    arena_init(&arena, REPLICA_ARENA_SIZE_MAX);
    result = list_unsent(rescue, &arena, &list);
    for (size_t i = 0; i < list.count && result == RESULT_OK; i++)
        result = rescue_row(rescue, &list.rows[i]);
    if (rescue->are_lines_lost && !rescue->outcome->is_identity_lost)
        for (size_t i = 1; i < catalog->table_count && result == RESULT_OK; i++)
            if (table_is_synced(&catalog->tables[i]))
                result = find_new(rescue, &list, &catalog->tables[i]);
    arena_done(&arena);
    return result;
}

/* ---- changes in seals, by name -----------------------------------------------------------------
 */

static enum result name_change(struct rescue *rescue, struct sql_statement *statement)
{
    static const char *const OPS[] = {"", "insert", "update", "delete"};
    const struct catalog_table *table =
        replica_table(rescue->replica, sql_column_integer(statement, 0));
    int64_t op = sql_column_integer(statement, 2);
    uint64_t mask = (uint64_t)sql_column_integer(statement, 3);
    struct value *values = NULL;
    struct value data = sql_column(statement, 4);
    struct rescue_loss known = {.row_id = sql_column_integer(statement, 1),
                                .first = sql_column_integer(statement, 6),
                                .last = sql_column_integer(statement, 6),
                                .recorded_at = {sql_column_integer(statement, 5)}};
    enum result result;

    invariant(table != NULL && op >= CHANGE_INSERT && op <= CHANGE_DELETE); /* looked at before */
    known.op = OPS[op];
    arena_reset(&rescue->replica->step_arena);
    result = unpack_values(table, mask, data.bytes, &rescue->replica->step_arena, &values,
                           rescue->problem);
    return result == RESULT_OK
               ? name(rescue, table, &known,
                      "who this device is can't be read; the server may have it", mask, values)
               : result;
}

enum result rescue_name_sealed(struct rescue *rescue)
{
    struct sql_statement *statement = NULL;
    bool has_row = true;
    enum result result = sql_prepare(rescue->replica->database,
                                     "SELECT table_no, row_id, op, mask, data, recorded_at, lcn"
                                     " FROM fs_seal_change WHERE is_pending = 1 ORDER BY lcn",
                                     &statement, rescue->problem);

    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, rescue->problem);
        if (result != RESULT_OK || !has_row)
            break;
        result = name_change(rescue, statement);
    }
    sql_release(statement);
    for (struct rescue_loss *loss = rescue->sealed_losses; loss != NULL && result == RESULT_OK;
         loss = loss->next)
        result = rescue_lose(rescue, loss);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The books of a damaged replica: who it is, its seals, its lines. Whatever is read goes straight
 * into the new replica's tables, in one transaction. */
#include "agent/replica/rescue_inside.h"

#include "base/invariant.h"

#include <string.h>

enum {
    COLUMNS_MAX = 16,
    COUNTER_JUMP = 1 << 20, /* more numbers than a page of lines that nobody can read has given */
};
#define SEAL_NO_MIN (-(INT64_C(1) << 40)) /* answered ones of former numbers count down from 0 */

enum result rescue_lose(struct rescue *rescue, const struct rescue_loss *loss)
{
    struct rescue_loss *kept = arena_alloc(rescue->arena, sizeof *kept);

    if (kept == NULL)
        return arena_full(rescue->arena, rescue->problem);
    *kept = *loss;
    kept->next = NULL;
    if (rescue->loss_last == NULL)
        rescue->outcome->losses = kept;
    else
        rescue->loss_last->next = kept;
    rescue->loss_last = kept;
    rescue->outcome->loss_count++;
    return RESULT_OK;
}

static enum result run(struct rescue *rescue, const char *sql, const struct value *values,
                       size_t count)
{
    return sql_run(rescue->replica->database, sql, values, count, rescue->problem);
}

static enum result query(struct rescue *rescue, const char *sql, int64_t *ret_number)
{
    return sql_query_integer(rescue->replica->database, sql, NULL, 0, 0, ret_number,
                             rescue->problem);
}

/* ---- a table of the books ---------------------------------------------------------------------
 */

struct book {
    const char *table;
    const char *insert;
    size_t column_count;
    const char *columns[COLUMNS_MAX];
};

static const struct book SCRIPTS = {
    "fs_script",
    "INSERT OR REPLACE INTO fs_script(name, text, is_pending) SELECT ?1, ?2, NOT EXISTS"
    " (SELECT 1 FROM fs_migration WHERE name = ?1) WHERE ?3 <> 2", /* 2: more of them is to come */
    3,
    {"name", "text", "is_pending"}};
static const struct book STATE = {
    "fs_state",
    "INSERT OR REPLACE INTO fs_state(name, number, data) VALUES (?1, ?2, ?3)",
    3,
    {"name", "number", "data"}};
static const struct book SEALS = {
    "fs_seal",
    "INSERT INTO fs_seal(seal_no, incarnation, lcn_first, lcn_last, schema_version, sealed_at,"
    " previous_digest, digest, verdict_at, commit_seq)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    10,
    {"seal_no", "incarnation", "lcn_first", "lcn_last", "schema_version", "sealed_at",
     "previous_digest", "digest", "verdict_at", "commit_seq"}};
static const struct book CHANGES = {
    "fs_seal_change",
    "INSERT INTO fs_seal_change(lcn, seal_no, table_no, row_id, op, mask, base_seq, edited_at,"
    " recorded_at, data, is_pending, verdict, reason, merged_into_id, verdict_at)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    15,
    {"lcn", "seal_no", "table_no", "row_id", "op", "mask", "base_seq", "edited_at", "recorded_at",
     "data", "is_pending", "verdict", "reason", "merged_into_id", "verdict_at"}};
static const struct book WAITING = {
    "fs_unsendable",
    "INSERT INTO fs_unsendable(table_no, row_id, op, mask, base_seq, edited_at, reason)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    7,
    {"table_no", "row_id", "op", "mask", "base_seq", "edited_at", "reason"}};
static const struct book LINES = {
    "fs_outbox",
    "INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, edited_at, base_seq)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    7,
    {"lcn", "tbl", "row_id", "op", "mask", "edited_at", "base_seq"}};

/* RESULT_REFUSED: what was read can't be such a row. */
static enum result copy_row(struct rescue *rescue, const struct book *book, struct wreck_scan *scan)
{
    struct value values[COLUMNS_MAX];
    enum result result = RESULT_OK;

    arena_reset(&rescue->replica->step_arena);
    for (size_t i = 0; i < book->column_count && result == RESULT_OK; i++)
        result = wreck_value(scan, book->columns[i], &rescue->replica->step_arena, &values[i],
                             rescue->problem);
    return result == RESULT_OK ? run(rescue, book->insert, values, book->column_count) : result;
}

/* What to do with a row; what wasn't read, or can't be what it says. */
struct copying {
    const struct book *book;
    bool (*is_likely)(struct rescue *rescue, struct wreck_scan *scan); /* NULL: any */
    enum result (*on_gap)(struct rescue *rescue, int64_t first, int64_t last);
};

static enum result copy_found(struct rescue *rescue, const struct copying *copying,
                              struct wreck_scan *scan)
{
    int64_t rowid = wreck_rowid(scan);
    enum result result = RESULT_REFUSED;

    if (copying->is_likely == NULL || copying->is_likely(rescue, scan))
        result = copy_row(rescue, copying->book, scan);
    if (result != RESULT_REFUSED)
        return result;
    *rescue->problem = (struct problem){0};
    return copying->on_gap(rescue, rowid, rowid);
}

static enum result copy_book(struct rescue *rescue, const struct copying *copying,
                             struct wreck_scan *scan)
{
    enum wreck_found found = WRECK_GAP;
    enum result result = RESULT_OK;

    while (result == RESULT_OK && found != WRECK_END) {
        result = wreck_next(scan, &found, rescue->problem);
        if (result == RESULT_OK && found == WRECK_ROW)
            result = copy_found(rescue, copying, scan);
        else if (result == RESULT_OK && found == WRECK_GAP)
            result = copying->on_gap(rescue, scan->gap_first, scan->gap_last);
    }
    wreck_scan_end(scan);
    if (result != RESULT_OK)
        problem_add(rescue->problem, "rescuing %s", copying->book->table);
    return result;
}

/* ---- scripts of the server, who this device is -------------------------------------------------
 */

/* The server sends them again; rows of tables that aren't there until then are named. */
static enum result on_script_gap(struct rescue *rescue, int64_t first, int64_t last)
{
    (void)rescue;
    (void)first;
    (void)last;
    return RESULT_OK;
}

static enum result copy_scripts(struct rescue *rescue)
{
    static const struct copying COPYING = {&SCRIPTS, NULL, on_script_gap};
    struct sql_transaction transaction = {0};
    struct wreck_scan scan;
    int64_t count = 0;
    enum result result = replica_write_begin(rescue->replica, &transaction, rescue->problem);

    wreck_scan_begin(&scan, rescue->wreck, SCRIPTS.table, 1, INT64_MAX);
    if (result == RESULT_OK)
        result = copy_book(rescue, &COPYING, &scan);
    if (result == RESULT_OK)
        result = query(rescue, "SELECT count(*) FROM fs_script WHERE is_pending = 1", &count);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, rescue->problem);
    sql_end(&transaction);
    if (result != RESULT_OK || count == 0)
        return result;
    replica_close(rescue->replica); /* opening it runs them */
    rescue->replica = NULL;
    return replica_open(rescue->options->fresh, &rescue->replica, rescue->problem);
}

static enum result on_state_gap(struct rescue *rescue, int64_t first, int64_t last)
{
    (void)first;
    (void)last;
    rescue->outcome->is_identity_lost = true;
    return RESULT_OK;
}

/* Nothing is published in the new one. A lost fact can be the offline limit or a revocation, which
 * nobody gets rid of by damaging a page: then the device doesn't go on. */
static enum result copy_state(struct rescue *rescue)
{
    static const struct copying COPYING = {&STATE, NULL, on_state_gap};
    struct replica *replica = rescue->replica;
    struct problem *problem = rescue->problem;
    struct wreck_scan scan;
    enum result result;

    wreck_scan_begin(&scan, rescue->wreck, STATE.table, 1, INT64_MAX);
    result = copy_book(rescue, &COPYING, &scan);
    if (result == RESULT_OK)
        result = state_number(replica, "replica_no", -1, &rescue->replica_no, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "sealed_lcn", 0, &rescue->sealed_lcn, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "seal_no", 0, &rescue->seal_no, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "published_seq", 0, &rescue->base_seq, problem);
    if (result == RESULT_OK)
        result =
            run(rescue, "DELETE FROM fs_state WHERE name IN ('published_at', 'published_floor')",
                NULL, 0);
    if (result == RESULT_OK)
        result = state_set_number(replica, "published_seq", 0, problem);
    if (result == RESULT_OK &&
        (rescue->replica_no <= 0 || rescue->sealed_lcn < 0 || rescue->sealed_lcn > ID_COUNTER_MAX))
        rescue->outcome->is_identity_lost = true;
    if (rescue->outcome->is_identity_lost) { /* everything that is found is named */
        rescue->sealed_lcn = 0;
        rescue->seal_no = ID_COUNTER_MAX;
    }
    return result == RESULT_OK ? schemas_load(replica, problem) : result;
}

/* ---- seals ------------------------------------------------------------------------------------
 */

static enum result on_seal_gap(struct rescue *rescue, int64_t first, int64_t last)
{
    (void)first;
    (void)last;
    rescue->is_seal_missing = true;
    return RESULT_OK;
}

static enum result on_change_gap(struct rescue *rescue, int64_t first, int64_t last)
{
    struct rescue_loss *loss = arena_alloc(rescue->arena, sizeof *loss);

    if (loss == NULL)
        return arena_full(rescue->arena, rescue->problem);
    *loss = (struct rescue_loss){.kind = RESCUE_LOST_SEALED,
                                 .op = "",
                                 .first = first,
                                 .last = last,
                                 .reason = "a page of the seals can't be read",
                                 .next = rescue->sealed_losses};
    rescue->sealed_losses = loss;
    return RESULT_OK;
}

/* Whatever the damage has made of a change, its values must be readable: nothing else of this
 * program looks at them as carefully. */
static bool is_change_likely(struct rescue *rescue, struct wreck_scan *scan)
{
    const struct catalog_table *table =
        replica_table(rescue->replica, wreck_integer(scan, "table_no"));
    int64_t op = wreck_integer(scan, "op");
    struct problem ignored = {0};
    struct value data = {0};
    struct value *values = NULL;

    if (wreck_integer(scan, "is_pending") == 0)
        return true; /* history, which no more is sent */
    if (table == NULL || op < CHANGE_INSERT || op > CHANGE_DELETE)
        return false;
    arena_reset(&rescue->replica->step_arena);
    return wreck_value(scan, "data", &rescue->replica->step_arena, &data, &ignored) == RESULT_OK &&
           data.type == VALUE_BLOB &&
           unpack_values(table, (uint64_t)wreck_integer(scan, "mask"), data.bytes,
                         &rescue->replica->step_arena, &values, &ignored) == RESULT_OK;
}

static enum result copy_seals(struct rescue *rescue)
{
    static const struct copying HEADS = {&SEALS, NULL, on_seal_gap};
    static const struct copying COPYING = {&CHANGES, is_change_likely, on_change_gap};
    int64_t lcn_last = rescue->outcome->is_identity_lost ? ID_COUNTER_MAX : rescue->sealed_lcn;
    struct wreck_scan scan;
    enum result result;

    wreck_scan_begin(&scan, rescue->wreck, SEALS.table, SEAL_NO_MIN, rescue->seal_no);
    result = copy_book(rescue, &HEADS, &scan);
    if (result == RESULT_OK) {
        wreck_scan_begin(&scan, rescue->wreck, CHANGES.table, 1, lcn_last);
        result = copy_book(rescue, &COPYING, &scan);
    }
    if (result == RESULT_OK && rescue->outcome->is_identity_lost)
        result = query(rescue, "SELECT max(lcn_last) FROM fs_seal", &rescue->sealed_lcn);
    return result;
}

/* *ret_is_open false: it isn't there, or has its answer. */
static enum result prove_seal(struct rescue *rescue, int64_t seal_no, bool *ret_is_whole,
                              bool *ret_is_open)
{
    struct replica *replica = rescue->replica;
    const struct value number = value_integer(seal_no);
    struct message_push head = {0};
    uint8_t digest[SEAL_DIGEST_SIZE];
    int64_t is_open = -1;
    enum result result = sql_query_integer(
        replica->database, "SELECT verdict_at IS NULL FROM fs_seal WHERE seal_no = ?1", &number, 1,
        -1, &is_open, rescue->problem);

    *ret_is_open = is_open == 1;
    *ret_is_whole = is_open == 0 || (is_open < 0 && !rescue->is_seal_missing);
    if (result != RESULT_OK || is_open != 1)
        return result;
    arena_reset(&replica->step_arena);
    result = seal_read(replica, seal_no, &replica->step_arena, &head, rescue->problem);
    if (result == RESULT_OK)
        result = seal_compute_digest(replica, &head, digest, rescue->problem);
    if (result == RESULT_OK)
        *ret_is_whole = bytes_equal(head.digest, bytes_of(digest, sizeof digest));
    if (result == RESULT_EXHAUSTED)
        return result;
    *rescue->problem = (struct problem){0}; /* what can't be read isn't whole */
    return RESULT_OK;
}

/* From the newest seal down to one that was answered: all before it were. */
static enum result prove_seals(struct rescue *rescue, bool *ret_are_whole)
{
    struct bytes newest = {0};
    struct value parameters[2] = {value_integer(rescue->seal_no)};
    int64_t stray_count = 0;
    bool is_open = true;
    enum result result = RESULT_OK;

    *ret_are_whole = true;
    for (int64_t n = rescue->seal_no; n > 0 && is_open && *ret_are_whole && result == RESULT_OK;
         n--)
        result = prove_seal(rescue, n, ret_are_whole, &is_open);
    if (result == RESULT_OK)
        result = query(rescue,
                       "SELECT count(*) FROM fs_seal_change AS c WHERE is_pending = 1 AND NOT"
                       " EXISTS (SELECT 1 FROM fs_seal AS s WHERE s.seal_no = c.seal_no"
                       " AND s.verdict_at IS NULL)",
                       &stray_count);
    *ret_are_whole = *ret_are_whole && stray_count == 0;
    if (result == RESULT_OK)
        result = state_data(rescue->replica, "seal_digest", &rescue->replica->step_arena, &newest,
                            rescue->problem);
    parameters[1] = value_blob(newest);
    if (result == RESULT_OK)
        result = sql_query_integer(rescue->replica->database,
                                   "SELECT count(*) FROM fs_seal WHERE seal_no = ?1"
                                   " AND digest <> ?2",
                                   parameters, 2, 0, &stray_count, rescue->problem);
    *ret_are_whole = *ret_are_whole && stray_count == 0;
    return result;
}

/* As if this disk had been put back: one seal with everything, number 1, that follows nothing. The
 * server that knows of others asks its admin, and under the next number all of it goes up; rows
 * that it has already are recognised (docs/SYNC.md 5, Copies). */
static enum result make_one_seal(struct rescue *rescue)
{
    static const uint8_t ZEROS[SEAL_DIGEST_SIZE] = {0};
    static const char *const STEPS[] = {
        "DELETE FROM fs_seal WHERE verdict_at IS NULL",
        "UPDATE fs_seal_change SET seal_no = seal_no - 1 - ?1 WHERE is_pending = 0",
        "UPDATE fs_seal SET seal_no = seal_no - 1 - ?1",
        "UPDATE fs_seal_change SET seal_no = 1 WHERE is_pending = 1 AND ?1 >= 0",
    };
    struct replica *replica = rescue->replica;
    const struct value newest = value_integer(rescue->seal_no);
    struct message_push head = {.seal_no = 1,
                                .lcn_first = 1,
                                .lcn_last = rescue->sealed_lcn,
                                .sealed_at = rescue->options->now,
                                .previous_digest = bytes_of(ZEROS, sizeof ZEROS)};
    int64_t count = 0;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && result == RESULT_OK; i++)
        result = run(rescue, STEPS[i], &newest, i == 0 ? 0 : 1);
    if (result == RESULT_OK)
        result = state_number(replica, "incarnation", 0, &head.incarnation, rescue->problem);
    if (result == RESULT_OK)
        result = query(rescue, "SELECT count(*) FROM fs_seal_change WHERE is_pending = 1", &count);
    head.schema_version = schemas_spoken(replica);
    if (result == RESULT_OK && count > 0)
        result = seal_write(replica, &head, rescue->problem);
    else if (result == RESULT_OK)
        result =
            run(rescue, "DELETE FROM fs_state WHERE name IN ('seal_no', 'seal_digest')", NULL, 0);
    for (struct rescue_loss *loss = rescue->sealed_losses; loss != NULL && result == RESULT_OK;
         loss = loss->next)
        result = rescue_lose(rescue, loss);
    return result;
}

static enum result settle_seals(struct rescue *rescue)
{
    bool are_whole = false;
    enum result result = prove_seals(rescue, &are_whole);

    if (result != RESULT_OK || are_whole)
        return result;
    rescue->outcome->are_seals_lost = true;
    return make_one_seal(rescue);
}

/* ---- lines ------------------------------------------------------------------------------------
 */

static enum result on_line_gap(struct rescue *rescue, int64_t first, int64_t last)
{
    const struct rescue_loss loss = {.kind = RESCUE_LOST_LINES,
                                     .op = "",
                                     .first = first,
                                     .last = last >= ID_COUNTER_MAX ? INT64_MAX : last,
                                     .reason = "a page of the outbox can't be read"};

    rescue->are_lines_lost = true;
    return rescue_lose(rescue, &loss);
}

static enum result on_waiting_gap(struct rescue *rescue, int64_t first, int64_t last)
{
    const struct rescue_loss loss = {.kind = RESCUE_LOST_LINES,
                                     .op = "",
                                     .first = 1,
                                     .last = rescue->sealed_lcn,
                                     .reason = "the list of changes that couldn't be sent as they"
                                               " are can't be read"};

    (void)first;
    (void)last;
    return rescue_lose(rescue, &loss);
}

static bool is_line_likely(struct rescue *rescue, struct wreck_scan *scan)
{
    struct value op = {0};
    struct problem ignored = {0};

    arena_reset(&rescue->replica->step_arena);
    if (wreck_value(scan, "op", &rescue->replica->step_arena, &op, &ignored) != RESULT_OK ||
        op.type != VALUE_TEXT || op.bytes.size != 1 || op.bytes.data[0] == '\0' ||
        strchr("IUDR?-", op.bytes.data[0]) == NULL)
        return false;
    return op.bytes.data[0] == '-' ||
           replica_table(rescue->replica, wreck_integer(scan, "tbl")) != NULL;
}

static enum result copy_lines(struct rescue *rescue)
{
    static const struct copying COPYING = {&LINES, is_line_likely, on_line_gap};
    static const struct copying COPYING_WAITING = {&WAITING, NULL, on_waiting_gap};
    struct wreck_scan scan;
    enum result result;

    wreck_scan_begin(&scan, rescue->wreck, LINES.table, rescue->sealed_lcn + 1, ID_COUNTER_MAX);
    result = copy_book(rescue, &COPYING, &scan);
    wreck_scan_begin_keyed(&scan, rescue->wreck, WAITING.table);
    if (result == RESULT_OK)
        result = copy_book(rescue, &COPYING_WAITING, &scan);
    return result;
}

/* Numbers that were given on pages nobody can read aren't given again. */
static enum result jump_ahead(struct rescue *rescue)
{
    const struct value numbers[] = {value_integer(rescue->sealed_lcn), value_integer(COUNTER_JUMP)};

    return run(rescue,
               "INSERT INTO fs_outbox(lcn, tbl, row_id, op, mask, base_seq)"
               " SELECT max(?1, coalesce((SELECT max(lcn) FROM fs_outbox), 0)) + ?2,"
               " 0, 0, '-', 0, 0",
               numbers, 2);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static enum result count_rescued(struct rescue *rescue)
{
    const struct {
        const char *sql;
        int64_t *room;
    } counts[] = {
        {"SELECT count(*) FROM fs_seal_change WHERE is_pending = 1",
         &rescue->outcome->sealed_count},
        {"SELECT count(*) FROM fs_seal WHERE verdict_at IS NULL", &rescue->outcome->seal_count},
        {"SELECT count(*) FROM fs_outbox WHERE op <> '-'", &rescue->outcome->line_count},
        {"SELECT count(*) FROM (SELECT DISTINCT tbl, row_id FROM fs_outbox WHERE op <> '-')",
         &rescue->outcome->row_count},
    };
    enum result result = RESULT_OK;

    for (size_t i = 0; i < sizeof counts / sizeof counts[0] && result == RESULT_OK; i++)
        result = query(rescue, counts[i].sql, counts[i].room);
    return result;
}

static enum result fill(struct rescue *rescue)
{
    struct sql_transaction transaction = {0};
    enum result result = replica_durable_begin(rescue->replica, &transaction, rescue->problem);

    if (result == RESULT_OK) /* nothing of this is anybody's edit */
        result = run(rescue, "INSERT INTO fs_flag(k) VALUES (1)", NULL, 0);
    if (result == RESULT_OK)
        result = copy_state(rescue);
    if (result == RESULT_OK)
        result = copy_seals(rescue);
    if (result == RESULT_OK)
        result =
            rescue->outcome->is_identity_lost ? rescue_name_sealed(rescue) : settle_seals(rescue);
    if (result == RESULT_OK)
        result = copy_lines(rescue);
    if (result == RESULT_OK)
        result = rescue_rows(rescue);
    if (result == RESULT_OK)
        result = jump_ahead(rescue);
    if (result == RESULT_OK)
        result = count_rescued(rescue);
    if (result == RESULT_OK)
        result = run(rescue, "DELETE FROM fs_flag", NULL, 0);
    if (result == RESULT_OK && !rescue->outcome->is_identity_lost)
        result = sql_commit(&transaction, rescue->problem);
    replica_durable_end(rescue->replica, &transaction);
    return result;
}

/* Into the one file, and looked at again. */
static enum result finish(struct rescue *rescue)
{
    struct sql_database *database = rescue->replica->database;
    enum result result = sql_exec(
        database, "PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE", rescue->problem);

    return result == RESULT_OK ? sql_integrity_check(database, rescue->problem) : result;
}

enum result replica_rescue(const struct rescue_options *options, struct arena *arena,
                           struct rescue_outcome *ret_outcome, struct problem *problem)
{
    struct rescue rescue = {
        .options = options, .arena = arena, .outcome = ret_outcome, .problem = problem};
    enum result result =
        wreck_open(options->damaged, options->damaged_vault, &rescue.wreck, problem);

    *ret_outcome = (struct rescue_outcome){0};
    if (result == RESULT_OK)
        ret_outcome->is_sound = wreck_is_sound(rescue.wreck);
    if (result == RESULT_OK && !ret_outcome->is_sound) {
        result = replica_open(options->fresh, &rescue.replica, problem);
        if (result == RESULT_OK)
            result = copy_scripts(&rescue);
        if (result == RESULT_OK)
            result = fill(&rescue);
        if (result == RESULT_OK)
            result = finish(&rescue);
    }
    replica_close(rescue.replica);
    wreck_close(rescue.wreck);
    if (result != RESULT_OK)
        problem_add(problem, "rescuing what %s holds", options->damaged);
    return result;
}

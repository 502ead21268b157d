/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing (R7) and sending: what is written down once is sent as often as it takes. */
#include "agent/replica/replica_inside.h"

#include "base/invariant.h"
#include "protocol/limits.h"

#include <inttypes.h>
#include <string.h>

enum {
    PART_CHANGES_MAX = 2000,  /* as many as a message takes */
    DIGEST_CHANGES_MAX = 500, /* read at a time for the digest */
    CHANGE_HEAD_SIZE = 64,    /* of a change on the wire, without values, at most */
    VALUES_SIZE_MAX = 16 << 20,
    SEAL_SIZE_MAX = LIMIT_UNIT_SIZE_MAX - LIMIT_BODY_SIZE_MAX, /* heads of the parts left aside */
};

struct sealing {
    struct replica *replica;
    struct arena *arena;
    struct buffer packed;
    struct sql_statement *insert;
    int64_t seal_no;
    int64_t clock_offset_us;
    size_t change_count;
    size_t size;       /* on the wire, at most */
    bool is_too_large; /* for one seal */
    bool has_waiting;  /* anything in fs_unsendable when it began */
    struct problem *problem;
};

bool replica_seal_is_cut(const struct replica *replica)
{
    return replica->is_seal_cut;
}

enum result replica_has_unsealed(struct replica *replica, bool *ret_has, struct problem *problem)
{
    int64_t has = 0;
    enum result result =
        sql_query_integer(replica->database,
                          "SELECT EXISTS (SELECT 1 FROM fs_outbox WHERE op <> '-' AND lcn >"
                          " coalesce((SELECT number FROM fs_state WHERE name = 'sealed_lcn'), 0))",
                          NULL, 0, 0, &has, problem);

    if (result == RESULT_OK)
        *ret_has = has != 0;
    return result;
}

/* ---- can it travel? -------------------------------------------------------------------------- */

/* Any program may have written a text into a column of numbers; such a change would stop all others
 * if it were sealed. NULL: it can be sent. */
static const char *value_fault(const struct catalog_column *column, const struct value *value)
{
    if (value->type == VALUE_NULL)
        return column->nullable ? NULL : "NULL isn't allowed here";
    if (value->type == VALUE_TEXT && !bytes_are_text(value->bytes))
        return "the text isn't UTF-8";
    if ((value->type == VALUE_TEXT || value->type == VALUE_BLOB) &&
        value->bytes.size > REPLICA_TEXT_SIZE_MAX)
        return "more than 64 KiB: use an attachment";
    if (value->type == column->type || (value->type == VALUE_INTEGER && column->type == VALUE_REAL))
        return NULL;
    switch (column->type) {
    case VALUE_INTEGER:
        return "an integer is expected";
    case VALUE_REAL:
        return "a number is expected";
    case VALUE_TEXT:
        return "a text is expected";
    default:
        return "a blob is expected";
    }
}

static const char *change_fault(struct arena *arena, const struct catalog_table *table,
                                const struct outbox_row *row, const struct value *values)
{
    for (uint8_t n = 1; n < table->column_count; n++) {
        const char *fault =
            (row->mask >> n & 1) == 0 ? NULL : value_fault(&table->columns[n], &values[n]);

        if (fault != NULL)
            return arena_format(arena, "%s: %s", table->columns[n].name, fault);
    }
    return NULL;
}

static enum result keep_waiting(struct sealing *sealing, const struct outbox_row *row,
                                const char *fault)
{
    const struct value values[] = {
        value_integer(row->table_no),
        value_integer(row->row_id),
        value_integer((int64_t)row->op),
        value_integer((int64_t)row->mask),
        value_integer(row->base_seq),
        value_integer(row->recorded_at),
        value_text_of(fault),
    };

    return sql_run(sealing->replica->database,
                   "INSERT OR REPLACE INTO fs_unsendable(table_no, row_id, op, mask, base_seq,"
                   " edited_at, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   values, 7, sealing->problem);
}

static enum result stop_waiting(struct sealing *sealing, const struct outbox_row *row)
{
    const struct value values[] = {value_integer(row->table_no), value_integer(row->row_id)};

    if (!sealing->has_waiting)
        return RESULT_OK;
    return sql_run(sealing->replica->database,
                   "DELETE FROM fs_unsendable WHERE table_no = ?1 AND row_id = ?2", values, 2,
                   sealing->problem);
}

/* ---- the seal -------------------------------------------------------------------------------- */

static enum result write_change(struct sealing *sealing, const struct outbox_row *row)
{
    struct problem *problem = sealing->problem;
    const struct value values[] = {
        value_integer(row->lcn),         value_integer(sealing->seal_no),
        value_integer(row->table_no),    value_integer(row->row_id),
        value_integer((int64_t)row->op), value_integer((int64_t)row->mask),
        value_integer(row->base_seq),    value_integer(row->recorded_at + sealing->clock_offset_us),
        value_integer(row->recorded_at), value_blob(buffer_bytes(&sealing->packed)),
    };
    bool has_row = false;
    enum result result = RESULT_OK;

    sealing->size += CHANGE_HEAD_SIZE + sealing->packed.size;
    sealing->change_count++;
    sealing->is_too_large =
        sealing->size > SEAL_SIZE_MAX || sealing->change_count > LIMIT_UNIT_CHANGES_MAX;
    if (sealing->is_too_large)
        return problem_set(sealing->problem, RESULT_EXHAUSTED, "more than one seal can hold");
    sql_reset(sealing->insert);
    result = sql_bind_all(sealing->insert, values, sizeof values / sizeof values[0], problem);
    if (result == RESULT_OK)
        result = sql_step(sealing->insert, &has_row, problem);
    return result;
}

/* The bucket that a row takes over from the rows above it, as they are now; 0: it takes over none,
 * or they aren't here. */
static enum result inherited_bucket(struct sealing *sealing, const struct catalog_table *table,
                                    const struct value *values, int64_t *ret_bucket)
{
    enum { PARENTS_MAX = 16 };
    enum result result = RESULT_OK;

    *ret_bucket = 0;
    for (int step = 0; step < PARENTS_MAX; step++) {
        const struct bucket_term *term = NULL;
        struct value *above = NULL;

        for (uint8_t i = 0; i < table->bucket_term_count && term == NULL; i++)
            if (table->bucket_terms[i].source == BUCKET_CONSTANT ||
                table->bucket_terms[i].source == BUCKET_GIVEN ||
                values[table->bucket_terms[i].column_no].type != VALUE_NULL)
                term = &table->bucket_terms[i];
        if (term == NULL || term->source != BUCKET_INHERITED ||
            values[term->column_no].type != VALUE_INTEGER)
            return RESULT_OK;
        table = replica_table(sealing->replica, table->columns[term->column_no].refers_to);
        result = replica_read_row(sealing->replica, table, values[term->column_no].integer,
                                  sealing->arena, &above, ret_bucket, sealing->problem);
        if (result != RESULT_OK || above == NULL)
            return result;
        values = above;
    }
    return RESULT_OK;
}

/* The triggers fill `home` of a new row when it is inserted; the rows above it may have been moved
 * since then, in this file. The server works it out anew: so must we. */
static enum result refresh_home(struct sealing *sealing, const struct catalog_table *table,
                                int64_t row_id, struct value *values)
{
    struct sql_database *database = sealing->replica->database;
    uint8_t home = table->home_column_no;
    int64_t bucket = 0;
    bool exists = false;
    enum result result = inherited_bucket(sealing, table, values, &bucket);

    if (result != RESULT_OK || bucket == 0 ||
        (values[home].type == VALUE_INTEGER && values[home].integer == bucket))
        return result;
    values[home] = value_integer(bucket);
    result = sql_run(database, "INSERT INTO fs_flag(k) VALUES (1)", NULL, 0, sealing->problem);
    if (result == RESULT_OK)
        result = replica_update_row(sealing->replica, table, row_id, UINT64_C(1) << home, values,
                                    &exists, sealing->problem);
    if (result == RESULT_OK)
        result = sql_run(database, "DELETE FROM fs_flag", NULL, 0, sealing->problem);
    return result;
}

/* To a server that is older than this device goes what it knows; the rest waits. */
static enum result seal_known(struct sealing *sealing, const struct catalog_table *table,
                              const struct outbox_row *row, struct value *values)
{
    struct outbox_row now = *row;
    struct outbox_row later = {0};
    const char *reason = NULL;
    enum result result = RESULT_OK;

    if (sealing->replica->wire.tables != sealing->replica->catalog.tables)
        reason = schemas_split(sealing->replica, row, values, &now, &later);
    if (later.is_change)
        result = keep_waiting(sealing, &later, reason);
    if (result != RESULT_OK || !now.is_change)
        return result;
    result = pack_values(table, now.mask, values, &sealing->packed, sealing->problem);
    return result == RESULT_OK ? write_change(sealing, &now) : result;
}

static enum result seal_row(struct sealing *sealing, const struct outbox_row *row)
{
    const struct catalog_table *table = replica_table(sealing->replica, row->table_no);
    struct value *values = NULL;
    const char *fault = NULL;
    int64_t bucket = 0;
    enum result result = stop_waiting(sealing, row);

    if (result != RESULT_OK || !row->is_change)
        return result;
    if (row->op != CHANGE_DELETE) {
        result = replica_read_row(sealing->replica, table, row->row_id, sealing->arena, &values,
                                  &bucket, sealing->problem);
        if (result != RESULT_OK)
            return result;
        invariant(values != NULL); /* outbox_read has looked, in this transaction */
        if (row->op == CHANGE_INSERT && table->home_column_no != 0) {
            result = refresh_home(sealing, table, row->row_id, values);
            if (result != RESULT_OK)
                return result;
        }
        fault = change_fault(sealing->arena, table, row, values);
        if (fault != NULL) {
            trace_line(sealing->replica->trace, "replica: %s %" PRId64 " can't be sent: %s",
                       table->name, row->row_id, fault);
            return keep_waiting(sealing, row, fault);
        }
    }
    return seal_known(sealing, table, row, values);
}

static enum result seal_rows(struct sealing *sealing, int64_t lcn_last)
{
    struct outbox outbox = {0};
    struct outbox_row row;
    struct arena row_arena;
    bool has_row = true;
    int64_t has_waiting = 0;
    enum result result = sql_prepare(
        sealing->replica->database,
        "INSERT INTO fs_seal_change(lcn, seal_no, table_no, row_id, op, mask, base_seq, edited_at,"
        " recorded_at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        &sealing->insert, sealing->problem);

    arena_init(&row_arena, REPLICA_ARENA_SIZE_MAX);
    buffer_init(&sealing->packed, VALUES_SIZE_MAX);
    sealing->arena = &row_arena;
    if (result == RESULT_OK)
        result = sql_query_integer(sealing->replica->database,
                                   "SELECT EXISTS (SELECT 1 FROM fs_unsendable)", NULL, 0, 0,
                                   &has_waiting, sealing->problem);
    sealing->has_waiting = has_waiting != 0;
    if (result == RESULT_OK)
        result = outbox_begin(&outbox, sealing->replica, lcn_last, false, sealing->problem);
    while (result == RESULT_OK && has_row) {
        arena_reset(&row_arena);
        result = outbox_next(&outbox, &row, &has_row, sealing->problem);
        if (result == RESULT_OK && has_row)
            result = seal_row(sealing, &row);
    }
    outbox_end(&outbox);
    buffer_done(&sealing->packed);
    arena_done(&row_arena);
    sql_release(sealing->insert);
    return result;
}

static enum result read_changes(struct replica *replica, int64_t seal_no, int64_t table_no_after,
                                int64_t lcn_after, size_t change_max, size_t size_max,
                                struct arena *arena, struct change **ret_changes, size_t *ret_count,
                                bool *ret_more, struct problem *problem);

enum result seal_compute_digest(struct replica *replica, const struct message_push *head,
                                uint8_t ret_digest[SEAL_DIGEST_SIZE], struct problem *problem)
{
    struct seal_digest_state state;
    struct arena part_arena;
    const struct catalog *catalog = NULL;
    int64_t table_no = 0;
    int64_t lcn = 0;
    bool more = true;
    enum result result = replica_catalog_of(replica, head->schema_version, &catalog, problem);

    arena_init(&part_arena, REPLICA_ARENA_SIZE_MAX);
    seal_digest_begin(&state, head);
    while (more && result == RESULT_OK) {
        struct message_push part = *head;

        arena_reset(&part_arena);
        result = read_changes(replica, head->seal_no, table_no, lcn, DIGEST_CHANGES_MAX, SIZE_MAX,
                              &part_arena, &part.changes, &part.change_count, &more, problem);
        if (result == RESULT_OK)
            result = seal_digest_add(&state, catalog, &part, problem);
        if (result == RESULT_OK && part.change_count > 0) {
            table_no = part.changes[part.change_count - 1].table_no;
            lcn = part.changes[part.change_count - 1].lcn;
        }
    }
    arena_done(&part_arena);
    seal_digest_end(&state, ret_digest);
    return result;
}

enum result seal_write(struct replica *replica, const struct message_push *head,
                       struct problem *problem)
{
    uint8_t digest[SEAL_DIGEST_SIZE];
    enum result result = seal_compute_digest(replica, head, digest, problem);
    const struct value values[] = {
        value_integer(head->seal_no),        value_integer(head->incarnation),
        value_integer(head->lcn_first),      value_integer(head->lcn_last),
        value_integer(head->schema_version), value_integer(head->sealed_at.us),
        value_blob(head->previous_digest),   value_blob(bytes_of(digest, sizeof digest)),
    };

    if (result == RESULT_OK)
        result = sql_run(replica->database,
                         "INSERT INTO fs_seal(seal_no, incarnation, lcn_first, lcn_last,"
                         " schema_version, sealed_at, previous_digest, digest)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                         values, 8, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "seal_no", head->seal_no, problem);
    if (result == RESULT_OK)
        result = state_set_number(replica, "seal_lcn", head->lcn_last, problem);
    if (result == RESULT_OK)
        result = state_set_data(replica, "seal_digest", bytes_of(digest, sizeof digest), problem);
    return result;
}

static enum result read_head(struct replica *replica, struct arena *arena,
                             struct message_push *head, struct problem *problem)
{
    int64_t seal_no = 0;
    int64_t lcn = 0;
    enum result result = state_number(replica, "seal_no", 0, &seal_no, problem);

    if (result == RESULT_OK)
        result = state_number(replica, "seal_lcn", 0, &lcn, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "incarnation", 0, &head->incarnation, problem);
    if (result == RESULT_OK)
        result = state_data(replica, "seal_digest", arena, &head->previous_digest, problem);
    if (result != RESULT_OK)
        return result;
    if (head->previous_digest.size != SEAL_DIGEST_SIZE) {
        const uint8_t *zeros = arena_alloc(arena, SEAL_DIGEST_SIZE);

        if (zeros == NULL)
            return arena_full(arena, problem);
        head->previous_digest = bytes_of(zeros, SEAL_DIGEST_SIZE);
    }
    head->seal_no = seal_no + 1;
    head->lcn_first = lcn + 1;
    head->schema_version = schemas_spoken(replica);
    return RESULT_OK;
}

/* Lines that a seal holds are no longer needed; the newest one carries the counter. */
static enum result forget_lines(struct replica *replica, int64_t lcn_last, struct problem *problem)
{
    const struct value value = value_integer(lcn_last);
    enum result result = state_set_number(replica, "sealed_lcn", lcn_last, problem);

    if (result == RESULT_OK)
        result = sql_run(replica->database,
                         "DELETE FROM fs_outbox WHERE lcn <= ?1"
                         " AND lcn < (SELECT max(lcn) FROM fs_outbox)",
                         &value, 1, problem);
    return result;
}

/* What one snapshot of the outbox shows is whole transactions only as a whole (R7): nothing may be
 * left out. More than any server takes in one piece goes in halves all the same, and somebody is
 * told: nobody's work may wait for ever. */
static enum result seal_what_fits(struct sealing *sealing, int64_t lcn_after, int64_t *lcn_last)
{
    struct replica *replica = sealing->replica;
    enum result result = RESULT_OK;

    replica->is_seal_cut = false;
    do {
        sealing->change_count = 0;
        sealing->size = 0;
        sealing->is_too_large = false;
        result = sql_exec(replica->database, "SAVEPOINT seal", sealing->problem);
        if (result == RESULT_OK)
            result = seal_rows(sealing, *lcn_last);
        if (sealing->is_too_large && *lcn_last > lcn_after + 1) {
            *sealing->problem = (struct problem){0};
            replica->is_seal_cut = true;
            *lcn_last = lcn_after + (*lcn_last - lcn_after) / 2;
            result = sql_exec(replica->database, "ROLLBACK TO seal", sealing->problem);
        }
        if (result == RESULT_OK)
            result = sql_exec(replica->database, "RELEASE seal", sealing->problem);
    } while (result == RESULT_OK && sealing->is_too_large);
    return result;
}

enum result seal_all(struct replica *replica, struct wall_time now, int64_t *ret_seal_no,
                     size_t *ret_count, struct problem *problem)
{
    struct sealing sealing = {.replica = replica, .problem = problem};
    struct message_push head = {.sealed_at = now};
    int64_t sealed_lcn = 0;
    enum result result = read_head(replica, &replica->step_arena, &head, problem);

    if (result == RESULT_OK)
        result = state_number(replica, "clock_offset_us", 0, &sealing.clock_offset_us, problem);
    if (result == RESULT_OK)
        result = state_number(replica, "sealed_lcn", 0, &sealed_lcn, problem);
    if (result == RESULT_OK)
        result = sql_query_integer(replica->database, "SELECT max(lcn) FROM fs_outbox", NULL, 0,
                                   sealed_lcn, &head.lcn_last, problem);
    if (head.lcn_last < sealed_lcn)
        head.lcn_last = sealed_lcn;
    sealing.seal_no = head.seal_no;
    if (result == RESULT_OK)
        result = seal_what_fits(&sealing, sealed_lcn, &head.lcn_last);
    if (result == RESULT_OK && sealing.change_count > 0)
        result = seal_write(replica, &head, problem);
    if (result == RESULT_OK)
        result = forget_lines(replica, head.lcn_last, problem);
    *ret_seal_no = sealing.change_count > 0 ? head.seal_no : 0;
    *ret_count = sealing.change_count;
    return result;
}

/* Durable before it is sent: a seal that a power cut took back would be made again with more in it,
 * and the server, which knows the first one, would take this device for a copy. */
enum result replica_seal(struct replica *replica, struct wall_time now, int64_t *ret_seal_no,
                         struct problem *problem)
{
    struct sql_transaction transaction = {0};
    int64_t seal_no = 0;
    size_t count = 0;
    bool has_unsealed = false;
    enum result result = replica_has_unsealed(replica, &has_unsealed, problem);

    if (result == RESULT_OK && !has_unsealed) {
        *ret_seal_no = 0;
        return RESULT_OK;
    }
    if (result == RESULT_OK) /* the server will know its number and digest for ever */
        result = replica_durable_begin(replica, &transaction, problem);
    if (result == RESULT_OK)
        result = seal_all(replica, now, &seal_no, &count, problem);
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    replica_durable_end(replica, &transaction);
    replica->is_disk_known = result == RESULT_OK;
    if (result != RESULT_OK) {
        problem_add(problem, "sealing");
        return result;
    }
    if (seal_no != 0)
        trace_line(replica->trace, "replica: seal %" PRId64 ", %zu changes", seal_no, count);
    replica_written(replica, count);
    *ret_seal_no = seal_no;
    return RESULT_OK;
}

enum result replica_next_seal(struct replica *replica, int64_t seal_after, int64_t *ret_seal_no,
                              struct problem *problem)
{
    const struct value value = value_integer(seal_after);
    int64_t version = 0;
    enum result result = sql_query_integer(
        replica->database,
        "SELECT min(seal_no) FROM fs_seal WHERE verdict_at IS NULL AND seal_no > ?1", &value, 1, 0,
        ret_seal_no, problem);

    if (result != RESULT_OK || *ret_seal_no == 0 || replica_speaks_own(replica))
        return result;
    const struct value seal = value_integer(*ret_seal_no);

    result = sql_query_integer(replica->database,
                               "SELECT schema_version FROM fs_seal WHERE seal_no = ?1", &seal, 1, 0,
                               &version, problem);
    if (result == RESULT_OK && !schemas_may_send(replica, version)) {
        trace_line(replica->trace,
                   "replica: seal %" PRId64 " waits: the server is older than its schema",
                   *ret_seal_no);
        *ret_seal_no = 0; /* seals go in order */
    }
    return result;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static enum result read_change(struct replica *replica, struct sql_statement *statement,
                               struct arena *arena, struct change *ret_change,
                               struct problem *problem)
{
    const struct catalog_table *table = replica_table(replica, sql_column_integer(statement, 0));
    struct change change = {
        .lcn = sql_column_integer(statement, 1),
        .op = (enum change_op)sql_column_integer(statement, 2),
        .row_id = sql_column_integer(statement, 3),
        .mask = (uint64_t)sql_column_integer(statement, 4),
        .base_seq = sql_column_integer(statement, 5),
        .edited_at = {sql_column_integer(statement, 6)},
    };
    struct value data = {0};
    enum result result = RESULT_OK;

    if (table == NULL)
        return problem_set(problem, RESULT_STORAGE,
                           "change %" PRId64 " is of table %" PRId64 ", which isn't there",
                           change.lcn, sql_column_integer(statement, 0));
    change.table_no = table->number;
    result = sql_column_copy(statement, 7, arena, &data, problem);
    if (result == RESULT_OK)
        result = unpack_values(table, change.mask, data.bytes, arena, &change.values, problem);
    if (result == RESULT_OK)
        *ret_change = change;
    return result;
}

/* Changes of a seal after (table, lcn), in message order, up to both bounds but at least one. */
static enum result read_changes(struct replica *replica, int64_t seal_no, int64_t table_no_after,
                                int64_t lcn_after, size_t change_max, size_t size_max,
                                struct arena *arena, struct change **ret_changes, size_t *ret_count,
                                bool *ret_more, struct problem *problem)
{
    const struct value values[] = {value_integer(seal_no), value_integer(table_no_after),
                                   value_integer(lcn_after),
                                   value_integer((int64_t)change_max + 1)};
    struct change *changes = arena_array(arena, change_max, sizeof *changes);
    struct sql_statement *statement = NULL;
    size_t count = 0;
    size_t size = 0;
    bool has_row = false;
    enum result result = RESULT_OK;

    if (changes == NULL)
        return arena_full(arena, problem);
    result = sql_prepare(replica->database,
                         "SELECT table_no, lcn, op, row_id, mask, base_seq, edited_at, data"
                         " FROM fs_seal_change WHERE seal_no = ?1 AND (table_no, lcn) > (?2, ?3)"
                         " ORDER BY table_no, lcn LIMIT ?4",
                         &statement, problem);
    if (result == RESULT_OK)
        result = sql_bind_all(statement, values, 4, problem);
    *ret_more = false;
    while (result == RESULT_OK) {
        result = sql_step(statement, &has_row, problem);
        if (result != RESULT_OK || !has_row)
            break;
        size += CHANGE_HEAD_SIZE + sql_column(statement, 7).bytes.size;
        if (count == change_max || (count > 0 && size > size_max)) {
            *ret_more = true;
            break;
        }
        result = read_change(replica, statement, arena, &changes[count], problem);
        count++;
    }
    sql_release(statement);
    *ret_changes = changes;
    *ret_count = count;
    return result;
}

enum result seal_read(struct replica *replica, int64_t seal_no, struct arena *arena,
                      struct message_push *ret_head, struct problem *problem)
{
    const struct value number = value_integer(seal_no);
    struct sql_statement *statement = NULL;
    struct message_push head = {.seal_no = seal_no};
    struct value previous = {0};
    struct value digest = {0};
    bool has_row = false;
    enum result result =
        sql_prepare(replica->database,
                    "SELECT incarnation, lcn_first, lcn_last, schema_version, sealed_at,"
                    " previous_digest, digest FROM fs_seal WHERE seal_no = ?1",
                    &statement, problem);

    if (result == RESULT_OK)
        result = sql_bind_all(statement, &number, 1, problem);
    if (result == RESULT_OK)
        result = sql_step(statement, &has_row, problem);
    if (result == RESULT_OK && !has_row)
        result = problem_set(problem, RESULT_REFUSED, "there is no seal %" PRId64, seal_no);
    if (result == RESULT_OK) {
        head.incarnation = sql_column_integer(statement, 0);
        head.lcn_first = sql_column_integer(statement, 1);
        head.lcn_last = sql_column_integer(statement, 2);
        head.schema_version = sql_column_integer(statement, 3);
        head.sealed_at.us = sql_column_integer(statement, 4);
        result = sql_column_copy(statement, 5, arena, &previous, problem);
    }
    if (result == RESULT_OK)
        result = sql_column_copy(statement, 6, arena, &digest, problem);
    sql_release(statement);
    if (result != RESULT_OK)
        return result;
    head.previous_digest = previous.bytes;
    head.digest = digest.bytes;
    *ret_head = head;
    return RESULT_OK;
}

/* Where part `part_no` begins: the cache knows it for the part after the last one read. */
static enum result find_part(struct replica *replica, int64_t seal_no, int64_t part_no,
                             size_t size_max, int64_t *ret_table_no, int64_t *ret_lcn,
                             struct problem *problem)
{
    struct arena part_arena;
    int64_t table_no = 0;
    int64_t lcn = 0;
    int64_t at = 0;
    bool more = true;
    enum result result = RESULT_OK;

    if (replica->part_seal_no == seal_no && replica->part_size_max == size_max &&
        replica->part_no <= part_no) {
        at = replica->part_no;
        table_no = replica->part_table_no;
        lcn = replica->part_lcn;
    }
    arena_init(&part_arena, REPLICA_ARENA_SIZE_MAX);
    for (; at < part_no && more && result == RESULT_OK; at++) {
        struct change *changes = NULL;
        size_t count = 0;

        arena_reset(&part_arena);
        result = read_changes(replica, seal_no, table_no, lcn, PART_CHANGES_MAX, size_max,
                              &part_arena, &changes, &count, &more, problem);
        if (result == RESULT_OK && count > 0) {
            table_no = changes[count - 1].table_no;
            lcn = changes[count - 1].lcn;
        }
    }
    arena_done(&part_arena);
    *ret_table_no = table_no;
    *ret_lcn = lcn;
    return result;
}

enum result replica_push_part(struct replica *replica, int64_t seal_no, int64_t part_no,
                              size_t size_max, struct arena *arena, struct message_push *ret_push,
                              struct problem *problem)
{
    struct message_push push = {0};
    int64_t table_no = 0;
    int64_t lcn = 0;
    bool more = false;
    enum result result = seal_read(replica, seal_no, arena, &push, problem);

    if (result == RESULT_OK)
        result = find_part(replica, seal_no, part_no, size_max, &table_no, &lcn, problem);
    if (result == RESULT_OK)
        result = read_changes(replica, seal_no, table_no, lcn, PART_CHANGES_MAX, size_max, arena,
                              &push.changes, &push.change_count, &more, problem);
    if (result == RESULT_OK && part_no > 0 && push.change_count == 0)
        result = problem_set(problem, RESULT_REFUSED, "there is no such part");
    if (result != RESULT_OK) {
        problem_add(problem, "part %" PRId64 " of seal %" PRId64, part_no, seal_no);
        return result;
    }
    push.part_no = part_no;
    push.is_last_part = !more;
    replica->part_seal_no = seal_no;
    replica->part_size_max = size_max;
    replica->part_no = part_no + 1;
    replica->part_table_no =
        push.change_count > 0 ? push.changes[push.change_count - 1].table_no : table_no;
    replica->part_lcn = push.change_count > 0 ? push.changes[push.change_count - 1].lcn : lcn;
    *ret_push = push;
    return RESULT_OK;
}

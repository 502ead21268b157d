/* SPDX-License-Identifier: Apache-2.0 */
#include "server/core/feed_part.h"

#include "base/invariant.h"
#include "schema/catalog_version.h"
#include "server/core/sending.h"
#include "server/store/versions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEVEL_PAGE = 1,   /* zlib: a snapshot is much, and sent once */
    LEVEL_BUNDLE = 3, /* for one reader: 2 % more bytes than 4, a tenth of the time less */
    LEVEL_TAIL = 6,   /* a small delta goes to many */
    ROW_SIZE_MAX = LIMIT_BODY_SIZE_MAX / 4 * 3, /* of one row; more has no message */
    BUNDLE_SIZE_MAX = ROW_SIZE_MAX,             /* of all its rows, unless it has one bucket only */
    GONE_COUNT_MAX = 4096,                      /* departures in one message */
    PAGE_ROWS_MAX = 1024,                       /* rows read in one go */
    IDS_COUNT_MAX = 20000,                      /* ids in one message */
};

/* What is collected for one part. */
struct gathering {
    const struct feed_range *range;
    struct feed_part part;
    int64_t seq_after;
    bool is_whole; /* rows with all their columns */
    size_t capacity;
    size_t count;
    struct row_image *rows;
    size_t size;           /* of the rows, about */
    size_t left_out_count; /* rows that only the reader himself wrote, or in columns not for him */
    size_t gone_count;
    struct gone *gone;
};

void feed_part_done(struct feed_part *part)
{
    for (size_t i = 0; i < part->frame_count; i++)
        shared_frame_release(part->frames[i]);
    free(part->frames);
    *part = (struct feed_part){0};
}

static struct arena *scratch_of(const struct gathering *gathering)
{
    return gathering->range->reader->scratch;
}

/* ---- rows ---- */

/* Is the reader spoken to in this server's own catalog, and of its whole range? Then others may get
 * the same bytes. */
static bool is_plain(const struct feed_range *range)
{
    return range->reader->wire == range->reader->store->catalog && range->bucket->seq_old == 0;
}

/* Columns that a device of the version it had before doesn't know. */
static uint64_t gained_columns(const struct catalog_table *table, int64_t before)
{
    uint64_t mask = 0;

    if (!schema_version_has(before, table->since))
        return table->columns_mask;
    for (uint8_t i = 1; i < table->column_count; i++)
        if (!schema_version_has(before, table->columns[i].since))
            mask |= UINT64_C(1) << i;
    return mask & table->columns_mask;
}

/* Columns newer than the reader's cursor; up to seq_old only those that it had not. */
static uint64_t lacking_columns(const struct gathering *gathering,
                                const struct catalog_table *table, const struct versions *versions)
{
    const struct feed_range *range = gathering->range;
    uint64_t mask = versions_newer_mask(table, versions, gathering->seq_after);

    if (range->bucket->seq_old == 0)
        return mask;
    return versions_newer_mask(table, versions, range->bucket->seq_old) |
           (mask & gained_columns(table, range->schema_before));
}

/* The one replica that wrote everything newer than seq_after; 0: the server or several. */
static int64_t sole_author(const struct catalog_table *table, const struct versions *versions,
                           int64_t seq_after)
{
    int64_t author = -1;

    if (seq_after < versions->full_seq)
        author = versions->insert.replica_no;
    for (uint8_t i = 1; i < table->column_count; i++) {
        if (versions->columns[i].seq <= seq_after)
            continue;
        if (author >= 0 && author != versions->columns[i].replica_no)
            return 0;
        author = versions->columns[i].replica_no;
    }
    return author < 0 ? 0 : author;
}

static void note_author(struct feed_part *part, int64_t replica_no)
{
    for (size_t i = 0; i < part->author_count && i < FEED_CACHE_AUTHORS_MAX; i++)
        if (part->authors[i] == replica_no)
            return;
    if (part->author_count < FEED_CACHE_AUTHORS_MAX)
        part->authors[part->author_count] = replica_no;
    if (part->author_count <= FEED_CACHE_AUTHORS_MAX)
        part->author_count++;
}

static enum result add_row(struct gathering *gathering, const struct row_image *row,
                           struct problem *problem)
{
    if (gathering->count == gathering->capacity) {
        size_t capacity = gathering->capacity == 0 ? 64 : gathering->capacity * 2;
        struct row_image *rows = arena_array(scratch_of(gathering), capacity, sizeof *rows);

        if (rows == NULL)
            return arena_full(scratch_of(gathering), problem);
        if (gathering->count > 0)
            memcpy(rows, gathering->rows, gathering->count * sizeof *rows);
        gathering->rows = rows;
        gathering->capacity = capacity;
    }
    gathering->rows[gathering->count++] = *row;
    return RESULT_OK;
}

static enum result gather_row(struct gathering *gathering, const struct catalog_table *table,
                              const struct stored_row *stored, struct problem *problem)
{
    struct row_image row = {.table_no = table->number,
                            .row_id = stored->id,
                            .seq = stored->seq,
                            .mask = table->columns_mask,
                            .values = stored->values};
    struct versions versions;
    int64_t author = 0;
    size_t size = 0;
    enum result result = versions_of_row(stored, &versions, problem);

    if (result != RESULT_OK)
        return result;
    if (!gathering->is_whole) {
        row.mask = lacking_columns(gathering, table, &versions);
        author = sole_author(table, &versions, gathering->seq_after);
    }
    if (stored->seq < gathering->part.first_seq)
        gathering->part.first_seq = stored->seq;
    if (author > 0 && author == gathering->range->replica_no) {
        gathering->left_out_count++;
        return RESULT_OK;
    }
    if (author > 0)
        note_author(&gathering->part, author);
    size = sending_size(table, row.mask, stored->values);
    if (size > ROW_SIZE_MAX || !sending_fits(table, row.mask, stored->values)) {
        trace_line(gathering->range->reader->trace,
                   "server: %s %" PRId64 " holds a value that can't be sent: left out", table->name,
                   stored->id);
        return RESULT_OK;
    }
    if (row.mask == 0 ||
        (!is_plain(gathering->range) &&
         !catalog_restrict_row(
             table, catalog_table_by_no(gathering->range->reader->wire, table->number), &row))) {
        gathering->left_out_count++;
        return RESULT_OK;
    }
    gathering->size += size;
    return add_row(gathering, &row, problem);
}

static const struct catalog_table *table_of(const struct feed_range *range, size_t head)
{
    const struct catalog_table *table =
        catalog_table_by_no(range->reader->store->catalog, range->heads[head].table_no);

    return table == NULL || table->is_local ? NULL : table; /* NULL: tombstones */
}

/* Newest seq of the bucket, 0 if it never held anything. */
static int64_t bucket_head(const struct feed_range *range)
{
    int64_t seq = 0;

    for (size_t i = 0; i < range->head_count; i++)
        if (range->heads[i].seq > seq)
            seq = range->heads[i].seq;
    return seq;
}

/* ---- departures ---- */

/* Departures of rows that came back later in the same range are no news. */
static enum result drop_returned(struct gathering *gathering, struct problem *problem)
{
    struct lookup rows;
    size_t kept = 0;
    enum result result = RESULT_OK;

    lookup_init(&rows, scratch_of(gathering));
    for (size_t i = 0; i < gathering->count && result == RESULT_OK; i++)
        result = lookup_put(&rows, gathering->rows[i].table_no, gathering->rows[i].row_id,
                            &gathering->rows[i], problem);
    for (size_t i = 0; i < gathering->gone_count && result == RESULT_OK; i++) {
        const struct gone *gone = &gathering->gone[i];
        const struct row_image *row = lookup_find(&rows, gone->table_no, gone->row_id);

        if (row == NULL || row->seq < gone->seq)
            gathering->gone[kept++] = *gone;
    }
    gathering->gone_count = kept;
    return result;
}

/* A reader who doesn't know the table holds no row of it. */
static void drop_unknown(struct gathering *gathering)
{
    size_t kept = 0;

    for (size_t i = 0; i < gathering->gone_count; i++)
        if (catalog_table_by_no(gathering->range->reader->wire, gathering->gone[i].table_no) !=
            NULL)
            gathering->gone[kept++] = gathering->gone[i];
    gathering->gone_count = kept;
}

/* Who catches up with columns has heard of older departures, and won't get again the rows that make
 * them void. */
static int64_t departures_known(const struct feed_bucket *bucket)
{
    return bucket->seq_old > bucket->seq ? bucket->seq_old : bucket->seq;
}

static enum result gather_gone(struct gathering *gathering, int64_t seq_to, int64_t count_max,
                               struct problem *problem)
{
    const struct value parameters[] = {value_integer(gathering->range->bucket->bucket),
                                       value_integer(departures_known(gathering->range->bucket)),
                                       value_integer(seq_to), value_integer(count_max)};
    struct store_result found = {0};
    enum result result = RESULT_OK;

    if (gathering->seq_after == 0)
        return RESULT_OK; /* who starts from nothing has nothing to lose */
    result = store_query(gathering->range->reader->store,
                         "SELECT table_no, row_id, seq, kind FROM fs_tomb WHERE bucket=?1"
                         " AND seq>?2 AND seq<=?3 ORDER BY seq LIMIT ?4",
                         parameters, 4, scratch_of(gathering), &found, problem);
    if (result != RESULT_OK || found.row_count == 0)
        return result;
    gathering->gone = arena_array(scratch_of(gathering), found.row_count, sizeof *gathering->gone);
    if (gathering->gone == NULL)
        return arena_full(scratch_of(gathering), problem);
    gathering->gone_count = found.row_count;
    for (size_t i = 0; i < found.row_count; i++) {
        gathering->gone[i] =
            (struct gone){.table_no = (uint16_t)store_integer_at(&found, i, 0, 0),
                          .row_id = store_integer_at(&found, i, 1, 0),
                          .seq = store_integer_at(&found, i, 2, 0),
                          .kind = (enum gone_kind)store_integer_at(&found, i, 3, GONE_LEFT)};
        if (gathering->gone[i].seq < gathering->part.first_seq)
            gathering->part.first_seq = gathering->gone[i].seq;
    }
    if (!is_plain(gathering->range))
        drop_unknown(gathering);
    return drop_returned(gathering, problem);
}

/* ---- frames ---- */

static enum result add_frames(struct gathering *gathering, uint8_t type, struct bytes body,
                              int level, struct problem *problem)
{
    struct feed_part *part = &gathering->part;
    struct shared_frame **frames = NULL;
    struct shared_frame **all = NULL;
    size_t count = 0;
    enum result result =
        shared_frames_encode(type, body, level, gathering->range->reader->dictionary,
                             scratch_of(gathering), &frames, &count, problem);

    if (result != RESULT_OK)
        return result;
    all = realloc(part->frames, (part->frame_count + count) * sizeof(struct shared_frame *));
    if (all == NULL) {
        for (size_t i = 0; i < count; i++)
            shared_frame_release(frames[i]);
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for frames");
    }
    part->frames = all;
    for (size_t i = 0; i < count; i++) {
        part->frames[part->frame_count++] = frames[i];
        part->size += frames[i]->size;
    }
    return RESULT_OK;
}

static enum result encode_rows(struct gathering *gathering, size_t first, size_t count,
                               bool is_complete, int level, struct problem *problem)
{
    struct message_rows message = {.bucket = gathering->part.bucket,
                                   .seq_after = gathering->part.seq_after,
                                   .seq_to = gathering->part.seq_to,
                                   .is_complete = is_complete,
                                   .row_count = count,
                                   .rows =
                                       gathering->rows == NULL ? NULL : gathering->rows + first};
    struct buffer body;
    enum result result;

    if (gathering->part.is_page && !is_complete) {
        message.page_table_no = gathering->part.next_table_no;
        message.page_seq = gathering->part.next_seq;
    } else if (!is_complete) {
        message.page_table_no = gathering->rows[first + count - 1].table_no;
        message.page_seq = gathering->rows[first + count - 1].seq;
    }
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_rows_encode(gathering->range->reader->wire, &message, &body, problem);
    if (result == RESULT_OK)
        result = add_frames(gathering, MESSAGE_ROWS, buffer_bytes(&body), level, problem);
    buffer_done(&body);
    return result;
}

/* Rows in messages of about FEED_PAGE_BYTES each; the last one completes the range. */
static enum result encode_all_rows(struct gathering *gathering, struct problem *problem)
{
    const struct catalog *catalog = gathering->range->reader->store->catalog;
    size_t first = 0;
    size_t size = 0;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < gathering->count && result == RESULT_OK; i++) {
        const struct row_image *row = &gathering->rows[i];

        size += sending_size(catalog_table_by_no(catalog, row->table_no), row->mask, row->values);
        if (size < FEED_PAGE_BYTES || i + 1 == gathering->count)
            continue;
        result = encode_rows(gathering, first, i + 1 - first, false, LEVEL_TAIL, problem);
        first = i + 1;
        size = 0;
    }
    if (result == RESULT_OK)
        result = encode_rows(gathering, first, gathering->count - first, true, LEVEL_TAIL, problem);
    return result;
}

static enum result encode_gone(struct gathering *gathering, int level, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t first = 0; first < gathering->gone_count && result == RESULT_OK;
         first += GONE_COUNT_MAX) {
        size_t left = gathering->gone_count - first;
        const struct message_gone message = {.bucket = gathering->part.bucket,
                                             .seq_after = gathering->part.seq_after,
                                             .seq_to = gathering->part.seq_to,
                                             .count = left < GONE_COUNT_MAX ? left : GONE_COUNT_MAX,
                                             .rows = gathering->gone + first};
        struct buffer body;

        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        result = message_gone_encode(&message, &body, problem);
        if (result == RESULT_OK)
            result = add_frames(gathering, MESSAGE_GONE, buffer_bytes(&body), level, problem);
        buffer_done(&body);
    }
    return result;
}

/* ---- what there is, where departures have expired ---- */

static bool lacks_departures(const struct feed_bucket *bucket)
{
    return bucket->needs_ids || (bucket->seq > 0 && departures_known(bucket) < bucket->tomb_low);
}

static enum result encode_ids_of(struct gathering *gathering, const struct catalog_table *table,
                                 struct problem *problem)
{
    const struct feed_range *range = gathering->range;
    size_t count = IDS_COUNT_MAX;
    int64_t id_after = 0;
    enum result result = RESULT_OK;

    while (count == IDS_COUNT_MAX && result == RESULT_OK) {
        struct message_ids message = {.bucket = gathering->part.bucket,
                                      .seq_to = gathering->part.seq_to,
                                      .table_no = table->number,
                                      .id_after = id_after,
                                      .id_to = ID_MAX};
        struct buffer body;

        result = store_ids(range->reader->store, table, range->bucket->bucket, id_after,
                           IDS_COUNT_MAX, scratch_of(gathering), &message.ids, &count, problem);
        if (result != RESULT_OK)
            break;
        message.count = count;
        if (count == IDS_COUNT_MAX)
            message.id_to = id_after = message.ids[count - 1];
        buffer_init(&body, LIMIT_BODY_SIZE_MAX);
        result = message_ids_encode(&message, &body, problem);
        if (result == RESULT_OK)
            result = add_frames(gathering, MESSAGE_IDS, buffer_bytes(&body), LEVEL_TAIL, problem);
        buffer_done(&body);
    }
    return result;
}

/* Every table that ever had a row in this bucket, and that the reader knows: what has none any more
 * is told, too. */
static enum result encode_ids(struct gathering *gathering, struct problem *problem)
{
    const struct feed_reader *reader = gathering->range->reader;
    const struct value bucket = value_integer(gathering->part.bucket);
    struct store_result tables = {0};
    enum result result =
        store_query(reader->store,
                    "SELECT table_no FROM fs_head WHERE bucket=?1 AND table_no>0 ORDER BY table_no",
                    &bucket, 1, scratch_of(gathering), &tables, problem);

    for (size_t i = 0; i < tables.row_count && result == RESULT_OK; i++) {
        int64_t table_no = store_integer_at(&tables, i, 0, 0);
        const struct catalog_table *table = catalog_table_by_no(reader->store->catalog, table_no);

        if (table != NULL && !table->is_local &&
            catalog_table_by_no(reader->wire, table_no) != NULL)
            result = encode_ids_of(gathering, table, problem);
    }
    return result;
}

/* ---- tails ---- */

static enum result gather_tail(struct gathering *gathering, size_t count_max, bool *ret_fits,
                               struct problem *problem)
{
    const struct feed_range *range = gathering->range;
    int64_t limit = count_max >= INT64_MAX - 1 ? INT64_MAX : (int64_t)count_max + 1;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < range->head_count && result == RESULT_OK; i++) {
        const struct catalog_table *table = table_of(range, i);
        struct stored_row *rows = NULL;
        size_t count = 0;

        if (table == NULL || range->heads[i].seq <= gathering->seq_after)
            continue;
        result = store_page(range->reader->store, table, range->bucket->bucket,
                            gathering->seq_after, gathering->part.seq_to, (size_t)limit,
                            scratch_of(gathering), &rows, &count, problem);
        for (size_t r = 0; r < count && result == RESULT_OK; r++)
            result = gather_row(gathering, table, &rows[r], problem);
        if (gathering->count + gathering->left_out_count > count_max) {
            *ret_fits = false;
            return result;
        }
    }
    if (result == RESULT_OK)
        result = gather_gone(gathering, gathering->part.seq_to, limit, problem);
    *ret_fits = gathering->count + gathering->left_out_count + gathering->gone_count <= count_max;
    return result;
}

/* A reader from nothing is always told that the bucket is complete, even an empty one: what it
 * still holds of it goes. */
static enum result encode_tail(struct gathering *gathering, struct problem *problem)
{
    enum result result = RESULT_OK;

    if (gathering->count > 0 || gathering->seq_after == 0)
        result = encode_all_rows(gathering, problem);
    if (result == RESULT_OK)
        result = encode_gone(gathering, LEVEL_TAIL, problem);
    if (result == RESULT_OK && lacks_departures(gathering->range->bucket))
        result = encode_ids(gathering, problem);
    return result;
}

static bool is_shareable(const struct gathering *gathering)
{
    return is_plain(gathering->range) && gathering->left_out_count == 0 &&
           (!gathering->is_whole || gathering->seq_after == 0) &&
           !lacks_departures(gathering->range->bucket);
}

static enum result copy_cached(const struct feed_part *cached, struct feed_part *ret_part,
                               struct problem *problem)
{
    struct shared_frame **frames = malloc(cached->frame_count * sizeof(struct shared_frame *));

    if (frames == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for frames");
    for (size_t i = 0; i < cached->frame_count; i++)
        frames[i] = shared_frame_hold(cached->frames[i]);
    *ret_part = *cached;
    ret_part->frames = frames;
    return RESULT_OK;
}

enum result feed_part_tail(const struct feed_range *range, size_t row_count_max,
                           struct feed_part *ret_part, bool *ret_fits, struct problem *problem)
{
    const struct feed_bucket *bucket = range->bucket;
    const struct feed_part *cached = NULL;
    struct gathering gathering = {
        .range = range,
        .seq_after = bucket->seq,
        .is_whole = bucket->is_paged || bucket->seq == 0,
        .part = {.bucket = bucket->bucket, .seq_after = bucket->seq, .first_seq = INT64_MAX}};
    enum result result = RESULT_OK;

    invariant(bucket->page_to == 0);
    gathering.part.seq_to = bucket_head(range) > bucket->seq ? bucket_head(range) : bucket->seq;
    if (!bucket->is_paged && is_plain(range) && !lacks_departures(bucket))
        cached = feed_cache_find_delta(range->reader->cache, bucket->bucket, bucket->seq,
                                       gathering.part.seq_to, range->replica_no);
    if (cached != NULL) {
        *ret_fits = cached->row_count <= row_count_max;
        return *ret_fits ? copy_cached(cached, ret_part, problem) : RESULT_OK;
    }
    arena_reset(range->reader->scratch);
    result = gather_tail(&gathering, row_count_max, ret_fits, problem);
    if (result == RESULT_OK && *ret_fits) {
        gathering.part.row_count = gathering.count + gathering.gone_count;
        result = encode_tail(&gathering, problem);
    }
    if (result == RESULT_OK && *ret_fits && is_shareable(&gathering))
        feed_cache_put(range->reader->cache, &gathering.part);
    if (result == RESULT_OK && *ret_fits)
        *ret_part = gathering.part;
    else
        feed_part_done(&gathering.part);
    return result;
}

/* ---- pages ---- */

/* Rows of one table until the page is full; *ret_is_full: more may follow. */
static enum result gather_table(struct gathering *gathering, const struct catalog_table *table,
                                int64_t seq_after, bool *ret_is_full, struct problem *problem)
{
    const struct feed_range *range = gathering->range;
    struct stored_row *rows = NULL;
    size_t count = PAGE_ROWS_MAX;
    enum result result = RESULT_OK;

    while (count == PAGE_ROWS_MAX && !*ret_is_full && result == RESULT_OK) {
        result = store_page(range->reader->store, table, range->bucket->bucket, seq_after,
                            gathering->part.seq_to, PAGE_ROWS_MAX, scratch_of(gathering), &rows,
                            &count, problem);
        for (size_t i = 0; i < count && !*ret_is_full && result == RESULT_OK; i++) {
            result = gather_row(gathering, table, &rows[i], problem);
            seq_after = rows[i].seq;
            gathering->part.next_table_no = table->number;
            gathering->part.next_seq = seq_after;
            *ret_is_full = gathering->size >= FEED_PAGE_BYTES;
        }
    }
    return result;
}

static enum result gather_page(struct gathering *gathering, struct problem *problem)
{
    const struct feed_range *range = gathering->range;
    const struct feed_bucket *bucket = range->bucket;
    bool is_full = false;
    enum result result = RESULT_OK;

    for (size_t i = 0; i < range->head_count && !is_full && result == RESULT_OK; i++) {
        const struct catalog_table *table = table_of(range, i);
        int64_t seq_after = bucket->seq;

        if (table == NULL || table->number < bucket->page_table_no)
            continue;
        if (table->number == bucket->page_table_no && bucket->page_seq > seq_after)
            seq_after = bucket->page_seq;
        if (range->heads[i].seq > seq_after)
            result = gather_table(gathering, table, seq_after, &is_full, problem);
    }
    gathering->part.is_complete = !is_full;
    return result;
}

static void move_cursor(struct feed_bucket *bucket, const struct feed_part *part)
{
    bucket->needs_ids = lacks_departures(bucket);
    bucket->is_paged = true;
    if (part->is_complete) {
        bucket->seq = part->seq_to;
        bucket->page_to = 0;
        bucket->page_table_no = 0;
        bucket->page_seq = 0;
        return;
    }
    bucket->page_to = part->seq_to;
    bucket->page_table_no = part->next_table_no;
    bucket->page_seq = part->next_seq;
}

static enum result make_page(struct gathering *gathering, struct problem *problem)
{
    const struct feed_reader *reader = gathering->range->reader;
    enum result result = RESULT_OK;

    arena_reset(reader->scratch);
    result = gather_page(gathering, problem);
    gathering->part.row_count = gathering->count;
    if (result == RESULT_OK)
        result = encode_rows(gathering, 0, gathering->count, gathering->part.is_complete,
                             LEVEL_PAGE, problem);
    if (result == RESULT_OK && gathering->part.is_complete)
        result = gather_gone(gathering, gathering->part.seq_to, INT64_MAX, problem);
    if (result == RESULT_OK && gathering->part.is_complete)
        result = encode_gone(gathering, LEVEL_PAGE, problem);
    if (result == RESULT_OK && gathering->seq_after == 0 && is_plain(gathering->range))
        feed_cache_put(reader->cache, &gathering->part);
    return result;
}

enum result feed_part_page(const struct feed_range *range, struct feed_part *ret_part,
                           struct problem *problem)
{
    struct feed_bucket *bucket = range->bucket;
    int64_t head = bucket_head(range) > bucket->seq ? bucket_head(range) : bucket->seq;
    const struct feed_part *cached = NULL;
    struct feed_range everybody = *range;
    struct gathering gathering = {.range = &everybody,
                                  .seq_after = bucket->seq,
                                  .is_whole = bucket->is_paged || bucket->seq == 0,
                                  .part = {.bucket = bucket->bucket,
                                           .seq_after = bucket->seq,
                                           .seq_to = bucket->page_to != 0 ? bucket->page_to : head,
                                           .first_seq = INT64_MAX,
                                           .page_table_no = bucket->page_table_no,
                                           .page_seq = bucket->page_seq,
                                           .next_table_no = bucket->page_table_no,
                                           .next_seq = bucket->page_seq,
                                           .is_page = true}};
    enum result result = RESULT_OK;

    everybody.replica_no = -1; /* pages hold everything */
    if (bucket->seq == 0 && is_plain(range))
        cached = feed_cache_find_page(range->reader->cache, bucket->bucket, gathering.part.seq_to,
                                      bucket->page_table_no, bucket->page_seq);
    if (cached != NULL)
        result = copy_cached(cached, &gathering.part, problem);
    else
        result = make_page(&gathering, problem);
    if (result != RESULT_OK) {
        feed_part_done(&gathering.part);
        return result;
    }
    move_cursor(bucket, &gathering.part);
    *ret_part = gathering.part;
    return RESULT_OK;
}

/* ---- many small buckets ---- */

void feed_bundle_begin(struct feed_bundle *bundle, const struct feed_reader *reader)
{
    *bundle = (struct feed_bundle){.reader = reader};
    arena_reset(reader->scratch);
}

static struct message_rows rows_of(const struct gathering *gathering)
{
    const struct feed_part *part = &gathering->part;
    struct message_rows rows = {.bucket = part->bucket,
                                .seq_to = part->seq_to,
                                .is_complete = part->is_complete,
                                .row_count = gathering->count,
                                .rows = gathering->rows};

    if (!part->is_complete) {
        rows.page_table_no = part->next_table_no;
        rows.page_seq = part->next_seq;
    }
    return rows;
}

enum result feed_bundle_add(struct feed_bundle *bundle, const struct feed_range *range,
                            bool *ret_is_full, struct problem *problem)
{
    struct feed_range everybody = *range;
    struct gathering gathering = {.range = &everybody,
                                  .is_whole = true,
                                  .part = {.bucket = range->bucket->bucket,
                                           .seq_to = bucket_head(range),
                                           .first_seq = INT64_MAX}};
    enum result result = RESULT_OK;

    invariant(range->bucket->seq == 0 && range->bucket->page_to == 0);
    invariant(bundle->count < SNAPSHOT_PARTS_MAX);
    everybody.replica_no = -1; /* pages hold everything */
    result = gather_page(&gathering, problem);
    if (result != RESULT_OK)
        return result;
    if (bundle->count > 0 && bundle->size + gathering.size > BUNDLE_SIZE_MAX) {
        *ret_is_full = true;
        return RESULT_OK;
    }
    bundle->parts[bundle->count++] = rows_of(&gathering);
    bundle->size += gathering.size;
    move_cursor(range->bucket, &gathering.part);
    *ret_is_full = bundle->size >= FEED_BUNDLE_BYTES || bundle->count == SNAPSHOT_PARTS_MAX ||
                   !gathering.part.is_complete;
    return RESULT_OK;
}

enum result feed_bundle_end(struct feed_bundle *bundle, struct feed_part *ret_part,
                            struct problem *problem)
{
    const struct message_snapshot message = {.part_count = bundle->count, .parts = bundle->parts};
    const struct feed_range range = {.reader = bundle->reader};
    struct gathering gathering = {.range = &range};
    struct buffer body;
    enum result result;

    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    result = message_snapshot_encode(bundle->reader->wire, &message, &body, problem);
    if (result == RESULT_OK)
        result =
            add_frames(&gathering, MESSAGE_SNAPSHOT, buffer_bytes(&body), LEVEL_BUNDLE, problem);
    buffer_done(&body);
    *ret_part = gathering.part;
    return result;
}

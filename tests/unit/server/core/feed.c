/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds on a real store, taken in by a mirror that publishes like a device. long because each story
 * needs the mirror. */
#include "tests/unit/server/core/master_kit.h" /* first: it asks for POSIX */

#include "base/prng.h"
#include "server/core/departures.h"
#include "server/core/feed_inside.h"

enum { MIRROR_ROWS_MAX = 20000, STAGE_MAX = 20000, BUCKETS_MAX = 64 };

struct mirror_row {
    const struct catalog_table *table; /* NULL: free */
    int64_t id;
    int64_t seq;
    struct value *values;
    int64_t bucket;
};

struct staged {
    struct row_image row; /* or a departure */
    bool is_gone;
    int64_t bucket;
};

/* What a device makes of the frames: staged until PUBLISH, then visible (R1, R2). */
struct mirror {
    struct feed *feed;
    int device;
    int64_t published_seq;
    size_t row_count;
    struct mirror_row rows[MIRROR_ROWS_MAX];
    size_t staged_count;
    struct staged staged[STAGE_MAX];
    size_t bucket_count;
    int64_t buckets[BUCKETS_MAX];
    size_t fresh_count; /* buckets sent from nothing in this stage */
    int64_t fresh[BUCKETS_MAX];
    bool has_new_set;
    size_t new_count;
    int64_t new_set[BUCKETS_MAX];
    /* what came since the last look */
    size_t rows_received;
    size_t bytes_received;
    size_t subscriptions;
    size_t publications;
    size_t pages;
    size_t snapshots; /* pages of several buckets */
    size_t id_lists;
    size_t rounds;
};

static bool contains(const int64_t *set, size_t count, int64_t bucket)
{
    for (size_t i = 0; i < count; i++)
        if (set[i] == bucket)
            return true;
    return false;
}

static struct mirror_row *mirror_find(struct mirror *mirror, uint16_t table_no, int64_t id)
{
    for (size_t i = 0; i < mirror->row_count; i++)
        if (mirror->rows[i].table != NULL && mirror->rows[i].table->number == table_no &&
            mirror->rows[i].id == id)
            return &mirror->rows[i];
    return NULL;
}

static int64_t mirror_bucket(struct world *world, const struct mirror_row *row)
{
    int64_t bucket = 0;

    kit_ok(world, catalog_bucket(row->table, row->id, row->values, &bucket, &world->problem));
    return bucket;
}

static void publish_row(struct world *world, struct mirror *mirror, const struct row_image *image)
{
    const struct catalog_table *table = catalog_table_by_no(&world->catalog, image->table_no);
    struct mirror_row *row = mirror_find(mirror, image->table_no, image->row_id);

    if (row == NULL) {
        assert_true(mirror->row_count < MIRROR_ROWS_MAX);
        assert_true(image->mask == table->columns_mask); /* a new row comes whole */
        row = &mirror->rows[mirror->row_count++];
        *row = (struct mirror_row){.table = table, .id = image->row_id};
        row->values = arena_array(&world->arena, table->column_count, sizeof *row->values);
    }
    if (image->seq < row->seq)
        return;
    row->seq = image->seq;
    for (uint8_t i = 1; i < table->column_count; i++)
        if ((image->mask >> i & 1) != 0)
            row->values[i] = image->values[i];
    row->bucket = mirror_bucket(world, row);
}

static void publish_gone(struct mirror *mirror, const struct staged *staged)
{
    struct mirror_row *row = mirror_find(mirror, staged->row.table_no, staged->row.row_id);

    if (row == NULL || row->seq > staged->row.seq)
        return;
    if (row->bucket != staged->bucket &&
        contains(mirror->buckets, mirror->bucket_count, row->bucket))
        return; /* R2 */
    row->table = NULL;
}

static void drop_stale(struct mirror *mirror)
{
    for (size_t i = 0; i < mirror->row_count; i++) {
        struct mirror_row *row = &mirror->rows[i];
        bool is_staged = false;

        if (row->table == NULL || !contains(mirror->fresh, mirror->fresh_count, row->bucket))
            continue;
        for (size_t s = 0; s < mirror->staged_count && !is_staged; s++)
            is_staged = !mirror->staged[s].is_gone &&
                        mirror->staged[s].row.table_no == row->table->number &&
                        mirror->staged[s].row.row_id == row->id;
        if (!is_staged)
            row->table = NULL;
    }
}

static void publish(struct world *world, struct mirror *mirror, int64_t seq)
{
    if (mirror->has_new_set) {
        mirror->bucket_count = mirror->new_count;
        memcpy(mirror->buckets, mirror->new_set, sizeof mirror->new_set);
    }
    drop_stale(mirror);
    for (size_t i = 0; i < mirror->staged_count; i++)
        if (!mirror->staged[i].is_gone)
            publish_row(world, mirror, &mirror->staged[i].row);
    for (size_t i = 0; i < mirror->staged_count; i++)
        if (mirror->staged[i].is_gone)
            publish_gone(mirror, &mirror->staged[i]);
    for (size_t i = 0; i < mirror->row_count; i++)
        if (mirror->rows[i].table != NULL &&
            !contains(mirror->buckets, mirror->bucket_count, mirror->rows[i].bucket))
            mirror->rows[i].table = NULL;
    mirror->staged_count = 0;
    mirror->fresh_count = 0;
    mirror->has_new_set = false;
    mirror->published_seq = seq;
    mirror->publications++;
}

/* What the master no longer has is a departure, as on a device. */
static void take_ids(struct mirror *mirror, const struct message_ids *ids)
{
    for (size_t i = 0; i < mirror->row_count; i++) {
        const struct mirror_row *row = &mirror->rows[i];
        bool is_there = false;

        if (row->table == NULL || row->table->number != ids->table_no ||
            row->bucket != ids->bucket || row->id <= ids->id_after || row->id > ids->id_to)
            continue;
        for (size_t n = 0; n < ids->count && !is_there; n++)
            is_there = ids->ids[n] == row->id;
        if (!is_there)
            mirror->staged[mirror->staged_count++] = (struct staged){
                .row = {.table_no = row->table->number, .row_id = row->id, .seq = ids->seq_to},
                .is_gone = true,
                .bucket = ids->bucket};
    }
    mirror->id_lists++;
}

static void take_rows(struct mirror *mirror, const struct message_rows *rows)
{
    if (rows->seq_after == 0 && rows->is_complete)
        mirror->fresh[mirror->fresh_count++] = rows->bucket;
    if (!rows->is_complete)
        mirror->pages++;
    mirror->rows_received += rows->row_count;
    assert_true(mirror->staged_count + rows->row_count <= STAGE_MAX);
    for (size_t i = 0; i < rows->row_count; i++)
        mirror->staged[mirror->staged_count++] =
            (struct staged){.row = rows->rows[i], .bucket = rows->bucket};
}

static void take_frame(struct world *world, struct mirror *mirror, const struct frame *frame)
{
    struct message_rows rows;
    struct message_snapshot snapshot;
    struct message_gone gone;
    struct message_ids ids;
    struct message_publish head;
    struct message_subscribed set;

    switch (frame->type) {
    case MESSAGE_SUBSCRIBED:
        kit_ok(world, message_subscribed_decode(frame->body, &world->arena, &set, &world->problem));
        assert_true(set.is_whole && set.added_count <= BUCKETS_MAX);
        mirror->has_new_set = true;
        mirror->new_count = set.added_count;
        memcpy(mirror->new_set, set.added, set.added_count * sizeof(int64_t));
        mirror->subscriptions++;
        break;
    case MESSAGE_ROWS:
        kit_ok(world, message_rows_decode(&world->catalog, frame->body, &world->arena, &rows,
                                          &world->problem));
        take_rows(mirror, &rows);
        break;
    case MESSAGE_SNAPSHOT:
        kit_ok(world, message_snapshot_decode(&world->catalog, frame->body, &world->arena,
                                              &snapshot, &world->problem));
        for (size_t i = 0; i < snapshot.part_count; i++)
            take_rows(mirror, &snapshot.parts[i]);
        mirror->snapshots++;
        break;
    case MESSAGE_GONE:
        kit_ok(world, message_gone_decode(&world->catalog, frame->body, &world->arena, &gone,
                                          &world->problem));
        for (size_t i = 0; i < gone.count; i++)
            mirror->staged[mirror->staged_count++] =
                (struct staged){.row = {.table_no = gone.rows[i].table_no,
                                        .row_id = gone.rows[i].row_id,
                                        .seq = gone.rows[i].seq},
                                .is_gone = true,
                                .bucket = gone.bucket};
        break;
    case MESSAGE_IDS:
        kit_ok(world, message_ids_decode(&world->catalog, frame->body, &world->arena, &ids,
                                         &world->problem));
        take_ids(mirror, &ids);
        break;
    default:
        assert_int_equal(frame->type, MESSAGE_PUBLISH);
        kit_ok(world, message_publish_decode(frame->body, &world->arena, &head, &world->problem));
        publish(world, mirror, head.head);
        break;
    }
}

/* One JOB_FEED; true if there is more. */
static bool pull_once(struct world *world, struct mirror *mirror, size_t room)
{
    struct job *job = make_job(world, JOB_FEED, mirror->device);
    bool has_more = false;

    job->feed = mirror->feed;
    job->send_room = room;
    read_job(world, job);
    if (job->result != RESULT_OK)
        fail_msg("feed: %s", job->problem.text);
    for (size_t i = 0; i < job->frame_count; i++)
        mirror->bytes_received += job->frames[i]->size;
    for (size_t index = 0; index < job->frame_count;) {
        struct frame frame = body_at(world, job, &index);

        take_frame(world, mirror, &frame);
    }
    has_more = job->feed_has_more;
    mirror->rounds++;
    job_destroy(job);
    return has_more;
}

static void pull(struct world *world, struct mirror *mirror)
{
    mirror->rows_received = mirror->bytes_received = mirror->subscriptions = 0;
    mirror->publications = mirror->pages = mirror->id_lists = mirror->rounds = 0;
    mirror->snapshots = 0;
    while (pull_once(world, mirror, 256 * 1024))
        assert_true(mirror->rounds < 1000);
}

/* A device that connects; `mirror` keeps what it had. */
static void connect(struct world *world, struct mirror *mirror, int device)
{
    struct job *job = make_job(world, JOB_RESUME, device);
    struct message_resume resume = {
        .resume_token = bytes_of(world->devices[device].token, TOKEN_SIZE),
        .epoch = bytes_of("\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7", EPOCH_SIZE),
        .incarnation = 1,
        .published_seq = mirror->published_seq,
        .lcn_last = world->devices[device].lcn,
        .schema_version = world->catalog.schema_version,
        .device_time = world->now,
        .app_version = bytes_of_text("0.1"),
        .subscribed_digest_size = 8};
    struct buffer body;

    subscribed_digest(mirror->buckets, mirror->bucket_count, resume.subscribed_digest);
    buffer_init(&body, 65536);
    kit_ok(world, message_resume_encode(&resume, &body, &world->problem));
    kit_ok(world, arena_copy(&job->arena, buffer_bytes(&body), &job->body, &world->problem));
    buffer_done(&body);
    write_job(world, job);
    if (job->result != RESULT_OK)
        fail_msg("resume: %s", job->problem.text);
    feed_destroy(mirror->feed);
    mirror->feed = job->feed;
    mirror->device = device;
    memcpy(world->devices[device].token, job->seed.data + PSK_SIZE, TOKEN_SIZE);
    job_destroy(job);
}

static struct mirror *mirror_of(struct world *world, int device)
{
    struct mirror *mirror = calloc(1, sizeof *mirror);

    assert_non_null(mirror);
    connect(world, mirror, device);
    return mirror;
}

static void mirror_destroy(struct mirror *mirror)
{
    feed_destroy(mirror->feed);
    free(mirror);
}

/* I5: the mirror is the master restricted to the subscription, value by value. */
static void expect_same(struct world *world, struct mirror *mirror)
{
    struct store *store = master_store(world->reader);
    size_t expected = 0;
    size_t held = 0;

    assert_int_equal(mirror->published_seq, head(world));
    kit_ok(world, store_begin(store, STORE_READ, &world->problem));
    for (size_t b = 0; b < mirror->bucket_count; b++)
        for (size_t t = 1; t < world->catalog.table_count; t++) {
            const struct catalog_table *table = &world->catalog.tables[t];
            struct stored_row *rows = NULL;
            size_t count = 0;

            if (table->name == NULL || table->is_local)
                continue;
            kit_ok(world, store_page(store, table, mirror->buckets[b], 0, INT64_MAX, 100000,
                                     &world->arena, &rows, &count, &world->problem));
            expected += count;
            for (size_t i = 0; i < count; i++) {
                struct mirror_row *row = mirror_find(mirror, table->number, rows[i].id);

                if (row == NULL)
                    fail_msg("%s %" PRId64 " is missing", table->name, rows[i].id);
                for (uint8_t c = 1; c < table->column_count; c++)
                    if (!value_equal(&row->values[c], &rows[i].values[c]))
                        fail_msg("%s %" PRId64 ".%s differs", table->name, rows[i].id,
                                 table->columns[c].name);
            }
        }
    store_rollback(store);
    for (size_t i = 0; i < mirror->row_count; i++)
        held += mirror->rows[i].table != NULL;
    assert_int_equal(held, expected);
}

/* ---- stories ---- */

static void a_snapshot_is_the_changes_since_0(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = NULL;

    office(world, "INSERT INTO note(id, site_id, a) VALUES (1,10,'x'),(2,20,'y'),(3,30,'z')");
    mirror = mirror_of(world, ANNA);
    pull(world, mirror);
    assert_int_equal(mirror->publications, 1);
    assert_int_equal(mirror->subscriptions, 1);
    assert_non_null(mirror_find(mirror, table_of(world, "note")->number, 1));
    assert_null(mirror_find(mirror, table_of(world, "note")->number, 3)); /* I10 */
    expect_same(world, mirror);
    mirror_destroy(mirror);
}

static void plain_sql_on_the_master_reaches_the_feed(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = mirror_of(world, ANNA);

    pull(world, mirror);
    office(world, "INSERT INTO note(id, site_id, a) VALUES (1,10,'x'),(2,10,'y')");
    assert_true(feed_concerns(mirror->feed, &world->outcome.work));
    pull(world, mirror);
    assert_int_equal(mirror->rows_received, 2);
    office(world, "UPDATE note SET a='new' WHERE id=1; DELETE FROM note WHERE id=2");
    pull(world, mirror);
    assert_int_equal(mirror->rows_received, 1);
    assert_int_equal(mirror->subscriptions, 0);
    expect_same(world, mirror);
    office(world, "INSERT INTO note(id, site_id, a) VALUES (4,30,'not hers')");
    assert_false(feed_concerns(mirror->feed, &world->outcome.work));
    pull(world, mirror);
    assert_int_equal(mirror->rows_received, 0);
    assert_int_equal(mirror->publications, 1); /* the head moved on */
    pull(world, mirror);
    assert_int_equal(mirror->publications, 0); /* and now there is nothing to say */
    mirror_destroy(mirror);
}

static void own_accepted_values_are_not_sent_back(void **state)
{
    struct world *world = *state;
    struct mirror *anna = mirror_of(world, ANNA);
    struct mirror *bruno = mirror_of(world, BRUNO);

    pull(world, anna);
    pull(world, bruno);
    (void)push_one(world, ANNA, "note", CHANGE_INSERT, new_id(world, ANNA), head(world), KIT_NOW_US,
                   FIELDS(N("site_id", 10), T("a", "mine")));
    pull(world, bruno);
    pull(world, anna);
    assert_int_equal(bruno->rows_received, 1);
    assert_int_equal(anna->rows_received, 0);
    assert_int_equal(anna->publications, 1);
    expect_same(world, bruno);
    anna->published_seq = 0; /* a device that starts from nothing gets its own rows, too */
    anna->bucket_count = 0;
    connect(world, anna, ANNA);
    pull(world, anna);
    expect_same(world, anna);
    mirror_destroy(anna);
    mirror_destroy(bruno);
}

static void a_row_that_goes_from_a_to_b_and_back_stays(void **state)
{
    struct world *world = *state;
    struct mirror *anna = NULL;
    struct mirror *bruno = NULL;

    office(world, "INSERT INTO note(id, site_id, a) VALUES (1,10,'x');"
                  "INSERT INTO reply(id, note_id, text) VALUES (7,1,'follows')");
    anna = mirror_of(world, ANNA);
    bruno = mirror_of(world, BRUNO);
    pull(world, anna);
    pull(world, bruno);
    office(world, "UPDATE note SET site_id=20 WHERE id=1"); /* both are Anna's */
    office(world, "UPDATE note SET site_id=10 WHERE id=1");
    pull(world, anna);
    pull(world, bruno);
    expect_same(world, anna);
    expect_same(world, bruno);
    office(world, "UPDATE note SET site_id=20 WHERE id=1");
    pull(world, anna);
    pull(world, bruno);
    expect_same(world, anna);
    expect_same(world, bruno);
    assert_null(mirror_find(bruno, table_of(world, "reply")->number, 7)); /* with its child */
    office(world, "UPDATE note SET site_id=10 WHERE id=1");
    pull(world, anna);
    pull(world, bruno);
    expect_same(world, anna);
    expect_same(world, bruno);
    mirror_destroy(anna);
    mirror_destroy(bruno);
}

static void a_site_that_comes_and_goes_takes_its_rows_along(void **state)
{
    struct world *world = *state;
    struct mirror *bruno = NULL;

    office(world, "INSERT INTO note(id, site_id, a) VALUES (2,20,'y')");
    bruno = mirror_of(world, BRUNO);
    pull(world, bruno);
    office(world, "INSERT INTO watch_list(id, user_id, site_id) VALUES (9,2,20)");
    assert_int_equal(world->outcome.rescoped_count, 1);
    pull(world, bruno);
    assert_int_equal(bruno->subscriptions, 1);
    assert_non_null(mirror_find(bruno, table_of(world, "note")->number, 2));
    expect_same(world, bruno);
    office(world, "DELETE FROM watch_list WHERE id=9");
    pull(world, bruno);
    assert_null(mirror_find(bruno, table_of(world, "note")->number, 2));
    expect_same(world, bruno);
    mirror_destroy(bruno);
}

static void fill(struct world *world, int64_t first, int64_t count, int64_t site)
{
    char text[400];

    (void)snprintf(text, sizeof text,
                   "WITH RECURSIVE n(i) AS (SELECT %" PRId64 " UNION ALL SELECT i+1 FROM n WHERE"
                   " i<%" PRId64 ") INSERT INTO note(id, site_id, a) SELECT i, %" PRId64
                   ", hex(randomblob(100)) FROM n",
                   first, first + count - 1, site);
    office(world, text);
}

/* ---- deletions that nobody remembers ---- */

#define DAY HOURS(24)

/* `days` pass, and deletions are remembered for 100. */
static void pass_days(struct world *world, int64_t days)
{
    struct store *store = master_store(world->master);

    world->now.us += days * DAY;
    kit_ok(world, store_begin(store, STORE_WRITE, &world->problem));
    kit_ok(world, departures_expire(store, &world->arena, world->now, 100 * DAY, &world->problem));
    kit_ok(world, store_commit(store, &world->problem));
}

static int64_t departures(struct world *world)
{
    return integer(world, "SELECT count(*) FROM fs_tomb");
}

static void departures_are_remembered_for_their_time(void **state)
{
    struct world *world = *state;

    office(world, "INSERT INTO note(id, site_id) VALUES (1,10),(2,20),(3,20)");
    pass_days(world, 0);
    office(world, "DELETE FROM note WHERE id=1");
    pass_days(world, 50);
    office(world, "DELETE FROM note WHERE id=2");
    pass_days(world, 60); /* 110 days after the first moment, before which nothing had gone */
    assert_int_equal(departures(world), 2);
    pass_days(world, 50); /* 110 days after the second, 50 after the third */
    assert_int_equal(departures(world), 1);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_bucket WHERE tomb_low>0"), 1);
    pass_days(world, 100);
    assert_int_equal(departures(world), 0);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_bucket WHERE tomb_low>0"), 2);
    assert_true(integer(world, "SELECT count(*) FROM fs_moment") < 4);
}

/* SYNC.md 4: what was deleted stays deleted, and what the device has isn't sent again. */
static void a_device_below_the_low_water_mark_is_told_what_there_is(void **state)
{
    struct world *world = *state;
    struct mirror *away = NULL;
    struct mirror *here = NULL;

    fill(world, 1000, 300, 10);
    office(world, "INSERT INTO note(id, site_id) VALUES (2,20)");
    away = mirror_of(world, ANNA);
    here = mirror_of(world, BRUNO);
    pull(world, away);
    pull(world, here);
    office(world, "DELETE FROM note WHERE id IN (1001, 1002)");
    office(world, "UPDATE note SET site_id=20 WHERE id=1003"); /* moved, and still Anna's */
    pull(world, here);
    pass_days(world, 0);
    pass_days(world, 120);
    assert_int_equal(departures(world), 0);
    office(world, "UPDATE note SET a='later' WHERE id=1004");
    connect(world, away, ANNA);
    pull(world, away);
    assert_true(away->id_lists > 0);
    assert_true(away->rows_received < 10);
    assert_null(mirror_find(away, table_of(world, "note")->number, 1001));
    assert_non_null(mirror_find(away, table_of(world, "note")->number, 1003));
    expect_same(world, away);
    pull(world, here);
    assert_int_equal(here->id_lists, 0); /* it was there when they went */
    expect_same(world, here);
    mirror_destroy(away);
    mirror_destroy(here);
}

/* The mark is not forgotten when so much is new that the bucket is paged. */
static void a_paged_bucket_below_the_mark_is_told_what_there_is(void **state)
{
    struct world *world = *state;
    struct mirror *away = NULL;

    fill(world, 1000, 10, 10);
    away = mirror_of(world, ANNA);
    pull(world, away);
    office(world, "DELETE FROM note WHERE id=1001");
    pass_days(world, 0);
    pass_days(world, 120);
    fill(world, 2000, 3000, 10);
    connect(world, away, ANNA);
    pull(world, away);
    assert_true(away->pages > 0);
    assert_true(away->id_lists > 0);
    expect_same(world, away);
    mirror_destroy(away);
}

static void a_large_bucket_is_paged_and_published_at_the_head(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = NULL;

    fill(world, 1, 3000, 10);
    mirror = mirror_of(world, ANNA);
    /* rows change, come and go while the pages are on their way */
    assert_true(pull_once(world, mirror, 1));
    assert_int_equal(mirror->publications, 0);
    office(world, "UPDATE note SET a='late' WHERE id IN (5, 2999)");
    assert_true(pull_once(world, mirror, 1));
    office(world, "DELETE FROM note WHERE id IN (6, 2998)");
    office(world, "UPDATE note SET site_id=20 WHERE id IN (7, 2997)");
    office(world, "UPDATE note SET b=1 WHERE id IN (5, 2999)");
    pull(world, mirror);
    assert_true(mirror->pages >= 3);
    assert_int_equal(mirror->publications, 1);
    expect_same(world, mirror);
    mirror_destroy(mirror);
}

/* A site of anna's with its notes, which have ids from 1,000 times the site's on. */
static void add_site(struct world *world, int site, int64_t notes)
{
    char text[256];

    (void)snprintf(text, sizeof text,
                   "INSERT INTO site(id, party_id, name) VALUES (%d,5,'site');"
                   "INSERT INTO watch_list(id, user_id, site_id) VALUES (%d,1,%d)",
                   site, site, site);
    office(world, text);
    fill(world, site * 1000, notes, site);
}

static void many_small_buckets_come_in_few_messages(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = NULL;

    for (int site = 101; site <= 130; site++)
        add_site(world, site, 60);
    office(world, "INSERT INTO reply(id, note_id, text) SELECT id, id, 'yes' FROM note"
                  " WHERE id % 2 = 0");
    mirror = mirror_of(world, ANNA);
    assert_true(pull_once(world, mirror, 1));
    assert_int_equal(mirror->snapshots, 1);
    assert_int_equal(mirror->publications, 0);
    /* behind, inside and before the rows that have gone out */
    office(world, "UPDATE note SET a='late' WHERE id IN (101001, 130001)");
    office(world, "DELETE FROM note WHERE id IN (101003, 130003)");
    office(world, "UPDATE note SET site_id=101 WHERE id=130005");
    pull(world, mirror);
    assert_in_range(mirror->snapshots, 1, 4);
    assert_int_equal(mirror->publications, 1);
    expect_same(world, mirror);
    mirror_destroy(mirror);
}

static const struct store_operations *counted_operations;
static size_t query_count;

static enum result counting_query(struct store *store, const char *sql,
                                  const struct value *parameters, size_t parameter_count,
                                  struct arena *arena, struct store_result *ret_result,
                                  struct problem *problem)
{
    query_count++;
    return counted_operations->query(store, sql, parameters, parameter_count, arena, ret_result,
                                     problem);
}

/* Twice the buckets are twice the rounds: if each round asked about each bucket, a first sync would
 * cost four times as much. */
static void a_first_sync_asks_about_each_bucket_a_few_times(void **state)
{
    enum { SITE_COUNT = 40 };
    struct world *world = *state;
    struct store *store = master_store(world->reader);
    struct store_operations counting = *store->operations;
    struct mirror *mirror = NULL;

    for (int site = 101; site < 101 + SITE_COUNT; site++)
        add_site(world, site, 30);
    office(world, "UPDATE note SET a=hex(randomblob(3000))");
    mirror = mirror_of(world, ANNA);
    counted_operations = store->operations;
    counting.query = counting_query;
    store->operations = &counting;
    query_count = 0;
    pull(world, mirror);
    store->operations = counted_operations;
    assert_true(mirror->rounds >= SITE_COUNT / 4);
    assert_in_range(query_count, SITE_COUNT, 8 * SITE_COUNT);
    expect_same(world, mirror);
    mirror_destroy(mirror);
}

/* Together they would be more than a message holds. */
static void a_bucket_that_is_too_much_for_the_rest_goes_by_itself(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = NULL;

    for (int site = 101; site <= 120; site++)
        add_site(world, site, 60);
    add_site(world, 121, 400);
    add_site(world, 122, 60);
    office(world, "UPDATE note SET a=hex(randomblob(32000)), g1=hex(randomblob(32000)),"
                  " g2=hex(randomblob(32000)), once=hex(randomblob(32000)),"
                  " code=hex(randomblob(32000)) WHERE id=121399");
    mirror = mirror_of(world, ANNA);
    pull(world, mirror);
    assert_int_equal(mirror->snapshots, 3);
    assert_int_equal(mirror->publications, 1);
    expect_same(world, mirror);
    mirror_destroy(mirror);
}

/* What a device at rest costs: the numbers of its buckets, also when it comes back to nothing new.
 */
static void a_device_at_rest_keeps_only_the_numbers_of_its_buckets(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = calloc(1, sizeof *mirror);
    struct scope_bucket subscribed[] = {{.bucket = SITE(10), .from_seq = 1},
                                        {.bucket = SITE(20), .from_seq = 1}};
    struct message_resume resume = {0};
    struct feed_bucket stands = {0};

    assert_non_null(mirror);
    fill(world, 1, 30, 10);
    connect(world, mirror, ANNA);
    assert_true(mirror->feed->buckets != NULL || mirror->feed->resting != NULL);
    while (pull_once(world, mirror, 256 * 1024))
        ;
    assert_null(mirror->feed->buckets);
    assert_true(feed_stands(mirror->feed, SITE(10), &stands));
    assert_int_equal(stands.seq, feed_published_seq(mirror->feed));
    assert_false(feed_stands(mirror->feed, SITE(77), &stands));
    office(world, "UPDATE note SET a='more' WHERE id=3");
    assert_true(feed_concerns(mirror->feed, &world->outcome.work));
    while (pull_once(world, mirror, 256 * 1024))
        ;
    assert_null(mirror->feed->buckets);
    expect_same(world, mirror);
    resume.published_seq = head(world);
    feed_destroy(mirror->feed);
    mirror->feed = feed_create(ANNA, 1);
    kit_ok(world, feed_resume(mirror->feed, &resume, true, false, head(world), NULL, subscribed, 2,
                              &world->problem));
    assert_null(mirror->feed->buckets);
    mirror_destroy(mirror);
}

static void a_cut_paging_goes_on_where_it_was(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = calloc(1, sizeof *mirror);
    struct scope_bucket subscribed[] = {{.bucket = SITE(10), .from_seq = 1}};
    struct bucket_cursor cursor = {.bucket = SITE(10), .seq = 0};
    struct message_resume resume = {.cursor_count = 1, .cursors = &cursor};
    int64_t page_to = 0;

    assert_non_null(mirror);
    fill(world, 1, 3000, 10);
    connect(world, mirror, ANNA);
    while (mirror->pages < 2)
        (void)pull_once(world, mirror, 1);
    {
        const struct feed_bucket *bucket = feed_find(mirror->feed, SITE(10));

        page_to = bucket->page_to;
        cursor.page_to = page_to;
        cursor.page_table_no = bucket->page_table_no;
        cursor.page_seq = bucket->page_seq;
    }
    assert_true(page_to > 0);
    feed_destroy(mirror->feed);
    mirror->feed = feed_create(ANNA, 1);
    kit_ok(world, feed_resume(mirror->feed, &resume, true, false, head(world), NULL, subscribed, 1,
                              &world->problem));
    assert_int_equal(mirror->feed->buckets[0].page_to, page_to);
    mirror->rows_received = 0;
    while (pull_once(world, mirror, 256 * 1024))
        ;
    assert_true(mirror->rows_received < 2999);
    expect_same(world, mirror);
    mirror_destroy(mirror);
}

static void a_reader_slower_than_the_writer_is_published_in_the_end(void **state)
{
    struct world *world = *state;
    struct mirror *mirror = NULL;
    char text[100];

    fill(world, 1, 1200, 10);
    mirror = mirror_of(world, ANNA);
    for (int i = 0; i < 200 && mirror->publications == 0; i++) {
        (void)snprintf(text, sizeof text, "UPDATE note SET b=%d", i % 100);
        office(world, text);
        (void)pull_once(world, mirror, 1);
    }
    assert_int_equal(mirror->publications, 1);
    expect_same(world, mirror);
    mirror_destroy(mirror);
}

static void readers_of_the_same_range_share_one_body(void **state)
{
    struct world *world = *state;
    struct mirror *anna = mirror_of(world, ANNA);
    struct mirror *bruno = mirror_of(world, BRUNO);
    struct job *jobs[2];

    pull(world, anna);
    pull(world, bruno);
    office(world, "INSERT INTO note(id, site_id, a) VALUES (1,10,'x')");
    for (int i = 0; i < 2; i++) {
        jobs[i] = make_job(world, JOB_FEED, i == 0 ? ANNA : BRUNO);
        jobs[i]->feed = i == 0 ? anna->feed : bruno->feed;
        jobs[i]->send_room = 65536;
    }
    kit_ok(world, master_read(world->reader, jobs, 2, world->now, &world->problem));
    assert_int_equal(jobs[0]->frame_count, 2);
    assert_ptr_equal(jobs[0]->frames[0], jobs[1]->frames[0]);
    job_destroy(jobs[0]);
    job_destroy(jobs[1]);
    mirror_destroy(anna);
    mirror_destroy(bruno);
}

static void a_user_who_is_no_longer_active_receives_nothing(void **state)
{
    struct world *world = *state;
    struct mirror *bruno = mirror_of(world, BRUNO);

    pull(world, bruno);
    office(world, "UPDATE app_user SET is_active=0 WHERE id=2");
    assert_int_equal(world->outcome.revoked_count, 1);
    assert_int_equal(world->outcome.revoked[0], 2);
    assert_int_equal(integer(world, "SELECT count(*) FROM fs_entitlement WHERE user_id=2"
                                    " AND to_seq IS NULL"),
                     0);
    expect_text(world, "SELECT state FROM fs_replica WHERE replica_no=2", "revoked");
    mirror_destroy(bruno);
}

/* Random edits by office and devices; every published state must be the master's. */
static void random_changes_end_the_same_everywhere(void **state)
{
    struct world *world = *state;
    struct mirror *anna = mirror_of(world, ANNA);
    struct mirror *bruno = mirror_of(world, BRUNO);
    struct prng prng;
    char text[300];

    prng_init(&prng, 8231);
    fill(world, 1, 40, 10);
    for (int round = 0; round < 150; round++) {
        int64_t id = 1 + (int64_t)prng_below(&prng, 40);
        int64_t site = 10 * (1 + (int64_t)prng_below(&prng, 3));

        switch (prng_below(&prng, 6)) {
        case 0:
            (void)snprintf(text, sizeof text,
                           "UPDATE note SET site_id=%" PRId64 " WHERE id=%" PRId64, site, id);
            break;
        case 1:
            (void)snprintf(text, sizeof text,
                           "DELETE FROM reply WHERE note_id=%" PRId64
                           ";DELETE FROM note WHERE id=%" PRId64,
                           id, id);
            break;
        case 2:
            (void)snprintf(text, sizeof text,
                           "INSERT OR REPLACE INTO note(id, site_id, a) VALUES (%" PRId64
                           ",%" PRId64 ",'r')",
                           id, site);
            break;
        case 3:
            (void)snprintf(text, sizeof text,
                           "INSERT INTO reply(id, note_id, text) SELECT (SELECT id FROM new_id),"
                           " id, 't' FROM note WHERE id=%" PRId64,
                           id);
            break;
        case 4:
            (void)snprintf(text, sizeof text,
                           "DELETE FROM watch_list WHERE user_id=2 AND site_id=%" PRId64, site);
            break;
        default:
            (void)snprintf(text, sizeof text,
                           "INSERT INTO watch_list(id, user_id, site_id) VALUES"
                           " ((SELECT id FROM new_id), 2, %" PRId64 ")",
                           site);
            break;
        }
        office(world, text);
        if (prng_below(&prng, 3) == 0) {
            pull(world, anna);
            expect_same(world, anna);
        }
        if (prng_below(&prng, 5) == 0) {
            if (prng_below(&prng, 2) == 0)
                connect(world, bruno, BRUNO);
            pull(world, bruno);
            expect_same(world, bruno);
        }
    }
    mirror_destroy(anna);
    mirror_destroy(bruno);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, world_create, world_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_snapshot_is_the_changes_since_0),
        STORY(plain_sql_on_the_master_reaches_the_feed),
        STORY(own_accepted_values_are_not_sent_back),
        STORY(a_row_that_goes_from_a_to_b_and_back_stays),
        STORY(a_site_that_comes_and_goes_takes_its_rows_along),
        STORY(departures_are_remembered_for_their_time),
        STORY(a_device_below_the_low_water_mark_is_told_what_there_is),
        STORY(a_paged_bucket_below_the_mark_is_told_what_there_is),
        STORY(a_large_bucket_is_paged_and_published_at_the_head),
        STORY(many_small_buckets_come_in_few_messages),
        STORY(a_first_sync_asks_about_each_bucket_a_few_times),
        STORY(a_bucket_that_is_too_much_for_the_rest_goes_by_itself),
        STORY(a_device_at_rest_keeps_only_the_numbers_of_its_buckets),
        STORY(a_cut_paging_goes_on_where_it_was),
        STORY(a_reader_slower_than_the_writer_is_published_in_the_end),
        STORY(readers_of_the_same_range_share_one_body),
        STORY(a_user_who_is_no_longer_active_receives_nothing),
        STORY(random_changes_end_the_same_everywhere),
    };

    return cmocka_run_group_tests(tests, template_create, template_destroy);
}

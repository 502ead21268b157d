/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot_cost: what a first snapshot costs without a session, and the same rows at a device.
 *
 *     snapshot_cost MASTER TEMPLATE SCRIPTS PLAIN
 *
 * MASTER: a server's database with workload W. TEMPLATE: a replica that was never enrolled, written
 * to. SCRIPTS: data folder with the company's schema scripts. PLAIN: an empty database with the
 * tables and indexes of W. On stdout, "NAME ROWS US":
 *
 *     chain   all rows read by bucket, encoded, compressed (zlib 1) and encrypted
 *     apply   the same rows taken into the replica and published
 *     insert  and inserted into PLAIN in one transaction */
#define _GNU_SOURCE

#include "agent/replica/replica.h"
#include "edge/scripts.h"
#include "protocol/frame.h"
#include "protocol/limits.h"
#include "schema/load.h"
#include "server/store/sqlite/sqlite_store.h"

#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BUCKETS_MAX = LIMIT_BUCKETS_MAX,
    ARENA_SIZE = 1024 * 1024 * 1024,
    PAGE_ROWS_MAX = 10000,
    SQL_SIZE_MAX = 2000,
    HEAD = 1000000000,
};

static const char *const TABLES[] = {"customers", "sites", "assets", "calls",
                                     "worklogs",  "parts", "partuse"};
enum { TABLE_COUNT = sizeof TABLES / sizeof *TABLES };

struct snapshot {
    struct catalog catalog;
    const struct catalog_table *tables[TABLE_COUNT];
    struct sql_database *database;
    struct store *store;
    struct arena arena;   /* all that stays */
    struct arena scratch; /* of one bucket */
    size_t bucket_count;
    int64_t buckets[BUCKETS_MAX];
    struct message_rows messages[BUCKETS_MAX];
    size_t row_count;
};

static void must(enum result result, const struct problem *problem)
{
    if (result == RESULT_OK)
        return;
    (void)fprintf(stderr, "snapshot_cost: %s\n", problem->text);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void report(const char *name, const struct snapshot *snapshot, int64_t began_us)
{
    (void)printf("%s %zu %" PRId64 "\n", name, snapshot->row_count, now_us() - began_us);
}

/* ---- the chain ---- */

static void open_master(struct snapshot *snapshot, const char *path)
{
    const struct sql_options options = {
        .path = path, .profile = SQL_PROFILE_SERVER, .read_only = true};
    const struct sqlite_store_options store = {.path = path, .is_reader = true};
    struct problem problem = {0};

    must(sql_open(&options, &snapshot->database, &problem), &problem);
    must(catalog_load(snapshot->database, &snapshot->arena, &snapshot->catalog, &problem),
         &problem);
    must(sqlite_store_open(&store, &snapshot->catalog, &snapshot->store, &problem), &problem);
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        snapshot->tables[i] = catalog_table_by_name(&snapshot->catalog, TABLES[i]);
        if (snapshot->tables[i] == NULL)
            must(problem_set(&problem, RESULT_REFUSED, "no table %s", TABLES[i]), &problem);
    }
}

static void find_buckets(struct snapshot *snapshot)
{
    static const char SQL[] = "SELECT _fs_bucket FROM customers UNION SELECT _fs_bucket FROM sites"
                              " UNION SELECT _fs_bucket FROM parts ORDER BY 1";
    struct store_result found = {0};
    struct problem problem = {0};

    must(store_query(snapshot->store, SQL, NULL, 0, &snapshot->arena, &found, &problem), &problem);
    for (size_t i = 0; i < found.row_count && i < BUCKETS_MAX; i++)
        snapshot->buckets[snapshot->bucket_count++] = store_integer_at(&found, i, 0, 0);
}

static void read_bucket(struct snapshot *snapshot, size_t number)
{
    struct message_rows *message = &snapshot->messages[number];
    struct problem problem = {0};

    *message = (struct message_rows){
        .bucket = snapshot->buckets[number],
        .seq_to = HEAD,
        .is_complete = true,
        .rows = arena_array(&snapshot->arena, PAGE_ROWS_MAX, sizeof *message->rows)};
    for (size_t i = 0; i < TABLE_COUNT && message->rows != NULL; i++) {
        struct stored_row *rows = NULL;
        size_t count = 0;

        must(store_page(snapshot->store, snapshot->tables[i], message->bucket, 0, HEAD,
                        PAGE_ROWS_MAX - message->row_count, &snapshot->arena, &rows, &count,
                        &problem),
             &problem);
        for (size_t row = 0; row < count; row++)
            message->rows[message->row_count++] =
                (struct row_image){.table_no = snapshot->tables[i]->number,
                                   .row_id = rows[row].id,
                                   .seq = rows[row].seq,
                                   .mask = snapshot->tables[i]->columns_mask,
                                   .values = rows[row].values};
    }
    snapshot->row_count += message->row_count;
}

static void seal_bucket(struct snapshot *snapshot, const struct message_rows *message)
{
    static const uint8_t KEY[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
    static const uint8_t NONCE[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
    static uint8_t sealed[LIMIT_MESSAGE_SIZE_MAX];
    const struct frame_options options = {
        .frame_size_max = LIMIT_MESSAGE_SIZE_MAX - crypto_aead_chacha20poly1305_ietf_ABYTES,
        .level = 1};
    struct frame_list frames = {0};
    struct problem problem = {0};
    struct buffer body;

    arena_reset(&snapshot->scratch);
    buffer_init(&body, LIMIT_BODY_SIZE_MAX);
    must(message_rows_encode(&snapshot->catalog, message, &body, &problem), &problem);
    must(frame_encode(MESSAGE_ROWS, buffer_bytes(&body), &options, &snapshot->scratch, &frames,
                      &problem),
         &problem);
    for (size_t i = 0; i < frames.count; i++)
        (void)crypto_aead_chacha20poly1305_ietf_encrypt(
            sealed, NULL, frames.frames[i].data, frames.frames[i].size, NULL, 0, NULL, NONCE, KEY);
    buffer_done(&body);
}

static void run_chain(struct snapshot *snapshot)
{
    struct problem problem = {0};
    int64_t began_us = now_us();

    must(store_begin(snapshot->store, STORE_READ, &problem), &problem);
    find_buckets(snapshot);
    for (size_t i = 0; i < snapshot->bucket_count; i++) {
        read_bucket(snapshot, i);
        seal_bucket(snapshot, &snapshot->messages[i]);
    }
    store_rollback(snapshot->store);
    report("chain", snapshot, began_us);
}

/* ---- a device ---- */

static struct replica *open_replica(struct snapshot *snapshot, const char *path, const char *folder)
{
    struct replica_options options = {.path = path};
    const struct script *scripts = NULL;
    struct replica_script *extras = NULL;
    struct replica *replica = NULL;
    struct problem problem = {0};

    must(scripts_read(folder, &snapshot->arena, &scripts, &options.extra_count, &problem),
         &problem);
    extras = arena_array(&snapshot->arena, options.extra_count + 1, sizeof *extras);
    for (size_t i = 0; extras != NULL && i < options.extra_count; i++)
        extras[i] = (struct replica_script){scripts[i].name, scripts[i].text};
    options.extras = extras;
    must(replica_open(&options, &replica, &problem), &problem);
    return replica;
}

static void enrol(struct snapshot *snapshot, struct replica *replica)
{
    const struct message_enrolled enrolled = {
        .replica_no = 7,
        .device_id = 70,
        .incarnation = 1,
        .user_id = 12,
        .user_login = bytes_of_text("bench"),
        .user_name = bytes_of_text("bench"),
        .series = bytes_of_text("T07"),
        .psk = bytes_of_text("0123456789abcdef0123456789abcdef"),
        .resume_token = bytes_of_text("token-token-token-token-token-00"),
        .epoch = bytes_of_text("epoch-epoch-0001"),
        .digest_key = bytes_of_text("0123456789abcdef"),
        .schema_version = snapshot->catalog.schema_version};
    const struct message_subscribed subscribed = {
        .is_whole = true, .added_count = snapshot->bucket_count, .added = snapshot->buckets};
    struct problem problem = {0};

    must(replica_enrol(replica, &enrolled, &problem), &problem);
    must(replica_subscribed(replica, &subscribed, &problem), &problem);
}

static void run_apply(struct snapshot *snapshot, struct replica *replica)
{
    const struct wall_time now = {INT64_C(1795000000000000)};
    struct replica_published published = {0};
    struct problem problem = {0};
    int64_t began_us = now_us();

    for (size_t i = 0; i < snapshot->bucket_count; i++)
        must(replica_rows(replica, &snapshot->messages[i], &problem), &problem);
    must(replica_publish(replica, HEAD, now, &published, &problem), &problem);
    report("apply", snapshot, began_us);
}

/* ---- plain SQLite ---- */

static void must_sqlite(sqlite3 *database, bool is_right)
{
    if (is_right)
        return;
    (void)fprintf(stderr, "snapshot_cost: %s\n", sqlite3_errmsg(database));
    exit(1);
}

static sqlite3_stmt *prepare_insert(sqlite3 *database, const struct catalog_table *table)
{
    char sql[SQL_SIZE_MAX];
    int size = snprintf(sql, sizeof sql, "INSERT INTO %s(id", table->name);
    sqlite3_stmt *statement = NULL;

    for (uint8_t i = 1; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, "home") != 0) /* the sync's own column */
            size += snprintf(sql + size, sizeof sql - (size_t)size, ",%s", table->columns[i].name);
    size += snprintf(sql + size, sizeof sql - (size_t)size, ") VALUES(?1");
    for (uint8_t i = 1; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, "home") != 0)
            size += snprintf(sql + size, sizeof sql - (size_t)size, ",?%d", i + 1);
    (void)snprintf(sql + size, sizeof sql - (size_t)size, ")");
    must_sqlite(database, sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK);
    return statement;
}

static void bind(sqlite3_stmt *statement, int place, const struct value *value)
{
    switch (value->type) {
    case VALUE_NULL:
        (void)sqlite3_bind_null(statement, place);
        break;
    case VALUE_INTEGER:
        (void)sqlite3_bind_int64(statement, place, value->integer);
        break;
    case VALUE_REAL:
        (void)sqlite3_bind_double(statement, place, value->real);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB: /* W has none */
        (void)sqlite3_bind_text(statement, place, (const char *)value->bytes.data,
                                (int)value->bytes.size, SQLITE_STATIC);
        break;
    }
}

static void insert_row(const struct snapshot *snapshot, sqlite3 *database,
                       sqlite3_stmt *const *statements, const struct row_image *row)
{
    size_t number = 0;

    while (snapshot->tables[number]->number != row->table_no)
        number++;
    (void)sqlite3_bind_int64(statements[number], 1, row->row_id);
    for (int i = 1; i < sqlite3_bind_parameter_count(statements[number]); i++)
        bind(statements[number], i + 1, &row->values[i]);
    must_sqlite(database, sqlite3_step(statements[number]) == SQLITE_DONE);
    (void)sqlite3_reset(statements[number]);
}

static void run_insert(const struct snapshot *snapshot, const char *path)
{
    sqlite3_stmt *statements[TABLE_COUNT];
    sqlite3 *database = NULL;
    int64_t began_us;

    must_sqlite(database, sqlite3_open(path, &database) == SQLITE_OK);
    must_sqlite(database, sqlite3_exec(database,
                                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                                       "PRAGMA cache_size=-16384; BEGIN",
                                       NULL, NULL, NULL) == SQLITE_OK);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        statements[i] = prepare_insert(database, snapshot->tables[i]);
    began_us = now_us();
    for (size_t i = 0; i < snapshot->bucket_count; i++)
        for (size_t row = 0; row < snapshot->messages[i].row_count; row++)
            insert_row(snapshot, database, statements, &snapshot->messages[i].rows[row]);
    must_sqlite(database, sqlite3_exec(database, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    report("insert", snapshot, began_us);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        (void)sqlite3_finalize(statements[i]);
    (void)sqlite3_close(database);
}

int main(int argc, char **argv)
{
    static struct snapshot snapshot;
    struct replica *replica;

    if (argc != 5 || sodium_init() < 0)
        return 2;
    arena_init(&snapshot.arena, ARENA_SIZE);
    arena_init(&snapshot.scratch, ARENA_SIZE);
    open_master(&snapshot, argv[1]);
    run_chain(&snapshot);
    replica = open_replica(&snapshot, argv[2], argv[3]);
    enrol(&snapshot, replica);
    run_apply(&snapshot, replica);
    replica_close(replica);
    run_insert(&snapshot, argv[4]);
    store_close(snapshot.store);
    sql_close(snapshot.database);
    arena_done(&snapshot.scratch);
    arena_done(&snapshot.arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kit.h: a replica in a real file, three tables of its own beside the whole model, and a hand-made
 * server: messages as the server would send them, and other programs that write the file. */
#pragma once

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* mkdtemp, fork, popen */
#endif

#include "agent/replica/replica.h"
#include "base/lookup.h"

#include <inttypes.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { REPLICA_NO = 7, MEMO = 901, LABEL = 902, ENTRY = 903 };
#define MINE(counter)   id_of(REPLICA_NO, (counter))
#define SERVER(counter) id_of(0, (counter))
#define SITE(id)        bucket_of(BUCKET_SITE, (id))
#define SHARED          bucket_of(BUCKET_SHARED, 0)
#define ALL             UINT64_MAX
static const struct wall_time NOON = {INT64_C(1795000000000000)};

/* memo: 1 site_id 2 title 3 body 4 n 5 state (server only); label: 1 code 2 text;
 * entry: 1 memo_id 2 minutes 3 home */
static const struct replica_script KIT_SCRIPT = {
    "5000_common_kit",
    "CREATE TABLE memo(id INTEGER PRIMARY KEY, site_id BIGINT, title TEXT, body TEXT, n BIGINT,"
    " state TEXT DEFAULT 'new');"
    "CREATE TABLE label(id INTEGER PRIMARY KEY, code TEXT UNIQUE, text TEXT);"
    "CREATE TABLE entry(id INTEGER PRIMARY KEY, memo_id BIGINT, minutes INTEGER, home BIGINT);"
    "INSERT INTO fs_table(number, name, bucket_rule, merge, delete_rule, natural_key) VALUES"
    " (901, 'memo', 'site:site_id,shared', 'last_writer', 'delete_wins', NULL),"
    " (902, 'label', 'shared', 'last_writer', 'edit_revives', 'code'),"
    " (903, 'entry', 'home:memo_id', 'append_only', 'never', NULL);"
    "INSERT INTO fs_column(table_number, number, name, type, is_nullable, merge, refers_to) VALUES"
    " (901, 1, 'site_id', 'integer', 1, NULL, NULL), (901, 2, 'title', 'text', 1, NULL, NULL),"
    " (901, 3, 'body', 'text', 1, NULL, NULL), (901, 4, 'n', 'integer', 1, NULL, NULL),"
    " (901, 5, 'state', 'text', 1, 'server_only', NULL),"
    " (902, 1, 'code', 'text', 1, NULL, NULL), (902, 2, 'text', 'text', 1, NULL, NULL),"
    " (903, 1, 'memo_id', 'integer', 1, NULL, 'memo'), (903, 2, 'minutes', 'integer', 1, NULL,"
    " NULL), (903, 3, 'home', 'integer', 1, 'server_only', NULL);"
    "INSERT INTO fs_grant(role, table_name, op, columns) VALUES"
    " ('technician', 'memo', 'insert', '*'), ('technician', 'memo', 'update', '*'),"
    " ('technician', 'memo', 'delete', '*'), ('technician', 'label', 'insert', '*'),"
    " ('technician', 'label', 'update', '*'), ('technician', 'entry', 'insert', '*');",
};

struct kit {
    char folder[64];
    char path[96];
    struct replica *replica;
    struct arena arena;
    struct problem problem;
    int64_t seq; /* newest of the pretended master */
    char trace[8192];
};

#define OK(kit, call)                                                                              \
    do {                                                                                           \
        (kit)->problem = (struct problem){0};                                                      \
        if ((call) != RESULT_OK)                                                                   \
            fail_msg("%s: %s", #call, (kit)->problem.text);                                        \
    } while (0)

static inline void kit_open(struct kit *kit)
{
    const struct replica_options options = {
        .path = kit->path, .extra_count = 1, .extras = &KIT_SCRIPT};

    OK(kit, replica_open(&options, &kit->replica, &kit->problem));
}

static inline void kit_reopen(struct kit *kit)
{
    replica_close(kit->replica);
    kit->replica = NULL;
    kit_open(kit);
}

/* The file of a fresh, enrolled replica is made once a program; each test starts with a copy. */
static inline void kit_copy(const char *from, const char *to)
{
    sqlite3 *source = NULL;
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", to);

    assert_int_equal(sqlite3_open(from, &source), SQLITE_OK);
    assert_int_equal(sqlite3_exec(source, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_free(sql);
    (void)sqlite3_close(source);
}

static inline void kit_remove(struct kit *kit)
{
    static const char *const SUFFIXES[] = {"", "-wal", "-shm", "-journal"};
    char name[128];

    for (size_t i = 0; i < sizeof SUFFIXES / sizeof SUFFIXES[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", kit->path, SUFFIXES[i]);
        (void)unlink(name);
    }
}

static inline void kit_enrol(struct kit *kit)
{
    const struct message_enrolled enrolled = {
        .replica_no = REPLICA_NO,
        .device_id = 70,
        .incarnation = 1,
        .user_id = 12,
        .user_login = bytes_of_text("anna"),
        .user_name = bytes_of_text("Anna Rossi"),
        .series = bytes_of_text("T07"),
        .van_id = 3,
        .psk = bytes_of_text("0123456789abcdef0123456789abcdef"),
        .resume_token = bytes_of_text("token-token-token-token-token-00"),
        .epoch = bytes_of_text("epoch-epoch-0001"),
        .digest_key = bytes_of_text("0123456789abcdef"),
        .schema_version = 1,
    };

    OK(kit, replica_enrol(kit->replica, &enrolled, &kit->problem));
}

static inline int kit_group_setup(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);

    assert_non_null(kit);
    memcpy(kit->folder, "/tmp/fieldsync-replica-XXXXXX", 30);
    assert_non_null(mkdtemp(kit->folder));
    (void)snprintf(kit->path, sizeof kit->path, "%s/fresh.db", kit->folder);
    kit_open(kit);
    kit_enrol(kit);
    replica_close(kit->replica);
    kit->replica = NULL;
    *state = kit;
    return 0;
}

static inline int kit_group_teardown(void **state)
{
    struct kit *kit = *state;

    (void)snprintf(kit->path, sizeof kit->path, "%s/fresh.db", kit->folder);
    kit_remove(kit);
    (void)rmdir(kit->folder);
    free(kit);
    return 0;
}

static inline int kit_setup(void **state)
{
    struct kit *kit = *state;
    char fresh[96];

    (void)snprintf(fresh, sizeof fresh, "%s/fresh.db", kit->folder);
    (void)snprintf(kit->path, sizeof kit->path, "%s/replica.db", kit->folder);
    kit_copy(fresh, kit->path);
    arena_init(&kit->arena, 64 << 20);
    kit->seq = 0;
    kit_open(kit);
    return 0;
}

static inline int kit_teardown(void **state)
{
    struct kit *kit = *state;

    replica_close(kit->replica);
    kit->replica = NULL;
    arena_done(&kit->arena);
    kit_remove(kit);
    return 0;
}

/* ---- another program ------------------------------------------------------------------------- */

static inline void sql(struct kit *kit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void sql(struct kit *kit, const char *format, ...)
{
    sqlite3 *other = NULL;
    char *error = NULL;
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    assert_int_equal(sqlite3_open(kit->path, &other), SQLITE_OK);
    (void)sqlite3_busy_timeout(other, 5000);
    if (sqlite3_exec(other, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", text, error);
    sqlite3_free(text);
    (void)sqlite3_close(other);
}

/* Rows as "a|b;c|d", NULL as "-". */
static inline const char *rows(struct kit *kit, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline const char *rows(struct kit *kit, const char *format, ...)
{
    sqlite3 *other = NULL;
    sqlite3_stmt *statement = NULL;
    char *text = NULL;
    const char *found = "";
    va_list arguments;

    va_start(arguments, format);
    text = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    assert_int_equal(sqlite3_open(kit->path, &other), SQLITE_OK);
    (void)sqlite3_busy_timeout(other, 5000);
    if (sqlite3_prepare_v2(other, text, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(other));
    while (sqlite3_step(statement) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *value = (const char *)sqlite3_column_text(statement, i);

            found = arena_format(&kit->arena, "%s%s%s", found,
                                 found[0] == '\0' ? ""
                                 : i == 0         ? ";"
                                                  : "|",
                                 value == NULL ? "-" : value);
            assert_non_null(found);
        }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(other);
    sqlite3_free(text);
    return found;
}

/* ---- what the server sends ------------------------------------------------------------------- */

static inline struct value *kit_values(struct kit *kit, size_t count)
{
    struct value *values = arena_array(&kit->arena, count, sizeof *values);

    assert_non_null(values);
    return values;
}

static inline struct row_image memo(struct kit *kit, int64_t id, int64_t seq, int64_t site,
                                    const char *title, const char *body)
{
    struct value *values = kit_values(kit, 6);

    values[1] = site == 0 ? value_null() : value_integer(site);
    values[2] = value_text_of(title);
    values[3] = value_text_of(body);
    values[4] = value_integer(5);
    values[5] = value_text_of("open");
    return (struct row_image){
        .table_no = MEMO, .row_id = id, .seq = seq, .mask = 0x3e, .values = values};
}

/* Only title and body. */
static inline struct row_image memo_title(struct kit *kit, int64_t id, int64_t seq,
                                          const char *title)
{
    struct row_image image = memo(kit, id, seq, 0, title, NULL);

    image.mask = 1 << 2;
    return image;
}

static inline struct row_image label(struct kit *kit, int64_t id, int64_t seq, const char *code,
                                     const char *text)
{
    struct value *values = kit_values(kit, 3);

    values[1] = value_text_of(code);
    values[2] = value_text_of(text);
    return (struct row_image){
        .table_no = LABEL, .row_id = id, .seq = seq, .mask = 6, .values = values};
}

static inline void subscribe(struct kit *kit, size_t count, const int64_t *buckets)
{
    const struct message_subscribed subscribed = {
        .is_whole = true, .added_count = count, .added = (int64_t *)(uintptr_t)buckets};

    OK(kit, replica_subscribed(kit->replica, &subscribed, &kit->problem));
}
#define SUBSCRIBE(kit, ...)                                                                        \
    subscribe(kit, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static inline void send_rows(struct kit *kit, int64_t bucket, int64_t after, int64_t to,
                             size_t count, const struct row_image *images)
{
    const struct message_rows message = {.bucket = bucket,
                                         .seq_after = after,
                                         .seq_to = to,
                                         .is_complete = true,
                                         .row_count = count,
                                         .rows = (struct row_image *)(uintptr_t)images};

    OK(kit, replica_rows(kit->replica, &message, &kit->problem));
}
#define ROWS(kit, bucket, after, to, ...)                                                          \
    send_rows(kit, bucket, after, to,                                                              \
              sizeof((struct row_image[]){__VA_ARGS__}) / sizeof(struct row_image),                \
              (struct row_image[]){__VA_ARGS__})

static inline void send_gone(struct kit *kit, int64_t bucket, int64_t after, int64_t to,
                             enum gone_kind kind, uint16_t table_no, int64_t id, int64_t seq)
{
    struct gone gone = {.kind = kind, .table_no = table_no, .row_id = id, .seq = seq};
    const struct message_gone message = {
        .bucket = bucket, .seq_after = after, .seq_to = to, .count = 1, .rows = &gone};

    OK(kit, replica_gone(kit->replica, &message, &kit->problem));
}

static inline struct replica_published publish(struct kit *kit, int64_t head)
{
    struct replica_published published = {0};

    OK(kit, replica_publish(kit->replica, head, NOON, &published, &kit->problem));
    return published;
}

/* A published replica at 10 with sites 1 and 2 and what is shared: memo 1 at site 1, memo 2 at site
 * 2, label 1. */
static inline void first_snapshot(struct kit *kit)
{
    SUBSCRIBE(kit, SHARED, SITE(1), SITE(2));
    ROWS(kit, SHARED, 0, 10, label(kit, SERVER(1), 3, "A", "first"));
    ROWS(kit, SITE(1), 0, 10, memo(kit, SERVER(1), 5, 1, "one", "b1"));
    ROWS(kit, SITE(2), 0, 10, memo(kit, SERVER(2), 6, 2, "two", "b2"));
    (void)publish(kit, 10);
}

/* ---- what goes up ---------------------------------------------------------------------------- */

static inline int64_t seal(struct kit *kit)
{
    int64_t seal_no = 0;

    OK(kit, replica_seal(kit->replica, NOON, &seal_no, &kit->problem));
    return seal_no;
}

/* The changes of a seal: "update memo 1 title=x body=-;insert ...". */
static inline const char *changes(struct kit *kit, int64_t seal_no)
{
    const struct catalog *catalog = replica_catalog(kit->replica);
    static const char *const OPS[] = {"?", "insert", "update", "delete"};
    struct message_push push = {0};
    const char *text = "";

    if (seal_no == 0)
        return "nothing";
    OK(kit, replica_push_part(kit->replica, seal_no, 0, 60000, &kit->arena, &push, &kit->problem));
    for (size_t i = 0; i < push.change_count; i++) {
        const struct change *change = &push.changes[i];
        const struct catalog_table *table = catalog_table_by_no(catalog, change->table_no);

        text = arena_format(&kit->arena, "%s%s%s %s %" PRId64, text, i == 0 ? "" : ";",
                            OPS[change->op], table->name, id_counter(change->row_id));
        for (uint8_t n = 1; n < table->column_count; n++) {
            const struct value *value = change->values == NULL ? NULL : &change->values[n];

            if ((change->mask >> n & 1) == 0)
                continue;
            if (value->type == VALUE_TEXT)
                text = arena_format(&kit->arena, "%s %s=%.*s", text, table->columns[n].name,
                                    (int)value->bytes.size, (const char *)value->bytes.data);
            else if (value->type == VALUE_INTEGER)
                text = arena_format(&kit->arena, "%s %s=%" PRId64, text, table->columns[n].name,
                                    value->integer);
            else
                text = arena_format(&kit->arena, "%s %s=%s", text, table->columns[n].name,
                                    value->type == VALUE_NULL ? "-" : "?");
        }
    }
    return text;
}

/* The server's answer to a whole seal. */
static inline void answer(struct kit *kit, int64_t seal_no, int64_t commit_seq, size_t count,
                          const struct verdict *exceptions)
{
    struct message_push push = {0};
    struct message_verdict verdict = {.seal_no = seal_no,
                                      .commit_seq = commit_seq,
                                      .exception_count = count,
                                      .exceptions = (struct verdict *)(uintptr_t)exceptions};

    OK(kit, replica_push_part(kit->replica, seal_no, 0, 60000, &kit->arena, &push, &kit->problem));
    verdict.lcn_high = push.lcn_last;
    OK(kit, replica_verdict(kit->replica, &verdict, NOON, &kit->problem));
}

static inline int64_t lcn_of(struct kit *kit, int64_t seal_no, size_t index)
{
    struct message_push push = {0};

    OK(kit, replica_push_part(kit->replica, seal_no, 0, 60000, &kit->arena, &push, &kit->problem));
    assert_true(index < push.change_count);
    return push.changes[index].lcn;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
#define RUN(tests) cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown)

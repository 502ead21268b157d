/* SPDX-License-Identifier: Apache-2.0 */
/* What a damaged replica had not sent yet is in the new one, or in the list of what is lost. */
#include "kit.h"

#include "agent/replica/rescue.h"
#include "base/prng.h"

#include <fcntl.h>
#include <sys/stat.h>

enum { PAGE = 4096, EXPECTED_MAX = 2000 };

/* A change as it would have gone up from the sound file. */
struct expected {
    int64_t table_no, row_id, op, lcn_first, lcn_last;
    bool is_sealed;    /* already, before the damage */
    bool is_delivered; /* by the new replica */
};
struct scene {
    struct kit *kit;
    char empty[96], damaged[96], fresh[96];
    struct expected expected[EXPECTED_MAX];
    size_t expected_count;
    struct arena arena;
    struct rescue_outcome outcome;
    enum result result;
    struct problem problem;
};

static int64_t number(const char *path, const char *sql_text)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t found = -1;

    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    if (sqlite3_prepare_v2(database, sql_text, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql_text, sqlite3_errmsg(database));
    if (sqlite3_step(statement) == SQLITE_ROW)
        found = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
    return found;
}

/* ---- work that wasn't sent --------------------------------------------------------------------
 */

/* A published replica; then work in a seal without an answer, and more that no seal holds. */
static void record_work(struct kit *kit)
{
    int64_t seal_no = 0;

    SUBSCRIBE(kit, SITE(1), SHARED);
    for (int64_t i = 1; i <= 300; i++)
        ROWS(kit, SITE(1), i - 1, i,
             memo(kit, SERVER(i), i, 1, "from the office", "a longer text"));
    ROWS(kit, SHARED, 0, 300, label(kit, SERVER(900), 300, "red", "Red"));
    (void)publish(kit, 300);
    sql(kit, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80)"
             " INSERT INTO memo(id, site_id, title, body, n)"
             " SELECT (SELECT id FROM new_id) + i - 1, 1, 'sealed ' || i, 'text of it', i FROM n;"
             "UPDATE memo SET title = 'sealed edit' WHERE id BETWEEN 1 AND 20;"
             "DELETE FROM memo WHERE id = 21");
    OK(kit, replica_seal(kit->replica, NOON, &seal_no, &kit->problem));
    assert_int_equal(seal_no, 1);
    sql(kit, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)"
             " INSERT INTO memo(id, site_id, title, body, n)"
             " SELECT (SELECT id FROM new_id) + i - 1, 1, 'new ' || i, 'text of it', i FROM n");
    sql(kit, "INSERT INTO label(id, code, text) SELECT id, 'blue', 'Blue' FROM new_id");
    sql(kit, "UPDATE memo SET body = 'an edit' WHERE id BETWEEN 100 AND 250");
    sql(kit, "UPDATE memo SET body = 'an edit of a new one' WHERE id > 1000 AND n BETWEEN 1 AND 5");
    sql(kit, "DELETE FROM memo WHERE id BETWEEN 251 AND 260");
    sql(kit, "UPDATE label SET text = 'Rosso' WHERE id = 900");
    sql(kit, "INSERT INTO entry(id, memo_id, minutes) SELECT id, 5, 30 FROM new_id");
}

static void read_expected(struct scene *scene, const char *path)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;

    scene->expected_count = 0;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database, "SELECT table_no, row_id, op, first, last, seal_no FROM waits",
                           -1, &statement, NULL),
        SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        assert_true(scene->expected_count < EXPECTED_MAX);
        scene->expected[scene->expected_count++] =
            (struct expected){.table_no = sqlite3_column_int64(statement, 0),
                              .row_id = sqlite3_column_int64(statement, 1),
                              .op = sqlite3_column_int64(statement, 2),
                              .lcn_first = sqlite3_column_int64(statement, 3),
                              .lcn_last = sqlite3_column_int64(statement, 4),
                              .is_sealed = sqlite3_column_int64(statement, 5) == 1};
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
}

/* Seals a copy of the sound file: what would have gone up. */
static void expect_all(struct scene *scene)
{
    struct kit *kit = scene->kit;
    char path[96];
    char copy[128];
    int64_t seal_no = 0;

    memcpy(path, kit->path, sizeof path);
    (void)snprintf(copy, sizeof copy, "%s.sound", path);
    kit_copy(path, copy);
    replica_close(kit->replica);
    memcpy(kit->path, copy, sizeof kit->path);
    kit_open(kit);
    sql(kit, "CREATE TABLE spans AS SELECT tbl, row_id, min(lcn) AS first, max(lcn) AS last"
             " FROM fs_outbox WHERE op <> '-' GROUP BY tbl, row_id");
    OK(kit, replica_seal(kit->replica, NOON, &seal_no, &kit->problem));
    sql(kit, "CREATE TABLE waits AS SELECT c.table_no, c.row_id, c.op,"
             " iif(seal_no = 1, c.lcn, s.first) AS first, iif(seal_no = 1, c.lcn, s.last) AS last,"
             " seal_no FROM fs_seal_change AS c LEFT JOIN spans AS s ON s.tbl = c.table_no"
             " AND s.row_id = c.row_id WHERE is_pending = 1");
    read_expected(scene, kit->path);
    replica_close(kit->replica);
    kit->replica = NULL;
    memcpy(kit->path, path, sizeof kit->path);
}

/* ---- damage -----------------------------------------------------------------------------------
 */

static void copy_file(const char *from, const char *to)
{
    static char buffer[1 << 20];
    FILE *source = fopen(from, "rb");
    FILE *target = fopen(to, "wb");
    size_t size = 0;

    assert_non_null(source);
    assert_non_null(target);
    while ((size = fread(buffer, 1, sizeof buffer, source)) > 0)
        assert_int_equal(fwrite(buffer, 1, size, target), size);
    (void)fclose(source);
    assert_int_equal(fclose(target), 0);
}

/* Zeros, or the bytes of another page turned round. */
static void damage(const char *path, int64_t page, bool is_garbage)
{
    uint8_t bytes[PAGE] = {0};
    int file = open(path, O_RDWR | O_CLOEXEC);

    assert_true(file >= 0);
    for (size_t i = 0; is_garbage && i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + (size_t)page * 31 + 5);
    assert_int_equal(pwrite(file, bytes, sizeof bytes, (page - 1) * PAGE), PAGE);
    (void)close(file);
}

static void remove_all(const char *path)
{
    static const char *const SUFFIXES[] = {"", "-wal", "-shm", "-journal"};
    char name[160];

    for (size_t i = 0; i < sizeof SUFFIXES / sizeof SUFFIXES[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, SUFFIXES[i]);
        (void)unlink(name);
    }
}

/* The new one lies in the place of an empty one that is made once: no scripts to run each time. */
static void rescue(struct scene *scene)
{
    const struct replica_options fresh = {
        .path = scene->fresh, .extra_count = 1, .extras = &KIT_SCRIPT};
    const struct rescue_options options = {.damaged = scene->damaged, .fresh = &fresh, .now = NOON};

    remove_all(scene->fresh);
    copy_file(scene->empty, scene->fresh);
    arena_reset(&scene->arena);
    scene->problem = (struct problem){0};
    scene->result = replica_rescue(&options, &scene->arena, &scene->outcome, &scene->problem);
}

/* ---- delivered, or listed ----------------------------------------------------------------------
 */

static const char *name_of(int64_t table_no)
{
    return table_no == MEMO ? "memo" : table_no == LABEL ? "label" : "entry";
}

static bool is_named(const struct scene *scene, const struct expected *change)
{
    for (const struct rescue_loss *loss = scene->outcome.losses; loss != NULL; loss = loss->next)
        if (loss->kind == RESCUE_LOST_CHANGE && loss->row_id == change->row_id &&
            strcmp(loss->table_name, name_of(change->table_no)) == 0 &&
            (loss->last >= change->lcn_first && loss->first <= change->lcn_last))
            return true;
    return false;
}

static bool is_in_a_range(const struct scene *scene, const struct expected *change)
{
    for (const struct rescue_loss *loss = scene->outcome.losses; loss != NULL; loss = loss->next) {
        bool is_lines = loss->kind == RESCUE_LOST_LINES && !change->is_sealed;
        bool is_sealed = loss->kind == RESCUE_LOST_SEALED && change->is_sealed;

        if ((is_lines || is_sealed) && loss->first <= change->lcn_last &&
            loss->last >= change->lcn_first)
            return true;
    }
    return false;
}

/* What the new replica would send. */
static void read_delivered(struct scene *scene)
{
    struct kit *kit = scene->kit;
    char path[96];
    int64_t seal_no = 0;
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;

    memcpy(path, kit->path, sizeof path);
    memcpy(kit->path, scene->fresh, sizeof kit->path);
    kit_open(kit);
    OK(kit, replica_seal(kit->replica, NOON, &seal_no, &kit->problem));
    replica_close(kit->replica);
    kit->replica = NULL;
    memcpy(kit->path, path, sizeof kit->path);
    assert_int_equal(sqlite3_open(scene->fresh, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database,
                                        "SELECT table_no, row_id, op FROM fs_seal_change"
                                        " WHERE is_pending = 1",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        bool is_expected = false;

        for (size_t i = 0; i < scene->expected_count; i++) {
            struct expected *change = &scene->expected[i];

            if (change->table_no == sqlite3_column_int64(statement, 0) &&
                change->row_id == sqlite3_column_int64(statement, 1) &&
                change->op == sqlite3_column_int64(statement, 2) && !change->is_delivered) {
                change->is_delivered = is_expected = true;
                break;
            }
        }
        if (!is_expected)
            fail_msg("%s %" PRId64 " op %d was never recorded, or is sent twice",
                     name_of(sqlite3_column_int64(statement, 0)),
                     (int64_t)sqlite3_column_int64(statement, 1), sqlite3_column_int(statement, 2));
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
}

static void compare(struct scene *scene, int64_t page)
{
    for (size_t i = 0; i < scene->expected_count; i++)
        scene->expected[i].is_delivered = false;
    if (!scene->outcome.is_identity_lost)
        read_delivered(scene);
    for (size_t i = 0; i < scene->expected_count; i++) {
        const struct expected *change = &scene->expected[i];

        if (change->is_delivered == is_named(scene, change) &&
            (change->is_delivered || !is_in_a_range(scene, change)))
            fail_msg("page %" PRId64 ": %s %" PRId64 " op %d is %s", page,
                     name_of(change->table_no), change->row_id, (int)change->op,
                     change->is_delivered ? "delivered and named" : "neither delivered nor named");
    }
}

/* Pages of what unsent work needs, and some of the rest. */
static size_t pages_to_damage(struct scene *scene, int64_t *pages, size_t room)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    size_t count = 0;

    assert_int_equal(sqlite3_open(scene->damaged, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database,
                           "SELECT pageno FROM dbstat WHERE name IN ('fs_state', 'fs_seal',"
                           " 'fs_seal_change', 'fs_outbox', 'fs_unsendable', 'memo', 'label',"
                           " 'entry') OR name LIKE 'fs^_seal%' ESCAPE '^' AND pageno % 3 = 0"
                           " OR pageno = 1 OR pageno % 61 = 0 ORDER BY pageno",
                           -1, &statement, NULL),
        SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW && count < room)
        pages[count++] = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
    return count;
}

static int scene_begin(void **state)
{
    static struct scene scene;
    const struct replica_options options = {
        .path = scene.empty, .extra_count = 1, .extras = &KIT_SCRIPT};
    struct replica *replica = NULL;
    int result = kit_setup(state);

    scene = (struct scene){.kit = *state};
    (void)snprintf(scene.empty, sizeof scene.empty, "%s/empty.db", scene.kit->folder);
    (void)snprintf(scene.damaged, sizeof scene.damaged, "%s/damaged.db", scene.kit->folder);
    (void)snprintf(scene.fresh, sizeof scene.fresh, "%s/rescued.db", scene.kit->folder);
    arena_init(&scene.arena, 64 << 20);
    OK(scene.kit, replica_open(&options, &replica, &scene.kit->problem));
    replica_close(replica);
    record_work(scene.kit);
    expect_all(&scene);
    *state = &scene;
    return result;
}

static int scene_end(void **state)
{
    struct scene *scene = *state;
    char sound[128];

    (void)snprintf(sound, sizeof sound, "%s.sound", scene->kit->path);
    remove_all(sound);
    remove_all(scene->empty);
    remove_all(scene->damaged);
    remove_all(scene->fresh);
    arena_done(&scene->arena);
    *state = scene->kit;
    return kit_teardown(state);
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void a_sound_file_is_left_alone(void **state)
{
    struct scene *scene = *state;

    kit_copy(scene->kit->path, scene->damaged);
    rescue(scene);
    assert_int_equal(scene->result, RESULT_OK);
    assert_true(scene->outcome.is_sound);
}

static void each_page_in_turn_loses_nothing_silently(void **state)
{
    struct scene *scene = *state;
    int64_t pages[400];
    size_t page_count = 0;
    int counts[4] = {0}; /* sound, rescued, identity lost, refused */
    char sound[128];

    (void)snprintf(sound, sizeof sound, "%s.sound", scene->kit->path);
    remove_all(sound);
    kit_copy(scene->kit->path, sound);
    remove_all(scene->damaged);
    copy_file(sound, scene->damaged);
    page_count = pages_to_damage(scene, pages, 400);
    for (size_t i = 0; i < page_count; i++) {
        remove_all(scene->damaged);
        copy_file(sound, scene->damaged);
        damage(scene->damaged, pages[i], i % 2 == 0);
        rescue(scene);
        if (scene->result != RESULT_OK) {
            assert_int_equal(scene->result, RESULT_STORAGE);
            counts[3]++;
            continue;
        }
        counts[scene->outcome.is_sound ? 0 : scene->outcome.is_identity_lost ? 2 : 1]++;
        if (!scene->outcome.is_sound)
            compare(scene, pages[i]);
    }
    print_message("%d changes; pages: %d, of them sound %d, rescued %d, identity lost %d,"
                  " refused %d\n",
                  (int)scene->expected_count, (int)page_count, counts[0], counts[1], counts[2],
                  counts[3]);
    assert_true(counts[1] > 20);
    assert_int_equal(counts[3], 1); /* the first page, which says what the file is */
}

/* A scratch on the disk rarely takes one page. */
static void several_pages_at_once_lose_nothing_silently(void **state)
{
    enum { DRAWS = 12 };
    struct scene *scene = *state;
    int64_t pages[400];
    size_t page_count = 0;
    int rescued_count = 0;
    char sound[128];
    struct prng prng;

    prng_init(&prng, 8);
    (void)snprintf(sound, sizeof sound, "%s.sound", scene->kit->path);
    remove_all(sound);
    kit_copy(scene->kit->path, sound);
    remove_all(scene->damaged);
    copy_file(sound, scene->damaged);
    page_count = pages_to_damage(scene, pages, 400);
    for (int draw = 0; draw < DRAWS; draw++) {
        int count = 2 + (int)prng_below(&prng, 5);

        remove_all(scene->damaged);
        copy_file(sound, scene->damaged);
        for (int i = 0; i < count; i++) /* the first one says what the file is */
            damage(scene->damaged, pages[1 + prng_below(&prng, page_count - 1)], i % 2 == 0);
        rescue(scene);
        if (scene->result != RESULT_OK)
            fail_msg("draw %d: %s", draw, scene->problem.text);
        rescued_count += !scene->outcome.is_identity_lost;
        compare(scene, draw);
    }
    assert_true(rescued_count > DRAWS / 2);
}

/* The seal goes up as it was: same number, same digest, same bytes. */
static void a_damaged_page_of_rows_leaves_the_seal_as_it_is(void **state)
{
    struct scene *scene = *state;
    char text[200];
    int64_t before = 0;

    remove_all(scene->damaged);
    kit_copy(scene->kit->path, scene->damaged);
    (void)snprintf(text, sizeof text,
                   "SELECT max(pageno) FROM dbstat WHERE name = 'memo' AND pagetype = 'leaf'");
    before = number(scene->damaged, "SELECT sum(length(data)) + (SELECT hex(digest) IS NOT NULL"
                                    " FROM fs_seal) FROM fs_seal_change");
    damage(scene->damaged, number(scene->damaged, text), false);
    rescue(scene);
    assert_int_equal(scene->result, RESULT_OK);
    assert_false(scene->outcome.are_seals_lost);
    assert_false(scene->outcome.is_identity_lost);
    assert_true(scene->outcome.loss_count > 0);
    assert_int_equal(scene->outcome.seal_count, 1);
    assert_int_equal(number(scene->fresh, "SELECT sum(length(data)) + (SELECT hex(digest) IS NOT"
                                          " NULL FROM fs_seal) FROM fs_seal_change"),
                     before);
    assert_int_equal(number(scene->fresh, "SELECT number FROM fs_state WHERE name = 'seal_no'"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_file_is_left_alone, scene_begin, scene_end),
        cmocka_unit_test_setup_teardown(each_page_in_turn_loses_nothing_silently, scene_begin,
                                        scene_end),
        cmocka_unit_test_setup_teardown(several_pages_at_once_lose_nothing_silently, scene_begin,
                                        scene_end),
        cmocka_unit_test_setup_teardown(a_damaged_page_of_rows_leaves_the_seal_as_it_is,
                                        scene_begin, scene_end),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as they are typed, on a real replica. */
#include "tests/unit/agent/replica/kit.h"

#include "agent/cli/cli.h"
#include "agent/cli/state_file.h"
#include "edge/blob_files.h"
#include "edge/files.h"
#include "edge/reserve.h"

#include <sodium.h>

enum { COMMANDS_MAX = 32, WORDS_MAX = 12 };

struct desk {
    struct kit *kit;
    struct arena arena;
    struct problem problem;
    struct blob_store *blobs;
    char folder[128];
    char out[65536]; /* of the last command */
    enum exit_code exit_code;
};

static const char OFFICE[] =
    "BEGIN; INSERT INTO fs_flag(k) VALUES (1);"
    "UPDATE fs_state SET number = 10 WHERE name = 'published_seq';"
    "INSERT INTO app_user(id, login, name) VALUES (12, 'anna', 'Anna');"
    "INSERT INTO role_grant(id, user_id, role) VALUES (1, 12, 'technician');"
    "INSERT INTO activity_type(id, name, mode, default_min) VALUES (1, 'visit', 'on_site', 60);"
    "INSERT INTO party(id, kind, name) VALUES (1, 'customer', 'Hotel Post');"
    "INSERT INTO site(id, party_id, name) VALUES (1, 1, 'Boiler' || char(27) || '[31m room');"
    "INSERT INTO item(id, code, name, unit_of_measure) VALUES (1, 'FILTER-10', 'Filter', 'pcs');"
    "INSERT INTO location(id, kind, name, holder_id) VALUES (3, 'van', 'Van 7', 12);"
    "INSERT INTO number_series(id, kind, prefix, user_id, device_id, next_n)"
    " VALUES (1, 'call', 'T07', 12, 70, 1);"
    "DELETE FROM fs_flag; COMMIT";

static struct desk *desk_begin(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);

    assert_non_null(desk);
    assert_true(sodium_init() >= 0);
    desk->kit = *state;
    arena_init(&desk->arena, 16 << 20);
    sql(desk->kit, "%s", OFFICE);
    (void)snprintf(desk->folder, sizeof desk->folder, "%s/desk", desk->kit->folder);
    OK(desk, files_make_folder(desk->folder, &desk->problem));
    OK(desk, blob_files_create(desk->folder, &desk->blobs, &desk->problem));
    return desk;
}

static void desk_end(struct desk *desk)
{
    static const char *const NAMES[] = {STATE_FILE_NAME, "strokes.txt", "photo.jpg"};
    char path[FILES_PATH_SIZE];

    OK(desk, blob_files_wipe(desk->folder, &desk->problem));
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        OK(desk, files_join(desk->folder, NAMES[i], path, &desk->problem));
        OK(desk, files_remove(path, &desk->problem));
    }
    blob_files_destroy(desk->blobs);
    arena_done(&desk->arena);
    free(desk);
}

/* Runs one command line; its output is in desk->out. */
static enum result type(struct desk *desk, const char *const *words, size_t count)
{
    static const struct option_spec GLOBAL[] = {{"json", 'j', NULL, "JSON"}};
    static const uint8_t SEED[32] = {4};
    struct options_command commands[COMMANDS_MAX];
    struct options_program program = {.name = "fieldsync-agent",
                                      .summary = "test",
                                      .version = "0",
                                      .specs = GLOBAL,
                                      .spec_count = 1,
                                      .commands = commands};
    char *argv[WORDS_MAX + 2] = {(char *)(uintptr_t) "fieldsync-agent"};
    struct options options;
    struct cli cli = {.options = &options, .data_folder = desk->folder};
    enum result result;

    for (const struct cli_family *const *family = cli_families(); *family != NULL; family++)
        commands[program.command_count++] = (*family)->command;
    assert_true(count <= WORDS_MAX);
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = (char *)(uintptr_t)words[i];
    desk->problem = (struct problem){0};
    desk->exit_code = EXIT_CODE_OK;
    desk->out[0] = '\0';
    result = options_parse(&program, (int)count + 1, argv, &options, &desk->problem);
    if (result != RESULT_OK)
        return result;
    cli.is_json = options_count(&options, "json") > 0;
    arena_init(&cli.arena, CLI_ARENA_SIZE_MAX);
    buffer_init(&cli.out, sizeof desk->out - 1);
    OK(desk, service_begin(desk->kit->replica, desk->blobs, NOON, &cli.service, &desk->problem));
    cli.service.sign_secret_seed = SEED;
    result = cli_run(&cli, &desk->problem);
    desk->exit_code = cli.exit_code;
    if (cli.out.size > 0)
        memcpy(desk->out, cli.out.data, cli.out.size);
    desk->out[cli.out.size] = '\0';
    buffer_done(&cli.out);
    arena_done(&cli.arena);
    return result;
}

#define TYPE(desk, ...)                                                                            \
    type(desk, (const char *const[]){__VA_ARGS__},                                                 \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))
#define TYPE_OK(desk, ...)                                                                         \
    do {                                                                                           \
        if (TYPE(desk, __VA_ARGS__) != RESULT_OK)                                                  \
            fail_msg("%s", (desk)->problem.text);                                                  \
    } while (0)
#define TYPE_REFUSED(desk, ...)                                                                    \
    do {                                                                                           \
        assert_int_equal(TYPE(desk, __VA_ARGS__), RESULT_REFUSED);                                 \
        assert_string_not_equal((desk)->problem.text, "");                                         \
    } while (0)

static void says(const struct desk *desk, const char *words)
{
    if (strstr(desk->out, words) == NULL)
        fail_msg("`%s` isn't in: %s", words, desk->out);
}

/* ---- a day ---- */

static void a_whole_visit_is_typed_without_a_network(void **state)
{
    struct desk *desk = desk_begin(state);

    TYPE_OK(desk, "call", "open", "No hot water", "--site", "1", "--mine");
    says(desk, "opened T07-000001");
    TYPE_OK(desk, "call", "list");
    says(desk, "T07-000001");
    TYPE_OK(desk, "activity", "depart", "T07-000001");
    TYPE_OK(desk, "activity", "arrive", "T07-000001", "--at", "-10m");
    TYPE_OK(desk, "activity", "start", "T07-000001");
    says(desk, "is working (the server doesn't know yet)");
    TYPE_REFUSED(desk, "activity", "accept", "T07-000001");
    TYPE_OK(desk, "part", "use", "T07-000001", "FILTER-10", "1.5");
    TYPE_OK(desk, "part", "list", "T07-000001");
    says(desk, "1.5");
    TYPE_OK(desk, "work", "add", "T07-000001", "--minutes", "45");
    TYPE_OK(desk, "work", "list", "T07-000001");
    says(desk, "45");
    TYPE_OK(desk, "expense", "add", "T07-000001", "meal", "12,50");
    TYPE_OK(desk, "expense", "list", "T07-000001");
    says(desk, "12.50");
    TYPE_OK(desk, "note", "add", "T07-000001", "ring twice", "--customer");
    TYPE_OK(desk, "activity", "report", "T07-000001", "--outcome", "solved");
    TYPE_OK(desk, "sign", "T07-000001", "--name", "Maria Rossi");
    TYPE_OK(desk, "activity", "finish", "T07-000001");
    TYPE_OK(desk, "van", "show");
    says(desk, "-1.5");
    TYPE_OK(desk, "van", "count", "FILTER-10=3");
    TYPE_OK(desk, "verify");
    says(desk, "the report is unchanged");
    assert_int_equal(desk->exit_code, EXIT_CODE_OK);
    TYPE_OK(desk, "part", "use", "T07-000001", "FILTER-10");
    TYPE_OK(desk, "verify");
    says(desk, "THE REPORT HAS CHANGED SINCE; no receipt yet\n+ part ");
    assert_int_equal(desk->exit_code, EXIT_CODE_FAILURE);
    TYPE_OK(desk, "fate");
    says(desk, "pending");
    TYPE_OK(desk, "status");
    says(desk, "the agent isn't running");
    says(desk, "waiting to be sent");
    desk_end(desk);
}

static void listings_are_json_for_programs(void **state)
{
    struct desk *desk = desk_begin(state);

    TYPE_OK(desk, "--json", "call", "list");
    assert_string_equal(desk->out, "[]\n");
    TYPE_OK(desk, "--json", "call", "open", "Leak \"now\"", "--site", "1");
    says(desk, "\"number\":\"T07-000001\"");
    TYPE_OK(desk, "call", "list", "--open", "--json");
    says(desk, "\"subject\":\"Leak \\\"now\\\"\"");
    says(desk, "\"activity_id\":null");
    TYPE_OK(desk, "call", "show", "T07-000001", "--json");
    says(desk, "\"notes\":[]");
    TYPE_OK(desk, "status", "--json");
    says(desk, "\"is_running\":false");
    TYPE_OK(desk, "verify", "--json");
    says(desk, "\"wrong\":0");
    desk_end(desk);
}

static void data_can_not_steer_the_terminal(void **state)
{
    struct desk *desk = desk_begin(state);

    TYPE_OK(desk, "search", "boiler");
    says(desk, "Boiler");
    assert_null(strchr(desk->out, 27));
    desk_end(desk);
}

static void a_wrong_command_line_says_what_is_near(void **state)
{
    struct desk *desk = desk_begin(state);

    TYPE_REFUSED(desk, "call", "lst");
    assert_non_null(strstr(desk->problem.text, "`list`"));
    assert_int_equal(desk->exit_code, EXIT_CODE_USAGE);
    TYPE_REFUSED(desk, "call");
    TYPE_REFUSED(desk, "call", "show");
    TYPE_REFUSED(desk, "call", "show", "nobody");
    TYPE_REFUSED(desk, "part", "use", "1", "2", "3", "4", "5");
    TYPE_REFUSED(desk, "explain", "nothing", "1");
    TYPE_REFUSED(desk, "explain", "site", "x");
    TYPE_REFUSED(desk, "inbox", "reapply", "-1");
    desk_end(desk);
}

static void new_ids_are_the_devices_own(void **state)
{
    struct desk *desk = desk_begin(state);

    TYPE_OK(desk, "new-id");
    assert_int_equal(id_replica_no(strtoll(desk->out, NULL, 10)), REPLICA_NO);
    TYPE_OK(desk, "explain", "site", "1");
    says(desk, "site");
    desk_end(desk);
}

/* ---- numbers and times ---- */

static void numbers_are_read_exactly_or_refused(void **state)
{
    static const struct {
        const char *text;
        int digits;
        int64_t number; /* -1: refused */
    } CASES[] = {
        {"2", 3, 2000},    {"2.5", 3, 2500},
        {"0,125", 3, 125}, {"12,50", 2, 1250},
        {"1.2345", 3, -1}, {"", 3, -1},
        {".5", 3, -1},     {"5.", 3, -1},
        {"-1", 3, -1},     {"1 2", 3, -1},
        {"1e3", 3, -1},    {"1.2.3", 3, -1},
        {"0", 2, 0},       {"99999999999999999999", 2, -1},
    };
    struct desk *desk = desk_begin(state);

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        int64_t number = -1;
        enum result result =
            cli_decimal(CASES[i].text, CASES[i].digits, "x", &number, &desk->problem);

        assert_int_equal(result, CASES[i].number < 0 ? RESULT_REFUSED : RESULT_OK);
        assert_int_equal(number, CASES[i].number);
    }
    desk_end(desk);
}

static void times_are_absolute_or_before_now(void **state)
{
    struct desk *desk = desk_begin(state);
    struct cli cli = {.service = {.now = NOON}};
    int64_t us = 0;

    OK(desk, cli_time(&cli, "now", &us, &desk->problem));
    assert_int_equal(us, NOON.us);
    OK(desk, cli_time(&cli, "-90m", &us, &desk->problem));
    assert_int_equal(us, NOON.us - MINUTES(90));
    OK(desk, cli_time(&cli, "1970-01-01T00:01Z", &us, &desk->problem));
    assert_int_equal(us, MINUTES(1));
    OK(desk, cli_time(&cli, "1970-01-01T00:01:02Z", &us, &desk->problem));
    assert_int_equal(us, SECONDS(62));
    assert_int_equal(cli_time(&cli, "tomorrow", &us, &desk->problem), RESULT_REFUSED);
    assert_int_equal(cli_time(&cli, "-5", &us, &desk->problem), RESULT_REFUSED);
    assert_int_equal(cli_time(&cli, "1970-01-01T00:01", &us, &desk->problem), RESULT_REFUSED);
    desk_end(desk);
}

/* ---- files ---- */

static void the_state_file_comes_back_as_it_was_written(void **state)
{
    struct desk *desk = desk_begin(state);
    struct state_file written = {
        .state = "live", .connected_at = 5, .answered = INT64_MAX, .is_idle = true};
    struct state_file read = {0};

    (void)snprintf(written.last_failure, sizeof written.last_failure, "two\nlines");
    state_file_read(desk->folder, &read);
    assert_false(read.is_there);
    OK(desk, state_file_write(desk->folder, &written, &desk->problem));
    state_file_read(desk->folder, &read);
    assert_true(read.is_there && read.is_idle && !read.is_disk_full);
    assert_string_equal(read.state, "live");
    assert_string_equal(read.last_failure, "two lines");
    assert_int_equal(read.answered, INT64_MAX);
    desk_end(desk);
}

static void what_a_killed_writer_left_is_removed(void **state)
{
    struct desk *desk = desk_begin(state);
    struct state_file written = {.state = "live"};
    char left[FILES_PATH_SIZE];

    OK(desk, files_join(desk->folder, STATE_FILE_NAME ".Ab12Cd", left, &desk->problem));
    OK(desk, files_write(left, bytes_of_text("state li"), 0600, &desk->problem));
    OK(desk, state_file_write(desk->folder, &written, &desk->problem));
    state_file_tidy(desk->folder);
    assert_false(files_exists(left));
    state_file_read(desk->folder, &written);
    assert_true(written.is_there);
    desk_end(desk);
}

static void a_reserve_is_kept_given_up_once_and_kept_anew(void **state)
{
    struct desk *desk = desk_begin(state);
    uint64_t before = 0;
    bool is_given = true;

    OK(desk, reserve_give(desk->folder, &is_given, &desk->problem));
    assert_false(is_given);
    assert_int_equal(reserve_room(desk->folder, RESERVE_DEVICE_SIZE, &before), RESERVE_ROOM_AMPLE);
    for (int i = 0; i < 2; i++) {
        OK(desk, reserve_keep(desk->folder, RESERVE_DEVICE_SIZE, &desk->problem));
        OK(desk, reserve_keep(desk->folder, RESERVE_DEVICE_SIZE, &desk->problem)); /* it is there */
        OK(desk, reserve_give(desk->folder, &is_given, &desk->problem));
        assert_true(is_given);
        OK(desk, reserve_give(desk->folder, &is_given, &desk->problem));
        assert_false(is_given);
    }
    assert_int_equal(reserve_keep("/nowhere/at/all", RESERVE_DEVICE_SIZE, &desk->problem),
                     RESULT_REFUSED);
    desk_end(desk);
}

static void a_blob_is_whole_only_with_its_hash(void **state)
{
    struct desk *desk = desk_begin(state);
    const struct blob_store_operations *operations = desk->blobs->operations;
    const struct bytes content = bytes_of_text("half of it and the rest");
    uint8_t hash[32];
    uint8_t wrong[32] = {1};
    uint8_t read[64];
    bool is_whole = true;
    int64_t held = -1;
    size_t size = 0;

    crypto_generichash(hash, sizeof hash, content.data, content.size, NULL, 0);
    OK(desk, operations->status(desk->blobs, hash, &held, &is_whole, &desk->problem));
    assert_true(held == 0 && !is_whole);
    OK(desk,
       operations->append(desk->blobs, hash, 0, bytes_of(content.data, 7), false, &desk->problem));
    assert_int_equal(
        operations->append(desk->blobs, hash, 3, bytes_of(content.data, 7), false, &desk->problem),
        RESULT_REFUSED); /* a gap or twice */
    OK(desk, operations->status(desk->blobs, hash, &held, &is_whole, &desk->problem));
    assert_true(held == 7 && !is_whole);
    OK(desk, operations->append(desk->blobs, hash, 7, bytes_of(content.data + 7, content.size - 7),
                                true, &desk->problem));
    OK(desk, operations->status(desk->blobs, hash, &held, &is_whole, &desk->problem));
    assert_true(held == (int64_t)content.size && is_whole);
    OK(desk, operations->read(desk->blobs, hash, 5, read, sizeof read, &size, &desk->problem));
    assert_int_equal(size, content.size - 5);
    assert_memory_equal(read, content.data + 5, size);
    assert_int_equal(operations->append(desk->blobs, wrong, 0, content, true, &desk->problem),
                     RESULT_REFUSED);
    OK(desk, operations->status(desk->blobs, wrong, &held, &is_whole, &desk->problem));
    assert_true(held == 0 && !is_whole); /* thrown away */
    OK(desk, blob_files_wipe(desk->folder, &desk->problem));
    OK(desk, operations->status(desk->blobs, hash, &held, &is_whole, &desk->problem));
    assert_true(held == 0 && !is_whole);
    desk_end(desk);
}

static void files_of_a_visit_are_read_from_the_disk(void **state)
{
    struct desk *desk = desk_begin(state);
    char photo[FILES_PATH_SIZE];
    char strokes[FILES_PATH_SIZE];

    OK(desk, files_join(desk->folder, "photo.jpg", photo, &desk->problem));
    OK(desk, files_join(desk->folder, "strokes.txt", strokes, &desk->problem));
    OK(desk, files_write(photo, bytes_of_text("pixels"), 0600, &desk->problem));
    OK(desk, files_write(strokes, bytes_of_text("1 2 3 4\n5 6 7 8\n"), 0600, &desk->problem));
    TYPE_OK(desk, "call", "open", "Leak", "--site", "1", "--mine");
    TYPE_OK(desk, "photo", "add", "T07-000001", photo, "--customer");
    TYPE_OK(desk, "photo", "list", "T07-000001");
    says(desk, "photo.jpg");
    TYPE_REFUSED(desk, "photo", "add", "T07-000001", "/nowhere/at/all.jpg");
    TYPE_OK(desk, "sign", "T07-000001", "--name", "Maria", "--strokes", strokes);
    assert_string_equal(rows(desk->kit, "SELECT length(strokes) FROM signature"), "19");
    OK(desk, files_write(strokes, bytes_of_text("no strokes"), 0600, &desk->problem));
    TYPE_REFUSED(desk, "sign", "T07-000001", "--name", "Maria", "--strokes", strokes);
    desk_end(desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_visit_is_typed_without_a_network),
        TEST(listings_are_json_for_programs),
        TEST(data_can_not_steer_the_terminal),
        TEST(a_wrong_command_line_says_what_is_near),
        TEST(new_ids_are_the_devices_own),
        TEST(numbers_are_read_exactly_or_refused),
        TEST(times_are_absolute_or_before_now),
        TEST(the_state_file_comes_back_as_it_was_written),
        TEST(what_a_killed_writer_left_is_removed),
        TEST(a_reserve_is_kept_given_up_once_and_kept_anew),
        TEST(a_blob_is_whole_only_with_its_hash),
        TEST(files_of_a_visit_are_read_from_the_disk),
    };

    return RUN(tests);
}

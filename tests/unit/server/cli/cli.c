/* SPDX-License-Identifier: Apache-2.0 */
/* Commands from their line to the rows and texts they leave, on a real database. */
#define _GNU_SOURCE

#include "server/cli/cli.h"

#include "schema/load.h"
#include "schema/migrate.h"
#include "schema/triggers.h"
#include "server/core/devices.h"
#include "server/service/service.h"
#include "server/store/sqlite/sqlite_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 16, FAMILIES_MAX = 32 };

struct place {
    char folder[64];
    char path[96];
    struct arena arena;
    struct catalog catalog;
    struct sql_database *other;
    struct master *master;
    struct options_command commands[FAMILIES_MAX];
    struct options_program program;
    char out[16 * 1024];
    enum exit_code exit_code;
    struct problem problem;
    size_t file_faults;
};

/* ---- one database for all; each test has its own people ---- */

static void ok(struct place *place, enum result result)
{
    if (result != RESULT_OK)
        fail_msg("%s: %s", result_name(result), place->problem.text);
}

static void make_database(struct place *place)
{
    struct sql_options options = {
        .path = place->path, .profile = SQL_PROFILE_SERVER, .create = true};
    struct wall_time now = {1};

    ok(place, sql_open(&options, &place->other, &place->problem));
    ok(place, migrate_run(place->other, SCHEMA_SIDE_SERVER, NULL, 0, now, NULL, &place->problem));
    ok(place, catalog_load(place->other, &place->arena, &place->catalog, &place->problem));
    ok(place,
       triggers_install(place->other, &place->catalog, SCHEMA_SIDE_SERVER, NULL, &place->problem));
}

static void open_master(struct place *place)
{
    const struct sqlite_store_options store_options = {.path = place->path};
    struct master_options options = {.catalog = &place->catalog, .reactions = service_reactions()};
    uint8_t seed[DEVICES_INIT_SEED_SIZE] = {3};

    ok(place, sqlite_store_open(&store_options, &place->catalog, &options.store, &place->problem));
    ok(place, store_begin(options.store, STORE_WRITE, &place->problem));
    ok(place, devices_init(options.store, seed, &place->problem));
    ok(place, store_commit(options.store, &place->problem));
    ok(place, master_create(&options, &place->master, &place->problem));
}

static int place_create(void **state)
{
    static const struct option_spec GLOBALS[] = {{"json", 0, NULL, "as JSON"}};
    struct place *place = calloc(1, sizeof *place);
    size_t count = 0;

    assert_non_null(place);
    assert_true(sodium_init() >= 0);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/fieldsync-cli-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof place->path, "%s/master.db", place->folder);
    arena_init(&place->arena, 16 << 20);
    make_database(place);
    open_master(place);
    for (const struct cli_family *const *family = cli_families(); *family != NULL; family++)
        place->commands[count++] = (*family)->command;
    place->program = (struct options_program){.name = "fieldsync-server",
                                              .specs = GLOBALS,
                                              .spec_count = 1,
                                              .commands = place->commands,
                                              .command_count = count};
    *state = place;
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static int place_destroy(void **state)
{
    struct place *place = *state;

    master_destroy(place->master);
    sql_close(place->other);
    arena_done(&place->arena);
    assert_int_equal(nftw(place->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(place);
    return 0;
}

/* ---- running a line ---- */

static enum result encode_code(void *context, const uint8_t *seed, struct buffer *text,
                               struct problem *problem)
{
    char hex[2 * DEVICES_TOKEN_ID_SIZE + 1];

    (void)context;
    bytes_to_hex(bytes_of(seed, DEVICES_TOKEN_ID_SIZE), hex);
    return buffer_append(text, hex, sizeof hex - 1, problem);
}

static enum result check_file(void *context, struct buffer *report, size_t *ret_wrong_count,
                              struct problem *problem)
{
    const struct place *place = context;

    (void)report;
    (void)problem;
    *ret_wrong_count = place->file_faults;
    return RESULT_OK;
}

static int split(char *line, char **words)
{
    int count = 0;

    words[count++] = line;
    for (char *at = line; *at != '\0'; at++)
        if (*at == ' ') {
            *at = '\0';
            assert_true(count < WORDS_MAX);
            words[count++] = at + 1;
        }
    return count;
}

/* Words are separated by single blanks; the first one is the program. */
static enum result run(struct place *place, const char *line)
{
    const struct cli_host host = {place, encode_code, check_file, NULL};
    struct options options = {0};
    struct cli cli = {.options = &options,
                      .catalog = &place->catalog,
                      .master = place->master,
                      .host = &host,
                      .now = {INT64_C(1790000000000000)}};
    const struct cli_action *action = NULL;
    char copy[512];
    char *words[WORDS_MAX + 1] = {0};
    int count;
    enum result result;

    (void)snprintf(copy, sizeof copy, "fieldsync-server %s", line);
    count = split(copy, words);
    place->problem = (struct problem){0};
    place->out[0] = '\0';
    result = options_parse(&place->program, count, words, &options, &place->problem);
    if (result == RESULT_OK)
        result = cli_action_of(&options, &action, &place->problem);
    if (result != RESULT_OK)
        return result;
    cli.is_json = options_count(&options, "json") > 0;
    arena_init(&cli.arena, CLI_ARENA_SIZE_MAX);
    buffer_init(&cli.out, CLI_OUT_SIZE_MAX);
    result = action->run(&cli, &place->problem);
    if (cli.out.size > 0)
        (void)snprintf(place->out, sizeof place->out, "%.*s", (int)cli.out.size,
                       (const char *)cli.out.data);
    place->exit_code = cli.exit_code;
    buffer_done(&cli.out);
    arena_done(&cli.arena);
    return result;
}

static void runs(struct place *place, const char *line)
{
    if (run(place, line) != RESULT_OK)
        fail_msg("%s: %s", line, place->problem.text);
}

static void is_refused(struct place *place, const char *line, const char *why)
{
    assert_int_equal(run(place, line), RESULT_REFUSED);
    if (strstr(place->problem.text, why) == NULL)
        fail_msg("%s: '%s' does not say '%s'", line, place->problem.text, why);
}

static int64_t integer(struct place *place, const char *query)
{
    int64_t found = 0;

    ok(place, sql_query_integer(place->other, query, NULL, 0, -1, &found, &place->problem));
    return found;
}

/* ---- the rules ---- */

static void wrong_word_names_the_nearest_action(void **state)
{
    struct place *place = *state;

    is_refused(place, "user lisst", "'list'");
    is_refused(place, "user dance", "add|list|grant");
    is_refused(place, "user add", "usage: user add LOGIN");
    is_refused(place, "user list extra", "usage: user list");
}

static void user_has_a_login_a_name_and_roles(void **state)
{
    struct place *place = *state;

    runs(place, "user add mario --name Mario --role technician --role warehouse");
    assert_int_equal(integer(place, "SELECT count(*) FROM app_user WHERE login='mario' AND"
                                    " name='Mario' AND is_active=1"),
                     1);
    assert_int_equal(integer(place, "SELECT count(*) FROM role_grant g JOIN app_user u ON"
                                    " u.id=g.user_id WHERE u.login='mario'"),
                     2);
    assert_true(integer(place, "SELECT _fs_seq FROM app_user WHERE login='mario'") > 0);
    runs(place, "user list --json");
    assert_non_null(strstr(place->out, "\"login\":\"mario\""));
    assert_non_null(strstr(place->out, "technician warehouse"));
    assert_non_null(strstr(place->out, "\"has_password\":false"));
}

static void refused_user_leaves_nothing(void **state)
{
    struct place *place = *state;
    int64_t before = integer(place, "SELECT count(*) FROM app_user");

    runs(place, "user add twice --role technician");
    is_refused(place, "user add twice --role technician", "already");
    is_refused(place, "user add Mario! --role technician", "a-z");
    is_refused(place, "user add nobody --role king", "no role 'king'");
    is_refused(place, "user add nobody --role server", "no role 'server'");
    is_refused(place, "user add nobody", "--role");
    assert_int_equal(integer(place, "SELECT count(*) FROM app_user"), before + 1);
}

static void role_given_twice_is_one_role(void **state)
{
    struct place *place = *state;

    runs(place, "user add lia --role sales");
    runs(place, "user grant lia --role sales --role billing");
    runs(place, "user grant lia --role sales --area north");
    assert_int_equal(integer(place, "SELECT count(*) FROM role_grant g JOIN app_user u ON"
                                    " u.id=g.user_id WHERE u.login='lia'"),
                     3);
    is_refused(place, "user grant ghost --role sales", "nobody has the login 'ghost'");
}

static void inactive_user_may_come_back(void **state)
{
    struct place *place = *state;

    runs(place, "user add otto --role technician");
    runs(place, "user deactivate otto");
    assert_int_equal(integer(place, "SELECT is_active FROM app_user WHERE login='otto'"), 0);
    is_refused(place, "device enrol --user otto", "");
    runs(place, "user activate otto");
    runs(place, "device enrol --user otto");
}

static void password_never_stands_on_the_command_line(void **state)
{
    struct place *place = *state;

    runs(place, "user add carla --role billing");
    is_refused(place, "user passwd carla", "--password-stdin");
    assert_int_equal(integer(place, "SELECT count(*) FROM fs_login"), 0);
}

static void enrolment_code_is_stored_without_being_shown_twice(void **state)
{
    struct place *place = *state;

    runs(place, "user add anna --role technician");
    runs(place, "device enrol --user anna --json");
    assert_non_null(strstr(place->out, "\"login\":\"anna\""));
    assert_non_null(strstr(place->out, "\"expires_at\":\"2026-"));
    assert_int_equal(integer(place, "SELECT count(*) FROM fs_enrolment e JOIN app_user u ON"
                                    " u.id=e.user_id WHERE u.login='anna' AND"
                                    " e.expires_at = 1790000900000000"),
                     1);
    is_refused(place, "device enrol", "--user");
    is_refused(place, "device enrol --user ghost", "nobody");
    is_refused(place, "device enrol --user anna --van Batmobile", "no location");
}

static void unknown_replica_can_not_be_revoked(void **state)
{
    struct place *place = *state;

    is_refused(place, "device revoke 77", "");
    is_refused(place, "device revoke seven", "not a number");
    is_refused(place, "device release 77", "");
    runs(place, "device list");
    assert_non_null(strstr(place->out, "REPLICA"));
}

static void check_finds_what_does_not_add_up(void **state)
{
    struct place *place = *state;

    runs(place, "user add eva --role manager");
    runs(place, "check");
    assert_non_null(strstr(place->out, "ok: "));
    assert_int_equal(place->exit_code, EXIT_CODE_OK);
    ok(place, sql_exec(place->other, "UPDATE app_user SET _fs_hash=zeroblob(16) WHERE login='eva'",
                       &place->problem));
    runs(place, "check");
    assert_non_null(strstr(place->out, "its hash is not that of its values"));
    assert_int_equal(place->exit_code, EXIT_CODE_DATABASE);
    place->file_faults = 1;
    runs(place, "check");
    assert_non_null(strstr(place->out, "NOT OK"));
    place->file_faults = 0;
}

static void backup_is_a_whole_database_and_overwrites_nothing(void **state)
{
    struct place *place = *state;
    struct sql_options options = {.profile = SQL_PROFILE_PLAIN, .read_only = true};
    struct sql_database *copy = NULL;
    char line[200];
    char path[160];
    char folder[120];
    int64_t count = 0;

    ok(place, sql_exec(place->other,
                       "INSERT INTO fs_replica(replica_no, device_id, user_id, static_public_key,"
                       " sign_public_key, psk, lcn_high, enrolled_at)"
                       " VALUES(900, 1, 1, x'01', x'02', x'03', 55, 1)",
                       &place->problem));
    (void)snprintf(folder, sizeof folder, "%s/copy", place->folder);
    (void)snprintf(path, sizeof path, "%s/fieldsync.db", folder);
    (void)snprintf(line, sizeof line, "backup %s", folder);
    runs(place, line);
    options.path = path;
    ok(place, sql_open(&options, &copy, &place->problem));
    ok(place, sql_query_integer(copy, "SELECT count(*) FROM app_user", NULL, 0, 0, &count,
                                &place->problem));
    sql_close(copy);
    assert_int_equal(count, integer(place, "SELECT count(*) FROM app_user"));
    assert_int_equal(integer(place, "SELECT backup_lcn FROM fs_replica WHERE replica_no=900"), 55);
    is_refused(place, line, "overwrites nothing");
    assert_int_equal(remove(path), 0);
    (void)snprintf(path, sizeof path, "%s/MANIFEST", folder);
    assert_int_equal(remove(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_word_names_the_nearest_action),
        cmocka_unit_test(user_has_a_login_a_name_and_roles),
        cmocka_unit_test(refused_user_leaves_nothing),
        cmocka_unit_test(role_given_twice_is_one_role),
        cmocka_unit_test(inactive_user_may_come_back),
        cmocka_unit_test(password_never_stands_on_the_command_line),
        cmocka_unit_test(enrolment_code_is_stored_without_being_shown_twice),
        cmocka_unit_test(unknown_replica_can_not_be_revoked),
        cmocka_unit_test(check_finds_what_does_not_add_up),
        cmocka_unit_test(backup_is_a_whole_database_and_overwrites_nothing),
    };

    return cmocka_run_group_tests(tests, place_create, place_destroy);
}

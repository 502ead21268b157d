/* SPDX-License-Identifier: Apache-2.0 */
#define _XOPEN_SOURCE 700

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/instant.h"
#include "edge/config.h"
#include "edge/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct config_key KEYS[] = {
    {"name", CONFIG_TEXT, "anna", "who", 1, 10, NULL},
    {"data", CONFIG_PATH, NULL, "where", 0, 0, NULL},
    {"listen.port", CONFIG_INTEGER, "8443", "port", 1, 65535, NULL},
    {"listen.tls", CONFIG_BOOLEAN, "no", "encrypt", 0, 0, NULL},
    {"listen.key_file", CONFIG_SECRET_FILE, NULL, "key", 0, 0, NULL},
    {"log.format", CONFIG_CHOICE, "text", "format", 0, 0, "text|json"},
    {"log.size", CONFIG_SIZE, "1M", "size", 1024, INT64_C(1) << 30, NULL},
    {"log.wait", CONFIG_DURATION, "5s", "wait", 1000, HOURS(48), NULL},
};
enum { KEY_COUNT = sizeof KEYS / sizeof KEYS[0] };

/* A new folder with conf.d/, named.conf and key; a test writes what it needs. */
struct place {
    char folder[64];
    char conf_folder[96];
    char file[96];
    char key_file[96];
    struct config_sources sources;
    struct config *config;
};

static int place_create(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    if (place == NULL)
        return -1;
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/fieldsync-config-XXXXXX");
    if (mkdtemp(place->folder) == NULL)
        return -1;
    (void)snprintf(place->conf_folder, sizeof place->conf_folder, "%s/conf.d", place->folder);
    (void)snprintf(place->file, sizeof place->file, "%s/named.conf", place->folder);
    (void)snprintf(place->key_file, sizeof place->key_file, "%s/key", place->folder);
    *state = place;
    return mkdir(place->conf_folder, 0700);
}

static int place_destroy(void **state)
{
    static const char *const NAMES[] = {"10.conf", "20.conf", "README"};
    struct place *place = *state;
    char path[128];

    config_destroy(place->config);
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", place->conf_folder, NAMES[i]);
        (void)unlink(path);
    }
    (void)unlink(place->file);
    (void)unlink(place->key_file);
    if (rmdir(place->conf_folder) != 0 || rmdir(place->folder) != 0)
        return -1;
    free(place);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    struct problem problem = {0};

    assert_int_equal(files_write(path, bytes_of_text(text), 0600, &problem), RESULT_OK);
}

static void write_in_folder(struct place *place, const char *name, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", place->conf_folder, name);
    write_file(path, text);
    place->sources.folder = place->conf_folder;
}

static void write_named(struct place *place, const char *text)
{
    write_file(place->file, text);
    place->sources.file = place->file;
}

static const struct config *load(struct place *place)
{
    struct problem problem = {0};
    enum result result = RESULT_OK;

    config_destroy(place->config);
    place->config = NULL;
    result = config_load(KEYS, KEY_COUNT, &place->sources, &place->config, &problem);
    assert_string_equal(problem.text, "");
    assert_int_equal(result, RESULT_OK);
    return place->config;
}

/* `expected` follows the folder of the test in the message, if it begins with a slash. */
static void expect_refused(struct place *place, const char *expected)
{
    struct config *config = NULL;
    struct problem problem = {0};
    char text[512];

    (void)snprintf(text, sizeof text, "%s%s", expected[0] == '/' ? place->folder : "", expected);
    assert_int_equal(config_load(KEYS, KEY_COUNT, &place->sources, &config, &problem),
                     RESULT_REFUSED);
    assert_string_equal(problem.text, text);
    assert_null(config);
}

static void defaults_stand_until_something_is_said(void **state)
{
    struct place *place = *state;
    const struct config *config = load(place);

    assert_string_equal(config_text(config, "name"), "anna");
    assert_int_equal(config_number(config, "listen.port"), 8443);
    assert_false(config_boolean(config, "listen.tls"));
    assert_int_equal(config_number(config, "log.size"), 1024 * 1024);
    assert_int_equal(config_number(config, "log.wait"), SECONDS(5));
    assert_false(config_is_set(config, "data"));
    assert_null(config_text(config, "data"));
    assert_string_equal(config_origin(config, "name"), "default");
}

static void higher_source_wins_and_origin_tells_which(void **state)
{
    static const struct option_spec SPEC = {"log-wait", 0, "DURATION", ""};
    struct place *place = *state;
    char *environment[] = {(char[]){"HOME=/"}, (char[]){"FIELDSYNC_LISTEN_PORT=4"},
                           (char[]){"FIELDSYNC_LOG_WAIT=4s"}, NULL};
    struct options options = {.given = {{&SPEC, "5min"}}, .given_count = 1};
    const struct config *config = NULL;
    char origin[128];

    write_in_folder(place, "20.conf", "name = two\n[listen]\nport=2\n[log]\nwait = 2s\n");
    write_in_folder(place, "10.conf", "name = one\ndata = /one\n");
    write_in_folder(place, "README", "not read, and no INI");
    write_named(place, "[listen]\nport = 3\n[log]\nsize = 3K\nwait = 3s\n");
    place->sources.environment = environment;
    place->sources.environment_prefix = "FIELDSYNC_";
    place->sources.options = &options;
    config = load(place);
    assert_string_equal(config_text(config, "data"), "/one");
    assert_string_equal(config_text(config, "name"), "two");
    assert_int_equal(config_number(config, "log.size"), 3072);
    assert_int_equal(config_number(config, "listen.port"), 4);
    assert_int_equal(config_number(config, "log.wait"), MINUTES(5));
    (void)snprintf(origin, sizeof origin, "%s/10.conf:2", place->conf_folder);
    assert_string_equal(config_origin(config, "data"), origin);
    (void)snprintf(origin, sizeof origin, "%s:4", place->file);
    assert_string_equal(config_origin(config, "log.size"), origin);
    assert_string_equal(config_origin(config, "listen.port"), "environment FIELDSYNC_LISTEN_PORT");
    assert_string_equal(config_origin(config, "log.wait"), "option --log-wait");
}

static void unknown_key_names_line_and_nearest(void **state)
{
    struct place *place = *state;

    write_named(place, "# comment\n\n[listen]\nport = 1\nprot = 2\n");
    expect_refused(place, "/named.conf:5: unknown key `listen.prot`, did you mean `listen.port`?");
    write_named(place, "[weather]\nsun = yes\n");
    expect_refused(place, "/named.conf:2: unknown key `weather.sun`");
}

static void value_that_does_not_fit_names_line_and_limit(void **state)
{
    static const struct {
        const char *text, *expected;
    } CASES[] = {
        {"[listen]\nport = 65536\n", "/named.conf:2: listen.port must be from 1 to 65535"},
        {"[listen]\nport = -1\n", "/named.conf:2: listen.port must be from 1 to 65535"},
        {"[listen]\nport = 80x\n", "/named.conf:2: listen.port is `80x`, must be a whole number"},
        {"[listen]\nport =\n", "/named.conf:2: listen.port is ``, must be a whole number"},
        {"[listen]\nport = 99999999999999999999\n",
         "/named.conf:2: listen.port is `99999999999999999999`, must be a whole number"},
        {"[listen]\ntls = maybe\n", "/named.conf:2: listen.tls is `maybe`, must be true or false"},
        {"[log]\nformat = xml\n", "/named.conf:2: log.format is `xml`, must be one of text|json"},
        {"[log]\nformat = text|json\n",
         "/named.conf:2: log.format is `text|json`, must be one of text|json"},
        {"[log]\nformat =\n", "/named.conf:2: log.format is ``, must be one of text|json"},
        {"[log]\nsize = 2G\n", "/named.conf:2: log.size must be from 1K to 1G"},
        {"[log]\nsize = 9999999999999G\n",
         "/named.conf:2: log.size is `9999999999999G`, must be a size like 512, 64K, 16M or 2G"},
        {"[log]\nwait = 3\n",
         "/named.conf:2: log.wait is `3`, must be a duration like 250ms, 30s, 5min, 2h or 30d"},
        {"[log]\nwait = 3d\n", "/named.conf:2: log.wait must be from 1ms to 2d"},
        {"name = elevenbytes\n", "/named.conf:1: name must be from 1 to 10 bytes long"},
        {"name = \xff\n", "/named.conf:1: name is not UTF-8"},
        {"data =\n", "/named.conf:1: data is ``, must be a path"},
    };
    struct place *place = *state;

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        write_named(place, CASES[i].text);
        expect_refused(place, CASES[i].expected);
    }
}

static void file_that_is_no_configuration_is_refused_with_its_line(void **state)
{
    struct place *place = *state;
    char text[400];
    char expected[320];
    struct config *config = NULL;
    struct problem problem = {0};

    write_named(place, "name = a\nwhat is this\n[listen]\nprot = 1\n");
    expect_refused(place, "/named.conf:2: neither `key = value` nor `[section]`");
    write_named(place, "name = a\n[log]\nsize = 1M\n\nsize = 2M\n");
    (void)snprintf(expected, sizeof expected, "%s:5: log.size is given twice, before at %s:3",
                   place->file, place->file);
    assert_int_equal(config_load(KEYS, KEY_COUNT, &place->sources, &config, &problem),
                     RESULT_REFUSED);
    assert_string_equal(problem.text, expected);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "\nname = ", 8);
    write_named(place, text);
    assert_int_equal(config_load(KEYS, KEY_COUNT, &place->sources, &config, &problem),
                     RESULT_REFUSED);
    assert_non_null(strstr(problem.text, "/named.conf:2: line of more than"));
    assert_int_equal(files_write(place->file, bytes_of("name\0=x\n", 8), 0600, &problem),
                     RESULT_OK);
    expect_refused(place, "/named.conf: not a text file");
    assert_int_equal(unlink(place->file), 0);
    expect_refused(place, "/named.conf: opening: No such file or directory");
}

static void indented_lines_comments_and_both_signs_are_read(void **state)
{
    struct place *place = *state;
    const struct config *config = NULL;

    write_named(place, "\xef\xbb\xbfname: carl ; the boss\r\n  data = /a b\r\n; x\n"
                       "  [listen]\n\tport = 77\n\ttls = on");
    config = load(place);
    assert_string_equal(config_text(config, "name"), "carl");
    assert_string_equal(config_text(config, "data"), "/a b");
    assert_int_equal(config_number(config, "listen.port"), 77);
    assert_true(config_boolean(config, "listen.tls"));
}

static void folder_that_is_missing_says_nothing(void **state)
{
    struct place *place = *state;

    place->sources.folder = "/nowhere/fieldsync.conf.d";
    assert_string_equal(config_text(load(place), "name"), "anna");
}

static void misspelt_variable_is_found_and_foreign_ones_are_left_alone(void **state)
{
    struct place *place = *state;
    char *foreign[] = {(char[]){"FIELDSYNC_BOARD_COLOUR=red"}, (char[]){"FIELDSYNC_"},
                       (char[]){"FIELDSYNC_NAME"}, (char[]){"OTHER_NAME=x"}, NULL};
    char *misspelt[] = {(char[]){"FIELDSYNC_LISTEN_PROT=1"}, NULL};
    char *wrong[] = {(char[]){"FIELDSYNC_LISTEN_PORT=none"}, NULL};

    place->sources.environment = foreign;
    place->sources.environment_prefix = "FIELDSYNC_";
    assert_string_equal(config_text(load(place), "name"), "anna");
    place->sources.environment = misspelt;
    expect_refused(place, "environment: unknown FIELDSYNC_LISTEN_PROT, did you mean "
                          "FIELDSYNC_LISTEN_PORT?");
    place->sources.environment = wrong;
    expect_refused(place, "environment FIELDSYNC_LISTEN_PORT: listen.port is `none`, must be a "
                          "whole number");
}

static void secret_is_read_from_a_private_file_only(void **state)
{
    struct place *place = *state;
    const struct config *config = load(place);
    struct buffer secret;
    struct problem problem = {0};
    char text[160];

    buffer_init(&secret, CONFIG_SECRET_SIZE_MAX);
    assert_int_equal(config_read_secret(config, "listen.key_file", &secret, &problem),
                     RESULT_REFUSED);
    assert_string_equal(problem.text, "listen.key_file is not set");
    (void)snprintf(text, sizeof text, "[listen]\nkey_file = %s\n", place->key_file);
    write_named(place, text);
    config = load(place);
    assert_int_equal(config_read_secret(config, "listen.key_file", &secret, &problem),
                     RESULT_REFUSED);
    write_file(place->key_file, "\n");
    assert_int_equal(config_read_secret(config, "listen.key_file", &secret, &problem),
                     RESULT_REFUSED);
    write_file(place->key_file, "s3cret\n\n");
    assert_int_equal(config_read_secret(config, "listen.key_file", &secret, &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&secret), bytes_of_text("s3cret\n")));
    buffer_reset(&secret);
    assert_int_equal(chmod(place->key_file, 0604), 0);
    assert_int_equal(config_read_secret(config, "listen.key_file", &secret, &problem),
                     RESULT_REFUSED);
    assert_non_null(strstr(problem.text, "chmod 600"));
    assert_int_equal(secret.size, 0);
    buffer_done(&secret);
}

static void expect_text(struct buffer *out, const char *expected)
{
    char text[2048] = {0};

    assert_true(out->size > 0 && out->size < sizeof text);
    memcpy(text, out->data, out->size);
    assert_string_equal(text, expected);
}

static void shown_configuration_has_origins_and_reads_back_the_same(void **state)
{
    struct place *place = *state;
    struct buffer out;
    struct problem problem = {0};
    char expected[1024];

    write_named(place, "name = bert\n");
    buffer_init(&out, 4096);
    assert_int_equal(config_show(load(place), &out, &problem), RESULT_OK);
    (void)snprintf(expected, sizeof expected,
                   "name = bert ; %s:1\n; data =  ; not set\n\n[listen]\nport = 8443 ; default\n"
                   "tls = no ; default\n; key_file =  ; not set\n\n[log]\nformat = text ; default\n"
                   "size = 1M ; default\nwait = 5s ; default\n",
                   place->file);
    expect_text(&out, expected);
    assert_int_equal(files_write(place->file, buffer_bytes(&out), 0600, &problem), RESULT_OK);
    assert_string_equal(config_text(load(place), "name"), "bert");
    buffer_done(&out);
}

static void sample_documents_every_key_and_changes_nothing(void **state)
{
    struct place *place = *state;
    struct buffer out;
    struct problem problem = {0};

    buffer_init(&out, 4096);
    assert_int_equal(config_sample(KEYS, KEY_COUNT, &out, &problem), RESULT_OK);
    expect_text(&out, "; who (text, from 1 to 10)\n;name = anna\n"
                      "; where (a path)\n;data = \n"
                      "\n[listen]\n; port (a whole number, from 1 to 65535)\n;port = 8443\n"
                      "; encrypt (true or false)\n;tls = no\n"
                      "; key (the path of a file with the secret)\n;key_file = \n"
                      "\n[log]\n; format (text|json)\n;format = text\n"
                      "; size (a size like 512, 64K, 16M or 2G, from 1K to 1G)\n;size = 1M\n"
                      "; wait (a duration like 250ms, 30s, 5min, 2h or 30d, from 1ms to 2d)\n"
                      ";wait = 5s\n");
    assert_int_equal(files_write(place->file, buffer_bytes(&out), 0600, &problem), RESULT_OK);
    place->sources.file = place->file;
    assert_string_equal(config_origin(load(place), "listen.port"), "default");
    buffer_done(&out);
}

static void keys_become_options_for_the_help(void **state)
{
    struct arena arena;
    struct problem problem = {0};
    const struct option_spec *specs = NULL;

    (void)state;
    arena_init(&arena, 65536);
    assert_int_equal(config_options(KEYS, KEY_COUNT, &arena, &specs, &problem), RESULT_OK);
    assert_string_equal(specs[4].name, "listen-key-file");
    assert_string_equal(specs[4].argument, "FILE");
    assert_string_equal(specs[5].argument, "text|json");
    assert_string_equal(specs[5].help, "format");
    arena_done(&arena);
    arena_init(&arena, 64);
    assert_int_equal(config_options(KEYS, KEY_COUNT, &arena, &specs, &problem), RESULT_EXHAUSTED);
    arena_done(&arena);
}

#define TEST_AT_PLACE(test) cmocka_unit_test_setup_teardown(test, place_create, place_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_AT_PLACE(defaults_stand_until_something_is_said),
        TEST_AT_PLACE(higher_source_wins_and_origin_tells_which),
        TEST_AT_PLACE(unknown_key_names_line_and_nearest),
        TEST_AT_PLACE(value_that_does_not_fit_names_line_and_limit),
        TEST_AT_PLACE(file_that_is_no_configuration_is_refused_with_its_line),
        TEST_AT_PLACE(indented_lines_comments_and_both_signs_are_read),
        TEST_AT_PLACE(folder_that_is_missing_says_nothing),
        TEST_AT_PLACE(misspelt_variable_is_found_and_foreign_ones_are_left_alone),
        TEST_AT_PLACE(secret_is_read_from_a_private_file_only),
        TEST_AT_PLACE(shown_configuration_has_origins_and_reads_back_the_same),
        TEST_AT_PLACE(sample_documents_every_key_and_changes_nothing),
        cmocka_unit_test(keys_become_options_for_the_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

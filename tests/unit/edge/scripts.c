/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/scripts.h"

#include "edge/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct place {
    char folder[64];
    struct arena arena;
    struct problem problem;
};

static int place_open(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/fieldsync-scripts-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    arena_init(&place->arena, 4 * 1024 * 1024);
    *state = place;
    return 0;
}

static int place_close(void **state)
{
    struct place *place = *state;
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf %s", place->folder);
    assert_int_equal(system(command), 0);
    arena_done(&place->arena);
    free(place);
    return 0;
}

static void write_file(struct place *place, const char *name, const char *text)
{
    char folder[FILES_PATH_SIZE];
    char path[FILES_PATH_SIZE];

    assert_int_equal(files_join(place->folder, "schema", folder, &place->problem), RESULT_OK);
    assert_int_equal(files_make_folder(folder, &place->problem), RESULT_OK);
    assert_int_equal(files_join(folder, name, path, &place->problem), RESULT_OK);
    assert_int_equal(files_write(path, bytes_of_text(text), 0600, &place->problem), RESULT_OK);
}

static void a_folder_without_scripts_has_none(void **state)
{
    struct place *place = *state;
    const struct script *scripts = NULL;
    size_t count = 7;

    assert_int_equal(scripts_read(place->folder, &place->arena, &scripts, &count, &place->problem),
                     RESULT_OK);
    assert_int_equal(count, 0);
}

static void scripts_come_in_order_and_other_files_stay_away(void **state)
{
    struct place *place = *state;
    const struct script *scripts = NULL;
    size_t count = 0;

    write_file(place, "5001_common_b.sql", "B");
    write_file(place, "5000_common_a.sql", "A");
    write_file(place, "notes.txt", "no");
    write_file(place, ".sql", "no");
    assert_int_equal(scripts_read(place->folder, &place->arena, &scripts, &count, &place->problem),
                     RESULT_OK);
    assert_int_equal(count, 2);
    assert_string_equal(scripts[0].name, "5000_common_a");
    assert_string_equal(scripts[0].text, "A");
    assert_string_equal(scripts[1].name, "5001_common_b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_folder_without_scripts_has_none, place_open, place_close),
        cmocka_unit_test_setup_teardown(scripts_come_in_order_and_other_files_stay_away, place_open,
                                        place_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* mkdtemp */

#include "edge/wipe.h"
#include "edge/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SECRET_SIZE = 100000 };

/* A second name of the file shows what is left in it. */
static void what_was_in_a_file_is_overwritten_before_its_name_goes(void **state)
{
    static uint8_t secret[SECRET_SIZE];
    char folder[] = "/tmp/fieldsync-wipe-XXXXXX";
    char path[64];
    char other[64];
    struct problem problem = {0};
    struct buffer found;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/secret", folder);
    (void)snprintf(other, sizeof other, "%s/other", folder);
    memset(secret, 's', sizeof secret);
    assert_int_equal(files_write(path, bytes_of(secret, sizeof secret), 0600, &problem), RESULT_OK);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(wipe_file(path, &problem), RESULT_OK);
    assert_false(files_exists(path));
    buffer_init(&found, SECRET_SIZE);
    assert_int_equal(files_read(other, &found, &problem), RESULT_OK);
    assert_int_equal(found.size, SECRET_SIZE);
    for (size_t i = 0; i < found.size; i++)
        assert_int_equal(found.data[i], 0);
    buffer_done(&found);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void a_missing_file_is_wiped_already_and_a_link_is_not_followed(void **state)
{
    char folder[] = "/tmp/fieldsync-wipe-XXXXXX";
    char path[64];
    char target[64];
    struct problem problem = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/link", folder);
    (void)snprintf(target, sizeof target, "%s/target", folder);
    assert_int_equal(wipe_file(path, &problem), RESULT_OK);
    assert_int_equal(files_write(target, bytes_of_text("keep"), 0600, &problem), RESULT_OK);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(wipe_file(path, &problem), RESULT_REFUSED);
    assert_non_null(strstr(problem.text, path));
    assert_true(files_exists(target));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(target), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_in_a_file_is_overwritten_before_its_name_goes),
        cmocka_unit_test(a_missing_file_is_wiped_already_and_a_link_is_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

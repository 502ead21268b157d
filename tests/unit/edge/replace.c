/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* mkdtemp */

#include "edge/replace.h"

#include "edge/files.h"
#include "edge/wipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_content(const char *path, const char *wanted)
{
    struct problem problem = {0};
    struct buffer found;

    buffer_init(&found, 100);
    assert_int_equal(files_read(path, &found, &problem), RESULT_OK);
    assert_true(bytes_equal(buffer_bytes(&found), bytes_of_text(wanted)));
    buffer_done(&found);
}

static void what_was_replaced_stays_under_its_second_name(void **state)
{
    char folder[] = "/tmp/fieldsync-replace-XXXXXX";
    char path[64];
    char fresh[64];
    char former[64];
    struct problem problem = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
    (void)snprintf(fresh, sizeof fresh, "%s/fresh", folder);
    (void)snprintf(former, sizeof former, "%s/former", folder);
    assert_int_equal(files_write(path, bytes_of_text("old"), 0600, &problem), RESULT_OK);
    assert_int_equal(files_write(fresh, bytes_of_text("new"), 0600, &problem), RESULT_OK);
    assert_false(replace_is_same(path, former));
    assert_int_equal(replace_keep(path, former, &problem), RESULT_OK);
    assert_true(replace_is_same(path, former));
    assert_int_equal(replace_keep(path, former, &problem), RESULT_REFUSED); /* it is taken */
    assert_int_equal(replace_file(fresh, path, &problem), RESULT_OK);
    assert_false(replace_is_same(path, former));
    assert_false(files_exists(fresh));
    expect_content(path, "new");
    expect_content(former, "old");
    assert_int_equal(wipe_file(former, &problem), RESULT_OK);
    expect_content(path, "new");
    assert_int_equal(replace_file(fresh, path, &problem), RESULT_REFUSED); /* it isn't there */
    expect_content(path, "new");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_replaced_stays_under_its_second_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

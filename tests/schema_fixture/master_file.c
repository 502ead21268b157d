/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/schema_fixture/master_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

void master_file_make(const char *path)
{
    enum { BLOCK_SIZE = 64 * 1024 };
    static uint8_t block[BLOCK_SIZE];
    FILE *source = fopen(MASTER_TEMPLATE, "rb");
    FILE *target = fopen(path, "wb");
    size_t size = 0;

    assert_non_null(source);
    assert_non_null(target);
    while ((size = fread(block, 1, sizeof block, source)) > 0)
        assert_int_equal(fwrite(block, 1, size, target), size);
    assert_int_equal(fclose(source), 0);
    assert_int_equal(fclose(target), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "edge/watch.h"

#include "tests/unit/edge/rounds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 3000, SILENCE_MS = 60 };

struct scene {
    struct loop *loop;
    struct watch *watch;
    struct problem problem;
    size_t count;
    size_t wanted;
    char base[32];
    char folder[64];
    char path[96];
};

static void note_change(void *context)
{
    ((struct scene *)context)->count++;
}

static bool noted(void *context)
{
    struct scene *scene = context;

    return scene->count >= scene->wanted;
}

static void scene_open(struct scene *scene, bool with_folder, int64_t interval_us)
{
    memset(scene, 0, sizeof(*scene));
    (void)snprintf(scene->base, sizeof(scene->base), "/tmp/watch-test-XXXXXX");
    assert_non_null(mkdtemp(scene->base));
    (void)snprintf(scene->folder, sizeof(scene->folder), "%s/data", scene->base);
    (void)snprintf(scene->path, sizeof(scene->path), "%s/replica.db-wal", scene->folder);
    if (with_folder)
        assert_int_equal(mkdir(scene->folder, 0700), 0);
    assert_int_equal(loop_create(NULL, &scene->loop, &scene->problem), RESULT_OK);
    assert_int_equal(watch_create(scene->loop, scene->path, interval_us, note_change, scene,
                                  &scene->watch, &scene->problem),
                     RESULT_OK);
}

static void scene_close(struct scene *scene)
{
    watch_destroy(scene->watch);
    loop_destroy(scene->loop);
    (void)unlink(scene->path);
    (void)rmdir(scene->folder);
    assert_int_equal(rmdir(scene->base), 0);
}

static void append(const char *path, int count)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(descriptor >= 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(write(descriptor, "x", 1), 1);
    assert_int_equal(close(descriptor), 0);
}

static void expect_change(struct scene *scene)
{
    scene->wanted = scene->count + 1;
    assert_true(rounds_until(scene->loop, noted, scene, WAIT_MS));
    rounds_pass(scene->loop, SILENCE_MS); /* what belongs to the same change */
}

static void the_write_of_another_process_is_told(void **state)
{
    struct scene scene;
    pid_t child;
    int status;

    (void)state;
    scene_open(&scene, true, MILLISECONDS(10));
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int descriptor = open(scene.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        _exit(descriptor >= 0 && write(descriptor, "x", 1) == 1 ? 0 : 1);
    }
    expect_change(&scene);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    scene_close(&scene);
}

static void many_writes_are_told_together(void **state)
{
    struct scene scene;
    size_t count;

    (void)state;
    scene_open(&scene, true, MILLISECONDS(100));
    append(scene.path, 1000);
    rounds_pass(scene.loop, 50);
    assert_int_equal(scene.count, 1);
    append(scene.path, 1000);
    rounds_pass(scene.loop, 20);
    assert_int_equal(scene.count, 1); /* the interval is not over */
    rounds_pass(scene.loop, 150);
    assert_int_equal(scene.count, 2); /* and the last write is not forgotten */
    count = scene.count;
    rounds_pass(scene.loop, 150);
    assert_int_equal(scene.count, count);
    scene_close(&scene);
}

static void other_files_in_the_folder_are_not_told(void **state)
{
    struct scene scene;
    char other[128];

    (void)state;
    scene_open(&scene, true, 0);
    (void)snprintf(other, sizeof(other), "%s/replica.db", scene.folder);
    append(other, 3);
    rounds_pass(scene.loop, SILENCE_MS);
    assert_int_equal(scene.count, 0);
    assert_int_equal(unlink(other), 0);
    scene_close(&scene);
}

static void a_file_that_is_deleted_and_made_again_is_still_watched(void **state)
{
    struct scene scene;
    char other[128];

    (void)state;
    scene_open(&scene, true, MILLISECONDS(1));
    append(scene.path, 1);
    expect_change(&scene);
    assert_int_equal(unlink(scene.path), 0);
    expect_change(&scene);
    append(scene.path, 1);
    expect_change(&scene);
    (void)snprintf(other, sizeof(other), "%s/new", scene.folder);
    append(other, 1);
    assert_int_equal(rename(other, scene.path), 0);
    expect_change(&scene);
    append(scene.path, 1);
    expect_change(&scene);
    assert_int_equal(truncate(scene.path, 0), 0);
    expect_change(&scene);
    scene_close(&scene);
}

static void a_folder_that_comes_later_or_again_is_found(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, false, MILLISECONDS(1));
    rounds_pass(scene.loop, SILENCE_MS);
    assert_int_equal(scene.count, 0);
    assert_int_equal(mkdir(scene.folder, 0700), 0);
    expect_change(&scene);
    append(scene.path, 1);
    expect_change(&scene);
    assert_int_equal(unlink(scene.path), 0);
    assert_int_equal(rmdir(scene.folder), 0);
    expect_change(&scene);
    assert_int_equal(mkdir(scene.folder, 0700), 0);
    expect_change(&scene);
    append(scene.path, 1);
    expect_change(&scene);
    scene_close(&scene);
}

static void a_path_without_a_name_is_refused(void **state)
{
    static char too_long[5000];
    static const char *const PATHS[] = {"", "/", "/tmp/", too_long};
    struct problem problem = {0};
    struct watch *watch;
    struct loop *loop;

    (void)state;
    memset(too_long, 'a', sizeof(too_long) - 1);
    assert_int_equal(loop_create(NULL, &loop, &problem), RESULT_OK);
    for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++)
        assert_int_equal(watch_create(loop, PATHS[i], 0, note_change, NULL, &watch, &problem),
                         RESULT_REFUSED);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_write_of_another_process_is_told),
        cmocka_unit_test(many_writes_are_told_together),
        cmocka_unit_test(other_files_in_the_folder_are_not_told),
        cmocka_unit_test(a_file_that_is_deleted_and_made_again_is_still_watched),
        cmocka_unit_test(a_folder_that_comes_later_or_again_is_found),
        cmocka_unit_test(a_path_without_a_name_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/log.h"
#include "edge/notify.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A log into memory, with clocks that stand still until a test moves them. */
struct desk {
    struct log_options options;
    struct mono_time mono;
    struct log *log;
    char text[65536];
};

static struct mono_time desk_mono(void *context)
{
    return ((const struct desk *)context)->mono;
}

static struct wall_time desk_wall(void *context)
{
    (void)context;
    return (struct wall_time){SECONDS(1795449240) + 7};
}

static int desk_create(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);

    if (desk == NULL)
        return -1;
    desk->options = (struct log_options){.descriptor = memfd_create("log", MFD_CLOEXEC),
                                         .burst_count = 3,
                                         .window_us = SECONDS(10),
                                         .mono_now = desk_mono,
                                         .wall_now = desk_wall,
                                         .context = desk};
    *state = desk;
    return desk->options.descriptor < 0 ? -1 : 0;
}

static int desk_destroy(void **state)
{
    struct desk *desk = *state;

    log_destroy(desk->log);
    (void)close(desk->options.descriptor);
    free(desk);
    return 0;
}

static struct log *desk_log(struct desk *desk)
{
    desk->log = log_create(&desk->options);
    assert_non_null(desk->log);
    return desk->log;
}

/* All lines so far. */
static const char *desk_text(struct desk *desk)
{
    ssize_t size = pread(desk->options.descriptor, desk->text, sizeof desk->text - 1, 0);

    assert_true(size >= 0);
    desk->text[size] = '\0';
    return desk->text;
}

static size_t line_count(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == '\n' ? 1 : 0;
    return count;
}

static void event_is_one_line_of_name_and_fields(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);

    log_event(log, LOG_LEVEL_INFO, "session_opened",
              LOG_FIELDS(log_number("conn", -7), log_text("peer", "10.0.0.1:443"),
                         log_text("why", "two words"), log_boolean("tls", true),
                         log_text("absent", NULL), log_text("empty", "")));
    log_event(log, LOG_LEVEL_ERROR, "stopped", LOG_NO_FIELDS);
    assert_string_equal(desk_text(desk),
                        "2026-11-23T15:54:00.000007Z info event=session_opened conn=-7 "
                        "peer=10.0.0.1:443 why=\"two words\" tls=true empty=\"\"\n"
                        "2026-11-23T15:54:00.000007Z error event=stopped\n");
}

static void json_line_is_an_object(void **state)
{
    struct desk *desk = *state;
    struct log *log = NULL;

    desk->options.is_json = true;
    log = desk_log(desk);
    log_event(log, LOG_LEVEL_WARNING, "slow",
              LOG_FIELDS(log_number("ms", 12), log_text("path", "a\"b"), log_boolean("ok", false)));
    assert_string_equal(desk_text(desk),
                        "{\"time\":\"2026-11-23T15:54:00.000007Z\",\"level\":\"warning\","
                        "\"event\":\"slow\",\"ms\":12,\"path\":\"a\\\"b\",\"ok\":false}\n");
}

static void journal_gets_priorities_instead_of_time(void **state)
{
    struct desk *desk = *state;
    struct log *log = NULL;

    desk->options.has_prefix = true;
    desk->options.level = LOG_LEVEL_DEBUG;
    log = desk_log(desk);
    log_event(log, LOG_LEVEL_ERROR, "a", LOG_NO_FIELDS);
    log_trace(log, "anna > server: PUSH");
    assert_string_equal(desk_text(desk),
                        "<3>event=a\n<7>event=trace line=\"anna > server: PUSH\"\n");
}

static void journal_is_recognised_by_its_device_and_inode(void **state)
{
    struct desk *desk = *state;
    struct stat facts;
    char stream[64];

    assert_int_equal(fstat(desk->options.descriptor, &facts), 0);
    (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)facts.st_dev,
                   (uintmax_t)facts.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    assert_true(log_is_journal(desk->options.descriptor));
    assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    assert_false(log_is_journal(desk->options.descriptor));
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    assert_false(log_is_journal(desk->options.descriptor));
}

static void stranger_can_not_forge_a_line(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);

    log_event(log, LOG_LEVEL_INFO, "x",
              LOG_FIELDS(log_text("name", "a\n2026 error event=fake\x1b[2J\xff")));
    assert_string_equal(desk_text(desk),
                        "2026-11-23T15:54:00.000007Z info event=x "
                        "name=\"a\\n2026 error event=fake\\u001b[2J\xef\xbf\xbd\"\n");
}

static void long_text_is_cut_between_code_points(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);
    char text[2000];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text + LOG_TEXT_SIZE_MAX - 1, "\xc3\xa9", 2); /* stands across the limit */
    log_event(log, LOG_LEVEL_INFO, "x", LOG_FIELDS(log_text("t", text)));
    assert_non_null(strstr(desk_text(desk), "aaa...\n"));
    assert_null(strstr(desk_text(desk), "\xef\xbf\xbd"));
}

static void field_that_does_not_fit_is_left_out_and_the_line_still_ends(void **state)
{
    struct desk *desk = *state;
    struct log *log = NULL;
    struct log_field fields[100];
    char text[LOG_TEXT_SIZE_MAX + 1];
    const char *line = NULL;

    memset(text, '\x01', sizeof text - 1); /* six bytes each in the line */
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < 100; i++)
        fields[i] = log_text("t", text);
    desk->options.is_json = true;
    log = desk_log(desk);
    log_event(log, LOG_LEVEL_INFO, "x", fields, 100);
    line = desk_text(desk);
    assert_true(strlen(line) <= LOG_LINE_SIZE_MAX);
    assert_string_equal(line + strlen(line) - 9, "\\u0001\"}\n");
    assert_int_equal(line_count(line), 1);
}

static void repeated_event_is_limited_and_the_rest_counted(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);

    for (int i = 0; i < 10; i++)
        log_event(log, LOG_LEVEL_WARNING, "refused", LOG_FIELDS(log_number("i", i)));
    log_event(log, LOG_LEVEL_INFO, "other", LOG_NO_FIELDS);
    assert_int_equal(line_count(desk_text(desk)), 4);
    assert_null(strstr(desk_text(desk), "i=3"));
    desk->mono = mono_after(desk->mono, SECONDS(10));
    log_event(log, LOG_LEVEL_INFO, "other", LOG_NO_FIELDS);
    assert_non_null(strstr(desk_text(desk), "warning event=suppressed of=refused count=7\n"));
    log_event(log, LOG_LEVEL_WARNING, "refused", LOG_FIELDS(log_number("i", 11)));
    assert_non_null(strstr(desk_text(desk), "event=refused i=11\n"));
    assert_int_equal(line_count(desk_text(desk)), 7);
}

static void more_events_than_the_table_holds_lose_no_count(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);

    for (int i = 0; i < 5; i++)
        log_event(log, LOG_LEVEL_INFO, "first", LOG_NO_FIELDS);
    for (int i = 0; i < 200; i++) {
        char name[24];

        desk->mono.us++;
        (void)snprintf(name, sizeof name, "event_%d", i);
        log_event(log, LOG_LEVEL_INFO, name, LOG_NO_FIELDS);
    }
    assert_non_null(strstr(desk_text(desk), "event=suppressed of=first count=2\n"));
    assert_int_equal(line_count(desk_text(desk)), 3 + 200 + 1);
}

static void closing_reports_what_was_kept_quiet(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);

    for (int i = 0; i < 4; i++)
        log_event(log, LOG_LEVEL_INFO, "x", LOG_NO_FIELDS);
    log_destroy(log);
    desk->log = NULL;
    assert_non_null(strstr(desk_text(desk), "of=x count=1\n"));
}

static void level_hides_what_is_below_it_and_debug_is_unlimited(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);

    log_trace(log, "hidden");
    assert_false(log_shows(log, LOG_LEVEL_DEBUG));
    assert_string_equal(desk_text(desk), "");
    log_set_level(log, LOG_LEVEL_DEBUG);
    for (int i = 0; i < 10; i++)
        log_trace(log, "shown");
    assert_int_equal(line_count(desk_text(desk)), 10);
}

static void problem_is_logged_with_its_result(void **state)
{
    struct desk *desk = *state;
    struct log *log = desk_log(desk);
    struct problem problem = {0};

    log_problem(log, LOG_LEVEL_ERROR, "start_failed",
                problem_set(&problem, RESULT_STORAGE, "disk gone"), &problem);
    assert_non_null(
        strstr(desk_text(desk), "error event=start_failed result=storage problem=\"disk gone\"\n"));
}

static void level_names_go_both_ways(void **state)
{
    enum log_level level = LOG_LEVEL_ERROR;

    (void)state;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_string_equal(log_level_name(level), "debug");
    assert_false(log_level_parse("verbose", &level));
    assert_false(log_level_parse("", &level));
}

static void *write_many(void *context)
{
    for (int i = 0; i < 200; i++)
        log_event(context, LOG_LEVEL_DEBUG, "thread", LOG_FIELDS(log_text("t", "a b")));
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    static const char LINE[] = "2026-11-23T15:54:00.000007Z debug event=thread t=\"a b\"\n";
    struct desk *desk = *state;
    struct log *log = NULL;
    pthread_t threads[4];
    const char *text = NULL;

    desk->options.level = LOG_LEVEL_DEBUG;
    log = desk_log(desk);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, log), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    text = desk_text(desk);
    assert_int_equal(strlen(text), 800 * (sizeof LINE - 1));
    for (size_t i = 0; i < 800; i++)
        assert_memory_equal(text + i * (sizeof LINE - 1), LINE, sizeof LINE - 1);
}

static void notification_reaches_the_service_manager(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(sa_family_t);
    struct problem problem = {0};
    char name[128] = {0};
    char text[64] = {0};
    int manager = socket(AF_UNIX, SOCK_DGRAM, 0);

    (void)state;
    assert_true(manager >= 0);
    assert_int_equal(bind(manager, (const struct sockaddr *)&address, size), 0); /* any name */
    size = sizeof address;
    assert_int_equal(getsockname(manager, (struct sockaddr *)&address, &size), 0);
    name[0] = '@';
    memcpy(name + 1, address.sun_path + 1, size - sizeof(sa_family_t) - 1);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    assert_int_equal(notify_send("READY=1", &problem), RESULT_OK);
    assert_int_equal(recv(manager, text, sizeof text, MSG_DONTWAIT), 7);
    assert_string_equal(text, "READY=1");
    (void)close(manager);
    assert_int_equal(notify_send("READY=1", &problem), RESULT_REFUSED);
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    assert_int_equal(notify_send("READY=1", &problem), RESULT_REFUSED);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    assert_int_equal(notify_send("READY=1", &problem), RESULT_OK);
}

static void watchdog_is_due_twice_in_its_time_and_only_for_us(void **state)
{
    char own[16];

    (void)state;
    (void)snprintf(own, sizeof own, "%ld", (long)getpid());
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    assert_int_equal(notify_watchdog_us(), SECONDS(15));
    assert_int_equal(setenv("WATCHDOG_PID", own, 1), 0);
    assert_int_equal(notify_watchdog_us(), SECONDS(15));
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_int_equal(notify_watchdog_us(), 0);
    assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "30s", 1), 0);
    assert_int_equal(notify_watchdog_us(), 0);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    assert_int_equal(notify_watchdog_us(), 0);
}

#define TEST_AT_DESK(test) cmocka_unit_test_setup_teardown(test, desk_create, desk_destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_AT_DESK(event_is_one_line_of_name_and_fields),
        TEST_AT_DESK(json_line_is_an_object),
        TEST_AT_DESK(journal_gets_priorities_instead_of_time),
        TEST_AT_DESK(journal_is_recognised_by_its_device_and_inode),
        TEST_AT_DESK(stranger_can_not_forge_a_line),
        TEST_AT_DESK(long_text_is_cut_between_code_points),
        TEST_AT_DESK(field_that_does_not_fit_is_left_out_and_the_line_still_ends),
        TEST_AT_DESK(repeated_event_is_limited_and_the_rest_counted),
        TEST_AT_DESK(more_events_than_the_table_holds_lose_no_count),
        TEST_AT_DESK(closing_reports_what_was_kept_quiet),
        TEST_AT_DESK(level_hides_what_is_below_it_and_debug_is_unlimited),
        TEST_AT_DESK(problem_is_logged_with_its_result),
        cmocka_unit_test(level_names_go_both_ways),
        TEST_AT_DESK(lines_of_several_threads_do_not_mix),
        cmocka_unit_test(notification_reaches_the_service_manager),
        cmocka_unit_test(watchdog_is_due_twice_in_its_time_and_only_for_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

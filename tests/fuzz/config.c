/* SPDX-License-Identifier: Apache-2.0 */
/* Settings from a file, the environment and the command line: u16 size and bytes of the file, u8
 * count of variables, each u16 size and bytes. What loads is shown, and the shown text loaded as a
 * file gives the same values. */
#define _GNU_SOURCE          /* memfd_create */
#include "tests/fuzz/fuzz.h" /* first */

#include "base/instant.h"
#include "edge/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { VARIABLES_MAX = 8, TEXT_SIZE_MAX = 64 * 1024 };

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

/* A file in memory; the path leads to it as long as the descriptor is open. */
static int memory_file(struct bytes content, char *path, size_t path_size)
{
    int descriptor = memfd_create("config", 0);

    invariant(descriptor >= 0);
    invariant(content.size == 0 ||
              write(descriptor, content.data, content.size) == (ssize_t)content.size);
    (void)snprintf(path, path_size, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

static void expect_in_limits(const struct config *config)
{
    invariant(config_number(config, "listen.port") >= 1 &&
              config_number(config, "listen.port") <= 65535);
    invariant(config_number(config, "log.size") >= 1024 &&
              config_number(config, "log.size") <= INT64_C(1) << 30);
    invariant(config_number(config, "log.wait") >= 1000 &&
              config_number(config, "log.wait") <= HOURS(48));
    invariant(strlen(config_text(config, "name")) >= 1 &&
              strlen(config_text(config, "name")) <= 10);
    invariant(strcmp(config_text(config, "log.format"), "text") == 0 ||
              strcmp(config_text(config, "log.format"), "json") == 0);
    for (size_t i = 0; i < KEY_COUNT; i++)
        invariant(config_origin(config, KEYS[i].name)[0] != '\0');
}

/* The environment may hold what a file can't; then there is nothing to compare. */
static void expect_shown(const struct config *config, bool has_variables)
{
    struct config_sources sources = {0};
    struct config *again = NULL;
    struct problem problem = {0};
    struct buffer shown;
    char path[64];
    int descriptor = -1;

    buffer_init(&shown, TEXT_SIZE_MAX * 4);
    FUZZ_OK(&problem, config_show(config, &shown, &problem));
    if (!has_variables) {
        descriptor = memory_file(buffer_bytes(&shown), path, sizeof path);
        sources.file = path;
        FUZZ_OK(&problem, config_load(KEYS, KEY_COUNT, &sources, &again, &problem));
        invariant(config_number(config, "log.size") == config_number(again, "log.size"));
        invariant(config_number(config, "log.wait") == config_number(again, "log.wait"));
        invariant(strcmp(config_text(config, "name"), config_text(again, "name")) == 0);
        config_destroy(again);
        (void)close(descriptor);
    }
    buffer_done(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_over(data, size);
    struct bytes file = input_part(&input);
    size_t count = input_byte(&input) % (VARIABLES_MAX + 1);
    char *variables[VARIABLES_MAX + 1] = {NULL};
    char path[64];
    int descriptor = memory_file(file, path, sizeof path);
    struct config_sources sources = {
        .file = path, .environment = variables, .environment_prefix = "FIELDSYNC_"};
    struct config *config = NULL;
    struct problem problem = {0};
    bool has_variables = false;

    for (size_t i = 0; i < count; i++) {
        struct bytes text = input_part(&input);

        variables[i] = malloc(text.size + 1);
        invariant(variables[i] != NULL);
        if (text.size > 0)
            memcpy(variables[i], text.data, text.size);
        variables[i][text.size] = '\0';
        has_variables = true;
    }
    if (config_load(KEYS, KEY_COUNT, &sources, &config, &problem) == RESULT_OK) {
        expect_in_limits(config);
        expect_shown(config, has_variables);
    } else {
        invariant(config == NULL && problem.text[0] != '\0');
    }
    config_destroy(config);
    for (size_t i = 0; i < count; i++)
        free(variables[i]);
    (void)close(descriptor);
    return 0;
}

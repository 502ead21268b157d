/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L

#include "edge/config.h"

#include "base/invariant.h"
#include "edge/files.h"
#include "edge/terminal.h"

#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { VALUES_SIZE_MAX = 1024 * 1024, NAME_SIZE = 64, SHOWN_LINE_SIZE_MAX = 190 };

struct value {
    const char *text; /* NULL: not set */
    int64_t number;
    const char *origin;
    int file_number; /* which file set it; 0: none */
};

struct config {
    const struct config_key *keys;
    size_t key_count;
    struct value *values; /* one per key */
    struct arena arena;   /* texts and origins */
    int file_count;       /* read so far */
};

/* ---- Values ---- */

static bool is_number_type(enum config_type type)
{
    return type == CONFIG_INTEGER || type == CONFIG_SIZE || type == CONFIG_DURATION;
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit NO_UNITS[] = {{"", 1}, {NULL, 0}};
static const struct unit SIZE_UNITS[] = {
    {"", 1}, {"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit DURATION_UNITS[] = {{"ms", 1000},
                                             {"s", 1000000},
                                             {"min", 60 * INT64_C(1000000)},
                                             {"h", 3600 * INT64_C(1000000)},
                                             {"d", 86400 * INT64_C(1000000)},
                                             {NULL, 0}};

/* False unless `text` is a decimal number and a unit, and their product fits. */
static bool parse_number(const char *text, const struct unit *units, int64_t *ret_number)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    char *end = NULL;
    long long number = 0;

    if (digits[0] < '0' || digits[0] > '9')
        return false;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0)
        return false;
    for (; units->name != NULL; units++) {
        if (strcmp(end, units->name) == 0)
            return !__builtin_mul_overflow((int64_t)number, units->factor, ret_number);
    }
    return false;
}

static bool parse_boolean(const char *text, int64_t *ret_number)
{
    static const struct {
        const char *word;
        int64_t number;
    } WORDS[] = {{"true", 1},  {"yes", 1}, {"on", 1},  {"1", 1},
                 {"false", 0}, {"no", 0},  {"off", 0}, {"0", 0}};

    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++) {
        if (strcmp(WORDS[i].word, text) == 0) {
            *ret_number = WORDS[i].number;
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t size = strlen(text);

    for (const char *word = choices; size > 0; word++) {
        size_t word_size = strcspn(word, "|");

        if (word_size == size && memcmp(word, text, size) == 0)
            return true;
        word += word_size;
        if (*word == '\0')
            break;
    }
    return false;
}

static const char *type_in_words(enum config_type type)
{
    static const char *const WORDS[] = {
        [CONFIG_TEXT] = "text",
        [CONFIG_INTEGER] = "a whole number",
        [CONFIG_BOOLEAN] = "true or false",
        [CONFIG_SIZE] = "a size like 512, 64K, 16M or 2G",
        [CONFIG_DURATION] = "a duration like 250ms, 30s, 5min, 2h or 30d",
        [CONFIG_CHOICE] = "one of its choices",
        [CONFIG_PATH] = "a path",
        [CONFIG_SECRET_FILE] = "the path of a file with the secret",
    };

    return WORDS[type];
}

/* A limit as a person would write it: in the largest unit that divides it. */
static void limit_in_words(enum config_type type, int64_t limit, char *ret_text, size_t size)
{
    const struct unit *units = type == CONFIG_SIZE       ? SIZE_UNITS
                               : type == CONFIG_DURATION ? DURATION_UNITS
                                                         : NO_UNITS;
    const struct unit *best = NULL;

    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (limit % unit->factor == 0 && (limit != 0 || best == NULL))
            best = unit;
    }
    if (best == NULL) /* a limit in microseconds that no unit divides */
        best = &NO_UNITS[0];
    if (snprintf(ret_text, size, "%" PRId64 "%s", limit / best->factor, best->name) < 0)
        ret_text[0] = '\0';
}

static enum result check_limits(const struct config_key *key, int64_t number,
                                struct problem *problem)
{
    char min[32];
    char max[32];

    if ((key->min == 0 && key->max == 0) || (number >= key->min && number <= key->max))
        return RESULT_OK;
    limit_in_words(key->type, key->min, min, sizeof min);
    limit_in_words(key->type, key->max, max, sizeof max);
    return problem_set(problem, RESULT_REFUSED, "%s must be from %s to %s%s", key->name, min, max,
                       key->type == CONFIG_TEXT ? " bytes long" : "");
}

/* Reads `text` by the key's type; texts have their size as number, for the limits only. */
static enum result parse_value(const struct config_key *key, const char *text, int64_t *ret_number,
                               struct problem *problem)
{
    int64_t number = 0;
    bool is_right = true;

    switch (key->type) {
    case CONFIG_TEXT:
        number = (int64_t)strlen(text);
        break;
    case CONFIG_PATH:
    case CONFIG_SECRET_FILE:
        is_right = text[0] != '\0' && strlen(text) < FILES_PATH_SIZE;
        break;
    case CONFIG_INTEGER:
        is_right = parse_number(text, NO_UNITS, &number);
        break;
    case CONFIG_SIZE:
        is_right = parse_number(text, SIZE_UNITS, &number) && number >= 0;
        break;
    case CONFIG_DURATION:
        is_right = parse_number(text, DURATION_UNITS, &number) && number >= 0;
        break;
    case CONFIG_BOOLEAN:
        is_right = parse_boolean(text, &number);
        break;
    case CONFIG_CHOICE:
        if (!is_choice(key->choices, text))
            return problem_set(problem, RESULT_REFUSED, "%s is `%.100s`, must be one of %s",
                               key->name, text, key->choices);
        break;
    }
    if (!bytes_are_text(bytes_of_text(text)))
        return problem_set(problem, RESULT_REFUSED, "%s is not UTF-8", key->name);
    if (!terminal_is_plain(bytes_of_text(text))) /* config_show couldn't print it */
        return problem_set(problem, RESULT_REFUSED, "%s holds a control character", key->name);
    if (!is_right)
        return problem_set(problem, RESULT_REFUSED, "%s is `%.100s`, must be %s", key->name, text,
                           type_in_words(key->type));
    *ret_number = number;
    if (key->type == CONFIG_TEXT || is_number_type(key->type))
        return check_limits(key, number, problem);
    return RESULT_OK;
}

/* Values and origins are copied; on failure the old value stays. */
static enum result set_value(struct config *config, size_t index, const char *text,
                             const char *origin, struct problem *problem)
{
    struct value value = {0};
    struct bytes copy = {0};
    enum result result = parse_value(&config->keys[index], text, &value.number, problem);

    if (result != RESULT_OK)
        return result;
    result = arena_copy(&config->arena, bytes_of_text(text), &copy, problem);
    if (result != RESULT_OK)
        return result;
    value.text = (const char *)copy.data;
    value.origin = arena_format(&config->arena, "%s", origin);
    if (value.origin == NULL)
        return arena_full(&config->arena, problem);
    config->values[index] = value;
    return RESULT_OK;
}

/* ---- Names ---- */

static const size_t NOT_FOUND = SIZE_MAX;

static size_t find_key(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->key_count; i++) {
        if (strcmp(config->keys[i].name, name) == 0)
            return i;
    }
    return NOT_FOUND;
}

static size_t find_nearest(const struct config *config, const char *name)
{
    size_t nearest = NOT_FOUND;
    size_t distance_least = SIZE_MAX;

    for (size_t i = 0; i < config->key_count; i++) {
        const char *candidate = config->keys[i].name;
        size_t distance = options_distance(name, candidate);

        if (options_is_near(name, candidate) && distance < distance_least) {
            distance_least = distance;
            nearest = i;
        }
    }
    return nearest;
}

/* "listen.retry_max" as an option: listen-retry-max. */
static void option_name(const char *key, char ret_name[NAME_SIZE])
{
    size_t size = strlen(key);

    invariant(size < NAME_SIZE);
    for (size_t i = 0; i <= size; i++)
        ret_name[i] = key[i] == '.' || key[i] == '_' ? '-' : key[i];
}

/* The same as the end of a variable: LISTEN_RETRY_MAX. */
static void variable_name(const char *key, char ret_name[NAME_SIZE])
{
    size_t size = strlen(key);

    invariant(size < NAME_SIZE);
    for (size_t i = 0; i <= size; i++) {
        ret_name[i] = key[i] == '.' ? '_' : key[i];
        if (key[i] >= 'a' && key[i] <= 'z')
            ret_name[i] = (char)(key[i] - 'a' + 'A');
    }
}

/* ---- Files ---- */

/* What inih's two callbacks share. */
struct reading {
    struct config *config;
    const char *path;
    struct bytes rest; /* not read yet */
    int line;
    int failed_line;
    enum result result;
    struct problem *problem;
};

/* Gives inih one line without the blanks before it: it would take them for a continuation. */
static char *next_line(char *line, int size_max, void *stream)
{
    struct reading *reading = stream;
    const uint8_t *end = NULL;
    size_t size = 0;

    if (reading->result != RESULT_OK || reading->rest.size == 0)
        return NULL;
    end = memchr(reading->rest.data, '\n', reading->rest.size);
    size = end == NULL ? reading->rest.size : (size_t)(end - reading->rest.data);
    reading->line++;
    while (size > 0 && (reading->rest.data[0] == ' ' || reading->rest.data[0] == '\t')) {
        reading->rest = bytes_of(reading->rest.data + 1, reading->rest.size - 1);
        size--;
    }
    if (size >= (size_t)size_max) {
        reading->failed_line = reading->line;
        reading->result =
            problem_set(reading->problem, RESULT_REFUSED, "%s:%d: line of more than %d bytes",
                        reading->path, reading->line, size_max - 1);
        return NULL;
    }
    memcpy(line, reading->rest.data, size);
    line[size] = '\0';
    size += end != NULL; /* the line break doesn't count: the last line may have none */
    reading->rest = bytes_of(reading->rest.data + size, reading->rest.size - size);
    return line;
}

static enum result unknown_key(const struct config *config, const char *name,
                               struct problem *problem)
{
    size_t nearest = find_nearest(config, name);

    if (nearest == NOT_FOUND)
        return problem_set(problem, RESULT_REFUSED, "unknown key `%s`", name);
    return problem_set(problem, RESULT_REFUSED, "unknown key `%s`, did you mean `%s`?", name,
                       config->keys[nearest].name);
}

static enum result set_from_file(struct reading *reading, const char *section, const char *name,
                                 const char *text)
{
    struct config *config = reading->config;
    char key[2 * NAME_SIZE];
    char origin[FILES_PATH_SIZE + 16];
    size_t index = 0;
    enum result result = RESULT_OK;
    int size =
        snprintf(key, sizeof key, "%.60s%s%.60s", section, section[0] == '\0' ? "" : ".", name);

    invariant(size >= 0 && (size_t)size < sizeof key);
    index = find_key(config, key);
    if (index == NOT_FOUND)
        return unknown_key(config, key, reading->problem);
    if (config->values[index].file_number == config->file_count)
        return problem_set(reading->problem, RESULT_REFUSED, "%s is given twice, before at %s", key,
                           config->values[index].origin);
    size = snprintf(origin, sizeof origin, "%s:%d", reading->path, reading->line);
    invariant(size > 0 && (size_t)size < sizeof origin);
    result = set_value(config, index, text, origin, reading->problem);
    if (result == RESULT_OK)
        config->values[index].file_number = config->file_count;
    return result;
}

/* 0 tells inih that the line is wrong. */
static int on_pair(void *user, const char *section, const char *name, const char *text)
{
    struct reading *reading = user;

    if (reading->result != RESULT_OK)
        return 0;
    reading->result = set_from_file(reading, section, name, text);
    if (reading->result == RESULT_OK)
        return 1;
    reading->failed_line = reading->line;
    problem_add(reading->problem, "%s:%d", reading->path, reading->line);
    return 0;
}

static enum result load_file(struct config *config, const char *path, struct problem *problem)
{
    struct buffer contents;
    struct reading reading = {.config = config, .path = path, .problem = problem};
    enum result result = RESULT_OK;
    int wrong_line = 0;

    buffer_init(&contents, CONFIG_FILE_SIZE_MAX);
    result = files_read(path, &contents, problem);
    if (result != RESULT_OK)
        goto done;
    if (contents.size > 0 && memchr(contents.data, '\0', contents.size) != NULL) {
        result = problem_set(problem, RESULT_REFUSED, "%s: not a text file", path);
        goto done;
    }
    config->file_count++;
    reading.rest = buffer_bytes(&contents);
    wrong_line = ini_parse_stream(next_line, &reading, on_pair, &reading);
    result = reading.result;
    if (wrong_line < 0)
        result = problem_set(problem, RESULT_EXHAUSTED, "%s: no memory to read it", path);
    else if (wrong_line > 0 && (result == RESULT_OK || wrong_line < reading.failed_line))
        result = problem_set(problem, RESULT_REFUSED,
                             "%s:%d: neither `key = value` nor `[section]`", path, wrong_line);
done:
    buffer_done(&contents);
    return result;
}

static bool has_ending(const char *name, const char *ending)
{
    size_t size = strlen(name);
    size_t ending_size = strlen(ending);

    return size > ending_size && strcmp(name + size - ending_size, ending) == 0;
}

static enum result load_folder(struct config *config, const char *folder, struct problem *problem)
{
    enum { NAMES_SIZE_MAX = 1024 * 1024 };
    struct arena names_arena;
    const char *const *names = NULL;
    size_t count = 0;
    struct stat facts;
    enum result result = RESULT_OK;

    if (stat(folder, &facts) != 0 && errno == ENOENT)
        return RESULT_OK;
    arena_init(&names_arena, NAMES_SIZE_MAX);
    result = files_list(folder, &names_arena, &names, &count, problem);
    for (size_t i = 0; i < count && result == RESULT_OK; i++) {
        char path[FILES_PATH_SIZE];

        if (!has_ending(names[i], ".conf") || names[i][0] == '.')
            continue;
        result = files_join(folder, names[i], path, problem);
        if (result == RESULT_OK)
            result = load_file(config, path, problem);
    }
    arena_done(&names_arena);
    return result;
}

/* ---- Environment and command line ---- */

/* A variable that is no key: a mistake only if it is nearly one. */
static enum result check_variable(const struct config *config, const char *name, const char *prefix,
                                  struct problem *problem)
{
    for (size_t i = 0; i < config->key_count; i++) {
        char wanted[NAME_SIZE];

        variable_name(config->keys[i].name, wanted);
        if (options_is_near(name, wanted))
            return problem_set(problem, RESULT_REFUSED,
                               "environment: unknown %s%s, did you mean %s%s?", prefix, name,
                               prefix, wanted);
    }
    return RESULT_OK;
}

/* `entry` is NAME=VALUE with the prefix cut off. */
static enum result load_variable(struct config *config, const char *entry, const char *prefix,
                                 struct problem *problem)
{
    size_t size = strcspn(entry, "=");
    char name[NAME_SIZE];
    char wanted[NAME_SIZE];
    char origin[2 * NAME_SIZE];
    enum result result = RESULT_OK;

    if (size == 0 || size >= sizeof name || entry[size] == '\0')
        return RESULT_OK;
    memcpy(name, entry, size);
    name[size] = '\0';
    for (size_t i = 0; i < config->key_count; i++) {
        variable_name(config->keys[i].name, wanted);
        if (strcmp(wanted, name) != 0)
            continue;
        if (snprintf(origin, sizeof origin, "environment %.60s%s", prefix, name) < 0)
            return RESULT_OK;
        result = set_value(config, i, entry + size + 1, origin, problem);
        if (result != RESULT_OK)
            problem_add(problem, "%s", origin);
        return result;
    }
    return check_variable(config, name, prefix, problem);
}

static enum result load_environment(struct config *config, char *const *environment,
                                    const char *prefix, struct problem *problem)
{
    size_t prefix_size = strlen(prefix);

    invariant(prefix_size > 0);
    for (; *environment != NULL; environment++) {
        enum result result = RESULT_OK;

        if (strncmp(*environment, prefix, prefix_size) != 0)
            continue;
        result = load_variable(config, *environment + prefix_size, prefix, problem);
        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

/* Options that are no keys belong to the program. */
static enum result load_options(struct config *config, const struct options *options,
                                struct problem *problem)
{
    for (size_t k = 0; k < options->given_count; k++) {
        for (size_t i = 0; i < config->key_count; i++) {
            char name[NAME_SIZE];
            char origin[NAME_SIZE + 16];
            enum result result = RESULT_OK;

            option_name(config->keys[i].name, name);
            if (options->given[k].value == NULL || strcmp(name, options->given[k].spec->name) != 0)
                continue;
            if (snprintf(origin, sizeof origin, "option --%s", name) < 0)
                continue;
            result = set_value(config, i, options->given[k].value, origin, problem);
            if (result != RESULT_OK) {
                problem_add(problem, "%s", origin);
                return result;
            }
        }
    }
    return RESULT_OK;
}

/* ---- Loading ---- */

static enum result load_defaults(struct config *config, struct problem *problem)
{
    for (size_t i = 0; i < config->key_count; i++) {
        const struct config_key *key = &config->keys[i];
        enum result result = RESULT_OK;

        invariant(strlen(key->name) < NAME_SIZE - 4);
        invariant(key->type != CONFIG_SECRET_FILE || has_ending(key->name, "_file"));
        invariant(key->type != CONFIG_CHOICE || key->choices != NULL);
        config->values[i].origin = "default";
        if (key->fallback == NULL)
            continue;
        result = set_value(config, i, key->fallback, "default", problem);
        invariant(result != RESULT_REFUSED); /* the table contradicts itself */
        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

enum result config_load(const struct config_key *keys, size_t key_count,
                        const struct config_sources *sources, struct config **ret_config,
                        struct problem *problem)
{
    struct config *config = calloc(1, sizeof *config);
    enum result result = RESULT_OK;

    if (config == NULL)
        return problem_set(problem, RESULT_EXHAUSTED, "no memory for the configuration");
    config->keys = keys;
    config->key_count = key_count;
    arena_init(&config->arena, VALUES_SIZE_MAX);
    config->values = arena_array(&config->arena, key_count, sizeof *config->values);
    if (config->values == NULL)
        result = arena_full(&config->arena, problem);
    if (result == RESULT_OK)
        result = load_defaults(config, problem);
    if (result == RESULT_OK && sources->folder != NULL)
        result = load_folder(config, sources->folder, problem);
    if (result == RESULT_OK && sources->file != NULL)
        result = load_file(config, sources->file, problem);
    if (result == RESULT_OK && sources->environment != NULL)
        result =
            load_environment(config, sources->environment, sources->environment_prefix, problem);
    if (result == RESULT_OK && sources->options != NULL)
        result = load_options(config, sources->options, problem);
    if (result == RESULT_OK)
        *ret_config = config;
    else
        config_destroy(config);
    return result;
}

void config_destroy(struct config *config)
{
    if (config == NULL)
        return;
    arena_done(&config->arena);
    free(config);
}

/* ---- Asking ---- */

static const struct value *value_of(const struct config *config, const char *name,
                                    enum config_type *ret_type)
{
    size_t index = find_key(config, name);

    invariant(index != NOT_FOUND);
    *ret_type = config->keys[index].type;
    return &config->values[index];
}

bool config_is_set(const struct config *config, const char *name)
{
    enum config_type type;

    return value_of(config, name, &type)->text != NULL;
}

const char *config_text(const struct config *config, const char *name)
{
    enum config_type type;
    const struct value *value = value_of(config, name, &type);

    invariant(!is_number_type(type) && type != CONFIG_BOOLEAN);
    return value->text;
}

int64_t config_number(const struct config *config, const char *name)
{
    enum config_type type;
    const struct value *value = value_of(config, name, &type);

    invariant(is_number_type(type) && value->text != NULL);
    return value->number;
}

bool config_boolean(const struct config *config, const char *name)
{
    enum config_type type;
    const struct value *value = value_of(config, name, &type);

    invariant(type == CONFIG_BOOLEAN && value->text != NULL);
    return value->number != 0;
}

const char *config_origin(const struct config *config, const char *name)
{
    enum config_type type;

    return value_of(config, name, &type)->origin;
}

enum result config_read_secret(const struct config *config, const char *name, struct buffer *secret,
                               struct problem *problem)
{
    enum config_type type;
    const struct value *value = value_of(config, name, &type);
    size_t size_before = secret->size;
    struct stat facts;
    enum result result = RESULT_OK;

    invariant(type == CONFIG_SECRET_FILE);
    if (value->text == NULL)
        return problem_set(problem, RESULT_REFUSED, "%s is not set", name);
    result = files_read(value->text, secret, problem);
    if (result != RESULT_OK)
        goto done;
    if (stat(value->text, &facts) != 0 || (facts.st_mode & 0037) != 0)
        result = problem_set(problem, RESULT_REFUSED, "%s: others may touch it, run: chmod 600 %s",
                             value->text, value->text);
    if (secret->size > size_before && secret->data[secret->size - 1] == '\n')
        secret->size--;
    if (result == RESULT_OK && secret->size == size_before)
        result = problem_set(problem, RESULT_REFUSED, "%s: is empty", value->text);
done:
    if (result != RESULT_OK) {
        secret->size = size_before;
        problem_add(problem, "%s", name);
    }
    return result;
}

/* ---- Printing ---- */

static enum result append_text(struct buffer *out, const char *text, struct problem *problem)
{
    return terminal_append_plain(out, bytes_of_text(text), problem);
}

/* [section] when it isn't the one of the key before; ret_name is what stands below it. */
static enum result append_section(const struct config_key *keys, size_t index, struct buffer *out,
                                  const char **ret_name, struct problem *problem)
{
    const char *name = keys[index].name;
    const char *dot = strchr(name, '.');
    size_t size = dot == NULL ? 0 : (size_t)(dot - name);
    enum result result = RESULT_OK;

    *ret_name = dot == NULL ? name : dot + 1;
    if (dot == NULL) {
        /* below a section a bare name would belong to it */
        invariant(index == 0 || strchr(keys[index - 1].name, '.') == NULL);
        return RESULT_OK;
    }
    if (index > 0 && strncmp(keys[index - 1].name, name, size + 1) == 0)
        return RESULT_OK;
    if (index > 0)
        result = buffer_append(out, "\n", 1, problem);
    if (result == RESULT_OK)
        result = buffer_append(out, "[", 1, problem);
    if (result == RESULT_OK)
        result = buffer_append(out, name, size, problem);
    if (result == RESULT_OK)
        result = buffer_append(out, "]\n", 2, problem);
    return result;
}

/* A blank before a text that begins with ; would make a comment of it. */
static enum result append_assignment(const char *name, const char *equals,
                                     const struct value *value, struct buffer *out,
                                     struct problem *problem)
{
    const char *text = value->text == NULL ? "" : value->text;
    enum result result = append_text(out, value->text == NULL ? "; " : "", problem);

    if (result == RESULT_OK)
        result = append_text(out, name, problem);
    if (result == RESULT_OK)
        result = append_text(out, text[0] == ';' ? "=" : equals, problem);
    if (result == RESULT_OK)
        result = append_text(out, text, problem);
    return result;
}

/* What would be too long a line for a file with its origin gets that, cut short, on a line before,
 * and no blanks: then whatever came from a file fits again. */
static enum result append_value(const char *name, const struct value *value, struct buffer *out,
                                struct problem *problem)
{
    const char *origin = value->text == NULL ? "not set" : value->origin;
    size_t begin = out->size;
    enum result result = append_assignment(name, " = ", value, out, problem);

    if (result == RESULT_OK)
        result = append_text(out, " ; ", problem);
    if (result == RESULT_OK)
        result = append_text(out, origin, problem);
    if (result == RESULT_OK && out->size - begin > SHOWN_LINE_SIZE_MAX) {
        out->size = begin;
        result = append_text(out, "; ", problem);
        if (result == RESULT_OK)
            result = append_text(out, origin, problem);
        if (out->size - begin > SHOWN_LINE_SIZE_MAX)
            out->size = begin + SHOWN_LINE_SIZE_MAX;
        if (result == RESULT_OK)
            result = buffer_append(out, "\n", 1, problem);
        if (result == RESULT_OK)
            result = append_assignment(name, "=", value, out, problem);
    }
    return result == RESULT_OK ? buffer_append(out, "\n", 1, problem) : result;
}

enum result config_show(const struct config *config, struct buffer *out, struct problem *problem)
{
    for (size_t i = 0; i < config->key_count; i++) {
        const char *name = NULL;
        enum result result = append_section(config->keys, i, out, &name, problem);

        if (result == RESULT_OK)
            result = append_value(name, &config->values[i], out, problem);
        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

/* "; help (a size like ..., from 1K to 1G)" */
static enum result append_key_help(const struct config_key *key, struct buffer *out,
                                   struct problem *problem)
{
    char line[512];
    char min[32];
    char max[32];
    int size = snprintf(line, sizeof line, "; %s (%s", key->help,
                        key->type == CONFIG_CHOICE ? key->choices : type_in_words(key->type));

    invariant(size > 0 && (size_t)size < sizeof line - 100);
    if (key->min != 0 || key->max != 0) {
        limit_in_words(key->type, key->min, min, sizeof min);
        limit_in_words(key->type, key->max, max, sizeof max);
        size += snprintf(line + size, sizeof line - (size_t)size, ", from %s to %s", min, max);
    }
    size += snprintf(line + size, sizeof line - (size_t)size, ")\n");
    return buffer_append(out, line, (size_t)size, problem);
}

enum result config_sample(const struct config_key *keys, size_t key_count, struct buffer *out,
                          struct problem *problem)
{
    for (size_t i = 0; i < key_count; i++) {
        const char *fallback = keys[i].fallback == NULL ? "" : keys[i].fallback;
        const char *name = NULL;
        enum result result = append_section(keys, i, out, &name, problem);

        if (result == RESULT_OK)
            result = append_key_help(&keys[i], out, problem);
        if (result == RESULT_OK)
            result = buffer_append(out, ";", 1, problem);
        if (result == RESULT_OK)
            result = buffer_append(out, name, strlen(name), problem);
        if (result == RESULT_OK)
            result = buffer_append(out, " = ", 3, problem);
        if (result == RESULT_OK)
            result = buffer_append(out, fallback, strlen(fallback), problem);
        if (result == RESULT_OK)
            result = buffer_append(out, "\n", 1, problem);
        if (result != RESULT_OK)
            return result;
    }
    return RESULT_OK;
}

static const char *argument_name(enum config_type type)
{
    static const char *const NAMES[] = {
        [CONFIG_TEXT] = "TEXT", [CONFIG_INTEGER] = "NUMBER",    [CONFIG_BOOLEAN] = "YES|NO",
        [CONFIG_SIZE] = "SIZE", [CONFIG_DURATION] = "DURATION", [CONFIG_CHOICE] = "WORD",
        [CONFIG_PATH] = "PATH", [CONFIG_SECRET_FILE] = "FILE",
    };

    return NAMES[type];
}

enum result config_options(const struct config_key *keys, size_t key_count, struct arena *arena,
                           const struct option_spec **ret_specs, struct problem *problem)
{
    struct option_spec *specs = arena_array(arena, key_count, sizeof *specs);

    if (specs == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < key_count; i++) {
        char name[NAME_SIZE];

        option_name(keys[i].name, name);
        specs[i].name = arena_format(arena, "%s", name);
        specs[i].argument =
            keys[i].type == CONFIG_CHOICE ? keys[i].choices : argument_name(keys[i].type);
        specs[i].help = keys[i].help;
        if (specs[i].name == NULL)
            return arena_full(arena, problem);
    }
    *ret_specs = specs;
    return RESULT_OK;
}

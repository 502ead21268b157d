/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L /* access */

#include "edge/scripts.h"

#include "edge/files.h"

#include <string.h>
#include <unistd.h>

static const char SUFFIX[] = ".sql";

static bool is_script(const char *name)
{
    size_t size = strlen(name);

    return size > sizeof SUFFIX && strcmp(name + size - (sizeof SUFFIX - 1), SUFFIX) == 0;
}

static enum result read_script(const char *folder, const char *file_name, struct arena *arena,
                               struct script *script, struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct buffer contents;
    struct bytes copy = {0};
    enum result result = files_join(folder, file_name, path, problem);

    buffer_init(&contents, SCRIPT_SIZE_MAX);
    if (result == RESULT_OK)
        result = files_read(path, &contents, problem);
    if (result == RESULT_OK)
        result = arena_copy(arena, buffer_bytes(&contents), &copy, problem);
    buffer_done(&contents);
    if (result != RESULT_OK)
        return result;
    script->text = (const char *)copy.data;
    script->name =
        arena_format(arena, "%.*s", (int)(strlen(file_name) - (sizeof SUFFIX - 1)), file_name);
    return script->name == NULL ? arena_full(arena, problem) : RESULT_OK;
}

enum result scripts_read(const char *data_folder, struct arena *arena,
                         const struct script **ret_scripts, size_t *ret_count,
                         struct problem *problem)
{
    char folder[FILES_PATH_SIZE];
    const char *const *names = NULL;
    struct script *scripts = NULL;
    size_t name_count = 0;
    size_t count = 0;
    enum result result = files_join(data_folder, "schema", folder, problem);

    *ret_count = 0;
    if (result != RESULT_OK || access(folder, F_OK) != 0)
        return result;
    result = files_list(folder, arena, &names, &name_count, problem);
    if (result != RESULT_OK)
        return result;
    if (name_count > SCRIPTS_COUNT_MAX)
        return problem_set(problem, RESULT_EXHAUSTED, "%s has more than %d files", folder,
                           SCRIPTS_COUNT_MAX);
    scripts = arena_array(arena, name_count, sizeof *scripts);
    if (scripts == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < name_count && result == RESULT_OK; i++)
        if (is_script(names[i]))
            result = read_script(folder, names[i], arena, &scripts[count++], problem);
    if (result != RESULT_OK)
        return result;
    *ret_scripts = scripts;
    *ret_count = count;
    return RESULT_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/open.h"

#include "agent/cli/state_file.h"
#include "agent/rescue.h"
#include "edge/entropy.h"
#include "edge/scripts.h"

/* All scripts together; they are needed only while the replica is opened. */
enum { SCRIPTS_ARENA_SIZE_MAX = 16 * 1024 * 1024 };

static enum result read_scripts(const char *data_folder, struct arena *arena,
                                struct replica_options *options, struct problem *problem)
{
    const struct script *scripts = NULL;
    struct replica_script *extras = NULL;
    size_t count = 0;
    enum result result = scripts_read(data_folder, arena, &scripts, &count, problem);

    if (result != RESULT_OK || count == 0)
        return result;
    extras = arena_array(arena, count, sizeof *extras);
    if (extras == NULL)
        return arena_full(arena, problem);
    for (size_t i = 0; i < count; i++)
        extras[i] = (struct replica_script){.name = scripts[i].name, .sql = scripts[i].text};
    options->extras = extras;
    options->extra_count = count;
    return RESULT_OK;
}

static void draw(void *context, void *bytes, size_t size)
{
    (void)context;
    entropy_fill(bytes, size);
}

struct vault_options open_vault(const struct keys *keys)
{
    return (struct vault_options){.key = keys->replica_key, .draw = draw};
}

bool open_needs_keys(const char *data_folder)
{
    char path[FILES_PATH_SIZE];
    struct problem ignored = {0};
    enum vault_look look;

    if (files_join(data_folder, REPLICA_FILE_NAME, path, &ignored) != RESULT_OK)
        return false;
    look = vault_look(path);
    return look == VAULT_LOOK_SEALED ||
           (look == VAULT_LOOK_NOTHING && keys_have_replica_file(data_folder));
}

enum result open_log_path(const char *data_folder, const struct replica *replica,
                          char ret_path[FILES_PATH_SIZE], struct problem *problem)
{
    return files_join(data_folder,
                      replica_is_encrypted(replica) ? REPLICA_FILE_NAME VAULT_LOG_SUFFIX
                                                    : REPLICA_FILE_NAME "-wal",
                      ret_path, problem);
}

enum result open_prepare(const char *data_folder, const struct keys *keys, const char *path,
                         bool is_encrypted, struct open_options *ret_options,
                         struct problem *problem)
{
    ret_options->replica = (struct replica_options){.path = path};
    arena_init(&ret_options->scripts, SCRIPTS_ARENA_SIZE_MAX);
    if (is_encrypted && (keys == NULL || !keys->has_replica_key))
        return problem_set(problem, RESULT_REFUSED, "%s is encrypted and %s isn't there", path,
                           REPLICA_KEY_FILE_NAME);
    if (is_encrypted) {
        ret_options->vault = open_vault(keys);
        ret_options->replica.vault = &ret_options->vault;
    }
    return read_scripts(data_folder, &ret_options->scripts, &ret_options->replica, problem);
}

void open_done(struct open_options *options)
{
    arena_done(&options->scripts);
}

enum result open_folder(const char *data_folder, const struct keys *keys, bool is_read_only,
                        const struct trace *trace, struct replica **ret_replica,
                        struct problem *problem)
{
    char path[FILES_PATH_SIZE];
    struct open_options options = {0};
    enum result result = files_join(data_folder, REPLICA_FILE_NAME, path, problem);

    if (result == RESULT_OK && rescue_is_unfinished(data_folder))
        return problem_set(problem, RESULT_STORAGE,
                           "a rescue was interrupted: run `fieldsync-agent rescue` again");
    if (result != RESULT_OK)
        return result;
    result = open_prepare(data_folder, keys, path, open_needs_keys(data_folder), &options, problem);
    options.replica.is_read_only = is_read_only;
    options.replica.trace = trace;
    if (result == RESULT_OK)
        result = replica_open(&options.replica, ret_replica, problem);
    open_done(&options);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/settings.h"

#include "agent/local_http.h"
#include "edge/files.h"

extern char **environ;

enum result settings_load(const char *data_folder, const struct options *options,
                          struct config **ret_config, struct problem *problem)
{
    static const struct config_key KEYS[] = {
        {"http.listen", CONFIG_TEXT, NULL, "address and port of this machine: 127.0.0.1:7745", 3,
         80, NULL},
    };
    char file[FILES_PATH_SIZE];
    struct config_sources sources = {.folder = "/etc/fieldsync/agent.conf.d",
                                     .environment = environ,
                                     .environment_prefix = "FIELDSYNC_",
                                     .options = options};
    enum result result = files_join(data_folder, "agent.conf", file, problem);

    if (result == RESULT_OK && files_exists(file))
        sources.file = file;
    if (result == RESULT_OK)
        result = config_load(KEYS, sizeof KEYS / sizeof KEYS[0], &sources, ret_config, problem);
    if (result == RESULT_OK && config_is_set(*ret_config, "http.listen"))
        result = local_http_check(config_text(*ret_config, "http.listen"), problem);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "server/settings.h"

#include "base/instant.h"
#include "edge/files.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

/* clang-format off */
const struct config_key SETTINGS[] = {
    {"data", CONFIG_PATH, "/var/lib/fieldsync",
     "folder of the database, keys and attachments", 0, 0, NULL},
    {"listen.address", CONFIG_TEXT, "127.0.0.1",
     "where devices connect; :: is all addresses", 1, 255, NULL},
    {"listen.port", CONFIG_INTEGER, "7742", "port for devices; 0: any", 0, 65535, NULL},
    {"listen.public_address", CONFIG_TEXT, NULL,
     "host:port that devices use, as seen from outside; goes into enrolment codes", 3, 255, NULL},
    {"keys.passphrase_file", CONFIG_SECRET_FILE, NULL,
     "file with the passphrase of keys/server.key, if it has one ('key protect')", 0, 0, NULL},
    {"listen.certificate", CONFIG_PATH, NULL, "PEM file, certificate chain, for TLS", 0, 0, NULL},
    {"listen.certificate_key", CONFIG_PATH, NULL, "PEM file of its private key", 0, 0, NULL},
    {"admin.address", CONFIG_TEXT, "127.0.0.1", "where /healthz and /metrics are", 1, 255, NULL},
    {"admin.port", CONFIG_INTEGER, "7743", "port of the same; 0: any", 0, 65535, NULL},
    {"admin.certificate", CONFIG_PATH, NULL, "PEM file, certificate chain, for TLS there", 0, 0,
     NULL},
    {"admin.certificate_key", CONFIG_PATH, NULL, "PEM file of its private key", 0, 0, NULL},
    {"admin.origin", CONFIG_TEXT, NULL,
     "where browsers find the pages (https://office.example), if not at the address itself", 8, 255,
     NULL},
    {"web.idle", CONFIG_DURATION, "30min", "a session on the pages ends so long after its last use",
     MINUTES(1), HOURS(24), NULL},
    {"web.age", CONFIG_DURATION, "12h", "and so long after it began", MINUTES(1), HOURS(24 * 30),
     NULL},
    {"enrolment.confirm", CONFIG_BOOLEAN, "yes",
     "new devices wait until the office has compared their fingerprint", 0, 0, NULL},
    {"admin.token_file", CONFIG_SECRET_FILE, NULL,
     "file with a token that /metrics then asks for (Authorization: Bearer)", 0, 0, NULL},
    {"limit.connections", CONFIG_INTEGER, "20000", "devices at once", 1, 1000000, NULL},
    {"limit.handshakes", CONFIG_INTEGER, "1000", "unfinished handshakes at once", 1, 100000, NULL},
    {"limit.handshakes_per_address", CONFIG_INTEGER, "64", "the same of one address", 1, 100000,
     NULL},
    {"limit.connects_per_address", CONFIG_INTEGER, "2000",
     "new connections of one address in 10 s; 0: no limit", 0, 1000000, NULL},
    {"sync.keep_departures", CONFIG_INTEGER, "180",
     "days that deletions are remembered; a device away for longer compares lists; 0: for ever", 0,
     36500, NULL},
    {"serve.readers", CONFIG_INTEGER, "2",
     "threads that read the database for devices; all but the first come when needed", 1, 16, NULL},
    {"limit.device_changes", CONFIG_INTEGER, "20000",
     "changes of one device in a minute; 0: no limit", 0, 1 << 30, NULL},
    {"limit.device_bytes", CONFIG_SIZE, "256M", "bytes of the same", 0, 1 << 30, NULL},
    {"limit.device_blobs", CONFIG_INTEGER, "600", "attachments of the same", 0, 1 << 30, NULL},
    {"limit.device_messages", CONFIG_INTEGER, "30000", "messages of the same", 0, 1 << 30, NULL},
    {"limit.device_sessions", CONFIG_INTEGER, "120", "connections of the same, one after the other",
     0, 1 << 30, NULL},
    {"disk.reserve", CONFIG_SIZE, "64M",
     "kept on the disk and given up when it is full, so that work under way ends; 0: none", 0,
     1 << 30, NULL},
    {"lease.days", CONFIG_INTEGER, "30",
     "so long a device's commands work without contact; 0: for ever", 0, 3650, NULL},
    {"serve.as_root", CONFIG_BOOLEAN, "yes", "no: refuse to serve as root", 0, 0, NULL},
    {"log.level", CONFIG_CHOICE, "info", "least important line to write", 0, 0,
     "error|warning|notice|info|debug"},
    {"log.format", CONFIG_CHOICE, "text", "form of the lines on stderr", 0, 0, "text|json"},
};
/* clang-format on */
const size_t SETTING_COUNT = sizeof SETTINGS / sizeof *SETTINGS;

enum result settings_load(const struct options *options, struct config **ret_config,
                          struct problem *problem)
{
    const struct config_sources sources = {
        .folder = "/etc/fieldsync/server.conf.d",
        .file = options_value(options, "config"),
        .environment = environ,
        .environment_prefix = "FIELDSYNC_",
        .options = options,
    };

    return config_load(SETTINGS, SETTING_COUNT, &sources, ret_config, problem);
}

enum result settings_load_demo(const struct options *options, struct arena *arena,
                               struct config **ret_config, struct problem *problem)
{
    const struct config_sources sources = {
        .file = options_value(options, "config"),
        .options = options,
    };
    struct config_key *keys = arena_array(arena, SETTING_COUNT, sizeof *keys);

    if (keys == NULL)
        return arena_full(arena, problem);
    memcpy(keys, SETTINGS, sizeof SETTINGS);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(keys[i].name, "data") == 0)
            keys[i].fallback = NULL;
        else if (strcmp(keys[i].name, "listen.port") == 0 ||
                 strcmp(keys[i].name, "admin.port") == 0)
            keys[i].fallback = "0";
    }
    return config_load(keys, SETTING_COUNT, &sources, ret_config, problem);
}

enum result settings_passphrase(const struct config *config, const struct options *options,
                                struct arena *arena, struct secret_source *ret_source,
                                struct problem *problem)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY"); /* a folder of this service's own */
    const char *credential =
        folder == NULL ? "" : arena_format(arena, "%s/" SETTINGS_CREDENTIAL_NAME, folder);

    if (credential == NULL)
        return arena_full(arena, problem);
    *ret_source = (struct secret_source){
        .descriptor = options_value(options, "passphrase-fd"),
        .path = config_text(config, "keys.passphrase_file"),
        .question = "Passphrase of the server's key: ",
        .hint = "set keys.passphrase_file, give --passphrase-fd or the "
                "credential " SETTINGS_CREDENTIAL_NAME,
    };
    if (ret_source->path == NULL && credential[0] != '\0' && files_exists(credential))
        ret_source->path = credential;
    return RESULT_OK;
}

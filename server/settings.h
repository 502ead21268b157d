/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: every setting of the server, and where they are read from. */
#pragma once

#include "edge/config.h"
#include "edge/secret.h"

extern const struct config_key SETTINGS[];
extern const size_t SETTING_COUNT;

/* From command line, environment (FIELDSYNC_...), the file of --config,
 * /etc/fieldsync/server.conf.d and the table. Failures as config_load. */
MUST_CHECK enum result settings_load(const struct options *options, struct config **ret_config,
                                     struct problem *problem);

/* For a server that must not meet another one: only the command line and the file of --config
 * count; "data" has no default, and the ports are any. The table is in `arena`, which must outlive
 * the configuration. */
MUST_CHECK enum result settings_load_demo(const struct options *options, struct arena *arena,
                                          struct config **ret_config, struct problem *problem);

/* What systemd hands over with LoadCredential= under this name is the passphrase. */
#define SETTINGS_CREDENTIAL_NAME "fieldsync-passphrase"

/* Where the passphrase of the server's key comes from: --passphrase-fd, keys.passphrase_file, the
 * credential, the terminal. Texts are in `arena`, `config` and `options`. */
MUST_CHECK enum result settings_passphrase(const struct config *config,
                                           const struct options *options, struct arena *arena,
                                           struct secret_source *ret_source,
                                           struct problem *problem);

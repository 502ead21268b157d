/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: every setting of the server, and where they are read from. */
#pragma once

#include "edge/config.h"

extern const struct config_key SETTINGS[];
extern const size_t SETTING_COUNT;

/* From command line, environment (FIELDSYNC_...), the file of --config,
 * /etc/fieldsync/server.conf.d and the table. Failures as config_load. */
MUST_CHECK enum result settings_load(const struct options *options, struct config **ret_config,
                                     struct problem *problem);

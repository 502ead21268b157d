/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: what a device may be told beside its command line: by its owner in DATA/agent.conf,
 * by whoever set up the machine in /etc/fieldsync/agent.conf.d, by FIELDSYNC_... variables. */
#pragma once

#include "edge/config.h"

/* RESULT_REFUSED: wrong, in words: exit with EXIT_CODE_CONFIG. Others as config_load. */
MUST_CHECK enum result settings_load(const char *data_folder, const struct options *options,
                                     struct config **ret_config, struct problem *problem);

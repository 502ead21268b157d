/* SPDX-License-Identifier: Apache-2.0 */
/* cli_commands.h: the families of commands, one file each. */
#pragma once

#include "server/cli/cli.h"

extern const struct cli_family CLI_USER;
extern const struct cli_family CLI_DEVICE;
extern const struct cli_family CLI_CHECK;
extern const struct cli_family CLI_BACKUP;
extern const struct cli_family CLI_IMPORT;
extern const struct cli_family CLI_EXPORT;
extern const struct cli_family CLI_CALL;
extern const struct cli_family CLI_STOCK;
extern const struct cli_family CLI_CONFLICTS;
extern const struct cli_family CLI_FATE;

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/cli/cli_commands.h"

#include "server/cli/cli.h"

const struct cli_family *const *cli_families(void)
{
    static const struct cli_family *const FAMILIES[] = {
        &CLI_USER,  &CLI_DEVICE, &CLI_CALL,   &CLI_STOCK,  &CLI_CONFLICTS, &CLI_FATE,
        &CLI_CHECK, &CLI_BACKUP, &CLI_IMPORT, &CLI_EXPORT, NULL,
    };

    return FAMILIES;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"

static const struct cli_family *const FAMILIES[] = {
    &CLI_CALL,  &CLI_NOTE,   &CLI_ACTIVITY, &CLI_WORK,   &CLI_PART,  &CLI_EXPENSE,
    &CLI_PHOTO, &CLI_SIGN,   &CLI_VAN,      &CLI_SEARCH, &CLI_INBOX, &CLI_STATUS,
    &CLI_FATE,  &CLI_VERIFY, &CLI_EXPLAIN,  &CLI_NEW_ID, &CLI_SQL,   NULL,
};

const struct cli_family *const *cli_families(void)
{
    return FAMILIES;
}

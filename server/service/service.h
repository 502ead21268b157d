/* SPDX-License-Identifier: Apache-2.0 */
/* service.h: the business rules that follow a change on the master, as one table.
 *
 * Each reaction runs in the transaction that brings the row in, whoever wrote it: a device, a page,
 * a command or another program. Running one again changes nothing. */
#pragma once

#include "server/store/work.h"

/* For work_create; ends with an entry without a name. Lives for ever. */
const struct reaction *service_reactions(void);

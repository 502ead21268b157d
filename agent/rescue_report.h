/* SPDX-License-Identifier: Apache-2.0 */
/* rescue_report.h: what a rescue couldn't bring along, as a file for people and programs. */
#pragma once

#include "agent/replica/rescue.h"

/* One JSON object a line: kind ("change", "outbox", "seals", "rows"), table, op, row, first, last
 * (null: to the end), recorded_at, reason, values. 0600: it quotes customers. */
MUST_CHECK enum result rescue_report_write(const char *path, const struct rescue_outcome *outcome,
                                           struct problem *problem);

/* SPDX-License-Identifier: Apache-2.0 */
/* reports.h: the work report (domain/report.h) of an activity, from this device's rows. */
#pragma once

#include "agent/service/service.h"
#include "domain/report.h"

/* Appends the report. RESULT_REFUSED: no such activity is on this device. */
MUST_CHECK enum result report_append(struct service *service, int64_t activity_id,
                                     struct bytes language, struct bytes salt, struct buffer *text,
                                     struct problem *problem);

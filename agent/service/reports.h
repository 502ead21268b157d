/* SPDX-License-Identifier: Apache-2.0 */
/* reports.h: the work report of an activity in its one canonical form, which is what people sign.
 *
 * UTF-8 text, one fact a line, lines end with a newline, the same rows always give the same bytes:
 *
 *     fieldsync work report 1
 *     activity ID
 *     call ID SUBJECT
 *     customer NAME | site NAME | asset SERIAL        (those there are)
 *     work ID KIND STARTED_AT ENDED_AT BREAK_MIN TECHNICIAN_ID
 *     part ID CODE USED_M SERIAL
 *     expense ID KIND AMOUNT_CENTS CURRENCY DAY
 *     outcome TEXT | cause TEXT | report TEXT | follow-up TEXT
 *     answer ITEM_ID ASSET_KEY VALUE
 *     note ID TEXT                                    (those for the customer)
 *     file ID HASH NAME
 *
 * Rows in the order of their ids, without those that were taken back. In texts a backslash is
 * written \\ and a line end \n; times are microseconds since 1970. */
#pragma once

#include "agent/service/service.h"

#define REPORT_MIME_TYPE "text/x-fieldsync-report" /* of the copy that was signed */

/* Appends the report. RESULT_REFUSED: no such activity is on this device. */
MUST_CHECK enum result report_append(struct service *service, int64_t activity_id,
                                     struct buffer *text, struct problem *problem);

/* What `after` lacks ("- line") and has more ("+ line"); empty if the two are equal. */
MUST_CHECK enum result report_difference(struct bytes before, struct bytes after,
                                         struct buffer *difference, struct problem *problem);

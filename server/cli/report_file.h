/* SPDX-License-Identifier: Apache-2.0 */
/* report_file.h: signed reports in a file of their own, and how to check them with nothing else.
 *
 * JSON: an array of objects, one a signature, each with the columns of EVIDENCE_SQL by the names of
 * report_file.c (blobs as hexadecimal), "device_public_key" and "text", the report as it was signed
 * (null: it wasn't there). The form of the columns is that of the tables; nothing is left out, so
 * that the file can be checked without the database it came from. */
#pragma once

#include "edge/terminal.h"
#include "server/service/report_check.h"

enum { REPORT_FILE_SIZE_MAX = 256 << 20 };

void report_file_append(struct terminal_json *json, const struct report_check *check);

/* Checks every signature of a file and appends what it found to `out`, a line each and one for each
 * fault.
 *
 *   server_key  hex; NULL: whatever key the receipts name. Otherwise receipts of another key are
 * wrong ret_wrong   signatures with a fault
 *
 * RESULT_REFUSED  it isn't such a file: the problem says where
 * RESULT_EXHAUSTED `arena` or `out` is full */
MUST_CHECK enum result report_file_verify(struct bytes file, const char *server_key,
                                          struct arena *arena, struct buffer *out,
                                          size_t *ret_wrong, struct problem *problem);

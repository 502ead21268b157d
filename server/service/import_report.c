/* SPDX-License-Identifier: Apache-2.0 */
#include "server/service/import_inside.h"

#include <stdio.h>
#include <string.h>

/* As much as fits, cut between characters. */
static void put_sample(char room[IMPORT_SAMPLE_SIZE], struct bytes text)
{
    size_t size = text.size < IMPORT_SAMPLE_SIZE - 1 ? text.size : IMPORT_SAMPLE_SIZE - 1;

    while (size < text.size && size > 0 && (text.data[size] & 0xC0) == 0x80)
        size--;
    for (size_t i = 0; i < size; i++)
        room[i] = text.data[i] < ' ' ? ' ' : (char)text.data[i];
    room[size] = 0;
}

void import_report_reason(struct import *import, bool is_skip, const char *column, const char *text,
                          int64_t line, struct bytes sample)
{
    struct import_report *report = &import->report;
    struct import_reason *reason = NULL;

    if (is_skip)
        report->skipped++;
    for (size_t i = 0; i < report->reason_count && reason == NULL; i++) {
        struct import_reason *known = &report->reasons[i];

        if (known->is_skip == is_skip && strcmp(known->file, report->file) == 0 &&
            strcmp(known->column, column) == 0 &&
            strncmp(known->text, text, sizeof known->text - 1) == 0)
            reason = known;
    }
    if (reason == NULL && report->reason_count == IMPORT_REASONS_MAX) {
        report->more_reasons++;
        return;
    }
    if (reason == NULL) {
        reason = &report->reasons[report->reason_count++];
        memset(reason, 0, sizeof *reason);
        reason->is_skip = is_skip;
        (void)snprintf(reason->file, sizeof reason->file, "%s", report->file);
        (void)snprintf(reason->column, sizeof reason->column, "%s", column);
        (void)snprintf(reason->text, sizeof reason->text, "%s", text);
        put_sample(reason->sample, sample);
    }
    if (reason->count < IMPORT_LINES_MAX)
        reason->lines[reason->count] = line;
    reason->count++;
}

struct import_count *import_report_count(struct import *import, const char *table)
{
    struct import_report *report = &import->report;

    for (size_t i = 0; i < report->count_count; i++)
        if (strcmp(report->counts[i].table, table) == 0)
            return &report->counts[i];
    if (report->count_count == IMPORT_COUNTS_MAX)
        return NULL;
    report->counts[report->count_count].table = table;
    return &report->counts[report->count_count++];
}

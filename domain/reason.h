/* SPDX-License-Identifier: Apache-2.0 */
/* reason.h: every reason a change or an event can be answered with, in one table.
 *
 * A reason has a stable short code ("work_beats_plan") that is stored in verdicts, review items and
 * traces, and one sentence in English and one in Italian for the person who reads it. Codes are
 * never renamed or reused after a release, since old databases hold them; the numbers of the enum
 * are private to one build and are never stored or sent. */
#pragma once

#include <stdbool.h>

enum reason {
    REASON_NONE, /* nothing to explain: done as asked */

    /* Answers of the sync to a change. */
    REASON_NOT_ENTITLED,
    REASON_APPEND_ONLY,
    REASON_SERVER_ONLY,
    REASON_UNKNOWN_ROW,
    REASON_BAD_REFERENCE,
    REASON_CHECK_FAILED,
    REASON_NATURAL_KEY_MERGED,
    REASON_COPY_MERGED,
    REASON_OLDER_EDIT,
    REASON_WRITTEN_ONCE,
    REASON_REVOKED,
    REASON_ID_OUT_OF_RANGE,
    REASON_TYPE_MISMATCH,
    REASON_UNKNOWN_TABLE,
    REASON_UNKNOWN_COLUMN,
    REASON_TOO_LARGE,
    REASON_COLUMN_DROPPED,

    /* Transitions of any state machine. */
    REASON_TRANSITION_NOT_ALLOWED,
    REASON_NOT_PERMITTED,
    REASON_SAME_EVENT,
    REASON_ALREADY_THERE,
    REASON_OVERTAKEN,

    /* Activities. */
    REASON_WORK_BEATS_PLAN,
    REASON_DOUBLE_VISIT,
    REASON_OTHER_TECHNICIAN_WORKED,
    REASON_PLAN_CHANGED,
    REASON_ACTIVITY_CANCELLED,
    REASON_DONE_AFTER_CANCEL,
    REASON_CLOSED_ON_BEHALF,
    REASON_WORK_AFTER_BILLING,
    REASON_ALREADY_BILLED,
    REASON_NO_TECHNICIAN,
    REASON_FINISH_WITHOUT_WORK,
    REASON_NO_ACCESS_BY_PREVIOUS,
    REASON_CORRECTION_AFTER_APPROVAL,

    /* Calls. */
    REASON_CALL_MERGED,
    REASON_VISIT_AFTER_CLOSE,
    REASON_ANSWERED_WITH_VISIT_OPEN,
    REASON_REOPEN_TOO_LATE,
    REASON_CLOSE_TOO_EARLY,
    REASON_NOT_WAITING_FOR_PARTS,
    REASON_NOT_REMOTE,
    REASON_NO_SURVIVING_CALL,

    /* Stock. */
    REASON_NEGATIVE_STOCK,
    REASON_HELD_FOR_OTHER_CALL,
    REASON_WRONG_PLACE,
    REASON_WRONG_OWNER,
    REASON_WRONG_ISSUE_MODE,
    REASON_SERIAL_CONFLICT,
    REASON_SERIAL_MISSING,
    REASON_SERIAL_QUANTITY,
    REASON_QUANTITY_NOT_POSITIVE,
    REASON_SAME_PLACE,
    REASON_TRANSIT_UNCLAIMED,
    /* Signed reports. */
    REASON_SEAL_WRONG_KEY,
    REASON_SEAL_NOT_THESE_ROWS,
    REASON_SEAL_GAP,
    REASON_SEAL_FORK,

    REASON_COUNTED_BEFORE_ARRIVAL,

    /* Quotes, returns, serials, customers. */
    REASON_QUOTE_REVISED,
    REASON_QUOTE_EXPIRED,
    REASON_RMA_NOT_AUTHORISED,
    REASON_SERIAL_KNOWN_ELSEWHERE,
    REASON_PARTY_KNOWN_ALREADY,

    REASON_COUNT
};

enum { REASON_CODE_SIZE_MAX = 32 }; /* bytes of a code without NUL */

/* All of these live for ever. `reason` is one of the enum, not REASON_COUNT. */
const char *reason_code(enum reason reason);
const char *reason_english(enum reason reason);
const char *reason_italian(enum reason reason);

/* In the language of whoever reads it. */
enum reason_language {
    REASON_IN_ENGLISH,
    REASON_IN_ITALIAN,
};
const char *reason_sentence(enum reason reason, enum reason_language language);
/* "it_IT.UTF-8" is Italian; "" and every other locale English. */
enum reason_language reason_language_of(const char *locale);

/* The reason with this code; false if there is none (an old or a newer program wrote it): the
 * caller shows the code itself. */
bool reason_find(const char *code, enum reason *ret_reason);

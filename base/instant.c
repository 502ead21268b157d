/* SPDX-License-Identifier: Apache-2.0 */
#include "base/instant.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SECOND_US = 1000000 };
static const int64_t DAY_S = 86400;
static const int64_t WALL_MIN_S = -INT64_C(62167219200); /* 0000-01-01 */
static const int64_t WALL_MAX_S = INT64_C(253402300799); /* 9999-12-31T23:59:59 */

struct mono_time mono_after(struct mono_time now, int64_t delay_us)
{
    if (delay_us > 0 && now.us > INT64_MAX - delay_us)
        return MONO_NEVER;
    return (struct mono_time){now.us + delay_us};
}

bool mono_is_due(struct mono_time deadline, struct mono_time now)
{
    return deadline.us <= now.us;
}

struct mono_time mono_earlier(struct mono_time a, struct mono_time b)
{
    return a.us < b.us ? a : b;
}

/* Days since 1970-01-01 of a civil date, and back: Howard Hinnant, "chrono-Compatible Low-Level
 * Date Algorithms", days_from_civil and civil_from_days. */
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t shifted = year - (month <= 2);
    int64_t era = (shifted >= 0 ? shifted : shifted - 399) / 400;
    int64_t year_of_era = shifted - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_index = (5 * day_of_year + 2) / 153;

    *ret_day = day_of_year - (153 * month_index + 2) / 5 + 1;
    *ret_month = month_index + (month_index < 10 ? 3 : -9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

void wall_time_format(struct wall_time time, char ret_text[WALL_TEXT_SIZE])
{
    int64_t seconds = time.us / SECOND_US - (time.us % SECOND_US < 0);
    int64_t micros =
        time.us % SECOND_US < 0 ? time.us % SECOND_US + SECOND_US : time.us % SECOND_US;
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    int64_t days = 0;

    if (seconds < WALL_MIN_S)
        seconds = WALL_MIN_S;
    if (seconds > WALL_MAX_S)
        seconds = WALL_MAX_S;
    days = seconds / DAY_S - (seconds % DAY_S < 0);
    seconds -= days * DAY_S;
    civil_from_days(days, &year, &month, &day);
    (void)snprintf(ret_text, WALL_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
                   (unsigned)year % 10000u, (unsigned)month % 100u, (unsigned)day % 100u,
                   (unsigned)(seconds / 3600) % 100u, (unsigned)(seconds / 60 % 60) % 100u,
                   (unsigned)(seconds % 60) % 100u, (unsigned)micros % 1000000u);
}

/* Reads exactly `count` digits at *at and moves on. */
static bool digits_read(const char **at, int count, int64_t *ret_number)
{
    int64_t number = 0;

    for (int i = 0; i < count; i++) {
        if (**at < '0' || **at > '9')
            return false;
        number = number * 10 + (**at - '0');
        (*at)++;
    }
    *ret_number = number;
    return true;
}

static bool mark_read(const char **at, char mark)
{
    if (**at != mark)
        return false;
    (*at)++;
    return true;
}

bool wall_time_parse(const char *text, struct wall_time *ret_time)
{
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t micros = 0;
    int64_t scale = SECOND_US;
    int64_t check_year = 0;
    int64_t check_month = 0;
    int64_t check_day = 0;
    const char *at = text;

    if (!digits_read(&at, 4, &year) || !mark_read(&at, '-') || !digits_read(&at, 2, &month) ||
        !mark_read(&at, '-') || !digits_read(&at, 2, &day) || !mark_read(&at, 'T') ||
        !digits_read(&at, 2, &hour) || !mark_read(&at, ':') || !digits_read(&at, 2, &minute) ||
        !mark_read(&at, ':') || !digits_read(&at, 2, &second))
        return false;
    if (mark_read(&at, '.') && (*at < '0' || *at > '9'))
        return false;
    if (at[-1] == '.')
        for (int64_t digit = 0; scale > 1 && digits_read(&at, 1, &digit);) {
            scale /= 10;
            micros += digit * scale;
        }
    if (!mark_read(&at, 'Z') || *at != '\0' || month < 1 || month > 12 || day < 1 || hour > 23 ||
        minute > 59 || second > 59)
        return false;
    civil_from_days(days_from_civil(year, month, day), &check_year, &check_month, &check_day);
    if (check_year != year || check_month != month || check_day != day)
        return false; /* 30 February */
    ret_time->us =
        ((days_from_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second) *
         SECOND_US) +
        micros;
    return true;
}

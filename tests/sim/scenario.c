/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/scenario.h"

#include "base/instant.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int64_t between(struct prng *prng, int64_t least, int64_t most)
{
    return least + (int64_t)prng_below(prng, (uint64_t)(most - least) + 1);
}

static bool chance(struct prng *prng, uint64_t percent)
{
    return prng_below(prng, 100) < percent;
}

/* ---- kinds of faults ---- */

struct rule {
    const char *name;
    uint64_t percent;       /* of the seeds */
    int64_t rare, often;    /* per million messages or edits */
    int64_t soon, late;     /* seconds from one to the next */
    int64_t brief, lasting; /* seconds that one lasts */
};

/* clang-format off */
static const struct rule RULES[FAULT_COUNT] = {
    [FAULT_CUT]                = {"cut",                55, 1000, 60000, 0, 0, 0, 0},
    [FAULT_HALF_OPEN]          = {"half-open",          25, 500, 8000, 0, 0, 0, 0},
    [FAULT_DUPLICATE]          = {"duplicate",          12, 500, 20000, 0, 0, 0, 0},
    [FAULT_CORRUPT]            = {"corrupt",            12, 500, 20000, 0, 0, 0, 0},
    [FAULT_LATE]               = {"late",               12, 500, 20000, 0, 0, 0, 0},
    [FAULT_OFFLINE]            = {"offline",            60, 0, 0, 40, 300, 5, 180},
    [FAULT_SLOW_READER]        = {"slow-reader",         8, 0, 0, 40, 180, 30, 240},
    [FAULT_REFUSED]            = {"refused",            10, 0, 0, 30, 120, 5, 60},
    [FAULT_STORM]              = {"storm",              10, 0, 0, 30, 120, 0, 0},
    [FAULT_STOPPED]            = {"stopped",             8, 0, 0, 30, 180, 5, 300},
    [FAULT_DEVICE_KILL]        = {"device-kill",        35, 0, 0, 40, 480, 0, 0},
    [FAULT_DEVICE_KILL_INSIDE] = {"device-kill-inside", 12, 0, 0, 30, 180, 0, 0},
    [FAULT_DEVICE_POWER_CUT]   = {"device-power-cut",   20, 0, 0, 30, 180, 0, 0},
    [FAULT_SERVER_KILL]        = {"server-kill",        25, 0, 0, 60, 360, 0, 0},
    [FAULT_SERVER_KILL_INSIDE] = {"server-kill-inside", 12, 0, 0, 30, 120, 0, 0},
    [FAULT_SERVER_POWER_CUT]   = {"server-power-cut",   15, 0, 0, 30, 180, 0, 0},
    [FAULT_READ_ERROR]         = {"read-error",         10, 0, 0, 20, 60, 1, 40},
    [FAULT_WRITE_ERROR]        = {"write-error",         8, 0, 0, 20, 60, 1, 40},
    [FAULT_SYNC_ERROR]         = {"sync-error",          8, 0, 0, 20, 60, 1, 40},
    [FAULT_DISK_FULL]          = {"disk-full",          10, 0, 0, 20, 120, 5, 60},
    [FAULT_SHORT_READ]         = {"short-read",         10, 0, 0, 20, 60, 0, 0},
    [FAULT_FLIPPED_BIT]        = {"flipped-bit",        10, 0, 0, 20, 60, 0, 0},
    [FAULT_SLOW_DISK]          = {"slow-disk",           8, 0, 0, 20, 60, 5, 60},
    [FAULT_LOCKED]             = {"locked",              8, 0, 0, 20, 120, 1, 60},
    [FAULT_CLOCK_WRONG]        = {"clock-wrong",        30, 0, 0, 0, 0, 0, 0},
    [FAULT_CLOCK_JUMP]         = {"clock-jump",         15, 0, 0, 20, 120, 0, 0},
    [FAULT_CLOCK_DRIFT]        = {"clock-drift",        15, 0, 0, 0, 0, 0, 0},
    [FAULT_SERVER_CLOCK]       = {"server-clock",       12, 0, 0, 30, 180, 0, 0},
    [FAULT_POISON]             = {"poison",             40, 10000, 150000, 0, 0, 0, 0},
    [FAULT_BULK]               = {"bulk",                4, 10000, 100000, 0, 0, 0, 0},
    [FAULT_ATTACHMENT]         = {"attachment",         15, 30000, 200000, 0, 0, 0, 0},
};
/* clang-format on */

const char *fault_name(enum fault fault)
{
    return RULES[fault].name;
}

bool fault_find(const char *name, enum fault *ret_fault)
{
    for (int i = 0; i < FAULT_COUNT; i++)
        if (strcmp(RULES[i].name, name) == 0) {
            *ret_fault = (enum fault)i;
            return true;
        }
    return false;
}

bool scenario_has(const struct scenario *scenario, enum fault fault)
{
    return scenario->faults[fault].chance != 0 || scenario->faults[fault].every_us != 0;
}

/* ---- what a seed means ---- */

#define YEAR_US (INT64_C(31557600) * 1000 * 1000)

/* Most clocks are a little wrong, some are wrong by years (1970, 2099). */
static int64_t draw_skew(struct prng *prng)
{
    switch (prng_below(prng, 6)) {
    case 0:
        return -56 * YEAR_US;
    case 1:
        return 73 * YEAR_US;
    case 2:
        return between(prng, -HOURS(2), HOURS(2));
    default:
        return between(prng, -SECONDS(90), SECONDS(90));
    }
}

static void add_clocks(struct prng *prng, enum fault fault, struct scenario *scenario)
{
    for (size_t i = 0; i < SCENARIO_AGENTS_MAX; i++) {
        if (fault == FAULT_CLOCK_WRONG)
            scenario->skew_us[i] = draw_skew(prng);
        if (fault == FAULT_CLOCK_DRIFT)
            scenario->drift_ppm[i] = between(prng, -50000, 50000);
    }
}

/* The time of some kinds means nothing but that they are on: they are there from the start. */
static void add_fault(struct prng *prng, enum fault fault, struct scenario *scenario)
{
    const struct rule *rule = &RULES[fault];

    if (!chance(prng, rule->percent))
        return;
    if (rule->often != 0)
        scenario->faults[fault].chance = (uint64_t)between(prng, rule->rare, rule->often);
    if (rule->late != 0)
        scenario->faults[fault].every_us = SECONDS(between(prng, rule->soon, rule->late));
    if (rule->lasting != 0)
        scenario->faults[fault].for_us = SECONDS(between(prng, rule->brief, rule->lasting));
    if (rule->often == 0 && rule->late == 0)
        scenario->faults[fault].chance = 1;
    add_clocks(prng, fault, scenario);
}

static void add_faults(const struct scenario_options *options, struct scenario *scenario)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        bool is_from_the_start = i == FAULT_CLOCK_WRONG;
        uint64_t source = is_from_the_start ? scenario->company : options->seed;
        struct prng prng;

        prng_init(&prng, source ^ (UINT64_C(0xfa017) + (uint64_t)i) << 40);
        if ((options->without >> i & 1) == 0)
            add_fault(&prng, (enum fault)i, scenario);
    }
}

/* What the processes are given at their start. */
static void add_company(struct scenario *scenario)
{
    struct prng prng;

    scenario->company = scenario->seed % SCENARIO_COMPANIES;
    prng_init(&prng, scenario->company ^ UINT64_C(0xc0323a));
    scenario->agent_count = (size_t)between(&prng, 2, 5);
    scenario->site_count = (size_t)between(&prng, 2, 6);
    scenario->has_help_desk = chance(&prng, 40);
    scenario->checkpoint_rows = chance(&prng, 50) ? 0 : between(&prng, 20, 400);
    scenario->checkpoint_bytes = chance(&prng, 50) ? 0 : between(&prng, 100000, 1000000);
    if (chance(&prng, 40)) {
        scenario->rescope_every_us = between(&prng, SECONDS(5), SECONDS(30));
        scenario->departure_keep_us = between(&prng, SECONDS(10), SECONDS(90));
    }
    scenario->is_encrypted = chance(&prng, 25);
}

void scenario_expand(const struct scenario_options *options, struct scenario *ret_scenario)
{
    struct prng prng;
    struct scenario scenario = {.seed = options->seed};

    add_company(&scenario);
    prng_init(&prng, options->seed ^ UINT64_C(0x5ce7a710));
    scenario.is_cold = chance(&prng, 3);
    scenario.span_us = between(&prng, MINUTES(2), MINUTES(8));
    scenario.edit_every_us = between(&prng, SECONDS(4), SECONDS(40));
    scenario.office_every_us = between(&prng, SECONDS(4), SECONDS(60));
    scenario.latency_us =
        chance(&prng, 70) ? between(&prng, 500, 80000) : between(&prng, 80000, 500000);
    scenario.jitter_us = between(&prng, 0, scenario.latency_us);
    scenario.bytes_per_second =
        chance(&prng, 75) ? between(&prng, 100000, 10000000) : between(&prng, 3000, 100000);
    scenario.job_delay_us =
        chance(&prng, 70) ? between(&prng, 100, 30000) : between(&prng, 30000, 500000);
    if (options->agent_count != 0)
        scenario.agent_count = options->agent_count;
    if (options->span_us != 0)
        scenario.span_us = options->span_us;
    scenario.is_encrypted = scenario.is_encrypted || options->is_encrypted;
    add_faults(options, &scenario);
    *ret_scenario = scenario;
}

void scenario_quiet(uint64_t seed, size_t agent_count, struct scenario *ret_scenario)
{
    *ret_scenario = (struct scenario){
        .seed = seed,
        .agent_count = agent_count,
        .site_count = 3,
        .latency_us = 5000,
        .jitter_us = 1000,
        .bytes_per_second = 10000000,
        .job_delay_us = 2000,
    };
}

void scenario_found(const struct scenario *scenario, struct scenario *ret_beginning)
{
    scenario_quiet(scenario->company, scenario->agent_count, ret_beginning);
    ret_beginning->company = scenario->company;
    ret_beginning->site_count = scenario->site_count;
    ret_beginning->has_help_desk = scenario->has_help_desk;
    ret_beginning->is_encrypted = scenario->is_encrypted;
    ret_beginning->checkpoint_rows = scenario->checkpoint_rows;
    ret_beginning->checkpoint_bytes = scenario->checkpoint_bytes;
    ret_beginning->rescope_every_us = scenario->rescope_every_us;
    ret_beginning->departure_keep_us = scenario->departure_keep_us;
    memcpy(ret_beginning->skew_us, scenario->skew_us, sizeof ret_beginning->skew_us);
}

/* ---- for people ---- */

struct line {
    char *text;
    size_t size;
};

static void put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct line *line, const char *format, ...)
{
    va_list arguments;
    int size = 0;

    va_start(arguments, format);
    size = vsnprintf(line->text + line->size, SCENARIO_TEXT_SIZE - line->size, format, arguments);
    va_end(arguments);
    line->size += (size_t)size;
    if (line->size > SCENARIO_TEXT_SIZE - 1)
        line->size = SCENARIO_TEXT_SIZE - 1;
}

static void put_fault(struct line *line, const struct scenario *scenario, enum fault fault)
{
    const struct scenario_fault *drawn = &scenario->faults[fault];

    if (!scenario_has(scenario, fault))
        return;
    put(line, "; %s", RULES[fault].name);
    if (RULES[fault].often != 0)
        put(line, " %" PRIu64 " ppm", drawn->chance);
    if (drawn->every_us != 0)
        put(line, " every %" PRId64 " s", drawn->every_us / SECONDS(1));
    if (drawn->for_us != 0)
        put(line, " for %" PRId64 " s", drawn->for_us / SECONDS(1));
    for (size_t i = 0; i < scenario->agent_count; i++) {
        if (fault == FAULT_CLOCK_WRONG)
            put(line, " %+" PRId64 " s", scenario->skew_us[i] / SECONDS(1));
        if (fault == FAULT_CLOCK_DRIFT)
            put(line, " %+" PRId64 " ppm", scenario->drift_ppm[i]);
    }
}

void scenario_format(const struct scenario *scenario, char ret_text[SCENARIO_TEXT_SIZE])
{
    struct line line = {.text = ret_text};

    put(&line,
        "company %" PRIu64 "%s: agents %zu, sites %zu, span %" PRId64 " s, an edit every %" PRId64
        " ms, office every %" PRId64 " ms, latency %" PRId64 " us + %" PRId64 ", %" PRId64
        " bytes/s, jobs %" PRId64 " us, checkpoints after %" PRId64 " rows and %" PRId64
        " bytes, departures kept %" PRId64 " s of every %" PRId64 " s, help desk %d",
        scenario->company, scenario->is_cold ? " founded anew" : "", scenario->agent_count,
        scenario->site_count, scenario->span_us / SECONDS(1), scenario->edit_every_us / 1000,
        scenario->office_every_us / 1000, scenario->latency_us, scenario->jitter_us,
        scenario->bytes_per_second, scenario->job_delay_us, scenario->checkpoint_rows,
        scenario->checkpoint_bytes, scenario->departure_keep_us / SECONDS(1),
        scenario->rescope_every_us / SECONDS(1), (int)scenario->has_help_desk);
    if (scenario->is_encrypted)
        put(&line, ", encrypted");
    for (int i = 0; i < FAULT_COUNT; i++)
        put_fault(&line, scenario, (enum fault)i);
}

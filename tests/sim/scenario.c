/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/scenario.h"

#include "base/instant.h"

#include <inttypes.h>
#include <stdio.h>

static int64_t between(struct prng *prng, int64_t least, int64_t most)
{
    return least + (int64_t)prng_below(prng, (uint64_t)(most - least) + 1);
}

static bool chance(struct prng *prng, uint64_t percent)
{
    return prng_below(prng, 100) < percent;
}

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

static void add_faults(struct prng *prng, struct scenario *scenario)
{
    if (chance(prng, 60))
        scenario->cut_chance = (uint64_t)between(prng, 1000, 60000);
    if (chance(prng, 30))
        scenario->hole_chance = (uint64_t)between(prng, 500, 8000);
    if (chance(prng, 70)) {
        scenario->offline_every_us = between(prng, SECONDS(40), MINUTES(5));
        scenario->offline_for_us = between(prng, SECONDS(5), MINUTES(3));
    }
    if (chance(prng, 50))
        scenario->agent_crash_every_us = between(prng, SECONDS(40), MINUTES(8));
    if (chance(prng, 40))
        scenario->server_crash_every_us = between(prng, SECONDS(60), MINUTES(8));
    if (chance(prng, 50))
        scenario->poison_chance = (uint64_t)between(prng, 10000, 150000);
    if (chance(prng, 40)) {
        scenario->has_wrong_clocks = true;
        for (size_t i = 0; i < SCENARIO_AGENTS_MAX; i++)
            scenario->skew_us[i] = draw_skew(prng);
    }
}

void scenario_expand(uint64_t seed, size_t agent_count, int64_t span_us, bool has_faults,
                     struct scenario *ret_scenario)
{
    struct prng prng;
    struct scenario scenario = {.seed = seed};

    prng_init(&prng, seed ^ UINT64_C(0x5ce7a710));
    scenario.agent_count = agent_count != 0 ? agent_count : (size_t)between(&prng, 2, 5);
    scenario.site_count = (size_t)between(&prng, 2, 6);
    scenario.span_us = span_us != 0 ? span_us : between(&prng, MINUTES(2), MINUTES(8));
    scenario.edit_every_us = between(&prng, SECONDS(4), SECONDS(40));
    scenario.office_every_us = between(&prng, SECONDS(4), SECONDS(60));
    scenario.latency_us =
        chance(&prng, 70) ? between(&prng, 500, 80000) : between(&prng, 80000, 500000);
    scenario.jitter_us = between(&prng, 0, scenario.latency_us);
    scenario.bytes_per_second =
        chance(&prng, 75) ? between(&prng, 100000, 10000000) : between(&prng, 3000, 100000);
    scenario.job_delay_us =
        chance(&prng, 70) ? between(&prng, 100, 30000) : between(&prng, 30000, 500000);
    scenario.has_help_desk = chance(&prng, 40);
    if (chance(&prng, 40)) {
        scenario.rescope_every_us = between(&prng, SECONDS(5), SECONDS(30));
        scenario.departure_keep_us = between(&prng, SECONDS(10), SECONDS(90));
    }
    if (has_faults)
        add_faults(&prng, &scenario);
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

void scenario_format(const struct scenario *scenario, char ret_text[SCENARIO_TEXT_SIZE])
{
    int size = snprintf(
        ret_text, SCENARIO_TEXT_SIZE,
        "agents %zu, sites %zu, span %" PRId64 " s, an edit every %" PRId64
        " ms, office every %" PRId64 " ms, latency %" PRId64 " us + %" PRId64 ", %" PRId64
        " bytes/s, jobs %" PRId64 " us, cut %" PRIu64 " ppm, half-open %" PRIu64
        " ppm, offline every %" PRId64 " s for %" PRId64 " s, agent crash every %" PRId64
        " s, server crash every %" PRId64 " s, departures kept %" PRId64 " s of every %" PRId64
        " s, poison %" PRIu64 " ppm, help desk %d, clocks",
        scenario->agent_count, scenario->site_count, scenario->span_us / SECONDS(1),
        scenario->edit_every_us / 1000, scenario->office_every_us / 1000, scenario->latency_us,
        scenario->jitter_us, scenario->bytes_per_second, scenario->job_delay_us,
        scenario->cut_chance, scenario->hole_chance, scenario->offline_every_us / SECONDS(1),
        scenario->offline_for_us / SECONDS(1), scenario->agent_crash_every_us / SECONDS(1),
        scenario->server_crash_every_us / SECONDS(1), scenario->departure_keep_us / SECONDS(1),
        scenario->rescope_every_us / SECONDS(1), scenario->poison_chance,
        (int)scenario->has_help_desk);

    if (!scenario->has_wrong_clocks)
        size += snprintf(ret_text + size, SCENARIO_TEXT_SIZE - (size_t)size, " right");
    for (size_t i = 0;
         scenario->has_wrong_clocks && i < scenario->agent_count && size < SCENARIO_TEXT_SIZE - 24;
         i++)
        size += snprintf(ret_text + size, SCENARIO_TEXT_SIZE - (size_t)size, " %+" PRId64 " s",
                         scenario->skew_us[i] / SECONDS(1));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.h: what happens in one run, expanded from a seed and printed when it fails.
 *
 * Times are microseconds, chances are per million. Same seed, same scenario, same run. */
#pragma once

#include "base/prng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCENARIO_AGENTS_MAX = 32, SCENARIO_TEXT_SIZE = 900 };

struct scenario {
    uint64_t seed;
    size_t agent_count;
    size_t site_count;
    int64_t span_us;         /* of the workload, faults on */
    int64_t edit_every_us;   /* of one person, on average */
    int64_t office_every_us; /* changes on the master by plain SQL */
    int64_t latency_us;
    int64_t jitter_us;
    int64_t bytes_per_second;
    int64_t job_delay_us; /* of writer and readers, at most */
    uint64_t cut_chance;  /* a message is the last one of its connection */
    uint64_t hole_chance; /* from this message on the link swallows everything silently */
    int64_t offline_every_us;
    int64_t offline_for_us;
    int64_t agent_crash_every_us; /* of one agent */
    int64_t server_crash_every_us;
    int64_t departure_keep_us; /* the master forgets deletions after that; 0: never */
    int64_t rescope_every_us;  /* the server looks after its subscriptions and departures */
    uint64_t poison_chance;    /* an edit that the server must refuse */
    bool has_help_desk;        /* the first agent sees everything and may move calls */
    bool has_wrong_clocks;
    int64_t skew_us[SCENARIO_AGENTS_MAX];
};

/* agent_count 0: as the seed says. */
void scenario_expand(uint64_t seed, size_t agent_count, int64_t span_us, bool has_faults,
                     struct scenario *ret_scenario);
/* A quiet world for stories: nothing happens by itself. */
void scenario_quiet(uint64_t seed, size_t agent_count, struct scenario *ret_scenario);
void scenario_format(const struct scenario *scenario, char ret_text[SCENARIO_TEXT_SIZE]);

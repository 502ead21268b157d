/* SPDX-License-Identifier: Apache-2.0 */
/* sim: runs seeds until one of them breaks a promise.
 *
 * Each worker is a process that takes every n-th seed. One that dies is replaced, and the seed it
 * died of is reported with the line that repeats it. */
#define _GNU_SOURCE /* mkdtemp, fork, MAP_ANONYMOUS */

#include "tests/sim/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 16, FAILURES_SHOWN_MAX = 20 };

struct command {
    uint64_t first_seed;
    uint64_t seed_count;
    uint64_t workers;
    uint64_t agents;
    uint64_t seconds; /* of workload; 0: as the seed says */
    bool is_traced;
    bool has_faults;
    bool is_twice;
    bool is_verbose;
};

struct totals {
    uint64_t seeds, checks, commits, edits, office_edits, cuts, holes, agent_crashes,
        server_crashes, lost_acks, repairs;
    int64_t virtual_us;
};

/* Shared between the workers. */
struct board {
    uint64_t seed[WORKERS_MAX]; /* each worker's, 0: none */
    uint64_t seeds_done[WORKERS_MAX];
    struct totals totals[WORKERS_MAX];
};

static const char HELP[] =
    "usage: sim [--seed S | --seeds N [--first S]] [--agents N] [--seconds N] [--no-faults]\n"
    "           [--trace] [--twice] [--jobs N] [--verbose]\n"
    "\n"
    "  --seed S      one run; --trace tells its story\n"
    "  --seeds N     N runs from seed 1, or from --first\n"
    "  --agents N    so many devices; otherwise 2 to 5, as the seed says\n"
    "  --seconds N   so long a workload; otherwise 2 to 8 minutes of virtual time\n"
    "  --no-faults   the network and all machines stay up\n"
    "  --twice       each seed twice: both runs must tell the same story\n"
    "  --jobs N      worker processes, 2 if not said\n";

static bool take_number(int count, char **words, int *at, uint64_t *ret_number)
{
    char *end = NULL;

    if (*at + 1 >= count)
        return false;
    errno = 0;
    *ret_number = strtoull(words[++*at], &end, 10);
    return errno == 0 && end != words[*at] && *end == '\0';
}

static bool parse(int count, char **words, struct command *command)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--trace") == 0) {
            command->is_traced = true;
        } else if (strcmp(words[i], "--no-faults") == 0) {
            command->has_faults = false;
        } else if (strcmp(words[i], "--twice") == 0) {
            command->is_twice = true;
        } else if (strcmp(words[i], "--verbose") == 0) {
            command->is_verbose = true;
        } else if (strcmp(words[i], "--seed") == 0) {
            command->seed_count = 1;
            if (!take_number(count, words, &i, &command->first_seed))
                return false;
        } else {
            uint64_t *number = strcmp(words[i], "--seeds") == 0     ? &command->seed_count
                               : strcmp(words[i], "--first") == 0   ? &command->first_seed
                               : strcmp(words[i], "--agents") == 0  ? &command->agents
                               : strcmp(words[i], "--seconds") == 0 ? &command->seconds
                               : strcmp(words[i], "--rounds") == 0  ? &command->seconds
                               : strcmp(words[i], "--jobs") == 0    ? &command->workers
                                                                    : NULL;

            if (number == NULL || !take_number(count, words, &i, number))
                return false;
        }
    }
    return command->agents <= SCENARIO_AGENTS_MAX && command->workers >= 1 &&
           command->workers <= WORKERS_MAX;
}

/* One whole life of a world; returns the hash of its story. */
static uint64_t run_seed(const struct command *command, uint64_t seed, const char *folder,
                         struct totals *totals)
{
    struct scenario scenario;
    struct world *world = NULL;
    char text[SCENARIO_TEXT_SIZE];
    uint64_t hash = 0;

    scenario_expand(seed, (size_t)command->agents, SECONDS((int64_t)command->seconds),
                    command->has_faults, &scenario);
    if (command->is_traced) {
        scenario_format(&scenario, text);
        (void)printf("seed %" PRIu64 ": %s\n", seed, text);
    }
    world = world_create(&scenario, folder, command->is_traced, NULL);
    world_pass(world, scenario.span_us);
    world_settle(world);
    check_end(world);
    totals->seeds++;
    totals->virtual_us += world->now_us;
    totals->commits += world->history.commit_count;
    totals->edits += world->counts.edits;
    totals->office_edits += world->counts.office_edits;
    totals->cuts += world->counts.cuts;
    totals->holes += world->counts.holes;
    totals->agent_crashes += world->counts.agent_crashes;
    totals->server_crashes += world->counts.server_crashes;
    totals->lost_acks += world->counts.lost_acks;
    for (size_t i = 0; i < scenario.agent_count; i++)
        totals->checks += world->agents[i].check_count;
    hash = world->trace_hash;
    world_destroy(world);
    return hash;
}

static void work(const struct command *command, uint64_t worker, const char *folder,
                 struct board *board)
{
    for (uint64_t i = worker + board->seeds_done[worker] * command->workers;
         i < command->seed_count; i += command->workers) {
        uint64_t seed = command->first_seed + i;
        uint64_t hash = 0;

        board->seed[worker] = seed;
        hash = run_seed(command, seed, folder, &board->totals[worker]);
        if (command->is_twice && run_seed(command, seed, folder, &board->totals[worker]) != hash) {
            (void)fprintf(stderr, "\nFAILED: two runs of seed %" PRIu64 " differ\n", seed);
            _exit(1);
        }
        if (command->is_verbose)
            (void)printf("seed %" PRIu64 " is fine\n", seed);
        board->seeds_done[worker]++;
    }
    (void)fflush(stdout);
    _exit(0);
}

static pid_t start_worker(const struct command *command, uint64_t worker, const char *folder,
                          struct board *board)
{
    pid_t pid = 0;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0)
        work(command, worker, folder, board);
    return pid;
}

static void report(const struct command *command, uint64_t seed, int status)
{
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "\nFAILED: seed %" PRIu64 " ended by signal %d\n", seed,
                      WTERMSIG(status));
    (void)fprintf(stderr, "again: sim --seed %" PRIu64, seed);
    if (command->agents != 0)
        (void)fprintf(stderr, " --agents %" PRIu64, command->agents);
    if (command->seconds != 0)
        (void)fprintf(stderr, " --seconds %" PRIu64, command->seconds);
    (void)fprintf(stderr, "%s --trace\n", command->has_faults ? "" : " --no-faults");
}

static uint64_t run_all(const struct command *command, const char *folder, struct board *board)
{
    pid_t pids[WORKERS_MAX] = {0};
    uint64_t running = 0;
    uint64_t failed = 0;

    for (uint64_t i = 0; i < command->workers; i++, running++)
        pids[i] = start_worker(command, i, folder, board);
    while (running != 0) {
        int status = 0;
        pid_t pid = wait(&status);

        if (pid < 0)
            break;
        for (uint64_t i = 0; i < command->workers; i++) {
            if (pids[i] != pid)
                continue;
            running--;
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                continue;
            report(command, board->seed[i], status);
            board->seeds_done[i]++; /* go on behind it */
            if (++failed < FAILURES_SHOWN_MAX) {
                pids[i] = start_worker(command, i, folder, board);
                running++;
            }
        }
    }
    return failed;
}

static void print_totals(const struct command *command, const struct board *board, uint64_t failed)
{
    struct totals sum = {0};

    for (uint64_t i = 0; i < command->workers; i++) {
        const struct totals *totals = &board->totals[i];

        sum.seeds += totals->seeds;
        sum.checks += totals->checks;
        sum.commits += totals->commits;
        sum.edits += totals->edits;
        sum.office_edits += totals->office_edits;
        sum.cuts += totals->cuts;
        sum.holes += totals->holes;
        sum.agent_crashes += totals->agent_crashes;
        sum.server_crashes += totals->server_crashes;
        sum.lost_acks += totals->lost_acks;
        sum.virtual_us += totals->virtual_us;
    }
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " failed; %" PRId64
                 " minutes of virtual time, %" PRIu64 " commits, %" PRIu64
                 " states of replicas checked, %" PRIu64 " transactions on devices, %" PRIu64
                 " in the office, %" PRIu64 " cuts, %" PRIu64 " half-open links, %" PRIu64
                 " device crashes, %" PRIu64 " server crashes (%" PRIu64
                 " between commit and answer)\n",
                 sum.seeds, failed, sum.virtual_us / MINUTES(1), sum.commits, sum.checks, sum.edits,
                 sum.office_edits, sum.cuts, sum.holes, sum.agent_crashes, sum.server_crashes,
                 sum.lost_acks);
}

int main(int count, char **words)
{
    struct command command = {.first_seed = 1, .seed_count = 20, .workers = 2, .has_faults = true};
    char folder[] = "/dev/shm/fieldsync-sim-XXXXXX";
    char remove_command[80];
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t failed = 0;

    if (!parse(count, words, &command)) {
        (void)fputs(HELP, stderr);
        return 2;
    }
    if (board == MAP_FAILED || mkdtemp(folder) == NULL) {
        (void)fprintf(stderr, "sim: no memory or no folder in /dev/shm\n");
        return 2;
    }
    if (command.seed_count == 1)
        command.workers = 1;
    world_prepare(folder);
    failed = run_all(&command, folder, board);
    print_totals(&command, board, failed);
    (void)snprintf(remove_command, sizeof remove_command, "rm -rf %s", folder);
    if (system(remove_command) != 0)
        (void)fprintf(stderr, "sim: %s stays\n", folder);
    return failed == 0 ? 0 : 1;
}

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
    uint64_t without; /* bit by kind of fault: off */
    bool is_traced;
    bool is_twice;
    bool is_verbose;
    bool is_minimising;
    bool is_encrypted;
};

struct totals {
    uint64_t seeds, checks, commits, edits, failed_edits, office_edits, reopens, lost_acks;
    uint64_t fired[FAULT_COUNT];       /* times */
    uint64_t fired_seeds[FAULT_COUNT]; /* in so many seeds */
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
    "           [--without KIND]... [--trace] [--twice] [--minimise] [--encrypted] [--jobs N]\n"
    "           [--verbose]\n"
    "\n"
    "  --seed S        one run; --trace tells its story\n"
    "  --seeds N       N runs from seed 1, or from --first\n"
    "  --agents N      so many devices; otherwise 2 to 5, as the seed says\n"
    "  --seconds N     so long a workload; otherwise 2 to 8 minutes of virtual time\n"
    "  --no-faults     nothing goes wrong\n"
    "  --without KIND  this kind of fault stays off, the others are as without this word\n"
    "  --encrypted     all replicas are; otherwise those of a quarter of the seeds\n"
    "  --twice         each seed twice: both runs must tell the same story\n"
    "  --minimise      with --seed: the fewest kinds, devices and seconds that still fail\n"
    "  --jobs N        worker processes, 2 if not said\n"
    "\n"
    "kinds of faults:";

static void print_help(FILE *file)
{
    (void)fputs(HELP, file);
    for (int i = 0; i < FAULT_COUNT; i++)
        (void)fprintf(file, "%s%s", i % 6 == 0 ? "\n  " : ", ", fault_name((enum fault)i));
    (void)fputc('\n', file);
}

static bool take_number(int count, char **words, int *at, uint64_t *ret_number)
{
    char *end = NULL;

    if (*at + 1 >= count)
        return false;
    errno = 0;
    *ret_number = strtoull(words[++*at], &end, 10);
    return errno == 0 && end != words[*at] && *end == '\0';
}

static bool take_kind(int count, char **words, int *at, struct command *command)
{
    enum fault fault = FAULT_COUNT;

    if (*at + 1 >= count || !fault_find(words[++*at], &fault))
        return false;
    command->without |= UINT64_C(1) << fault;
    return true;
}

static bool take_word(int count, char **words, int *at, struct command *command)
{
    const char *word = words[*at];
    const struct {
        const char *word;
        bool *flag;
        uint64_t *number;
    } options[] = {
        {"--trace", &command->is_traced, NULL},
        {"--twice", &command->is_twice, NULL},
        {"--verbose", &command->is_verbose, NULL},
        {"--minimise", &command->is_minimising, NULL},
        {"--seeds", NULL, &command->seed_count},
        {"--first", NULL, &command->first_seed},
        {"--encrypted", &command->is_encrypted, NULL},
        {"--agents", NULL, &command->agents},
        {"--seconds", NULL, &command->seconds},
        {"--jobs", NULL, &command->workers},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(word, options[i].word) != 0)
            continue;
        if (options[i].flag != NULL)
            *options[i].flag = true;
        return options[i].number == NULL || take_number(count, words, at, options[i].number);
    }
    return false;
}

static bool parse(int count, char **words, struct command *command)
{
    for (int i = 1; i < count; i++) {
        bool is_good = true;

        if (strcmp(words[i], "--no-faults") == 0) {
            command->without = UINT64_MAX;
        } else if (strcmp(words[i], "--without") == 0) {
            is_good = take_kind(count, words, &i, command);
        } else if (strcmp(words[i], "--seed") == 0) {
            command->seed_count = 1;
            is_good = take_number(count, words, &i, &command->first_seed);
        } else {
            is_good = take_word(count, words, &i, command);
        }
        if (!is_good)
            return false;
    }
    return command->agents <= SCENARIO_AGENTS_MAX && command->workers >= 1 &&
           command->workers <= WORKERS_MAX && (!command->is_minimising || command->seed_count == 1);
}

static void expand(const struct command *command, uint64_t seed, struct scenario *ret_scenario)
{
    const struct scenario_options options = {
        .seed = seed,
        .agent_count = (size_t)command->agents,
        .span_us = SECONDS((int64_t)command->seconds),
        .without = command->without,
        .is_encrypted = command->is_encrypted,
    };

    scenario_expand(&options, ret_scenario);
}

static void add_counts(const struct world *world, struct totals *totals)
{
    totals->seeds++;
    totals->virtual_us += world->now_us;
    totals->commits += world->history.commit_count;
    totals->edits += world->counts.edits;
    totals->failed_edits += world->counts.failed_edits;
    totals->office_edits += world->counts.office_edits;
    totals->reopens += world->counts.reopens;
    totals->lost_acks += world->counts.lost_acks;
    for (int i = 0; i < FAULT_COUNT; i++) {
        totals->fired[i] += world->counts.fired[i];
        totals->fired_seeds[i] += world->counts.fired[i] != 0 ? 1 : 0;
    }
    for (size_t i = 0; i < world->scenario.agent_count; i++)
        totals->checks += world->agents[i].check_count;
}

static bool has_wrong_clocks(const struct scenario *scenario)
{
    return scenario_has(scenario, FAULT_CLOCK_WRONG) || scenario_has(scenario, FAULT_CLOCK_JUMP) ||
           scenario_has(scenario, FAULT_CLOCK_DRIFT) || scenario_has(scenario, FAULT_SERVER_CLOCK);
}

/* One whole life of a world; returns the hash of its story. */
static uint64_t run_seed(const struct command *command, uint64_t seed, const char *folder,
                         struct totals *totals)
{
    struct scenario scenario;
    struct world *world = NULL;
    char text[SCENARIO_TEXT_SIZE];
    uint64_t hash = 0;

    expand(command, seed, &scenario);
    if (command->is_traced) {
        scenario_format(&scenario, text);
        (void)printf("seed %" PRIu64 ": %s\n", seed, text);
    }
    world = world_create(&scenario, folder, command->is_traced, NULL);
    world_pass(world, scenario.span_us);
    world_settle(world);
    world_settle_blobs(world);
    check_end(world);
    if (has_wrong_clocks(&scenario)) {
        people_change_in_turn(world);
        check_end(world);
    }
    add_counts(world, totals);
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

/* What repeats a run, without the seed. */
static void print_options(FILE *file, const struct command *command)
{
    if (command->agents != 0)
        (void)fprintf(file, " --agents %" PRIu64, command->agents);
    if (command->seconds != 0)
        (void)fprintf(file, " --seconds %" PRIu64, command->seconds);
    if (command->is_encrypted)
        (void)fprintf(file, " --encrypted");
    if (command->without == UINT64_MAX)
        (void)fputs(" --no-faults", file);
    for (int i = 0; command->without != UINT64_MAX && i < FAULT_COUNT; i++)
        if ((command->without >> i & 1) != 0)
            (void)fprintf(file, " --without %s", fault_name((enum fault)i));
}

static void report(const struct command *command, uint64_t seed, int status)
{
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "\nFAILED: seed %" PRIu64 " ended by signal %d\n", seed,
                      WTERMSIG(status));
    (void)fprintf(stderr, "again: sim --seed %" PRIu64, seed);
    print_options(stderr, command);
    (void)fprintf(stderr, " --trace\n");
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

static void sum_up(const struct totals *totals, struct totals *sum)
{
    sum->seeds += totals->seeds;
    sum->checks += totals->checks;
    sum->commits += totals->commits;
    sum->edits += totals->edits;
    sum->failed_edits += totals->failed_edits;
    sum->office_edits += totals->office_edits;
    sum->reopens += totals->reopens;
    sum->lost_acks += totals->lost_acks;
    sum->virtual_us += totals->virtual_us;
    for (int i = 0; i < FAULT_COUNT; i++) {
        sum->fired[i] += totals->fired[i];
        sum->fired_seeds[i] += totals->fired_seeds[i];
    }
}

static void print_totals(const struct command *command, const struct board *board, uint64_t failed)
{
    struct totals sum = {0};

    for (uint64_t i = 0; i < command->workers; i++)
        sum_up(&board->totals[i], &sum);
    for (int i = 0; i < FAULT_COUNT; i++)
        (void)printf("%-18s fired %6" PRIu64 " times in %4" PRIu64 " seeds (%.1f %%)\n",
                     fault_name((enum fault)i), sum.fired[i], sum.fired_seeds[i],
                     sum.seeds == 0 ? 0.0 : 100.0 * (double)sum.fired_seeds[i] / (double)sum.seeds);
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " failed; %" PRId64
                 " minutes of virtual time, %" PRIu64 " commits, %" PRIu64
                 " states of replicas checked, %" PRIu64 " transactions on devices, %" PRIu64
                 " more failed there, %" PRIu64 " in the office, %" PRIu64
                 " processes ended by their disk, %" PRIu64 " servers between commit and answer\n",
                 sum.seeds, failed, sum.virtual_us / MINUTES(1), sum.commits, sum.checks, sum.edits,
                 sum.failed_edits, sum.office_edits, sum.reopens, sum.lost_acks);
}

/* ---- the smallest run that still fails ---- */

static bool fails(const struct command *command, const char *folder)
{
    struct totals totals = {0};
    int status = 0;
    pid_t pid = 0;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(0);
        (void)run_seed(command, command->first_seed, folder, &totals);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status != 0;
}

static bool try_it(struct command *command, const struct command *smaller, const char *folder)
{
    if (!fails(smaller, folder))
        return false;
    *command = *smaller;
    (void)fputs("still fails:", stdout);
    print_options(stdout, command);
    (void)fputc('\n', stdout);
    return true;
}

static void drop_kinds(struct command *command, const char *folder)
{
    struct scenario scenario;

    expand(command, command->first_seed, &scenario);
    for (int i = 0; i < FAULT_COUNT; i++) {
        struct command smaller = *command;

        if (!scenario_has(&scenario, (enum fault)i))
            continue;
        smaller.without |= UINT64_C(1) << i;
        (void)try_it(command, &smaller, folder);
    }
}

static void drop_agents(struct command *command, const char *folder)
{
    struct scenario scenario;

    expand(command, command->first_seed, &scenario);
    for (size_t count = 1; count < scenario.agent_count; count++) {
        struct command smaller = *command;

        smaller.agents = count;
        if (try_it(command, &smaller, folder))
            return;
    }
}

/* Half of the time as often as it goes, then quarters of it. */
static void drop_seconds(struct command *command, const char *folder)
{
    struct scenario scenario;

    expand(command, command->first_seed, &scenario);
    for (uint64_t part = 2; part <= 8; part *= 2) {
        struct command smaller = *command;
        uint64_t seconds = (uint64_t)(scenario.span_us / SECONDS(1));

        do {
            seconds -= seconds / part;
            smaller.seconds = seconds;
        } while (seconds > part && try_it(command, &smaller, folder));
        expand(command, command->first_seed, &scenario);
    }
}

static int minimise(struct command *command, const char *folder)
{
    if (!fails(command, folder)) {
        (void)printf("seed %" PRIu64 " doesn't fail: there is nothing to minimise\n",
                     command->first_seed);
        return 0;
    }
    for (int round = 0; round < 2; round++) {
        drop_kinds(command, folder);
        drop_agents(command, folder);
        drop_seconds(command, folder);
    }
    (void)printf("smallest: sim --seed %" PRIu64, command->first_seed);
    print_options(stdout, command);
    (void)fputs(" --trace\n", stdout);
    return 1;
}

int main(int count, char **words)
{
    struct command command = {.first_seed = 1, .seed_count = 20, .workers = 2};
    char folder[] = "/dev/shm/fieldsync-sim-XXXXXX";
    char remove_command[80];
    struct board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t failed = 0;

    if (!parse(count, words, &command)) {
        print_help(stderr);
        return 2;
    }
    if (board == MAP_FAILED || mkdtemp(folder) == NULL) {
        (void)fprintf(stderr, "sim: no memory or no folder in /dev/shm\n");
        return 2;
    }
    if (command.seed_count == 1)
        command.workers = 1;
    world_prepare(folder);
    if (command.is_minimising) {
        failed = (uint64_t)minimise(&command, folder);
    } else {
        failed = run_all(&command, folder, board);
        print_totals(&command, board, failed);
    }
    (void)snprintf(remove_command, sizeof remove_command, "rm -rf %s", folder);
    if (system(remove_command) != 0)
        (void)fprintf(stderr, "sim: %s stays\n", folder);
    return failed == 0 ? 0 : 1;
}

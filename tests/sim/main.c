/* SPDX-License-Identifier: Apache-2.0 */
/* sim: runs seeds until one of them breaks a promise.
 *
 * Each worker is a process that takes every n-th company. A company is founded once, in a process
 * of its own, and each seed of it is a copy of that process; the seed that one died of is reported
 * with the line that repeats it. */
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

/* Shared between the processes. */
struct board {
    uint64_t hash[WORKERS_MAX]; /* of the last story */
    uint64_t failed[WORKERS_MAX];
    struct totals totals[WORKERS_MAX];
};

/* What a worker's processes are told. */
struct task {
    const struct command *command;
    const char *folder;
    struct board *board;
    uint64_t worker;
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

/* The beginning of a company, where nothing has gone wrong yet. */
static struct world *found(const struct command *command, const struct scenario *scenario,
                           const char *folder)
{
    struct scenario quiet;

    scenario_found(scenario, &quiet);
    return world_found(&quiet, folder, command->is_traced, NULL);
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

static void report(const struct task *task, uint64_t seed, int status)
{
    if (WIFSIGNALED(status))
        (void)fprintf(stderr, "\nFAILED: seed %" PRIu64 " ended by signal %d\n", seed,
                      WTERMSIG(status));
    (void)fprintf(stderr, "again: sim --seed %" PRIu64, seed);
    print_options(stderr, task->command);
    (void)fprintf(stderr, " --trace\n");
    task->board->failed[task->worker]++;
}

/* One whole life of a world, which is NULL if it has yet to be founded; returns the hash of its
 * story. */
static uint64_t live(const struct command *command, const struct scenario *scenario,
                     struct world *world, const char *folder, struct totals *totals)
{
    char text[SCENARIO_TEXT_SIZE];
    uint64_t hash = 0;

    if (command->is_traced) {
        scenario_format(scenario, text);
        (void)printf("seed %" PRIu64 ": %s\n", scenario->seed, text);
    }
    if (world == NULL)
        world = world_create(scenario, folder, command->is_traced, NULL);
    else
        world_live(world, scenario, command->is_traced);
    world_pass(world, scenario->span_us);
    world_settle(world);
    world_settle_blobs(world);
    check_end(world);
    if (has_wrong_clocks(scenario)) {
        people_change_in_turn(world);
        check_end(world);
    }
    add_counts(world, totals);
    hash = world->trace_hash;
    if (scenario->is_cold)
        world_destroy(world);
    else /* to free what came from the other process would copy it first */
        world_leave(world);
    return hash;
}

/* In a copy of this process; false: it failed. */
static bool live_apart(const struct task *task, const struct scenario *scenario,
                       struct world *world)
{
    struct board *board = task->board;
    int status = 0;
    pid_t pid = 0;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        board->hash[task->worker] =
            live(task->command, scenario, world, task->folder, &board->totals[task->worker]);
        (void)fflush(stdout);
        _exit(0);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
        return true;
    report(task, scenario->seed, status);
    return false;
}

static void run_seed(const struct task *task, const struct scenario *scenario, struct world *world)
{
    uint64_t hash = 0;
    bool is_fine = live_apart(task, scenario, world);

    hash = task->board->hash[task->worker];
    if (is_fine && task->command->is_twice)
        is_fine = live_apart(task, scenario, world);
    if (is_fine && task->board->hash[task->worker] != hash) {
        (void)fprintf(stderr, "\nFAILED: two runs of seed %" PRIu64 " differ\n", scenario->seed);
        report(task, scenario->seed, 0);
        return;
    }
    if (is_fine && task->command->is_verbose)
        (void)printf("seed %" PRIu64 " is fine\n", scenario->seed);
}

/* First those that found it anew, then those that go on with the same beginning. */
static void run_company(const struct task *task, uint64_t company)
{
    const struct command *command = task->command;
    struct world *world = NULL;

    for (int is_cold = 1; is_cold >= 0; is_cold--)
        for (uint64_t i = 0; i < command->seed_count; i++) {
            uint64_t seed = command->first_seed + i;
            struct scenario scenario;

            if (seed % SCENARIO_COMPANIES != company ||
                task->board->failed[task->worker] >= FAILURES_SHOWN_MAX)
                continue;
            expand(command, seed, &scenario);
            if (scenario.is_cold != (is_cold == 1))
                continue;
            if (is_cold == 0 && world == NULL)
                world = found(command, &scenario, task->folder);
            run_seed(task, &scenario, world);
        }
    if (world != NULL)
        world_leave(world);
    _exit(0);
}

static void work(const struct task *task)
{
    for (uint64_t company = task->worker; company < SCENARIO_COMPANIES;
         company += task->command->workers) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
            run_company(task, company);
        if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
            continue;
        (void)fprintf(stderr, "\nFAILED: company %" PRIu64 " can't be founded\n", company);
        for (uint64_t i = 0; i < task->command->seed_count; i++)
            if ((task->command->first_seed + i) % SCENARIO_COMPANIES == company) {
                report(task, task->command->first_seed + i, status);
                break;
            }
    }
    (void)fflush(stdout);
    _exit(0);
}

static uint64_t run_all(const struct command *command, const char *folder, struct board *board)
{
    uint64_t failed = 0;

    (void)fflush(stdout);
    for (uint64_t i = 0; i < command->workers; i++) {
        const struct task task = {command, folder, board, i};

        if (fork() == 0)
            work(&task);
    }
    while (wait(NULL) > 0)
        ;
    for (uint64_t i = 0; i < command->workers; i++)
        failed += board->failed[i];
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
    struct scenario scenario;
    struct totals totals = {0};
    int status = 0;
    pid_t pid = 0;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(0);
        expand(command, command->first_seed, &scenario);
        (void)live(command, &scenario, scenario.is_cold ? NULL : found(command, &scenario, folder),
                   folder, &totals);
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

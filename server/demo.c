/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "server/demo.h"

#include "edge/entropy.h"
#include "embedded_files.h"
#include "schema/sql.h"
#include "server/core/devices.h"
#include "server/service/call.h"
#include "server/service/people.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ROLES_MAX = 2, REMOVE_TRIES_MAX = 3, DESCRIPTORS_MAX = 16, TEXT_PART_SIZE = 32 * 1024 };

#define CODE_LIFE_US HOURS(1)

struct demo_person {
    const char *login;
    const char *name;
    const char *roles[ROLES_MAX]; /* NULL: no more */
    const char *work;             /* what it is about, for the reader */
    int64_t van_id;               /* 0: none */
};

/* The ids of vans, customers and sites are those of schema/demo/demo_data.sql. */
static const struct demo_person PEOPLE[] = {
    {"mario", "Mario Conti", {"technician"}, "technician with van 1", 1902},
    {"luca", "Luca Ferri", {"technician"}, "technician with van 2", 1903},
    {"sara", "Sara Neri", {"technician"}, "technician without a van", 0},
    {"anna", "Anna Bassi", {"dispatcher", "help_desk"}, "dispatcher and help desk", 0},
    {"walter", "Walter Pini", {"warehouse"}, "warehouse", 0},
};
enum { PERSON_COUNT = sizeof PEOPLE / sizeof *PEOPLE };

#define OPENED_BY "anna"

struct demo_call {
    const char *subject;
    const char *caller;
    int64_t party_id;
    int64_t site_id;
    int64_t priority_n;
    const char *login; /* who goes; NULL: nobody yet */
    int64_t in_us;     /* from now */
};

static const struct demo_call CALLS[] = {
    {"Cold room alarm E4, dough is getting warm", "Carla Bellini", 1101, 1201, 1, "mario",
     HOURS(1)},
    {"Cell 4 ices up, fan noisy", "Tom Harding", 1102, 1203, 2, "mario", HOURS(4)},
    {"Boiler goes off at night", "Ufficio tecnico", 1104, 1206, 3, "luca", HOURS(2)},
    {"Door seal torn", "Sofia Marchetti", 1105, 1208, 4, NULL, 0},
};
enum { CALL_COUNT = sizeof CALLS / sizeof *CALLS };

/* ---- the folder ---- */

static enum result make_temporary(char ret_folder[FILES_PATH_SIZE], struct problem *problem)
{
    const char *parent = getenv("TMPDIR");
    enum result result;

    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    result = files_join(parent, "fieldsync-demo-XXXXXX", ret_folder, problem);
    if (result == RESULT_OK && mkdtemp(ret_folder) == NULL)
        result =
            problem_set(problem, RESULT_REFUSED, "no folder under %s: %s", parent, strerror(errno));
    return result;
}

enum result demo_make_folder(const char *wanted, char ret_folder[FILES_PATH_SIZE],
                             struct problem *problem)
{
    size_t size;

    if (wanted == NULL)
        return make_temporary(ret_folder, problem);
    size = strlen(wanted) + 1;
    if (size > FILES_PATH_SIZE)
        return problem_set(problem, RESULT_REFUSED, "the data folder's path is too long");
    if (mkdir(wanted, 0700) != 0) {
        int error = errno;

        return problem_set(problem, RESULT_REFUSED, "%s: %s%s", wanted, strerror(error),
                           error == EEXIST
                               ? "; the demo begins in a new folder: name another one, or go on "
                                 "with this one by `fieldsync-server serve --data`"
                               : "");
    }
    memcpy(ret_folder, wanted, size);
    return RESULT_OK;
}

static int remove_one(const char *path, const struct stat *file, int kind, struct FTW *place)
{
    (void)file;
    (void)kind;
    (void)place;
    (void)!remove(path); /* what stays makes its folder stay, and that is reported */
    return 0;
}

/* More than once: an agent that still runs in there may write a file in between. */
enum result demo_remove_folder(const char *folder, struct problem *problem)
{
    struct stat file;

    for (int i = 0; i < REMOVE_TRIES_MAX; i++) {
        (void)!nftw(folder, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        if (lstat(folder, &file) != 0 && errno == ENOENT)
            return RESULT_OK;
    }
    return problem_set(problem, RESULT_REFUSED, "%s could not be removed", folder);
}

/* ---- what is in it ---- */

static enum result add_people(struct work *work, void *context, struct problem *problem)
{
    enum result result = RESULT_OK;

    (void)context;
    for (size_t i = 0; i < PERSON_COUNT && result == RESULT_OK; i++) {
        const struct demo_person *demo = &PEOPLE[i];
        const struct person person = {.login = demo->login, .name = demo->name};
        int64_t user_id = 0;

        result = people_add(work, &person, &user_id, problem);
        for (size_t j = 0; j < ROLES_MAX && demo->roles[j] != NULL && result == RESULT_OK; j++)
            result = people_grant(work, user_id, demo->roles[j], "", problem);
    }
    return result;
}

static enum result load_data(const struct setup *setup, struct problem *problem)
{
    const struct sql_options options = {.path = setup->database, .profile = SQL_PROFILE_SERVER};
    struct sql_transaction transaction = {0};
    struct sql_database *database = NULL;
    enum result result = sql_open(&options, &database, problem);

    if (result == RESULT_OK)
        result = sql_begin(&transaction, database, SQL_IMMEDIATE, problem);
    for (size_t i = 0; i < EMBEDDED_DEMO_COUNT && result == RESULT_OK; i++) {
        result = sql_exec(database, (const char *)EMBEDDED_DEMO[i].data, problem);
        if (result != RESULT_OK)
            problem_add(problem, "%s", EMBEDDED_DEMO[i].name);
    }
    if (result == RESULT_OK)
        result = sql_commit(&transaction, problem);
    sql_end(&transaction);
    sql_close(database);
    return result;
}

static enum result assign(struct work *work, const struct demo_call *demo, int64_t call_id,
                          int64_t by_id, struct problem *problem)
{
    const int64_t now_us = work_now(work).us;
    struct call_assignment assignment = {
        .call_id = call_id,
        .start_at = now_us - now_us % MINUTES(15) + demo->in_us,
        .by_id = by_id,
    };
    int64_t activity_id = 0;
    enum result result = people_find(work, demo->login, &assignment.technician_id, problem);

    return result == RESULT_OK ? call_assign(work, &assignment, &activity_id, problem) : result;
}

static enum result open_calls(struct work *work, void *context, struct problem *problem)
{
    int64_t by_id = 0;
    enum result result = people_find(work, OPENED_BY, &by_id, problem);

    (void)context;
    for (size_t i = 0; i < CALL_COUNT && result == RESULT_OK; i++) {
        const struct demo_call *demo = &CALLS[i];
        const struct call_order order = {
            .party_id = demo->party_id,
            .site_id = demo->site_id,
            .subject = demo->subject,
            .caller = demo->caller,
            .priority_n = demo->priority_n,
            .by_id = by_id,
        };
        int64_t call_id = 0;

        result = call_open(work, &order, &call_id, problem);
        if (result == RESULT_OK && demo->login != NULL)
            result = assign(work, demo, call_id, by_id, problem);
    }
    return result;
}

enum result demo_fill(struct setup *setup, struct wall_time now, struct problem *problem)
{
    struct master_outcome outcome = {0};
    struct master *master = NULL;
    enum result result = setup_open_master(setup, false, NULL, &master, problem);

    if (result == RESULT_OK)
        result = master_run(master, now, add_people, NULL, &outcome, problem);
    if (result == RESULT_OK)
        result = load_data(setup, problem);
    if (result == RESULT_OK) /* adopts the data first */
        result = master_run(master, now, open_calls, NULL, &outcome, problem);
    master_destroy(master);
    if (result != RESULT_OK)
        problem_add(problem, "the data of the demo");
    return result;
}

/* ---- codes ---- */

struct letter {
    const struct demo_invitation *invitation;
    const struct setup *setup;
    struct buffer *text;
    char agent[FILES_PATH_SIZE]; /* the program to call */
};

static enum result say(struct letter *letter, struct problem *problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum result say(struct letter *letter, struct problem *problem, const char *format, ...)
{
    char text[TEXT_PART_SIZE];
    va_list arguments;
    int size;

    va_start(arguments, format);
    size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof text)
        return problem_set(problem, RESULT_EXHAUSTED, "a text of %d bytes", size);
    return buffer_append(letter->text, text, (size_t)size, problem);
}

static enum result invite(struct work *work, struct letter *letter, const struct demo_person *demo,
                          struct problem *problem)
{
    const struct demo_invitation *invitation = letter->invitation;
    const struct wall_time expires_at = {invitation->now.us + CODE_LIFE_US};
    uint8_t seed[DEVICES_CODE_SEED_SIZE];
    int64_t user_id = 0;
    enum result result = people_find(work, demo->login, &user_id, problem);

    entropy_fill(seed, sizeof seed);
    if (result == RESULT_OK)
        result = devices_create_code(work, user_id, demo->van_id, seed, expires_at, problem);
    if (result == RESULT_OK)
        result = say(letter, problem, "\n  %s: %s, %s\n    %s enrol ", demo->login, demo->name,
                     demo->work, letter->agent);
    if (result == RESULT_OK)
        result =
            invitation->host->encode_code(invitation->host->context, seed, letter->text, problem);
    if (result == RESULT_OK)
        result = say(letter, problem, " --data %s/device-%s\n", letter->setup->folder, demo->login);
    identity_wipe(seed, sizeof seed);
    return result;
}

static enum result invite_all(struct work *work, void *context, struct problem *problem)
{
    enum result result = RESULT_OK;

    for (size_t i = 0; i < PERSON_COUNT && result == RESULT_OK; i++)
        result = invite(work, context, &PEOPLE[i], problem);
    return result;
}

/* Beside this program, as it was called: what is found by its name finds the agent by its name. */
static enum result name_agent(struct letter *letter, struct problem *problem)
{
    const char *program = letter->invitation->program;
    const char *slash = strrchr(program, '/');
    int folder_size = slash == NULL ? 0 : (int)(slash + 1 - program);
    int size =
        snprintf(letter->agent, sizeof letter->agent, "%.*sfieldsync-agent", folder_size, program);

    if (size < 0 || (size_t)size >= sizeof letter->agent)
        return problem_set(problem, RESULT_REFUSED, "the program's path is too long");
    return RESULT_OK;
}

static enum result say_what_next(struct letter *letter, struct problem *problem)
{
    static const char FIRST[] = "\n"
                                "then, for instance:\n"
                                "    %s run --data %s/device-mario\n"
                                "    %s activity list --data %s/device-mario\n"
                                "    %s call list --data %s\n";
    const char *folder = letter->setup->folder;
    const char *program = letter->invitation->program;
    enum result result =
        say(letter, problem, FIRST, letter->agent, folder, letter->agent, folder, program, folder);

    if (result != RESULT_OK)
        return result;
    if (!letter->invitation->is_kept)
        return say(letter, problem, "\nThe folder goes at the end, with the devices in it.\n");
    return say(letter, problem,
               "\nThe folder stays; to go on with it later:\n"
               "    %s serve --data %s --listen-port %u\n",
               program, folder, letter->invitation->port);
}

enum result demo_invite(struct setup *setup, const struct demo_invitation *invitation,
                        struct buffer *text, struct problem *problem)
{
    static const char TITLE[] =
        "\n"
        "A made-up company with customers, machines, parts, two vans and four calls. Each of "
        "these\n"
        "people may enrol one device within an hour, from another terminal:\n";
    struct letter letter = {.invitation = invitation, .setup = setup, .text = text};
    struct master_outcome outcome = {0};
    struct master *master = NULL;
    enum result result = name_agent(&letter, problem);

    if (result == RESULT_OK)
        result = say(&letter, problem, "%s", TITLE);
    if (result == RESULT_OK)
        result = setup_open_master(setup, false, NULL, &master, problem);
    if (result == RESULT_OK)
        result = master_run(master, invitation->now, invite_all, &letter, &outcome, problem);
    if (result == RESULT_OK)
        result = say_what_next(&letter, problem);
    master_destroy(master);
    return result;
}

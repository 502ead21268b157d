/* SPDX-License-Identifier: Apache-2.0 */
/* world.h: a server and its devices in one process and one thread, with time, network and crashes
 * of our own making.
 *
 *   events (a heap)  -->  server_step, agent_step, master_write, master_read
 *                    <--  effects: messages on links, jobs, deadlines
 *
 * Nothing waits: time jumps to the next event. Everything that is drawn comes from one seed, so a
 * run can be repeated. The inside is open to the files of tests/sim only. A failure is final:
 * world_fail tells the story so far and doesn't return. */
#pragma once

#include "agent/core/agent.h"
#include "agent/replica/vault.h"
#include "server/core/server.h"

#include "tests/sim/blobs.h"
#include "tests/sim/disk.h"
#include "tests/sim/history.h"
#include "tests/sim/judge.h"
#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"

#include <sqlite3.h>
#include <stdio.h>

enum { WORLD_OFFICE = -1, OFFICE = -1, ANNA = 0, BRUNO, CARLA, DARIO };

/* ---- small things that all files use (tools.c) ---- */

struct sim_text {
    char *text;
    size_t size, room;
};
void sim_text_add(struct sim_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *sim_zero(size_t size);
void *sim_grow(void *memory, size_t count, size_t size);
char *sim_copy(const char *text); /* NULL gives "" */
/* How replicas are encrypted here; their nonces are drawn from `prng`. */
struct vault_options sim_vault_options(struct prng *prng);
void sim_copy_file(struct world *world, const char *from, const char *to);
bool sim_has_file(const char *path);
/* What a kill leaves of a database: keep it, close everything, put it back. */
void sim_keep_files(struct world *world, const char *path);
void sim_restore_files(struct world *world, const char *path);

sqlite3 *sim_open(struct world *world, const char *path);
sqlite3_stmt *sim_prepare(struct world *world, sqlite3 *database, const char *sql);
void sim_exec(struct world *world, sqlite3 *database, const char *sql);
/* SQLite's code; nothing fails. */
int sim_try(sqlite3 *database, const char *sql);
int64_t sim_integer(struct world *world, sqlite3 *database, const char *sql); /* 0: none */

/* ---- the network ---- */

enum { TO_SERVER = 0, TO_AGENT = 1 };

struct link {
    uint64_t number; /* of the connection, as the server knows it */
    int agent;
    uint64_t agent_life, server_life;
    bool is_up[2];       /* the end that receives in this direction still has it open */
    bool is_accepted;    /* the server has been told of it */
    bool is_cut;         /* nothing gets through, both ends will be told */
    bool is_hole[2];     /* nothing gets through, nobody is told */
    bool is_tainted;     /* a message of its handshake was altered */
    bool has_hung_up[2]; /* this end has closed it by itself */
    int64_t late_us;     /* what is for the server arrives only then; 0: in time */
    int64_t latency_us;
    int64_t last_us[2]; /* arrival of the last message: order is kept */
    int64_t sent_us[2]; /* the sender's queue is empty then */
    struct link *next;
};

/* What somebody on the line has heard. */
struct tape {
    size_t count, room;
    struct heard {
        uint64_t link;
        int direction;
        uint8_t *bytes;
        size_t size;
    } * messages;
};

enum event_kind {
    EVENT_DIAL, /* the connection reaches the server */
    EVENT_FAIL, /* it doesn't */
    EVENT_CONNECTED,
    EVENT_MESSAGE, /* arrives */
    EVENT_DRAINED,
    EVENT_CLOSED,
    EVENT_WRITE, /* the writer begins */
    EVENT_WROTE, /* its results are known to the loop */
    EVENT_READ,
    EVENT_JOB, /* a reader's result is known to the loop */
    EVENT_SERVER_CHANGE,
    EVENT_AGENT_CHANGE,
    EVENT_AGENT_ROTATE,
    EVENT_SERVER_START,
    EVENT_AGENT_START,
    EVENT_EDIT, /* somebody wants to do something */
    EVENT_OFFICE,
    EVENT_AGENT_SYNC, /* somebody asks for it */
    EVENT_FAULT,
    EVENT_FAULT_END,
};

struct world_event {
    int64_t at_us;
    uint64_t order;
    enum event_kind kind;
    int agent;     /* or WORLD_OFFICE */
    uint64_t life; /* of the process it is for */
    uint64_t link;
    int direction;
    uint8_t *bytes;
    size_t size;
    bool is_damaged; /* a message that was never sent like this */
    enum fault fault;
    struct job *job;
};

/* ---- the machines ---- */

struct world_agent {
    char name[16];
    char path[160];
    uint64_t life; /* rises with each start */
    bool is_running;
    bool is_offline;
    bool is_enrolled;
    bool has_failed;   /* its program's transaction, because of the disk */
    bool is_renewing;  /* it has a code for another replica number, and keys for it */
    bool has_old_core; /* the process still has the former keys */
    struct replica *replica;
    struct agent *core;
    struct sim_blobs blobs;
    uint64_t link; /* 0: none */
    uint8_t secret[32];
    uint8_t sign_public[32];
    uint8_t psk[32];
    /* as its files hold them: of a rotation that isn't over, and of the one before */
    bool has_next, has_next_psk, has_previous;
    uint8_t next_secret[32], next_psk[32];
    uint8_t previous_secret[32], previous_psk[32];
    bool is_revoked, is_wiped;
    int64_t key_serial; /* highest of a server that has proven itself */
    uint8_t token_id[16];
    uint8_t token_secret[32];
    int64_t user_id;
    int64_t replica_no;
    int64_t skew_us;
    int64_t stopped_until_us; /* the process stands still, whatever comes */
    int64_t slow_until_us;    /* what comes from the server trickles */
    int64_t slow_rate;        /* bytes a second */
    sqlite3 *locker;          /* of a program that holds the write lock; NULL: none does */
    sqlite3 *database;        /* of the programs on this machine, and of the checks */
    sqlite3_stmt **scans;
    int64_t data_version;
    size_t publish_count;
    size_t check_count;
    size_t alarm_count;
    bool has_new_schema; /* the server's scripts wait for the replica to be opened again */
    struct trace trace;
    struct world *world;
};

struct world_server {
    char path[160];
    uint64_t life;
    bool is_running;
    struct server *core;
    struct master *writer;
    struct master *reader;
    struct sim_blobs blobs;
    struct arena catalog_arena;
    struct catalog catalog;
    struct job **writes; /* waiting */
    size_t write_count, write_room;
    struct job **running; /* executed, not yet told */
    size_t running_count;
    struct master_outcome outcome;
    bool is_writing;
    struct job **reads;
    size_t read_count, read_room;
    bool is_reading;
    sqlite3 *office; /* of other programs on the server */
    uint8_t secret[32];
    uint8_t signature[64];
    uint8_t root_seed[32];
    uint8_t root_public[32];
    int64_t key_serial;
    struct throttle_options throttle;
    int64_t lease_s;
    struct trace trace;
};

struct world_counts {
    size_t edits, office_edits, failed_edits, lost_acks, reopens;
    size_t fired[FAULT_COUNT];
    size_t bytes[2]; /* arrived, by direction */
};

struct world {
    struct scenario scenario;
    struct prng prng;
    struct disk disk;
    struct prng vault_prng; /* of encrypted replicas: their nonces */
    struct vault *vault;    /* how programs on a device open one; NULL: they are ordinary files */
    char folder[128];
    char template_folder[128];
    int64_t now_us;
    int64_t base_us; /* wall clock of the server at 0 */
    int64_t server_skew_us;
    int64_t refused_until_us;            /* no new connections */
    enum fault death[DISK_MACHINES_MAX]; /* how a machine with DISK_DEATH ends */
    struct world_event *events;          /* a heap */
    size_t event_count, event_room;
    uint64_t event_order;
    struct link *links;
    uint64_t link_last;
    bool has_faults;              /* faults are drawn */
    int64_t planned[FAULT_COUNT]; /* a story's: it strikes at the n-th message from now; 0: not */
    struct tape *tape;            /* NULL: nobody listens */
    bool has_workload;            /* people work */
    bool has_rotten;              /* a replica is damaged on purpose: it isn't looked at */
    bool is_story; /* edits are not in the ledger: replicas are checked when they have none */
    struct world_server server;
    struct world_agent *agents;
    struct history history;
    struct ledger ledger;
    struct judge judge;
    struct world_counts counts;
    uint64_t marker_last;
    size_t same_time_count;
    uint64_t trace_hash; /* of all lines so far: two runs of a seed give the same */
    bool is_traced;      /* lines go to stdout at once */
    struct sim_text story;
    size_t story_size_max;
    void (*on_failure)(struct world *world, const char *text);
};

_Noreturn void world_fail(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void world_say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* founding.c */
/* Makes folder/template once for a process and its children: an empty master and replica. */
void world_prepare(const char *folder);
/* A new world in the folder, with its people, sites and devices; all devices are enrolled and have
 * their first snapshot. on_failure may be NULL. */
struct world *world_create(const struct scenario *scenario, const char *folder, bool is_traced,
                           void (*on_failure)(struct world *, const char *));
/* The same in two steps, so that copies of a process can go on with one world: its beginning, in
 * which nothing goes wrong, and then, in a folder of its own, the life that the scenario of the
 * same company tells. */
struct world *world_found(const struct scenario *scenario, const char *folder, bool is_traced,
                          void (*on_failure)(struct world *, const char *));
void world_live(struct world *world, const struct scenario *scenario, bool is_traced);
void world_destroy(struct world *world);
/* Removes its files only: the process ends now. */
void world_leave(struct world *world);

struct wall_time world_wall(struct world *world, int node);
int64_t world_draw(struct world *world, int64_t least, int64_t most);
bool world_chance(struct world *world, uint64_t per_million);
/* Some time around the mean. */
int64_t world_draw_pause(struct world *world, int64_t mean_us);
void world_push(struct world *world, int64_t delay_us, struct world_event event);
/* Some time around the mean from now. */
void world_push_for(struct world *world, enum event_kind kind, int agent, int64_t mean_us);
struct world_event world_pop(struct world *world);
/* Adds how everybody stands. */
void world_describe(struct world *world, struct sim_text *text);
/* Lets the time pass. */
void world_pass(struct world *world, int64_t time_us);
/* Whose clock SQLite shows. */
void world_enter(struct world *world, int node);
/* The same, and the node's disk is in the trouble it has, until world_disarm. */
void world_arm(struct world *world, int node);
void world_disarm(struct world *world);
int world_machine(int node); /* number of its disk */
struct disk_machine *world_disk(struct world *world, int node);
void world_count(struct world *world, enum fault fault);
/* Faults off, all machines on; everything must be delivered within 30 s. */
void world_settle(struct world *world);
bool world_is_settled(struct world *world);
/* True as soon as all that is on its way has arrived, false after `limit_us`. */
bool world_wait(struct world *world, int64_t limit_us);
/* Attachments come after the data and have more time: all that is known of is whole there. */
void world_settle_blobs(struct world *world);

/* network.c */
void network_dial(struct world *world, int agent);
void network_send(struct world *world, struct link *link, int direction, struct bytes bytes);
void network_close(struct world *world, struct link *link, int direction);
void network_cut(struct world *world, struct link *link);
void network_lose_process(struct world *world, int agent); /* WORLD_OFFICE: the server's */
struct link *network_link(struct world *world, uint64_t number);
void network_event(struct world *world, const struct world_event *event);
void network_free(struct world *world);
/* Opens a link that no device is at the other end of, and says on it what was heard before. */
struct link *network_pretend(struct world *world, int agent);
void network_replay(struct world *world, struct link *link, const struct heard *heard);

/* server_node.c */
void server_node_init(struct world *world);
void server_node_start(struct world *world);
void server_node_crash(struct world *world); /* kill -9 */
void server_node_power_cut(struct world *world);
void server_node_stop(struct world *world); /* frees; files stay as they are */
void server_node_event(struct world *world, const struct world_event *event);
void server_node_step(struct world *world, struct server_event *event);
/* Makes an enrolment code for the agent. */
void server_node_invite(struct world *world, struct world_agent *agent);
/* A new key of the server, under the root key; it is used from the next start on. */
void server_node_rotate(struct world *world);
/* Something else wrote to the master's file. */
void server_node_changed(struct world *world);

/* agent_node.c */
void agent_node_init(struct world *world, int agent);
void agent_node_start(struct world *world, int agent);
void agent_node_crash(struct world *world, int agent); /* kill -9 */
void agent_node_power_cut(struct world *world, int agent);
/* Its disk has taken the machine down in the midst of something: the rest of that. */
void agent_node_die(struct world *world, int agent);
/* As a service manager: ends it, starts it again a little later. */
void agent_node_reopen(struct world *world, int agent, const char *why);
void agent_node_stop(struct world *world, int agent);
void agent_node_event(struct world *world, const struct world_event *event);
void agent_node_step(struct world *world, int agent, struct agent_event *event);
void agent_node_changed(struct world *world, int agent);
/* Its program makes new keys, as it does when they are old. */
void agent_node_rotate(struct world *world, int agent);
int64_t agent_node_state(struct world *world, int agent, const char *name); /* of fs_state */

/* faults.c */
void faults_begin(struct world *world);
void faults_event(struct world *world, const struct world_event *event);
void faults_end(struct world *world); /* whatever lasts */
void faults_on_death(void *world, int machine);

/* life.c: disks that are copied or put back, and what an admin says about them */
/* File and log as they are now. */
void life_copy_database(struct world *world, const char *from, const char *to);
void life_keep_image(struct world *world, int agent);
void life_put_image_back(struct world *world, int agent);
/* `to` becomes a copy of `from`, to the last byte; what it was is gone. */
void life_clone(struct world *world, int from, int to);
/* An admin decides about a held replica; copy_no 0: the only one. False: refused. */
bool life_choose(struct world *world, int64_t replica_no, int64_t copy_no);
void life_renew(struct world *world, int agent, struct bytes code);
void life_start_again(struct world *world, int agent);
/* A person enters a new code at a device that the server has forgotten. */
void life_enrol_again(struct world *world, int agent);

/* backups.c: a server that goes back to an older state */
void backups_take(struct world *world);
void backups_restore(struct world *world);

/* people.c, office.c */
void people_edit(struct world *world, int agent);
/* I9: each device, however wrong its clock, changes what it has seen, and its change counts. */
void people_change_in_turn(struct world *world);
void office_fill(struct world *world);
void office_edit(struct world *world);
/* "e17~": a text that occurs nowhere else. */
void world_marker(struct world *world, char kind, char ret_text[32]);

/* books.c */
void check_books(struct world *world);

/* check.c */
void check_replica(struct world *world, int agent);
void check_end(struct world *world);

/* SPDX-License-Identifier: Apache-2.0 */
/* scenario.h: what happens in one run, expanded from a seed and printed when it fails.
 *
 * Times are microseconds, chances are per million. Same seed, same scenario, same run. Each kind of
 * fault is drawn from a sequence of its own: without one kind the others stay as they were. */
#pragma once

#include "base/prng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCENARIO_AGENTS_MAX = 32, SCENARIO_TEXT_SIZE = 2400 };

enum fault {
    /* network, by message */
    FAULT_CUT,       /* a message is the last one of its connection */
    FAULT_HALF_OPEN, /* from this message on the link swallows everything silently */
    FAULT_DUPLICATE, /* a message arrives twice */
    FAULT_CORRUPT,   /* one bit of a message is wrong */
    FAULT_LATE,      /* the device loses the link; what it has sent arrives after its next one */
    /* network, by time */
    FAULT_OFFLINE,
    FAULT_SLOW_READER, /* what the server sends trickles */
    FAULT_REFUSED,     /* the server's machine refuses new connections */
    FAULT_STORM,       /* all links are cut, all devices come back at once */
    /* machines */
    FAULT_STOPPED,            /* a device's process stands still for a while */
    FAULT_DEVICE_KILL,        /* between two steps */
    FAULT_DEVICE_KILL_INSIDE, /* at some call to the file system */
    FAULT_DEVICE_POWER_CUT,   /* the same, and unsynced sectors are lost, torn or garbled */
    FAULT_SERVER_KILL,
    FAULT_SERVER_KILL_INSIDE,
    FAULT_SERVER_POWER_CUT,
    /* disks: of a device or the server, once or for a while */
    FAULT_READ_ERROR,
    FAULT_WRITE_ERROR,
    FAULT_SYNC_ERROR,
    FAULT_DISK_FULL,
    FAULT_SHORT_READ,
    FAULT_FLIPPED_BIT,
    FAULT_SLOW_DISK,
    FAULT_LOCKED, /* another program holds the write lock of a replica */
    /* clocks */
    FAULT_CLOCK_WRONG, /* from the start */
    FAULT_CLOCK_JUMP,
    FAULT_CLOCK_DRIFT,
    FAULT_SERVER_CLOCK, /* the server's jumps */
    /* work */
    FAULT_POISON,     /* an edit that the server must refuse */
    FAULT_BULK,       /* a transaction of thousands of rows */
    FAULT_ATTACHMENT, /* a file beside a row */
    FAULT_COUNT,
};

const char *fault_name(enum fault fault);
bool fault_find(const char *name, enum fault *ret_fault);

struct scenario_fault {
    uint64_t chance;  /* of a message or an edit; 0: never */
    int64_t every_us; /* of one machine, on average; 0: never */
    int64_t for_us;
};

/* So many companies there are: their size, their clocks, and how their programs are set up. Lives
 * of the same one begin with the same world, which is founded once. */
enum { SCENARIO_COMPANIES = 32 };

struct scenario {
    uint64_t seed;
    uint64_t company; /* of SCENARIO_COMPANIES */
    bool is_cold;     /* founded anew, under this life's clocks and network */
    size_t agent_count;
    size_t site_count;
    int64_t span_us;         /* of the workload, faults on */
    int64_t edit_every_us;   /* of one person, on average */
    int64_t office_every_us; /* changes on the master by plain SQL */
    int64_t latency_us;
    int64_t jitter_us;
    int64_t bytes_per_second;
    int64_t job_delay_us;      /* of writer and readers, at most */
    int64_t checkpoint_rows;   /* written on a device from one checkpoint to the next */
    int64_t checkpoint_bytes;  /* of the server's log */
    int64_t departure_keep_us; /* the master forgets deletions after that; 0: never */
    int64_t rescope_every_us;  /* the server looks after its subscriptions and departures */
    bool has_help_desk;        /* the first agent sees everything and may move calls */
    bool is_encrypted;         /* the replicas are (agent/replica/vault.h) */
    struct scenario_fault faults[FAULT_COUNT];
    int64_t skew_us[SCENARIO_AGENTS_MAX]; /* with FAULT_CLOCK_WRONG */
    int64_t drift_ppm[SCENARIO_AGENTS_MAX];
};

struct scenario_options {
    uint64_t seed;
    size_t agent_count; /* 0: as the seed says */
    int64_t span_us;    /* 0: as the seed says */
    uint64_t without;   /* bit by kind: these stay off */
    bool is_encrypted;  /* false: as the seed says */
};

void scenario_expand(const struct scenario_options *options, struct scenario *ret_scenario);
/* How its company begins: the same for all seeds of one. */
void scenario_found(const struct scenario *scenario, struct scenario *ret_beginning);
/* A quiet world for stories: nothing happens by itself. */
void scenario_quiet(uint64_t seed, size_t agent_count, struct scenario *ret_scenario);
bool scenario_has(const struct scenario *scenario, enum fault fault);
void scenario_format(const struct scenario *scenario, char ret_text[SCENARIO_TEXT_SIZE]);

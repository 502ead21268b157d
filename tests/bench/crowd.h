/* SPDX-License-Identifier: Apache-2.0 */
/* crowd.h: what crowd.c and crowd_push.c share: devices that keep nothing, and what they are told
 * to do. */
#pragma once

#include "agent/replica/replica.h"
#include "edge/loop.h"
#include "tests/bench/client.h"
#include "tests/bench/wire.h"

enum { CROWD_LINE_SIZE_MAX = 4096, CROWD_PAGES_MAX = 10000 };

struct member {
    struct crowd *crowd;
    struct wire wire;
    struct client client;
    bool is_wanted; /* it is to reach this command's goal */
    bool is_there;
    int tries;
    struct mono_time begun_at;
    struct mono_time try_at; /* us 0: on the line */
    struct mono_time tried_at;
    struct buffer sealed; /* messages of one push, each behind its size */
    int64_t took_us;
};

enum task { NO_TASK, ENROL, CONNECT, FETCH, SETTLE, PUSH, PAGES };

struct crowd {
    struct loop *loop;
    struct loop_timer *timer;
    struct wires wires;
    struct ev_io input;
    char line[CROWD_LINE_SIZE_MAX];
    size_t line_size;
    struct replica *template;
    uint8_t root_key[IDENTITY_KEY_SIZE];
    struct member *members;
    size_t seed_count;
    size_t count;
    struct arena arena; /* of one event, or of one push's changes */

    enum task task;
    struct mono_time began_at;
    struct mono_time heard_at;
    int64_t quiet_us;
    size_t window;
    size_t begun_count; /* members that have had their turn */
    size_t done_count;
    size_t open_count; /* begun, not done */
    int64_t retries;
    size_t page_count; /* wanted */
    size_t paged_count;
    struct mono_time asked_at;
    int64_t page_us[CROWD_PAGES_MAX];
    int64_t changes;
    int64_t exceptions;
    bool is_watching;
    bool is_sealing; /* messages go to `sealed` */
    bool has_failed;
};

void crowd_fail(struct crowd *crowd, const char *what);
/* Makes a seal for each device that the file has changes of, and then sends them all. */
void crowd_push(struct crowd *crowd, const char *path);

/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h: tells the service manager how we are, by the protocol of sd_notify(3).
 *
 * One datagram of KEY=VALUE lines to the socket named by $NOTIFY_SOCKET. Without that variable
 * nobody asked and nothing happens, so callers need no condition around it. Reads the environment:
 * call from the main thread. */
#pragma once

#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

/* Sends `state`, for example "READY=1\nSTATUS=serving 12 devices", "STOPPING=1", "WATCHDOG=1".
 *
 * RESULT_OK         sent, or nobody asked
 * RESULT_REFUSED    $NOTIFY_SOCKET is no usable address, or the manager doesn't listen: log it and
 *                   go on, the service itself is well
 * RESULT_EXHAUSTED  no descriptor left, or the manager's queue is full: the same */
MUST_CHECK enum result notify_send(const char *state, struct problem *problem);

/* How often "WATCHDOG=1" is due: half of $WATCHDOG_USEC, in microseconds; 0 when no watchdog was
 * asked for or it was asked for another process ($WATCHDOG_PID). */
int64_t notify_watchdog_us(void);

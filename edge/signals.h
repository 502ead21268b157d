/* SPDX-License-Identifier: Apache-2.0 */
/* signals.h: what the numbers of loop_take_signals ask for, the same in both programs. */
#pragma once

enum signal_wish {
    SIGNAL_NOTHING,
    SIGNAL_STOP,   /* TERM, INT: end gracefully; the second time: at once */
    SIGNAL_RELOAD, /* HUP: configuration, certificates */
    SIGNAL_STATUS, /* USR1: say how we are, into the log */
    SIGNAL_DEBUG,  /* USR2: debug lines on or off */
};

enum signal_wish signal_wish_of(int number);

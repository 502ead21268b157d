/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/signals.h"

#include <signal.h>

enum signal_wish signal_wish_of(int number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT:
        return SIGNAL_STOP;
    case SIGHUP:
        return SIGNAL_RELOAD;
    case SIGUSR1:
        return SIGNAL_STATUS;
    case SIGUSR2:
        return SIGNAL_DEBUG;
    default:
        return SIGNAL_NOTHING;
    }
}

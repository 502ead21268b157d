/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h: SQLite's memory in the simulator, where reading schemas anew at each start of a process
 * is most of the work, and allocating most of reading them. */
#pragma once

/* Before SQLite's first call. A sanitizer doesn't see these allocations; the unit tests, on real
 * databases as well, leave them to it. */
void memory_install(void);
/* In a copy of a process: what has been allocated so far is never written to again when it is
 * freed, since each page would have to be copied for it. */
void memory_leave(void);

/* memory.h - how much memory a process may use, and hints about mapped pages.
 *
 * Hints change what is resident and when it is read, never what is read: they cannot fail, and where
 * the system knows none they do nothing. Any thread may give one at any time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_MEMORY_H
#define FC_BASE_MEMORY_H

#include "base/macros.h"

/* Bytes of main memory, or the limit of the process's control group (cgroup, version 1 or 2) where
 * that is lower. INT64_MAX when the system tells neither. */
int64_t fc_memory_bytes(void);

/* The lowest limit on a control group and those around it, INT64_MAX for none. membership: a file
 * such as /proc/self/cgroup; mount: where the groups' folders are, such as /sys/fs/cgroup. */
int64_t fc_cgroup_memory_limit(const char *membership, const char *mount);

/* Bytes of a mapped file that will be read soon: the system begins to read them. */
void fc_pages_expect(const void *data, size_t n_bytes);
/* Bytes that will not be read soon: the pages that begin in them, and the one that holds the first,
 * leave the process. They stay in the system's cache while it has room, and come back when read. */
void fc_pages_drop(const void *data, size_t n_bytes);

#endif

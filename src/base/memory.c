/* memory.c - limits from sysconf and from the files of control groups; madvise for the hints.
 *
 *   /proc/self/cgroup    version 2: "0::/a/b"          MOUNT/a/b/memory.max
 *                        version 1: "4:memory:/a/b"    MOUNT/memory/a/b/memory.limit_in_bytes
 *
 * A group is held to the limits of the groups around it as well, so every folder up to the mount is
 * looked at. In a container the path may be the host's and not be there: then what counts is at
 * the mount itself, which the walk reaches. madvise, because glibc's posix_madvise ignores DONTNEED.
 *
 * SPDX-License-Identifier: Apache-2.0 */
/* madvise, _SC_PHYS_PAGES. NOLINTNEXTLINE(bugprone-reserved-identifier) */
#define _DEFAULT_SOURCE
#include "base/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

/* --- limits ------------------------------------------------------------------------------- */

/* The number that a file begins with; INT64_MAX when there is no file or no number ("max"). */
static int64_t number_in(const char *path)
{
    char text[32] = "", *end = text;
    FILE *const file = fopen(path, "r");
    if (file == NULL) return INT64_MAX;
    const bool is_read = fgets(text, sizeof text, file) != NULL;
    (void)fclose(file);
    errno = 0;
    const long long value = is_read ? strtoll(text, &end, 10) : 0;
    return end != text && errno == 0 && value > 0 ? (int64_t)value : INT64_MAX;
}

/* The lowest number in folder/group/name and in the folders above, up to `folder`. Cuts group. */
static int64_t lowest_limit(const char *folder, char *group, const char *name)
{
    char path[2 * FC_PATH_MAX];
    int64_t limit = INT64_MAX;
    for (char *slash = group; slash != NULL;) {
        (void)snprintf(path, sizeof path, "%s%s/%s", folder, group, name);
        limit = fc_min(limit, number_in(path));
        slash = strrchr(group, '/');
        if (slash != NULL) *slash = '\0';
    }
    return limit;
}

/* Whether "cpu,memory" names memory. */
static bool has_memory(const char *controllers)
{
    const char *const at = strstr(controllers, "memory");
    return at != NULL && (at == controllers || at[-1] == ',') &&
           (at[6] == '\0' || at[6] == ',');
}

static int64_t limit_of_line(char *line, const char *mount)
{
    char folder[FC_PATH_MAX];
    line[strcspn(line, "\n")] = '\0';
    char *const controllers = strchr(line, ':');
    char *const group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL) return INT64_MAX;
    *group = '\0';
    if (controllers[1] == '\0') return lowest_limit(mount, group + 1, "memory.max");
    if (!has_memory(controllers + 1)) return INT64_MAX;
    (void)snprintf(folder, sizeof folder, "%s/memory", mount);
    return lowest_limit(folder, group + 1, "memory.limit_in_bytes");
}

int64_t fc_cgroup_memory_limit(const char *membership, const char *mount)
{
    char line[FC_PATH_MAX];
    int64_t limit = INT64_MAX;
    FILE *const file = fopen(membership, "r");
    if (file == NULL) return limit;
    while (fgets(line, sizeof line, file) != NULL)
        limit = fc_min(limit, limit_of_line(line, mount));
    (void)fclose(file);
    return limit;
}

int64_t fc_memory_bytes(void)
{
    const int64_t n_pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    const int64_t n_bytes = n_pages > 0 && page > 0 ? n_pages * page : INT64_MAX;
    return fc_min(n_bytes, fc_cgroup_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup"));
}

/* --- hints -------------------------------------------------------------------------------- */

static void advise(uintptr_t begin, uintptr_t end, int advice)
{
    const int old = errno;
    if (begin < end) (void)madvise((void *)begin, end - begin, advice);
    errno = old;
}

void fc_pages_expect(const void *data, size_t n_bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data;
    advise(begin - begin % page, begin + n_bytes, MADV_WILLNEED);
}

void fc_pages_drop(const void *data, size_t n_bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)data;
    const uintptr_t end = begin + n_bytes;
    advise(begin - begin % page, end - end % page, MADV_DONTNEED);
}

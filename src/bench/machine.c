/* machine.c - asks the system who it is.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench/machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/par.h"

/* The first "model name : X" of /proc/cpuinfo. */
static void find_processor(char name[128])
{
    static const char key[] = "model name";
    char line[512];
    (void)snprintf(name, 128, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        const char *const colon = strchr(line, ':');
        if (strncmp(line, key, sizeof key - 1) != 0 || colon == NULL) continue;
        const char *const begin = colon + 1 + strspn(colon + 1, " \t");
        (void)snprintf(name, 128, "%.*s", (int)strcspn(begin, "\n"), begin);
        break;
    }
    (void)fclose(file); /* NOLINT(cert-err33-c): it was only read */
}

void fc_machine_describe(fc_machine *machine, const fc_backend *be)
{
    const time_t now = (time_t)fc_wall_clock_s();
    struct tm utc;
    *machine = (fc_machine){.n_threads = fc_par_threads(),
                            .kernels = be->ops->name,
                            .version = FACET_VERSION,
                            .commit = fc_commit};
    find_processor(machine->processor);
    (void)gmtime_r(&now, &utc);
    if (strftime(machine->date, sizeof machine->date, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        machine->date[0] = '\0';
}

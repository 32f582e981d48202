/* log.c - the one sink for messages and progress, and the two clocks.
 *
 * The sink is a global by intent: a message may come from any depth, and passing a logger
 * through every call would say nothing about the call. It is set before work begins.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static fc_log_sink sink; /* NOLINT(*-avoid-non-const-global-variables) */

void fc_log_set_sink(fc_log_sink new_sink)
{
    sink = new_sink;
}

void fc_log(fc_log_level level, const char *format, ...)
{
    if (sink.message == NULL) return;
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sink.message(sink.ctx, level, text);
}

static void show(const fc_progress *progress, int is_end)
{
    if (sink.progress != NULL) sink.progress(sink.ctx, progress, is_end);
}

fc_progress fc_progress_begin(const char *job, const char *unit, double done,
                              double total)
{
    const fc_progress progress = {.job = job,
                                  .unit = unit,
                                  .done = done,
                                  .total = total,
                                  .begin_s = fc_clock_s(),
                                  .begin_done = done};
    show(&progress, 0);
    return progress;
}

void fc_progress_set(fc_progress *progress, double done)
{
    progress->done = done;
    show(progress, 0);
}

void fc_progress_end(fc_progress *progress)
{
    show(progress, 1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec now = {0};
    FC_CHECK(clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double fc_clock_s(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

/* https://reproducible-builds.org/specs/source-date-epoch/: a number of seconds. */
double fc_wall_clock_s(void)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");
    if (fixed != NULL && fixed[0] >= '0' && fixed[0] <= '9') {
        char *end;
        const long long seconds = strtoll(fixed, &end, 10);
        if (*end == '\0') return (double)seconds;
    }
    return seconds_of(CLOCK_REALTIME);
}

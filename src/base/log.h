/* log.h - what the library has to say while it works: messages and progress, through one sink.
 *
 * The library never prints. cli/ installs a sink; without one, nothing is shown. Levels:
 *   error  the command fails            warn   it goes on, but the user should know
 *   info   a fact about the run         debug  for people who work on Facet
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_BASE_LOG_H
#define FC_BASE_LOG_H

#include "base/macros.h"

typedef enum fc_log_level {
    FC_LOG_ERROR,
    FC_LOG_WARN,
    FC_LOG_INFO,
    FC_LOG_DEBUG
} fc_log_level;

/* A job that may take longer than two seconds. `note` is a short changing text ("loss 0.0123"). */
typedef struct fc_progress {
    const char *job;    /* "collect" */
    const char *unit;   /* "tokens" */
    double done, total; /* total 0 = not known */
    double begin_s;     /* clock when it began */
    double begin_done;  /* where it began: a resumed job does not start at 0 */
    char note[96];
} fc_progress;

typedef struct fc_log_sink {
    void (*message)(void *ctx, fc_log_level level, const char *text);
    /* Called often; the sink decides when to draw. is_end: the job is over. */
    void (*progress)(void *ctx, const fc_progress *progress, int is_end);
    void *ctx;
} fc_log_sink;

void fc_log_set_sink(fc_log_sink sink); /* {0} = silence */
void fc_log(fc_log_level level, const char *format, ...) FC_PRINTF(2, 3);

fc_progress fc_progress_begin(const char *job, const char *unit, double done,
                              double total);
void fc_progress_set(fc_progress *progress, double done);
void fc_progress_end(fc_progress *progress);

double fc_clock_s(void);      /* monotonic */
double fc_wall_clock_s(void); /* since 1970; SOURCE_DATE_EPOCH replaces it when set */

#endif

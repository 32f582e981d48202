/* tfevents.h - TensorBoard event files (TFRecord frames around Event messages).
 *
 * A run that resumes opens a new file in the same folder and says from which step on earlier
 * values are void (SessionLog START); TensorBoard reads files in name order and drops those.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_FORMATS_TFEVENTS_H
#define FC_FORMATS_TFEVENTS_H

#include "base/err.h"

typedef struct fc_tfevents fc_tfevents;

/* Creates DIR/events.out.tfevents.TIME.HOST.PID.N. Unlike other outputs it grows under its own
 * name: TensorBoard watches it while training. first_step: of a resumed run, the first step to come,
 * from which on values in earlier files are void; 0 for a new run. */
fc_status fc_tfevents_open(fc_tfevents **events, const char *dir, int64_t first_step,
                           fc_err *err);
fc_status fc_tfevents_scalar(fc_tfevents *events, const char *tag, int64_t step,
                             double value, fc_err *err);

/* Histogram of n values in 30 equal buckets between min and max. */
fc_status fc_tfevents_histogram(fc_tfevents *events, const char *tag, int64_t step,
                                const float *values, int64_t n, fc_err *err);
fc_status fc_tfevents_text(fc_tfevents *events, const char *tag, int64_t step,
                           const char *markdown, fc_err *err);
fc_status fc_tfevents_flush(fc_tfevents *events, fc_err *err);
void fc_tfevents_close(fc_tfevents *events);

/* Reading back (tests, inspect, resume). Calls fn for each scalar in file order over all event
 * files of the folder; a torn last record ends that file quietly; a bad checksum is an error. */
typedef fc_status fc_tfevents_fn(void *ctx, const char *tag, int64_t step, double value,
                                 fc_err *err);
fc_status fc_tfevents_read(const char *dir, fc_tfevents_fn *fn, void *ctx, fc_err *err);

#endif

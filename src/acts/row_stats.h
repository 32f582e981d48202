/* row_stats.h - moments of many rows: of a whole store, or of the first window of a stream.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_ACTS_ROW_STATS_H
#define FC_ACTS_ROW_STATS_H

#include "base/err.h"

typedef struct fc_row_stats {
    float *mean;                         /* [d] */
    double *mean_f64, *variance_f64;     /* [d]; NULL where they are not known */
    double mean_norm, mean_centred_norm; /* means of ||x|| and of ||x - mean|| */
} fc_row_stats;

/* Rows begin .. begin+n-1, widened to float32: out [n, d]. Called from any thread. */
typedef void fc_read_rows_fn(const void *ctx, int64_t begin, int64_t n, float *out);

/* Reads all rows twice. n_rows >= 1. The same bytes for any number of threads. */
fc_status fc_row_stats_make(fc_row_stats *stats, fc_read_rows_fn *read, const void *ctx,
                            int64_t n_rows, int64_t d, fc_err *err);
void fc_row_stats_deinit(fc_row_stats *stats); /* back to {0} */

#endif

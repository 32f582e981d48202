/* hit_log_internal.h - hits of each feature, collected until they are worth going through.
 *
 * A block of the encoder has only some hits of most features, but the statistics of a feature are
 * 14 KB: fetched for each block they would cost more than the work on them. So hits are kept, 8
 * bytes each, and handed on when a feature has FC_LOG_HITS of them or at the end of a window of
 * rows. A feature's hits stay in row order.
 *
 * Features are independent: two threads may add to two features at once.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_HIT_LOG_INTERNAL_H
#define FC_STUDY_HIT_LOG_INTERNAL_H

#include "base/err.h"
#include "study/hits_internal.h"

enum { FC_LOG_HITS = 512 };

typedef struct fc_hit_log {
    int32_t *n;   /* [n_features] hits that wait */
    int32_t *at;  /* [n_features, LOG_HITS] row of the window */
    float *value; /* [n_features, LOG_HITS] */
} fc_hit_log;

/* Takes hits on; they are borrowed for the call. */
typedef void fc_hits_fn(const fc_hits *hits, void *ctx);

/* Takes n_features * 4 KB. On failure *log is {0}. */
fc_status fc_hit_log_init(fc_hit_log *log, int64_t n_features, fc_err *err);
void fc_hit_log_deinit(fc_hit_log *log);

/* Adds the hits of a block whose first row is row `first` of the window; hands on what is full. */
void fc_hit_log_add(fc_hit_log *log, const fc_hits *hits, int64_t first, fc_hits_fn *fn,
                    void *ctx);
/* Hands on what is left of a feature. */
void fc_hit_log_flush(fc_hit_log *log, int64_t feature, fc_hits_fn *fn, void *ctx);

#endif

/* hit_log.c - appends, and hands on in batches.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/hit_log_internal.h"

#include <string.h>

#include "base/alloc.h"

fc_status fc_hit_log_init(fc_hit_log *log, int64_t n_features, fc_err *err)
{
    fc_hit_log made = {0};
    const size_t row = FC_LOG_HITS;
    fc_status status;
    FC_TRY_GOTO(fc_alloc(&made.n, n_features, sizeof *made.n, "counts of hits", err));
    FC_TRY_GOTO(fc_alloc(&made.at, n_features, row * sizeof *made.at, "hits", err));
    FC_TRY_GOTO(fc_alloc(&made.value, n_features, row * sizeof *made.value, "hits", err));
done:
    if (status != FC_OK) fc_hit_log_deinit(&made);
    *log = made;
    return status;
}

void fc_hit_log_deinit(fc_hit_log *log)
{
    fc_free(log->n);
    fc_free(log->at);
    fc_free(log->value);
    *log = (fc_hit_log){0};
}

/* Bits of floats > 0 are in the order of their values, and as integers they go through vectors. */
static float largest(const float *value, int64_t n)
{
    int32_t max = 0;
    float result;
    for (int64_t j = 0; j < n; j++) {
        int32_t bits;
        memcpy(&bits, &value[j], sizeof bits);
        max = bits > max ? bits : max;
    }
    memcpy(&result, &max, sizeof result);
    return result;
}

void fc_hit_log_flush(fc_hit_log *log, int64_t feature, fc_hits_fn *fn, void *ctx)
{
    const int32_t n = log->n[feature];
    if (n == 0) return;
    const float *value = log->value + feature * FC_LOG_HITS;
    const fc_hits hits = {feature, n, log->at + feature * FC_LOG_HITS, value,
                          largest(value, n)};
    fn(&hits, ctx);
    log->n[feature] = 0;
}

void fc_hit_log_add(fc_hit_log *log, const fc_hits *hits, int64_t first, fc_hits_fn *fn,
                    void *ctx)
{
    int32_t *n = &log->n[hits->feature];
    int32_t *at = log->at + hits->feature * FC_LOG_HITS;
    float *value = log->value + hits->feature * FC_LOG_HITS;
    for (int64_t done = 0; done < hits->n;) {
        const int64_t n_now = fc_min(hits->n - done, FC_LOG_HITS - *n);
        for (int64_t j = 0; j < n_now; j++)
            at[*n + j] = hits->at[done + j] + (int32_t)first;
        memcpy(value + *n, hits->value + done, (size_t)n_now * sizeof *value);
        *n += (int32_t)n_now;
        done += n_now;
        if (*n == FC_LOG_HITS) fc_hit_log_flush(log, hits->feature, fn, ctx);
    }
}

/* hits_feed.h - feeds a stream of rows to a statistic as the pass does: in blocks, only where the
 * feature fires.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_TEST_HITS_FEED_H
#define FC_TEST_HITS_FEED_H

#include "testing.h"

#include "base/rng.h"
#include "study/hits_internal.h"

enum { FEED_MAX_BLOCK = 512 };

/* One feature's activations on n rows, and where the rows come from. */
typedef struct feed {
    int64_t n;
    const float *value;         /* [n] */
    const int32_t *token, *doc; /* [n] */
} feed;

typedef void feed_fn(void *statistic, const fc_hits *hits, const fc_block *block);

static inline void feed_rows(const feed *stream, int64_t block_rows, int64_t feature,
                             feed_fn *add, void *statistic)
{
    static int32_t token[FEED_MAX_BLOCK], doc[FEED_MAX_BLOCK], at[FEED_MAX_BLOCK];
    static int32_t rank[FEED_MAX_BLOCK]; /* the statistic's to fill */
    static uint32_t draw[FEED_MAX_BLOCK];
    static float value[FEED_MAX_BLOCK];
    for (int64_t first = 0; first < stream->n; first += block_rows) {
        const fc_block block = {
            first, fc_min(block_rows, stream->n - first), token, doc, draw, rank};
        fc_hits hits = {feature, 0, at, value, 0.0f};
        for (int64_t t = 0; t < block.n; t++) {
            const int64_t row = first + t;
            token[t] = stream->token[row];
            doc[t] = stream->doc[row];
            draw[t] = (uint32_t)fc_rng_u64(7, FC_RNG_TEST, (uint64_t)row);
            if (!(stream->value[row] > 0.0f)) continue;
            at[hits.n] = (int32_t)t;
            value[hits.n++] = stream->value[row];
            if (stream->value[row] > hits.max) hits.max = stream->value[row];
        }
        if (hits.n > 0) add(statistic, &hits, &block);
    }
}

#endif

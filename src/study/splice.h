/* splice.h - an SAE as a step of the model: rows of raw activations in, rows to put in their place out.
 *
 *   x' = normalised x        y' = decode(encode(x'))        y = y' * norm + mean
 *
 * norm and mean are what the normaliser took. center_unit divides each row by its own length, which
 * the SAE then never sees, so the way back takes that of the row itself, as the seed experiment does:
 * the SAE answers for directions, lengths are the model's. A transcoder's y takes mean and norm of
 * the target, t: the tensor that y stands for.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_SPLICE_H
#define FC_STUDY_SPLICE_H

#include "sae/codes.h"

typedef struct fc_splice {
    const fc_sae *sae; /* borrowed, as is the backend */
    fc_backend *be;
    bool is_transcoder;
    int64_t n_block;   /* rows encoded at a time: their features take 256 MB at most */
    fc_codes *codes;   /* of the last block */
    float *x;          /* [n_block, d_in] normalised */
    float *target;     /* [n_block, d_out] normalised; x itself but for transcoders */
    fc_row_norm *norm; /* [n_block] of the target */
    fc_mat w_dec;      /* [d_sae, d_out]; in BF16 rounded once for all blocks */
    void *rounded;     /* what it is then */
} fc_splice;

fc_status fc_splice_new(fc_splice **created, const fc_sae *sae, fc_backend *be,
                        fc_precision precision, fc_err *err);
void fc_splice_free(fc_splice *splice);

/* Called for each block of rows in order, between decoding and the way back: codes, x and target of
 * the splice hold rows first .. first+n-1; made [n, d_out] is y'. */
typedef void fc_splice_fn(void *ctx, const fc_splice *splice, const float *made,
                          int64_t first, int64_t n);

typedef struct fc_splice_rows {
    const float *x; /* [n, d_in] raw */
    const float *t; /* [n, d_out] raw target; x but for transcoders */
    int64_t n;
} fc_splice_rows;

/* y: [n, d_out] written. fn may be NULL. The rows of a block decide together which features are decoded
 * as lists (codes.h), so they touch each other in the order of sums, and in nothing else. */
void fc_splice_apply(fc_splice *splice, float *y, const fc_splice_rows *rows,
                     fc_splice_fn *fn, void *ctx);

#endif

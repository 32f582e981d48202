/* codes.h - the features of a batch where few fire: made block by block while they are in cache,
 * kept as lists.
 *
 *   f = activation(W_enc (x - b_dec) + b_enc)      [d_sae, n], feature-major
 *
 *   index, value     row i: the rows of the batch on which feature i fires, and how much. A feature
 *                    that fires on more than n_list of them is a whole row of value instead.
 *   token_*          the same lists by row of the batch, for decoding; whole rows are left out
 *
 * A list or a whole row: each feature goes the way that is faster for it, by the share that the
 * kernels name (fc_backend_dense_share), so the choice follows from the data alone.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_CODES_H
#define FC_SAE_CODES_H

#include "sae/sae.h"

/* What the features of a batch amount to; one entry for each of d_sae features. */
typedef struct fc_firing {
    int64_t *count; /* rows on which it is above 0 */
    double *sum;    /* of its activations */
    float *max;     /* the largest, 0 when it never fires */
} fc_firing;

typedef struct fc_codes {
    fc_precision precision;
    int64_t d_in, d_sae, n_max; /* n_max: largest batch */
    int64_t n;                  /* rows of this batch */
    int64_t n_list;             /* of this batch; see above */
    int64_t row;                /* elements from feature to feature in value and index */
    int32_t *index;             /* [d_sae, row] */
    float *value;               /* [d_sae, row] */
    fc_firing firing;
    int64_t n_whole;    /* features that are whole rows, ascending */
    int32_t *whole;     /* [d_sae] */
    const float *input; /* [n, d_in] what was encoded: x, or x - b_dec in `centred` */

    /* the lists by row of the batch: token t has the entries token_begin[t] .. token_begin[t+1]-1 */
    int64_t *token_begin; /* [n_max + 1] */
    int64_t *token_count; /* [n_max] */
    int32_t *feature;     /* ascending for each token */
    float *token_value;

    struct fc_codes_scratch *scratch;
} fc_codes;

/* Buffers for batches of up to n_max rows of an SAE of this shape. is_whole: no lists, all of `value`
 * is f (n_list -1). */
fc_status fc_codes_new(fc_codes **created, const fc_sae *sae, fc_backend *be,
                       fc_precision precision, int64_t n_max, bool is_whole, fc_err *err);
void fc_codes_free(fc_codes *codes);

/* Features of x [n, d_in], normalised, n <= n_max; x is borrowed until the next call. */
void fc_codes_encode(fc_codes *codes, const fc_sae *sae, fc_backend *be, const float *x,
                     int64_t n);

/* y [n, d_in] = f^T W_dec, without bias. w_dec: [d_sae, d_in], F32 or, in BF16, preferably BF16. */
void fc_codes_decode(fc_codes *codes, fc_backend *be, fc_mat w_dec, float *y);

static inline bool fc_codes_is_whole(const fc_codes *codes, int64_t feature)
{
    return codes->firing.count[feature] > codes->n_list;
}

#endif

/* codes.h - the features of a batch where few fire: made block by block while they are in cache,
 * kept as lists.
 *
 *   f = activation(W_enc (x - b_dec) + b_enc)      [d_sae, n], feature-major
 *
 *   lists    entry by entry, by feature and, once turned, by row of the batch (lists.h)
 *   whole    ReLU only: a feature that fires on more than n_list rows is a whole row of value
 *            instead, zeros included, and has no list
 *
 * A list or a whole row: each feature goes the way that is faster for it, by the share that the
 * kernels name (fc_backend_dense_share), so the choice follows from the data alone.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_CODES_H
#define FC_SAE_CODES_H

#include "sae/lists.h"
#include "sae/sae.h"

struct fc_train_config;

/* What the features of a batch amount to; one entry for each of d_sae features. */
typedef struct fc_firing {
    int64_t *count; /* rows on which it is above 0 */
    double *sum;    /* of its activations */
    float *max;     /* the largest, 0 when it never fires */
} fc_firing;

typedef struct fc_codes {
    fc_precision precision;
    int64_t d_in, d_out, d_sae, n_max; /* n_max: largest batch */
    int64_t n;                         /* rows of this batch */
    int64_t n_list;                    /* of this batch; see above */
    int64_t row;                       /* elements from feature to feature in value */
    fc_lists lists;
    float *value; /* [d_sae, row] whole rows; NULL where there are none */
    fc_firing firing;
    int64_t n_whole;     /* features that are whole rows, ascending */
    int32_t *whole;      /* [d_sae] */
    const float *x;      /* [n, d_in] as it was given */
    const float *input;  /* [n, d_in] what was encoded: x, or x - b_dec */
    const float *w_skip; /* of the SAE, or NULL */
    const float
        *norm; /* [d_sae] ||W_dec_i|| where rows compete by z ||W_dec_i||, else NULL */
    const float
        *cut; /* [n] where features compete: a smaller key does not fire; else NULL */

    /* While training, for some architectures: which are dead, set by the step, and another sum of
     * each feature (jumprelu: of max(theta - z, 0) of the dead; gated: of the gate). */
    const uint8_t *is_dead; /* [d_sae] */
    double *extra;          /* [d_sae] */

    struct fc_codes_scratch *scratch;
} fc_codes;

/* Buffers for batches of up to n_max rows of an SAE of this shape, whose weights do not change.
 * is_whole: all of `value` is f, and there are no lists (n_list -1). */
fc_status fc_codes_new(fc_codes **created, const fc_sae *sae, fc_backend *be,
                       fc_precision precision, int64_t n_max, bool is_whole, fc_err *err);

/* As features are while an SAE is trained: batchtopk selects over the batch, lists of jumprelu hold
 * what is within half a bandwidth of firing (value 0), gated has the gate in lists.second. norm is
 * the caller's to set. */
fc_status fc_codes_new_training(fc_codes **created, const fc_sae *sae, fc_backend *be,
                                fc_precision precision,
                                const struct fc_train_config *config, fc_err *err);
void fc_codes_free(fc_codes *codes);

/* Features of x [n, d_in], normalised, n <= n_max; x is borrowed until the next call. */
void fc_codes_encode(fc_codes *codes, const fc_sae *sae, fc_backend *be, const float *x,
                     int64_t n);

/* y [n, d_out] = f^T W_dec (+ x W_skip^T), without bias; turns the lists. w_dec: [d_sae, d_out], F32
 * or, in BF16, preferably BF16. */
void fc_codes_decode(fc_codes *codes, fc_backend *be, fc_mat w_dec, float *y);

static inline bool fc_codes_is_whole(const fc_codes *codes, int64_t feature)
{
    return codes->firing.count[feature] > codes->n_list;
}

/* The entries of one feature: a list, or a whole row with index NULL, where entry j is row j and may
 * be 0. */
typedef struct fc_feature_codes {
    int64_t n;
    const int32_t *index;
    const float *value;
} fc_feature_codes;

static inline fc_feature_codes fc_codes_of(const fc_codes *codes, int64_t feature)
{
    fc_feature_codes f = {codes->n, NULL, codes->value};
    if (fc_codes_is_whole(codes, feature)) {
        f.value += feature * codes->row;
        return f;
    }
    const int64_t at = codes->lists.begin[feature];
    f.n = codes->lists.count[feature];
    f.index = codes->lists.index + at;
    f.value = codes->lists.value + at;
    return f;
}

/* For who looks at few rows of few features: what fc_codes_encode makes of one feature's
 * pre-activations without bias. From any thread. Not for groupmax. */
typedef struct fc_one_feature {
    int64_t feature, n;
    const float *z;   /* [n] */
    const float *cut; /* [n] fc_codes.cut of these rows; NULL where it is */
    int32_t *index;   /* [n rounded up to 16] scratch */
    float *value;     /* [n rounded up to 16] scratch */
    float *f;         /* [n] the result */
} fc_one_feature;
void fc_codes_one_feature(const fc_one_feature *one, const fc_sae *sae, fc_backend *be);

/* The scratch of a selection, for another one on the same pre-activations; z: [d_sae, row] with
 * bias. NULL where features do not compete. */
struct fc_select *fc_codes_select(const fc_codes *codes);
const float *fc_codes_z(const fc_codes *codes);

#endif

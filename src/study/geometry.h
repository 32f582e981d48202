/* geometry.h - how the rows of encoder and decoder lie: lengths, angles, and how many dimensions they
 * fill.
 *
 *   encoder_decoder_cosine   of a feature's own two rows                (SAEBench core, per feature)
 *   decoder_nearest          largest cosine with another feature's row  (max_decoder_cosine_sim)
 *   encoder_nearest          the same of encoder rows                   (max_encoder_cosine_sim)
 *   decoder_effective_rank   exp(-sum p log p), p = sigma / sum of sigma, of the singular values of the
 *                            decoder rows at unit length (Roy and Vetterli, 2007)
 *   decoder_participation    (sum sigma^2)^2 / sum sigma^4 of the same
 *   decoder_rank             singular values above 1e-6 of the largest
 *
 * A transcoder whose input and output differ in width has no cosines of a feature's own rows.
 * d rows at right angles have ranks of d; n copies of one row have ranks of 1.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_GEOMETRY_H
#define FC_STUDY_GEOMETRY_H

#include "sae/sae.h"
#include "study/quantiles.h"

typedef struct fc_geometry {
    int64_t n_features; /* looked at */
    fc_quantiles decoder_norm, encoder_norm;
    fc_quantiles
        encoder_decoder_cosine; /* features both of whose rows have a direction */
    fc_quantiles decoder_nearest, encoder_nearest; /* empty with fewer than two rows */
    double decoder_effective_rank, decoder_participation;
    int64_t decoder_rank;
} fc_geometry;

/* is_live: [d_sae] features to look at, NULL for all. FC_FORMAT when a weight is not finite,
 * FC_CANCELLED after Ctrl-C. The same for any number of threads. On failure *geometry is {0}. */
fc_status fc_geometry_measure(fc_geometry *geometry, const fc_sae *sae,
                              const bool *is_live, fc_backend *be, fc_err *err);

#endif

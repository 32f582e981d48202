/* meta_sae.h - meta-structure: can the features of an SAE be put together from fewer ones?
 *
 * A second, small SAE is trained on the decoder rows of the first (SAEBench's meta_structure; meta-SAEs
 * are from Leask et al. 2025, arXiv 2502.04878). If few of its features explain most of a row, features
 * are mixtures of others.
 *
 *   rows       decoder rows of the features looked at, at unit length
 *   meta-SAE   batchtopk with k = 4, a quarter as many features as there are rows, at least 4; trained
 *              for 1,500 steps on 1,024 rows drawn with replacement, at a learning rate of 5e-4; the rest
 *              as SAELens trains it: decoder rows start at length 0.1, features compete by z |W_dec_i|,
 *              AuxK with coefficient 1, gradients clipped to 1
 *   explained  1 - sum |row - reconstruction|^2 / sum |row - mean row|^2, features competing among up to
 *              1,024 rows at a time as they did in training (decoder_fraction_variance_explained)
 *
 * High means that the rows have structure in common: SAEBench counts lower as better.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_META_SAE_H
#define FC_STUDY_META_SAE_H

#include "sae/sae.h"

typedef struct fc_meta_config {
    int64_t steps;
    int64_t seed;
    int precision; /* fc_precision_choice */
} fc_meta_config;
void fc_meta_defaults(fc_meta_config *config); /* 1500 steps */

typedef struct fc_meta_sae {
    int64_t n_rows, n_features; /* of the decoder, of the meta-SAE */
    double explained;           /* 0 when rows do not differ */
    double mse;                 /* of a number of a row */
    double l0;                  /* features a row */
    int64_t n_used;             /* features of the meta-SAE that any row has */
} fc_meta_sae;

/* is_live: [d_sae] features to look at, NULL for all; rows of zeros are left out. FC_CANCELLED after
 * Ctrl-C. The same for any number of threads. With no rows, result is all 0. On failure *result
 * is {0}. */
fc_status fc_meta_sae_measure(const fc_meta_config *config, const fc_sae *sae,
                              const bool *is_live, fc_backend *be, fc_meta_sae *result,
                              fc_err *err);

#endif

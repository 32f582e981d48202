/* stability.h - do two SAEs find the same features? Two seeds of one recipe, two sizes, two recipes.
 *
 *   matched cosine    rows of W_dec paired one to one so that the sum of cosines is the largest that
 *                     there is (the assignment problem; Paulo and Belrose 2025, arXiv 2501.16615, match so)
 *   share at .7       pairs whose cosine is at least 0.7, the same paper's bound for "the same feature";
 *                     `of both`: the encoder rows of the pair reach it too
 *   mean max cosine   each row with the nearest one of the other SAE, which may serve many
 *                     (MMCS; Sharkey, Braun and Millidge 2022)
 *
 * The smaller SAE is matched whole. Rows of zeros point nowhere and are left out.
 *
 * Exactness. The assignment is solved over the pairs that can matter: the 32 nearest to each row from
 * either side. Its potentials are then tried on all pairs; those that could improve it are added, and it
 * is solved again, until there are none. Then it is exact (is_exact) for any number of features. After
 * 12 rounds it stands as it is; mean_bound is what no matching can exceed.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_STABILITY_H
#define FC_STUDY_STABILITY_H

#include "sae/sae.h"
#include "study/quantiles.h"

typedef struct fc_stability {
    int64_t n_a, n_b;  /* features compared */
    int64_t n_matched; /* the smaller of both */
    int64_t d_sae;     /* of a */
    int32_t *partner;  /* [d_sae] feature of b, -1: none. Free with fc_stability_deinit */
    float *cosine;     /* [d_sae] with it; 0 where there is none */
    fc_quantiles matched; /* of the cosines of pairs */
    fc_quantiles
        encoders; /* of the encoder rows of the same pairs that both have a direction */
    double mean_bound; /* >= matched.mean: of the best matching, at most */
    bool is_exact;     /* bound and mean agree to 1e-6 */
    int64_t n_rounds;
    int64_t n_same, n_same_of_both; /* pairs at 0.7 or above */
    double mean_max_a, mean_max_b;  /* of a's features in b, of b's in a */
} fc_stability;

/* is_live_a, is_live_b: features to compare, NULL for all. FC_MISMATCH when the SAEs differ in width of
 * input or output. FC_CANCELLED after Ctrl-C. The same for any number of threads. On failure
 * *stability is {0}. */
fc_status fc_stability_measure(fc_stability *stability, const fc_sae *a,
                               const bool *is_live_a, const fc_sae *b,
                               const bool *is_live_b, fc_backend *be, fc_err *err);
void fc_stability_deinit(fc_stability *stability);

#endif

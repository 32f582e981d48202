/* hit_sample_internal.h - for every feature some of its activations, drawn so that shares of its
 * whole activation can be estimated without bias.
 *
 * Two samples, each by priority sampling (Duffield, Lund and Thorup 2007): an activation a gets
 * the priority w / u, u uniform on (0, 1], and the k + 1 highest stay. The least of them is tau; the
 * others estimate any sum of w' over activations as sum of w' / min(1, w / tau).
 *   mass     w = a      where the feature's activation lies
 *   strong   w = a^4    what its strong activations have in common
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_STUDY_HIT_SAMPLE_INTERNAL_H
#define FC_STUDY_HIT_SAMPLE_INTERNAL_H

#include "base/err.h"
#include "study/hits_internal.h"

enum { FC_SAMPLE_MASS = 512, FC_SAMPLE_STRONG = 128 };

typedef struct fc_sampled { /* of a heap, least priority first */
    double priority;
    float value;
    uint32_t row;
} fc_sampled;

/* Samples of one feature; one place more than the sample holds, for tau. */
typedef struct fc_sample_heaps {
    fc_sampled mass[FC_SAMPLE_MASS + 1];
    fc_sampled strong[FC_SAMPLE_STRONG + 1];
    int32_t n_mass, n_strong;
    uint32_t key; /* random word of the feature */
} fc_sample_heaps;

typedef struct fc_hit_sample {
    fc_sample_heaps *heaps; /* [n_features] */
} fc_hit_sample;

/* One activation and how much of the feature's activation it stands for. */
typedef struct fc_weighed {
    uint32_t row;
    float value;
    double weight;
} fc_weighed;

/* Takes n_features * 10 KB. On failure *sample is {0}. */
fc_status fc_hit_sample_init(fc_hit_sample *sample, int64_t n_features, uint64_t seed,
                             fc_err *err);
void fc_hit_sample_deinit(fc_hit_sample *sample);

void fc_hit_sample_add(fc_hit_sample *sample, const fc_hits *hits, const fc_block *block);

/* The samples, rows ascending; weights add up to about the feature's sum (of those drawn, for strong:
 * that is coarse for weak activations). Return how many. */
int64_t fc_hit_sample_mass(const fc_hit_sample *sample, int64_t feature,
                           fc_weighed out[FC_SAMPLE_MASS]);
int64_t fc_hit_sample_strong(const fc_hit_sample *sample, int64_t feature,
                             fc_weighed out[FC_SAMPLE_STRONG]);

#endif

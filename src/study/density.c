/* density.c - counts over features and concepts.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/density.h"

#include <math.h>

enum { LOWEST = -8, BINS_A_DECADE = 4 };

double fc_density_border(int k)
{
    return LOWEST + (double)k / BINS_A_DECADE;
}

fc_density fc_density_of(const fc_feature *feature, int64_t n, int64_t n_rows)
{
    fc_density d = {.n_features = n, .n_rows = n_rows};
    int64_t n_1 = 0, n_10 = 0;
    for (int64_t i = 0; i < n; i++) {
        const double frequency = feature[i].frequency;
        d.n_dead += feature[i].is_dead;
        d.n_silent += !(frequency > 0.0);
        n_1 += frequency > 0.01;
        n_10 += frequency > 0.1;
        if (!(frequency > 0.0)) continue;
        const double place = floor((log10(frequency) - LOWEST) * BINS_A_DECADE);
        d.bin[(int)fmax(0.0, fmin(FC_DENSITY_BINS - 1, place))]++;
    }
    if (n > 0) {
        d.over_1 = (double)n_1 / (double)n;
        d.over_10 = (double)n_10 / (double)n;
    }
    return d;
}

fc_concept_means fc_concept_means_of(const fc_concept_row *concept, int64_t n)
{
    fc_concept_means means = {0};
    for (int64_t i = 0; i < n; i++) {
        if (concept[i].n_rows == 0) continue;
        means.n++;
        means.f1 += concept[i].n_hits > 0 ? concept[i].hit[0].f1 : 0.0;
        means.auc += concept[i].n_hits > 0 ? concept[i].hit[0].auc : 0.5;
    }
    if (means.n > 0) {
        means.f1 /= (double)means.n;
        means.auc /= (double)means.n;
    }
    return means;
}

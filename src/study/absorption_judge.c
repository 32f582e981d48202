/* absorption_judge.c - SAEBench's FeatureAbsorptionCalculator for one word.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "study/absorption_internal.h"

enum { MOST_ABSORBERS = 3 };

#define FIRES           1e-8 /* a main feature below it counts as silent */
#define FULL_COSINE     0.025
#define FRACTION_COSINE 0.1
#define SHARE           0.4 /* of a, that absorbers must give */

typedef struct gifts {
    bool is_main_firing;
    double of_main;                  /* M */
    double largest, cosine;          /* of all features, and the cosine it has */
    double absorber[MOST_ABSORBERS]; /* largest first */
} gifts;

static bool is_among(int32_t feature, const int32_t *list, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (list[i] == feature) return true;
    return false;
}

static gifts gifts_of(const fc_word_features *word, const float *cosine,
                      const int32_t *main_feature, int64_t n_main)
{
    gifts g = {0};
    for (int64_t e = 0; e < word->n; e++) {
        const double c = (double)cosine[word->feature[e]];
        double gift = (double)word->value[e] * c;
        if (gift > g.largest) {
            g.largest = gift;
            g.cosine = c;
        }
        if (is_among(word->feature[e], main_feature, n_main)) {
            g.is_main_firing = g.is_main_firing || (double)word->value[e] >= FIRES;
            g.of_main += gift;
        } else if (c >= FRACTION_COSINE) {
            for (int k = 0; k < MOST_ABSORBERS; k++)
                if (gift > g.absorber[k]) {
                    const double before = g.absorber[k];
                    g.absorber[k] = gift;
                    gift = before;
                }
        }
    }
    return g;
}

static double fraction_of(const gifts *g, double a)
{
    double absorbed = 0.0;
    for (int k = 0; k < MOST_ABSORBERS; k++) absorbed += g->absorber[k];
    if (g->of_main >= a || !(absorbed >= SHARE * a)) return 0.0;
    if (g->of_main <= 0.0) return 1.0;
    absorbed = fmin(absorbed, a - g->of_main);
    return absorbed / (absorbed + g->of_main);
}

fc_word_judgement fc_judge_word(const fc_word_features *word, const float *cosine,
                                const int32_t *main_feature, int64_t n_main, double a)
{
    fc_word_judgement judgement = {0};
    if (!(a > 0.0)) return judgement; /* the probe is not in it */
    const gifts g = gifts_of(word, cosine, main_feature, n_main);
    judgement.is_full =
        !g.is_main_firing && g.cosine >= FULL_COSINE && g.largest >= SHARE * a;
    judgement.fraction = fraction_of(&g, a);
    return judgement;
}

/* schedule.c - linear warm-up, then a decay that ends at lr_final_factor of the rate.
 *
 *   W = max(1, lr_warm_up_steps),  e = lr_final_factor,  p = (t - W + 1) / (T - W)
 *
 *   t <  W            lr (t + 1) / W                       step 0 already moves
 *   t >= W  cosine    lr (e + (1 - e) (1 + cos(pi p)) / 2)
 *           linear    lr (1 - (1 - e) p)
 *           constant  lr, in the last D = share T steps  lr (1 - (1 - e) (t - T + D) / D)
 *
 * Step W-1 has the full rate; cosine and linear end with exactly e times it, constant a step short
 * of that, as in SAELens. Coefficients warm up from zero, l1 min(1, t / w), as SAELens has it.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "sae/schedule.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

double fc_schedule_lr(const fc_train_config *config, int64_t t, int64_t n_steps)
{
    const int64_t warm_up = fc_max(1, config->lr_warm_up_steps);
    if (t < warm_up) return config->lr * (double)(t + 1) / (double)warm_up;
    const double p = (double)(t - warm_up + 1) / (double)(n_steps - warm_up);
    const double end = config->lr_final_factor;
    switch ((fc_lr_schedule)config->lr_schedule) {
    case FC_LR_COSINE:
        return config->lr * (end + (1.0 - end) * (1.0 + cos(PI * p)) / 2.0);
    case FC_LR_LINEAR: return config->lr * (1.0 - (1.0 - end) * p);
    case FC_LR_CONSTANT: break;
    }
    const int64_t n_decay = (int64_t)(config->lr_decay_share * (double)n_steps);
    if (t < n_steps - n_decay) return config->lr;
    const double fallen = (double)(t - (n_steps - n_decay)) / (double)n_decay;
    return config->lr * (1.0 - (1.0 - end) * fallen);
}

static double warmed_up(double coefficient, int64_t n_warm_up, int64_t t)
{
    return t >= n_warm_up ? coefficient : coefficient * (double)t / (double)n_warm_up;
}

double fc_schedule_l1(const fc_train_config *config, int64_t t)
{
    return warmed_up(config->l1_coefficient, config->l1_warm_up_steps, t);
}

double fc_schedule_l0(const fc_train_config *config, int64_t t)
{
    return warmed_up(config->l0_coefficient, config->l0_warm_up_steps, t);
}

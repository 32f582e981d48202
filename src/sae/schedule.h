/* schedule.h - what the learning rate and the coefficients are at step t = 0 .. T-1.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FC_SAE_SCHEDULE_H
#define FC_SAE_SCHEDULE_H

#include "sae/train.h"

/* Learning rate of step t of n_steps. */
double fc_schedule_lr(const fc_train_config *config, int64_t t, int64_t n_steps);

/* L1 coefficient of step t. */
double fc_schedule_l1(const fc_train_config *config, int64_t t);

/* Coefficient of jumprelu's penalty at step t. */
double fc_schedule_l0(const fc_train_config *config, int64_t t);

#endif

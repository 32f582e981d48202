/* core_tables.c - the names of core measures, as they should be and by tool.
 *
 * What is known to be wrong in a tool, each seen in its source and by running it:
 *   SAELens 6.18, SAEBench 0.6   mse is divided by the rows of the batch twice; explained_variance
 *                                takes (S/d)^2 for the squared length of the mean
 *   all of SAELens, SAEBench     explained_variance_legacy and relative_reconstruction_bias depend
 *                                on the batches
 *   dictionary_learning          frac_variance_explained forgives a constant error; l2_loss is a
 *                                mean of lengths, not of squares
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "study/core_metrics.h"

static const fc_core_name right[] = {
    {"l2_norm_in", FC_CORE_L2_NORM_IN},
    {"l2_norm_out", FC_CORE_L2_NORM_OUT},
    {"l2_ratio", FC_CORE_L2_RATIO},
    {"relative_reconstruction_bias", FC_CORE_BIAS},
    {"l0", FC_CORE_L0},
    {"l1", FC_CORE_L1},
    {"cosine_similarity", FC_CORE_COSINE},
    {"mse_sum_over_d", FC_CORE_MSE_SUM},
    {"mse_mean_over_d", FC_CORE_MSE_MEAN},
    {"fvu", FC_CORE_FVU},
    {"explained_variance", FC_CORE_EXPLAINED},
    {"explained_variance_legacy", FC_CORE_LEGACY},
    {"frac_variance_explained_centred", FC_CORE_CENTRED},
    {"freq_over_1_percent", FC_CORE_FREQ_1},
    {"freq_over_10_percent", FC_CORE_FREQ_10},
    {"normalized_freq_over_1_percent", FC_CORE_MASS_1},
    {"normalized_freq_over_10_percent", FC_CORE_MASS_10},
    {"frac_alive", FC_CORE_ALIVE},
    {"dead_features_frequency_zero", FC_CORE_SILENT},
    {"dead_features_max_activation_at_most_1e-6", FC_CORE_DEAD},
    {"average_max_encoder_cosine_sim", FC_CORE_MAX_ENCODER},
    {"average_max_decoder_cosine_sim", FC_CORE_MAX_DECODER},
};

#define SAELENS(mse_number, variance)                                         \
    {"cossim", FC_CORE_COSINE}, {"explained_variance", variance},             \
        {"explained_variance_legacy", FC_CORE_LEGACY}, {"l0", FC_CORE_L0},    \
        {"l1", FC_CORE_L1}, {"l2_norm_in", FC_CORE_L2_NORM_IN},               \
        {"l2_norm_out", FC_CORE_L2_NORM_OUT}, {"l2_ratio", FC_CORE_L2_RATIO}, \
        {"mse", mse_number},                                                  \
    {                                                                         \
        "relative_reconstruction_bias", FC_CORE_BATCH_BIAS                    \
    }

static const fc_core_name saelens_6_54[] = {SAELENS(FC_CORE_MSE_SUM, FC_CORE_EXPLAINED)};
static const fc_core_name saelens_6_18[] = {SAELENS(FC_CORE_MSE_TWICE, FC_CORE_SLIP)};
static const fc_core_name saebench_0_6[] = {
    SAELENS(FC_CORE_MSE_TWICE, FC_CORE_SLIP),
    {"freq_over_1_percent", FC_CORE_FREQ_1},
    {"freq_over_10_percent", FC_CORE_FREQ_10},
    {"normalized_freq_over_1_percent", FC_CORE_MASS_1},
    {"normalized_freq_over_10_percent", FC_CORE_MASS_10},
    {"average_max_encoder_cosine_sim", FC_CORE_MAX_ENCODER},
    {"average_max_decoder_cosine_sim", FC_CORE_MAX_DECODER},
    {"frac_alive", FC_CORE_ALIVE},
};
static const fc_core_name dictionary_learning[] = {
    {"cossim", FC_CORE_BATCH_COSINE},
    {"frac_alive", FC_CORE_ALIVE},
    {"frac_variance_explained", FC_CORE_BATCH_CENTRED},
    {"l0", FC_CORE_BATCH_L0},
    {"l1_loss", FC_CORE_BATCH_L1},
    {"l2_loss", FC_CORE_BATCH_ERROR},
    {"l2_ratio", FC_CORE_BATCH_RATIO},
    {"relative_reconstruction_bias", FC_CORE_BATCH_BIAS},
};
#undef SAELENS

const fc_core_table fc_core_right = {"facet", right, FC_LEN(right)};
const fc_core_table fc_core_printed[] = {
    {"saebench_0_6", saebench_0_6, FC_LEN(saebench_0_6)},
    {"saelens_6_18", saelens_6_18, FC_LEN(saelens_6_18)},
    {"saelens_6_54", saelens_6_54, FC_LEN(saelens_6_54)},
    {"dictionary_learning_0_1", dictionary_learning, FC_LEN(dictionary_learning)},
};
const int64_t fc_core_n_printed = FC_LEN(fc_core_printed);
